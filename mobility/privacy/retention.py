"""Deletion of sessions by age, number or participant, and of summaries of old batches."""

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
from mobility.privacy.traces import remove_rows, remove_unfinished, traces_of
from mobility.sessions.files import (
    DELETING,
    PARTICIPANTS,
    VISITS,
    check_id,
    entries_with_prefix,
    fault_of,
    not_all_deleted,
    read_json,
)
from mobility.sessions.folder import delete_document
from mobility.sessions.reports import Trace, remove_visits_of, report_places
from mobility.sessions.scratch import sweep_scratch
from mobility.store import Store

log = logging.getLogger(__name__)

_UNITS = {"h": "hours", "d": "days", "w": "weeks"}


@dataclass(frozen=True)
class ToDelete:
    """A session or a batch to be deleted."""

    name: str
    """Id of a session, or name of the folder of a batch."""
    kind: str
    """"session" or "batch"."""
    user_id: str
    since: datetime.datetime
    bytes: int


def duration(text: str) -> datetime.timedelta:
    """Length of time from ``12h``, ``90d`` or ``6w``."""
    parts = re.fullmatch(r"(\d{1,6})([hdw])", text.strip())
    if not parts or int(parts[1]) == 0:
        fault = f"write a length of time as 12h, 90d or 6w (got {text!r})"
        raise BadInputError.of({"older_than": fault})
    return datetime.timedelta(**{_UNITS[parts[2]]: int(parts[1])})


def to_prune(
    store: Store,
    *,
    older_than: datetime.timedelta | None = None,
    keep: int | None = None,
    user_id: str | None = None,
) -> list[ToDelete]:
    """List what a retention rule would delete, the oldest first; nothing is changed.

    Sessions created longer ago than `older_than`, and, without `user_id`, batches that ended longer
    ago; or all sessions but the newest `keep`. Sessions with a damaged record are never listed.
    """
    if (older_than is None) == (keep is None):
        raise BadInputError("give an age or a number to keep, and not both")
    if keep is not None and keep < 0:
        raise BadInputError.of({"keep": f"must be 0 or more (got {keep})"})
    if user_id is not None:
        check_id(user_id, what="user_id")
    sessions = [
        session
        for session in store.sessions()
        if user_id is None or session.record.user_id == user_id
    ]
    to_delete = []
    if keep is not None:
        sessions = sessions[: max(0, len(sessions) - keep)]
    elif older_than is not None:
        try:
            limit = datetime.datetime.now().astimezone() - older_than
        except OverflowError:
            fault = f"{older_than.days} days go back to before the year 1; give a shorter time"
            raise BadInputError.of({"older_than": fault}) from None
        sessions = [session for session in sessions if session.record.created_at < limit]
        to_delete = [] if user_id else _old_batches(store.reports, limit)
    for session in sessions:
        record = session.record
        size = session.size + _bytes(session.report_folder)
        to_delete.append(ToDelete(session.id, "session", record.user_id, record.created_at, size))
    return sorted(to_delete, key=lambda entry: entry.since)


def prune(store: Store, item: ToDelete) -> None:
    """Delete one item of :func:`to_prune` for good."""
    if item.kind == "session":
        store.delete(item.name)
        return
    remove_rows(store.reports / item.name, lambda _: True)


def files_of_participant(store: Store, user_id: str) -> list[Path]:
    """List the files and folders of a participant: record, sessions, and reports on these.

    A session with a damaged record counts if that still names the participant.
    """
    check_id(user_id, what="user_id")
    record = store.path / PARTICIPANTS / f"{user_id}.json"
    paths = [record] if record.is_file() else []
    for session_id in sessions_of(store, user_id):
        folders = (store.path / session_id, *report_places(store.reports, session_id))
        paths += [folder for folder in folders if folder.is_dir()]
    of_visits = store.reports / VISITS / user_id
    return [*paths, *([of_visits] if of_visits.is_dir() else [])]


def other_traces(store: Store, user_id: str) -> list[Trace]:
    """List other files that name a participant; see :mod:`mobility.privacy.traces`."""
    return traces_of(store, user_id, sessions_of(store, user_id))


def nothing_stored_error(store: Store, user_id: str) -> NotFoundError:
    """Error that nothing is known to belong to a participant; it names what may."""
    message = f"participant {user_id}: nothing is stored about them in {store.place}"
    if left := [*store.unfinished(), *unassigned(store)]:
        message = (
            f"participant {user_id}: nothing in {store.place} is known to belong to them; but "
            f"these may: {', '.join(left)}, which are damaged, or only partly created or deleted"
        )
    return NotFoundError(message)


def erase(store: Store, user_id: str) -> list[str]:
    """Delete everything that is stored of a participant for good.

    Interrupted deletions, of anybody, are finished first; then traces in logs and in reports on
    several people are removed, see :mod:`mobility.privacy.traces`. In this order, a deletion that
    was interrupted anywhere can be repeated and removes the rest. Files in other places (exports,
    reports written with ``--out``) stay. Returns ids of sessions, "participant" if there was a
    record, and "traces" if other files named the participant. What is in use or cannot be deleted
    is raised after everything else is gone.
    """
    check_id(user_id, what="user_id")
    store.require_writable()
    deleted: list[str] = []
    of_others = _unfinished_of_others(store, user_id)
    faults = []
    for name, fault in store.sweep().items():
        if fault is not None and name in of_others:
            log.warning("what is left of another participant is still there: %s", fault)
        elif fault is not None:
            faults.append(fault)
    traces = other_traces(store, user_id)
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
        except BadInputError:  # a folder whose name is no id, as of a copy
            place = store.path / session_id
            words = f"{place}: its name is no id of a session; delete this folder by hand"
            faults.append(StorageError(words))
        except StorageError as error:
            faults.append(error)
    if (fault := fault_of(remove_visits_of, store.reports, user_id)) is not None:
        faults.append(fault)
    try:
        if delete_document(store.path, f"{PARTICIPANTS}/{user_id}.json"):
            deleted.append("participant")
    except StorageError as error:
        faults.append(error)
    if traces:
        deleted.append("traces")
    if faults:
        fault = next((each for each in faults if not isinstance(each, InUseError)), faults[0])
        raise not_all_deleted(f"participant {user_id}", fault) from fault
    return deleted


def _unfinished_of_others(store: Store, user_id: str) -> set[str]:
    """Ids of half deleted sessions whose records name another participant."""
    session_ids = set()
    for hidden in entries_with_prefix(store.path, DELETING):
        with suppress(MobilityError):
            record = read_json(hidden / "session.json")
            if isinstance(record, dict) and record.get("user_id", user_id) != user_id:
                session_ids.add(hidden.name.removeprefix(DELETING))
    return session_ids


def sessions_of(store: Store, user_id: str) -> list[str]:
    """Ids of the sessions of a participant, those with a damaged record included."""
    return [session for session, owner in store.owners().items() if owner == user_id]


def unassigned(store: Store) -> list[str]:
    """Ids of possible sessions whose record names no participant: they may be anybody's."""
    return sorted(store.possible_sessions() - store.owners().keys())


def _old_batches(reports: Path, limit: datetime.datetime) -> list[ToDelete]:
    batches = []
    for folder in sorted(reports.glob("batch-*/")):
        summary = read_summary(folder)
        if summary is not None and summary.ended < limit:
            batches.append(ToDelete(folder.name, "batch", "", summary.ended, _bytes(folder)))
    return batches


def _bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
