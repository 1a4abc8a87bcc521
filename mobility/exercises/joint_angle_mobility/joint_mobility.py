"""How far, how often and how fast joints move: the exercise "Joint Angle Mobility"."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from pydantic import Field

from mobility import tables
from mobility.assessment import movements as movement_table
from mobility.assessment.kinds import BESIDE
from mobility.assessment.reference_ranges import Sex
from mobility.base import provenance
from mobility.base.formatting import capital, listed, spoken
from mobility.base.options import checked
from mobility.base.uncertain import sd_name, sem_name
from mobility.catalogue import registry
from mobility.catalogue.joints import JOINTS, joint_table
from mobility.errors import BadInputError
from mobility.exercises.joint_angle_mobility.courses import courses_of, postures_of, upper_body_only
from mobility.exercises.joint_angle_mobility.excursions import (
    CARRIED,
    POSTURES,
    Array,
    Course,
    Excursion,
    Joints,
    Mark,
    Movements,
    as_marked,
    at_the_same_time,
    constants,
    given_movements,
    in_order,
    leading_excursion,
    marks_of,
    why_undecided,
)
from mobility.exercises.joint_angle_mobility.joint_values import (
    bears_weight,
    described_reference,
    difference_of_sides,
    end_of_range_of,
    measured_values,
    opposite_of,
    reference_of,
    repeatability_of,
    score_of,
    shown_movement,
)
from mobility.kinematics.angle_errors import angle_draws
from mobility.kinematics.datasets import Angles, Pose
from mobility.kinematics.in_picture import measured_angles
from mobility.kinematics.skeleton import SIDES, landmarks, of_single_joints

_STATISTIC = {
    "maximum": "median, over the movements, of the turn at the larger angle",
    "minimum": "median, over the movements, of the turn at the smaller angle",
    "range_of_motion": "maximum minus minimum",
    "end_of_range": "maximum of a flexion or an abduction, minus the minimum of an extension",
    "opposite_end": "end of range of the movement in `opposite`, in its own direction",
    "side_difference": "end_of_range of the right side minus end_of_range of the left side",
    "repeatability": "standard deviation over the movements of the angle at the turn",
    "detectable_change": "1.96 sqrt(2) times the root of (1.25 t / 1.96 times the repeatability)² "
    "/ n, the square of the standard error of the same movement filmed again, and that of the "
    "standard deviation from day to day",
    "peak_velocity": "median over the movements of the largest speed",
    "mean_velocity": "median over the movements of the mean speed from 10 to 90 % of the way out",
}


@checked
def joint_movements(
    pose: Pose,
    angles: Angles,
    *,
    joints: Joints = JOINTS,
    movements: Movements | None = None,
) -> xr.Dataset:
    """Find the movements of a person who moves one or several joints there and back.

    Parameters
    ----------
    pose, angles, joints, movements
        As for :func:`joint_mobility`.

    Returns
    -------
    xarray.Dataset
        Over ``rep``, like a repetitions Dataset: ``start``, ``bottom_start``, ``bottom`` (the turn,
        where the joint reaches its end of range), ``bottom_end``, ``end`` in seconds, ``accepted``,
        ``complete``, ``start_seen``, ``end_seen``, ``reason``, ``joints`` (the joints that moved,
        as text) and ``excursion`` (the largest of them, degrees). ``depth`` is NaN, because it
        applies only to squats.

        ``standing(time)`` is true in frames at rest, outside all movements. Movements of several
        joints at the same time count as one. Each entry of `movements` is one movement with
        unchanged times; if no joint moves in it, it is not accepted.

    Raises
    ------
    BadInputError
        As :func:`joint_mobility`.
    """
    marks = marks_of(movements, joints, angles)
    courses = courses_of(pose, angles, joints, marks)
    groups = _groups(courses, marks)
    if marks is None:
        leading = [leading_excursion(group) for group in groups]
    else:
        leading = [as_marked(mark, group) for mark, group in zip(marks, groups, strict=True)]
    seconds = {"units": "second"}
    time = angles["time"].to_numpy()
    at_rest = np.ones(time.size, dtype=bool)
    for excursion in leading:
        at_rest &= (time < excursion.start) | (time > excursion.end)

    def over(values: Sequence[Any], kind: type, **attrs: str) -> Any:
        return ("rep", np.array(values, dtype=kind), attrs)

    def joints_in_words(number: int) -> str:
        if marks is not None and not groups[number]:
            return ", ".join(marks[number].joints)
        return ", ".join(f"{each.side} {each.joint}" for each in groups[number])

    result = xr.Dataset(
        {
            "start": over([each.start for each in leading], float, **seconds),
            "bottom_start": over([each.turn_start for each in leading], float, **seconds),
            "bottom": over([each.turn for each in leading], float, **seconds),
            "bottom_end": over([each.turn_end for each in leading], float, **seconds),
            "end": over([each.end for each in leading], float, **seconds),
            "depth": over([np.nan] * len(leading), float, units="percent"),
            "excursion": over([each.excursion for each in leading], float, units="degree"),
            "accepted": over([each.accepted for each in leading], bool),
            "complete": over([each.start_seen and each.end_seen for each in leading], bool),
            "start_seen": over([each.start_seen for each in leading], bool),
            "end_seen": over([each.end_seen for each in leading], bool),
            "reason": over([each.reason for each in leading], str),
            "joints": over([joints_in_words(number) for number in range(len(groups))], str),
            "standing": ("time", at_rest),
        },
        coords={"rep": np.arange(1, len(leading) + 1), "time": angles["time"].variable},
    )
    result.attrs = {key: pose.attrs[key] for key in CARRIED if key in pose.attrs}
    result.attrs["ds_type"] = "repetitions"
    result.attrs["phase_names"] = json.dumps(["way out", "turn", "way back", "rest"])
    return provenance.with_history(
        result.assign_attrs(history=angles.attrs.get("history", "[]")),
        "joint_movements",
        {"joints": list(joints), **given_movements(movements, joints)},
        movements=int(sum(each.accepted for each in leading)),
        warnings=[tables.warning("warnings.no_movement")] if marks == [] else [],
    )


@checked
def joint_mobility(
    pose: Pose,
    angles: Angles,
    *,
    joints: Joints = JOINTS,
    sex: Sex | None = None,
    age: Annotated[float, Field(ge=0, le=120)] | None = None,
    movement: str | None = None,
    movements: Movements | None = None,
) -> xr.Dataset:
    r"""Measure single-joint range of motion, movements and speed.

    Parameters
    ----------
    pose
        Pose Dataset of the recording, in metres, y up. If the pose is fitted, include its draws.
    angles
        Result of :func:`~mobility.kinematics.angles.joint_angles` for this pose.
    joints
        Any of "ankle", "knee", "hip", "shoulder", "elbow", "trunk" and "neck". The last two bend
        sideways.
    sex, age
        Sex and age (years) of the participant, used to select the reference; None if unknown.
    movement
        Requested movement of the table ``movements``; None if any movement is allowed. It decides
        the filming advice for withheld values, and the note reports if a different movement is
        shown.
    movements
        Movements that a person marked, to be used instead of the detected ones.
        :func:`~mobility.exercises.joint_angle_mobility.excursions.checked_movements` describes
        their format.

    Returns
    -------
    xarray.Dataset
        Over (joint, side), each with its ``_sd``: ``maximum``, ``minimum``, ``range_of_motion``,
        ``end_of_range`` (degree), ``peak_velocity``, ``mean_velocity`` (degree/s) and ``score``
        (percent). ``end_of_range`` is the largest angle, or minus the smallest angle for an
        extension. ``opposite`` names the movement at the other end and ``opposite_end`` (degree,
        with ``_sd``) is how far it goes. They are "" and NaN unless the joint reaches that end
        every time.

        Over (joint, side) without an error: ``movements`` (count), ``shown`` (name in the table
        ``movements``, or ""), ``repeatability`` (degree, the standard deviation over three or more
        turns), ``detectable_change`` (degree, explained below), ``reference`` (degree, or NaN),
        ``reference_kind`` ("active", "weight_bearing" or ""), ``refused_share`` (of the frames),
        ``note`` (why a value is NaN, and other remarks) and ``advice`` (how to film withheld
        values).

        ``plane`` is the plane of the body in which the joint moves: "sagittal", "frontal",
        "transverse" or "". ``off_picture`` is the angle between that plane and the image plane
        (degrees; NaN if unknown).

        Over (joint): ``side_difference`` (degree, with ``_sd``), how much farther the right side
        goes than the left if both show the same movement. Over (time, joint, side): ``angle`` and
        ``angle_sd``, NaN if withheld. Over ``posture``: ``posture_share`` (of the frames); its
        attribute ``posture`` is the most frequent.

        Over ``movement``: ``movement_joint``, ``movement_side``, ``movement_start``,
        ``movement_turn``, ``movement_end`` (second), ``movement_rest``, ``movement_extreme``
        (degree), ``movement_peak_velocity``, ``movement_mean_velocity`` (degree/s),
        ``movement_accepted`` and ``movement_reason`` (why it does not count). ``movement_number``
        is the number of the movement in :func:`joint_movements`: movements at the same time have
        the same number.

    Raises
    ------
    BadInputError
        An input is incomplete, the frames of the inputs differ, or an option is wrong.

    Notes
    -----
    The largest value of a noisy curve is too large. So the curve is smoothed with a Savitzky-Golay
    filter (order 3, 0.3 s), and the angle at a turn is its median over the frames within 3 % of the
    excursion from the extreme. ``maximum`` and ``minimum`` are medians over the turns. A joint
    without a movement has only the extremes of the smoothed curve. It has no range of motion or
    score, because its range would be the range of the noise.

    A movement that ends 15 degrees or more short of the median of the others is incomplete and does
    not count. If there are only two, both count, and the note reports if their ends differ that
    much. Movements that a person marked always count.

    The ``_sd`` of an angle over n movements is sqrt(m² + s²/n). Here s is the SD over the movements
    and m is the error that they share. For a fitted body, m is the spread over its draws, and for
    the range the spread of the difference within each draw. Otherwise m is the median error of the
    values; for the range, both ends count as independent.

    For a fitted body, the error that the fit does not know (``added_sd_deg`` of the angle) is
    added. For a range, it is added at both ends, which count as independent. Without draws, the
    error of a speed comes only from its spread over two or more movements. A fit follows movements
    up to about 3 Hz.

    An angle from the vertical (the trunk) is measured relative to its rest if the recording begins
    and ends at the same rest, because no camera is level.

    For a marked movement, the angle is measured around the marked turn: it is the median of the
    smoothed curve within 3 % of the excursion. The joint rests at the extremes between the marked
    movements. If the marks are the detected times, the movement does not change. A joint did not
    move if its excursion is below the smallest excursion of that joint in ``constants.yaml``, or
    below the error of a value (one standard deviation).

    In ``side_difference_sd``, m is the error of the difference within each draw, so errors common
    to both sides cancel. Without draws, and for ``added_sd_deg``, the sides count as independent.

    ``detectable_change`` is the smallest detectable change: the change that is exceeded by chance
    in at most one of twenty recordings with the same set-up. It is 1.96 sqrt(2) times
    ``end_of_range_sem``, the standard error of measurement between visits
    (:func:`~mobility.assessment.trial_errors.visit_sem`) for n turns.

    The standard error of measurement combines the spread of the turns with the error between
    recordings (from movements that were filmed twice) and the error between days (published), both
    in ``constants.yaml``. Errors that are the same in every recording of a set-up cancel in a
    change and are not included. A different set-up adds to the error.

    ``score`` = 100 min(max(maximum / R, 0), 1), where R is the mean active range of people of the
    same sex and age. For the ankle of a foot on the floor, R is the mean of the weight-bearing
    lunge. The score is NaN if no source measured such people, or the same angle, and the note
    explains why. Passive ranges are not used, because an examiner moves a joint farther.

    References
    ----------
    Boone & Azen 1979, J Bone Joint Surg Am 61:756. Zwerus et al. 2019, Shoulder Elbow 11:215.
    Calatayud et al. 2015, Int J Sports Phys Ther 10:197. Savitzky & Golay 1964, Anal Chem 36:1627.
    Weir 2005, J Strength Cond Res 19:231.
    """
    table = constants()
    if movement is not None:
        wanted = movement_table.movement(movement)["joint"]
        if wanted not in joints:
            raise BadInputError(
                f"joint_mobility: {movement} moves the {wanted}, which is not among the joints"
            )
    marks = marks_of(movements, joints, angles)
    courses = courses_of(pose, angles, joints, marks, movement)
    points = landmarks(pose)
    draws = _draws(pose, angles)
    shape = (len(joints), len(SIDES))
    reach = ("maximum", "minimum", "end_of_range", "opposite_end", "range_of_motion")
    measured = (*reach, "peak_velocity", "mean_velocity", "score")
    bare = ("repeatability", "detectable_change", sem_name("end_of_range"))
    numbers = {name: np.full(shape, np.nan) for name in (*measured, *bare)}
    numbers |= {sd_name(name): np.full(shape, np.nan) for name in measured}
    numbers |= {"reference": np.full(shape, np.nan), "refused_share": np.ones(shape)}
    counts = np.zeros(shape, dtype=int)
    numbers |= {"off_picture": np.full(shape, np.nan)}
    notes, kinds, names, opposite, advice, planes = (
        np.full(shape, "", dtype=object) for _ in range(6)
    )
    curves = np.full((angles.sizes["time"], *shape), np.nan)
    curves_sd = curves.copy()
    references: dict[str, dict[str, Any]] = {}
    for course in courses:
        place = joints.index(course.joint), SIDES.index(course.side)
        curves[:, *place], curves_sd[:, *place] = course.values, course.sd
        numbers["refused_share"][place] = float(np.isnan(course.values).mean())
        numbers["off_picture"][place], planes[place] = course.off_picture, course.plane
        counts[place] = len(course.accepted)
        values = measured_values(course, draws)
        borne = course.joint == "ankle" and bears_weight(course, points, angles["time"].to_numpy())
        shown = shown_movement(course, borne=borne)
        names[place] = shown
        repeated, why_not = repeatability_of(course)
        values |= repeated
        if shown:
            values |= end_of_range_of(shown, values)
        if other := opposite_of(course, shown):
            opposite[place] = other
            end = end_of_range_of(other, values)
            values |= {k.replace("end_of_range", "opposite_end"): v for k, v in end.items()}
            if other_reference := reference_of(course, other, sex, age):
                key = f"{course.side}_{course.joint}_opposite"
                references[key] = described_reference(other_reference)
        if np.isnan(course.values).all():
            possible = movement_table.movements_of(course.joint)
            wanted = movement if movement in possible else possible[0]
            advice[place] = movement_table.refusal_advice(wanted, course.plane)
        entry = joint_table()[course.joint]
        differs = entry.get("not_compared", "") if course.angle == entry["angle"] else ""
        reference = None if differs else reference_of(course, shown, sex, age)
        remarks = [course.note] if course.note else []
        if shown and movement in movement_table.movements_of(course.joint) and shown != movement:
            spoken_names = {"shown": spoken(shown), "wanted": spoken(str(movement))}
            remarks.append(tables.sentence("reasons.movement.other", **spoken_names))
        if not np.isnan(course.values).all():
            if not course.accepted:
                cut = [each.reason for each in course.excursions]
                still = tables.sentence(
                    "reasons.movement.small" if marks is None else "reasons.movement.small_by_hand",
                    least=course.threshold,
                )
                remarks.append("; ".join(dict.fromkeys(cut)) or still)
            if course.accepted and not (course.highs and course.lows):
                ends = "smallest" if course.highs else "largest"
                remarks.append(tables.sentence(f"reasons.movement.end_missing.{ends}"))
            if reference is not None:
                kinds[place] = reference.kind
                numbers["reference"][place] = reference.mean
                references[f"{course.side}_{course.joint}"] = described_reference(reference)
                score, score_sd, why = score_of(values, reference, moved=bool(course.accepted))
                values |= {"score": score, sd_name("score"): score_sd}
                remarks += [why] if why else []
            elif course.accepted:
                remarks.append(differs or tables.sentence("reasons.reference.unknown"))
        remarks += [why for why in (why_undecided(course, table["movement"]), why_not) if why]
        for name, value in values.items():
            numbers[name][place] = value
        notes[place] = "; ".join(remarks)
    postures, posture = postures_of(points)
    variables = _variables(numbers, table) | _differences(courses, joints, names, draws)
    dims = ("joint", "side")
    variables["movements"] = (dims, counts, {"units": "1", "long_name": "number of movements"})
    variables["reference_kind"] = (dims, kinds.astype(str), {"long_name": "kind of the reference"})
    variables["shown"] = (dims, names.astype(str), {"long_name": "movement that was shown"})
    other_end = {"long_name": "movement at the other end, if that is reached"}
    variables["opposite"] = (dims, opposite.astype(str), other_end)
    plane = {"long_name": "plane of the body in which the joint moves"}
    variables["plane"] = (dims, planes.astype(str), plane)
    variables["advice"] = (dims, advice.astype(str), {"long_name": "how to film withheld values"})
    variables["note"] = (dims, notes.astype(str), {"long_name": "remarks on the values"})
    over_time = ("time", *dims)
    degree = {"units": "degree"}
    variables["angle"] = (
        over_time,
        curves,
        {**degree, "long_name": "angle of the joint", BESIDE: sd_name("angle")},
    )
    variables[sd_name("angle")] = (
        over_time,
        curves_sd,
        {**degree, "long_name": "standard deviation of the error of the angle"},
    )
    share = [float((postures == name).mean()) for name in POSTURES]
    variables["posture_share"] = ("posture", share, {"units": "1", "long_name": "share of frames"})
    variables |= _movement_variables(_groups(courses, marks))
    result = xr.Dataset(
        variables,
        coords={
            "joint": list(joints),
            "side": list(SIDES),
            "time": angles["time"].variable,
            "posture": list(POSTURES),
        },
    )
    result.attrs = {key: pose.attrs[key] for key in CARRIED if key in pose.attrs}
    result.attrs |= {
        "ds_type": "joint_mobility",
        "exercise": registry.of_single_joints().name,
        "posture": posture,
        "references": json.dumps(references, sort_keys=True),
    }
    return provenance.with_history(
        result.assign_attrs(history=angles.attrs.get("history", "[]")),
        "joint_mobility",
        {"joints": list(joints), "sex": sex, "age": age}
        | ({} if movement is None else {"movement": movement})
        | given_movements(movements, joints),
        movements=int(counts.sum()),
        posture=posture,
        warnings=_warnings(courses) + upper_body_only(pose) + _other_movement(movement, names),
    )


def _other_movement(movement: str | None, shown: NDArray[Any]) -> list[dict[str, str]]:
    """Warn if a joint showed a different movement from the requested one."""
    if movement is None:
        return []
    possible = set(movement_table.movements_of(movement_table.movement(movement)["joint"]))
    other_movements = sorted(possible & set(shown.ravel()) - {movement})
    if not other_movements or movement in shown:
        return []
    instead = listed([spoken(name) for name in other_movements])
    return [tables.warning("warnings.other_movement", shown=instead, wanted=spoken(movement))]


def _draws(pose: xr.Dataset, angles: xr.Dataset) -> xr.Dataset | None:
    """Return the deviations of a fit's draws for the same angles; None without a fit."""
    if "position_draws" not in pose:
        return None
    draws = angle_draws(pose)
    flat = [
        str(name)
        for name, values in angles.data_vars.items()
        if any(f"in_picture_{side}" in values.attrs for side in SIDES)
    ]
    if flat:
        flat_angles = measured_angles(pose)
        draws = draws.assign({name: flat_angles[f"{name}_draws"] for name in flat})
    quantities = {
        str(name): values.to_numpy() for name, values in draws.items() if "side" not in values.dims
    }
    apart = {
        name: (("draw", "fit_time", "side"), values)
        for name, values in of_single_joints(quantities).items()
        if name not in draws
    }
    return draws.assign(apart)


