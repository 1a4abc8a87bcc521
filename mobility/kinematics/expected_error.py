"""How large the stated errors are: factors on the spread of the draws of a fit."""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mobility import tables
from mobility.provenance import cameras_of, history
from mobility.view import TWO_CAMERAS, trial_view

TABLE = "expected_error"


def spread_factors(fitted: xr.Dataset) -> dict[str, float]:
    """Give the factor on the spread of the draws of each angle of a fitted body.

    Parameters
    ----------
    fitted
        What :func:`~mobility.kinematics.fit.fit_body` returned.

    Returns
    -------
    dict
        By angle: of one camera, of two that are far enough apart to be a view of their own, or of
        feet that move or are not seen.
    """
    kind = "moving_feet"
    if any(entry.get("planted") for entry in history(fitted)):
        two = bool(cameras_of(fitted)) and trial_view(fitted) == TWO_CAMERAS
        kind = "two_cameras" if two else "one_camera"
    found: dict[str, float] = tables.load(TABLE)["fitted"][kind]["angles"]
    return {name: float(factor) for name, factor in found.items()}


def metric_sd(name: str, drawn: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the standard deviation of a metric of positions from that of its draws."""
    factor: float = tables.load(TABLE)["metrics"]["factors"].get(name, 1.0)
    return factor * drawn


def another_model(pose: xr.Dataset) -> str | None:
    """Say so where the factors were found for other pose models than that of a pose; else None."""
    model = pose.attrs.get("model_sha256")
    if model is None or model in tables.load(TABLE)["fitted"]["pose_models"]["sha256"]:
        return None
    return (
        "The stated errors were measured with another pose model than this recording's; they may be"
        " too small or too large for it."
    )
