"""Metrics as a page writes them: a number with its 95 % interval, or why there is none."""

from __future__ import annotations

import math

import htpy as h
import xarray as xr
from markupsafe import Markup

from mobility import tables
from mobility.assessment.estimates import reason_of_side
from mobility.assessment.kinds import entry_of, kind_of
from mobility.base.formatting import MISSING
from mobility.kinematics.expected_error import half_width
from mobility.reports.html import Cell, Row, html, measured


def reason_missing(
    metrics: xr.Dataset, name: str, repetitions: xr.Dataset, side: str | None = None
) -> str:
    """Say why a metric has no value: nothing to measure, its own stated reason, or not seen.

    Parameters
    ----------
    metrics
        The metrics; a variable may state its reason in the attribute ``note``.
    name
        Variable of `metrics`.
    repetitions
        The repetitions, which say whether there was anything to measure.
    side
        The side of a metric over sides that has no value.
    """
    if name not in metrics:
        return tables.sentence("report.missing.not_part")
    if repetitions.sizes.get("rep", 0) == 0:
        return tables.sentence("report.missing.no_repetition")
    if not bool(repetitions["accepted"].any()):
        return tables.sentence("report.missing.none_accepted")
    if hidden := reason_of_side(metrics, side):
        return hidden
    if note := metrics[name].attrs.get("note"):
        return str(note)
    if kind_of(metrics, name) == "asymmetry":
        of = metrics[name].attrs["quantity"]
        both = all(math.isfinite(value_of(metrics, of, each)) for each in ("left", "right"))
        return tables.sentence("reasons.uncertain" if both else "report.missing.both_sides")
    return tables.sentence("report.missing.not_seen")


def cell(
    metrics: xr.Dataset,
    name: str,
    repetitions: xr.Dataset,
    *,
    side: str | None = None,
    signed: bool = False,
) -> Markup:
    """Write one metric with its 95 % interval, or why it could not be measured."""
    value, sd = value_of(metrics, name, side), value_of(metrics, f"{name}_sd", side)
    if not math.isfinite(value):
        return missing(reason_missing(metrics, name, repetitions, side))
    return measured(value, units_of(metrics, name), half=half_width(sd), signed=signed)


def missing(why: str) -> Markup:
    """Say why there is no value."""
    return html(h.span(".missing")[tables.sentence("report.not_measured", why=why)])


def cells_of_sides(metrics: xr.Dataset, name: str, repetitions: xr.Dataset) -> Row:
    """Write left, right and their difference; one cell with the reason if neither was measured."""
    if why := nothing_measured(metrics, name, repetitions):
        return [Cell(missing(why), "both", columns=3)]
    sides, difference = ("left", "right"), f"{name}_asymmetry"
    # The cell of a missing side has its reason.
    both_measured = all(math.isfinite(value_of(metrics, name, side)) for side in sides)
    compared = both_measured and difference in metrics
    return [
        *(cell(metrics, name, repetitions, side=side) for side in sides),
        cell(metrics, difference, repetitions, signed=True) if compared else MISSING,
    ]


def which_is_larger(metrics: xr.Dataset, name: str) -> str:
    """Say whether a signed asymmetry (right minus left) exceeds its error.

    It does where the 95 % interval, ± 1.96 times its ``_sd``, excludes 0.

    Returns
    -------
    str
        Text: ``"within error"``, ``"right larger"``, ``"left larger"``, or empty
        where there is no value; ``"error unknown"``; ``"between different phases"`` where the sides
        have their extremes at different times, so that the phases may make the difference.
    """
    value, sd = value_of(metrics, name), value_of(metrics, f"{name}_sd")
    if not math.isfinite(value):
        return ""
    if not math.isfinite(sd):
        return tables.sentence("report.difference.unknown")
    if abs(value) <= half_width(sd):
        return tables.sentence("report.difference.within")
    measured = metrics.get(metrics[name].attrs.get("quantity"))
    if measured is not None and ": " in measured.attrs.get("phase", ""):
        return tables.sentence("report.difference.phases")
    return tables.sentence("report.difference.right" if value > 0 else "report.difference.left")


def nothing_measured(metrics: xr.Dataset, name: str, repetitions: xr.Dataset) -> str:
    """Give the reason why neither side of a metric has a value; empty where one has."""
    if any(math.isfinite(value_of(metrics, name, side)) for side in ("left", "right")):
        return ""
    return reason_missing(metrics, name, repetitions)


def value_of(
    metrics: xr.Dataset, name: str, side: str | None = None, rep: int | None = None
) -> float:
    """Look up a number as it is shown; NaN where the analysis does not have it."""
    if name not in metrics:
        return math.nan
    array = metrics[name]
    if side is not None and "side" in array.dims:
        array = array.sel(side=side)
    if rep is not None and "rep" in array.dims:
        if rep not in array["rep"].values:
            return math.nan
        array = array.sel(rep=rep)
    return factor_of(metrics, name) * float(array) if array.ndim == 0 else math.nan


def units_of(metrics: xr.Dataset, name: str) -> str:
    """Look up the unit of :func:`value_of`."""
    if factor_of(metrics, name) != 1:
        return "percent"
    return str(metrics[name].attrs.get("units", "1")) if name in metrics else "1"


def factor_of(metrics: xr.Dataset, name: str) -> float:
    """Give 100 for shares of the ankle width, which are shown in percent."""
    quantity = str(metrics[name].attrs.get("quantity", "")) if name in metrics else ""
    return 100.0 if entry_of(quantity).get("percent") else 1.0
