"""Repetitions of a squat, and their phases, from the height of the hips above the ankles.

:func:`hip_height` is the signal. ``_cycles`` finds its lowest points, and ``_end_of_way`` finds
where a repetition begins and ends. ``_bottom_band`` and ``_middle_of_bottom`` find the time of its
bottom, and ``_why_rejected`` decides whether it counts. Other exercises also use these functions,
and so does :func:`repetitions_of_signal`, which is for other movements.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from pydantic import Field

from mobility import tables
from mobility.base.formatting import listed
from mobility.base.options import check_intervals, checked
from mobility.base.provenance import cuts_of, repeats_of, with_history
from mobility.errors import BadInputError
from mobility.keypoints.view import UNKNOWN, camera_view
from mobility.kinematics.clean import low_pass
from mobility.kinematics.datasets import (
    EVENTS,
    Pose,
    Recording,
    Repetitions,
    require_overlap,
    require_pose,
)
from mobility.kinematics.skeleton import SIDES, Array, angle_between, landmarks
from mobility.kinematics.stances import is_stepping, stance_at, stances_of, steps_of

_GRID_HZ = 60.0
"""Least rate of the grid on which phases are searched for, so that edges can fall between frames.
"""

_LOW_PASS_HZ = 3.0
_RANGE_SHARE = 0.3
"""A bottom must stand out by at least this share of the range of the heights (P95 - P5)."""

EDGE_SPEED = 0.05
"""Share of a phase's peak speed at which the phase begins and ends."""

_BOTTOM_BAND = 0.03
"""Share of the depth above the lowest point that still belongs to the bottom."""

_LOWEST = 1 / 3
"""The time of the bottom is the middle of the time spent in this lowest share of its heights; a
smaller share would follow noise.
"""

_LEAST_OF_STANCE = 0.9
"""Share of the recording's standing height that a stance must reach; below it, the subject only
bends in that stance.
"""

_STANDING_HEIGHT = 0.97
_STILL = 0.05
"""Speed, in standing heights per second, below which the subject is still."""

_NEAR_TOP = 0.1
"""A phase may only begin or end within this share of the depth from its highest point."""

_RETURN = 1 / 3
"""Largest share of the depth by which a repetition may begin or end below standing."""

_CUT_RISE = 1 / 3
"""Least share of the depth that a phase must show if the recording cuts it off."""

_UPRIGHT = 0.85
"""Least ratio of the standing height to thigh plus shank at which the subject counts as having
stood.
"""

_SHORTEST = 0.6
"""Seconds; a shorter dip is a tracking error."""

_MISSING_SHARE, _MISSING_GAP = 0.2, 0.5
"""Largest share of frames, and longest time in seconds, that may be missing within a repetition."""

_ONE_LEG = 0.5
"""Share of the depth by which the two sides may differ at the bottom."""

_LEAST_BEND = 20.0
"""Least flexion of the knees in degrees; by geometry, the least depth means more than 35 degrees.
"""


@dataclass(frozen=True)
class HipHeight:
    """Height of the hips above the ankles (1 = standing), at the frames and on a regular grid.

    For other movements, it is the course of the movement: 1 at rest, 0 at the end of range.
    """

    time: Array
    has_height: NDArray[np.bool_]  # frames with a height
    grid: Array
    height: Array
    speed: Array
    difference: Array  # between the sides
    stance: NDArray[np.int_]  # index of the frame with a height at each point of the grid
    signal: str  # variable of the pose that the height comes from
    upright: bool  # whether the subject ever stood

    def at(self, time: Array | float) -> Array:
        """Height at any time."""
        return np.asarray(np.interp(time, self.grid, self.height))


def _leg(pose: xr.Dataset, variable: str = "position") -> list[Array]:
    """Return hips, knees and ankles of both sides, (time, side, 2 or 3) each."""
    return [
        landmarks(pose, variable, keypoints=[f"{side}_{name}" for side in SIDES])
        for name in ("hip", "knee", "ankle")
    ]


def _leg_heights(pose: xr.Dataset, variable: str) -> Array:
    """Return the vertical distance from hip to ankle by frame and side (time, 2), up positive."""
    hips, _, ankles = (points[..., 1] for points in _leg(pose, variable))
    return hips - ankles if variable == "position" else ankles - hips


