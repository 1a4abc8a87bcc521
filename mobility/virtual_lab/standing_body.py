"""Pose of a standing body: planted feet, legs, trunk, arms, and balance.

The legs follow by two-link inverse kinematics.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationInfo, field_validator, model_validator

from mobility import tables
from mobility.base.options import Strict
from mobility.errors import BadInputError
from mobility.kinematics.skeleton import Array, direction
from mobility.virtual_lab.parametric_body import JOINT_BONES, SUFFIX, Body, keypoints, transforms

Corners = tuple[tuple[float, float, float], tuple[float, float, float]]

Degrees = Annotated[float, Field(ge=-90, le=90)]
Seconds = Annotated[float, Field(ge=0, le=30)]

SIDE_SIGN = {"left": 1.0, "right": -1.0}
"""Sign of the lateral axis x on each side."""

LEAST_BEND = 0.5
"""Least bend in degrees, because a straight leg has no plane in which it bends."""

SIDED_LIMITS = {
    "toe_out": (-90.0, 90.0),
    "knees_in": (-90.0, 90.0),
    "heel_rise": (0.0, 45.0),
    "elbow_bend": (0.0, 140.0),
    "knee_flexion": (10.0, 110.0),
    "pelvis_drop": (-20.0, 20.0),
    "side_lean": (-30.0, 30.0),
}
"""Smallest and largest values, in degrees, of settings that can differ between the sides."""


class Sided(Strict):
    """Degrees on each side of the subject."""

    left: float
    right: float


class Stance(Strict):
    """How the subject stands: settings shared by squats, sit-to-stand and single-leg squats.

    Attributes
    ----------
    standing_knee_flexion, standing_lean
        Flexion of the knees, and forward lean of pelvis and trunk, while standing, degrees. With
        `standing_lumbar_flexion` the pelvis leans less by that angle. Knees below 0 are
        overextended.
    standing_lumbar_flexion, lumbar_flexion
        Forward flexion of the thorax relative to the pelvis, compared with rest, degrees: while
        standing, and at the greatest depth. The line from the hips to the shoulders turns relative
        to the pelvis by about seven tenths of this angle. In ten people (UI-PRMD, Vakanski et al.
        2018, Data 3:2) this line flexes by 13 to 51 degrees, 28 on average, from standing to the
        bottom of a deep squat.
    standing_balance
        Position of the centre of mass over the feet while standing, from the heel (0) to the toe
        (1). In quiet standing it is about 5 cm in front of the ankles: Winter 1995, Gait Posture
        3:193.
    stance_width
        Distance between the ankles as a multiple of the distance between the shoulder joint
        centres.
    stagger_m
        How far the left foot is ahead of the right, metres. The knee of the front leg then moves
        less far over its foot, so the sides differ.
    toe_out
        Outward turn of the feet, degrees.
    knees_in
        How far the knees point inwards relative to the feet at the greatest depth, degrees about
        the vertical. It is one number, or left and right; this also applies to the settings below
        that can differ between the sides.
    heel_rise
        Pitch of the foot about the ball at the greatest depth, degrees.
    arms
        Held overhead, level in front of the body, hanging, crossed in front of the chest, or with
        the hands at a bar on the shoulders.
    arm_spread
        Sideways angle between each arm and the line of the trunk, degrees. Crossed arms and arms at
        a bar have none.
    arm_fall
        Change in the angle of the arms at the greatest depth, in degrees. Overhead arms fall
        forward of the line of the trunk, arms in front of the body fall below the level, and
        hanging arms are raised.
    elbow_bend
        Degrees, throughout the motion; not for crossed arms, or arms at a bar.
    """

    standing_knee_flexion: Annotated[float, Field(ge=-8, le=40)] = 6.0
    standing_lean: Annotated[float, Field(ge=-20, le=30)] = 2.0
    standing_lumbar_flexion: Annotated[float, Field(ge=-30, le=45)] = 0.0
    lumbar_flexion: Annotated[float, Field(ge=-30, le=60)] = 0.0
    standing_balance: Annotated[float, Field(ge=0.1, le=0.8)] = 0.42
    stance_width: Annotated[float, Field(ge=0.3, le=2.5)] = 1.0
    stagger_m: Annotated[float, Field(ge=-0.4, le=0.4)] = 0.0
    toe_out: Degrees | Sided = 12.0
    knees_in: Degrees | Sided = 0.0
    heel_rise: Annotated[float, Field(ge=0, le=45)] | Sided = 0.0
    arms: Literal["overhead", "forward", "hanging", "crossed", "bar"] = "overhead"
    arm_spread: Annotated[float, Field(ge=-10, le=80)] = 14.0
    arm_fall: Annotated[float, Field(ge=-20, le=120)] = 10.0
    elbow_bend: Annotated[float, Field(ge=0, le=140)] | Sided = 4.0

    @field_validator("*")
    @classmethod
    def _each_side_within(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, Sided):
            low, high = SIDED_LIMITS[str(info.field_name)]
            for side in SUFFIX:
                if not low <= getattr(value, side) <= high:
                    raise ValueError(f"{side} should be from {low:g} to {high:g}")
        return value

    @model_validator(mode="after")
    def _knees_bend(self) -> Stance:
        if -LEAST_BEND <= self.standing_knee_flexion < LEAST_BEND:
            raise ValueError(
                f"standing_knee_flexion should be {LEAST_BEND:g} or more, or below -{LEAST_BEND:g}"
            )
        if self.standing_knee_flexion < 0 and self.stagger_m:
            raise ValueError("stagger_m should be 0 if the knees are overextended")
        return self


@dataclass(frozen=True)
class Trial:
    """A performed motion, in seconds and metres."""

    time: Array
    orientation: Array  # of every bone (time, bone, 3, 3)
    position: Array  # of the head of every bone (time, bone, 3)
    points: dict[str, Array]  # joint centres, heels and toes, (time, 3) each
    start: Array  # start of each repetition
    bottom: Array  # middle of its turn: the lowest phase of a squat
    end: Array
    depth: Array  # percent
    # Boxes on which the subject sits or lies, each with its lowest and highest corner.
    furniture: tuple[Corners, ...] = ()
    # More about each repetition, in seconds or as the name of a side: see `MORE` of `case.py`.
    more: Mapping[str, NDArray[Any]] = field(default_factory=dict)


class Legs(NamedTuple):
    """Positions of legs that stand on their feet."""

    hips: dict[str, Array]
    knees: dict[str, Array]
    inclination: Array  # degrees, mean of both shanks
    short: Array  # metres by which a leg does not reach
    bending: Array | float  # 1, or -1 if the knees are overextended


def legs_over(
    body: Body,
    stance: Stance,
    soles: dict[str, tuple[Array, Array, Array]],
    roll: Array,
    progress: Mapping[str, Array],
    mid_hip: Array,
    bending: Array | float = 1.0,
    *,
    turn: Array | float = 0.0,
) -> Legs:
    """Place hips and knees over the feet; `progress` turns the knees of each side inwards."""
    pelvis = rotated_about("y", np.asarray(turn)) @ rotated_about("z", roll)
    width = body.joint("hip", "left") - body.mid_hip
    hips = {side: mid_hip + SIDE_SIGN[side] * (pelvis @ width) for side in SUFFIX}
    knees, inclination, short = {}, [], []
    for side in SUFFIX:
        ankle = soles[side][2]
        outwards = np.radians(
            sided(stance.toe_out, side) - sided(stance.knees_in, side) * progress[side]
        )
        pole = np.stack(
            [SIDE_SIGN[side] * np.sin(outwards), 0 * outwards, np.cos(outwards)], axis=1
        )
        thigh = segment_length(body, "hip", "knee", side)
        shank = segment_length(body, "knee", "ankle", side)
        pole = pole * np.reshape(bending, (-1, 1))
        knees[side], missing = _two_links(hips[side], ankle, pole, thigh, shank)
        tibia = knees[side] - ankle
        inclination.append(np.degrees(np.arctan2(tibia[:, 2], tibia[:, 1])))
        short.append(missing)
    return Legs(hips, knees, np.mean(inclination, axis=0), np.max(short, axis=0), bending)


def leg_rotations(
    body: Body, soles: dict[str, tuple[Array, Array, Array]], legs: Legs
) -> dict[str, Array]:
    """Return the orientations of the bones of legs and feet."""
    rotations: dict[str, Array] = {}
    for side, suffix in SUFFIX.items():
        foot, toes, ankle = soles[side]
        hip, knee = legs.hips[side], legs.knees[side]
        rotations["foot" + suffix] = foot
        for toe in range(1, 6):
            rotations[f"toe{toe}-1{suffix}"] = toes
        rest = {joint: body.joint(joint, side) for joint in JOINT_BONES}
        hinge_rest = np.cross(rest["ankle"] - rest["hip"], rest_forward(body, side))
        hinge = np.cross(ankle - hip, knee - hip) * np.reshape(legs.bending, (-1, 1))
        hinge_rest, hinge = direction(hinge_rest), direction(hinge)
        rotations["upperleg01" + suffix] = frame_of(knee - hip, hinge) @ frame_of(
            rest["knee"] - rest["hip"], hinge_rest
        ).swapaxes(-1, -2)
        rotations["lowerleg01" + suffix] = frame_of(ankle - knee, hinge) @ frame_of(
            rest["ankle"] - rest["knee"], hinge_rest
        ).swapaxes(-1, -2)
    return rotations


class Standing(NamedTuple):
    """Position of the hips of a body that stands in balance."""

    height: float  # of the mid-hip above the ankles, metres
    fore_aft: float  # of the mid-hip
    beyond: float  # how much higher it would be if the knees were not overextended, metres


def standing_in_balance(body: Body, stance: Stance) -> Standing:
    """Place the hips of a body that stands in balance."""
    still = np.zeros(1)
    soles = {side: foot_chain(body, stance, side, still) for side in SUFFIX}
    ends = [heel_and_toe(body, soles[side], side) for side in SUFFIX]
    heel, toe = (float(np.mean([end[i][0, 2] for end in ends])) for i in (0, 1))
    target = heel + stance.standing_balance * (toe - heel)
    ankles = [soles[side][2][0] for side in SUFFIX]
    ankle = np.mean(ankles, axis=0)
    hip = abs((body.joint("hip", "left") - body.mid_hip)[0])
    sideways = np.mean([abs(of_side[0]) - hip for of_side in ankles])
    overextended = stance.standing_knee_flexion < 0

    def highest(ahead: float, knee_flexion: float) -> float:
        farthest = abs(ahead) + abs(stance.stagger_m) / 2
        reach = _standing_reach(body, knee_flexion)
        return float(np.sqrt(max(reach**2 - sideways**2 - farthest**2, 0.0)))

    def stand(ahead: Array) -> tuple[float, Array]:
        height = highest(float(ahead[0]), stance.standing_knee_flexion)
        mid_hip = np.array([[0.0, ankle[1] + height, ankle[2] + ahead[0]]])
        bending = -1.0 if overextended else 1.0
        legs = legs_over(body, stance, soles, still, dict.fromkeys(SUFFIX, still), mid_hip, bending)
        rotations = leg_rotations(body, soles, legs)
        lean = np.full(1, np.radians(stance.standing_lean))
        upper_body(body, stance, rotations, still, lean, still)
        return height, centre_of_mass(body, *transforms(body, rotations, mid_hip))[:, 2]

    ahead = solve(lambda z: stand(z)[1] - target, np.full(1, -0.25), 0.25, steps=20)
    height, centre = stand(ahead)
    if abs(float(centre[0]) - target) > 0.001:
        raise BadInputError(
            "motion: nobody can stand like this without falling; reduce standing_lean or bring"
            " standing_balance closer to 0.42"
        )
    straight = highest(float(ahead[0]), LEAST_BEND)
    beyond = straight - height if overextended else 0.0
    return Standing(height, float(ankle[2] + ahead[0]), beyond)


class Phases(NamedTuple):
    """Repetitions, and the seconds of each phase: at both ends, out, turn, back, and between."""

    repetitions: int
    lead_s: float
    out_s: float
    hold_s: float
    back_s: float
    pause_s: float

    @property
    def each_s(self) -> float:
        """Duration of a repetition."""
        return self.out_s + self.hold_s + self.back_s

    @property
    def duration_s(self) -> float:
        """Duration of the trial."""
        moving = self.repetitions * self.each_s
        return 2 * self.lead_s + moving + (self.repetitions - 1) * self.pause_s

    def at(self, time: Array) -> tuple[Array, Array, Array, Array]:
        """Return start, turn and end of repetitions, and progress, 0 to 1, (repetition, time)."""
        first = np.full(self.repetitions, self.lead_s, dtype=np.float64)
        start: Array = first + np.arange(self.repetitions) * (self.each_s + self.pause_s)
        since = time - start[:, None]
        out = minimum_jerk(since / self.out_s)
        back = minimum_jerk((since - self.out_s - self.hold_s) / self.back_s)
        return start, start + self.out_s + self.hold_s / 2, start + self.each_s, out - back


def minimum_jerk(x: Array) -> Array:
    """Return a smooth step from 0 to 1: the minimum-jerk trajectory (Flash & Hogan 1985)."""
    x = np.clip(x, 0.0, 1.0)
    return x**3 * (10.0 - 15.0 * x + 6.0 * x * x)


def sided(value: float | Sided, side: str) -> float:
    """Return the value of a setting on one side."""
    return float(getattr(value, side)) if isinstance(value, Sided) else float(value)


def rotated_about(axis: str, angle: Array) -> Array:
    """Return rotation matrices (..., 3, 3) about an axis of the world, by radians."""
    i, j = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    matrix = np.zeros((*np.shape(angle), 3, 3))
    matrix[...] = np.eye(3)
    matrix[..., i, i] = matrix[..., j, j] = np.cos(angle)
    matrix[..., j, i] = np.sin(angle)
    matrix[..., i, j] = -np.sin(angle)
    return matrix


def frame_of(axis: Array, second: Array) -> Array:
    """Return rotation matrices with `axis` as first column and the second towards `second`."""
    a = direction(axis)
    b = direction(second - (second * a).sum(axis=-1, keepdims=True) * a)
    return np.stack([a, b, np.cross(a, b)], axis=-1)


def segment_length(body: Body, one: str, other: str, side: str) -> float:
    """Return the distance of two joints of a side at rest, in metres."""
    return float(np.linalg.norm(body.joint(one, side) - body.joint(other, side)))


def _standing_reach(body: Body, knee_flexion: float) -> float:
    """Return the distance from hip to ankle while standing, mean of both legs.

    The knees are never locked, because a straight leg has no bending plane.
    """
    bend = np.radians(knee_flexion)
    reaches = []
    for side in SUFFIX:
        thigh, shank = (
            segment_length(body, "hip", "knee", side),
            segment_length(body, "knee", "ankle", side),
        )
        reaches.append(np.sqrt(thigh**2 + shank**2 + 2 * thigh * shank * np.cos(bend)))
    return float(np.mean(reaches))


def rest_forward(body: Body, side: str) -> Array:
    """Return the direction from heel to toe at rest, to which the axis of the knee is normal."""
    return direction(body.toe[side] - body.heel[side])


def foot_chain(
    body: Body, stance: Stance, side: str, progress: Array
) -> tuple[Array, Array, Array]:
    """Return the orientations of foot and toes, and the ankle, (time, ...), of a planted foot."""
    forward = rest_forward(body, side)
    now = np.arctan2(forward[0], forward[2])
    turn = SIDE_SIGN[side] * np.radians(sided(stance.toe_out, side)) - now
    toes = np.broadcast_to(rotated_about("y", np.asarray(turn)), (len(progress), 3, 3))
    foot = toes @ rotated_about("x", np.radians(sided(stance.heel_rise, side)) * progress)
    ankle, ball = body.joint("ankle", side), body.heads[body.bone("toe2-1" + SUFFIX[side])]
    shoulders = np.linalg.norm(body.joint("shoulder", "left") - body.joint("shoulder", "right"))
    sign = SIDE_SIGN[side]
    planted = np.array(
        [sign * stance.stance_width * shoulders / 2, ankle[1], sign * stance.stagger_m / 2]
    )
    ball_planted = planted + toes[0] @ (ball - ankle)
    return foot, toes, ball_planted + foot @ (ankle - ball)


def heel_and_toe(body: Body, sole: tuple[Array, Array, Array], side: str) -> tuple[Array, Array]:
    """Return the positions of the heel and the tip of the toes of a foot."""
    foot, _, ankle = sole
    rest = body.joint("ankle", side)
    return ankle + foot @ (body.heel[side] - rest), ankle + foot @ (body.toe[side] - rest)


def _two_links(
    hip: Array, ankle: Array, pole: Array, thigh: float, shank: float
) -> tuple[Array, Array]:
    """Return the knee of a leg that bends towards `pole`, and the missing length of the leg (m)."""
    line = ankle - hip
    far = np.linalg.norm(line, axis=1)
    span = np.clip(far, abs(thigh - shank), thigh + shank)
    along = (thigh**2 - shank**2 + span**2) / (2 * span)
    aside = np.sqrt(np.maximum(thigh**2 - along**2, 0.0))
    down = line / far[:, None]
    bend = direction(pole - (pole * down).sum(axis=1, keepdims=True) * down)
    return hip + along[:, None] * down + aside[:, None] * bend, np.abs(far - span)


def solve(function: Callable[[Array], Array], low: Array, high: float, *, steps: int = 48) -> Array:
    """Return the zeros of increasing functions between `low` and `high`, by bisection."""
    upper = np.full_like(low, high)
    for _ in range(steps):
        middle = (low + upper) / 2
        below = function(middle) < 0
        low, upper = np.where(below, middle, low), np.where(below, upper, middle)
    root: Array = (low + upper) / 2
    return root


def upper_body(
    body: Body,
    stance: Stance,
    rotations: dict[str, Array],
    roll: Array,
    lean: Array,
    progress: Array,
    aside: Array | float = 0.0,
    *,
    turn: Array | float = 0.0,
) -> None:
    """Add the orientations of pelvis, trunk, head and arms to `rotations`.

    All settings are in radians. `roll` of the pelvis is positive if its left side is higher, and
    `lean` is forwards. `aside` is the lean of the thorax to the subject's right due to bending of
    the spine, and `turn` the rotation of the pelvis to the subject's left.
    """
    flexion = stance.standing_lumbar_flexion * (1.0 - progress) + stance.lumbar_flexion * progress
    # Rotations of the lean, of roll and turn of the pelvis, of its lag behind the trunk, of a
    # lean
    # aside.
    share = {
        **{"root": (1.0, 1.0, 1.0, 0.0), "spine05": (0.98, 0.8, 0.7, 0.6)},
        **{"spine04": (0.95, 0.6, 0.4, 0.9), "spine03": (0.92, 0.4, 0.15, 1.0)},
        **{"spine02": (0.9, 0.2, 0.05, 1.0), "spine01": (0.88, 0.1, 0.0, 1.0)},
        **{"neck01": (0.7, 0.0, 0.0, 0.7), "neck02": (0.5, 0.0, 0.0, 0.5)},
        **{"head": (0.3, 0.0, 0.0, 0.3)},
    }
    for name, (leaning, rolling, behind, bending) in share.items():
        pitch = leaning * lean - behind * np.radians(flexion)
        tilted = rolling * roll + bending * aside
        turned = rotated_about("y", np.asarray(rolling * turn))
        rotations[name] = turned @ rotated_about("z", tilted) @ rotated_about("x", pitch)
    thorax = rotations["spine01"]
    if stance.arms != "overhead":
        pitch = np.arctan2(thorax[..., 2, 1], thorax[..., 1, 1])
        for side in SUFFIX:
            rotations |= _arm_not_overhead(body, stance, thorax, side, pitch, progress)
        return
    forward = thorax[..., 2]
    for side, suffix in SUFFIX.items():
        sign = SIDE_SIGN[side]
        # The shoulder girdle takes part in raising the arm (scapulohumeral rhythm).
        for bone, raised in (("clavicle", 16.0), ("shoulder01", 38.0)):
            turn = rotated_about("z", np.asarray(sign * np.radians(raised)))
            rotations[bone + suffix] = thorax @ turn
        spread, fall = np.radians(stance.arm_spread), np.radians(stance.arm_fall) * progress
        inside = np.stack(
            [
                np.full(len(progress), sign * np.sin(spread)),
                np.cos(spread) * np.cos(fall),
                np.cos(spread) * np.sin(fall),
            ],
            axis=1,
        )
        upper = np.einsum("tij,tj->ti", thorax, inside)
        # The crease of the externally rotated arm faces the head, so the elbow bends inwards.
        bend = np.radians(sided(stance.elbow_bend, side))
        inwards = direction(np.cross(sign * forward, upper))
        lower = np.cos(bend) * upper + np.sin(bend) * inwards
        rest = {joint: body.joint(joint, side) for joint in JOINT_BONES}
        ahead = np.array([0.0, 0.0, 1.0])
        for bones, along, at_rest in (
            ((("upperarm01", 25.0), ("upperarm02", 40.0)), upper, rest["elbow"] - rest["shoulder"]),
            (
                (("lowerarm01", 50.0), ("lowerarm02", 65.0), ("wrist", 80.0)),
                lower,
                rest["wrist"] - rest["elbow"],
            ),
        ):
            swing = frame_of(along, forward) @ frame_of(at_rest, ahead).T
            for bone, twist in bones:
                turned = _rotations_about(along, -sign * np.radians(twist))
                rotations[bone + suffix] = turned @ swing


class _Folded(NamedTuple):
    """An arm held close: degrees sideways, forwards and of the elbow, and its crease."""

    spread: float
    raised: float
    bend: float
    crease: tuple[float, float, float]  # outwards, up and forwards of the thorax


FOLDED = {
    "crossed": {
        "left": _Folded(0.0, 45.0, 100.0, (-1.0, 0.25, 0.3)),
        "right": _Folded(0.0, 62.0, 95.0, (-1.0, 0.25, 0.3)),  # one forearm above the other
    },
    "bar": dict.fromkeys(SUFFIX, _Folded(30.0, -25.0, 138.0, (0.1, 1.0, 0.0))),
}
"""Arms folded in front of the chest, or with the hands at a bar on the shoulders."""


def _arm_not_overhead(
    body: Body, stance: Stance, thorax: Array, side: str, pitch: Array, progress: Array
) -> dict[str, Array]:
    """Return bone orientations of an arm that is not overhead; level and plumb are the world's."""
    steady = np.ones(len(progress))
    if stance.arms in FOLDED:
        folded = FOLDED[stance.arms][side]
        spread, raised, bend = (
            steady * np.radians(angle) for angle in (folded.spread, folded.raised, folded.bend)
        )
        outwards, up, forwards = folded.crease
        crease = np.array([SIDE_SIGN[side] * outwards, up, forwards])
        return arm_chain(body, thorax, side, spread, raised, bend, crease=crease)
    fall = np.radians(stance.arm_fall) * progress
    raised = pitch + (np.pi / 2 - fall if stance.arms == "forward" else fall)
    bend = steady * np.radians(sided(stance.elbow_bend, side))
    return arm_chain(body, thorax, side, steady * np.radians(stance.arm_spread), raised, bend)


