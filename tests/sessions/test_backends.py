"""One contract of a store: a folder, memory, a real S3 server; and what only URLs do."""

from __future__ import annotations

import gc
import json
import logging
import os
import signal
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

import fsspec
import pytest
from demo_sessions import change_record
from other_processes import wait_for

from mobility.errors import (
    BadInputError,
    ConflictError,
    NotFoundError,
    NotPermittedError,
    StorageError,
    VideoError,
)
from mobility.privacy.retention import unassigned
from mobility.sessions import leases, objects, session_store
from mobility.store import Store
from mobility.widgets import SessionBrowser

# These processes have no threads that a copy could miss.
pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")

RESULTS = (
    *("pose.nc", "fitted.nc", "angles.nc", "repetitions.nc", "metrics.nc"),
    *("metrics.parquet", "capture_quality.json", "analyzed.mp4"),
)
REPETITION = [{"start": 0.0, "bottom": 0.05, "end": 0.1}]


@dataclass
class Place:
    """Where a store is; whoever opens it sees what is there then."""

    url: str
    reports: Path

    def open(self) -> Store:
        return Store(self.url, reports=self.reports)

    def names(self) -> list[str]:
        """Names of all that is stored, but of locks."""
        if "://" not in self.url:
            root = Path(self.url)
            paths = [path.relative_to(root).as_posix() for path in root.rglob("*.*")]
            return sorted(name for name in paths if not name.startswith(".locks"))
        system, root = fsspec.url_to_fs(self.url)
        return sorted(path.removeprefix(f"{root}/") for path in system.find(root))

    def spoil(self, session, name: str, data: bytes | None) -> None:
        """Put other bytes into the place of a stored file, or none."""
        if "://" not in self.url:
            path = session.folder / name
            path.unlink() if data is None else path.write_bytes(data)
            return
        record = session.record
        digests = {stage.file: stage.sha256 for stage in record.stages.values()}
        digest = (digests | {record.video.file: record.video.sha256})[name]
        remote = session.store.backend.objects
        key = f"{session.id}/objects/{digest}{Path(name).suffix}"
        remote.delete([key]) if data is None else remote.put(key, data)


@pytest.fixture(params=["folder", "memory"])
def place(request, tmp_path):
    """One that nobody used before."""
    url = str(tmp_path / "store") if request.param == "folder" else f"memory://{token_hex(8)}"
    return Place(url, tmp_path / "reports")


@pytest.fixture(params=["memory", "s3"])
def remote(request, tmp_path):
    """The same behind a URL: also on a server."""
    is_s3 = request.param == "s3"
    url = request.getfixturevalue("s3").url() if is_s3 else f"memory://{token_hex(8)}"
    return Place(url, tmp_path / "reports")


@pytest.fixture
def video(tmp_path):
    file = tmp_path / "a.mp4"
    file.write_bytes(b"video of a squat")
    return file


def made(store, video, **options):
    given = {"session_id": "one", "user_id": "p01", "exercise_name": "Overhead Squat", **options}
    return store.create(video, **given)


def content(session):
    """Bytes of all results, in whatever store."""
    for name in RESULTS:
        session.store.backend.fetch(session.id, name)
    return {name: (session.folder / name).read_bytes() for name in RESULTS}


def test_the_same_as_in_a_folder(remote, video, tmp_path, stand_ins):
    """Whoever opens it next sees what was done, byte for byte as in a folder."""
    local = made(Store(tmp_path / "store"), video).analyze()
    done = made(remote.open(), video).analyze()
    again = remote.open().session("one")
    assert again.record.state == "analyzed"
    assert content(again) == content(local) == content(done)
    assert again.video.read_bytes() == video.read_bytes()
    assert again.angles().identical(local.angles())
    assert again.size > 0
    assert again.details()["video_url"].startswith(f"{remote.url}/one/objects/")
    # All is done: nothing is done again.
    stand_ins.CALLS.clear()
    again.analyze()
    assert stand_ins.CALLS == []
    # Nothing is there but what the session is made of, and no lock.
    kept = remote.names()
    assert "one/files.json" in kept
    assert len([name for name in kept if name.startswith("one/objects/")]) == 8
    assert len(kept) == 9


