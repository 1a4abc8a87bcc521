"""A person who squats on one leg, on one side or on both sides in turn.

The subject stands on both feet, lifts one, squats on the other leg, and puts the foot down again.
While the trunk leans and the pelvis drops, the hips are placed so that the centre of mass is over
the standing foot.
"""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

import numpy as np
from pydantic import Field

from mobility.errors import BadInputError
from mobility.kinematics.skeleton import Array
from mobility.virtual_lab.parametric_body import SUFFIX, Body, keypoints, transforms
from mobility.virtual_lab.single_joint import MOVEMENTS
from mobility.virtual_lab.standing_body import (
    SIDE_SIGN,
    Phases,
    Seconds,
    Sided,
    Stance,
    Trial,
    centre_of_mass,
    foot_chain,
    heel_and_toe,
    leg_rotations,
    legs_over,
    minimum_jerk,
    rotated_about,
    segment_length,
    sided,
    standing_in_balance,
    upper_body,
)

FREE_LEG = {"behind": (2.0, 2.0, 80.0), "front": (42.0, 75.0, 30.0)}
"""Degrees by which the thigh of the lifted leg points forward, while standing and at the greatest
depth, and by which its knee is bent.
"""

LARGEST_INCLINATION = MOVEMENTS["ankle_dorsiflexion_weight_bearing"].high
"""Largest lean, in degrees, of the shank over a standing foot."""

POINTED = 20.0
"""Degrees by which the lifted foot hangs down."""

_FALLS = (
    "single-leg squat: this body cannot keep its balance like this; reduce knee_flexion,"
    " pelvis_drop or side_lean, or raise trunk_lean"
)

OTHER = {"left": "right", "right": "left"}


class SingleLegSquat(Stance):
    """Settings of the motion, besides those of standing.

    Attributes
    ----------
    kind
        Name of this motion.
    side
        The standing leg; "both" squats first on the left, then on the right.
    repetitions
        Number of repetitions on each leg.
    free_leg
        Whether the foot of the other leg is held behind or in front.
    knee_flexion
        Knee flexion of the standing leg at the greatest depth, degrees. The lean of the shank
        follows from the balance.
    pelvis_drop
        How much lower the lifted side of the pelvis is at the greatest depth, degrees.
    trunk_lean, side_lean
        Forward lean of the pelvis and trunk, and lean of the thorax over the standing leg, at the
        greatest depth, in degrees. The line from the hips to the shoulders leans by about nine
        tenths of the lean of the thorax.
    descent_s, bottom_s, ascent_s, pause_s
        Duration of the phases of a repetition, and of the pauses between two repetitions and on one
        leg before the first and after the last, in seconds.
    lift_s, lead_s
        Duration of lifting the foot and putting it down, and of standing on both feet, seconds.
    """

    kind: Literal["single-leg-squat"]
    side: Literal["left", "right", "both"] = "left"
    repetitions: Annotated[int, Field(ge=1, le=30)] = 3
    free_leg: Literal["behind", "front"] = "behind"
    knee_flexion: Annotated[float, Field(ge=10, le=110)] | Sided = 60.0
    pelvis_drop: Annotated[float, Field(ge=-20, le=20)] | Sided = 0.0
    trunk_lean: Annotated[float, Field(ge=-10, le=70)] = 22.0
    side_lean: Annotated[float, Field(ge=-30, le=30)] | Sided = 0.0
    descent_s: Annotated[float, Field(ge=0.3, le=30)] = 1.4
    bottom_s: Seconds = 0.3
    ascent_s: Annotated[float, Field(ge=0.3, le=30)] = 1.3
    pause_s: Seconds = 0.8
    lift_s: Annotated[float, Field(ge=0.3, le=10)] = 0.9
    lead_s: Seconds = 1.0
    standing_knee_flexion: Annotated[float, Field(ge=0.5, le=40)] = 6.0
    stance_width: Annotated[float, Field(ge=0.3, le=2.5)] = 0.5
    toe_out: Annotated[float, Field(ge=-90, le=90)] | Sided = 6.0
    arms: Literal["forward", "hanging", "crossed"] = "crossed"
    arm_fall: Annotated[float, Field(ge=-20, le=120)] = 0.0

    @property
    def sides(self) -> tuple[str, ...]:
        """The standing legs, in order."""
        return tuple(SUFFIX) if self.side == "both" else (self.side,)

    @property
    def phases(self) -> Bouts:
        """Phases of the motion."""
        return Bouts(self)


