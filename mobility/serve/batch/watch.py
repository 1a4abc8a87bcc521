"""Watching a folder: each video is processed once, after it has stopped growing.

The store keeps a list of processed videos, so a watch that is started again continues where the
last one stopped. An interrupted video is processed again, and its session is finished.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field

from mobility import Store
from mobility.base.options import Workers, checked, validate
from mobility.catalogue import registry
from mobility.errors import BadInputError, NotFoundError, StorageError
from mobility.serve.batch.manifest import (
    ManifestError,
    Refused,
    Row,
    check_rows,
    entry_of,
    videos_in,
)
from mobility.serve.batch.run import LOG, cluster_client, logged, outcome_of_refused, outcomes
from mobility.serve.batch.summary import BatchRow, MadeVisit, RowState, render_visits
from mobility.sessions.folder import session_ids
from mobility.sessions.record import Document, now

log = logging.getLogger(__name__)

TRIES = 3
"""Number of times that a video is tried after a retryable failure (a full disk, a lost worker)."""


class Seen(Document):
    """The state of a video when it was processed."""

    size: int
    mtime_ns: int
    state: RowState
    when: AwareDatetime


class Watched(Document):
    """``.watch/<digest>.json``: the processed videos of a folder, by digest of their path in it.

    Digests do not reveal names. A deleted participant is therefore not named, and yet their videos
    are not processed again. `pages_due` contains the digests of the IDs of sessions whose visits
    have no page yet.
    """

    schema_version: Literal["2"] = "2"
    videos: dict[str, Seen] = Field(default_factory=dict)
    pages_due: set[str] = Field(default_factory=set)


@dataclass
class _Look:
    """State of a file at the last look, and since when it has not changed."""

    size: int
    mtime_ns: int
    since: float
    tries: int = 0


@checked
def watch(
    folder: Path,
    store: Store,
    *,
    on_outcome: Callable[[BatchRow], None],
    on_visit: Callable[[MadeVisit], None] | None = None,
    participant: str = "anonymous",
    exercise: str = registry.USUAL,
    workers: Workers | None = None,
    scheduler: str | None = None,
    every_s: Annotated[float, Field(gt=0, le=3600)] = 10.0,
    settle_s: Annotated[float, Field(ge=0, le=86400)] = 30.0,
    once: bool = False,
) -> None:
    """Process every complete video of a folder that was not processed before.

    A video is complete when neither its size nor its time has changed for `settle_s`. The folder is
    checked every `every_s` seconds, without end or, with `once`, until no video is growing or
    waiting. If a video is replaced by another file with the same name, it is processed again. The
    name of a subfolder is the participant of its videos; `participant` and `exercise` apply to
    videos without one.

    `on_outcome` is called with the outcome of each video. If `on_visit` is passed, the pages of
    visits with processed videos are made, and it is called with each page. If a watch was stopped
    before it made them, the next watch makes them.
    """
    folder = folder.absolute()
    if not folder.is_dir():
        raise NotFoundError(f"{folder}: no such folder; make it first")
    store = store.absolute()
    digest = _digest(str(folder))[:16]
    ledger = f".watch/{digest}.json"
    looks: dict[str, _Look] = {}
    with store.locked(f".watch/{digest}", what=f"the watch of {folder}"):
        watched = _read(store, ledger)
        with logged(store.path / ".watch" / LOG), ExitStack() as stack:
            # Workers are started when the first video arrives.
            client = functools.cache(
                lambda: stack.enter_context(cluster_client(workers, scheduler))
            )
            if scheduler is not None:
                client()  # a wrong address fails at once, not with the first video
            while True:
                # The time before the look, which takes time: meanwhile a file may grow.
                at = time.monotonic()
                _look(folder, looks)
                waiting = {
                    name: look for name, look in looks.items() if not _is_seen(watched, name, look)
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
                        watched.videos[_digest(name)] = Seen(
                            size=look.size, mtime_ns=look.mtime_ns, state=outcome.state, when=now()
                        )
                    if on_visit is not None and outcome.session_id:
                        watched.pages_due.add(_digest(outcome.session_id))
                    store.write_document(ledger, watched.model_dump(mode="json"))
                    on_outcome(outcome)
                if on_visit is not None and (due := watched.pages_due):
                    filmed = [name for name in session_ids(store.path) if _digest(name) in due]
                    for visit in render_visits(store, filmed):
                        on_visit(visit)
                    due.clear()
                    store.write_document(ledger, watched.model_dump(mode="json"))
                if once and not waiting:
                    return
                if not ready:
                    time.sleep(every_s)


def _look(folder: Path, looks: dict[str, _Look]) -> None:
    """Update `looks`; a changed file counts as unchanged from now on."""
    current = {}
    for video in videos_in(folder):
        try:
            status = video.stat()
        except OSError:  # removed meanwhile
            continue
        name = str(video.relative_to(folder))
        look = looks.get(name)
        if look is None or (look.size, look.mtime_ns) != (status.st_size, status.st_mtime_ns):
            look = _Look(status.st_size, status.st_mtime_ns, time.monotonic())
        current[name] = look
    looks.clear()
    looks.update(current)


def _is_seen(watched: Watched, name: str, look: _Look) -> bool:
    before = watched.videos.get(_digest(name))
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
    """Yield outcomes of the videos `names` as they arrive."""
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
            refused = Refused(number, Path(name), entry["participant"], exercise, reason)
            yield outcome_of_refused(refused), name
    # One video with two names is one session, so they run one after the other.
    twins = [
        row
        for i, row in enumerate(rows)
        if row.session_id in {earlier.session_id for earlier in rows[:i]}
    ]
    for share in ([row for row in rows if row not in twins], twins):
        if share:
            running = client()
            for outcome in outcomes(running, share, store, store.reports, workers, scheduler):
                yield outcome, name_of[outcome.row]
            if running.status != "running":
                raise StorageError(
                    f"scheduler {scheduler or ''}: the connection was lost; start mobility "
                    "watch again"
                )


def _read(store: Store, ledger: str) -> Watched:
    place = store.path / ledger
    try:
        return validate(Watched, store.document(ledger), what=f"{place}")
    except NotFoundError:
        return Watched()
    except BadInputError as error:
        raise StorageError(
            f"{place}: is damaged ({error}); delete the file (finished videos "
            "are recognised and not analysed again)"
        ) from None


def _digest(text: str) -> str:
    return hashlib.sha256(os.fsencode(text)).hexdigest()
