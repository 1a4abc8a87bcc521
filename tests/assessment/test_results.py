"""No two statements about one recording contradict each other, whatever was measured."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator

import numpy as np
import xarray as xr
from hand_made import GOOD, metrics_of

from mobility import tables
from mobility.assessment.comments import SUMMARY, advise, comments, recommendations
from mobility.assessment.criteria import (
    compensations,
    fms_deep_squat,
    fms_verdict,
    is_stated,
)
from mobility.assessment.findings import Finding, find, wrong_expected
from mobility.assessment.indices import mobility_index, quality_index
from mobility.assessment.results import DECIDED, RESULTS, in_current_words
from mobility.assessment.verdict import judge

RULES = tables.load("findings")["rules"]
NAN = float("nan")
CHECKED = {"light": {"verdict": "ok", "advice": None}}


def at_random(count: int) -> Iterator[xr.Dataset]:
    """Metrics on both sides of every limit, of small and large errors, some missing.

    A camera at the side may hide the other one.
    """
    rng = np.random.default_rng(43)
    for _ in range(count):
        hidden, changed = str(rng.choice(["left", "right", "", "", ""])), {}
        spread = rng.choice([0.3, 1.0, 3.0])
        for rule in RULES.values():
            if rule["metric"] not in GOOD or "margin" not in rule:
                continue
            sides = 2 if isinstance(GOOD[rule["metric"]][0], tuple) else 1
            sign = {"below": -1, "above": 1}.get(rule["direction"]) or int(rng.choice([-1, 1]))
            off = rng.uniform(-5, 2, sides) * rng.choice([0.3, 1.0]) * rule["margin"]["value"]
            values = sign * (sign * rule["threshold"] + off)
            if rule["direction"] == "outside":
                values = sign * (rule["threshold"] + off)
            sds = spread * 10 ** rng.uniform(-1.5, 0.3, sides) * rule["margin"]["value"]
            values[rng.random(sides) < 0.05] = NAN
            sds[rng.random(sides) < 0.05] = NAN
            if sides == 2 and hidden:
                values[["left", "right"].index(hidden)] = NAN
            of_metric = [tuple(map(float, each)) for each in (values, sds)]
            changed[rule["metric"]] = (
                tuple(of_metric) if sides == 2 else tuple(each[0] for each in of_metric)
            )
        attrs = {"hidden_side": hidden} if hidden else {}
        view = {"left": "right", "right": "left"}.get(hidden)
        data = metrics_of(changed, **attrs)
        for screen in (fms_deep_squat(data, view=view), compensations(data, view=view)):
            data = data.assign(screen.data_vars)
        for index in (mobility_index(data), quality_index(data)):
            data = data.assign(index.data_vars)
        yield data


def stated_of(findings: tuple[Finding, ...]) -> dict[str, bool | None]:
    """Whether each rule is outside its target, or meets it on all sides that are seen."""
    results: dict[str, set[str]] = {}
    for each in findings:
        results.setdefault(each.rule, set()).update([] if each.hidden else [each.result])
    return {
        rule: True if "outside" in of_rule else False if of_rule == {"met"} else None
        for rule, of_rule in results.items()
    }


def test_no_two_statements_about_one_recording_contradict_each_other() -> None:
    criteria, indices = tables.load("criteria"), tables.load("indices")
    rule_at = {(r["metric"], r["direction"], r["threshold"]): n for n, r in RULES.items()}
    verdicts, all_results = set[str](), Counter[str]()
    for data in at_random(25):
        findings = find(data)
        stated = stated_of(findings)
        all_results.update(each.result for each in findings)
        # A criterion knows no margin.
        close = {each.rule for each in findings if each.result == "borderline"}
        fms, nasm = data["fms_probability"], data["compensation_probability"]
        for name, entry in criteria["fms_deep_squat"]["criteria"].items():
            rule = rule_at[entry["measure"], entry["fails"], entry["threshold"]]
            likely = 1 - float(fms.sel(fms_criterion=name))
            assert rule in close or is_stated(likely, met=entry.get("met")) is stated[rule], name
        for name, entry in criteria["compensations"]["assessed"].items():
            rule = rule_at[entry["measure"], entry["found"], entry["threshold"]]
            likely = float(nasm.sel(compensation=name))
            assert rule in close or is_stated(likely) is stated[rule], name
        score, words = fms_verdict(fms)
        verdicts.add(words)
        assert (score, words) == (fms.attrs["score"], fms.attrs["verdict"])
        for index, dim in (("mobility_index", "mobility_part"), ("quality_index", "quality_part")):
            part_scores = data[f"{index}_part_score"].to_series()
            notes = json.loads(data[index].attrs.get("notes", "{}"))
            for part, entry in indices[index]["parts"].items():
                is_there = stated[entry["rule"]]
                sides = [f for f in findings if f.rule == entry["rule"] and not f.hidden]
                decided = [each.result in DECIDED for each in sides]
                is_scored = is_there is True or (bool(decided) and all(decided))
                assert np.isfinite(part_scores[part]) == is_scored, (index, part)
                assert bool(notes.get(part)) != is_scored
                assert is_there is not True or part_scores[part] < 90
            assert list(data[dim]) == list(indices[index]["parts"])
        works = advise(findings)
        assert {f.result for work in works for f in work.because} <= {"outside"}
        shown = {result: sum(f.result == result for f in findings) for result in RESULTS}
        clear = sum(shown[result] for result in DECIDED)
        headline = judge([], CHECKED, data).headline
        assert ("No check has" in headline) == (clear == 0)
        assert ("All checks have" in headline) == (clear == len(findings))
        wrong = wrong_expected(findings)
        assert 0 <= wrong <= 0.2 * sum(shown[result] for result in DECIDED)
        keep = tables.load("advice")["keep"]["text"]
        alone = shown["met"] == len(findings)
        assert (keep in recommendations(data)[SUMMARY]) == alone
        assert words in comments(data, level="professional")[SUMMARY]
    assert all_results.keys() == {*RESULTS}
    assert len(verdicts) > 3


def test_one_table_has_the_results_in_their_order_and_each_had_a_word_of_its_own() -> None:
    entries = tables.load("sentences_results")
    assert tuple(entries) == RESULTS
    assert {name: entry["was"] for name, entry in entries.items()} == {
        **{"outside": "fault", "met": "reached", "borderline": "near"},
        **{"inconclusive": "open", "not_reported": "refused", "not_visible": "hidden"},
    }
    assert tables.load("cohort_columns")["checks"]["result"]["values"] == list(RESULTS)


def test_a_stored_check_is_read_with_the_words_of_now() -> None:
    stored = {"rule": "heel_rise", "answer": "near", "reason": "open"}
    now = {"rule": "heel_rise", "result": "borderline", "reason": "open"}
    assert in_current_words(stored) == now
    assert in_current_words(now) == now
    # The former probability was of one side of the target alone.
    assert in_current_words(stored | {"beyond_margin": 0.1}) == now | {"beyond_margin": None}
    for strange in ({"answer": None}, {"answer": ["near"]}):
        assert in_current_words(strange) == strange
    assert in_current_words({"answer": "no word of ours"}) == {"result": "no word of ours"}
    assert in_current_words("fault") == "fault"
