"""Who may do what: one table of actions, asked by every handler."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from mobility.errors import NotPermittedError
from mobility.server.keys import Role

Action = Literal["read", "annotate", "create", "create for others", "delete", "export", "erase"]

EVERYBODY: frozenset[Role] = frozenset({"administrator", "professional", "participant"})
_STAFF: frozenset[Role] = frozenset({"administrator", "professional"})
_ADMINISTRATORS: frozenset[Role] = frozenset({"administrator"})

OWN: Mapping[Action, frozenset[Role]] = {
    "read": EVERYBODY,
    "annotate": EVERYBODY,
    "create": EVERYBODY,
    "create for others": _ADMINISTRATORS,
    "delete": EVERYBODY,
    "export": EVERYBODY,
    "erase": EVERYBODY,
}
"""Who may do it with what is their own."""

OTHERS: Mapping[Action, frozenset[Role]] = {
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
    role: Role
    user_id: str | None
    """Whose sessions are their own; None where that is nobody."""

    def owns(self, user_id: str) -> bool:
        """Whether what belongs to `user_id` is their own."""
        return self.user_id is not None and self.user_id == user_id

    def may(self, action: Action, user_id: str) -> bool:
        """Whether they may do it with what belongs to `user_id`."""
        return self.role in (OWN if self.owns(user_id) else OTHERS)[action]


def permit(caller: Caller, action: Action, user_id: str) -> None:
    """Refuse what the caller may not do with what belongs to `user_id`.

    Raises
    ------
    NotPermittedError
        It says what; an administrator may.
    """
    if not caller.may(action, user_id):
        raise NotPermittedError(
            f"the role {caller.role} may not {_TOLD[action]}; ask an administrator"
        )
