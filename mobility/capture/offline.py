"""No network for a process: the library of the pose model sends usage metrics to its maker."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys

NOWHERE = "http://127.0.0.1:9"
"""A proxy that does not exist, on this machine: the port is reserved for discarding."""

_SOCKET_CALL = {"x86_64": 41, "aarch64": 198}
"""Number of Linux's ``socket`` call, by machine."""


def cut_off() -> None:
    """Keep this process, and those it starts, from the network for good.

    On Linux the kernel refuses them every socket from now on (seccomp). Everywhere, and where the
    kernel has no such filter, curl is sent to a proxy that does not exist, so that it looks up no
    name either: it is what MediaPipe sends with. Call it before other threads are started; threads
    that run already keep their sockets.
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
    # Load the number of the call; refuse it if it is that of socket, else allow it.
    steps = [(load, 0, 0, 0), (equal, 0, 1, number), (answer, 0, 0, refuse), (answer, 0, 0, allow)]
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    header = ctypes.create_string_buffer(struct.pack("HP", len(steps), ctypes.addressof(program)))
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    set_no_new_privileges, set_seccomp, filter_mode = 38, 22, 2
    prctl(set_no_new_privileges, 1, 0, 0, 0)
    prctl(set_seccomp, filter_mode, header, 0, 0)
