"""scripts/calibrate_spread.py on errors and spreads that are known."""

from __future__ import annotations

import importlib
from types import ModuleType

import numpy as np
import pytest
import xarray as xr

from mobility import tables
from mobility.kinematics.skeleton import KEYPOINTS


@pytest.fixture
def script(project, monkeypatch) -> ModuleType:
    """The module scripts/calibrate_spread.py."""
    monkeypatch.syspath_prepend(str(project / "scripts"))
    return importlib.import_module("calibrate_spread")


def test_the_factor_holds_95_percent_of_the_errors(script, capsys) -> None:
    rng = np.random.default_rng(5)
    found = [{"knee_flexion": abs(1.7 * rng.standard_normal(400))} for _ in range(40)]
    assert script.factors(found)["knee_flexion"] == pytest.approx(1.7, abs=0.05)
    # erf(1.96 / 1.7 / sqrt 2)
    assert "75 % within 1.96 sd" in capsys.readouterr().out


def test_what_was_refused_counts_for_nothing_and_each_clip_alike(script) -> None:
    short, long = np.full(10, 3.92), np.full(1000, 1.96)
    refused = np.full(20, np.nan)
    one = {"elbow_flexion": np.concatenate([short, refused])}
    other = {"elbow_flexion": long}
    # Of two clips the worse one is half; of twenty one is the last twentieth.
    assert script.factors([one, other]) == {"elbow_flexion": 2.0}
    assert script.factors([one] + [other] * 24) == {"elbow_flexion": 1.0}
    assert script.factors([{"elbow_flexion": refused}, other]) == {"elbow_flexion": 1.0}


def test_a_factor_has_a_floor(script) -> None:
    assert script.factors([{"trunk_lean": np.full(50, 0.1)}]) == {"trunk_lean": script.LEAST}


def test_ratios_do_not_depend_on_the_factors_that_hold(script, opencap_pose, monkeypatch) -> None:
    """The draws are spread by the table; what is compared with the errors are the draws as such."""
    pose = opencap_pose.isel(time=slice(0, 120))
    points = pose["position"].isel(individual=0, drop=True).sel(keypoint=list(KEYPOINTS))
    truth = xr.Dataset({"position": points.transpose("time", "keypoint", "space")})
    before = script.ratios([pose], truth)
    table = tables.load("angle_spread")
    doubled = {
        **table,
        "one_camera": {
            **table["one_camera"],
            "angles": {name: 2 * f for name, f in table["one_camera"]["angles"].items()},
        },
    }
    load = tables.load
    monkeypatch.setattr(
        tables, "load", lambda name: doubled if name == "angle_spread" else load(name)
    )
    after = script.ratios([pose], truth)
    assert np.isfinite(before["knee_flexion"]).any()
    for name in before:
        np.testing.assert_allclose(after[name], before[name], rtol=1e-9, equal_nan=True)
