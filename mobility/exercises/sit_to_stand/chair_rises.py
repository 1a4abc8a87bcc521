"""Where somebody leaves a seat, stands, and sits down again: the repetitions of a chair rise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mobility import tables
from mobility.assessment.body import in_body_axes, points_of
from mobility.kinematics.clean import low_pass
from mobility.kinematics.repetitions import (
    HipHeight,
    hip_height,
    repetition_row,
    repetition_warnings,
    repetitions_dataset,
    set_repetitions,
)
from mobility.kinematics.skeleton import SIDES
from mobility.provenance import cuts_of, with_history

Array = NDArray[np.float64]

ON_SEAT, OFF_SEAT = 0.05, 0.10
"""Shares of the way from the seat to standing: below the one the hips are on the seat; above the
other they have left it."""

_ATTEMPT = 0.25
"""Share of the way from the seat to standing below which somebody only shifts on the seat."""

_LEAST_RISE = 0.25
"""Least way from the seat to standing, of the standing height; else nobody sits on a chair."""

_STANDING, _EDGE_SPEED = 0.97, 0.05
"""Height from which somebody stands; share of a phase's peak speed at which it begins and ends."""

_LOW_PASS_HZ = 3.0
_LEAST_LEAN_RATE = 10.0
"""Degrees per second; who bends forward more slowly before rising is not seen to begin to."""

_SHORTEST = 0.6
_MISSING_GAP, _MISSING_SHARE = 0.5, 0.2
_HIDDEN = 0.5
"""Visibility of the better seen hip below which it counts as hidden."""

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
    """Height of the hips on the seat, and how fast the trunk leans forward, on the grid of `h`."""

    h: HipHeight
    seat: float
    lean_rate: Array

    @property
    def way(self) -> float:
        return 1 - self.seat

    def above(self, share: float) -> NDArray[np.bool_]:
        """Where the hips are above a share of the way from the seat to standing."""
        return np.asarray(self.h.height > self.seat + share * self.way)


def find_chair_rises(pose: xr.Dataset) -> xr.Dataset:
    """Find the chair rises of a pose: seated, standing, seated again.

    The seat is the median height of the hips at rest in the lower half of their range. They leave
    it (``seat_off``) where they were last within 5 % of the way to standing, and are on it again
    (``end``) where they first are. The repetition starts where the trunk begins to lean forward, at
    5 % of the peak of its speed before the hips leave the seat; without a rest on the seat where
    they touched it. Standing (``bottom_start`` to ``bottom_end``, ``bottom`` its middle) begins and
    ends at 5 % of the peak speed of the hips. A film may begin standing: that sitting down belongs
    to no repetition. The last repetition may end upright, with ``end_seen`` false.

    Parameters
    ----------
    pose
        Pose Dataset, fitted or cleaned.

    Returns
    -------
    xarray.Dataset
        As of :func:`mobility.find_repetitions`, with ``seat_off`` and ``seated_since`` (when the
        hips came on the seat; the start of the recording) and ``stands`` (false for an attempt: the
        hips leave the seat and fall back) over ``rep``; ``depth`` is NaN, since the chair ends the
        movement.
    """
    h = hip_height(pose)
    signals = None if h is None else _signals(pose, h)
    rows = [] if signals is None else _rows(pose, signals)
    reason = "few_frames" if h is None else "no_seat"
    return _described(
        repetitions_dataset(pose, h, rows),
        rows,
        "find_chair_rises",
        {},
        tables.sentence(f"reasons.trial.{reason}"),
    )


def set_chair_rises(pose: xr.Dataset, intervals: Sequence[Mapping[str, float]]) -> xr.Dataset:
    """Make the same from times that a person gave: ``start``, ``bottom`` (standing), ``end``."""
    given = set_repetitions(pose, intervals)
    h = hip_height(pose)
    signals = None if h is None else _signals(pose, h)
    rows = []
    for number in range(given.sizes["rep"]):
        start, middle, end = (float(given[name][number]) for name in ("start", "bottom", "end"))
        times = [start, middle, middle, middle, end]
        seen = (bool(given["start_seen"][number]), bool(given["end_seen"][number]))
        added = {"seat_off": np.nan, "seated_since": np.nan, "stands": True}
        if signals is not None:
            grid = signals.h.grid
            first, top, last = (int(np.argmin(abs(grid - t))) for t in (start, middle, end))
            off = first + int(np.argmax(signals.above(ON_SEAT)[first : top + 1]))
            up, down = _standing(signals, off, top, last)
            times[1], times[3] = min(grid[up], middle), max(grid[down], middle)
            added["seat_off"] = min(max(float(grid[off]), start), times[1])
        rows.append(repetition_row(times, np.nan, seen) | added)
    nothing = tables.sentence("reasons.trial.by_hand")
    arguments = {"intervals": list(intervals)}
    return _described(given, rows, "set_chair_rises", arguments, nothing)


