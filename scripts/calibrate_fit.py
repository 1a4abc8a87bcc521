"""Learn from rendered squats how MediaPipe errs: offsets of landmarks, depths, and shifts.

usage: python scripts/calibrate_fit.py [CACHE ...] [--check | --gather | --add]

Writes landmark_offsets.yaml, depth_calibration and picture_calibration (.yaml and .nc) into
mobility/tables, or with --check only prints how well they would do on clips that were left out.

CACHE is a folder that `mobility virtual-lab sweep benchmarks/tuning.yaml --cache CACHE` filled with
poses and truths (likewise tuning_2.yaml to tuning_6.yaml), or `python scripts/render_descents.py
benchmarks/tuning_8.yaml CACHE`. Since all of them take hours to render, --gather keeps what is
learned from in benchmarks/learned_from.nc, and --add adds to it; where no CACHE is given, that is
read.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import xarray as xr
import yaml
from scipy.cluster.vq import kmeans2
from threadpoolctl import threadpool_limits

import mobility as mb
from mobility import tables
from mobility.errors import BadInputError
from mobility.kinematics import fit
from mobility.kinematics.depth import (
    CORRECTED,
    PAIRS,
    PLACES,
    VIEWS,
    Limbs,
    Process,
    facing,
    features,
    known_by,
    likeness,
)
from mobility.kinematics.landmark_shift import SHIFTED
from mobility.virtual_lab.case import read_truth
from mobility.workbench.files import atomic

TABLES = Path(__file__).resolve().parents[1] / "mobility" / "tables"
LENGTH_SCALE, LINEAR, NOISE, CENTRES = 0.8, 0.5, 0.1, 1800
"""Of the Gaussian process, chosen on clips that were left out: with a length scale of 0.6 or 1.0 or
half or double the noise depths and shifts are no better, with 2400 instead of 1400 centres by 1 to
2 %."""

CENTRE_DIGITS = 3

FOLDS = 5
"""Parts of the clips, each of which is predicted from the others."""

ELSEWHERE = 0.7
"""Weight of what is seen at the places of the movement in the likeness: with them the depths are 5
to 10 %, the shifts 5 to 8 % better; with 0.4 or 1.0 they are no better."""

NEAR = 0.3
"""Width, in cosines, over which the spread of the depths is pooled."""

LEAST_WEIGHT = 0.3

LOST = 0.15
"""Metres, of hips and knees in the picture, root mean square over a clip: what MediaPipe takes for
the subject is something else, which teaches nothing about its usual errors."""

TRUST = {"upper_arm": 0.7, "forearm": 0.7}
"""Factors on the spread that is left, chosen on the tuning grid: with them 94 to 96 % of the errors
of shoulder and elbow lie within 1.96 sd, and fewer elbows are refused than without."""


KEPT = Path(__file__).resolve().parents[1] / "benchmarks" / "learned_from.nc"

STEPS = {"knots": 1e-3, "seen": 1e-4, "world": 1e-4, "weight": 1e-4, "truth": 5e-4}
"""Of the numbers that are kept."""

PACKED = {"dtype": "int16", "_FillValue": -32768, "zlib": True, "complevel": 9, "shuffle": True}


class Clip(NamedTuple):
    """What one rendered clip tells, at the knots of a coarse fit."""

    knots: np.ndarray  # (knot,), s
    seen: np.ndarray  # (knot, joint, 2), in the focal lengths that the fit begins with
    world: np.ndarray  # (knot, joint, 3), of the landmarks
    weight: np.ndarray  # (knot, joint)
    truth: np.ndarray  # (knot, joint, 3), camera axes, of a person of 1.70 m
    magnified: float  # the fit's focal length in true ones

    @property
    def image(self) -> np.ndarray:
        """The landmarks in the picture, (knot, joint, 2), in true focal lengths."""
        return self.seen * self.magnified

    @property
    def problem(self) -> fit._Problem:
        """What the fit makes of it."""
        return fit._Problem(
            knots=self.knots,
            image=self.seen,
            world=self.world,
            weight=self.weight,
            focal_sd=fit._FOCAL_SD,
            stature=float(np.log(fit._STATURE)),
        )


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
    """Read a clip of a cache."""
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
    magnified = fit._FOCAL * max(height, width) / focal
    return Clip(problem.knots, problem.image, problem.world, problem.weight, at, magnified)


def clip_if_seen(folder: Path) -> Clip | None:
    """Read a clip of a cache; None where hardly anybody was found in it."""
    try:
        return clip(folder)
    except BadInputError as error:
        print(f"{folder.name} is left out: {error}")
        return None


def added(kept: list[Clip], more: list[Clip]) -> list[Clip]:
    """Put clips together.

    Raises
    ------
    BadInputError
        One of `more` is kept already.
    """
    for one in more:
        for other in kept:
            if one.truth.shape == other.truth.shape and np.allclose(
                one.truth, other.truth, atol=2 * STEPS["truth"]
            ):
                raise BadInputError(f"a clip that is to be added is in {KEPT.name} already")
    return [*kept, *more]


def gather(clips: list[Clip], file: Path) -> None:
    """Keep the clips, rounded to half a millimetre or less."""
    length = [len(one.knots) for one in clips]
    parts = {name: np.concatenate([getattr(one, name) for one in clips]) for name in STEPS}
    for name, values in parts.items():
        if not (abs(values) <= 32767 * STEPS[name]).all():
            raise BadInputError(f"{name} has numbers that a step of {STEPS[name]} cannot keep")
    held = xr.Dataset(
        {
            **{
                name: (("knot", "joint", "axis", "pixel")[: values.ndim], values)
                for name, values in parts.items()
                if name != "seen"
            },
            "seen": (("knot", "joint", "pixel"), parts["seen"]),
            "clip": ("knot", np.repeat(np.arange(len(clips)), length)),
            "magnified": ("clip_number", [one.magnified for one in clips]),
        },
        coords={"joint": list(fit.FITTED), "axis": list("xyz"), "pixel": list("uv")},
        attrs={"source": tables.load("depth_calibration")["source"], "units": "s, m"},
    )
    with atomic(file) as hidden:
        held.to_netcdf(
            hidden,
            engine="h5netcdf",
            encoding={name: {**PACKED, "scale_factor": step} for name, step in STEPS.items()}
            | {"clip": {"dtype": "int16", "zlib": True}},
        )


def gathered(file: Path) -> list[Clip]:
    """Read the clips that were kept."""
    held = xr.load_dataset(file, engine="h5netcdf")
    if list(held["joint"].values) != list(fit.FITTED):
        raise BadInputError(f"{file}: is of other joints than the fit's; gather it anew")
    parts = {name: held[name].to_numpy().astype(float) for name in STEPS}
    ends = np.cumsum(np.bincount(held["clip"].to_numpy()))[:-1]
    split = {name: np.split(values, ends) for name, values in parts.items()}
    return [
        Clip(**{name: values[i] for name, values in split.items()}, magnified=float(magnified))
        for i, magnified in enumerate(held["magnified"].to_numpy())
    ]


def is_found(truth: np.ndarray, image: np.ndarray) -> bool:
    """Whether the landmarks of a clip are those of the subject."""
    legs = [fit.LH, fit.RH, fit.LK, fit.RK]
    off = image[:, legs] * -truth[:, legs, 2:] - truth[:, legs, :2]
    return bool(np.sqrt((off**2).sum(axis=-1).mean()) < LOST)


def read_offsets_again() -> None:
    """Let the fit of this process use the offsets that were written: shifts are beyond them."""
    tables.load.cache_clear()
    fit._OFFSETS = fit._offsets()


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
    """Errors on each part of the clips of coefficients from the others."""
    error = np.zeros(len(y))
    for part in range(FOLDS):
        others = group % FOLDS != part
        known = ridge(x[others], y[others], group[others], penalty)
        error[~others] = y[~others] - x[~others] @ known
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
                rows = one.weight[:, j] > LEAST_WEIGHT
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


class Look(NamedTuple):
    """What a first look at a clip sees, and what is true."""

    told: np.ndarray  # (knot, depth)
    joints: np.ndarray  # (knot, joint, 3), camera axes
    truth: np.ndarray  # the same
    image: np.ndarray  # (knot, joint, 2), in true focal lengths
    weight: np.ndarray  # (knot, joint)
    up: np.ndarray  # (3,)


def look(one: Clip) -> Look:
    """Look at a clip as the fit does at first."""
    with threadpool_limits(limits=1, user_api="blas"):
        problem, joints = fit._start(one.problem, None)
        begin = fit._first_border(problem, joints)
        first = fit._solve(problem, joints, begin, steps=20, tolerance=1e-3)
    up = fit._up(first.border)
    return Look(problem.told, first.joints, one.truth, one.image, problem.weight, up)


def shifted(one: Look) -> np.ndarray:
    """Where landmarks lie less where the usual offsets put them, (knot, joint, 2), metres."""
    directions = fit._directions(one.joints, one.up)
    mean = np.array([offset.mean for offset in fit._OFFSETS.values()])
    usual = np.einsum("o,nojx->njx", mean, directions)
    depth, place = -one.truth[..., 2], one.truth[..., :2]
    usual = usual[..., :2] + (place / depth[..., None]) * usual[..., 2:]
    off: np.ndarray = one.image * depth[..., None] - place - usual
    return off


class Postures(NamedTuple):
    """Instants of all clips, seen from the left and, mirrored, from the right side."""

    x: np.ndarray  # (n, feature)
    short: np.ndarray  # (n, depth): true depth less that of the first look
    error: np.ndarray  # (n, depth): of the depths that the landmarks tell
    shift: np.ndarray  # (n, 2 joints): of the landmarks in the picture
    seen: np.ndarray  # (n, 2 joints): weight of the landmark
    clip: np.ndarray  # (n,)
    cosine: np.ndarray  # (n,), between forward and towards the camera
    whole: np.ndarray  # (n,), whether of the whole clip, not of a part of it


def part_of(one: Look, number: int) -> Look:
    """Cut some third to two thirds, at least three knots, out of a clip, after the first look.

    Trials need not begin upright, nor go all the way: learned from whole clips only, errors in
    parts were larger than where places are no features, by an eighth; those in whole clips are not
    larger for the parts (prototype on the depths of the legs).
    """
    random = np.random.default_rng(number)
    n = len(one.truth)
    size = min(max(3, round(n * random.uniform(1 / 3, 2 / 3))), n)
    rows = slice(first := int(random.integers(n - size + 1)), first + size)
    return Look(*(values[rows] for values in one[:-1]), up=one.up)


def postures(looks: list[Look], group: str) -> Postures:
    """Put together what the clips, and a part of each, tell one process."""
    rows: list[tuple[np.ndarray, ...]] = []
    ends = {name: (a, b) for name, (a, b, _, _) in fit._DEPTHS.items()}
    both = [
        (i, one, whole)
        for i, clip in enumerate(looks)
        for one, whole in ((clip, True), (part_of(clip, i), False))
    ]
    for number, one, whole in both:
        said = dict(zip(ends, one.told.T, strict=True))
        fitted = {name: one.joints[:, b] - one.joints[:, a] for name, (a, b) in ends.items()}
        true = {name: one.truth[:, b, 2] - one.truth[:, a, 2] for name, (a, b) in ends.items()}
        forward = facing(one.joints[:, fit.LH], one.joints[:, fit.RH])
        off = shifted(one)
        for k, side in enumerate(("left", "right")):
            pairs = PAIRS if group == "legs" else ()
            names = [*(f"{side}_{segment}" for segment in CORRECTED[group]), *pairs]
            way = np.where([name in pairs for name in names], 1.0 - 2.0 * k, 1.0)
            joints = [fit._LEFT[joint] + k for joint in SHIFTED[group]]
            mirror = np.array([1.0 - 2.0 * k, 1.0])
            n = len(one.truth)
            rows.append(
                (
                    features(Limbs(said, fitted), forward, side=side, group=group),
                    way * np.stack([true[name] - fitted[name][:, 2] for name in names], axis=-1),
                    way * np.stack([true[name] - said[name] for name in names], axis=-1),
                    (off[:, joints] * mirror).reshape(n, -1),
                    np.repeat(one.weight[:, joints], 2, axis=1),
                    np.full(n, number),
                    np.full(n, forward[1]),
                    np.full(n, whole),
                )
            )
    return Postures(*(np.concatenate(part) for part in zip(*rows, strict=True)))


def middles(x: np.ndarray, count: int) -> np.ndarray:
    """Centres of clusters of postures (Lloyd's algorithm)."""
    if count >= len(x):
        return x
    first = x[np.random.default_rng(0).choice(len(x), count, replace=False)]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "One of the clusters is empty")  # it stays where it is
        centres: np.ndarray = kmeans2(x, first, iter=10, minit="matrix")[0]
    return centres


