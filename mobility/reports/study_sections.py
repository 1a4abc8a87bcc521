"""The parts of the reports on studies as HTML."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import htpy as h
from markupsafe import Markup

from mobility import registry, tables
from mobility.errors import BadInputError
from mobility.formatting import MISSING, between, quantity, rounded
from mobility.pipeline.cohort import UNKNOWN, choose_measures
from mobility.reports.sections import Cell, Row, bullets, html, opening, paragraphs, table
from mobility.studies import retest_curves as curves_again
from mobility.studies.retest import main_error
from mobility.wording import capital, listed, measure_in_words, shortened

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from mobility.studies.groups import Groups
    from mobility.studies.reliability import Reliability
    from mobility.studies.study_table import Study

MOST_NAMED = 6
"""Differences that the first lines name."""

CERTAIN = 0.05


def participants(study: Study) -> Markup:
    """Give the flow of sessions and participants, from the list to the statistics."""
    return counted(study.flow())


def counted(steps: Iterable[tuple[str, int]]) -> Markup:
    """Make the table of who was measured, of what is counted and the number."""
    rows = [[capital(words), f"{count}"] for words, count in steps]
    head = [tables.sentence("studies.flow.head"), tables.sentence("studies.flow.count")]
    return table(head, rows, caption=tables.sentence("studies.flow.caption"), numeric=True)


def sessions(study: Study) -> Markup:
    """List the sessions, those that are left out first, with the reason."""
    rows = [
        [each.session_id, each.participant, each.reason or "–"]
        for each in study.sessions.sort_values(
            "reason", key=lambda reason: reason.eq(""), kind="stable"
        ).itertuples()
    ]
    head = ["Session", "Participant", "Why it is left out"]
    return opening(tables.sentence("studies.sessions"), table(head, rows, caption=""))


def name_of(rows: pd.DataFrame, metric: str, side: str = "") -> str:
    """Name a measure as the sessions do, with its side: "Knee flexion, left"."""
    named = rows.loc[rows["metric"].eq(metric), "long_name"]
    name = measure_in_words(metric, str(named.iloc[0]) if len(named) else "")
    return f"{name}, {side}" if side not in ("", "both") else name


def differences_in_words(study: Study, made: Groups) -> dict[str, list[str]]:
    """Say of each effect how many measures differ, and then which."""
    compared = made.differences[made.differences["reason"].eq("")]
    words = {}
    for effect, rows in compared.groupby("effect", sort=False):
        beyond = rows[rows["p_holm"].lt(CERTAIN)]
        beyond = beyond.sort_values("effect_size", key=abs, ascending=False)
        about = {"effect": f"{effect}{_adjusted(made)}", "count": len(rows), "beyond": len(beyond)}
        which = {0: "none", 1: "one"}.get(len(beyond), "some")
        which += "_of_one" if len(rows) == 1 else ""
        words[str(effect)] = [
            tables.sentence(f"studies.groups.beyond.{which}", **about),
            *(
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
            ),
        ]
    return words


def _adjusted(made: Groups) -> str:
    """Say what differences are adjusted for; empty where for nothing."""
    names = listed(made.adjust)
    return tables.sentence("studies.groups.adjusted", names=names) if made.adjust else ""


def differences_in_short(study: Study, made: Groups) -> Markup:
    """Say in words which measures differ, and how much the study could have missed."""
    parts: list[h.Node] = []
    for effect, (first, *items) in differences_in_words(study, made).items():
        parts += [h.h3[capital(effect)], paragraphs(first), bullets(items)]
    return html(*(parts or [paragraphs(tables.sentence("studies.groups.nothing"))]))


def interval(low: float, high: float, units: str) -> str:
    """Give an interval of differences: "+1° to +9°"."""
    return f"{quantity(low, units, signed=True)} to {quantity(high, units, signed=True)}"


def p_value(p: float, *, name: str = "") -> str:
    """Give a p value as papers do: "0.032", "< 0.001"; with its name "p = 0.032"."""
    if math.isnan(p):
        return MISSING
    text = "< 0.001" if p < 0.001 else f"{p:.3f}"
    return f"{name} {'' if text[0] == '<' else '= '}{text}" if name else text


def differences(study: Study, made: Groups) -> Markup:
    """List all differences, with what the error of measurement costs; then why some are missing."""
    rows: list[Row] = []
    for row in made.differences[made.differences["reason"].eq("")].itertuples():
        units = row.units
        rows.append(
            [
                name_of(study.table, row.metric, row.side),
                Cell(row.comparison, "text"),
                quantity(row.difference, units, signed=True),
                interval(row.low, row.high, units),
                rounded(row.effect_size, 2, signed=True),
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
    caption = tables.sentence("studies.groups.caption", adjusted=_adjusted(made))
    made_table = table(head, rows, caption=caption, numeric=True)
    return html(made_table, without_result(study, made.differences))


def without_result(study: Study, statistics: pd.DataFrame) -> Markup:
    """Name the measures without a result, by the reason; empty where all have one."""
    without = statistics[statistics["reason"].ne("")]
    if without.empty:
        return html()
    items = (
        f"{reason}: {shortened(name_of(study.table, m) for m in dict.fromkeys(of['metric']))}"
        for reason, of in without.groupby("reason", sort=False)
    )
    return html(paragraphs(tables.sentence("studies.groups.without")), bullets(items))


def people_of_groups(study: Study, by: str) -> Markup:
    """Describe the people of each group; empty where nothing is on record, or sides are compared.

    A person counts once in a group, as at the first session there.
    """
    used = study.sessions[study.sessions["reason"].eq("")]
    if by not in used:
        return html()
    of_group = used.drop_duplicates(["participant", by]).groupby(by, sort=False)
    groups = [people for _, people in of_group]
    rows: list[Row] = [["Participants", *(f"{len(people)}" for people in groups)]]
    described = {"sex": _shares, "age": _mean, "height_m": _mean, "weight_kg": _mean}
    for column, describe in described.items():
        cells = [describe(people[column], len(people)) for people in groups]
        if column != by and any(cell != MISSING for cell in cells):
            rows.append([tables.sentence(f"studies.people.{column}"), *cells])
    head = [tables.sentence("studies.people.head"), *(str(group) for group, _ in of_group)]
    return table(head, rows, caption=tables.sentence("studies.people.caption"), numeric=True)


def _mean(values: pd.Series, people: int) -> str:
    """Give mean and standard deviation, with the number of people where some are not known."""
    import pandas as pd

    present = pd.to_numeric(values, errors="coerce").dropna()
    if len(present) < 2:
        return MISSING
    digits = 2 if present.mean() < 10 else 1
    text = f"{rounded(present.mean(), digits)} ({rounded(present.std(), digits)})"
    return text if len(present) == people else f"{text}, n = {len(present)}"


def _shares(values: pd.Series, people: int) -> str:
    """Count each kind, and those that are not known: "7 female and 5 male"."""
    counts = values.astype(str).replace({"": UNKNOWN, "nan": UNKNOWN}).value_counts(sort=False)
    counts = counts[counts.gt(0)].sort_index()
    if list(counts.index) == [UNKNOWN]:
        return MISSING
    return listed([f"{count} {kind}" for kind, count in counts.items()])


def description(study: Study, made: Groups) -> Markup:
    """Describe each group as a paper does: people: mean (SD)."""
    paper = made.paper_table()
    rows = [
        [name_of(study.table, row[0], row[1]), *row[2:]]
        for row in paper.itertuples(index=False, name=None)
    ]
    head = ["Measure", *paper.columns[2:]]
    return table(head, rows, caption=tables.sentence("studies.groups.description"), numeric=True)


def missing(study: Study, without_value: pd.DataFrame) -> Markup:
    """Count the values that are missing, by reason; the most frequent first."""
    if without_value.empty:
        return paragraphs(tables.sentence("studies.none_missing"))
    by_reason = without_value.groupby(["metric", "side", "reason"], sort=False)
    counted = by_reason["values"].sum()
    rows: list[Row] = [
        [
            name_of(study.table, metric, side),
            f"{count}",
            Cell(why, "text"),
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


def methods(study: Study, by: str, within: Sequence[str], adjust: Sequence[str]) -> Markup:
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


MOST_OPEN = 20
"""Rows of a table that is open."""

MOST_DRAWN = 2
"""Measures of which a picture is drawn."""


def flow(steps: pd.DataFrame) -> Markup:
    """Give the flow of a study of reliability: participants and trials at each step."""
    rows = [
        [capital(each.step), f"{each.participants}", f"{each.trials}"]
        for each in steps.itertuples()
    ]
    head = [tables.sentence("studies.flow.head"), "Participants", "Trials"]
    return table(head, rows, caption=tables.sentence("studies.flow.caption"), numeric=True)


def usual_measures(study: Study, names: Sequence[str]) -> list[str]:
    """Choose the measures that come first: the usual ones of the exercise, else the first ones."""
    exercise = registry.exercise(str(study.table["exercise"].iloc[0]))
    usual = [n for n in choose_measures(exercise.table["cohort"], names) if n in names]
    return usual or list(names[:MOST_NAMED])


def _statistic(result: Reliability, statistic: str) -> pd.DataFrame:
    rows = result.statistics
    return rows[rows["statistic"].eq(statistic)]


def _of_one(result: Reliability, metric: str, side: str, statistic: str) -> Any:
    try:
        return main_error(result, metric, side, statistic)
    except BadInputError:
        return None


def _measures(result: Reliability) -> list[tuple[str, str]]:
    pairs = result.statistics[["metric", "side"]].drop_duplicates()
    return list(pairs.itertuples(index=False, name=None))


def reliability_in_words(study: Study, result: Reliability, usual: Sequence[str]) -> list[str]:
    """Say of each of the usual measures what a change must exceed."""
    items = []
    for metric, side in _measures(result):
        sem, mdc, icc = (_of_one(result, metric, side, name) for name in ("sem", "mdc95", "icc"))
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
    return items


def reliability_in_short(study: Study, result: Reliability, usual: Sequence[str]) -> Markup:
    """Say of the usual measures what a change must exceed."""
    items = reliability_in_words(study, result, usual)
    return bullets(items) if items else paragraphs(tables.sentence("studies.reliability.none"))


def _digits(units: str) -> int | None:
    """Decimals of an error: one more than of a value in degrees or percent."""
    return 1 if units in ("degree", "percent") else None


def drawn(result: Reliability, usual: Sequence[str]) -> list[tuple[str, str]]:
    """Choose the measures and sides of the pictures."""
    errors = _statistic(result, "sem")
    given = errors[errors["value"].notna() & errors["metric"].isin(list(usual))]
    pairs = given.loc[given["side"].ne("right"), ["metric", "side"]].drop_duplicates()
    return list(pairs.itertuples(index=False, name=None))[:MOST_DRAWN]


def reliability_table(study: Study, result: Reliability) -> Markup:
    """List ICC, SEM and MDC of all measures, by what differs, with their intervals."""
    made = []
    errors = result.statistics[result.statistics["statistic"].isin(["icc", "sem", "mdc95"])]
    for over, of_over in errors[errors["value"].notna()].groupby("over", sort=False):
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
                    name_of(study.table, metric, side),
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
        head = ["Measure", "People", *forms, "SEM", "MDC₉₅"]
        caption = tables.sentence("studies.reliability.caption", over=over)
        made.append(_folded(table(head, rows, caption=caption, numeric=True), len(rows)))
    notes = dict.fromkeys(errors.loc[errors["note"].ne(""), "note"])
    return html(*made, bullets(notes), without_result(study, _statistic(result, "sem")))


def _folded(shown: Markup, rows: int) -> Markup:
    """Put a long table into a part that opens."""
    if rows <= MOST_OPEN:
        return shown
    return html(h.details[h.summary[tables.sentence("studies.all_rows", count=rows)], shown])


def _only_here_without(study: Study, result: Reliability, statistics: pd.DataFrame) -> Markup:
    """Name the measures without a result that are not named below the first table already."""
    errors = _statistic(result, "sem")
    named = errors.loc[errors["reason"].ne(""), "metric"]
    return without_result(study, statistics[~statistics["metric"].isin(named)])


def _shown_forms(forms: Iterable[str]) -> list[str]:
    """Forms of one measurement; those of means are in the file."""
    return [form for form in dict.fromkeys(forms) if not form.endswith("k)")]


def _with_interval(row: pd.Series, units: str) -> h.Node:
    digits = 2 if units == "1" else _digits(units)
    value = quantity(row["value"], units, digits=digits)
    if not math.isfinite(row["low"]):
        return value
    ends = between(row["low"], row["high"], digits=digits)
    return html(value, " ", h.span(".interval")[f"({ends})"])


def changes_of_levels(study: Study, result: Reliability) -> Markup:
    """List the systematic changes between measurements, with limits of agreement."""
    rows: list[Row] = []
    limits = {
        name: _statistic(result, name).set_index(["metric", "side", "over", "of"])["value"]
        for name in ("limit_low", "limit_high")
    }
    changed = _statistic(result, "change")
    for row in changed[changed["reason"].eq("")].itertuples():
        key, digits = (row.metric, row.side, row.over, row.of), _digits(row.units)
        signed: dict[str, Any] = {"digits": digits, "signed": True}
        low, high = (limits[name].get(key, math.nan) for name in ("limit_low", "limit_high"))
        rows.append(
            [
                name_of(study.table, row.metric, row.side),
                Cell(row.of if row.of.startswith(row.over) else f"{row.over}: {row.of}", "text"),
                quantity(row.value, row.units, **signed),
                between(row.low, row.high, row.units, **signed),
                p_value(row.p),
                between(low, high, row.units, **signed),
            ]
        )
    head = ["Measure", "Of", "Mean change", "95 % interval", "p", "Limits of agreement"]
    caption = tables.sentence("studies.reliability.change_caption")
    made = _folded(table(head, rows, caption=caption, numeric=True), len(rows))
    return html(made, _kappas(study, result), _only_here_without(study, result, changed))


def _kappas(study: Study, result: Reliability) -> Markup:
    kappas = _statistic(result, "kappa")
    rows = [
        [
            name_of(study.table, row["metric"], row["side"]),
            row["form"],
            _with_interval(row, "1"),
        ]
        for _, row in kappas[kappas["value"].notna()].iterrows()
    ]
    caption = tables.sentence("studies.reliability.kappa_caption")
    return table(["Score", "Weights", "Kappa"], rows, caption=caption, numeric=True)


def retest_curves(study: Study) -> list[xr.Dataset]:
    """Compute how the curves of a study repeat (consistency), of each angle of which some do."""
    if study.curves is None or study.curves.empty:
        return []
    errors = (
        curves_again.retest_curves(study.curves, name, kind="consistency")
        for name in dict.fromkeys(study.curves["metric"])
    )
    return [each for each in errors if each["sem"].notnull().any()]


def retest_curves_in_words(study: Study, errors: Sequence[xr.Dataset]) -> Markup:
    """Say where over the repetition each angle repeats best and worst; then what has no curve."""
    if study.curves is None or not errors:
        return paragraphs(tables.sentence("studies.reliability.no_curves"))
    items = []
    for each in errors:
        title = capital(str(each.attrs["title"]))
        units = str(each["sem"].attrs["units"])
        for side in each["side"].values:
            sem = each["sem"].sel(side=side).dropna("percent")
            if not sem.size:
                continue
            of_side: dict[str, Any] = {"name": f"{title}, {side}" if side else title}
            for end, at in (("low", sem.argmin("percent")), ("high", sem.argmax("percent"))):
                point = sem[int(at)]
                of_side[end] = quantity(float(point), units, digits=_digits(units))
                of_side[f"{end}_at"] = float(point["percent"]) / 100
            items.append(tables.sentence("studies.reliability.curve", **of_side))
    without = study.curves[study.curves["reason"].ne("")]
    for reason, rows in without.groupby("reason", sort=False):
        names = shortened(dict.fromkeys(rows["session_id"]))
        items.append(
            tables.sentence("studies.reliability.curve_left_out", reason=reason, names=names)
        )
    over = errors[0].attrs["over"]
    first = tables.sentence("studies.reliability.curves", over=" or ".join(over.split(", ")))
    return html(paragraphs(first), bullets(items))


def components(study: Study, result: Reliability) -> Markup:
    """List the standard deviation of each part of the variance, a column for each part."""
    parts = _statistic(result, "component")
    given = parts[parts["reason"].eq("")]
    terms = list(dict.fromkeys(given["of"]))
    rows: list[Row] = []
    for (metric, side), one in given.groupby(["metric", "side"], sort=False):
        by_term = one.set_index("of")
        rows.append(
            [
                name_of(study.table, metric, side),
                *(
                    _with_interval(by_term.loc[term], one["units"].iloc[0])
                    if term in by_term.index
                    else MISSING
                    for term in terms
                ),
            ]
        )
    head = ["Measure", *(capital(term) for term in terms)]
    caption = tables.sentence("studies.reliability.components_caption")
    made = _folded(table(head, rows, caption=caption, numeric=True), len(rows))
    return html(made, _only_here_without(study, result, parts))


def reliability_methods(study: Study, result: Reliability) -> Markup:
    """Write the paragraph of a paper that says what was done."""
    first = study.table.iloc[0]
    errors = _statistic(result, "sem")
    factors = listed(list(dict.fromkeys(", ".join(filter(None, errors["over"])).split(", "))))
    methods_of = set(errors["method"])
    how = tables.sentence(
        "studies.reliability.by.balanced"
        if methods_of == {"analysis of variance"}
        else "studies.reliability.by.components",
        factors=factors,
    )
    return paragraphs(
        tables.sentence(
            "studies.reliability.methods",
            exercise=first["exercise"],
            software=listed(sorted(set(study.sessions["software"]) - {""})),
            anova=how,
            factors=factors,
        )
    )


def guidelines(study: Study, result: Reliability) -> Markup:
    """List what guidelines ask for: what the report says, and what is left to write."""
    made = []
    for name, guide in tables.load("reliability_items").items():
        has = set(result.statistics.loc[result.statistics["value"].notna(), "statistic"])
        rows = []
        for item in guide["items"]:
            if item.get("where") and item["where"] not in has:
                continue
            done = "done" in item
            rows.append(
                [
                    f"{item['number']}",
                    item["part"],
                    item["text"],
                    "☑" if done else "☐",
                    item["done"] if done else item["todo"],
                ]
            )
        caption = f"{name.upper()}: {guide['source']}"
        head = ["Item", "Part", "To report", "Done", "Where, or what to add"]
        made.append(table(head, rows, caption=caption))
    return html(*made)
