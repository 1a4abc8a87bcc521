from __future__ import annotations

import dataclasses
import datetime
import json
import re
from html import escape
from typing import Any

import numpy as np
import pytest
import xarray as xr

from mobility import tables
from mobility.assessment.joint_mobility import joint_mobility
from mobility.assessment.joint_values import as_told
from mobility.assessment.movements import refusal_advice
from mobility.assessment.verdict import judge
from mobility.assessment.verdict_in_joints import judged, relevant, unmeasured
from mobility.documents.verdicts import marked
from mobility.kinematics.angles import joint_angles
from mobility.kinematics.skeleton import INDEX
from mobility.pipeline.metrics_table import metrics_table
from mobility.provenance import Warned
from mobility.reports import joint_mobility as report
from mobility.reports import key_frames
from mobility.reports.first_page import trust_in_joints
from mobility.reports.key_frames import joint_moments
from mobility.sessions.record import SessionRecord, StoredConfig, VideoFile
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
    told = [each.heading(xr.Dataset()) for each in found]
    assert told == ["Left elbow", "Knee"]
    assert found[0].heading(xr.Dataset(attrs={"sides_in_doubt": 1})) == "Left (?) elbow"


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
    assert "not measured: elbow is hidden from the camera in all frames" in html
    unknown = report.overview(metrics.assign(score=metrics["score"] * np.nan), [ELBOW])
    assert "Score" not in unknown
    # Other people have no average here.
    known = json.loads(metrics.attrs["references"])
    known["left_elbow"]["note"] = "the study measured males only"
    others = report.overview(metrics.assign_attrs(references=json.dumps(known)), [ELBOW])
    assert "143°" not in others


def test_an_extension_is_told_in_its_own_direction() -> None:
    time, curve = there_and_back(low=-4, high=100, times=2)
    bent = limb_pose(time, joints={"elbow": (96 - curve, 0.0)})
    metrics = joint_mobility(
        bent, joint_angles(bent), joints=("elbow",), movement="elbow_extension"
    )
    html = report.overview(metrics, [ELBOW])
    assert "Left elbow extension" in html
    assert re.search(r"−100° <span.*4° <span.*104° <span", html)
    assert "An extension beyond straight is positive" in html
    assert "Elbow flexion over the whole" in report.stills(metrics, [ELBOW])  # what the curve is of


def test_details_say_why_a_side_is_missing_and_escape_comments(metrics: xr.Dataset) -> None:
    chosen = config(["elbow_angle"], {"elbow_angle": "<script>alert(1)</script>"})
    (elbow,) = report.shown(record(["elbow"]), chosen)
    html = report.details(metrics, elbow)
    shown = report.commented(metrics, [elbow])
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown
    assert "<script" not in shown
    assert "Right: elbow is hidden from the camera in all frames." in html
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
    for number in (1, 2):  # as the line that counts them names what is left out
        assert re.search(rf"<t[dh][^>]*>{number}</t[dh]>\s*<td[^>]*>Left elbow", html)
    mixed = metrics.assign(movement_peak_velocity=metrics["movement_peak_velocity"] * np.nan)
    assert "nan" not in report.movement_table(mixed, report.shown(record(["elbow"]), None))
    assert "No movement" in report.movement_table(metrics, report.shown(record(["knee"]), None))


def test_what_has_values_is_drawn_over_time_each_joint_once(metrics: xr.Dataset) -> None:
    (elbow,) = report.shown(record(["elbow"]), None)
    html = report.stills(metrics, [elbow])
    assert html == report.stills(metrics, [elbow])  # byte for byte
    assert html.count("<img") == html.count("Elbow flexion over the whole recording") == 1
    left, right = (report.Shown("e", "elbow", (side,)) for side in ("left", "right"))
    assert report.stills(metrics, [left]).count("<img") == 1
    assert report.stills(metrics, [right]) == ""  # hidden from the camera