def _variables(numbers: dict[str, Array], table: dict[str, Any]) -> dict[str, Any]:
    """Turn the numbers into variables over (joint, side) with units and names."""
    units = {"peak_velocity": "degree/s", "mean_velocity": "degree/s", "score": "percent"}
    units |= {"refused_share": "1"}
    variables = {}
    errors = {sd_name(name): name for name in numbers}
    retest = {sem_name(name): name for name in numbers}
    for name, values in numbers.items():
        base = errors.get(name, retest.get(name, name))
        attrs = {"units": units.get(base, "degree")}
        text = base.replace("_", " ")
        if sd_name(name) in numbers:
            beside = [each for each in (sd_name(name), sem_name(name)) if each in numbers]
            attrs[BESIDE] = " ".join(beside)
        if name in errors:
            attrs["long_name"] = f"standard deviation of the error of {text}"
        elif name in retest:
            attrs["long_name"] = f"standard error of measurement of {text}"
        else:
            attrs["long_name"] = text
            if base in _STATISTIC:
                attrs["statistic"] = _STATISTIC[base]
        if name == "score":
            attrs["reference"] = table["score"]["source"]
        variables[name] = (("joint", "side"), values, attrs)
    return variables


def _differences(
    courses: Sequence[Course], joints: Sequence[str], shown: NDArray[Any], draws: xr.Dataset | None
) -> dict[str, Any]:
    """Return the differences between the sides over (joint), if both show the same movement."""
    of_place = {(course.joint, course.side): course for course in courses}
    numbers = {
        name: np.full(len(joints), np.nan)
        for name in ("side_difference", sd_name("side_difference"))
    }
    for place, joint in enumerate(joints):
        left, right = (of_place.get((joint, side)) for side in SIDES)
        if left and right and shown[place, 0] and shown[place, 0] == shown[place, 1]:
            for name, value in difference_of_sides(left, right, shown[place, 0], draws).items():
                numbers[name][place] = value
    described = _variables(numbers, {})
    return {name: ("joint", values, attrs) for name, (_, values, attrs) in described.items()}


