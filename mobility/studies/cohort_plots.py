"""Plots of people and groups: mean curves, change over visits, reliability."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import numpy as np
import xarray as xr
from pydantic import PlainValidator

from mobility import tables
from mobility.base.formatting import capital, count_range, measure_in_words
from mobility.base.options import check_table, checked, likely, quoted
from mobility.base.provenance import warnings_of
from mobility.base.uncertain import sd_name
from mobility.errors import BadInputError
from mobility.kinematics.datasets import kind_made_by
from mobility.kinematics.expected_error import half_width
from mobility.plotting.axes import (
    COLOURS,
    GREY,
    LIMITS,
    LINES,
    MARKERS,
    NORMAL,
    SECOND,
    SMALL,
    Where,
    axes_or_new,
    in_words,
    line_with_interval,
    panel_title,
    say_empty,
)
from mobility.studies.curves import Curves
from mobility.studies.statistics.limits_of_agreement import bland_altman

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_GROUP_STYLES = (
    ("#333333", "-"),
    (SECOND, (0, (5, 2))),
    ("#CC79A7", (0, (1, 1.5))),
    ("#E69F00", "-."),
)
"""Colour and line style of each group, which can also be distinguished in grey."""

_LINE_LENGTH = 44
"""Number of characters of a line of text that fit into a panel."""

_BAND_LIMITS = {
    "whole": ("lower_whole", "upper_whole"),
    "points": ("lower", "upper"),
}
"""Variables of the curves that contain the limits of a band."""

_WORDS_OF_BANDS = {"whole": "95 % band, whole curve", "points": "95 % interval, each point"}

_COLUMNS_OF_CHANGES = (
    "user_id",
    "side",
    "date",
    "value",
    "sd",
    "mdc95",
    "change",
    "verdict",
    "units",
)
_COLUMNS_OF_LONG_TABLE = ("participant", "value")
_DTYPE_KINDS = dict.fromkeys(("value", "sd", "mdc95", "change"), ("fiu", "numbers")) | {
    "date": ("M", "dates, as of pandas.to_datetime")
}
"""Kinds of dtype that a column may have, and how an error message describes its content."""

_SIDE_ORDER = ("left", "right", "")


def _with_columns(columns: Sequence[str], origin: str) -> PlainValidator:
    def check(table: Any) -> Any:
        table = check_table(table)
        if lacking := [name for name in columns if name not in table]:
            raise BadInputError(f"must be a DataFrame {origin}; it has no {', '.join(lacking)}")
        if not len(table):
            raise BadInputError("the table is empty")
        for name in columns:
            kinds, words = _DTYPE_KINDS.get(name, ("", ""))
            if kinds and table[name].dtype.kind not in kinds:
                raise BadInputError(f"its column '{name}' must be {words}")
        return table

    return PlainValidator(check)


def _check_pair(value: Any) -> Any:
    if value is None:
        return None
    try:
        pair = list(value)
    except TypeError:
        pair = []
    if len(pair) != 2 or not all(callable(getattr(axes, "set_ylim", None)) for axes in pair):
        raise BadInputError("must be two Axes of matplotlib, as from pyplot.subplots(1, 2)[1]")
    return pair


_check_test = kind_made_by(
    "mobility.compare_curves",
    dict.fromkeys(("cluster_start", "cluster_end", "cluster_p"), "cluster"),
    texts={"cluster_side": "cluster"},
)
_check_retest = kind_made_by(
    "mobility.retest_curves",
    {
        "percent": "percent",
        **dict.fromkeys(("sem", "low", "high", "participants"), "side percent"),
    },
    texts={"side": "side", "reason": "side"},
    attributes={"": "kind title"},
)


if TYPE_CHECKING:
    Changes: TypeAlias = pd.DataFrame
    LongTable: TypeAlias = pd.DataFrame
    CurveTests: TypeAlias = xr.Dataset | None
    RetestCurves: TypeAlias = xr.Dataset
    Pair: TypeAlias = Sequence[Axes] | None
else:
    Changes = Annotated[Any, _with_columns(_COLUMNS_OF_CHANGES, "from cohort.changes")]
    LongTable = Annotated[
        Any,
        _with_columns(
            _COLUMNS_OF_LONG_TABLE, f"with the columns {', '.join(_COLUMNS_OF_LONG_TABLE)}"
        ),
    ]
    CurveTests = Annotated[
        Any, PlainValidator(lambda test: test if test is None else _check_test(test))
    ]
    RetestCurves = Annotated[Any, PlainValidator(_check_retest)]
    Pair = Annotated[Any, PlainValidator(_check_pair)]


@checked
def group_curves(
    curves: Curves,
    *,
    test: CurveTests = None,
    side: Literal["left", "right"] | None = None,
    band: Literal["whole", "points", "sd"] = "whole",
    ax: Where = None,
) -> list[Axes]:
    """Draw the mean curves of groups with their bands, and where they differ.

    Parameters
    ----------
    curves
        From :func:`mobility.mean_curves`. Both sides of a single group are drawn together. With
        several groups, each side has its own Axes.
    test
        Result of :func:`mobility.compare_curves`. Its clusters are marked below the curves, with
        their p values.
    side
        Side to draw; None draws both.
    band
        ``"whole"``: 95 % confidence band of the whole curve, from five people on; with fewer
        people, the same as ``"points"``. ``"points"``: 95 % confidence interval of each point, from
        three people on. ``"sd"``: one standard deviation between people.
    ax
        Axes to draw on; None makes a new figure.

    Returns
    -------
    list of matplotlib.axes.Axes
        The Axes drawn on. The grey bar at the right is the 95 % interval of the model's error of a
        mean (largest of the groups, median over the curve), if all people share that error. The
        bands do not include it.

    Raises
    ------
    BadInputError
        `curves` does not have that side, or two sides of several groups would be drawn on one `ax`.
    """
    sides = [str(value) for value in curves["side"].values]
    _require_sides(sides, "plot.group_curves")
    if side is not None and side not in sides:
        raise BadInputError(f"plot.group_curves: the curves have no side {quoted(side)}")
    drawn_sides = sides if side is None else [side]
    is_one_group = curves.sizes["group"] == 1
    sides_of_panels = [drawn_sides] if is_one_group else [[name] for name in drawn_sides]
    count = len(sides_of_panels)
    if ax is not None and count > 1:
        raise BadInputError(
            "plot.group_curves: two sides need two Axes; choose one side for a single Axes"
        )
    axes = [axes_or_new(ax)] if count == 1 else _row_of_axes(count, share_y=True)
    label = capital(str(curves["curve"].attrs["long_name"]))
    for axis, panel_sides in zip(axes, sides_of_panels, strict=True):
        _draw_means(axis, curves, panel_sides, band)
        only_side = panel_sides[0] if len(panel_sides) == 1 else ""
        panel_title(axis, f"{label}, {only_side}" if only_side else label)
        axis.set_xlim(0, 100)
        phase = str(curves["percent"].attrs.get("phase", "repetition"))
        axis.set_xlabel(f"{capital(phase)} (%)", fontsize=NORMAL)
    axes[0].set_ylabel(in_words(str(curves["curve"].attrs.get("units", ""))), fontsize=NORMAL)
    limits = np.array([axis.get_ylim() for axis in axes])
    low, high = float(limits[:, 0].min()), float(limits[:, 1].max())
    room_for_clusters = 0.12 * (high - low) if test is not None else 0.0
    for axis, panel_sides in zip(axes, sides_of_panels, strict=True):
        axis.set_ylim(low - room_for_clusters, high)
        _draw_error(axis, curves.sel(side=panel_sides))
        if test is not None:
            _draw_clusters(axis, test, panel_sides)
        if test is not None and any(w["code"] == "other_views" for w in warnings_of(test)):
            note: dict[str, Any] = {"ha": "center", "va": "top", "fontsize": SMALL, "color": GREY}
            text = textwrap.fill(tables.sentence("curves.in_picture"), _LINE_LENGTH)
            axis.text(0.5, 0.99, text, transform=axis.transAxes, **note)
        _, labels = axis.get_legend_handles_labels()
        if any(labels):
            place: dict[str, Any] = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.13)}
            columns = 3 if count == 1 else 2  # that fit into the width of a panel
            axis.legend(frameon=False, fontsize=SMALL, ncols=columns, **place)
    return axes


@checked
def change(
    changes: Changes,
    *,
    participant: str | None = None,
    side: Literal["left", "right"] | None = None,
    ax: Where = None,
    legend: bool = True,
) -> Axes:
    """Draw a measure over visits, with its error and the smallest detectable change as a band.

    Parameters
    ----------
    changes
        From :func:`mobility.studies.cohort.changes`.
    participant
        The person whose values to draw over the days since the first session, with their 95 %
        intervals. None draws everybody. If there are several participants, the plot shows the
        changes of each person from the first visit and, from three people on, their mean.
    side
        Side to draw; None draws both.
    ax
        Axes to draw on; None makes a new figure.
    legend
        Whether a legend names sides and marks.

    Returns
    -------
    matplotlib.axes.Axes
        The Axes drawn on. A filled mark is beyond the person's smallest detectable change; a hollow
        mark is within it. With several people, the band is the root mean square of their smallest
        detectable changes.

    Raises
    ------
    BadInputError
        There is no such participant or side.
    """
    rows = _of_side(changes, side, "plot.change")
    if participant is not None:
        people = [str(user_id) for user_id in rows["user_id"].unique()]
        if participant not in people:
            raise BadInputError(
                f"plot.change: participant {quoted(participant)} does not have two sessions"
                f"{likely(participant, people)}"
            )
        rows = rows[rows["user_id"].astype(str).eq(participant)]
    ax = axes_or_new(ax)
    sides = [known_side for known_side in _SIDE_ORDER if known_side in set(rows["side"])]
    handles = [_mark(drawn_side, capital(drawn_side)) for drawn_side in sides if drawn_side]
    handles.append(_mark("", tables.sentence("cohort.beyond"), color=GREY, mfc=GREY))
    if rows["user_id"].nunique() == 1:
        _draw_one_person(ax, rows, sides)
        handles.append(_band_handle(tables.sentence("cohort.band")))
    else:
        _draw_everybody(ax, rows, sides)
    if legend:
        ax.legend(handles=handles, frameon=False, fontsize=SMALL)
    return ax


@checked
def reliability(
    table: LongTable,
    metric: str | None = None,
    *,
    side: Literal["left", "right"] | None = None,
    over: str = "visit",
    axes: Pair = None,
) -> list[Axes]:
    """Draw the repeatability of a measure: differences over means, and a line for each person.

    Parameters
    ----------
    table
        A row for each value, with the columns ``participant``, ``visit`` (or another column, see
        `over`) and ``value`` (NaN if it is missing). Optional columns are ``metric``, ``side``
        ("left", "right" or "") and ``units``. Several values of a person, visit and side are
        averaged.
    metric
        Metric to draw; None draws the only one.
    side
        Side to draw; None draws both.
    over
        Column that differs between the values of a person: ``"visit"``, ``"operator"``,
        ``"device"``. Numbers are sorted; other values keep the order of the table.
    axes
        Two Axes; None makes a figure.

    Returns
    -------
    list of matplotlib.axes.Axes
        Left: the difference of each later visit from the first, over the mean of both, with the
        mean difference, the 95 % limits of agreement and their confidence intervals (Bland and
        Altman; values of one person are not independent,
        :func:`~mobility.studies.statistics.limits_of_agreement.bland_altman`). Right: a line for
        each person and side from visit to visit, and the mean of the people with all visits.

    Raises
    ------
    BadInputError
        There is no such metric or side, or only one visit.
    """
    if over not in table:
        raise BadInputError(f"plot.reliability: the table has no column {quoted(over)}")
    if_missing = {"metric": "value", "side": "", "units": ""}
    missing = if_missing.keys() - set(table.columns)
    rows = table.reset_index(drop=True).assign(**{name: if_missing[name] for name in missing})
    for column in ("participant", "metric", "side", over):
        if not all(isinstance(value, Hashable) for value in rows[column]):
            raise BadInputError(
                f"plot.reliability: the column {quoted(column)} must contain plain values"
            )
    rows = _of_side(rows, side, "plot.reliability")
    names = [str(metric_name) for metric_name in rows["metric"].unique()]
    if metric is None and len(names) > 1:
        raise BadInputError(f"plot.reliability: name one of the metrics {', '.join(names[:5])}")
    name = names[0] if metric is None else metric
    if name not in names:
        raise BadInputError(f"plot.reliability: no metric {quoted(name)}{likely(name, names)}")
    rows = rows[rows["metric"].eq(name)]
    levels = list(dict.fromkeys(rows[over].dropna()))
    if rows[over].dtype.kind in "iuf":
        levels.sort()
    if len(levels) < 2:
        column = quoted(over)[1:-1]  # made safe to show, without the quotation marks
        raise BadInputError(
            f"plot.reliability: the table has only one {column}; add a second one for each person"
        )
    units = in_words(str(rows["units"].iloc[0]))
    means = rows.groupby(["participant", "side", over], sort=False, observed=True)["value"].mean()
    values = means.unstack(over).reindex(columns=levels)  # a row for each person and side
    difference_axes, line_axes = _row_of_axes(2) if axes is None else axes
    _draw_differences(difference_axes, values, measure_in_words(name))
    in_units = f" ({units.lower()})" if units else ""
    difference_axes.set_xlabel(f"Mean of the two{in_units}", fontsize=NORMAL)
    difference_axes.set_ylabel(f"Later minus first {over}{in_units}", fontsize=NORMAL)
    _draw_lines(line_axes, values, levels)
    line_axes.set_xlabel(capital(over), fontsize=NORMAL)
    line_axes.set_ylabel(units, fontsize=NORMAL)
    return [difference_axes, line_axes]


@checked
def retest_curves(
    errors: RetestCurves,
    *,
    side: Literal["left", "right"] | None = None,
    ax: Where = None,
    legend: bool = True,
) -> Axes:
    """Draw the standard error of measurement over a repetition, with its 95 % interval.

    Parameters
    ----------
    errors
        From :func:`mobility.retest_curves`.
    side
        Side to draw; None draws both.
    ax
        Axes to draw on; None makes a new figure.
    legend
        Whether a legend names sides and bands.

    Returns
    -------
    matplotlib.axes.Axes
        The Axes drawn on. The band is the interval of each point. It may extend beyond the Axes,
        whose limit is twice the largest error.

    Raises
    ------
    BadInputError
        There is no such side.
    """
    sides = [str(value) for value in errors["side"].values]
    _require_sides(sides, "plot.retest_curves")
    if side is not None and side not in sides:
        raise BadInputError(f"plot.retest_curves: the errors have no side {quoted(side)}")
    ax = axes_or_new(ax)
    percent = errors["percent"].to_numpy()
    counts: dict[str, tuple[int, int]] = {}
    for shown_side in sides if side is None else [side]:
        of_side = errors.sel(side=shown_side)
        sem = of_side["sem"].to_numpy()
        if not np.isfinite(sem).any():
            continue
        colour = COLOURS[shown_side]
        people = of_side["participants"].to_numpy()[np.isfinite(sem)]
        counts[shown_side] = int(people.min()), int(people.max())
        ax.fill_between(percent, of_side["low"], of_side["high"], color=colour, alpha=0.15, lw=0)
        ax.plot(
            percent,
            sem,
            color=colour,
            ls=LINES[shown_side],
            lw=2,
            label=capital(shown_side) or "SEM",
        )
    kind = str(errors.attrs["kind"])
    panel_title(ax, _with_people(capital(str(errors.attrs["title"])), counts))
    ax.set_xlim(0, 100)
    ax.set_xlabel("Repetition (%)", fontsize=NORMAL)
    units = in_words(str(errors["sem"].attrs.get("units", ""))).lower()
    in_units = f" ({units})" if units else ""
    ax.set_ylabel(f"SEM of {kind}{in_units}", fontsize=NORMAL)
    if not counts:
        reasons = [str(reason) for reason in errors["reason"].values if reason]
        say_empty(ax, reasons[0] if reasons else "")
        return ax
    highest = float(errors["sem"].sel(side=list(counts)).max())
    ax.set_ylim(0, 2 * highest if highest > 0 else 1.0)
    if legend:
        _name_band(ax, _WORDS_OF_BANDS["points"])
        ax.legend(frameon=False, fontsize=SMALL)
    return ax


def _with_people(title: str, counts: dict[str, tuple[int, int]]) -> str:
    """Return the title with the number of people, for each side if the numbers differ."""
    different = set(counts.values())
    if len(different) == 1:
        return f"{title}, n = {count_range(*different.pop())}"
    return ", ".join(
        [title, *(f"n = {count_range(*count)} {side}" for side, count in counts.items())]
    )


def _name_band(axis: Axes, words: str) -> None:
    """Name a band in the legend, in grey, because bands have the colours of their curves."""
    axis.fill_between([], [], [], color=GREY, alpha=0.15, lw=0, label=words)


def _row_of_axes(count: int, *, share_y: bool = False) -> list[Axes]:
    from matplotlib import pyplot

    _, axes = pyplot.subplots(1, count, figsize=(9.2, 4), sharey=share_y, layout="constrained")
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
    return list(axes)


def _require_sides(sides: Sequence[str], what: str) -> None:
    if unknown := set(sides) - {*_SIDE_ORDER}:
        raise BadInputError(f"{what}: side {quoted(min(unknown))} is not left, right or empty")


def _of_side(rows: pd.DataFrame, side: str | None, what: str) -> pd.DataFrame:
    if side is None:
        return rows
    rows_of_side = rows[rows["side"].eq(side)]
    if rows_of_side.empty:
        raise BadInputError(f"{what}: the table has no side {quoted(side)}")
    return rows_of_side


def _people(count: int) -> str:
    return f"{count} {'person' if count == 1 else 'people'}"


def _draw_means(axis: Axes, curves: xr.Dataset, sides: Sequence[str], band: str) -> None:
    """Draw the mean of each group and side; the legend gives n and the kind of band."""
    percent = curves["percent"].to_numpy()
    groups = [str(group) for group in curves["group"].values]
    band_words: dict[str, None] = {}  # without duplicates, in order
    for g, group in enumerate(groups):
        for side in sides:
            of_group = curves.sel(group=group, side=side)
            least, most = int(of_group["n_at"].min()), int(of_group["n_at"].max())
            if not most:
                continue
            if len(groups) == 1:
                colour, style, label = COLOURS[side], LINES[side], capital(side) or "Mean"
            else:
                colour, style = _GROUP_STYLES[g % len(_GROUP_STYLES)]
                label = group
            mean = of_group["mean"].to_numpy()
            low, high, words = _band_of(of_group, band)
            if words:
                band_words[words] = None
                axis.fill_between(percent, low, high, color=colour, alpha=0.15, lw=0)
            label += f", n = {count_range(least, most)}"
            axis.plot(percent, mean, color=colour, ls=style, lw=2, label=label)
    for words in band_words:
        _name_band(axis, words)
    if not axis.lines:
        reasons = [str(reason) for reason in np.ravel(curves["reason"].values) if reason]
        most_frequent = max(reasons, key=reasons.count, default="")
        say_empty(axis, most_frequent)


def _band_of(curve: xr.Dataset, band: str) -> tuple[Any, Any, str]:
    """Return the limits and name of the band of a mean; the name is empty without a band."""
    mean, sd = curve["mean"].to_numpy(), curve["sd"].to_numpy()
    if band == "sd":
        return mean - sd, mean + sd, "± 1 SD between people" if np.isfinite(sd).any() else ""
    # With few people there is no band for the whole curve; the interval of its points replaces
    # it.
    for kind in ("whole", "points") if band == "whole" else ("points",):
        low, high = (curve[limit].to_numpy() for limit in _BAND_LIMITS[kind])
        if np.isfinite(low).any():
            return low, high, _WORDS_OF_BANDS[kind]
    return mean, mean, ""


def _draw_error(axis: Axes, curves: xr.Dataset) -> None:
    """Draw the model's error of a mean as a bar at the right, about the middle of the panel."""
    if not curves[sd_name("mean_error")].notnull().any():
        return
    half = half_width(float(curves[sd_name("mean_error")].median("percent").max()))
    middle = float(np.mean(axis.get_ylim()))
    beside: dict[str, Any] = {"transform": axis.get_yaxis_transform(), "clip_on": False}
    axis.plot([1.03, 1.03], [middle - half, middle + half], color=GREY, lw=2, **beside)
    style: dict[str, Any] = {"va": "center", "fontsize": SMALL, "color": GREY}
    axis.text(1.045, middle, "model's error", rotation=90, **style, **beside)


