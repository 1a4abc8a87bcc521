"""The pages of exercises with repetitions, as their tables list the sections."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mobility import registry
from mobility.assessment.kinds import entry_of
from mobility.assessment.verdict import PARTS, judge
from mobility.errors import BadInputError
from mobility.registry import Exercise
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


def test_the_criteria_of_a_single_leg_squat_are_a_section_of_its_own() -> None:
    (own,) = (each for each in sections_of(registry.exercise("Single-Leg Squat"))
              if each.name == "criteria")  # fmt: skip
    page = ReportPage(Store("absent").demo("Single-Leg Squat").read_once())
    assert "Crossley" in own.of(page) + page.references.listed()
    feet = {"framing": {"verdict": "unusable", "advice": None, "outside": {"feet": 0.9}}}
    vars(page)["verdict"] = judge([], feet)
    assert own.of(page).startswith('<p class="missing">Findings are not given')
