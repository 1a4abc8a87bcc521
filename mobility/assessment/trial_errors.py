"""How far the numbers of a trial may be off: absolute, from standing, and between the sides.

The error of an angle of a fitted body is mostly one bias of the whole trial. The part that standing
and bottom share cancels in their difference, and the part that both sides share in theirs; the
draws of the fit say how much that is, and it may be little.
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mobility.assessment.phases import Moments, phase_frames, usual_moments
from mobility.assessment.propagation import knots_within, means_within
from mobility.assessment.summaries import right_minus_left
from mobility.catalogue.exercise import main_moment
from mobility.kinematics.angle_errors import angle_deviations, legs_unseen_sd
from mobility.kinematics.expected_error import NUMBERS, trial_factors
from mobility.kinematics.skeleton import SIDES

Array = NDArray[np.float64]


def trial_errors(
    fitted: xr.Dataset, repetitions: xr.Dataset, moments: Moments | None = None
) -> xr.Dataset:
    """Give the standard deviations of the errors of the values of each repetition, degrees.

    Parameters
    ----------
    fitted
        Pose Dataset with ``position_draws``.
    repetitions
        Repetitions Dataset of the same frames.
    moments
        Phases of the exercise; None: the usual ones.

    Returns
    -------
    xarray.Dataset
        As :func:`trial_spreads`, times the factor of
        :func:`~mobility.kinematics.expected_error.trial_factors`; where the legs are not seen, with
        what the table says of that in quadrature.
    """
    spreads, unseen = trial_spreads(fitted, repetitions, moments), legs_unseen_sd(fitted)
    errors: dict[str, xr.DataArray] = {}
    for number in NUMBERS:
        for name, factor in trial_factors(fitted, number).items():
            metric = f"{name}_{number}"
            if metric not in spreads:
                continue
            # How much of the added error both sides share was never measured.
            added = unseen.get(name, 0.0) * (2**0.5 if number == "sides" else 1.0)
            variance = (factor * spreads[metric]) ** 2 + added**2
            errors[metric] = (variance**0.5).assign_attrs(units="degree")
    return xr.Dataset(errors)


def trial_spreads(
    fitted: xr.Dataset, repetitions: xr.Dataset, moments: Moments | None = None
) -> xr.Dataset:
    """Give the spread over the draws of the values of each repetition, degrees.

    Returns
    -------
    xarray.Dataset
        ``<angle>_absolute`` of the mean of the bottom, ``<angle>_from_standing`` of bottom minus
        standing, ``<angle>_sides`` of right minus left at the bottom; over ``rep`` and, but for the
        last, ``side``. Each is the root mean square over the draws of what the number deviates. NaN
        where a phase has no frame.

    Notes
    -----
    The mean over the knots of a phase is taken within each draw, that over repetitions is not: the
    draws vary more between repetitions than the errors, whose variation is in the spread of the
    values.
    """
    draws = _numbers(angle_deviations(fitted), fitted, repetitions, moments)
    return xr.Dataset(
        {name: (deviation**2).mean("draw") ** 0.5 for name, deviation in draws.items()}
    )


def _numbers(
    angles: xr.Dataset, fitted: xr.Dataset, repetitions: xr.Dataset, moments: Moments | None
) -> dict[str, xr.DataArray]:
    """Take the numbers of each repetition from angles, or deviations, over (draw, fit_time)."""
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
        each = angles[name].transpose("draw", "fit_time", ...)
        dims = ("draw", "rep", *each.dims[2:])
        standing, bottom = (
            xr.DataArray(
                means_within(each.to_numpy(), knots_of_phase),
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
