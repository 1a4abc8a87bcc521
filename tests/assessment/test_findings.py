"""From which view a rule is answered."""

from __future__ import annotations

import itertools
import math
import string
from dataclasses import replace

import hand_made
import pytest
import xarray as xr
from scipy.stats import poisson

from mobility import tables
from mobility.assessment.comments import advise
from mobility.assessment.criteria import fms_deep_squat, is_stated
from mobility.assessment.findings import (
    LEVELS,
    Finding,
    all_rules,
    films_beside,
    find,
    in_place,
    surer_views,
    views_that_answer,
    wrong_expected,
)
from mobility.assessment.number import number_of
from mobility.assessment.results import RESULTS
from mobility.catalogue.exercise_table import check_entry
from mobility.catalogue.registry import exercises
from mobility.errors import BadInputError
from mobility.keypoints.view import VIEWS

NAN = math.nan
TABLE = tables.load("findings")
RULES = TABLE["rules"]
SIDED = {
    f"{name}{statistic}"
    for name, entry in tables.load("measures")["measures"].items()
    for statistic in ("", "_variability", "_at_bottom", "_from_standing")
    if entry.get("sided")
}
"""Metrics that have a left and a right, if there are such."""
by_rule = pytest.mark.parametrize("name", RULES)


def metrics(
    values: dict[str, float], sd: float | None = 1.0, *, repetitions: int = 5
) -> xr.Dataset:
    """Metrics Dataset with these values on both sides, and one error for all."""
    data: dict[str, object] = {"accepted_repetitions": repetitions}
    for name, value in values.items():
        units = {"units": next(r["unit"] for r in RULES.values() if r["metric"] == name)}
        sided = name in SIDED
        data[name] = (("side",), [value, value], units) if sided else ((), value, units)
        if sd is not None and not name.endswith("_variability"):
            data[f"{name}_sd"] = (("side",), [sd, sd], units) if sided else ((), sd, units)
    return xr.Dataset(data, coords={"side": ["left", "right"]})


def of_rule(findings, name):
    return [finding for finding in findings if finding.rule == name]


def judged(name, data):
    """Findings of one rule, in an exercise that picks it."""
    exercise = next(each.name for each in exercises() if name in each.table["rules"])
    return of_rule(find(data.assign_attrs(exercise=exercise)), name)


def either_side(rule) -> tuple[float, float]:
    """A value far on the side of the fault, one far on the other; in the unit of the rule."""
    far = {"1": 2.0}.get(rule["unit"], 50.0)
    if rule["direction"] == "outside":
        return rule["threshold"] + far, 0.0
    sign = 1 if rule["direction"] == "above" else -1
    # A standard deviation has no negative value.
    other = 0.01 if rule.get("spread") else rule["threshold"] - sign * far
    return rule["threshold"] + sign * far, other


@by_rule
def test_a_rule_fires_where_it_is_true_and_not_where_it_is_not(name):
    rule = RULES[name]
    fault, fine = either_side(rule)
    spread, both = rule.get("spread"), rule["direction"] == "outside"
    cases = [(fault, 0.02, "found"), (fine, 0.02, "not found")]
    if not spread:
        # A magnitude counts on both sides, a direction on one.
        mirrored = -fault if both else 2 * rule["threshold"] - fault
        cases += [(mirrored, 0.2, "found" if both else "not found")]
    unsure = 15.0 if rule["unit"] == "degree" else 0.6
    cases += [(rule["threshold"], unsure, "cannot be told")]
    for value, sd, status in cases:
        ruled = judged(name, metrics({rule["metric"]: value}, sd=sd))
        assert [f.side for f in ruled] == (["left", "right"] if rule["metric"] in SIDED else [""])
        for finding in ruled:
            assert (finding.status, finding.value) == (status, value)
            assert finding.interval[0] < value < finding.interval[1]
            assert (finding.metric, finding.group) == (rule["metric"], rule["group"])
            assert finding.source == rule["source"]
            assert bool(finding.reason) == (status == "cannot be told")
            assert ("This recording cannot show whether" in finding.participant) == (
                finding.result == "inconclusive"
            )
            assert (0.25 < finding.probability < 0.75) == bool(finding.reason)


