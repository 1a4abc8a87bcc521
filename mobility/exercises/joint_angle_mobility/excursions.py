"""Movements of joints: when each begins, turns and ends, and what does not count as a movement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from pydantic import Field

from mobility import tables
from mobility.base.formatting import listed
from mobility.base.options import check_times, likely_of_all, quoted
from mobility.catalogue.joints import JOINTS, Joint, joint_table
from mobility.catalogue.registry import of_single_joints
from mobility.errors import BadInputError
from mobility.kinematics.skeleton import SIDES

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

Joints = Annotated[tuple[Joint, ...], Field(min_length=1)]
Movements = Sequence[Mapping[str, Any]]

POSTURES = ("standing", "seated", "lying", "other")


def constants() -> Any:
    """Return the table ``constants.yaml`` of this exercise."""
    return of_single_joints().own_table("constants")


CARRIED = (
    *("source_file", "pose_source", "source_software", "video_sha256", "model_sha256"),
    *("method", "fps"),
)
_ORDER = 3
"""Order of the polynomial used for smoothing."""

_MORE_AT_REST = 1.5
"""Ratio of bent to straight frames from which a joint counts as resting bent.

If the recording begins and ends with the joint bent, the ratio only has to exceed 1.
"""

ALONG = 60.0
"""Largest angle (degrees) between trunk and shank at which a foot shows where the front is."""

_NEAR = 0.2
"""A frame is at one end of the range if it is within this share of the range."""

BEHIND_DEG = 5.0
"""Angle behind the trunk from which a thigh or an arm counts as extended."""


_EDGE_S = 0.15
"""Largest time (s) from a turn to the last visible frame for which the turn may be incomplete."""


@dataclass(frozen=True)
class Excursion:
    """One movement of a joint, away from rest and back; times in seconds, angles in degrees."""

    joint: str
    side: str
    start: float
    turn_start: float
    turn: float
    turn_end: float
    end: float
    rest: float
    extreme: float
    peak_velocity: float
    peak_time: float
    mean_velocity: float
    accepted: bool
    start_seen: bool
    end_seen: bool
    reason: str = ""
    is_incomplete: bool = False  # refused because it ends short of the others
    mark: int = -1  # index of the movement that a person marked
    beyond_half_s: float = np.nan  # how long the joint is beyond half of the way
    near_turn_s: float = np.nan  # how long the joint is near its turn

    @property
    def excursion(self) -> float:
        """Degrees from the resting angle to the turn."""
        return abs(self.extreme - self.rest)


@dataclass(frozen=True)
class Course:
    """The angle curve of one side of a joint, and its movements."""

    joint: str
    side: str
    values: Array
    sd: Array
    threshold: float
    excursions: tuple[Excursion, ...] = ()
    highs: tuple[tuple[float, float], ...] = ()  # time and angle of each turn
    lows: tuple[tuple[float, float], ...] = ()
    note: str = ""
    angle: str = ""  # name in kinematics.angles
    plane: str = ""  # plane of the body in which the joint moves
    off_picture: float = np.nan  # degrees between the plane of the movement and the image plane
    added_sd: float = 0.0  # part of the error that the draws of a fit lack, degrees

    @property
    def accepted(self) -> list[Excursion]:
        """Movements that count."""
        return [each for each in self.excursions if each.accepted]


@dataclass(frozen=True)
class Mark:
    """A marked movement, in seconds, for `joints` or for all joints that move during it."""

    start: float
    turn: float
    end: float
    joints: tuple[str, ...] = ()

    def is_of(self, joint: str, side: str) -> bool:
        """Return whether the mark applies to this side of this joint."""
        return not self.joints or f"{side} {joint}" in self.joints


def checked_movements(
    movements: Movements, *, joints: Sequence[str] = JOINTS
) -> list[dict[str, Any]]:
    """Check movements that a person marked.

    Parameters
    ----------
    movements
        A list of movements in the order of their starts. Each has ``start``, ``bottom`` (the turn)
        and ``end`` in seconds. ``joints`` names its joints ("left elbow"), as a list or as one text
        with commas. Without ``joints``, it applies to every joint that moves during that time.
        Movements of the same joint must not overlap. Other columns of `Session.repetitions_table`
        are ignored.
    joints
        Joints that are measured.

    Returns
    -------
    list of dict
        ``start``, ``bottom``, ``end``, and ``joints`` as a list if they were passed.

    Raises
    ------
    BadInputError
        A time is missing or out of order, or a joint or the name of an entry is unknown.
    """
    if isinstance(movements, str | Mapping) or not isinstance(movements, Sequence):
        raise BadInputError("movements: must be a list of start, bottom and end, in seconds")
    allowed = [f"{side} {joint}" for joint in joints for side in SIDES]
    checked: list[dict[str, Any]] = []
    for number, movement in enumerate(movements, start=1):
        what = f"movement {number}"
        start, bottom, end = check_times(movement, others=["joints"], what=what)
        if not (np.isfinite([start, bottom, end]).all() and 0 <= start < bottom < end):
            raise BadInputError(
                f"{what} from {start:g} over {bottom:g} to {end:g} s: the start must not be "
                "negative, the turn must follow the start, and the end must follow the turn"
            )
        given_joints = movement.get("joints") or []
        given_joints = given_joints.split(",") if isinstance(given_joints, str) else given_joints
        if not isinstance(given_joints, Sequence):
            raise BadInputError(f"{what}: joints must be a list of names (got {given_joints!r})")
        names = [str(part).strip() for part in given_joints]
        for name in names:
            if name not in allowed:
                raise BadInputError(
                    f"{what}: joint {quoted(name)} is not measured{likely_of_all(name, allowed)}"
                )
        for before, other in enumerate(checked, start=1):
            if start < other["start"]:
                raise BadInputError(f"{what}: begins before movement {before}; put them in order")
            other_names = other.get("joints", [])
            apart = names and other_names and not set(names) & set(other_names)
            if start < other["end"] and not apart:
                raise BadInputError(
                    f"{what}: begins before movement {before} of the same joint ends"
                )
        checked.append(
            {"start": start, "bottom": bottom, "end": end} | ({"joints": names} if names else {})
        )
    return checked


def given_movements(movements: Movements | None, joints: Sequence[str]) -> dict[str, Any]:
    """Describe marked movements for the history."""
    return {} if movements is None else {"movements": checked_movements(movements, joints=joints)}


def marks_of(
    movements: Movements | None, joints: Sequence[str], angles: xr.Dataset
) -> list[Mark] | None:
    """Read marked movements, which must be within the recording; None if there are none."""
    if movements is None:
        return None
    time = angles["time"].to_numpy()
    marks = []
    for number, marked in enumerate(checked_movements(movements, joints=joints), start=1):
        if marked["start"] < time[0] - 1e-6 or marked["end"] > time[-1] + 1e-6:
            raise BadInputError(
                f"movement {number}: outside the recording, which lasts from {time[0]:.3f} to "
                f"{time[-1]:.3f} s"
            )
        of = tuple(marked.get("joints", ()))
        marks.append(Mark(marked["start"], marked["bottom"], marked["end"], of))
    return marks


def _least_excursion(course: Course, table: dict[str, Any]) -> float:
    """Return the smallest excursion of any movement of the joint, degrees."""
    sd = course.sd[np.isfinite(course.sd)]
    error = table["movement"]["error_factor"] * float(np.median(sd)) if sd.size else 0.0
    return max(float(joint_table()[course.joint]["prominence_deg"]), error)


def excursions_of(
    course: Course, time: Array, table: dict[str, Any], wanted: str | None = None
) -> Course:
    """Find turns and movements of a curve; `wanted` is the end of the requested movement."""
    rules = table["movement"]
    values = _values_searched(course, table)
    has_value = np.isfinite(values)
    least = _least_excursion(course, table)
    if has_value.sum() < 2:
        return replace(course, threshold=least)
    low, high = np.percentile(values[has_value], [5, 95])
    threshold = max(least, rules["range_share"] * (high - low))
    near = _NEAR * (high - low)
    # Withheld values within the recording are interpolated between their neighbours.
    bridged = np.interp(time, time[has_value], values[has_value])
    at_low = int((bridged <= low + near).sum())
    at_high = int((bridged >= high - near).sum())
    ends = bridged[[0, -1]]
    if wanted is not None:
        rests_high = wanted == "smallest"
    elif (ends <= low + near).all():
        rests_high = False
    else:
        rests_high = at_high > (1.0 if (ends >= high - near).all() else _MORE_AT_REST) * at_low
    excursions: list[Excursion] = []
    highs: list[tuple[float, float]] = []
    lows: list[tuple[float, float]] = []
    for piece in _pieces(time, has_value, rules["longest_gap_s"]):
        curve = _Curve.of(time[piece], values[piece], rules)
        if curve is None:
            continue
        turns = _turning_points(curve.smooth, threshold)
        spans = [_span_of_turn(curve, turns, i, rules["turn_share"]) for i in range(len(turns))]
        rising = len(turns) > 1 and curve.smooth[turns[1]] > curve.smooth[turns[0]]
        for i, span in enumerate(spans):
            is_high = (i % 2 == 1) == rising
            if is_high == rests_high:
                # If values next to it were withheld, the joint may have gone on to its rest.
                at = float(curve.time[turns[i]])
                cut = _at_gap(at, curve.time[0], time[0]) or _at_gap(at, curve.time[-1], time[-1])
                if not (cut or _on_its_way(span, curve, at)):
                    (highs if is_high else lows).append((at, span.value))
                continue
            each = _refuse_impossible(_excursion_at_turn(course, curve, spans, i, rules), rules)
            excursions.append(each)
            if each.accepted:
                (highs if is_high else lows).append((each.turn, each.extreme))
    return replace(
        course,
        threshold=threshold,
        excursions=tuple(excursions),
        highs=tuple(highs),
        lows=tuple(lows),
    )


def _values_searched(course: Course, table: dict[str, Any]) -> Array:
    """Return the values to search for movements; negative trunk values belong to the other side."""
    if joint_table()[course.joint].get("from_zero"):
        return np.maximum(course.values, 0.0)
    return course.values


def _at_gap(at: float, end: float, end_of_all: float) -> bool:
    """Return whether a time is at the end of a piece, but not at the end of the recording."""
    return abs(at - end) < _EDGE_S and abs(end - end_of_all) > _EDGE_S


def _on_its_way(span: _Span, curve: _Curve, at: float) -> bool:
    """Return whether a joint was moving, not resting, when the recording begins or ends."""
    edge = min(at - curve.time[0], curve.time[-1] - at) < _EDGE_S
    return bool(edge and curve.time[span.last] - curve.time[span.first] < _EDGE_S)


def _refuse_impossible(excursion: Excursion, rules: Mapping[str, Any]) -> Excursion:
    """Reject glitches, which are too fast or too short for a limb, and postures that are held."""
    reason = ""
    # Half of the time of a movement there and back; smoothing blurs its ends.
    there_and_back = 2 * excursion.beyond_half_s
    if excursion.peak_velocity > rules["fastest_deg_s"]:
        reason = tables.sentence("reasons.movement.too_fast", speed=excursion.peak_velocity)
    elif excursion.start_seen and excursion.end_seen and there_and_back < rules["briefest_s"]:
        reason = tables.sentence("reasons.movement.too_quick", seconds=there_and_back)
    elif excursion.near_turn_s > rules["longest_hold_s"]:
        reason = tables.sentence("reasons.movement.held", longest=rules["longest_hold_s"])
    if not (excursion.accepted and reason):
        return excursion
    return replace(excursion, accepted=False, reason=reason)


def without_movements_at_rest(courses: Sequence[Course], rules: Mapping[str, Any]) -> list[Course]:
    """Reject small movements of one side while the other side moves much farther."""
    without_rests = []
    for course in courses:
        other_excursions = [
            each
            for other in courses
            if other.joint == course.joint and other.side != course.side
            for each in other.accepted
        ]
        small = rules["beside_errors"] * local_sd(course)
        why = {
            each.turn: tables.sentence("reasons.movement.rests")
            for each in course.accepted
            if each.excursion < small
            and any(
                each.excursion < rules["beside_share"] * other.excursion
                and min(each.end, other.end) > max(each.start, other.start)
                for other in other_excursions
            )
        }
        without_rests.append(_with_refused(course, why))
    return without_rests


def without_incomplete_movements(course: Course, rules: Mapping[str, Any]) -> Course:
    """Reject movements that end well short of the median of the others.

    With fewer than three movements, all count, because it is unknown which are complete. All also
    count if more than half of them would be rejected.
    """
    ends = _ends_outwards(course)
    if len(ends) < rules["compared_from"]:
        return course
    short = [float(np.median(np.delete(ends, i)) - end) for i, end in enumerate(ends)]
    why = {
        each.turn: tables.sentence("reasons.movement.incomplete", short=by)
        for each, by in zip(course.accepted, short, strict=True)
        if by >= rules["short_of_others_deg"]
    }
    if len(why) > len(ends) / 2:
        return course
    return _with_refused(course, why, is_incomplete=True)


def why_undecided(course: Course, rules: Mapping[str, Any]) -> str:
    """Explain that movements are too few, and differ too much, to know which are complete.

    The result is empty if this is known, or if some movements were already rejected as incomplete.
    """
    ends = _ends_outwards(course)
    if any(each.is_incomplete for each in course.excursions):
        return ""
    if not 1 < len(ends) < rules["compared_from"] or np.ptp(ends) < rules["short_of_others_deg"]:
        return ""
    values = {"apart": float(np.ptp(ends)), "least": rules["compared_from"]}
    return tables.sentence("reasons.movement.undecided", **values)


def _ends_outwards(course: Course) -> Array:
    """Return the ends of range of the movements that count, with larger values for farther ends."""
    return np.array([np.sign(each.extreme - each.rest) * each.extreme for each in course.accepted])


def _with_refused(
    course: Course, why: Mapping[float, str], *, is_incomplete: bool = False
) -> Course:
    """Reject the movements with turns at these times, each with its reason."""
    return replace(
        course,
        excursions=tuple(
            replace(each, accepted=False, reason=why[each.turn], is_incomplete=is_incomplete)
            if each.accepted and each.turn in why
            else each
            for each in course.excursions
        ),
        highs=tuple(pair for pair in course.highs if pair[0] not in why),
        lows=tuple(pair for pair in course.lows if pair[0] not in why),
    )


def _pieces(time: Array, has_value: Mask, longest_gap: float) -> list[Mask]:
    """Split the frames with a value at gaps that are too long to interpolate."""
    rows = np.flatnonzero(has_value)
    breaks = np.flatnonzero(np.diff(time[rows]) > longest_gap + np.median(np.diff(time))) + 1
    pieces = []
    for part in np.split(rows, breaks):
        mask = np.zeros(len(has_value), dtype=bool)
        mask[part] = True
        pieces.append(mask)
    return pieces


@dataclass(frozen=True)
class _Curve:
    """A smoothed curve on a regular grid, and its slope in degrees per second."""

    time: Array
    smooth: Array
    slope: Array

    @classmethod
    def of(cls, time: Array, values: Array, rules: dict[str, Any]) -> _Curve | None:
        from scipy.signal import savgol_filter

        if time.size < 2 or time[-1] - time[0] < rules["shortest_s"]:
            return None
        step = float(np.median(np.diff(time)))
        grid = np.linspace(time[0], time[-1], round((time[-1] - time[0]) / step) + 1)
        regular = np.interp(grid, time, values)
        step = float(grid[1] - grid[0])
        window = max(2 * round(rules["smoothing_s"] / step / 2) + 1, _ORDER + 2)
        if window > grid.size:
            return None
        smooth = savgol_filter(regular, window, _ORDER)
        slope = savgol_filter(regular, window, _ORDER, deriv=1, delta=step)
        return cls(grid, smooth, slope)


def _turning_points(values: Array, threshold: float) -> list[int]:
    """Find alternating extremes (indices) that differ by the threshold; empty if none do."""
    lowest = highest = 0
    turns: list[int] = []
    rising: bool | None = None
    for i, value in enumerate(values):
        if value > values[highest]:
            highest = i
        if value < values[lowest]:
            lowest = i
        if rising is not False and values[highest] - value >= threshold and highest < i:
            turns.append(highest)
            rising, lowest = False, i
        elif rising is not True and value - values[lowest] >= threshold and lowest < i:
            turns.append(lowest)
            rising, highest = True, i
    if rising is not None:
        turns.append(highest if rising else lowest)
    return turns


@dataclass(frozen=True)
class _Span:
    """Frames of a turn, and its angle."""

    first: int
    last: int
    value: float
    place: int


def _span_of_turn(curve: _Curve, turns: Sequence[int], i: int, share: float) -> _Span:
    """Find the frames around a turn within a share of the smaller neighbouring excursion."""
    place = turns[i]
    beside = [turns[k] for k in (i - 1, i + 1) if 0 <= k < len(turns)]
    size = min(abs(curve.smooth[place] - curve.smooth[k]) for k in beside)
    return _plateau(curve, place, share * size, 0, len(curve.smooth) - 1)


def _rests(curve: _Curve, spans: Sequence[_Span], i: int, share: float) -> dict[int, float]:
    """Return the angles at neighbouring turns, by index, except turns that are cut off."""
    values = {k: spans[k].value for k in (i - 1, i + 1) if 0 <= k < len(spans)}
    if len(values) < 2:
        return values
    # The recording may cut off the turn that is closer to the extreme.
    near, far = sorted(values, key=lambda k: abs(spans[i].value - values[k]))
    end, step = len(curve.smooth) - 1, float(curve.time[1] - curve.time[0])
    border = (near == 0 and spans[near].place < _EDGE_S / step) or (
        near == len(spans) - 1 and end - spans[near].place < _EDGE_S / step
    )
    if border and abs(values[near] - values[far]) > share * abs(spans[i].value - values[far]):
        del values[near]
    return values


def _excursion_at_turn(
    course: Course, curve: _Curve, spans: Sequence[_Span], i: int, rules: dict[str, Any]
) -> Excursion:
    span = spans[i]
    resting = _rests(curve, spans, i, rules["range_share"])
    before, after = i - 1 in resting, i + 1 in resting
    rest = float(np.mean([*resting.values()]))
    away = np.abs(curve.smooth - rest) / abs(span.value - rest)
    first = spans[i - 1].last if before else 0
    last = spans[i + 1].first if after else len(away) - 1
    edge = rules["edge_share"]
    out = first + np.flatnonzero(away[first : span.place + 1] <= edge)
    back = span.place + np.flatnonzero(away[span.place : last + 1] <= edge)
    start = int(out[-1]) if out.size else first
    end = int(back[0]) if back.size else last
    step = float(curve.time[1] - curve.time[0])
    # A turn in the last visible frames may not be complete.
    going = (not after and len(away) - 1 - span.place < _EDGE_S / step) or (
        not before and span.place < _EDGE_S / step
    )
    return replace(
        _excursion_between(course, curve, span, rest, (start, end), (before, after), rules),
        accepted=not going,
        reason=tables.sentence("reasons.movement.cut_off") if going else "",
    )


def _excursion_between(
    course: Course,
    curve: _Curve,
    span: _Span,
    rest: float,
    ends: tuple[int, int],
    ends_recorded: tuple[bool, bool],
    rules: dict[str, Any],
) -> Excursion:
    """Describe the movement between two frames of a curve, with its turn at `span`."""
    start, end = ends
    away = np.abs(curve.smooth - rest) / abs(span.value - rest)
    half_way, near = (away[start : end + 1] > share for share in (0.5, 1 - _NEAR))
    step = float(curve.time[1] - curve.time[0])
    speeds = np.abs(curve.slope[start : end + 1])
    fastest = start + int(speeds.argmax())
    mean = np.nan
    if ends_recorded[0]:
        low, high = (
            curve.time[start + int(np.argmax(away[start : span.place + 1] >= part))]
            for part in rules["outward_shares"]
        )
        covered = rules["outward_shares"][1] - rules["outward_shares"][0]
        if high > low:
            mean = covered * abs(span.value - rest) / float(high - low)
    return Excursion(
        joint=course.joint,
        side=course.side,
        start=float(curve.time[start]),
        turn_start=float(curve.time[span.first]),
        turn=float(curve.time[span.place]),
        turn_end=float(curve.time[span.last]),
        end=float(curve.time[end]),
        rest=rest,
        extreme=span.value,
        peak_velocity=float(speeds.max()),
        peak_time=float(curve.time[fastest]),
        mean_velocity=mean,
        accepted=True,
        start_seen=ends_recorded[0],
        end_seen=ends_recorded[1],
        beyond_half_s=float(half_way.sum() * step),
        near_turn_s=float(near.sum() * step),
    )


def leading_excursion(group: Sequence[Excursion]) -> Excursion:
    """Return the largest of the movements that happen at the same time."""
    return max(group, key=lambda excursion: (excursion.accepted, excursion.excursion))


def as_marked(mark: Mark, group: Sequence[Excursion]) -> Excursion:
    """Set the times of the largest movement of a mark to the times of that mark."""
    if not group:
        return Excursion(
            *("", "", mark.start, mark.turn, mark.turn, mark.turn, mark.end),
            *(np.nan, np.nan, np.nan, np.nan, np.nan),
            *(False, True, True, tables.sentence("reasons.movement.nothing_moves")),
        )
    each = leading_excursion(group)
    return replace(
        each,
        start=mark.start,
        turn_start=min(max(each.turn_start, mark.start), mark.turn),
        turn=mark.turn,
        turn_end=max(min(each.turn_end, mark.end), mark.turn),
        end=mark.end,
    )


def by_hand(
    course: Course,
    time: Array,
    marks: Sequence[Mark],
    groups: Sequence[Sequence[Excursion]],
    table: dict[str, Any],
) -> Course:
    """Replace the detected movements of a curve by the movements that a person marked."""
    rules = table["movement"]
    least = _least_excursion(course, table)
    has_value = np.isfinite(course.values)
    curves: list[_Curve] = []
    if has_value.sum() > 1:
        pieces = _pieces(time, has_value, rules["longest_gap_s"])
        values = _values_searched(course, table)
        curves_of_pieces = (_Curve.of(time[piece], values[piece], rules) for piece in pieces)
        curves = [curve for curve in curves_of_pieces if curve is not None]
    frame = float(np.median(np.diff(time))) if time.size > 1 else 0.0
    excursions: list[Excursion] = []
    rests: dict[float, float] = {}
    missing: list[str] = []
    indices = [k for k, mark in enumerate(marks) if mark.is_of(course.joint, course.side)]
    for place, k in enumerate(indices):
        mark = marks[k]
        same = _same_marks(mark, groups, frame / 2)
        automatic = [e for e in same if (e.joint, e.side) == (course.joint, course.side)]
        if same and not automatic and not mark.joints:
            continue
        curve = next((c for c in curves if c.time[0] <= mark.turn <= c.time[-1]), None)
        if curve is None:
            if mark.joints and has_value.any():
                missing.append(f"{mark.turn:.2f} s")
            continue
        before = marks[indices[place - 1]].end if place else -np.inf
        after = marks[indices[place + 1]].start if place + 1 < len(indices) else np.inf
        each, beside = _excursion_at_marks(course, curve, mark, (before, after), frame, rules)
        if automatic:
            each = replace(automatic[0], accepted=True, reason="")
        elif each is None or each.excursion < least:
            if mark.joints and each is not None:
                why = tables.sentence("reasons.movement.small_at_marks", least=least)
                excursions.append(replace(each, accepted=False, reason=why, mark=k))
            continue
        excursions.append(replace(each, mark=k))
        # If values next to it were withheld, the joint may have gone on to its rest.
        ends = ((curve.time[0], time[0]), (curve.time[-1], time[-1]))
        rests |= {t: value for t, value in beside if not any(_at_gap(t, *end) for end in ends)}
    turns = [each for each in excursions if each.accepted]
    highs = [(each.turn, each.extreme) for each in turns if each.extreme > each.rest]
    lows = [(each.turn, each.extreme) for each in turns if each.extreme < each.rest]
    note = course.note
    if missing:
        lost = tables.sentence("reasons.movement.nothing_at_marks", times=listed(missing))
        note = f"{note}; {lost}" if note else lost
    return replace(
        course,
        threshold=least,
        excursions=tuple(excursions),
        highs=tuple(highs or rests.items()),
        lows=tuple(lows or rests.items()),
        note=note,
    )


def _same_marks(
    mark: Mark, groups: Sequence[Sequence[Excursion]], tolerance: float
) -> Sequence[Excursion]:
    """Return the movements that were detected at the times of a mark; empty if there are none."""
    for group in groups:
        each = leading_excursion(group)
        pairs = ((each.start, mark.start), (each.turn, mark.turn), (each.end, mark.end))
        if all(abs(automatic - marked) <= tolerance for automatic, marked in pairs):
            return group
    return ()


def _excursion_at_marks(
    course: Course,
    curve: _Curve,
    mark: Mark,
    marks_beside: tuple[float, float],
    frame: float,
    rules: dict[str, Any],
) -> tuple[Excursion | None, list[tuple[float, float]]]:
    """Measure the movement that a person marked in a curve.

    Parameters
    ----------
    course, curve, mark, rules
        The joint, the piece of its curve with the turn, the marks, and the table.
    marks_beside
        End of the previous mark and start of the next.
    frame
        Time between frames, in seconds.

    Returns
    -------
    excursion
        None if the joint does not move at all.
    rests
        Time and angle of the rest before and after, if they are visible.
    """
    smooth = curve.smooth
    start, turn, end = (
        int(np.argmin(np.abs(curve.time - t))) for t in (mark.start, mark.turn, mark.end)
    )
    out, back = smooth[turn] - smooth[start], smooth[turn] - smooth[end]
    if not start < turn < end or out + back == 0:
        return None, []
    sign = float(np.sign(out + back))
    size = max(sign * out, sign * back)
    # If the curve ends away from rest, that end was cut off.
    ends_recorded = (
        curve.time[start] - curve.time[0] > 1.5 * frame or sign * out > (1 - _NEAR) * size,
        curve.time[-1] - curve.time[end] > 1.5 * frame or sign * back > (1 - _NEAR) * size,
    )
    # The previous rest ends at the previous mark, the next rest at the next mark.
    before, after = (int(np.argmin(np.abs(curve.time - mark))) for mark in marks_beside)
    if marks_beside[1] >= curve.time[-1]:
        after = len(smooth) - 1
    gaps = ((before, start), (end, after))
    rests = []
    for (first, last), is_seen in zip(gaps, ends_recorded, strict=True):
        if not is_seen:
            continue
        first = min(first, last)
        place = first + int(np.argmin(sign * smooth[first : last + 1]))
        share = rules["turn_share"] * abs(smooth[turn] - smooth[place])
        rest = _plateau(curve, place, share, first, last)
        rests.append((float(curve.time[place]), rest.value))
    if not rests:
        return None, []
    level = float(np.mean([value for _, value in rests]))
    span = _plateau(curve, turn, rules["turn_share"] * abs(smooth[turn] - level), start, end)
    if span.value == level:
        return None, []
    return _excursion_between(course, curve, span, level, (start, end), ends_recorded, rules), rests


def _plateau(curve: _Curve, place: int, near: float, least: int, most: int) -> _Span:
    """Return the frames around an index with about equal values, and their median."""
    close = np.abs(curve.smooth - curve.smooth[place]) <= near
    first = last = place
    while first > least and close[first - 1]:
        first -= 1
    while last < most and close[last + 1]:
        last += 1
    return _Span(first, last, float(np.median(curve.smooth[first : last + 1])), place)


def in_order(excursions: Sequence[Excursion]) -> list[Excursion]:
    """Sort movements by time."""
    return sorted(excursions, key=lambda each: (each.start, each.joint, each.side))


def at_the_same_time(excursions: Sequence[Excursion]) -> list[list[Excursion]]:
    """Group movements that happen at the same time, in the order of time."""
    share = constants()["movement"]["together_share"]
    groups: list[list[Excursion]] = []
    for excursion in in_order(excursions):
        for group in groups:
            first = group[0]
            same = (excursion.joint, excursion.side) in [(e.joint, e.side) for e in group]
            common = min(first.end, excursion.end) - max(first.start, excursion.start)
            shorter = min(first.end - first.start, excursion.end - excursion.start)
            if not same and common > share * shorter:
                group.append(excursion)
                break
        else:
            groups.append([excursion])
    return groups


def local_sd(course: Course) -> float:
    """Return the median standard error of a frame, degrees."""
    sd = course.sd[np.isfinite(course.sd)]
    return float(np.median(sd)) if sd.size else float("nan")


def root_mean_square(shared: Array | float) -> float:
    """Return the root mean square of values."""
    return float(np.sqrt(np.mean(np.square(shared))))
