"""Times in which both feet stay in one place, with steps between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mobility.kinematics.fit.body import (
    FIRST_FOOT,
    LA,
    LC,
    LT,
    RA,
    RC,
    RT,
    SETTINGS,
    Array,
    Mask,
    hip_line,
    unit_vectors,
    up_of,
)
from mobility.kinematics.fit.problem import Problem, Stance
from mobility.kinematics.skeleton import SIDES

_WEIGHT_IF_HIDDEN = 0.01
"""Least weight of a foot for deciding whether it stays; a hidden foot has less."""

_FEET = ((LA, LC, LT), (RA, RC, RT))
_RULE = SETTINGS["planted"]

Interval = tuple[float, float]
"""From and to, seconds."""

Planted = bool | Mapping[Literal["left", "right"], Sequence[Interval]] | None
"""Whether the feet stay in place, or the times (s) in which each foot does; None if unknown."""


def with_stances(problem: Problem, feet_planted: Planted, camera_shift: float = 0.0) -> Problem:
    """Find out whether the feet are planted, and when each stays in one place.

    Unless the user states whether the feet are planted, they count as planted if they stay in place
    all the time, or long enough between steps. If the camera moves as far as a step
    (:func:`.observed.camera_shift`), no step can be seen.
    """
    problem = replace(problem, feet_given=isinstance(feet_planted, bool))
    if isinstance(feet_planted, Mapping):
        given_stances = [
            Stance(SIDES.index(side), *interval)
            for side, intervals in feet_planted.items()
            for interval in intervals
        ]
        stances = tuple(stance for stance in given_stances if _foot_stays(problem, stance))
        return replace(problem, planted=bool(stances), stances=stances)
    if feet_planted is not None:
        return replace(problem, planted=feet_planted)
    moves = camera_shift * float(np.median(problem.distance)) >= _RULE["step_m"]
    intervals = [] if moves else stays(problem)
    span = problem.knots[0], problem.knots[-1]
    if not intervals or intervals == [span]:
        return replace(problem, planted=all(_is_planted(problem, joints) for joints in _FEET))
    return with_footholds(problem, intervals)


def with_footholds(problem: Problem, intervals: Sequence[Interval]) -> Problem:
    """Plant both feet in each interval in which they stay, if the intervals are long enough.

    A foot that is hidden during a stance is assumed to stay like the other foot. If the feet are in
    another place at the end of a long interval although they never step, the camera was turned. The
    feet then do not count as planted.
    """
    first, last = problem.knots[0], problem.knots[-1]
    stances: list[Stance] = []
    lengths = [0.0]
    sides_seen: set[int] = set()
    for start, end in intervals:
        # The ends of the recording are those of the knots, because there are several cameras.
        ends = (-np.inf if start <= first else start, np.inf if end >= last else end)
        pair = [Stance(side, *ends) for side in (0, 1)]
        spreads = {stance.side: _spread_within(problem, stance) for stance in pair}
        measured_spreads = {side: spread for side, spread in spreads.items() if spread is not None}
        far = bool(measured_spreads) and max(measured_spreads.values()) >= _RULE["moved_m"]
        if end - start >= _RULE["one_stance_s"] and (far or not _rests(problem, start, end)):
            return replace(problem, planted=False, stances=())
        if measured_spreads and not far:
            stances += pair
            sides_seen |= set(measured_spreads)
            lengths.append(end - start)
    half = float(last - first) / 2
    enough = max(lengths) >= _RULE["one_stance_s"] or sum(lengths) >= half
    enough &= len(sides_seen) == len(SIDES) and len(lengths) - 1 <= _RULE["most_stances"]
    return replace(problem, planted=enough, stances=tuple(stances) if enough else ())


def _rests(problem: Problem, start: float, end: float) -> bool:
    """Whether the feet rest in an interval: slower than half the speed of a slow step."""
    run = np.flatnonzero((problem.knots >= start) & (problem.knots <= end))
    slow = (end - start) / 2 * _RULE["step_m"] / (2 * _RULE["stays_s"])
    far = max(float(_RULE["step_m"]), slow)
    return _stays(_places(problem), _visible_joints(problem), run, far)


def _places(problem: Problem) -> Array:
    """Return places in the picture, metres at the distance of the body."""
    return problem.image * float(np.median(problem.distance))


def _places_that_show_steps(problem: Problem) -> Array:
    """Merge the places of a foot that the other one hides.

    In the pose, a hidden foot moves with the bending knees.
    """
    places = _places(problem)
    clear = [float(np.median(problem.weight[:, joints].mean(axis=1))) for joints in _FEET]
    for joints, weight in zip(_FEET, clear, strict=True):
        if weight < _RULE["hidden_foot"] ** 2 * max(clear):
            places[:, joints] *= _RULE["step_m"] / _RULE["hidden_step_m"]
    return places


def _visible_joints(problem: Problem) -> Mask:
    return np.asarray(problem.weight > _WEIGHT_IF_HIDDEN)


def foot_spread(problem: Problem, side: int, first: float, last: float) -> float | None:
    """Return how far a foot moves in an interval from its stillest point (m).

    None if it is hidden.
    """
    return _spread_within(problem, Stance(side, first, last))


def _foot_stays(problem: Problem, stance: Stance) -> bool:
    spread = _spread_within(problem, stance)
    return spread is not None and spread < _RULE["moved_m"]


def _spread_within(problem: Problem, stance: Stance) -> float | None:
    rows = stance.holds(problem.knots) > 0
    if not rows.any():
        return None
    here = replace(
        problem,
        knots=problem.knots[rows],
        image=problem.image[rows],
        weight=problem.weight[rows],
        distance=problem.distance[rows],
    )
    return _spread(here, _FEET[stance.side])


def _is_planted(problem: Problem, joints: tuple[int, int, int]) -> bool:
    """Whether ankle or toe of a foot stay in place in the picture."""
    spread = _spread(problem, joints)
    return spread is not None and spread < _RULE["moved_m"]


def _spread(problem: Problem, joints: tuple[int, int, int]) -> float | None:
    """Return how far the ankle or the toe moves, whichever moves less; metres, None if unseen."""
    ankle, _, toe = joints
    spreads = []
    for j in (ankle, toe):
        rows = problem.weight[:, j] > _WEIGHT_IF_HIDDEN
        if rows.sum() >= 3 and np.ptp(problem.knots[rows]) >= _RULE["seen_s"]:
            low, high = np.percentile(problem.image[rows, j], [5, 95], axis=0)
            spreads.append(float((high - low).max() * np.median(problem.distance)))
    return min(spreads, default=None)


def intervals_of(problem: Problem) -> list[Interval]:
    """Return the times in which both feet stay; empty if each foot has separate times."""
    if not problem.planted:
        return []
    sides = [
        [(foothold.first, foothold.last) for foothold in problem.footholds if foothold.side == side]
        for side in (0, 1)
    ]
    if sides[0] != sides[1]:
        return []
    first, last = float(problem.knots[0]), float(problem.knots[-1])
    return [(max(start, first), min(end, last)) for start, end in sides[0]]


def stays(problem: Problem) -> list[Interval]:
    """Find the times in which neither foot changes its place, in order.

    A foot has changed its place if the median of each of its landmarks (ankle, heel, toe) in the
    picture differs before and after. Bending knees and rising heels move some of the landmarks, and
    squats move all of them back and forth. A step towards the camera counts like a step to the
    side, but is smaller in the picture. Feet that come back from a distance of less than
    ``elsewhere_m`` have not stepped, however long they were away.
    """
    time = problem.knots
    places, visible = _places_that_show_steps(problem), _visible_joints(problem)
    stay = _RULE["stays_s"]
    moved = np.zeros(len(time))
    middle = (time >= time[0] + stay) & (time <= time[-1] - stay)
    for i in np.flatnonzero(middle).tolist():
        before = (time >= time[i] - stay) & (time <= time[i])
        after = (time >= time[i]) & (time <= time[i] + stay)
        moved[i] = _apart(places, visible, before, after)
    feet_seen = np.asarray(visible[:, np.ravel(_FEET)].any(axis=1))
    for unseen in _runs(~feet_seen):
        between = feet_seen[: unseen[0]].any() and feet_seen[unseen[-1] :].any()
        if between and np.ptp(time[unseen]) >= stay:  # no window sees both sides of it
            moved[unseen] = np.inf
    runs = [
        run
        for run in _runs(moved < _RULE["step_m"])
        # Near the ends of the recording there is no before, or no after: steps there are inside.
        if np.ptp(time[run]) >= 2 * stay
        or (np.ptp(time[run]) >= stay / 2 and _stays(places, visible, run, _RULE["step_m"]))
    ]
    stay_rows = np.isin(np.arange(len(time)), np.concatenate([*runs, np.zeros(0, np.intp)]))
    stances: list[list[Mask]] = []  # each has the runs that are in one place, or that come back
    for run in runs:
        rows = np.isin(np.arange(len(time)), run)
        same = [
            any(_same_place(places, visible, earlier, rows, stay_rows) for earlier in stance)
            for stance in stances
        ]
        first = same.index(True) if any(same) else len(stances)
        stances[first:] = [[*(run for stance in stances[first:] for run in stance), rows]]
    merged_runs = [np.any(stance, axis=0) for stance in stances]
    widened_runs = [_widened(time, _places(problem), visible, rows) for rows in merged_runs]
    for i, (one, other) in enumerate(pairwise(widened_runs)):
        both = one & other
        if both.any():  # a slow step: half of the way belongs to each
            half = float(time[both].mean())
            widened_runs[i], widened_runs[i + 1] = one & (time < half), other & (time >= half)
    return [
        (float(time[rows][0]), float(time[rows][-1]))
        for rows in widened_runs
        if rows.any() and np.ptp(time[rows]) >= _RULE["stays_s"]
    ]


def _apart(places: Array, visible: Mask, one: Mask, other: Mask) -> float:
    """Return the distance between the places at two times, metres, for the foot that moved more.

    For each foot the landmark that moved least counts.
    """
    farthest = 0.0
    for joints in _FEET:
        moves = []
        for j in joints:
            before, after = visible[:, j] & one, visible[:, j] & other
            if min(before.sum(), after.sum()) >= 3:
                ends = [np.median(places[rows, j], axis=0) for rows in (before, after)]
                moves.append(float(np.linalg.norm(ends[1] - ends[0])))
        farthest = max(farthest, min(moves, default=0.0))
    return farthest


def _same_place(places: Array, visible: Mask, one: Mask, other: Mask, stay_rows: Mask) -> bool:
    """Whether the feet are in one place at two times, and were nowhere else in between.

    In between, each period in which they stay counts, and each way from one place to the next.
    """
    if _apart(places, visible, one, other) >= _RULE["step_m"]:
        return False
    between = np.zeros(len(one), bool)
    between[np.flatnonzero(one)[-1] + 1 : np.flatnonzero(other)[0]] = True
    parts = [*_runs(between & stay_rows), *_runs(between & ~stay_rows)]
    away = [
        _apart(places, visible, one | other, np.isin(np.arange(len(one)), part)) for part in parts
    ]
    return bool(max(away, default=0.0) < _RULE["elsewhere_m"])


def _stays(places: Array, visible: Mask, run: NDArray[np.intp], within: float) -> bool:
    """Whether the feet are in the same place in both halves of a run."""
    halves = [np.isin(np.arange(len(places)), half) for half in np.array_split(run, 2)]
    return bool(_apart(places, visible, *halves) < within)


def _widened(time: Array, places: Array, visible: Mask, rows: Mask) -> Mask:
    """Add the knots on both sides at which the feet are already, or still, in this place.

    The first and last knots are left out if the feet are elsewhere: walking in or out is too short
    there for medians.
    """
    away = np.zeros(len(rows))
    for joints in _FEET:
        of_joints = [np.full(len(rows), np.inf)]
        for j in joints:
            here = visible[:, j] & rows
            if here.any():
                usual = np.median(places[here, j], axis=0)
                distance = np.linalg.norm(places[:, j] - usual, axis=-1)
                of_joints.append(np.where(visible[:, j], distance, np.inf))
        nearest = np.min(of_joints, axis=0)
        away = np.maximum(away, np.where(np.isfinite(nearest), nearest, 0.0))
    first, last = (int(i) for i in np.flatnonzero(rows)[[0, -1]])
    near = away < _RULE["step_m"] / 2
    while first > 0 and near[first - 1]:
        first -= 1
    while last < len(rows) - 1 and near[last + 1]:
        last += 1
    within = np.zeros(len(rows), bool)
    within[first : last + 1] = True
    shortly = _RULE["stays_s"] / 2
    elsewhere = np.flatnonzero(away >= _RULE["elsewhere_m"])
    for i in elsewhere[time[elsewhere] < time[0] + shortly]:
        within[: i + 1] = False
    for i in elsewhere[time[elsewhere] > time[-1] - shortly]:
        within[i:] = False
    return within


def _runs(mask: Mask) -> list[NDArray[np.intp]]:
    """Return the indices of each run of True."""
    rows = np.flatnonzero(mask)
    return [run for run in np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1) if run.size]


def together(views: Sequence[Problem], feet_planted: Planted) -> tuple[bool, tuple[Stance, ...]]:
    """Return whether the feet are planted in all views, and when, as the user stated or as seen."""
    if not all(view.planted for view in views):
        return False, ()
    first = views[0]
    if isinstance(feet_planted, Mapping):
        return True, first.stances
    intervals = intervals_of(first)
    for view in views[1:]:
        both = [(max(a[0], b[0]), min(a[1], b[1])) for a in intervals for b in intervals_of(view)]
        intervals = [interval for interval in both if interval[1] - interval[0] >= _RULE["stays_s"]]
    if intervals == [(first.knots[0], first.knots[-1])]:
        return True, ()
    problem = with_footholds(first, intervals)
    return problem.planted, problem.stances


def with_stances_in_all_views(problem: Problem, stances: tuple[Stance, ...]) -> Problem:
    """Replace the stances of planted feet in a problem, for its first and its other cameras."""
    first_view = replace(problem, stances=stances, views=())
    views = tuple(
        replace(
            view,
            problem=replace(view.problem, planted=problem.planted, stances=stances),
            first=first_view.n_shared + i * view.size,
        )
        for i, view in enumerate(problem.views)
    )
    return replace(first_view, views=views)


def lasting_stances(problem: Problem, shared: Array) -> tuple[Stance, ...]:
    """Join stances if no foot of the fitted body moves as far as a step between them.

    The picture seemed to show a step, but the body that explains the whole picture did not take it.
    Lifting a foot and putting it back gives two stances, because the foot is elsewhere in between.
    """
    intervals = intervals_of(problem)
    places, visible, time = (
        _places_that_show_steps(problem),
        _visible_joints(problem),
        problem.knots,
    )
    rows = [(time >= first) & (time <= last) for first, last in intervals]
    feet = _feet_of_stances(shared, len(intervals))
    seconds = np.array([last - first for first, last in intervals])
    groups: list[list[int]] = []
    for i in range(len(intervals)):
        if groups:
            place = np.average(feet[groups[-1]], axis=0, weights=seconds[groups[-1]])
            between = (time > intervals[i - 1][1]) & (time < intervals[i][0])
            away = _apart(places, visible, rows[i - 1] | rows[i], between)
            way = np.linalg.norm(feet[i] - place, axis=-1).max()
            if way < _RULE["step_m"] and away < _RULE["elsewhere_m"]:
                groups[-1].append(i)
                continue
        groups.append([i])
    if len(groups) == len(intervals):
        return problem.stances
    return tuple(
        Stance(side, problem.stances[2 * group[0]].first, problem.stances[2 * group[-1]].last)
        for group in groups
        for side in (0, 1)
    )


def _feet_of_stances(shared: Array, count: int) -> Array:
    """Return the horizontal place of each foot in each stance, (stance, side, 3)."""
    feet = shared[FIRST_FOOT:][: 12 * count].reshape(count, 2, 2, 3).mean(axis=2)
    return _level(feet, up_of(shared))


def _level(vectors: Array, up: Array) -> Array:
    """Remove the upward component."""
    return np.asarray(vectors - (vectors @ up)[..., None] * up)


def stances_and_steps(problem: Problem, joints: Array, shared: Array) -> dict[str, Any]:
    """Return the history of the times in which both feet stay, and of the steps between them.

    A step has three numbers in metres. They are the path of the middle of both feet along the
    subject's axes, the increase of the distance between the feet, and the longer path of the two
    feet.
    """
    intervals = intervals_of(problem)
    weight = np.zeros(len(joints)) if problem.standing is None else problem.standing
    weight = weight / max(float(weight.max()), 1e-9)
    feet, up = _feet_of_stances(shared, len(intervals)), up_of(shared)
    stances, axes = [], []
    for first, last in intervals:
        rows = (problem.knots >= first) & (problem.knots <= last)
        standing = float(weight[rows].sum() * problem.step)
        stances.append(
            {"first_s": round(first, 2), "last_s": round(last, 2), "standing_s": round(standing, 2)}
        )
        across = unit_vectors(_level(np.median(hip_line(joints[rows]), axis=0), up))
        axes.append(np.stack([unit_vectors(np.cross(up, across)), -across]))
    steps = []
    for i, (one, other) in enumerate(pairwise(intervals)):
        ways = feet[i + 1] - feet[i]
        forward, left = axes[i] @ ways.mean(axis=0)
        apart = [float(np.linalg.norm(places[1] - places[0])) for places in feet[i : i + 2]]
        steps.append(
            {
                "from_s": round(one[1], 2),
                "to_s": round(other[0], 2),
                "forward_m": round(float(forward), 3),
                "left_m": round(float(left), 3),
                "wider_m": round(apart[1] - apart[0], 3),
                "foot_m": round(float(np.linalg.norm(ways, axis=-1).max()), 3),
            }
        )
    return {"stances": stances, "steps": steps}
