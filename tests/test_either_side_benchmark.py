"""Counting of the results of checks by `benchmarks/either_side.py`, on some made by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mobility import tables

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def benchmark(program):
    return program("either_side")


def judged(there, absent):
    of = {"o": "outside", "m": "met", "i": "inconclusive", "-": "not reported"}
    return pd.DataFrame(
        [{"outside": true, "result": of[each]} for true, each in
         [*((True, each) for each in there), *((False, each) for each in absent)]]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("there", "absent", "stays"),
    [
        ("ooooiiiii---", "mmmmmmmmmm", True),
        ("oooiiiiii---", "mmmmmmmmmm", False),  # a quarter found
        ("oooooooomm", "mmmmmmmmmm", False),  # a fifth denied
        ("oooooooooo", "mmmmmmmmoo", False),  # a fifth found that is not there
        ("ooooooooom", "mmmmmmmmmo", True),  # a tenth of each
    ],
)
def test_a_check_stays_by_the_rule_of_the_grid(benchmark, there, absent, stays):
    assert benchmark.stays(judged(there, absent)) is stays


def test_a_check_with_too_few_people_in_a_view_is_open(benchmark):
    check = benchmark.CHECKS["arms_fall_forward"]
    rows = judged("oooooooo", "mmmmmmmm").assign(person=range(16), view="side")
    assert benchmark.decision(rows, check) == "stays, open"
    both = pd.concat([rows, rows.assign(view="front-oblique")])
    assert benchmark.decision(both, check) == "stays"
    assert benchmark.decision(both.assign(result="met"), check) == "removed"


def test_targets_are_those_of_the_rules_that_are_there(benchmark):
    rules = tables.load("findings")["rules"]
    for name, check in benchmark.CHECKS.items():
        if name in rules:
            rule = rules[name]
            assert check[:4] == (
                *(rule["metric"], rule["direction"], rule["threshold"]),
                rule["margin"]["value"],
            )


@pytest.mark.parametrize(
    ("value", "sd", "expected"),
    [
        *((18.0, 2.0, "outside"), (-18.0, 2.0, "outside"), (0.0, 3.0, "met")),
        *((13.0, 1.0, "borderline"), (9.0, 4.0, "inconclusive"), (np.nan, 2.0, "not reported")),
    ],
)
def test_results_by_hand(benchmark, value, sd, expected):
    check = benchmark.CHECKS["knee_flexion_asymmetry"]
    assert benchmark.result(value, sd, check) == expected


def test_only_clear_truths_in_views_that_count_have_a_row(benchmark):
    sides = {"hip_abduction": ("side", [-6.0, -4.0])}
    zeros = {check.metric: 0.0 for check in benchmark.CHECKS.values()}
    truth = xr.Dataset({**zeros, **sides}, coords={"side": ["left", "right"]})
    metrics = truth.assign({f"{name}_sd": 0.05 + 0 * truth[name] for name in truth})
    rows = pd.DataFrame(benchmark.rows_of(metrics, truth, view="front", person="1"))
    of_hips = rows[rows["check"] == "hip_adduction"]
    assert of_hips[["outside", "result"]].to_numpy().tolist() == [[True, "outside"]]
    assert "arms_fall_forward" not in set(rows["check"])
    assert set(rows.loc[rows["check"] != "hip_adduction", "result"]) == {"met"}
