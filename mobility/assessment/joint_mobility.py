r"""How far, how often and how fast single joints move: the exercise "Joint Angle Mobility"."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from pydantic import Field
from scipy.special import stdtrit

from mobility import provenance, tables
from mobility.assessment import movements as known_movements
from mobility.assessment.overhead_squat import MDC95
from mobility.assessment.reference_ranges import ReferenceRange, Sex, reference_range
from mobility.errors import BadInputError
from mobility.kinematics.angle_errors import angle_draws, legs_unseen
from mobility.kinematics.geometry import angle_between, of_single_joints
from mobility.kinematics.in_picture import guessed_landmarks, measured_angles
from mobility.kinematics.skeleton import INDEX, KEYPOINTS, SIDES, require_pose
from mobility.options import check_times, checked, likely
from mobility.provenance import cameras_of
from mobility.view import camera_view

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

Joint = Literal["ankle", "knee", "hip", "shoulder", "elbow", "trunk", "neck"]
JOINTS: tuple[Joint, ...] = ("ankle", "knee", "hip", "shoulder", "elbow")
Joints = Annotated[tuple[Joint, ...], Field(min_length=1)]
Movements = Sequence[Mapping[str, Any]]

POSTURES = ("standing", "seated", "lying", "other")

TABLE = "joint_mobility"

_CARRIED = ("source_file", "source_software", "video_sha256", "model_sha256", "method", "fps")
_ORDER = 3
"""Of the polynomial of the smoothing."""

_MORE_AT_REST = 1.5
"""A joint rests bent only where it spends so many times more frames bent than straight, or more and
the recording begins and ends so."""

_LEGS = ("ankle", "knee", "hip")

_ALONG = 60.0
"""Degrees between trunk and shank up to which a foot points to the front."""

_NEAR = 0.2
"""Share of the range within which a frame is at one of its ends."""

_LEAST_SCORED = 20.0
"""Degrees of a published range from which on a share of it says something."""

_LEAST_REPEATED = 3
"""Movements from which on their spread is told."""

_BEHIND_DEG = 5.0
"""From how far behind the trunk on a thigh or an arm is extended."""

_Z95 = 1.96

_EDGE_S = 0.15
"""Seconds from the end of what was seen within which a turn may still be going on."""

_NONE_MARKED = {
    "code": "no_movement",
    "message": "No movement: a person said that there is none.",
}

_STATISTIC = {
    "maximum": "median over the movements of the turn at the larger angle",
    "minimum": "median over the movements of the turn at the smaller angle",
    "range_of_motion": "maximum minus minimum",
    "end_of_range": "maximum of a flexion or an abduction, minus the minimum of an extension",
    "repeatability": "standard deviation over the movements of the angle at the turn",
    "detectable_change": "root of (1.25 t sqrt(2 / n) times the repeatability)² and (1.96 sqrt(2) "
    "times the standard error of measurement of the same movement filmed again)²",
    "peak_velocity": "median over the movements of the largest speed",
    "mean_velocity": "median over the movements of the mean speed from 10 to 90 % of the way out",
}


@dataclass(frozen=True)
class _Excursion:
    """One movement of one joint: away from rest and back; times in seconds, angles in degrees."""

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
    mark: int = -1  # which of the movements that a person marked

    @property
    def excursion(self) -> float:
        return abs(self.extreme - self.rest)


@dataclass(frozen=True)
class _Course:
    """What the curve of one joint and side says."""

    joint: str
    side: str
    values: Array
    sd: Array
    threshold: float
    excursions: tuple[_Excursion, ...] = ()
    highs: tuple[tuple[float, float], ...] = ()  # time and value of each turn
    lows: tuple[tuple[float, float], ...] = ()
    note: str = ""
    angle: str = ""  # of kinematics.angles
    plane: str = ""  # of the body, in which the joint moves
    added_sd: float = 0.0  # what a fit does not know of its error, degrees

    @property
    def accepted(self) -> list[_Excursion]:
        return [each for each in self.excursions if each.accepted]


@dataclass(frozen=True)
class _Mark:
    """A movement that a person marked, in seconds; of `joints`, or of all that move in it."""

    start: float
    turn: float
    end: float
    joints: tuple[str, ...] = ()

    def is_of(self, joint: str, side: str) -> bool:
        return not self.joints or f"{side} {joint}" in self.joints


def checked_movements(given: Movements, *, joints: Sequence[str] = JOINTS) -> list[dict[str, Any]]:
    """Check movements that a person marked.

    Parameters
    ----------
    given
        For each ``start``, ``bottom`` (the turn) and ``end`` in seconds, in the order of their
        starts, and ``joints``, which joints it is of ("left elbow", as a list or as one text with
        commas); without them it is of every joint that moves in it. Movements of the same joint
        do not overlap. What else a row of `Session.repetitions_table` says is left out.
    joints
        Joints that are measured.

    Returns
    -------
    list of dict
        ``start``, ``bottom``, ``end``, and ``joints`` as a list where they were given.

    Raises
    ------
    BadInputError
        A time is missing or out of order, or a joint or the name of an entry is unknown.
    """
    if isinstance(given, str | Mapping) or not isinstance(given, Sequence):
        raise BadInputError("movements: must be a list of start, bottom and end, in seconds")
    known = [f"{side} {joint}" for joint in joints for side in SIDES]
    found: list[dict[str, Any]] = []
    for number, movement in enumerate(given, start=1):
        what = f"movement {number}"
        start, bottom, end = check_times(movement, others=["joints"], what=what)
        if not (np.isfinite([start, bottom, end]).all() and 0 <= start < bottom < end):
            raise BadInputError(
                f"{what} from {start:g} over {bottom:g} to {end:g} s: must not begin before 0, "
                "turn after its start and end after its turn"
            )
        of = movement.get("joints") or []
        of = of.split(",") if isinstance(of, str) else of
        if not isinstance(of, Sequence):
            raise BadInputError(f"{what}: joints must be a list of names (got {of!r})")
        names = [str(part).strip() for part in of]
        for name in names:
            if name not in known:
                raise BadInputError(f"{what}: joint {name!r} is not measured{likely(name, known)}")
        for before, other in enumerate(found, start=1):
            if start < other["start"]:
                raise BadInputError(f"{what}: begins before movement {before}; put them in order")
            others = other.get("joints", [])
            apart = names and others and not set(names) & set(others)
            if start < other["end"] and not apart:
                raise BadInputError(
                    f"{what}: begins before movement {before} of the same joint ends"
                )
        found.append(
            {"start": start, "bottom": bottom, "end": end} | ({"joints": names} if names else {})
        )
    return found


@checked
def joint_movements(
    pose: xr.Dataset,
    angles: xr.Dataset,
    *,
    joints: Joints = JOINTS,
    movements: Movements | None = None,
) -> xr.Dataset:
    """Find the movements of a person who moves single joints there and back.

    Parameters
    ----------
    pose, angles, joints, movements
        As for :func:`joint_mobility`.

    Returns
    -------
    xarray.Dataset
        Over ``rep``, in the layout of a repetitions Dataset: ``start``, ``bottom_start``,
        ``bottom`` (the turn), ``bottom_end``, ``end`` in seconds, ``accepted``, ``complete``,
        ``start_seen``, ``end_seen``, ``reason``, ``joints`` (which joints moved, as text) and
        ``excursion`` (degrees, the largest of them). Movements of several joints at the same time
        are one. ``depth`` is NaN: it is of squats. ``standing(time)``: frames outside of all
        movements, at rest. Of `movements` each is one, with the times as they were given; one in
        which no joint moves is not accepted.

    Raises
    ------
    BadInputError
        As :func:`joint_mobility`.
    """
    marks = _marks(movements, joints, angles)
    courses = _courses(pose, angles, joints, marks)
    excursions = _in_order([each for course in courses for each in course.excursions])
    if marks is None:
        groups = _together(excursions)
        leading = [_leading(group) for group in groups]
    else:
        groups = [[each for each in excursions if each.mark == k] for k in range(len(marks))]
        leading = [_as_marked(mark, group) for mark, group in zip(marks, groups, strict=True)]
    seconds = {"units": "second"}
    time = angles["time"].to_numpy()
    at_rest = np.ones(time.size, dtype=bool)
    for each in leading:
        at_rest &= (time < each.start) | (time > each.end)

    def over(values: Sequence[Any], kind: type, **attrs: str) -> Any:
        return ("rep", np.array(values, dtype=kind), attrs)

    def named(number: int) -> str:
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
            "joints": over([named(number) for number in range(len(groups))], str),
            "standing": ("time", at_rest),
        },
        coords={"rep": np.arange(1, len(leading) + 1), "time": angles["time"].variable},
    )
    result.attrs = {key: pose.attrs[key] for key in _CARRIED if key in pose.attrs}
    result.attrs["ds_type"] = "repetitions"
    result.attrs["phase_names"] = json.dumps(["way out", "turn", "way back", "rest"])
    return provenance.with_history(
        result.assign_attrs(history=angles.attrs.get("history", "[]")),
        "joint_movements",
        {"joints": list(joints), **_given(movements, joints)},
        movements=int(sum(each.accepted for each in leading)),
        warnings=[_NONE_MARKED] if marks == [] else [],
    )


@checked
def joint_mobility(
    pose: xr.Dataset,
    angles: xr.Dataset,
    *,
    joints: Joints = JOINTS,
    sex: Sex | None = None,
    age: Annotated[float, Field(ge=0, le=120)] | None = None,
    movement: str | None = None,
    movements: Movements | None = None,
) -> xr.Dataset:
    r"""Measure range of motion, movements and speed of single joints.

    Parameters
    ----------
    pose
        Pose Dataset of the recording, in metres, y up; of a fitted body also its draws.
    angles
        What :func:`~mobility.kinematics.angles.joint_angles` made of it.
    joints
        Of "ankle", "knee", "hip", "shoulder", "elbow"; and "trunk" and "neck", which bend sideways.
    sex, age
        Of the participant (years), for the reference; None where they are not known.
    movement
        Which movement of the table ``movements`` was asked for; None: the one that is found. It
        names how to film what is refused, and where another one is found the note says so.
    movements
        Movements that a person marked, as for :func:`checked_movements`, in the place of those that
        are found in the curves.

    Returns
    -------
    xarray.Dataset
        Over (joint, side), each with its ``_sd``: ``maximum``, ``minimum``, ``range_of_motion``
        (degree), ``peak_velocity``, ``mean_velocity`` (degree/s), ``score`` (percent). Without one:
        ``movements`` (count), ``shown`` (which movement of the table ``movements``, "" where there
        is none), ``end_of_range`` (degree, with ``_sd``: its largest angle, or minus the smallest
        of an extension), ``repeatability`` (degree: standard deviation of the turns of three
        movements or more), ``detectable_change`` (degree: from which difference on to another
        recording of the same set-up it is chance in one of twenty at most; what differs between
        set-ups comes on top),
        ``reference`` (degree; NaN where there is none), ``reference_kind`` ("active",
        "weight_bearing" or ""), ``refused_share`` (of the frames), ``note`` (why a value is NaN,
        and what else a reader must know) and ``advice`` (how to film what was refused). Over
        (time, joint, side): ``angle`` and ``angle_sd``, NaN where they were refused. Over
        ``movement``: ``movement_joint``, ``movement_side``, ``movement_start``, ``movement_turn``,
        ``movement_end`` (second), ``movement_rest``, ``movement_extreme`` (degree),
        ``movement_peak_velocity``, ``movement_mean_velocity`` (degree/s), ``movement_accepted``,
        ``movement_reason`` (why not). ``posture_share(posture)``: of the frames; the attribute
        ``posture`` is the most frequent.

    Raises
    ------
    BadInputError
        An input lacks what is needed, their frames differ, or an option is wrong.

    Notes
    -----
    The largest value of a noisy curve is too large. A turn is therefore the median of the curve,
    smoothed with a Savitzky-Golay filter (order 3, 0.3 s), over the frames within 3 % of the
    excursion from its extreme, and ``maximum`` and ``minimum`` are medians over the turns. A
    joint without a movement has the extremes of the smoothed curve, and neither a range of motion
    nor a score: its range would be that of the noise.

    The ``_sd`` of an angle over n movements is sqrt(m² + s²/n), with s the SD over the movements
    and m the error that they share: of a fitted body the spread over its draws (for the range, of
    the difference within each draw), else the median error of the values (for the range, of both
    ends as if they were independent). To the former is added what the fit does not know
    (``added_sd_deg`` of the angle), at both ends of a range as if they were independent. The speed
    of a pose without draws has an error only from its spread over two movements or more. A fit
    follows movements up to about 3 Hz.

    What is measured against the vertical (the trunk) is measured from how it rests, where the
    recording begins and ends so: no camera is level.

    In a marked movement a joint is read where the person marked its turn: the median of the
    smoothed curve within 3 % of the excursion around there; it rests at the extremes between the
    marked movements. A movement whose marks are those that were found keeps what was found. A
    joint that moves less than its least excursion, or than the error (one standard deviation) of a
    value, did not move.

    ``detectable_change`` is sqrt(d² + (1.96 sqrt(2) SEM)²): d by how much medians of n turns with
    the spread s differ, 1.25 t sqrt(2/n) s, with Student's t of 2 (n - 1) degrees of freedom; SEM,
    the standard error of measurement of what another recording changes for all its turns, from
    movements that were filmed twice (table ``joint_mobility``). What is wrong in every recording of
    a set-up cancels in a change and is in neither.

    ``score`` = 100 clip(maximum / R, 0, 1), with R the mean active range of people of this sex and
    age, for the ankle of a foot that stands the mean of the weight-bearing lunge; NaN where no
    source of such a motion measured such people, as the note says. An examiner moves a joint
    farther: passive ranges do not serve.

    References
    ----------
    Boone & Azen 1979, J Bone Joint Surg Am 61:756; Zwerus et al. 2019, Shoulder Elbow 11:215;
    Calatayud et al. 2015, Int J Sports Phys Ther 10:197; Savitzky & Golay 1964, Anal Chem 36:1627;
    Weir 2005, J Strength Cond Res 19:231.
    """
    table = tables.load(TABLE)
    if movement is not None:
        wanted = known_movements.movement(movement)["joint"]
        if wanted not in joints:
            raise BadInputError(
                f"joint_mobility: {movement} is of the {wanted}, which is not among the joints"
            )
    marks = _marks(movements, joints, angles)
    courses = _courses(pose, angles, joints, marks, movement)
    points = _points(pose)
    draws = _draws(pose, angles)
    shape = (len(joints), len(SIDES))
    reach = ("maximum", "minimum", "end_of_range", "range_of_motion")
    measured = (*reach, "peak_velocity", "mean_velocity", "score")
    bare = ("repeatability", "detectable_change")
    numbers = {name: np.full(shape, np.nan) for name in (*measured, *bare)}
    numbers |= {f"{name}_sd": np.full(shape, np.nan) for name in measured}
    numbers |= {"reference": np.full(shape, np.nan), "refused_share": np.ones(shape)}
    counts = np.zeros(shape, dtype=int)
    notes, kinds, names, advice = (np.full(shape, "", dtype=object) for _ in range(4))
    curves = np.full((angles.sizes["time"], *shape), np.nan)
    curves_sd = curves.copy()
    references: dict[str, dict[str, Any]] = {}
    for course in courses:
        place = joints.index(course.joint), SIDES.index(course.side)
        curves[:, *place], curves_sd[:, *place] = course.values, course.sd
        numbers["refused_share"][place] = float(np.isnan(course.values).mean())
        counts[place] = len(course.accepted)
        found = _measured(course, draws)
        borne = course.joint == "ankle" and _stands(course, points, angles["time"].to_numpy())
        shown = _shown(course, borne=borne)
        names[place] = shown
        repeated, why_not = _repeatability(course)
        found |= repeated
        if shown:
            found |= _end_of_range(shown, found)
        if np.isnan(course.values).all():
            own = known_movements.movements_of(course.joint)
            advice[place] = known_movements.refusal_advice(movement if movement in own else own[0])
        reference = _reference(course, shown, sex, age)
        remarks = [course.note] if course.note else []
        if shown and movement in known_movements.movements_of(course.joint) and shown != movement:
            told = [name.replace("_", " ") for name in (shown, str(movement))]
            remarks.append(f"{told[0]} was shown, not {told[1]}")
        if not np.isnan(course.values).all():
            if not course.accepted:
                cut = [each.reason for each in course.excursions]
                still = f"moved by less than {course.threshold:.0f} degrees"
                if marks is not None:
                    still += " in a movement that was marked by hand"
                remarks.append("; ".join(dict.fromkeys(cut)) or still)
            if course.accepted and not (course.highs and course.lows):
                ends = "smallest" if course.highs else "largest"
                remarks.append(f"the {ends} angle was refused or missing in all movements")
            if reference is not None:
                kinds[place] = reference.kind
                numbers["reference"][place] = reference.mean
                references[f"{course.side}_{course.joint}"] = _described(reference)
                score, score_sd, why = _score(found, reference, moved=bool(course.accepted))
                found |= {"score": score, "score_sd": score_sd}
                remarks += [why] if why else []
                compared = table["joints"][course.joint].get("compared")
                of_it = course.angle == table["joints"][course.joint]["angle"]
                remarks += [compared] if course.accepted and compared and of_it else []
            elif course.accepted:
                remarks.append("no published active range of this movement is known here")
        remarks += [why_not] if why_not else []
        for name, value in found.items():
            numbers[name][place] = value
        notes[place] = "; ".join(remarks)
    postures, posture = _postures(points)
    variables = _variables(numbers, table)
    dims = ("joint", "side")
    variables["movements"] = (dims, counts, {"units": "1", "long_name": "number of movements"})
    variables["reference_kind"] = (dims, kinds.astype(str), {"long_name": "kind of the reference"})
    variables["shown"] = (dims, names.astype(str), {"long_name": "movement that was shown"})
    variables["advice"] = (dims, advice.astype(str), {"long_name": "how to film what was refused"})
    variables["note"] = (dims, notes.astype(str), {"long_name": "what must be known of the values"})
    over_time = ("time", *dims)
    degree = {"units": "degree"}
    variables["angle"] = (over_time, curves, {**degree, "long_name": "angle of the joint"})
    variables["angle_sd"] = (
        over_time,
        curves_sd,
        {**degree, "long_name": "standard deviation of the error of the angle"},
    )
    share = [float((postures == name).mean()) for name in POSTURES]
    variables["posture_share"] = ("posture", share, {"units": "1", "long_name": "share of frames"})
    variables |= _movement_variables([each for course in courses for each in course.excursions])
    result = xr.Dataset(
        variables,
        coords={
            "joint": list(joints),
            "side": list(SIDES),
            "time": angles["time"].variable,
            "posture": list(POSTURES),
        },
    )
    result.attrs = {key: pose.attrs[key] for key in _CARRIED if key in pose.attrs}
    result.attrs |= {
        "ds_type": "joint_mobility",
        "posture": posture,
        "references": json.dumps(references, sort_keys=True),
    }
    return provenance.with_history(
        result.assign_attrs(history=angles.attrs.get("history", "[]")),
        "joint_mobility",
        {"joints": list(joints), "sex": sex, "age": age}
        | ({} if movement is None else {"movement": movement})
        | _given(movements, joints),
        movements=int(counts.sum()),
        posture=posture,
        warnings=_warnings(courses) + _upper_body_only(pose) + _others(movement, names),
    )


def _others(movement: str | None, shown: NDArray[Any]) -> list[dict[str, str]]:
    """Warn where other movements of the joint were shown than the one that was asked for."""
    if movement is None:
        return []
    own = set(known_movements.movements_of(known_movements.movement(movement)["joint"]))
    others = sorted(own & set(shown.ravel()) - {movement})
    if not others or movement in shown:
        return []
    told = " and ".join(name.replace("_", " ") for name in others)
    text = f"{told.capitalize()} was shown, not {movement.replace('_', ' ')}."
    return [{"code": "other_movement", "message": text}]


def _draws(pose: xr.Dataset, angles: xr.Dataset) -> xr.Dataset | None:
    """Deviations of the draws of a fit, made as the angles were; None without a fit."""
    if "position_draws" not in pose:
        return None
    draws = angle_draws(pose)
    flat = [
        str(name)
        for name, values in angles.data_vars.items()
        if any(f"in_picture_{side}" in values.attrs for side in SIDES)
    ]
    if flat:
        found = measured_angles(pose)
        draws = draws.assign({name: found[f"{name}_draws"] for name in flat})
    whole = {
        str(name): values.to_numpy() for name, values in draws.items() if "side" not in values.dims
    }
    apart = {
        name: (("draw", "fit_time", "side"), values)
        for name, values in of_single_joints(whole).items()
        if name not in draws
    }
    return draws.assign(apart)


def single_joint_limits() -> dict[str, float]:
    """Largest expected error with which angles are given where single joints move, degrees.

    For :func:`~mobility.kinematics.angles.joint_angles`.
    """
    table = tables.load(TABLE)["joints"]
    return {
        entry[name]: float(entry["largest_sd_deg"])
        for entry in table.values()
        for name in ("angle", "frontal")
        if name in entry
    }


def feet_may_stay(pose: xr.Dataset) -> bool:
    """Whether a fit should look whether the feet stay: only of someone who stands.

    Parameters
    ----------
    pose
        A pose, not fitted yet.

    Returns
    -------
    bool
        False (seated, lying, or not to be told): the body is to be fitted without planted feet,
        which would also say that the centre of mass is over them.
    """
    require_pose(pose, what="feet_may_stay")
    return _postures(_points(pose))[1] == "standing"


def _variables(numbers: dict[str, Array], table: dict[str, Any]) -> dict[str, Any]:
    """Give the numbers over (joint, side) their units and names."""
    units = {"peak_velocity": "degree/s", "mean_velocity": "degree/s", "score": "percent"}
    units |= {"refused_share": "1"}
    found = {}
    for name, values in numbers.items():
        base = name.removesuffix("_sd")
        attrs = {"units": units.get(base, "degree")}
        text = base.replace("_", " ")
        if name.endswith("_sd"):
            attrs["long_name"] = f"standard deviation of the error of {text}"
        else:
            attrs["long_name"] = text
            if base in _STATISTIC:
                attrs["statistic"] = _STATISTIC[base]
        if name == "score":
            attrs["reference"] = table["score"]["source"]
        found[name] = (("joint", "side"), values, attrs)
    return found


def _movement_variables(excursions: Sequence[_Excursion]) -> dict[str, Any]:
    ordered = _in_order(excursions)
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
    return {
        name: ("movement", np.array([getattr(each, key) for each in ordered], dtype=kind), attrs)
        for name, (key, kind, attrs) in columns.items()
    }


def _warnings(courses: Sequence[_Course]) -> list[dict[str, str]]:
    sides: dict[tuple[str, str], list[str]] = {}
    for course in courses:
        if np.isnan(course.values).all():
            sides.setdefault((course.joint, course.note), []).append(course.side)
    return [
        {
            "code": "joint_refused",
            "message": f"{' and '.join(which).capitalize()} {joint} "
            f"{'is' if len(which) == 1 else 'are'} not measured: {note}.",
        }
        for (joint, note), which in sides.items()
    ]


def _upper_body_only(pose: xr.Dataset) -> list[dict[str, str]]:
    """Warn where the knees are hardly ever in the picture."""
    if not legs_unseen(pose):
        return []
    text = (
        "Only the upper body is in the picture: nothing tells how large the body is, and arms that "
        "do not move in the plane of the picture are measured with large errors."
    )
    return [{"code": "upper_body_only", "message": text}]


def _points(pose: xr.Dataset) -> Array:
    """Positions (time, 33, 3), metres, y up."""
    position = pose["position"]
    if "individual" in position.dims:
        position = position.isel(individual=0, drop=True)
    ordered = position.sel(space=["x", "y", "z"], keypoint=list(KEYPOINTS))
    points: Array = ordered.transpose("time", "keypoint", "space").to_numpy().astype(np.float64)
    return points


def _given(movements: Movements | None, joints: Sequence[str]) -> dict[str, Any]:
    """Name marked movements for the history."""
    return {} if movements is None else {"movements": checked_movements(movements, joints=joints)}


def _marks(
    movements: Movements | None, joints: Sequence[str], angles: xr.Dataset
) -> list[_Mark] | None:
    """Take marked movements, which must lie in the recording; None where none were given."""
    if movements is None:
        return None
    time = angles["time"].to_numpy()
    marks = []
    for number, given in enumerate(checked_movements(movements, joints=joints), start=1):
        if given["start"] < time[0] - 1e-6 or given["end"] > time[-1] + 1e-6:
            raise BadInputError(
                f"movement {number}: outside the recording, which lasts from {time[0]:.3f} to "
                f"{time[-1]:.3f} s"
            )
        of = tuple(given.get("joints", ()))
        marks.append(_Mark(given["start"], given["bottom"], given["end"], of))
    return marks


def _courses(
    pose: xr.Dataset,
    angles: xr.Dataset,
    joints: Sequence[str],
    marks: Sequence[_Mark] | None = None,
    movement: str | None = None,
) -> list[_Course]:
    """Curve of each joint and side, what of it was refused and why, and its movements."""
    require_pose(pose, what="joint_mobility")
    table = tables.load(TABLE)
    wanted = [table["joints"][joint]["angle"] for joint in joints]
    absent = [name for angle in wanted for name in (angle, f"{angle}_sd") if name not in angles]
    if absent:
        raise BadInputError(
            f"joint_mobility: the angles have no {', '.join(absent)}; make them with joint_angles"
        )
    time = angles["time"].to_numpy().astype(np.float64)
    if not np.array_equal(pose["time"].to_numpy(), angles["time"].to_numpy()):
        raise BadInputError("joint_mobility: the pose and the angles have different frames")
    if len(set(joints)) < len(joints):
        raise BadInputError(f"joint_mobility: a joint stands twice in {', '.join(joints)}")
    points = _points(pose)
    postures, _ = _postures(points)
    steep = _hip_line(points) > table["hip_line_deg"]["value"]
    outside, hidden = _unseen(pose)
    exchanged = _exchanged(pose, points, hidden)
    azimuth = camera_view(pose).azimuth_deg if len(cameras_of(pose)) < 2 else np.nan
    found = []
    for joint in joints:
        entry = table["joints"][joint]
        for k, side in enumerate(SIDES):
            plane = str(angles[entry["angle"]].attrs.get(f"plane_{side}", ""))
            name = entry.get(plane, entry["angle"])
            angle = angles[name].sel(side=side)
            values = angle.to_numpy().astype(np.float64)
            sd = angles[f"{name}_sd"].sel(side=side).to_numpy().astype(np.float64)
            reasons = []
            other, beside = entry.get("other_side", []), _beside(entry, azimuth)
            marks_seen = [*entry["landmarks"], *other]
            columns = [INDEX[f"{side}_{name}"] for name in entry["landmarks"]]
            columns += [INDEX[f"{SIDES[1 - k]}_{name}"] for name in other]
            beyond = outside[:, columns]
            beyond[:, : len(entry["landmarks"])] &= ~_guessed(pose, angle, entry, side)
            refuse: Mask = np.any(beyond, axis=1)
            if beside:
                reasons.append(beside)
                refuse = np.ones_like(refuse)
            elif refuse.mean() > table["seen"]["outside_share"]:
                names = [
                    mark
                    for mark, share in zip(marks_seen, beyond.mean(axis=0), strict=True)
                    if share > table["seen"]["outside_share"]
                ] or marks_seen
                names = list(dict.fromkeys(names))
                reasons.append(f"{_listed(names)} outside the picture")
                refuse = np.ones_like(refuse)
            elif hidden[:, columns].mean(axis=0).max() > table["seen"]["hidden_share"]:
                share = hidden[:, columns].mean(axis=0)
                mark = marks_seen[int(share.argmax())].replace("foot_index", "toe")
                reasons.append(f"{mark} hidden from the camera in {_frames(share.max())}")
                refuse = np.ones_like(refuse)
            if exchanged and joint in _LEGS and not refuse.all():
                reasons.append(exchanged)
                refuse = np.ones_like(refuse)
            in_the_picture = f"in_picture_{side}" in angle.attrs and not entry.get("upright")
            if entry["needs_frame"] and not in_the_picture:
                lying = postures == "lying"
                if lying.any():
                    reasons.append(
                        f"lying in {_frames(lying.mean())}: no sagittal plane is defined"
                    )
                elif steep.any():
                    reasons.append(
                        f"one hip far above the other in {_frames(steep.mean())}: no sagittal "
                        "plane is defined"
                    )
                refuse = refuse | lying | steep
            low, high = entry["possible_deg"]
            impossible = (values < low) | (values > high)
            refuse = refuse | impossible
            if impossible.mean() > table["seen"]["impossible_share"]:
                reasons.append(
                    f"beyond what a {joint} can do in {_frames(impossible.mean())}: the landmarks "
                    "are not on the limb"
                )
                refuse = np.ones_like(refuse)
            if (apart := angle.attrs.get(f"disagree_{side}", 0.0)) > table["seen"][
                "disagree_share"
            ]:
                reasons.append(f"picture and fitted body contradict each other in {_frames(apart)}")
            unsure = np.isnan(values).any() and not refuse.all()
            if unsure and (why := angle.attrs.get("refused")):
                reasons.append(_too_uncertain(str(why)))
            values, sd = np.where(refuse, np.nan, values), np.where(refuse, np.nan, sd)
            if entry.get("upright") and (level := _stood(values, time, table["stood"])):
                values = values - level
                if abs(level) >= table["stood"]["told_deg"]:
                    reasons.append(
                        f"zero is how the {joint} rests, {abs(level):.0f} degrees aslant in the "
                        "picture: the camera is not level, or the person leans"
                    )
            if np.isnan(values).all() and not reasons:
                elsewhere = plane and plane not in _planes(joint)
                moves = f"moves in the {plane} plane of the body, where it is not measured"
                reasons.append(moves if elsewhere else "landmarks missing in all frames")
            course = _Course(
                *(joint, side, values, sd, np.nan),
                note="; ".join(reasons),
                angle=name,
                plane=plane,
                added_sd=float(angle.attrs.get("added_sd_deg", 0.0)),
            )
            found.append(_moved(course, time, table, _end_wanted(joint, movement)))
    found = _resting(found, table["movement"])
    if marks is None:
        return found
    groups = _together([each for course in found for each in course.excursions])
    return [_by_hand(course, time, marks, groups, table) for course in found]


def _stood(values: Array, time: Array, rules: Mapping[str, Any]) -> float:
    """Angle against the vertical at rest, where a recording begins and ends with the same one.

    No camera is level, and who bends to the side starts upright. Zero where rest is not known: it
    is then the vertical of the picture.
    """
    first = time <= time[0] + rules["seconds"]
    last = time >= time[-1] - rules["seconds"]
    ends = []
    for part in (values[first], values[last]):
        known = part[np.isfinite(part)]
        if 2 * known.size < part.size or np.ptp(known) > rules["apart_deg"]:
            return 0.0
        ends.append(float(np.median(known)))
    level = float(np.mean(ends))
    rests = abs(ends[1] - ends[0]) <= rules["apart_deg"] and abs(level) <= rules["most_deg"]
    return level if rests else 0.0


def _beside(entry: Mapping[str, Any], azimuth: float) -> str:
    """Say how far the camera stands beside the view that a joint needs; empty where it is near."""
    wanted = entry.get("camera")
    if wanted is None or not np.isfinite(azimuth):
        return ""
    ahead = abs((azimuth + 180.0) % 360.0 - 180.0)
    off = min({"front": ahead, "back": 180.0 - ahead}[view] for view in wanted["views"])
    if off <= wanted["beside_deg"]:
        return ""
    where = {"front": "straight in front", "back": "straight behind"}
    told = " or ".join(where[view] for view in wanted["views"])
    return f"the camera stands {off:.0f}° off {told} (at most {wanted['beside_deg']}°)"


def _end_wanted(joint: str, movement: str | None) -> str | None:
    """End of the angle of a joint at which a movement that was asked for turns."""
    if movement is None or movement not in known_movements.movements_of(joint):
        return None
    return str(known_movements.movement(movement)["end"])


def _too_uncertain(reason: str) -> str:
    """Say why an angle was refused in part, with halves of 95 % intervals as everywhere else."""
    found = re.search(r"\bsd (?:(\d+) deg|without a bound) \(limit ([\d.]+)\)", reason)
    if found is None:
        return reason
    sd, limit = found.groups()
    most = f"at most ± {_Z95 * float(limit):.0f}° is reported"
    return f"too uncertain in part ({f'± {_Z95 * float(sd):.0f}°; ' if sd else ''}{most})"


def _frames(share: float) -> str:
    """Say in which part of the frames something is so."""
    return "all frames" if share > 0.995 else f"{100 * share:.0f} % of the frames"


def _listed(names: Sequence[str]) -> str:
    return " and ".join(", ".join(names).replace("foot_index", "toe").rsplit(", ", 1))


def _unseen(pose: xr.Dataset) -> tuple[Mask, Mask]:
    """Landmarks outside the picture, and landmarks hidden from the camera, (time, 33)."""
    table = tables.load(TABLE)["seen"]
    shape = pose.sizes["time"], len(KEYPOINTS)
    outside: Mask = np.zeros(shape, dtype=bool)
    hidden: Mask = np.zeros(shape, dtype=bool)

    def values(name: str, *dims: str) -> Array:
        variable = pose[name]
        if "individual" in variable.dims:
            variable = variable.isel(individual=0, drop=True)
        ordered: Array = variable.sel(keypoint=list(KEYPOINTS)).transpose(*dims).to_numpy()
        return ordered

    if "image_position" in pose and {"image_width", "image_height"} <= set(pose.attrs):
        marks = values("image_position", "time", "keypoint", "pixel")
        size = np.array([pose.attrs["image_width"], pose.attrs["image_height"]], dtype=float)
        with np.errstate(invalid="ignore"):
            outside = np.asarray(((marks < 0) | (marks > size)).any(axis=-1))
    if "confidence" in pose:
        with np.errstate(invalid="ignore"):
            hidden = values("confidence", "time", "keypoint") < table["visibility"]
    return outside, hidden


def _guessed(pose: xr.Dataset, angle: xr.DataArray, entry: Mapping[str, Any], side: str) -> Mask:
    """Tell which landmarks may be outside the picture, since the pose model is sure of them."""
    found: Mask = np.zeros((pose.sizes["time"], len(entry["landmarks"])), dtype=bool)
    if f"in_picture_{side}" not in angle.attrs or "confidence" not in pose:
        return found
    sure = pose["confidence"]
    if "individual" in sure.dims:
        sure = sure.isel(individual=0, drop=True)
    for name, least in guessed_landmarks(entry["angle"]).items():
        found[:, entry["landmarks"].index(name)] = sure.sel(keypoint=f"{side}_{name}") >= least
    return found


def _exchanged(pose: xr.Dataset, points: Array, hidden: Mask) -> str:
    """Say why one leg may be taken for the other; empty where it is not to be feared.

    From the side the far leg is behind the near one. Where the far leg seems to move more than the
    near one, and comes into sight in a part of the frames only, the pose model cannot tell which
    leg moves: it was seen to call the raised near leg the far one.
    """
    limits = tables.load(TABLE)["legs_told_apart"]
    lost = float(pose.attrs.get("lost_share", 0.0))
    if lost > limits["lost_share"]:
        return (
            f"in {lost:.0%} of the frames nobody is found, or left and right are not told apart: "
            "film with head and feet in the picture"
        )
    if (times := int(pose.attrs.get("legs_exchanged", 0))) > 0:
        return (
            f"the legs change places in the picture {times} times, and nothing tells which is "
            "which: film from obliquely in front"
        )
    if _toes_ahead(points) < -limits["toes_back"]:
        return (
            "left and right are exchanged, or feet not found: the toes point backwards; film "
            "with head and feet in the picture"
        )
    azimuth = camera_view(pose).azimuth_deg
    if not (abs(abs(azimuth) - 90) <= limits["side_deg"]):
        return ""
    near = "right" if azimuth > 0 else "left"
    far = SIDES[1 - SIDES.index(near)]
    in_sight = 1 - float(hidden[:, INDEX[f"{far}_knee"]].mean())
    moves = {side: _leg_range(points, side) for side in SIDES}
    least = limits["least_share"]
    if not least < in_sight < 1 - least or moves[near] > limits["near_to_far"] * moves[far]:
        return ""
    return (
        "one leg may be taken for the other: the far one seems to move, and is in sight in "
        f"{_frames(in_sight)}; film from obliquely in front"
    )


def _toes_ahead(points: Array) -> float:
    """Cosine between feet and the front of the subject, while the shank goes on from the trunk.

    The median over such frames, of the foot that points more to the front; NaN without any.
    """
    trunk = np.zeros_like(points[:, 0])
    for side in SIDES:
        trunk += points[:, INDEX[f"{side}_shoulder"]] - points[:, INDEX[f"{side}_hip"]]
    ahead = np.cross(trunk, points[:, INDEX["right_hip"]] - points[:, INDEX["left_hip"]])
    found = []
    for side in SIDES:
        shank = points[:, INDEX[f"{side}_ankle"]] - points[:, INDEX[f"{side}_knee"]]
        foot = points[:, INDEX[f"{side}_foot_index"]] - points[:, INDEX[f"{side}_heel"]]
        size = np.linalg.norm(foot, axis=-1) * np.linalg.norm(ahead, axis=-1)
        cosine = (foot * ahead).sum(axis=-1) / np.where(size > 0, size, np.nan)
        along = angle_between(-trunk, shank) < _ALONG
        found.append(cosine[along & np.isfinite(cosine)])
    return max(float(np.median(each)) if each.size else np.nan for each in found)


def _leg_range(points: Array, side: str) -> float:
    """How far thigh or knee turn (P95 - P5), degrees."""
    down = np.array([0.0, -1.0, 0.0])
    thigh = points[:, INDEX[f"{side}_knee"]] - points[:, INDEX[f"{side}_hip"]]
    shank = points[:, INDEX[f"{side}_ankle"]] - points[:, INDEX[f"{side}_knee"]]
    ranges = []
    for turned in (angle_between(thigh, down), angle_between(thigh, shank)):
        known = turned[np.isfinite(turned)]
        ranges.append(float(np.ptp(np.percentile(known, [5, 95]))) if known.size else 0.0)
    return max(ranges)


def _hip_line(points: Array) -> Array:
    """Angle of the hip line from the horizontal, degrees."""
    across = points[:, INDEX["right_hip"]] - points[:, INDEX["left_hip"]]
    angle: Array = np.degrees(
        np.arctan2(np.abs(across[:, 1]), np.hypot(across[:, 0], across[:, 2]))
    )
    return angle


def _postures(points: Array) -> tuple[NDArray[np.str_], str]:
    """Posture of each frame, and the most frequent one; "other" where it cannot be told."""
    limits = tables.load(TABLE)["posture"]
    up = np.array([0.0, 1.0, 0.0])

    def middle(name: str) -> Array:
        mean: Array = (points[:, INDEX[f"left_{name}"]] + points[:, INDEX[f"right_{name}"]]) / 2
        return mean

    trunk = angle_between(middle("shoulder") - middle("hip"), up)
    thighs = np.stack(
        [
            angle_between(points[:, INDEX[f"{s}_knee"]] - points[:, INDEX[f"{s}_hip"]], -up)
            for s in SIDES
        ]
    )
    with np.errstate(invalid="ignore"):
        hangs = np.where(np.isnan(thighs), np.inf, thighs).min(axis=0)
        known = np.isfinite(hangs)
        upright = trunk < limits["upright_deg"]
        found = np.full(len(points), "other", dtype="<U8")
        found[upright & (hangs < limits["thigh_deg"])] = "standing"
        found[upright & known & (hangs >= limits["thigh_deg"])] = "seated"
        found[(trunk > limits["lying_deg"]) & ~(hangs < limits["thigh_deg"])] = "lying"
    names, counts = np.unique(found, return_counts=True)
    return found, str(names[counts.argmax()]) if names.size else "other"


def _least_excursion(course: _Course, table: dict[str, Any]) -> float:
    """Excursion from which on a joint moved, however far it moves otherwise, degrees."""
    sd = course.sd[np.isfinite(course.sd)]
    error = table["movement"]["error_factor"] * float(np.median(sd)) if sd.size else 0.0
    return max(float(table["joints"][course.joint]["prominence_deg"]), error)


def _moved(
    course: _Course, time: Array, table: dict[str, Any], wanted: str | None = None
) -> _Course:
    """Find the turns and the movements of a curve, to the end of it that was asked for."""
    rules = table["movement"]
    values = _one_way(course, table)
    known = np.isfinite(values)
    least = _least_excursion(course, table)
    if known.sum() < 2:
        return replace(course, threshold=least)
    low, high = np.percentile(values[known], [5, 95])
    threshold = max(least, rules["range_share"] * (high - low))
    near = _NEAR * (high - low)
    # What was refused within the recording lies between its neighbours.
    bridged = np.interp(time, time[known], values[known])
    at_low = int((bridged <= low + near).sum())
    at_high = int((bridged >= high - near).sum())
    ends = bridged[[0, -1]]
    if wanted is not None:
        rests_high = wanted == "smallest"
    elif (ends <= low + near).all():
        rests_high = False
    else:
        rests_high = at_high > (1.0 if (ends >= high - near).all() else _MORE_AT_REST) * at_low
    excursions: list[_Excursion] = []
    highs: list[tuple[float, float]] = []
    lows: list[tuple[float, float]] = []
    for piece in _pieces(time, known, rules["longest_gap_s"]):
        curve = _Curve.of(time[piece], values[piece], rules)
        if curve is None:
            continue
        turns = _turning_points(curve.smooth, threshold)
        spans = [_turn(curve, turns, i, rules["turn_share"]) for i in range(len(turns))]
        rising = len(turns) > 1 and curve.smooth[turns[1]] > curve.smooth[turns[0]]
        for i, span in enumerate(spans):
            is_high = (i % 2 == 1) == rising
            if is_high == rests_high:
                # Where values were refused next to it, the joint may have gone on to its rest.
                at = float(curve.time[turns[i]])
                cut = _near(at, curve.time[0], time[0]) or _near(at, curve.time[-1], time[-1])
                if not (cut or _passing(span, curve, at)):
                    (highs if is_high else lows).append((at, span.value))
                continue
            each = _possible(_excursion(course, curve, spans, i, rules), rules)
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


def _one_way(course: _Course, table: dict[str, Any]) -> Array:
    """Values in which movements are looked for: those to the other side are the other side's."""
    if table["joints"][course.joint].get("from_zero"):
        return np.maximum(course.values, 0.0)
    return course.values


