from __future__ import annotations

import dataclasses
import json
import re
from html import escape, unescape
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import xarray as xr
from demo_sessions import record

from mobility import tables
from mobility.assessment.movements import refusal_advice
from mobility.assessment.number import Number, reason_missing
from mobility.assessment.verdict import judge
from mobility.base.provenance import AnalysisWarning
from mobility.documents.lab_references import (
    Conditions,
    LabReferences,
    Norm,
    Norms,
    RetestError,
    RetestErrors,
)
from mobility.exercises.joint_angle_mobility import joint_sections as report
from mobility.exercises.joint_angle_mobility.courses import Course
from mobility.exercises.joint_angle_mobility.joint_mobility import joint_mobility
from mobility.exercises.joint_angle_mobility.joint_sections import trust_in_joints
from mobility.exercises.joint_angle_mobility.joint_values import opposite_of, without_uncertain_ends
from mobility.exercises.joint_angle_mobility.joint_verdict import (
    applicable_warnings,
    quality_for_joints,
    unmeasured,
    with_side_doubt,
)
from mobility.exercises.joint_angle_mobility.page import joint_moments
from mobility.kinematics.angles import joint_angles
from mobility.kinematics.skeleton import INDEX
from mobility.pipeline.metrics_table import metrics_table
from mobility.reports import key_frames
from mobility.reports.drawn_angles import DRAWN, turn_of
from mobility.sessions.record import StoredConfig, now
from mobility.store import Store
from tests.analytic import minimum_jerk
from tests.limbs import limb_pose, there_and_back


def moved(
    joints: dict[str, Any], times: int = 2, *, low: float = 10, high: float = 130, **options: Any
) -> tuple[xr.Dataset, xr.Dataset, xr.Dataset]:
    """Pose, angles and metrics of joints that move so, each given of the curve of a limb."""
    time, curve = there_and_back(low=low, high=high, times=times)
    pose = limb_pose(time, joints={name: of(curve) for name, of in joints.items()})
    angles = joint_angles(pose)
    return pose, angles, joint_mobility(pose, angles, **{"joints": tuple(joints), **options})


def both(curve: Any) -> Any:
    """The same curve on both sides."""
    return curve


def half(curve: Any) -> Any:
    """Half of it."""
    return curve / 2


def left_only(curve: Any) -> tuple[Any, float]:
    """The right one rests."""
    return curve, 0.0


@pytest.fixture(scope="module")
def metrics() -> xr.Dataset:
    """The left elbow bends by 120 degrees, the right one is hidden; a man of 30."""
    time, curve = there_and_back(low=10, high=130, times=2)
    pose = limb_pose(time, joints={"elbow": (curve, 20.0)})
    pose["confidence"].loc[{"keypoint": "right_elbow"}] = 0.1
    angles = joint_angles(pose)
    return joint_mobility(pose, angles, joints=("knee", "elbow"), sex="male", age=30)


ELBOW = report.Shown("elbow_angle", "elbow", ("left", "right"))


def config(shown: list[str], comments: dict[str, str] | None = None) -> StoredConfig:
    return StoredConfig(shown_angles=shown, comments=comments or {}, revision=1)


def test_chosen_angles_in_the_chosen_order_with_their_comments() -> None:
    chosen = config(["left_elbow_angle", "knee_angle"], {"knee_angle": "Stiff."})
    first, second = report.shown(record(joints=["knee", "elbow"]), chosen)
    assert (first.joint, first.sides, first.comment) == ("elbow", ("left",), "")
    assert (second.joint, second.sides, second.comment) == ("knee", ("left", "right"), "Stiff.")
    assert [each.heading(xr.Dataset()) for each in (first, second)] == ["Left elbow", "Knee"]
    assert first.heading(xr.Dataset(attrs={"sides_in_doubt": 1})) == "Left (?) elbow"
    for none in (None, config([])):
        every = report.shown(record(joints=["ankle", "hip"]), none)
        assert [each.key for each in every] == ["ankle_angle", "hip_angle"]
        assert all(each.sides == ("left", "right") for each in every)


def test_overview_has_range_reference_and_score(metrics: xr.Dataset) -> None:
    html = report.overview(metrics, report.shown(record(joints=["elbow"]), None))
    assert "120°" in html
    assert "143°" in html  # the reference
    assert "91 %" in html  # 100 * 130 / 142.9
    # Each number once, and of the hidden side why it has none.
    heads = re.findall(r'scope="col">([^<]*)<', html)
    assert heads == ["Movement", "From", "To", "Range", "Average", "Score"]
    assert re.search(r"10° <span.*130° <span.*120° <span", html)
    assert html.count("130°") == 1
    assert 'Left elbow flexion <span class="interval">× 2</span>' in html
    assert "not measured: elbow is hidden from the camera in all frames" in html
    unknown = report.overview(metrics.assign(score=metrics["score"] * np.nan), [ELBOW])
    assert "Score" not in unknown
    # Other people have no average here.
    references = json.loads(metrics.attrs["references"])
    references["left_elbow"]["note"] = "the study measured males only"
    others = report.overview(metrics.assign_attrs(references=json.dumps(references)), [ELBOW])
    assert "143°" not in others


