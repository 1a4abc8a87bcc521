"""Knee movement: separation of the knees, and their deviation from the line of the foot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mobility import tables
from mobility.assessment.body_axes import OUTWARD, by_body_axes, median_of
from mobility.assessment.kernels import Points, of_points
from mobility.assessment.phases import never_standing_there
from mobility.keypoints.view import hides_frontal_plane

Array = NDArray[np.float64]


def _doubts(
    pose: xr.Dataset, repetitions: xr.Dataset, outputs: Mapping[str, Array]
) -> tuple[dict[str, str], list[Any]]:
    """Say that the view hides the frontal plane, or that the ankles are never apart."""
    if hidden_from := hides_frontal_plane(pose):
        reason = tables.sentence(f"reasons.{hidden_from.replace('-', '_')}_view")
        return {}, [tables.warning("warnings.frontal_plane_not_visible", reason=reason)]
    unknown, warnings = never_standing_there(repetitions), []
    if (
        np.isnan(outputs["standing_ankle_width"])
        and np.isfinite(outputs["knee_ankle_separation_ratio"]).any()
    ):
        unknown = unknown or tables.sentence("reasons.never_apart")
        warnings = [tables.warning("warnings.standing_ankle_width_unknown", reason=unknown)]
    return ({"knee_deviation": unknown} if unknown else {}), warnings


@of_points("hip", "knee", "ankle", "foot_index", doubts=_doubts)
def knee(points: Points, standing: Points, limits: Mapping[str, float]) -> dict[str, Array]:
    r"""Knee-ankle separation ratio and knee deviation at every frame.

    With eZ the horizontal direction from the left to the right hip, eX that to the front,
    K, A and T the knee, ankle and toe, W the median distance of the ankles along eZ over
    the standing frames (after a step those of the new stance), and s = +1 on the right, -1 on
    the left:

    - ``knee_ankle_separation_ratio`` = \|(K_R - K_L)·eZ\| / \|(A_R - A_L)·eZ\|;
    - ``knee_deviation`` = s (z - K·eZ) / W, where z is the place of the line from ankle to
      toe along eZ at the knee's place along eX, less its median over the standing frames.
      Positive: the knee is further medial of that line than the person stands;
    - ``frontal_plane_projection_angle``, see :func:`frontal_plane_projection_angle`;
    - ``standing_ankle_width`` = W.

    They are NaN where landmarks are missing, the hip line is steep, the ankles touch, or the foot
    points sideways (the angle: where the thigh points at the viewer).

    References
    ----------
    Ortiz et al. (2016), Open Access J Sports Med 7:65.
    Bell, Padua, Clark (2008), Arch Phys Med Rehabil 89:1323.
    """
    width = standing_ankle_width(by_body_axes(standing)[1]["ankle"], limits)
    x, z = by_body_axes(points)
    ratio = abs(z["knee"][:, 1] - z["knee"][:, 0]) / _apart(ankle_distance(z["ankle"]), limits)
    offset = medial_of_foot(points, limits) - median_of(medial_of_foot(standing, limits))
    leg = (
        np.stack([x[joint], points[joint][..., 1], OUTWARD * z[joint]], axis=-1)
        for joint in ("hip", "knee", "ankle")
    )
    valgus = frontal_plane_projection_angle(*leg, smallest_share=limits["smallest_projected_thigh"])
    return {
        "knee_ankle_separation_ratio": ratio,
        "knee_deviation": offset / width,
        "frontal_plane_projection_angle": valgus,
        "standing_ankle_width": width,
    }


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


def standing_ankle_width(ankle_z: Array, limits: Mapping[str, float]) -> Array:
    """Median distance of the ankles over the standing frames; NaN where they nearly touch."""
    return _apart(median_of(ankle_distance(ankle_z)), limits)


def _apart(distance: Array, limits: Mapping[str, float]) -> Array:
    return np.where(distance >= limits["smallest_ankle_width_m"], distance, np.nan)


def medial_of_foot(points: Points, limits: Mapping[str, float]) -> Array:
    """How far the knees (time, side) are medial of the line from ankle to toe, metres."""
    x, z = by_body_axes(points)
    forward, outward = (v["foot_index"] - v["ankle"] for v in (x, z))
    least = np.hypot(forward, outward) * np.cos(np.radians(limits["largest_toe_out_deg"]))
    reach = (x["knee"] - x["ankle"]) / np.where(forward > least, forward, np.nan)
    medial: Array = OUTWARD * (z["ankle"] + reach * outward - z["knee"])
    return medial
