"""The exercises that there are, by name; rooms ask the one of a session, and name none."""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import entry_points
from importlib.resources import files
from typing import TYPE_CHECKING, Annotated, Any

from pydantic_core import CoreSchema, PydanticKnownError, core_schema

import mobility
from mobility.base.options import likely, quoted
from mobility.catalogue.exercise import Exercise, plain
from mobility.catalogue.exercise_checks import check
from mobility.catalogue.exercise_folders import PACKAGE, exercise_table, files_digest, in_short
from mobility.catalogue.exercise_imports import imported
from mobility.catalogue.extensions import check_extension, extended, is_extension
from mobility.errors import BadInputError

if TYPE_CHECKING:
    import xarray as xr


log = logging.getLogger(__name__)

ENTRY_POINTS = "mobility.exercises"

_PACKAGES = sorted(
    f"{PACKAGE}.{each.name}"
    for each in files(PACKAGE).iterdir()
    if (each / "exercise.yaml").is_file()
)

USUAL: str = min(map(exercise_table, _PACKAGES), key=lambda table: table["order"])["name"]
"""Name of the exercise where none is named."""


@functools.cache
def exercises() -> tuple[Exercise, ...]:
    """Every exercise, in the order in which they are offered; the first is the usual one."""
    loaded, extensions = built_in(), list[str]()
    here = {each.package for each in loaded}
    others = sorted({point.value for point in entry_points(group=ENTRY_POINTS)} - here)
    for package in others:
        with _left_out("exercise", package):
            imported(package)
            if is_extension(package):
                extensions.append(package)
                continue
            exercise = _load(package)
            check(exercise, beside=loaded)
            loaded.append(exercise)
    for package in mobility.EXERCISE_EXTENSIONS:
        loaded = [*extended(package, loaded)]
    for package in extensions:
        with _left_out("extension", package):
            with_it = extended(package, loaded)
            check_extension(package, loaded, with_it)
            loaded = [*with_it]
    # An exercise of another package never becomes the usual one.
    return tuple(sorted(loaded, key=lambda each: (each.package in others, each.table["order"])))


def built_in() -> list[Exercise]:
    """Exercises of this package, without what extensions add."""
    return [_load(package) for package in _PACKAGES]


@contextmanager
def _left_out(what: str, package: str) -> Iterator[None]:
    """Leave a package of somebody else out if it is broken; all others go on."""
    try:
        yield
    except Exception as error:
        name = package if package.replace(".", "_").isidentifier() else quoted(package)
        log.warning("%s %s is left out: %s", what, name, in_short(error))


def _load(package: str) -> Exercise:
    table = exercise_table(package)
    return Exercise(table["name"], table["slug"], package, table)


def names() -> tuple[str, ...]:
    """Names of the exercises."""
    return tuple(each.name for each in exercises())


def digest(exercise: Exercise, *, pages: bool = False, extensions: bool = True) -> str:
    """SHA-256 of what the results of an exercise depend on; or its `pages`, too.

    Without `extensions` it is that of the results before the metrics, which none can change.
    """
    return files_digest(
        exercise.package,
        tuple(each.package for each in exercises()),
        pages=pages,
        extensions=exercise.extensions if extensions else (),
    )


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


class _OneOfTheNames:
    """Lets a field refuse what is no exercise; they are looked up when the first value is read.

    What other packages import would not be there yet when the class with the field is made.
    """

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._checked)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: Any) -> dict[str, Any]:
        return {"enum": [*names()], "type": "string"}

    def _checked(self, name: object) -> object:
        if name in names():
            return name
        *others, last = map(repr, names())
        raise PydanticKnownError("literal_error", {"expected": f"{', '.join(others)} or {last}"})


ExerciseName = Annotated[str, _OneOfTheNames()]
