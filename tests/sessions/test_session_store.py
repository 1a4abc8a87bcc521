from __future__ import annotations

import datetime
import errno
import hashlib
import json
import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest
from demo_sessions import change_record
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from other_processes import in_children

from mobility.base.formatting import dated
from mobility.documents.lab_references import RetestErrors
from mobility.errors import (
    BadInputError,
    NotFoundError,
    NotPermittedError,
    StorageError,
    VideoError,
)
from mobility.reports import stored_reports
from mobility.reports.stored_reports import report_key
from mobility.serve.privacy import files_of_participant
from mobility.sessions.files import read_dataset, read_json, write_json
from mobility.sessions.reports import NAMES_VISIT, demo_video
from mobility.store import Store

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


def test_a_session_is_a_folder_with_the_video_and_a_record(store, video):
    session = store.create(video, session_name=" First ", **SQUAT)
    record = session.record
    assert everything(store.path / session.id) == {"session.json", "video.mp4"}
    assert session.video.read_bytes() == video.read_bytes()
    assert record.video.sha256 == hashlib.sha256(video.read_bytes()).hexdigest()
    assert record.video.original_name == "Squat of Ann.MP4"
    assert record.created_at.utcoffset() is not None
    assert (record.state, record.user_id, session.title) == ("created", "p01", "First")
    assert record.joints == ["ankle", "knee", "hip", "shoulder", "elbow"]
    assert store.session(session.id).record == record
    # No path of this machine is in the record.
    assert str(video.parent) not in (session.folder / "session.json").read_text()


@pytest.mark.parametrize(
    ("date", "day", "time"),
    [
        ("2026-02-28", "2026-02-28", None),
        (datetime.date(2026, 2, 28), "2026-02-28", None),
        ("2026-02-28T10:15", "2026-02-28", "10:15"),
        ("2026-02-28T23:30:00+13:00", "2026-02-28", "23:30"),
        (datetime.datetime(2026, 2, 28, 10, 15), "2026-02-28", "10:15"),
    ],
)
def test_a_film_that_is_added_later_has_the_date_when_it_was_taken(store, video, date, day, time):
    record = store.create(video, date=date, **SQUAT).record
    assert f"{record.visit_day}" == day
    assert record.created_at.utcoffset() is not None
    assert time in (None, f"{record.created_at:%H:%M}")
    assert record.session_id.startswith("20260228-")
    if str(date).endswith("+13:00"):
        assert record.created_at.utcoffset() == datetime.timedelta(hours=13)


@pytest.mark.parametrize("date", ["2999-01-01", "0001-01-01", "yesterday", ""])
def test_a_date_that_cannot_be_is_refused_before_anything_is_written(store, video, date):
    with pytest.raises(BadInputError) as caught:
        store.create(video, date=date, **SQUAT)
    assert list(caught.value.fields) == ["date"]
    assert not store.path.exists()


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


def test_a_second_camera_and_a_calibration_are_copied_too(store, stand_ins, tmp_path):
    left = stand_ins.video(tmp_path / "left", name="squat_left.mp4")
    right = stand_ins.video(tmp_path / "right", name="Squat_right.MOV", content=b"video, right")
    file = tmp_path / "Calib.TOML"
    file.write_text(stand_ins.camera("right", 640, 1.2) + stand_ins.camera("left", 640, 0))
    session = store.create(left, right, calibration=file, **SQUAT)
    assert everything(session.folder) == {
        *("session.json", "video.mp4", "video-2.mov", "calibration.toml")
    }
    record = session.record
    for copied, noted, source in (
        (session.second_video, record.second_video, right),
        (session.calibration, record.calibration, file),
    ):
        assert copied.read_bytes() == source.read_bytes()
        assert noted.original_name == source.name
        assert noted.sha256 == hashlib.sha256(source.read_bytes()).hexdigest()
    # A folder that lost its record is still known to be that of a session.
    (session.folder / "session.json").unlink()
    store.delete(session.id)
    # What does not fit makes no session.
    file.write_text(stand_ins.camera("a", 640, 0))
    for second, more, words in (
        (left, {}, "is the same as the first"),
        (tmp_path / "absent.mp4", {}, "absent"),
        (right, {"calibration": file}, "has 1 cameras .a. for 2 videos"),
        (right, {"calibration": tmp_path / "none.toml"}, "no such file"),
    ):
        with pytest.raises((BadInputError, NotFoundError), match=words):
            store.create(left, second, **more, **SQUAT)
    assert everything(store.path) == set()


