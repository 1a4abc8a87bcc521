"""Knots at which the fit assumes that the subject stands, and how straight the subject stands."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby
from typing import Any, Literal

import numpy as np

from mobility.base.options import Standing
from mobility.kinematics.fit.body import (
    ANKLES,
    DEPTHS,
    HIPS,
    KNEE_OF_STANDING,
    KNEES,
    LEGS,
    LH,
    LK,
    LS,
    LW,
    RH,
    RK,
    RS,
    RW,
    SHOULDERS,
    STANDING_KNEE,
    TERMS,
    Array,
    Mask,
    hip_line,
    unit_vectors,
)
from mobility.kinematics.fit.observed import LEAST_WEIGHT, LEFT_OUT
from mobility.kinematics.fit.planted_feet import intervals_of
from mobility.kinematics.fit.problem import Problem, part_of
from mobility.kinematics.fit.solver import sampled, schur_complement, shifts, solve
from mobility.kinematics.fit.whole_trial import first_shared, windows_of
from mobility.kinematics.skeleton import angle_between

WhyNotStanding = Literal["feet_move", "unseen", "low", "not_still", "bent"]
"""Reasons why nobody stands straight: the names under `standing` in ``sentences_reasons.yaml``."""

_REASONS: tuple[WhyNotStanding, ...] = ("bent", "not_still", "low", "unseen", "feet_move")
"""The same reasons, the most specific one first."""

_DRAWS_OF_SEEN_BENT = 256


def standing_weights(
    problem: Problem, *, measured: bool = False
) -> tuple[Array | None, WhyNotStanding]:
    """Return how much each knot counts as standing straight; None if there is no such knot.

    The second result is the reason, if the knees turn out to be bent at the tallest knots. Heights
    in the picture are compared within a stance, because a step towards the camera makes them
    larger. If the flexion of the knees was `measured`, they may be bent.
    """
    if not problem.planted:
        return None, "feet_move"
    knots = problem.knots
    parts = [(knots >= first) & (knots <= last) for first, last in intervals_of(problem)]
    weights = np.zeros(len(knots))
    reasons: list[WhyNotStanding] = []
    for rows in parts or [np.ones(len(knots), bool)]:
        likely, why = _standing_in(problem, rows, measured=measured)
        if likely is None:
            reasons.append(why)
        else:
            weights += likely
            reasons.insert(0, why)
    if not weights.any():
        return None, min(reasons, key=_REASONS.index)
    weights *= TERMS["standing"]["weight"] / weights.sum()
    return weights, reasons[0]


def _standing_in(
    problem: Problem, rows: Mask, *, measured: bool
) -> tuple[Array | None, WhyNotStanding]:
    """Return the likelihood of standing straight at each knot, within one stance.

    A knot is tall if the hips are high above the ankles in the picture, whatever the arms do.
    Height alone cannot exclude knees bent by 25 degrees, which lower the hips by a fortieth. But
    nobody pauses there, so at least one tall knot must also be still or a maximum. The weight of a
    knot grows with its height and stillness.
    """
    from scipy.ndimage import maximum_filter1d

    term = TERMS["standing"]
    body_points = [*SHOULDERS, *HIPS, *KNEES, *ANKLES]
    visible_rows = rows & (problem.weight[:, body_points] > LEAST_WEIGHT).all(axis=1)
    if not visible_rows.any():
        return None, "unseen"
    up = problem.image[..., 1]
    ankles = up[:, ANKLES].mean(axis=1)
    shoulders = up[:, SHOULDERS].mean(axis=1) - ankles
    body = float(np.percentile(shoulders[visible_rows], 98))
    distance = float(np.median(problem.distance[rows]))
    if body * distance < term["least_height"] * np.exp(problem.stature):
        return None, "low"
    hips = up[:, HIPS].mean(axis=1) - ankles
    t, around = problem.knots, term["still_for_s"] / 2
    tall = hips / _levels(problem, hips, visible_rows)
    change = np.interp(t + around, t, tall) - np.interp(t - around, t, tall)
    apart = 2 * round(term["tops_apart_s"] / problem.step) + 1
    top = tall == maximum_filter1d(np.where(rows, tall, -np.inf), apart, mode="nearest")
    still = visible_rows & (tall > term["tall"]) & (np.abs(change) < term["still"])
    stands = still | (visible_rows & (tall > term["tall"]) & top)
    if not stands.any():
        return None, "not_still"
    at_rest = max(sum(run) for _, run in groupby(still.tolist())) * problem.step
    why_bent: WhyNotStanding = "bent" if at_rest >= term["asked_for_s"] else "not_still"
    if problem.has_depth and not measured:
        limbs = (*LEGS, (LS, LH, LK), (RS, RH, RK))
        bends = np.median(_bends(problem.world[stands], *limbs), axis=0)
        if bends.max() > term["most_bent_deg"]:
            return None, why_bent
    below_top, movement = np.maximum(1 - tall, 0) / term["tall_sd"], change / term["still_sd"]
    likely = np.exp(-(below_top**2 + movement**2) / 2)
    return np.where(visible_rows & (tall > term["tall"]), likely, 0.0), why_bent


def _levels(problem: Problem, hips: Array, visible_rows: Mask) -> Array:
    """Return the greatest height of the hips at each knot, for arms that are down or up.

    MediaPipe's hips rise by a twentieth while an arm is up, so that for a moment a standing person
    seems to be taller.
    """
    term = TERMS["standing"]
    up = (
        (problem.image[:, [LW, RW], 1] > problem.image[:, SHOULDERS, 1])
        & (problem.weight[:, [LW, RW]] > LEAST_WEIGHT)
    ).any(axis=1)
    greatest = float(np.percentile(hips[visible_rows], 98))
    level = np.full(len(hips), greatest)
    if (visible_rows & ~up).sum() * problem.step >= term["arms_down_s"]:
        down = float(np.percentile(hips[visible_rows & ~up], 98))
        if (
            down >= term["arms_lift"] * greatest
        ):  # otherwise the arms hang only while the knees are bent
            level[~up] = down
            if (visible_rows & up).sum() * problem.step < term["arms_down_s"]:
                level[up] = down
    return level


def _bends(points: Array, *limbs: tuple[int, int, int]) -> Array:
    """Return the flexion of limbs of three joints each, degrees, (..., limb)."""
    ends = [[points[..., joint, :] for joint in limb] for limb in limbs]
    return np.stack([angle_between(b - a, c - b) for a, b, c in ends], axis=-1)


def with_standing(
    coarse: Problem, fine: Problem, joints: Array, standing: Standing
) -> tuple[Problem, Problem, WhyNotStanding | None]:
    """Add the weights of standing to both problems, if the subject is assumed and seen to stand.

    The third result is the reason why nobody stands, if standing is assumed.
    """
    if standing == "free":
        return coarse, fine, None
    measured = not isinstance(standing, str)
    weights, why_not = standing_weights(fine, measured=measured)
    if weights is None:
        return coarse, fine, why_not
    knee = (
        STANDING_KNEE
        if isinstance(standing, str)
        else (standing, KNEE_OF_STANDING["sd_if_measured"])
    )
    coarse_weights = weights[np.abs(coarse.knots[:, None] - fine.knots).argmin(axis=1)]
    if not coarse_weights.any():  # standing is shorter than the step of the coarse knots
        surest = fine.knots[weights.argmax()]
        coarse_weights[np.abs(coarse.knots - surest).argmin()] = 1.0
    if not measured and _seen_bent(coarse, joints, coarse_weights > 0):
        return coarse, fine, why_not
    return (
        _with_weights(coarse, coarse_weights * (weights.sum() / coarse_weights.sum()), knee),
        _with_weights(fine, weights, knee),
        None,
    )


def _seen_bent(problem: Problem, joints: Array, standing: Mask) -> bool:
    """Whether a fit without the assumption of standing sees bent knees at these knots.

    The result is False if all views are from the front or from behind, because they hide the
    flexion.
    """
    flat = np.array([1.0, 0.0, 1.0])
    across = [
        unit_vectors(hip_line(camera.world[standing]) * flat) for camera in problem.per_camera
    ]
    if min(np.abs(line[:, 0]).mean() for line in across) > TERMS["standing"]["frontal"]:
        return False
    rows = windows_of(len(problem.knots))
    part = max(rows, key=lambda part_rows: int(standing[part_rows].sum()))
    free, start, standing = part_of(problem, part), joints[part], standing[part]
    solved = solve(free, start, first_shared(free, start), steps=28, tolerance=1e-3)
    rng = np.random.default_rng(0)
    shift = shifts(free, schur_complement(solved.normal), rng, _DRAWS_OF_SEEN_BENT)
    drawn = solved.joints[standing] + sampled(solved.normal, shift, rng)[:, standing]

    excess = float(_bends(solved.joints[standing], *LEGS).mean()) - KNEE_OF_STANDING["mean"]
    sd = float(np.sqrt(_bends(drawn, *LEGS).var(axis=0).mean()))
    return bool(excess > TERMS["standing"]["contradicted"] * sd)


def _with_weights(problem: Problem, weights: Array, knee: tuple[float, float]) -> Problem:
    def with_weights(target: Problem) -> Problem:
        return replace(
            target,
            standing=weights,
            standing_knee=knee,
            without=problem.without,
            **_depths_and_tilt(target, weights),
        )

    views = tuple(replace(view, problem=with_weights(view.problem)) for view in problem.views)
    return replace(with_weights(problem), views=views)


def _depths_and_tilt(problem: Problem, weights: Array) -> dict[str, Any]:
    """Leave out the depths that standing replaces, and level the camera, in views from the front.

    From the front, the pose shows a standing trunk as leaning forward, but not a squatting one. If
    its depths counted while straight standing is assumed, they would tilt the camera.
    """
    term = TERMS["standing"]["depths"]
    if not problem.has_depth or _facing(problem.world[weights > 0]) < term["least_facing"]:
        return {}
    counts = 1 - np.minimum(1.0, term["times"] * weights / weights.max())
    sds = problem.depth_sds.copy()
    for name in term["left_out"]:
        sds[:, list(DEPTHS).index(name)] /= np.sqrt(np.maximum(counts, LEFT_OUT**-2))
    pitch_sd, roll_sd = problem.tilt_sd
    level = float(np.radians(TERMS["tilt"]["pitch_sd_deg"]["if_standing_seen_from_the_front"]))
    return {"depth_sds": sds, "tilt_sd": (min(pitch_sd, level), roll_sd)}


def _facing(points: Array) -> float:
    """Return the cosine of the angle between the body's facing direction and the camera."""
    hips, shoulders = (
        unit_vectors((points[:, right] - points[:, left]) * [1.0, 0.0, 1.0])
        for left, right in (HIPS, SHOULDERS)
    )
    return -float(np.median(unit_vectors(hips + shoulders)[:, 0]))
