"""Metrics with their expected errors, as indices and criteria need them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mobility import tables
from mobility.assessment.summaries import least_for_spread, too_few_for_spread
from mobility.errors import BadInputError
from mobility.kinematics.skeleton import SIDES, other_side

Array = NDArray[np.float64]

HIDDEN = "hidden"
"""Attribute of a metric: the sides of which the camera cannot see it."""

CONTRADICTED = "contradicted"
"""Attribute of a merged metric: the sides of which the films contradict each other."""

GROSS = "gross"
"""Attribute of a metric: the picture shows what its rule calls `gross`, if the value does not."""

HIDDEN_SIDE = "hidden_side"
"""Attribute of metrics: the side without values, as the camera stands at the other one."""

ABSENT_SIDE = "absent_side"
"""Attribute of metrics: the leg on which nobody stood, where each stands in turn."""


class Estimate(NamedTuple):
    """A metric with its expected error.

    Attributes
    ----------
    value
        (side,) or (); NaN where the metric is refused.
    sd
        Standard deviation of its error, of the same shape; NaN where unknown.
    reason
        Why a value is missing; empty where none is.
    """

    value: Array
    sd: Array
    reason: str


def estimate(metrics: xr.Dataset, name: str) -> Estimate:
    """Give a metric over the accepted repetitions with its expected error, its ``_sd``.

    Parameters
    ----------
    metrics
        Metrics Dataset.
    name
        Name of a metric over nothing or over sides; one that is absent is NaN.

    Raises
    ------
    BadInputError
        The metric has other dimensions.
    """
    if name not in metrics:
        nothing = np.asarray(np.nan)
        return Estimate(nothing, nothing, tables.sentence("reasons.not_measured"))
    metric = metrics[name]
    if metric.dims not in ((), ("side",)):
        raise BadInputError(f"{name}: has the dimensions {metric.dims}; it must have none, or side")
    stated = metrics.get(f"{name}_sd", metric * np.nan)
    value, sd = (
        (each.sel(side=list(SIDES)) if "side" in each.dims else each).to_numpy().astype(np.float64)
        for each in (metric, stated)
    )
    reason = ""
    if not np.isfinite(value).all():
        reason = metric.attrs.get("note", "") or tables.sentence("reasons.not_seen")
    return Estimate(value, np.where(np.isfinite(value), sd, np.nan), reason)


def reason_of_side(metrics: xr.Dataset, side: str | None) -> str:
    """Say why a side has no values; empty where it was shown."""
    return _hidden_side(metrics.attrs, side)


def _hidden_side(attrs: Mapping[Any, Any], side: str | None) -> str:
    if side and attrs.get(ABSENT_SIDE) == side:
        return tables.sentence("reasons.absent_side", side=side)
    if not side or attrs.get(HIDDEN_SIDE) != side:
        return ""
    return tables.sentence("reasons.hidden_side", side=side, near=other_side(side))


def reason_missing(
    variables: Mapping[Any, xr.Variable], attrs: Mapping[Any, Any], name: str, side: str
) -> str:
    """Say in a clause why a metric has no value, the same for pages and tables.

    Parameters
    ----------
    variables, attrs
        The metrics Dataset's; as plain variables, because a table asks for thousands of values.
    name
        A metric that is there.
    side
        Side of the value; "" where it has none.
    """
    accepted = variables.get("accepted_repetitions")
    count = np.nan if accepted is None else float(accepted.values)
    if count == 0:
        return tables.sentence("reasons.no_repetition")
    variable = variables[name]
    if of_side := variable.attrs.get(f"note_{side}"):  # of merged films
        return str(of_side)
    # First: with too few repetitions no view would give a spread.
    spread = variable.attrs.get("kind") == "variability"
    if spread and count < least_for_spread():
        return too_few_for_spread()
    hidden, note = _hidden_side(attrs, side), str(variable.attrs.get("note", ""))
    if hidden and (not note or bool(np.isfinite(variable.values).any())):
        return hidden
    if note:
        return note
    if spread:
        return tables.sentence("reasons.few_values", least=least_for_spread())
    return tables.sentence("reasons.not_seen")


def without_hidden_side(angles: xr.Dataset, metrics: xr.Dataset) -> xr.Dataset:
    """Blank in angles the side that has no metrics because the camera hides it."""
    hidden = metrics.attrs.get(HIDDEN_SIDE)
    if not hidden:
        return angles
    is_seen = angles["side"] != hidden
    return angles.map(
        lambda angle: angle.where(is_seen) if "side" in angle.dims else angle, keep_attrs=True
    )


def side_shown(metrics: xr.Dataset, name: str, *, otherwise: Callable[[], str]) -> str:
    """Choose the side that a page shows of a metric with sides.

    Parameters
    ----------
    metrics
        Metrics Dataset.
    name
        Metric over sides; one that is absent counts as not measured.
    otherwise
        Chooses where the metrics do not.

    Returns
    -------
    str
        The near side, where the camera hides the other. Else the only measured one, or that with a
        clearly smaller error (``measures.yaml``), or `otherwise`.
    """
    if hidden := metrics.attrs.get(HIDDEN_SIDE):
        return other_side(str(hidden))
    metric = estimate(metrics, name)
    measured = np.flatnonzero(np.isfinite(np.atleast_1d(metric.value)))
    if metric.value.ndim and len(measured) == 1:
        return SIDES[int(measured[0])]
    if len(measured) == len(SIDES) and np.isfinite(metric.sd).all():
        surer = tables.load("measures")["limits"]["surer_side"]["value"]
        if metric.sd.max() > surer * metric.sd.min():
            return SIDES[int(np.argmin(metric.sd))]
    return otherwise()


def seen_sides(metric: Estimate, view: str | None) -> tuple[list[int], str]:
    """Say which sides of an estimate may stand for the subject, and why not both.

    Parameters
    ----------
    metric
        A metric over sides, or over nothing.
    view
        Name of the view (:func:`mobility.keypoints.view.trial_view`); None where it is unknown.

    Returns
    -------
    indices, note
        Both sides where both have values. A single one only if the camera stands at that side,
        which `note` says. Else none, and `note` is the reason.
    """
    values = np.atleast_1d(metric.value)
    measured = np.flatnonzero(np.isfinite(values))
    if len(measured) == len(values):
        return [int(i) for i in measured], ""
    if not len(measured) or len(values) == 1:
        return [], metric.reason
    side = SIDES[int(measured[0])]
    if view in SIDES and view == side:
        return [int(measured[0])], tables.sentence("reasons.near_side_only", side=side)
    unmeasured = SIDES[1 - int(measured[0])]
    missing = tables.sentence("reasons.other_side_missing", side=unmeasured, reason=metric.reason)
    return [], missing