def test_an_extension_is_told_in_its_own_direction() -> None:
    *_, metrics = moved(
        {"elbow": lambda curve: (96 - curve, 0.0)}, low=-4, high=100, movement="elbow_extension"
    )
    html = report.overview(metrics, [ELBOW])
    assert "Left elbow extension" in html
    assert re.search(r"−100° <span.*4° <span.*104° <span", html)
    assert "Extension beyond straight is positive" in html
    assert "Elbow flexion over the whole" in report.stills(metrics, [ELBOW])  # what the curve is of


def test_details_movements_and_reference_of_the_joints_that_are_shown(metrics: xr.Dataset) -> None:
    chosen = config(["elbow_angle"], {"elbow_angle": "<script>alert(1)</script>"})
    (elbow,) = report.shown(record(joints=["elbow"]), chosen)
    (knee,) = report.shown(record(joints=["knee"]), None)
    comment = report.commented(metrics, [elbow])
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in comment
    assert "<script" not in comment
    html = report.details(metrics, elbow)
    assert "Right: elbow is hidden from the camera in all frames." in html
    assert "Left and right: moved by less than 20 degrees." in report.details(metrics, knee)

    html = report.reference_table(metrics, [elbow])
    assert "knee" not in html
    assert "142.9° (mean, SD 5.6°)" in html

    html = report.movement_table(metrics, [elbow])
    assert html.count("Left elbow") == 2
    mixed = metrics.assign(movement_peak_velocity=metrics["movement_peak_velocity"] * np.nan)
    assert "nan" not in report.movement_table(mixed, [elbow])
    assert "No movement" in report.movement_table(metrics, [knee])

    left, right = (report.Shown("e", "elbow", (side,)) for side in ("left", "right"))
    assert report.stills(metrics, [left]).count("<img") == 1
    assert report.stills(metrics, [right]) == ""  # hidden from the camera


def document(azimuth: float | None, **outside: float) -> dict[str, Any]:
    view = {"name": "left", "azimuth_deg": azimuth, "azimuth_sd_deg": 3.0, "verdict": "poor"}
    supports = {"supports": ["knee_flexion"], "does_not_support": ["hip_abduction"]}
    return {
        "view": {**view, **supports, "advice": "Film from the front."},
        "framing": {"outside": outside, "verdict": "unusable", "advice": "Show the feet."},
        "camera": {"moving": True, "verdict": "poor", "advice": "Put the camera on a stand."},
        "distance": {"distance_m": 1.2, "verdict": "poor", "advice": "Move back to 2.5 to 4 m."},
        "size": {"body_height_px": 50, "verdict": "unusable", "advice": "Move the camera nearer."},
    }


WHOLE = {"head": 0.0, "hands": 0.0, "feet": 0.0}


def test_a_recording_is_judged_from_the_view_of_the_movement(metrics: xr.Dataset) -> None:
    def view(azimuth: float | None, sd: float | None = None, **given: Any) -> dict[str, Any]:
        note = metrics["note"]
        changed = {name: (note.dims, np.full(note.shape, value)) for name, value in given.items()}
        seen = metrics.assign(changed)
        if sd is not None:
            seen = seen.assign(end_of_range_sd=metrics["end_of_range_sd"] * 0 + sd)
        return quality_for_joints(document(azimuth, **WHOLE), seen)["view"]

    seen = view(-88.0)
    assert (seen["verdict"], seen["advice"]) == ("ok", None)
    assert "does_not_support" not in seen
    seen = view(-10.0, 6.0)
    assert (seen["verdict"], seen["advice"]) == ("poor", refusal_advice("elbow_flexion"))
    # An arm held out to the side bends in the picture of a camera in front.
    assert view(-10.0, 5.0)["verdict"] == "ok"
    assert view(None, 6.0)["verdict"] is None
    seen = view(-4.0, 12.0, plane="frontal", off_picture=8.0)
    assert (seen["verdict"], seen["advice"]) == ("ok", None)
    # One at the side looks along it.
    seen = view(-88.0, 12.0, plane="frontal", off_picture=80.0)
    assert seen["verdict"] == "poor"
    assert seen["advice"].startswith("Film the elbow from the front: ")
    # A forearm that moves towards a camera in front, the arm hanging.
    seen = view(-4.0, 12.0, plane="sagittal", off_picture=80.0)
    assert seen["advice"].startswith("Film the elbow from the side: ")


