from __future__ import annotations

import datetime
import errno
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from processes import in_child, in_children

from mobility.errors import (
    BadInputError,
    ConflictError,
    NotFoundError,
    NotPermittedError,
    StorageError,
    VideoError,
)
from mobility.reports import stored
from mobility.reports.stored import report_key
from mobility.reports.trial import doubts
from mobility.sessions.files import read_dataset
from mobility.sessions.store import demo_video
from mobility.store import Store
from mobility.wording import dated

# These processes have no threads that a copy could miss.
pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")

SQUAT = {"user_id": "p01", "exercise_name": "Overhead Squat"}


@pytest.fixture
def video(tmp_path, stand_ins) -> Path:
    return stand_ins.video(tmp_path / "camera")


def everything(folder: Path) -> set[str]:
    """All paths below `folder` but the lock files, which hold nothing."""
    return {
        file.relative_to(folder).as_posix()
        for file in folder.rglob("*")
        if ".locks" not in file.parts
    }


def path_of(uri: str) -> Path:
    assert uri.startswith("file:///")
    return Path(unquote(urlparse(uri).path))


# Creating


def test_nothing_is_written_before_there_is_something_to_keep(store, tmp_path):
    assert store.sessions() == []
    assert store.participants() == []
    with pytest.raises(NotFoundError, match="s1: not in the store"):
        store.session("s1")
    assert list(tmp_path.iterdir()) == []


def test_a_session_is_a_folder_with_the_video_and_a_record(store, video):
    before = datetime.datetime.now().astimezone().replace(microsecond=0)
    session = store.create(video, session_name=" First ", **SQUAT)
    record = session.record
    assert everything(store.path / session.id) == {"session.json", "video.mp4"}
    assert session.video.read_bytes() == video.read_bytes()
    assert record.video.sha256 == hashlib.sha256(video.read_bytes()).hexdigest()
    assert record.video.original_name == "Squat of Ann.MP4"
    assert record.video.size == len(video.read_bytes())
    assert record.created_at >= before
    assert record.created_at.utcoffset() is not None
    assert (record.state, record.user_id, session.title) == ("created", "p01", "First")
    assert record.joints == ["ankle", "knee", "hip", "shoulder", "elbow"]
    assert store.session(session.id).record == record
    # No path of this machine is in the record.
    assert str(video.parent) not in (session.folder / "session.json").read_text()


def test_a_second_camera_is_copied_too(store, video, stand_ins, tmp_path):
    side = stand_ins.video(tmp_path / "side", name="Side.MOV", content=b"video of the side")
    session = store.create(video, side, **SQUAT)
    assert everything(store.path / session.id) == {"session.json", "video.mp4", "video-2.mov"}
    assert session.second_video.read_bytes() == side.read_bytes()
    second = session.record.second_video
    assert (second.original_name, second.size) == ("Side.MOV", 17)
    assert second.sha256 == hashlib.sha256(side.read_bytes()).hexdigest()
    session.delete()
    assert everything(store.path) == set()
    with pytest.raises(BadInputError, match="is the same as the first"):
        store.create(video, video, **SQUAT)
    with pytest.raises(NotFoundError, match="absent"):
        store.create(video, tmp_path / "absent.mp4", **SQUAT)
    assert everything(store.path) == set()


def test_a_calibration_is_copied_too(store, stand_ins, tmp_path):
    left = stand_ins.video(tmp_path / "left", name="squat_left.mp4")
    right = stand_ins.video(tmp_path / "right", name="squat_right.mp4", content=b"video, right")
    file = tmp_path / "Calib.TOML"
    file.write_text(stand_ins.camera("right", 640, 1.2) + stand_ins.camera("left", 640, 0))
    session = store.create(left, right, calibration=file, **SQUAT)
    assert everything(session.folder) == {
        *("session.json", "video.mp4", "video-2.mp4", "calibration.toml")
    }
    assert session.calibration.read_bytes() == file.read_bytes()
    assert session.record.calibration.original_name == "Calib.TOML"
    assert session.record.calibration.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    # A folder that lost its record is still told to be that of a session.
    (session.folder / "session.json").unlink()
    store.delete(session.id)
    assert everything(store.path) == set()


