"""Metrics with the error that is expected of them, as indices and criteria need them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mobility import tables
from mobility.errors import BadInputError
from mobility.kinematics.expected_error import does_not_hold, view_kind, virtual_lab_error
from mobility.kinematics.skeleton import SIDES
from mobility.view import UNKNOWN

Array = NDArray[np.float64]


class Estimate(NamedTuple):
    """A metric with its expected error.

    Attributes
    ----------
    value
        (side,) or (); NaN where the metric is refused.
    bias, sd
        Mean and standard deviation of its error, of the same shape; NaN where unknown.
    reason
        Why a value is missing; empty where none is.
    """

    value: Array
    bias: Array
    sd: Array
    reason: str


def estimate(metrics: xr.Dataset, name: str, *, view: str | None) -> Estimate:
    """Give a metric over the accepted repetitions with its expected error.

    Parameters
    ----------
    metrics
        Metrics Dataset.
    name
        Of a metric over nothing or over sides.
    view
        Name of the camera's view (:attr:`mobility.view.View.name`); None or "unknown" where it is
        not known.

    Returns
    -------
    Estimate
        Where the virtual lab's errors hold for this recording and view, bias and standard deviation
        are those of ``tables/metric_error.yaml``, or of the angle in the deep part of the squat;
        the standard deviation is never below the metric's own ``_sd``. Else the own ``_sd`` and no
        bias. A metric that is absent is NaN.

    Raises
    ------
    BadInputError
        The metric has other dimensions, or there is no such view.
    """
    if name not in metrics:
        nothing = np.asarray(np.nan)
        return Estimate(nothing, nothing, nothing, "not measured")
    metric = metrics[name]
    if metric.dims not in ((), ("side",)):
        raise BadInputError(
            f"{name}: has the dimensions {metric.dims}; give one over sides, or none"
        )
    if "side" in metric.dims:
        metric = metric.sel(side=list(SIDES))
    value = metric.to_numpy().astype(np.float64)
    sd = np.full(value.shape, np.nan)
    if f"{name}_sd" in metrics:
        own = metrics[f"{name}_sd"]
        sd = (own.sel(side=list(SIDES)) if "side" in own.dims else own).to_numpy()
    sd = np.where(np.isfinite(value), sd, np.nan).astype(np.float64)
    bias = np.zeros(value.shape)
    lab = _lab_error(metrics, name, view)
    if lab is not None:
        bias, sd = bias + lab[0], np.where(np.isfinite(sd), np.maximum(sd, lab[1]), sd)
    reason = ""
    if not np.isfinite(value).all():
        said = str(metric.attrs.get("note", "")).removeprefix("refused: ")
        reason = said or "could not be measured"
    return Estimate(value, bias, sd, reason)


def _lab_error(metrics: xr.Dataset, name: str, view: str | None) -> tuple[float, float] | None:
    """Bias and sd of a metric in rendered squats, or of its angle, where they hold."""
    if view is None or view == UNKNOWN or does_not_hold(metrics) is not None:
        return None
    measured = tables.load("metric_error")
    if name == "heel_rise":
        return 0.0, float(measured["heel_rise_of_raised_heels"]["sd"])
    if name in measured["metrics"]:
        error = measured["metrics"][name].get(view_kind(view))
        return None if error is None else (float(error["bias"]), float(error["sd"]))
    if name not in tables.load("angles"):
        return None
    lab = virtual_lab_error(name, view, deep=True)
    return None if lab is None or not np.isfinite(lab.sd) else (lab.bias, lab.sd)


def seen_sides(given: Estimate, view: str | None) -> tuple[list[int], str]:
    """Say which sides of an estimate may stand for the subject, and why not both.

    Parameters
    ----------
    given
        Of a metric over sides, or over nothing.
    view
        As in :func:`estimate`.

    Returns
    -------
    indices, note
        Of both sides where both are known. Of one that is known alone only where a camera at the
        side of the subject sees that one, which `note` says. None else, and `note` is the reason.
    """
    values = np.atleast_1d(given.value)
    known = np.flatnonzero(np.isfinite(values))
    if len(known) == len(values):
        return [int(i) for i in known], ""
    if not len(known) or len(values) == 1:
        return [], given.reason
    side = SIDES[int(known[0])]
    if view in SIDES and view == side:
        return [int(known[0])], f"the {side} side only, the near one of the camera at the side"
    other = SIDES[1 - int(known[0])]
    return [], f"the {other} side is missing ({given.reason})"
