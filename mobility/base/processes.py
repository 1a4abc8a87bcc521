"""Python processes that answer requests over their standard input and output.

Each process has its own address space. If it is killed, the caller gets an error of one line; its
memory is freed, and nothing that libraries print reaches the terminal. A script that starts one
needs no ``if __name__ == "__main__"``. The process ends when its parent process ends, for whatever
reason, because its input then ends.

By comparison, a loky pool takes six times as long to start, outlives a killed parent, and loses the
requests of all its processes when one of them dies.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import IO, Any, NoReturn, Self

from mobility import errors
from mobility.errors import BadInputError, EndedError, MobilityError, WorkerError

log = logging.getLogger(__name__)

Send = Callable[[Mapping[str, Any], bytes], None]
"""Sends a message, JSON values and bytes, to the calling process."""

Do = Callable[[dict[str, Any], Send], Any]
"""Handles a request and returns JSON values; it may send messages first."""

_DEATH_S = 10.0


class Process:
    """A process that runs ``python -m module arguments``, which calls :func:`serve`.

    `stderr`, `env` and `start_new_session` are as for :class:`subprocess.Popen`. If the process
    leads a session, killing it also kills everything that it started.
    """

    def __init__(
        self,
        module: str,
        *arguments: str,
        stderr: int | IO[Any] | None = subprocess.DEVNULL,
        env: Mapping[str, str] | None = None,
        start_new_session: bool = False,
    ) -> None:
        self._leads_session = start_new_session
        self._process = subprocess.Popen(  # noqa: S603 - our own modules
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=env,
            start_new_session=start_new_session,
        )
        self.pid = self._process.pid
        # Also when the interpreter ends and nobody has closed it.
        self._closing = weakref.finalize(
            self, _close, self._process, leads_session=start_new_session, owner=os.getpid()
        )

    @property
    def ended(self) -> bool:
        """Whether the process no longer accepts requests."""
        return self._process.poll() is not None

    def ask(
        self,
        request: Mapping[str, Any],
        *,
        seconds: float | None = None,
        on_message: Send = lambda *_: None,
    ) -> Any:
        """Send a request, and return the answer or raise the error of the process.

        Messages that come before the answer go to `on_message`. After `seconds` the process is
        killed. When EndedError is raised, the process is already dead and its locks are free.
        """
        is_late = threading.Event()

        def stop() -> None:
            is_late.set()
            self.kill()

        timer = threading.Timer(seconds or threading.TIMEOUT_MAX, stop)
        timer.daemon = True
        timer.start()
        try:
            with suppress(OSError, ValueError):
                assert self._process.stdin is not None
                self._process.stdin.write(json.dumps(request).encode() + b"\n")
                self._process.stdin.flush()
            while received := self._receive():
                message, payload = received
                if "result" in message:
                    return message["result"]
                if "error" in message:
                    raise _error_from(message)
                on_message(message, payload)
        finally:
            timer.cancel()
        self.close()
        code = self._process.returncode
        if is_late.is_set():
            ended = EndedError(f"was stopped after {seconds:g} s, its time limit")
        elif code is None or code == -signal.SIGKILL:
            ended = EndedError("was killed by the system, which may have too little memory")
        else:
            how = f"was ended by signal {-code}" if code < 0 else f"ended with status {code}"
            ended = EndedError(how)
        ended.retryable = not is_late.is_set() and (code is None or code < 0)
        raise ended

    def kill(self) -> None:
        """Kill the process; any thread may call this."""
        _kill(self._process, leads_session=self._leads_session)

    def close(self) -> None:
        """Kill the process, and wait until it is dead."""
        self._closing()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _receive(self) -> tuple[dict[str, Any], bytes] | None:
        """Receive the next message; None if the process ended, even in the middle of one."""
        assert self._process.stdout is not None
        with suppress(OSError, ValueError):
            message: dict[str, Any] = json.loads(self._process.stdout.readline())
            length = message.pop("bytes", 0)
            payload = self._process.stdout.read(length)
            if len(payload) == length:
                return message, payload
        return None


def _kill(process: subprocess.Popen[bytes], *, leads_session: bool) -> None:
    if leads_session and process.returncode is None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()


def _close(process: subprocess.Popen[bytes], *, leads_session: bool, owner: int) -> None:
    if os.getpid() != owner:  # only the process that started it may end it, not a fork
        return
    _kill(process, leads_session=leads_session)
    # A process that hangs in the system never dies.
    with suppress(subprocess.TimeoutExpired):
        process.wait(_DEATH_S)
    for pipe in (process.stdin, process.stdout):
        with suppress(OSError):
            if pipe is not None:
                pipe.close()


def _error_from(answer: Mapping[str, Any]) -> MobilityError:
    kind: type[MobilityError] = getattr(errors, answer["error"])
    message, fields = answer["message"], answer["fields"]
    error = BadInputError(message, fields) if fields else kind(message)
    error.retryable = answer["retryable"]
    return error


def serve(do: Do, *, prepare: Callable[[], None] = lambda: None) -> NoReturn:
    """Answer requests from standard input until it ends. This runs in the working process.

    `prepare` is called before the first request, when the process would otherwise be idle.
    """
    # Text that libraries print must not appear between the answers.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    # Ctrl-C is meant for the calling process, which ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    prepare()
    requests = queue.SimpleQueue[bytes]()
    threading.Thread(target=_listen, args=(requests,), daemon=True).start()

    def send(message: Mapping[str, Any], payload: bytes = b"") -> None:
        out.write(json.dumps({**message, "bytes": len(payload)}).encode() + b"\n" + payload)
        out.flush()

    while True:
        send(_answer(do, json.loads(requests.get()), send))


def _listen(requests: queue.SimpleQueue[bytes]) -> None:
    for line in sys.stdin.buffer:
        requests.put(line)
    # The calling process has ended: this process ends too, with everything that it started.
    if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(0)


def _answer(do: Do, request: dict[str, Any], send: Send) -> dict[str, Any]:
    error: MobilityError
    try:
        return {"result": do(request, send)}
    except MobilityError as raised:
        error = raised
    except MemoryError:
        error = EndedError("needed more memory than its limit")
    except Exception as bug:
        log.exception("failed")
        error = WorkerError(f"{type(bug).__name__}: {bug}")
    fields = error.fields if isinstance(error, BadInputError) else {}
    kind, retryable = type(error).__name__, error.retryable
    return {"error": kind, "message": str(error), "fields": fields, "retryable": retryable}
