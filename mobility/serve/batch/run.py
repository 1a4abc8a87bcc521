"""Many videos: each is analysed and reported, on the workers of a dask cluster.

A row of a manifest is one task. A task only brings its session up to date, so it may be repeated,
stopped at any point, or run by two batches at once. A lock in the store lets only one batch at a
time work on a session, so the second batch has nothing left to do.
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
from mobility import Session, Store
from mobility.base.options import Workers, checked
from mobility.base.progress import Listener, progress_bar, report_progress_to
from mobility.base.provenance import code_digest, package_versions
from mobility.base.writing import FOLDER_MODE, LogFile
from mobility.capture.pose_process import processors
from mobility.errors import BadInputError, ConflictError, MobilityError, StorageError
from mobility.reports.warm_kernels import use_warm_kernels
from mobility.serve.batch.manifest import Refused, Row
from mobility.serve.batch.summary import BatchRow, BatchSummary, Summary, write_summary
from mobility.sessions.files import lock, make_folder, open_private, scratch, writing
from mobility.sessions.record import now

log = logging.getLogger(__name__)

LOST = 3
"""Number of lost workers after which a row waits until the others have ended, and is then tried
once more, on its own.
"""

_LOST_REASON = f"its worker was lost {LOST} times; increase the memory if it is too small"

TRIES = 3
"""Number of times that a row is tried if its pose process or kernel is killed."""

WAIT_S = 6 * 3600.0
"""How long a row waits for another batch that works on its session."""

SCHEDULER_WAIT_S = 10

MISSING_S = 30
"""How long a worker of this machine may be missing before another worker is started in its place.
"""

JOURNAL = ".journal.jsonl"
LOG = "batch.log"
WORKING = ".working.lock"
"""Lock in the folder of a batch, held while it runs."""

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
    """Analyse and report every row, and write a summary with links to the reports.

    Parameters
    ----------
    rows
        Rows of the manifest; rejected rows appear as failed rows in the summary.
    store
        The store of the sessions. The folder of the summary is ``<reports>/batch-<time>/``.
    manifest
        Title of the summary.
    workers
        Number of processes of this machine that do the work, by default one per processor. Results
        do not depend on the number.
    scheduler
        Dask scheduler (``tcp://host:8786``) whose workers do the work instead of this machine. They
        must see the store, the reports and the videos under the same paths.
    resume
        Whether to continue the last interrupted batch of these rows, in its folder, if there is
        one.
    """
    store = store.absolute()
    started = now()
    began = time.monotonic()  # the clock may be set meanwhile
    good = [row for row in rows if isinstance(row, Row)]
    refused = [row for row in rows if isinstance(row, Refused)]
    outcome_by_row = {row.number: outcome_of_refused(row) for row in refused}
    rows_digest = _digest([asdict(row) for row in good])
    with contextlib.ExitStack() as stack:
        # Before its folder is made: a batch whose workers cannot start leaves no folder.
        at_most = min(workers or processors(), len(good))
        client = stack.enter_context(cluster_client(at_most, scheduler)) if good else None
        folder = _interrupted(store.reports, rows_digest) if resume else None
        folder = folder or _new_folder(store.reports, started)
        stack.enter_context(lock(folder / WORKING, what=f"the batch {folder.name}"))
        stack.enter_context(logged(folder / LOG))
        earlier, record = stack.enter_context(_journal(folder / JOURNAL, rows_digest))
        log.info("batch of %s: %d rows into %s", manifest, len(rows), store.place)
        for outcome in outcome_by_row.values():
            log.warning("%s: %s", _label(outcome), outcome.reason)
        _store_people(good, store)
        for outcome in outcomes(client, good, store, folder, workers, scheduler):
            # Skipped now because it was done before the interruption: done in this batch.
            before = earlier.get(outcome.row)
            if before and before.state == "done" and outcome.state == "skipped":
                outcome = before
            outcome_by_row[outcome.row] = outcome
            record(outcome)
        document = BatchSummary(
            manifest=manifest,
            started=started,
            ended=now(),
            took_s=_seconds_since(began),
            versions=dict(package_versions()),
            rows=[outcome_by_row[row.number] for row in rows],
        )
        summary = Summary(folder, document)
        write_summary(folder, document)
        log.info("ended: %s", ", ".join(f"{n} {state}" for state, n in summary.counts.items()))
    # A journal marks an interrupted batch.
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
        raise BadInputError(f"{words[0]}: cannot be run ({error.strerror})") from None
    if status:
        raise BadInputError(f"{words[0]}: ended with status {status}")


def split_command(command: str) -> list[str]:
    """Split a command into words."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise BadInputError.of({"on_end": f"{error} (got {command!r})"}) from None
    if not words:
        raise BadInputError.of({"on_end": "must not be empty"})
    return words


def work_on(row: Row, task: Mapping[str, Any]) -> dict[str, Any]:
    """Bring the session of one row up to date, and return a :class:`BatchRow` as JSON values.

    The function runs in a worker, and never raises. `task` has ``store``, ``reports``, ``folder``
    of the summary (absolute paths), ``code`` (digest of all code), ``pose_workers`` and, if
    somebody listens, ``stages`` (the topic to which the names of stages are sent).
    """
    logging.getLogger("mobility").setLevel(logging.INFO)
    may_pass = False
    began = time.monotonic()
    try:
        if task["code"] != code_digest(None):
            raise BadInputError(
                f"the worker has another version of mobility (here {mobility.__version__}) or of "
                "its libraries; install the same versions everywhere"
            )
        import dask

        use_warm_kernels()
        # Inside a worker xarray would ask the scheduler for the lock of every file.
        with dask.config.set(scheduler="threads"), report_progress_to(_stage_reporter(row, task)):
            fields = _update_session(row, task)
        return _outcome(row, **fields, took_s=_seconds_since(began)).model_dump(mode="json")
    except MobilityError as error:
        reason = str(error)
        may_pass = error.retryable or isinstance(error, StorageError)
        log.warning("%s: %s", _label(row), reason)
    except Exception as error:  # a bug, which must not stop the other rows
        reason = f"{type(error).__name__}: {error}; this is a bug, see the log"
        log.error("%s: %s", _label(row), traceback.format_exc())
    failed = _outcome(row, reason=reason, may_pass=may_pass, took_s=_seconds_since(began))
    return failed.model_dump(mode="json")


def _stage_reporter(row: Row, task: Mapping[str, Any]) -> Listener:
    """Return a listener that sends the stage of a row to the process that started the batch."""
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


def _outcome(row: Row | Refused, *, reason: str = "", **fields: Any) -> BatchRow:
    """Return the outcome of a row; without a ``state`` it failed."""
    return BatchRow.model_validate(
        {
            "row": row.number,
            "video": _as_utf8(row.video.name),
            "participant": _as_utf8(row.participant),
            "exercise": row.exercise,
            "session_id": row.session_id if isinstance(row, Row) else "",
            "state": "failed",
            "reason": _as_utf8(" ".join(reason.split())),
            **fields,
        }
    )


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)


