"""The pages of exercises with repetitions, as their tables list the sections."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from html import unescape
from typing import Any

import pytest
from read_pages import stands_on

from mobility.assessment.findings import all_rules, find
from mobility.assessment.kinds import entry_of
from mobility.assessment.results import RESULTS, in_words
from mobility.assessment.verdict import PARTS, judge
from mobility.base.provenance import AnalysisWarning
from mobility.catalogue import registry
from mobility.catalogue.exercise import Exercise
from mobility.documents.fill import check_rows
from mobility.errors import BadInputError
from mobility.reports.errors_in_words import wrong_results
from mobility.reports.page import ReportPage
from mobility.reports.sections import sections_of
from mobility.store import Store

OF_REPETITIONS = [each for each in registry.exercises() if each.noun == "repetition"]


@pytest.mark.parametrize("exercise", OF_REPETITIONS, ids=lambda each: each.slug)
def test_a_page_has_the_sections_of_its_table_which_need_what_there_is(exercise: Exercise) -> None:
    sections = sections_of(exercise)
    assert tuple(each.name for each in sections) == exercise.table["page"]
    assert [each.name for each in sections if not each.heading] == ["first"]
    for need in (need for each in sections for need in each.needs):
        assert need in ("repetitions", *PARTS) or entry_of(need), need


def test_an_unknown_section_is_refused_with_the_likely_one() -> None:
    squat = registry.exercise("Squat")
    wrong = replace(squat, table={**squat.table, "page": ["first", "finding"]})
    with pytest.raises(BadInputError, match=r"page: 'finding': unknown; did you mean 'findings'"):
        sections_of(wrong)


def test_a_first_page_begins_with_the_opening_that_its_table_names() -> None:
    chair = registry.exercise("Sit-to-Stand")
    html = first_page_of(chair, "as it is")[2]
    assert (
        html.index("What stands out")
        > html.index('class="frames"')
        > html.index("Time for five repetitions")
    )
    report = {**chair.table["report"], "opening": "rise"}
    with pytest.raises(BadInputError, match=r"opening: 'rise': unknown; did you mean 'rises'"):
        sections_of(replace(chair, table={**chair.table, "report": report}))


def test_the_criteria_of_a_single_leg_squat_are_a_section_of_its_own() -> None:
    (own,) = (each for each in sections_of(registry.exercise("Single-Leg Squat"))
              if each.name == "criteria")  # fmt: skip
    page = ReportPage(Store("absent").demo("Single-Leg Squat").read_once())
    assert "Crossley" in own.of(page) + page.references.listed()
    feet = {"framing": {"verdict": "unusable", "advice": None, "outside": {"feet": 0.9}}}
    vars(page)["verdict"] = judge([], feet)
    assert own.of(page).startswith('<p class="missing">Findings are not reported')


def first_page_of(exercise: Exercise, case: str) -> tuple[ReportPage, list[dict[str, Any]], str]:
    """The page of a demo, as it is or of another case, its checks, and its first section."""
    page = ReportPage(Store("absent").demo(exercise.name).read_once())
    metrics, warnings = page.metrics, []
    if case == "right side hidden":
        seen = {name: each.where(each["side"] == "left")
                for name, each in metrics.data_vars.items() if "side" in each.dims}  # fmt: skip
        metrics = metrics.assign(seen).assign_attrs(hidden_side="right")
    elif case == "no norm":
        five = metrics["five_times"] * 1
        five.attrs = {**metrics["five_times"].attrs, "norm_limit": float("nan")}
        five.attrs |= {"no_norm": "it does not begin at rest"}
        metrics = metrics.assign(five_times=five)
    elif case == "ruled out":
        warnings = [AnalysisWarning("hands_not_overhead", "", {"exercise": "squat"})]
    if case != "as it is":
        vars(page)["metrics"] = metrics
        vars(page)["verdict"] = judge(warnings, page.quality, metrics)
    checks = check_rows(find(metrics), page.verdict)
    if case == "as it is":
        assert checks == page.session.checks()
    return page, checks, unescape(sections_of(exercise)[0].of(page))


CASES = ("as it is", "right side hidden", "ruled out")


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("exercise", OF_REPETITIONS, ids=lambda each: each.slug)
def test_every_check_stands_once_on_the_first_page_with_its_answer(exercise, case) -> None:
    page, checks, html = first_page_of(exercise, case)
    assert len({(each["name"], each["side"]) for each in checks}) == len(checks)
    found = stands_on(html, checks)
    assert sorted((name, side or "", answer) for name, side, answer, _ in found) == sorted(
        (each["name"], each["side"] or "", each["result"]) for each in checks
    )
    reasons = {(each["name"], each["side"]): each["reason"] for each in checks}
    for name, side, answer, reason in found:
        if answer == "not_reported":
            assert reason == reasons[name, side] != ""
    counts = Counter(each["result"] for each in checks)
    if case == "right side hidden":
        assert counts["not_visible"] > 0
    elif case == "ruled out" and "arms" in exercise.table["parts"]:
        arms = {each["rule"]: each for each in checks}["arms_fall_forward"]
        assert (arms["result"], arms["value"]) == ("not_reported", None)
        assert arms["reason"] == "the hands are not held above the head"
    # The line under Method and limits counts the same.
    (line,) = wrong_results(page.checks)
    for result in RESULTS:
        number = re.search(rf"(\d+) {in_words(result)}\b", line)
        assert int(number[1] if number else 0) == counts[result], result


def test_a_time_without_a_norm_has_its_value_in_a_row_and_the_reason_in_a_line() -> None:
    page, checks, html = first_page_of(registry.exercise("Sit-to-Stand"), "no norm")
    (row,) = (each for each in checks if each["rule"] == "five_times_slow")
    assert (row["result"], row["limit"]) == ("inconclusive", None)
    assert row["value"] == pytest.approx(float(page.metrics["five_times"]), abs=1e-4)
    (found,) = (each for each in stands_on(html, checks) if each[0] == row["name"])
    assert found == (row["name"], None, "inconclusive", "it does not begin at rest")
    assert f'<th scope="row">{row["name"]}<' in html


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("exercise", OF_REPETITIONS, ids=lambda each: each.slug)
def test_what_is_said_to_be_in_order_is_reached_on_every_side_that_is_seen(exercise, case) -> None:
    _, checks, html = first_page_of(exercise, case)
    answers: dict[str, set[str]] = {}
    for each in checks:
        part = all_rules()[each["rule"]].get("checkpoint")
        if part and not (case == "right side hidden" and each["side"] == "right"):
            side = " (left)" if case == "right side hidden" and each["side"] else ""
            answers.setdefault(part["name"] + side, set()).add(each["result"])
    for word, of_part in (
        ("Target met", [{"met"}]),
        (
            "Borderline, just inside or just outside the target",
            [{"borderline"}, {"borderline", "met"}],
        ),
    ):
        said = re.search(rf"<p>{word}: (.*?)\.</p>", html)
        names = set(re.split(", | and ", said[1])) if said else set()
        assert names == {part for part, each in answers.items() if each in of_part}