def test_posture_and_uncertainty(metrics: xr.Dataset) -> None:
    assert "standing" in report.posture(metrics)
    unclear = metrics.assign(posture_share=("posture", [0.0, 0.0, 0.0, 1.0]))
    assert "cannot be told from what is in the picture" in report.posture(unclear)
    assert "from a table that was measured on squats" in report.uncertainty(metrics)
    time, curve = there_and_back(low=10, high=130, times=1)
    fitted = limb_pose(time, joints={"elbow": curve})
    fitted = fitted.assign(position_draws=fitted["position"].expand_dims(draw=2))
    assert "rendered clips" not in report.uncertainty(fitted)
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
    found = judged(document(-88.0, **WHOLE), metrics)["view"]
    assert (found["verdict"], found["advice"]) == ("ok", None)
    assert "does_not_support" not in found
    wide = metrics.assign(end_of_range_sd=metrics["end_of_range_sd"] * 0 + 6.0)
    found = judged(document(-10.0, **WHOLE), wide)["view"]
    assert found["verdict"] == "poor"
    assert found["advice"] == refusal_advice("elbow_flexion")
    # An arm held out to the side bends in the picture of a camera in front.
    narrow = metrics.assign(end_of_range_sd=metrics["end_of_range_sd"] * 0 + 5.0)
    assert judged(document(-10.0, **WHOLE), narrow)["view"]["verdict"] == "ok"
    assert judged(document(None, **WHOLE), wide)["view"]["verdict"] is None


def test_a_view_is_good_where_the_limb_moves_in_the_plane_of_the_picture(
    metrics: xr.Dataset,
) -> None:
    """Arms held out sideways bend before a camera in front; one at the side looks along them."""
    wide = metrics.assign(end_of_range_sd=metrics["end_of_range_sd"] * 0 + 12.0)
    aside = wide.assign(plane=xr.full_like(wide["note"], "frontal"))
    in_front = aside.assign(off_picture=xr.full_like(wide["score"], 8.0))
    found = judged(document(-4.0, **WHOLE), in_front)["view"]
    assert (found["verdict"], found["advice"]) == ("ok", None)
    at_the_side = aside.assign(off_picture=xr.full_like(wide["score"], 80.0))
    found = judged(document(-88.0, **WHOLE), at_the_side)["view"]
    assert found["verdict"] == "poor"
    assert found["advice"].startswith("Film the elbow from the front: ")
    # A forearm that moves towards a camera in front, the arm hanging.
    hanging = at_the_side.assign(plane=xr.full_like(wide["note"], "sagittal"))
    found = judged(document(-4.0, **WHOLE), hanging)["view"]
    assert found["advice"].startswith("Film the elbow from the side: ")


def test_the_upper_body_is_enough_for_arms_that_move_in_the_picture(metrics: xr.Dataset) -> None:
    warned = [Warned("upper_body_only", "Only the upper body is in the picture.")]
    for off, told in ((8.0, []), (60.0, warned), (np.nan, warned)):
        moved = metrics.assign(off_picture=xr.full_like(metrics["score"], off))
        assert relevant(warned, ["elbow_flexion"], {}, moved) == told
    advice = judge(warned, metrics=metrics).what_to_do
    assert "head, hips and hand" in advice
    assert "whole body" not in advice


def test_what_the_joint_does_not_need_does_not_count(metrics: xr.Dataset) -> None:
    close = document(-88.0, head=0.0, hands=0.0, feet=1.0)
    found = judged(close, metrics)
    assert not {"camera", "distance", "size"} & set(found)
    elbow = metrics.sel(joint=["elbow"])
    assert judged(close, elbow)["framing"]["verdict"] == "ok"
    assert "all that the joints need" in report.capture_quality(close, elbow)
    assert judged(close, metrics.sel(joint=["knee"]))["framing"]["verdict"] == "unusable"
    far = judged(document(-88.0, **WHOLE), elbow)
    assert far["distance"]["verdict"] == "ok"  # nearer than for a squat, and near enough
    near = document(-88.0, **WHOLE)
    near["distance"]["distance_m"] = 0.5
    advice = judged(near, elbow)["distance"]["advice"]
    assert advice == "Put the camera two to three metres away."
    assert far["camera"]["verdict"] == "poor"


