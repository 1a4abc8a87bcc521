"""Errors for a man who balances, filmed by four cameras: one view, two views, two calibrated views.

usage: python benchmarks/balance.py [--data FOLDER] [--poses FOLDER] [--json]

The videos and their calibration (Qualisys) are in ../shared/data beside the checkout. Poses are
stored in a folder under the names of the videos, and estimated if they are missing. The reference
is made of MediaPipe's own landmarks in all four views, triangulated with the calibration. Their
depth is measured, but if a landmark is off the joint in every view, it is also off in the
reference. The comparison therefore shows errors of depth, not of the landmarks. The videos share
one clock, but no fit makes use of this.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr

import mobility as mb
from mobility.errors import BadInputError
from mobility.kinematics.calibration import known_cameras
from mobility.kinematics.expected_error import Z95
from mobility.kinematics.fit.entry import VISIBILITY_THRESHOLD
from mobility.kinematics.skeleton import INDEX, KEYPOINTS, angles_from_points, landmarks
from mobility.sessions.files import read_dataset, write_dataset

ROOT = Path(__file__).resolve().parents[1]
CLIP = "pose2sim_balance"
CALIBRATION = Path("lab") / CLIP / "Calib.qca.txt"
ANGLES = ("knee_flexion", "hip_flexion", "trunk_lean")
_ROUNDS, _OUTLIER = 10, 0.01
"""Rounds, and scale in radians, of the Cauchy weights with which lines of sight are intersected."""


def poses_of(
    videos: Sequence[Path],
    folder: Path | None,
    rate: float | Literal["usual", "all"] = "usual",
    model: str | None = None,
) -> list[xr.Dataset]:
    """Return the poses of videos, from a folder if it contains them."""
    found = []
    for video in videos:
        kept = None if folder is None else folder / f"{video.stem}.nc"
        if kept is not None and kept.exists():
            found.append(read_dataset(kept))
            continue
        pose = mb.estimate_pose(video, workers=2, rate=rate, model=model)
        if kept is not None:
            kept.parent.mkdir(parents=True, exist_ok=True)
            write_dataset(kept, pose)
        found.append(pose)
    return found


def _seen(pose: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Return the landmarks in the picture (time, 33, 2), and weights from their visibility."""
    image, visible = landmarks(pose, "image_position"), landmarks(pose, "confidence")
    known = np.isfinite(image).all(axis=-1) & np.isfinite(visible)
    return image, np.where(known, np.nan_to_num(visible) ** 2, 0.0)


def triangulated(poses: Sequence[xr.Dataset], calibration: Path) -> tuple[np.ndarray, list[float]]:
    """Triangulate landmarks: intersect the lines of sight of calibrated cameras with one clock.

    Returns
    -------
    points
        (time, 33, 3), metres, y up, at the times of the first pose.
    residual
        For each camera, the root mean square distance in pixels between the reprojected landmarks
        and its picture, with the same weights.
    """
    known = known_cameras(calibration, poses)
    assert known.tilt is not None
    axes = [(np.eye(3), np.zeros(3)), *known.axes]
    time = poses[0]["time"].to_numpy()
    rays, weights, images = [], [], []
    for pose, focal, (turn, _) in zip(known.poses, known.focal, axes, strict=True):
        image, weight = _seen(pose)
        middle = np.array([pose.attrs["image_width"], pose.attrs["image_height"]]) / 2
        flat = (image - middle) / focal * [1.0, -1.0]
        at = pose["time"].to_numpy()
        nearest = np.abs(at[:, None] - time[None]).argmin(axis=0)
        flat, weight = flat[nearest], weight[nearest]
        ray = np.concatenate([np.nan_to_num(flat), -np.ones((*flat.shape[:2], 1))], axis=-1)
        rays.append(ray / np.linalg.norm(ray, axis=-1, keepdims=True) @ turn)
        weights.append(weight)
        images.append(flat)
    points = np.full((time.size, len(KEYPOINTS), 3), np.nan)
    factor = [np.ones_like(weight) for weight in weights]
    off = weights
    for _ in range(_ROUNDS):
        left, right = np.zeros((*points.shape, 3)), np.zeros(points.shape)
        for ray, weight, share, (turn, place) in zip(rays, weights, factor, axes, strict=True):
            across = np.eye(3) - ray[..., :, None] * ray[..., None, :]
            across = across * (weight * share)[..., None, None]
            left += across
            right += across @ (-place @ turn)
        enough = np.linalg.eigvalsh(left)[..., 0] > 1e-3
        points[enough] = np.linalg.solve(left[enough], right[enough][..., None])[..., 0]
        off = []
        for flat, (turn, place) in zip(images, axes, strict=True):
            moved = points @ turn.T + place
            off.append(np.linalg.norm(moved[..., :2] / -moved[..., 2:] - flat, axis=-1))
        factor = [1 / (1 + (np.nan_to_num(each) / _OUTLIER) ** 2) for each in off]
    body = [INDEX[name] for name in KEYPOINTS if name.split("_")[-1] in _BODY]
    residual = [
        float(focal * np.sqrt(np.nansum((w * e**2)[:, body]) / w[:, body].sum()))
        for focal, w, e in zip(known.focal, weights, off, strict=True)
    ]
    pitch, roll = known.tilt
    up = np.array([roll, 1.0, pitch]) / np.linalg.norm([roll, 1.0, pitch])
    back = np.array([0.0, 0.0, 1.0]) - up * up[2]
    back /= np.linalg.norm(back)
    return points @ np.stack([np.cross(up, back), up, back]).T, residual


