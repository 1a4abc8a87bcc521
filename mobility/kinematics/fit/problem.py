"""Data classes of the fit: the problem, further views, its normal equations and its solution."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from mobility.base.options import Load
from mobility.keypoints.sources import MEDIAPIPE
from mobility.kinematics.calibration import rotation_matrix
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
    PointErrors,
    camera_rotation,
    mass_shares,
    point_errors,
    up_of,
    up_slopes,
)


class Stance(NamedTuple):
    """A time in which a foot stays in one place."""

    side: int  # of the foot, 0 left
    first: float  # s
    last: float

    def holds(self, knots: Array) -> Array:
        """Return 1.0 at knots within the stance, and 0.0 at others."""
        return ((knots >= self.first) & (knots <= self.last)).astype(np.float64)


BOTH_FEET = (Stance(0, -np.inf, np.inf), Stance(1, -np.inf, np.inf))


@dataclass(frozen=True)
class Problem:
    """Observations at the knots, and the assumptions of the fit."""

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
    depths: Array = field(default_factory=lambda: np.zeros((0, 0)))  # (n, depth), m, see DEPTHS
    depth_sds: Array = field(default_factory=lambda: np.zeros((0, 0)))
    standing: Array | None = None  # (n,), weight of standing straight
    standing_knee: tuple[float, float] = STANDING_KNEE  # degrees, mean and standard deviation
    without: frozenset[str] = frozenset()  # terms
    prior: tuple[Array, Array] | None = None  # mean and precision of the shared numbers
    views: tuple[View, ...] = ()  # of further cameras
    stature_sd: float = TERMS["stature"]["sd"]
    tilt: tuple[float, float] = (0.0, 0.0)  # of the camera, tangents of pitch and roll
    tilt_sd: tuple[float, float] = TILT_SD
    calibrated: bool = False
    feet_given: bool = False  # whether `planted` was set by the user
    source: str = MEDIAPIPE  # of the keypoints
    load: Load | None = None  # what the subject carries
    has_depth: bool = True  # whether `world` was measured, and not derived from the picture

    @property
    def terms(self) -> frozenset[str]:
        """Terms that are used."""
        absent = {"upright"} if self.planted else {"bends", "feet", "balance"}
        if not self.has_depth:
            absent |= {"depths", "depth_errors"}
        if self.calibrated:
            absent |= {"bends", "standing"}  # several cameras measure the depth
        elif self.standing is None:
            absent |= {"standing", "depth_errors"}
        if "feet" in self.without:
            absent |= {"balance"}  # the places of the feet are undetermined
        return (frozenset(TERMS) | {"views", "places"}) - absent - self.without

    @property
    def footholds(self) -> tuple[Stance, ...]:
        """Stances whose heel and toe positions, in this order, are unknowns of the whole fit."""
        return (self.stances or BOTH_FEET) if self.planted else ()

    @property
    def mass_shares(self) -> Array:
        """Weights of the joints in the centre of mass, with what the subject carries."""
        return mass_shares(self.load)

    @property
    def points(self) -> PointErrors:
        """Errors of the keypoints in the picture."""
        return point_errors(self.source)

    @property
    def step(self) -> float:
        """Seconds between knots."""
        return float(self.knots[1] - self.knots[0])

    @property
    def per_camera(self) -> list[Problem]:
        """Observations from each camera."""
        return [self, *(view.problem for view in self.views)]

    @property
    def n_shared(self) -> int:
        """Number of values that all frames share."""
        return FIRST_FOOT + 6 * len(self.footholds) + sum(view.size for view in self.views)


class Normal(NamedTuple):
    """Gauss-Newton at one point: gradient and Hessian of half the cost, in blocks."""

    cost: float
    diagonal: Array  # (n, 48, 48)
    gradient: Array  # (n * 48,)
    cross: Array  # (n * 48, shared)
    shared_hessian: Array  # (shared, shared)
    shared_gradient: Array
    smooth: float  # weight of the smoothness term


class Solution(NamedTuple):
    """Result of Gauss-Newton."""

    joints: Array  # (n, joint, 3), camera axes
    shared: Array
    normal: Normal
    steps: int


def with_gravity(
    v: Array, across: Array, shared: Array, sd: float
) -> list[tuple[int, Array | float]]:
    """Compute the derivatives of `v`'s forward component with respect to pitch and roll."""
    by_tilt = up_slopes(shared)
    tilted = [(v * np.cross(by_tilt[:, k], across)).sum(axis=-1) / sd for k in (0, 1)]
    return [(PITCH, tilted[0]), (ROLL, tilted[1])]