def _draw_clusters(axis: Axes, test: xr.Dataset, sides: Sequence[str]) -> None:
    """Mark the clusters of the sides below the curves, with their p values."""
    below = axis.get_xaxis_transform()  # y as a share of the height
    cluster_sides = [str(value) for value in test["cluster_side"].values]
    clusters = [i for i, side in enumerate(cluster_sides) if side in sides]
    style: dict[str, Any] = {"color": "black", "lw": 4, "solid_capstyle": "butt"}
    for i in clusters:
        start, end, p = (float(test[f"cluster_{name}"][i]) for name in ("start", "end", "p"))
        axis.axvspan(start, end, color="#F2F2F2", lw=0, zorder=0)
        shown_end = max(end, start + 0.5)  # a cluster of a single point is visible, too
        axis.plot([start, shown_end], [0.025, 0.025], transform=below, **style)
        text = "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
        middle = min(max((start + end) / 2, 8), 92)  # the text ends inside the panel
        axis.text(middle, 0.045, text, transform=below, ha="center", va="bottom", fontsize=SMALL)
    if not clusters:
        missing = [str(test["reason"].sel(side=side).item()) for side in sides]
        text = next(filter(None, missing), "no difference found")
        text = textwrap.fill(text, _LINE_LENGTH)
        axis.text(
            50, 0.02, text, transform=below, ha="center", va="bottom", fontsize=SMALL, color=GREY
        )