def learned(
    x: np.ndarray, y: np.ndarray, group: np.ndarray, seen: np.ndarray | None = None
) -> Process:
    """Sparse Gaussian process of y on x; each clip has the same weight, times `seen` of each y."""
    mean, scale = x.mean(axis=0), x.std(axis=0) + 0.02
    instant = len(scale) // (1 + len(PLACES))
    scale[instant:] = np.tile(scale[:instant], len(PLACES)) / ELSEWHERE
    each = 1 / np.bincount(group)[group]
    each /= each.mean()
    scaled = (x - mean) / scale
    centres = middles(scaled, CENTRES).round(CENTRE_DIGITS)  # as they are kept

    def kernel(one: np.ndarray) -> np.ndarray:
        return likeness(one, centres, LENGTH_SCALE) + LINEAR * one @ centres.T / x.shape[1]

    between, among = kernel(scaled), kernel(centres) + 1e-6 * np.eye(len(centres))
    alike = np.ones((len(x), 1)) if seen is None else seen
    offset, weights = np.zeros(y.shape[1]), np.zeros((len(centres), y.shape[1]))
    for part in _parts(y.shape[1], alike):
        weight = alike[:, part.start] * each
        offset[part] = np.average(y[:, part], axis=0, weights=weight)
        weights[:, part] = np.linalg.solve(
            between.T @ (between * weight[:, None]) + NOISE * among,
            between.T @ (weight[:, None] * (y[:, part] - offset[part])),
        )
    known = known_by(centres, LENGTH_SCALE)
    return Process(mean, scale, centres, weights, offset, LENGTH_SCALE, LINEAR, known)


