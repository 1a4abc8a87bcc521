"""How far the numbers of a trial may be off: absolute, from standing, and between the sides.

The error of an angle of a fitted body is mostly one bias of the whole trial. The part that standing
and bottom share cancels in their difference, and the part that both sides share in theirs; the
draws of the fit say how much that is, and it may be little.
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mobility.assessment.phases import phase_frames
from mobility.assessment.propagation import nearest_frames
from mobility.assessment.summaries import right_minus_left
from mobility.kinematics.angle_errors import angle_deviations, angles_at_knots, legs_unseen_sd
from mobility.kinematics.expected_error import NUMBERS, errors_with_value, trial_factors
from mobility.kinematics.skeleton import SIDES

Array = NDArray[np.float64]


def trial_errors(fitted: xr.Dataset, repetitions: xr.Dataset) -> xr.Dataset:
    """Give the standard deviations of the errors of the values of each repetition, degrees.

    Parameters
    ----------
    fitted
        Pose Dataset with ``position_draws``.
    repetitions
        Repetitions Dataset of the same frames.

    Returns
    -------
    xarray.Dataset
        As :func:`trial_spreads`, times the factor of
        :func:`~mobility.kinematics.expected_error.trial_factors`; where the legs are not seen, with
        what the table says of that in quadrature, and so with what
        :func:`~mobility.kinematics.expected_error.errors_with_value` says of the value.
    """
    spreads, unseen = trial_spreads(fitted, repetitions), legs_unseen_sd(fitted)
    growing = {number: errors_with_value(fitted, number) for number in NUMBERS}
    values = {}
    if any(growing.values()):
        values = _numbers(angles_at_knots(fitted).expand_dims("draw"), fitted, repetitions)
    errors: dict[str, xr.DataArray] = {}
    for number in NUMBERS:
        for name, factor in trial_factors(fitted, number).items():
            metric = f"{name}_{number}"
            if metric not in spreads:
                continue
            # How much of the added error both sides share was never measured.
            added = unseen.get(name, 0.0) * (2**0.5 if number == "sides" else 1.0)
            variance = (factor * spreads[metric]) ** 2 + added**2
            if entry := growing[number].get(name):
                off = values[metric].isel(draw=0) - entry["at"]
                variance = variance + (entry["per_degree"] * off) ** 2
            errors[metric] = (variance**0.5).assign_attrs(units="degree")
    return xr.Dataset(errors)


def trial_spreads(fitted: xr.Dataset, repetitions: xr.Dataset) -> xr.Dataset:
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
    draws = _numbers(angle_deviations(fitted), fitted, repetitions)
    return xr.Dataset({name: (off**2).mean("draw") ** 0.5 for name, off in draws.items()})


def _numbers(
    angles: xr.Dataset, fitted: xr.Dataset, repetitions: xr.Dataset
) -> dict[str, xr.DataArray]:
    """Take the numbers of each repetition from angles, or deviations, over (draw, fit_time)."""
    frames = phase_frames(repetitions)
    time, knots = fitted["time"].to_numpy(), angles["fit_time"].to_numpy()
    within = {
        phase: knots_within(frames.sel(phase=phase).to_numpy(), time, knots)
        for phase in ("standing", "bottom")
    }
    coords = {"rep": repetitions["rep"].to_numpy(), "side": list(SIDES)}
    numbers = {}
    for name in map(str, angles.data_vars):
        each = angles[name].transpose("draw", "fit_time", ...)
        dims = ("draw", "rep", *each.dims[2:])
        standing, bottom = (
            xr.DataArray(
                means_within(each.to_numpy(), within[phase]),
                dims=dims,
                coords={dim: coords[str(dim)] for dim in dims[1:]},
            )
            for phase in ("standing", "bottom")
        )
        numbers[f"{name}_absolute"] = bottom
        numbers[f"{name}_from_standing"] = bottom - standing
        if "side" in dims:
            numbers[f"{name}_sides"] = right_minus_left(bottom)
    return numbers


def knots_within(frames: NDArray[np.bool_], time: Array, knots: Array) -> NDArray[np.bool_]:
    """Say which knots belong to the frames of each repetition: the nearest, where none does."""
    inside = frames[:, nearest_frames(knots, time)]
    for rep in np.flatnonzero(frames.any(axis=1) & ~inside.any(axis=1)):
        inside[rep, np.abs(knots - time[frames[rep]].mean()).argmin()] = True
    return inside


def means_within(off: Array, inside: NDArray[np.bool_]) -> Array:
    """Mean over the knots of each repetition, (draw, rep, ...), without NaN."""
    seen = np.isfinite(off)
    total, count = (
        np.einsum("rk,dk...->dr...", inside.astype(np.float64), each)
        for each in (np.where(seen, off, 0.0), seen.astype(np.float64))
    )
    return np.where(count > 0, total / np.maximum(count, 1.0), np.nan)
