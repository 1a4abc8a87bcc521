"""Plans keep what they promise, and are those of published examples."""

from __future__ import annotations

import numpy as np
import pytest

from mobility.errors import BadInputError
from mobility.studies.statistics import planning as plan
from mobility.studies.statistics.limits_of_agreement import limits_interval_width
from mobility.studies.statistics.reliability_coefficients import (
    intraclass_correlation,
    measurement_error,
)


def test_participants_for_a_correlation_as_bonett_published():
    # 50 participants and three trials: 0.3233102.
    assert plan.icc(0.32332, icc=0.5, trials=3).participants == 50
    assert plan.icc(0.32330, icc=0.5, trials=3).participants == 51
    # Two trials of a high coefficient, 5 times it more: 1 + 4 (1.96 0.51 / 0.3)^2 + 3.5 = 48.9.
    study = plan.icc(0.3, icc=0.7)
    assert study.participants == 49
    assert study.trials == 2
    # An expected 0.85 of four raters, and a width of 0.2: 19.2, and two more for its average.
    assert plan.icc(0.2, icc=0.85, trials=4).participants == 22


def interval_widths(count: int, *, coefficient: float, trials: int) -> np.ndarray:
    """Widths of the intervals that simulated studies report."""
    rng = np.random.default_rng(4)
    widths = []
    for _ in range(1000):
        people = rng.normal(0, coefficient**0.5, (count, 1))
        values = people + rng.normal(0, (1 - coefficient) ** 0.5, (count, trials))
        interval = intraclass_correlation(values, form="C,1")
        widths.append(interval.high - interval.low)
    return np.array(widths)


@pytest.mark.parametrize(
    ("coefficient", "trials", "count"), [(0.9, 2, 21), (0.8, 3, 38), (0.5, 3, 130)]
)
def test_the_width_of_a_plan_is_that_of_the_studies(coefficient, trials, count):
    study = plan.icc(0.2, icc=coefficient, trials=trials)
    assert study.participants == count
    widths = interval_widths(count, coefficient=coefficient, trials=trials)
    assert study.reached == pytest.approx(widths.mean(), abs=0.005)
    assert 0.19 < study.reached <= 0.2


def test_the_width_of_a_plan_with_assurance_is_that_of_its_share_of_studies():
    study = plan.icc(0.2, icc=0.9, assurance=0.8)
    widths = interval_widths(study.participants, coefficient=0.9, trials=2)
    assert study.reached == pytest.approx(np.quantile(widths, 0.8), abs=0.01)
    assert study.reached <= 0.2


@pytest.mark.parametrize(
    ("width", "icc", "trials", "seed", "within"),
    # Of two trials and 0.95 Zou's 27 participants have an interval of 0.1 in 70 % of studies.
    [(0.25, 0.7, 3, 1, 0.06), (0.1, 0.95, 2, 3, 0.05)],
)
def test_assurance_is_kept(width, icc, trials, seed, within):
    study = plan.icc(width, icc=icc, trials=trials, assurance=0.8)
    assert study.participants > plan.icc(width, icc=icc, trials=trials).participants
    assert "80 % of such studies" in study.assumption
    rng = np.random.default_rng(seed)
    narrow = 0
    for _ in range(500):
        people = rng.normal(0, icc**0.5, (study.participants, 1))
        values = people + rng.normal(0, (1 - icc) ** 0.5, (study.participants, trials))
        interval = intraclass_correlation(values, form="C,1")
        narrow += interval.high - interval.low <= width
    assert narrow / 500 == pytest.approx(0.8, abs=within)


def test_participants_for_an_error_of_measurement():
    # 49 degrees of freedom: chi-square 70.222 and 31.555, half of the width 0.2054.
    assert plan.sem(0.2055).participants == 50
    assert plan.sem(0.2053).participants == 51
    study = plan.sem(0.15, trials=3)
    rng = np.random.default_rng(2)
    error = measurement_error(rng.normal(size=(study.participants, 3)), kind="consistency")
    assert (error.high - error.low) / 2 / error.value == pytest.approx(study.reached)


def test_participants_for_limits_of_agreement_by_blands_advice():
    assert plan.limits(0.34, sd=1).participants == pytest.approx(100, abs=3)
    study = plan.limits(2, sd=5)
    assert limits_interval_width(study.participants, sd=5) <= 4
    assert limits_interval_width(study.participants - 1, sd=5) > 4


def test_two_groups_need_what_cohens_tables_have_and_error_costs():
    # Cohen 1988, table 2.4.1: 64 for 0.5, 26 for 0.8 standard deviations.
    assert plan.groups(5, sd=10).participants == 64
    assert plan.groups(8, sd=10).participants == 26
    with_error = plan.groups(5, sd=10, sem=6)
    # Variance 136 in place of 100.
    assert with_error.participants == plan.groups(5, sd=136**0.5).participants
    assert with_error.cost == with_error.participants - 64
    assert "Without that error, 64 people in each group would be enough" in with_error.assumption
    assert "reliability 0.74" in with_error.assumption
    twice = plan.groups(5, sd=10, sem=6, trials=2)
    assert 64 < twice.participants < with_error.participants
    assert 0.8 <= twice.reached < 0.81


def test_statsmodels_has_the_same_power(cross_checks):
    from statsmodels.stats.power import TTestIndPower

    study = plan.groups(3, sd=4, sem=3, power=0.9, alpha=0.01)
    theirs = TTestIndPower().power(3 / 5, study.participants, 0.01)
    assert study.reached == pytest.approx(theirs, abs=1e-6)


def test_what_cannot_be_planned_says_why():
    for call, message in (
        (lambda: plan.icc(1.5, icc=0.8), "width"),
        (lambda: plan.icc(0.2, icc=1), "icc"),
        (lambda: plan.icc(1e-5, icc=0.5), "more than 1,000,000"),
        (lambda: plan.groups(1e-5, sd=10), "more than 1,000,000"),
        (lambda: plan.sem(1e-5), "more than 1,000,000"),
        (lambda: plan.groups(5, sd=10, power=0.01), "above the level"),
        (lambda: plan.limits(float("nan"), sd=1), "half_width"),
        (lambda: plan.icc(0.9, icc=0.9, trials=2, assurance=0.001), "assurance"),
    ):
        with pytest.raises(BadInputError, match=message):
            call()
