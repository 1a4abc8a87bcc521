"""Display settings of a Joint Angle Mobility session: which angles are shown, and notes on them.

The keys are those of the documents: for each selected joint ``<joint>_angle``, which shows both
sides, ``left_<joint>_angle`` and ``right_<joint>_angle``.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from mobility.errors import ConflictError, FieldError, NotFoundError
from mobility.options import likely
from mobility.sessions.files import sweep, write_json
from mobility.sessions.record import MEASURED, StoredConfig
from mobility.sessions.stored import StoredSession

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


def config(session: StoredSession) -> dict[str, Any]:
    """Display settings of a Joint Angle Mobility session: ``shown_angles``, ``comments``.

    Raises
    ------
    NotFoundError
        Nothing was saved for this session.
    BadInputError
        The session is of another exercise.
    """
    stored = session.stored_config()
    if stored is None:
        raise NotFoundError(f"session {session.id}: has no display settings yet; save some first")
    return stored.model_dump(include={"shown_angles", "comments"})


def save_config(
    session: StoredSession,
    /,
    *,
    shown_angles: Sequence[str] | None = None,
    comments: Mapping[str, str] | None = None,
    revision: int | None = None,
    **unknown: Any,
) -> dict[str, Any]:
    """Save the display settings; a field that is not given stays as it is.

    Parameters
    ----------
    shown_angles
        Keys of the angles in the order of showing, of the session's joints:
        ``<joint>_angle`` for both sides, ``left_<joint>_angle``,
        ``right_<joint>_angle``. Empty is no choice: all are shown.
    comments
        Text on angles, by the same keys; it replaces all earlier ones.
    revision
        The revision that was edited (0: there was
        none), so that what was saved meanwhile is not overwritten.
    **unknown
        Refused, with the likely spelling.

    Returns
    -------
    dict
        What is stored now: ``shown_angles`` and ``comments``.

    Raises
    ------
    FieldError
        With all faults of all fields at once.
    ConflictError
        The settings are of another revision.
    BadInputError
        The session is of another exercise.
    """
    session.require_display()
    session.store.require_writable()
    given = {"shown_angles": shown_angles, "comments": comments}
    fields = {name: value for name, value in given.items() if value is not None} | unknown
    what = f"display settings of session {session.id}"
    if revision is not None and (type(revision) is not int or revision < 0):
        raise FieldError(what, {"revision": [f"must be a count (got {revision!r})"]})
    settings = check_settings(fields, joints=session.record.joints, what=what)
    with session.store.session_locked(session.id, "edits", what="the display settings", wait_s=10):
        stored = session.stored_config()
        now = stored.revision if stored else 0
        if revision is not None and revision != now:
            raise ConflictError(
                f"{what}: were saved by somebody else meanwhile (revision {now}, yours is "
                f"of {revision}); load them again, and change them once more"
            )
        kept = stored.model_dump() if stored else {"shown_angles": [], "comments": {}}
        saved = StoredConfig.model_validate({**kept, **settings, "revision": now + 1})
        sweep(session.folder, "config.json")
        write_json(session.folder / "config.json", saved.model_dump(mode="json"))
    return saved.model_dump(include={"shown_angles", "comments"})