def test_a_calibration_that_does_not_fit_makes_no_session(store, video, stand_ins, tmp_path):
    side = stand_ins.video(tmp_path / "side", name="side.mp4", content=b"video of the side")
    file = tmp_path / "c.toml"
    for text, said in (
        (stand_ins.camera("a", 640, 0), "has 1 cameras .a. for 2 videos"),
        (stand_ins.camera("a", 640, 0) + stand_ins.camera("b", 600, 1), "of another shape"),
        ("a = 1", "has no camera"),
    ):
        file.write_text(text)
        with pytest.raises(BadInputError, match=said):
            store.create(video, side, calibration=file, **SQUAT)
    with pytest.raises(NotFoundError, match="no such file"):
        store.create(video, side, calibration=tmp_path / "absent.toml", **SQUAT)
    assert everything(store.path) == set()


def test_records_of_one_camera_from_before_are_read(store, video):
    session = store.create(video, **SQUAT)
    file = session.folder / "session.json"
    old = json.loads(file.read_text())
    assert old.pop("second_video") is None
    assert old.pop("calibration") is None
    key = report_key(session)
    file.write_text(json.dumps(old))
    assert session.second_video is None
    assert report_key(session) == key


def test_a_report_is_made_anew_after_code_or_notebook_changed(store, video, tmp_path, monkeypatch):
    session = store.create(video, **SQUAT)
    notebook = tmp_path / "overhead_squat.ipynb"
    notebook.write_text("before")
    monkeypatch.setattr(stored, "find_notebook", lambda name: tmp_path / f"{name}.ipynb")
    keys = [report_key(session), report_key(session)]
    notebook.write_text("after")
    keys.append(report_key(session))
    monkeypatch.setattr(stored, "code_digest", lambda: "of other code")
    keys.append(report_key(session))
    assert len(set(keys)) == 3
    # The demo's report is shipped, and stays what it is.
    store.read_only = True
    shipped = report_key(session)
    notebook.write_text("again")
    monkeypatch.setattr(stored, "code_digest", lambda: "of the next code")
    assert report_key(session) == shipped


def test_title_without_a_name_follows_the_participant(store, video):
    session = store.create(video, **SQUAT)
    date = dated(session.record.created_at)
    assert session.title == f"Overhead Squat, p01, {date}"
    store.set_participant("p01", display_name="Ann")
    assert session.title == f"Overhead Squat, Ann, {date}"


@pytest.mark.parametrize(
    ("exercise", "given_joints", "joints"),
    [
        ("Overhead Squat", ["knee", "ankle"], ["ankle", "knee"]),
        ("Overhead Squat", "ankle, knee", ["ankle", "knee"]),
        ("Overhead Squat", ["elbow,hip", "hip"], ["hip", "elbow"]),
        ("Overhead Squat", "all", ["ankle", "knee", "hip", "shoulder", "elbow"]),
        # Trunk and neck are measured where they are named.
        ("Joint Angle Mobility", "neck, trunk, knee", ["knee", "trunk", "neck"]),
        (
            "Joint Angle Mobility",
            "all, trunk",
            ["ankle", "knee", "hip", "shoulder", "elbow", "trunk"],
        ),
    ],
)
def test_joints(store, video, exercise, given_joints, joints):
    session = store.create(
        video, user_id="p01", exercise_name=exercise, body_joint_angles=given_joints
    )
    assert session.record.joints == joints


@pytest.mark.parametrize("given", ["overhead-squat", "overhead_squat", " OVERHEAD  squat "])
def test_capitals_and_hyphens_of_an_exercise_make_no_difference(store, video, given):
    made = store.create(video, **{**SQUAT, "exercise_name": given})
    assert made.record.exercise == "Overhead Squat"


