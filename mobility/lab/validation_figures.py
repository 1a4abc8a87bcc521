"""Figures of the comparison with a lab: curves on one clock, and agreement of values.

They use the curves and agreement Datasets of :mod:`mobility.lab.lab_trial`. Every function returns
a matplotlib Figure without a window; the sides have the same colours and line styles as in other
reports.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from mobility import tables
from mobility.base.formatting import capital, spoken
from mobility.base.uncertain import sd_name
from mobility.kinematics.expected_error import half_width
from mobility.lab.lab_comparison import units_of, value_words
from mobility.plotting import trial_plots
from mobility.plotting.axes import COLOURS, GREY, LINES, MARKERS, NORMAL
from mobility.reports.figures import legend, line, panels, patch

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_STYLES: dict[str, dict[str, Any]] = {
    "raw": {"color": "#9AA0A6", "lw": 1.0, "ls": "-", "zorder": 2},
    "image": {"color": "#9AA0A6", "lw": 1.0, "ls": (0, (1, 2)), "zorder": 2},
    "landmarks": {"color": "#0072B2", "lw": 1.6, "ls": "-", "zorder": 4},
    "fitted": {"color": "#0072B2", "lw": 1.6, "ls": "-", "zorder": 4},
    "lab_formulas": {"color": "black", "lw": 1.4, "ls": "-", "zorder": 5},
    "lab_model": {"color": "#009E73", "lw": 1.5, "ls": (0, (5, 2)), "zorder": 6},
    "lab_plates": {"color": "black", "lw": 1.4, "ls": "-", "zorder": 5},
    "lab_markers": {"color": "#009E73", "lw": 1.5, "ls": (0, (5, 2)), "zorder": 6},
}
"""Style of each estimator.

