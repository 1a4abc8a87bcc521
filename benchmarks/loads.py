"""Errors of the loads of the legs, compared with force plates.

usage: python benchmarks/loads.py [--data FOLDER] [--poses FOLDER] [--json]

One woman (../shared/data/lab/opencap_s4): a video of squats with markers and plates, and markers
with plates of standing, squats, uneven squats and rises from a seat. The reference is the inverse
dynamics of her markers and the plates, by the same formulas. Refused frames are left out.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from balance import poses_of

import mobility as mb
from mobility.kinematics.expected_error import half_width
from mobility.kinematics.fit.entry import VISIBILITY_THRESHOLD
from mobility.kinematics.skeleton import FITTED, landmarks
from mobility.lab.force_plates import read_forces
from mobility.leg_loads.dynamics import GRAVITY, JOINTS, ahead_of, of_joint
from mobility.leg_loads.loads import loads_with_plates

ROOT = Path(__file__).resolve().parents[1]
LAB, VIDEO = "lab/opencap_s4", "videos/opencap_s4_squats1_phone.mp4"
TRIALS = ("static1", "squats1", "squatsAsym1", "STS1")
MOMENTS = tuple(f"{joint}_moment" for joint in JOINTS)
EDGE_S = 0.3
"""Seconds at each end of a trial that are left out, because a filter has nothing beyond them."""


class Trial(NamedTuple):
    """A movement, its loads without plates, and those of the plates at the same frames."""

    name: str
    loads: xr.Dataset
    reference: xr.Dataset


def trials(data: Path, poses: Path) -> Iterator[Trial]:
    """Yield the trials, the video first."""
    static = mb.read_lab(data / LAB / "static1.trc")
    bodies = {
        name: mb.lab_pose(mb.read_lab(data / LAB / f"{name}.trc"), static=static) for name in TRIALS
    }
    plates = {
        name: read_forces(data / LAB / f"{name}_grf.mot", pose=pose)
        for name, pose in bodies.items()
    }
    standing = plates["static1"]["force"].sel(axis="y").sum("side")
    weight_kg = float(standing.mean()) / GRAVITY
    measured = {
        name: with_place(pose, loads_with_plates(pose, plates[name], weight_kg=weight_kg))
        for name, pose in bodies.items()
    }
    (pose,) = poses_of([data / VIDEO], poses)
    fitted = mb.fit_body(mb.clean_pose(pose, visibility_threshold=VISIBILITY_THRESHOLD))
    lag = mb.find_lag(mb.joint_angles(fitted), mb.joint_angles(bodies["squats1"])).lag_s
    moved = measured["squats1"].interp(time=fitted["time"] + lag)
    moved = moved.assign_coords(time=fitted["time"].to_numpy())
    yield Trial("video of squats1", with_place(fitted, mb.loads(fitted)), moved)
    for name, body in bodies.items():
        yield Trial(f"markers of {name}", with_place(body, mb.loads(body)), measured[name])


def with_place(pose: xr.Dataset, loads: xr.Dataset) -> xr.Dataset:
    """Add how far the centre of pressure is in front of the heels, which needs no common axes."""
    joints = landmarks(pose, keypoints=list(FITTED))
    point = loads["centre_of_pressure"].transpose("time", "axis").to_numpy()
    ahead = ((point - of_joint(joints, "heel").mean(axis=1)) * ahead_of(joints)).sum(axis=-1)
    added = {"forward": ("time", ahead)}
    if "centre_of_pressure_sd" in loads:
        sd = (loads["centre_of_pressure_sd"].to_numpy() * abs(ahead_of(joints))).sum(axis=-1)
        added["forward_sd"] = ("time", sd)
    return loads.assign(added)


QUANTITIES = {
    "weight share": ("weight_share", 1.0),
    "vertical force, of weight": ("vertical_force", 1.0),
    "centre of pressure, forward, mm": ("forward", 1000.0),
    **{f"{joint} moment, %": (f"{joint}_moment", 100.0) for joint in JOINTS[::-1]},
}


def row(trial: Trial, quantity: str) -> dict[str, Any]:
    """Compare a quantity of a trial with the plates; sides count as frames."""
    name, scale = QUANTITIES[quantity]
    time = trial.loads["time"].to_numpy()
    inside = (time >= time[0] + EDGE_S) & (time <= time[-1] - EDGE_S)
    values, truth, sd = (
        scale * each.isel(time=inside).to_numpy()
        for each in (trial.loads[name], trial.reference[name], trial.loads[f"{name}_sd"])
    )
    if name == "weight_share":
        values, truth, sd = values[:, 1], truth[:, 1], sd[:, 1]
    both = np.isfinite(values) & np.isfinite(truth)
    centre = np.full(values.shape, 0.5)
    if name != "weight_share":
        centre = np.broadcast_to(np.nanmean(np.where(both, truth, np.nan), axis=0), values.shape)
    error = (values - truth)[both]
    return {
        "trial": trial.name,
        "quantity": quantity,
        "rms": float(np.sqrt((error**2).mean())),
        "bias": float(error.mean()),
        "constant": float(np.sqrt(((truth - centre)[both] ** 2).mean())),
        "margin": float(np.median(half_width(sd[both]))),
        "within": float((abs(error) <= half_width(sd[both])).mean()),
        "reported": float(both.sum() / np.isfinite(truth).sum()),
    }


def table(rows: list[dict[str, Any]]) -> str:
    """Write the rows as a table in Markdown."""
    frame = pd.DataFrame(rows)
    lines = [
        "| trial | quantity | RMS error | bias | RMS of a constant | margin (95 %) | within "
        "| reported |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for each in frame.itertuples():
        digits = (
            3
            if each.quantity.startswith(("weight", "vertical"))
            else 1
            if "mm" in each.quantity
            else 2
        )
        numbers = [f"{v:.{digits}f}" for v in (each.rms, each.bias, each.constant, each.margin)]
        shares = [f"{100 * v:.0f} %" for v in (each.within, each.reported)]
        lines.append(f"| {' | '.join([each.trial, each.quantity, *numbers, *shares])} |")
    return "\n".join(lines)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--poses", type=Path, default=ROOT / "build" / "accuracy" / "poses")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if not given.data.is_dir():
        raise SystemExit(f"{given.data}: no such folder; pass it as --data")
    rows = [row(trial, name) for trial in trials(given.data, given.poses) for name in QUANTITIES]
    print(json.dumps(rows, indent=1) if given.json else table(rows))


if __name__ == "__main__":
    main()
