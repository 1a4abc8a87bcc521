from __future__ import annotations

import numpy as np
import pytest

from mobility.errors import BadInputError
from mobility.virtual_lab.body import Body, keypoints, parametric_body, skinned, transforms


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