def _as_utf8(text: str) -> str:
    """Return the name of a file, with bytes that are not UTF-8 as escapes."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _seconds_since(began: float) -> float:
    return round(time.monotonic() - began, 3)


def _update_session(row: Row, task: Mapping[str, Any]) -> dict[str, Any]:
    """Bring the session of a row up to date, and return the fields of the outcome."""
    store = Store(task["store"], reports=task["reports"])
    what = f"session {row.session_id}"
    # A lock for this work only: readers may want the lock of the session meanwhile.
    guard = store.session_locked(row.session_id, "work", what=what, wait_s=WAIT_S)
    with guard:
        session = _open_or_create(row, store)
        session.redescribe(session_name=row.name, joints=row.joints)
        stages_before = dict(session.record.stages)
        _with_retries(lambda: session.analyze(workers=task["pose_workers"], **row.options))
        record = session.record
        redone = [name for name, stage in record.stages.items() if stages_before.get(name) != stage]
        seconds = {name: record.stages[name].seconds for name in redone}
        report_was_current = session.report_is_current()  # before rendering makes it current
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
            "verdict": session.verdict().text,
            "warnings": [warning.message for warning in record.warnings],
        }


def _open_or_create(row: Row, store: Store) -> Session:
    if store.has(row.session_id):
        session = store.session(row.session_id)
        if _has_inputs_of(row, session):
            return session
        store.delete(row.session_id)  # its creator was stopped before the check below
    with contextlib.suppress(ConflictError):  # created by somebody else meanwhile
        store.create(
            row.video,
            row.second_video,
            user_id=row.participant,
            exercise_name=row.exercise,
            session_name=row.name,
            body_joint_angles=row.joints,
            session_id=row.session_id,
            calibration=row.calibration,
            keypoints=row.keypoints or None,
            keypoints_model=row.keypoints_model,
            options=row.subjects if row.keypoints else None,  # keypoints are read at once
        )
    session = store.session(row.session_id)
    if not _has_inputs_of(row, session):
        session.delete()
        raise BadInputError(
            f"{row.video.name}: has changed since the manifest was checked; run the batch again"
        )
    return session


def _has_inputs_of(row: Row, session: Session) -> bool:
    """Return whether the inputs of a session equal the row's inputs at the time of the check."""
    expected = (row.sha256, row.second_sha256, row.calibration_sha256, *row.keypoints_sha256)
    record = session.record
    files = (
        *(record.video, record.second_video, record.calibration),
        *(record.keypoints, record.second_keypoints),
    )
    stored = [file.sha256 for file in files if file is not None]
    return stored == [digest for digest in expected if digest is not None]


