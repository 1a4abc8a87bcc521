from __future__ import annotations

import datetime
import json
from functools import partial

import demo_sessions
import hand_made
import numpy as np
import pytest
import small_results
from hypothesis import given
from hypothesis import strategies as st

from mobility.assessment.indices import quality_index
from mobility.base.provenance import AnalysisWarning
from mobility.documents import contract
from mobility.documents import fill as documents
from mobility.documents.exercise_documents import documents_of
from mobility.reports import gauges
from mobility.sessions.record import Participant, Provenance
from mobility.store import Store

MOMENT = datetime.datetime(2025, 3, 11, 0, 5, tzinfo=datetime.timezone(datetime.timedelta(hours=9)))
IMAGES = {"left": "images/left.png", "right": "images/right.png", "front": None}


record = partial(demo_sessions.record, created_at=MOMENT)
ANN = Participant(user_id="p01", display_name="Ann", weight_kg=70, height_m=1.68, email="a@b.c")


def test_dates_are_those_of_the_place_of_creation_and_stand_in_titles():
    assert documents.created_at(MOMENT).model_dump() == {"date": "11/03/2025", "time": "12:05 AM"}
    for hour, time in (12, "12:05 PM"), (23, "11:05 PM"), (9, "09:05 AM"):
        assert documents.created_at(MOMENT.replace(hour=hour)).time == time
    assert documents.title(record(session_name="First"), ANN) == "First"
    for person, name in (ANN, "Ann"), (None, "p01"):
        assert documents.title(record(), person) == f"Overhead Squat, {name}, 11 Mar 2025"


def test_session_document():
    document = documents.session_document(
        record(),
        ANN,
        video_url="file:///v.mp4",
        angles=small_results.angles(),
        repetitions=small_results.repetitions(),
        side="right",
    )
    # Of two repetitions one is accepted.
    assert document["segments"] == 1
    assert document["user_name"] == "Ann"
    assert "analyzed_video_url" not in document
    angles = document["angles"]
    assert list(angles) == [
        *("left_ankle_angle", "right_ankle_angle", "ankle_angle"),
        *("left_knee_angle", "right_knee_angle", "knee_angle"),
    ]
    assert angles["left_knee_angle"] == [0.0, 10.12, 20.0, None, None]
    assert angles["right_knee_angle"] == [50.0, 60.12, 70.0, None, None] == angles["knee_angle"]
    # The ankle's flexion is its dorsiflexion, the third angle of the stand-ins.
    assert angles["left_ankle_angle"][0] == 200.0
    assert document["all_timestamps"] == [0.0, 33.333, 66.667, 100.0, 142.857]
    json.dumps(document, allow_nan=False)
    early = documents.session_document(record(), None, video_url="file:///v.mp4")
    assert (early["segments"], early["angles"], early["all_timestamps"]) == (0, {}, [])


def test_export_document():
    pose = small_results.pose()
    document = documents.export_document(
        record(), pose=pose, angles=small_results.angles(), side="left"
    )
    assert set(document) == {"activity", "angles", "all_timestamps", "keypoints"}
    keypoints = document["keypoints"]
    # Nose and both sides of the other 32 landmarks, four values each.
    assert len(keypoints) == 33 * 4
    for documented in ("lknev", "ltoev", "relbv", "rtoey", "headv", "rearv", "rshox"):
        assert documented in keypoints
    point = pose.isel(individual=0, time=1)
    assert keypoints["ltoex"][1] == point.image_position.sel(keypoint="left_foot_index", pixel="u")
    assert keypoints["rmouy"][1] == point.image_position.sel(keypoint="mouth_right", pixel="v")
    assert keypoints["leinx"][1] == point.image_position.sel(keypoint="left_eye_inner", pixel="u")
    assert keypoints["headz"][1] == round(float(point.image_depth.sel(keypoint="nose")), 2)
    assert (keypoints["lhipv"][1], keypoints["rhipv"][1]) == (0.5, 0.9)
    assert all(values[-1] is None for values in keypoints.values())
    json.dumps(document, allow_nan=False)


def of_another_model() -> Provenance:
    given = {"video_sha256": "a" * 64, "versions": {}, "options": {}, "options_sha256": "b" * 64}
    return Provenance(**given, pose_source="other", source_software="RTMPose")


