"""Copies of the demo in a store, which count as analysed by the present code; its first frames."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from mobility.capture.video import read_frames, write_video
from mobility.pipeline.analysis import _plan
from mobility.sessions.files import write_json
from mobility.sessions.record import SessionRecord
from mobility.store import Session


def taken_as_current(session: Session) -> Session:
    """Note that the present code made what the session holds; else it would be analysed again."""
    record = with_current_keys(session, session.record)
    write_json(session.folder / "session.json", record.model_dump(mode="json"))
    return session


def with_current_keys(session: Session, record: SessionRecord) -> SessionRecord:
    """Give each stage the key that it has now."""
    keys = _plan(session, record, session.edits(), {}).keys
    stages = {
        name: stage.model_copy(update={"key": keys[name]}) for name, stage in record.stages.items()
    }
    return record.model_copy(update={"stages": stages})


def beginning(demo: Path, folder: Path, *, frames: int) -> Path:
    """The first frames of the video of a demo, as a video in `folder`."""
    shown = islice(read_frames(demo / "video.mp4"), frames)
    write_video(folder / "short.mp4", ((frame.time, frame.image) for frame in shown))
    return folder / "short.mp4"
