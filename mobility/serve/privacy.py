"""Stored data of a participant: their locations, export and deletion.

In logs, the names of the participant are removed. The participant's rows are removed from summaries
of batches. In reports on a cohort or a study, every figure includes the numbers of each person.
Such a report is therefore deleted completely, and can be rendered again without that person. Other
files in its folder are kept.
"""

from __future__ import annotations

import datetime
import logging
import os
import re
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mobility import Session, Store
from mobility.base.writing import unlinked_until_complete
from mobility.errors import BadInputError, InUseError, MobilityError, NotFoundError, StorageError
from mobility.serve.batch.run import JOURNAL, LOG, WORKING, read_journal
from mobility.serve.batch.summary import FILES, BatchRow, read_summary, write_summary
from mobility.sessions.files import (
    DELETING,
    NOTES,
    PARTICIPANTS,
    VISITS,
    atomic,
    check_id,
    entries_with_prefix,
    fault_of,
    lock,
    lock_if_free,
    not_all_deleted,
    read_json,
    remove,
    remove_checkpoints,
    remove_if_empty,
    sweep,
    sweep_scratch,
    writing,
)
from mobility.sessions.folder import delete_document
from mobility.sessions.record import ANONYMOUS
from mobility.sessions.reports import Trace, report_places, reports_on
from mobility.studies.cohort import dictionary_of, write_table
from mobility.studies.report_files import remove_pages_of
from mobility.studies.visit import visits_to_dataframe

_RECORD = re.compile(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} [A-Z]+ [\w.]+: )", re.MULTILINE)
"""Beginning of a log record, before its message; a traceback belongs to its record."""

_STRUCK = "[deleted]"


def traces_of(store: Store, user_id: str, sessions: list[str]) -> list[Trace]:
    """Find traces of a participant in a store and its reports, besides files of this person alone.

    The IDs of the participant's `sessions` and the names of their videos also count as names.
    """

    def is_theirs(row: BatchRow) -> bool:
        return row.participant == user_id or row.session_id in sessions

    videos = set(_videos(store, sessions))
    ids = {user_id, *sessions}
    batches = []
    for folder in sorted(store.reports.glob("batch-*")):
        rows = [row for row in (*read_journal(folder), *_rows(folder)) if is_theirs(row)]
        videos |= {row.video for row in rows}
        ids |= {row.session_id for row in rows if row.session_id}
        if rows:
            batches.append(Trace(folder, partial(remove_rows, folder, is_theirs)))
    strike = partial(_without, ids=ids, videos=videos)
    logs = [
        *store.reports.glob(f"batch-*/{LOG}"),
        *store.reports.glob("watch-*.log"),
        *(store.path / ".watch").glob(LOG),
    ]
    named = [log for log in logs if (text := _text(log)) != strike(text)]
    lines = [Trace(log, partial(_strike_out, log, strike)) for log in named]
    # Logs first: the rows of a batch show which lines of its log belong to the participant.
    return [*lines, *batches, *reports_on(store.reports, sessions, user_id)]


def remove_unfinished(reports: Path) -> None:
    """Remove unfinished reports (about anybody) whose process was stopped."""
    for leftover in (*reports.glob(".*.unfinished"), *reports.glob(".*.earlier")):
        guard = leftover.with_name(f"{leftover.stem}.rendering.lock")
        with lock_if_free(guard) as free:
            if free:
                remove(leftover)
                guard.unlink(missing_ok=True)


def _videos(store: Store, sessions: list[str]) -> Iterator[str]:
    """Yield names of the videos of sessions whose records can be read."""
    for session_id in sessions:
        with suppress(Exception):
            record = Session(store.path / session_id, store).record
            for video in (
                *(record.video, record.second_video),
                *(record.keypoints, record.second_keypoints),
            ):
                if video is not None:
                    yield video.original_name


def _text(log: Path) -> str:
    with writing(log):
        return os.fsdecode(log.read_bytes()) if log.is_file() else ""


def _without(text: str, *, ids: set[str], videos: set[str]) -> str:
    """Remove names from a log: ids as whole words, and videos in records that name an id."""
    any_id = "|".join(map(re.escape, sorted(ids, key=len, reverse=True)))
    end = r"(?![\w-]|\.\w)"
    ids_named = re.compile(rf"{re.escape(_STRUCK)}|(?<![\w-])(?<!\w\.)(?:{any_id}){end}")
    # Also the video whose session may already be gone.
    row_label = re.compile(rf"\A(row \d+, )?[^:\n]+? of (?:{any_id}){end}")
    any_video = "|".join(map(re.escape, sorted(videos, key=len, reverse=True)))
    videos_named = re.compile(rf"(?<![A-Za-z0-9])(?:{any_video})(?![A-Za-z0-9])")
    parts = _RECORD.split(text)
    for number in range(0, len(parts), 2):  # odd parts are beginnings of records
        message = row_label.sub(rf"\1{_STRUCK} of {_STRUCK}", parts[number])
        if (message := ids_named.sub(_STRUCK, message)) != parts[number]:
            parts[number] = videos_named.sub(_STRUCK, message) if videos else message
    return "".join(parts)


