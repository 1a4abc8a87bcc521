"""Errors of the numbers of a trial, from draws whose deviations are commanded."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import xarray as xr
from analytic import fitted

from mobility import tables
from mobility.assessment import trial_errors as module
from mobility.assessment.phases import phase_frames
from mobility.assessment.trial_errors import trial_errors
from mobility.errors import BadInputError
from mobility.kinematics.expected_error import (
    NUMBERS,
    TABLE,
    TRIAL,
    trial_factors,
)
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