def _standing_height(rise: Array) -> float:
    """Return the median of the tallest frames: within 3 % of the 95th percentile, or above it."""
    heights = rise[~np.isnan(rise)]
    if not heights.size:
        return np.nan
    tall = heights[heights >= _STANDING_HEIGHT * np.percentile(heights, 95)]
    return float(np.median(tall)) if tall.size else np.nan


def _standing_heights(pose: xr.Dataset, rise: Array, time: Array) -> Array:
    """Return the standing height at each time: the height in the stance, if somebody stands in it.

    Feet that are farther apart lower the hips.
    """
    stances, usual = stances_of(pose), _standing_height(rise)
    heights = np.full(len(stances), usual)
    for number, stance in enumerate(stances) if len(stances) > 1 else ():
        within = (stance_at(pose, time) == number) & ~is_stepping(pose, time)
        stance_height = _standing_height(rise[within])
        if stance.standing_s > 0 and stance_height >= _LEAST_OF_STANCE * usual:
            heights[number] = stance_height
    edges = np.ravel([(stance.first_s, stance.last_s) for stance in stances])
    return np.asarray(np.interp(time, edges, np.repeat(heights, 2)))


def _leg_length(pose: xr.Dataset) -> float:
    """Return the median length of thigh plus shank, metres; NaN without 3-D positions."""
    if "position" not in pose:
        return np.nan
    hip, knee, ankle = _leg(pose)
    length = np.linalg.norm(knee - hip, axis=-1) + np.linalg.norm(ankle - knee, axis=-1)
    length = length[~np.isnan(length)]
    return float(np.median(length)) if length.size else np.nan


def hip_height(pose: xr.Dataset) -> HipHeight | None:
    """Return the height signal of a pose; None if too little is seen.

    Each side is scaled by its standing height before the mean is taken, so that the signal does not
    jump when one side is hidden. After a step, the standing height of the new stance is used. World
    heights are used, because they do not change when the subject comes nearer; image heights
    replace them if they exist in clearly more frames.
    """
    time = pose["time"].to_numpy().astype(np.float64)
    candidates = {
        name: _leg_heights(pose, name) for name in ("position", "image_position") if name in pose
    }
    shares = {name: np.mean(~np.isnan(rise).all(axis=1)) for name, rise in candidates.items()}
    signal = "position" if "position" in shares else "image_position"
    if shares.get("image_position", 0.0) > shares[signal] + 0.1:
        signal = "image_position"
    rise = candidates[signal]

    standing = np.array([_standing_height(rise[:, side]) for side in range(2)])
    usable = standing > 0
    if not usable.any():
        return None
    heights = [_standing_heights(pose, rise[:, side], time) for side in np.flatnonzero(usable)]
    relative = rise[:, usable] / np.stack(heights, axis=1)
    count = (~np.isnan(relative)).sum(axis=1)
    has_height = count > 0
    if has_height.sum() < 4:
        return None
    mean = np.nansum(relative, axis=1)[has_height] / count[has_height]
    mean = mean / _standing_heights(pose, mean, time[has_height])
    upright = True
    if signal == "position":
        upright = not (standing[usable].mean() < _UPRIGHT * _leg_length(pose))

    grid, height = _smooth(time, has_height, mean)
    both = count == 2
    difference = np.zeros_like(grid)
    if both.sum() > 1:
        difference = np.interp(grid, time[both], np.abs(relative[both, 0] - relative[both, 1]))
    return HipHeight(
        time=time,
        has_height=has_height,
        grid=grid,
        height=height,
        speed=np.gradient(height, float(grid[1] - grid[0])),
        difference=difference,
        stance=stance_at(pose, grid),
        signal=signal,
        upright=upright,
    )


def _smooth(time: Array, has_value: NDArray[np.bool_], values: Array) -> tuple[Array, Array]:
    """Return regular times, and low-pass filtered values of the frames with a height."""
    from scipy.interpolate import PchipInterpolator

    seen_time = time[has_value]
    rate = max(_GRID_HZ, float(1 / np.median(np.diff(time))))
    count_grid = max(int(np.ceil((seen_time[-1] - seen_time[0]) * rate)) + 1, 8)
    grid = np.linspace(seen_time[0], seen_time[-1], count_grid)
    step = float(grid[1] - grid[0])
    smooth = PchipInterpolator(seen_time, values)(grid)
    return grid, low_pass(smooth, cutoff_hz=min(_LOW_PASS_HZ, 0.4 / step), rate_hz=1 / step)


