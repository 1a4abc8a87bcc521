"""Other processes: commands, copies of this one that faults may end, and waiting for them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mobility.errors import StorageError

REFUSED = 7
"""Exit status of a child that could not write."""


def ended(command: Sequence[object], **how: Any) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, however it ends; what it said is kept."""
    return subprocess.run(
        list(map(str, command)), capture_output=True, text=True, check=False, **how
    )


def mobility(
    *arguments: object, store: Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own, beside the folder of its store."""
    return ended(
        [sys.executable, "-m", "mobility.cli", *arguments],
        cwd=store.parent,
        env={**os.environ, "MOBILITY_STORE": str(store), **environment},
    )


def refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """Check that a command ended with one line on standard error, status 2 and no output."""
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.strip().splitlines()
    assert "Traceback" not in line
    for word in words:
        assert word in line


def in_child(act: Callable[[], object]) -> int:
    """Run `act` in a copy of this process; its exit status, or minus the signal that ended it."""
    child = os.fork()
    if child == 0:
        try:
            act()
            os._exit(0)
        except StorageError:
            os._exit(REFUSED)
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


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


def wait_for(condition: Callable[[], object], seconds: float = 120.0) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)
