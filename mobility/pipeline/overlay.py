"""The video with what was measured drawn on it: skeleton, angles, repetitions."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from pydantic import Field

from mobility.capture.video import probe, read_frames, write_video
from mobility.errors import BadInputError
from mobility.kinematics.skeleton import BONES, INDEX, KEYPOINTS, SIDES, require_pose
from mobility.options import checked, likely
from mobility.progress import progress_bar

Image = NDArray[np.uint8]
Colour = tuple[int, int, int]

LEFT: Colour = (0x00, 0x72, 0xB2)
RIGHT: Colour = (0xD5, 0x5E, 0x00)
MIDLINE: Colour = (0xDD, 0xDD, 0xDD)
"""Blue, vermilion and light grey: told apart by the colour-blind (Okabe and Ito 2008)."""

OUTLINE: Colour = (20, 20, 20)
WHITE: Colour = (255, 255, 255)

VISIBLE = 0.5
"""Visibility below which a landmark is not drawn, as in MediaPipe's own drawings."""

HEAD = KEYPOINTS[:11]
"""Nose, eyes, ears and mouth."""

HEAD_GAP_S = 0.5
"""Longest gap, in seconds, in which the head is taken to move straight."""

SUBPIXEL = 4
"""Bits of a pixel's fraction in which OpenCV takes coordinates."""


_PHASES_OF_SQUATS = '["descent", "bottom", "ascent", "standing"]'
"""Names of the phases, unless the repetitions have others in the attribute `phase_names`."""


@checked
def annotate_video(
    video_path: str | os.PathLike[str],
    pose: xr.Dataset,
    angles: xr.Dataset,
    repetitions: xr.Dataset,
    out_path: str | os.PathLike[str],
    *,
    shown_angles: tuple[str, ...] = ("knee_flexion", "hip_flexion", "ankle_dorsiflexion"),
    blur_face: bool = False,
    long_side: Annotated[int, Field(ge=64)] = 1280,
) -> int:
    """Draw the skeleton, the angles and the repetitions on a video.

    The frames keep their times. A landmark that was not found, or is hardly
    visible, is not drawn, and frames without a pose have no skeleton. The counter
    goes up when the bottom of an accepted repetition is reached.

    Parameters
    ----------
    video_path
        The video from which `pose` was made.
    pose
        ``image_position`` (time, pixel, keypoint, individual) in pixels and
        ``confidence``.
    angles
        Variables over (time, side) or (time,), in degrees.
    repetitions
        ``start``, ``bottom_start``, ``bottom``, ``bottom_end``, ``end`` in seconds
        and ``accepted`` over rep, and ``standing`` over time.
    out_path
        The MP4 file to write (H.264, plays in browsers).
    shown_angles
        Which angles the panel shows, in this order.
    blur_face
        Make the subject's head unrecognisable. Where the head was not found, the
        places where it was before and after are blurred, enlarged; without any head
        in the whole pose, the whole picture. Other people are not blurred.
    long_side
        Larger pictures are reduced to this many pixels on their longer side.

    Returns
    -------
    int
        Number of frames written.

    Raises
    ------
    BadInputError
        `pose` has no image positions, or an angle is unknown.
    VideoError
        The video cannot be decoded.
    StorageError
        The file cannot be written.
    """
    require_pose(pose, what="annotate_video")
    if "image_position" not in pose or "confidence" not in pose:
        raise BadInputError(
            "annotate_video: the pose lacks 'image_position' or 'confidence';"
            " give the pose that estimate_pose made from this video"
        )
    for name in shown_angles:
        if name not in angles:
            raise BadInputError(
                f"annotate_video: there is no angle {name!r}{likely(name, map(str, angles))}"
            )
    info = probe(video_path)
    scale = min(1.0, long_side / max(info.width, info.height))
    size = (max(2, round(info.width * scale)), max(2, round(info.height * scale)))
    points, visible = _landmarks(pose)
    points = points * scale
    skeleton = _Skeleton(points, visible, thickness=max(2, round(min(size) / 180)))
    panel = _Panel(angles, repetitions, shown_angles, text_height=_text_height(size))
    pose_row = _row_finder(pose["time"].to_numpy())
    heads = _Heads(pose["time"].to_numpy(), points) if blur_face else None

    def drawn() -> Iterator[tuple[float, Image]]:
        import cv2

        with progress_bar("drawing", total=pose.sizes["time"]) as bar:
            for frame in read_frames(video_path):
                image = frame.image
                if scale < 1.0:
                    image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
                row = pose_row(frame.time)
                if heads is not None:
                    heads.hide(image, frame.time, row)
                if row is not None:
                    skeleton.draw(image, row)
                panel.draw(image, frame.time)
                yield frame.time, image
                bar.update()

    return write_video(out_path, drawn(), crf=26)


