"""Measured angles of the virtual lab whose errors are known, without rendering."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
import yaml

from mobility import tables
from mobility.virtual_lab.case import case_from

ANGLES = tables.load("angles")


def measured(
    *,
    azimuth: float = 0.0,
    bend: float = 0.0,
    error: float = 0.0,
    sd: float = 5.0,
    frames: int = 50,
    **motion: Any,
) -> xr.Dataset:
    """Angles that are wrong by the same everywhere, of a case."""
    time = np.arange(frames) / 20
    variables = {}
    for name, definition in ANGLES.items():
        shape = (1, frames, 2) if definition["sided"] else (1, frames)
        dims = ("estimator", "time", "side")[: len(shape)]
        # Deep in the second half.
        true = np.broadcast_to(np.where(time < time.mean(), 10.0, 100.0), (1, 2, frames))
        true = true.swapaxes(1, 2) if definition["sided"] else true[:, 0]
        variables[name] = (dims, true + error)
        variables[f"{name}_sd"] = (dims, np.full(shape, sd))
        variables[f"{name}_refused"] = (dims, np.zeros(shape, dtype=bool))
        variables[f"{name}_true"] = (dims[1:], true[0])
    case = case_from({"camera": {"azimuth": azimuth}, "motion": {"elbow_bend": bend, **motion}})
    return xr.Dataset(
        variables,
        coords={"estimator": ["fitted"], "time": time, "side": ["left", "right"]},
        attrs={
            "case": yaml.safe_dump(case.model_dump(mode="json")),
            "model_sha256": "m",
            "fit_method": "fitted_body",
            "versions": '{"mobility": "0.1.0", "mediapipe": "1.2.3"}',
        },
    )
