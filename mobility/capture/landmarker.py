"""MediaPipe's pose landmarker, whose landmarks get names here.

Only this module uses MediaPipe. The worker processes import it; ``import mobility`` never does.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from mobility.capture.landmarks import LANDMARK, Box, Image, Landmarks


@dataclass(frozen=True)
class Region:
    """A part of the picture in pixels: left, top (inclusive), right, bottom (exclusive).

    It may extend beyond the picture; the part outside is grey.
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
    """One MediaPipe landmarker; use it as a context manager, so that it is closed.

    `model` is the path of the ``.task`` bundle. The mode "video" tracks and smooths from call to
    call; "image" treats every picture separately. If `people` is more than one, MediaPipe does not
    smooth.
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
        """Release the interpreter; otherwise it prints a traceback at exit."""
        self._landmarker.close()

    def __call__(
        self, image: Image, region: Region | None = None, *, time: float = 0.0
    ) -> list[Landmarks]:
        """Find people in an RGB image, or in a part of it.

        Pixels refer to the whole picture. `time` is in seconds; in video mode it must not decrease.
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
            _landmarks(image_marks, world_marks, region)
            for image_marks, world_marks in zip(
                result.pose_landmarks, result.pose_world_landmarks, strict=True
            )
        ]


def _landmarks(image_marks: Sequence[Any], world_marks: Sequence[Any], region: Region) -> Landmarks:
    width, height = region.right - region.left, region.bottom - region.top
    pose = np.array(
        [
            ((a.x, a.y), a.z, (b.x, b.y, b.z), a.visibility, a.presence)
            for a, b in zip(image_marks, world_marks, strict=True)
        ],
        dtype=LANDMARK,
    )
    # MediaPipe scales its image depth like x, by the width of the picture.
    pose["pixels"] *= (width, height)
    pose["depth"] *= width
    pose["pixels"] += (region.left, region.top)
    # Its world axes are x right, y down, z away from the camera.
    pose["position"] *= (1.0, -1.0, -1.0)
    return pose


def around(box: Box, width: int, height: int, *, margin: float) -> Region:
    """Return a region inside the picture around `box`, wider by `margin` times its longer side."""
    extra = margin * max(box[2] - box[0], box[3] - box[1])
    left = int(max(0, np.floor(box[0] - extra)))
    top = int(max(0, np.floor(box[1] - extra)))
    right = int(min(width, np.ceil(box[2] + extra)))
    bottom = int(min(height, np.ceil(box[3] + extra)))
    # A box at the very edge still needs some of the picture.
    left, top = min(left, max(width - 16, 0)), min(top, max(height - 16, 0))
    return Region(left, top, max(right, min(left + 16, width)), max(bottom, min(top + 16, height)))