def test_a_movement_says_its_exercise_and_its_joint(store, video):
    person = {"user_id": "p01", "movement": "elbow_extension"}
    alone = store.create(video, **person).record
    assert (alone.exercise, alone.joints) == ("Joint Angle Mobility", ["elbow"])
    assert alone.movement == "elbow_extension"
    more = store.create(
        video, exercise_name="joint-angle-mobility", body_joint_angles="knee, elbow", **person
    )
    assert more.record.joints == ["knee", "elbow"]
    for wrong, message in (
        ({"exercise_name": "Overhead Squat"}, "not to Overhead Squat"),
        ({"body_joint_angles": "knee"}, "not among the joints"),
        ({"movement": "elbow"}, "one of its movements: elbow_flexion"),
    ):
        with pytest.raises(BadInputError, match=message) as caught:
            store.create(video, **{**person, **wrong})
        assert list(caught.value.fields) == ["movement"]


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        ({"user_id": ""}, "user_id", "non-empty"),
        ({"user_id": "../p"}, "user_id", "use 1 to 64 letters"),
        ({"user_id": 7}, "user_id", "string"),
        ({"exercise_name": "Overhead Squad"}, "exercise_name", "mean 'Overhead Squat'"),
        ({"exercise_name": "x"}, "exercise_name", r"one of 'Overhead Squat' \(overhead-squat\), "),
        ({"exercise_name": "Joint Angle"}, "exercise_name", "mean 'Joint Angle Mobility'"),
        ({"body_joint_angles": ["kne"]}, "body_joint_angles", "did you mean 'knee'"),
        ({"body_joint_angles": "ankle, wrist"}, "body_joint_angles", "wrist"),
        ({"body_joint_angles": "trunk"}, "body_joint_angles", "only in Joint Angle Mobility"),
        ({"body_joint_angles": ","}, "body_joint_angles", "choose from ankle"),
        ({"body_joint_angles": []}, "body_joint_angles", "choose from ankle"),
        ({"session_name": ""}, "session_name", "non-empty"),
        ({"session_name": "a\udcff"}, "session_name", "not decodable text"),
        ({"session_name": "a\nb"}, "session_name", "control character"),
        ({"sesion_name": "a"}, "sesion_name", "did you mean 'session_name'"),
    ],
)
def test_a_wrong_option_is_named_and_nothing_is_written(
    store, video, tmp_path, changes, field, message
):
    with pytest.raises(BadInputError, match=message) as caught:
        store.create(video, **{**SQUAT, **changes})
    assert set(caught.value.fields) == {field}
    assert "\n" not in str(caught.value)
    assert not store.path.exists()


def test_all_faults_are_told_at_once(store, video):
    with pytest.raises(BadInputError) as caught:
        store.create(video, user_id="", exercise_name="", body_joint_angles="x", session_name="")
    assert set(caught.value.fields) == {
        *("user_id", "exercise_name", "body_joint_angles", "session_name")
    }


def test_what_is_no_video_is_refused(store, video, tmp_path, stand_ins):
    with pytest.raises(NotFoundError, match="no such file"):
        store.create(tmp_path / "absent.mp4", **SQUAT)
    with pytest.raises(BadInputError, match="video: is empty"):
        store.create("", **SQUAT)
    with pytest.raises(BadInputError, match="not decodable text"):
        store.create(stand_ins.video(tmp_path, name="a\udcff.mp4"), **SQUAT)
    with pytest.raises(VideoError, match="not a video"):
        store.create(stand_ins.video(tmp_path, content=b"text"), **SQUAT)
    assert not store.path.exists()


def test_odd_suffixes_do_not_become_file_names(store, tmp_path, stand_ins):
    for name in ("squat", "squat.m p4", "squat.überlang", "squat.toolongtobeasuffix"):
        session = store.create(stand_ins.video(tmp_path, name=name), **SQUAT)
        assert session.record.video.file == "video.video"


def test_a_read_only_place_is_named(video, monkeypatch, tmp_path):
    # Root may write anywhere but in /proc.
    with pytest.raises(StorageError, match="cannot write /proc/store"):
        Store("/proc/store").create(video, **SQUAT)

    def refuse(self: Path, target: Path) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "rename", refuse)
    store = Store(tmp_path / "sessions")
    with pytest.raises(StorageError, match="read-only; choose another one with --store"):
        store.create(video, **SQUAT)
    assert everything(store.path) <= {".locks"}


def test_a_read_only_store_can_be_read(store, video, monkeypatch):
    session = store.create(video, **SQUAT)
    store.set_participant("p01", display_name="Ann")

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    for name in ("replace", "mkdir", "rename"):
        monkeypatch.setattr(os, name, refuse)
    again = Store(store.path)
    assert [found.id for found in again.sessions()] == [session.id]
    assert again.session(session.id).details()["user_name"] == "Ann"


@pytest.fixture
def small_disk(tmp_path):
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("needs the right to mount a small disk")
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount a small disk")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_is_named_and_left_as_it_was(small_disk, tmp_path, stand_ins):
    store = Store(small_disk)
    session = store.create(stand_ins.video(tmp_path), **SQUAT)
    large = stand_ins.video(tmp_path, name="large.mp4", content=b"video" + bytes(3_000_000))
    before = everything(small_disk)
    with pytest.raises(StorageError, match="the disk is full; free some space"):
        store.create(large, **SQUAT)
    assert everything(small_disk) == before
    # With room for a few small files only, the analysis stops, and goes on when there is room.
    stuffing = small_disk / "stuffing"
    with stuffing.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    with pytest.raises(StorageError, match="the disk is full"):
        session.analyze()
    assert session.record.state in ("created", "analyzing")
    stuffing.unlink()
    assert session.analyze().record.state == "analyzed"
    assert not list(session.folder.glob(".*"))


