"""A person who stands up from a chair and sits down again.

The feet are planted and the thighs rest on the seat until the trunk has nearly leaned forwards.
Then the hips leave the seat (seat-off), and the trunk rises with them. Sitting down is the reverse.
"""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

import numpy as np
from pydantic import Field

from mobility.errors import BadInputError
from mobility.kinematics.skeleton import Array
from mobility.virtual_lab.parametric_body import SUFFIX, Body, keypoints, transforms
from mobility.virtual_lab.standing_body import (
    Corners,
    Seconds,
    Stance,
    Trial,
    centre_of_mass,
    foot_chain,
    heel_and_toe,
    leg_rotations,
    legs_over,
    minimum_jerk,
    segment_length,
    solve,
    standing_in_balance,
    upper_body,
)

LEAVES = 0.75
"""Share of the forward lean after which the hips leave the seat. The trunk continues to lean
forward until its largest flexion soon afterwards (Schenkman et al. 1990, Phys Ther 70:638).
"""

BEHIND_M = 0.06
"""How far the centre of mass may be behind the heels at seat-off; momentum carries it forward."""

_SINKS_M = 0.02
_LEG_M = 0.03
_BACK_M = 0.42
"""In metres: how far a body sinks into the seat, the thickness of the chair's legs, and the height
of the backrest above the seat.
"""


class SitToStand(Stance):
    """Settings of the motion, besides those of standing.

    The settings of :class:`~mobility.virtual_lab.standing_body.Stance` at the greatest depth apply
    to sitting, except `knees_in`, which applies to the largest lean of the trunk.

    Attributes
    ----------
    kind
        Name of this motion.
    repetitions
        Number of times that the subject stands up.
    starts, ends
        Whether the subject sits or stands at the start and at the end. A subject who stands at the
        start sits down before the first repetition.
    lead_s
        Seconds at the start and at the end.
    lean_s, rise_s, stand_s, sit_s, seated_s
        Seconds in which the trunk leans forwards (and, after sitting down, back), in which the hips
        rise, stay up and go down, and for the pause on the seat between two repetitions.
    seat_height_m
        Height above the floor.
    seated_tibia_inclination
        Mean inclination of the two shanks while seated, degrees from the vertical.
    seated_lean, trunk_lean
        Forward lean of the pelvis and trunk, while seated and at its largest, in degrees. With
        `lumbar_flexion` the seated pelvis leans less by that angle.
    shift_m
        Sideways shift of the pelvis to the subject's left half-way up, metres.
    backrest
        Whether the chair has a backrest.
    """

    kind: Literal["sit-to-stand"]
    repetitions: Annotated[int, Field(ge=1, le=30)] = 3
    starts: Literal["seated", "standing"] = "seated"
    ends: Literal["seated", "standing"] = "seated"
    lead_s: Seconds = 1.0
    lean_s: Annotated[float, Field(ge=0.2, le=10)] = 0.7
    rise_s: Annotated[float, Field(ge=0.3, le=30)] = 1.1
    stand_s: Seconds = 0.8
    sit_s: Annotated[float, Field(ge=0.3, le=30)] = 1.3
    seated_s: Seconds = 0.8
    seat_height_m: Annotated[float, Field(ge=0.3, le=0.7)] = 0.45
    seated_tibia_inclination: Annotated[float, Field(ge=-10, le=35)] = 16.0
    seated_lean: Annotated[float, Field(ge=-20, le=30)] = 3.0
    trunk_lean: Annotated[float, Field(ge=5, le=80)] = 48.0
    shift_m: Annotated[float, Field(ge=-0.2, le=0.2)] = 0.0
    backrest: bool = True
    stance_width: Annotated[float, Field(ge=0.3, le=2.5)] = 0.75
    standing_knee_flexion: Annotated[float, Field(ge=0.5, le=40)] = 5.0
    lumbar_flexion: Annotated[float, Field(ge=-30, le=60)] = 15.0
    arms: Literal["forward", "hanging", "crossed"] = "crossed"
    arm_fall: Annotated[float, Field(ge=-20, le=120)] = 0.0

    @property
    def phases(self) -> Rises:
        """Phases of the motion."""
        return Rises(self)