def _parts(count: int, weights: np.ndarray) -> list[slice]:
    """Give the runs of outputs that have the same weights."""
    if weights.shape[1] == 1:
        return [slice(0, count)]
    other = np.flatnonzero((np.diff(weights, axis=1) != 0).any(axis=0)) + 1
    return [slice(a, b) for a, b in pairwise([0, *other.tolist(), count])]


def of_whole(found: Postures) -> np.ndarray:
    """Weight of each instant, (n,): of parts none, of each clip the same."""
    return found.whole / np.bincount(found.clip, weights=found.whole)[found.clip]


def left_out_errors(found: Postures, y: np.ndarray, seen: np.ndarray | None = None) -> np.ndarray:
    """Errors on each whole clip, as `y`, of a process that was learned from the others."""
    error = np.zeros_like(y)
    for out, process in processes_of_others(found, y, seen):
        rows = np.isin(found.clip, out) & found.whole
        error[rows] = y[rows] - process.predicted(found.x[rows])[0]
    return error


def processes_of_others(
    found: Postures, y: np.ndarray, seen: np.ndarray | None = None
) -> Iterator[tuple[np.ndarray, Process]]:
    """Leave out each part of the clips in turn: their numbers, and what the others teach."""
    order = np.random.default_rng(0).permutation(found.clip.max() + 1)
    for part in range(FOLDS):
        rows = ~np.isin(found.clip, order[part::FOLDS])
        _, others = np.unique(found.clip[rows], return_inverse=True)
        shown = None if seen is None else seen[rows]
        yield order[part::FOLDS], learned(found.x[rows], y[rows], others, shown)


