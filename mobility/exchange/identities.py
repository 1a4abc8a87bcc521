"""Identities of people from frame to frame, for files that only list the people of each frame.

A small file can claim a very large number of keypoints, so their number has a limit.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mobility.base.formatting import listed
from mobility.base.options import quoted
from mobility.errors import BadInputError

MOST_POINTS = 20_000_000
"""Limit for the number of frames times people times points: 40 minutes at 60 frames/s with the 136
points of a whole body. With their confidence they take half a GB, and twice as much during reading.
"""


MOST_NAMES = 1_000
"""Limit for the number of people in a file (the tracks of a long video), and of points of each
person (whole body, hands and face).
"""


def require_few(frames: int, people: int, points: int, *, what: Path) -> None:
    """Raise an error, before memory is reserved, if there are too many keypoints."""
    if max(people, points) > MOST_NAMES:
        raise BadInputError(
            f"{what}: has {people} people with {points} points, but at most {MOST_NAMES} of "
            "each can be read; keep the keypoints of one video"
        )
    if frames * people * points > MOST_POINTS:
        raise BadInputError(
            f"{what}: has {frames} frames x {people} people x {points} points, more than "
            f"{MOST_POINTS}; keep the keypoints of one video, and of one person"
        )


Array = NDArray[np.float64]

FARTHEST = 0.5
"""Largest distance between a person and their last position, as a share of the longer side of their
box: the mean over the points seen both times.
"""

LEAST_PRESENT = 0.1
"""Share of the frames below which a person counts as a passer-by, or as nobody."""

MARGIN = 0.1
"""Share by which a person's box is widened on each side when it is checked whether a point is on
the person.
"""


LONGEST_GAP_S = 1.0
"""If a person is not seen for this many seconds while others are, anybody in that place counts as a
new person.
"""

LONGEST_EMPTY_S = 10.0
"""The same, if nobody else is seen meanwhile: models lose people for seconds although they stay in
place.
"""

SHORTEST_S = 0.1
"""Least length of a track; a shorter track does not count as a person, unless all tracks are that
short.
"""

MOST_IN_FRAME = 100
"""Limit for the number of people in a frame; a full gym has fewer."""

MOST_OPEN = 5 * MOST_IN_FRAME
"""Limit for the number of tracks that may continue in a frame: the people of the last second, and
false detections.
"""


_MOST_SHOWN = 5
"""Number of people that a message names."""


class Detection(NamedTuple):
    """A person in a frame: points (keypoint, 2), confidence (keypoint), and a name, if any."""

    points: Array
    confidence: Array
    person: str | None


class Followed(NamedTuple):
    """People over all frames.

    Attributes
    ----------
    points, confidence
        (frame, person, keypoint, 2) and (frame, person, keypoint).
    names
        Names of the people.
    left_out
        How many people were seen too briefly to be kept.
    """

    points: Array
    confidence: Array
    names: tuple[str, ...]
    left_out: int


def followed(
    frames: Sequence[Sequence[Detection]], count: int, *, rate: float, what: Path
) -> Followed:
    """Follow people with `count` keypoints through frames at `rate` per second.

    A person with a name is the same in all frames with that name. Other people continue the track
    of the nearest person of the last second, or of the last frames with people. A person farther
    away counts as a new person, even if each frame has only one.

    Raises
    ------
    BadInputError
        A name occurs twice in a frame, or there are too many people; `what` is the file.
    """
    most = max(map(len, frames))
    if most > MOST_IN_FRAME:
        raise BadInputError(
            f"{what}: has {most} people in one frame, but at most {MOST_IN_FRAME} can be "
            "followed; keep fewer people"
        )
    require_few(len(frames), 1, count, what=what)
    if all(detection.person is not None for frame in frames for detection in frame):
        of_name = _named(frames, what)
        names, tracks = list(of_name), list(of_name.values())
        kept_tracks = list(range(len(tracks)))
    else:
        tracks = _linked(frames, rate, what)
        names = []
        longest = max(map(len, tracks), default=0)
        least = min(SHORTEST_S * rate, longest)
        kept_tracks = [place for place, track in enumerate(tracks) if len(track) >= least]
    # If there are many, keep the longest, as many as fit into memory.
    room = min(MOST_POINTS // (len(frames) * count), MOST_NAMES)
    longest_first = sorted(kept_tracks, key=lambda place: -len(tracks[place]))
    kept_tracks = sorted(longest_first[:room])
    points = np.full((len(frames), len(kept_tracks), count, 2), np.nan)
    confidence = np.full((len(frames), len(kept_tracks), count), np.nan)
    for place, index in enumerate(kept_tracks):
        for row, detection in tracks[index].items():
            points[row, place], confidence[row, place] = detection.points, detection.confidence
    numbers = map(str, range(1, len(kept_tracks) + 1))
    shown = [names[place] for place in kept_tracks] if names else numbers
    return Followed(points, confidence, tuple(shown), len(tracks) - len(kept_tracks))


def _named(frames: Sequence[Sequence[Detection]], what: Path) -> dict[str, dict[int, Detection]]:
    named: dict[str, dict[int, Detection]] = {}
    for row, frame in enumerate(frames):
        for detection in frame:
            track = named.setdefault(str(detection.person), {})
            if row in track:
                raise BadInputError(
                    f"{what}: frame {row} has person {quoted(detection.person)} twice; give "
                    "each person a separate name (idx), or leave out all names"
                )
            track[row] = detection
    return named


def _linked(
    frames: Sequence[Sequence[Detection]], rate: float, what: Path
) -> list[dict[int, Detection]]:
    """Return tracks of people without names; a track ends if the person is not seen for a while."""
    longest_gap, longest_empty = (max(s * rate, 1.0) for s in (LONGEST_GAP_S, LONGEST_EMPTY_S))
    tracks: list[dict[int, Detection]] = []
    open_tracks: list[int] = []
    last_row: list[int] = []
    occupied = 0  # frames with somebody
    last_occupied: list[int] = []
    for row, frame in enumerate(frames):
        present = [detection for detection in frame if seen_points(detection.points).any()]
        if not present:
            continue
        occupied += 1
        open_tracks = [
            place
            for place in open_tracks
            if occupied - last_occupied[place] <= longest_gap
            and row - last_row[place] <= longest_empty
        ]
        if len(open_tracks) > MOST_OPEN:
            raise BadInputError(
                f"{what}: has {len(open_tracks)} people within a second before frame {row}, but "
                f"at most {MOST_OPEN} can be followed; keep fewer people"
            )
        pairs = []
        if open_tracks:
            before = np.stack([tracks[place][last_row[place]].points for place in open_tracks])
            boxes = _boxes(before)
            for index, detection in enumerate(present):
                away = _distances(before, boxes, detection.points)
                for place in np.flatnonzero(away <= FARTHEST):
                    track = open_tracks[place]
                    names = {tracks[track][last_row[track]].person, detection.person} - {None}
                    if len(names) < 2:
                        pairs.append((float(away[place]), track, index))
        of_track: dict[int, int] = {}
        taken: set[int] = set()
        for _, track, index in sorted(pairs):
            if track not in of_track and index not in taken:
                of_track[track] = index
                taken.add(index)
        for track, index in of_track.items():
            tracks[track][row] = present[index]
            last_row[track], last_occupied[track] = row, occupied
        for index, detection in enumerate(present):
            if index not in taken:
                open_tracks.append(len(tracks))
                tracks.append({row: detection})
                last_row.append(row)
                last_occupied.append(occupied)
    return tracks


def seen_points(points: Array) -> NDArray[np.bool_]:
    """Whether each point (..., 2) has both coordinates."""
    return np.asarray(np.isfinite(points).all(axis=-1), dtype=np.bool_)


def _distances(before: Array, boxes: tuple[Array, Array], now: Array) -> Array:
    """Return the mean distance of the points of several tracks that are seen both times.

    It is a share of the longer side of the larger box. If no point is seen both times, it is the
    distance between the middles of the `boxes`, which belong to `before`.
    """
    sides, middles = boxes
    side, middle = _boxes(now[np.newaxis])
    size = np.maximum(np.maximum(sides, side), 1.0)
    u, v = np.moveaxis(before - now, -1, 0)
    apart = np.sqrt(u**2 + v**2)
    both = np.isfinite(apart)
    number = both.sum(axis=1)
    mean = np.where(both, apart, 0.0).sum(axis=1) / np.maximum(number, 1)
    away = np.where(number > 0, mean, np.linalg.norm(middles - middle, axis=-1))
    return np.asarray(away / size)


def _boxes(people: Array) -> tuple[Array, Array]:
    """Return longer side and middle of the box of each (person, keypoint, 2) with a point."""
    has_place = seen_points(people)[..., np.newaxis]
    low = np.where(has_place, people, np.inf).min(axis=1)
    high = np.where(has_place, people, -np.inf).max(axis=1)
    return (high - low).max(axis=-1), (low + high) / 2


def choose(
    points: Array, people: Sequence[str], subject: str | tuple[float, float] | None, *, what: str
) -> int:
    """Return the index of the person to measure.

    Parameters
    ----------
    points
        (frame, person, keypoint, 2).
    people
        Names of the people.
    subject
        Name of the person, or a point on the person in the frame in which they first appear; None
        if there is only one person.
    what
        Beginning of an error message.
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
            f"{what}: contains no point in any frame; use a file with keypoints in pixels"
        )
    presence = present.mean(axis=0)
    if subject is None:
        often = np.flatnonzero(presence >= min(LEAST_PRESENT, presence.max()))
        if len(often) == 1:
            return int(often[0])
        where = [_middle(points[:, place], present[:, place]) for place in often[: _MOST_SHOWN + 1]]
        raise BadInputError(
            f"{what}: has {len(often)} people; choose one with subject, a point on the person "
            f"in the frame in which they first appear (they are at {listed(_some(where))})"
        )
    inside = []
    for place in np.flatnonzero(presence):
        first = points[np.flatnonzero(present[:, place])[0], place]
        low, high = np.nanmin(first, axis=0), np.nanmax(first, axis=0)
        margin = MARGIN * float((high - low).max())
        if (low - margin <= subject).all() and (subject <= high + margin).all():
            inside.append((-presence[place], int(place)))
    if not inside:
        shown_people = np.flatnonzero(presence)[: _MOST_SHOWN + 1]
        where = [_middle(points[:, place], present[:, place]) for place in shown_people]
        raise BadInputError(
            f"{what}: nobody first appears at {subject[0]:g},{subject[1]:g}; people first "
            f"appear at {listed(_some(where))}"
        )
    return min(inside)[1]


def _middle(points: Array, present: NDArray[np.bool_]) -> str:
    """Return the middle of a person when first seen, in the format of an option."""
    u, v = np.nanmean(points[np.flatnonzero(present)[0]], axis=0)
    return f"{u:.0f},{v:.0f}"


def _some(texts: Sequence[str]) -> list[str]:
    return [*texts[:_MOST_SHOWN], *(["..."] if len(texts) > _MOST_SHOWN else [])]
