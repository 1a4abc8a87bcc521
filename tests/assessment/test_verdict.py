"""One verdict from all warnings and checks: which it is, and what it rules out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hand_made import metrics_of

import mobility
from mobility import Store, tables
from mobility.assessment.findings import find
from mobility.assessment.verdict import PARTS, Verdict, _amount, judge
from mobility.base.provenance import AnalysisWarning
from mobility.catalogue import registry

GOOD = {"light": {"verdict": "ok", "advice": None}, "view": {"verdict": "ok", "name": "front"}}
ALL = frozenset(PARTS)


VALUES = {"exercise": "squat", "joints": "left elbow", "reason": "it is too dark"}
"""What a warning has that says so."""


def framing(**outside: float) -> dict:
    worst = "unusable" if max(outside.values()) > 0.5 else "poor"
    return GOOD | {"framing": {"verdict": worst, "advice": "x", "outside": outside}}


@pytest.mark.parametrize(
    ("code", "level", "out"),
    [
        ("no_squat", "not_this_exercise", ALL),
        ("no_repetition", "not_this_exercise", ALL),
        ("not_standing", "not_this_exercise", ALL),
        ("hands_not_overhead", "not_this_exercise", {"indices", "fms", "arms", "exercises"}),
        ("moving_camera", "limited", {"indices", "fms", "smoothness"}),
        ("other_people", "limited", set()),
        ("errors_of_another_model", "limited", set()),
        ("uncertain", "good", set()),
    ],
)
def test_a_warning_decides_the_page(code: str, level: str, out: set[str]) -> None:
    verdict = judge([AnalysisWarning(code, "Something was seen.", VALUES)], GOOD)
    assert (verdict.level, verdict.rules_out) == (level, frozenset(out))
    assert (verdict.headline == "Good recording.") == (level == "good")
    assert bool(verdict.reasons) == (level != "good")
    for part in PARTS:
        assert bool(verdict.absent(part)) == (part in out)
    if code == "moving_camera":  # a check of the same rules out the same
        moved = GOOD | {"camera": {"verdict": "poor", "advice": "Put the camera on a stand."}}
        for warned in ([AnalysisWarning(code, "")], []):
            assert judge(warned, moved).rules_out == out


def test_a_value_of_a_warning_has_words_of_its_own() -> None:
    absent = judge([AnalysisWarning("feet_not_seen", "", {"absent": True})], GOOD)
    assert absent.text.endswith(
        "The keypoints have no heels and toes. Use a pose model that finds the feet."
    )
    # What is so of both cameras is said once.
    model = [
        AnalysisWarning("errors_of_another_model", "", values) for values in ({}, {"seen_by": 2})
    ]
    assert judge(model, GOOD).why == "The stated errors were measured with another pose model."
    moved = [AnalysisWarning("moving_camera", "", values) for values in ({}, {"seen_by": 2})]
    assert "in the second video, the camera moved" in judge(moved, GOOD).why
    hidden = judge([AnalysisWarning("feet_not_seen", "")], GOOD)
    assert hidden.why == "The feet are hardly visible."
    behind = judge([AnalysisWarning("seen_from_behind", "", {"face": True})], GOOD)
    assert "although the face is visible" in behind.why
    assert "swapped in the keypoints, or the video is mirrored" in behind.what_to_do
    assert "mirrored" not in judge([AnalysisWarning("seen_from_behind", "")], GOOD).text


def test_a_page_is_good_or_says_what_is_wrong_never_both() -> None:
    good = judge([], GOOD)
    assert good == Verdict("good", "Good recording.", "")
    dark = GOOD | {"light": {"verdict": "poor", "advice": "Film in more light."}}
    verdict = judge([AnalysisWarning("moving_camera", "")], dark)
    assert verdict.text == (
        "Recording with limits. The camera moved and the light is poor. "
        "Put the camera on a stand. Film in more light."
    )
    # Of another exercise what is told has the limits of its recording, and what to do about them.
    verdict = judge([AnalysisWarning("hands_not_overhead", "", VALUES)], dark)
    assert verdict.why == "The hands are not held above the head. Also, the light is poor."
    assert verdict.what_to_do == (
        "Keep both arms straight overhead during the whole squat, or add the video again with the "
        "exercise Squat. Film in more light."
    )
    # The worst says why, but all that is ruled out stays so.
    worse = dark | {"rate": {"verdict": "unusable", "advice": "Film faster."}}
    verdict = judge([AnalysisWarning("hands_not_overhead", "", VALUES)], worse)
    assert verdict.text == (
        "Unusable recording. The video has too few frames per second. Film faster."
    )
    assert verdict.rules_out == ALL
    assert [each.level for each in verdict.reasons] == ["unusable", "not_this_exercise", "limited"]


def test_without_a_check_nothing_is_called_good() -> None:
    assert judge([], {}).text == "Recording with limits. The recording was not checked."
    assert judge([]).level == "good"
    assert judge([]).text == ""
    assert judge([], None, metrics_of()).text == "All checks have a clear result."


@pytest.mark.parametrize(
    ("share", "amount"),
    [
        (0.0, "none"),
        (0.05, "few"),
        (0.39, "few"),
        (0.4, "half"),
        (0.6, "half"),
        (0.61, "most"),
        (1.0, "all"),
    ],
)
def test_the_verdict_names_the_share_of_clear_results(share: float, amount: str) -> None:
    assert _amount(share) == amount


@pytest.mark.parametrize(
    ("part", "share", "level", "out"),
    [
        ("feet", 0.04, "good", frozenset()),
        ("feet", 0.2, "limited", frozenset()),
        ("feet", 0.9, "unusable", ALL),
        ("hands", 0.9, "limited", frozenset({"indices", "fms", "arms"})),
        ("head", 0.9, "limited", frozenset()),
    ],
)
def test_what_is_outside_of_the_picture_rules_out_what_needs_it(part, share, level, out) -> None:
    quality = GOOD if share < 0.05 else framing(**{part: share})
    warned = [] if share < 0.05 else [AnalysisWarning(f"{part}_out_of_picture", "")]
    verdict = judge(warned, quality)
    assert (verdict.level, verdict.rules_out) == (level, out)
    assert verdict.why.count("out of the picture") == (level != "good")


@pytest.mark.parametrize("exercise", registry.exercises(), ids=lambda each: each.slug)
def test_raised_hands_are_asked_for_by_exercises_that_judge_the_arms_alone(exercise) -> None:
    warned = judge([AnalysisWarning("hands_out_of_picture", "")], exercise=exercise)
    seen = judge([], framing(hands=0.2), exercise=exercise)
    for verdict in warned, seen:
        assert ("raised hands" in verdict.what_to_do) == ("arms" in exercise.table["parts"])


def test_arms_that_hang_are_not_judged_and_the_legs_are() -> None:
    findings = find(Store("absent").demo("Overhead Squat").metrics())
    kept = judge([AnalysisWarning("hands_not_overhead", "", VALUES)], GOOD).keep(findings)
    gone = {each.rule for each in findings} - {each.rule for each in kept}
    assert gone == {"arms_fall_forward", "dowel_not_over_feet"}
    assert judge([], GOOD).keep(findings) == findings
    assert judge([AnalysisWarning("no_squat", "", VALUES)], GOOD).keep(findings) == ()


def test_differences_of_the_sides_are_refused_where_the_sides_were_confused() -> None:
    findings = find(Store("absent").demo("Overhead Squat").metrics())
    for verdict in (
        judge([AnalysisWarning("models_contradict", "")], GOOD),
        judge([], GOOD | {"swaps": {"verdict": "poor"}}),
    ):
        refused = {each.metric: each for each in verdict.checks(findings)}
        differences = {name for name in refused if name.endswith("_asymmetry")}
        assert differences == {"knee_flexion_asymmetry", "ankle_dorsiflexion_asymmetry"}
        for name, each in refused.items():
            assert (each.result == "not_reported" and "left and right" in each.reason) == (
                name in differences
            )


def test_every_warning_that_an_analysis_can_record_is_in_the_table() -> None:
    root = Path(mobility.__file__).parent
    codes = set()
    for room in ("capture", "kinematics", "assessment"):
        for file in (root / room).rglob("*.py"):
            text = file.read_text(encoding="utf-8")
            codes |= set(re.findall(r'"code": "([a-z_]+)"', text))
            codes |= set(re.findall(r'tables\.warning\(\s*f?"[a-z]+\.([a-z_]+)', text))
    described = set(tables.load("verdict")["warnings"])
    assert len(codes) > 15
    assert codes <= described


def test_pages_name_the_exercise_to_choose_and_no_option_of_the_command_line() -> None:
    warned = AnalysisWarning("chair_rise", "", {"exercise": "sit-to-stand"})
    verdict = judge([warned], GOOD)
    assert verdict.what_to_do.endswith("or add the video again with the exercise Sit-to-Stand.")
    assert verdict.instead == "sit-to-stand"
    own = [each.table.get("advice_on", {}) for each in registry.exercises()]
    said = [each.own_table("sentences") for each in registry.exercises()]
    for words in (*own, *said, tables.load("verdict")["warnings"]):
        assert "--exercise" not in str(words)
    assert "--exercise" not in str(tables.load("sentences_warnings"))