def blurred_heads(pose: xr.Dataset, *, scale: float = 1.0) -> Callable[[Image, float], None]:
    """Return what blurs the subject's head in a picture of a time, in place.

    Parameters
    ----------
    pose
        ``image_position`` and ``confidence``, of the video.
    scale
        Size of the pictures as a share of that of the video.
    """
    times = pose["time"].to_numpy()
    heads, row = _Heads(times, _landmarks(pose)[0] * scale), _row_finder(times)
    return lambda image, time: heads.hide(image, time, row(time))


def skeleton(
    pose: xr.Dataset, *, scale: float = 1.0, thickness: int = 3
) -> Callable[[Image, float], None]:
    """Return what draws the skeleton of a time into a picture, in place.

    Parameters
    ----------
    pose
        ``image_position`` and ``confidence``, of the video.
    scale
        Size of the pictures as a share of that of the video.
    thickness
        Of the bones, in pixels.
    """
    points, visible = _landmarks(pose)
    drawn = _Skeleton(points * scale, visible, thickness=thickness)
    find_row = _row_finder(pose["time"].to_numpy())

    def draw(image: Image, time: float) -> None:
        row = find_row(time)
        if row is not None:
            drawn.draw(image, row)

    return draw


def _landmarks(pose: xr.Dataset) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Pixels (time, keypoint, 2), NaN where unknown, and whether each is to be drawn."""
    pose = pose.isel(individual=0) if "individual" in pose.dims else pose
    pose = pose.sel(keypoint=list(KEYPOINTS))
    image_position = pose["image_position"].sel(pixel=["u", "v"])
    points = image_position.transpose("time", "keypoint", "pixel").to_numpy().astype(float)
    confidence = pose["confidence"].transpose("time", "keypoint").to_numpy()
    return points, np.isfinite(points).all(axis=-1) & (confidence >= VISIBLE)


def _row_finder(times: NDArray[np.float64]) -> Callable[[float], int | None]:
    """Return a function from a time to the row nearest to it, None where there is none near."""
    near = 0.5 * float(np.median(np.diff(times))) + 1e-6 if len(times) > 1 else 1e-3

    def row(time: float) -> int | None:
        if not len(times):
            return None
        after = int(np.searchsorted(times, time))
        best = min(
            (k for k in (after - 1, after) if 0 <= k < len(times)),
            key=lambda k: abs(float(times[k]) - time),
        )
        return best if abs(float(times[best]) - time) <= near else None

    return row


def _side_colour(name: str) -> Colour:
    if name.startswith("left_"):
        return LEFT
    return RIGHT if name.startswith("right_") else MIDLINE


class _Skeleton:
    """Draws the bones and joints of one row of a pose."""

    def __init__(
        self, points: NDArray[np.float64], visible: NDArray[np.bool_], *, thickness: int
    ) -> None:
        self.points = points
        self.visible = visible
        self.thickness = thickness
        joints = sorted({name for bone in BONES for name in bone} | {"nose"}, key=KEYPOINTS.index)
        self.joints = [(INDEX[name], _side_colour(name)) for name in joints]
        self.bones: dict[Colour, list[tuple[int, int]]] = {MIDLINE: [], LEFT: [], RIGHT: []}
        for a, b in BONES:
            colour = _side_colour(a) if _side_colour(a) == _side_colour(b) else MIDLINE
            self.bones[colour].append((INDEX[a], INDEX[b]))

    def draw(self, image: Image, row: int) -> None:
        import cv2

        limit = 4 * max(image.shape)
        known = self.visible[row] & (np.abs(np.nan_to_num(self.points[row])) < limit).all(axis=-1)
        pixels = np.zeros_like(self.points[row], dtype=np.int32)
        # Our pixel (0, 0) begins at the picture's corner, OpenCV's is centred on it.
        pixels[known] = np.round((self.points[row][known] - 0.5) * (1 << SUBPIXEL))
        lines = {
            colour: [pixels[[a, b]] for a, b in bones if known[a] and known[b]]
            for colour, bones in self.bones.items()
        }
        everything = [line for some in lines.values() for line in some]
        style: dict[str, Any] = {"lineType": cv2.LINE_AA, "shift": SUBPIXEL}
        edge = max(2, self.thickness // 2)
        cv2.polylines(image, everything, False, OUTLINE, self.thickness + edge, **style)
        for colour, some in lines.items():
            cv2.polylines(image, some, False, colour, self.thickness, **style)
        radius = self.thickness << SUBPIXEL
        for k, colour in self.joints:
            if known[k]:
                centre = (int(pixels[k, 0]), int(pixels[k, 1]))
                outer = radius + (edge << SUBPIXEL) // 2
                cv2.circle(image, centre, outer, OUTLINE, -1, **style)
                cv2.circle(image, centre, radius, colour, -1, **style)


def _text_height(size: tuple[int, int]) -> int:
    """Height of capital letters in pixels, legible from the smallest to the largest picture."""
    return int(np.clip(round(min(size) / 45), 8, 28))


@functools.lru_cache(maxsize=4096)
def _text(text: str, height: int) -> Image:
    """Coverage (0..255) of a line of text, capitals `height` pixels high, with its margins."""
    import cv2

    font = cv2.FONT_HERSHEY_SIMPLEX
    thickness = max(1, round(height / 10))
    scale = cv2.getFontScaleFromHeight(font, height, thickness)
    (width, _), _ = cv2.getTextSize(text, font, scale, thickness)
    mask = np.zeros((2 * height, width + 2), np.uint8)
    cv2.putText(mask, text, (1, round(1.5 * height)), font, scale, 255, thickness, cv2.LINE_AA)
    return mask


class _Panel:
    """The table of angles, the counter, the phase and the time, in the upper left corner."""

    def __init__(
        self,
        angles: xr.Dataset,
        repetitions: xr.Dataset,
        names: tuple[str, ...],
        *,
        text_height: int,
    ) -> None:
        self.height = text_height
        self.rows = [(label, _columns(angles[name])) for name, label in _labels(names).items()]
        self.angle_row = _row_finder(angles["time"].to_numpy())
        self.phase = _phases(repetitions)
        self.label_width = max(
            [_text(label, text_height).shape[1] for label, _ in self.rows]
            + [_text("degrees", text_height).shape[1]]
        )
        self.column_width = _text("-000", text_height).shape[1]
        self.base = self._base()

    def _base(self) -> Image:
        """Make the panel without its numbers."""
        h, pad = self.height, self.height // 2
        width = self.label_width + 2 * self.column_width + 3 * pad
        width = max(width, _text("Rep 00 / 00", h).shape[1] + 2 * pad)
        base = np.zeros((2 * h * (len(self.rows) + 4) + pad, width, 3), np.uint8)
        if self.rows:
            self._put(base, "degrees", 3, pad)
            for column, (letter, colour) in enumerate((("L", LEFT), ("R", RIGHT))):
                right = width - pad - (1 - column) * self.column_width
                top = 3 * 2 * h + pad // 2 + h // 4
                left = right - _text(letter, h).shape[1] - pad
                base[top : top + h + h // 2, left:right] = colour
                self._put(base, letter, 3, right - pad // 2, align_right=True)
        for k, (label, _) in enumerate(self.rows):
            self._put(base, label, k + 4, pad)
        return base

    def _put(self, panel: Image, text: str, row: int, x: int, *, align_right: bool = False) -> None:
        mask = _text(text, self.height)
        x = max(0, x - mask.shape[1] if align_right else x)
        y = 2 * self.height * row + self.height // 4
        part = panel[y : y + mask.shape[0], x : x + mask.shape[1]]
        np.maximum(part, mask[: part.shape[0], : part.shape[1], None], out=part)

    def draw(self, image: Image, time: float) -> None:
        import cv2

        panel = self.base.copy()
        pad = self.height // 2
        count, total, phase = self.phase(time)
        self._put(panel, f"Rep {count} / {total}", 0, pad)
        self._put(panel, phase, 1, pad)
        self._put(panel, f"{time:.2f} s", 2, pad)
        row = self.angle_row(time)
        for k, (_, columns) in enumerate(self.rows):
            for column, values in enumerate(columns):
                value = np.nan if row is None else values[row]
                text = f"{value:.0f}" if np.isfinite(value) else "-"
                right = panel.shape[1] - pad - (len(columns) - 1 - column) * self.column_width
                self._put(panel, text.replace("-0", "0"), k + 4, right, align_right=True)
        margin = self.height // 2
        part = image[margin : margin + panel.shape[0], margin : margin + panel.shape[1]]
        panel = panel[: part.shape[0], : part.shape[1]]
        if part.size:
            # Darkened behind the text, so that white stays legible on a bright picture.
            shade = cv2.convertScaleAbs(part, alpha=0.3)
            np.maximum(shade, panel, out=part)


def _labels(names: tuple[str, ...]) -> dict[str, str]:
    """Short label of each angle: its first word, all words where that is not unique."""
    first = [name.split("_")[0] for name in names]
    return {
        name: (word if first.count(word) == 1 else name.replace("_", " ")).capitalize()
        for name, word in zip(names, first, strict=True)
    }


def _columns(angle: xr.DataArray) -> list[NDArray[np.float64]]:
    """Left and right course of an angle, or its only one."""
    if "side" not in angle.dims:
        return [angle.to_numpy()]
    return [angle.sel(side=side).to_numpy() for side in SIDES]


def _phases(repetitions: xr.Dataset) -> Callable[[float], tuple[int, int, str]]:
    """Return a function from a time to the count so far, the number, and the phase's name."""
    columns = ("start", "bottom_start", "bottom", "bottom_end", "end")
    limits = np.stack([repetitions[name].to_numpy().astype(float) for name in columns], axis=-1)
    accepted = repetitions["accepted"].to_numpy().astype(bool)
    standing = repetitions["standing"].to_numpy().astype(bool)
    standing_row = _row_finder(repetitions["time"].to_numpy())
    total = int(accepted.sum())
    down, turn, up, still = json.loads(repetitions.attrs.get("phase_names", _PHASES_OF_SQUATS))

    def phase(time: float) -> tuple[int, int, str]:
        count = int((accepted & (limits[:, 0] <= time)).sum())
        for start, bottom_start, _, bottom_end, end in limits:
            if start <= time <= end:
                if time < bottom_start:
                    return count, total, down
                return count, total, turn if time <= bottom_end else up
        row = standing_row(time)
        return count, total, still if row is not None and standing[row] else "-"

    return phase


