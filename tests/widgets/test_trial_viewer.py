"""The viewer of a trial: what the page gets, and repetitions corrected by hand."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest
from demo_sessions import copy_of, put_result

from mobility.base.provenance import with_history
from mobility.errors import BadInputError, NotFoundError
from mobility.kinematics.repetitions import set_repetitions
from mobility.reports.trial_player import embedded
from mobility.sessions.files import read_json, write_json
from mobility.store import Session
from mobility.widgets import TrialViewer


@pytest.fixture
def session(analysed):
    return analysed()


@pytest.fixture
def viewer(session):
    return TrialViewer(session)


def numbers(buffer: bytes, *shape: int) -> np.ndarray:
    return np.frombuffer(buffer, np.float32).reshape(shape)


def test_the_page_gets_landmarks_body_and_curves(viewer, session, ask, sent, monkeypatch):
    messages = sent(viewer)
    ask(viewer, "load")
    (trial,) = messages
    pose, fitted, angles = session.pose(), session.fitted(), session.angles()
    n = angles.sizes["time"]
    assert trial["time"] == pytest.approx(angles["time"].values, abs=1e-6)
    image, seen, body, *curves = trial["buffers"]
    k = trial["points"].index("left_knee")
    truth = pose["image_position"].sel(keypoint="left_knee").isel(individual=0)
    assert numbers(image, n, 33, 2)[:, k] == pytest.approx(
        truth.transpose("time", "pixel").values, abs=0.01, nan_ok=True
    )
    assert np.frombuffer(seen, np.uint8).reshape(n, 33)[:, k].all()
    k = trial["body_points"].index("right_ankle")
    truth = fitted["position"].sel(keypoint="right_ankle").isel(individual=0)
    places = numbers(body, n, len(trial["body_points"]), 3)
    assert places[:, k] == pytest.approx(truth.transpose("time", "space").values, abs=1e-5)
    named = [(c["name"], c["side"]) for c in trial["curves"]]
    assert len(curves) == len(named)
    value, sd = numbers(curves[named.index(("knee_flexion", "right"))], 2, n)
    right = angles.sel(side="right")
    assert value == pytest.approx(right["knee_flexion"].values, abs=1e-3, nan_ok=True)
    assert sd == pytest.approx(right["knee_flexion_sd"].values, abs=1e-3, nan_ok=True)
    assert not any(name.endswith("_sd") for name, _ in named)
    assert ("trunk_lean", "") in named
    for bones, points in (("image_bones", "points"), ("body_bones", "body_points")):
        sides = {(trial[points][a], trial[points][b]): side for a, b, side in trial[bones]}
        assert sides[("left_hip", "left_knee")] == "left"
        assert sides[("left_hip", "right_hip")] == ""
    assert trial["steps"] == []
    # Landmarks that are hardly visible are not drawn.
    pose["confidence"][{"time": 0}] = 0.4
    pose["image_position"][{"time": 1}] = np.nan
    monkeypatch.setattr(session, "pose", lambda: pose)
    ask(viewer, "load")
    seen = np.frombuffer(messages[1]["buffers"][1], np.uint8).reshape(-1, 33)
    assert not seen[:2].any()
    assert seen[2:].any()


def test_the_body_has_its_head_in_the_first_and_last_frames_too(
    viewer, session, ask, sent, monkeypatch
):
    fitted = session.fitted()
    head = ["nose", "left_ear", "right_ear"]
    where = {"individual": 0, "keypoint": np.isin(fitted["keypoint"], head)}
    for frames in ([0, 1], [-2, -1]):  # of which cleaning takes some
        fitted["position"][{**where, "time": frames}] = np.nan
    fitted["position"][{**where, "time": slice(30, 60)}] = np.nan
    monkeypatch.setattr(session, "fitted", lambda: fitted)
    messages = sent(viewer)
    ask(viewer, "load")
    names = messages[0]["body_points"]
    places = numbers(messages[0]["buffers"][2], len(messages[0]["time"]), len(names), 3)
    at = [names.index(name) for name in head]
    seen = np.isfinite(places[:, at]).all(axis=(1, 2))
    assert seen[[0, 1, -2, -1]].all()
    assert not seen[30:60].any()
    shoulders = [names.index(f"{side}_shoulder") for side in ("left", "right")]
    on_shoulders = places[:, at] - places[:, shoulders].mean(axis=1, keepdims=True)
    assert on_shoulders[0] == pytest.approx(on_shoulders[2], abs=1e-5)


def test_the_page_gets_the_steps(viewer, session, ask, sent, monkeypatch):
    parts = [{"first_s": a, "last_s": b, "standing_s": 1.0} for a, b in ((0, 4.5), (4.9, 13))]
    step = {"from_s": 4.5, "to_s": 4.9, "forward_m": 0.2, "left_m": 0.02, "wider_m": 0.0}
    fitted = with_history(session.fitted(), "fit_body", {}, stances=parts, steps=[step])
    monkeypatch.setattr(session, "fitted", lambda: fitted)
    messages = sent(viewer)
    ask(viewer, "load")
    assert messages[0]["steps"] == [{"from": 4.5, "to": 4.9, "title": "steps forward at 4.7 s"}]


def test_another_session_is_shown_in_the_same_viewer(viewer, analysed, ask, sent):
    other = analysed(
        "s2", exercise="Joint Angle Mobility", joints=["elbow"], session_name="An elbow",
        warnings=[{"code": "a", "message": "Look here."}],
    )  # fmt: skip
    viewer.say("done", "of the first")
    viewer.show(other)
    assert (viewer.title, viewer.noun, viewer.shown) == ("An elbow", "movement", ["elbow_flexion"])
    assert (viewer.warnings, viewer.notice, viewer.drawn) == (["Look here."], {}, 1)
    messages = sent(viewer)
    ask(viewer, "video", page={})
    assert messages[0]["url"].endswith(other.video.name)
    # What cannot be shown leaves what is.
    with pytest.raises(NotFoundError):
        viewer.show(analysed("s3", stages={}, state="created"))
    assert (viewer.session.id, viewer.title, viewer.drawn) == ("s2", "An elbow", 1)


def test_the_video_is_served_and_never_sent(viewer, session, ask, sent, tmp_path):
    messages = sent(viewer)
    page = {"base": "/lab/", "root": str(tmp_path)}
    ask(viewer, "video", page=page)
    ask(viewer, "video", page={**page, "local": True})
    ask(viewer, "video", page={}, annotated=True)
    first, second, third = (message["url"] for message in messages)
    assert first == "/lab/files/sessions/s1/video.mp4"
    for url, name in (second, "video.mp4"), (third, "analyzed.mp4"):
        assert url.startswith("http://127.0.0.1:")
        assert url.endswith(f"/{name}")
    assert all(message["buffers"] == [] for message in messages)
    (session.folder / "analyzed.mp4").unlink()
    ask(viewer, "video", page={}, annotated=True)
    assert "cannot show the video" in viewer.notice["text"]


def test_corrected_repetitions_are_kept_as_an_edit(viewer, session, ask, monkeypatch):
    bottoms = [row["bottom"] for row in session.repetitions_table()]
    assert [rep["bottom"] for rep in viewer.repetitions] == pytest.approx(bottoms, abs=1e-3)
    assert all(rep["accepted"] for rep in viewer.repetitions)
    assert viewer.repetitions[0]["bottom_start"] < viewer.repetitions[0]["bottom"]
    assert not viewer.by_hand
    stages, analysed = read_json(session.folder / "session.json")["stages"], []

    def analyze(session, **options):
        # What the analysis does with the edit, without the annotated video.
        analysed.append(session.edits().current("repetitions"))
        result = set_repetitions(session.fitted(), analysed[-1])
        put_result(session, "repetitions", result, state="analyzed", stages=stages)

    monkeypatch.setattr(Session, "analyze", analyze)
    wanted = [{"start": 1.2, "bottom": 3.0, "end": 4.5}]
    ask(viewer, "save", intervals=wanted)
    viewer.wait(60)
    assert viewer.notice["kind"] == "done", viewer.notice
    assert analysed == [wanted]
    assert viewer.by_hand
    (one,) = viewer.repetitions
    assert one["start"] == pytest.approx(1.2, abs=0.02)
    assert viewer.progress == {}


def test_impossible_repetitions_are_refused_in_the_widget(viewer, session, ask):
    before = viewer.repetitions
    for intervals in (
        [{"start": 3, "bottom": 2, "end": 4}],
        [{"start": 1, "bottom": 2}],
        [{"start": 1, "bottom": 2, "end": 3}, {"start": 2, "bottom": 3, "end": 4}],
        [{"start": 1, "bottom": 2, "end": 99}],
        "nonsense",
    ):
        ask(viewer, "save", intervals=intervals)
        viewer.wait(60)
        assert viewer.notice["kind"] == "error"
        assert "Traceback" not in viewer.notice["text"]
        assert session.edits().current("repetitions") is None
        assert viewer.repetitions == before


def seen_with_another(session):
    """Let the pose of a session say that another person was in the picture."""
    pose = session.pose()
    other = {"first_seen_s": 1.5, "last_seen_s": 4.0, "box": [0, 0, 90, 300], "subject": [40, 120]}
    seen = {**json.loads(pose.attrs["survey"]), "other_people": [other]}
    put_result(session, "pose", pose.assign_attrs(survey=json.dumps(seen)))
    return session.store.session(session.id)


def test_another_person_is_followed_by_a_click(session, ask, sent, monkeypatch):
    assert TrialViewer(session).others == []
    viewer = TrialViewer(seen_with_another(session))
    assert viewer.others == [{"time": 1.5, "point": [40, 120]}]
    stored, analysed = read_json(session.folder / "session.json"), []

    def refuse(session):
        raise BadInputError("subject 3,4: nobody is there; people were first seen at 40,120")

    monkeypatch.setattr(Session, "analyze", refuse)
    for point, words in (([3, 4], "nobody is there"), (None, "x and y"), ([9999, 1], "outside")):
        ask(viewer, "follow", point=point)
        viewer.wait(60)
        assert viewer.notice["kind"] == "error"
        assert words in viewer.notice["text"]
        assert session.edits().current("subject") is None

    def analyze(session):
        analysed.append(session.edits().current("subject"))
        write_json(session.folder / "session.json", stored)

    monkeypatch.setattr(Session, "analyze", analyze)
    messages = sent(viewer)
    ask(viewer, "follow", point=[40.4, 121.0])
    viewer.wait(60)
    assert viewer.notice == {"kind": "done", "text": "the person at 40,121 is measured now"}
    assert analysed == [[40.4, 121.0]]
    assert [message["kind"] for message in messages] == ["trial"]


def test_landmarks_moved_in_the_picture_are_kept_as_an_edit(
    viewer, session, ask, sent, monkeypatch
):
    assert viewer.points == []
    stored = read_json(session.folder / "session.json")
    row = {"kind": "point", "start": 2.0, "end": 2.0, "landmark": "left_knee", "u": 90.0, "v": 99.0}
    monkeypatch.setattr(
        Session, "analyze", lambda session: write_json(session.folder / "session.json", stored)
    )
    messages = sent(viewer)
    for rows, words in (
        ([row | {"landmark": "left_kne"}], "row 1: the landmark 'left_kne' is unknown"),
        ([row | {"u": -4.0}], "outside the picture"),
    ):
        ask(viewer, "points", rows=rows)
        viewer.wait(60)
        assert viewer.notice["kind"] == "error"
        assert words in viewer.notice["text"]
        assert viewer.points == []
    ask(viewer, "points", rows=[row])
    viewer.wait(60)
    assert viewer.notice["kind"] == "done", viewer.notice
    assert viewer.points == session.edits().current("points") == [row]
    # The skeleton of the page is the corrected one.
    assert [message["kind"] for message in messages] == ["trial"]
    knee = (
        session.pose()["image_position"].sel(keypoint="left_knee").sel(time=2.0, method="nearest")
    )
    assert knee.values.ravel().tolist() == [90.0, 99.0]
    assert TrialViewer(session).points == [row]
    ask(viewer, "points", rows=None)
    viewer.wait(60)
    assert viewer.points == []
    assert session.edits().current("points") is None


@pytest.fixture
def elbows(store):
    """The demo of single joints, as a session that can be changed; without its videos' analysis."""
    return copy_of(store.demo("Joint Angle Mobility").folder, store, "s2")


