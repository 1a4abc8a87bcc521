"""How the indices and probabilities of a report come about, so that a reader can redo them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING, Any

from mobility import tables
from mobility.assessment.reasons import bare
from mobility.reports.first_page import (
    INDICES,
    fms,
    interval,
    probability,
    short_reason,
)
from mobility.reports.references import References
from mobility.reports.sections import (
    Z95,
    factor_of,
    quantity,
    table,
    units_of,
    value_of,
)

if TYPE_CHECKING:
    import xarray as xr

    from mobility.assessment.verdict import Verdict

_DIM = {"mobility_index": "mobility_part", "quality_index": "quality_part"}
_TOO_UNCERTAIN = re.compile(r"its error \(.*")
_KINDS = ("part", "part_sd", "part_score", "part_weight", "contribution")
_RULE = {
    "mobility_index": "Score = value / reference, at least 0 and at most 1.",
    "quality_index": "Score = (b − value) / (b − a), at least 0 and at most 1: up to a nothing is "
    "deducted, from b on everything.",
}


def index_tables(metrics: xr.Dataset, references: References) -> str:
    """Show both indices with every part of them."""
    return "".join(index_table(metrics, name, references) for name in INDICES)


def index_table(metrics: xr.Dataset, name: str, references: References) -> str:
    """Show every part of an index with value, score, weight and points, and their sum.

    Parameters
    ----------
    metrics
        Metrics with the variables of the index.
    name
        "mobility_index" or "quality_index".
    references
        Where the sources of the parts are numbered.
    """
    if name not in metrics:
        return f"<p class='missing'>{INDICES[name]}: not part of this analysis.</p>"
    index, dim = metrics[name], _DIM[name]
    entry = tables.load("indices")[name]
    notes = json.loads(index.attrs.get("notes", "{}"))
    rows = []
    for part in map(str, metrics[dim].values):
        known = entry["parts"].get(part, {})
        value, sd, score, weight, points = (
            _part(metrics, f"{name}_{kind}", dim, part) for kind in _KINDS
        )
        unit = str(known.get("units", "degree"))
        limits = (
            f"{known['reference']:g}°"
            if "reference" in known
            else f"{known.get('a', math.nan):g} – {known.get('b', math.nan):g}"
            f"{'°' if unit == 'degree' else ''}"
        )
        used = _digits(points, 1)
        if not math.isfinite(points) and part in notes:
            why = _TOO_UNCERTAIN.sub("error too large", bare(notes[part]))
            used = f"<td class='text missing'>{escape(why)}</td>"
        rows.append(
            [
                escape(str(known.get("long_name", part.replace("_", " "))).capitalize())
                + references.cite(str(known.get("source", ""))),
                _of_unit(value, sd, unit),
                limits,
                _digits(score, 3),
                f"{weight:.3g}",
                used,
            ]
        )
    told = table(
        ["Part", "Value", _limit_heading(name), "Score", "Weight", "Points"],
        rows,
        caption=f"{INDICES[name]}, version {index.attrs.get('version', '?')}: its parts",
        numeric=True,
    )
    return told + "".join(f"<p>{text}</p>" for text in _sum(metrics, name, dim, references))


def _limit_heading(name: str) -> str:
    return "Reference" if name == "mobility_index" else "a – b"


def _sum(metrics: xr.Dataset, name: str, dim: str, references: References) -> list[str]:
    value = float(metrics[name])
    coverage = float(metrics[f"{name}_coverage"]) if f"{name}_coverage" in metrics else math.nan
    cite = references.cite(str(metrics[name].attrs.get("reference", "")))
    rule = (
        f"{_RULE[name]} Points = 100 × score × weight / sum of the weights that are available"
        f" ({100 * coverage:.0f} % of all). {cite}"
    )
    if not math.isfinite(value):
        return [rule, f"The index is not given: {escape(short_reason(metrics, name))}."]
    points = [float(v) for v in metrics[f"{name}_contribution"].values]
    terms = " + ".join(f"{p:.1f}" for p in points if math.isfinite(p))
    low, high = interval(metrics, name)
    between = (
        f" 95 % interval {low:.1f} to {high:.1f}, from draws of the errors of all parts."
        if math.isfinite(low)
        else " Its error is not known."
    )
    return [rule, f"{terms} = <strong>{value:.1f}</strong>.{between}"]


def fms_table(metrics: xr.Dataset, references: References) -> str:
    """Show measure, threshold and probability of each criterion of the FMS deep squat."""
    if "fms_probability" not in metrics:
        return fms(metrics)
    given = metrics["fms_probability"]
    entry = tables.load("criteria")["fms_deep_squat"]
    rows = _criteria(metrics, given, "fms_criterion", entry["criteria"], references, opposite=True)
    joint = float(metrics["fms_joint_probability"])
    stated = float(given.attrs.get("stated", 0.8))
    return (
        table(
            ["Criterion", "Measured", "Fails when", "Probability that it is met"],
            rows,
            caption="Criteria of the FMS deep squat",
        )
        + f"<p>All criteria at once: {probability(joint)}. A criterion counts as met, or as not "
        f"met, from a probability of {stated:.2f} on. The score is 3 where all are met; else the "
        "squat is repeated with the heels raised, to tell 2 from 1. "
        f"{escape(str(given.attrs.get('pain', '')).capitalize())}. "
        f"{references.cite(str(given.attrs.get('reference', '')))}</p>"
    )


def compensation_table(metrics: xr.Dataset, references: References, verdict: Verdict) -> str:
    """Show the probability of each compensation, and of those that a camera sees."""
    if "compensation_probability" not in metrics:
        return "<p class='missing'>Compensations are not part of this analysis.</p>"
    given = metrics["compensation_probability"]
    known = tables.load("criteria")["compensations"]["assessed"]
    seen = [name for name in given["compensation"].values if verdict.keeps(known[name]["measure"])]
    given = given.sel(compensation=seen)
    rows = _criteria(metrics, given, "compensation", known, references, opposite=False)
    stated = float(given.attrs.get("stated", 0.8))
    return (
        table(
            ["Compensation", "Measured", "Is one when", "Probability"],
            rows,
            caption="Compensations of the overhead squat assessment (NASM)",
        )
        + f"<p>A compensation is stated from a probability of {stated:.2f} on, and its absence "
        f"from {1 - stated:.2f} down. {references.cite(str(given.attrs.get('reference', '')))}</p>"
    )


def _criteria(
    metrics: xr.Dataset,
    given: xr.DataArray,
    dim: str,
    known: Mapping[str, Any],
    references: References,
    *,
    opposite: bool,
) -> list[list[str]]:
    notes = json.loads(given.attrs.get("notes", "{}"))
    rows = []
    for name in map(str, given[dim].values):
        entry = known[name]
        p = float(given.sel({dim: name}))
        shown = probability(p)
        if not math.isfinite(p):
            why = bare(notes.get(name, "refused: not measured"))
            shown = f"<span class='missing'>cannot be told: {escape(why)}</span>"
        elif name in notes:
            shown += f" <span class='note'>({escape(bare(notes[name]))})</span>"
        rows.append(
            [
                escape(str(entry["long_name"]).capitalize()) + references.cite(entry["source"]),
                _measured(metrics, entry["measure"]),
                _threshold(metrics, entry, "fails" if opposite else "found"),
                shown,
            ]
        )
    return rows


def _threshold(metrics: xr.Dataset, entry: Mapping[str, Any], kind: str) -> str:
    share = factor_of(metrics, entry["measure"])
    unit = "percent" if share != 1 else str(entry["units"])
    words = {"above": "above", "below": "below", "outside": "beyond ±"}[entry[kind]]
    return f"{words} {quantity(share * float(entry['threshold']), unit)}"


def _measured(metrics: xr.Dataset, name: str) -> str:
    words = str(metrics[name].attrs.get("long_name", name)) if name in metrics else name
    words = escape(words.split(",")[0].replace("_", " "))
    if name not in metrics:
        return f"{words}: –"

    def shown(side: str | None = None) -> str:
        sd = value_of(metrics, f"{name}_sd", side)
        return quantity(value_of(metrics, name, side), units_of(metrics, name), sd=sd)

    if "side" not in metrics[name].dims:
        return f"{words}: {shown()}"
    return f"{words}: left {shown('left')}, right {shown('right')}"


def _part(metrics: xr.Dataset, name: str, dim: str, part: str) -> float:
    return float(metrics[name].sel({dim: part})) if name in metrics else math.nan


def _of_unit(value: float, sd: float, unit: str, *, signed: bool = False) -> str:
    """Write a value of a part with one decimal more than elsewhere, so that it can be redone."""
    if unit != "degree":
        return quantity(value, unit, sd=sd, signed=signed)
    if not math.isfinite(value):
        return "–"
    text = f"{value:{'+' if signed else ''}.1f}°".replace("-", "−")
    if math.isfinite(sd):
        text += f" <span class='interval'>± {Z95 * sd:.1f}°</span>"
    return text


def _digits(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if math.isfinite(value) else "–"
