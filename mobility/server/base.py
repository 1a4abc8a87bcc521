"""What every handler does: who asks, whether they may, how faults are told, and the audit."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import secrets
from collections import Counter
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.client import responses
from pathlib import Path
from typing import Any, cast
from weakref import WeakValueDictionary

from jupyter_core.utils import ensure_async
from jupyter_server.base.handlers import JupyterHandler
from tornado.iostream import StreamClosedError
from tornado.web import Finish, HTTPError, stream_request_body

from mobility.errors import (
    BadInputError,
    DiskFullError,
    MobilityError,
    NotAuthenticatedError,
    NotFoundError,
    NotPermittedError,
    TooLargeError,
    TooManyRequestsError,
)
from mobility.server.access import STRANGER, Action, Caller, absent, owner_of, permit_session
from mobility.server.answers import Answers
from mobility.server.audit import Audit
from mobility.server.jobs import DISK_FULL, Queue
from mobility.server.keys import PHONE, Keys, Role
from mobility.server.media_keys import MediaKeys
from mobility.server.processes import EndedError
from mobility.server.rates import Rates
from mobility.server.settings import MobilityServer
from mobility.server.uploads import (
    SMALL_BYTES,
    parse_content_type,
    read_form,
    read_json_body,
    refuse_unknown,
)
from mobility.store import Session, Store

log = logging.getLogger(__name__)

PREFIX = "/mobility-assessment"

KEYS_ONLY = "mobility_keys_only"
"""Setting of a web application in which Jupyter's own token and login count for nothing."""

_DRAINED_BYTES = 8 << 20
"""Of a body that is refused, so much of a stranger is still taken, and thrown away, so that a
client that sends all before it listens hears why; of those who are known, what comes in time."""
_SMALL_BODY_S = 30.0
_BLOCK = 1 << 18
_TOLD = 1000
"""Characters of a line of a fault, which may quote what was sent."""
_NAME = 100
_LISTENERS = 4
"""For one that may be under way, so many that are refused may still send their bodies."""
_EXPORTS = 2
"""Of everything of a participant, written at the same time."""

_PLACE = re.compile(r"(?<![\w.:/-])(?:/[^\s/:;,'\"()<>]+){2,}")

_OWN_FOLDER = re.compile(r"(?<=/uploads|/exports)/[0-9a-f]{32}/")
"""Folder of one upload or export, whose name is chance."""

_OF_JUPYTER = frozenset({"token", "_xsrf"})
"""Parameters of queries by which Jupyter itself knows who asks."""
_SCHEMES = ("api-key", "bearer", "token")


