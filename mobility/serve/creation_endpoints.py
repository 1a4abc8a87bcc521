"""Creation, listing and state of sessions."""

from __future__ import annotations

import asyncio
import logging
from contextlib import nullcontext
from typing import Any

from tornado.ioloop import PeriodicCallback

from mobility import Session
from mobility.documents import fill as documents
from mobility.errors import (
    ConflictError,
    MobilityError,
    NotFoundError,
    TooLargeError,
    TooManyRequestsError,
    TooSlowError,
)
from mobility.serve.access import Owner, owner_of, permit
from mobility.serve.handler import Handler, Served
from mobility.serve.http_documents import SessionState
from mobility.serve.jobs import Place
from mobility.serve.privacy import sessions_of
from mobility.serve.uploads import OVERHEAD_BYTES, Upload, too_large
from mobility.sessions.folder import session_ids


def state_of(served: Served, session: Session, place: Place | None) -> dict[str, Any]:
    """Return the state of a session, from its record and its place in the queue."""
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
        """Respond with the state."""
        session = await self.opened(session_id, "read")
        self.finish_json(await self._state(session))

    async def post(self, session_id: str) -> None:
        """Queue the analysis of a session that failed, was corrected, or has not been analysed."""
        session = await self.opened(session_id, "annotate")
        record = self.served.answers.record(session)
        if record.state == "analyzed":
            raise ConflictError(f"session {session.id}: is already analysed; read its results")
        self.served.queue.add(session.id, record.user_id, shared=self.is_limited())
        self.finish_json(await self._state(session))

    async def _state(self, session: Session) -> dict[str, Any]:
        place = self.served.queue.position(session.id)
        return await asyncio.to_thread(state_of, self.served, session, place)


class RecordingCheck(Handler):
    """Serves a first look at the recording of a session that is waiting for its analysis."""

    what = "check of the video"

    async def get(self, session_id: str) -> None:
        """Respond, after some seconds, with the verdict on the recording, or why to film again."""
        session = await self.opened(session_id, "read")
        self.finish_json(await self.served.queue.check(session.id))


log = logging.getLogger(__name__)


class Creation(Handler):
    """Accepts a video as a new session."""

    what = "creation"
    both_errors = True
    for_others = False
    """Whether this is the path for the sessions of other users."""

    def initialize(self, *args: Any, **shared: Any) -> None:
        """Store what the handlers share."""
        super().initialize(*args, **shared)
        self._upload: Upload | None = None
        self._counted = False
        self._received_before = 0
        self._watch = PeriodicCallback(
            self._end_stalled, self.served.settings.upload_stall_seconds * 1000
        )

    def most_bytes(self) -> int:
        """Return the size of the largest accepted body."""
        return int(self.served.settings.most_bytes) + OVERHEAD_BYTES

    def too_large(self) -> TooLargeError:
        """Return the error for a body that is larger."""
        return too_large(self.served.settings.most_bytes)

    def begin_body(self, connection: Any) -> None:
        """Prepare for a video, or reject it before it is sent."""
        if self.request.method != "POST":
            return
        settings = self.served.settings
        if self.for_others:
            permit(self.caller, "create for others", Owner(""))
        self.served.queue.check_room(self.caller.user_id if self.is_limited() else None)
        uploads, name = self.served.uploads, self.caller.name
        share = settings.uploads_per_key if self.is_limited() else 0
        if uploads.total() >= settings.uploads_at_once or (share and uploads[name] >= share):
            raise TooManyRequestsError(
                "too many uploads at once; send the video again later", retry_after_s=5
            )
        self._upload = Upload(
            self.request.headers.get("Content-Type", ""),
            folder=self.served.queue.uploads,
            most_bytes=settings.most_bytes,
            before_file=self.served.queue.require_hold,
        )
        uploads[name] += 1
        self._counted = True
        self.release_slot()  # it now counts as an upload
        connection.set_body_timeout(None)
        self._watch.start()

    def take(self, chunk: bytes) -> None:
        """Write the next bytes of the body to the disk."""
        if self._upload is not None:
            self._upload.take(chunk)

    def refuse(self, error: MobilityError) -> None:
        """Respond with an error, and delete the whole upload."""
        self._clean_up()
        super().refuse(error)

    async def post(self) -> None:
        """Create the session, and respond at once; its analysis waits in the queue."""
        self._watch.stop()
        assert self._upload is not None
        fields = self._upload.finish(default_id=self.caller.user_id, for_others=self.for_others)
        fields["phone_key"] = self.caller.phone_key
        permit(self.caller, "create", Owner(fields["user_id"], fields["phone_key"]))
        is_counted = self.served.settings.sessions_per_user or self.is_limited()
        turn = self.served.creating_for.setdefault(fields["user_id"], asyncio.Lock())
        async with turn if is_counted else nullcontext():
            await asyncio.to_thread(self._check_number, fields["user_id"])
            assert self._upload.video is not None
            # Check the key again: the video may have taken an hour.
            created = await self.served.queue.create(
                self._upload.video, confirm=self.authenticated, shared=self.is_limited(), **fields
            )
        self.audited = created["session_id"]
        self.finish_json(created)

    def finish(self, chunk: Any = None) -> Any:
        """Respond after the remains of the upload have been removed."""
        self._clean_up()
        return super().finish(chunk)

    def on_connection_close(self) -> None:
        """Remove the remains of an interrupted upload."""
        super().on_connection_close()
        # A complete body is used, even if its client is gone.
        if self._watch.is_running():
            self._clean_up()

    def _end_stalled(self) -> None:
        """End an upload that hardly progresses."""
        settings = self.served.settings
        if self.received - self._received_before < settings.upload_least_bytes:
            error = TooSlowError(
                f"the upload is too slow: less than {settings.upload_least_bytes} bytes in "
                f"{settings.upload_stall_seconds:g} s; send the video again"
            )
            self.refuse(error)
        self._received_before = self.received

    def _check_number(self, user_id: str) -> None:
        most = self.served.settings.sessions_per_user
        if not most:
            return
        if len(sessions_of(self.served.store, user_id)) >= most:
            raise NotFoundError(
                f"this user has too many sessions; at most {most} are allowed, so delete one first"
            )

    def _clean_up(self) -> None:
        self._watch.stop()
        if self._upload is not None:
            self._upload.close()
        if self._counted:
            self._counted = False
            self.served.uploads[self.caller.name] -= 1


class CreationForOthers(Creation):
    """Accepts a video for another user; only administrators may do this."""

    for_others = True


class Sessions(Creation):
    """Lists the sessions that the caller may see; accepts a video as a new session."""

    what = "sessions"

    async def get(self) -> None:
        """Respond with the sessions, the oldest first."""
        self.audited = "list of sessions"
        self.finish_json(await asyncio.to_thread(self._listed))

    def _listed(self) -> list[dict[str, Any]]:
        answers = self.served.answers
        # Looked up once: looking at the queue for each session would take quadratic time.
        places = self.served.queue.positions()
        entries = []
        for session_id in session_ids(self.served.store.path):
            # Records are cached, not read again for each caller.
            try:
                session = answers.session(session_id)
                record = answers.record(session)
                if self.caller.may("read", owner_of(record)):
                    state = state_of(self.served, session, places.get(session_id))
                    entries.append((record.created_at, session_id, state))
            except MobilityError as error:
                log.warning("left out: %s", error)
        return [state for *_, state in sorted(entries, key=lambda entry: entry[:2])]
