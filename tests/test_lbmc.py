"""Marker angles beside two markerless systems: figures that anyone can compute from the CSVs."""

from __future__ import annotations

import csv
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def lbmc(program) -> ModuleType:
    return program("lbmc")


@pytest.fixture(scope="module")
def lab(shared_data) -> Path:
    return shared_data / "lab"


@pytest.fixture(scope="module")
def table(lbmc, lab) -> pd.DataFrame:
    return lbmc.table(lab)


def column(path: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Time and one column in degrees, read with nothing of ours."""
    with path.open() as file:
        rows = list(csv.DictReader(file))
    values = np.degrees([float(row[name]) for row in rows])
    return np.array([float(row["Time"]) for row in rows]), values


def test_the_knee_s_errors_are_those_of_the_files(lbmc, lab, table) -> None:
    """By hand: degrees, sign, lag, movements, 101 points, mean of each person, mean of both."""
    means = []
    for person in lbmc.PEOPLE:
        folder = lab / "lbmc_benchmark"
        time, knee = column(folder / f"method1_mmh_{person}.csv", "RKnee_FE")
        lab_time, lab_knee = column(folder / f"markers_mmh_{person}.csv", "RKnee_FE")
        lag = lbmc.trial(lab, "method1", "mmh", person)[2]
        at = np.interp(time + lag, lab_time, -lab_knee, left=np.nan, right=np.nan)
        away = np.abs(at - np.nanmedian(at)) > lbmc.AWAY_DEG
        edges = np.flatnonzero(np.diff(np.r_[0, away.astype(int), 0]))
        errors = []
        for a, b in edges.reshape(-1, 2):
            if time[b - 1] - time[a] < lbmc.SHORTEST_S:
                continue
            moments = np.linspace(time[a], time[b - 1], 101)
            apart = np.interp(moments, time, -knee) - np.interp(moments, time, at)
            errors.append(np.sqrt(np.mean(apart**2)))
        means.append(np.mean(errors))
    row = table.query("system == 'method1' and task == 'mmh' and angle == 'knee_flexion'").iloc[0]
    assert row["movements"] == 4
    assert row["rmse"] == pytest.approx(np.mean(means), abs=0.02)


def test_all_movements_are_there(table) -> None:
    assert len(table) == 20
    assert (table[table["task"] == "mmh"]["movements"] == 4).all()
    assert (table[table["task"] == "sit-stand"]["movements"] == 2).all()
    assert np.isfinite(table[["rmse", "bias", "peak_difference"]]).all().all()


def test_nine_cameras_follow_the_knee_better_than_two(table) -> None:
    lifts = table[(table["task"] == "mmh") & (table["angle"] == "knee_flexion")].set_index("system")
    assert lifts.loc["method1", "rmse_offset_removed"] < 3
    assert lifts.loc["method4", "rmse_offset_removed"] > 5
    assert lifts.loc["method1", "cmc"] > 0.98


def test_ankles_differ_by_an_offset_of_the_definition(table) -> None:
    ankles = table[(table["system"] == "method1") & (table["angle"] == "ankle_dorsiflexion")]
    assert (ankles["bias"] > 10).all()
    assert (ankles["rmse_offset_removed"] < 2).all()


def test_the_files_share_a_clock(lbmc, lab) -> None:
    lags = lbmc.lags(lab)
    assert len(lags) == 8
    assert (lags[lags["system"] == "method1"]["lag_s"].abs() < 0.02).all()
    assert (lags["lag_s"].abs() < 0.05).all()
