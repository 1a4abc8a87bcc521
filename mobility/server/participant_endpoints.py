"""Visits of a participant, and export and deletion of all their data."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from secrets import token_hex

from mobility.errors import ConflictError, NotFoundError, StorageError, TooManyRequestsError
from mobility.privacy.retention import erase, sessions_of, unassigned
from mobility.privacy.takeout import write_takeout
from mobility.server.access import Owner, permit
from mobility.server.handler import Handler
from mobility.sessions.files import check_id, make_folder, writing


class ParticipantExport(Handler):
    """All data of a participant."""

    what = "export"

    async def get(self, user_id: str) -> None:
        """Answer with a ZIP file."""
        check_id(user_id, what="user_id")
        self.audited = "everything of a participant"
        permit(self.caller, "export", Owner(user_id))
        with self._turn(user_id) as file:
            # Writing occupies one of the few threads for long.
            async with self.served.exports:
                await asyncio.to_thread(write_takeout, self.served.store, user_id, file)
            self.set_header("Content-Type", "application/zip")
            self.set_header("Content-Disposition", f'attachment; filename="{user_id}.zip"')
            self.set_header("Content-Length", str(file.stat().st_size))
            await self.send_file(file, 0, file.stat().st_size)

    @contextmanager
    def _turn(self, user_id: str) -> Iterator[Path]:
        """Give a file to write to; refuse a second export of a participant at the same time."""
        if user_id in self.served.exporting:
            raise TooManyRequestsError(
                "everything of this participant is being exported already; try again later",
                retry_after_s=30,
            )
        # In the store, where the next start removes leftovers of a killed server.
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
        # The keys first, so that nothing new comes in; if that fails, the rest is still deleted.
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
                f"participant {user_id}: everything that is known to belong to them is deleted; "
                f"{len(left)} sessions may be theirs too, but have damaged records: ask an "
                "administrator to look at them"
            )
        if not (keys or deleted):
            raise NotFoundError(f"participant {user_id}: nothing is stored about them")
        self.set_status(HTTPStatus.NO_CONTENT)