def test_a_creation_that_is_killed_leaves_no_session_and_is_swept(store, video, stand_ins):
    """Killed at each write: at every point the session is whole or absent."""
    kept = store.create(video, **SQUAT)
    outcomes = set()
    for point in range(1, 4):

        def act(point: int = point) -> None:
            real = os.fsync
            count = 0

            def fsync(handle: int) -> None:
                nonlocal count
                real(handle)
                count += 1
                if count == point:
                    os.kill(os.getpid(), signal.SIGKILL)

            os.fsync = fsync  # type: ignore[assignment]
            store.create(video, **SQUAT)

        assert in_child(act) == -signal.SIGKILL
        hidden = list(store.path.glob(".creating-*"))
        outcomes.add(len(hidden))
        for session in store.sessions():
            assert session.video.read_bytes() == video.read_bytes()
        another = store.create(video, **SQUAT)
        assert not list(store.path.glob(".creating-*"))
        assert kept.id in {session.id for session in store.sessions()}
        another.delete()
    assert outcomes == {1}


def test_the_sweep_spares_a_creation_that_is_at_work(store, video, stand_ins, monkeypatch):
    """Between copy and rename of one creation, another one runs from start to end."""
    real = Path.rename
    others = []

    def rename(self: Path, target: Path) -> Path:
        if not others:
            others.append(None)
            assert in_child(lambda: store.create(video, **SQUAT)) == 0
        return real(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    session = store.create(video, **SQUAT)
    assert len(store.sessions()) == 2
    assert session.video.read_bytes() == video.read_bytes()


def test_processes_that_create_at_once_do_not_collide(store, video):
    in_children(4, lambda _: [store.create(video, **SQUAT) for _ in range(5)])
    sessions = store.sessions()
    assert len({session.id for session in sessions}) == 20
    assert all(session.video.read_bytes() == video.read_bytes() for session in sessions)
    assert not list(store.path.glob(".[!l]*"))


# Finding and deleting


def test_sessions_come_oldest_first_and_a_damaged_one_is_left_out(store, video, caplog):
    ids = []
    for day in (3, 1, 2):
        session = store.create(video, **SQUAT)
        record = json.loads((session.folder / "session.json").read_text())
        record["created_at"] = f"2025-01-0{day}T10:00:00+00:00"
        (session.folder / "session.json").write_text(json.dumps(record))
        ids.append(session.id)
    assert [session.id for session in store.sessions()] == [ids[1], ids[2], ids[0]]
    (store.path / ids[2] / "session.json").write_text("{}")
    assert [session.id for session in store.sessions()] == [ids[1], ids[0]]
    assert f"left out: session {ids[2]}" in caplog.text
    with pytest.raises(StorageError, match="its record is damaged"):
        store.session(ids[2]).record  # noqa: B018
    listed, damaged = store.sessions_and_damaged()
    assert [session.id for session in listed] == [ids[1], ids[0]]
    assert damaged.keys() == {ids[2]}
    assert f"mobility sessions delete {ids[2]}" in damaged[ids[2]]
    # Whose it is may still be told, if that can be anybody's id.
    for told, known in (("p09", ["p01", "p09"]), ("Jane Doe/x", ["p01"])):
        (store.path / ids[2] / "session.json").write_text(json.dumps({"user_id": told}))
        assert store.participants() == known


def test_a_session_interrupted_before_its_verdict_shows_its_curves(store, video):
    session = store.create(video, **SQUAT)
    session.analyze()
    record = json.loads((session.folder / "session.json").read_text())
    del record["stages"]["capture_quality"]
    (session.folder / "session.json").write_text(json.dumps(record | {"state": "analyzing"}))
    assert session.angles().identical(session.angles(refused=True))
    assert doubts(session) == []


def test_angles_are_those_that_the_report_stands_for_and_the_others_on_request(store, video):
    session = store.create(video, **SQUAT)
    session.analyze()
    record = json.loads((session.folder / "session.json").read_text())
    record["warnings"].append({"code": "hands_not_overhead", "message": "hands low", "values": {}})
    (session.folder / "session.json").write_text(json.dumps(record))
    angles, measured = session.angles(), session.angles(refused=True)
    kept = read_dataset(session.folder / "angles.nc")
    assert measured.drop_attrs().identical(kept.drop_attrs())
    refused = {"shoulder_flexion", "elbow_flexion"}
    assert refused <= set(angles.data_vars) == set(measured.data_vars)
    for name in angles.data_vars:
        if str(name).removesuffix("_sd") in refused:
            assert measured[name].notnull().any()
            assert not angles[name].notnull().any()
            assert angles[name].attrs["refused"] == "the hands are not held above the head"
        else:
            assert angles[name].identical(measured[name])
    document = session.export()["angles"]
    assert set(document["left_shoulder_angle"]) == {None}
    assert set(document["left_knee_angle"]) > {None} or None not in document["left_knee_angle"]


def test_a_misspelt_id_gets_the_likely_one(store, video):
    session = store.create(video, **SQUAT)
    with pytest.raises(NotFoundError, match=f"did you mean '{session.id}'"):
        store.session(session.id[:-1])


def test_ids_do_not_lead_out_of_the_store(store, video, tmp_path):
    store.create(video, **SQUAT)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "session.json").write_text("{}")
    for name in ("../outside", str(outside), "..", "", ".locks"):
        with pytest.raises(BadInputError, match="session id"):
            store.session(name)
        with pytest.raises(BadInputError, match="session id"):
            store.delete(name)
    assert outside.exists()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(name=st.text(max_size=20))
