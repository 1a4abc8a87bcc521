from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.signal import fftconvolve

from mobility.errors import BadInputError
from mobility.studies.statistics.waveforms import (
    band_factor,
    clusters_beyond,
    curve_errors,
    independent_curve_test,
    multiple_correlation,
    paired_curve_test,
)

F = np.linspace(0, 1, 101)
SQUAT = 50 * (1 - np.cos(2 * np.pi * F))
VALUES = st.floats(-180, 180, allow_nan=False)


def curve(values):
    return xr.DataArray(values, dims="percent", attrs={"units": "degree"})


def test_an_offset_is_all_bias():
    errors = curve_errors(curve(SQUAT + 5), curve(SQUAT), dim="percent")
    assert errors["bias"] == pytest.approx(5)
    assert errors["mae"] == pytest.approx(5)
    assert errors["rmse"] == pytest.approx(5)
    assert errors["rmse_offset_removed"] == pytest.approx(0, abs=1e-9)
    assert errors["bias"].attrs["units"] == "degree"
    assert curve_errors(curve(SQUAT - 5), curve(SQUAT), dim="percent")["bias"] == pytest.approx(-5)


@given(arrays(float, 60, elements=VALUES), arrays(float, 60, elements=VALUES))
def test_mean_square_is_bias_and_what_is_left_without_it(one, other):
    errors = curve_errors(curve(one), curve(other), dim="percent")
    assert float(errors["rmse"]) ** 2 == pytest.approx(
        float(errors["bias"]) ** 2 + float(errors["rmse_offset_removed"]) ** 2, rel=1e-9, abs=1e-9
    )
    assert abs(errors["bias"]) <= errors["mae"] + 1e-9
    assert errors["mae"] <= errors["rmse"] + 1e-9


def test_gaps_are_left_out_until_they_are_most_of_the_curve():
    gaps = SQUAT + 3
    gaps[:50] = np.nan
    assert curve_errors(curve(gaps), curve(SQUAT), dim="percent")["bias"] == pytest.approx(3)
    gaps[:52] = np.nan
    assert np.isnan(curve_errors(curve(gaps), curve(SQUAT), dim="percent")["rmse"])
    # Where the lab has half of the curve, that half counts.
    half = np.where(F > 0.4, np.nan, SQUAT)
    assert curve_errors(curve(SQUAT + 2), curve(half), dim="percent")["bias"] == pytest.approx(2)
    nothing = curve_errors(curve(SQUAT), curve(SQUAT * np.nan), dim="percent")
    assert np.isnan(nothing["bias"])


@pytest.mark.parametrize(
    ("other", "value"), [(SQUAT + 5, 0.995085), (SQUAT + 20, 0.924066), (SQUAT * 0.8, 0.964498)]
)
def test_multiple_correlation_of_known_curves(other, value):
    assert multiple_correlation([[SQUAT, other]]) == pytest.approx(value, abs=5e-7)
    # The same cycle three times over: the freedom of the means is counted per cycle.
    assert multiple_correlation([[SQUAT, other]] * 3) == pytest.approx(value, abs=5e-7)


def test_multiple_correlation_is_not_defined_where_curves_differ_more_than_they_move():
    assert np.isnan(multiple_correlation([[SQUAT, SQUAT + 100]]))
    assert multiple_correlation([[SQUAT, SQUAT]]) == 1
    assert np.isnan(multiple_correlation([[SQUAT * 0, SQUAT * 0]]))
    assert np.isnan(multiple_correlation(np.full((2, 2, 101), np.nan)))


@pytest.mark.parametrize("curves", [SQUAT, [SQUAT, SQUAT], [[[SQUAT, SQUAT]]]])
def test_multiple_correlation_of_other_dimensions_is_refused(curves):
    with pytest.raises(
        BadInputError, match=r"dimensions \(cycle, protocol, frame\) .* pass \[curves\]"
    ):
        multiple_correlation(curves)


def test_multiple_correlation_of_repetitions_is_kadabas():
    rng = np.random.default_rng(0)
    Y = SQUAT + rng.normal(0, 6, (3, 5, 101))  # session, repetition, frame
    M, N, T = Y.shape
    apart = ((Y - Y.mean(axis=1, keepdims=True)) ** 2).sum() / (M * T * (N - 1))
    moved = ((Y - Y.mean(axis=(1, 2), keepdims=True)) ** 2).sum() / (M * (N * T - 1))
    assert multiple_correlation(Y) == pytest.approx(np.sqrt(1 - apart / moved))