def test_the_demo_is_watched_but_not_changed(store, demo, ask):
    viewer = TrialViewer(store.demo("Overhead Squat"))
    ask(viewer, "save", intervals=[])
    assert "the demo cannot be changed" in viewer.notice["text"]


def test_values_of_single_joints_that_the_report_refuses_are_not_played(elbows, ask, sent):
    # The report and the viewer ask the same function; what it leaves out was measured.
    metrics = elbows.metrics().load()
    metrics["angle"].loc[{"side": "right", "joint": "elbow"}] = np.nan
    put_result(elbows, "metrics", metrics)
    measured = elbows.angles(refused=True)["elbow_flexion"]
    assert measured.sel(side="right").notnull().any()
    viewer = TrialViewer(elbows)
    messages = sent(viewer)
    ask(viewer, "load")
    (trial,) = messages
    held = json.loads(embedded(elbows)["data"])
    assert viewer.shown == held["state"]["shown"]
    assert trial["curves"] == held["trial"]["curves"]
    assert [base64.b64encode(each).decode() for each in trial["buffers"]] == held["buffers"]
    which = [(c["name"], c["side"]) for c in trial["curves"]]
    n = len(trial["time"])
    for side, is_finite in (("left", True), ("right", False)):
        curve = trial["buffers"][3 + which.index(("elbow_flexion", side))]
        assert np.isfinite(numbers(curve, 2, n)[0]).any() == is_finite


def test_curves_to_show_are_known_ones_and_a_saved_notebook_shows_them(viewer, still):
    viewer.shown = ["trunk_lean"]
    with pytest.raises(BadInputError, match="did you mean 'knee_flexion'"):
        viewer.shown = ["knee_flexio"]
    assert viewer.shown == ["trunk_lean"]
    html = still(viewer)
    assert "data:image/png;base64," in html
    assert len(html) < 300_000


def test_what_nobody_foresaw_and_what_the_page_meets_stands_in_the_widget(
    viewer, session, ask, monkeypatch, caplog
):
    ask(viewer, "trouble", text="the video cannot be shown here" + "x" * 9999)
    assert viewer.notice["kind"] == "error"
    assert viewer.notice["text"].startswith("the video cannot be shown here")
    assert len(viewer.notice["text"]) == 500
    monkeypatch.setattr(session, "pose", lambda: 1 / 0)
    ask(viewer, "load")
    assert viewer.notice["kind"] == "error"
    assert "ZeroDivisionError" in viewer.notice["text"]
    assert "Traceback" not in viewer.notice["text"]
    assert "Traceback" in caplog.text
