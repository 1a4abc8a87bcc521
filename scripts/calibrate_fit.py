"""Learn from rendered squats how MediaPipe errs: offsets of landmarks, and depths.

usage: python scripts/calibrate_fit.py CACHE [--check]

CACHE is the folder that `mobility virtual-lab sweep benchmarks/tuning.yaml --cache CACHE` filled
with poses and truths. Writes landmark_offsets.yaml and depth_calibration.yaml into mobility/tables,
or with --check only prints how well both would do on clips that were left out.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
import yaml
from threadpoolctl import threadpool_limits

import mobility as mb
from mobility import tables
from mobility.kinematics import fit
from mobility.kinematics.depth import VIEWS, facing
from mobility.virtual_lab.case import read_truth

TABLES = Path(__file__).resolve().parents[1] / "mobility" / "tables"
PENALTY = 0.3
"""Of the ridge regression of depths, in clips."""

NEAR = 0.3
"""Width, in cosines, over which the spread of the depths is pooled."""

LEAST_WEIGHT = 0.3

TRUST = {"upper_arm": 0.7, "forearm": 0.7}
"""Factors on the spread that is left, chosen on the tuning grid: with them 94 to 96 % of the errors
of shoulder and elbow lie within 1.96 sd, and fewer elbows are refused than without."""


class Clip(NamedTuple):
    """What one rendered clip tells."""

    problem: fit._Problem
    truth: np.ndarray  # (knot, joint, 3), camera axes, of a person of 1.70 m
    image: np.ndarray  # (knot, joint, 2), in true focal lengths


def camera_axes(camera: dict[str, float]) -> tuple[np.ndarray, np.ndarray]:
    """Rows right, up and towards the camera, in the axes of the truth; and the camera's place."""
    azimuth, tilt, roll = (
        np.radians(camera.get(name, 0.0)) for name in ("azimuth", "tilt", "roll")
    )
    towards = np.array([np.sin(azimuth), 0.0, np.cos(azimuth)])
    right = np.array([np.cos(azimuth), 0.0, -np.sin(azimuth)])
    up = np.array([0.0, 1.0, 0.0])
    place = camera["distance_m"] * towards + camera["height_m"] * up
    back = towards * np.cos(tilt) - up * np.sin(tilt)
    above = up * np.cos(tilt) + towards * np.sin(tilt)
    turned = right * np.cos(roll) - above * np.sin(roll)
    return np.stack([turned, above * np.cos(roll) + right * np.sin(roll), back]), place


def clip(folder: Path) -> Clip:
    """Read a clip at the knots of a coarse fit."""
    pose = xr.load_dataset(folder / "pose.nc", engine="h5netcdf")
    truth = read_truth(folder / "truth.nc")
    case = yaml.safe_load(truth.attrs["case"])
    axes, place = camera_axes(case["camera"])
    position = truth["position"].sel(keypoint=list(fit.FITTED))
    points = position.transpose("time", "keypoint", "space").to_numpy().astype(float)
    seen = ((points - place) @ axes.T) * fit._STATURE / case["body"]["height_m"]
    cleaned = mb.clean_pose(pose, visibility_threshold=fit.VISIBILITY_THRESHOLD)
    sight = fit._sight(cleaned, None, None)
    span, _ = fit._span(sight)
    problem = fit._problem(sight, span, fit._COARSE_HZ, None)
    # Smoothed as the landmarks are, else fast movements would look like offsets.
    time = sight.time[span]
    flat = seen.reshape(len(seen), -1)
    columns = [np.interp(time, truth["time"].to_numpy(), column) for column in flat.T]
    _, at, _ = fit._resampled(
        time,
        np.stack(columns, axis=-1).reshape(len(time), -1, 3),
        np.ones((len(time), len(fit.FITTED))),
        fit._COARSE_HZ,
    )
    height, width = case["video"]["height"], case["video"]["width"]
    focal = height / 2 / np.tan(np.radians(case["camera"]["field_of_view"]) / 2)
    image = problem.image * fit._FOCAL * max(height, width) / focal
    return Clip(problem, at, image)


def ridge(x: np.ndarray, y: np.ndarray, group: np.ndarray, penalty: float) -> np.ndarray:
    """Coefficients of y on x, each clip with the same weight."""
    scale = np.sqrt((x**2).mean(axis=0)) + 1e-9
    weight = 1 / np.sqrt(np.bincount(group, minlength=group.max() + 1)[group])
    scaled = x / scale * weight[:, None]
    found: np.ndarray = np.linalg.solve(
        scaled.T @ scaled + penalty * np.eye(x.shape[1]), scaled.T @ (y * weight)
    )
    return found / scale


def left_out(x: np.ndarray, y: np.ndarray, group: np.ndarray, penalty: float) -> np.ndarray:
    """Errors on each clip of coefficients from the others."""
    error = np.zeros(len(y))
    for one in np.unique(group):
        others = group != one
        error[~others] = y[~others] - x[~others] @ ridge(
            x[others], y[others], group[others], penalty
        )
    return error


