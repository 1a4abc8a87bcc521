from __future__ import annotations

import warnings

import numpy as np
import published
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mobility.errors import BadInputError
from mobility.studies.statistics.limits_of_agreement import (
    bland_altman,
    cluster_bootstrap,
    limits_interval_width,
    limits_of_agreement,
    proportional_bias,
    tost_paired,
    variance_interval,
)

FIRST = published.PEFR[:, [0, 2]].T


def test_equivalence_of_peak_flow():
    test = tost_paired(*FIRST, margin=30)
    assert test.p == pytest.approx(0.004555, abs=5e-7)
    assert test.mean == pytest.approx(-2.1176, abs=5e-5)
    assert -30 < test.low < test.high < 30


@pytest.mark.parametrize("margin", [10.0, 17.0, 30.0])
def test_statsmodels_and_pingouin_say_the_same(margin, cross_checks):
    import pingouin
    import statsmodels.stats.weightstats as weightstats

    ours = tost_paired(*FIRST, margin=margin).p
    assert ours == pytest.approx(weightstats.ttost_paired(*FIRST, -margin, margin)[0], rel=1e-9)
    theirs = pingouin.tost(*FIRST, bound=margin, paired=True)
    (column,) = [name for name in theirs.columns if name.lower().startswith("p")]
    assert ours == pytest.approx(theirs[column].iloc[0], rel=1e-9)


@given(st.floats(1, 100), st.floats(0.1, 10), st.integers(0, 1000))
def test_equivalence_scales_and_is_the_interval_within_the_margin(margin, factor, seed):
    rng = np.random.default_rng(seed)
    one, other = rng.normal(0, 10, 12), rng.normal(3, 10, 12)
    test = tost_paired(one, other, margin=margin)
    scaled = tost_paired(factor * one, factor * other, margin=factor * margin)
    assert scaled.p == pytest.approx(test.p, abs=1e-9)
    assert (test.p < 0.05) == (-margin < test.low and test.high < margin)
    assert tost_paired(other, one, margin=margin).p == pytest.approx(test.p, abs=1e-9)


@pytest.mark.parametrize("margin", [0, -5, np.nan, np.inf])
def test_equivalence_needs_a_margin_that_is_positive_and_finite(margin):
    with pytest.raises(BadInputError, match="margin"):
        tost_paired(*FIRST, margin=margin)


def test_equivalence_of_too_little_is_refused():
    few = tost_paired([1, 2, np.nan], [1, 3, 4], margin=5)
    assert np.isnan(few.p)
    assert few.reason == "equivalence: 2 people have both values; 3 are needed"
    assert "do not vary" in tost_paired([1, 2, 3], [2, 3, 4], margin=5).reason


def test_bootstrap_repeats_itself_with_a_seed_only():
    rows = np.random.default_rng(0).normal(5, 2, 12)
    assert cluster_bootstrap(rows, seed=1) == cluster_bootstrap(rows, seed=1)
    assert cluster_bootstrap(rows, seed=1) != cluster_bootstrap(rows, seed=2)
    low, high = cluster_bootstrap(rows)
    assert low < rows.mean() < high
    # About the t interval.
    assert high - low == pytest.approx(2 * 2.201 * rows.std(ddof=1) / 12**0.5, rel=0.15)


def test_participants_make_a_wider_interval_than_their_frames():
    rng = np.random.default_rng(6)
    # Ten people with an error of their own each, seen in a hundred frames that hardly differ.
    frames = rng.normal(0, 4, (10, 1)) + rng.normal(0, 1, (10, 100))
    people = cluster_bootstrap(frames.mean(axis=1))
    single = cluster_bootstrap(frames.ravel(), draws=1000)
    assert people[1] - people[0] > 5 * (single[1] - single[0])


def test_bootstrap_leaves_nan_out_and_refuses_few():
    rows = np.array([1.0, 2.0, 3.0, 4.0, 6.0])
    assert cluster_bootstrap([*rows, np.nan]) == cluster_bootstrap(rows)
    assert np.isnan(cluster_bootstrap(rows[:4])).all()
    assert np.isnan(cluster_bootstrap([])).all()
    with pytest.raises(BadInputError, match="draws"):
        cluster_bootstrap(rows, draws=5)
    with pytest.raises(BadInputError, match="cluster_bootstrap: 1 of 6 values are infinite"):
        cluster_bootstrap([*rows, np.inf])
    with pytest.raises(BadInputError, match="tost_paired: 1 of 4 values are infinite"):
        tost_paired([1, 2, 3, np.inf], [1, 3, 4, 5], margin=5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "n", "share"),
    [
        ("normal", 5, 0.92),
        ("normal", 12, 0.945),
        ("normal", 30, 0.945),
        ("lognormal", 8, 0.851),
        ("lognormal", 30, 0.888),
    ],
)
def test_bootstrap_holds_what_is_said(kind, n, share):
    rng = np.random.default_rng(n)
    mean = {"normal": 0.0, "lognormal": np.exp(0.5)}[kind]
    draws, hit = 1000, 0
    for _ in range(draws):
        values = getattr(rng, kind)(0, 1, n)
        low, high = cluster_bootstrap(values, draws=2000, seed=int(rng.integers(1e9)))
        hit += low <= mean <= high
    assert hit / draws == pytest.approx(share, abs=0.03)


