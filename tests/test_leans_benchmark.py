"""Counting of gross leans by `benchmarks/leans.py`, on some made by hand."""

from __future__ import annotations

import pandas as pd
import pytest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def benchmark(program):
    return program("leans")


def test_no_case_for_reporting_is_there_for_choosing(benchmark) -> None:
    assert benchmark.half("leans2", "03-front") == "choosing"
    assert benchmark.half("leans2", "04-front") == "reporting"
    assert {benchmark.half("leans", f"0{n}-front") for n in (3, 4)} == {"choosing"}
    assert {benchmark.half("reporting3", f"0{n}-front") for n in (3, 4)} == {"reporting"}


def test_cases_are_counted_by_their_true_lean_and_what_is_said(benchmark) -> None:
    rows = [(38.0, False, None, None), (57.0, True, "inconclusive", "leans far forward")]
    rows += [
        (58.0, True, "outside", ""),
        (59.0, True, "not_reported", ""),
        (56.0, False, None, None),
    ]
    names = ["true lean", "shown", "result", "said"]
    table = pd.DataFrame(rows, columns=names).assign(people="reporting", height=0.4)
    upright, leaning = benchmark.by_lean(table).to_dict("records")
    assert (upright["number"], upright["shown in the picture"], upright["stated"]) == (1, 0, 0)
    assert (leaning["number"], leaning["shown in the picture"], leaning["stated"]) == (4, 3, 1)
    assert leaning["instead: outside target"] == leaning["instead: other results"] == 1
