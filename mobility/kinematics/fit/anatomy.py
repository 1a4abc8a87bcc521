"""Whether a solution can be a body at all: limits of the table ``fit``, entry range_of_motion.

A pose without depth fits a body and its mirror image in depth about as well. Of these only one
bends its knees and elbows as people do.
"""

from __future__ import annotations

import numpy as np

from mobility.kinematics.fit.body import (
    LEGS,
    SETTINGS,
    SHOULDERS,
    Array,
    hip_line,
    trunk_line,
    unit_vectors,
)

_LIMITS = SETTINGS["range_of_motion"]
_OVERHEAD_DEG = 150.0
"""Behind the trunk by more than this an arm was raised before it, and is overhead."""

_ARMS = tuple((SHOULDERS[side], 2 + side) for side in (0, 1))


def is_possible(joints: Array, up: Array, *, planted: bool) -> bool:
    """Whether joints bend as people's do at most of the knots.

    Parameters
    ----------
    joints
        Positions, metres, (n, joint, 3), in axes with
    up
        as the direction upwards.
    planted
        Whether the feet stay: shanks and trunk then do not lean far back.
    """
    across = unit_vectors(hip_line(joints))
    upwards = np.broadcast_to(up, across.shape)
    forward = unit_vectors(np.cross(upwards, across))
    trunk = trunk_line(joints)
    leans = {"trunk_leans_back_deg": [-_elevation(trunk, forward, upwards)]}
    thighs, knees, shanks = [], [], []
    down = -unit_vectors(trunk - (trunk * across).sum(axis=-1, keepdims=True) * across)
    before = np.cross(across, down)  # of the trunk
    for hip, knee, ankle in LEGS:
        thigh, shank = joints[:, knee] - joints[:, hip], joints[:, ankle] - joints[:, knee]
        thighs.append(_behind(thigh, before, down))
        bend = _elevation(thigh, forward, -upwards) - _elevation(shank, forward, -upwards)
        knees.append(-(np.mod(bend + 180.0, 360.0) - 180.0))
        shanks.append(-_elevation(-shank, forward, upwards))
    arms = [_behind(joints[:, elbow] - joints[:, top], before, down) for top, elbow in _ARMS]
    beyond = {"arm_behind_deg": arms, "thigh_behind_trunk_deg": thighs, "knee_backward_deg": knees}
    if planted:
        beyond |= leans | {"shank_leans_back_deg": shanks}
    return all(
        float((angle > _LIMITS[name]).mean()) <= _LIMITS["share"]
        for name, angles in beyond.items()
        for angle in angles
    )


def _behind(line: Array, ahead: Array, along: Array) -> Array:
    """Angle from `along` away from `ahead`, degrees; what goes farther is raised overhead."""
    angle = -_elevation(line, ahead, along)
    return np.where(angle > _OVERHEAD_DEG, angle - 360.0, angle)


def _elevation(line: Array, ahead: Array, along: Array) -> Array:
    """Angle of a line from `along` towards `ahead`, degrees, -180 to 180."""
    return np.asarray(
        np.degrees(np.arctan2((line * ahead).sum(axis=-1), (line * along).sum(axis=-1)))
    )
