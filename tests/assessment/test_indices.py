"""Indices: their scale by hand, and that none contradicts what the findings say."""

from __future__ import annotations

import json
import math

import pytest
import xarray as xr
from analytic import fitted, squat_pose
from hand_made import GOOD, metrics_of
from hypothesis import given, settings
from hypothesis import strategies as st

from mobility import tables
from mobility.assessment.findings import find
from mobility.assessment.indices import mobility_index, quality_index, score_of
from mobility.base.provenance import history
from mobility.exercises.overhead_squat.exercise import overhead_squat
from mobility.kinematics.angles import joint_angles
from mobility.kinematics.repetitions import find_repetitions

INDICES = {"mobility_index": mobility_index, "quality_index": quality_index}
PARTS = {name: tables.load("indices")[name]["parts"] for name in INDICES}


@pytest.mark.parametrize(
    ("excess", "score"), [(0, 90), (10, 60), (30, 0), (99, 0), (-1.8, 95), (-3.6, 100), (-60, 100)]
)
def test_score_by_hand(excess: float, score: float) -> None:
    assert score_of(excess, 30.0) == pytest.approx(score)


def test_an_index_is_its_worst_part() -> None:
    # The thigh 10 degrees above the horizontal, of 30 that cost everything: 90 (1 - 1/3).
    data = metrics_of({"thigh_elevation": ((10.0, -5.0), (0.01, 0.01))})
    for name, index in INDICES.items():
        score = index(data)
        assert float(score[name]) == pytest.approx(60.0, abs=0.05)
        assert float(score[f"{name}_part_score"][0]) == pytest.approx(60.0, abs=0.05)
        assert float(score[f"{name}_part"][0]) == 10.0
        low, high = score[f"{name}_interval"].values
        assert low < 60 < high
        assert score[name].attrs["version"] == tables.load("indices")[name]["version"]
    assert float(quality_index(metrics_of())["quality_index"]) > 95


def test_the_error_is_that_of_the_draws() -> None:
    data = metrics_of({"thigh_elevation": ((15.0, 15.0), (2.0, 0.001))})
    score = mobility_index(data)
    # Of two sides of which one is known, the lower of N(45, 6) and 45: 45 less 6 / sqrt(2 pi).
    assert float(score["mobility_index"]) == pytest.approx(45 - 6 / math.sqrt(2 * math.pi), abs=0.1)


@pytest.mark.parametrize("name", INDICES)
def test_without_depth_there_is_no_index(name: str) -> None:
    for thigh in (((math.nan,) * 2, (math.nan,) * 2), ((-2.0, -2.0), (9.0, 9.0))):
        score = INDICES[name](metrics_of({"thigh_elevation": thigh}))
        assert math.isnan(float(score[name]))
        assert "depth cannot be judged" in score[name].attrs["note"]
        assert score[f"{name}_interval"].isnull().all()


def test_an_inconclusive_side_leaves_its_part_out_unless_the_other_has_a_fault() -> None:
    """The camera sees both; of the one that it hides the other stands for both."""
    thigh = {"thigh_elevation": ((-20.0, -2.0), (3.0, 9.0))}
    assert math.isnan(float(mobility_index(metrics_of(thigh))["mobility_index"]))
    thigh = {"thigh_elevation": ((20.0, -2.0), (3.0, 9.0))}
    assert float(mobility_index(metrics_of(thigh))["mobility_index"]) < 50
    hidden = metrics_of({"thigh_elevation": ((-20.0, math.nan), (3.0, math.nan))})
    assert math.isnan(float(mobility_index(hidden)["mobility_index"]))
    hidden = hidden.assign_attrs(hidden_side="right")
    assert float(mobility_index(hidden)["mobility_index"]) > 90


def test_an_index_below_90_is_not_said_to_have_a_fault_where_none_is_stated() -> None:
    barely = {"knee_flexion": 127.0, "ankle_dorsiflexion": 37.0, "thigh_elevation": -13.5}
    data = metrics_of({name: ((v, v), (8.0, 8.0)) for name, v in barely.items()})
    assert not [each for each in find(data) if each.result == "outside"]
    assert float(mobility_index(data)["mobility_index"]) < 88
    (line,) = (line for line in tables.load("indices")["scale"]["lines"] if "Below 90" in line)
    assert "may be" in line


