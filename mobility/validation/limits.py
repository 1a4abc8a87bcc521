"""Limits of agreement of two ways to measure, and how many people they need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from mobility.errors import BadInputError
from mobility.options import checked

Array = NDArray[np.float64]
IntervalMethod = Literal["mover", "approximate", "exact"]

Z95 = 1.96
"""Half-width of a 95 % interval in standard deviations, errors being normal."""

LEAST = 3
"""Fewest independent units (participants, else repetitions) from which a spread is told."""

# Much larger ones have a fourth power, for the interval, that is no number.
_ExpectedSd = Annotated[float, Field(gt=0, le=1e12, allow_inf_nan=False)]


class Limits(NamedTuple):
    """Agreement of repeated measurements: mean difference and the spread of one difference."""

    bias: float
    sd: float
    sd_between: float
    sd_within: float = np.nan

    @property
    def low(self) -> float:
        """Lower 95 % limit of agreement."""
        return self.bias - Z95 * self.sd

    @property
    def high(self) -> float:
        """Upper 95 % limit of agreement."""
        return self.bias + Z95 * self.sd


class BlandAltman(NamedTuple):
    """Mean difference and 95 % limits of agreement, each with its 95 % confidence interval.

    All in the unit of the values; NaN where there is too little, `reason` says why. `sd` is that
    of one difference, `sd_between` and `sd_within` participants are its parts, NaN where every
    participant has one pair.
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


class _Variance(NamedTuple):
    """Variance of one difference as a sum of independent mean squares, each with its freedom."""

    total: float
    terms: tuple[float, ...]
    freedom: tuple[int, ...]


def limits_of_agreement(means: Array, variances: Array, counts: Array) -> Limits:
    r"""Bland and Altman's limits where each cluster gives many differences.

    A cluster is a participant with several repetitions, or a clip with many frames. What belongs
    to one cluster errs together, so that these are no independent differences. With the mean
    square between clusters :math:`B` and within clusters :math:`W` of a one-way analysis of
    variance, the variance of one difference is :math:`(B - W) / m_0 + W`, where
    :math:`m_0 = (N - \sum m_i^2 / N) / (k - 1)`.

    Parameters
    ----------
    means, variances, counts
        Mean, variance (of the sample, divided by m - 1) and number m of the differences of each
        cluster.

    Returns
    -------
    Limits
        `sd` is NaN with fewer than two clusters, or where none has two differences.

    References
    ----------
    Bland & Altman 2007, J Biopharm Stat 17:571 (true value varies); Bland & Altman 1999, Stat
    Methods Med Res 8:135.
    """
    given = counts > 0
    m, mean = counts[given].astype(np.float64), means[given]
    variance = np.where(m > 1, variances[given], 0.0)
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


