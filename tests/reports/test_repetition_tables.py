"""Tables of repetitions, and what they say where there are none."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

import mobility as mb
from mobility.reports import recording, repetition_tables
from mobility.store import Session


def test_what_has_no_value_says_why(session: Session) -> None:
    repetitions = session.repetitions()
    empty = repetitions.isel(rep=slice(0, 0))
    metrics = mb.overhead_squat(session.fitted(), session.angles(), empty)
    assert recording.count_repetitions(empty) == "none found"
    assert repetition_tables.at_a_glance(metrics).count("no repetition was found") == 6
    assert "No repetition was found" in repetition_tables.repetition_table(metrics, empty)
    rejected = repetitions.assign(
        accepted=("rep", [False, False, True]), reason=("rep", ["too fast", "cut off", ""])
    )
    assert recording.count_repetitions(rejected) == (
        "1 accepted of 3 found (left out: no. 1: too fast; no. 2: cut off)"
    )
    metrics = session.metrics()
    note = "seen from the side, where one leg hides the other"
    for name in ("knee_deviation", "knee_deviation_asymmetry", "knee_ankle_separation_ratio"):
        metrics[name] = xr.full_like(metrics[name], np.nan).assign_attrs(note=note, units="1")
    glance = repetition_tables.at_a_glance(metrics)
    assert glance.count(f"not measured: {note}<") == 2
    assert "nan" not in glance.lower()


def test_tables_are_of_accepted_repetitions_with_intervals(session: Session) -> None:
    metrics, repetitions = session.metrics(), session.repetitions()

    def first(name: str, value: bool) -> Any:
        rest = repetitions.sizes["rep"] - 1
        return repetitions.assign({name: repetitions[name].copy(data=[value, *[not value] * rest])})

    name = "knee_ankle_separation_ratio_phase"
    metrics[name] = xr.full_like(metrics[name], 0.9)
    metrics[name][0] = 0.2
    metrics[f"{name}_sd"] = xr.full_like(metrics[name], 0.1)
    text = repetition_tables.phase_table(metrics, first("accepted", False))
    assert text.count('0.90 <span class="interval">± 0.20</span>') == 4
    assert "0.20 <span" in repetition_tables.phase_table(metrics, first("accepted", True))
    # One that is cut off is accepted, and said to be so.
    text = repetition_tables.repetition_table(session.metrics(), first("complete", False))
    assert text.count("accepted, cut off") == 1
    assert "accepted, cut off" not in repetition_tables.repetition_table(
        session.metrics(), repetitions
    )