def test_the_upper_body_is_enough_for_arms_that_move_in_the_picture(metrics: xr.Dataset) -> None:
    warned = [AnalysisWarning("upper_body_only", "Only the upper body is in the picture.")]
    for off, expected in ((8.0, []), (60.0, warned), (np.nan, warned)):
        moved = metrics.assign(off_picture=xr.full_like(metrics["score"], off))
        assert applicable_warnings(warned, ["elbow_flexion"], {}, moved) == expected
    advice = judge(warned, metrics=metrics).what_to_do
    assert "head, hips and hand" in advice
    assert "whole body" not in advice


def test_what_the_joint_does_not_need_does_not_count(metrics: xr.Dataset) -> None:
    close = document(-88.0, head=0.0, hands=0.0, feet=1.0)
    checks = quality_for_joints(close, metrics)
    assert not {"camera", "distance", "size"} & set(checks)
    elbow = metrics.sel(joint=["elbow"])
    assert quality_for_joints(close, elbow)["framing"]["verdict"] == "ok"
    assert "all body parts that these joints need" in report.capture_quality(close, elbow)
    assert (
        quality_for_joints(close, metrics.sel(joint=["knee"]))["framing"]["verdict"] == "unusable"
    )
    far = quality_for_joints(document(-88.0, **WHOLE), elbow)
    assert far["distance"]["verdict"] == "ok"  # nearer than for a squat, and near enough
    near = document(-88.0, **WHOLE)
    near["distance"]["distance_m"] = 0.5
    advice = quality_for_joints(near, elbow)["distance"]["advice"]
    assert advice == "Put the camera two to three metres away."
    assert far["camera"]["verdict"] == "poor"


def test_the_hand_that_counts_is_that_of_the_arm_that_bends(metrics: xr.Dataset) -> None:
    time, curve = there_and_back(low=10, high=130, times=2)
    pose = limb_pose(time, joints={"elbow": (curve, 20.0)})
    outside = document(-88.0, head=0.0, hands=1.0, feet=0.0)
    for side, verdict in (("right", "ok"), ("left", "unusable")):
        seen = pose.copy(deep=True)
        seen["image_position"].loc[{"keypoint": f"{side}_wrist"}] = -5.0
        framing = quality_for_joints(outside, metrics, seen)["framing"]
        assert framing["verdict"] == verdict
        advice = "Keep the left wrist in the picture, with some room around them."
        assert framing["advice"] == (advice if side == "left" else None)
        assert ("left wrist" in {k for k, v in framing["outside"].items() if v}) == (side == "left")


def test_nothing_measured_comes_first_with_how_to_film_it(metrics: xr.Dataset) -> None:
    time, curve = there_and_back(low=0, high=30, times=2)
    pose = limb_pose(time, lean=curve)
    resting = joint_mobility(pose, joint_angles(pose), joints=("elbow",), movement="elbow_flexion")
    what, why, name = unmeasured(resting)
    assert (what, name) == ("Elbow flexion was not measured.", "elbow_flexion")
    assert "oved by less than" in why
    html = trust_in_joints(document(0.0, **WHOLE), resting, pose)
    assert html.startswith('<p class="trust unusable"><strong>Unusable recording.</strong> Elbow')
    assert what in html
    assert "<svg" in html
    assert escape(refusal_advice("elbow_flexion")) in html
    # One joint of several that moved is enough.
    assert unmeasured(metrics) == ("", "", "")
    what, why, name = unmeasured(metrics.assign(movements=metrics["movements"] * 0))
    assert (what, name) == ("No joint was measured.", "")
    assert "eft and right knee: moved by less than 20 degrees" in why


def test_what_concerns_no_joint_that_moved_is_not_said(metrics: xr.Dataset) -> None:
    """The left elbow moves, the knees rest: feet and legs are nobody's business."""
    warnings = [
        AnalysisWarning(code="feet_not_seen", message="The feet are hardly visible."),
        AnalysisWarning(code="hands_out_of_picture", message="The hands are out of the picture."),
    ]
    names = ["knee_flexion", "elbow_flexion"]
    kept = applicable_warnings(warnings, names, None, metrics)
    assert [warning.code for warning in kept] == ["hands_out_of_picture"]
    still = metrics.assign(movements=metrics["movements"] * 0)
    assert len(applicable_warnings(warnings, names, None, still)) == 2
    # Where the landmarks of the elbow were checked, that says whether they are in the picture.
    assert applicable_warnings(warnings, names, document(-88.0, **WHOLE), metrics) == []
    seen = document(-88.0, head=0.0, hands=0.0, feet=0.0)
    seen["visibility"] = {"head": 1.0, "arms": 0.5, "trunk": 1.0, "legs": 0.1, "feet": 0.1}
    mended = {"arms": 0, "trunk": 0, "legs": 90}
    advice = "Check in the annotated video."
    seen["swaps"] = {"mended_frames": mended, "verdict": "unusable", "advice": advice}
    checks = quality_for_joints(seen, metrics)
    assert checks["visibility"] == {"arms": 0.5, "trunk": 1.0}
    assert checks["swaps"] == {
        "mended_frames": {"arms": 0, "trunk": 0}, "verdict": "ok", "advice": None
    }  # fmt: skip
    seen["swaps"]["mended_frames"] = mended | {"arms": 80}
    assert quality_for_joints(seen, metrics)["swaps"]["verdict"] == "unusable"
    assert seen["visibility"]["legs"] == 0.1  # the document stays


