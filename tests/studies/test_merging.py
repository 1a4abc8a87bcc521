"""Films of a visit: numbers by hand, what contradicts, what is hidden, and of one film."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import xarray as xr

from mobility.assessment.findings import find
from mobility.assessment.number import ABSENT_SIDE, HIDDEN, HIDDEN_SIDE
from mobility.assessment.verdict import Reason, Verdict
from mobility.errors import BadInputError
from mobility.keypoints.sources import Origin
from mobility.kinematics.expected_error import factor_with_value
from mobility.studies.merging import Film, films_of, merge, weighted_mean

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


def test_two_views_give_the_mean_that_errs_least_if_their_errors_are_half_alike():
    front = film("a", {"trunk_lean": (30.0, 4.0)})
    side = film("b", {"trunk_lean": (33.0, 3.0)}, view="left", azimuth=-90.0)
    merged = merge([front, side])
    # Each weighs as the variance of the other less the covariance, 6: 3 and 10 of 13.
    variance = (3**2 * 16 + 10**2 * 9 + 2 * 3 * 10 * 6) / 13**2
    assert value_and_sd(merged, "trunk_lean") == pytest.approx((420 / 13, math.sqrt(variance)))
    assert films_of(merged, "trunk_lean") == ["a", "b"]


@pytest.mark.parametrize("view", ["front", "left", "unknown"])
def test_a_film_that_errs_more_makes_the_mean_no_worse(view: str):
    best = film("a", {"trunk_lean": (30.0, 2.0)})
    for sd in (2.0, 2.1, 3.0, 6.0, 40.0):
        merged = merge([best, film("b", {"trunk_lean": (30.0, sd)}, view=view)])
        assert float(merged["trunk_lean_sd"]) <= 2.0 + 1e-12


def test_three_films_weigh_never_below_nothing_and_never_make_it_worse():
    rng = np.random.default_rng(2)
    correlation = np.array([[1.0, 0.8, 0.8], [0.8, 1.0, 0.5], [0.8, 0.5, 1.0]])
    for sds in rng.uniform(1, 5, size=(200, 3)):
        mean = weighted_mean(np.zeros(3), sds, correlation)
        assert mean.weights.min() >= 0
        assert mean.weights.sum() == pytest.approx(1.0)
        assert mean.sd <= sds.min() + 1e-12


def test_two_films_of_one_view_err_nearly_alike():
    films = [film(name, {"trunk_lean": (30.0, 4.0)}) for name in "ab"]
    assert value_and_sd(merge(films), "trunk_lean") == pytest.approx((30.0, 4 * math.sqrt(0.95)))


def test_the_sides_of_an_oblique_view_and_an_unknown_view_count_as_one_view():
    for views in (("front-oblique left", "front-oblique right"), ("unknown", "front")):
        films = [film(v, {"trunk_lean": (30.0, 4.0)}, view=v) for v in views]
        assert float(merge(films)["trunk_lean_sd"]) == pytest.approx(4 * math.sqrt(0.95))


def test_films_of_another_model_err_as_alike_as_those_of_one_view_and_both_are_named():
    """Of how alike two models err nothing was measured: more is with care."""
    other = {"pose_source": "other", "source_software": "RTMPose"}
    lean = {"trunk_lean": (30.0, 4.0)}
    films = [film("a", lean), film("b", lean, **other)]
    merged = merge(films)
    assert float(merged["trunk_lean_sd"]) == pytest.approx(4 * math.sqrt(0.95))
    assert Origin.of(merged.attrs) == Origin("other", "MediaPipe, RTMPose")
    assert Origin.of(merge(films[:1]).attrs) == Origin()
    assert Origin.of(merge(films[1:] * 2).attrs) == Origin("other", "RTMPose")


def test_films_of_an_unknown_view_beside_several_others_are_merged():
    for unknown in (1, 2):
        views = ("front", "left", "front-oblique left", *["unknown"] * unknown)
        films = [film(f"{n}", {"trunk_lean": (30.0, 4.0)}, view=v) for n, v in enumerate(views)]
        value, sd = value_and_sd(merge(films), "trunk_lean")
        assert value == pytest.approx(30.0)
        assert sd == pytest.approx(4 * math.sqrt(2 / 3), abs=0.06)


def test_the_error_is_widened_by_what_the_films_differ_more_than_they_say():
    for view, rho in (("left", 0.5), ("front", 0.9)):
        # Of errors that go together less is left to the difference; half of it is counted on.
        apart = 2.0 * math.sqrt(2 * 4 * (1 - rho / 2))
        films = [
            film("a", {"trunk_lean": (30.0, 2.0)}),
            film("b", {"trunk_lean": (30.0 + apart, 2.0)}, view=view),
        ]
        expected = (30.0 + apart / 2, 2 * 2 * math.sqrt((1 + rho) / 2))
        assert value_and_sd(merge(films), "trunk_lean") == pytest.approx(expected)


def test_films_that_contradict_each_other_leave_the_check_open_and_are_both_named():
    films = [
        film("a", {"trunk_tibia_difference": (2.0, 2.0)}),
        film("b", {"trunk_tibia_difference": (12.0, 2.0)}, view="front-oblique left"),
    ]
    merged = merge(films)
    assert np.isnan(merged["trunk_tibia_difference"])
    (check,) = (each for each in find(merged) if each.rule == "trunk_leans_forward")
    assert (check.result, check.value) == ("inconclusive", None)
    assert "2° from the front and 12° from the front left" in check.reason
    assert films_of(merged, "trunk_tibia_difference") == ["a", "b"]


def test_just_less_than_a_contradiction_is_merged():
    # chi2 of two values d apart, each with the sd s: d² / (2 s² (1 - rho / 2)); 6.635 at 0.01.
    for view, rho in (("left", 0.5), ("front", 0.9)):
        limit = math.sqrt(6.635 * 2 * 4 * (1 - rho / 2))
        for apart, contradicts in ((0.99 * limit, False), (1.01 * limit, True)):
            films = [
                film("a", {"trunk_lean": (0.0, 2.0)}),
                film("b", {"trunk_lean": (apart, 2.0)}, view=view),
            ]
            assert bool(np.isnan(merge(films)["trunk_lean"])) is contradicts


def test_p_is_that_of_a_chi_square_distribution_where_half_of_the_correlation_holds():
    rng = np.random.default_rng(0)
    correlation = np.full((3, 3), 0.9) + np.diag([0.1] * 3)
    half = (correlation + np.eye(3)) / 2
    sds = np.array([1.0, 2.0, 5.0])
    errors = rng.normal(size=(4000, 3)) @ np.linalg.cholesky(half).T * sds
    p = [weighted_mean(each, sds, correlation).p for each in errors]
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


def test_a_film_without_errors_takes_no_value_from_another_whatever_their_ids():
    for ids in ("ab", "ba"):
        without, one = (film(name, {"trunk_lean": (30.0, 4.0)}) for name in ids)
        bare = Film(without.id, without.metrics.drop_vars("trunk_lean_sd"), GOOD, "front")
        merged = merge([bare, one])
        assert value_and_sd(merged, "trunk_lean") == (30.0, 4.0)
        assert films_of(merged, "trunk_lean") == [one.id]


def test_of_two_values_without_errors_each_film_has_its_own():
    films = [film(name, {"trunk_lean": (value, math.nan)}) for name, value in (("a", 3), ("b", 6))]
    merged = merge(films)
    assert np.isnan(merged["trunk_lean"])
    assert merged["trunk_lean"].attrs["note"] == "each video has its own value"


def test_the_difference_of_knees_is_of_the_film_from_the_front_and_the_sides_agree_with_it():
    knees = {"knee_flexion": ([100.0, 104.0], [4.0, 4.0]), "knee_flexion_asymmetry": (4.0, 2.0)}
    others = {"knee_flexion": ([104.0, 102.0], [4.0, 4.0]), "knee_flexion_asymmetry": (-2.0, 2.0)}
    front = film("b", knees, azimuth=8.0)
    oblique = film("a", others, view="front-oblique right", azimuth=40.0)
    merged = merge([oblique, front])
    assert value_and_sd(merged, "knee_flexion_asymmetry") == (4.0, 2.0)
    assert films_of(merged, "knee_flexion_asymmetry") == ["b"]
    # Middles 102 and 103 with the variance 16 - 2²/4 each and three quarters of it together.
    assert merged["knee_flexion"].values == pytest.approx([100.5, 104.5])
    assert merged["knee_flexion_sd"].values == pytest.approx([math.sqrt(0.75 * 15 + 1.0)] * 2)


def knees_of(name: str, left: float, right: float, sd: float, view: str, **more: Any) -> Film:
    apart = (right - left, sd * math.sqrt(2))
    numbers = {"knee_flexion": ([left, right], [sd, sd]), "knee_flexion_asymmetry": apart}
    return film(name, numbers, view=view, **more)


def test_a_bad_film_from_the_front_does_not_spoil_the_sides_of_a_good_one():
    oblique = knees_of("a", 131.0, 131.0, 3.0, "front-oblique left", azimuth=-40.0)
    for left, right, sd in ((120.0, 150.0, 20.0), (118.0, 140.0, 11.0)):
        merged = merge([oblique, knees_of("b", left, right, sd, "front")])
        value, sd = value_and_sd(merged, "knee_flexion_asymmetry")
        assert abs(value) < 0.5
        assert sd < 8.0
        assert np.all(merged["knee_flexion_sd"] < 5.0)  # widened, as the films differ
        knees = [each for each in find(merged) if each.rule == "knee_flexion_limited"]
        assert {each.result for each in knees} == {"met"}


def test_the_difference_of_knees_is_of_all_films_from_the_front_however_exact_the_angle():
    films = [
        knees_of("a", 108.0, 113.0, 12.0, "front", azimuth=1.0),
        knees_of("b", 110.0, 112.0, 3.0, "front", azimuth=2.0),
        knees_of("c", 110.0, 112.0, 9.0, "front-oblique left", azimuth=-40.0),
    ]
    merged = merge(films)
    assert value_and_sd(merged, "knee_flexion_asymmetry") == pytest.approx((2.0, 4.2426), abs=1e-4)
    assert films_of(merged, "knee_flexion_asymmetry") == ["a", "b"]


def test_each_side_has_its_own_error_and_a_film_taken_twice_hardly_changes_it():
    sds = [3.0, 12.0]
    for apart in (math.hypot(*sds), 10.0):
        numbers = {"hip_flexion": ([90.0, 95.0], sds), "hip_flexion_asymmetry": (5.0, apart)}
        twice = merge([film(name, numbers) for name in "ab"])
        assert twice["hip_flexion"].values == pytest.approx([90.0, 95.0])
        expected = np.array(sds) * math.sqrt(0.95)
        assert twice["hip_flexion_sd"].values == pytest.approx(expected)


def test_the_stated_errors_of_both_sides_are_those_of_a_simulation():
    rng = np.random.default_rng(3)
    root = np.linalg.cholesky([[1.0, 0.5], [0.5, 1.0]])
    hits, squares = np.zeros(2), []
    for errors in rng.normal(size=(300, 2, 2)):
        sides = 100 + (root @ errors) * [3.0, 9.0]
        films = []
        for view, each in zip(("front", "front-oblique left"), sides, strict=True):
            apart = (float(each[1] - each[0]), math.hypot(3.0, 9.0))
            numbers = {"hip_flexion": (each.tolist(), [3.0, 9.0]), "hip_flexion_asymmetry": apart}
            films.append(film(view, numbers, view=view))
        merged = merge(films)
        apart = np.abs(merged["hip_flexion"].values - 100)
        hits += apart < 1.96 * merged["hip_flexion_sd"].values
        squares.append(apart**2)
    assert hits / 300 == pytest.approx([0.96, 0.96], abs=0.025)
    left, right = np.sqrt(np.nanmean(squares, axis=0))
    assert right > 2.5 * left


def test_a_film_from_the_side_tells_of_the_far_side_by_the_difference_of_another():
    knees = {"knee_flexion": ([100.0, 104.0], [6.0, 6.0]), "knee_flexion_asymmetry": (4.0, 1.0)}
    front = film("a", knees)
    near = {"knee_flexion": ([94.0, math.nan], [2.0, math.nan])}
    side = film("b", near, view="left", azimuth=-90.0, hidden_side="right")
    left, right = merge([front, side])["knee_flexion"].values
    assert right - left == pytest.approx(4.0)
    assert 94.0 <= left < 95.0


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
        (sides, "not_visible", "one leg hides it"),
        ([*sides, front], "not_reported", "it is too uncertain"),
    ):
        checks = [each for each in find(merge(films)) if each.rule == "feet_turn_out"]
        assert {(each.result, each.reason) for each in checks} == {(answer, reason)}


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
    assert left.result == "inconclusive"
    assert "contradict" in left.reason
    assert (right.result, right.reason) == ("not_reported", "the right heel is not seen")


def test_a_film_that_is_unusable_does_not_enter_and_alone_it_is_refused_for_its_verdict():
    dark = film("a", {"trunk_tibia_difference": (99.0, 1.0)}, verdict=UNUSABLE)
    good = film("b", {"trunk_tibia_difference": (5.0, 3.0)}, view="left")
    assert value_and_sd(merge([dark, good]), "trunk_tibia_difference") == (5.0, 3.0)
    (check,) = (each for each in find(merge([dark])) if each.rule == "trunk_leans_forward")
    assert (check.result, check.reason) == ("not_reported", "it is too dark")


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


def test_no_side_is_of_a_film_in_doubt_where_a_certain_one_has_the_other():
    numbers = {"knee_flexion": ([130.0, 92.0], [3.0, 3.0]), "knee_flexion_asymmetry": (-38.0, 4.2)}
    one = {
        "knee_flexion": ([90.0, math.nan], [3.0, math.nan]),
        "knee_flexion_asymmetry": (math.nan, math.nan),
    }
    certain = film("a", one, view="left", azimuth=-90.0, hidden_side="right")
    certain.metrics["knee_flexion"].attrs["note"] = "the right leg is hidden"
    merged = merge([certain, film("b", numbers, verdict=IN_DOUBT)])
    left, right = merged["knee_flexion"].values
    assert (left, math.isnan(right)) == (90.0, True)
    assert np.isnan(merged["knee_flexion_asymmetry"])
    (check,) = (each for each in find(merged) if each.id == "knee_flexion_limited_right")
    assert check.result in ("not_reported", "not_visible")


def test_times_and_smoothness_are_not_merged_and_one_film_alone_has_them():
    def chair(name: str, time: float) -> Film:
        metrics = metrics_of({"five_times": (time, 0.2)}, exercise="Sit-to-Stand")
        metrics["five_times"].attrs |= {"units": "s", "kind": "time", "norm_limit": 11.4}
        return Film(name, metrics, GOOD, "front-oblique left", -40.0)

    films = [chair("a", 10.0), chair("b", 12.0)]
    both = merge(films)
    assert np.isnan(both["five_times"])
    assert both["five_times"].attrs["note"] == "each video has its own value"
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


def test_films_of_two_exercises_are_refused_in_a_line():
    one = film("a", {"trunk_lean": (30.0, 3.0)})
    other = film("b", {"trunk_lean": (30.0, 3.0)}, exercise="Squat")
    with pytest.raises(BadInputError, match="sessions a and b show Overhead Squat and Squat"):
        merge([one, other])


@pytest.mark.parametrize("unlike", [{"units": "1"}, {"version": "2"}])
def test_a_number_measured_in_two_ways_is_refused_in_a_line_and_the_others_are_merged(
    unlike: dict[str, str],
):
    both = {"trunk_lean": (30.0, 4.0), "trunk_tibia_difference": (5.0, 3.0)}
    films = [film("a", {"arm_fall": (10.0, 3.0)}), film("b", both), film("c", both, view="left")]
    films[1].metrics["trunk_tibia_difference"].attrs["version"] = "1"
    films[2].metrics["trunk_tibia_difference"].attrs |= {"version": "1", **unlike}
    merged = merge(films)
    assert value_and_sd(merged, "trunk_lean") == pytest.approx((30.0, 4 * math.sqrt(0.75)))
    assert np.isnan(merged["trunk_tibia_difference"])
    (check,) = (each for each in find(merged) if each.rule == "trunk_leans_forward")
    assert check.result == "not_reported"
    assert check.reason.startswith("it was measured with different versions")
    assert "\n" not in check.reason


def test_the_film_that_shows_no_rise_of_the_heel_does_not_win_alone() -> None:
    """The error is larger for a raised heel: weighed by it, a smaller value would always count."""
    films = []
    for name, value in (("front", 0.5), ("side", 9.0)):
        sd = 3.5 * float(factor_with_value("heel_rise", xr.DataArray(value)))
        numbers = {"heel_rise": ([value, value], [sd, sd])}
        films.append(film(name, numbers, view="front" if name == "front" else "right"))
    left = merge(films).sel(side="left")
    assert float(left["heel_rise"]) == pytest.approx(4.75, abs=0.1)
    least = 3.5 * float(factor_with_value("heel_rise", xr.DataArray(4.75))) / 2**0.5
    assert float(left["heel_rise_sd"]) > 0.99 * least
