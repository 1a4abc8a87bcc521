"""Permissions: one table of actions, which every handler checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from mobility.errors import NotFoundError, NotPermittedError
from mobility.server.api_keys import PHONE, ROLES
from mobility.sessions.record import SessionRecord

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
"""Role of a caller who comes by a signed address of a document."""

_EVERYBODY = frozenset[str](ROLES)
_PEOPLE = _EVERYBODY - {PHONE}
_STAFF = frozenset[str]({"administrator", "professional"})
_ADMINISTRATORS = frozenset[str]({"administrator"})


class Allowed(NamedTuple):
    """Roles that may do something."""

    as_owner: frozenset[str]
    """With what the caller owns (:meth:`Caller.owns`)."""
    as_other: frozenset[str]
    """With what belongs to others."""
    in_words: str


class Owner(NamedTuple):
    """To whom something belongs."""

    user_id: str
    phone_key: str | None = None
    """Id of the key of the phone that added it; None if no phone did."""


_FOR_OTHERS = "create sessions for other participants"
ALLOWED: Mapping[Action, Allowed] = {
    "read": Allowed(_EVERYBODY, _STAFF, "see this session"),
    "look": Allowed(_PEOPLE, _STAFF, "see the still of this session"),
    "annotate": Allowed(_PEOPLE, _STAFF, "change this session"),
    "create": Allowed(_EVERYBODY, _ADMINISTRATORS, _FOR_OTHERS),
    # Asked before the body is read, which says for whom it is.
    "create for others": Allowed(_ADMINISTRATORS, _ADMINISTRATORS, _FOR_OTHERS),
    "delete": Allowed(_PEOPLE, _ADMINISTRATORS, "delete this session"),
    "see visits": Allowed(_PEOPLE, _STAFF, "see the visits of this participant"),
    "export": Allowed(_PEOPLE, _ADMINISTRATORS, "export everything of this participant"),
    "erase": Allowed(_PEOPLE, _ADMINISTRATORS, "delete everything of this participant"),
}


@dataclass(frozen=True)
class Caller:
    """Who is asking."""

    name: str
    """For the audit log: "key <id>" or "jupyter"; never a key."""
    role: str
    """One of ``ROLES``, ``SIGNED``, or "none", which has no rights."""
    user_id: str | None
    """Participant whose sessions the caller owns; None for nobody."""
    phone_key: str | None = None
    """Id of the key, if it is a phone's."""

    @property
    def is_phone(self) -> bool:
        """Whether a phone asks, which sees only what its key added."""
        return self.role == PHONE

    def owns(self, owner: Owner) -> bool:
        """Whether something belongs to the caller; to a phone, only what its key added."""
        if self.is_phone and (self.phone_key is None or self.phone_key != owner.phone_key):
            return False
        return self.user_id == owner.user_id

    def may(self, action: Action, owner: Owner) -> bool:
        """Whether the caller may do it with what belongs to `owner`."""
        if self.role == SIGNED:
            return action in ("read", "see visits")  # the signature names one file, of either
        allowed = ALLOWED[action]
        return self.role in (allowed.as_owner if self.owns(owner) else allowed.as_other)


STRANGER = Caller(name="nobody known", role="none", user_id=None)
"""Caller until authenticated."""


def owner_of(record: SessionRecord) -> Owner:
    """Owner of a session."""
    return Owner(record.user_id, record.phone_key)


def permit(caller: Caller, action: Action, owner: Owner) -> None:
    """Raise unless the caller may do it with what belongs to `owner`."""
    if not caller.may(action, owner):
        raise NotPermittedError(
            f"the role {caller.role} may not {ALLOWED[action].in_words}; ask an administrator"
        )


def permit_session(caller: Caller, action: Action, session_id: str, owner: Owner) -> None:
    """Raise unless the caller may do it with a session; a phone hears of no others than its own."""
    if caller.is_phone and not caller.may("read", owner):
        raise absent(session_id)
    permit(caller, action, owner)


def absent(session_id: str) -> NotFoundError:
    """Error: a session does not exist; unlike the store's, it suggests no others."""
    return NotFoundError(f"session {session_id}: does not exist")