class _Bout(NamedTuple):
    """Repetitions on one leg: their times, how far the other leg is lifted, how deep each is."""

    start: Array
    bottom: Array
    end: Array
    lifted: Array  # 0 to 1, (time,)
    deep: Array


class Bouts:
    """Times of a :class:`SingleLegSquat`."""

    def __init__(self, motion: SingleLegSquat) -> None:
        self._motion = motion
        seconds = (motion.pause_s, motion.descent_s, motion.bottom_s, motion.ascent_s)
        self._repetitions = Phases(motion.repetitions, *seconds, motion.pause_s)

    @property
    def _bout_s(self) -> float:
        return 2 * self._motion.lift_s + self._repetitions.duration_s

    @property
    def duration_s(self) -> float:
        """Duration of the trial."""
        n = len(self._motion.sides)
        return n * self._bout_s + (n + 1) * self._motion.lead_s

    def at(self, time: Array) -> dict[str, _Bout]:
        """Return the repetitions on each standing leg."""
        lift_s, lead_s = self._motion.lift_s, self._motion.lead_s
        bouts = {}
        for n, side in enumerate(self._motion.sides):
            lifts = lead_s + n * (self._bout_s + lead_s)
            up = lifts + lift_s
            down = up + self._repetitions.duration_s
            start, bottom, end, deep = self._repetitions.at(time - up)
            lifted = minimum_jerk((time - lifts) / lift_s) - minimum_jerk((time - down) / lift_s)
            bouts[side] = _Bout(start + up, bottom + up, end + up, lifted, deep.sum(axis=0))
        return bouts


def perform_single_leg_squat(body: Body, motion: SingleLegSquat, time: Array) -> Trial:
    """Perform single-leg squats, at `time`, (time,) seconds from the start of the trial.

    A squat that this body cannot do raises an error.
    """
    bouts = motion.phases.at(time)
    standing = standing_in_balance(body, motion)
    ankles = np.mean([body.joint("ankle", side) for side in SUFFIX], axis=0)
    both = np.array([0.0, ankles[1] + standing.height, standing.fore_aft])
    mid_hip = np.tile(both, (len(time), 1))
    for side, bout in bouts.items():
        on_one = _balanced(body, motion, side, bout.deep)
        mid_hip += bout.lifted[:, None] * (on_one - both)
    posed = _posed(body, motion, bouts, mid_hip)
    orientation, position = transforms(body, posed, mid_hip)
    points = keypoints(body, orientation, position)
    for side, bout in bouts.items():
        shank = points[f"{side}_knee"] - points[f"{side}_ankle"]
        free, up = OTHER[side], bout.lifted > 0.02
        if np.degrees(np.arctan2(shank[up, 2], shank[up, 1])).max(initial=0) > LARGEST_INCLINATION:
            raise BadInputError(_FALLS)
        sole = body.toe[free][1]
        low = min(points[f"{free}_{end}"][up, 1].min(initial=1.0) for end in ("heel", "foot_index"))
        if low < sole - 0.002:
            raise BadInputError(
                "single-leg squat: the lifted foot meets the floor; reduce knee_flexion or "
                "pelvis_drop, or hold the foot behind the body"
            )
    of_each = {side: np.full(motion.repetitions, side) for side in bouts}
    height = mid_hip[:, 1] - ankles[1]
    bottom = np.concatenate([bout.bottom for bout in bouts.values()])
    start = np.concatenate([bout.start for bout in bouts.values()])
    high, low = (np.interp(at, time, height) for at in (start, bottom))
    return Trial(
        time=time,
        orientation=orientation,
        position=position,
        points=points,
        start=start,
        bottom=bottom,
        end=np.concatenate([bout.end for bout in bouts.values()]),
        depth=100.0 * (1.0 - low / high),
        more={"standing_side": np.concatenate(list(of_each.values()))},
    )


