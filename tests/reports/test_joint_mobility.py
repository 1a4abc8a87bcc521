from __future__ import annotations

import dataclasses
import datetime
import re
from html import escape
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import xarray as xr

from mobility import tables
from mobility.assessment.joint_mobility import joint_mobility
from mobility.assessment.movements import refusal_advice
from mobility.kinematics.angles import joint_angles
from mobility.kinematics.skeleton import INDEX
from mobility.reports import joint_mobility as report
from mobility.reports import key_frames
from mobility.sessions.record import SessionRecord, StoredConfig, VideoFile, Warned
from mobility.reports.figures import png
from mobility.reports.first_page import trust_in_joints
from mobility.reports.key_frames import joint_moments
from tests.limbs import limb_pose, there_and_back


@pytest.fixture(scope="module")
def metrics() -> xr.Dataset:
    """The left elbow bends by 120 degrees, the right one is hidden; a man of 30."""
    time, curve = there_and_back(low=10, high=130, times=2)
    pose = limb_pose(time, joints={"elbow": (curve, 20.0)})
    pose["confidence"].loc[{"keypoint": "right_elbow"}] = 0.1
    angles = joint_angles(pose)
    return joint_mobility(pose, angles, joints=("knee", "elbow"), sex="male", age=30)


ELBOW = report.Shown("elbow_angle", "elbow", ("left", "right"))


def record(joints: list[str]) -> SessionRecord:
    return SessionRecord(
        schema_version="1",
        session_id="s",
        user_id="p",
        exercise="Joint Angle Mobility",
        joints=joints,
        created_at=datetime.datetime(2026, 5, 1, tzinfo=datetime.UTC),
        video=VideoFile(file="video.mp4", original_name="a.mp4", sha256="0" * 64, size=1),
    )


def config(shown: list[str], comments: dict[str, str] | None = None) -> StoredConfig:
    return StoredConfig(shown_angles=shown, comments=comments or {}, revision=1)


def test_chosen_angles_in_the_chosen_order_with_their_comments() -> None:
    chosen = config(["left_elbow_angle", "knee_angle"], {"knee_angle": "Stiff."})
    found = report.shown(record(["knee", "elbow"]), chosen)
    assert [(each.joint, each.sides, each.comment) for each in found] == [
        ("elbow", ("left",), ""),
        ("knee", ("left", "right"), "Stiff."),
    ]
    assert [each.heading for each in found] == ["Left elbow", "Knee"]


@pytest.mark.parametrize("chosen", [None, config([])])
def test_without_a_choice_all_selected_joints_are_shown(chosen: StoredConfig | None) -> None:
    found = report.shown(record(["ankle", "hip"]), chosen)
    assert [each.key for each in found] == ["ankle_angle", "hip_angle"]
    assert all(each.sides == ("left", "right") for each in found)


def test_overview_has_range_reference_and_score(metrics: xr.Dataset) -> None:
    html = report.overview(metrics, report.shown(record(["elbow"]), None))
    assert "120°" in html
    assert "143°" in html  # the reference
    assert "91 %" in html  # 100 * 130 / 142.9
    # Each number once, and of the hidden side why it has none.
    heads = re.findall(r"scope='col'>([^<]*)<", html)
    assert heads == ["Movement", "From", "To", "Range", "Average", "Score"]
    assert re.search(r"10° <span.*130° <span.*120° <span", html)
    assert html.count("130°") == 1
    assert "Left elbow flexion <span class='interval'>× 2</span>" in html
    assert "not measured: elbow hidden from the camera in all frames" in html
    unknown = report.overview(metrics.assign(score=metrics["score"] * np.nan), [ELBOW])
    assert "Score" not in unknown


def test_an_extension_is_told_in_its_own_direction() -> None:
    time, curve = there_and_back(low=-4, high=100, times=2)
    bent = limb_pose(time, joints={"elbow": (96 - curve, 0.0)})
    metrics = joint_mobility(
        bent, joint_angles(bent), joints=("elbow",), movement="elbow_extension"
    )
    html = report.overview(metrics, [ELBOW])
    assert "Left elbow extension" in html
    assert re.search(r"−100° <span.*4° <span.*104° <span", html)
    assert "an extension is positive beyond straight" in html
    title = report.angle_figure(metrics, ELBOW).axes[0].get_title(loc="left")
    assert title == "Left elbow flexion"  # of which the curve is


