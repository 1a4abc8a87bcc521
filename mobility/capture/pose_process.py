"""Pose processes, which start before there is work for them, and have no network access.

A process needs half a second to import MediaPipe. A command starts its first processes before its
other imports, so that both happen at once. MediaPipe sends usage metrics to its maker, so the
process may open no socket.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from mobility.base.processes import Process

NOWHERE = "http://127.0.0.1:9"
"""A proxy on this machine that does not exist: its port belongs to the discard protocol."""

_SOCKET_CALL = {"x86_64": 41, "aarch64": 198}
"""Number of Linux's ``socket`` call, by machine."""


def cut_off() -> None:
    """Cut this process, and the processes that it starts, off the network for good.

    On Linux the kernel refuses every new socket from now on (seccomp). On all systems, curl, which
    MediaPipe uses for sending, is also given a proxy that does not exist, so that it does not even
    look up a host name. Call this before other threads start, because they would keep their
    sockets.
    """
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        os.environ[name] = os.environ[name.upper()] = NOWHERE
    for name in ("no_proxy", "NO_PROXY"):
        os.environ.pop(name, None)
    if sys.platform == "linux":
        _refuse_sockets()


def _refuse_sockets() -> None:
    """Have the kernel answer ``socket`` with "permission denied"."""
    number = _SOCKET_CALL.get(platform.machine())
    if number is None:
        return
    load, equal, answer = 0x20, 0x15, 0x06  # instructions of BPF
    refuse, allow = 0x00050000 | errno.EACCES, 0x7FFF0000
    # Load the number of the system call; refuse it if it is socket, otherwise allow it.
    steps = [(load, 0, 0, 0), (equal, 0, 1, number), (answer, 0, 0, refuse), (answer, 0, 0, allow)]
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    header = ctypes.create_string_buffer(struct.pack("HP", len(steps), ctypes.addressof(program)))
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    set_no_new_privileges, set_seccomp, filter_mode = 38, 22, 2
    prctl(set_no_new_privileges, 1, 0, 0, 0)
    prctl(set_seccomp, filter_mode, header, 0, 0)


AT_ONCE = 2
"""Number of processes that a video keeps busy, unless it is very short."""

_MODULE = "mobility.capture.pose_worker"
_waiting: list[Process] = []


@contextmanager
def started_ahead(count: int | None) -> Iterator[None]:
    """Start the first of `count` pose processes; at the end, stop the processes that got no work.

    Parameters
    ----------
    count
        Number of processes that will be needed; by default one per processor.
    """
    _waiting.extend(Process(_MODULE) for _ in range(min(count or processors(), AT_ONCE)))
    try:
        yield
    finally:
        while _waiting:
            _waiting.pop().close()


def start() -> Process:
    """Return a pose process that is waiting for work, or a new one."""
    while _waiting:
        process = _waiting.pop(0)
        if not process.ended:
            return process
        process.close()
    return Process(_MODULE)


def processors() -> int:
    """Return the number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
