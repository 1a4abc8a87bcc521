"""Pictures of the video at the main moments, with the measured angle drawn in."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import htpy as h
import numpy as np
from markupsafe import Markup

from mobility import tables
from mobility.capture.video import keyframe_times, read_frames
from mobility.documents.of_session import verdict_of
from mobility.kinematics.clean import with_sides_exchanged_as_in
from mobility.pipeline.overlay import only_the_body, skeleton
from mobility.reports.drawn_angles import draw, points_in_picture
from mobility.reports.exercise_page import page_of
from mobility.reports.moments import Moment

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    from mobility.assessment.findings import Finding
    from mobility.sessions.stored_session import StoredSession

NEAR_S = 0.02
"""Largest distance in time (s) of another picture, if the moment's own picture cannot be read."""

HEIGHT = 560
"""Height of a picture in pixels."""

_SHAPES = (0.62, 1.5)  # narrowest and widest picture, width over height
_QUALITY = 82


@dataclass(frozen=True)
class KeyFrame:
    """A picture: its moment, the JPEG file, and its size in pixels."""

    moment: Moment
    jpeg: bytes
    width: int
    height: int


def key_frames(
    video_path: str | os.PathLike[str],
    pose: xr.Dataset,
    moments: Sequence[Moment],
    *,
    faces: bool = False,
    detected: xr.Dataset | None = None,
) -> list[KeyFrame]:
    """Take pictures from a video, around the subject and at one scale, and draw into them.

    Parameters
    ----------
    video_path
        The video from which `pose` was made.
    pose
        ``image_position`` and ``confidence``.
    moments
        The moments, and what to draw for each of them.
    faces
        Whether to show faces and surroundings instead of blurring them.
    detected
        The pose before corrections by hand, from which faces are blurred; by default `pose`.

    Returns
    -------
    list of KeyFrame
        Pictures in the order of `moments`, without moments for which the video has no picture.
    """
    import cv2

    if not moments:
        return []
    times = pose["time"].to_numpy()
    points = points_in_picture(pose)
    rows = {id(moment): int(np.argmin(np.abs(times - moment.time))) for moment in moments}
    wanted = {float(times[row]) for row in rows.values()}
    images: dict[float, NDArray[np.uint8]] = {}
    distance: dict[float, float] = {}
    for start, stop in _time_ranges(wanted, NEAR_S, keyframe_times(video_path)):
        for frame in read_frames(
            video_path,
            start=start,
            stop=stop,
            only=lambda t: any(abs(t - want) <= NEAR_S for want in wanted),
        ):
            closest = min(wanted, key=lambda want: abs(want - frame.time))
            if abs(frame.time - closest) < distance.get(closest, np.inf):
                images[closest], distance[closest] = frame.image, abs(frame.time - closest)
    if not images:
        return []
    size = next(iter(images.values())).shape
    left, top, right, bottom = _around(
        [points[row] for row in rows.values()], width=size[1], height=size[0]
    )
    scale = HEIGHT / (bottom - top)
    out = (max(2, round((right - left) * scale)), HEIGHT)
    hide = None if faces else only_the_body(pose if detected is None else detected)
    frames = []
    for moment in moments:
        row = rows[id(moment)]
        image = images.get(float(times[row]))
        if image is None:
            continue
        image = image.copy()
        if hide is not None:
            hide(image, float(times[row]))
        picture = cv2.resize(image[top:bottom, left:right], out, interpolation=cv2.INTER_AREA)
        moved = pose.assign(image_position=pose["image_position"] - _offset(left, top))
        skeleton(moved.isel(time=[row]), scale=scale, thickness=4)(picture, float(times[row]))
        draw(picture, (points[row] - (left, top)) * scale, moment)
        encoded, coded = cv2.imencode(
            ".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
        )
        if encoded:
            frames.append(KeyFrame(moment, coded.tobytes(), *out))
    return frames


def _time_ranges(
    wanted: Iterable[float], near: float, keyframes: NDArray[np.float64]
) -> list[tuple[float, float]]:
    """Return the time ranges to decode; a new one starts if a gap contains a keyframe."""
    ranges: list[tuple[float, float]] = []
    for want in sorted(wanted):
        first, last = want - near, want + near
        if ranges and not ((keyframes > ranges[-1][1]) & (keyframes <= first)).any():
            ranges[-1] = ranges[-1][0], last
        else:
            ranges.append((first, last))
    return ranges


