"""Medians, peaks and spreads over frames and repetitions, and ratios between the sides.

Ratios become very large if both values are small, so they are reported only for large values. The
primary measure is the difference in degrees, right minus left.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from mobility import tables
from mobility.assessment.body_axes import median_of
from mobility.kinematics.skeleton import SIDES


def asymmetry_index(left: ArrayLike, right: ArrayLike) -> Any:
    r"""Compute the asymmetry index, :math:`200 (R - L) / (R + L)` percent.

    Parameters
    ----------
    left, right
        Values of both sides; arrays are taken element by element.

    Returns
    -------
    Percent, 0 for equal sides, positive if the right is larger; NaN if the sum is zero.

    References
    ----------
    Robinson, Herzog, Nigg (1987), J Manipulative Physiol Ther 10:172.
    """
    left_value, right_value = np.asarray(left, float), np.asarray(right, float)
    total = np.where(left_value + right_value == 0, np.nan, left_value + right_value)
    return 200 * (right_value - left_value) / total


def limb_symmetry_index(left: ArrayLike, right: ArrayLike) -> Any:
    r"""Compute the limb symmetry index, :math:`100 \min(L, R) / \max(L, R)` percent.

    Parameters
    ----------
    left, right
        Values of both sides; arrays are taken element by element.

    Returns
    -------
    Percent, 100 for equal sides; NaN if the larger value is not positive.
    """
    left_value, right_value = np.asarray(left, float), np.asarray(right, float)
    larger = np.maximum(left_value, right_value)
    return 100 * np.minimum(left_value, right_value) / np.where(larger > 0, larger, np.nan)


def symmetry_angle(left: ArrayLike, right: ArrayLike) -> Any:
    r"""Compute the symmetry angle, :math:`(45° - \mathrm{atan2}(L, R)) / 90° \cdot 100` percent.

    Parameters
    ----------
    left, right
        Values of both sides; arrays are taken element by element.

    Returns
    -------
    Percent, 0 for equal sides, positive if the right is larger.

    References
    ----------
    Zifchock, Davis, Higginson, Royer (2008), Gait Posture 27:622.
    """
    angle = np.degrees(np.arctan2(np.asarray(left, float), np.asarray(right, float)))
    return (45 - angle) / 90 * 100


SYMMETRY: Mapping[str, Callable[[ArrayLike, ArrayLike], Any]] = {
    "asymmetry_index": asymmetry_index,
    "limb_symmetry_index": limb_symmetry_index,
    "symmetry_angle": symmetry_angle,
}
"""The ratios, by the suffix that follows the name of the angle."""


Array = NDArray[np.float64]


def nanmedian(values: xr.DataArray, dim: str) -> xr.DataArray:
    """Return the median of the values that are not NaN."""
    median: xr.DataArray = values.reduce(_median, dim)
    return median


def _median(values: Array, axis: int) -> Array:
    return median_of(np.moveaxis(values, axis, 0))


def median_within(
    value: xr.DataArray, sd: xr.DataArray, frames: xr.DataArray
) -> tuple[xr.DataArray, xr.DataArray]:
    """Return the medians of the value and its sd over the frames of each window.

    NaN if most values are NaN.
    """

    def medians(values: Array, errors: Array) -> tuple[Array, Array]:
        has_value = ~np.isnan(values)
        return median_of(values), median_of(np.where(has_value, errors, np.nan))

    return _each_window(value, sd, frames, medians)


def peak_within(
    value: xr.DataArray, sd: xr.DataArray, frames: xr.DataArray, kind: str
) -> tuple[xr.DataArray, xr.DataArray]:
    """Return the extreme value of each window, and the sd of its frame."""

    def extremes(values: Array, errors: Array) -> tuple[Array, Array]:
        rank = {"maximum": values, "minimum": -values, "magnitude": np.abs(values)}[kind]
        where = np.where(np.isnan(rank), -np.inf, rank).argmax(axis=0)[None]
        return (
            np.take_along_axis(values, where, axis=0)[0],
            np.take_along_axis(errors, where, axis=0)[0],
        )

    return _each_window(value, sd, frames, extremes)


def _each_window(
    value: xr.DataArray,
    sd: xr.DataArray,
    frames: xr.DataArray,
    reduce: Callable[[Array, Array], tuple[Array, Array]],
) -> tuple[xr.DataArray, xr.DataArray]:
    """Reduce value and sd over the frames of each window; NaN if most of the values are NaN."""
    # Window by window, to save memory: all at once need a gigabyte for hundreds of repetitions.
    largest = tables.load("measures")["limits"]["largest_gap_share"]["value"]
    values, errors = (v.transpose("time", ...).to_numpy() for v in (value, sd))
    inside = frames.transpose(..., "time").to_numpy()
    reduced_values = np.full((2, *inside.shape[:-1], *values.shape[1:]), np.nan)
    for window in np.ndindex(inside.shape[:-1]):
        rows = np.flatnonzero(inside[window])
        if not rows.size:
            continue
        values_in_window = (~np.isnan(values[rows])).sum(axis=0)
        supported = (values_in_window > 0) & (values_in_window >= (1 - largest) * rows.size)
        for kind, reduced in enumerate(reduce(values[rows], errors[rows])):
            reduced_values[(kind, *window)] = np.where(supported, reduced, np.nan)
    over = [dim for dim in frames.dims if dim != "time"]
    other_dims = [dim for dim in value.dims if dim != "time"]
    coords = {dim: frames[dim] for dim in over if dim in frames.coords}
    coords |= {dim: value[dim] for dim in other_dims if dim in value.coords}
    reduced_value, reduced_sd = (
        xr.DataArray(part, dims=[*over, *other_dims], coords=coords, attrs=source.attrs)
        for part, source in zip(reduced_values, (value, sd), strict=True)
    )
    return reduced_value, reduced_sd


def extreme_of_phases(
    value: xr.DataArray, sd: xr.DataArray, kind: str, phases: Sequence[str]
) -> tuple[xr.DataArray, xr.DataArray, xr.DataArray]:
    """Return the extreme over the moving phases, and its phase; NaN if any of them is NaN."""
    value, sd = (v.sel(phase=list(phases)) for v in (value, sd))
    complete = value.notnull().all("phase")
    rank = (value if kind == "maximum" else -value).fillna(-np.inf)
    where = rank.argmax("phase")
    return (
        value.isel(phase=where, drop=True).where(complete),
        sd.isel(phase=where, drop=True).where(complete),
        where.where(complete, -1),
    )


def phases_in_words(where: xr.DataArray, accepted: NDArray[np.bool_], phases: Sequence[str]) -> str:
    """Name the phases in which the accepted repetitions have their extremes."""
    used = where.isel(rep=accepted)
    sides = [used.sel(side=side) for side in SIDES] if "side" in used.dims else [used]
    texts = []
    for side in sides:
        numbers = sorted({int(i) for i in side.values if i >= 0})
        words = [phases[i] for i in numbers]
        texts.append(" or ".join(words))
    if len(texts) == 1 or texts[0] == texts[1]:
        return texts[0]
    return ", ".join(f"{side}: {text}" for side, text in zip(SIDES, texts, strict=True) if text)


def right_minus_left(value: xr.DataArray) -> xr.DataArray:
    """Return the difference between the sides."""
    return value.sel(side="right", drop=True) - value.sel(side="left", drop=True)


def independent(sd: xr.DataArray) -> xr.DataArray:
    """Return the error of the difference between two sides whose errors are independent."""
    both: xr.DataArray = (sd**2).sum("side", skipna=False) ** 0.5
    return both


def least_for_spread() -> int:
    """Return the smallest number of repetitions for which a spread is reported."""
    limits = tables.load("measures")["limits"]
    return int(limits["least_repetitions_for_spread"]["value"])


def too_few_for_spread() -> str:
    """Return the clause that explains why no spread is reported."""
    return tables.sentence("reasons.few_repetitions", least=least_for_spread())


def sample_sd(value: xr.DataArray, accepted: NDArray[np.bool_]) -> xr.DataArray:
    """Return the spread of the accepted repetitions; NaN if too few of them have a value."""
    accepted_values = value.isel(rep=accepted)
    count = accepted_values.notnull().sum("rep")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Degrees of freedom", RuntimeWarning)
        return accepted_values.std("rep", ddof=1, skipna=True).where(count >= least_for_spread())


def over_repetitions(
    value: xr.DataArray, sd: xr.DataArray, accepted: NDArray[np.bool_]
) -> tuple[xr.DataArray, xr.DataArray]:
    """Return the median of the accepted repetitions.

    Its sd combines the bias (`sd`) and the sampling error.
    """
    accepted_values = value.isel(rep=accepted)
    errors = sd.isel(rep=accepted).transpose(*accepted_values.dims)
    error = nanmedian(errors.where(accepted_values.notnull()), "rep")
    return nanmedian(accepted_values, "rep"), with_sampling(error, value, accepted)


def with_sampling(
    bias: xr.DataArray, value: xr.DataArray, accepted: NDArray[np.bool_]
) -> xr.DataArray:
    """Combine a bias with the sampling error of the accepted repetitions: sqrt(bias² + s²/n).

    s is their standard deviation, 0 for a single repetition. `bias` has the same dimensions without
    ``rep``.
    """
    accepted_values = value.isel(rep=accepted)
    # As arrays: DataArrays of three numbers are slow, and every metric is computed here.
    values = np.moveaxis(accepted_values.to_numpy(), accepted_values.get_axis_num("rep"), 0)
    has_value = ~np.isnan(values)
    count = np.maximum(has_value.sum(axis=0), 1)
    mean = np.where(has_value, values, 0.0).sum(axis=0) / count
    deviations = np.where(has_value, values - mean, 0.0)
    variance = (deviations**2).sum(axis=0) / np.maximum(count - 1, 1)
    return bias.copy(data=np.sqrt(bias.to_numpy() ** 2 + variance / count))
