"""The documented endpoints."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any, ClassVar

from tornado.ioloop import PeriodicCallback

from mobility.errors import (
    ConflictError,
    FieldError,
    MobilityError,
    NotFoundError,
    TooLargeError,
    TooManyRequestsError,
    TooSlowError,
)
from mobility.privacy.retention import sessions_of
from mobility.server.access import OTHERS, permit
from mobility.server.base import Handler, Served
from mobility.server.handlers_more import state_of
from mobility.server.models import ETAG
from mobility.server.uploads import OVERHEAD_BYTES, Upload, refuse_unknown, too_large
from mobility.sessions.files import check_id
from mobility.store import Session

log = logging.getLogger(__name__)


class SessionHandler(Handler):
    """A document of one session, or the demo's in its place."""

    exercise: ClassVar[str] = "Overhead Squat"
    """Of which exercise its demo is."""

    async def served_session(self, session_id: str) -> Session:
        """Open the session that is asked for, to read it."""
        if self.asks_demo():
            check_id(session_id, what="session id")
            return await asyncio.to_thread(self.served.store.demo, self.exercise)
        return await self.opened(session_id, "read")

    async def with_report(self, session: Session) -> Session:
        """Have the report rendered, where it is absent or old.

        Raises
        ------
        NotFoundError
            The session is not analysed.
        """
        self.require_exercise(session, "Overhead Squat")
        self.require_not_waiting(session)
        if not await asyncio.to_thread(session.report_is_current):
            demo = self.exercise if session.store.read_only else None
            await self.served.queue.render(session.id, demo=demo)
        return session

    def require_exercise(self, session: Session, exercise: str) -> None:
        """Refuse what sessions of the other exercise have not, as what is not there."""
        own = self.served.answers.record(session).exercise
        if own != exercise:
            raise NotFoundError(
                f"session {session.id}: is of the exercise '{own}'; this is only there for "
                f"'{exercise}'"
            )

    async def up_to_date(self, session: Session) -> Session:
        """Have a session analysed again, by a worker, where other code did it; see its report.

        Raises
        ------
        NotFoundError
            It waits for its analysis.
        """
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


class Report(SessionHandler):
    """Overhead Squat report."""

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
        self.require_exercise(session, "Overhead Squat")
        await self.up_to_date(session)
        fields = self.form()
        refuse_unknown(fields, frozenset({"system"}), "the body")
        systems = [*self.get_query_arguments("system"), *fields.get("system", [])] or ["metric"]
        if len(set(systems)) > 1:
            raise FieldError("the threads", {"system": ["is there more than once"]})
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
    """Joint Angle Mobility report."""

    what = "joint mobility"
    exercise = "Joint Angle Mobility"

    async def post(self, session_id: str) -> None:
        """Answer with the document."""
        session = await self.up_to_date(await self.served_session(session_id))
        await self.answer(session, "joint-mobility", Session.joint_mobility)


class Config(SessionHandler):
    """Display settings of a Joint Angle Mobility session."""

    what = "display settings"

    async def get(self, session_id: str) -> None:
        """Answer with the settings that are stored."""
        session = await self.opened(session_id, "read")
        self.require_exercise(session, "Joint Angle Mobility")
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
            name: ["is null; leave it out"] for name, given in fields.items() if given is None
        }
        if absent:
            raise FieldError("the display settings", absent)
        if "revision" in fields:
            raise FieldError("the display settings", {"revision": ["is no field of them"]})
        matched = self.request.headers.get("If-Match")
        if matched is not None:
            fields["revision"] = _revision(matched)
        self.require_exercise(session, "Joint Angle Mobility")
        self.finish_json(await asyncio.to_thread(_save_config, session, fields))


def _save_config(session: Session, fields: Mapping[str, Any]) -> dict[str, Any]:
    return session.save_config(**fields)


def _revision(tag: str) -> int:
    found = re.fullmatch(ETAG, tag.strip())
    if found is None:
        raise ConflictError(
            "the header If-Match is no ETag of these display settings; read them again"
        )
    return int(found[1])


