"""Whether a pose without depth tells somebody who is near and bent from who is far and straight.

Both look alike. What tells them apart are feet that stay on the floor, and a moment in which the
person is seen to stand straight; a picture in which thighs look short beside shanks is not of one.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mobility.kinematics.fit.body import (
    ANKLES,
    HIPS,
    KNEES,
    SEGMENTS,
    SETTINGS,
    SHOULDERS,
    Array,
    Mask,
)
from mobility.kinematics.fit.observed import LEAST_WEIGHT
from mobility.kinematics.fit.problem import Problem
from mobility.kinematics.fit.stances import foot_spread, intervals_of

_RULE = SETTINGS["depth_unknown"]
_MOVED_M = SETTINGS["planted"]["moved_m"]


def is_determined(problem: Problem) -> bool:
    """Whether depth was measured, or follows from the picture of one who stands straight."""
    if problem.calibrated or any(each.has_depth for each in problem.each):
        return True
    intervals = intervals_of(problem)
    if problem.standing is None or not intervals:
        return False
    rows = np.zeros(len(problem.knots), bool)
    for first, last in intervals:
        rows |= (problem.knots >= first) & (problem.knots <= last)
    stands = problem.standing > 0
    return all(
        _feet_are_down(each, rows) and _stays_within(each, intervals) and _is_straight(each, stands)
        for each in problem.each
    )


def _feet_are_down(problem: Problem, rows: Mask) -> bool:
    """Whether one ankle is hardly ever higher in the picture than the other, where feet stay."""
    seen = rows & (problem.weight[:, ANKLES] > LEAST_WEIGHT).all(axis=1)
    if not seen.any():
        return False
    apart = np.abs(np.diff(problem.image[seen][:, ANKLES, 1], axis=1)[:, 0])
    apart = apart * problem.distance[seen]
    return bool(np.percentile(apart, 90) < _RULE["feet_level_m"])


def _stays_within(problem: Problem, intervals: list[tuple[float, float]]) -> bool:
    """Whether both feet stay in these times, also where they were said to."""
    spreads = [foot_spread(problem, side, *each) for each in intervals for side in (0, 1)]
    return all(spread is None or spread < _MOVED_M for spread in spreads)


def _is_straight(problem: Problem, stands: Mask) -> bool:
    """Whether no segment looks short beside the others where the person is to stand straight."""
    looks = list(_looks(problem, stands))
    return bool(looks) and min(looks) > _RULE["shortest_look"]


def _looks(problem: Problem, stands: Mask) -> Iterator[float]:
    """Lengths of thigh, shank and trunk in the picture, of the usual share of their sum."""
    usual = np.array([SEGMENTS[name].ratio for name in ("thigh", "shank", "trunk")])
    joints = [[pair[side] for pair in (HIPS, KNEES, ANKLES, SHOULDERS)] for side in (0, 1)]
    for hip, knee, ankle, shoulder in joints:
        ends = [hip, knee, ankle, shoulder]
        seen = stands & (problem.weight[:, ends] > LEAST_WEIGHT).all(axis=1)
        if not seen.any():
            continue
        at: Array = problem.image[seen]
        lines = np.stack(
            [at[:, knee] - at[:, hip], at[:, ankle] - at[:, knee], at[:, shoulder] - at[:, hip]]
        )
        size = np.median(np.linalg.norm(lines, axis=-1), axis=1)
        yield float((size / size.sum() / (usual / usual.sum())).min())
