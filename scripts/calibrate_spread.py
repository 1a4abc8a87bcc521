"""Find by how much the draws of the angles are to be spread: the table angle_spread.

usage: python scripts/calibrate_spread.py [CACHE ...] [--unlearned] [--pairs CACHE]

CACHE is as for `calibrate_fit.py`, which is run before. Each clip is fitted with what the other
clips teach; with --unlearned, which is for clips that taught nothing (benchmarks/tuning_7.yaml and
tuning_12.yaml), as it always is; and once more as if its feet moved. --pairs is the cache of
`python benchmarks/findings_pairs.py --write-table`: with it the factors of two cameras are found,
on the same pairs, whose errors are those of metrics too. Factors whose cache is not given stay.
"""

from __future__ import annotations

import argparse
import copy
import functools
import pickle
import re
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
from mobility.kinematics.angles import angle_draws
from mobility.kinematics.depth import CORRECTED, Process
from mobility.view import camera_view
from mobility.virtual_lab.case import read_truth, truth_pose
from mobility.virtual_lab.sweep import read_pose

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
HELD = 0.95
"""Share of the errors that lie within 1.96 standard deviations."""

LEAST = 0.6
"""Of the product of factors: rendered bodies are more alike, and more even, than people."""

LEAST_MOVING = 1.0
"""Of that where feet move or are not seen: the feet of the squats they are found on stay."""

COSINES = calibration.VIEWS
"""Between the subject's forward direction and the camera's, for which there are factors."""

NEAR = 0.2
"""Width, in cosines, over which clips are pooled: 40 to 70 clips for each factor. Trunk and hip are
far worse known from in front and behind than obliquely, so that it is less than for the depths."""


POSTURES = {"knee_flexion": [10, 45, 80, 110, 135], "elbow_flexion": [8, 20, 45, 80]}
"""Degrees at which there are factors: of the elbow for itself, of the knee for all others. A
quarter of the clips go beyond 127 degrees."""

APART = 0.4
"""Width over which frames are pooled for these, of the distance of a posture to the next."""

ROUNDS = 2
"""In turn for directions and for postures. With two, 94 to 98 % of the errors from one camera lie
within 1.96 standard deviations in each; with more, the factors of neighbours, which share clips,
swing apart."""


class Ratios(NamedTuple):
    """Sizes of the errors of a clip in standard deviations of the draws as they are."""

    of: dict[str, np.ndarray]  # by angle
    posture: dict[str, np.ndarray]  # by angle, that of `posture_of` at the same frames, degrees
    cosine: float  # between the subject's forward direction and the camera's, as the fit has it


def posture_of(name: str) -> str:
    """Angle by which the factors of an angle differ."""
    return name if name in POSTURES else "knee_flexion"


def ratios(
    poses: list[xr.Dataset], truth: xr.Dataset, *, feet_planted: bool | None = None
) -> Ratios:
    """Fit a trial and compare its angles with the truth at its frames."""
    cleaned = [mb.clean_pose(p, visibility_threshold=fit.VISIBILITY_THRESHOLD) for p in poses]
    fitted = mb.fit_body(cleaned if len(cleaned) > 1 else cleaned[0], feet_planted=feet_planted)
    limitless = dict.fromkeys(tables.load("angles"), 180.0)
    found = mb.joint_angles(fitted, limits=limitless)
    true = mb.joint_angles(truth_pose(truth)).interp(time=found["time"])
    draws = angle_draws(fitted, as_squat=False)
    sizes, postures = {}, {}
    for name in limitless:
        spread = np.sqrt((draws[name] ** 2).mean("draw")).rename(fit_time="time")
        ratio = np.abs(found[name] - true[name]) / spread.interp(time=found["time"])
        by = found[posture_of(name)]
        sizes[name] = ratio.to_numpy().ravel()
        postures[name] = (by if "side" in ratio.dims else by.mean("side")).to_numpy().ravel()
    return Ratios(sizes, postures, float(np.cos(np.radians(camera_view(fitted).azimuth_deg))))


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


def factor(size: np.ndarray, weight: np.ndarray) -> float:
    """By what errors are to be divided, so that HELD of their weight is within 1.96."""
    order = np.argsort(size)
    share = np.cumsum(weight[order]) / weight.sum()
    return float(size[order][np.searchsorted(share, HELD)]) / 1.96


class Factors(NamedTuple):
    """Of an angle: their product spreads its draws, but for a floor."""

    views: list[float]  # one for each of COSINES, or one alone
    postures: list[float]  # one for each of POSTURES