def _near(at: float, end: float, end_of_all: float) -> bool:
    """Whether a place is at the end of a piece that is not that of the recording."""
    return abs(at - end) < _EDGE_S and abs(end - end_of_all) > _EDGE_S


def _passing(span: _Span, curve: _Curve, at: float) -> bool:
    """Whether a joint was on its way where the recording begins or ends, and not at rest."""
    edge = min(at - curve.time[0], curve.time[-1] - at) < _EDGE_S
    return bool(edge and curve.time[span.last] - curve.time[span.first] < _EDGE_S)


def _possible(each: _Excursion, rules: Mapping[str, Any]) -> _Excursion:
    """Refuse what no limb does that shows how far it moves: a glitch of the landmarks."""
    reason = ""
    if each.peak_velocity > rules["fastest_deg_s"]:
        reason = f"{each.peak_velocity:.0f} degrees/s: too fast to show how far it goes"
    elif each.start_seen and each.end_seen and each.end - each.start < rules["briefest_s"]:
        reason = (
            f"there and back in {each.end - each.start:.1f} s: too quick to show how far it goes"
        )
    return replace(each, accepted=False, reason=reason) if each.accepted and reason else each


def _resting(courses: Sequence[_Course], rules: Mapping[str, Any]) -> list[_Course]:
    """Refuse what a side seems to do while the other one moves much farther: it rests."""
    found = []
    for course in courses:
        others = [
            each
            for other in courses
            if other.joint == course.joint and other.side != course.side
            for each in other.accepted
        ]

        sway = _local_sd(course)

        def rests(
            each: _Excursion, others: Sequence[_Excursion] = others, sway: float = sway
        ) -> bool:
            return each.excursion < rules["beside_errors"] * sway and any(
                each.excursion < rules["beside_share"] * other.excursion
                and min(each.end, other.end) > max(each.start, other.start)
                for other in others
            )

        why = "rests while the other side moves"
        excursions = tuple(
            replace(each, accepted=False, reason=why) if each.accepted and rests(each) else each
            for each in course.excursions
        )
        turned = {each.turn for each in excursions if each.reason == why}
        found.append(
            replace(
                course,
                excursions=excursions,
                highs=tuple(pair for pair in course.highs if pair[0] not in turned),
                lows=tuple(pair for pair in course.lows if pair[0] not in turned),
            )
        )
    return found


