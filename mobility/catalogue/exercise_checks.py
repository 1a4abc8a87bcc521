"""Whether the folder of an exercise has what it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

from pydantic import TypeAdapter, ValidationError

from mobility.base.options import likely, quoted
from mobility.catalogue.exercise import Exercise, main_moment, plain
from mobility.catalogue.exercise_folders import PACKAGE
from mobility.catalogue.exercise_imports import OfExercise, class_in, imported
from mobility.catalogue.exercise_table import check_among, check_names, check_own_tables
from mobility.errors import BadInputError

_SECTIONS = "mobility.reports.sections"

_Names = tuple[str, ...]
_DEPENDS = TypeAdapter(dict[str, tuple[_Names, _Names, _Names]])


def check(exercise: Exercise, *, beside: Sequence[Exercise]) -> None:
    """Refuse an exercise whose folder does not have what it is asked for.

    Parameters
    ----------
    exercise
        Those of this package are checked by its tests, others where they are loaded.
    beside
        The others that there are.

    Raises
    ------
    BadInputError
        In one line, what is wrong in which file.
    """
    package, table = exercise.package, exercise.table
    what = f"exercise.yaml of {package}"
    for each in beside:
        if {plain(each.name), plain(each.slug)} & {plain(exercise.name), plain(exercise.slug)}:
            raise BadInputError(f"{what}: {each.package} is called that, too")
    others = [each.own_table for each in beside]
    check_own_tables(exercise.own_table, others=others, package=package)
    if not package.startswith(f"{PACKAGE}."):  # whose notebooks are where no package brings any
        notebooks = {e.table["notebook"] for e in beside if e.table["noun"] == table["noun"]}
        hint = f"; take {' or '.join(sorted(notebooks))}"
        check_among([table["notebook"]], notebooks, f"{what}: notebook", hint)
    check_sections(exercise)
    _check_classes(exercise)
    kernels = kernels_of(exercise)
    if twice := [name for name in kernels if kernels.count(name) > 1]:
        raise BadInputError(f"kernels.py of {package}: {twice[0]!r} is the name of a shared one")
    check_names(
        table,
        exercise.own_table,
        others=others,
        kernels=kernels,
        moment=main_moment(exercise.moments),
        what=what,
        package=package,
    )


def sections_of(exercise: Exercise) -> list[str]:
    """Names of the sections that the page of an exercise can show."""
    packages = (*exercise.packages, *exercise.extensions)
    own = [name for each in packages for name in sections_in(each)]
    return [*_named_in(_SECTIONS, "make"), *own]


def sections_in(package: str) -> list[str]:
    """Names of the sections in ``page.py`` of a package."""
    return _named_in(f"{package}.page", "make")


def kernels_of(exercise: Exercise) -> list[str]:
    """Names of the kernels that can compute the measures of an exercise."""
    packages = (*exercise.packages, *exercise.extensions)
    return [name for each in packages for name in kernels_in(each)]


def kernels_in(package: str) -> list[str]:
    """Names of the kernels in ``kernels.py`` of a package."""
    return _named_in(f"{package}.kernels", "compute")


def _named_in(module: str, does: str) -> list[str]:
    """Names in a module for what has an attribute that `does` it."""
    named = vars(imported(module)) if find_spec(module) else {}
    functions = {name: getattr(value, does, None) for name, value in named.items()}
    imports_count = module.startswith("mobility.")  # of kernels that several folders share
    return [
        name
        for name, function in functions.items()
        if callable(function) and (imports_count or function.__module__ == module)
    ]


def check_sections(exercise: Exercise) -> None:
    """Refuse a page with a section that is neither shared nor of the exercise."""
    there = sections_of(exercise)
    opening = exercise.table.get("report", {}).get("opening")
    placed = [("page", name) for name in exercise.sections]
    placed += [("report: opening", opening)] if opening else []
    for place, name in placed:
        hint = likely(name, there) or f"; there are: {', '.join(there)}"
        check_among([name], there, f"exercise.yaml of {exercise.package}: {place}", hint)


def _check_classes(exercise: Exercise) -> None:
    """Make what the folder of an exercise defines, which refuses what lacks a method."""
    for module in (f"{exercise.package}.{part}" for part in ("documents", "page")):
        if find_spec(module) and (found := class_in(module, OfExercise)):
            found()
    depends = exercise.loaded().depends
    try:
        _DEPENDS.validate_python(depends)
    except ValidationError:
        raise BadInputError(
            f"exercise.py of {exercise.package}: depends: must have by stage three tuples of names:"
            f" of stages, options and corrections (got {quoted(depends)})"
        ) from None