def _bottom_band(h: HipHeight, bottom: int, first: int, last: int) -> tuple[int, int]:
    """Return the first and last grid index of the contiguous bottom around `bottom`."""
    limit = h.height[bottom] + _BOTTOM_BAND * (1 - h.height[bottom])
    above = np.flatnonzero(h.height[first : last + 1] > limit) + first
    before, after = above[above < bottom], above[above > bottom]
    return (
        int(before[-1]) + 1 if before.size else first,
        int(after[0]) - 1 if after.size else last,
    )


def _middle_of_bottom(h: HipHeight, band: tuple[int, int]) -> int:
    """Return the middle of the lowest part; the minimum of a flat pause is arbitrary."""
    height = h.height[band[0] : band[1] + 1]
    low = np.flatnonzero(height <= height.min() + _LOWEST * (height.max() - height.min()))
    return band[0] + int(low[0] + low[-1]) // 2


def _edge(h: HipHeight, bottom: int, top: int) -> tuple[int, bool]:
    """Find the upper end of a descent (`top` before `bottom`) or of an ascent (after it).

    Returns
    -------
    index, complete
        The crossing of 5 % of the phase's peak speed next to the top; false if the recording begins
        or ends before it.
    """
    sign = 1 if top >= bottom else -1
    path = np.arange(bottom, top + sign, sign)
    speed = sign * h.speed[path]  # away from the bottom, rising is positive on both sides
    height = h.height[path]
    fastest = int(np.argmax(speed))
    high = height >= height.max() - _NEAR_TOP * (height.max() - h.height[bottom])
    slow = (speed <= EDGE_SPEED * speed[fastest]) & high
    crossing = np.flatnonzero(slow[fastest:])
    if crossing.size:
        return int(path[fastest + crossing[0]]), True
    return int(path[-1]), bool(height[-1] >= _STANDING_HEIGHT)


def _end_of_way(h: HipHeight, bottom: int, limit: int) -> tuple[int, bool]:
    """Find the upper end of the way from a bottom to a limit, as :func:`_edge` does.

    It is within the stance of the bottom, if the subject stands there; otherwise the way includes a
    step.
    """
    of_stance = np.flatnonzero(h.stance == h.stance[bottom])
    nearer = int(np.clip(limit, of_stance[0], of_stance[-1]))
    for farthest in dict.fromkeys((nearer, limit)):
        low, high = min(farthest, bottom), max(farthest, bottom)
        edge, end_recorded = _edge(h, bottom, low + int(np.argmax(h.height[low : high + 1])))
        if end_recorded and h.height[edge] >= 1 - _RETURN * (1 - h.height[bottom]):
            break
    return edge, end_recorded


@dataclass(frozen=True)
class _Cycle:
    """Indices on the grid of one cycle: its lowest point, and the times of `EVENTS`."""

    lowest: int
    start: int
    bottom_start: int
    bottom: int
    bottom_end: int
    end: int
    ends_recorded: tuple[bool, bool]  # whether the recording shows start and end

    @property
    def times(self) -> list[int]:
        return [self.start, self.bottom_start, self.bottom, self.bottom_end, self.end]


def _cycles(h: HipHeight, prominence: float, min_interval_s: float) -> Iterator[_Cycle]:
    """Find where the height goes down from rest, reaches its lowest point, and comes back."""
    from scipy.signal import find_peaks

    # A sample at rest at either end turns a cycle that is cut off there into a minimum too.
    padded = np.concatenate([[1.0], h.height, [1.0]])
    step = h.grid[1] - h.grid[0]
    distance = max(1, round(min_interval_s / step))
    peaks, _ = find_peaks(-padded, prominence=prominence, distance=distance)
    bottoms = _without_rebounds(h.height, (peaks - 1).tolist())
    for i, bottom in enumerate(bottoms):
        first = bottoms[i - 1] if i else 0
        last = bottoms[i + 1] if i + 1 < len(bottoms) else len(h.grid) - 1
        start, whole_start = _end_of_way(h, bottom, first)
        end, whole_end = _end_of_way(h, bottom, last)
        band = _bottom_band(h, bottom, start, end)
        middle = _middle_of_bottom(h, band)
        yield _Cycle(bottom, start, band[0], middle, band[1], end, (whole_start, whole_end))


