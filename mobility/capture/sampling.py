"""Choice of the frames in which the pose is estimated."""

from __future__ import annotations

import bisect
from collections.abc import Callable

import numpy as np

from mobility.base.options import PoseRate
from mobility.capture.landmarks import Array, Landmarks, bounding_box, is_somebody, rows_of

USUAL_HZ = 15.0
"""Frames per second at which the pose is estimated, unless the person moves fast.

The fit has at most 7.5 knots per second. ``docs/speed.md`` shows the errors for real people by
rate.
"""

FAST = {("elbow", "wrist"): 0.25, ("knee", "ankle"): 0.08}
"""Shortest path of a fast joint between two such frames, as a share of the body's longer side.

In squats of 11 filmed people the path is at most 0.04 for knees and ankles, and 0.16 for arms. For
knees and ankles of walkers it is 0.10 to 0.16; their dorsiflexion had one degree more error at 15
frames per second than in all frames. For a man who kicks, it is up to 0.5
(``benchmarks/rates.py``).
"""

VISIBLE = 0.5
"""Least visibility of a landmark whose path counts."""

SHORT_S = 1.0
"""Seconds; in shorter videos the pose is estimated in every frame, because their fit needs
it."""

SAME_TIME_S = 1e-6
"""Largest difference, in seconds, between two times that still mean the same frame."""


def choose_frames(times: Array, rate: PoseRate, *, at_most: bool = False) -> Array:
    """Choose frames of a video at about the requested rate.

    Parameters
    ----------
    times
        Times of all frames, (n,), seconds, increasing.
    rate
        Frames per second, "usual" (15; all frames of a video shorter than a second) or "all". The
        actual rate is that of the video divided by a whole number: 12.5 instead of 15 for a video
        with 25.
    at_most
        Whether the actual rate must not exceed the requested rate by more than 10 %.

    Returns
    -------
    Array
        Times of the chosen frames, seconds. Each is the first frame at least an interval (within
        half a frame) after the previous one, so that uneven time stamps are kept.
    """
    if rate == "all" or len(times) < 2:
        return times
    if rate == "usual" and times[-1] - times[0] < SHORT_S:
        return times
    frame = float(np.median(np.diff(times)))
    ratio = 1 / ((USUAL_HZ if rate == "usual" else rate) * frame)
    step = max(1, int(np.ceil(0.9 * ratio)) if at_most else round(ratio))
    if step == 1:
        return times
    rows, row = [], 0
    while row < len(times):
        rows.append(row)
        row = max(row + 1, int(np.searchsorted(times, times[row] + (step - 0.5) * frame)))
    return times[rows]


def chooser(times: Array | list[float]) -> Callable[[float], bool]:
    """Return a function that decides for each frame, in order, whether it is one of `times`.

    If a frame cannot be decoded, the next one replaces it.
    """
    ordered, reached = list(times), 0

    def is_chosen(time: float) -> bool:
        nonlocal reached
        before, reached = reached, bisect.bisect_right(ordered, time + SAME_TIME_S)
        return reached > before

    return is_chosen


def is_fast(poses: Landmarks) -> bool:
    """Whether the person moves too fast for the chosen frames.

    `poses` is (time, 33). Medians of three frames are compared, so that a landmark that jumps away
    and back does not count; hidden landmarks do not count either.
    """
    is_seen = poses["confidence"][..., np.newaxis] >= VISIBLE
    image = np.where(is_seen, poses["pixels"], np.nan)
    present = poses[is_somebody(poses)]
    if len(present) < 4:
        return False
    left, top, right, bottom = np.array([bounding_box(pose) for pose in present]).T
    size = float(np.median(np.maximum(right - left, bottom - top)))
    for joints, least in FAST.items():
        rows = rows_of(*(f"{side}_{joint}" for side in ("left", "right") for joint in joints))
        windows = np.lib.stride_tricks.sliding_window_view(image[:, rows], 3, axis=0)
        path_length = np.linalg.norm(np.diff(np.median(windows, axis=-1), axis=0), axis=-1)
        if (path_length > least * size).any():
            return True
    return False