def _depths_of(group: str) -> list[str]:
    """Name what a process corrects in depth."""
    return [*CORRECTED[group], *(PAIRS if group == "legs" else ())]


def depths(found: Postures, group: str) -> dict[str, list[float]]:
    """Spreads of the depths, in metres, by segment and view."""
    error = left_out_errors(found, found.short)
    each = of_whole(found)

    def size(of: np.ndarray, weight: np.ndarray) -> float:
        return float(np.sqrt((weight * of**2).sum() / weight.sum()))

    spreads = {}
    for i, segment in enumerate(_depths_of(group)):
        near = [np.exp(-0.5 * ((found.cosine - view) / NEAR) ** 2) * each for view in VIEWS]
        spread = [TRUST.get(segment, 1.0) * size(error[:, i], weight) for weight in near]
        spreads[segment] = [round(value, 3) for value in spread]
        told, first, left = (100 * size(of[:, i], each) for of in (found.error, found.short, error))
        print(
            f"{segment:10} depth error, cm: landmarks {told:.1f}, first fit {first:.1f}, "
            f"corrected {left:.1f}; {spreads[segment]}"
        )
    return spreads


def left_in_picture(found: Postures, group: str) -> dict[str, float]:
    """Spreads, in metres and by joint, of what the shifts leave in the picture."""
    error = left_out_errors(found, found.shift, found.seen)
    weight = found.seen * (found.seen > LEAST_WEIGHT) * of_whole(found)[:, None]

    def size(of: np.ndarray, own: slice) -> float:
        return float(np.sqrt((weight * of**2)[:, own].sum() / weight[:, own].sum()))

    spreads = {}
    for i, joint in enumerate(SHIFTED[group]):
        before, after = (size(of, slice(2 * i, 2 * i + 2)) for of in (found.shift, error))
        print(f"{joint:10} picture error, cm: {100 * before:.2f}, shifted {100 * after:.2f}")
        spreads[joint] = round(after, 4)
    return spreads


