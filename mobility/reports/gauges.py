"""The numbers that matter on a first page: each with its error, beside what it is compared with."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING

from mobility import tables
from mobility.assessment.findings import all_rules, threshold_of
from mobility.assessment.indices import is_current
from mobility.kinematics.expected_error import Z95
from mobility.kinematics.skeleton import SIDES
from mobility.registry import exercise_of
from mobility.reports.charts import round_step
from mobility.reports.sections import digits_of, factor_of, quantity, units_of, value_of

if TYPE_CHECKING:
    import xarray as xr

MOST = 6
"""Gauges on a first page."""

INDICES = {"mobility_index": "Mobility index", "quality_index": "Quality index"}


@dataclass(frozen=True)
class Gauge:
    """One number of a first page.

    Attributes
    ----------
    name
        What it is, in words.
    values
        Value and half of the 95 % interval (NaN where unknown), by side: "left", "right", "".
    units
        As of :func:`mobility.reports.sections.quantity`.
    goal
        What it is compared with, in `units`; NaN for nothing.
    told
        The same in words.
    usual
        From where to where most people reach; NaN where that is not known.
    interval
        95 % interval that does not lie about the value alike, as of an index, which ends at 0 and
        100; NaN where it does.
    retest
        1.96 times the standard error of measurement with the camera put up again where it stood,
        by side; absent where that was not measured.
    """

    name: str
    values: dict[str, tuple[float, float]]
    units: str
    goal: float
    told: str
    usual: tuple[float, float] = (math.nan, math.nan)
    interval: tuple[float, float] = (math.nan, math.nan)
    retest: dict[str, float] = field(default_factory=dict)

    def ends(self, value: float, half: float) -> tuple[float, float]:
        """Give the ends of the interval of a value; both are it where its error is unknown."""
        if math.isfinite(self.interval[0]):
            return self.interval
        half = half if math.isfinite(half) else 0.0
        return value - half, value + half


def of_rules(
    metrics: xr.Dataset,
    keeps: Callable[[str], bool] = lambda _: True,
    *,
    first: Iterable[str] = (),
    most: int | None = MOST,
) -> list[Gauge]:
    """Choose the numbers of the first page among those that were measured.

    Parameters
    ----------
    metrics
        Of an exercise with repetitions; its ``exercise.yaml`` names the rules (``gauges``).
    keeps
        Whether something may be said of a metric.
    first
        Rules that found something: their numbers come before the others.
    most
        Number of gauges at most; None: all.
    """
    rules, names = all_rules(), exercise_of(metrics).table["gauges"]
    found = []
    stands_out = set(first)
    for rule in sorted(names, key=lambda rule: rule not in stands_out):
        name = names[rule]
        metric = rules[rule]["metric"]
        if not keeps(metric) or metric not in metrics:
            continue
        values = values_of(metrics, metric)
        if not values:
            continue
        units = units_of(metrics, metric)
        goal = factor_of(metrics, metric) * threshold_of(metrics, rules[rule])
        better = {"below": "≥", "above": "≤"}[rules[rule]["direction"]]
        errors = {
            side: Z95 * value_of(metrics, f"{metric}_sem", side or None)
            for side in values
            if f"{metric}_sem" in metrics
        }
        told = f"{better} {quantity(goal, units)}" if math.isfinite(goal) else ""
        found.append(Gauge(name, values, units, goal, told, retest=errors))
    return found[:most]


def of_indices(metrics: xr.Dataset) -> list[Gauge]:
    """Give the indices, from 0 to 100."""
    found = []
    for name, words in INDICES.items():
        value = value_of(metrics, name)
        if math.isfinite(value) and is_current(metrics, name):
            half = Z95 * value_of(metrics, f"{name}_sd")
            share = value_of(metrics, f"{name}_coverage")
            told = tables.sentence(
                "report.index.in_part" if share < 1 else "report.index.whole", share=share
            )
            bounds = interval(metrics, name)
            found.append(Gauge(words, {"": (value, half)}, "", math.nan, told, interval=bounds))
    return found


def interval(metrics: xr.Dataset, name: str) -> tuple[float, float]:
    """Give lower and upper limit of the 95 % interval of an index; NaN where unknown."""
    bounds = metrics.get(f"{name}_interval")
    if bounds is None:
        return math.nan, math.nan
    return float(bounds.sel(bound="lower")), float(bounds.sel(bound="upper"))


def values_of(metrics: xr.Dataset, metric: str) -> dict[str, tuple[float, float]]:
    """Give value and half of the 95 % interval of a metric for each side that was measured."""
    sides: Iterable[str] = SIDES if "side" in metrics[metric].dims else ("",)
    found = {}
    for side in sides:
        value = value_of(metrics, metric, side or None)
        if math.isfinite(value):
            found[side] = (value, Z95 * value_of(metrics, f"{metric}_sd", side or None))
    return found


def show(gauges: Sequence[Gauge], *, caption: str) -> str:
    """Make the table of gauges: name, bar with interval and goal, and the value as text."""
    rows = "".join(
        f"<tr><th scope='row'>{escape(g.name)}<small>{escape(g.told)}</small></th>"
        f"<td>{_bar(g)}</td><td>{_values(g)}</td></tr>"
        for g in gauges
    )
    if not rows:
        return ""
    return (
        f"<table class='gauges'><caption>{escape(caption)}</caption><tbody>{rows}</tbody></table>"
    )


def _values(gauge: Gauge) -> str:
    told = []
    for side, (value, half) in gauge.values.items():
        letter = f"<span class='{side}-text'>{side[0].upper()}</span> " if side else ""
        text = quantity(value, gauge.units) if gauge.units else f"{value:.0f}"
        digits = digits_of(gauge.units)
        error = f" ± {half:.{digits}f}" if half > 0 else ""
        if math.isfinite(gauge.interval[0]):
            error = f" ({gauge.interval[0]:.0f} to {gauge.interval[1]:.0f})"
        told.append(f"{letter}{text}<span class='interval'>{error}</span>")
    return "<br>".join(told)


_NEAR = 0.22
"""Share of a bar nearer than which two numbers below it would touch."""


def _bar(gauge: Gauge) -> str:
    low, high = _scale(gauge)

    def share(value: float) -> float:
        return min(max((value - low) / (high - low), 0), 1)

    def at(value: float) -> str:
        return f"{100 * share(value):.1f}%"

    parts = ["<rect class='track' x='0' y='1' width='100%' height='16' rx='3'/>"]
    if all(map(math.isfinite, gauge.usual)):
        first, last = gauge.usual
        width = f"{100 * (last - first) / (high - low):.1f}%"
        parts.append(f"<rect class='usual' x='{at(first)}' y='0' width='{width}' height='18'/>")
    numbers = [low, high]
    if math.isfinite(gauge.goal):
        x = at(gauge.goal)
        parts.append(f"<line class='goal' x1='{x}' x2='{x}' y1='0' y2='18'/>")
        numbers = [end for end in numbers if abs(share(end) - share(gauge.goal)) > _NEAR]
        numbers.append(gauge.goal)
    for number in numbers:
        anchor = (
            "start"
            if share(number) < _NEAR / 2
            else "end"
            if share(number) > 1 - _NEAR / 2
            else "middle"
        )
        text = quantity(number, gauge.units) if gauge.units else f"{number:.0f}"
        parts.append(f"<text x='{at(number)}' y='28' text-anchor='{anchor}'>{text}</text>")
    for number, (side, (value, half)) in enumerate(gauge.values.items()):
        y = 9 if len(gauge.values) == 1 else 5 + 8 * number
        kind = side or "both"
        if math.isfinite(half):
            first, last = gauge.ends(value, half)
            span = f"x1='{at(first)}' x2='{at(last)}'"
            parts.append(f"<line class='{kind}' {span} y1='{y}' y2='{y}'/>")
        parts.append(f"<circle class='{kind}' cx='{at(value)}' cy='{y}' r='3.5'/>")
    return f"<svg aria-hidden='true' focusable='false'>{''.join(parts)}</svg>"


def _scale(gauge: Gauge) -> tuple[float, float]:
    """Choose the ends of a bar: round numbers around all that is drawn on it."""
    if not gauge.units:
        return 0.0, 100.0
    ends = [end for measured in gauge.values.values() for end in gauge.ends(*measured)]
    # With nothing to compare it with, beside the neutral position: else each would fill its bar.
    ends += [each for each in (gauge.goal, *gauge.usual) if math.isfinite(each)] or [0.0]
    low, high = min(ends), max(ends)
    step = round_step(max(high - low, 1e-3) / 4)
    first, last = math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step
    return first, max(last, first + step)
