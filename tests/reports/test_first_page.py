"""Sentences of a first page: each is true of every case that leads to it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from html import unescape
from itertools import product

import pytest

from mobility import tables
from mobility.assessment.findings import Finding, all_rules, find, say
from mobility.assessment.number import Number
from mobility.assessment.results import RESULTS, Result
from mobility.assessment.verdict import Verdict, judge
from mobility.base.formatting import listed
from mobility.catalogue import registry
from mobility.catalogue.exercise import Exercise
from mobility.reports.first_page import MOST_FINDINGS, in_lines, main_findings
from mobility.store import Store

OF_REPETITIONS = [each for each in registry.exercises() if each.noun == "repetition"]
NO_FAULT = {"met", "borderline"}
PLURAL = re.compile(r"(Your (knees|feet|heels|thighs|ankles) |Both |You reach )")
"""What a sentence on one side does not say of both."""


def answered(finding: Finding, answer: Result) -> Finding:
    """The check with another answer, and the numbers that it then has."""
    status = {"outside": "found", "met": "not found"}.get(answer, "cannot be told")
    changed = replace(finding, result=answer, status=status, reason="the light is poor")
    if answer in ("not_reported", "not_visible"):
        side = answer == "not_visible" and finding.side
        number = Number(units=finding.units, side=finding.side, reason="the light is poor")
        none = {"number": number, "interval": None, "probability": None}
        return replace(changed, **none, hidden=bool(side))
    threshold = 10.0 if finding.threshold is None else finding.threshold
    inside = all_rules()[finding.rule]["direction"] == "below"
    far = 0.9 * abs(threshold) + 1
    value = threshold + far * ((answer == "met") - (answer == "outside")) * (1 if inside else -1)
    interval = (value - far / 2, value + far / 2)
    probability = {"outside": 0.95, "met": 0.05}.get(answer, 0.4)
    number = replace(finding.number, value=value)
    numbers = {"number": number, "interval": interval, "probability": probability}
    return replace(changed, threshold=threshold, norm="others", **numbers)


def combinations(findings: Sequence[Finding]) -> Iterator[list[Finding]]:
    """All answers of the sides of each rule, among others that all have one answer."""
    for rule in dict.fromkeys(each.rule for each in findings):
        of_rule = [each for each in findings if each.rule == rule]
        for background, *answers in product(RESULTS, repeat=1 + len(of_rule)):
            given = dict(zip((each.id for each in of_rule), answers, strict=True))
            yield [answered(each, given.get(each.id, background)) for each in findings]


def said(findings: Sequence[Finding], verdict: Verdict) -> tuple[list[str], list[str]]:
    """Sentences on faults, and the paragraphs below them."""
    page = unescape(str(main_findings(findings, verdict)))
    return re.findall("<li>(.*?)</li>", page), re.findall("<p[^>]*>(.*?)</p>", page)


def expected_of(findings: Sequence[Finding]) -> list[str]:
    """Paragraphs that are true of answers, from the words of the table."""
    answers = [each.result for each in findings]
    rules: dict[str, list[Finding]] = {}
    for each in findings:
        rules.setdefault(each.rule, []).append(each)
    outside = [name for name, each in rules.items() if "outside" in {f.result for f in each}]
    faults = len(outside)
    words = {all_rules()[name]["client"]["outside"] for name in outside}
    more = faults - min(len(words), MOST_FINDINGS)
    lines = [f"{more} more in the section Findings."] if more else []
    if not faults:
        lines.append(
            "Nothing is outside its target." if {*answers} <= NO_FAULT
            else "No check with a clear result is outside its target." if {*answers} & NO_FAULT
            else "No check could be judged from this recording."
        )  # fmt: skip
    named: dict[str, list[str]] = {"met": [], "borderline": []}
    for name in sorted(rules, key=lambda name: all_rules()[name].get("place", float("inf"))):
        seen = [each for each in rules[name] if not each.hidden]
        of_seen = {each.result for each in seen}
        if "checkpoint" in all_rules()[name] and of_seen in ({"met"}, {"borderline"}, NO_FAULT):
            side = f" ({seen[0].side})" if len(seen) < len(rules[name]) else ""
            worst = "borderline" if "borderline" in of_seen else "met"
            named[worst].append(all_rules()[name]["checkpoint"]["name"] + side)
    return lines + [
        tables.sentence(f"report.lines.alone.{result}", names=listed(names))
        for result, names in named.items()
        if names
    ]


@pytest.mark.parametrize("exercise", OF_REPETITIONS, ids=lambda each: each.slug)
def test_each_sentence_is_true_of_all_combinations_of_answers(exercise: Exercise) -> None:
    verdict, findings = judge([]), find(Store("absent").demo(exercise.name).metrics())
    names = [rule["checkpoint"]["name"] for name, rule in all_rules().items()
             if name in exercise.table["rules"] and "checkpoint" in rule]  # fmt: skip
    assert len({*names}) == len(names)
    many = 0
    for case in combinations(findings):
        many += 1
        faults, paragraphs = said(case, verdict)
        assert paragraphs == expected_of(case)
        rules: dict[str, list[Finding]] = {}
        for each in case:
            if each.result == "outside":
                rules.setdefault(each.rule, []).append(each)
        words = {all_rules()[rule]["client"]["outside"] for rule in rules}
        assert len(faults) == min(len(words), MOST_FINDINGS)
        for sentence in faults:
            (of_rule,) = (each for each in rules.values() if say(each, "participant") == sentence)
            sides = {each.side for each in of_rule} - {""}
            assert {side for side in ("left", "right") if f"{side} " in sentence} >= sides
            if sides:
                assert not PLURAL.match(sentence), sentence
            if len(sides) == 1:
                (other,) = {"left", "right"} - sides
                assert f"{other} " not in sentence, sentence
    assert many >= 6**2 * len(exercise.table["rules"])


@pytest.mark.parametrize("exercise", OF_REPETITIONS, ids=lambda each: each.slug)
def test_a_sentence_on_one_side_does_not_speak_of_both(exercise: Exercise) -> None:
    """Of either answer, to either reader."""
    for each in find(Store("absent").demo(exercise.name).metrics()):
        if each.side:
            for answer in ("found", "not_found"):
                sentence = all_rules()[each.rule]["participant"][answer]
                assert not PLURAL.match(sentence), sentence


def test_what_is_likely_names_its_side_and_is_not_said_to_be_unjudged() -> None:
    findings = find(Store("absent").demo("overhead squat").metrics())
    left, right = (each for each in findings if each.rule == "depth_not_reached")
    likely = replace(answered(right, "inconclusive"), probability=0.8)
    _, paragraphs = said([answered(left, "not_visible"), likely], judge([]))
    assert paragraphs[0].startswith("The squat may not be deep enough (right)")
    assert paragraphs[1:] == ["No check has a clear result."]
    both = [
        replace(likely, number=replace(likely.number, side=each.side), id=each.id)
        for each in (left, right)
    ]
    assert "(" not in said(both, judge([]))[1][0]


def test_brackets_are_there_only_for_a_side() -> None:
    """Two films answer each for itself what has no side."""
    findings = find(Store("absent").demo("sit-to-stand").metrics())
    slow = next(each for each in findings if each.rule == "five_times_slow")
    likely = replace(answered(slow, "inconclusive"), probability=0.8)
    two = [likely, answered(slow, "met")]
    (line, *_) = said(two, judge([]))[1]
    assert line.startswith("Five repetitions may take too long.")
    for answers in (two, [*map(answered, [slow, slow], ("inconclusive", "not_reported"))]):
        assert "()" not in str(in_lines(answers, marked={}))


def test_what_is_said_of_the_knee_is_said_once() -> None:
    """The angle of the knee and its place over the foot are one thing to a client."""
    findings = find(Store("absent").demo("single-leg squat").metrics())
    angle, foot = (
        next(each for each in findings if each.rule == rule and each.side == "right")
        for rule in ("one_leg_knee_moves_in", "one_leg_knee_inside_foot")
    )
    outside, _ = said([answered(angle, "outside"), answered(foot, "outside")], judge([]))
    assert len(outside) == 1
    likely = [replace(answered(each, "inconclusive"), probability=0.8) for each in (angle, foot)]
    for case in ([answered(angle, "outside"), likely[1]], likely):
        sentences, paragraphs = said(case, judge([]))
        assert len(re.findall("inwards", " ".join(sentences + paragraphs))) == 1


def test_without_rules_nothing_is_said_of_faults() -> None:
    assert said((), judge([])) == ([], [])