@checked
def bland_altman(
    first: ArrayLike,
    second: ArrayLike,
    *,
    participants: Sequence[str | int] | None = None,
    mean_of: Literal["pairs", "participants"] = "pairs",
    interval: IntervalMethod = "mover",
) -> BlandAltman:
    r"""Limits of agreement of two ways to measure, with their confidence intervals.

    The limits are :math:`\bar d \pm 1.96 s` of the differences first - second. Where participants
    have several pairs, each of another true value (repetitions), s comes from the variances
    between and within participants (:func:`limits_of_agreement`), and :math:`\bar d` is the mean of
    all differences, with :math:`\mathrm{var}(\bar d) = s_b^2 \sum m_i^2 / N^2 + s_w^2 / N`, or, on
    request, that of the participants' means, with their variance over n.

    Parameters
    ----------
    first, second
        Values of each pair, of any unit; pairs with NaN are left out.
    participants
        Whose pair each is; by default every pair is of another participant.
    mean_of
        What :math:`\bar d` is the mean of: ``"pairs"`` (Bland & Altman 2007: who has more pairs
        counts more), or ``"participants"`` (each counts once).
    interval
        Of the limits: ``"mover"`` (Zou 2013: the intervals of mean and standard deviation are put
        together, so that it is wider to the outside), ``"approximate"`` (Bland & Altman 1999:
        :math:`\pm t_{n-1} s \sqrt{1/n + 1.96^2 / (2(n-1))}`), or ``"exact"`` (Carkeet 2015,
        non-central t; one pair per participant only). For several pairs per participant the
        intervals take the two mean squares as independent; that is exact where all have the same
        number of pairs.

    Returns
    -------
    BlandAltman
        The interval of the mean is that of t with n - 1 degrees of freedom, n the participants.

    Raises
    ------
    BadInputError
        The arrays differ in length or hold infinite values, or an exact interval is asked for where
        there is none.

    References
    ----------
    Bland & Altman 1986, Lancet 1:307; 1999, Stat Methods Med Res 8:135; 2007, J Biopharm Stat
    17:571. Zou 2013, Stat Methods Med Res 22:630. Carkeet 2015, Optom Vis Sci 92:e71.
    """
    one, other = paired(first, second, what="bland_altman")
    labels = np.arange(len(one)) if participants is None else np.asarray(participants).astype(str)
    if len(labels) != len(one):
        raise BadInputError(
            f"bland_altman: {len(labels)} participants for {len(one)} pairs; name one for each pair"
        )
    known = np.isfinite(one - other)
    difference = (one - other)[known]
    unique, of = np.unique(labels[known], return_inverse=True)
    n, pairs = len(unique), len(difference)
    if interval == "exact" and pairs > n:
        raise BadInputError(
            "bland_altman: there is no exact interval for several pairs of a participant; use"
            " interval='mover'"
        )
    if n < LEAST:
        reason = f"limits of agreement: {_units(n, participants)}, needs {LEAST}"
        counted = difference
        if mean_of == "participants" and pairs:
            counted = np.bincount(of, difference) / np.bincount(of)
        bias = float(counted.mean()) if pairs else np.nan
        return BlandAltman(pairs, n, bias, *(np.nan,) * 11, reason=reason)
    if pairs == n:
        bias, variance = float(difference.mean()), float(difference.var(ddof=1))
        spread = _Variance(variance, (variance,), (n - 1,))
        return _assembled(pairs, n, bias, variance / n, spread, interval, np.nan, np.nan)
    m = np.bincount(of).astype(np.float64)
    means = np.bincount(of, difference) / m
    squares = np.bincount(of, (difference - means[of]) ** 2)
    found = limits_of_agreement(means, squares / np.maximum(m - 1, 1), m)
    within, clusters = found.sd_within**2, found.sd_between**2
    mean_square = float((m * (means - found.bias) ** 2).sum() / (n - 1))
    count = _typical_count(m)
    spread = _Variance(
        found.sd**2, (mean_square / count, (1 - 1 / count) * within), (n - 1, pairs - n)
    )
    bias, of_mean = found.bias, clusters * float((m * m).sum()) / pairs**2 + within / pairs
    if mean_of == "participants":
        bias, of_mean = float(means.mean()), float(means.var(ddof=1)) / n
    return _assembled(pairs, n, bias, of_mean, spread, interval, found.sd_between, found.sd_within)


class Regression(NamedTuple):
    """Regression of the difference on the mean of two values: proportional bias.

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

    Parameters
    ----------
    first, second
        Values of each independent pair, of any unit; pairs with NaN are left out. The mean of a
        participant's repetitions is one value.

    Returns
    -------
    Regression
        With the 95 % interval of the slope (t with n - 2 degrees of freedom) and its two-sided p.
        A slope arises too where the two ways differ in spread alone.

    References
    ----------
    Bland & Altman 1999, Stat Methods Med Res 8:135, section 3.2.
    """
    from scipy import stats

    one, other = paired(first, second, what="proportional_bias")
    known = np.isfinite(one - other)
    difference, mean = (one - other)[known], ((one + other) / 2)[known]
    n = len(difference)
    if n < LEAST or np.ptp(mean) <= 0:
        why = f"{n} independent pairs, needs {LEAST}" if n < LEAST else "all means are the same"
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
def limits_interval_width(
    participants: int,
    *,
    sd: _ExpectedSd,
    repetitions: Annotated[int, Field(ge=1)] = 1,
    within_share: Annotated[float, Field(ge=0, le=1)] = 0.0,
    interval: IntervalMethod = "mover",
) -> float:
    r"""Width of the 95 % confidence interval of a limit of agreement, for planning a study.

    Parameters
    ----------
    participants
        Number of participants.
    sd
        Expected standard deviation of one difference, of any unit; at most 1e12.
    repetitions
        Pairs of each participant.
    within_share
        Share of the variance of one difference that lies within participants; matters with
        several repetitions only.
    interval
        As in :func:`bland_altman`.

    Returns
    -------
    float
        From the lower to the upper end of the interval of one limit, in the unit of `sd`, where
        the mean squares are as expected. Half of it is about :math:`1.96 s \sqrt{3 / n}`.

    Raises
    ------
    BadInputError
        There are fewer than three participants, or an option is out of range.

    References
    ----------
    Bland & Altman 1986, Lancet 1:307. Zou 2013, Stat Methods Med Res 22:630.
    """
    n = participants
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < LEAST:
        raise BadInputError(
            f"limits_interval_width: participants must be a whole number from {LEAST} on (got {n})"
        )
    if repetitions > 1 and interval == "exact":
        raise BadInputError(
            "limits_interval_width: there is no exact interval for several pairs of a participant;"
            " use interval='mover'"
        )
    total, m = sd**2, repetitions
    within = within_share * total
    between = total - within
    if m == 1:
        spread = _Variance(total, (total,), (n - 1,))
        of_mean = total / n
    else:
        spread = _Variance(
            total, (between + within / m, (1 - 1 / m) * within), (n - 1, n * (m - 1))
        )
        of_mean = between / n + within / (n * m)
    inside, outside = _margins(of_mean, spread, n, interval)
    return inside + outside


