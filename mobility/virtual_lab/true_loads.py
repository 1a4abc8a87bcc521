"""True loads of a rendered person: weight on each leg, and moments of the joints of the legs.

The mesh of the body is filled with points of equal mass, so that no table of segments is used. The
points move with the bones, and their accelerations come from the commanded motion.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import xarray as xr

from mobility.base.provenance import with_history
from mobility.errors import BadInputError
from mobility.kinematics.skeleton import SIDES, Array, direction
from mobility.virtual_lab.case import Case, perform_case
from mobility.virtual_lab.parametric_body import SUFFIX, Body
from mobility.virtual_lab.parametric_body import skinned as posed
from mobility.virtual_lab.sit_to_stand import SitToStand
from mobility.virtual_lab.squat import Squat
from mobility.virtual_lab.standing_body import Trial, rest_forward

SPACING_M = 0.02
"""Distance of the points that fill a body."""

GRAVITY = 9.81

_STEP_S = 0.005
"""Time between the positions from which an acceleration is computed."""

_BELOW = {
    "ankle": ("foot", "toe"),
    "knee": ("foot", "toe", "lowerleg"),
    "hip": ("foot", "toe", "lowerleg", "upperleg"),
}
"""Beginnings of the names of the bones below each joint of a leg."""

_EXTENDS = {"ankle": -1.0, "knee": 1.0, "hip": -1.0}
"""Sign of an internal moment, about an axis to the subject's right, that extends the joint."""


def true_loads(case: Case, time: Array | None = None) -> xr.Dataset:
    """Compute how the legs of a rendered person are loaded.

    Parameters
    ----------
    case
        A squat on both legs, or a sit-to-stand.
    time
        Times in seconds, (time,); the frames of the video if it is None.

    Returns
    -------
    xarray.Dataset
        ``weight_share`` (time, side) is a share of the vertical force, and ``vertical_force``
        (time) a multiple of body weight. ``centre_of_pressure`` and ``centre_of_mass`` (time, axis)
        are in metres, in the axes of the truth: x to the subject's left, y up, z forwards.
        ``ankle_moment``, ``knee_moment`` and ``hip_moment`` (time, side) are shares of body weight
        times height. A moment is internal, about the flexion axis of the leg, and positive if it
        extends the joint (plantar flexion for the ankle). While a seat carries the person, all are
        NaN, except the centre of mass.

    Notes
    -----
    The centre of pressure is the zero moment point: there, the force of the floor has no horizontal
    moment. Each foot carries its part at the same distance in front, on the line from heel to toe.
    The lateral position between these points determines the share. A person who would fall sideways
    raises an error, and so does a motion on one leg.
    """
    motion = case.motion
    if not isinstance(motion, (Squat, SitToStand)):
        raise BadInputError(
            f"{case.name}: true loads need both feet on the floor; use a squat on both legs, or a "
            "sit-to-stand"
        )
    if time is None:
        rate = case.video.frame_rate
        time = np.arange(round(motion.phases.duration_s * rate)) / rate
    n = len(time)
    around = np.concatenate([time - _STEP_S, time, time + _STEP_S])
    body, trial = perform_case(case, around)
    points = filled(body)
    parts = [np.ones(len(points.vertices), dtype=bool)]
    parts += [_below(points, joint, side) for joint in _BELOW for side in SIDES]
    centre = np.empty((n, 3))
    force, moment = np.empty((n, len(parts), 3)), np.empty((n, len(parts), 3))
    for i in range(n):
        before, now, after = (
            posed(points, trial.orientation[k], trial.position[k], points.vertices)
            for k in (i, n + i, 2 * n + i)
        )
        push = (before - 2 * now + after) / _STEP_S**2 + [0.0, GRAVITY, 0.0]
        turning = np.cross(now, push)
        centre[i] = now.mean(axis=0)
        for k, part in enumerate(parts):  # of a body of 1 kg, about the origin
            force[i, k] = push[part].sum(axis=0) / len(push)
            moment[i, k] = turning[part].sum(axis=0) / len(push)
    total, about = force[:, 0], moment[:, 0]
    pressure = np.stack([about[:, 2], 0 * total[:, 1], -about[:, 0]], axis=1) / total[:, 1:2]
    frames = slice(n, 2 * n)
    feet = np.stack([_under(trial, side, frames, pressure) for side in SIDES], axis=1)
    right = (pressure - feet[:, 0])[:, 0] / (feet[:, 1] - feet[:, 0])[:, 0]
    carried = np.ones(n, dtype=bool)
    if isinstance(motion, SitToStand):
        carried = motion.phases.at(time)[0] > 1e-9
    if not ((right >= 0) & (right <= 1))[carried].all():
        raise BadInputError(f"{case.name}: this person falls sideways; reduce shift_m")
    share = np.stack([1.0 - right, right], axis=1)
    unit = {"units": "1"}
    moments = {}
    for k, joint in enumerate(_BELOW):
        values = np.empty((n, 2))
        for s, side in enumerate(SIDES):
            place = trial.points[f"{side}_{joint}"][frames]
            of_leg = 1 + 2 * k + s
            inertia = moment[:, of_leg] - np.cross(place, force[:, of_leg])
            floor = np.cross(feet[:, s] - place, share[:, s, None] * total)
            axis = _flexion_axis(body, trial, side)[frames]
            values[:, s] = _EXTENDS[joint] * ((inertia - floor) * axis).sum(axis=1)
        moments[f"{joint}_moment"] = (
            ("time", "side"),
            values / (GRAVITY * case.body.height_m),
            {**unit, "long_name": f"moment that extends the {joint}, of weight times height"},
        )
    metres = {"units": "m"}
    result = xr.Dataset(
        {
            "weight_share": (
                ("time", "side"),
                share,
                {**unit, "long_name": "share of the vertical force on each leg"},
            ),
            "vertical_force": (
                "time",
                total[:, 1] / GRAVITY,
                {**unit, "long_name": "vertical force, of body weight"},
            ),
            "centre_of_pressure": (
                ("time", "axis"),
                pressure,
                {**metres, "long_name": "centre of pressure of both feet"},
            ),
            **moments,
        },
        coords={
            "time": ("time", time, {"units": "second"}),
            "side": list(SIDES),
            "axis": ["x", "y", "z"],
        },
    ).where(xr.DataArray(carried, dims="time"))
    result["centre_of_mass"] = (
        ("time", "axis"),
        centre,
        {**metres, "long_name": "centre of the volume of the body"},
    )
    return with_history(result, "true_loads", {"name": case.name})


