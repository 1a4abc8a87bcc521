"""The parts of the reports on studies as HTML."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import htpy as h
from markupsafe import Markup

from mobility import tables
from mobility.base.formatting import (
    MISSING,
    between,
    capital,
    count_range,
    digits_and_suffix,
    listed,
    measure_in_words,
    quantity,
    rounded,
    shortened,
)
from mobility.catalogue import registry
from mobility.errors import BadInputError
from mobility.keypoints.sources import MEDIAPIPE
from mobility.reports.html import Cell, Row, bullets, html, opening, paragraphs, table
from mobility.studies import retest as curves_again
from mobility.studies.cohort import UNKNOWN, choose_measures, with_origin
from mobility.studies.retest import main_error

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from mobility.studies.groups import Groups
    from mobility.studies.reliability import Reliability
    from mobility.studies.study_table import Study

MOST_NAMED = 6
"""Largest number of differences that the first lines name."""

CERTAIN = 0.05


def participants(study: Study) -> Markup:
    """Show the flow of sessions and participants, from the list to the statistics."""
    return counted(study.flow()) + paragraphs(*differing_in_words(study))


def differing_in_words(study: Study) -> list[str]:
    """Warn if sessions were filmed from different views, or do not share one model."""
    used = study.sessions[study.sessions["reason"].eq("")]
    views = sorted({str(view) for view in used["view"] if view})
    lines = [tables.sentence("studies.several_views", views=listed(views))] if views[1:] else []
    return lines + models_in_words(used)


def models_in_words(sessions: pd.DataFrame) -> list[str]:
    """Warn about keypoints from several models, or from a model whose errors were not measured."""
    models = models_of(sessions)
    if len(models) > 1:
        return [tables.sentence("studies.several_models", models=listed(models))]
    if set(with_origin(sessions)["pose_source"]) - {MEDIAPIPE}:
        return [tables.sentence("studies.one_model", model=listed(models))]
    return []


def models_of(sessions: pd.DataFrame) -> list[str]:
    """Name the keypoint models of sessions, each of them once."""
    return sorted({str(model) for model in with_origin(sessions)["source_software"]})


def counted(steps: Iterable[tuple[str, int]]) -> Markup:
    """Make the table of measured people: the counted items and their numbers."""
    rows = [[capital(words), f"{count}"] for words, count in steps]
    head = [tables.sentence("studies.flow.head"), tables.sentence("studies.flow.count")]
    return table(head, rows, caption=tables.sentence("studies.flow.caption"), numeric=True)


def sessions(study: Study) -> Markup:
    """List the sessions; those that are left out come first, with the reason."""
    rows = [
        [each.session_id, each.participant, each.view, f"{each.cameras}", each.reason or "–"]
        for each in study.sessions.sort_values(
            "reason", key=lambda reason: reason.eq(""), kind="stable"
        ).itertuples()
    ]
    head = ["Session", "Participant", "View", "Cameras", "Why it is left out"]
    return opening(tables.sentence("studies.sessions"), table(head, rows, caption=""))


def name_of(rows: pd.DataFrame, metric: str, side: str = "") -> str:
    """Name a measure as the sessions do, with its side: "Knee flexion, left"."""
    named = rows.loc[rows["metric"].eq(metric), "long_name"]
    name = measure_in_words(metric, str(named.iloc[0]) if len(named) else "")
    return f"{name}, {side}" if side not in ("", "both") else name


def differences_in_words(study: Study, groups: Groups) -> dict[str, list[tuple[str, list[str]]]]:
    """State for each effect how many and which measures differ, and then the usual measures."""
    compared = groups.differences[groups.differences["reason"].eq("")]
    usual = usual_measures(study, list(dict.fromkeys(compared["metric"])))
    words = {}
    for effect, rows in compared.groupby("effect", sort=False):
        beyond = rows[rows["p_holm"].lt(CERTAIN)]
        beyond = beyond.sort_values("effect_size", key=abs, ascending=False)
        about = {
            "effect": f"{effect}{_adjusted(groups)}",
            "count": len(rows),
            "beyond": len(beyond),
        }
        which = {0: "none", 1: "one"}.get(len(beyond), "some")
        which += "_of_one" if len(rows) == 1 else ""
        named = beyond.head(MOST_NAMED)
        parts = [(tables.sentence(f"studies.groups.beyond.{which}", **about), named)]
        usual_rows = rows[rows["metric"].isin(usual)].drop(index=named.index, errors="ignore")
        if len(usual_rows):
            parts.append((tables.sentence("studies.groups.usual"), usual_rows))
        words[str(effect)] = [
            (sentence, [_difference(study, row) for row in of_sentence.itertuples()])
            for sentence, of_sentence in parts
        ]
    return words


def _difference(study: Study, row: Any) -> str:
    """State how large a difference is, with its interval and p adjusted for all measures."""
    shown: dict[str, Any] = {"signed": True, "digits": _digits(row.units, (row.high - row.low) / 2)}
    difference, low, high = (
        quantity(value, row.units, **shown) for value in (row.difference, row.low, row.high)
    )
    return tables.sentence(
        "studies.groups.difference",
        name=name_of(study.table, row.metric, row.side),
        comparison=row.comparison,
        p=p_value(row.p_holm, name="p"),
        **{"difference": difference, "low": low, "high": high},
    )


def _adjusted(groups: Groups) -> str:
    """State what differences are adjusted for; empty if there is nothing."""
    names = listed(groups.adjust)
    return tables.sentence("studies.groups.adjusted", names=names) if groups.adjust else ""


def differences_in_short(study: Study, groups: Groups) -> Markup:
    """State which measures differ, and how large a difference the study could have missed."""
    parts: list[h.Node] = [paragraphs(*warnings_in_words(groups))]
    for effect, of_effect in differences_in_words(study, groups).items():
        parts.append(h.h3[capital(effect)])
        parts += [html(paragraphs(sentence), bullets(items)) for sentence, items in of_effect]
    if len(parts) == 1:
        reasons = reasons_without_result(study, groups.differences)
        return html(paragraphs(tables.sentence("studies.groups.nothing")), bullets(reasons))
    several = study.sessions.loc[study.sessions["reason"].eq(""), "participant"].duplicated().any()
    drawn_otherwise = several or groups.adjust
    parts.append(paragraphs(tables.sentence("studies.groups.drawn")) if drawn_otherwise else "")
    return html(*parts)


def warnings_in_words(groups: Groups) -> list[str]:
    """Explain the warnings that apply to all differences."""
    return [str(warning["message"]) for warning in groups.warnings]


def _spread(groups: Groups) -> str:
    """State the assumption about the variances of groups; empty without groups of people."""
    alike = tables.sentence("studies.groups.method.alike")
    methods_of = [each for each in dict.fromkeys(groups.differences["method"].dropna()) if each]
    by_group = [each for each in methods_of if each != alike]
    if not by_group:
        return ""
    return tables.sentence("studies.groups.spread", methods=listed(by_group))


def p_value(p: float, *, name: str = "") -> str:
    """Write a p value as in papers: "0.032", "< 0.001"; with its name: "p = 0.032"."""
    if math.isnan(p):
        return MISSING
    text = "< 0.001" if p < 0.001 else f"{p:.3f}"
    return f"{name} {'' if text[0] == '<' else '= '}{text}" if name else text


def differences(study: Study, groups: Groups) -> Markup:
    """List all differences, with the effect of the error of measurement and missing results."""
    rows: list[Row] = []
    for row in groups.differences[groups.differences["reason"].eq("")].itertuples():
        units, digits = row.units, _digits(row.units, (row.high - row.low) / 2)
        signed: dict[str, Any] = {"digits": digits, "signed": True}
        rows.append(
            [
                name_of(study.table, row.metric, row.side),
                Cell(row.comparison, "text"),
                quantity(row.difference, units, **signed),
                between(row.low, row.high, units, **signed),
                rounded(row.effect_size, 2, signed=True),
                rounded(row.freedom, 1),
                p_value(row.p),
                p_value(row.p_holm),
                f"{row.participants} ({row.missing})",
                quantity(row.detectable, units, digits=digits),
                quantity(row.detectable_without_error, units, digits=digits),
            ]
        )
    head = [
        *("Measure", "Comparison", "Difference", "95 % interval", "g", "df", "p", "p, Holm"),
        *("People (values missing)", "Detectable", "… without error"),
    ]
    caption = tables.sentence("studies.groups.caption", adjusted=_adjusted(groups))
    shown = _listing(head, rows, caption)
    return html(shown, paragraphs(_spread(groups)), without_result(study, groups.differences))


def without_result(study: Study, statistics: pd.DataFrame) -> Markup:
    """Name the measures without a result, by reason; empty if all have a result."""
    items = reasons_without_result(study, statistics)
    if not items:
        return html()
    return html(paragraphs(tables.sentence("studies.groups.without")), bullets(items))


def people(study: Study, by: str = "") -> Markup:
    """Describe the people, by group if `by` is a column of the sessions; empty without people.

    A person counts once in a group, with the values of their first session in it.
    """
    used = study.sessions[study.sessions["reason"].eq("")]
    if by and by not in used:
        return html()
    if by:  # whoever has no group is compared with nobody
        used = used[used[by].notna() & used[by].astype(str).ne("")]
    of_group = used.drop_duplicates(["participant", *([by] if by else [])])
    groups = dict(list(of_group.groupby(by))) if by else {"All": of_group}
    rows: list[Row] = [["Participants", *(f"{len(members)}" for members in groups.values())]]
    described = {"sex": _shares, "age": _mean, "height_m": _mean, "weight_kg": _mean}
    for column, describe in described.items():
        cells = [describe(members[column], len(members)) for members in groups.values()]
        if column != by and any(cell != MISSING for cell in cells):
            rows.append([tables.sentence(f"studies.people.{column}"), *cells])
    head = [tables.sentence("studies.people.head"), *map(str, groups)]
    kind = "groups" if by else "all"
    caption = tables.sentence(f"studies.people.caption.{kind}")
    return table(head, rows, caption=caption, numeric=True)


def _mean(values: pd.Series, people: int) -> str:
    """Return mean and standard deviation, with the number of people if some values are unknown."""
    import pandas as pd

    present = pd.to_numeric(values, errors="coerce").dropna()
    if len(present) < 2:
        return MISSING
    digits = 2 if present.mean() < 10 else 1
    text = f"{rounded(present.mean(), digits)} ({rounded(present.std(), digits)})"
    return text if len(present) == people else f"{text}, n = {len(present)}"


def _shares(values: pd.Series, people: int) -> str:
    """Count each kind, and unknown values: "7 female and 5 male"."""
    counts = values.astype(str).replace({"": UNKNOWN, "nan": UNKNOWN}).value_counts(sort=False)
    counts = counts[counts.gt(0)].sort_index()
    if list(counts.index) == [UNKNOWN]:
        return MISSING
    return listed([f"{count} {kind}" for kind, count in counts.items()])


def description(study: Study, groups: Groups) -> Markup:
    """Describe each group as in a paper: people: mean (SD)."""
    paper = groups.paper_table()
    rows = [
        [name_of(study.table, row[0], row[1]), *row[2:]]
        for row in paper.itertuples(index=False, name=None)
    ]
    head = ["Measure", *paper.columns[2:]]
    caption = tables.sentence("studies.groups.description")
    return _listing(head, rows, caption)


def missing(study: Study, without_value: pd.DataFrame) -> Markup:
    """Count the values that are missing, by reason; the most frequent first.

    A session that is left out has no measures; one row counts these sessions.
    """
    if without_value.empty:
        return paragraphs(tables.sentence("studies.none_missing"))
    left_out = study.sessions.loc[study.sessions["reason"].ne(""), "reason"].value_counts()
    rows: list[Row] = [
        [tables.sentence("studies.all_measures"), f"{count}", Cell(why, "text")]
        for why, count in left_out.items()
    ]
    not_measured = without_value[~without_value["reason"].isin(left_out.index)]
    by_reason = not_measured.groupby(["metric", "side", "reason"], sort=False)["values"].sum()
    rows += [
        [name_of(study.table, metric, side), f"{count}", Cell(why, "text")]
        for (metric, side, why), count in by_reason.sort_values(ascending=False).items()
    ]
    head = ["Measure", "Values missing", "Why"]
    return _listing(head, rows, tables.sentence("studies.missing"))


def largest(study: Study, groups: Groups, count: int) -> list[str]:
    """Choose measures for pictures: first the largest differences, then the usual measures."""
    compared = groups.differences[groups.differences["reason"].eq("")]
    beyond = compared[compared["p_holm"].lt(CERTAIN)]
    order = beyond.sort_values("effect_size", key=abs, ascending=False)["metric"]
    usual = usual_measures(study, list(dict.fromkeys(compared["metric"])))
    return list(dict.fromkeys([*order, *usual]))[:count]


def methods(study: Study, groups: Groups, by: str, within: Sequence[str]) -> Markup:
    """Write the methods paragraph for a paper."""
    first = study.table.iloc[0]
    factors = tables.sentence("studies.groups.within", names=listed(within)) if within else ""
    return paragraphs(
        tables.sentence(
            "studies.groups.methods",
            exercise=first["exercise"],
            software=first["software"],
            models=listed(models_of(study.sessions)),
            by=by,
            within=factors,
            adjust=_adjusted(groups),
            spread=_spread(groups),
        )
    )


MOST_OPEN = 20
"""Largest number of rows of a table that is shown unfolded."""

MOST_DRAWN = 2
"""Largest number of measures for which a picture is drawn."""


def flow(study: Study, steps: pd.DataFrame) -> Markup:
    """Show the flow of a study of reliability: participants and recordings at each step."""
    rows = [
        [capital(each.step), f"{each.participants}", f"{each.trials}"]
        for each in steps.itertuples()
    ]
    head = [tables.sentence("studies.flow.head"), "Participants", "Trials"]
    caption = tables.sentence("studies.flow.caption")
    shown = table(head, rows, caption=caption, numeric=True)
    return shown + paragraphs(*differing_in_words(study))


def usual_measures(study: Study, names: Sequence[str]) -> list[str]:
    """Choose the first measures: the usual ones of the exercise, or else the first in the list."""
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


def reliability_in_words(
    study: Study, result: Reliability, usual: Sequence[str]
) -> tuple[str, list[str], list[str]]:
    """State for each usual measure which change errors exceed, and how often."""
    items, notes, shares = [], [], []
    for metric, side in _measures(result):
        sem, mdc, icc = (_of_one(result, metric, side, name) for name in ("sem", "mdc95", "icc"))
        if metric not in usual or sem is None or not math.isfinite(sem["value"]):
            continue
        name = name_of(study.table, metric, side)
        values = {
            key: _text_with_interval(row, sem["units"] if key != "icc" else "1")
            for key, row in (("sem", sem), ("mdc", mdc), ("icc", icc))
        }
        items.append(tables.sentence("studies.reliability.item", name=name, **values))
        notes.append(sem["note"])
        shares.append(100 * mdc["within"])
    percents = sorted(round(share) for share in shares if math.isfinite(share)) or [95]
    low, high = percents[0], percents[-1]
    ends = f"{low}" if low == high else between(low, high, digits=0)
    lead = tables.sentence("studies.reliability.lead", share=ends)
    return lead, items, [capital(note) for note in dict.fromkeys(filter(None, notes))]


def reliability_in_short(study: Study, result: Reliability, usual: Sequence[str]) -> Markup:
    """State which change of the usual measures exceeds the error."""
    lead, items, notes = reliability_in_words(study, result, usual)
    if not items:
        reasons = reasons_without_result(study, _statistic(result, "sem"))
        return html(paragraphs(tables.sentence("studies.reliability.none")), bullets(reasons))
    return html(paragraphs(lead), bullets(items), paragraphs(*(f"{note}." for note in notes)))


def reasons_without_result(study: Study, statistics: pd.DataFrame) -> list[str]:
    """List the reasons why measures have no result, with their measures."""
    without = statistics[statistics["reason"].ne("")]
    return [
        f"{reason}: {shortened(dict.fromkeys(name_of(study.table, m) for m in rows['metric']))}"
        for reason, rows in without.groupby("reason", sort=False)
    ]


def _digits(units: str, *values: float) -> int:
    """Return the decimals of an error: one significant digit, or one for degrees and percent."""
    usual = 1 if units in ("degree", "percent") else digits_and_suffix(units)[0]
    sizes = [abs(value) for value in values if math.isfinite(value) and value]
    needed = max((math.ceil(-math.log10(size)) for size in sizes), default=0)
    return min(max(usual, needed), _MOST_DIGITS)


_MOST_DIGITS = 4


def drawn(result: Reliability, usual: Sequence[str]) -> list[tuple[str, Literal["left", ""]]]:
    """Choose the measures and sides of the pictures."""
    errors = _statistic(result, "sem")
    with_value = errors[errors["value"].notna() & errors["metric"].isin(list(usual))]
    pairs = with_value.loc[with_value["side"].ne("right"), ["metric", "side"]].drop_duplicates()
    return list(pairs.itertuples(index=False, name=None))[:MOST_DRAWN]


def reliability_table(study: Study, result: Reliability) -> Markup:
    """List ICC, SEM and MDC of all measures with their intervals, by the factor that differs."""
    listings = []
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
        listings.append(_listing(head, rows, caption))
    notes = dict.fromkeys(errors.loc[errors["note"].ne(""), "note"])
    return html(*listings, bullets(notes), without_result(study, _statistic(result, "sem")))


def _listing(head: Sequence[str], rows: Sequence[Row], caption: str) -> Markup:
    """Make a table, in a part that opens if it is long."""
    listing = table(head, rows, caption=caption, numeric=True)
    if len(rows) <= MOST_OPEN:
        return listing
    return opening(tables.sentence("studies.all_rows", count=len(rows)), listing)


def _only_here_without(study: Study, result: Reliability, statistics: pd.DataFrame) -> Markup:
    """Name the measures without a result that are not yet named below the first table."""
    errors = _statistic(result, "sem")
    named = errors.loc[errors["reason"].ne(""), "metric"]
    return without_result(study, statistics[~statistics["metric"].isin(named)])


def _shown_forms(forms: Iterable[str]) -> list[str]:
    """Return the forms for one measurement; the forms for means are only in the file."""
    return [form for form in dict.fromkeys(forms) if not form.endswith("k)")]


def _with_interval(row: pd.Series, units: str) -> h.Node:
    value, ends = _value_and_interval(row, units)
    return html(value, " ", h.span(".interval")[ends]) if ends else value


def _text_with_interval(row: pd.Series, units: str) -> str:
    return " ".join(filter(None, _value_and_interval(row, units)))


def _value_and_interval(row: pd.Series, units: str) -> tuple[str, str]:
    """Return a statistic, and its interval in brackets; "" if there is none."""
    digits = 2 if units == "1" else _digits(units, row["value"])
    value = quantity(row["value"], units, digits=digits)
    if not math.isfinite(row["low"]):
        return value, ""
    return value, f"({between(row['low'], row['high'], digits=digits)})"


def changes_of_levels(study: Study, result: Reliability) -> Markup:
    """List the systematic changes between measurements, with limits of agreement."""
    rows: list[Row] = []
    limits = {
        name: _statistic(result, name).set_index(["metric", "side", "over", "of"])["value"]
        for name in ("limit_low", "limit_high")
    }
    changed = _statistic(result, "change")
    for row in changed[changed["reason"].eq("")].itertuples():
        key = (row.metric, row.side, row.over, row.of)
        digits = _digits(row.units, row.high - row.low)
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
    listing = _listing(head, rows, caption)
    return html(listing, _kappas(study, result), _only_here_without(study, result, changed))


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


def curves_of(study: Study, names: Sequence[str]) -> pd.DataFrame:
    """Return the curves of the angles among these measures; if there are none, of all angles."""
    import pandas as pd

    if study.curves is None:
        return pd.DataFrame()
    named = study.curves["metric"].isin(list(names))
    return study.curves[named] if named.any() else study.curves


def retest_curves(curves: pd.DataFrame) -> list[xr.Dataset]:
    """Compute the consistency of the curves, for the angles that some people have."""
    angles = dict.fromkeys(curves["metric"]) if len(curves) else ()
    errors = (curves_again.retest_curves(curves, name, kind="consistency") for name in angles)
    return [each for each in errors if each["sem"].notnull().any()]


def retest_curves_in_words(curves: pd.DataFrame, errors: Sequence[xr.Dataset]) -> Markup:
    """State where each angle is most and least consistent, and which angles have no curve."""
    if curves.empty:
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
            people = each["participants"].sel(side=side, percent=sem["percent"])
            of_side["people"] = count_range(int(people.min()), int(people.max()))
            digits = _digits(units)
            for end, at in (("low", sem.argmin("percent")), ("high", sem.argmax("percent"))):
                point = each.sel(side=side, percent=sem["percent"][int(at)])
                ends = between(float(point["low"]), float(point["high"]), digits=digits)
                of_side[end] = f"{quantity(float(point['sem']), units, digits=digits)} ({ends})"
                of_side[f"{end}_at"] = float(point["percent"]) / 100
            items.append(tables.sentence("studies.reliability.curve", **of_side))
    over = " and ".join(errors[0].attrs["over"].split(", ")) if errors else ""
    first = paragraphs(tables.sentence("studies.reliability.curves", over=over)) if errors else ""
    has = curves.groupby(["session_id", "metric", "side"])["value"].transform("count") > 0
    items += _without_curve(curves[~has])
    return html(first, bullets(items))


def _without_curve(curves: pd.DataFrame) -> list[str]:
    """List missing curves: angles, sides and sessions."""
    sessions_of: dict[tuple[str, str], list[str]] = {}
    once = curves.drop_duplicates(["session_id", "metric", "side"])
    for (session_id, reason), rows in once.groupby(["session_id", "reason"], sort=False):
        names = (name_of(rows, *each) for each in rows[["metric", "side"]].to_numpy())
        key = str(reason).removeprefix(f"session {session_id}: "), listed(list(names))
        sessions_of.setdefault(key, []).append(str(session_id))
    return [
        tables.sentence(
            "studies.reliability.curve_left_out", what=what, reason=why, names=shortened(ids)
        )
        for (why, what), ids in sessions_of.items()
    ]


def retest_rows(errors: Sequence[xr.Dataset]) -> pd.DataFrame:
    """Put the errors of curves into a table, for a file."""
    import pandas as pd

    parts = []
    for each in errors:
        about = {name: str(each.attrs[name]) for name in ("angle", "over", "kind")}
        about["units"] = str(each["sem"].attrs["units"])
        parts.append(each.drop_vars("reason").to_dataframe().reset_index().assign(**about))
    return pd.concat(parts, ignore_index=True)


def components(study: Study, result: Reliability) -> Markup:
    """List the standard deviation of each part of the variance, with a column for each part."""
    parts = _statistic(result, "component")
    with_result = parts[parts["reason"].eq("")]
    terms = list(dict.fromkeys(with_result["of"]))
    rows: list[Row] = []
    for (metric, side), one in with_result.groupby(["metric", "side"], sort=False):
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
    listing = _listing(head, rows, caption)
    notes = [capital(note) for note in dict.fromkeys(with_result["note"]) if note]
    return html(listing, bullets(notes), _only_here_without(study, result, parts))


def reliability_methods(study: Study, result: Reliability) -> Markup:
    """Write the methods paragraph for a paper."""
    first = study.table.iloc[0]
    errors = _statistic(result, "sem")
    factors = listed(list(dict.fromkeys(", ".join(filter(None, errors["over"])).split(", "))))
    methods_of = set(errors["method"]) - {""}
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
            models=listed(models_of(study.sessions)),
            anova=how,
            factors=factors,
        )
    )


def guidelines(result: Reliability) -> Markup:
    """List the items of guidelines: those in the report, and those that the author must add."""
    listings = []
    for name, guide in tables.load("reliability_items").items():
        has = set(result.statistics.loc[result.statistics["value"].notna(), "statistic"])
        rows = []
        for item in guide["items"]:
            if item.get("where") and item["where"] not in has:
                continue
            done = "done" in item and item.get("needs", "") in {"", *has}
            rows.append(
                [
                    f"{item['number']}",
                    item["part"],
                    item["text"],
                    "☑" if done else "☐",
                    item["done" if done else "todo"],
                ]
            )
        caption = f"{name.upper()}: {guide['source']}"
        head = ["Item", "Part", "To report", "Done", "Where, or what to add"]
        listings.append(table(head, rows, caption=caption))
    return html(*listings)
