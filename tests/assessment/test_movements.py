from __future__ import annotations

import re
from functools import partial

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
from mobility.kinematics.skeleton import definitions

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
    assert all(entry[field] for field in ("postures", "landmarks", "sign", "zero", "source"))
    where = "the side" if entry["view"] == "side" else "the front"
    assert refusal_advice(name).startswith(f"Film the {entry['joint']} from {where}: ")
    sentence, drawing = how_to_film(name)
    assert (sentence, drawing.is_file()) == (entry["film"], True)
    # It is found by joint, plane and direction, and whether the limb carries the body.
    borne = entry["range"]["kind"] == "weight_bearing"
    for direction in (entry["direction"], entry["end"]):
        asked = {"plane": entry["plane"], "direction": direction, "weight_bearing": borne}
        assert movement_of(entry["joint"], **asked) == name
    # Its range is published.
    of_kinds = [
        reference_range(entry["range"]["angle"], sex="male", age=30, kind=kind)
        for kind in (entry["range"]["kind"], "passive", "unstated")
    ]
    assert any(each is not None and each.mean >= 0 for each in of_kinds)


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
        (lambda: movement("bend"), "no 'bend'; choose from elbow_flexion, "),
        (lambda: movement("shoulder_rotation"), "rotation'; choose from elbow_flexion, elbow_ext"),
        (lambda: movement("elbow_flexon"), "'elbow_flexion'? Choose from elbow_flexion, elbow_ext"),
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