@by_rule
def test_what_is_missing_cannot_be_told(name):
    rule = RULES[name]
    fault, _ = either_side(rule)
    for missing, values in {
        "absent": metrics({}),
        "nan": metrics({rule["metric"]: math.nan}),
        "no error": metrics({rule["metric"]: fault}, sd=None),
        "nan error": metrics({rule["metric"]: fault}, sd=math.nan),
    }.items():
        if rule.get("spread") and "error" in missing:
            values = values.drop_vars("accepted_repetitions")
        findings = judged(name, values)
        assert findings
        for finding in findings:
            assert (finding.status, finding.probability) == ("cannot be told", None), missing
            assert finding.interval is None
            assert finding.reason
            assert finding.reason in finding.professional


def test_the_note_of_a_metric_is_the_reason_and_only_where_the_value_is_missing():
    data = metrics({"knee_flexion": 100.0})
    data["knee_flexion"] = data["knee_flexion"].where(data["side"] == "left")
    data["knee_flexion"].attrs = {"units": "degree", "note": "the shin was hidden"}
    left, right = of_rule(find(data), "knee_flexion_limited")
    assert (left.status, left.reason) == ("found", "")
    assert (right.status, right.reason) == ("cannot be told", "the shin was hidden")
    assert "not_visible" not in left.participant
    assert right.participant == (
        "This recording cannot show whether your knee bends far "
        "enough for a full squat: the shin was hidden."
    )


@pytest.mark.parametrize(
    ("value", "sd", "probability", "status"),
    # P(Z < 1) = 0.8413, P(Z < 1.2816) = 0.9, P(Z < 0.8416) = 0.8.
    [
        (115.0, 5.0, 0.8413, "cannot be told"),
        (113.5, 5.0, 0.9032, "found"),
        (120.0, 7.0, 0.5, "cannot be told"),
        (124.1, 5.0, 0.2061, "cannot be told"),
        (124.3, 5.0, 0.1949, "not found"),
    ],
)
def test_probability_is_that_of_the_normal_distribution(value, sd, probability, status):
    (left, right) = of_rule(find(metrics({"knee_flexion": value}, sd)), "knee_flexion_limited")
    assert left.probability == pytest.approx(probability, abs=1e-4)
    assert left.interval == pytest.approx((value - 1.96 * sd, value + 1.96 * sd))
    assert left.status == right.status == status
    # What cannot be told asks for no exercise.
    assert bool(advise([left, right])) is (status == "found")
    assert is_stated(left.probability) is {"found": True, "not found": False}.get(status)


# Of a normal distribution: the number of standard deviations below which 0.9 and 0.8 of it lie.
TENTH, FIFTH = 1.2815515655, 0.8416212336


@pytest.mark.parametrize(
    "name", ["knee_flexion_limited", "heel_rise", "trunk_leans_forward", "dowel_not_over_feet"]
)
def test_the_answers_change_where_the_normal_distribution_says(name):
    """Below, above, for one body and on either side; by steps of a hundredth of the error."""
    rule = RULES[name]
    limit, margin = rule["threshold"], rule["margin"]["value"]
    sign = -1 if rule["direction"] == "below" else 1
    for share in (0.3, 0.65, 1.0):
        sd, step = share * margin, share * margin / 100
        if share == 0.3:
            # The other side of the margin is more than 5 errors away: within it up to FIFTH.
            edge = margin - FIFTH * sd
            expected = [(-edge - step, "met"), (edge + step, "outside")]
            expected += [(each, "borderline") for each in (step - edge, 0.0, edge - step)]
        else:
            # P(|Z| < 1 / 0.65) = 0.876 within the margin at its middle; P(|Z| < 1) = 0.683 is none.
            middle = "borderline" if share == 0.65 else "inconclusive"
            expected = [(-FIFTH * sd - step, "met"), (0.0, middle), (TENTH * sd + step, "outside")]
            # P(-2.3385 < Z < 0.7385) = 0.760; P(-2.1385 < Z < 0.9385) = 0.810.
            expected += [(0.8 * sd, "inconclusive"), (-0.8 * sd, "inconclusive")]
            expected += [(0.6 * sd, middle), (-0.6 * sd, middle)]
        for beyond, answer in expected:
            value = limit + sign * beyond
            for each in judged(name, metrics({rule["metric"]: value}, sd)):
                assert each.result == answer, (share, beyond)
                assert (each.status == "cannot be told") == (
                    answer in ("borderline", "inconclusive")
                )
                tails = ((margin - beyond) / sd, (margin + beyond) / sd)
                farther = sum(0.5 * math.erfc(z / math.sqrt(2)) for z in tails)
                # A magnitude may also lie within the margin of its limit on the other side of 0.
                mirrored = 0.02 if rule["direction"] == "outside" else 1e-3
                assert each.beyond == pytest.approx(farther, abs=mirrored)
            if rule["direction"] == "outside":
                (mirrored,) = judged(name, metrics({rule["metric"]: -value}, sd))
                assert mirrored.result == answer