def test_postures_that_are_hardly_seen_are_left_out(metrics: xr.Dataset) -> None:
    def words(**shares: float) -> str:
        names = list(metrics["posture"].values)
        share = xr.DataArray([shares.get(name, 0.0) for name in names], dims="posture")
        return report.posture(metrics.assign(posture_share=share))

    assert "standing" in words(standing=1.0)
    assert "%" not in words(standing=0.98, lying=0.02)
    assert "30 %" in words(standing=0.7, lying=0.3)
    assert words(other=1.0) == words(other=0.99, lying=0.01) != words(lying=1.0)


def test_a_check_of_nothing_that_moved_is_absent() -> None:
    *_, metrics = moved({"shoulder": left_only}, high=100)
    assert "framing" not in quality_for_joints(
        document(-88.0, head=0.0, hands=0.0, feet=1.0), metrics
    )


RANGE = (132.0, 143.0, 154.0)


def test_one_sentence_says_how_far_a_joint_goes() -> None:
    mean = (np.nan, 143.0, np.nan)
    for value, half_, ends, compared, words in (
        (110, 8, RANGE, "less", "The right elbow bends to 110 ± 8 degrees, less than usual"),
        (142, 8, RANGE, "usual", "The right elbow bends to 142 ± 8 degrees, as far as usual: men"),
        (163, 8, RANGE, "farther", "farther than usual: men reach 132 to 154."),
        (
            135,
            8,
            RANGE,
            "close",
            "Inconclusive, too close to the usual range: men reach 132 to 154.",
        ),
        # The interval is wider than the range of the people.
        (112, 34, RANGE, "uncertain", "Too uncertain to compare: men reach 132 to 154."),
        (60, 34, RANGE, "less", "The right elbow bends to 60 ± 34 degrees, less than usual"),
        (110, 8, mean, "below", "less than men reach on average (143)."),
        (142, 8, mean, "near", "No clear difference from the average: men reach 143."),
        (160, 8, mean, "above", "more than men reach on average (143)."),
        (110, np.nan, RANGE, "unsure", "bends to 110 degrees. Its error is not known"),
        (
            110,
            8,
            (np.nan,) * 3,
            "none",
            "There is no norm, because no published range uses the same",
        ),
    ):
        reached = Number(value, half_ / 1.96, side="right")
        one = report.Reach("elbow", "elbow_flexion", reached, "men", *ends)
        assert one.compared == compared
        assert words in one.sentence
        # Of whom the study did not measure nothing is said but the value.
        if compared != "none":
            other = dataclasses.replace(one, note="the study measured males only")
            assert (other.compared, other.sentence.count(".")) == ("others", 1)
            assert "usual" not in other.sentence
    unclear = "It is uncertain whether the left knee stretches beyond straight "
    for value, words in (
        (-25.2, "The left knee stays 25 ± 6 degrees short of straight"),
        (8.0, "The left knee stretches 8 ± 6 degrees beyond straight"),
        (6.2, f"{unclear}(6 ± 6 degrees)"),
        (-5.2, f"{unclear}(−5 ± 6 degrees)"),
    ):
        reached = Number(value, 6.0 / 1.96, side="left")
        knee = report.Reach("knee", "knee_extension", reached)
        assert knee.sentence.startswith(words)


def test_every_movement_and_every_comparison_has_its_sentence() -> None:
    words = tables.load("sentences_joints")
    assert set(words["reaches"]) == {"other", *tables.load("movements")}
    assert set(words["compared"]) == set(report.COMPARED)
    assert {each["angle"] for each in tables.load("movements").values()} <= set(DRAWN)
    studies = tables.load("reference_ranges")["studies"].values()
    assert all("people" in each for each in studies if each["kind"] in ("active", "weight_bearing"))


