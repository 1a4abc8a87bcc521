"""Records of sessions, and copies of the demo that count as analysed by the present code."""

from __future__ import annotations

import datetime
import shutil
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import xarray as xr

from mobility.assessment.findings import Finding
from mobility.base.provenance import sha256
from mobility.capture.video import read_frames, write_video
from mobility.exercises.repeated.page import squat_moments
from mobility.pipeline.analysis import _plan
from mobility.reports.moments import Moment
from mobility.sessions.files import read_json, write_dataset, write_json
from mobility.sessions.record import SessionRecord
from mobility.store import Session, Store


def record(**changed: object) -> SessionRecord:
    """The record of a session that nobody has analysed."""
    video = {"file": "video.mp4", "original_name": "a.mp4", "sha256": "0" * 64, "size": 1}
    named = {"session_id": "s1", "user_id": "p01", "exercise": "Overhead Squat"}
    when = datetime.datetime(2026, 6, 1, tzinfo=datetime.UTC)
    given = {**named, "joints": ["ankle", "knee"], "created_at": when, "video": video, **changed}
    return SessionRecord.model_validate({"schema_version": "1", **given})


def copy_of(demo: Path, store: Store, name: str, **changed: object) -> Session:
    """Put a copy of a demo into `store`, with another name and other fields of its record."""
    shutil.copytree(demo, store.path / name)
    session = store.session(name)
    change_record(session, session_id=name, **changed)
    return session


def change_record(session: Session, **fields: object) -> None:
    """Put other fields into the record of a session, whatever they are."""
    file = session.folder / "session.json"
    write_json(file, {**read_json(file), **fields})


def taken_as_current(session: Session) -> Session:
    """Note that the present code made what the session holds; else it would be analysed again."""
    record = with_current_keys(session, session.record)
    write_json(session.folder / "session.json", record.model_dump(mode="json"))
    return session


def with_current_keys(session: Session, record: SessionRecord) -> SessionRecord:
    """Give each stage of the exercise of `record` the key that it has now; the others go."""
    keys = keys_now(session, record)
    stages = {
        name: stage.model_copy(update={"key": keys[name]})
        for name, stage in record.stages.items()
        if name in keys
    }
    return record.model_copy(update={"stages": stages})


def keys_now(session: Session, record: SessionRecord | None = None) -> dict[str, str]:
    """Key that each stage has now: what was stored under another is made anew."""
    return _plan(session, record or session.record, session.edits(), {}).keys


def beginning(demo: Path, folder: Path, *, frames: int) -> Path:
    """The first frames of the video of a demo, as a video in `folder`."""
    shown = islice(read_frames(demo / "video.mp4"), frames)
    write_video(folder / "short.mp4", ((frame.time, frame.image) for frame in shown))
    return folder / "short.mp4"


def put_result(session: Session, stage: str, result: xr.Dataset, **changed: object) -> None:
    """Put another result of a stage into a session, and other fields into its record."""
    file, record = session.folder / f"{stage}.nc", session.folder / "session.json"
    write_dataset(file, result)
    fields = {**read_json(record), **changed}
    fields["stages"][stage]["sha256"] = sha256(file)
    write_json(record, fields)


def moments_of(demo: Session, main: Sequence[Finding] = (), **changed: object) -> list[Moment]:
    """The moments of a squat of the demo, some of whose results are others."""
    given = {name: getattr(demo, name)() for name in ("pose", "angles", "repetitions", "metrics")}
    return squat_moments(*(given | changed).values(), main)
