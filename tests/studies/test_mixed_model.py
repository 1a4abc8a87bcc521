"""Mixed models against the analysis of variance, a paired t test, and statsmodels."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from mobility.errors import BadInputError
from mobility.studies.mixed_model import RESIDUAL, fit_mixed_model


def test_two_way_analysis_of_variance() -> None:
    """Shrout and Fleiss 1979, table 2: mean squares 11.24, 32.49, 1.02; 6 targets, 4 judges."""
    table = np.array(
        [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], float
    )
    target, judge = np.indices(table.shape)
    model = fit_mixed_model(
        table.ravel(), np.ones((24, 1)), {"target": target.ravel(), "judge": judge.ravel()}
    )
    assert model.variances["target"] == pytest.approx((11.24 - 1.02) / 4, abs=0.01)
    assert model.variances["judge"] == pytest.approx((32.49 - 1.02) / 6, abs=0.01)
    assert model.variances[RESIDUAL] == pytest.approx(1.02, abs=0.005)
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


def test_people_who_differ_less_than_their_values_have_a_negative_variance() -> None:
    values = np.tile([-1.0, 1.0], 8) + np.linspace(0, 0.01, 16)
    person = np.repeat(np.arange(8), 2)
    model = fit_mixed_model(values, np.ones((16, 1)), {"person": person})
    assert model.variances["person"] < 0
    assert 2 * model.variances["person"] + model.variances[RESIDUAL] > 0


def test_groupings_that_say_nothing_are_left_out() -> None:
    rng = np.random.default_rng(5)
    person = np.repeat(np.arange(6), 2)
    groupings = {"person": person, "again": person + 10, "each": np.arange(12), "one": 0 * person}
    model = fit_mixed_model(rng.normal(size=12), np.ones((12, 1)), groupings)
    assert list(model.variances) == ["person", RESIDUAL]


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
