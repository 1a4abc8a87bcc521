"""Medians, peaks and spreads of the frames of phases and of repetitions, with their errors."""

from __future__ import annotations

import warnings

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mobility import tables
from mobility.assessment.phases import MOVING_PHASES
from mobility.kinematics.skeleton import SIDES

_PHASE_WORDS = {"mid_descent": "mid-descent", "mid_ascent": "mid-ascent"}


def nanmedian(values: xr.DataArray, dim: str) -> xr.DataArray:
    """Median of those that are not NaN."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
        median: xr.DataArray = values.median(dim, skipna=True)
    return median


def median_within(
    value: xr.DataArray, sd: xr.DataArray, frames: xr.DataArray
) -> tuple[xr.DataArray, xr.DataArray]:
    """Median over the frames of each window, NaN if most of them are; and that of the sd."""
    supported = _supported(value, frames)
    chosen = frames & value.notnull()
    return (
        nanmedian(value.where(chosen), "time").where(supported),
        nanmedian(sd.where(chosen), "time").where(supported),
    )


def _supported(value: xr.DataArray, frames: xr.DataArray) -> xr.DataArray:
    seen, asked = (frames & value.notnull()).sum("time"), frames.sum("time")
    largest = tables.load("overhead_squat")["limits"]["largest_gap_share"]["value"]
    supported: xr.DataArray = (seen > 0) & (seen >= (1 - largest) * asked)
    return supported


def peak_within(
    value: xr.DataArray, sd: xr.DataArray, frames: xr.DataArray, kind: str
) -> tuple[xr.DataArray, xr.DataArray]:
    """Extreme value of each window and the sd of the frame where it is."""
    rank = {"maximum": value, "minimum": -value, "magnitude": abs(value)}[kind]
    where = rank.where(frames).fillna(-np.inf).argmax("time")
    supported = _supported(value, frames)
    return value.isel(time=where, drop=True).where(supported), sd.isel(time=where, drop=True).where(
        supported
    )


def extreme_of_phases(
    value: xr.DataArray, sd: xr.DataArray, kind: str
) -> tuple[xr.DataArray, xr.DataArray, xr.DataArray]:
    """Extreme over the moving phases, and its phase; NaN where one is that might have been it."""
    value, sd = (v.sel(phase=list(MOVING_PHASES)) for v in (value, sd))
    complete = value.notnull().all("phase")
    rank = (value if kind == "maximum" else -value).fillna(-np.inf)
    where = rank.argmax("phase")
    return (
        value.isel(phase=where, drop=True).where(complete),
        sd.isel(phase=where, drop=True).where(complete),
        where.where(complete, -1),
    )


def phases_in_words(where: xr.DataArray, accepted: NDArray[np.bool_]) -> str:
    """Name the phases in which the accepted repetitions have their extremes, as 'bottom'."""
    used = where.isel(rep=accepted)
    sides = [used.sel(side=side) for side in SIDES] if "side" in used.dims else [used]
    texts = []
    for side in sides:
        numbers = sorted({int(i) for i in side.values if i >= 0})
        words = [_PHASE_WORDS.get(MOVING_PHASES[i], MOVING_PHASES[i]) for i in numbers]
        texts.append(" or ".join(words))
    if len(texts) == 1 or texts[0] == texts[1]:
        return texts[0]
    return ", ".join(f"{side}: {text}" for side, text in zip(SIDES, texts, strict=True) if text)


def right_minus_left(value: xr.DataArray) -> xr.DataArray:
    """Difference of the sides."""
    return value.sel(side="right", drop=True) - value.sel(side="left", drop=True)


def independent(sd: xr.DataArray) -> xr.DataArray:
    """Error of the difference of two sides whose errors are independent."""
    both: xr.DataArray = (sd**2).sum("side", skipna=False) ** 0.5
    return both


def sample_sd(value: xr.DataArray, accepted: NDArray[np.bool_], *, least: int) -> xr.DataArray:
    """Spread of the accepted repetitions, from `least` of them on."""
    chosen = value.isel(rep=accepted)
    count = chosen.notnull().sum("rep")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Degrees of freedom", RuntimeWarning)
        return chosen.std("rep", ddof=1, skipna=True).where(count >= least)


def over_repetitions(
    value: xr.DataArray, sd: xr.DataArray, accepted: NDArray[np.bool_]
) -> tuple[xr.DataArray, xr.DataArray]:
    """Median of the accepted repetitions; its sd from model bias and sampling."""
    chosen = value.isel(rep=accepted)
    count = chosen.notnull().sum("rep")
    sampling = sample_sd(value, accepted, least=2).fillna(0) / count.clip(min=1) ** 0.5
    bias = nanmedian(sd.isel(rep=accepted).where(chosen.notnull()), "rep")
    return nanmedian(chosen, "rep"), (bias**2 + sampling**2) ** 0.5