def _posed(
    body: Body, motion: SingleLegSquat, bouts: dict[str, _Bout], mid_hip: Array
) -> dict[str, Array]:
    """Return the orientations of all bones, with the mid-hip at a given place."""
    steady = np.zeros(len(mid_hip))
    deep = {side: bouts[side].deep if side in bouts else steady for side in SUFFIX}
    lifted = {OTHER[side]: bout.lifted for side, bout in bouts.items()}
    roll, aside = steady, steady
    for side, bout in bouts.items():
        sign = SIDE_SIGN[side]
        roll = roll + sign * np.radians(sided(motion.pelvis_drop, side)) * bout.deep
        aside = aside - sign * np.radians(sided(motion.side_lean, side)) * bout.deep
    soles = {side: foot_chain(body, motion, side, deep[side]) for side in SUFFIX}
    hips = rotated_about("z", roll) @ (body.joint("hip", "left") - body.mid_hip)
    for side, share in lifted.items():
        hip = mid_hip + SIDE_SIGN[side] * hips
        soles[side] = _lifted(body, motion, side, share, deep[OTHER[side]], hip, soles[side])
    legs = legs_over(body, motion, soles, roll, deep, mid_hip)
    if legs.short.max() > 1e-6:
        raise BadInputError(_FALLS)
    rotations = leg_rotations(body, soles, legs)
    progress = sum(deep.values(), steady)
    lean = motion.standing_lean + (motion.trunk_lean - motion.standing_lean) * progress
    upper_body(body, motion, rotations, roll, np.radians(lean), progress, aside)
    return rotations


def _lifted(
    body: Body,
    motion: SingleLegSquat,
    side: str,
    share: Array,
    deep: Array,
    hip: Array,
    planted: tuple[Array, Array, Array],
) -> tuple[Array, Array, Array]:
    """Return orientation of foot and toes, and ankle, of a foot that is partly lifted."""
    standing, deepest, knee = FREE_LEG[motion.free_leg]
    thigh = np.radians(standing + (deepest - standing) * deep)
    shank = thigh - np.radians(knee)
    plane = rotated_about("y", SIDE_SIGN[side] * np.radians(np.array(sided(motion.toe_out, side))))
    hanging = sum(
        segment_length(body, *ends, side)
        * np.stack([0.0 * angle, -np.cos(angle), np.sin(angle)], axis=1)
        for ends, angle in ((("hip", "knee"), thigh), (("knee", "ankle"), shank))
    )
    foot, toes, ankle = planted
    ankle = ankle + share[:, None] * (hip + hanging @ plane.T - ankle)
    pitch = rotated_about("x", share**2 * (np.radians(POINTED) - shank))
    turn = plane @ pitch @ plane.T
    return turn @ foot, turn @ toes, ankle


def _balanced(body: Body, motion: SingleLegSquat, side: str, deep: Array) -> Array:
    """Return the mid-hip of a body in balance on one leg, with the other lifted, (time, 3)."""
    bout = {side: _Bout(deep, deep, deep, np.ones(len(deep)), deep)}
    sole = foot_chain(body, motion, side, deep)
    heel, toe = heel_and_toe(body, sole, side)
    target = heel + motion.standing_balance * (toe - heel)
    thigh, shank = (
        segment_length(body, *ends, side) for ends in (("hip", "knee"), ("knee", "ankle"))
    )
    most = sided(motion.knee_flexion, side)
    bend = np.radians(motion.standing_knee_flexion + (most - motion.standing_knee_flexion) * deep)
    reach2 = thigh**2 + shank**2 + 2 * thigh * shank * np.cos(bend)
    roll = SIDE_SIGN[side] * np.radians(sided(motion.pelvis_drop, side)) * deep
    width = body.joint("hip", "left") - body.mid_hip
    hip_from_middle = SIDE_SIGN[side] * (rotated_about("z", roll) @ width)
    # The hip is on a sphere about the ankle. Its place there is solved by moving it like the
    # centre
    # of mass has to move, which it nearly follows.
    over = np.zeros((len(deep), 2))
    for _ in range(25):
        up2 = np.maximum(reach2 - (over**2).sum(axis=1), 0.0)
        hip = sole[2] + np.stack([over[:, 0], np.sqrt(up2), over[:, 1]], axis=1)
        mid_hip: Array = hip - hip_from_middle
        posed = _posed(body, motion, bout, mid_hip)
        missing = (target - centre_of_mass(body, *transforms(body, posed, mid_hip)))[:, [0, 2]]
        if np.abs(missing).max() < 1e-5:
            return mid_hip
        over = over + missing
    raise BadInputError(_FALLS)