@pytest.mark.parametrize(("value", "result"), [(-8.5, "met"), (-7.9, "inconclusive")])
def test_depth_asks_for_more_to_be_met(value, result):
    """P(Z > 1.6449) = 0.05; the error is 5 degrees. The criterion of the femur says the same."""
    data = hand_made.metrics_of({"thigh_elevation": ((value, value), (5.0, 5.0))})
    assert {each.result for each in judged("depth_not_reached", data)} == {result}
    assert (
        RULES["depth_not_reached"]["met"]["value"]
        == (tables.load("criteria")["fms_deep_squat"]["criteria"]["femur"]["met"])
    )


def test_the_answers_about_a_spread_are_those_of_chi_square():
    """With 4 degrees of freedom; quantiles 0.2 and 0.9 of tables: 1.649 and 7.779."""
    limit = RULES["knee_flexion_varies"]["threshold"]
    for squares, answer in (
        (1.6, "met"),
        (1.7, "inconclusive"),
        (7.7, "inconclusive"),
        (7.9, "outside"),
    ):
        value = limit * math.sqrt(squares / 4)
        for each in judged("knee_flexion_varies", metrics({"knee_flexion_variability": value})):
            assert (each.result, each.beyond) == (answer, None)


def test_a_rule_without_a_margin_has_no_near():
    for name in (name for name, rule in RULES.items() if "margin" not in rule):
        rule = RULES[name]
        spans = (abs(rule["threshold"]) * share for share in (0.01, 0.1, 1.0))
        for sd, off in itertools.product(spans, (-1.0, -0.1, 0.0, 0.1, 1.0)):
            for each in judged(name, metrics({rule["metric"]: abs(rule["threshold"] + off)}, sd)):
                assert each.result != "borderline"
                assert each.beyond is None


@pytest.mark.parametrize(
    ("unseen", "left", "right"),
    [
        ("left right", "not_visible", "not_visible"),
        ("left", "not_visible", "not_reported"),
        ("", "not_reported", "not_reported"),
    ],
)
def test_what_the_camera_cannot_see_of_a_side_is_hidden(unseen, left, right):
    data = hand_made.metrics_of({"heel_rise": ((math.nan,) * 2, (math.nan,) * 2)})
    data["heel_rise"].attrs |= {"note": "the heel is hidden from the camera", "hidden": unseen}
    answers = {each.side: each.result for each in judged("heel_rise", data)}
    assert answers == {"left": left, "right": right}
    seen = hand_made.metrics_of({"heel_rise": ((-3.0, -3.0), (1.0, 1.0))})
    seen["heel_rise"].attrs["hidden"] = unseen
    assert {each.result for each in judged("heel_rise", seen)} == {"met"}