def numbers(values: ArrayLike, *, what: str) -> Array:
    """Return values as an array of numbers, NaN where one is missing.

    Raises
    ------
    BadInputError
        Some are infinite: that is no missing value but a fault of what computed it. The message
        begins with `what`.
    """
    found = np.asarray(values, np.float64)
    if count := int(np.isinf(found).sum()):
        raise BadInputError(
            f"{what}: {count} of {found.size} values are infinite; mend what made them, or give NaN"
            " where there is no value"
        )
    return found


def paired(first: ArrayLike, second: ArrayLike, *, what: str) -> tuple[Array, Array]:
    """Return both as arrays of numbers if they are paired: one dimension, the same length.

    Raises
    ------
    BadInputError
        They are not, or some are infinite; the message begins with `what`.
    """
    one, other = numbers(first, what=what), numbers(second, what=what)
    if one.ndim != 1 or one.shape != other.shape:
        raise BadInputError(
            f"{what}: values must be paired, in one dimension (got {one.shape} and {other.shape})"
        )
    return one, other


def _typical_count(m: Array) -> float:
    total = float(m.sum())
    return (total - float((m * m).sum()) / total) / (len(m) - 1)


def _units(n: int, participants: Sequence[str | int] | None) -> str:
    kind = "pair" if participants is None else "participant"
    return f"{n} {kind}{'' if n == 1 else 's'}"


def _assembled(
    pairs: int,
    n: int,
    bias: float,
    of_mean: float,
    spread: _Variance,
    interval: IntervalMethod,
    sd_between: float,
    sd_within: float,
) -> BlandAltman:
    from scipy import stats

    sd = float(np.sqrt(spread.total))
    half = float(stats.t.ppf(0.975, n - 1) * np.sqrt(of_mean))
    inside, outside = _margins(of_mean, spread, n, interval)
    lower, upper = bias - Z95 * sd, bias + Z95 * sd
    return BlandAltman(
        pairs,
        n,
        bias,
        bias - half,
        bias + half,
        sd,
        sd_between,
        sd_within,
        lower,
        lower - outside,
        lower + inside,
        upper,
        upper - inside,
        upper + outside,
        "",
    )


def _margins(
    of_mean: float, spread: _Variance, n: int, interval: IntervalMethod
) -> tuple[float, float]:
    """How far the 95 % interval of a limit reaches towards the mean, and away from it."""
    from scipy import stats

    sd = float(np.sqrt(spread.total))
    terms, freedom = np.asarray(spread.terms), np.asarray(spread.freedom, np.float64)
    if interval == "exact":
        step = np.sqrt(of_mean)
        low, high = stats.nct.ppf([0.025, 0.975], n - 1, Z95 * np.sqrt(n))
        return float(Z95 * sd - step * low), float(step * high - Z95 * sd)
    if interval == "approximate":
        # The variance of a mean square is 2 (mean square)^2 / freedom, that of its root a quarter
        # of it over the square.
        of_sd = float((2 * terms**2 / freedom).sum() / (4 * spread.total)) if sd > 0 else 0.0
        half = float(stats.t.ppf(0.975, n - 1)) * np.sqrt(of_mean + Z95**2 * of_sd)
        return float(half), float(half)
    known = freedom > 0
    terms, freedom = terms[known], freedom[known]
    down = terms * (1 - freedom / stats.chi2.ppf(0.975, freedom))
    up = terms * (freedom / stats.chi2.ppf(0.025, freedom) - 1)
    least = max(spread.total - float(np.sqrt((down**2).sum())), 0.0)
    most = spread.total + float(np.sqrt((up**2).sum()))
    mean = stats.norm.ppf(0.975) ** 2 * of_mean
    return (
        float(np.sqrt(mean + Z95**2 * (sd - np.sqrt(least)) ** 2)),
        float(np.sqrt(mean + Z95**2 * (np.sqrt(most) - sd) ** 2)),
    )