def test_details_say_why_a_side_is_missing_and_escape_comments(metrics: xr.Dataset) -> None:
    chosen = config(["elbow_angle"], {"elbow_angle": "<b>Better</b>"})
    (elbow,) = report.shown(record(["elbow"]), chosen)
    html = report.details(metrics, elbow)
    assert "&lt;b&gt;Better&lt;/b&gt;" in html
    assert "Right: elbow hidden from the camera in all frames." in html
    (knee,) = report.shown(record(["knee"]), None)
    assert "Left and right: moved by less than 20 degrees." in report.details(metrics, knee)


def test_reference_table_names_the_study_and_whom_it_measured(metrics: xr.Dataset) -> None:
    elbow = report.shown(record(["elbow"]), None)
    html = report.reference_table(metrics, elbow)
    assert "knee" not in html
    assert "Left elbow: 109 healthy males" in html
    assert "Boone &amp; Azen 1979" in html
    assert "142.9° (mean, SD 5.6°)" in html
    assert "active motion" in html
    empty = metrics.assign_attrs(references="{}")
    assert "No published range" in report.reference_table(empty, elbow)


def test_movements_of_the_shown_joints_only(metrics: xr.Dataset) -> None:
    html = report.movement_table(metrics, report.shown(record(["elbow"]), None))
    assert html.count("Left elbow") == 2
    assert "No movement" in report.movement_table(metrics, report.shown(record(["knee"]), None))


def test_figure_shows_the_curve_the_range_and_what_was_refused(metrics: xr.Dataset) -> None:
    (elbow,) = report.shown(record(["elbow"]), None)
    figure = report.angle_figure(metrics, elbow)
    left, right = figure.axes
    curve = next(line for line in left.lines if len(line.get_xdata()) > 10)
    assert np.nanmax(curve.get_ydata()) == pytest.approx(130, abs=0.1)
    texts = [text.get_text() for text in left.texts]
    assert {"130°", "10°", "reference 143°"} <= set(texts)
    assert any(patch.get_hatch() for patch in right.patches)
    assert not any(patch.get_hatch() for patch in left.patches)
    assert any("not measured: elbow hidden" in text.get_text() for text in right.texts)
    assert png(figure) == png(report.angle_figure(metrics, elbow))
    one = report.Shown("left_elbow_angle", "elbow", ("left",))
    assert len(report.angle_figure(metrics, one).axes) == 1


def test_spans_of_missing_frames() -> None:
    time = np.arange(6) / 10
    rows = np.array([True, False, True, True, False, True])
    np.testing.assert_allclose(report._spans(rows, time), [(0.0, 0.1), (0.2, 0.4), (0.5, 0.5)])
    assert report._spans(np.zeros(0, bool), np.zeros(0)) == []


def test_posture_and_uncertainty(metrics: xr.Dataset) -> None:
    assert "standing" in report.posture(metrics)
    unclear = metrics.assign(posture_share=("posture", [0.0, 0.0, 0.0, 1.0]))
    assert "not told by what is in the picture" in report.posture(unclear)
    assert "table of errors" in report.uncertainty(metrics)
    time, curve = there_and_back(low=10, high=130, times=1)
    fitted = limb_pose(time, joints={"elbow": curve})
    fitted = fitted.assign(position_draws=fitted["position"].expand_dims(draw=2))
    assert "upper body alone" not in report.uncertainty(fitted)
    for knee in ("left_knee", "right_knee"):
        fitted["confidence"].loc[{"keypoint": knee}] = 0.2
    assert "elbow flexion 19°, shoulder flexion 11°" in report.uncertainty(fitted)


def document(azimuth: float | None, **outside: float) -> dict[str, Any]:
    return {
        "view": {
            "name": "left",
            "azimuth_deg": azimuth,
            "azimuth_sd_deg": 3.0,
            "supports": ["knee_flexion"],
            "does_not_support": ["hip_abduction"],
            "verdict": "poor",
            "advice": "Film from the front.",
        },
        "framing": {"outside": outside, "verdict": "unusable", "advice": "Show the feet."},
        "camera": {"moving": True, "verdict": "poor", "advice": "Put the camera on a stand."},
        "distance": {"distance_m": 1.2, "verdict": "poor", "advice": "Move back to 2.5 to 4 m."},
        "size": {"body_height_px": 50, "verdict": "unusable", "advice": "Move the camera nearer."},
    }


