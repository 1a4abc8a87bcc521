"""Base of all handlers: authentication, permissions, error responses, and the audit log."""

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

from mobility import Session, Store
from mobility.errors import (
    BadInputError,
    DiskFullError,
    EndedError,
    MobilityError,
    NotAuthenticatedError,
    NotFoundError,
    NotPermittedError,
    TooLargeError,
    TooManyRequestsError,
)
from mobility.serve.access import (
    SIGNED,
    STRANGER,
    Action,
    Audit,
    Caller,
    MediaKeys,
    MobilityServer,
    Rates,
    absent,
    owner_of,
    permit_session,
)
from mobility.serve.api_keys import PHONE, Keys, Role
from mobility.serve.http_documents import Answers, Made
from mobility.serve.jobs import DISK_FULL, Queue
from mobility.serve.uploads import (
    SMALL_BYTES,
    parse_content_type,
    read_form,
    read_json_body,
    refuse_unknown,
)

log = logging.getLogger(__name__)

PREFIX = "/mobility-assessment"

KEYS_ONLY = "mobility_keys_only"
"""Setting of a web application in which Jupyter's token and login have no effect."""

_DRAINED_BYTES = 8 << 20
"""Number of bytes that are read and discarded from a refused anonymous upload, because some clients
send everything before they read the response. From a known caller, everything that arrives in time
is read.
"""
_SMALL_BODY_S = 30.0
_BLOCK = 1 << 18
_MESSAGE_LENGTH = 1000
"""Longest error message, in characters; it may quote the request."""
_NAME_LENGTH = 100
_REFUSED_PER_RUNNING = 4
"""Number of refused requests that may finish sending, for each request that may run."""
_EXPORTS = 2
"""Largest number of participant exports that are written at the same time."""

_PLACE = re.compile(r"(?<![\w.:/-])(?:/[^\s/:;,'\"()<>]+){2,}")

_RANDOM_FOLDER = re.compile(r"(?<=/uploads|/exports)/[0-9a-f]{32}/")
"""Folder of one upload or export, with a random name."""

_JUPYTER_PARAMETERS = frozenset({"token", "_xsrf"})
"""Query parameters that Jupyter uses for authentication."""
_SCHEMES = ("api-key", "bearer", "token")


class Served:
    """Objects that the handlers of one server share."""

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
        # Running uploads by caller.
        self.uploads: Counter[str] = Counter()
        # Requests without a complete answer, by caller.
        self.under_way: Counter[str] = Counter()
        # Participants whose data are being exported; the semaphore limits how many are written.
        self.exporting: set[str] = set()
        self.exports = asyncio.Semaphore(_EXPORTS)
        # One creation at a time per participant: others find a free worker, and the count of the
        # participant's sessions is right.
        self.creating_for: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def start(self) -> None:
        """Start processing the queue, in the running event loop."""
        self._work = asyncio.ensure_future(self.queue.run())

    def without_places(self, text: str) -> str:
        """Shorten the server's paths in a message to their last part."""
        text = _RANDOM_FOLDER.sub("/", text)
        folders = (self.queue.uploads, self.store.path, self.store.reports, Path.home())
        places = {str(place) for path in folders for place in (path, path.resolve())} - {"/"}
        # The longest first: one may be in the other.
        for place in sorted(places, key=len, reverse=True):
            text = text.replace(f"{place}/", "").replace(place, "the store")
        return _PLACE.sub(lambda match: Path(match[0]).name, text)

    async def deleted(self, session_id: str) -> None:
        """Forget a deleted session: its cached documents, and a report that is being rendered."""
        self.answers.forget(session_id)
        await self.queue.forget_report(session_id)


