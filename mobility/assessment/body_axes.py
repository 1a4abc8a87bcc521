"""Landmarks of a pose as arrays, and the axes of the body."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mobility.assessment.phases import Moments, standing_of_main_stance
from mobility.kinematics.skeleton import SIDES, body_frame, landmarks

Array = NDArray[np.float64]

OUTWARD = np.array([-1.0, 1.0])
"""Sign of the outward direction along eZ (the subject's right), for the left and the right side."""


def points_of(pose: xr.Dataset, joints: Sequence[str]) -> Array:
    """Return the positions of paired landmarks, shape (time, joint, side, space)."""
    names = [f"{side}_{joint}" for joint in joints for side in SIDES]
    flat = landmarks(pose, keypoints=names)
    return flat.reshape(len(flat), len(joints), len(SIDES), 3)


def body_axes(pose: xr.Dataset) -> xr.DataArray:
    """Return the axes of the body at every frame: X to the front, Y up, Z to the subject's right.

    eZ is the horizontal part of the line from the left to the right hip, eX = eY × eZ.

    Parameters
    ----------
    pose
        Pose Dataset in metres, y up.

    Returns
    -------
    xarray.DataArray
        Unit vectors, over ``(time, axis, space)``; NaN if a hip is missing or the hip line is more
        than 60° from the horizontal.

    References
    ----------
    Wu et al. (2002), J Biomech 35:543.
    """
    hips = points_of(pose, ["hip"])[:, 0]
    return xr.DataArray(
        body_frame(hips[:, 0], hips[:, 1]),
        dims=("time", "axis", "space"),
        coords={"time": pose["time"].values, "axis": ["X", "Y", "Z"], "space": ["x", "y", "z"]},
    )


def in_body_axes(points: Array, hip: int) -> tuple[Array, Array]:
    """Return the coordinates along eX and eZ of points (..., joint, side, space)."""
    frame = body_frame(points[..., hip, 0, :], points[..., hip, 1, :])[..., None, None, :, :]
    x: Array = (points * frame[..., 0, :]).sum(axis=-1)
    z: Array = (points * frame[..., 2, :]).sum(axis=-1)
    return x, z


def by_body_axes(points: Mapping[str, Array]) -> tuple[dict[str, Array], dict[str, Array]]:
    """Return the coordinates along eX and eZ of points (..., side, space), by joint."""
    names = list(points)
    both = in_body_axes(np.stack([points[name] for name in names], axis=-3), names.index("hip"))
    x, z = (dict(zip(names, np.moveaxis(coordinates, -2, 0), strict=True)) for coordinates in both)
    return x, z


def lean_at_rest(pose: xr.Dataset, repetitions: xr.Dataset, moments: Moments) -> float:
    """Return the median angle between the trunk and the vertical while standing, in degrees.

    Only the stance with the most repetitions counts. If the trunk is not seen in it, the ends of
    repetitions that are not cut off are used, and their starts if the exercise begins in standing
    (by its `moments`). The result is NaN if there are none.
    """
    points = points_of(pose, ["hip", "shoulder"]).mean(axis=2)
    trunk = points[:, 1] - points[:, 0]
    level = np.hypot(trunk[:, 0], trunk[:, 2])
    lean = np.degrees(np.arctan2(level, trunk[:, 1]))
    at_rest = standing_of_main_stance(repetitions)
    if not np.isfinite(lean[at_rest]).any():
        stands_first = any("before" in entry for entry in moments.values())
        edges_at_rest = ("start", "end") if stands_first else ("end",)
        edges = np.concatenate(
            [
                repetitions[name].to_numpy()[repetitions[f"{name}_seen"].to_numpy().astype(bool)]
                for name in edges_at_rest
            ]
        )
        time = pose["time"].to_numpy()
        at_rest = np.isin(np.arange(time.size), [int(np.argmin(abs(time - e))) for e in edges])
    finite_lean = lean[at_rest]
    finite_lean = finite_lean[np.isfinite(finite_lean)]
    return float(np.median(finite_lean)) if finite_lean.size else float("nan")


def median_of(values: Array) -> Array:
    """Return the median over the first axis, ignoring NaN; NaN if there are no values."""
    if not len(values):
        return np.full(values.shape[1:], np.nan)
    # Three times as fast as nanmedian, and without its warning.
    ordered = np.sort(values, axis=0)  # NaN last
    count = (~np.isnan(values)).sum(axis=0)[np.newaxis]
    middle = [
        np.take_along_axis(ordered, np.maximum(half, 0), axis=0)[0]
        for half in ((count - 1) // 2, count // 2)
    ]
    return np.where(count[0] > 0, np.mean(middle, axis=0), np.nan)