def test_keypoints_without_depth_are_of_the_model_that_documents_name():
    pose = small_results.pose().drop_vars(["position", "image_depth", "presence"])
    made, angles = record(provenance=of_another_model()), small_results.angles()
    export = documents.export_document(made, pose=pose, angles=angles, side="left")
    keypoints = export["keypoints"]
    assert len(keypoints) == 33 * 4
    assert set(keypoints["headz"]) == {None}
    assert len(keypoints["headz"]) == pose.sizes["time"]
    assert (keypoints["lhipv"][1], keypoints["rhipv"][1]) == (0.5, 0.9)
    assert keypoints["headx"][1] is not None
    session = documents.session_document(made, None, video_url="file:///v.mp4", angles=angles)
    given = {"metrics": small_results.metrics(), "images": IMAGES}
    report = documents.report_document(
        made, None, angles=angles, movement=small_results.movement(), **given
    )
    for document in (export, session, report, documents.summary_document(made, None, **given)):
        assert (document["pose_source"], document["source_software"]) == ("other", "RTMPose")
    # Before the analysis nothing is known of it.
    early = documents.session_document(record(), None, video_url="file:///v.mp4")
    assert "source_software" not in early


def test_report_document():
    document = documents.report_document(
        record(),
        ANN,
        angles=small_results.angles(),
        metrics=small_results.metrics(),
        movement=small_results.movement(),
        images=IMAGES,
    )
    groups = document["grouped_data"]
    assert {name: group["metrics"] for name, group in groups.items()} == {
        # Signed right - left in the Dataset, absolute here.
        "hip_flexion": {
            **{"left_hip_flexion": 84.0, "right_hip_flexion": 80.0, "hip_flexion_asymmetry": 4.0}
        },
        "hip_abduction": {
            "left_hip_abduction": 9.0,
            "right_hip_abduction": 16.0,
            "hip_abduction_asymmetry": 7.0,
        },
        "knee_flexion": {
            "left_knee_flexion": 79.0,
            "right_knee_flexion": 82.0,
            "knee_flexion_asymmetry": 3.0,
        },
        "knee_movement": {
            "knee_ankle_separation_ratio": 0.988,
            **{"left_knee_deviation": 0.123, "right_knee_deviation": 0.1},
            "knee_deviation_asymmetry": 0.023,
        },
        "ankle_dorsiflexion": {
            **{"left_ankle_flexion": 9.0, "right_ankle_flexion": None},
            "ankle_flexion_asymmetry": None,
        },
    }
    assert [list(group["graph_data"]) for group in groups.values()] == [
        ["lhip_flexion", "rhip_flexion"],
        ["lhip_abduction", "rhip_abduction"],
        ["lkne_flexion", "rkne_flexion"],
        ["lkne_deviation", "rkne_deviation"],
        ["lank_flexion", "rank_flexion"],
    ]
    assert groups["knee_movement"]["graph_data"]["rkne_deviation"] == [0, 0.05, 0.1, 0.15, 0.2]
    lengths = {len(v) for group in groups.values() for v in group["graph_data"].values()}
    assert lengths == {len(document["graph_timestamps"])}
    assert (document["knee_movement_phases"], document["date"]) == (IMAGES, "11/03/2025")
    public = {"user_id": "p01", "display_name": "Ann", "height_m": 1.68, "weight": 70.0}
    assert document["user_info"] == {**public, "email": "a@b.c"}
    # Whoever has the code of a phone reads no email address.
    assert documents.user_info(record(phone_key="0123456789ab"), ANN) == public
    comments = document["report_comments"]
    assert list(comments) == [*groups, "final_summary"]
    assert all(text.startswith("Ann, this is ") for text in comments.values())
    # There are no indices in the stand-ins, so the field is left out.
    assert "output_quality" not in document
    json.dumps(document, allow_nan=False)


def test_a_difference_that_could_not_be_told_from_none_is_null():
    """The documents have no room for an error: 10 degrees matter, and so many must be seen."""
    metrics = small_results.metrics()
    for half_width, shown in (9.9, 7.0), (10.1, None):
        metrics["hip_abduction_asymmetry_sd"] = half_width / 1.96
        group = documents.group_metrics(metrics)["hip_abduction"]
        assert (group["hip_abduction_asymmetry"], group["right_hip_abduction"]) == (shown, 16.0)


