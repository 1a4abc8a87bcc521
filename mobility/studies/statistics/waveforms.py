"""Comparison of curves over a repetition: errors, similarity, and tests over the whole curve."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from mobility import tables
from mobility.errors import BadInputError
from mobility.kinematics.skeleton import Array
from mobility.studies.statistics.limits_of_agreement import numbers

LEAST_CURVES = 5
"""Least number of curves for a band, and in each group of a comparison. With three curves, sign
flips find a difference in many studies in which there is none.
"""

ARRANGEMENTS = 10_000
"""Largest number of sign flips of a test: if more are possible, this many are drawn."""

ALPHA = 0.05

BAND_COVERAGE = (
    "contains the whole mean curve in 94 to 96 % of simulated studies of 5 to 40 people whose "
    "curves"
    " are normal; of people whose values are strongly skewed (log-normal) in 70 to 80 %"
)
"""Coverage of the 95 % band of :func:`band_factor`."""

_EQUAL = 1e-9
"""Relative difference below which two statistics count as equal, apart from rounding."""


class CurveTest(NamedTuple):
    """A test of curves by sign flips, with the error rate controlled over the whole curve.

    `t` and `p` are arrays over the points: the statistic, and the share of arrangements whose
    largest |t| over all points is at least as large (Westfall and Young). |t| exceeds `threshold`
    if p is at most the level of the test. `arrangements` is the number of arrangements that were
    tried; if `exact`, all were tried.
    """

    t: Array
    p: Array
    threshold: float
    arrangements: int
    exact: bool


class Cluster(NamedTuple):
    """A run of points beyond the threshold: its first point, last point, peak, and p value."""

    first: int
    last: int
    peak: int
    p: float


def curve_errors(measured: xr.DataArray, reference: xr.DataArray, *, dim: str) -> xr.Dataset:
    r"""Compute the errors of curves against the reference along `dim`, in the unit of the curves.

    They are `bias` (mean of measured - reference), `mae`, `rmse` and `rmse_offset_removed`, with
    :math:`RMSE^2 = bias^2 + RMSE_{offset\,removed}^2`; the last is the standard deviation of the
    difference (with divisor n). Points that are NaN in either curve are left out. Errors are NaN if
    more than half of the points of the reference are left out.
    """
    largest = tables.load("measures")["limits"]["largest_gap_share"]["value"]
    difference = measured - reference
    compared = difference.notnull().sum(dim)
    enough = (compared > 0) & (compared >= (1 - largest) * reference.notnull().sum(dim))
    bias = difference.mean(dim).where(enough)
    units = {key: measured.attrs[key] for key in ("units",) if key in measured.attrs}
    parts: dict[str, tuple[xr.DataArray, str]] = {
        "bias": (bias, "mean difference of the curves"),
        "mae": (abs(difference).mean(dim), "mean absolute difference of the curves"),
        "rmse": ((difference**2).mean(dim) ** 0.5, "root mean square difference of the curves"),
        "rmse_offset_removed": (
            ((difference - bias) ** 2).mean(dim) ** 0.5,
            "root mean square difference of the curves after their mean difference is removed",
        ),
    }
    return xr.Dataset(
        {
            name: value.where(enough).assign_attrs(units, long_name=text)
            for name, (value, text) in parts.items()
        }
    )


def multiple_correlation(curves: ArrayLike) -> float:
    r"""Compute the coefficient of multiple correlation of curves (CMC).

    With Y in cycle g, protocol p and frame f, the mean over protocols :math:`\bar Y_{gf}` and the
    mean of a cycle :math:`\bar Y_g`,

    .. math:: \sqrt{1 - \frac{\sum (Y - \bar Y_{gf})^2 / \sum_g F_g (P - 1)}
                             {\sum (Y - \bar Y_g)^2 / \sum_g (P F_g - 1)}}

    `curves` has the dimensions (cycle, protocol, frame): for each cycle, the same movement as
    measured by each protocol (Ferrari, Cutti, Cappello 2010, Gait Posture 31:540). With repetitions
    instead of protocols, and sessions instead of cycles, it is the repeatability of one protocol
    (Kadaba et al. 1989, J Orthop Res 7:849). Frames that are NaN in one protocol are left out.

    The coefficient is 1 for equal curves, and NaN if the curves differ more than they vary over
    time, or with fewer than two frames. Errors that are small compared with the range of motion
    hardly reduce it, so it does not prove agreement by itself.
    """
    values = numbers(curves, what="multiple_correlation")
    if values.ndim != 3:
        raise BadInputError(
            f"multiple_correlation: curves must have the dimensions (cycle, protocol, frame) (got "
            f"{values.shape}); pass [curves] for a single cycle"
        )
    protocols = values.shape[1]
    between_protocols = within_cycle = 0.0
    freedom_between = freedom_within = 0
    for cycle in values:
        complete = cycle[:, np.isfinite(cycle).all(axis=0)]
        frames = complete.shape[1]
        if frames == 0:
            continue
        between_protocols += float(((complete - complete.mean(axis=0)) ** 2).sum())
        within_cycle += float(((complete - complete.mean()) ** 2).sum())
        freedom_between += frames * (protocols - 1)
        freedom_within += protocols * frames - 1
    if freedom_within <= freedom_between or within_cycle <= 0:
        return np.nan
    square = 1 - (between_protocols / freedom_between) / (within_cycle / freedom_within)
    return float(np.sqrt(square)) if square >= 0 else np.nan


def paired_curve_test(
    differences: ArrayLike, *, alpha: float = ALPHA, most: int = ARRANGEMENTS, seed: int = 0
) -> CurveTest:
    """Test whether a mean difference curve is zero everywhere, by flipping signs, two-tailed.

    Parameters
    ----------
    differences
        Differences over (pair, point), one curve for each participant; curves with NaN are left
        out.
    alpha
        Level of the test.
    most, seed
        If more than `most` sign flips are possible, this many are drawn, always the same for a
        given `seed`.

    Raises
    ------
    BadInputError
        There are too few pairs for a p as small as `alpha`, or all differences are the same.

    Notes
    -----
    Under the null hypothesis each difference is as likely with the opposite sign. The largest |t|
    is compared with that of every flip (max-t; Nichols and Holmes 2002, Hum Brain Mapp 15:1), so
    each point beyond the threshold counts as different. All points share one error rate.
    """
    curves = _without_gaps(differences)
    count = len(curves)
    _require_arrangements(2.0 ** max(count - 1, 0), alpha, f"{count} pairs")
    _require_spread(curves, curves.std(axis=0), curves.mean(axis=0))
    signs, exact = _signs(count, most, seed)
    return _tested(_t_of_flips(signs, curves), alpha, exact=exact)


def independent_curve_test(
    first: ArrayLike,
    second: ArrayLike,
    *,
    alpha: float = ALPHA,
    most: int = ARRANGEMENTS,
    seed: int = 0,
) -> CurveTest:
    """Test whether two groups have the same mean curve (second minus first), however they vary.

    Like :func:`paired_curve_test`, for curves of different participants. The statistic is Welch's
    t. It is compared with the t of curves whose deviations from their group's mean have flipped
    signs (wild bootstrap-t, as in :func:`band_factor`). Each group therefore keeps its own spread,
    which would not be the case if people were exchanged between groups. ``benchmarks/groups.md``
    shows how often the test finds a difference that does not exist.
    """
    groups = [_without_gaps(curves) for curves in (first, second)]
    counts = [len(curves) for curves in groups]
    if min(counts) < LEAST_CURVES:
        raise BadInputError(
            f"test of curves: groups of {counts[0]} and {counts[1]} are too small; use at least "
            f"{LEAST_CURVES} people in each"
        )
    _require_arrangements(2.0 ** (sum(counts) - 1), alpha, f"groups of {counts[0]} and {counts[1]}")
    means = [curves.mean(axis=0) for curves in groups]
    spread = np.sqrt(sum(curves.var(axis=0) for curves in groups))
    _require_spread(np.concatenate(groups), spread, means[1] - means[0])
    signs, exact = _signs(sum(counts), most, seed)
    flips = np.split(signs, [counts[0]], axis=1)
    about = [curves - mean for curves, mean in zip(groups, means, strict=True)]
    t = _welch([_of_flips(*flipped) for flipped in zip(flips, about, strict=True)])
    t[0] = _welch([_of_flips(np.ones((1, len(curves))), curves) for curves in groups])[0]
    return _tested(t, alpha, exact=exact)


def clusters_beyond(test: CurveTest) -> list[Cluster]:
    """Return the runs of points beyond the threshold of a test, each with one sign."""
    beyond = np.where(np.abs(test.t) > test.threshold, np.sign(test.t), 0.0)
    edges = np.flatnonzero(np.diff(beyond, prepend=0.0, append=0.0))
    clusters = []
    for first, after in itertools.pairwise(edges.tolist()):
        if beyond[first]:
            peak = first + int(np.abs(test.t[first:after]).argmax())
            clusters.append(Cluster(first, after - 1, peak, float(test.p[peak])))
    return clusters


def band_factor(curves: ArrayLike, *, most: int = ARRANGEMENTS) -> float:
    """Return the factor with which standard errors cover a whole mean curve in 95 % of studies.

    `curves` are over (participant, point). The factor is the quantile of the largest |t| when the
    signs of the residuals are flipped (wild bootstrap-t; Mammen 1993, Ann Stat 21:255).
    :data:`BAND_COVERAGE` states its coverage. NaN with fewer than five curves without gaps.
    """
    complete = _without_gaps(curves)
    if len(complete) < LEAST_CURVES:
        return math.nan
    signs, _ = _signs(len(complete), most, seed=0)
    largest = _largest(_t_of_flips(signs, complete - complete.mean(axis=0)))
    return float(np.sort(largest)[math.ceil(0.95 * len(largest)) - 1])


def _without_gaps(curves: ArrayLike) -> Array:
    values = numbers(curves, what="test of curves")
    if values.ndim != 2:
        raise BadInputError(
            f"test of curves: must have the dimensions (curve, point) (got {values.shape})"
        )
    return values[np.isfinite(values).all(axis=1)]


def _require_arrangements(different: float, alpha: float, what: str) -> None:
    if alpha * different < 1:
        raise BadInputError(
            f"test of curves: {what} without gaps allow no p below {1 / different:.2g}, but the "
            f"level is {alpha:g}; use more participants"
        )


def _require_spread(curves: Array, spread: Array, difference: Array) -> None:
    rounding = _EQUAL * max(1.0, float(np.abs(curves).max()))
    if ((spread <= rounding) & (np.abs(difference) > rounding)).any():
        raise BadInputError("test of curves: the curves do not vary at some points")


def _signs(count: int, most: int, seed: int) -> tuple[Array, bool]:
    """Return sign flips over (arrangement, curve); the first arrangement flips nothing.

    If all signs are flipped, |t| is the same, so the last curve keeps its sign.
    """
    if 2 ** (count - 1) <= most:
        bits = np.arange(2 ** (count - 1))[:, None] >> np.arange(count) & 1
        return np.where(bits, -1.0, 1.0), True
    drawn: Array = np.random.default_rng(seed).choice([-1.0, 1.0], size=(most, count))
    drawn[0] = 1.0
    return drawn, False


def _of_flips(signs: Array, curves: Array) -> tuple[Array, Array]:
    """Return the mean of the curves and its variance, over (arrangement, point)."""
    count = len(curves)
    mean: Array = signs @ curves / count
    variance: Array = ((curves**2).sum(axis=0) - count * mean**2) / (count - 1)
    return mean, variance / count


def _t_of_flips(signs: Array, curves: Array) -> Array:
    """Return t of the mean of the curves, over (arrangement, point)."""
    return _ratio(*_of_flips(signs, curves))


def _welch(groups: Sequence[tuple[Array, Array]]) -> Array:
    """Return Welch's t of two means with their variances, second minus first."""
    (first, of_first), (second, of_second) = groups
    return _ratio(second - first, of_first + of_second)


def _ratio(difference: Array, variance: Array) -> Array:
    """Return t; 0 if nothing differs (except for rounding) and nothing varies."""
    error = np.sqrt(np.maximum(variance, 0.0))
    same = np.abs(difference) <= _EQUAL * max(1.0, float(np.abs(difference).max(initial=0.0)))
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.nan_to_num(difference / error, nan=0.0, posinf=np.inf, neginf=-np.inf)
    return np.where(same & (error <= _EQUAL), 0.0, t)


def _largest(t: Array) -> Array:
    largest: Array = np.abs(t).max(axis=1)
    return largest


def _tested(t: Array, alpha: float, *, exact: bool) -> CurveTest:
    largest = np.sort(_largest(t))
    count = len(largest)
    smaller = np.searchsorted(largest, np.abs(t[0]) * (1 - _EQUAL))
    threshold = largest[count - 1 - math.floor(alpha * count + _EQUAL)] * (1 + _EQUAL)
    return CurveTest(t[0], (count - smaller) / count, float(threshold), count, exact)