def offsets(clips: list[Clip]) -> dict[str, dict[str, Any]]:
    """Means of the offsets in landmark_offsets.yaml, anew."""
    table = {
        name: dict(entry) for name, entry in tables.load("landmark_offsets")["offsets"].items()
    }
    names = list(fit._OFFSETS)
    up = np.array([0.0, 1.0, 0.0])
    for joint, left in fit._LEFT.items():
        own = [i for i, name in enumerate(names) if table[name]["joint"] == joint]
        x, y, group = [], [], []
        for number, one in enumerate(clips):
            directions = fit._directions(one.truth, up)
            for j in (left, left + 1):
                rows = one.problem.weight[:, j] > LEAST_WEIGHT
                depth = -one.truth[rows, j, 2]
                place = one.truth[rows, j, :2]
                off = one.image[rows, j] * depth[:, None] - place
                along = directions[rows][:, own, j]  # (knot, offset, 3)
                moved = along[..., :2] + (place / depth[:, None])[:, None] * along[..., 2:]
                x.append(moved.transpose(0, 2, 1).reshape(-1, len(own)))
                y.append(off.reshape(-1))
                group.append(np.full(off.size, number))
        xs, ys, groups = np.concatenate(x), np.concatenate(y), np.concatenate(group)
        before = np.sqrt((ys**2).mean())
        after = np.sqrt((left_out(xs, ys, groups, 0.01) ** 2).mean())
        print(f"{joint:10} picture error, cm: {100 * before:.2f} -> {100 * after:.2f}")
        for i, value in zip(own, ridge(xs, ys, groups, 0.01), strict=True):
            table[names[i]]["mean_m"] = round(float(value), 3)
    return table


def look(folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Told depths, the joints of a first look, and the true joints of a clip."""
    with threadpool_limits(limits=1, user_api="blas"):
        one = clip(folder)
        problem, joints = fit._start(one.problem, None)
        first, _ = fit._first_look(problem, joints, fit._first_border(problem, joints))
    return problem.told, first.joints, one.truth


def terms(segment: str) -> list[str]:
    """Name what the depth along a segment is a linear function of."""
    leg = segment in ("trunk", "thigh", "shank")
    near = ("thigh", "shank", "trunk") if leg else ("upper_arm", "forearm", "trunk")
    known = [f"{kind}_{name}" for kind in ("told", "fitted") for name in near]
    found = ["1", "z", "z z", "x", "x z", *known, *(f"{name} z" for name in known)]
    if segment in ("trunk", "thigh"):
        found += [f"told_{name} z z" for name in near]
    return found


def design(
    looks: list[tuple[np.ndarray, np.ndarray, np.ndarray]], segment: str
) -> tuple[np.ndarray, ...]:
    """Columns, true depths, clips, cosines towards the camera, and fitted depths."""
    x, y, group, cosine, fitted = [], [], [], [], []
    for number, (told, joints, truth) in enumerate(looks):
        for side in ("left", "right"):
            symbols, towards = _symbols(told, joints, side)
            columns = []
            for term in terms(segment):
                column = np.ones(len(truth))
                for factor in term.split():
                    column = column * symbols[factor]
                columns.append(column)
            a, b = fit._DEPTHS[f"{side}_{segment}"][:2]
            x.append(np.stack(columns, axis=-1))
            y.append(truth[:, b, 2] - truth[:, a, 2])
            group.append(np.full(len(truth), number))
            cosine.append(np.full(len(truth), towards))
            fitted.append(joints[:, b, 2] - joints[:, a, 2])
    return tuple(np.concatenate(part) for part in (x, y, group, cosine, fitted))


def _symbols(told: np.ndarray, joints: np.ndarray, side: str) -> tuple[dict[str, Any], float]:
    right, towards = facing(joints[:, fit.LH], joints[:, fit.RH])
    symbols: dict[str, Any] = {"1": 1.0, "z": towards, "x": right if side == "left" else -right}
    for i, (name, (a, b, _, _)) in enumerate(fit._DEPTHS.items()):
        whose, _, segment = name.partition("_")
        if whose == side:
            symbols[f"told_{segment}"] = told[:, i]
            symbols[f"fitted_{segment}"] = joints[:, b, 2] - joints[:, a, 2]
    return symbols, towards


def depths(looks: list[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> dict[str, dict[str, Any]]:
    """Coefficients and spreads of the depth along each segment."""
    found = {}
    for segment in ("trunk", "upper_arm", "forearm", "thigh", "shank"):
        x, y, group, cosine, fitted = design(looks, segment)
        error = left_out(x, y, group, PENALTY)
        each = np.bincount(group)[group]
        spread = []
        for view in VIEWS:
            near = np.exp(-0.5 * ((cosine - view) / NEAR) ** 2) / each
            left = float(np.sqrt((near * error**2).sum() / near.sum()))
            spread.append(round(TRUST.get(segment, 1.0) * left, 3))
        before, after = np.sqrt(((y - fitted) ** 2).mean()), np.sqrt((error**2).mean())
        print(f"{segment:10} depth error, cm: {100 * before:.1f} -> {100 * after:.1f}; {spread}")
        coefficients = ridge(x, y, group, PENALTY)
        values = {
            term: round(float(value), 4)
            for term, value in zip(terms(segment), coefficients, strict=True)
        }
        found[segment] = {"terms": values, "sd": spread}
    return found


def _commented(path: Path) -> Iterator[str]:
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            return
        yield line


def write(name: str, content: dict[str, Any]) -> None:
    """Replace a table, keeping the comment at its head."""
    path = TABLES / f"{name}.yaml"
    text = yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=96)
    path.write_text("\n".join([*_commented(path), text]), encoding="utf-8")


def main() -> None:
    """Calibrate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cache", type=Path)
    parser.add_argument("--check", action="store_true")
    given = parser.parse_args()
    folders = sorted(path.parent for path in given.cache.glob("*/pose.nc"))
    with get_context("spawn").Pool(2) as pool:
        clips = pool.map(clip, folders)
        table = offsets(clips)
        if not given.check:
            write("landmark_offsets", {**tables.load("landmark_offsets"), "offsets": table})
    # New processes, which read the new offsets.
    with get_context("spawn").Pool(2) as pool:
        found = depths(pool.map(look, folders))
    if not given.check:
        write("depth_calibration", {**tables.load("depth_calibration"), "segments": found})


if __name__ == "__main__":
    main()
