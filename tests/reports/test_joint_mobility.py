from __future__ import annotations

import datetime
import re
from html import escape
from typing import Any

import numpy as np
import pytest
import xarray as xr

from mobility.assessment.joint_mobility import joint_mobility
from mobility.assessment.movements import refusal_advice
from mobility.kinematics.angles import joint_angles
from mobility.reports import joint_mobility as report
from mobility.sessions.record import SessionRecord, StoredConfig, VideoFile, Warned
from mobility.reports.figures import png
from mobility.reports.first_page import trust_in_joints
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
    assert heads == ["Movement", "From", "To", "Range", "Usual", "Score"]
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
    assert "Left knee" not in html
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
    legs = report.relevant(warnings, ["knee_flexion"])
    assert legs[-1].code == "feet_out_of_picture"