@dataclass(frozen=True)
class _Region:
    """Where a head is: centre and radius in pixels."""

    x: float
    y: float
    radius: float

    def enlarged(self, factor: float) -> _Region:
        return _Region(self.x, self.y, self.radius * factor)


class _Heads:
    """Hides the head in every frame, also where it was not found."""

    def __init__(self, times: NDArray[np.float64], points: NDArray[np.float64]) -> None:
        self.regions = [_head(row) for row in points]
        self.known = [k for k, region in enumerate(self.regions) if region is not None]
        self.times = times
        self.known_times = times[self.known]

    def hide(self, image: Image, time: float, row: int | None) -> None:
        """Blur the head of the subject at `time` in place."""
        if not self.known:
            _blur(image, _Region(image.shape[1] / 2, image.shape[0] / 2, 2.0 * max(image.shape)))
            return
        for region in self._regions_at(time, row):
            _blur(image, region)

    def _regions_at(self, time: float, row: int | None) -> list[_Region]:
        here = None if row is None else self.regions[row]
        if here is not None:
            return [here]
        after = int(np.searchsorted(self.known_times, time))
        around = [k for k in (after - 1, after) if 0 <= k < len(self.known)]
        found = [self.regions[self.known[k]] for k in around]
        regions = [region for region in found if region is not None]
        if len(regions) == 2:
            (t0, t1), (a, b) = self.known_times[around], regions
            if t1 - t0 <= HEAD_GAP_S:
                w = (time - t0) / (t1 - t0)
                between = _Region(
                    a.x + w * (b.x - a.x), a.y + w * (b.y - a.y), max(a.radius, b.radius)
                )
                return [between.enlarged(1.25)]
        return [region.enlarged(1.6) for region in regions]