def _mark(side: str, label: str, **style: Any) -> Any:
    from matplotlib.lines import Line2D

    look = {"color": COLOURS[side], "marker": MARKERS.get(side, "o"), "mfc": "white", "ms": 6}
    return Line2D([], [], ls="", label=label, **{**look, **style})


def _band_handle(label: str) -> Any:
    from matplotlib.patches import Patch

    return Patch(label=label, fc="#DDDDDD", ec=GREY)


def _aside(number: int, step: float) -> float:
    """Return the shift of the marks of a side, by its number, so that no marks overlap."""
    return step * (2 * number - 1)


def _draw_one_person(ax: Axes, rows: pd.DataFrame, sides: Sequence[str]) -> None:
    first = rows["date"].min()
    days = (rows["date"] - first).dt.total_seconds() / 86400
    span = max(float(days.max()), 1e-6)
    for i, side in enumerate(sides):
        is_of_side = rows["side"].eq(side).to_numpy()
        of_side = rows[is_of_side]
        at = days[is_of_side].to_numpy() + _aside(i, 0.012 * span)
        value, colour = of_side["value"].to_numpy(), COLOURS[side]
        first_value, smallest_change = value[0], float(of_side["mdc95"].iloc[0])
        _draw_band(ax, first_value, smallest_change, side)
        ax.plot(at, value, color=colour, lw=1.0, alpha=0.6, zorder=2)
        marked = zip(at, value, of_side["sd"], of_side["verdict"], strict=True)
        for day, number, sd, verdict in marked:
            ax.errorbar(
                day,
                number,
                yerr=half_width(sd) if math.isfinite(sd) else None,
                fmt=MARKERS.get(side, "D"),
                color=colour,
                markerfacecolor=colour if verdict in ("larger", "smaller") else "white",
                markersize=6,
                elinewidth=1.2,
                capsize=3,
                zorder=3,
            )
    panel_title(ax, str(rows["user_id"].iloc[0]))
    ax.set_xlabel(tables.sentence("cohort.days"), fontsize=NORMAL)
    ax.set_ylabel(in_words(str(rows["units"].iloc[0])), fontsize=NORMAL)
    ax.margins(x=0.12)


