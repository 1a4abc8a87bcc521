"""The exercise Joint Angle Mobility from a session to its document; the measuring is real."""

from __future__ import annotations

import datetime
import sys

import numpy as np
import pytest
import small_results
import xarray as xr

from mobility import tables
from mobility.assessment.verdict import judge
from mobility.base.provenance import history
from mobility.documents.contract import JointMobilityDocument
from mobility.errors import BadInputError, NobodyFoundError, NotFoundError, VideoError
from mobility.exercises.joint_angle_mobility.documents import joint_curves
from mobility.exercises.joint_angle_mobility.joint_mobility import joint_mobility
from mobility.kinematics.angles import joint_angles
from mobility.reports import recording
from mobility.reports.first_page import in_short, trust
from mobility.store import Session, Store
from mobility.virtual_lab.case import read_truth, truth_pose
from tests.limbs import limb_pose, there_and_back

FIVE = ("ankle", "knee", "hip", "shoulder", "elbow")
SIDES = ("left_", "right_", "")
CLEANED = 0.1
"""Degrees that cleaning may change."""


def filmed(*, wrist: float = 0.6) -> xr.Dataset:
    """The left elbow bends three times, the right arm is hidden."""
    time, curve = there_and_back(low=10, high=130, times=3)
    pose = limb_pose(time, joints={"elbow": (curve, 20.0)}, heading=-90)
    pose["confidence"].loc[{"keypoint": "right_wrist"}] = wrist
    return pose


@pytest.fixture
def shown(monkeypatch) -> list[tuple[str, ...]]:
    """What only a video can give is put in its place; the angles that the overlay shows."""
    overlays: list[tuple[str, ...]] = []
    modules = small_results.modules()

    def annotate(video, raw, angles, reps, out, *, shown_angles=(), **_) -> None:
        overlays.append(shown_angles)
        out.write_bytes(b"annotated")

    modules["mobility.pipeline.overlay"].annotate_video = annotate
    quality = modules["mobility.capture.quality"]
    quality.pictures = lambda info, raw: {}
    quality.capture_quality = lambda *_, light_and_sharpness: {"light": {"verdict": "ok"}}
    for name in ("capture.video", "capture.quality", "capture.pose", "pipeline.overlay"):
        monkeypatch.setitem(sys.modules, f"mobility.{name}", modules[f"mobility.{name}"])
    return overlays


@pytest.fixture
def create(store, shown, tmp_path):
    """Make a session of a video, in which is seen what a function gives."""

    def make(seen=filmed, **options) -> Session:
        def estimate(video, **_):
            pose = seen()
            return pose.assign(image_depth=pose["confidence"] * 0)

        sys.modules["mobility.capture.pose"].estimate_pose = estimate
        video = small_results.video(tmp_path / "camera")
        if "movement" not in options:
            options = {"exercise_name": "Joint Angle Mobility", **options}
        return store.create(video, user_id="p01", **options)

    return make


@pytest.fixture
def session(create) -> Session:
    return create(body_joint_angles="elbow,knee", session_name="Elbows").analyze(fit=False)


