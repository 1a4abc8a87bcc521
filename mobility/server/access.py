"""Who may do what: one table of actions, asked by every handler."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from mobility.errors import NotPermittedError
from mobility.server.keys import ROLES

Action = Literal["read", "annotate", "create", "create for others", "delete", "export", "erase"]

SIGNED = "signed address"
"""In the place of a role: it was let in by an address that a document holds."""

_EVERYBODY = frozenset[str](ROLES)
_STAFF = frozenset[str]({"administrator", "professional"})
_ADMINISTRATORS = frozenset[str]({"administrator"})


class Allowed(NamedTuple):
    """Roles that may do something."""

    own: frozenset[str]
    """With what is their own."""
    others: frozenset[str]
    """With what is somebody else's."""
    told: str


_FOR_OTHERS = "create sessions for other participants"
ALLOWED: Mapping[Action, Allowed] = {
    "read": Allowed(_EVERYBODY, _STAFF, "see this session"),
    "annotate": Allowed(_EVERYBODY, _STAFF, "change this session"),
    "create": Allowed(_EVERYBODY, _ADMINISTRATORS, _FOR_OTHERS),
    "create for others": Allowed(_ADMINISTRATORS, _ADMINISTRATORS, _FOR_OTHERS),
    "delete": Allowed(_EVERYBODY, _ADMINISTRATORS, "delete this session"),
    "export": Allowed(_EVERYBODY, _ADMINISTRATORS, "export everything of this participant"),
    "erase": Allowed(_EVERYBODY, _ADMINISTRATORS, "delete everything of this participant"),
}


@dataclass(frozen=True)
class Caller:
    """Who is asking."""

    name: str
    """For the audit log: "key <id>" or "jupyter"; never a key."""
    role: str
    """One of ``ROLES``, ``SIGNED``, or "none", which may nothing."""
    user_id: str | None
    """Whose sessions are their own; None where that is nobody."""

    def may(self, action: Action, user_id: str) -> bool:
        """Whether they may do it with what belongs to `user_id`."""
        if self.role == SIGNED:
            return action == "read"  # of that file, which its signature says
        allowed = ALLOWED[action]
        return self.role in (allowed.own if self.user_id == user_id else allowed.others)


STRANGER = Caller("nobody known", "none", None)
"""Who asks, before it is known."""


def permit(caller: Caller, action: Action, user_id: str) -> None:
    """Refuse what the caller may not do with what belongs to `user_id`."""
    if not caller.may(action, user_id):
        raise NotPermittedError(
            f"the role {caller.role} may not {ALLOWED[action].told}; ask an administrator"
        )
