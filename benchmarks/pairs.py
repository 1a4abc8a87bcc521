"""Squats that two cameras film: how they are rendered, and grids of them.

A grid of pairs is one of the virtual lab (GRID.yaml) whose cases have a `second`: a camera as in a
case of a grid, its frames per second (`rate`), and when it was started, seconds after the first
(`start`).
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
import yaml

import mobility as mb
from mobility.capture.models import model_sha256
from mobility.capture.video import write_video
from mobility.kinematics.fit.entry import VISIBILITY_THRESHOLD
from mobility.virtual_lab.case import Case, film_case, perform_case, render_case, write_dataset
from mobility.virtual_lab.grid import Grid, grid_cases
from mobility.virtual_lab.squat import duration_s
from mobility.virtual_lab.sweep import RENDERING, read_pose


class Second(NamedTuple):
    """The second camera, its frames per second, and when it was started (s after the first)."""

    camera: dict[str, Any]
    rate: float
    start: float


class Pair(NamedTuple):
    """A case, with what films it besides its own camera."""

    case: Case
    second: Second


def render_second(case: Case, second: Second, video: Path) -> None:
    """Film the motion of a case once more."""
    since = np.arange(round(duration_s(case.squat) * second.rate)) / second.rate
    body, trial = perform_case(case, np.maximum(since + second.start, 0.0))
    seen = case.model_copy(update={"camera": type(case.camera)(**second.camera)})
    pictures = film_case(seen, body, trial)
    timed = ((t, image) for t, (_, image) in zip(since, pictures, strict=True))
    write_video(video, timed, crf=case.video.crf, preset="medium")


def cleaned(pose: xr.Dataset) -> xr.Dataset:
    """Ready for the fit."""
    return mb.clean_pose(pose, visibility_threshold=VISIBILITY_THRESHOLD)


def read_pairs(path: Path) -> list[Pair]:
    """Read a grid of pairs."""
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    seconds = [case.pop("second") for case in values["cases"]]
    others = [
        {**case, "camera": second["camera"]}
        for case, second in zip(values["cases"], seconds, strict=True)
    ]
    firsts, shots = (
        grid_cases(Grid(**{**values, "name": path.stem, "cases": cases}))
        for cases in (values["cases"], others)
    )
    return [
        Pair(first, Second(shot.camera.model_dump(), float(second["rate"]), float(second["start"])))
        for first, shot, second in zip(firsts, shots, seconds, strict=True)
    ]


def pair_folder(cache: Path, pair: Pair) -> Path:
    """Folder of a pair in a cache, by its content."""
    shown = pair.case.model_dump(mode="json", exclude={"name"}, exclude_defaults=True)
    text = json.dumps(
        {"rendering": RENDERING, **shown, "second": pair.second._asdict()}, sort_keys=True
    )
    return cache / f"{pair.case.name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def poses_of(pair: Pair, cache: Path) -> tuple[xr.Dataset, xr.Dataset]:
    """Landmarks of both videos, rendered and estimated once; the truth is left beside them."""
    folder = pair_folder(cache, pair)
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / "pose.nc", folder / "second.nc"
    model = model_sha256()
    for i, file in enumerate(kept):
        if file.is_file() and read_pose(file).attrs.get("model_sha256") == model:
            continue
        video = folder / f"{file.stem}.mp4"
        if i:
            render_second(pair.case, pair.second, video)
        else:
            render_case(pair.case, video)
            video.with_suffix(".truth.nc").replace(folder / "truth.nc")
        write_dataset(mb.estimate_pose(video, workers=1), file)
        video.unlink()
    return read_pose(kept[0]), read_pose(kept[1])
