"""Sweep over cases of the virtual lab: render, estimate the pose, fit, store all angles."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import queue
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import xarray as xr
import yaml

from mobility import tables
from mobility.base.options import FilePath, Workers, checked
from mobility.base.processes import Process
from mobility.base.progress import progress_bar
from mobility.base.provenance import package_versions, with_history
from mobility.base.uncertain import sd_name
from mobility.base.writing import writing
from mobility.capture.models import model_sha256
from mobility.capture.pose import estimate_pose
from mobility.errors import BadInputError, EndedError, MobilityError, NotFoundError
from mobility.kinematics.angles import image_plane_angles, joint_angles
from mobility.kinematics.clean import clean_pose
from mobility.kinematics.fit.entry import VISIBILITY_THRESHOLD, fit_body
from mobility.kinematics.skeleton import SIDES, angles_from_points, landmarks
from mobility.virtual_lab.case import (
    Case,
    read_case,
    read_truth,
    render_case,
    truth_pose,
    write_dataset,
)

log = logging.getLogger(__name__)

ESTIMATORS = ("landmarks", "image_plane", "fitted")
"""Sources of the angles: cleaned world landmarks, lines in the picture, the fitted body."""

RENDERING = 3
"""Version; increase it if the same case gives different pictures or a different truth from before.
"""


@dataclass(frozen=True)
class Done:
    """Outcome of one case: its folder, the seconds it took, and why it failed, or None."""

    case: Case
    folder: Path
    seconds: float
    error: str | None = None


def case_digest(case: Case) -> str:
    """Return a digest of the content of a case, without its name."""
    content = case.model_dump(mode="json", exclude={"name"}, exclude_defaults=True)
    text = json.dumps({"rendering": RENDERING, **content}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def case_folder(cache: str | os.PathLike[str], case: Case) -> Path:
    """Return the folder of a case in a cache: an existing one with this content, or a new one."""
    digest = case_digest(case)
    old = sorted(Path(cache).glob(f"*-{digest}"))
    return old[0] if old else Path(cache) / f"{_plain(case.name)}-{digest}"


def _plain(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in name)[:60]


@checked
def sweep(
    cases: Sequence[Case],
    cache: FilePath,
    *,
    workers: Workers = 1,
    resume: bool = False,
    keep_video: bool = False,
) -> list[Done]:
    """Measure cases in parallel processes. If one fails, the others continue.

    `cache` contains a folder for each case, with `case.yaml`, `pose.nc`, `truth.nc` and
    `angles.nc`. Existing poses and truths are used again. With `resume` (after an interruption),
    angles are also used again; otherwise all bodies are fitted again. Rendered videos are only kept
    with `keep_video`.
    """
    folders = []
    for case in cases:
        folder = case_folder(cache, case)
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "case.yaml").write_text(
                yaml.safe_dump(case.model_dump(mode="json"), sort_keys=True), encoding="utf-8"
            )
        folders.append(folder)
    unique = list(dict.fromkeys(folders))  # a case with two names is measured once
    idle: queue.SimpleQueue[tuple[Process, IO[str]]] = queue.SimpleQueue()
    bar = progress_bar("measuring the cases", total=len(unique), unit="case")

    def start() -> None:
        stderr = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        process = Process("mobility.virtual_lab.sweep_worker", stderr=ending.enter_context(stderr))
        idle.put((ending.enter_context(process), stderr))

    def measured(folder: Path) -> dict[str, Any]:
        process, stderr = idle.get()
        job = {"folder": str(folder), "keep_video": keep_video, "resume": resume}
        answer: dict[str, Any]
        try:
            answer = {"seconds": process.ask(job)}
        except EndedError as error:
            stderr.seek(0)
            last = ["", *stderr.read().strip().splitlines()][-1]
            answer = {"error": f"the process of this case {error}: {last}"}
        except MobilityError as error:
            answer = {"error": f"{error}"}
        if process.ended:
            start()
        else:
            idle.put((process, stderr))
        log.info("case %s: %s", folder.name, answer)
        bar.update()
        return answer

    # The threads end before the processes.
    with bar, ExitStack() as ending, ThreadPoolExecutor(max_workers=workers) as threads:
        for _ in range(min(workers, len(unique))):
            start()
        try:
            results = list(threads.map(measured, unique))
        except BaseException:
            # Interrupted: start nothing new, and stop rendering.
            threads.shutdown(wait=False, cancel_futures=True)
            ending.close()
            raise
    answers = [results[unique.index(folder)] for folder in folders]
    return [
        Done(case, folder, answer.get("seconds", np.nan), answer.get("error"))
        for case, folder, answer in zip(cases, folders, answers, strict=True)
    ]


def measured_cases(done: Sequence[Done]) -> dict[str, xr.Dataset]:
    """Read the measured angles of the successful cases, by name."""
    good = [case for case in done if case.error is None]
    if not good:
        reason = f": {done[0].error}" if done else ""
        raise BadInputError(f"the sweep: no case could be measured{reason}")
    return {case.case.name: read_pose(case.folder / "angles.nc") for case in good}


def measure_case(folder: Path, *, keep_video: bool, resume: bool) -> None:
    """Render a case of the cache, estimate its pose, fit it, and store its angles with the truth.

    If another sweep is working on the same case, this one waits and uses the other's results.
    """
    from filelock import FileLock

    angles, pose, truth = (folder / f"{name}.nc" for name in ("angles", "pose", "truth"))
    with FileLock(folder / ".case.lock"):
        case = read_case(folder / "case.yaml")
        measured = pose.is_file() and truth.is_file()
        measured = measured and read_pose(pose).attrs.get("model_sha256") == model_sha256()
        if not measured or (keep_video and not (folder / "video.mp4").is_file()):
            angles.unlink(missing_ok=True)
            video, _ = render_case(case, folder)
            write_dataset(estimate_pose(video, workers=1), pose)
            if not keep_video:
                video.unlink()
        elif resume and angles.is_file():
            return
        write_dataset(measured_angles(read_pose(pose), read_truth(truth)), angles)


def read_pose(path: str | os.PathLike[str]) -> xr.Dataset:
    """Read a `pose.nc` or `angles.nc` of the cache into memory."""
    if not Path(path).is_file():
        raise NotFoundError(f"{path}: there is no such file; run the sweep first")
    return xr.load_dataset(path, decode_times=False)


def measured_angles(pose: xr.Dataset, truth: xr.Dataset) -> xr.Dataset:
    """Return the angles from every estimator at the frames of a raw pose, and the true angles.

    Video and truth have the same clock. The Dataset contains, in degrees, `<angle>(estimator, time,
    side)` of :data:`ESTIMATORS`, including values that are not reported, `<angle>_sd` (NaN except
    for the fitted body), `<angle>_true`, and `<angle>_refused`.
    """
    times = pose["time"].to_numpy()
    if times.min() > float(truth["time"].max()) or times.max() < float(truth["time"].min()):
        raise BadInputError("measured_angles: pose and truth have no time in common")
    cleaned = clean_pose(pose)
    fitted = fit_body(clean_pose(pose, visibility_threshold=VISIBILITY_THRESHOLD))
    # All values; `<angle>_refused` marks those that the analysis withholds.
    raw: dict[str, Mapping[Any, Any]] = {
        "landmarks": angles_from_points(landmarks(cleaned)),
        "image_plane": {k: v.to_numpy() for k, v in image_plane_angles(cleaned).data_vars.items()},
        "fitted": angles_from_points(landmarks(fitted)),
    }
    reported = {
        name: dict(joint_angles(source).data_vars)
        for name, source in (("landmarks", cleaned), ("fitted", fitted))
    }
    true = joint_angles(truth_pose(truth)).interp(time=times)
    variables: dict[str, Any] = {}
    for name, definition in tables.load("angles").items():
        dims = ("estimator", "time", "side") if definition["sided"] else ("estimator", "time")
        text = {"units": "degree", "long_name": definition["long_name"]}
        absent = np.full(reported["fitted"][name].shape, np.nan)
        values = np.stack([raw[estimator].get(name, absent) for estimator in ESTIMATORS])
        sd, refused = np.full(values.shape, np.nan), np.zeros(values.shape, dtype=bool)
        for e, estimator in enumerate(ESTIMATORS):
            if estimator in reported:
                angle = reported[estimator][name].to_numpy()
                refused[e] = np.isfinite(values[e]) & ~np.isfinite(angle)
        sd[ESTIMATORS.index("fitted")] = reported["fitted"][sd_name(name)].to_numpy()
        variables[name] = (dims, values.astype(np.float32), text)
        variables[sd_name(name)] = (dims, sd.astype(np.float32), {"units": "degree"})
        variables[f"{name}_refused"] = (dims, refused, {"long_name": f"{name} is not reported"})
        variables[f"{name}_true"] = (
            dims[1:], true[name].to_numpy().astype(np.float32), {**text, "method": "truth"},
        )  # fmt: skip
    result = xr.Dataset(
        variables, coords={"estimator": list(ESTIMATORS), "time": pose["time"], "side": list(SIDES)}
    ).assign_attrs(
        ds_type="measured_angles",
        case=truth.attrs["case"],
        model_sha256=pose.attrs["model_sha256"],
        fit_method=str(fitted.attrs["method"]),
        versions=json.dumps(dict(package_versions()), sort_keys=True),
    )
    return with_history(result, "measured_angles", {}, source=fitted)