def as_html(frames: Sequence[KeyFrame]) -> Markup:
    """Put pictures side by side, each with its measured value; empty without pictures."""
    if not frames:
        return Markup()
    figures = []
    for frame in frames:
        alt = tables.sentence("report.picture", caption=frame.moment.caption)
        figures.append(h.figure[image(frame, alt), h.figcaption[frame.moment.caption]])
    return h.div(".frames")[figures].__html__()


def image(frame: KeyFrame, alt: str) -> Markup:
    """Put a picture into a page."""
    source = f"data:image/jpeg;base64,{base64.b64encode(frame.jpeg).decode()}"
    return h.img(src=source, width=frame.width, height=frame.height, alt=alt).__html__()


def still(session: StoredSession, *, faces: bool = False) -> KeyFrame | None:
    """Take one picture of the movement, without a number; None if there is no picture."""
    # Of repetitions the second is of the turn, of single joints the last.
    most = 2 if session.record.kind.noun == "repetition" else None
    return next(iter(_plain(session, slice(most), last=True, faces=faces)), None)


def stills(session: StoredSession, *, faces: bool = False) -> list[KeyFrame]:
    """Take the pictures of :func:`of_session` without measured values."""
    return _plain(session, slice(None), last=False, faces=faces)


def _plain(session: StoredSession, which: slice, *, last: bool, faces: bool) -> list[KeyFrame]:
    if not session.video.is_file():
        return []
    pose = with_sides_exchanged_as_in(session.pose(), session.fitted())
    moments = page_of(session.record.kind).moments(session, pose, ())[which]
    plain = [Moment(each.title, each.time) for each in moments]
    detected, shown = session.detected_pose(), plain[-1:] if last else plain
    return key_frames(session.video, pose, shown, faces=faces, detected=detected)


def of_session(
    session: StoredSession, findings: Sequence[Finding] = (), *, faces: bool = False
) -> list[KeyFrame]:
    """Take the pictures of an analysed session; empty if its video was not kept.

    Parameters
    ----------
    session
        The session.
    findings
        The main finding, and the finding of the same rule on the other side, if there are findings.
    faces
        Whether to show faces and surroundings instead of blurring them.
    """
    if not session.video.is_file():
        return []
    pose = with_sides_exchanged_as_in(session.pose(), session.fitted())
    moments = page_of(session.record.kind).moments(session, pose, findings)
    doubt = verdict_of(session).sides_in_doubt
    moments = [replace(each, doubt=doubt) for each in moments]
    detected = session.detected_pose()
    return key_frames(session.video, pose, moments, faces=faces, detected=detected)


def _offset(left: int, top: int) -> xr.DataArray:
    import xarray as xr

    return xr.DataArray([left, top], dims="pixel", coords={"pixel": ["u", "v"]})


def _around(
    rows: Sequence[NDArray[np.float64]], *, width: int, height: int
) -> tuple[int, int, int, int]:
    """Choose the part of the picture that contains the subject in all rows, with a margin."""
    places = np.concatenate([row[np.isfinite(row).all(axis=-1)] for row in rows])
    if not len(places):
        return 0, 0, width, height
    (x0, y0), (x1, y1) = places.min(axis=0), places.max(axis=0)
    room = 0.12 * max(x1 - x0, y1 - y0) + 4
    x0, x1 = max(0.0, x0 - room), min(float(width), x1 + room)
    y0, y1 = max(0.0, y0 - room), min(float(height), y1 + room)
    narrow, wide = _SHAPES
    missing = narrow * (y1 - y0) - (x1 - x0)
    if missing > 0:
        x0, x1 = _widened(x0, x1, missing, width)
    missing = (x1 - x0) / wide - (y1 - y0)
    if missing > 0:
        y0, y1 = _widened(y0, y1, missing, height)
    return int(x0), int(y0), max(int(x1), int(x0) + 2), max(int(y1), int(y0) + 2)


def _widened(low: float, high: float, by: float, most: int) -> tuple[float, float]:
    low, high = low - by / 2, high + by / 2
    low, high = low - max(0.0, high - most), high - min(0.0, low)
    return max(0.0, low), min(float(most), high)
