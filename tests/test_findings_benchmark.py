"""Counting of right and wrong statements by `benchmarks/findings.py`, on some made by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mobility import tables

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def benchmark(program):
    return program("findings")


def judgements(benchmark, outcomes, view="side", item="heel_rise", measure="heel_rise"):
    states = {
        "TP": (True, True), "FN": (True, False), "FP": (False, True), "TN": (False, False),
        "not told": (True, None), "grey": (None, True),
    }  # fmt: skip
    rows = [
        benchmark.Told("NASM", item, measure, view, str(i), *states[o], 0.5, 0.0, 1.0, 0.0)
        for i, o in enumerate(outcomes)
    ]
    assert [row.outcome for row in rows] == outcomes
    return pd.DataFrame([{**row._asdict(), "outcome": row.outcome} for row in rows])


def test_shares_by_hand(benchmark):
    given = ["TP"] * 3 + ["FN"] + ["FP"] * 2 + ["TN"] * 6 + ["not told"] * 4 + ["grey"] * 5
    counted = benchmark.counted(judgements(benchmark, given))
    assert counted["sensitivity"] == pytest.approx(3 / 4)
    assert counted["specificity"] == pytest.approx(6 / 8)
    assert counted["found of all"] == pytest.approx(3 / 8)  # what was not told was there
    assert counted["cleared of all"] == pytest.approx(6 / 8)
    assert counted["not told"] == 4
    assert counted["grey"] == 5


def test_truths_are_judged_by_the_margins_of_the_rules(benchmark):
    """Also those of the criteria: each draws its line where a rule does."""
    criteria = tables.load("criteria")
    for entry in (
        *criteria["fms_deep_squat"]["criteria"].values(),
        *criteria["compensations"]["assessed"].values(),
    ):
        assert benchmark.MARGIN[entry["measure"]] > 0
    margin = tables.load("findings")["rules"]["knee_flexion_limited"]["margin"]["value"]
    assert benchmark.MARGIN["knee_flexion"] == margin
    for off, true in ((1.01, True), (0.99, None), (-1.01, False)):
        value = np.array([120.0 - off * margin])
        assert benchmark.true_or_not(value, 120.0, "below", margin) is true


def test_statements_by_view_by_hand(benchmark):
    given = {
        "side": ["TP", "FN", "not told", "grey"],
        "front": ["TN", "TN", "TP", "FP", "not told", "not told"],
    }
    told = pd.concat([judgements(benchmark, each, view) for view, each in given.items()])
    repeated = told.assign(kind="FMS")
    frame = benchmark.by_view(pd.concat([told.assign(kind="finding"), repeated]))
    rows = frame.set_index("view")
    assert list(rows.index) == ["front", "side", "all"]
    assert rows.loc["front", ["could be made", "made", "right", "wrong"]].tolist() == [6, 4, 3, 1]
    assert rows.loc["side", ["could be made", "made", "right", "wrong"]].tolist() == [3, 2, 1, 1]
    assert rows.loc["all", "right of made"] == pytest.approx(4 / 6)
    text = benchmark.with_record(
        benchmark.views_markdown(frame), benchmark.TABLE.read_text(encoding="utf-8")
    )
    assert "| front | 6 | 6 | 6 | 4 | 67% | 3 | 1 | 75.0% (0.19 to 0.99) |" in text
    assert text.index("## By view") < text.index(benchmark.EARLIER)
