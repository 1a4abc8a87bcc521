"""Errors of a change: known statistics, and how often they hold."""

import math

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from mobility import tables
from mobility.assessment.between_visits import (
    Known,
    judged,
    known_of,
    least_change,
    pooled_variance,
    sem_over_repetitions,
    visit_error,
    visit_sem,
)

NOTHING = Known(scatter=math.nan, freedom=0, day=0.0)


def test_few_repetitions_take_the_scatter_of_others_and_many_their_own() -> None:
    variance, freedom = pooled_variance(
        [math.nan, 4.0, 4.0], [0, 4, 400], prior=16.0, prior_freedom=4.0
    )
    assert variance == pytest.approx([16.0, 10.0, 4.0], rel=0.05)
    assert freedom.tolist() == [4, 8, 404]
    # The variance of a single value is not zero.
    assert pooled_variance(0.0, 0, prior=16.0, prior_freedom=4.0)[0] == 16.0
    # Nothing is known of others: only one's own.
    variance, _ = pooled_variance([9.0, 9.0], [0, 2], prior=math.nan, prior_freedom=0)
    np.testing.assert_array_equal(variance, [math.nan, 9.0])


def test_the_error_of_one_repetition_by_hand() -> None:
    known = Known(scatter=3.0, freedom=4, day=3.1)
    t_of_4 = 2.776
    expected = np.sqrt(1.4**2 + (t_of_4 / 1.96 * 3.0) ** 2 + 3.1**2)
    assert visit_sem(1.4, 0.0, 1, known=known) == pytest.approx(expected, rel=1e-3)
    # Weir 2005: with nothing but the camera it is 1.96 √2 SEM.
    camera = Known(scatter=0.0, freedom=1e6, day=0.0)
    sem = visit_sem(1.4, 0.0, 1, known=camera)
    assert least_change(sem, sem) == pytest.approx(1.96 * np.sqrt(2) * 1.4)


def test_without_what_is_needed_the_error_is_unknown() -> None:
    assert math.isnan(visit_sem(1.0, 4.0, 0, known=Known(2.0, 4, 1.0)))
    assert math.isnan(visit_sem(1.0, 4.0, 2, known=NOTHING)), "two say too little"
    assert math.isfinite(visit_sem(1.0, 4.0, 3, known=NOTHING))
    assert math.isnan(visit_sem(1.0, 4.0, 9, known=Known(2.0, 4, math.nan))), "days are unknown"
    assert math.isnan(visit_sem(math.nan, 4.0, 9, known=Known(2.0, 4, 1.0)))


@pytest.mark.parametrize("repetitions", [1, 2, 3, 5, 10])
def test_of_unchanged_people_at_most_one_of_twenty_changes_is_claimed(repetitions: int) -> None:
    """People scatter differently (Smyth 2004), as the pooled value assumes."""
    rng = np.random.default_rng(5)
    people, freedom, scatter, day, camera = 20_000, 4, 3.0, 2.0, 1.5
    sds = scatter * np.sqrt(freedom / stats.chi2.rvs(freedom, size=people, random_state=rng))
    visits = rng.normal(0, np.hypot(day, camera), (people, 2, 1))
    values = visits + sds[:, None, None] * rng.normal(size=(people, 2, repetitions))
    variance = values.var(axis=-1, ddof=1) if repetitions > 1 else np.zeros((people, 2))
    known = Known(scatter, freedom, day)
    sems = visit_sem(camera, variance, repetitions, known=known)
    medians = np.median(values, axis=-1)
    least = least_change(sems[:, 0], sems[:, 1])
    change = medians[:, 1] - medians[:, 0]
    assert 0.02 < (abs(change) > least).mean() < 0.055
    assert (abs(change) > 1.96 * np.sqrt(2) * camera).mean() > 0.15, "the camera alone"
    assert (change + 2 * least > least).mean() > 0.9