def _pieces(time: Array, known: Mask, longest_gap: float) -> list[Mask]:
    """Known frames, apart where a gap is longer than can be bridged."""
    rows = np.flatnonzero(known)
    breaks = np.flatnonzero(np.diff(time[rows]) > longest_gap + np.median(np.diff(time))) + 1
    pieces = []
    for part in np.split(rows, breaks):
        mask = np.zeros(len(known), dtype=bool)
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
    """Places of alternating extremes that differ by the threshold or more; none if none does."""
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
    """Frames of a turn, and its value."""

    first: int
    last: int
    value: float
    place: int


def _turn(curve: _Curve, turns: Sequence[int], i: int, share: float) -> _Span:
    """Frames around a turn that are within a share of the smaller neighbouring excursion."""
    place = turns[i]
    beside = [turns[k] for k in (i - 1, i + 1) if 0 <= k < len(turns)]
    size = min(abs(curve.smooth[place] - curve.smooth[k]) for k in beside)
    return _plateau(curve, place, share * size, 0, len(curve.smooth) - 1)


def _excursion(
    course: _Course, curve: _Curve, spans: Sequence[_Span], i: int, rules: dict[str, Any]
) -> _Excursion:
    span = spans[i]
    before, after = i > 0, i + 1 < len(spans)
    resting = [spans[k].value for k in (i - 1, i + 1) if 0 <= k < len(spans)]
    rest = float(np.mean(resting))
    away = np.abs(curve.smooth - rest) / abs(span.value - rest)
    first = spans[i - 1].last if before else 0
    last = spans[i + 1].first if after else len(away) - 1
    edge = rules["edge_share"]
    out = first + np.flatnonzero(away[first : span.place + 1] <= edge)
    back = span.place + np.flatnonzero(away[span.place : last + 1] <= edge)
    start = int(out[-1]) if out.size else first
    end = int(back[0]) if back.size else last
    step = float(curve.time[1] - curve.time[0])
    # A turn at the very end of what was seen may not be the turn yet.
    going = (not after and len(away) - 1 - span.place < _EDGE_S / step) or (
        not before and span.place < _EDGE_S / step
    )
    return replace(
        _read(course, curve, span, rest, (start, end), (before, after), rules),
        accepted=not going,
        reason="cut off before the turn was seen" if going else "",
    )


