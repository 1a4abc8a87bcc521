"""Differences between groups: against t tests, with refused values, rates of errors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mobility.errors import BadInputError
from mobility.studies.groups import groups, holm


def study(values: dict[str, list[Any]], **columns: list[Any]) -> pd.DataFrame:
    """A table of one measure on one side: a row for each value of each participant."""
    rows = [
        {"participant": who, "metric": "angle", "side": "left", "value": value, "units": "degree"}
        for who, each in values.items()
        for value in each
    ]
    return pd.DataFrame(rows).assign(**columns)


def welch(one: np.ndarray, other: np.ndarray) -> Any:
    return stats.ttest_ind(one, other, equal_var=False)


def of_two_groups(rng: np.random.Generator, n: int = 8) -> tuple[pd.DataFrame, np.ndarray]:
    values = rng.normal(0, 3, 2 * n) + np.repeat([0.0, 4.0], n)
    table = study({f"P{i}": [v] for i, v in enumerate(values)}, group=["a"] * n + ["b"] * n)
    return table, values


def test_one_value_a_person_is_welchs_t_test() -> None:
    table, values = of_two_groups(np.random.default_rng(1))
    row = groups(table, by="group").differences.iloc[0]
    t = welch(values[8:], values[:8])
    low, high = t.confidence_interval()
    assert row["comparison"] == "group b − group a"
    assert (row["p"], row["low"], row["high"]) == pytest.approx((t.pvalue, low, high))
    assert row["freedom"] == pytest.approx(t.df)
    # Hedges 1981: the difference over the mean SD, less its bias.
    pooled = math.sqrt((values[:8].var(ddof=1) + values[8:].var(ddof=1)) / 2)
    g = (values[8:].mean() - values[:8].mean()) / pooled * (1 - 3 / (4 * t.df - 1))
    assert row["effect_size"] == pytest.approx(g)
    assert row["effect_size_low"] < g < row["effect_size_high"]


def test_groups_that_vary_differently_are_compared_by_welchs_t_test_of_means() -> None:
    """Also where values are repeated: people and rest have variances of their own in each group."""
    rng = np.random.default_rng(20)
    spread = np.repeat([12.0, 4.0], [5, 12])[:, None]
    values = spread * (rng.normal(size=(17, 1)) + rng.normal(size=(17, 2)) / 2)
    named = {f"P{i}": list(each) for i, each in enumerate(values)}
    table = study(named, group=["a"] * 10 + ["b"] * 24, visit=[1, 2] * 17)
    row = groups(table, by="group").differences.iloc[0]
    t = welch(values[5:].mean(axis=1), values[:5].mean(axis=1))
    assert row["p"] == pytest.approx(t.pvalue, rel=1e-4)
    assert row["freedom"] == pytest.approx(t.df, rel=1e-3)
    rows = groups(table, by="group", within="visit").differences.set_index("effect")
    changes = values[:, 1] - values[:, 0]
    expected = welch(changes[5:], changes[:5]).pvalue
    assert rows.loc["group × visit", "p"] == pytest.approx(expected, rel=1e-4)


def test_what_differences_are_tested_by_is_named() -> None:
    table, _ = of_two_groups(np.random.default_rng(21))
    once = groups(table, by="group").differences
    adjusted = groups(table.assign(age=range(16)), by="group", adjust="age").differences
    visits = pd.concat([table.assign(visit=1), table.assign(visit=2, value=table.index % 5)])
    assert once["method"].tolist() == ["Welch's t test"]
    assert "variances for each group" in adjusted["method"].item()
    assert groups(visits, by="visit").differences["method"].item().startswith("mixed model, Kenw")


def test_a_group_with_too_few_changes_for_a_variance_of_its_own_has_a_reason() -> None:
    rng = np.random.default_rng(22)
    named = {f"P{i}": list(rng.normal(size=2)) for i in range(12)}
    table = study(named, group=["a"] * 8 + ["b"] * 16, visit=[1, 2] * 12)
    table.loc[[0, 3], "value"] = math.nan
    rows = groups(table, by="group", within="visit").differences.set_index("effect")
    for effect in ("visit", "group × visit"):
        reason = rows.loc[effect, "reason"]
        assert reason == "group a, visit 2 − visit 1: 2 people have both values; 3 are needed"
        assert math.isnan(rows.loc[effect, "p"])
    assert rows.loc["group", "reason"] == ""


def test_visits_of_the_same_people_are_a_paired_t_test() -> None:
    rng = np.random.default_rng(2)
    pairs = rng.normal(0, 5, (10, 1)) + rng.normal(0, 1, (10, 2)) + [0.0, 2.0]
    table = study({f"P{i}": list(pair) for i, pair in enumerate(pairs)}, visit=[1, 2] * 10)
    row = groups(table, by="visit").differences.iloc[0]
    assert row["p"] == pytest.approx(stats.ttest_rel(pairs[:, 1], pairs[:, 0]).pvalue, rel=1e-4)
    assert row["difference"] == pytest.approx((pairs[:, 1] - pairs[:, 0]).mean())


def test_shares_that_add_up_to_100_are_a_paired_t_test() -> None:
    """Whole percent of load: people's means do not differ, and neither can groups of them."""
    left = np.array([52.0, 47.0, 55.0, 49.0, 51.0, 58.0, 50.0, 53.0])
    shares = np.column_stack([left, 100 - left])
    named = {f"P{i}": list(each) for i, each in enumerate(shares)}
    table = study(named, side=["left", "right"] * 8, group=["a"] * 8 + ["b"] * 8)
    row = groups(table, by="side").differences.iloc[0]
    assert row["p"] == pytest.approx(stats.ttest_rel(*shares.T).pvalue, rel=1e-3)
    rows = groups(table, by="group", within=["side"]).differences.set_index("effect")
    assert "all values of a group are the same" in rows.loc["group", "reason"]
    assert math.isnan(rows.loc["group", "p"])
    change = shares[:, 1] - shares[:, 0]
    expected = welch(change[4:], change[:4]).pvalue
    assert rows.loc["group × side", "p"] == pytest.approx(expected, rel=1e-2)


