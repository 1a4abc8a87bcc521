"""How the indices and probabilities of a report come about, so that a reader can redo them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING, Any

from mobility import tables
from mobility.assessment.indices import is_current
from mobility.assessment.findings import interval_text, number
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


def index_tables(metrics: xr.Dataset, references: References) -> str:
    """Show both indices with every part of them."""
    return "".join(index_table(metrics, name, references) for name in INDICES)


def index_table(metrics: xr.Dataset, name: str, references: References) -> str:
    """Show every part of an index with value, limit and score, and what its scale means.

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
    entry, rules = tables.load("indices")[name], tables.load("findings")["rules"]
    notes = json.loads(index.attrs.get("notes", "{}"))
    rows = []
    for part in map(str, metrics[dim].values):
        known = entry["parts"].get(part)
        if known is None:  # of an older version
            continue
        rule = rules[known["rule"]]
        value, sd, score = (
            _part(metrics, f"{name}_{kind}", dim, part) for kind in ("part", "part_sd", "part_score")
        )
        scored = f"<td>{score:.0f}</td>"
        if not math.isfinite(score):
            scored = f"<td class='text missing'>{escape(bare(notes.get(part, 'not told')))}</td>"
        limit = {"below": "at least", "above": "at most", "outside": "within ±"}[rule["direction"]]
        rows.append(
            [
                escape(part.capitalize()) + references.cite(rule["source"], known["source"]),
                interval_of(value, sd, rule),
                f"{limit} {number(float(rule['threshold']), rule)}",
                scored,
            ]
        )
    told = table(
        ["Part", "Value", "Limit", "Score"],
        rows,
        caption=f"{INDICES[name]}, version {index.attrs.get('version', '?')}: its parts",
        numeric=True,
    )
    scale = tables.load("indices")["scale"]
    lines = "".join(f"<li>{escape(line)}</li>" for line in scale["lines"])
    value = float(index)
    if not math.isfinite(value) or not is_current(metrics, name):
        return f"{told}<p>The index is not given: {escape(short_reason(metrics, name))}.</p>"
    low, high = interval(metrics, name)
    return (
        f"{told}<p>The index is that of the worst part, its mean over the draws of all errors: "
        f"<strong>{value:.0f}</strong>, 95 % interval {low:.0f} to {high:.0f}. "
        f"{references.cite(str(index.attrs.get('reference', '')), scale['source'])}</p>"
        f"<ul>{lines}</ul>"
    )


def interval_of(value: float, sd: float, rule: Mapping[str, Any]) -> str:
    """Write a value in the unit of a rule with its 95 % interval."""
    if not math.isfinite(value):
        return "–"
    low, high = value - Z95 * sd, value + Z95 * sd
    between = interval_text((low, high), rule)
    return f"{number(value, rule)} <span class='interval'>({between})</span>"


def fms_table(metrics: xr.Dataset, references: References) -> str:
    """Show measure, threshold and probability of each criterion of the FMS deep squat."""
    if "fms_probability" not in metrics:
        return fms(metrics)
    given = metrics["fms_probability"]
    entry = tables.load("criteria")["fms_deep_squat"]
    rows = _criteria(metrics, given, "fms_criterion", entry["criteria"], references, opposite=True)
    joint = float(metrics["fms_joint_probability"])
    stated = float(given.attrs["stated"])
    return (
        table(
            ["Criterion", "Measured", "Fails when", "Probability that it is met"],
            rows,
            caption="Criteria of the FMS deep squat",
        )
        + f"<p>All criteria at once: {probability(joint)}. A criterion counts as met, or as not "
        f"met, from a probability of {stated:.2f} on (the heels: 0.90). The score is 3 where all are met; else the "
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
    # Sessions of older code have others too.
    names = [str(name) for name in given["compensation"].values if str(name) in known]
    seen = [name for name in names if verdict.keeps(known[name]["measure"])]
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
        f"from {1 - stated:.2f} down (heels: 0.90, 0.10). {references.cite(str(given.attrs.get('reference', '')))}</p>"
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


