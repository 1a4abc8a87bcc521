"""Posture: heels, trunk against the shanks, arms, weight to one side, feet, stance."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from mobility.assessment.body_axes import OUTWARD, by_body_axes, median_of
from mobility.assessment.kernels import Points, of_points
from mobility.assessment.knee_movement import ankle_distance, standing_ankle_width

Array = NDArray[np.float64]


@of_points("shoulder", "wrist", "hip", "knee", "ankle", "heel", "foot_index")
def posture(points: Points, standing: Points, limits: Mapping[str, float]) -> dict[str, Array]:
    """Posture of every frame.

    ``heel_rise(time, side)`` and ``toe_out(time, side)`` in degrees,
    ``trunk_tibia_difference(time)`` in degrees, ``dowel_offset(time)`` in lengths of the foot,
    ``lateral_shift(time)`` in standing distances of the ankles, ``stance_width`` and
    ``stance_width_m`` of the trial. An error common to trunk and shanks, or to both hips and both
    ankles, cancels in them.

    References
    ----------
    Cook, Burton, Hoogenboom, Voight (2014), Int J Sports Phys Ther 9:396 (trunk and shanks, dowel).
    Padua et al. (2009), Am J Sports Med 37:1996 (stance against the shoulders, foot rotation).
    """
    x, z = by_body_axes(points)
    at_rest_z = by_body_axes(standing)[1]
    y = {joint: place[..., 1] for joint, place in points.items()}

    def mean(sided: Array) -> Array:
        return np.asarray(sided.mean(axis=-1))

    length = median_of(mean(np.linalg.norm(points["foot_index"] - points["heel"], axis=-1)))
    trunk = np.arctan2(mean(x["shoulder"]) - mean(x["hip"]), mean(y["shoulder"]) - mean(y["hip"]))
    shank = np.arctan2(x["knee"] - x["ankle"], y["knee"] - y["ankle"])
    middle = mean(x["heel"] + x["foot_index"]) / 2
    width = standing_ankle_width(at_rest_z["ankle"], limits)
    stance = median_of(ankle_distance(at_rest_z["ankle"]))
    shoulders = standing["shoulder"]
    across = median_of(np.linalg.norm(shoulders[:, 1] - shoulders[:, 0], axis=-1))

    def over_ankles(z: Mapping[str, Array]) -> Array:
        return mean(z["hip"] - z["ankle"])

    return {
        "heel_rise": _pitch(points) - median_of(_pitch(standing)),
        "trunk_tibia_difference": np.degrees(trunk - mean(shank)),
        "dowel_offset": (mean(x["wrist"]) - middle) / length,
        "lateral_shift": (over_ankles(z) - median_of(over_ankles(at_rest_z))) / width,
        "toe_out": np.degrees(
            np.arctan2(OUTWARD * (z["foot_index"] - z["heel"]), x["foot_index"] - x["heel"])
        ),
        "stance_width": stance / across,
        "stance_width_m": stance,
    }


def _pitch(points: Points) -> Array:
    """Angle of the line from toe to heel above the horizontal, degrees (time, side)."""
    rise = points["heel"] - points["foot_index"]
    pitch: Array = np.degrees(np.arctan2(rise[..., 1], np.hypot(rise[..., 0], rise[..., 2])))
    return pitch
