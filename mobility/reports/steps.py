"""Steps of a trial in words: where to, how far, and when."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mobility import tables
from mobility.kinematics.stances import steps_of
from mobility.wording import capital, listed, shortened

if TYPE_CHECKING:
    import xarray as xr

    from mobility.kinematics.stances import Step

_SIMILAR = 0.6
"""Share of the largest part of a step from which on another part is named beside it."""

_LEAST_M = 0.01
"""Metres; a smaller part has no direction."""

_MOST = 5
"""Steps that are named in a line, at most."""


def step_in_words(step: Step, *, sized: bool = False) -> str:
    """Say where a step goes, and when: "steps forward at 4.4 s"; with how far if `sized`."""
    parts = {
        "forward" if step.forward_m > 0 else "backward": abs(step.forward_m),
        "left" if step.left_m > 0 else "right": abs(step.left_m),
        "wider" if step.wider_m > 0 else "closer": abs(step.wider_m),
    }
    least = max(_LEAST_M, _SIMILAR * max(parts.values()))
    named = [name for name, size in parts.items() if size >= least]
    ways = [name for name in named if name not in ("wider", "closer")]
    form = "sized" if sized else "short"
    texts = [
        tables.sentence(f"report.steps.feet.{name}.{form}", size=100 * parts[name])
        for name in named
        if name not in ways
    ]
    if ways:
        way = listed([tables.sentence(f"report.steps.way.{name}") for name in ways])
        size = 100 * math.hypot(*(parts[name] for name in ways))
        texts.insert(0, tables.sentence(f"report.steps.goes.{form}", way=way, size=size))
    what = ", ".join(texts) or tables.sentence("report.steps.moves")
    return tables.sentence("report.steps.at", what=what, time=step.time_s)


def steps_in_a_line(trial: xr.Dataset) -> str:
    """Name the steps of a trial, and what they mean for the values; empty without any."""
    steps = [step_in_words(step) for step in steps_of(trial)]
    if not steps:
        return ""
    return tables.sentence("report.steps.line", steps=capital(shortened(steps, most=_MOST)))
