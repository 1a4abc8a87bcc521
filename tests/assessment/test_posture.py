"""Posture of bodies that are bent, shifted and turned by known amounts."""

from __future__ import annotations

import math

import numpy as np
import pytest
import xarray as xr
from analytic import FOREARM, THIGH, TRUNK, UPPER_ARM, fitted, with_step

from mobility import tables
from mobility.assessment.frame_quantities import frames_of
from mobility.assessment.posture import posture
from mobility.errors import BadInputError
from mobility.kinematics.angles import joint_angles
from mobility.kinematics.expected_error import spread_factors
from mobility.provenance import warnings_of

FOOT = 0.05 + 0.18
NAMES = ("heel_rise", "trunk_tibia_difference", "dowel_offset", "lateral_shift", "toe_out")


def at_bottom(metrics, trial):
    return metrics.sel(time=float(trial.truth["bottom"][0]), method="nearest")


def crouched(trial) -> np.ndarray:
    return trial.truth["crouch"].values > 0.99


def moved(pose, rows, names, axis, by):
    """The pose with landmarks displaced, metres, in some frames."""
    changed = pose.copy(deep=True)
    changed["position"].loc[
        {"time": pose["time"][rows], "keypoint": list(names), "space": axis}
    ] += by
    return changed


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


def test_what_says_nothing_is_refused(squat_pose, repetitions_of, monkeypatch):
    """A level foot, seen from the side, pitches by what heel and toe differ in height."""
    trial = squat_pose(reps=1, heading=90.0)
    metrics = frames_of(
        posture, trial.pose.assign_attrs(method="mediapipe_world"), repetitions_of(trial)
    )
    assert metrics["heel_rise"].attrs["note"] == "it is too uncertain in this recording"
    refusals = {w["values"]["quantity"]: w["values"] for w in warnings_of(metrics)}
    assert refusals["heel_rise"]["limit"] == "± 12°"
    for name in ("heel_rise", "heel_rise_sd"):
        assert metrics[name].isnull().all()

    limit = tables.load("measures")["measures"]["heel_rise"]["largest_interval"]
    monkeypatch.setitem(limit, "value", 90.0)
    kept = frames_of(
        posture, trial.pose.assign_attrs(method="mediapipe_world"), repetitions_of(trial)
    )
    # Twice, since the heel in standing errs as well.
    expected = math.degrees(2 * 0.02 / FOOT)
    np.testing.assert_allclose(kept["heel_rise_sd"].median(), expected, rtol=0.12)


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
    assert metrics["heel_rise"].attrs["note"] == "the left heel is hidden from the camera"
    assert metrics["toe_out"].sel(side="left").notnull().any()
    hidden["confidence"].loc[{"keypoint": "right_heel"}] = 0.7
    both = frames_of(posture, fitted(hidden), repetitions_of(trial))["heel_rise"]
    assert both.attrs["note"] == "both heels are hidden from the camera"
    for pose in (hidden, hidden.drop_vars("confidence")):
        assert (
            frames_of(posture, pose, repetitions_of(trial))["heel_rise"].notnull().any("time").all()
        )


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


def test_a_fit_knows_no_stature(squat_pose, repetitions_of):
    """Its draws leave lengths as they are: a share of the stance is added to its error."""
    trial = squat_pose(reps=1)
    metrics = frames_of(posture, fitted(trial.pose), repetitions_of(trial))
    assert float(metrics["stance_width_m_sd"]) == pytest.approx(0.12 * 0.18, rel=0.01)
    assert float(metrics["stance_width_sd"]) == pytest.approx(0.07 * 0.5, rel=0.01)
    assert float(metrics["trunk_tibia_difference_sd"].max()) < 0.01


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


def test_bad_input(squat_pose, repetitions_of):
    trial = squat_pose(reps=1)
    repetitions = repetitions_of(trial)
    with pytest.raises(BadInputError, match="standing"):
        frames_of(posture, trial.pose, repetitions.drop_vars("standing"))
    with pytest.raises(BadInputError, match="same frames"):
        frames_of(posture, trial.pose.isel(time=slice(1, None)), repetitions)


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


def test_where_nobody_stands_after_a_step_nothing_refers_to_standing(stepping):
    metrics = stepping((0, 3.6))
    why = "the feet moved at 3.9 s and nobody stands still after that"
    for name in ("heel_rise", "lateral_shift"):
        assert metrics[name].isel(time=0).notnull().all()
        assert metrics[name].isel(time=slice(1, None)).isnull().all()
        assert metrics[name].attrs["note"] == why
    assert np.isnan(metrics["stance_width"])
    assert metrics["stance_width"].attrs["note"] == why
    assert metrics["toe_out"].notnull().all()
    metrics = stepping((4.2, 12))
    assert metrics["heel_rise"].isel(time=0).isnull().all()
    assert metrics["heel_rise"].isel(time=1).notnull().all()
    assert metrics["heel_rise"].attrs["note"] == (
        "the feet moved at 3.9 s and nobody stands still before that"
    )
    assert "note" not in metrics["stance_width"].attrs
    assert "the person is not seen standing still" in stepping()["heel_rise"].attrs["note"]
