"""Errors of the angles from one camera, from another, and from both, against rendered truth.

usage: python benchmarks/cameras.py [--cache FOLDER] [--lab FOLDER] [--only NAME | --grid GRID.yaml]

Needs the extra virtual-lab. Each of four motions is rendered from two places, by cameras that
differ in field of view, height, distance and frame rate and were not started together; the fit is
told none of this. With the videos of ../shared/data beside the checkout (--lab), also the time
offset of a filmed pair is printed. With --grid only the means over its pairs are printed, as of
findings_pairs_2.yaml, to which nothing was fitted.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from accuracy import ANGLES, ROOT, pose_of, true_angles
from pairs import Second, cleaned, pair_folder, poses_of, read_pairs, render_second

import mobility as mb
from mobility.errors import MobilityError
from mobility.kinematics.fit.time_offset import time_offset
from mobility.provenance import history
from mobility.virtual_lab.case import case_from, render_case

MEANT = (
    *("knee_flexion", "hip_flexion", "ankle_dorsiflexion", "shoulder_flexion", "elbow_flexion"),
    "trunk_lean",
)
"""The angles whose mean is compared."""


_TIMES = {"descent_s": 1.3, "bottom_s": 0.3, "ascent_s": 1.1, "pause_s": 0.6, "lead_s": 0.9}
PAIRS: dict[str, tuple[dict[str, Any], Second]] = {
    "front_and_left": (
        {
            "body": {"sex": "male", "age": 33, "height_m": 1.78, "weight_kg": 80},
            "motion": {**_TIMES, "repetitions": 2, "depth": [50, 44], "arm_fall": 25},
            "camera": {"azimuth": 0, "field_of_view": 44, "height_m": 1.05},
        },
        Second({"azimuth": 90, "field_of_view": 56, "height_m": 0.9, "distance_m": 2.7}, 25, 0.37),
    ),
    "both_oblique": (
        {
            "body": {"sex": "female", "age": 27, "height_m": 1.66, "weight_kg": 60},
            "motion": {
                **_TIMES,
                "repetitions": 2,
                "depth": [48, 54],
                "knees_in": {"left": 14, "right": 0},
                "elbow_bend": {"left": 5, "right": 40},
            },
            "camera": {"azimuth": 40, "field_of_view": 52, "distance_m": 2.9},
        },
        Second({"azimuth": -45, "field_of_view": 40, "distance_m": 3.8}, 30, -0.52),
    ),
    "front_and_oblique": (
        {
            "body": {"sex": "female", "age": 55, "height_m": 1.60, "weight_kg": 66},
            "motion": {**_TIMES, "repetitions": 2, "depth": [38, 42], "toe_out": 22},
            "camera": {"azimuth": -5, "field_of_view": 48, "height_m": 0.95},
        },
        Second({"azimuth": -50, "field_of_view": 60, "height_m": 1.2, "distance_m": 2.6}, 30, 0.81),
    ),
    "right_and_behind": (
        {
            "body": {"sex": "male", "age": 45, "height_m": 1.72, "weight_kg": 92},
            "motion": {**_TIMES, "repetitions": 2, "depth": [46, 50], "elbow_bend": 15},
            "camera": {"azimuth": -85, "field_of_view": 44},
        },
        Second({"azimuth": 145, "field_of_view": 50, "distance_m": 3.0}, 24, -0.29),
    ),
}


def rendered(name: str, cache: Path) -> tuple[xr.Dataset, xr.Dataset, xr.Dataset]:
    """Poses of both cameras, and the true angles in the time of the first."""
    values, second = PAIRS[name]
    case = case_from(values, what=name)
    folder = cache / name
    if not (folder / "video.mp4").exists():
        render_case(case, folder)
    other = folder / "video-2.mp4"
    if not other.exists():
        render_second(case, second, other)
    poses = [pose_of(folder / f"{v}.mp4", folder / f"{v}.pose.nc") for v in ("video", "video-2")]
    return poses[0], poses[1], true_angles(folder / "truth.nc")


def aside(found: xr.Dataset, truth: xr.Dataset, at: np.ndarray, offset: float = 0.0) -> xr.Dataset:
    """Absolute errors at times of the truth, which are those of `found` and `offset`."""
    found = found[list(ANGLES)].assign_coords(time=found["time"] + offset)
    error: xr.Dataset = abs(found.interp(time=at) - truth[list(ANGLES)].interp(time=at))
    return error


def errors(found: xr.Dataset, truth: xr.Dataset, offset: float = 0.0) -> dict[str, float]:
    """Mean absolute error of each angle; `offset` takes the times of `found` to those of truth."""
    off = aside(found, truth, found["time"].to_numpy() + offset, offset)
    return {name: float(off[name].mean()) for name in ANGLES}


def within(found: xr.Dataset, truth: xr.Dataset) -> float:
    """Share of the values whose truth lies within 1.96 sd."""
    at = truth.interp(time=found["time"])
    shares = [
        float((abs(found[n] - at[n]) < 1.96 * found[f"{n}_sd"]).where(at[n].notnull()).mean())
        for n in MEANT
    ]
    return float(np.mean(shares))


def compared(
    first: xr.Dataset, second: xr.Dataset, truth: xr.Dataset, start: float
) -> tuple[pd.DataFrame, xr.Dataset, xr.Dataset]:
    """Errors from each camera and both, where all give a value; the fit and the angles of both."""
    both = mb.fit_body([cleaned(first), cleaned(second)])
    fits = {"first": mb.fit_body(cleaned(first)), "second": mb.fit_body(cleaned(second))}
    found = {view: mb.joint_angles(fit) for view, fit in {**fits, "both": both}.items()}
    at = found["both"]["time"].to_numpy()
    late = {"second": start}
    off = xr.concat(
        [aside(angles, truth, at, late.get(view, 0.0)) for view, angles in found.items()],
        pd.Index(list(found), name="view"),
    )
    alike = off.where(off.notnull().all("view"))
    table = {v: {n: float(alike[n].sel(view=v).mean()) for n in ANGLES} for v in found}
    return pd.DataFrame(table), both, found["both"]


def of_grid(grid: Path, cache: Path) -> None:
    """Print the means over the pairs of a grid."""
    tables = []
    for pair in read_pairs(grid):
        first, second = poses_of(pair, cache)
        truth = true_angles(pair_folder(cache, pair) / "truth.nc")
        try:
            tables.append(compared(first, second, truth, pair.second.start)[0])
        except MobilityError as error:
            print(f"{pair.case.name}: {error}")
    if not tables:
        raise SystemExit("no pair could be fitted")
    means = pd.DataFrame([table.loc[list(MEANT)].mean() for table in tables])
    print(f"mean of {len(tables)} pairs")
    print(_with_mean(tables).to_string(float_format=lambda value: f"{value:.2f}"))
    better = means[["first", "second"]].min(axis=1)
    gain = better - means["both"]
    print(
        f"the better camera of each pair {better.mean():.2f}, less both {gain.mean():.2f} ± "
        f"{gain.sem():.2f}; both better than it in {(gain > 0).mean():.0%}"
    )


def _with_mean(tables: list[pd.DataFrame]) -> pd.DataFrame:
    mean = pd.concat(tables).groupby(level=0, sort=False).mean()
    mean.loc["MEAN OF SIX"] = mean.loc[list(MEANT)].mean()
    return mean


def main() -> None:
    """Print a table for each pair and one of the means."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=ROOT / "build" / "cameras")
    parser.add_argument("--lab", type=Path, default=ROOT.parent / "shared" / "data")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--only", choices=list(PAIRS), action="append")
    which.add_argument("--grid", type=Path)
    given = parser.parse_args()
    if given.grid:
        of_grid(given.grid, given.cache)
        return
    tables = []
    for name in given.only or PAIRS:
        first, second, truth = rendered(name, given.cache)
        start = PAIRS[name][1].start
        table, both, found = compared(first, second, truth, start)
        tables.append(table)
        told = history(both)[-1]["cameras"][1]
        print(f"\n{name}: mean absolute error, degrees")
        print(table.to_string(float_format=lambda value: f"{value:.2f}"))
        print(
            f"offset {told['time_offset_s']:.4f} ± {told['time_offset_sd_s']:.4f} s, true {start}; "
            f"within 1.96 sd, both: {within(found, truth):.0%}"
        )
    print("\nmean of the pairs")
    print(_with_mean(tables).to_string(float_format=lambda value: f"{value:.2f}"))
    clips = [given.lab / "videos" / f"pose2sim_balance_cam{c}.mp4" for c in ("01", "02_front")]
    if all(clip.exists() for clip in clips):
        pair = [pose_of(clip, given.cache / f"{clip.stem}.nc") for clip in clips]
        print(f"\nfilmed pair: {time_offset(*pair)}")


if __name__ == "__main__":
    main()
