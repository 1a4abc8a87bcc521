"""The section on loads: a sentence, and the curves of both legs with their errors."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import xarray as xr
from markupsafe import Markup

from mobility import tables
from mobility.assessment.number import nothing_measured
from mobility.base.provenance import history, last_of
from mobility.base.uncertain import sd_name
from mobility.kinematics.expected_error import half_width
from mobility.kinematics.repetitions import normalise_repetitions
from mobility.kinematics.skeleton import SIDES
from mobility.leg_loads.dynamics import JOINTS
from mobility.plotting.axes import NORMAL, panel_title, side_style
from mobility.reports.charts import charts
from mobility.reports.gauges import values_of
from mobility.reports.html import paragraphs
from mobility.reports.page import ReportPage, section

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@section("Loads", sided=True)
def loads(page: ReportPage) -> Markup:
    """Show how much weight each leg carries, and the moments of its joints."""
    if not page.accepted:  # the section of all measures says so
        return Markup()
    if why := nothing_measured(page.metrics, "weight_share"):
        return paragraphs(tables.sentence("loads.not_reported", why=why), kind="missing")
    shown = page.session.result("loads")
    curves = normalise_repetitions(shown, page.repetitions)
    panels = [
        (
            partial(_curve, curves, name, title),
            tables.sentence("loads.alt", name=title),
        )
        for name, title in _panels().items()
        if bool(curves[name].notnull().any())
    ]
    return (
        paragraphs(share_in_words(page.metrics))
        + charts(*panels)
        + paragraphs(*_notes(shown), kind="note")
    )


def share_in_words(metrics: xr.Dataset) -> str:
    """Return for a client how much of the weight the leg that carries more of it carries."""
    shift = values_of(metrics, "weight_shift")[""]  # percent, as in the check
    more = replace(shift, value=50.0 + abs(shift.value))
    differ = abs(shift.value) > shift.half_width
    side = "right" if shift.value > 0 else "left"
    return tables.sentence(
        "loads.client" if differ else "loads.client_even", share=more.text, side=side
    )


def _panels() -> dict[str, str]:
    titles = {"weight_share": tables.sentence("loads.share")}
    return titles | {
        f"{joint}_moment": tables.sentence(f"loads.{joint}_moment") for joint in JOINTS[::-1]
    }


def _curve(curves: xr.Dataset, name: str, title: str, *, ax: Axes) -> None:
    """Draw the mean over the repetitions of each leg with its 95 % interval."""
    percent = curves["percent"].to_numpy()
    for side in SIDES:
        value, sd = (
            100 * curves[each].sel(side=side).mean("rep").to_numpy()
            for each in (name, sd_name(name))
        )
        style: dict[str, Any] = side_style(side)
        half = half_width(sd)
        ax.plot(percent, value, linewidth=2.0, **style)
        ax.fill_between(percent, value - half, value + half, color=style["color"], alpha=0.15, lw=0)
    ax.set_xlim(0, 100)
    if name == "weight_share":
        low, high = ax.get_ylim()
        ax.set_ylim(max(min(low, 30.0), 0.0), min(max(high, 70.0), 100.0))
    ax.set_xlabel(tables.sentence("loads.axis"), fontsize=NORMAL)
    panel_title(ax, title)


def _notes(shown: xr.Dataset) -> list[str]:
    entry = last_of(history(shown), "loads")
    warnings, load = entry["warnings"], entry["arguments"].get("load")
    where, mass = load or ("empty", 0.0)
    carried = tables.sentence(f"loads.carried.{where}", load=f"{100 * mass:.0f} %")
    notes = [tables.sentence("loads.note", carried=carried)]
    # Single frames at the edge of a recording need no note.
    return notes + [str(each["message"]) for each in warnings if each["values"]["share"] >= 0.005]