def keep(
    process: Process, group: str, file: Path, mode: Literal["w", "a"], outputs: list[str]
) -> None:
    """Write the numbers of one process."""
    if not (abs(process.centres) < 32767 * 10.0**-CENTRE_DIGITS).all():
        raise BadInputError(f"centres do not fit into steps of {CENTRE_DIGITS} digits")
    held = xr.Dataset(
        {
            "mean": ("feature", process.mean.astype(np.float32)),
            "scale": ("feature", process.scale.astype(np.float32)),
            "centre": (("number", "feature"), process.centres),
            "weight": (("number", "output"), process.weights),
            "offset": ("output", process.offset),
        },
        coords={"output": outputs},
        attrs={"source": tables.load(file.stem)["source"], "units": "m"},
    )
    step = {**PACKED, "scale_factor": 10.0**-CENTRE_DIGITS}
    held.to_netcdf(file, group=group, mode=mode, engine="h5netcdf", encoding={"centre": step})


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
    parser.add_argument("cache", type=Path, nargs="*")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--check", action="store_true")
    only.add_argument("--gather", action="store_true", help=f"only write {KEPT.name}")
    only.add_argument("--add", action="store_true", help=f"only add to {KEPT.name}")
    given = parser.parse_args()
    folders = sorted(path.parent for cache in given.cache for path in cache.glob("*/truth.nc"))
    if (given.gather or given.add) and not folders:
        parser.error("--gather and --add go with a CACHE")
    with get_context("spawn").Pool(2) as pool:
        clips = pool.map(clip_if_seen, folders) if given.cache else gathered(KEPT)
    known = [one for one in clips if one is not None and is_found(one.truth, one.image)]
    print(f"{len(clips)} clips, {len(clips) - len(known)} left out: the subject is not found")
    if given.gather or given.add:
        gather(added(gathered(KEPT), known) if given.add else known, KEPT)
        return
    table = offsets(known)
    if not given.check:
        write("landmark_offsets", {**tables.load("landmark_offsets"), "offsets": table})
        read_offsets_again()
    # New processes, which read the new offsets too.
    with get_context("spawn").Pool(2) as pool:
        looks = pool.map(look, known)
    found = {group: postures(looks, group) for group in CORRECTED}
    spreads, lefts = {}, {}
    for group, those in found.items():
        spreads |= depths(those, group)
        lefts |= left_in_picture(those, group)
    if given.check:
        return
    kernel = {"length_scale": LENGTH_SCALE, "linear": LINEAR}
    for name, spread in (
        ("depth_calibration", {"sd": spreads}),
        ("picture_calibration", {"sd_m": lefts}),
    ):
        write(name, {**tables.load(name), "kernel": kernel, **spread})
    mode: Literal["w", "a"] = "w"
    for group, those in found.items():
        process = learned(those.x, those.short, those.clip)
        keep(process, group, TABLES / "depth_calibration.nc", mode, _depths_of(group))
        process = learned(those.x, those.shift, those.clip, those.seen)
        outputs = [f"{joint}_{axis}" for joint in SHIFTED[group] for axis in ("out", "up")]
        keep(process, group, TABLES / "picture_calibration.nc", mode, outputs)
        mode = "a"


if __name__ == "__main__":
    main()
