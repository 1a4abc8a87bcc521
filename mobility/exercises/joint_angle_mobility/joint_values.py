"""Values of a joint: ends of range, errors, repeatability, comparison with a reference."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from mobility import tables
from mobility.assessment import movements as movement_table
from mobility.assessment.reference_ranges import ReferenceRange, Sex, reference_range
from mobility.assessment.trial_errors import Known, visit_sem
from mobility.base.uncertain import sd_name, sem_name
from mobility.catalogue.joints import ANGLE_OF_JOINT, joint_table
from mobility.errors import BadInputError
from mobility.exercises.joint_angle_mobility.courses import planes_of, postures_of
from mobility.exercises.joint_angle_mobility.excursions import (
    BEHIND_DEG,
    Array,
    Course,
    constants,
    local_sd,
    root_mean_square,
)
from mobility.kinematics.expected_error import MDC95, half_width
from mobility.kinematics.skeleton import INDEX, SIDES

_LEAST_SCORED = 20.0
"""Smallest published range, in degrees, for which a percentage is informative."""

_LEAST_REPEATED = 3
"""Smallest number of movements for which their spread is reported."""


def shown_movement(course: Course, *, borne: bool) -> str:
    """Name the movement that a side of a joint shows; empty if it shows none."""
    accepted = course.accepted
    if not accepted:
        return ""
    larger = np.median([each.extreme - each.rest for each in accepted]) > 0
    if course.joint in ("hip", "shoulder"):  # coming back from in front is not an extension
        larger = larger or np.median([each.extreme for each in accepted]) > -BEHIND_DEG
    planes = planes_of(course.joint)
    # Elbow, knee and ankle bend in one plane of the limb, whatever its orientation. The trunk bends
    # sideways.
    sideways = "sagittal" not in planes or (course.plane == "frontal" and "frontal" in planes)
    if sideways and larger and course.joint in ("hip", "shoulder"):
        # Coming back from across the body is not an abduction.
        larger = np.median([each.extreme + each.rest for each in accepted]) > 0
    try:
        return movement_table.movement_of(
            course.joint,
            plane="frontal" if sideways else "sagittal",
            direction="largest" if larger else "smallest",
            weight_bearing=borne,
        )
    except BadInputError:  # an arm that is lowered, a leg that is brought to the other
        return ""


def repeatability_of(course: Course) -> tuple[dict[str, float], str]:
    """Return the spread of the ends of range, and the smallest detectable change.

    With fewer than three movements there is no value, only the reason.
    """
    turns = np.array([each.extreme for each in course.accepted])
    if turns.size < _LEAST_REPEATED:
        count = {"needed": _LEAST_REPEATED, "there": turns.size}
        why = tables.sentence("reasons.movement.few", **count)
        return {}, why if turns.size else ""
    spread = float(turns.std(ddof=1))
    day = float(constants()["from_day_to_day"]["sd_deg"])
    sem = visit_sem(
        float(constants()["filmed_again"]["sem_deg"]),
        spread**2,
        turns.size,
        known=Known(scatter=math.nan, freedom=0, day=day),
    )
    values = {"repeatability": spread, "detectable_change": MDC95 * float(sem)}
    return values | {sem_name("end_of_range"): float(sem)}, ""


def opposite_of(course: Course, shown: str) -> str:
    """Name the movement at the opposite end of the one shown, if that end is reached.

    A joint may rest anywhere. Its rest is an end of range only if the joint goes at least as far as
    ``opposite_from`` of the table ``movements`` every time.
    """
    if not shown:
        return ""
    here = movement_table.movement(shown)
    turns = course.lows if here["end"] == "largest" else course.highs
    for name in movement_table.movements_of(course.joint):
        entry = movement_table.movement(name)
        if entry["end"] == here["end"] or entry["plane"] != here["plane"]:
            continue
        least = entry.get("opposite_from", math.inf)
        ends = [movement_table.in_own_direction(name, value) for _, value in turns]
        if ends and min(ends) >= least:
            return name
    return ""


def end_of_range_of(shown: str, values: Mapping[str, float]) -> dict[str, float]:
    """Return how far a movement goes, in its own direction."""
    end = movement_table.movement(shown)["end"]
    name = "maximum" if end == "largest" else "minimum"
    return {
        "end_of_range": movement_table.in_own_direction(shown, values.get(name, np.nan)),
        sd_name("end_of_range"): values.get(sd_name(name), np.nan),
    }


def reason_withheld(one: xr.Dataset) -> str:
    """Explain why an end of range is withheld; empty if it is reported.

    Curves and movements accept values with larger errors (``largest_sd_deg`` of a joint). If a
    movement has no name, its plane is unknown, so it is also unknown which angle measures it.
    """
    if int(one["movements"]) and not one["shown"].item():
        return tables.sentence("joints.unnamed")
    sd = float(one[sd_name("end_of_range")])
    if sd > constants()["certain"]["largest_sd_deg"]:
        return tables.sentence("joints.untold", half=half_width(sd))
    return ""


def end_is_certain(metrics: xr.Dataset, joint: str, side: str) -> bool:
    """Return whether the end of range of a joint is reported (see :func:`reason_withheld`)."""
    return not reason_withheld(metrics.sel(joint=joint, side=side))


def without_uncertain_ends(metrics: xr.Dataset) -> xr.Dataset:
    """Remove the ends of range that :func:`reason_withheld` withholds, and their dependents."""
    certain = metrics.copy(deep=True)
    is_certain = certain[sd_name("opposite_end")] <= constants()["certain"]["largest_sd_deg"]
    certain["opposite_end"] = certain["opposite_end"].where(is_certain)
    for joint, side in itertools.product(map(str, metrics["joint"].values), SIDES):
        place = {"joint": joint, "side": side}
        one = metrics.sel(place)
        shown = str(one["shown"].item())
        why = reason_withheld(one)
        if not why:
            continue
        ends, of_each = ["maximum", "minimum"], ["extreme", "rest"]
        if shown:
            del of_each[1]
            ends = ["minimum" if movement_table.movement(shown)["end"] == "smallest" else ends[0]]
        left_out = (*ends, "end_of_range", "range_of_motion", "peak_velocity", "mean_velocity")
        for name in (*left_out, "score", "repeatability", "detectable_change"):
            certain[name].loc[place] = np.nan
        certain["side_difference"].loc[{"joint": joint}] = np.nan
        certain["note"] = certain["note"].astype(object)
        notes = [why, str(one["note"].item())]
        certain["note"].loc[place] = "; ".join(note for note in notes if note)
        of = (metrics["movement_joint"] == joint) & (metrics["movement_side"] == side)
        for name in (*of_each, "peak_velocity", "mean_velocity"):
            certain[f"movement_{name}"] = certain[f"movement_{name}"].where(~of)
    return certain


def measured_values(course: Course, draws: xr.Dataset | None) -> dict[str, float]:
    """Return the metrics of one side of a joint, without those that need a reference."""
    if np.isnan(course.values).all():
        return {}
    accepted = course.accepted
    if not accepted:
        return _values_without_movement(course)
    deviations = None if draws is None else _deviations(course, draws)
    knots = None if draws is None else draws["fit_time"].to_numpy()
    numbers: dict[str, float] = {}
    shared: dict[str, Array | float] = {}
    for name, turns in (("maximum", course.highs), ("minimum", course.lows)):
        if not turns:
            shared[name] = numbers[name] = numbers[sd_name(name)] = np.nan
            continue
        values = np.array([value for _, value in turns])
        shared[name] = _shared_error(course, turns, draws)
        numbers[name] = float(np.median(values))
        numbers[sd_name(name)] = _combined(shared[name], values, added=course.added_sd)
    high, low = shared["maximum"], shared["minimum"]
    difference: Array | float
    if isinstance(high, float) or isinstance(low, float):
        difference = float(np.hypot(root_mean_square(high), root_mean_square(low)))
    else:
        difference = high - low
    sizes = np.array([each.excursion for each in accepted])
    numbers["range_of_motion"] = numbers["maximum"] - numbers["minimum"]
    both = np.sqrt(2) * course.added_sd
    numbers[sd_name("range_of_motion")] = _combined(difference, sizes, added=both)
    # Both speeds come from the same movements. Otherwise a mean speed could exceed the peak speed.
    with_velocity = [each for each in accepted if np.isfinite(each.mean_velocity)]
    timed = with_velocity or accepted
    peaks = np.array([each.peak_velocity for each in timed])
    numbers["peak_velocity"] = float(np.median(peaks))
    if deviations is not None and knots is not None:
        slopes = np.gradient(deviations, knots, axis=1)
        times = [each.peak_time for each in timed]
        at = np.stack([np.array([np.interp(t, knots, row) for t in times]) for row in slopes])
        # As for the range, the uncertainty of both ends makes the distance between them uncertain.
        less = both / float(np.median(sizes)) * numbers["peak_velocity"]
        numbers[sd_name("peak_velocity")] = _combined(np.nanmedian(at, axis=1), peaks, added=less)
    elif len(peaks) > 1:
        numbers[sd_name("peak_velocity")] = float(peaks.std(ddof=1) / np.sqrt(len(peaks)))
    if with_velocity:
        means = np.array([each.mean_velocity for each in with_velocity])
        numbers["mean_velocity"] = float(np.median(means))
        relative = float(np.hypot(root_mean_square(difference), both)) / float(np.median(sizes))
        numbers[sd_name("mean_velocity")] = _combined(relative * numbers["mean_velocity"], means)
    return numbers


def difference_of_sides(
    left: Course, right: Course, shown: str, draws: xr.Dataset | None
) -> dict[str, float]:
    """Return how much farther the right side goes than the left, if both show the same movement.

    Most of the error is common to both sides of a recording. It cancels because the difference is
    computed within each draw.
    """
    end = movement_table.movement(shown)["end"]
    turns = [each.highs if end == "largest" else each.lows for each in (left, right)]
    if not all(turns):
        return {}
    values = [np.array([value for _, value in each]) for each in turns]
    ends = [movement_table.in_own_direction(shown, float(np.median(each))) for each in values]
    shared = [_shared_error(*pair, draws) for pair in zip((left, right), turns, strict=True)]
    if draws is None:
        apart: Array | float = math.hypot(*map(root_mean_square, shared))
    else:
        apart = np.asarray(shared[1] - shared[0])
    of_each = [
        _combined(0.0, each, added=course.added_sd)
        for each, course in zip(values, (left, right), strict=True)
    ]
    return {
        "side_difference": ends[1] - ends[0],
        sd_name("side_difference"): float(np.hypot(root_mean_square(apart), math.hypot(*of_each))),
    }


def _shared_error(
    course: Course, turns: Sequence[tuple[float, float]], draws: xr.Dataset | None
) -> Array | float:
    """Return the error that all turns share, from the draws or from the frames."""
    if draws is None:
        return local_sd(course)
    knots, deviations = draws["fit_time"].to_numpy(), _deviations(course, draws)
    at = np.stack([np.array([np.interp(t, knots, row) for t, _ in turns]) for row in deviations])
    median: Array = np.nanmedian(at, axis=1)
    return median


def _deviations(course: Course, draws: xr.Dataset) -> Array:
    """Return the deviations of the draws of a joint's angle, over (draw, fit_time)."""
    of_side = draws[course.angle].sel(side=course.side).transpose("draw", "fit_time")
    return of_side.to_numpy()