def _strike_out(log: Path, strike: Callable[[str], str]) -> None:
    with _batch_locked(log.parent):
        sweep(log.parent, log.name)
        remove_checkpoints(log.parent, log.name)
        text = strike(_text(log))
        with atomic(log) as hidden:
            hidden.write_bytes(os.fsencode(text))


@contextmanager
def _batch_locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a batch, as a running batch does; other folders have none."""
    if not folder.name.startswith("batch-"):
        yield
        return
    with lock(folder / WORKING, what=f"the batch {folder.name}"):
        try:
            yield
        finally:
            with suppress(OSError):
                (folder / WORKING).unlink()
            with suppress(OSError):
                remove_if_empty(folder)


def _rows(folder: Path) -> list[BatchRow]:
    document = read_summary(folder)
    return [] if document is None else document.rows


def remove_rows(folder: Path, is_theirs: Callable[[BatchRow], bool]) -> None:
    """Remove rows from the journal and the summary of a batch; remove a batch without rows."""
    with _batch_locked(folder):
        sweep(folder, JOURNAL, *FILES)
        remove_checkpoints(folder, LOG, JOURNAL, *FILES)
        journal_rows = read_journal(folder)
        if all(is_theirs(row) for row in (*journal_rows, *_rows(folder))):
            # Files by which the rest is found go last.
            for name in (LOG, *FILES[::-1], JOURNAL):
                with writing(folder / name):
                    (folder / name).unlink(missing_ok=True)
            return
        journal = folder / JOURNAL
        if journal.is_file():
            head = _text(journal).splitlines()[0]
            rows_left = [row.model_dump_json() for row in journal_rows if not is_theirs(row)]
            with atomic(journal) as hidden:
                hidden.write_text("\n".join([head, *rows_left, ""]), encoding="utf-8")
        document = read_summary(folder)
        if document is not None:
            document.rows = [row for row in document.rows if not is_theirs(row)]
            write_summary(folder, document)


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
    """Return the length of time in ``12h``, ``90d`` or ``6w``."""
    parts = re.fullmatch(r"(\d{1,6})([hdw])", text.strip())
    if not parts or int(parts[1]) == 0:
        fault = f"must be a length of time such as 12h, 90d or 6w (got {text!r})"
        raise BadInputError.of({"older_than": fault})
    return datetime.timedelta(**{_UNITS[parts[2]]: int(parts[1])})


def to_prune(
    store: Store,
    *,
    older_than: datetime.timedelta | None = None,
    keep: int | None = None,
    user_id: str | None = None,
) -> list[ToDelete]:
    """List what a retention rule would delete, oldest first; nothing is changed.

    The list contains the sessions that were created longer ago than `older_than` and, without
    `user_id`, the batches that ended longer ago. With `keep`, it contains all sessions except the
    newest `keep`. Sessions with a damaged record are never listed.
    """
    if (older_than is None) == (keep is None):
        raise BadInputError("an age and a number to keep cannot be combined; use only one")
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
            fault = f"{older_than.days} days go back to before the year 1; use a shorter time"
            raise BadInputError.of({"older_than": fault}) from None
        sessions = [session for session in sessions if session.record.created_at < limit]
        to_delete = [] if user_id else _old_batches(store.reports, limit)
    for session in sessions:
        record = session.record
        size = session.size + _bytes(session.report_folder)
        to_delete.append(ToDelete(session.id, "session", record.user_id, record.created_at, size))
    return sorted(to_delete, key=lambda entry: entry.since)


def prune(store: Store, item: ToDelete) -> None:
    """Delete one item of :func:`to_prune` permanently."""
    if item.kind == "session":
        store.delete(item.name)
        return
    remove_rows(store.reports / item.name, lambda _: True)


def files_of_participant(store: Store, user_id: str) -> list[Path]:
    """List the files and folders of a participant: record, sessions, and their reports.

    A session with a damaged record counts if the record still names the participant.
    """
    check_id(user_id, what="user_id")
    documents = [store.path / key for key in _documents_of(user_id)]
    paths = [document for document in documents if document.is_file()]
    for session_id in sessions_of(store, user_id):
        folders = (store.path / session_id, *report_places(store.reports, session_id))
        paths += [folder for folder in folders if folder.is_dir()]
    of_visits = store.reports / VISITS / user_id
    return [*paths, *([of_visits] if of_visits.is_dir() else [])]


def _documents_of(user_id: str) -> list[str]:
    """Return the notes on a participant's visits, and the record, as paths in the store."""
    return [f"{PARTICIPANTS}/{user_id}{end}.json" for end in (NOTES, "")]


def other_traces(store: Store, user_id: str) -> list[Trace]:
    """List other files that name a participant; see :mod:`mobility.serve.privacy`."""
    return traces_of(store, user_id, sessions_of(store, user_id))


