from __future__ import annotations

import datetime

import numpy as np
import pytest
import xarray as xr

from mobility.assessment.joint_mobility import joint_mobility
from mobility.kinematics.angles import joint_angles
from mobility.reports import joint_mobility as report
from mobility.sessions.record import SessionRecord, StoredConfig, VideoFile, Warned
from mobility.reports.figures import png
from tests.limbs import limb_pose, there_and_back


@pytest.fixture(scope="module")
def metrics() -> xr.Dataset:
    """The left elbow bends by 120 degrees, the right one is hidden; a man of 30."""
    time, curve = there_and_back(low=10, high=130, times=2)
    pose = limb_pose(time, joints={"elbow": (curve, 20.0)})
    pose["confidence"].loc[{"keypoint": "right_elbow"}] = 0.1
    angles = joint_angles(pose)
    return joint_mobility(pose, angles, joints=("knee", "elbow"), sex="male", age=30)


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
    assert html.count("class='missing'") == 6  # the hidden side: five values and no reference


def test_details_say_why_a_side_is_missing_and_escape_comments(metrics: xr.Dataset) -> None:
    chosen = config(["elbow_angle"], {"elbow_angle": "<b>Better</b>"})
    (elbow,) = report.shown(record(["elbow"]), chosen)
    html = report.details(metrics, elbow)
    assert "&lt;b&gt;Better&lt;/b&gt;" in html
    assert "Right: elbow hidden from the camera in 100% of the frames." in html
    (knee,) = report.shown(record(["knee"]), None)
    assert "Left: not moved by 20 degrees." in report.details(metrics, knee)


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
    assert "standing 100%" in report.posture(metrics)
    assert "table of errors" in report.uncertainty(metrics)
    time, curve = there_and_back(low=10, high=130, times=1)
    fitted = limb_pose(time, joints={"elbow": curve})
    fitted = fitted.assign(position_draws=fitted["position"].expand_dims(draw=2))
    assert "upper body alone" not in report.uncertainty(fitted)
    for knee in ("left_knee", "right_knee"):
        fitted["confidence"].loc[{"keypoint": knee}] = 0.2
    assert "elbow flexion 19°, shoulder flexion 11°" in report.uncertainty(fitted)


def judged(azimuth: float | None, outside: dict[str, float], joints: list[str]) -> str:
    document = {
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
    }
    return report.capture_quality(document, joints)


def test_the_side_is_the_best_view_here() -> None:
    inside = {"head": 0.0, "hands": 0.0, "feet": 0.9}
    html = judged(-88.0, inside, ["knee"])
    assert "Film from the front" not in html
    assert "does not support" not in html
    assert "Show the feet." in html
    assert "measured best from the side" in judged(-10.0, inside, ["knee"])


def test_without_a_leg_the_feet_may_be_outside() -> None:
    html = judged(None, {"head": 0.0, "hands": 0.0, "feet": 1.0}, ["elbow"])
    assert "Show the feet." not in html
    assert "Film the whole body" not in html
    assert "all in the picture" in html
    assert "Show the feet." in judged(None, {"head": 0.5, "hands": 0.0, "feet": 1.0}, ["elbow"])
    assert "Film the whole body" in judged(None, {"head": 0.0, "hands": 0.0, "feet": 0.0}, ["hip"])


def test_refusals_of_other_angles_are_left_out() -> None:
    texts = {
        "angle_refused": ["Knee flexion refused in 9%: x.", "Elbow flexion refused in 9%: x."],
        "joint_refused": ["Left knee is not measured: x.", "Right elbow is not measured: x."],
        "dark": ["Knee flexion refused in the dark."],
    }
    warnings = [Warned(code=code, message=text) for code in texts for text in texts[code]]
    kept = report.relevant(warnings, ["elbow_flexion"])
    assert [warning.message for warning in kept] == [
        texts["angle_refused"][1],
        texts["joint_refused"][1],
        *texts["dark"],
    ]
