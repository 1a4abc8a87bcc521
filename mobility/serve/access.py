"""Access to the server: settings, permissions, limits, signed addresses, audit log.

One table of actions lists the permissions, and every handler checks this table. Token buckets limit
the requests of each caller and refill with time. Video players send no Authorization header.
Addresses of videos and pictures therefore have a signature, which is valid for one file and a
limited time. Each process has its own secret, so a restart makes all of them invalid. The audit log
has one line of JSON for each read or change of a session. Lines are only added.
"""

from __future__ import annotations

import datetime
import json
import logging
import os
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import urlencode

from tornado.web import create_signed_value, decode_signed_value
from traitlets import Enum, Float, Int, Unicode
from traitlets.config import Configurable

from mobility import Store
from mobility.base.options import require_path
from mobility.base.writing import make_folder, open_private
from mobility.errors import NotFoundError, NotPermittedError, TooManyRequestsError
from mobility.serve.api_keys import PHONE, ROLES, private_folder
from mobility.sessions.record import SessionRecord


class MobilityServer(Configurable):  # type: ignore[misc]
    """The HTTP interface of mobility."""

    store = Unicode(help="Folder of the sessions; default: MOBILITY_STORE, else data/sessions.")
    reports = Unicode(help="Folder of the reports; default: MOBILITY_REPORTS, else reports.")
    jupyter_role = Enum(
        ("", *(role for role in ROLES if role != PHONE)),
        "administrator",
        help="Role of users who log in to Jupyter or have its token. If it is empty, they need "
        "a key.",
    )
    queue_length = Int(1000, min=1, help="Most sessions that may wait for their analysis.")
    analyses_at_once = Int(1, min=1, help="Number of analyses that run at the same time.")
    pose_workers = Int(
        0,
        min=0,
        help="Processes that estimate the pose in an analysis; 0: one per processor.",
    )
    most_bytes = Int(2 * 10**9, min=1, help="Largest size of a video in bytes.")
    most_pixels = Int(
        36_000_000,
        min=0,
        help="Largest number of pixels in a frame of a video (8K has 33 million); 0: no limit.",
    )
    most_seconds = Float(600.0, min=0, help="Longest duration of a video in seconds; 0: no limit.")
    sessions_per_user = Int(0, min=0, help="Largest number of sessions of one user; 0: no limit.")
    queue_per_user = Int(
        50,
        min=0,
        help="Largest number of sessions of one user that may wait; 0: no limit. Does not "
        "apply to administrators.",
    )
    uploads_at_once = Int(256, min=1, help="Largest number of uploads at the same time.")
    uploads_per_key = Int(
        8,
        min=0,
        help="Largest number of uploads that one key may run at the same time; 0: no limit. "
        "Does not apply to administrators.",
    )
    upload_stall_seconds = Float(
        30.0,
        min=0.1,
        help="An upload is ended if fewer than upload_least_bytes bytes arrive in this many "
        "seconds.",
    )
    upload_least_bytes = Int(
        1 << 20, min=1, help="Number of bytes that must arrive in upload_stall_seconds."
    )
    memory_bytes = Int(
        12 * 10**9,
        min=0,
        help="Address space of each process of an analysis, in bytes; 0: no limit.",
    )
    analysis_seconds = Float(3600.0, min=1, help="Largest number of seconds for an analysis.")
    intake_seconds = Float(
        60.0, min=1, help="Largest number of seconds for opening and storing a video."
    )
    report_seconds = Float(300.0, min=1, help="Largest number of seconds for a report.")
    requests_per_minute = Int(
        12_000,
        min=0,
        help="Largest number of requests that one key or login may make in a minute; 0: no limit.",
    )
    requests_at_once = Int(
        8,
        min=1,
        help="Largest number of requests, besides uploads, that one key may run at the same "
        "time. Does not apply to administrators.",
    )
    idle_seconds = Float(
        30.0,
        min=0.1,
        help="A connection is ended if no complete request header arrives in this many seconds.",
    )
    refused_per_minute = Int(
        120,
        min=0,
        help="Largest number of requests without a valid key that one address may make in a "
        "minute; 0: no limit.",
    )
    media_seconds = Int(
        3600,
        min=0,
        help="Number of seconds for which the address of a video in a document works "
        "without a key.",
    )

    def store_place(self) -> str:
        """Return the path of the folder of the sessions."""
        place = self.store or os.environ.get("MOBILITY_STORE") or "data/sessions"
        require_path(place, what="store")
        return str(Path(place).absolute())

    def reports_path(self) -> Path:
        """Return the path of the folder of the reports."""
        place = self.reports or os.environ.get("MOBILITY_REPORTS") or "reports"
        require_path(place, what="reports")
        return Path(place).absolute()


