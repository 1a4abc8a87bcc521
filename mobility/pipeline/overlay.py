"""The video with the measurements drawn on it: skeleton, angles, repetitions."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from pydantic import Field

from mobility.base.options import FilePath, checked, likely
from mobility.base.progress import progress_bar
from mobility.capture.sampling import choose_frames, chooser
from mobility.capture.survey import INTERVAL_S
from mobility.capture.video import presentation_times, probe, read_frames, write_video
from mobility.errors import BadInputError
from mobility.kinematics.datasets import EVENTS, Angles, Pose, Repetitions
from mobility.kinematics.skeleton import BONES, INDEX, KEYPOINTS, SIDES, landmarks

Image = NDArray[np.uint8]
Colour = tuple[int, int, int]

LEFT: Colour = (0x00, 0x72, 0xB2)
RIGHT: Colour = (0xD5, 0x5E, 0x00)
MIDLINE: Colour = (0xDD, 0xDD, 0xDD)
"""Blue, vermilion and light grey, which colour-blind people can distinguish (Okabe and Ito
2008)."""

OUTLINE: Colour = (20, 20, 20)
WHITE: Colour = (255, 255, 255)

VISIBLE = 0.5
"""Least visibility of a landmark that is drawn, as in MediaPipe's own drawings."""

HEAD = KEYPOINTS[:11]
"""Nose, eyes, ears and mouth."""

TALL = 1.25
"""Height of a head as a share of its width."""

BLOCKS = 12
"""Number of blocks along the longer side of a blurred picture; they are too few to show a face.
"""

GRID = 12 * BLOCKS
"""Pixels along the longer side of the mask that keeps the body sharp."""

REACH = {"trunk": 0.36, "limb": 0.28, "bone": 0.17, "dowel": 0.08}
"""Half-widths, as shares of the longest bones, that stay sharp around the middle of the trunk, the
lines of thighs, hands and feet, all bones, and the line between the wrists (dowel).
"""

EDGE = 0.04
"""Width of the edge of the sharp part, as a share of the longest bones."""

STEADY_S = 0.035
"""Time, in seconds, before and after a picture in which the place of the body stays sharp too, so
that nothing flickers.
"""

THREADS = 2
"""Threads of the decoder and of the encoder; fixed, because the pictures depend on their number."""

LONGEST_GAP_S = 0.25
"""Largest gap between rows of a pose across which positions are interpolated."""

SUBPIXEL = 4
"""Number of bits for fractions of a pixel in the coordinates that are passed to OpenCV."""

_LINES = {
    "limb": [
        (INDEX[f"{side}_{a}"], INDEX[f"{side}_{b}"])
        for side in SIDES
        for a, b in (("hip", "knee"), ("wrist", "index"), ("heel", "foot_index"))
    ],
    "bone": [(INDEX[a], INDEX[b]) for a, b in BONES],
    "dowel": [(INDEX["left_wrist"], INDEX["right_wrist"])],
}

_PHASES_OF_SQUATS = '["descent", "bottom", "ascent", "standing"]'
"""Names of the phases, unless the repetitions have others in the attribute `phase_names`."""


