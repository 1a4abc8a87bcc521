"""A folder into which videos are uploaded: each is processed once, when it has stopped growing.

What has been processed is kept in the store, so a watch that is started again goes on where the
last one was stopped. A video that was being processed then is taken up again, and its session
finished.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field

from mobility.batch.manifest import ManifestError, Refused, Row, check_rows, entry_of, videos_in
from mobility.batch.record import BatchRow, RowState
from mobility.batch.run import LOG, cluster_client, logged, outcomes, refused
from mobility.errors import BadInputError, NotFoundError, StorageError
from mobility.options import Workers, checked, validate
from mobility.sessions.files import make_folder, writing
from mobility.sessions.record import Document, now
from mobility.store import Store

log = logging.getLogger(__name__)

TRIES = 3
"""How often a video is tried of which the failure may pass (a full disk, a lost worker)."""


class Seen(Document):
    """A video that was processed, as it was then."""

    size: int
    mtime_ns: int
    state: RowState
    when: AwareDatetime


class Watched(Document):
    """``.watch/<digest>.json``: what a watch of a folder has processed.

    By digest of the path in the folder: who is deleted must not be named here, nor come back with
    the next look at the folder.
    """

    schema_version: Literal["2"] = "2"
    videos: dict[str, Seen] = Field(default_factory=dict)


@dataclass
class _Look:
    """How a file was when it was last looked at, and since when it has been so."""

    size: int
    mtime_ns: int
    since: float
    tries: int = 0


@checked
def watch(
    folder: Path,
    store: Store,
    *,
    told: Callable[[BatchRow], None],
    participant: str = "anonymous",
    exercise: str = "Overhead Squat",
    workers: Workers | None = None,
    scheduler: str | None = None,
    every_s: Annotated[float, Field(gt=0, le=3600)] = 10.0,
    settle_s: Annotated[float, Field(ge=0, le=86400)] = 30.0,
    once: bool = False,
) -> None:
    """Process every video of a folder that is complete and was not processed before.

    A video is complete when neither its size nor its time has changed for `settle_s`; the folder is
    looked at `every_s`, for ever or, with `once`, until no video is left that is growing or
    waiting. One that is replaced by another file of the same name is processed again. The name of a
    subfolder is the participant of the videos in it; `participant` and `exercise` are of those of
    which nothing else says it. `told` is called with what became of each video.
    """
    folder = folder.absolute()
    if not folder.is_dir():
        raise NotFoundError(f"{folder}: no such folder")
    store.require_shared("a watch")
    store = store.absolute()
    digest = _digest(str(folder))[:16]
    ledger = f".watch/{digest}.json"
    looks: dict[str, _Look] = {}
    with closing(store), store.locked(f".watch/{digest}", what=f"the watch of {folder}"):
        seen = _read(store, ledger)
        with logged(_log_file(store, digest)), ExitStack() as stack:
            # The workers are started when there is something to do for them.
            client = functools.cache(
                lambda: stack.enter_context(cluster_client(workers, scheduler))
            )
            if scheduler is not None:
                client()  # a wrong address is told at once, not with the first video
            while True:
                # From before the look: while it takes its time, a file may grow unseen.
                at = time.monotonic()
                _look(folder, looks)
                waiting = {
                    name: look for name, look in looks.items() if not _is_seen(seen, name, look)
                }
                ready = [
                    name
                    for name, look in waiting.items()
                    if not settle_s or at - look.since >= settle_s
                ]
                for outcome, name in _process(
                    ready, folder, store, client, participant, exercise, workers, scheduler
                ):
                    look = looks[name]
                    look.tries += 1
                    if not (outcome.may_pass and look.tries < TRIES):
                        seen.videos[_digest(name)] = Seen(
                            size=look.size, mtime_ns=look.mtime_ns, state=outcome.state, when=now()
                        )
                        store.write_document(ledger, seen.model_dump(mode="json"))
                    told(outcome)
                if once and not waiting:
                    return
                if not ready:
                    time.sleep(every_s)


def _look(folder: Path, looks: dict[str, _Look]) -> None:
    """Bring `looks` up to date; a file that changed is looked at from now on."""
    found = {}
    for video in videos_in(folder):
        try:
            status = video.stat()
        except OSError:  # taken away meanwhile
            continue
        name = str(video.relative_to(folder))
        look = looks.get(name)
        if look is None or (look.size, look.mtime_ns) != (status.st_size, status.st_mtime_ns):
            look = _Look(status.st_size, status.st_mtime_ns, time.monotonic())
        found[name] = look
    looks.clear()
    looks.update(found)


def _is_seen(seen: Watched, name: str, look: _Look) -> bool:
    before = seen.videos.get(_digest(name))
    return before is not None and (before.size, before.mtime_ns) == (look.size, look.mtime_ns)


def _process(
    names: list[str],
    folder: Path,
    store: Store,
    client: Callable[[], Any],
    participant: str,
    exercise: str,
    workers: int | None,
    scheduler: str | None,
) -> Iterator[tuple[BatchRow, str]]:
    """Outcomes of the videos called `names`, as they come."""
    rows: list[Row] = []
    name_of: dict[int, str] = {}
    for number, name in enumerate(names, 1):
        entry = entry_of(folder, folder / name, participant)
        name_of[number] = name
        try:
            rows += check_rows(
                folder, [(number, entry)], participant=participant, exercise=exercise
            )
        except ManifestError as error:
            reason = "; ".join(problem.message for problem in error.problems)
            log.warning("%s of %s: %s", name, entry["participant"], reason)
            yield (
                refused(Refused(number, Path(name), entry["participant"], exercise, reason)),
                name,
            )
    # The same video twice, under two names, is one session: one after the other.
    twins = [
        row
        for i, row in enumerate(rows)
        if row.session_id in {other.session_id for other in rows[:i]}
    ]
    for share in ([row for row in rows if row not in twins], twins):
        if share:
            running = client()
            for outcome in outcomes(running, share, store, store.reports, workers, scheduler):
                yield outcome, name_of[outcome.row]
            if running.status != "running":
                raise StorageError(
                    f"scheduler {scheduler or ''}: the connection was lost; start the watch again"
                )


def _log_file(store: Store, digest: str) -> Path:
    """Where the log is kept: in the store, or with the reports where that is behind a URL."""
    if not store.in_bucket:
        return store.path / ".watch" / LOG
    with writing(store.reports):
        make_folder(store.reports)
    return store.reports / f"watch-{digest}.log"


def _read(store: Store, ledger: str) -> Watched:
    try:
        return validate(Watched, store.document(ledger), what=store.location_of(ledger))
    except NotFoundError:
        return Watched()
    except BadInputError as error:
        raise StorageError(
            f"{store.location_of(ledger)}: is damaged ({error}); delete the file: finished videos "
            "are recognised and not analysed again"
        ) from None


def _digest(text: str) -> str:
    return hashlib.sha256(os.fsencode(text)).hexdigest()
