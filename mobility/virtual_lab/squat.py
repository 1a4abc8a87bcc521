"""A squat of the parametric body with raised arms, with what is asked of it and nothing else.

The feet are planted and the legs follow by two-link inverse kinematics. Whoever stands does not
fall: the hips lie so far forward that the centre of mass is over the feet, and the trunk leans so
that it comes over their middle as the squat deepens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

import numpy as np
from pydantic import Field, ValidationInfo, field_validator, model_validator

from mobility.errors import BadInputError
from mobility.kinematics.geometry import Array, direction
from mobility.options import Strict
from mobility.virtual_lab.body import JOINT_BONES, SUFFIX, Body, keypoints, transforms

Corners = tuple[tuple[float, float, float], tuple[float, float, float]]

Degrees = Annotated[float, Field(ge=-90, le=90)]
Seconds = Annotated[float, Field(ge=0, le=30)]

SIDE_SIGN = {"left": 1.0, "right": -1.0}
"""Sign of the lateral axis x on each side."""

SEGMENT_MASSES = (
    ("mid_hip", "mid_shoulder", 0.432, 0.55),
    ("head", "head", 0.068, 0.0),
    ("shoulder", "elbow", 0.0263, 0.577),
    ("elbow", "wrist", 0.0150, 0.457),
    ("wrist", "wrist", 0.0059, 0.0),
    ("hip", "knee", 0.1447, 0.385),
    ("knee", "ankle", 0.0457, 0.443),
    ("heel", "foot_index", 0.0133, 0.42),
)
"""From, to, fraction of body mass (of one side), centre from the first end as a fraction of the
length; mean of women and men, de Leva 1996, J Biomech 29:1223, the trunk with hip and shoulder
centres as ends rounded."""

LEAST_BEND = 0.5
"""Degrees; a straight leg has no plane in which it bends."""

SIDED_LIMITS = {
    "toe_out": (-90.0, 90.0),
    "knees_in": (-90.0, 90.0),
    "heel_rise": (0.0, 45.0),
    "elbow_bend": (0.0, 140.0),
}
"""Degrees, least and most of what can be sided; the same for one number and for each side."""


class Sided(Strict):
    """Degrees on each side of the subject."""

    left: float
    right: float


class Squat(Strict):
    """What is asked of the subject.

    Attributes
    ----------
    repetitions
        How many.
    depth
        How far the mid-hip descends, percent of its standing height above the ankles; one number,
        or one for each repetition. Thighs are level near 55.
    descent_s, bottom_s, ascent_s, pause_s
        Duration of the phases of a repetition and of the pause between two, seconds.
    lead_s
        Standing at the start and at the end, seconds.
    standing_knee_flexion, standing_lean
        Of the knees, and of pelvis and trunk forwards, while standing, degrees; with
        `standing_lumbar_flexion` the pelvis leans less by that. Knees below 0 are overextended.
    standing_lumbar_flexion, lumbar_flexion
        Of the thorax forwards against the pelvis, from what it is at rest, degrees: while standing,
        and at the greatest depth. The line from the hips to the shoulders turns against the pelvis
        by some seven tenths of that. In ten people (UI-PRMD, Vakanski et al. 2018, Data 3:2) that
        line flexes by 13 to 51 degrees, 28 on average, from standing to the bottom of a deep squat.
    standing_balance
        Where the centre of mass is over the feet while standing, from heel (0) to toe (1). Quiet
        standers have it some 5 cm before the ankles: Winter 1995, Gait Posture 3:193.
    stance_width
        Distance of the ankles as a multiple of that of the shoulder joint centres.
    stagger_m
        How far the left foot stands ahead of the right, metres; the knee of the foot in front bends
        less far over it, and the sides differ.
    toe_out
        Turn of the feet outwards, degrees.
    tibia_inclination
        Mean of the two shanks at the greatest depth, degrees from the vertical.
    knees_in
        How far the knees point inwards of the feet at the greatest depth, degrees about the
        vertical; one number or left and right, as everything below that can be sided.
    heel_rise
        Pitch of the foot about the ball at the greatest depth, degrees.
    shift_m
        Sideways shift of the pelvis to the subject's left at the greatest depth, metres.
    pelvis_drop
        Drop of the left side of the pelvis at the greatest depth, degrees.
    arms
        Held overhead, level before the body, hanging, or crossed before the chest.
    arm_spread
        Angle of each arm out of the line of the trunk, sideways, degrees; crossed arms have none.
    arm_fall
        How far, at the greatest depth, arms held overhead fall forward of the line of the trunk,
        arms held before the body fall below the level, and hanging ones are raised, degrees.
    elbow_bend
        Throughout, degrees; that of crossed arms is theirs.
    """

    repetitions: Annotated[int, Field(ge=1, le=30)] = 3
    depth: Annotated[float, Field(gt=5, le=75)] | list[Annotated[float, Field(gt=5, le=75)]] = 55.0
    descent_s: Annotated[float, Field(ge=0.3, le=30)] = 1.5
    bottom_s: Seconds = 0.3
    ascent_s: Annotated[float, Field(ge=0.3, le=30)] = 1.3
    pause_s: Seconds = 0.8
    lead_s: Seconds = 1.2
    standing_knee_flexion: Annotated[float, Field(ge=-8, le=40)] = 6.0
    standing_lean: Annotated[float, Field(ge=-20, le=30)] = 2.0
    standing_lumbar_flexion: Annotated[float, Field(ge=-30, le=45)] = 0.0
    lumbar_flexion: Annotated[float, Field(ge=-30, le=60)] = 0.0
    standing_balance: Annotated[float, Field(ge=0.1, le=0.8)] = 0.42
    stance_width: Annotated[float, Field(ge=0.3, le=2.5)] = 1.0
    stagger_m: Annotated[float, Field(ge=-0.4, le=0.4)] = 0.0
    toe_out: Degrees | Sided = 12.0
    tibia_inclination: Annotated[float, Field(ge=0, le=60)] = 32.0
    knees_in: Degrees | Sided = 0.0
    heel_rise: Annotated[float, Field(ge=0, le=45)] | Sided = 0.0
    shift_m: Annotated[float, Field(ge=-0.3, le=0.3)] = 0.0
    pelvis_drop: Annotated[float, Field(ge=-20, le=20)] = 0.0
    arms: Literal["overhead", "forward", "hanging", "crossed"] = "overhead"
    arm_spread: Annotated[float, Field(ge=-10, le=80)] = 14.0
    arm_fall: Annotated[float, Field(ge=-20, le=120)] = 10.0
    elbow_bend: Annotated[float, Field(ge=0, le=140)] | Sided = 4.0

    @field_validator(*SIDED_LIMITS)
    @classmethod
    def _each_side_within(cls, value: float | Sided, info: ValidationInfo) -> float | Sided:
        low, high = SIDED_LIMITS[str(info.field_name)]
        for side in ("left", "right") if isinstance(value, Sided) else ():
            if not low <= getattr(value, side) <= high:
                raise ValueError(f"{side} should be from {low:g} to {high:g}")
        return value

    @model_validator(mode="after")
    def _knees_bend(self) -> Squat:
        if -LEAST_BEND <= self.standing_knee_flexion < LEAST_BEND:
            raise ValueError(
                f"standing_knee_flexion should be {LEAST_BEND:g} or more, or below -{LEAST_BEND:g}"
            )
        if self.standing_knee_flexion < 0 and self.stagger_m:
            raise ValueError("stagger_m should be 0 where the knees are overextended")
        return self

    @property
    def phases(self) -> Phases:
        """When it moves."""
        seconds = (self.lead_s, self.descent_s, self.bottom_s, self.ascent_s, self.pause_s)
        return Phases(self.repetitions, *seconds)


@dataclass(frozen=True)
class Trial:
    """A performed squat, or a movement of a single joint; seconds and metres."""

    time: Array
    orientation: Array  # of every bone (time, bone, 3, 3)
    position: Array  # of its head (time, bone, 3)
    points: dict[str, Array]  # joint centres, heels and toes, (time, 3) each
    start: Array  # of each repetition
    bottom: Array  # the middle of its lowest phase
    end: Array
    depth: Array  # percent
    # Boxes that the subject sits or lies on, each by its lowest and highest corner.
    furniture: tuple[Corners, ...] = ()


def perform(body: Body, squat: Squat, time: Array) -> Trial:
    """Let the body perform a squat, seen at `time`, (time,) seconds from the start of the trial.

    What this body cannot do without falling is refused.
    """
    depths = np.atleast_1d(np.asarray(squat.depth, dtype=float))
    if depths.size == 1:
        depths = np.repeat(depths, squat.repetitions)
    if depths.size != squat.repetitions:
        raise BadInputError(
            f"squat: {depths.size} depths for {squat.repetitions} repetitions; give one or as many"
        )
    start, bottom, end, each = squat.phases.at(time)
    depth = (depths[:, None] * each).sum(axis=0)
    progress = depth / depths.max()

    soles = {side: foot_chain(body, squat, side, progress) for side in SUFFIX}
    roll = -np.radians(squat.pelvis_drop) * progress
    floor_ankle = float(np.mean([body.joint("ankle", side)[1] for side in SUFFIX]))
    standing = _standing(body, squat)
    mid_hip = np.zeros((len(time), 3))
    mid_hip[:, 0] = squat.shift_m * progress
    # Overextended knees straighten first, which lifts the hips, and then bend.
    lowered = standing.height * depth / 100.0 - standing.beyond * (1.0 - 2.0 * progress)
    bending = np.where(lowered < -1e-9, -1.0, 1.0)  # rounding bends no knee back
    mid_hip[:, 1] = floor_ankle + standing.height + standing.beyond - np.abs(lowered)

    def legs(fore_aft: Array, bending: Array | float = 1.0) -> _Legs:
        centre = mid_hip.copy()
        centre[:, 2] = fore_aft
        return _legs(body, squat, soles, roll, progress, centre, bending)

    first = abs(squat.standing_knee_flexion) / 2
    wanted = first + (squat.tibia_inclination - first) * progress
    squatting = _solve(lambda z: legs(z).inclination - wanted, np.full(len(time), -0.6), 0.3)
    inclined = legs(squatting)
    mid_hip[:, 2] = progress * squatting + (1.0 - progress) * standing.fore_aft
    placed = legs(mid_hip[:, 2], bending)
    short = max(placed.short.max(), inclined.short.max())
    if short > 1e-6 or np.abs(inclined.inclination - wanted).max() > 0.01:
        raise BadInputError(
            "squat: the legs of this body do not reach; lessen depth, stance_width, stagger_m,"
            " shift_m, pelvis_drop or tibia_inclination"
        )
    rotations = _leg_rotations(body, soles, placed)

    middle = np.mean(
        [points[:, 2] for side in SUFFIX for points in _heel_toe(body, soles[side], side)], axis=0
    )

    def centre_of_mass(lean: Array) -> Array:
        _upper_body(body, squat, rotations, roll, lean, progress)
        orientation, position = transforms(body, rotations, mid_hip)
        head = position[:, body.bone("head")]
        return _centre_of_mass(keypoints(body, orientation, position), head)[:, 2]

    upright = np.full(len(time), np.radians(squat.standing_lean))
    target = middle * progress + centre_of_mass(upright) * (1.0 - progress)
    lean = _solve(
        lambda angle: centre_of_mass(angle) - target,
        np.full(len(time), np.radians(-30.0)),
        np.radians(95.0),
        steps=40,
    )
    if np.abs(centre_of_mass(lean) - target).max() > 0.001:
        raise BadInputError(
            "squat: no lean of the trunk keeps this body from falling; lessen depth or"
            " lumbar_flexion, or bring tibia_inclination closer to 32"
        )
    _upper_body(body, squat, rotations, roll, lean, progress)
    orientation, position = transforms(body, rotations, mid_hip)
    return Trial(
        time=time,
        orientation=orientation,
        position=position,
        points=keypoints(body, orientation, position),
        start=start,
        bottom=bottom,
        end=end,
        depth=depths,
    )


class _Legs(NamedTuple):
    hips: dict[str, Array]
    knees: dict[str, Array]
    inclination: Array  # degrees, mean of both shanks
    short: Array  # metres by which a leg does not reach
    bending: Array | float  # 1, or -1 where the knees are overextended


def _legs(
    body: Body,
    squat: Squat,
    soles: dict[str, tuple[Array, Array, Array]],
    roll: Array,
    progress: Array,
    mid_hip: Array,
    bending: Array | float = 1.0,
) -> _Legs:
    """Place hips and knees over planted feet."""
    pelvis_roll = rotated_about("z", roll)
    width = body.joint("hip", "left") - body.mid_hip
    hips = {side: mid_hip + SIDE_SIGN[side] * (pelvis_roll @ width) for side in SUFFIX}
    knees, inclination, short = {}, [], []
    for side in SUFFIX:
        ankle = soles[side][2]
        outwards = np.radians(_sided(squat.toe_out, side) - _sided(squat.knees_in, side) * progress)
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
    return _Legs(hips, knees, np.mean(inclination, axis=0), np.max(short, axis=0), bending)


def _leg_rotations(
    body: Body, soles: dict[str, tuple[Array, Array, Array]], legs: _Legs
) -> dict[str, Array]:
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


class _Standing(NamedTuple):
    height: float  # of the mid-hip above the ankles, metres
    fore_aft: float  # of the mid-hip
    beyond: float  # how much higher it would be were the knees not overextended, metres


def _standing(body: Body, squat: Squat) -> _Standing:
    """Where the hips are while standing in balance."""
    still = np.zeros(1)
    soles = {side: foot_chain(body, squat, side, still) for side in SUFFIX}
    ends = [_heel_toe(body, soles[side], side) for side in SUFFIX]
    heel, toe = (float(np.mean([end[i][0, 2] for end in ends])) for i in (0, 1))
    target = heel + squat.standing_balance * (toe - heel)
    ankle = np.mean([soles[side][2][0] for side in SUFFIX], axis=0)
    hip = abs((body.joint("hip", "left") - body.mid_hip)[0])
    sideways = np.mean([abs(soles[side][2][0, 0]) - hip for side in SUFFIX])
    overextended = squat.standing_knee_flexion < 0

    def highest(ahead: float, knee_flexion: float) -> float:
        farthest = abs(ahead) + abs(squat.stagger_m) / 2
        reach = _standing_reach(body, knee_flexion)
        return float(np.sqrt(max(reach**2 - sideways**2 - farthest**2, 0.0)))

    def stand(ahead: Array) -> tuple[float, Array]:
        height = highest(float(ahead[0]), squat.standing_knee_flexion)
        mid_hip = np.array([[0.0, ankle[1] + height, ankle[2] + ahead[0]]])
        bending = -1.0 if overextended else 1.0
        legs = _legs(body, squat, soles, still, still, mid_hip, bending)
        rotations = _leg_rotations(body, soles, legs)
        lean = np.full(1, np.radians(squat.standing_lean))
        _upper_body(body, squat, rotations, still, lean, still)
        orientation, position = transforms(body, rotations, mid_hip)
        head = position[:, body.bone("head")]
        return height, _centre_of_mass(keypoints(body, orientation, position), head)[:, 2]

    ahead = _solve(lambda z: stand(z)[1] - target, np.full(1, -0.25), 0.25, steps=20)
    height, centre = stand(ahead)
    if abs(float(centre[0]) - target) > 0.001:
        raise BadInputError(
            "squat: nobody can stand like this without falling; lessen standing_lean or bring"
            " standing_balance closer to 0.42"
        )
    straight = highest(float(ahead[0]), LEAST_BEND)
    beyond = straight - height if overextended else 0.0
    return _Standing(height, float(ankle[2] + ahead[0]), beyond)


class Phases(NamedTuple):
    """Repetitions, and the seconds of their phases: at both ends, there, turn, back, between."""

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
        """Start, turn and end of each repetition; how far each is, 0 to 1, (repetition, time)."""
        first = np.full(self.repetitions, self.lead_s, dtype=np.float64)
        start: Array = first + np.arange(self.repetitions) * (self.each_s + self.pause_s)
        since = time - start[:, None]
        out = minimum_jerk(since / self.out_s)
        back = minimum_jerk((since - self.out_s - self.hold_s) / self.back_s)
        return start, start + self.out_s + self.hold_s / 2, start + self.each_s, out - back


def minimum_jerk(x: Array) -> Array:
    """Smooth step from 0 to 1: the minimum-jerk trajectory (Flash & Hogan 1985)."""
    x = np.clip(x, 0.0, 1.0)
    return x**3 * (10.0 - 15.0 * x + 6.0 * x * x)


def _sided(value: float | Sided, side: str) -> float:
    return float(getattr(value, side)) if isinstance(value, Sided) else float(value)


def rotated_about(axis: str, angle: Array) -> Array:
    """Rotation matrices (..., 3, 3) about an axis of the world, by radians."""
    i, j = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    matrix = np.zeros((*np.shape(angle), 3, 3))
    matrix[...] = np.eye(3)
    matrix[..., i, i] = matrix[..., j, j] = np.cos(angle)
    matrix[..., j, i] = np.sin(angle)
    matrix[..., i, j] = -np.sin(angle)
    return matrix


def frame_of(axis: Array, second: Array) -> Array:
    """Rotation matrices whose first column is `axis` and whose second lies towards `second`."""
    a = direction(axis)
    b = direction(second - (second * a).sum(axis=-1, keepdims=True) * a)
    return np.stack([a, b, np.cross(a, b)], axis=-1)


def segment_length(body: Body, one: str, other: str, side: str) -> float:
    """Distance of two joints of a side at rest, metres."""
    return float(np.linalg.norm(body.joint(one, side) - body.joint(other, side)))


def _standing_reach(body: Body, knee_flexion: float) -> float:
    """Distance from hip to ankle while standing, mean of both legs.

    The knees are never locked: a straight leg has no bending plane.
    """
    bend = np.radians(knee_flexion)
    found = []
    for side in SUFFIX:
        thigh, shank = (
            segment_length(body, "hip", "knee", side),
            segment_length(body, "knee", "ankle", side),
        )
        found.append(np.sqrt(thigh**2 + shank**2 + 2 * thigh * shank * np.cos(bend)))
    return float(np.mean(found))


def rest_forward(body: Body, side: str) -> Array:
    """Direction from heel to toe at rest; the knee hinges at right angles to it."""
    return direction(body.toe[side] - body.heel[side])


def foot_chain(body: Body, squat: Squat, side: str, progress: Array) -> tuple[Array, Array, Array]:
    """Orientation of foot and toes, and the ankle, (time, ...), of a planted foot."""
    forward = rest_forward(body, side)
    now = np.arctan2(forward[0], forward[2])
    turn = SIDE_SIGN[side] * np.radians(_sided(squat.toe_out, side)) - now
    toes = np.broadcast_to(rotated_about("y", np.asarray(turn)), (len(progress), 3, 3))
    foot = toes @ rotated_about("x", np.radians(_sided(squat.heel_rise, side)) * progress)
    ankle, ball = body.joint("ankle", side), body.heads[body.bone("toe2-1" + SUFFIX[side])]
    shoulders = np.linalg.norm(body.joint("shoulder", "left") - body.joint("shoulder", "right"))
    sign = SIDE_SIGN[side]
    planted = np.array(
        [sign * squat.stance_width * shoulders / 2, ankle[1], sign * squat.stagger_m / 2]
    )
    ball_planted = planted + toes[0] @ (ball - ankle)
    return foot, toes, ball_planted + foot @ (ankle - ball)


def _heel_toe(body: Body, sole: tuple[Array, Array, Array], side: str) -> tuple[Array, Array]:
    foot, _, ankle = sole
    rest = body.joint("ankle", side)
    return ankle + foot @ (body.heel[side] - rest), ankle + foot @ (body.toe[side] - rest)


def _two_links(
    hip: Array, ankle: Array, pole: Array, thigh: float, shank: float
) -> tuple[Array, Array]:
    """Knee of a leg that bends towards `pole`, and by how much the leg is too short (metres)."""
    line = ankle - hip
    far = np.linalg.norm(line, axis=1)
    span = np.clip(far, abs(thigh - shank), thigh + shank)
    along = (thigh**2 - shank**2 + span**2) / (2 * span)
    aside = np.sqrt(np.maximum(thigh**2 - along**2, 0.0))
    down = line / far[:, None]
    bend = direction(pole - (pole * down).sum(axis=1, keepdims=True) * down)
    return hip + along[:, None] * down + aside[:, None] * bend, np.abs(far - span)


def _solve(
    function: Callable[[Array], Array], low: Array, high: float, *, steps: int = 48
) -> Array:
    """Zero of an increasing function of each element between `low` and `high`, by bisection."""
    upper = np.full_like(low, high)
    for _ in range(steps):
        middle = (low + upper) / 2
        below = function(middle) < 0
        low, upper = np.where(below, middle, low), np.where(below, upper, middle)
    found: Array = (low + upper) / 2
    return found


def _upper_body(
    body: Body, squat: Squat, rotations: dict[str, Array], roll: Array, lean: Array, progress: Array
) -> None:
    """Put the orientations of pelvis, trunk, head and arms into `rotations`."""
    flexion = squat.standing_lumbar_flexion * (1.0 - progress) + squat.lumbar_flexion * progress
    # Of the lean, of the roll of the pelvis, and of how far it stays behind the trunk.
    share = {
        **{"root": (1.0, 1.0, 1.0), "spine05": (0.98, 0.8, 0.7), "spine04": (0.95, 0.6, 0.4)},
        **{"spine03": (0.92, 0.4, 0.15), "spine02": (0.9, 0.2, 0.05), "spine01": (0.88, 0.1, 0.0)},
        **{"neck01": (0.7, 0.0, 0.0), "neck02": (0.5, 0.0, 0.0), "head": (0.3, 0.0, 0.0)},
    }
    for name, (leaning, rolling, behind) in share.items():
        pitch = leaning * lean - behind * np.radians(flexion)
        rotations[name] = rotated_about("z", rolling * roll) @ rotated_about("x", pitch)
    thorax = rotations["spine01"]
    if squat.arms != "overhead":
        pitch = np.arctan2(thorax[..., 2, 1], thorax[..., 1, 1])
        for side in SUFFIX:
            rotations |= _arm_in_front(body, squat, thorax, side, pitch, progress)
        return
    forward = thorax[..., 2]
    for side, suffix in SUFFIX.items():
        sign = SIDE_SIGN[side]
        # The shoulder girdle takes part in raising the arm (scapulohumeral rhythm).
        for bone, raised in (("clavicle", 16.0), ("shoulder01", 38.0)):
            turn = rotated_about("z", np.asarray(sign * np.radians(raised)))
            rotations[bone + suffix] = thorax @ turn
        spread, fall = np.radians(squat.arm_spread), np.radians(squat.arm_fall) * progress
        inside = np.stack(
            [
                np.full(len(progress), sign * np.sin(spread)),
                np.cos(spread) * np.cos(fall),
                np.cos(spread) * np.sin(fall),
            ],
            axis=1,
        )
        upper = np.einsum("tij,tj->ti", thorax, inside)
        # The crease of the externally rotated arm faces the head: the elbow bends inwards.
        bend = np.radians(_sided(squat.elbow_bend, side))
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
                turned = _around(along, -sign * np.radians(twist))
                rotations[bone + suffix] = turned @ swing


CROSSED = {"left": (45.0, 100.0), "right": (62.0, 95.0)}
"""Degrees by which crossed arms are raised and elbows bent: one forearm lies above the other."""


def _arm_in_front(
    body: Body, squat: Squat, thorax: Array, side: str, pitch: Array, progress: Array
) -> dict[str, Array]:
    """Orientations of the bones of an arm that is not overhead; level and plumb are the world's."""
    crossed = squat.arms == "crossed"
    fall = np.radians(squat.arm_fall) * progress
    if crossed:
        lifted, bent = np.radians(CROSSED[side])
        raised, spread = np.full(len(progress), lifted), np.zeros(len(progress))
    else:
        raised = pitch + (np.pi / 2 - fall if squat.arms == "forward" else fall)
        bent = np.radians(_sided(squat.elbow_bend, side))
        spread = np.full(len(progress), np.radians(squat.arm_spread))
    bend = np.full(len(progress), bent)
    return arm_chain(body, thorax, side, spread, raised, bend, across=crossed)