def _read(
    course: _Course,
    curve: _Curve,
    span: _Span,
    rest: float,
    ends: tuple[int, int],
    seen: tuple[bool, bool],
    rules: dict[str, Any],
) -> _Excursion:
    """Describe the movement between two frames of a curve that turns at `span`."""
    start, end = ends
    away = np.abs(curve.smooth - rest) / abs(span.value - rest)
    speeds = np.abs(curve.slope[start : end + 1])
    fastest = start + int(speeds.argmax())
    mean = np.nan
    if seen[0]:
        low, high = (
            curve.time[start + int(np.argmax(away[start : span.place + 1] >= part))]
            for part in rules["outward_shares"]
        )
        covered = rules["outward_shares"][1] - rules["outward_shares"][0]
        if high > low:
            mean = covered * abs(span.value - rest) / float(high - low)
    return _Excursion(
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
        start_seen=seen[0],
        end_seen=seen[1],
    )


def _leading(group: Sequence[_Excursion]) -> _Excursion:
    """Of what moves at the same time, the one that moves most."""
    return max(group, key=lambda each: (each.accepted, each.excursion))


def _as_marked(mark: _Mark, group: Sequence[_Excursion]) -> _Excursion:
    """Give what moves most in a marked movement the times of the marks."""
    if not group:
        return _Excursion(
            *("", "", mark.start, mark.turn, mark.turn, mark.turn, mark.end),
            *(np.nan, np.nan, np.nan, np.nan, np.nan),
            *(False, True, True, "no joint moves far enough there"),
        )
    each = _leading(group)
    return replace(
        each,
        start=mark.start,
        turn_start=min(max(each.turn_start, mark.start), mark.turn),
        turn=mark.turn,
        turn_end=max(min(each.turn_end, mark.end), mark.turn),
        end=mark.end,
    )