def test_what_a_report_is_made_of(store, video, tmp_path, monkeypatch):
    """Code and notebook, but for that of the demo, which is shipped; a second camera."""
    session = store.create(video, **SQUAT)
    notebook = tmp_path / "repetitions.ipynb"
    notebook.write_text("before")
    monkeypatch.setattr(stored_reports, "find_notebook", lambda name: tmp_path / f"{name}.ipynb")
    keys = [report_key(session)]
    # Records of one camera from before there were two are read as they are.
    file = session.folder / "session.json"
    old = json.loads(file.read_text())
    assert [old.pop(name) for name in ("second_video", "calibration")] == [None, None]
    file.write_text(json.dumps(old))
    assert session.second_video is None
    keys.append(report_key(session))
    notebook.write_text("after")
    keys.append(report_key(session))
    monkeypatch.setattr(stored_reports, "code_digest", lambda: "of other code")
    keys.append(report_key(session))
    # What the lab's own studies found of the exercise, and of no other.
    conditions = {"view": "front", "method": "fitted_body", "cameras": 1, "software": "0.1.0"}
    error = {"metric": "knee_flexion", "side": "left", "sem": 2.0, "low": None, "high": None}
    error |= {"participants": 12, "units": "degree"}
    for name, exercise in (("other", "Squat"), ("ours", "Overhead Squat")):
        of_study = [{**error, "conditions": {**conditions, "exercise": exercise}}]
        reference = {"name": name, "made": "2026-01-01T00:00:00Z", "errors": of_study}
        store.save_reference(RetestErrors.model_validate(reference))
        keys.append(report_key(session))
    store.delete_reference("ours")
    keys.append(report_key(session))
    assert [keys.index(key) for key in keys] == [0, 0, 2, 3, 3, 5, 3]
    store.read_only = True
    shipped = report_key(session)
    notebook.write_text("again")
    monkeypatch.setattr(stored_reports, "code_digest", lambda: "of the next code")
    assert report_key(session) == shipped


def test_titles_and_names(store, video):
    session = store.create(video, **SQUAT)
    date = dated(session.record.created_at)
    assert session.title == f"Overhead Squat, p01, {date}"
    store.set_participant("p01", display_name="Ann / Bea")
    assert session.title == f"Overhead Squat, Ann / Bea, {date}"
    assert session.details()["user_name"] == "Ann / Bea"
    session.redescribe(session_name="Second", joints=["knee", "ankle"])
    assert (session.title, session.record.joints) == ("Second", ["ankle", "knee"])
    with pytest.raises(BadInputError, match="control character"):
        session.redescribe(session_name="a\nb", joints=["knee"])


def test_exercise_and_joints(store, video):
    joints = ["ankle", "knee", "hip", "shoulder", "elbow"]
    for exercise, given_joints, expected in (
        ("Overhead Squat", ["knee", "ankle"], ["ankle", "knee"]),
        ("overhead-squat", "ankle, knee", ["ankle", "knee"]),
        (" OVERHEAD  squat ", ["elbow,hip", "hip"], ["hip", "elbow"]),
        ("overhead_squat", "all", joints),
        # Trunk and neck are measured where they are named.
        ("Joint Angle Mobility", "neck, trunk, knee", ["knee", "trunk", "neck"]),
        ("Joint Angle Mobility", "all, trunk", [*joints, "trunk"]),
    ):
        record = store.create(
            video, user_id="p01", exercise_name=exercise, body_joint_angles=given_joints
        ).record
        assert record.joints == expected
        assert record.exercise in ("Overhead Squat", "Joint Angle Mobility")


