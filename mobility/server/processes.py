"""Worker processes with limits of time and memory, which end with the server."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import queue
import signal
import sys
import threading
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import psutil

from mobility import errors
from mobility.errors import BadInputError, MobilityError

log = logging.getLogger(__name__)

COMMAND: Sequence[str] = (sys.executable, "-m", "mobility.server.worker")
"""Command of a worker process; its requests come through standard input."""

T = TypeVar("T")

_DEATH_S = 10.0
_LINE = 1 << 22
_MEMORY, _BUG = "memory", "bug"
_KEPT_BYTES = 512 << 20
"""A process that holds more memory than this after a request is not used again."""


async def run_to_completion(work: Coroutine[Any, Any, T]) -> T:
    """Wait for work that cannot be cancelled; a cancellation is raised when it is done."""
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


class EndedError(MobilityError):
    """A process was ended: by its limits, by the system, or by the server."""

    def __init__(self, message: str, *, retryable: bool) -> None:
        super().__init__(message)
        self.retryable = retryable


class WorkerError(MobilityError):
    """A bug in a worker process; the log has more."""


@dataclass(frozen=True)
class Limits:
    """Limits of a process."""

    seconds: float
    """Wall time of one request."""
    memory_bytes: int
    """Address space of each process; 0 is no limit."""


class Worker:
    """A process that answers one request after another, and is killed above its limits."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._process: asyncio.subprocess.Process | None = None

    async def ask(self, request: Mapping[str, Any]) -> Any:
        """Send a request, and return the answer or raise the error of the process.

        After an EndedError the next request starts another process.
        """
        process = await self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            async with asyncio.timeout(self._limits.seconds):
                process.stdin.write(json.dumps(request).encode() + b"\n")
                await process.stdin.drain()
                line = await process.stdout.readline()
        except TimeoutError:
            await self._end(process)
            raise EndedError(
                f"was stopped after {self._limits.seconds:g} s, its time limit", retryable=False
            ) from None
        except (ConnectionError, ValueError):
            line = b""
        except asyncio.CancelledError:
            await self._end(process)
            raise
        if not line:
            await self._end(process)
            code = process.returncode
            code = -signal.SIGKILL if code is None else code
            raise EndedError(_reason_of_end(code), retryable=code < 0)
        answer = json.loads(line)
        if answer["keeps_bytes"] > _KEPT_BYTES:
            await self._end(process)
        if "error" in answer:
            raise _error_from(answer)
        return answer["result"]

    def kill(self) -> None:
        """Kill the process, if any, and all that it started."""
        process, self._process = self._process, None
        if process is not None:
            # It leads a process group, and may have ended already.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        """Kill the process, and wait until it is dead and its locks are free."""
        self.kill()
        await run_to_completion(_dead(process))

    async def _running(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                *COMMAND,
                str(self._limits.memory_bytes),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=_LINE,
                start_new_session=True,
            )
        return self._process


class Pool:
    """A few workers that are reused, for short work."""

    def __init__(self, size: int, limits: Limits) -> None:
        self._free = [Worker(limits) for _ in range(size)]
        self._all = tuple(self._free)
        self._waiting = asyncio.Semaphore(size)

    async def ask(self, request: Mapping[str, Any]) -> Any:
        """Send a request to the next free worker; see :meth:`Worker.ask`."""
        async with self._waiting:
            worker = self._free.pop()
            try:
                return await worker.ask(request)
            finally:
                self._free.append(worker)

    def kill(self) -> None:
        """Kill all workers."""
        for worker in self._all:
            worker.kill()


def serve(do: Any, memory_bytes: int) -> None:
    """Answer requests from standard input until it ends; runs in the worker process.

    `do` is called with each request, and returns JSON values.
    """
    _limit(memory_bytes)
    requests = queue.SimpleQueue[bytes]()

    def listen() -> None:
        for line in sys.stdin.buffer:
            requests.put(line)
        # The server has ended: this process ends too, with all that it started.
        os.killpg(os.getpgid(0), signal.SIGKILL)

    # Output of libraries must not mix with the answers.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    threading.Thread(target=listen, daemon=True).start()
    while True:
        answer = _answer(do, json.loads(requests.get()))
        answer["keeps_bytes"] = psutil.Process().memory_info().rss
        answers.write(json.dumps(answer) + "\n")


def _answer(do: Any, request: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return {"result": do(request)}
    except MobilityError as error:
        fields = error.fields if isinstance(error, BadInputError) else {}
        return {"error": type(error).__name__, "message": str(error), "fields": fields}
    except MemoryError:
        return {"error": _MEMORY, "message": "needed more memory than its limit"}
    except Exception as error:
        log.exception("failed")
        return {"error": _BUG, "message": f"{type(error).__name__}: {error}"}


async def _dead(process: asyncio.subprocess.Process) -> None:
    # A process that hangs in the system never dies.
    with suppress(TimeoutError):
        async with asyncio.timeout(_DEATH_S):
            await process.wait()


def _error_from(answer: Mapping[str, Any]) -> MobilityError:
    kind = getattr(errors, answer["error"], None)
    message = answer["message"]
    if answer.get("fields"):
        return BadInputError(message, answer["fields"])
    if isinstance(kind, type) and issubclass(kind, MobilityError):
        error: MobilityError = kind(message)
        return error
    if answer["error"] == _MEMORY:
        return EndedError(message, retryable=False)
    return WorkerError(message)


def _reason_of_end(code: int) -> str:
    if code == -signal.SIGKILL:
        return "was killed by the system, which may have too little memory"
    return f"was ended by signal {-code}" if code < 0 else f"ended with status {code}"


def _limit(memory_bytes: int) -> None:
    try:
        import resource
    except ImportError:  # not on Windows
        return
    # No core dumps: they would leave pictures of people on the disk.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if memory_bytes:
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    with suppress(OSError):
        # The server's answers go before analyses.
        os.nice(10)