def test_what_is_corrected_and_said_is_kept(place, video, stand_ins):
    session = made(place.open(), video).analyze()
    session.set_camera_side("left", by="ann")
    session.set_repetitions(REPETITION, by="ann")
    other = place.open().session(session.id)
    assert other.record.state == "edited"
    assert [edit.kind for edit in other.edits().edits] == ["camera_side", "repetitions"]
    other.analyze()
    ids = other.create_summary_threads()
    other.append_message(ids["final_summary"], "Good.", by="ann")
    third = place.open().session(session.id)
    assert third.threads("summary")[0]["session_id"] == session.id
    assert third.thread(ids["final_summary"])["messages"][-1]["text"] == "Good."


def test_a_video_that_is_not_wanted_any_more_goes(place, video, stand_ins):
    """Also where it was never fetched: a face must not stay that was to be blurred."""
    session = made(place.open(), video).analyze()
    assert len([name for name in place.names() if name.endswith(".mp4")]) == 2
    place.open().session(session.id).set_repetitions(REPETITION, by="ann")
    place.open().session(session.id).analyze(annotate=False)
    assert len([name for name in place.names() if name.endswith(".mp4")]) == 1


def test_participants(place):
    store = place.open()
    store.set_participant("p02", sex="female", height_m=1.68)
    store.set_participant("p02", weight_kg=61.5, age=30)
    store.set_participant("p01", display_name=" Bo ")
    other = place.open()
    assert other.participants() == ["p01", "p02"]
    assert other.participant("p01") == {"user_id": "p01", "display_name": "Bo"}
    # What is not named is kept.
    changed = other.set_participant("p02", birth_year=1995, height_m=None)
    expected = {"user_id": "p02", "sex": "female", "birth_year": 1995, "weight_kg": 61.5}
    assert changed == place.open().participant("p02") == expected
    # What was shown can be given again, and numbers as text.
    assert other.set_participant("p02", **changed) == changed
    assert other.set_participant("p02", height_m="1.68")["height_m"] == 1.68
    with pytest.raises(NotFoundError, match=r"participant p2: not in the store .* mean 'p02'"):
        other.participant("p2")
    with pytest.raises(BadInputError, match="user_id"):
        other.set_participant("../p9", age=3)


def test_sessions_are_listed_and_deleted(place, video, stand_ins):
    store = place.open()
    assert store.sessions() == []
    for name in ("one", "two"):
        assert made(store, video, session_id=name).id == name
    with pytest.raises(ConflictError, match="one: exists already"):
        made(place.open(), video)
    with pytest.raises(BadInputError, match="session_id"):
        made(store, video, session_id="../up")
    assert [session.id for session in place.open().sessions()] == ["one", "two"]
    with pytest.raises(NotFoundError, match=f"session three: not in the store {place.url}"):
        store.session("three")
    opened = place.open().session("one").analyze()
    opened.render_report()
    assert (place.reports / "one" / "overhead-squat.json").is_file()
    store.delete("one")
    assert not (place.reports / "one").exists()
    assert [session.id for session in place.open().sessions()] == ["two"]
    for act in (lambda: opened.set_camera_side("left", by="ann"), opened.analyze):
        with pytest.raises(NotFoundError, match="deleted meanwhile"):
            act()
    with pytest.raises(NotFoundError):
        store.delete("one")
    assert all(name.startswith("two/") for name in place.names())
    assert "://" in place.url or not [p for p in store.path.rglob("*") if "one" in p.name]


def test_nobody_sweeps_away_what_is_being_created(place, video, stand_ins, monkeypatch):
    """As threads of a server create sessions at once, in one working copy."""
    store = place.open()
    real = session_store.copied_files
    swept = []

    def copied(*arguments):
        swept.append(store.sweep())
        return real(*arguments)

    monkeypatch.setattr(session_store, "copied_files", copied)
    assert made(store, video).video.read_bytes() == video.read_bytes()
    assert swept == [{}]


