from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from demo_sessions import copy_of, keys_now, put_result, taken_as_current
from other_processes import in_children
from own_detectors import install

from mobility import __version__
from mobility.assessment.exercise_stages import stages_of
from mobility.base.provenance import Code, code_digest, sha256, with_history
from mobility.capture.detector_packages import detector_digest
from mobility.catalogue import registry
from mobility.documents.lab_references import Norms
from mobility.errors import BadInputError, ModelError, NotFoundError, VideoError
from mobility.keypoints.sources import Origin
from mobility.pipeline import analysis
from mobility.pipeline.analysis import POSE, RESULTS
from mobility.reports import stored_reports
from mobility.sessions.files import read_json, write_json
from mobility.sessions.filming import filming_of
from mobility.store import Session, Store

# These processes have no threads that a copy could miss.
pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")

SQUAT = {"user_id": "p01", "exercise_name": "Overhead Squat"}
ALL = [
    *("pose", "fitted", "angles", "repetitions", "metrics", "table"),
    *("capture_quality", "annotated", "loads"),
]
FILES = {
    *("session.json", "video.mp4", "pose.nc", "fitted.nc", "angles.nc", "repetitions.nc"),
    *("metrics.nc", "metrics.parquet", "capture_quality.json", "analyzed.mp4", "loads.nc"),
}


@pytest.fixture
def session(store, tmp_path, stand_ins) -> Session:
    return store.create(stand_ins.video(tmp_path), **SQUAT)


@pytest.fixture
def calls(stand_ins):
    """What was computed since it was last asked."""

    def since() -> list[str]:
        done = list(stand_ins.CALLS)
        stand_ins.CALLS.clear()
        return done

    return since


def by_hand(*intervals: tuple[float, float]) -> list[dict[str, float]]:
    return [{"start": start, "bottom": (start + end) / 2, "end": end} for start, end in intervals]


def results(session: Session) -> dict[str, str]:
    return {
        file.name: sha256(file)
        for file in sorted(session.folder.iterdir())
        if file.name != "session.json"
    }


def test_every_stage_is_done_once_in_order(session, calls, stand_ins):
    assert session.analyze() is session
    assert calls() == ALL
    assert {file.name for file in session.folder.iterdir()} == FILES
    xr.testing.assert_identical(session.metrics()["hip_flexion"], stand_ins.metrics().hip_flexion)
    xr.testing.assert_identical(session.pose()["position"], stand_ins.pose().position)
    assert session.fitted().attrs["cleaned"] == 0.1
    assert session.capture_quality() == {"frames": 5}
    # The record says what was done with what.
    record = session.record
    assert (record.state, list(record.stages)) == ("analyzed", ALL)
    assert record.provenance.video_sha256 == sha256(session.video)
    assert len(record.provenance.model_sha256) == 64
    options = record.provenance.options
    assert (options["subject"], options["standing"], options["rate"]) == (
        *("largest", "usual", "usual"),
    )
    assert [warning.code for warning in record.warnings] == ["dark"]
    assert str(session.folder) not in (session.folder / "session.json").read_text()
    # Nothing is computed twice.
    before, text = results(session), (session.folder / "session.json").read_bytes()
    session.analyze()
    session.analyze(workers=2)
    assert calls() == []
    assert (session.folder / "session.json").read_bytes() == text
    # What is lost is made again, with what depends on it.
    (session.folder / "repetitions.nc").unlink()
    session.analyze()
    assert calls() == ["repetitions", "metrics", "table", "annotated", "loads"]
    assert results(session) == before


# Two cameras


@pytest.fixture
def two(store, tmp_path, stand_ins) -> Session:
    front = stand_ins.video(tmp_path / "front")
    side = stand_ins.video(tmp_path / "side", name="side.MOV", content=b"video 2")
    return store.create(front, side, **SQUAT)


def test_both_cameras_make_one_set_of_results(two, calls):
    two.analyze(second_subject=(10, 20))
    with_second = ["pose", "second_pose", "fitted", "fitted", "second camera", *ALL[2:6]]
    assert calls() == [*with_second, "capture_quality", "capture_quality", "annotated", "loads"]
    assert {file.name for file in two.folder.iterdir()} == FILES | {"video-2.mov", "pose-2.nc"}
    assert two.pose().attrs["video_sha256"] == sha256(two.video)
    assert two.second_pose().attrs["video_sha256"] == sha256(two.second_video)
    assert two.second_pose().attrs["subject"] == "[10.0, 20.0]"
    shas = [sha256(two.video), sha256(two.second_video)]
    assert json.loads(two.fitted().attrs["seen_in"]) == shas
    assert two.capture_quality() == {"frames": 5, "second_camera": {"frames": 5}}
    two.analyze()
    assert calls() == []


