"""Sections and figures of the cohort report. A sentence replaces an empty table.

They take tables from :mod:`mobility.studies.cohort`. Figures belong to no window, and have the
colours and marks of the reports.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from mobility import tables
from mobility.assessment.number import Number
from mobility.base.formatting import (
    MISSING,
    dated,
    listed,
    measure_in_words,
    quantity,
    rounded,
    shortened,
    split_names,
)
from mobility.base.options import likely
from mobility.catalogue import registry
from mobility.plotting.axes import COLOURS, GREY, MARKERS, NORMAL, SMALL, in_words
from mobility.reports import lab_norms
from mobility.reports.figures import legend, line, panels, patch
from mobility.reports.first_page import CLASS_OF_LEVEL
from mobility.reports.html import Cell, Row, bullets, measured, opening, paragraphs, table
from mobility.sessions.record import ANONYMOUS, verdict_in_words
from mobility.studies import cohort_plots
from mobility.studies.cohort import (
    OUTDATED,
    choose_measures,
    describe_groups,
    left_out,
    metrics_of,
    of_metric,
)
from mobility.studies.study_sections import MOST_NAMED, counted, models_in_words

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SMALLEST_MEDIAN = 5
"""Least number of people in a group for a median."""

SMALLEST_BOX = 10
"""Least number of people in a group for quartiles."""

MOST_PANELS = 24
"""Largest number of participants in one figure."""


def over_time(changes: pd.DataFrame, *, title: str) -> Figure:
    """Draw the repeated sessions of each participant in a panel, with the band of the error.

    The panel shows values with their 95 % intervals over the days since the first session. The band
    is the first value ± the smallest detectable change. Hollow marks are within the band; filled
    marks are beyond it.

    Parameters
    ----------
    changes
        From :func:`mobility.studies.cohort.changes`, not empty. With more than `MOST_PANELS`
        participants, those who changed most in terms of their errors are drawn.
    title
        Name of the metric.
    """
    changed = (changes["change"].abs() / changes["mdc95"]).groupby(changes["user_id"]).max()
    most = set(changed.sort_values(ascending=False, kind="stable").index[:MOST_PANELS])
    people = [each for each in dict.fromkeys(changes["user_id"]) if each in most]
    columns = min(3, len(people))
    rows = -(-len(people) // columns)
    figure, axes = panels(rows, columns, height=1.1 + 2.3 * rows, sharey=True)
    sides = [side for side in ("left", "right", "") if side in set(changes["side"])]
    for axis, user_id in zip(axes, people, strict=False):
        of_person = changes[changes["user_id"].eq(user_id)]
        cohort_plots.change(of_person, ax=axis, legend=False)
        axis.set_xlabel(tables.sentence("cohort.days"), fontsize=SMALL)
        axis.set_ylabel("")
    for axis in axes[len(people) :]:
        axis.remove()
    for axis in axes[: len(people) : columns]:
        axis.set_ylabel(in_words(str(changes["units"].iloc[0])), fontsize=NORMAL)
    band = patch(tables.sentence("cohort.band"), fc="#DDDDDD", ec=GREY)
    beyond = line(tables.sentence("cohort.beyond"), color=GREY, marker="o", ls="")
    _legend(figure, sides, title, [band, beyond])
    return figure


def group_distribution(values: pd.DataFrame, *, title: str, group_title: str) -> Figure:
    """Draw the value of every person by group, with a box and median if there are enough people.

    There is a point for each person and side, a line at the median from 5 people on, and a box of
    the quartiles from 10 people on. The number of people is shown below each group.

    Parameters
    ----------
    values
        From :func:`mobility.studies.cohort.by_group`, not empty.
    title
        Name of the metric.
    group_title
        The column that defines the groups.
    """
    groups = [g for g in values["group"].cat.categories if (values["group"] == g).any()]
    sides = [side for side in ("left", "right", "") if side in set(values["side"])]
    figure, (axis,) = panels(1, 1, height=3.9)
    width = 0.8 / len(sides)
    for position, group in enumerate(groups):
        for i, side in enumerate(sides):
            members = values[(values["group"] == group) & values["side"].eq(side)]
            if members.empty:
                continue
            centre = position + (i - (len(sides) - 1) / 2) * width
            _one_group(axis, members["value"].to_numpy(), centre, width, side)
    people = [values.loc[values["group"] == g, ["user_id", "side"]] for g in groups]
    counts = [int(p.groupby("side").size().max()) for p in people]
    axis.set_xticks(
        range(len(groups)),
        [
            tables.sentence("cohort.person" if n == 1 else "cohort.persons", group=g, count=n)
            for g, n in zip(groups, counts, strict=True)
        ],
        fontsize=NORMAL,
    )
    axis.set_xlim(-0.6, len(groups) - 0.4)
    axis.set_ylabel(in_words(str(values["units"].iloc[0])), fontsize=NORMAL)
    axis.set_xlabel(group_title, fontsize=NORMAL)
    marks = []
    sizes = values.groupby(["group", "side"], observed=True).size()
    if (sizes >= SMALLEST_MEDIAN).any():
        marks.append(line("median", color="black", lw=2))
    if (sizes >= SMALLEST_BOX).any():
        marks.append(patch("quartiles", fc="#DDDDDD", ec=GREY))
    _legend(figure, sides, title, marks)
    return figure


def _one_group(axis: Axes, value: Any, centre: float, width: float, side: str) -> None:
    colour = COLOURS[side]
    if value.size >= SMALLEST_BOX:
        low, high = np.quantile(value, [0.25, 0.75])
        axis.bar(
            centre,
            high - low,
            0.7 * width,
            bottom=low,
            facecolor=colour,
            alpha=0.15,
            edgecolor=colour,
            zorder=1,
        )
    if value.size >= SMALLEST_MEDIAN:
        half = 0.35 * width
        axis.hlines(np.median(value), centre - half, centre + half, color="black", lw=2, zorder=4)
    # A deterministic jitter, by the order of the values.
    spread = np.zeros(value.size)
    if value.size > 1:
        spread[np.argsort(value, kind="stable")] = (np.arange(value.size) * 0.381966) % 1 - 0.5
    axis.plot(
        centre + 0.5 * width * spread,
        value,
        linestyle="",
        marker=MARKERS.get(side, "D"),
        color=colour,
        markerfacecolor="white",
        markersize=5.5,
        zorder=3,
    )


def _legend(figure: Figure, sides: list[str], title: str, marks: list[Any]) -> None:
    style: dict[str, Any] = {"ls": "", "mfc": "white", "ms": 6}
    handles = [
        line(side.capitalize(), color=COLOURS[side], marker=MARKERS[side], **style)
        for side in sides
        if side
    ]
    legend(figure, [*handles, *marks], title=title)


def participants(
    sessions: pd.DataFrame, store: str, not_listed: Mapping[str, int] | None = None
) -> Markup:
    """Show the flow of sessions and participants, and the period of the recordings.

    Parameters
    ----------
    sessions
        From :func:`mobility.studies.cohort.overview`.
    store
        Store that the sessions come from.
    not_listed
        From :func:`mobility.studies.cohort.not_listed`.
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
    """State for each metric how many people changed by more than the error, and who they are.

    Parameters
    ----------
    frame
        From :func:`mobility.studies.cohort.to_dataframe`.
    changed
        From :func:`mobility.studies.cohort.changes`, by metric; the last session of a person
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
    """Name the people on whom the error of a change was measured."""
    if row.error_people:
        return lab_norms.error_of(row.error_people, row.error_of)
    return lab_norms.package()


def groups_in_short(
    frame: pd.DataFrame, grouped: Mapping[str, pd.DataFrame], group_by: str
) -> Markup:
    """State the median of each group for each metric; a person counts as the mean of the sides.

    Parameters
    ----------
    frame
        From :func:`mobility.studies.cohort.to_dataframe`.
    grouped
        From :func:`mobility.studies.cohort.by_group`, by metric.
    group_by
        The column that defines the groups.
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
    """List every session with its verdict; those that are left out come first, with the reason."""
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


