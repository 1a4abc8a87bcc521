from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import griddata

from mobility import tables
from mobility.errors import BadInputError
from mobility.virtual_lab.parametric_body import (
    Body,
    keypoints,
    parametric_body,
    skinned,
    transforms,
)


def test_body_has_the_stature_and_mass_asked_for_and_human_proportions(body: Body) -> None:
    assert np.ptp(body.vertices[:, 1]) == pytest.approx(1.78, abs=1e-6)
    assert body.mass_kg == pytest.approx(76, abs=0.05)
    assert body.vertices[:, 1].min() == pytest.approx(0, abs=1e-9)
    a, b, c = (body.vertices[body.faces[:, k]] for k in range(3))
    assert 980 * abs((np.cross(a, b) * c).sum() / 6) == pytest.approx(body.mass_kg, rel=1e-3)
    for joint in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle"):
        mirrored = body.joint(joint, "right") * [-1, 1, 1]
        np.testing.assert_allclose(body.joint(joint, "left"), mirrored, atol=1e-6)
    with pytest.raises(BadInputError, match=r"weight_kg 40 is out of reach .* use \d+ to \d+"):
        parametric_body(sex="male", age=28, height_m=1.95, weight_kg=40)
    with pytest.raises(BadInputError, match="did you mean 'height_m'"):
        parametric_body(height=1.8)


def _lengths(body: Body) -> dict[str, float]:
    """Lengths between joint centres of the left side as fractions of stature."""
    ends = {
        **{"thigh": ("hip", "knee"), "shank": ("knee", "ankle")},
        **{"upper_arm": ("shoulder", "elbow"), "forearm": ("elbow", "wrist")},
    }
    lines = {
        name: body.joint(one, "left") - body.joint(other, "left")
        for name, (one, other) in ends.items()
    }
    shoulders = (body.joint("shoulder", "left") + body.joint("shoulder", "right")) / 2
    lines["trunk"] = shoulders - body.mid_hip
    stature = np.ptp(body.vertices[:, 1])
    return {name: float(np.linalg.norm(line) / stature) for name, line in lines.items()}


@pytest.mark.usefixtures("body")  # needs the extra, and imports it
def test_segments_are_as_long_as_those_of_people_at_every_stature() -> None:
    usual = tables.load("body_build")["segments"]
    for who, deviations in (
        ({"sex": "male", "height_m": 1.50, "weight_kg": 55}, {}),
        ({"sex": "female", "height_m": 1.85, "weight_kg": 70}, {}),
        (
            {"sex": "female", "height_m": 1.63, "weight_kg": 88, "age": 70},
            {"thigh": 0.04, "shank": -0.03, "trunk": -0.05, "upper_arm": 0.06, "forearm": -0.06},
        ),
    ):
        body = parametric_body(**who, **deviations)
        assert np.ptp(body.vertices[:, 1]) == pytest.approx(who["height_m"], abs=1e-6)
        assert body.mass_kg == pytest.approx(who["weight_kg"], abs=0.05)
        for name, length in _lengths(body).items():
            expected = usual[name][who["sex"]] * (1 + deviations.get(name, 0))
            assert length == pytest.approx(expected, abs=1e-5), name
    with pytest.raises(BadInputError, match=r"thigh 0.06 and shank -0.05 .* between 0.91 and 1.09"):
        parametric_body(thigh=0.06, shank=-0.05)
    with pytest.raises(BadInputError, match="trunk"):
        parametric_body(trunk=0.2)


def test_left_is_left_and_the_person_faces_forwards(body: Body) -> None:
    assert body.joint("hip", "left")[0] > 0 > body.joint("hip", "right")[0]
    eyes = [i for i, name in enumerate(body.bones) if name.startswith("eye")]
    assert body.heads[eyes][:, 2].min() > body.heads[body.bone("head")][2]
    for side in ("left", "right"):
        assert body.toe[side][2] - body.heel[side][2] > 0.2
        assert body.toe[side][1] == body.heel[side][1] < 0.04


def _skin(body: Body, x: float, y: float, *, front: bool) -> float:
    """Fore-aft place of the skin of the trunk at a point of the frontal plane, metres."""
    near = body.vertices[(np.abs(body.vertices[:, :2] - [0, y]) < [0.18, 0.1]).all(axis=1)]
    near = near[(near[:, 2] > 0) == front]
    return float(griddata(near[:, :2], near[:, 2], [(x, y)])[0])


def _ahead_of_harrington(body: Body, tilt: float) -> float:
    """How far the hip centres lie in front of where the regression has them, metres.

    Of a pelvis whose front is lower by `tilt` (radians), and at the height of the body's centres;
    10 mm of tissue are taken to lie on the iliac spines, the posterior ones to be 45 mm from the
    middle.
    """
    width = 0.141 * float(np.ptp(body.vertices[:, 1]))
    down, depth = 0.30 * width + 0.0109, 0.15
    level = body.mid_hip[1] + down
    for _ in range(20):  # the places of the spines depend on each other and on the centre
        front = _skin(body, width / 2, level, front=True) - 0.010
        back = _skin(body, 0.045, level + depth * np.sin(tilt), front=False) + 0.010
        depth = (front - back) / np.cos(tilt)
        behind = 0.24 * depth + 0.0099
        level = body.mid_hip[1] + down * np.cos(tilt) - behind * np.sin(tilt)
    return float(body.mid_hip[2] - front + behind * np.cos(tilt) + down * np.sin(tilt))


@pytest.mark.usefixtures("body")  # needs the extra, and imports it
@pytest.mark.parametrize(
    ("sex", "age", "height_m", "expected"),
    [("male", 65, 1.76, {12: -0.002, 0: -0.017}), ("female", 20, 1.65, {12: 0.012, 0: -0.001})],
)
def test_hip_centres_of_slender_bodies_against_harrington(sex, age, height_m, expected) -> None:
    # Harrington et al. 2007, in the axes of the pelvis: 0.24 of its depth plus 9.9 mm behind, and
    # 0.30 of its width plus 10.9 mm below, the middle of the anterior iliac spines.
    weight_kg = round(20.5 * height_m**2, 1)
    body = parametric_body(sex=sex, age=age, height_m=height_m, weight_kg=weight_kg)
    for tilt, ahead in expected.items():
        assert _ahead_of_harrington(body, np.radians(tilt)) == pytest.approx(ahead, abs=0.008), tilt


def test_a_pose_without_rotation_is_the_body_at_rest(body: Body) -> None:
    orientation, position = transforms(body, {"root": np.eye(3)[None]}, body.mid_hip[None])
    np.testing.assert_allclose(position[0], body.heads, atol=1e-12)
    mesh = skinned(body, orientation[0], position[0], body.vertices)
    np.testing.assert_allclose(mesh, body.vertices, atol=1e-9)
    assert keypoints(body, orientation, position)["left_foot_index"][0] == pytest.approx(
        body.toe["left"]
    )