def _draw_band(ax: Axes, middle: float, half: float, side: str) -> None:
    if math.isfinite(half):
        colour = COLOURS[side]
        ax.axhspan(middle - half, middle + half, facecolor=colour, alpha=0.10, lw=0, zorder=0)
        for edge in (middle - half, middle + half):
            ax.axhline(edge, color=colour, lw=0.7, ls=":" if side == "right" else "--", zorder=1)


def _draw_everybody(ax: Axes, rows: pd.DataFrame, sides: Sequence[str]) -> None:
    """Draw the changes of each person from the first visit, over the number of the visit."""
    rows = rows.sort_values("date", kind="stable")
    rows = rows.assign(visit=rows.groupby(["user_id", "side"], observed=True).cumcount() + 1)
    half = float(np.sqrt((rows["mdc95"] ** 2).mean()))
    if math.isfinite(half):
        ax.axhspan(-half, half, facecolor=GREY, alpha=0.12, lw=0, zorder=0)
        ax.annotate(
            "smallest detectable change",
            (0.01, -half),
            xycoords=("axes fraction", "data"),
            ha="left",
            va="top",
            fontsize=SMALL,
            color=GREY,
        )
    ax.axhline(0, color=GREY, lw=0.7, zorder=1)
    for i, side in enumerate(sides):
        of_side = rows[rows["side"].eq(side)]
        offset = _aside(i, 0.03) if len(sides) > 1 else 0.0
        for _, person in of_side.groupby("user_id", sort=False, observed=True):
            at = person["visit"].to_numpy() + offset
            ax.plot(at, person["change"], color=COLOURS[side], lw=0.8, alpha=0.4, zorder=2)
            is_later = person["visit"].to_numpy() > 1
            is_beyond = person["verdict"].isin(["larger", "smaller"]).to_numpy()
            # Hollow within the smallest detectable change, filled beyond it.
            for is_marked, face in ((~is_beyond, "white"), (is_beyond, COLOURS[side])):
                style: dict[str, Any] = {
                    "ls": "",
                    "marker": MARKERS.get(side, "D"),
                    "ms": 5,
                    "zorder": 3,
                }
                ax.plot(
                    at[is_marked & is_later],
                    person["change"][is_marked & is_later],
                    color=COLOURS[side],
                    mfc=face,
                    **style,
                )
        means = of_side.groupby("visit")["change"].agg(["mean", "size"])
        means = means[means["size"] >= 3]
        if len(means) > 1:
            ax.plot(
                means.index + offset, means["mean"], color=COLOURS[side], ls=LINES[side], lw=2.4
            )
    visits = range(1, int(rows["visit"].max()) + 1)
    # Use one side only, so that a person counts once.
    people = rows[rows["side"].eq(sides[0])]["visit"].value_counts()
    ax.set_xticks(list(visits), [f"{visit}\nn = {people.get(visit, 0)}" for visit in visits])
    panel_title(ax, _people(rows["user_id"].nunique()))
    ax.set_xlabel("Visit", fontsize=NORMAL)
    units = in_words(str(rows["units"].iloc[0])).lower()
    ax.set_ylabel(f"Change from the first visit ({units})", fontsize=NORMAL)
    ax.margins(x=0.15)


