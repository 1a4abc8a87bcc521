"""A watched folder: complete videos once, growing ones later, also after a restart."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from types import SimpleNamespace

import pytest
import time_machine
from batches import surroundings
from other_processes import command, wait_for

from mobility.errors import NotFoundError, StorageError
from mobility.serve.batch import watch as module
from mobility.serve.batch.watch import watch
from mobility.serve.privacy import erase
from mobility.sessions.files import lock
from mobility.store import Store


@pytest.fixture
def place(tmp_path, clips):
    (tmp_path / "in" / "p02").mkdir(parents=True)
    clips.make_clip(tmp_path / "in" / "a.mp4", 3)
    clips.make_clip(tmp_path / "in" / "p02" / "b.mp4", 4)
    return tmp_path


def once(place, **options):
    outcomes = []
    watch(
        place / "in",
        Store(place / "store", reports=place / "reports"),
        on_outcome=outcomes.append,
        once=True,
        **{"every_s": 0.01, "settle_s": 0.0, **options},
    )
    return [(outcome.video, outcome.state) for outcome in outcomes]


def test_each_video_is_processed_once(place, worked, clips):
    # The same video twice is one after the other.
    (place / "in" / "z.mp4").write_bytes((place / "in" / "a.mp4").read_bytes())
    assert once(place) == [(name, "done") for name in ("a.mp4", "b.mp4", "z.mp4")]
    assert worked.done[:2] == [("a.mp4", "anonymous"), ("b.mp4", "p02")]
    assert once(place) == []
    clips.make_clip(place / "in" / "c.mp4", 5)
    assert once(place) == [("c.mp4", "done")]
    # Another file of the same name is another video.
    clips.make_clip(place / "in" / "c.mp4", 6)
    assert once(place) == [("c.mp4", "done")]
    # What is no video has failed once.
    (place / "in" / "text.mp4").write_text("no video")
    assert once(place) == [("text.mp4", "failed")]
    assert once(place) == []


@pytest.mark.parametrize("look_s", [0, 60])
def test_a_growing_video_waits(place, worked, monkeypatch, look_s):
    """The time that a look takes is none in which the file was seen not to change."""
    growing = place / "in" / "a.mp4"
    whole = growing.read_bytes()
    clock = SimpleNamespace(now=0.0)
    clock.monotonic = lambda: clock.now
    clock.sleep = lambda seconds: setattr(clock, "now", clock.now + seconds)
    real, looks = module.videos_in, 0

    def look(folder):
        nonlocal looks
        looks += 1
        if looks <= 4:
            growing.write_bytes(whole[: None if looks == 4 else 100 * looks])
        assert ("a.mp4", "anonymous") not in worked.done or looks > 5
        yield from real(folder)
        clock.sleep(look_s)

    monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(module, "videos_in", look)
    outcomes = once(place, every_s=1.0, settle_s=30.0)
    assert sorted(outcomes) == [("a.mp4", "done"), ("b.mp4", "done")]


def test_what_may_pass_is_tried_again_and_given_up(place, worked):
    worked.fail = {"a.mp4": "full", "b.mp4": "nobody"}
    outcomes = once(place)
    assert outcomes.count(("a.mp4", "failed")) == module.TRIES
    assert outcomes.count(("b.mp4", "failed")) == 1
    assert once(place) == []


def test_who_was_deleted_is_not_named_and_does_not_come_back(place, worked):
    once(place)
    store = Store(place / "store", reports=place / "reports")
    store.set_participant("p02", height_m=1.7)
    (ledger,) = (place / "store" / ".watch").glob("*.json")
    assert erase(store, "p02") == ["participant"]
    for file in (place / "store").rglob("*"):
        content = file.read_bytes() if file.is_file() else b""
        assert not any(word in content for word in (b"p02", b"b.mp4", bytes(place)))
    assert len(json.loads(ledger.read_text())["videos"]) == 2
    assert once(place) == []


def test_the_command_ends_with_status_1_if_a_video_failed(place, worked, monkeypatch):
    monkeypatch.chdir(place)
    for store, fail, status in (("one", {}, 0), ("two", {"b.mp4": "nobody"}, 1)):
        worked.fail = fail
        done = command("watch", "in", "--once", "--settle", "0", "--store", store)
        assert (done.returncode, done.stdout.count("\n")) == (status, 2)


def test_bad_folder_or_ledger(place, worked, monkeypatch):
    with pytest.raises(NotFoundError, match="no such folder"):
        watch(place / "absent", Store(place / "store"), on_outcome=print, once=True)
    once(place)
    (guard,) = (place / "store" / ".watch").glob("*.lock")
    with lock(guard, what="it"), pytest.raises(StorageError, match="is in use by another"):
        once(place)
    (ledger,) = (place / "store" / ".watch").glob("*.json")
    for content in ("{", "[1]"):
        ledger.write_text(content)
        with pytest.raises(StorageError, match="delete the file"):
            once(place)


@pytest.mark.slow
def test_stopped_and_killed_it_goes_on_where_it_was(place):
    command = [
        *(sys.executable, "-m", "mobility.cli", "watch", "in", "--every", "0.2", "--settle", "0.5"),
        *("--workers", "1", "--store", "store", "--reports", "reports"),
    ]
    environment = surroundings(place, "metrics:wait:1")
    settings = {"cwd": place, "env": environment, "stdout": subprocess.PIPE, "text": True}
    first = subprocess.Popen(command, **settings, stderr=subprocess.PIPE)
    wait_for((place / "fault-0").exists)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    second = subprocess.run([*command, "--once"], **settings, timeout=300, check=False)
    assert second.returncode == 0
    assert sorted(line.split()[:2] for line in second.stdout.splitlines()) == [
        ["done", "a.mp4"],
        ["done", "b.mp4"],
    ]
    third = subprocess.run([*command, "--once"], **settings, timeout=300, check=False)
    assert (third.returncode, third.stdout) == (0, "")
    sessions = Store(place / "store").sessions()
    assert [session.record.state for session in sessions] == ["analyzed", "analyzed"]
    (ledger,) = (place / "store" / ".watch").glob("*.json")
    assert len(json.loads(ledger.read_text())["videos"]) == 2


@pytest.mark.parametrize("seconds", [-86400.0, 86400.0])
def test_the_clock_is_set_while_it_watches(place, worked, monkeypatch, seconds):
    """A video waits as long as it must, neither less nor a day more, and is processed once."""
    real = module.videos_in
    with ExitStack() as stack:

        def look(folder):
            yield from real(folder)
            monkeypatch.setattr(module, "videos_in", real)  # at the first look only
            stack.enter_context(time_machine.travel(time.time() + seconds, tick=True))

        monkeypatch.setattr(module, "videos_in", look)
        before, began = time.time(), time.monotonic()
        assert once(place, settle_s=0.3) == [("a.mp4", "done"), ("b.mp4", "done")]
        assert time.monotonic() - began >= 0.3
        assert abs(time.time() - before - seconds) < 3600
        assert once(place) == []
    # The clock is right again.
    assert once(place) == []
    assert worked.done == [("a.mp4", "anonymous"), ("b.mp4", "p02")]
