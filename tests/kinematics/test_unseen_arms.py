"""Arms whose forearm crosses the trunk in the picture, or points at the camera."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from analytic import fitted, pose_dataset

import mobility as mb
from mobility import tables
from mobility.base.provenance import warnings_of
from mobility.kinematics import angles as angles_module
from mobility.kinematics.angles import joint_angles
from mobility.kinematics.skeleton import INDEX
from mobility.kinematics.unseen_arms import unseen_arms
from mobility.sessions.files import read_dataset

FOCAL, SIZE, HEIGHT, AWAY = 1000.0, (800, 1200), 1.2, 3.0
ACROSS, AT = "across_trunk", "at_camera"
TIME = np.arange(8) / 10

HANGING = ((0.30, 1.10, 0.0), (0.30, 0.85, 0.0))
FOLDED = ((0.25, 1.10, 0.15), (-0.05, 1.15, 0.25))
"""Elbow and wrist of the left arm, metres: outwards, up and forwards; shoulder at (0.2, 1.4, 0)."""

FORWARD = ((0.22, 1.15, 0.1), (0.22, 1.15, 0.35))
OVERHEAD = ((0.22, 1.65, 0.0), (0.22, 1.9, 0.0))
BESIDE = ((0.13, 1.12, 0.05), (0.11, 0.95, 0.05))
"""A forearm that hangs before the trunk, along it."""


def body(
    left: tuple[Any, Any],
    right: tuple[Any, Any] = HANGING,
    *,
    turn: float = 0.0,
    pitch: float = 0.0,
    cameras: list[dict[str, Any]] | None = None,
) -> xr.Dataset:
    """A fitted body that stands 3 m before a camera of known height and pitch, turned to its left.

    The picture is that of the body itself.
    """
    places: dict[str, tuple[float, float, float]] = {}
    for side, sign, (elbow, wrist) in (("left", 1.0, left), ("right", -1.0, right)):
        own = {
            **{"shoulder": (0.2, 1.4, 0.0), "hip": (0.12, 0.9, 0.0), "knee": (0.12, 0.5, 0.02)},
            **{"ankle": (0.12, 0.1, 0.0), "heel": (0.12, 0.03, -0.05)},
            **{"foot_index": (0.12, 0.03, 0.15), "elbow": elbow, "wrist": wrist},
        }
        places |= {f"{side}_{name}": (sign * x, y, z) for name, (x, y, z) in own.items()}
    points = np.full((TIME.size, 33, 3), np.nan)
    angle, tilt = np.radians(turn), np.radians(pitch)
    about = np.array(
        [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
    )
    for name, place in places.items():
        points[:, INDEX[name]] = about @ place
    # Axes of a camera that looks down by the pitch: up against gravity is (0, cos, sin) in them.
    to_camera = np.array(
        [[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]]
    )
    seen = (points - [0.0, HEIGHT, AWAY]) @ to_camera.T
    image = np.array(SIZE) / 2 + FOCAL * seen[..., :2] / -seen[..., 2:] * [1.0, -1.0]
    pose = pose_dataset(
        TIME, position=points.transpose(0, 2, 1), image_position=image.transpose(0, 2, 1)
    )
    entry = {"operation": "fit_body", "camera_pitch_deg": pitch, "camera_roll_deg": 0.0}
    entry |= {"focal_length_px": FOCAL} | ({"cameras": cameras} if cameras else {})
    return fitted(pose, sd=0.001).assign_attrs(
        image_width=SIZE[0], image_height=SIZE[1], history=json.dumps([entry])
    )


def held(pose: xr.Dataset, angle: str = "elbow_flexion") -> dict[str, list[bool]]:
    """Of each rule, whether it withholds an angle of the left and the right arm, in all frames."""
    masks = unseen_arms(pose)[angle]
    assert all((mask == mask[0]).all() for mask in masks.values())
    return {rule: mask[0].tolist() for rule, mask in masks.items()}


NONE = {ACROSS: [False, False], AT: [False, False]}


@pytest.mark.parametrize("pitch", [0.0, 12.0])
@pytest.mark.parametrize("arm", [HANGING, OVERHEAD, BESIDE])
def test_an_arm_that_hangs_or_is_overhead_is_measured(arm: Any, pitch: float) -> None:
    assert held(body(arm, pitch=pitch)) == NONE
    angles = joint_angles(body(arm, pitch=pitch))
    for name in ("elbow_flexion", "shoulder_flexion", "arm_fall"):
        assert angles[name].notnull().all()
        assert "refused" not in angles[name].attrs
    assert warnings_of(angles) == []


def test_an_arm_across_the_trunk_has_no_elbow_and_keeps_its_shoulder() -> None:
    assert held(body(FOLDED)) == {ACROSS: [True, False], AT: [False, False]}
    angles = joint_angles(body(FOLDED))
    for name in ("elbow_flexion", "elbow_flexion_sd"):
        assert angles[name].isnull().all("time").values.tolist() == [True, False]
    assert angles["arm_fall"].isnull().all()
    assert angles["shoulder_flexion"].notnull().all()
    why = tables.sentence(f"reasons.unseen_arm.{ACROSS}")
    assert angles["elbow_flexion"].attrs["refused"] == why
    assert angles["elbow_flexion"].attrs["refused_share"] == 0.5
    (elbow, fall) = warnings_of(angles)
    assert elbow["code"] == fall["code"] == "angle_refused"
    assert elbow["values"]["share"] == 0.5
    assert "crosses the trunk" in elbow["message"]
    # Without limits, as errors are measured, they are withheld too.
    free = joint_angles(body(FOLDED), limits={"elbow_flexion": np.inf})
    assert free["elbow_flexion"].sel(side="left").isnull().all()


@pytest.mark.parametrize("pitch", [0.0, 12.0])
def test_an_arm_that_points_at_the_camera_has_no_angles(pitch: float) -> None:
    pose = body(FORWARD, pitch=pitch)
    assert held(pose)[AT] == held(pose, "shoulder_flexion")[AT] == [True, False]
    angles = joint_angles(pose)
    for name in ("elbow_flexion", "shoulder_flexion"):
        assert angles[name].isnull().all("time").values.tolist() == [True, False]
        assert angles[name].attrs["refused"] == tables.sentence(f"reasons.unseen_arm.{AT}")
    assert angles["arm_fall"].isnull().all()
    assert angles["knee_flexion"].notnull().all()
    # From the side the same arm is seen at its full length, and away from the camera it is not.
    assert held(body(FORWARD, turn=90.0)) == NONE
    assert held(body(FORWARD, turn=180.0))[AT] == [True, False]


@pytest.mark.parametrize("off", [25.0, 35.0])
def test_the_line_of_sight_is_that_to_the_elbow(off: float) -> None:
    """The camera is 1.2 m high, so that it sees an arm overhead from below."""
    elbow = np.array([0.22, 1.65, 0.0])
    sight = np.array([0.0, HEIGHT, AWAY]) - elbow
    sight /= np.linalg.norm(sight)
    up = np.array([0.0, 1.0, 0.0]) - sight[1] * sight
    up /= np.linalg.norm(up)
    along = np.cos(np.radians(off)) * sight + np.sin(np.radians(off)) * up
    pose = body((tuple(elbow), tuple(elbow + 0.25 * along)), pitch=8.0)
    assert held(pose)[AT] == [off < 30.0, False]


@pytest.mark.parametrize("share", [0.2, 0.3])
def test_a_quarter_of_the_forearm_makes_the_difference(share: float) -> None:
    """A level forearm that reaches into the outline, whose edge is 0.16 m beside the middle."""
    edge = 0.12 + 0.08 * (1.15 - 0.9) / 0.5
    inner = edge - 0.25 * share
    pose = body(((inner + 0.25, 1.15, 0.0), (inner, 1.15, 0.0)))
    assert held(pose)[ACROSS] == [share > 0.25, False]


def test_a_missing_landmark_withholds_nothing() -> None:
    pose = body(FOLDED)
    for frame, name in enumerate(("left_wrist", "left_elbow", "left_hip")):
        for variable in ("position", "image_position"):
            pose[variable][{"time": frame, "keypoint": INDEX[name]}] = np.nan
    masks = unseen_arms(pose)["elbow_flexion"]
    assert masks[ACROSS][:, 0].tolist() == [False] * 2 + [False] + [True] * 5
    assert not masks[AT].any()
    assert joint_angles(pose)["elbow_flexion"].sel(side="left")[:2].isnull().all()


def test_without_a_picture_or_a_fit_nothing_is_withheld() -> None:
    pose = body(FOLDED)
    assert unseen_arms(pose.drop_vars("image_position")) == {}
    assert unseen_arms(pose.assign_attrs(history="[]")) == {}
    unfitted = pose.drop_vars(["position_draws", "fit_position"]).assign_attrs(method="truth")
    assert joint_angles(unfitted)["elbow_flexion"].notnull().all()


def camera(degrees: float) -> list[dict[str, Any]]:
    """Entries of two cameras, 3 m from the body; the second as much on the body's left."""
    a = np.radians(degrees)
    back = np.array([np.sin(a), 0.0, np.cos(a)])
    rotation = np.stack([np.cross([0.0, 1.0, 0.0], back), [0.0, 1.0, 0.0], back])
    place = np.array([0.0, 0.0, -AWAY]) + AWAY * back
    further = {"rotation": rotation.tolist(), "translation_m": (-rotation @ place).tolist()}
    return [{"azimuth_deg": 0.0}, {"azimuth_deg": -degrees} | further]