def _why_rejected(pose: xr.Dataset, h: HipHeight, cycle: _Cycle, *, of: str = "repetition") -> str:
    """Return why a cycle is rejected, because of the video or the movement, or ''."""
    start, end = h.grid[[cycle.start, cycle.end]]
    turn = h.grid[cycle.lowest]
    again = [repeat for repeat in repeats_of(pose) if repeat.start <= turn < repeat.stop]
    if again:
        return tables.sentence("reasons.repetition.shown_before", time=again[0].first)
    if reason := why_stepping(pose, start, turn, end):
        return reason
    if reason := _rejection_reason(h, cycle, of=of):
        return reason
    cuts = [time for time in cuts_of(pose) if start < time < end]
    return tables.sentence("reasons.repetition.film_cut", time=cuts[0]) if cuts else ""


def why_stepping(pose: xr.Dataset, start: float, turn: float, end: float) -> str:
    """Return a sentence if the feet change their place in a repetition; otherwise an empty text.

    A repetition that begins at the end of a step, or ends where a step begins, is complete.
    """
    steps = [step.time_s for step in steps_of(pose) if start < step.time_s < end]
    if not steps and is_stepping(pose, np.array([turn]))[0]:
        steps = [turn]
    return tables.sentence("reasons.repetition.steps", time=steps[0]) if steps else ""


def _rejection_reason(h: HipHeight, cycle: _Cycle, *, of: str) -> str:
    """Return the reason why a repetition cannot be used, or ''; `of` is the table of sentences."""
    edges = cycle.start, cycle.end
    start, end = h.grid[edges[0]], h.grid[edges[1]]
    lowest = h.height[cycle.lowest]
    depth = 1 - lowest
    frames = (h.time >= start) & (h.time <= end)
    times = h.time[frames & h.has_height]
    frame = float(np.median(np.diff(h.time)))
    gaps = np.diff(times, prepend=start, append=end)
    if not h.upright:
        return tables.sentence("reasons.repetition.never_upright")
    if not frames.any() or np.mean(~h.has_height[frames]) > _MISSING_SHARE:
        return tables.sentence(f"reasons.{of}.often_unseen")
    if gaps.max() - frame > _MISSING_GAP:
        return tables.sentence(f"reasons.{of}.long_unseen", gap=_MISSING_GAP)
    for edge, recorded, where in zip(edges, cycle.ends_recorded, ("start", "end"), strict=True):
        if not recorded and h.height[edge] < lowest + _CUT_RISE * depth:
            return tables.sentence(f"reasons.repetition.{where}_cut_off")
        if recorded and h.height[edge] < 1 - _RETURN * depth:
            return tables.sentence(f"reasons.{of}.{where}_bent")
    if end - start < _SHORTEST:
        return tables.sentence("reasons.repetition.short", shortest=_SHORTEST)
    if h.difference[cycle.lowest] > _ONE_LEG * depth:
        return tables.sentence("reasons.repetition.one_leg")
    return ""


