"""Shots of a video: where it is cut, and which shots repeat an earlier one."""

from __future__ import annotations

import bisect
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from mobility.capture.landmarks import Array

Grey = npt.NDArray[np.uint8]

CHANGED = 25
"""Difference from the previous picture, in levels of 255, from which a point counts as changed."""

CUT_RATIO, CUT_SHARE, CUT_FRAMES, CUT_S = 2.0, 0.005, 3, 0.25
"""Least share of points that change at a cut, and the least ratio of this share to the shares in
the frames before and after.

Before and after mean three frames, or a quarter of a second: some videos show five pictures per
second, but are stored with thirty frames per second. In 26 videos, filmed and rendered, none of
3,357 frames changed more than 1.20 times as much as any of the three frames before and after it;
most cuts changed 3 to 9 times as much.
"""

FADE_S, FADE_SHARE, FADE_FRAMES = 0.5, 0.02, 5
"""Time over which one shot may fade into the next, least share of points that the fade changes, and
least number of frames in that time.
"""

MIXED, MIDDLE, BLANK = 0.05, 0.3, 3.0
"""Limits for the middle of a fade. There, a changed part of the picture is a mixture of the
pictures before and after. The limits are the largest share of the squared change that no mixture
explains, which is larger if something moves, and the least share of either picture. Alternatively,
the picture is blank; the third limit is its largest standard deviation, in levels. In 17 videos,
filmed and rendered, nothing looks like a fade; 4 fades of 0.2 to 0.5 s between two rendered views,
and 2 blank pictures between them, are found.
"""

LEAST_CHANGE = 1e-6
"""Least change of a picture that is not identical to the previous picture."""

BLOCK, STRIDE, REACH, MOST_REACH = 10, 5, 3, 8
"""Blocks that are searched for in the next picture: their side, their spacing, how far they are
searched for in a thirtieth of a second, and how far at most, in points of the reduced picture.
"""

TEXTURE, ALIKE = 6.0, 0.8
"""Least standard deviation of a block, in levels, and least correlation with the picture at the
place where it is found.
"""

GOES_ON, GOES_ON_BESIDE, LEAST_LEFT = 0.8, 0.6, 0.15
"""Least share of the person that is found again if there is no cut, without a caption and next to
one, and least share of the person that a caption must leave uncovered.

Nine filmed and rendered videos were changed. Of 210 changes of captions, counters, bars of up to a
third of the picture and the exposure, 1 counts as a cut; of 45 cuts to another, a nearer or a
mirrored shot, 1 is missed (``python benchmarks/cuts.py``). Missing frames within a shot do not
count as a cut if the picture of the person hardly changes.
"""

SMALLEST_CAPTION = 0.15
"""Least share of the picture that changes next to the person if a caption covers the person."""

STILL, MOST_COVERED = 1, 0.5
"""Largest number of points by which the surroundings of the person move, and largest share of the
picture that captions cover."""

PERSON_PX = 3
"""Distance, in points of the reduced picture, around the landmarks that counts as part of the
person.
"""

FIELDS = (6, 2)
"""Rows and columns of fields in a thumbnail; each field is compared separately, because of
captions."""

SHORTEST_S, LEAST_SHARED, COMPARED_HZ, MOST_COMPARED = 1.0, 0.9, 5.0, 300
"""Least time of a repeat, least share of one of its two shots that is in the other, and rate and
number of the pictures that are compared."""

ALIKE_SCORE = 0.9
"""Share of the best match above which another match is as good."""

MOVES, SAME, NOISE, SAME_SHARE = 20.0, 0.05, 4.0, 0.5
"""Least variance, in levels squared, of a field in which something moves; the largest difference of
a repeat, which is the second number times the variance plus the third for noise; and the least
share of the movement that is the same, because captions cover some."""

NEAR_S = 0.3
"""Longest time between a picture and the pose that shows where the person is in it."""

THUMB = 32
"""Longest side of the thumbnails of all frames, which record what was shown before."""

PICTURES = (
    *("picture_times", "changes", "thumbs", "pair_times", "pairs"),
    *("fade_times", "fades"),
)
"""Names of the arrays of :class:`PictureChanges`."""


