"""Fit of a whole recording: from coarse to fine, in windows, also with mirrored limbs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from mobility.base.progress import progress_bar
from mobility.kinematics.fit.body import (
    ANKLES,
    FEET,
    FIRST_DEPTH_ERROR,
    FIRST_FOOT,
    FIRST_LENGTH,
    FIRST_OFFSET,
    FLOOR,
    HEIGHT,
    HIPS,
    KNEE_BEND,
    KNEES,
    LE,
    LS,
    LW,
    N_JOINTS,
    PITCH,
    ROLL,
    SHOULDERS,
    TRUNK_LEAN,
    UPPER,
    USUAL_RATIOS,
    Array,
    is_possible,
    up_of,
)
from mobility.kinematics.fit.problem import Problem, Solution, part_of, usual_angles
from mobility.kinematics.fit.solver import sampled, schur_complement, shifts, solve
from mobility.kinematics.skeleton import SIDES

COARSE_HZ = 2.5

WINDOW_KNOTS, OVERLAP_KNOTS = 450, 30
_SWITCH = 2.0
"""Cost (twice the log-likelihood) by which a mirrored limb must be better to be preferred."""

_COST_SCALE, _SAME_MODE, _NO_RIVAL = 6.0, 0.10, 40.0
"""Additional cost at which a mirrored solution is e times less probable (it would be 2 if the terms
were independent and normal), distance in metres within which solutions are the same, and cost above
which a solution is left out.
"""

_LONGEST_EVIDENCE_S = 4.0
"""Longest part of a recording, in seconds, that counts as evidence against a mirrored solution. It
is limited because a wrong depth is the same in all frames of a posture. Rendered recordings are
this long, and the intervals of their elbows are correct. In recordings five times as long (played
there and back), the intervals of crossed arms contained the true value in 82 % of the cases
without this limit, and in 100 % with it.
"""


_LEAST_PROBABILITY, _LEAST_WITHOUT_DEPTH = 0.02, 0.05
"""Least probability at which a mirrored solution is drawn. It is higher if depth was not measured,
because there are then more such solutions.
"""


def mirrored_limbs(joints: Array, *, planted: bool, has_depth: bool = True) -> dict[str, Array]:
    """Return other starting points with nearly the same picture: limbs mirrored in depth.

    If depth was not measured, the trunk is mirrored too, and the whole body is turned to the other
    side.
    """
    z = joints[..., 2]
    mirrored: dict[str, Array] = {}

    def keep(name: str, moved: Mapping[int, Array]) -> None:
        depth = z.copy()
        for joint, new in moved.items():
            depth[:, joint] = new
        mirrored[name] = joints * (np.minimum(depth, -0.3) / z)[..., None]

    if not planted:
        hips, shoulders, knees, ankles = (
            z[:, pair].mean(axis=1) for pair in (HIPS, SHOULDERS, KNEES, ANKLES)
        )
        trunks = {"trunk": hips - shoulders, "trunk_along_shanks": 1.3 * (knees - ankles)}
        for name, new in trunks.items():
            keep(name, {joint: z[:, joint] + (new - (shoulders - hips)) for joint in UPPER})
    else:
        # From behind, a squat looks like shanks that lean back below a trunk that leans far
        # forward.
        lean = 2 * (z[:, ANKLES] - z[:, KNEES])
        legs = {pair[k]: z[:, pair[k]] + lean[:, k] for pair in (KNEES, HIPS) for k in (0, 1)}
        keep("shanks", legs)
        body = {joint: z[:, joint] + lean.mean(axis=1) for joint in UPPER}
        keep("shanks_below_the_body", legs | body)
    if planted and not has_depth:
        lean = 2 * (z[:, HIPS].mean(axis=1) - z[:, SHOULDERS].mean(axis=1))
        keep("trunk", {joint: z[:, joint] + lean for joint in UPPER})
    if not has_depth:
        pairs = np.arange(N_JOINTS) ^ 1
        keep("turned", {joint: z[:, pairs[joint]] for joint in range(N_JOINTS)})
    for k, side in enumerate(SIDES):
        shoulder, elbow, wrist = z[:, LS + k], z[:, LE + k], z[:, LW + k]
        keep(f"{side}_elbow", {LE + k: shoulder + wrist - elbow})
        keep(f"{side}_arm", {LE + k: 2 * shoulder - elbow, LW + k: 2 * shoulder - wrist})
        keep(f"{side}_forearm", {LW + k: 2 * elbow - wrist})
    return mirrored


@dataclass(frozen=True)
class SolvedTrial:
    """Solution of a whole recording."""

    joints: Array
    shared: Array
    draws: Array  # (draw, n, joint, 3)
    shared_draws: Array
    mirrored: dict[
        str, float
    ]  # mirrored limbs that were found, and the cost that turning them saved
    steps: int


def windows_of(n: int) -> list[slice]:
    """Return overlapping parts of a long recording."""
    if n <= WINDOW_KNOTS + OVERLAP_KNOTS:
        return [slice(0, n)]
    count = int(np.ceil((n - OVERLAP_KNOTS) / (WINDOW_KNOTS - OVERLAP_KNOTS)))
    starts = np.linspace(0, n - WINDOW_KNOTS, count).astype(int).tolist()
    return [slice(s, s + WINDOW_KNOTS) for s in starts]


def first_shared(problem: Problem, joints: Array) -> Array:
    """Return shared numbers to start from: the means of their priors."""
    shared = np.zeros(problem.n_shared)
    shared[PITCH], shared[ROLL] = problem.tilt
    shared[HEIGHT] = problem.stature
    shared[[KNEE_BEND, TRUNK_LEAN]] = usual_angles(problem)[0]
    shared[FIRST_LENGTH:FIRST_OFFSET] = problem.stature + USUAL_RATIOS
    shared[FIRST_OFFSET:FIRST_DEPTH_ERROR] = problem.points.offset_mean
    if problem.planted:
        feet = np.concatenate(
            [
                np.median(joints[held if held.any() else slice(None)][:, ends], axis=0)
                for stance in problem.footholds
                for held in [stance.holds(problem.knots) > 0]
                for ends in [FEET[2 * stance.side : 2 * stance.side + 2]]
            ]
        )
        shared[FIRST_FOOT : FIRST_FOOT + feet.size] = feet.ravel()
        shared[FLOOR] = feet[:, 1].mean()
    return shared


def solve_trial(
    coarse: Problem, fine: Problem, joints: Array, *, draws: int, rng: np.random.Generator
) -> SolvedTrial:
    """Solve window after window, so that memory does not grow with the recording.

    The posterior of the shared numbers from one window is the prior of the next; then all windows
    are solved again with the final shared numbers.
    """
    from scipy.interpolate import CubicSpline

    shared = first_shared(coarse, joints)
    windows = windows_of(len(fine.knots))
    prior: tuple[Array, Array] | None = None
    starts: list[Array] = []
    solvable: list[Problem] = []
    mirrored_modes: list[tuple[slice, float, Array]] = []
    mirrored: dict[str, float] = {}
    steps = 0
    precision = np.zeros((coarse.n_shared, coarse.n_shared))
    bar = progress_bar("fitting the body", total=2 * len(windows), unit="window")
    for rows in windows:
        first, last = fine.knots[rows][[0, -1]]
        at = np.flatnonzero((coarse.knots >= first - 0.5) & (coarse.knots <= last + 0.5))
        near = slice(at[0], at[-1] + 1)
        part = replace(part_of(coarse, near), prior=prior)
        best = solve(part, joints[near], shared, steps=28, tolerance=1e-3)
        best, modes, gains = try_mirrored(part, best)
        for name, gain in gains.items():
            mirrored[name] = max(gain, mirrored.get(name, -np.inf))
        window = replace(part_of(fine, rows), prior=prior)
        solvable.append(replace(window, prior=None))
        smooth = CubicSpline(part.knots, best.joints)(window.knots)
        solved = solve(window, smooth, best.shared, steps=12, tolerance=1e-3)
        steps += solved.steps
        starts.append(solved.joints)
        mirrored_modes += [(rows, p, CubicSpline(part.knots, d)(window.knots)) for p, d in modes]
        shared = solved.shared
        precision = schur_complement(solved.normal)
        prior = (shared, precision)
        bar.update()

    shift = shifts(fine, precision, rng, draws)
    n = len(fine.knots)
    total = np.zeros((n, 1, 1))
    mean, spread = np.zeros((n, N_JOINTS, 3)), np.zeros((draws, n, N_JOINTS, 3))
    for rows, window, begin in zip(windows, solvable, starts, strict=True):
        solved = solve(
            window, begin, shared, steps=0 if len(windows) == 1 else 6, tolerance=1e-4, free=False
        )
        sample = sampled(solved.normal, shift, rng)
        fade = np.ones(rows.stop - rows.start)
        ramp = np.linspace(0, 1, OVERLAP_KNOTS + 2)[1:-1]
        if rows.start > 0:
            fade[:OVERLAP_KNOTS] = ramp
        if rows.stop < n:
            fade[-OVERLAP_KNOTS:] *= ramp[::-1]
        share = fade[:, None, None]
        mean[rows] += share * solved.joints
        spread[:, rows] += share * sample
        total[rows] += share
        bar.update()
    bar.close()
    mean, spread = mean / total, spread / total
    for rows, probability, change in mirrored_modes:
        spread[rng.random(draws) < probability, rows] += change
    return SolvedTrial(mean, shared, spread, shift.T, mirrored, steps)


def _is_possible(problem: Problem, solution: Solution) -> bool:
    up = up_of(solution.shared)
    return is_possible(solution.joints, up, planted=problem.planted)


def try_mirrored(
    problem: Problem, best: Solution
) -> tuple[Solution, list[tuple[float, Array]], dict[str, float]]:
    """Solve from mirrored limbs; return the best solution, rivals with probabilities, and gains.

    If depth was not measured, an impossible body does not count as a rival, and is replaced by a
    possible body.
    """
    solutions: list[Solution] = []
    gains = {}
    share = min(1.0, _LONGEST_EVIDENCE_S / float(problem.knots[-1] - problem.knots[0]))
    options = {"planted": problem.planted, "has_depth": problem.has_depth}
    for name in mirrored_limbs(best.joints, **options):
        begin = mirrored_limbs(best.joints, **options)[name]  # of the best so far
        rival = solve(problem, begin, best.shared, steps=3, tolerance=5e-3, free=False)
        if share * (rival.normal.cost - best.normal.cost) > _NO_RIVAL:
            continue
        rival = solve(problem, rival.joints, rival.shared, steps=3, tolerance=2e-3)
        if np.abs(rival.joints - best.joints).max() < 0.03:
            continue
        gain = best.normal.cost - rival.normal.cost
        if not problem.has_depth:
            if not _is_possible(problem, rival):
                continue
            if not _is_possible(problem, best):
                gains[name] = round(gain, 1)
                best = rival
                continue
        if gain > _SWITCH:
            gains[name] = round(gain, 1)
            solutions.append(best)
            best = rival
        else:
            solutions.append(rival)
    modes: list[tuple[float, Array]] = []
    least = _LEAST_PROBABILITY if problem.has_depth else _LEAST_WITHOUT_DEPTH
    for rival in sorted(solutions, key=lambda solution: solution.normal.cost):
        change = rival.joints - best.joints
        if any(np.abs(change - kept_change).max() < _SAME_MODE for _, kept_change in modes):
            continue
        worse = share * (rival.normal.cost - best.normal.cost)
        probability = float(1 / (1 + np.exp(np.clip(worse, 0.0, 100.0) / _COST_SCALE)))
        if probability > least and np.abs(change).max() > 0.03:
            modes.append((probability, change))
    return best, modes, gains
