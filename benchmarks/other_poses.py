"""Errors with poses from other models and with poses without depth, beside those with MediaPipe.

usage: python benchmarks/other_poses.py [--data FOLDER] [--poses FOLDER] [--only CLIP ...]
           [--rendered CACHE ...] [--json]

The videos, their references and the errors are those of real.py. Shares of reported values refer to
all frames, and shares within 1.96 sd to the reported values. Each video is fitted with MediaPipe's
landmarks, and with the same landmarks without their depth. The video from two phones is also fitted
with HRNet's keypoints (BODY_25, from OpenCap), with and without the calibration. Its reference was
made from the same keypoints, so it is not independent.

--rendered adds people whose joints are known. They are fitted with MediaPipe's landmarks, with and
without depth, and with their joints in the picture. Offsets and slowly varying errors are added to
these joints, as the table `pose_sources` assumes them for other models. Nothing is chosen here.
"""

from __future__ import annotations

import argparse
import gzip
import json
import tempfile
import time
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
import yaml
from real import (
    RENDERED,
    ROOT,
    Clip,
    at_frames,
    body_of,
    clips,
    compared,
    rendered,
    stated,
)
from scipy.spatial.transform import Rotation

from mobility import tables
from mobility.keypoints.sources import MEDIAPIPE, OTHER
from mobility.keypoints.view import camera_view
from mobility.kinematics.fit.body import FITTED, offset_directions, point_errors
from mobility.kinematics.skeleton import INDEX, KEYPOINTS
from mobility.virtual_lab.case import read_truth, truth_pose

AS_IS, NO_DEPTH, HRNET, JOINTS = "MediaPipe", "MediaPipe, no depth", "HRNet", "known joints"
ANGLES = (
    *("knee_flexion", "hip_flexion", "ankle_dorsiflexion", "trunk_lean"),
    *("shoulder_flexion", "elbow_flexion"),
)
REFERENCES = ("markers", "opencap", "views", "rendered")
LASTING_S = 1.3
"""Seconds for which an error of a keypoint lasts, as the table `fit` assumes."""

Poses = xr.Dataset | tuple[xr.Dataset, ...]


def without_depth(pose: xr.Dataset) -> xr.Dataset:
    """Remove the depth from a MediaPipe pose."""
    flat = pose.drop_vars(["position", "image_depth", "presence"], errors="ignore")
    return flat.drop_vars("space", errors="ignore").assign_attrs(pose_source=MEDIAPIPE)


def hrnet(path: Path, like: xr.Dataset) -> xr.Dataset:
    """Read HRNet's keypoints of the frames of a pose."""
    with gzip.open(path) as file:
        found = json.load(file)
    frames = np.array(found["frames"], dtype=float)
    names = tables.load("keypoint_names")["body_25"]["names"]
    size = (len(frames), len(KEYPOINTS))
    image, confidence = np.full((*size, 2), np.nan), np.full(size, np.nan)
    for column, name in enumerate(found["keypoints"]):
        if (landmark := names.get(name)) is not None:
            image[:, INDEX[landmark]] = frames[:, column, :2]
            confidence[:, INDEX[landmark]] = frames[:, column, 2]
    step = 1 / float(like.attrs["video_fps"])
    rows = np.round((like["time"].to_numpy() - float(like["time"][0])) / step).astype(int)
    rows = np.minimum(rows, len(frames) - 1)
    width, height = found["size"]
    kept = {name: like.attrs[name] for name in ("source_file", "fps", "video_fps")}
    dims = ("time", "pixel", "keypoint", "individual")
    return xr.Dataset(
        {
            "image_position": (dims, image[rows].transpose(0, 2, 1)[..., None]),
            "confidence": (("time", "keypoint", "individual"), confidence[rows][..., None]),
        },
        coords={
            **{"time": like["time"], "pixel": ["u", "v"], "keypoint": list(KEYPOINTS)},
            "individual": ["subject"],
        },
        attrs=kept | {"pose_source": OTHER, "image_width": width, "image_height": height},
    )