@checked
def annotate_video(
    video_path: FilePath,
    pose: Pose,
    angles: Angles,
    repetitions: Repetitions,
    out_path: FilePath,
    *,
    shown_angles: tuple[str, ...] = ("knee_flexion", "hip_flexion", "ankle_dorsiflexion"),
    blur_face: bool = False,
    detected: Pose | None = None,
    most_height: Annotated[int, Field(ge=64)] = 720,
    most_hz: Annotated[float, Field(ge=1)] = 30.0,
) -> int:
    """Draw the skeleton, the angles and the repetitions on a video; return the number of frames.

    The frames keep their times. Between frames with a pose the skeleton is interpolated. A landmark
    that is missing or hardly visible is not drawn, and frames without a pose have no skeleton. The
    counter increases when an accepted repetition begins.

    Parameters
    ----------
    video_path, out_path
        The video from which `pose` was made, and the MP4 file to write.
    pose
        With ``image_position`` in pixels and ``confidence``.
    angles
        Variables over (time, side) or (time,), in degrees.
    repetitions
        From :func:`~mobility.kinematics.repetitions.find_repetitions`, or movements.
    shown_angles
        The angles to show in the panel, in this order.
    blur_face
        Blur the subject's head and everything around the body (:func:`only_the_body`).
    detected
        The pose before corrections by hand, from which faces are blurred; by default `pose`.
    most_height
        Frames that are higher than this are reduced to this height, in pixels.
    most_hz
        Largest number of frames that are drawn per second; others are left out.

    Raises
    ------
    BadInputError
        `pose` has no image positions, or an angle is unknown.
    VideoError, StorageError
        The video cannot be decoded, or the file cannot be written.
    """
    if "image_position" not in pose or "confidence" not in pose:
        raise BadInputError(
            "annotate_video: the pose has no 'image_position' or 'confidence'; pass the pose "
            "that estimate_pose made from this video"
        )
    for name in shown_angles:
        if name not in angles:
            raise BadInputError(
                f"annotate_video: there is no angle {name!r}{likely(name, map(str, angles))}"
            )
    info = probe(video_path)
    scale = min(1.0, most_height / info.height)
    size = min(info.width, info.height) * scale
    draw_bones = skeleton(pose, scale=scale, thickness=max(2, round(size / 180)))
    text_height = int(np.clip(round(size / 45), 8, 28))
    panel = _Panel(angles, repetitions, shown_angles, text_height=text_height)
    hide = only_the_body(pose if detected is None else detected, scale=scale) if blur_face else None
    times = choose_frames(presentation_times(video_path), most_hz, at_most=True)

    def drawn() -> Iterator[tuple[float, Image]]:
        with progress_bar("drawing the annotated video", total=len(times)) as bar:
            wanted: dict[str, Any] = {"only": chooser(times), "most_height": most_height}
            for frame in read_frames(video_path, threads=THREADS, **wanted):
                image = frame.image
                if hide is not None:
                    hide(image, frame.time)
                draw_bones(image, frame.time)
                panel.draw(image, frame.time)
                yield frame.time, image
                bar.update()

    return write_video(out_path, drawn(), crf=26, preset="superfast", threads=THREADS)


def only_the_body(pose: xr.Dataset, *, scale: float = 1.0) -> Callable[[Image, float], None]:
    """Return a function that blurs everything except the subject's body in a picture, in place.

    Trunk and limbs stay sharp, with a hand's breadth around them. All heads are blurred, including
    the heads of other people in the survey. The entire picture is blurred if the subject or the
    subject's head was not found. `scale` is the size of the pictures relative to the size of the
    video.
    """
    points = landmarks(pose, "image_position") * scale
    point_at = _between(pose["time"].to_numpy(), points)
    survey = json.loads(pose.attrs.get("survey", "{}"))
    tracks = [np.array(track) * (1, scale, scale, scale) for track in survey.get("other_heads", [])]

    def hide(image: Image, time: float) -> None:
        import cv2

        size = np.array(image.shape[1::-1])
        blurred = _blurred(image)
        keep = np.zeros(blurred.shape[:2], np.uint8)
        now = point_at(time)
        head = None if now is None else _head(now)
        if head is not None:
            around = (point_at(time + lag) for lag in (-STEADY_S, 0.0, STEADY_S))
            rows = np.stack([points for points in around if points is not None])
            # Each row has its head: between them the pose may jump to another person.
            for region in map(_head, rows):
                if region is not None:
                    _blur_head(image, region)
            passing = [other for track in tracks if (other := _bystander_head(track, time))]
            _keep_body(keep, rows, head, passing, keep.shape[::-1] / size)
        body = _box_of(keep, size)
        share = cv2.merge([cv2.resize(keep, size)[body]] * 3)
        sharp = cv2.multiply(image[body], share, scale=1 / 255)
        image[:] = cv2.resize(cv2.multiply(blurred, cv2.merge([~keep] * 3), scale=1 / 255), size)
        image[body] = cv2.add(sharp, image[body])

    return hide