def _draw_differences(ax: Axes, values: pd.DataFrame, title: str) -> None:
    later_visits = values.columns[1:]
    repeats = len(later_visits)
    early = np.tile(values.iloc[:, 0].to_numpy(), repeats)
    late = np.concatenate([values[visit].to_numpy() for visit in later_visits])
    people = [str(name) for name in values.index.get_level_values("participant")] * repeats
    sides = [str(value) for value in values.index.get_level_values("side")] * repeats
    complete = np.isfinite(early - late)
    limits = bland_altman(late, early, participants=people)
    ax.axhline(0, color=GREY, lw=0.7)
    of_lower = limits.lower, limits.lower_low, limits.lower_high
    of_mean = limits.bias, limits.bias_low, limits.bias_high
    of_upper = limits.upper, limits.upper_low, limits.upper_high
    for line, (value, low, high) in zip(LIMITS, (of_lower, of_mean, of_upper), strict=True):
        line_with_interval(ax, line, float(value), float(low), float(high))
    sides_there = [known_side for known_side in _SIDE_ORDER if known_side in sides]
    for side in sides_there:
        is_of_side = complete & (np.array(sides) == side)
        style: dict[str, Any] = {
            "ls": "",
            "marker": MARKERS.get(side, "D"),
            "mfc": "white",
            "ms": 5.5,
        }
        label: dict[str, Any] = {"label": capital(side)} if side else {}
        ax.plot(
            ((early + late) / 2)[is_of_side],
            (late - early)[is_of_side],
            mec=COLOURS[side],
            **style,
            **label,
        )
    ax.margins(x=0.12, y=0.15)
    of_side = f", {sides_there[0]}" if len(sides_there) == 1 and sides_there[0] else ""
    counts = f"{_people(limits.participants)}, {limits.pairs} pairs"
    if without := int((~complete).sum()):
        counts += f", {without} incomplete"
    panel_title(ax, f"{title}{of_side}: {counts}")
    if len(sides_there) > 1:  # with a frame, because its marks could be taken for values
        ax.legend(fontsize=SMALL)