@checked
def find_repetitions(
    pose: Pose,
    *,
    min_depth: Annotated[float, Field(gt=0, lt=1)] = 0.10,
    min_interval_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.8,
) -> xr.Dataset:
    r"""Find the repetitions of a squat and their phases.

    The signal is the height of the hips above the ankles relative to standing, :math:`h = (\bar H -
    \bar A)\cdot Y / h_{standing}`, low-pass filtered at 3 Hz. Standing is the median of the tallest
    frames, separately for each stance if the feet move to another place. A bottom is a minimum of h
    with a depth of at least max(`min_depth`, 0.3 (P95 - P5)), at least `min_interval_s` away from
    the next minimum. Neighbouring minima count as one bottom (a rebound) if h stays below 1 -
    depth/3 between them.

    A repetition starts when the descent last passes 5 % of its peak speed, and ends when the ascent
    first falls to 5 % of its peak speed. The bottom is the contiguous time in which h is within 3 %
    of the depth of its minimum. The bottom is therefore longer, and the descent and ascent are
    shorter, than if they were separated at turning points.

    ``bottom`` is the middle of the time in the lowest third of that band, because the time of the
    minimum itself is arbitrary if the person pauses.

    Repetitions that cannot be used stay in the result, with ``accepted`` false and a ``reason``. A
    repetition is rejected if it is cut off by the recording or a cut in the video, or does not go
    from standing to standing (within a third of the depth). It is also rejected if it is shorter
    than 0.6 s, if too many frames are missing, if only one leg or no knee bends, or if a foot
    steps.

    If the recording has at least a third of the descent or ascent, the repetition is accepted,
    because everything is measured at the bottom, which is complete. The repetition then starts or
    ends with the recording, has ``complete`` false and no duration, and there is a warning
    ``repetition_cut_off``.

    Parameters
    ----------
    pose
        Pose Dataset, cleaned or fitted; metres, y up. Any frame rate.
    min_depth
        Smallest depth of a repetition, as a fraction of the standing height.
    min_interval_s
        Shortest time between two bottoms, in seconds.

    Returns
    -------
    xarray.Dataset
        Over ``rep`` (1..n, n may be 0): start, bottom_start, bottom, bottom_end, end in seconds;
        and depth in percent, :math:`100(1-h_{min})`, whose error is that of the landmarks of hips
        and ankles. Also accepted, reason, start_seen and end_seen (false if the recording cuts that
        end off), and complete (both are seen). Over ``time``: hip_height (1 = standing) and
        standing (h above 0.97, at rest, not in a step). If no repetition is accepted, the history
        has a warning ``no_repetition``.
    """
    h = hip_height(pose)
    repetitions: list[dict[str, Any]] = []
    if h is not None:
        low, high = np.percentile(h.height, [5, 95])
        bend, least_bend = _knee_bend(pose), -np.inf if _hides_bend(pose) else _LEAST_BEND
        prominence = max(min_depth, _RANGE_SHARE * (high - low))
        for cycle in _cycles(h, prominence, min_interval_s):
            reason = _why_rejected(pose, h, cycle)
            if not reason and bend(*h.grid[[cycle.start, cycle.bottom, cycle.end]]) < least_bend:
                reason = tables.sentence("reasons.repetition.knees_straight")
            depth = 100 * (1 - h.height[cycle.lowest])
            times = h.grid[cycle.times]
            repetitions.append(repetition_row(times, depth, cycle.ends_recorded, reason))
    summary = {
        "found": len(repetitions),
        "accepted": sum(repetition["accepted"] for repetition in repetitions),
        "signal": None if h is None else h.signal,
    }
    why_none = tables.sentence(f"reasons.trial.{'few_frames' if h is None else 'not_lowered'}")
    return with_history(
        repetitions_dataset(pose, h, repetitions),
        "find_repetitions",
        {"min_depth": min_depth, "min_interval_s": min_interval_s},
        **summary,
        **repetition_warnings(repetitions, why_none),
    )


def repetition_row(
    times: Array | Sequence[float], depth: float, ends_recorded: tuple[bool, bool], reason: str = ""
) -> dict[str, Any]:
    """Return one repetition by variable name; `ends_recorded` refers to its start and end."""
    return dict(zip(EVENTS, times, strict=True)) | {
        "depth": depth,
        "accepted": not reason,
        "reason": reason,
        "start_seen": ends_recorded[0],
        "end_seen": ends_recorded[1],
        "complete": all(ends_recorded),
    }


def _knee_bend(pose: xr.Dataset) -> Callable[[float, float, float], float]:
    """Return a function that computes the knee flexion, degrees, from start, bottom and end.

    The flexion is infinite if the pose does not show it.
    """
    if "position" not in pose:
        return lambda *_: np.inf
    hip, knee, ankle = _leg(pose)
    flexion = angle_between(knee - hip, ankle - knee)
    rows_with_bend = np.isfinite(flexion).any(axis=1)
    mean = np.nanmean(flexion[rows_with_bend], axis=1)
    time = pose["time"].to_numpy()[rows_with_bend]

    def bend(start: float, bottom: float, end: float) -> float:
        if not time.size:
            return np.inf
        at = np.interp([start, bottom, end], time, mean)
        return float(at[1] - min(at[0], at[2]))

    return bend


def _hides_bend(pose: xr.Dataset) -> bool:
    """Whether landmarks without a fit hide the flexion of the knees.

    They show it from the side, and hardly at all from the front or back. If one leg is missing, the
    view is unknown.
    """
    model_alone = pose.attrs.get("method") == "mediapipe_world"
    return model_alone and camera_view(pose).kind in ("front", "back", UNKNOWN)


def _without_rebounds(height: Array, bottoms: Sequence[int]) -> list[int]:
    """Join minima if the subject does not stand up between them; keep the deepest (or first)."""
    groups: list[list[int]] = []
    for bottom in bottoms:
        if groups:
            last = groups[-1]
            lowest = min(height[bottom], *(height[i] for i in last))
            between = height[last[-1] : bottom + 1].max()
            if between < 1 - _RETURN * (1 - lowest):
                last.append(bottom)
                continue
        groups.append([bottom])
    # The tolerance makes the choice independent of rounding.
    return [
        next(i for i in group if height[i] <= min(height[j] for j in group) + 1e-6)
        for group in groups
    ]


