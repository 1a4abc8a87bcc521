"""Knee movement: separation of the knees, and their deviation from the line of the foot."""

from __future__ import annotations

import functools

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mobility import provenance, tables
from mobility.assessment.body import OUTWARD, in_body_axes, median_of
from mobility.assessment.metric import CARRIED, frame_variables, merged_history
from mobility.assessment.phases import (
    REPETITION,
    main_stance,
    never_standing_there,
    require,
    same_frames,
    within_repetitions,
)
from mobility.assessment.propagation import values_and_sd
from mobility.kinematics.datasets import require_pose
from mobility.view import hides_frontal_plane

Array = NDArray[np.float64]

_JOINTS = ("hip", "knee", "ankle", "foot_index")


def knee_movement(pose: xr.Dataset, repetitions: xr.Dataset) -> xr.Dataset:
    r"""Knee-ankle separation ratio and knee deviation at every frame.

    With eZ the horizontal direction from the left to the right hip, eX that to the front,
    K, A and T the knee, ankle and toe, W the median distance of the ankles along eZ over
    the standing frames (after a step those of the new stance), and s = +1 on the right, -1 on
    the left:

    - ``knee_ankle_separation_ratio`` = \|(K_R - K_L)·eZ\| / \|(A_R - A_L)·eZ\|;
    - ``knee_deviation`` = s (z - K·eZ) / W, where z is the place of the line from ankle to
      toe along eZ at the knee's place along eX, less its median over the standing frames.
      Positive: the knee is further medial of that line than the person stands;
    - ``frontal_plane_projection_angle``, see :func:`frontal_plane_projection_angle`.

    Parameters
    ----------
    pose
        Pose Dataset in metres, y up: ``position(time, space, keypoint, individual)``.
    repetitions
        Repetitions Dataset of the same frames; its standing frames give W.

    Returns
    -------
    xarray.Dataset
        ``knee_ankle_separation_ratio(time)``, ``knee_deviation(time, side)``, both without
        unit, ``frontal_plane_projection_angle(time, side)`` in degrees, each with its ``_sd``.
        NaN where landmarks are missing, the hip line is steep, the ankles touch, or the foot
        points sideways (the angle: where the thigh points at the viewer); NaN throughout, with
        the warning ``frontal_plane_not_visible``, when the camera stands at the
        side or obliquely behind (:func:`mobility.view.hides_frontal_plane`).

    Raises
    ------
    BadInputError
        When a variable is missing or the frames of the inputs differ.

    Notes
    -----
    The ``_sd`` is the root mean square, over draws of all landmark positions, of what the
    quantities deviate from their value; hips included, since their line defines eZ (see
    :func:`~mobility.assessment.propagation.values_and_sd`). Where 1.96 ``_sd`` exceeds the limit
    of the table the value is refused, NaN, and the attribute ``note`` says so.

    References
    ----------
    Ortiz et al. (2016), Open Access J Sports Med 7:65.
    Bell, Padua, Clark (2008), Arch Phys Med Rehabil 89:1323.
    """
    table = tables.load("measures")
    require_pose(pose, what="knee_movement")
    require(repetitions, "repetitions", list(REPETITION))
    same_frames(pose, repetitions, "repetitions")
    limits = {name: entry["value"] for name, entry in table["limits"].items()}
    kernel = functools.partial(_movement, limits=limits)
    standing, main = repetitions["standing"].values.astype(bool), main_stance(repetitions)
    values, sd = values_and_sd(pose, _JOINTS, standing, kernel, main=main)
    width = float(values.pop("standing_ankle_width"))

    warnings: list[dict[str, str]] = []
    note, unknown = "", never_standing_there(repetitions)
    if hidden_from := hides_frontal_plane(pose):
        note = tables.sentence(f"reasons.{hidden_from.replace('-', '_')}_view")
        warnings.append(tables.warning("warnings.frontal_plane_not_visible", reason=note))
    elif np.isnan(width) and np.isfinite(values["knee_ankle_separation_ratio"]).any():
        unknown = unknown or tables.sentence("reasons.never_apart")
        warnings.append(tables.warning("warnings.standing_ankle_width_unknown", reason=unknown))
    inside = within_repetitions(repetitions)
    result, uncertain = xr.Dataset(), []
    for part in ("knee_movement", "frontal_plane"):
        some = {name: values[name] for name in table[part]}
        variables, refused = frame_variables(pose, inside, some, sd, table[part], note=note)
        result = result.assign(variables)
        # The projection angle has values in so few frames that a refusal is no warning.
        uncertain += refused if part == "knee_movement" else []
    if unknown and not note:
        result["knee_deviation"].attrs["note"] = unknown
    result["frontal_plane_projection_angle"].attrs.setdefault(
        "note", tables.sentence("reasons.thigh_towards_camera")
    )
    result.attrs = {key: pose.attrs[key] for key in CARRIED if key in pose.attrs}
    result.attrs["ds_type"] = "knee_movement"
    return provenance.with_history(
        result.assign_attrs(history=merged_history(pose, repetitions)),
        "knee_movement",
        {},
        standing_ankle_width_m=None if np.isnan(width) else width,
        warnings=warnings + uncertain,
    )


