"""What every handler does: who asks, whether they may, how faults are told, and the audit."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, cast
from weakref import WeakValueDictionary

from jupyter_core.utils import ensure_async
from jupyter_server.base.handlers import JupyterHandler
from tornado.iostream import StreamClosedError
from tornado.web import Finish, HTTPError, stream_request_body

from mobility.errors import (
    BadInputError,
    MobilityError,
    NotAuthenticatedError,
    NotFoundError,
    NotPermittedError,
    TooLargeError,
    TooManyRequestsError,
)
from mobility.server.access import Action, Caller, permit
from mobility.server.answers import Answers
from mobility.server.audit import Audit
from mobility.server.jobs import Queue
from mobility.server.keys import Keys, Role
from mobility.server.media_keys import MediaKeys
from mobility.server.processes import EndedError
from mobility.server.rates import Rates
from mobility.server.settings import MobilityServer
from mobility.server.uploads import SMALL_BYTES, parse_content_type, read_form, read_json_body
from mobility.workbench.store import Session, Store

log = logging.getLogger(__name__)

PREFIX = "/mobility-assessment"

_DRAINED_BYTES = 8 << 20
"""Of a body that is refused so much is still read, so that the client hears why."""
_SMALL_BODY_S = 30.0
_BLOCK = 1 << 18
_EXPORTS = 2
"""Of everything of a participant, written at the same time."""

_SCHEMES = ("api-key", "bearer", "token")


@dataclass
class Served:
    """What the handlers of one server share."""

    settings: MobilityServer
    store: Store
    answers: Answers = field(init=False)
    keys: Keys = field(init=False)
    audit: Audit = field(init=False)
    queue: Queue = field(init=False)
    media_keys: MediaKeys = field(init=False)
    rates: Rates = field(init=False)
    refused: Rates = field(init=False)
    uploads: int = 0
    exporting: set[str] = field(default_factory=set)
    """Participants of whom everything is being handed over."""
    exports: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_EXPORTS))
    """For those who write what is handed over."""
    of_user: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary)
    """One who counts the sessions of a participant holds it until theirs is made."""

    def __post_init__(self) -> None:
        self.answers = Answers(self.store)
        self.keys = Keys(self.store)
        self.audit = Audit(self.store)
        self.queue = Queue(self.store, self.settings)
        self.media_keys = MediaKeys(self.settings.media_seconds)
        self.rates = Rates(self.settings.requests_per_minute)
        self.refused = Rates(self.settings.refused_per_minute)

    def start(self) -> None:
        """Start the work on the queue, in the loop that runs."""
        self._work = asyncio.ensure_future(self.queue.run())

    async def deleted(self, session_id: str) -> None:
        """Let nothing be left of a session that was deleted, neither in memory."""
        self.answers.forget(session_id)
        await self.queue.forget_report(session_id)


@stream_request_body
class Handler(JupyterHandler):
    """Base of all handlers; errors are JSON, and say nothing of the inside of the server.

    Who asks is known before the body is read, of which little is ever in memory.
    """

    what = ""
    """What of a session it is about, for the audit log."""
    both_errors = False
    """Whether faults of fields are told as ``error`` too, as the creation's are documented."""
    caller: Caller

    def initialize(self, served: Served) -> None:
        """Take what the handlers share."""
        self.served = served
        self.audited = ""
        self.received = 0
        self._body = bytearray()
        self._refused: MobilityError | None = None

    async def prepare(self) -> None:  # type: ignore[override]
        """Find out who asks, and whether the body may come; nothing is read before that."""
        connection = cast("Any", self.request.connection)
        connection.set_max_body_size(self.most_bytes() + 2 * _DRAINED_BYTES)
        # Of everybody, also of those who are refused; what may take longer undoes it.
        connection.set_body_timeout(_SMALL_BODY_S)
        try:
            if not self.check_host():
                raise NotPermittedError("this name of the server is not served here")
            self.caller = await self.authenticated()
            self.served.rates.take(self.caller.name)
            if self.request.headers.get("Content-Encoding", "identity").lower() != "identity":
                raise BadInputError("the body is compressed; send it as it is")
            if self._announced() > self.most_bytes():
                raise self.too_large()
            self.set_cors_headers()
            self.begin_body(connection)
        except MobilityError as error:
            self.refuse(error)

    def begin_body(self, connection: Any) -> None:
        """Make ready for a body; it may still be refused."""

    def most_bytes(self) -> int:
        """Size of the largest body that is taken."""
        return SMALL_BYTES

    def too_large(self) -> TooLargeError:
        """Fault of a body that is larger."""
        return TooLargeError(f"the body is larger than {SMALL_BYTES} bytes")

    def data_received(self, chunk: bytes) -> None:
        """Take the next bytes of the body."""
        self.received += len(chunk)
        if self._refused is not None:
            if self.received > _DRAINED_BYTES and not self._finished:
                self.end(self._refused)
            return
        try:
            self.take(chunk)
        except MobilityError as error:
            self.refuse(error)

    def take(self, chunk: bytes) -> None:
        """Keep the next bytes of the body."""
        self._body += chunk
        if len(self._body) > self.most_bytes():
            raise self.too_large()

    def refuse(self, error: MobilityError) -> None:
        """Answer with a fault: when the body is read, or at once where that would take long."""
        self._refused = error
        waits = self.request.headers.get("Expect", "").lower() == "100-continue"
        if waits or self._announced() - self.received > _DRAINED_BYTES:
            self.end(error)
            return

        async def tell(*_: Any) -> None:
            raise error

        # In the place of the method that would answer; tornado calls it after the body.
        setattr(self, str(self.request.method).lower(), tell)

    def end(self, error: MobilityError) -> None:
        """Answer with a fault before the body is read; the connection is closed then."""
        if not self._finished:
            self.log_exception(type(error), error, None)
            self.set_header("Connection", "close")
            self.send_error(error.status, exc_info=(type(error), error, None))

    def _announced(self) -> int:
        length = self.request.headers.get("Content-Length", "")
        # What is no number tornado refuses itself.
        return int(length) if length.isascii() and length.isdigit() and len(length) < 20 else 0

    def set_cors_headers(self) -> None:
        """Allow other origins only where the server's settings name them."""
        if self.allow_origin or self.allow_origin_pat:
            super().set_cors_headers()

    def set_default_headers(self) -> None:
        """Set the headers of all answers, errors too."""
        super().set_default_headers()
        self.set_header("Cache-Control", "private, no-store")
        self.set_header("Referrer-Policy", "no-referrer")
        # The name and version of the software are nobody's business.
        self.clear_header("Server")

    def compute_etag(self) -> str | None:
        """Documents are not cached, so that no hash of them is needed."""
        return None

    async def authenticated(self) -> Caller:
        """Find out who asks: by a key, else by what Jupyter knows."""
        header = self.request.headers.get("Authorization", "").strip()
        scheme, _, value = header.rpartition(" ")
        stored = None
        if header and (not scheme or scheme.strip().lower() in _SCHEMES):
            find = self.served.keys.find
            is_remote = self.served.store.is_remote
            stored = await asyncio.to_thread(find, value) if is_remote else find(value)
        if stored is not None:
            return Caller(f"key {stored.id}", stored.role, stored.user_id)
        if not header or scheme.strip().lower() in ("bearer", "token"):
            known = await self._of_jupyter()
            if known is not None:
                return known
        self.served.refused.take(self.request.remote_ip or "")
        raise NotAuthenticatedError(
            "the key is not valid: it is unknown, expired or revoked"
            if header
            else "no key was given; send it as the header Authorization: API-KEY <key>"
        )

    async def _of_jupyter(self) -> Caller | None:
        """Caller who has Jupyter's token or login."""
        role: Role | str = self.served.settings.jupyter_role
        # A Jupyter Server that asks nobody for a token lets everybody be its user.
        if not role or not self.identity_provider.auth_enabled:
            return None
        user = await ensure_async(self.identity_provider.get_user(self))
        self.current_user = self._jupyter_current_user = user
        if user is None:
            return None
        if self.request.method not in ("GET", "HEAD", "OPTIONS"):
            try:
                self.check_xsrf_cookie()
            except HTTPError:
                raise NotPermittedError(
                    "a login counts only for requests of this server's own pages, with their "
                    "header X-XSRFToken; use a key"
                ) from None
        action = "read" if self.request.method in ("GET", "HEAD") else "write"
        allowed = self.authorizer.is_authorized(self, user, action, "mobility-assessment")
        if not await ensure_async(allowed):
            raise NotPermittedError("Jupyter's authorizer does not permit this")
        return Caller("jupyter", role, None)  # type: ignore[arg-type]

    async def opened(self, session_id: str, action: Action, *, demo: bool = False) -> Session:
        """Open a session if the caller may do this with it.

        Raises
        ------
        BadInputError
            The id is malformed.
        NotFoundError
            There is no such session.
        NotPermittedError
            The caller may not.
        """
        if demo:
            return await asyncio.to_thread(self.served.answers.demo, session_id)
        session = await asyncio.to_thread(self.served.answers.session, session_id)
        self.audited = session.id
        record = await asyncio.to_thread(self.served.answers.record, session)
        permit(self.caller, action, record.user_id)
        return session

    def asks_demo(self) -> bool:
        """Whether the query asks for the demo.

        Raises
        ------
        BadInputError
            It says neither true nor false.
        """
        given = self.get_query_arguments("demo") or ["false"]
        found = {"true": True, "1": True, "false": False, "0": False}.get(given[-1].lower())
        if found is None or len(given) > 1:
            raise BadInputError("demo: must be true or false", {"demo": ["must be true or false"]})
        return found

    def json_object(self) -> dict[str, Any]:
        """Body of the request, a JSON object; an empty body is an empty one.

        Raises
        ------
        BadInputError
            It is none.
        """
        body = bytes(self._body)
        if not body.strip():
            return {}
        value = read_json_body(body)
        if not isinstance(value, dict):
            raise BadInputError("the body is not a JSON object")
        return value

    def form(self) -> dict[str, list[str]]:
        """Body of the request, named texts as a form or as JSON."""
        kind, _ = parse_content_type(self.request.headers.get("Content-Type", ""))
        return read_form(kind, bytes(self._body))

    async def answer(
        self, session: Session, name: str, make: Callable[[Session], Mapping[str, Any]]
    ) -> None:
        """Answer with a document of a session."""
        answers = self.served.answers
        content = await asyncio.to_thread(answers.document, session, name, make)
        demo = session.store.read_only

        def address(medium: str) -> str:
            path = f"{PREFIX}/sessions/{session.id}/media/{medium}"
            query = self.served.media_keys.query(signed_name(session.id, demo=demo), medium)
            more = "&".join(part for part in ("demo=true" if demo else "", query) if part)
            base = self.base_url.rstrip("/")
            origin = f"{self.request.protocol}://{self.request.host}"
            return f"{origin}{base}{path}{'?' if more else ''}{more}"

        self.finish_json(answers.with_addresses(content, address))

    def finish_json(self, content: bytes | Mapping[str, Any] | list[Any]) -> None:
        """Answer with JSON."""
        self.set_header("Content-Type", "application/json; charset=UTF-8")
        if not isinstance(content, bytes):
            # Faults quote what was sent, also half letters, which have no bytes in UTF-8.
            content = json.dumps(content, ensure_ascii=False, allow_nan=False).encode(
                errors="backslashreplace"
            )
        self.finish(content)

    async def send_file(
        self, file: Path, start: int, stop: int, *, stall_s: float | None = None
    ) -> None:
        """Send a part of a file, no faster than the client takes it, nor for ever.

        A client that takes no block for `stall_s` seconds is not waited for.
        """
        try:
            with file.open("rb") as source:
                source.seek(start)
                while start < stop:
                    block = source.read(min(_BLOCK, stop - start))
                    if not block:
                        break
                    self.write(block)
                    async with asyncio.timeout(stall_s):
                        await self.flush()
                    start += len(block)
        except StreamClosedError:
            pass  # the player has enough
        except TimeoutError:
            cast("Any", self.request.connection).stream.close()

    def send_error(self, status_code: int = 500, **kwargs: Any) -> None:
        """Give faults of ours the status that they stand for."""
        error = (kwargs.get("exc_info") or (None, None))[1]
        if isinstance(error, MobilityError):
            status_code = error.status
        super().send_error(status_code, **kwargs)

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """Keep the traceback of what is a bug or a broken disk in the log, and nowhere else."""
        if isinstance(value, HTTPError | Finish):
            return
        if isinstance(value, MobilityError) and value.status < HTTPStatus.INTERNAL_SERVER_ERROR:
            return
        self._reference = secrets.token_hex(4)
        log.error("fault %s: %s", self._reference, value, exc_info=(typ, value, tb))

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Say what was wrong, in one line of JSON."""
        error = (kwargs.get("exc_info") or (None, None))[1]
        if isinstance(error, TooManyRequestsError):
            self.set_header("Retry-After", str(error.retry_after_s))
        if status_code == HTTPStatus.UNAUTHORIZED:
            self.set_header("WWW-Authenticate", "API-KEY")
        if status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            self.set_header("Allow", ", ".join(self.methods()))
        self.finish_json(self._told(status_code, error))

    @classmethod
    def methods(cls) -> list[str]:
        """Methods that it answers."""
        own = [name for name in ("get", "head", "post", "delete") if name in _all_names(cls)]
        return [name.upper() for name in own]

    def _told(self, status: int, error: BaseException | None) -> dict[str, Any]:
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            if isinstance(error, EndedError):
                return {"error": f"the work for this {error}"}
            reference = getattr(self, "_reference", "")
            return {
                "error": "something failed on the server"
                f"{f'; its log has more under {reference}' if reference else ''}"
            }
        if isinstance(error, BadInputError) and error.fields:
            fields = {
                name: [self.without_places(line) for line in lines]
                for name, lines in error.fields.items()
            }
            if not self.both_errors:
                return {"errors": fields}
            return {"error": self.without_places(str(error)), "errors": fields}
        if isinstance(error, MobilityError):
            return {"error": self.without_places(str(error))}
        return {"error": HTTPStatus(status).phrase.lower() if status in _STATUSES else "refused"}

    def without_places(self, text: str) -> str:
        """Take places on the server out of a message."""
        store = self.served.store
        for place in (store.place, self.served.queue.uploads, store.path, store.reports):
            for name in {str(place), str(Path(place).resolve())}:
                text = text.replace(f"{name}/", "").replace(name, "the store")
        return text

    def on_finish(self) -> None:
        """Note in the audit log who read or changed which session."""
        if self.audited:
            self.served.audit.note(
                who=self.caller.name,
                role=self.caller.role,
                did=f"{self.request.method} {self.what}",
                of=self.audited,
                status=self.get_status(),
                address=self.request.remote_ip,
            )
        super().on_finish()


def signed_name(session_id: str, *, demo: bool) -> str:
    """Name a session for a signature: that of the demo must not open one of the same id."""
    return f"demo:{session_id}" if demo else session_id


class Absent(Handler):
    """Answers what is not there, below the prefix, as everything else: with JSON."""

    def begin_body(self, connection: Any) -> None:
        """Say that it is not there, to those who may know."""
        raise NotFoundError("there is nothing under this address")


_STATUSES = frozenset(status.value for status in HTTPStatus)


def _all_names(cls: type) -> set[str]:
    """Names of the methods of a handler that are its own and not tornado's."""
    return {
        name
        for each in cls.__mro__
        if each.__module__.startswith("mobility.")
        for name in vars(each)
    }