def usual_metrics(exercise: str) -> str:
    """Return the names of the metrics that are compared by default, separated by commas."""
    compared = registry.exercise(exercise) if exercise else registry.usual()
    return ", ".join(compared.table["cohort"])


def chosen_metrics(frame: pd.DataFrame, metrics: str) -> tuple[list[str], list[str]]:
    """Split the requested metrics into those that some session has, and all others."""
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


def of_the_table(frame: pd.DataFrame, titles: Sequence[str]) -> Markup:
    """State the size of the table, and the names of the metrics on the page."""
    if frame.empty:
        return paragraphs(tables.sentence("cohort.empty"))
    return paragraphs(
        tables.sentence(
            "cohort.table",
            rows=len(frame),
            metrics=len(metrics_of(frame)),
            names=", ".join(dict.fromkeys(titles)) or tables.sentence("cohort.none_shown"),
        )
    )


def title_of(frame: pd.DataFrame, metric: str, exercise: str = "") -> str:
    """Name a metric as the sessions do: "Knee flexion", "End of range (elbow flexion)"."""
    rows = of_metric(frame, metric)
    title = measure_in_words(metric, str(rows["long_name"].iloc[0]) if len(rows) else "")
    return f"{exercise}: {title}" if exercise else title


def group_title(group_by: str) -> str:
    """Return the name of the column that defines groups: "Age band"."""
    words = {"height_m": "Height (m)", "weight_kg": "Mass (kg)", "age": "Age (years)"}
    return words.get(group_by, group_by.replace("_", " ").capitalize())


def changes_table(frame: pd.DataFrame, changed: Mapping[str, pd.DataFrame]) -> Markup:
    """List the changes in all repeated sessions, with the error and whether they exceed it."""
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
                    measured(Number(row.value, row.sd, units=units)),
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
    """Describe each group: people, median, quartiles (if there are enough people) and range."""
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
    """Count the values of each metric, and the reasons for missing values."""
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
