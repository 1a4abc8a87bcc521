"""Every number of a table that decides something stands beside its source."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from typing import Any

import numpy as np

from mobility import tables
from mobility.catalogue.registry import exercises
from mobility.kinematics.skeleton import KEYPOINTS, angles_from_points

DECIDING = ("criteria", "findings", "indices", "movements", "reference_ranges")
"""Tables of thresholds and references."""

REPORTED = (*DECIDING, "advice", "angles", "joints", "measures")
"""Tables whose sources stand in the reports."""

_NAME = r"(?:de |van |von )?[A-Z][\w'’-]+"
STUDY = re.compile(rf"{_NAME}(?:(?:, | & | and ){_NAME})*(?: et al\.)?,? \(?((?:19|20)\d\d)\b")
"""Author and year; an organisation counts as one."""

WHERE = re.compile(
    r"(?:\)?, | \()(?:"
    r"[A-Z][A-Za-z. ]+ \d+(?:\(\w+\))?(?::\d+|, doi )"  # journal, volume and page
    r"|arXiv:\d|\d+:\d+"  # a preprint; another year of the same journal
    r"|[A-Z]\w+ [A-Z]?\w+[^;]*(?:\(a handbook\)|\bed\.)"  # a book
    r")"
)
"""Where it was published, right behind the year."""


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


OWN = re.compile(
    r"[Cc]hoices? of this package|Geometry|[Dd]efinition of this package|Wording of this package"
    r"|NASM Essentials of Corrective Exercise Training"
)
"""What is no publication and says so; and the textbook, which is cited without its year."""


def is_told(source: str) -> bool:
    """Whether a source is a whole reference, or says that it is none."""
    return bool(not incomplete(source) and (STUDY.search(source) or OWN.search(source)))


def deciding_sources(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """The source of every entry that has a number."""
    if isinstance(value, dict):
        has_number = any(type(v) in (int, float) for v in value.values())
        if has_number and path.split(".")[-1] not in DETAILS:
            yield path, str(value.get("source", ""))
        for key, below in value.items():
            yield from deciding_sources(below, f"{path}.{key}")


def test_a_threshold_is_published_or_says_that_it_is_a_choice():
    for name in ("criteria", "findings", "indices"):
        each = deciding_sources(tables.load(name), name)
        assert [path for path, source in each if not is_told(source)] == []


def test_every_angle_is_described_and_computed():
    described = tables.load("angles")
    angles = angles_from_points(np.zeros((1, len(KEYPOINTS), 3)))
    shapes = {name: (1, 2) if entry["sided"] else (1,) for name, entry in described.items()}
    assert {name: values.shape for name, values in angles.items()} == shapes


def test_every_number_stands_beside_its_source():
    for name in DECIDING:
        assert list(numbers_without_source(tables.load(name), name)) == []


def incomplete(source: str) -> list[str]:
    """Studies that a source names by author and year without saying where they were published."""
    text = " ".join(source.split())
    return [study[0] for study in STUDY.finditer(text) if not WHERE.match(text[study.end() :])]


def sources(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Every `source` and `reference` of a table."""
    if isinstance(value, dict):
        for key, below in value.items():
            if key in ("source", "reference") and isinstance(below, str):
                yield path, below
            yield from sources(below, f"{path}.{key}")
    elif isinstance(value, list):
        for i, below in enumerate(value):
            yield from sources(below, f"{path}[{i}]")


def test_whoever_is_named_can_be_found():
    """Each text stands alone in the list of a report: author, year, and journal or book."""
    each = [pair for name in REPORTED for pair in sources(tables.load(name), name)]
    for exercise in exercises():
        each += sources(exercise.table, exercise.slug)
        for name in ("advice", "constants", "findings", "measures"):
            each += sources(exercise.own_table(name), f"{exercise.slug} {name}")
    assert {path: missing for path, s in each if (missing := incomplete(s))} == {}


def named_files(text: str) -> set[str]:
    """Files that a text names, with the folders that it gives."""
    return set(re.findall(r"(?<![\w./-])[\w./-]*\w\.(?:py|ya?ml|md|ipynb|nc|csv|tsv)\b", text))


def test_every_file_that_a_table_names_is_there(project):
    assert named_files("(tuning.yaml) on a/b_2.py.") == {"tuning.yaml", "a/b_2.py"}
    places = ("benchmarks", "docs", "mobility", "notebooks", "scripts")
    files = [f"/{path.as_posix()}" for place in places for path in (project / place).rglob("*.*")]
    absent = {
        f"{table.name}: {name}"
        for table in (project / "mobility" / "tables").glob("*.yaml")
        for name in named_files(table.read_text(encoding="utf-8"))
        # Sentences may also name tables that a report writes beside itself.
        if not (table.name.startswith("sentences_") and name.endswith(".csv"))
        and not any(file.endswith(f"/{name}") for file in files)
    }
    assert absent == set()