def known_joints(pose: xr.Dataset, truth: xr.Dataset, seed: int) -> xr.Dataset:
    """Return a rendered person's joints in the picture, with errors assumed for other models."""
    rng = np.random.default_rng(seed)
    body = truth_pose(truth)
    at = body.interp(time=pose["time"], kwargs={"fill_value": "extrapolate"})
    place = at["position"].isel(individual=0).transpose("time", "keypoint", "space").to_numpy()
    place = place[:, [INDEX[name] for name in FITTED]]
    errors = point_errors(OTHER)
    offsets = rng.normal(errors.offset_mean, errors.offset_sd)
    place = place + np.einsum(
        "o,nojx->njx", offsets, offset_directions(place, np.array([0.0, 1.0, 0.0]))
    )
    pixels, per_metre = projected(truth, place)
    correlation = np.exp(-float(np.median(np.diff(pose["time"]))) / LASTING_S)
    noise = np.empty(pixels.shape)
    noise[0] = rng.standard_normal(noise.shape[1:])
    for row in range(1, len(noise)):
        fresh = rng.standard_normal(noise.shape[1:])
        noise[row] = correlation * noise[row - 1] + np.sqrt(1 - correlation**2) * fresh
    pixels = pixels + noise * errors.sd[:, None] * per_metre[..., None]
    image = pose["image_position"].copy(deep=True) * np.nan
    confidence = pose["confidence"].copy(deep=True) * np.nan
    for column, name in enumerate(FITTED):
        where = {"keypoint": name, "individual": pose["individual"][0]}
        image.loc[{**where, "pixel": "u"}] = pixels[:, column, 0]
        image.loc[{**where, "pixel": "v"}] = pixels[:, column, 1]
        confidence.loc[where] = 1.0
    flat = without_depth(pose).assign(image_position=image, confidence=confidence)
    return flat.assign_attrs(pose_source=OTHER, source_software="joints")


