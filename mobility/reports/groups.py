"""The sections of a report on one part of the movement: numbers, published ranges, comments."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from mobility.wording import capital
from mobility.assessment.advice import advise
from mobility.assessment.comments import statements
from mobility.assessment.findings import Finding
from mobility.assessment.reference_ranges import Kind, ReferenceRange, reference_range
from mobility.reports.figures import repetition_curves
from mobility.reports.references import References
from mobility.reports.sections import (
    cell,
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
_SPREAD = ("hip_flexion", "knee_flexion", "ankle_dorsiflexion", "hip_abduction", "trunk_lean")
_KINDS: dict[Kind, str] = {
    "passive": "moved by an examiner",
    "active": "moved by oneself",
    "weight_bearing": "under the body's weight",
    "unstated": "active or passive is not stated",
}


def section_of(finding: Finding) -> str:
    """Say in which section a finding stands: its group, or where its number is shown."""
    if finding.metric in FEET_AND_STANCE:
        return "feet_and_stance"
    if finding.metric.endswith(("_variability", "_asymmetry")):
        return "variability_and_asymmetry"
    if finding.metric.startswith("smoothness"):
        return "tempo"
    return "trunk_and_arms" if finding.group == "whole_movement" else finding.group


def show_curves(
    angles: xr.Dataset,
    repetitions: xr.Dataset,
    metrics: xr.Dataset,
    *,
    names: Sequence[str],
    alt: str,
) -> None:
    """Display the accepted repetitions of those angles that could be measured on some side.

    Parameters
    ----------
    angles, repetitions, metrics
        Datasets of the session.
    names
        Angles; one whose metric was refused is not drawn, since its curve is no more certain.
    alt
        What the figure shows, as text.
    """
    drawn = [
        name
        for name in names
        if name in angles and not nothing_measured(metrics, name, repetitions)
    ]
    count = int((repetitions["accepted"] & repetitions["complete"]).sum())
    if not drawn or not count:
        return
    whole = count == int(repetitions["accepted"].sum())
    if not whole:
        caption = (
            "Of the accepted repetitions those that the video shows whole, from start (0 %) to end "
            "(100 %)."
        )
    elif count > 2:
        caption = "The accepted repetitions from start (0 %) to end (100 %): mean and ± 1 SD."
    elif count == 2:
        caption = "Both accepted repetitions from start (0 %) to end (100 %), and their mean."
    else:
        caption = "The accepted repetition from start (0 %) to end (100 %)."
    show(repetition_curves(angles, repetitions, names=drawn), alt=alt, caption=caption)


def commented(findings: Sequence[Finding], section: str, references: References) -> str:
    """Say what was found, not found and cannot be told, for the participant and for others.

    Parameters
    ----------
    findings
        All findings of the session; those of the section are chosen.
    section
        Of :func:`section_of`.
    references
        Where the sources of the thresholds are numbered.
    """
    own = [finding for finding in findings if section_of(finding) == section]
    if not own:
        return ""
    cite = references.cite(*(finding.source for finding in own))
    readers = {"participant": "For the participant", "professional": "For the professional"}
    parts = []
    for level, heading in readers.items():
        lines = statements(own, level)  # type: ignore[arg-type]
        told = "".join(f"<p>{_headed(line)}</p>" for line in lines)
        parts.append(f"<div><h3>{heading}</h3>{told}</div>")
    return f"<div class='comments'>{''.join(parts)}</div><p class='note'>Thresholds: {cite}</p>"


def _headed(line: str) -> str:
    heading, _, rest = line.partition(": ")
    return f"<strong>{escape(heading)}:</strong> {escape(rest)}"


def what_to_do(findings: Sequence[Finding], references: References) -> str:
    """List the exercises for what was found, each with dose, purpose and source."""
    works = advise(findings)
    if not works:
        return "<p>Nothing was found that asks for an exercise.</p>"
    rows = []
    for work in works:
        why = "; ".join(dict.fromkeys(f.rule.replace("_", " ") for f in work.because))
        rows.append(
            [
                escape(work.name[:1].upper() + work.name[1:]) + references.cite(work.source),
                escape(work.dose),
                escape(work.how),
                escape(why),
            ]
        )
    return table(["Exercise", "Dose", "How", "Because of"], rows, caption="Work for what was found")


def published_ranges(
    angle: str, participant: Participant | None, record: SessionRecord, references: References
) -> str:
    """Set published largest angles of people like this one beside the squat, where there are any.

    Parameters
    ----------
    angle
        Name of the angle.
    participant, record
        Sex and age at the session; of an unknown one all groups that come into question are told.
    references
        Where the studies are numbered.
    """
    sex = None if participant is None else participant.sex
    rows = []
    for kind, words in _KINDS.items():
        found = _range_for(angle, sex, _ages(participant, record), kind)
        if found is None:
            continue
        mean = (
            quantity(found.mean, found.units)
            if math.isfinite(found.mean)
            else f"{quantity(found.lowest, found.units)} to {quantity(found.highest, found.units)}"
        )
        if math.isfinite(found.sd):
            mean += f" (SD {quantity(found.sd, found.units)})"
        ages = "" if found.age is None else f", {found.age[0]} to {found.age[1]} years"
        whom = f"{found.sex}{ages}" if found.sex else found.sample
        rows.append(
            [
                escape(words.capitalize()) + references.cite(found.source),
                f"{mean} <span class='note'>({escape(found.statistic)})</span>",
                escape(whom) + (f"; {escape(found.note)}" if found.note else ""),
            ]
        )
    if not rows:
        return "<p class='note'>No published range is known to this package.</p>"
    return table(
        ["Kind", "Largest angle", "Of whom"],
        rows,
        caption="Published largest angles, measured otherwise: what joints can do, not what a "
        "squat must reach",
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
            shown = cell(metrics, name, repetitions, signed=_is_signed(name))
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
        "depth": "Depth",
        "descent_duration": "Down",
        "bottom_duration": "Low",
        "ascent_duration": "Up",
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
            row.append(" / ".join(texts))
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
    """Show the differences of the sides beside the smallest that could be detected."""
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
            shown = cell(metrics, difference, repetitions)
            rows.append([head, f"<td colspan='6' class='both'>{shown}</td>"])
            continue
        cells = []
        least = value_of(metrics, f"{difference}_mdc95")
        beyond = not abs(value_of(metrics, difference)) <= least  # without an error, all
        for kind in ratios:
            variable = f"{name}_{kind}"
            ratio = value_of(metrics, variable) if beyond else math.nan
            cells.append(_tenths(ratio, " %"))
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
        return "<p class='missing'>Not part of this analysis.</p>"
    return table(
        [
            "Angle",
            "Right − left",
            "MDC₉₅",
            "The difference is",
            *(f"{head}{cites.get(kind, '')}" for kind, head in ratios.items()),
        ],
        rows,
        caption="Differences of the sides at the bottom. Within error: not larger than the minimal "
        "detectable difference (MDC₉₅). Ratios are given beyond that, from a mean of 20° on "
        "(else –)",
        numeric=True,
    )


def _is_signed(name: str) -> bool:
    return name in ("dowel_offset", "lateral_shift", "pelvis_obliquity", "trunk_tibia_difference")


def _tenths(value: float, suffix: str = "") -> str:
    return f"{value:.1f}{suffix}".replace("-", "−") if math.isfinite(value) else "–"


