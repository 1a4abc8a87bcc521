"""Processes that are killed are dead before anybody goes on: they may hold locks."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import psutil
import pytest

from mobility.base.processes import Process
from mobility.errors import EndedError
from mobility.serve import worker_processes
from mobility.serve.worker_processes import Limits, Worker


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """File of the module that workers run."""
    path = [str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path))
    monkeypatch.setattr(worker_processes, "PROGRAM", ("answers",))
    return tmp_path / "answers.py"


@pytest.mark.parametrize(("seconds", "cancellations"), [(0.5, 0), (600.0, 1), (600.0, 2)])
def test_who_is_told_that_work_has_ended_finds_its_process_dead(
    module, monkeypatch, seconds, cancellations
):
    module.write_text("import time; time.sleep(600)")
    started = []

    class Noted(Process):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            started.append(self.pid)

    monkeypatch.setattr(worker_processes, "Process", Noted)

    async def ask():
        worker = Worker(Limits(seconds, memory_bytes=0))
        asking = asyncio.ensure_future(worker.ask({}))
        while not started:
            await asyncio.sleep(0.001)
        for _ in range(cancellations):
            asking.cancel()
            await asyncio.sleep(0)
        await asyncio.wait([asking])
        (pid,) = started
        ended = not psutil.pid_exists(pid)  # nor does it wait for its parent to notice
        worker.kill()
        return asking, ended

    asking, ended = asyncio.run(ask())
    assert ended
    if cancellations:
        assert asking.cancelled()
    else:
        assert isinstance(asking.exception(), EndedError)


GROWS = """
from mobility.base.processes import serve

kept = []
def do(request, send):
    kept.append(b"x" * request["bytes"])
    return len(kept)

serve(do)
"""


def test_a_process_that_keeps_much_memory_is_not_used_again(module):
    module.write_text(GROWS)

    async def ask():
        worker = Worker(Limits(600.0, memory_bytes=0))
        try:
            return [await worker.ask({"bytes": size}) for size in (1, 1, 600 << 20, 1)]
        finally:
            worker.kill()

    assert asyncio.run(ask()) == [1, 2, 3, 1]