def test_summary_document_has_the_reports_metrics_and_its_own_spelling():
    metrics = small_results.metrics()
    document = documents.summary_document(record(), None, metrics=metrics, images=IMAGES)
    groups = document["grouped_data"]
    assert groups["hip_adduction"] == {
        "left_hip_abduction": 9.0,
        "right_hip_abduction": 16.0,
        "hip_abduction_asymmetry": 7.0,
    }
    assert "hip_abduction" not in groups
    assert groups["knee_flexion"]["knee_flexion_asymmetry"] == 3.0
    assert document["user_info"] == {"user_id": "p01"}
    # Nobody's name is known: the participant is spoken to without one.
    assert document["summary"]["hip_abduction"].startswith("This is how far your thighs open")
    named = documents.summary_document(record(), ANN, metrics=metrics, images=IMAGES)
    assert named["summary"]["hip_abduction"].startswith("Ann, this is how far")
    assert list(named["summary"]) == [*documents.group_metrics(metrics), "final_summary"]
    assert contract.SummaryDocument.model_validate(named).json_values() == named
    # Indices are null where they are refused, and left out where they are absent.
    shown = {"angles": small_results.angles(), "movement": small_results.movement()}
    for mobility, expected in (
        (58.4567, {"mobility_index": 58.5, "quality_index": 71.0}),
        (np.nan, {"mobility_index": None, "quality_index": 71.0}),
        (None, {"quality_index": 71.0}),
    ):
        given = {"mobility_index": mobility, "quality_index": 71.0}
        indexed = metrics.assign({k: v for k, v in given.items() if v is not None})
        expected |= {f"{name}_coverage": 1.0 for name in expected}
        of = {"metrics": indexed, "images": IMAGES}
        report = documents.report_document(record(), None, **of, **shown)
        summary = documents.summary_document(record(), None, **of)
        assert report["output_quality"] == summary["output_quality"] == expected
        assert report["report_comments"] == summary["summary"]


def test_an_index_over_some_of_its_parts_names_the_others():
    index = quality_index(hand_made.metrics_of({"heel_rise": None}))
    metrics = small_results.metrics().merge(index, combine_attrs="override")
    document = documents.summary_document(record(), None, metrics=metrics, images=IMAGES)
    quality = document["output_quality"]
    assert quality["quality_index_heels"] is None
    assert quality["quality_index_coverage"] == pytest.approx(5 / 6, abs=0.001)
    assert quality["quality_index"] == pytest.approx(float(index["quality_index"]), abs=0.05)
    # The texts and the page of the report say the same.
    assert "without heels" in document["summary"]["final_summary"]
    assert "of 100, from 83 % of its parts" in [g.goal_text for g in gauges.of_indices(metrics)]


def test_what_the_verdict_rules_out_is_in_no_document():
    index = quality_index(hand_made.metrics_of())
    metrics = small_results.metrics().merge(index, combine_attrs="override")
    hanging = [AnalysisWarning(code="hands_not_overhead", message="Low hands.")]
    unusable = {"rate": {"verdict": "unusable", "advice": "Film faster."}}
    for warnings, quality, metric, words in (
        (hanging, None, "final_summary", "No overhead squat found."),
        ([], unusable, "knee_flexion", "Findings are not reported"),
    ):
        of = record().model_copy(update={"warnings": warnings})
        document = documents.summary_document(
            of, None, metrics=metrics, images=IMAGES, quality=quality
        )
        assert document.get("output_quality") is None
        assert words in document["summary"][metric]


def test_camera_side_is_the_better_seen_one_and_inputs_are_not_changed():
    metrics, pose = small_results.metrics(), small_results.pose()
    confidence = pose["confidence"]
    assert documents.camera_side(pose) == "right"
    # A tie, and a recording in which nobody was seen, too.
    for other in (1 - confidence, confidence * 0, confidence * np.nan):
        assert documents.camera_side(pose.assign(confidence=other)) == "left"
    documents.summary_document(record(), None, metrics=metrics, images=IMAGES)
    documents.keypoint_series(pose)
    assert metrics.identical(small_results.metrics())
    assert pose.identical(small_results.pose())


@given(st.floats(allow_nan=True, allow_infinity=True), st.integers(0, 4))
def test_rounded_numbers_are_json_and_near(value, digits):
    number = documents.rounded(value, digits)
    assert len(documents.series([[value, np.inf], [2.0, 3.0]], digits)) == 4
    if not np.isfinite(value):
        assert number is None
        return
    assert abs(number - value) <= 0.5 * 10.0**-digits + 1e-9 * abs(value)
    assert str(number) != "-0.0"
    json.dumps(number, allow_nan=False)


def test_the_report_has_the_checks_of_the_session():
    for name in ("Overhead Squat", "Squat", "Sit-to-Stand", "Single-Leg Squat"):
        session = Store("absent").demo(name)
        checks = session.checks()
        assert {each["result"] for each in checks} >= {"met", "not_reported"}
        assert documents_of(session.record.kind).report(session)["checks"] == checks
