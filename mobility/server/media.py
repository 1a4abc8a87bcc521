"""Files of a session: videos, pictures, reports, in ranges."""

from __future__ import annotations

from http import HTTPStatus

from mobility.errors import NotFoundError
from mobility.server.access import SIGNED, Caller
from mobility.server.base import Handler, signed_name
from mobility.server.fences import fence
from mobility.server.ranges import asked_range

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
    """Videos and pictures of a session, in ranges."""

    what = "media"

    async def authenticated(self) -> Caller:
        """Let in who has a key, or an address with a signature."""
        if media_key := self.get_query_argument("media_key", ""):
            session_id, name = self.path_args
            signed = signed_name(session_id, demo=self.asks_demo())
            who = self.served.media_keys.signed_for(signed, name, media_key)
            if who is not None:
                return Caller(who, SIGNED, None)
        return await super().authenticated()

    async def get(self, session_id: str, name: str) -> None:
        """Answer with the file, or the range of it that is asked for; to HEAD with its headers."""
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
        asked = self.request.headers.get("Range", "") if with_body else ""
        found = asked_range(asked, status.st_size)
        if found and self.request.headers.get("If-Range", tag) == tag:
            start, stop = found
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