def factors(
    found: list[Ratios], name: str, cosines: list[float] | None = None, least: float = LEAST
) -> Factors:
    """Find the factors of an angle, each clip of a direction alike.

    With `cosines`, one factor for each of them, of the clips whose view is known. Directions and
    postures take turns, each of the sizes that the factors of both leave; the geometric mean of
    those of the postures is 1, and the product holds HELD of all errors together. `least` is the
    floor of the product, of which it is printed what share of the errors it holds: of all, in each
    direction, and in each posture.
    """
    found = [one for one in found if np.isfinite(one.of[name]).any()]
    if cosines:
        found = [one for one in found if np.isfinite(one.cosine)]
    known = [np.isfinite(one.of[name]) & np.isfinite(one.posture[name]) for one in found]
    size = np.concatenate([one.of[name][k] for one, k in zip(found, known, strict=True)])
    posture = np.concatenate([one.posture[name][k] for one, k in zip(found, known, strict=True)])
    count = np.array([k.sum() for k in known])
    each = np.repeat(1.0 / np.maximum(count, 1), count)
    cosine = np.repeat([one.cosine for one in found], count)
    at = np.array(POSTURES[posture_of(name)], dtype=float)
    gap = np.diff(at)
    width = APART * np.minimum(np.r_[gap, np.inf], np.r_[np.inf, gap])
    near_view = [each] if not cosines else [each * _near(cosine, c, NEAR) for c in cosines]
    near_posture = [each * _near(posture, x, w) for x, w in zip(at, width, strict=True)]
    views, postures = np.ones(len(near_view)), np.ones(len(at))

    def spread() -> np.ndarray:
        by = np.interp(cosine, cosines, views) if cosines else views[0]
        return np.asarray(by * np.interp(posture, at, postures))

    # Each in turn by what the product lacks: between their places factors are interpolated.
    for _ in range(ROUNDS):
        views *= [factor(size / spread(), weight) for weight in near_view]
        postures *= [factor(size / spread(), weight) for weight in near_posture]
        mean = np.exp(np.log(postures).mean())
        views, postures = views * mean, postures / mean
    views *= factor(size / spread(), each)
    held = size < 1.96 * np.maximum(spread(), least)

    def shares(near: list[np.ndarray]) -> str:
        return " ".join(f"{100 * weight[held].sum() / weight.sum():.0f}" for weight in near)

    print(
        f"{name:20} {views.round(2)} x {postures.round(2)}; within 1.96 sd:"
        f" {shares([each])} %, by direction {shares(near_view)}, by posture {shares(near_posture)}"
    )
    return Factors(*([round(float(one), 2) for one in of] for of in (views, postures)))


def _near(value: np.ndarray, centre: float, width: float) -> np.ndarray:
    near: np.ndarray = np.exp(-0.5 * ((value - centre) / width) ** 2)
    return near


def entry(
    found: list[Ratios], cosines: list[float] | None = None, least: float = LEAST
) -> dict[str, Any]:
    """Make an entry of the table of all angles."""
    of = {name: factors(found, name, cosines, least) for name in found[0].of}
    angles = {name: one.views if cosines else one.views[0] for name, one in of.items()}
    postures = {
        by: {"at": list(at), "factors": {n: of[n].postures for n in of if posture_of(n) == by}}
        for by, at in POSTURES.items()
    }
    return {"least": least, "angles": angles, "postures": postures}


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


def one_camera(table: dict[str, Any], caches: list[Path], pool: Pool, *, unlearned: bool) -> None:
    """Renew the factors of one camera, and those of feet that move."""
    folders = sorted(path.parent for cache in caches for path in cache.glob("*/truth.nc"))
    seen = zip(folders, pool.map(calibration.clip_if_seen, folders), strict=True)
    found_in = {
        folder: one
        for folder, one in seen
        if one is not None and calibration.is_found(one.truth, one.image)
    }
    folders, clips = list(found_in), list(found_in.values())
    if unlearned:
        found = pool.map(of_unlearned, folders, chunksize=4)
    else:
        with tempfile.TemporaryDirectory() as kept:
            found = with_others(folders, clips, pool, Path(kept))
    print(f"one camera, {len(found)} clips")
    cosines = list(COSINES)
    table["one_camera"] |= {"cosines": cosines, **entry(found, cosines)}
    for kind in ("one_camera", "moving_feet"):
        table[kind]["source"] = _counted(table[kind]["source"], len(found))
    found = pool.map(of_moving_feet, folders, chunksize=4)
    print("as if the feet moved")
    table["moving_feet"] |= entry(found, least=LEAST_MOVING)


def two_cameras(table: dict[str, Any], cache: Path, pool: Pool) -> None:
    """Renew the factors of two cameras."""
    sys.path.insert(0, str(BENCHMARKS))
    from findings_pairs import MEASURED
    from pairs import pair_folder, read_pairs

    pairs = [pair for grid in MEASURED for pair in read_pairs(grid)]
    found = pool.map(of_pair, [pair_folder(cache, pair) for pair in pairs])
    print(f"two cameras, {len(found)} pairs")
    source = _counted(table["two_cameras"]["source"], len(found))
    table["two_cameras"] |= {"source": source, **entry(found)}


def _counted(source: str, clips: int) -> str:
    return re.sub(r"\b\d+ rendered squats", f"{clips} rendered squats", source)


def main() -> None:
    """Calibrate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cache", type=Path, nargs="*")
    parser.add_argument("--unlearned", action="store_true")
    parser.add_argument("--pairs", type=Path)
    given = parser.parse_args()
    if not given.cache and not given.pairs:
        parser.error("give a CACHE, or that of --pairs, or both")
    table: dict[str, Any] = copy.deepcopy(dict(tables.load("angle_spread")))
    with get_context("spawn").Pool(2) as pool:
        if given.cache:
            one_camera(table, given.cache, pool, unlearned=given.unlearned)
        if given.pairs:
            two_cameras(table, given.pairs, pool)
    calibration.write("angle_spread", table)


if __name__ == "__main__":
    main()
