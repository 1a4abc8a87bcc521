"""Kernels that start at once, because they are forked if possible.

A new kernel spends most of its time on starting and importing. Here each kernel is forked from a
:mod:`mobility.reports.kernel_server` that has already done both. It is still a separate process, so
reports do not affect each other. The server of a single report does its imports at the same time as
this process.
"""

from __future__ import annotations

import contextlib
import functools
import os
import select
import signal
import subprocess
import threading
from collections.abc import Iterator
from typing import Any

from mobility.base.processes import Process
from mobility.errors import EndedError, ReportError


class _Server:
    """The process that forks kernels, started on demand, and again if it was killed."""

    def __init__(self) -> None:
        self._process: Process | None = None
        self._guard = threading.Lock()

    def start(self) -> None:
        """Start the process, which does its imports in the meantime."""
        with self._guard:
            self._running()

    def kernel(self, request: dict[str, Any]) -> _Kernel:
        with self._guard:
            for _ in range(2):
                with contextlib.suppress(EndedError):
                    return _Kernel(self._running().ask(request))
        error = ReportError("the kernel server was stopped; try again")
        error.retryable = True
        raise error

    def _running(self) -> Process:
        if self._process is None or self._process.ended:
            self.stop()
            # As a fresh kernel has it, from its first import on.
            environment = {**os.environ, "PYTHONSAFEPATH": "1", "MPLBACKEND": _BACKEND}
            self._process = Process(
                "mobility.reports.kernel_server", env=environment, start_new_session=True
            )
        return self._process

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.close()


_BACKEND = "module://matplotlib_inline.backend_inline"
_server: _Server | None = None


def available() -> bool:
    """Return whether kernels can be forked and watched on this system."""
    return hasattr(os, "fork") and hasattr(os, "pidfd_open")


def use_warm_kernels() -> None:
    """Use forked kernels for all further reports of this process, if possible."""
    global _server
    if _server is None and available():
        _server = _Server()


def start_early() -> None:
    """Start the kernel server of this process, so that both do their imports at the same time."""
    use_warm_kernels()
    if _server is not None:
        _server.start()


@contextlib.contextmanager
def warm_kernels() -> Iterator[None]:
    """Use forked kernels for reports that are rendered inside this context, if possible."""
    global _server
    use_warm_kernels()
    try:
        yield
    finally:
        server, _server = _server, None
        if server is not None:
            server.stop()


@contextlib.contextmanager
def kernel_server() -> Iterator[_Server | None]:
    """Return the kernel server of this process, or else a new one for this report.

    None if kernels cannot be forked.
    """
    if not available():
        yield None
        return
    if _server is not None:
        _server.start()
        yield _server
        return
    server = _Server()
    server.start()
    try:
        yield server
    finally:
        server.stop()


def provisioner(manager: Any, server: _Server | None) -> Any:
    """Make the provisioner of a jupyter_client manager; None for an ordinary start."""
    if server is None:
        return None
    forked = _provisioner_class()(
        kernel_id=manager.kernel_id or "report", kernel_spec=manager.kernel_spec, parent=manager
    )
    forked.server = server
    return forked


@functools.cache
def _provisioner_class() -> type:
    from jupyter_client.provisioning.local_provisioner import LocalProvisioner

    class Forked(LocalProvisioner):
        """Starts a kernel by asking the server for one."""

        server: _Server

        async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> Any:
            kernel = self.server.kernel(
                {
                    "connection_file": self.parent.connection_file,
                    "log": kwargs["stdout"].name,
                    "env": kwargs["env"],
                    "cwd": str(kwargs.get("cwd") or os.getcwd()),  # noqa: PTH109
                }
            )
            self.process = kernel  # type: ignore[assignment]
            self.pid = self.pgid = kernel.pid
            return self.connection_info

    return Forked


class _Kernel:
    """The interface to a process that jupyter_client needs, for a process that is not our child."""

    stdin = stdout = stderr = None

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        try:
            self._handle = os.pidfd_open(pid)
        except ProcessLookupError:
            self._handle, self.returncode = -1, 1

    def poll(self) -> int | None:
        """Return None while the process runs, then 0: only the server knows the exit status."""
        if self.returncode is None and select.select([self._handle], [], [], 0)[0]:
            self._end()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            if not select.select([self._handle], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
            self._end()
        return 0

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            signal.pidfd_send_signal(self._handle, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _end(self) -> None:
        os.close(self._handle)
        self._handle, self.returncode = -1, 0
