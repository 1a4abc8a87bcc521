"""Reliability of values over (target, column): correlation, error, change, kappa.

Targets are the objects to be distinguished (participants). Columns are the methods or occasions
with which each target is measured (visits, operators, methods).
"""

from __future__ import annotations

import functools
from itertools import combinations
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from mobility.base.options import checked
from mobility.errors import BadInputError
from mobility.kinematics.expected_error import MDC95, Z95
from mobility.kinematics.skeleton import Array
from mobility.studies.statistics.limits_of_agreement import (
    LEAST,
    Values,
    even_points,
    numbers,
    paired,
    too_few,
    variance_interval,
)

Form = Literal["A,1", "C,1", "A,k", "C,k"]
"""Forms of the intraclass correlation: absolute agreement or consistency, of one value or of the
mean of k values.
"""

Kind = Literal["agreement", "consistency"]
"""Whether differences between columns count as error."""

Columns = Literal["random", "fixed"]
"""Whether the columns are a sample of many (visits, operators), or all columns that exist
(methods).
"""


class MeanSquares(NamedTuple):
    """Two-way analysis of variance of targets (rows) and methods (columns)."""

    targets: int
    columns: int
    rows: float
    between_columns: float
    error: float


class Estimate(NamedTuple):
    """A value with its 95 % confidence interval; NaN, with a `reason`, if there are too few data.

    `n` is the number of independent targets. For an error, `freedom` belongs to its variance.
    """

    n: int
    value: float
    low: float
    high: float
    reason: str
    freedom: float = np.nan


def mean_squares(values: ArrayLike) -> MeanSquares:
    """Return the mean squares of values over (target, method); targets with NaN are left out.

    They are the mean squares of targets, columns and residual, in squared units; NaN with fewer
    than two targets.
    """
    table = numbers(values, what="reliability")
    if table.ndim != 2 or table.shape[1] < 2:
        raise BadInputError(
            "reliability: values must have the dimensions (target, way), with at least two ways "
            "to measure"
            f" (got {table.shape})"
        )
    table = table[np.isfinite(table).all(axis=1)]
    n, k = table.shape
    if n < 2:
        return MeanSquares(n, k, *(np.nan,) * 3)
    if np.ptp(table) == 0:  # without the rounding of the means
        return MeanSquares(n, k, 0.0, 0.0, 0.0)
    grand = table.mean()
    row, column = table.mean(axis=1), table.mean(axis=0)
    residual = table - row[:, None] - column + grand
    return MeanSquares(
        n,
        k,
        float(k * ((row - grand) ** 2).sum() / (n - 1)),
        float(n * ((column - grand) ** 2).sum() / (k - 1)),
        float((residual**2).sum() / ((n - 1) * (k - 1))),
    )


@checked
def intraclass_correlation(
    values: Values, *, form: Form = "A,1", columns: Columns = "random"
) -> Estimate:
    r"""Compute the intraclass correlation of a two-way design, with its 95 % confidence interval.

    For n targets and k columns, R is the mean square between targets, C the mean square between
    columns, and E the mean square of the error:

    - ``"A,1"``: :math:`(R - E) / (R + (k-1) E + k (C - E) / n)`, absolute agreement of single
      values (Shrout and Fleiss's 2,1): a bias counts. Use this form to compare two methods;
    - ``"C,1"``: :math:`(R - E) / (R + (k-1) E)`, consistency of single values (3,1): a bias does
      not count;
    - ``"A,k"``: :math:`(R - E) / (R + (C - E) / n)`, absolute agreement of the mean of all k
      columns (2,k);
    - ``"C,k"``: :math:`(R - E) / R`, consistency of that mean (3,k), Cronbach's alpha.

    `values` are over (target, column), in any unit; targets with NaN are left out. Targets must be
    independent: participants, not frames.

    The interval of consistency is exact if errors are normal. The interval of absolute agreement
    depends on what the columns are:

    - ``"random"``, a sample of many, such as visits and operators: the generalised interval of Tian
      and Cappelleri. It contained the coefficient in 93 to 98 % of simulated studies with 10, 20
      and 40 targets and 2 or 3 columns (``benchmarks/reliability.md``). McGraw and Wong's interval
      contained it in 74 to 97 %. With 2 columns, the interval is wide, because two columns reveal
      little about how columns differ.
    - ``"fixed"``, all that exist, such as video and lab: McGraw and Wong's interval, which then
      contained it in 95 to 100 %.

    The coefficient is NaN with fewer than three targets, or if all values are the same. It is also
    NaN if it would not be between -1 and 1, because a subtracted variance is larger than the
    variance between targets. The interval is NaN if there is no error at all, or if Satterthwaite's
    approximation for fixed columns breaks down (some negative coefficients).

    Shrout & Fleiss 1979, Psychol Bull 86:420. McGraw & Wong 1996, Psychol Methods 1:30, with the
    correction in 1:390. Tian & Cappelleri 2004, Stat Med 23:2125.
    """
    squares = mean_squares(values)
    n, k = squares.targets, squares.columns
    if n < LEAST:
        return _missing(n, f"ICC: {too_few(n, 'all')}")
    between = (squares.between_columns - squares.error) / n if form[0] == "A" else 0.0
    single = squares.rows + (k - 1) * squares.error + k * between
    if not single:
        return _missing(n, "ICC: all values are the same")
    denominator = single if form[-1] == "1" else squares.rows + between
    value = (squares.rows - squares.error) / denominator if denominator else np.nan
    if not -1 <= value <= 1:
        why = "people differ less than their errors, so the coefficient would be outside -1 to 1"
        return _missing(n, f"ICC({form}): {why}")
    low, high = _interval_of_single(form, columns, squares, (squares.rows - squares.error) / single)
    if form[-1] == "k":
        low, high = _of_mean(low, k), _of_mean(high, k)
    low, high = np.clip((low, high), -1.0, 1.0).tolist()
    reason = ""
    if not np.isfinite(low):
        none = "error" if squares.error <= 0 or value >= 1 else "reliability"
        reason = f"ICC interval: there is no {none} to distinguish it from"
    return Estimate(n, value, low, high, reason)


