"""The queue without its processes, and what handlers ask of it and keep in memory."""

from __future__ import annotations

import asyncio
import threading

import pytest

from mobility.errors import TooManyRequestsError
from mobility.server import jobs
from mobility.server.handler import Served
from mobility.server.settings import MobilityServer
from mobility.store import Store


@pytest.fixture
def served(tmp_path):
    """What handlers share; its queue is ended."""
    store = Store(tmp_path / "sessions", reports=tmp_path / "reports")
    served = Served(MobilityServer(), store)
    yield served
    served.queue.close()


@pytest.fixture
def queue(served):
    return served.queue


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
        waiting = queue.positions()
        running.cancel()
        await asyncio.wait([running])
        return waiting

    assert asyncio.run(delete()) == {}
    assert len(written) == 1


def test_what_is_deleted_before_its_analysis_began_keeps_no_place(queue):
    async def delete():
        queue.add("s", "p")
        queue._start_next()
        assert queue.position("s") == ("running", 0)
        await queue.forget("s")
        return queue.positions()

    assert asyncio.run(delete()) == {}


def test_what_a_killed_server_left(queue, served, caplog):
    left = served.store.path / ".server" / "exports" / "a" / "export.zip"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"everything of somebody")
    queue.require_hold()
    assert not left.exists()
    # A damaged file of the queue is told once.
    (queue._folder / "1-a.json").write_text("{")
    for _ in range(3):
        queue._start_next()
    assert len([line for line in caplog.messages if "1-a.json" in line]) == 1


def test_users_take_turns_in_the_queue(queue):
    queue._settings.queue_length, queue._settings.queue_per_user = 6, 3
    for session_id in ("a", "b", "c"):
        queue.add(session_id, "p")
    with pytest.raises(TooManyRequestsError, match="3 sessions of this user wait"):
        queue.add("d", "p")
    queue.add("d", "p", shared=False)
    queue.add("e", "q")
    before = {name: place[1] for name, place in queue.positions().items()}
    assert before == {"a": 0, "e": 1, "b": 2, "c": 3, "d": 4}
    queue._running["a"] = (None, None)
    assert queue.position("a") == ("running", 0)
    assert queue.position("b") == ("waiting", 1)
    assert queue.position("none") is None
    queue._running.clear()
    queue.add("f", "r")
    with pytest.raises(TooManyRequestsError, match="the queue is full"):
        queue.add("g", "s", shared=False)


def test_nothing_is_kept_in_memory_of_a_session_that_was_deleted(served, record_in):
    answers = served.answers
    for session_id in ("a", "b"):
        record_in(served.store.path, session_id, "p")
        answers.document(answers.session(session_id), "details", lambda _: {"name": "Ann"})
    answers.forget("a")
    kept = str(served.store.path / "b")
    assert {key[0] for key in answers._cache} == answers._records.keys() == {kept}
    assert answers._size == sum(len(content) for _, content in answers._cache.values())
