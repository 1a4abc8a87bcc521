"""A number with its errors, or the reason why there is none."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from mobility import tables
from mobility.assessment.summaries import SYMMETRY, least_for_spread, too_few_for_spread
from mobility.base.formatting import quantity
from mobility.base.uncertain import sd_name, sem_name
from mobility.errors import BadInputError
from mobility.kinematics.expected_error import half_width
from mobility.kinematics.skeleton import SIDES, other_side

HIDDEN = "hidden"
"""Attribute of a metric: the sides that the camera cannot see."""

CONTRADICTED = "contradicted"
"""Attribute of a merged metric: the sides for which the videos contradict each other."""

GROSS = "gross"
"""Attribute of a metric: the picture clearly shows the deviation that its rule calls `gross`,
although the value does not decide it.
"""

HIDDEN_SIDE = "hidden_side"
"""Attribute of metrics: the side without values, because the camera is on the other side."""

ABSENT_SIDE = "absent_side"
"""Attribute of metrics: the leg on which the person never stood, if each leg should be measured in
turn.
"""

_SPREADS = ("variability", "curve_variability")
"""Kinds of numbers that need several repetitions."""


@dataclass(frozen=True)
class Number:
    """A metric for one side, joint or repetition, as pages judge and show it.

    Attributes
    ----------
    value
        The value; NaN if there is none, and then `reason` explains why.
    sd
        Standard deviation of its error; NaN if it is unknown.
    sem
        Standard error of measurement between visits; NaN if it is unknown.
    units, side
        Units and side of the value; `side` is empty if it has no side.
    statistic
        How the value was computed, for example as a median over the repetitions.
    reason
        Why there is no value; empty if there is one.
    """

    value: float = math.nan
    sd: float = math.nan
    sem: float = math.nan
    units: str = ""
    side: str = ""
    statistic: str = ""
    reason: str = ""

    @property
    def is_measured(self) -> bool:
        """Whether there is a value."""
        return math.isfinite(self.value)

    @property
    def half_width(self) -> float:
        """Margin of error (95 %): 1.96 times the standard deviation of the error."""
        return half_width(self.sd)

    @property
    def interval(self) -> tuple[float, float]:
        """Limits of the 95 % interval."""
        return self.value - self.half_width, self.value + self.half_width

    @property
    def text(self) -> str:
        """Value and margin of error in words: "98° ± 4°"."""
        return quantity(self.value, self.units, half=self.half_width)

    def scaled(self, factor: float, units: str) -> Number:
        """Return the number in other `units`, with value and errors multiplied by `factor`."""
        value, sd, sem = (factor * number for number in (self.value, self.sd, self.sem))
        return replace(self, value=value, sd=sd, sem=sem, units=units)


def number_of(metrics: xr.Dataset, name: str, side: str | None = None, **place: Any) -> Number:
    """Read a metric with its errors, or the reason why it is missing.

    Parameters
    ----------
    metrics
        Metrics Dataset.
    name
        A metric; a metric that is absent is not part of the analysis.
    side
        Leave it out for a metric without sides.
    place
        Labels of its other dimensions, such as the repetition or the joint.
    """
    variable = metrics.variables.get(name)
    side = side if variable is not None and "side" in variable.dims else None
    value, sd, sem = (
        value_at(metrics, variable, side, **place)
        for variable in (name, sd_name(name), sem_name(name))
    )
    missing = not math.isfinite(value)
    return Number(
        value,
        math.nan if missing else sd,
        math.nan if missing else sem,
        units="" if variable is None else str(variable.attrs.get("units", "")),
        side=side or "",
        statistic="" if variable is None else str(variable.attrs.get("statistic", "")),
        reason=reason_missing(metrics, name, side, **place) if missing else "",
    )


def value_at(metrics: xr.Dataset, name: str, side: str | None = None, **place: Any) -> float:
    """Look up a value; NaN if there is no such variable, label or dimension."""
    variable = metrics.variables.get(name)
    labels = {**place, "side": side}
    index = []
    for dim in () if variable is None else variable.dims:
        listed = metrics.variables[dim].values.tolist() if dim in metrics.variables else []
        if labels.get(str(dim)) not in listed:
            return math.nan
        index.append(listed.index(labels[str(dim)]))
    value = math.nan if variable is None else float(variable.values[tuple(index)])
    return math.nan if math.isnan(value) else value  # the same object, so that numbers are equal


def numbers_of(metrics: xr.Dataset, name: str) -> tuple[Number, ...]:
    """Read a metric over the accepted repetitions: left and right, or one number without sides.

    Raises
    ------
    BadInputError
        The metric has other dimensions.
    """
    if name not in metrics:
        return (number_of(metrics, name),)
    dims = metrics[name].dims
    if dims not in ((), ("side",)):
        raise BadInputError(f"{name}: has the dimensions {dims}; it may have only side")
    return tuple(number_of(metrics, name, side) for side in (SIDES if dims else (None,)))


def reason_of_side(metrics: xr.Dataset, side: str | None) -> str:
    """Return why a side has no values; empty if the camera saw it."""
    if side and metrics.attrs.get(ABSENT_SIDE) == side:
        return tables.sentence("reasons.absent_side", side=side)
    if not side or metrics.attrs.get(HIDDEN_SIDE) != side:
        return ""
    return tables.sentence("reasons.hidden_side", side=side, near=other_side(side))


def reason_missing(metrics: xr.Dataset, name: str, side: str | None = None, **place: Any) -> str:
    """Return why a metric has no value, as a clause for every page, table and document.

    Parameters
    ----------
    metrics
        Metrics Dataset.
    name
        A metric; a metric that is absent is not part of the analysis.
    side
        Side of the value, if it has one.
    place
        Labels of its other dimensions, such as the joint or the part of an index.
    """
    variables = metrics.variables  # plain variables, because a table asks for thousands of values
    if name not in variables:
        return tables.sentence("reasons.not_measured")
    accepted = variables.get("accepted_repetitions")
    count = np.nan if accepted is None else float(accepted.values)
    if count == 0:
        if metrics.sizes.get("rep"):
            return tables.sentence("reasons.none_accepted")
        return tables.sentence("reasons.no_repetition")
    variable = variables[name]
    if of_place := _note_of_place(metrics, variable, side, place):
        return of_place
    kind, quantity = variable.attrs.get("kind", ""), str(variable.attrs.get("quantity", ""))
    is_spread = kind in _SPREADS
    if is_spread and count < least_for_spread():
        # If no repetition has a value, more of them would not give a spread.
        median = variables.get(quantity)
        if median is not None and median.dims == variable.dims and quantity != name:
            of_median = number_of(metrics, quantity, side)
            if not of_median.is_measured:
                return of_median.reason
        return too_few_for_spread()
    hidden, note = reason_of_side(metrics, side), str(variable.attrs.get("note", ""))
    if hidden and (not note or bool(np.isfinite(variable.values).any())):
        return hidden
    if note:
        return note
    if is_spread:
        return tables.sentence("reasons.few_values", least=least_for_spread())
    if kind in ("asymmetry", *SYMMETRY) and quantity in variables:
        return _reason_not_compared(metrics, quantity)
    return tables.sentence("reasons.not_seen")


def _note_of_place(
    metrics: xr.Dataset, variable: xr.Variable, side: str | None, place: Mapping[str, Any]
) -> str:
    """Return the reason stated for one side of merged videos, one joint, or one part."""
    if of_side := variable.attrs.get(f"note_{side}"):
        return str(of_side)
    notes = json.loads(variable.attrs.get("notes", "{}"))
    if of_part := next((notes[part] for part in map(str, place.values()) if part in notes), ""):
        return str(of_part)
    if "joint" not in place or "note" not in metrics.variables:
        return ""
    joints = metrics.variables["joint"].values.tolist()
    if place["joint"] not in joints:
        return ""
    index = joints.index(place["joint"])
    of_sides = dict(
        zip(metrics.variables["side"].values, metrics.variables["note"].values[index], strict=True)
    )
    if side:
        return str(of_sides[side])
    ends = metrics.variables["end_of_range"].values[index]
    first = next((reason for reason, end in zip(of_sides, ends, strict=True) if np.isnan(end)), "")
    if not of_sides.get(first):
        return ""
    return tables.sentence("reasons.other_side_missing", side=first, reason=of_sides[first])


def _reason_not_compared(metrics: xr.Dataset, quantity: str) -> str:
    """Return why there is no difference between the sides of a quantity."""
    missing = [number for number in numbers_of(metrics, quantity) if not number.is_measured]
    if not missing:
        return tables.sentence("reasons.uncertain")
    return _of_one_side(missing[0]) if len(missing) == 1 else nothing_measured(metrics, quantity)


def _of_one_side(number: Number) -> str:
    return tables.sentence("reasons.other_side_missing", side=number.side, reason=number.reason)


def nothing_measured(metrics: xr.Dataset, name: str) -> str:
    """Return why a metric has no value on either side; empty if it has one."""
    if name in metrics and bool(metrics[name].notnull().any()):
        return ""
    sided = name in metrics and "side" in metrics[name].dims
    # The reason of the near side is more useful than the fact that the other side is hidden.
    near, _ = sorted(SIDES, key=lambda side: bool(reason_of_side(metrics, side)))
    return reason_missing(metrics, name, near if sided else None)


def without_hidden_side(angles: xr.Dataset, metrics: xr.Dataset) -> xr.Dataset:
    """Set the angles of a side to NaN if it has no metrics because the camera does not see it."""
    hidden = metrics.attrs.get(HIDDEN_SIDE)
    if not hidden:
        return angles
    is_seen = angles["side"] != hidden
    return angles.map(
        lambda angle: angle.where(is_seen) if "side" in angle.dims else angle, keep_attrs=True
    )


def side_shown(metrics: xr.Dataset, name: str, *, otherwise: Callable[[], str]) -> str:
    """Choose the side of a metric that a page shows.

    Parameters
    ----------
    metrics
        Metrics Dataset.
    name
        A metric with sides; an absent metric counts as not measured.
    otherwise
        Side to use if the metrics do not decide.

    Returns
    -------
    str
        The near side, if the camera hides the other. Otherwise the only measured side, or the side
        with a clearly smaller error (``measures.yaml``), or `otherwise`.
    """
    if hidden := metrics.attrs.get(HIDDEN_SIDE):
        return other_side(str(hidden))
    measured = [
        number for number in numbers_of(metrics, name) if number.is_measured and number.side
    ]
    if len(measured) == 1:
        return measured[0].side
    if measured and all(math.isfinite(number.sd) for number in measured):
        surer = tables.load("measures")["limits"]["surer_side"]["value"]
        smallest, largest = sorted(measured, key=lambda number: number.sd)
        if largest.sd > surer * smallest.sd:
            return smallest.side
    return otherwise()


def seen_sides(metrics: xr.Dataset, name: str, view: str | None) -> tuple[list[Number], str]:
    """Return the sides of a metric that may represent the subject, and why not both.

    Parameters
    ----------
    metrics
        Metrics Dataset.
    name
        A metric with sides, or without dimensions.
    view
        Name of the view (:func:`mobility.keypoints.view.trial_view`); None if it is unknown.

    Returns
    -------
    numbers, note
        Both sides if both have values. One side if the camera is on that side, which `note` then
        states. Otherwise none, and `note` is the reason.
    """
    numbers = numbers_of(metrics, name)
    measured = [number for number in numbers if number.is_measured]
    missing = [number for number in numbers if not number.is_measured]
    if not missing:
        return measured, ""
    if not measured:
        return [], nothing_measured(metrics, name)
    if measured[0].side == view:
        return measured, tables.sentence("reasons.near_side_only", side=view)
    return [], _of_one_side(missing[0])