def test_no_text_as_an_id_reads_or_writes_outside(store, name):
    for act in (store.session, store.delete, store.participant):
        with pytest.raises((BadInputError, NotFoundError)):
            act(name)
    assert not store.path.exists()


def test_deleting_takes_video_results_reports_and_locks(store, video):
    session = store.create(video, **SQUAT).analyze()
    other = store.create(video, **SQUAT)
    session.report()
    assert (store.reports / session.id / "overhead-squat.json").is_file()
    session.delete()
    assert [found.id for found in store.sessions()] == [other.id]
    for root in (store.path, store.reports):
        assert not [file for file in root.rglob("*") if session.id in file.as_posix()]
    with pytest.raises(NotFoundError):
        session.details()
    with pytest.raises(NotFoundError):
        store.delete(session.id)


def test_the_reports_are_not_in_the_place_of_the_sessions(tmp_path):
    (tmp_path / "sessions").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "sessions")
    for reports in ("sessions", "link", "sessions/../sessions"):
        with pytest.raises(BadInputError, match="the folder of the store"):
            Store(tmp_path / "sessions", reports=tmp_path / reports)


@pytest.mark.parametrize(
    ("names", "is_one"),
    [
        (["video.mov"], True),
        (["video-2.mp4", "edits.json", ".video.0a.tmp.mp4"], True),
        (["analyzed.mp4", "threads"], True),
        (["video.mov", ".ipynb_checkpoints"], True),
        (["pose.nc", "metrics.parquet"], True),
        (["video of my talk.mp4"], False),
        (["video.mp4", "thesis.docx"], False),
        (["capture_quality.json"], False),
        ([], False),
    ],
)
def test_a_folder_without_record_is_a_session_if_nothing_else_is_in_it(store, names, is_one):
    (store.path / "mine").mkdir(parents=True)
    for name in names:
        (store.path / "mine" / name).write_bytes(b"a")
    assert store.possible_sessions() == ({"mine"} if is_one else set())
    with suppress(NotFoundError):
        store.delete("mine")
    assert (store.path / "mine").exists() != is_one


@pytest.mark.parametrize("name", ["sessions/s1", "reports/s1", "reports/s1.validation"])
def test_a_link_in_the_place_of_a_folder_is_refused_before_anything_is_deleted(
    store, video, tmp_path, name
):
    store.create(video, **SQUAT, session_id="s1")
    store.reports.mkdir()
    place = tmp_path / name
    elsewhere = tmp_path / "elsewhere"
    if place.exists():
        place.rename(elsewhere)
    else:
        elsewhere.mkdir()
    place.symlink_to(elsewhere)
    before = everything(tmp_path)
    with pytest.raises(StorageError, match=f"{name}: is a link"):
        store.delete("s1")
    assert everything(tmp_path) == before
    place.unlink()
    elsewhere.rename(place)
    store.delete("s1")
    assert store.sweep() == {}


def test_a_deletion_that_fails_leaves_the_session(store, video, monkeypatch):
    session = store.create(video, **SQUAT).analyze()
    session.report()

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", refuse)
        with pytest.raises(StorageError, match="not permitted"):
            session.delete()
    assert session.details()["angles"] != {}
    session.delete()
    assert store.sessions() == []


def test_a_file_in_the_place_of_the_reports_holds_no_reports(store, video):
    session = store.create(video, **SQUAT)
    store.reports.write_text("not a folder")
    session.delete()
    assert store.sessions() == []
    assert store.reports.read_text() == "not a folder"


