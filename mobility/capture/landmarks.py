"""The landmarks of a person in pictures, and the box around them.

All code here uses landmarks by name. Only the modules that run a pose model know its columns:
:mod:`mobility.capture.landmarker` for MediaPipe, :mod:`mobility.capture.detectors` for others.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mobility.keypoints.sources import LANDMARKS

Array = npt.NDArray[np.float64]
Image = npt.NDArray[np.uint8]
Box = tuple[float, float, float, float]

LANDMARK = np.dtype(
    [
        ("pixels", np.float64, 2),
        ("depth", np.float64),
        ("position", np.float64, 3),
        ("confidence", np.float64),
        ("presence", np.float64),
    ]
)
"""A landmark: its position in the picture from the left and the top, and its depth (smaller is
nearer), all in pixels; position in metres (x right, y up, z towards the camera); confidence and
presence, 0 to 1. NaN if nobody is there, or if the model does not provide the value.
"""

Landmarks = npt.NDArray[np.void]
"""All landmarks of one person, (33,), or of one person in each of n pictures, (n, 33)."""


def nobody(*shape: int) -> Landmarks:
    """Return landmarks that are all NaN, for one picture or for pictures of this `shape`."""
    return np.full((*shape, len(LANDMARKS)), np.nan, LANDMARK)


def stacked(poses: list[Landmarks]) -> Landmarks:
    """Join the landmarks of any number of pictures: (n, 33)."""
    return np.stack(poses) if poses else nobody(0)


def rows_of(*names: str) -> list[int]:
    """Return the rows of landmarks in a pose."""
    return [LANDMARKS.index(name) for name in names]


NOSE_AND_SHOULDERS = rows_of("nose", "left_shoulder", "right_shoulder")
SHOULDERS = rows_of("left_shoulder", "right_shoulder")
HIPS = rows_of("left_hip", "right_hip")
CORE = [*SHOULDERS, *HIPS]
"""Landmarks that must be visible for a pose to count as a person."""


def is_somebody(poses: Landmarks) -> npt.NDArray[np.bool_]:
    """Whether each picture has a person."""
    return np.asarray(np.isfinite(poses["pixels"]).all(axis=-1).any(axis=-1))


def points_in_picture(pose: Landmarks) -> Array:
    """Return the landmarks of a person that lie somewhere in the picture, pixels: (up to 33, 2)."""
    pixels: Array = pose["pixels"]
    return pixels[np.isfinite(pixels).all(axis=-1)]


def bounding_box(pose: Landmarks) -> Box:
    """Return the box around the landmarks of a person: left, top, right and bottom, in pixels."""
    points = points_in_picture(pose)
    if not len(points):
        return (np.nan, np.nan, np.nan, np.nan)
    low, high = points.min(axis=0), points.max(axis=0)
    return (float(low[0]), float(low[1]), float(high[0]), float(high[1]))


def overlap(a: Box, b: Box) -> float:
    """Return the intersection over union of two boxes, 0 to 1."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    area = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
    return float(shared / area) if area > 0 else 0.0


def upside_down(pose: Landmarks) -> bool:
    """Whether the shoulders lie far below the hips in the picture.

    The model turns a body upside down if the head is out of the picture, because it takes the hips
    for a head. Lying people are not upside down.
    """
    pixels = pose["pixels"]
    down = pixels[SHOULDERS].mean(axis=0) - pixels[HIPS].mean(axis=0)
    return bool(down[1] > 0.7 * np.linalg.norm(down))


def believable(pose: Landmarks) -> bool:
    """Whether a pose found on a crop is a person: shoulders and hips are present and visible."""
    return bool(pose["confidence"][CORE].mean() > 0.6 and pose["presence"][CORE].mean() > 0.6)


def arrays_as_bytes(arrays: dict[str, npt.NDArray[Any]]) -> tuple[list[Any], bytes]:
    """Return the layout of arrays as JSON values, and their bytes, for :func:`arrays_of`."""
    layouts = [
        [name, "landmarks" if array.dtype == LANDMARK else array.dtype.str, array.shape]
        for name, array in arrays.items()
    ]
    return layouts, b"".join(array.tobytes() for array in arrays.values())


def arrays_of(layouts: list[Any], content: bytes) -> dict[str, npt.NDArray[Any]]:
    """Restore arrays by name from a message that another process sent."""
    arrays, start = {}, 0
    for name, kind, shape in layouts:
        dtype = LANDMARK if kind == "landmarks" else np.dtype(kind)
        count = int(np.prod(shape))
        arrays[name] = np.frombuffer(content, dtype, count, start).reshape(shape)
        start += arrays[name].nbytes
    return arrays
