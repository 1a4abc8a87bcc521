"""Variance components of crossed, nested and unbalanced designs, with their intervals."""

from __future__ import annotations

import functools
from collections.abc import Collection, Hashable, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mobility import tables
from mobility.errors import BadInputError
from mobility.kinematics.geometry import Array
from mobility.validation.limits import LEAST, numbers
from mobility.validation.reliability import chi_square_draws, interval

PARTICIPANT, RESIDUAL = "participant", "residual"
TIMES = " × "

_ZERO = 1e-6
"""Share of the variance of all values below which a component is zero."""


class Components(NamedTuple):
    """Variances of the terms of a design, in the squared unit of the values.

    `terms` are names of factors joined by ``" × "``, the participant's first, the residual's last.
    `variances` (term) are estimated by REML and never negative; `draws` (term, draw) are
    of their generalised distribution. `freedom` (term) are the degrees of freedom of each term's
    mean square. Where `reason` says why there are none, the arrays are empty.
    """

    participants: int
    values: int
    terms: tuple[str, ...]
    variances: Array
    draws: Array
    freedom: Array
    reason: str

    def of(self, terms: Collection[str]) -> tuple[float, Array]:
        """Sum of the variances of some terms, and its draws."""
        chosen = [term in terms for term in self.terms]
        return float(self.variances[chosen].sum()), self.draws[chosen].sum(axis=0)

    def interval(self, term: str) -> tuple[float, float]:
        """95 % interval of the variance of a term."""
        return interval(self.draws[self.terms.index(term)])


class _Design(NamedTuple):
    """What of the terms does not depend on the values."""

    terms: tuple[str, ...]
    incidence: tuple[Array, ...]
    """Of each term but the residual, over (value, level)."""
    bases: tuple[Array, ...]
    """Of each term, over (value, dimension): what it explains beyond terms that do not hold it."""
    loads: tuple[tuple[Array, ...], ...]
    """Of each term and other term, over (dimension, level): basis times incidence."""
    balanced: bool
    reason: str


def variance_components(values: ArrayLike, factors: Mapping[str, Sequence[Hashable]]) -> Components:
    r"""Estimate how much each factor of a design, and each pair of them, adds to the variance.

    The model is :math:`y = \mu + \sum_t Z_t u_t + e` with independent normal effects of each term
    t: the participant, each other factor, the pairs of all of these, and all of them together where
    cells have repeated values. A term that the design cannot tell from another is left out: a pair
    with one value in each cell is the residual; a factor whose levels belong to one participant
    each (dates of visits) has no effect of its own but that within participants.

    The variances are those of restricted maximum likelihood (REML), 0 at the least. In a balanced
    design they are the estimates of the analysis of variance where none of these is negative.

    The intervals are generalised: each term has a mean square of what it explains beyond the terms
    that do not hold it (type II), with expectation :math:`\sum_s c_{ts} \sigma^2_s`; each is
    divided by draws of chi-square over its degrees of freedom, and the equations are solved for the
    variances, negative solutions set to 0. In a balanced design the mean squares are independent
    and exactly so distributed. In others their degrees of freedom are Satterthwaite's, and
    ``benchmarks/reliability.md`` has what the intervals cover: a factor with two levels has one
    degree of freedom, and an upper end that is far away.

    Parameters
    ----------
    values
        One number for each measurement; NaN is left out.
    factors
        Labels of each value by the name of the factor, ``participant`` among them. Repeated
        values of a cell need no factor: the residual is theirs.

    Returns
    -------
    Components
        Variances and draws; with fewer than three participants, or where nothing can be told
        apart, the reason.

    References
    ----------
    Patterson & Thompson 1971, Biometrika 58:545 (REML). Weerahandi 1993, J Am Stat Assoc 88:899
    (generalised intervals). Burdick, Borror & Montgomery 2005, Design and Analysis of Gauge R&R
    Studies, SIAM. Brennan 2001, Generalizability Theory, Springer (the designs).
    """
    y = numbers(values, what="variance components")
    labels = {name: np.asarray(each, dtype=object) for name, each in factors.items()}
    if PARTICIPANT not in labels or any(each.shape != y.shape for each in labels.values()):
        raise BadInputError(
            "variance components: give the label of each value of each factor, the participant's"
            f" among them (got {', '.join(labels) or 'none'})"
        )
    valid = np.isfinite(y)
    y = y[valid]
    codes = {name: _codes(each[valid]) for name, each in labels.items()}
    people = len(np.unique(codes[PARTICIPANT]))

    def without(reason: str) -> Components:
        none = np.empty(0)
        return Components(people, len(y), (), none, np.empty((0, 0)), none, reason)

    if people < LEAST:
        return without(f"components: {people} participants, needs {LEAST}")
    if np.ptp(y) == 0:
        return without("components: all values are the same")
    design = _design(tuple((name, tuple(each.tolist())) for name, each in codes.items()))
    if design.reason:
        return without(f"components: {design.reason}")
    scale = float(y.std())
    squares = np.array([((basis.T @ y) ** 2).sum() for basis in design.bases]) / scale**2
    ranks = np.array([basis.shape[1] for basis in design.bases], np.float64)
    expected = np.array(
        [
            [(load**2).sum() / rank for load in row] + [1.0]
            for row, rank in zip(design.loads, ranks, strict=True)
        ]
    )
    variances = np.linalg.solve(expected, squares / ranks)
    if not (design.balanced and variances.min() >= 0):
        variances = _restricted_likelihood((y - y.mean()) / scale, design, variances)
    variances = np.where(variances < _ZERO, 0.0, variances)
    freedom = ranks if design.balanced else _freedom(design, variances)
    draws = chi_square_draws(tuple(freedom.tolist())) * (squares / ranks)[:, None]
    draws = np.maximum(np.linalg.solve(expected, draws), 0.0)
    return Components(
        people,
        len(y),
        design.terms,
        variances * scale**2,
        draws * scale**2,
        freedom,
        "",
    )


