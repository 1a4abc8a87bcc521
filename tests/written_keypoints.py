"""Writes keypoints as other programs do: OpenPose, AlphaPose, DeepLabCut, SLEAP, movement, CSV."""

from __future__ import annotations

import gzip
import json
import pickle
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np
import xarray as xr

from mobility.keypoints.sources import points_of

BODY_25 = points_of("body_25")
RATE = 30.0


def walker(frames: int = 30, names: Sequence[str] = BODY_25, *, u: float = 60.0) -> np.ndarray:
    """Points that drift to the right, (frame, point, u, v and confidence), pixels of 160 x 120."""
    number = len(names)
    points = np.empty((frames, number, 3))
    points[:, :, 0] = u + np.linspace(0, 10, number) + np.linspace(0, 5, frames)[:, np.newaxis]
    points[:, :, 1] = np.linspace(20, 100, number)
    points[:, :, 2] = np.linspace(0.5, 0.9, number)
    return points.round(4)


def openpose(
    folder: Path,
    frames: Sequence[np.ndarray],
    *,
    others: Callable[[int], list[np.ndarray]] = lambda _: [],
    key: str = "pose_keypoints_2d",
) -> Path:
    """Write a folder with a file for each frame; nobody is in a frame that is NaN."""
    folder.mkdir()
    for number, frame in enumerate(frames):
        people = [each for each in (frame, *others(number)) if np.isfinite(each).any()]
        document = {"version": 1.3, "people": [{key: each.ravel().tolist()} for each in people]}
        name = f"walk_{number:012d}_keypoints.json"
        (folder / name).write_text(json.dumps(document), encoding="utf-8")
    return folder


def long_csv(
    file: Path,
    frames: np.ndarray,
    names: Sequence[str] = BODY_25,
    *,
    head: str = "frame,point,x,y,confidence",
    clock: Callable[[int], object] = int,
) -> Path:
    lines = [head]
    for number, frame in enumerate(frames):
        lines += [
            ",".join(map(str, [clock(number), name, *point]))
            for name, point in zip(names, frame, strict=True)
        ]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def alphapose(file: Path, frames: np.ndarray, *, idx: int | None = None) -> Path:
    """Write a list of results; `frames` are of HALPE_26."""
    results = [
        {"image_id": f"{number}.jpg", "category_id": 1, "keypoints": frame.ravel().tolist()}
        | ({} if idx is None else {"idx": idx})
        for number, frame in enumerate(frames)
        if np.isfinite(frame).any()
    ]
    file.write_text(json.dumps(results), encoding="utf-8")
    return file


def deeplabcut(
    file: Path, people: Mapping[str, np.ndarray], names: Sequence[str] = BODY_25
) -> Path:
    """Write three rows of headers, or four of several individuals."""
    columns = [(who, name, c) for who in people for name in names for c in ("x", "y", "likelihood")]
    heads = [["scorer", *["net"] * len(columns)]]
    if len(people) > 1:
        heads.append(["individuals", *[who for who, _, _ in columns]])
    heads += [["bodyparts", *[n for _, n, _ in columns]], ["coords", *[c for *_, c in columns]]]
    table = np.concatenate([each.reshape(len(each), -1) for each in people.values()], axis=1)
    rows = [[str(n), *["" if np.isnan(v) else str(v) for v in row]] for n, row in enumerate(table)]
    text = "\n".join(",".join(row) for row in (*heads, *rows))
    file.write_text(f"{text}\n", encoding="utf-8")
    return file


def deeplabcut_hdf5(
    file: Path,
    people: Mapping[str, np.ndarray],
    names: Sequence[str] = BODY_25,
    *,
    fixed: bool = False,
    labels: bytes | None = None,
) -> Path:
    """Write what pandas writes with PyTables, in its format "table" or "fixed"."""
    columns = [
        ("net", *([who] if len(people) > 1 else []), name, c)
        for who in people
        for name in names
        for c in ("x", "y", "likelihood")
    ]
    table = np.concatenate([each.reshape(len(each), -1) for each in people.values()], axis=1)
    with h5py.File(file, "w") as out:
        group = out.create_group("df_with_missing")
        if not fixed:
            kind = [("index", "<i8"), ("values_block_0", "<f8", (len(columns),))]
            rows = np.zeros(len(table), dtype=kind)
            rows["index"], rows["values_block_0"] = np.arange(len(table)), table
            data = group.create_dataset("table", data=rows)
            pickled = pickle.dumps(columns, protocol=0) if labels is None else labels
            data.attrs["values_block_0_kind"] = np.bytes_(pickled)
            return file
        group.attrs["block0_items_nlevels"] = len(columns[0])
        for number, level in enumerate(zip(*columns, strict=True)):
            words = sorted(set(level))
            group[f"block0_items_level{number}"] = np.array(words, dtype="S")
            group[f"block0_items_label{number}"] = np.array([words.index(w) for w in level], "i2")
        group["block0_values"] = table
    return file


def sleap(file: Path, frames: np.ndarray, names: Sequence[str] = BODY_25) -> Path:
    with h5py.File(file, "w") as out:
        out["tracks"] = frames[:, :, :2].transpose(2, 1, 0)[np.newaxis]
        out["point_scores"] = frames[:, :, 2].T[np.newaxis]
        out["node_names"] = np.array(names, dtype="S")
        out["track_names"] = np.array(["track_0"], dtype="S")
    return file


def movement(
    file: Path,
    people: Mapping[str, np.ndarray],
    names: Sequence[str] = BODY_25,
    *,
    rate: float = RATE,
    unit: str = "seconds",
) -> Path:
    points = np.stack(list(people.values()), axis=-1)
    number = np.arange(len(points))
    data = xr.Dataset(
        {
            "position": (
                ("time", "space", "keypoint", "individual"),
                points[:, :, :2].transpose(0, 2, 1, 3),
            ),
            "confidence": (("time", "keypoint", "individual"), points[:, :, 2]),
        },
        coords={
            "time": number / rate if unit == "seconds" else number,
            "space": ["x", "y"],
            "keypoint": list(names),
            "individual": list(people),
        },
        attrs={"time_unit": unit, "source_software": "LightningPose", "ds_type": "poses"},
    )
    data.to_netcdf(file, engine="h5netcdf")
    return file


def hrnet(shared_data: Path, camera: int = 0) -> np.ndarray:
    """HRNet's keypoints of the squats of a man, BODY_25: (938, 25, u, v and confidence)."""
    file = shared_data / "lab" / "cmbbe" / f"hrnet_cam{camera}.json.gz"
    document = json.loads(gzip.decompress(file.read_bytes()))
    assert tuple(document["keypoints"]) == BODY_25
    return np.array(document["frames"])
