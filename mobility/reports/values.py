"""Metrics as a page shows them: a number with its 95 % interval, or why there is none."""

from __future__ import annotations

import math

import htpy as h
import xarray as xr
from markupsafe import Markup

from mobility import tables
from mobility.assessment.kinds import entry_of
from mobility.assessment.number import Number, nothing_measured, number_of, value_at
from mobility.base.formatting import MISSING
from mobility.reports.html import Cell, Row, html, measured


def shown(metrics: xr.Dataset, name: str, side: str | None = None) -> Number:
    """Read a number, in the units in which a page shows it."""
    number = number_of(metrics, name, side)
    return number.scaled(factor_of(metrics, name), units_of(metrics, name))


def cell(
    metrics: xr.Dataset, name: str, *, side: str | None = None, signed: bool = False
) -> Markup:
    """Write one metric with its 95 % interval, or why it could not be measured."""
    number = shown(metrics, name, side)
    if not number.is_measured:
        return missing(number.reason)
    return measured(number, signed=signed)


def missing(why: str) -> Markup:
    """State the reason for a missing value."""
    return html(h.span(".missing")[tables.sentence("report.not_measured", why=why)])


def cells_of_sides(metrics: xr.Dataset, name: str) -> Row:
    """Write left, right and their difference, or one cell with the reason if all are missing."""
    if why := nothing_measured(metrics, name):
        return [Cell(missing(why), "both", columns=3)]
    sides, difference = ("left", "right"), f"{name}_asymmetry"
    # The cell of a missing side has its reason.
    both_measured = all(math.isfinite(value_of(metrics, name, side)) for side in sides)
    compared = both_measured and difference in metrics
    return [
        *(cell(metrics, name, side=side) for side in sides),
        cell(metrics, difference, signed=True) if compared else MISSING,
    ]


def which_is_larger(metrics: xr.Dataset, name: str) -> str:
    """State whether a signed asymmetry (right minus left) exceeds its error.

    It does if the 95 % interval, ± 1.96 times its ``_sd``, excludes 0.

    Returns
    -------
    str
        ``"within error"``, ``"right larger"``, ``"left larger"`` or ``"error unknown"``; empty if
        there is no value. It is ``"between different phases"`` if the sides have their extremes at
        different times, so the difference may come from the phases.
    """
    number = number_of(metrics, name)
    if not number.is_measured:
        return ""
    if not math.isfinite(number.sd):
        return tables.sentence("report.difference.unknown")
    if abs(number.value) <= number.half_width:
        return tables.sentence("report.difference.within")
    measured = metrics.get(metrics[name].attrs.get("quantity"))
    if measured is not None and ": " in measured.attrs.get("phase", ""):
        return tables.sentence("report.difference.phases")
    return tables.sentence(
        "report.difference.right" if number.value > 0 else "report.difference.left"
    )


def value_of(
    metrics: xr.Dataset, name: str, side: str | None = None, rep: int | None = None
) -> float:
    """Look up a number as the page shows it; NaN if the analysis does not contain it."""
    return factor_of(metrics, name) * value_at(metrics, name, side, rep=rep)


def units_of(metrics: xr.Dataset, name: str) -> str:
    """Look up the unit of :func:`value_of`."""
    if factor_of(metrics, name) != 1:
        return "percent"
    return str(metrics[name].attrs.get("units", "1")) if name in metrics else "1"


def factor_of(metrics: xr.Dataset, name: str) -> float:
    """Return 100 for shares of the ankle width, which are shown in percent."""
    quantity = str(metrics[name].attrs.get("quantity", "")) if name in metrics else ""
    return 100.0 if entry_of(quantity).get("percent") else 1.0
