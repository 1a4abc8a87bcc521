"""Error of the knee flexion with a wrong landmark, and after a correction by hand.

Usage: ``python benchmarks/hand_points.py``. It takes some minutes and prints a table in Markdown.

In the poses of the demos of squat and Overhead Squat, whose angles are known, the knee of one side
is moved around the bottom of the second repetition: by 12 % of the body's height in the picture,
and as far in depth. It is then corrected with ``mb.edit_points``.
The frames are marked as bad, and the knee is set by hand in none, 1, 3, 5 or all of them, spread
evenly. A point by hand is where the knee was detected before it was moved, with a random error of
1 % of the body's height in each direction. For comparison, the knee is also set in every frame, at
places interpolated in the picture between five points.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

import mobility as mb
from mobility.kinematics.skeleton import SIDES
from mobility.virtual_lab.case import read_truth, truth_pose

DEMOS = Path(__file__).parent.parent / "data" / "demo"
SHARES = (0.01, 0.05, 0.2)
MOVED = 0.12
ERROR = 0.01
POINTS = (0, 1, 3, 5, 1000)
NAMES = {
    0: "only marked as bad",
    1: "1 point",
    3: "3 points",
    5: "5 points",
    1000: "a point in each frame",
}
HEIGHT_M = 1.7
"""Height for the move in space; the demos are 1.69 and 1.78 m tall."""


def knee(pose: xr.Dataset, side: str) -> xr.DataArray:
    """Return the flexion of a knee, degrees over time, from a pose."""
    cleaned = mb.clean_pose(pose, visibility_threshold=0.1)
    return mb.joint_angles(mb.fit_body(cleaned))["knee_flexion"].sel(side=side)


def height_px(pose: xr.Dataset) -> float:
    """Return the height of the body in the picture, from the eyes to the heels, in pixels."""
    v = pose["image_position"].isel(individual=0).sel(pixel="v")
    eyes, heels = (
        v.sel(keypoint=[f"{side}_{name}" for side in ("left", "right")]).mean("keypoint")
        for name in ("eye", "heel")
    )
    return float((heels - eyes).max())


def moved(pose: xr.Dataset, name: str, frames: Any, rng: np.random.Generator) -> xr.Dataset:
    """Move a landmark in the picture, and its place in space, in some frames."""
    spoiled = pose.copy(deep=True)
    way = rng.uniform(0, 2 * np.pi)
    step = MOVED * np.array([np.cos(way), np.sin(way)])
    place = spoiled["image_position"].transpose("time", "individual", "keypoint", "pixel").values
    space = spoiled["position"].transpose("time", "individual", "keypoint", "space").values
    k = pose["keypoint"].values.tolist().index(name)
    place[frames, 0, k] += step * height_px(pose)
    space[frames, 0, k] += HEIGHT_M * np.array([*step, MOVED * rng.choice([-1, 1])])
    return spoiled


def by_hand(
    pose: xr.Dataset, name: str, frames: Any, count: int, rng: np.random.Generator
) -> pd.DataFrame:
    """Return corrections: all `frames` are bad, and the landmark is set in `count` of them."""
    time = pose["time"].values
    detected = pose["image_position"].isel(individual=0).sel(keypoint=name, pixel=["u", "v"])
    places = detected.transpose("time", "pixel").values
    rows: list[dict[str, Any]] = [
        {"kind": "bad", "start": time[frames[0]], "end": time[frames[-1]], "landmark": name}
    ]
    # The frames in the middle of equal parts of the stretch, each once.
    wanted = (np.arange(count) + 0.5) * len(frames) / max(count, 1)
    for frame in sorted({frames[int(k)] for k in wanted}):
        u, v = places[frame] + rng.normal(0, ERROR * height_px(pose), 2)
        rows.append({"kind": "point", "start": time[frame], "landmark": name, "u": u, "v": v})
    return pd.DataFrame(rows)


def between(points: pd.DataFrame, pose: xr.Dataset, frames: Any) -> pd.DataFrame:
    """Return a point in every frame, interpolated in the picture between those set by hand."""
    time = pose["time"].values
    name = points["landmark"].iloc[0]
    given = points[points["kind"] == "point"]
    detected = pose["image_position"].isel(individual=0).sel(keypoint=name)
    ends = [frame for frame in (frames[0] - 1, frames[-1] + 1) if 0 <= frame < time.size]
    known = np.r_[given["start"], time[ends]]
    order = np.argsort(known)
    places = {
        axis: np.interp(
            time[frames],
            known[order],
            np.r_[given[axis], detected.sel(pixel=axis).values[ends]][order],
        )
        for axis in ("u", "v")
    }
    return pd.DataFrame({"kind": "point", "start": time[frames], "landmark": name, **places})


def main() -> None:
    """Print the table."""
    rows = []
    for demo in ("squat", "overhead-squat"):
        pose = xr.load_dataset(DEMOS / demo / "pose.nc")
        truth = read_truth(DEMOS / demo / "truth.nc")
        true = mb.joint_angles(truth_pose(truth))["knee_flexion"].interp(time=pose["time"])
        bottom = int(np.abs(pose["time"].values - float(truth["bottom"][1])).argmin())
        for side in SIDES:
            rng = np.random.default_rng(20261207)
            unspoiled = knee(pose, side)
            for share in SHARES:
                count = max(1, round(share * pose.sizes["time"]))
                frames = bottom - count // 2 + np.arange(count)
                name = f"{side}_knee"
                spoiled = moved(pose, name, frames, rng)
                found = {"not moved": unspoiled, "moved": knee(spoiled, side)}
                for points in POINTS:
                    table = by_hand(pose, name, frames, points, rng)
                    if points == 5:
                        lines = between(table, pose, frames)
                    found[NAMES[points]] = knee(mb.edit_points(spoiled, table), side)
                found["interpolated between 5"] = knee(mb.edit_points(spoiled, lines), side)
                for what, angle in found.items():
                    error = (angle - true.sel(side=side)).values
                    rows.append(
                        {
                            "share of frames": f"{100 * share:g} %",
                            "knee": what,
                            "in the stretch": np.sqrt(np.nanmean(error[frames] ** 2)),
                            "whole video": np.sqrt(np.nanmean(error**2)),
                        }
                    )
    results = pd.DataFrame(rows)
    names = ["share of frames", "knee"]
    mean = results.groupby(names, sort=False)[["in the stretch", "whole video"]].mean()
    usual = mean.xs("not moved", level="knee")
    for column in list(mean.columns):
        mean[f"{column}, ratio"] = mean[column] / usual[column].reindex(mean.index, level=0)
    print(f"RMS error of the knee in degrees, mean of {len(results) // len(mean)} knees\n")
    print(mean.round(2).reset_index().to_markdown(index=False))


if __name__ == "__main__":
    main()