def _values_without_movement(course: Course) -> dict[str, float]:
    """Return the extremes of a curve without a movement, as percentiles to reduce noise."""
    finite_values = course.values[np.isfinite(course.values)]
    low, high = np.percentile(finite_values, [2.5, 97.5])
    sd = local_sd(course)
    return {
        "maximum": float(high),
        sd_name("maximum"): sd,
        "minimum": float(low),
        sd_name("minimum"): sd,
    }


def _combined(shared: Array | float, values: Array, *, added: float = 0.0) -> float:
    """Combine the shared error with the spread over movements: sqrt(m² + a² + s²/n)."""
    spread = values.std(ddof=1) / np.sqrt(values.size) if values.size > 1 else 0.0
    return float(np.hypot(np.hypot(root_mean_square(shared), added), spread))


def bears_weight(course: Course, points: Array, time: Array) -> bool:
    """Return whether the foot carries the body: the person stands, the toe stays on the floor."""
    limits = constants()["weight_bearing"]
    if not course.accepted or postures_of(points)[1] != "standing":
        return False
    # The height is relative to the other foot, because the origin of world landmarks moves with the
    # hips.
    this, other = course.side, SIDES[1 - SIDES.index(course.side)]
    toe = points[:, INDEX[f"{this}_foot_index"]] - points[:, INDEX[f"{other}_foot_index"]]
    feet = [INDEX[f"{side}_{name}"] for side in SIDES for name in ("heel", "foot_index")]
    above = points[:, INDEX[f"{this}_foot_index"], 1] - points[:, feet, 1].min(axis=1)
    moved, raised = [], []
    for excursion in course.accepted:
        first, last = (int(np.argmin(np.abs(time - t))) for t in (excursion.start, excursion.turn))
        moved.append(float(np.linalg.norm(toe[last] - toe[first])))
        raised.append(float(above[last]))
    stays = np.median(moved) < limits["foot_moves_m"]
    return bool(stays and np.median(raised) < limits["above_lowest_m"])


