"""The exercises that there are, by name; rooms ask the one of a session, and name none."""

from __future__ import annotations

import functools
import logging
from importlib.metadata import entry_points
from importlib.resources import files
from typing import TYPE_CHECKING, Literal

from mobility.base.options import likely, quoted
from mobility.catalogue.exercise import Exercise, plain
from mobility.catalogue.exercise_checks import check, try_modules
from mobility.catalogue.exercise_folders import PACKAGE, exercise_table, files_digest, in_short
from mobility.catalogue.exercise_imports import imported
from mobility.errors import BadInputError

if TYPE_CHECKING:
    import xarray as xr


log = logging.getLogger(__name__)

ENTRY_POINTS = "mobility.exercises"


@functools.cache
def exercises() -> tuple[Exercise, ...]:
    """Every exercise, in the order in which they are offered; the first is the usual one."""
    here = sorted(
        f"{PACKAGE}.{folder.name}"
        for folder in files(PACKAGE).iterdir()
        if (folder / "exercise.yaml").is_file()
    )
    others = sorted({point.value for point in entry_points(group=ENTRY_POINTS)} - {*here})
    loaded = [_load(package) for package in here]
    for package in others:
        try:
            imported(package)
            exercise = _load(package)
            check(exercise, beside=loaded)
            try_modules(package)
        except Exception as error:
            # It is not ours: whatever is wrong with it, the others go on.
            name = package if package.replace(".", "_").isidentifier() else quoted(package)
            log.warning("exercise %s is left out: %s", name, in_short(error))
        else:
            loaded.append(exercise)
    # An exercise of another package never becomes the usual one.
    return tuple(sorted(loaded, key=lambda each: (each.package in others, each.table["order"])))


def _load(package: str) -> Exercise:
    table = exercise_table(package)
    return Exercise(table["name"], table["slug"], package, table)


def names() -> tuple[str, ...]:
    """Names of the exercises."""
    return tuple(each.name for each in exercises())


def digest(exercise: Exercise, *, pages: bool = False) -> str:
    """SHA-256 of what the results of an exercise depend on; or its `pages`, too."""
    return files_digest(exercise.package, tuple(each.package for each in exercises()), pages=pages)


def usual() -> Exercise:
    """Give the exercise where none is named."""
    return exercises()[0]


def exercise(name: str | None) -> Exercise:
    """Look an exercise up; capitals, hyphens and underscores make no difference.

    Raises
    ------
    BadInputError
        There is none of that name.
    """
    by_name = {plain(each.name): each for each in exercises()}
    if plain(name) not in by_name:
        every = ", ".join(f"{each.name!r} ({each.slug})" for each in exercises())
        choice = likely(str(name), names()) or f"; choose one of {every}"
        raise BadInputError.of({"exercise_name": f"there is no {quoted(name)}{choice}"})
    return by_name[plain(name)]


def exercise_of(metrics: xr.Dataset | None) -> Exercise:
    """Exercise of a metrics Dataset; the usual one where it names none."""
    name = None if metrics is None else metrics.attrs.get("exercise")
    return usual() if name is None else exercise(name)


def that_have(document: str) -> tuple[Exercise, ...]:
    """Exercises whose sessions have a document of the interface."""
    return tuple(each for each in exercises() if each.has(document))


def of_single_joints() -> Exercise:
    """Give the exercise that measures single movements."""
    return next(each for each in exercises() if each.noun == "movement")


USUAL: str = usual().name
"""Name of the exercise where none is named."""

# A field of this type refuses what is no exercise, with the likely spelling.
if TYPE_CHECKING:
    ExerciseName = str
else:
    ExerciseName = Literal[*names()]
