"""Ground reaction and joint moments of a body whose joints are known: arrays, no Datasets.

Joints are (time, joint, 3) in the order of :data:`~mobility.kinematics.skeleton.FITTED`, in metres
with y up. Forces and moments are those of a body of 1 kg: N/kg and Nm/kg.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mobility import tables
from mobility.kinematics.skeleton import FITTED, SIDES, Array, direction
from mobility.leg_loads.body_mass import SEGMENTS, Segments, segment_centres

GRAVITY = float(tables.load("leg_loads")["gravity_m_s2"])
UP = np.array([0.0, 1.0, 0.0])
JOINTS = ("ankle", "knee", "hip")
"""Joints of a leg in the order in which moments are computed."""

_EXTENDS = np.array([-1.0, 1.0, -1.0])
"""Sign of a moment about the axis to the subject's right that extends the joint: plantar flexion,
knee extension, hip extension."""

_BENT = 0.2
"""Sine of the knee flexion at which the plane of the leg counts as much as the direction of the
foot in the flexion axis; a straight leg has no plane."""


def of_joint(joints: Array, name: str) -> Array:
    """Return a paired joint, (time, side, 3), left first."""
    return joints[:, [FITTED.index(f"{side}_{name}") for side in SIDES]]


@dataclass(frozen=True)
class Motion:
    """How segments accelerate.

    ``linear`` (time, segment, 3) in m/s²; ``turning`` (time, side, 3 segments of a leg, 3) in
    rad/s².
    """

    linear: Array
    turning: Array


def motion_of(joints: Array, step: float, segments: Segments = SEGMENTS) -> Motion:
    """Differentiate joints at regular times, `step` seconds apart, that are already low-passed."""

    def twice(values: Array) -> Array:
        return np.asarray(np.gradient(np.gradient(values, step, axis=0), step, axis=0))

    line = direction(_leg_lines(joints))
    return Motion(twice(segment_centres(joints, segments)), np.cross(line, twice(line)))


def _leg_lines(joints: Array) -> Array:
    """Return thigh, shank and foot as vectors (time, side, 3 segments, 3)."""
    ends = (("hip", "knee"), ("knee", "ankle"), ("heel", "foot_index"))
    return np.stack([of_joint(joints, b) - of_joint(joints, a) for a, b in ends], axis=2)


def reaction(joints: Array, motion: Motion, segments: Segments = SEGMENTS) -> tuple[Array, Array]:
    """Return the force of the ground on the body, (time, 3) in N/kg, and its point on the floor.

    With a load among the segments, the force is still for 1 kg of the body. The point, (time, 3) at
    y = 0, is the zero moment point of segments that are points.
    """
    force = (motion.linear + GRAVITY * UP) * segments.mass[:, None]
    centres = segment_centres(joints, segments)
    total = force.sum(axis=1)
    point = (force[..., 1:2] * centres - force * centres[..., 1:2]).sum(axis=1) / total[:, 1:2]
    point[:, 1] = 0.0
    return total, point


def ahead_of(joints: Array) -> Array:
    """Return the horizontal direction in which both feet point, (time, 3)."""
    return direction(foot_axes(joints)[0].sum(axis=1))


def foot_axes(joints: Array) -> tuple[Array, Array]:
    """Return the horizontal directions of the feet: forward and to the right, (time, side, 3)."""
    along = of_joint(joints, "foot_index") - of_joint(joints, "heel")
    forward = direction(along - along * UP)
    return forward, np.cross(forward, UP)


def foot_centres(joints: Array) -> Array:
    """Return the points of the floor, (time, side, 3), that carry feet in the middle of sway."""
    along = float(tables.load("leg_loads")["foot"]["along"])
    heel, toe = of_joint(joints, "heel"), of_joint(joints, "foot_index")
    centre: Array = ((1 - along) * heel + along * toe) * (1 - UP)
    return centre


@dataclass(frozen=True)
class OnFeet:
    """How feet carry a force: ``share`` (time, side), and ``point`` (time, side, 3), metres."""

    share: Array
    point: Array


def on_feet(joints: Array, point: Array, standing: NDArray[np.int_] | None = None) -> OnFeet:
    """Divide a force between the feet by the lateral position of its point on the floor.

    Each foot carries its part at the same distance in front of its centre. In frames in which
    `standing` (time) names a foot, 0 for the left and 1 for the right, this foot carries all; in
    the others it is negative.
    """
    forward, _ = foot_axes(joints)
    ahead = ahead_of(joints)
    right = np.cross(ahead, UP)
    centre = foot_centres(joints)
    width = ((centre[:, 1] - centre[:, 0]) * right).sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = ((point - centre[:, 0]) * right).sum(axis=-1) / width
    share = np.clip(share, 0.0, 1.0)  # the floor pushes, it does not pull
    if standing is not None:
        share = np.where(standing < 0, share, standing)
    shares = np.stack([1 - share, share], axis=-1)
    middle = (shares[..., None] * centre).sum(axis=1)
    off = ((point - middle) * ahead).sum(axis=-1)
    return OnFeet(shares, centre + off[:, None, None] * forward)


def flexion_axes(joints: Array) -> Array:
    """Return the flexion axis of each leg, (time, side, 3), to the subject's right.

    It is perpendicular to thigh and shank; the straighter the leg, the more it is perpendicular to
    the foot.
    """
    hip, knee, ankle = (of_joint(joints, name) for name in ("hip", "knee", "ankle"))
    across = -np.cross(direction(knee - hip), direction(ankle - knee))
    _, right = foot_axes(joints)
    return direction(across + _BENT * right)


def moments(joints: Array, motion: Motion, force: Array, point: Array) -> Array:
    """Compute the internal moments of ankle, knee and hip from the foot upward.

    Parameters
    ----------
    joints, motion
        The body and its accelerations.
    force, point
        Force of the ground on each foot, (time, side, 3) in N/kg, and where it acts, m.

    Returns
    -------
    Array
        (time, side, joint) in Nm/kg about :func:`flexion_axes`; positive if the moment extends the
        joint (plantar flexion for the ankle).
    """
    gyration = tables.load("leg_loads")["gyration"]
    centres, axes, lines = segment_centres(joints), flexion_axes(joints), _leg_lines(joints)
    total = np.empty((len(joints), len(SIDES), len(JOINTS)))
    for side in range(len(SIDES)):
        for i, joint in enumerate(JOINTS):
            place = of_joint(joints, joint)[:, side]
            moment = -np.cross(point[:, side] - place, force[:, side])
            for part in range(i + 1):  # foot, shank, thigh
                leg = 2 - part
                segment, radius = (
                    SEGMENTS.legs[side][leg],
                    gyration[("thigh", "shank", "foot")[leg]],
                )
                mass = SEGMENTS.mass[segment]
                push = mass * (motion.linear[:, segment] + GRAVITY * UP)
                moment += np.cross(centres[:, segment] - place, push)
                length = np.linalg.norm(lines[:, side, leg], axis=-1)
                inertia = mass * (radius * length) ** 2
                moment += inertia[:, None] * motion.turning[:, side, leg]
            total[:, side, i] = _EXTENDS[i] * (moment * axes[:, side]).sum(axis=-1)
    return total