def test_a_finding_has_the_number_of_its_measure() -> None:
    data = metrics({"knee_flexion": 90.0})
    data["knee_flexion"].attrs["statistic"] = "median"
    data["knee_flexion_sem"] = data["knee_flexion"].copy(data=[2.5, NAN])
    left, right = (each for each in find(data) if each.rule == "knee_flexion_limited")
    assert left.number == number_of(data, "knee_flexion", "left")
    assert (left.number.sd, left.number.sem, left.number.statistic) == (1.0, 2.5, "median")
    assert (right.side, right.value, math.isnan(right.number.sem)) == ("right", 90.0, True)
    data["knee_flexion"][0] = NAN
    (missing, _) = (each for each in find(data) if each.rule == "knee_flexion_limited")
    assert (missing.value, missing.units, missing.side) == (None, "degree", "left")
    assert missing.number.reason == missing.reason == number_of(data, "knee_flexion", "left").reason


def test_hidden_goes_before_refused_and_what_is_missing_else_is_refused():
    data = hand_made.metrics_of({"heel_rise": ((math.nan,) * 2, (math.nan,) * 2)})
    data["heel_rise"].attrs["note"] = "this view does not show the heels well enough"
    assert {each.result for each in judged("heel_rise", data)} == {"not_reported"}
    hiding = data.assign_attrs(hidden_side="right")
    assert {each.side: each.result for each in judged("heel_rise", hiding)} == {
        "left": "not_reported",
        "right": "not_visible",
    }


def test_how_many_answers_are_expected_to_be_wrong_is_the_sum_of_their_probabilities():
    findings = find(
        hand_made.metrics_of(
            {
                "knee_flexion": ((119.0, 119.0), (3.5, 3.5)),
                "heel_rise": ((9.0, NAN), (3.0, NAN)),
                "arm_fall": (8.0, 15.0),
            }
        )
    )
    by_answer = {answer: [each for each in findings if each.result == answer] for answer in RESULTS}
    assert [len(by_answer[answer]) for answer in ("outside", "borderline", "inconclusive")] == [
        1,
        2,
        1,
    ]
    # 1 less the probability of *outside*; P(Z > 6 / 3.5) + P(Z > 4 / 3.5) of the margin.
    assert wrong_expected(by_answer["outside"]) == pytest.approx(0.0478, abs=1e-4)
    assert wrong_expected(by_answer["borderline"]) == pytest.approx(2 * 0.1698, abs=1e-4)
    reached = sum(each.probability for each in by_answer["met"])
    assert wrong_expected(by_answer["met"]) == pytest.approx(reached)
    assert wrong_expected([*by_answer["inconclusive"], *by_answer["not_reported"]]) == 0
    assert wrong_expected(findings) == pytest.approx(0.0478 + 0.3396 + reached, abs=1e-3)


def test_on_the_grid_as_many_answers_are_wrong_as_their_probabilities_say(project):
    """Counts that `benchmarks/findings.py` wrote, by view; 95 % of a Poisson distribution."""
    text = (project / "benchmarks" / "findings.md").read_text(encoding="utf-8")
    sections = {part.split("\n", 1)[0]: part for part in text.split("\n## ")}
    cells = {
        name: [
            [cell.strip() for cell in line.strip("|").split("|")]
            for line in sections[name].splitlines()
            if line.startswith("|")
        ]
        for name in ("Results", "Wrong results")
    }
    head, _, *answers = cells["Results"]
    counted = {row[0]: dict(zip(head, row, strict=True)) for row in answers}
    assert cells["Wrong results"][0][:4] == ["view", "results", "said wrong", "wrong"]
    for view, count, expected, wrong, _ in cells["Wrong results"][2:]:
        made = sum(int(counted[view][name]) for name in ("outside", "met", "borderline"))
        assert int(count) == made
        right = float(counted[view]["right"].partition("%")[0]) / 100
        assert int(wrong) == pytest.approx(made * (1 - right), abs=0.005 * made + 0.01)
        low, high = poisson.interval(0.95, float(expected))
        assert low <= int(wrong) <= high, view
    assert made > 200


