"""Keypoints of other models: which landmark each is, in which order a set has them.

What gives keypoints: each entry of the table is whole, and a pose says or shows its source.
"""

from __future__ import annotations

import pytest
import xarray as xr

from mobility import tables
from mobility.errors import BadInputError
from mobility.keypoints.sources import (
    LANDMARKS,
    MEDIAPIPE,
    OTHER,
    Origin,
    is_known,
    landmark_of,
    landmarks_of,
    points_of,
    pose_source,
    sets,
    source_of,
)


@pytest.mark.parametrize("name", sets())
def test_each_point_of_a_set_is_known_and_stands_in_its_order_once(name):
    points = points_of(name)
    assert len(set(points)) == len(points)
    assert all(map(is_known, points))
    assert set(tables.load("keypoint_names")[name]["names"]) <= set(points)
    landmarks = [each for each in landmarks_of(points, what="here").values() if each]
    assert set(landmarks) <= set(LANDMARKS)


@pytest.mark.parametrize(
    ("name", "count", "of_landmarks"),
    [
        ("mediapipe", 33, {0: "nose", 11: "left_shoulder", 32: "right_foot_index"}),
        ("coco_17", 17, {1: "left_eye", 5: "left_shoulder", 16: "right_ankle"}),
        (
            "body_25",
            25,
            {1: None, 2: "right_shoulder", 8: None, 14: "left_ankle", 19: "left_foot_index"},
        ),
        ("halpe_26", 26, {16: "right_ankle", 19: None, 20: "left_foot_index", 25: "right_heel"}),
    ],
)
def test_numbers_of_points_are_those_of_their_publications(name, count, of_landmarks):
    points = points_of(name)
    assert len(points) == count
    assert {number: landmark_of(points[number]) for number in of_landmarks} == of_landmarks


def test_names_are_compared_without_case_and_separators():
    assert landmark_of("Left Foot.Index") == "left_foot_index"
    assert landmark_of("barbell") is None
    assert not is_known("barbell")
    assert is_known("MidHip")


def test_what_is_no_set_and_no_point_is_one_line():
    with pytest.raises(BadInputError, match=r"no set of keypoints .coco17.; did you mean"):
        points_of("coco17")
    with pytest.raises(BadInputError, match=r"^here: no landmark is known for left_kne"):
        landmarks_of(["nose", "left_kne"], what="here")
    with pytest.raises(BadInputError, match="none of its keypoints is a landmark"):
        landmarks_of(["Neck", "bar"], {"bar": None}, what="here")
    with pytest.raises(BadInputError, match="several keypoints are left_foot_index"):
        landmarks_of(["LBigToe", "left_big_toe"], what="here")
    chosen = landmarks_of(["bar", "LKnee"], {"bar": "left_wrist"}, what="here")
    assert chosen == {"bar": "left_wrist", "LKnee": "left_knee"}


JOINTS = {"shoulder", "elbow", "wrist", "hip", "knee", "ankle", "heel", "toe"}


@pytest.mark.parametrize("key", tables.load("pose_sources"))
def test_an_entry_has_errors_for_each_joint_and_pinned_models(key):
    entry = tables.load("pose_sources")[key]
    source = pose_source(key)
    assert set(source.picture_sd_m) == JOINTS
    assert all(0.005 < sd < 0.1 for sd in source.picture_sd_m.values())
    assert entry["source"]
    assert entry["delay_source"]
    quantities = {*tables.load("angles"), *tables.load("expected_error")["metrics"]["factors"]}
    assert set(source.factors) <= quantities
    assert all(factor >= 1 for factor in source.factors.values())
    assert bool(source.factors) == bool(entry.get("factors_source"))
    assert set(entry["models"]) <= set(tables.load("pose_model"))
    assert source.offsets in tables.load("landmark_offsets")


def test_offsets_of_all_sources_are_in_the_same_directions():
    structure = [
        {name: (each["joint"], each["direction"]) for name, each in entry["offsets"].items()}
        for entry in tables.load("landmark_offsets").values()
    ]
    assert all(each == structure[0] for each in structure)


def test_what_is_not_measured_is_assumed_to_be_worse_than_what_is():
    measured, assumed = pose_source(MEDIAPIPE), pose_source(OTHER)
    assert (measured.errors, assumed.errors) == ("measured", "assumed")
    assert all(assumed.picture_sd_m[joint] > measured.picture_sd_m[joint] for joint in JOINTS)


def test_a_pose_names_its_source():
    in_space = xr.Dataset({"position": ("time", [0.0])})
    in_picture = xr.Dataset({"image_position": ("time", [0.0])})
    assert source_of(in_space).key == MEDIAPIPE
    assert source_of(in_picture).key == OTHER
    assert source_of(in_picture.assign_attrs(pose_source=MEDIAPIPE)).key == MEDIAPIPE
    with pytest.raises(BadInputError, match=r"no source of keypoints 'mediapip'.*mediapipe"):
        source_of(in_space.assign_attrs(pose_source="mediapip"))


def test_a_factor_of_a_source_makes_no_error_smaller():
    assert pose_source(OTHER).widened("knee_flexion") > 1
    source = pose_source(OTHER)._replace(factors={"knee_flexion": 0.5, "trunk_lean": 1.5})
    widened = [source.widened(name) for name in ("knee_flexion", "trunk_lean", "hip_flexion")]
    assert widened == [1.0, 1.5, 1.0]


def test_results_that_name_no_source_are_of_mediapipe():
    assert Origin.of({}) == Origin(MEDIAPIPE, "MediaPipe")
    assert Origin.of({"pose_source": OTHER}) == Origin(OTHER, "another pose model")
    named = Origin.of({"pose_source": OTHER, "source_software": "RTMPose"})
    assert named == Origin(OTHER, "RTMPose")
    assert Origin().is_measured
    assert not named.is_measured
