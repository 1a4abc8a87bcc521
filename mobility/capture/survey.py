"""Sparse survey of a video: the people in it, motion of the camera, light and blur.

Every two seconds (twice per second at the beginning, and when somebody appears) a frame is searched
for several people, and its background is compared with the other frames. The result decides which
person the dense pass follows, and becomes part of the capture quality.

People are distinguished by their heads, not their boxes: the model guesses the hidden part of a
person, so that the box also covers anybody who stands in front.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from mobility.capture.landmarks import (
    CORE,
    NOSE_AND_SHOULDERS,
    Array,
    Box,
    Image,
    Landmarks,
    believable,
    bounding_box,
    points_in_picture,
    rows_of,
)
from mobility.errors import BadInputError

INTERVAL_S = 2.0
"""Time between two looks."""

DENSE_S = 0.5
"""Time between two looks in the first interval; it is short, so that short videos get several
looks.
"""

CONFIRMED = 3
"""Number of looks in a row with several people after which looks become rare again."""

SAME_HEAD = 0.15
"""Largest distance between heads of the same person, as a share of the larger box's longer side."""

SAME_PLACE = 0.1
"""Largest median distance of landmarks in two poses of the same person, as a share of the larger
box's longer side: the width of a head."""

HEAD = 0.17
"""Radius of a head around the middle between nose and shoulders, as a share of the box's longer
side.

Shoulders are at 0.82 of the height (Drillis and Contini 1966), so that the crown is 0.15 above that
point; the rest is a margin for people who sit or are half hidden.
"""

LEAST_RANGE_DEG, CLEAR_RATIO = 30.0, 2.0
"""Least range of the moving joint in degrees, and its least ratio to the range of the most
prominent person.
"""

LEAST_PRESENT = 0.5
"""Least share of the frames in which the person who moves must be found."""

MOVING_CAMERA = 0.003
"""Distance of the background from its usual place, as a fraction of the width, above which the
camera counts as moving.
"""

MOVING_SHARE, MOVING_LOOKS = 0.2, 2
"""Least share and least number of looks with motion that indicate a moving camera."""

FIELDS, POINTS_OF_FIELD, FEWEST_FIELDS = 8, 6, 6
"""Number of fields along each side of the picture, largest number of points in a field, and least
number of fields that are compared.
"""

AT_REST_PX = 0.8
"""Largest movement, in pixels of the reduced picture, of a point that is at rest."""

RESTING_SHARE, MOVING_TOGETHER, LEAST_SPAN = 1 / 3, 0.35, 0.7
"""Share of the fields that are at rest if the camera is at rest, least share that moves together if
the camera moves, and least share of the width or height that these fields cover.
"""

LIGHT_PX, LEAST_CONTRAST = 12, 6.0
"""Distance, in pixels, over which the lighting is evened out, and contrast, in levels, that counts
as noise.
"""

MOTION_WIDTH = 320
"""Width to which a frame is reduced for the comparison of backgrounds, pixels."""


class Person(BaseModel):
    """One person at one look: box and middle of nose and shoulders (pixels), and mean visibility.

    `offset` is the distance, in pixels, from the landmarks that the search of every frame found;
    None if that search followed another person.
    """

    model_config = ConfigDict(frozen=True)

    box: tuple[float, float, float, float]
    head: tuple[float, float]
    visibility: float
    offset: float | None = None


class Look(BaseModel):
    """One frame of the survey."""

    model_config = ConfigDict(frozen=True)

    time: float
    people: list[Person]
    brightness: float
    sharpness: float
    shift: float | None = None
    """Distance of the background from its usual place, as a fraction of the width."""


