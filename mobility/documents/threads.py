"""Threads of a session: texts on each metric, the evidence for them, and messages from people.

The ID of a thread depends on its session, kind, metric, system and data, so the same data give the
same threads. Threads of the demo are made on demand and never written.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

from mobility import __version__, tables
from mobility.assessment.comments import KEYS, SUMMARY, comments, recommendations
from mobility.assessment.findings import Finding, find
from mobility.base.options import likely, quoted, validate
from mobility.base.provenance import code_digest
from mobility.base.writing import FOLDER_MODE
from mobility.catalogue import registry
from mobility.documents.contract import Evidence, MeasurementSystem, Message, Thread, ThreadKind
from mobility.documents.fill import rounded
from mobility.documents.of_session import verdict_of
from mobility.errors import BadInputError, NotFoundError, StorageError
from mobility.sessions.files import (
    check_decodable,
    check_name,
    read_json,
    sweep,
    write_json,
    writing,
)
from mobility.sessions.record import now
from mobility.sessions.stored_session import StoredSession, current_user

KINDS: tuple[ThreadKind, ...] = get_args(ThreadKind)
SYSTEMS: tuple[MeasurementSystem, ...] = get_args(MeasurementSystem)
MESSAGE_LENGTH = 10_000

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_LENGTH = 24
_TEXTS = {"summary": comments, "recommendation": recommendations}


def create_threads(session: StoredSession, kind: str, *, system: str = "metric") -> dict[str, str]:
    """Return the threads on a session's current data; missing threads are made.

    Older threads of the same kind and system are kept, and marked as superseded. The `kind` is
    "summary" (the findings) or "recommendation" (what to do about them). The `system` is "metric"
    (cm, kg) or "imperial" (inches, pounds). The result contains the ID of the thread for each
    metric, and under ``final_summary`` the ID for the whole exercise.
    """
    checked_kind, units = check_threads(session, kind, system=system)
    threads_now = list(_threads_now(session, checked_kind, units))
    ids: dict[str, str] = {thread.metric: thread.id for thread in threads_now}
    if session.store.read_only or _is_current(session, threads_now):
        return ids
    with _writing(session) as folder:
        for thread in threads_now:
            file = folder / f"{thread.id}.json"
            if not file.is_file():
                write_json(file, thread.model_dump(mode="json"))
        for thread in _stored(session):
            if (thread.kind, thread.system) != (checked_kind, units):
                continue
            new = ids[thread.metric]
            superseded_by = None if new == thread.id else new
            if thread.superseded_by != superseded_by:
                changed = thread.model_copy(update={"superseded_by": superseded_by})
                write_json(folder / f"{thread.id}.json", changed.model_dump(mode="json"))
    return ids


def check_threads(
    session: StoredSession, kind: str, *, system: str
) -> tuple[ThreadKind, MeasurementSystem]:
    """Check the arguments of :func:`create_threads` before any analysis."""
    checked_kind: ThreadKind = _checked_choice(KINDS, kind, "kind")
    units: MeasurementSystem = _checked_choice(SYSTEMS, system, "system")
    session.record.require("threads", f"{kind} threads")
    session.analyzed()
    return checked_kind, units


def thread(session: StoredSession, thread_id: str) -> dict[str, Any]:
    """Return one thread."""
    return _thread(session, thread_id).model_dump(mode="json")


def threads(session: StoredSession, kind: str | None = None) -> list[dict[str, Any]]:
    """Return all threads of a session, or those of one kind, the oldest first.

    The demo has threads in both systems.
    """
    wanted = KINDS if kind is None else (_checked_choice(KINDS, kind, "kind"),)
    if session.store.read_only:
        listed = [
            thread
            for each in wanted
            for system in SYSTEMS
            for thread in _threads_now(session, each, system)
        ]
    else:
        listed = [thread for thread in _stored(session) if thread.kind in wanted]
        listed.sort(key=lambda thread: (thread.created_at, KEYS.index(thread.metric), thread.id))
    return [thread.model_dump(mode="json") for thread in listed]


def append_message(
    session: StoredSession, thread_id: str, text: str, *, by: str | None = None
) -> dict[str, Any]:
    """Add a message of 1 to 10 000 characters to a thread, and return the thread.

    `by` is its author, by default the user of this computer. The demo accepts no messages.
    """
    session.store.require_writable()
    message = Message(
        role="person",
        who=check_name(by if by is not None else current_user(), what="by"),
        when=now(),
        text=_checked_text(text),
    )
    _thread(session, thread_id)
    with _writing(session) as folder:
        current = _thread(session, thread_id)
        changed = current.model_copy(update={"messages": [*current.messages, message]})
        write_json(folder / f"{current.id}.json", changed.model_dump(mode="json"))
    return changed.model_dump(mode="json")


def _threads_now(
    session: StoredSession, kind: ThreadKind, system: MeasurementSystem
) -> Iterator[Thread]:
    """Make the threads on the present data, in memory."""
    record = session.record
    record.require("threads", f"{kind} threads")
    metrics = session.metrics()
    if session.record.stages != record.stages:
        raise StorageError(
            f"session {session.id}: is being analysed; try again when the analysis is done"
        )
    participant = session.participant
    name = participant.display_name if participant else None
    person: dict[str, Any] = {}
    if kind == "summary" and participant:
        person = {"height_m": participant.height_m, "weight_kg": participant.weight_kg}
    verdict = verdict_of(session, metrics)
    # The key covers everything that the texts name, and the rules and words. Threads of the demo
    # keep their ids, so that links to them stay valid.
    code = (code_digest(), registry.digest(record.kind, pages=True))
    words = () if session.store.read_only else (*code, verdict.text)
    inputs = (record.stages["metrics"].sha256, name, *person.values(), *words)
    data_key = hashlib.sha256(repr(inputs).encode()).hexdigest()
    say = _TEXTS[kind]
    person |= {"system": system, "verdict": verdict}
    plain = say(metrics, name=name, level="participant", **person)
    expert = say(metrics, name=name or record.user_id, level="professional", **person)
    findings = verdict.keep(find(metrics))
    when = record.stages["metrics"].finished if session.store.read_only else now()
    for metric in KEYS:
        yield Thread(
            id=_id(session.id, kind, metric, system, data_key),
            session_id=session.id,
            kind=kind,
            metric=metric,
            system=system,
            data_key=data_key,
            created_at=when,
            messages=[
                Message(role="workbench", who=f"mobility {__version__}", when=when, text=text)
                for text in (
                    plain[metric],
                    tables.sentence("documents.for_professional", text=expert[metric]),
                )
            ],
            evidence=[
                _evidence(finding)
                for finding in findings
                if metric == SUMMARY or finding.group == metric
            ],
        )


def _id(*parts: str) -> str:
    number = int.from_bytes(hashlib.sha256("\n".join(parts).encode()).digest(), "big")
    letters = []
    for _ in range(_LENGTH):
        number, index = divmod(number, len(_ALPHABET))
        letters.append(_ALPHABET[index])
    return f"thread_{''.join(letters)}"


def _evidence(finding: Finding) -> Evidence:
    def number(value: float | None) -> float | None:
        return None if value is None else rounded(value, 4)

    interval = None
    if finding.interval is not None:
        low, high = (round(bound, 4) for bound in finding.interval)
        interval = (low, high)
    return Evidence.model_validate(
        {
            "metric": finding.metric,
            "side": finding.side or None,
            "value": number(finding.value),
            "interval": interval,
            "units": finding.units,
            "threshold": number(finding.threshold),
            "probability": number(finding.probability),
            "status": finding.status,
            "result": finding.result,
            "rule": finding.rule,
            "source": finding.source,
        }
    )


def _folder(session: StoredSession) -> Path:
    return session.folder / "threads"


def _stored(session: StoredSession) -> list[Thread]:
    folder = _folder(session)
    if not folder.is_dir():
        return []
    return [_read(file) for file in sorted(folder.glob("thread_*.json"))]


def _read(file: Path) -> Thread:
    try:
        return validate(Thread, read_json(file), what=f"{file}")
    except BadInputError as error:
        raise StorageError(
            f"thread {file.stem}: its file is damaged ({error}); restore it, or delete it"
        ) from None


def _thread(session: StoredSession, thread_id: str) -> Thread:
    if not (
        isinstance(thread_id, str)
        and thread_id.startswith("thread_")
        and len(thread_id) == len("thread_") + _LENGTH
        and all(letter in _ALPHABET for letter in thread_id.removeprefix("thread_"))
    ):
        raise BadInputError(
            f"thread ID {quoted(thread_id)}: must be 'thread_' followed by {_LENGTH} letters or "
            "digits"
        )
    if session.store.read_only:
        existing = (
            t for kind in KINDS for system in SYSTEMS for t in _threads_now(session, kind, system)
        )
        match = next((each for each in existing if each.id == thread_id), None)
        if match is not None:
            return match
    elif (file := _folder(session) / f"{thread_id}.json").is_file():
        return _read(file)
    raise NotFoundError(f"thread {thread_id}: does not belong to session {session.id}")


def _is_current(session: StoredSession, threads_now: list[Thread]) -> bool:
    """Whether the threads made are stored, and all others of their kind are superseded."""
    stored = {
        thread.id: thread.superseded_by
        for thread in _stored(session)
        if (thread.kind, thread.system) == (threads_now[0].kind, threads_now[0].system)
    }
    ids = {thread.id for thread in threads_now}
    return ids <= stored.keys() and all(
        (superseded_by is None) == (thread_id in ids) for thread_id, superseded_by in stored.items()
    )


@contextmanager
def _writing(session: StoredSession) -> Iterator[Path]:
    """Hold the lock on a session's threads, make their folder, and yield it."""
    folder = _folder(session)
    # A separate lock: a message need not wait for an analysis.
    what = f"the threads of session {session.id}"
    with (
        session.unless_deleted(),
        session.store.session_locked(session.id, "threads", what=what, wait_s=10),
    ):
        with writing(folder):
            folder.mkdir(FOLDER_MODE, exist_ok=True)
        sweep(folder, "thread_*.json")
        yield folder


def _checked_choice(choices: tuple[Any, ...], value: str, what: str) -> Any:
    if not isinstance(value, str) or value not in choices:
        near = likely(value, choices) if isinstance(value, str) else ""
        choice = near or f"; choose {' or '.join(map(repr, choices))}"
        raise BadInputError.of({what: f"there is no {quoted(value)}{choice}"})
    return value


def _checked_text(text: str) -> str:
    if not isinstance(text, str) or not text.strip():
        raise BadInputError.of({"text": f"must be non-empty text (got {quoted(text)})"})
    cleaned = text.strip()
    if len(cleaned) > MESSAGE_LENGTH:
        raise BadInputError.of(
            {"text": f"at most {MESSAGE_LENGTH} characters (got {len(cleaned)})"}
        )
    check_decodable(cleaned, what="text")
    for character in cleaned:
        if unicodedata.category(character) == "Cc" and character not in "\n\t\r":
            fault = f"holds the control character U+{ord(character):04X}; remove it"
            raise BadInputError.of({"text": fault})
    return cleaned
