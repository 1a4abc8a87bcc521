"""The queue of analyses: bounded, on the disk, and continued after any interruption.

Each session to be analysed has a file in ``.server/queue`` of the store, whose name begins with the
time. Users take turns: the first session of each user comes before the second session of any other
user. The file is written before the session is created, has the state "waiting" before the client
gets its response, and is removed at the end. After a restart, a session whose client got no
response is removed, and every other session is analysed.
"""

from __future__ import annotations

import asyncio
import datetime
import logging
import shutil
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias

from filelock import FileLock, Timeout

from mobility import Store
from mobility.base.options import validate
from mobility.base.provenance import code_digest
from mobility.base.writing import FILE_MODE
from mobility.errors import (
    BadInputError,
    ConflictError,
    DiskFullError,
    EndedError,
    MobilityError,
    NotFoundError,
    StorageError,
    TooManyRequestsError,
    VideoError,
)
from mobility.serve.access import MobilityServer
from mobility.serve.api_keys import private_folder
from mobility.serve.worker_processes import Limits, Pool, Worker, run_to_completion
from mobility.sessions.creation import new_session_id
from mobility.sessions.files import (
    lock_if_free,
    make_folder,
    read_json,
    remove,
    sync_folder,
    write_json,
    writing,
)
from mobility.sessions.record import Document, now

log = logging.getLogger(__name__)

ATTEMPTS = 5
"""Number of times that an analysis is started before it counts as failed, because a video may kill
any process.
"""

DISK_FULL = "the disk of the server is full; free some space there"

Place: TypeAlias = tuple[Literal["running", "waiting"], int]
"""Whether a queued session is being analysed, and how many wait before it."""

_INTAKES = 2
_LOOK_S = 1.0
_LONGEST_PAUSE_S = 300.0


class Job(Document):
    """A file of the queue."""

    schema_version: Literal["1"] = "1"
    session_id: str
    user_id: str
    state: Literal["taking in", "waiting"] = "taking in"
    attempts: int = 0
    since: datetime.datetime


@dataclass(frozen=True)
class Pause:
    """The reason why an analysis has not been started again, and the time when it will be."""

    reason: str
    seconds: float
    until: float
    """Time of the monotonic clock."""