class _Times(NamedTuple):
    """Seconds of each repetition; NaN if the subject does not sit down."""

    start: Array  # the trunk begins to lean forwards
    seat_off: Array
    standing: Array
    descent: Array  # begins
    seated: Array  # the hips are on the seat
    end: Array  # the trunk is upright again, or the subject stands


class Rises:
    """Times of a :class:`SitToStand`."""

    def __init__(self, motion: SitToStand) -> None:
        self._motion = motion

    @property
    def each_s(self) -> float:
        """Duration of a repetition from sitting to sitting."""
        m = self._motion
        return 2 * LEAVES * m.lean_s + m.rise_s + m.stand_s + m.sit_s

    @property
    def _first_s(self) -> float:
        m = self._motion
        sits = m.sit_s + LEAVES * m.lean_s + m.seated_s
        return m.lead_s + (sits if m.starts == "standing" else 0.0)

    @property
    def duration_s(self) -> float:
        """Duration of the trial."""
        return float(self.times.end[-1]) + self._motion.lead_s

    @property
    def times(self) -> _Times:
        """Times of each repetition."""
        m = self._motion
        number = np.arange(m.repetitions, dtype=np.float64)
        start: Array = self._first_s + number * (self.each_s + m.seated_s)
        seat_off = start + LEAVES * m.lean_s
        standing = seat_off + m.rise_s
        descent = standing + m.stand_s
        seated = descent + m.sit_s
        end = seated + LEAVES * m.lean_s
        if m.ends == "standing":
            descent[-1] = seated[-1] = np.nan
            end[-1] = standing[-1]
        return _Times(start, seat_off, standing, descent, seated, end)

    def at(self, time: Array) -> tuple[Array, Array]:
        """Return how far the hips have risen and how far the trunk leans, 0 to 1, (time,) each."""
        m, times = self._motion, self.times
        further = (1.0 - LEAVES) * m.lean_s
        risen = np.zeros(len(time))
        leaned = np.zeros(len(time))

        def step(since: float, seconds: float) -> Array:
            return minimum_jerk((time - since) / seconds)

        def sits(descent: float) -> None:
            nonlocal risen, leaned
            most = descent + m.sit_s - further
            risen -= step(descent, m.sit_s)
            leaned += step(descent, m.sit_s - further) - step(most, m.lean_s)

        if m.starts == "standing":
            risen += 1.0
            sits(m.lead_s)
        for start, seat_off, descent in zip(
            times.start, times.seat_off, times.descent, strict=True
        ):
            risen += step(seat_off, m.rise_s)
            leaned += step(start, m.lean_s) - step(start + m.lean_s, m.rise_s - further)
            if np.isfinite(descent):
                sits(descent)
        return risen, leaned