def _with_retries(work: Callable[[], Any]) -> Any:
    for _ in range(TRIES - 1):
        try:
            return work()
        except MobilityError as error:
            if not error.retryable:
                raise
            log.warning("%s; trying again", error)
    return work()


class _Progress:
    """Content of a batch's progress bar: finished or failed rows, and stages of the others."""

    def __init__(self, rows: Sequence[Row], bar: Any) -> None:
        self._bar = bar
        self._names = {row.number: _printable(row.video.name) for row in rows}
        self._waiting = set(self._names)
        self._stages: dict[int, str] = {}
        self._failed = 0

    def on_event(self, event: tuple[float, Mapping[str, Any]]) -> None:
        """Process the stage of a row that a worker has sent, perhaps after the row has ended."""
        _, content = event
        if content["row"] in self._waiting:
            self._stages[content["row"]] = content["stage"]
            self._show()

    def finish(self, row: Row, outcome: BatchRow) -> None:
        """Count a row, and log how it ended."""
        self._failed += outcome.state == "failed"
        self._waiting.discard(row.number)
        self._stages.pop(row.number, None)
        self._show()
        self._bar.update()
        log.info("%s: %s %s", _label(row), outcome.state, outcome.reason)

    def _show(self) -> None:
        if hasattr(self._bar, "set_postfix_str"):
            texts = [f"{self._failed} failed"] if self._failed else []
            at_work = tuple(self._stages.items())  # events come from another thread
            texts += [f"{self._names[number]}: {stage}" for number, stage in at_work]
            self._bar.set_postfix_str("; ".join(texts))