WHOLE = {"head": 0.0, "hands": 0.0, "feet": 0.0}


def test_a_recording_is_judged_from_the_view_of_the_movement(metrics: xr.Dataset) -> None:
    found = report.judged(document(-88.0, **WHOLE), metrics)["view"]
    assert (found["verdict"], found["advice"]) == ("ok", None)
    assert "does_not_support" not in found
    wide = metrics.assign(end_of_range_sd=metrics["end_of_range_sd"] * 0 + 6.0)
    found = report.judged(document(-10.0, **WHOLE), wide)["view"]
    assert found["verdict"] == "poor"
    assert found["advice"] == refusal_advice("elbow_flexion")
    # An arm held out to the side bends in the picture of a camera in front.
    narrow = metrics.assign(end_of_range_sd=metrics["end_of_range_sd"] * 0 + 5.0)
    assert report.judged(document(-10.0, **WHOLE), narrow)["view"]["verdict"] == "ok"
    assert report.judged(document(None, **WHOLE), wide)["view"]["verdict"] is None


def test_what_the_joint_does_not_need_does_not_count(metrics: xr.Dataset) -> None:
    close = document(-88.0, head=0.0, hands=0.0, feet=1.0)
    found = report.judged(close, metrics)
    assert not {"camera", "distance", "size"} & set(found)
    elbow = metrics.sel(joint=["elbow"])
    assert report.judged(close, elbow)["framing"]["verdict"] == "ok"
    assert "all that the joints need" in report.capture_quality(close, elbow)
    assert report.judged(close, metrics.sel(joint=["knee"]))["framing"]["verdict"] == "unusable"
    far = report.judged(document(-88.0, **WHOLE), elbow)
    assert far["distance"]["verdict"] == "ok"  # nearer than for a squat, and near enough
    near = document(-88.0, **WHOLE)
    near["distance"]["distance_m"] = 0.5
    advice = report.judged(near, elbow)["distance"]["advice"]
    assert advice == "Put the camera two to three metres away."
    assert far["camera"]["verdict"] == "poor"


def test_the_hand_that_counts_is_that_of_the_arm_that_bends(metrics: xr.Dataset) -> None:
    time, curve = there_and_back(low=10, high=130, times=2)
    pose = limb_pose(time, joints={"elbow": (curve, 20.0)})
    outside = document(-88.0, head=0.0, hands=1.0, feet=0.0)
    for side, verdict in (("right", "ok"), ("left", "unusable")):
        seen = pose.copy(deep=True)
        seen["image_position"].loc[{"keypoint": f"{side}_wrist"}] = -5.0
        found = report.judged(outside, metrics, seen)["framing"]
        assert found["verdict"] == verdict
        told = "Keep the left wrist in the picture, with some room around."
        assert found["advice"] == (told if side == "left" else None)
        assert ("left wrist" in {k for k, v in found["outside"].items() if v}) == (side == "left")


def test_nothing_measured_comes_first_with_how_to_film_it() -> None:
    time, curve = there_and_back(low=0, high=30, times=2)
    pose = limb_pose(time, lean=curve)
    metrics = joint_mobility(pose, joint_angles(pose), joints=("elbow",), movement="elbow_flexion")
    what, why, name = report.unmeasured(metrics)
    assert (what, name) == ("Elbow flexion was not measured.", "elbow_flexion")
    assert "oved by less than" in why
    html = trust_in_joints(document(0.0, **WHOLE), metrics, pose)
    assert html.startswith("<p class='trust unusable'><strong>Elbow flexion was not measured.")
    assert "is good" not in html
    assert "<svg" in html
    assert escape(refusal_advice("elbow_flexion")) in html


def test_one_joint_of_several_that_moved_is_enough(metrics: xr.Dataset) -> None:
    assert report.unmeasured(metrics) == ("", "", "")
    still = metrics.assign(movements=metrics["movements"] * 0)
    what, why, name = report.unmeasured(still)
    assert (what, name) == ("No joint was measured.", "")
    assert "eft and right knee: moved by less than 20 degrees" in why


