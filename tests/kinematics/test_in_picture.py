"""Elbows in the plane of the picture, against commanded angles and known errors in depth."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from mobility.assessment.joint_mobility import joint_mobility
from mobility.errors import BadInputError
from mobility.kinematics.angles import joint_angles
from mobility.kinematics.expected_error import spread_factors
from mobility.kinematics.fit import FITTED
from mobility.kinematics.in_picture import picture_angles
from mobility.provenance import history
from tests.analytic import FOREARM
from tests.limbs import limb_pose, there_and_back

TIME, ELBOW = there_and_back(low=8.0, high=125.0, times=2)
DRAWS = 64
LIMITS = {"elbow_flexion": 180.0}


def fitted(
    *,
    heading: float,
    depth_error_m: float = 0.0,
    depth_sd_m: float = 0.1,
    picture_sd_m: float = 0.004,
    mirrored: bool = False,
    joints: dict[str, np.ndarray] | None = None,
) -> xr.Dataset:
    """A body as a fit gives it, whose wrists are wrong in depth by a constant.

    Half of its draws are mirrored in depth where `mirrored` is true.
    """
    pose = limb_pose(TIME, joints={"elbow": ELBOW} | (joints or {}), heading=heading)
    position = pose["position"].copy()
    position.loc[{"space": "z"}] -= 3.5  # the camera of a fit is at zero
    wrists = ["left_wrist", "right_wrist"]
    position.loc[{"space": "z", "keypoint": wrists}] += depth_error_m
    at = position.isel(time=slice(None, None, 4), individual=0).sel(keypoint=list(FITTED))
    centre = at.transpose("time", "space", "keypoint").to_numpy()
    rng = np.random.default_rng(3)
    off = rng.normal(0, picture_sd_m, (DRAWS, 1, 3, len(FITTED))) * np.ones((1, len(centre), 1, 1))
    off[:, :, 2] *= depth_sd_m / (picture_sd_m or 1.0)
    if mirrored:
        for side in ("left", "right"):
            elbow, wrist = (FITTED.index(f"{side}_{name}") for name in ("elbow", "wrist"))
            off[::2, :, 2, wrist] += 2 * (centre[:, 2, elbow] - centre[:, 2, wrist])
    return (
        pose.assign(
            position=position,
            fit_position=(("fit_time", "fit_space", "fit_keypoint"), centre),
            position_draws=(("draw", "fit_time", "fit_space", "fit_keypoint"), off),
        )
        .assign_coords(fit_time=TIME[::4], fit_space=["x", "y", "z"], fit_keypoint=list(FITTED))
        .assign_attrs(method="fitted_body")
    )


def at_ends(values: xr.DataArray) -> tuple[float, float]:
    """Values of the left side at rest and at the turn."""
    left = values.sel(side="left").to_numpy()
    turned = ELBOW >= 124.5
    return float(np.median(left[ELBOW < 8.5])), float(np.median(left[turned]))


@pytest.mark.parametrize("error", [-0.11, 0.11])
def test_an_error_in_depth_hardly_moves_an_elbow_in_the_plane_of_the_picture(error: float) -> None:
    """A wrist that is 11 cm off bends an arm at rest by 15 degrees, and hardly does so here."""
    body = fitted(heading=90.0, depth_error_m=error)
    found = picture_angles(body)
    rest, turn = at_ends(joint_angles(body, limits=LIMITS)["elbow_flexion"])
    assert rest > 12
    assert turn < 123
    rest, turn = at_ends(found["elbow_flexion"])
    assert rest == pytest.approx(8.0, abs=2.5)
    assert turn == pytest.approx(125.0, abs=1.5)
    assert found["elbow_flexion"].attrs["in_picture_left"] > 0.9
    # What is not known of the depth is still in the error, but no longer in full.
    free = at_ends(joint_angles(body, limits=LIMITS)["elbow_flexion_sd"])
    for own, whole in zip(at_ends(found["elbow_flexion_sd"]), free, strict=True):
        assert 0 < own < whole


@pytest.mark.parametrize("mirrored", [False, True])
def test_an_arm_that_points_at_the_camera_keeps_its_depth(*, mirrored: bool) -> None:
    """Seen from the front the forearm comes out of the picture; as far out in a mirrored draw."""
    body = fitted(heading=0.0, depth_sd_m=0.03, mirrored=mirrored)
    found = picture_angles(body)
    bent = np.abs(ELBOW - 90) < 25
    weight = found["elbow_flexion_in_picture"].to_numpy()
    assert weight[bent].max() == 0
    np.testing.assert_allclose(found["elbow_flexion"].to_numpy()[bent, 0], ELBOW[bent], atol=1e-6)
    assert weight[ELBOW < 8.5].min() > 0.9


def test_between_both_the_angle_is_between_and_its_error_tells_of_both() -> None:
    """A forearm that comes 60 degrees out of the picture, and in 3 of 10 draws 30 degrees."""
    body = fitted(heading=0.0, picture_sd_m=0.0, depth_sd_m=0.0, joints={"elbow": 0 * TIME + 60.0})
    draws = np.zeros(body["position_draws"].shape)
    chosen = np.arange(DRAWS) % 10 < 3
    for side in ("left", "right"):
        wrist = FITTED.index(f"{side}_wrist")
        for axis, angle in ((1, np.cos), (2, np.sin)):
            change = angle(np.radians(30.0)) - angle(np.radians(60.0))
            draws[chosen, :, axis, wrist] = FOREARM * change * (-1 if axis == 1 else 1)
    body["position_draws"] = body["position_draws"].copy(data=draws)
    found = picture_angles(body).sel(side="left").isel(time=0)
    share = float(chosen.mean())
    weight = (share - 0.1) / 0.4
    assert float(found["elbow_flexion_in_picture"]) == pytest.approx(weight)
    kept = 8.0**2 / (8.0**2 + share * 30.0**2)
    flat, free = kept * 60.0, 60.0
    assert float(found["elbow_flexion"]) == pytest.approx(weight * flat + (1 - weight) * free)
    own = (weight * np.sqrt(kept) + 1 - weight) * 30.0 * np.sqrt(share)
    between = np.sqrt(weight * (1 - weight)) * (free - flat)
    assert between > 20
    expected = spread_factors(body)["elbow_flexion"] * np.hypot(own, between)
    assert float(found["elbow_flexion_sd"]) == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize("heading", [90.0, -90.0])
def test_a_knee_that_bends_backwards_stays_negative(heading: float) -> None:
    """Hyperextended by 8 degrees at one end, and bent at the other."""
    knee = np.interp(ELBOW, [8.0, 125.0], [-8.0, 60.0])
    body = fitted(heading=heading, depth_sd_m=0.02, joints={"knee": knee})
    found = picture_angles(body)["knee_flexion"]
    np.testing.assert_allclose(found.sel(side="right"), knee, atol=0.05)


def test_angles_of_single_joints_tell_where_the_plane_of_the_picture_counted() -> None:
    body = fitted(heading=90.0, depth_error_m=0.11)
    free, flat = (
        joint_angles(body, limits=LIMITS),
        joint_angles(body, limits=LIMITS, in_picture=True),
    )
    told = history(flat)[-1]
    assert told["arguments"]["in_picture"] is True
    assert told["in_picture"]["elbow_flexion"]["right"] > 0.9
    assert flat["elbow_flexion"].attrs["in_picture_right"] > 0.9
    assert "in_picture" not in history(free)[-1]["arguments"]
    np.testing.assert_array_equal(flat["elbow_flexion"], picture_angles(body)["elbow_flexion"])
    moved = {"elbow_flexion", "knee_flexion"}
    for name in set(free.data_vars) - moved - {f"{name}_sd" for name in moved}:
        xr.testing.assert_equal(free[name], flat[name])
    # The range and its error are made from the same angles, draw by draw.
    wrong = joint_mobility(body, free, joints=("elbow",)).sel(joint="elbow", side="left")
    right = joint_mobility(body, flat, joints=("elbow",)).sel(joint="elbow", side="left")
    assert float(wrong["range_of_motion"]) < 110
    assert float(right["range_of_motion"]) == pytest.approx(117, abs=5)
    assert 0 < float(right["range_of_motion_sd"]) < float(wrong["range_of_motion_sd"])


def test_without_draws_or_without_legs_the_plane_of_the_picture_is_not_used() -> None:
    body = fitted(heading=90.0, depth_error_m=0.11)
    plain = body.drop_vars(["position_draws", "fit_position"])
    with pytest.raises(BadInputError, match="position_draws"):
        picture_angles(plain)
    unseen = body.copy()
    knees = {"keypoint": ["left_knee", "right_knee"]}
    unseen["confidence"] = unseen["confidence"].copy()
    unseen["confidence"].loc[knees] = 0.1
    for pose in (plain, unseen):
        found = joint_angles(pose, limits=LIMITS, in_picture=True)
        assert "in_picture_left" not in found["elbow_flexion"].attrs
        xr.testing.assert_equal(
            found["elbow_flexion"], joint_angles(pose, limits=LIMITS)["elbow_flexion"]
        )
