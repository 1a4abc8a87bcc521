"""Find by how much the draws of the angles are to be spread: the table angle_spread.

usage: python scripts/calibrate_spread.py CACHE [CACHE ...] [--unlearned] [--pairs CACHE]

CACHE is as for `calibrate_fit.py`, which is run before. Each clip is fitted with what the other
clips teach; with --unlearned, which is for clips that taught nothing (benchmarks/tuning_7.yaml), as
it always is; and once more as if its feet moved. --pairs is the cache of `python
benchmarks/findings_pairs.py --write-table`: with it the factors of two cameras are found too, on
the same pairs, whose errors are those of metrics too.
"""

from __future__ import annotations

import argparse
import functools
import pickle
import sys
import tempfile
import warnings
from multiprocessing import get_context
from multiprocessing.pool import Pool
from pathlib import Path
from typing import Any, NamedTuple

import calibrate_fit as calibration
import numpy as np
import xarray as xr

import mobility as mb
from mobility import tables
from mobility.kinematics import depth, fit, landmark_shift
from mobility.kinematics.angles import angle_draws, spread_factors
from mobility.kinematics.depth import CORRECTED, Process
from mobility.view import camera_view
from mobility.virtual_lab.case import read_truth, truth_pose
from mobility.virtual_lab.sweep import read_pose

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
HELD = 0.95
"""Share of the errors that lie within 1.96 standard deviations."""

LEAST = 0.6
"""Of the factors: rendered bodies are more alike, and more even, than people."""

LEAST_MOVING = 1.0
"""Of the factors where feet move or are not seen: the feet of the squats they are found on stay."""

COSINES = calibration.VIEWS
"""Between the subject's forward direction and the camera's, for which there are factors."""

NEAR = 0.2
"""Width, in cosines, over which clips are pooled: 40 to 70 clips for each factor. Trunk and hip are
far worse known from in front and behind than obliquely, so that it is less than for the depths."""


class Ratios(NamedTuple):
    """Sizes of the errors of a clip in standard deviations of the draws as they are."""

    of: dict[str, np.ndarray]  # by angle
    cosine: float  # between the subject's forward direction and the camera's, as the fit has it


def ratios(
    poses: list[xr.Dataset], truth: xr.Dataset, *, feet_planted: bool | None = None
) -> Ratios:
    """Fit a trial and compare its angles with the truth at its frames."""
    cleaned = [mb.clean_pose(p, visibility_threshold=fit.VISIBILITY_THRESHOLD) for p in poses]
    fitted = mb.fit_body(cleaned if len(cleaned) > 1 else cleaned[0], feet_planted=feet_planted)
    limitless = dict.fromkeys(tables.load("angles"), 180.0)
    found = mb.joint_angles(fitted, limits=limitless)
    true = mb.joint_angles(truth_pose(truth)).interp(time=found["time"])
    draws, factor = angle_draws(fitted), spread_factors(fitted)
    sizes = {}
    for name in limitless:
        spread = np.sqrt((draws[name] ** 2).mean("draw")).rename(fit_time="time")
        off = np.abs(found[name] - true[name])
        ratio = off / spread.interp(time=found["time"]) * factor[name]
        sizes[name] = ratio.to_numpy().ravel()
    return Ratios(sizes, float(np.cos(np.radians(camera_view(fitted).azimuth_deg))))


@functools.cache
def learned(file: Path) -> dict[tuple[str, str], Process]:
    """Read what the other clips teach."""
    found: dict[tuple[str, str], Process] = pickle.loads(file.read_bytes())  # noqa: S301, own file
    return found


def of_clip(folder: Path, file: Path) -> Ratios:
    """Fit one clip with what the others teach."""
    warnings.simplefilter("ignore")
    depth._process = lambda group: learned(file)["short", group]
    landmark_shift._process = lambda group: learned(file)["shift", group]
    return ratios([read_pose(folder / "pose.nc")], read_truth(folder / "truth.nc"))


def of_unlearned(folder: Path) -> Ratios:
    """Fit one clip as always."""
    warnings.simplefilter("ignore")
    return ratios([read_pose(folder / "pose.nc")], read_truth(folder / "truth.nc"))


def of_moving_feet(folder: Path) -> Ratios:
    """Fit one clip as if its feet moved."""
    warnings.simplefilter("ignore")
    pose, truth = read_pose(folder / "pose.nc"), read_truth(folder / "truth.nc")
    return ratios([pose], truth, feet_planted=False)