@pytest.mark.parametrize("text", ["[]", "null", "7"])
def test_documents_that_are_no_objects_are_refused(store, video, text):
    session = store.create(video, **SQUAT)
    (session.folder / "edits.json").write_text(text)
    with pytest.raises(StorageError, match=r"edits\.json: must be .*delete it and correct"):
        session.edits()
    store.set_participant("p01")
    (store.path / "participants" / "p01.json").write_text(text)
    with pytest.raises(StorageError, match=r"p01\.json: must be .*mobility participants set p01"):
        store.participant("p01")
    (session.folder / "session.json").write_text(text)
    with pytest.raises(StorageError, match="must be an object"):
        session.details()
    assert store.sessions() == []


def test_a_deletion_that_is_killed_is_finished_by_the_next_creation(store, video):
    session = store.create(video, **SQUAT).analyze()
    session.report()

    def act() -> None:
        shutil.rmtree = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[assignment]
        session.delete()

    assert in_child(act) == -signal.SIGKILL
    assert store.sessions() == []
    other = store.create(video, **SQUAT)
    for root in (store.path, store.reports):
        assert not [file for file in root.rglob("*") if session.id in file.as_posix()]
    assert [found.id for found in store.sessions()] == [other.id]


@pytest.mark.parametrize("umask", [0o000, 0o022])
def test_all_that_is_stored_is_for_the_owner_only(store, video, stand_ins, tmp_path, umask):
    before = os.umask(umask)
    try:
        second = stand_ins.video(tmp_path / "side", content=b"video of the side")
        session = store.create(video, second, **SQUAT).analyze()
        session.set_camera_side("left", by="ann")
        session.create_summary_threads()
        store.set_participant("p01", height_m=1.7)
    finally:
        os.umask(before)
    places = [store.path, *store.path.rglob("*")]
    assert len(places) > 15
    assert [str(place) for place in places if place.stat().st_mode & 0o077] == []


# Participants


def test_who_has_a_session_but_no_record_is_a_participant(store, video):
    store.create(video, user_id="p03", exercise_name="Overhead Squat")
    store.set_participant("p01")
    assert store.participants() == ["p01", "p03"]
    with pytest.raises(NotFoundError, match=r"^participant p03: has sessions but no record; make"):
        store.participant("p03")


def test_participants_keep_what_is_not_named(store):
    store.set_participant("p02", sex="female", height_m=1.68)
    store.set_participant("p02", weight_kg=61.5, age=30)
    store.set_participant("p01", display_name=" Bo ")
    assert store.participants() == ["p01", "p02"]
    assert store.participant("p01") == {"user_id": "p01", "display_name": "Bo"}
    changed = store.set_participant("p02", birth_year=1995, height_m=None)
    assert changed == {
        "user_id": "p02",
        "sex": "female",
        "birth_year": 1995,
        "weight_kg": 61.5,
    }
    assert store.participant("p02") == changed
    # What was shown can be given again, and numbers as text.
    assert store.set_participant("p02", **changed) == changed
    assert store.set_participant("p02", height_m="1.68")["height_m"] == 1.68


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"hieght_m": 1.7}, "hieght_m: unknown; did you mean 'height_m'"),
        ({"height_m": 170}, "height_m: input should be less than or equal to 2.6"),
        ({"sex": "f"}, "sex: input should be 'female' or 'male'"),
        ({"weight_kg": float("nan")}, "weight_kg: .*finite"),
        ({"email": "nobody"}, "email"),
        ({"age": 30, "birth_year": 1990}, "not both"),
        ({"display_name": "a\x00"}, "control character"),
        ({"age": True}, r"age: must be a number \(got True\)"),
        ({"weight_kg": True}, "weight_kg: must be a number"),
        ({"height_m": True}, "height_m: must be a number"),
        ({"birth_year": False}, "birth_year: must be a number"),
        (
            {"user_id": "p02", "weight_kg": 99},
            "p01: user_id: is not the participant's own id .*'p02'",
        ),
        ({"user_id": None}, "user_id: is not the participant's own id"),
        ({"birth_year": 2091}, r"birth_year: must be from \d+ to \d+ \(got 2091\)"),
    ],
)
def test_participant_fields_are_checked(store, fields, message):
    with pytest.raises(BadInputError, match=message):
        store.set_participant("p01", **fields)
    assert not store.path.exists()


def test_unknown_participants_are_not_found(store):
    store.set_participant("p09")
    with pytest.raises(NotFoundError, match=r"participant p9: not in the store .* mean 'p09'"):
        store.participant("p9")
    with pytest.raises(BadInputError, match="user_id"):
        store.set_participant("../p9", age=3)