@given(st.floats(-500, 500), st.floats(0.2, 5), st.integers(0, 100))
def test_multiple_correlation_keeps_under_shift_scale_and_exchange(shift, factor, seed):
    rng = np.random.default_rng(seed)
    both = np.stack([SQUAT, SQUAT + rng.normal(3, 4, 101)])[None]
    value = multiple_correlation(both)
    assert multiple_correlation(factor * both + shift) == pytest.approx(value, rel=1e-6)
    assert multiple_correlation(both[:, ::-1]) == pytest.approx(value)


def test_multiple_correlation_leaves_frames_with_gaps_out():
    gaps = SQUAT + 5
    gaps[90:] = np.nan
    assert multiple_correlation([[SQUAT, gaps]]) == pytest.approx(
        multiple_correlation([[SQUAT[:90], SQUAT[:90] + 5]])
    )


def smooth(rng, count, *, points=101, width=20.0):
    """Curves of unit variance whose autocorrelation is that of a Gaussian of this width (FWHM)."""
    kernel = np.exp(-0.5 * (np.arange(-60, 61) / (width / 2.355)) ** 2)
    kernel /= np.sqrt((kernel**2).sum())
    noise = rng.normal(size=(count, points + 120))
    return fftconvolve(noise, kernel[None], mode="valid", axes=1)


@pytest.mark.parametrize(("people", "exact"), [(8, True), (15, False)])
def test_the_paired_test_is_that_of_spm1d(people, exact, cross_checks):
    from spm1d.stats import nonparam

    rng = np.random.default_rng(3)
    first = smooth(rng, people)
    second = smooth(rng, people) + 3 * np.exp(-0.5 * ((np.arange(101) - 40) / 12) ** 2)
    test = paired_curve_test(second - first)
    theirs = nonparam.ttest_paired(second, first)
    np.testing.assert_allclose(test.t, theirs.z, rtol=1e-9)
    assert test.exact == exact
    # Theirs enumerates all 32,768 flips of 15, and interpolates between the two nearest values.
    result = theirs.inference(0.05, two_tailed=True, iterations=-1, force_iterations=True)
    assert test.threshold == pytest.approx(result.zstar, rel=0.01 if exact else 0.03)
    clusters = clusters_beyond(test)
    assert len(clusters) == len(result.clusters) == 1
    assert np.allclose(clusters[0][:2], result.clusters[0].endpoints, atol=1.01)
    assert clusters[0].p <= 0.05
    assert result.clusters[0].P <= 0.05


def test_the_test_of_two_groups_is_nearly_that_of_spm1d(cross_checks):
    """Theirs exchanges people, which groups of one size and spread allow."""
    from spm1d.stats import nonparam

    rng = np.random.default_rng(4)
    first = smooth(rng, 6)
    second = smooth(rng, 6) + 4 * np.exp(-0.5 * ((np.arange(101) - 60) / 12) ** 2)
    test = independent_curve_test(first, second)
    theirs = nonparam.ttest2(second, first)
    np.testing.assert_allclose(test.t, theirs.z, rtol=1e-9)  # Welch's, for groups of one size
    result = theirs.inference(0.05, two_tailed=True, iterations=-1)
    assert (test.arrangements, test.exact) == (2048, True)
    assert test.threshold == pytest.approx(result.zstar, rel=0.15)
    (cluster,) = clusters_beyond(test)
    assert np.allclose(cluster[:2], result.clusters[0].endpoints, atol=4)


def test_one_point_has_the_p_values_of_scipy():
    from scipy import stats

    rng = np.random.default_rng(5)
    one, other = rng.normal(size=7), rng.normal(1, 3, size=5)
    flips = stats.permutation_test(
        (one,),
        lambda x, axis: np.abs(x.mean(axis)),
        permutation_type="samples",
        alternative="greater",
        vectorized=True,
    )
    assert paired_curve_test(one[:, None]).p[0] == pytest.approx(flips.pvalue)
    test = independent_curve_test(one[:, None], other[:, None])
    welch = stats.ttest_ind(other, one, equal_var=False)
    assert test.t[0] == pytest.approx(welch.statistic)
    assert test.p[0] == pytest.approx(welch.pvalue, abs=0.03)
    turned = independent_curve_test(other[:, None], one[:, None])
    assert turned.t[0] == pytest.approx(-welch.statistic)