def of_pair(folder: Path) -> Ratios:
    """Fit what two cameras saw."""
    warnings.simplefilter("ignore")
    poses = [read_pose(folder / name) for name in ("pose.nc", "second.nc")]
    return ratios(poses, read_truth(folder / "truth.nc"))


def factor(found: list[Ratios], name: str, clip_weight: np.ndarray, least: float = LEAST) -> float:
    """Factor of an angle, each clip with a weight of its own."""
    known = [one.of[name][np.isfinite(one.of[name])] for one in found]
    size = np.concatenate(known)
    each = zip(known, clip_weight, strict=True)
    weight = np.concatenate([np.full(len(one), of / max(len(one), 1)) for one, of in each])
    order = np.argsort(size)
    share = np.cumsum(weight[order]) / weight.sum()
    wanted = float(size[order][np.searchsorted(share, HELD)]) / 1.96
    held = weight[size < 1.96].sum() / weight.sum()
    print(f"{name:20} {100 * held:.0f} % within 1.96 sd; factor {wanted:.2f}")
    return round(max(wanted, least), 2)


def factors(found: list[Ratios], least: float = LEAST) -> dict[str, float]:
    """Factor of each angle, all clips alike."""
    alike = np.ones(len(found))
    return {name: factor(found, name, alike, least) for name in found[0].of}


def factors_of_views(found: list[Ratios]) -> dict[str, list[float]]:
    """Factors of each angle, one for each of :data:`COSINES`, of the clips whose view is known."""
    found = [one for one in found if np.isfinite(one.cosine)]
    cosine = np.array([one.cosine for one in found])
    near = [np.exp(-0.5 * ((cosine - view) / NEAR) ** 2) for view in COSINES]
    return {name: [factor(found, name, weight) for weight in near] for name in found[0].of}


def with_others(
    folders: list[Path], clips: list[calibration.Clip], pool: Pool, kept: Path
) -> list[Ratios]:
    """Fit each clip with what the other clips teach, which goes into files in `kept`."""
    looks = pool.map(calibration.look, clips)
    processes: dict[int, dict[tuple[str, str], Process]] = {}
    for group in CORRECTED:
        those = calibration.postures(looks, group)
        for what, y, seen in (
            ("short", those.short, None),
            ("shift", those.shift, those.seen),
        ):
            numbers: list[np.ndarray] = []
            each = calibration.processes_of_others(those, y, seen)
            for part, (out, process) in enumerate(each):
                processes.setdefault(part, {})[what, group] = process
                numbers.append(out)
    todo = []
    for part, out in enumerate(numbers):
        file = kept / f"{part}.pickle"
        file.write_bytes(pickle.dumps(processes[part]))
        todo += [(folders[number], file) for number in out]
    return pool.starmap(of_clip, todo, chunksize=4)


def main() -> None:
    """Calibrate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cache", type=Path, nargs="+")
    parser.add_argument("--unlearned", action="store_true")
    parser.add_argument("--pairs", type=Path)
    given = parser.parse_args()
    folders = sorted(path.parent for cache in given.cache for path in cache.glob("*/truth.nc"))
    table: dict[str, Any] = {**tables.load("angle_spread")}
    with get_context("spawn").Pool(2) as pool, tempfile.TemporaryDirectory() as kept:
        seen = zip(folders, pool.map(calibration.clip_if_seen, folders), strict=True)
        found_in = {
            folder: one
            for folder, one in seen
            if one is not None and calibration.is_found(one.truth, one.image)
        }
        folders, clips = list(found_in), list(found_in.values())
        if given.unlearned:
            found = pool.map(of_unlearned, folders, chunksize=4)
        else:
            found = with_others(folders, clips, pool, Path(kept))
        print(f"one camera, {len(found)} clips")
        table["one_camera"] = {
            **table["one_camera"],
            "cosines": list(COSINES),
            "angles": factors_of_views(found),
        }
        found = pool.map(of_moving_feet, folders, chunksize=4)
        print("as if the feet moved")
        angles = factors(found, LEAST_MOVING)
        table["moving_feet"] = {**table["moving_feet"], "angles": angles}
        if given.pairs:
            sys.path.insert(0, str(BENCHMARKS))
            from findings_pairs import MEASURED
            from pairs import pair_folder, read_pairs

            pairs = [pair for grid in MEASURED for pair in read_pairs(grid)]
            found = pool.map(of_pair, [pair_folder(given.pairs, pair) for pair in pairs])
            print(f"two cameras, {len(found)} pairs")
            table["two_cameras"] = {**table["two_cameras"], "angles": factors(found)}
    calibration.write("angle_spread", table)


if __name__ == "__main__":
    main()
