"""What is kept no longer: sessions by age, number or participant, and summaries of old batches."""

from __future__ import annotations

import datetime
import logging
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mobility.batch.summary import read_summary
from mobility.errors import BadInputError, InUseError, MobilityError, NotFoundError, StorageError
from mobility.privacy.traces import leave_out, remove_unfinished, traces_of
from mobility.sessions.files import (
    DELETING,
    check_id,
    entries_with_prefix,
    read_json,
    remove_checkpoints,
    sweep,
)
from mobility.sessions.scratch import sweep_scratch
from mobility.sessions.shared_reports import Trace
from mobility.sessions.store import PARTICIPANTS, VALIDATION_ENDING
from mobility.store import Store

log = logging.getLogger(__name__)

_UNITS = {"h": "hours", "d": "days", "w": "weeks"}


@dataclass(frozen=True)
class Doomed:
    """Something that is to be deleted."""

    name: str
    """Id of a session, or name of the folder of a batch."""
    kind: str
    """"session" or "batch"."""
    user_id: str
    since: datetime.datetime
    bytes: int


def duration(text: str) -> datetime.timedelta:
    """Length of time from ``12h``, ``90d`` or ``6w``."""
    found = re.fullmatch(r"(\d{1,6})([hdw])", text.strip())
    if not found or int(found[1]) == 0:
        raise BadInputError(f"{text!r}: write a length of time as 12h, 90d or 6w")
    return datetime.timedelta(**{_UNITS[found[2]]: int(found[1])})


def to_prune(
    store: Store,
    *,
    older_than: datetime.timedelta | None = None,
    keep: int | None = None,
    user_id: str | None = None,
) -> list[Doomed]:
    """List what a rule of retention would delete, the oldest first; nothing is changed.

    Sessions created longer ago than `older_than`, and, without `user_id`, batches that ended longer
    ago; or all sessions but the newest `keep`. One whose record is damaged is never listed.
    """
    if (older_than is None) == (keep is None):
        raise BadInputError("give an age or a number to keep, and not both")
    if keep is not None and keep < 0:
        raise BadInputError(f"keep {keep}: must be 0 or more")
    if user_id is not None:
        check_id(user_id, what="user_id")
    sessions = [
        session
        for session in store.sessions()
        if user_id is None or session.record.user_id == user_id
    ]
    found = []
    if keep is not None:
        sessions = sessions[: max(0, len(sessions) - keep)]
    elif older_than is not None:
        try:
            limit = datetime.datetime.now().astimezone() - older_than
        except OverflowError:
            raise BadInputError(
                f"an age of {older_than.days} days: is too long, it goes back to before the year 1"
            ) from None
        sessions = [session for session in sessions if session.record.created_at < limit]
        found = [] if user_id else _old_batches(store.reports, limit)
    for session in sessions:
        record = session.record
        size = session.size + _bytes(session.report_folder)
        found.append(Doomed(session.id, "session", record.user_id, record.created_at, size))
    return sorted(found, key=lambda each: each.since)


def prune(store: Store, doomed: Doomed) -> None:
    """Delete one thing of :func:`to_prune` for good."""
    if doomed.kind == "session":
        store.delete(doomed.name)
        return
    leave_out(store.reports / doomed.name, lambda _: True)


def what_is_of(store: Store, user_id: str) -> list[Path]:
    """List files and folders that hold what is stored of a participant.

    Their record, the folders of their sessions, and of the reports of these; of a store behind a
    URL those of its working copy. A session with a damaged record counts if that still names them.
    """
    check_id(user_id, what="user_id")
    store.copy.fetch_document(f"{PARTICIPANTS}/{user_id}.json")
    record = store.path / PARTICIPANTS / f"{user_id}.json"
    found = [record] if record.is_file() else []
    for session_id in sessions_of(store, user_id):
        folders = (
            store.path / session_id,
            store.reports / session_id,
            store.reports / f"{session_id}{VALIDATION_ENDING}",
        )
        found += [folder for folder in folders if folder.is_dir()]
    return found