@pytest.mark.parametrize(
    ("changes", "fields", "message"),
    [
        ({"user_id": ""}, "user_id", "non-empty"),
        ({"user_id": "../p"}, "user_id", "use 1 to 64 letters"),
        ({"exercise_name": "Overhead Squad"}, "exercise_name", "mean 'Overhead Squat'"),
        ({"body_joint_angles": ["kne"]}, "body_joint_angles", r"'knee'\? Choose from ankle, knee"),
        ({"body_joint_angles": "trunk"}, "body_joint_angles", "only in Joint Angle Mobility"),
        ({"session_name": ""}, "session_name", "non-empty"),
        ({"session_name": "a\nb"}, "session_name", "control character"),
        ({"sesion_name": "a"}, "sesion_name", "did you mean 'session_name'"),
        (
            {"user_id": "", "exercise_name": "", "body_joint_angles": "x", "session_name": ""},
            "user_id exercise_name body_joint_angles session_name",
            "user_id",
        ),
    ],
)
def test_a_wrong_option_is_named_and_nothing_is_written(store, video, changes, fields, message):
    with pytest.raises(BadInputError, match=message) as caught:
        store.create(video, **{**SQUAT, **changes})
    assert set(caught.value.fields) == set(fields.split())
    assert "\n" not in str(caught.value)
    assert not store.path.exists()


def test_files_that_are_no_videos_or_have_odd_names(store, tmp_path, stand_ins):
    assert (store.sessions(), store.participants(), list(tmp_path.iterdir())) == ([], [], [])
    for source, error, words in (
        (tmp_path / "absent.mp4", NotFoundError, "no such file"),
        ("", BadInputError, "video: is empty"),
        (stand_ins.video(tmp_path, name="a\udcff.mp4"), BadInputError, "is not decodable text"),
        (stand_ins.video(tmp_path, content=b"text"), VideoError, "not a video"),
    ):
        with pytest.raises(error, match=words):
            store.create(source, **SQUAT)
    assert not store.path.exists()
    for name in ("squat", "squat.m p4", "squat.überlang", "squat.toolongtobeasuffix"):
        session = store.create(stand_ins.video(tmp_path, name=name), **SQUAT)
        assert session.record.video.file == "video.video"


def test_where_store_and_reports_may_be(tmp_path, monkeypatch):
    for name in ("", "a\udcff"):
        with pytest.raises(BadInputError, match="store"):
            Store(name)
    for url in ("s3://bucket/prefix", f"file://{tmp_path}", Path("memory://a")):
        with pytest.raises(BadInputError, match=r"^store: is a URL; copy or mount the file"):
            Store(url)
    (tmp_path / "sessions").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "sessions")
    for reports in ("sessions", "link", "sessions/../sessions"):
        with pytest.raises(BadInputError, match="the folder of the store"):
            Store(tmp_path / "sessions", reports=tmp_path / reports)
    monkeypatch.delenv("MOBILITY_REPORTS", raising=False)
    assert Store(tmp_path).reports == Path("reports")
    monkeypatch.setenv("MOBILITY_REPORTS", str(tmp_path / "r"))
    assert Store(tmp_path).reports == tmp_path / "r"
    assert Store(tmp_path, reports="x").reports == Path("x")


def test_a_read_only_place_is_named_and_can_be_read(store, video, monkeypatch, tmp_path):
    # Root may write anywhere but in /proc.
    with pytest.raises(StorageError, match="cannot write /proc/store"):
        Store("/proc/store").create(video, **SQUAT)
    session = store.create(video, **SQUAT)
    store.set_participant("p01", display_name="Ann")

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    other = Store(tmp_path / "other")
    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", refuse)
        with pytest.raises(StorageError, match="read-only; choose another one with --store"):
            other.create(video, **SQUAT)
    assert everything(other.path) <= {".locks"}
    for name in ("replace", "mkdir", "rename"):
        monkeypatch.setattr(os, name, refuse)
    again = Store(store.path)
    assert [each.id for each in again.sessions()] == [session.id]
    assert again.session(session.id).details()["user_name"] == "Ann"