for _trait in MobilityServer.class_own_traits().values():
    _trait.tag(config=True)


Action = Literal[
    "read",
    "look",
    "annotate",
    "create",
    "create for others",
    "delete",
    "see visits",
    "export",
    "erase",
]

SIGNED = "signed address"
"""Role of a caller who uses a signed address from a document."""

_EVERYBODY = frozenset[str](ROLES)
_PEOPLE = _EVERYBODY - {PHONE}
_STAFF = frozenset[str]({"administrator", "professional"})
_ADMINISTRATORS = frozenset[str]({"administrator"})


class Allowed(NamedTuple):
    """Roles with permission for an action."""

    as_owner: frozenset[str]
    """Roles that may do it with things that the caller owns (:meth:`Caller.owns`)."""
    as_other: frozenset[str]
    """Roles that may do it with things that belong to others."""
    in_words: str


class Owner(NamedTuple):
    """The owner of something."""

    user_id: str
    phone_key: str | None = None
    """ID of the key of the phone that added it; None if no phone added it."""


_FOR_OTHERS = "create sessions for other participants"
ALLOWED: Mapping[Action, Allowed] = {
    "read": Allowed(_EVERYBODY, _STAFF, "see this session"),
    "look": Allowed(_PEOPLE, _STAFF, "see the still of this session"),
    "annotate": Allowed(_PEOPLE, _STAFF, "change this session"),
    "create": Allowed(_EVERYBODY, _ADMINISTRATORS, _FOR_OTHERS),
    # Checked before the body is read, which names the participant.
    "create for others": Allowed(_ADMINISTRATORS, _ADMINISTRATORS, _FOR_OTHERS),
    "delete": Allowed(_PEOPLE, _ADMINISTRATORS, "delete this session"),
    "see visits": Allowed(_PEOPLE, _STAFF, "see the visits of this participant"),
    "export": Allowed(_PEOPLE, _ADMINISTRATORS, "export all data of this participant"),
    "erase": Allowed(_PEOPLE, _ADMINISTRATORS, "delete all data of this participant"),
}


@dataclass(frozen=True)
class Caller:
    """The person or program that sends a request."""

    name: str
    """For the audit log: "key <id>" or "jupyter"; never a key."""
    role: str
    """One of ``ROLES``, ``SIGNED``, or "none", which has no rights."""
    user_id: str | None
    """Participant whose sessions the caller owns; None for nobody."""
    phone_key: str | None = None
    """ID of the key, if it belongs to a phone."""

    @property
    def is_phone(self) -> bool:
        """Whether the caller is a phone, which sees only what its key added."""
        return self.role == PHONE

    def owns(self, owner: Owner) -> bool:
        """Return whether something belongs to the caller; to a phone, only what its key added."""
        if self.is_phone and (self.phone_key is None or self.phone_key != owner.phone_key):
            return False
        return self.user_id == owner.user_id

    def may(self, action: Action, owner: Owner) -> bool:
        """Return whether the caller may do this with something that belongs to `owner`."""
        if self.role == SIGNED:
            return action in ("read", "see visits")  # the signature names one file of these
        allowed = ALLOWED[action]
        return self.role in (allowed.as_owner if self.owns(owner) else allowed.as_other)


STRANGER = Caller(name="nobody known", role="none", user_id=None)
"""Caller before authentication."""