@pytest.mark.parametrize("taken", [1, 2])
def test_of_two_films_the_one_that_was_measured_is_shown(two, calls, monkeypatch, taken):
    entry = sys.modules["mobility.kinematics.fit.entry"]
    whole, drawn = entry.fit_body, []

    def of_one(cleaned, **how):
        film = f"video{'-2.mov' if taken == 2 else '.mp4'}"
        warnings = [{"code": "one_view_taken", "message": "", "values": {"film": film}}]
        fitted = whole([cleaned[taken - 1]], **how)
        return with_history(fitted, "fit_body", {}, camera=taken, warnings=warnings)

    monkeypatch.setattr(entry, "fit_body", of_one)
    overlay = sys.modules["mobility.pipeline.overlay"]
    draw = overlay.annotate_video
    monkeypatch.setattr(
        overlay, "annotate_video", lambda film, *a, **k: drawn.append(film) or draw(film, *a, **k)
    )
    two.analyze()
    record = two.record
    assert record.measured_video == taken
    video = [two.first_video, two.second_video][taken - 1]
    assert two.video == video == drawn[0]
    assert two.pose().attrs["video_sha256"] == sha256(video)
    assert two.details()["video_url"].endswith(video.name)
    assert "second_camera" not in two.capture_quality()
    assert filming_of(two).cameras == 1
    # A message has the name that the film had.
    (warning,) = [each for each in record.warnings if each.code == "one_view_taken"]
    assert warning.values["film"] == record.videos[0].original_name
    # Whoever is chosen in the first film is chosen there.
    two.set_subject((5, 6))
    monkeypatch.setattr(entry, "fit_body", whole)
    two.analyze()
    assert two.record.measured_video is None
    assert filming_of(two).cameras == 2


def test_a_correction_of_one_camera_leaves_the_pose_of_the_other(two, calls):
    two.analyze()
    calls()
    two.set_subject((30, 40), second_camera=True)
    assert two.record.state == "edited"
    two.analyze()
    assert calls()[:2] == ["second_pose", "fitted"]
    assert two.second_pose().attrs["subject"] == "[30.0, 40.0]"
    two.set_subject((5, 6))
    two.analyze()
    assert "second_pose" not in calls()
    with pytest.raises(BadInputError, match="outside the picture"):
        two.set_subject((700, 6), second_camera=True)


KNEE = {"kind": "point", "start": 0.0, "end": 0.0, "landmark": "left_knee", "u": 5.0, "v": 6.0}


def test_corrected_landmarks_are_fitted_again_and_can_be_undone(session, calls):
    points = pd.DataFrame([KNEE])
    with pytest.raises(NotFoundError, match="no landmarks yet; analyse it first"):
        session.edit_points(points)
    with pytest.raises(BadInputError, match="no second video"):
        session.edit_points(points, second_camera=True)
    session.analyze()
    before, pose = results(session), session.pose()
    calls()
    session.edit_points(points, by="ann")
    assert session.record.state == "edited"
    session.analyze()
    assert calls() == ALL[1:]
    assert json.loads(session.pose().attrs["corrected"]) == [KNEE]
    assert json.loads(session.fitted().attrs["corrected"]) == [KNEE]
    (edit,) = session.edits().edits
    assert (edit.kind, edit.who, edit.before, edit.after) == ("points", "ann", None, [KNEE])
    # A wrong table changes nothing.
    with pytest.raises(BadInputError, match="kind"), session.rollback_if_refused():
        session.edit_points(points.drop(columns="kind"))
    assert session.is_current()
    # The points are of this person, not of another one.
    session.set_subject((5, 6))
    session.analyze()
    assert "corrected" not in session.pose().attrs
    session.set_subject(None)
    session.analyze()
    session.edit_points(points)
    session.edit_points(None)
    session.analyze()
    xr.testing.assert_identical(session.pose(), pose)
    again = results(session)
    assert {name: again[name] for name in before} == before


def test_landmarks_of_the_second_camera_are_corrected_there(two, calls):
    two.analyze()
    calls()
    two.edit_points(pd.DataFrame([KNEE]), second_camera=True)
    two.analyze()
    assert calls()[0] == "fitted"
    assert "corrected" in two.second_pose().attrs
    assert "corrected" not in two.pose().attrs


def test_the_record_says_whose_keypoints_they_are(session, stand_ins, monkeypatch):
    session.analyze()
    assert session.record.origin == Origin("mediapipe", "MediaPipe")
    assert session.record.provenance.model_sha256 is not None
    assert session.details()["source_software"] == "MediaPipe"
    estimate = sys.modules["mobility.capture.pose"].estimate_pose
    whose = {"pose_source": "other", "source_software": "RTMPose"}
    monkeypatch.setattr(
        sys.modules["mobility.capture.pose"],
        "estimate_pose",
        lambda *args, **options: estimate(*args, **options).assign_attrs(whose),
    )
    session.set_subject((5, 6))
    session.analyze()
    assert session.record.origin == Origin("other", "RTMPose")
    assert session.record.provenance.model_sha256 is None
    assert session.export()["pose_source"] == "other"
    # One of before there were others is of MediaPipe.
    file = session.folder / "session.json"
    stored = read_json(file)
    kept = {k: v for k, v in stored["provenance"].items() if "source" not in k}
    write_json(file, stored | {"provenance": kept})
    assert session.record.origin == Origin()