def _by_hand(
    course: _Course,
    time: Array,
    marks: Sequence[_Mark],
    groups: Sequence[Sequence[_Excursion]],
    table: dict[str, Any],
) -> _Course:
    """Take the movements of a curve from the marks of a person, in the place of what was found."""
    rules = table["movement"]
    least = _least_excursion(course, table)
    known = np.isfinite(course.values)
    curves: list[_Curve] = []
    if known.sum() > 1:
        pieces = _pieces(time, known, rules["longest_gap_s"])
        values = _one_way(course, table)
        made = (_Curve.of(time[piece], values[piece], rules) for piece in pieces)
        curves = [curve for curve in made if curve is not None]
    frame = float(np.median(np.diff(time))) if time.size > 1 else 0.0
    excursions: list[_Excursion] = []
    rests: dict[float, float] = {}
    missing: list[str] = []
    own = [k for k, mark in enumerate(marks) if mark.is_of(course.joint, course.side)]
    for place, k in enumerate(own):
        mark = marks[k]
        same = _same_marks(mark, groups, frame / 2)
        found = [e for e in same if (e.joint, e.side) == (course.joint, course.side)]
        if same and not found and not mark.joints:
            continue
        curve = next((c for c in curves if c.time[0] <= mark.turn <= c.time[-1]), None)
        if curve is None:
            if mark.joints and known.any():
                missing.append(f"{mark.turn:.2f} s")
            continue
        before = marks[own[place - 1]].end if place else -np.inf
        after = marks[own[place + 1]].start if place + 1 < len(own) else np.inf
        each, beside = _read_at(course, curve, mark, (before, after), frame, rules)
        if found:
            each = replace(found[0], accepted=True, reason="")
        elif each is None or each.excursion < least:
            if mark.joints and each is not None:
                why = f"moves by less than {least:.0f} degrees between the marks"
                excursions.append(replace(each, accepted=False, reason=why, mark=k))
            continue
        excursions.append(replace(each, mark=k))
        # Where values were refused next to it, the joint may have gone on to its rest.
        ends = ((curve.time[0], time[0]), (curve.time[-1], time[-1]))
        rests |= {t: value for t, value in beside if not any(_near(t, *end) for end in ends)}
    turns = [each for each in excursions if each.accepted]
    highs = [(each.turn, each.extreme) for each in turns if each.extreme > each.rest]
    lows = [(each.turn, each.extreme) for each in turns if each.extreme < each.rest]
    note = course.note
    if missing:
        told = f"no values at the marked turn of {', '.join(missing)}"
        note = f"{note}; {told}" if note else told
    return replace(
        course,
        threshold=least,
        excursions=tuple(excursions),
        highs=tuple(highs or rests.items()),
        lows=tuple(lows or rests.items()),
        note=note,
    )


