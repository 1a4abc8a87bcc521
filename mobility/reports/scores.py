"""Parts of the indices and probabilities of a report, so that a reader can recompute them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import htpy as h
from markupsafe import Markup

from mobility import tables
from mobility.assessment.criteria import probability_in_words
from mobility.assessment.findings import in_units, interval_text
from mobility.assessment.number import Number, number_of, reason_missing, value_at
from mobility.base.formatting import MISSING, capital, quantity, rounded
from mobility.reports.gauges import INDICES, interval
from mobility.reports.html import Cell, bullets, html, measured, paragraphs, table
from mobility.reports.origin import References
from mobility.reports.values import factor_of, shown

if TYPE_CHECKING:
    import xarray as xr

    from mobility.assessment.verdict import Verdict

_DIM = {"mobility_index": "mobility_part", "quality_index": "quality_part"}


def index_table(metrics: xr.Dataset, name: str, references: References) -> Markup:
    """Show every part of an index with its value, limit and score, and the meaning of the scale.

    Parameters
    ----------
    metrics
        Metrics with the variables of the index.
    name
        "mobility_index" or "quality_index".
    references
        References in which the sources of the parts are numbered.
    """
    if name not in metrics:
        explanation = tables.sentence("report.scores.not_part", index=INDICES[name])
        return paragraphs(explanation, kind="missing")
    index, dim = metrics[name], _DIM[name]
    entry, rules = tables.load("indices")[name], tables.load("findings")["rules"]
    rows = []
    for part in map(str, metrics[dim].values):
        described = entry["parts"][part]
        rule = rules[described["rule"]]
        number = number_of(metrics, f"{name}_part", **{dim: part})
        score = value_at(metrics, f"{name}_part_score", **{dim: part})
        scored: str | Cell = rounded(score)
        if not math.isfinite(score):
            why = reason_missing(metrics, f"{name}_part_score", **{dim: part})
            scored = Cell(why, "text missing")
        limit = {"below": "at least", "above": "at most", "outside": "within ±"}[rule["direction"]]
        rows.append(
            [
                (part.capitalize(), references.cite(rule["source"], described["source"])),
                interval_of(number, rule),
                f"{limit} {in_units(float(rule['threshold']), rule)}",
                scored,
            ]
        )
    listing = table(
        ["Part", "Value", "Limit", "Score"],
        rows,
        caption=tables.sentence(
            "report.scores.parts", index=INDICES[name], version=index.attrs.get("version", "?")
        ),
        numeric=True,
    )
    value = float(index)
    if not math.isfinite(value):
        why = reason_missing(metrics, name)
        return listing + paragraphs(tables.sentence("report.scores.not_given", why=why))
    scale = tables.load("indices")["scale"]
    low, high = interval(metrics, name)
    between = tables.sentence("report.scores.interval", low=low, high=high)
    worst = tables.sentence("report.scores.worst_part")
    cited = references.cite(str(index.attrs.get("reference", "")), scale["source"])
    about = h.p[worst, " ", h.strong[rounded(value)], f", {between} ", cited]
    return html(listing, about, bullets(scale["lines"]))


def interval_of(number: Number, rule: Mapping[str, Any]) -> h.Node:
    """Write a number in the unit of a rule, with its 95 % interval."""
    if not number.is_measured:
        return MISSING
    between = interval_text(number.interval, rule)
    return in_units(number.value, rule), " ", h.span(".interval")[f"({between})"]


def fms_table(metrics: xr.Dataset, references: References) -> Markup:
    """Show the measure, threshold and probability of each criterion of the FMS deep squat."""
    if "fms_probability" not in metrics:
        return paragraphs(tables.sentence("report.fms.not_part"), kind="missing")
    probabilities = metrics["fms_probability"]
    entries = tables.load("criteria")["fms_deep_squat"]["criteria"]
    return _criteria(
        metrics, probabilities, entries, references, "fms",
        joint=probability_in_words(float(metrics["fms_joint_probability"])),
        pain=capital(str(probabilities.attrs.get("pain", ""))),
    )  # fmt: skip


def compensation_table(metrics: xr.Dataset, references: References, verdict: Verdict) -> Markup:
    """Show the probability of each compensation that a camera can see."""
    if "compensation_probability" not in metrics:
        return paragraphs(tables.sentence("report.compensations.not_part"), kind="missing")
    probabilities = metrics["compensation_probability"]
    entries = tables.load("criteria")["compensations"]["assessed"]
    names = map(str, probabilities["compensation"].values)
    visible = [name for name in names if verdict.keeps(entries[name]["measure"])]
    return _criteria(
        metrics, probabilities.sel(compensation=visible), entries, references, "compensations"
    )


def _criteria(
    metrics: xr.Dataset,
    probabilities: xr.DataArray,
    entries: Mapping[str, Any],
    references: References,
    kind: str,
    **more: str,
) -> Markup:
    (dim,), beyond = probabilities.dims, "fails" if kind == "fms" else "found"
    notes = json.loads(probabilities.attrs.get("notes", "{}"))
    rows = []
    for name in map(str, probabilities[dim].values):
        entry = entries[name]
        p = float(probabilities.sel({dim: name}))
        in_words: h.Node = probability_in_words(p)
        if not math.isfinite(p):
            why = tables.sentence("report.scores.cannot_be_told", why=notes[name])
            in_words = h.span(".missing")[why]
        elif name in notes:
            in_words = in_words, " ", h.span(".note")[f"({notes[name]})"]
        rows.append(
            [
                (str(entry["long_name"]).capitalize(), references.cite(entry["source"])),
                _measured_in_words(metrics, entry["measure"]),
                _threshold_in_words(metrics, entry, beyond),
                in_words,
            ]
        )
    limits = tables.load("findings")["results"]
    stated, opposite = limits["outside"], limits["met"]
    about = {"stated": stated, "opposite": opposite, "met": 1 - opposite, "unmet": 1 - stated}
    explained = tables.sentence(f"report.{kind}.explained", **about, **more)
    what, when = (tables.sentence(f"report.{kind}.what"), tables.sentence(f"report.{kind}.when"))
    head = [what, "Measured", when, tables.sentence(f"report.{kind}.probability")]
    listing = table(head, rows, caption=tables.sentence(f"report.{kind}.caption"))
    cited = references.cite(str(probabilities.attrs.get("reference", "")))
    return html(listing, h.p[explained, " ", cited])


def _threshold_in_words(metrics: xr.Dataset, entry: Mapping[str, Any], kind: str) -> str:
    share = factor_of(metrics, entry["measure"])
    unit = "percent" if share != 1 else str(entry["units"])
    words = {"above": "above", "below": "below", "outside": "beyond ±"}[entry[kind]]
    limit = f"{words} {quantity(share * float(entry['threshold']), unit)}"
    if "met" not in entry:
        return limit
    return tables.sentence("report.fms.met_from", limit=limit, met=1 - float(entry["met"]))


def _measured_in_words(metrics: xr.Dataset, name: str) -> h.Node:
    words = str(metrics[name].attrs.get("long_name", name)) if name in metrics else name
    words = words.split(",")[0].replace("_", " ")
    if name not in metrics:
        return f"{words}: {MISSING}"

    def in_words(side: str | None = None) -> Markup:
        return measured(shown(metrics, name, side))

    if "side" not in metrics[name].dims:
        return f"{words}: ", in_words()
    return f"{words}: left ", in_words("left"), ", right ", in_words("right")