def filled(body: Body) -> Body:
    """Return a body whose vertices are points inside the mesh at rest, all of the same mass.

    The points are :data:`SPACING_M` apart. A point moves with the bones that move the nearest
    vertex of the mesh.
    """
    import pyvista
    from scipy.spatial import cKDTree

    steps = [np.ceil(np.abs(body.vertices[:, k]).max() / SPACING_M) for k in range(3)]
    axes = [SPACING_M * (np.arange(-step, step) + 0.5) for step in steps]  # the same on both sides
    axes[1] = axes[1][axes[1] > 0]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    mesh = pyvista.PolyData.from_regular_faces(body.vertices, body.faces)
    within = pyvista.PolyData(grid).select_interior_points(mesh)
    points = grid[np.asarray(within["selected_points"]) > 0]
    _, nearest = cKDTree(body.vertices).query(points)
    return dataclasses.replace(
        body,
        vertices=points,
        weights=body.weights[nearest],
        weight_bones=body.weight_bones[nearest],
    )


def _below(points: Body, joint: str, side: str) -> Array:
    """Return which points are below a joint of a leg."""
    below = [
        name.startswith(_BELOW[joint]) and name.endswith(SUFFIX[side]) for name in points.bones
    ]
    return np.array(below)[points.main_bones]


def _under(trial: Trial, side: str, frames: slice, pressure: Array) -> Array:
    """Return where a foot presses on the floor: beside the centre of pressure, heel to toe."""
    heel, toe = (trial.points[f"{side}_{end}"][frames] for end in ("heel", "foot_index"))
    along = (pressure - heel)[:, 2] / (toe - heel)[:, 2]
    place: Array = (heel + along[:, None] * (toe - heel)) * [1.0, 0.0, 1.0]
    return place


def _flexion_axis(body: Body, trial: Trial, side: str) -> Array:
    """Return the axis of the knee, (time, 3), to the subject's right."""
    down = body.joint("ankle", side) - body.joint("hip", side)
    at_rest = direction(np.cross(down, rest_forward(body, side)))
    axis: Array = trial.orientation[:, body.bone("lowerleg01" + SUFFIX[side])] @ at_rest
    return axis