@pytest.mark.parametrize(("value", "sd"), [(118.0, 1.5), (122.0, 1.5), (118.0, 2.5), (122.0, 2.5)])
def test_borderline_is_within_the_margin_on_either_side_and_the_words_are_true(value, sd):
    """Below or above 120 degrees by 2 of 5: P(Z < 3 / sd) - P(Z < -7 / sd)."""
    for each in of_rule(find(metrics({"knee_flexion": value}, sd)), "knee_flexion_limited"):
        assert (each.result, each.status) == ("borderline", "cannot be told")
        within = {1.5: 0.9772, 2.5: 0.8824}[sd]
        assert 1 - each.beyond == pytest.approx(within, abs=1e-3)
        assert each.participant.startswith(f"Knee flexion {each.side} {value:.0f}° (")
        assert each.participant.endswith(
            "): borderline. It is just inside or just outside the target of 120°, probably "
            "by no more than 5°."
        )
        assert each.reason == "its value is just inside or just outside the target"


def test_a_value_that_clearly_meets_its_target_with_a_large_error_is_not_borderline():
    """Of no difference +- 8.2, 0.54 lies 5 to 15 degrees from 0 and 0.78 within 10."""
    (each,) = of_rule(find(metrics({"knee_flexion_asymmetry": 0.0}, 8.2)), "knee_flexion_asymmetry")
    assert each.beyond == pytest.approx(1 - 0.4746, abs=1e-3)
    assert each.result == "inconclusive"


def test_near_prescribes_nothing():
    findings = find(hand_made.metrics_of({"knee_flexion": ((119.0, 119.0), (3.0, 3.0))}))
    near = [each for each in findings if each.result == "borderline"]
    assert {each.rule for each in near} == {"knee_flexion_limited"}
    assert advise(findings) == ()
    for each in near:
        assert "target of 120°, probably by no more than 5°" in each.participant


def test_a_difference_is_said_of_the_larger_side_without_sign():
    name = "knee_flexion_asymmetry"
    (left,) = of_rule(find(metrics({name: -30.0}, 1.0)), name)
    assert left.value == -30
    assert left.participant == "Your left knee bends more than the other, by 30° (28 to 32°)."
    (right,) = of_rule(find(metrics({name: 30.0}, 1.0)), name)
    assert right.professional.startswith("Knee flexion is larger on the right by 30°")
    # An error that hides every difference is no proof of symmetry.
    for value, sd, status in ((5.0, 22.0, "cannot be told"), (0.0, 3.0, "not found")):
        (finding,) = of_rule(find(metrics({name: value}, sd)), name)
        assert finding.status == status
    assert finding.participant == "Your knees bend equally, within 10°."


def test_spread_over_repetitions_follows_chi_square():
    # With 4 degrees of freedom P(chi2 < q) = 1 - (1 + q/2) exp(-q/2); q = 4 x 6² / 3² = 16.
    (left, _) = of_rule(find(metrics({"knee_flexion_variability": 6.0})), "knee_flexion_varies")
    assert left.probability == pytest.approx(1 - 9 * math.exp(-8))
    # 95 % interval of an SD of one with n = 5: 0.599 to 2.874 (tables of chi-square).
    assert [bound / 6 for bound in left.interval] == pytest.approx([0.599, 2.874], abs=1e-3)


@by_rule
def test_a_rule_is_held_to_what_those_of_other_packages_are(name):
    check_entry("findings", RULES[name], name)


@pytest.mark.parametrize("exercise", exercises(), ids=lambda each: each.slug)
def test_the_first_page_names_rules_in_their_place_and_else_as_the_exercise_does(exercise):
    picked = exercise.table["rules"]
    placed = list(in_place(exercise))
    assert sorted(placed) == sorted(picked)
    places = [all_rules()[name].get("place", math.inf) for name in placed]
    for (one, first), (other, second) in itertools.pairwise(zip(placed, places, strict=True)):
        assert (first, picked.index(one)) < (second, picked.index(other))


