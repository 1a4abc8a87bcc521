"""Everything of a participant: handed over, and deleted."""

from __future__ import annotations

import csv
import zipfile

import pytest
import small_results
from cohort_cases import add_session
from demo_sessions import taken_as_current
from other_processes import command

from mobility.errors import BadInputError, InUseError, NotFoundError, StorageError
from mobility.privacy.retention import erase, files_of_participant, unassigned
from mobility.privacy.takeout import write_takeout
from mobility.server.api_keys import Keys
from mobility.store import Store


@pytest.fixture
def store(tmp_path, stand_ins):
    store = Store(tmp_path / "sessions", reports=tmp_path / "reports")
    store.set_participant("ann", height_m=1.7)
    store.set_participant("bob", height_m=1.8)
    for user_id, number in (("ann", 1), ("ann", 2), ("bob", 3)):
        video = small_results.video(tmp_path, content=b"video %d" % number)
        store.create(
            video, user_id=user_id, exercise_name="Overhead Squat", session_id=f"s{number}"
        )
    store.session("s1").analyze()
    store.session("s1").render_report()
    (store.reports / "s1.validation").mkdir()
    (store.reports / "s1.validation" / "lab.html").write_text("lab")
    return store


def test_all_files_of_one_and_of_no_other_are_handed_over(store, tmp_path):
    write_takeout(store, "ann", tmp_path / "ann.zip")
    with zipfile.ZipFile(tmp_path / "ann.zip") as archive:
        names = set(archive.namelist())
        assert archive.testzip() is None
        assert archive.read("sessions/s2/video.mp4") == b"video 2"
    assert {
        *("sessions/participants/ann.json", "sessions/s1/session.json", "sessions/s1/angles.nc"),
        *("reports/s1/overhead-squat.html", "reports/s1/images/left.png"),
        "reports/s1.validation/lab.html",
    } <= names
    assert not [name for name in names if "s3" in name or "bob" in name]
    for nobody, error in (("eve", NotFoundError), ("../ann", BadInputError)):
        with pytest.raises(error):
            write_takeout(store, nobody, tmp_path / "eve.zip")
    assert not (tmp_path / "eve.zip").exists()


def test_all_of_one_and_of_no_other_is_deleted(store):
    copy = store.path / "participants" / ".ipynb_checkpoints" / "ann-checkpoint.json"
    copy.parent.mkdir()
    copy.write_text("Ann")  # JupyterLab makes it when somebody saves the record there
    # A session with a damaged record goes too.
    (store.path / "s2" / "session.json").write_text('{"user_id": "ann", "exercise": 7}')
    assert [session.id for session in store.sessions()] == ["s1", "s3"]
    assert erase(store, "ann") == ["s1", "s2", "participant"]
    assert files_of_participant(store, "ann") == []
    assert not copy.exists()
    assert not (store.path / "s2").exists()
    assert [session.id for session in store.sessions()] == ["s3"]
    assert store.participants() == ["bob"]
    assert not [place for place in store.reports.rglob("*") if "s1" in place.name]
    assert erase(store, "ann") == []


@pytest.mark.parametrize("damage", ["{", '{"user_id": 7}', None])
def test_a_session_of_nobody_knows_whom_is_told(store, damage):
    record = store.path / "s2" / "session.json"
    record.unlink() if damage is None else record.write_text(damage)
    typed = ("participants", "delete", "ann", "--yes", "--reports", store.reports)
    for _ in range(2):
        done = command(*typed, store=store.path)
        assert done.returncode == 1
        assert "session s2: its record is damaged" in done.stderr
        assert "deleted everything that is known to belong to ann" in done.stderr
        assert "deleted everything of" not in done.stderr
        assert "nothing is stored" not in done.stderr
    assert unassigned(store) == ["s2"]
    assert not (store.path / "s1").exists()
    assert [session.id for session in store.sessions()] == ["s3"]
    # As the message advises, whatever its record is like.
    store.delete("s2")
    assert not (store.path / "s2").exists()
    assert unassigned(store) == []


def test_what_is_in_use_is_told_and_the_rest_is_gone(store):
    with (
        store.session_locked("s1", what="s1"),
        pytest.raises(StorageError, match="not everything was deleted"),
    ):
        erase(store, "ann")
    assert [session.id for session in store.sessions()] == ["s1", "s3"]
    assert erase(store, "ann") == ["s1"]


def test_what_is_left_of_another_does_not_count_against_one(store, caplog):
    (store.path / "s3").rename(store.path / ".deleting-s3")
    with store.session_locked("s3", what="s3"):
        assert erase(store, "ann") == ["s1", "s2", "participant"]
        assert "another participant is still there: session s3" in caplog.text
        with pytest.raises(InUseError, match=r"participant bob: not everything.*session s3"):
            erase(store, "bob")


def test_keys_that_cannot_be_revoked_keep_nothing_else_from_going(store, monkeypatch):
    keys = Keys(store)
    keys.create("participant", user_id="ann")

    def full(*_):
        raise StorageError("the disk is full")

    monkeypatch.setattr(Store, "write_document", full)
    typed = ("participants", "delete", "ann", "--yes", "--reports", store.reports)
    done = command(*typed, store=store.path)
    assert (done.returncode, "the disk is full" in done.stderr) == (2, True)
    assert files_of_participant(store, "ann") == []
    assert [key.user_id for key in keys.all()] == ["ann"]


def test_one_who_is_called_session_is_not_taken_for_everybody(store, tmp_path):
    # Their record has the name of that of a session, in the folder of all records.
    store.set_participant("session", height_m=1.9)
    write_takeout(store, "session", tmp_path / "one.zip")
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        assert archive.namelist() == ["sessions/participants/session.json"]
    assert [session.id for session in store.sessions()] == ["s1", "s2", "s3"]
    with pytest.raises(NotFoundError):
        store.delete("participants")
    assert erase(store, "session") == ["participant"]
    assert store.participants() == ["ann", "bob"]
    with pytest.raises(BadInputError, match="folder of the store"):
        store.create(
            store.session("s1").video,
            user_id="ann",
            exercise_name="Overhead Squat",
            session_id="participants",
        )


def test_the_numbers_of_visits_are_handed_over_as_a_table(tmp_path, demo):
    store = Store(tmp_path / "sessions", reports=tmp_path / "reports")
    for name, user_id in (("a", "ann"), ("b", "ann"), ("c", "bob")):
        add_session(store, demo, name, user_id=user_id, date="2026-03-01")
        taken_as_current(store.session(name))
    write_takeout(store, "ann", tmp_path / "ann.zip")
    with zipfile.ZipFile(tmp_path / "ann.zip") as archive:
        rows = list(csv.DictReader(archive.read("visits.csv").decode().splitlines()))
        assert "visits.datapackage.json" in archive.namelist()
    assert {row["user_id"] for row in rows} == {"ann"}
    assert {row["level"] for row in rows} == {"visit"}
    assert any(row["films"] == "a b" and row["value"] for row in rows)
