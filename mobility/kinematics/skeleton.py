"""The body model: landmarks, sides, segments and bones, read from ``tables/landmarks.yaml``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mobility import tables

_TABLE = tables.load("landmarks")

SIDES: tuple[str, str] = ("left", "right")
"""The subject's left and right, in the order of every ``side`` coordinate."""

KEYPOINTS: tuple[str, ...] = tuple(_TABLE["landmarks"]["names"])
"""The 33 landmarks in MediaPipe's order."""

FITTED: tuple[str, ...] = tuple(
    f"{side}_{name}"
    for name in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle", "heel", "foot_index")
    for side in SIDES
)
"""The joints that are fitted; all other landmarks are carried along for drawing."""

INDEX: Mapping[str, int] = {name: i for i, name in enumerate(KEYPOINTS)}
"""Position of each landmark in :data:`KEYPOINTS`."""

SEGMENTS: Mapping[str, tuple[str, str]] = {
    f"{side}_{name}": (f"{side}_{ends[0]}", f"{side}_{ends[1]}")
    for name, ends in _TABLE["segments"]["sided"].items()
    for side in SIDES
}
"""Proximal and distal landmark of each segment, by its sided name (``left_thigh``)."""

BONES: tuple[tuple[str, str], ...] = tuple(
    (f"{side}_{a}", f"{side}_{b}") for a, b in _TABLE["bones"]["sided"] for side in SIDES
) + tuple((f"left_{name}", f"right_{name}") for name in _TABLE["bones"]["across"])
"""Pairs of landmarks to be joined by a line in figures and overlays."""

_AXES = {"space": ["x", "y", "z"], "pixel": ["u", "v"]}


def landmarks(
    pose: xr.Dataset, name: str = "position", *, keypoints: Sequence[str] = KEYPOINTS
) -> NDArray[np.float64]:
    """Values of a variable of a pose: (time, landmark), with x, y, z or u, v last."""
    variable = pose[name].isel(individual=0, drop=True, missing_dims="ignore")
    last = {dim: labels for dim, labels in _AXES.items() if dim in variable.dims}
    points = variable.sel({"keypoint": list(keypoints), **last})
    return points.transpose("time", "keypoint", *last).to_numpy().astype(np.float64)


def never_there(pose: xr.Dataset, names: Sequence[str]) -> list[str]:
    """Those of `names` that the keypoints of a pose do not have: no frame has a confidence."""
    if "confidence" not in pose or not pose["confidence"].notnull().any():
        return []
    absent = np.asarray(np.isnan(landmarks(pose, "confidence", keypoints=names)).all(axis=0))
    return [name for name, is_absent in zip(names, absent, strict=True) if is_absent]


FEET: tuple[str, ...] = tuple(f"{side}_{name}" for side in SIDES for name in ("heel", "foot_index"))
"""Landmarks of the feet, which many models do not have."""


def is_without_feet(pose: xr.Dataset) -> bool:
    """Whether the keypoints of a pose have neither heels nor toes."""
    return len(never_there(pose, FEET)) == len(FEET)


def other_side(name: str) -> str:
    """Name of the same landmark or segment on the other side; unchanged for one without a side."""
    if "left" in name:
        return name.replace("left", "right")
    return name.replace("right", "left")
