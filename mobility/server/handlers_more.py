"""Beside the documented endpoints: states, media, erasure, everything of a participant."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from secrets import token_hex
from typing import Any

from mobility.documents import fill as documents
from mobility.errors import ConflictError, NotFoundError, StorageError, TooManyRequestsError
from mobility.privacy.retention import erase, nothing_of, sessions_of, unassigned, what_is_of
from mobility.privacy.takeout import write_takeout
from mobility.server.access import SIGNED, Caller, permit
from mobility.server.base import Handler, Served, signed_name
from mobility.server.jobs import Place
from mobility.server.models import SessionState
from mobility.sessions.files import check_id, make_folder, writing
from mobility.store import Session

_KINDS = {
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mov": "video/quicktime",
    ".qt": "video/quicktime",
    ".webm": "video/webm",
    ".mkv": "video/x-matroska",
    ".avi": "video/x-msvideo",
    ".png": "image/png",
    ".html": "text/html; charset=UTF-8",
}
_RANGE_LENGTH = 40
# Whatever a file holds, it is no page of this server: it runs nothing, and asks nothing of it.
_FENCE = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def state_of(served: Served, session: Session, place: Place | None) -> dict[str, Any]:
    """How far a session is: its record, and its place in the queue, where it has one."""
    record = served.answers.record(session)
    state: Any = record.state
    reason = record.reason if state == "failed" else ""
    if place is not None:
        reason = served.queue.held(session.id)
        state = "analyzing" if place[0] == "running" else "held" if reason else "queued"
    return SessionState(
        session_id=session.id,
        # Not its title itself, which reads the record thrice.
        title=documents.title(record, session.store.stored_participant(record.user_id)),
        user_id=record.user_id,
        exercise=record.exercise,
        joints=record.joints,
        created_at=record.created_at,
        state=state,
        waiting_before=place[1] if place else 0,
        stages=list(record.stages),
        reason=served.without_places(reason),
        warnings=[served.without_places(warning.message) for warning in record.warnings],
    ).model_dump(mode="json")


class State(Handler):
    """How far a session is."""

    what = "state"

    async def get(self, session_id: str) -> None:
        """Answer with the state."""
        session = await self.opened(session_id, "read")
        self.finish_json(await self._state(session))

    async def post(self, session_id: str) -> None:
        """Queue the analysis again: of a session that failed, was corrected, or never had one."""
        session = await self.opened(session_id, "annotate")
        record = self.served.answers.record(session)
        if record.state == "analyzed":
            raise ConflictError(f"session {session.id}: is analysed")
        self.served.queue.add(session.id, record.user_id, shared=self.shares())
        self.finish_json(await self._state(session))

    async def _state(self, session: Session) -> dict[str, Any]:
        place = self.served.queue.position(session.id)
        return await asyncio.to_thread(state_of, self.served, session, place)


class Media(Handler):
    """Videos and pictures of a session, in ranges."""

    what = "media"

    async def authenticated(self) -> Caller:
        """Let in who has a key, or an address with a signature."""
        until, who, media_key = (
            self.get_query_argument(name, "") for name in ("until", "signed_for", "media_key")
        )
        if media_key:
            session_id, name = self.path_args
            signed = signed_name(session_id, demo=self.asks_demo())
            if self.served.media_keys.is_valid(
                signed, name, until=until, signed_for=who, media_key=media_key
            ):
                return Caller(who, SIGNED, None)
        return await super().authenticated()

    async def get(self, session_id: str, name: str) -> None:
        """Answer with the file, or the range of it that is asked for."""
        await self._serve(session_id, name, with_body=True)

    async def head(self, session_id: str, name: str) -> None:
        """Answer with the headers of the file."""
        await self._serve(session_id, name, with_body=False)

    async def _serve(self, session_id: str, name: str, *, with_body: bool) -> None:
        session = await self.opened(session_id, "read", demo=self.asks_demo())
        file = self.served.answers.media(session).get(name)
        if file is None or not file.is_file():
            raise NotFoundError(f"session {session_id}: has no such file")
        status = file.stat()
        tag = f'"{status.st_ino:x}-{status.st_mtime_ns:x}-{status.st_size:x}"'
        self.set_header("ETag", tag)
        self.set_header("Accept-Ranges", "bytes")
        self.set_header("Content-Type", _KINDS.get(file.suffix, "application/octet-stream"))
        self.set_header("Content-Security-Policy", _FENCE)
        self.set_header("Content-Disposition", "inline" if file.suffix in _KINDS else "attachment")
        start, stop = 0, status.st_size
        asked = self.request.headers.get("Range", "") if with_body else ""
        if self.request.headers.get("If-Range", tag) == tag and (ranges := _ranges(asked)):
            size = status.st_size
            found = (each for first, last in ranges if (each := _within(size, first, last)))
            start, stop = next(found, (0, 0))
            if start == stop:
                self.set_header("Content-Range", f"bytes */{size}")
                self.set_status(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
                self.finish_json({"error": "there is no such range in this file"})
                return
            self.set_status(HTTPStatus.PARTIAL_CONTENT)
            self.set_header("Content-Range", f"bytes {start}-{stop - 1}/{status.st_size}")
        self.set_header("Content-Length", str(stop - start))
        if with_body:
            await self.send_file(file, start, stop)


def _ranges(asked: str) -> list[tuple[str, str]]:
    """First and last byte of each range of a header; none where it is malformed: all is sent."""
    unit, _, given = asked.partition("=")
    found = [re.fullmatch(r"\s*([0-9]*)-([0-9]*)\s*", each) for each in given.split(",")]
    ranges = [(each[1], each[2]) for each in found if each and len(each[0]) < _RANGE_LENGTH]
    is_good = (
        unit.strip().lower() == "bytes"
        and len(ranges) == len(found)
        and all(
            (first or last) and not (first and last and int(first) > int(last))
            for first, last in ranges
        )
    )
    return ranges if is_good else []


def _within(size: int, first: str, last: str) -> tuple[int, int] | None:
    """Start and stop of a range in a file; None where it has none of it."""
    start = int(first) if first else max(0, size - int(last))
    stop = min(size, int(last) + 1) if first and last else size
    return (start, stop) if start < stop else None


class ParticipantExport(Handler):
    """Everything that is stored of a participant."""

    what = "export"

    async def get(self, user_id: str) -> None:
        """Answer with a ZIP file."""
        check_id(user_id, what="user_id")
        self.audited = "everything of a participant"
        permit(self.caller, "export", user_id)
        with self._taking_turns(user_id), self._temporary_file() as file:
            # It keeps a thread for long, of which there are few for all requests.
            async with self.served.exports:
                await asyncio.to_thread(self._write, user_id, file)
            self.set_header("Content-Type", "application/zip")
            self.set_header("Content-Disposition", f'attachment; filename="{user_id}.zip"')
            self.set_header("Content-Length", str(file.stat().st_size))
            await self.send_file(file, 0, file.stat().st_size)

    def _write(self, user_id: str, file: Path) -> None:
        store = self.served.store
        if not what_is_of(store, user_id):
            raise nothing_of(store, user_id)
        write_takeout(store, user_id, file)

    @contextmanager
    def _taking_turns(self, user_id: str) -> Iterator[None]:
        """Refuse a second copy of all their videos while there is one."""
        if user_id in self.served.exporting:
            raise TooManyRequestsError(
                "everything of this participant is being handed over already; ask again later",
                retry_after_s=30,
            )
        self.served.exporting.add(user_id)
        try:
            yield
        finally:
            self.served.exporting.discard(user_id)

    @contextmanager
    def _temporary_file(self) -> Iterator[Path]:
        # In the store, where the next start removes what a killed server left.
        folder = self.served.queue.exports / token_hex(16)
        with writing(folder):
            make_folder(folder)
        try:
            yield folder / "export.zip"
        finally:
            shutil.rmtree(folder, ignore_errors=True)


class Participant(Handler):
    """A participant, who may be forgotten."""

    what = "everything"

    async def delete(self, user_id: str) -> None:
        """Delete everything of a participant: sessions, reports, record, keys."""
        check_id(user_id, what="user_id")
        self.audited = "everything of a participant"
        permit(self.caller, "erase", user_id)
        # First the keys, so that nothing comes in again; where that fails the rest goes still.
        keys, fault = list[str](), None
        try:
            keys = await asyncio.to_thread(self.served.keys.revoke_of, user_id)
        except StorageError as error:
            fault = error
        await self.served.queue.forget_all(user_id)
        for session_id in await asyncio.to_thread(sessions_of, self.served.store, user_id):
            await self.served.queue.forget(session_id)
        deleted = await asyncio.to_thread(erase, self.served.store, user_id)
        for name in deleted:
            await self.served.deleted(name)
        if fault is not None:
            raise fault
        if left := await asyncio.to_thread(unassigned, self.served.store):
            raise ConflictError(
                f"participant {user_id}: what is known to be of them is deleted; of "
                f"{len(left)} sessions nobody can tell whose they are, for their records are "
                "damaged: an administrator must look at them"
            )
        if not (keys or deleted):
            raise NotFoundError(f"participant {user_id}: nothing is stored of them")
        self.set_status(HTTPStatus.NO_CONTENT)


class Description(Handler):
    """The OpenAPI document."""

    async def authenticated(self) -> Caller:
        """Let everybody in: it says nothing of anybody."""
        return Caller(f"reader {self.request.remote_ip}", "participant", None)

    async def get(self) -> None:
        """Answer with the document."""
        from mobility.server.openapi import description

        self.finish_json(description(f"{self.base_url.rstrip('/')}/"))
