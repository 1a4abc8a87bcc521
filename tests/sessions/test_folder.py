"""A store as several processes use it: what one has done, whoever opens it next sees."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from demo_sessions import change_record

from mobility.errors import BadInputError, ConflictError, NotFoundError, StorageError, VideoError
from mobility.sessions import session_store
from mobility.store import Store
from mobility.widgets import SessionBrowser

RESULTS = (
    *("pose.nc", "fitted.nc", "angles.nc", "repetitions.nc", "metrics.nc"),
    *("metrics.parquet", "capture_quality.json", "analyzed.mp4", "loads.nc"),
)
REPETITION = [{"start": 0.0, "bottom": 0.05, "end": 0.1}]


@dataclass
class Place:
    """Where a store is; whoever opens it sees what is there then."""

    folder: Path
    reports: Path

    def open(self) -> Store:
        return Store(self.folder, reports=self.reports)

    def names(self) -> list[str]:
        """Names of all that is stored, but of locks."""
        paths = [path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*.*")]
        return sorted(name for name in paths if not name.startswith(".locks"))


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path / "store", tmp_path / "reports")


@pytest.fixture
def video(tmp_path):
    file = tmp_path / "a.mp4"
    file.write_bytes(b"video of a squat")
    return file


def made(store, video, **options):
    given = {"session_id": "one", "user_id": "p01", "exercise_name": "Overhead Squat", **options}
    return store.create(video, **given)


def content(session):
    """Bytes of all results."""
    return {name: (session.folder / name).read_bytes() for name in RESULTS}


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
    with pytest.raises(NotFoundError, match=f"session three: not in the store {place.folder}"):
        store.session("three")
    opened = place.open().session("one").analyze()
    opened.render_report()
    assert (place.reports / "one" / "overhead-squat.json").is_file()
    store.delete("one")
    assert not (place.reports / "one").exists()
    assert [session.id for session in place.open().sessions()] == ["two"]
    for act in (lambda: opened.set_camera_side("left", by="ann"), opened.analyze):
        with pytest.raises(NotFoundError, match="deleted in the meantime"):
            act()
    with pytest.raises(NotFoundError):
        store.delete("one")
    assert all(name.startswith("two/") for name in place.names())
    assert not [p for p in store.path.rglob("*") if "one" in p.name]


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


def test_a_damaged_result_is_not_read_and_made_again(place, video, stand_ins):
    session = made(place.open(), video).analyze()
    before = content(session)
    for name in ("fitted.nc", "capture_quality.json"):
        stage = name.partition(".")[0]
        for data in (None, before[name][:-1] + b"?"):
            path = session.folder / name
            path.unlink() if data is None else path.write_bytes(data)
            other = place.open().session("one")
            with pytest.raises(StorageError, match="or damaged"):
                getattr(other, stage)()
            # A process that does not know of it makes it again, with what depends on it.
            stand_ins.CALLS.clear()
            place.open().session("one").analyze()
            assert stand_ins.CALLS[0] == stage
            assert content(place.open().session("one")) == before


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