@by_rule
def test_every_rule_has_its_source_and_every_field_of_its_texts_is_filled(name):
    rule = RULES[name]
    assert len(rule["source"]) > 20
    assert rule["group"] in TABLE["groups"]
    assert ("threshold" in rule) != (rule["direction"] == "beyond_mdc")
    for level, status in itertools.product(LEVELS, ("found", "not_found")):
        text = rule[level][status]
        fields = {field for _, field, _, _ in string.Formatter().parse(text) if field}
        assert "measured" in fields or (level, status) == ("participant", "not_found")
    for sd, value in itertools.product((0.2, 3.0, None), (*either_side(rule), math.nan)):
        for finding in judged(name, metrics({rule["metric"]: value}, sd)):
            for text in (finding.participant, finding.professional):
                assert not set("{}") & set(text)
                assert "nan" not in text.replace("unknown", "")
                assert "  " not in text
                assert text.endswith(".")
                assert text[0].isupper()


def test_a_threshold_is_the_same_wherever_it_is_used():
    """The criteria, the compensations and the indices draw their lines where the rules do."""
    lines = {(r["metric"], r["direction"], r.get("threshold")) for r in RULES.values()}
    tables_ = tables.load("criteria"), tables.load("indices")
    for entry in tables_[0]["fms_deep_squat"]["criteria"].values():
        assert (entry["measure"], entry["fails"], entry["threshold"]) in lines
    for entry in tables_[0]["compensations"]["assessed"].values():
        assert (entry["measure"], entry["found"], entry["threshold"]) in lines
    for index in ("mobility_index", "quality_index"):
        assert {part["rule"] for part in tables_[1][index]["parts"].values()} <= set(RULES)


@pytest.mark.parametrize("view", [None, "front"])
def test_findings_and_criteria_of_one_dataset_agree(view):
    data = hand_made.metrics_of(
        {"thigh_elevation": ((2.0, -3.0), (3.0, 3.0)), "trunk_tibia_difference": (6.0, 3.0)}
    )
    judged = fms_deep_squat(data, view=view)
    both = data.assign(judged.data_vars).assign_attrs(history=judged.attrs["history"])
    likely = {finding.id: finding.probability for finding in find(both)}
    met = judged["fms_probability"]
    assert likely["trunk_leans_forward"] == pytest.approx(1 - float(met.sel(fms_criterion="torso")))
    sides = [likely["depth_not_reached_left"], likely["depth_not_reached_right"]]
    assert max(sides) == pytest.approx(1 - float(met.sel(fms_criterion="femur")))


@pytest.mark.parametrize(
    ("changed", "faults"),
    [
        ({}, []),
        ({"heel_rise": ((20.0, 0.0), (2.0, 1.0))}, ["heel_rise_left"]),
        # Hip flexion is 90 degrees and trunk lean less thigh elevation: nothing is wrong.
        ({"hip_flexion": ((105.0,) * 2, (2.0,) * 2), "trunk_lean": (10.0, 2.0)}, []),
    ],
)
def test_the_good_squat_has_no_fault_but_those_that_are_put_in(changed, faults):
    data = hand_made.metrics_of(changed)
    before = data.copy(deep=True)
    findings = find(data)
    assert [finding.id for finding in findings if finding.status == "found"] == faults
    assert repr(findings) == repr(find(before))  # NaN differs from NaN
    assert data.identical(before)


def test_another_unit_or_shape_is_refused():
    data = metrics({"knee_flexion": 100.0})
    data["knee_flexion"].attrs["units"] = "radian"
    with pytest.raises(BadInputError, match="knee_flexion is in 'radian'"):
        find(data)
    with pytest.raises(BadInputError, match="knee_flexion has the dimensions"):
        find(xr.Dataset({"knee_flexion": ("rep", [1.0, 2.0])}))


def test_near_is_said_with_the_sign_that_its_row_has():
    findings = find(hand_made.metrics_of({"dowel_offset": (-0.55, 0.1)}))
    (near,) = (each for each in findings if each.result == "borderline")
    assert near.participant.startswith("Hand position over feet −0.55 (−0.75 to −0.35)")
    assert (
        "the target of ±0.50 foot lengths, probably by no more than 0.25 foot lengths"
        in near.participant
    )


FRONTAL = ("knee_inside_foot", "knee_flexion_asymmetry", "one_leg_knee_asymmetry")