@dataclass
class Track:
    """One person, followed through the frames of a survey."""

    times: list[float] = field(default_factory=list)
    boxes: list[Box] = field(default_factory=list)
    heads: list[tuple[float, float]] = field(default_factory=list)
    visibility: list[float] = field(default_factory=list)
    offsets: list[float | None] = field(default_factory=list)

    def add(self, time: float, person: Person) -> None:
        """Add the person as seen at a later look."""
        self.times.append(time)
        self.boxes.append(person.box)
        self.heads.append(person.head)
        self.visibility.append(person.visibility)
        self.offsets.append(person.offset)

    def is_near(self, time: float) -> bool:
        """Whether a time is between the looks, or next to them."""
        return self.times[0] - INTERVAL_S <= time <= self.times[-1] + INTERVAL_S

    def is_seen_at(self, time: float, looks: list[float]) -> bool:
        """Whether the person is seen at the look before a time or at the one after it.

        `looks` are the times of all looks. If two looks in a row miss the person, anybody whom the
        model finds between them is somebody else.
        """
        after = bisect.bisect_left(looks, time)
        return not set(looks[max(after - 1, 0) : after + 1]).isdisjoint(self.times)

    def box_at(self, time: float) -> Box:
        """Return the box at any time, interpolated between looks and constant beyond them."""
        boxes = np.asarray(self.boxes)
        left, top, right, bottom = (
            float(np.interp(time, self.times, boxes[:, i])) for i in range(4)
        )
        return (left, top, right, bottom)

    def head_at(self, time: float) -> tuple[float, float]:
        """Return the position of the head at any time, interpolated linearly between looks."""
        x, y = np.asarray(self.heads).T
        return (float(np.interp(time, self.times, x)), float(np.interp(time, self.times, y)))

    def boxes_between(self, start: float, stop: float) -> list[Box]:
        """Return the boxes at all looks between two times, and at both times."""
        inside = [
            box for time, box in zip(self.times, self.boxes, strict=True) if start < time < stop
        ]
        return [self.box_at(start), *inside, self.box_at(stop)]


def look_number(time: float) -> int:
    """Return the number of the look of a frame; the first frame of each number is surveyed."""
    if time < INTERVAL_S:
        return int(max(time, 0.0) / DENSE_S)
    return int(INTERVAL_S / DENSE_S) + int((time - INTERVAL_S) / INTERVAL_S)


def is_due(time: float, last: int, looks: list[Look]) -> bool:
    """Whether a frame has to be surveyed: its look is new, or somebody appeared recently."""
    if look_number(time) != last:
        return True
    several = [len(look.people) > 1 for look in looks[-CONFIRMED:]]
    appeared = bool(several) and several[-1] and not (len(several) == CONFIRMED and all(several))
    return appeared and time - looks[-1].time >= DENSE_S


def look_at(image: Image, time: float, people: list[Person]) -> tuple[Look, Image]:
    """Make a look from a frame and the people in it; also return the :func:`reduced` picture."""
    import cv2

    grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)
    look = Look(
        time=time,
        people=people,
        brightness=float(grey.mean() / 255),
        sharpness=float(cv2.Laplacian(grey, cv2.CV_64F).var()),
    )
    return look, reduced(grey)


def person(pose: Landmarks) -> Person:
    """Reduce a pose to the values that the survey needs.

    If a model neither has nor sees nose and shoulders, the middle of the box counts as the head.
    """
    box = bounding_box(pose)
    upper = points_in_picture(pose[NOSE_AND_SHOULDERS])
    x, y = upper.mean(axis=0) if len(upper) else _centre(box)
    core = pose["confidence"][CORE]
    return Person(box=box, head=(float(x), float(y)), visibility=float(np.nan_to_num(core).mean()))


def landmark_offset(pose: Landmarks, find: Landmarks) -> float | None:
    """Return the mean distance between the landmarks of two searches of one frame, pixels.

    The mean is over shoulders, elbows, wrists, hips, knees and ankles that are seen in both. None
    if there are fewer than four, or if the poses belong to two people. The two
    searches agree if the limbs can be seen in the picture.
    """
    visible_in_both = (
        np.minimum(pose["confidence"][_JOINTS], find["confidence"][_JOINTS]) > LEAST_SEEN
    )
    if np.count_nonzero(visible_in_both) < FEWEST_SEEN:
        return None
    one, other = person(pose), person(find)
    if _are_apart(one.head, one.box, other.head, other.box):
        return None
    distances = np.linalg.norm(pose["pixels"][_JOINTS] - find["pixels"][_JOINTS], axis=1)
    return float(distances[visible_in_both].mean())


