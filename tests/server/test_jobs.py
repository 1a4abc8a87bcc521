"""The queue against the threads that write its files and the moments at which tasks begin."""

from __future__ import annotations

import asyncio
import threading

import pytest

from mobility.server import jobs
from mobility.server.jobs import Queue
from mobility.server.settings import MobilityServer
from mobility.store import Store


@pytest.fixture
def queue(tmp_path):
    return Queue(Store(tmp_path / "sessions", reports=tmp_path / "reports"), MobilityServer())


def test_what_is_deleted_while_it_is_written_is_not_queued_again(queue, monkeypatch):
    began, go, wrote = (threading.Event() for _ in range(3))
    real, written = jobs._write, []

    def slow(file, job):
        began.set()
        assert go.wait(60)
        real(file, job)
        written.append(file.name)
        wrote.set()

    async def delete():
        queue.add("s", "p")
        monkeypatch.setattr(jobs, "_write", slow)
        running = asyncio.ensure_future(queue.run())
        assert await asyncio.to_thread(began.wait, 60)
        forgetting = asyncio.ensure_future(queue.forget("s"))
        while queue._names():
            await asyncio.sleep(0.01)
        go.set()
        await forgetting
        assert await asyncio.to_thread(wrote.wait, 60)
        # Its run goes on, and would find what is there.
        queue._wake.set()
        await asyncio.sleep(0.05)
        found = queue.positions()
        running.cancel()
        await asyncio.wait([running])
        return found

    assert asyncio.run(delete()) == {}
    assert len(written) == 1


def test_what_is_deleted_before_its_analysis_began_keeps_no_place(queue):
    async def delete():
        queue.add("s", "p")
        queue._start_next()
        assert queue.position("s") == ("running", 0)
        await queue.forget("s")
        found = queue.positions()
        queue.close()
        return found

    assert asyncio.run(delete()) == {}
