"""Files of a session: videos, pictures, reports, whole or in ranges; and its still."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from http import HTTPStatus

from mobility.errors import NotFoundError
from mobility.reports.still import stored_still
from mobility.server.access import Caller
from mobility.server.fences import fence
from mobility.server.handler import Handler, signed_name
from mobility.server.ranges import requested_range

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


class Media(Handler):
    """Serves the files of a session."""

    what = "media"

    async def authenticated(self) -> Caller:
        """Caller by a signed address, else by a key."""
        session_id, name = self.path_args
        signed = self.signed_caller(signed_name(session_id, demo=self.asks_demo()), name)
        return signed or await super().authenticated()

    async def get(self, session_id: str, name: str) -> None:
        """Answer with the file or the requested range of it; to HEAD with the headers."""
        with_body = self.request.method == "GET"
        session = await self.opened(session_id, "read", demo=self.asks_demo())
        file = self.served.answers.media(session).get(name)
        if file is None or not file.is_file():
            raise NotFoundError(f"session {session_id}: has no such file")
        status = file.stat()
        tag = f'"{status.st_ino:x}-{status.st_mtime_ns:x}-{status.st_size:x}"'
        self.set_header("ETag", tag)
        self.set_header("Accept-Ranges", "bytes")
        self.set_header("Content-Type", _KINDS.get(file.suffix, "application/octet-stream"))
        self.set_header("Content-Security-Policy", fence(file.name))
        self.set_header("Content-Disposition", "inline" if file.suffix in _KINDS else "attachment")
        if self.check_etag_header():
            self.set_status(HTTPStatus.NOT_MODIFIED)
            self.finish()
            return
        start, stop = 0, status.st_size
        header = self.request.headers.get("Range", "") if with_body else ""
        requested = requested_range(header, status.st_size)
        if requested and self.request.headers.get("If-Range", tag) == tag:
            start, stop = requested
            if start >= stop:
                self.set_header("Content-Range", f"bytes */{status.st_size}")
                self.set_status(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
                self.finish_json({"error": "there is no such range in this file"})
                return
            self.set_status(HTTPStatus.PARTIAL_CONTENT)
            self.set_header("Content-Range", f"bytes {start}-{stop - 1}/{status.st_size}")
        self.set_header("Content-Length", str(stop - start))
        if with_body:
            await self.send_file(file, start, stop)


class Still(Handler):
    """Serves the still of a session, which a worker makes."""

    what = "still"

    async def get(self, session_id: str) -> None:
        """Answer with the picture."""
        session = await self.opened(session_id, "look")
        picture = await asyncio.to_thread(stored_still, session)
        if not picture:
            made: dict[str, str] = await self.served.queue.still(session.id)
            picture = b64decode(made["jpeg"])
        if not picture:
            raise NotFoundError(f"session {session_id}: its video gives no still")
        self.set_header("Content-Type", "image/jpeg")
        self.finish(picture)