def arm_chain(
    body: Body,
    thorax: Array,
    side: str,
    spread: Array,
    raised: Array,
    bend: Array,
    *,
    sideways: bool = False,
    crease: Array | None = None,
) -> dict[str, Array]:
    """Return the orientations of the bones of an arm that is raised forwards or sideways.

    The arm rotates about its own axis as it is raised, so that overhead the crease of the elbow
    faces the head (and faces up if an arm is level sideways). The elbow bends towards its crease,
    or towards `crease` in the axes of the thorax for a folded arm.
    """
    sign, suffix = SIDE_SIGN[side], SUFFIX[side]
    zero = np.zeros_like(raised)
    if sideways:
        inside = np.stack([sign * np.sin(raised), -np.cos(raised), zero], axis=1)
        natural = np.stack([zero, zero, np.ones_like(raised)], axis=1)
    else:
        inside = np.stack(
            [
                np.full_like(raised, sign) * np.sin(spread),
                -np.cos(spread) * np.cos(raised),
                np.cos(spread) * np.sin(raised),
            ],
            axis=1,
        )
        natural = np.stack([zero, np.sin(raised), np.cos(raised)], axis=1)
    upper = np.einsum("tij,tj->ti", thorax, inside)
    if crease is not None:
        front = thorax @ crease
    else:
        # A level sideways arm has turned outwards.
        outwards = -np.clip(raised, 0.0, np.pi / 2) if sideways else np.clip(raised, 0.0, None) / 2
        turn = _rotations_about(upper, sign * outwards)
        front = np.einsum("tij,tjk,tk->ti", turn, thorax, natural)
    front = direction(front - (front * upper).sum(axis=1, keepdims=True) * upper)
    lower = np.cos(bend)[:, None] * upper + np.sin(bend)[:, None] * front
    # Perpendicular to the forearm, in the plane in which the elbow bends.
    crease_below = np.cos(bend)[:, None] * front - np.sin(bend)[:, None] * upper
    orientations = {}
    # The shoulder girdle takes part in raising the arm (scapulohumeral rhythm).
    share = np.clip(raised, 0.0, None) / np.radians(166.0)
    for bone, most in (("clavicle", 16.0), ("shoulder01", 38.0)):
        orientations[bone + suffix] = thorax @ rotated_about("z", sign * np.radians(most) * share)
    rest = {joint: body.joint(joint, side) for joint in JOINT_BONES}
    ahead = np.array([0.0, 0.0, 1.0])
    for bones, along, second, at_rest in (
        (("upperarm01", "upperarm02"), upper, front, rest["elbow"] - rest["shoulder"]),
        (("lowerarm01", "lowerarm02", "wrist"), lower, crease_below, rest["wrist"] - rest["elbow"]),
    ):
        swing = frame_of(along, second) @ frame_of(at_rest, ahead).T
        for bone in bones:
            orientations[bone + suffix] = swing
    return orientations


def _rotations_about(axis: Array, angle: Array | float) -> Array:
    """Return rotation matrices about unit axes (time, 3), by one or (time,) radians (Rodrigues)."""
    angle = np.reshape(angle, (-1, 1, 1))
    x, y, z = np.moveaxis(direction(axis), -1, 0)
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=-1).reshape(-1, 3, 3)
    rotation: Array = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    return rotation


def centre_of_mass(body: Body, orientation: Array, position: Array) -> Array:
    """Return the centre of mass of a posed body, (time, 3), in metres."""
    points = keypoints(body, orientation, position)
    masses = tables.load("body_segments")["masses"]
    hips, shoulders = (
        (points[f"left_{joint}"] + points[f"right_{joint}"]) / 2 for joint in ("hip", "shoulder")
    )
    head = position[:, body.bone("head")]
    parts = [(hips, shoulders, *masses["trunk"]), (head, head, *masses["head"])]
    for start, end, *mass in masses["limbs"]:
        parts += [(points[f"{side}_{start}"], points[f"{side}_{end}"], *mass) for side in SUFFIX]
    total = sum(mass * (a + place * (b - a)) for a, b, mass, place in parts)
    centre: Array = total / sum(mass for _, _, mass, _ in parts)
    return centre