def reference_of(
    course: Course, shown: str, sex: Sex | None, age: float | None
) -> ReferenceRange | None:
    """Look up the reference range of the movement shown, counted in its own direction."""
    if not shown:
        if course.accepted or course.angle != ANGLE_OF_JOINT[course.joint]:
            return None
        return reference_range(course.angle, sex=sex, age=age, kind="active")
    wanted = movement_table.movement(shown)["range"]
    return reference_range(wanted["angle"], sex=sex, age=age, kind=wanted["kind"])


def described_reference(reference: ReferenceRange) -> dict[str, Any]:
    """Describe a reference as JSON values; null for entries that it lacks."""
    names = ("kind", "study", "statistic", "sex", "age", "sample", "n", "source", "note")
    described = {name: getattr(reference, name) for name in names}
    for name in ("mean", "sd", "lowest", "highest"):
        value = getattr(reference, name)
        described[name] = value if np.isfinite(value) else None
    return described


def score_of(
    values: dict[str, float], reference: ReferenceRange, *, moved: bool
) -> tuple[float, float, str]:
    """Return the score, its error, and a remark."""
    reached = values.get("end_of_range", values["maximum"])
    if not moved or not np.isfinite(reached):
        return np.nan, np.nan, ""
    if reference.mean < _LEAST_SCORED:
        small = tables.sentence("reasons.reference.small")
        return np.nan, np.nan, tables.sentence("reasons.reference.no_score", reason=small)
    if reference.note:  # it is unknown whether the person belongs to the group that was measured
        other = tables.sentence("reasons.reference.no_score", reason=reference.note)
        return np.nan, np.nan, other
    score = 100 * float(np.clip(reached / reference.mean, 0, 1))
    return (
        score,
        100 * values.get(sd_name("end_of_range"), values[sd_name("maximum")]) / reference.mean,
        "",
    )