def test_the_hand_that_counts_is_that_of_the_arm_that_bends(metrics: xr.Dataset) -> None:
    time, curve = there_and_back(low=10, high=130, times=2)
    pose = limb_pose(time, joints={"elbow": (curve, 20.0)})
    outside = document(-88.0, head=0.0, hands=1.0, feet=0.0)
    for side, verdict in (("right", "ok"), ("left", "unusable")):
        seen = pose.copy(deep=True)
        seen["image_position"].loc[{"keypoint": f"{side}_wrist"}] = -5.0
        found = judged(outside, metrics, seen)["framing"]
        assert found["verdict"] == verdict
        told = "Keep the left wrist in the picture, with some room around."
        assert found["advice"] == (told if side == "left" else None)
        assert ("left wrist" in {k for k, v in found["outside"].items() if v}) == (side == "left")


def test_nothing_measured_comes_first_with_how_to_film_it() -> None:
    time, curve = there_and_back(low=0, high=30, times=2)
    pose = limb_pose(time, lean=curve)
    metrics = joint_mobility(pose, joint_angles(pose), joints=("elbow",), movement="elbow_flexion")
    what, why, name = unmeasured(metrics)
    assert (what, name) == ("Elbow flexion was not measured.", "elbow_flexion")
    assert "oved by less than" in why
    html = trust_in_joints(document(0.0, **WHOLE), metrics, pose)
    assert html.startswith("<p class='trust unusable'><strong>Unusable recording.</strong> Elbow")
    assert "Elbow flexion was not measured." in html
    assert "<svg" in html
    assert escape(refusal_advice("elbow_flexion")) in html


def test_one_joint_of_several_that_moved_is_enough(metrics: xr.Dataset) -> None:
    assert unmeasured(metrics) == ("", "", "")
    still = metrics.assign(movements=metrics["movements"] * 0)
    what, why, name = unmeasured(still)
    assert (what, name) == ("No joint was measured.", "")
    assert "eft and right knee: moved by less than 20 degrees" in why


def test_refusals_of_other_angles_are_left_out() -> None:
    refused = [
        tables.warning("warnings.angle_refused", name=f"{joint}_flexion", angle=joint, **told)
        for joint in ("knee", "elbow")
        for told in [{"share": 0.09, "limit": "± 9°"}]
    ]
    unmeasured = [
        tables.warning("warnings.joint_refused.one", side="Right", joint=joint, reason="x")
        for joint in ("knee", "elbow")
    ]
    warnings = [Warned(**warning) for warning in refused + unmeasured]
    codes = ("dark", "moving_camera", "feet_out_of_picture")
    # Of older code, which kept no values: nobody can tell of which angle it is.
    warnings += [Warned("angle_refused", "Knee: x."), *(Warned(code, "") for code in codes)]
    kept = relevant(warnings, ["elbow_flexion"])
    assert [warning.message for warning in kept] == [
        "elbow: 9 % of its values are left out, because their error is above ± 9°.",
        "Right elbow is not measured: x.",
        "Knee: x.",
        *["", ""],
    ]
    near = relevant(warnings, ["elbow_flexion"], document(0.0, head=0, hands=0, feet=0.9))
    assert [warning.code for warning in near][3:] == ["dark"]
    page = report.sureness(warnings, xr.Dataset(), ["elbow_flexion"])
    assert re.findall("<li>(.*?)</li>", page) == [warning.message for warning in kept]
    legs = relevant(warnings, ["ankle_dorsiflexion"])
    assert legs[-1].code == "feet_out_of_picture"