class Served:
    """What the handlers of one server share."""

    def __init__(self, settings: MobilityServer, store: Store) -> None:
        self.settings = settings
        self.store = store
        self.answers = Answers(store)
        self.keys = Keys(store)
        self.audit = Audit(store)
        self.queue = Queue(store, settings)
        self.media_keys = MediaKeys(settings.media_seconds)
        self.rates = Rates(settings.requests_per_minute)
        self.refused = Rates(settings.refused_per_minute)
        # Under way, by the name of who sends them.
        self.uploads: Counter[str] = Counter()
        # Requests of which the answer is not taken yet, by who asks.
        self.under_way: Counter[str] = Counter()
        # Participants of whom everything is being handed over, and a turn for who writes that.
        self.exporting: set[str] = set()
        self.exports = asyncio.Semaphore(_EXPORTS)
        # Held while a session of theirs is made: one at a time, so that others find a worker, and
        # who counts their sessions counts right.
        self.of_user: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def start(self) -> None:
        """Start the work on the queue, in the loop that runs."""
        self._work = asyncio.ensure_future(self.queue.run())

    def without_places(self, text: str) -> str:
        """Take places on the server out of a message: of each only the name is told."""
        text = _OWN_FOLDER.sub("/", text)
        own = (self.queue.uploads, self.store.path, self.store.reports, Path.home())
        places = {str(each) for path in own for each in (path, path.resolve())} - {"/"}
        # The longest first: one may be in the other.
        for place in sorted(places, key=len, reverse=True):
            text = text.replace(f"{place}/", "").replace(place, "the store")
        return _PLACE.sub(lambda found: Path(found[0]).name, text)

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
    caller = STRANGER

    def initialize(
        self, served: Served, template: str, parameters: Mapping[str, frozenset[str]]
    ) -> None:
        """Take what the handlers share, the pattern of the address, and what a query may have."""
        self.served = served
        self.template = template
        self.parameters = parameters
        self.audited = ""
        self.received = 0
        self._body = bytearray()
        self._refused: MobilityError | None = None
        self._when_finished: Callable[[], object] = lambda: None
        self._place = ""
        self._sent: Any = None

    async def _execute(self, *args: Any, **more: Any) -> None:
        """Answer, and hold a place until there is no more work and the answer is taken."""
        try:
            await super()._execute(*args, **more)
        finally:
            if self._sent is None:
                self._end()
            else:
                self._sent.add_done_callback(self._end)

    def _end(self, *_: Any) -> None:
        self.give_place_back()
        # Else who asks once and never again would keep a descriptor of the process.
        if self.shares():
            self.let_go()

    def _take_place(self) -> None:
        who = self.request.remote_ip if self.caller is STRANGER else self.caller.name
        self._place = f"{self.caller.role} {who}"
        self.served.under_way[self._place] += 1

    def give_place_back(self) -> None:
        """Count the request no longer as one that is under way."""
        if self._place:
            self.served.under_way[self._place] -= 1
            if not self.served.under_way[self._place]:
                del self.served.under_way[self._place]
            self._place = ""

    async def prepare(self) -> None:  # type: ignore[override]
        """Find out who asks, and whether the body may come; nothing is read before that."""
        connection = cast("Any", self.request.connection)
        # Of everybody, also of those who are refused; what may take longer undoes it.
        connection.set_body_timeout(_SMALL_BODY_S)
        # What is too large is refused below: tornado would end the connection without a word.
        connection.set_max_body_size(10**20)
        try:
            if not self.check_host():
                raise NotPermittedError("this server does not answer under this host name")
            self.caller = await self.authenticated()
            self._take_place()
            most = self.served.settings.requests_at_once
            if not self.shares():
                self.clear_header("Connection")
            elif self.served.under_way[self._place] > most:
                raise TooManyRequestsError(
                    f"too many requests at once: at most {most}; send it again", retry_after_s=1
                )
            self.served.rates.take(self.caller.name)
            if self.request.headers.get("Content-Encoding", "identity").lower() != "identity":
                raise BadInputError("the body is compressed; send it uncompressed")
            if self._announced() > self.most_bytes():
                raise self.too_large()
            self.set_cors_headers()
            self.begin_body(connection)
            method = str(self.request.method)
            known = self.parameters.get("GET" if method == "HEAD" else method)
            if known is not None:
                given = set(self.request.query_arguments) - _OF_JUPYTER
                refuse_unknown(given, known, "query", kind="parameter")
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
            if self.caller is STRANGER and self.received > _DRAINED_BYTES:
                self.let_go()
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
        """Answer with a fault at once, and throw away what is still coming of the body.

        If the connection were closed at once, its client might never see the answer.
        """
        self._refused = error
        if not self._place:
            self._take_place()
        self.log_exception(type(error), error, None)
        self.clear()
        self.set_status(error.status)
        content = self.fault(error.status, error)
        self.set_header("Content-Length", str(len(content)))
        has_body = self._announced() or "Transfer-Encoding" in self.request.headers
        if has_body:
            self.set_header("Connection", "close")
        self.write(content)
        most = _LISTENERS * self.served.settings.requests_at_once
        is_crowd = self.shares() and self.served.under_way[self._place] > most
        if is_crowd or self.request.headers.get("Expect", "").lower() == "100-continue":
            self.finish()  # the client waits, and sends nothing now, or there are very many of it
            return
        self.flush()
        late = asyncio.get_running_loop().call_later(_SMALL_BODY_S, self.let_go)
        self._when_finished = late.cancel

        async def close(*_: Any) -> None:
            self.finish()
            if has_body:
                self.let_go()

        # In the place of the method that would answer; tornado calls it after the body.
        setattr(self, str(self.request.method).lower(), close)

    def let_go(self) -> None:
        """Close the connection."""
        cast("Any", self.request.connection).stream.close()

    def on_connection_close(self) -> None:
        """Note also what was refused and not waited for."""
        super().on_connection_close()
        if self._refused is not None and not self._finished:
            self.finish()

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
        if self.shares():
            self.set_header("Connection", "close")

    async def head(self, *path: str) -> None:
        """Answer with the headers of GET; tornado leaves the body out."""
        await ensure_async(self.get(*path))

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
            in_bucket = self.served.store.in_bucket
            stored = await asyncio.to_thread(find, value) if in_bucket else find(value)
        if stored is not None:
            phone_key = stored.id if stored.role == PHONE else None
            return Caller(f"key {stored.id}", stored.role, stored.user_id, phone_key)
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
        if not role or self.settings.get(KEYS_ONLY) or not self.identity_provider.auth_enabled:
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
                    "a login is accepted only from this server's own pages, with their header "
                    "X-XSRFToken; use an API key"
                ) from None
        action = "read" if self.request.method in ("GET", "HEAD") else "write"
        allowed = self.authorizer.is_authorized(self, user, action, "mobility-assessment")
        if not await ensure_async(allowed):
            raise NotPermittedError("Jupyter's authorizer does not permit this")
        return Caller("jupyter", role, None)

    async def opened(self, session_id: str, action: Action, *, demo: bool = False) -> Session:
        """Open a session if the caller may do this with it."""
        if demo:
            return await asyncio.to_thread(self.served.answers.demo, session_id)
        session = await asyncio.to_thread(self.served.answers.session, session_id)
        self.audited = session.id
        try:
            record = await asyncio.to_thread(self.served.answers.record, session)
        except MobilityError:
            if self.caller.is_phone:  # a damaged record does not say who added it
                raise absent(session_id) from None
            raise
        permit_session(self.caller, action, session_id, owner_of(record))
        return session

    def shares(self) -> bool:
        """Whether the caller has a share only of what there is, as all but administrators."""
        return self.caller.role != "administrator"

    def asks_demo(self) -> bool:
        """Whether the query asks for the demo."""
        given = self.get_query_arguments("demo") or ["false"]
        found = {"true": True, "1": True, "false": False, "0": False}.get(given[-1].lower())
        if found is None or len(given) > 1:
            raise BadInputError("demo: must be true or false", {"demo": ["must be true or false"]})
        return found

    def json_object(self) -> dict[str, Any]:
        """Body of the request, a JSON object; an empty body is an empty one."""
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
            query = self.served.media_keys.query(
                signed_name(session.id, demo=demo), medium, self.caller.name
            )
            more = "&".join(part for part in ("demo=true" if demo else "", query) if part)
            base = self.base_url.rstrip("/")
            origin = f"{self.request.protocol}://{self.request.host}"
            return f"{origin}{base}{path}{'?' if more else ''}{more}"

        self.finish_json(answers.with_addresses(content, address))

    def finish_json(self, content: bytes | Mapping[str, Any] | list[Any]) -> None:
        """Answer with JSON."""
        self.set_header("Content-Type", "application/json; charset=UTF-8")
        self.finish(content if isinstance(content, bytes) else _json(content))

    def finish(self, chunk: Any = None) -> Any:
        """Send the answer."""
        self._sent = super().finish(chunk)
        return self._sent

    async def send_file(self, file: Path, start: int, stop: int) -> None:
        """Send a part of a file, no faster than the client takes it, nor for ever."""
        stall_s = self.served.settings.upload_stall_seconds
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
        if isinstance(value, DiskFullError):
            log.warning("%s", value)
            return
        self._reference = secrets.token_hex(4)
        log.error("fault %s: %s", self._reference, value, exc_info=(typ, value, tb))

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Say what was wrong, in one line of JSON."""
        self.finish(self.fault(status_code, (kwargs.get("exc_info") or (None, None))[1]))

    def fault(self, status: int, error: BaseException | None) -> bytes:
        """Set the headers of the answer to a fault, and give its body."""
        if isinstance(error, TooManyRequestsError):
            self.set_header("Retry-After", str(error.retry_after_s))
        if status == HTTPStatus.UNAUTHORIZED:
            self.set_header("WWW-Authenticate", "API-KEY")
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            names = ("get", "head", "post", "delete")
            # Those that are not as tornado made them, which refuses all; HEAD is there with GET.
            kind = type(self)
            own = [
                name
                for name in names
                if getattr(kind, method := "get" if name == "head" else name)
                is not getattr(JupyterHandler, method)
            ]
            self.set_header("Allow", ", ".join(own).upper())
        self.set_header("Content-Type", "application/json; charset=UTF-8")
        return _json(self._told(status, error))

    def _told(self, status: int, error: BaseException | None) -> dict[str, Any]:
        without_places = self.served.without_places
        if isinstance(error, DiskFullError):
            return {"error": DISK_FULL}
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
                name[:_NAME]: [without_places(line[:_TOLD]) for line in lines]
                for name, lines in error.fields.items()
            }
            if not self.both_errors:
                return {"errors": fields}
            return {"error": without_places(str(error)[:_TOLD]), "errors": fields}
        if isinstance(error, MobilityError):
            return {"error": without_places(str(error)[:_TOLD])}
        return {"error": responses.get(status, "refused").lower()}

    def on_finish(self) -> None:
        """Note in the audit log who read or changed which session, and who was not let in."""
        self._when_finished()
        if self.audited or self.get_status() == HTTPStatus.UNAUTHORIZED:
            self.served.audit.note(
                {
                    "who": self.caller.name,
                    "role": self.caller.role,
                    "did": f"{self.request.method} {self.what}",
                    "of": self.audited,
                    "status": self.get_status(),
                    "from": self.request.remote_ip,
                }
            )
        super().on_finish()


def signed_name(session_id: str, *, demo: bool) -> str:
    """Name a session for a signature: that of the demo must not open one of the same id."""
    return f"demo:{session_id}" if demo else session_id


class Absent(Handler):
    """Answers what is not there, below the prefix, as everything else: with JSON."""

    what = "what is not there"

    def begin_body(self, connection: Any) -> None:
        """Say that it is not there, to those who may know."""
        raise NotFoundError("there is nothing under this address")


def _json(content: Mapping[str, Any] | list[Any]) -> bytes:
    # Faults quote what was sent, also half letters, which have no bytes in UTF-8.
    text = json.dumps(content, ensure_ascii=False, allow_nan=False)
    return text.encode(errors="backslashreplace")
