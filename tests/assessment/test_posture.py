"""Posture of bodies that are bent, shifted and turned by known amounts.

A gross lean of the trunk, as a picture from the front shows it.
"""

from __future__ import annotations

import math

import hand_made
import numpy as np
import pytest
import xarray as xr
from analytic import FOOT, FOREARM, THIGH, TRUNK, UPPER_ARM, fitted, moved, squat_pose

import mobility as mb
from mobility import tables
from mobility.assessment.comments import comments
from mobility.assessment.findings import Finding, find, refused, say_gross
from mobility.assessment.frame_quantities import frames_of
from mobility.assessment.number import GROSS
from mobility.assessment.phases import phase_frames
from mobility.assessment.posture import leans_far_forward, posture, trunk_in_picture
from mobility.assessment.verdict import judge
from mobility.kinematics.angles import joint_angles
from mobility.kinematics.expected_error import spread_factors
from mobility.kinematics.skeleton import landmarks

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


METRIC = "trunk_tibia_difference"


def filmed(pose: xr.Dataset, *, distance_m: float = 3.0, height_m: float = 1.0) -> xr.Dataset:
    """The pose with its picture by a level pinhole camera before the feet, v downwards."""
    across, up, near = (pose["position"].sel(space=axis, drop=True) for axis in "xyz")
    ankles = [f"{side}_ankle" for side in ("left", "right")]
    up, near = (each - each.sel(keypoint=ankles).mean("keypoint") for each in (up, near))
    u = 216 + 500 * across / (distance_m - near)
    v = 288 - 500 * (up - height_m) / (distance_m - near)
    image = xr.concat([u, v], "pixel").assign_coords(pixel=["u", "v"])
    return pose.assign(image_position=image.transpose(*pose["image_position"].dims))


def moments(pose: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Frames of standing and of the bottom, by repetition."""
    frames = phase_frames(mb.find_repetitions(pose))
    return frames.sel(phase="standing").to_numpy(), frames.sel(phase="bottom").to_numpy()


def shows(pose: xr.Dataset) -> bool:
    """Whether the picture shows a gross lean."""
    return leans_far_forward(pose, *moments(pose))


@pytest.mark.parametrize("camera", [{}, {"height_m": 0.7}, {"height_m": 1.4, "distance_m": 4.0}])
def test_a_trunk_that_leans_far_is_seen_from_the_front_and_a_usual_one_is_not(camera) -> None:
    assert shows(filmed(squat_pose(trunk=65.0).pose, **camera))
    assert not shows(filmed(squat_pose(trunk=35.0).pose, **camera))


def test_the_height_of_the_trunk_is_that_of_its_cosine_before_a_far_camera() -> None:
    pose = filmed(squat_pose(trunk=60.0, hold=0.5).pose, distance_m=1000.0)
    standing, bottoms = moments(pose)
    points = landmarks(pose, keypoints=["left_shoulder", "left_hip", "left_ankle"])
    trunk, leg = points[0, 0] - points[0, 1], points[0, 1] - points[0, 2]
    expected = np.cos(np.radians(60)) * np.linalg.norm(trunk) / leg[1]
    assert trunk_in_picture(pose, standing, bottoms) == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize("heading", [45.0, 90.0, 180.0])
def test_other_views_never_show_it(heading) -> None:
    """A camera at the side sees a lean that shortens the trunk just the same."""
    assert not shows(filmed(squat_pose(trunk=65.0, heading=heading).pose))


def test_what_is_not_in_the_picture_shows_nothing() -> None:
    pose = filmed(squat_pose(trunk=65.0).pose)
    standing, bottoms = moments(pose)
    assert not leans_far_forward(pose.drop_vars("image_position"), standing, bottoms)
    assert not leans_far_forward(pose, standing & False, bottoms)
    assert not leans_far_forward(pose, standing, bottoms[:0])
    for joint in ("shoulder", "hip", "ankle"):
        unseen = pose["image_position"].where(pose["keypoint"] != f"left_{joint}")
        assert not shows(pose.assign(image_position=unseen))


def test_metrics_of_a_squat_carry_it() -> None:
    for trunk in (65.0, 35.0):
        pose = filmed(squat_pose(trunk=trunk).pose)
        metrics = mb.overhead_squat(pose, mb.joint_angles(pose), mb.find_repetitions(pose))
        assert (GROSS in metrics[METRIC].attrs) == (trunk > 60)


def checked(value: float, sd: float, *, gross: bool = True) -> Finding:
    """The check of a trunk in whose picture a gross lean is seen, or not."""
    metrics = hand_made.metrics_of({METRIC: (value, sd)})
    if gross:
        metrics[METRIC].attrs[GROSS] = "true"
    (finding,) = (each for each in find(metrics) if each.metric == METRIC)
    return finding


def test_it_is_said_only_beside_an_inconclusive_check_and_without_a_number() -> None:
    told = checked(8.0, 8.0)
    assert (told.result, told.gross) == ("inconclusive", "leans far forward")
    for level in ("participant", "professional"):
        sentence = say_gross(told, level)
        assert "leans far forward" in sentence
        assert not any(letter.isdigit() for letter in sentence)
        assert getattr(told, level).endswith(f" {sentence}")
    assert (told.value, told.probability) == (8.0, checked(8.0, 8.0, gross=False).probability)
    results = {"outside": (40.0, 4.0), "met": (-30.0, 4.0), "borderline": (5.0, 1.0)}
    results |= {"not_reported": (float("nan"), 4.0)}
    for result, number in results.items():
        other = checked(*number)
        assert (other.result, other.gross) == (result, "")
        assert repr(other) == repr(checked(*number, gross=False))  # NaN differs from NaN
    assert checked(8.0, 8.0, gross=False).gross == ""
    assert refused(told, "the light is poor").gross == ""


def test_comments_have_it_for_both_readers() -> None:
    metrics = hand_made.metrics_of({METRIC: (8.0, 8.0)})
    metrics[METRIC].attrs[GROSS] = "true"
    words = tables.load("findings")["rules"]["trunk_leans_forward"]["gross"]
    for level in ("participant", "professional"):
        text = "\n".join(comments(metrics, level=level, verdict=judge([])).values())
        assert words[level] in text