# Documents


def test_documents_of_an_analyzed_session(store, video):
    store.set_participant("p01", display_name="Ann", weight_kg=70)
    session = store.create(video, body_joint_angles=["knee"], **SQUAT)
    assert session.details()["angles"] == {}
    for document in (session.export, session.report, session.summary):
        with pytest.raises(NotFoundError, match="is not analysed yet"):
            document()
    session.analyze()
    details = session.details()
    assert path_of(details["video_url"]).read_bytes() == video.read_bytes()
    assert path_of(details["analyzed_video_url"]).name == "analyzed.mp4"
    assert details["segments"] == 1
    # The right side is the better seen one of the stand-ins.
    assert details["angles"]["knee_angle"] == details["angles"]["right_knee_angle"]
    export = session.export()
    assert export["angles"] == details["angles"]
    assert len(export["keypoints"]["lknex"]) == len(export["all_timestamps"])
    summary, report = session.summary(), session.report()
    assert summary["user_info"]["weight"] == 70
    assert summary["knee_movement_phases"] == report["knee_movement_phases"]
    for uri in report["knee_movement_phases"].values():
        assert path_of(uri).read_bytes() == b"png"
    # What is stored holds no path of this machine.
    stored = (session.report_folder / "overhead-squat.json").read_text()
    assert json.loads(stored)["knee_movement_phases"]["left"] == "images/left.png"


def test_a_report_is_rendered_once_and_again_when_its_inputs_change(store, video, stand_ins):
    session = store.create(video, **SQUAT).analyze()

    def renderings() -> int:
        session.report()
        session.report()
        return stand_ins.CALLS.count("report")

    assert renderings() == 1
    session.analyze()
    assert renderings() == 1
    store.set_participant("p01", display_name="Ann")
    assert renderings() == 2
    session.set_camera_side("left")
    assert renderings() == 3
    session.set_repetitions([{"start": 0.0, "bottom": 0.05, "end": 0.1}])
    with pytest.raises(NotFoundError, match="corrected by hand since its analysis"):
        session.report()
    session.analyze()
    assert renderings() == 4
    (session.report_folder / "overhead-squat.html").unlink()
    assert renderings() == 5
    assert Store(store.path, reports=store.reports).session(session.id).report()
    assert renderings() == 5


def test_a_report_with_faces_stays_until_one_without_is_asked_for(store, video, stand_ins):
    session = store.create(video, **SQUAT).analyze()

    def renderings(**faces: bool) -> int:
        session.render_report(**faces)
        return stand_ins.CALLS.count("report")

    assert renderings() == 1
    assert renderings(faces=True) == 2
    assert renderings(faces=True) == 2
    assert renderings() == 2  # as it is
    assert session.report_is_current()
    assert renderings(faces=False) == 3
    assert renderings() == 3


def test_a_rendering_that_fails_is_not_served(store, video, stand_ins, monkeypatch):
    session = store.create(video, **SQUAT).analyze()
    session.report()
    store.set_participant("p01", display_name="Ann")

    def fail(session: object, *, faces: bool) -> None:
        raise RuntimeError("no kernel")

    whole = sys.modules["mobility.reports.render"].render_report
    monkeypatch.setattr(sys.modules["mobility.reports.render"], "render_report", fail)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="no kernel"):
            session.report()
    monkeypatch.setattr(sys.modules["mobility.reports.render"], "render_report", whole)
    assert session.report()["user_info"]["display_name"] == "Ann"


def test_a_store_must_have_a_name_that_can_be_kept():
    for name in ("", "a\udcff"):
        with pytest.raises(BadInputError, match="store"):
            Store(name)


def test_the_folder_of_the_reports_comes_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.delenv("MOBILITY_REPORTS", raising=False)
    assert Store(tmp_path).reports == Path("reports")
    monkeypatch.setenv("MOBILITY_REPORTS", str(tmp_path / "r"))
    assert Store(tmp_path).reports == tmp_path / "r"
    assert Store(tmp_path, reports="x").reports == Path("x")


# The demo


