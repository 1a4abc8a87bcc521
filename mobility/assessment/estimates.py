"""Metrics with the error that is expected of them, as indices and criteria need them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mobility import tables
from mobility.errors import BadInputError
from mobility.kinematics.expected_error import does_not_hold, view_kind, virtual_lab_error
from mobility.kinematics.skeleton import SIDES
from mobility.view import TWO_CAMERAS, UNKNOWN

NEEDS_TWO = "it needs two cameras, one in front and one at the side"
"""Why one camera does not support what two do."""

Array = NDArray[np.float64]


class Estimate(NamedTuple):
    """A metric with its expected error.

    Attributes
    ----------
    value
        (side,) or (); NaN where the metric is refused.
    sd
        Standard deviation of its error, of the same shape, as intervals and probabilities take it;
        NaN where unknown.
    sem
        The same without what is added for knowing it from few trials only.
    reason
        Why a value is missing; empty where none is.
    """

    value: Array
    sd: Array
    sem: Array
    reason: str


def estimate(metrics: xr.Dataset, name: str, *, view: str | None) -> Estimate:
    r"""Give a metric over the accepted repetitions with its expected error.

    Parameters
    ----------
    metrics
        Metrics Dataset.
    name
        Of a metric over nothing or over sides.
    view
        Name of the view (:func:`mobility.view.trial_view`); None or "unknown" where it is not
        known.

    Returns
    -------
    Estimate
        Its standard deviation is the metric's own ``_sd`` or, where the virtual lab's errors hold
        for this recording and view, and are larger, theirs; of two cameras the own one times what
        errors were of it, or theirs where larger. A metric that is absent is NaN.

    Raises
    ------
    BadInputError
        The metric has other dimensions, or there is no such view.

    Notes
    -----
    The virtual lab's error is the root mean square over n rendered trials of that view
    (``tables/metric_error.yaml``), its bias included and not subtracted, since a mean of few bodies
    that were rendered need not hold for a person who was filmed. That it is of so few is allowed
    for by Student's t: :math:`\sqrt{b^2 + s^2}\, t_{0.975, n} / 1.96`. Of an angle without an
    entry, seen by one camera, it is the error of ``tables/virtual_lab_error.yaml`` in the deep part
    of the squat.

    From two cameras the fit's own error :math:`\sigma` is about the same in most trials, and that
    of rendered squats another (``tables/two_camera_error.yaml``), smaller or larger by the factor
    k. Taken is :math:`\max(\sqrt{b^2 + s^2}, k \sigma)`, widened likewise: never less than what was
    measured, and more where the fit is less certain than usual.
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
    sd = sem = np.full(value.shape, np.nan)
    if f"{name}_sd" in metrics:
        stated = metrics[f"{name}_sd"]
        own = stated.copy(data=np.reshape(stated.attrs.get("fit_sd", stated), stated.shape))
        sd, sem = (
            (each.sel(side=list(SIDES)) if "side" in each.dims else each).to_numpy()
            for each in (stated, own)
        )
    sd, sem = (np.where(np.isfinite(value), each, np.nan).astype(np.float64) for each in (sd, sem))
    measured = _error_of_two(metrics, name, view)
    lab = _lab_error(metrics, name, view)
    if measured is not None:
        error, clips = float(np.hypot(measured["bias"], measured["sd"])), int(measured["clips"])
        sem = np.where(np.isfinite(sem), np.maximum(measured["own"] * sem, error), sem)
        sd = sem * _few(clips)
    elif lab is not None:
        error, clips = lab
        sem = np.where(np.isfinite(sem), np.maximum(sem, error), sem)
        sd = np.where(np.isfinite(sd), np.maximum(sd, error * _few(clips)), sd)
    reason = ""
    if not np.isfinite(value).all():
        said = str(metric.attrs.get("note", "")).removeprefix("refused: ")
        reason = said or "could not be measured"
    return Estimate(value, sd, sem, reason)


def _error_of_two(metrics: xr.Dataset, name: str, view: str | None) -> Mapping[str, float] | None:
    """Error of a metric in rendered squats that two cameras saw, where it holds."""
    if view != TWO_CAMERAS or does_not_hold(metrics, view=view) is not None:
        return None
    found: Mapping[str, float] | None = tables.load("two_camera_error")["metrics"].get(name)
    return found


def _lab_error(metrics: xr.Dataset, name: str, view: str | None) -> tuple[float, int] | None:
    """Error of a metric in rendered squats, or of its angle, where it holds; of how many."""
    if view in (None, UNKNOWN, TWO_CAMERAS) or does_not_hold(metrics) is not None:
        return None
    measured, kind = tables.load("metric_error"), view_kind(view)
    if name == "heel_rise":
        heels = measured["heel_rise"]
        return float(heels["sd"]), int(heels["clips"])
    if error := measured["metrics"].get(name, {}).get(kind):
        return float(np.hypot(error["bias"], error["sd"])), int(error["clips"])
    if name not in tables.load("angles"):
        return None
    lab = virtual_lab_error(name, view, deep=True)
    if lab is None or not np.isfinite(lab.sd):
        return None
    return float(np.hypot(lab.bias, lab.sd)), lab.clips


def _few(count: int) -> float:
    """How much wider an interval is whose error is known from so few trials only."""
    from scipy.special import ndtri, stdtrit

    return float(stdtrit(count, 0.975) / ndtri(0.975))


def unsupported(entry: Mapping[str, Any], view: str | None) -> str:
    """Say why nothing is stated from this view on what `entry` compares; empty where it is.

    Parameters
    ----------
    entry
        Of a table; its ``only_where_supported`` names an angle of ``tables/view_support.yaml``, its
        ``only_from`` kinds of view, none where no view supports it.
    view
        As in :func:`estimate`.
    """
    declared = entry.get("only_from")
    if angle := entry.get("only_where_supported"):
        declared = tables.load("view_support")["angles"][angle]["supported"]
    if declared is None or view is None or view == UNKNOWN:
        return ""
    kind = view_kind(view)
    if kind in declared:
        return ""
    if not declared:
        return "neither one camera nor two measure it well enough"
    if kind == TWO_CAMERAS:
        return "two cameras do not support it"
    if declared == [TWO_CAMERAS]:
        return NEEDS_TWO
    return f"a {kind} view does not support it"


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
