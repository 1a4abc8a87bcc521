"""The available exercises by name. Rooms look up exercises here, and never name one."""

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
"""Name of the exercise that is used if none is named."""


@functools.cache
def exercises() -> tuple[Exercise, ...]:
    """All exercises, in the order in which they are listed; the first is the default."""
    loaded, extensions = built_in(), list[str]()
    here = {each.package for each in loaded}
    foreign = sorted({point.value for point in entry_points(group=ENTRY_POINTS)} - here)
    for package in foreign:
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
    # An exercise of another package never becomes the default.
    return tuple(sorted(loaded, key=lambda each: (each.package in foreign, each.table["order"])))


def built_in() -> list[Exercise]:
    """Exercises of this package, without the additions of extensions."""
    return [_load(package) for package in _PACKAGES]


@contextmanager
def _left_out(what: str, package: str) -> Iterator[None]:
    """Leave out a broken package from somebody else, and continue with the others."""
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
    """SHA-256 of everything that the results (or `pages`) of an exercise depend on.

    Without `extensions` it covers the results before the metrics, which no extension can change.
    """
    return files_digest(
        exercise.package,
        tuple(each.package for each in exercises()),
        pages=pages,
        extensions=exercise.extensions if extensions else (),
    )


def usual() -> Exercise:
    """Return the exercise that is used if none is named."""
    return exercises()[0]


def exercise(name: str | None) -> Exercise:
    """Look up an exercise; capitals, hyphens and underscores are ignored.

    Raises
    ------
    BadInputError
        No exercise has this name.
    """
    by_name = {plain(each.name): each for each in exercises()}
    if plain(name) not in by_name:
        every = ", ".join(f"{each.name!r} ({each.slug})" for each in exercises())
        choice = likely(str(name), names()) or f"; choose one of {every}"
        raise BadInputError.of({"exercise_name": f"there is no {quoted(name)}{choice}"})
    return by_name[plain(name)]


def exercise_of(metrics: xr.Dataset | None) -> Exercise:
    """Exercise of a metrics Dataset; the default one if the Dataset names none."""
    name = None if metrics is None else metrics.attrs.get("exercise")
    return usual() if name is None else exercise(name)


def that_have(document: str) -> tuple[Exercise, ...]:
    """Exercises whose sessions have a document of the interface."""
    return tuple(each for each in exercises() if each.has(document))


def of_single_joints() -> Exercise:
    """Return the exercise that measures single-joint range of motion."""
    return next(each for each in exercises() if each.noun == "movement")


class _OneOfTheNames:
    """Makes a field reject unknown exercises; the names are looked up when a value is first read.

    When the class with the field is created, the exercises of other packages are not available yet.
    """

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._checked)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: Any) -> dict[str, Any]:
        return {"enum": [*names()], "type": "string"}

    def _checked(self, name: object) -> object:
        if name in names():
            return name
        *choices, last = map(repr, names())
        raise PydanticKnownError("literal_error", {"expected": f"{', '.join(choices)} or {last}"})


ExerciseName = Annotated[str, _OneOfTheNames()]
