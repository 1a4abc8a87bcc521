"""Stages of the Sit-to-Stand, whose repetitions are rises from a seat."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mobility import tables
from mobility.assessment.looks_like import on_feet, sits
from mobility.assessment.measures import measure
from mobility.assessment.number import HIDDEN_SIDE
from mobility.exercises.repeated import analysis as repeated
from mobility.exercises.sit_to_stand.chair_rises import find_chair_rises, seated, set_chair_rises
from mobility.keypoints.view import UNKNOWN, camera_view

if TYPE_CHECKING:
    from mobility.assessment.exercise_stages import Trial
    from mobility.catalogue.exercise import Exercise

SLUG = "sit-to-stand"

DEPENDS: Mapping[str, Any] = {
    "fitted": (("pose", "second_pose"), ("exercise",), ()),
    "metrics": (("fitted", "angles", "repetitions"), ("sex", "age"), ()),
}


def fit_options(cleaned: xr.Dataset) -> dict[str, Any]:
    """Let the centre of mass be behind the feet, and assume no straight standing.

    A chair carries the body, and many people who rise from one never stand fully upright. Straight
    standing is assumed, as in the other exercises, only if nothing else determines the pitch of the
    camera or the depth: from the front or the back, and for keypoints without depth.
    """
    seen = camera_view(cleaned).kind not in ("front", "back", UNKNOWN)
    return {"unbalanced": True, "standing": "free" if seen else "straight"}


def repetitions(trial: Trial) -> xr.Dataset:
    """Find the chair rises, or take the times that were set by hand."""
    if trial.intervals is None:
        return find_chair_rises(trial.fitted)
    return set_chair_rises(trial.fitted, trial.intervals)


def metrics(trial: Trial) -> xr.Dataset:
    """Measure legs and trunk when the hips leave the seat and while they rise, and the times."""
    measured = measure(
        trial.fitted,
        trial.angles,
        trial.repetitions,
        exercise=trial.exercise,
        operation="sit_to_stand",
        other_exercise=partial(_no_seat_warning, trial.repetitions),
        sex=trial.sex,
        age=trial.age,
    )
    return repeated.warned(_without_fast_angles(measured), trial)


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


def _no_seat_warning(
    repetitions: xr.Dataset, pose: xr.Dataset, frames: xr.DataArray, accepted: NDArray[np.bool_]
) -> list[dict[str, Any]]:
    """Warn where the feet carry the body all the time, as in a squat."""
    if not on_feet(pose, seated(repetitions)[accepted]):
        return []
    return [tables.warning("warnings.no_seat", exercise="squat")]


def recognised_in(pose: xr.Dataset) -> list[dict[str, Any]]:
    """Warn that the person sits before most of the rises of a trial of another exercise."""
    if not sits(pose, seated(find_chair_rises(pose))):
        return []
    return [tables.warning("warnings.chair_rise", exercise=SLUG)]


def compared(
    exercise: Exercise, angles: xr.Dataset, repetitions: xr.Dataset, metrics: xr.Dataset
) -> tuple[xr.Dataset, xr.Dataset]:
    """Compare also the frame in which the hips leave the seat, with its neighbours."""
    angles, repetitions = repeated.compared(exercise, angles, repetitions, metrics)
    times = repetitions["time"].to_numpy()
    frame = float(np.median(np.diff(times))) if times.size > 1 else 0.0
    seat_off = repetitions["seat_off"]
    return angles, repetitions.assign(
        seat_off_start=seat_off - frame, seat_off_end=seat_off + frame
    )