def cover_people(image: Image, poses: list[Landmarks]) -> tuple[Image, npt.NDArray[np.bool_]]:
    """Cover people with grey, so that the detector finds others; also return the covering mask.

    Otherwise the detector misses people behind a person who lies or stands in front, or at the edge
    of the picture. A disc covers the whole head, because the landmarks of the face end at the eyes,
    and the model takes the rest of a head for a small person.
    """
    import cv2

    mask = np.zeros(image.shape[:2], np.uint8)
    for pose in poses:
        marks = pose["pixels"].round().astype(np.int32)
        cv2.fillConvexPoly(mask, cv2.convexHull(marks), 255)
        radius = round(HEAD * _size(bounding_box(pose)))
        cv2.circle(mask, marks[_NOSE].tolist(), radius, 255, thickness=-1)
    covered = image.copy()
    covered[mask > 0] = 128
    return covered, mask > 0


def uncovered_poses(poses: list[Landmarks], mask: npt.NDArray[np.bool_]) -> list[Landmarks]:
    """Keep the poses found in a covered picture that do not rest on the covered parts.

    The head, the shoulders and most of the landmarks must be outside the cover, because the model
    often finds the rest of the covered person.
    """
    height, width = mask.shape

    def under_cover(pose: Landmarks) -> npt.NDArray[np.bool_]:
        u, v = pose["pixels"].round().astype(int).T
        inside = (u >= 0) & (u < width) & (v >= 0) & (v < height)
        return np.asarray(mask[v[inside], u[inside]])

    def is_seen(pose: Landmarks) -> bool:
        upper = under_cover(pose[NOSE_AND_SHOULDERS])
        # At the edge of the picture one shoulder may be outside.
        return bool(upper.size >= 2 and not upper.any() and under_cover(pose).mean() < 0.5)

    return [pose for pose in poses if believable(pose) and is_seen(pose)]


def distinct(poses: list[Landmarks], searched: Landmarks | None = None) -> list[Person]:
    """List the people in several poses.

    If two poses belong to one person, the one that is seen better is kept. Two poses belong to one
    person if their heads, or most of their landmarks, are in the same place. `searched` is the pose
    that the search of every frame found in the same frame.
    """
    accepted: list[tuple[Landmarks, Person]] = []
    for pose in sorted(poses, key=lambda pose: -person(pose).visibility):
        candidate = person(pose)
        if all(
            _are_apart(candidate.head, candidate.box, other.head, other.box)
            and np.median(np.linalg.norm(pose["pixels"] - marks["pixels"], axis=1))
            > SAME_PLACE * max(_size(candidate.box), _size(other.box))
            for marks, other in accepted
        ):
            accepted.append((pose, candidate))
    if searched is None:
        return [candidate for _, candidate in accepted]
    return [
        candidate.model_copy(update={"offset": landmark_offset(searched, marks)})
        for marks, candidate in accepted
    ]


def link(looks: list[Look]) -> list[Track]:
    """Join the people in successive looks into tracks, the smallest change first.

    The change is the distance between the heads plus the mean distance between the edges of the
    boxes. In a squat the head moves far, but three of the edges stay.

    Two people can be the same if their heads and boxes are close. The heads may be apart by the
    longer side of the larger box for each second between them (a person of 1.7 m who walks at 1.7
    m/s), but at most 1.5 times that side. The longer sides of the two boxes must differ by less
    than a factor of 2.5 (a deep squat halves a box).
    """
    tracks: list[Track] = []
    for look in looks:
        pairs = sorted(
            (
                (_change(track, candidate), i, j)
                for i, track in enumerate(tracks)
                for j, candidate in enumerate(look.people)
                if _may_be_same(track, look.time, candidate)
            ),
        )
        used_tracks: set[int] = set()
        used_people: set[int] = set()
        for _, i, j in pairs:
            if i in used_tracks or j in used_people:
                continue
            used_tracks.add(i)
            used_people.add(j)
            tracks[i].add(look.time, look.people[j])
        for j, candidate in enumerate(look.people):
            if j not in used_people:
                tracks.append(Track())
                tracks[-1].add(look.time, candidate)
    return tracks


def _centre(box: Box) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def _size(box: Box) -> float:
    """Longer side: the stature of a person who stands or lies."""
    return max(box[2] - box[0], box[3] - box[1])


def _distance(a: tuple[float, float], b: tuple[float, float]) -> float:
    return float(np.hypot(a[0] - b[0], a[1] - b[1]))


def _are_apart(a: tuple[float, float], box: Box, b: tuple[float, float], other: Box) -> bool:
    return _distance(a, b) > SAME_HEAD * max(_size(box), _size(other))


def _change(track: Track, candidate: Person) -> float:
    edges = np.abs(np.subtract(track.boxes[-1], candidate.box)).mean()
    return _distance(track.heads[-1], candidate.head) + float(edges)


