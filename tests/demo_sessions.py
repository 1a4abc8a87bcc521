"""Copies of the demo in a store, which count as analysed by the present code."""

from __future__ import annotations

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
