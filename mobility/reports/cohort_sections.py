"""The parts of the cohort report as HTML, with a sentence in place of an empty table.

They take tables of :mod:`mobility.pipeline.cohort`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from markupsafe import Markup

from mobility import registry, tables
from mobility.formatting import MISSING, dated, quantity
from mobility.kinematics.expected_error import half_width
from mobility.options import likely
from mobility.pipeline.cohort import (
    by_group,
    changes,
    describe_groups,
    left_out,
    metrics_of,
    of_metric,
)
from mobility.reports.cohort_figures import MOST_PANELS
from mobility.reports.first_page import CLASS_OF_LEVEL
from mobility.reports.sections import Cell, Row, facts, measured, paragraphs, table
from mobility.sessions.record import ANONYMOUS, verdict_in_words
from mobility.wording import split_names

if TYPE_CHECKING:
    import pandas as pd


def summary(sessions: pd.DataFrame, store: str) -> Markup:
    """Give the numbers of sessions and people, the period, and the sessions left out.

    Parameters
    ----------
    sessions
        Of :func:`mobility.pipeline.cohort.overview`.
    store
        Where they come from.
    """
    if sessions.empty:
        return paragraphs(tables.sentence("cohort.no_session", store=store))
    measured = sessions["reason"].eq("")
    days = [dated(day) for day in (sessions["date"].min(), sessions["date"].max())]
    nameless = int(sessions["user_id"].eq(ANONYMOUS).sum())
    people = sessions.loc[sessions["user_id"].ne(ANONYMOUS), "user_id"].nunique()
    without = [
        tables.sentence("cohort.left_out", reason=reason, count=count)
        for reason, count in left_out(sessions).items()
    ]
    return facts(
        {
            "Sessions": tables.sentence(
                "cohort.compared", compared=int(measured.sum()), count=len(sessions)
            ),
            **({"Left out": "; ".join(without)} if without else {}),
            "Participants": tables.sentence(
                "cohort.people_and_others" if nameless else "cohort.people",
                people=people,
                nameless=nameless,
            ),
            "From–to": days[0] if days[0] == days[1] else f"{days[0]} – {days[1]}",
        }
    )


def session_table(sessions: pd.DataFrame) -> Markup:
    """List every session with its verdict, or the reason why it is left out."""
    rows = [
        [
            row.session_id,
            row.user_id,
            Cell(dated(row.date), "date"),
            row.view or MISSING,
            _recording(row.recording, row.exercise),
            MISSING if row.reason else f"{row.repetitions}",
            row.reason or tables.sentence("cohort.state"),
        ]
        for row in sessions.itertuples()
    ]
    return table(
        ["Session", "Participant", "Date", "View", "Recording", "Repetitions", "State"],
        rows,
        caption=tables.sentence("cohort.sessions"),
    )


def _recording(level: str, exercise: str) -> str | Cell:
    return Cell(verdict_in_words(level, exercise), CLASS_OF_LEVEL[level]) if level else MISSING


def usual_metrics(exercise: str) -> str:
    """Names of the metrics of an exercise that are compared by default, with commas."""
    compared = registry.exercise(exercise) if exercise else registry.usual()
    return ", ".join(compared.table["cohort"])


def chosen_metrics(frame: pd.DataFrame, metrics: str) -> tuple[list[str], list[str]]:
    """Split the requested metrics into those that some session has, and the others."""
    available = metrics_of(frame)
    asked = list(dict.fromkeys(split_names(metrics)))
    return [m for m in asked if m in available], [m for m in asked if m not in available]


def of_the_table(frame: pd.DataFrame, chosen: Sequence[str], unknown: Sequence[str]) -> Markup:
    """Give the size of the table, and the requested metrics that it lacks."""
    if frame.empty:
        return paragraphs(tables.sentence("cohort.empty"))
    available = metrics_of(frame)
    shown = ", ".join(title_of(frame, metric).lower() for metric in chosen)
    size = tables.sentence(
        "cohort.table",
        rows=len(frame),
        metrics=len(available),
        names=shown or tables.sentence("cohort.none_shown"),
    )
    absent = [
        tables.sentence("cohort.unknown_metric", name=name, likely=likely(name, available) or ".")
        for name in unknown
    ]
    return paragraphs(size, *absent)


def title_of(frame: pd.DataFrame, metric: str) -> str:
    """Name a metric as the sessions do: "Knee flexion"."""
    rows = of_metric(frame, metric)
    name = str(rows["long_name"].iloc[0]) if len(rows) else metric.replace("_", " ")
    return name[:1].upper() + name[1:]


def group_title(group_by: str) -> str:
    """Name what groups are of: "Age band"."""
    words = {"height_m": "Height (m)", "weight_kg": "Mass (kg)", "age": "Age (years)"}
    return words.get(group_by, group_by.replace("_", " ").capitalize())


def changes_table(frame: pd.DataFrame, metrics: Sequence[str]) -> Markup:
    """List the changes of all repeated sessions, and whether they are within error."""
    rows: list[Row] = []
    people: set[str] = set()
    for metric in metrics:
        compared = changes(frame, metric)
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
                    Cell(tables.sentence(f"cohort.change.{verdict}"), "text"),
                ]
            )
    made = table(
        ["Measure", "Side", "Date", "Value", "Change", "MDC₉₅", "The change is"],
        rows,
        caption=tables.sentence("cohort.changes"),
        numeric=True,
    )
    if len(people) > MOST_PANELS:
        made += paragraphs(tables.sentence("cohort.first_panels", count=MOST_PANELS))
    return made or paragraphs(tables.sentence("cohort.no_change"))


def groups_table(frame: pd.DataFrame, metrics: Sequence[str], group_by: str) -> Markup:
    """Describe each group: people, median, quartiles if there are enough people, range."""
    rows: list[Row] = []
    for metric in metrics:
        values = by_group(frame, metric, group_by)
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
    ) or paragraphs(tables.sentence("cohort.no_group"))


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
