"""Single joints of the parametric body that move there and back, while all else stands.

The body is first let stand in balance, as before a squat, with the arms hanging; then the limb that
moves is posed anew at every instant. The ankle moves as it does under the body's weight: both knees
go forward over the feet, heels on the floor.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from mobility.options import Strict
from mobility.virtual_lab.body import JOINT_BONES, SUFFIX, Body, keypoints, transforms
from mobility.virtual_lab.squat import (
    SIDE_SIGN,
    Squat,
    Trial,
    _about,
    _arm,
    _foot,
    _frame,
    _minimum_jerk,
    _rest_forward,
    _unit,
    perform,
)

Array = NDArray[np.float64]

Movement = Literal[
    "elbow_flexion",
    "shoulder_flexion",
    "shoulder_abduction",
    "hip_flexion",
    "knee_flexion",
    "ankle_dorsiflexion",
]

RANGES = {
    "elbow_flexion": (0.0, 150.0),
    "shoulder_flexion": (-40.0, 178.0),
    "shoulder_abduction": (2.0, 178.0),
    "hip_flexion": (-20.0, 125.0),
    "knee_flexion": (2.0, 140.0),
    "ankle_dorsiflexion": (0.0, 45.0),
}
"""Degrees, least and most that can be asked of each."""

REST = {
    "elbow_flexion": 8.0,
    "shoulder_flexion": 0.0,
    "shoulder_abduction": 8.0,
    "hip_flexion": 0.0,
    "knee_flexion": 6.0,
    "ankle_dorsiflexion": 3.0,
}
"""Degrees, from where each moves."""

_SHANK_DROPS = 0.9
"""Degrees of knee flexion with each degree of hip flexion: the shank nearly hangs."""

_LUNGE_DEPTH = 0.62
"""Percent of depth with each degree of shank inclination, heels on the floor."""


class JointMotion(Strict):
    """What is asked of the subject.

    Attributes
    ----------
    movement
        Which angle moves. "hip_flexion" raises the knee with a hanging shank; "knee_flexion" brings
        the heel to the bottom; "ankle_dorsiflexion" brings both knees over the feet (`side` is
        then "both").
    side
        "left", "right" or "both" of the subject.
    to
        Degrees at the turn, as commanded; the angles between joint centres differ by some degrees
        (the trunk leans by 2) and are in the truth.
    elbow_to
        Flexion of the elbow at the turn of a shoulder that moves, degrees; None: as at rest.
    repetitions, out_s, hold_s, back_s, pause_s, lead_s
        How often; seconds out, at the turn, back, between two, and at the start and the end.
    arm_spread
        By how much the hanging arms stand off the trunk, degrees.
    toe_out
        Turn of the feet, and of the plane in which a leg moves, outwards, degrees.
    """

    movement: Movement
    side: Literal["left", "right", "both"] = "both"
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
        low, high = RANGES[self.movement]
        if not low <= self.to <= high:
            raise ValueError(
                f"to: {self.movement} should be from {low:g} to {high:g} (got {self.to:g})"
            )
        if self.movement == "ankle_dorsiflexion" and self.side != "both":
            raise ValueError("side: ankle_dorsiflexion moves both")
        if self.elbow_to is not None and not self.movement.startswith("shoulder"):
            raise ValueError("elbow_to: is for a shoulder that moves")
        return self

    @property
    def sides(self) -> tuple[str, ...]:
        """The sides that move."""
        return tuple(SUFFIX) if self.side == "both" else (self.side,)


def joint_duration_s(motion: JointMotion) -> float:
    """Duration of the trial, seconds."""
    each = motion.out_s + motion.hold_s + motion.back_s
    return 2 * motion.lead_s + motion.repetitions * each + (motion.repetitions - 1) * motion.pause_s


def perform_joint(body: Body, motion: JointMotion, time: Array) -> Trial:
    """Let the body move a joint there and back.

    Parameters
    ----------
    body
        Who.
    motion
        What.
    time
        When it is looked at, (time,) seconds from the start of the trial.

    Returns
    -------
    Trial
        As of a squat; `bottom` is the middle of the turn, `depth` is NaN.

    Raises
    ------
    BadInputError
        This body cannot do it.
    """
    each = motion.out_s + motion.hold_s + motion.back_s
    first = np.full(motion.repetitions, motion.lead_s, dtype=np.float64)
    start: Array = first + np.arange(motion.repetitions) * (each + motion.pause_s)
    progress = np.zeros(len(time))
    for begin in start:
        progress += _minimum_jerk((time - begin) / motion.out_s)
        progress -= _minimum_jerk((time - begin - motion.out_s - motion.hold_s) / motion.back_s)
    rest = REST[motion.movement]
    angle = np.radians(rest + (motion.to - rest) * progress)

    rest_bend = REST["elbow_flexion"]
    posed, mid_hip = _stance(body, motion, time)
    for side in SUFFIX:
        spread = np.full(len(time), np.radians(motion.arm_spread))
        raised, bend, sideways = (
            np.zeros(len(time)),
            np.full(len(time), np.radians(rest_bend)),
            False,
        )
        if side in motion.sides:
            if motion.movement == "elbow_flexion":
                bend = angle
            elif motion.movement == "shoulder_flexion":
                raised = angle
            elif motion.movement == "shoulder_abduction":
                raised, sideways = angle, True
            if motion.elbow_to is not None:
                bend = np.radians(rest_bend + (motion.elbow_to - rest_bend) * progress)
        posed |= _arm(body, posed["spine01"], side, spread, raised, bend, sideways=sideways)
    if motion.movement in ("hip_flexion", "knee_flexion"):
        for side in motion.sides:
            thigh, knee = np.full(len(time), np.radians(2.0)), angle
            if motion.movement == "hip_flexion":
                # The knee of a raised thigh hangs; standing it is bent as much as it always is.
                thigh = angle
                knee = np.radians(REST["knee_flexion"]) + _SHANK_DROPS * np.maximum(angle, 0.0)
            posed |= _leg(body, motion, side, thigh, knee)
    orientation, position = transforms(body, posed, mid_hip)
    return Trial(
        time=time,
        orientation=orientation,
        position=position,
        points=keypoints(body, orientation, position),
        start=start,
        bottom=start + motion.out_s + motion.hold_s / 2,
        end=start + each,
        depth=np.full(motion.repetitions, np.nan),
    )


def _stance(body: Body, motion: JointMotion, time: Array) -> tuple[dict[str, Array], Array]:
    """Orientations of the bones that a squat poses, and the mid-hip, of who stands or lunges."""
    if motion.movement == "ankle_dorsiflexion":
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
    names = [name for name in body.bones if _is_posed(name)]
    shape = (len(time), 3, 3)
    posed = {
        name: np.broadcast_to(trial.orientation[:, body.bone(name)], shape).copy() for name in names
    }
    hips = (trial.points["left_hip"] + trial.points["right_hip"]) / 2
    return posed, np.broadcast_to(hips, (len(time), 3)).copy()


def _is_posed(name: str) -> bool:
    trunk = ("root", "spine05", "spine04", "spine03", "spine02", "spine01")
    head = ("neck01", "neck02", "head")
    base = name.rsplit(".", 1)[0]
    toes = base.startswith("toe") and base.endswith("-1")
    return name in trunk + head or base in ("upperleg01", "lowerleg01", "foot") or toes


def _leg(body: Body, motion: JointMotion, side: str, thigh: Array, knee: Array) -> dict[str, Array]:
    """Orientations of the bones of a leg that swings in its vertical plane; radians."""
    suffix = SUFFIX[side]
    out = SIDE_SIGN[side] * np.radians(motion.toe_out)
    plane = _about("y", np.asarray(out))
    shank = thigh - knee

    def hanging(angle: Array) -> Array:
        down = np.stack([np.zeros_like(angle), -np.cos(angle), np.sin(angle)], axis=1)
        swung: Array = down @ plane.T
        return swung

    hinge = np.broadcast_to(plane @ np.array([-1.0, 0.0, 0.0]), (len(thigh), 3))
    rest = {joint: body.joint(joint, side) for joint in JOINT_BONES}
    hinge_rest = _unit(np.cross(rest["ankle"] - rest["hip"], _rest_forward(body, side)))
    found = {
        "upperleg01" + suffix: _frame(hanging(thigh), hinge)
        @ _frame(rest["knee"] - rest["hip"], hinge_rest).T,
        "lowerleg01" + suffix: _frame(hanging(shank), hinge)
        @ _frame(rest["ankle"] - rest["knee"], hinge_rest).T,
    }
    # The foot keeps its angle to the shank.
    still = Squat(repetitions=1, toe_out=motion.toe_out)
    level = _foot(body, still, side, np.zeros(1))[1][0]
    foot = plane @ _about("x", -shank) @ plane.T @ level
    found["foot" + suffix] = foot
    for toe in range(1, 6):
        found[f"toe{toe}-1{suffix}"] = foot
    return found
