"""What a trial looks like that is no overhead squat: places of the arms, and sitting on a chair."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import xarray as xr

from mobility.assessment.looks_like import falls, place_of_arms, sits, support_of_hands
from mobility.assessment.phases import phase_frames
from mobility.assessment.verdict import judge
from mobility.base.provenance import AnalysisWarning, warnings_of
from mobility.exercises.overhead_squat.exercise import overhead_squat
from mobility.kinematics.angles import joint_angles
from mobility.kinematics.repetitions import find_repetitions

DEEP = {"tibia": 30.0, "thigh": 10.0, "trunk": 35.0}

UPPER = ("shoulder", "elbow", "wrist", "ear", "nose", "eye", "mouth", "pinky", "index", "thumb")


def bottoms(pose: xr.Dataset) -> np.ndarray:
    return phase_frames(find_repetitions(pose)).sel(phase="bottom").to_numpy()


def leaning_while_low(pose: xr.Dataset, degrees: float) -> xr.Dataset:
    """Lean the upper body forward about the hips, there and back, while the hips are lowest."""
    moved = pose.copy(deep=True)
    names = [str(name) for name in pose["keypoint"].values if any(part in name for part in UPPER)]
    names = [name for name in names if "foot" not in name]
    hips = pose["position"].sel(keypoint=["left_hip", "right_hip"]).mean("keypoint")
    lean = np.zeros(pose.sizes["time"])
    for frames in bottoms(pose):
        lean[frames] = np.radians(degrees) * np.sin(np.linspace(0, np.pi, frames.sum()))
    c, s = (xr.DataArray(f(lean), dims="time") for f in (np.cos, np.sin))
    y, z = (
        (pose["position"] - hips).sel(keypoint=names).sel(space=["y", "z"]).transpose("space", ...)
    )
    turned = {"y": c * y - s * z, "z": s * y + c * z}
    for space, values in turned.items():
        at = {"space": space, "keypoint": names}
        moved["position"].loc[at] = (values + hips.sel(space=space)).transpose(
            *moved["position"].loc[at].dims
        )
    return moved


@pytest.fixture
def chair_rise(squat_pose: Callable[..., Any]) -> Callable[..., xr.Dataset]:
    """Sitting down on a chair and standing up: shanks and thighs at right angles, trunk upright."""

    def make(*, lean: float = 25.0, **changed: Any) -> xr.Dataset:
        seat = {"tibia": 2.0, "thigh": 0.0, "trunk": 10.0, "hold": 1.5, "arm_forward": 165.0}
        return leaning_while_low(squat_pose(**{**seat, **changed}).pose, lean)

    return make


@pytest.mark.parametrize(
    ("shown", "place"),
    [
        ({"arm_forward": 145.0}, "down"),
        ({"arm_forward": 60.0}, "front"),
        ({"arm_forward": 110.0, "elbow": -120.0}, "chest"),
        ({"arm_forward": 10.0}, ""),  # overhead
        ({"arm_forward": 95.0}, ""),  # between hanging and in front
    ],
)
def test_where_both_arms_are_at_the_bottom(squat_pose, shown, place) -> None:
    for heading in (0.0, 60.0, 90.0):
        pose = squat_pose(heading=heading, **shown).pose
        assert place_of_arms(pose, bottoms(pose)) == place
    assert place_of_arms(pose, bottoms(pose)[:0]) == ""


def test_arms_that_are_not_seen_or_differ_are_not_named(squat_pose) -> None:
    pose = squat_pose(arm_forward=60.0).pose.copy(deep=True)
    gone = pose.copy(deep=True)
    gone["position"].loc[{"keypoint": "left_wrist"}] = np.nan
    hanging = squat_pose(arm_forward=145.0).pose
    for name in ("right_elbow", "right_wrist"):
        pose["position"].loc[{"keypoint": name}] = hanging["position"].sel(keypoint=name)
    for each in (gone, pose):
        assert place_of_arms(each, bottoms(each)) == ""


def test_who_sits_down_and_leans_before_rising_sits(chair_rise) -> None:
    whole = chair_rise(reps=2)
    # Also if the trial begins or ends on the chair.
    for pose in (whole, whole.isel(time=slice(75, None)), whole.isel(time=slice(None, 95))):
        assert sits(pose, bottoms(pose))
    for heading in (0.0, 90.0):
        upright = chair_rise(heading=heading, lean=0.0)
        assert not sits(upright, bottoms(upright))  # the trunk does not move


@pytest.mark.parametrize(
    "shown",
    [
        {},
        {"tibia": 30.0, "thigh": -15.0, "trunk": 40.0},
        {"tibia": 15.0, "thigh": 20.0, "trunk": 45.0, "hold": 1.5},
    ],
)
def test_who_squats_does_not_sit_even_if_the_trunk_moves(squat_pose, shown) -> None:
    pose = squat_pose(**shown).pose
    for each in (pose, leaning_while_low(pose, 12.0)):
        assert not sits(each, bottoms(each))
    assert not sits(pose, bottoms(pose)[:0])


def test_a_body_that_would_fall_was_not_measured(squat_pose) -> None:
    """Shins far forward below straight thighs and a bent trunk: hips that were put too high."""
    fallen = squat_pose(tibia=45.0, thigh=75.0, trunk=40.0, hold=0.5).pose
    assert falls(fallen, bottoms(fallen))
    verdict = of(fallen)
    assert verdict.level == "unusable"
    assert "off balance" in verdict.why
    assert "findings" in verdict.rules_out
    deep = squat_pose(tibia=35.0, thigh=0.0, trunk=45.0).pose
    assert not falls(deep, bottoms(deep))
    assert not falls(deep, bottoms(deep)[:0])


def of(pose: xr.Dataset) -> Any:
    """Verdict on a pose whose recording is good."""
    repetitions = find_repetitions(pose)
    metrics = overhead_squat(pose, joint_angles(pose), repetitions)
    warned = [AnalysisWarning(**each) for each in warnings_of(metrics)]
    return judge(warned, {"light": {"verdict": "ok", "advice": None}}, metrics)


def within(pose: xr.Dataset) -> np.ndarray:
    found = find_repetitions(pose)
    inside = (found["time"] >= found["start"]) & (found["time"] <= found["end"])
    return inside.transpose("rep", "time").to_numpy()


def with_wrist(pose: xr.Dataset, place: xr.DataArray) -> xr.Dataset:
    changed = pose.copy(deep=True)
    at = {"keypoint": "left_wrist"}
    changed["image_position"].loc[at] = place.transpose(
        *changed["image_position"].loc[at].dims
    ).to_numpy()
    return changed


def landmark_in(pose: xr.Dataset, name: str) -> xr.DataArray:
    return pose["image_position"].sel(keypoint=name, drop=True)


@pytest.mark.parametrize("heading", [0.0, 50.0, 90.0])
def test_a_hand_that_stays_while_the_body_moves_holds_on(squat_pose, heading) -> None:
    pose = squat_pose(**DEEP, heading=heading, arm_forward=60.0, reps=2).pose
    assert support_of_hands(pose, within(pose)) == ""
    first = landmark_in(pose, "left_wrist").isel(time=0, drop=True)
    still = xr.zeros_like(landmark_in(pose, "left_wrist")) + first
    held = with_wrist(pose, still)
    assert support_of_hands(held, within(pose)) == "held"
    # Half of the repetitions are enough; a hand that is not seen shows nothing.
    once = held.copy(deep=True)
    free = ~within(pose)[0]
    once["image_position"][free] = pose["image_position"][free]
    assert support_of_hands(once, within(pose)) == "held"
    unseen = held.assign(confidence=held["confidence"] * 0.3)
    assert support_of_hands(unseen, within(pose)) == ""
    assert support_of_hands(held, within(pose)[:0]) == ""


def test_a_hand_that_slides_along_a_rail_holds_on(squat_pose) -> None:
    """It is away from the body, and follows the shoulder by half of its way."""
    pose = squat_pose(**DEEP, heading=90.0, arm_forward=60.0).pose
    shoulder = landmark_in(pose, "left_shoulder")
    on_rail = shoulder.isel(time=0, drop=True) + 0.5 * (shoulder - shoulder.isel(time=0, drop=True))
    hip = landmark_in(pose, "left_hip").isel(time=0, drop=True)
    trunk = float(((shoulder.isel(time=0, drop=True) - hip) ** 2).sum("pixel").max() ** 0.5)
    on_rail.loc[{"pixel": "u"}] = shoulder.sel(pixel="u").isel(time=0) + 1.2 * trunk
    assert support_of_hands(with_wrist(pose, on_rail), within(pose)) == "held"


def test_a_hand_at_one_place_of_the_thigh_rests_there(squat_pose) -> None:
    pose = squat_pose(**DEEP, heading=50.0, arm_forward=60.0).pose
    hip, knee = (landmark_in(pose, f"left_{name}") for name in ("hip", "knee"))
    assert support_of_hands(with_wrist(pose, hip + 0.9 * (knee - hip)), within(pose)) == "on_legs"


@pytest.mark.parametrize(
    "shown",
    [{}, {"arm_forward": 60.0}, {"arm_forward": 145.0}, {"arm_forward": 110.0, "elbow": -120.0}],
)
@pytest.mark.parametrize("heading", [0.0, 50.0, 90.0])
def test_free_arms_do_not_hold_on(squat_pose, shown, heading) -> None:
    pose = squat_pose(**DEEP, heading=heading, **shown).pose
    assert support_of_hands(pose, within(pose)) == ""
    measured = overhead_squat(pose, joint_angles(pose), find_repetitions(pose))
    assert "hands_support" not in {each["code"] for each in warnings_of(measured)}


@pytest.mark.parametrize("kind", ["held", "on_legs"])
def test_with_support_no_check_is_reported(kind) -> None:
    verdict = judge([AnalysisWarning("hands_support", "", {kind: True})])
    assert verdict.level == "limited"
    assert "findings" in verdict.rules_out
    assert ("thigh" in verdict.why) == (kind == "on_legs")