def test_processes_that_create_at_once_do_not_collide(store, video):
    in_children(3, lambda _: [store.create(video, **SQUAT) for _ in range(4)])
    sessions = store.sessions()
    assert len({session.id for session in sessions}) == 12
    assert all(session.video.read_bytes() == video.read_bytes() for session in sessions)
    assert not list(store.path.glob(".[!l]*"))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(name=st.one_of(st.text(max_size=20), st.sampled_from(["../out", "..", "", ".locks", "/"])))
def test_no_text_as_an_id_reads_or_writes_outside(store, tmp_path, name):
    (tmp_path / "out").mkdir(exist_ok=True)
    (tmp_path / "out" / "session.json").write_text("{}")
    for act in (store.session, store.delete, store.participant):
        for each in (name, str(tmp_path / "out")):
            with pytest.raises((BadInputError, NotFoundError)):
                act(each)
    assert not store.path.exists()
    assert (tmp_path / "out" / "session.json").is_file()


@pytest.mark.parametrize("name", ["", "..", "../out", "/out", "a/../../out", "a\\..\\out", None])
def test_no_id_or_path_leads_out_of_the_store(store, tmp_path, name):
    kept = {tmp_path / "out" / "a.json": "{}", store.reports / "cohort" / "cohort.csv": "kept"}
    for file, text in kept.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    given = str(tmp_path / "out") if name == "/out" else name

    def locked(lock):
        with lock(given, what="it"):
            pass

    for act in (
        lambda: store.remove_reports(given),
        lambda: locked(store.session_locked),
        lambda: locked(lambda part, what: store.session_locked("s1", part, what=what)),
        lambda: locked(store.locked),
        lambda: store.document(given if not given else f"{given}/a.json"),
        lambda: store.write_document(given if not given else f"{given}/b.json", {}),
    ):
        with pytest.raises(BadInputError):
            act()
    assert given is None or not store.is_in_work(given)
    # What is left of a deletion has an id too: nothing else that is called so is touched.
    for odd in (".deleting-", ".deleting-..", ".creating-a..b"):
        (store.path / odd).mkdir(parents=True)
    assert store.sweep() == {}
    everywhere = {file: file.read_text() for file in tmp_path.rglob("*") if file.is_file()}
    assert everywhere == kept


@pytest.mark.parametrize("text", ["[]", "7"])
def test_documents_that_are_no_objects_are_refused(store, video, text):
    session = store.create(video, **SQUAT)
    with pytest.raises(NotFoundError, match="participant p01: has sessions but no record; make"):
        store.participant("p01")
    store.set_participant("p01")
    for file, words, act in (
        (session.folder / "edits.json", r"edits\.json: must be .*delete it", session.edits),
        (
            store.path / "participants" / "p01.json",
            r"p01\.json: must be .*mobility participants set p01",
            lambda: store.participant("p01"),
        ),
        (session.folder / "session.json", "must be an object", session.details),
    ):
        file.write_text(text)
        with pytest.raises(StorageError, match=words):
            act()
    assert store.sessions() == []


@pytest.mark.parametrize(
    "name",
    [
        *("Visits", "cohort", "x.validation", "x.Validation-data", "batch-20260102-030405"),
        *("groups-a", "reliability-a", "study-a"),
    ],
)
def test_no_session_has_the_name_of_a_folder_of_other_reports(store, video, name):
    with pytest.raises(BadInputError, match="is the name of a folder of the reports"):
        store.create(video, session_id=name, **SQUAT)
    assert not store.path.exists()


@pytest.mark.parametrize("name", ["visits", "Visits"])
def test_a_session_with_the_name_of_the_pages_of_visits_leaves_them_alone(
    store, video, stand_ins, name
):
    """No new one has it; one that is stored has its report elsewhere."""
    session = store.create(video, session_id="s1", **SQUAT).analyze()
    record = read_json(session.folder / "session.json")
    session.folder.rename(store.path / name)
    write_json(store.path / name / "session.json", {**record, "session_id": name})
    page = store.reports / "visits" / "p02" / "2026-03-01" / "visit.html"
    page.parent.mkdir(parents=True)
    page.write_text("of somebody else")
    session = store.session(name)
    report = Path(session.render_report()["html"])
    assert not report.is_relative_to(store.reports / "visits")
    assert page.parent.parent.parent not in files_of_participant(store, "p01")
    assert report.parent in files_of_participant(store, "p01")
    session.delete()
    assert page.read_text() == "of somebody else"
    assert not report.parent.exists()


