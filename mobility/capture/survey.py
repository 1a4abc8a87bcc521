"""The sparse look at a video: who is in it, whether the camera moves, light and blur.

Every two seconds (twice a second at the beginning) a frame is searched for
several people, and its background is compared with that of the look before. The
result decides whom the dense pass follows, and becomes part of the capture
quality.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from mobility.capture.landmarker import Box, overlap
from mobility.errors import BadInputError

INTERVAL_S = 2.0
"""Time between two looks."""

DENSE_S = 0.5
"""Time between two looks in the first interval, so that short clips are seen too."""

MOVING_CAMERA = 0.004
"""Background shift in two seconds, as a fraction of the width, that counts as motion."""

MOVING_SHARE, MOVING_LOOKS = 0.2, 2
"""Share and least number of looks with motion that make a moving camera."""

MOTION_WIDTH = 320
"""Width to which a frame is reduced for the comparison of backgrounds, pixels."""


class Person(BaseModel):
    """One person at one look: box in pixels, mean visibility of the core."""

    model_config = ConfigDict(frozen=True)

    box: tuple[float, float, float, float]
    visibility: float


class Look(BaseModel):
    """One frame of the survey."""

    model_config = ConfigDict(frozen=True)

    time: float
    people: list[Person]
    shift: Annotated[
        float | None, Field(description="background shift since the look before, fraction of width")
    ]
    brightness: float
    sharpness: float


@dataclass
class Track:
    """One person through the looks of a survey."""

    times: list[float] = field(default_factory=list)
    boxes: list[Box] = field(default_factory=list)
    visibility: list[float] = field(default_factory=list)

    def box_at(self, time: float) -> Box:
        """Box at any time, linear between looks and constant beyond them."""
        boxes = np.asarray(self.boxes)
        left, top, right, bottom = (
            float(np.interp(time, self.times, boxes[:, i])) for i in range(4)
        )
        return (left, top, right, bottom)

    def boxes_between(self, start: float, stop: float) -> list[Box]:
        """Boxes of all looks between two times, with those at both ends."""
        inside = [
            box for time, box in zip(self.times, self.boxes, strict=True) if start < time < stop
        ]
        return [self.box_at(start), *inside, self.box_at(stop)]


def look_number(time: float) -> int:
    """Return the number of the look of a frame; the first frame of each number is looked at."""
    if time < INTERVAL_S:
        return int(max(time, 0.0) / DENSE_S)
    return int(INTERVAL_S / DENSE_S) + int((time - INTERVAL_S) / INTERVAL_S)


def distinct(people: list[Person]) -> list[Person]:
    """Drop finds that are the same person twice, keeping the better seen one."""
    kept: list[Person] = []
    for person in sorted(people, key=lambda p: -p.visibility):
        if all(overlap(person.box, other.box) < 0.5 for other in kept):
            kept.append(person)
    return kept


def link(looks: list[Look]) -> list[Track]:
    """Join the people of successive looks into tracks, nearest boxes first.

    Two boxes can be the same person when their centres are less apart than the
    taller box's height for each second between them (a person of 1.7 m who
    walks at 1.7 m/s), at most 1.5 of it, and their heights differ by less than
    a factor of 2.5 (a deep squat halves a box).
    """
    tracks: list[Track] = []
    for look in looks:
        pairs = sorted(
            (
                (_distance(track.boxes[-1], person.box), i, j)
                for i, track in enumerate(tracks)
                for j, person in enumerate(look.people)
                if _may_be_same(track, look.time, person.box)
            ),
        )
        used_tracks: set[int] = set()
        used_people: set[int] = set()
        for _, i, j in pairs:
            if i in used_tracks or j in used_people:
                continue
            used_tracks.add(i)
            used_people.add(j)
            _append(tracks[i], look.time, look.people[j])
        for j, person in enumerate(look.people):
            if j not in used_people:
                tracks.append(Track())
                _append(tracks[-1], look.time, person)
    return tracks


def _append(track: Track, time: float, person: Person) -> None:
    track.times.append(time)
    track.boxes.append(person.box)
    track.visibility.append(person.visibility)


def _centre(box: Box) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def _distance(a: Box, b: Box) -> float:
    (ax, ay), (bx, by) = _centre(a), _centre(b)
    return float(np.hypot(ax - bx, ay - by))


def _may_be_same(track: Track, time: float, box: Box) -> bool:
    last = track.boxes[-1]
    tall, small = max(last[3] - last[1], box[3] - box[1]), min(last[3] - last[1], box[3] - box[1])
    reach = tall * min(1.5, max(time - track.times[-1], 0.5))
    return small > 0 and tall / small < 2.5 and _distance(last, box) < reach


def prominence(track: Track, looks: int, width: int, height: int) -> float:
    """How large and central a person is over the whole trial.

    The mean over all looks of box height (fraction of the picture's) times one
    minus half the distance from the centre (fraction of half the diagonal);
    looks at which the person is absent count as zero.
    """
    total = 0.0
    for box in track.boxes:
        x, y = _centre(box)
        off = np.hypot(x - width / 2, y - height / 2) / (np.hypot(width, height) / 2)
        total += (box[3] - box[1]) / height * (1 - 0.5 * min(off, 1.0))
    return total / max(looks, 1)


def choose_subject(
    tracks: list[Track],
    looks: list[Look],
    width: int,
    height: int,
    subject: tuple[float, float] | None,
) -> int:
    """Index of the subject's track.

    Parameters
    ----------
    tracks, looks
        From :func:`link`, at least one track.
    width, height
        Size of the picture, pixels.
    subject
        A point in the picture (pixels from the left, from the top) that lies
        on the subject when the subject is first seen; None for the one that is
        largest and most central over the whole trial.

    Raises
    ------
    BadInputError
        Nobody is ever at that point.
    """
    if subject is None:
        scores = [prominence(track, len(looks), width, height) for track in tracks]
        return int(np.argmax(scores))
    x, y = subject
    best: tuple[float, float, int] | None = None
    for index, track in enumerate(tracks):
        for time, box in zip(track.times, track.boxes, strict=True):
            if box[0] <= x <= box[2] and box[1] <= y <= box[3]:
                candidate = (time, float(np.hypot(_centre(box)[0] - x, _centre(box)[1] - y)), index)
                best = candidate if best is None else min(best, candidate)
                break
    if best is None:
        seen = ", ".join("{:.0f},{:.0f}".format(*_centre(track.boxes[0])) for track in tracks)
        raise BadInputError(
            f"subject {x:.0f},{y:.0f}: nobody is there; people were first seen at {seen}"
        )
    return best[2]


def others(tracks: list[Track], chosen: int) -> list[Track]:
    """Tracks of other people: seen well, and at two looks beside the subject.

    A track that never coexists with the subject's is the subject who left and
    came back, and one look alone may be a mistake of the detector.
    """
    subject = dict(zip(tracks[chosen].times, tracks[chosen].boxes, strict=True))
    found = []
    for index, track in enumerate(tracks):
        beside = [
            time
            for time, box in zip(track.times, track.boxes, strict=True)
            if time in subject and overlap(box, subject[time]) < 0.4
        ]
        if index != chosen and len(beside) >= 2 and np.mean(track.visibility) > 0.5:
            found.append(track)
    return found


class BackgroundMotion:
    """Shift of the background from look to look, people masked out."""

    def __init__(self) -> None:
        self._last: npt.NDArray[np.uint8] | None = None
        self._mask: npt.NDArray[np.uint8] | None = None

    def shift(self, small: npt.NDArray[np.uint8], boxes: list[Box]) -> float | None:
        """Median displacement of background points since the last call.

        Parameters
        ----------
        small
            Grey picture, reduced to :data:`MOTION_WIDTH`.
        boxes
            People in the coordinates of `small`.

        Returns
        -------
        float or None
            Fraction of the width; None at the first call, or where the
            background has too few points to tell.
        """
        import cv2

        mask = np.full(small.shape, 255, np.uint8)
        for left, top, right, bottom in boxes:
            dx, dy = 0.15 * (right - left), 0.1 * (bottom - top)
            mask[
                max(0, int(top - dy)) : max(0, int(bottom + dy)),
                max(0, int(left - dx)) : max(0, int(right + dx)),
            ] = 0
        last, last_mask = self._last, self._mask
        self._last, self._mask = small, mask
        if last is None or last_mask is None:
            return None
        points = cv2.goodFeaturesToTrack(last, 200, 0.01, 5, mask=last_mask)
        if points is None or len(points) < 12:
            return None
        moved, status, _ = cv2.calcOpticalFlowPyrLK(
            last, small, points, None, winSize=(21, 21), maxLevel=3
        )
        found = status.ravel() == 1
        step = (moved - points).reshape(-1, 2)[found]
        ends = moved.reshape(-1, 2)[found].astype(int)
        inside = (
            (ends >= 0).all(axis=1) & (ends[:, 0] < small.shape[1]) & (ends[:, 1] < small.shape[0])
        )
        # Points that end on a person were covered, not moved.
        inside[inside] = mask[ends[inside, 1], ends[inside, 0]] > 0
        if inside.sum() < 8:
            return None
        return float(np.median(np.linalg.norm(step[inside], axis=1)) / small.shape[1])


def camera_motion(looks: list[Look]) -> dict[str, Any]:
    """Say whether the camera moves, from the shifts of the background between looks.

    Looks are not equally far apart, so each shift is brought to the usual time
    between two, :data:`INTERVAL_S`. The camera moves if the median exceeds
    :data:`MOVING_CAMERA`, or if a fifth of the looks (at least two) do: one look
    that differs is a knock.

    Returns
    -------
    dict
        ``camera_moving`` (None where nothing could be told), ``camera_shift_median``
        and ``camera_shift_max`` in two seconds, fractions of the width, and
        ``camera_moving_share`` of the looks.
    """
    shifts = np.array(
        [
            now.shift * INTERVAL_S / (now.time - before.time)
            for before, now in pairwise(looks)
            if now.shift is not None and now.time > before.time
        ]
    )
    if not shifts.size:
        return {
            "camera_moving": None,
            "camera_shift_median": None,
            "camera_shift_max": None,
            "camera_moving_share": None,
        }
    count = int((shifts > MOVING_CAMERA).sum())
    median, share = float(np.median(shifts)), count / shifts.size
    part_of_the_time = count >= MOVING_LOOKS and share >= MOVING_SHARE
    return {
        "camera_moving": median > MOVING_CAMERA or part_of_the_time,
        "camera_shift_median": median,
        "camera_shift_max": float(shifts.max()),
        "camera_moving_share": share,
    }


def summary(looks: list[Look], tracks: list[Track], chosen: int) -> dict[str, Any]:
    """Sum up a survey for the pose's attributes and the capture quality."""
    return {
        "looks": len(looks),
        "other_people": [
            {
                "first_seen_s": round(track.times[0], 3),
                "last_seen_s": round(track.times[-1], 3),
                "box": [round(v, 1) for v in track.boxes[0]],
            }
            for track in others(tracks, chosen)
        ],
        **camera_motion(looks),
        "brightness": float(np.median([look.brightness for look in looks])) if looks else None,
        "sharpness": float(np.median([look.sharpness for look in looks])) if looks else None,
    }