def test_how_far_is_not_told_with_an_error_of_more_than_thirty_degrees(metrics: xr.Dataset) -> None:
    limit = tables.load("angles")["knee_flexion"]["refused"]["largest_sd_deg"]
    changed = metrics.copy(deep=True)
    changed["end_of_range_sd"][:] = 0.98 * limit
    assert report.gauges_of(changed)
    assert "bends to" in report.in_words(changed)
    assert "±" in report.reached(changed)[0]
    changed["end_of_range_sd"][:] = 17.4
    sentences = report.in_words(changed)
    assert "Left elbow flexion: the end of range is too uncertain (± 34 degrees)." in sentences
    assert "130" not in sentences
    assert report.gauges_of(changed) == []
    elbow = [report.Shown("left_elbow_angle", "elbow", ("left",))]
    table = report.overview(changed, elbow)
    assert "end of range too uncertain (± 34°)" in table
    assert "130" not in table
    assert "10°" in table  # where it begins is told
    # As the document and the table of the metrics have it.
    rows = metrics_table(changed).to_pandas()
    rows = rows.query("item == 'elbow_flexion' and side == 'left' and level == 'session'")
    values, reasons = (rows.set_index("metric")[name] for name in ("value", "reason"))
    assert values["minimum"] == pytest.approx(10, abs=0.5)
    for name in ("maximum", "range_of_motion", "end_of_range"):
        assert np.isnan(values[name])
        assert reasons[name].startswith("end of range too uncertain (± 34°)")
    assert np.isnan(without_uncertain_ends(changed)["movement_extreme"]).sum() == 2
    assert report.reached(changed) == ["left elbow flexion (end of range too uncertain)"]
    # Nor is a turn, how fast it went there, or by how much such turns change.
    assert report.movement_table(changed, elbow).count("too uncertain") == 4
    assert "130°" not in report.movement_table(changed, elbow)
    many = changed.assign(detectable_change=xr.full_like(changed["maximum"], 9.0))
    change = '<td data-head="Smallest detectable change">9°</td>'
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
    assert "the movement was not recognised" in report.overview(unnamed, elbow)
    assert "Movement not recognised: left elbow." in report.in_words(unnamed, elbow)
    assert report.reached(unnamed)[0] == "left elbow (movement not recognised)"
    assert report.speeds(unnamed, elbow) == ""
    pages = [report.overview(unnamed, elbow), report.movement_table(unnamed, elbow)]
    assert not any("130" in text or "10°" in text for text in pages)
    kept = without_uncertain_ends(unnamed)
    assert kept["maximum"].sel(place).isnull()
    assert kept["minimum"].sel(place).isnull()
    of = (kept["movement_joint"] == "elbow") & (kept["movement_side"] == "left")
    for name in ("rest", "extreme", "peak_velocity", "mean_velocity"):
        assert kept[f"movement_{name}"].where(of, drop=True).isnull().all()
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
    for share, label in (
        (0.2, "Did not move"),
        (0.6, "It is not known whether these moved"),
        (1.0, "Not measured"),
    ):
        rests["refused_share"].loc[place] = share
        assert f"{label}: left knee." in report.in_words(rests, knee)


def test_a_side_in_doubt_has_a_question_mark_wherever_it_is_named(metrics: xr.Dataset) -> None:
    swaps = {"swaps": {"verdict": "poor", "advice": "", "mended_frames": {"legs": 20}}}
    verdict = judge([], swaps, metrics)
    assert verdict.sides_in_doubt
    assert not judge([], {"swaps": {"verdict": "ok", "advice": None}}, metrics).sides_in_doubt
    doubted = with_side_doubt(metrics, verdict)
    chosen = report.shown(record(joints=["elbow", "knee"]), None)
    texts = [
        *(report.overview(doubted, chosen), report.in_words(doubted), *report.reached(doubted)),
        *(report.movement_table(doubted, chosen), report.details(doubted, chosen[0])),
        report.speeds(doubted, chosen),
        *(
            report.reference_table(doubted, chosen),
            report.Shown("", "", ("left",)).heading(doubted),
        ),
        key_frames.Moment("Start", 0.0, "", Number(5.0, side="left"), "knee", doubt=True).caption,
    ]
    for text in texts:
        named = re.findall(r"\b(?:[Ll]eft|[Rr]ight)\b(?! and)(.{4})", text)
        assert named
        assert set(named) == {" (?)"}
    assert "Left and right may be swapped" in report.show_gauges(doubted)
    assert "(?)" not in report.overview(with_side_doubt(metrics, judge([])), chosen)