def test_a_report_is_rendered_once_and_again_when_its_inputs_change(store, video, stand_ins):
    session = store.create(video, **SQUAT).analyze()
    assert not session.report_is_current()

    def renderings(**faces: bool) -> int:
        for _ in range(2):
            session.render_report(**faces)
            session.report()
        assert session.report_is_current()
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
    # One with faces stays until one without is asked for.
    assert renderings(faces=True) == 6
    assert renderings() == 6
    assert renderings(faces=False) == 7


def test_a_report_that_names_a_deleted_session_goes_with_it(store, video, stand_ins):
    first, second, other = (
        store.create(video, **{**SQUAT, "user_id": user}) for user in ("p01", "p01", "p02")
    )
    for number, session in enumerate((first, second, other)):
        session.analyze()
        change_record(session, created_at=f"2026-03-0{number + 1}T10:00:00+00:00")
        session.render_report()
        assert session.report_is_current()
    store.delete(first.id)  # the report of the second says since when, with title and film
    assert not second.report_folder.exists()
    assert other.report_is_current()
    second.render_report()
    store.delete(other.id)
    assert second.report_is_current()


def test_a_report_is_made_again_if_the_session_that_it_names_was_deleted_meanwhile(
    store, video, stand_ins, monkeypatch
):
    first, second = (store.create(video, **SQUAT) for _ in range(2))
    for number, session in enumerate((first, second)):
        session.analyze()
        change_record(session, created_at=f"2026-03-0{number + 1}T10:00:00+00:00")
    whole = sys.modules["mobility.reports.render"].render_report
    made = []

    def and_delete(session, **options):
        made.append(whole(session, **options))
        if len(made) == 1:
            store.delete(first.id)
        return made[-1]

    monkeypatch.setattr(sys.modules["mobility.reports.render"], "render_report", and_delete)
    second.render_report()
    assert len(made) == 2
    assert second.report_is_current()
    assert not (second.report_folder / NAMES_VISIT).exists()


def test_an_absent_demo_is_not_found(store, tmp_path, monkeypatch):
    monkeypatch.setattr("mobility.sessions.reports.beside_package", tmp_path.joinpath)
    for act in (store.demo, demo_video):
        with pytest.raises(NotFoundError, match="demo of Overhead Squat: is not part"):
            act("Overhead Squat")
    with pytest.raises(BadInputError, match="did you mean 'Overhead Squat'"):
        store.demo("Overhead Squad")


# Finding and deleting


def test_a_session_of_an_exercise_that_is_not_installed_is_not_called_damaged(store, video):
    session = store.create(video, **SQUAT)
    change_record(session, exercise="Heel Raise")
    assert store.sessions() == []
    _, unread = store.sessions_and_damaged()
    assert "'Heel Raise', which is not installed here; install its package" in unread[session.id]
    assert "delete" not in unread[session.id]


def test_sessions_come_oldest_first_and_a_damaged_one_is_left_out(store, video, caplog):
    ids = []
    for day in (3, 1, 2):
        session = store.create(video, **SQUAT)
        change_record(session, created_at=f"2025-01-0{day}T10:00:00+00:00")
        ids.append(session.id)
    assert [session.id for session in store.sessions()] == [ids[1], ids[2], ids[0]]
    (store.path / ids[2] / "session.json").write_text("{}")
    assert [session.id for session in store.sessions()] == [ids[1], ids[0]]
    assert f"left out: session {ids[2]}" in caplog.text
    with pytest.raises(StorageError, match="its record is damaged"):
        store.session(ids[2]).record  # noqa: B018
    with pytest.raises(NotFoundError, match=f"did you mean '{ids[1]}'"):
        store.session(ids[1][:-1])
    listed, damaged = store.sessions_and_damaged()
    assert [session.id for session in listed] == [ids[1], ids[0]]
    assert damaged.keys() == {ids[2]}
    assert f"mobility sessions delete {ids[2]}" in damaged[ids[2]]