def _may_be_same(track: Track, time: float, candidate: Person) -> bool:
    sizes = _size(track.boxes[-1]), _size(candidate.box)
    reach = max(sizes) * min(1.5, max(time - track.times[-1], 0.5))
    alike = min(sizes) > 0 and max(sizes) / min(sizes) < 2.5
    return alike and _distance(track.heads[-1], candidate.head) < reach


def prominence(track: Track, looks: list[Look], width: int, height: int) -> float:
    """Return the size and centrality of a person over the whole recording.

    At each look, this is the longer side of the box (fraction of the picture's height), times one
    minus half the distance from the centre (fraction of half the diagonal). The result is the mean
    over time; looks without the person count as zero.
    """
    times = np.array([look.time for look in looks])
    shares = np.gradient(times) if len(times) > 1 else np.ones(len(times))
    durations = dict(zip(times, shares, strict=True))
    total = 0.0
    for time, box in zip(track.times, track.boxes, strict=True):
        x, y = _centre(box)
        off_centre = np.hypot(x - width / 2, y - height / 2) / (np.hypot(width, height) / 2)
        total += durations.get(time, 0.0) * _size(box) / height * (1 - 0.5 * min(off_centre, 1.0))
    return float(total / max(sum(durations.values()), 1e-9))


def choose_subject(
    tracks: list[Track],
    looks: list[Look],
    width: int,
    height: int,
    subject: tuple[float, float] | None,
) -> int:
    """Return the index of the subject's track.

    `width` and `height` are the size of the picture in pixels. `subject` is a point on the subject
    when the subject is first seen; None selects the largest and most central person over the whole
    recording. If nobody is ever at the point, an error is raised.
    """
    if subject is None:
        return int(np.argmax([prominence(track, looks, width, height) for track in tracks]))
    x, y = subject
    candidates = []
    for index, track in enumerate(tracks):
        for time, box, head in zip(track.times, track.boxes, track.heads, strict=True):
            if box[0] <= x <= box[2] and box[1] <= y <= box[3]:
                distance = min(_distance(subject, _centre(box)), _distance(subject, head))
                # Whoever is there soonest after their first look; others may pass there later.
                candidates.append((time - track.times[0], distance, index))
                break
    if not candidates:
        points = ", ".join(as_option(point_on(tracks, index)) for index in range(len(tracks)))
        raise BadInputError(
            f"subject {x:.0f},{y:.0f}: nobody is there; people were first seen at {points}"
        )
    return min(candidates)[2]


def point_on(tracks: list[Track], index: int) -> tuple[float, float]:
    """Return the point that selects a track's person with the option `subject`."""
    left, top, right, bottom = box = tracks[index].boxes[0]
    head = tracks[index].heads[0]
    for place in (_centre(box), head):
        x, y = round(place[0]), round(place[1])
        inside = max(left, 0) <= x <= right and max(top, 0) <= y <= bottom
        if inside and choose_subject(tracks, [], 1, 1, (x, y)) == index:
            return (float(x), float(y))
    return (float(round(head[0])), float(round(head[1])))


def as_option(point: tuple[float, float]) -> str:
    """Write a point in the format of the option `subject`."""
    return f"{point[0]:.0f},{point[1]:.0f}"


(_NOSE,) = rows_of("nose")
_JOINTS = rows_of(
    *(
        f"{side}_{joint}"
        for joint in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
        for side in ("left", "right")
    )
)
LEAST_SEEN, FEWEST_SEEN = 0.5, 4
"""Least visibility of the landmarks that are compared, and their least number."""

_LIMBS = tuple(
    rows_of(*(f"{side}_{joint}" for joint in chain))
    for side in ("left", "right")
    for chain in (
        ("shoulder", "elbow", "wrist"),
        ("hip", "shoulder", "elbow"),
        ("shoulder", "hip", "knee"),
        ("hip", "knee", "ankle"),
    )
)
"""Landmarks of elbow, shoulder, hip and knee of each side, the joint in the middle."""
FOLLOWED = frozenset({"elbow", "shoulder", "hip", "knee"})
"""Joints whose movement decides who moves."""