def test_what_concerns_no_joint_that_moved_is_not_said(metrics: xr.Dataset) -> None:
    """The left elbow moves, the knees rest: feet and legs are nobody's business."""
    warnings = [
        Warned(code="feet_not_seen", message="The feet are hardly seen."),
        Warned(code="hands_out_of_picture", message="The hands are out of the picture."),
    ]
    names = ["knee_flexion", "elbow_flexion"]
    kept = relevant(warnings, names, None, metrics)
    assert [warning.code for warning in kept] == ["hands_out_of_picture"]
    still = metrics.assign(movements=metrics["movements"] * 0)
    assert len(relevant(warnings, names, None, still)) == 2
    # Where the landmarks of the elbow were checked, that says whether they are in the picture.
    assert relevant(warnings, names, document(-88.0, **WHOLE), metrics) == []
    seen = document(-88.0, head=0.0, hands=0.0, feet=0.0)
    seen["visibility"] = {"head": 1.0, "arms": 0.5, "trunk": 1.0, "legs": 0.1, "feet": 0.1}
    mended = {"arms": 0, "trunk": 0, "legs": 90}
    advice = "Check in the annotated video."
    seen["swaps"] = {"mended_frames": mended, "verdict": "unusable", "advice": advice}
    found = judged(seen, metrics)
    assert found["visibility"] == {"arms": 0.5, "trunk": 1.0}
    assert found["swaps"] == {
        "mended_frames": {"arms": 0, "trunk": 0}, "verdict": "ok", "advice": None
    }  # fmt: skip
    seen["swaps"]["mended_frames"] = mended | {"arms": 80}
    assert judged(seen, metrics)["swaps"]["verdict"] == "unusable"
    assert seen["visibility"]["legs"] == 0.1  # the document stays


def test_a_check_of_nothing_that_moved_is_absent() -> None:
    time, curve = there_and_back(low=10, high=100, times=2)
    pose = limb_pose(time, joints={"shoulder": (curve, 0.0)})
    metrics = joint_mobility(pose, joint_angles(pose), joints=("shoulder",))
    assert "framing" not in judged(document(-88.0, head=0.0, hands=0.0, feet=1.0), metrics)


RANGE = (132.0, 143.0, 154.0)