def test_stages_and_document_are_those_of_the_exercise_and_its_joints(session, shown):
    assert session.record.state == "analyzed"
    assert session.repetitions()["joints"].values.tolist() == ["left elbow"] * 3
    metrics = session.metrics()
    assert metrics.attrs["ds_type"] == "joint_mobility"
    assert metrics["joint"].values.tolist() == ["knee", "elbow"]
    assert metrics["maximum"].sel(joint="elbow", side="left") == pytest.approx(130, abs=0.5)
    assert shown == [("knee_flexion", "elbow_flexion")]
    assert session.record.verdict == session.verdict().level
    np.testing.assert_array_equal(
        session.angles()["elbow_flexion"].transpose("time", "side"),
        metrics["angle"].sel(joint="elbow").transpose("time", "side"),
    )
    assert session.details()["segments"] == 3
    assert len(session.repetitions_table()) == 3

    document = session.joint_mobility()
    JointMobilityDocument.model_validate(document)
    assert list(document) == [
        *("title", "angles", "exercise", "user_info", "date", "uploaded_date"),
        *("shown_angles", "comments", "pose_source", "source_software"),
    ]
    assert document["title"] == "Elbows"
    assert document["exercise"] == "Joint Angle Mobility"
    assert list(document["angles"]) == [
        *("left_knee_angle", "right_knee_angle", "knee_angle"),
        *("left_elbow_angle", "right_elbow_angle", "elbow_angle"),
    ]
    details = session.details()
    for key, angle in document["angles"].items():
        assert angle["values"] == details["angles"][key]
        # The extremes are those of the report: medians of the turns, not of single frames.
        side, _, joint = key.removesuffix("_angle").rpartition("_")
        one = session.metrics().sel(joint=joint, side=side or "left")
        assert angle["max"] == pytest.approx(float(one["maximum"]), abs=0.005)
        assert angle["min"] == pytest.approx(float(one["minimum"]), abs=0.005)
    assert document["angles"]["left_elbow_angle"]["max"] == pytest.approx(130, abs=CLEANED)
    assert document["angles"]["left_elbow_angle"]["min"] == pytest.approx(10, abs=CLEANED)
    # The camera sees the left side best.
    assert document["angles"]["elbow_angle"] == document["angles"]["left_elbow_angle"]
    assert document["shown_angles"] == ["knee_angle", "elbow_angle"]
    assert document["comments"] == {}
    assert document["user_info"] == {"user_id": "p01"}
    created = session.record.created_at
    assert datetime.datetime.fromisoformat(document["uploaded_date"]) == created
    assert document["date"] == f"{created:%d/%m/%Y}"

    # Display settings choose what is shown, and impossible movements change nothing.
    session.save_config(shown_angles=["left_elbow_angle"], comments={"left_elbow_angle": "Better."})
    document = session.joint_mobility()
    assert document["shown_angles"] == ["left_elbow_angle"]
    assert document["comments"] == {"left_elbow_angle": "Better."}
    assert "right_knee_angle" in document["angles"]
    for act in (session.report, session.summary):
        with pytest.raises(BadInputError, match="its exercise is 'Joint Angle Mobility'"):
            act()
    times = {"start": 1, "bottom": 2, "end": 3}
    for given, words in (
        ([{**times, "end": 99}], "outside the recording"),
        ([{**times, "joints": "left hip"}], "'left hip' is not measured"),
        ({"start": 1}, "must be a list"),
    ):
        with pytest.raises(BadInputError, match=words):
            session.set_repetitions(given)
    assert session.edits().edits == []
    assert session.record.state == "analyzed"


def test_trunk_and_neck_stand_in_the_documents_where_they_are_named(create, shown):
    time, curve = there_and_back(low=0, high=30, times=2)

    def leaning():
        return limb_pose(time, heading=0.0, lean=-curve)

    made = create(leaning, body_joint_angles="trunk, neck")
    made.analyze(fit=False, movement="trunk_lateral_flexion")
    document = made.joint_mobility()
    JointMobilityDocument.model_validate(document)
    keys = [f"{side}{joint}_angle" for joint in ("trunk", "neck") for side in SIDES]
    assert list(document["angles"]) == keys
    for side, degrees in ("left", 30), ("right", 0):
        assert document["angles"][f"{side}_trunk_angle"]["max"] == pytest.approx(degrees, abs=1)
    # Not the side that the camera sees best, but the one to which the trunk bent.
    made.set_camera_side("right")
    for make in (made.joint_mobility, made.details, made.export):
        angles = make()["angles"]
        assert angles["trunk_angle"] == angles["left_trunk_angle"]
    assert set(document["angles"]["neck_angle"]["values"]) == {None}
    assert made.repetitions()["joints"].values.tolist() == ["left trunk"] * 2
    assert shown == [("trunk_lateral_flexion", "neck_lateral_flexion")]
    made.save_config(shown_angles=["left_trunk_angle"])

    every = create(leaning, body_joint_angles="all").analyze(fit=False)
    keys = [f"{side}{joint}_angle" for joint in FIVE for side in SIDES]
    assert list(every.joint_mobility()["angles"]) == list(every.export()["angles"]) == keys