def owner_of(record: SessionRecord) -> Owner:
    """Return the owner of a session."""
    return Owner(record.user_id, record.phone_key)


def permit(caller: Caller, action: Action, owner: Owner) -> None:
    """Raise an error unless the caller may do this with something that belongs to `owner`."""
    if not caller.may(action, owner):
        raise NotPermittedError(
            f"the role {caller.role} may not {ALLOWED[action].in_words}; ask an administrator"
        )


def permit_session(caller: Caller, action: Action, session_id: str, owner: Owner) -> None:
    """Raise an error unless the caller may use a session.

    A phone does not learn of other sessions.
    """
    if caller.is_phone and not caller.may("read", owner):
        raise absent(session_id)
    permit(caller, action, owner)


def absent(session_id: str) -> NotFoundError:
    """Return the error for a missing session; unlike the store's error, it suggests no others."""
    return NotFoundError(f"session {session_id}: does not exist")


_MOST_CALLERS = 10_000


class Rates:
    """A bucket for each caller, which holds the requests of one minute; 0: no limit."""

    def __init__(self, per_minute: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._size = float(per_minute)
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, caller: str) -> None:
        """Take one request out of a caller's bucket."""
        if not self._size:
            return
        now = self._clock()
        left, then = self._buckets.pop(caller, (self._size, now))
        left = min(self._size, left + (now - then) * self._size / 60)
        self._buckets[caller] = (max(0.0, left - 1), now)
        # The caller who was silent for longest goes first: that bucket is most likely full.
        while len(self._buckets) > _MOST_CALLERS:
            self._buckets.popitem(last=False)
        if left < 1:
            raise TooManyRequestsError(
                f"too many requests: at most {self._size:.0f} a minute; try again later",
                retry_after_s=max(1, round((1 - left) * 60 / self._size)),
            )


_DAY_S = 86_400
_VERSION = 2
"""Version of tornado's signed values: HMAC-SHA256 of the name, value and time."""


class MediaKeys:
    """Signs addresses, which are valid for `seconds`; if 0, no address works without a key."""

    def __init__(self, seconds: int, *, clock: Callable[[], float] = time.time) -> None:
        self._seconds = seconds
        self._clock = clock
        self._secret = secrets.token_bytes(32)

    def query(self, session_id: str, name: str, who: str) -> str:
        """Return the query of a file's address, signed for `who`; empty if it is not signed."""
        if not self._seconds:
            return ""
        signed = create_signed_value(
            self._secret, f"{session_id}/{name}", who, version=_VERSION, clock=self._clock
        )
        # The name contains "key", so the log of Jupyter Server hides the value.
        return urlencode({"media_key": signed})

    def signed_for(self, session_id: str, name: str, media_key: str) -> str | None:
        """Return the caller for whom an address was signed; None if invalid or expired."""
        who = decode_signed_value(
            self._secret,
            f"{session_id}/{name}",
            media_key,
            max_age_days=self._seconds / _DAY_S,
            clock=self._clock,
            min_version=_VERSION,
        )
        return None if who is None else who.decode()


log = logging.getLogger(__name__)


class Audit:
    """``.server/audit.jsonl`` in the store.

    Lines contain the IDs of keys and sessions, but no names. After a participant's keys are
    deleted, no line can be traced to that person.
    """

    def __init__(self, store: Store) -> None:
        self._file = private_folder(store) / "audit.jsonl"

    def note(self, entry: Mapping[str, object]) -> None:
        """Append one line: the time, and `entry`."""
        when = datetime.datetime.now().astimezone().isoformat(timespec="milliseconds")
        line = json.dumps({"when": when, **entry})
        try:
            make_folder(self._file.parent)
            # Opened for each line, so that the file can be rotated. A single write is atomic.
            with open_private(self._file, "ab", buffering=0) as file:
                file.write(f"{line}\n".encode())
        except OSError as error:
            # The store may be read-only; the server's log then has the line.
            log.warning("audit log %s: %s; %s", self._file, error.strerror, line)
