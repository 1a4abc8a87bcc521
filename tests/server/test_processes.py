"""Processes that are killed are dead before anybody goes on: they may hold locks."""

from __future__ import annotations

import asyncio
import signal
import sys

import pytest

from mobility.server import processes
from mobility.server.processes import EndedError, Limits, Worker


@pytest.mark.parametrize(("seconds", "cancellations"), [(0.5, 0), (600.0, 1), (600.0, 2)])
def test_who_is_told_that_work_has_ended_finds_its_process_dead(
    monkeypatch, seconds, cancellations
):
    monkeypatch.setattr(
        processes, "COMMAND", (sys.executable, "-c", "import time; time.sleep(600)")
    )

    async def ask():
        worker = Worker(Limits(seconds, memory_bytes=0))
        asking = asyncio.ensure_future(worker.ask({}))
        while worker._process is None:
            await asyncio.sleep(0.001)
        process = worker._process
        for _ in range(cancellations):
            asking.cancel()
            await asyncio.sleep(0)
        await asyncio.wait([asking])
        code = process.returncode
        worker.kill()
        return asking, code

    asking, code = asyncio.run(ask())
    assert code == -signal.SIGKILL
    if cancellations:
        assert asking.cancelled()
    else:
        assert isinstance(asking.exception(), EndedError)


GROWS = """
from mobility.server.processes import serve

kept = []
def do(request):
    kept.append(b"x" * request["bytes"])
    return len(kept)

serve(do, 0)
"""


def test_a_process_that_keeps_much_memory_is_not_used_again(monkeypatch):
    monkeypatch.setattr(processes, "COMMAND", (sys.executable, "-c", GROWS))

    async def ask():
        worker = Worker(Limits(600.0, memory_bytes=0))
        try:
            return [await worker.ask({"bytes": size}) for size in (1, 1, 600 << 20, 1)]
        finally:
            await worker._end(worker._process)

    assert asyncio.run(ask()) == [1, 2, 3, 1]
