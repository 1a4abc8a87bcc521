"""Errors of the numbers of a recording: absolute, from standing, and between the sides.

The error of an angle of a fitted body is mostly a bias that lasts through the whole recording. The
part that is the same in standing and at the bottom cancels in their difference; the part that is
the same on both sides cancels in the difference between sides. The posterior samples of the fit
show how much cancels out; it may be little.

The module also computes how much a number differs between two visits if nothing has changed.

This difference has three causes: the camera is put up again, only a few repetitions are filmed, and
a person varies from day to day. Every comparison of visits uses the sum of these errors in
quadrature (:func:`visit_sem`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from mobility import tables
from mobility.assessment.phases import Moments, phase_frames, usual_moments
from mobility.assessment.propagation import knots_within, means_within
from mobility.assessment.summaries import right_minus_left
from mobility.catalogue.exercise import main_moment
from mobility.kinematics.angle_errors import angle_deviations, legs_unseen_sd
from mobility.kinematics.expected_error import NUMBERS, Z95, half_width, trial_factors
from mobility.kinematics.skeleton import SIDES

Array = NDArray[np.float64]


def trial_errors(
    fitted: xr.Dataset, repetitions: xr.Dataset, moments: Moments | None = None
) -> xr.Dataset:
    """Return the standard deviations of the errors of each repetition's values, degrees.

    Parameters
    ----------
    fitted
        Pose Dataset with ``position_draws``.
    repetitions
        Repetitions Dataset of the same frames.
    moments
        Phases of the exercise; None means the usual ones.

    Returns
    -------
    xarray.Dataset
        As :func:`trial_spreads`, multiplied by the factor of
        :func:`~mobility.kinematics.expected_error.trial_factors`. If the legs are not seen, the
        error that the table states for this case is added in quadrature.
    """
    spreads, unseen = trial_spreads(fitted, repetitions, moments), legs_unseen_sd(fitted)
    errors: dict[str, xr.DataArray] = {}
    for number in NUMBERS:
        for name, factor in trial_factors(fitted, number).items():
            metric = f"{name}_{number}"
            if metric not in spreads:
                continue
            # It was never measured how much of the added error both sides share.
            added = unseen.get(name, 0.0) * (2**0.5 if number == "sides" else 1.0)
            variance = (factor * spreads[metric]) ** 2 + added**2
            errors[metric] = (variance**0.5).assign_attrs(units="degree")
    return xr.Dataset(errors)


def trial_spreads(
    fitted: xr.Dataset, repetitions: xr.Dataset, moments: Moments | None = None
) -> xr.Dataset:
    """Return the spread of each repetition's values over the posterior samples, degrees.

    Returns
    -------
    xarray.Dataset
        ``<angle>_absolute`` of the mean of the bottom, ``<angle>_from_standing`` of bottom minus
        standing, ``<angle>_sides`` of right minus left at the bottom; over ``rep`` and, except for
        the last, ``side``. Each is the root mean square deviation of the number over the samples.
        NaN if a phase has no frame.

    Notes
    -----
    Each sample is averaged over the knots of a phase. It is not averaged over repetitions: between
    repetitions, the samples vary more than the actual errors, whose variation is already part of
    the spread of the values.
    """
    draws = _numbers(angle_deviations(fitted), fitted, repetitions, moments)
    return xr.Dataset(
        {name: (deviation**2).mean("draw") ** 0.5 for name, deviation in draws.items()}
    )


def _numbers(
    angles: xr.Dataset, fitted: xr.Dataset, repetitions: xr.Dataset, moments: Moments | None
) -> dict[str, xr.DataArray]:
    """Compute the numbers of each repetition from angles, or deviations, over (draw, fit_time)."""
    moments = usual_moments() if moments is None else moments
    frames = phase_frames(repetitions, moments)
    before = [name for name, entry in moments.items() if "before" in entry]
    at_rest = frames.sel(phase=before).any("phase").to_numpy()
    time, knots = fitted["time"].to_numpy(), angles["fit_time"].to_numpy()
    within = [
        knots_within(of_phase, time, knots)
        for of_phase in (at_rest, frames.sel(phase=main_moment(moments)).to_numpy())
    ]
    coords = {"rep": repetitions["rep"].to_numpy(), "side": list(SIDES)}
    numbers = {}
    for name in map(str, angles.data_vars):
        samples = angles[name].transpose("draw", "fit_time", ...)
        dims = ("draw", "rep", *samples.dims[2:])
        standing, bottom = (
            xr.DataArray(
                means_within(samples.to_numpy(), knots_of_phase),
                dims=dims,
                coords={dim: coords[str(dim)] for dim in dims[1:]},
            )
            for knots_of_phase in within
        )
        numbers[f"{name}_absolute"] = bottom
        numbers[f"{name}_from_standing"] = bottom - standing
        if "side" in dims:
            numbers[f"{name}_sides"] = right_minus_left(bottom)
    return numbers


TABLE = "between_visits"

_MEDIAN = 1.25
"""Standard error of the median of many values, relative to the standard error of their mean."""


class Known(NamedTuple):
    """The variation that is known from other people, in the unit of a metric.

    Attributes
    ----------
    scatter, freedom
        Standard deviation of the repetitions of one person, pooled over people, and its number of
        degrees of freedom; NaN if it is not known.
    day
        Standard deviation from day to day; NaN if it is not known.
    """

    scatter: float
    freedom: float
    day: float


def known_of(metric: str, units: str, table: Mapping[str, Any] | None = None) -> Known:
    """Look up the known variation of a metric; unmeasured angles use the values of all angles.

    Without a `table`, the table ``between_visits`` is read.
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
    """Pool a person's own variance with the variance of other people.

    Parameters
    ----------
    variance, freedom
        Variance of a person's repetitions, and its degrees of freedom (repetitions minus one).
    prior, prior_freedom
        Variance within other people, and the degrees of freedom for which it counts.

    Returns
    -------
    variance, freedom
        Each variance is weighted by its degrees of freedom, which add up. With few repetitions, the
        result comes mostly from other people; with many repetitions, it comes mostly from the
        person. NaN if there are none.

    References
    ----------
    Smyth (2004), Stat Appl Genet Mol Biol 3:3.
    """
    variance, freedom = np.asarray(variance, float), np.asarray(freedom, float)
    total = freedom + prior_freedom
    # The variance of a single value is unknown, not zero.
    own_sum = np.where(freedom > 0, freedom * variance, 0.0)
    prior_sum = prior_freedom * prior if prior_freedom > 0 else 0.0
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(total > 0, (own_sum + prior_sum) / total, np.nan), total


