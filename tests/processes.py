"""Copies of this process, which faults may end, and waiting for what others do."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from mobility.errors import StorageError

REFUSED = 7
"""Exit status of a child that could not write."""


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
