from __future__ import annotations

import warnings

import numpy as np
import published
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mobility.errors import BadInputError
from mobility.studies.statistics.reliability_coefficients import (
    chi_square_draws,
    concordance,
    intraclass_correlation,
    mdc95,
    mean_squares,
    measurement_error,
    share_within,
    weighted_kappa,
)

FORMS = ("A,1", "C,1", "A,k", "C,k")
KINDS = ("agreement", "consistency")
FIRST = published.PEFR[:, [0, 2]]


def table_of(seed, n, k, targets, ways):
    rng = np.random.default_rng(seed)
    return rng.normal(0, targets, (n, 1)) + rng.normal(0, ways, (1, k)) + rng.normal(0, 1, (n, k))


TABLES = st.builds(
    table_of,
    st.integers(0, 10_000),
    st.integers(4, 12),
    st.integers(2, 4),
    st.floats(0, 20),
    st.floats(0, 20),
)
"""Of random numbers with any share of targets and ways in their variance, none of it rounding."""


def test_mean_squares_of_shrout_and_fleiss_as_printed():
    squares = mean_squares(published.SHROUT_FLEISS)
    assert np.round(squares, 2).tolist() == [6, 4, 11.24, 32.49, 1.02]


@pytest.mark.parametrize(
    ("form", "printed", "value", "low", "high"),
    [
        ("A,1", 0.29, 0.289764, 0.0188, 0.7611),
        ("C,1", 0.71, 0.714841, 0.3425, 0.9459),
        ("A,k", 0.62, 0.620051, 0.0711, 0.9272),
        ("C,k", 0.91, 0.909316, 0.6757, 0.9859),
    ],
)
def test_the_coefficients_of_shrout_and_fleiss_as_printed(form, printed, value, low, high):
    icc = intraclass_correlation(published.SHROUT_FLEISS, form=form, columns="fixed")
    assert round(icc.value, 2) == printed
    assert icc.value == pytest.approx(value, abs=1e-6)
    assert (icc.low, icc.high) == pytest.approx((low, high), abs=6e-4)
    assert icc.n == 6


