"""Keypoints of other models: which landmark each is, in which order a set has them."""

from __future__ import annotations

import pytest

from mobility import tables
from mobility.errors import BadInputError
from mobility.keypoints.names import LANDMARKS, is_known, landmark_of, landmarks_of, points_of, sets


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
    with pytest.raises(BadInputError, match=r"^here: no landmark is known by the name of left_kne"):
        landmarks_of(["nose", "left_kne"], what="here")
    with pytest.raises(BadInputError, match="none of its keypoints is a landmark"):
        landmarks_of(["Neck", "bar"], {"bar": None}, what="here")
    with pytest.raises(BadInputError, match="several keypoints are left_foot_index"):
        landmarks_of(["LBigToe", "left_big_toe"], what="here")
    chosen = landmarks_of(["bar", "LKnee"], {"bar": "left_wrist"}, what="here")
    assert chosen == {"bar": "left_wrist", "LKnee": "left_knee"}