def test_p_threshold_and_clusters_say_the_same():
    hump = 3 * np.exp(-0.5 * ((np.arange(101) - 50) / 5) ** 2)
    for test in (
        paired_curve_test(smooth(np.random.default_rng(1), 12) + hump),
        paired_curve_test(smooth(np.random.default_rng(1), 20) + hump, seed=1),
        independent_curve_test(
            smooth(np.random.default_rng(8), 9), smooth(np.random.default_rng(2), 7) + hump
        ),
    ):
        np.testing.assert_array_equal(test.p <= 0.05, np.abs(test.t) > test.threshold)
        assert test.p.min() >= 1 / test.arrangements
        cluster = min(clusters_beyond(test), key=lambda cluster: cluster.p)
        assert 30 < cluster.first < cluster.peak < cluster.last < 70
        assert cluster.p == test.p.min()
    # Two humps of different signs are two clusters; the drawn flips are always the same.
    both = smooth(np.random.default_rng(1), 20) + 4 * np.sin(2 * np.pi * F)
    test = paired_curve_test(both)
    assert [np.sign(test.t[c.peak]) for c in clusters_beyond(test)] == [1, -1]
    np.testing.assert_array_equal(test.p, paired_curve_test(both).p)


def test_curves_with_gaps_or_nothing_to_tell_are_left_out_or_refused():
    rng = np.random.default_rng(1)
    curves = smooth(rng, 7)
    gap = np.vstack([curves, curves[:1] * np.where(F == 0.5, np.nan, 1)])
    assert paired_curve_test(gap).threshold == paired_curve_test(curves).threshold
    assert band_factor(gap) == band_factor(curves)
    with pytest.raises(BadInputError, match=r"5 pairs .* no p below 0.062,"):
        paired_curve_test(curves[:5])
    with pytest.raises(BadInputError, match=r"groups of 3 and 12 are too small; use at least 5"):
        independent_curve_test(curves[:3], smooth(rng, 12))
    with pytest.raises(BadInputError, match="do not vary"):
        paired_curve_test(np.ones((7, 101)))
    with pytest.raises(BadInputError, match="must have the dimensions"):
        paired_curve_test(np.ones(101))
    # Where all curves begin at zero nothing differs.
    assert paired_curve_test(curves * F).p[0] == 1
    assert np.isnan(band_factor(curves[:4]))


@pytest.mark.slow
def test_no_difference_is_found_in_one_study_of_twenty():
    """2,000 studies of smooth noise: 4 to 6 % of them; a benchmark counts those of two groups."""
    rng = np.random.default_rng(7)
    p = [paired_curve_test(smooth(rng, 10), most=500).p.min() for _ in range(2000)]
    assert 0.04 <= np.mean(np.array(p) <= 0.05) <= 0.06


@pytest.mark.slow
def test_no_difference_is_found_where_the_smaller_group_varies_more(program):
    """5 people vary 3 times as much as 12; where people are exchanged it is about 15 %."""
    assert program("groups").curve_rates((5, 12), 3.0, studies=600) <= 0.09


@pytest.mark.slow
@pytest.mark.parametrize("people", [5, 10, 20])
def test_the_band_holds_the_whole_mean_curve(people):
    rng = np.random.default_rng(people)
    held = 0
    for _ in range(1000):
        curves = smooth(rng, people)
        t = curves.mean(axis=0) / (curves.std(axis=0, ddof=1) / np.sqrt(people))
        held += np.abs(t).max() <= band_factor(curves, most=1000)
    assert 0.93 <= held / 1000 <= 0.97


def test_points_at_which_nothing_differs_are_no_difference_by_rounding() -> None:
    varied = np.random.default_rng(2).normal(0, 1, (10, 10))
    varied[:, :5] = 0.1
    test = independent_curve_test(varied[:5], varied[5:])
    np.testing.assert_array_equal(test.t[:5], 0)
    assert np.isfinite(test.t).all()