def test_what_is_not_told_is_not_in_it_and_too_little_is_no_index() -> None:
    score = quality_index(metrics_of({"arm_fall": (9.0, 30.0)}))
    assert float(score["quality_index_coverage"]) == pytest.approx(5 / 6)
    assert "arms" in json.loads(score["quality_index"].attrs["notes"])
    # Its value is there all the same: nobody has to look for it elsewhere.
    assert float(score["quality_index_part"].sel(quality_part="arms")) == 9.0
    assert score["quality_index_part_score"].sel(quality_part="arms").isnull()
    gone = dict.fromkeys(("arm_fall", "dowel_offset", "heel_rise", "trunk_tibia_difference"))
    few = quality_index(metrics_of(gone))
    assert math.isnan(float(few["quality_index"]))
    assert "only 2 of its 6 parts" in few["quality_index"].attrs["note"]


FAULTS = sorted({RULE["rule"] for parts in PARTS.values() for RULE in parts.values()})
RULES = tables.load("findings")["rules"]


def test_a_borderline_part_counts_and_a_worse_one_never_raises_the_index() -> None:
    indices = []
    for knee in (135.0, 119.0, 117.0, 112.0):
        data = metrics_of({"knee_flexion": ((knee, knee), (2.0, 2.0))})
        score = mobility_index(data)
        assert float(score["mobility_index_coverage"]) == 1
        indices.append(float(score["mobility_index"]))
        if knee in (119.0, 117.0):
            results = {f.result for f in find(data) if f.rule == "knee_flexion_limited"}
            assert results == {"borderline"}
    assert indices == sorted(indices, reverse=True)
    assert indices[1] < 90


def contradicts(data: xr.Dataset) -> list[str]:
    """Name the indices above 90 beside a fault, told, of what they measure."""
    faults = {each.rule for each in find(data) if each.status == "found"}
    return [
        name
        for name, parts in PARTS.items()
        if float(data[name]) > 90 and faults & {part["rule"] for part in parts.values()}
    ]


@given(st.sampled_from(FAULTS), st.floats(-3, 3), st.floats(0.01, 3), st.floats(-3, 3))
@settings(max_examples=20, deadline=None)
def test_no_index_above_90_beside_a_fault_that_it_measures(rule, excess, sd, other) -> None:
    """Whatever the values and their errors, in units of a large excess."""
    entry = RULES[rule]
    all_parts = [part for parts in PARTS.values() for part in parts.values()]
    large = next(part["large"] for part in all_parts if part["rule"] == rule)
    sign = -1 if entry["direction"] == "below" else 1
    values = tuple(entry["threshold"] + sign * large * each for each in (excess, other))
    sided = isinstance(GOOD[entry["metric"]][0], tuple)
    given_ = (values, (sd * large,) * 2) if sided else (values[0], sd * large)
    data = metrics_of({entry["metric"]: given_})
    data = data.assign({k: v for index in INDICES.values() for k, v in index(data).items()})
    assert contradicts(data) == []
    for name in INDICES:
        assert not float(data[name]) < 0
        assert not float(data[name]) > 100


GOOD_SQUAT = {"thigh": -12.0, "tibia": 33.0, "trunk": 30.0, "arm_forward": 0.0, "elbow": 0.0}
CASES = {
    "good": ({}, set()),
    "shallow": ({"thigh": 20.0}, {"depth_not_reached"}),
    "leaning": ({"trunk": 52.0}, {"trunk_leans_forward"}),
    "knees in": ({"toe_out": 20.0, "turn_out": -15.0}, {"knee_inside_foot"}),
    "knees over turned out feet": ({"toe_out": 25.0, "turn_out": 25.0}, set()),
    "arms fallen": ({"arm_forward": 50.0}, {"arms_fall_forward"}),
    "stiff ankles": ({"tibia": 12.0}, {"ankle_dorsiflexion_limited"}),
}


@pytest.mark.parametrize("case", CASES)
def test_squats_of_known_faults_have_those_and_no_index_above_90_beside_them(case: str) -> None:
    changed, there = CASES[case]
    for heading, sd in ((0.0, 0.002), (35.0, 0.01))[: 2 if case in ("good", "knees in") else 1]:
        pose = squat_pose(fps=12, reps=1, **(GOOD_SQUAT | changed), heading=heading).pose
        pose = fitted(pose, sd=sd, draws=12)
        data = overhead_squat(pose, joint_angles(pose), find_repetitions(pose))
        rules = {each.rule for each in find(data) if each.status == "found"}
        assert contradicts(data) == []
        if sd < 0.005:
            assert there <= rules
            assert "knee_inside_foot" not in rules - there
            assert case != "good" or float(data["mobility_index"]) > 85


def test_indices_leave_the_metrics() -> None:
    data = metrics_of()
    before = data.copy(deep=True)
    for name, index in INDICES.items():
        assert history(index(data))[-1]["operation"] == name
    xr.testing.assert_identical(data, before)