def test_whom_no_study_measured_is_not_compared(metrics: xr.Dataset) -> None:
    (one,) = report.reaches(metrics)
    assert (one.joint, one.side, one.movement) == ("elbow", "left", "elbow_flexion")
    assert one.people == "boys and men up to 54 years"
    assert one.number.value == pytest.approx(130, abs=0.5)
    # Boone & Azen: 142.9, standard deviation 5.6.
    assert (one.low, one.high) == pytest.approx((142.9 - 1.96 * 5.6, 142.9 + 1.96 * 5.6))
    text = report.in_words(metrics)
    for words in ("elbow bends to 130 ± ", "Not measured: right elbow.", "Did not move: left and"):
        assert words in text
    assert "Not compared" not in text
    pose, angles, adults = moved({"shoulder": both, "elbow": both}, sex="female", age=30)
    for sex, age, reason in (
        (
            "female",
            30,
            "left and right shoulder. The studies measured only boys and men up to 54 years.",
        ),
        (None, None, "men up to 54 years, and the participant's sex and age are not known."),
    ):
        shoulders = joint_mobility(pose, angles, joints=("shoulder",), sex=sex, age=age)
        text = unescape(report.in_words(shoulders))
        assert {each.goal_text for each in report.gauges_of(shoulders)} == {
            "not compared with a norm"
        }
        assert "arm rises to 130 ± " in text
        assert reason in text
        assert "usual" not in text
    people = {each.people for each in report.reaches(adults.sel(joint=["elbow"]))}
    assert people == {"adults"}


def test_left_against_right_comes_first_with_its_error() -> None:
    *_, lopsided = moved({"elbow": lambda curve: (curve, 0.8 * curve + 10), "knee": half})
    lopsided["side_difference_sd"] = ("joint", [4.0, 3.0])
    text = report.in_words(lopsided)
    first = "<li>Elbow flexion: the left side goes 16 ± 8 degrees farther than the right.</li>"
    assert text.startswith(f"<ul>{first}")
    assert "No clear difference between left and right: knee flexion (0° ± 6°)." in text
    chosen = report.shown(record(joints=["elbow", "knee"]), None)
    assert "Right − left elbow flexion" in report.overview(lopsided, chosen)
    assert "−16°" in report.overview(lopsided, chosen)
    mirrored = lopsided.assign(side_difference=-lopsided["side_difference"])
    assert "the right side goes 16 ± 8 degrees farther" in report.in_words(mirrored)
    # Of a side that is not told, not chosen, or in doubt.
    untold = lopsided.copy(deep=True)
    untold["end_of_range_sd"].loc[{"side": "left"}] = 20.0
    assert np.isnan(without_uncertain_ends(untold)["side_difference"]).all()
    exchanged = judge([AnalysisWarning("models_contradict", "Maybe exchanged.")], metrics=lopsided)
    assert not report.differences(untold)
    one_side = report.shown(record(joints=["elbow"]), config(["left_elbow_angle"]))
    assert not report.differences(lopsided, one_side)
    assert not report.differences(with_side_doubt(lopsided, exchanged))
    # It is told where it is shown to exceed its error.
    for value, words in (
        (5.4, "between left and right: elbow flexion (5° ± 5°)."),
        (-0.3, "between left and right: elbow flexion (0° ± 5°)."),
        (-5.4, "between left and right: elbow flexion (−5° ± 5°)."),
        (-5.6, "Elbow flexion: the left side goes 6 ± 5 degrees farther than the right."),
    ):
        elbows = lopsided.sel(joint=["elbow"]).assign(
            side_difference=("joint", [value], {"units": "degree"}),
            side_difference_sd=("joint", [5.3 / 1.96]),
        )
        assert words in report.in_words(elbows)


def test_at_most_three_joints_are_told_at_once_and_only_those_that_are_chosen(monkeypatch) -> None:
    *_, moves = moved({"shoulder": both, "elbow": both, "knee": half, "hip": half})
    assert len({each.movement for each in report.reaches(moves)}) > 3
    text = report.in_words(moves)
    assert len(re.findall("<li>The (?:left|right)", text)) == 3
    assert len(report.gauges_of(moves)) == 4
    assert "Also measured: " not in text  # all have a row
    monkeypatch.setattr(report, "MOST_GAUGES", 3)
    assert "Also measured: " in report.in_words(moves)
    chosen = report.shown(
        record(joints=["elbow", "knee", "hip"]), config(["left_knee_angle", "elbow_angle"])
    )
    expected = [("knee", "left"), ("elbow", "left"), ("elbow", "right")]
    assert [(each.joint, each.side) for each in report.reaches(moves, chosen)] == expected
    assert "hip" not in report.in_words(moves, chosen)


def test_what_the_picture_shows_comes_first() -> None:
    """The elbow moves farther, but its arm points at the camera."""
    pose, angles, metrics = moved({"elbow": left_only, "knee": lambda curve: (0.8 * curve, 0.0)})
    flat = pose.copy(deep=True)
    shoulder = pose["image_position"].sel(keypoint="left_shoulder")
    for part, pixels in (("elbow", 30.0), ("wrist", 60.0)):
        flat["image_position"].loc[{"keypoint": f"left_{part}"}] = shoulder + pixels
    for seen, first in ((pose, "elbow flexion"), (flat, "knee flexion")):
        labels = [each.label for each in joint_moments(angles, metrics, seen)]
        assert sorted(set(labels)) == ["elbow flexion", "knee flexion"]
        assert len(labels) == 3
        assert labels[0] == first