@pytest.mark.parametrize("table", [published.SHROUT_FLEISS, published.PEFR[:, [0, 2]]])
def test_pingouin_gives_the_same_four_forms(table, cross_checks):
    import pandas as pd
    import pingouin

    n, k = table.shape
    long = {"who": np.repeat(range(n), k), "way": np.tile(range(k), n), "value": table.ravel()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own, of how it calls pandas
        theirs = pingouin.intraclass_corr(pd.DataFrame(long), "who", "way", "value")
    theirs = theirs.set_index("Type")
    for form in FORMS:
        ours = intraclass_correlation(table, form=form, columns="fixed")
        assert ours.value == pytest.approx(theirs.loc[f"ICC({form})", "ICC"], abs=1e-9)
        interval = theirs.loc[f"ICC({form})", "CI95"]
        assert (ours.low, ours.high) == pytest.approx(interval, abs=6e-3)


def test_generalised_interval_of_absolute_agreement_is_that_of_many_random_draws():
    r, c, e = (s for s in mean_squares(published.SHROUT_FLEISS)[2:])
    rng = np.random.default_rng(3)
    r, c, e = (m * d / rng.chisquare(d, 400_000) for m, d in ((r, 5), (c, 3), (e, 15)))
    rows, columns = (r - e) / 4, (c - e) / 6
    low, high = np.quantile(rows / (rows + columns + e), [0.025, 0.975])
    icc = intraclass_correlation(published.SHROUT_FLEISS)
    assert (icc.low, icc.high) == pytest.approx((low, high), abs=6e-3)
    error = np.quantile(np.sqrt(np.maximum(columns, 0) + e), [0.025, 0.975])
    sem = measurement_error(published.SHROUT_FLEISS)
    assert (sem.low, sem.high) == pytest.approx(error, rel=2e-2)


def test_draws_have_the_moments_of_chi_square():
    draws = chi_square_draws((4.0, 30.0))
    assert (np.array([[4.0], [30.0]]) / draws).mean(axis=1) == pytest.approx([4, 30], rel=1e-3)


def test_measurement_error_of_shrout_and_fleiss():
    agreement, consistency = (
        measurement_error(published.SHROUT_FLEISS, kind=kind) for kind in KINDS
    )
    assert consistency.value == pytest.approx(1.0097, abs=1e-4)
    # 1.0097 times the root of 15 over the 97.5 and 2.5 percentiles of chi-square, 27.49 and 6.262.
    assert (consistency.low, consistency.high) == pytest.approx((0.7459, 1.5627), abs=1e-3)
    assert agreement.value == pytest.approx(2.5028, abs=1e-4)
    assert agreement.low < agreement.value < agreement.high
    assert mdc95(consistency.value) == pytest.approx(2.799, abs=1e-3)


def test_peak_flow():
    for form, value in (("A,1", 0.945928), ("C,1", 0.942913)):
        assert intraclass_correlation(FIRST, form=form).value == pytest.approx(value, abs=1e-6)
    ccc = concordance(*FIRST.T)
    assert ccc.value == pytest.approx(0.94274, abs=5e-6)
    assert (ccc.low, ccc.high) == pytest.approx((0.85049, 0.97873), abs=5e-6)


@given(TABLES, st.floats(-50, 50), st.floats(0.1, 10))
def test_coefficients_keep_under_shift_and_scale_and_lie_in_their_intervals(table, shift, factor):
    for form in FORMS:
        plain = intraclass_correlation(table, form=form)
        moved = intraclass_correlation(factor * table + shift, form=form)
        assert moved[1:4] == pytest.approx(plain[1:4], rel=1e-5, abs=1e-5, nan_ok=True)
        assert bool(plain.reason) == bool(np.isnan(plain.low))
        if np.isfinite(plain.low):
            assert -1 <= plain.low <= plain.value + 1e-9
            assert 1 >= plain.high >= plain.value - 1e-9
    for kind in KINDS:
        plain = measurement_error(table, kind=kind)
        moved = measurement_error(factor * table + shift, kind=kind)
        assert moved[1:4] == pytest.approx([factor * x for x in plain[1:4]], rel=1e-6)
        assert 0 < plain.low <= plain.value <= plain.high


@given(st.integers(0, 10_000), st.floats(5, 50), st.integers(5, 15), st.integers(2, 4))
def test_consistency_ignores_a_bias_of_one_way_and_agreement_does_not(seed, bias, n, k):
    rng = np.random.default_rng(seed)
    table = rng.normal(0, 6, (n, 1)) + rng.normal(0, 1, (n, k))
    moved = table.copy()
    moved[:, 0] += bias
    one, other = (intraclass_correlation(t, form="C,1").value for t in (table, moved))
    assert one == pytest.approx(other)
    # Of a negative coefficient a bias moves the magnitude, which is to 0.
    assume(intraclass_correlation(table, form="A,1").value > 0)
    assume(intraclass_correlation(table, form="C,1").value > 0)
    agreement = intraclass_correlation(moved, form="A,1").value
    assert agreement < intraclass_correlation(moved, form="C,1").value
    assert agreement < intraclass_correlation(table, form="A,1").value
    agreement, consistency = (measurement_error(moved, kind=kind) for kind in KINDS)
    assert consistency[1:4] == pytest.approx(measurement_error(table, kind="consistency")[1:4])
    assert agreement.value > consistency.value


def test_a_coefficient_outside_of_minus_1_to_1_is_refused_with_its_reason():
    # The targets do not differ at all: R = 0, and the formula gives -1.67.
    table = [[1, 9], [9, 1], [2, 8], [8, 2], [5, 5]]
    icc = intraclass_correlation(table, form="A,1")
    assert np.isnan(icc[1:4]).all()
    assert icc.reason.startswith("ICC(A,1): people differ less than their errors")
    assert intraclass_correlation(table, form="C,1").value == -1


def test_measurement_error_of_what_never_varies_is_refused_with_its_reason():
    sem = measurement_error(np.full((6, 2), 0.1))
    assert np.isnan(sem[1:4]).all()
    assert sem.reason == "SEM: all people have the same values"
    for row in ([1, 2], [0.1, 0.3]):
        assert measurement_error([row] * 3).reason == "SEM: all people have the same values"
    assert intraclass_correlation(np.full((6, 2), 0.1)).reason == "ICC: all values are the same"
    assert (
        measurement_error([[1, 2], [3, 4]]).reason == "SEM: 2 people have all values; 3 are needed"
    )
    # Where people differ and the ways agree, it is none.
    perfect = measurement_error([[1, 1], [2, 2], [4, 4]])
    assert perfect.value == 0
    assert np.isnan([perfect.low, perfect.high]).all()
    assert perfect.reason == "SEM interval: there is no error"


def test_concordance_falls_with_bias_and_scale_where_the_correlation_does_not():
    x = np.arange(20.0)
    assert concordance(x, x).value == pytest.approx(1)
    assert np.isnan(concordance(x, x).low)
    variance = x.var()
    assert concordance(x, x + 5).value == pytest.approx(2 * variance / (2 * variance + 25))
    assert concordance(x, -x).value < 0


def test_nan_is_left_out_and_too_few_are_refused():
    table = published.SHROUT_FLEISS.copy()
    more = np.vstack([table, [1, np.nan, 2, 3]])
    assert intraclass_correlation(more) == intraclass_correlation(table)
    assert measurement_error(more) == measurement_error(table)
    few = intraclass_correlation(table[:2])
    assert np.isnan(few.value)
    assert few.reason == "ICC: 2 people have all values; 3 are needed"
    assert np.isnan(measurement_error(table[:2]).value)
    assert np.isnan(concordance([1.0, np.nan, 3.0], [1.0, 2.0, 3.0]).value)
    assert np.isnan(intraclass_correlation(np.empty((0, 2))).value)
    same = intraclass_correlation(np.full((5, 2), 7.0))
    assert np.isnan(same.value)
    assert same.reason == "ICC: all values are the same"
    perfect = intraclass_correlation(np.repeat(np.arange(5.0)[:, None], 2, axis=1))
    assert perfect.value == 1
    assert np.isnan(perfect.low)
    assert "no error" in perfect.reason
    # Satterthwaite's freedom is 0.009 here: the bounds would not even contain the coefficient.
    none = intraclass_correlation(table_of(9752, 6, 2, 0.0, 3.0), columns="fixed")
    assert none.value == pytest.approx(-0.1359, abs=1e-4)
    assert np.isnan(none.low)
    assert "no reliability" in none.reason
    assert "always has the same value" in concordance([1, 1, 1], [1, 2, 3]).reason


def test_bad_input_says_what_is_wrong():
    table = published.SHROUT_FLEISS.copy()
    table[0, 0] = np.inf
    for function, given_, message in (
        (intraclass_correlation, ([1, 2, 3],), "at least two ways"),
        (concordance, ([1, 2], [1, 2, 3]), "must be paired"),
        (intraclass_correlation, (table,), "1 of 24 values are infinite"),
        (measurement_error, (-table,), "1 of 24 values are infinite"),
        (measurement_error, (table,), "1 of 24 values are infinite"),
        (weighted_kappa, ([1, 2, 3],), "at least two ratings"),
        (weighted_kappa, ([[1, 2], [0.5, 1]],), "whole numbers"),
        (concordance, ([1, -np.inf, 3], [1, 2, 3]), "concordance: 1 of 3 values are infinite"),
    ):
        with pytest.raises(BadInputError, match=message):
            function(*given_)
    with pytest.raises(BadInputError, match="form"):
        intraclass_correlation(published.SHROUT_FLEISS, form="2,1")


def coverage(form, truth, bias, k, draws=1500, n=20):
    """Share of intervals that hold the truth; 16 between targets, 4 of error, fixed biases."""
    rng = np.random.default_rng(4)
    hit = 0
    for _ in range(draws):
        table = rng.normal(0, 4, (n, 1)) + np.linspace(-bias, bias, k) + rng.normal(0, 2, (n, k))
        icc = intraclass_correlation(table, form=form, columns="fixed")
        hit += icc.low <= truth <= icc.high
    return hit / draws


@pytest.mark.slow
def test_intervals_of_two_methods_hold_what_they_promise():
    assert coverage("C,1", 0.8, bias=3, k=3) == pytest.approx(0.95, abs=0.015)
    # That of agreement is approximate, and safe for two ways that are meant themselves.
    assert coverage("A,1", 0.8, bias=0, k=2) == pytest.approx(0.95, abs=0.02)
    assert coverage("A,1", 16 / (16 + 4 + 8), bias=2, k=2) > 0.94


def test_intervals_for_columns_drawn_from_many_hold_what_they_promise():
    """16 between targets, 8 between columns, 4 of error."""
    rng = np.random.default_rng(10)
    n, k, draws = 10, 3, 600
    hit = dict.fromkeys((*FORMS, "sem"), 0)
    single, mean = 16 / 28, 16 / (16 + 12 / k)
    truth = {"A,1": single, "A,k": mean, "C,1": 0.8, "C,k": 16 / (16 + 4 / k)}
    for _ in range(draws):
        parts = ((4, (n, 1)), (8**0.5, (1, k)), (2, (n, k)))
        table = sum(rng.normal(0, sd, shape) for sd, shape in parts)
        for form in FORMS:
            icc = intraclass_correlation(table, form=form)
            hit[form] += icc.low <= truth[form] <= icc.high
        sem = measurement_error(table)
        hit["sem"] += sem.low <= 12**0.5 <= sem.high
    # Two standard errors of 600 draws are 0.018.
    assert {name: 0.93 <= count / draws <= 0.975 for name, count in hit.items()} == dict.fromkeys(
        hit, True
    )


@pytest.mark.slow
def test_interval_of_the_concordance_holds_what_it_promises():
    rng = np.random.default_rng(5)
    draws, hit = 1500, 0
    # var 20 and 20, covariance 16, means 1 apart: 32 / 41.
    for _ in range(draws):
        true = rng.normal(0, 4, 40)
        ccc = concordance(true + rng.normal(0, 2, 40), true + rng.normal(1, 2, 40))
        hit += ccc.low <= 32 / 41 <= ccc.high
    assert hit / draws == pytest.approx(0.95, abs=0.02)


def test_share_of_new_changes_within_mdc95_is_that_of_t():
    """Of studies of few people: 81, 88, 91 and 92 of 100, not 95, as a benchmark counts."""
    rng = np.random.default_rng(5)
    for people, expected in ((3, 0.811), (5, 0.878), (8, 0.909), (12, 0.924)):
        error = measurement_error(rng.normal(size=(people, 2)), kind="consistency")
        assert share_within(error.freedom) == pytest.approx(expected, abs=5e-4)
    # Agreement, where visits are alike: 93 of 100 of 12 people.
    many = [measurement_error(rng.normal(size=(12, 2))).freedom for _ in range(200)]
    assert share_within(np.median(many)) == pytest.approx(0.929, abs=0.007)


RATINGS = np.array([[0, 0], [1, 1], [2, 1], [3, 3], [1, 0], [2, 2], [3, 1], [0, 1], [2, 3], [1, 1]])


def test_kappa_by_hand():
    # Distances: 4 ones and a two in 10; by chance 1.22 (linear) and 2.3 (quadratic).
    linear, quadratic = (weighted_kappa(RATINGS, weights=w) for w in ("linear", "quadratic"))
    one, other = RATINGS.T
    chance = np.abs(one[:, None] - other)
    assert linear.value == pytest.approx(1 - 0.6 / chance.mean())
    assert quadratic.value == pytest.approx(1 - 0.8 / (chance**2).mean())
    for kappa in (linear, quadratic):
        assert kappa.n == 10
        assert -1 < kappa.low < kappa.value < kappa.high < 1
    three = np.column_stack([RATINGS, RATINGS[:, 0]])
    pairs = weighted_kappa(RATINGS).value, 1.0, weighted_kappa(RATINGS[:, ::-1]).value
    assert weighted_kappa(three).value == pytest.approx(np.mean(pairs))
    # Of two categories the weights are all the same: Cohen's kappa.
    two = weighted_kappa([[0, 0], [1, 1], [0, 1], [1, 1], [0, 0]])
    assert two.value == pytest.approx((0.8 - 0.48) / 0.52)


def test_statsmodels_gives_the_same_kappa(cross_checks):
    from statsmodels.stats.inter_rater import cohens_kappa

    counts = np.zeros((4, 4))
    np.add.at(counts, tuple(RATINGS.T), 1)
    for weights in ("linear", "quadratic"):
        theirs = cohens_kappa(counts, wt=weights).kappa
        assert weighted_kappa(RATINGS, weights=weights).value == pytest.approx(theirs)


def test_kappa_without_variety_is_refused_with_its_reason():
    assert weighted_kappa([[2, 2]] * 5).reason == "kappa: the ratings have one category only"
    assert "3 are needed" in weighted_kappa([[1, 2], [np.nan, 1], [2, 2]]).reason
    perfect = weighted_kappa([[1, 1], [2, 2], [3, 3], [1, 1]])
    assert perfect.value == 1
    assert perfect.reason == "kappa interval: agreement is perfect"
    single = weighted_kappa([[1, 1], [1, 1], [1, 1], [2, 2]])
    assert single.reason == "kappa interval: all ratings except those of one person are the same"
    apart = weighted_kappa([[1, 0], [2, 0], [3, 0], [2, 0]], weights="linear")
    assert apart.value == 0
    assert apart.reason == "kappa interval: the ratings do not overlap"


@pytest.mark.slow
def test_interval_of_kappa_holds_what_it_promises():
    rng = np.random.default_rng(6)

    def ratings(n):
        true = rng.normal(0, 0.8**0.5, (n, 1))
        return np.digitize(true + rng.normal(0, 0.2**0.5, (n, 2)), [-0.67, 0, 0.67])

    many = ratings(4000)
    for weights in ("linear", "quadratic"):
        truth = weighted_kappa(many, weights=weights).value
        each = [weighted_kappa(ratings(20), weights=weights) for _ in range(600)]
        hit = np.mean([kappa.low <= truth <= kappa.high for kappa in each if not kappa.reason])
        assert hit == pytest.approx(0.95, abs=0.025)