def test_two_cameras_need_both_videos_and_the_fit(two, session, store, tmp_path, stand_ins, calls):
    with pytest.raises(BadInputError, match="fitted body"):
        two.analyze(fit=False)
    assert calls() == []
    two.analyze()
    for act in (
        lambda: session.set_subject((5, 6), second_camera=True),
        lambda: session.analyze(second_subject=(5, 6)),
    ):
        with pytest.raises(BadInputError, match="no second video"):
            act()
    empty = stand_ins.video(tmp_path / "empty", name="side.mp4", content=b"video of nobody")
    third = store.create(stand_ins.video(tmp_path), empty, **SQUAT)
    with pytest.raises(VideoError, match=r"^side\.mp4: nobody was found"):
        third.analyze()


def test_the_calibration_of_a_session_is_its_own(store, tmp_path, stand_ins, calls):
    left = stand_ins.video(tmp_path / "left", name="squat_left.mp4")
    right = stand_ins.video(tmp_path / "right", name="squat_right.mp4", content=b"video, right")
    file = tmp_path / "Calib.toml"
    file.write_text(stand_ins.camera("right", 640, 1.2) + stand_ins.camera("left", 640, 0))
    session = store.create(left, right, calibration=file, **SQUAT)
    file.unlink()
    session.analyze()
    # By the names that the videos had.
    assert json.loads(session.fitted().attrs["known"]) == ["Calib.toml", "left", "right"]
    calls()
    session.analyze()
    assert calls() == []
    session.analyze(height_m=1.8)
    assert calls()[:2] == ["fitted", "fitted"]
    assert json.loads(session.fitted().attrs["known"]) == ["Calib.toml", "left", "right"]
    for options in ({"field_of_view": 60.0}, {"fit": False}):
        with pytest.raises(
            BadInputError, match=r"calibration: already gives the field|fitted body"
        ):
            session.analyze(**options)
    assert calls() == []


def test_a_changed_option_redoes_what_depends_on_it(store, tmp_path, stand_ins, calls):
    for options, redone in (
        ({"blur_face": True}, ["annotated"]),
        ({"subject": (10, 20)}, ALL),
        ({"rate": "all"}, ALL),
        ({"fit": False}, ALL[1:]),
        ({"field_of_view": 62.0}, ALL[1:]),
        ({"height_m": 1.8}, ALL[1:]),
        # The landmarks are cleaned again ("fitted"), for the angles alone.
        ({"keep_raw": True}, ["angles", "fitted", "metrics", "table", "annotated"]),
        ({"annotate": False}, []),
    ):
        session = store.create(stand_ins.video(tmp_path), **SQUAT).analyze()
        calls()
        session.analyze(**options)
        assert calls() == redone, options
        assert session.record.state == "analyzed"


def test_height_and_lens_are_those_given_else_those_known(store, session):
    store.set_participant("p01", height_m=1.66)
    assert session.analyze().fitted().attrs["stature"] == 1.66
    session.analyze(height_m=1.81, field_of_view=65.0)
    assert session.fitted().attrs["stature"] == 1.81
    assert session.fitted().attrs["field_of_view"] == 65.0
    session.analyze()  # what was given once stays
    assert session.fitted().attrs["stature"] == 1.81
    assert session.record.provenance.options["height_m"] == 1.81
    session.analyze(height_m="auto", field_of_view="auto")
    assert session.fitted().attrs["stature"] == 1.66
    assert session.fitted().attrs["field_of_view"] == 0.0


def test_a_load_goes_to_the_fit_relative_to_the_weight_of_the_person(store, session, calls):
    with pytest.raises(BadInputError, match="load_kg: needs the mass of the person"):
        session.analyze(load_kg=20, load_at="hands")
    store.set_participant("p01", weight_kg=80)
    session.analyze(load_kg=20, load_at="hands")
    assert session.fitted().attrs["load"] == '["hands", 0.25]'
    calls()
    store.set_participant("p01", weight_kg=100)
    session.analyze()
    assert "fitted" in calls()
    assert session.fitted().attrs["load"] == '["hands", 0.2]'
    store.set_participant("p01", weight_kg=40)
    with pytest.raises(BadInputError, match="load_kg: is more than 4 times the mass"):
        session.analyze(load_kg=161)
    session.analyze(load_kg="auto", load_at="auto")
    assert "load" not in session.fitted().attrs


