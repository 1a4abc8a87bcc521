"""The page for the client: what it says, in which order, and what it leaves out."""

from __future__ import annotations

import datetime
import re
from dataclasses import replace
from pathlib import Path

import pytest

from mobility import tables
from mobility.assessment.comments import advise, all_work, drawing_of
from mobility.assessment.findings import Finding, all_rules
from mobility.assessment.number import Number
from mobility.assessment.trial_errors import judged
from mobility.catalogue.registry import exercises
from mobility.reports.client_page import (
    changes_in_words,
    joints_in_words,
    named,
    sentences_of,
    show,
)

OUTSIDE = {"status": "found", "result": "outside", "probability": 0.99}
MET = {"status": "not found", "result": "met", "probability": 0.01}


def finding(rule: str, side: str = "", interval: tuple[float, float] = (0.0, 0.0), **more):
    """Make a finding of a rule, with its interval."""
    entry = all_rules()[rule]
    threshold = entry["threshold"] if isinstance(entry["threshold"], float | int) else 10.0
    made = Finding(
        id=rule + (f"_{side}" if side else ""),
        metric=entry["metric"],
        group="whole_movement",
        number=Number(sum(interval) / 2, units=entry["unit"], side=side),
        interval=interval,
        threshold=float(threshold),
        probability=0.5,
        status="cannot be told",
        reason="",
        rule=rule,
        source="",
    )
    return replace(made, **more)


def test_what_is_surely_outside_comes_before_what_may_be_farther_outside() -> None:
    given = [
        finding("trunk_leans_forward", "", (-1.0, 45.0), **OUTSIDE),
        finding("knee_flexion_limited", "left", (108.0, 112.0), **OUTSIDE),
        finding("knee_flexion_limited", "right", (109.0, 113.0), **OUTSIDE),
        finding("heel_rise", "left", (0.0, 1.0), **MET),
        finding("heel_rise", "right", (0.0, 1.0), **MET),
    ]
    good, work, plan = sentences_of({"Squat": given}, advise(given))
    assert good == "What goes well: your heels stay on the floor."
    assert work == (
        "What to work on: your knees do not bend far enough and your trunk leans further "
        "forward than your shins."
    )
    assert plan == "The exercises below help with that."


def test_videos_that_contradict_each_other_say_nothing_and_one_side_is_named() -> None:
    given = [
        finding("heel_rise", "left", (9.0, 12.0), **OUTSIDE),
        finding("heel_rise", "left", (0.0, 1.0), **MET),
        finding("feet_turn_out", "left", (40.0, 50.0), **OUTSIDE),
        finding("feet_turn_out", "right", (0.0, 5.0), **MET),
        finding("knee_inside_foot", "left", **{**MET, "result": "inconclusive"}),
        finding("knee_inside_foot", "right", **MET),
    ]
    assert sentences_of({"Squat": given}, ()) == [
        "What to work on: your left foot turns out too far.",
        "You need no special exercises today.",
    ]


def test_one_knee_is_in_the_singular_and_one_leg_is_named() -> None:
    bend = [
        finding("knee_flexion_limited", "left", (60.0, 61.0), **OUTSIDE),
        finding("knee_flexion_limited", "right", **MET),
    ]
    assert sentences_of({"Squat": bend}, ())[0] == (
        "What to work on: your left knee does not bend far enough."
    )
    hips = [
        finding("pelvis_drops", "left", **MET),
        finding("pelvis_drops", "right", (15.0, 20.0), **OUTSIDE),
    ]
    assert sentences_of({"Single-Leg Squat": hips}, ())[0] == (
        "What to work on: your hips drop on the free side when you stand on the right leg."
    )
    heel = [
        finding("heel_rise", "left", **MET),
        finding("heel_rise", "right", **{**MET, "result": "not_visible"}),
    ]
    assert sentences_of({"Squat": heel}, ())[0] == (
        "What goes well: your left heel stays on the floor."
    )


def test_drills_are_for_what_the_page_names_and_not_for_what_videos_contradict() -> None:
    given = [
        finding("heel_rise", "left", (9.0, 12.0), **OUTSIDE),
        finding("heel_rise", "left", (0.0, 1.0), **MET),
        finding("trunk_leans_forward", "", (-1.0, 90.0), **OUTSIDE),
        finding("knee_flexion_limited", "left", (60.0, 61.0), **OUTSIDE),
        finding("depth_not_reached", "", (40.0, 41.0), **OUTSIDE),
    ]
    assert {each.rule for each in named(given)} == {"knee_flexion_limited", "depth_not_reached"}


