"""Display settings of a Joint Angle Mobility session: which angles are shown, and notes on them.

The keys are those of the documents: for each selected joint ``<joint>_angle``, which shows both
sides, ``left_<joint>_angle`` and ``right_<joint>_angle``.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from mobility.errors import FieldError
from mobility.options import likely
from mobility.sessions.record import MEASURED

FIELDS = ("shown_angles", "comments")
COMMENT_LENGTH = 2000
"""Characters that a comment may have."""


def angle_keys(joints: Sequence[str]) -> list[str]:
    """Keys of the angles of `joints`: each joint, then its left and its right side."""
    return [f"{side}{joint}_angle" for joint in joints for side in ("", "left_", "right_")]


def check_settings(
    given: Mapping[str, Any], *, joints: Sequence[str], what: str = "display settings"
) -> dict[str, Any]:
    """Return the settings that were given, if they can be stored.

    Parameters
    ----------
    given
        ``shown_angles``, a list of keys in the order of showing; ``comments``, an object from key
        to text; or one of both.
    joints
        The joints that were selected for the session.
    what
        What they belong to, for the message.

    Raises
    ------
    FieldError
        With all faults of all fields at once.
    """
    faults: dict[str, list[str]] = {}
    for field in given:
        if field not in FIELDS:
            choice = likely(field, FIELDS) or f"; give {' or '.join(FIELDS)}"
            faults[field] = [f"unknown{choice}"]
    if not given:
        faults = {field: ["is missing; give this field, the other, or both"] for field in FIELDS}
    known = angle_keys(joints)
    settings: dict[str, Any] = {}
    if "shown_angles" in given:
        found = _faults_of_shown(given["shown_angles"], known)
        if found:
            faults["shown_angles"] = found
        else:
            settings["shown_angles"] = list(given["shown_angles"])
    if "comments" in given:
        found = _faults_of_comments(given["comments"], known)
        if found:
            faults["comments"] = found
        else:
            settings["comments"] = dict(given["comments"])
    if faults:
        raise FieldError(what, faults)
    return settings


def _faults_of_shown(shown: Any, known: Sequence[str]) -> list[str]:
    if isinstance(shown, str) or not isinstance(shown, Sequence):
        return [f"must be a list of angles (got {_short(shown)})"]
    faults = []
    for number, key in enumerate(shown):
        fault = _fault_of_key(key, known)
        if fault is None and key in shown[:number]:
            fault = f"{key!r}: is given twice; leave one out"
        if fault is not None and fault not in faults:
            faults.append(fault)
    return faults


def _faults_of_comments(comments: Any, known: Sequence[str]) -> list[str]:
    if not isinstance(comments, Mapping):
        return [f"must be an object of one text for each angle (got {_short(comments)})"]
    faults = []
    for key, text in comments.items():
        fault = _fault_of_key(key, known)
        if fault is None and not isinstance(text, str):
            fault = f"{key!r}: must be a text (got {_short(text)})"
        elif fault is None and len(text) > COMMENT_LENGTH:
            fault = f"{key!r}: at most {COMMENT_LENGTH} characters (got {len(text)})"
        elif fault is None:
            strange = next((c for c in text if _cannot_be_shown(c)), None)
            if strange is not None:
                fault = f"{key!r}: holds the character U+{ord(strange):04X}; remove it"
        if fault is not None:
            faults.append(fault)
    return faults


def _fault_of_key(key: Any, known: Sequence[str]) -> str | None:
    if not isinstance(key, str):
        return f"must name angles as text (got {_short(key)})"
    if key in known:
        return None
    if key in angle_keys(MEASURED):
        joints = ", ".join(name.removesuffix("_angle") for name in known[::3])
        return f"{_short(key)}: the session has only the joints {joints}"
    choice = likely(key, known) or f"; choose of {', '.join(known)}"
    return f"{_short(key)}: unknown{choice}"


def _cannot_be_shown(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cs") and character not in "\n\t"


def _short(value: Any) -> str:
    text = ascii(value) if isinstance(value, str) and not value.isprintable() else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
