"""What the fit is given, its linearised form, and what it found."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from mobility.kinematics.calibration import rotation
from mobility.kinematics.fit.body import (
    DEPTH_ERRORS,
    FIRST_DEPTH_ERROR,
    FIRST_FOOT,
    FIRST_OFFSET,
    FOCAL_FACTOR,
    OFFSETS,
    PITCH,
    ROLL,
    STANDING_KNEE,
    TERMS,
    TILT_SD,
    Array,
    camera_rotation,
    up_of,
    up_slopes,
)


class Stance(NamedTuple):
    """Time in which a foot stays at one place."""

    side: int  # of the foot, 0 left
    first: float  # s
    last: float

    def holds(self, knots: Array) -> Array:
        """Which knots it holds, as numbers."""
        return ((knots >= self.first) & (knots <= self.last)).astype(np.float64)


BOTH_FEET = (Stance(0, -np.inf, np.inf), Stance(1, -np.inf, np.inf))


@dataclass(frozen=True)
class Problem:
    """What is observed at the knots."""

    knots: Array  # (n,), s
    image: Array  # (n, joint, 2), right and up of the centre, in focal lengths
    world: Array  # (n, joint, 3), m
    weight: Array  # (n, joint)
    focal_sd: float
    stature: float  # logarithm
    planted: bool = False
    stances: tuple[Stance, ...] = ()  # of planted feet; none: both stay all the time
    distance: Array = field(default_factory=lambda: np.zeros(0))  # (n,), m
    scale: float = 1.0  # of the world landmarks
    depths: Array = field(default_factory=lambda: np.zeros((0, 0)))  # (n, depth), m
    depth_sds: Array = field(default_factory=lambda: np.zeros((0, 0)))
    standing: Array | None = None  # (n,), weight of standing straight
    standing_knee: tuple[float, float] = STANDING_KNEE  # degrees, mean and standard deviation
    without: frozenset[str] = frozenset()  # terms
    prior: tuple[Array, Array] | None = None  # mean and precision of what is shared
    views: tuple[View, ...] = ()  # of further cameras
    stature_sd: float = TERMS["stature"]["sd"]
    tilt: tuple[float, float] = (0.0, 0.0)  # of the camera, tangents of pitch and roll
    tilt_sd: tuple[float, float] = TILT_SD
    calibrated: bool = False
    feet_said: bool = False  # whether the feet stay was said, and not seen

    @property
    def terms(self) -> frozenset[str]:
        """Terms that apply."""
        apart = {"upright"} if self.planted else {"bends", "feet", "balance"}
        if self.calibrated:
            apart |= {"bends", "standing"}  # several cameras measure the depth
        elif self.standing is None:
            apart |= {"standing", "depth_errors"}
        if "feet" in self.without:
            apart |= {"balance"}  # over feet whose places nothing tells
        return (frozenset(TERMS) | {"views", "places"}) - apart - self.without

    @property
    def footholds(self) -> tuple[Stance, ...]:
        """Stances whose places are among what is shared, heel and toe of each in turn."""
        return (self.stances or BOTH_FEET) if self.planted else ()

    @property
    def step(self) -> float:
        """Seconds between knots."""
        return float(self.knots[1] - self.knots[0])

    @property
    def each(self) -> list[Problem]:
        """What each of the cameras observed."""
        return [self, *(view.problem for view in self.views)]

    @property
    def n_shared(self) -> int:
        """How many numbers all frames share."""
        return FIRST_FOOT + 6 * len(self.footholds) + sum(view.size for view in self.views)


class Normal(NamedTuple):
    """Gauss-Newton at one point: gradient and Hessian of half the cost, in blocks."""

    cost: float
    diagonal: Array  # (n, 48, 48)
    gradient: Array  # (n * 48,)
    cross: Array  # (n * 48, shared)
    shared_hessian: Array  # (shared, shared)
    shared_gradient: Array
    smooth: float


class Solution(NamedTuple):
    """Where Gauss-Newton ended."""

    joints: Array  # (n, joint, 3), camera axes
    shared: Array
    normal: Normal
    steps: int


def with_gravity(
    v: Array, across: Array, shared: Array, sd: float
) -> list[tuple[int, Array | float]]:
    """Slopes by the tilt of the camera of the part of `v` forwards, which turns with gravity."""
    turn = up_slopes(shared)
    tilted = [(v * np.cross(turn[:, k], across)).sum(axis=-1) / sd for k in (0, 1)]
    return [(PITCH, tilted[0]), (ROLL, tilted[1])]


def usual_angles(problem: Problem) -> tuple[Array, Array]:
    """Mean and standard deviation of the usual angles of knees and trunk, radians."""
    trunk = TERMS["standing" if problem.planted else "upright"]["trunk_deg"]
    mean, sd = np.radians([problem.standing_knee, (trunk["mean"], trunk["sd"])]).T
    return mean, sd


PLACE_SD = 10.0
"""Metres, of a camera; it only keeps the equations solvable."""

OFFSETS_AT = 8
OFFSET_SD = 0.012
"""Metres, between the offsets of a landmark in two cameras, apart from what goes with the view."""

TURN_SD = 2.0
"""Radians, likewise."""


class TimeOffset(NamedTuple):
    """When a second video was started: seconds to be added to its times to get those of the first.

    `likeness` is the correlation of the movements, at most 1; None where lines of sight told it.
    """

    seconds: float
    sd: float
    likeness: float | None


@dataclass(frozen=True)
class View:
    """A further camera: what it saw at the knots, and its numbers among what is shared.

    A point x in the axes of the first camera is at ``R x + t`` in those of this one, with
    ``R = exp(w) turn`` and ``t = place + shift``. In the border are w, shift, the logarithm of the
    focal length, what is to be added to the time offset, by how much the landmarks' offsets from
    the joints differ from those in the first camera, and the errors of the depths that it tells.
    """

    problem: Problem
    velocity: Array  # (n, joint, 2), of the landmarks in the picture, focal lengths per s
    turn: Array  # (3, 3)
    place: Array  # (3,), m
    offset: TimeOffset
    first: int  # place among what is shared
    turn_sd: float = TURN_SD
    place_sd: float = PLACE_SD
    upright: bool = True  # held about upright, for all that is known

    size = OFFSETS_AT + len(OFFSETS) + len(DEPTH_ERRORS)

    @property
    def own(self) -> slice:
        """Its places among what is shared."""
        return slice(self.first, self.first + self.size)

    @property
    def offsets(self) -> slice:
        """Places of how its landmarks lie off the joints otherwise than in the first camera."""
        return slice(self.first + OFFSETS_AT, self.errors.start)

    @property
    def errors(self) -> slice:
        """Places of the errors of its depths."""
        end = self.first + self.size
        return slice(end - len(DEPTH_ERRORS), end)

    def axes(self, shared: Array) -> tuple[Array, Array]:
        """Rotation and translation from the axes of the first camera."""
        own = shared[self.own]
        return rotation(own[:3]) @ self.turn, self.place + own[3:6]

    def back(self, shared: Array) -> Array:
        """Direction horizontally towards this camera, in the axes of the first."""
        turn, _ = self.axes(shared)
        towards: Array = turn.T @ camera_rotation(self.local(shared))[2]
        return towards

    def late(self, shared: Array) -> float:
        """Seconds to be added to the time offset."""
        return float(shared[self.first + 7])

    def local(self, shared: Array) -> Array:
        """Shared numbers as they are in the axes of this camera."""
        up = self.axes(shared)[0] @ up_of(shared)
        local = shared.copy()
        local[FOCAL_FACTOR] = shared[self.first + 6]
        local[FIRST_OFFSET:FIRST_DEPTH_ERROR] += shared[self.offsets]
        local[FIRST_DEPTH_ERROR:FIRST_FOOT] = shared[self.errors]
        local[PITCH], local[ROLL] = up[2] / up[1], up[0] / up[1]
        return local


def part_of(problem: Problem, rows: slice) -> Problem:
    """Only some of the knots."""
    return replace(
        problem,
        knots=problem.knots[rows],
        image=problem.image[rows],
        world=problem.world[rows],
        weight=problem.weight[rows],
        distance=problem.distance[rows],
        depths=problem.depths[rows],
        depth_sds=problem.depth_sds[rows],
        standing=None if problem.standing is None else problem.standing[rows],
        views=tuple(
            replace(view, problem=part_of(view.problem, rows), velocity=view.velocity[rows])
            for view in problem.views
        ),
    )
