"""Worker processes with limits on time and memory, which end with the server."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import psutil

from mobility.base.processes import Process, Send
from mobility.errors import MobilityError

PROGRAM: Sequence[str] = ("mobility.serve.worker",)
"""Module of a worker process, and its arguments before the memory limit."""

T = TypeVar("T")

_KEPT_BYTES = 512 << 20
"""A process that uses more memory than this after a request is not used again."""


async def run_to_completion(work: Awaitable[T]) -> T:
    """Wait for work that cannot be cancelled; a cancellation is raised when the work is done."""
    task = asyncio.ensure_future(work)
    is_cancelled = False
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            is_cancelled = True
    if is_cancelled:
        if not task.cancelled():
            task.exception()  # marks it as retrieved
        raise asyncio.CancelledError
    return task.result()


@dataclass(frozen=True)
class Limits:
    """Limits of a process."""

    seconds: float
    """Largest wall-clock time of one request."""
    memory_bytes: int
    """Address space of each process; 0 means no limit."""


class Worker:
    """A process that handles one request after another, and is killed if it exceeds its limits."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._process: Process | None = None

    async def ask(self, request: Mapping[str, Any], *, on_message: Send = lambda *_: None) -> Any:
        """Send a request, and return the answer or raise the error of the process.

        After an EndedError, the next request starts another process. Messages that arrive before
        the response go to `on_message`, in another thread.
        """
        if self._process is None or self._process.ended:
            program = (*PROGRAM, str(self._limits.memory_bytes))
            self._process = Process(*program, stderr=None, start_new_session=True)
        process = self._process
        asking = _in_thread(lambda: self._ask(process, request, on_message))
        try:
            return await asyncio.shield(asking)
        except asyncio.CancelledError:
            process.kill()
            with suppress(MobilityError):
                await run_to_completion(asking)
            raise

    def _ask(self, process: Process, request: Mapping[str, Any], on_message: Send) -> Any:
        try:
            return process.ask(request, seconds=self._limits.seconds, on_message=on_message)
        finally:
            with suppress(psutil.NoSuchProcess):
                if psutil.Process(process.pid).memory_info().rss > _KEPT_BYTES:
                    process.close()

    def kill(self) -> None:
        """Kill the process, if there is one, and all processes that it started."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            threading.Thread(target=process.close, daemon=True).start()


class Pool:
    """A few workers that are reused, for short work."""

    def __init__(self, size: int, limits: Limits) -> None:
        self._free = [Worker(limits) for _ in range(size)]
        self._all = tuple(self._free)
        self._waiting = asyncio.Semaphore(size)

    async def ask(self, request: Mapping[str, Any], *, on_message: Send = lambda *_: None) -> Any:
        """Send a request to the next free worker; see :meth:`Worker.ask`."""
        async with self._waiting:
            worker = self._free.pop()
            try:
                return await worker.ask(request, on_message=on_message)
            finally:
                self._free.append(worker)

    def kill(self) -> None:
        """Kill all workers."""
        for worker in self._all:
            worker.kill()


def _in_thread(work: Callable[[], T]) -> asyncio.Future[T]:
    """Run work in a thread of its own, which does not keep the server alive."""
    done: Future[T] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return asyncio.wrap_future(done)


def limit(memory_bytes: int) -> None:
    """Limit this process, which works for a server; see :class:`Limits`."""
    try:
        import resource
    except ImportError:  # not on Windows
        return
    # No core dumps: they would leave pictures of people on the disk.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if memory_bytes:
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    with suppress(OSError):
        # The server's answers have priority over analyses.
        os.nice(10)