def perform_sit_to_stand(body: Body, motion: SitToStand, time: Array) -> Trial:
    """Perform sit-to-stand repetitions, at `time`, (time,) seconds from the start of the trial.

    A motion in which this body would fall raises an error. `bottom` is the middle of standing,
    `depth` is NaN.
    """
    risen, leaned = motion.phases.at(time)
    seated = 1.0 - risen
    soles = {side: foot_chain(body, motion, side, seated) for side in SUFFIX}
    standing = standing_in_balance(body, motion)
    level = np.zeros(len(time))
    floor_ankle = float(np.mean([body.joint("ankle", side)[1] for side in SUFFIX]))
    flesh = _flesh(body)
    on_seat = motion.seat_height_m + flesh - _SINKS_M
    up = floor_ankle + standing.height
    mid_hip = np.zeros((len(time), 3))
    mid_hip[:, 0] = 4.0 * motion.shift_m * risen * seated
    mid_hip[:, 1] = on_seat + (up - on_seat) * risen

    # The path of the hips is that with knees over the feet, whatever the knees do then.
    straight = motion.model_copy(update={"knees_in": 0.0})
    first = motion.standing_knee_flexion / 2
    wanted = first + (motion.seated_tibia_inclination - first) * seated

    def inclination(fore_aft: Array) -> Array:
        centre = mid_hip * (0.0, 1.0, 0.0)
        centre[:, 2] = fore_aft
        knees = dict.fromkeys(SUFFIX, level)
        return legs_over(body, straight, soles, level, knees, centre).inclination

    path = solve(lambda z: inclination(z) - wanted, np.full(len(time), -0.7), 0.3)
    inclination_error = np.abs(inclination(path) - wanted).max()
    mid_hip[:, 2] = seated * path + risen * standing.fore_aft
    legs = legs_over(body, motion, soles, level, dict.fromkeys(SUFFIX, leaned), mid_hip)
    if legs.short.max() > 1e-6 or inclination_error > 0.01:
        raise BadInputError(
            "sit-to-stand: the legs of this body do not reach the floor and the seat; change "
            "seat_height_m or"
            " seated_tibia_inclination, or reduce stance_width, stagger_m or shift_m"
        )
    rotations = leg_rotations(body, soles, legs)
    resting = motion.seated_lean * seated + motion.standing_lean * risen
    lean = np.radians(resting + (motion.trunk_lean - resting) * leaned)
    upper_body(body, motion, rotations, level, lean, seated)
    orientation, position = transforms(body, rotations, mid_hip)
    _balanced(body, soles, risen, centre_of_mass(body, orientation, position)[:, 2])
    times = motion.phases.times
    return Trial(
        time=time,
        orientation=orientation,
        position=position,
        points=keypoints(body, orientation, position),
        start=times.start,
        bottom=times.standing + motion.stand_s / 2,
        end=times.end,
        depth=np.full(motion.repetitions, np.nan),
        furniture=_chair(body, motion, soles, mid_hip[np.argmin(risen)]),
        more={name: getattr(times, name) for name in ("seat_off", "standing", "descent", "seated")},
    )


def _balanced(
    body: Body, soles: dict[str, tuple[Array, Array, Array]], risen: Array, centre: Array
) -> None:
    """Raise if the subject has left the seat and would fall back or over the toes."""
    heels, toes = (
        np.mean([heel_and_toe(body, soles[side], side)[end][:, 2] for side in SUFFIX], axis=0)
        for end in (0, 1)
    )
    behind = heels - centre - BEHIND_M * np.clip(1.0 - 2.0 * risen, 0.0, 1.0)
    up = risen > 0.02
    if (behind[up] > 0).any():
        raise BadInputError(
            "sit-to-stand: this body falls back into the chair; raise trunk_lean or"
            " seated_tibia_inclination"
        )
    if (centre[up] > toes[up]).any():
        raise BadInputError(
            "sit-to-stand: this body falls over its toes; reduce trunk_lean or"
            " seated_tibia_inclination"
        )


def _flesh(body: Body) -> float:
    """Return the height of the hips above the surface of the seat, in metres."""
    bears = ("root", "pelvis", "upperleg01")
    names = np.array([name.startswith(bears) for name in body.bones])
    return float(-(body.vertices[names[body.main_bones]] - body.mid_hip)[:, 2].min())


def _chair(
    body: Body, motion: SitToStand, soles: dict[str, tuple[Array, Array, Array]], hips: Array
) -> tuple[Corners, ...]:
    """Return boxes of the chair under the hips, clear of the calves in standing."""
    ankles = min(float(soles[side][2][0, 2]) for side in SUFFIX)
    thigh = segment_length(body, "hip", "knee", "left")
    back = float(hips[2]) - _flesh(body) - 0.09
    front = min(float(hips[2]) + 0.6 * thigh, ankles - 0.10)
    top, half = motion.seat_height_m, 0.22
    sides, ends = (-half, half - _LEG_M), (back, front - _LEG_M)
    boxes: list[Corners] = [((-half, top - 0.05, back), (half, top, front))]
    boxes += [((x, 0.0, z), (x + _LEG_M, top - 0.05, z + _LEG_M)) for x in sides for z in ends]
    if motion.backrest:
        posts = [((x, top, back), (x + _LEG_M, top + _BACK_M, back + _LEG_M)) for x in sides]
        rail = ((-half, top + 0.18, back), (half, top + _BACK_M, back + _LEG_M))
        boxes += [*posts, rail]
    return tuple(boxes)