WRIGHT, MINI = published.PEFR[:, :2], published.PEFR[:, 2:]
VALUES = st.floats(-200, 200, allow_nan=False)


def pairs(least=4, most=20):
    return st.integers(least, most).flatmap(
        lambda n: st.tuples(arrays(float, n, elements=VALUES), arrays(float, n, elements=VALUES))
    )


def test_peak_flow_of_1986_as_printed():
    limits = bland_altman(WRIGHT[:, 0], MINI[:, 0])
    assert (round(limits.bias, 1), round(limits.sd, 1)) == (-2.1, 38.8)
    # The paper takes twice the rounded standard deviation.
    assert limits.bias - 2 * limits.sd == pytest.approx(-79.7, abs=0.1)
    assert limits.bias + 2 * limits.sd == pytest.approx(75.5, abs=0.1)
    assert (limits.lower, limits.upper) == pytest.approx((-78.10, 73.86), abs=0.005)
    assert (limits.bias_low, limits.bias_high) == pytest.approx((-22.0, 17.8), abs=0.06)
    assert np.corrcoef(WRIGHT[:, 0], MINI[:, 0])[0, 1] == pytest.approx(0.94, abs=0.005)


def test_mover_interval_of_peak_flow():
    # Zou 2013; the SimplyAgree package's own test expects 122.
    limits = bland_altman(MINI[:, 0], WRIGHT[:, 0])
    assert limits.upper == pytest.approx(78.10, abs=0.005)
    assert (limits.upper_low, limits.upper_high) == pytest.approx((51.34, 121.82), abs=0.01)
    assert limits.lower - limits.lower_low == pytest.approx(limits.upper_high - limits.upper)


def test_blood_pressure_of_1999_as_printed():
    limits = bland_altman(*published.BLOOD_PRESSURE.T)
    assert (round(limits.bias, 2), round(limits.sd, 2)) == (-16.29, 19.61)
    assert (round(limits.lower, 1), round(limits.upper, 1)) == (-54.7, 22.1)
    assert (limits.bias_high - limits.bias) / 1.98861 == pytest.approx(2.13, abs=0.005)


def test_cardiac_output_with_a_varying_true_value_of_2007():
    subject, first, second = published.CARDIAC.T
    limits = bland_altman(first, second, participants=subject.astype(int).tolist())
    assert (limits.pairs, limits.participants) == (60, 12)
    # Each of the twelve once, however many the pairs.
    assert limits.bias == pytest.approx(0.7092, abs=5e-5)
    assert limits.sd == pytest.approx(0.9906, abs=5e-5)
    assert limits.sd_between**2 == pytest.approx(0.8106, abs=1e-4)
    assert limits.sd_within**2 == pytest.approx(0.1707, abs=1e-4)
    assert (limits.lower, limits.upper) == pytest.approx((-1.232, 2.651), abs=1e-3)
    half = (limits.bias_high - limits.bias_low) / 2
    assert half == pytest.approx(2.201 * (0.9127 / 12) ** 0.5, abs=1e-3)
    naive = bland_altman(first, second)
    assert naive.sd == pytest.approx(0.9611, abs=5e-5)
    assert naive.upper_high - naive.upper_low < limits.upper_high - limits.upper_low


def test_statsmodels_finds_the_same_parts_of_the_variance(cross_checks):
    import statsmodels.formula.api as smf

    rng = np.random.default_rng(12)
    n, m = 20, 4  # equal numbers: there restricted maximum likelihood is the analysis of variance
    who = np.repeat(range(n), m)
    difference = rng.normal(2, 4, n)[who] + rng.normal(0, 3, n * m)
    limits = bland_altman(difference, np.zeros(n * m), participants=who.tolist())
    data = {"difference": difference, "who": who}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own, of how it converges
        theirs = smf.mixedlm("difference ~ 1", data, groups=who).fit(reml=True)
    assert limits.sd_between**2 == pytest.approx(float(theirs.cov_re.iloc[0, 0]), rel=1e-3)
    assert limits.sd_within**2 == pytest.approx(theirs.scale, rel=1e-3)


