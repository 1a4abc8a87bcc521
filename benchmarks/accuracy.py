"""Errors of the angles compared with known truth: rendered squats, and a real one with lab data.

usage: python benchmarks/accuracy.py [--cases FOLDER] [--cache FOLDER] [--lab FOLDER]

Needs the extra virtual-lab. The cases are rendered once into the cache. The lab data (--lab,
default ../shared/data beside the checkout) are optional: five squats of one person, filmed with a
phone, with joint centres from a marker-driven model.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from real import of_model

import mobility as mb
from mobility import tables
from mobility.kinematics.expected_error import Z95
from mobility.kinematics.fit.entry import VISIBILITY_THRESHOLD
from mobility.virtual_lab.case import read_truth, render_case, truth_pose

ROOT = Path(__file__).resolve().parents[1]
ANGLES = tuple(tables.load("angles"))
METHODS: dict[str, Callable[[xr.Dataset], xr.Dataset]] = {
    "landmarks, cleaned": mb.clean_pose,
    "fitted body": lambda pose: mb.fit_body(
        mb.clean_pose(pose, visibility_threshold=VISIBILITY_THRESHOLD)
    ),
}


def rendered(cases: Path, cache: Path) -> Iterator[tuple[str, xr.Dataset, xr.Dataset]]:
    """Yield the pose and the true angles of each case, and of the demo."""
    demo = ROOT / "data" / "demo" / "overhead-squat"
    files = [("demo", demo / "video.mp4", demo / "truth.nc")]
    for case in sorted(cases.glob("*.yaml")):
        video = cache / case.stem / "video.mp4"
        if not video.exists():
            render_case(case, video.parent)
        files.append((case.stem, video, video.with_name("truth.nc")))
    for name, video, truth in files:
        yield name, pose_of(video, cache / f"{name}.pose.nc"), true_angles(truth)


def filmed(shared: Path, cache: Path) -> tuple[str, xr.Dataset, xr.Dataset]:
    """Return pose and lab angles of five real squats; the lab's joint centres have no heel.

    The mean knee flexion determines one lag for the whole trial.
    """
    pose = pose_of(shared / "videos" / "opencap_s4_squats1_phone.mp4", cache / "filmed.pose.nc")
    angles = of_model(shared / "lab" / "opencap_visualizer" / "DERIVED_squat_groundtruth.csv")
    ours = mb.joint_angles(mb.clean_pose(pose))["knee_flexion"].mean("side")
    theirs = angles["knee_flexion"].mean("side")
    lags = np.arange(-1.0, 1.0, 0.01)
    likeness = [
        float(
            xr.corr(ours, theirs.assign_coords(time=theirs["time"] - lag).interp(time=ours["time"]))
        )
        for lag in lags
    ]
    lag = lags[int(np.nanargmax(likeness))]
    return "filmed (lab data)", pose, angles.assign_coords(time=angles["time"] - lag)


def pose_of(video: Path, kept: Path) -> xr.Dataset:
    """Return the pose of a video, which is estimated only once."""
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        mb.estimate_pose(video).to_netcdf(kept, engine="h5netcdf")
    return xr.load_dataset(kept)


def true_angles(truth: Path) -> xr.Dataset:
    """Return the true angles, computed with the same formulas."""
    return mb.joint_angles(truth_pose(read_truth(truth)))


def errors(found: xr.Dataset, truth: xr.Dataset) -> dict[str, dict[str, float]]:
    """Return the errors of each angle: mean absolute, root mean square, both while deep, coverage.

    Deep means that the true knee flexion (mean of the sides) is above 90 % of its largest value.
    """
    at = truth.interp(time=found["time"])
    knees = at["knee_flexion"].mean("side")
    deep = knees > 0.9 * knees.max()
    answer = {}
    for name in ANGLES:
        error = found[name] - at[name]
        square, low = error**2, (error**2).where(deep)
        within = (abs(error) < Z95 * found[f"{name}_sd"]).where(error.notnull())
        answer[name] = {
            "MAE": float(abs(error).mean()),
            "square": float(square.mean()),
            "deep bias": float(error.where(deep).mean()),
            "deep square": float(low.mean()),
            "within": float(within.mean()),
            "deep within": float(within.where(deep).mean()),
        }
    return answer


def table(results: dict[str, dict[str, dict[str, float]]]) -> pd.DataFrame:
    """Return a row of mean absolute errors for each case, and rows for all cases together."""
    each = {
        kind: pd.DataFrame(
            {c: {n: v[kind] for n, v in row.items()} for c, row in results.items()}
        ).T
        for kind in ("MAE", "square", "deep bias", "deep square", "within", "deep within")
    }
    frame = each["MAE"].copy()
    if len(results) > 1:
        frame.loc["MEAN ABSOLUTE"] = each["MAE"].mean()
    frame.loc["RMSE"] = np.sqrt(each["square"].mean())
    frame.loc["BIAS WHILE DEEP"] = each["deep bias"].mean()
    frame.loc["RMSE WHILE DEEP"] = np.sqrt(each["deep square"].mean())
    frame.loc["WITHIN 1.96 SD"] = each["within"].mean()
    frame.loc["WITHIN 1.96 SD WHILE DEEP"] = each["deep within"].mean()
    return frame


def main() -> None:
    """Print a table for each method."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=Path, default=ROOT / "benchmarks" / "cases")
    parser.add_argument("--cache", type=Path, default=ROOT / "build" / "accuracy")
    parser.add_argument("--lab", type=Path, default=ROOT.parent / "shared" / "data")
    given = parser.parse_args()
    cases = list(rendered(given.cases, given.cache))
    real = [filmed(given.lab, given.cache)] if given.lab.is_dir() else []
    for method, prepare in METHODS.items():
        for group in (cases, real):
            results = {n: errors(mb.joint_angles(prepare(pose)), truth) for n, pose, truth in group}
            print(f"\n{method}: mean absolute error, degrees")
            print(table(results).to_string(float_format=lambda value: f"{value:.2f}"))


if __name__ == "__main__":
    main()
