"""What a squat is not: standing up from a chair."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mobility import tables
from mobility.assessment.looks_like import sits
from mobility.assessment.measures import measure
from mobility.exercises.repeated.analysis import warned_of_joints
from mobility.registry import Trial


def metrics(trial: Trial) -> xr.Dataset:
    """Measure legs and trunk."""
    measured = measure(
        trial.fitted,
        trial.angles,
        trial.repetitions,
        exercise=trial.exercise,
        operation="squat",
        other_exercise=_other_exercise,
    )
    return warned_of_joints(measured, trial)


def _other_exercise(
    pose: xr.Dataset, frames: xr.DataArray, accepted: NDArray[np.bool_]
) -> list[dict[str, Any]]:
    seated = sits(pose, frames.sel(phase="bottom").to_numpy())
    return [tables.warning("warnings.chair_rise", exercise="sit-to-stand")] if seated else []
