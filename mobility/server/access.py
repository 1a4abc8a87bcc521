"""Who may do what: one table of actions, asked by every handler."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from mobility.errors import NotFoundError, NotPermittedError
from mobility.server.keys import PHONE, ROLES
from mobility.sessions.record import SessionRecord

Action = Literal["read", "annotate", "create", "create for others", "delete", "export", "erase"]

SIGNED = "signed address"
"""In the place of a role: it was let in by an address that a document holds."""

_EVERYBODY = frozenset[str](ROLES)
_PEOPLE = _EVERYBODY - {PHONE}
_STAFF = frozenset[str]({"administrator", "professional"})
_ADMINISTRATORS = frozenset[str]({"administrator"})


class Allowed(NamedTuple):
    """Roles that may do something."""

    with_own: frozenset[str]
    """With what is their own: :meth:`Caller.owns`."""
    with_others: frozenset[str]
    """With what is somebody else's."""
    in_words: str


class Owner(NamedTuple):
    """Whose something is."""

    user_id: str
    phone_key: str | None = None
    """Id of the phone's key that added it; None where no phone did."""


_FOR_OTHERS = "create sessions for other participants"
ALLOWED: Mapping[Action, Allowed] = {
    "read": Allowed(_EVERYBODY, _STAFF, "see this session"),
    "annotate": Allowed(_PEOPLE, _STAFF, "change this session"),
    "create": Allowed(_EVERYBODY, _ADMINISTRATORS, _FOR_OTHERS),
    "create for others": Allowed(_ADMINISTRATORS, _ADMINISTRATORS, _FOR_OTHERS),
    "delete": Allowed(_PEOPLE, _ADMINISTRATORS, "delete this session"),
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
    """Whose sessions are their own; None where that is nobody."""
    phone_key: str | None = None
    """Id of the key of a phone; None where it is none."""

    @property
    def is_phone(self) -> bool:
        """Whether a phone asks, for which there is nothing but what its key added."""
        return self.role == PHONE

    def owns(self, owner: Owner) -> bool:
        """Whether something is their own: of a phone only what its key added."""
        if self.is_phone and (self.phone_key is None or self.phone_key != owner.phone_key):
            return False
        return self.user_id == owner.user_id

    def may(self, action: Action, owner: Owner) -> bool:
        """Whether they may do it with what belongs to `owner`."""
        if self.role == SIGNED:
            return action == "read"  # of that file, which its signature says
        allowed = ALLOWED[action]
        return self.role in (allowed.with_own if self.owns(owner) else allowed.with_others)


STRANGER = Caller("nobody known", "none", None)
"""Who asks, before it is known."""


def owner_of(record: SessionRecord) -> Owner:
    """Whose a session is."""
    return Owner(record.user_id, record.phone_key)


def permit(caller: Caller, action: Action, owner: Owner) -> None:
    """Refuse what the caller may not do with what belongs to `owner`."""
    if not caller.may(action, owner):
        raise NotPermittedError(
            f"the role {caller.role} may not {ALLOWED[action].in_words}; ask an administrator"
        )


def permit_session(caller: Caller, action: Action, session_id: str, owner: Owner) -> None:
    """Refuse what the caller may not do with a session; a phone sees no trace of others'."""
    if caller.is_phone and not caller.may("read", owner):
        raise absent(session_id)
    permit(caller, action, owner)


def absent(session_id: str) -> NotFoundError:
    """Fault of a session that does not exist; unlike the store's, it names no others."""
    return NotFoundError(f"session {session_id}: does not exist")