@pytest.mark.parametrize(
    ("value", "half", "ends", "compared", "said"),
    [
        (110, 8, RANGE, "less", "The right elbow bends to 110 ± 8 degrees, less far than usual"),
        (142, 8, RANGE, "usual", "The right elbow bends to 142 ± 8 degrees, as far as usual: men"),
        (163, 8, RANGE, "farther", "farther than usual: men reach 132 to 154."),
        (135, 8, RANGE, "close", "135 ± 8 degrees; men reach 132 to 154: too close to tell."),
        # The interval is wider than the range of the people.
        (112, 34, RANGE, "uncertain", "men reach 132 to 154: too uncertain to compare."),
        (60, 34, RANGE, "less", "The right elbow bends to 60 ± 34 degrees, less far than usual"),
        (110, 8, (np.nan, 143.0, np.nan), "below", "less than men reach on average (143)."),
        (142, 8, (np.nan, 143.0, np.nan), "near", "143 on average: no difference can be told."),
        (160, 8, (np.nan, 143.0, np.nan), "above", "more than men reach on average (143)."),
        (110, np.nan, RANGE, "unsure", "bends to 110 degrees. Its error is not known"),
        (
            110,
            8,
            (np.nan, np.nan, np.nan),
            "none",
            "There is no norm: no published range is of the same angle.",
        ),
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
    [(-25.2, "The left knee stays 25 ± 6 degrees short of straight"),
     (8.0, "The left knee stretches 8 ± 6 degrees beyond straight"),
     (3.0, "Whether the left knee stretches beyond straight cannot be told (3 ± 6 degrees)"),
     (6.2, "Whether the left knee stretches beyond straight cannot be told (6 ± 6 degrees)"),
     (-5.2, "Whether the left knee stretches beyond straight cannot be told (−5 ± 6 degrees)")],
)  # fmt: skip
def test_a_limb_that_stays_bent_is_short_of_straight(value: float, said: str) -> None:
    assert report.Reach("knee", "left", "knee_extension", value, 6.0).said.startswith(said)


def test_every_movement_and_every_comparison_has_its_sentence() -> None:
    words = tables.load("sentences_joints")
    assert set(words["reaches"]) == {"other", *tables.load("movements")}
    assert set(words["compared"]) == set(report._COMPARED)
    assert {each["angle"] for each in tables.load("movements").values()} <= set(key_frames.DRAWN)
    studies = tables.load("reference_ranges")["studies"].values()
    assert all("people" in each for each in studies if each["kind"] in ("active", "weight_bearing"))


def test_how_far_is_not_told_with_an_error_of_more_than_thirty_degrees(
    metrics: xr.Dataset,
) -> None:
    limit = tables.load("angles")["knee_flexion"]["refused"]["largest_sd_deg"]
    known = metrics.copy(deep=True)
    known["end_of_range_sd"][:] = 0.98 * limit
    assert report.gauges_of(known)
    assert "bends to" in report.in_words(known)
    assert "±" in report.reached(known)[0]
    known["end_of_range_sd"][:] = 17.4
    said = report.in_words(known)
    assert "Left elbow flexion: how far it goes cannot be told (± 34 degrees)." in said
    assert "130" not in said
    assert report.gauges_of(known) == []
    elbow = [report.Shown("left_elbow_angle", "elbow", ("left",))]
    table = report.overview(known, elbow)
    assert "how far cannot be told (± 34°)" in table
    assert "130" not in table
    assert "10°" in table  # where it begins is told
    # As the document and the table of the metrics have it.
    rows = metrics_table(known).to_pandas().query("item == 'elbow' and side == 'left'")
    values, reasons = (rows.set_index("metric")[name] for name in ("value", "reason"))
    assert values["minimum"] == pytest.approx(10, abs=0.5)
    for name in ("maximum", "range_of_motion", "end_of_range"):
        assert np.isnan(values[name])
        assert reasons[name].startswith("how far cannot be told (± 34°)")
    assert np.isnan(as_told(known)["movement_extreme"]).sum() == 2
    assert report.reached(known) == ["left elbow flexion (how far cannot be told)"]
    # Nor is a turn, how fast it went there, or by how much such turns change.
    assert report.movement_table(known, elbow).count("cannot be told") == 4
    assert "130°" not in report.movement_table(known, elbow)
    many = known.assign(detectable_change=xr.full_like(known["maximum"], 9.0))
    change = "<td data-head='Least change'>9°</td>"
    assert change not in report.speeds(many, elbow)
    many["end_of_range_sd"][:] = 5.0
    assert "130°" in report.movement_table(many, elbow)
    assert change in report.speeds(many, elbow)


def test_of_a_movement_without_a_name_no_angle_is_told(metrics: xr.Dataset) -> None:
    """Nobody knows in which plane it goes, and so not by which angle."""
    elbow = [report.Shown("left_elbow_angle", "elbow", ("left",))]
    place = {"joint": "elbow", "side": "left"}
    unnamed = metrics.copy(deep=True)
    unnamed["shown"] = unnamed["shown"].astype(object)
    unnamed["shown"].loc[place] = ""
    for name in ("end_of_range", "end_of_range_sd"):
        unnamed[name].loc[place] = np.nan
    assert "which movement it is cannot be told" in report.overview(unnamed, elbow)
    assert "Which movement it is cannot be told: left elbow." in report.in_words(unnamed, elbow)
    assert report.reached(unnamed)[0] == "left elbow (which movement it is cannot be told)"
    assert report.speeds(unnamed, elbow) == ""
    told = [report.overview(unnamed, elbow), report.movement_table(unnamed, elbow)]
    assert not any("130" in text or "10°" in text for text in told)
    found = as_told(unnamed)
    assert found["maximum"].sel(place).isnull()
    assert found["minimum"].sel(place).isnull()
    of = (found["movement_joint"] == "elbow") & (found["movement_side"] == "left")
    for name in ("rest", "extreme", "peak_velocity", "mean_velocity"):
        assert found[f"movement_{name}"].where(of, drop=True).isnull().all()
        assert metrics[f"movement_{name}"].where(of, drop=True).notnull().any()


def test_what_is_hardly_seen_is_not_said_to_rest(metrics: xr.Dataset) -> None:
    knee = [report.Shown("left_knee_angle", "knee", ("left",))]
    place = {"joint": "knee", "side": "left"}
    rests = metrics.copy(deep=True)
    rests["movements"].loc[place] = 0
    gone = rests["movement_joint"] == "knee"
    rests["movement_reason"] = rests["movement_reason"].where(
        ~gone, tables.sentence("reasons.movement.rests")
    )
    for share, said in (
        (0.2, "Did not move"),
        (0.6, "Whether it moved cannot be told"),
        (1.0, "Not measured"),
    ):
        rests["refused_share"].loc[place] = share
        assert f"{said}: left knee." in report.in_words(rests, knee)


def test_a_side_in_doubt_has_a_question_mark_wherever_it_is_named(metrics: xr.Dataset) -> None:
    swaps = {"swaps": {"verdict": "poor", "advice": "", "mended_frames": {"legs": 20}}}
    verdict = judge([], swaps, metrics)
    assert verdict.sides_in_doubt
    assert not judge([], {"swaps": {"verdict": "ok", "advice": None}}, metrics).sides_in_doubt
    doubted = marked(metrics, verdict)
    chosen = report.shown(record(["elbow", "knee"]), None)
    texts = [
        *(report.overview(doubted, chosen), report.in_words(doubted), *report.reached(doubted)),
        *(report.movement_table(doubted, chosen), report.details(doubted, chosen[0])),
        report.speeds(doubted, chosen),
        *(
            report.reference_table(doubted, chosen),
            report.Shown("", "", ("left",)).heading(doubted),
        ),
        key_frames.Moment("Start", 0.0, side="left", value=5.0, label="knee", doubt=True).caption,
    ]
    for text in texts:
        named = re.findall(r"\b(?:[Ll]eft|[Rr]ight)\b(?! and)(.{4})", text)
        assert named
        assert set(named) == {" (?)"}
    assert "Left and right may be exchanged" in report.show_gauges(doubted)
    assert "(?)" not in report.overview(marked(metrics, judge([])), chosen)


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
        ("female", 30, "left and right shoulder: only boys and men up to 54 years were measured."),
        (None, None, "men up to 54 years, and the sex and age of this person are not known."),
    ):
        found = joint_mobility(pose, angles, joints=("shoulder",), sex=sex, age=age)
        text = report.in_words(found)
        assert {each.told for each in report.gauges_of(found)} == {"not compared with a norm"}
        assert "arm rises to 130 ± " in text
        assert told in text
        assert "usual" not in text
    adults = joint_mobility(pose, angles, joints=("elbow",), sex="female", age=30)
    assert {each.people for each in report.reaches(adults)} == {"adults"}