def test_whether_one_group_changes_more_is_a_t_test_of_changes() -> None:
    rng = np.random.default_rng(3)
    pairs = rng.normal(0, 5, (12, 1)) + rng.normal(0, 1, (12, 2))
    pairs[6:, 1] += 3.0
    names = {f"P{i}": list(pair) for i, pair in enumerate(pairs)}
    table = study(names, visit=[1, 2] * 12, group=["a"] * 12 + ["b"] * 12)
    rows = groups(table, by="group", within=["visit"]).differences.set_index("effect")
    change = pairs[:, 1] - pairs[:, 0]
    t = welch(change[6:], change[:6])
    row = rows.loc["group × visit"]
    assert row["comparison"] == "change from visit 1 to visit 2, group b − group a"
    assert rows.loc["visit", "comparison"] == "visit 2 − visit 1"
    sides = table.assign(side=table["visit"].map({1: "left", 2: "right"}))
    of_sides = groups(sides, by="group", within="side").differences["comparison"]
    assert of_sides.tolist()[1:] == ["right − left", "right − left, group b − group a"]
    assert row["p"] == pytest.approx(t.pvalue, rel=1e-4)
    assert row["difference"] == pytest.approx(change[6:].mean() - change[:6].mean())
    assert rows.loc["visit", "difference"] == pytest.approx(
        (change[6:].mean() + change[:6].mean()) / 2
    )


def test_a_covariate_is_adjusted_for() -> None:
    rng = np.random.default_rng(4)
    age = rng.uniform(20, 60, 20)
    value = 0.5 * age + np.repeat([0.0, 2.0], 10) + rng.normal(0, 0.1, 20)
    table = study({f"P{i}": [v] for i, v in enumerate(value)}, group=["a"] * 10 + ["b"] * 10)
    plain, adjusted = (
        groups(
            table.assign(age=age, sex=["m", "f"] * 10), by="group", adjust=adjust
        ).differences.iloc[0]
        for adjust in ([], ["age", "sex"])
    )
    assert adjusted["difference"] == pytest.approx(2.0, abs=0.15)
    assert adjusted["high"] - adjusted["low"] < 0.1 * (plain["high"] - plain["low"])


