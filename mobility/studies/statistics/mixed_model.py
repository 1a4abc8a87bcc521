"""Linear mixed models by restricted maximum likelihood, with degrees of freedom for small studies.

Python packages use normal quantiles in tests; with these, a study of ten people finds false
differences in 7 to 9 of 100 cases. Satterthwaite's degrees of freedom need the covariance of the
variance components, which this module computes.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mobility.errors import BadInputError

Array = NDArray[np.float64]
RESIDUAL = "residual"
_STEPS = 200
_HALVINGS = 20
_CONVERGED = 1e-7
_NEAR = 0.05
"""Share of the residual variance below which a direction of the values counts as error-free. It is
a choice of this package, made with null studies other than those in ``benchmarks/groups.md``.
"""
_TINY = 1e-14
_FLOOR = 1e-4
"""Least variance of a direction that truly has none, for values with variance 1."""


class MixedModel(NamedTuple):
    """A fitted model.

    Parameters
    ----------
    estimate
        Fixed effects (p,), in the unit of the values.
    covariance
        Their covariance (p, p) if the variances were known.
    adjusted
        The same covariance, including the error of the estimated variances if the effects depend on
        the variances, as they do if values are missing.
    variances
        For each stratum ("" if there are none), the variance of each grouping and of the residual,
        in squared units. A negative variance means that values of the same group differ more than
        values of different groups. The sum over a group is never negative.
    variances_covariance
        Covariance of the variances (k, k).
    slopes
        Derivative of the covariance with respect to each variance (k, p, p).
    weights
        Weight of each value in each fixed effect (n, p). The effects are the products of the
        weights and the values.
    floor
        Variance that counts as zero, in squared units; 0 if no direction of the values is
        error-free.
    """

    estimate: Array
    covariance: Array
    adjusted: Array
    variances: Mapping[str, Mapping[str, float]]
    variances_covariance: Array
    slopes: Array
    weights: Array
    floor: float = 0.0

    def contrast(self, weights: ArrayLike) -> tuple[float, float, float]:
        """Return value, standard error and Satterthwaite's freedom of `weights` · effects.

        Satterthwaite 1946, Biometrics Bull 2:110. Giesbrecht and Burns 1985, Biometrics 41:477.
        Kenward and Roger 1997, Biometrics 53:983 (the standard error).

        Raises
        ------
        BadInputError
            The values do not differ at all, or the study contains too little information on its
            error.
        """
        w = np.asarray(weights, float)
        variance = float(w @ self.covariance @ w)
        if variance <= 10 * self.floor * float(((self.weights @ w) ** 2).sum()):
            raise BadInputError(f"mixed model: {_SAME}")
        slope = np.einsum("kij,i,j->k", self.slopes, w, w)
        spread = float(slope @ self.variances_covariance @ slope)
        freedom = 2 * variance**2 / spread if spread > 0 else np.inf
        squared = float(w @ self.adjusted @ w)
        if not (squared > 0 and np.isfinite(squared)):
            raise BadInputError(f"mixed model: {_TOO_LITTLE}")
        return float(w @ self.estimate), float(np.sqrt(squared)), float(freedom)


def fit_mixed_model(
    values: ArrayLike,
    fixed: ArrayLike,
    groupings: Mapping[str, ArrayLike],
    *,
    strata: ArrayLike | None = None,
) -> MixedModel:
    r"""Fit :math:`y = X\beta + \sum_k Z_k u_k + e` by restricted maximum likelihood.

    Parameters
    ----------
    values
        Values (n,) in any unit, without NaN.
    fixed
        Design matrix X (n, p) with full rank.
    groupings
        The group of each value (n,), by name: the participant, the participant and side, ... Each
        grouping has random intercepts; nested and crossed groupings may be mixed. A grouping that
        separates all values, or that equals another grouping, is left out.
    strata
        The stratum of each value (n,), which has its own variances; None if all values have the
        same variances. With one value per person in two strata, it is Welch's t test.

    Returns
    -------
    MixedModel
        Variances may be negative if the data require it, because tests that forbid it reject too
        often or too rarely. In balanced studies, they equal those of the analysis of variance. If
        values are missing, a negative variance can make one person's mean exact, so that this
        person decides the result (null studies with p = 0). In that case, no variance is negative.

    Raises
    ------
    BadInputError
        There are too few values for the fixed effects, the effects depend on each other, the search
        does not end, or the values leave no error to estimate.

    References
    ----------
    Patterson and Thompson 1971, Biometrika 58:545; Stroup and Littell 2002 (PROC MIXED's
    unbounded variances), Kansas State University Conference on Applied Statistics.
    """
    y, x = np.asarray(values, float), np.asarray(fixed, float)
    if len(y) <= x.shape[1] or np.linalg.matrix_rank(x) < x.shape[1]:
        raise BadInputError(
            "mixed model: there are too few values for its effects, or its effects coincide"
        )
    terms = _terms(groupings, np.full(len(y), "") if strata is None else np.asarray(strata, str))
    # Far from 0 the values lose digits, so the search uses their residuals.
    start = np.linalg.lstsq(x, y, rcond=None)[0]
    residual = y - x @ start
    scale = float(residual @ residual) / (len(y) - x.shape[1])
    spread = [float((residual[term.codes >= 0] ** 2).mean()) for term in terms]
    if min(spread) <= (1e-12 * np.abs(y).max()) ** 2:
        raise BadInputError(f"mixed model: {_SAME}")
    model = _Model(residual / np.sqrt(scale), x, terms, np.array(spread) / scale, *_blocks(terms))
    search = _most_likely(model)
    state, free = search.state, search.free
    information = np.where(np.outer(free, free), state.information, 0.0)
    uncertain = np.linalg.pinv(information, hermitian=True)
    crossed = np.einsum("iab,bc,jcd->ijad", state.wide, state.covariance, state.wide)
    added = np.einsum("ij,ijab->ab", uncertain, state.wider - crossed)
    adjusted = state.covariance + 2 * state.covariance @ added @ state.covariance
    if not search.ended:  # effects of least squares, on which the variances have no influence
        adjusted = state.covariance
    variances: dict[str, dict[str, float]] = {}
    for term, variance in zip(terms, search.theta * scale, strict=True):
        variances.setdefault(term.stratum, {})[term.name] = float(variance)
    return MixedModel(
        start + state.estimate * np.sqrt(scale),
        state.covariance * scale,
        adjusted * scale,
        variances,
        uncertain * scale**2,
        state.slopes,
        state.weights,
        0.0 if search.ended else _FLOOR * scale,
    )


def nonnegative_variances(values: ArrayLike, groupings: Mapping[str, ArrayLike]) -> Array:
    """Return the variances of the groupings and of the residual about one mean; none is negative.

    The values have variance 1. The groupings are those of :func:`fit_mixed_model`, and all differ.
    A residual variance of 1e-8 represents zero.

    Raises
    ------
    BadInputError
        The search does not end, so its last point is not an estimate.
    """
    y = np.asarray(values, float)
    terms = _terms(groupings, np.full(len(y), ""))
    model = _Model(y, np.ones((len(y), 1)), terms, np.ones(len(terms)), *_blocks(terms))
    search = _search_bounded(model)
    if not search.ended:
        raise BadInputError(_ENDLESS)
    return search.theta


_SAME = "all values of a group are the same"
_TOO_LITTLE = "the study contains too little information"
_ENDLESS = f"mixed model: its search does not end; {_TOO_LITTLE}"


class _Term(NamedTuple):
    stratum: str
    name: str
    codes: NDArray[np.intp]
    """Group of each value; -1 in other strata."""


class _Model(NamedTuple):
    values: Array
    fixed: Array
    terms: list[_Term]
    """Terms of each stratum together, with its residual last."""
    spread: Array
    """For each term, the variance of the values of its stratum."""
    blocks: list[NDArray[np.intp]]
    parts: list[dict[int, Array]]
    """For each block, Z over (value, group), by the number of each term of its stratum."""

    @property
    def residuals(self) -> NDArray[np.bool_]:
        """Return which terms are residuals."""
        return np.array([term.name == RESIDUAL for term in self.terms])


class _Found(NamedTuple):
    theta: Array
    state: _State
    free: NDArray[np.bool_]
    """Which variances are estimated, not fixed at 0."""
    ended: bool
    """False if the search stopped at a singular covariance."""


def _most_likely(model: _Model) -> _Found:
    """Return the variances with the greatest restricted likelihood, with limits only if necessary.

    Without limits, a covariance can become singular. If all values have equal weight in the
    effects, as in balanced studies, the effects do not depend on it. Otherwise no variance may be
    negative.
    """
    search = _search(model)
    if search.ended and not _nearly_singular(model, search.theta):
        if search.theta[model.residuals].min() > _NO_ERROR:
            return search
    elif search.ended and _as_least_squares(model, search.state):
        return search
    stopped = _search(model, floor=_FLOOR)
    if _as_least_squares(model, stopped.state):
        return stopped
    search = _search_bounded(model)
    if search.theta[model.residuals].min() <= (_NO_ERROR if search.ended else _FLOOR):
        raise BadInputError(
            "mixed model: there are too few people with several values to estimate the error"
        )
    if not search.ended:
        raise BadInputError(_ENDLESS)
    return search


_NO_ERROR = 1e-8
"""Residual variance, for values with variance 1, that represents zero."""


def _search(model: _Model, *, floor: float = _TINY) -> _Found:
    """Search by Fisher scoring, in steps that are halved until the likelihood increases."""
    count = len(model.terms)
    theta = model.spread * np.where(model.residuals, 0.5, 0.5 / max(count - 1, 1))
    state, free = _start(model, theta, floor), np.ones(count, np.bool_)
    for _ in range(_STEPS):
        step = np.linalg.lstsq(state.information, state.score, rcond=None)[0]
        if abs(float(state.score @ step)) < _CONVERGED:
            return _Found(theta, state, free, ended=True)
        for _ in range(_HALVINGS):
            tried = _state(model, theta + step, floor)
            if tried is not None and tried.likelihood >= state.likelihood - 1e-12:
                theta, state = theta + step, tried
                break
            step = step / 2
        else:
            break
    return _Found(theta, state, free, ended=False)


def _search_bounded(model: _Model) -> _Found:
    """Search for non-negative variances, by Fisher scoring and then a secant method.

    Each step goes to where the quadratic approximation of the likelihood is greatest within the
    bounds (non-negative least squares), and is halved until the likelihood increases. On a ridge of
    the likelihood, the expected information is not the curvature, and steps of Fisher scoring are
    far too short. After some steps the curvature is therefore learned from the scores (BFGS).
    """
    from scipy.optimize import nnls

    least = np.where(model.residuals, _NO_ERROR, 0.0)
    theta = model.spread * np.where(model.residuals, 0.5, 0.5 / max(len(least) - 1, 1))
    state = _start(model, theta, _TINY)
    curvature = state.information
    for number in range(_STEPS):
        # Units in which the diagonal of the curvature is 1.
        size = 1 / np.sqrt(np.maximum(curvature.diagonal(), _RIDGE))
        scaled = curvature * np.outer(size, size) + _RIDGE * np.eye(len(theta))
        try:
            root = np.linalg.cholesky(scaled).T
        except np.linalg.LinAlgError:  # a covariance that is nearly singular
            break
        lowest = (least - theta) / size
        wanted = np.linalg.solve(root.T, state.score * size) - root @ lowest
        step = (nnls(root, wanted)[0] + lowest) * size
        if float(state.score @ step) < _CONVERGED:
            at_bound = state.score < -state.information.diagonal() * (theta - least)
            return _Found(np.where(at_bound, least, theta), state, ~at_bound, ended=True)
        for _ in range(_HALVINGS):
            tried = _state(model, np.maximum(theta + step, least), _TINY)
            if tried is not None and tried.likelihood > state.likelihood:
                break
            step = step / 2
        else:
            break
        curvature = _with_secant(curvature, step, state.score - tried.score)
        if number < _SCORINGS:
            curvature = tried.information
        theta, state = np.maximum(theta + step, least), tried
    return _Found(theta, state, theta > least, ended=False)


def _with_secant(curvature: Array, step: Array, change: Array) -> Array:
    """Return a concave curvature that also gives the change of the score by the last step."""
    along, image = float(step @ change), curvature @ step
    if not along > _RIDGE * float(step @ image) > 0:
        return curvature
    old = np.outer(image, image) / float(step @ image)
    updated: Array = curvature - old + np.outer(change, change) / along
    return updated


_SCORINGS = 10
"""Number of steps of Fisher scoring after which almost all searches have ended."""
_RIDGE = 1e-9
"""Added to the diagonal of the curvature, so that it is never singular."""


def _start(model: _Model, theta: Array, floor: float) -> _State:
    state = _state(model, theta, floor)
    if state is None:  # a group hardly varies compared with the others
        raise BadInputError(f"mixed model: {_TOO_LITTLE} of a group that hardly varies")
    return state


def _covariance(theta: Array, part: Mapping[int, Array]) -> Array:
    """Return the covariance of the values of a block."""
    covariance: Array = np.sum([theta[i] * z @ z.T for i, z in part.items()], axis=0)
    return covariance


def _nearly_singular(model: _Model, theta: Array) -> bool:
    """Return whether a direction of the values of a block counts as error-free."""
    return any(
        np.linalg.eigvalsh(_covariance(theta, part))[0] < _NEAR * abs(theta[max(part)])
        for part in model.parts
    )


def _as_least_squares(model: _Model, state: _State) -> bool:
    """Return whether effects equal those of least squares, whatever the variances."""
    return np.allclose(state.weights, np.linalg.pinv(model.fixed).T, atol=1e-6)


class _State(NamedTuple):
    likelihood: float
    score: Array
    information: Array
    estimate: Array
    covariance: Array
    slopes: Array
    weights: Array
    wide: Array
    """X'V⁻¹ZZ'V⁻¹X for each variance (k, p, p)."""
    wider: Array
    """X'V⁻¹ZZ'V⁻¹ZZ'V⁻¹X for each pair of variances (k, k, p, p)."""


