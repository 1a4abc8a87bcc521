"""Films of a visit: numbers by hand, what contradicts, what is hidden, and of one film."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import xarray as xr

from mobility.assessment.estimates import ABSENT_SIDE, HIDDEN, HIDDEN_SIDE
from mobility.assessment.findings import find
from mobility.assessment.merging import Film, films_of, merge, weighted_mean
from mobility.assessment.verdict import Reason, Verdict
from mobility.errors import BadInputError

GOOD = Verdict("good", "")
UNUSABLE = Verdict(
    *("unusable", "", "Too dark."),
    rules_out=frozenset({"findings"}),
    reasons=(Reason("unusable", "it is too dark", "light", rules_out=frozenset({"findings"})),),
)
IN_DOUBT = Verdict("limited", "", reasons=(Reason("limited", "", "sides", sides_in_doubt=True),))

Number = tuple[float, float] | tuple[list[float], list[float]]


def metrics_of(numbers: Mapping[str, Number], **attrs: Any) -> xr.Dataset:
    """Metrics in degrees, each a value and its sd: a pair, or two lists of left and right."""
    variables = {}
    for name, (value, sd) in numbers.items():
        dims = "side" if isinstance(value, list) else ()
        quantity, kind = name.removesuffix("_asymmetry"), "median"
        if quantity != name:
            kind = "asymmetry"
        about = {"units": "degree", "quantity": quantity, "kind": kind, "group": ""}
        variables[name] = (dims, value, about)
        variables[f"{name}_sd"] = (dims, sd, about | {"kind": "standard_error"})
    coords = {"side": ["left", "right"]}
    return xr.Dataset(variables, coords, {"exercise": "Overhead Squat", **attrs})


def film(
    name: str,
    numbers: Mapping[str, Number],
    *,
    view: str = "front",
    azimuth: float = 0.0,
    verdict: Verdict = GOOD,
    **attrs: Any,
) -> Film:
    return Film(name, metrics_of(numbers, **attrs), verdict, view, azimuth)


def value_and_sd(merged: xr.Dataset, name: str) -> tuple[float, float]:
    return float(merged[name]), float(merged[f"{name}_sd"])


def test_two_views_give_the_mean_by_inverse_variances_whose_errors_are_half_alike():
    front = film("a", {"trunk_lean": (30.0, 4.0)})
    side = film("b", {"trunk_lean": (33.0, 2.0)}, view="left", azimuth=-90.0)
    merged = merge([front, side])
    # Weights 1/16 and 1/4: 0.2 and 0.8.
    variance = 0.2**2 * 16 + 0.8**2 * 4 + 2 * 0.5 * 0.2 * 0.8 * 4 * 2
    assert value_and_sd(merged, "trunk_lean") == pytest.approx((32.4, math.sqrt(variance)))
    assert films_of(merged, "trunk_lean") == ["a", "b"]


def test_two_films_of_one_view_err_nearly_alike():
    films = [film(name, {"trunk_lean": (30.0, 4.0)}) for name in "ab"]
    assert value_and_sd(merge(films), "trunk_lean") == pytest.approx((30.0, 4 * math.sqrt(0.95)))


def test_the_sides_of_an_oblique_view_and_an_unknown_view_count_as_one_view():
    for views in (("front-oblique left", "front-oblique right"), ("unknown", "front")):
        films = [film(v, {"trunk_lean": (30.0, 4.0)}, view=v) for v in views]
        assert float(merge(films)["trunk_lean_sd"]) == pytest.approx(4 * math.sqrt(0.95))


def test_the_error_is_widened_by_what_the_films_differ_more_than_they_say():
    films = [
        film("a", {"trunk_lean": (30.0, 2.0)}),
        film("b", {"trunk_lean": (35.0, 2.0)}, view="left"),
    ]
    chi2 = 2 * (2.5 / 2.0) ** 2
    assert chi2 > 1
    expected = (32.5, 2 * math.sqrt(0.75) * math.sqrt(chi2))
    assert value_and_sd(merge(films), "trunk_lean") == pytest.approx(expected)


def test_films_that_contradict_each_other_leave_the_check_open_and_are_both_named():
    films = [
        film("a", {"trunk_tibia_difference": (2.0, 2.0)}),
        film("b", {"trunk_tibia_difference": (12.0, 2.0)}, view="front-oblique left"),
    ]
    merged = merge(films)
    assert np.isnan(merged["trunk_tibia_difference"])
    (check,) = (each for each in find(merged) if each.rule == "trunk_leans_forward")
    assert (check.answer, check.value) == ("open", None)
    assert "2° from the front and 12° from the front left" in check.reason
    assert films_of(merged, "trunk_tibia_difference") == ["a", "b"]


def test_just_less_than_a_contradiction_is_merged():
    # chi2 of two values that are d apart, each with the sd s: d² / (2 s²); 6.635 at p = 0.01.
    for apart, contradicts in ((7.2, False), (7.4, True)):
        films = [
            film("a", {"trunk_lean": (0.0, 2.0)}),
            film("b", {"trunk_lean": (apart, 2.0)}, view="left"),
        ]
        assert bool(np.isnan(merge(films)["trunk_lean"])) is contradicts


def test_p_is_that_of_a_chi_square_distribution():
    rng = np.random.default_rng(0)
    p = [weighted_mean(rng.normal(size=3), np.ones(3), np.eye(3))[2] for _ in range(4000)]
    assert np.mean(np.array(p) < 0.1) == pytest.approx(0.1, abs=0.02)


def test_a_number_that_one_film_alone_gives_is_that_one():
    films = [
        film("a", {"heel_rise": ([math.nan, math.nan], [math.nan, math.nan])}),
        film("b", {"heel_rise": ([5.0, math.nan], [2.0, math.nan])}, view="left"),
        film("c", {"heel_rise": ([math.nan, 7.0], [math.nan, 3.0])}, view="right"),
    ]
    merged = merge(films)
    assert merged["heel_rise"].values.tolist() == [5.0, 7.0]
    assert merged["heel_rise_sd"].values.tolist() == [2.0, 3.0]
    assert [films_of(merged, "heel_rise", side) for side in ("left", "right")] == [["b"], ["c"]]


def test_a_value_without_an_error_does_not_weigh_beside_one_with():
    films = [film("a", {"trunk_lean": (30.0, math.nan)}), film("b", {"trunk_lean": (40.0, 3.0)})]
    assert value_and_sd(merge(films), "trunk_lean") == (40.0, 3.0)
    alone = merge(films[:1])
    assert float(alone["trunk_lean"]) == 30.0
    assert np.isnan(alone["trunk_lean_sd"])


def test_the_difference_of_knees_is_of_the_film_nearest_the_front_and_the_sides_agree_with_it():
    knees = {"knee_flexion": ([100.0, 104.0], [4.0, 4.0]), "knee_flexion_asymmetry": (4.0, 2.0)}
    others = {"knee_flexion": ([106.0, 96.0], [3.0, 3.0]), "knee_flexion_asymmetry": (-10.0, 5.0)}
    front = film("b", knees, azimuth=8.0)
    oblique = film("a", others, view="front-oblique right", azimuth=40.0)
    merged = merge([oblique, front])
    assert value_and_sd(merged, "knee_flexion_asymmetry") == (4.0, 2.0)
    assert films_of(merged, "knee_flexion_asymmetry") == ["b"]
    left, right = merged["knee_flexion"].values
    assert right - left == pytest.approx(4.0)
    # Variances of the means of the sides: (16 + 16) / 2 - 4 / 4, and (9 + 9) / 2 - 25 / 4.
    of_means = np.array([15.0, 2.75])
    mean = (102 / 15 + 101 / 2.75) / (1 / of_means).sum()
    assert (left + right) / 2 == pytest.approx(mean)
    weights = (1 / of_means) / (1 / of_means).sum()
    variance = weights**2 @ of_means + 2 * 0.5 * weights.prod() * math.sqrt(of_means.prod())
    assert merged["knee_flexion_sd"].values == pytest.approx([math.sqrt(variance + 1.0)] * 2)


def test_a_film_from_the_side_tells_of_the_far_side_by_the_difference_of_another():
    knees = {"knee_flexion": ([100.0, 104.0], [6.0, 6.0]), "knee_flexion_asymmetry": (4.0, 1.0)}
    front = film("a", knees)
    near = {"knee_flexion": ([94.0, math.nan], [2.0, math.nan])}
    side = film("b", near, view="left", azimuth=-90.0, hidden_side="right")
    left, right = merge([front, side])["knee_flexion"].values
    assert right - left == pytest.approx(4.0)
    assert 94.0 < left < 95.0


def test_other_differences_are_merged_and_their_sides_agree():
    of_film = {
        "front": (([100.0, 104.0], [4.0, 4.0]), (4.0, 4.0)),
        "front-oblique left": (([98.0, 100.0], [4.0, 4.0]), (2.0, 4.0)),
    }
    films = [
        film(view, {"hip_flexion": sides, "hip_flexion_asymmetry": apart}, view=view)
        for view, (sides, apart) in of_film.items()
    ]
    merged = merge(films)
    assert float(merged["hip_flexion_asymmetry"]) == pytest.approx(3.0)
    assert merged["hip_flexion"].values == pytest.approx([99.0, 102.0])


def test_legs_that_stand_in_turn_are_each_of_their_own_films():
    def of_leg(name: str, left: float, right: float, absent: str) -> Film:
        sds = [math.nan if math.isnan(each) else 3.0 for each in (left, right)]
        apart = {"knee_flexion_asymmetry": (math.nan, math.nan)}
        numbers = {"knee_flexion": ([left, right], sds), **apart}
        metrics = metrics_of(numbers, exercise="Single-Leg Squat", absent_side=absent)
        return Film(name, metrics, GOOD, "front", 0.0)

    films = [of_leg("a", 60.0, math.nan, "right"), of_leg("b", math.nan, 68.0, "left")]
    merged = merge(films)
    assert merged["knee_flexion"].values.tolist() == [60.0, 68.0]
    assert value_and_sd(merged, "knee_flexion_asymmetry") == pytest.approx((8.0, 3 * math.sqrt(2)))
    assert ABSENT_SIDE not in merged.attrs
    rows = [each for each in find(merged) if each.rule == "one_leg_depth_not_reached"]
    assert [each.side for each in rows] == ["left", "right"]
    assert [each.side for each in find(merge(films[:1])) if each.metric == "knee_flexion"] == [
        "left"
    ]


def noted(name: str, view: str, note: str, *, hides: str = "") -> Film:
    nothing = film(name, {"toe_out": ([math.nan, math.nan], [math.nan, math.nan])}, view=view)
    nothing.metrics["toe_out"].attrs |= {"note": note, **({HIDDEN: hides} if hides else {})}
    return nothing


def test_what_no_film_can_see_is_hidden_and_what_one_could_is_refused_for_its_reason():
    sides = [
        noted(each, each, "one leg hides it", hides="left right") for each in ("left", "right")
    ]
    front = noted("front", "front", "it is too uncertain")
    for films, answer, reason in (
        (sides, "hidden", "one leg hides it"),
        ([*sides, front], "refused", "it is too uncertain"),
    ):
        checks = [each for each in find(merge(films)) if each.rule == "feet_turn_out"]
        assert {(each.answer, each.reason) for each in checks} == {(answer, reason)}


def test_each_side_has_its_own_reason():
    films = [
        film(
            "a",
            {"heel_rise": ([5.0, math.nan], [2.0, math.nan])},
            view="left",
            **{HIDDEN_SIDE: "right"},
        ),
        film("b", {"heel_rise": ([25.0, math.nan], [2.0, math.nan])}),
    ]
    films[1].metrics["heel_rise"].attrs["note"] = "the right heel is not seen"
    left, right = (each for each in find(merge(films)) if each.rule == "heel_rise")
    assert left.side == "left"
    assert left.answer == "open"
    assert "contradict" in left.reason
    assert (right.answer, right.reason) == ("refused", "the right heel is not seen")


def test_a_film_that_is_unusable_does_not_enter_and_alone_it_is_refused_for_its_verdict():
    dark = film("a", {"trunk_tibia_difference": (99.0, 1.0)}, verdict=UNUSABLE)
    good = film("b", {"trunk_tibia_difference": (5.0, 3.0)}, view="left")
    assert value_and_sd(merge([dark, good]), "trunk_tibia_difference") == (5.0, 3.0)
    (check,) = (each for each in find(merge([dark])) if each.rule == "trunk_leans_forward")
    assert (check.answer, check.reason) == ("refused", "it is too dark")


def test_what_a_verdict_rules_out_of_a_film_does_not_enter():
    no_arms = Verdict("limited", "", "Hands leave.", rules_out=frozenset({"arms"}))
    films = [
        film("a", {"arm_fall": (60.0, 2.0), "trunk_lean": (30.0, 4.0)}, verdict=no_arms),
        film("b", {"arm_fall": (20.0, 5.0), "trunk_lean": (30.0, 4.0)}, view="left"),
    ]
    merged = merge(films)
    assert value_and_sd(merged, "arm_fall") == (20.0, 5.0)
    assert films_of(merged, "trunk_lean") == ["a", "b"]


def test_sides_that_may_have_been_exchanged_do_not_enter_beside_certain_ones():
    numbers = {"knee_flexion": ([90.0, 110.0], [3.0, 3.0]), "trunk_lean": (30.0, 4.0)}
    other = {"knee_flexion": ([110.0, 90.0], [5.0, 5.0]), "trunk_lean": (34.0, 4.0)}
    films = [film("a", numbers, verdict=IN_DOUBT), film("b", other, view="front-oblique left")]
    merged = merge(films)
    assert merged["knee_flexion"].values.tolist() == [110.0, 90.0]
    assert float(merged["trunk_lean"]) == pytest.approx(32.0)
    assert merge(films[:1])["knee_flexion"].values.tolist() == [90.0, 110.0]


def test_times_and_smoothness_are_not_merged_and_one_film_alone_has_them():
    def chair(name: str, time: float) -> Film:
        metrics = metrics_of({"five_times": (time, 0.2)}, exercise="Sit-to-Stand")
        metrics["five_times"].attrs |= {"units": "s", "kind": "time", "norm_limit": 11.4}
        return Film(name, metrics, GOOD, "front-oblique left", -40.0)

    films = [chair("a", 10.0), chair("b", 12.0)]
    both = merge(films)
    assert np.isnan(both["five_times"])
    assert both["five_times"].attrs["note"] == "each film has its own"
    assert value_and_sd(merge(films[:1]), "five_times") == (10.0, 0.2)


def test_order_makes_no_difference_and_the_films_are_not_changed():
    knees = {"knee_flexion": ([100.0, 104.0], [4.0, 4.0]), "knee_flexion_asymmetry": (4.0, 2.0)}
    films = [
        film("a", {**knees, "trunk_lean": (30.0, 3.0)}),
        film("b", {**knees, "trunk_lean": (31.0, 2.0)}, view="left", azimuth=-80.0),
        film("c", {"trunk_lean": (math.nan, math.nan)}, view="back", azimuth=170.0),
    ]
    before = [each.metrics.copy(deep=True) for each in films]
    xr.testing.assert_identical(merge(films), merge(films[::-1]))
    for each, kept in zip(films, before, strict=True):
        xr.testing.assert_identical(each.metrics, kept)


def test_films_of_two_exercises_or_of_two_versions_of_one_are_refused_in_a_line():
    one = film("a", {"trunk_lean": (30.0, 3.0)})
    other = film("b", {"trunk_lean": (30.0, 3.0)}, exercise="Squat")
    with pytest.raises(BadInputError, match="sessions a and b: are of Overhead Squat and Squat"):
        merge([one, other])
    newer = film("b", {"trunk_lean": (0.5, 0.1)})
    newer.metrics["trunk_lean"].attrs["units"] = "1"
    with pytest.raises(BadInputError, match="trunk_lean is not measured alike"):
        merge([one, newer])
