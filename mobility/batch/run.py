"""Many videos: analysis and report of each, on the workers of a dask cluster.

A row of a manifest is one task. What a task does is only to bring its session up to date, so it
may be done twice, stopped anywhere, or done by two batches at once: a lock of the store lets one
at a time work at a session, and whoever comes second finds it done.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import json
import logging
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from secrets import token_hex
from typing import Any

import mobility
from mobility.batch.manifest import Refused, Row
from mobility.batch.record import BatchRow, BatchSummary
from mobility.batch.summary import Summary, write_summary
from mobility.capture.pose_process import processors
from mobility.errors import BadInputError, ConflictError, MobilityError, StorageError
from mobility.options import Workers, checked
from mobility.progress import progress_bar, progress_told_to
from mobility.provenance import code_digest, package_versions
from mobility.reports.warm_kernels import use_warm_kernels
from mobility.sessions.files import lock, make_folder, open_private, writing
from mobility.sessions.objects import one_line
from mobility.sessions.record import now
from mobility.sessions.scratch import scratch
from mobility.store import Session, Store
from mobility.writing import FOLDER_MODE, LogFile

log = logging.getLogger(__name__)

LOST = 3
"""With how many lost workers a row is given up; then it is tried once more, alone."""

_LOST = f"its worker was lost {LOST} times; the memory may be too small"

TRIES = 3
"""How often a row is tried whose pose process or kernel was killed."""

WAIT_S = 6 * 3600.0
"""How long a row waits for another batch that works at its session."""

SCHEDULER_WAIT_S = 10

MISSING_S = 30
"""How long a worker of this machine may be missing before another is started for it."""

JOURNAL = ".journal.jsonl"
LOG = "batch.log"
WORKING = ".working.lock"
"""Held in the folder of a batch as long as it is at work."""

_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


@checked
def run_batch(
    rows: Sequence[Row | Refused],
    store: Store,
    *,
    manifest: str,
    workers: Workers | None = None,
    scheduler: str | None = None,
    resume: bool = False,
) -> Summary:
    """Analyse and report every row, and write a summary that links the reports.

    Rows that were refused are failed rows of it; it is called `manifest`, and lies in
    ``<reports>/batch-<time>/``. The work is done by `workers` processes of this machine (by default
    one for each processor; it changes no result), or by those of a dask `scheduler`
    (``tcp://host:8786``), which must see the store, the reports and the videos under the same
    paths. With `resume` the last interrupted batch of these rows goes on in its folder, if there is
    one.
    """
    store.require_shared("a batch")
    store = store.absolute()
    started = now()
    began = time.monotonic()  # the clock may be set meanwhile
    good = [row for row in rows if isinstance(row, Row)]
    became = {row.number: refused(row) for row in rows if isinstance(row, Refused)}
    key = _digest([asdict(row) for row in good])
    with contextlib.ExitStack() as stack:
        stack.callback(store.close)
        # First, for without workers there is no batch.
        at_most = min(workers or processors(), len(good))
        client = stack.enter_context(cluster_client(at_most, scheduler)) if good else None
        folder = (_interrupted(store.reports, key) if resume else None) or _new_folder(
            store.reports, started
        )
        stack.enter_context(lock(folder / WORKING, what=f"the batch {folder.name}"))
        stack.enter_context(logged(folder / LOG))
        told, note = stack.enter_context(_journal(folder / JOURNAL, key))
        log.info("batch of %s: %d rows into %s", manifest, len(rows), store.place)
        for outcome in became.values():
            log.warning("%s: %s", _named(outcome), outcome.reason)
        _describe_people(good, store)
        for outcome in outcomes(client, good, store, folder, workers, scheduler):
            before = told.get(outcome.row)
            if before and before.state == "done" and outcome.state == "skipped":
                outcome = before
            became[outcome.row] = outcome
            note(outcome)
        document = BatchSummary(
            manifest=manifest,
            started=started,
            ended=now(),
            took_s=_since(began),
            versions=dict(package_versions()),
            rows=[became[row.number] for row in rows],
        )
        summary = Summary(folder, document)
        write_summary(folder, document)
        log.info("ended: %s", ", ".join(f"{n} {state}" for state, n in summary.counts.items()))
    # Without its journal a batch is no interrupted one.
    for name in (JOURNAL, WORKING):
        with contextlib.suppress(OSError):
            (folder / name).unlink()
    return summary


def run_at_end(command: str, summary: Path) -> None:
    """Run a command, without a shell, with the path of a summary as its last argument."""
    words = split_command(command)
    try:
        status = subprocess.run(  # noqa: S603 - the user's own command
            [*words, str(summary)], check=False, stdout=sys.stderr, stdin=subprocess.DEVNULL
        ).returncode
    except OSError as error:
        raise BadInputError(f"--on-end {words[0]}: cannot be run ({error.strerror})") from None
    if status:
        raise BadInputError(f"--on-end {words[0]}: ended with status {status}")


def split_command(command: str) -> list[str]:
    """Words of a command."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise BadInputError(f"--on-end {command!r}: {error}") from None
    if not words:
        raise BadInputError("--on-end: must not be empty")
    return words


def work_on(row: Row, task: Mapping[str, Any]) -> dict[str, Any]:
    """Bring the session of one row up to date, and give a :class:`BatchRow` as JSON values.

    Runs in a worker, and raises nothing. `task` has ``store``, ``reports``, ``folder`` of the
    summary (absolute paths, or a URL), ``code`` (its digest) and ``pose_workers``.
    """
    logging.getLogger("mobility").setLevel(logging.INFO)
    retryable = False
    began = time.monotonic()
    try:
        if task["code"] != code_digest():
            raise BadInputError(
                f"the worker has another version of mobility (here {mobility.__version__}) or of "
                "its libraries; install the same versions everywhere"
            )
        import dask

        use_warm_kernels()
        # Inside a worker xarray would ask the scheduler for the lock of every file.
        with dask.config.set(scheduler="threads"), progress_told_to(_stages_told(row, task)):
            found = _up_to_date(row, task)
        return _outcome(row, **found, took_s=_since(began)).model_dump(mode="json")
    except MobilityError as error:
        reason = str(error)
        retryable = error.retryable or isinstance(error, StorageError)
        log.warning("%s: %s", _named(row), reason)
    except Exception as error:  # a bug, of which the other rows must not suffer
        reason = f"{type(error).__name__}: {error}; this is a bug, see the log"
        log.error("%s: %s", _named(row), traceback.format_exc())
    failed = _outcome(row, reason=reason, may_pass=retryable, took_s=_since(began))
    return failed.model_dump(mode="json")


def _stages_told(row: Row, task: Mapping[str, Any]) -> Callable[[str, float, float | None], None]:
    """Tell whoever started the batch in which stage a row is, under the topic of the task."""
    topic = task.get("stages")
    if topic is None:
        return lambda *_: None
    from distributed import get_worker

    worker = get_worker()
    stage = ""

    def listen(description: str, _: float, __: float | None) -> None:
        nonlocal stage
        if description != stage:
            stage = description
            worker.log_event(topic, {"row": row.number, "stage": stage})

    return listen


def _outcome(row: Row | Refused, *, reason: str = "", **more: Any) -> BatchRow:
    """Say what became of a row; without a ``state`` it failed."""
    return BatchRow.model_validate(
        {
            "row": row.number,
            "video": _writable(row.video.name),
            "participant": _writable(row.participant),
            "exercise": row.exercise,
            "session_id": row.session_id if isinstance(row, Row) else "",
            "state": "failed",
            "reason": _writable(" ".join(reason.split())),
            **more,
        }
    )


def _printable(text: str) -> str:
    """Text for a terminal."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _writable(text: str) -> str:
    """Text that names a file, with bytes that are no UTF-8 as escapes."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _since(began: float) -> float:
    return round(time.monotonic() - began, 3)


def _up_to_date(row: Row, task: Mapping[str, Any]) -> dict[str, Any]:
    store = Store(task["store"], reports=task["reports"])
    what = f"session {row.session_id}"
    # Beside the session's own lock, which a reader of the session may want meanwhile.
    guard = store.session_locked(row.session_id, "work", what=what, wait_s=WAIT_S)
    with contextlib.closing(store), guard:
        session = _session(row, store)
        session.redescribe(session_name=row.name, joints=row.joints)  # type: ignore[arg-type]
        before = dict(session.record.stages)
        _with_retries(lambda: session.analyze(workers=task["pose_workers"], **row.options))
        record = session.record
        redone = [name for name, stage in record.stages.items() if before.get(name) != stage]
        seconds = {name: record.stages[name].seconds for name in redone}
        report_was_current = session.report_is_current()
        paths = _with_retries(session.render_report)
        if not report_was_current:
            redone.append("report")
            if (rendered := session.record.report) is not None:
                seconds["report"] = rendered.seconds
        return {
            "state": "done" if redone else "skipped",
            "report": Path(os.path.relpath(paths["html"], task["folder"])).as_posix(),
            "redone": redone,
            "seconds": seconds,
            "verdict": _verdict(session),
            "warnings": [warning.message for warning in record.warnings],
        }


def _verdict(session: Session) -> str:
    """Say what the recording is good for, as its report does."""
    from mobility.documents.verdicts import verdict_of

    return verdict_of(session).said


def _session(row: Row, store: Store) -> Session:
    """Open the session of a row, making it if it is not there."""
    given = (row.sha256, row.second_sha256, row.calibration_sha256)
    expected = [each for each in given if each is not None]
    if store.has(row.session_id):
        session = store.session(row.session_id)
        if _hashes(session) == expected:
            return session
        store.delete(row.session_id)  # its making was killed before it could be refused
    with contextlib.suppress(ConflictError):
        store.create(
            row.video,
            row.second_video,
            user_id=row.participant,
            exercise_name=row.exercise,
            session_name=row.name,
            body_joint_angles=row.joints,
            session_id=row.session_id,
            calibration=row.calibration,
        )
    session = store.session(row.session_id)
    if _hashes(session) != expected:
        session.delete()
        raise BadInputError(
            f"{row.video.name}: has changed since the manifest was checked; run the batch again"
        )
    return session


def _hashes(session: Session) -> list[str]:
    record = session.record
    files = (record.video, record.second_video, record.calibration)
    return [file.sha256 for file in files if file is not None]


def _with_retries(work: Callable[[], Any]) -> Any:
    """Do `work` again where a process that it needs was killed."""
    for left in reversed(range(TRIES)):
        try:
            return work()
        except MobilityError as error:
            if not (left and error.retryable):
                raise
            log.warning("%s; trying again", error)
    return None


def outcomes(
    client: Any,
    rows: Sequence[Row],
    store: Store,
    folder: Path,
    workers: int | None,
    scheduler: str | None,
) -> Iterator[BatchRow]:
    """Outcomes of the rows, in the order in which they come."""
    if not rows:
        return
    from distributed import as_completed

    # Fewer rows than workers: the pose of each is shared.
    spare = 1 if scheduler else max(1, (workers or processors()) // len(rows))
    shared = {
        "store": store.place,
        "reports": str(store.reports),
        "folder": str(folder),
        "code": code_digest(),
        "pose_workers": spare,
        "stages": f"mobility-stages-{token_hex(4)}",
    }

    def submit(row: Row) -> Any:
        key = f"{row.session_id}-{token_hex(4)}"
        return client.submit(work_on, row, shared, key=key, pure=False)

    failed = 0
    names = {row.number: _printable(row.video.name) for row in rows}
    stages: dict[int, str] = {}

    def show() -> None:
        """Put behind the bar how many rows failed, and in which stage the others are."""
        if hasattr(bar, "set_postfix_str"):
            at_work = [f"{names[number]}: {stage}" for number, stage in tuple(stages.items())]
            bar.set_postfix_str("; ".join([f"{failed} failed"] * bool(failed) + at_work))

    def heard(event: tuple[float, Mapping[str, Any]]) -> None:
        row, stage = event[1]["row"], event[1]["stage"]
        if row in waiting:
            stages[row] = stage
            show()

    def settled(row: Row, outcome: BatchRow) -> BatchRow:
        nonlocal failed
        failed += outcome.state == "failed"
        waiting.discard(row.number)
        stages.pop(row.number, None)
        show()
        bar.update()
        log.info("%s: %s %s", _named(row), outcome.state, outcome.reason)
        return outcome

    blamed = []
    waiting = set(names)
    with progress_bar("batch", total=len(rows), unit="video") as bar:
        client.subscribe_topic(shared["stages"], heard)
        tasks = {submit(row): row for row in rows}
        for future in as_completed(list(tasks), loop=client.loop):
            row = tasks[future]
            outcome = _result(future, row)
            future.release()
            if outcome.reason == _LOST:
                blamed.append(row)
            else:
                yield settled(row, outcome)
        # A lost worker is held against all rows that waited there: alone, each answers for itself.
        for row in blamed:
            log.warning("%s: %s; trying it alone", _named(row), _LOST)
            future = submit(row)
            yield settled(row, _result(future, row))
            future.release()
        client.unsubscribe_topic(shared["stages"])


def _named(row: Row | BatchRow) -> str:
    """Name a row in the log, with its participant: by them its lines are found and deleted."""
    if isinstance(row, Row):
        return f"row {row.number}, {row.video.name} of {row.participant}"
    return f"row {row.row}, {row.video} of {row.participant}"


def refused(row: Refused) -> BatchRow:
    """Say of a file that cannot be run what is said of a row that failed."""
    return _outcome(row, reason=row.reason)


def _result(future: Any, row: Row) -> BatchRow:
    from concurrent.futures import CancelledError

    from distributed.scheduler import KilledWorker

    retryable = True
    try:
        return BatchRow.model_validate(future.result())
    except KilledWorker:
        reason = _LOST
    except (CancelledError, OSError, TimeoutError):
        reason = "the connection to the scheduler was lost; run the batch again"
    except Exception as error:  # what a worker says that has not even this package
        retryable = False
        reason = f"the worker could not do it: {type(error).__name__}: {error}"
    return _outcome(row, reason=reason, may_pass=retryable)


@contextlib.contextmanager
def cluster_client(workers: int | None, scheduler: str | None) -> Iterator[Any]:
    """Give a client of the scheduler, or of processes of this machine."""
    import dask

    # First, for its own settings would go with ours where they are loaded among them.
    from distributed import Client, LocalCluster, Security

    settings = {
        "distributed.scheduler.allowed-failures": LOST - 1,
        # Its records grow by a third of a megabyte with each video.
        "distributed.worker.profile.enabled": False,
    }
    with dask.config.set(settings):
        if scheduler is not None:
            if not re.fullmatch(r"(tcp|tls)://\S+:\d+", scheduler):
                raise BadInputError(f"scheduler {scheduler}: write it as tcp://host:8786")
            try:
                client = Client(scheduler, timeout=SCHEDULER_WAIT_S, set_as_default=False)
            except (OSError, TimeoutError, ValueError) as error:
                raise BadInputError(
                    f"scheduler {scheduler}: cannot be reached ({one_line(error)})"
                ) from None
            # That the scheduler is gone is said of the rows.
            with _quiet(), client:
                yield client
            return
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(scratch("batch"))
            try:
                # A key pressed at the terminal is for us; we end the workers.
                with _ignored(signal.SIGINT):
                    cluster = LocalCluster(
                        n_workers=workers or processors(),
                        threads_per_worker=1,
                        processes=True,
                        dashboard_address="127.0.0.1:0",
                        worker_dashboard_address="127.0.0.1:0",
                        # A scheduler runs what it is sent: others on this machine must not send.
                        security=Security.temporary(),
                        # The pose is not in these processes: a limit of theirs says nothing.
                        memory_limit=0,
                        local_directory=str(folder),
                        silence_logs=logging.CRITICAL,
                        env=dict.fromkeys(
                            ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"
                        ),
                    )
            except (RuntimeError, OSError) as error:
                reason = one_line(error.__cause__ or error)
                raise StorageError(f"the workers could not be started ({reason})") from None
            stack.enter_context(cluster)
            stack.enter_context(_replaced(cluster, workers or processors()))
            client = stack.enter_context(Client(cluster, set_as_default=False))
            client.forward_logging("mobility", logging.INFO)
            yield client


@contextlib.contextmanager
def _replaced(cluster: Any, number: int) -> Iterator[None]:
    """Start another worker for one that is lost and does not come back by itself."""
    ended = threading.Event()

    def look() -> None:
        missing_since = None
        while not ended.wait(MISSING_S / 10):
            missing = number - len(cluster.scheduler.workers)
            if missing <= 0:
                missing_since = None
                continue
            missing_since = missing_since or time.monotonic()
            if time.monotonic() - missing_since > MISSING_S:
                log.warning("%d workers did not come back; starting others", missing)
                cluster.scale(len(cluster.worker_spec) + missing)
                missing_since = None

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    try:
        yield
    finally:
        ended.set()
        looking.join()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Let dask write nothing to the terminal."""
    from distributed.utils import silence_logging_cmgr

    with contextlib.ExitStack() as stack:
        for root in ("distributed", "distributed.client", "tornado", "asyncio"):
            stack.enter_context(silence_logging_cmgr(logging.CRITICAL, root))
        yield


@contextlib.contextmanager
def _ignored(number: int) -> Iterator[None]:
    """Let processes that are started inside ignore a signal, where that can be arranged."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(number, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(number, before)


def _describe_people(rows: Sequence[Row], store: Store) -> None:
    people: dict[str, dict[str, Any]] = {}
    for row in rows:
        people.setdefault(row.participant, {}).update(row.person)
    for user_id, fields in people.items():
        record = store.stored_participant(user_id)
        stored = record.model_dump(mode="json", exclude_none=True) if record else {}
        if any(stored.get(name) != value for name, value in fields.items()):
            store.set_participant(user_id, **fields)


def _new_folder(reports: Path, started: datetime.datetime) -> Path:
    for number in range(1, 1000):
        folder = reports / f"batch-{started:%Y%m%d-%H%M%S}{'' if number == 1 else f'-{number}'}"
        with writing(folder), contextlib.suppress(FileExistsError):
            make_folder(reports)
            folder.mkdir(FOLDER_MODE)
            return folder
    raise StorageError(f"{reports}: a thousand batches were begun here in this second; try again")


def _interrupted(reports: Path, key: str) -> Path | None:
    """Folder of the last batch of these rows that has not ended, if there is one."""
    for journal in sorted(reports.glob(f"batch-*/{JOURNAL}"), reverse=True):
        with contextlib.suppress(OSError, ValueError, IndexError, TypeError):
            head = json.loads(journal.read_text(encoding="utf-8").splitlines()[0])
            if head["rows"] == key:
                return journal.parent
    return None


def read_journal(folder: Path) -> list[BatchRow]:
    """Read what was told of the rows of a batch that has not ended, in its folder."""
    path = folder / JOURNAL
    with writing(path):
        lines = os.fsdecode(path.read_bytes()).splitlines() if path.is_file() else []
    rows = []
    for line in lines[1:]:
        with contextlib.suppress(ValueError):  # the last line may be half there
            rows.append(BatchRow.model_validate_json(line))
    return rows


@contextlib.contextmanager
def _journal(
    path: Path, key: str
) -> Iterator[tuple[dict[int, BatchRow], Callable[[BatchRow], None]]]:
    """Give what was told in an earlier run of this batch, and a way to tell more."""
    told = {outcome.row: outcome for outcome in read_journal(path.parent)}
    with writing(path), open_private(path, "a", encoding="utf-8") as file:

        def write(text: str) -> None:
            with writing(path):
                file.write(text + "\n")
                file.flush()
                os.fsync(file.fileno())

        def note(outcome: BatchRow) -> None:
            try:
                write(outcome.model_dump_json())
            except StorageError as error:  # the sessions themselves say what is done
                log.warning("%s", error)

        # A line of its own ends what was half there.
        write("" if path.stat().st_size else json.dumps({"rows": key}))
        yield told, note


@contextlib.contextmanager
def logged(path: Path) -> Iterator[None]:
    """Keep the log of this package in a file.

    Lines for which there is no space are lost; the sessions themselves say what was done.
    """
    with writing(path):
        # Not logged: the log of this package goes to the file that is full.
        handler = LogFile(path, tell=lambda text: sys.stderr.write(f"warning: {text}\n"))
    handler.setFormatter(logging.Formatter(_FORMAT))
    ours = logging.getLogger("mobility")
    level = ours.level
    ours.addHandler(handler)
    ours.setLevel(logging.INFO)
    try:
        yield
    finally:
        ours.removeHandler(handler)
        ours.setLevel(level)
        handler.close()


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()