def test_the_weight_redoes_the_loads_alone_and_without_the_wing_they_go(
    store, session, calls, monkeypatch
):
    session.analyze()
    calls()
    store.set_participant("p01", weight_kg=70)
    session.analyze()
    assert calls() == ["loads"]
    stored = session.folder / "loads.nc"
    assert session.loads()["weight_share"].sizes == {"time": 5}
    (without,) = [each for each in registry.built_in() if each.name == session.record.exercise]
    monkeypatch.setattr(registry, "exercise", lambda name: without)
    session.analyze()
    assert "loads" not in session.record.stages
    assert not stored.exists()
    with pytest.raises(NotFoundError, match="has no loads"):
        session.loads()
    for name in ("metrics", "../pose"):
        wrong = replace(without, results=(name,))
        monkeypatch.setattr(registry, "exercise", lambda name, wrong=wrong: wrong)
        with pytest.raises(BadInputError, match="cannot be a name; choose another"):
            session.analyze()


def test_an_analysis_begins_with_what_was_given_to_the_creation(store, tmp_path, stand_ins, calls):
    options = {"standing": "free", "subject": (10, 20), "keep_raw": True}
    video = stand_ins.video(tmp_path)
    for wrong in ({"standin": "free"}, {"second_subject": "largest"}):
        with pytest.raises(BadInputError, match=r"did you mean|no second video"):
            store.create(video, **SQUAT, options=wrong)
    session = store.create(video, **SQUAT, options=options)
    session.analyze()
    assert session.fitted().attrs["standing"] == "free"
    assert session.pose().attrs["subject"] == "[10.0, 20.0]"
    calls()
    # What is given later goes before it, and stays.
    session.analyze(standing="straight")
    session.analyze()
    assert session.fitted().attrs["standing"] == "straight"
    assert session.record.provenance.options["keep_raw"] is True
    joints = {"exercise_name": "Joint Angle Mobility", "body_joint_angles": ["all"]}
    elbow = store.create(video, **SQUAT | joints, options={"movement": "elbow_flexion"})
    assert (elbow.record.movement, elbow.record.joints) == ("elbow_flexion", ["elbow"])


def outdated(session: Session) -> list[str]:
    """Stages that the next analysis redoes."""
    keys = keys_now(session)
    return [name for name, stage in session.record.stages.items() if stage.key != keys[name]]


@contextmanager
def other_code(*changed: Code | None) -> Iterator[None]:
    """As if these parts of the package, None for the whole, were of another version."""

    def digest(code: Code | None = None) -> str:
        return "of other code" if code in changed else code_digest(code)

    with pytest.MonkeyPatch.context() as patch:
        for module in (analysis, stored_reports):
            patch.setattr(module, "code_digest", digest)
        yield


def test_a_change_redoes_what_depends_on_it(session):
    session.analyze()
    session.render_report()
    with other_code(None):
        assert outdated(session) == []
        assert session.is_current()
        assert not session.report_is_current()
    with other_code(RESULTS):
        assert outdated(session) == ALL[1:]
    with other_code(POSE):
        assert outdated(session) == ALL
    assert outdated(session) == []
    assert session.report_is_current()


def filmed_from_the_left(session: Session) -> None:
    """Give an analysed session a view, of which the stand-ins know nothing."""
    quality = session.result_file("capture_quality")
    write_json(quality, session.capture_quality() | {"view": {"name": "side left"}})
    file = session.folder / "session.json"
    record = read_json(file)
    record["stages"]["capture_quality"]["sha256"] = sha256(quality)
    write_json(file, record)


def test_norms_of_the_lab_outdate_a_report_and_hold_for_results_of_this_code(session):
    session.analyze()
    filmed_from_the_left(session)
    session.render_report()
    conditions = {
        **{"exercise": "Overhead Squat", "view": "side left", "standing": "usual"},
        **{"method": "", "cameras": 1, "software": __version__},
    }
    norm = {
        **{"conditions": conditions, "metric": "knee_flexion", "sex": None, "age": None},
        **{"people": 24, "mean": 110.0, "sd": 10.0, "units": "degree"},
        "percentiles": [(25, 103.0), (50, 110.0), (75, 117.0)],
    }
    made = {"name": "ours", "made": "2026-01-01T00:00:00Z"}
    session.store.save_reference(Norms.model_validate({**made, "norms": [norm]}))
    assert session.references().norm("knee_flexion") is not None
    assert not session.report_is_current()
    session.render_report()
    assert session.report_is_current()
    with other_code(RESULTS):
        assert session.references().norm("knee_flexion") is None


