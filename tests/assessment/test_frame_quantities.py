"""Quantities of the frames: their errors, and why they are refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import xarray as xr
from analytic import FOOT, fitted, moved, with_step

from mobility.assessment.body_axes import median_of
from mobility.assessment.frame_quantities import frame_quantities, frames_of
from mobility.assessment.kernels import of_points
from mobility.assessment.posture import posture
from mobility.base.provenance import history, with_history
from mobility.errors import BadInputError
from mobility.kinematics.skeleton import FEET


@of_points("hip", "ankle")
def hips(points: Any, standing: Any, limits: Any) -> dict[str, np.ndarray]:
    """Height of the hips against that in standing."""
    high = (points["hip"] - points["ankle"])[..., 1]
    return {"lowered": median_of((standing["hip"] - standing["ankle"])[..., 1]) - high}


LIMITED = {"largest_interval": {"value": 0.01}}
SHARE = {"units": "1", "percent": True, "of": " of the leg"}
UNCERTAIN = "it is too uncertain in this recording"


@pytest.mark.parametrize(
    ("declared", "note", "limit"),
    [
        ({}, "", ""),
        (LIMITED, UNCERTAIN, "± 0.01°"),
        (LIMITED | SHARE, UNCERTAIN, "± 1 % of the leg"),
        (LIMITED | {"seldom": "left out"}, UNCERTAIN, ""),
        ({"seldom": "left out deep down"}, "left out deep down", ""),
        ({"frontal": True}, "the camera is at the side, so one leg hides the other", ""),
        ({"against": "standing"}, "the person does not stand still before a repetition", ""),
    ],
)
def test_a_declaration_says_when_its_quantity_is_refused(
    squat_pose, repetitions_of, declared, note, limit
):
    trial = squat_pose(reps=1, heading=90.0 if "frontal" in declared else 0.0)
    repetitions = repetitions_of(trial)
    repetitions["standing"] = repetitions["standing"] & ("against" not in declared)
    entries = {"toe_out": {"from": "hips.lowered", "long_name": "depth"} | declared}
    pose = trial.pose.assign_attrs(method="mediapipe_world")
    made, warnings = frame_quantities(pose, repetitions, hips, entries, limits={})
    value = made["toe_out"]
    assert value.attrs.get("note", "") == note
    assert [each["values"]["limit"] for each in warnings] == [limit] * bool(limit)
    assert bool(value.notnull().all()) is (note in ("", "left out deep down"))
    if not note:
        lowered = 1 - float(trial.truth["hip_height"].min())
        assert float(value.max()) == pytest.approx(0.84 * lowered, abs=0.01)


def test_the_history_of_both_inputs_is_kept_once(squat_pose, repetitions_of):
    trial = squat_pose(reps=1)
    pose = with_history(fitted(trial.pose), "fit", {})
    repetitions = repetitions_of(trial).assign_attrs(history=pose.attrs["history"])
    made = frames_of(posture, pose, with_history(repetitions, "repetitions", {}))
    steps = [entry["operation"] for entry in history(made)]
    assert steps[-3:] == ["fit", "repetitions", "posture"]
    assert steps.count("fit") == 1


def test_a_heel_that_the_camera_hardly_sees_is_refused(squat_pose, repetitions_of):
    """The fit lets it stay on the floor, whatever it does; a lab's heel is no landmark."""
    trial = squat_pose(reps=1)
    hidden = trial.pose.copy(deep=True)
    hidden["confidence"] = xr.full_like(hidden["position"].isel(space=0, drop=True), 0.97)
    hidden["confidence"].loc[{"keypoint": "left_heel"}] = 0.7
    metrics = frames_of(posture, fitted(hidden), repetitions_of(trial))
    assert metrics["heel_rise"].sel(side="left").isnull().all()
    assert metrics["heel_rise_sd"].sel(side="left").isnull().all()
    assert metrics["heel_rise"].sel(side="right").notnull().any()
    assert metrics["heel_rise"].attrs["note"] == "this view does not show the left heel well enough"
    assert metrics["toe_out"].sel(side="left").notnull().any()
    hidden["confidence"].loc[{"keypoint": "right_heel"}] = 0.7
    both = frames_of(posture, fitted(hidden), repetitions_of(trial))["heel_rise"]
    assert both.attrs["note"] == "this view does not show the heels well enough"
    for pose in (hidden, hidden.drop_vars("confidence")):
        assert (
            frames_of(posture, pose, repetitions_of(trial))["heel_rise"].notnull().any("time").all()
        )


