"""What names a participant beside their sessions and record: logs, and what is of several people.

In logs their names are struck out; summaries of batches lose their rows. Reports of a cohort or a
study have their numbers in every figure: all that was rendered goes, and can be made again without
them. Files of others that lie beside stay.
"""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mobility.workbench.batch import JOURNAL, LOG, WORKING
from mobility.workbench.batch_summary import FILES, read_summary, write_summary
from mobility.workbench.cohort import GROUPED_BY
from mobility.workbench.contract import BatchRow
from mobility.workbench.files import DELETING, atomic, lock, lock_if_free, remove, sweep, writing
from mobility.workbench.reports import COHORT, VALIDATION
from mobility.workbench.store import Session, Store

_RECORD = re.compile(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} [A-Z]+ [\w.]+: )", re.MULTILINE)
"""With what a record of a log begins, before its message; a traceback is part of one."""

_STRUCK = "[deleted]"

_RENDERED = {
    COHORT: (
        *(f"{COHORT}.{ending}" for ending in ("html", "csv", "parquet")),
        "*-over-time.png",
        *(f"*-by-{group}.png" for group in GROUPED_BY),
    ),
    VALIDATION: (
        *(f"{VALIDATION}.{ending}" for ending in ("html", "json")),
        *("study.json", "study.nc", "condition-*.nc", "curves/*.nc", "images/*.png"),
        *("tables/*.csv", "tables/*.tex"),
    ),
}
"""What is written beside the notebook of a report on several people."""


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

    videos = set(_videos(store, sessions))
    ids = {user_id, *sessions}
    found = []
    for folder in sorted(store.reports.glob("batch-*")):
        rows = [row for row in (*_journal(folder), *_rows(folder)) if is_theirs(row)]
        videos |= {row.video for row in rows}
        ids |= {row.session_id for row in rows if row.session_id}
        if rows:
            found.append(Trace(folder, partial(leave_out, folder, is_theirs)))
    strike = partial(_without, ids=ids, videos=videos)
    logs = [
        *store.reports.glob(f"batch-*/{LOG}"),
        *store.reports.glob("watch-*.log"),
        *(store.path / ".watch").glob(LOG),
    ]
    # First: the rows of a batch say which lines of its log are theirs.
    texts = {log: _text(log) for log in logs}
    found = [
        Trace(log, partial(_cut, log, strike)) for log in logs if strike(texts[log]) != texts[log]
    ] + found
    return found + reports_on(store.reports, sessions, user_id)


def reports_on(reports: Path, sessions: list[str], user_id: str | None = None) -> list[Trace]:
    """Find reports of cohorts and studies that hold one of the sessions, or a participant.

    A report of which the deletion was begun is among them, whosever it is.
    """
    found = []
    for folder in sorted(reports.glob("[!.]*/")):
        for name in _RENDERED:
            begun = folder / f"{DELETING}{name}.ipynb"
            if begun.is_file() or (
                (folder / f"{name}.ipynb").is_file() and _holds(folder, name, sessions, user_id)
            ):
                found.append(Trace(folder, partial(_remove_report, folder, name)))
    return found


def _remove_report(folder: Path, name: str) -> None:
    """Remove what was rendered into a folder; the folder too where nothing else is in it."""
    begun = folder / f"{DELETING}{name}.ipynb"
    with writing(folder):
        # Last, for it says to whoever finishes this that there is something left.
        with suppress(FileNotFoundError):
            (folder / f"{name}.ipynb").rename(begun)
        for pattern in _RENDERED[name]:
            for file in folder.glob(pattern):
                file.unlink(missing_ok=True)
        for below in {file.partition("/")[0] for file in _RENDERED[name] if "/" in file}:
            _remove_if_empty(folder / below)
        begun.unlink(missing_ok=True)
        _remove_if_empty(folder)


def _remove_if_empty(folder: Path) -> None:
    if folder.is_dir() and not folder.is_symlink() and not any(folder.iterdir()):
        folder.rmdir()


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


def _without(text: str, *, ids: set[str], videos: set[str]) -> str:
    """Text of a log without names: ids as whole words, and videos in records that name an id."""
    any_id = "|".join(map(re.escape, sorted(ids, key=len, reverse=True)))
    end = r"(?![\w-]|\.\w)"
    named = re.compile(rf"{re.escape(_STRUCK)}|(?<![\w-])(?<!\w\.)(?:{any_id}){end}")
    # Also a video of which nothing else is known any more.
    said_of = re.compile(rf"\A(row \d+, )?[^:\n]+? of (?:{any_id}){end}")
    any_video = "|".join(map(re.escape, sorted(videos, key=len, reverse=True)))
    shown = re.compile(rf"(?<![A-Za-z0-9])(?:{any_video})(?![A-Za-z0-9])")
    parts = _RECORD.split(text)
    for number in range(0, len(parts), 2):  # between them are the beginnings of records
        message = said_of.sub(rf"\1{_STRUCK} of {_STRUCK}", parts[number])
        if (message := named.sub(_STRUCK, message)) != parts[number]:
            parts[number] = shown.sub(_STRUCK, message) if videos else message
    return "".join(parts)


def _cut(log: Path, strike: Callable[[str], str]) -> None:
    with _unused(log.parent):
        sweep(log.parent, log.name)
        text = strike(_text(log))
        with atomic(log) as hidden:
            hidden.write_bytes(os.fsencode(text))


@contextmanager
def _unused(folder: Path) -> Iterator[None]:
    """Hold the lock of a batch, which one that is at work holds; other folders have none."""
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
                _remove_if_empty(folder)


def _rows(folder: Path) -> list[BatchRow]:
    document = read_summary(folder)
    return [] if document is None else document.rows


def _journal(folder: Path) -> list[BatchRow]:
    rows = []
    for line in _text(folder / JOURNAL).splitlines()[1:]:
        with suppress(ValueError):  # the last line may be half there
            rows.append(BatchRow.model_validate_json(line))
    return rows


def leave_out(folder: Path, is_theirs: Callable[[BatchRow], bool]) -> None:
    """Take rows out of the journal and the summary of a batch; without rows nothing of it stays.

    Raises
    ------
    InUseError
        The batch is at work; nothing of it was changed.
    StorageError
        Something cannot be written or removed.
    """
    with _unused(folder):
        _take_out(folder, is_theirs)


def _take_out(folder: Path, is_theirs: Callable[[BatchRow], bool]) -> None:
    sweep(folder, JOURNAL, *FILES)
    rows = [*_journal(folder), *_rows(folder)]
    if all(is_theirs(row) for row in rows):
        # Last what names them, by which the rest is found.
        for name in (LOG, *FILES[::-1], JOURNAL):
            with writing(folder / name):
                (folder / name).unlink(missing_ok=True)
        return
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


def _holds(folder: Path, name: str, sessions: list[str], user_id: str | None) -> bool:
    """Whether a report of a cohort or a study holds one of the sessions, or a participant."""
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError, csv.Error):
        if name == COHORT:
            with (folder / "cohort.csv").open(encoding="utf-8", newline="") as file:
                rows: list[dict[str, str]] = list(csv.DictReader(file))
        else:
            document = json.loads((folder / "study.json").read_text(encoding="utf-8"))
            rows = [*document["trials"], *document["failed"]]
        return any(
            not {row.get("session_id"), row.get("session")}.isdisjoint(sessions)
            or (user_id is not None and user_id in (row.get("user_id"), row.get("participant")))
            for row in rows
        )
    return False
