"""How far a number differs between two visits although nothing has changed.

A visit differs from another by three errors: that of the camera when it is put up again, that of
the few repetitions that were filmed, and the variation of a person from day to day. Every
comparison of visits uses their sum in quadrature (:func:`visit_sem`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from mobility import tables
from mobility.kinematics.expected_error import Z95, half_width

Array = NDArray[np.float64]

TABLE = "between_visits"

_MEDIAN = 1.25
"""Standard error of the median of many values, in that of their mean."""


class Known(NamedTuple):
    """What is known of other people, in the unit of a metric.

    Attributes
    ----------
    scatter, freedom
        Standard deviation of the repetitions of one person, pooled over people, and for how many
        degrees of freedom it counts; NaN if it is not known.
    day
        Standard deviation from day to day; NaN if it is not known.
    """

    scatter: float
    freedom: float
    day: float


def known_of(metric: str, units: str, table: Mapping[str, Any] | None = None) -> Known:
    """Look up what is known of a metric; an angle that was not measured has that of all angles.

    Without a `table`, the one of this name (``between_visits``) is read.
    """
    table = tables.load(TABLE) if table is None else table
    scatter, days = table["scatter"], table["day"]["sd"]
    measured = scatter["sd"]
    sd = measured.get(metric, measured.get(metric.removesuffix("_from_standing"), math.nan))
    if units == "degree":
        day = days["difference_of_sides" if metric.endswith("_asymmetry") else "angle"]
        return Known(scatter["any_angle"] if math.isnan(sd) else sd, scatter["freedom"], day)
    return Known(sd, scatter["freedom"], sd)


def pooled_variance(
    variance: ArrayLike, freedom: ArrayLike, *, prior: float, prior_freedom: float
) -> tuple[Array, Array]:
    """Pool a person's own variance with that of other people.

    Parameters
    ----------
    variance, freedom
        Variance of a person's repetitions, and its degrees of freedom (repetitions less one).
    prior, prior_freedom
        Variance within other people, and the degrees of freedom for which it counts.

    Returns
    -------
    variance, freedom
        Each variance weighs as its degrees of freedom, which add up: with few repetitions the
        result is mostly that of other people, with many it is mostly the person's own. NaN where
        there are none.

    References
    ----------
    Smyth (2004), Stat Appl Genet Mol Biol 3:3.
    """
    variance, freedom = np.asarray(variance, float), np.asarray(freedom, float)
    total = freedom + prior_freedom
    # A variance of a single value is unknown, not zero.
    own = np.where(freedom > 0, freedom * variance, 0.0)
    others = prior_freedom * prior if prior_freedom > 0 else 0.0
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(total > 0, (own + others) / total, np.nan), total


def visit_sem(
    again: ArrayLike, variance: ArrayLike, repetitions: ArrayLike, *, known: Known
) -> Array:
    """Give the standard error of measurement between visits of a median over repetitions.

    1.96 √2 times it is the smallest detectable change.

    Parameters
    ----------
    again
        Standard error that another recording adds, with the camera put up again.
    variance, repetitions
        Variance of the repetitions that are measured, and how many there are.
    known
        What is known of other people (:func:`known_of`).

    Returns
    -------
    numpy.ndarray
        NaN if an error is not known, or if there is no repetition, or if the scatter of the
        repetitions is only known from less than three of them.
    """
    from scipy.special import stdtrit

    count = np.asarray(repetitions, float)
    pooled, freedom = pooled_variance(
        variance, count - 1, prior=known.scatter**2, prior_freedom=known.freedom
    )
    is_known = (count >= 1) & (freedom >= 2)
    with np.errstate(invalid="ignore", divide="ignore"):
        # Wider by Student's t, as the scatter is itself an estimate.
        wider = stdtrit(np.where(is_known, freedom, 2.0), 0.975) / Z95
        of_median = np.where(count >= 3, _MEDIAN, 1.0)
        scatter = wider * of_median * np.sqrt(pooled / count)
        sem = np.sqrt(np.square(again) + np.square(scatter) + known.day**2)
    return np.where(is_known, sem, np.nan)


def visit_error(sd: ArrayLike, sem: ArrayLike, *, alike: ArrayLike) -> Array:
    """Give the error with which a number is compared with another visit.

    Parameters
    ----------
    sd
        Standard deviation of the error of the number.
    sem
        Its standard error of measurement between visits (:func:`visit_sem`).
    alike
        Whether both visits were filmed and analysed alike. If not, the error of the number does
        not cancel, and counts too.

    Returns
    -------
    numpy.ndarray
        NaN without a `sem`: then no change is claimed.
    """
    return np.where(alike, sem, np.hypot(sd, sem))


def least_change(before: ArrayLike, now: ArrayLike) -> Array:
    """Smallest detectable change (95 %) of two numbers with these errors (:func:`visit_error`)."""
    return half_width(np.hypot(before, now))


Judgement = Literal["better", "worse", "met", ""]
"""How a change lies to a target: nearer or farther, both visits meet it, or it has none."""


def judged(before: float, now: float, *, goal: float, direction: str, alike: bool) -> Judgement:
    """Say whether a change is for the better.

    Parameters
    ----------
    before, now
        Values of both visits.
    goal
        Target; NaN without one.
    direction
        That of the rule: "below" (values below the target are outside it), "above" or "outside"
        (farther from zero than the target).
    alike
        Whether both visits were filmed and analysed alike. If not, nothing is said: a change that
        comes from another place of the camera is the same for all of a person's numbers of a kind,
        so that one of many seems to be for the better or the worse too often.
    """
    if not (alike and math.isfinite(goal) and direction):
        return ""

    def beyond(value: float) -> float:
        over = {"below": goal - value, "above": value - goal, "outside": abs(value) - goal}
        return max(over[direction], 0.0)

    was, is_now = beyond(before), beyond(now)
    if was == is_now:
        return "met" if is_now == 0 else ""
    return "better" if is_now < was else "worse"


def sem_over_repetitions(
    again: xr.DataArray, value: xr.DataArray, accepted: NDArray[np.bool_], *, known: Known
) -> xr.DataArray:
    """Apply :func:`visit_sem` to the accepted repetitions; `again` lacks the dimension ``rep``."""
    values = value.isel(rep=accepted).transpose("rep", *again.dims).to_numpy()
    count = np.isfinite(values).sum(axis=0)
    total = np.where(np.isfinite(values), values, 0.0).sum(axis=0)
    deviations = np.where(np.isfinite(values), values - total / np.maximum(count, 1), 0.0)
    variance = (deviations**2).sum(axis=0) / np.maximum(count - 1, 1)
    return again.copy(data=visit_sem(again.to_numpy(), variance, count, known=known))
