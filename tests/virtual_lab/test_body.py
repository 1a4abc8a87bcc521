from __future__ import annotations

import numpy as np
import pytest

from mobility.errors import BadInputError
from mobility.virtual_lab.body import (
    Body,
    _hip_centres,
    keypoints,
    parametric_body,
    skinned,
    transforms,
)


def test_body_has_the_stature_and_mass_asked_for(body: Body) -> None:
    assert np.ptp(body.vertices[:, 1]) == pytest.approx(1.78, abs=1e-6)
    assert body.mass_kg == pytest.approx(76, abs=0.05)
    assert body.vertices[:, 1].min() == pytest.approx(0, abs=1e-9)


def test_mass_is_the_volume_of_the_mesh(body: Body) -> None:
    a, b, c = (body.vertices[body.faces[:, k]] for k in range(3))
    volume = abs((np.cross(a, b) * c).sum() / 6)
    assert 980 * volume == pytest.approx(body.mass_kg, rel=1e-3)


def test_proportions_are_human(body: Body) -> None:
    # Segment lengths as fractions of stature: Winter 2009 (0.245 and 0.246), within 10 %.
    for side in ("left", "right"):
        thigh = np.linalg.norm(body.joint("hip", side) - body.joint("knee", side))
        shank = np.linalg.norm(body.joint("knee", side) - body.joint("ankle", side))
        assert thigh / 1.78 == pytest.approx(0.245, rel=0.1)
        assert shank / 1.78 == pytest.approx(0.246, rel=0.1)


def test_left_is_left_and_the_person_faces_forwards(body: Body) -> None:
    assert body.joint("hip", "left")[0] > 0 > body.joint("hip", "right")[0]
    eyes = [i for i, name in enumerate(body.bones) if name.startswith("eye")]
    assert body.heads[eyes][:, 2].min() > body.heads[body.bone("head")][2]
    for side in ("left", "right"):
        assert body.toe[side][2] - body.heel[side][2] > 0.2
        assert body.toe[side][1] == body.heel[side][1] < 0.04


@pytest.mark.parametrize("height_m", [1.5, 1.78, 2.0])
def test_hip_centres_are_where_harrington_puts_them(height_m: float) -> None:
    bones = np.array([[0.12, 0.9, -0.01], [-0.12, 0.9, -0.01]])
    left, right = _hip_centres(bones, height_m)
    # 0.33 of the pelvic width plus 7.3 mm on each side of the middle: Harrington et al. 2007.
    pelvis = 0.141 * height_m
    assert left[0] - right[0] == pytest.approx(2 * (0.33 * pelvis + 0.0073), abs=1e-9)
    np.testing.assert_allclose(left[1:], right[1:])
    assert left[0] > 0 > right[0]
    # In front of the bones by less than the regression says, and as high.
    assert 0.01 * height_m < left[2] - bones[0, 2] < 0.035 * height_m
    assert left[1] == bones[0, 1]


def test_hips_of_a_body_are_moved_before_it_is_posed(body: Body) -> None:
    left, right = body.joint("hip", "left"), body.joint("hip", "right")
    assert np.linalg.norm(left - right) == pytest.approx(
        2 * (0.33 * 0.141 * 1.78 + 0.0073), abs=1e-6
    )
    # People's centres are 16 to 20 cm apart; the bones of the rig are 24 cm.
    assert 0.16 < np.linalg.norm(left - right) < 0.20
    np.testing.assert_allclose(body.mid_hip[[0, 2]], 0.0, atol=1e-9)
    # Within the flesh of the hips, nearer to its front than the middle.
    near = np.abs(body.vertices[:, 1] - left[1]) < 0.03
    thigh = body.vertices[near & (np.abs(body.vertices[:, 0]) < 0.2)]
    assert thigh[:, 2].min() < left[2] < thigh[:, 2].max()
    assert left[2] > (thigh[:, 2].min() + thigh[:, 2].max()) / 2


def test_sides_mirror_each_other(body: Body) -> None:
    for joint in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle"):
        mirrored = body.joint(joint, "right") * [-1, 1, 1]
        np.testing.assert_allclose(body.joint(joint, "left"), mirrored, atol=1e-6)


def test_a_pose_without_rotation_is_the_body_at_rest(body: Body) -> None:
    orientation, position = transforms(body, {"root": np.eye(3)[None]}, body.mid_hip[None])
    np.testing.assert_allclose(position[0], body.heads, atol=1e-12)
    mesh = skinned(body, orientation[0], position[0], body.vertices)
    np.testing.assert_allclose(mesh, body.vertices, atol=1e-9)
    assert keypoints(body, orientation, position)["left_foot_index"][0] == pytest.approx(
        body.toe["left"]
    )


def test_turning_the_root_turns_the_mesh_rigidly(body: Body) -> None:
    quarter = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])
    where = np.array([0.3, 1.0, -0.2])
    orientation, position = transforms(body, {"root": quarter[None]}, where[None])
    mesh = skinned(body, orientation[0], position[0], body.vertices)
    np.testing.assert_allclose(mesh, (body.vertices - body.mid_hip) @ quarter.T + where, atol=1e-9)


def test_impossible_mass_names_the_range(body: Body) -> None:
    with pytest.raises(BadInputError, match=r"weight_kg 40 is out of reach .* give \d+ to \d+"):
        parametric_body(sex="male", age=28, height_m=1.95, weight_kg=40)


def test_misspelt_option() -> None:
    with pytest.raises(BadInputError, match="did you mean 'height_m'"):
        parametric_body(height=1.8)  # type: ignore[call-arg]
