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
from mobility.kinematics.angle_errors import angle_deviations, legs_unseen_sd
from mobility.kinematics.expected_error import trial_factors
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
        ``<angle>_absolute`` of the mean of the bottom, ``<angle>_from_standing`` of bottom minus
        standing, ``<angle>_sides`` of right minus left at the bottom; over ``rep`` and, but for the
        last, ``side``. Each is the root mean square over the draws of what the number deviates,
        times the factor of :func:`~mobility.kinematics.expected_error.trial_factors`, and, where
        the legs are not seen, with what the table says of that in quadrature. NaN where a phase has
        no frame.

    Notes
    -----
    The mean over the knots of a phase is taken within each draw, that over repetitions is not: the
    draws vary more between repetitions than the errors, whose variation is in the spread of the
    values.
    """
    frames = phase_frames(repetitions)
    time, draws = fitted["time"].to_numpy(), angle_deviations(fitted)
    knots = draws["fit_time"].to_numpy()
    within = {
        phase: knots_within(frames.sel(phase=phase).to_numpy(), time, knots)
        for phase in ("standing", "bottom")
    }
    absolute, change, sides = (
        trial_factors(fitted, number) for number in ("absolute", "from_standing", "sides")
    )
    unseen = legs_unseen_sd(fitted)
    coords = {"rep": repetitions["rep"].to_numpy(), "side": list(SIDES)}
    errors: dict[str, xr.DataArray] = {}
    for name in map(str, draws.data_vars):
        off = draws[name].transpose("draw", "fit_time", ...)
        dims = ("draw", "rep", *off.dims[2:])
        standing, bottom = (
            xr.DataArray(
                means_within(off.to_numpy(), within[phase]),
                dims=dims,
                coords={dim: coords[str(dim)] for dim in dims[1:]},
            )
            for phase in ("standing", "bottom")
        )
        added = unseen.get(name, 0.0)
        errors[f"{name}_absolute"] = _error(bottom, absolute[name], added)
        errors[f"{name}_from_standing"] = _error(bottom - standing, change[name], added)
        if "side" in dims:
            # How much of the added error both sides share was never measured.
            apart = right_minus_left(bottom)
            errors[f"{name}_sides"] = _error(apart, sides[name], added * 2**0.5)
    return xr.Dataset({name: error.assign_attrs(units="degree") for name, error in errors.items()})


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


def _error(off: xr.DataArray, factor: float, added: float) -> xr.DataArray:
    variance: xr.DataArray = factor**2 * (off**2).mean("draw") + added**2
    return variance**0.5