def test_the_movement_that_was_said_at_first_is_the_one_that_is_measured(create):
    made = create(movement="elbow_extension").analyze(fit=False)
    assert history(made.metrics())[-1]["arguments"]["movement"] == "elbow_extension"
    assert made.metrics()["shown"].sel(joint="elbow", side="left") == "elbow_extension"
    made.analyze(movement="elbow_flexion")
    assert made.metrics()["shown"].sel(joint="elbow", side="left") == "elbow_flexion"

    def nobody():
        raise NobodyFoundError("a.mp4: nobody was found in it; film one person")

    made = create(nobody, movement="ankle_dorsiflexion")
    with pytest.raises(VideoError, match=r"nobody was found in it\. Film the ankle from the side"):
        made.analyze(fit=False)


def test_a_squat_without_a_squat_says_which_joint_moves(create):
    squat = create(exercise_name="overhead-squat").analyze(fit=False)
    # Of what is not told, such as an angle of a squat, nothing is said either.
    levels = tables.load("verdict")["warnings"]
    assert all("level" in levels[each.code] for each in squat.record.warnings)
    assert squat.record.verdict == squat.verdict().level == "not_this_exercise"
    rows = squat.to_dataframe().query("metric == 'knee_flexion'")
    assert rows["value"].isna().all()
    assert rows["reason"].str.contains("the video shows a joint movement").all()
    (message,) = [each.message for each in squat.record.warnings if each.code == "no_squat"]
    assert message == "No overhead squat found. The video shows a joint movement (left elbow)."
    what_to_do = "Add the video again with the exercise Joint Angle Mobility."
    assert in_short(squat)[1] == f"{message} {what_to_do}"
    html = trust(judge(squat.record.warnings, {"view": {"verdict": "poor", "advice": "Film."}}))
    assert html.count("<p") == 1
    assert (
        "<strong>No overhead squat found.</strong> The video shows a joint movement (left elbow)"
        in html
    )


def test_a_hidden_side_is_null_in_every_document(create):
    hidden = create(lambda: filmed(wrist=0.1), body_joint_angles="elbow").analyze(fit=False)
    angle = hidden.joint_mobility()["angles"]["right_elbow_angle"]
    assert (angle["max"], angle["min"]) == (None, None)
    for values in (
        angle["values"],
        *(make()["angles"]["right_elbow_angle"] for make in (hidden.details, hidden.export)),
    ):
        assert set(values) == {None}
    assert any("Right elbow is not measured" in w.message for w in hidden.record.warnings)


def test_movements_by_hand_redo_what_depends_on_them_and_survive(session):
    def marks(rows):
        return [
            {**{name: row[name] for name in ("start", "bottom", "end")}, "joints": ["left elbow"]}
            for row in rows
        ]

    table = session.repetitions_table()
    assert [row["joints"] for row in table] == ["left elbow"] * 3
    angles_made = session.record.stages["angles"].finished
    # The rows of the table, without the second, the last one's turn earlier.
    given = [table[0], {**table[2], "bottom": table[2]["bottom"] - 0.4}]
    turns = [row["bottom"] for row in given]
    session.set_repetitions(given, by="Ann")
    with pytest.raises(NotFoundError, match="corrected by hand since its analysis"):
        session.joint_mobility()
    session.analyze()
    edit = session.edits().edits[0]
    assert (edit.who, edit.kind, edit.after) == ("Ann", "repetitions", marks(given))
    assert edit.before == marks(table)

    def holds():
        assert [row["bottom"] for row in session.repetitions_table()] == pytest.approx(turns)
        metrics = session.metrics()
        assert int(metrics["movements"].sel(joint="elbow", side="left")) == 2
        assert metrics["movement_turn"].values == pytest.approx(turns, abs=1 / 30)
        for result in (session.repetitions(), metrics):
            assert history(result)[-1]["arguments"]["movements"] == marks(given)

    holds()
    assert session.details()["segments"] == 2
    page = recording.who_and_what(
        session.record, None, session.fitted(), session.repetitions(), session.edits()
    )
    assert "movements by Ann" in page
    assert "2 accepted of 2 found" in page
    assert "Repetitions" not in page
    assert session.record.stages["angles"].finished == angles_made
    # A participant's age, and another option, make other results, of the same marks.
    session.store.set_participant("p01", sex="male", birth_year=1990)
    session.analyze()
    holds()
    session.analyze(keep_raw=True)
    holds()
    session.set_repetitions(None)
    session.analyze()
    assert session.repetitions_table() == table
    assert session.edits().edits[1].before == marks(given)


