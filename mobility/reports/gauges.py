"""The main numbers of a first page, each with its error and target."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import htpy as h
from markupsafe import Markup

from mobility import tables
from mobility.assessment.findings import Finding, in_place, threshold_of
from mobility.assessment.number import Number, number_of
from mobility.assessment.results import OF_A_VALUE, RESULTS, Result, in_words
from mobility.base.formatting import between, digits_and_suffix, plus_minus, quantity
from mobility.catalogue.registry import exercise_of
from mobility.documents.lab_references import LabReferences
from mobility.kinematics.expected_error import half_width
from mobility.kinematics.skeleton import SIDES
from mobility.reports import lab_norms
from mobility.reports.charts import round_step
from mobility.reports.html import Row, measured, table
from mobility.reports.lab_norms import z_score
from mobility.reports.values import factor_of, shown, units_of, value_of

if TYPE_CHECKING:
    import xarray as xr

    from mobility.catalogue.exercise import Exercise
    from mobility.documents.lab_references import Norm

MOST = 14
"""Largest number of gauges on a first page."""

INDICES = {"mobility_index": "Mobility index", "quality_index": "Quality index"}


_UNKNOWN = (math.nan, math.nan)


@dataclass(frozen=True)
class Gauge:
    """One number of a first page.

    Attributes
    ----------
    name
        Name of the number, in words.
    values
        The number, by side: "left", "right", "".
    units
        Units, as in :func:`mobility.base.formatting.quantity`.
    goal
        Target in `units`; NaN if there is none.
    goal_text
        The target in words.
    usual
        Range of values that people reach; NaN if it is unknown.
    interval
        95 % interval that is not symmetrical about the value, such as the interval of an index,
        which ends at 0 and 100; NaN if it is symmetrical.
    lab_retest
        1.96 times the standard error of measurement between visits, which the lab itself measured
        under the conditions of the session, and the people on whom it was measured, by side.
    norm
        The lab's own norm, in `units`, and the name of its reference.
    begins
        Starting value of the movement that ends at the value, by side.
    results
        Result of the rule, by side.
    direction
        Direction of the rule: "below" (values below the goal are outside it), "above" or "outside"
        (values should be between the negative of the goal and the goal); empty without a rule.
    expected
        Whether a reader expects to see the number.
    """

    name: str
    values: dict[str, Number]
    units: str
    goal: float
    goal_text: str
    usual: tuple[float, float] = _UNKNOWN
    interval: tuple[float, float] = _UNKNOWN
    lab_retest: dict[str, tuple[float, str]] = field(default_factory=dict)
    norm: tuple[Norm, str] | None = None
    begins: dict[str, Number] = field(default_factory=dict)
    results: dict[str, Result] = field(default_factory=dict)
    direction: str = ""
    expected: bool = True

    @property
    def both_ways(self) -> bool:
        """Whether the negative of the goal is also a goal."""
        return self.direction == "outside"

    @property
    def marks(self) -> dict[str, Result]:
        """Results that are shown next to a value, by side; empty without a target."""
        if not math.isfinite(self.goal):
            return {}
        return {
            side: result
            for side, result in self.results.items()
            if side in self.values and result in OF_A_VALUE
        }

    @property
    def is_shown(self) -> bool:
        """Whether a first page shows the number: it is outside its target, borderline, or expected.

        An expected number is also shown if it has a value, but no target for this person.
        """
        results = set(self.results.values())
        without_target = "inconclusive" in results and not math.isfinite(self.goal)
        met_or_unknown = "met" in results or without_target
        return bool(results & {"outside", "borderline"}) or (self.expected and met_or_unknown)

    def ends(self, number: Number) -> tuple[float, float]:
        """Return the ends of the interval of a value: the value itself if its error is unknown."""
        if math.isfinite(self.interval[0]):
            return self.interval
        return number.interval if math.isfinite(number.sd) else (number.value, number.value)


def of_rules(
    metrics: xr.Dataset,
    keeps: Callable[[str], bool] = lambda _: True,
    *,
    findings: Sequence[Finding] = (),
    lab: LabReferences | None = None,
) -> list[Gauge]:
    """Return the numbers of the rules that were measured.

    Parameters
    ----------
    metrics
        Metrics of an exercise with repetitions; each of its rules has a row.
    keeps
        Whether the verdict keeps a metric.
    findings
        Findings of the rules; numbers outside their target come first, then borderline, then met.
    lab
        The lab's own norms and errors that apply to the session.
    """
    lab = lab or LabReferences()
    rows, gauges = in_place(exercise_of(metrics)), []
    results: dict[str, dict[str, Result]] = {}
    for each in findings:
        results.setdefault(each.rule, {})[each.side] = each.result
    worst = {
        name: min(map(RESULTS.index, results.get(name, {}).values()), default=len(RESULTS))
        for name in rows
    }
    for name in sorted(rows, key=worst.__getitem__):
        rule = rows[name]
        metric = rule["metric"]
        if not keeps(metric) or metric not in metrics:
            continue
        values = values_of(metrics, metric)
        if not values:
            continue
        units, factor = units_of(metrics, metric), factor_of(metrics, metric)
        goal = factor * threshold_of(metrics, rule)
        better = {"below": "≥", "above": "≤", "outside": "within ±"}[rule["direction"]]
        goal_text = (
            _goal_in_words(rule, better, quantity(goal, units)) if math.isfinite(goal) else ""
        )
        lab_retest = {
            side: (factor * half_width(error.sem), lab_norms.error_of(error.participants, of))
            for side in values
            for error, of in filter(None, [lab.retest_error(metric, side)])
        }
        norm = None
        if norm_and_name := lab.norm(metric):
            norm = lab_norms.scaled(norm_and_name[0], factor), norm_and_name[1]
        usual = lab_norms.band(norm[0]) if norm else _UNKNOWN
        gauges.append(
            Gauge(
                *(rule["row"], values, units, goal, goal_text, usual),
                lab_retest=lab_retest,
                norm=norm,
                results=results.get(name, {}),
                direction=rule["direction"],
                expected="checkpoint" in rule,
            )
        )
    return gauges


def _goal_in_words(rule: Mapping[str, Any], better: str, goal: str) -> str:
    """Write a target, its unit if that is a word, and what a positive value means."""
    unit = str(rule.get("shown", {}).get("suffix", ""))
    text = f"{better} {goal}{unit if len(unit) > len(' %') else ''}"
    means = rule.get("plus")
    return tables.sentence("report.plus", measure=text, meaning=means) if means else text


def of_indices(metrics: xr.Dataset) -> list[Gauge]:
    """Return the indices, from 0 to 100."""
    gauges = []
    for name, words in INDICES.items():
        number = number_of(metrics, name)
        if number.is_measured:
            share = value_of(metrics, f"{name}_coverage")
            goal = tables.sentence(
                "report.index.in_part" if share < 1 else "report.index.whole", share=share
            )
            bounds = interval(metrics, name)
            gauges.append(
                Gauge(
                    words,
                    {"": number},
                    "",
                    math.nan,
                    goal,
                    interval=bounds,
                )
            )
    return gauges


def interval(metrics: xr.Dataset, name: str) -> tuple[float, float]:
    """Return the lower and upper limits of the 95 % interval of an index; NaN if unknown."""
    bounds = metrics.get(f"{name}_interval")
    if bounds is None:
        return _UNKNOWN
    return float(bounds.sel(bound="lower")), float(bounds.sel(bound="upper"))


def values_of(metrics: xr.Dataset, metric: str) -> dict[str, Number]:
    """Read a metric for each measured side, in the form in which it is shown."""
    sides: Iterable[str] = SIDES if "side" in metrics[metric].dims else ("",)
    numbers = {side: shown(metrics, metric, side or None) for side in sides}
    return {side: number for side, number in numbers.items() if number.is_measured}


def show(gauges: Sequence[Gauge], *, caption: str) -> Markup:
    """Make the table of gauges: name, bar with interval and goal, and the value as text.

    The text after the caption names the people on whose data the drawn norms of the lab are based.
    """
    if not gauges:
        return Markup()
    norms = lab_norms.drawn(gauge.norm for gauge in gauges if gauge.norm)
    rows = (
        h.tr[h.th(scope="row")[g.name, h.small[g.goal_text]], h.td[_bar(g)], h.td[_values(g)]]
        for g in gauges
    )
    return h.table(".gauges")[h.caption["; ".join([caption, *norms])], h.tbody[rows]].__html__()


def caption_of(exercise: Exercise) -> str:
    """Return the caption of an exercise's gauges: the moment, and what the marks mean."""
    results = tables.load("findings")["results"]
    return tables.sentence(
        "report.first_page.key",
        moment=exercise.table["report"]["gauges"],
        met=1 - results["met"],
        outside=results["outside"],
    )


