"""Figures of many sessions: repeated ones over time, and people by group.

They take tables of :mod:`mobility.cohorts.cohort`. Every function returns a matplotlib Figure
that belongs to no window; the colours and marks of the sides are those of the reports.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mobility import plot, tables
from mobility.plot.axes import COLOURS, GREY, MARKERS, NORMAL, SMALL, in_words
from mobility.reports.figures import legend, line, panels, patch

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SMALLEST_MEDIAN = 5
"""Smallest group with a median."""

SMALLEST_BOX = 10
"""Smallest group with quartiles."""

MOST_PANELS = 24
"""Most participants in one figure."""


def over_time(changes: pd.DataFrame, *, title: str) -> Figure:
    """Draw the repeated sessions of each participant, one panel each, with the band of the error.

    Values with their 95 % intervals over the days since the first session. The band is the
    first value ± the smallest detectable change: hollow marks lie in it, filled ones beyond.

    Parameters
    ----------
    changes
        From :func:`mobility.cohorts.cohort.changes`, not empty. With more than `MOST_PANELS`
        participants, those who changed most by their errors are drawn.
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
        plot.change(of_person, ax=axis, legend=False)
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
    """Draw the value of every person by group; box and median only where enough people are.

    A point for each person and side; from 5 people on a line at the median, from 10 on a box
    of the quartiles behind it. The number of people stands below each group.

    Parameters
    ----------
    values
        From :func:`mobility.cohorts.cohort.by_group`, not empty.
    title
        Name of the metric.
    group_title
        What defines the groups.
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
