"""Angles drawn into a picture."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from mobility.kinematics.skeleton import INDEX, KEYPOINTS
from mobility.pipeline.overlay import VISIBLE
from mobility.reports.moments import Moment

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

_IN_PLANE_DEG = 35.0
"""Largest difference between the angle in the picture and the angle of the body at which an arc is
drawn.
"""

_SURE_DEG = 15.0
"""Largest margin of error of a number in a picture; a larger one must be below half of the value.

If the margin of error is larger than the value, not even the lines of the angle are drawn."""

_ARC = (255, 209, 71)

_Point = Any  # two numbers, x to the right and y downwards
_Rays = tuple[_Point, _Point, _Point]


class _Body:
    """Landmarks of one picture by name, by default those of `side`."""

    def __init__(self, points: NDArray[np.float64], side: str) -> None:
        self.points = points
        self.side = side or "left"

    def of(self, part: str, side: str = "") -> NDArray[np.float64]:
        point: NDArray[np.float64] = self.points[INDEX[f"{side or self.side}_{part}"]]
        return point

    def mid(self, part: str) -> NDArray[np.float64]:
        return (self.of(part, "left") + self.of(part, "right")) / 2


def _bent(above: str, joint: str, below: str) -> Any:
    """Return the rays of a flexion: the lower segment, and the extension of the upper segment."""

    def rays(body: _Body) -> _Rays:
        at = body.of(joint)
        upper = body.mid(above) if above == "shoulder" and joint == "hip" else body.of(above)
        return at, 2 * at - upper, body.of(below)

    return rays


def _against_up(low: str, high: str, *, middle: bool) -> Any:
    def rays(body: _Body) -> _Rays:
        at, to = (body.mid(low), body.mid(high)) if middle else (body.of(low), body.of(high))
        return at, at - (0.0, np.hypot(*(to - at))), to

    return rays


def _against_level(at: str, to: str) -> Any:
    def rays(body: _Body) -> _Rays:
        a, b = body.of(at), body.of(to)
        along = np.array([np.copysign(np.hypot(*(b - a)), b[0] - a[0]), 0.0])
        return a, a + along, b

    return rays


def _arm(body: _Body) -> _Rays:
    return body.of("shoulder"), body.of("hip"), body.of("elbow")


def _ankle(body: _Body) -> _Rays:
    at, knee, foot = body.of("ankle"), body.of("knee"), body.of("foot_index") - body.of("heel")
    across = np.array([foot[1], -foot[0]])
    if across @ (knee - at) < 0:
        across = -across
    return at, at + across * np.hypot(*(knee - at)) / max(np.hypot(*across), 1e-6), knee


def _abduction(body: _Body) -> _Rays:
    at, line = body.of("hip"), body.of("hip", "right") - body.of("hip", "left")
    across = np.array([line[1], -line[0]])
    knee = body.of("knee")
    if across[1] < 0:
        across = -across
    return at, at + across * np.hypot(*(knee - at)) / max(np.hypot(*across), 1e-6), knee


def _ears(body: _Body) -> _Rays:
    """Return the perpendiculars to the lines from shoulder to shoulder and from ear to ear."""
    at, to = body.mid("shoulder"), body.mid("ear")
    ends = []
    for part in ("shoulder", "ear"):
        line = body.of(part, "right") - body.of(part, "left")
        up = np.array([line[1], -line[0]])
        up = up if up[1] < 0 else -up
        ends.append(at + up * np.hypot(*(to - at)) / max(np.hypot(*line), 1e-6))
    return at, ends[0], ends[1]


def _trunk_and_shank(body: _Body) -> _Rays:
    at, to = body.mid("hip"), body.mid("shoulder")
    shank = body.mid("knee") - body.mid("ankle")
    return at, at + shank * np.hypot(*(to - at)) / max(np.hypot(*shank), 1e-6), to


def _hip_line(body: _Body) -> _Rays:
    a, b = body.of("hip", "left"), body.of("hip", "right")
    return a, np.array([b[0], a[1]]), b


DRAWN: Mapping[str, Any] = {
    "knee_flexion": _bent("hip", "knee", "ankle"),
    "hip_flexion": _bent("shoulder", "hip", "knee"),
    "elbow_flexion": _bent("shoulder", "elbow", "wrist"),
    "arm_fall": _bent("hip", "shoulder", "wrist"),
    "neck_lateral_flexion": _ears,
    "shoulder_flexion": _arm,
    "shoulder_abduction": _arm,
    "ankle_dorsiflexion": _ankle,
    "hip_abduction": _abduction,
    "tibia_inclination": _against_up("ankle", "knee", middle=False),
    "thigh_elevation": _against_level("knee", "hip"),
    "heel_rise": _against_level("foot_index", "heel"),
    "trunk_lean": _against_up("hip", "shoulder", middle=True),
    "trunk_lateral_flexion": _against_up("hip", "shoulder", middle=True),
    "trunk_lateral_lean": _against_up("hip", "shoulder", middle=True),
    "trunk_tibia_difference": _trunk_and_shank,
    "pelvis_obliquity": _hip_line,
}
"""For each angle: its vertex, and the ends of the two lines that form it."""


def draw(image: NDArray[np.uint8], points: NDArray[np.float64], moment: Moment) -> None:
    """Draw the angle of a moment into its picture, in place.

    `points` are the landmarks in pixels.
    """
    body = _Body(points, moment.number.side)
    if moment.angle == "knees":
        for part in ("knee", "ankle"):
            _dashed(image, body.of(part, "left"), body.of(part, "right"))
        if moment.measured:
            knees = body.mid("knee")
            _write(image, moment.measured, knees - (0.0, 0.04 * image.shape[0]))
        return
    if moment.angle == "dowel":
        foot = (body.mid("heel") + body.mid("foot_index")) / 2
        hands = body.mid("wrist")
        _dashed(image, foot, np.array([foot[0], hands[1]]))
        _dashed(image, np.array([foot[0], hands[1]]), hands)
        _write(image, moment.measured, (np.array([foot[0], hands[1]]) + hands) / 2 + (0.0, 30.0))
        return
    half, size = moment.number.half_width, abs(moment.number.value)
    if moment.angle not in DRAWN or not moment.measured or half > max(_SURE_DEG, size):
        return
    first, turn = turn_of(points, moment.angle, moment.number.side)
    if not math.isfinite(turn):
        return
    at, start, end = (np.asarray(point, float) for point in DRAWN[moment.angle](body))
    room = 0.45 * min(float(np.hypot(*(start - at))), float(np.hypot(*(end - at))))
    radius = float(np.clip(room, 0.045 * image.shape[0], 0.11 * image.shape[0]))
    # A movement towards the camera or away from it has another angle in the picture.
    in_plane = abs(abs(turn) - size) <= _IN_PLANE_DEG
    if in_plane:
        _dashed(
            image, at, at + (start - at) * min(1.0, 2.4 * radius / max(np.hypot(*(start - at)), 1))
        )
        _arc(image, at, radius, first, turn)
        # Beside a small angle, not on it.
        towards = math.radians(first + (turn / 2 if abs(turn) > 25 else 90))
    else:
        _arc(image, at, 0.03 * image.shape[0], 0, 360)
        towards = math.radians(first)
    if half > max(_SURE_DEG, size / 2):
        return
    away = radius + 0.075 * image.shape[0]
    _write(image, moment.measured, at + away * np.array([math.cos(towards), math.sin(towards)]))


def turn_of(points: NDArray[np.float64], name: str, side: str) -> tuple[float, float]:
    """Return the direction of the first line of an angle, and the rotation to the second line."""
    at, start, end = (np.asarray(point, float) for point in DRAWN[name](_Body(points, side)))
    first = math.degrees(math.atan2(*(start - at)[::-1]))
    turn = math.degrees(math.atan2(*(end - at)[::-1])) - first
    return first, (turn + 180) % 360 - 180


_BITS = 4


def _fixed(point: Any) -> tuple[int, int]:
    return round(float(point[0]) * (1 << _BITS)), round(float(point[1]) * (1 << _BITS))


def _line(image: NDArray[np.uint8], a: Any, b: Any) -> None:
    import cv2

    for colour, thick in (((20, 20, 20), 5), (_ARC, 3)):
        cv2.line(image, _fixed(a), _fixed(b), colour, thick, cv2.LINE_AA, _BITS)


def _dashed(image: NDArray[np.uint8], a: Any, b: Any) -> None:
    if not np.isfinite([*a, *b]).all():
        return
    parts = max(1, int(np.hypot(*(np.asarray(b) - a)) / 16))
    for part in range(parts):
        _line(image, a + (b - a) * part / parts, a + (b - a) * (part + 0.55) / parts)


def _arc(
    image: NDArray[np.uint8], at: NDArray[np.float64], radius: float, first: float, turn: float
) -> None:
    import cv2

    steps = np.radians(first + turn * np.linspace(0, 1, 48))
    curve = at + radius * np.stack([np.cos(steps), np.sin(steps)], axis=-1)
    fixed = np.round(curve * (1 << _BITS)).astype(np.int32)
    for colour, thick in (((20, 20, 20), 7), (_ARC, 4)):
        cv2.polylines(image, [fixed], False, colour, thick, cv2.LINE_AA, _BITS)


def _write(image: NDArray[np.uint8], text: str, centre: Any) -> None:
    """Write a short text on a dark ground around a place, inside the picture."""
    if not text or not np.isfinite(centre).all():
        return
    mask = _text(text, round(0.062 * image.shape[0]))
    pad = 6
    height, width = mask.shape[0] + 2 * pad, mask.shape[1] + 2 * pad
    if height > image.shape[0] or width > image.shape[1]:
        return
    x = int(np.clip(centre[0] - width / 2, 0, image.shape[1] - width))
    y = int(np.clip(centre[1] - height / 2, 0, image.shape[0] - height))
    ground = image[y : y + height, x : x + width]
    ground[:] = (ground * 0.25).astype(np.uint8)
    inner = ground[pad:-pad, pad:-pad]
    share = mask[..., None].astype(float) / 255
    inner[:] = (inner * (1 - share) + 255 * share).astype(np.uint8)


def _text(text: str, size: int) -> NDArray[np.uint8]:
    """Return the pixel coverage (0 to 255) of a line of text."""
    from matplotlib.font_manager import findfont
    from matplotlib.ft2font import FT2Font

    font = FT2Font(findfont("DejaVu Sans:bold"))
    font.set_size(size, 72)
    font.set_text(text, 0.0)
    font.draw_glyphs_to_bitmap()
    return np.asarray(font.get_image(), np.uint8)


def clearer_side(pose: xr.Dataset, angles: xr.Dataset, name: str, time: float) -> str:
    """Choose the side whose angle in the picture is nearer to the measured angle.

    Both legs may be equally certain although only one of them bends towards the camera.
    :func:`mobility.assessment.number.side_shown` uses this function if nothing else decides.
    """
    points = points_in_picture(pose)[int(np.argmin(np.abs(pose["time"].values - time)))]
    here = angles[name].isel(time=int(np.argmin(np.abs(angles["time"].values - time))))

    def apart(side: str) -> float:
        turn = turn_of(points, name, side)[1]
        difference = abs(abs(turn) - abs(float(here.sel(side=side))))
        return difference if math.isfinite(difference) else math.inf

    return min(("right", "left"), key=apart)


def points_in_picture(pose: xr.Dataset) -> NDArray[np.float64]:
    """Return pixel coordinates (time, keypoint, 2) of the landmarks, NaN if one is not visible."""
    person = pose.isel(individual=0) if "individual" in pose.dims else pose
    person = person.sel(keypoint=list(KEYPOINTS))
    places: NDArray[np.float64] = (
        (person["image_position"].sel(pixel=["u", "v"]).transpose("time", "keypoint", "pixel"))
        .to_numpy()
        .astype(float)
    )
    visible = person["confidence"].transpose("time", "keypoint").to_numpy() >= VISIBLE
    return np.where(visible[..., None], places, np.nan)
