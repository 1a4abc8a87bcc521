"""Find sit-to-stand repetitions: the person leaves the seat, stands, and sits down again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mobility import tables
from mobility.assessment.body_axes import in_body_axes, points_of
from mobility.assessment.phases import between
from mobility.base.provenance import cuts_of, repeats_of, with_history
from mobility.kinematics.clean import low_pass
from mobility.kinematics.repetitions import (
    EDGE_SPEED,
    HipHeight,
    hip_height,
    repetition_row,
    repetition_warnings,
    repetitions_dataset,
    set_repetitions,
    why_stepping,
)
from mobility.kinematics.skeleton import SIDES

Array = NDArray[np.float64]

ON_SEAT, OFF_SEAT = 0.05, 0.10
"""Shares of the way from the seat to standing. Below the first, the hips are on the seat; above the
second, they have left it."""

_ATTEMPT = 0.25
"""Share of the way from the seat to standing; with less, the person only shifts on the seat."""

_LEAST_RISE = 0.25
"""Smallest way from a seat to standing, as a share of the standing height."""

_STANDING = 0.97
"""Height of the hips above which the person stands."""

_LOW_PASS_HZ = 3.0
_LEAST_LEAN_RATE = 10.0
"""Degrees per second; a slower lean of the trunk has no clear beginning."""

_SHORTEST = 0.6
"""Seconds; a shorter repetition is rejected."""

_MISSING_GAP, _MISSING_SHARE = 0.5, 0.2
"""Longest gap (s) and largest share of frames without hips in a repetition."""

_HIDDEN = 0.5
"""If the more visible hip is below this visibility, the hips count as hidden."""

_TIMES = {
    "seated_since": "since when the person sits before the rise",
    "start": "start: the trunk begins to lean forward",
    "seat_off": "the hips leave the seat",
    "bottom_start": "the person stands",
    "bottom": "middle of standing",
    "bottom_end": "the hips begin to go down",
    "end": "end: the hips are on the seat again",
}


@dataclass(frozen=True)
class _Signals:
    """Height of the hips on the seat, and angular speed of the trunk at the times of `hips`."""

    hips: HipHeight
    seat: float
    lean_rate: Array

    @property
    def way(self) -> float:
        """Way of the hips from the seat to standing, relative to their height in standing."""
        return 1 - self.seat

    def above(self, share: float) -> NDArray[np.bool_]:
        """Return whether the hips are above a share of the way from the seat to standing."""
        return np.asarray(self.hips.height > self.seat + share * self.way)


def find_chair_rises(pose: xr.Dataset) -> xr.Dataset:
    """Find the sit-to-stand repetitions of a pose: seated, standing, seated again.

    The seat is the median height of the hips at rest in the lower half of their range. The hips
    leave it (``seat_off``) when they are last within 5 % of the way to standing, and are back on it
    (``end``) when they are first within 5 % again.

    The repetition starts when the trunk begins to lean forward, at 5 % of its peak speed before
    seat-off. Without a rest on the seat, it starts when the hips touched the seat. Standing
    (``bottom_start`` to ``bottom_end``, with ``bottom`` in the middle) begins and ends at 5 % of
    the peak speed of the hips.

    If a video begins with the person standing, the first descent to the seat belongs to no
    repetition. The last repetition may end upright, with ``end_seen`` false.

    Parameters
    ----------
    pose
        Pose Dataset, fitted or cleaned.

    Returns
    -------
    xarray.Dataset
        As returned by :func:`mobility.find_repetitions`, with three more variables over ``rep``.
        ``seat_off`` is when the hips leave the seat. ``seated_since`` is when they came to rest on
        it, or the start of the recording. ``stands`` is false for an attempt, in which the hips
        leave the seat and fall back. ``depth`` is NaN, because the chair ends the movement.
    """
    hips = hip_height(pose)
    signals = None if hips is None else _signals(pose, hips)
    rows = [] if signals is None else _rows(pose, signals)
    why_none = "few_frames" if hips is None else "no_seat"
    return _described(
        repetitions_dataset(pose, hips, rows),
        rows,
        "find_chair_rises",
        {},
        tables.sentence(f"reasons.trial.{why_none}"),
    )


def set_chair_rises(pose: xr.Dataset, intervals: Sequence[Mapping[str, float]]) -> xr.Dataset:
    """Make the Dataset of :func:`find_chair_rises` from times that were set by hand.

    Each interval has ``start``, ``bottom`` (standing) and ``end``.
    """
    set_by_hand = set_repetitions(pose, intervals)
    hips = hip_height(pose)
    signals = None if hips is None else _signals(pose, hips)
    rows = []
    for number in range(set_by_hand.sizes["rep"]):
        start, middle, end = (
            float(set_by_hand[name][number]) for name in ("start", "bottom", "end")
        )
        times = [start, middle, middle, middle, end]
        ends_recorded = (
            bool(set_by_hand["start_seen"][number]),
            bool(set_by_hand["end_seen"][number]),
        )
        # The person sits from the end of one rise to the start of the next. Before the first, it is
        # unknown since when.
        seated_since = float(set_by_hand["end"][number - 1]) if number else np.nan
        added = {"seat_off": np.nan, "seated_since": seated_since, "stands": True}
        if signals is not None:
            grid = signals.hips.grid
            first, top, last = (int(np.argmin(abs(grid - t))) for t in (start, middle, end))
            seat_off = first + int(np.argmax(signals.above(ON_SEAT)[first : top + 1]))
            stand_start, stand_end = _standing(signals, seat_off, top, last)
            times[1], times[3] = min(grid[stand_start], middle), max(grid[stand_end], middle)
            added["seat_off"] = min(max(float(grid[seat_off]), start), times[1])
        rows.append(repetition_row(times, np.nan, ends_recorded) | added)
    no_repetition_reason = tables.sentence("reasons.trial.by_hand")
    arguments = {"intervals": list(intervals)}
    return _described(set_by_hand, rows, "set_chair_rises", arguments, no_repetition_reason)


def _described(
    dataset: xr.Dataset,
    rows: Sequence[Mapping[str, Any]],
    operation: str,
    arguments: Mapping[str, Any],
    no_repetition_reason: str,
) -> xr.Dataset:
    """Add the variables that only sit-to-stand has, their descriptions, and the history."""
    descriptions: dict[str, tuple[Any, dict[str, str]]] = {
        **{n: (float, {"units": "s", "long_name": words}) for n, words in _TIMES.items()},
        "depth": (float, {"units": "percent", "long_name": "not measured: the chair ends it"}),
        "stands": (bool, {"long_name": "whether the person comes to full standing"}),
    }
    dataset = dataset.assign(
        {
            name: ("rep", np.array([row[name] for row in rows], dtype), attrs)
            for name, (dtype, attrs) in descriptions.items()
        }
    )
    return with_history(
        dataset,
        operation,
        arguments,
        found=len(rows),
        accepted=sum(row["accepted"] for row in rows),
        **repetition_warnings(rows, no_repetition_reason),
    )


def _signals(pose: xr.Dataset, hips: HipHeight) -> _Signals | None:
    """Return the seat and the lean of a recording; None without a seat or without a trunk."""
    low, high = np.percentile(hips.height, [5, 95])
    rests = np.abs(hips.speed) <= EDGE_SPEED * np.abs(hips.speed).max()
    seated = rests & (hips.height < (low + high) / 2)
    # Leaning forward may seem to lower the hips, so the lowest frames are not the seat.
    seat = float(np.median(hips.height[seated])) if seated.any() else float(low)
    if 1 - seat < _LEAST_RISE:
        return None
    points = points_of(pose, ["hip", "shoulder"])
    x, _ = in_body_axes(points, 0)
    ahead = (x[:, 1] - x[:, 0]).mean(axis=1)
    up = (points[:, 1, :, 1] - points[:, 0, :, 1]).mean(axis=1)
    lean = np.degrees(np.arctan2(ahead, up))
    has_lean = np.isfinite(lean)
    if not has_lean.any():
        return None
    step = float(hips.grid[1] - hips.grid[0])
    smooth = low_pass(
        np.interp(hips.grid, hips.time[has_lean], lean[has_lean]),
        cutoff_hz=min(_LOW_PASS_HZ, 0.4 / step),
        rate_hz=1 / step,
    )
    return _Signals(hips, seat, np.gradient(smooth, step))


def _runs(is_true: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return the first and last index of each stretch in which `is_true` is true."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], is_true, [False]]).astype(int)))
    return [(int(first), int(last) - 1) for first, last in edges.reshape(-1, 2)]


def _rises(signals: _Signals) -> list[tuple[int, int, bool]]:
    """Return the ends (frames) of each stretch off the seat, and if the person sits around it.

    A stretch is split if the person goes half way down without sitting, and rises again.
    """
    rises = []
    for first, last in _runs(signals.above(OFF_SEAT)):
        tops = _runs(signals.hips.height[first : last + 1] > _STANDING)
        parts = [first]
        for (_, end), (begin, _) in pairwise(tops):
            dip = first + end + int(np.argmin(signals.hips.height[first + end : first + begin + 1]))
            if not signals.above(0.5)[dip]:
                parts.append(dip)
        ends = [*parts[1:], last]
        rises += [(a, b, len(parts) == 1) for a, b in zip(parts, ends, strict=True)]
    return rises


def _rows(pose: xr.Dataset, signals: _Signals) -> list[dict[str, Any]]:
    """Find the times of each rise, and why a rise does not count."""
    hips, on_seat = signals.hips, ~signals.above(ON_SEAT)
    why_hidden = _seated_unseen(pose, signals)
    rows, seated_since = [], 0
    for first, last, seated in _rises(signals):
        seat_again, sits_down = _sits_down(signals, first, last) if seated else (last, False)
        if first == 0 and signals.above(0.5)[0]:  # the video begins with the person standing
            seated_since = seat_again
            continue
        seated_before = np.flatnonzero(on_seat[seated_since:first]) if seated else np.array([], int)
        seat_off = seated_since + int(seated_before[-1]) if seated_before.size else first
        top = first + int(np.argmax(hips.height[first : last + 1]))
        stands = bool(hips.height[top] > _STANDING)
        if not signals.above(_ATTEMPT)[top]:
            continue
        stand_start, stand_end = _standing(signals, seat_off, top, seat_again)
        start = _lean_begins(signals, seated_since, seat_off)
        start_seen = start is not None or seated_since > 0
        start = seated_since if start is None else start
        times = hips.grid[
            [start, stand_start, (stand_start + stand_end) // 2, stand_end, seat_again]
        ]
        ends_recorded = (start_seen and bool(seated_before.size), sits_down)
        reason = _fault(
            pose,
            signals,
            times,
            seat_off=float(hips.grid[seat_off]),
            stands=stands,
            seated=seated,
            begins_seated=bool(seated_before.size),
        )
        row = repetition_row(times, np.nan, ends_recorded, reason or why_hidden)
        rows.append(
            row
            | {
                "seat_off": hips.grid[seat_off],
                "seated_since": hips.grid[seated_since],
                "stands": stands,
            }
        )
        seated_since = seat_again
    return rows


def _sits_down(signals: _Signals, first: int, near: int) -> tuple[int, bool]:
    """Return the frame in which hips that are off the seat from `first` to `near` rest on it again.

    The second value is whether they do so within the recording.
    """
    highest = first + int(np.argmax(signals.hips.height[first : near + 1]))
    fastest = -signals.hips.speed[highest : near + 1].min()
    rests = ~signals.above(ON_SEAT)[near:]
    rests[1:] |= -signals.hips.speed[near + 1 :] <= EDGE_SPEED * fastest
    resting = np.flatnonzero(rests)
    return (near + int(resting[0]), True) if resting.size else (len(signals.hips.grid) - 1, False)


def _lean_begins(signals: _Signals, seated_since: int, seat_off: int) -> int | None:
    """Find the frame in which the trunk begins to lean forward with hips on the seat, or None."""
    rate = signals.lean_rate[seated_since : seat_off + 1]
    fastest = int(np.argmax(rate))
    if rate[fastest] < _LEAST_LEAN_RATE:
        return None
    slow = np.flatnonzero(rate[:fastest] <= EDGE_SPEED * rate[fastest])
    return seated_since + int(slow[-1]) if slow.size else None


def _standing(signals: _Signals, seat_off: int, top: int, seat_again: int) -> tuple[int, int]:
    """Return the frames in which standing begins and ends; both are `top` without standing."""
    height, speed = signals.hips.height, signals.hips.speed
    upright = np.flatnonzero(height[seat_off : seat_again + 1] > _STANDING) + seat_off
    if not upright.size:
        return top, top
    fastest_up = seat_off + int(np.argmax(speed[seat_off : upright[0] + 1]))
    slow = (upright > fastest_up) & (speed[upright] <= EDGE_SPEED * speed[fastest_up])
    stand_start = int(upright[slow][0]) if slow.any() else top
    if height[seat_again] > _STANDING:  # the recording ends
        return stand_start, seat_again
    fastest_down = stand_start + int(np.argmin(speed[stand_start : seat_again + 1]))
    not_yet_sinking = np.flatnonzero(
        speed[stand_start:fastest_down] >= EDGE_SPEED * speed[fastest_down]
    )
    return stand_start, stand_start + int(
        not_yet_sinking[-1]
    ) if not_yet_sinking.size else seat_again


def _fault(
    pose: xr.Dataset,
    signals: _Signals,
    times: Array,
    *,
    seat_off: float,
    stands: bool,
    seated: bool,
    begins_seated: bool,
) -> str:
    """Explain why a sit-to-stand repetition does not count; empty if it does.

    The feet may still move into place before seat-off and on the way back to the seat.
    """
    hips, (start, end) = signals.hips, (times[0], times[-1])
    inside = (hips.time >= start) & (hips.time <= end)
    gaps = np.diff(hips.time[inside & hips.has_height], prepend=start, append=end)
    frame = float(np.median(np.diff(hips.time)))
    cuts = [time for time in cuts_of(pose) if start < time < end]
    again = [each for each in repeats_of(pose) if each.start <= (start + end) / 2 < each.stop]
    faults = {
        "shown_before": bool(again),
        "never_upright": not hips.upright,
        "often_unseen": not inside.any()
        or float(np.mean(~hips.has_height[inside])) > _MISSING_SHARE,
        "long_unseen": gaps.max() - frame > _MISSING_GAP,
        "start_cut_off": seated and not begins_seated,
        "not_seated": not seated,
        "not_standing": not stands,
        "film_cut": bool(cuts),
        "short": end - start < _SHORTEST,
    }
    fields = {
        "gap": _MISSING_GAP,
        "shortest": _SHORTEST,
        "time": (*(each.first for each in again), *cuts, 0.0)[0],
    }
    return next(
        (
            tables.sentence(f"reasons.repetition.{name}", **fields)
            for name, is_fault in faults.items()
            if is_fault
        ),
        why_stepping(pose, seat_off, float(times[2]), float(times[3])),
    )


def _seated_unseen(pose: xr.Dataset, signals: _Signals) -> str:
    """Warn that both hips are hidden in most of the seated frames; empty if they are not."""
    if "confidence" not in pose:  # from a lab
        return ""
    hips = pose["confidence"].sel(keypoint=[f"{side}_hip" for side in SIDES])
    better = hips.max("keypoint").isel(individual=0, missing_dims="ignore").to_numpy()
    seated = (
        np.interp(signals.hips.time, signals.hips.grid, signals.hips.height)
        <= signals.seat + OFF_SEAT * signals.way
    )
    unseen = ~(better[seated] >= _HIDDEN)
    mostly_unseen = unseen.size and float(unseen.mean()) > 0.5
    return tables.sentence("reasons.repetition.hips_hidden") if mostly_unseen else ""


def seated(rises: xr.Dataset) -> NDArray[np.bool_]:
    """Return the frames from sitting down to seat-off, over (rep, time)."""
    frames = between(rises["time"], rises["seated_since"], rises["seat_off"])
    on_seat: NDArray[np.bool_] = frames.transpose("rep", "time").to_numpy()
    return on_seat
