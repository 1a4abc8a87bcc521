"""Check that the folder of an exercise contains everything that its table names."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

from pydantic import TypeAdapter, ValidationError

from mobility import tables
from mobility.base.options import likely, quoted
from mobility.catalogue.exercise import Exercise, main_moment, plain
from mobility.catalogue.exercise_folders import PACKAGE
from mobility.catalogue.exercise_imports import OfExercise, imported
from mobility.catalogue.exercise_table import check_among, check_names, check_own_tables
from mobility.errors import BadInputError

_SECTIONS = "mobility.reports.sections"

_Names = tuple[str, ...]
_DEPENDS = TypeAdapter(dict[str, tuple[_Names, _Names, _Names]])


def check(exercise: Exercise, *, beside: Sequence[Exercise]) -> None:
    """Reject an exercise if its folder lacks something that its table names.

    Parameters
    ----------
    exercise
        Tests check the exercises of this package; others are checked when they are loaded.
    beside
        All other exercises.

    Raises
    ------
    BadInputError
        One line: which file is wrong, and why.
    """
    package, table = exercise.package, exercise.table
    what = f"exercise.yaml of {package}"
    for each in beside:
        if {plain(each.name), plain(each.slug)} & {plain(exercise.name), plain(exercise.slug)}:
            raise BadInputError(f"{what}: {each.package} has the same name")
    other_tables = [each.own_table for each in beside]
    check_own_tables(exercise.own_table, other_tables=other_tables, package=package)
    if not package.startswith(f"{PACKAGE}."):  # packages cannot bring notebooks
        notebooks = {e.table["notebook"] for e in beside if e.table["noun"] == table["noun"]}
        hint = f"; choose {' or '.join(sorted(notebooks))}"
        check_among([table["notebook"]], notebooks, f"{what}: notebook", hint)
    check_sections(exercise)
    _check_classes(exercise)
    kernels = kernels_of(exercise)
    if twice := [name for name in kernels if kernels.count(name) > 1]:
        raise BadInputError(f"kernels.py of {package}: {twice[0]!r} is the name of a shared kernel")
    check_names(
        table,
        exercise.own_table,
        other_tables=other_tables,
        kernels=kernels,
        moment=main_moment(exercise.moments),
        what=what,
        package=package,
    )


def sections_of(exercise: Exercise) -> list[str]:
    """Names of the sections that the page of an exercise can show."""
    packages = (*exercise.packages, *exercise.extensions)
    section_names = [name for each in packages for name in sections_in(each)]
    return [*_named_in(_SECTIONS, "make"), *section_names]


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
    """Names in a module whose objects have the attribute `does`."""
    named = vars(imported(module)) if find_spec(module) else {}
    functions = {name: getattr(value, "__dict__", {}).get(does) for name, value in named.items()}
    imports_count = module.startswith("mobility.")  # of kernels that several folders share
    return [
        name
        for name, function in functions.items()
        if callable(function) and (imports_count or function.__module__ == module)
    ]


def check_sections(exercise: Exercise) -> None:
    """Reject a page with a section that is neither shared nor defined by the exercise."""
    there = sections_of(exercise)
    opening = exercise.table.get("report", {}).get("opening")
    placed = [("page", name) for name in exercise.sections]
    placed += [("report: opening", opening)] if opening else []
    page = f"{exercise.package}.page"
    own = vars(imported(page)) if find_spec(page) else {}
    for place, name in placed:
        hint = likely(name, there) or f"; available: {', '.join(there)}"
        hint = "; the function in page.py lacks @section" if name in own else hint
        check_among([name], there, f"exercise.yaml of {exercise.package}: {place}", hint)
    needed = ["repetitions", *tables.load("verdict")["parts"], *exercise.table["measures"]]
    for name in sections_in(exercise.package):
        # A metric begins with the name of its measure.
        needs = [need for need in own[name].needs if not need.startswith(tuple(needed))]
        check_among(needs, needed, f"page.py of {exercise.package}: {name}: needs")


def _check_classes(exercise: Exercise) -> None:
    """Make objects of the exercise's classes, which fails if a class lacks a required method."""
    for part in ("documents", "page"):
        exercise.part(part, OfExercise)
    depends = exercise.loaded().depends
    try:
        _DEPENDS.validate_python(depends)
    except ValidationError:
        raise BadInputError(
            f"exercise.py of {exercise.package}: depends: each stage needs three tuples of names "
            f"(stages, options, corrections); got {quoted(depends)}"
        ) from None
