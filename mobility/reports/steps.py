"""Steps of a trial in words: where to, and when; how far is not measured well enough."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mobility import tables
from mobility.base.wording import listed, shortened
from mobility.kinematics.stances import steps_of

if TYPE_CHECKING:
    import xarray as xr

    from mobility.kinematics.stances import Step

_SIMILAR = 0.6
"""Share of the largest part of a step from which on another part is named beside it."""

_LEAST_M = 0.01
"""Metres; a smaller part has no direction."""

_MOST = 5
"""Steps that are named in a line, at most."""


def step_in_words(step: Step) -> str:
    """Say where a step goes, and when: "steps forward at 4.4 s"."""
    if step.returns:
        what = tables.sentence("report.steps.returns")
        return tables.sentence("report.steps.at", what=what, time=step.time_s)
    parts = {
        "forward" if step.forward_m > 0 else "backward": abs(step.forward_m),
        "left" if step.left_m > 0 else "right": abs(step.left_m),
        "wider" if step.wider_m > 0 else "closer": abs(step.wider_m),
    }
    least = max(_LEAST_M, _SIMILAR * max(parts.values()))
    named = [name for name, size in parts.items() if size >= least]
    feet = [name for name in named if name in ("wider", "closer")]
    ways = [tables.sentence(f"report.steps.way.{name}") for name in named if name not in feet]
    texts = [tables.sentence("report.steps.goes", way=listed(ways))] if ways else []
    texts += [tables.sentence(f"report.steps.feet.{name}") for name in feet]
    what = listed(texts) or tables.sentence("report.steps.moves")
    return tables.sentence("report.steps.at", what=what, time=step.time_s)


def steps_in_a_line(trial: xr.Dataset) -> str:
    """Name the steps of a trial, and what they mean for repetitions; empty without any."""
    steps = [step_in_words(step) for step in steps_of(trial)]
    if not steps:
        return ""
    return tables.sentence(
        "report.steps.line" if "joints" in trial else "report.steps.compared",
        steps=shortened(steps, most=_MOST),
    )