def nothing_stored_error(store: Store, user_id: str) -> NotFoundError:
    """Return the error that nothing belongs to a participant.

    It lists sessions that might do so.
    """
    message = f"participant {user_id}: nothing is stored about this participant in {store.place}"
    if left := [*store.unfinished(), *unassigned(store)]:
        message = (
            f"participant {user_id}: nothing in {store.place} is known to belong to them, but "
            f"these may: {', '.join(left)}, which are damaged, or only partly created or deleted"
        )
    return NotFoundError(message)


def erase(store: Store, user_id: str) -> list[str]:
    """Delete everything that is stored about a participant permanently.

    Interrupted deletions of anybody are finished first. Then traces in logs and in reports about
    several people are removed, see :mod:`mobility.serve.privacy`. Because of this order, a deletion
    that was interrupted can be repeated, and then removes the rest. Files in other places (exports,
    ``--out``) are kept.

    The result has the IDs of sessions, "participant" if there was a record or a note on a visit,
    and "traces" if other files named the participant. If something cannot be deleted, an error is
    raised after everything else is gone.
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
        except BadInputError:  # a folder whose name is not an id, for instance a copy
            place = store.path / session_id
            words = f"{place}: its name is not an id of a session; delete this folder by hand"
            faults.append(StorageError(words))
        except StorageError as error:
            faults.append(error)
    if (fault := fault_of(remove_pages_of, store.reports, user_id)) is not None:
        faults.append(fault)
    for key in _documents_of(user_id):
        try:
            if delete_document(store.path, key) and "participant" not in deleted:
                deleted.append("participant")
        except StorageError as error:
            faults.append(error)
    if traces:
        deleted.append("traces")
    if faults:
        fault = next((one for one in faults if not isinstance(one, InUseError)), faults[0])
        raise not_all_deleted(f"participant {user_id}", fault) from fault
    return deleted


def _unfinished_of_others(store: Store, user_id: str) -> set[str]:
    """Return ids of partly deleted sessions whose records name another participant."""
    session_ids = set()
    for hidden in entries_with_prefix(store.path, DELETING):
        with suppress(MobilityError):
            record = read_json(hidden / "session.json")
            if isinstance(record, dict) and record.get("user_id", user_id) != user_id:
                session_ids.add(hidden.name.removeprefix(DELETING))
    return session_ids


def sessions_of(store: Store, user_id: str) -> list[str]:
    """Return the ids of the sessions of a participant, including damaged ones."""
    return [session for session, owner in store.owners().items() if owner == user_id]


def unassigned(store: Store) -> list[str]:
    """Return the IDs of sessions whose record names no participant; they may belong to anybody."""
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


_COMPRESSED = frozenset({".mp4", ".mov", ".m4v", ".webm", ".png", ".nc"})
"""Endings of files that compression does not make smaller."""


_MARK = b"participant's data, by mobility"
"""Comment of the ZIP file."""


def is_takeout(file: Path) -> bool:
    """Return whether a file was written by :func:`write_takeout`."""
    try:
        with zipfile.ZipFile(file) as archive:
            return archive.comment == _MARK
    except (OSError, zipfile.BadZipFile):
        return False


def write_takeout(store: Store, user_id: str, path: str | os.PathLike[str]) -> Path:
    """Write all data of a participant to a ZIP file: record, unchanged sessions, reports.

    The combined results of each visit's videos are a table, ``visits.csv``, with its data
    dictionary.
    """
    check_id(user_id, what="user_id")
    sources = files_of_participant(store, user_id)
    if not sources:
        raise nothing_stored_error(store, user_id)
    target = Path(path)
    sweep(target.parent, target.name)
    with (
        unlinked_until_complete(target) as target_file,
        tempfile.TemporaryDirectory() as folder,
        zipfile.ZipFile(target_file, "w", allowZip64=True) as archive,
    ):
        archive.comment = _MARK
        for file in _visits(store, user_id, Path(folder)):
            archive.write(file, file.name, zipfile.ZIP_DEFLATED)
        for source in sources:
            for file in sorted(source.rglob("*")) if source.is_dir() else [source]:
                if file.is_file() and not file.name.startswith("."):
                    is_compressed = file.suffix in _COMPRESSED
                    archive.write(
                        file,
                        _name_in(store, file),
                        zipfile.ZIP_STORED if is_compressed else zipfile.ZIP_DEFLATED,
                    )
    return target


def _visits(store: Store, user_id: str, folder: Path) -> list[Path]:
    """Write the table of a participant's visits, and its dictionary, if there are visits."""
    sessions = [session for session in store.sessions() if session.record.user_id == user_id]
    if user_id == ANONYMOUS or not sessions:
        return []
    try:
        frame = visits_to_dataframe(sessions, recordings=["all"])
    except MobilityError as error:  # the stored data are still handed over
        log.warning("no table of the visits of %s: %s", user_id, error)
        return []
    table = write_table(frame, folder / "visits.csv")
    return [table, dictionary_of(table)]


def _name_in(store: Store, file: Path) -> str:
    if file.is_relative_to(store.path):
        return f"sessions/{file.relative_to(store.path).as_posix()}"
    return f"reports/{file.relative_to(store.reports).as_posix()}"