def repetition_warnings(repetitions: Sequence[Mapping[str, Any]], why_none: str) -> dict[str, Any]:
    """Warn about repetitions that the recording cuts off, or explain why there are none."""
    if not any(repetition["accepted"] for repetition in repetitions):
        reason = (
            "; ".join(dict.fromkeys(repetition["reason"] for repetition in repetitions)) or why_none
        )
        return {"warnings": [tables.warning("warnings.no_repetition", reason=reason)]}
    accepted = [
        (str(i), repetition)
        for i, repetition in enumerate(repetitions, 1)
        if repetition["accepted"]
    ]
    cut = [number for number, repetition in accepted if not repetition["complete"]]
    warning = tables.warning("warnings.repetition_cut_off", numbers=listed(cut))
    return {"warnings": [warning]} if cut else {}


def repetitions_dataset(
    pose: xr.Dataset, h: HipHeight | None, rows: Sequence[dict[str, Any]]
) -> xr.Dataset:
    """Make the Dataset of repetitions, with the height of the hips and the times of standing."""
    time = pose["time"].to_numpy()
    height = np.full(time.size, np.nan)
    standing = np.zeros(time.size, bool)
    if h is not None:
        height[h.has_height] = h.at(time[h.has_height])
        speed = np.abs(np.interp(time, h.grid, h.speed))
        slow = speed < max(EDGE_SPEED * np.abs(h.speed).max(), _STILL)
        standing = h.has_height & slow & (np.nan_to_num(height) > _STANDING_HEIGHT)
        standing &= ~is_stepping(pose, time)
    descriptions: dict[str, tuple[Any, dict[str, str]]] = {
        "start": (np.float64, {"units": "s", "long_name": "start of the descent"}),
        "bottom_start": (np.float64, {"units": "s", "long_name": "start of the bottom"}),
        "bottom": (
            np.float64,
            {"units": "s", "long_name": "middle of the lowest part of the bottom"},
        ),
        "bottom_end": (np.float64, {"units": "s", "long_name": "end of the bottom"}),
        "end": (np.float64, {"units": "s", "long_name": "end of the ascent"}),
        "depth": (
            np.float64,
            {
                "units": "percent",
                "long_name": "lowering of the hips, in percent of the standing height",
            },
        ),
        "accepted": (bool, {"long_name": "whether the repetition is used"}),
        "reason": (object, {"long_name": "why the repetition is not used"}),
        "complete": (bool, {"long_name": "whether the recording shows it from start to end"}),
        "start_seen": (bool, {"long_name": "whether the recording shows its start"}),
        "end_seen": (bool, {"long_name": "whether the recording shows its end"}),
    }
    variables: dict[str, Any] = {
        name: ("rep", np.array([row[name] for row in rows], kind), attrs)
        for name, (kind, attrs) in descriptions.items()
    }
    variables["hip_height"] = (
        "time",
        height,
        {"units": "1", "long_name": "height of the hips above the ankles, 1 = standing"},
    )
    variables["standing"] = ("time", standing, {"long_name": "whether the subject stands still"})
    attrs = {key: value for key, value in pose.attrs.items() if key != "ds_type"}
    return xr.Dataset(
        variables,
        coords={"time": pose["time"].variable, "rep": np.arange(1, len(rows) + 1)},
        attrs=attrs | {"ds_type": "repetitions"},
    )


def set_repetitions(
    pose: xr.Dataset, intervals: Sequence[Mapping[str, float]], *, why_none: str = ""
) -> xr.Dataset:
    """Make a repetitions Dataset, as from :func:`find_repetitions`, from times set by hand.

    `intervals` has ``start``, ``bottom`` and ``end`` of each repetition in seconds, in order,
    without overlap and within the recording; it may be empty. All repetitions are accepted with
    these times; start and end of the bottom are found around `bottom`. A start or end at the edge
    of the recording, at which the subject does not stand, counts as not seen. `why_none` is the
    reason for an empty list that was not set by hand.
    """
    require_pose(pose, what="set_repetitions")
    h = hip_height(pose)
    repetitions = _rows_by_hand(pose["time"].to_numpy(), h, intervals)
    return with_history(
        repetitions_dataset(pose, h, repetitions),
        "set_repetitions",
        {
            "intervals": [
                {name: row[name] for name in ("start", "bottom", "end")} for row in repetitions
            ]
        },
        accepted=len(repetitions),
        signal=None if h is None else h.signal,
        **repetition_warnings(repetitions, why_none or tables.sentence("reasons.trial.by_hand")),
    )


