"""Stages of the Sit-to-Stand, whose repetitions are rises from a seat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mobility import tables
from mobility.assessment.estimates import HIDDEN_SIDE, without_hidden_side
from mobility.assessment.kinds import BESIDE, RETEST_ERROR
from mobility.assessment.looks_like import on_feet, sits
from mobility.assessment.measures import measure
from mobility.assessment.phases import between
from mobility.exercises.repeated import analysis as repeated
from mobility.exercises.sit_to_stand.angles_of_rises import add_angles_of_rises
from mobility.exercises.sit_to_stand.chair_rises import find_chair_rises, set_chair_rises
from mobility.exercises.sit_to_stand.lab import times_of_both, with_seat_off
from mobility.exercises.sit_to_stand.times import add_times

if TYPE_CHECKING:
    from mobility.registry import Exercise, Trial

SLUG = "sit-to-stand"

DEPENDS: Mapping[str, Any] = {
    "fitted": (("pose", "second_pose"), ("exercise",), ()),
    "metrics": (("fitted", "angles", "repetitions"), ("sex", "age"), ()),
}

_ONLY_OF_SQUATS = ("depth", "descent_duration", "bottom_duration", "ascent_duration", "tempo_ratio")
_PHASES_OF_SQUATS = "over mid-descent, bottom and mid-ascent"
_PHASES_OF_RISES = "from leaving the seat to the middle of the rise"


def fit_options(cleaned: xr.Dataset) -> dict[str, Any]:
    """Let the centre of mass be behind the feet, where a chair carries the body."""
    return {"unbalanced": True}


def repetitions(trial: Trial) -> xr.Dataset:
    """Find the chair rises, or take the times that were set by hand."""
    if trial.intervals is None:
        return find_chair_rises(trial.fitted)
    return set_chair_rises(trial.fitted, trial.intervals)


def metrics(trial: Trial) -> xr.Dataset:
    """Measure legs and trunk when the hips leave the seat and while they rise, and the times."""
    rises = leaving_the_seat(trial.repetitions)
    measured = measure(
        trial.fitted,
        trial.angles,
        rises,
        exercise=trial.exercise,
        operation="sit_to_stand",
        other_exercise=partial(_no_seat_warning, trial.repetitions),
    )
    measured = _without_fast_angles(_described_as_rises(measured))
    angles = without_hidden_side(trial.angles, measured)
    measured = add_angles_of_rises(measured, trial.fitted, angles, trial.repetitions)
    measured = add_times(
        measured, trial.fitted, angles, trial.repetitions, sex=trial.sex, age=trial.age
    )
    return repeated.warned_of_joints(measured, trial)


_FAST = ("hip_flexion", "trunk_lean")
"""Angles that change fast when the hips leave the seat."""


def _without_fast_angles(metrics: xr.Dataset) -> xr.Dataset:
    """From the side, refuse angles that change too fast for the uncertain moment."""
    if HIDDEN_SIDE not in metrics.attrs:
        return metrics
    note = tables.sentence("reasons.chair.side")
    refused = {
        name: (variable * np.nan).assign_attrs(variable.attrs | {"note": note})
        for name, variable in metrics.data_vars.items()
        if variable.attrs["quantity"] in _FAST
    }
    return metrics.assign(refused)


def leaving_the_seat(repetitions: xr.Dataset) -> xr.Dataset:
    """Describe the rises as squats whose bottom is the frame in which the hips leave the seat.

    They begin with the lean of the trunk and end when the person stands, and have no descent.
    """
    times = repetitions["time"].to_numpy()
    frame = float(np.median(np.diff(times))) if times.size > 1 else 0.0
    start = repetitions["start"]
    seat_off = repetitions["seat_off"]  # missing where times were set by hand and no seat is seen
    return repetitions.assign(
        bottom=seat_off,
        bottom_start=(seat_off - frame).clip(min=start),
        bottom_end=seat_off + frame,
        end=repetitions["bottom_start"],
        complete=repetitions["start_seen"],
        start_seen=xr.zeros_like(repetitions["start_seen"]),
        end_seen=xr.ones_like(repetitions["end_seen"]),
    )


def _no_seat_warning(
    repetitions: xr.Dataset, pose: xr.Dataset, frames: xr.DataArray, accepted: NDArray[np.bool_]
) -> list[dict[str, Any]]:
    """Warn where the feet carry the body all the time, as in a squat."""
    if not on_feet(pose, _seated(repetitions)[accepted]):
        return []
    return [tables.warning("warnings.no_seat", exercise="squat")]


def recognised_in(pose: xr.Dataset) -> list[dict[str, Any]]:
    """Warn that the person sits before most of the rises of a trial of another exercise."""
    if not sits(pose, _seated(find_chair_rises(pose))):
        return []
    return [tables.warning("warnings.chair_rise", exercise=SLUG)]


def _seated(rises: xr.Dataset) -> NDArray[np.bool_]:
    """Frames from sitting down to leaving the seat, over (rep, time)."""
    frames = between(rises["time"], rises["seated_since"], rises["seat_off"])
    seated: NDArray[np.bool_] = frames.transpose("rep", "time").to_numpy()
    return seated


def _described_as_rises(metrics: xr.Dataset) -> xr.Dataset:
    """Leave out what only squats have, and describe the phases of a rise."""
    left_out = {*_ONLY_OF_SQUATS}
    for name, variable in metrics.data_vars.items():
        if variable.attrs["kind"] == "from_standing":
            left_out |= {str(name), *variable.attrs[BESIDE].split()}
        if variable.attrs["kind"] == RETEST_ERROR:  # was not measured for chair rises
            left_out.add(str(name))
    kept = metrics.drop_vars(left_out)
    for variable in kept.data_vars.values():
        beside = [name for name in variable.attrs.get(BESIDE, "").split() if name in kept]
        if beside:
            variable.attrs[BESIDE] = " ".join(beside)
        for key in ("statistic", "long_name"):
            variable.attrs[key] = variable.attrs[key].replace(_PHASES_OF_SQUATS, _PHASES_OF_RISES)
    return kept


def compared(
    exercise: Exercise, angles: xr.Dataset, repetitions: xr.Dataset, metrics: xr.Dataset
) -> tuple[xr.Dataset, xr.Dataset]:
    """Compare when the hips leave the seat."""
    angles, repetitions = repeated.compared(exercise, angles, repetitions, metrics)
    return angles, with_seat_off(repetitions)


def compared_times(
    exercise: Exercise,
    repetitions: xr.Dataset,
    metrics: xr.Dataset,
    recordings: Sequence[xr.Dataset],
) -> xr.Dataset:
    """Compare the times of the rises, and of the tests, with those in the lab's own file."""
    return times_of_both(exercise, repetitions, metrics, recordings)
