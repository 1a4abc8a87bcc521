"""Errors of the numbers of a trial, from draws whose deviations are commanded.

Errors of a change: known statistics, and how often they hold.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import xarray as xr
from analytic import fitted
from scipy import stats

from mobility import tables
from mobility.assessment import trial_errors as module
from mobility.assessment.phases import phase_frames
from mobility.assessment.trial_errors import (
    Known,
    judged,
    known_of,
    least_change,
    pooled_variance,
    sem_over_repetitions,
    trial_errors,
    visit_error,
    visit_sem,
)
from mobility.errors import BadInputError
from mobility.kinematics.expected_error import NUMBERS, TABLE, TRIAL, trial_factors
from mobility.kinematics.skeleton import SIDES

BIAS = 3.0


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Tables of errors with a factor of 1 for every number of a trial, which may be changed."""
    load = tables.load
    plain = {name: copy.deepcopy(load(name)) for name in (TABLE, TRIAL)}
    for kind in plain[TRIAL]["trial"].values():
        for number in ("absolute", "from_standing", "sides"):
            kind[number] = dict.fromkeys(load("angles"), 1.0)
    monkeypatch.setattr(tables, "load", lambda name: plain[name] if name in plain else load(name))
    return plain[TABLE] | plain[TRIAL]


@pytest.fixture
def errors_of(
    monkeypatch: pytest.MonkeyPatch, plain: Any, squat_pose: Any, repetitions_of: Any
) -> Callable[..., xr.Dataset]:
    """Errors of a trial of two repetitions whose knees deviate by draw, time and side as given."""

    def measure(deviations: Callable[[xr.Dataset], xr.DataArray], **trial: Any) -> xr.Dataset:
        made = squat_pose(reps=2, fps=15, **trial)
        repetitions = repetitions_of(made)
        pose = fitted(made.pose)
        off = deviations(repetitions).rename(time="fit_time")
        draws = xr.Dataset({"knee_flexion": off, "trunk_lean": off.isel(side=0, drop=True)})
        monkeypatch.setattr(module, "angle_deviations", lambda _: draws)
        return trial_errors(pose, repetitions)

    return measure


def alike(repetitions: xr.Dataset, left: list[float], right: list[float]) -> xr.DataArray:
    """Deviations of draws that are the same all through a trial."""
    sides = xr.DataArray([left, right], dims=("side", "draw"), coords={"side": list(SIDES)})
    return sides * xr.ones_like(repetitions["hip_height"])


def test_a_bias_of_the_whole_trial_cancels_in_a_change_from_standing(errors_of: Any) -> None:
    errors = errors_of(lambda r: alike(r, [-BIAS, BIAS], [-BIAS, BIAS]))
    np.testing.assert_allclose(errors["knee_flexion_absolute"], BIAS)
    np.testing.assert_allclose(errors["knee_flexion_from_standing"], 0.0, atol=1e-9)
    np.testing.assert_allclose(errors["trunk_lean_from_standing"], 0.0, atol=1e-9)
    # Both sides err alike too.
    np.testing.assert_allclose(errors["knee_flexion_sides"], 0.0, atol=1e-9)
    assert errors["knee_flexion_absolute"].dims == ("rep", "side")
    assert errors["knee_flexion_sides"].dims == errors["trunk_lean_absolute"].dims == ("rep",)
    assert "trunk_lean_sides" not in errors


def test_independent_errors_add_in_quadrature(errors_of: Any) -> None:
    """Four draws: every combination of the signs of both sides, or of both phases."""
    one, other = [1.0, 1.0, -1.0, -1.0], [1.0, -1.0, 1.0, -1.0]
    sides = errors_of(lambda r: alike(r, [3.0 * x for x in one], [4.0 * x for x in other]))
    np.testing.assert_allclose(sides["knee_flexion_absolute"], [[3.0, 4.0]] * 2)
    np.testing.assert_allclose(sides["knee_flexion_sides"], 5.0)

    def phases(repetitions: xr.Dataset) -> xr.DataArray:
        standing = repetitions["standing"].astype(float)
        bent = 1.0 - standing
        whole = alike(repetitions, [3.0 * x for x in one], [3.0 * x for x in one]) * bent
        return whole + alike(repetitions, [4.0 * x for x in other], [4.0 * x for x in other]) * (
            standing
        )

    np.testing.assert_allclose(errors_of(phases)["knee_flexion_from_standing"], 5.0)


