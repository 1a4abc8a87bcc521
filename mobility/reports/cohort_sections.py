"""The parts of the cohort report as HTML, with a sentence in place of an empty table.

They take tables of :mod:`mobility.cohorts.cohort`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import htpy as h
from markupsafe import Markup

from mobility import tables
from mobility.base.formatting import MISSING, dated, quantity, rounded
from mobility.base.options import likely
from mobility.base.wording import listed, measure_in_words, shortened, split_names
from mobility.catalogue import registry
from mobility.cohorts.cohort import (
    OUTDATED,
    choose_measures,
    describe_groups,
    left_out,
    metrics_of,
    of_metric,
)
from mobility.kinematics.expected_error import half_width
from mobility.reports import lab_norms
from mobility.reports.cohort_figures import MOST_PANELS
from mobility.reports.first_page import CLASS_OF_LEVEL
from mobility.reports.html import Cell, Row, bullets, html, measured, opening, paragraphs, table
from mobility.reports.study_sections import MOST_NAMED, counted, models_in_words
from mobility.sessions.record import ANONYMOUS, verdict_in_words

if TYPE_CHECKING:
    import pandas as pd


def participants(
    sessions: pd.DataFrame, store: str, not_listed: Mapping[str, int] | None = None
) -> Markup:
    """Give the flow of sessions and participants, and from when to when they were recorded.

    Parameters
    ----------
    sessions
        From :func:`mobility.cohorts.cohort.overview`.
    store
        Where they come from.
    not_listed
        From :func:`mobility.cohorts.cohort.not_listed`.
    """
    not_listed = not_listed or {}
    if sessions.empty:
        return paragraphs(tables.sentence("cohort.no_session", store=store))
    compared = sessions[sessions["reason"].eq("")]
    nameless = int(sessions["user_id"].eq(ANONYMOUS).sum())
    stored = len(sessions) + sum(not_listed.values())
    steps = [
        *([(tables.sentence("cohort.flow.stored"), stored)] if not_listed else []),
        *(
            (tables.sentence("studies.flow.left_out", reason=reason), count)
            for reason, count in not_listed.items()
        ),
        (tables.sentence("studies.flow.listed"), len(sessions)),
        *(
            (tables.sentence("studies.flow.left_out", reason=reason), count)
            for reason, count in left_out(sessions).items()
        ),
        (tables.sentence("cohort.flow.compared"), len(compared)),
        (tables.sentence("studies.flow.people"), _people(sessions)),
        (tables.sentence("cohort.flow.people_compared"), _people(compared)),
    ]
    if nameless:
        steps.append((tables.sentence("cohort.flow.nameless"), nameless))
    first, last = (dated(day) for day in (sessions["date"].min(), sessions["date"].max()))
    days = "day" if first == last else "days"
    recorded = tables.sentence(f"cohort.recorded.{days}", first=first, last=last)
    outdated = int(compared["software"].str.endswith(OUTDATED).sum())
    mixed = tables.sentence("cohort.outdated", count=outdated, sessions=len(compared))
    remarks = [*models_in_words(compared), *([mixed] if outdated else [])]
    return counted(steps) + paragraphs(recorded, *remarks)


def _people(sessions: pd.DataFrame) -> int:
    return int(sessions.loc[sessions["user_id"].ne(ANONYMOUS), "user_id"].nunique())


def changes_in_short(frame: pd.DataFrame, changed: Mapping[str, pd.DataFrame]) -> Markup:
    """Say of each metric how many people changed beyond error, and who.

    Parameters
    ----------
    frame
        From :func:`mobility.cohorts.cohort.to_dataframe`.
    changed
        From :func:`mobility.cohorts.cohort.changes`, by metric; the last session of a person
        counts.
    """
    items, count, beyond = [], 0, 0
    sources: dict[str, None] = {}
    for metric, rows in changed.items():
        last = rows.drop_duplicates(["user_id", "side"], keep="last")
        last = last[~last["verdict"].isin(["first", "error unknown"])]
        if last.empty:
            continue
        larger = last[last["verdict"].ne("within error")]
        count, beyond = count + len(last), beyond + len(larger)
        sources |= dict.fromkeys(_whose(row) for row in last.itertuples())
        order = (larger["change"].abs() / larger["mdc95"]).sort_values(ascending=False).index
        named = larger.loc[order].groupby("user_id", sort=False)
        items.append(
            tables.sentence(
                "cohort.short.changed" if len(larger) else "cohort.short.unchanged",
                name=title_of(frame, metric),
                changed=named.ngroups,
                people=last["user_id"].nunique(),
                who=shortened((_of_person(who, of) for who, of in named), most=MOST_NAMED),
            )
        )
    if not items:
        return paragraphs(tables.sentence("cohort.no_change"))
    sentence = tables.sentence(
        "cohort.short.changes",
        people=len(set().union(*(set(rows["user_id"]) for rows in changed.values()))),
        count=count,
        beyond=beyond,
        chance=rounded(0.05 * count, 0 if count >= 20 else 1),
        whose=listed(list(sources)),
    )
    return paragraphs(sentence) + bullets(items)


def _of_person(participant: str, rows: pd.DataFrame) -> str:
    each = [
        f"{row.side} {quantity(row.change, str(row.units), signed=True)}".strip()
        for row in rows.itertuples()
    ]
    return f"{participant} ({', '.join(each)})"


def _whose(row: Any) -> str:
    """Say whose error a change is held against."""
    if row.error_people:
        return lab_norms.error_of(row.error_people, row.error_of)
    return lab_norms.package()


def groups_in_short(
    frame: pd.DataFrame, grouped: Mapping[str, pd.DataFrame], group_by: str
) -> Markup:
    """Say of each metric the median of each group; a person counts with the mean of the sides.

    Parameters
    ----------
    frame
        From :func:`mobility.cohorts.cohort.to_dataframe`.
    grouped
        From :func:`mobility.cohorts.cohort.by_group`, by metric.
    group_by
        What defines the groups.
    """
    items = []
    for metric, values in grouped.items():
        if values.empty:
            name = title_of(frame, metric)
            items.append(tables.sentence("cohort.short.no_value", name=name))
            continue
        units = str(values["units"].iloc[0])
        of_people = values.groupby(["group", "person"], observed=True)["value"].mean()
        medians = of_people.groupby("group", observed=True).agg(["median", "size"])
        in_words = [
            tables.sentence(
                "cohort.short.group",
                group=row.Index,
                median=quantity(row.median, units),
                people=row.size,
            )
            for row in medians.itertuples()
        ]
        items.append(f"{title_of(frame, metric)}: {shortened(in_words, most=MOST_NAMED)}")
    if not items:
        return paragraphs(tables.sentence("cohort.no_group"))
    words = tables.sentence("cohort.short.groups", group=group_title(group_by).lower())
    return paragraphs(words) + bullets(items)


def session_table(sessions: pd.DataFrame) -> Markup:
    """List every session with its verdict, those that are left out first, with the reason."""
    rows = [
        [
            row.session_id,
            row.user_id,
            row.exercise,
            Cell(dated(row.date), "date"),
            row.view or MISSING,
            _recording(row.recording, row.exercise),
            MISSING if row.reason else f"{row.repetitions}",
            row.reason or tables.sentence("cohort.state"),
        ]
        for row in sessions.sort_values(
            "reason", key=lambda reason: reason.eq(""), kind="stable"
        ).itertuples()
    ]
    head = ["Session", "Participant", "Exercise", "Date", "View", "Recording", "Repetitions"]
    head.append("State")
    return opening(tables.sentence("cohort.sessions"), table(head, rows, caption=""))


def _recording(level: str, exercise: str) -> str | Cell:
    return Cell(verdict_in_words(level, exercise), CLASS_OF_LEVEL[level]) if level else MISSING


def of_each_exercise(parts: Mapping[str, Markup]) -> Markup:
    """Put the parts of a section together, each under the name of its exercise if it has one."""
    return html(*(html(name and h.h3[name], part) for name, part in parts.items()))


def usual_metrics(exercise: str) -> str:
    """Names of the metrics of an exercise that are compared by default, with commas."""
    compared = registry.exercise(exercise) if exercise else registry.usual()
    return ", ".join(compared.table["cohort"])


def chosen_metrics(frame: pd.DataFrame, metrics: str) -> tuple[list[str], list[str]]:
    """Split the requested metrics into those that some session has, and the others."""
    available = metrics_of(frame)
    asked = choose_measures(split_names(metrics), available)
    return [m for m in asked if m in available], [m for m in asked if m not in available]


def not_measured(frame: pd.DataFrame, unknown: Sequence[str]) -> Markup:
    """Name the requested metrics that no session has."""
    available = metrics_of(frame)
    return paragraphs(
        *(
            tables.sentence(
                "cohort.unknown_metric", name=name, likely=likely(name, available) or "."
            )
            for name in unknown
        )
    )


def picture(folder: str, exercise: str, name: str) -> Path | None:
    """Path of a picture of an exercise; None without a folder."""
    slug = f"{registry.exercise(exercise).slug}-" if exercise else ""
    return Path(folder) / f"{slug}{name}.png" if folder else None


def of_the_table(
    frame: pd.DataFrame, parts: Mapping[str, pd.DataFrame], chosen: Mapping[str, Sequence[str]]
) -> Markup:
    """Give the size of the table, and the metrics on the page."""
    if frame.empty:
        return paragraphs(tables.sentence("cohort.empty"))
    titles = [
        title_of(part, metric).lower() for name, part in parts.items() for metric in chosen[name]
    ]
    names = ", ".join(dict.fromkeys(titles))
    return paragraphs(
        tables.sentence(
            "cohort.table",
            rows=len(frame),
            metrics=len(metrics_of(frame)),
            names=names or tables.sentence("cohort.none_shown"),
        )
    )


def title_of(frame: pd.DataFrame, metric: str, exercise: str = "") -> str:
    """Name a metric as the sessions do: "Knee flexion", "End of range (elbow flexion)"."""
    rows = of_metric(frame, metric)
    title = measure_in_words(metric, str(rows["long_name"].iloc[0]) if len(rows) else "")
    return f"{exercise}: {title}" if exercise else title


def group_title(group_by: str) -> str:
    """Name what defines groups: "Age band"."""
    words = {"height_m": "Height (m)", "weight_kg": "Mass (kg)", "age": "Age (years)"}
    return words.get(group_by, group_by.replace("_", " ").capitalize())


def changes_table(frame: pd.DataFrame, changed: Mapping[str, pd.DataFrame]) -> Markup:
    """List the changes of all repeated sessions, whether they are within error, and whose."""
    rows: list[Row] = []
    people: set[str] = set()
    for metric, compared in changed.items():
        title = title_of(frame, metric)
        people |= set(compared["user_id"])
        for row in compared.itertuples():
            units, verdict = str(row.units), row.verdict.replace(" ", "_")
            rows.append(
                [
                    f"{row.user_id}: {title}",
                    row.side or MISSING,
                    dated(row.date),
                    measured(row.value, units, half=half_width(row.sd)),
                    "" if row.verdict == "first" else quantity(row.change, units, signed=True),
                    quantity(row.mdc95, units),
                    Cell(_whose(row), "text"),
                    Cell(tables.sentence(f"cohort.change.{verdict}"), "text"),
                ]
            )
    head = ["Measure", "Side", "Date", "Value", "Change", "MDC₉₅", "Error", "The change is"]
    listing = table(head, rows, caption=tables.sentence("cohort.changes"), numeric=True)
    section = opening(tables.sentence("cohort.all_changes"), listing)
    if len(people) > MOST_PANELS:
        return paragraphs(tables.sentence("cohort.first_panels", count=MOST_PANELS)) + section
    return section


def groups_table(frame: pd.DataFrame, grouped: Mapping[str, pd.DataFrame], group_by: str) -> Markup:
    """Describe each group: people, median, quartiles if there are enough people, range."""
    rows: list[Row] = []
    for metric, values in grouped.items():
        title = title_of(frame, metric)
        for row in describe_groups(values).to_dict("records"):
            units = str(values["units"].iloc[0])
            low, median, high = (
                quantity(row[k], units) for k in ("lower quartile", "median", "upper quartile")
            )
            rows.append(
                [
                    f"{title}, {row['group']}",
                    row["side"] or MISSING,
                    f"{row['people']}",
                    median,
                    MISSING if math.isnan(row["lower quartile"]) else f"{low} – {high}",
                    f"{quantity(row['least'], units)} – {quantity(row['greatest'], units)}",
                ]
            )
    return table(
        ["Measure and group", "Side", "People", "Median", "Quartiles", "Range"],
        rows,
        caption=tables.sentence("cohort.groups", group=group_title(group_by).lower()),
        numeric=True,
    )


def refused_table(frame: pd.DataFrame, metrics: Sequence[str]) -> Markup:
    """Count for each metric the values, and the reasons for missing ones."""
    rows: list[Row] = []
    for metric in metrics:
        rows_of_metric = of_metric(frame, metric)
        missing = rows_of_metric[rows_of_metric["value"].isna()]
        reasons = missing["reason"].value_counts()
        why = "; ".join(f"{reason} ({count})" for reason, count in reasons.items())
        rows.append(
            [
                title_of(frame, metric),
                f"{len(rows_of_metric) - len(missing)} of {len(rows_of_metric)}",
                Cell(why or MISSING, "text"),
            ]
        )
    return table(
        ["Measure", "Values", "Why one is missing"],
        rows,
        caption=tables.sentence("cohort.values"),
        numeric=True,
    )
