"""The view against headings that are known."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from mobility import tables
from mobility.base.provenance import with_history
from mobility.errors import BadInputError
from mobility.keypoints.view import (
    TWO_CAMERAS,
    VIEWS,
    camera_view,
    hides_frontal_plane,
    near_side,
    supports,
    trial_view,
    view_kind,
    view_of,
    view_of_azimuth,
)
from mobility.sessions.files import read_dataset

DEMO_AZIMUTH = -40.0
"""Of data/demo/overhead-squat/case.yaml: the camera is 40 degrees to the left of the front."""


@pytest.mark.parametrize(
    ("heading", "name"),
    [
        (-15, "front"),
        (40, "front-oblique right"),
        (-85, "left"),
        (130, "back-oblique right"),
        (180, "back"),
    ],
)
def test_the_camera_is_where_the_subject_was_turned_from(squat_pose, heading, name):
    """Turned to the picture's right (positive), the subject shows the right side."""
    view = camera_view(squat_pose(heading=heading, noise=0.01).pose)
    assert view.name == name
    assert abs((view.azimuth_deg - heading + 180) % 360 - 180) < 1
    assert 2 < view.sd_deg < 20


def test_the_trunk_turning_in_the_squat_does_not_move_the_view(squat_pose):
    """Only standing frames count: what the shoulders do at the bottom is another matter."""
    pose, truth = squat_pose(heading=30)
    low = truth.crouch.to_numpy() > 0.5
    position = pose.position.copy(deep=True)
    right = position.sel(keypoint=["left_hip", "left_shoulder"]).to_numpy()
    swung = position.sel(keypoint=["right_hip", "right_shoulder"]).to_numpy()
    position.loc[{"keypoint": ["left_hip", "left_shoulder"]}] = np.where(
        low[:, None, None, None], swung, right
    )
    position.loc[{"keypoint": ["right_hip", "right_shoulder"]}] = np.where(
        low[:, None, None, None], right, swung
    )
    assert camera_view(pose.assign(position=position)).azimuth_deg == pytest.approx(30, abs=1)


def test_the_demo_is_seen_from_where_it_was_rendered(demo):
    for file in ("pose.nc", "fitted.nc"):
        view = camera_view(read_dataset(demo / file))
        assert view.name == "front-oblique left"
        assert abs(view.azimuth_deg - DEMO_AZIMUTH) < 1.96 * view.sd_deg


def in_the_picture(pose, of, far_leg, feet_apart=1.0):
    """Return the pose with what a far camera sees of another, and how well its left leg is seen."""
    scale = xr.DataArray([400.0, -400.0], coords={"pixel": ["u", "v"]})
    place = of["position"].sel(space=["x", "y"]).rename(space="pixel")
    place = place.assign_coords(pixel=["u", "v"]) * scale
    feet = ["left_ankle", "right_ankle"]
    across = place.sel(pixel="u", keypoint=feet)
    middle = across.mean("keypoint")
    place.loc[{"pixel": "u", "keypoint": feet}] = middle + feet_apart * (across - middle)
    leg = [f"left_{name}" for name in ("knee", "ankle", "heel", "foot_index")]
    seen = pose["position"].isel(space=0, drop=True) * 0 + 0.97
    seen.loc[{"keypoint": leg}] = far_leg
    return pose.assign(image_position=place, confidence=seen)


@pytest.mark.parametrize("side", ["left", "right"])
def test_one_leg_in_the_picture_is_a_view_from_the_side(squat_pose, side):
    """Depths put the person at 57 degrees, and the picture shows a profile."""
    sign = 1 if side == "right" else -1
    pose = squat_pose(heading=sign * 57, noise=0.01).pose
    profile = squat_pose(heading=sign * 88, noise=0.01).pose
    view = camera_view(in_the_picture(pose, profile, 0.6))
    assert (view.kind, view.name) == ("side", side)
    assert view.azimuth_deg == pytest.approx(sign * 57, abs=1)  # as it was measured
    assert near_side(in_the_picture(pose, profile, 0.6)) == side
    assert hides_frontal_plane(in_the_picture(pose, profile, 0.6)) == "side"


