"""In which frames the subject stands, and how straight: an assumption that the fit makes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mobility.kinematics.fit.body import (
    ANKLES,
    HIPS,
    KNEE_OF_STANDING,
    KNEES,
    LEGS,
    LH,
    LK,
    LS,
    RH,
    RK,
    RS,
    SHOULDERS,
    STANDING_KNEE,
    TERMS,
    Array,
    Mask,
    hip_line,
    unit_vectors,
)
from mobility.kinematics.fit.observed import LEAST_WEIGHT
from mobility.kinematics.fit.problem import Problem, part_of
from mobility.kinematics.fit.solver import sampled, schur_complement, shifts, solve
from mobility.kinematics.fit.trial import first_shared, windows_of
from mobility.kinematics.geometry import angle_between
from mobility.options import Standing

_GATE_DRAWS = 256


def _standing(problem: Problem, *, measured: bool = False) -> Array | None:
    """Weight of each knot as one at which the subject stands straight; None without any.

    Tall are hips that stand high above the ankles in the picture; raised arms do not change that.
    Knees bent by 25 degrees lower them by a fortieth only, but nobody stays there: one of the tall
    knots has to be still or a top, and each counts the less, the less tall and still it is. Knees
    that were `measured` may be bent.
    """
    from scipy.ndimage import maximum_filter1d

    term = TERMS["standing"]
    seen = (problem.weight[:, [*SHOULDERS, *HIPS, *KNEES, *ANKLES]] > LEAST_WEIGHT).all(axis=1)
    if not problem.planted or not seen.any():
        return None
    up = problem.image[..., 1]
    ankles = up[:, ANKLES].mean(axis=1)
    body = float(np.percentile((up[:, SHOULDERS].mean(axis=1) - ankles)[seen], 98))
    if body * np.median(problem.distance) < term["least_height"] * np.exp(problem.stature):
        return None
    hips = up[:, HIPS].mean(axis=1) - ankles
    tall = hips / float(np.percentile(hips[seen], 98))
    t, around = problem.knots, term["still_for_s"] / 2
    change = np.interp(t + around, t, tall) - np.interp(t - around, t, tall)
    apart = 2 * round(term["tops_apart_s"] / problem.step) + 1
    top = tall == maximum_filter1d(tall, apart, mode="nearest")
    near = seen & (tall > term["tall"]) & (top | (np.abs(change) < term["still"]))
    if not near.any():
        return None
    bends = np.median(_bends(problem.world[near], *LEGS, (LS, LH, LK), (RS, RH, RK)), axis=0)
    if bends.max() > term["most_bent_deg"] and not measured:
        return None
    less, moves = np.maximum(1 - tall, 0) / term["tall_sd"], change / term["still_sd"]
    weight: Array = np.where(seen & (tall > term["tall"]), np.exp(-(less**2 + moves**2) / 2), 0.0)
    weight *= term["weight"] / weight.sum()
    return weight


def _bends(points: Array, *limbs: tuple[int, int, int]) -> Array:
    """How far limbs of three joints each are bent, degrees, (..., limb)."""
    ends = [[points[..., joint, :] for joint in limb] for limb in limbs]
    return np.stack([angle_between(b - a, c - b) for a, b, c in ends], axis=-1)


def with_standing(
    coarse: Problem, fine: Problem, joints: Array, standing: Standing
) -> tuple[Problem, Problem]:
    """Give both the frames in which the subject stands straight, where it is said and seen so."""
    measured = not isinstance(standing, str)
    at = None if standing == "free" else _standing(fine, measured=measured)
    if at is None:
        return coarse, fine
    knee = (
        STANDING_KNEE
        if isinstance(standing, str)
        else (standing, KNEE_OF_STANDING["sd_if_measured"])
    )
    here = at[np.abs(coarse.knots[:, None] - fine.knots).argmin(axis=1)]
    if not here.any():  # they are shorter than the coarse knots are apart
        here[np.abs(coarse.knots - fine.knots[at.argmax()]).argmin()] = 1.0
    if not measured and _seen_bent(coarse, joints, here > 0):
        return coarse, fine
    return (
        _standing_at(coarse, here * (at.sum() / here.sum()), knee),
        _standing_at(fine, at, knee),
    )


def _seen_bent(problem: Problem, joints: Array, standing: Mask) -> bool:
    """Whether knees are seen to be bent at these knots by a fit that assumes no standing.

    From the front and from behind nothing shows it, whatever such a fit says.
    """
    flat = np.array([1.0, 0.0, 1.0])
    across = [unit_vectors(hip_line(each.world[standing]) * flat) for each in problem.each]
    if min(np.abs(line[:, 0]).mean() for line in across) > TERMS["standing"]["frontal"]:
        return False
    rows = windows_of(len(problem.knots))
    part = max(rows, key=lambda each: int(standing[each].sum()))
    free, start, standing = part_of(problem, part), joints[part], standing[part]
    found = solve(free, start, first_shared(free, start), steps=28, tolerance=1e-3)
    rng = np.random.default_rng(0)
    shift = shifts(free, schur_complement(found.normal), rng, _GATE_DRAWS)
    drawn = found.joints[standing] + sampled(found.normal, shift, rng)[:, standing]

    off = float(_bends(found.joints[standing], *LEGS).mean()) - KNEE_OF_STANDING["mean"]
    sd = float(np.sqrt(_bends(drawn, *LEGS).var(axis=0).mean()))
    return bool(off > TERMS["standing"]["contradicted"] * sd)


def _standing_at(problem: Problem, weights: Array, knee: tuple[float, float]) -> Problem:
    def here(one: Problem) -> Problem:
        return replace(one, standing=weights, standing_knee=knee, without=problem.without)

    views = tuple(replace(view, problem=here(view.problem)) for view in problem.views)
    return replace(here(problem), views=views)