class Queue:
    """The queue of a store, and the processes that work on it."""

    def __init__(self, store: Store, settings: MobilityServer) -> None:
        self._store = store
        self._settings = settings
        self._folder = private_folder(store) / "queue"
        self.uploads = private_folder(store) / "uploads"
        self.exports = private_folder(store) / "exports"
        self._lock: FileLock | None = None
        self._running: dict[str, tuple[Worker, asyncio.Task[None]]] = {}
        self._leaving: set[str] = set()
        self._pauses: dict[str, Pause] = {}
        self._users: dict[str, str] = {}
        self._damaged: set[str] = set()
        self._reserved: Counter[str] = Counter()
        self._wake = asyncio.Event()
        limits = Limits(settings.intake_seconds, settings.memory_bytes)
        self._intake = Pool(_INTAKES, limits)
        self._reports = Pool(1, Limits(settings.report_seconds, settings.memory_bytes))
        self._stills = Pool(1, limits)
        self._rendering: dict[str, asyncio.Task[Any]] = {}
        self._checkers = Pool(1, Limits(settings.report_seconds, settings.memory_bytes))
        self._checks: dict[str, asyncio.Task[dict[str, Any]]] = {}

    async def run(self) -> None:
        """Start analyses until this is cancelled; nothing is written before there is a queue."""
        try:
            while True:
                try:
                    if self._folder.is_dir() and self._hold():
                        self._start_next()
                except (MobilityError, OSError) as error:
                    log.warning("the queue of %s: %s", self._store.place, error)
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_S):
                        await self._wake.wait()
                self._wake.clear()
        finally:
            self.close()

    def close(self) -> None:
        """End all processes; the queue does not change."""
        for worker, task in self._running.values():
            task.cancel()
            worker.kill()
        self._intake.kill()
        self._reports.kill()
        self._checkers.kill()
        self._stills.kill()
        if self._lock is not None:
            self._lock.release()

    def check_room(self, user_id: str | None = None) -> None:
        """Raise an error if the queue, or the user's share of it, is full."""
        names = self._names()
        most = self._settings.queue_length
        if len(names) + self._reserved.total() >= most:
            raise TooManyRequestsError(
                f"the queue is full: {most} sessions wait for their analysis; send the request "
                "again later",
                retry_after_s=60,
            )
        share = self._settings.queue_per_user
        if user_id is None or not share:
            return
        queued = sum(user == user_id for user in self._users_of(names).values())
        if queued + self._reserved[user_id] >= share:
            raise TooManyRequestsError(
                f"{share} sessions of this user already wait for their analysis; send the "
                "request again later",
                retry_after_s=60,
            )

    async def create(
        self,
        video: Path,
        *,
        confirm: Callable[[], Awaitable[object]],
        shared: bool = True,
        **fields: Any,
    ) -> dict[str, str]:
        """Add a video as a new session, queue its analysis; return ``session_id`` and ``title``.

        `confirm` is called when the session is in the queue, where a deletion of all data finds it,
        and again when it is created. If it raises an error, the session is removed, because an
        earlier deletion has revoked the key. `shared` states whether the user is limited to a share
        of the queue. `fields` are those of :meth:`mobility.store.Store.create`.
        """
        user_id = fields["user_id"]
        self.check_room(user_id if shared else None)
        self.require_hold()
        self._reserved[user_id] += 1
        try:
            since = now()
            job = Job(session_id=new_session_id(since), user_id=user_id, since=since)
            file = self._file_of(job.session_id)
            await asyncio.to_thread(_write, file, job)
        finally:
            self._reserved[user_id] -= 1
        request = self._request("take in", session_id=job.session_id) | {
            "video": str(video),
            "fields": fields,
            "most_seconds": self._settings.most_seconds,
            "most_pixels": self._settings.most_pixels,
        }
        now_read = {"reads": "video"}
        try:
            await confirm()
            created: dict[str, str] = await self._intake.ask(
                request, on_message=lambda message, _: now_read.update(message)
            )
            await confirm()
            if not file.is_file():
                raise ConflictError(f"session {job.session_id}: was deleted in the meantime")
            if fields.get("phone_key"):  # somebody is waiting next to the person in the video
                self._begin_check(job.session_id)
            job.state = "waiting"
            await asyncio.to_thread(_write, file, job)
        except BaseException as error:
            await asyncio.shield(self._forget_check(job.session_id))
            await asyncio.shield(asyncio.to_thread(self._undo, file, job.session_id))
            if isinstance(error, EndedError) and now_read["reads"] == "keypoints":
                fault = (
                    f"{Path(fields['keypoints']).name}: their reader {error}; use fewer keypoints"
                )
                raise BadInputError.of({"keypoints": fault}) from None
            if isinstance(error, EndedError):
                raise VideoError(
                    f"video {video.name}: its decoder {error}; export the video again"
                ) from None
            raise
        self._wake.set()
        return created

    async def check(self, session_id: str) -> dict[str, Any]:
        """Check the recording of a session that is waiting for its analysis, in another process.

        The result stays in memory until the analysis ends or the session is deleted.
        """
        if self.position(session_id) is None:
            raise NotFoundError(f"session {session_id}: is not waiting; get its results")
        check = self._begin_check(session_id)
        try:
            # A client that stops waiting must not cancel it for the others.
            return await asyncio.shield(check)
        except EndedError as error:
            raise VideoError(f"session {session_id}: its check {error}") from None
        except asyncio.CancelledError:
            if check.cancelled():
                raise NotFoundError(f"session {session_id}: was deleted in the meantime") from None
            raise

    def _begin_check(self, session_id: str) -> asyncio.Task[dict[str, Any]]:
        """Start the check of a recording, unless it has started; its analysis waits meanwhile."""
        if session_id not in self._checks:
            request = self._request("check", session_id=session_id)
            check = asyncio.ensure_future(self._checkers.ask(request))
            self._checks[session_id] = check
            check.add_done_callback(partial(self._end_check, session_id))
        return self._checks[session_id]

    def _end_check(self, session_id: str, check: asyncio.Task[dict[str, Any]]) -> None:
        if not check.cancelled() and (error := check.exception()):
            log.info("session %s: its check failed: %s", session_id, error)
        self._wake.set()

    async def _forget_check(self, session_id: str) -> None:
        check = self._checks.pop(session_id, None)
        if check is not None and not check.done():
            check.cancel()
            await asyncio.wait([check])

    async def render(self, session_id: str, *, demo: str | None = None) -> None:
        """Render the report of a session in another process."""
        request = self._request("report", session_id=session_id) | {"demo": demo}
        await self._rendered(
            session_id, request, f"session {session_id}: was deleted in the meantime"
        )

    async def render_visit(self, user_id: str, date: str) -> None:
        """Render the page of a visit in another process."""
        request = self._request("visit", session_id="") | {"user_id": user_id, "date": date}
        fault = f"participant {user_id}: sessions of {date} were deleted in the meantime"
        await self._rendered(f"{user_id}/{date}", request, fault)

    async def _rendered(self, what: str, request: dict[str, Any], fault: str) -> None:
        if what not in self._rendering:
            task = asyncio.ensure_future(self._reports.ask(request))
            self._rendering[what] = task
            task.add_done_callback(lambda _: self._rendering.pop(what, None))
        task = self._rendering[what]
        try:
            # A client that stops waiting must not cancel it for the others.
            await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                raise NotFoundError(fault) from None
            raise

    async def still(self, session_id: str) -> Any:
        """Make the still of a session in another process; return ``jpeg`` in base64."""
        return await self._stills.ask(self._request("still", session_id=session_id))

    def position(self, session_id: str) -> Place | None:
        """Return the position of a session in the queue; None if it is not queued."""
        return self.positions().get(session_id)

    def positions(self) -> dict[str, Place]:
        """Return the position of each session in the queue."""
        running = set(self._running)
        places: dict[str, Place] = {}
        before = 0
        for name in self._in_turns():
            session_id = _session_of(name)
            if session_id not in running:
                places.setdefault(session_id, ("waiting", before))
                before += 1
        return places | dict.fromkeys(running, ("running", 0))

    def pause_reason(self, session_id: str) -> str:
        """Return the reason why the analysis of a session is paused; "" if it is not paused."""
        pause = self._pauses.get(session_id)
        return pause.reason if pause else ""

    def add(self, session_id: str, user_id: str, *, shared: bool = True) -> None:
        """Queue the analysis of an existing session, unless it is already queued."""
        if self.position(session_id) is not None:
            return
        self.check_room(user_id if shared else None)
        self.require_hold()
        job = Job(session_id=session_id, user_id=user_id, state="waiting", since=now())
        _write(self._file_of(session_id), job)
        self._wake.set()

    async def forget(self, session_id: str) -> None:
        """Remove a session from the queue, and end its analysis."""
        self._leaving.add(session_id)
        try:
            self._remove(session_id)
            if session_id in self._running:
                worker, task = self._running[session_id]
                worker.kill()
                # Its process may just be starting.
                task.cancel()
                await asyncio.wait([task])
                # Its file may have been written meanwhile.
                self._remove(session_id)
        finally:
            self._leaving.discard(session_id)
            self._pauses.pop(session_id, None)
        await self._forget_check(session_id)
        await self._end_rendering(session_id)

    def _file_of(self, session_id: str) -> Path:
        """Return the file of a new job, after all others."""
        return self._folder / f"{time.time_ns():020d}-{session_id}.json"

    def _remove(self, session_id: str) -> None:
        for name in self._names():
            if _session_of(name) == session_id:
                (self._folder / name).unlink(missing_ok=True)

    async def forget_report(self, session_id: str) -> None:
        """Remove a report that was rendered while its session was deleted."""
        await self._end_rendering(session_id)
        if not self._store.has(session_id):
            await asyncio.to_thread(self._store.remove_reports, session_id)

    async def _end_rendering(self, session_id: str) -> None:
        if session_id in self._rendering:
            rendering = self._rendering[session_id]
            rendering.cancel()
            await asyncio.wait([rendering])

    async def forget_all(self, user_id: str) -> None:
        """Remove all sessions of a participant from the queue, even if still being created."""
        for name in self._names():
            job = self._job(name)
            if job is not None and job.user_id == user_id:
                await self.forget(job.session_id)

    def require_hold(self) -> None:
        """Raise an error unless this server works on the store's queue or can take it over."""
        if not self._hold():
            raise ConflictError(
                "another Jupyter server is working on the queue of this store; send the request "
                "to that server, or stop it"
            )

    def _hold(self) -> bool:
        if self._lock is not None:
            return True
        with writing(self._folder):
            make_folder(self._folder)
            lock = FileLock(self._folder.parent / "serving.lock", mode=FILE_MODE)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                return False
        self._lock = lock
        self._recover()
        return True

    def _recover(self) -> None:
        """Remove sessions that a stopped server had not yet accepted."""
        for left in (self.uploads, self.exports):
            shutil.rmtree(left, ignore_errors=True)
        for leftover in self._folder.glob(".*.tmp.json"):
            leftover.unlink(missing_ok=True)
        for name in self._names():
            job = self._job(name)
            # The session of a damaged file remains, and may be queued again.
            if job is not None and job.state == "taking in":
                try:
                    self._undo(self._folder / name, job.session_id)
                except (MobilityError, OSError):
                    log.exception("session %s", job.session_id)
        with suppress(StorageError):
            self._store.sweep()

    def _undo(self, file: Path, session_id: str) -> None:
        with suppress(NotFoundError):
            self._store.delete(session_id)
        file.unlink(missing_ok=True)
        sync_folder(self._folder)

    def _start_next(self) -> None:
        if len(self._running) >= self._settings.analyses_at_once:
            return
        for name in self._in_turns():
            if len(self._running) >= self._settings.analyses_at_once:
                return
            session_id = _session_of(name)
            if session_id in self._running or session_id in self._leaving:
                continue
            if session_id in self._checks and not self._checks[session_id].done():
                continue
            if session_id in self._pauses and self._pauses[session_id].until > time.monotonic():
                continue
            job = self._job(name)
            if job is None or job.state != "waiting":
                continue
            limits = Limits(self._settings.analysis_seconds, self._settings.memory_bytes)
            worker = Worker(limits)
            task = asyncio.ensure_future(self._analyze(worker, self._folder / name, job))
            self._running[session_id] = (worker, task)
            # Not in `_analyze`, which never starts if it is cancelled at once.
            task.add_done_callback(partial(self._ended, session_id))

    def _ended(self, session_id: str, _: asyncio.Task[None]) -> None:
        self._running.pop(session_id, None)
        if not any(_session_of(name) == session_id for name in self._names()):
            self._checks.pop(session_id, None)
        self._wake.set()

    async def _analyze(self, worker: Worker, file: Path, job: Job) -> None:
        session_id = job.session_id
        try:
            reason: str | None = f"its analysis was started {job.attempts} times and never finished"
            if job.attempts < ATTEMPTS:
                job.attempts += 1
                # A cancelled thread continues: it would write after the file was removed.
                await run_to_completion(asyncio.to_thread(_write, file, job))
                request = self._request("analyze", session_id=session_id)
                reason = await self._attempt(worker, request, last=job.attempts == ATTEMPTS)
            if reason is None:
                return
            if reason and file.is_file():
                await self._note(session_id, reason)
            file.unlink(missing_ok=True)
            self._pauses.pop(session_id, None)
        except DiskFullError as error:
            self._put_off(session_id, error)
            # A full disk is not the fault of the video.
            job.attempts -= 1
            with suppress(StorageError):
                if file.is_file():
                    await run_to_completion(asyncio.to_thread(_write, file, job))
        except (MobilityError, OSError) as error:
            self._put_off(session_id, error)
        finally:
            worker.kill()

    async def _attempt(self, worker: Worker, request: Any, *, last: bool) -> str | None:
        """Return the reason of a failure to record, "" for none, or None to try again."""
        try:
            await worker.ask(request | {"pose_workers": self._settings.pose_workers or None})
        except EndedError as error:
            log.warning("session %s: its analysis %s", request["session_id"], error)
            return None if error.retryable and not last else f"its analysis {error}"
        except DiskFullError:
            raise
        except StorageError as error:
            self._put_off(request["session_id"], error)
            return None if not last else f"{error}"
        except MobilityError as error:
            # The analysis has recorded the error.
            log.info("session %s: %s", request["session_id"], error)
        return ""

    def _put_off(self, session_id: str, error: Exception) -> None:
        """Pause the analysis of a session, each time twice as long, while others continue."""
        before = self._pauses.get(session_id)
        seconds = min(2 * before.seconds, _LONGEST_PAUSE_S) if before else _LOOK_S
        reason = DISK_FULL if isinstance(error, DiskFullError) else f"{error}"
        log.warning("session %s: %s; tried again in %g s", session_id, error, seconds)
        self._pauses[session_id] = Pause(reason, seconds, time.monotonic() + seconds)

    async def _note(self, session_id: str, reason: str) -> None:
        """Record that an analysis failed, if possible."""
        try:
            await run_to_completion(asyncio.to_thread(self._give_up, session_id, reason))
        except DiskFullError:
            raise
        except (MobilityError, OSError) as error:
            log.warning("session %s: %s", session_id, error)

    def _give_up(self, session_id: str, reason: str) -> None:
        from mobility.pipeline.analysis import give_up

        with suppress(NotFoundError):
            give_up(self._store.session(session_id), reason)

    def _request(self, do: str, *, session_id: str) -> dict[str, Any]:
        return {
            "do": do,
            "store": self._store.place,
            "reports": str(self._store.reports.absolute()),
            "session_id": session_id,
            "code": code_digest(None),
        }

    def _in_turns(self) -> list[str]:
        """Return the files of the queue in the order of their analysis: users take turns."""
        names = self._names()
        users = self._users_of(names)
        earlier: Counter[str] = Counter()
        turns = {}
        for name in names:
            turns[name] = earlier[users[name]]
            earlier[users[name]] += 1
        return sorted(names, key=lambda name: (turns[name], name))

    def _users_of(self, names: Iterable[str]) -> dict[str, str]:
        """Return the participant of each file of the queue; each file is read only once."""
        users = {}
        for name in names:
            if (user_id := self._users.get(name)) is None:
                job = self._job(name)
                user_id = job.user_id if job else ""
            users[name] = user_id
        self._users = users
        return users

    def _names(self) -> list[str]:
        if not self._folder.is_dir():
            return []
        return sorted(
            file.name
            for file in self._folder.iterdir()
            if file.suffix == ".json" and not file.name.startswith(".")
        )

    def _job(self, name: str) -> Job | None:
        """Read a file of the queue; None if it is gone or damaged."""
        try:
            return validate(Job, read_json(self._folder / name), what=name)
        except MobilityError as error:
            if name not in self._damaged:  # read every second
                self._damaged.add(name)
                log.warning("queue: %s", error)
            return None


def remove_participant_files(folder: Path, user_id: str) -> None:
    """Remove files of a participant from the private folder of a server.

    Uploads and exports that a stopped server left behind may belong to anybody, so all of them are
    removed. On a running server, only the participant's files in the queue are removed.
    """
    if not folder.is_dir():
        return
    with lock_if_free(folder / "serving.lock") as free:
        for left in ("uploads", "exports") if free else ():
            remove(folder / left)
        for file in (folder / "queue").glob("*.json"):
            with suppress(MobilityError), writing(file):
                is_leftover = free and file.name.startswith(".")
                if is_leftover or read_json(file).get("user_id") == user_id:
                    file.unlink(missing_ok=True)


def _session_of(name: str) -> str:
    return Path(name).stem.partition("-")[2]


def _write(file: Path, job: Job) -> None:
    write_json(file, job.model_dump(mode="json"))