def _state(model: _Model, theta: Array, floor: float) -> _State | None:
    """Return restricted likelihood and derivatives; None if a covariance is not above `floor`."""
    y, x = model.values, model.fixed
    k, p = len(theta), x.shape[1]
    xvx, xvy = np.zeros((p, p)), np.zeros(p)
    q, qy, trace = np.zeros((k, p, p)), np.zeros((k, p)), np.zeros(k)
    qq, traces = np.zeros((k, k, p, p)), np.zeros((k, k))
    yvy, determinant, yqy = 0.0, 0.0, np.zeros(k)
    weighted = np.zeros_like(x)
    for block, part in zip(model.blocks, model.parts, strict=True):
        v = _covariance(theta, part)
        try:
            root = np.linalg.cholesky(v)
        except np.linalg.LinAlgError:
            return None
        if root.diagonal().min() ** 2 < floor:
            return None
        inverse = np.linalg.inv(v)
        xb, yb = x[block], y[block]
        vx, vy = inverse @ xb, inverse @ yb
        weighted[block] = vx
        xvx += xb.T @ vx
        xvy += xb.T @ vy
        yvy += float(yb @ vy)
        determinant += 2 * float(np.log(root.diagonal()).sum())
        zx = {i: z.T @ vx for i, z in part.items()}
        for i, z in part.items():
            zy, zv = z.T @ vy, z.T @ inverse
            trace[i] += float((zv * z.T).sum())
            q[i] += zx[i].T @ zx[i]
            qy[i] += zx[i].T @ zy
            yqy[i] += float(zy @ zy)
            for j in (j for j in part if j <= i):
                both = zv @ part[j]
                traces[i, j] += float((both**2).sum())
                qq[i, j] += zx[i].T @ both @ zx[j]
                qq[j, i] = qq[i, j].T
    covariance = np.asarray(np.linalg.inv(xvx), float)
    beta = covariance @ xvy
    information, score = np.zeros((k, k)), np.zeros(k)
    cq = [covariance @ matrix for matrix in q]
    for i, j in itertools.combinations_with_replacement(range(k), 2):
        information[i, j] = information[j, i] = 0.5 * (
            traces[j, i]
            - 2 * float((covariance * qq[j, i].T).sum())
            + float((cq[i] * cq[j].T).sum())
        )
    for i in range(k):
        fitted = yqy[i] - 2 * float(qy[i] @ beta) + float(beta @ q[i] @ beta)
        score[i] = 0.5 * (fitted - trace[i] + cq[i].trace())
    likelihood = -0.5 * (determinant + float(np.linalg.slogdet(xvx)[1]) + yvy - float(xvy @ beta))
    slopes = np.array([covariance @ matrix @ covariance for matrix in q])
    weights = weighted @ covariance
    return _State(likelihood, score, information, beta, covariance, slopes, weights, q, qq)


