"""Gauss-Newton on a banded matrix with a border."""

from __future__ import annotations

import numpy as np

from mobility.kinematics.fit.body import BAND, KNEE_BEND, N_COORDINATES, N_JOINTS, TRUNK_LEAN, Array
from mobility.kinematics.fit.problem import Normal, Problem, Solution, usual_angles
from mobility.kinematics.fit.terms import normal_equations

_FIRST_DAMPING = 3e-2

FRAME_SHARE = 0.45
"""Share of the error of one knot that remains after smoothing, because errors persist from knot to
knot. It was chosen so that errors and standard deviations agree on rendered videos.
"""


def banded(normal: Normal, damping: float) -> Array:
    """Put the Hessian of the positions into LAPACK's lower band storage."""
    n = len(normal.diagonal)
    band = np.zeros((n, N_COORDINATES, BAND))
    for j in range(N_COORDINATES):
        band[:, j, : N_COORDINATES - j] = normal.diagonal[:, j:, j]
    main, next_ = np.full(n, 6.0), np.full(n - 1, -4.0)
    main[[0, -1]], next_[[0, -1]] = 1.0, -2.0
    main[[1, -2]] = 5.0
    # The small constant keeps the matrix regular through gaps without observations.
    band[:, :, 0] += normal.smooth * main[:, None] + 1e-6
    band[:, :, 0] *= 1 + damping
    band[:-1, :, N_COORDINATES] += normal.smooth * next_[:, None]
    band[:-2, :, 2 * N_COORDINATES] += normal.smooth
    return band.reshape(n * N_COORDINATES, BAND).T


def _forward(factor: Array, right: Array) -> Array:
    """Solve L x = right with a banded Cholesky factor for many right-hand sides, block by block.

    LAPACK's dtbtrs would handle the right-hand sides one by one.
    """
    from numpy.lib.stride_tricks import as_strided
    from scipy.linalg import blas

    columns = np.ascontiguousarray(factor.T)
    size, word = len(columns), columns.itemsize
    flat = columns.reshape(-1)
    # Row i, column j of a block lies at j * (BAND - 1) + i from the block's first entry.
    strides = (word, (BAND - 1) * word)
    upper = np.triu(np.ones((BAND, BAND)), 1)
    solution = np.empty_like(right)
    carried: Array = np.zeros((0, right.shape[1]))
    for a in range(0, size, BAND):
        m = min(BAND, size - a)
        part: Array = right[a : a + m]
        if a:
            start = flat[(a - BAND) * BAND + BAND :]
            part = part - (as_strided(start, (m, BAND), strides) * upper[:m]) @ carried
        main = as_strided(flat[a * BAND :], (m, m), strides)
        carried = blas.dtrsm(1.0, main, part, lower=1)
        solution[a : a + m] = carried
    return solution


def solve(
    problem: Problem,
    joints: Array,
    shared: Array,
    *,
    steps: int,
    tolerance: float,
    free: bool = True,
) -> Solution:
    """Solve by Gauss-Newton with Levenberg's damping; `free` also moves the shared numbers.

    The damping depends on the ratio of the actual to the expected gain: Nielsen 1999,
    IMM-REP-1999-05.
    """
    from scipy.linalg import lapack

    damping, growth, accepted = _FIRST_DAMPING, 2.0, 0
    here = normal_equations(problem, joints, shared)
    for _ in range(steps):
        band = banded(here, damping)
        weights = damping / (1 + damping) * band[0]
        factor, failed = lapack.dpbtrf(band, lower=1, overwrite_ab=0)
        if failed:
            damping *= 10
            continue
        pull = here.gradient
        shift: Array = np.zeros(len(shared))
        expected = 0.0
        if free:
            half = _forward(factor, np.column_stack([here.gradient, here.cross]))
            schur = here.shared_hessian - half[:, 1:].T @ half[:, 1:]
            damped = np.diag(here.shared_hessian) * damping
            slope = here.shared_gradient - half[:, 1:].T @ half[:, 0]
            shift = -np.linalg.solve(schur + np.diag(damped), slope).astype(np.float64)
            pull = pull + here.cross @ shift
            expected += float(shift @ (damped * shift - here.shared_gradient))
        solved, _info = lapack.dpbtrs(factor, pull[:, None], lower=1)
        move: Array = -solved[:, 0]
        expected += float(move @ (weights * move - here.gradient))
        tried = joints + np.clip(move.reshape(joints.shape), -0.5, 0.5)
        numbers = shared + np.clip(shift, -1, 1)
        after_step = normal_equations(problem, tried, numbers)
        gain = here.cost - after_step.cost
        if gain > 0:
            small = gain < tolerance * here.cost
            joints, shared, here = tried, numbers, after_step
            damping = max(damping * max(0.2, 1 - (2 * gain / expected - 1) ** 3), 1e-7)
            growth = 2.0
            accepted += 1
            if small:
                break
        else:
            damping *= growth
            growth *= 2
            if damping > 1e4:
                break
    return Solution(joints, shared, here, accepted)


def schur_complement(normal: Normal) -> Array:
    """Return the precision of the shared numbers, with the positions integrated out."""
    from scipy.linalg import lapack

    factor, _info = lapack.dpbtrf(banded(normal, 0.0), lower=1, overwrite_ab=1)
    half = _forward(factor, normal.cross)
    precision: Array = normal.shared_hessian - half.T @ half
    return precision


def shifts(problem: Problem, precision: Array, rng: np.random.Generator, draws: int) -> Array:
    """Draw posterior deviations of the shared numbers, (number, draw).

    The fit keeps the standing posture fixed, because an estimate from the data would have a larger
    error. It is therefore a considered parameter: it is drawn from the spread among people, and the
    other numbers follow.
    """
    held = np.isin(np.arange(len(precision)), (KNEE_BEND, TRUNK_LEAN))
    free_precision = precision[np.ix_(~held, ~held)]
    shift = np.empty((len(precision), draws))
    shift[held] = usual_angles(problem)[1][:, None] * rng.standard_normal((2, draws))
    follow = np.linalg.solve(free_precision, precision[np.ix_(~held, held)] @ shift[held])
    noise = rng.standard_normal((len(free_precision), draws))
    shift[~held] = np.linalg.solve(np.linalg.cholesky(free_precision).T, noise) - follow
    return shift


def sampled(normal: Normal, shift: Array, rng: np.random.Generator) -> Array:
    """Draw deviations of the positions, (draw, n, joint, 3), given those of the shared numbers."""
    from scipy.linalg import lapack

    size = len(normal.gradient)
    factor, _info = lapack.dpbtrf(banded(normal, 0.0), lower=1, overwrite_ab=1)
    follow, _info = lapack.dpbtrs(factor, normal.cross @ shift, lower=1)
    noise = rng.standard_normal((size, shift.shape[1]))
    independent, _info = lapack.dtbtrs(factor, noise, uplo="L", trans="T")
    moved = FRAME_SHARE * independent - follow
    sample: Array = moved.T.reshape(shift.shape[1], size // N_COORDINATES, N_JOINTS, 3)
    return sample
