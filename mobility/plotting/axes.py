"""Axes, colours and marks that all plots share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import xarray as xr
from pydantic import PlainValidator

from mobility.base.formatting import capital, rounded
from mobility.errors import BadInputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = {"left": "#0072B2", "right": "#D55E00", "": "#333333"}
"""Blue and vermilion from Okabe and Ito (2008), distinct for every kind of colour vision."""

LINES: dict[str, Any] = {"left": "-", "right": (0, (5, 2)), "": "-"}
"""Line styles, which distinguish the sides in grey too."""

MARKERS = {"left": "o", "right": "s"}
"""Marks, which distinguish the sides in grey too."""

SMALL, NORMAL = 9, 10
"""Sizes of the text, points."""

GREY = "#555555"
UNKNOWN_TILT = (0, (2, 2))
"""Line style of hips whose tilt is unknown."""

SECOND = "#009E73"
"""Colour of the second of two recordings: green."""

LIMITS = ("lower_limit", "mean_difference", "upper_limit")
_INTERVALS_AT = {"lower_limit": 0.97, "mean_difference": 0.98, "upper_limit": 0.99}
"""Horizontal positions of the interval bars, as shares of the width."""


def _check_axes(value: Any) -> Any:
    # Checked by a method, because importing matplotlib would slow pages without figures.
    if value is not None and not callable(getattr(value, "set_ylim", None)):
        raise BadInputError("must be Axes of matplotlib, as from pyplot.subplots()[1]")
    return value


if TYPE_CHECKING:
    Where = Axes | None
else:  # matplotlib is imported when something is drawn
    Where = Annotated[Any, PlainValidator(_check_axes)]


def bare(axis: Axes) -> None:
    """Remove the frame and the ticks."""
    axis.spines[:].set_visible(False)
    axis.set_xticks([])
    axis.set_yticks([])


def panel_title(axis: Axes, text: str) -> None:
    """Write the title of a panel at its left."""
    axis.set_title(text, fontsize=NORMAL, loc="left", color="black", pad=4, y=1.0)


def say_empty(axis: Axes, text: str) -> None:
    """Write the reason why a panel is empty in the middle of the panel."""
    style: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": SMALL, "color": GREY}
    axis.text(0.5, 0.5, text, transform=axis.transAxes, **style)


def axes_or_new(ax: Axes | None) -> Axes:
    """Return the Axes, or the Axes of a new figure."""
    if ax is not None:
        return ax
    from matplotlib import pyplot

    new: Axes = pyplot.subplots(layout="constrained")[1]
    new.spines[["top", "right"]].set_visible(False)
    return new


def side_style(side: str) -> dict[str, Any]:
    """Return the colour and line style of a side."""
    return {"color": COLOURS[side], "linestyle": LINES[side]}


def in_words(units: str) -> str:
    """Return a unit as an axis label shows it."""
    return {"degree": "Degrees", "percent": "Percent", "s": "Seconds", "1": "Ratio"}.get(
        units, units
    )


def labelled(ax: Axes, variable: xr.DataArray, *, legend: bool) -> Axes:
    """Add the title, the unit on the axis, and the legend."""
    ax.set_ylabel(in_words(str(variable.attrs.get("units", "degree"))), fontsize=NORMAL)
    panel_title(ax, capital(str(variable.attrs.get("long_name", variable.name)).replace("_", " ")))
    if legend and any(ax.get_legend_handles_labels()[1]):
        ax.legend(frameon=False, fontsize=SMALL)
    return ax


def line_with_interval(ax: Axes, line: str, value: float, low: float, high: float) -> None:
    """Draw one of the `LIMITS` with its number, and its interval as a bar on the right."""
    if not np.isfinite(value):
        return
    ax.axhline(value, color="black", lw=1.1, ls="-" if line == "mean_difference" else (0, (4, 2)))
    if np.isfinite([low, high]).all():
        ax.plot(
            [_INTERVALS_AT[line]] * 2,
            [low, high],
            color="black",
            lw=3,
            alpha=0.35,
            solid_capstyle="butt",
            transform=ax.get_yaxis_transform(),
        )
    ax.annotate(
        rounded(value, 1, signed=True),
        (1.0, value),
        xycoords=("axes fraction", "data"),
        xytext=(3, 0),
        textcoords="offset points",
        fontsize=SMALL,
        # Away from the mean, near which the limits may lie.
        va={"lower_limit": "top", "upper_limit": "bottom"}.get(line, "center"),
    )