def _codes(labels: NDArray[np.object_]) -> NDArray[np.int64]:
    numbers_of: dict[Hashable, int] = {}
    return np.array([numbers_of.setdefault(label, len(numbers_of)) for label in labels], np.int64)


@functools.lru_cache(maxsize=64)
def _design(factors: tuple[tuple[str, tuple[int, ...]], ...]) -> _Design:
    codes = {name: np.array(each) for name, each in factors}
    empty = _Design((), (), (), (), False, "")
    try:
        partitions = _partitions(codes)
    except BadInputError as error:
        return empty._replace(reason=str(error))
    incidence = {term: np.eye(int(each.max()) + 1)[each] for term, each in partitions.items()}
    count = len(next(iter(codes.values())))
    intercept = np.ones((count, 1))
    bases: dict[str, Array] = {}
    for term in partitions:
        others = [
            incidence[other]
            for other, each in partitions.items()
            if not _refines(each, partitions[term])
        ]
        bases[term] = _added(np.hstack([intercept, *others]), incidence[term])
        if not bases[term].shape[1]:
            why = tables.sentence("studies.components.confounded", term=term)
            return empty._replace(reason=why)
    rest = _added(np.hstack([intercept, *incidence.values()]), np.eye(count))
    if not rest.shape[1]:
        return empty._replace(reason=tables.sentence("studies.components.no_residual"))
    every = (*bases.values(), rest)
    loads = tuple(tuple(basis.T @ each for each in incidence.values()) for basis in every)
    balanced = all(_is_multiple_of_identity(load @ load.T) for row in loads for load in row)
    return _Design((*partitions, RESIDUAL), tuple(incidence.values()), every, loads, balanced, "")