def test_there_are_three_sentences_and_three_drills_with_dose_drawing_and_what_to_do() -> None:
    given = [
        finding(rule, side, (500.0, 510.0), **OUTSIDE)
        for rule in ("heel_rise", "feet_turn_out", "trunk_leans_forward", "arms_fall_forward")
        for side in (("left", "right") if rule in ("heel_rise", "feet_turn_out") else ("",))
    ]
    given.append(finding("depth_not_reached", "", **MET))
    works = advise(given)
    assert len(works) > 3
    sentences = sentences_of(
        {"Squat": given, "Sit-to-Stand": given}, works, "Since then.", "Joints."
    )
    assert len(sentences) == 3
    assert sentences[2] == "Since then."
    page = show("Your visit", "Ann", sentences, [], works)
    assert page.count('class="drill"') == page.count("<svg") == 3
    for work in works[:3]:
        assert work.dose in page
        assert str(work.how.split(",")[0]) in page
    assert "<a " not in page
    assert "±" not in page


def test_every_exercise_that_is_advised_has_a_drawing_and_every_rule_has_words() -> None:
    for name, work in all_work().items():
        drawing = drawing_of(name).read_text("utf-8")
        title = re.search("<title>(.*)</title>", drawing)
        assert title is not None, name
        assert title[1].lower() == work["name"].lower()
    declared = tables.load("measures")["measures"].copy()
    for exercise in exercises():
        declared |= exercise.own_table("measures").get("measures", {})
    of_sides = tuple(measure for measure, entry in declared.items() if entry.get("sided"))
    for name, rule in all_rules().items():
        words = dict(rule["client"])
        one_side = words.pop("one_side", {})
        is_sided = rule["metric"].startswith(of_sides) and "asymmetry" not in rule["metric"]
        assert set(words) == {"met", "outside"}, name
        assert set(one_side) == (set(words) if is_sided else set()), name
        assert all(phrase.count("{side}") == 1 for phrase in one_side.values()), name
        shown = [*words.values(), *(phrase.format(side="left") for phrase in one_side.values())]
        assert not re.search(r"[{}°%±(]", "".join(shown)), name


def test_smoothness_prescribes_nothing() -> None:
    assert not [rule for rule in all_rules().values() if "smooth" in rule["metric"]]
    assert not [rule for rule in all_rules().values() if re.search("sparc|ldlj", rule["metric"])]


def change(metric: str, before: float, now: float, **more) -> dict:
    """Make a row of the changes of a visit."""
    row = {"exercise": "Squat", "metric": metric, "before": before, "now": now, "least": 5.0}
    rule = next(each for each in all_rules().values() if each["metric"] == metric)
    goal = {"goal": rule["threshold"], "direction": rule["direction"]}
    alike = more.get("error", "retest") == "retest"
    row |= {"change": now - before, "exceeds": abs(now - before) > 5.0, "error": "retest"}
    row |= {"judged": judged(before, now, **goal, alike=alike)}
    return {**row, "since": datetime.date(2026, 3, 2), **more}


def test_a_change_is_better_if_it_goes_to_the_target_and_only_beyond_the_error() -> None:
    knee = next(r["metric"] for n, r in all_rules().items() if n == "knee_flexion_limited")
    limit = all_rules()["knee_flexion_limited"]["threshold"]
    assert changes_in_words([]) == ""
    better = changes_in_words([change(knee, limit - 30, limit - 10)])
    assert better == "Since 2 Mar 2026: improved: knee flexion."
    worse = changes_in_words([change(knee, limit + 10, limit - 10)])
    assert worse == "Since 2 Mar 2026: got worse: knee flexion."
    none = "Since 2 Mar 2026, nothing has changed enough to be sure."
    assert changes_in_words([change(knee, limit - 10, limit - 7)]) == none
    assert changes_in_words([change(knee, limit + 5, limit + 20)]) == ""  # both meet it
    other = changes_in_words([change(knee, limit - 30, limit - 10, error="own")])
    assert "were filmed or analysed differently" in other


def test_a_joint_is_told_with_what_people_reach() -> None:
    row = {"metric": "end_of_range", "movement": "shoulder_flexion", "reference": 166.0}
    rows = [
        {**row, "side": side, "value": value} for side, value in (("left", 168.2), ("right", 150))
    ]
    assert joints_in_words(rows) == (
        "Your shoulder flexion: 168° on the left and 150° on the right. People of your age and sex "
        "reach 166° on average."
    )
    assert joints_in_words([{**rows[0], "reference": None}]) == ""


def test_drawings_are_those_that_the_script_makes(project: Path, monkeypatch) -> None:
    monkeypatch.syspath_prepend(project / "scripts")
    drawings = pytest.importorskip("drill_drawings")
    assert set(drawings.DRAWN) == set(all_work())
    for name in drawings.DRAWN:
        assert drawing_of(name).read_text("utf-8") == drawings.draw(name)
