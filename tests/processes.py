"""Other processes: commands, copies of this one that faults may end, and waiting for them."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Sequence
from typing import Any

from mobility.errors import StorageError

REFUSED = 7
"""Exit status of a child that could not write."""


def ended(command: Sequence[object], **how: Any) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, however it ends; what it said is kept."""
    return subprocess.run(
        list(map(str, command)), capture_output=True, text=True, check=False, **how
    )


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


def wait_for(condition: Callable[[], object], seconds: float = 120.0) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)