class PictureChanges:
    """How much of the picture changes from frame to frame, and what may be a cut."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.changes: list[float] = []
        self.thumbs: list[Grey] = []
        self.pairs: dict[float, Grey] = {}
        """Pictures before and after a sudden change, (2, height, width), by the second's time."""
        self.fades: dict[float, Grey] = {}
        """Pictures before and after what may be a fade, by the time of the latter."""
        self._last: Grey | None = None
        self._recent: deque[tuple[float, Grey]] = deque()
        self._fade = (-np.inf, 0.0)  # time and change of the last one

    def add(self, time: float, grey: Grey) -> None:
        """Compare some points of a picture in grey with those of the picture before.

        The share is 0 only if the same picture is repeated, because noise alone changes some
        points.
        """
        import cv2

        last, self._last = self._last, grey
        change = 0.0
        if last is not None and last.shape == grey.shape and not np.array_equal(last, grey):
            difference = np.abs(grey.astype(np.int16) - last)
            change = max(float((difference > CHANGED).mean()), LEAST_CHANGE)
            before = max(self.changes[-CUT_FRAMES:], default=0.0)
            earlier_shape = next(iter(self.pairs.values()), grey[np.newaxis]).shape[1:]
            if change >= CUT_SHARE and change >= CUT_RATIO * before and grey.shape == earlier_shape:
                self.pairs[time] = np.stack([last, grey])
        self._add_fade(time, grey)
        height, width = grey.shape
        side = THUMB / max(height, width)
        size = (max(1, round(width * side)), max(1, round(height * side)))
        size = self.thumbs[0].shape[::-1] if self.thumbs else size
        self.times.append(time)
        self.changes.append(change)
        self.thumbs.append(np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA)))

    def _add_fade(self, time: float, grey: Grey) -> None:
        """Keep the pictures half a second apart, if one fades into the other."""
        recent = self._recent
        if recent and recent[0][1].shape != grey.shape:
            recent.clear()
        recent.append((time, grey))
        while time - recent[0][0] > FADE_S:
            recent.popleft()
        if len(recent) < FADE_FRAMES:
            return
        first = recent[0][1]
        change = float(np.abs(grey.astype(np.int16) - first).mean())
        is_same = time - self._fade[0] <= FADE_S
        if (is_same and change <= self._fade[1]) or not _fades([picture for _, picture in recent]):
            return
        if is_same:  # a larger part of the same fade
            del self.fades[self._fade[0]]
        shape = next(iter(self.fades.values()), grey[np.newaxis]).shape[1:]
        if shape == grey.shape:
            self.fades[time] = np.stack([first, grey])
            self._fade = (time, change)

    def between(self, start: float, stop: float) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays of pictures with ``start <= time < stop``, by :data:`PICTURES`."""
        rows = slice(bisect.bisect_left(self.times, start), bisect.bisect_left(self.times, stop))
        pairs, fades = (
            {time: pair for time, pair in kept_pairs.items() if start <= time < stop}
            for kept_pairs in (self.pairs, self.fades)
        )
        arrays = (
            np.array(self.times[rows], np.float64),
            np.array(self.changes[rows], np.float64),
            np.array(self.thumbs[rows], np.uint8),
            np.array(list(pairs), np.float64),
            np.array(list(pairs.values()), np.uint8),
            np.array(list(fades), np.float64),
            np.array(list(fades.values()), np.uint8),
        )
        return dict(zip(PICTURES, arrays, strict=True))


def _fades(pictures: Sequence[Grey]) -> bool:
    """Whether the first of some pictures fades into the last, or both are next to a blank."""
    first, last = (picture.astype(np.float64) for picture in (pictures[0], pictures[-1]))
    difference = last - first
    is_changed = np.abs(difference) > CHANGED
    if is_changed.mean() < FADE_SHARE or min(first.std(), last.std()) <= BLANK:
        return False
    if any(picture.std() <= BLANK for picture in pictures[1:-1]):
        return True
    way = difference[is_changed]
    middle = (pictures[len(pictures) // 2] - first)[is_changed]
    share = float(middle @ way / (way @ way))
    rest = float(((middle - share * way) ** 2).sum() / (way @ way))
    return rest <= MIXED and MIDDLE <= share <= 1 - MIDDLE


def sudden_changes(times: Array, changes: Array) -> list[float]:
    """List the times (s) of frames that change more than the frames around them.

    A quick movement lasts several frames, a flash changes the picture twice, and a gap in the times
    is not a cut. After a repeated picture, the next change covers the movement during the whole
    time.

    Parameters
    ----------
    times
        Times of the frames, (n,), seconds.
    changes
        Changes from :class:`PictureChanges`, (n,).
    """
    if len(times) < 2:
        return []
    steps = np.diff(times, prepend=times[0])
    frame = float(np.median(steps[1:]))
    reach = max(CUT_FRAMES, round(CUT_S / frame))
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(changes, reach), 2 * reach + 1)
    beside = np.delete(windows, reach, axis=1).max(axis=1)
    repeats = np.zeros(len(changes))
    for frame_number in range(2, len(changes)):
        if changes[frame_number - 1] == 0:
            repeats[frame_number] = repeats[frame_number - 1] + 1
    sudden = (changes >= CUT_SHARE) & (changes >= CUT_RATIO * (1 + repeats) * beside)
    is_cut = sudden & (steps < 1.5 * frame)
    return [float(time) for time in times[is_cut]]


def cuts(
    pictures: Mapping[str, npt.NDArray[Any]], times: Array, pixels: Array, width: int
) -> list[float]:
    """Find the first frames after cuts, and the middles of fades, in seconds.

    At a cut the picture changes suddenly, or fades into another, and the person is not found in the
    same place. A change beside the person, or one that covers a part of them, counts as a caption.

    Parameters
    ----------
    pictures
        Arrays of :class:`PictureChanges`.
    times, pixels
        Times of the poses, (n,), seconds, and their landmarks in the picture, (n, 33, 2), pixels;
        NaN if nobody is there.
    width
        Width of the pictures in which the poses were found, pixels.
    """
    pairs = dict(zip(pictures["pair_times"].tolist(), pictures["pairs"], strict=True))
    times_of_cuts = []
    moments = sudden_changes(pictures["picture_times"], pictures["changes"])
    frame = float(np.median(np.diff(pictures["picture_times"]))) if moments else 0.0
    reach = min(max(REACH, round(30 * frame * REACH)), MOST_REACH)
    for time in moments:
        if (pair := pairs.get(time)) is None:
            continue
        row = int(np.searchsorted(times, time))
        people = _people(times, pixels, pair.shape[2] / width, {row - 1: time, row: time})
        if not goes_on(pair, people, reach=reach):
            times_of_cuts.append(time)
    for end, pair in zip(pictures["fade_times"].tolist(), pictures["fades"], strict=True):
        rows = {int(np.searchsorted(times, moment)): moment for moment in (end - FADE_S, end)}
        time = end - FADE_S / 2
        people = _people(times, pixels, pair.shape[2] / width, rows)
        beside = any(abs(time - other) <= FADE_S for other in times_of_cuts)
        if not beside and len(people) == 2 and not goes_on(pair, people, reach=MOST_REACH):
            times_of_cuts.append(time)
    return sorted(times_of_cuts)


def _people(times: Array, pixels: Array, scale: float, moments: Mapping[int, float]) -> list[Array]:
    """Find the person in pictures: the row of the pose, and the time of the picture."""
    return [
        scale * pixels[row]
        if 0 <= row < len(times) and abs(times[row] - moment) < NEAR_S
        else np.full((1, 2), np.nan)
        for row, moment in moments.items()
    ]


def goes_on(pair: Grey, people: Sequence[Array], *, reach: int = REACH) -> bool:
    """Whether the same shot goes on from one picture to the next.

    The surroundings of the person must stay in place, and the person must be found near the
    previous place. A caption covers a part of the picture, from its left end to its right end, also
    across the person; the covered part does not count if enough is left.

    Parameters
    ----------
    pair
        The two pictures, (2, height, width).
    people
        Landmarks (n, 2) of the person in each picture; NaN if nobody is there.
    reach
        Largest number of points by which the person moves.
    """
    import cv2

    masks = [_mask(pair.shape[1:], marks) for marks in people]
    covered, stays = np.zeros((2, *pair.shape[1:]), np.bool_)
    parts = []
    for first, second, person in ((*pair, masks[0]), (*pair[::-1], masks[1])):
        corners, moved = _blocks(first, second, reach)
        rows, columns = (corners + BLOCK // 2).T
        of_person = person[rows, columns]
        if person.all():  # nobody is there
            of_person[:] = False
        for at_rest, area in ((moved > STILL, covered), (moved <= STILL, stays)):
            for top, left in corners[at_rest & ~of_person]:
                area[top : top + BLOCK, left : left + BLOCK] = True
        parts.append((rows[of_person], columns[of_person], moved[of_person] <= reach))
    beside = ~masks[0] & ~masks[1]
    # The parts that stay show how the light changed.
    before, after = (picture.astype(np.float64) for picture in pair)
    lit = stays & ~covered & beside
    gain, offset = np.polyfit(before[lit], after[lit], 1) if lit.sum() >= BLOCK**2 else (1.0, 0.0)
    changed = np.abs(after - np.clip(gain * before + offset, 0, 255)) > CHANGED
    strays = np.ones((3, 3), np.uint8)
    covered |= cv2.morphologyEx((changed & beside).astype(np.uint8), cv2.MORPH_OPEN, strays) > 0
    covered = (
        np.maximum.accumulate(covered, axis=1)
        & np.maximum.accumulate(covered[:, ::-1], axis=1)[:, ::-1]
    )
    if covered.mean() > MOST_COVERED:
        return False
    least = GOES_ON_BESIDE if covered.mean() > SMALLEST_CAPTION else GOES_ON
    for rows, columns, refound in parts:
        left_over = ~covered[rows, columns]
        if np.count_nonzero(left_over) < LEAST_LEFT * left_over.size:
            return False
        if left_over.any() and refound[left_over].mean() < least:
            return False
    return True


def _mask(shape: tuple[int, ...], marks: Array) -> npt.NDArray[np.bool_]:
    """Return the mask of the person in a picture; the whole picture if nobody is there."""
    import cv2

    mask = np.zeros(shape, np.uint8)
    marks = marks[np.isfinite(marks).all(axis=-1)]
    if not len(marks):
        return ~mask.astype(np.bool_)
    cv2.fillConvexPoly(mask, cv2.convexHull(marks.round().astype(np.int32)), 1)
    return np.asarray(cv2.dilate(mask, np.ones((2 * PERSON_PX + 1,) * 2, np.uint8)) > 0)


def _blocks(
    first: Grey, second: Grey, reach: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Search for the textured blocks of a picture in another picture, in any light.

    Returns the corners (n, 2), rows and columns, and the number of points by which each block has
    moved; infinite if it is not found.
    """
    import cv2

    height, width = first.shape
    corners, moved = [], []
    padded = cv2.copyMakeBorder(second, reach, reach, reach, reach, cv2.BORDER_REPLICATE)
    offsets = np.abs(np.arange(-reach, reach + 1))
    distance = np.maximum(offsets[:, np.newaxis], offsets)
    for top in range(0, height - BLOCK + 1, STRIDE):
        for left in range(0, width - BLOCK + 1, STRIDE):
            block = first[top : top + BLOCK, left : left + BLOCK]
            if block.std() < TEXTURE:
                continue
            around = padded[top : top + BLOCK + 2 * reach, left : left + BLOCK + 2 * reach]
            alike = np.nan_to_num(cv2.matchTemplate(around, block, cv2.TM_CCOEFF_NORMED)) >= ALIKE
            corners.append((top, left))
            moved.append(float(distance[alike].min()) if alike.any() else np.inf)
    return np.array(corners, np.int64).reshape(-1, 2), np.array(moved, np.float64)


