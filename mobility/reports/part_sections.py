"""The sections of a report on one part of the movement: numbers, published ranges and comments."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import htpy as h
import xarray as xr
from markupsafe import Markup

from mobility import tables
from mobility.assessment.comments import advise
from mobility.assessment.findings import Finding, say
from mobility.assessment.kinds import entry_of
from mobility.assessment.number import nothing_measured, number_of
from mobility.assessment.reference_ranges import Kind, ReferenceRange, reference_range
from mobility.assessment.results import DECIDED, in_words
from mobility.assessment.summaries import least_for_spread
from mobility.base.formatting import capital, quantity, rounded, spoken
from mobility.catalogue.registry import exercise_of
from mobility.kinematics.skeleton import SIDES
from mobility.plotting import trial_plots
from mobility.reports.charts import charts
from mobility.reports.html import Cell, Row, bullets, html, paragraphs, sentence, table
from mobility.reports.origin import References
from mobility.reports.repetition_tables import moment_of
from mobility.reports.values import (
    cell,
    cells_of_sides,
    missing,
    units_of,
    value_of,
    which_is_larger,
)

if TYPE_CHECKING:
    from mobility.assessment.verdict import Verdict
    from mobility.sessions.record import Participant, SessionRecord

SYMMETRY = (
    *("hip_flexion", "hip_abduction", "knee_flexion", "ankle_dorsiflexion"),
    *("thigh_elevation", "tibia_inclination", "shoulder_flexion", "elbow_flexion"),
)
_SPREAD = ("hip_flexion", "knee_flexion", "ankle_dorsiflexion", "hip_abduction", "trunk_lean")
_NEAREST: tuple[Kind, ...] = ("weight_bearing", "active", "passive", "unstated")
_FARTHER_UNDER_WEIGHT = ("ankle_dorsiflexion",)
"""Angles whose range under the body's weight is not comparable with other ranges."""


def curves(
    angles: xr.Dataset, repetitions: xr.Dataset, metrics: xr.Dataset, names: Sequence[str]
) -> Markup:
    """Draw the accepted repetitions of the angles that could be measured.

    Parameters
    ----------
    angles, repetitions, metrics
        Datasets of the session.
    names
        Angles. An angle whose metric is not reported is not drawn, because its curve is equally
        uncertain.
    """
    drawn = [name for name in names if name in angles and not nothing_measured(metrics, name)]
    if not drawn or not int((repetitions["accepted"] & repetitions["complete"]).sum()):
        return html()
    panels = [
        (
            partial(trial_plots.repetitions, angles, repetitions, name, legend=False),
            tables.sentence("report.curves.repetition", angle=capital(spoken(name))),
        )
        for name in drawn
    ]
    return charts(*panels) + paragraphs(tables.sentence("report.curves.repetitions"), kind="note")


def whole_recording(angles: xr.Dataset, repetitions: xr.Dataset, names: Sequence[str]) -> Markup:
    """Draw angles over the whole recording, with their errors and the repetitions."""
    panels = [
        (
            partial(trial_plots.curves, angles, name, repetitions=repetitions, legend=False),
            tables.sentence("report.curves.recording", angle=capital(spoken(name))),
        )
        for name in names
    ]
    return charts(*panels) + paragraphs(tables.sentence("report.curves.band"), kind="note")


def in_detail(findings: Sequence[Finding], references: References) -> Markup:
    """List checks that are outside their target, borderline or met, and cite the thresholds."""
    parts = []
    for result in DECIDED:
        of_result = [f for f in findings if f.result == result]
        if of_result:
            rules = dict.fromkeys(f.rule for f in of_result)
            texts = (
                say([f for f in of_result if f.rule == rule], "professional") for rule in rules
            )
            cite = references.cite(*(f.source for f in of_result))
            parts.append((h.h3[capital(in_words(result)), " ", cite], bullets(texts)))
    return html(parts)


def exercises_in_short(findings: Sequence[Finding], *, most: int = 2) -> Markup:
    """Name the first drills for the findings, with their doses."""
    works = advise(findings)
    items = [f"{capital(work.name)}: {work.dose.partition(';')[0]}." for work in works[:most]]
    if more := len(works[most:]):
        items.append(tables.sentence("report.first_page.more_to_do", count=more))
    return bullets(items) or _nothing_to_do()


def what_to_do(findings: Sequence[Finding], references: References) -> Markup:
    """List the drills for the findings, each with its dose and source."""
    rows = [
        [(capital(work.name), references.cite(work.source)), work.dose, work.how]
        for work in advise(findings)
    ]
    listing = table(["Exercise", "Dose", "How"], rows, caption=tables.sentence("report.exercises"))
    return listing or _nothing_to_do()


def _nothing_to_do() -> Markup:
    return paragraphs(tables.sentence("report.first_page.nothing_to_do"))


def published_ranges(
    angles: Sequence[str],
    participant: Participant | None,
    record: SessionRecord,
    references: References,
) -> Markup:
    """List the published maximum angles of people of this sex and age, if there are any.

    Parameters
    ----------
    angles
        Names of the angles.
    participant, record
        Sex and age at the session. If one is unknown, all possible groups are listed.
    references
        References in which the studies are numbered.
    """
    if not angles:
        return html()
    sex = None if participant is None else participant.sex
    ages = _ages(participant, record)
    rows = []
    for angle in angles:
        kinds = _NEAREST[:1] if angle in _FARTHER_UNDER_WEIGHT else _NEAREST
        each = [(kind, _range_for(angle, sex, ages, kind)) for kind in kinds]
        candidates = [(kind, candidate) for kind, candidate in each if candidate is not None]
        if not candidates:
            continue
        # First ranges of people of this sex and age, then those nearest to a squat.
        kind, closest = min(candidates, key=lambda pair: not pair[1].sex)
        if math.isfinite(closest.mean):
            largest = quantity(closest.mean, closest.units)
        else:
            low, high = (quantity(end, closest.units) for end in (closest.lowest, closest.highest))
            largest = tables.sentence("report.ranges.between", low=low, high=high)
        if math.isfinite(closest.sd):
            sd = quantity(closest.sd, closest.units)
            largest = tables.sentence("report.ranges.sd", mean=largest, sd=sd)
        people = closest.sex or closest.sample
        if closest.sex and closest.age is not None:
            youngest, oldest = closest.age
            people = tables.sentence(
                "report.ranges.people", sex=closest.sex, youngest=youngest, oldest=oldest
            )
        rows.append(
            [
                (capital(spoken(angle)), references.cite(closest.source)),
                f"{largest}, {tables.sentence(f'report.kinds.{kind}')}",
                "; ".join(filter(None, [people, closest.note])),
            ]
        )
    caption = tables.sentence("report.ranges.caption")
    listing = table(["Angle", "Largest", "People measured"], rows, caption=caption)
    return listing or paragraphs(tables.sentence("report.ranges.none"), kind="note")


def _range_for(
    angle: str, sex: str | None, ages: tuple[float | None, ...], kind: Kind
) -> ReferenceRange | None:
    ranges = [reference_range(angle, sex=sex, age=age, kind=kind) for age in ages]  # type: ignore[arg-type]
    published = [each for each in ranges if each is not None]
    if len({each.study for each in published}) != 1 or len(published) < len(ranges):
        return None if not published else reference_range(angle, sex=sex, age=None, kind=kind)  # type: ignore[arg-type]
    if len({(each.lowest, each.highest) for each in published}) == 1:
        return max(published, key=lambda each: len(each.note))
    younger, older = ages
    return replace(
        published[0],
        mean=math.nan,
        sd=math.nan,
        lowest=min(each.lowest for each in published),
        highest=max(each.highest for each in published),
        note=tables.sentence("report.ranges.two_groups", younger=younger, older=older),
    )


def _ages(participant: Participant | None, record: SessionRecord) -> tuple[float | None, ...]:
    """Return the possible ages: a birth year allows two."""
    if participant is None:
        return (None,)
    oldest = participant.age_reached(record.created_at.year)
    if oldest is not None:
        return (float(max(oldest - 1, 0)), float(oldest))
    return (participant.age,)


def value_table(
    metrics: xr.Dataset,
    names: Sequence[str],
    references: References,
    *,
    caption: str,
) -> Markup:
    """Show some metrics over the accepted repetitions: left and right, or one value for both.

    Metrics without a value share the last rows, one for each reason.

    Parameters
    ----------
    metrics
        Metrics of the session.
    names
        Names of metrics, in order; metrics that the analysis does not have are left out.
    references
        References in which their definitions are numbered.
    caption
        What the table shows.
    """
    rows = []
    without: dict[str, list[h.Node]] = {}
    for name in names:
        if name not in metrics:
            continue
        attrs = metrics[name].attrs
        head = capital(str(attrs.get("long_name", spoken(name))))
        if meaning := entry_of(name).get("plus"):
            head = tables.sentence("report.plus", measure=head, meaning=meaning)
        sided = "side" in metrics[name].dims
        if sided:
            cells = cells_of_sides(metrics, name)
        else:
            value = cell(metrics, name, signed=entry_of(name).get("signed", False))
            cells = [Cell(value, "both", columns=3)]
        named = head, _cited(metrics, name, references)
        lacks = len(cells) == 1 and (sided or not math.isfinite(value_of(metrics, name)))
        if lacks:
            reason = nothing_measured(metrics, name)
            of_reason = without.setdefault(reason, [])
            of_reason.append(("; ", named) if of_reason else named)
        else:
            rows.append([named, *cells])
    for reason, heads in without.items():
        rows.append([heads, Cell(missing(reason), "both", columns=3)])
    columns = ["Measure", "Left", "Right", "Right − left"]
    listing = table(columns, rows, caption=caption, numeric=True)
    return listing or paragraphs(tables.sentence("report.not_part"), kind="missing")


def tempo_table(
    metrics: xr.Dataset, repetitions: xr.Dataset, references: References, verdict: Verdict
) -> Markup:
    """Show tempo and smoothness of each repetition, except values that the verdict rules out."""
    if repetitions.sizes.get("rep", 0) == 0:
        return paragraphs(tables.sentence("report.no_repetition"), kind="missing")
    words = exercise_of(metrics).words
    there, back = words["there"], words["back"]
    columns = {
        "tempo_ratio": f"{capital(there)} / {back}",
        "descent_sparc": f"SPARC {there}",
        "ascent_sparc": f"SPARC {back}",
        "descent_ldlj": f"LDLJ {there}",
        "ascent_ldlj": f"LDLJ {back}",
    }
    columns = {n: head for n, head in columns.items() if n in metrics and verdict.keeps(n)}
    if not columns:
        return html()
    rows = [
        [
            f"{int(number)}",
            *(quantity(value_of(metrics, n, rep=number), units_of(metrics, n)) for n in columns),
        ]
        for number in repetitions["rep"].values
    ]
    heads = [
        head if name == "tempo_ratio" else (head, _cited(metrics, name, references))
        for name, head in columns.items()
    ]
    alone = len(columns) == 1
    caption = tables.sentence("report.tempo.ratio" if alone else "report.tempo.caption")
    listing = table(["No.", *heads], rows, caption=caption, numeric=True)
    if out := verdict.absent("smoothness"):
        listing += paragraphs(out, kind="missing")
    elif "smoothness_sparc" in metrics:
        sides = SIDES if "side" in metrics["smoothness_sparc"].dims else (None,)
        each = (cell(metrics, "smoothness_sparc", side=side) for side in sides)
        listing += paragraphs(sentence("report.tempo.smoothness", value=Markup(" / ").join(each)))
    return listing


def _cited(metrics: xr.Dataset, name: str, references: References) -> Markup:
    return references.cite(str(metrics[name].attrs.get("reference", "")))


def spread_table(metrics: xr.Dataset, repetitions: xr.Dataset) -> Markup:
    """Show how much the accepted repetitions differ: at the bottom, and along their curves."""
    rows = []
    for name in _SPREAD:
        kinds = [f"{name}_variability", f"{name}_curve_variability"]
        if name not in metrics or not all(kind in metrics for kind in kinds):
            continue
        sides = ("left", "right") if "side" in metrics[kinds[0]].dims else (None,)
        rows.append(
            [
                capital(spoken(name)),
                *(
                    "/".join(rounded(value_of(metrics, kind, s), 1) for s in sides)
                    for kind in kinds
                ),
            ]
        )
    least, counted = least_for_spread(), repetitions["accepted"]
    if "leg" in repetitions:
        counted = counted & (repetitions["leg"] == xr.DataArray(list(SIDES), dims="side"))
    if not rows or int(counted.sum("rep").max()) < least:
        return paragraphs(tables.sentence("report.spread.too_few", least=least), kind="missing")
    return table(
        ["Angle", capital(moment_of(metrics)), "Along the curve"],
        rows,
        caption=tables.sentence("report.spread.caption"),
        numeric=True,
    )


def symmetry_table(metrics: xr.Dataset, references: References) -> Markup:
    """Show the differences between the sides whose 95 % interval excludes 0."""
    rows: list[Row] = []
    ratios = {
        "asymmetry_index": "Asymmetry index",
        "limb_symmetry_index": "Limb symmetry index",
        "symmetry_angle": "Symmetry angle",
    }
    cites: dict[str, Markup] = {}
    for name in SYMMETRY:
        difference = f"{name}_asymmetry"
        number = number_of(metrics, difference)
        # Without an error, all are shown.
        if not number.is_measured or abs(number.value) <= number.half_width:
            continue
        kinds = {kind: f"{name}_{kind}" for kind in ratios}
        cites |= {
            k: _cited(metrics, each, references) for k, each in kinds.items() if each in metrics
        }
        rows.append(
            [
                capital(spoken(name)),
                cell(metrics, difference, signed=True),
                Cell(which_is_larger(metrics, difference), "text"),
                *(
                    quantity(value_of(metrics, each), "percent", digits=1)
                    for each in kinds.values()
                ),
            ]
        )
    return table(
        [
            "Angle",
            "Right − left",
            "The difference is",
            *((head, cites.get(kind, Markup())) for kind, head in ratios.items()),
        ],
        rows,
        caption=tables.sentence("report.symmetry.apart", moment=moment_of(metrics)),
        numeric=True,
    ) or paragraphs(tables.sentence("report.symmetry.none"))
