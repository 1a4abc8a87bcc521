from __future__ import annotations

import math
import string

import hand_made
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from mobility import tables
from mobility.assessment.advice import advise
from mobility.assessment.criteria import fms_deep_squat, is_stated
from mobility.assessment.findings import LEVELS, find, number, say
from mobility.errors import BadInputError

TABLE = tables.load("findings")
RULES = TABLE["rules"]
_SQUAT = tables.load("overhead_squat")
SIDED = {
    f"{name}{statistic}"
    for part in ("angles", "posture", "knee_movement", "frontal_plane")
    for name, entry in _SQUAT[part].items()
    for statistic in ("", "_variability", "_at_bottom", "_from_standing")
    if entry["sided"]
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


def of_rule(found, name):
    return [finding for finding in found if finding.rule == name]


def either_side(rule) -> tuple[float, float]:
    """A value far on the side of the fault, one far on the other; in the unit of the rule."""
    far = {"degree": 50.0, "1": 2.0}[rule["unit"]]
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
    for value, status in ((fault, "found"), (fine, "not found")):
        found = of_rule(find(metrics({rule["metric"]: value}, sd=0.02)), name)
        assert [f.side for f in found] == (["left", "right"] if rule["metric"] in SIDED else [""])
        for finding in found:
            assert finding.status == status
            assert finding.value == value
            assert finding.interval[0] < value < finding.interval[1]
            assert (finding.metric, finding.group) == (rule["metric"], rule["group"])
            assert finding.source == rule["source"]
            assert finding.reason == ""


@by_rule
def test_a_magnitude_counts_on_both_sides_and_a_direction_on_one(name):
    rule = RULES[name]
    if rule.get("spread"):
        return
    fault, _ = either_side(rule)
    both = rule["direction"] == "outside"
    mirrored = -fault if both else 2 * rule["threshold"] - fault
    (finding, *_) = of_rule(find(metrics({rule["metric"]: mirrored}, sd=0.2)), name)
    assert finding.status == ("found" if both else "not found")


@by_rule
def test_what_is_uncertain_cannot_be_told(name):
    rule = RULES[name]
    if rule.get("spread"):
        values = metrics({rule["metric"]: rule["threshold"]})
    else:
        values = metrics(
            {rule["metric"]: rule["threshold"]}, sd=5.0 if rule["unit"] == "degree" else 0.3
        )
    for finding in of_rule(find(values), name):
        assert finding.status == "cannot be told"
        assert 0.25 < finding.probability < 0.75
        assert finding.reason
        assert "cannot be told" in finding.participant


@by_rule
@pytest.mark.parametrize("missing", ["absent", "nan", "no error", "nan error"])
def test_what_is_missing_cannot_be_told(name, missing):
    rule = RULES[name]
    fault, _ = either_side(rule)
    values = {
        "absent": metrics({}),
        "nan": metrics({rule["metric"]: math.nan}),
        "no error": metrics({rule["metric"]: fault}, sd=None),
        "nan error": metrics({rule["metric"]: fault}, sd=math.nan),
    }[missing]
    if rule.get("spread") and "error" in missing:
        values = values.drop_vars("accepted_repetitions")
    found = of_rule(find(values), name)
    assert found
    for finding in found:
        assert (finding.status, finding.probability) == ("cannot be told", None)
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
    assert "hidden" not in left.participant
    assert right.participant == (
        "Whether your knees bend far enough for a full squat cannot be told: the shin was hidden."
    )


def test_no_repetition_is_a_reason():
    (left, _) = of_rule(
        find(metrics({"knee_flexion": math.nan}, repetitions=0)), "knee_flexion_limited"
    )
    assert left.reason == "no repetition could be measured"


@pytest.mark.parametrize(
    ("value", "sd", "probability"),
    # Of the standard normal distribution: P(Z < 1) = 0.8413, P(Z < 1.2816) = 0.9.
    [(115.0, 5.0, 0.8413), (113.592, 5.0, 0.9), (120.0, 7.0, 0.5), (125.0, 5.0, 0.1587)],
)
def test_probability_is_that_of_the_normal_distribution(value, sd, probability):
    (left, _) = of_rule(find(metrics({"knee_flexion": value}, sd)), "knee_flexion_limited")
    assert left.probability == pytest.approx(probability, abs=1e-4)
    assert left.interval == pytest.approx((value - 1.96 * sd, value + 1.96 * sd))


def test_a_known_value_is_decided_without_error():
    for value, status in ((119.0, "found"), (121.0, "not found")):
        (left, _) = of_rule(find(metrics({"knee_flexion": value}, 0.0)), "knee_flexion_limited")
        assert left.status == status


@pytest.mark.parametrize("value", [0.0, 5.0, 20.0])
def test_an_error_that_hides_every_difference_is_no_proof_of_symmetry(value):
    name = "knee_flexion_asymmetry"
    (finding,) = of_rule(find(metrics({name: value}, 22.0)), name)
    assert finding.status == "cannot be told"
    (finding,) = of_rule(find(metrics({name: 0.0}, 3.0)), name)
    assert finding.status == "not found"
    assert finding.participant == ("Your knees bend alike, within 10°.")


def test_a_difference_is_said_of_the_larger_side_without_sign():
    name = "knee_flexion_asymmetry"
    (left,) = of_rule(find(metrics({name: -30.0}, 1.0)), name)
    assert left.value == -30
    assert left.participant == "Your left knee bends more than the other, by 30° (28 to 32°)."
    (right,) = of_rule(find(metrics({name: 30.0}, 1.0)), name)
    assert right.professional.startswith("Knee flexion larger on the right, by 30°")


def test_spread_over_repetitions_follows_chi_square():
    # With 4 degrees of freedom P(chi2 < q) = 1 - (1 + q/2) exp(-q/2); q = 4 x 6² / 3² = 16.
    (left, _) = of_rule(find(metrics({"knee_flexion_variability": 6.0})), "knee_flexion_varies")
    assert left.probability == pytest.approx(1 - 9 * math.exp(-8))
    # 95 % interval of an SD of one with n = 5: 0.599 to 2.874 (tables of chi-square).
    assert [bound / 6 for bound in left.interval] == pytest.approx([0.599, 2.874], abs=1e-3)


@pytest.mark.parametrize("spread", [0.1, 1.6, 9.0])
def test_of_fewer_than_five_repetitions_no_spread_is_stated(spread):
    # Also where older code left a spread of three.
    for count in (2, 3, 4):
        data = metrics({"knee_flexion_variability": spread}, repetitions=count)
        for finding in of_rule(find(data), "knee_flexion_varies"):
            assert finding.status == "cannot be told"
            assert "a spread needs 5 repetitions" in finding.participant


@by_rule
def test_every_rule_has_its_source_and_its_texts(name):
    rule = RULES[name]
    assert len(rule["source"]) > 20
    assert rule["group"] in TABLE["groups"]
    assert rule["direction"] in ("below", "above", "outside", "beyond_mdc")
    assert ("threshold" in rule) != (rule["direction"] == "beyond_mdc")
    for level in LEVELS:
        for status in ("found", "not_found"):
            text = rule[level][status]
            fields = {field for _, field, _, _ in string.Formatter().parse(text) if field}
            assert "measured" in fields or (level, status) == ("participant", "not_found")
            assert fields <= {"measured", "threshold", "limit", "sign", "relevant"}
            assert ("relevant" in rule) == (rule["direction"] == "beyond_mdc")
            assert ("sign" in fields) <= ("signs" in rule)


@by_rule
@pytest.mark.parametrize("sd", [0.2, 3.0, None])
def test_every_field_of_the_texts_is_filled(name, sd):
    rule = RULES[name]
    for value in (*either_side(rule), math.nan):
        for finding in of_rule(find(metrics({rule["metric"]: value}, sd)), name):
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
    found = {finding.id: finding.probability for finding in find(both)}
    met = judged["fms_probability"]
    assert found["trunk_leans_forward"] == pytest.approx(1 - float(met.sel(fms_criterion="torso")))
    sides = [found["depth_not_reached_left"], found["depth_not_reached_right"]]
    assert max(sides) == pytest.approx(1 - float(met.sel(fms_criterion="femur")))


@pytest.mark.parametrize("view", ["front", "left", "back", "two-cameras"])
def test_what_the_error_tells_is_told_from_any_view(view):
    """A dowel 1.57 foot lengths in front of the feet, give or take 0.17, is not over them."""
    data = hand_made.metrics_of({"dowel_offset": (1.57, 0.17), "arm_fall": (53.0, 9.0)})
    judged = fms_deep_squat(data, view=view)
    both = data.assign(judged.data_vars).assign_attrs(history=judged.attrs["history"])
    found = {f.rule for f in find(both) if f.status == "found"}
    assert {"dowel_not_over_feet", "arms_fall_forward"} <= found
    assert float(judged["fms_probability"].sel(fms_criterion="dowel")) < 0.01


@pytest.mark.parametrize(
    "view", ["front", "front-oblique left", "left", "back-oblique left", "back"]
)
def test_a_value_lies_in_the_middle_of_its_interval_in_every_view(view):
    data = hand_made.metrics_of({"thigh_elevation": ((5.0, 5.0), (3.0, 3.0))})
    judged = fms_deep_squat(data, view=view)
    both = data.assign(judged.data_vars).assign_attrs(history=judged.attrs["history"])
    told = [f for f in find(both) if f.interval is not None and not RULES[f.rule].get("spread")]
    assert len(told) > 10
    for finding in told:
        assert sum(finding.interval) / 2 == pytest.approx(finding.value)
        if finding.rule == "depth_not_reached":
            assert finding.status != "not found"


def test_the_good_squat_has_no_fault():
    found = find(hand_made.metrics_of())
    assert [finding.id for finding in found if finding.status == "found"] == []
    # And with one fault it is that which is found.
    found = find(hand_made.metrics_of({"heel_rise": ((20.0, 0.0), (2.0, 1.0))}))
    assert [finding.id for finding in found if finding.status == "found"] == ["heel_rise_left"]


def test_a_deep_squat_with_an_upright_trunk_has_no_fault_of_the_hips():
    # Hip flexion is 90 degrees and trunk lean less thigh elevation: 105 here, and nothing is wrong.
    upright = {"hip_flexion": ((105.0,) * 2, (2.0,) * 2), "trunk_lean": (10.0, 2.0)}
    found = find(hand_made.metrics_of(upright))
    assert [finding.id for finding in found if finding.status == "found"] == []


def test_sides_that_agree_are_told_in_one_sentence():
    both = of_rule(find(metrics({"knee_flexion": 100.0}, 2.0)), "knee_flexion_limited")
    assert say(both, "professional") == (
        "Knee flexion at the bottom below 120°: left 100° (96 to 104°) and right 100° (96 to 104°)."
    )


def test_a_difference_that_is_not_there_is_not_told_to_be_more_than_its_limit():
    data = metrics({"knee_deviation_asymmetry": 0.01}, 0.02)
    (finding,) = of_rule(find(data), "knee_deviation_asymmetry")
    assert finding.status == "not found"
    assert "more than" not in finding.professional
    (finding,) = of_rule(
        find(metrics({"knee_deviation_asymmetry": 0.4}, 0.02)), "knee_deviation_asymmetry"
    )
    assert "more than 20 %" in finding.professional or "more than 0.2" in finding.professional


@pytest.mark.parametrize(
    # P(Z < 1.2) = 0.885 and P(Z < 1.3) = 0.903, on both sides of the limit of 120.
    ("value", "status"),
    [
        (114.0, "cannot be told"),
        (113.5, "found"),
        (126.0, "cannot be told"),
        (126.5, "not found"),
    ],
)
def test_a_fault_or_none_is_stated_from_nine_times_as_likely_on(value, status):
    data = hand_made.metrics_of({"knee_flexion": ((value, value), (5.0, 5.0))})
    (left, right) = of_rule(find(data), "knee_flexion_limited")
    assert left.status == right.status == status
    # What cannot be told asks for no exercise.
    assert bool(advise([left, right])) is (status == "found")


def test_findings_and_criteria_decide_with_one_probability():
    for p, stated in ((0.89, None), (0.9, True), (0.11, None), (0.1, False), (math.nan, None)):
        assert is_stated(p) is stated
    deep = fms_deep_squat(hand_made.metrics_of())["fms_probability"].attrs
    assert deep["stated"] == TABLE["probability"]["value"] == 0.9


@pytest.mark.parametrize(
    ("value", "rule", "text"),
    [
        (-0.3, "knee_flexion_limited", "0°"),
        (-2.4, "depth_not_reached", "−2°"),
        (0.123, "knee_inside_foot", "12 %"),
        (0.5, "dowel_not_over_feet", "0.50 foot lengths"),
        (1.84, "knee_flexion_varies", "1.8°"),
    ],
)
def test_numbers_are_written_in_their_unit(value, rule, text):
    assert number(value, RULES[rule]) == text


def test_another_unit_or_shape_is_refused():
    data = metrics({"knee_flexion": 100.0})
    data["knee_flexion"].attrs["units"] = "radian"
    with pytest.raises(BadInputError, match="knee_flexion is in 'radian'"):
        find(data)
    with pytest.raises(BadInputError, match="knee_flexion has the dimensions"):
        find(xr.Dataset({"knee_flexion": ("rep", [1.0, 2.0])}))


def test_the_metrics_are_not_changed_and_equal_metrics_say_the_same():
    data = metrics({"knee_flexion": 100.0, "ankle_dorsiflexion": math.nan})
    before = data.copy(deep=True)
    assert find(data) == find(before)
    assert data.identical(before)


@given(
    value=st.floats(-200, 200),
    sd=st.floats(0, 100),
    name=st.sampled_from([n for n, r in RULES.items() if not r.get("spread")]),
)
@settings(deadline=None)
def test_status_follows_from_probability(value, sd, name):
    for finding in of_rule(find(metrics({RULES[name]["metric"]: value}, sd)), name):
        assert 0 <= finding.probability <= 1
        assert finding.status == (
            "found"
            if finding.probability >= 0.9
            else "not found"
            if finding.probability <= 0.1 + 1e-12
            else "cannot be told"
        )
        assert np.isfinite(finding.interval).all()


def test_what_is_likely_is_not_told_as_certain():
    """P(Z < 1.4) = 0.92: stated, but the interval holds both sides of the threshold."""
    (left, _) = of_rule(find(metrics({"knee_flexion": 113.0}, 5.0)), "knee_flexion_limited")
    assert left.status == "found"
    assert left.participant.endswith("(likely).")
    assert "probability of the fault 0.92" in left.professional
    (left, _) = of_rule(find(metrics({"knee_flexion": 100.0}, 5.0)), "knee_flexion_limited")
    assert "likely" not in left.participant