def test_keypoints_without_feet_are_the_reason(squat_pose, repetitions_of):
    trial = squat_pose(reps=1)
    pose = trial.pose.copy(deep=True)
    pose["confidence"] = xr.full_like(pose["position"].isel(space=0, drop=True), 0.97)
    for name in FEET:
        pose["position"].loc[{"keypoint": name}] = np.nan
        pose["confidence"].loc[{"keypoint": name}] = np.nan
    metrics = frames_of(posture, fitted(pose), repetitions_of(trial))
    why = "these keypoints have no heels and toes"
    for name in ("heel_rise", "toe_out"):
        assert metrics[name].isnull().all()
        assert metrics[name].attrs["note"] == why
    assert metrics["lateral_shift"].attrs.get("note") != why


def test_a_fit_knows_no_stature(squat_pose, repetitions_of):
    """Its draws leave lengths as they are: a share of the stance is added to its error."""
    trial = squat_pose(reps=1)
    metrics = frames_of(posture, fitted(trial.pose), repetitions_of(trial))
    assert float(metrics["stance_width_m_sd"]) == pytest.approx(0.12 * 0.18, rel=0.01)
    assert float(metrics["stance_width_sd"]) == pytest.approx(0.07 * 0.5, rel=0.01)
    assert float(metrics["trunk_tibia_difference_sd"].max()) < 0.01


@pytest.fixture
def stepping(squat_pose, repetitions_of):
    """Squats of someone who steps before the second; the camera then sees the right heel higher.

    Between the times the person stands still, or does not.
    """
    trial = squat_pose()
    raised = trial.pose["time"].to_numpy() > 3.9
    rise = FOOT * math.tan(math.radians(10))
    pose = moved(trial.pose, raised, ["right_heel"], "y", rise)
    pose = moved(pose, raised, ["left_hip", "right_hip"], "x", -0.02)
    pose = fitted(with_step(pose, 3.6, 4.2, forward=0.2, wider=0.1))

    def measured(*still: tuple[float, float]):
        repetitions = repetitions_of(trial)
        time = repetitions["time"]
        stands = sum((time >= first) & (time <= last) for first, last in still) > 0
        stands = repetitions["standing"] & stands & ~((time > 3.6) & (time < 4.2))
        repetitions = repetitions.assign(standing=stands).assign_attrs(
            history=pose.attrs["history"]
        )
        return frames_of(posture, pose, repetitions).sel(
            time=trial.truth["bottom"].to_numpy(), method="nearest"
        )

    return measured


def test_what_refers_to_standing_refers_to_where_the_feet_were(stepping):
    metrics = stepping((0, 12))
    np.testing.assert_allclose(metrics["heel_rise"], 0, atol=1e-6)
    np.testing.assert_allclose(metrics["lateral_shift"], 0, atol=1e-6)
    # The stance is that of most of the squats.
    assert float(metrics["stance_width_m"]) == pytest.approx(0.18 + 0.1, abs=1e-6)
    assert "note" not in metrics["heel_rise"].attrs


@pytest.mark.parametrize(
    ("still", "where", "of_all"),
    [((0, 3.6), [True, False, False], False), ((4.2, 12), [False, True, True], True)],
)
def test_where_nobody_stands_beside_a_step_nothing_refers_to_standing(
    stepping, still, where, of_all
):
    metrics = stepping(still)
    beside = "before" if of_all else "after"
    why = f"the feet moved at 3.9 s and the person does not stand still {beside} that"
    for name in ("heel_rise", "lateral_shift"):
        there = metrics[name].notnull()
        assert (there.all("side") if "side" in there.dims else there).values.tolist() == where
        assert metrics[name].attrs["note"] == why
    assert metrics["stance_width"].attrs.get("note", "") == ("" if of_all else why)
    assert bool(metrics["stance_width"].notnull()) is of_all
    assert metrics["toe_out"].notnull().all()


def test_bad_input(squat_pose, repetitions_of):
    trial = squat_pose(reps=1)
    pose, repetitions = trial.pose, repetitions_of(trial)
    for one, other, why in (
        (pose, repetitions.drop_vars("standing"), "standing"),
        (pose.isel(time=slice(1, None)), repetitions, "frames, but the pose has"),
        (repetitions, repetitions, "position"),
    ):
        with pytest.raises(BadInputError, match=why):
            frames_of(posture, one, other)