def _rows_by_hand(
    time: Array, h: HipHeight | None, intervals: Sequence[Mapping[str, float]]
) -> list[dict[str, Any]]:
    """Return rows of repetitions with given times; the bottom is found around the given time."""
    repetitions: list[dict[str, Any]] = []
    checked_intervals = check_intervals(intervals, earliest=min([0.0, *time[:1]]))
    for number, interval in enumerate(checked_intervals, start=1):
        start, bottom, end = interval.values()
        if start < time[0] - 1e-6 or end > time[-1] + 1e-6:
            raise BadInputError(
                f"repetition {number}: outside the recording, which lasts from {time[0]:.3f} to "
                f"{time[-1]:.3f} s"
            )
        first, last, depth = bottom, bottom, np.nan
        ends_recorded = (True, True)
        if h is not None:
            near = [int(np.argmin(np.abs(h.grid - t))) for t in (start, bottom, end)]
            band = _bottom_band(h, near[1], near[0], near[2])
            band_start, band_end = (float(h.grid[row]) for row in band)
            first, last = min(max(band_start, start), bottom), max(min(band_end, end), bottom)
            depth = 100 * (1 - float(h.height[band[0] : band[1] + 1].min()))
            frame = 1.5 * float(np.median(np.diff(time)))
            ends_recorded = (
                abs(start - time[0]) > frame or bool(h.at(start) >= _STANDING_HEIGHT),
                abs(end - time[-1]) > frame or bool(h.at(end) >= _STANDING_HEIGHT),
            )
        repetitions.append(repetition_row((start, first, bottom, last, end), depth, ends_recorded))
    return repetitions


def repetitions_of_signal(
    pose: xr.Dataset,
    signal: xr.DataArray,
    *,
    least: float,
    why_none: str,
    intervals: Sequence[Mapping[str, float]] | None = None,
    min_interval_s: float = 0.8,
) -> xr.Dataset:
    """Find the repetitions of a movement that does not lower the hips.

    In a repetition, a signal rises from rest, reaches its largest value at the end of range, and
    comes back. As in :func:`find_repetitions`, it starts and ends at 5 % of the peak speed, so it
    includes no rest. Its ``bottom`` lies within the time in which the signal is within 3 % of the
    end of range.

    Parameters
    ----------
    pose
        Pose Dataset, fitted or cleaned.
    signal
        An angle or distance in the frames of the pose. If it falls and comes back, pass its
        negative.
    least
        Smallest rise, in the unit of the signal.
    why_none
        The reason if there is no repetition.
    intervals
        ``start``, ``bottom`` (end of range) and ``end`` of each repetition, if they were set by
        hand; None finds them.
    min_interval_s
        Shortest time between two ends of range, in seconds.

    Returns
    -------
    xarray.Dataset
        The same as from :func:`find_repetitions`, without a depth, and with the ``course`` of the
        movement over ``time``: 1 at rest, 0 at the end of range. ``standing`` is true only at rest.
    """
    require_pose(pose, what="repetitions_of_signal")
    time = pose["time"].to_numpy().astype(np.float64)
    if signal.dims != ("time",) or signal.sizes["time"] != time.size:
        raise BadInputError(
            f"repetitions_of_signal: the signal has the dimensions {signal.dims}; it must have "
            "only time, with the same frames as the pose"
        )
    h, rise = _course(pose, signal.to_numpy().astype(np.float64))
    if intervals is not None:
        rows = _rows_by_hand(time, h, intervals)
    elif h is None or rise < least:
        rows = []
    else:
        rows = [
            repetition_row(
                h.grid[cycle.times],
                np.nan,
                cycle.ends_recorded,
                _why_rejected(pose, h, cycle, of="signal"),
            )
            for cycle in _cycles(h, max(least / rise, _RANGE_SHARE), min_interval_s)
        ]
    course = np.full(time.size, np.nan)
    if h is not None:
        course[h.has_height] = h.at(time[h.has_height])
    words = {"units": "1", "long_name": "course of the movement, 1 at rest, 0 at the end of range"}
    repetitions = repetitions_dataset(
        pose, hip_height(pose), [row | {"depth": np.nan} for row in rows]
    )
    # A person who holds the end of range is still, but does not stand as at rest.
    repetitions["standing"] &= ~(course < 1 - _NEAR_TOP)
    return with_history(
        repetitions.assign(course=("time", course, words)),
        "repetitions_of_signal",
        {"least": least, "min_interval_s": min_interval_s, "by_hand": intervals is not None},
        found=len(rows),
        accepted=sum(row["accepted"] for row in rows),
        **repetition_warnings(rows, why_none),
    )