@checked
def measurement_error(values: Values, *, kind: Kind = "agreement") -> Estimate:
    r"""Compute the standard error of measurement of values over (target, column), and its interval.

    Consistency: :math:`\sqrt{E}`, with the exact interval from chi-square. Agreement:
    :math:`\sqrt{\max(0, (C - E) / n) + E}`, which also includes the differences between columns.
    Its interval applies to columns that are a sample of many, such as visits. It uses modified
    large samples, with a lower limit that is calibrated by a parametric bootstrap. With 2 columns,
    the upper limit is very large.

    In simulated studies the true error of agreement was below its interval in 1.2 to 3.7 % and
    above it in 0 to 3.2 %. The true error is rarely above the interval if columns hardly differ,
    because two or three columns cannot show that they are similar (``benchmarks/reliability.md``).
    For one value, :func:`mdc95` of the error is the smallest detectable change. For two methods,
    the error is not a change but the error of the method
    (:func:`~mobility.lab.agreement.agreement`).

    The error has the unit of the values. Targets with NaN are left out. The error is NaN with fewer
    than three targets, or if all of them have the same values. De Vet, Terwee, Knol, Bouter 2006, J
    Clin Epidemiol 59:1033. Weir 2005, J Strength Cond Res 19:231. Burdick, Borror, Montgomery 2005,
    Design and Analysis of Gauge R&R Studies, SIAM. DiCiccio & Romano 1990, Int Stat Rev 58:59 (the
    bootstrap).
    """
    squares = mean_squares(values)
    n = squares.targets
    if n < LEAST:
        return _missing(n, f"SEM: {too_few(n, 'all')}")
    rounding = (1e-9 * np.nanmax(np.abs(values))) ** 2
    if max(squares.rows, squares.error) <= rounding:
        return _missing(n, "SEM: all people have the same values")
    freedom = float((n - 1) * (squares.columns - 1))
    shares, degrees, variance = np.array([squares.error]), [freedom], squares.error
    if kind == "agreement":
        shares = np.array([squares.between_columns, (n - 1) * squares.error]) / n
        degrees = [squares.columns - 1.0, freedom]
        freedom = satterthwaite(shares, degrees)
        variance = max(0.0, (squares.between_columns - squares.error) / n) + squares.error
    low, high = variance_interval(shares, degrees)
    if variance <= rounding:
        reason = "SEM interval: there is no error"
        return Estimate(n, float(np.sqrt(variance)), np.nan, np.nan, reason)
    sem, low, high = np.sqrt([variance, low, high]).tolist()
    return Estimate(n, sem, low, high, "", freedom)


