"""Every number of a table that decides something stands beside its source."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from typing import Any

import pytest

from mobility import tables

DECIDING = ("criteria", "findings", "indices", "reference_ranges")
"""Tables of thresholds and references, as far as they exist."""

PUBLISHED = re.compile(r"\b(19|20)\d\d\b")


DETAILS = ("only", "shown", "quantities")
"""Parts of an entry that its own source holds for."""


def numbers_without_source(
    value: Any, path: str, *, held: bool = False, studies: Container[str] = ()
) -> Iterator[str]:
    """Places of numbers that no `source` stands beside; those of a list count as their list's.

    A `study` stands for the source that the table gives for it under `studies`.
    """
    if isinstance(value, dict):
        text = str(value.get("source", ""))
        studies = value.get("studies", studies)
        held = held or len(text.split()) > 2 or value.get("study") in studies
        for key, below in value.items():
            entry = isinstance(below, dict) and key not in DETAILS
            yield from numbers_without_source(
                below, f"{path}.{key}", held=held and not entry, studies=studies
            )
    elif isinstance(value, list):
        for i, below in enumerate(value):
            yield from numbers_without_source(below, f"{path}[{i}]", held=held, studies=studies)
    elif isinstance(value, int | float) and not isinstance(value, bool) and not held:
        yield path


def deciding(project: Any) -> list[str]:
    known = {path.stem for path in (project / "mobility" / "tables").glob("*.yaml")}
    return [name for name in DECIDING if name in known]


def test_every_number_stands_beside_its_source(project):
    names = deciding(project)
    assert {"criteria", "indices"} <= set(names)
    for name in names:
        assert list(numbers_without_source(tables.load(name), name)) == []


def test_a_source_is_a_publication_or_says_that_it_is_a_choice(project):
    def sources(value: Any, path: str) -> Iterator[tuple[str, str]]:
        if isinstance(value, dict):
            if any(isinstance(v, int | float) for v in value.values()):
                yield path, str(value.get("source", ""))
            for key, below in value.items():
                yield from sources(below, f"{path}.{key}")

    for name in ("criteria", "indices"):
        for path, source in sources(tables.load(name), name):
            told = PUBLISHED.search(source) or "hoice of this package" in source
            assert told or "Geometry" in source, path


@pytest.mark.parametrize(
    ("table", "found"),
    [
        ({"a": {"value": 3}}, ["t.a.value"]),
        ({"a": {"value": 3, "source": "Choice of this package"}}, []),
        ({"a": {"value": 3, "source": "?"}}, ["t.a.value"]),
        ({"source": "A book of 1999", "a": {"value": 3}}, ["t.a.value"]),  # not beside it
        ({"a": {"range": [1, 2], "source": "Choice of this package"}}, []),
        ({"a": {"range": [1, 2]}}, ["t.a.range[0]", "t.a.range[1]"]),
    ],
)
def test_the_check_finds_numbers_without_source(table, found):
    assert list(numbers_without_source(table, "t")) == found