def test_limits_of_clusters_are_those_of_a_worked_example():
    # Three clusters, by hand: W = 1, B = 10 * ((-2)^2 + 0 + 2^2) / 2 = 40, m0 = 10.
    limits = limits_of_agreement(np.array([1.0, 3.0, 5.0]), np.ones(3), np.array([10, 10, 10]))
    assert limits.bias == pytest.approx(3)
    assert (limits.sd_between, limits.sd_within) == pytest.approx((np.sqrt(3.9), 1))
    assert limits.sd == pytest.approx(np.sqrt(4.9))
    assert limits.low == pytest.approx(3 - 1.96 * np.sqrt(4.9))
    one = limits_of_agreement(np.array([1.0]), np.array([2.0]), np.array([10]))
    assert one.bias == 1
    assert np.isnan(one.sd)
    # Bland's advice: ± 0.34 s with 100 and ± 0.24 s with 200 subjects.
    assert limits_interval_width(100, sd=1) / 2 == pytest.approx(0.34, abs=5e-3)
    assert limits_interval_width(200, sd=5) / 10 == pytest.approx(0.24, abs=5e-3)


@given(pairs(), st.floats(-50, 50), st.floats(0.1, 10))
def test_limits_shift_and_scale_with_the_values(both, shift, factor):
    one, other = both
    assume(np.ptp(one - other) > 1e-6)
    plain = bland_altman(one, other)
    moved = bland_altman(factor * one + shift, factor * other)
    for name in ("bias", "lower", "upper", "lower_low", "upper_high", "bias_low"):
        expected = factor * getattr(plain, name) + shift
        assert getattr(moved, name) == pytest.approx(expected, rel=1e-6, abs=1e-6)
    turned = bland_altman(other, one)
    assert turned.upper == pytest.approx(-plain.lower, abs=1e-6)
    assert turned.upper_high == pytest.approx(-plain.lower_low, abs=1e-6)
    # Intervals contain what they are of and reach further outwards.
    assert plain.lower_low <= plain.lower <= plain.lower_high
    assert plain.upper_high - plain.upper >= plain.upper - plain.upper_low - 1e-9


def test_nan_is_left_out_and_too_few_are_refused():
    one, other = WRIGHT[:, 0].copy(), MINI[:, 0].copy()
    one[3], other[5] = np.nan, np.nan
    keep = [i for i in range(17) if i not in (3, 5)]
    assert bland_altman(one, other) == pytest.approx(
        bland_altman(one[keep], other[keep]), nan_ok=True
    )
    few = bland_altman([1.0, 2.0, np.nan], [0.0, 3.0, 1.0])
    assert few.pairs == 2
    assert few.bias == 0
    assert np.isnan(few.sd)
    assert np.isnan(few.upper_high)
    assert bland_altman([1.0], [2.0]).reason.endswith("one person has both values; 3 are needed")
    none = bland_altman([np.nan], [2.0]).reason
    assert none.endswith("nobody has both values; 3 people are needed")
    assert few.reason == "limits of agreement: 2 people have both values; 3 are needed"
    two = bland_altman(one, other, participants=["a"] * 8 + ["b"] * 9)
    assert np.isnan(two.sd)
    assert two.reason == "limits of agreement: 2 people have both values; 3 are needed"
    assert np.isnan(bland_altman([], []).bias)


@pytest.mark.parametrize("participants", [None, list("aabbcc")])
def test_equal_differences_have_no_limits(participants):
    other = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    for offset in (0.0, 1.0, 0.1):  # the last one with errors of rounding
        limits = bland_altman(other + offset, other, participants=participants)
        assert limits.bias == pytest.approx(offset)
        assert (
            limits.reason == "limits of agreement: all differences are the same and have no spread"
        )
        assert np.isnan([limits.sd, limits.lower, limits.upper, limits.bias_low]).all()
    nearly = other + np.where(other > 5, 1e-3, 0.0)
    assert bland_altman(nearly, other, participants=participants).sd > 0
    assert bland_altman(np.zeros(4), np.zeros(4)).bias == 0


