"""Poses without depth: a known body is filmed, and the fit finds it again."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from filmed_body import FOCAL, body, codes, errors, filmed, points_of, short_squat, squat

from mobility.base.provenance import warnings_of
from mobility.errors import BadInputError
from mobility.keypoints.sources import MEDIAPIPE, OTHER
from mobility.kinematics import angle_errors
from mobility.kinematics.angles import joint_angles
from mobility.kinematics.clean import clean_pose
from mobility.kinematics.fit import entry
from mobility.kinematics.fit.body import FITTED, point_errors
from mobility.kinematics.fit.foreshortening import foreshortened
from mobility.kinematics.skeleton import INDEX, angles_from_points, other_side

LEG = ("knee", "ankle", "heel", "foot_index")
FEET = [f"{side}_{name}" for side in ("left", "right") for name in ("heel", "foot_index")]


def flat(pose: xr.Dataset, *, source: str = MEDIAPIPE) -> xr.Dataset:
    """Take positions in space away from a pose."""
    return pose.drop_vars(["position", "space"]).assign_attrs(pose_source=source)


def unseen(pose: xr.Dataset, *names: str) -> xr.Dataset:
    """Take keypoints away, as of models that do not have them."""
    rest = pose.copy(deep=True)
    rest["image_position"].loc[{"keypoint": list(names)}] = np.nan
    rest["confidence"].loc[{"keypoint": list(names)}] = np.nan
    return rest


@pytest.mark.parametrize("azimuth", [0.0, 45.0, -45.0, 90.0, -90.0])
def test_the_body_is_found_from_every_side_in_front_within_its_errors(azimuth: float) -> None:
    time, knee = squat()
    truth = body(knee)
    want = angles_from_points(truth)
    pose = flat(filmed(time, truth, azimuth=azimuth, noise_px=3.0, seed=3))
    fitted = entry.fit_body(pose, focal_length=FOCAL)
    assert "position" not in pose
    assert fitted["position"].dims == ("time", "space", "keypoint", "individual")
    assert fitted["position"].attrs["units"] == "m"
    limits = {
        "knee_flexion": 8.0,
        "hip_flexion": 11.0,
        "ankle_dorsiflexion": 7.0,
        "trunk_lean": 8.0,
    }
    sd, got = angle_errors.angle_sd(fitted), angles_from_points(points_of(fitted))
    inside = []
    for name, limit in limits.items():
        error = np.abs(got[name] - want[name])
        assert np.nanmean(error) < limit, name
        inside.append((error < 1.96 * sd[f"{name}_sd"].to_numpy()).ravel())
    assert np.concatenate(inside).mean() > 0.8
    # Knees bend forwards, and no more than they do.
    assert np.nanmin(got["knee_flexion"]) > -5.0


def test_what_depth_tells_is_missed_in_the_errors() -> None:
    time, knee = squat(3.0)
    pose = filmed(time, body(knee), noise_px=2.0)
    with_depth, without = short_squat(), entry.fit_body(flat(pose))
    for name in ("knee_flexion_sd", "hip_flexion_sd"):
        sds = [float(angle_errors.angle_sd(each)[name].mean()) for each in (with_depth, without)]
        assert sds[1] > sds[0], name


def test_errors_and_offsets_are_those_of_the_source() -> None:
    time, knee = squat(3.0)
    pose = filmed(time, body(knee), noise_px=2.0)
    sds = {
        source: float(
            angle_errors.angle_sd(entry.fit_body(flat(pose, source=source)))[
                "knee_flexion_sd"
            ].mean()
        )
        for source in (MEDIAPIPE, OTHER)
    }
    assert sds[OTHER] > 1.1 * sds[MEDIAPIPE]
    assert (point_errors(OTHER).sd > point_errors(MEDIAPIPE).sd).all()
    with pytest.raises(BadInputError, match="no source of keypoints 'mediapipes'"):
        entry.fit_body(flat(pose, source="mediapipes"))


def test_points_that_a_model_does_not_have_are_not_made_up() -> None:
    """Without heels and toes knees and hips stay, and ankles are refused."""
    time, knee = squat(3.0)
    truth = body(knee)
    pose = unseen(flat(filmed(time, truth, azimuth=0.0, noise_px=2.0)), *FEET)
    fitted = entry.fit_body(pose, focal_length=FOCAL)
    feet = [INDEX[name] for name in FEET]
    assert np.isnan(points_of(fitted)[:, feet]).all()
    off = errors(fitted, truth)
    assert off["knee_flexion"] < 10.0
    assert "ankle_dorsiflexion" not in off
    (warning,) = [each for each in warnings_of(fitted) if each["code"] == "feet_not_seen"]
    assert warning["values"] == {"absent": True}
    assert warning["message"].startswith("These keypoints have no heels and toes, so ankle")
    angles = joint_angles(fitted)
    assert angles["ankle_dorsiflexion"].attrs["refused"] == "these keypoints have no heels and toes"
    assert "refused" not in angles["knee_flexion"].attrs
    # Feet that are hidden are another matter.
    hidden = unseen(pose, "left_heel")
    hidden["confidence"].loc[{"keypoint": list(FEET)}] = 0.05
    messages = [each["message"] for each in warnings_of(entry.fit_body(hidden, focal_length=FOCAL))]
    assert any(each.startswith("The feet are hardly visible") for each in messages)
    arms = unseen(
        pose, *(f"{side}_{name}" for side in ("left", "right") for name in ("elbow", "wrist"))
    )
    assert errors(entry.fit_body(arms, focal_length=FOCAL), truth)["knee_flexion"] < 10.0


def test_a_face_that_is_seen_from_behind_tells_of_exchanged_sides_or_a_mirrored_film() -> None:
    time, knee = squat(3.0)
    pose = flat(filmed(time, body(knee), azimuth=180.0), source=OTHER)
    face = {"keypoint": ["nose", "left_eye", "right_eye"]}
    for confidence, words in (
        (0.1, "much less certain."),
        (0.9, "left and right may be swapped"),
    ):
        pose["confidence"].loc[face] = confidence
        fitted = entry.fit_body(pose, focal_length=FOCAL)
        (warning,) = [each for each in warnings_of(fitted) if each["code"] == "seen_from_behind"]
        assert words in warning["message"]
        assert warning["values"] == ({"face": True} if confidence > 0.5 else {})
        assert ("mirrored" in warning["message"]) == (confidence > 0.5)


def test_what_keypoints_of_another_model_lack_is_told_with_where_to_give_it() -> None:
    time, knee = squat(3.0)
    pose = flat(filmed(time, body(knee)), source=OTHER)
    silent = pose.drop_vars("confidence")
    with pytest.raises(BadInputError, match=r"'confidence'\); add confidence to the file, or"):
        entry.fit_body(silent)
    small = silent.drop_attrs(deep=False).assign_attrs(pose_source=OTHER, ds_type="poses")
    size = r"add confidence to the file and pass size=\(width, height\) to read_keypoints"
    with pytest.raises(BadInputError, match=size):
        entry.fit_body(small)
    with pytest.raises(BadInputError, match="left_knee; use a model that finds them"):
        entry.fit_body(unseen(pose, "left_knee"))
    with pytest.raises(BadInputError, match="make one with estimate_pose"):
        entry.fit_body(silent.assign_attrs(pose_source=MEDIAPIPE))


def test_a_body_without_knees_is_refused_in_one_line() -> None:
    time, knee = squat(3.0)
    pose = unseen(flat(filmed(time, body(knee))), "left_knee", "right_knee")
    with pytest.raises(BadInputError, match="the pose has no left_knee and right_knee") as error:
        entry.fit_body(pose)
    assert "\n" not in str(error.value)


def test_two_cameras_without_depth_give_one_body() -> None:
    time, knee = squat()
    truth = body(knee)
    poses = [
        flat(filmed(time, truth, azimuth=azimuth, noise_px=2.0, seed=seed))
        for seed, azimuth in enumerate((20.0, 80.0))
    ]
    fitted = entry.fit_body(poses, focal_length=FOCAL)
    off = errors(fitted, truth)
    assert off["knee_flexion"] < 6.0
    assert off["hip_flexion"] < 9.0


def test_cleaning_needs_no_depth() -> None:
    """Spikes and exchanges of sides are found in the picture; nothing is added."""
    time, knee = squat()
    pose = flat(filmed(time, body(knee), azimuth=20.0))
    mixed = pose.copy(deep=True)
    names = [f"{side}_{name}" for side in ("left", "right") for name in LEG]
    other = [other_side(name) for name in names]
    rows = {"time": slice(60, 66)}
    for variable in ("image_position", "confidence"):
        mixed[variable][rows].loc[{"keypoint": names}] = (
            pose[variable][rows].sel(keypoint=other).values
        )
    spike = {"time": 100, "keypoint": INDEX["left_hip"], "pixel": 0}
    mixed["image_position"][spike] += 200.0
    cleaned = clean_pose(mixed, visibility_threshold=0.1, cutoff_hz=None)
    assert set(cleaned.data_vars) == set(mixed.data_vars)
    off = np.abs(cleaned["image_position"] - pose["image_position"]).sel(keypoint=list(FITTED))
    assert float(off.max()) < 5.0


def test_a_gap_stays_a_gap() -> None:
    time, knee = squat(3.0)
    pose = flat(filmed(time, body(knee)))
    gone = pose.copy(deep=True)
    gone["image_position"][{"time": slice(30, 60)}] = np.nan
    fitted = entry.fit_body(gone)
    nobody = np.isnan(points_of(fitted)[:, INDEX["left_knee"]]).any(axis=-1)
    assert nobody[40:50].all()
    assert not nobody[:25].any()


def test_a_segment_that_looks_short_points_out_of_the_picture() -> None:
    """From the front thighs come forwards by as much as is known."""
    time, knee = squat(3.0)
    truth = body(knee)[:, [INDEX[name] for name in FITTED]]
    rows = slice(0, None, 4)
    image = truth[rows, :, :2] / 3.0
    found = foreshortened(image, np.ones(image.shape[:2]), time[rows], np.log(1.70))
    for far, near in (("left_knee", "left_hip"), ("right_ankle", "right_knee")):
        ends = FITTED.index(far), FITTED.index(near)
        want = truth[rows, ends[0], 2] - truth[rows, ends[1], 2]
        got = found[:, ends[0], 2] - found[:, ends[1], 2]
        bent = np.abs(want) > 0.15
        assert bent.any()
        np.testing.assert_allclose(got[bent], want[bent], atol=0.06)


def test_of_whoever_moves_about_nothing_is_claimed() -> None:
    """A nearer body that is bent all over looks like a straight one farther away."""
    time, knee = squat(3.0)
    pose = filmed(time, body(knee), noise_px=2.0)
    fitted = entry.fit_body(flat(pose), feet_planted=False)
    assert "depth_unknown" in codes(fitted)
    angles = joint_angles(fitted, in_picture=False)
    for name in ("knee_flexion", "hip_flexion", "ankle_dorsiflexion", "trunk_lean"):
        assert float(angles[name].notnull().mean()) < 0.05, name
    for known in (entry.fit_body(pose, feet_planted=False), entry.fit_body(flat(pose))):
        assert "depth_unknown" not in codes(known)


def test_a_body_of_two_models_is_of_the_one_of_which_less_is_known() -> None:
    """In whatever order the cameras are."""
    time, knee = squat(3.0)
    truth = body(knee)
    measured = filmed(time, truth, azimuth=20.0, noise_px=2.0)
    other = flat(filmed(time, truth, azimuth=80.0, noise_px=2.0, seed=1), source=OTHER)
    other.attrs["source_software"] = "RTMPose"
    for poses in ([measured, other], [other, measured]):
        attrs = entry.fit_body(poses, focal_length=FOCAL).attrs
        assert attrs["pose_source"] == OTHER
        assert set(attrs["source_software"].split(", ")) == {"MediaPipe", "RTMPose"}


def test_a_far_side_that_is_hidden_is_no_crash() -> None:
    """Of OpenPose from the side hidden points are missing, or of low confidence."""
    time, knee = squat(3.0)
    pose = flat(filmed(time, body(knee), azimuth=90.0, noise_px=2.0), source=OTHER)
    far = [f"right_{name}" for name in ("shoulder", "hip", "elbow", "wrist", *LEG)]
    hidden = pose.copy(deep=True)
    hidden["confidence"].loc[{"keypoint": far}] = 0.1
    few = unseen(pose, *far)
    rows = {"time": slice(0, 2)}
    few["confidence"][rows] = pose["confidence"][rows]
    few["image_position"][rows] = pose["image_position"][rows]
    for each in (hidden, few):
        assert "position" in entry.fit_body(each)


def test_of_one_leg_that_is_held_up_nothing_is_claimed() -> None:
    time, knee = squat(3.0, deep=0.0)
    truth = body(knee)
    turned = truth[:, INDEX["left_knee"]]
    for name, down in (("left_ankle", 0.0), ("left_heel", -0.04), ("left_foot_index", -0.2)):
        truth[:, INDEX[name]] = turned + np.array([0.0, down, -0.42])
    fitted = entry.fit_body(flat(filmed(time, truth, azimuth=45.0, noise_px=2.0)))
    assert "depth_unknown" in codes(fitted)


def test_of_who_sits_nothing_is_claimed() -> None:
    time, knee = squat(3.0, deep=0.0)
    truth = body(knee + 85.0)
    for side in ("left", "right"):  # thighs level, trunk and shanks upright
        middle = truth[:, INDEX[f"{side}_ankle"]] * [1.0, 0.0, 1.0]
        truth[:, INDEX[f"{side}_knee"]] = middle + np.array([0.0, 0.5, 0.0])
        truth[:, INDEX[f"{side}_hip"]] = middle + np.array([0.0, 0.5, -0.41])
        truth[:, INDEX[f"{side}_shoulder"]] = middle + np.array([0.0, 1.03, -0.41])
    fitted = entry.fit_body(flat(filmed(time, truth, azimuth=0.0, noise_px=2.0)))
    assert "depth_unknown" in codes(fitted)
