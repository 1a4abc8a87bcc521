"""The number of participants that a study needs (``mb.plan``).

Each plan is for a requested precision or power, and lists its assumptions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, NamedTuple

import numpy as np
from pydantic import Field
from scipy import stats

from mobility import tables
from mobility.base.options import checked
from mobility.errors import BadInputError
from mobility.kinematics.skeleton import Array
from mobility.studies.statistics.limits_of_agreement import limits_interval_width

__all__ = ["groups", "icc", "limits", "sem"]

_POINTS = 2000

MOST = 1_000_000
"""Largest number of participants; a plan that needs more is rejected."""

_Share = Annotated[float, Field(ge=1e-9, lt=1, allow_inf_nan=False)]
_Size = Annotated[float, Field(ge=1e-9, le=1e9, allow_inf_nan=False)]
_Error = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
_Repeats = Annotated[int, Field(ge=2, le=1000)]
_Trials = Annotated[int, Field(ge=1, le=1000)]


class Plan(NamedTuple):
    """Number of participants (in each group, if there are two), and its assumptions.

    `trials` is the number of measurements of each participant. `reached` is the precision or power
    of a study of this size, which is at least the requested one. `assumption` lists the
    assumptions. `cost` is the number of participants that the error of measurement adds, if that
    error is known.
    """

    participants: int
    trials: int
    reached: float
    assumption: str
    cost: int = 0


@checked
def icc(
    width: _Share, *, icc: _Share, trials: _Repeats = 2, assurance: _Share | None = None
) -> Plan:
    r"""Return the number of participants for a given width of the 95 % interval of an ICC.

    With k measurements of each participant and z = 1.96, :math:`n = 1 + 8 z^2 (1 - \rho)^2 (1 +
    (k-1) \rho)^2 / (k (k-1) w^2)`. With two measurements and :math:`\rho \ge 0.7`, 5 ρ is added
    (Bonett). A few people are added if the interval of :func:`mobility.reliability` (consistency;
    McGraw and Wong) is still wider than w on average.

    The interval is wider than w in about half of the studies. With `assurance`, it is at most w in
    that share of studies: the result is Zou's number, or more if the interval requires it (for
    coefficients above 0.9, Zou's number achieves 70 % instead of 80 %). `reached` is the average
    width of that interval; with `assurance`, it is the width that this share of the studies does
    not exceed.

    Parameters
    ----------
    width
        Full width of the interval: upper minus lower limit.
    icc
        Expected coefficient.
    trials
        Number of measurements of each participant.
    assurance
        Share of studies in which the interval should be no wider, for example 0.8; None for the
        average.

    References
    ----------
    Bonett 2002, Stat Med 21:1331. Zou 2012, Stat Med 31:3972. McGraw & Wong 1996, Psychol Methods
    1:30.
    """
    z = float(stats.norm.ppf(0.975))
    spread = (1 - icc) * (1 + (trials - 1) * icc)
    pairs = trials * (trials - 1)
    if assurance is None:
        needed = 1 + 8 * (z * spread / width) ** 2 / pairs
        if trials == 2 and icc >= 0.7:
            needed += 5 * icc
    else:
        slope = abs(trials - 2 - 2 * (trials - 1) * icc)
        more = 2 * width * z * float(stats.norm.ppf(assurance)) * spread * slope
        if (z * spread) ** 2 + more < 0:  # an assurance near 0 asks for less than nothing
            raise BadInputError(f"assurance {assurance:g}: must be larger for this width")
        needed = 1 + 2 * (z * spread + math.sqrt((z * spread) ** 2 + more)) ** 2 / (
            pairs * width**2
        )
    count = _whole_number(needed)

    def reached(n: int) -> float:
        widths = _interval_widths(n, trials, icc)
        if assurance is None:
            return float(widths.mean())
        return float(np.quantile(widths, assurance, method="inverted_cdf"))

    while reached(count) > width:
        count = _whole_number(count + 1)
    kind = "average" if assurance is None else "assured"
    why = tables.sentence(
        f"studies.plan.icc.{kind}", icc=icc, trials=trials, assurance=assurance or 0.5
    )
    return Plan(count, trials, reached(count), why)


@checked
def sem(precision: _Share, *, trials: _Repeats = 2) -> Plan:
    r"""Return the number of participants for a given precision of a standard error of measurement.

    The 95 % interval of an error with :math:`f = (n - 1)(k - 1)` degrees of freedom is from
    :math:`\sqrt{f / \chi^2_{0.975}}` to :math:`\sqrt{f / \chi^2_{0.025}}` times the error. Half of
    its width should be at most `precision`, a share of the error (0.2 means ± 20 %). This applies
    to the error of consistency. The precision of the average differences between visits depends on
    the number of visits, not on the number of participants.

    Parameters
    ----------
    precision
        Half of the width of the interval, as a share of the error.
    trials
        Number of measurements of each participant.

    References
    ----------
    Hopkins 2000, Sports Med 30:1.
    """

    def reached(n: int) -> float:
        freedom = (n - 1) * (trials - 1)
        low, high = (math.sqrt(freedom / stats.chi2.ppf(p, freedom)) for p in (0.975, 0.025))
        return (high - low) / 2

    count = _smallest(lambda n: reached(n) <= precision)
    why = tables.sentence("studies.plan.sem", trials=trials)
    return Plan(count, trials, reached(count), why)


@checked
def limits(half_width: _Size, *, sd: _Size) -> Plan:
    """Return the number of participants for a given precision of the 95 % limits of agreement.

    Parameters
    ----------
    half_width
        Half of the width of the 95 % interval of each limit, in the unit of `sd`.
    sd
        Expected standard deviation of one difference.

    References
    ----------
    Bland & Altman 1986, Lancet 1:307; Zou 2013, Stat Methods Med Res 22:630 (the interval).
    """

    def reached(n: int) -> float:
        return limits_interval_width(n, sd=sd) / 2

    count = _smallest(lambda n: reached(n) <= half_width)
    return Plan(count, 2, reached(count), tables.sentence("studies.plan.limits", sd=sd))


@checked
def groups(
    difference: _Size,
    *,
    sd: _Size,
    sem: _Error = 0.0,
    trials: _Trials = 1,
    power: _Share = 0.8,
    alpha: _Share = 0.05,
) -> Plan:
    r"""Return how many participants each of two equal groups needs to show a difference in means.

    The power is that of the two-sided t test, from the noncentral t distribution. If each value is
    the mean of m measurements, the variance of the values is :math:`sd^2 + sem^2 / m`, which comes
    from the differences between people and from the error of measurement. `cost` is how many more
    participants each group needs because of that error.

    Parameters
    ----------
    difference
        Difference of the means that the study should show, in the unit of the values.
    sd
        Standard deviation between the people of a group, without the error of measurement: the root
        of the measured variance minus the variance of the error.
    sem
        Standard error of measurement, as from :func:`mobility.reliability`.
    trials
        Number of measurements of each participant that are averaged, each with its own error.
    power
        Probability of finding the difference.
    alpha
        Two-sided significance level of the test.

    References
    ----------
    Cohen 1988, Statistical Power Analysis, ed. 2. Lord & Novick 1968, Statistical Theories of
    Mental Test Scores, ch. 3 (error and observed variance).
    """
    if power <= alpha:
        raise BadInputError(f"power {power:g}: must be above the level of the test, {alpha:g}")

    def reached(n: int, error: float) -> float:
        return _power(n, difference / math.sqrt(sd**2 + error**2 / trials), alpha)

    count = _smallest(lambda n: reached(n, sem) >= power)
    without = _smallest(lambda n: reached(n, 0.0) >= power)
    why = tables.sentence(
        "studies.plan.groups.error" if sem else "studies.plan.groups.none",
        **{"sd": sd, "sem": sem, "trials": trials, "without": without, "count": count},
        reliability=sd**2 / (sd**2 + sem**2 / trials),
    )
    return Plan(count, trials, reached(count, sem), why, count - without)


def _interval_widths(n: int, k: int, coefficient: float) -> Array:
    """Return widths of the 95 % interval of ICC(C,1) in equally likely studies of n participants.

    McGraw & Wong 1996, Psychol Methods 1:30: the ratio of the mean squares, divided by its
    expectation, has the F distribution.
    """
    of_people, of_error = n - 1, (n - 1) * (k - 1)
    expected = (1 + (k - 1) * coefficient) / (1 - coefficient)
    ratio = expected * stats.f.ppf((np.arange(_POINTS) + 0.5) / _POINTS, of_people, of_error)
    low = ratio / stats.f.ppf(0.975, of_people, of_error)
    high = ratio * stats.f.ppf(0.975, of_error, of_people)
    widths: Array = k * (high - low) / ((high + k - 1) * (low + k - 1))
    return widths


def _power(n: int, effect: float, alpha: float) -> float:
    """Return the power of the two-sided t test of two groups of n; `effect` is in SDs."""
    freedom, shift = 2 * (n - 1), effect * math.sqrt(n / 2)
    critical = float(stats.t.ppf(1 - alpha / 2, freedom))
    if shift > critical + 40:  # the noncentral t is no longer computed there
        return 1.0
    tails = stats.nct.sf(critical, freedom, shift) + stats.nct.cdf(-critical, freedom, shift)
    return float(tails)


def _whole_number(needed: float) -> int:
    count = max(2, math.ceil(needed - 1e-9)) if needed <= MOST else MOST + 1
    if count > MOST:
        raise BadInputError(f"plan: needs more than {MOST:,} participants; ask for less precision")
    return count


def _smallest(enough: Callable[[int], bool]) -> int:
    """Return the smallest number of participants, at least two, that is enough."""
    high = 2
    while not enough(high):
        if high > MOST:
            return _whole_number(math.inf)
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
