from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import xarray as xr

from mobility.errors import BadInputError
from mobility.virtual_lab.case import case_from, perform_case
from mobility.virtual_lab.parametric_body import Body, skinned
from mobility.virtual_lab.true_loads import GRAVITY, SPACING_M, filled, true_loads

MAN = {"sex": "male", "age": 28, "height_m": 1.78, "weight_kg": 76}
SLOW = {"repetitions": 1, "depth": 50, "descent_s": 4, "bottom_s": 1, "ascent_s": 4}
SEATED = {"kind": "sit-to-stand", "repetitions": 1, "stance_width": 1.0}


def loads_of(time: list[float], **motion: Any) -> xr.Dataset:
    return true_loads(case_from({"body": MAN, "motion": motion}), np.array(time))


def centre_of_volume(vertices: Any, faces: Any) -> Any:
    """Centre of a closed mesh by the divergence theorem."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    volumes = (np.cross(a, b) * c).sum(axis=1)
    return (volumes[:, None] * (a + b + c)).sum(axis=0) / (4 * volumes.sum())


def test_points_fill_the_volume_of_the_mesh(body: Body) -> None:
    points = filled(body).vertices
    assert len(points) * SPACING_M**3 == pytest.approx(76 / 980, rel=0.01)
    assert points.mean(axis=0) == pytest.approx(
        centre_of_volume(body.vertices, body.faces), abs=0.005
    )
    # A cube of 20 cm: its volume and its centre are known.
    corners = np.array([[x, y, z] for x in (-0.1, 0.1) for y in (0.5, 0.7) for z in (0, 0.2)])
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = np.array([f for a, b, c, d in quads for f in ((a, b, c), (a, c, d))])
    cube = filled(
        dataclasses.replace(
            body,
            vertices=corners,
            faces=faces,
            weights=body.weights[:8],
            weight_bones=body.weight_bones[:8],
        )
    )
    assert len(cube.vertices) == 1000
    assert cube.vertices.mean(axis=0) == pytest.approx([0, 0.6, 0.1])


def test_centre_of_mass_is_near_that_of_the_posed_mesh(body: Body) -> None:
    case = case_from({"body": MAN, "motion": SLOW | {"shift_m": 0.08}})
    time = np.array([0.5, 5.7])
    _, trial = perform_case(case, time)
    for k, centre in enumerate(true_loads(case, time)["centre_of_mass"].values):
        mesh = skinned(body, trial.orientation[k], trial.position[k], body.vertices)
        # Bending takes volume from the mesh, but no mass from the body.
        assert centre == pytest.approx(centre_of_volume(mesh, body.faces), abs=0.02)


def test_somebody_who_keeps_still_is_carried_evenly(extra: None) -> None:
    standing = loads_of([0.2, 0.4], **SLOW)
    assert standing["weight_share"].values == pytest.approx(0.5, abs=2e-3)
    assert standing["vertical_force"].values == pytest.approx(1.0, abs=1e-6)
    level = ["x", "z"]
    np.testing.assert_allclose(
        standing["centre_of_pressure"].sel(axis=level),
        standing["centre_of_mass"].sel(axis=level),
        atol=1e-6,
    )


def test_share_is_the_shift_of_mass_divided_by_the_distance_of_the_feet(extra: None) -> None:
    bottom, found = [5.7], []
    for shift in (-0.08, 0.0, 0.02, 0.05, 0.08):
        case = case_from({"body": MAN, "motion": SLOW | {"shift_m": shift, "toe_out": 0}})
        loads = true_loads(case, np.array(bottom))
        _, trial = perform_case(case, np.array(bottom))
        apart = trial.points["left_heel"] - trial.points["right_heel"]
        left = loads["weight_share"].sel(side="left").item()
        aside = loads["centre_of_mass"].sel(axis="x").item()
        assert left == pytest.approx(0.5 + aside / apart[0, 0], abs=0.005)
        assert aside == pytest.approx(0.93 * shift, abs=0.002)
        found.append(left)
    assert np.all(np.diff(found) > 0.04)
    assert found[0] + found[-1] == pytest.approx(1.0, abs=0.005)


def test_a_mirrored_movement_has_mirrored_loads(extra: None) -> None:
    times = [1.5, 2.0, 2.6, 3.4]
    one, other = (loads_of(times, repetitions=1, shift_m=shift) for shift in (0.06, -0.06))
    mirrored = other.isel(side=[1, 0]).assign_coords(side=one["side"])
    for name in ("weight_share", "ankle_moment", "knee_moment", "hip_moment"):
        np.testing.assert_allclose(one[name], mirrored[name], atol=0.004, err_msg=name)
    np.testing.assert_allclose(one["vertical_force"], other["vertical_force"], atol=2e-3)


def test_force_of_the_floor_does_the_work_of_the_movement(extra: None) -> None:
    time = np.arange(0, 5.2, 0.02)
    loads = true_loads(case_from({"body": MAN, "motion": {"repetitions": 1}}), time)
    # It starts and ends at rest, so the mean force is the weight.
    assert loads["vertical_force"].mean().item() == pytest.approx(1.0, abs=1e-3)
    height = loads["centre_of_mass"].sel(axis="y").values
    acceleration = np.gradient(np.gradient(height, time), time)
    np.testing.assert_allclose(
        loads["vertical_force"][5:-5], 1 + acceleration[5:-5] / GRAVITY, atol=0.02
    )


def test_moments_are_those_of_the_force_of_the_floor_and_the_weight_of_the_leg(
    extra: None,
) -> None:
    """At rest: half of the weight in front of or behind each joint, less the leg below it."""
    loads = loads_of([5.7], **SLOW, toe_out=0, knees_in=0)
    _, trial = perform_case(
        case_from({"body": MAN, "motion": SLOW | {"toe_out": 0}}), np.array([5.7])
    )
    ahead = loads["centre_of_pressure"].sel(axis="z").item()
    knee, ankle, hip = (trial.points[f"left_{j}"][0] for j in ("knee", "ankle", "hip"))
    shank = ankle + (knee - ankle) * 0.557  # de Leva 1996: 4.6 and 1.3 % of the mass
    foot = (trial.points["left_heel"] + trial.points["left_foot_index"])[0] / 2
    thigh = hip + (knee - hip) * 0.385
    on_knee = 0.5 * (knee[2] - ahead) - 0.0457 * (knee - shank)[2] - 0.0133 * (knee - foot)[2]
    on_hip = 0.5 * (ahead - hip[2]) - sum(
        mass * (part - hip)[2] for mass, part in ((0.145, thigh), (0.0457, shank), (0.0133, foot))
    )
    on_ankle = 0.5 * (ahead - ankle[2]) - 0.0133 * (foot - ankle)[2]
    for joint, moment in (("knee", on_knee), ("hip", on_hip), ("ankle", on_ankle)):
        for side in ("left", "right"):
            value = loads[f"{joint}_moment"].sel(side=side).item()
            assert value == pytest.approx(moment / 1.78, abs=0.0015), joint
    assert loads["knee_moment"].values.min() > 0.03  # it extends


def test_seat_carries_until_seat_off(extra: None) -> None:
    case = case_from({"body": MAN, "motion": SEATED})
    _, trial = perform_case(case)
    off, seated = trial.more["seat_off"][0], trial.more["seated"][0]
    loads = true_loads(case, np.array([0.2, off - 0.05, off + 0.3, seated - 0.3, seated + 0.05]))
    for name in ("weight_share", "vertical_force", "knee_moment", "centre_of_pressure"):
        values = loads[name].values.reshape(5, -1)
        assert np.isnan(values[[0, 1, 4]]).all()
        assert np.isfinite(values[2:4]).all()
    assert loads["centre_of_mass"].notnull().all()


def test_impossible_loads_are_refused(extra: None) -> None:
    with pytest.raises(BadInputError, match="falls sideways; reduce shift_m"):
        loads_of([2.7], repetitions=1, shift_m=0.15, stance_width=0.5)
    with pytest.raises(BadInputError, match="need both feet on the floor"):
        loads_of([2.7], kind="single-leg-squat")
    with pytest.raises(BadInputError, match="use a squat on both legs"):
        loads_of([2.7], movement="knee_flexion", to=90)