def finding(rule: str, side: str = "", **changed: object) -> Finding:
    found = (f for f in find(hand_made.metrics_of()) if f.rule == rule and f.side == side)
    return replace(next(found), **changed)


def test_what_was_counted_is_a_share_of_each_view_and_else_the_declaration_is_asked(
    monkeypatch,
) -> None:
    counted = tables.load("views_of_rules")["counted"]
    for grid in counted.values():
        for rule, views in grid["rules"].items():
            assert rule in all_rules()
            assert set(views) <= set(VIEWS)
            assert all(0 <= each["answered"] <= 1 for each in views.values())
    for rule in FRONTAL:  # the frontal plane edge-on has no answer
        assert views_that_answer(rule)["side"] == 0
        assert views_that_answer(rule)["front"] > 0
    assert views_that_answer("knee_flexion_limited")["side"] == 1
    # A rule that needs five repetitions has no answer on these people.
    assert views_that_answer("knee_flexion_varies") == dict.fromkeys(VIEWS, 1.0)
    monkeypatch.setitem(tables.load("views_of_rules"), "counted", {})
    for rule in FRONTAL:
        seen = views_that_answer(rule)
        assert (seen["front"], seen["side"], seen["back-oblique"]) == (1, 0, 0)
    assert views_that_answer("heel_rise") == dict.fromkeys(VIEWS, 1.0)


def test_a_view_is_surer_where_its_intervals_are_clearly_narrower() -> None:
    counted = {
        "front": {"answered": 0.5, "half_width": [10, 12, 14]},
        "front-oblique": {"answered": 0.5, "half_width": [8, 9, 10.5]},
        "side": {"answered": 0.5, "half_width": [4, 5, 9]},
        "back": {"answered": 0.0},
    }
    table = {"counted": {"grid": {"rules": {"arms_fall_forward": counted}}}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "load", lambda _: table)
        assert surer_views("arms_fall_forward", "front") == {"side": pytest.approx(7 / 12)}
        assert surer_views("arms_fall_forward", "side") == {}
        assert surer_views("arms_fall_forward", "back") == {"side": 1.0}
        assert surer_views("heel_rise", "front") == {}
    assert next(iter(surer_views("arms_fall_forward", "front"))) == "side"


def test_an_angle_beside_the_person_is_filmed_from_the_side() -> None:
    """The ankle's intervals are a little narrower from the front, its errors are not."""
    assert next(iter(surer_views("ankle_dorsiflexion_limited", "front-oblique"))) == "side"
    assert next(iter(surer_views("ankle_dorsiflexion_limited", "back"))) == "side"
    # What the side does not show is filmed from the front.
    assert next(iter(surer_views("ankle_dorsiflexion_asymmetry", "front-oblique"))) == "front"


def test_one_film_for_all_that_is_hidden_and_another_for_what_it_does_not_show() -> None:
    hidden = [
        finding("knee_inside_foot", "right", result="not_visible"),
        *(
            finding(rule, "left", result="not_visible", hidden=True)
            for rule in ("knee_inside_foot", "knee_flexion_limited", "depth_not_reached")
        ),
    ]
    told = [finding("heel_rise", "right"), finding("arms_fall_forward", result="not_reported")]
    ((film, shown),) = films_beside([*hidden, *told], ["side"]).items()
    assert shown == hidden
    assert film in ("front", "front-oblique")
    # Of a leg behind the other what is seen from the side alone needs the other side.
    far = [finding("depth_not_reached", "left", result="not_visible", hidden=True)]
    assert films_beside(far, ["side"]) == {"left": far}
    heels = [finding("heel_rise", side, result="not_visible") for side in ("left", "right")]
    assert films_beside(heels, ["front"]) == {"side": heels}
    assert films_beside(heels[1:], ["front"]) == {"back-oblique": heels[1:]}
    open_arms = [finding("arms_fall_forward", result="inconclusive")]
    assert films_beside(open_arms, ["front"]) == {"side": open_arms}
    assert films_beside(open_arms, ["side"]) == films_beside(open_arms, ["unknown"]) == {}
