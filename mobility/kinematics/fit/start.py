"""Where the fit starts: standing, depths, posture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mobility.kinematics.fit.body import (
    DEPTHS,
    LA,
    LC,
    LH,
    LT,
    N_JOINTS,
    PARENTS,
    RA,
    RC,
    RH,
    RT,
    SEGMENT_NAMES,
    USUAL_RATIOS,
    Array,
    segment_lengths,
    unit_vectors,
)
from mobility.kinematics.fit.observed import LEAST_WEIGHT, is_planted, seen_at
from mobility.kinematics.fit.problem import Problem


def starting_point(problem: Problem, feet_planted: bool | None) -> tuple[Problem, Array]:
    """World landmarks moved to where they cover the picture; also finds planted feet.

    Nothing is assumed about the posture in which the trial begins.
    """
    from scipy.ndimage import median_filter, uniform_filter1d

    image, world, seen = problem.image, problem.world, problem.weight > LEAST_WEIGHT
    n = len(image)
    at = np.arange(n)
    distance = np.full(n, np.nan)
    for i in np.flatnonzero(seen.sum(axis=1) >= 6).tolist():
        u, w = image[i, seen[i]], world[i, seen[i]]
        # A body at w + (a, b, -d) is seen at u where a - u d = -x - u z.
        left = np.zeros((2 * len(u), 3))
        left[0::2, 0], left[1::2, 1], left[:, 2] = -1, -1, u.ravel()
        right = (w[:, :2] + u * w[:, 2:]).ravel()
        distance[i] = np.linalg.lstsq(left, right, rcond=None)[0][2]
    good = np.isfinite(distance)
    width = max(3, int(2 / problem.step) | 1)
    distance = np.interp(at, at[good], distance[good])
    distance = uniform_filter1d(
        median_filter(distance, width, mode="nearest"), width, mode="nearest"
    )
    distance = np.maximum(distance, 0.5)

    z, u = np.zeros((n, N_JOINTS)), image.copy()
    for j in range(N_JOINTS):
        rows = seen[:, j]
        if rows.any():
            z[:, j] = np.interp(at, at[rows], world[rows, j, 2])
            for a in (0, 1):
                u[:, j, a] = np.interp(at, at[rows], image[rows, j, a])
        elif j in PARENTS:  # never seen: anywhere but on its neighbour
            u[:, j] = u[:, PARENTS[j]] + np.array([0.003 * (-1) ** j, -0.08])
            z[:, j] = z[:, PARENTS[j]] + 0.02
    joints = seen_at(u, distance[:, None] - z)
    # The world landmarks often turn the feet towards the camera; they point along the pelvis.
    across = (joints[:, RH] - joints[:, LH]) * np.array([1.0, 0.0, 1.0])
    forward = np.cross([0.0, 1.0, 0.0], unit_vectors(np.median(unit_vectors(across), axis=0)))[2]
    for ankle, heel, toe in ((LA, LC, LT), (RA, RC, RT)):
        z[:, heel], z[:, toe] = z[:, ankle] - 0.05 * forward, z[:, ankle] + 0.16 * forward
    joints = seen_at(u, distance[:, None] - z)
    legs = [
        problem.stature
        + USUAL_RATIOS[i]
        - np.log(np.percentile(segment_lengths(joints, SEGMENT_NAMES[i]), 60))
        for i in (0, 1)
    ]
    scale = float(np.exp(np.mean(legs)))
    joints, distance = joints * scale, distance * scale
    planted = feet_planted
    if planted is None:
        planted = all(is_planted(problem, distance, pair) for pair in ((LA, LT), (RA, RT)))
    depths = feet_planted is not None
    problem = replace(problem, planted=planted, distance=distance, scale=scale, feet_said=depths)
    return with_depths(problem), joints


def with_depths(problem: Problem) -> Problem:
    """Depths along the segments as the world landmarks tell them, and how far to trust all."""
    z = problem.scale * problem.world[..., 2]
    across = unit_vectors((problem.world[:, RH] - problem.world[:, LH]) * np.array([1.0, 0.0, 1.0]))
    behind = max(-float(np.cross([0.0, 1.0, 0.0], unit_vectors(np.median(across, axis=0)))[2]), 0.0)
    sd = np.array([error * (1 + worse * behind) for _, _, error, worse in DEPTHS.values()])
    return replace(
        problem,
        depths=np.stack([z[:, b] - z[:, a] for a, b, _, _ in DEPTHS.values()], axis=-1),
        depth_sds=np.tile(sd, (len(z), 1)),
    )