def _terms(groupings: Mapping[str, ArrayLike], strata: NDArray[np.str_]) -> list[_Term]:
    """Assign numbers to the groups, and leave out groupings that add nothing to the others."""
    terms: list[_Term] = []
    for stratum in np.unique(strata).tolist():
        inside = strata == stratum
        n = int(inside.sum())
        of_stratum: list[_Term] = []
        for name, groups in groupings.items():
            codes = np.full(len(strata), -1)
            codes[inside] = np.unique(np.asarray(groups, str)[inside], return_inverse=True)[1]
            count = codes.max() + 1
            same = any(
                count
                == earlier.codes.max() + 1
                == len(np.unique((codes * n + earlier.codes)[inside]))
                for earlier in of_stratum
            )
            if 1 < count < n and not same:
                of_stratum.append(_Term(stratum, name, codes))
        residual = np.where(inside, np.cumsum(inside) - 1, -1)
        terms += [*of_stratum, _Term(stratum, RESIDUAL, residual)]
    return terms


def _blocks(terms: Sequence[_Term]) -> tuple[list[NDArray[np.intp]], list[dict[int, Array]]]:
    """Find values that no grouping connects, whose covariances are inverted separately."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = len(terms[0].codes)
    start, nodes, edges = n, [], []
    for term in terms:
        inside = np.flatnonzero(term.codes >= 0)
        nodes.append(inside)
        edges.append(start + term.codes[inside])
        start += int(term.codes.max()) + 1
    row, column = np.concatenate(nodes), np.concatenate(edges)
    graph = coo_array((np.ones(len(row)), (row, column)), shape=(start, start))
    label = connected_components(graph, directed=False)[1][:n]
    order = np.argsort(label, kind="stable")
    blocks = np.split(order, np.flatnonzero(np.diff(label[order])) + 1)
    parts = [
        {
            i: (codes[:, None] == np.unique(codes)).astype(float)
            for i, codes in enumerate(term.codes[block] for term in terms)
            if codes[0] >= 0
        }
        for block in blocks
    ]
    return blocks, parts