def own_norms(gauges: Sequence[Gauge]) -> Markup:
    """List how far each number is from the mean of the lab's own norm; empty without norms."""
    rows: list[Row] = []
    for gauge in gauges:
        if gauge.norm is None:
            continue
        norm, name = gauge.norm
        for side, number in gauge.values.items():
            z = Number(z_score(number.value, norm), number.sd / norm.sd, units="z")
            rows.append(
                [
                    f"{gauge.name}, {side}" if side else gauge.name,
                    measured(replace(number, units=gauge.units)),
                    measured(z, signed=True),
                    lab_norms.percentile(number.value, norm),
                    between(*lab_norms.band(norm), gauge.units),
                    lab_norms.of_whom(norm, name),
                ]
            )
    head = ["Measure", "Value", "z score", "Percentile", "Usual range", "People measured"]
    return table(head, rows, caption=tables.sentence("report.lab.caption"))


def _values(gauge: Gauge) -> h.Node:
    parts: list[h.Node] = []
    for side, number in gauge.values.items():
        letter = (h.span(class_=f"{side}-text")[side[0].upper()], " ") if side else None
        error = _error(gauge, number)
        if math.isfinite(gauge.interval[0]):
            error = f" ({between(*gauge.interval)})"
        below = h.br if parts else None
        value = quantity(number.value, gauge.units)
        first: h.Node = None
        if begins := gauge.begins.get(side):
            of_first = h.span(".interval")[_error(gauge, begins)]
            first = quantity(begins.value, gauge.units), of_first, " to "
        of_value = h.span(".interval")[error]
        parts.append((below, letter, first, value, of_value, _result(gauge, side)))
    return parts