def test_a_squat_has_no_joint_mobility_document_and_nothing_has_one_before_the_analysis(
    store, stand_ins, tmp_path
):
    video = stand_ins.video(tmp_path)
    squat = store.create(video, user_id="p01", exercise_name="Overhead Squat").analyze()
    with pytest.raises(BadInputError, match="its exercise is 'Overhead Squat'") as wrong:
        squat.joint_mobility()
    assert wrong.value.status == 400
    made = store.create(video, user_id="p01", exercise_name="Joint Angle Mobility")
    with pytest.raises(NotFoundError, match="is not analysed"):
        made.joint_mobility()
    assert made.details()["segments"] == 0


def test_sex_and_age_give_a_score_and_only_the_metrics_anew(session):
    assert np.isnan(session.metrics()["score"].values).all()
    before = session.record.stages
    session.store.set_participant("p01", sex="male", age=30)
    session.analyze()
    score = session.metrics()["score"].sel(joint="elbow", side="left")
    assert score == pytest.approx(100 * 130 / 142.9, abs=0.4)
    after, anew = session.record.stages, {"metrics", "table", "annotated"}
    assert {name for name in after if after[name].key != before[name].key} == anew
    assert {name for name in after if after[name].finished != before[name].finished} <= anew


def test_the_demo_agrees_with_its_truth(project, demo):
    demo = Store("unused").demo("Joint Angle Mobility")
    document = demo.joint_mobility()
    assert document["shown_angles"] == ["shoulder_angle", "elbow_angle"]
    # The right arm is behind the body.
    assert document["angles"]["right_elbow_angle"]["max"] is None
    assert document["angles"]["elbow_angle"] == document["angles"]["left_elbow_angle"]
    assert demo.details()["segments"] == 3
    assert demo.repetitions()["joints"].values.tolist() == ["left elbow, left shoulder"] * 3

    truth = read_truth(project / "data" / "demo" / "joint-angle-mobility" / "truth.nc")
    commanded = truth_pose(truth)
    true = joint_mobility(commanded, joint_angles(commanded), joints=("shoulder", "elbow"))
    metrics = demo.metrics()
    for joint, within in (("shoulder", 8), ("elbow", 25)):
        one, right = (data.sel(joint=joint, side="left") for data in (metrics, true))
        off = abs(float(one["range_of_motion"] - right["range_of_motion"]))
        assert off < within, joint
        assert off < 1.96 * float(one["range_of_motion_sd"]), joint
        assert int(one["movements"]) == int(right["movements"]) == 3


def test_curves_of_joints_stand_under_the_angle_that_was_shown():
    """The left hip goes out sideways, the right one rests; nothing is known of the elbows."""
    measured = np.full((4, 2, 2), np.nan)
    measured[:, 1] = 35.0, 5.0
    over_time = ("time", "joint", "side")
    metrics = xr.Dataset(
        {
            "angle": (over_time, measured),
            "angle_sd": (over_time, measured / 10),
            "shown": (("joint", "side"), [["", ""], ["hip_abduction", ""]]),
            "note": (("joint", "side"), [["it is hidden", "it is hidden"], ["a bit late", ""]]),
        },
        coords={"time": np.arange(4.0), "joint": ["elbow", "hip"], "side": ["left", "right"]},
        attrs={"ds_type": "joint_mobility", "history": "[1]", "fps": 30.0},
    )
    curves = joint_curves(metrics)
    assert (curves["hip_abduction"].sel(side="left") == 35).all()
    assert curves["hip_abduction"].sel(side="right").isnull().all()
    assert (curves["hip_flexion_sd"].sel(side="right") == 0.5).all()
    assert curves["elbow_flexion"].isnull().all()
    assert curves["elbow_flexion"].attrs["refused"] == "it is hidden"