def frontal_plane_projection_angle(
    hip: Array, knee: Array, ankle: Array, *, smallest_share: float = 0.0
) -> Array:
    """Angle of the knee in the frontal plane (2D knee valgus), degrees.

    Parameters
    ----------
    hip, knee, ankle
        Joints of one leg (..., 3) in metres: forward, up, and outward from the middle of the body.
    smallest_share
        Least length of the projected thigh, as a share of its own, at which there is an angle. Deep
        in a squat the thigh points at the viewer, and the angle of what is left of it says where
        the foot points: with the knees over turned out toes it falls from -29 to -137 degrees.

    Returns
    -------
    Array
        180 degrees less the angle between thigh and shank in the plane of the last two axes:
        0 straight, positive with the knee medial of the line from hip to ankle (valgus).

    References
    ----------
    Willson, Ireland, Davis (2006), Med Sci Sports Exerc 38:945.
    """
    thigh, shank = knee - hip, ankle - knee
    up, out = thigh[..., 1], thigh[..., 2]
    cross = out * shank[..., 1] - up * shank[..., 2]
    angle = np.degrees(np.arctan2(cross, up * shank[..., 1] + out * shank[..., 2]))
    share = np.hypot(up, out) / np.linalg.norm(thigh, axis=-1)
    return np.where(share >= smallest_share, angle, np.nan)


def ankle_distance(ankle_z: Array) -> Array:
    """Distance of the ankles, given their coordinates (..., side) along eZ."""
    return abs(ankle_z[..., 1] - ankle_z[..., 0])


def standing_ankle_width(ankle_z: Array, limits: dict[str, float]) -> Array:
    """Median distance of the ankles over the standing frames; NaN where they nearly touch."""
    return _apart(median_of(ankle_distance(ankle_z)), limits)


def _apart(distance: Array, limits: dict[str, float]) -> Array:
    return np.where(distance >= limits["smallest_ankle_width_m"], distance, np.nan)


def _movement(points: Array, standing: Array, limits: dict[str, float]) -> dict[str, Array]:
    """Separation ratio (time), deviation (time, side) and standing width of points."""
    width = standing_ankle_width(in_body_axes(standing, 0)[1][:, 2], limits)
    x, z = in_body_axes(points, 0)
    knee_z, ankle_z = z[:, 1], z[:, 2]
    ratio = abs(knee_z[:, 1] - knee_z[:, 0]) / _apart(ankle_distance(ankle_z), limits)
    offset = medial_of_foot(points, limits) - median_of(medial_of_foot(standing, limits))
    leg = np.stack([x, points[..., 1], OUTWARD * z], axis=-1)[:, :3]
    valgus = frontal_plane_projection_angle(
        *np.moveaxis(leg, 1, 0), smallest_share=limits["smallest_projected_thigh"]
    )
    return {
        "knee_ankle_separation_ratio": ratio,
        "knee_deviation": offset / width,
        "frontal_plane_projection_angle": valgus,
        "standing_ankle_width": width,
    }


def medial_of_foot(points: Array, limits: dict[str, float]) -> Array:
    """How far the knees (time, side) are medial of the line from ankle to toe, metres."""
    x, z = in_body_axes(points, 0)
    forward, outward = x[:, 3] - x[:, 2], z[:, 3] - z[:, 2]
    least = np.hypot(forward, outward) * np.cos(np.radians(limits["largest_toe_out_deg"]))
    reach = (x[:, 1] - x[:, 2]) / np.where(forward > least, forward, np.nan)
    medial: Array = OUTWARD * (z[:, 2] + reach * outward - z[:, 1])
    return medial
