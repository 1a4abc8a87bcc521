"""Pose processes, some of which can be started before there is a job for them.

A process needs half a second to import MediaPipe. A command starts the first ones before its other
imports, so that both happen at once.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from mobility.base.processes import Process

AT_ONCE = 2
"""Processes that any video but a very short one keeps busy."""

_MODULE = "mobility.capture.pose_worker"
_waiting: list[Process] = []


@contextmanager
def started_ahead(count: int | None) -> Iterator[None]:
    """Start the first of `count` pose processes; at the end, stop those that got no job.

    Parameters
    ----------
    count
        Processes that will be needed; by default one for each processor.
    """
    _waiting.extend(Process(_MODULE) for _ in range(min(count or processors(), AT_ONCE)))
    try:
        yield
    finally:
        while _waiting:
            _waiting.pop().close()


def start() -> Process:
    """Return a pose process that waits for its job, or a new one."""
    while _waiting:
        process = _waiting.pop(0)
        if not process.ended:
            return process
        process.close()
    return Process(_MODULE)


def processors() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