def test_a_deletion_is_unfinished_until_the_reports_are_gone(place, video, stand_ins, monkeypatch):
    store = place.open()
    made(store, video)
    if store.local_path is None:
        store.backend.objects.put(".deleting/one", b"")
        store.backend.objects.delete(["one/files.json"])
    else:
        (store.path / "one").rename(store.path / ".deleting-one")
    fault = StorageError("cannot write: the disk is full")

    def refuse(*_):
        raise fault

    with monkeypatch.context() as patched:
        patched.setattr("mobility.sessions.store_files.remove_reports", refuse)
        assert store.sweep() == {"one": fault}
        assert store.unfinished() == ["one"]
    assert store.sweep() == {"one": None}
    assert store.unfinished() == place.names() == []


def test_a_stage_that_fails_is_told_to_all(place, tmp_path, stand_ins):
    video = stand_ins.video(tmp_path, content=b"video of nobody")
    session = made(place.open(), video)
    for _ in range(2):
        with pytest.raises(VideoError, match=r"Squat of Ann\.MP4: nobody was found"):
            session.analyze()
    other = place.open().session(session.id)
    assert other.record.state == "failed"
    assert "nobody was found" in other.record.reason
    message = r"could not be analysed: Squat of Ann\.MP4: nobody was found"
    with pytest.raises(NotFoundError, match=message):
        other.export()
    assert other.details()["angles"] == {}


def test_a_damaged_result_is_not_read_and_made_again(place, video, stand_ins, caplog):
    session = made(place.open(), video).analyze()
    before = content(session)
    in_bucket = "://" in place.url  # where small texts are in the list of files
    for name in ("fitted.nc",) if in_bucket else ("fitted.nc", "capture_quality.json"):
        stage = name.partition(".")[0]
        for data in (None, before[name][:-1] + b"?"):
            place.spoil(session, name, data)
            other = place.open().session("one")
            with caplog.at_level(logging.WARNING), pytest.raises(StorageError, match="or damaged"):
                getattr(other, stage)()
            # A process that does not know of it makes it again, with what depends on it.
            stand_ins.CALLS.clear()
            place.open().session("one").analyze()
            assert stand_ins.CALLS[0] == stage
            assert content(place.open().session("one")) == before
    assert ("is not what was written there" in caplog.text) == in_bucket


def test_a_damaged_video_is_refused(remote, video, stand_ins):
    session = made(remote.open(), video)
    remote.spoil(session, session.record.video.file, b"no")
    with pytest.raises(StorageError, match=r"its file (s3|memory)://.*missing or damaged"):
        _ = remote.open().session("one").video
    with pytest.raises(StorageError, match="missing or damaged"):
        remote.open().session("one").analyze()
    assert stand_ins.CALLS == []


NOTHING = {"sha256": "0" * 64, "size": 0}


def test_a_damaged_list_of_files_is_refused_and_its_session_can_be_deleted(
    remote, video, stand_ins
):
    store = remote.open()
    for name in ("one", "two"):
        made(store, video, session_id=name)
    for document in (
        "null",
        json.dumps({"published": "x", "files": {"../../evil": NOTHING}}),
        json.dumps({"published": "x", "files": {"session.json": {**NOTHING, "text": "{}"}}}),
        "{damaged",
    ):
        store.backend.objects.put("one/files.json", document.encode())
        with pytest.raises(StorageError, match=f"restore {remote.url}"):
            store.session("one")
        assert [session.id for session in store.sessions()] == ["two"]
    store.backend.objects.put("backup/notes.txt", b"somebody's own")
    store = remote.open()
    assert unassigned(store) == ["one"]
    with pytest.raises(NotFoundError, match=r"not in the store .*; list them with"):
        store.delete("backup")
    store.delete("one")
    assert not [name for name in remote.names() if "one" in name]
    assert unassigned(store) == []
    assert [session.id for session in store.sessions()] == ["two"]
    assert "backup/notes.txt" in remote.names()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("nonsense://a/b", "nonsense"),
        ("s3://key:secret@bucket/a", "credentials"),
        ("s3://", "write it as s3://"),
        ("ftp://localhost/x", "store ftp://localhost/x: .*missing a required argument: 'host'"),
        ("dir:///x", "store dir:///x: .*by its URL alone"),
    ],
)
def test_what_cannot_be_a_store(url, words, capsys):
    with pytest.raises(BadInputError, match=words):
        Store(url)
    # Nor does what is left of it complain when it goes.
    gc.collect()
    assert capsys.readouterr().err == ""