def repeats(
    pictures: Mapping[str, npt.NDArray[Any]], cut_times: Sequence[float]
) -> list[dict[str, float]]:
    """Find shots that repeat the pictures of an earlier shot, whatever their captions.

    People never move twice in the same way, so the movement must be the same within the noise.

    Parameters
    ----------
    pictures
        Arrays of :class:`PictureChanges`.
    cut_times
        Times of the first frames after cuts, seconds.

    Returns
    -------
    list of dict
        `start` and `stop` of each repeat, and `first`, when its first picture was shown before,
        seconds.
    """
    times, thumbs = pictures["picture_times"], pictures["thumbs"].astype(np.float32)
    edges = [0, *np.searchsorted(times, cut_times).tolist(), len(times)]
    shots = [
        (times[a:b], thumbs[a:b])
        for a, b in pairwise(edges)
        if b - a > 1 and times[b - 1] - times[a] >= SHORTEST_S
    ]
    repeated = []
    for number, shot in enumerate(shots):
        for before in shots[:number]:
            if (repeat := _repeat(*before, *shot)) is not None:
                repeated.append(repeat)
                break
    return repeated


def _repeat(
    times: Array,
    thumbs: npt.NDArray[np.float32],
    later_times: Array,
    later_thumbs: npt.NDArray[np.float32],
) -> dict[str, float] | None:
    """Find the part of a later shot that repeats an earlier one; None if there is none.

    If there are several matches, the movement repeats itself, as in an animation, and not the shot.
    """
    frame = float(np.median(np.diff(times)))
    lasts = later_times[-1] - later_times[0]
    count = min(len(later_times), round(lasts * COMPARED_HZ) + 1, MOST_COMPARED)
    rows = np.linspace(0, len(later_times) - 1, count).round().astype(int)
    compared_times = later_times[rows]
    # All of the shorter shot is in the longer.
    shorter = min(lasts, float(times[-1] - times[0]))
    fewest = max(4, int(np.ceil(max(SHORTEST_S, LEAST_SHARED * shorter) / lasts * (count - 1))))
    apart, variance = _compared(thumbs, later_thumbs[rows])
    matches: list[tuple[float, float, int, int]] = []
    for lag in np.arange(
        compared_times[0] - times[-1], compared_times[-1] - times[0] + frame, frame
    ):
        near = np.searchsorted(times, compared_times - lag - frame / 2)
        inside = near < len(times)
        inside[inside] = np.abs(times[near[inside]] - (compared_times - lag)[inside]) <= frame
        shared = np.flatnonzero(inside)
        if len(shared) < fewest:
            continue
        spread = variance(shared[0], shared[-1] + 1)
        spread[spread < MOVES] = 0.0
        differ = apart[:, shared, near[shared]].mean(axis=1)
        same = (differ <= SAME * spread + NOISE) & (spread > 0)
        if np.count_nonzero(same) < 2 or spread[same].sum() < SAME_SHARE * spread.sum():
            continue
        score = (spread - differ)[same].sum() / spread.sum() * len(shared)
        matches.append((score, lag, shared[0], shared[-1]))
    if not matches:
        return None
    score, lag, first, last = max(matches)
    alike = [match[1] for match in matches if match[0] >= ALIKE_SCORE * score]
    if max(alike) - min(alike) > SHORTEST_S / 2:
        return None
    # To the end of the shot, if all of it is the same.
    stop = later_times[-1] + frame if last == count - 1 else compared_times[last]
    start = compared_times[first]
    return {"start": float(start), "stop": float(stop), "first": float(start - lag)}


def _compared(
    first: npt.NDArray[np.float32], second: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.float32], Callable[[int, int], npt.NDArray[np.float64]]]:
    """Compare thumbnails by field.

    Returns mean squared differences, (field, second, first), and a function that computes the
    variance of each field of the second thumbnails over a range of rows.
    """
    height, width = first.shape[1:]
    down, across = (min(most, side) for most, side in zip(FIELDS, (height, width), strict=True))
    rows, columns = np.arange(height) * down // height, np.arange(width) * across // width
    field = (rows[:, np.newaxis] * across + columns).ravel()
    flat = [thumbnails.reshape(len(thumbnails), -1) for thumbnails in (first, second)]
    apart = []
    for number in range(down * across):
        a, b = (thumbnails[:, field == number] for thumbnails in flat)
        squares = (b**2).sum(axis=1)[:, np.newaxis] + (a**2).sum(axis=1) - 2 * b @ a.T
        apart.append(squares / a.shape[1])

    def variance(start: int, stop: int) -> npt.NDArray[np.float64]:
        by_point = flat[1][start:stop].var(axis=0)
        return np.bincount(field, by_point) / np.bincount(field)

    return np.stack(apart), variance