def _groups(courses: Sequence[Course], marks: Sequence[Mark] | None) -> list[list[Excursion]]:
    """Group movements of joints that happen at the same time, or were marked as one."""
    excursions = in_order([each for course in courses for each in course.excursions])
    if marks is None:
        return at_the_same_time(excursions)
    return [[each for each in excursions if each.mark == k] for k in range(len(marks))]


def _movement_variables(groups: Sequence[Sequence[Excursion]]) -> dict[str, Any]:
    number = {id(each): k for k, group in enumerate(groups, start=1) for each in group}
    ordered = in_order([each for group in groups for each in group])
    second, degree, speed = {"units": "second"}, {"units": "degree"}, {"units": "degree/s"}
    columns: dict[str, tuple[str, type, dict[str, str]]] = {
        "movement_joint": ("joint", str, {}),
        "movement_side": ("side", str, {}),
        "movement_start": ("start", float, second),
        "movement_turn": ("turn", float, second),
        "movement_end": ("end", float, second),
        "movement_rest": ("rest", float, degree),
        "movement_extreme": ("extreme", float, degree),
        "movement_peak_velocity": ("peak_velocity", float, speed),
        "movement_mean_velocity": ("mean_velocity", float, speed),
        "movement_accepted": ("accepted", bool, {}),
        "movement_reason": ("reason", str, {}),
    }
    return {"movement_number": ("movement", [number[id(each)] for each in ordered])} | {
        name: ("movement", np.array([getattr(each, key) for each in ordered], dtype=kind), attrs)
        for name, (key, kind, attrs) in columns.items()
    }


def _warnings(courses: Sequence[Course]) -> list[dict[str, str]]:
    sides: dict[tuple[str, str], list[str]] = {}
    for course in courses:
        if np.isnan(course.values).all():
            sides.setdefault((course.joint, course.note), []).append(course.side)
    return [
        tables.warning(
            f"warnings.joint_refused.{'one' if len(which) == 1 else 'both'}",
            side=capital(which[0]),
            joint=joint,
            reason=note,
        )
        for (joint, note), which in sides.items()
    ]