def limb_range(poses: Landmarks) -> float:
    """Return the largest joint range in the picture, degrees, times the share of usable frames.

    The range is from the 5th to the 95th percentile of the angle between the three landmarks, in
    frames that show all of them. A median of five frames removes glitches. The share is a factor
    because a person who walks through the picture is not there for long. `poses` is (n, 33); NaN if
    nobody is there.
    """
    from scipy.ndimage import median_filter

    largest = 0.0
    for first, joint, last in _LIMBS:
        visible_rows = np.nan_to_num(poses["confidence"][:, [first, joint, last]]).min(axis=1) > 0.6
        if visible_rows.mean() < LEAST_PRESENT:
            continue
        pixels = poses["pixels"][visible_rows]
        a, b = (pixels[:, end] - pixels[:, joint] for end in (first, last))
        cross = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
        angle = median_filter(np.degrees(np.arctan2(np.abs(cross), (a * b).sum(axis=1))), 5)
        low, high = np.percentile(angle, [5, 95])
        largest = max(largest, float(high - low) * float(visible_rows.mean()))
    return largest


def who_moves(ranges: list[float]) -> int:
    """Return the index of the person who moves a joint: the first, or one who moves far more.

    `ranges` come from :func:`limb_range`, the most prominent person first. The first person is
    preferred because therapists move too.
    """
    best = int(np.argmax(ranges))
    return best if ranges[best] >= max(LEAST_RANGE_DEG, CLEAR_RATIO * ranges[0]) else 0


def other_people(tracks: list[Track], subject_index: int) -> list[int]:
    """List the tracks of other people who are seen well, at least twice together with the subject.

    A track that is never seen together with the subject's is the subject, who left and came back. A
    single look may be a mistake of the detector.
    """
    main = tracks[subject_index]
    subject = dict(zip(main.times, zip(main.heads, main.boxes, strict=True), strict=True))
    indices = []
    for index, track in enumerate(tracks):
        beside = [
            time
            for time, head, box in zip(track.times, track.heads, track.boxes, strict=True)
            if time in subject and _are_apart(head, box, *subject[time])
        ]
        if index != subject_index and len(beside) >= 2 and np.mean(track.visibility) > 0.5:
            indices.append(index)
    return indices


def is_another(
    pose: Landmarks, time: float, track: Track, rivals: list[Track], looks: list[float]
) -> bool:
    """Whether the head of a pose is nearer to a rival's head than to the subject's.

    `looks` are the times of all looks: a rival counts only near looks that show the rival.
    """
    head = person(pose).head
    to_subject = _distance(head, track.head_at(time))
    return any(
        _distance(head, rival.head_at(time)) < to_subject
        for rival in rivals
        if rival.is_seen_at(time, looks)
    )