def test_urls_that_only_look_odd(tmp_path):
    assert Store(f"file://{tmp_path}").path == tmp_path
    with pytest.raises(StorageError, match="store data://x: cannot list it"):
        Store("data://x").sessions()


def test_a_backend_without_conditions_is_read_only(video, stand_ins, monkeypatch):
    """As gs:// is; what is in it can be read."""
    written = made(Store("memory://plain"), video).analyze()
    written.store.set_participant("p01", height_m=1.7)
    monkeypatch.setattr(objects.Objects, "can_be_written", False)
    store = Store("memory://plain")
    session = store.session("one")
    assert session.angles().identical(written.angles())
    assert store.participant("p01")["height_m"] == 1.7
    for act in (
        lambda: made(store, video, session_id="two"),
        session.analyze,
        session.delete,
        lambda: session.set_camera_side("left", by="ann"),
        session.create_summary_threads,
        lambda: store.set_participant("p01", height_m=1.8),
    ):
        with pytest.raises(NotPermittedError, match="can only be read"):
            act()


def test_a_server_that_ignores_conditions_is_refused(video, stand_ins, monkeypatch):
    real = objects.Objects.put_if

    def heedless(self, key, data, token, **options):
        stored = self.get(key)
        return real(self, key, data, None if stored is None else stored.token, **options)

    monkeypatch.setattr(objects.Objects, "put_if", heedless)
    place = Place("memory://heedless", Path("unused"))
    with pytest.raises(StorageError, match="ignores If-Match"):
        made(place.open(), video)
    assert place.names() == []


def test_a_lease_has_one_holder_at_a_time(remote, monkeypatch):
    place = objects.Objects(remote.url)
    first, second = (leases.Lease(place, "a.lock") for _ in range(2))
    assert not leases.is_held(place, "a.lock")
    assert first.acquire()
    assert leases.is_held(place, "a.lock")
    assert not second.acquire()
    threading.Timer(0.3, first.release).start()
    assert second.acquire(wait_s=60)
    second.check()
    with pytest.raises(StorageError, match="the lock was lost"):
        first.check()
    second.release()
    assert place.get("a.lock") is None
    # A holder that died on this machine is seen at once, one of another while it renews.
    dead = os.fork()
    if dead == 0:
        os._exit(0)
    os.waitpid(dead, 0)
    held = {"holder": "x", **leases.this_process(), "pid": dead, "started": 1}
    for machine, is_held in ((held["machine"], False), ("elsewhere", True)):
        place.put("a.lock", json.dumps(held | {"machine": machine}).encode())
        assert leases.is_held(place, "a.lock") == is_held
        assert leases.Lease(place, "a.lock").acquire() != is_held
    monkeypatch.setattr(leases, "LEASE_S", -1.0)
    assert not leases.is_held(place, "a.lock")


@pytest.mark.slow
def test_a_lease_is_renewed_and_a_silent_one_is_taken(remote, monkeypatch):
    place = objects.Objects(remote.url)
    for name, seconds in (("BEAT_S", 0.5), ("LEASE_S", 3.0), ("WATCH_S", 1.5)):
        monkeypatch.setattr(leases, name, seconds)
    holder, other = (leases.Lease(place, "b.lock") for _ in range(2))
    assert holder.acquire()
    assert not other.acquire(wait_s=5)
    # Its process is stopped: nothing renews it, and nobody knows that it is alive.
    monkeypatch.setattr(leases, "BEAT_S", 600.0)
    assert other.acquire(wait_s=60)
    with pytest.raises(StorageError, match="the lock was lost"):
        holder.check()
    holder.release()
    other.check()
    other.release()


def test_a_writer_whose_lock_was_taken_publishes_nothing(remote, video, stand_ins):
    session = made(remote.open(), video)
    taken = session.store.backend.objects
    before = taken.get("one/files.json").data

    def write():
        with session.store.session_locked("one", what="session one"):
            taken.put(".locks/one.session.lock", b'{"holder": "other"}')
            change_record(session, reason="x")

    with pytest.raises(StorageError, match="the lock was lost"):
        write()
    assert taken.get("one/files.json").data == before


