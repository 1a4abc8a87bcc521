"""Stores of several analysed sessions with known values, made from the demo session."""

from __future__ import annotations

import functools
import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from mobility.pipeline.metrics_table import write_metrics_table
from mobility.sessions.files import read_dataset, write_dataset
from mobility.store import Store

_KEPT = ("session.json", "repetitions.nc", "capture_quality.json")


@functools.cache
def _metrics(demo: Path) -> xr.Dataset:
    return read_dataset(demo / "metrics.nc")


@functools.cache
def _results(demo: Path, changed: str) -> dict[str, bytes]:
    """Content of the files of metrics: the demo's, of which values and attributes are others."""
    values, sd, versions, origin = json.loads(changed)
    metrics = _metrics(demo).copy()
    for metric, value in values.items():
        metrics[metric] = metrics[metric].copy(data=value)
        if sd is not None:
            metrics[f"{metric}_sd"] = metrics[f"{metric}_sd"] * 0 + sd
    for metric, version in versions.items():
        metrics[metric].attrs["version"] = version
    metrics.attrs |= origin
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / name for name in ("metrics.nc", "metrics.parquet")]
        write_dataset(files[0], metrics)
        write_metrics_table(files[1], metrics)
        return {file.name: file.read_bytes() for file in files}


def add_session(
    store: Store,
    demo: Path,
    name: str,
    *,
    user_id: str,
    date: str,
    time: str = "10:00:00",
    values: Mapping[str, Any] | None = None,
    sd: float | None = None,
    warnings: Sequence[str] = (),
    versions: Mapping[str, str] | None = None,
    model: str = "",
    video: str = "",
) -> None:
    """Put a session into `store`: the demo's, with other numbers of some metrics.

    `warnings` are the codes of its warnings, beside those of the demo; `versions` are of metrics;
    `model` is another one, of which the keypoints are. Its video is its own, or that of another
    session named as `video`.
    """
    folder = store.path / name
    folder.mkdir(parents=True)
    for file in _KEPT:
        shutil.copy2(demo / file, folder / file)
    origin = {"pose_source": "other", "source_software": model} if model else {}
    # As text, by which what was written before is found again.
    listed = {metric: np.asarray(value).tolist() for metric, value in (values or {}).items()}
    changed = json.dumps([listed, sd, dict(versions or {}), origin])
    for file, content in _results(demo, changed).items():
        (folder / file).write_bytes(content)
    record = json.loads((folder / "session.json").read_text())
    created_at = f"{date}T{time}+02:00"
    record |= {"session_id": name, "user_id": user_id, "created_at": created_at}
    record["video"]["sha256"] = hashlib.sha256((video or name).encode()).hexdigest()
    record["provenance"] |= origin
    noted = {"message": "Something was seen.", "values": {"exercise": "squat", "joints": "hips"}}
    record["warnings"] += [{"code": code, **noted} for code in warnings]
    for stage, file in (("metrics", "metrics.nc"), ("table", "metrics.parquet")):
        digest = hashlib.sha256((folder / file).read_bytes()).hexdigest()
        record["stages"][stage]["sha256"] = digest
    (folder / "session.json").write_text(json.dumps(record))


def add_study(store: Store, demo: Path, people: int) -> Path:
    """Put people into `store` who were filmed twice, every second one a patient; the study's list.

    The knees of patients bend by 25 degrees less. One visit failed, one left knee is refused.
    """
    rng = np.random.default_rng(1)
    rows = ["session,participant,visit,group"]
    for person in range(people):
        patient = bool(person % 2)
        usual = 100 + rng.normal(0, 8) - 25 * patient
        for visit in (1, 2):
            name, user, date = f"s{person}v{visit}", f"p{person}", f"2026-0{visit}-01"
            rows.append(f"{name},{user},{visit},{'patients' if patient else 'controls'}")
            if (person, visit) == (3, 2):
                add_failed(store, demo, name, user_id=user, date=date)
                continue
            knee = usual + rng.normal(0, 2, 2)
            if (person, visit) == (5, 1):
                knee[0] = np.nan
            values = {"knee_flexion": knee}
            add_session(store, demo, name, user_id=user, date=date, values=values, sd=5.0)
    path = store.path.parent / "study.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


def add_failed(store: Store, demo: Path, name: str, *, user_id: str, date: str) -> None:
    """Put a session into `store` of which the analysis failed."""
    folder = store.path / name
    folder.mkdir(parents=True)
    record = json.loads((demo / "session.json").read_text())
    record |= {"session_id": name, "user_id": user_id, "created_at": f"{date}T10:00:00+02:00"}
    record |= {"stages": {}, "state": "failed", "reason": "nobody was found in it", "warnings": []}
    (folder / "session.json").write_text(json.dumps(record))
