"""Visits of a participant, and the export and deletion of all their data."""

from __future__ import annotations

import asyncio
import datetime
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from pathlib import Path
from secrets import token_hex
from typing import Any

from mobility.base.options import quoted
from mobility.errors import (
    BadInputError,
    ConflictError,
    NotFoundError,
    StorageError,
    TooManyRequestsError,
)
from mobility.reports.served_files import fence
from mobility.serve.access import Caller, Owner, permit
from mobility.serve.handler import PREFIX, Handler
from mobility.serve.privacy import erase, sessions_of, unassigned, write_takeout
from mobility.sessions.files import check_id, make_folder, read_file, writing
from mobility.studies.report_files import VISIT
from mobility.studies.stored_visits import files_of, page_is_current, stored_document
from mobility.studies.visit import visits


class ParticipantExport(Handler):
    """All data of a participant."""

    what = "export"

    async def get(self, user_id: str) -> None:
        """Respond with a ZIP file."""
        check_id(user_id, what="user_id")
        self.audited = "everything of a participant"
        permit(self.caller, "export", Owner(user_id))
        with self._turn(user_id) as file:
            # Writing occupies one of the few threads for a long time.
            async with self.served.exports:
                await asyncio.to_thread(write_takeout, self.served.store, user_id, file)
            self.set_header("Content-Type", "application/zip")
            self.set_header("Content-Disposition", f'attachment; filename="{user_id}.zip"')
            self.set_header("Content-Length", str(file.stat().st_size))
            await self.send_file(file, 0, file.stat().st_size)

    @contextmanager
    def _turn(self, user_id: str) -> Iterator[Path]:
        """Yield a file to write to; raise if the participant is already being exported."""
        if user_id in self.served.exporting:
            raise TooManyRequestsError(
                "the data of this participant are already being exported; try again later",
                retry_after_s=30,
            )
        # In the store, where the next start removes leftovers of a stopped server.
        folder = self.served.queue.exports / token_hex(16)
        self.served.exporting.add(user_id)
        try:
            with writing(folder):
                make_folder(folder)
            yield folder / "export.zip"
        finally:
            self.served.exporting.discard(user_id)
            shutil.rmtree(folder, ignore_errors=True)


class Participant(Handler):
    """A participant, whose data can be deleted."""

    what = "everything"

    async def delete(self, user_id: str) -> None:
        """Delete all data of a participant: sessions, reports, record, keys."""
        check_id(user_id, what="user_id")
        self.audited = "everything of a participant"
        permit(self.caller, "erase", Owner(user_id))
        # The keys go first, so that nothing new comes in. If that fails, the rest is still
        # deleted.
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
                f"participant {user_id}: everything known to belong to this participant is "
                f"deleted, but {len(left)} sessions with damaged records may also be theirs; "
                "ask an administrator to check them"
            )
        if not (keys or deleted):
            raise NotFoundError(f"participant {user_id}: nothing is stored about this participant")
        self.set_status(HTTPStatus.NO_CONTENT)


_PAGES = {f"{VISIT}.html": "html", f"{VISIT}.client.html": "client"}
_LINK = re.compile(r"href='(?:\.\./)+([\w.-]+)/([\w.-]+\.html)'".replace("'", '"'))
"""Link from a page to the report of a session; the report is next to the page on the disk."""


class VisitHandler(Handler):
    """A part of a visit."""

    async def files(self, user_id: str, date: str) -> dict[str, Path]:
        """Return the files of a visit that the caller may see.

        Make them if missing or out of date.
        """
        check_id(user_id, what="user_id")
        self.audited = "a visit of a participant"
        permit(self.caller, "see visits", Owner(user_id))
        try:
            day = datetime.date.fromisoformat(date)
        except ValueError:
            fault = f"must be a day such as 2026-11-30 (got {quoted(date)})"
            raise BadInputError.of({"date": fault}) from None
        store = self.served.store
        if day not in await asyncio.to_thread(visits, store, user_id):
            raise NotFoundError(f"participant {user_id}: has no session on {day}")
        visit = await asyncio.to_thread(partial(store.visit, user_id, on=day))
        if not await asyncio.to_thread(page_is_current, visit):
            await self.served.queue.render_visit(user_id, f"{day}")
            visit = await asyncio.to_thread(partial(store.visit, user_id, on=day))
        paths = files_of(visit)
        if not all(path.is_file() for path in paths.values()):
            raise NotFoundError(
                f"participant {user_id}: a session of {day} was deleted in the meantime"
            )
        return paths

    def signed(self, path: str, of: str, name: str) -> str:
        """Return an address that works without a key for a limited time."""
        query = self.served.media_keys.query(of, name, self.caller.name)
        base = f"{self.request.protocol}://{self.request.host}{self.base_url.rstrip('/')}"
        return f"{base}{PREFIX}/{path}/{name}{'?' if query else ''}{query}"


class Visit(VisitHandler):
    """The videos, checks, joints and changes of a visit."""

    what = "visit"

    async def get(self, user_id: str, date: str) -> None:
        """Respond with the document."""
        paths = await self.files(user_id, date)
        document: dict[str, Any] = await asyncio.to_thread(stored_document, paths["json"])
        path = f"participants/{user_id}/visits/{date}"
        names = {"page_url": f"{VISIT}.html", "client_page_url": f"{VISIT}.client.html"}
        pages = {
            field: self.signed(path, _signed_name(user_id, date), name)
            for field, name in names.items()
        }
        self.finish_json({**document, **pages})


class Page(VisitHandler):
    """The page of a visit."""

    what = "page of a visit"

    async def authenticated(self) -> Caller:
        """Return the caller, identified by a signed address or by a key."""
        user_id, date, name = self.path_args
        signed = self.signed_caller(_signed_name(user_id, date), name)
        return signed or await super().authenticated()

    async def get(self, user_id: str, date: str, name: str) -> None:
        """Respond with the page; its links lead to the reports on this server."""
        if name not in _PAGES:
            permit(self.caller, "see visits", Owner(user_id))
            raise NotFoundError("a visit has no such page; use its page or the page for the client")
        paths = await self.files(user_id, date)
        content = (await asyncio.to_thread(read_file, paths[_PAGES[name]])).decode()

        def address(match: re.Match[str]) -> str:
            session_id, page = match.groups()
            return f'href="{self.signed(f"sessions/{session_id}/media", session_id, page)}"'

        self.set_header("Content-Type", "text/html; charset=UTF-8")
        self.set_header("Content-Security-Policy", fence(name))
        self.finish(_LINK.sub(address, content))


def _signed_name(user_id: str, date: str) -> str:
    return f"visit:{user_id}:{date}"