def test_a_diagonal_view_stays_one_with_a_single_sign_of_a_profile(squat_pose):
    pose = squat_pose(heading=50, noise=0.01).pose
    assert camera_view(in_the_picture(pose, pose, 0.97)).name == "front-oblique right"
    assert camera_view(in_the_picture(pose, pose, 0.5)).name == "front-oblique right"
    closed = in_the_picture(pose, pose, 0.97, feet_apart=0.1)
    assert camera_view(closed).name == "front-oblique right"
    both = in_the_picture(pose, pose, 0.5, feet_apart=0.1)
    assert camera_view(both).name == "right"
    # A leg behind something, of a person who surely does not stand in profile.
    front = squat_pose(heading=30, noise=0.01).pose
    assert camera_view(in_the_picture(front, front, 0.5, 0.1)).name == "front-oblique right"


def test_hips_upright_have_no_heading_and_no_warning(squat_pose):
    """Lying on the side: the line of the hips is vertical, that of the shoulders may not be."""
    pose = squat_pose(reps=1, fps=5, heading=30).pose
    for names, expected in ((("hip",), 30), (("hip", "shoulder"), np.nan)):
        position = pose.position.copy(deep=True)
        for name in names:
            left = position.sel(keypoint=f"left_{name}").to_numpy()
            above = left + np.array([0.0, 0.2, 0.0])[None, :, None]
            position.loc[{"keypoint": f"right_{name}"}] = above
        azimuth = camera_view(pose.assign(position=position)).azimuth_deg
        assert azimuth == pytest.approx(expected, abs=1, nan_ok=True)


def test_nobody_is_seen_from_nowhere(squat_pose):
    pose = squat_pose(reps=1, fps=5).pose
    nobody = camera_view(pose.assign(position=pose.position * np.nan))
    assert (nobody.kind, nobody.name) == ("unknown", "unknown")
    assert np.isnan(nobody.azimuth_deg)
    assert supports(nobody, "trunk_lean") is None


def test_views_are_known_by_the_names_that_recordings_have():
    for name, kind in (
        ("front oblique, from the right", "front-oblique"),
        ("front-oblique left", "front-oblique"),
        ("left", "side"),
        ("back", "back"),
        ("two-cameras", TWO_CAMERAS),
    ):
        assert view_kind(name) == kind
    with pytest.raises(BadInputError, match="no view 'above'"):
        view_kind("above")
    for azimuth, view in (-15, "front"), (300, "front-oblique"), (91, "side"):
        assert view_of_azimuth(azimuth) == view


def test_every_kind_of_view_says_what_it_supports():
    views = tables.load("views")["views"]
    assert list(VIEWS) == list(views)
    for entry in tables.load("angles").values():
        assert set(entry["seen"]["from"]) <= {*views, TWO_CAMERAS}
    for entry in views.values():
        assert entry["source"]
    assert supports(view_of(0), "knee_flexion")
    assert not supports(view_of(0), "trunk_lean")
    assert supports(view_of(90), "trunk_lean")
    assert not supports(view_of(-90), "hip_abduction")


def test_two_cameras_are_a_view_of_their_own_where_they_are_apart(demo):
    fitted = read_dataset(demo / "fitted.nc")
    assert trial_view(fitted) == "front-oblique left"
    for *azimuths, name in (
        (5.0, 92.0, TWO_CAMERAS),
        (-45.0, 45.0, TWO_CAMERAS),
        (170.0, -100.0, TWO_CAMERAS),
        (0.0, 30.0, "front-oblique left"),  # hardly more than one of them
        (10.0, -172.0, "front-oblique left"),  # along the same line
    ):
        both = with_history(
            fitted, "fit_body", {}, cameras=[{"azimuth_deg": azimuth} for azimuth in azimuths]
        )
        assert trial_view(both) == name, azimuths


def test_what_one_camera_hides_another_may_see(squat_pose):
    for heading, seconds in (
        # Each leg is seen by one of two that stand opposite.
        (-90.0, {None: ("left", "side"), -95.0: ("left", "side"), 90.0: (None, "side")}),
        (142.0, {None: (None, "back-oblique"), -38.0: (None, "")}),  # the second stands in front
    ):
        pose = squat_pose(heading=heading, reps=1, fps=10).pose
        for second, (near, hides) in seconds.items():
            seen = pose
            if second is not None:
                cameras = [{"azimuth_deg": heading}, {"azimuth_deg": second}]
                seen = with_history(pose, "fit_body", {}, cameras=cameras)
            assert near_side(seen) == near
            assert hides_frontal_plane(seen) == hides
