"""Numbers with their intervals, or why there are none."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import xarray as xr

import mobility as mb
from mobility import tables
from mobility.documents.fill import group_metrics
from mobility.reports import values
from mobility.sessions.files import read_dataset


def test_a_difference_counts_where_its_interval_excludes_0() -> None:
    for value, sd, expected in (
        (np.nan, 5.0, ""),
        (9.0, np.nan, "error unknown"),
        # 1.96 · 5 = 9.8
        (9.7, 5.0, "within the margin of error"),
        (-9.9, 5.0, "left larger"),
        (9.9, 5.0, "right larger"),
    ):
        metrics = xr.Dataset({"a_asymmetry": value, "a_asymmetry_sd": sd, "a": 1.0})
        assert values.which_is_larger(metrics, "a_asymmetry") == expected
    # Sides of different phases are not compared.
    metrics["a_asymmetry"].attrs["quantity"] = "a"
    metrics["a"].attrs["phase"] = "left: bottom, right: mid-descent"
    assert values.which_is_larger(metrics, "a_asymmetry") == "from different phases"
    metrics["a"].attrs["phase"] = "bottom"
    assert values.which_is_larger(metrics, "a_asymmetry") == "right larger"


def test_refused_angle_has_its_reason_in_place_of_the_number(demo: Path) -> None:
    """The draws of the demo, six times as far apart."""
    fitted, repetitions = (read_dataset(demo / f"{name}.nc") for name in ("fitted", "repetitions"))
    fitted = fitted.assign(position_draws=6 * fitted.position_draws)
    angles = mb.joint_angles(fitted)
    metrics = mb.overhead_squat(fitted, angles, repetitions)
    reason = angles["hip_abduction"].attrs["refused"]
    assert reason == tables.sentence("reasons.uncertain")
    assert metrics["hip_abduction"].isnull().all()
    for side in ("left", "right"):
        shown = values.cell(metrics, "hip_abduction", side=side)
        assert shown == f'<span class="missing">not measured: {reason}</span>'
    group = group_metrics(metrics)["hip_abduction"]
    assert group["left_hip_abduction"] is None
    assert json.dumps(group["right_hip_abduction"]) == "null"
