"""The numbers that are made of a measure, of known frames and of squats that are commanded."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import xarray as xr
from analytic import fitted, offset

from mobility import tables
from mobility.assessment import numbers
from mobility.assessment.numbers import Quantity, Repetitions, signed
from mobility.assessment.phases import phase_frames
from mobility.catalogue.registry import exercise, exercises
from mobility.exercises.overhead_squat.exercise import overhead_squat
from mobility.kinematics.angles import joint_angles
from mobility.kinematics.expected_error import trial_factors

Declared = Callable[..., Quantity]


@pytest.fixture
def declared(squat_pose: Any, repetitions_of: Any) -> Declared:
    """Give a quantity of squats with knees of 100 and 120 degrees; of its frames, the times."""

    def made(
        value: Any = None,
        *,
        sd: Any = 1.0,
        reps: int = 3,
        accepted: Any = None,
        legs: Any = None,
        errors: Any = None,
        largest: float | None = None,
        **entry: Any,
    ) -> Quantity:
        trial = squat_pose(reps=reps, tibia=(25.0, 20.0), thigh=(15.0, -10.0))
        squat, repetitions = exercise("squat"), repetitions_of(trial, accepted)
        if legs is not None:
            repetitions["leg"] = ("rep", legs)
        angles, frames = joint_angles(trial.pose), phase_frames(repetitions, squat.moments)
        value = repetitions["time"] if value is None else value(trial, angles)
        sd = sd(trial) if callable(sd) else sd
        chosen = Repetitions(squat, repetitions, repetitions, frames, angles, angles, {})
        entry = {"from": "posture.toe_out", "kinds": ["median"], **entry}
        given = xr.zeros_like(value) + sd
        return Quantity(
            "toe_out", entry, signed(value, entry), given, chosen, errors or {}, largest
        )

    return made


def bends(*extras: float) -> Any:
    """Knee flexion that is larger by so much in each repetition."""
    return lambda trial, angles: offset(angles, trial, extras, 0.1)["knee_flexion"]


def over_repetitions(quantity: Quantity) -> dict[str, xr.DataArray]:
    metrics: dict[str, xr.DataArray] = {}
    numbers.add_numbers(metrics, quantity)
    return metrics


def test_every_kind_of_the_table_is_made_and_declared() -> None:
    table = tables.load("measures")["kinds"]
    declared = [entry.get("kinds", ()) for each in exercises() for entry in each.measures.values()]
    used = {kind for kinds in (*declared, *table["usual"].values()) for kind in kinds}
    assert used == table["words"].keys() == numbers.KINDS.keys()


@pytest.mark.parametrize(
    ("peak", "less", "ends"),
    [
        ("maximum", 0.0, ("bottom_start", "end")),
        ("minimum", 0.0, ("start", "start")),
        ("magnitude", 100.0, ("start", "start")),
    ],
)
def test_the_peak_is_that_between_two_events_or_of_the_repetition(
    declared: Declared, peak: str, less: float, ends: tuple[str, str]
) -> None:
    made = declared(
        lambda trial, _: trial.truth["time"] - less,
        **{"over": ["start", "bottom_start"], "peak": peak, "kinds": ["median", "peak"]},
    )
    of_part, of_all = (made.repetitions.dataset[end] - less for end in ends)
    np.testing.assert_allclose(made.of_repetition.value, of_part, atol=1e-6)
    metrics = over_repetitions(made)
    assert float(metrics["toe_out"]) == pytest.approx(float(of_part.median()))
    np.testing.assert_allclose(metrics["toe_out_peak"], of_all, atol=1e-6)


def test_a_change_from_standing_has_the_error_of_both_and_no_constant(declared: Declared) -> None:
    kinds = ["median", "asymmetry", "from_standing"]
    given = {
        **{"value": lambda _, angles: angles["knee_flexion"] + 7, "kinds": kinds},
        "sd": lambda trial: xr.where(trial.truth["crouch"] < 0.3, 3.0, 4.0),
    }
    metrics = over_repetitions(declared(**given))
    np.testing.assert_allclose(metrics["toe_out"], [107, 127], atol=0.1)
    np.testing.assert_allclose(metrics["toe_out_sd"], 4.0, atol=0.05)
    np.testing.assert_allclose(metrics["toe_out_from_standing"], [100, 120], atol=0.5)
    np.testing.assert_allclose(metrics["toe_out_from_standing_sd"], 5.0, atol=0.05)
    # A number beyond the limit of its angle is refused.
    refused = declared(**given, largest=3.9)
    for metric in over_repetitions(refused).values():
        assert metric.isnull().all()
    assert refused.why_missing == tables.sentence("reasons.uncertain")


def test_errors_and_spreads_over_repetitions(declared: Declared) -> None:
    sd = xr.DataArray([3.0, 4.0], dims="side")
    metrics = over_repetitions(declared(bends(-4, 0, 4), sd=sd, kinds=["median", "asymmetry"]))
    expected = np.sqrt(np.array([9.0, 16.0]) + 16.0 / 3)
    np.testing.assert_allclose(metrics["toe_out_sd"], expected, atol=0.02)
    # Both sides vary together, so their difference does not vary at all.
    np.testing.assert_allclose(metrics["toe_out_asymmetry_sd"], 5.0, atol=0.01)
    # Repetitions at -4, -4, 0, 4 and 4 degrees have an SD of 4 at every one of their points.
    five = {"reps": 5, "kinds": ["variability", "curve_variability"]}
    for metric in over_repetitions(declared(bends(-4, -4, 0, 4, 4), **five)).values():
        np.testing.assert_allclose(metric, 4.0, atol=0.1)
    few = declared(bends(-4, -4, 0, 4, 4), accepted=[True] * 4 + [False], **five)
    assert all(metric.isnull().all() for metric in over_repetitions(few).values())


def test_an_extreme_is_of_the_phases_in_which_it_moves(declared: Declared) -> None:
    for extreme, lowered, where in (("maximum", 0.5, "mid-"), ("minimum", 1.0, "bottom")):
        made = declared(lambda trial, _: trial.truth["hip_height"], extreme=extreme)
        metric, height = over_repetitions(made)["toe_out"], made.value
        expected = 1 - lowered * (1 - float(height.min()))  # in standing 1
        assert float(metric) == pytest.approx(expected, abs=0.02)
        assert metric.attrs["phase"].startswith(where)
        of_phases = f"{extreme} over mid-descent, bottom and mid-ascent"
        assert metric.attrs["statistic"] == f"{of_phases}, median over accepted repetitions"


def test_at_an_angle_the_frames_near_it_count(declared: Declared) -> None:
    there = {"not_there": "it never bends so far", "statistic": "near 60 degrees"}
    both = {"value": lambda _, angles: angles["knee_flexion"].mean("side")}
    made = declared(**both, at={"knee_flexion": 60, "within_deg": 10}, **there)
    assert float(over_repetitions(made)["toe_out"]) == pytest.approx(60, abs=3)
    assert made.why_missing == ""
    never = declared(**both, at={"knee_flexion": 150, "within_deg": 10}, **there)
    assert np.isnan(over_repetitions(never)["toe_out"])
    assert never.why_missing == "it never bends so far"
    # Of who stands on one leg that leg bends: to 100 degrees the left one, the right to 120.
    legs = ["left", "right", "left"]
    one = declared(legs=legs, at={"knee_flexion": 115, "within_deg": 5}, **there)
    assert one.frames.any("time").values.tolist() == [False, True, False]


def test_a_sign_turns_the_value_and_the_difference_of_the_sides(declared: Declared) -> None:
    kinds = ["median", "asymmetry"]
    made = declared(lambda _, angles: angles["knee_flexion"], sign=-1, kinds=kinds)
    metrics = over_repetitions(made)
    np.testing.assert_allclose(metrics["toe_out"], [-100, -120], atol=0.1)
    assert float(metrics["toe_out_asymmetry"]) == pytest.approx(-20, abs=0.1)
    np.testing.assert_allclose(metrics["toe_out_sd"], 1.0)


def test_with_the_error_of_the_mean_a_repetition_is_refused_by_it(declared: Declared) -> None:
    of_mean = {"of": "mean", "factor": 2.0}
    errors = {"mean": xr.DataArray([1.0, 1.0, 9.0], dims="rep", coords={"rep": [1, 2, 3]})}

    def limited(to: float) -> Quantity:
        limit = {"value": to}
        return declared(
            errors=errors, error=of_mean, largest_interval=limit, seldom="it is turned away"
        )

    kept = limited(4.0).of_repetition  # half-widths of 1.96 x 2 x 1 degree, and of 9
    assert kept.value.notnull().values.tolist() == [True, True, False]
    np.testing.assert_allclose(kept.sd, [2.0, 2.0, np.nan])
    assert limited(4.0).why_missing == tables.sentence("reasons.uncertain")
    assert limited(3.9).of_repetition.value.isnull().all()
    unseen = declared(
        lambda trial, _: trial.truth["time"] * np.nan,
        **{"error": of_mean, "largest_interval": {"value": 4.0}, "seldom": "it is turned away"},
    )
    assert unseen.why_missing == "it is turned away"


def test_repetitions_reduce_what_they_vary_by_and_not_the_bias(squat_pose, repetitions_of) -> None:
    """Draws that are off alike all through the trial."""
    errors = {}
    for reps in (1, 3):
        trial = squat_pose(reps=reps)
        pose = fitted(trial.pose, sd=0.01, draws=8)
        angles = joint_angles(pose)
        one = overhead_squat(pose, angles, repetitions_of(trial))
        errors[reps] = one["knee_flexion_sd"]
        assert float(errors[reps].min()) > 1.0
        assert float(one["knee_flexion_from_standing_sd"].max()) > 0.0
        np.testing.assert_allclose(one["knee_flexion_bottom_sd"] - errors[reps], 0.0, atol=0.02)
    np.testing.assert_allclose(errors[3], errors[1], rtol=0.01)
    varied = overhead_squat(pose, offset(angles, trial, (-4.0, 0.0, 4.0)), repetitions_of(trial))
    expected = np.hypot(errors[3], 4.0 / np.sqrt(3))
    np.testing.assert_allclose(varied["knee_flexion_sd"], expected, rtol=0.01)


def test_the_error_of_an_asymmetry_is_that_of_the_draws(squat_pose, repetitions_of):
    """Draws that move both knees alike, and that move them against each other."""
    trial = squat_pose(reps=1, hold=1.0)
    pose = fitted(trial.pose, draws=2)
    ahead = pose["fit_space"] == "z"
    step = 0.02 * xr.DataArray([1.0, -1.0], dims="draw")
    for sign in (1.0, -1.0):
        sides = (pose["fit_keypoint"] == "right_knee") + sign * (
            pose["fit_keypoint"] == "left_knee"
        )
        draws = xr.zeros_like(pose["position_draws"]) + step * sides * ahead
        moved = pose.assign(position_draws=draws.transpose(*pose["position_draws"].dims))
        metrics = overhead_squat(moved, joint_angles(moved), repetitions_of(trial))
        single = float(metrics["tibia_inclination_sd"].mean())
        factor = trial_factors(pose, "absolute")["tibia_inclination"]
        assert single == pytest.approx(factor * math.degrees(0.02 / 0.42) * 0.9, rel=0.1)
        of_sides = trial_factors(pose, "sides")["tibia_inclination"] / factor
        both = 2 * single * of_sides if sign < 0 else 0.0
        for name in ("tibia_inclination_asymmetry_sd", "tibia_inclination_bottom_asymmetry_sd"):
            np.testing.assert_allclose(metrics[name], both, atol=0.02 * single)
