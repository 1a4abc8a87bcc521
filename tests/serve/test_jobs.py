"""The queue without its processes, and what handlers ask of it and keep in memory."""

from __future__ import annotations

import asyncio
import threading
from contextlib import asynccontextmanager

import pytest

from mobility.errors import BadInputError, EndedError, TooManyRequestsError, VideoError
from mobility.serve import jobs
from mobility.serve.access import MobilityServer
from mobility.serve.handler import Served
from mobility.sessions.record import now
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


@pytest.fixture
def folder(served):
    """Of the files of the queue, one for each session."""
    return served.store.path / ".server" / "queue"


@asynccontextmanager
async def at_work(queue):
    """A queue that has just chosen what to analyse."""
    running = asyncio.ensure_future(queue.run())
    await asyncio.sleep(0)
    try:
        yield
    finally:
        running.cancel()
        await asyncio.wait([running])


def test_what_is_deleted_while_it_is_written_is_not_queued_again(queue, folder, monkeypatch):
    began, go, wrote = (threading.Event() for _ in range(3))
    real, written = jobs.write_json, []

    def slow(file, document):
        began.set()
        assert go.wait(60)
        real(file, document)
        written.append(file.name)
        wrote.set()

    async def delete():
        queue.add("s", "p")
        monkeypatch.setattr(jobs, "write_json", slow)
        async with at_work(queue):
            assert await asyncio.to_thread(began.wait, 60)
            forgetting = asyncio.ensure_future(queue.forget("s"))
            while list(folder.glob("*.json")):
                await asyncio.sleep(0.01)
            go.set()
            await forgetting
            assert await asyncio.to_thread(wrote.wait, 60)
            # Its run, which the end of an analysis wakes, would find what is there.
            await asyncio.sleep(0.05)
            return queue.positions()

    assert asyncio.run(delete()) == {}
    assert len(written) == 1


def test_what_is_deleted_before_its_analysis_began_keeps_no_place(queue):
    async def delete():
        queue.add("s", "p")
        async with at_work(queue):
            assert queue.position("s") == ("running", 0)
            await queue.forget("s")
            return queue.positions()

    assert asyncio.run(delete()) == {}


def test_what_a_killed_server_left(queue, folder, served, caplog):
    left = served.store.path / ".server" / "exports" / "a" / "export.zip"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"everything of somebody")
    queue.require_hold()
    assert not left.exists()
    # A damaged file of the queue is told once.
    (folder / "1-a.json").write_text("{")
    for _ in range(3):
        asyncio.run(queue.forget_all("nobody"))
    assert len([line for line in caplog.messages if "1-a.json" in line]) == 1


def test_a_reader_that_is_stopped_blames_the_file_that_it_read(queue, tmp_path, monkeypatch):
    async def nothing():
        pass

    def create(reads):
        async def stopped(request, *, on_message):
            for each in reads:
                on_message({"reads": each}, b"")
            raise EndedError("was stopped after 60 s, its time limit")

        monkeypatch.setattr(queue._intake, "ask", stopped)
        fields = {"user_id": "ann", "keypoints": str(tmp_path / "squat.csv")}
        return asyncio.run(queue.create(tmp_path / "squat.mp4", confirm=nothing, **fields))

    with pytest.raises(VideoError, match=r"squat.mp4: its decoder was stopped after 60 s"):
        create([])
    with pytest.raises(BadInputError, match=r"^keypoints: squat.csv: their reader was stopped"):
        create(["keypoints"])


def test_users_take_turns_in_the_queue(queue, served):
    served.settings.queue_length, served.settings.queue_per_user = 6, 3
    for session_id in ("a", "b", "c"):
        queue.add(session_id, "p")
    with pytest.raises(TooManyRequestsError, match="3 sessions of this user already wait"):
        queue.add("d", "p")
    queue.add("d", "p", shared=False)
    queue.add("e", "q")
    before = {name: place[1] for name, place in queue.positions().items()}
    assert before == {"a": 0, "e": 1, "b": 2, "c": 3, "d": 4}

    async def first():
        async with at_work(queue):
            return queue.positions()

    served.settings.analyses_at_once = 1
    places = asyncio.run(first())
    assert (places["a"], places["b"]) == (("running", 0), ("waiting", 1))
    assert queue.position("none") is None
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


def test_a_session_at_which_servers_were_killed_often_has_failed(served, record_in, project):
    """As often as the documentation says; asked again, it is analysed again."""
    record_in(served.store.path, "s", "p")
    served.queue.add("s", "p")
    (file,) = (served.store.path / ".server" / "queue").glob("*.json")
    file.write_text(
        jobs.Job(
            session_id="s", user_id="p", state="waiting", attempts=5, since=now()
        ).model_dump_json()
    )

    async def analysed():
        async with at_work(served.queue):
            while file.exists():
                await asyncio.sleep(0.01)

    asyncio.run(analysed())
    record = served.store.session("s").record
    assert (record.state, record.reason) == (
        "failed",
        "its analysis was started 5 times and never finished",
    )
    text = " ".join((project / "docs" / "http.md").read_text("utf-8").split())
    assert "analysis was started 5 times and never finished" in text
