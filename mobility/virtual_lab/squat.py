"""A squat of the parametric body with the requested settings.

The feet are planted and the legs follow by two-link inverse kinematics. The body keeps its balance:
the hips are far enough forward for the centre of mass to be over the feet, and the trunk leans so
that the centre of mass moves over the middle of the feet as the squat deepens.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from mobility.errors import BadInputError
from mobility.kinematics.skeleton import Array
from mobility.virtual_lab.parametric_body import SUFFIX, Body, keypoints, transforms
from mobility.virtual_lab.standing_body import (
    Legs,
    Phases,
    Seconds,
    Stance,
    Trial,
    centre_of_mass,
    foot_chain,
    heel_and_toe,
    leg_rotations,
    legs_over,
    solve,
    standing_in_balance,
    upper_body,
)


class Squat(Stance):
    """Settings of the motion, besides those of standing.

    Attributes
    ----------
    repetitions
        Number of repetitions.
    depth
        How far the mid-hip descends, in percent of its standing height above the ankles; one
        number, or one for each repetition. The thighs are level near 55.
    descent_s, bottom_s, ascent_s, pause_s
        Duration of the phases of a repetition and of the pause between two repetitions, in seconds.
    lead_s
        Seconds of standing at the start and at the end.
    tibia_inclination
        Mean inclination of the two shanks at the greatest depth, degrees from the vertical.
    shift_m
        Sideways shift of the pelvis to the subject's left at the greatest depth, metres.
    pelvis_drop
        Drop of the left side of the pelvis at the greatest depth, degrees.
    pelvis_turn
        Turn of the pelvis to the subject's left at the greatest depth, degrees; the thorax hardly
        follows.
    """

    repetitions: Annotated[int, Field(ge=1, le=30)] = 3
    depth: Annotated[float, Field(gt=5, le=75)] | list[Annotated[float, Field(gt=5, le=75)]] = 55.0
    descent_s: Annotated[float, Field(ge=0.3, le=30)] = 1.5
    bottom_s: Seconds = 0.3
    ascent_s: Annotated[float, Field(ge=0.3, le=30)] = 1.3
    pause_s: Seconds = 0.8
    lead_s: Seconds = 1.2
    tibia_inclination: Annotated[float, Field(ge=0, le=60)] = 32.0
    shift_m: Annotated[float, Field(ge=-0.3, le=0.3)] = 0.0
    pelvis_drop: Annotated[float, Field(ge=-20, le=20)] = 0.0
    pelvis_turn: Annotated[float, Field(ge=-20, le=20)] = 0.0

    @property
    def phases(self) -> Phases:
        """Phases of the motion."""
        seconds = (self.lead_s, self.descent_s, self.bottom_s, self.ascent_s, self.pause_s)
        return Phases(self.repetitions, *seconds)


def perform(body: Body, squat: Squat, time: Array) -> Trial:
    """Perform squats, at `time`, (time,) seconds from the start of the trial.

    A squat in which this body would fall raises an error.
    """
    depths = np.atleast_1d(np.asarray(squat.depth, dtype=float))
    if depths.size == 1:
        depths = np.repeat(depths, squat.repetitions)
    if depths.size != squat.repetitions:
        raise BadInputError(
            f"squat: there are {depths.size} depths for {squat.repetitions} repetitions; set "
            "one depth, or one for each repetition"
        )
    start, bottom, end, shares = squat.phases.at(time)
    depth = (depths[:, None] * shares).sum(axis=0)
    progress = depth / depths.max()

    soles = {side: foot_chain(body, squat, side, progress) for side in SUFFIX}
    roll = -np.radians(squat.pelvis_drop) * progress
    turn = np.radians(squat.pelvis_turn) * progress
    floor_ankle = float(np.mean([body.joint("ankle", side)[1] for side in SUFFIX]))
    standing = standing_in_balance(body, squat)
    mid_hip = np.zeros((len(time), 3))
    mid_hip[:, 0] = squat.shift_m * progress
    # Overextended knees straighten first, which raises the hips, and then bend.
    lowered = standing.height * depth / 100.0 - standing.beyond * (1.0 - 2.0 * progress)
    bending = np.where(lowered < -1e-9, -1.0, 1.0)  # rounding must not bend a knee back
    mid_hip[:, 1] = floor_ankle + standing.height + standing.beyond - np.abs(lowered)

    def legs(fore_aft: Array, bending: Array | float = 1.0) -> Legs:
        centre = mid_hip.copy()
        centre[:, 2] = fore_aft
        deep = dict.fromkeys(SUFFIX, progress)
        return legs_over(body, squat, soles, roll, deep, centre, bending, turn=turn)

    first = abs(squat.standing_knee_flexion) / 2
    wanted = first + (squat.tibia_inclination - first) * progress
    squatting = solve(lambda z: legs(z).inclination - wanted, np.full(len(time), -0.6), 0.3)
    inclined = legs(squatting)
    mid_hip[:, 2] = progress * squatting + (1.0 - progress) * standing.fore_aft
    placed = legs(mid_hip[:, 2], bending)
    short = max(placed.short.max(), inclined.short.max())
    if short > 1e-6 or np.abs(inclined.inclination - wanted).max() > 0.01:
        raise BadInputError(
            "squat: the legs of this body do not reach the floor; reduce depth, stance_width, "
            "stagger_m,"
            " shift_m, pelvis_drop, pelvis_turn or tibia_inclination"
        )
    rotations = leg_rotations(body, soles, placed)

    middle = np.mean(
        [points[:, 2] for side in SUFFIX for points in heel_and_toe(body, soles[side], side)],
        axis=0,
    )

    def ahead(lean: Array) -> Array:
        upper_body(body, squat, rotations, roll, lean, progress, turn=turn)
        return centre_of_mass(body, *transforms(body, rotations, mid_hip))[:, 2]

    upright = np.full(len(time), np.radians(squat.standing_lean))
    target = middle * progress + ahead(upright) * (1.0 - progress)
    lean = solve(
        lambda angle: ahead(angle) - target,
        np.full(len(time), np.radians(-30.0)),
        np.radians(95.0),
        steps=40,
    )
    if np.abs(ahead(lean) - target).max() > 0.001:
        raise BadInputError(
            "squat: no lean of the trunk keeps this body from falling; reduce depth or"
            " lumbar_flexion, or bring tibia_inclination closer to 32"
        )
    upper_body(body, squat, rotations, roll, lean, progress, turn=turn)
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