def test_results_whose_video_is_gone_stay_as_they_were_and_so_does_their_page(session, caplog):
    session.analyze()
    page = session.render_report()["html"]
    page.write_text("of then")
    record = read_json(session.folder / "session.json")
    record["stages"]["metrics"]["key"] = "0" * 64  # of older code
    write_json(session.folder / "session.json", record)
    session.video.unlink()
    with pytest.raises(NotFoundError, match="its results are kept"):
        session.details()
    with pytest.raises(NotFoundError, match=r"its results are kept$"):
        session.report()
    assert session.render_report()["html"] == page
    assert f"Its earlier report still exists: {page}" in caplog.text
    # Nobody knows whether it shows faces.
    with pytest.raises(NotFoundError, match="Its earlier report still exists"):
        session.render_report(faces=False)
    assert page.read_text() == "of then"
    no_point, no_side = (lambda: session.set_subject(None)), (lambda: session.set_camera_side(None))
    for again in (session.analyze, lambda: session.set_repetitions(None), no_point, no_side):
        with pytest.raises(NotFoundError, match=r"its results are kept$"):
            again()
    assert session.edits().edits == []
    assert read_json(session.folder / "session.json") == record
    assert session.metrics().data_vars
    page.unlink()
    with pytest.raises(NotFoundError, match=r"its results are kept$"):
        session.render_report()


def test_where_results_of_other_code_lack_what_is_read_one_line_says_so(session, demo):
    copy = copy_of(demo.parent / "joint-angle-mobility", session.store, "s2")
    readers = (copy.verdict, copy.notes, copy.angles)
    for read in readers:  # outdated, but laid out as now
        read()
    put_result(copy, "metrics", copy.metrics().load().drop_vars(["shown", "movements"]))
    why = "session s2: its results come from a different version, without the data needed here; "
    for read in readers:
        with pytest.raises(NotFoundError, match=rf"^{why}analyse it again, with: .* edit s2$"):
            read()
    copy.video.unlink()
    for read in readers:
        with pytest.raises(NotFoundError, match=f"^{why}its video video.mp4 was deleted"):
            read()
    taken_as_current(copy)
    with pytest.raises(KeyError):  # a fault of the present code is not called one of another
        copy.angles()


def test_a_report_is_never_made_of_an_outdated_analysis(store, session, calls):
    store.set_participant("p01", height_m=1.7)
    session.analyze().render_report()
    calls()
    with other_code(None, RESULTS):
        session.render_report()
        assert calls() == [*ALL[1:], "report"]
        session.report()
        assert calls() == []
    session.analyze().summary()
    assert calls() == [*ALL[1:], "report"]
    store.set_participant("p01", height_m=1.6)
    session.summary()
    assert calls() == [*ALL[1:], "report"]
    assert session.fitted().attrs["stature"] == 1.6


@pytest.mark.parametrize("document", ["details", "export", "create_summary_threads"])
def test_no_document_is_of_an_outdated_analysis(session, calls, document):
    session.analyze()
    calls()
    with other_code(RESULTS):
        assert not session.is_current()
        getattr(session, document)()
        assert session.is_current()
        assert calls() == ALL[1:]
        getattr(session, document)()
        assert calls() == []


def test_a_session_that_is_deleted_meanwhile_does_not_come_back(session, monkeypatch):
    real = sys.modules["mobility.kinematics.angles"].joint_angles

    def remove_first(*args: xr.Dataset) -> xr.Dataset:
        shutil.rmtree(session.folder)
        return real(*args)

    def correct() -> None:
        with session.rollback_if_refused():
            session.set_camera_side("left")

    monkeypatch.setattr(sys.modules["mobility.kinematics.angles"], "joint_angles", remove_first)
    corrections = (
        lambda: session.set_camera_side("left"),
        lambda: session.set_repetitions(None),
        lambda: session.edit_points(None),
    )
    for act in (session.analyze, correct, *corrections, session.analyze):
        with pytest.raises(
            NotFoundError, match=f"session {session.id}: was deleted in the meantime"
        ):
            act()
    assert not [p for p in session.store.path.rglob("*") if session.id in p.name]


def test_warnings_call_the_video_by_its_own_name(session, monkeypatch, stand_ins):
    note = {"code": "video_damaged", "message": "video.mp4: 3 of its packets are damaged"}

    def estimate(video: Path, **_: object) -> xr.Dataset:
        return with_history(
            stand_ins.pose().assign_attrs(subject="null"), "estimate_pose", {}, warnings=[note]
        )

    monkeypatch.setattr(sys.modules["mobility.capture.pose"], "estimate_pose", estimate)
    messages = [warning.message for warning in session.analyze().record.warnings]
    assert "Squat of Ann.MP4: 3 of its packets are damaged" in messages