def test_angles_are_those_that_the_report_stands_for_and_the_others_on_request(store, video):
    session = store.create(video, **SQUAT)
    session.analyze()
    record = json.loads((session.folder / "session.json").read_text())
    # Interrupted before its verdict a session shows its curves.
    stages = {name: stage for name, stage in record["stages"].items() if "quality" not in name}
    change_record(session, stages=stages, state="analyzing")
    assert session.angles().identical(session.angles(refused=True))
    assert session.notes() == []
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


def test_a_folder_without_record_is_a_session_if_nothing_else_is_in_it(store):
    mine = store.path / "mine"
    for names, is_one in (
        ("video.mov", True),
        ("video-2.mp4 edits.json .video.0a.tmp.mp4", True),
        ("video.mov .ipynb_checkpoints", True),
        ("video-of-my-talk.mp4", False),
        ("video.mp4 thesis.docx", False),
        ("capture_quality.json", False),
        ("", False),
    ):
        mine.mkdir(parents=True)
        for name in names.split():
            (mine / name).write_bytes(b"a")
        assert store.possible_sessions() == ({"mine"} if is_one else set()), names
        with suppress(NotFoundError):
            store.delete("mine")
        assert mine.exists() != is_one, names
        shutil.rmtree(mine, ignore_errors=True)


def test_a_link_in_the_place_of_a_folder_is_refused_before_anything_is_deleted(
    store, video, tmp_path
):
    store.create(video, **SQUAT, session_id="s1")
    elsewhere = tmp_path / "elsewhere"
    for name in ("sessions/s1", "reports/s1", "reports/s1.validation"):
        place = tmp_path / name
        place.mkdir(parents=True, exist_ok=True)
        place.rename(elsewhere)
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


def test_all_that_is_stored_is_for_the_owner_only(store, video, stand_ins, tmp_path):
    before = os.umask(0)
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


def test_participant_fields_are_checked(store):
    for fields, message in (
        ({"hieght_m": 1.7}, "hieght_m: unknown; did you mean 'height_m'"),
        ({"height_m": 170}, "height_m: input should be less than or equal to 2.6"),
        ({"sex": "f"}, "sex: input should be 'female' or 'male'"),
        ({"weight_kg": float("nan")}, "weight_kg: .*finite"),
        ({"email": "nobody"}, "email"),
        ({"age": 30, "birth_year": 1990}, "not both"),
        ({"display_name": "a\x00"}, "control character"),
        ({"age": True}, r"age: must be a number \(got True"),
        ({"user_id": "p02", "age": 9}, "p01: user_id: is 'p02' in the data; leave it out"),
        ({"user_id": None}, "user_id: is None in the data"),
        ({"birth_year": 2091}, r"birth_year: must be from \d+ to \d+ \(got 2091\)"),
    ):
        with pytest.raises(BadInputError, match=message):
            store.set_participant("p01", **fields)
    assert not store.path.exists()


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
    assert details["segments"] == 1
    # The right side is the better seen one of the stand-ins.
    assert details["angles"]["knee_angle"] == details["angles"]["right_knee_angle"]
    export = session.export()
    assert export["angles"] == details["angles"]
    summary, report = session.summary(), session.report()
    assert summary["user_info"]["weight"] == 70
    assert summary["knee_movement_phases"] == report["knee_movement_phases"]
    for uri in report["knee_movement_phases"].values():
        assert path_of(uri).read_bytes() == b"png"
    # What is stored holds no path of this machine.
    stored = (session.report_folder / "overhead-squat.json").read_text()
    assert json.loads(stored)["knee_movement_phases"]["left"] == "images/left.png"


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


# The demo


def test_the_demo_is_read_only(store, video, tmp_path, monkeypatch):
    session = store.create(video, **SQUAT).analyze()
    checkout = tmp_path / "checkout"
    shutil.copytree(session.folder, checkout / "data" / "demo" / "overhead-squat")
    monkeypatch.setattr("mobility.sessions.reports.beside_package", checkout.joinpath)
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


# Sessions of which the id is known before


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