def test_errors_of_opposite_signs_add_up(errors_of: Any) -> None:
    """Two legs that err against each other: their difference errs by both together."""
    errors = errors_of(lambda r: alike(r, [-BIAS, BIAS], [BIAS, -BIAS]))
    np.testing.assert_allclose(errors["knee_flexion_sides"], 2 * BIAS)


def test_what_varies_within_the_bottom_is_averaged(errors_of: Any) -> None:
    def from_frame_to_frame(repetitions: xr.Dataset) -> xr.DataArray:
        rng = np.random.default_rng(0)
        noise = xr.DataArray(
            rng.normal(0.0, BIAS, (400, repetitions.sizes["time"])), dims=("draw", "time")
        )
        return noise * alike(repetitions, [1.0], [1.0]).isel(draw=0)

    errors = errors_of(from_frame_to_frame, hold=1.0)
    # At least 15 frames in the second that the bottom lasts.
    assert float(errors["knee_flexion_absolute"].max()) < BIAS / math.sqrt(15) * 1.15


def test_each_number_has_the_factor_of_its_kind(errors_of: Any, plain: Any) -> None:
    like = plain["trial"]["not_standing"]
    like["absolute"]["knee_flexion"] = 2.0
    like["from_standing"]["knee_flexion"] = 3.0
    like["sides"]["knee_flexion"] = 0.5
    # The fit of the analytic squat says nothing of its feet: a kind of whose trials none was
    # measured has the factors of the kind that it is like.
    errors = errors_of(lambda r: alike(r, [-BIAS, BIAS], [BIAS, -BIAS]))
    np.testing.assert_allclose(errors["knee_flexion_absolute"], 2.0 * BIAS)
    np.testing.assert_allclose(errors["knee_flexion_sides"], 0.5 * 2 * BIAS)
    nobody = xr.Dataset(attrs={"history": "[]"})
    assert trial_factors(nobody, "from_standing")["knee_flexion"] == 3.0
    plain["trial"]["moving_feet"] = {number: {"knee_flexion": 1.5} for number in NUMBERS}
    assert trial_factors(nobody, "absolute")["knee_flexion"] == 1.5


def test_what_is_added_where_the_legs_are_not_seen_is_of_the_arms(
    errors_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "legs_unseen_sd", lambda _: {"knee_flexion": 4.0})
    errors = errors_of(lambda r: alike(r, [-BIAS, BIAS], [-BIAS, BIAS]))
    np.testing.assert_allclose(errors["knee_flexion_absolute"], 5.0)
    np.testing.assert_allclose(errors["knee_flexion_sides"], 4.0 * math.sqrt(2))
    np.testing.assert_allclose(errors["trunk_lean_absolute"], BIAS)


def test_nan_is_left_out_until_nothing_is_left(errors_of: Any) -> None:
    def gaps(repetitions: xr.Dataset) -> xr.DataArray:
        off = alike(repetitions, [-BIAS, BIAS], [-BIAS, BIAS])
        first = phase_frames(repetitions).isel(rep=0, drop=True).sel(phase="bottom", drop=True)
        some = first & (repetitions["time"] < float(repetitions["bottom"][0]))
        gone = xr.concat([some, first], "side").assign_coords(side=list(SIDES))
        return off.where(~gone)

    errors = errors_of(gaps, hold=1.0)["knee_flexion_absolute"]
    np.testing.assert_allclose(errors, [[BIAS, np.nan], [BIAS, BIAS]])


def test_a_phase_between_two_knots_has_the_nearest(squat_pose: Any, repetitions_of: Any) -> None:
    """A second between the knots of the fit: none belongs to the frames of a bottom."""
    trial = squat_pose(reps=2, fps=30)
    repetitions = repetitions_of(trial)
    pose = fitted(trial.pose, sd=0.01, draws=8)
    sparse = pose.isel(fit_time=slice(0, None, 25))
    errors = trial_errors(sparse, repetitions)
    assert errors["knee_flexion_absolute"].notnull().all()
    # Where nobody stands there is no change from standing.
    restless = repetitions.assign(standing=xr.zeros_like(repetitions["standing"]))
    assert trial_errors(sparse, restless)["knee_flexion_from_standing"].isnull().all()
    none = repetitions.isel(rep=[])
    assert trial_errors(sparse, none)["knee_flexion_absolute"].shape == (0, 2)


def test_a_pose_without_draws_is_refused(squat_pose: Any, repetitions_of: Any) -> None:
    trial = squat_pose(reps=1)
    with pytest.raises(BadInputError, match="make it with fit_body"):
        trial_errors(trial.pose, repetitions_of(trial))


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
