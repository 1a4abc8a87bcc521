"""State of a session: its record, and its place in the queue."""

from __future__ import annotations

import asyncio
from typing import Any

from mobility.documents import fill as documents
from mobility.errors import ConflictError
from mobility.server.handler import Handler, Served
from mobility.server.http_documents import SessionState
from mobility.server.jobs import Place
from mobility.store import Session


def state_of(served: Served, session: Session, place: Place | None) -> dict[str, Any]:
    """State of a session, from its record and its place in the queue, if it is queued."""
    record = served.answers.record(session)
    state: Any = record.state
    reason = record.reason if state == "failed" else ""
    if place is not None:
        reason = served.queue.pause_reason(session.id)
        state = "analyzing" if place[0] == "running" else "held" if reason else "queued"
    # Not `session.title`, which reads the record three times.
    participant = session.store.stored_participant(record.user_id)
    return SessionState(
        session_id=session.id,
        title=documents.title(record, participant),
        name=record.name,
        user_id=record.user_id,
        display_name=documents.user_name(record, participant),
        visit=record.visit_day,
        exercise=record.exercise,
        joints=record.joints,
        created_at=record.created_at,
        state=state,
        waiting_before=place[1] if place else 0,
        stages=list(record.stages),
        reason=served.without_places(reason),
        verdict=record.verdict if state == "analyzed" else "",
        warnings=[served.without_places(warning.message) for warning in record.warnings],
    ).model_dump(mode="json")


class State(Handler):
    """Serves the state of a session, and queues its analysis."""

    what = "state"

    async def get(self, session_id: str) -> None:
        """Answer with the state."""
        session = await self.opened(session_id, "read")
        self.finish_json(await self._state(session))

    async def post(self, session_id: str) -> None:
        """Queue the analysis of a session that failed, was corrected, or is not analysed."""
        session = await self.opened(session_id, "annotate")
        record = self.served.answers.record(session)
        if record.state == "analyzed":
            raise ConflictError(f"session {session.id}: is analysed already")
        self.served.queue.add(session.id, record.user_id, shared=self.is_limited())
        self.finish_json(await self._state(session))

    async def _state(self, session: Session) -> dict[str, Any]:
        place = self.served.queue.position(session.id)
        return await asyncio.to_thread(state_of, self.served, session, place)


class RecordingCheck(Handler):
    """Serves a first look at the film of a session that waits for its analysis."""

    what = "check of the film"

    async def get(self, session_id: str) -> None:
        """Answer with whether the film is good, or why to film again, after some seconds."""
        session = await self.opened(session_id, "read")
        self.finish_json(await self.served.queue.check(session.id))