class Creation(Handler):
    """Takes a video in as a new session."""

    what = "creation"
    both_errors = True
    for_others = False
    """Whether this is the path for sessions of somebody else."""

    def initialize(
        self, served: Served, template: str, parameters: Mapping[str, frozenset[str]]
    ) -> None:
        """Take what the handlers share."""
        super().initialize(served, template, parameters)
        self._upload: Upload | None = None
        self._counted = False
        self._seen = 0
        self._watch = PeriodicCallback(self._look, served.settings.upload_stall_seconds * 1000)

    def most_bytes(self) -> int:
        """Size of the largest body that is taken."""
        return int(self.served.settings.most_bytes) + OVERHEAD_BYTES

    def too_large(self) -> TooLargeError:
        """Fault of a body that is larger."""
        return too_large(self.served.settings.most_bytes)

    def begin_body(self, connection: Any) -> None:
        """Make ready for a video, or refuse it before it is sent."""
        if self.request.method != "POST":
            return
        settings = self.served.settings
        if self.for_others and self.caller.role not in OTHERS["create for others"]:
            permit(self.caller, "create for others", "")
        self.served.queue.check_room(self.caller.user_id if self.shares() else None)
        uploads, name = self.served.uploads, self.caller.name
        share = settings.uploads_per_key if self.shares() else 0
        if uploads.total() >= settings.uploads_at_once or (share and uploads[name] >= share):
            raise TooManyRequestsError("too many uploads at once; send it again", retry_after_s=5)
        self._upload = Upload(
            self.request.headers.get("Content-Type", ""),
            folder=self.served.queue.uploads,
            most_bytes=settings.most_bytes,
            before_file=self.served.queue.require_hold,
        )
        uploads[name] += 1
        self._counted = True
        self.give_place_back()  # it has one of the uploads
        connection.set_body_timeout(None)
        self._watch.start()

    def take(self, chunk: bytes) -> None:
        """Hand the next bytes of the body on to the disk."""
        if self._upload is not None:
            self._upload.take(chunk)

    def refuse(self, error: MobilityError) -> None:
        """Answer with a fault, and leave nothing of the upload."""
        self._clean()
        super().refuse(error)

    async def post(self) -> None:
        """Make the session, and answer at once; its analysis waits in the queue."""
        self._watch.stop()
        assert self._upload is not None
        fields = self._upload.finish(own_id=self.caller.user_id, for_others=self.for_others)
        permit(self.caller, "create", fields["user_id"])
        if self.served.settings.sessions_per_user or self.shares():
            turn = self.served.of_user.setdefault(fields["user_id"], asyncio.Lock())
            async with turn:
                await asyncio.to_thread(self._check_number, fields["user_id"])
                made = await self._made(fields)
        else:
            made = await self._made(fields)
        self.audited = made["session_id"]
        self.finish_json(made)

    async def _made(self, fields: dict[str, Any]) -> dict[str, str]:
        """Have the session made, if its key still holds: the video may have taken an hour."""
        assert self._upload is not None
        assert self._upload.video is not None
        return await self.served.queue.create(
            self._upload.video, confirm=self.authenticated, shared=self.shares(), **fields
        )

    def finish(self, chunk: Any = None) -> Any:
        """Answer, when nothing is left of the upload."""
        self._clean()
        return super().finish(chunk)

    def on_connection_close(self) -> None:
        """Leave nothing of an upload that was broken off."""
        super().on_connection_close()
        # A body that is whole is taken in, also if its client is gone.
        if self._watch.is_running():
            self._clean()

    def _look(self) -> None:
        """End an upload that hardly moves."""
        settings = self.served.settings
        if self.received - self._seen < settings.upload_least_bytes:
            error = TooSlowError(
                f"the upload is too slow: less than {settings.upload_least_bytes} bytes in "
                f"{settings.upload_stall_seconds:g} s; send it again"
            )
            self.refuse(error)
        self._seen = self.received

    def _check_number(self, user_id: str) -> None:
        most = self.served.settings.sessions_per_user
        if not most:
            return
        have = len(sessions_of(self.served.store, user_id))
        if have >= most:
            raise NotFoundError(f"the limit of {most} sessions of one user is reached")

    def _clean(self) -> None:
        self._watch.stop()
        if self._upload is not None:
            self._upload.close()
        if self._counted:
            self._counted = False
            self.served.uploads[self.caller.name] -= 1


class CreationForOthers(Creation):
    """Takes a video in for somebody else, which administrators may."""

    for_others = True


class Sessions(Creation):
    """The sessions that the caller may see; takes a video in as a new one."""

    what = "sessions"

    async def get(self) -> None:
        """Answer with the sessions, the oldest first."""
        self.audited = "list of sessions"
        self.finish_json(await asyncio.to_thread(self._listed))

    def _listed(self) -> list[dict[str, Any]]:
        answers = self.served.answers
        # Looked up once: a look at the queue for each of them takes the square of their number.
        places = self.served.queue.positions()
        found = []
        for session_id in self.served.store.ids():
            # Records are kept, and not read again for everybody who asks.
            try:
                session = answers.session(session_id)
                record = answers.record(session)
                if self.caller.may("read", record.user_id):
                    state = state_of(self.served, session, places.get(session_id))
                    found.append((record.created_at, session_id, state))
            except MobilityError as error:
                log.warning("left out: %s", error)
        return [state for *_, state in sorted(found, key=lambda each: each[:2])]
