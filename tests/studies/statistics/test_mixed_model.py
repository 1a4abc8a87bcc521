"""Mixed models against the analysis of variance, a paired t test, and statsmodels."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from mobility.errors import BadInputError
from mobility.studies.statistics.mixed_model import RESIDUAL, fit_mixed_model


def test_two_way_analysis_of_variance() -> None:
    """Shrout and Fleiss 1979, table 2: mean squares 11.24, 32.49, 1.02; 6 targets, 4 judges."""
    table = np.array(
        [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], float
    )
    target, judge = np.indices(table.shape)
    model = fit_mixed_model(
        table.ravel(), np.ones((24, 1)), {"target": target.ravel(), "judge": judge.ravel()}
    )
    assert model.variances[""]["target"] == pytest.approx((11.24 - 1.02) / 4, abs=0.01)
    assert model.variances[""]["judge"] == pytest.approx((32.49 - 1.02) / 6, abs=0.01)
    assert model.variances[""][RESIDUAL] == pytest.approx(1.02, abs=0.005)
    assert model.estimate[0] == pytest.approx(table.mean())


def test_a_paired_comparison_is_a_paired_t_test() -> None:
    rng = np.random.default_rng(3)
    pairs = rng.normal(0, 4, (9, 1)) + rng.normal(0, 1, (9, 2)) + [0.0, 1.0]
    person, visit = (axis.ravel() for axis in np.indices(pairs.shape))
    fixed = np.column_stack([np.ones(18), visit])
    model = fit_mixed_model(pairs.ravel(), fixed, {"person": person})
    value, error, freedom = model.contrast([0, 1])
    t = stats.ttest_rel(pairs[:, 1], pairs[:, 0])
    assert value / error == pytest.approx(t.statistic, rel=1e-6)
    assert freedom == pytest.approx(8, rel=1e-4)


def test_a_comparison_between_people_is_a_t_test_of_their_means() -> None:
    rng = np.random.default_rng(4)
    values = rng.normal(0, 2, (12, 1)) + rng.normal(0, 3, (12, 4))  # negative variance likely
    person = np.indices(values.shape)[0].ravel()
    model = fit_mixed_model(
        values.ravel(), np.column_stack([np.ones(48), person < 6]), {"person": person}
    )
    value, error, freedom = model.contrast([0, 1])
    t = stats.ttest_ind(values[:6].mean(1), values[6:].mean(1))
    assert value / error == pytest.approx(t.statistic, rel=1e-6)
    assert freedom == pytest.approx(10, rel=1e-4)


def test_strata_have_variances_of_their_own() -> None:
    """Welch 1938: of one value a person; with a covariate, the variances that were commanded."""
    rng = np.random.default_rng(7)
    stratum = np.repeat(["a", "b"], [300, 500])
    age = rng.normal(size=800)
    values = rng.normal(size=800) * np.where(stratum == "a", 12.0, 4.0) + 3 * age
    fixed = np.column_stack([np.ones(800), stratum == "b", age])
    model = fit_mixed_model(values, fixed, {}, strata=stratum)
    assert np.sqrt(model.variances["a"][RESIDUAL]) == pytest.approx(12, rel=0.1)
    assert np.sqrt(model.variances["b"][RESIDUAL]) == pytest.approx(4, rel=0.1)
    few = np.r_[:5, 300:312]
    plain = fit_mixed_model(values[few], fixed[few, :2], {}, strata=stratum[few])
    value, error, freedom = plain.contrast([0, 1])
    t = stats.ttest_ind(values[300:312], values[:5], equal_var=False)
    assert value / error == pytest.approx(t.statistic, rel=1e-6)
    assert freedom == pytest.approx(t.df, rel=1e-4)


def test_people_who_differ_less_than_their_values_have_a_negative_variance() -> None:
    values = np.tile([-1.0, 1.0], 8) + np.linspace(0, 0.01, 16)
    person = np.repeat(np.arange(8), 2)
    model = fit_mixed_model(values, np.ones((16, 1)), {"person": person})
    assert model.variances[""]["person"] < 0
    assert 2 * model.variances[""]["person"] + model.variances[""][RESIDUAL] > 0


def test_groupings_that_say_nothing_are_left_out() -> None:
    rng = np.random.default_rng(5)
    person = np.repeat(np.arange(6), 2)
    groupings = {"person": person, "again": person + 10, "each": np.arange(12), "one": 0 * person}
    model = fit_mixed_model(rng.normal(size=12), np.ones((12, 1)), groupings)
    assert list(model.variances[""]) == ["person", RESIDUAL]


@pytest.mark.parametrize(
    ("values", "fixed"),
    [
        ([1.0, 2.0], np.eye(2)),
        ([1.0, 2.0, 3.0], np.ones((3, 2))),
        ([1.0, 1.0, 1.0], np.ones((3, 1))),
    ],
)
def test_what_cannot_be_fitted(values: list[float], fixed: np.ndarray) -> None:
    with pytest.raises(BadInputError, match="mixed model"):
        fit_mixed_model(values, fixed, {})


def test_no_person_decides_alone_where_values_are_lost() -> None:
    """A mean of a person that is exact would weigh without end: no difference, yet p = 0."""
    rng = np.random.default_rng(37)
    rows = []
    for person in range(8):
        level = rng.normal(0, 3)
        for visit in range(2):
            rng.normal()
            rows += [
                (person, visit, level + rng.normal(0, 3)) for _ in range(2) if rng.random() >= 0.25
            ]
    person, visit, values = np.array(rows).T
    group = person % 2
    codes = [np.ones(len(values)), 2 * group - 1, 2 * visit - 1]
    fixed = np.column_stack([*codes, codes[1] * codes[2]])
    groupings = {"person": person, "person, visit": 2 * person + visit}
    model = fit_mixed_model(values, fixed, groupings)
    _, error, freedom = model.contrast([0, 0, 2, 0])
    assert error > 0.5  # 0.0001 where a variance is negative without limits
    assert freedom < len(values)
    assert min(model.variances[""].values()) >= 0


def test_sums_that_are_the_same_in_all_people_leave_a_paired_t_test() -> None:
    """Shares of the load, which add up to 100: people's means do not differ at all."""
    left = np.array([52.0, 47.0, 55.0, 49.0, 51.0, 58.0, 50.0, 53.0])
    values = np.column_stack([left, 100 - left])
    person, side = (axis.ravel() for axis in np.indices(values.shape))
    groups = np.where(person % 2, 1.0, -1.0)
    fixed = np.column_stack([np.ones(16), side, groups])
    model = fit_mixed_model(values.ravel(), fixed, {"person": person})
    value, error, freedom = model.contrast([0, 1, 0])
    t = stats.ttest_rel(values[:, 1], values[:, 0])
    assert value / error == pytest.approx(t.statistic, rel=1e-4)
    assert freedom == pytest.approx(7, rel=5e-3)
    with pytest.raises(BadInputError, match="all values of a group are the same"):
        model.contrast([0, 0, 1])


