"""Other processes: commands, copies of this one that faults may end, and waiting for them."""

from __future__ import annotations

import io
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import Any, NamedTuple

from mobility.errors import StorageError

REFUSED = 7
"""Exit status of a child that could not write."""


def ended(command: Sequence[object], **how: Any) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, however it ends; what it said is kept."""
    return subprocess.run(
        list(map(str, command)), capture_output=True, text=True, check=False, **how
    )


class Said(NamedTuple):
    """How a command ended, and what it said."""

    returncode: int
    stdout: str
    stderr: str


def command(*arguments: object, store: Path | None = None) -> Said:
    """Run the command line in this process: here, or beside the folder of its store."""
    import pytest

    from mobility.capture import pose_process
    from mobility.cli import main as cli

    out, err = io.StringIO(), io.StringIO()
    out.fileno = lambda: os.open(os.devnull, os.O_WRONLY)  # type: ignore[method-assign]
    status = 0
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        # What ends a command from outside is no concern of this process.
        patch.setattr(cli.signal, "signal", lambda *_: None)
        patch.setattr(sys, "argv", ["mobility", *map(str, arguments)])
        # Workers begin when there is a video for them: most commands here are refused before.
        patch.setattr(pose_process, "started_ahead", lambda *_: nullcontext())
        if store is not None:
            patch.setenv("MOBILITY_STORE", str(store))
            patch.chdir(store.parent)
        try:
            cli.main()
        except SystemExit as ended:
            status = int(ended.code or 0)
    return Said(status, out.getvalue(), err.getvalue())


# Commands begin as copies of one process that has imported what all of them need: no test waits
# for that anew, and none finds what another left. A missing import is found by ruff, not by them.
_COMMANDS = multiprocessing.get_context("forkserver")
_COMMANDS.set_forkserver_preload(
    ["mobility.cli.analysis_commands", "mobility.pipeline.analysis", "mobility.store"]
)


def _command(
    arguments: list[str], cwd: str, environment: dict[str, str], outputs: list[str], before: str
) -> None:
    """Be the command line, in a process of its own."""
    for number, path in zip((1, 2), outputs, strict=True):
        os.dup2(os.open(path, os.O_WRONLY), number)
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["mobility", *arguments]
    from mobility.cli.main import main

    exec(before, {})
    main()


def mobility(
    *arguments: object, store: Path, before: str = "", **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own, beside the folder of its store.

    What has to happen in that process first is Python source: `before`.
    """
    words = list(map(str, arguments))
    where = {**os.environ, "MOBILITY_STORE": str(store), **environment}
    with tempfile.TemporaryDirectory() as folder:
        outputs = [Path(folder, name) for name in ("out", "err")]
        for path in outputs:
            path.touch()
        process = _COMMANDS.Process(
            target=_command, args=(words, str(store.parent), where, list(map(str, outputs)), before)
        )
        process.start()
        try:
            process.join()
        except BaseException:
            process.kill()
            process.join()
            raise
        out, err = (path.read_text(encoding="utf-8") for path in outputs)
    assert process.exitcode is not None
    return subprocess.CompletedProcess(words, process.exitcode, out, err)


def refused(done: Said | subprocess.CompletedProcess[str], *words: str) -> None:
    """Check that a command ended with one line on standard error, status 2 and no output."""
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.strip().splitlines()
    assert "Traceback" not in line
    for word in words:
        assert word in line


_STEPS = frozenset({"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.chmod"})


def in_child(
    act: Callable[[], object], *, step: int | None = None, number: int = signal.SIGKILL
) -> int:
    """Run `act` in a copy of this process; its exit status, or minus the signal that ended it.

    A signal of that number comes at a step in the file system, counted from 1.
    """
    child = os.fork()
    if child == 0:
        status = 1
        with suppress(BaseException):
            if step is not None:
                _signalled(step, number)
            try:
                act()
                status = 0
            except StorageError:
                status = REFUSED
            except SystemExit as ended:
                status = int(ended.code or 0)
        os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _signalled(step: int, number: int) -> None:
    """Send this process a signal before what it does `step`-th to the file system."""
    for each in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)

    def count(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal step
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & 0o101
        if event in _STEPS or writes:
            step -= 1
            if step == 0:
                os.kill(os.getpid(), number)

    sys.addaudithook(count)


def free_port() -> int:
    """Number of a port on this machine that nothing listens to."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


def end_group(process: subprocess.Popen[Any], number: int, seconds: float) -> None:
    """Send a signal to a process and to all of its group, and kill them if it goes on."""
    os.killpg(process.pid, number)
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def in_children(number: int, act: Callable[[int], object]) -> None:
    """Run `act` in so many copies of this process at once, each with its number; all go well."""
    children = []
    for n in range(number):
        child = os.fork()
        if child == 0:
            try:
                act(n)
                os._exit(0)
            finally:
                os._exit(1)
        children.append(child)
    statuses = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert statuses == [0] * number


def wait_for(condition: Callable[[], Any], seconds: float = 300.0) -> Any:
    """Wait until a condition holds, and return what it gave."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
    return value


@contextmanager
def peak_memory() -> Iterator[Callable[[], int]]:
    """Give what returns the most bytes that Python and numpy took within."""
    peak = [0]
    tracemalloc.start()
    try:
        yield lambda: peak[0]
    finally:
        peak[0] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
