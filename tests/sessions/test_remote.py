"""Stores behind a URL: on a real S3 server, and in memory, as in a folder."""

from __future__ import annotations

import gc
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from types import SimpleNamespace

import pytest
from processes import ended, wait_for

from mobility.errors import (
    BadInputError,
    ConflictError,
    NotFoundError,
    NotPermittedError,
    StorageError,
)
from mobility.privacy.retention import erase, prune, to_prune, unassigned
from mobility.sessions import leases, objects
from mobility.store import Store
from mobility.widgets import SessionBrowser

RESULTS = (
    *("pose.nc", "fitted.nc", "angles.nc", "repetitions.nc", "metrics.nc"),
    *("metrics.parquet", "capture_quality.json", "analyzed.mp4"),
)


@pytest.fixture(params=[pytest.param("s3", marks=pytest.mark.slow), "memory"])
def url(request):
    """A store that nobody used before."""
    return new_store(request)


@pytest.fixture(params=["s3", "memory"])
def any_url(request):
    """The same, also in the fast tests on a server."""
    return new_store(request)


def new_store(request):
    if request.param == "s3":
        return request.getfixturevalue("s3").url()
    return f"memory://{token_hex(8)}"


@pytest.fixture
def video(tmp_path):
    file = tmp_path / "a.mp4"
    file.write_bytes(b"video of a squat")
    return file


def made(store, video, **options):
    return store.create(video, user_id="p01", exercise_name="Overhead Squat", **options)


def content(session):
    """Bytes of all results, in whatever store."""
    for name in (*RESULTS, session.record.video.file):
        session.store.copy.fetch(session.id, name)
    return {name: (session.folder / name).read_bytes() for name in RESULTS}


def names(store):
    """Names of all objects of a store."""
    remote = store._remote.objects
    return sorted(path.removeprefix(f"{remote._root}/") for path in remote._fs.find(remote._root))


def test_the_same_as_in_a_folder(any_url, video, tmp_path, stand_ins):
    """Whoever opens it next sees what was done, byte for byte as in a folder."""
    local = made(Store(tmp_path / "store"), video, session_id="one").analyze()
    remote = made(Store(any_url, reports=tmp_path / "reports"), video, session_id="one").analyze()
    again = Store(any_url).session("one")
    assert again.record.state == "analyzed"
    assert content(again) == content(local) == content(remote)
    assert again.video.read_bytes() == video.read_bytes()
    assert again.angles().identical(local.angles())
    assert again.size > 0
    # All is done: nothing is done again.
    stand_ins.CALLS.clear()
    again.analyze()
    assert stand_ins.CALLS == []
    # Nothing is there but what the session is made of, and no lock.
    kept = names(again.store)
    assert "one/files.json" in kept
    assert len([name for name in kept if name.startswith("one/objects/")]) == 8
    assert len(kept) == 9


def test_what_is_corrected_and_said_is_kept(url, video, stand_ins):
    session = made(Store(url), video).analyze()
    session.set_camera_side("left", by="ann")
    session.set_repetitions([{"start": 0.0, "bottom": 0.05, "end": 0.1}], by="ann")
    other = Store(url).session(session.id)
    assert other.record.state == "edited"
    assert [edit.kind for edit in other.edits().edits] == ["camera_side", "repetitions"]
    other.analyze()
    ids = other.create_summary_threads()
    other.append_message(ids["final_summary"], "Good.", by="ann")
    # The first sees it when it is opened again.
    third = Store(url).session(session.id)
    assert third.threads("summary")[0]["session_id"] == session.id
    assert third.thread(ids["final_summary"])["messages"][-1]["text"] == "Good."
    assert third.details()["video_url"].startswith(f"{url}/{session.id}/objects/")