@checked
def weighted_kappa(
    values: Values, *, weights: Literal["linear", "quadratic"] = "quadratic"
) -> Estimate:
    r"""Compute the weighted kappa of ordinal ratings over (target, rating), with its 95 % interval.

    For two ratings it is :math:`1 - \overline{w(a_i, b_i)} / \overline{w(a_i, b_j)}`. The second
    mean is over all i and j, and w is the distance of the categories (linear) or its square. For
    more ratings it is the mean over their pairs. Categories are whole numbers; neighbouring
    categories differ by one. Targets with NaN are left out.

    The interval is symmetric on Fisher's z, with the standard error of the jackknife over targets
    and t with n - 1 degrees of freedom. It contained kappa in 93 to 97 % of simulated studies with
    10 to 40 targets and four categories (``benchmarks/reliability.md``). Studies with perfect
    agreement, for which there is no interval, were not counted.

    The result is NaN with fewer than three targets, or if the ratings have only one category. The
    interval is NaN, with the reason, if agreement is perfect, if all variation comes from one
    target, or if the ratings do not overlap.

    Cohen 1968, Psychol Bull 70:213. Light 1971, Psychol Bull 76:365 (mean over pairs). Fleiss,
    Cohen, Everitt 1969, Psychol Bull 72:323. Efron & Stein 1981, Ann Stat 9:586 (jackknife).
    """
    from scipy import stats

    table = numbers(values, what="kappa")
    if table.ndim != 2 or table.shape[1] < 2:
        raise BadInputError(
            "kappa: values must have the dimensions (target, rating), with at least two ratings "
            f"(got {table.shape})"
        )
    table = table[np.isfinite(table).all(axis=1)]
    n = len(table)
    if (table != np.round(table)).any():
        raise BadInputError("kappa: categories must be whole numbers")
    if n < LEAST:
        return _missing(n, f"kappa: {too_few(n, 'ratings')}")
    power = 2 if weights == "quadratic" else 1
    of_pairs = [_kappa(one, other, power=power) for one, other in combinations(table.T, 2)]
    value = float(np.mean([kappa for kappa, _ in of_pairs]))
    if not np.isfinite(value):
        return _missing(n, "kappa: the ratings have one category only")
    without = np.mean([kappas for _, kappas in of_pairs], axis=0)
    why = ""
    if not np.isfinite(without).all():
        why = "all ratings except those of one person are the same"
    elif value > 1 - 1e-12:
        why = "agreement is perfect"
    elif np.ptp(without) < 1e-12:
        why = "the ratings do not overlap"
    if why:
        return Estimate(n, value, np.nan, np.nan, f"kappa interval: {why}")
    error = np.sqrt((n - 1) * without.var()) / (1 - value**2)
    half = stats.t.ppf(0.975, n - 1) * error
    low, high = np.tanh(np.arctanh(value) + np.array([-half, half]))
    return Estimate(n, value, float(low), float(high), "")


def mdc95(sem: float) -> float:
    """Return the smallest change between two measurements that exceeds their error: 1.96 √2 SEM."""
    return MDC95 * sem


def share_within(freedom: float) -> float:
    """Return the share of new changes caused by error alone that are within an estimated MDC95.

    Such a change, divided by the true SEM, is normally distributed. The estimated SEM is the true
    SEM times the root of chi-square over its degrees of freedom, so their quotient is distributed
    as t. :func:`mdc95` computes the MDC95.
    """
    from scipy import stats

    return float(1 - 2 * stats.t.sf(Z95, freedom))


def satterthwaite(shares: ArrayLike, freedom: ArrayLike) -> float:
    """Return the degrees of freedom of a weighted sum of independent mean squares."""
    parts, degrees = np.asarray(shares, float), np.asarray(freedom, float)
    squares = float((parts**2 / degrees).sum())
    return float(parts.sum()) ** 2 / squares if squares > 0 else np.nan


def concordance(first: ArrayLike, second: ArrayLike) -> Estimate:
    r"""Compute Lin's concordance correlation coefficient, with its interval by the z-transform.

    :math:`\rho_c = 2 s_{xy} / (s_x^2 + s_y^2 + (\bar x - \bar y)^2)`, with divisor n in the
    moments. Pairs must be independent; pairs with NaN are left out. The coefficient is NaN with
    fewer than three pairs, or if one method always has the same value. The interval is NaN if both
    methods agree perfectly. Lin 1989, Biometrics 45:255, with the corrected variance of Lin 2000,
    Biometrics 56:324.
    """
    one, other = paired(first, second, what="concordance")
    valid = np.isfinite(one) & np.isfinite(other)
    one, other = one[valid], other[valid]
    n = len(one)
    if n < LEAST:
        return _missing(n, f"CCC: {too_few(n, 'both')}")
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return _missing(n, "CCC: one of the two always has the same value")
    variances = one.var(), other.var()
    covariance = float(((one - one.mean()) * (other - other.mean())).mean())
    bias = float(one.mean() - other.mean())
    value = 2 * covariance / (variances[0] + variances[1] + bias**2)
    scale = float(np.sqrt(variances[0] * variances[1]))
    r = covariance / scale
    if n < 4 or 1 - value**2 < 1e-12 or abs(r) < 1e-12:
        why = too_few(n, "both", least=4) if n < 4 else "no error, or no correlation at all"
        return Estimate(n, float(value), np.nan, np.nan, f"CCC interval: {why}")
    u2 = bias**2 / scale
    inner = 1 - value**2
    variance = (
        (1 - r**2) * value**2 / (inner * r**2)
        + 2 * value**3 * (1 - value) * u2 / (r * inner**2)
        - value**4 * u2**2 / (2 * r**2 * inner**2)
    ) / (n - 2)
    centre, half = np.arctanh(value), Z95 * np.sqrt(max(variance, 0.0))
    return Estimate(
        n, float(value), float(np.tanh(centre - half)), float(np.tanh(centre + half)), ""
    )


