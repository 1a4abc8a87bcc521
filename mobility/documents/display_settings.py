"""Display settings of a session with joint movements: which angles are shown, and comments on them.

The keys are the same as in documents. Each selected joint has ``<joint>_angle``, which shows both
sides, ``left_<joint>_angle`` and ``right_<joint>_angle``.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from mobility.base.options import likely
from mobility.catalogue.joints import MEASURED
from mobility.errors import BadInputError, ConflictError, NotFoundError
from mobility.sessions.files import sweep, write_json
from mobility.sessions.record import DisplayConfig, StoredConfig
from mobility.sessions.stored_session import StoredSession

FIELDS = tuple(DisplayConfig.model_fields)
COMMENT_LENGTH = 2000
"""Largest number of characters in a comment."""


def angle_keys(joints: Sequence[str]) -> list[str]:
    """Return the keys of the angles of `joints`: each joint, then its left and its right side."""
    return [f"{side}{joint}_angle" for joint in joints for side in ("", "left_", "right_")]


def refuse_null(values: Mapping[str, Any], *, what: str) -> None:
    """Raise an error for settings that are null; settings without a value must be left out."""
    faults = {name: "is null; leave it out" for name, value in values.items() if value is None}
    if faults:
        raise BadInputError.of(faults, what=what)


def check_settings(
    values: Mapping[str, Any], *, joints: Sequence[str], what: str = "display settings"
) -> dict[str, Any]:
    """Return the settings if they are valid.

    Errors begin with `what`, the owner of the settings.
    """
    faults: dict[str, list[str]] = {}
    for field in values:
        if field not in FIELDS:
            choice = likely(field, FIELDS) or f"; give {' or '.join(FIELDS)}"
            faults[field] = [f"unknown{choice}"]
    if not values:
        faults = {field: ["is missing; give this field, the other, or both"] for field in FIELDS}
    keys = angle_keys(joints)
    settings: dict[str, Any] = {}
    for field, faults_of, kept_as in (
        ("shown_angles", _faults_of_shown, list),
        ("comments", _faults_of_comments, dict),
    ):
        if field in values and (field_faults := faults_of(values[field], keys)):
            faults[field] = field_faults
        elif field in values:
            settings[field] = kept_as(values[field])
    if faults:
        raise BadInputError.of(faults, what=what)
    return settings


def _faults_of_shown(angles: Any, keys: Sequence[str]) -> list[str]:
    if isinstance(angles, str) or not isinstance(angles, Sequence):
        return [f"must be a list of angles (got {_shortened(angles)})"]
    faults = []
    for number, key in enumerate(angles):
        fault = _fault_of_key(key, keys)
        if fault is None and key in angles[:number]:
            fault = f"{key!r}: is given twice; leave one out"
        if fault is not None and fault not in faults:
            faults.append(fault)
    return faults


def _faults_of_comments(comments: Any, keys: Sequence[str]) -> list[str]:
    if not isinstance(comments, Mapping):
        return [f"must be an object with one text for each angle (got {_shortened(comments)})"]
    faults = []
    for key, text in comments.items():
        fault = _fault_of_key(key, keys)
        if fault is None and not isinstance(text, str):
            fault = f"{key!r}: must be text (got {_shortened(text)})"
        elif fault is None and len(text) > COMMENT_LENGTH:
            fault = f"{key!r}: at most {COMMENT_LENGTH} characters (got {len(text)})"
        elif fault is None:
            strange = next((c for c in text if _cannot_be_shown(c)), None)
            if strange is not None:
                fault = f"{key!r}: holds the character U+{ord(strange):04X}; remove it"
        if fault is not None:
            faults.append(fault)
    return faults


def _fault_of_key(key: Any, keys: Sequence[str]) -> str | None:
    if not isinstance(key, str):
        return f"must name angles as text (got {_shortened(key)})"
    if key in keys:
        return None
    if key in angle_keys(MEASURED):
        joints = ", ".join(name.removesuffix("_angle") for name in keys[::3])
        return f"{_shortened(key)}: the session has only the joints {joints}"
    choice = likely(key, keys) or f"; choose from {', '.join(keys)}"
    return f"{_shortened(key)}: unknown{choice}"


def _cannot_be_shown(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cs") and character not in "\n\t"


def _shortened(value: Any) -> str:
    text = ascii(value) if isinstance(value, str) and not value.isprintable() else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def config(session: StoredSession) -> dict[str, Any]:
    """Return the display settings of a session with joint movements: shown angles and comments."""
    stored = session.stored_config()
    if stored is None:
        raise NotFoundError(f"session {session.id}: has no display settings yet; save some first")
    return stored.settings()


def save_config(
    session: StoredSession,
    /,
    *,
    shown_angles: Sequence[str] | None = None,
    comments: Mapping[str, str] | None = None,
    revision: int | None = None,
    **unknown: Any,
) -> dict[str, Any]:
    """Save the display settings, and return them; fields that are not passed do not change.

    `shown_angles` are keys of the session's joints, in the order in which the angles are shown:
    ``<joint>_angle`` for both sides, ``left_<joint>_angle`` and ``right_<joint>_angle``. If it is
    empty, all angles are shown. `comments` are texts by the same keys, and replace all earlier
    ones. `revision` is the revision that was edited (0 if there was none); if somebody has saved a
    newer one, a ConflictError is raised. The errors in all fields are raised together.
    """
    session.record.require("display settings")
    session.store.require_writable()
    both = {"shown_angles": shown_angles, "comments": comments}
    fields = {name: value for name, value in both.items() if value is not None} | unknown
    what = f"display settings of session {session.id}"
    if revision is not None and (type(revision) is not int or revision < 0):
        raise BadInputError.of({"revision": f"must be a count (got {revision!r})"}, what=what)
    settings = check_settings(fields, joints=session.record.joints, what=what)
    with session.store.session_locked(session.id, "edits", what="the display settings", wait_s=10):
        stored = session.stored_config()
        now = stored.revision if stored else 0
        if revision is not None and revision != now:
            raise ConflictError(
                f"{what}: somebody has saved these settings since you loaded them (revision "
                f"{now}, yours is {revision}); load them again and repeat your change"
            )
        stored_settings = stored.model_dump() if stored else {"shown_angles": [], "comments": {}}
        saved = StoredConfig.model_validate({**stored_settings, **settings, "revision": now + 1})
        sweep(session.folder, "config.json")
        write_json(session.folder / "config.json", saved.model_dump(mode="json"))
    return saved.settings()
