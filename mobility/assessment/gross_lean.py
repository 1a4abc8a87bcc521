"""Recognise a trunk that leans far forward in a picture from the front."""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mobility import tables
from mobility.assessment.body_axes import median_of
from mobility.keypoints.view import trial_view
from mobility.kinematics.skeleton import SIDES


def leans_far_forward(
    pose: xr.Dataset, standing: NDArray[np.bool_], bottoms: NDArray[np.bool_]
) -> bool:
    """Whether the picture shows a gross lean of the trunk at the bottom of a squat, from the front.

    A trunk that leans towards the camera looks short: the shoulders are then hardly higher than
    the hips in the picture. Only the view from the front was calibrated, so that other views, and
    poses without a picture, never show it.

    Parameters
    ----------
    pose
        Pose Dataset with ``image_position`` in pixels, v downwards.
    standing, bottoms
        Over (repetition, time): the frames of the repetitions that count in which the person stands
        and is lowest.
    """
    if "image_position" not in pose or trial_view(pose) != "front":
        return False
    return trunk_in_picture(pose, standing, bottoms) < gross_lean_limit()  # NaN shows nothing


def gross_lean_limit() -> float:
    """Give the height of the trunk in the picture below which it leans far forward."""
    return float(tables.load("measures")["limits"]["short_trunk_in_picture"]["value"])


def trunk_in_picture(
    pose: xr.Dataset, standing: NDArray[np.bool_], bottoms: NDArray[np.bool_]
) -> float:
    """Compute how high the trunk looks at the bottom, as a share of the legs while standing.

    It is the height of the shoulders above the hips at the bottom, divided by the height of the
    hips above the ankles in standing, both in the picture; the median over the repetitions. NaN if
    one of them is not seen.

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
