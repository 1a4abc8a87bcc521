"""Counting of right and wrong statements by `benchmarks/findings.py`, on some made by hand."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hand_made import metrics_of

from mobility import tables
from mobility.assessment.criteria import compensations, fms_deep_squat
from mobility.errors import BadInputError
from mobility.virtual_lab.grid import grid_cases, read_grid

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def benchmark(program):
    return program("findings")


@pytest.mark.parametrize(
    ("value", "threshold", "side", "true"),
    [
        ([10.0, -5.0], 4, "above", True),
        ([5.0, 0.0], 4, "above", None),  # within the margin
        ([-3.0, 0.0], 4, "above", False),
        ([-0.9], 0.5, "outside", True),
        ([0.2, -0.2], 2.5, "outside", False),
        ([-0.5, 5.0], 1.5, "below", True),
        ([5.0, 6.0], 1, "below", False),
        ([np.nan, 20.0], 4, "above", None),
    ],
)
def test_truth_close_to_a_threshold_is_neither(benchmark, value, threshold, side, true):
    margin = 0.3 if side == "outside" and threshold == 0.5 else 1.9
    assert benchmark.true_or_not(np.array(value), threshold, side, margin) is true


def told(benchmark, outcomes, view="side", item="heel_rise", measure="heel_rise"):
    said = {
        "TP": (True, True), "FN": (True, False), "FP": (False, True), "TN": (False, False),
        "not told": (True, None), "grey": (None, True),
    }  # fmt: skip
    rows = [
        benchmark.Told("NASM", item, measure, view, str(i), *said[o], 0.5, 0.0, 1.0, 0.0)
        for i, o in enumerate(outcomes)
    ]
    assert [row.outcome for row in rows] == outcomes
    return pd.DataFrame([{**row._asdict(), "outcome": row.outcome} for row in rows])


def test_shares_by_hand(benchmark):
    given = ["TP"] * 3 + ["FN"] + ["FP"] * 2 + ["TN"] * 6 + ["not told"] * 4 + ["grey"] * 5
    counted = benchmark.counted(told(benchmark, given))
    assert counted["sensitivity"] == pytest.approx(3 / 4)
    assert counted["specificity"] == pytest.approx(6 / 8)
    assert counted["found of all"] == pytest.approx(3 / 8)  # what was not told was there
    assert counted["cleared of all"] == pytest.approx(6 / 8)
    assert counted["not told"] == 4
    assert counted["grey"] == 5


def test_every_criterion_compensation_and_rule_has_a_margin(benchmark):
    limits = {}
    for name, dataset in (
        ("fms_probability", fms_deep_squat(metrics_of())),
        ("compensation_probability", compensations(metrics_of())),
    ):
        limits |= json.loads(dataset[name].attrs["thresholds"])
    measures = {limit["measure"] for limit in limits.values()}
    rules = tables.load("findings")["rules"]
    # Of the variability and the smoothness of a rendered squat nobody knows the truth.
    untold = {"knee_flexion_variability", "smoothness_sparc"}
    measures |= {rule["metric"] for rule in rules.values()} - untold
    assert measures == set(benchmark.MARGIN)


def test_cases_that_cannot_be_done_are_left_out_but_not_many(benchmark, tmp_path):
    grid, cache = tmp_path / "grid.yaml", tmp_path / "cache"
    grid.write_text(f"axes: {{camera.azimuth: {list(range(20))}}}\n")
    folders = [benchmark.case_folder(cache, case) for case in grid_cases(read_grid(grid))]
    for folder in folders[2:]:
        folder.mkdir(parents=True)
        (folder / "pose.nc").touch()
    assert [f.name for f in benchmark.folders([grid], cache)] == [f.name for f in folders[2:]]
    (folders[2] / "pose.nc").unlink()
    with pytest.raises(BadInputError, match=r"cache has 17 of 20 cases of grid\.yaml"):
        benchmark.folders([grid], cache)
