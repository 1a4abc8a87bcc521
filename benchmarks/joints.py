"""Errors of the range of motion of single joints against rendered truth.

usage: python benchmarks/joints.py [--grid GRID.yaml] [--cache FOLDER] [--cases NAME ...]
                                    [--rendered-only]

Needs the extra virtual-lab. Each case of joints.yaml, or of another grid, is rendered, its pose
estimated and kept in the cache, and measured as a session of Joint Angle Mobility is; the truth
goes through the same formulas. Printed for the sides that move and that the camera sees: range and
largest angle with their standard deviation, the true ones, and the mean absolute error of the
curve. Then, for each joint that was measured, moving or not, the root mean square over arms or
legs of the error of its values.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
import yaml

import mobility as mb
from mobility.assessment.joint_mobility import feet_may_stay, single_joint_limits
from mobility.kinematics.fit import VISIBILITY_THRESHOLD
from mobility.virtual_lab.case import (
    Case,
    case_from,
    read_truth,
    render_case,
    truth_pose,
    write_dataset,
)

ROOT = Path(__file__).resolve().parents[1]
JOINT = {
    "elbow_flexion": "elbow",
    "shoulder_flexion": "shoulder",
    "shoulder_abduction": "shoulder",
    "hip_flexion": "hip",
    "knee_flexion": "knee",
    "ankle_dorsiflexion": "ankle",
}
ANGLE = {"ankle": "ankle_dorsiflexion"}


def cases(grid: Path = ROOT / "benchmarks" / "joints.yaml") -> Iterator[Case]:
    """Cases of a grid, laid over its defaults."""
    table = yaml.safe_load(grid.read_text(encoding="utf-8"))
    for own in table["cases"]:
        values: dict[str, Any] = {"name": own["name"], "body": own["body"]}
        for section, defaults in table["defaults"].items():
            values[section] = {**defaults, **own.get(section, {})}
        yield case_from(values, what=f"{grid.name}, {own['name']}")


def pose_and_truth(case: Case, cache: Path) -> tuple[xr.Dataset, xr.Dataset]:
    """Pose and truth of a case, rendered unless the cache has them."""
    folder = cache / case.name
    if not (folder / "pose.nc").is_file():
        video, _ = render_case(case, folder)
        write_dataset(mb.estimate_pose(video), folder / "pose.nc")
    pose = xr.load_dataset(folder / "pose.nc", engine="h5netcdf")
    return pose, read_truth(folder / "truth.nc")


def errors(case: Case, cache: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Measure a case; one row for each side that moves, and one for each arm and leg in sight."""
    pose, truth = pose_and_truth(case, cache)
    cleaned = mb.clean_pose(pose, visibility_threshold=VISIBILITY_THRESHOLD)
    planted = {} if feet_may_stay(cleaned) else {"feet_planted": False}
    fitted = mb.fit_body(cleaned, **planted)
    angles = mb.joint_angles(fitted, limits=single_joint_limits(), in_picture=True)
    joint = JOINT[case.motion.movement]
    found = mb.joint_mobility(fitted, angles, joints=(joint,))
    known = truth_pose(truth)
    true_angles = mb.joint_angles(known)
    true = mb.joint_mobility(known, true_angles, joints=(joint,))
    name = ANGLE.get(joint, f"{joint}_flexion")
    rows = []
    for side in case.motion.sides:
        one, right = (each.sel(joint=joint, side=side) for each in (found, true))
        curve = true_angles[name].sel(side=side).interp(time=one["time"]).values
        off = one["angle"].values - curve
        rows.append(
            {
                "case": case.name,
                "side": side,
                "range": float(one["range_of_motion"]),
                "sd": float(one["range_of_motion_sd"]),
                "true": float(right["range_of_motion"]),
                "error": float(one["range_of_motion"] - right["range_of_motion"]),
                "largest": float(one["maximum"]),
                "largest true": float(right["maximum"]),
                "movements": f"{int(one['movements'])} of {int(right['movements'])}",
                "curve": float(np.nanmean(np.abs(off))) if np.isfinite(off).any() else np.nan,
                "refused": float(one["refused_share"]),
                "note": str(one["note"].item())[:70],
            }
        )
    return rows, in_sight(case.name, fitted, true_angles)


def in_sight(name: str, fitted: xr.Dataset, true_angles: xr.Dataset) -> list[dict[str, Any]]:
    """Errors of the values of all joints that are measured, also with large expected errors."""
    endless = dict.fromkeys(single_joint_limits(), 180.0)
    angles = mb.joint_angles(fitted, limits=endless, in_picture=True)
    found = mb.joint_mobility(fitted, angles)
    rows = []
    for joint in found["joint"].values:
        for side in found["side"].values:
            angle = found["angle"].sel(joint=joint, side=side)
            curve = true_angles[ANGLE.get(joint, f"{joint}_flexion")].sel(side=side)
            off = angle.values - curve.interp(time=found["time"]).values
            if np.isfinite(off).any():
                rows.append({"case": name, "joint": joint, "square": float(np.nanmean(off**2))})
    return rows


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--grid", type=Path, default=ROOT / "benchmarks" / "joints.yaml")
    parser.add_argument("--cache", type=Path, default=ROOT / "build" / "joints")
    parser.add_argument("--cases", nargs="*", help="only these")
    parser.add_argument("--rendered-only", action="store_true", help="only what the cache has")
    options = parser.parse_args()
    rows, seen = [], []
    for case in cases(options.grid):
        there = (options.cache / case.name / "pose.nc").is_file()
        if (options.cases and case.name not in options.cases) or (
            options.rendered_only and not there
        ):
            continue
        measured, squares = errors(case, options.cache)
        rows += measured
        seen += squares
    table = pd.DataFrame(rows)
    if table.empty:
        print("no cases")
        return
    with pd.option_context("display.width", 220, "display.max_columns", None):
        print(table.round(1).to_string(index=False))
    print(f"mean absolute error of the range: {table['error'].abs().mean():.1f} degrees")
    given = table.dropna(subset=["error"])
    inside = (given["error"].abs() <= 1.96 * given["sd"]).mean()
    print(f"within 1.96 sd: {inside:.0%}; refused: {table['error'].isna().mean():.0%}")
    for joint, squares in pd.DataFrame(seen).groupby("joint")["square"]:
        rms = float(np.sqrt(squares.mean()))
        print(f"{joint}: root mean square error of the values {rms:.1f} ({len(squares)} sides)")


if __name__ == "__main__":
    main()