def named_in(store: Store, user_id: str) -> list[Trace]:
    """List what else names a participant; see :mod:`mobility.privacy.traces`."""
    return traces_of(store, user_id, sessions_of(store, user_id))


def nothing_of(store: Store, user_id: str) -> NotFoundError:
    """Say that nothing is known to be of a participant, and what may be."""
    told = f"participant {user_id}: nothing is stored about them in {store.place}"
    if left := [*store.unfinished(), *unassigned(store)]:
        told = (
            f"participant {user_id}: nothing in {store.place} is known to belong to them; but "
            f"these may: {', '.join(left)}, which are damaged, or only partly created or deleted"
        )
    return NotFoundError(told)


def erase(store: Store, user_id: str) -> list[str]:
    """Delete everything that is stored of a participant for good.

    First what was left by deletions that were interrupted, of whomever it is; and what names them
    in logs and in what is of several people, see :mod:`mobility.privacy.traces`. It is done in such
    an order that, wherever it is interrupted, doing it once more finds the rest. What is in other
    places (exports, reports written with ``--out``) is not found here. Given are ids of sessions,
    "participant" where there was a record, and "traces" where something else named them. Where
    something is in use or cannot be deleted, that is raised when all else is gone.
    """
    check_id(user_id, what="user_id")
    store.require_writable()
    deleted: list[str] = []
    of_others = _left_of_others(store, user_id)
    faults = []
    for name, fault in store.sweep().items():
        if fault is not None and name in of_others:
            log.warning("what is left of another participant is still there: %s", fault)
        elif fault is not None:
            faults.append(fault)
    traces = named_in(store, user_id)
    sweep_scratch()
    acts: list[Callable[[], object]] = [trace.remove for trace in traces]
    acts.append(partial(remove_unfinished, store.reports))
    for act in acts:
        try:
            act()
        except StorageError as error:
            faults.append(error)
    for session_id in sessions_of(store, user_id):
        try:
            store.delete(session_id)
            deleted.append(session_id)
        except NotFoundError:
            continue  # gone meanwhile
        except StorageError as error:
            faults.append(error)
    if not store.in_bucket:
        sweep(store.path / PARTICIPANTS, f"{user_id}.json")
        remove_checkpoints(store.path / PARTICIPANTS, f"{user_id}.json")
    if store.delete_document(f"{PARTICIPANTS}/{user_id}.json"):
        deleted.append("participant")
    if traces:
        deleted.append("traces")
    if faults:
        only_in_use = all(isinstance(fault, InUseError) for fault in faults)
        raise (InUseError if only_in_use else StorageError)(
            f"participant {user_id}: not everything was deleted: {faults[0]}"
        )
    return deleted


def _left_of_others(store: Store, user_id: str) -> set[str]:
    """Ids of half deleted sessions that are of another participant, as their records say."""
    found = set()
    for hidden in entries_with_prefix(store.path, DELETING):
        with suppress(MobilityError):
            record = read_json(hidden / "session.json")
            if isinstance(record, dict) and record.get("user_id", user_id) != user_id:
                found.add(hidden.name.removeprefix(DELETING))
    return found


def sessions_of(store: Store, user_id: str) -> list[str]:
    """Ids of the sessions of a participant, also of those whose record is damaged."""
    return [session for session, owner in store.owners().items() if owner == user_id]


def unassigned(store: Store) -> list[str]:
    """Ids of what may be a session of anybody: its record does not say whose it is."""
    return sorted(store.possible_sessions() - store.owners().keys())


def _old_batches(reports: Path, limit: datetime.datetime) -> list[Doomed]:
    found = []
    for folder in sorted(reports.glob("batch-*/")):
        summary = read_summary(folder)
        if summary is not None and summary.ended < limit:
            found.append(Doomed(folder.name, "batch", "", summary.ended, _bytes(folder)))
    return found


def _bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
