"""Mean errors of angles in the plane of the picture, from the tuning clips of single joints.

usage: python scripts/calibrate_in_picture.py [--grid GRID.yaml] [--cache FOLDER]

Needs the extra virtual-lab. Renders the cases of benchmarks/joints_tuning.yaml, unless the cache
has them. Prints `bias_deg` for mobility/tables/in_picture.yaml: the mean error at rest, and at the
turns a line from each angle of `at_deg` to the next, of the clips that are seen from the side. And
errors of the range: of the fit, in the plane of the picture, and without bias, each clip by what
the others gave.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import mobility as mb
from mobility import tables
from mobility.assessment.joint_mobility import feet_may_stay
from mobility.kinematics.fit import VISIBILITY_THRESHOLD
from mobility.kinematics.in_picture import TABLE, picture_angles
from mobility.virtual_lab.case import Case, truth_pose

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

from joints import JOINT, cases, pose_and_truth  # noqa: E402


def ends(case: Case, cache: Path) -> list[dict[str, Any]]:
    """Value at rest and at the turn of each side that moves, and their errors."""
    pose, truth = pose_and_truth(case, cache)
    cleaned = mb.clean_pose(pose, visibility_threshold=VISIBILITY_THRESHOLD)
    planted = {} if feet_may_stay(cleaned) else {"feet_planted": False}
    fitted = mb.fit_body(cleaned, **planted)
    name = f"{JOINT[case.motion.movement]}_flexion"
    found = picture_angles(fitted, without_bias=False)
    endless = {name: 180.0}
    free = mb.joint_angles(fitted, limits=endless)
    known = mb.joint_angles(truth_pose(truth))
    rows = []
    for side in case.motion.sides:
        true = known[name].sel(side=side).interp(time=fitted["time"]).to_numpy()
        near = 0.03 * np.ptp(true)
        row: dict[str, Any] = {"case": case.name, "off": abs(abs(case.camera.azimuth) - 90)}
        row["movement"] = case.motion.movement
        for kind, angles in (("fit", free), ("picture", found)):
            values = angles[name].sel(side=side).to_numpy()
            for end, frames in (
                ("rest", true < true.min() + near),
                ("turn", true > true.max() - near),
            ):
                row[f"{kind} {end}"] = float(np.nanmedian(values[frames]))
                row[f"{kind} {end} off"] = float(np.nanmedian((values - true)[frames]))
        rows.append(row)
    return rows


def fitted_bias(table: pd.DataFrame, at: list[float]) -> list[float]:
    """Mean error at rest, and at the turn by its angle."""
    turn = table["picture turn"].to_numpy()
    shares = np.stack([np.interp(turn, at[1:], row) for row in np.eye(len(at) - 1)], axis=-1)
    line = np.linalg.lstsq(shares, table["picture turn off"].to_numpy(), rcond=None)[0]
    return [float(table["picture rest off"].mean()), *line.tolist()]


def left_out(table: pd.DataFrame, at: list[float]) -> np.ndarray:
    """Errors of the range of each clip, less what the others gave."""
    found = []
    for i in table.index:
        bias = fitted_bias(table.drop(i), at)
        rest, turn = (
            table.loc[i, f"picture {end} off"] - np.interp(table.loc[i, f"picture {end}"], at, bias)
            for end in ("rest", "turn")
        )
        found.append(turn - rest)
    return np.array(found)


def told(errors: np.ndarray) -> str:
    """Mean and root mean square."""
    return f"mean {errors.mean():+.1f}, rms {np.sqrt((errors**2).mean()):.1f} ({len(errors)})"


def main() -> None:
    """Print what was learned."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--grid", type=Path, default=ROOT / "benchmarks" / "joints_tuning.yaml")
    parser.add_argument("--cache", type=Path, default=ROOT / "build" / "joints_tuning")
    options = parser.parse_args()
    entries = tables.load(TABLE)["angles"]
    rows = [
        row
        for case in cases(options.grid)
        if case.motion.movement in entries
        for row in ends(case, options.cache)
    ]
    table = pd.DataFrame(rows)
    for name, entry in entries.items():
        for view in ("side", "oblique"):
            oblique = table["off"] > entry["bias"]["side_full_deg"]
            part = table[(table["movement"] == name) & (oblique == (view == "oblique"))].dropna()
            for kind in ("fit", "picture"):
                off = part[f"{kind} turn off"] - part[f"{kind} rest off"]
                print(f"{name}, {view}, {kind}: range {told(off.to_numpy())}")
            if view == "side":
                at = entry["bias"]["at_deg"]
                print(f"{name}, side, without bias: range {told(left_out(part, at))}")
                print("bias_deg:", [round(value, 1) for value in fitted_bias(part, at)])


if __name__ == "__main__":
    main()