def test_gauges_have_the_range_of_such_people(metrics: xr.Dataset) -> None:
    (gauge,) = report.gauges_of(metrics)
    assert (gauge.name, gauge.goal_text) == ("Elbow flexion", "132 to 154°")
    assert gauge.begins["left"].value == pytest.approx(10, abs=1)
    sd = float(metrics["end_of_range_sd"].sel(joint="elbow", side="left"))
    assert {side: number.sd for side, number in gauge.values.items()} == {"left": sd}
    html = report.show_gauges(metrics)
    assert "Shaded: 95 of 100 boys and men up to 54 years" in html
    assert html.count('class="usual"') == 1
    assert report.show_gauges(metrics.assign(movements=metrics["movements"] * 0)) == ""


def test_a_neck_is_drawn_between_the_squares_to_shoulders_and_ears() -> None:
    """Shoulders level, ears tilted by 20 degrees: that is the angle in the picture."""
    points = np.full((len(INDEX), 2), np.nan)
    points[INDEX["left_shoulder"]], points[INDEX["right_shoulder"]] = (120, 100), (80, 100)
    ear = 8 * np.array([np.cos(np.radians(20)), np.sin(np.radians(20))])
    middle = np.array([100, 70])
    points[INDEX["left_ear"]], points[INDEX["right_ear"]] = middle + ear, middle - ear
    first, turn = turn_of(points, "neck_lateral_flexion", "left")
    assert (first, turn) == pytest.approx((-90, 20))  # from straight up


def test_a_table_has_measures_of_movements_and_no_curves(metrics: xr.Dataset) -> None:
    rows = metrics_table(metrics).to_pandas().astype({"metric": str, "item": str, "level": str})
    assert "angle" not in set(rows["metric"])
    ends = rows[rows["metric"].eq("end_of_range")].set_index(["item", "side"])["value"]
    left = float(metrics["end_of_range"].sel(joint="elbow", side="left"))
    assert ends["elbow_flexion", "left"] == left
    # What is not seen is missing of the movement that was asked for.
    assert set(rows["item"]) >= {"elbow_flexion"}
    turns = rows[rows["metric"].eq("movement_extreme")]
    assert set(turns["level"]) == {"repetition"}
    assert len(turns) == metrics.sizes["movement"]
    assert turns["rep"].tolist() == metrics["movement_number"].values.tolist()
    assert turns["side"].tolist() == metrics["movement_side"].values.tolist()


def test_norms_and_errors_of_the_lab_stand_on_the_gauge(metrics: xr.Dataset) -> None:
    of_here = Conditions(
        exercise="Joint Angle Mobility", view="left", method="fitted_body", cameras=1, software="0"
    )
    about = {"conditions": of_here, "metric": "end_of_range[elbow_flexion]", "units": "degree"}
    percentiles = [(25.0, 120.0), (75.0, 140.0)]
    norm = {**about, "people": 30, "mean": 131.0, "sd": 9.0, "percentiles": percentiles}
    error = {**about, "side": "left", "sem": 2.0, "low": None, "high": None, "participants": 12}
    kept = {"made": now(), "name": "ours"}
    norms = Norms(norms=[Norm(**norm, sex=None, age=None)], **kept)
    errors = RetestErrors(errors=[RetestError(**error)], **kept)
    lab = LabReferences(of_here, [norms, errors])
    (gauge,) = report.gauges_of(metrics, lab=lab)
    assert (gauge.usual, gauge.goal, gauge.goal_text) == (
        (120.0, 140.0),
        131.0,
        "this lab: 120 to 140°",
    )
    assert gauge.lab_retest["left"] == (
        pytest.approx(1.96 * 2.0),
        "from this lab's study ours with 12 people",
    )
    html = report.show_gauges(metrics, lab=lab)
    assert "shaded: the range of 50 % of this lab&#39;s 30 people (ours)" in html
    assert "Shaded: 95 of 100" not in html
    for other in ("elbow_extension", "knee_flexion"):
        name = f"end_of_range[{other}]"
        elsewhere = Norms(norms=[Norm(**norm | {"metric": name}, sex=None, age=None)], **kept)
        lab = LabReferences(of_here, [elsewhere])
        assert report.show_gauges(metrics, lab=lab) == report.show_gauges(metrics)


def test_a_change_is_held_against_the_error_of_filming_again(metrics: xr.Dataset) -> None:
    again = metrics.assign(end_of_range_sem=xr.full_like(metrics["end_of_range"], 1.5))
    (gauge,) = report.gauges_of(again)
    assert gauge.values["left"].sem == 1.5
    (unknown,) = report.gauges_of(again.assign(end_of_range_sem=metrics["end_of_range"] * np.nan))
    assert np.isnan(unknown.values["left"].sem)


