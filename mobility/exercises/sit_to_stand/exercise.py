"""Sit-to-stand, with rises from a seat as repetitions."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mobility import tables
from mobility.assessment.looks_like import on_feet, sits
from mobility.assessment.measures import measure
from mobility.assessment.number import HIDDEN_SIDE
from mobility.exercises.repeated.exercise import Repeated
from mobility.exercises.sit_to_stand.chair_rises import find_chair_rises, seated, set_chair_rises
from mobility.keypoints.view import UNKNOWN, camera_view

if TYPE_CHECKING:
    from mobility.assessment.exercise_stages import Depends, Trial

_FAST = ("hip_flexion", "trunk_lean")
"""Angles that change fast when the hips leave the seat."""


class SitToStand(Repeated):
    """Rises from a seat."""

    depends: ClassVar[Depends] = {
        "fitted": (("pose", "second_pose"), ("exercise",), ()),
    }

    def fit_options(self, cleaned: xr.Dataset) -> dict[str, Any]:
        """Let the centre of mass be behind the feet, and do not assume that standing is straight.

        A chair carries the body, and many people never stand fully upright between rises. Straight
        standing is assumed, as in the other exercises, only if nothing else determines the pitch of
        the camera or the depth. That applies to views from the front or the back, and to keypoints
        without depth.
        """
        from_side = camera_view(cleaned).kind not in ("front", "back", UNKNOWN)
        return {"unbalanced": True, "standing": "free" if from_side else "straight"}

    def repetitions(self, trial: Trial) -> xr.Dataset:
        """Find the sit-to-stand repetitions, or use times that were set by hand."""
        if trial.intervals is None:
            return find_chair_rises(trial.fitted)
        return set_chair_rises(trial.fitted, trial.intervals)

    def metrics(self, trial: Trial) -> xr.Dataset:
        """Measure legs and trunk at seat-off and while the person rises, and the times."""
        measured = measure(
            trial.fitted,
            trial.angles,
            trial.repetitions,
            exercise=self,
            operation="sit_to_stand",
            other_exercise=partial(_no_seat_warning, trial.repetitions),
            sex=trial.sex,
            age=trial.age,
        )
        return self.warned(_without_fast_angles(measured), trial)

    def recognised_in(self, pose: xr.Dataset) -> list[dict[str, Any]]:
        """Warn if the person sits before most repetitions of a recording of another exercise."""
        if not sits(pose, seated(find_chair_rises(pose))):
            return []
        return [tables.warning("warnings.chair_rise", exercise=self.slug)]

    def compared(
        self, angles: xr.Dataset, repetitions: xr.Dataset, metrics: xr.Dataset
    ) -> tuple[xr.Dataset, xr.Dataset]:
        """Also compare the frame of seat-off and its neighbours."""
        angles, repetitions = super().compared(angles, repetitions, metrics)
        times = repetitions["time"].to_numpy()
        frame = float(np.median(np.diff(times))) if times.size > 1 else 0.0
        seat_off = repetitions["seat_off"]
        return angles, repetitions.assign(
            seat_off_start=seat_off - frame, seat_off_end=seat_off + frame
        )


def _without_fast_angles(metrics: xr.Dataset) -> xr.Dataset:
    """Withhold, in side views, angles that change too fast for the uncertain time of seat-off."""
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
    """Warn if the feet always carry the body, as in a squat."""
    if not on_feet(pose, seated(repetitions)[accepted]):
        return []
    return [tables.warning("warnings.no_seat", exercise="squat")]