def with_refused_joints(angles: xr.Dataset, metrics: xr.Dataset) -> xr.Dataset:
    """Return the measured angles of the joints, without withheld values.

    For a hip that moves sideways, the angle is its abduction.
    """
    measured = metrics["angle"]
    shown = {}
    for joint in map(str, measured["joint"].to_numpy()):
        name = ANGLE_OF_JOINT[joint]
        values = measured.sel(joint=joint, drop=True).transpose(*angles[name].dims)
        shown[name] = angles[name].copy(data=values.to_numpy())
    return angles.assign(shown)


def compared_movements(angles: xr.Dataset, metrics: xr.Dataset) -> tuple[xr.Dataset, xr.Dataset]:
    """Return angles and accepted movements of the joints that moved, for comparison with a lab.

    Each movement is one entry of ``rep``, and ``compared(rep, angle, side)`` is true only for its
    own joint. It begins and ends while the joint rests, so that it includes both ends of its range.
    """
    moves = metrics["movement_accepted"].to_numpy().astype(bool)
    joint, side = (metrics[f"movement_{each}"].to_numpy()[moves] for each in ("joint", "side"))
    start, end = (metrics[f"movement_{each}"].to_numpy()[moves] for each in ("start", "end"))
    measured: dict[str, xr.DataArray] = {}
    names = []
    for of_joint, of_side in zip(joint, side, strict=True):
        entry = joint_table()[of_joint]
        plane = angles[entry["angle"]].attrs.get(f"plane_{of_side}", "")
        name = str(entry.get(plane, entry["angle"]))
        names.append(name)
        for name_of in (str, sd_name):
            curve = metrics[name_of("angle")].sel(joint=of_joint, drop=True)
            shown = curve["side"] == of_side
            before = measured.get(name_of(name), curve.where(False))
            measured[name_of(name)] = curve.where(shown, before).assign_attrs(units="degree")
    first, last = _until_rest(start, end, list(zip(joint, side, strict=True)))
    of_angles = list(dict.fromkeys(names))
    shows = np.zeros((len(names), len(of_angles), len(SIDES)), dtype=bool)
    for row, (name, of_side) in enumerate(zip(names, side, strict=True)):
        shows[row, of_angles.index(name), SIDES.index(of_side)] = True
    movements = xr.Dataset(
        {
            "start": ("rep", first),
            "end": ("rep", last),
            "accepted": ("rep", np.ones(len(names), dtype=bool)),
            "compared": (("rep", "angle", "side"), shows),
        },
        coords={"rep": np.arange(1, len(names) + 1), "angle": of_angles, "side": list(SIDES)},
    )
    return xr.Dataset(measured, attrs=angles.attrs), movements


def _until_rest(start: Array, end: Array, places: Sequence[tuple[str, str]]) -> tuple[Array, Array]:
    """Extend movements until the joint rests, at most half way to its next movement."""
    longest = float(constants()["compared"]["rest_s"])
    first, last = start - longest, end + longest
    for place in set(places):
        rows = [row for row, each in enumerate(places) if each == place]
        for one, after in itertools.pairwise(sorted(rows, key=lambda row: float(start[row]))):
            middle = (end[one] + start[after]) / 2
            last[one], first[after] = min(last[one], middle), max(first[after], middle)
    return first, last