def test_refusals_of_other_angles_are_left_out() -> None:
    texts = {
        "angle_refused": ["Knee flexion refused in 9%: x.", "Elbow flexion refused in 9%: x."],
        "joint_refused": [
            "Left and right knee are not measured: x.",
            "Right elbow is not measured: x.",
        ],
        "dark": ["Knee flexion refused in the dark."],
        "moving_camera": ["The camera moved."],
        "feet_out_of_picture": ["The feet are out of the picture."],
    }
    warnings = [Warned(code=code, message=text) for code in texts for text in texts[code]]
    kept = report.relevant(warnings, ["elbow_flexion"])
    assert [warning.message for warning in kept] == [
        "Elbow flexion is too uncertain in 9 % of the values, which are left out.",
        texts["joint_refused"][1],
        *texts["dark"],
        *texts["moving_camera"],
    ]
    near = report.relevant(warnings, ["elbow_flexion"], document(0.0, head=0, hands=0, feet=0.9))
    assert [warning.code for warning in near][2:] == ["dark"]
    legs = report.relevant(warnings, ["ankle_dorsiflexion"])
    assert legs[-1].code == "feet_out_of_picture"


def test_what_concerns_no_joint_that_moved_is_not_said(metrics: xr.Dataset) -> None:
    """The left elbow moves, the knees rest: feet and legs are nobody's business."""
    warnings = [
        Warned(code="feet_not_seen", message="The feet are hardly seen."),
        Warned(code="hands_out_of_picture", message="The hands are out of the picture."),
    ]
    names = ["knee_flexion", "elbow_flexion"]
    kept = report.relevant(warnings, names, None, metrics)
    assert [warning.code for warning in kept] == ["hands_out_of_picture"]
    still = metrics.assign(movements=metrics["movements"] * 0)
    assert len(report.relevant(warnings, names, None, still)) == 2
    # Where the landmarks of the elbow were checked, that says whether they are in the picture.
    assert report.relevant(warnings, names, document(-88.0, **WHOLE), metrics) == []
    seen = document(-88.0, head=0.0, hands=0.0, feet=0.0)
    seen["visibility"] = {"head": 1.0, "arms": 0.5, "trunk": 1.0, "legs": 0.1, "feet": 0.1}
    mended = {"arms": 0, "trunk": 0, "legs": 90}
    advice = "Check in the annotated video."
    seen["swaps"] = {"mended_frames": mended, "verdict": "unusable", "advice": advice}
    found = report.judged(seen, metrics)
    assert found["visibility"] == {"arms": 0.5, "trunk": 1.0}
    assert found["swaps"] == {
        "mended_frames": {"arms": 0, "trunk": 0}, "verdict": "ok", "advice": None
    }  # fmt: skip
    seen["swaps"]["mended_frames"] = mended | {"arms": 80}
    assert report.judged(seen, metrics)["swaps"]["verdict"] == "unusable"
    assert seen["visibility"]["legs"] == 0.1  # the document stays


def test_a_check_of_nothing_that_moved_is_absent() -> None:
    time, curve = there_and_back(low=10, high=100, times=2)
    pose = limb_pose(time, joints={"shoulder": (curve, 0.0)})
    metrics = joint_mobility(pose, joint_angles(pose), joints=("shoulder",))
    assert "framing" not in report.judged(document(-88.0, head=0.0, hands=0.0, feet=1.0), metrics)


RANGE = (132.0, 143.0, 154.0)


@pytest.mark.parametrize(
    ("value", "half", "ends", "compared", "said"),
    [
        (110, 8, RANGE, "less", "The right elbow bends to 110 ± 8 degrees, less far than usual"),
        (142, 8, RANGE, "usual", "The right elbow bends to 142 ± 8 degrees, as far as usual: men"),
        (163, 8, RANGE, "farther", "farther than usual: men reach 132 to 154."),
        (142, 12, RANGE, "close", "142 ± 12 degrees; men reach 132 to 154: too close to tell."),
        (110, 8, (np.nan, 143.0, np.nan), "below", "less than men reach on average (143)."),
        (142, 8, (np.nan, 143.0, np.nan), "near", "143 on average: no difference can be told."),
        (160, 8, (np.nan, 143.0, np.nan), "above", "more than men reach on average (143)."),
        (110, np.nan, RANGE, "unsure", "bends to 110 degrees. Its error is not known"),
        (110, 8, (np.nan, np.nan, np.nan), "none", "is not known here."),
    ],
)
def test_one_sentence_says_how_far_a_joint_goes(
    value: float, half: float, ends: tuple[float, ...], compared: str, said: str
) -> None:
    one = report.Reach("elbow", "right", "elbow_flexion", value, half, "men", *ends)
    assert one.compared == compared
    assert said in one.said
    # Of whom the study did not measure nothing is said but the value.
    if compared != "none":
        other = dataclasses.replace(one, note="the study measured males only")
        assert (other.compared, other.said.count(".")) == ("others", 1)
        assert "usual" not in other.said


