"""The parts of the reports on studies as HTML; texts of people are escaped."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from mobility import tables
from mobility.formatting import MISSING, quantity
from mobility.reports.sections import paragraphs, table
from mobility.wording import capital, listed

if TYPE_CHECKING:
    import pandas as pd

    from mobility.studies.groups import Groups
    from mobility.studies.study_table import Study

MOST_NAMED = 6
"""Differences that the first lines name."""

CERTAIN = 0.05


def participants(study: Study) -> str:
    """Give the flow of sessions and participants, from the list to the statistics."""
    rows = [[escape(capital(words)), f"{count}"] for words, count in study.flow()]
    head = [tables.sentence("studies.flow.head"), tables.sentence("studies.flow.count")]
    return table(head, rows, caption=tables.sentence("studies.flow.caption"), numeric=True)


def sessions(study: Study) -> str:
    """List the sessions, those that are left out first, with the reason."""
    rows = [
        [escape(each.session_id), escape(each.participant), escape(each.reason or "–")]
        for each in study.sessions.sort_values(
            "reason", key=lambda reason: reason.eq(""), kind="stable"
        ).itertuples()
    ]
    head = ["Session", "Participant", "Why it is left out"]
    listing = table(head, rows, caption="")
    return f"<details><summary>{tables.sentence('studies.sessions')}</summary>{listing}</details>"


def name_of(rows: pd.DataFrame, metric: str, side: str = "") -> str:
    """Name a measure as the sessions do, with its side: "Knee flexion, left"."""
    named = rows.loc[rows["metric"].eq(metric), "long_name"]
    name = capital(str(named.iloc[0])) if len(named) else metric
    if "[" in metric:
        name += f" ({metric.partition('[')[2].removesuffix(']')})"
    return f"{name}, {side}" if side not in ("", "both") else name


def differences_in_short(study: Study, made: Groups) -> str:
    """Say in words which measures differ, and how much the study could have missed."""
    compared = made.differences[made.differences["reason"].eq("")]
    html = ""
    for effect, rows in compared.groupby("effect", sort=False):
        beyond = rows[rows["p_holm"].lt(CERTAIN)].copy()
        beyond = beyond.sort_values("effect_size", key=abs, ascending=False)
        about = {"effect": effect, "count": len(rows), "beyond": len(beyond)}
        html += f"<h3>{escape(capital(str(effect)))}</h3>"
        if beyond.empty:
            html += paragraphs(tables.sentence("studies.groups.none", **about))
            continue
        html += paragraphs(tables.sentence("studies.groups.some", **about))
        items = [
            tables.sentence(
                "studies.groups.difference",
                name=name_of(study.table, row.metric, row.side),
                comparison=row.comparison,
                difference=quantity(row.difference, row.units, signed=True),
                low=quantity(row.low, row.units, signed=True),
                high=quantity(row.high, row.units, signed=True),
                p=p_value(row.p_holm, name="p"),
            )
            for row in beyond.head(MOST_NAMED).itertuples()
        ]
        html += "<ul>" + "".join(f"<li>{escape(item)}</li>" for item in items) + "</ul>"
    if compared.empty:
        html = paragraphs(tables.sentence("studies.groups.nothing"))
    return html


def interval(low: float, high: float, units: str) -> str:
    """Give an interval of differences: "+1° to +9°"."""
    return f"{quantity(low, units, signed=True)} to {quantity(high, units, signed=True)}"


def p_value(p: float, *, name: str = "") -> str:
    """Give a p value as papers do: "0.032", "< 0.001"; with its name "p = 0.032"."""
    if math.isnan(p):
        return MISSING
    text = "< 0.001" if p < 0.001 else f"{p:.3f}"
    return f"{name} {'' if text[0] == '<' else '= '}{text}" if name else text


def differences(study: Study, made: Groups) -> str:
    """List all differences, with what the error of measurement costs; then why some are missing."""
    rows = []
    for row in made.differences[made.differences["reason"].eq("")].itertuples():
        units = row.units
        rows.append(
            [
                escape(name_of(study.table, row.metric, row.side)),
                f"<td class='text'>{escape(row.comparison)}</td>",
                quantity(row.difference, units, signed=True),
                interval(row.low, row.high, units),
                f"{row.effect_size:+.2f}",
                p_value(row.p),
                p_value(row.p_holm),
                f"{row.participants} ({row.missing})",
                quantity(row.detectable, units),
                quantity(row.detectable_without_error, units),
            ]
        )
    head = [
        *("Measure", "Comparison", "Difference", "95 % interval", "g", "p", "p, Holm"),
        *("People (values missing)", "Detectable", "… without error"),
    ]
    html = table(head, rows, caption=tables.sentence("studies.groups.caption"), numeric=True)
    without = made.differences[made.differences["reason"].ne("")]
    if len(without):
        reasons = without.groupby("reason", sort=False)["metric"].unique()
        items = "".join(
            f"<li>{escape(reason)}: {escape(listed([name_of(study.table, m) for m in names]))}</li>"
            for reason, names in reasons.items()
        )
        html += paragraphs(tables.sentence("studies.groups.without")) + f"<ul>{items}</ul>"
    return html


def description(study: Study, made: Groups) -> str:
    """Describe each group as a paper does: people: mean (SD)."""
    paper = made.paper_table()
    rows = [
        [escape(name_of(study.table, row[0], row[1])), *map(escape, row[2:])]
        for row in paper.itertuples(index=False, name=None)
    ]
    head = ["Measure", *map(escape, paper.columns[2:])]
    return table(head, rows, caption=tables.sentence("studies.groups.description"), numeric=True)


def missing(study: Study, reasons: pd.DataFrame) -> str:
    """Count the values that are missing, by reason; the most frequent first."""
    if reasons.empty:
        return paragraphs(tables.sentence("studies.none_missing"))
    counted = reasons.groupby(["metric", "side", "reason"], sort=False)["count"].sum()
    rows = [
        [
            escape(name_of(study.table, metric, side)),
            f"{count}",
            f"<td class='text'>{escape(why)}</td>",
        ]
        for (metric, side, why), count in counted.sort_values(ascending=False).items()
    ]
    head = ["Measure", "Values missing", "Why"]
    return table(head, rows, caption=tables.sentence("studies.missing"), numeric=True)


def largest(made: Groups, count: int) -> list[str]:
    """Name the measures with the largest differences, for pictures."""
    compared = made.differences[made.differences["reason"].eq("")]
    order = compared.sort_values("effect_size", key=abs, ascending=False)["metric"]
    return list(dict.fromkeys(order))[:count]


def methods(study: Study, by: str, within: Sequence[str], adjust: Sequence[str]) -> str:
    """Write the paragraph of a paper that says what was done."""
    first = study.table.iloc[0]
    factors = tables.sentence("studies.groups.within", names=listed(within)) if within else ""
    covariates = tables.sentence("studies.groups.adjusted", names=listed(adjust)) if adjust else ""
    return paragraphs(
        tables.sentence(
            "studies.groups.methods",
            exercise=first["exercise"],
            software=first["software"],
            by=by,
            within=factors,
            adjust=covariates,
        )
    )