@stream_request_body
class Handler(JupyterHandler):
    """Base of all handlers; errors are JSON, and reveal nothing about the server.

    The caller is authenticated before the body is read, and only a small part of the body is ever
    in memory.
    """

    what = ""
    """The part of a session that is served, for the audit log."""
    both_errors = False
    """Whether the response also lists errors in fields under ``error``, as documented for creation.
    """
    caller = STRANGER

    def initialize(
        self, served: Served, template: str, parameters: Mapping[str, frozenset[str]]
    ) -> None:
        """Store the shared objects, the pattern of the address, and the allowed parameters."""
        self.served = served
        self.template = template
        self.parameters = parameters
        self.audited = ""
        self.received = 0
        self._body = bytearray()
        self._refused: MobilityError | None = None
        self._when_finished: Callable[[], object] = lambda: None
        self._slot = ""
        self._sent: Any = None

    async def _execute(self, *args: Any, **more: Any) -> None:
        """Respond, and hold a slot until the work is done and the response is sent."""
        try:
            await super()._execute(*args, **more)
        finally:
            if self._sent is None:
                self._end()
            else:
                self._sent.add_done_callback(self._end)

    def _end(self, *_: Any) -> None:
        self.release_slot()
        # Otherwise an idle client would hold a file descriptor.
        if self.is_limited():
            self.disconnect()

    def _take_slot(self) -> None:
        who = self.request.remote_ip if self.caller is STRANGER else self.caller.name
        self._slot = f"{self.caller.role} {who}"
        self.served.under_way[self._slot] += 1

    def release_slot(self) -> None:
        """Stop counting the request as running."""
        if self._slot:
            self.served.under_way[self._slot] -= 1
            if not self.served.under_way[self._slot]:
                del self.served.under_way[self._slot]
            self._slot = ""

    async def prepare(self) -> None:  # type: ignore[override]
        """Authenticate the caller, and accept or refuse the body before it is read."""
        connection = cast("Any", self.request.connection)
        # For refused callers, too; handlers of longer bodies change it.
        connection.set_body_timeout(_SMALL_BODY_S)
        # Too large a body is refused below, because tornado would close the connection silently.
        connection.set_max_body_size(10**20)
        try:
            if not self.check_host():
                raise NotPermittedError("this server does not respond to this host name")
            self.caller = await self.authenticated()
            self._take_slot()
            most = self.served.settings.requests_at_once
            if not self.is_limited():
                self.clear_header("Connection")
            elif self.served.under_way[self._slot] > most:
                raise TooManyRequestsError(
                    f"too many requests at once: at most {most}; send the request again later",
                    retry_after_s=1,
                )
            self.served.rates.take(self.caller.name)
            if self.request.headers.get("Content-Encoding", "identity").lower() != "identity":
                raise BadInputError("the body is compressed; send it uncompressed")
            if self._announced_length() > self.most_bytes():
                raise self.too_large()
            self.set_cors_headers()
            self.begin_body(connection)
            method = str(self.request.method)
            allowed = self.parameters.get("GET" if method == "HEAD" else method)
            if allowed is not None:
                names = set(self.request.query_arguments) - _JUPYTER_PARAMETERS
                refuse_unknown(names, allowed, "query", kind="parameter")
        except MobilityError as error:
            self.refuse(error)

    def begin_body(self, connection: Any) -> None:
        """Prepare for a body; this may still reject it."""

    def most_bytes(self) -> int:
        """Size of the largest body that is accepted."""
        return SMALL_BYTES

    def too_large(self) -> TooLargeError:
        """Return the error for a body that is larger."""
        return TooLargeError(f"the body is larger than {SMALL_BYTES} bytes")

    def data_received(self, chunk: bytes) -> None:
        """Receive the next bytes of the body."""
        self.received += len(chunk)
        if self._refused is not None:
            if self.caller is STRANGER and self.received > _DRAINED_BYTES:
                self.disconnect()
            return
        try:
            self.take(chunk)
        except MobilityError as error:
            self.refuse(error)

    def take(self, chunk: bytes) -> None:
        """Store the next bytes of the body."""
        self._body += chunk
        if len(self._body) > self.most_bytes():
            raise self.too_large()

    def refuse(self, error: MobilityError) -> None:
        """Respond with an error at once, and discard the rest of the body.

        If the connection were closed at once, the client might never see the response.
        """
        self._refused = error
        if not self._slot:
            self._take_slot()
        self.log_exception(type(error), error, None)
        self.clear()
        self.set_status(error.status)
        content = self.fault(error.status, error)
        self.set_header("Content-Length", str(len(content)))
        has_body = self._announced_length() or "Transfer-Encoding" in self.request.headers
        if has_body:
            self.set_header("Connection", "close")
        self.write(content)
        most = _REFUSED_PER_RUNNING * self.served.settings.requests_at_once
        is_crowd = self.is_limited() and self.served.under_way[self._slot] > most
        if is_crowd or self.request.headers.get("Expect", "").lower() == "100-continue":
            self.finish()  # the client waits to send, or has very many requests
            return
        self.flush()
        late = asyncio.get_running_loop().call_later(_SMALL_BODY_S, self.disconnect)
        self._when_finished = late.cancel

        async def close(*_: Any) -> None:
            self.finish()
            if has_body:
                self.disconnect()

        # Replaces the method that would answer; tornado calls it after the body.
        setattr(self, str(self.request.method).lower(), close)

    def disconnect(self) -> None:
        """Close the connection."""
        cast("Any", self.request.connection).stream.close()

    def on_connection_close(self) -> None:
        """Also log a rejected request whose client did not wait for the response."""
        super().on_connection_close()
        if self._refused is not None and not self._finished:
            self.finish()

    def _announced_length(self) -> int:
        length = self.request.headers.get("Content-Length", "")
        # Tornado rejects values that are not numbers.
        return int(length) if length.isascii() and length.isdigit() and len(length) < 20 else 0

    def set_cors_headers(self) -> None:
        """Allow other origins only if the server's settings list them."""
        if self.allow_origin or self.allow_origin_pat:
            super().set_cors_headers()

    def set_default_headers(self) -> None:
        """Set the headers of all responses, including errors."""
        super().set_default_headers()
        self.set_header("Cache-Control", "private, no-store")
        self.set_header("Referrer-Policy", "no-referrer")
        # No name and version of the software, which would help attackers.
        self.clear_header("Server")
        if self.is_limited():
            self.set_header("Connection", "close")

    async def head(self, *path: str) -> None:
        """Respond with the headers of GET; tornado leaves the body out."""
        await ensure_async(self.get(*path))

    def compute_etag(self) -> str | None:
        """Return None instead of a hash, because clients do not cache documents."""
        return None

    def signed_caller(self, of: str, name: str) -> Caller | None:
        """Return the caller for the signed address of a file, if their key is still valid."""
        media_key = self.get_query_argument("media_key", "")
        who = self.served.media_keys.signed_for(of, name, media_key) if media_key else None
        if who is None:
            return None
        kind, _, key_id = who.partition(" ")
        if kind == "key" and not self.served.keys.is_valid_id(key_id):
            return None
        return Caller(who, SIGNED, None)

    async def authenticated(self) -> Caller:
        """Return the caller, identified by a key or Jupyter's login.

        Raise an error if neither is valid.
        """
        header = self.request.headers.get("Authorization", "").strip()
        scheme, _, value = header.rpartition(" ")
        stored = None
        if header and (not scheme or scheme.strip().lower() in _SCHEMES):
            stored = self.served.keys.find(value)
        if stored is not None:
            phone_key = stored.id if stored.role == PHONE else None
            return Caller(f"key {stored.id}", stored.role, stored.user_id, phone_key)
        if not header or scheme.strip().lower() in ("bearer", "token"):
            caller = await self._jupyter_caller()
            if caller is not None:
                return caller
        self.served.refused.take(self.request.remote_ip or "")
        raise NotAuthenticatedError(
            "the key is unknown, expired or revoked; use a valid key"
            if header
            else "the request has no key; send it as the header Authorization: API-KEY <key>"
        )

    async def _jupyter_caller(self) -> Caller | None:
        """Return the caller who has Jupyter's token or login."""
        role: Role | str = self.served.settings.jupyter_role
        # A Jupyter Server without a token treats everybody as its user.
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
            raise NotPermittedError("Jupyter's authorizer does not permit this request")
        return Caller("jupyter", role, None)

    async def opened(self, session_id: str, action: Action, *, demo: bool = False) -> Session:
        """Open a session, if the caller may perform this action on it."""
        if demo:
            return await asyncio.to_thread(self.served.answers.demo, session_id)
        session = await asyncio.to_thread(self.served.answers.session, session_id)
        self.audited = session.id
        try:
            record = await asyncio.to_thread(self.served.answers.record, session)
        except MobilityError:
            if self.caller.is_phone:  # a damaged record does not name who added it
                raise absent(session_id) from None
            raise
        permit_session(self.caller, action, session_id, owner_of(record))
        return session

    def is_limited(self) -> bool:
        """Return whether the limits for each caller apply; administrators have none."""
        return self.caller.role != "administrator"

    def asks_demo(self) -> bool:
        """Return whether the query asks for the demo."""
        values = self.get_query_arguments("demo") or ["false"]
        value = {"true": True, "1": True, "false": False, "0": False}.get(values[-1].lower())
        if value is None or len(values) > 1:
            raise BadInputError.of({"demo": "must be true or false"})
        return value

    def json_object(self) -> dict[str, Any]:
        """Return the body of the request, a JSON object; an empty body becomes an empty object."""
        body = bytes(self._body)
        if not body.strip():
            return {}
        value = read_json_body(body)
        if not isinstance(value, dict):
            raise BadInputError("the body is not a JSON object")
        return value

    def form(self) -> dict[str, list[str]]:
        """Return the body of the request: named texts, sent as a form or as JSON."""
        kind, _ = parse_content_type(self.request.headers.get("Content-Type", ""))
        return read_form(kind, bytes(self._body))

    async def answer(self, session: Session, name: str, make: Made) -> None:
        """Respond with a document of a session."""
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
        """Respond with JSON."""
        self.set_header("Content-Type", "application/json; charset=UTF-8")
        self.finish(content if isinstance(content, bytes) else _json(content))

    def finish(self, chunk: Any = None) -> Any:
        """Send the response."""
        self._sent = super().finish(chunk)
        return self._sent

    async def send_file(self, file: Path, start: int, stop: int) -> None:
        """Send a part of a file as fast as the client reads; disconnect a stalled client."""
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
        """Respond to an error of this package with its status."""
        error = (kwargs.get("exc_info") or (None, None))[1]
        if isinstance(error, MobilityError):
            status_code = error.status
        super().send_error(status_code, **kwargs)

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """Log the traceback of a bug or a broken disk, which the client does not receive."""
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
        """Respond with the error, in one line of JSON."""
        self.finish(self.fault(status_code, (kwargs.get("exc_info") or (None, None))[1]))

    def fault(self, status: int, error: BaseException | None) -> bytes:
        """Set the headers of an error response, and return its body."""
        if isinstance(error, TooManyRequestsError):
            self.set_header("Retry-After", str(error.retry_after_s))
        if status == HTTPStatus.UNAUTHORIZED:
            self.set_header("WWW-Authenticate", "API-KEY")
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            names = ("get", "head", "post", "delete")
            # Overridden methods answer; tornado's methods refuse. HEAD is answered with GET.
            kind = type(self)
            overridden = [
                name
                for name in names
                if getattr(kind, method := "get" if name == "head" else name)
                is not getattr(JupyterHandler, method)
            ]
            self.set_header("Allow", ", ".join(overridden).upper())
        self.set_header("Content-Type", "application/json; charset=UTF-8")
        return _json(self._error_body(status, error))

    def _error_body(self, status: int, error: BaseException | None) -> dict[str, Any]:
        without_places = self.served.without_places
        if isinstance(error, DiskFullError):
            return {"error": DISK_FULL}
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            if isinstance(error, EndedError):
                return {"error": f"the work for this {error}"}
            reference = getattr(self, "_reference", "")
            is_deletion = self.request.method == "DELETE"
            return {
                "error": f"{'not everything was deleted' if is_deletion else 'something failed'}"
                f" on the server{f'; its log has more under {reference}' if reference else ''}"
            }
        if isinstance(error, BadInputError) and error.fields:
            fields = {
                name[:_NAME_LENGTH]: [without_places(line[:_MESSAGE_LENGTH]) for line in lines]
                for name, lines in error.fields.items()
            }
            if not self.both_errors:
                return {"errors": fields}
            return {"error": without_places(str(error)[:_MESSAGE_LENGTH]), "errors": fields}
        if isinstance(error, MobilityError):
            return {"error": without_places(str(error)[:_MESSAGE_LENGTH])}
        return {"error": responses.get(status, "refused").lower()}

    def on_finish(self) -> None:
        """Log who read or changed which session, and whose requests were rejected."""
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
    """Return the signed name of a session.

    A demo's name must not open a session with the same ID.
    """
    return f"demo:{session_id}" if demo else session_id


class Absent(Handler):
    """Responds to unknown addresses under the prefix with JSON."""

    what = "what is not there"

    def begin_body(self, connection: Any) -> None:
        """Reject the request after authentication."""
        raise NotFoundError(
            "this address does not exist; see the documentation for valid addresses"
        )


def _json(content: Mapping[str, Any] | list[Any]) -> bytes:
    # Errors quote requests, whose lone surrogates have no bytes in UTF-8.
    text = json.dumps(content, ensure_ascii=False, allow_nan=False)
    return text.encode(errors="backslashreplace")
