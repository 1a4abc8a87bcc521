"""Who is who from frame to frame, where a file only lists the persons of each frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mobility.errors import BadInputError
from mobility.wording import listed

Array = NDArray[np.float64]

FARTHEST = 0.5
"""Largest distance between a person and where they were last, mean over the points both times seen,
as a share of the longer side of their box."""

LEAST_PRESENT = 0.1
"""Share of the frames below which somebody is taken for a passer-by, or for nobody at all."""

MARGIN = 0.1
"""By which the box of a person is widened on each side to hold a point on them, as a share."""


class Detection(NamedTuple):
    """A person in a frame: points (keypoint, 2), confidence (keypoint), name where there is one."""

    points: Array
    confidence: Array
    person: str | None


def followed(
    frames: Sequence[Sequence[Detection]], count: int
) -> tuple[Array, Array, tuple[str, ...]]:
    """Follow persons with `count` keypoints through the frames.

    Returns points (frame, person, keypoint, 2), confidence (frame, person, keypoint) and names. A
    person without a name goes on as the nearest one of the frame before; if there is never more
    than one in a frame, it is one person.
    """
    if max(map(len, frames)) == 1:
        tracks = [{row: frame[0] for row, frame in enumerate(frames) if frame}]
        names = ["1"]
    elif all(each.person is not None for frame in frames for each in frame):
        named: dict[str, dict[int, Detection]] = {}
        for row, frame in enumerate(frames):
            for each in frame:
                named.setdefault(str(each.person), {})[row] = each
        names, tracks = list(named), list(named.values())
    else:
        tracks = _linked(frames)
        names = [str(number + 1) for number in range(len(tracks))]
    points = np.full((len(frames), len(tracks), count, 2), np.nan)
    confidence = np.full((len(frames), len(tracks), count), np.nan)
    for place, track in enumerate(tracks):
        for row, each in track.items():
            points[row, place], confidence[row, place] = each.points, each.confidence
    return points, confidence, tuple(names)


def _linked(frames: Sequence[Sequence[Detection]]) -> list[dict[int, Detection]]:
    tracks: list[dict[int, Detection]] = []
    last: list[Array] = []
    for row, frame in enumerate(frames):
        pairs = sorted(
            (distance, place, index)
            for place, before in enumerate(last)
            for index, each in enumerate(frame)
            if (distance := _distance(before, each.points)) <= FARTHEST
        )
        of_track: dict[int, int] = {}
        for _, place, index in pairs:
            if place not in of_track and index not in of_track.values():
                of_track[place] = index
        for place, index in of_track.items():
            tracks[place][row], last[place] = frame[index], frame[index].points
        for index in sorted({*range(len(frame))} - {*of_track.values()}):
            tracks.append({row: frame[index]})
            last.append(frame[index].points)
    return tracks


def seen_points(points: Array) -> NDArray[np.bool_]:
    """Whether each point (..., 2) has both coordinates."""
    return np.asarray(np.isfinite(points).all(axis=-1), dtype=np.bool_)


def _distance(before: Array, now: Array) -> float:
    """Mean distance of the points that were seen both times, as a share of the person's size."""
    both = seen_points(before) & seen_points(now)
    if not both.any():
        return float("inf")
    size = float(np.ptp(before[seen_points(before)], axis=0).max())
    away = float(np.linalg.norm(before[both] - now[both], axis=1).mean())
    return away / max(size, 1.0)


def choose(
    points: Array, people: Sequence[str], subject: str | tuple[float, float] | None, *, what: str
) -> int:
    """Return the place of the person who is meant.

    Parameters
    ----------
    points
        (frame, person, keypoint, 2).
    people
        Names of the persons.
    subject
        Name of the person, or a point on them where they are first seen; None for the only one.
    what
        With which an error begins.
    """
    if isinstance(subject, str):
        if subject not in people:
            raise BadInputError(
                f"{what}: has no person {subject!r}; it has {listed(_some(people))}"
            )
        return list(people).index(subject)
    present = np.asarray(seen_points(points).any(axis=-1))
    if not present.any():
        raise BadInputError(
            f"{what}: no frame has a point, all are missing; give a file with keypoints in pixels"
        )
    seen = present.mean(axis=0)
    if subject is None:
        often = np.flatnonzero(seen >= min(LEAST_PRESENT, seen.max()))
        if len(often) == 1:
            return int(often[0])
        where = [_middle(points[:, place], present[:, place]) for place in often]
        raise BadInputError(
            f"{what}: has {len(often)} people; say who is meant with subject, a point on them "
            f"where they are first seen (they are at {listed(_some(where))})"
        )
    inside = []
    for place in np.flatnonzero(seen):
        first = points[np.flatnonzero(present[:, place])[0], place]
        low, high = np.nanmin(first, axis=0), np.nanmax(first, axis=0)
        margin = MARGIN * float((high - low).max())
        if (low - margin <= subject).all() and (subject <= high + margin).all():
            inside.append((-seen[place], int(place)))
    if not inside:
        where = [_middle(points[:, place], present[:, place]) for place in np.flatnonzero(seen)]
        raise BadInputError(
            f"{what}: nobody is at {subject[0]:g},{subject[1]:g} when first seen; people are at "
            f"{listed(_some(where))}"
        )
    return min(inside)[1]


def _middle(points: Array, present: NDArray[np.bool_]) -> str:
    """Middle of a person where they are first seen, as it is given as an option."""
    u, v = np.nanmean(points[np.flatnonzero(present)[0]], axis=0)
    return f"{u:.0f},{v:.0f}"


def _some(texts: Sequence[str], most: int = 5) -> list[str]:
    return [*texts[:most], *(["..."] if len(texts) > most else [])]