def visit_sem(
    again: ArrayLike, variance: ArrayLike, repetitions: ArrayLike, *, known: Known
) -> Array:
    """Return the standard error of measurement between visits for a median over repetitions.

    The smallest detectable change is 1.96 √2 times this error.

    Parameters
    ----------
    again
        Standard error that a second recording adds because the camera is put up again.
    variance, repetitions
        Variance of the measured repetitions, and their number.
    known
        The variation that is known from other people (:func:`known_of`).

    Returns
    -------
    numpy.ndarray
        NaN if an error is not known, if there is no repetition, or if the scatter of the
        repetitions is known only from fewer than three of them.
    """
    from scipy.special import stdtrit

    count = np.asarray(repetitions, float)
    pooled, freedom = pooled_variance(
        variance, count - 1, prior=known.scatter**2, prior_freedom=known.freedom
    )
    is_known = (count >= 1) & (freedom >= 2)
    with np.errstate(invalid="ignore", divide="ignore"):
        # Wider by Student's t, because the scatter is itself an estimate.
        wider = stdtrit(np.where(is_known, freedom, 2.0), 0.975) / Z95
        of_median = np.where(count >= 3, _MEDIAN, 1.0)
        scatter = wider * of_median * np.sqrt(pooled / count)
        sem = np.sqrt(np.square(again) + np.square(scatter) + known.day**2)
    return np.where(is_known, sem, np.nan)


def visit_error(sd: ArrayLike, sem: ArrayLike, *, alike: ArrayLike) -> Array:
    """Return the error for comparing a number with another visit.

    Parameters
    ----------
    sd
        Standard deviation of the error of the number.
    sem
        Its standard error of measurement between visits (:func:`visit_sem`).
    alike
        Whether both visits were filmed and analysed in the same way. If not, the error of the
        number does not cancel, and counts too.

    Returns
    -------
    numpy.ndarray
        NaN without a `sem`: then no change is claimed.
    """
    return np.where(alike, sem, np.hypot(sd, sem))


def least_change(before: ArrayLike, now: ArrayLike) -> Array:
    """Return the smallest detectable change (95 %) for two errors from :func:`visit_error`."""
    return half_width(np.hypot(before, now))


Judgement = Literal["better", "worse", "met", ""]
"""Change relative to a target: nearer, farther, both visits meet it, or no target."""


def judged(before: float, now: float, *, goal: float, direction: str, alike: bool) -> Judgement:
    """Decide whether a change is for the better.

    Parameters
    ----------
    before, now
        Values of both visits.
    goal
        Target; NaN without one.
    direction
        Direction of the rule: "below" (values below the target are outside it), "above" or
        "outside" (farther from zero than the target).
    alike
        Whether both visits were filmed and analysed in the same way. If not, nothing is claimed:
        moving the camera changes all numbers of one kind in the same direction, so that some of
        them would too often seem better or worse.
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
    """Apply :func:`visit_sem` to the accepted repetitions; `again` has no dimension ``rep``."""
    values = value.isel(rep=accepted).transpose("rep", *again.dims).to_numpy()
    count = np.isfinite(values).sum(axis=0)
    total = np.where(np.isfinite(values), values, 0.0).sum(axis=0)
    deviations = np.where(np.isfinite(values), values - total / np.maximum(count, 1), 0.0)
    variance = (deviations**2).sum(axis=0) / np.maximum(count - 1, 1)
    return again.copy(data=visit_sem(again.to_numpy(), variance, count, known=known))