def _course(pose: xr.Dataset, signal: Array) -> tuple[HipHeight | None, float]:
    """Convert a signal to a height, 1 at rest and 0 at the end of range; return its range."""
    time, has_height = pose["time"].to_numpy().astype(np.float64), np.isfinite(signal)
    if has_height.sum() < 4:
        return None, 0.0
    grid, smooth = _smooth(time, has_height, signal[has_height])
    rest, turn = np.percentile(smooth, [5, 95])
    rise = float(turn - rest)
    if rise <= 0:
        return None, 0.0
    height = 1 - (smooth - rest) / rise
    return (
        HipHeight(
            time=time,
            has_height=has_height,
            grid=grid,
            height=height,
            speed=np.gradient(height, float(grid[1] - grid[0])),
            difference=np.zeros_like(grid),
            stance=stance_at(pose, grid),
            signal="signal",
            upright=True,
        ),
        rise,
    )


@checked
def normalise_repetitions(
    dataset: Recording,
    repetitions: Repetitions,
    *,
    points: Annotated[int, Field(ge=2, le=100_001)] = 101,
) -> xr.Dataset:
    """Resample every accepted repetition to 0..100 percent of its duration.

    Parameters
    ----------
    dataset
        Angles, a pose, or anything else over ``time`` in seconds.
    repetitions
        Repetitions with times on the same clock, as from :func:`find_repetitions`.
    points
        Number of points of a repetition, both ends included.

    Returns
    -------
    xarray.Dataset
        The numeric variables over time, in their units, over (rep, percent, ...), linearly
        interpolated. Values are NaN next to frames that are NaN, and in repetitions that the
        recording cuts off, because their percentages are unknown. ``rep`` keeps the numbers of
        `repetitions`.

    Raises
    ------
    BadInputError
        If `dataset` has no dimension ``time``, or if no repetition is in the recording.
    """
    if "accepted" not in repetitions:
        raise BadInputError("normalise_repetitions: the repetitions have no 'accepted'")
    require_overlap(repetitions, dataset["time"].to_numpy(), what="normalise_repetitions")
    used = repetitions.isel(rep=np.flatnonzero(repetitions["accepted"].to_numpy()))
    percent = np.linspace(0, 100, points)
    start, end = used["start"].to_numpy()[:, None], used["end"].to_numpy()[:, None]
    moments = start + (end - start) * (percent / 100)
    time = dataset["time"].to_numpy()
    after = np.searchsorted(time, moments, side="right").clip(1, max(time.size - 1, 1))
    before = after - 1
    after = after.clip(max=time.size - 1)
    span = time[after] - time[before]
    weight = np.where(span > 0, (moments - time[before]) / np.where(span > 0, span, 1), 0.0)
    cut = ~used["complete"].to_numpy()[:, None] if "complete" in used else np.False_
    outside = cut | (moments < time[0] - 1e-9) | (moments > time[-1] + 1e-9)

    variables = {}
    for name, variable in dataset.data_vars.items():
        if "time" not in variable.dims or variable.dtype.kind not in "fiu":
            continue
        other_dims = [d for d in variable.dims if d != "time"]
        values = variable.transpose("time", *other_dims).to_numpy().astype(np.float64)
        w = weight.reshape(weight.shape + (1,) * len(other_dims))
        # A neighbour of weight zero must not spread its NaN.
        between = np.where((w > 0) & (w < 1), (1 - w) * values[before] + w * values[after], np.nan)
        moved = np.where(w == 0, values[before], np.where(w == 1, values[after], between))
        moved[outside] = np.nan
        variables[name] = (("rep", "percent", *other_dims), moved, variable.attrs)
    coords = {
        name: coordinate.variable
        for name, coordinate in dataset.coords.items()
        if "time" not in coordinate.dims
    }
    result = xr.Dataset(
        variables,
        coords={
            **coords,
            "rep": used["rep"].variable,
            "percent": ("percent", percent, {"units": "percent", "long_name": "of the repetition"}),
        },
        attrs=dataset.attrs,
    )
    return with_history(result, "normalise_repetitions", {"points": points})