def _missing(n: int, reason: str) -> Estimate:
    return Estimate(n, np.nan, np.nan, np.nan, reason)


@functools.lru_cache(maxsize=16)
def chi_square_draws(freedom: tuple[float, ...]) -> Array:
    """Sample freedom divided by chi-square, over (mean square, sample), for a generalised interval.

    A mean square times these samples has the fiducial distribution of its expectation (Weerahandi
    1993, J Am Stat Assoc 88:899). The samples are the same in each call, so that the same values
    give the same interval.
    """
    from scipy import stats

    degrees = np.asarray(freedom, np.float64)[:, None]
    draws: Array = degrees / stats.chi2.ppf(even_points(len(freedom)), degrees)
    draws.flags.writeable = False
    return draws


def interval(draws: Array) -> tuple[float, float]:
    """Return the 95 % interval of samples: their 2.5th and 97.5th percentiles."""
    low, high = np.quantile(draws, [0.025, 0.975])
    return float(low), float(high)


def _drawn(s: MeanSquares) -> Array:
    """Sample the expected mean squares of rows, columns and error."""
    n, k = s.targets, s.columns
    draws = chi_square_draws((n - 1.0, k - 1.0, (n - 1.0) * (k - 1.0)))
    return draws * np.array(s[2:], np.float64)[:, None]


def _kappa(one: Array, other: Array, *, power: int) -> tuple[float, Array]:
    """Return the weighted kappa of two ratings, and without each target; NaN if undefined."""
    distance = np.abs(one[:, None] - other) ** power
    n, observed, total = len(one), np.diag(distance), float(distance.sum())
    without = total - distance.sum(axis=0) - distance.sum(axis=1) + observed
    with np.errstate(invalid="ignore", divide="ignore"):
        value = 1 - float(observed.mean()) / np.float64(total / n**2)
        leave_one_out = 1 - (observed.sum() - observed) / (n - 1) / (without / (n - 1) ** 2)
    return float(value), leave_one_out


def _of_mean(single: float, k: int) -> float:
    """Return the reliability of a mean of k values from that of one value (Spearman-Brown 1910)."""
    below = 1 + (k - 1) * single
    return k * single / below if not below <= 0 else -1.0


def _interval_of_single(
    form: Form, columns: Columns, s: MeanSquares, value: float
) -> tuple[float, float]:
    """Return the 95 % interval of the coefficient of single values, which is `value`."""
    from scipy import stats

    def f(a: float, b: float) -> float:
        return float(stats.f.ppf(0.975, a, b))

    n, k = s.targets, s.columns
    if s.error <= 0 or value >= 1:
        return np.nan, np.nan
    if form[0] == "C":
        freedom = float((n - 1) * (k - 1))
        ratio = s.rows / s.error
        low, high = ratio / f(n - 1, freedom), ratio * f(freedom, n - 1)
        return (low - 1) / (low + k - 1), (high - 1) / (high + k - 1)
    if columns == "random":
        rows, between, error = _drawn(s)
        # Negative parts remain, so that a negative coefficient lies in its interval.
        return interval(n * (rows - error) / (n * rows + k * between + (n * (k - 1) - k) * error))
    a = k * value / (n * (1 - value))
    b = 1 + k * value * (n - 1) / (n * (1 - value))
    of_columns, of_error = a * s.between_columns, b * s.error
    freedom = (of_columns + of_error) ** 2 / (
        of_columns**2 / (k - 1) + of_error**2 / ((n - 1) * (k - 1))
    )
    if freedom < 1:  # the two parts of a negative coefficient nearly cancel
        return np.nan, np.nan
    rest = k * s.between_columns + (k * n - k - n) * s.error
    upper_f, lower_f = f(n - 1, freedom), f(freedom, n - 1)
    return (
        n * (s.rows - upper_f * s.error) / (upper_f * rest + n * s.rows),
        n * (lower_f * s.rows - s.error) / (rest + n * lower_f * s.rows),
    )