def usual_angles(problem: Problem) -> tuple[Array, Array]:
    """Return the mean and standard deviation of the usual angles of knees and trunk, in radians."""
    trunk = TERMS["standing" if problem.planted else "upright"]["trunk_deg"]
    mean, sd = np.radians([problem.standing_knee, (trunk["mean"], trunk["sd"])]).T
    return mean, sd


TRANSLATION_SD = 10.0
"""Metres. The prior of a camera's translation is so wide that it only keeps the equations solvable.
"""

ROTATION_SD = 2.0
"""Radians, likewise."""

FIRST_LANDMARK_OFFSET = 8
"""Index within the numbers of a view."""

OFFSET_SD = 0.012
"""Difference, in metres, between the offsets of a landmark in two cameras, beyond the effects of
the view.
"""


class TimeOffset(NamedTuple):
    """Start of a second video: seconds to add to its times to get the times of the first video.

    `likeness` is the correlation of the movements, at most 1; None if lines of sight were used.
    """

    seconds: float
    sd: float
    likeness: float | None


@dataclass(frozen=True)
class View:
    """A further camera: its observations at the knots, and its part of the shared numbers.

    A point x in the axes of the first camera is at ``R x + t`` in the axes of this camera, with ``R
    = exp(w) rotation`` and ``t = translation + shift``. Its shared numbers are w, shift, the
    logarithm of the focal length, a correction of the time offset, and the errors of its depths.
    The differences of the landmarks' offsets from the offsets in the first camera are also shared
    numbers.
    """

    problem: Problem
    velocity: Array  # (n, joint, 2), velocity of the landmarks in the picture, focal lengths per s
    rotation: Array  # (3, 3)
    translation: Array  # (3,), m
    offset: TimeOffset
    first: int  # index of its first shared number
    rotation_sd: float = ROTATION_SD
    translation_sd: float = TRANSLATION_SD
    upright: bool = True  # whether the camera is assumed to be about level

    size = FIRST_LANDMARK_OFFSET + len(OFFSETS) + len(DEPTH_ERRORS)

    @property
    def numbers(self) -> slice:
        """Indices of its shared numbers."""
        return slice(self.first, self.first + self.size)

    @property
    def offsets(self) -> slice:
        """Indices of the differences of its landmarks' offsets from those in the first camera."""
        return slice(self.first + FIRST_LANDMARK_OFFSET, self.errors.start)

    @property
    def errors(self) -> slice:
        """Indices of the errors of its depths."""
        end = self.first + self.size
        return slice(end - len(DEPTH_ERRORS), end)

    def axes(self, shared: Array) -> tuple[Array, Array]:
        """Return the rotation and translation from the axes of the first camera."""
        numbers = shared[self.numbers]
        return rotation_matrix(numbers[:3]) @ self.rotation, self.translation + numbers[3:6]

    def towards_camera(self, shared: Array) -> Array:
        """Return the horizontal direction towards this camera, in the axes of the first."""
        rotation, _ = self.axes(shared)
        towards: Array = rotation.T @ camera_rotation(self.local(shared))[2]
        return towards

    def time_correction(self, shared: Array) -> float:
        """Return the seconds to add to the time offset."""
        return float(shared[self.first + 7])

    def local(self, shared: Array) -> Array:
        """Return the shared numbers in this camera's axes, with its lens, offsets and depths."""
        up = self.axes(shared)[0] @ up_of(shared)
        local = shared.copy()
        local[FOCAL_FACTOR] = shared[self.first + 6]
        local[FIRST_OFFSET:FIRST_DEPTH_ERROR] += shared[self.offsets]
        local[FIRST_DEPTH_ERROR:FIRST_FOOT] = shared[self.errors]
        local[PITCH], local[ROLL] = up[2] / up[1], up[0] / up[1]
        return local


def part_of(problem: Problem, rows: slice) -> Problem:
    """Restrict a problem to some of its knots."""
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