_BODY = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle", "heel", "index")


def pairs(
    cleaned: Sequence[xr.Dataset], calibration: Path
) -> Iterator[tuple[str, Callable[[], xr.Dataset]]]:
    """Name each pair of views, with camera positions found or known, and the options of its fit."""
    for i, j in itertools.combinations(range(len(cleaned)), 2):
        two = [cleaned[i], cleaned[j]]
        yield f"{i + 1} and {j + 1}, places found", functools.partial(mb.fit_body, two)
        yield (
            f"{i + 1} and {j + 1}, calibrated",
            functools.partial(mb.fit_body, two, calibration=calibration),
        )


def errors(
    fitted: xr.Dataset, reference: dict[str, np.ndarray], time: np.ndarray
) -> dict[str, dict[str, float]]:
    """Return mean absolute error, bias, share reported, and share within 1.96 sd of each angle."""
    got = angles_from_points(landmarks(fitted))
    given = mb.joint_angles(fitted)
    nearest = np.abs(fitted["time"].to_numpy()[:, None] - time[None]).argmin(axis=1)
    found = {}
    for name in ANGLES:
        off = got[name] - reference[name][nearest]
        angle = given[name].to_numpy()
        sd = given[f"{name}_sd"].to_numpy()
        told = np.isfinite(angle) & np.isfinite(off)
        inside = np.abs(angle - reference[name][nearest]) <= Z95 * sd
        found[name] = {
            "mae": float(np.nanmean(np.abs(off))),
            "bias": float(np.nanmean(off)),
            "given": float(told.sum() / np.isfinite(off).sum()),
            "within": float(inside[told].mean()) if told.any() else float("nan"),
        }
    return found


def measured(data: Path, poses: Path | None) -> dict[str, Any]:
    """Return the reprojection error of the reference, and the errors of every view and pair."""
    videos = sorted((data / "videos").glob(f"{CLIP}_cam*.mp4"))
    assert len(videos) == 4, f"{data} has not the four videos"
    cleaned = [
        mb.clean_pose(pose, visibility_threshold=VISIBILITY_THRESHOLD)
        for pose in poses_of(videos, poses)
    ]
    calibration = data / CALIBRATION
    points, residual = triangulated(cleaned, calibration)
    reference, time = angles_from_points(points), cleaned[0]["time"].to_numpy()
    rows: dict[str, Any] = {}

    def tried(name: str, fit: Callable[[], xr.Dataset]) -> None:
        try:
            rows[name] = errors(fit(), reference, time)
        except BadInputError as error:
            rows[name] = str(error)

    for i, pose in enumerate(cleaned, start=1):
        tried(f"{i}", lambda pose=pose: mb.fit_body(pose))
        tried(
            f"{i}, its lens and vertical known",
            lambda pose=pose: mb.fit_body(pose, calibration=calibration),
        )
    for name, fit in pairs(cleaned, calibration):
        tried(name, fit)
    tried("all four, calibrated", lambda: mb.fit_body(cleaned, calibration=calibration))
    return {"residual_px": residual, "rows": rows}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--poses", type=Path)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    found = measured(given.data, given.poses)
    if given.json:
        print(json.dumps(found, indent=2))
        return
    told = ", ".join(f"{each:.0f}" for each in found["residual_px"])
    print(f"All four triangulated: landmarks off the picture by {told} pixels")
    print(f"{'views':<34}" + "".join(f"{name:>30}" for name in ANGLES))
    print(f"{'':<34}" + f"{'MAE   bias  given  within':>30}" * len(ANGLES))
    for name, row in found["rows"].items():
        if isinstance(row, str):
            print(f"{name:<34}  {row}")
            continue
        cells = (
            f"{e['mae']:.1f}  {e['bias']:+5.1f}   {e['given']:4.0%}   {e['within']:4.0%}"
            for e in row.values()
        )
        print(f"{name:<34}" + "".join(f"{cell:>30}" for cell in cells))
    for kind in ("places found", "calibrated"):
        pairs = [row for name, row in found["rows"].items() if "and" in name and kind in name]
        kept = [row for row in pairs if not isinstance(row, str)]
        means = (
            np.mean([row[angle]["mae"] for row in kept]) if kept else np.nan for angle in ANGLES
        )
        print(f"{len(kept)} of 6 pairs, {kind}: " + ", ".join(f"{m:.1f}" for m in means))


if __name__ == "__main__":
    main()