def test_bad_input_says_what_to_do():
    with pytest.raises(BadInputError, match="must be paired"):
        bland_altman([1, 2, 3], [1, 2])
    with pytest.raises(BadInputError, match="bland_altman: 1 of 3 values are infinite"):
        bland_altman([1, 2, np.inf], [1, 2, 3])
    with pytest.raises(BadInputError, match="2 participants for 3 pairs"):
        bland_altman([1, 2, 3], [1, 2, 4], participants=["a", "b"])
    with pytest.raises(BadInputError, match="did you mean 'participants'"):
        bland_altman([1, 2, 3], [1, 2, 4], participant=["a", "b", "c"])


def test_proportional_bias_is_found_and_absent():
    rng = np.random.default_rng(1)
    true = rng.uniform(50, 120, 400)
    plain = proportional_bias(true + rng.normal(3, 2, 400), true + rng.normal(0, 2, 400))
    assert plain.slope_low < 0 < plain.slope_high
    # 1.1 x - x over (1.1 x + x) / 2: 0.1 / 1.05.
    wrong = proportional_bias(1.1 * true, true)
    assert wrong.slope == pytest.approx(0.1 / 1.05)
    assert wrong.intercept == pytest.approx(0, abs=1e-9)
    assert wrong.p < 1e-10
    assert proportional_bias([1, 1, 1], [1, 1, 1]).reason.endswith("all means are the same")
    assert np.isnan(proportional_bias([1, 2], [2, 1]).slope)


def test_proportional_bias_is_scipys_regression():
    from scipy import stats

    one, other = WRIGHT[:, 0], MINI[:, 0]
    theirs = stats.linregress((one + other) / 2, one - other)
    ours = proportional_bias(one, other)
    assert ours.slope == pytest.approx(theirs.slope)
    assert ours.p == pytest.approx(theirs.pvalue)
    half = stats.t.ppf(0.975, 15) * theirs.stderr
    assert ours.slope_high - ours.slope == pytest.approx(half)


@pytest.mark.slow
def test_intervals_of_the_limits_hold_what_they_promise():
    rng = np.random.default_rng(6)
    n, draws, upper = 6, 2000, 1 + 1.96 * 4
    hit = mean = 0
    for _ in range(draws):
        limits = bland_altman(rng.normal(1, 4, n), np.zeros(n))
        hit += limits.upper_low <= upper <= limits.upper_high
        mean += limits.bias_low <= 1 <= limits.bias_high
    assert hit / draws == pytest.approx(0.95, abs=0.02)
    assert mean / draws == pytest.approx(0.95, abs=0.02)


@pytest.mark.slow
def test_intervals_for_repetitions_hold_what_they_promise():
    rng = np.random.default_rng(2)
    n, draws = 15, 1500
    upper = 2 + 1.96 * 5
    hit = mean = naive = 0
    for _ in range(draws):
        counts = rng.integers(2, 7, n)
        who = np.repeat(np.arange(n), counts)
        difference = rng.normal(2, 4, n)[who] + rng.normal(0, 3, who.size)
        zero = np.zeros(who.size)
        limits = bland_altman(difference, zero, participants=who.tolist())
        hit += limits.upper_low <= upper <= limits.upper_high
        mean += limits.bias_low <= 2 <= limits.bias_high
        wrong = bland_altman(difference, zero)
        naive += wrong.upper_low <= upper <= wrong.upper_high
    assert hit / draws == pytest.approx(0.95, abs=0.025)
    assert mean / draws == pytest.approx(0.95, abs=0.025)
    assert naive / draws < 0.85


def test_interval_of_a_sum_with_one_known_part_is_that_of_the_other():
    """97.5 and 2.5 % of chi-square with one degree of freedom are 5.0239 and 0.00098207."""
    low, high = variance_interval([2.0, 3.0], [1, 1e9])
    assert low == pytest.approx(3 + 2 / 5.0239, rel=1e-2)
    assert high == pytest.approx(3 + 2 / 0.00098207, rel=1e-3)


def test_errors_of_agreement_are_below_their_interval_in_no_more_than_they_should_be():
    """Ten people with two visits; modified large samples alone have 5 % below their interval."""
    rng = np.random.default_rng(1)
    n, studies, ratio = 10, 1000, 0.5
    visits = (1 + n * ratio) * rng.chisquare(1, studies)
    error = rng.chisquare(n - 1, studies) / (n - 1)
    ends = np.array(
        [
            variance_interval([c / n, (n - 1) / n * e], [1, n - 1])
            for c, e in zip(visits, error, strict=True)
        ]
    )
    # Two standard errors are 1 %.
    assert 0.015 <= (ends[:, 0] > 1 + ratio).mean() <= 0.035
    assert (ends[:, 1] < 1 + ratio).mean() <= 0.035