@pytest.mark.parametrize(("arm", "rule"), [(FOLDED, ACROSS), (FORWARD, AT)])
def test_of_two_cameras_both_have_to_be_blind(arm: Any, rule: str) -> None:
    assert held(body(arm, cameras=camera(2.0)))[rule] == [True, False]
    assert held(body(arm, cameras=camera(75.0))) == NONE


def test_each_camera_may_have_a_reason_of_its_own() -> None:
    """The forearm points at the first camera, and crosses the trunk as the second sees it."""
    arm = ((0.05, 1.15, 0.05), (0.05, 1.15, 0.3))
    assert held(body(arm)) == {ACROSS: [False, False], AT: [True, False]}
    pose = body(arm, cameras=camera(40.0))
    assert held(pose) == {ACROSS: [True, False], AT: [True, False]}
    assert held(pose, "shoulder_flexion") == {AT: [False, False]}
    angles = joint_angles(pose)
    why = angles["elbow_flexion"].attrs["refused"]
    assert all(tables.sentence(f"reasons.unseen_arm.{each}") in why for each in (ACROSS, AT))


def test_an_angle_that_is_measured_in_the_picture_is_reported() -> None:
    angles = joint_angles(body(FOLDED), in_picture=True)
    assert "in_picture_left" in angles["elbow_flexion"].attrs
    assert angles["elbow_flexion"].sel(side="left").notnull().all()
    assert angles["arm_fall"].isnull().all()  # which only the body has


def test_a_number_of_an_arm_that_is_not_seen_is_missing_with_the_reason(
    demo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pose, repetitions = (read_dataset(demo / f"{name}.nc") for name in ("fitted", "repetitions"))
    blind = np.ones((pose.sizes["time"], 2), dtype=bool)
    monkeypatch.setattr(angles_module, "unseen_arms", lambda _: {"elbow_flexion": {AT: blind}})
    metrics = mb.overhead_squat(pose, joint_angles(pose), repetitions)
    assert metrics["elbow_flexion"].isnull().all()
    assert tables.sentence(f"reasons.unseen_arm.{AT}") in metrics["elbow_flexion"].attrs["note"]
    assert metrics["shoulder_flexion"].notnull().any()