def _described(
    dataset: xr.Dataset,
    rows: Sequence[Mapping[str, Any]],
    operation: str,
    arguments: Mapping[str, Any],
    nothing: str,
) -> xr.Dataset:
    """Give the Dataset what only chair rises have, their names, and its history."""
    described: dict[str, tuple[Any, dict[str, str]]] = {
        **{n: (float, {"units": "s", "long_name": words}) for n, words in _TIMES.items()},
        "depth": (float, {"units": "percent", "long_name": "not measured: the chair ends it"}),
        "stands": (bool, {"long_name": "whether the person comes to full standing"}),
    }
    dataset = dataset.assign(
        {
            name: ("rep", np.array([row[name] for row in rows], kind), attrs)
            for name, (kind, attrs) in described.items()
        }
    )
    return with_history(
        dataset,
        operation,
        arguments,
        found=len(rows),
        accepted=sum(row["accepted"] for row in rows),
        **repetition_warnings(rows, nothing),
    )


def _signals(pose: xr.Dataset, h: HipHeight) -> _Signals | None:
    low, high = np.percentile(h.height, [5, 95])
    rests = np.abs(h.speed) <= _EDGE_SPEED * np.abs(h.speed).max()
    seated = rests & (h.height < (low + high) / 2)
    # Who leans forward may seem to sink, so that the lowest frames are not the seat.
    seat = float(np.median(h.height[seated])) if seated.any() else float(low)
    if 1 - seat < _LEAST_RISE:
        return None
    points = points_of(pose, ["hip", "shoulder"])
    x, _ = in_body_axes(points, 0)
    ahead = (x[:, 1] - x[:, 0]).mean(axis=1)
    up = (points[:, 1, :, 1] - points[:, 0, :, 1]).mean(axis=1)
    lean = np.degrees(np.arctan2(ahead, up))
    known = np.isfinite(lean)
    if not known.any():
        return None
    step = float(h.grid[1] - h.grid[0])
    smooth = low_pass(
        np.interp(h.grid, h.time[known], lean[known]),
        cutoff_hz=min(_LOW_PASS_HZ, 0.4 / step),
        rate_hz=1 / step,
    )
    return _Signals(h, seat, np.gradient(smooth, step))