def arm_chain(
    body: Body,
    thorax: Array,
    side: str,
    spread: Array,
    raised: Array,
    bend: Array,
    *,
    sideways: bool = False,
    across: bool = False,
) -> dict[str, Array]:
    """Orientations of the bones of an arm that is raised forwards or sideways.

    The arm turns about itself as it is raised, so that overhead the crease of the elbow faces the
    head (and up where an arm is level sideways); the elbow bends towards its crease, or `across`
    the chest.
    """
    sign, suffix = SIDE_SIGN[side], SUFFIX[side]
    zero = np.zeros_like(raised)
    if sideways:
        inside = np.stack([sign * np.sin(raised), -np.cos(raised), zero], axis=1)
        crease = np.stack([zero, zero, np.ones_like(raised)], axis=1)
    else:
        inside = np.stack(
            [
                np.full_like(raised, sign) * np.sin(spread),
                -np.cos(spread) * np.cos(raised),
                np.cos(spread) * np.sin(raised),
            ],
            axis=1,
        )
        crease = np.stack([zero, np.sin(raised), np.cos(raised)], axis=1)
    upper = np.einsum("tij,tj->ti", thorax, inside)
    front = np.einsum("tij,tj->ti", thorax, crease)
    if across:
        front = thorax @ np.array([-sign, 0.25, 0.3])
    else:
        # Sideways it has turned outwards when it is level.
        outwards = -np.clip(raised, 0.0, np.pi / 2) if sideways else np.clip(raised, 0.0, None) / 2
        turn = _around(upper, sign * outwards)
        front = np.einsum("tij,tj->ti", turn, front)
    front = direction(front - (front * upper).sum(axis=1, keepdims=True) * upper)
    lower = np.cos(bend)[:, None] * upper + np.sin(bend)[:, None] * front
    # Perpendicular to the forearm, in the plane in which the elbow bends.
    crease_below = np.cos(bend)[:, None] * front - np.sin(bend)[:, None] * upper
    found = {}
    # The shoulder girdle takes part in raising the arm (scapulohumeral rhythm).
    share = np.clip(raised, 0.0, None) / np.radians(166.0)
    for bone, most in (("clavicle", 16.0), ("shoulder01", 38.0)):
        found[bone + suffix] = thorax @ rotated_about("z", sign * np.radians(most) * share)
    rest = {joint: body.joint(joint, side) for joint in JOINT_BONES}
    ahead = np.array([0.0, 0.0, 1.0])
    for bones, along, second, at_rest in (
        (("upperarm01", "upperarm02"), upper, front, rest["elbow"] - rest["shoulder"]),
        (("lowerarm01", "lowerarm02", "wrist"), lower, crease_below, rest["wrist"] - rest["elbow"]),
    ):
        swing = frame_of(along, second) @ frame_of(at_rest, ahead).T
        for bone in bones:
            found[bone + suffix] = swing
    return found


def _around(axis: Array, angle: Array | float) -> Array:
    """Rotation matrices about unit axes (time, 3), by radians, one or (time,) (Rodrigues)."""
    angle = np.reshape(angle, (-1, 1, 1))
    x, y, z = np.moveaxis(direction(axis), -1, 0)
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=-1).reshape(-1, 3, 3)
    rotation: Array = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    return rotation


def _centre_of_mass(points: dict[str, Array], head: Array) -> Array:
    middles = {
        "head": head,
        "mid_hip": (points["left_hip"] + points["right_hip"]) / 2,
        "mid_shoulder": (points["left_shoulder"] + points["right_shoulder"]) / 2,
    }
    total, mass = np.zeros_like(head), 0.0
    for one, other, fraction, where in SEGMENT_MASSES:
        if one in middles:
            ends = [(middles[one], middles[other])]
        else:
            ends = [(points[f"{side}_{one}"], points[f"{side}_{other}"]) for side in SUFFIX]
        for a, b in ends:
            total += fraction * (a + where * (b - a))
            mass += fraction
    return total / mass
