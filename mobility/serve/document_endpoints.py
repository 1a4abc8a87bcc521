"""Documents and files of one session: JSON, videos, pictures and reports, whole or in ranges."""

from __future__ import annotations

import asyncio
import re
from base64 import b64decode
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import ClassVar

from mobility import Session
from mobility.catalogue import registry
from mobility.documents.display_settings import refuse_null
from mobility.errors import BadInputError, ConflictError, NotFoundError
from mobility.reports.served_files import fence, requested_range
from mobility.reports.still import stored_still
from mobility.serve.access import Caller
from mobility.serve.handler import Handler, signed_name
from mobility.serve.http_documents import ETAG
from mobility.serve.uploads import refuse_unknown
from mobility.sessions.files import check_id


class SessionHandler(Handler):
    """A document of one session, or of the demo."""

    document: ClassVar[str] = "report"
    """The document that a session must have. The demo shows the first exercise that has it."""

    async def served_session(self, session_id: str) -> Session:
        """Open the requested session for reading."""
        if self.asks_demo():
            check_id(session_id, what="session_id")
            return await asyncio.to_thread(self.served.store.demo, self.demo_of())
        return await self.opened(session_id, "read")

    def demo_of(self) -> str:
        """Return the exercise of the demo that is used instead of a session."""
        return registry.that_have(self.document)[0].name

    async def with_report(self, session: Session) -> Session:
        """Let a worker render the report if it is missing or out of date."""
        self.require("report", session, "such a report")
        self.require_not_waiting(session)
        if not await asyncio.to_thread(session.report_is_current):
            demo = self.demo_of() if session.store.read_only else None
            await self.served.queue.render(session.id, demo=demo)
        return session

    def require(self, document: str, session: Session, what: str = "") -> None:
        """Respond with Not Found if the exercise of a session has no such document."""
        try:
            self.served.answers.record(session).require(document, what)
        except BadInputError as error:
            raise NotFoundError(str(error)) from None

    async def up_to_date(self, session: Session) -> Session:
        """Let a worker analyse a session again if it was analysed with another version."""
        self.require_not_waiting(session)
        if not await asyncio.to_thread(session.is_current):
            await self.served.queue.render(session.id)
        return session

    def require_not_waiting(self, session: Session) -> None:
        """Raise an error if a session is still waiting for its results."""
        if not session.store.read_only and self.served.queue.position(session.id):
            raise NotFoundError(
                f"session {session.id}: is not analysed yet; check its state, and try again later"
            )


class Details(SessionHandler):
    """Details of a session."""

    what = "details"

    async def get(self, session_id: str) -> None:
        """Respond with the session document."""
        session = await self.served_session(session_id)
        if not self.served.queue.position(session.id):
            await self.up_to_date(session)
        await self.answer(session, "details", Session.details)

    async def delete(self, session_id: str) -> None:
        """Delete the session, and everything that was made from it."""
        # Before an answer can say that there is no such session.
        await asyncio.to_thread(self.served.store.sweep)
        session = await self.opened(session_id, "delete")
        await self.served.queue.forget(session.id)
        await asyncio.to_thread(self.served.store.delete, session.id)
        await self.served.deleted(session.id)
        self.set_status(HTTPStatus.NO_CONTENT)


class Export(SessionHandler):
    """Landmarks and angles of a session."""

    what = "export"

    async def get(self, session_id: str) -> None:
        """Respond with the export document."""
        session = await self.up_to_date(await self.served_session(session_id))
        await self.answer(session, "export", Session.export)


class Checks(SessionHandler):
    """Results of the rules of an exercise."""

    what = "checks"

    async def get(self, session_id: str) -> None:
        """Respond with the rows; an exercise without rules has none."""
        session = await self.up_to_date(await self.served_session(session_id))
        await self.answer(session, "checks", Session.checks)


class Report(SessionHandler):
    """Report of an exercise with repetitions."""

    what = "report"

    async def post(self, session_id: str) -> None:
        """Respond with the report; render it if it is missing or out of date."""
        session = await self.with_report(await self.served_session(session_id))
        await self.answer(session, "report", Session.report)