def test_an_elbow_that_is_straight_between_flexions_tells_both_ends() -> None:
    *_, metrics = moved({"elbow": both}, times=3, low=2, high=135, sex="male", age=30)
    for side in ("left", "right"):
        one = metrics.sel(joint="elbow", side=side)
        assert (one["shown"], one["opposite"]) == ("elbow_flexion", "elbow_extension")
        assert one["opposite_end"] == pytest.approx(-2, abs=0.3)
        assert one["opposite_end_sd"] == one["minimum_sd"]
    _, extension = report.reaches(metrics, [report.Shown("e", "elbow", ("left",))])
    assert (extension.movement, round(extension.mean, 1)) == ("elbow_extension", 0.6)
    assert extension.compared == "usual"  # -5.5 to 6.7 of boys and men
    page = report.overview(metrics, [ELBOW]) + report.in_words(metrics, [ELBOW])
    assert page.count("elbow extension</th>") == 2
    assert "The left elbow stays 2 ± 0 degrees short of straight, as far as usual" in page
    assert "Left and right elbow extension" in report.reference_table(metrics, [ELBOW])
    assert [each.name for each in report.gauges_of(metrics)] == ["Elbow flexion", "Elbow extension"]
    # Both ends in the row of the movement, and the other once more beside its own norm.
    rows = unescape(re.sub("<svg.*?</svg>|<[^>]+>", "", report.show_gauges(metrics)))
    assert re.search(r"Elbow flexion.*?L 2° ± 0 to 135° ± 0R 2° ± 0 to 135° ± 0", rows), rows
    assert re.search(r"Elbow extension.*?L −2° ± 0R −2° ± 0", rows)
    assert any("elbow extension −2°" in each for each in report.reached(metrics))
    # Too uncertain an end is told nowhere.
    unsure = metrics.assign(opposite_end_sd=metrics["opposite_end_sd"] + 16)
    assert "elbow extension" not in report.overview(unsure, [ELBOW])
    assert without_uncertain_ends(unsure)["opposite_end"].isnull().all()


def test_every_turn_has_to_be_straight_for_an_end_of_range() -> None:
    def course(*lows: float) -> Course:
        return cast("Course", SimpleNamespace(joint="elbow", lows=[(0.0, low) for low in lows]))

    assert opposite_of(course(2, 3, 1), "elbow_flexion") == "elbow_extension"
    for bent in ((2, 30, 1), (30, 2, 1), (25, 25, 25), ()):
        assert opposite_of(course(*bent), "elbow_flexion") == ""


@pytest.mark.parametrize(
    ("joint", "low", "high"), [("elbow", 25, 130), ("shoulder", 0, 150), ("knee", 2, 120)]
)
def test_a_joint_that_may_just_rest_there_tells_one_end(
    joint: str, low: float, high: float
) -> None:
    *_, metrics = moved({joint: both}, low=low, high=high)
    assert (metrics["opposite"] == "").all()
    assert metrics["opposite_end"].isnull().all()
    assert len(report.reaches(metrics)) == 2


@pytest.mark.parametrize("raised_s", [0.0, 1.0])
def test_an_arm_that_is_held_bent_is_no_movement(raised_s: float) -> None:
    """Held at 95 degrees all the time, or raised and lowered once while the other arm bends."""
    time, curve = there_and_back(low=2, high=130, times=6)
    held = np.full(time.size, 95.0)
    if raised_s:
        share = minimum_jerk(
            np.clip(np.minimum(time - 0.2, time[-1] - 0.2 - time) / raised_s, 0, 1)
        )
        held = 10 + 85 * share
    pose = limb_pose(time, joints={"elbow": (curve, held)}, noise=0.006, seed=3)
    metrics = joint_mobility(pose, joint_angles(pose), joints=("elbow",))
    right = metrics.sel(joint="elbow", side="right")
    assert int(right["movements"]) == 0
    assert right["range_of_motion"].isnull()
    assert report.reaches(metrics, [report.Shown("e", "elbow", ("right",))]) == []
    row = report.overview(metrics, [report.Shown("e", "elbow", ("right",))])
    assert re.search(r"held at 9[3-7]° ± \d+°, no movement", row)
    assert row.count("°") == 2
    assert "Did not move: right elbow." in report.in_words(metrics, [ELBOW])


def test_page_and_long_table_give_the_same_reason_for_a_joint_that_is_not_measured() -> None:
    metrics = Store("absent").demo("Joint Angle Mobility").metrics()
    why = reason_missing(metrics, "end_of_range", "right", joint="elbow")
    assert why == "elbow is hidden from the camera in all frames"
    assert f"not measured: {why}" in report.overview(metrics, [ELBOW])
    rows = metrics_table(metrics).to_pandas()
    missing = rows[
        rows["value"].isna() & rows["units"].str.startswith("degree") & (rows["side"] == "right")
    ]
    assert set(missing["reason"]) == {why}