def projected(truth: xr.Dataset, place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the pixels of points in space, (n, point, 2), and the pixels per metre there."""
    case = yaml.safe_load(truth.attrs["case"])
    camera, film = case["camera"], case["video"]
    turn, tilt, roll = np.radians([camera["azimuth"], camera["tilt"], camera["roll"]])
    towards = np.array([np.sin(turn), 0.0, np.cos(turn)])
    aside = np.array([np.cos(turn), 0.0, -np.sin(turn)])
    up = np.array([0.0, 1.0, 0.0])
    eye = camera["distance_m"] * towards + camera["across_m"] * aside + camera["height_m"] * up
    ahead = np.sin(tilt) * up - np.cos(tilt) * towards
    upright = np.cos(roll) * (np.cos(tilt) * up + np.sin(tilt) * towards) + np.sin(roll) * aside
    local = (place - eye) @ np.stack([np.cross(ahead, upright), upright, ahead]).T
    size = np.array([film["width"], film["height"]])
    focal = size[1] / 2 / np.tan(np.radians(camera["field_of_view"]) / 2) / local[..., 2]
    return size / 2 + focal[..., None] * local[..., :2] * [1.0, -1.0], focal


def phones(path: Path, folder: Path) -> Path:
    """Write the calibration of the two phones as Pose2Sim does, rotations as vectors."""
    lines = []
    for name, camera in tomllib.loads(path.read_text(encoding="utf-8")).items():
        vector = Rotation.from_matrix(camera["rotation_matrix"]).as_rotvec().tolist()
        values = {"name": name, "size": camera["size"], "matrix": camera["matrix"]}
        values |= {"distortions": camera["distortions"][:4], "rotation": vector}
        values |= {"translation": camera["translation_m"], "fisheye": False}
        lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items())]
    target = folder / "phones.toml"
    target.write_text("\n".join(lines), encoding="utf-8")
    return target


def trials(
    data: Path, poses: Path, only: list[str], calibration: Path
) -> Iterator[tuple[Clip, str, Poses, dict[str, Any]]]:
    """Yield the videos with their fits: name of the method, poses, options of the fit."""
    for clip in clips(data, poses, only):
        if not set(REFERENCES) & set(clip.references):
            continue
        each = clip.pose if isinstance(clip.pose, tuple) else (clip.pose,)
        ways: dict[str, tuple[xr.Dataset, ...]] = {
            AS_IS: each,
            NO_DEPTH: tuple(without_depth(one) for one in each),
        }
        if clip.kind == "phones":
            files = [
                data / "lab" / "cmbbe" / f"hrnet_{Path(one.attrs['source_file']).stem[-4:]}.json.gz"
                for one in each
            ]
            ways[HRNET] = tuple(hrnet(*pair) for pair in zip(files, each, strict=True))
        for method, one in ways.items():
            poses_of = one if len(one) > 1 else one[0]
            yield clip, method, poses_of, {}
            if clip.kind == "phones":
                yield clip, f"{method}, calibrated", poses_of, {"calibration": calibration}


def view_of(clip: Clip, body: xr.Dataset) -> str:
    """Return the true view for a rendered person; for others, the view from the fit."""
    if clip.kind != RENDERED:
        return camera_view(body).kind
    words = [word for word in clip.name.split("-")[1:-1] if word not in ("left", "right")]
    return "-".join(words) or "side"


def rows_of(clip: Clip, method: str, poses: Poses, how: Mapping[str, Any]) -> pd.DataFrame:
    """Fit, and compare the angles with the known angles."""
    began = time.process_time()
    body = body_of(poses, **{**clip.how, **how})
    seconds = time.process_time() - began
    found = stated(body)
    rows = []
    for reference in set(REFERENCES) & set(clip.references):
        truth = at_frames(clip.references[reference], found, reference)
        for row in compared(found, truth):
            if row["posture"] == "all" and row["angle"] in ANGLES:
                about = {"clip": clip.name, "kind": clip.kind, "method": method}
                about |= {"view": view_of(clip, body), "seconds": seconds}
                rows.append(about | row)
    return pd.DataFrame(rows)


def main() -> None:
    """Print the errors by clip and method, and of rendered people by view."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--poses", type=Path, default=ROOT / ".poses")
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--rendered", type=Path, nargs="*", default=[])
    parser.add_argument("--json", action="store_true", help="all rows")
    given = parser.parse_args()
    if given.rendered:
        every = []
        for number, clip in enumerate(rendered(given.rendered)):
            folders = (cache / clip.name for cache in given.rendered)
            folder = next(each for each in folders if each.is_dir())
            joints = known_joints(clip.pose, read_truth(folder / "truth.nc"), number)
            ways = {AS_IS: clip.pose, NO_DEPTH: without_depth(clip.pose), JOINTS: joints}
            every += [rows_of(clip, method, pose, {}) for method, pose in ways.items()]
    else:
        with tempfile.TemporaryDirectory() as folder:
            lenses = phones(given.data / "lab" / "cmbbe" / "calibration.toml", Path(folder))
            every = [
                rows_of(*trial) for trial in trials(given.data, given.poses, given.only, lenses)
            ]
    errors = pd.concat(every)
    if given.json:
        print(errors.to_json(orient="records"))
        return
    print(table_of(errors, "view" if given.rendered else "clip"))


def table_of(errors: pd.DataFrame, by: str) -> str:
    """Return a line per method: error, share reported, share of these within, margin, seconds."""
    lines = [
        f"| {by} | method | clips | {' | '.join(ANGLES)} | seconds |",
        "|" + "---|" * (4 + len(ANGLES)),
    ]
    for (group, method), rows in errors.groupby([by, "method"], sort=False):
        cells = []
        for angle in ANGLES:
            of_angle = rows[rows["angle"] == angle]
            if of_angle.empty:
                cells.append("")
                continue
            mean = of_angle[["mae", "given", "within"]].mean()
            half = of_angle["half"].median()
            within = "" if np.isnan(mean["within"]) else f", {mean['within']:.2f} of ±{half:.0f}"
            cells.append(f"{mean['mae']:.1f} ({mean['given']:.2f}{within})")
        about = f"| {group} | {method} | {rows['clip'].nunique()} | "
        lines.append(f"{about}{' | '.join(cells)} | {rows['seconds'].mean():.1f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
