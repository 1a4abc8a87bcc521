"""What gives keypoints: each entry of the table is whole, and a pose says or shows its source."""

from __future__ import annotations

import pytest
import xarray as xr

from mobility import tables
from mobility.errors import BadInputError
from mobility.keypoints.sources import MEDIAPIPE, OTHER, pose_source, source_of

JOINTS = {"shoulder", "elbow", "wrist", "hip", "knee", "ankle", "heel", "toe"}


@pytest.mark.parametrize("key", tables.load("pose_sources"))
def test_an_entry_has_errors_for_each_joint_and_pinned_models(key):
    entry = tables.load("pose_sources")[key]
    source = pose_source(key)
    assert set(source.picture_sd_m) == JOINTS
    assert all(0.005 < sd < 0.1 for sd in source.picture_sd_m.values())
    assert entry["source"]
    assert entry["delay_source"]
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