def test_a_video_that_is_not_wanted_any_more_goes(url, video, stand_ins):
    """Also where it was never fetched: a face must not stay that was to be blurred."""
    session = made(Store(url), video).analyze()
    assert any(name.endswith(".mp4") and "objects" in name for name in names(session.store))
    before = [name for name in names(session.store) if name.endswith(".mp4")]
    other = Store(url).session(session.id)
    other.set_repetitions([{"start": 0.0, "bottom": 0.05, "end": 0.1}], by="ann")
    other = Store(url).session(session.id)
    other.analyze(annotate=False)
    left = [name for name in names(session.store) if name.endswith(".mp4")]
    assert len(before) == 2
    assert len(left) == 1


def test_participants(url):
    store = Store(url)
    store.set_participant("p01", height_m=1.7)
    store.set_participant("p01", sex="female")
    other = Store(url)
    assert other.participants() == ["p01"]
    assert other.participant("p01") == {"user_id": "p01", "sex": "female", "height_m": 1.7}
    with pytest.raises(NotFoundError, match="p02: not in the store"):
        other.participant("p02")


def test_sessions_are_listed_and_deleted(url, video, tmp_path, stand_ins):
    store = Store(url, reports=tmp_path / "reports")
    assert store.sessions() == []
    for name in ("one", "two"):
        made(store, video, session_id=name)
    with pytest.raises(ConflictError, match="exists already"):
        made(Store(url), video, session_id="one")
    assert [session.id for session in Store(url).sessions()] == ["one", "two"]
    with pytest.raises(NotFoundError, match=r"session three: not in the store (s3|memory)://"):
        store.session("three")
    opened = Store(url).session("one")
    (tmp_path / "reports" / "one").mkdir(parents=True)
    store.delete("one")
    assert not (tmp_path / "reports" / "one").exists()
    assert [session.id for session in Store(url).sessions()] == ["two"]
    assert all(name.startswith("two/") for name in names(store))
    with pytest.raises(NotFoundError, match="deleted meanwhile"):
        opened.set_camera_side("left", by="ann")
    with pytest.raises(NotFoundError, match="deleted meanwhile"):
        opened.analyze()
    assert all(name.startswith("two/") for name in names(store))


def test_a_stage_that_fails_is_told_to_all(url, tmp_path, stand_ins):
    from mobility.errors import VideoError

    video = tmp_path / "empty.mp4"
    video.write_bytes(b"video of nobody")
    session = made(Store(url), video)
    with pytest.raises(VideoError, match=r"empty\.mp4: nobody"):
        session.analyze()
    assert Store(url).session(session.id).record.state == "failed"


@pytest.mark.parametrize("action", ["change", "delete"])
def test_a_damaged_object_is_refused_and_made_again(action, url, video, stand_ins, caplog):
    session = made(Store(url), video, session_id="one").analyze()
    before = content(session)
    fs, root = session.store._remote.objects._fs, session.store._remote.objects._root
    path = f"{root}/one/objects/{session.record.stages['fitted'].sha256}.nc"
    data = fs.cat_file(path)
    fs.rm_file(path)
    if action == "change":
        fs.pipe_file(path, data[:-1] + b"?")
    other = Store(url).session("one")
    with caplog.at_level(logging.WARNING), pytest.raises(StorageError, match="missing or damaged"):
        other.fitted()
    assert action == "delete" or "is not what was written there" in caplog.text
    # A process that does not know of it makes it again, with what depends on it.
    stand_ins.CALLS.clear()
    Store(url).session("one").analyze()
    assert stand_ins.CALLS[0] == "fitted"
    assert fs.cat_file(path) == data
    assert content(Store(url).session("one")) == before


def test_a_damaged_video_is_refused(url, video, stand_ins):
    session = made(Store(url), video, session_id="one")
    remote = session.store._remote.objects
    remote._fs.pipe_file(f"{remote._root}/one/objects/{session.record.video.sha256}.mp4", b"no")
    with pytest.raises(StorageError, match=r"its file (s3|memory)://.*missing or damaged"):
        _ = Store(url).session("one").video
    with pytest.raises(StorageError, match="missing or damaged"):
        Store(url).session("one").analyze()
    assert stand_ins.CALLS == []