def _partitions(codes: Mapping[str, NDArray[np.int64]]) -> dict[str, NDArray[np.int64]]:
    """Group of each value by each term that the design can tell from others.

    Raises
    ------
    BadInputError
        Two factors change together.
    """
    varying = {name: each for name, each in codes.items() if each.max() > 0}
    others = [name for name in varying if name != PARTICIPANT]
    for one, other in combinations(others, 2):
        if _same(varying[one], varying[other]):
            raise BadInputError(
                tables.sentence("studies.components.together", one=one, other=other)
            )
    names = [PARTICIPANT, *others]
    chosen: list[tuple[str, ...]] = [(name,) for name in names]
    chosen += combinations(names, 2)
    if len(names) > 3:
        chosen.append(tuple(names))
    count = len(codes[PARTICIPANT])
    kept: dict[str, NDArray[np.int64]] = {}
    for term in chosen:
        together = np.stack([varying[name] for name in term])
        groups = np.unique(together, axis=1, return_inverse=True)[1].ravel()
        twins = [name for name, each in kept.items() if _same(each, groups)]
        if len(np.unique(groups)) == count:  # that is the residual
            continue
        if not twins:
            kept[TIMES.join(term)] = groups
        elif twins[0] != PARTICIPANT and term[0] == PARTICIPANT:  # nested in participants
            del kept[twins[0]]
            kept[TIMES.join(term)] = groups
    if PARTICIPANT not in kept:
        raise BadInputError(tables.sentence("studies.components.once"))
    return kept


def _refines(fine: NDArray[np.int64], coarse: NDArray[np.int64]) -> bool:
    """Whether each group of the one lies within one group of the other."""
    pairs = np.unique(np.stack([fine, coarse]), axis=1)
    return pairs.shape[1] == len(np.unique(fine))


def _same(one: NDArray[np.int64], other: NDArray[np.int64]) -> bool:
    return _refines(one, other) and _refines(other, one)


def _added(before: Array, more: Array) -> Array:
    """Orthonormal basis of what columns span beyond those before."""
    basis = _span(before)
    return _span(more - basis @ (basis.T @ more))


def _span(columns: Array) -> Array:
    basis, sizes, _ = np.linalg.svd(columns, full_matrices=False)
    return np.ascontiguousarray(basis[:, sizes > 1e-8 * max(1.0, float(sizes.max(initial=0.0)))])


def _is_multiple_of_identity(square: Array) -> bool:
    return np.allclose(square, square[0, 0] * np.eye(len(square)), atol=1e-6)


def _freedom(design: _Design, variances: Array) -> Array:
    """Satterthwaite's degrees of freedom of the mean square of each term."""
    freedom = []
    for row in design.loads:
        covariance = variances[-1] * np.eye(len(row[0]))
        for load, variance in zip(row, variances, strict=False):
            covariance = covariance + variance * (load @ load.T)
        freedom.append(np.trace(covariance) ** 2 / (covariance**2).sum())
    return np.array(freedom)


def _restricted_likelihood(y: Array, design: _Design, start: Array) -> Array:
    """Variances of the largest restricted likelihood; `y` has mean 0 and variance 1."""
    from scipy.linalg import cho_factor, cho_solve
    from scipy.optimize import minimize

    identity, ones = np.eye(len(y)), np.ones(len(y))
    squared = [each @ each.T for each in design.incidence]
    scales = np.clip(start, 0.01, None)

    def deviance(x: Array) -> tuple[float, Array]:
        *of_terms, residual = x * scales
        covariance = residual * identity
        for variance, each in zip(of_terms, squared, strict=True):
            covariance = covariance + variance * each
        factor = cho_factor(covariance, lower=True, check_finite=False)
        inverse = cho_solve(factor, identity, check_finite=False)
        of_mean = inverse @ ones
        information = of_mean.sum()
        projected = inverse - np.outer(of_mean, of_mean) / information
        residuals = projected @ y
        value = 2 * np.log(np.diag(factor[0])).sum() + np.log(information) + y @ residuals
        slopes = [(projected * each).sum() - ((each @ residuals) @ residuals) for each in squared]
        slopes.append(np.trace(projected) - residuals @ residuals)
        return float(value), np.array(slopes) * scales

    best = minimize(
        deviance,
        np.clip(start, 0.01, None) / scales,
        jac=True,
        method="L-BFGS-B",
        bounds=[(0.0, None)] * len(squared) + [(1e-8, None)],
        options={"ftol": 1e-14, "gtol": 1e-7, "maxiter": 500},
    )
    return np.asarray(best.x * scales, np.float64)
