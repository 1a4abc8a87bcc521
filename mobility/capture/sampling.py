"""In which frames of a video the pose is estimated."""

from __future__ import annotations

import bisect
from collections.abc import Callable

import numpy as np

from mobility import tables
from mobility.capture.landmarker import Array, bounding_box
from mobility.options import PoseRate

USUAL_HZ = 15.0
"""Frames a second in which the pose is estimated, unless the person moves fast.

The fit has at most 7.5 knots a second. ``docs/speed.md`` has the errors of real people by rate.
"""

FAST = {("elbow", "wrist"): 0.25, ("knee", "ankle"): 0.08}
"""Way of a joint between two such frames, of the body's longer side, from which it moves fast.

Knees and ankles of 11 filmed people who squat go 0.04 at most, arms 0.16. Those of walkers, whose
ankle dorsiflexion was a degree worse at 15 frames a second than in all, go 0.10 to 0.16, those of a
man who kicks up to 0.5 (``benchmarks/rates.py``).
"""

VISIBLE = 0.5
"""Visibility of a landmark from which its way counts."""

SHORT_S = 1.0
"""Seconds of a video of which every frame is estimated: a fit of so few frames needs them all."""

SAME_TIME_S = 1e-6
"""Difference of two times of one frame, seconds."""


def choose_frames(times: Array, rate: PoseRate, *, at_most: bool = False) -> Array:
    """Choose the frames of a video whose rate is next to the one that is asked for.

    Parameters
    ----------
    times
        (n,) of all frames, seconds, increasing.
    rate
        Frames a second, "usual" (15; all of a video of less than a second) or "all". It becomes the
        rate of the video divided by a whole number, their ratio rounded: 15 becomes 12.5 where the
        video has 25.
    at_most
        Whether it becomes the next one that is not higher, give or take 10 %.

    Returns
    -------
    Array
        Times of the chosen frames, seconds. Each is the first that is not earlier than the last one
        and the interval, give or take half a frame, so that uneven time stamps are kept.
    """
    if rate == "all" or len(times) < 2:
        return times
    if rate == "usual" and times[-1] - times[0] < SHORT_S:
        return times
    frame = float(np.median(np.diff(times)))
    ratio = 1 / ((USUAL_HZ if rate == "usual" else rate) * frame)
    every = max(1, int(np.ceil(0.9 * ratio)) if at_most else round(ratio))
    if every == 1:
        return times
    chosen, row = [], 0
    while row < len(times):
        chosen.append(row)
        row = max(row + 1, int(np.searchsorted(times, times[row] + (every - 0.5) * frame)))
    return times[chosen]


def chooser(times: Array | list[float]) -> Callable[[float], bool]:
    """Return what says of each frame, in their order, whether it is one of those of the times.

    In the place of one that cannot be decoded, the next one is.
    """
    ordered, reached = list(times), 0

    def is_chosen(time: float) -> bool:
        nonlocal reached
        before, reached = reached, bisect.bisect_right(ordered, time + SAME_TIME_S)
        return reached > before

    return is_chosen


def is_fast(poses: Array) -> bool:
    """Say whether the person moves too fast for the frames that were chosen.

    `poses` is (time, 33, columns of the landmarker). Medians of three frames are compared, so that
    a landmark that jumps away and back does not count; hidden ones do not either.
    """
    names = tables.load("landmarks")["landmarks"]["names"]
    image = np.where(poses[:, :, 6:7] >= VISIBLE, poses[:, :, :2], np.nan)
    present = poses[np.isfinite(poses[:, 0, 0])]
    if len(present) < 4:
        return False
    left, top, right, bottom = np.array([bounding_box(pose) for pose in present]).T
    size = float(np.median(np.maximum(right - left, bottom - top)))
    for joints, least in FAST.items():
        rows = [names.index(f"{side}_{joint}") for side in ("left", "right") for joint in joints]
        windows = np.lib.stride_tricks.sliding_window_view(image[:, rows], 3, axis=0)
        way = np.linalg.norm(np.diff(np.median(windows, axis=-1), axis=0), axis=-1)
        if (way > least * size).any():
            return True
    return False