def test_an_analysis_that_runs_elsewhere_is_no_interruption(place, video, stand_ins):
    here = place.open()
    session = made(here, video)
    with here.session_locked("one", what="the test"):
        change_record(session, state="analyzing")
    table = SessionBrowser(place.open())
    states = [(row["state"], row["state_text"]) for row in table.rows]
    with here.session_locked("one", what="the test"):
        table.refresh()
        states += [(row["state"], row["state_text"]) for row in table.rows]
        with pytest.raises(NotFoundError, match="is being analysed elsewhere; wait"):
            place.open().session("one").analyzed()
    assert states == [("analyzing", "interrupted"), ("running", "being analysed")]


def when_cleaning(act):
    """Let something happen once, when the analysis comes to a stage."""
    module = sys.modules["mobility.kinematics.clean"]
    real = module.clean_pose

    def interrupted(*args, **kwargs):
        module.clean_pose = real
        act()
        return real(*args, **kwargs)

    module.clean_pose = interrupted


def test_two_that_work_on_one_session(place, video, stand_ins):
    """The second is refused in one line while the first is at work, and finds it done after.

    What it corrects meanwhile is heeded by the first.
    """
    first, second = made(place.open(), video), place.open().session("one")

    def meanwhile():
        for act in (second.analyze, second.delete):
            with pytest.raises(StorageError, match="session one is in use by another"):
                act()
        # What does not need its lock goes on.
        second.set_repetitions(REPETITION, by="ann")
        assert place.open().session("one").record.state == "analyzing"
        assert second.details()["angles"] == {}

    when_cleaning(meanwhile)
    first.analyze()
    stand_ins.CALLS.clear()
    third = place.open().session("one").analyze()
    assert stand_ins.CALLS == []
    assert third.record.state == "analyzed"
    assert [edit.kind for edit in third.edits().edits] == ["repetitions"]
    assert third.repetitions()["start"].size == 1


@pytest.mark.slow
@pytest.mark.parametrize("how", ["is away", "hangs"])
def test_an_analysis_waits_for_a_server_that_does_not_answer(s3, video, stand_ins, tmp_path, how):
    """It is away for a while; or takes connections and says nothing, as when overloaded."""
    local = made(Store(tmp_path / "store"), video).analyze()
    session = made(Store(s3.url()), video)
    if how == "hangs":
        back = threading.Timer(20, s3.process.send_signal, [signal.SIGCONT])
    else:
        back = threading.Timer(2.0, lambda: s3.away.unlink(missing_ok=True))

    def leave():
        if how == "hangs":
            s3.process.send_signal(signal.SIGSTOP)
        else:
            s3.away.touch()
            wait_for(lambda: not s3.answers())
        back.start()

    when_cleaning(leave)
    try:
        session.analyze()
        back.join()
    finally:
        s3.process.send_signal(signal.SIGCONT)
        back.cancel()
    assert content(Store(session.store.place).session("one")) == content(local)


def test_a_server_that_does_not_come_back(s3, video, stand_ins, tmp_path, monkeypatch):
    """It fails in one line, and the next run finishes with the same bytes, from where it was."""
    local = made(Store(tmp_path / "store"), video).analyze()
    session = made(Store(s3.url()), video)
    monkeypatch.setattr(objects, "PATIENCE_S", 0.5)
    when_cleaning(lambda: s3.away.touch() or wait_for(lambda: not s3.answers()))
    with pytest.raises(StorageError, match="is its server running") as caught:
        session.analyze()
    assert caught.value.retryable
    assert "\n" not in str(caught.value)
    s3.away.unlink()
    wait_for(s3.answers)
    # What this process holds still is the lock that it could not give up.
    monkeypatch.setattr(leases, "is_dead", lambda held: True)
    stand_ins.CALLS.clear()
    again = Store(session.store.place).session("one")
    assert again.record.state == "analyzing"
    again.analyze()
    assert "pose" not in stand_ins.CALLS
    assert content(again) == content(local)


def test_a_server_that_was_never_there(monkeypatch, s3):
    monkeypatch.setattr(objects, "FIRST_PATIENCE_S", 0.3)
    with s3.gone(), pytest.raises(StorageError, match="is its server running"):
        Store(s3.url()).sessions()
    with pytest.raises(StorageError, match="check that the bucket exists"):
        Store("s3://no-such-bucket/a").set_participant("p01", height_m=1.7)