def test_left_against_right_comes_first_with_its_error() -> None:
    time, curve = there_and_back(low=10, high=130, times=2)
    pose = limb_pose(time, joints={"elbow": (curve, 0.8 * curve + 10), "knee": curve / 2})
    found = joint_mobility(pose, joint_angles(pose), joints=("elbow", "knee"))
    found["side_difference_sd"] = ("joint", [4.0, 3.0])
    text = report.in_words(found)
    told = "<li>Elbow flexion: the left side goes 16 ± 8 degrees farther than the right.</li>"
    assert text.startswith(f"<ul>{told}")
    assert "No difference between left and right can be told: knee flexion (0 ± 6°)." in text
    chosen = report.shown(record(["elbow", "knee"]), None)
    assert "Right − left elbow flexion" in report.overview(found, chosen)
    assert "−16°" in report.overview(found, chosen)
    mirrored = found.assign(side_difference=-found["side_difference"])
    assert "the right side goes 16 ± 8 degrees farther" in report.in_words(mirrored)
    # Of a side that is not told, not chosen, or in doubt, and in metrics of older code.
    untold = found.copy(deep=True)
    untold["end_of_range_sd"].loc[{"side": "left"}] = 20.0
    assert np.isnan(as_told(untold)["side_difference"]).all()
    one_side = report.shown(record(["elbow"]), config(["left_elbow_angle"]))
    older = found.drop_vars(["side_difference", "side_difference_sd"])
    doubted = marked(
        found,
        judge([Warned("models_contradict", "Left and right may be exchanged.")], metrics=found),
    )
    assert not report.differences(untold)
    assert not report.differences(found, one_side)
    assert not report.differences(older)
    assert not report.differences(doubted)


