"""Criteria and compensations: probabilities by hand, and what stays open."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest
import xarray as xr
from hand_made import GOOD, metrics_of
from hypothesis import given, settings
from hypothesis import strategies as st

from mobility import tables
from mobility.assessment.comments import comments
from mobility.assessment.criteria import (
    compensations,
    fms_deep_squat,
    fms_verdict,
    is_stated,
    probability_in_words,
    probability_of,
)
from mobility.assessment.findings import find
from mobility.base.provenance import history
from mobility.errors import BadInputError

NAN = float("nan")
ALL = "3"
NOT_MET = "at most 2. Repeat the squat with raised heels to decide between 2 and 1"
OPEN = "cannot be judged"
TOGETHER = (
    f"{OPEN}: each criterion is met, but the probability that all are met together is only {{}}"
)
IF_FEET_FORWARD = "3 if the feet point forward, which is not certain"


def verdict(changed=None, view=None):
    return fms_deep_squat(metrics_of(changed), view=view)["fms_probability"].attrs["verdict"]


def criterion(name, changed=None, view=None):
    probabilities = fms_deep_squat(metrics_of(changed), view=view)["fms_probability"]
    return float(probabilities.sel(fms_criterion=name))


def compensation(name, changed=None, view=None):
    probabilities = compensations(metrics_of(changed), view=view)["compensation_probability"]
    return float(probabilities.sel(compensation=name))


def test_probability_by_hand():
    # 1.2816 standard deviations are exceeded by a tenth.
    assert probability_of(10 + 1.2816 * 4, 4, 10, side="above") == pytest.approx(0.9, abs=1e-4)
    assert probability_of(10 + 1.2816 * 4, 4, 10, side="below") == pytest.approx(0.1, abs=1e-4)
    assert probability_of(0, 1, 1.95996, side="outside") == pytest.approx(0.05, abs=1e-5)
    # Beyond a fifth on the one side and 1.96 on the other.
    assert probability_of(1.2, 1, 1, side="outside") == pytest.approx(0.5793, abs=1e-4)
    assert probability_of(10.001, 0, 10, side="above") == 1
    assert probability_of(10, 0, 10, side="above") == 0
    np.testing.assert_equal(
        probability_of(np.array([NAN, 3.0]), np.array([1.0, NAN]), 0, side="above"), [NAN, NAN]
    )


@given(st.floats(-50, 50), st.floats(0.01, 20), st.floats(0, 30))
@settings(max_examples=60, deadline=None)
def test_opposites_add_up_to_one(value, sd, threshold):
    above = probability_of(value, sd, threshold, side="above")
    below = probability_of(value, sd, threshold, side="below")
    assert above + below == pytest.approx(1)
    outside = probability_of(value, sd, threshold, side="outside")
    assert outside == pytest.approx(probability_of(-value, sd, threshold, side="outside"), abs=1e-9)
    assert -1e-12 <= outside <= 1 + 1e-12
    # A value of which nothing is known is not outside.
    assert probability_of(0.0, 1000.0, 0.5, side="outside") <= 0.5
    assert probability_of(2000.0, 1000.0, 3.0, side="outside") == pytest.approx(0.977, abs=1e-3)


def test_good_squat_scores_3_with_its_joint_probability():
    screen = fms_deep_squat(metrics_of())
    assert screen["fms_probability"].attrs["verdict"] == ALL
    joint = float(screen["fms_joint_probability"])
    assert joint == pytest.approx(float(np.prod(screen["fms_probability"])))
    assert joint > 0.9
    assert list(screen["fms_criterion"].values) == [*FAILS]
    assert "ask about it" in screen["fms_probability"].attrs["pain"]
    assert history(screen)[-1]["operation"] == "fms_deep_squat"


FAILS = {
    "torso": {"trunk_tibia_difference": (20.0, 4.0)},
    "femur": {"thigh_elevation": ((-10.0, 8.0), (3.0, 3.0))},  # one thigh is enough
    "knees": {"knee_deviation_at_bottom": ((0.3, -0.1), (0.05, 0.05))},
    "dowel": {"dowel_offset": (-0.9, 0.1)},  # behind the feet as well as in front
    "heels": {"heel_rise": ((0.5, 15.0), (1.0, 3.2))},
    "feet": {"toe_out": ((14.0, 45.0), (4.0, 5.0))},
}


@pytest.mark.parametrize("name", FAILS)
def test_one_failed_criterion_is_enough(name):
    assert criterion(name, FAILS[name]) < 0.01
    assert verdict(FAILS[name]) == NOT_MET


@pytest.mark.parametrize("name", FAILS)
def test_a_refused_measure_is_never_a_pass(name):
    (measure,) = FAILS[name]
    nothing = (NAN, NAN) if measure in ("trunk_tibia_difference", "dowel_offset") else None
    gone = {measure: nothing or ((NAN, NAN), (NAN, NAN))}
    assert math.isnan(criterion(name, gone))
    expected = IF_FEET_FORWARD if name == "feet" else f"{OPEN}: {name} uncertain"
    assert verdict(gone) == verdict({measure: None}) == expected
    other = next(key for key in FAILS if key != name)
    assert verdict({**gone, **FAILS[other]}) == NOT_MET


def test_heels_off_the_floor_never_score_3():
    raised = {"heel_rise": ((15.0, 15.0), (3.2, 3.2))}
    assert compensation("heel_rise", raised) > 0.999
    for view in (None, "left", "front-oblique left", "back"):
        assert criterion("heels", raised, view=view) < 0.001
        assert verdict(raised, view=view) == NOT_MET
    unsure = {"heel_rise": ((3.0, 3.0), (4.0, 4.0))}
    assert verdict(unsure) == f"{OPEN}: heels uncertain"


def test_close_to_a_threshold_or_of_unknown_error_cannot_be_told():
    close = {"thigh_elevation": ((-1.0, -1.0), (4.0, 4.0))}
    assert 0.25 < criterion("femur", close) < 0.75
    assert verdict(close) == f"{OPEN}: femur uncertain"
    assert math.isnan(compensation("arms_fall", {"arm_fall": (60.0, NAN)}))
    assert verdict({"thigh_elevation": ((-40.0, -40.0), (NAN, NAN))}) == f"{OPEN}: femur uncertain"
    for tilt, met in ((4.9, 1), (5.1, 0)):  # the tolerance of the torso
        assert criterion("torso", {"trunk_tibia_difference": (tilt, 0.0)}) == met


def test_criteria_that_are_likely_one_by_one_may_not_be_so_together():
    each = {
        "trunk_tibia_difference": (5 - 1.4, 1.0),  # 0.92
        "heel_rise": ((4 - 1.5, -5.0), (1.0, 1.0)),  # one side alone decides: 0.933
        "dowel_offset": (0.0, 0.1),
    }
    screen = fms_deep_squat(metrics_of(each))
    assert (screen["fms_probability"] >= 0.9).all()
    assert float(screen["fms_joint_probability"]) == pytest.approx(0.919 * 0.933, abs=0.01)
    assert screen["fms_probability"].attrs["verdict"] == TOGETHER.format("0.86")
    # Without the feet, which are set before the squat, the others count.
    gone = {"toe_out": ((NAN, NAN), (NAN, NAN))}
    assert verdict({**each, **gone}) == TOGETHER.format("0.86")
    # 0.8996 is not shown as the 0.9 that would be enough.
    close = {"trunk_tibia_difference": (5 - 1.2794, 1.0)}
    assert verdict(close) == TOGETHER.format("< 0.90")


def test_where_no_criterion_is_certain_that_is_the_reason():
    nothing = {measure: None for changed in FAILS.values() for measure in changed}
    assert verdict(nothing) == f"{OPEN}: no criterion is certain"


def test_the_comment_on_the_score_says_what_the_score_says():
    data = metrics_of({"trunk_tibia_difference": (5 - 5.5, 5.0)})  # met with 0.86
    judged = fms_deep_squat(data)
    assert {f.result for f in find(data) if f.rule == "trunk_leans_forward"} == {"met"}
    assert fms_verdict(judged["fms_probability"]) == ("open", TOGETHER.format("0.86"))
    assert TOGETHER.format("0.86") in comments(data.assign(judged))["final_summary"]


def test_a_probability_in_words_says_what_its_answer_says():
    for p in np.linspace(0.0101, 0.9899, 5001):
        shown = probability_in_words(p)
        if shown[0] not in "<>":
            assert is_stated(float(shown)) is is_stated(p), p


FOUND = {
    "feet_turn_out": {"toe_out": ((45.0, 10.0), (5.0, 5.0))},
    "knees_in": {"knee_deviation_at_bottom": ((-0.1, 0.25), (0.05, 0.05))},
    "forward_lean": {"trunk_tibia_difference": (20.0, 5.0)},
    "arms_fall": {"arm_fall": (40.0, 8.0)},
    "heel_rise": {"heel_rise": ((12.0, 0.0), (2.0, 2.0))},
}


def test_every_compensation_of_the_table_is_found_and_absent_in_a_good_squat():
    probabilities = compensations(metrics_of())["compensation_probability"]
    assert list(probabilities["compensation"].values) == list(FOUND)
    assert (probabilities <= 0.2).all()
    for name, changed in FOUND.items():
        assert compensation(name, changed) > 0.95, name


def test_criteria_and_compensations_say_what_the_rules_of_the_same_limits_answer():
    criteria, rules = tables.load("criteria"), tables.load("findings")["rules"]
    rule_at = {(r["metric"], r["direction"], r["threshold"]): n for n, r in rules.items()}
    of_fms, of_nasm = (
        {name: rule_at[e["measure"], e[key], e["threshold"]] for name, e in entries.items()}
        for entries, key in (
            (criteria["fms_deep_squat"]["criteria"], "fails"),
            (criteria["compensations"]["assessed"], "found"),
        )
    )
    results_seen = set()
    # The worse side, the other, and the error, each in margins of the rule.
    for worse, better, error in itertools.product(
        (-3.0, -1.0, -0.5, 0.0, 0.4, 0.7, 1.0, 3.0), (-3.0, 0.4), (0.0, 0.1, 0.3, 0.6, 1.0, 3.0)
    ):
        changed = {}
        for name in {*of_fms.values(), *of_nasm.values()}:
            rule, margin = rules[name], rules[name]["margin"]["value"]
            sign = -1 if rule["direction"] == "below" else 1
            values = tuple(rule["threshold"] + sign * k * margin for k in (worse, better))
            sds = (error * margin,) * 2
            sided = isinstance(GOOD[rule["metric"]][0], tuple)
            changed[rule["metric"]] = (values, sds) if sided else (values[0], sds[0])
        data = metrics_of(changed)
        results: dict[str, set[str]] = {}
        for each in find(data):
            results.setdefault(each.rule, set()).add(each.result)
        stated = {  # outside, met, or neither
            rule: True if "outside" in of_rule else False if of_rule == {"met"} else None
            for rule, of_rule in results.items()
        }
        # A criterion knows no margin.
        close = {rule for rule, of_rule in results.items() if "borderline" in of_rule}
        fms = fms_deep_squat(data)["fms_probability"]
        nasm = compensations(data)["compensation_probability"]
        for name, rule in of_fms.items():
            if rule in close:
                continue
            most = criteria["fms_deep_squat"]["criteria"][name].get("met")
            likely = 1 - float(fms.sel(fms_criterion=name))
            assert is_stated(likely, met=most) is stated[rule], (name, worse)
        for name, rule in of_nasm.items():
            if rule in close:
                continue
            assert is_stated(float(nasm.sel(compensation=name))) is stated[rule], (name, worse)
        results_seen |= {result for rule in of_fms.values() for result in results[rule]}
        if close:
            continue
        failed = {stated[rule] for rule in of_fms.values()}
        assert (fms.attrs["score"] == "not_met") == (True in failed)
        assert fms.attrs["score"] != "all_met" or failed == {False}
    assert results_seen == {"outside", "borderline", "met", "inconclusive"}


def test_one_known_side_may_show_a_fault_but_not_its_absence():
    raised = {"heel_rise": ((NAN, 12.0), (NAN, 2.0))}
    down = {"heel_rise": ((NAN, 0.0), (NAN, 1.0))}
    assert compensation("heel_rise", raised) > 0.95
    assert math.isnan(compensation("heel_rise", down))
    # A camera on the right sees the right heel, and says so.
    assert compensation("heel_rise", down, view="right") < 0.01
    notes = compensations(metrics_of(down), view="right")["compensation_probability"].attrs["notes"]
    assert "closer" in json.loads(notes)["heel_rise"]
    assert math.isnan(compensation("heel_rise", down, view="left"))


def test_inputs_are_not_changed_and_bad_ones_refused():
    metrics = metrics_of()
    before = metrics.copy(deep=True)
    compensations(metrics, view="front")
    fms_deep_squat(metrics, view="front")
    xr.testing.assert_identical(metrics, before)
    wrong = metrics.assign(arm_fall=("rep", [1.0, 2.0]))
    with pytest.raises(BadInputError, match="must have the dimensions of 'arm_fall'"):
        compensations(wrong)


def test_a_side_that_fails_is_enough_though_the_error_of_the_other_is_unknown():
    high = metrics_of({"thigh_elevation": ((20.0, -5.0), (3.0, math.nan))})
    assert float(fms_deep_squat(high)["fms_probability"].sel(fms_criterion="femur")) < 1e-6
    low = metrics_of({"thigh_elevation": ((-20.0, -5.0), (3.0, math.nan))})
    assert np.isnan(fms_deep_squat(low)["fms_probability"].sel(fms_criterion="femur"))
