from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from functools import partial

import numpy as np
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
    entry = movement(name)
    assert name.startswith(f"{entry['joint']}_{entry['direction']}")
    assert entry["end"] == ENDS[entry["direction"]]
    assert entry["angle"] in {*definitions(), *NEW_ANGLES}
    # The camera stands square to the plane.
    assert entry["view"] == {"sagittal": "side", "frontal": "front"}[entry["plane"]]
    assert entry["postures"]
    assert set(entry["postures"]) <= {"standing", "sitting", "supine", "prone", "side-lying"}
    known = {each.removeprefix("left_") for each in tables.load("landmarks")["landmarks"]["names"]}
    assert set(entry["other_side"]) <= set(entry["landmarks"]) <= known
    assert re.fullmatch(r"[A-Z][^.]+\.", entry["film"])  # one sentence
    assert all(entry[field] for field in ("sign", "zero", "source"))
    # It is found by joint, plane and direction, and whether the limb carries the body.
    borne = entry["range"]["kind"] == "weight_bearing"
    for direction in (entry["direction"], entry["end"]):
        asked = {"plane": entry["plane"], "direction": direction, "weight_bearing": borne}
        assert movement_of(entry["joint"], **asked) == name
    # Ranges are published, errors of a goniometer are or are left open.
    ranges = [
        reference_range(entry["range"]["angle"], sex="male", age=30, kind=kind)
        for kind in (entry["range"]["kind"], "passive", "unstated")
    ]
    assert any(each is not None and each.mean >= 0 for each in ranges)
    error = entry["goniometer_error_deg"]
    if error["value"] is None:
        assert error["kind"] is None
        assert "known here" in error["source"].lower()
    else:
        assert 0 < error["value"] < 20
        assert error["kind"] in ("limits", "agreement", "mdc", "change")
        assert re.search(r"(?:19|20)\d\d, ", error["source"])


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


def test_an_extension_is_told_positive_beyond_straight():
    assert in_own_direction("elbow_extension", -5.0) == 5.0
    assert in_own_direction("knee_extension", 12.0) == -12.0  # lacks twelve degrees
    assert in_own_direction("ankle_plantarflexion", -50.0) == 50.0
    assert in_own_direction("shoulder_abduction", 165.0) == 165.0
    limit = reference_range("shoulder_extension", sex="male", age=30, kind="active")
    assert limit is not None
    assert in_own_direction("shoulder_extension", -62.3) == limit.mean


def test_bad_input():
    assert movements_of("knee") == ["knee_flexion", "knee_extension"]
    of_knee = partial(movement_of, "knee")
    for ask, message in (
        (lambda: movement("sholder_abduction"), "did you mean 'shoulder_abduction'"),
        (lambda: movement("knee"), "is a joint; name one of its movements: knee_flexion, knee_ext"),
        (lambda: movement("bend"), "choose from elbow_flexion, "),
        (lambda: movements_of("ancle"), "did you mean 'ankle'"),
        (lambda: movements_of("wrist"), "choose from elbow, shoulder, hip, knee, ankle, trunk"),
        (lambda: of_knee(plane="sagittal", direction="flexon"), "did you mean 'flexion'"),
        (lambda: of_knee(plane="frontal", direction="largest"), "choose from knee_flexion, knee"),
        (lambda: of_knee(plane="saggital", direction="flexion"), "plane"),
        (lambda: how_to_film("elbow_flexon"), "did you mean 'elbow_flexion'"),
        (lambda: refusal_advice("elbow_flexon"), "did you mean 'elbow_flexion'"),
        (lambda: in_own_direction("elbow_flexon", 3.0), "did you mean 'elbow_flexion'"),
    ):
        with pytest.raises(BadInputError, match=re.escape(message)) as caught:
            ask()
        assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def script(program):
    return program("movement_drawings")


@pytest.mark.parametrize("name", NAMES)
def test_each_movement_has_the_drawing_that_the_script_makes(name, script):
    sentence, drawing = how_to_film(name)
    entry = movement(name)
    assert sentence == entry["film"]
    where = "the side" if entry["view"] == "side" else "the front"
    assert refusal_advice(name).startswith(f"Film the {entry['joint']} from {where}: ")
    assert {path.stem for path in drawing.parent.glob("*.svg")} == {*NAMES, "overhead_squat"}
    text = drawing.read_text(encoding="utf-8")
    assert text == script.draw(name, entry)
    root = ET.fromstring(text)
    svg = "{http://www.w3.org/2000/svg}"
    assert entry["view"] in root.find(f"{svg}title").text
    assert text.count("http") == 1  # the name of the format; nothing is fetched
    assert script.SCENES[name].posture == entry["postures"][0]
    lines = [line.get("points").split() for line in root.iter(f"{svg}polyline")]
    places = np.array([place.split(",") for line in lines for place in line], float)
    assert ((places >= 8) & (places <= [script.WIDTH - 8, script.HEIGHT - 8])).all()


def test_the_page_on_filming_is_that_of_the_table(project, script):
    text = (project / "docs" / "joint-mobility.md").read_text(encoding="utf-8")
    assert script.page(text) == text
    for link in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (project / "docs" / link).exists(), link
