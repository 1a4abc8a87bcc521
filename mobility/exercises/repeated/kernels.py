"""Kernels of the measures that any exercise with repetitions can list."""

from __future__ import annotations

import numpy as np
import xarray as xr

from mobility import tables
from mobility.assessment.kernels import (
    LONGEST_GAP,
    PHASES,
    MeasuredTrial,
    Values,
    hip_smoothness,
    of_trial,
)
from mobility.assessment.kernels import knee as knee
from mobility.assessment.posture import posture as posture
from mobility.kinematics.angle_errors import DEFAULT_METHOD


@of_trial
def tempo(trial: MeasuredTrial) -> dict[str, Values]:
    """Compute depth, durations and number of the repetitions."""
    repetitions = trial.repetitions
    # The true start or end of a repetition is unknown if the recording cuts it off.
    complete = repetitions["complete"]
    descent = (repetitions["bottom_start"] - repetitions["start"]).where(complete)
    ascent = (repetitions["end"] - repetitions["bottom_end"]).where(complete)
    values = {
        "depth": repetitions["depth"],
        "descent_duration": descent,
        "bottom_duration": repetitions["bottom_end"] - repetitions["bottom_start"],
        "ascent_duration": ascent,
        "tempo_ratio": descent / ascent.where(ascent > 0),
        "accepted_repetitions": xr.DataArray(int(repetitions["accepted"].sum())),
    }
    return {name: Values(value) for name, value in values.items()}


@of_trial
def smoothness(trial: MeasuredTrial) -> dict[str, Values]:
    """Compute the smoothness of descent and ascent (see :func:`mobility.overhead_squat`)."""
    table, pose = tables.load("measures")["measures"], trial.pose
    measured, cutoff = hip_smoothness(pose, trial.repetitions)
    method = str(pose.attrs.get("method", DEFAULT_METHOD))
    # At such a low frame rate, a single missing frame is already too long a gap.
    slow = float(np.median(np.diff(pose["time"]))) > LONGEST_GAP / 2
    coords = {"rep": trial.repetitions["rep"].values, "phase": list(PHASES)}
    values = {}
    for name in ("sparc", "ldlj"):
        columns = np.stack([measured[f"{phase}_{name}"] for phase in PHASES], axis=-1)
        value = xr.DataArray(columns, dims=("rep", "phase"), coords=coords)
        # The error of a speed cannot be computed from draws.
        fit_error = (
            table[name]["fit_error_sd"]["value"] if trial.fitted and name == "sparc" else 0.0
        )
        note = ""
        if method in table[name]["not_of"]["value"]:
            value, note = value * np.nan, tables.sentence("reasons.not_fitted")
        if_missing = tables.sentence("reasons.slow_frames") if slow else ""
        attrs = {"cutoff_hz": cutoff} if name == "sparc" else {}
        values[name] = Values(value, xr.full_like(value, fit_error), note, if_missing, attrs)
    return values
