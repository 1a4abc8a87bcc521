"""A joint of the parametric body that moves out and back, while the rest does not move.

A standing subject balances as before a squat, with the arms hanging. If the subject sits or lies,
the upright trunk is turned as a whole. The moving limb is posed at every instant. For ankle
dorsiflexion under the body's weight, both knees move forward over the feet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

import numpy as np
from pydantic import Field, model_validator

from mobility.base.options import Strict
from mobility.kinematics.skeleton import Array, direction
from mobility.virtual_lab.parametric_body import JOINT_BONES, SUFFIX, Body, keypoints, transforms
from mobility.virtual_lab.squat import Squat, perform
from mobility.virtual_lab.standing_body import (
    SIDE_SIGN,
    Corners,
    Phases,
    Trial,
    arm_chain,
    foot_chain,
    frame_of,
    rest_forward,
    rotated_about,
    segment_length,
)

Posture = Literal["standing", "seated", "supine", "prone", "side_lying"]


class _Range(NamedTuple):
    """Degrees of a movement: smallest, largest and at rest; postures in which it is possible."""

    low: float
    high: float
    rest: float = 0.0
    postures: tuple[Posture, ...] = ("standing", "seated", "supine")


MOVEMENTS = {
    "elbow_flexion": _Range(0.0, 150.0, 8.0),
    "elbow_extension": _Range(-10.0, 60.0, 110.0),
    "shoulder_flexion": _Range(-40.0, 178.0),
    "shoulder_extension": _Range(-60.0, 0.0),
    "shoulder_abduction": _Range(2.0, 178.0, 8.0),
    "hip_flexion": _Range(-20.0, 125.0, 0.0, ("standing", "supine")),
    "hip_extension": _Range(-30.0, 0.0, 0.0, ("standing", "prone")),
    "hip_abduction": _Range(0.0, 50.0, 2.0, ("standing", "side_lying")),
    "knee_flexion": _Range(2.0, 140.0, 6.0, ("standing", "supine", "prone")),
    "knee_extension": _Range(-10.0, 60.0, 90.0, ("seated",)),
    "ankle_dorsiflexion": _Range(-10.0, 30.0, -15.0, ("supine",)),
    "ankle_dorsiflexion_weight_bearing": _Range(0.0, 45.0, 3.0, ("standing",)),
    "ankle_plantarflexion": _Range(-60.0, 0.0, 0.0, ("supine",)),
    "trunk_lateral_flexion": _Range(0.0, 60.0, 0.0, ("standing", "seated")),
    "neck_lateral_flexion": _Range(0.0, 50.0, 0.0, ("standing", "seated")),
}
"""Extension beyond zero and plantarflexion are negative."""

if TYPE_CHECKING:
    Movement = str
else:
    Movement = Literal[tuple(MOVEMENTS)]

_LEGS: dict[Posture, tuple[float, float, float]] = {
    "seated": (90.0, 90.0, 0.0),
    "supine": (0.0, 6.0, -20.0),
    "prone": (0.0, 6.0, -35.0),
    "side_lying": (4.0, 8.0, -15.0),
}
"""Flexion of the thigh and knee, and dorsiflexion, of resting legs in degrees."""

_SIDE_BEND = {"spine05": 0.3, "spine04": 0.55, "spine03": 0.75, "spine02": 0.9, "spine01": 1.0}
_NECK_BEND = {"neck01": 0.3, "neck02": 0.65, "head": 1.0}
_BENDS = {
    "trunk_lateral_flexion": _SIDE_BEND | dict.fromkeys(_NECK_BEND, 1.0),
    "neck_lateral_flexion": _NECK_BEND,
}
"""Share of a sideways bend that is reached at each bone."""

_TRUNK = ("root", *_SIDE_BEND, *_NECK_BEND)
_TOES = tuple(f"toe{number}-1" for number in range(1, 6))
_LEG_BONES = ("upperleg01", "lowerleg01", "foot", *_TOES)

_SHANK_DROPS = 0.9
"""Degrees of knee flexion for each degree of hip flexion: the shank nearly hangs."""

_LUNGE_DEPTH = 0.62
"""Percent of depth for each degree of shank inclination, with the heels on the floor."""

_COUCH_M = 0.55
_SINKS_M = 0.02
_DELTOID_M = 0.04
"""In metres: the height of the couch, how far a body sinks into the couch or seat, and the soft
tissue below a shoulder on which the subject lies.
"""


class JointMotion(Strict):
    """Settings of the motion.

    Attributes
    ----------
    movement
        The angle that moves. "hip_flexion" raises the knee with a hanging shank. "knee_flexion"
        brings the heel to the buttock, supine along the couch. "ankle_dorsiflexion_weight_bearing"
        brings both knees over the feet (`side` is then "both"). An extension of elbow or knee
        starts bent.
    side
        "left", "right" or "both"; for the trunk or neck, the side to which it bends.
    posture
        "standing", "seated" on a stool, "supine", "prone", or "side_lying" with the moving side on
        top. On the couch, the head points away from the direction in which a standing subject faces
        (supine), or towards it (prone).
    arms
        "hanging", or "sideways": level, in the frontal plane, with the elbow bending upwards.
    to
        Commanded degrees at the end of range, negative for extension beyond zero. The angles
        between joint centres, which are in the truth, differ by some degrees (the trunk leans by
        2).
    elbow_to
        Flexion of the elbow at the end of range of a moving shoulder, degrees; None means as at
        rest.
    repetitions, out_s, hold_s, back_s, pause_s, lead_s
        Number of repetitions; seconds for moving out, at the end of range, for moving back, between
        two repetitions, and at the start and end.
    arm_spread
        Angle between the hanging arms and the trunk, degrees.
    toe_out
        Outward turn of the feet, and of the plane in which a leg moves, degrees.
    """

    movement: Movement
    side: Literal["left", "right", "both"] = "both"
    posture: Posture = "standing"
    arms: Literal["hanging", "sideways"] = "hanging"
    to: float
    elbow_to: Annotated[float, Field(ge=0, le=150)] | None = None
    repetitions: Annotated[int, Field(ge=1, le=30)] = 3
    out_s: Annotated[float, Field(ge=0.3, le=30)] = 1.2
    hold_s: Annotated[float, Field(ge=0, le=30)] = 0.4
    back_s: Annotated[float, Field(ge=0.3, le=30)] = 1.2
    pause_s: Annotated[float, Field(ge=0, le=30)] = 0.6
    lead_s: Annotated[float, Field(ge=0, le=30)] = 1.0
    arm_spread: Annotated[float, Field(ge=2, le=40)] = 8.0
    toe_out: Annotated[float, Field(ge=-20, le=45)] = 8.0

    @model_validator(mode="after")
    def _possible(self) -> JointMotion:
        low, high, _, possible = MOVEMENTS[self.movement]
        if not low <= self.to <= high:
            raise ValueError(
                f"to: {self.movement} should be from {low:g} to {high:g} (got {self.to:g})"
            )
        if self.posture not in possible:
            raise ValueError(f"posture: for {self.movement} use {' or '.join(possible)}")
        if self.movement == "ankle_dorsiflexion_weight_bearing" and self.side != "both":
            raise ValueError("side: ankle_dorsiflexion_weight_bearing moves both; use both")
        one_sided = "lateral_flexion" in self.movement or self.posture == "side_lying"
        if one_sided and self.side == "both":
            raise ValueError("side: should be left or right")
        if self.arms == "sideways" and not self.movement.startswith("elbow"):
            raise ValueError("arms: must be sideways if the elbow moves")
        if self.elbow_to is not None and not self.movement.startswith("shoulder"):
            raise ValueError("elbow_to: only applies to a moving shoulder; leave it out")
        return self

    @property
    def sides(self) -> tuple[str, ...]:
        """The sides that move."""
        return tuple(SUFFIX) if self.side == "both" else (self.side,)

    @property
    def phases(self) -> Phases:
        """Phases of the motion."""
        seconds = (self.lead_s, self.out_s, self.hold_s, self.back_s, self.pause_s)
        return Phases(self.repetitions, *seconds)


def perform_joint(body: Body, motion: JointMotion, time: Array) -> Trial:
    """Perform a single-joint motion, at `time`, (time,) seconds from the start.

    `bottom` is the middle of the end of range, `depth` is NaN.
    """
    start, bottom, end, shares = motion.phases.at(time)
    progress = shares.sum(axis=0)
    rest = MOVEMENTS[motion.movement].rest
    angle = np.radians(rest + (motion.to - rest) * progress)

    posed, mid_hip = _stance(body, motion, time)
    for name, share in _BENDS.get(motion.movement, {}).items():
        turn = rotated_about("z", share * (-SIDE_SIGN[motion.side] * angle))
        posed[name] = turn @ posed[name]
    _pose_arms(body, motion, posed, angle, progress)
    _pose_legs(body, motion, posed, angle)
    orientation, position = transforms(body, posed, mid_hip)
    turned, shift, furniture = _placed(body, motion)
    orientation = turned @ orientation
    position = position @ turned.T + shift
    return Trial(
        time=time,
        orientation=orientation,
        position=position,
        points=keypoints(body, orientation, position),
        start=start,
        bottom=bottom,
        end=end,
        depth=np.full(motion.repetitions, np.nan),
        furniture=furniture,
    )


def _pose_arms(
    body: Body, motion: JointMotion, posed: dict[str, Array], angle: Array, progress: Array
) -> None:
    steady = np.ones(len(progress))
    rest_bend = MOVEMENTS["elbow_flexion"].rest
    for side in SUFFIX:
        sideways = motion.arms == "sideways"
        # When supine, the hands rest on the couch; when lying on the side, they are in front.
        rests = {"supine": -6.0, "side_lying": 75.0}.get(motion.posture, 0.0)
        raised = steady * np.radians(90.0 if sideways else rests)
        bend = steady * np.radians(rest_bend)
        if side in motion.sides:
            if motion.movement.startswith("elbow"):
                bend = angle
            elif motion.movement in ("shoulder_flexion", "shoulder_extension"):
                raised = angle
            elif motion.movement == "shoulder_abduction":
                raised, sideways = angle, True
            if motion.elbow_to is not None:
                bend = np.radians(rest_bend + (motion.elbow_to - rest_bend) * progress)
        spread = steady * np.radians(motion.arm_spread)
        if motion.movement == "trunk_lateral_flexion" and side in motion.sides:
            spread = spread + angle  # it hangs beside the thigh
        posed |= arm_chain(body, posed["spine01"], side, spread, raised, bend, sideways=sideways)


def _pose_legs(body: Body, motion: JointMotion, posed: dict[str, Array], angle: Array) -> None:
    steady = np.ones(len(angle))
    resting = _LEGS.get(motion.posture)
    of_legs = motion.movement.startswith(("hip", "knee", "ankle"))
    of_legs &= motion.movement != "ankle_dorsiflexion_weight_bearing"
    for side in SUFFIX:
        moves = of_legs and side in motion.sides
        if resting is None and not moves:
            continue
        thigh, knee, foot = (
            steady * np.radians(value)
            for value in resting or (2.0, MOVEMENTS["knee_flexion"].rest, 0.0)
        )
        aside = 0.0 * steady
        if moves:
            if motion.movement == "hip_flexion":
                # The knee of a raised thigh hangs; at rest it has its usual flexion.
                thigh, knee = angle, knee + _SHANK_DROPS * np.maximum(angle, 0.0)
            elif motion.movement == "hip_extension":
                thigh = angle
            elif motion.movement == "hip_abduction":
                aside = SIDE_SIGN[side] * angle
            elif motion.movement.startswith("knee"):
                knee = angle
                if motion.posture == "supine":  # the heel slides on the couch
                    upper = segment_length(body, "hip", "knee", side)
                    lower = segment_length(body, "knee", "ankle", side)
                    thigh = np.arctan2(lower * np.sin(knee), upper + lower * np.cos(knee))
            else:
                foot = angle
        for name, turned in _leg(body, motion, side, thigh, knee, foot).items():
            posed[name] = rotated_about("z", aside) @ turned


def _placed(body: Body, motion: JointMotion) -> tuple[Array, Array, tuple[Corners, ...]]:
    """Return turn and shift of the whole body, and the surfaces on which it sits or lies."""
    trunk = _lying_on(body)
    tall = float(np.ptp(body.vertices[:, 1]))
    hip = body.mid_hip[1]
    leg = float(hip - body.joint("ankle", "left")[1])
    if motion.posture == "standing":
        return np.eye(3), np.zeros(3), ()
    if motion.posture == "seated":
        thigh = segment_length(body, "hip", "knee", "left")
        seat = segment_length(body, "knee", "ankle", "left")
        seat += float(
            body.joint("ankle", "left")[1]
        )  # height of the hips, with the feet on the floor
        top = seat + trunk[:, 2].min() + _SINKS_M
        front = 0.72 * thigh
        stool = ((-0.2, top - 0.06, -0.22), (0.2, top, front))
        post = ((-0.05, 0.0, -0.05), (0.05, top - 0.06, 0.05))
        return np.eye(3), np.array([0.0, seat - hip, 0.0]), (stool, post)
    if motion.posture == "side_lying":
        up = SIDE_SIGN[motion.side]
        turned = rotated_about("z", np.asarray(up * np.pi / 2))
        shoulder = body.joint("shoulder", "left")[0] + _DELTOID_M
        deep = max(float(-(up * trunk[:, 0]).min()), float(shoulder))
        ends = np.sort([up * 0.95 * leg, -up * (tall - hip + 0.1)])
        couch = ((ends[0], 0.0, -0.35), (ends[1], _COUCH_M, 0.35))
    else:
        face = 1.0 if motion.posture == "supine" else -1.0
        turned = rotated_about("x", np.asarray(-face * np.pi / 2))
        deep = -(face * trunk[:, 2]).min()
        ends = np.sort([face * 0.93 * leg, -face * (tall - hip + 0.1)])
        couch = ((-0.35, 0.0, ends[0]), (0.35, _COUCH_M, ends[1]))
    middle = np.array([0.0, _COUCH_M + deep - _SINKS_M, 0.0])
    return turned, middle - turned @ body.mid_hip, (couch,)


def _lying_on(body: Body) -> Array:
    """Return the mesh points at rest that bear a sitting or lying body, from the mid-hip."""
    bears = ("root", "pelvis", "spine", "upperleg01")
    names = np.array([name.startswith(bears) for name in body.bones])
    bearing: Array = body.vertices[names[body.main_bones]] - body.mid_hip
    return bearing


def _stance(body: Body, motion: JointMotion, time: Array) -> tuple[dict[str, Array], Array]:
    """Return orientations of trunk and standing legs, and mid-hip, before the body is turned."""
    if motion.posture != "standing":
        upright = np.broadcast_to(np.eye(3), (len(time), 3, 3))
        names = [name for name in body.bones if name in _TRUNK]
        return {name: upright.copy() for name in names}, np.tile(body.mid_hip, (len(time), 1))
    if motion.movement == "ankle_dorsiflexion_weight_bearing":
        squat = Squat(
            repetitions=motion.repetitions,
            depth=max(6.0, _LUNGE_DEPTH * motion.to),
            tibia_inclination=motion.to,
            descent_s=motion.out_s,
            bottom_s=motion.hold_s,
            ascent_s=motion.back_s,
            pause_s=motion.pause_s,
            lead_s=motion.lead_s,
            toe_out=motion.toe_out,
        )
        trial = perform(body, squat, time)
    else:
        trial = perform(body, Squat(repetitions=1, toe_out=motion.toe_out), np.zeros(1))
    legs = [f"{bone}{suffix}" for bone in _LEG_BONES for suffix in SUFFIX.values()]
    names = [name for name in body.bones if name in (*_TRUNK, *legs)]
    shape = (len(time), 3, 3)
    posed = {
        name: np.broadcast_to(trial.orientation[:, body.bone(name)], shape).copy() for name in names
    }
    hips = (trial.points["left_hip"] + trial.points["right_hip"]) / 2
    return posed, np.broadcast_to(hips, (len(time), 3)).copy()


def _leg(
    body: Body, motion: JointMotion, side: str, thigh: Array, knee: Array, dorsiflexion: Array
) -> dict[str, Array]:
    """Return orientations of the bones of a leg that swings in its vertical plane; radians."""
    suffix = SUFFIX[side]
    out = SIDE_SIGN[side] * np.radians(motion.toe_out)
    plane = rotated_about("y", np.asarray(out))
    shank = thigh - knee

    def hanging(angle: Array) -> Array:
        down = np.stack([np.zeros_like(angle), -np.cos(angle), np.sin(angle)], axis=1)
        swung: Array = down @ plane.T
        return swung

    hinge = np.broadcast_to(plane @ np.array([-1.0, 0.0, 0.0]), (len(thigh), 3))
    rest = {joint: body.joint(joint, side) for joint in JOINT_BONES}
    hinge_rest = direction(np.cross(rest["ankle"] - rest["hip"], rest_forward(body, side)))
    orientations = {
        "upperleg01" + suffix: frame_of(hanging(thigh), hinge)
        @ frame_of(rest["knee"] - rest["hip"], hinge_rest).T,
        "lowerleg01" + suffix: frame_of(hanging(shank), hinge)
        @ frame_of(rest["ankle"] - rest["knee"], hinge_rest).T,
    }
    still = Squat(repetitions=1, toe_out=motion.toe_out)
    level = foot_chain(body, still, side, np.zeros(1))[1][0]
    foot = plane @ rotated_about("x", -shank - dorsiflexion) @ plane.T @ level
    return orientations | {bone + suffix: foot for bone in ("foot", *_TOES)}