NOTHING = {"sha256": "0" * 64, "size": 0}


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (None, "must be"),
        ({"published": "x"}, "files"),
        ({"published": "x", "files": {"../../evil": NOTHING}}, "evil"),
        ({"published": "x", "files": {"session.json": {**NOTHING, "text": "{}"}}}, "is damaged"),
    ],
)
def test_a_damaged_list_of_files_is_refused(document, words, video, stand_ins, tmp_path):
    store = Store(f"memory://{tmp_path.name}")
    made(store, video, session_id="one")
    made(store, video, session_id="two")
    store._remote.objects.put("one/files.json", json.dumps(document).encode())
    with pytest.raises(StorageError, match="restore memory://") as caught:
        store.session("one")
    assert words in str(caught.value)
    assert [session.id for session in store.sessions()] == ["two"]


def test_a_session_of_which_the_list_of_files_is_damaged_can_be_deleted(
    any_url, video, stand_ins, tmp_path
):
    store = Store(any_url, reports=tmp_path / "reports")
    made(store, video, session_id="one")
    made(store, video, session_id="two")
    store._remote.objects.put("one/files.json", b"{damaged")
    store._remote.objects.put("backup/notes.txt", b"somebody's own")
    store = Store(any_url, reports=tmp_path / "reports")
    assert unassigned(store) == ["one"]
    with pytest.raises(NotFoundError, match=r"not in the store .*; list them with"):
        store.delete("backup")
    store.delete("one")
    assert not [name for name in names(store) if "one" in name]
    assert unassigned(store) == []
    assert [session.id for session in store.sessions()] == ["two"]
    assert "backup/notes.txt" in names(store)


def test_what_cannot_be_a_store(tmp_path):
    with pytest.raises(BadInputError, match="nonsense"):
        Store("nonsense://a/b")
    with pytest.raises(BadInputError, match="credentials"):
        Store("s3://key:secret@bucket/a")
    with pytest.raises(BadInputError, match="write it as s3://"):
        Store("s3://")
    with pytest.raises(BadInputError, match="write it as s3://"):
        Store("s3://bucket/*")
    assert Store(f"file://{tmp_path}").path == tmp_path


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ftp://localhost/x", "missing a required argument: 'host'"),
        ("dir:///x", "by its URL alone"),
        ("generic://x", "by its URL alone"),
    ],
)
def test_a_backend_that_needs_more_than_a_url(url, words, capsys):
    with pytest.raises(BadInputError, match=f"store {url}: .*{words}"):
        Store(url)
    # Nor does what is left of it complain when it goes.
    gc.collect()
    assert capsys.readouterr().err == ""


def test_a_backend_that_cannot_list():
    with pytest.raises(StorageError, match="store data://x: cannot list it"):
        Store("data://x").sessions()


def test_a_backend_without_conditions_is_read_only(video, stand_ins, monkeypatch):
    """As gs:// is; what is in it can be read."""
    written = made(Store("memory://plain"), video, session_id="one").analyze()
    written.store.set_participant("p01", height_m=1.7)
    monkeypatch.setattr(objects.Objects, "can_be_written", False)
    store = Store("memory://plain")
    session = store.session("one")
    assert session.angles().identical(written.angles())
    assert store.participant("p01")["height_m"] == 1.7
    for act in (
        lambda: made(store, video),
        session.analyze,
        session.delete,
        lambda: session.set_camera_side("left", by="ann"),
        session.create_summary_threads,
        lambda: store.set_participant("p01", height_m=1.8),
    ):
        with pytest.raises(NotPermittedError, match="can only be read"):
            act()