def test_refused_values_are_counted_with_their_reasons() -> None:
    table, _ = of_two_groups(np.random.default_rng(5))
    table["reason"] = ""
    table.loc[[0, 9], ["value", "reason"]] = [math.nan, "it is not visible enough"]
    made = groups(table, by="group")
    assert made.differences["missing"].tolist() == [2]
    assert made.differences["values"].tolist() == [14]
    assert made.description["refused"].tolist() == [1, 1]
    assert made.without_value[["group", "reason", "values"]].to_numpy().tolist() == [
        ["a", "it is not visible enough", 1],
        ["b", "it is not visible enough", 1],
    ]


def test_too_few_people_have_a_reason_and_no_number() -> None:
    table = study({f"P{i}": [float(i)] for i in range(5)}, group=["a", "a", "b", "b", "b"])
    row = groups(table, by="group").differences.iloc[0]
    assert "group a: 2 people have a value; 3 are needed" in row["reason"]
    assert math.isnan(row["difference"])
    assert math.isnan(row["p_holm"])


def test_holm_over_the_measures() -> None:
    """Holm 1979: 0.01, 0.04, 0.03 become 0.03, 0.06, 0.06; a missing test does not count."""
    adjusted = holm(pd.Series([0.01, 0.04, math.nan, 0.03]))
    assert adjusted.tolist() == pytest.approx([0.03, 0.06, math.nan, 0.06], nan_ok=True)
    assert holm(pd.Series([math.nan])).isna().all()


def test_error_of_measurement_costs_power() -> None:
    table, _ = of_two_groups(np.random.default_rng(6), n=20)
    row = groups(table.assign(sem=2.0), by="group").differences.iloc[0]
    error = (row["high"] - row["difference"]) / stats.t.ppf(0.975, row["freedom"])
    assert row["error_share"] == pytest.approx(2.0**2 * (1 / 20 + 1 / 20) / error**2)
    assert row["detectable_without_error"] == pytest.approx(
        row["detectable"] * math.sqrt(1 - row["error_share"])
    )
    missing = groups(table.assign(sem=math.nan), by="group").differences.iloc[0]
    assert math.isnan(missing["error_share"])


def test_the_table_of_a_paper() -> None:
    table = study({f"P{i}": [10.0 + i] for i in range(6)}, group=["a", "b"] * 3)
    paper = groups(table, by="group").paper_table()
    assert paper.to_numpy().tolist() == [
        ["angle", "left", "degree", "3: 12.0 (2.0)", "3: 13.0 (2.0)"]
    ]
    assert "12.0 (2.0)" in paper.to_latex(index=False)


def test_one_measure_without_sides_needs_no_name() -> None:
    table = study({f"P{i}": [10.0 + i] for i in range(8)}, group=["a", "b"] * 4)
    bare = groups(table[["participant", "value", "group"]], by="group").differences.iloc[0]
    named = groups(table, by="group").differences.iloc[0]
    assert (bare["metric"], bare["side"]) == ("value", "")
    assert bare["p"] == named["p"]


def test_groups_have_the_order_of_a_categorical_column() -> None:
    table, _ = of_two_groups(np.random.default_rng(7))
    table["group"] = pd.Categorical(table["group"], ["b", "a"])
    assert groups(table, by="group").differences["comparison"].tolist() == ["group a − group b"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"by": "grup"}, "did you mean 'group'"),
        ({"by": "group", "within": ["visit"]}, "no column 'visit'"),
        ({"by": "group", "adjust": ["group"]}, "given twice"),
        ({"by": "units"}, "column 'units' has only one value .degree.; choose one with 2 to 8"),
        ({"by": "group", "metrics": ["angel"]}, "did you mean 'angle'"),
    ],
)
def test_bad_options(options: dict[str, Any], words: str) -> None:
    table, _ = of_two_groups(np.random.default_rng(8))
    with pytest.raises(BadInputError, match=words):
        groups(table, **options)


