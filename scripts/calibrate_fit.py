"""Learn from rendered squats how MediaPipe errs: offsets of landmarks, and depths.

usage: python scripts/calibrate_fit.py CACHE [CACHE ...] [--check]

CACHE is a folder that `mobility virtual-lab sweep benchmarks/tuning.yaml --cache CACHE` filled with
poses and truths (likewise tuning_2.yaml). Writes landmark_offsets.yaml, depth_calibration.yaml and
depth_calibration.nc into mobility/tables, or with --check only prints how well they would do on
clips that were left out.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import xarray as xr
import yaml
from threadpoolctl import threadpool_limits

import mobility as mb
from mobility import tables
from mobility.kinematics import fit
from mobility.kinematics.depth import (
    CORRECTED,
    VIEWS,
    Process,
    facing,
    features,
    known_by,
    likeness,
)
from mobility.virtual_lab.case import read_truth

TABLES = Path(__file__).resolve().parents[1] / "mobility" / "tables"
LENGTH_SCALE, LINEAR, NOISE, CENTRES = 1.0, 0.5, 0.3, 400
"""Of the Gaussian process, chosen on clips that were left out: with 150 instead of 400 centres the
depths are 2 to 6 % worse, with all postures as centres 1 % better."""

FOLDS = 8
"""Parts of the clips, each of which is predicted from the others."""

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
        begin = fit._first_border(problem, joints)
        first = fit._solve(problem, joints, begin, steps=20, tolerance=1e-3)
    return problem.told, first.joints, one.truth


class Postures(NamedTuple):
    """Instants of all clips, seen from the left and, mirrored, from the right side."""

    x: np.ndarray  # (n, feature)
    short: np.ndarray  # (n, segment): true depth less that of the first look
    error: np.ndarray  # (n, segment): of the depths that the landmarks tell
    clip: np.ndarray  # (n,)
    cosine: np.ndarray  # (n,), between forward and towards the camera


def postures(looks: list[tuple[np.ndarray, np.ndarray, np.ndarray]], group: str) -> Postures:
    """Put together what the clips tell one process."""
    x, short, error, clips, cosine = [], [], [], [], []
    ends = {name: (a, b) for name, (a, b, _, _) in fit._DEPTHS.items()}
    for number, (told, joints, truth) in enumerate(looks):
        said = dict(zip(ends, told.T, strict=True))
        fitted = {name: joints[:, b] - joints[:, a] for name, (a, b) in ends.items()}
        true = {name: truth[:, b, 2] - truth[:, a, 2] for name, (a, b) in ends.items()}
        forward = facing(joints[:, fit.LH], joints[:, fit.RH])
        for side in ("left", "right"):
            names = [f"{side}_{segment}" for segment in CORRECTED[group]]
            x.append(features(said, fitted, forward, side=side, group=group))
            short.append(np.stack([true[name] - fitted[name][:, 2] for name in names], axis=-1))
            error.append(np.stack([true[name] - said[name] for name in names], axis=-1))
            clips.append(np.full(len(truth), number))
            cosine.append(np.full(len(truth), forward[1]))
    return Postures(*(np.concatenate(part) for part in (x, short, error, clips, cosine)))


def middles(x: np.ndarray, count: int) -> np.ndarray:
    """Centres of clusters of postures (Lloyd's algorithm)."""
    if count >= len(x):
        return x
    centre = x[np.random.default_rng(0).choice(len(x), count, replace=False)].copy()
    for _ in range(10):
        nearest = ((centre**2).sum(axis=1) - 2 * x @ centre.T).argmin(axis=1)
        for i in range(count):
            if (nearest == i).any():
                centre[i] = x[nearest == i].mean(axis=0)
    return centre


def learned(x: np.ndarray, y: np.ndarray, group: np.ndarray) -> Process:
    """Sparse Gaussian process of y on x; each clip has the same weight."""
    mean, scale = x.mean(axis=0), x.std(axis=0) + 0.02
    weight = 1 / np.bincount(group)[group]
    weight /= weight.mean()
    scaled = (x - mean) / scale
    centres = middles(scaled, CENTRES)
    offset = np.average(y, axis=0, weights=weight)

    def kernel(one: np.ndarray) -> np.ndarray:
        return likeness(one, centres, LENGTH_SCALE) + LINEAR * one @ centres.T / x.shape[1]

    between, among = kernel(scaled), kernel(centres) + 1e-6 * np.eye(len(centres))
    weights = np.linalg.solve(
        between.T @ (between * weight[:, None]) + NOISE * among,
        between.T @ (weight[:, None] * (y - offset)),
    )
    known = known_by(centres, LENGTH_SCALE)
    return Process(mean, scale, centres, weights, offset, LENGTH_SCALE, LINEAR, known)


def left_out_depths(found: Postures) -> np.ndarray:
    """Errors of each clip's depths, (n, segment), of a process that was learned from the others."""
    error = np.zeros_like(found.short)
    order = np.random.default_rng(0).permutation(found.clip.max() + 1)
    for part in range(FOLDS):
        out = np.isin(found.clip, order[part::FOLDS])
        _, others = np.unique(found.clip[~out], return_inverse=True)
        process = learned(found.x[~out], found.short[~out], others)
        error[out] = found.short[out] - process.predicted(found.x[out])[0]
    return error


def depths(found: Postures, group: str) -> dict[str, list[float]]:
    """Spreads of the depths, in metres, by segment and view."""
    error = left_out_depths(found)
    each = 1 / np.bincount(found.clip)[found.clip]

    def size(of: np.ndarray, weight: np.ndarray) -> float:
        return float(np.sqrt((weight * of**2).sum() / weight.sum()))

    spreads = {}
    for i, segment in enumerate(CORRECTED[group]):
        near = [np.exp(-0.5 * ((found.cosine - view) / NEAR) ** 2) * each for view in VIEWS]
        spread = [TRUST.get(segment, 1.0) * size(error[:, i], weight) for weight in near]
        spreads[segment] = [round(value, 3) for value in spread]
        told, first, left = (100 * size(of[:, i], each) for of in (found.error, found.short, error))
        print(
            f"{segment:10} depth error, cm: landmarks {told:.1f}, first fit {first:.1f}, "
            f"corrected {left:.1f}; {spreads[segment]}"
        )
    return spreads


def keep(process: Process, group: str, file: Path, mode: Literal["w", "a"]) -> None:
    """Write the numbers of one process."""
    held = xr.Dataset(
        {
            "mean": ("feature", process.mean.astype(np.float32)),
            "scale": ("feature", process.scale.astype(np.float32)),
            "centre": (("number", "feature"), process.centres.astype(np.float32)),
            "weight": (("number", "segment"), process.weights),
            "offset": ("segment", process.offset),
        },
        coords={"segment": list(CORRECTED[group])},
        attrs={"source": tables.load("depth_calibration")["source"], "units": "m"},
    )
    held.to_netcdf(file, group=group, mode=mode, engine="h5netcdf")


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
    parser.add_argument("cache", type=Path, nargs="+")
    parser.add_argument("--check", action="store_true")
    given = parser.parse_args()
    folders = sorted(path.parent for cache in given.cache for path in cache.glob("*/truth.nc"))
    with get_context("spawn").Pool(2) as pool:
        table = offsets(pool.map(clip, folders))
        if not given.check:
            write("landmark_offsets", {**tables.load("landmark_offsets"), "offsets": table})
    # New processes, which read the new offsets.
    with get_context("spawn").Pool(2) as pool:
        looks = pool.map(look, folders)
    found = {group: postures(looks, group) for group in CORRECTED}
    spreads = {}
    for group, those in found.items():
        spreads |= depths(those, group)
    if given.check:
        return
    kernel = {"length_scale": LENGTH_SCALE, "linear": LINEAR}
    settings = {**tables.load("depth_calibration"), "kernel": kernel, "sd": spreads}
    write("depth_calibration", settings)
    mode: Literal["w", "a"] = "w"
    for group, those in found.items():
        process = learned(those.x, those.short, those.clip)
        keep(process, group, TABLES / "depth_calibration.nc", mode)
        mode = "a"


if __name__ == "__main__":
    main()