@pytest.mark.parametrize("spread", [0.2, 4.0])
def test_without_others_ones_own_scatter_holds(spread: float) -> None:
    rng = np.random.default_rng(2)
    for n in (3, 5, 8):
        turns = rng.normal(0, spread, (8000, 2, n)) + rng.normal(0, 2.0, (8000, 2, 1))
        sem = visit_sem(2.0, turns.var(axis=-1, ddof=1), n, known=NOTHING)
        differ = abs(np.diff(np.median(turns, axis=-1), axis=1)[:, 0])
        assert (differ > least_change(sem[:, 0], sem[:, 1])).mean() < 0.06


def test_only_accepted_repetitions_with_a_value_count() -> None:
    value = xr.DataArray(
        [[1.0, 5.0], [3.0, math.nan], [99.0, 99.0], [5.0, math.nan]],
        dims=("rep", "side"),
        coords={"side": ["left", "right"]},
    )
    again = xr.DataArray([1.0, 1.0], dims="side", coords={"side": ["left", "right"]})
    accepted = np.array([True, True, False, True])
    known = Known(scatter=3.0, freedom=4, day=0.0)
    found = sem_over_repetitions(again, value, accepted, known=known)
    expected = [visit_sem(1.0, 4.0, 3, known=known), visit_sem(1.0, 0.0, 1, known=known)]
    np.testing.assert_allclose(found, expected)


def test_filmed_otherwise_the_error_of_the_number_counts_too() -> None:
    assert visit_error(4.0, 3.0, alike=True) == 3.0
    assert visit_error(4.0, 3.0, alike=False) == 5.0
    assert np.isnan(visit_error(4.0, math.nan, alike=[True, False])).all()


def test_what_is_known_of_others() -> None:
    table = {
        "scatter": {"freedom": 4, "any_angle": 2.5, "sd": {"knee_flexion": 3.0, "shift": 0.1}},
        "day": {"sd": {"angle": 3.1, "difference_of_sides": 4.4}},
    }
    assert known_of("knee_flexion", "degree", table) == Known(3.0, 4, 3.1)
    assert known_of("knee_flexion_from_standing", "degree", table) == Known(3.0, 4, 3.1)
    assert known_of("wrist_asymmetry", "degree", table) == Known(2.5, 4, 4.4)
    assert known_of("shift", "1", table) == Known(0.1, 4, 0.1)
    assert math.isnan(known_of("time", "s", table).day)
    stored = tables.load("between_visits")
    # Both sides as if they varied independently.
    days = stored["day"]["sd"]
    assert days["difference_of_sides"] == pytest.approx(np.sqrt(2) * days["angle"], abs=0.05)
    assert all(sd > 0 for sd in stored["scatter"]["sd"].values())


@pytest.mark.parametrize(
    ("direction", "before", "now", "says"),
    [
        ("below", 80, 95, "better"),
        ("below", 95, 80, "worse"),
        ("below", 80, 120, "better"),
        ("below", 105, 130, "met"),
        ("above", 120, 105, "better"),
        ("above", 90, 120, "worse"),
        ("outside", -130, 110, "better"),
        ("outside", -90, 90, "met"),
        ("", 80, 95, ""),
    ],
)
def test_better_is_nearer_to_the_target(
    direction: str, before: float, now: float, says: str
) -> None:
    assert judged(before, now, goal=100.0, direction=direction, alike=True) == says
    assert judged(before, now, goal=math.nan, direction=direction, alike=True) == ""
    assert judged(before, now, goal=100.0, direction=direction, alike=False) == ""


@pytest.mark.parametrize(("metric", "changed"), [("toe_out", 8.0), ("knee_flexion", 5.0)])
def test_single_squats_of_one_recording_are_no_change(metric: str, changed: float) -> None:
    """Four single squats of one video differed by as much."""
    camera = tables.load("trial_errors")["retest"]["sem"]["oblique"][metric]
    sem = visit_sem(camera, 0.0, 1, known=known_of(metric, "degree"))
    assert least_change(sem, sem) > changed
    assert least_change(sem, sem) > least_change(camera, camera)
