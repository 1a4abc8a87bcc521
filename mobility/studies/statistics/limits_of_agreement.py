"""Limits of agreement between two methods, equivalence within a margin, bootstrap intervals."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field, SkipValidation

from mobility import tables
from mobility.base.options import Seed, checked, quoted
from mobility.errors import BadInputError
from mobility.kinematics.expected_error import Z95, half_width
from mobility.kinematics.skeleton import Array

LEAST = 3
"""Least number of independent units (participants, or else repetitions) for a standard deviation.
"""

DRAWS = 2**13
"""Number of points for generalised intervals, whose limits are then stable to about 1 % of their
width.
"""

_ROUNDING = 1e-12
"""Relative spread below which differences count as equal, apart from rounding."""

# The interval uses the fourth power, which overflows for much larger values.
_ExpectedSd = Annotated[float, Field(gt=0, le=1e12, allow_inf_nan=False)]


class Limits(NamedTuple):
    """Agreement of repeated measurements: the mean difference, and the spread of one difference."""

    bias: float
    sd: float
    sd_between: float
    sd_within: float = np.nan

    @property
    def low(self) -> float:
        """Lower 95 % limit of agreement."""
        return self.bias - half_width(self.sd)

    @property
    def high(self) -> float:
        """Upper 95 % limit of agreement."""
        return self.bias + half_width(self.sd)


class BlandAltman(NamedTuple):
    """Mean difference and 95 % limits of agreement, each with its 95 % confidence interval.

    All are in the unit of the values. With too few pairs they are NaN, and `reason` explains why.
    `sd` is the standard deviation of one difference. `sd_between` and `sd_within` are its
    components between and within participants, NaN if every participant has only one pair.
    """

    pairs: int
    participants: int
    bias: float
    bias_low: float
    bias_high: float
    sd: float
    sd_between: float
    sd_within: float
    lower: float
    lower_low: float
    lower_high: float
    upper: float
    upper_low: float
    upper_high: float
    reason: str


def limits_of_agreement(means: Array, variances: Array, counts: Array) -> Limits:
    r"""Compute Bland and Altman's limits from clusters with many differences each.

    A cluster is a participant with several repetitions, or a recording with many frames; its
    differences are correlated. With the mean square between clusters :math:`B` and within clusters
    :math:`W` of a one-way analysis of variance, the variance of one difference is :math:`(B - W) /
    m_0 + W`, with :math:`m_0 = (N - \sum m_i^2 / N) / (k - 1)`. `means`, `variances` (of the
    sample) and `counts` belong to the differences of each cluster. The result is NaN if there are
    fewer than two clusters, or if no cluster has two differences. Bland & Altman 2007, J Biopharm
    Stat 17:571 (true value varies).
    """
    nonempty = counts > 0
    m, mean = counts[nonempty].astype(np.float64), means[nonempty]
    variance = np.where(m > 1, variances[nonempty], 0.0)
    k, total = len(m), float(m.sum())
    if k == 0:
        return Limits(np.nan, np.nan, np.nan)
    bias = float((m * mean).sum() / total)
    if k < 2 or total <= k:
        return Limits(bias, np.nan, np.nan)
    within = float(((m - 1) * variance).sum() / (total - k))
    between = float((m * (mean - bias) ** 2).sum() / (k - 1))
    clusters = max(0.0, (between - within) / _typical_count(m))
    return Limits(
        bias, float(np.sqrt(clusters + within)), float(np.sqrt(clusters)), float(np.sqrt(within))
    )


Values = Annotated[ArrayLike, SkipValidation]
"""Numbers, as :func:`numbers` accepts them."""


@checked
def bland_altman(
    first: Values, second: Values, *, participants: Sequence[str | int] | None = None
) -> BlandAltman:
    r"""Compute limits of agreement between two methods, with their 95 % confidence intervals.

    The limits are :math:`\bar d \pm 1.96 s` of the differences first - second. :math:`\bar d` is
    the mean of the participants' means. If participants have several pairs with different true
    values (repetitions), s comes from the variances between and within participants
    (:func:`limits_of_agreement`). The intervals of the limits combine the intervals of the mean and
    of the standard deviation (MOVER), so they are wider on the outer side. The two mean squares are
    treated as independent, which is exact for equal numbers of pairs.

    Pairs with NaN are left out. By default, each pair has its own participant. If all differences
    are equal, which does not happen with two real methods, only the bias is computed. Bland &
    Altman 1999, Stat Methods Med Res 8:135; 2007, J Biopharm Stat 17:571. Zou 2013, Stat Methods
    Med Res 22:630.
    """
    from scipy import stats

    one, other = paired(first, second, what="bland_altman")
    labels = np.arange(len(one)) if participants is None else np.asarray(participants).astype(str)
    if len(labels) != len(one):
        raise BadInputError(
            f"bland_altman: there are {len(labels)} participants for {len(one)} pairs; name one "
            "for each pair"
        )
    valid = np.isfinite(one - other)
    difference = (one - other)[valid]
    unique, participant_index = np.unique(labels[valid], return_inverse=True)
    n, pairs = len(unique), len(difference)
    m = np.bincount(participant_index).astype(np.float64)
    means = np.bincount(participant_index, difference) / m
    bias = float(means.mean()) if pairs else np.nan
    reason = ""
    if n < LEAST:
        reason = f"limits of agreement: {too_few(n, 'both')}"
    elif np.ptp(difference) <= _ROUNDING * np.abs([one[valid], other[valid]]).max():
        reason = "limits of agreement: all differences are the same and have no spread"
    if reason:
        return BlandAltman(pairs, n, bias, *(np.nan,) * 11, reason=reason)
    variance = float(means.var(ddof=1))
    if pairs == n:
        total, sd_between, sd_within = variance, np.nan, np.nan
        squares, freedom = [variance], [n - 1]
    else:
        squared = (difference - means[participant_index]) ** 2
        within = np.bincount(participant_index, squared) / np.maximum(m - 1, 1)
        weighted, sd, sd_between, sd_within = limits_of_agreement(means, within, m)
        total, count = sd**2, _typical_count(m)
        between = float((m * (means - weighted) ** 2).sum() / (n - 1))
        squares, freedom = [between / count, (1 - 1 / count) * sd_within**2], [n - 1, pairs - n]
    half = float(stats.t.ppf(0.975, n - 1) * np.sqrt(variance / n))
    sd = float(np.sqrt(total))
    lower, upper = bias - half_width(sd), bias + half_width(sd)
    inside, outside = _margins(variance / n, total, squares, freedom)
    return BlandAltman(
        pairs,
        n,
        *(bias, bias - half, bias + half),
        *(sd, sd_between, sd_within),
        *(lower, lower - outside, lower + inside),
        *(upper, upper - inside, upper + outside),
        reason="",
    )


class Regression(NamedTuple):
    """Regression of the difference of two values on their mean: proportional bias.

    `slope` is in units of difference per unit of the mean, `intercept` and `residual_sd` in the
    unit of the values. Around the line the limits of agreement are ± 1.96 `residual_sd`.
    """

    n: int
    slope: float
    slope_low: float
    slope_high: float
    p: float
    intercept: float
    residual_sd: float
    reason: str


def proportional_bias(first: ArrayLike, second: ArrayLike) -> Regression:
    """Regress the difference of two values on their mean.

    Pairs must be independent, and may have any unit; the mean of a participant's repetitions is one
    value. Pairs with NaN are left out. A slope also arises if the two methods differ only in
    spread. Bland & Altman 1999, Stat Methods Med Res 8:135, section 3.2.
    """
    from scipy import stats

    one, other = paired(first, second, what="proportional_bias")
    valid = np.isfinite(one - other)
    difference, mean = (one - other)[valid], ((one + other) / 2)[valid]
    n = len(difference)
    if n < LEAST or np.ptp(mean) <= 0:
        why = too_few(n, "both") if n < LEAST else "all means are the same"
        return Regression(n, *(np.nan,) * 6, reason=f"proportional bias: {why}")
    centred = mean - mean.mean()
    squares = float((centred**2).sum())
    slope = float((centred * difference).sum() / squares)
    intercept = float(difference.mean() - slope * mean.mean())
    residual = difference - intercept - slope * mean
    sd = float(np.sqrt((residual**2).sum() / (n - 2)))
    error = sd / np.sqrt(squares)
    half = float(stats.t.ppf(0.975, n - 2)) * error
    p = float(2 * stats.t.sf(abs(slope) / error, n - 2)) if error > 0 else float(slope == 0)
    return Regression(n, slope, slope - half, slope + half, p, intercept, sd, "")


@checked
def limits_interval_width(participants: int, *, sd: _ExpectedSd) -> float:
    r"""Return the width of the 95 % confidence interval of a limit of agreement, to plan a study.

    The width is in the unit of `sd`, the expected standard deviation of one difference. Each
    participant has one pair. Half of the width is about :math:`1.96 s \sqrt{3 / n}` (Bland & Altman
    1986, Lancet 1:307).
    """
    return sum(_margins(sd**2 / participants, sd**2, [sd**2], [participants - 1]))


def variance_interval(parts: ArrayLike, freedom: ArrayLike) -> tuple[float, float]:
    """Return the 95 % interval of the expectation of a sum of independent normal mean squares.

    `parts` are the mean squares, each multiplied by its coefficient, which may be negative. With
    one part, the interval is exact. With several parts, the upper limit comes from the method of
    modified large samples. The lower limit of that method is too high if one part has few degrees
    of freedom, as with two visits. The truth is then below it in 3 to 5 % of studies.

    The lower limit is therefore calibrated by a parametric bootstrap. If the calibrated limit were
    the true sum, the uncalibrated lower limit would be higher than in this study in 2.5 % of
    studies. For each sum that is tried, the most likely expectations of the mean squares are used.

    If a part with few degrees of freedom is truly small, the truth is above the interval in fewer
    than 2.5 % of studies. This cannot be avoided, because the upper limit has to allow for a part
    with few degrees of freedom being large, and for the error of the other parts.

    Graybill & Wang 1980, J Am Stat Assoc 75:869 (modified large samples). Zou & Donner 2008, Stat
    Med 27:1693 (MOVER). DiCiccio & Romano 1990, Int Stat Rev 58:59 (bootstrap along the likeliest
    values of nuisance parameters).
    """
    from scipy import stats
    from scipy.optimize import brentq

    terms, degrees = np.asarray(parts, np.float64), np.asarray(freedom, np.float64)
    counts = ~(np.abs(terms) <= 1e-9 * np.abs(terms).max())  # NaN remains
    terms, degrees = terms[counts], degrees[counts]
    down = 1 - degrees / stats.chi2.ppf(0.975, degrees)
    up = degrees / stats.chi2.ppf(0.025, degrees) - 1
    total, positive = float(terms.sum()), terms > 0
    high = total + np.sqrt(((np.where(positive, up, down) * terms) ** 2).sum())
    away = np.where(positive, down, up)

    def low_end(sampled: Array) -> Array:
        low: Array = sampled.sum(axis=0) - np.sqrt(((away[:, None] * sampled) ** 2).sum(axis=0))
        return low

    low = float(low_end(terms[:, None])[0])
    if low > 0 and len(terms) > 1:
        draws = _chi_square_ratios(tuple(degrees.tolist()))

        def excess(share: float) -> float:
            likeliest = _with_sum(terms, degrees, share * total)
            return float(np.quantile(low_end(likeliest[:, None] * draws), 0.975)) - low

        least = 1e-3 * low / total
        if excess(least) >= 0:  # the sum may be 0, because a difference of mean squares may be
            low = 0.0
        elif excess(1.0) > 0:
            low = total * brentq(excess, least, 1.0, xtol=1e-4 * low / total)
    return max(low, 0.0), max(float(high), 0.0)


def _with_sum(parts: Array, freedom: Array, total: float) -> Array:
    """Return the most likely expectations of mean squares if their sum is `total`, a smaller value.

    Negative parts do not change.
    """
    from scipy.optimize import brentq

    def at(multiplier: float) -> Array:
        larger = 1 + 4 * multiplier * np.maximum(parts, 0.0) / freedom
        likeliest: Array = 2 * parts / (1 + np.sqrt(larger))
        return likeliest

    most = float(freedom.max() / parts.max())
    while at(most).sum() > total:
        most *= 4
    multiplier = brentq(lambda multiplier: at(multiplier).sum() - total, 0.0, most, rtol=1e-6)
    return at(multiplier)


@functools.lru_cache(maxsize=16)
def even_points(dimensions: int) -> Array:
    """Return points of a Sobol sequence in the unit cube, over (dimension, sample)."""
    from scipy.stats import qmc

    points: Array = (qmc.Sobol(dimensions, scramble=False).random(DRAWS) + 0.5 / DRAWS).T
    return points


@functools.lru_cache(maxsize=64)
def _chi_square_ratios(freedom: tuple[float, ...]) -> Array:
    """Sample chi-square over its degrees of freedom, over (mean square, sample)."""
    from scipy import stats

    degrees = np.asarray(freedom, np.float64)[:, None]
    # A prefix of the sequence is even, too, and a fourth of it gives the ends to 1 %.
    ratios: Array = stats.chi2.ppf(even_points(len(freedom))[:, : DRAWS // 4], degrees) / degrees
    return ratios


def too_few(count: int, what: str, *, least: int = LEAST) -> str:
    """State how many people have `what` (a name in the table), and how many people are needed."""
    key = {0: "nobody", 1: "one"}.get(count, "several")
    has = tables.sentence(f"reasons.few_of_what.{what}")
    return tables.sentence(f"reasons.few.{key}", count=count, what=has, least=least)


def numbers(values: ArrayLike, *, what: str) -> Array:
    """Return values as an array of numbers, NaN if one is missing.

    Infinite values raise an error, because they result from a faulty computation.
    """
    try:
        raw = np.asarray(values)
    except (TypeError, ValueError):
        raise BadInputError(f"{what}: must be numbers (got {quoted(values)})") from None
    if raw.dtype.kind not in "fiub":
        raise BadInputError(f"{what}: must be numbers (got {raw.dtype})")
    array = raw.astype(np.float64)
    if count := int(np.isinf(array).sum()):
        raise BadInputError(
            f"{what}: {count} of {array.size} values are infinite; correct them, or use NaN "
            "for missing values"
        )
    return array


def paired(first: ArrayLike, second: ArrayLike, *, what: str) -> tuple[Array, Array]:
    """Return both as arrays of numbers if they are paired: one dimension and the same length."""
    one, other = numbers(first, what=what), numbers(second, what=what)
    if one.ndim != 1 or one.shape != other.shape:
        raise BadInputError(
            f"{what}: values must be paired, in one dimension (got {one.shape} and {other.shape})"
        )
    return one, other


def _typical_count(m: Array) -> float:
    total = float(m.sum())
    return (total - float((m * m).sum()) / total) / (len(m) - 1)


def _margins(
    of_mean: float, total: float, squares: Sequence[float], freedom: Sequence[int]
) -> tuple[float, float]:
    """Return the margins of error (95 %) of a limit, towards the mean and away from it.

    `of_mean` is the variance of the mean. `total`, the variance of one difference, is the sum of
    independent mean `squares`.
    """
    from scipy import stats

    sd = float(np.sqrt(total))
    least, most = variance_interval(squares, freedom)
    mean = stats.norm.ppf(0.975) ** 2 * of_mean
    return (
        float(np.sqrt(mean + Z95**2 * (sd - np.sqrt(least)) ** 2)),
        float(np.sqrt(mean + Z95**2 * (np.sqrt(most) - sd) ** 2)),
    )


LEAST_CLUSTERS = 5
"""Least number of participants for a bootstrap; with fewer, the samples hardly differ."""

BOOTSTRAP_COVERAGE = (
    "contains the mean in 92 % of studies with 5 participants and in 95 % from 8 on if errors are "
    "normal; if they are skewed, in about 85 to 90 % with 8 and in 89 to 93 % with 30"
)
"""Coverage of the 95 % intervals of :func:`cluster_bootstrap` in simulations."""


class Equivalence(NamedTuple):
    """Two one-sided tests of a mean difference against ± margin; NaN with a reason if not possible.

    `p` is the larger of the two p values. `low` and `high` are the 90 % interval of the mean
    difference, which lies within the margin if p < 0.05.
    """

    n: int
    p: float
    mean: float
    low: float
    high: float
    reason: str


@checked
def tost_paired(
    first: Values,
    second: Values,
    *,
    margin: Annotated[float, Field(gt=0, allow_inf_nan=False)],
) -> Equivalence:
    """Test whether the mean difference of independent pairs lies within a margin.

    The margin, in the unit of the values, must be chosen before the data are seen; there is no
    default. Pairs with NaN are left out. The result is NaN with fewer than three pairs, or if the
    differences do not
    vary. Schuirmann 1987, J Pharmacokinet Biopharm 15:657; Lakens 2017, Soc Psychol Personal Sci
    8:355.
    """
    from scipy import stats

    one, other = paired(first, second, what="tost_paired")
    difference = one - other
    difference = difference[np.isfinite(difference)]
    n = len(difference)
    if n < LEAST:
        reason = f"equivalence: {too_few(n, 'both')}"
        return Equivalence(n, *(np.nan,) * 4, reason=reason)
    mean, error = float(difference.mean()), float(difference.std(ddof=1) / np.sqrt(n))
    if error <= 0:
        reason = "equivalence: the differences do not vary"
        return Equivalence(n, np.nan, mean, np.nan, np.nan, reason=reason)
    above = float(stats.t.sf((mean + margin) / error, n - 1))
    below = float(stats.t.cdf((mean - margin) / error, n - 1))
    half = float(stats.t.ppf(0.95, n - 1)) * error
    return Equivalence(n, max(above, below), mean, mean - half, mean + half, "")


@checked
def cluster_bootstrap(
    values: Values, *, draws: Annotated[int, Field(ge=100)] = 10_000, seed: Seed = 0
) -> tuple[float, float]:
    """Return the 95 % interval of the mean over participants, which are drawn with replacement.

    `values` contains one value for each cluster (participant), such as the mean over the
    participant's repetitions. The errors of a participant's frames and repetitions are correlated,
    so that treating them as independent values would make the interval too narrow. NaN values are
    left out. The same `seed` gives the same interval.

    The interval is NaN with fewer than five clusters. The percentiles are widened so that they
    yield the t interval for a mean of normal values, because bootstrap samples of few clusters vary
    too little (Hesterberg 2015, Am Stat 69:371). :data:`BOOTSTRAP_COVERAGE` states the coverage.
    Efron's BCa interval had a lower coverage. The bootstrap-t had a higher coverage, but was 1.6 to
    2.3 times as wide.
    """
    from scipy import stats

    means = numbers(values, what="cluster_bootstrap")
    means = means[np.isfinite(means)]
    n = len(means)
    if n < LEAST_CLUSTERS:
        return np.nan, np.nan
    drawn = np.random.default_rng(seed).integers(n, size=(draws, n))
    tail = float(stats.norm.cdf(np.sqrt(n / (n - 1)) * stats.t.ppf(0.025, n - 1)))
    low, high = np.quantile(means[drawn].mean(axis=1), [tail, 1 - tail])
    return float(low), float(high)
