"""What no body can do: each limit on its own, on a body that is turned and tilted."""

from __future__ import annotations

import numpy as np
import pytest
from filmed_body import body, squat
from scipy.spatial.transform import Rotation

from mobility.kinematics.fit.body import FITTED, is_possible
from mobility.kinematics.skeleton import INDEX

UP = np.array([0.0, 1.0, 0.0])


def joints(deep: float = 95.0) -> np.ndarray:
    """A squat, (n, 16, 3), facing +z."""
    _, knee = squat(3.0, deep=deep)
    return body(knee)[:, [INDEX[name] for name in FITTED]]


def bent(points: np.ndarray, centre: str, ends: tuple[str, ...], degrees: float) -> np.ndarray:
    """Turn what hangs on a joint, from below forwards and up, and from above backwards and down."""
    moved = points.copy()
    turn = Rotation.from_rotvec([-np.radians(degrees), 0.0, 0.0])
    middle = points[:, FITTED.index(centre)]
    for end in ends:
        at = FITTED.index(end)
        moved[:, at] = middle + turn.apply(points[:, at] - middle)
    return moved


def test_people_who_squat_and_stand_are_possible():
    assert is_possible(joints(), UP, planted=True)
    assert is_possible(joints(0.0), UP, planted=True)


def test_the_mirror_image_in_depth_is_not():
    mirrored = joints() * [1.0, 1.0, -1.0]
    assert not is_possible(mirrored, UP, planted=True)
    assert not is_possible(mirrored, UP, planted=False)


FOOT = ("left_ankle", "left_heel", "left_foot_index")


@pytest.mark.parametrize(
    ("centre", "ends", "allowed", "impossible"),
    [
        ("left_knee", FOOT, 10.0, 40.0),
        ("left_hip", ("left_knee", *FOOT), -30.0, -70.0),
        ("left_shoulder", ("left_elbow", "left_wrist"), -170.0, 95.0),
    ],
)
def test_each_limit_is_a_limit(centre, ends, allowed, impossible):
    """The arms of this body are raised, a little behind its trunk."""
    standing = joints(0.0)
    assert is_possible(bent(standing, centre, ends, allowed), UP, planted=False)
    assert not is_possible(bent(standing, centre, ends, impossible), UP, planted=False)


def test_who_leans_far_back_falls_unless_the_feet_move():
    standing = joints(0.0)
    back = Rotation.from_rotvec([-np.radians(35.0), 0.0, 0.0])
    leaning = back.apply(standing.reshape(-1, 3)).reshape(standing.shape)
    assert not is_possible(leaning, UP, planted=True)
    assert is_possible(leaning, UP, planted=False)


def test_it_does_not_matter_where_up_is_nor_where_the_camera_stands():
    turn = Rotation.from_euler("yxz", [130.0, 20.0, -10.0], degrees=True)
    for points, expected in ((joints(), True), (joints() * [1.0, 1.0, -1.0], False)):
        turned = turn.apply(points.reshape(-1, 3)).reshape(points.shape)
        assert is_possible(turned, turn.apply(UP), planted=True) is expected


@pytest.mark.parametrize(("share", "expected"), [(0.05, True), (0.2, False)])
def test_a_few_frames_may_be_wrong(share, expected):
    points = joints(0.0)
    rows = np.arange(len(points)) < share * len(points)
    points[rows] = bent(points, "left_knee", FOOT, 40.0)[rows]
    assert is_possible(points, UP, planted=True) is expected
