"""MediaPipe's pose landmarker behind plain arrays.

Only this module uses MediaPipe. It is imported by the worker processes, never by
``import mobility``.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Image = npt.NDArray[np.uint8]
Box = tuple[float, float, float, float]

KEYPOINTS = 33
COLUMNS = 8
"""Columns of a pose: u, v, image depth (pixels); x, y, z (m); visibility, presence."""

CORE = (11, 12, 23, 24)
"""Shoulders and hips, which a credible person shows."""


@dataclass(frozen=True)
class Region:
    """A part of the picture in pixels: left, top (inclusive), right, bottom (exclusive).

    It may reach beyond the picture; the part outside is grey.
    """

    left: int
    top: int
    right: int
    bottom: int

    def cut(self, image: Image) -> Image:
        """Copy this part out of `image`; MediaPipe misreads arrays that are not contiguous."""
        height, width = image.shape[:2]
        inside = image[max(self.top, 0) : self.bottom, max(self.left, 0) : self.right]
        if self.left >= 0 and self.top >= 0 and self.right <= width and self.bottom <= height:
            return np.ascontiguousarray(inside)
        part = np.full((self.bottom - self.top, self.right - self.left, 3), 128, np.uint8)
        top, left = max(-self.top, 0), max(-self.left, 0)
        part[top : top + inside.shape[0], left : left + inside.shape[1]] = inside
        return part


class Landmarker:
    """One MediaPipe landmarker; use as a context manager, so that it is closed.

    `model` is the path of the ``.task`` bundle. "video" tracks and smooths from call to call,
    "image" starts anew each time. Searching for more than one of the `people` switches smoothing
    off.
    """

    def __init__(
        self, model: str | os.PathLike[str], mode: Literal["video", "image"], people: int = 1
    ) -> None:
        from mediapipe.tasks.python import BaseOptions, vision

        running = vision.RunningMode.VIDEO if mode == "video" else vision.RunningMode.IMAGE
        self._video = mode == "video"
        self._last_ms = -1
        self._landmarker = vision.PoseLandmarker.create_from_options(
            vision.PoseLandmarkerOptions(
                base_options=BaseOptions(model_asset_path=os.fspath(model)),
                running_mode=running,
                num_poses=people,
            )
        )

    def __enter__(self) -> Landmarker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the interpreter (else it prints a traceback at exit)."""
        self._landmarker.close()

    def __call__(
        self, image: Image, region: Region | None = None, *, time: float = 0.0
    ) -> list[Array]:
        """Find people in an RGB image, or in a part of it: (33, 8) each.

        Columns are :data:`COLUMNS`; pixels are those of the whole picture. `time` is in seconds; in
        video mode it must not decrease.
        """
        import mediapipe as mp

        height, width = image.shape[:2]
        region = region or Region(0, 0, width, height)
        part = region.cut(image)
        # The Image must outlive the call: it only borrows the array's memory.
        picture = mp.Image(mp.ImageFormat.SRGB, part)
        if self._video:
            self._last_ms = max(round(time * 1000), self._last_ms + 1)
            result = self._landmarker.detect_for_video(picture, self._last_ms)
        else:
            result = self._landmarker.detect(picture)
        return [
            _array(image_marks, world_marks, region)
            for image_marks, world_marks in zip(
                result.pose_landmarks, result.pose_world_landmarks, strict=True
            )
        ]


def _array(image_marks: Sequence[Any], world_marks: Sequence[Any], region: Region) -> Array:
    width, height = region.right - region.left, region.bottom - region.top
    pose = np.array(
        [
            (a.x, a.y, a.z, b.x, b.y, b.z, a.visibility, a.presence)
            for a, b in zip(image_marks, world_marks, strict=True)
        ],
        dtype=np.float64,
    )
    # MediaPipe scales its image depth like x, by the width of the picture.
    pose[:, :3] *= (width, height, width)
    pose[:, :2] += (region.left, region.top)
    return pose


def bounding_box(pose: Array) -> Box:
    """Box around the keypoints of a pose: left, top, right, bottom, pixels."""
    low, high = pose[:, :2].min(axis=0), pose[:, :2].max(axis=0)
    return (float(low[0]), float(low[1]), float(high[0]), float(high[1]))


def overlap(a: Box, b: Box) -> float:
    """Intersection over union of two boxes, 0 to 1."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    area = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
    return float(shared / area) if area > 0 else 0.0


def around(box: Box, width: int, height: int, *, margin: float) -> Region:
    """Region around `box`, wider by `margin` of its longer side, inside the picture."""
    extra = margin * max(box[2] - box[0], box[3] - box[1])
    left = int(max(0, np.floor(box[0] - extra)))
    top = int(max(0, np.floor(box[1] - extra)))
    right = int(min(width, np.ceil(box[2] + extra)))
    bottom = int(min(height, np.ceil(box[3] + extra)))
    # A box at the very edge still needs some picture to look at.
    left, top = min(left, max(width - 16, 0)), min(top, max(height - 16, 0))
    return Region(left, top, max(right, min(left + 16, width)), max(bottom, min(top + 16, height)))


def upside_down(pose: Array) -> bool:
    """Whether the shoulders lie far below the hips in the picture.

    The model turns a body upside down if the head is out of the picture, because it takes the hips
    for a head. Lying people are not upside down.
    """
    down = pose[[11, 12], :2].mean(axis=0) - pose[[23, 24], :2].mean(axis=0)
    return bool(down[1] > 0.7 * np.linalg.norm(down))


def believable(pose: Array) -> bool:
    """Whether a pose found on a crop is of a person: shoulders and hips present and visible."""
    return bool(pose[CORE, 6].mean() > 0.6 and pose[CORE, 7].mean() > 0.6)
