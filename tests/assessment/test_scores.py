"""Indices, criteria and compensations as part of the metrics of a squat."""

from __future__ import annotations

import math

import pytest

from mobility import provenance
from mobility.assessment.overhead_squat import overhead_squat
from mobility.kinematics.angles import joint_angles
from mobility.kinematics.repetitions import find_repetitions


@pytest.fixture(scope="module")
def metrics(squat_pose):
    """Metrics of a squat with thighs level and trunk parallel to the shanks, facing the camera."""
    pose = squat_pose(reps=3).pose.assign_attrs(method="truth")
    return overhead_squat(pose, joint_angles(pose), find_repetitions(pose))


def test_metrics_have_them_and_the_history_says_so(metrics):
    for name in (
        *("mobility_index", "mobility_index_interval", "mobility_index_part_score"),
        *("mobility_index_coverage", "quality_index", "quality_index_interval"),
        *("quality_index_coverage", "fms_probability", "compensation_probability"),
    ):
        assert {"units", "long_name", "group", "statistic", "reference"} <= set(metrics[name].attrs)
    operations = [entry["operation"] for entry in provenance.history(metrics)]
    assert operations[-5:] == [
        *("mobility_index", "quality_index", "fms_deep_squat", "compensations", "overhead_squat")
    ]


def test_mobility_index_is_that_of_the_worst_angle_beside_it(metrics):
    scores = metrics["mobility_index_part_score"]
    assert float(metrics["mobility_index"]) <= float(scores.min()) + 1e-9
    # Known positions: hardly any error, and the interval is narrow.
    lower, upper = metrics["mobility_index_interval"].values
    assert upper - lower < 2
    assert lower - 0.5 <= float(metrics["mobility_index"]) <= upper + 0.5


def test_femur_is_judged_by_the_thighs(metrics):
    thigh = float(metrics["thigh_elevation"].max())
    met = float(metrics["fms_probability"].sel(fms_criterion="femur"))
    assert met == pytest.approx(1.0 if thigh < -1 else 0.0, abs=1e-3) or abs(thigh) < 1


def test_squat_without_repetition_has_no_index_and_no_verdict(squat_pose):
    pose = squat_pose(reps=0).pose
    found = overhead_squat(pose, joint_angles(pose), find_repetitions(pose))
    assert math.isnan(float(found["mobility_index"]))
    assert math.isnan(float(found["quality_index"]))
    assert found["fms_probability"].isnull().all()
    assert found["fms_probability"].attrs["verdict"] == "cannot be told"
    assert found["compensation_probability"].isnull().all()