def test_an_error_that_no_value_shows_is_refused() -> None:
    """Two people with both visits, one in each group, fit two effects exactly."""
    person = np.array([0, 0, 2, 4, 5, 5, 6, 7, 8, 10, 11])
    visit = np.array([0, 1, 0, 1, 0, 1, 1, 1, 0, 1, 1])
    values = [99.5, 97.2, 103.3, 107.4, 101.6, 100.6, 93.3, 104.5, 102.7, 93.9, 101.9]
    codes = [np.ones(11), np.where(person % 2, 1.0, -1.0), 2.0 * visit - 1]
    fixed = np.column_stack([*codes, codes[1] * codes[2]])
    with pytest.raises(BadInputError, match="too few people with several values"):
        fit_mixed_model(values, fixed, {"person": person})


@pytest.mark.usefixtures("cross_checks")
def test_unbalanced_and_nested_as_statsmodels() -> None:
    import statsmodels.api as sm
    from statsmodels.regression.mixed_linear_model import VCSpec

    rng = np.random.default_rng(6)
    person = np.repeat(np.arange(14), rng.integers(2, 7, 14))
    side = np.array([i % 2 for i in range(len(person))])
    nested = person * 2 + side
    values = (
        rng.normal(0, 3, 14)[person] + rng.normal(0, 2, 28)[nested] + rng.normal(0, 1, len(person))
    )
    fixed = np.column_stack([np.ones(len(person)), person < 7]).astype(float)
    ours = fit_mixed_model(values, fixed, {"person": person, "side": nested})
    sides = [np.eye(2)[side[person == p]] for p in range(14)]
    theirs = sm.MixedLM(
        values,
        fixed,
        groups=person,
        exog_re=np.ones(len(person)),
        exog_vc=VCSpec(["side"], [[["left", "right"]] * 14], [sides]),
    ).fit(reml=True)
    assert ours.estimate == pytest.approx(theirs.fe_params, rel=1e-3)
    assert np.sqrt(np.diag(ours.covariance)) == pytest.approx(theirs.bse_fe, rel=1e-3)
    assert math.isfinite(ours.contrast([0, 1])[2])


def test_a_group_that_hardly_varies_beside_another_is_refused_or_fitted() -> None:
    rng = np.random.default_rng(5)
    strata = np.repeat(["a", "b"], [5, 12])
    fixed = np.column_stack([np.ones(17), strata == "b"]).astype(float)
    for spread in (1e-2, 1e-3, 5e-4, 1e-6, 0.0):
        values = np.concatenate([5 + spread * rng.normal(size=5), rng.normal(0, 4, 12)])
        try:
            fitted = fit_mixed_model(
                values, fixed, {"participant": np.arange(17).astype(str)}, strata=strata
            )
            difference, error, freedom = fitted.contrast([0.0, 1.0])
        except BadInputError:
            continue
        assert np.isfinite([difference, error, freedom]).all()
        assert error > 0