def reduced(grey: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Reduce a grey picture for :func:`background_shifts`."""
    import cv2

    height = max(1, round(grey.shape[0] * MOTION_WIDTH / grey.shape[1]))
    small = cv2.resize(grey, (MOTION_WIDTH, height), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)


def background_shifts(
    pictures: Sequence[npt.NDArray[np.uint8]] | npt.NDArray[np.uint8], boxes: list[list[Box]]
) -> list[float | None]:
    """Return the distance of the background from its usual place at each look, per picture width.

    If the whole background moves together, the camera moves: a shift, a turn or a zoom. Separate
    movements, such as arms, a passer-by or leaves, do not count.

    Parameters
    ----------
    pictures
        Grey pictures of the frames that were looked at, from :func:`reduced`.
    boxes
        Boxes of the people in each of them.

    Returns
    -------
    list
        None for looks that show too little of the background.
    """
    if not len(pictures):
        return []
    height, width = pictures[0].shape
    corners = np.array(
        [(x, y, 1.0) for x in (0, width / 2, width) for y in (0, height / 2, height)]
    )
    even = [_evenly_lit(picture) for picture in pictures]
    masks = [_background(pictures[0].shape, people) for people in boxes]

    def common(first: int, second: int) -> Array | None:
        return _common_motion(even[first], even[second], masks[first] & masks[second])

    shifts: list[float | None] = [None] * len(pictures)
    first = 0
    while first < len(pictures):
        # Against the first; if they share too little, by way of the one before.
        motions = [np.eye(3)]
        for now in range(first + 1, len(pictures)):
            motion = common(first, now)
            if motion is None and (step := common(now - 1, now)) is not None:
                motion = step @ motions[-1]
            if motion is None:  # another shot, or nothing to see
                break
            motions.append(motion)
        places = np.stack([corners @ motion[:2].T for motion in motions])
        apart = np.linalg.norm(places[:, None] - places, axis=-1).mean(axis=-1) / width
        if len(motions) > 1:
            usual = int(apart.sum(axis=1).argmin())
            shifts[first : first + len(motions)] = apart[usual].tolist()
        first += len(motions)
    return shifts


def with_shifts(
    looks: list[Look], pictures: npt.NDArray[np.uint8], width: int, cuts: Sequence[float]
) -> list[Look]:
    """Add the shifts of the background to the looks; the pictures were `width` pixels wide.

    Each shot between `cuts`, in seconds, is compared only with itself.
    """
    scale = MOTION_WIDTH / width
    shots = np.searchsorted(cuts, [look.time for look in looks], side="right")
    shifts: list[float | None] = []
    for shot in np.unique(shots):
        rows = np.flatnonzero(shots == shot)
        boxes = [
            [tuple(scale * edge for edge in person.box) for person in looks[row].people]
            for row in rows
        ]
        shifts += background_shifts(pictures[rows], boxes)  # type: ignore[arg-type]
    return [
        look.model_copy(update={"shift": shift}) for look, shift in zip(looks, shifts, strict=True)
    ]


def _evenly_lit(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Even out the light of a picture, so that the exposure does not matter."""
    import cv2

    around = (2 * LIGHT_PX + 1, 2 * LIGHT_PX + 1)
    smooth = cv2.GaussianBlur(picture.astype(np.float32), (0, 0), 1.0)
    contrast = smooth - cv2.blur(smooth, around)
    spread = cv2.blur(np.abs(contrast), around) + LEAST_CONTRAST
    return np.asarray(np.clip(128 + 40 * contrast / spread, 0, 255), np.uint8)


def _background(shape: tuple[int, ...], boxes: list[Box]) -> npt.NDArray[np.bool_]:
    """Mask everything except the people."""
    mask = np.ones(shape, np.bool_)
    for left, top, right, bottom in boxes:
        dx, dy = 0.15 * (right - left), 0.1 * (bottom - top)
        rows = slice(max(0, int(top - dy)), max(0, int(bottom + dy)))
        mask[rows, max(0, int(left - dx)) : max(0, int(right + dx))] = False
    return mask


def _common_motion(
    first: npt.NDArray[np.uint8], second: npt.NDArray[np.uint8], mask: npt.NDArray[np.bool_]
) -> Array | None:
    """Return the motion (3, 3) that most of the background shares; None if none is seen.

    The background is divided into fields, so that a few points in many places count more than many
    points in one place. A moving camera leaves nothing in place: if a third of the fields stay, the
    camera is at rest.
    """
    import cv2

    points = cv2.goodFeaturesToTrack(first, 400, 0.01, 5, mask=mask.astype(np.uint8))
    if points is None:
        return None
    points = points.reshape(-1, 2)
    # The strongest points come first.
    rows_of_fields: dict[int, list[int]] = {}
    for row, number in enumerate(_fields(points, first.shape).tolist()):
        rows_of_fields.setdefault(number, []).append(row)
    points = points[[row for rows in rows_of_fields.values() for row in rows[:POINTS_OF_FIELD]]]
    motion = _tracked(first, second, mask, points, np.zeros(2))
    if motion is None:
        # Far from where it was, as after a knock.
        window = cv2.createHanningWindow(first.shape[::-1], cv2.CV_32F)
        jump, _ = cv2.phaseCorrelate(first.astype(np.float32), second.astype(np.float32), window)
        motion = _tracked(first, second, mask, points, np.array(jump))
    return motion


def _fields(points: npt.NDArray[Any], shape: tuple[int, ...]) -> npt.NDArray[np.int64]:
    """Return the number of the field of the picture in which each point lies."""
    columns, rows = (points * FIELDS / shape[::-1]).astype(np.int64).T
    return np.asarray(columns + FIELDS * rows)


def _tracked(
    first: npt.NDArray[np.uint8],
    second: npt.NDArray[np.uint8],
    mask: npt.NDArray[np.bool_],
    starts: npt.NDArray[np.float32],
    jump: npt.NDArray[np.float64],
) -> Array | None:
    """Find the common motion of points, searched at their old place plus `jump`."""
    import cv2

    flow = partial(
        cv2.calcOpticalFlowPyrLK, winSize=(21, 21), maxLevel=3, flags=cv2.OPTFLOW_USE_INITIAL_FLOW
    )
    guess = (starts + jump).astype(np.float32)
    ends, status, _ = flow(first, second, starts, guess)
    back, again, _ = flow(second, first, ends, starts.copy())
    # Points that are not found again backwards follow the noise of a plain wall.
    reliable = (status.ravel() == 1) & (again.ravel() == 1)
    reliable &= np.linalg.norm(back - starts, axis=1) < 0.5
    reliable &= ((ends >= 0) & (ends < first.shape[::-1])).all(axis=1)
    starts, ends = starts[reliable], ends[reliable]
    # A person moved in front of points that end on a person.
    inside = mask[ends[:, 1].astype(int), ends[:, 0].astype(int)]
    starts, ends = starts[inside], ends[inside]
    fields = _fields(starts, first.shape)
    field_count = len(np.unique(fields))
    if field_count < FEWEST_FIELDS:
        return None
    at_rest = np.linalg.norm(ends - starts, axis=1) < AT_REST_PX
    least = RESTING_SHARE * field_count
    if len(np.unique(fields[at_rest])) < max(FEWEST_FIELDS, least):
        at_rest, least = np.ones(len(starts), np.bool_), MOVING_TOGETHER * field_count
    starts, ends, fields = starts[at_rest], ends[at_rest], fields[at_rest]
    cv2.setRNGSeed(0)
    motion, inliers = cv2.estimateAffinePartial2D(starts, ends, ransacReprojThreshold=AT_REST_PX)
    if motion is None:
        return None
    together = inliers.ravel() == 1
    span = (np.ptp(starts[together], axis=0) / first.shape[::-1]).max()
    if len(np.unique(fields[together])) < max(FEWEST_FIELDS, least) or span < LEAST_SPAN:
        return None
    return np.vstack([motion, [0.0, 0.0, 1.0]])


def camera_motion(looks: list[Look]) -> dict[str, Any]:
    """Return the motion of the camera, from the places of the background at the looks.

    The camera moves if the background is away from its usual place by more than
    :data:`MOVING_CAMERA` at a fifth of the looks, and at least at two. A single such look only
    means that the camera was knocked. The values are None if the background was seen well enough at
    fewer than half of the looks. Shifts are fractions of the width.
    """
    shifts = np.array([look.shift for look in looks if look.shift is not None])
    if not shifts.size or shifts.size < len(looks) / 2:
        names = ("moving", "shift_median", "shift_max", "moving_share")
        return {f"camera_{name}": None for name in names}
    count = int((shifts > MOVING_CAMERA).sum())
    share = count / shifts.size
    return {
        "camera_moving": count >= min(MOVING_LOOKS, len(shifts) - 1) and share >= MOVING_SHARE,
        "camera_shift_median": float(np.median(shifts)),
        "camera_shift_max": float(shifts.max()),
        "camera_moving_share": share,
    }


def summary(looks: list[Look], tracks: list[Track], subject: int) -> dict[str, Any]:
    """Summarise a survey for the pose's attributes and the capture quality."""
    offsets = [offset for offset in tracks[subject].offsets if offset is not None]
    return {
        "looks": len(looks),
        "landmark_offset_px": float(np.mean(offsets)) if offsets else None,
        "subject": list(point_on(tracks, subject)),
        "other_people": [
            {
                "first_seen_s": round(tracks[index].times[0], 3),
                "last_seen_s": round(tracks[index].times[-1], 3),
                "box": [round(v, 1) for v in tracks[index].boxes[0]],
                "subject": list(point_on(tracks, index)),
            }
            for index in other_people(tracks, subject)
        ],
        # Heads of everybody else, even if seen once, to hide them: seconds, the point between nose
        # and shoulders, and the radius of the head, pixels.
        "other_heads": [
            [
                [round(time, 3), *(round(v, 1) for v in (*head, HEAD * _size(box)))]
                for time, head, box in zip(track.times, track.heads, track.boxes, strict=True)
            ]
            for index, track in enumerate(tracks)
            if index != subject
        ],
        **camera_motion(looks),
        "brightness": float(np.median([look.brightness for look in looks])) if looks else None,
        "sharpness": float(np.median([look.sharpness for look in looks])) if looks else None,
    }
