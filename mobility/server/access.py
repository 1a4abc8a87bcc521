"""Who may do what: one table of actions, asked by every handler."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from mobility.errors import NotPermittedError
from mobility.server.keys import ROLES

Action = Literal["read", "annotate", "create", "create for others", "delete", "export", "erase"]

SIGNED = "signed address"
"""In the place of a role: it was let in by an address that a document holds."""

EVERYBODY = frozenset[str](ROLES)
_STAFF = frozenset[str]({"administrator", "professional"})
_ADMINISTRATORS = frozenset[str]({"administrator"})

OWN: Mapping[Action, frozenset[str]] = {
    "read": EVERYBODY,
    "annotate": EVERYBODY,
    "create": EVERYBODY,
    "create for others": _ADMINISTRATORS,
    "delete": EVERYBODY,
    "export": EVERYBODY,
    "erase": EVERYBODY,
}
"""Who may do it with what is their own."""

OTHERS: Mapping[Action, frozenset[str]] = {
    "read": _STAFF,
    "annotate": _STAFF,
    "create": _ADMINISTRATORS,
    "create for others": _ADMINISTRATORS,
    "delete": _ADMINISTRATORS,
    "export": _ADMINISTRATORS,
    "erase": _ADMINISTRATORS,
}
"""Who may do it with what is somebody else's."""

_TOLD: Mapping[Action, str] = {
    "read": "see this session",
    "annotate": "change this session",
    "create": "create sessions for somebody else",
    "create for others": "create sessions for somebody else",
    "delete": "delete this session",
    "export": "have everything of this participant",
    "erase": "delete everything of this participant",
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

    def owns(self, user_id: str) -> bool:
        """Whether what belongs to `user_id` is their own."""
        return self.user_id is not None and self.user_id == user_id

    def may(self, action: Action, user_id: str) -> bool:
        """Whether they may do it with what belongs to `user_id`."""
        if self.role == SIGNED:
            return action == "read"  # of that file, which its signature says
        return self.role in (OWN if self.owns(user_id) else OTHERS)[action]


STRANGER = Caller("nobody known", "none", None)
"""Who asks, before it is known."""


def permit(caller: Caller, action: Action, user_id: str) -> None:
    """Refuse what the caller may not do with what belongs to `user_id`."""
    if not caller.may(action, user_id):
        raise NotPermittedError(
            f"the role {caller.role} may not {_TOLD[action]}; ask an administrator"
        )
