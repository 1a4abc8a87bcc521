"""Posture: heels, trunk compared with the shanks, arms, lateral shift, feet, stance and lean."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mobility import tables
from mobility.assessment.body_axes import OUTWARD, by_body_axes, median_of
from mobility.assessment.kernels import Points, ankle_distance, of_points, standing_ankle_width
from mobility.keypoints.view import trial_view
from mobility.kinematics.skeleton import SIDES

Array = NDArray[np.float64]


@of_points("shoulder", "wrist", "hip", "knee", "ankle", "heel", "foot_index")
def posture(points: Points, standing: Points, limits: Mapping[str, float]) -> dict[str, Array]:
    """Compute the posture of every frame.

    The outputs in degrees are ``heel_rise(time, side)``, ``toe_out(time, side)`` and
    ``trunk_tibia_difference(time)``. ``dowel_offset(time)`` is in foot lengths, and
    ``lateral_shift(time)`` is relative to the distance of the ankles in standing. ``stance_width``
    and ``stance_width_m`` belong to the recording. An error that the trunk and the shanks have in
    common cancels out, and so does one that both hips and both ankles have in common.

    References
    ----------
    Cook, Burton, Hoogenboom, Voight (2014), Int J Sports Phys Ther 9:396 (trunk and shanks, dowel).
    Padua et al. (2009), Am J Sports Med 37:1996 (stance relative to the shoulders, foot rotation).
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
    """Return the angle of the line from toe to heel above the horizontal, degrees (time, side)."""
    rise = points["heel"] - points["foot_index"]
    pitch: Array = np.degrees(np.arctan2(rise[..., 1], np.hypot(rise[..., 0], rise[..., 2])))
    return pitch


def leans_far_forward(
    pose: xr.Dataset, standing: NDArray[np.bool_], bottoms: NDArray[np.bool_]
) -> bool:
    """Whether the picture from the front clearly shows a large trunk lean at the bottom of a squat.

    If the trunk leans towards the camera, it looks short: in the picture, the shoulders are hardly
    higher than the hips. Only the view from the front was calibrated, so the result is False for
    other views, and for poses without a picture.

    Parameters
    ----------
    pose
        Pose Dataset with ``image_position`` in pixels, v downwards.
    standing, bottoms
        Over (repetition, time): the frames of the accepted repetitions in which the person stands
        and is lowest.
    """
    if "image_position" not in pose or trial_view(pose) != "front":
        return False
    return trunk_in_picture(pose, standing, bottoms) < gross_lean_limit()  # NaN shows nothing


def gross_lean_limit() -> float:
    """Return the least height in the picture of a trunk that does not lean far forward."""
    return float(tables.load("measures")["limits"]["short_trunk_in_picture"]["value"])


def trunk_in_picture(
    pose: xr.Dataset, standing: NDArray[np.bool_], bottoms: NDArray[np.bool_]
) -> float:
    """Compute the apparent height of the trunk at the bottom, relative to the legs in standing.

    The share is the height of the shoulders above the hips at the bottom, divided by the height of
    the hips above the ankles in standing, both in the picture. The result is the median over the
    repetitions, or NaN if one of these points is not seen.

    Parameters
    ----------
    pose, standing, bottoms
        As in :func:`leans_far_forward`.
    """
    image = pose["image_position"].isel(individual=0, drop=True, missing_dims="ignore")
    image = image.sel(pixel="v", drop=True)

    def height(joint: str) -> NDArray[np.float64]:
        names = [f"{side}_{joint}" for side in SIDES]
        row = image.sel(keypoint=names).mean("keypoint", skipna=False)
        return -row.to_numpy().astype(np.float64)

    trunk, leg = height("shoulder") - height("hip"), height("hip") - height("ankle")
    legs = median_of(leg[standing.any(axis=0)])
    if not legs > 0:
        return float("nan")
    return float(median_of(np.array([median_of(trunk[frames]) for frames in bottoms])) / legs)