def test_without_annotation_an_outdated_video_goes(session, calls):
    session.analyze()
    session.analyze(annotate=False)
    # Still that of the present repetitions.
    assert "analyzed_video_url" in session.details()
    session.set_repetitions(by_hand((0.0, 0.1)))
    assert "analyzed_video_url" not in session.details()
    calls()
    session.analyze()
    assert calls() == ["repetitions", "metrics", "table", "loads"]
    assert not (session.folder / "analyzed.mp4").exists()
    session.analyze(annotate=True)
    assert calls() == ["annotated"]


def test_another_detector_and_a_change_of_its_code_make_another_pose(
    session, calls, monkeypatch, tmp_path
):
    points, module = {"one": "one_detector:Model"}, "class Model: pass\n"
    install(monkeypatch, tmp_path / "package", points, one_detector=module)
    session.analyze()
    calls()
    session.analyze(detector="one")
    assert calls() == ALL
    assert session.record.provenance.model_sha256 == detector_digest("one")
    session.analyze()
    assert calls() == []
    (tmp_path / "package" / "one_detector.py").write_text(f"{module}\n")
    assert not session.is_current()
    session.analyze()
    assert calls() == ALL
    session.analyze(detector="mediapipe")
    assert calls() == ALL
    assert session.record.provenance.options.keys().isdisjoint({"detector"})
    with pytest.raises(BadInputError, match="no detector 'on'; did you mean 'one'"):
        session.store.create(session.first_video, **SQUAT, options={"detector": "on"})


def test_a_second_camera_does_not_repeat_the_errors_of_its_model():
    said = {"code": "errors_of_another_model", "message": "HRNet.", "values": {"software": "HRNet"}}
    again = said | {"message": "Camera 2: HRNet.", "values": {"software": "HRNet", "seen_by": 2}}
    other = again | {"values": {"software": "RTMPose", "seen_by": 2}}
    dark = {"code": "dark", "message": "It is dark."}
    assert analysis._each_once([again, said, dark]) == [said, dark]
    assert analysis._each_once([said, other]) == [said, other]
    assert analysis._each_once([again, dark]) == [again, dark]


@pytest.mark.parametrize("is_broken", [False, True])
def test_stored_results_need_no_detector(session, calls, monkeypatch, tmp_path, is_broken):
    package = tmp_path / "package"
    install(monkeypatch, package, {"one": "one_detector:Model"}, one_detector="class Model: pass\n")
    session.analyze(detector="one")
    if is_broken:
        (package / "one_detector.py").unlink()
    else:
        shutil.rmtree(package / "package_detectors-0.1.dist-info")
    assert session.is_current()
    calls()
    session.analyze()
    assert calls() == []
    # What is made of the stored pose is made anew, as after a correction.
    session.set_repetitions(by_hand((0.0, 0.1)))
    calls()
    session.analyze()
    assert calls() == ["repetitions", "metrics", "table", "annotated", "loads"]
    monkeypatch.setattr(analysis, "code_digest", lambda code: f"new {code is POSE}")
    assert not session.is_current()
    assert session.analyze().is_current()
    assert calls() == ALL[1:]
    # Another pose needs it; the results stay as they were.
    before, record = results(session), session.record
    fault = "one_detector" if is_broken else "no detector 'one'"
    for another in ({"rate": "all"}, {"subject": (1, 2)}):
        with pytest.raises((BadInputError, ModelError), match=f"session {session.id}: .*{fault}"):
            session.analyze(**another)
    (session.folder / "pose.nc").rename(tmp_path / "pose.nc")
    with pytest.raises((BadInputError, ModelError), match=fault):
        session.analyze()
    (tmp_path / "pose.nc").rename(session.folder / "pose.nc")
    assert (results(session), session.record) == (before, record)
    session.analyze(detector="mediapipe")
    assert calls() == ALL


def test_options_that_are_not_given_stay(session, calls, monkeypatch):
    monkeypatch.delenv("MOBILITY_POSE_MODEL", raising=False)
    assert "knee_flexion_raw" not in session.analyze(blur_face=True, subject=(1, 2)).angles()
    calls()
    session.analyze()
    session.analyze(blur_face=True)
    assert calls() == []
    session.analyze(subject="largest")
    assert calls() == ALL
    # The faces are blurred still.
    assert b"True" in (session.folder / "analyzed.mp4").read_bytes()
    # Another standing fits again, without another pose.
    assert session.fitted().attrs["standing"] == "straight"
    session.analyze(standing=12)
    assert calls() == ALL[1:]
    assert session.fitted().attrs["standing"] == 12.0
    session.analyze()
    session.analyze(standing=12.0)
    assert calls() == []
    assert session.record.provenance.options["standing"] == 12.0
    assert session.analyze(standing="free").fitted().attrs["standing"] == "free"
    # Another model is another pose.
    full = session.record.provenance.model_sha256
    calls()
    session.analyze(model="heavy")
    heavy = session.record.provenance.model_sha256
    session.analyze()
    assert calls() == ALL
    assert session.record.provenance.model_sha256 == heavy != full
    session.analyze(model="auto")
    assert calls() == ALL
    assert session.record.provenance.model_sha256 == full


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"blurface": True}, "did you mean 'blur_face'"),
        ({"workers": 0}, "workers"),
        ({"standing": "fre"}, r"standing: .*did you mean 'free'"),
        ({"subject": (float("nan"), 1)}, "from 0 to 99999"),
        ({"height_m": 17.0}, "height_m"),
        ({"field_of_view": 400.0}, "field_of_view"),
    ],
)
def test_bad_options_are_refused_before_anything_is_done(session, calls, options, words):
    with pytest.raises(BadInputError, match=words):
        session.analyze(**options)
    assert calls() == []
    assert session.record.state == "created"


