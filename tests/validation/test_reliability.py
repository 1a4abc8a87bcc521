from __future__ import annotations

import numpy as np
import published
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mobility.errors import BadInputError
from mobility.validation.reliability import (
    concordance,
    intraclass_correlation,
    mdc95,
    mean_squares,
    measurement_error,
)

FORMS = ("A,1", "C,1")
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
    [("A,1", 0.29, 0.289764, 0.0188, 0.7611), ("C,1", 0.71, 0.714841, 0.3425, 0.9459)],
)
def test_the_coefficients_of_shrout_and_fleiss_as_printed(form, printed, value, low, high):
    found = intraclass_correlation(published.SHROUT_FLEISS, form=form)
    assert round(found.value, 2) == printed
    assert found.value == pytest.approx(value, abs=1e-6)
    assert (found.low, found.high) == pytest.approx((low, high), abs=6e-4)
    assert found.n == 6


def test_measurement_error_of_shrout_and_fleiss():
    found = measurement_error(published.SHROUT_FLEISS)
    assert found.consistency == pytest.approx(1.0097, abs=1e-4)
    assert found.agreement == pytest.approx(2.5028, abs=1e-4)
    assert found.mdc95_consistency == pytest.approx(2.799, abs=1e-3)
    assert found.mdc95_agreement == mdc95(found.agreement)


def test_peak_flow():
    for form, value in (("A,1", 0.945928), ("C,1", 0.942913)):
        assert intraclass_correlation(FIRST, form=form).value == pytest.approx(value, abs=1e-6)
    found = concordance(*FIRST.T)
    assert found.value == pytest.approx(0.94274, abs=5e-6)
    assert (found.low, found.high) == pytest.approx((0.85049, 0.97873), abs=5e-6)


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
    error = measurement_error(factor * table + shift).consistency
    assert error == pytest.approx(factor * measurement_error(table).consistency, rel=1e-6)


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
    found = measurement_error(moved)
    assert found.consistency == pytest.approx(measurement_error(table).consistency)
    assert found.agreement > found.consistency


def test_a_coefficient_outside_of_minus_1_to_1_is_refused_with_its_reason():
    # The targets do not differ at all: R = 0, and the formula gives -1.67.
    table = [[1, 9], [9, 1], [2, 8], [8, 2], [5, 5]]
    found = intraclass_correlation(table, form="A,1")
    assert np.isnan(found[1:4]).all()
    assert found.reason.startswith("ICC(A,1): the targets differ less than their errors do")
    assert intraclass_correlation(table, form="C,1").value == -1


def test_measurement_error_of_what_never_varies_is_refused_with_its_reason():
    found = measurement_error(np.full((6, 2), 0.1))
    assert np.isnan(found[:4]).all()
    assert found.reason == "SEM: all targets have the same values"
    for row in ([1, 2], [0.1, 0.3]):
        assert measurement_error([row] * 3).reason == "SEM: all targets have the same values"
    assert intraclass_correlation(np.full((6, 2), 0.1)).reason == "ICC: all values are the same"
    assert measurement_error([[1, 2], [3, 4]]).reason == "SEM: 2 independent targets, needs 3"
    # Where people differ and the ways agree, it is none.
    assert measurement_error([[1, 1], [2, 2], [4, 4]]).consistency == 0


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
    assert few.reason == "ICC: 2 independent targets, needs 3"
    assert np.isnan(measurement_error(table[:2]).agreement)
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
    none = intraclass_correlation(table_of(9752, 6, 2, 0.0, 3.0))
    assert none.value == pytest.approx(-0.1359, abs=1e-4)
    assert np.isnan(none.low)
    assert "no reliability" in none.reason
    assert "same value always" in concordance([1, 1, 1], [1, 2, 3]).reason


def test_bad_input_says_what_is_wrong():
    table = published.SHROUT_FLEISS.copy()
    table[0, 0] = np.inf
    for function, given_, message in (
        (intraclass_correlation, ([1, 2, 3],), "at least two ways"),
        (concordance, ([1, 2], [1, 2, 3]), "must be paired"),
        (intraclass_correlation, (table,), "1 of 24 values are infinite"),
        (measurement_error, (-table,), "1 of 24 values are infinite"),
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
        found = intraclass_correlation(table, form=form)
        hit += found.low <= truth <= found.high
    return hit / draws


@pytest.mark.slow
def test_intervals_hold_what_they_promise():
    assert coverage("C,1", 0.8, bias=3, k=3) == pytest.approx(0.95, abs=0.015)
    # That of agreement is approximate, and safe for two ways that are meant themselves.
    assert coverage("A,1", 0.8, bias=0, k=2) == pytest.approx(0.95, abs=0.02)
    assert coverage("A,1", 16 / (16 + 4 + 8), bias=2, k=2) > 0.94


@pytest.mark.slow
def test_interval_of_the_concordance_holds_what_it_promises():
    rng = np.random.default_rng(5)
    draws, hit = 1500, 0
    # var 20 and 20, covariance 16, means 1 apart: 32 / 41.
    for _ in range(draws):
        true = rng.normal(0, 4, 40)
        found = concordance(true + rng.normal(0, 2, 40), true + rng.normal(1, 2, 40))
        hit += found.low <= 32 / 41 <= found.high
    assert hit / draws == pytest.approx(0.95, abs=0.02)