def _error(gauge: Gauge, number: Number) -> str:
    digits, _ = digits_and_suffix(gauge.units)
    return f" {plus_minus(number.half_width, digits=digits)}" if number.sd > 0 else ""


def _result(gauge: Gauge, side: str) -> h.Node:
    """Return the result of a rule as a mark and a word."""
    result = gauge.marks.get(side)
    if result is None:
        return None
    mark, colour = (tables.sentence(f"results.{result}.{what}") for what in ("mark", "colour"))
    return (" ", h.span(class_=f"result {result} {colour}")[f"{mark} {in_words(result)}"])


_CHARACTER = 0.07
"""Width of a character below a bar, as a share of the narrowest bar."""


def _bar(gauge: Gauge) -> h.Node:
    low, high = _scale(gauge)

    def share(value: float) -> float:
        return min(max((value - low) / (high - low), 0), 1)

    def at(value: float) -> str:
        return f"{100 * share(value):.1f}%"

    parts: list[h.Node] = [h.rect(".track", x=0, y=1, width="100%", height=16, rx=3)]
    if all(map(math.isfinite, gauge.usual)):
        first, last = gauge.usual
        width = f"{100 * (last - first) / (high - low):.1f}%"
        parts.append(h.rect(".usual", x=at(first), y=0, width=width, height=18))
    numbers = [low, high]
    if math.isfinite(gauge.goal):
        places = [at(goal) for goal in (gauge.goal, *([-gauge.goal] * gauge.both_ways))]
        parts += [h.line(".goal", x1=x, x2=x, y1=0, y2=18) for x in places]
        numbers = [gauge.goal, *numbers]
    taken: list[tuple[float, float]] = []
    for number in numbers:
        text = quantity(number, gauge.units)
        room = _CHARACTER * len(text)
        left = min(max(share(number) - room / 2, 0.0), max(1.0 - room, 0.0))
        if any(left < end and start < left + room for start, end in taken):
            continue
        taken.append((left - _CHARACTER, left + room + _CHARACTER))
        anchor = "start" if left == 0 else "end" if left + room >= 1 else "middle"
        x = {"start": "0%", "end": "100%"}.get(anchor, at(number))
        parts.append(h.text(x=x, y=28, text_anchor=anchor)[text])
    for row, (side, measure) in enumerate(gauge.values.items()):
        y = 9 if len(gauge.values) == 1 else 5 + 8 * row
        kind = side or "both"
        if math.isfinite(measure.sd):
            first, last = gauge.ends(measure)
            parts.append(h.line(class_=kind, x1=at(first), x2=at(last), y1=y, y2=y))
        parts.append(h.circle(class_=kind, cx=at(measure.value), cy=y, r="3.5"))
        if begins := gauge.begins.get(side):
            parts.append(h.circle(class_=kind, cx=at(begins.value), cy=y, r="2"))
    return h.svg(aria_hidden="true", focusable="false")[parts]


def _scale(gauge: Gauge) -> tuple[float, float]:
    """Choose the ends of a bar: round numbers around all that is drawn on it."""
    if not gauge.units:
        return 0.0, 100.0
    ends = [end for number in gauge.values.values() for end in gauge.ends(number)]
    ends += [number.value for number in gauge.begins.values()]
    # Without a comparison from the neutral position on: else the value would fill its bar.
    goals = (gauge.goal, -gauge.goal) if gauge.both_ways else (gauge.goal,)
    ends += [each for each in (*goals, *gauge.usual) if math.isfinite(each)] or [0.0]
    low, high = min(ends), max(ends)
    step = round_step(max(high - low, 1e-3) / 4)
    first, last = math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step
    return first, max(last, first + step)
