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
    assert text.index("## By view") < text.index(benchmark.BY_HAND)


def test_answers_by_hand(benchmark):
    """Of the four answers within and beyond the margin of 5; what is hidden was not shown."""
    cases = [  # view, answer, how far the true value is beyond the limit, probability of the fault
        ("front", "outside", 6.0, 0.97), ("front", "outside", 1.0, 0.93),
        ("front", "outside", -1.0, 0.91),
        ("front", "met", -6.0, 0.04), ("front", "met", 2.0, 0.15),
        ("front", "borderline", 4.0, 0.55), ("front", "borderline", -6.0, 0.55),
        ("front", "inconclusive", 3.0, 0.7),
        ("side", "met", -9.0, 0.01), ("side", "not_visible", 3.0, None),
        ("side", "not_reported", 3.0, None),
        ("side", "met", np.nan, 0.01),
    ]  # fmt: skip
    rows = pd.DataFrame(
        [
            {
                "view": view,
                "result": answer,
                "beyond": beyond,
                "probability": p,
                "margin": 5.0,
                "rule": "heel_rise",
                "z": 2.0,
                "wrong expected": 0.1 if answer != "inconclusive" else 0.0,
            }
            for view, answer, beyond, p in cases
        ]
    )
    frame = benchmark.results_table(rows).set_index("view")
    assert list(frame.index) == ["front", "side", "all"]
    front, side = frame.loc["front"], frame.loc["side"]
    counts = ["asked", "shown", "outside", "met", "borderline", "inconclusive"]
    assert front[counts].tolist() == [8, 8, 3, 2, 2, 1]
    assert side[counts].tolist() == [3, 1, 0, 1, 0, 0]
    assert front["decided of shown"] == pytest.approx(7 / 8)
    assert front["right"] == pytest.approx(4 / 7)
    assert front["right, clear truth"] == pytest.approx(3 / 4)
    assert front[["right: outside", "right: met", "right: borderline"]].tolist() == pytest.approx(
        [2 / 3, 1 / 2, 1 / 2]
    )
    assert np.isnan(side["right: outside"])
    bins = benchmark.bins_table(rows)
    assert bins["values"].tolist() == [2, 1, 2, 1, 3]
    assert bins["came true"].tolist() == pytest.approx([0, 1, 0.5, 1, 2 / 3])
    assert bins["said"].tolist() == pytest.approx([0.025, 0.15, 0.55, 0.7, 2.81 / 3])
    wrong = benchmark.wrong_table(rows).set_index("view")
    # Of a Poisson distribution of mean 0.7: P(N <= 2) = 0.966, P(N <= 3) = 0.994.
    assert wrong.loc["front"].tolist() == [7, 0.7, 3, "0 and 3"]
    assert wrong.loc["all"].tolist() == [8, 0.8, 3, "0 and 3"]
    doubtful = benchmark.doubtful_table(rows.assign(probability=0.3))
    assert doubtful.loc[0, ["rule", "values", "there", "z"]].tolist() == ["heel_rise", 11, 7, 2.0]
    assert doubtful.loc[0, "said"] == pytest.approx(3.3)
    # The base rate, 3 of 4, has a Brier score of 3/16; 0.9, 0.9, 0.9, 0.3 of them have 0.03.
    said = pd.DataFrame({"rule": "heel_rise", "probability": [0.9, 0.9, 0.9, 0.3]})
    skill = benchmark.skill_table(said.assign(beyond=[1.0, 2.0, 3.0, -1.0]))
    assert skill.loc[0, ["values", "there"]].tolist() == [4, 3]
    assert skill.loc[0, "skill"] == pytest.approx(1 - 0.03 / (3 / 16))
    always = benchmark.skill_table(said.assign(beyond=1.0))
    assert np.isnan(always.loc[0, "skill"])
    text = benchmark.results_markdown(rows)
    assert (
        "| front | 8 | 8 | 3 | 2 | 2 | 1 | 88% | 57% (0.18 to 0.90) | 75% | 67% | 50% | 50% |"
        in text
    )
    assert (
        "| side | 3 | 1 | 0 | 1 | 0 | 0 | 100% | 100% (0.03 to 1.00) | 100% | – | 100% | – |"
        in text
    )
    assert "| 0.94 | 0.67 | 3 |" in text
    assert text.index("## Results") < text.index("## What was said and what came true")
