"""Traces of a participant beside sessions and record: in logs, and in reports on several people.

In logs the participant's names are struck out; summaries of batches lose the participant's rows.
Reports of a cohort or a study have their numbers in every figure: such a report is removed as a
whole, and can be rendered again without them. Other files in the same folder stay.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from mobility.batch.batch_record import BatchRow
from mobility.batch.run import JOURNAL, LOG, WORKING, read_journal
from mobility.batch.summary import FILES, read_summary, write_summary
from mobility.sessions.files import (
    atomic,
    lock,
    lock_if_free,
    remove,
    remove_checkpoints,
    remove_if_empty,
    sweep,
    writing,
)
from mobility.sessions.reports import Trace, reports_on
from mobility.store import Session, Store

_RECORD = re.compile(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} [A-Z]+ [\w.]+: )", re.MULTILINE)
"""Beginning of a record of a log, before its message; a traceback belongs to its record."""

_STRUCK = "[deleted]"


def traces_of(store: Store, user_id: str, sessions: list[str]) -> list[Trace]:
    """Find traces of a participant in a store and its reports, beside files of only them.

    Ids of their `sessions` and names of their videos count as their names too.
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
    # Logs first: the rows of a batch say which lines of its log are the participant's.
    return [*lines, *batches, *reports_on(store.reports, sessions, user_id)]


def remove_unfinished(reports: Path) -> None:
    """Remove unfinished reports, on anybody, whose process was killed."""
    for leftover in (*reports.glob(".*.unfinished"), *reports.glob(".*.earlier")):
        guard = leftover.with_name(f"{leftover.stem}.rendering.lock")
        with lock_if_free(guard) as free:
            if free:
                remove(leftover)
                guard.unlink(missing_ok=True)


def _videos(store: Store, sessions: list[str]) -> Iterator[str]:
    """Names of the videos of sessions, where their records can be read."""
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
    """Text of a log without names: ids as whole words, and videos in records that name an id."""
    any_id = "|".join(map(re.escape, sorted(ids, key=len, reverse=True)))
    end = r"(?![\w-]|\.\w)"
    ids_named = re.compile(rf"{re.escape(_STRUCK)}|(?<![\w-])(?<!\w\.)(?:{any_id}){end}")
    # The video too, whose session may be gone already.
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
    """Hold the lock of a batch, which a running one holds; other folders have none."""
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
    """Remove rows from the journal and the summary of a batch; one without rows is removed."""
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
