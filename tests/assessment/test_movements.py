from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from mobility import tables
from mobility.assessment.movements import (
    TABLE,
    how_to_film,
    in_own_direction,
    movement,
    movement_of,
    movements_of,
    refusal_advice,
)
from mobility.assessment.reference_ranges import reference_range
from mobility.errors import BadInputError
from mobility.kinematics.geometry import definitions

NAMES = tuple(tables.load(TABLE))

NEW_ANGLES = {"shoulder_abduction"}
"""Angles that no table has; the head of the table says so."""

ENDS = {
    "flexion": "largest",
    "extension": "smallest",
    "abduction": "largest",
    "dorsiflexion": "largest",
    "plantarflexion": "smallest",
    "lateral_flexion": "largest",
}


@pytest.mark.parametrize("name", NAMES)
def test_each_movement_says_what_is_measured_and_where_the_camera_stands(name):
    entry = tables.load(TABLE)[name]
    assert name.startswith(f"{entry['joint']}_{entry['direction']}")
    assert entry["end"] == ENDS[entry["direction"]]
    assert entry["angle"] in {*definitions(), *NEW_ANGLES}
    # The camera stands square to the plane.
    assert entry["view"] == {"sagittal": "side", "frontal": "front"}[entry["plane"]]
    assert entry["postures"]
    assert set(entry["postures"]) <= {"standing", "sitting", "supine", "prone", "side-lying"}
    known = {each.removeprefix("left_") for each in tables.load("landmarks")["landmarks"]["names"]}
    assert {*entry["landmarks"], *entry["other_side"]} <= known
    assert set(entry["other_side"]) <= set(entry["landmarks"])
    assert entry["range"]["kind"] in ("active", "weight_bearing")
    assert re.fullmatch(r"[A-Z][^.]+\.", entry["film"])  # one sentence
    for field in ("sign", "zero", "source"):
        assert entry[field]


def test_signs_are_those_of_the_angles():
    """Both movements of one angle end at its two ends, and agree on its zero."""
    pairs = {}
    for name, entry in tables.load(TABLE).items():
        pairs.setdefault(entry["angle"], []).append((entry["end"], entry["zero"], name))
    for each in ("elbow_flexion", "shoulder_flexion", "knee_flexion", "hip_flexion"):
        (end, zero, _), (other, same, extension) = pairs[each]
        assert (end, other, zero) == ("largest", "smallest", same)
        assert extension.endswith("_extension")
        assert "negative" in tables.load("angles")[each]["positive"] or each == "hip_flexion"
    assert {zero for _, zero, _ in pairs["ankle_dorsiflexion"]} == {
        pairs["ankle_dorsiflexion"][0][1]
    }


@pytest.mark.parametrize("name", NAMES)
def test_errors_of_a_goniometer_are_published_or_left_open(name):
    error = tables.load(TABLE)[name]["goniometer_error_deg"]
    assert error["source"]
    if error["value"] is None:
        assert error["kind"] is None
        assert "known here" in error["source"].lower()
    else:
        assert 0 < error["value"] < 20
        assert error["kind"] in ("limits", "agreement", "mdc", "change")
        assert re.search(r"(?:19|20)\d\d, ", error["source"])


def test_published_errors_of_a_goniometer():
    errors = {name: tables.load(TABLE)[name]["goniometer_error_deg"] for name in NAMES}
    assert errors["elbow_flexion"]["value"] == 7.0  # Chapleau et al. 2011, abstract
    assert errors["elbow_extension"]["value"] == 10.3
    assert errors["knee_extension"]["value"] == pytest.approx(
        (10.6 + 6.2) / 2
    )  # Lenssen et al. 2007
    assert errors["ankle_dorsiflexion_weight_bearing"]["value"] == 4.7  # Powden et al. 2015


@pytest.mark.parametrize("name", NAMES)
def test_the_published_range_is_found_under_the_name_of_the_table(name):
    entry = tables.load(TABLE)[name]
    found = [
        reference_range(entry["range"]["angle"], sex="male", age=30, kind=kind)
        for kind in (entry["range"]["kind"], "passive", "unstated")
    ]
    assert any(each is not None and each.mean >= 0 for each in found)


def test_an_extension_is_told_positive_beyond_straight():
    assert in_own_direction("elbow_extension", -5.0) == 5.0
    assert in_own_direction("knee_extension", 12.0) == -12.0  # lacks twelve degrees
    assert in_own_direction("ankle_plantarflexion", -50.0) == 50.0
    assert in_own_direction("shoulder_abduction", 165.0) == 165.0
    limit = reference_range("shoulder_extension", sex="male", age=30, kind="active")
    assert limit is not None
    assert in_own_direction("shoulder_extension", -62.3) == limit.mean