def test_one_name_needs_no_list() -> None:
    table, _ = of_two_groups(np.random.default_rng(3))
    table = pd.concat([table.assign(visit=1), table.assign(visit=2, value=table["value"] + 1)])
    table["value"] += np.random.default_rng(4).normal(size=len(table))
    table["metric"], table["age"] = "knee_flexion", np.arange(len(table)) % 7
    one = groups(table, by="group", within="visit", adjust="age", metrics="knee_flexion")
    many = groups(table, by="group", within=["visit"], adjust=["age"], metrics=["knee_flexion"])
    pd.testing.assert_frame_equal(one.differences, many.differences)
    assert one.adjust == ("age",)


@pytest.mark.slow
def test_no_difference_is_found_in_5_of_100_studies(program: Any) -> None:
    """It is 4 of 100 of these 200, and 8 with the quantiles of the normal distribution."""
    one = program("groups").rates(8, difference=0.0, studies=200)
    assert 0.025 <= one["found"] <= 0.06
    assert 0.92 <= one["inside"] <= 0.975


@pytest.mark.slow
def test_no_difference_is_found_where_the_smaller_group_varies_more(program: Any) -> None:
    """5 people vary 3 times as much as 12; Student's t finds a difference in 18 of 100 studies."""
    found, student = program("groups").unequal_rates((5, 12), 3.0, adjust=["age"], studies=200)
    assert student > 0.12
    assert found <= 0.1


@pytest.mark.slow
def test_no_study_without_a_difference_has_a_tiny_p_where_values_are_lost(program: Any) -> None:
    """Of 2,000 tests 2 have p < 0.001 by chance; it was 3 of 100 when a fit could be singular."""
    rates, small, refused = program("groups").lost_rates(5, 0.4, studies=20)
    assert small == 0
    assert max(rates.values()) <= 0.15
    assert refused < 0.8  # few groups of 5 have enough values for variances of their own


def test_values_of_an_unknown_group_or_age_are_counted_with_the_reason() -> None:
    table, _ = of_two_groups(np.random.default_rng(9))
    table = table.assign(age=range(len(table)), reason="")
    table["age"] = table["age"].astype(float)
    table.loc[0, "age"] = math.nan
    table.loc[1, "group"] = ""
    made = groups(table, by="group", adjust=["age"])
    assert made.differences["missing"].tolist() == [2]
    assert made.without_value[["group", "reason", "values"]].to_numpy().tolist() == [
        ["a", "no age is given", 1],
        ["", "no group is given", 1],
    ]


def test_measures_without_sides_are_named_where_sides_are_compared() -> None:
    people = {f"P{i}": [float(i), i + 1.5 + i % 3] for i in range(6)}
    sided = study(people, side=["left", "right"] * 6)
    both = study(people, side=[""] * 12).assign(metric="trunk")
    rows = groups(pd.concat([sided, both]), by="side").differences.set_index("metric")
    assert rows.loc["angle", "reason"] == ""
    assert rows.loc["trunk", "reason"] == "it is not measured for each side"
    assert rows.loc["trunk", "missing"] == 12


