"""The documented endpoints of one session."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import ClassVar

from mobility.catalogue import registry
from mobility.errors import BadInputError, ConflictError, NotFoundError
from mobility.server.handler import Handler
from mobility.server.http_documents import ETAG
from mobility.server.uploads import refuse_unknown
from mobility.sessions.files import check_id
from mobility.store import Session


class SessionHandler(Handler):
    """A document of one session, or the demo's in its place."""

    document: ClassVar[str] = "report"
    """What a session must have; the demo is of the first exercise that has it."""

    async def served_session(self, session_id: str) -> Session:
        """Open the session that is asked for, to read it."""
        if self.asks_demo():
            check_id(session_id, what="session_id")
            return await asyncio.to_thread(self.served.store.demo, self.demo_of())
        return await self.opened(session_id, "read")

    def demo_of(self) -> str:
        """Name the exercise whose demo stands for a session."""
        return registry.that_have(self.document)[0].name

    async def with_report(self, session: Session) -> Session:
        """Have the report rendered, where it is absent or old."""
        self.require("report", session, "such a report")
        self.require_not_waiting(session)
        if not await asyncio.to_thread(session.report_is_current):
            demo = self.demo_of() if session.store.read_only else None
            await self.served.queue.render(session.id, demo=demo)
        return session

    def require(self, document: str, session: Session, what: str = "") -> None:
        """Answer with Not Found where the exercise of a session has no such document."""
        try:
            self.served.answers.record(session).require(document, what)
        except BadInputError as error:
            raise NotFoundError(str(error)) from None

    async def up_to_date(self, session: Session) -> Session:
        """Have a worker analyse a session again that other code analysed; see its report."""
        self.require_not_waiting(session)
        if not await asyncio.to_thread(session.is_current):
            await self.served.queue.render(session.id)
        return session

    def require_not_waiting(self, session: Session) -> None:
        """Refuse what needs the results of a session that waits for them."""
        if not session.store.read_only and self.served.queue.position(session.id):
            raise NotFoundError(
                f"session {session.id}: is not analysed yet; ask for its state, and again later"
            )


class Details(SessionHandler):
    """Details of a session."""

    what = "details"

    async def get(self, session_id: str) -> None:
        """Answer with the session document."""
        session = await self.served_session(session_id)
        if not self.served.queue.position(session.id):
            await self.up_to_date(session)
        await self.answer(session, "details", Session.details)

    async def delete(self, session_id: str) -> None:
        """Delete the session, and all that was made of it."""
        # Before it may say that there is no such session.
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
        """Answer with the export document."""
        session = await self.up_to_date(await self.served_session(session_id))
        await self.answer(session, "export", Session.export)


class Checks(SessionHandler):
    """Results of the rules of an exercise."""

    what = "checks"

    async def get(self, session_id: str) -> None:
        """Answer with the rows; of an exercise without rules there are none."""
        session = await self.up_to_date(await self.served_session(session_id))
        await self.answer(session, "checks", Session.checks)


class Report(SessionHandler):
    """Report of an exercise with repetitions."""

    what = "report"

    async def post(self, session_id: str) -> None:
        """Answer with the report, rendering it where it is absent or old."""
        session = await self.with_report(await self.served_session(session_id))
        await self.answer(session, "report", Session.report)


class Threads(SessionHandler):
    """Base of the handlers that make threads."""

    async def made(self, session_id: str, make: Callable[..., dict[str, str]]) -> None:
        """Make threads, in the measurement system that is asked for, and answer with their ids."""
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
        """Make the threads."""
        await self.made(session_id, Session.create_recommendation_threads)


class Summary(Threads):
    """Summary, and its threads."""

    what = "summary"

    async def get(self, session_id: str) -> None:
        """Answer with the summary document."""
        session = await self.with_report(await self.served_session(session_id))
        await self.answer(session, "summary", Session.summary)

    async def post(self, session_id: str) -> None:
        """Make the threads."""
        await self.made(session_id, Session.create_summary_threads)


class JointMobility(SessionHandler):
    """Report of single joints."""

    what = "joint mobility"
    document = "joint-mobility"

    async def post(self, session_id: str) -> None:
        """Answer with the document."""
        session = await self.up_to_date(await self.served_session(session_id))
        await self.answer(session, "joint-mobility", Session.joint_mobility)


class Config(SessionHandler):
    """Display settings of a session of single joints."""

    what = "display settings"

    async def get(self, session_id: str) -> None:
        """Answer with the settings that are stored."""
        session = await self.opened(session_id, "read")
        self.require("display settings", session)
        stored = await asyncio.to_thread(session.stored_config)
        if stored is not None:
            self.set_header("ETag", f'"{stored.revision}"')
            self.finish_json(stored.model_dump(include={"shown_angles", "comments"}))
            return
        self.finish_json(await asyncio.to_thread(session.config))

    async def post(self, session_id: str) -> None:
        """Save settings; a field that is not given stays as it is.

        With ``If-Match`` (the ``ETag`` that was read; "0" where there were none yet) what
        somebody else saved meanwhile is not overwritten: that is a conflict.
        """
        session = await self.opened(session_id, "annotate")
        fields = self.json_object()
        absent = {
            name: ["is null; leave it out"] for name, value in fields.items() if value is None
        }
        if absent:
            raise BadInputError.of(absent, what="the display settings")
        if "revision" in fields:
            raise BadInputError.of(
                {"revision": "is not one of their fields"}, what="the display settings"
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
            "the header If-Match is not an ETag of these display settings; read them again"
        )
    return int(match[1])