@pytest.mark.parametrize(
    ("value", "said"),
    [(-5.2, "The left knee stays 5 ± 6 degrees short of straight"),
     (3.0, "The left knee stretches 3 ± 6 degrees beyond straight")],
)  # fmt: skip
def test_a_limb_that_stays_bent_is_short_of_straight(value: float, said: str) -> None:
    assert report.Reach("knee", "left", "knee_extension", value, 6.0).said.startswith(said)


def test_every_movement_and_every_comparison_has_its_sentence() -> None:
    words = tables.load("joint_sentences")
    assert set(words["reaches"]) == set(tables.load("movements"))
    assert set(words["compared"]) == set(report._COMPARED)
    assert {each["angle"] for each in tables.load("movements").values()} <= set(key_frames.DRAWN)
    studies = tables.load("reference_ranges")["studies"].values()
    assert all("people" in each for each in studies if each["kind"] in ("active", "weight_bearing"))


def test_whom_no_study_measured_is_not_compared(metrics: xr.Dataset) -> None:
    (one,) = report.reaches(metrics)
    assert (one.joint, one.side, one.movement) == ("elbow", "left", "elbow_flexion")
    assert one.people == "boys and men up to 54 years"
    assert one.value == pytest.approx(130, abs=0.5)
    # Boone & Azen: 142.9, standard deviation 5.6.
    assert (one.low, one.high) == pytest.approx((142.9 - 1.96 * 5.6, 142.9 + 1.96 * 5.6))
    text = report.in_words(metrics)
    assert "The left elbow bends to 130 ± " in text
    assert "Not measured: right elbow." in text
    assert "Did not move: left and right knee." in text
    assert "Not compared" not in text
    time, curve = there_and_back(low=10, high=130, times=2)
    pose = limb_pose(time, joints={"shoulder": curve, "elbow": curve})
    angles = joint_angles(pose)
    for sex, age, told in (
        ("female", 30, "left and right shoulder. Only boys and men up to 54 years were measured."),
        (None, None, "measured; this person&#x27;s sex and age are not known."),
    ):
        text = report.in_words(joint_mobility(pose, angles, joints=("shoulder",), sex=sex, age=age))
        assert "arm rises to 130 ± " in text
        assert told in text
        assert "usual" not in text
    adults = joint_mobility(pose, angles, joints=("elbow",), sex="female", age=30)
    assert {each.people for each in report.reaches(adults)} == {"adults"}


def test_at_most_three_joints_are_told_at_once() -> None:
    time, curve = there_and_back(low=10, high=130, times=2)
    pose = limb_pose(time, joints={"shoulder": curve, "elbow": curve, "knee": curve / 2, "hip": curve / 2})
    joints = ("shoulder", "elbow", "knee", "hip")
    found = joint_mobility(pose, joint_angles(pose), joints=joints)
    assert len({each.movement for each in report.reaches(found)}) > 3
    text = report.in_words(found)
    assert text.count("<li>") == len(report.gauges_of(found)) == 3
    *_, more = re.findall(r"More under All measures: ([^.]*)", text)
    assert set(more.split(", ")) < set(joints)


def test_gauges_have_the_range_of_such_people(metrics: xr.Dataset) -> None:
    (gauge,) = report.gauges_of(metrics)
    assert (gauge.name, list(gauge.values), gauge.told) == (
        "Elbow flexion",
        ["left"],
        "132 to 154°",
    )
    assert gauge.values["left"][1] == pytest.approx(
        1.96 * float(metrics["end_of_range_sd"].sel(joint="elbow", side="left"))
    )
    html = report.show_gauges(metrics)
    assert "shaded: 95 of 100 boys and men up to 54 years" in html
    assert html.count("class='usual'") == 1
    assert report.show_gauges(metrics.assign(movements=metrics["movements"] * 0)) == ""


