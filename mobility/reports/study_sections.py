"""The parts of the reports on studies as HTML; texts of people are escaped."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from mobility import registry, tables
from mobility.errors import BadInputError
from mobility.formatting import MISSING, between, quantity, rounded
from mobility.reports.sections import paragraphs, table
from mobility.studies.retest import main_error
from mobility.wording import capital, listed

if TYPE_CHECKING:
    import pandas as pd

    from mobility.studies.groups import Groups
    from mobility.studies.reliability import Reliability
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


MOST_DRAWN = 2
"""Measures of which a picture is drawn."""


def flow(steps: pd.DataFrame) -> str:
    """Give the flow of a study of reliability: participants and trials at each step."""
    rows = [
        [escape(capital(each.step)), f"{each.participants}", f"{each.trials}"]
        for each in steps.itertuples()
    ]
    head = [tables.sentence("studies.flow.head"), "Participants", "Trials"]
    return table(head, rows, caption=tables.sentence("studies.flow.caption"), numeric=True)


def usual_measures(study: Study, names: Sequence[str]) -> list[str]:
    """Choose the measures that come first: the usual ones of the exercise, else the first ones."""
    exercise = registry.exercise(str(study.table["exercise"].iloc[0]))
    return [n for n in exercise.table["cohort"] if n in names] or list(names[:MOST_NAMED])


def _statistic(found: Reliability, statistic: str) -> pd.DataFrame:
    rows = found.statistics
    return rows[rows["statistic"].eq(statistic)]


def _of_one(found: Reliability, metric: str, side: str, statistic: str) -> Any:
    try:
        return main_error(found, metric, side, statistic)
    except BadInputError:
        return None


def _measures(found: Reliability) -> list[tuple[str, str]]:
    pairs = found.statistics[["metric", "side"]].drop_duplicates()
    return list(pairs.itertuples(index=False, name=None))


def reliability_in_short(study: Study, found: Reliability, usual: Sequence[str]) -> str:
    """Say of the usual measures what a change must exceed."""
    items = []
    for metric, side in _measures(found):
        sem, mdc, icc = (_of_one(found, metric, side, name) for name in ("sem", "mdc95", "icc"))
        if metric not in usual or sem is None or not math.isfinite(sem["value"]):
            continue
        units = sem["units"]
        items.append(
            tables.sentence(
                "studies.reliability.item",
                name=name_of(study.table, metric, side),
                mdc=quantity(mdc["value"], units, digits=_digits(units)),
                sem=quantity(sem["value"], units, digits=_digits(units)),
                low=quantity(sem["low"], units, digits=_digits(units)),
                high=quantity(sem["high"], units, digits=_digits(units)),
                icc=rounded(icc["value"], 2),
            )
        )
    if not items:
        return paragraphs(tables.sentence("studies.reliability.none"))
    return "<ul>" + "".join(f"<li>{escape(item)}</li>" for item in items) + "</ul>"


def _digits(units: str) -> int | None:
    """Decimals of an error: one more than of a value in degrees or percent."""
    return 1 if units in ("degree", "percent") else None


def drawn(found: Reliability, usual: Sequence[str]) -> list[tuple[str, str]]:
    """Choose the measures and sides of the pictures."""
    errors = _statistic(found, "sem")
    given = errors[errors["value"].notna() & errors["metric"].isin(list(usual))]
    pairs = given.loc[given["side"].ne("right"), ["metric", "side"]].drop_duplicates()
    return list(pairs.itertuples(index=False, name=None))[:MOST_DRAWN]


def reliability_table(study: Study, found: Reliability) -> str:
    """List ICC, SEM and MDC of all measures, by what differs, with their intervals."""
    html = ""
    errors = found.statistics[found.statistics["statistic"].isin(["icc", "sem", "mdc95"])]
    for over, of_over in errors[errors["reason"].eq("")].groupby("over", sort=False):
        rows = []
        for (metric, side), one in of_over.groupby(["metric", "side"], sort=False):
            sem = one[one["statistic"].eq("sem")].iloc[:1]
            if sem.empty:
                continue
            units = str(sem["units"].iloc[0])
            mdc = one[one["statistic"].eq("mdc95") & one["form"].isin(sem["form"])]
            icc = one[one["statistic"].eq("icc")].set_index("form")
            rows.append(
                [
                    escape(name_of(study.table, metric, side)),
                    f"{sem['participants'].iloc[0]}",
                    *(
                        _with_interval(icc.loc[form], "1") if form in icc.index else MISSING
                        for form in _shown_forms(icc.index)
                    ),
                    _with_interval(sem.iloc[0], units),
                    _with_interval(mdc.iloc[0], units) if len(mdc) else MISSING,
                ]
            )
        forms = _shown_forms(of_over.loc[of_over["statistic"].eq("icc"), "form"])
        head = ["Measure", "People", *map(escape, forms), "SEM", "MDC₉₅"]
        caption = tables.sentence("studies.reliability.caption", over=over)
        html += table(head, rows, caption=caption, numeric=True)
    return html + _without_result(study, found, "sem")


def _shown_forms(forms: Iterable[str]) -> list[str]:
    """Forms of one measurement; those of means are in the file."""
    return [form for form in dict.fromkeys(forms) if not form.endswith("k)")]


def _with_interval(row: pd.Series, units: str) -> str:
    digits = 2 if units == "1" else _digits(units)
    value = quantity(row["value"], units, digits=digits)
    if not math.isfinite(row["low"]):
        return value
    ends = between(row["low"], row["high"], digits=digits)
    return f"{value} <span class='interval'>({ends})</span>"


def _without_result(study: Study, found: Reliability, statistic: str) -> str:
    rows = _statistic(found, statistic)
    rows = rows[rows["reason"].ne("")]
    if rows.empty:
        return ""
    items = "".join(
        f"<li>{escape(str(reason))}: "
        + escape(listed([name_of(study.table, m) for m in dict.fromkeys(of["metric"])]))
        + "</li>"
        for reason, of in rows.groupby("reason", sort=False)
    )
    return paragraphs(tables.sentence("studies.groups.without")) + f"<ul>{items}</ul>"


def changes_of_levels(study: Study, found: Reliability) -> str:
    """List the systematic changes between measurements, with limits of agreement."""
    rows = []
    limits = {
        name: _statistic(found, name).set_index(["metric", "side", "over", "of"])["value"]
        for name in ("limit_low", "limit_high")
    }
    changed = _statistic(found, "change")
    for row in changed[changed["reason"].eq("")].itertuples():
        key, digits = (row.metric, row.side, row.over, row.of), _digits(row.units)
        signed: dict[str, Any] = {"digits": digits, "signed": True}
        low, high = (limits[name].get(key, math.nan) for name in ("limit_low", "limit_high"))
        rows.append(
            [
                escape(name_of(study.table, row.metric, row.side)),
                f"<td class='text'>{escape(f'{row.over} {row.of}')}</td>",
                quantity(row.value, row.units, **signed),
                between(row.low, row.high, row.units, **signed),
                p_value(row.p),
                between(low, high, row.units, **signed),
            ]
        )
    head = ["Measure", "Of", "Mean change", "95 % interval", "p", "Limits of agreement"]
    caption = tables.sentence("studies.reliability.change_caption")
    html = table(head, rows, caption=caption, numeric=True)
    return html + _kappas(study, found) + _without_result(study, found, "change")


def _kappas(study: Study, found: Reliability) -> str:
    kappas = _statistic(found, "kappa")
    rows = [
        [
            escape(name_of(study.table, row["metric"], row["side"])),
            escape(row["form"]),
            _with_interval(row, "1"),
        ]
        for _, row in kappas[kappas["reason"].eq("")].iterrows()
    ]
    if not rows:
        return ""
    caption = tables.sentence("studies.reliability.kappa_caption")
    return table(["Score", "Weights", "Kappa"], rows, caption=caption, numeric=True)


def components(study: Study, found: Reliability) -> str:
    """List the standard deviation of each part of the variance, a column for each part."""
    parts = _statistic(found, "component")
    given = parts[parts["reason"].eq("")]
    terms = list(dict.fromkeys(given["of"]))
    rows = []
    for (metric, side), one in given.groupby(["metric", "side"], sort=False):
        by_term = one.set_index("of")
        rows.append(
            [
                escape(name_of(study.table, metric, side)),
                *(
                    _with_interval(by_term.loc[term], one["units"].iloc[0])
                    if term in by_term.index
                    else MISSING
                    for term in terms
                ),
            ]
        )
    head = ["Measure", *(escape(capital(term)) for term in terms)]
    caption = tables.sentence("studies.reliability.components_caption")
    html = table(head, rows, caption=caption, numeric=True)
    return html + _without_result(study, found, "component")


def reliability_methods(study: Study, found: Reliability) -> str:
    """Write the paragraph of a paper that says what was done."""
    first = study.table.iloc[0]
    errors = _statistic(found, "sem")
    factors = listed(list(dict.fromkeys(", ".join(filter(None, errors["over"])).split(", "))))
    methods_of = set(errors["method"])
    how = "balanced" if methods_of == {"analysis of variance"} else "components"
    return paragraphs(
        tables.sentence(
            "studies.reliability.methods",
            exercise=first["exercise"],
            software=listed(sorted(set(study.sessions["software"]) - {""})),
            anova=tables.sentence(f"studies.reliability.{how}", factors=factors),
            factors=factors,
        )
    )


def guidelines(study: Study, found: Reliability) -> str:
    """List what guidelines ask for: what the report says, and what is left to write."""
    html = ""
    for name, guide in tables.load("reliability_items").items():
        has = set(found.statistics["statistic"])
        rows = []
        for item in guide["items"]:
            if item.get("where") and item["where"] not in has:
                continue
            done = "done" in item
            rows.append(
                [
                    f"{item['number']}",
                    f"<td>{escape(item['part'])}</td>",
                    f"<td>{escape(item['text'])}</td>",
                    f"<td>{'☑' if done else '☐'}</td>",
                    f"<td>{escape(item['done'] if done else item['todo'])}</td>",
                ]
            )
        caption = f"{name.upper()}: {guide['source']}"
        head = ["Item", "Part", "To report", "Done", "Where, or what to add"]
        html += table(head, rows, caption=caption)
    return html