def outcomes(
    client: Any,
    rows: Sequence[Row],
    store: Store,
    folder: Path,
    workers: int | None,
    scheduler: str | None,
) -> Iterator[BatchRow]:
    """Yield the outcomes of the rows as they arrive."""
    if not rows:
        return
    from distributed import as_completed

    # With fewer rows than processes of this machine, several share the pose of a row.
    pose_workers = 1 if scheduler else max(1, (workers or processors()) // len(rows))
    shared = {
        "store": store.place,
        "reports": str(store.reports),
        "folder": str(folder),
        "code": code_digest(None),
        "pose_workers": pose_workers,
        "stages": f"mobility-stages-{token_hex(4)}",
    }

    def submit(row: Row) -> Any:
        key = f"{row.session_id}-{token_hex(4)}"
        return client.submit(work_on, row, shared, key=key, pure=False)

    suspects = []
    with progress_bar("batch", total=len(rows), unit="video") as bar:
        progress = _Progress(rows, bar)
        client.subscribe_topic(shared["stages"], progress.on_event)
        tasks = {submit(row): row for row in rows}
        for future in as_completed(list(tasks), loop=client.loop):
            row = tasks[future]
            outcome = _result(future, row)
            future.release()
            if outcome.reason == _LOST_REASON:
                suspects.append(row)
            else:
                progress.finish(row, outcome)
                yield outcome
        # Dask blames a lost worker on all rows that waited there. Alone, each row shows its own
        # fault.
        for row in suspects:
            log.warning("%s: %s; trying it alone", _label(row), _LOST_REASON)
            future = submit(row)
            outcome = _result(future, row)
            progress.finish(row, outcome)
            yield outcome
            future.release()
        client.unsubscribe_topic(shared["stages"])


def _one_line(error: BaseException) -> str:
    """Return the message of an error in one line, or its kind if it has none."""
    return " ".join(str(error).split()) or type(error).__name__


def _label(row: Row | BatchRow) -> str:
    """Return the label of a row in the log; a deletion finds its lines by the participant."""
    if isinstance(row, Row):
        return f"row {row.number}, {row.video.name} of {row.participant}"
    return f"row {row.row}, {row.video} of {row.participant}"


def outcome_of_refused(row: Refused) -> BatchRow:
    """Return the outcome of a file that cannot be processed: a failed row."""
    return _outcome(row, reason=row.reason)


def _result(future: Any, row: Row) -> BatchRow:
    from concurrent.futures import CancelledError

    from distributed.scheduler import KilledWorker

    may_pass = True
    try:
        return BatchRow.model_validate(future.result())
    except KilledWorker:
        reason = _LOST_REASON
    except (CancelledError, OSError, TimeoutError):
        reason = "the connection to the scheduler was lost; run the batch again"
    except Exception as error:  # for instance, the worker does not have this package
        may_pass = False
        reason = f"the worker failed: {type(error).__name__}: {error}"
    return _outcome(row, reason=reason, may_pass=may_pass)


@contextlib.contextmanager
def cluster_client(workers: int | None, scheduler: str | None) -> Iterator[Any]:
    """Yield a client for the scheduler, or for processes on this machine."""
    import dask

    # This import adds settings of its own, which would end with ours if it came later.
    import distributed  # noqa: F401

    settings = {
        "distributed.scheduler.allowed-failures": LOST - 1,
        # The profile grows by a third of a megabyte with each video.
        "distributed.worker.profile.enabled": False,
    }
    with dask.config.set(settings):
        if scheduler is not None:
            client = _client_of_scheduler(scheduler)
            # Dask may not report a lost scheduler, but the rows do.
            with _dask_silenced(), client:
                yield client
        else:
            with _client_of_processes(workers or processors()) as client:
                yield client


def _client_of_scheduler(scheduler: str) -> Any:
    from distributed import Client

    if not re.fullmatch(r"(tcp|tls)://\S+:\d+", scheduler):
        fault = f"write it as tcp://host:8786 (got {scheduler})"
        raise BadInputError.of({"scheduler": fault})
    try:
        return Client(scheduler, timeout=SCHEDULER_WAIT_S, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        reason = _one_line(error)
        fault = f"{scheduler} cannot be reached ({reason}); check the address and the scheduler"
        raise BadInputError.of({"scheduler": fault}) from None


@contextlib.contextmanager
def _client_of_processes(workers: int) -> Iterator[Any]:
    """Yield a client for a cluster of processes on this machine, which end with the client."""
    from distributed import Client, LocalCluster, Security

    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(scratch("batch"))
        try:
            # Ctrl-C is for this process, which ends the workers.
            with _signal_ignored(signal.SIGINT):
                cluster = LocalCluster(
                    n_workers=workers,
                    threads_per_worker=1,
                    processes=True,
                    dashboard_address="127.0.0.1:0",
                    worker_dashboard_address="127.0.0.1:0",
                    # Schedulers run any code, so other users of this machine must not send any.
                    security=Security.temporary(),
                    # Pose processes, which need the memory, are not counted by dask.
                    memory_limit=0,
                    local_directory=str(folder),
                    silence_logs=logging.CRITICAL,
                    env=dict.fromkeys(
                        ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"
                    ),
                )
        except (RuntimeError, OSError) as error:
            reason = _one_line(error.__cause__ or error)
            raise StorageError(
                f"the workers could not be started ({reason}); in a script, call this function "
                'below if __name__ == "__main__":'
            ) from None
        stack.enter_context(cluster)
        stack.enter_context(_replace_lost_workers(cluster, workers))
        client = stack.enter_context(Client(cluster, set_as_default=False))
        client.forward_logging("mobility", logging.INFO)
        yield client


@contextlib.contextmanager
def _replace_lost_workers(cluster: Any, number: int) -> Iterator[None]:
    """Start other workers for lost ones that do not come back automatically."""
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
                # The lost ones are still in its list of workers.
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
def _dask_silenced() -> Iterator[None]:
    from distributed.utils import silence_logging_cmgr

    with contextlib.ExitStack() as stack:
        for root in ("distributed", "distributed.client", "tornado", "asyncio"):
            stack.enter_context(silence_logging_cmgr(logging.CRITICAL, root))
        yield


@contextlib.contextmanager
def _signal_ignored(number: int) -> Iterator[None]:
    """Let processes started in this context ignore a signal; do nothing outside the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(number, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(number, before)


def _store_people(rows: Sequence[Row], store: Store) -> None:
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
        suffix = "" if number == 1 else f"-{number}"
        folder = reports / f"batch-{started:%Y%m%d-%H%M%S}{suffix}"
        with writing(folder), contextlib.suppress(FileExistsError):
            make_folder(reports)
            folder.mkdir(FOLDER_MODE)
            return folder
    raise StorageError(f"{reports}: a thousand batches were started here in this second; try again")


def _interrupted(reports: Path, rows_digest: str) -> Path | None:
    """Return the folder of the last unfinished batch of these rows, if there is one."""
    for journal in sorted(reports.glob(f"batch-*/{JOURNAL}"), reverse=True):
        with contextlib.suppress(OSError, ValueError, IndexError, TypeError):
            head = json.loads(journal.read_text(encoding="utf-8").splitlines()[0])
            if head["rows"] == rows_digest:
                return journal.parent
    return None


def read_journal(folder: Path) -> list[BatchRow]:
    """Read the outcomes that an unfinished batch has recorded in its folder."""
    path = folder / JOURNAL
    with writing(path):
        lines = os.fsdecode(path.read_bytes()).splitlines() if path.is_file() else []
    rows = []
    for line in lines[1:]:  # the first has the digest of the rows
        with contextlib.suppress(ValueError):  # the last line may be incomplete
            rows.append(BatchRow.model_validate_json(line))
    return rows


@contextlib.contextmanager
def _journal(
    path: Path, rows_digest: str
) -> Iterator[tuple[dict[int, BatchRow], Callable[[BatchRow], None]]]:
    """Yield the outcomes of an earlier run of this batch, and a function that records more."""
    earlier = {outcome.row: outcome for outcome in read_journal(path.parent)}
    with writing(path), open_private(path, "a", encoding="utf-8") as file:

        def write(text: str) -> None:
            with writing(path):
                file.write(text + "\n")
                file.flush()
                os.fsync(file.fileno())

        def record(outcome: BatchRow) -> None:
            try:
                write(outcome.model_dump_json())
            except StorageError as error:  # sessions show what is done
                log.warning("%s", error)

        is_new = path.stat().st_size == 0
        # An empty line ends the line in which an interrupted batch stopped.
        write(json.dumps({"rows": rows_digest}) if is_new else "")
        yield earlier, record


@contextlib.contextmanager
def logged(path: Path) -> Iterator[None]:
    """Also write the log of this package to a file; if the disk is full, its lines are lost."""
    with writing(path):
        # Printed on the terminal: a line of the log would go to the full disk, too.
        handler = LogFile(path, tell=lambda text: sys.stderr.write(f"warning: {text}\n"))
    handler.setFormatter(logging.Formatter(_FORMAT))
    root = logging.getLogger("mobility")
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
        handler.close()


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()
