from __future__ import annotations

import numpy as np
import published
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobility.errors import BadInputError
from mobility.statistics.inference import cluster_bootstrap, tost_paired

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
