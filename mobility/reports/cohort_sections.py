"""The parts of the cohort report as HTML; words instead of an empty table where there is nothing.

They take tables of :mod:`mobility.pipeline.cohort`; what came from a person is escaped.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from mobility.options import likely
from mobility.pipeline.cohort import (
    ANONYMOUS,
    by_group,
    changes,
    describe_groups,
    metrics_of,
    of_metric,
)
from mobility.reports.cohort_figures import MOST_PANELS
from mobility.reports.sections import facts, paragraphs, quantity, table

if TYPE_CHECKING:
    import pandas as pd

_VERDICTS = {
    "first": "first session",
    "within error": "within error",
    "larger": "larger, beyond error",
    "smaller": "smaller, beyond error",
    "error unknown": "error unknown",
}


def names(text: str) -> list[str]:
    """Split a text at its commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def summary(sessions: pd.DataFrame, store: str) -> str:
    """Say how many sessions of how many people there are, and over which time.

    Parameters
    ----------
    sessions
        Of :func:`mobility.pipeline.cohort.overview`.
    store
        Where they come from.
    """
    if sessions.empty:
        return paragraphs(
            f"There is no session to show in {store}. Take videos in with `mobility analyze VIDEO "
            "--user-id ID`, or name another folder, exercise or participant in the parameters."
        )
    measured = sessions["reason"].eq("")
    days = [f"{day:%Y-%m-%d}" for day in (sessions["date"].min(), sessions["date"].max())]
    nameless = int(sessions["user_id"].eq(ANONYMOUS).sum())
    people = sessions.loc[sessions["user_id"].ne(ANONYMOUS), "user_id"].nunique()
    return facts(
        {
            "Sessions": f"{len(sessions)}, of which {int(measured.sum())} are analysed",
            "Participants": f"{people}"
            + (f", and {nameless} sessions of nobody knows whom" if nameless else ""),
            "From–to": days[0] if days[0] == days[1] else f"{days[0]} – {days[1]}",
        }
    )


def session_table(sessions: pd.DataFrame) -> str:
    """List every session with what it is worth, or why it is not part of the rest."""
    if sessions.empty:
        return paragraphs("No session, no list.")
    rows = [
        [
            escape(row.session_id),
            escape(row.user_id),
            f"{row.date:%Y-%m-%d}",
            escape(row.view or "–"),
            f"<td class='{row.recording}'>{row.recording}</td>" if row.recording else "–",
            "–" if row.reason else f"{row.repetitions}",
            escape(row.reason or "analysed"),
        ]
        for row in sessions.itertuples()
    ]
    return table(
        ["Session", "Participant", "Date", "View", "Recording", "Repetitions", "State"],
        rows,
        caption="All sessions, oldest first; repetitions that were accepted",
    )


def chosen_metrics(frame: pd.DataFrame, metrics: str) -> tuple[list[str], list[str]]:
    """Split the metrics asked for into those that some session has, and the others."""
    known = metrics_of(frame)
    asked = list(dict.fromkeys(names(metrics)))
    return [m for m in asked if m in known], [m for m in asked if m not in known]


def of_the_table(frame: pd.DataFrame, chosen: Sequence[str], unknown: Sequence[str]) -> str:
    """Say how large the table is, and which of the metrics asked for it does not have."""
    if frame.empty:
        return paragraphs("The table is empty.")
    known = metrics_of(frame)
    said = [f"{len(frame)} rows, {len(known)} metrics. Shown below: {_listed(frame, chosen)}."]
    said += [f"No session has the metric “{m}”{likely(m, known) or '.'}" for m in unknown]
    return paragraphs(*said)


def title_of(frame: pd.DataFrame, metric: str) -> str:
    """Name a metric as the sessions do: "Knee flexion"."""
    rows = of_metric(frame, metric)
    name = str(rows["long_name"].iloc[0]) if len(rows) else metric.replace("_", " ")
    return name[:1].upper() + name[1:]


def group_title(group_by: str) -> str:
    """Name what groups are of: "Age band"."""
    words = {"height_m": "Height (m)", "weight_kg": "Mass (kg)", "age": "Age (years)"}
    return words.get(group_by, group_by.replace("_", " ").capitalize())


def changes_table(frame: pd.DataFrame, metrics: Sequence[str]) -> str:
    """List the changes of all repeated sessions, and whether they are within error."""
    rows = []
    people: set[str] = set()
    for metric in metrics:
        found = changes(frame, metric)
        title = title_of(frame, metric)
        people |= set(found["user_id"])
        for row in found.itertuples():
            units = str(row.units)
            rows.append(
                [
                    escape(f"{row.user_id}: {title}"),
                    escape(row.side or "–"),
                    f"{row.date:%Y-%m-%d}",
                    quantity(row.value, units, sd=row.sd),
                    "" if row.verdict == "first" else quantity(row.change, units, signed=True),
                    quantity(row.mdc95, units),
                    f"<td class='text'>{_VERDICTS[row.verdict]}</td>",
                ]
            )
    if not rows:
        return paragraphs(
            "No participant has been measured twice, so that there is no change to show. Sessions "
            "of one person are put together by their id (--user-id)."
        )
    told = table(
        ["Measure", "Side", "Date", "Value", "Change", "MDC₉₅", "The change is"],
        rows,
        caption="Repeated sessions: value ± half of its 95 % interval, change from the first",
        numeric=True,
    )
    if len(people) > MOST_PANELS:
        told += paragraphs(f"The figures show the first {MOST_PANELS} participants.")
    return told


def groups_table(frame: pd.DataFrame, metrics: Sequence[str], group_by: str) -> str:
    """Describe each group: people, median, quartiles where they mean something, range."""
    rows = []
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
                    escape(f"{title}, {row['group']}"),
                    escape(row["side"] or "–"),
                    f"{row['people']}",
                    median,
                    "–" if math.isnan(row["lower quartile"]) else f"{low} – {high}",
                    f"{quantity(row['least'], units)} – {quantity(row['greatest'], units)}",
                ]
            )
    if not rows:
        return paragraphs("There is no value to group.")
    return table(
        ["Measure and group", "Side", "People", "Median", "Quartiles", "Range"],
        rows,
        caption=f"By {group_title(group_by).lower()}; quartiles from four people on",
        numeric=True,
    )


def refused_table(frame: pd.DataFrame, metrics: Sequence[str]) -> str:
    """Count for each metric the values that there are, and the reasons for those there are not."""
    rows = []
    for metric in metrics:
        own = of_metric(frame, metric)
        missing = own[own["value"].isna()]
        reasons = missing["reason"].value_counts()
        why = "; ".join(f"{reason} ({count})" for reason, count in reasons.items())
        rows.append(
            [
                escape(title_of(frame, metric)),
                f"{len(own) - len(missing)} of {len(own)}",
                f"<td class='text'>{escape(why) or '–'}</td>",
            ]
        )
    if not rows:
        return ""
    return table(
        ["Measure", "Values", "Why there is none (how often)"],
        rows,
        caption="Values that the recordings support, by session and side",
        numeric=True,
    )


def _listed(frame: pd.DataFrame, metrics: Sequence[str]) -> str:
    return ", ".join(title_of(frame, metric).lower() for metric in metrics) or "none"
