"""Mappings: the built-in ones fit what they are for, one's own are checked with good messages."""

from __future__ import annotations

from pathlib import Path

import pytest

from mobility import tables
from mobility.errors import BadInputError, NotFoundError
from mobility.kinematics.skeleton import KEYPOINTS, other_side
from mobility.lab.lab_mappings import (
    OURS_C3D,
    FileNames,
    best_mapping,
    built_in,
    from_dict,
    given_mapping,
)


def test_built_in_mappings_are_whole_and_sourced() -> None:
    assert {"plug_in_gait", "opencap_lab", "opencap_augmented", "opensim", "theia", "lbmc"} <= set(
        built_in()
    )
    for name, mapping in built_in().items():
        assert mapping.built_in
        assert len(mapping.source.split()) > 5, name
        assert set(mapping.joint_centres) <= set(KEYPOINTS)
        assert set(mapping.angles) <= set(tables.load("angles"))
        for landmark in mapping.joint_centres:
            other = other_side(landmark)
            assert other in mapping.joint_centres, (name, landmark)
            shared = set(mapping.joint_centres[landmark]) & set(mapping.joint_centres[other])
            assert other == landmark or not shared, name
        for landmark in mapping.instead:
            assert set(mapping.instead[landmark]) < set(mapping.joint_centres[landmark])
        for members in mapping.segments.values():
            assert len(members) >= 4


def test_each_mapping_is_chosen_for_its_own_names() -> None:
    for name, mapping in built_in().items():
        if mapping.columns is None and name != OURS_C3D:  # C3D of this package say so
            columns = mapping.angle_columns()
            # Also with a subject before the name, and in capitals.
            capitals = [f"Subject01:{marker.upper()}" for marker in mapping.markers()]
            for markers in (mapping.markers(), capitals):
                assert best_mapping(markers, columns).name == name
    assert best_mapping(["M1", "M2"], ["col"]) is None
    assert best_mapping([], []) is None


def test_names_are_found_however_they_are_written() -> None:
    names = FileNames(["Ann:LASI", "r.ASIS_study", "Left Knee Angles_Theia.X", "L_knee"])
    assert names.find("LASI") == "Ann:LASI"
    assert names.find("r.ASIS") == "r.ASIS_study"
    assert names.find("R_ASIS") == "r.ASIS_study"
    assert names.find("LEFT_KNEE_ANGLE.X") == "Left Knee Angles_Theia.X"
    assert names.find("l_knee") == "L_knee"
    assert names.find("RKNE") is None
    two = FileNames(["Ann:LASI", "Bob:LASI"])
    assert two.find("LASI") is None  # ambiguous
    assert two.find("Bob:LASI") == "Bob:LASI"


def test_a_mapping_of_one_s_own(tmp_path: Path) -> None:
    path = tmp_path / "lab.yaml"
    path.write_text(
        "joint_centres:\n"
        "  left_knee: [LKNE_lat, LKNE_med]\n"
        "  left_heel: LHEE\n"
        "angles:\n"
        "  knee_flexion: {left: knee_angle_l, right: knee_angle_r, scale: 1, offset: 0}\n"
        "units: mm\n"
        "vertical_axis: y\n"
    )
    mapping = given_mapping(path)
    assert mapping.name == "lab.yaml"
    assert mapping.joint_centres["left_knee"] == ("LKNE_lat", "LKNE_med")
    assert mapping.joint_centres["left_heel"] == ("LHEE",)
    assert mapping.angles["knee_flexion"].named() == {
        "left": ("knee_angle_l",),
        "right": ("knee_angle_r",),
    }
    assert (mapping.units, mapping.vertical_axis) == ("mm", "y")
    assert given_mapping(str(path)) == mapping
    assert given_mapping(mapping) is mapping
    assert given_mapping("plug_in_gait") is built_in()["plug_in_gait"]


KNEE = {"joint_centres": {"left_knee": "a"}}


def of_angle(**columns: object) -> dict[str, object]:
    return {"angles": {"knee_flexion": columns}}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"units": "mm"}, "must have joint_centres or angles"),
        ({"joint_centers": {"left_knee": "a"}}, "joint_centers: unknown; did you mean 'joint_cent"),
        ({"joint_centres": {"left_kne": "a"}}, "no landmark 'left_kne'; did you mean 'left_knee'"),
        ({"joint_centres": {"tail": "a"}}, "no landmark 'tail'; known: nose"),
        ({"joint_centres": ["left_knee"]}, "joint_centres: must be followed by names"),
        ({"joint_centres": {"left_knee": []}}, "left_knee"),
        ({"angles": {"knee_flex": {"left": "a"}}}, "no angle 'knee_flex'; did you mean 'knee_fle"),
        (of_angle(left="a", scael=2), "scael: unknown; did you mean 'scale'"),
        (of_angle(left="a", scale="x"), "scale: input should be a val"),
        (of_angle(column="a"), "name the columns of left and right"),
        ({"angles": {"knee_flexion": "a"}}, "must be an object with named fields"),
        ({"angles": {"trunk_lean": {"left": "a"}}}, "has no sides; set its 'column'"),
        (KNEE | {"units": "inch"}, "units: input should be 'm', 'cm'"),
        (KNEE | {"vertical_axis": "w"}, "vertical_axis: input"),
        (KNEE | {"rate_hz": 0}, "rate_hz: input should be greater"),
        ({"pelvis": {"left_asis": "a", "right_asis": "b"}}, "needs left_psis and right_psis"),
        ({"pelvis": {"left_asis": "a"}}, "pelvis: right_asis: field required"),
        (KNEE | {"built_in": True}, "built_in: is unknown"),
    ],
)
def test_what_is_wrong_with_a_mapping_is_said(given, message: str) -> None:
    with pytest.raises(BadInputError) as caught:
        from_dict(given, name="mine", what="mapping mine")
    assert message in str(caught.value)
    assert str(caught.value).startswith("mapping mine")
    assert "\n" not in str(caught.value)


def test_files_that_are_no_mapping(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"neither a file nor a built-in.*mean 'opensim'"):
        given_mapping("opensimm")
    bad = tmp_path / "bad.yaml"
    for content, message in (
        (b"joint_centres: [a\nb: c", r"bad\.yaml: is not YAML \(.*, line 2\)"),
        (b"joint_centres:\n  left_heel: A\n  left_heel: B\n", "'left_heel' is given twice, line 3"),
        (b"just words", "must have joint_centres or angles"),
        (b"\xff\xfe\x00", "not a text file in UTF-8"),
    ):
        bad.write_bytes(content)
        with pytest.raises(BadInputError, match=message):
            given_mapping(bad)
    with pytest.raises(BadInputError, match="cannot be read"):
        given_mapping(tmp_path)
