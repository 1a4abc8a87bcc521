"""What other packages and wings add to exercises: measures, rules, sections and stored results.

An extension is a folder with an ``extension.yaml`` and any of ``measures.yaml``, ``kernels.py``,
``findings.yaml``, ``advice.yaml`` and ``page.py``, written as for an exercise, and
``stored_results.py`` with a function for each stored result. A package registers it under the same
entry point as exercises, a wing in ``mobility.EXERCISE_EXTENSIONS``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from mobility import tables
from mobility.base.options import Strict, likely, quoted, validate
from mobility.catalogue.exercise import Exercise, main_moment, plain
from mobility.catalogue.exercise_checks import kernels_in, kernels_of, sections_in, sections_of
from mobility.catalogue.exercise_folders import own_table
from mobility.catalogue.exercise_table import (
    ReportTable,
    check_among,
    check_names,
    check_own_tables,
)
from mobility.errors import BadInputError

_TABLES = ("extension.yaml", "measures.yaml", "findings.yaml", "advice.yaml")


class _ExtensionTable(Strict):
    model_config = ConfigDict(extra="forbid")

    extends: Annotated[list[str], Field(min_length=1, description="exercises, by name or slug")]
    measures: Annotated[list[str], Field(default_factory=list)]
    rules: Annotated[list[str], Field(default_factory=list)]
    page: Annotated[list[str], Field(default_factory=list, description="sections of its page.py")]
    page_after: Annotated[
        str, Field(description="section after which these sections are shown")
    ] = "measures"
    results: Annotated[
        list[str],
        Field(
            default_factory=list,
            description="Datasets to store: functions of its stored_results.py",
        ),
    ]
    tables: Annotated[
        list[ReportTable],
        Field(default_factory=list, description="tables in the section of all measures"),
    ]


def is_extension(package: str) -> bool:
    """Whether the folder of a package describes an extension."""
    return (files(package) / "extension.yaml").is_file()


def extended(package: str, exercises: Sequence[Exercise]) -> tuple[Exercise, ...]:
    """Return the exercises with what an extension adds to them.

    Raises
    ------
    BadInputError
        One line: what is wrong in its ``extension.yaml``.
    """
    what = f"extension.yaml of {package}"
    table = validate(_ExtensionTable, own_table(package, "extension"), what=what)
    names = [name for each in exercises for name in (each.name, each.slug)]
    plain_names = {plain(name) for name in names}
    for name in table.extends:
        if plain(name) not in plain_names:
            check_among([name], names, f"{what}: extends", likely(name, names))
    asked = {plain(name) for name in table.extends}
    return tuple(
        _with(table, each, package, what) if {plain(each.name), plain(each.slug)} & asked else each
        for each in exercises
    )


def _with(table: _ExtensionTable, exercise: Exercise, package: str, what: str) -> Exercise:
    if "report" not in exercise.table:
        raise BadInputError(f"{what}: extends: {exercise.name} does not consist of repetitions")
    added: dict[str, Any] = {}
    for part in ("measures", "rules", "page"):
        before, new = exercise.table[part], getattr(table, part)
        if twice := [name for name in new if name in before]:
            raise BadInputError(f"{what}: {part}: {exercise.name} already has {twice[0]!r}")
        added[part] = [*before, *new]
    if twice := [name for name in table.results if name in exercise.results]:
        raise BadInputError(f"{what}: results: {exercise.name} already has {twice[0]!r}")
    check_among([table.page_after], exercise.sections, f"{what}: page_after")
    place = exercise.sections.index(table.page_after) + 1
    added["page"] = (*exercise.sections[:place], *table.page, *exercise.sections[place:])
    report = exercise.table["report"]
    more = [each.model_dump() for each in table.tables]
    added["report"] = {**report, "tables": [*report["tables"], *more]}
    return replace(
        exercise,
        table={**exercise.table, **added},
        extensions=(*exercise.extensions, package),
        results=(*exercise.results, *table.results),
    )


def check_extension(package: str, before: Sequence[Exercise], after: Sequence[Exercise]) -> None:
    """Reject an extension if its folder lacks something that its tables name.

    Parameters
    ----------
    package
        The package of the extension.
    before, after
        The exercises without the extension and with it.
    """

    def added_table(name: str) -> Any:
        return own_table(package, name)

    for entry in sorted(files(package).iterdir(), key=lambda each: each.name):
        if entry.name.endswith(".yaml") and entry.name not in _TABLES:
            raise BadInputError(
                f"{entry.name} of {package}: an extension has only {', '.join(_TABLES)}; remove it"
            )
    check_own_tables(added_table, other_tables=[each.own_table for each in before], package=package)
    _check_apart(added_table("measures"), tables.load("measures"), f"measures.yaml of {package}")
    what, sections = f"extension.yaml of {package}", sections_in(package)
    for old, new in zip(before, after, strict=True):
        if old == new:
            continue
        own_measures = old.own_table("measures")
        _check_apart(added_table("measures"), own_measures, f"measures.yaml of {package}")
        there = [*sections, *sections_of(old)]
        for name in new.sections:
            hint = likely(name, there) or "; page.py has no such section"
            check_among([name], there, f"{what}: page", hint)
        for name in new.results:
            if not callable(new.named("stored_results", name)):
                raise BadInputError(
                    f"{what}: results: stored_results.py has no function {quoted(name)}"
                )
        for file, names, taken in (
            ("page.py", sections, sections_of(old)),
            ("kernels.py", kernels_in(package), kernels_of(old)),
        ):
            if twice := sorted({*names} & {*taken}):
                raise BadInputError(
                    f"{file} of {package}: {twice[0]!r} is already the name of another one"
                )
        check_names(
            new.table,
            new.own_table,
            other_tables=[each.own_table for each in before if each != old],
            kernels={*kernels_of(old), *kernels_in(package)},
            moment=main_moment(new.moments),
            what=what,
            package=package,
        )


def _check_apart(added_entries: Mapping[str, Any], existing: Mapping[str, Any], what: str) -> None:
    """Reject entries of a table that the exercise's own table already contains."""
    for part, entries in added_entries.items():
        both = [part] if part in existing else []
        if isinstance(entries, Mapping):
            both = [name for name in entries if name in existing.get(part, {}) and name != "source"]
        if both:
            raise BadInputError(f"{what}: {both[0]} is already the name of another entry")