# Failure, interruption, other processes


def test_a_failure_hides_the_results_that_it_puts_in_doubt(session, monkeypatch):
    session.analyze()

    def fail(*_: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(sys.modules["mobility.kinematics.angles"], "joint_angles", fail)
    (session.folder / "angles.nc").unlink()
    with pytest.raises(RuntimeError, match="broken"):
        session.analyze()
    assert session.record.state == "failed"
    assert set(session.record.stages) == {
        *("pose", "fitted", "repetitions", "capture_quality", "loads"),
    }
    with pytest.raises(NotFoundError, match="could not be analysed: broken"):
        session.metrics()


# Corrections by hand


def test_repetitions_by_hand_redo_what_depends_on_them_and_survive(session, calls):
    session.analyze()
    session.set_repetitions(by_hand((0.0, 0.02), (0.03, 0.1), (0.11, 0.14)), by=" Ann ")
    # Nothing out of date is served.
    assert session.details()["segments"] == 0
    with pytest.raises(NotFoundError, match="corrected by hand since its analysis"):
        session.export()
    calls()
    session.analyze()
    assert calls() == ["repetitions", "metrics", "table", "annotated", "loads"]
    assert session.repetitions().sizes["rep"] == 3
    assert int(session.metrics()["accepted_repetitions"]) == 2
    assert session.details()["segments"] == 2
    edit = session.edits().edits[0]
    assert (edit.who, edit.kind) == ("Ann", "repetitions")
    # Before: the accepted ones of those that were found.
    assert edit.before == [{"start": 0.0, "bottom": 0.025, "end": 0.05}]
    assert edit.after == by_hand((0.0, 0.02), (0.03, 0.1), (0.11, 0.14))
    session.analyze(subject=(1, 2))
    assert session.repetitions().sizes["rep"] == 3
    assert [row["accepted"] for row in session.repetitions_table()] == [True, False, True]
    assert session.repetitions_table()[0]["depth"] == 33.3
    session.set_repetitions(None)
    session.analyze()
    assert session.repetitions().sizes["rep"] == 2
    assert session.edits().edits[1].before == edit.after
    assert len(read_json(session.folder / "edits.json")["edits"]) == 2


def test_a_correction_puts_out_of_date_what_the_exercise_says(session, monkeypatch):
    from mobility.exercises.repeated.exercise import Repeated

    session.analyze()
    monkeypatch.setattr(Repeated, "depends", {"angles": (("fitted",), (), ("repetitions",))})
    session.set_repetitions(by_hand((0.0, 0.02)))
    assert {"pose", "fitted", "capture_quality"} == session.record.stages.keys()


def test_of_single_joints_the_subject_is_who_moves_where_nobody_was_pointed_at(
    store, tmp_path, stand_ins, monkeypatch
):
    def refused(*_, **__):
        raise VideoError("no fit is needed here")

    monkeypatch.setattr(sys.modules["mobility.kinematics.clean"], "clean_pose", refused)
    limb = store.create(
        stand_ins.video(tmp_path), user_id="p01", exercise_name="Joint Angle Mobility"
    )
    with pytest.raises(VideoError):
        limb.analyze()
    assert limb.pose().attrs["subject"] == '"moving"'
    limb.set_subject((5, 6))
    with pytest.raises(VideoError):
        limb.analyze()
    assert limb.pose().attrs["subject"] == "[5.0, 6.0]"


def test_the_subject_by_hand_goes_before_the_option(session, calls):
    session.set_subject((3, 4), by="Ann")
    assert calls() == []
    session.analyze(subject=(1, 2))
    assert session.pose().attrs["subject"] == "[3.0, 4.0]"
    calls()
    session.set_subject((5, 6))
    assert session.details()["angles"] == {}
    session.analyze()
    assert calls() == ALL
    assert session.pose().attrs["subject"] == "[5.0, 6.0]"
    assert session.edits().edits[-1].before == [3.0, 4.0]
    session.set_subject(None)
    session.analyze()
    assert session.pose().attrs["subject"] == "[1.0, 2.0]"


def test_the_camera_side_by_hand_concerns_the_documents_only(session, calls, monkeypatch):
    session.analyze()
    calls()
    assert session.camera_side() == "right"
    session.set_camera_side("left")
    assert calls() == []
    angles = session.details()["angles"]
    assert angles["knee_angle"] == angles["left_knee_angle"]
    assert session.edits().edits[0].before == "right"
    session.set_camera_side(None)
    assert session.camera_side() == "right"
    # It is not one that the camera hides.
    metrics = session.metrics().assign_attrs(hidden_side="left")
    monkeypatch.setattr(type(session), "metrics", lambda *_: metrics)
    session.set_camera_side("right")
    with pytest.raises(BadInputError, match="camera_side: left is hidden from the camera on the"):
        session.set_camera_side("left")
    assert session.camera_side() == "right"


def test_impossible_corrections_are_refused_and_change_nothing(session):
    before = session.analyze().record
    for intervals in (
        *(by_hand(*pairs) for pairs in ([(0.1, 0.0)], [(0.0, 0.0)], [(-1, 1)], [(0, 2), (1, 3)])),
        *(by_hand((0, float("nan"))), [*by_hand((1, 2)), 3], ["ab"], "ab", {"start": 0}),
        *([{"start": 0, "end": 1}], [{**by_hand((0, 1))[0], "joints": "left knee"}]),
    ):
        with pytest.raises(BadInputError, match="repetition"):
            session.set_repetitions(intervals)
    with pytest.raises(BadInputError, match="outside the recording"):
        session.set_repetitions(by_hand((0.0, 9.0)))
    for point in ((float("nan"), 1), (-1, 2), (1, 2, 3), (640, 1), (1, 99999)):
        with pytest.raises(BadInputError, match="subject"):
            session.set_subject(point)
    assert session.edits().edits == []
    assert session.record == before


def test_a_correction_that_the_analysis_refuses_is_taken_back(session, calls, monkeypatch):
    session.set_subject((1, 2))
    before = session.analyze().record
    kept = results(session)

    def refuse(*_: object, **__: object) -> None:
        raise BadInputError("video.mp4: nobody is at this point")

    monkeypatch.setattr(sys.modules["mobility.capture.pose"], "estimate_pose", refuse)

    def correct() -> None:
        with session.rollback_if_refused():
            session.set_subject((3, 4))
            session.analyze()

    with pytest.raises(BadInputError, match=r"Squat of Ann\.MP4: nobody"):
        correct()
    assert session.record == before
    assert results(session) == kept
    calls()
    assert session.analyze().details()["angles"] != {}
    assert calls() == []


def test_a_correction_that_is_refused_leaves_no_trace(session):
    session.analyze()
    before = {file: file.stat().st_mtime_ns for file in session.folder.rglob("*")}
    with pytest.raises(BadInputError), session.rollback_if_refused():
        session.set_repetitions(by_hand((0.1, 0.0)))
    assert {file: file.stat().st_mtime_ns for file in session.folder.rglob("*")} == before


def test_edits_of_several_processes_are_all_kept(session):
    def edit(number: int) -> None:
        for _ in range(5):
            session.set_camera_side("left", by=f"person {number}")

    in_children(4, edit)
    assert len(session.edits().edits) == 20


@pytest.mark.slow
@pytest.mark.parametrize("exercise", ["Overhead Squat", "Joint Angle Mobility"])
def test_the_demo_holds_what_the_code_makes_of_its_pose(tmp_path, exercise):
    """It is never analysed again: scripts/demo_data.py has to be run where this fails."""
    store = Store(tmp_path / "sessions")
    demo = store.demo(exercise)
    shutil.copytree(demo.folder, store.path / demo.id)
    shutil.copytree(demo.store.path / "participants", store.path / "participants")
    session = store.session(demo.id)
    record = session.record
    record.stages["pose"].key = keys_now(session)["pose"]
    write_json(session.folder / "session.json", record.model_dump(mode="json"))
    session.analyze(annotate=False)
    assert session.record.stages["pose"] == record.stages["pose"]
    now, kept = session.metrics(), demo.metrics()
    assert set(now.data_vars) == set(kept.data_vars)
    for name in kept.data_vars:
        ours, theirs = now[name].values, kept[name].values
        if theirs.dtype.kind == "f":
            np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-3, err_msg=name)
        else:
            np.testing.assert_array_equal(ours, theirs, err_msg=name)


def test_an_exercise_that_depends_on_what_there_is_not_is_one_line(session, monkeypatch) -> None:
    kind = type(stages_of(session.record.kind))
    depends = {"fitted": (("poses",), (), ())}
    monkeypatch.setattr(kind, "depends", depends)
    with pytest.raises(BadInputError, match="depends: 'poses': unknown; did you mean 'pose'"):
        session.analyze()
