"""Sessions whose keypoints were given: what is stored, refused, given out and deleted."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest
import written_keypoints as files
from clips import make_clip
from demo_sessions import keys_now

from mobility.base.provenance import sha256, warnings_of
from mobility.errors import BadInputError, NotFoundError
from mobility.exchange.formats import digest
from mobility.pipeline import analysis
from mobility.pipeline.recording_check import check_session
from mobility.reports.origin import provenance
from mobility.serve.privacy import traces_of, write_takeout
from mobility.sessions.files import read_dataset, write_json
from mobility.sessions.record import Stage, now
from mobility.store import Store

SQUAT = {"user_id": "p01", "exercise_name": "Squat", "session_id": "one"}


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "store", reports=tmp_path / "reports")


@pytest.fixture
def video(tmp_path):
    return make_clip(tmp_path / "walk.mp4", 30)


@pytest.fixture
def second_video(tmp_path):
    return make_clip(tmp_path / "side.mp4", 30, fps=25)


@pytest.fixture
def openpose(tmp_path):
    return files.openpose(tmp_path / "json of walk", files.walker())


def is_empty(store: Store) -> bool:
    return store.sessions() == [] and not list(store.path.glob("*.nc"))


def test_a_pose_of_the_keypoints_is_kept_and_says_of_what(store, video, openpose, tmp_path):
    session = store.create(video, keypoints=openpose, keypoints_model="HRNet", **SQUAT)
    again = Store(store.path, reports=tmp_path / "reports").session("one")
    record = again.record.keypoints
    assert (record.file, record.original_name) == ("keypoints.nc", "json of walk")
    assert (record.sha256, record.model) == (digest(openpose), "HRNet")
    assert record.copy_sha256 == sha256(again.keypoints(1))
    assert again.keypoints(2) is None
    pose = read_dataset(again.keypoints(1))
    assert pose.sizes["time"] == 30
    assert pose.attrs["source_software"] == "HRNet"
    assert (again.folder / "keypoints.nc").stat().st_mode & 0o077 == 0
    # What somebody asks to be given, or deleted, has it too.
    write_takeout(store, "p01", tmp_path / "p01.zip")
    with zipfile.ZipFile(tmp_path / "p01.zip") as archive:
        assert "sessions/one/keypoints.nc" in archive.namelist()
    log = store.reports / "watch-1.log"
    log.parent.mkdir(exist_ok=True)
    log.write_text(
        "2026-01-02 03:04:05,678 INFO mobility.serve.batch.run: session one: json of walk\n"
    )
    for trace in traces_of(store, "p01", ["one"]):
        trace.remove()
    assert "walk" not in log.read_text()
    facts = str(provenance(again.record, pose, pose, made_on=again.record.created_at.date()))
    assert {"HRNet", "json of walk", digest(openpose)} <= set(facts.replace("<", ">").split(">"))
    session.delete()
    assert not (store.path / "one").exists()
    assert Store(store.path, reports=tmp_path / "reports").sessions() == []


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (None, "an unnamed model (CSV)"),
        ("RTMPose", "RTMPose"),
        ("DeepLabCut", "DeepLabCut"),
        ("MediaPipe Heavy", "MediaPipe Heavy (entered by hand, not verified)"),
    ],
)
def test_a_format_is_no_model_and_mediapipe_by_hand_not_the_packages_own(
    store, video, tmp_path, model, name
):
    points = files.long_csv(tmp_path / "points.csv", files.walker())
    session = store.create(video, keypoints=points, keypoints_model=model, **SQUAT)
    assert session.record.keypoints.model == name
    pose = read_dataset(session.keypoints(1))
    assert (pose.attrs["source_software"], pose.attrs["pose_source"]) == (name, "other")
    (warning,) = warnings_of(pose)
    assert warning["values"] == {"software": name}
    assert f"keypoints come from {name}, whose errors" in warning["message"]


def test_two_videos_have_two(store, video, second_video, openpose, tmp_path):
    other = files.long_csv(tmp_path / "side.csv", files.walker(u=80.0))
    session = store.create(video, second_video, keypoints=[openpose, other], **SQUAT)
    assert session.record.second_keypoints.file == "keypoints-2.nc"
    second = read_dataset(session.keypoints(2))
    np.testing.assert_allclose(second["time"], np.arange(30) / 25, atol=1e-3)
    with pytest.raises(
        BadInputError, match=r"one file or folder for each video .got 1 for 2 videos"
    ):
        store.create(video, second_video, keypoints=openpose, **SQUAT | {"session_id": "two"})


def test_what_does_not_fit_is_refused_and_leaves_nothing(store, video, openpose, tmp_path):
    short = files.openpose(tmp_path / "short", files.walker(20))
    for given, fault in (
        ({"keypoints": short}, "has 20 frames, but the video walk.mp4 has 30"),
        ({"keypoints": [openpose, openpose]}, "got 2 for 1 video"),
        ({"keypoints_model": "HRNet"}, "names the model of imported keypoints; add them"),
        ({"keypoints": openpose, "keypoints_model": " "}, "must be non-empty text"),
        (
            {"keypoints": openpose, "options": {"model": "full"}},
            "has no effect with imported keypoints",
        ),
        ({"keypoints": openpose, "options": {"subject": (5, 5)}}, "nobody first appears at 5,5"),
        ({"keypoints": tmp_path / "absent"}, "no such file or folder"),
        ({"keypoints": 3}, "keypoints"),
    ):
        with pytest.raises((BadInputError, NotFoundError), match=fault) as error:
            store.create(video, **SQUAT, **given)
        assert "\n" not in str(error.value)
    assert is_empty(store)


def test_one_of_several_people_is_chosen_when_it_is_made(store, video, tmp_path):
    other = files.walker(u=110.0)
    both = files.openpose(tmp_path / "both", files.walker(), others=lambda n: [other[n]])
    with pytest.raises(BadInputError, match="has 2 people; choose one with subject"):
        store.create(video, keypoints=both, **SQUAT)
    session = store.create(video, keypoints=both, options={"subject": (115, 60)}, **SQUAT)
    nose = read_dataset(session.keypoints(1))["image_position"].sel(keypoint="nose", pixel="u")
    assert float(nose[0, 0]) == 110
    with pytest.raises(
        BadInputError, match=r"subject: its keypoints were imported, and the keypoints"
    ):
        session.set_subject((65, 60))
    with pytest.raises(BadInputError, match="subject: its keypoints were imported for one person"):
        session.analyze(subject=(65, 60))
    with pytest.raises(BadInputError, match="its keypoints were imported, but a check needs"):
        check_session(session)


def test_the_key_of_the_pose_is_of_the_keypoints_and_of_no_model(
    store, video, openpose, tmp_path, monkeypatch
):
    found = store.create(video, **SQUAT)
    given = store.create(video, keypoints=openpose, **SQUAT | {"session_id": "two"})
    other = files.openpose(tmp_path / "other", files.walker(u=61.0))
    changed = store.create(video, keypoints=other, **SQUAT | {"session_id": "three"})
    assert len({keys_now(each)["pose"] for each in (found, given, changed)}) == 3
    before = keys_now(given)

    def absent(_):
        raise AssertionError("looked for a model")

    monkeypatch.setattr("mobility.capture.models.model_sha256", absent)
    assert keys_now(given) == before
    monkeypatch.setattr(analysis, "code_digest", lambda code: "other")
    assert keys_now(given) != before


def test_keypoints_that_are_gone_leave_the_results_as_they_are(tmp_path, video, openpose):
    store = Store(tmp_path / "store", reports=tmp_path / "reports")
    session = store.create(video, keypoints=openpose, **SQUAT)
    pose = {"pose": Stage(key="0" * 64, file="pose.nc", sha256="0" * 64, seconds=1, finished=now())}
    record = session.record.model_copy(update={"state": "analyzed", "stages": pose})
    write_json(session.folder / "session.json", record.model_dump(mode="json"))
    (session.folder / "keypoints.nc").unlink()
    with pytest.raises(
        NotFoundError, match=r"its keypoints keypoints.nc was deleted, so it cannot"
    ):
        session.bring_up_to_date()
    assert session.record == record
