"""Sessions and lab files of the same trial: the demo's, whose truth is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from demo_sessions import copy_of, taken_as_current

from mobility.kinematics.angles import joint_angles
from mobility.lab.lab_writers import write_trc
from mobility.store import Session, Store
from mobility.virtual_lab.case import read_truth, truth_pose


def add_demo_session(store: Store, demo: Path, name: str, *, user_id: str = "ann") -> Session:
    """Put the demo's session into a store."""
    return taken_as_current(copy_of(demo, store, name, user_id=user_id))


def truth_of(demo: Path) -> xr.Dataset:
    """True positions of the demo's body."""
    return truth_pose(read_truth(demo / "truth.nc"))


def true_angles(demo: Path) -> xr.Dataset:
    """Our formulas on the true positions."""
    return joint_angles(truth_of(demo))


def write_truth(
    demo: Path,
    path: Path,
    *,
    lag: float = 0.25,
    rate: float | None = 120.0,
    noise_m: float = 0.0,
    stop: float | None = None,
    seed: int = 0,
) -> Path:
    """Write the truth as a TRC of a lab whose clock is late by `lag`, s."""
    pose = truth_of(demo)
    time = pose["time"].to_numpy()
    if rate is not None:
        grid = np.arange(time[0], time[-1] if stop is None else stop, 1 / rate)
        pose = pose[["position"]].interp(time=grid)
    rng = np.random.default_rng(seed)
    noisy = pose["position"] + rng.normal(0, noise_m, pose["position"].shape)
    pose = pose.assign(position=noisy).assign_coords(time=pose["time"] + lag)
    return write_trc(pose, path)


COORDINATES = {
    "knee_flexion": "knee_angle",
    "hip_flexion": "hip_flexion",
    "ankle_dorsiflexion": "ankle_angle",
}
"""Coordinates of OpenSim's models for our angles."""


def write_motion(demo: Path, path: Path, *, lag: float = 0.25, names: Any = COORDINATES) -> Path:
    """Write true angles as a MOT, as those of a lab's model, whose clock is late by `lag`, s."""
    angles = true_angles(demo)
    columns = {"time": angles["time"].to_numpy() + lag}
    for name in names:
        for side in ("left", "right"):
            columns[f"{COORDINATES[name]}_{side[0]}"] = angles[name].sel(side=side).to_numpy()
    rows = np.stack(list(columns.values()), axis=-1)
    size = [f"nRows={len(rows)}", f"nColumns={len(columns)}"]
    head = ["Coordinates", "version=1", *size, "inDegrees=yes", "endheader", "\t".join(columns)]
    lines = ["\t".join(f"{value:.6f}" for value in row) for row in rows]
    path.write_text("\n".join([*head, *lines]) + "\n")
    return path
