"""Landmarks that a person corrects by hand, before the pose is cleaned."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from mobility.base.options import Table, checked, likely, quoted
from mobility.base.parsing import parse_number
from mobility.base.provenance import history, last_of, with_history
from mobility.errors import BadInputError
from mobility.kinematics.clean import (
    Mask,
    arrays_of,
    clean_pose,
    exchange_sides,
    with_arrays,
    with_sides_exchanged_as_in,
)
from mobility.kinematics.datasets import Pose
from mobility.kinematics.skeleton import INDEX, KEYPOINTS, Array

KINDS = ("point", "bad", "exchange")
COLUMNS = ("kind", "start", "end", "landmark", "u", "v")

MOST_ROWS = 10_000
"""Limit for a table; more points than this are not set by hand."""

LONGEST_GAP_S = 1.0
"""Longest time, in seconds, over which the depth of a point is interpolated. Over longer times, a
squat may go down and up again.
"""

LEAST_VISIBILITY = 0.1
"""Visibility above which exchanges of the sides are searched, as for the fit."""

_SURE = {"confidence", "presence"}
"""Variables that are 1 for a point set by hand."""

_EXCHANGED = "sides_exchanged"


@checked
def edit_points(pose: Pose, points: Table) -> xr.Dataset:
    """Correct landmarks of a pose by hand: set points, remove wrong ones, exchange the sides.

    Parameters
    ----------
    pose
        Pose Dataset from ``estimate_pose``; metres, pixels, seconds. It is not changed.
    points
        One row for each correction, with the columns ``kind``, ``start``, ``end``, ``landmark``,
        ``u`` and ``v``. The notes describe them.

    Returns
    -------
    xarray.Dataset
        The same variables and times. The history entry has the rows, so that
        :func:`~mobility.kinematics.clean.clean_pose` does not exchange the sides again.

    Raises
    ------
    BadInputError
        A row is wrong; the message names the row and says what to do.

    Notes
    -----
    There are three kinds of rows:

    - ``point`` sets the place of a ``landmark`` in the frame at ``start``: ``u`` and ``v`` are
      pixels from the left and from the top of the picture.
    - ``bad`` marks a ``landmark`` as wrong from ``start`` to ``end``, so that it counts as not
      seen. Without a name, all landmarks are marked.
    - ``exchange`` exchanges left and right of all landmarks from ``start`` to ``end``.

    Times are seconds of the video. The other columns of a row stay empty.

    First, exchanges of left and right are undone as in
    :func:`~mobility.kinematics.clean.clean_pose`, because the user sees the skeleton after this
    step. Then exchanges by hand, bad frames and points are applied, in this order.

    A point has a visibility of 1. A picture shows no depth, so ``position`` and ``image_depth`` of
    a point are interpolated over time between frames in which the landmark is neither bad nor set
    by hand. If such frames are more than 1 s apart, the point has no place in space, and
    :func:`~mobility.kinematics.fit.entry.fit_body` treats the landmark as not seen.

    If the pose was estimated again with fewer frames, the frame of a point may be missing. The
    point is then left out, and the history counts it. If a landmark is wrong in several frames,
    mark all of them as bad, because the other frames keep their detections.
    """
    return with_points(pose, checked_points(points, pose))


def checked_points(points: Any, pose: xr.Dataset) -> list[dict[str, Any]]:
    """Check a table of corrections, and return it as JSON rows in order of time.

    The parameters and errors are those of :func:`edit_points`.
    """
    unknown = [name for name in points.columns if name not in COLUMNS]
    if unknown:
        name = str(unknown[0])
        fault = f"the column {quoted(name)} is unknown{likely(name, COLUMNS)}"
        raise BadInputError.of({"points": f"{fault}; the columns are {', '.join(COLUMNS)}"})
    for name in ("kind", "start"):
        if name not in points.columns:
            raise BadInputError.of({"points": f"the column {name!r} is missing; add it"})
    if "image_position" not in pose:
        raise BadInputError.of(
            {"pose": "has no image_position; pass the pose of a video, with its pixels"}
        )
    if len(points) > MOST_ROWS:
        raise BadInputError.of({"points": f"has more than {MOST_ROWS} rows; remove some"})
    rows = [
        _checked_row(number, values, pose)
        for number, values in enumerate(points.to_dict("records"), start=1)
    ]
    return sorted(rows, key=lambda row: (row["start"], KINDS.index(row["kind"])))


def with_points(pose: xr.Dataset, rows: Sequence[Mapping[str, Any]]) -> xr.Dataset:
    """Apply rows that :func:`checked_points` returned; without rows, the pose is unchanged."""
    if not rows:
        return pose
    cleaned = clean_pose(pose, visibility_threshold=LEAST_VISIBILITY)
    repaired = with_sides_exchanged_as_in(pose, cleaned)
    arrays, time = arrays_of(repaired), pose["time"].to_numpy().astype(np.float64)
    for row in _of_kind(rows, "exchange"):
        exchange_sides(arrays, _frames(row, time))
    replaced = np.zeros((time.size, len(KEYPOINTS)), bool)
    for row in _of_kind(rows, "bad"):
        names: Any = slice(None) if row["landmark"] is None else INDEX[row["landmark"]]
        replaced[_frames(row, time), names] = True
    points = _of_kind(rows, "point")
    set_by_hand = [
        (int(np.abs(time - row["start"]).argmin()), INDEX[row["landmark"]], row["u"], row["v"])
        for row in points
        # With another frame rate, its frame may not be analysed.
        if np.abs(time - row["start"]).min() <= _margin(pose)
    ]
    for frame, point, _, _ in set_by_hand:
        replaced[frame, point] = True
    # As after the visibility gate, which does not keep points that are hardly seen.
    seen = ~replaced
    if "confidence" in arrays:
        seen &= arrays["confidence"] >= LEAST_VISIBILITY
    detected = {name: values.copy() for name, values in arrays.items()}
    for name, values in arrays.items():
        mask = replaced if values.ndim == 2 else replaced[:, None]
        values[np.broadcast_to(mask, values.shape)] = 0.0 if name in _SURE else np.nan
    for frame, point, u, v in set_by_hand:
        for name in _SURE & arrays.keys():
            arrays[name][frame, point] = 1.0
        arrays["image_position"][frame, :, point] = u, v
        for name in {"position", "image_depth"} & arrays.keys():
            series = detected[name][..., point].reshape(time.size, -1)
            between = _interpolated(series, time, frame, seen[:, point])
            arrays[name][frame, ..., point] = between.reshape(detected[name][frame, ..., 0].shape)
    entry = last_of(history(cleaned), "clean_pose")
    found: dict[str, Any] = {}
    if warnings := [each for each in entry.get("warnings", []) if each["code"] == _EXCHANGED]:
        found["warnings"] = warnings
    return with_history(
        with_arrays(pose, arrays),
        "edit_points",
        {"points": [dict(row) for row in rows]},
        left_out_points=len(points) - len(set_by_hand),
        **found,
    )


def edited_frames(rows: Iterable[Mapping[str, Any]]) -> list[tuple[float, float]]:
    """Return the stretches of a video, in seconds, that corrections change, in order."""
    spans: list[tuple[float, float]] = []
    for first, last in sorted((row["start"], row["end"]) for row in rows):
        if spans and first <= spans[-1][1]:
            spans[-1] = spans[-1][0], max(spans[-1][1], last)
        else:
            spans.append((first, last))
    return spans


def _of_kind(rows: Sequence[Mapping[str, Any]], kind: str) -> list[Mapping[str, Any]]:
    return [row for row in rows if row["kind"] == kind]


def _frames(row: Mapping[str, Any], time: Array) -> Mask:
    half = _half_frame(time)
    return np.asarray((time >= row["start"] - half) & (time <= row["end"] + half))


def _half_frame(time: Array) -> float:
    return float(np.median(np.diff(time))) / 2 if time.size > 1 else 0.0


def _margin(pose: xr.Dataset) -> float:
    """Return the largest distance of a moment from its frame, in seconds.

    It is half a frame of the video, of which not every frame may be in the pose. Times may be
    written with two digits.
    """
    half = _half_frame(pose["time"].to_numpy())
    fps = float(pose.attrs.get("video_fps", 0))
    return (min(half, 0.5 / fps) if fps > 0 else half) + 0.005


def _interpolated(series: Array, time: Array, frame: int, seen: Mask) -> Array:
    """Return each coordinate at a frame, between the frames before and after it; NaN if none."""
    result = np.full(series.shape[1], np.nan)
    for k, values in enumerate(series.T):
        rows = np.flatnonzero(seen & np.isfinite(values))
        after = np.searchsorted(rows, frame)
        if 0 < after < rows.size and np.ptp(time[rows[after - 1 : after + 1]]) <= LONGEST_GAP_S:
            result[k] = np.interp(time[frame], time[rows], values[rows])
    return result


def _checked_row(number: int, values: Mapping[str, Any], pose: xr.Dataset) -> dict[str, Any]:
    row = {name: _given(values.get(name)) for name in COLUMNS}
    where = f"row {number}"

    def refuse(fault: str) -> BadInputError:
        return BadInputError.of({"points": f"{where}: {fault}"})

    kind = row["kind"]
    if kind not in KINDS:
        choice = f"must be one of {', '.join(KINDS)}"
        raise refuse(f"kind {choice} (got {quoted(kind)}){likely(str(kind), KINDS)}")
    is_point = kind == "point"
    needed = ("start", "landmark", "u", "v") if is_point else ("start", "end")
    for name in needed:
        if row[name] is None:
            raise refuse(f"a row of kind {kind} needs {name}; enter it")
    unused = ("end",) if is_point else ("u", "v") if kind == "bad" else ("landmark", "u", "v")
    for name in unused:
        if row[name] is not None and not (is_point and row["end"] == row["start"]):
            raise refuse(f"a row of kind {kind} has no {name}; leave it empty")
    if row["landmark"] is not None and row["landmark"] not in KEYPOINTS:
        name = str(row["landmark"])
        raise refuse(f"the landmark {quoted(name)} is unknown{likely(name, KEYPOINTS)}")
    for name in ("start", "end", "u", "v"):
        if row[name] is not None:
            row[name] = _number(row[name])
            if not math.isfinite(row[name]):
                raise refuse(f"{name} must be a number (got {quoted(values[name])})")
    if is_point:
        row["end"] = row["start"]
    time = pose["time"].to_numpy().astype(np.float64)
    if row["end"] < row["start"]:
        raise refuse("its end is before its start; exchange the two")
    margin = _margin(pose)
    nearest = float(np.abs(time - row["start"]).min())
    if row["start"] < time[0] - margin or row["end"] > time[-1] + margin:
        span = f"{time[0]:.2f} to {time[-1]:.2f} s"
        raise refuse(f"it is outside the video, which lasts from {span}; is it of another video?")
    if is_point and nearest > margin:
        raise refuse(f"no frame was analysed at {row['start']:g} s; name the moment of a frame")
    if is_point:
        width, height = (float(pose.attrs.get(f"image_{side}", 0)) for side in ("width", "height"))
        if not (0 <= row["u"] < width and 0 <= row["v"] < height):
            picture = f"the picture, which has {width:.0f} x {height:.0f} pixels"
            raise refuse(f"the point {row['u']:g},{row['v']:g} is outside {picture}")
    elif not _frames(row, time).any():
        raise refuse("no frame was analysed between its start and end; make it longer")
    if kind == "bad" and _frames(row, time).all():
        raise refuse("it covers the whole video, so nothing would be left; film again")
    return row


def _given(value: Any) -> Any:
    """Return None for an empty cell."""
    if isinstance(value, str):
        return value.strip() or None
    if value is None or value != value:  # NaN and NaT differ from themselves
        return None
    return value


def _number(value: Any) -> float:
    try:
        return parse_number(value) if isinstance(value, str) else float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan
