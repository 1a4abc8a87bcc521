"""The sections of a report on one part of the movement: numbers, published ranges, comments."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from mobility import tables
from mobility.wording import capital
from mobility.assessment.advice import Work, advise
from mobility.assessment.comments import statements
from mobility.assessment.findings import Finding, excess, say
from mobility.assessment.kinds import entry_of
from mobility.assessment.reference_ranges import Kind, ReferenceRange, reference_range
from mobility.reports.figures import angle_curves, repetition_curves
from mobility.reports.references import References
from mobility.reports.sections import (
    cell,
    charts,
    nothing_measured,
    quantity,
    show,
    table,
    units_of,
    value_of,
    verdict,
)

if TYPE_CHECKING:
    import xarray as xr

    from mobility.sessions.record import Participant, SessionRecord

TRUNK_AND_ARMS = (
    *("trunk_lean", "tibia_inclination", "trunk_tibia_difference", "thigh_elevation"),
    *("shoulder_flexion", "elbow_flexion", "arm_fall", "dowel_offset"),
)
FEET_AND_STANCE = (
    *("stance_width", "stance_width_m", "toe_out", "heel_rise", "lateral_shift"),
    "pelvis_obliquity",
)
SYMMETRY = (
    *("hip_flexion", "hip_abduction", "knee_flexion", "ankle_dorsiflexion"),
    *("thigh_elevation", "tibia_inclination", "shoulder_flexion", "elbow_flexion"),
)
MOST_EXERCISES = 4
"""Exercises that a report lists."""

_SPREAD = ("hip_flexion", "knee_flexion", "ankle_dorsiflexion", "hip_abduction", "trunk_lean")
_KINDS: dict[Kind, str] = {
    "passive": "moved by an examiner",
    "active": "moved by oneself",
    "weight_bearing": "under the body's weight",
    "unstated": "active or passive is not stated",
}
_NEAREST: tuple[Kind, ...] = ("weight_bearing", "active", "passive", "unstated")


def curves(
    angles: xr.Dataset, repetitions: xr.Dataset, metrics: xr.Dataset, names: Sequence[str]
) -> str:
    """Draw the accepted repetitions of those angles that could be measured on some side.

    Parameters
    ----------
    angles, repetitions, metrics
        Datasets of the session.
    names
        Angles; one whose metric was refused is not drawn, since its curve is no more certain.
    """
    drawn = [
        name
        for name in names
        if name in angles and not nothing_measured(metrics, name, repetitions)
    ]
    if not drawn or not int((repetitions["accepted"] & repetitions["complete"]).sum()):
        return ""
    made = []
    for name in drawn:
        figure = repetition_curves(angles, repetitions, names=[name])
        made.append((figure, f"{capital(name.replace('_', ' '))} over the course of a repetition"))
    return charts(*made) + (
        "<p class='note'>Accepted repetitions from start (0 %) to end (100 %), their mean, and "
        "from three on ± 1 SD.</p>"
    )


def whole_recording(angles: xr.Dataset, repetitions: xr.Dataset, names: Sequence[str]) -> str:
    """Draw angles over the whole recording, with their errors and the repetitions."""
    made = []
    for name in names:
        figure = angle_curves(angles, repetitions, names=[name])
        made.append((figure, f"{capital(name.replace('_', ' '))} over the whole recording"))
    told = "<p class='note'>Band: 95 % interval. Shaded: repetitions; hatched: rejected.</p>"
    return charts(*made) + told


def in_detail(findings: Sequence[Finding], references: References) -> str:
    """List what was found and what was not, each with its numbers, and cite the thresholds."""
    heads = {"found": "Found", "not found": "Not found"}
    parts = []
    for status, head in heads.items():
        own = [f for f in findings if f.status == status]
        if own:
            rules = dict.fromkeys(f.rule for f in own)
            told = (say([f for f in own if f.rule == rule], "professional") for rule in rules)
            items = "".join(f"<li>{escape(text)}</li>" for text in told)
            cite = references.cite(*(f.source for f in own))
            parts.append(f"<h3>{head} {cite}</h3><ul>{items}</ul>")
    return "".join(parts)


def exercises_in_short(findings: Sequence[Finding], *, most: int = 2) -> str:
    """Name the first exercises for what was found with their doses."""
    works = _largest_first(findings)[:most]
    if not works:
        return "<p>Nothing was found that asks for an exercise.</p>"
    items = "".join(
        f"<li>{escape(capital(work.name))}: {escape(work.dose.partition(';')[0])}.</li>"
        for work in works
    )
    return f"<ul>{items}</ul>"


def _largest_first(findings: Sequence[Finding]) -> list[Work]:
    """Put the exercises in the order of what they are for, as the findings are on the page."""
    return sorted(advise(findings), key=lambda work: -max(map(excess, work.because)))


def what_to_do(
    findings: Sequence[Finding], references: References, *, most: int = MOST_EXERCISES
) -> str:
    """List the first exercises for what was found, each with dose and source."""
    works = _largest_first(findings)[:most]
    if not works:
        return "<p>Nothing was found that asks for an exercise.</p>"
    rows = []
    for work in works:
        rows.append(
            [
                escape(work.name[:1].upper() + work.name[1:]) + references.cite(work.source),
                escape(work.dose),
                escape(work.how),
            ]
        )
    return table(["Exercise", "Dose", "How"], rows, caption="Work for what was found")


def published_ranges(
    angles: Sequence[str],
    participant: Participant | None,
    record: SessionRecord,
    references: References,
) -> str:
    """List published largest angles of people like this one, where there are any.

    Parameters
    ----------
    angles
        Names of the angles.
    participant, record
        Sex and age at the session; of an unknown one all groups that come into question are told.
    references
        Where the studies are numbered.
    """
    sex = None if participant is None else participant.sex
    ages = _ages(participant, record)
    rows = []
    for angle in angles:
        each = [(kind, _range_for(angle, sex, ages, kind)) for kind in _NEAREST]
        known = [(kind, one) for kind, one in each if one is not None]
        if not known:
            continue
        # Of people of this sex and age before others; then what is nearest to a squat.
        kind, found = min(known, key=lambda pair: not pair[1].sex)
        mean = (
            quantity(found.mean, found.units)
            if math.isfinite(found.mean)
            else f"{quantity(found.lowest, found.units)} to {quantity(found.highest, found.units)}"
        )
        if math.isfinite(found.sd):
            mean += f" (SD {quantity(found.sd, found.units)})"
        group = "" if found.age is None else f", {found.age[0]} to {found.age[1]} years"
        whom = f"{found.sex}{group}" if found.sex else found.sample
        rows.append(
            [
                escape(capital(angle.replace("_", " "))) + references.cite(found.source),
                f"{mean}, {escape(_KINDS[kind])}",
                escape(whom) + (f"; {escape(found.note)}" if found.note else ""),
            ]
        )
    if not rows:
        return "<p class='note'>No published range is known to this package.</p>"
    return table(
        ["Angle", "Largest", "Of whom"],
        rows,
        caption="Published largest angles: what joints can do, not what a squat must reach",
    )


def _range_for(
    angle: str, sex: str | None, ages: tuple[float | None, ...], kind: Kind
) -> ReferenceRange | None:
    found = [reference_range(angle, sex=sex, age=age, kind=kind) for age in ages]  # type: ignore[arg-type]
    each = [one for one in found if one is not None]
    if len({one.study for one in each}) != 1 or len(each) < len(found):
        return None if not each else reference_range(angle, sex=sex, age=None, kind=kind)  # type: ignore[arg-type]
    if len({(one.lowest, one.highest) for one in each}) == 1:
        return max(each, key=lambda one: len(one.note))
    return replace(
        each[0],
        mean=math.nan,
        sd=math.nan,
        lowest=min(one.lowest for one in each),
        highest=max(one.highest for one in each),
        note=f"age {' or '.join(f'{age:g}' for age in ages if age is not None)}: means of 2 groups",
    )


def _ages(participant: Participant | None, record: SessionRecord) -> tuple[float | None, ...]:
    """Ages that come into question: both that a birth year allows."""
    if participant is None:
        return (None,)
    oldest = participant.age_reached(record.created_at.year)
    if oldest is not None:
        return (float(max(oldest - 1, 0)), float(oldest))
    return (participant.age,)


def value_table(
    metrics: xr.Dataset,
    repetitions: xr.Dataset,
    names: Sequence[str],
    references: References,
    *,
    caption: str,
) -> str:
    """Show some metrics over the accepted repetitions: left and right, or one value for both.

    Parameters
    ----------
    metrics, repetitions
        Of the session.
    names
        Metrics in their order; those that the analysis does not have are left out.
    references
        Where their definitions are numbered.
    caption
        What the table shows.
    """
    rows = []
    for name in names:
        if name not in metrics:
            continue
        attrs = metrics[name].attrs
        head = escape(capital(str(attrs.get("long_name", name.replace("_", " ")))))
        head += references.cite(str(attrs.get("reference", "")))
        if "side" not in metrics[name].dims:
            shown = cell(metrics, name, repetitions, signed=entry_of(name).get("signed", False))
            rows.append([head, f"<td colspan='3' class='both'>{shown}</td>"])
        elif why := nothing_measured(metrics, name, repetitions):
            shown = f"<span class='missing'>not measurable ({escape(why)})</span>"
            rows.append([head, f"<td colspan='3' class='both'>{shown}</td>"])
        else:
            difference = f"{name}_asymmetry"
            rows.append(
                [
                    head,
                    *(cell(metrics, name, repetitions, side=side) for side in ("left", "right")),
                    cell(metrics, difference, repetitions, signed=True)
                    if difference in metrics
                    else "–",
                ]
            )
    if not rows:
        return "<p class='missing'>Not part of this analysis.</p>"
    return table(["Measure", "Left", "Right", "Right − left"], rows, caption=caption, numeric=True)


def tempo_table(metrics: xr.Dataset, repetitions: xr.Dataset, references: References) -> str:
    """Show depth, durations, their ratio and the smoothness of each repetition."""
    if repetitions.sizes.get("rep", 0) == 0:
        return "<p class='missing'>No repetition was found in this video.</p>"
    columns = {
        "tempo_ratio": "Down / up",
        "descent_sparc": "SPARC down",
        "ascent_sparc": "SPARC up",
        "descent_ldlj": "LDLJ down",
        "ascent_ldlj": "LDLJ up",
    }
    columns = {name: head for name, head in columns.items() if name in metrics}
    rows = []
    for number in repetitions["rep"].values:
        row = [f"{int(number)}"]
        row += [
            quantity(value_of(metrics, name, rep=number), units_of(metrics, name))
            for name in columns
        ]
        rows.append(row)
    cites = [
        references.cite(str(metrics[name].attrs.get("reference", "")))
        if "sparc" in name or "ldlj" in name
        else ""
        for name in columns
    ]
    heads = [f"{head}{cite}" for head, cite in zip(columns.values(), cites, strict=True)]
    told = table(
        ["No.", *heads],
        rows,
        caption="Tempo and smoothness of every repetition found. SPARC and LDLJ are those of the "
        "speed of the hips: the nearer to 0, the smoother",
        numeric=True,
    )
    if "smoothness_sparc" in metrics:
        smooth = cell(metrics, "smoothness_sparc", repetitions)
        told += f"<p>Smoothness (SPARC) over the accepted repetitions: {smooth}.</p>"
    return told


def spread_table(metrics: xr.Dataset, repetitions: xr.Dataset) -> str:
    """Show how much the accepted repetitions differ: at the bottom, and along their curves."""
    rows = []
    for name in _SPREAD:
        kinds = [f"{name}_variability", f"{name}_curve_variability"]
        if name not in metrics or not all(kind in metrics for kind in kinds):
            continue
        row = [escape(capital(name.replace("_", " ")))]
        for kind in kinds:
            sided = "side" in metrics[kind].dims
            sides = ("left", "right") if sided else (None,)
            texts = [_tenths(value_of(metrics, kind, side)) for side in sides]
            row.append("/".join(texts))
        rows.append(row)
    if not rows or int(np.asarray(repetitions["accepted"].values, bool).sum()) < 3:
        return "<p class='missing'>How much repetitions differ needs three accepted ones.</p>"
    return table(
        ["Angle", "At the bottom", "Along the curve"],
        rows,
        caption="Standard deviation over the accepted repetitions, left / right, in degrees; along "
        "the curve: mean over its 101 points",
        numeric=True,
    )


def symmetry_table(metrics: xr.Dataset, repetitions: xr.Dataset, references: References) -> str:
    """Show the differences of the sides that exceed the smallest that could be detected."""
    rows = []
    ratios = {
        "asymmetry_index": "Asymmetry index",
        "limb_symmetry_index": "Limb symmetry index",
        "symmetry_angle": "Symmetry angle",
    }
    cites: dict[str, str] = {}
    for name in SYMMETRY:
        difference = f"{name}_asymmetry"
        if difference not in metrics or f"{difference}_mdc95" not in metrics:
            continue
        head = escape(capital(name.replace("_", " ")))
        if not math.isfinite(value_of(metrics, difference)):
            continue
        cells = []
        least = value_of(metrics, f"{difference}_mdc95")
        if abs(value_of(metrics, difference)) <= least:  # without an error, all are told
            continue
        for kind in ratios:
            variable = f"{name}_{kind}"
            cells.append(_tenths(value_of(metrics, variable), " %"))
            if variable in metrics:
                cites[kind] = references.cite(str(metrics[variable].attrs.get("reference", "")))
        rows.append(
            [
                head,
                cell(metrics, difference, repetitions, signed=True),
                quantity(least, "degree"),
                f"<td class='text'>{escape(verdict(metrics, difference))}</td>",
                *cells,
            ]
        )
    if not rows:
        return (
            "<p>No difference of the sides exceeds its minimal detectable difference (MDC₉₅).</p>"
        )
    return table(
        [
            "Angle",
            "Right − left",
            "MDC₉₅",
            "The difference is",
            *(f"{head}{cites.get(kind, '')}" for kind, head in ratios.items()),
        ],
        rows,
        caption="Differences of the sides at the bottom beyond their minimal detectable difference "
        "(MDC₉₅); ratios from a mean of 20° on",
        numeric=True,
    )


def _tenths(value: float, suffix: str = "") -> str:
    return f"{value:.1f}{suffix}".replace("-", "−") if math.isfinite(value) else "–"