def test_the_demo_is_read_only(store, video, tmp_path, monkeypatch):
    session = store.create(video, **SQUAT).analyze()
    checkout = tmp_path / "checkout"
    shutil.copytree(session.folder, checkout / "data" / "demo" / "overhead-squat")
    monkeypatch.setattr("mobility.sessions.store.beside_package", lambda name: checkout / name)
    demo = store.demo("Overhead Squat")
    assert demo.id == session.id
    assert demo_video("Overhead Squat").read_bytes() == video.read_bytes()
    assert demo.details()["angles"] == session.details()["angles"]
    before = everything(checkout)
    for act in (
        demo.delete,
        demo.analyze,
        lambda: demo.set_camera_side("left"),
        lambda: demo.store.create(video, **SQUAT),
    ):
        with pytest.raises(NotPermittedError, match="demo cannot be changed"):
            act()
    # Its report goes to the reports of the one who asks, unless it came with the checkout.
    demo.report()
    assert (store.reports / session.id / "overhead-squat.html").is_file()
    assert everything(checkout) == before
    shutil.copytree(store.reports, checkout / "reports")
    shipped = store.demo("Overhead Squat")
    assert shipped.report_folder.is_relative_to(checkout)
    # One that came with it and is of other data is not made again in its place.
    (shipped.report_folder / ".overhead-squat.key").write_text("of another demo")
    before = everything(checkout)
    images = store.demo("Overhead Squat").summary()["knee_movement_phases"]
    assert all(store.reports.as_posix() in place for place in images.values() if place)
    assert everything(checkout) == before


def test_an_absent_demo_is_not_found(store, tmp_path, monkeypatch):
    monkeypatch.setattr("mobility.sessions.store.beside_package", lambda folder: tmp_path / folder)
    with pytest.raises(NotFoundError, match="demo of Overhead Squat: is not part"):
        store.demo("Overhead Squat")
    with pytest.raises(NotFoundError):
        store.demo("Joint Angle Mobility")
    with pytest.raises(NotFoundError, match="demo of Overhead Squat: is not part"):
        demo_video("Overhead Squat")
    with pytest.raises(BadInputError, match="did you mean 'Overhead Squat'"):
        store.demo("Overhead Squad")


# Sessions of which the id is known before


def test_a_session_of_a_given_id_is_made_once(store, video):
    options = {**SQUAT, "session_id": "video-1"}
    assert store.create(video, **options).id == "video-1"
    with pytest.raises(ConflictError, match="video-1: exists already"):
        store.create(video, **options)
    with pytest.raises(BadInputError, match="session id"):
        store.create(video, **{**options, "session_id": "../up"})
    assert [session.id for session in store.sessions()] == ["video-1"]


def test_another_name_and_other_joints(store, video):
    session = store.create(video, **SQUAT)
    session.redescribe(session_name="Second", joints=["knee", "ankle"])
    assert session.record.session_name == "Second"
    assert session.record.joints == ["ankle", "knee"]
    with pytest.raises(BadInputError, match="control character"):
        session.redescribe(session_name="a\nb", joints=["knee"])


def test_names_that_are_shown_may_hold_what_a_date_holds(store, video):
    name = "../Squat, p01, 11/03/2026"
    session = store.create(video, session_name=name, session_id="s", **SQUAT)
    store.set_participant("p01", display_name="Ann / Bea")
    assert session.title == name
    assert session.details()["user_name"] == "Ann / Bea"
    session.analyze()
    assert {place.name for place in store.path.iterdir() if place.name[0] != "."} == {
        *("s", "participants")
    }


def test_how_long_the_report_took_is_kept_and_makes_no_new_one(store, video, stand_ins):
    session = store.create(video, **SQUAT).analyze()
    assert not session.report_is_current()
    session.render_report()
    assert session.report_is_current()
    rendered = session.record.report
    assert rendered is not None
    assert rendered.seconds >= 0
    stand_ins.CALLS.clear()
    session.render_report()
    assert stand_ins.CALLS == []
    assert session.record.report == rendered


def test_a_report_is_made_where_the_store_can_only_be_read(store, video, caplog):
    session = store.create(video, **SQUAT).analyze()
    before = session.record
    # No lock can be made then, not even by root.
    shutil.rmtree(store.path / ".locks")
    (store.path / ".locks").touch()
    with caplog.at_level("DEBUG", logger="mobility"):
        assert session.report()
    assert session.report_is_current()
    assert session.record == before
    assert "how long its report took is not kept" in caplog.text


def test_a_session_and_what_is_read_of_it_say_whose_they_are(store, video):
    demo = store.demo("Overhead Squat")
    who = demo.record.user_id
    assert f"Overhead Squat of {who}" in repr(demo)
    assert ", analyzed, good recording, in" in repr(demo)
    assert demo.angles().attrs["title"] == f"angles of {who}, Overhead Squat"
    session = store.create(video, **SQUAT)
    assert ", created, in" in repr(session)
    (session.folder / "session.json").unlink()
    assert "no record that can be read" in repr(session)