class Threads(SessionHandler):
    """Base of the handlers that create threads."""

    async def make_threads(self, session_id: str, make: Callable[..., dict[str, str]]) -> None:
        """Create threads in the requested measurement system, and respond with their IDs."""
        session = await self.opened(session_id, "annotate")
        self.require("threads", session)
        await self.up_to_date(session)
        fields = self.form()
        refuse_unknown(fields, frozenset({"system"}), "the body")
        systems = [*self.get_query_arguments("system"), *fields.get("system", [])] or ["metric"]
        if len(set(systems)) > 1:
            raise BadInputError.of(
                {"system": "is given more than once; give it once"}, what="the threads"
            )
        self.finish_json(await asyncio.to_thread(partial(make, session, system=systems[0])))


class Recommendation(Threads):
    """Recommendation threads."""

    what = "recommendation threads"

    async def post(self, session_id: str) -> None:
        """Create the threads."""
        await self.make_threads(session_id, Session.create_recommendation_threads)


class Summary(Threads):
    """Summary, and its threads."""

    what = "summary"

    async def get(self, session_id: str) -> None:
        """Respond with the summary document."""
        session = await self.with_report(await self.served_session(session_id))
        await self.answer(session, "summary", Session.summary)

    async def post(self, session_id: str) -> None:
        """Create the threads."""
        await self.make_threads(session_id, Session.create_summary_threads)


class JointMobility(SessionHandler):
    """Report of single-joint range of motion."""

    what = "joint mobility"
    document = "joint-mobility"

    async def post(self, session_id: str) -> None:
        """Respond with the document."""
        session = await self.up_to_date(await self.served_session(session_id))
        await self.answer(session, "joint-mobility", Session.joint_mobility)


class Config(SessionHandler):
    """Display settings for a session of single-joint range of motion."""

    what = "display settings"

    async def get(self, session_id: str) -> None:
        """Respond with the stored settings."""
        session = await self.opened(session_id, "read")
        self.require("display settings", session)
        stored = await asyncio.to_thread(session.stored_config)
        if stored is not None:
            self.set_header("ETag", f'"{stored.revision}"')
            self.finish_json(stored.settings())
            return
        self.finish_json(await asyncio.to_thread(session.config))

    async def post(self, session_id: str) -> None:
        """Save settings; missing fields do not change.

        With ``If-Match`` (the ``ETag`` that was read; "0" if there were none yet), settings that
        somebody else has saved in the meantime are not overwritten; the response is a conflict.
        """
        session = await self.opened(session_id, "annotate")
        fields = self.json_object()
        refuse_null(fields, what="the display settings")
        if "revision" in fields:
            raise BadInputError.of(
                {"revision": "is not one of the display settings; leave it out"},
                what="the display settings",
            )
        matched = self.request.headers.get("If-Match")
        if matched is not None:
            fields["revision"] = _revision(matched)
        self.require("display settings", session)
        self.finish_json(await asyncio.to_thread(partial(session.save_config, **fields)))


def _revision(tag: str) -> int:
    match = re.fullmatch(ETAG, tag.strip())
    if match is None:
        raise ConflictError(
            "the header If-Match is not an ETag of these display settings; get them again"
        )
    return int(match[1])


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
        """Return the caller, identified by a signed address or by a key."""
        session_id, name = self.path_args
        signed = self.signed_caller(signed_name(session_id, demo=self.asks_demo()), name)
        return signed or await super().authenticated()

    async def get(self, session_id: str, name: str) -> None:
        """Respond with the file or the requested range; to HEAD, with only the headers."""
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
        """Respond with the picture."""
        session = await self.opened(session_id, "look")
        picture = await asyncio.to_thread(stored_still, session)
        if not picture:
            answer: dict[str, str] = await self.served.queue.still(session.id)
            picture = b64decode(answer["jpeg"])
        if not picture:
            raise NotFoundError(
                f"session {session_id}: no still picture can be made from its video"
            )
        self.set_header("Content-Type", "image/jpeg")
        self.finish(picture)
