"""Marker angles beside two markerless systems, from the CSV files of the LBMC benchmark.

usage: python benchmarks/lbmc.py [--lab FOLDER] [--json]

Two people lift a box from the floor (two lifts each) and stand up from a chair and sit down again;
right side, marker-based model at 120 Hz (../shared/data beside the checkout). System 1 is Theia3D
with nine cameras, system 4 RTMPose and Pose2Sim with two, both at 60 Hz. Nothing of ours measured
here: it shows that reading, synchronising and comparing do on published files what anyone can
compute from them. A movement begins and ends where the knee of the marker model leaves its usual
angle in that trial (the median) by 15 degrees.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from mobility.validation.agreement import agreement
from mobility.validation.lab_files import read_lab
from mobility.validation.synchronise import align, find_lag

ROOT = Path(__file__).resolve().parents[1]
SYSTEMS = {"method1": "Theia3D, 9 cameras", "method4": "RTMPose + Pose2Sim, 2 cameras"}
TASKS = {"mmh": "lifting", "sit-stand": "sit to stand"}
PEOPLE = ("01", "02")
ANGLES = ("knee_flexion", "hip_flexion", "ankle_dorsiflexion", "hip_abduction", "elbow_flexion")
AWAY_DEG = 15.0
SHORTEST_S = 0.5


def movements(markers: xr.Dataset) -> xr.Dataset:
    """Find the times in which the right knee is away from its usual angle."""
    knee = markers["knee_flexion"].sel(side="right").to_numpy()
    time = markers["time"].to_numpy()
    away = np.abs(knee - np.nanmedian(knee)) > AWAY_DEG
    edges = np.flatnonzero(np.diff(np.concatenate([[False], away, [False]]).astype(int)))
    spans = [(time[a], time[b - 1]) for a, b in edges.reshape(-1, 2)]
    kept = [(a, b) for a, b in spans if b - a >= SHORTEST_S]
    return xr.Dataset(
        {
            "start": ("rep", [a for a, _ in kept]),
            "end": ("rep", [b for _, b in kept]),
            "accepted": ("rep", [True] * len(kept)),
        },
        coords={"rep": np.arange(1, len(kept) + 1)},
    )


def trial(lab: Path, system: str, task: str, person: str) -> tuple[xr.Dataset, xr.Dataset, float]:
    """Angles of a system, those of the markers at the same times, and the lag (s) between them."""
    folder = lab / "lbmc_benchmark"
    markers = read_lab(folder / f"markers_{task}_{person}.csv")[list(ANGLES)]
    system_angles = read_lab(folder / f"{system}_{task}_{person}.csv")[list(ANGLES)]
    sync = find_lag(system_angles, markers)
    return system_angles, align(markers, sync, system_angles["time"].to_numpy()), sync.lag_s


def compared(lab: Path, system: str, task: str) -> xr.Dataset:
    """Agreement of a system with the markers in one task, of both people."""
    trials = [trial(lab, system, task, person) for person in PEOPLE]
    return agreement(
        [ours for ours, _, _ in trials],
        [theirs for _, theirs, _ in trials],
        [movements(theirs) for _, theirs, _ in trials],
        participants=list(PEOPLE),
        margin_deg=5.0,
    )


def table(lab: Path) -> pd.DataFrame:
    """Errors of each system, task and angle, degrees."""
    rows = []
    for system in SYSTEMS:
        for task in TASKS:
            found = compared(lab, system, task).sel(side="right")
            for angle in ANGLES:
                here = found.sel(angle=angle)
                rows.append(
                    {
                        **{"system": system, "task": task, "angle": angle},
                        "movements": int(here["repetitions_compared"]),
                        **{k: float(here[k]) for k in ("rmse", "bias", "rmse_offset_removed")},
                        "cmc": float(here["cmc"]),
                        "peak_difference": float(here["mean_difference"].sel(metric="peak")),
                        "range_difference": float(here["mean_difference"].sel(metric="range")),
                    }
                )
    return pd.DataFrame(rows)


def lags(lab: Path) -> pd.DataFrame:
    """Lag of every trial, seconds; the files claim one clock."""
    return pd.DataFrame(
        [
            {"system": s, "task": t, "person": p, "lag_s": trial(lab, s, t, p)[2]}
            for s in SYSTEMS
            for t in TASKS
            for p in PEOPLE
        ]
    )


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lab", type=Path, default=ROOT.parent / "shared" / "data" / "lab")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    errors, clocks = table(given.lab), lags(given.lab)
    if given.json:
        print(json.dumps({"errors": errors.to_dict("records"), "lags": clocks.to_dict("records")}))
        return
    print("degrees, system less markers, mean of two people")
    print(errors.to_string(index=False, float_format=lambda value: f"{value:.2f}"))
    print("\nlag of each trial, seconds")
    print(clocks.to_string(index=False, float_format=lambda value: f"{value:.3f}"))


if __name__ == "__main__":
    main()