def test_a_server_that_ignores_conditions_is_refused(video, stand_ins, monkeypatch):
    real = objects.Objects._put_if

    def heedless(self, key, data, token):
        found = self.get(key)
        return real(self, key, data, None if found is None else found.token)

    monkeypatch.setattr(objects.Objects, "_put_if", heedless)
    store = Store("memory://heedless")
    with pytest.raises(StorageError, match="ignores If-Match"):
        made(store, video)
    assert names(store) == []


def test_working_copies_of_dead_processes_are_removed(s3, video, stand_ins, tmp_path, monkeypatch):
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    url = s3.url()
    code = (
        "import os, signal, sys; from mobility.store import Store\n"
        f"store = Store({url!r}); store.set_participant('p01', height_m=1.7)\n"
        "print(store.path, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = ended([sys.executable, "-c", code], env=environment)
    left = Path(done.stdout.strip())
    assert left.is_dir(), done.stderr
    living = Store(url)
    other = Store(url)
    assert not left.exists()
    assert living.path.is_dir()
    other.close()
    assert not other.path.exists()


class TestLease:
    """Locks: one holder at a time, who is found out when it is dead, and only then."""

    @pytest.fixture
    def place(self, s3):
        return objects.Objects(s3.url())

    def test_one_at_a_time(self, place):
        first, second = (leases.Lease(place, "a.lock") for _ in range(2))
        assert first.acquire()
        assert not second.acquire()
        threading.Timer(0.3, first.release).start()
        assert second.acquire(wait_s=60)
        second.check()
        with pytest.raises(StorageError, match="the lock was lost"):
            first.check()
        second.release()
        assert place.get("a.lock") is None

    @pytest.mark.slow
    def test_counting_in_many_threads_loses_nothing(self, place):
        place.put("n", b"0")

        def count():
            for _ in range(3):
                lease = leases.Lease(place, "n.lock")
                assert lease.acquire(wait_s=120)
                found = place.get("n")
                place.put("n", str(int(found.data) + 1).encode())
                lease.release()

        threads = [threading.Thread(target=count) for _ in range(3)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert place.get("n").data == b"9"

    @pytest.mark.slow
    def test_it_is_renewed_and_a_silent_one_is_taken(self, place, monkeypatch):
        monkeypatch.setattr(leases, "BEAT_S", 1.0)
        monkeypatch.setattr(leases, "LEASE_S", 4.0)
        monkeypatch.setattr(leases, "WATCH_S", 2.0)
        holder, other = (leases.Lease(place, "b.lock") for _ in range(2))
        assert holder.acquire()
        assert not other.acquire(wait_s=6)
        # Its process is stopped: nothing renews it, and nobody knows that it is alive.
        holder._released.set()
        holder._renewing.join()
        assert other.acquire(wait_s=60)
        with pytest.raises(StorageError, match="the lock was lost"):
            holder.check()
        other.check()
        holder.release()
        other.check()
        other.release()

    def test_a_holder_that_died_on_this_machine_is_seen_at_once(self, place):
        code = (
            "import os, signal; from mobility.sessions import leases, objects\n"
            f"assert leases.Lease(objects.Objects({place.url!r}), 'c.lock').acquire()\n"
            "os.kill(os.getpid(), signal.SIGKILL)"
        )
        done = subprocess.run([sys.executable, "-c", code], check=False)
        assert done.returncode == -signal.SIGKILL
        assert place.get("c.lock") is not None
        started = time.monotonic()
        lease = leases.Lease(place, "c.lock")
        assert lease.acquire()
        assert time.monotonic() - started < leases.LEASE_S
        lease.release()

    def test_whether_one_is_held_is_seen_at_a_look(self, place, monkeypatch):
        assert not leases.is_held(place, "e.lock")
        lease = leases.Lease(place, "e.lock")
        assert lease.acquire()
        assert leases.is_held(place, "e.lock")
        lease.release()
        assert not leases.is_held(place, "e.lock")
        # Of another machine: while it is renewed.
        place.put("e.lock", json.dumps({"holder": "x", "machine": "elsewhere", "pid": 1}).encode())
        assert leases.is_held(place, "e.lock")
        monkeypatch.setattr(leases, "LEASE_S", -1.0)
        assert not leases.is_held(place, "e.lock")

    def test_of_another_machine_it_is_not_known(self, place, monkeypatch):
        stranger = {"holder": "x", "machine": "elsewhere", "pid": 1, "started": 1}
        place.put("d.lock", json.dumps(stranger).encode())
        assert not leases.Lease(place, "d.lock").acquire()


def test_a_writer_whose_lock_was_taken_publishes_nothing(s3, video, stand_ins):
    url = s3.url()
    session = made(Store(url), video, session_id="one")
    before = s3.files(url)

    def write():
        with session.store.session_locked("one", what="session one"):
            session.store._remote.objects.put(".locks/one.session.lock", b'{"holder": "other"}')
            record = json.loads((session.folder / "session.json").read_text())
            (session.folder / "session.json").write_text(json.dumps({**record, "reason": "x"}))

    with pytest.raises(StorageError, match="the lock was lost"):
        write()
    assert s3.files(url)["one/files.json"] == before["one/files.json"]


def test_an_analysis_that_runs_elsewhere_is_no_interruption(any_url, video, stand_ins):
    here = Store(any_url)
    session = made(here, video, session_id="one")
    with here.session_locked("one", what="the test"):
        record = json.loads((session.folder / "session.json").read_text())
        (session.folder / "session.json").write_text(json.dumps({**record, "state": "analyzing"}))
    table = SessionBrowser(Store(any_url))
    states = [(row["state"], row["said"]) for row in table.rows]
    with here.session_locked("one", what="the test"):
        table.refresh()
        states += [(row["state"], row["said"]) for row in table.rows]
        with pytest.raises(NotFoundError, match="is being analysed elsewhere; wait"):
            Store(any_url).session("one").analyzed()
    assert states == [("analyzing", "interrupted"), ("running", "being analysed")]


@pytest.mark.slow
def test_two_that_work_on_one_session(url, video, stand_ins):
    """The second is refused in one line while the first is at work, and finds it done after."""
    first, second = made(Store(url), video, session_id="one"), Store(url).session("one")
    inside, done = threading.Event(), threading.Event()
    real = sys.modules["mobility.kinematics.clean"].clean_pose

    def slow(*args, **kwargs):
        inside.set()
        assert done.wait(120)
        return real(*args, **kwargs)

    sys.modules["mobility.kinematics.clean"].clean_pose = slow
    working = threading.Thread(target=first.analyze)
    working.start()
    try:
        assert inside.wait(120)
        for act in (second.analyze, second.delete):
            with pytest.raises(StorageError, match="session one is in use by another process"):
                act()
        # What does not need its lock goes on.
        second.set_camera_side("left", by="ann")
        assert Store(url).session("one").record.state == "analyzing"
    finally:
        done.set()
        working.join()
    stand_ins.CALLS.clear()
    second.analyze()
    assert stand_ins.CALLS == []
    assert [edit.kind for edit in second.edits().edits] == ["camera_side"]


@pytest.mark.slow
def test_parts_that_are_changed_at_once_are_both_kept(s3, video, stand_ins):
    """An edit that is made while the session is analysed elsewhere."""
    url = s3.url()
    first = made(Store(url), video, session_id="one")
    real = stand_ins.clean_pose
    second = Store(url).session("one")

    def interrupted(*args, **kwargs):
        second.set_repetitions([{"start": 0.0, "bottom": 0.05, "end": 0.1}], by="ann")
        sys.modules["mobility.kinematics.clean"].clean_pose = real
        return real(*args, **kwargs)

    sys.modules["mobility.kinematics.clean"].clean_pose = interrupted
    first.analyze()
    third = Store(url).session("one")
    assert third.record.state == "analyzed"
    assert [edit.kind for edit in third.edits().edits] == ["repetitions"]
    # The analysis has heeded it.
    assert third.repetitions()["start"].size == 1


class Killed(BaseException):
    """Stands for the end of the process: nothing catches it."""


@pytest.fixture
def live(monkeypatch):
    """Give a function that begins another life of this process, which ends at a write.

    Before it, or after it if `is_done`. Each life is taken for a process of its own.
    """
    writes = ("_put_if", "put", "put_file", "delete")
    real = {name: getattr(objects.Objects, name) for name in (*writes, "get")}
    now = SimpleNamespace(left=10**9, is_done=False, dead=False, life=0)

    def dying(name):
        def act(self, *args, **more):
            if not now.dead:
                now.left -= name in writes
                now.dead = now.left < 0
                if not now.dead or now.is_done:
                    result = real[name](self, *args, **more)
                if not now.dead:
                    return result
            raise Killed

        return act

    def begin(writes_left=10**9, *, is_done=False):
        now.left, now.is_done, now.dead, now.life = writes_left, is_done, False, now.life + 1

    for name in real:
        monkeypatch.setattr(objects.Objects, name, dying(name))
    # A renewal would be a write too, at some time or other.
    monkeypatch.setattr(leases, "BEAT_S", 600.0)
    monkeypatch.setattr(leases, "_process", lambda: {"life": now.life})
    monkeypatch.setattr(leases, "_is_dead", lambda held: held.get("life") != now.life)
    return begin


@pytest.mark.slow
@pytest.mark.parametrize("is_done", [False, True])
def test_killed_at_any_write_nothing_is_half_there(is_done, video, stand_ins, live):
    """Before or after each single write of a making, an analysis, an edit and a deletion."""
    base = f"memory://{token_hex(8)}"
    expected = content(made(Store(f"{base}-undisturbed"), video, session_id="one").analyze())

    def at_work(url, writes_left=10**9):
        live(writes_left, is_done=is_done)
        store = Store(url)
        assert set(store.ids()) <= {"one"}
        is_there = store.has("one")
        session = store.session("one") if is_there else made(store, video, session_id="one")
        # Whenever it is there, it is all that its record says.
        for stage in session.record.stages.values():
            store.copy.fetch("one", stage.file)
            assert (session.folder / stage.file).is_file()
        assert session.video.read_bytes() == video.read_bytes()
        session.analyze()
        session.set_camera_side("left", by="ann")
        return session

    for number in range(is_done, 1000, 3):
        url = f"{base}-{number}"
        try:
            at_work(url, number).delete()
        except Killed:
            again = at_work(url)
            assert content(again) == expected
            # What the dead has left is swept by the next making.
            made(again.store, video, session_id="two").delete()
            assert len([name for name in names(again.store) if not name.startswith(".locks")]) == 9
        else:
            break
    assert number > 40


@pytest.mark.parametrize("is_done", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", ["Store.delete", "prune", "erase"])
def test_a_deletion_that_is_killed_at_any_write_is_finished_by_the_next(
    kind, is_done, video, stand_ins, live, tmp_path
):
    """Nothing of one who is deleted is left among the objects and in the reports."""
    delete = {
        "Store.delete": lambda store: store.delete("one"),
        "prune": lambda store: [prune(store, one) for one in to_prune(store, keep=0)],
        "erase": lambda store: erase(store, "p01"),
    }[kind]
    for number in range(1000):
        live()
        url = f"memory://{token_hex(8)}"
        store = Store(url, reports=tmp_path / f"reports-{number}")
        made(store, video, session_id="one")
        store.set_participant("p01", height_m=1.7)
        (store.reports / "one").mkdir(parents=True)
        (store.reports / "one" / "report.html").write_text("p01")
        killed = False
        live(number, is_done=is_done)
        try:
            delete(store)
        except Killed:
            killed = True
            live()
            again = Store(url, reports=store.reports)
            if kind != "prune":
                with suppress(NotFoundError):
                    delete(again)
            else:
                again.sweep()
                delete(again)
        left = [name for name in names(store) if not name.startswith(".locks/")]
        assert left == ([] if kind == "erase" else ["participants/p01.json"]), number
        assert list(store.reports.iterdir()) == []
        assert store.unfinished() == []
        if not killed:
            break
    assert number > 4


def while_gone(s3, seconds, stand_ins, name="clean_pose"):
    """Take the server away for a while when the analysis comes to a stage."""
    module = sys.modules["mobility.kinematics.clean"]
    real = getattr(module, name)
    back = threading.Timer(seconds, lambda: s3.away.unlink(missing_ok=True))
    back.daemon = True

    def interrupted(*args, **kwargs):
        setattr(module, name, real)
        s3.away.touch()
        wait_for(lambda: not s3.answers())
        back.start()
        return real(*args, **kwargs)

    setattr(module, name, interrupted)
    return back


@pytest.mark.slow
def test_an_analysis_waits_for_a_server_that_is_away_for_a_while(s3, video, stand_ins, tmp_path):
    local = made(Store(tmp_path / "store"), video, session_id="one").analyze()
    url = s3.url()
    session = made(Store(url), video, session_id="one")
    back = while_gone(s3, 2.0, stand_ins)
    session.analyze()
    back.join()
    assert content(Store(url).session("one")) == content(local)


@pytest.mark.slow
def test_an_analysis_waits_for_a_server_that_hangs(s3, video, stand_ins, monkeypatch):
    """It takes connections and says nothing, as one whose machine is overloaded; for long."""
    session = made(Store(s3.url()), video, session_id="one")
    module = sys.modules["mobility.kinematics.clean"]
    real = module.clean_pose
    awake = threading.Timer(20, s3.process.send_signal, [signal.SIGCONT])
    awake.daemon = True

    def interrupted(*args, **kwargs):
        monkeypatch.setattr(module, "clean_pose", real)
        s3.process.send_signal(signal.SIGSTOP)
        awake.start()
        return real(*args, **kwargs)

    monkeypatch.setattr(module, "clean_pose", interrupted)
    try:
        session.analyze()
    finally:
        s3.process.send_signal(signal.SIGCONT)
        awake.cancel()
    assert Store(session.store.place).session("one").record.state == "analyzed"


def test_a_server_that_does_not_come_back(s3, video, stand_ins, tmp_path, monkeypatch):
    """It fails in one line, and the next run finishes with the same bytes, from where it was."""
    local = made(Store(tmp_path / "store"), video, session_id="one").analyze()
    url = s3.url()
    session = made(Store(url), video, session_id="one")
    monkeypatch.setattr(objects, "PATIENCE_S", 0.5)
    back = while_gone(s3, 10**6, stand_ins)
    with pytest.raises(StorageError, match="is its server running") as caught:
        session.analyze()
    assert caught.value.may_pass
    assert "\n" not in str(caught.value)
    back.cancel()
    s3.away.unlink()
    wait_for(s3.answers)
    # What this process holds still is the lock that it could not give up.
    monkeypatch.setattr(leases, "_is_dead", lambda held: True)
    stand_ins.CALLS.clear()
    again = Store(url).session("one")
    assert again.record.state == "analyzing"
    again.analyze()
    assert "pose" not in stand_ins.CALLS
    assert content(again) == content(local)


def test_a_server_that_was_never_there(monkeypatch, s3):
    monkeypatch.setattr(objects, "FIRST_PATIENCE_S", 0.3)
    monkeypatch.setattr(objects, "_reached", set())
    with s3.gone(), pytest.raises(StorageError, match="is its server running"):
        Store(s3.url()).sessions()
    with pytest.raises(StorageError, match="check that the bucket exists"):
        Store("s3://no-such-bucket/a").set_participant("p01", height_m=1.7)