`lab_formulas`: our formulas on the lab's joint centres, `lab_model`: the lab's own angles,
`lab_plates` and `lab_markers`: loads with and without force plates.
"""

_SIDES = ("left", "right")


def overlays(curves: xr.Dataset, *, names: Sequence[str]) -> Figure:
    """Draw angles, or loads, from video and lab over time: a column for each side.

    All estimators are drawn. The curve from the video has the 95 % band of its error, and
    repetitions are shaded. Quantities
    without sides are drawn last.
    """
    places = [(name, side) for name in names if "side" in curves[name].dims for side in _SIDES]
    places += [(name, "") for name in names if "side" not in curves[name].dims]
    rows = -(-len(places) // 2)
    figure, axes = panels(rows, 2, height=1.1 + 1.75 * rows, sharex=True)
    time = curves["time"].to_numpy()
    estimators = [str(e) for e in curves["estimator"].values]
    for axis, (name, side) in zip(axes, places, strict=False):
        at = {"side": side} if side else {}
        _shade(axis, curves)
        values = curves[name].sel(at)
        for estimator in estimators:
            axis.plot(time, values.sel(estimator=estimator), **_STYLES[estimator])
        if sd_name(name) in curves:
            estimator_with_sd = "fitted" if "fitted" in estimators else "landmarks"
            middle = values.sel(estimator=estimator_with_sd).to_numpy()
            half = half_width(curves[sd_name(name)].sel(at).to_numpy())
            axis.fill_between(
                time, middle - half, middle + half, color=COLOURS["left"], alpha=0.13, lw=0
            )
        axis.set_ylim(_axis_limits(curves, name))
        axis.set_title(_title(name, side), fontsize=NORMAL, loc="left", pad=4)
        if side != "right" and units_of(name) == "°":
            axis.set_ylabel("Degrees", fontsize=NORMAL)
    for axis in axes[len(places) :]:
        axis.remove()
    for axis in axes[max(len(places) - 2, 0) : len(places)]:
        axis.tick_params(labelbottom=True)
        axis.set_xlabel(tables.sentence("validation.time"), fontsize=NORMAL)
        axis.set_xlim(time[0], time[-1])
    handles = [line(tables.sentence(f"validation.ways.{e}"), **_STYLES[e]) for e in estimators]
    handles.append(
        patch(tables.sentence("validation.error_of_video"), color=COLOURS["left"], alpha=0.2)
    )
    legend(figure, handles, ncols=3)
    return figure


def difference_curves(
    agreement: xr.Dataset, *, comparison: str, names: Sequence[str], title: str
) -> Figure:
    """Draw the mean difference between two methods over a repetition, 0 to 100 %.

    The mean is over the independent units (participants, or repetitions of a single participant),
    with one standard deviation between them.

    Parameters
    ----------
    agreement
        With the dimension `comparison`.
    comparison
        The comparison to draw.
    names
        Angles.
    title
        Title of the legend, which names the two methods whose difference is drawn.
    """
    selected = agreement.sel(comparison=comparison)
    ylabel = "Degrees" if {units_of(name) for name in names} == {"°"} else ""
    figure, axes = _panels(names, height=2.4, xlabel="Repetition (%)", ylabel=ylabel)
    percent = selected["percent"].to_numpy()
    sides_drawn: dict[str, None] = {}
    for axis, name in zip(axes, names, strict=True):
        axis.axhline(0, color=GREY, lw=0.8)
        for side in selected["side"].values.tolist():
            curve = selected["difference_curve"].sel(angle=name, side=side).to_numpy()
            if not np.isfinite(curve).any():
                continue
            sides_drawn[side] = None
            key = "" if side == "middle" else side
            spread = selected[sd_name("difference_curve")].sel(angle=name, side=side).to_numpy()
            axis.plot(percent, curve, color=COLOURS[key], ls=LINES[key], lw=1.8)
            axis.fill_between(
                percent, curve - spread, curve + spread, color=COLOURS[key], alpha=0.15, lw=0
            )
        axis.set_xlim(0, 100)
    handles = [
        line(s.capitalize(), color=COLOURS[s], ls=LINES[s], lw=1.8)
        for s in sides_drawn
        if s != "middle"
    ]
    handles.append(patch("± SD", color=GREY, alpha=0.2))
    legend(figure, handles, title=title)
    return figure


def bland_altman(
    agreement: xr.Dataset, *, comparison: str, metric: str, names: Sequence[str]
) -> Figure:
    """Draw differences of repetition values over their means, with the bias and the limits.

    There is a mark for each repetition; if there are several participants, each has a colour. Bars
    show the mean difference and the 95 % limits of agreement, with their 95 % confidence intervals.

    Parameters
    ----------
    agreement
        With the dimension `comparison`.
    comparison, metric
        The comparison and the value of the repetitions to draw.
    names
        Angles or loads to draw, each in a row, with a column for each side.
    """
    selected = agreement.sel(comparison=comparison)
    figure, axes = panels(len(names), 2, height=1.1 + 2.0 * len(names))
    colours = _colours_of_people(selected)
    for row, name in enumerate(names):
        for column, side in enumerate(("left", "right")):
            axis = axes[2 * row + column]
            marks = [colours[person] or COLOURS[side] for person in selected["participant"].values]
            trial_plots.bland_altman(
                selected, name, side=side, metric=metric, ax=axis, colours=marks
            )
            units = " (°)" if units_of(name) == "°" else ""
            axis.set_xlabel("" if row + 1 < len(names) else f"Mean of both{units}")
            axis.set_ylabel("" if column else f"Difference{units}", fontsize=NORMAL)
            axis.set_title(_title(name, side), fontsize=NORMAL, loc="left", pad=4)
    handles = [
        line("mean difference", color="black", lw=1.1),
        line(tables.sentence("validation.limits"), color="black", lw=1.1, ls=(0, (4, 2))),
        line(tables.sentence("validation.intervals_of_limits"), color="black", lw=3, alpha=0.35),
    ]
    legend(
        figure,
        handles,
        title=tables.sentence("validation.of_the_repetitions", metric=_words(agreement, metric)),
    )
    return figure


def scatter(agreement: xr.Dataset, *, comparison: str, metric: str, names: Sequence[str]) -> Figure:
    """Draw values from the video over those from the lab, with the line of identity.

    There is a mark for each repetition and side; each of several participants has a colour.

    Parameters
    ----------
    agreement, comparison, metric, names
        As in :func:`bland_altman`; a panel for each angle.
    """
    selected = agreement.sel(comparison=comparison, metric=metric)
    figure, axes = _panels(names, height=2.9, xlabel="Lab (°)", ylabel="Video (°)")
    colours = _colours_of_people(selected)
    for axis, name in zip(axes, names, strict=True):
        everything = []
        for side in selected["side"].values.tolist():
            here = selected.sel(angle=name, side=side)
            ours, theirs = here["video_values"].to_numpy(), here["lab_values"].to_numpy()
            both = np.isfinite(ours) & np.isfinite(theirs)
            everything += [ours[both], theirs[both]]
            for person, colour in colours.items():
                of_person = both & (selected["participant"].values == person)
                key = "" if side == "middle" else side
                axis.plot(
                    theirs[of_person],
                    ours[of_person],
                    ls="",
                    marker=MARKERS.get(side, "D"),
                    mfc="white",
                    mec=colour or COLOURS[key],
                    ms=5.5,
                )
        flat = np.concatenate(everything)
        if flat.size:
            pad = max(2.0, 0.08 * float(np.ptp(flat)))
            ends = (float(flat.min()) - pad, float(flat.max()) + pad)
            axis.plot(ends, ends, color=GREY, lw=0.9, zorder=1)
            axis.set_xlim(ends)
            axis.set_ylim(ends)
        axis.set_aspect("equal")
    handles = [
        line(
            s.capitalize(),
            color=GREY if len(colours) > 1 else COLOURS[s],
            marker=MARKERS[s],
            ls="",
            mfc="white",
            ms=6,
        )
        for s in ("left", "right")
    ]
    handles.append(line("identity", color=GREY, lw=0.9))
    legend(
        figure,
        handles,
        title=tables.sentence("validation.of_the_repetitions", metric=_words(agreement, metric)),
    )
    return figure


def _title(name: str, side: str = "") -> str:
    """Return the title of a panel; the units of loads differ, so the title contains them."""
    words = capital(spoken(name)) + (f", {side}" if side else "")
    return words if (units := units_of(name)) == "°" else f"{words} ({units})"


def _words(agreement: xr.Dataset, metric: str) -> str:
    return capital(value_words(agreement, metric))


def _panels(
    names: Sequence[str], *, height: float, xlabel: str, ylabel: str
) -> tuple[Figure, list[Axes]]:
    """Return labelled Axes for each angle, up to three in a row, with this height (inches)."""
    columns = min(3, len(names))
    rows = -(-len(names) // columns)
    figure, axes = panels(rows, columns, height=0.9 + height * rows)
    for axis in axes[len(names) :]:
        axis.remove()
    used = list(axes[: len(names)])
    for i, (axis, name) in enumerate(zip(used, names, strict=True)):
        axis.set_title(_title(name), fontsize=NORMAL, loc="left", pad=4)
        axis.set_xlabel(xlabel, fontsize=NORMAL)
        if i % columns == 0:
            axis.set_ylabel(ylabel, fontsize=NORMAL)
    return figure, used


def _colours_of_people(agreement: xr.Dataset) -> dict[str, str]:
    """Return the colour of each participant; "" (the colour of the side) if there is only one."""
    people = list(dict.fromkeys(agreement["participant"].values.tolist()))
    if len(people) == 1:
        return {people[0]: ""}
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    shades = colormaps["viridis"](np.linspace(0, 0.9, len(people)))
    return {person: to_hex(shade) for person, shade in zip(people, shades, strict=True)}


def _axis_limits(curves: xr.Dataset, name: str) -> tuple[float, float]:
    """Return limits of the y axis from all estimators except raw ones, whose outliers are cut."""
    estimators = [e for e in curves["estimator"].values if e not in ("raw", "image")]
    values = curves[name].sel(estimator=estimators).to_numpy()
    finite = values[np.isfinite(values)]
    if not finite.size:
        return (0.0, 1.0)
    low, high = float(finite.min()), float(finite.max())
    pad = max(5.0 if units_of(name) == "°" else 0.0, 0.12 * (high - low))
    return (low - pad, high + pad)


def _shade(axis: Axes, curves: xr.Dataset) -> None:
    if "repetition_start" not in curves:
        return
    accepted = curves.get("repetition_accepted")
    for i in range(curves.sizes["rep"]):
        if accepted is None or bool(accepted[i]):
            axis.axvspan(
                float(curves["repetition_start"][i]),
                float(curves["repetition_end"][i]),
                color="#F0F0F0",
                lw=0,
                zorder=0,
            )