def _draw_lines(ax: Axes, values: pd.DataFrame, visits: Sequence[Any]) -> None:
    sides = values.index.get_level_values("side").astype(str)
    drawn_sides = [known_side for known_side in _SIDE_ORDER if known_side in set(sides)]
    at = np.arange(len(visits))
    for i, side in enumerate(drawn_sides):
        of_side = values[sides == side].to_numpy()
        offset = _aside(i, 0.03) if len(drawn_sides) > 1 else 0.0
        style: dict[str, Any] = {
            "color": COLOURS[side],
            "marker": MARKERS.get(side, "D"),
            "mfc": "white",
        }
        ax.plot(at + offset, of_side.T, lw=0.8, alpha=0.45, ms=4, **style)
        complete = of_side[np.isfinite(of_side).all(axis=1)]
        if len(complete) > 2:
            mean = complete.mean(axis=0)
            ax.plot(at + offset, mean, color=COLOURS[side], ls=LINES[side], lw=2.6, zorder=4)
    people = np.isfinite(values).groupby(level="participant").any().sum()
    ticks = [f"{visit}\nn = {people[visit]}" for visit in visits]
    ax.set_xticks(at, ticks, fontsize=NORMAL)
    panel_title(ax, "Each person, and the mean")
    ax.margins(x=0.15)