def skeleton(
    pose: xr.Dataset, *, scale: float = 1.0, thickness: int = 3
) -> Callable[[Image, float], None]:
    """Return a function that draws the skeleton at a time into a picture, in place.

    `scale` is the size of the pictures as a share of the video's size, and `thickness` is the width
    of the bones in pixels.
    """
    points = landmarks(pose, "image_position") * scale
    visible = np.isfinite(points).all(axis=-1) & (landmarks(pose, "confidence") >= VISIBLE)
    points[~visible] = np.nan
    point_at = _between(pose["time"].to_numpy(), points)
    edge, radius = max(2, thickness // 2), thickness << SUBPIXEL
    joints = sorted({name for bone in BONES for name in bone} | {"nose"}, key=KEYPOINTS.index)
    bones: dict[Colour, list[tuple[int, int]]] = {MIDLINE: [], LEFT: [], RIGHT: []}
    for a, b in BONES:
        colour = _side_colour(a) if _side_colour(a) == _side_colour(b) else MIDLINE
        bones[colour].append((INDEX[a], INDEX[b]))

    def draw(image: Image, time: float) -> None:
        import cv2

        if (now := point_at(time)) is None:
            return
        near = (np.abs(now) < 4 * max(image.shape)).all(axis=-1)
        pixels = np.zeros_like(now, dtype=np.int32)
        # Here pixel (0, 0) begins at the picture's corner; in OpenCV it is centred on it.
        pixels[near] = np.round((now[near] - 0.5) * (1 << SUBPIXEL))
        lines = {
            colour: [pixels[[a, b]] for a, b in some if near[a] and near[b]]
            for colour, some in bones.items()
        }
        style: dict[str, Any] = {"lineType": cv2.LINE_AA, "shift": SUBPIXEL}
        everything = [line for some in lines.values() for line in some]
        cv2.polylines(image, everything, False, OUTLINE, thickness + edge, **style)
        for colour, some in lines.items():
            cv2.polylines(image, some, False, colour, thickness, **style)
        for name in joints:
            if near[INDEX[name]]:
                centre = pixels[INDEX[name]].tolist()
                cv2.circle(image, centre, radius + (edge << SUBPIXEL) // 2, OUTLINE, -1, **style)
                cv2.circle(image, centre, radius, _side_colour(name), -1, **style)

    return draw


def _row_finder(times: NDArray[np.float64]) -> Callable[[float], int | None]:
    """Return a function from a time to the nearest row; None if none is near."""
    usual = float(np.median(np.diff(times))) if len(times) > 1 else 2e-3
    near = 0.5 * min(usual, LONGEST_GAP_S) + 1e-6

    def row(time: float) -> int | None:
        best = int(np.abs(times - time).argmin()) if len(times) else -1
        return best if best >= 0 and abs(float(times[best]) - time) <= near else None

    return row


def _between(
    times: NDArray[np.float64], values: NDArray[np.float64]
) -> Callable[[float], NDArray[np.float64] | None]:
    """Return a function from a time to values interpolated between two rows.

    If one of them is NaN, or they are far apart, the nearest row is used, or None if none is near.
    The first and the last row extend by almost a row.
    """
    nearest = _row_finder(times)
    usual = float(np.median(np.diff(times))) if len(times) > 1 else 0.0

    def at(time: float) -> NDArray[np.float64] | None:
        after = int(np.searchsorted(times, time))
        if not 0 < after < len(times):
            end = 0 if after == 0 else -1
            near = len(times) and abs(time - times[end]) <= 0.9 * min(usual, LONGEST_GAP_S) + 1e-6
            return values[end] if near else None
        if times[after] - times[after - 1] > min(1.6 * usual, LONGEST_GAP_S):
            row = nearest(time)
            return None if row is None else values[row]
        share = (time - times[after - 1]) / (times[after] - times[after - 1])
        mean = (1 - share) * values[after - 1] + share * values[after]
        rest = values[after if share > 0.5 else after - 1]
        return np.asarray(np.where(np.isfinite(mean), mean, rest))

    return at


def _side_colour(name: str) -> Colour:
    if name.startswith("left_"):
        return LEFT
    return RIGHT if name.startswith("right_") else MIDLINE


@functools.lru_cache(maxsize=4096)
def _text(text: str, height: int) -> Image:
    """Draw a line of text as coverage (0..255), capitals `height` pixels high, with margins."""
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
        time = angles["time"].to_numpy()
        self.rows = [
            (label, [_between(time, course) for course in _columns(angles[name])])
            for name, label in _labels(names).items()
        ]
        self.phase = _phases(repetitions)
        labels = [label for label, _ in self.rows] + ["degrees"]
        self.label_width = max(_text(label, text_height).shape[1] for label in labels)
        self.column_width = _text("-000", text_height).shape[1]
        self.base = self._empty_panel()

    def _empty_panel(self) -> Image:
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
        for k, (_, columns) in enumerate(self.rows):
            for column, value_at in enumerate(columns):
                value = value_at(time)
                text = "-" if value is None or np.isnan(value) else f"{value:.0f}"
                right = panel.shape[1] - pad - (len(columns) - 1 - column) * self.column_width
                self._put(panel, text.replace("-0", "0"), k + 4, right, align_right=True)
        margin = self.height // 2
        part = image[margin : margin + panel.shape[0], margin : margin + panel.shape[1]]
        panel = panel[: part.shape[0], : part.shape[1]]
        if part.size:
            shade = cv2.convertScaleAbs(part, alpha=0.3)
            np.maximum(shade, panel, out=part)


def _labels(names: tuple[str, ...]) -> dict[str, str]:
    """Return a short label for each angle: its first word, or all words if that is not unique."""
    first = [name.split("_")[0] for name in names]
    return {
        name: (word if first.count(word) == 1 else name.replace("_", " ")).capitalize()
        for name, word in zip(names, first, strict=True)
    }


def _columns(angle: xr.DataArray) -> list[NDArray[np.float64]]:
    """Return the left and right course of an angle, or its only one."""
    if "side" not in angle.dims:
        return [angle.to_numpy()]
    return [angle.sel(side=side).to_numpy() for side in SIDES]


def _phases(repetitions: xr.Dataset) -> Callable[[float], tuple[int, int, str]]:
    """Return a function from a time to the count so far, the total, and the phase's name."""
    limits = np.stack([repetitions[name].to_numpy().astype(float) for name in EVENTS], axis=-1)
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
    """Place of a head: centre and radius in pixels."""

    x: float
    y: float
    radius: float


def _bystander_head(track: NDArray[np.float64], time: float) -> _Region | None:
    """Return a bystander's head, interpolated between looks of the survey; None far from them."""
    times, *places = track.T
    if not times[0] - INTERVAL_S <= time <= times[-1] + INTERVAL_S:
        return None
    return _Region(*(float(np.interp(time, times, place)) for place in places))


def _fill(mask: Image, region: _Region, value: int, scale: Any = (1.0, 1.0)) -> None:
    """Set an upright ellipse in a mask to a value; `scale` is mask size over picture size."""
    import cv2

    centre, axes = np.round(
        np.multiply([(region.x, region.y), (region.radius, TALL * region.radius)], scale)
    ).astype(int)
    cv2.ellipse(mask, centre, axes, 0, 0, 360, value, -1)


def _blurred(image: Image) -> Image:
    """Reduce a picture irreversibly to a few blocks, blended on a finer grid."""
    import cv2

    few = np.maximum(1, np.round(np.divide(image.shape[1::-1], max(image.shape)) * BLOCKS))
    few, fine = few.astype(int), (few * (GRID // BLOCKS)).astype(int)
    # Subsample first: averaging all pixels takes longer than everything else.
    blocks = cv2.resize(cv2.resize(image, fine), few, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.blur(cv2.resize(blocks, fine), (GRID // BLOCKS + 1,) * 2), np.uint8)


def _box_of(mask: Image, size: NDArray[np.int_]) -> tuple[slice, slice]:
    """Return the rows and columns of a picture of `size` where the enlarged mask is not 0."""
    import cv2

    x, y, width, height = cv2.boundingRect(mask)
    scale = size / mask.shape[::-1]
    (x0, y0) = np.maximum(np.floor(scale * (x - 1, y - 1)), 0).astype(int)
    (x1, y1) = np.ceil(scale * (x + width + 1, y + height + 1)).astype(int)
    return slice(y0, y1), slice(x0, x1)


def _keep_body(
    mask: Image,
    rows: NDArray[np.float64],
    head: _Region,
    other_heads: list[_Region],
    scale: NDArray[np.float64],
) -> None:
    """Set a mask to 255 on the body in any of `rows`, with a soft edge, except on `others`.

    `scale` is mask size over picture size. `rows` are pixels (time, keypoint, 2) in the picture,
    `head` and `others` are heads in it.
    """
    import cv2

    rows = (scale * rows - 0.5).clip(-4 * max(mask.shape), 4 * max(mask.shape))
    left, right = (rows[:, [INDEX[f"{side}_shoulder"], INDEX[f"{side}_hip"]]] for side in SIDES)
    lines = {"trunk": ((left + right) / 2)[:, None]}
    lines |= {name: rows[:, pairs] for name, pairs in _LINES.items()}
    # Not the very longest bones, which may end in an outlier.
    lengths = np.hypot(*np.diff(lines["bone"], axis=2)[:, :, 0].T)
    lengths = np.sort(lengths[np.isfinite(lengths)])
    longest = float(lengths[int(0.85 * len(lengths))]) if len(lengths) else 0.0
    for name, reach in REACH.items():
        some = lines[name][np.isfinite(lines[name]).all(axis=(2, 3))]
        drawn = [*np.round(some * (1 << SUBPIXEL)).astype(np.int32)]
        cv2.polylines(mask, drawn, False, 255, max(1, round(2 * reach * longest)), shift=SUBPIXEL)
    # The rim of the head is blurred with the background.
    _fill(mask, replace(head, radius=0.85 * head.radius), 255, scale)
    for other in other_heads:
        _fill(mask, other, 0, scale)
    width = 2 * round(EDGE * longest) + 1
    cv2.blur(mask, (width, width), dst=mask)


def _head(points: NDArray[np.float64]) -> _Region | None:
    """Return the region of the head from the landmarks of one frame, with a wide margin.

    The landmarks cover only the middle of the face, and may be off by half a head. The trunk and
    the shoulders set a least size if the face is seen edge-on.
    """
    face = points[[INDEX[name] for name in HEAD]]
    face = face[np.isfinite(face).all(axis=-1)]
    if not len(face):
        return None
    x, y = (face.min(axis=0) + face.max(axis=0)) / 2
    spread = float(np.hypot(*(face - (x, y)).T).max())
    left, right, left_hip, right_hip = (
        points[INDEX[f"{side}_{name}"]] for name in ("shoulder", "hip") for side in SIDES
    )
    trunk = float(np.hypot(*((left + right - left_hip - right_hip) / 2)))
    width = float(np.hypot(*(left - right)))
    least = max([0.4 * length for length in (trunk, width) if np.isfinite(length)], default=0.0)
    return _Region(float(x), float(y), max(2.4 * spread, least, 6.0))


def _blur_head(image: Image, region: _Region) -> None:
    """Replace an upright ellipse irreversibly by a handful of blended blocks."""
    import cv2

    height, width = image.shape[:2]
    axes = np.array([1.0, TALL]) * region.radius
    centre = np.array([region.x, region.y])
    x0, y0 = np.floor(np.maximum(centre - axes, 0)).astype(int)
    x1, y1 = np.ceil(np.minimum(centre + axes, (width, height))).astype(int)
    if x0 >= x1 or y0 >= y1:
        return
    part = image[y0:y1, x0:x1]
    blocks = cv2.resize(part, (5, 6), interpolation=cv2.INTER_AREA)
    smooth = cv2.resize(blocks, (x1 - x0, y1 - y0), interpolation=cv2.INTER_LINEAR)
    mask = np.zeros(part.shape[:2], np.uint8)
    _fill(mask, _Region(region.x - x0, region.y - y0, region.radius), 255)
    cv2.copyTo(smooth, mask, part)
