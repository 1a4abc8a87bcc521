"""Posture of bodies that are bent, shifted and turned by known amounts."""

from __future__ import annotations

import math

import numpy as np
import pytest
import xarray as xr
from analytic import FOOT, FOREARM, THIGH, TRUNK, UPPER_ARM, fitted, moved

from mobility.assessment.frame_quantities import frames_of
from mobility.assessment.posture import posture
from mobility.kinematics.angles import joint_angles
from mobility.kinematics.expected_error import spread_factors

NAMES = ("heel_rise", "trunk_tibia_difference", "dowel_offset", "lateral_shift", "toe_out")


def at_bottom(metrics, trial):
    return metrics.sel(time=float(trial.truth["bottom"][0]), method="nearest")


def crouched(trial) -> np.ndarray:
    return trial.truth["crouch"].values > 0.99


def test_nothing_moves_that_was_not_moved(squat_pose, repetitions_of):
    trial = squat_pose(tibia=(25.0, 20.0), thigh=(15.0, -10.0), trunk=35.0, toe_out=(10.0, 25.0))
    metrics = frames_of(posture, trial.pose, repetitions_of(trial))
    bottom = at_bottom(metrics, trial)
    np.testing.assert_allclose(bottom["heel_rise"], 0, atol=1e-6)
    np.testing.assert_allclose(metrics["toe_out"].median("time"), [10, 25], atol=1e-6)
    assert float(bottom["trunk_tibia_difference"]) == pytest.approx(35 - 22.5, abs=1e-3)
    assert float(metrics["stance_width"]) == pytest.approx(0.18 / 0.36, abs=1e-6)
    assert float(metrics["stance_width_m"]) == pytest.approx(0.18, abs=1e-6)


def test_hands_over_the_feet(squat_pose, repetitions_of):
    """The offset of a body of known segments, by hand."""
    trunk, arm, elbow, tibia, thigh = (math.radians(v) for v in (35, 20, 10, 25, 15))
    trial = squat_pose(tibia=25, thigh=15, trunk=35, arm_forward=20, elbow=10)
    hands = (
        TRUNK * math.sin(trunk)
        + UPPER_ARM * math.sin(trunk + arm)
        + FOREARM * math.sin(trunk + arm + elbow)
    )
    ankles = THIGH * math.cos(thigh) - 0.42 * math.sin(tibia)
    expected = (hands - ankles - (0.18 - 0.05) / 2) / FOOT
    metrics = frames_of(posture, trial.pose, repetitions_of(trial))
    assert float(at_bottom(metrics, trial)["dowel_offset"]) == pytest.approx(expected, abs=1e-3)
    # A foot's length backwards, of the hands alone.
    back = moved(trial.pose, slice(None), ["left_wrist", "right_wrist"], "z", -FOOT)
    metrics = frames_of(posture, back, repetitions_of(trial))
    assert float(at_bottom(metrics, trial)["dowel_offset"]) == pytest.approx(expected - 1, abs=1e-3)


def test_a_raised_heel(squat_pose, repetitions_of):
    trial = squat_pose()
    rise = FOOT * math.tan(math.radians(10))
    pose = moved(trial.pose, crouched(trial), ["right_heel"], "y", rise)
    metrics = at_bottom(frames_of(posture, pose, repetitions_of(trial)), trial)
    np.testing.assert_allclose(metrics["heel_rise"], [0, 10], atol=1e-6)
    # Markers of different heights are no rise: what counts is the change from standing.
    high = moved(trial.pose, slice(None), ["right_heel"], "y", rise)
    metrics = frames_of(posture, high, repetitions_of(trial))
    np.testing.assert_allclose(metrics["heel_rise"], 0, atol=1e-6)


def test_hips_that_shift(squat_pose, repetitions_of):
    """To the subject's right, which is on the left of a picture from the front."""
    trial = squat_pose()
    above = [n for n in trial.pose["keypoint"].values if not n.endswith(("ankle", "heel", "index"))]
    pose = moved(trial.pose, crouched(trial), above, "x", -0.25 * 0.18)
    metrics = at_bottom(frames_of(posture, pose, repetitions_of(trial)), trial)
    assert float(metrics["lateral_shift"]) == pytest.approx(0.25, abs=1e-6)
    # Who stands to the right of the feet all the time does not shift.
    pose = moved(trial.pose, slice(None), above, "x", -0.25 * 0.18)
    metrics = frames_of(posture, pose, repetitions_of(trial))
    np.testing.assert_allclose(metrics["lateral_shift"], 0, atol=1e-9)


def test_nothing_depends_on_the_heading(squat_pose, repetitions_of):
    first, *others = (
        frames_of(posture, trial.pose, repetitions_of(trial))
        for heading in (0.0, 55.0, 180.0)
        for trial in [squat_pose(reps=1, fps=15, turn_out=12.0, heading=heading)]
    )
    for second in others:
        for name in (*NAMES, "stance_width", "stance_width_m"):
            np.testing.assert_allclose(first[name], second[name], atol=1e-9, err_msg=name)


def test_what_trunk_and_shanks_err_alike_cancels(squat_pose, repetitions_of):
    """Draws that pitch the whole body, as an error of gravity does."""
    trial = squat_pose(reps=1)
    pose = fitted(trial.pose)
    centre = pose["fit_position"]
    angle = math.radians(4)
    y, z = (centre.sel(fit_space=axis, drop=True) for axis in ("y", "z"))
    forward = xr.concat([0 * y, -angle * z, angle * y], dim="fit_space")
    forward = forward.assign_coords(fit_space=["x", "y", "z"])
    draws = xr.concat([forward, -forward], dim="draw").transpose(*pose["position_draws"].dims)
    pose = pose.assign(position_draws=draws)
    metrics = at_bottom(frames_of(posture, pose, repetitions_of(trial)), trial)
    assert float(metrics["trunk_tibia_difference_sd"]) < 0.05
    assert float(metrics["heel_rise_sd"].max()) < 0.05
    trunk = at_bottom(joint_angles(pose), trial)["trunk_lean_sd"]
    assert float(trunk) == pytest.approx(4.0 * spread_factors(pose)["trunk_lean"], rel=0.02)


def test_missing_landmarks(squat_pose, repetitions_of):
    trial = squat_pose(reps=1, missing={"left_heel": (1.0, 2.0), "right_wrist": (1.0, 2.0)})
    metrics = frames_of(posture, trial.pose, repetitions_of(trial))
    gone = (metrics["time"] > 1.01) & (metrics["time"] < 1.99)
    for name in ("heel_rise", "toe_out"):
        assert metrics[name].sel(side="left").isnull().where(gone, True).all()
        assert metrics[name].sel(side="right").notnull().all()
    assert metrics["dowel_offset"][gone].isnull().all()
    assert metrics["trunk_tibia_difference"].notnull().all()
    empty = squat_pose(reps=1, absent=[(0.0, 60.0)])
    assert frames_of(posture, empty.pose, repetitions_of(empty)).to_dataarray().isnull().all()
    # Who never stands has no reference.
    repetitions = repetitions_of(trial)
    seated = repetitions.assign(standing=xr.zeros_like(repetitions["standing"]))
    metrics = frames_of(posture, squat_pose(reps=1).pose, seated)
    for name in (*NAMES, "stance_width", "stance_width_m"):
        of_standing = name in ("heel_rise", "lateral_shift", "stance_width", "stance_width_m")
        assert metrics[name].isnull().all() if of_standing else metrics[name].notnull().all(), name