def _head(points: NDArray[np.float64]) -> _Region | None:
    """Region of the head from the landmarks of one frame, generously.

    The landmarks cover the middle of the face only, and may be off by half a head.
    The trunk, about four times as long as half a head, and the shoulders set a
    least size where the face is seen edge-on.
    """
    face = points[[INDEX[name] for name in HEAD]]
    face = face[np.isfinite(face).all(axis=-1)]
    if not len(face):
        return None
    x, y = (face.min(axis=0) + face.max(axis=0)) / 2
    spread = float(np.hypot(*(face - (x, y)).T).max())
    left, right, left_hip, right_hip = (
        points[INDEX[name]] for name in ("left_shoulder", "right_shoulder", "left_hip", "right_hip")
    )
    trunk = float(np.hypot(*((left + right - left_hip - right_hip) / 2)))
    width = float(np.hypot(*(left - right)))
    least = max([0.4 * length for length in (trunk, width) if np.isfinite(length)], default=0.0)
    return _Region(float(x), float(y), max(2.4 * spread, least, 6.0))


def _blur(image: Image, region: _Region) -> None:
    """Replace an upright ellipse by a handful of blended blocks, which cannot be undone."""
    import cv2

    height, width = image.shape[:2]
    axes = np.array([1.0, 1.25]) * region.radius
    centre = np.array([region.x, region.y])
    x0, y0 = np.floor(np.maximum(centre - axes, 0)).astype(int)
    x1, y1 = np.ceil(np.minimum(centre + axes, (width, height))).astype(int)
    if x0 >= x1 or y0 >= y1:
        return
    part = image[y0:y1, x0:x1]
    blocks = cv2.resize(part, (5, 6), interpolation=cv2.INTER_AREA)
    smooth = cv2.resize(blocks, (x1 - x0, y1 - y0), interpolation=cv2.INTER_LINEAR)
    mask = np.zeros(part.shape[:2], np.uint8)
    middle = (round(region.x - x0), round(region.y - y0))
    cv2.ellipse(mask, middle, (round(axes[0]), round(axes[1])), 0, 0, 360, 255, -1)
    part[mask > 0] = smooth[mask > 0]
