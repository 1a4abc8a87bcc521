"""Stances of a recording: times in which both feet stay in place, and the steps between them."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mobility import tables
from mobility.base.provenance import history, last_of

Array = NDArray[np.float64]

_EDGE_S = 0.3
"""Time in seconds before the first and after the last stance that still belongs to it: a knot or
two.
"""


class Stance(NamedTuple):
    """A time in which both feet stay in place, in seconds.

    `standing_s` is the time spent standing.
    """

    first_s: float
    last_s: float
    standing_s: float


class Step(NamedTuple):
    """The feet move to another place, or a foot is lifted: when, and how far, metres.

    The path of the middle of both feet is along the subject's axes.
    """

    from_s: float
    to_s: float
    forward_m: float
    left_m: float
    wider_m: float  # how much farther the feet are apart afterwards
    foot_m: float = math.nan  # way of the foot that moves farther; NaN in older files

    @property
    def time_s(self) -> float:
        """Time of the middle of the step."""
        return (self.from_s + self.to_s) / 2

    @property
    def returns(self) -> bool:
        """Whether a foot is lifted and put back in the same place."""
        return self.foot_m < float(tables.load("fit")["planted"]["step_m"])


def stances_of(fitted: xr.Dataset) -> list[Stance]:
    """List the stances of a recording in order, at least one.

    Parameters
    ----------
    fitted
        Fitted pose, or a Dataset made from it. There is only one stance if no body was fitted, if
        the feet move all the time, or if the user stated the times in which each foot stays. With
        several cameras, the times belong to the first camera.
    """
    fit = last_of(history(fitted), "fit_body")
    if stored_stances := fit.get("stances"):
        return [Stance(**stance) for stance in stored_stances]
    time = fitted["time"].to_numpy().astype(np.float64)
    first, last = (float(time[0]), float(time[-1])) if time.size else (0.0, 0.0)
    return [Stance(first, last, float(fit.get("standing_seconds", 0.0)))]


def steps_of(fitted: xr.Dataset) -> list[Step]:
    """List the steps between the stances of a recording (:func:`stances_of`), in order."""
    fit = last_of(history(fitted), "fit_body")
    return [Step(**step) for step in fit.get("steps", [])]


def stance_at(fitted: xr.Dataset, time: Array) -> NDArray[np.int_]:
    """Return the index of the stance at each time; during a step, of the nearer stance."""
    return np.searchsorted([step.time_s for step in steps_of(fitted)], time)


def is_stepping(fitted: xr.Dataset, time: Array) -> NDArray[np.bool_]:
    """Return whether the feet are in none of the stances, at each time."""
    stances, steps = stances_of(fitted), steps_of(fitted)
    outside: NDArray[np.bool_] = (time < stances[0].first_s - _EDGE_S) | (
        time > stances[-1].last_s + _EDGE_S
    )
    for step in steps:
        outside |= (time > step.from_s) & (time < step.to_s)
    return outside