def test_large_numbers_have_the_differences_of_small_ones() -> None:
    table, _ = of_two_groups(np.random.default_rng(10))
    small = groups(table, by="group").differences.iloc[0]
    large = groups(table.assign(value=table["value"] + 1e9), by="group").differences.iloc[0]
    for name in ("difference", "low", "high", "p", "effect_size"):
        assert large[name] == pytest.approx(small[name], rel=1e-5)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.assign(value="deep"), "row 1: value must be a number"),
        (lambda t: t.assign(value=math.inf), "row 1: value must be a number"),
        (lambda t: t.assign(value=1e200), "row 1: value must be a number"),
        (lambda t: t.assign(value=math.nan), "no session has a value"),
        (lambda t: t.assign(sd="x"), "row 1: sd must be a number"),
        (lambda t: t.assign(participant=None), "row 1 has no participant"),
        (lambda t: t.assign(metric=""), "row 1 has no metric"),
        (lambda t: pd.concat([t, t[["value"]]], axis=1), "column 'value' twice"),
        (lambda t: t.assign(units=["degree", "m"] * (len(t) // 2)), "different units"),
        (lambda t: t.assign(group=["b", *t["group"][1:]]), "P0 is in b and a"),
        (lambda t: t.assign(session_id=t["participant"], rep=1), "session P0 occurs twice"),
    ],
)
def test_a_bad_table_is_one_line(change: Any, words: str) -> None:
    people = {f"P{i}": [float(i), i + 1.5] for i in range(8)}
    table = study(people, group=["a"] * 8 + ["b"] * 8)
    with pytest.raises(BadInputError, match=words) as caught:
        groups(change(table), by="group")
    assert "\n" not in str(caught.value)


def test_categories_that_nobody_has_are_no_groups() -> None:
    table, _ = of_two_groups(np.random.default_rng(11))
    plain = groups(table, by="group").differences
    group = pd.Categorical(table["group"], ["none", "a", "b"])
    named = table.assign(group=group, metric=pd.Categorical(table["metric"], ["other", "angle"]))
    pd.testing.assert_frame_equal(groups(named, by="group").differences, plain)


def test_each_pair_of_three_visits_is_a_paired_t_test() -> None:
    """Changes to the third visit vary more: a pooled error would reject 10 of 100 true ones."""
    rng = np.random.default_rng(12)
    values = rng.normal(50, 5, (10, 1)) + rng.normal(0, 1, (10, 3)) * [1.0, 1.0, 4.0]
    table = study({f"P{i}": list(each) for i, each in enumerate(values)}, visit=[1, 2, 3] * 10)
    rows = groups(table, by="visit").differences.set_index("comparison")
    for one, other in ((1, 2), (1, 3), (2, 3)):
        t = stats.ttest_rel(values[:, other - 1], values[:, one - 1])
        row = rows.loc[f"visit {other} − visit {one}"]
        assert row["p"] == pytest.approx(t.pvalue, rel=1e-6)
        assert row["freedom"] == pytest.approx(9)
        assert row["values"] == 20


def test_errors_of_visits_average_out_between_people() -> None:
    """Each person's mean of four visits has a quarter of the variance of one error."""
    rng = np.random.default_rng(11)
    values = rng.normal(0, 6, (16, 1)) + rng.normal(0, 2, (16, 4))
    names = {f"P{i}": list(each) for i, each in enumerate(values)}
    table = study(names, group=["a"] * 32 + ["b"] * 32, visit=[1, 2, 3, 4] * 16).assign(sem=2.0)
    row = groups(table, by="group").differences.iloc[0]
    error = (row["high"] - row["difference"]) / stats.t.ppf(0.975, row["freedom"])
    assert row["error_share"] == pytest.approx(2.0**2 / 4 * (1 / 8 + 1 / 8) / error**2, rel=1e-6)


def test_small_units_keep_their_decimals_in_the_table_of_a_paper() -> None:
    table = study({f"P{i}": [0.02 + i / 1000] for i in range(6)}, group=["a", "b"] * 3)
    paper = groups(table.assign(units="1"), by="group").paper_table()
    assert paper.iloc[0]["group a"] == "3: 0.022 (0.002)"


def test_a_collection_in_a_cell_is_one_line() -> None:
    table = pd.DataFrame(
        {
            "participant": ["a", "b", "c", ["d"]],
            "group": ["x", "x", "y", "y"],
            "value": [1.0, 2.0, 3.0, 4.0],
        }
    )
    with pytest.raises(BadInputError, match="row 4: participant is a collection"):
        groups(table, by="group")