@pytest.mark.parametrize(
    ("value", "half", "said"),
    [
        (5.4, 5.3, "can be told: elbow flexion (5 ± 5°)."),
        (-0.3, 5.3, "can be told: elbow flexion (0 ± 5°)."),
        (-5.4, 5.3, "can be told: elbow flexion (−5 ± 5°)."),
        (-5.6, 5.3, "Elbow flexion: the left side goes 6 ± 5 degrees farther than the right."),
    ],
)
def test_a_difference_is_told_where_it_is_shown_to_exceed_its_error(
    monkeypatch, value, half, said
) -> None:
    one = report.Difference("elbow flexion", value, half)
    monkeypatch.setattr(report, "differences", lambda *_: [one])
    (text,) = report._compared(xr.Dataset(), [])
    assert text.endswith(said)


def test_at_most_three_joints_are_told_at_once() -> None:
    time, curve = there_and_back(low=10, high=130, times=2)
    moving = {"shoulder": curve, "elbow": curve, "knee": curve / 2, "hip": curve / 2}
    pose = limb_pose(time, joints=moving)
    joints = ("shoulder", "elbow", "knee", "hip")
    found = joint_mobility(pose, joint_angles(pose), joints=joints)
    assert len({each.movement for each in report.reaches(found)}) > 3
    text = report.in_words(found)
    assert len(re.findall("<li>The (?:left|right)", text)) == len(report.gauges_of(found)) == 3
    # Left against right comes first, in one line where nothing differs.
    assert text.startswith("<ul><li>No difference between left and right can be told: shoulder")
    (more,) = re.findall(r"Also measured: ([^.]*)", text)
    told = {each.name for each in report.reaches(found)}
    assert told - {"shoulder flexion"} >= {
        part.partition("left and right ")[2] for part in more.split(", ")
    } - {""}
    # What no sentence comes to, and cannot be told, was not measured.
    found["end_of_range_sd"].loc[{"joint": "elbow"}] = 17.4
    text = report.in_words(found)
    assert "How far it goes cannot be told: left and right elbow flexion." in text
    assert "elbow" not in re.findall(r"Also measured: ([^.]*)", text)[0]


def test_the_first_page_has_the_angles_that_were_chosen_in_their_order() -> None:
    time, curve = there_and_back(low=10, high=130, times=2)
    pose = limb_pose(time, joints={"elbow": curve, "knee": curve / 2, "hip": curve / 2})
    found = joint_mobility(pose, joint_angles(pose), joints=("elbow", "knee", "hip"))
    chosen = report.shown(
        record(["elbow", "knee", "hip"]), config(["left_knee_angle", "elbow_angle"])
    )
    known = [("knee", "left"), ("elbow", "left"), ("elbow", "right")]
    assert [(each.joint, each.side) for each in report.reaches(found, chosen)] == known
    assert [each.name for each in report.gauges_of(found, chosen)] == [
        "Knee flexion",
        "Elbow flexion",
    ]
    text = report.in_words(found, chosen)
    assert "hip" not in text
    assert "right knee" not in text


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
    assert "Shaded: 95 of 100 boys and men up to 54 years" in html
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


def test_a_neck_is_drawn_between_the_squares_to_shoulders_and_ears() -> None:
    """Shoulders level, ears tilted by 20 degrees: that is the angle in the picture."""
    points = np.full((len(INDEX), 2), np.nan)
    points[INDEX["left_shoulder"]], points[INDEX["right_shoulder"]] = (120, 100), (80, 100)
    tilt = np.radians(20)
    ear = 8 * np.array([np.cos(tilt), np.sin(tilt)])
    points[INDEX["left_ear"]], points[INDEX["right_ear"]] = (
        np.array([100, 70]) + ear,
        np.array([100, 70]) - ear,
    )
    first, turn = key_frames._turn(points, "neck_lateral_flexion", "left")
    assert first == pytest.approx(-90)  # straight up
    assert turn == pytest.approx(20)