def test_pictures_are_of_the_turn_that_is_reported(metrics: xr.Dataset) -> None:
    angles = joint_angles(limb_pose(metrics["time"].values))
    start, way, end = joint_moments(angles, metrics)
    assert [start.title, way.title, end.title] == ["Start", "On the way", "Farthest"]
    assert (end.angle, end.side, end.label) == ("elbow_flexion", "left", "elbow flexion")
    one = metrics.sel(joint="elbow", side="left")
    assert (end.value, end.sd) == (float(one["end_of_range"]), float(one["end_of_range_sd"]))
    assert np.interp(end.time, metrics["time"], one["angle"]) == pytest.approx(130, abs=2)
    assert start.value == pytest.approx(10, abs=8)
    assert way.value == pytest.approx(70, abs=25)
    assert joint_moments(angles, metrics.assign(movement_accepted=("movement", [False] * 2))) == []
    assert joint_moments(angles, metrics.isel(movement=[])) == []


def test_what_the_picture_shows_comes_first() -> None:
    """The elbow moves farther, but its arm points at the camera."""
    time, curve = there_and_back(low=10, high=130, times=2)
    pose = limb_pose(time, joints={"elbow": (curve, 0.0), "knee": (curve * 0.8, 0.0)})
    angles = joint_angles(pose)
    metrics = joint_mobility(pose, angles, joints=("elbow", "knee"))
    flat = pose.copy(deep=True)
    for part in ("elbow", "wrist"):
        flat["image_position"].loc[{"keypoint": f"left_{part}"}] = pose["image_position"].sel(
            keypoint="left_shoulder"
        ) + (30.0 if part == "elbow" else 60.0)
    for seen, first in ((pose, "elbow flexion"), (flat, "knee flexion")):
        labels = [each.label for each in joint_moments(angles, metrics, seen)]
        assert sorted(set(labels)) == ["elbow flexion", "knee flexion"]
        assert len(labels) == 3
        assert labels[0] == first


def test_what_is_drawn_is_the_angle_that_moved() -> None:
    """A leg that goes out sideways is measured in abduction, and the other is not drawn."""
    time, curve = there_and_back(low=10, high=130, times=2)
    pose = limb_pose(time, joints={"elbow": curve, "shoulder": (curve, 0.0)})
    metrics = joint_mobility(pose, joint_angles(pose), joints=("elbow", "shoulder"))
    shown = metrics["shown"].copy()
    shown.loc[{"joint": "elbow"}] = "elbow_extension"
    moments = joint_moments(joint_angles(pose), metrics.assign(shown=shown))
    assert len(moments) == 3
    assert {moment.title for moment in moments} == {"Farthest"}  # of three that moved
    assert {moment.label for moment in moments} == {"elbow extension", "shoulder flexion"}


def test_labels_stay_below_the_title(metrics: xr.Dataset) -> None:
    figure = report.angle_figure(metrics, report.Shown("e", "elbow", ("left",)))
    figure.draw_without_rendering()
    (axis,) = figure.axes
    boxes = [text.get_window_extent() for text in axis.texts]
    assert len(boxes) == 3
    assert max(box.y1 for box in boxes) <= axis.get_window_extent().y1
    texts = sorted(boxes, key=lambda box: box.y0)
    assert all(a.y1 <= b.y0 or a.x1 < b.x0 or b.x1 < a.x0 for a, b in pairwise(texts))


def test_a_neck_is_drawn_between_the_squares_to_shoulders_and_ears() -> None:
    """Shoulders level, ears tilted by 20 degrees: that is the angle in the picture."""
    points = np.full((len(INDEX), 2), np.nan)
    points[INDEX["left_shoulder"]], points[INDEX["right_shoulder"]] = (120, 100), (80, 100)
    tilt = np.radians(20)
    ear = 8 * np.array([np.cos(tilt), np.sin(tilt)])
    points[INDEX["left_ear"]], points[INDEX["right_ear"]] = (100, 70) + ear, (100, 70) - ear
    first, turn = key_frames._turn(points, "neck_lateral_flexion", "left")
    assert first == pytest.approx(-90)  # straight up
    assert turn == pytest.approx(20)
