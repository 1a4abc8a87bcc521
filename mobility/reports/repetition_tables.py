"""Tables of the repetitions: at a glance, by phase, and one by one."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from markupsafe import Markup

from mobility import tables
from mobility.assessment.number import Number
from mobility.base.formatting import capital, quantity, rounded
from mobility.base.uncertain import sd_name
from mobility.catalogue.exercise import main_moment
from mobility.catalogue.registry import exercise_of
from mobility.reports.html import Cell, Row, html, measured, paragraphs, table
from mobility.reports.recording import steps_in_a_line
from mobility.reports.values import (
    cell,
    cells_of_sides,
    factor_of,
    units_of,
    value_of,
    which_is_larger,
)

if TYPE_CHECKING:
    from mobility.catalogue.exercise import Exercise

GROUPS = {
    "hip_flexion": "Hip flexion",
    "hip_abduction": "Hip abduction",
    "knee_flexion": "Knee flexion",
    "knee_movement": "Knee movement",
    "ankle_dorsiflexion": "Ankle dorsiflexion",
}
"""The groups of the report in their order, with their headings."""

RATIO = "Knee-ankle separation ratio"

ANGLES = ("hip_flexion", "hip_abduction", "knee_flexion", "ankle_dorsiflexion")
"""The groups that are angles."""


def at_a_glance(metrics: xr.Dataset) -> Markup:
    """Make the table of the five groups: left, right and their difference with 95 % intervals."""
    moving = exercise_of(metrics).words["moving"]
    rows: list[Row] = []
    for group, heading in GROUPS.items():
        name = "knee_deviation" if group == "knee_movement" else group
        if name not in metrics:  # the exercise does not measure it
            continue
        if group == "knee_movement":
            ratio = cell(metrics, "knee_ankle_separation_ratio")
            rows.append([f"{RATIO}, smallest {moving}", Cell(ratio, "both", columns=2), "", ""])
            heading = tables.sentence("report.knee_deviation", moving=moving)
        compared = which_is_larger(metrics, f"{name}_asymmetry")
        rows.append([heading, *cells_of_sides(metrics, name), compared])
    return table(
        ["Measure", "Left", "Right", "Right − left", "Difference is"],
        rows,
        caption=tables.sentence("report.at_a_glance", moment=moment_of(metrics)),
        numeric=True,
    )


def phase_table(metrics: xr.Dataset, repetitions: xr.Dataset) -> Markup:
    """Make the table of knee movement by phase, over the accepted repetitions.

    Empty without values. Values are medians ± margin of error (95 %), from the median error of a
    repetition.
    """
    metrics = metrics.isel(rep=np.flatnonzero(repetitions["accepted"].values))
    ratio, deviation = "knee_ankle_separation_ratio_phase", "knee_deviation_phase"
    if not any(name in metrics and metrics[name].notnull().any() for name in (ratio, deviation)):
        return html()

    def median(here: xr.Dataset, name: str, side: str | None = None) -> str:
        value, sd = (
            factor_of(metrics, name)
            * _median(here[each] if side is None else here[each].sel(side=side))
            for each in (name, sd_name(name))
        )
        return measured(Number(value, sd, units=units_of(metrics, name)))

    rows: list[Row] = []
    exercise = exercise_of(metrics)
    for phase in [name for name in exercise.moments if name in metrics["phase"]]:
        words = exercise.words[phase]
        here = metrics.sel(phase=phase)
        rows.append(
            [
                words.capitalize(),
                median(here, ratio),
                *(median(here, deviation, side) for side in ("left", "right")),
            ]
        )
    return table(
        ["Phase", RATIO, "Left deviation", "Right deviation"],
        rows,
        caption=tables.sentence("report.phases"),
        numeric=True,
    )


def repetition_table(metrics: xr.Dataset, repetitions: xr.Dataset) -> Markup:
    """Make the table of repetitions: times, depth, durations and angles."""
    if repetitions.sizes.get("rep", 0) == 0:
        return paragraphs(tables.sentence("report.no_repetition"), kind="missing")
    short = {"hip_flexion": "Hip", "hip_abduction": "Hip abd.", "knee_flexion": "Knee"}
    exercise = exercise_of(metrics)
    durations = exercise.table["report"].get("durations") or _durations(exercise)
    deep = "depth" in metrics
    angles = [name for name in ANGLES if name in metrics]
    moment = main_moment(exercise.moments)

    def of_all(names: Iterable[tuple[str, str | None]], units: str, number: int) -> str:
        values = (value_of(metrics, name, side, rep=number) for name, side in names)
        return "/".join(quantity(value, units).rstrip(" °%s") for value in values)

    rows: list[Row] = []
    for number in repetitions["rep"].values:
        here = repetitions.sel(rep=number)
        is_complete = bool(here["complete"])
        used = tables.sentence(
            "report.repetitions.whole" if is_complete else "report.repetitions.cut_off"
        )
        if not bool(here["accepted"]):
            used = str(here["reason"].item())
        rows.append(
            [
                f"{int(number)}",
                "–".join(rounded(float(here[end]), 1) for end in ("start", "end")),
                *([quantity(float(here["depth"]), "percent").removesuffix(" %")] if deep else []),
                of_all([(name, None) for name in durations["names"]], "s", number),
                *(
                    of_all(
                        [(f"{name}_{moment}", side) for side in ("left", "right")], "degree", number
                    )
                    for name in angles
                ),
                Cell(used, "text"),
            ]
        )
    steps = steps_in_a_line(repetitions)
    every = table(
        [
            "No.",
            "From–to, s",
            *(["Depth, %"] if deep else []),
            durations["head"],
            *(f"{short.get(name, 'Ankle')}, °" for name in angles),
            "Use",
        ],
        rows,
        caption=tables.sentence("report.repetitions.every", moment=moment_of(metrics)),
        numeric=True,
    )
    return every + paragraphs(*filter(None, [steps]))


def _durations(exercise: Exercise) -> dict[str, Any]:
    """Return the heading and the metrics of the durations that make up a repetition."""
    words = exercise.words
    turn = "low" if words["turn"] == "bottom" else words["turn"]
    return {
        "head": f"{capital(words['there'])} / {turn} / {words['back']}, s",
        "names": ["descent_duration", "bottom_duration", "ascent_duration"],
    }


def moment_of(metrics: xr.Dataset) -> str:
    """Name the moment of a repetition at which angles are measured."""
    return exercise_of(metrics).words["at"]


def _median(array: xr.DataArray) -> float:
    values = np.asarray(array.values, float)
    values = values[np.isfinite(values)]
    return float(np.median(values)) if values.size else math.nan