def test_movements_of_a_joint():
    assert movements_of("knee") == ["knee_flexion", "knee_extension"]
    assert {
        each
        for joint in ("elbow", "shoulder", "hip", "knee", "ankle", "trunk", "neck")
        for each in movements_of(joint)
    } == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_movement_is_found_by_joint_plane_and_direction(name):
    entry = movement(name)
    borne = entry["range"]["kind"] == "weight_bearing"
    for direction in (entry["direction"], entry["end"]):
        found = movement_of(
            entry["joint"], plane=entry["plane"], direction=direction, weight_bearing=borne
        )
        assert found == name


def test_standing_on_the_limb_matters_at_the_ankle_only():
    for borne, name in ((False, "ankle_dorsiflexion"), (True, "ankle_dorsiflexion_weight_bearing")):
        assert (
            movement_of("ankle", plane="sagittal", direction="largest", weight_bearing=borne)
            == name
        )
    assert (
        movement_of("knee", plane="sagittal", direction="flexion", weight_bearing=True)
        == "knee_flexion"
    )


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: movement("sholder_abduction"), "did you mean 'shoulder_abduction'"),
        (
            lambda: movement("knee"),
            "is a joint; name one of its movements: knee_flexion, knee_extension",
        ),
        (lambda: movement("bend"), "choose from elbow_flexion, "),
        (lambda: movements_of("ancle"), "did you mean 'ankle'"),
        (
            lambda: movements_of("wrist"),
            "choose from elbow, shoulder, hip, knee, ankle, trunk, neck",
        ),
        (
            lambda: movement_of("knee", plane="sagittal", direction="flexon"),
            "did you mean 'flexion'",
        ),
        (
            lambda: movement_of("knee", plane="frontal", direction="largest"),
            "choose from knee_flexion, knee_extension",
        ),
        (lambda: movement_of("knee", plane="saggital", direction="flexion"), "plane"),
        (lambda: how_to_film("elbow_flexon"), "did you mean 'elbow_flexion'"),
        (lambda: refusal_advice("elbow_flexon"), "did you mean 'elbow_flexion'"),
        (lambda: in_own_direction("elbow_flexon", 3.0), "did you mean 'elbow_flexion'"),
    ],
)
def test_bad_input(ask, message):
    with pytest.raises(BadInputError, match=re.escape(message)) as caught:
        ask()
    assert "\n" not in str(caught.value)


def test_the_advice_on_a_refusal_says_where_the_camera_stands():
    advice = refusal_advice("elbow_flexion")
    assert advice.startswith(
        "Film the elbow from the side: put the camera at the height of the elbow"
    )
    assert refusal_advice("shoulder_abduction").startswith("Film the shoulder from the front: ")


@pytest.fixture(scope="module")
def script(program):
    return program("movement_drawings")


@pytest.mark.parametrize("name", NAMES)
def test_each_movement_has_the_drawing_that_the_script_makes(name, script):
    sentence, drawing = how_to_film(name)
    entry = movement(name)
    assert sentence == entry["film"]
    text = drawing.read_text(encoding="utf-8")
    assert text == script.draw(name, entry)
    root = ET.fromstring(text)
    assert entry["view"] in root.find("{http://www.w3.org/2000/svg}title").text
    assert text.count("http") == 1  # the name of the format; nothing is fetched
    assert script.SCENES[name].posture == entry["postures"][0]


def test_all_that_is_drawn_lies_in_the_picture(script):
    for name in NAMES:
        root = ET.fromstring(how_to_film(name).drawing.read_text(encoding="utf-8"))
        for line in root.iter("{http://www.w3.org/2000/svg}polyline"):
            for place in line.get("points").split():
                x, y = (float(each) for each in place.split(","))
                assert 8 <= x <= script.WIDTH - 8, name
                assert 8 <= y <= script.HEIGHT - 8, name


def test_no_drawing_is_left_over():
    folder = how_to_film(NAMES[0]).drawing.parent
    assert {path.stem for path in folder.glob("*.svg")} == {*NAMES, "overhead_squat"}


def test_the_page_on_filming_is_that_of_the_table(project, script):
    text = (project / "docs" / "joint-mobility.md").read_text(encoding="utf-8")
    assert script.page(text) == text
    for link in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (project / "docs" / link).exists(), link
