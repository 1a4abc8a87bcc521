"""Whether a pose without depth tells somebody who is near and bent from who is far and straight.

Both look alike. What tells them apart are feet that stay on the floor, and a moment in which the
person is seen to stand straight; a picture in which thighs look short beside shanks is not of one.
"""

from __future__ import annotations

import numpy as np

from mobility.kinematics.fit.body import (
    ANKLES,
    HIPS,
    KNEES,
    PITCH,
    SEGMENTS,
    SETTINGS,
    SHOULDERS,
    Array,
    Mask,
)
from mobility.kinematics.fit.observed import LEAST_WEIGHT
from mobility.kinematics.fit.planted_feet import foot_spread, intervals_of
from mobility.kinematics.fit.problem import Problem

_RULE = SETTINGS["depth_unknown"]
_MOVED_M = SETTINGS["planted"]["moved_m"]


def is_determined(problem: Problem, shared: Array) -> bool:
    """Whether depth was measured, or follows from the picture of one who stands straight.

    `shared` are the shared numbers of the solution, of which the pitch of the camera is one.
    """
    if problem.calibrated or any(each.has_depth for each in problem.per_camera):
        return True
    intervals = intervals_of(problem)
    if problem.standing is None or not intervals:
        return False
    if abs(np.degrees(np.arctan(shared[PITCH]))) > _RULE["most_pitch_deg"]:
        return False
    rows = np.zeros(len(problem.knots), bool)
    for first, last in intervals:
        rows |= (problem.knots >= first) & (problem.knots <= last)
    stands = problem.standing > 0
    return all(
        _feet_are_down(each, rows) and _stays_within(each, intervals) and _is_straight(each, stands)
        for each in problem.per_camera
    )


def _feet_are_down(problem: Problem, rows: Mask) -> bool:
    """Whether one ankle is hardly ever higher in the picture than the other, where feet stay.

    A camera above the floor sees the far one a little higher all the time.
    """
    rows_with_ankles = rows & (problem.weight[:, ANKLES] > LEAST_WEIGHT).all(axis=1)
    if not rows_with_ankles.any():
        return False
    heights = problem.image[rows_with_ankles][:, ANKLES, 1]
    apart = np.diff(heights, axis=1)[:, 0] * problem.distance[rows_with_ankles]
    lifted = np.percentile(np.abs(apart - np.median(apart)), 90)
    return bool(
        np.percentile(np.abs(apart), 90) < _RULE["feet_level_m"] and lifted < _RULE["foot_lifted_m"]
    )


def _stays_within(problem: Problem, intervals: list[tuple[float, float]]) -> bool:
    """Whether both feet stay in these times, also where they were said to."""
    spreads = [foot_spread(problem, side, *each) for each in intervals for side in (0, 1)]
    return all(spread is None or spread < _MOVED_M for spread in spreads)


def _is_straight(problem: Problem, stands: Mask) -> bool:
    """Whether no segment looks very short beside the others where somebody is to stand straight.

    A camera above the knees sees thighs of a half squat almost as long as they are, so that this
    tells only who sits or lies.
    """
    usual = np.array([SEGMENTS[name].ratio for name in ("thigh", "shank", "trunk")])
    looks = []
    for side in (0, 1):
        hip, knee, ankle, shoulder = (pair[side] for pair in (HIPS, KNEES, ANKLES, SHOULDERS))
        ends = [hip, knee, ankle, shoulder]
        visible_rows = stands & (problem.weight[:, ends] > LEAST_WEIGHT).all(axis=1)
        if visible_rows.any():
            at: Array = problem.image[visible_rows]
            pairs = ((hip, knee), (knee, ankle), (hip, shoulder))
            lines = np.stack([at[:, b] - at[:, a] for a, b in pairs])
            size = np.median(np.linalg.norm(lines, axis=-1), axis=1)
            looks.append(size / size.sum() / (usual / usual.sum()))
    return bool(looks) and bool(np.mean(looks, axis=0).min() > _RULE["shortest_look"])