def _same_marks(
    mark: _Mark, groups: Sequence[Sequence[_Excursion]], tolerance: float
) -> Sequence[_Excursion]:
    """Movements that were found where a person marked one; empty where the marks are others."""
    for group in groups:
        each = _leading(group)
        pairs = ((each.start, mark.start), (each.turn, mark.turn), (each.end, mark.end))
        if all(abs(found - marked) <= tolerance for found, marked in pairs):
            return group
    return ()


def _read_at(
    course: _Course,
    curve: _Curve,
    mark: _Mark,
    others: tuple[float, float],
    frame: float,
    rules: dict[str, Any],
) -> tuple[_Excursion | None, list[tuple[float, float]]]:
    """Read a curve where a person marked a movement.

    Parameters
    ----------
    course, curve, mark, rules
        The joint, the piece of its curve in which the turn lies, the marks, and the table.
    others
        End of the movement before, and start of the one after.
    frame
        Seconds between frames.

    Returns
    -------
    excursion
        None where the joint does not move at all.
    rests
        Time and value of the rest before and after, as far as they are seen.
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
    # What ends at the edge of the curve, away from rest, was cut off there.
    seen = (
        curve.time[start] - curve.time[0] > 1.5 * frame or sign * out > (1 - _NEAR) * size,
        curve.time[-1] - curve.time[end] > 1.5 * frame or sign * back > (1 - _NEAR) * size,
    )
    gaps = (
        (int(np.argmin(np.abs(curve.time - others[0]))) if curve.time[0] < others[0] else 0, start),
        (
            end,
            int(np.argmin(np.abs(curve.time - others[1])))
            if others[1] < curve.time[-1]
            else len(smooth) - 1,
        ),
    )
    rests = []
    for (first, last), is_seen in zip(gaps, seen, strict=True):
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
    return _read(course, curve, span, level, (start, end), seen, rules), rests


def _plateau(curve: _Curve, place: int, near: float, least: int, most: int) -> _Span:
    """Frames around a place where the curve is about as high, and their median."""
    close = np.abs(curve.smooth - curve.smooth[place]) <= near
    first = last = place
    while first > least and close[first - 1]:
        first -= 1
    while last < most and close[last + 1]:
        last += 1
    return _Span(first, last, float(np.median(curve.smooth[first : last + 1])), place)


def _in_order(excursions: Sequence[_Excursion]) -> list[_Excursion]:
    return sorted(excursions, key=lambda each: (each.start, each.joint, each.side))


def _together(excursions: Sequence[_Excursion]) -> list[list[_Excursion]]:
    """Group what moves at the same time, in the order of time."""
    share = tables.load(TABLE)["movement"]["together_share"]
    groups: list[list[_Excursion]] = []
    for each in _in_order(excursions):
        for group in groups:
            first = group[0]
            same = (each.joint, each.side) in [(e.joint, e.side) for e in group]
            common = min(first.end, each.end) - max(first.start, each.start)
            if not same and common > share * min(first.end - first.start, each.end - each.start):
                group.append(each)
                break
        else:
            groups.append([each])
    return groups


def _planes(joint: str) -> set[str]:
    """Planes of the body in which the movements of a joint lie."""
    own = known_movements.movements_of(joint)
    return {str(known_movements.movement(name)["plane"]) for name in own}


def _shown(course: _Course, *, borne: bool) -> str:
    """Name the movement that a joint and side shows; empty where it shows none."""
    accepted = course.accepted
    if not accepted:
        return ""
    larger = np.median([each.extreme - each.rest for each in accepted]) > 0
    if course.joint in ("hip", "shoulder"):  # what comes back from in front is no extension
        larger = larger or np.median([each.extreme for each in accepted]) > -_BEHIND_DEG
    planes = _planes(course.joint)
    # Elbow, knee and ankle bend in one plane of the limb, however that lies; the trunk sideways.
    sideways = "sagittal" not in planes or (course.plane == "frontal" and "frontal" in planes)
    try:
        return known_movements.movement_of(
            course.joint,
            plane="frontal" if sideways else "sagittal",
            direction="largest" if larger else "smallest",
            weight_bearing=borne,
        )
    except BadInputError:  # an arm that is lowered, a leg that is brought to the other
        return ""


def _repeatability(course: _Course) -> tuple[dict[str, float], str]:
    """How far the turns of three movements or more differ, and what change that can hide.

    Else nothing, and why.
    """
    turns = np.array([each.extreme for each in course.accepted])
    if turns.size < _LEAST_REPEATED:
        why = f"no detectable change: of {turns.size} movements, not {_LEAST_REPEATED} or more"
        return {}, why if turns.size else ""
    spread = float(turns.std(ddof=1))
    again = float(tables.load(TABLE)["filmed_again"]["sem_deg"])
    change = float(_detectable(spread, turns.size, again=again))
    return {"repeatability": spread, "detectable_change": change}, ""


def _detectable(spread: Array | float, turns: int, *, again: float) -> Array | float:
    """By how much two recordings of one set-up differ by chance in one of twenty, degrees.

    Parameters
    ----------
    spread
        Standard deviation of the turns.
    turns
        How many there are in each recording.
    again
        Standard error of measurement of what another recording changes for all its turns.
    """
    # The standard error of a median is 1.25 times that of a mean.
    medians = 1.25 * np.sqrt(2.0 / turns) * spread * stdtrit(2 * (turns - 1), 0.975)
    change: Array | float = np.hypot(medians, MDC95 * again)
    return change


def _end_of_range(shown: str, found: Mapping[str, float]) -> dict[str, float]:
    """How far a movement goes, in its own direction."""
    end = known_movements.movement(shown)["end"]
    name = "maximum" if end == "largest" else "minimum"
    return {
        "end_of_range": known_movements.in_own_direction(shown, found.get(name, np.nan)),
        "end_of_range_sd": found.get(f"{name}_sd", np.nan),
    }


def _measured(course: _Course, draws: xr.Dataset | None) -> dict[str, float]:
    """Numbers of one joint and side, without those that need a reference."""
    if np.isnan(course.values).all():
        return {}
    accepted = course.accepted
    if not accepted:
        return _still(course)
    off = None
    if draws is not None:
        off = draws[course.angle].sel(side=course.side).transpose("draw", "fit_time").to_numpy()
    knots = None if draws is None else draws["fit_time"].to_numpy()

    def deviations(times: Sequence[float]) -> Array | None:
        """Of each draw, the median over times; (draw,)."""
        if off is None or knots is None:
            return None
        at = np.stack([np.array([np.interp(t, knots, row) for t in times]) for row in off])
        median: Array = np.nanmedian(at, axis=1)
        return median

    found: dict[str, float] = {}
    shared: dict[str, Array | float] = {}
    for name, turns in (("maximum", course.highs), ("minimum", course.lows)):
        if not turns:
            shared[name] = found[name] = found[f"{name}_sd"] = np.nan
            continue
        values = np.array([value for _, value in turns])
        drawn = deviations([t for t, _ in turns])
        shared[name] = _local_sd(course) if drawn is None else drawn
        found[name] = float(np.median(values))
        found[f"{name}_sd"] = _combined(shared[name], values, added=course.added_sd)
    high, low = shared["maximum"], shared["minimum"]
    difference: Array | float
    if isinstance(high, float) or isinstance(low, float):
        difference = float(np.hypot(_rms(high), _rms(low)))
    else:
        difference = high - low
    sizes = np.array([each.excursion for each in accepted])
    found["range_of_motion"] = found["maximum"] - found["minimum"]
    both = np.sqrt(2) * course.added_sd
    found["range_of_motion_sd"] = _combined(difference, sizes, added=both)
    peaks = np.array([each.peak_velocity for each in accepted])
    found["peak_velocity"] = float(np.median(peaks))
    if off is not None and knots is not None:
        slopes = np.gradient(off, knots, axis=1)
        times = [each.peak_time for each in accepted]
        at = np.stack([np.array([np.interp(t, knots, row) for t in times]) for row in slopes])
        # As the range: what is not known of both ends is not known of the way between.
        less = both / float(np.median(sizes)) * found["peak_velocity"]
        found["peak_velocity_sd"] = _combined(np.nanmedian(at, axis=1), peaks, added=less)
    elif len(peaks) > 1:
        found["peak_velocity_sd"] = float(peaks.std(ddof=1) / np.sqrt(len(peaks)))
    means = np.array([each.mean_velocity for each in accepted])
    if np.isfinite(means).any():
        means = means[np.isfinite(means)]
        found["mean_velocity"] = float(np.median(means))
        relative = float(np.hypot(_rms(difference), both)) / float(np.median(sizes))
        found["mean_velocity_sd"] = _combined(relative * found["mean_velocity"], means)
    return found


def _still(course: _Course) -> dict[str, float]:
    """Extremes of a curve without a movement: of its running median, that noise does not widen."""
    known = course.values[np.isfinite(course.values)]
    low, high = np.percentile(known, [2.5, 97.5])
    sd = _local_sd(course)
    return {"maximum": float(high), "maximum_sd": sd, "minimum": float(low), "minimum_sd": sd}


def _local_sd(course: _Course) -> float:
    sd = course.sd[np.isfinite(course.sd)]
    return float(np.median(sd)) if sd.size else float("nan")


def _rms(shared: Array | float) -> float:
    return float(np.sqrt(np.mean(np.square(shared))))


def _combined(shared: Array | float, values: Array, *, added: float = 0.0) -> float:
    """Combine the error that all share with the spread over movements: sqrt(m² + a² + s²/n)."""
    spread = values.std(ddof=1) / np.sqrt(values.size) if values.size > 1 else 0.0
    return float(np.hypot(np.hypot(_rms(shared), added), spread))


def _stands(course: _Course, points: Array, time: Array) -> bool:
    """Whether the foot carries the body: its toe stays where it is, on the floor, standing."""
    limits = tables.load(TABLE)["weight_bearing"]
    if not course.accepted or _postures(points)[1] != "standing":
        return False
    # Against the other foot: the origin of world landmarks moves with the hips.
    own, other = course.side, SIDES[1 - SIDES.index(course.side)]
    toe = points[:, INDEX[f"{own}_foot_index"]] - points[:, INDEX[f"{other}_foot_index"]]
    feet = [INDEX[f"{side}_{name}"] for side in SIDES for name in ("heel", "foot_index")]
    above = points[:, INDEX[f"{own}_foot_index"], 1] - points[:, feet, 1].min(axis=1)
    moved, raised = [], []
    for each in course.accepted:
        first, last = (int(np.argmin(np.abs(time - t))) for t in (each.start, each.turn))
        moved.append(float(np.linalg.norm(toe[last] - toe[first])))
        raised.append(float(above[last]))
    stays = np.median(moved) < limits["foot_moves_m"]
    return bool(stays and np.median(raised) < limits["above_lowest_m"])


def _reference(
    course: _Course, shown: str, sex: Sex | None, age: float | None
) -> ReferenceRange | None:
    """Look up the range of the movement that was shown, in whose direction more is farther."""
    if not shown:
        known = (
            not course.accepted
            and course.angle == tables.load(TABLE)["joints"][course.joint]["angle"]
        )
        return reference_range(course.angle, sex=sex, age=age, kind="active") if known else None
    wanted = known_movements.movement(shown)["range"]
    return reference_range(wanted["angle"], sex=sex, age=age, kind=wanted["kind"])


def _described(reference: ReferenceRange) -> dict[str, Any]:
    """JSON values of a reference; null for what it does not have."""
    names = ("kind", "study", "statistic", "sex", "age", "sample", "n", "source", "note")
    found = {name: getattr(reference, name) for name in names}
    for name in ("mean", "sd", "lowest", "highest"):
        value = getattr(reference, name)
        found[name] = value if np.isfinite(value) else None
    return found


def _score(
    found: dict[str, float], reference: ReferenceRange, *, moved: bool
) -> tuple[float, float, str]:
    """Score, its error, and a remark."""
    reached = found.get("end_of_range", found["maximum"])
    if not moved or not np.isfinite(reached):
        return np.nan, np.nan, ""
    if reference.mean < _LEAST_SCORED:
        return np.nan, np.nan, "no score: the range is too small for one"
    if reference.note:  # the person is not known to be one of those measured
        return np.nan, np.nan, f"no score: {reference.note}"
    score = 100 * float(np.clip(reached / reference.mean, 0, 1))
    return score, 100 * found.get("end_of_range_sd", found["maximum_sd"]) / reference.mean, ""
