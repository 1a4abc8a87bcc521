"""A gross lean of the trunk, as a picture from the front shows it."""

from __future__ import annotations

import hand_made
import numpy as np
import pytest
import xarray as xr
from analytic import squat_pose

import mobility as mb
from mobility import tables
from mobility.assessment.comments import comments
from mobility.assessment.estimates import GROSS
from mobility.assessment.findings import Finding, find, refused, say_gross
from mobility.assessment.gross_lean import leans_far_forward, trunk_in_picture
from mobility.assessment.phases import phase_frames
from mobility.assessment.verdict import judge
from mobility.kinematics.skeleton import landmarks

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
        assert other == checked(*number, gross=False)
    assert checked(8.0, 8.0, gross=False).gross == ""
    assert refused(told, "the light is poor").gross == ""


def test_comments_have_it_for_both_readers() -> None:
    metrics = hand_made.metrics_of({METRIC: (8.0, 8.0)})
    metrics[METRIC].attrs[GROSS] = "true"
    words = tables.load("findings")["rules"]["trunk_leans_forward"]["gross"]
    for level in ("participant", "professional"):
        text = "\n".join(comments(metrics, level=level, verdict=judge([])).values())
        assert words[level] in text
