"""What names a participant beside their sessions and record: logs, and what is of several people.

Logs lose the lines that name them, summaries of batches their rows. Reports of a cohort or a study
have their numbers in every figure: these go as a whole, and can be made again without them.
"""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mobility.workbench.batch import JOURNAL, LOG
from mobility.workbench.batch_summary import FILES, read_summary, write_summary
from mobility.workbench.contract import BatchRow
from mobility.workbench.files import atomic, delete_folder, lock_if_free, remove, sweep, writing
from mobility.workbench.store import Session, Store

_RECORD = re.compile(r"^(?=\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} )", re.MULTILINE)
"""Where a record of a log begins; a traceback is part of one."""


@dataclass(frozen=True)
class Trace:
    """A file or folder that names a participant."""

    path: Path
    remove: Callable[[], object]
    """Takes them out; it may be done again."""


def traces_of(store: Store, user_id: str, sessions: list[str]) -> list[Trace]:
    """Find what names a participant in a store and in its reports, beside what is theirs only.

    Parameters
    ----------
    store
        The store.
    user_id
        The participant.
    sessions
        Ids of their sessions, which are named too, with the names of their videos.
    """

    def is_theirs(row: BatchRow) -> bool:
        return row.participant == user_id or row.session_id in sessions

    names = {user_id, *sessions, *_videos(store, sessions)}
    found = []
    for folder in sorted(store.reports.glob("batch-*")):
        rows = [row for row in (*_journal(folder), *_rows(folder)) if is_theirs(row)]
        names |= {name for row in rows for name in (row.video, row.session_id) if name}
        if rows:
            found.append(Trace(folder / JOURNAL, partial(_leave_out, folder, is_theirs)))
    named = re.compile(
        f"(?<![A-Za-z0-9])(?:{'|'.join(map(re.escape, sorted(names)))})(?![A-Za-z0-9])"
    )
    logs = [
        *store.reports.glob(f"batch-*/{LOG}"),
        *store.reports.glob("watch-*.log"),
        *(store.path / ".watch").glob(LOG),
    ]
    # First: the rows of a batch say which lines of its log are theirs.
    found = [Trace(log, partial(_cut, log, named)) for log in logs if named.search(_text(log))] + [
        Trace(trace.path.parent, trace.remove) for trace in found
    ]
    for folder in sorted(store.reports.glob("[!.]*/")):
        if user_id in (people := _people(folder)) or not people.isdisjoint(sessions):
            found.append(Trace(folder, partial(delete_folder, folder)))
    return found


def remove_unfinished(reports: Path) -> None:
    """Remove reports, of whomever, at which a process was at work that was killed."""
    for left in (*reports.glob(".*.unfinished"), *reports.glob(".*.earlier")):
        guard = left.with_name(f"{left.stem}.rendering.lock")
        with lock_if_free(guard) as free:
            if free:
                remove(left)
                guard.unlink(missing_ok=True)


def _videos(store: Store, sessions: list[str]) -> Iterator[str]:
    """Names of the videos of sessions, where their records can be read."""
    for session_id in sessions:
        with suppress(Exception):
            record = Session(store.path / session_id, store).record
            for video in (record.video, record.second_video):
                if video is not None:
                    yield video.original_name


def _text(log: Path) -> str:
    with writing(log):
        return os.fsdecode(log.read_bytes()) if log.is_file() else ""


def _cut(log: Path, named: re.Pattern[str]) -> None:
    kept = [record for record in _RECORD.split(_text(log)) if not named.search(record)]
    sweep(log.parent, log.name)
    with atomic(log) as hidden:
        hidden.write_bytes(os.fsencode("".join(kept)))


def _rows(folder: Path) -> list[BatchRow]:
    document = read_summary(folder)
    return [] if document is None else document.rows


def _journal(folder: Path) -> list[BatchRow]:
    rows = []
    for line in _text(folder / JOURNAL).splitlines()[1:]:
        with suppress(ValueError):  # the last line may be half there
            rows.append(BatchRow.model_validate_json(line))
    return rows


def _leave_out(folder: Path, is_theirs: Callable[[BatchRow], bool]) -> None:
    """Take rows out of the journal and the summary of a batch; without rows nothing stays."""
    rows = [*_journal(folder), *_rows(folder)]
    if all(is_theirs(row) for row in rows):
        delete_folder(folder)
        return
    sweep(folder, JOURNAL, *FILES)
    journal = folder / JOURNAL
    if journal.is_file():
        head = _text(journal).splitlines()[0]
        kept = [row.model_dump_json() for row in _journal(folder) if not is_theirs(row)]
        with atomic(journal) as hidden:
            hidden.write_text("\n".join([head, *kept, ""]), encoding="utf-8")
    document = read_summary(folder)
    if document is not None:
        document.rows = [row for row in document.rows if not is_theirs(row)]
        write_summary(folder, document)


def _people(folder: Path) -> set[str]:
    """Ids of people and sessions in the report of a cohort or a study; none in another folder."""
    with suppress(OSError, ValueError, KeyError, TypeError, csv.Error):
        if (table := folder / "cohort.csv").is_file():
            with table.open(encoding="utf-8", newline="") as file:
                return {row[name] for row in csv.DictReader(file) for name in _OF_COHORT}
        if (study := folder / "study.json").is_file():
            document = json.loads(study.read_text(encoding="utf-8"))
            return {
                row[name]
                for row in (*document["trials"], *document["failed"])
                for name in _OF_STUDY & row.keys()
            }
    return set()


_OF_COHORT = ("session_id", "user_id")
_OF_STUDY = {"session_id", "session", "participant"}
