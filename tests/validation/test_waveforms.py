from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mobility.errors import BadInputError
from mobility.validation.waveforms import curve_errors, multiple_correlation, spm_paired

F = np.linspace(0, 1, 101)
SQUAT = 50 * (1 - np.cos(2 * np.pi * F))
VALUES = st.floats(-180, 180, allow_nan=False)


def curve(values):
    return xr.DataArray(values, dims="percent", attrs={"units": "degree"})


def test_an_offset_is_all_bias():
    found = curve_errors(curve(SQUAT + 5), curve(SQUAT), dim="percent")
    assert found["bias"] == pytest.approx(5)
    assert found["mae"] == pytest.approx(5)
    assert found["rmse"] == pytest.approx(5)
    assert found["rmse_offset_removed"] == pytest.approx(0, abs=1e-9)
    assert found["bias"].attrs["units"] == "degree"
    assert curve_errors(curve(SQUAT - 5), curve(SQUAT), dim="percent")["bias"] == pytest.approx(-5)


@given(arrays(float, 60, elements=VALUES), arrays(float, 60, elements=VALUES))
def test_mean_square_is_bias_and_what_is_left_without_it(one, other):
    found = curve_errors(curve(one), curve(other), dim="percent")
    assert float(found["rmse"]) ** 2 == pytest.approx(
        float(found["bias"]) ** 2 + float(found["rmse_offset_removed"]) ** 2, rel=1e-9, abs=1e-9
    )
    assert abs(found["bias"]) <= found["mae"] + 1e-9
    assert found["mae"] <= found["rmse"] + 1e-9


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
    with pytest.raises(BadInputError, match=r"over \(cycle, protocol, frame\) .* give \[curves\]"):
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


def test_spm_of_the_arch_angle_is_that_of_spm1d(cross_checks):
    import spm1d

    first, second = spm1d.data.uv1d.tpaired.PlantarArchAngle().get_data()
    found = spm_paired(first, second, alpha=0.05)
    theirs = spm1d.stats.ttest_paired(first, second)
    np.testing.assert_allclose(found.t, theirs.z, rtol=1e-9)
    assert found.threshold == pytest.approx(theirs.inference(0.05, two_tailed=True).zstar)
    # One-tailed it is 3.4059, as published.
    one_tailed = spm_paired(first, second, alpha=0.1)
    assert one_tailed.threshold == pytest.approx(3.4059, abs=5e-5)
    with_gap = np.vstack([first, first[:1] * np.nan]), np.vstack([second, second[:1]])
    assert spm_paired(*with_gap, alpha=0.05).threshold == found.threshold


def test_spm_finds_where_curves_differ_and_nothing_elsewhere(cross_checks):
    rng = np.random.default_rng(1)
    kernel = np.exp(-0.5 * (np.arange(-30, 31) / 10) ** 2)
    smooth = np.stack([np.convolve(rng.normal(0, 1, 161), kernel, "valid") for _ in range(12)])
    hump = 40 * np.exp(-0.5 * ((np.arange(101) - 50) / 5) ** 2)
    found = spm_paired(SQUAT + smooth + hump, SQUAT + np.zeros((12, 1)), alpha=0.05)
    beyond = np.flatnonzero(np.abs(found.t) > found.threshold)
    assert 50 in beyond
    assert 30 < beyond.min() < beyond.max() < 70
    assert found.p < 0.001
    same = spm_paired(SQUAT + smooth, SQUAT + np.zeros((12, 1)), alpha=0.05)
    assert same.p == 1


def test_spm_refuses_too_few_curves(cross_checks):
    rng = np.random.default_rng(1)
    with pytest.raises(BadInputError, match="4 pairs of curves without gaps, needs 5"):
        spm_paired(rng.normal(size=(4, 101)), rng.normal(size=(4, 101)), alpha=0.05)
    with pytest.raises(BadInputError, match="do not vary"):
        spm_paired(np.ones((6, 101)), np.zeros((6, 101)), alpha=0.05)