def _runs(where: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First and last index of each stretch in which something is true."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], where, [False]]).astype(int)))
    return [(int(first), int(last) - 1) for first, last in edges.reshape(-1, 2)]


def _rises(s: _Signals) -> list[tuple[int, int, bool]]:
    """Stretches off the seat, parted where somebody goes half way down and does not sit."""
    found = []
    for first, last in _runs(s.above(OFF_SEAT)):
        tops = _runs(s.h.height[first : last + 1] > _STANDING)
        parts = [first]
        for (_, end), (begin, _) in pairwise(tops):
            dip = first + end + int(np.argmin(s.h.height[first + end : first + begin + 1]))
            if not s.above(0.5)[dip]:
                parts.append(dip)
        ends = [*parts[1:], last]
        found += [(a, b, len(parts) == 1) for a, b in zip(parts, ends, strict=True)]
    return found


def _rows(pose: xr.Dataset, s: _Signals) -> list[dict[str, Any]]:
    h, on_seat = s.h, ~s.above(ON_SEAT)
    hidden = _seated_unseen(pose, s)
    rows, since = [], 0
    for first, last, seated in _rises(s):
        back, sits = _sits_down(s, first, last) if seated else (last, False)
        if first == 0 and s.above(0.5)[0]:  # stands at the start, and sits down first
            since = back
            continue
        before = np.flatnonzero(on_seat[since:first]) if seated else np.array([], int)
        off = since + int(before[-1]) if before.size else first
        top = first + int(np.argmax(h.height[first : last + 1]))
        stands = bool(h.height[top] > _STANDING)
        if not s.above(_ATTEMPT)[top]:
            continue
        up, down = _standing(s, off, top, back)
        start = _lean_begins(s, since, off)
        start_seen = start is not None or since > 0
        start = since if start is None else start
        times = h.grid[[start, up, (up + down) // 2, down, back]]
        seen = (start_seen and bool(before.size), sits)
        reason = _fault(pose, s, times, stands=stands, seated=seated, begins=bool(before.size))
        row = repetition_row(times, np.nan, seen, reason or hidden)
        rows.append(
            row | {"seat_off": h.grid[off], "seated_since": h.grid[since], "stands": stands}
        )
        since = back
    return rows


def _sits_down(s: _Signals, first: int, near: int) -> tuple[int, bool]:
    """Where hips that are off the seat from `first` to `near` rest on it; whether it is seen."""
    highest = first + int(np.argmax(s.h.height[first : near + 1]))
    fastest = -s.h.speed[highest : near + 1].min()
    rests = ~s.above(ON_SEAT)[near:]
    rests[1:] |= -s.h.speed[near + 1 :] <= _EDGE_SPEED * fastest
    found = np.flatnonzero(rests)
    return (near + int(found[0]), True) if found.size else (len(s.h.grid) - 1, False)


def _lean_begins(s: _Signals, since: int, off: int) -> int | None:
    """Where the trunk begins to lean forward, while the hips are on the seat; None: not seen."""
    rate = s.lean_rate[since : off + 1]
    fastest = int(np.argmax(rate))
    if rate[fastest] < _LEAST_LEAN_RATE:
        return None
    slow = np.flatnonzero(rate[:fastest] <= _EDGE_SPEED * rate[fastest])
    return since + int(slow[-1]) if slow.size else None


def _standing(s: _Signals, off: int, top: int, back: int) -> tuple[int, int]:
    """Where standing begins and ends; the highest place where nobody comes to it."""
    height, speed = s.h.height, s.h.speed
    tall = np.flatnonzero(height[off : back + 1] > _STANDING) + off
    if not tall.size:
        return top, top
    fastest = off + int(np.argmax(speed[off : tall[0] + 1]))
    slow = (tall > fastest) & (speed[tall] <= _EDGE_SPEED * speed[fastest])
    up = int(tall[slow][0]) if slow.any() else top
    if height[back] > _STANDING:  # the recording ends
        return up, back
    falls = up + int(np.argmin(speed[up : back + 1]))
    still = np.flatnonzero(speed[up:falls] >= _EDGE_SPEED * speed[falls])
    return up, up + int(still[-1]) if still.size else back


def _fault(
    pose: xr.Dataset, s: _Signals, times: Array, *, stands: bool, seated: bool, begins: bool
) -> str:
    """Why a chair rise does not count, or ''."""
    h, (start, end) = s.h, (times[0], times[-1])
    inside = (h.time >= start) & (h.time <= end)
    gaps = np.diff(h.time[inside & h.seen], prepend=start, append=end)
    frame = float(np.median(np.diff(h.time)))
    cuts = [time for time in cuts_of(pose) if start < time < end]
    faults = {
        "never_upright": not h.upright,
        "often_unseen": not inside.any() or float(np.mean(~h.seen[inside])) > _MISSING_SHARE,
        "long_unseen": gaps.max() - frame > _MISSING_GAP,
        "start_cut_off": seated and not begins,
        "not_seated": not seated,
        "not_standing": not stands,
        "film_cut": bool(cuts),
        "short": end - start < _SHORTEST,
    }
    fields = {"gap": _MISSING_GAP, "shortest": _SHORTEST, "time": cuts[0] if cuts else 0.0}
    return next(
        (
            tables.sentence(f"reasons.repetition.{name}", **fields)
            for name, is_so in faults.items()
            if is_so
        ),
        "",
    )


def _seated_unseen(pose: xr.Dataset, s: _Signals) -> str:
    """Say that both hips are hidden in most of the seated frames; else ''."""
    if "confidence" not in pose:  # of a lab
        return ""
    hips = pose["confidence"].sel(keypoint=[f"{side}_hip" for side in SIDES])
    better = hips.max("keypoint").isel(individual=0).to_numpy()
    seated = np.interp(s.h.time, s.h.grid, s.h.height) <= s.seat + OFF_SEAT * s.way
    unseen = ~(better[seated] >= _HIDDEN)
    hides = unseen.size and float(unseen.mean()) > 0.5
    return tables.sentence("reasons.repetition.hips_hidden") if hides else ""
