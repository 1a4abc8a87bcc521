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
from mobility.assessment.numbers import Quantity, Repetitions
from mobility.assessment.phases import phase_frames
from mobility.exercises.overhead_squat.analysis import overhead_squat
from mobility.kinematics.angles import joint_angles
from mobility.kinematics.expected_error import trial_factors
from mobility.registry import exercise, exercises

Declared = Callable[..., Quantity]


@pytest.fixture
def declared(squat_pose: Any, repetitions_of: Any) -> Declared:
    """Give a quantity of squats with knees of 100 and 120 degrees; of its frames, the times."""
    trial, squat = squat_pose(tibia=(25.0, 20.0), thigh=(15.0, -10.0)), exercise("squat")
    repetitions, angles = repetitions_of(trial), joint_angles(trial.pose)
    frames = phase_frames(repetitions, squat.moments)

    def made(value: Any = None, *, errors: Any = None, legs: Any = None, **entry: Any) -> Quantity:
        value = repetitions["time"] if value is None else value(trial.truth, angles)
        reps = repetitions if legs is None else repetitions.assign(leg=("rep", legs))
        chosen = Repetitions(squat, reps, reps, frames, angles, {})
        entry = {"from": "posture.toe_out", "kinds": ["median"], **entry}
        return Quantity("toe_out", entry, value, xr.ones_like(value), chosen, errors or {}, None)

    return made


def over_repetitions(quantity: Quantity) -> dict[str, xr.DataArray]:
    metrics: dict[str, xr.DataArray] = {}
    numbers.add_numbers(metrics, quantity)
    return metrics


def test_every_kind_of_the_table_is_made_and_declared() -> None:
    table = tables.load("measures")["kinds"]
    declared = [entry.get("kinds", ()) for each in exercises() for entry in each.measures.values()]
    used = {kind for kinds in (*declared, *table["usual"].values()) for kind in kinds}
    assert used == table["words"].keys() == numbers._KINDS.keys()


@pytest.mark.parametrize(
    ("peak", "event", "less"),
    [("maximum", "bottom_start", 0.0), ("minimum", "start", 0.0), ("magnitude", "start", 100.0)],
)
def test_over_two_events_the_peak_is_taken(
    declared: Declared, peak: str, event: str, less: float
) -> None:
    made = declared(
        lambda truth, _: truth["time"] - less, over=["start", "bottom_start"], peak=peak
    )
    expected = made.repetitions.dataset[event] - less
    np.testing.assert_allclose(made.of_repetition.value, expected, atol=1e-6)
    assert float(over_repetitions(made)["toe_out"]) == pytest.approx(float(expected.median()))


def test_an_extreme_is_of_the_phases_in_which_it_moves(declared: Declared) -> None:
    for extreme, lowered, where in (("maximum", 0.5, "mid-"), ("minimum", 1.0, "bottom")):
        made = declared(lambda truth, _: truth["hip_height"], extreme=extreme)
        metric, height = over_repetitions(made)["toe_out"], made.value
        expected = 1 - lowered * (1 - float(height.min()))  # in standing 1
        assert float(metric) == pytest.approx(expected, abs=0.02)
        assert metric.attrs["phase"].startswith(where)
        of_phases = f"{extreme} over mid-descent, bottom and mid-ascent"
        assert metric.attrs["statistic"] == f"{of_phases}, median over accepted repetitions"


def test_at_an_angle_the_frames_near_it_count(declared: Declared) -> None:
    there = {"not_there": "it never bends so far", "statistic": "near 60 degrees"}
    bends = {"value": lambda _, angles: angles["knee_flexion"].mean("side")}
    made = declared(**bends, at={"knee_flexion": 60, "within_deg": 10}, **there)
    assert float(over_repetitions(made)["toe_out"]) == pytest.approx(60, abs=3)
    assert made.why_missing == ""
    never = declared(**bends, at={"knee_flexion": 150, "within_deg": 10}, **there)
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
        lambda truth, _: truth["time"] * np.nan,
        **{"error": of_mean, "largest_interval": {"value": 4.0}, "seldom": "it is turned away"},
    )
    assert unseen.why_missing == "it is turned away"


def test_peaks(squat_pose: Any, repetitions_of: Any) -> None:
    """Each peak is the extreme that its definition says, inside the repetition only."""
    trial = squat_pose(reps=1)
    angles = joint_angles(trial.pose).copy(deep=True)
    time = angles["time"].values
    inside, outside = np.argmin(abs(time - 1.5)), np.argmin(abs(time - 0.2))
    extremes = {
        **{"knee_flexion": 150.0, "thigh_elevation": -40.0, "hip_abduction": -30.0},
        **{"shoulder_flexion": 110.0, "arm_fall": 80.0, "pelvis_obliquity": -9.0},
    }
    for name, value in extremes.items():
        angles[name][inside] = value
        angles[name][outside] = 2 * value if name != "shoulder_flexion" else 50.0
    metrics = overhead_squat(trial.pose, angles, repetitions_of(trial))
    for name, value in extremes.items():
        np.testing.assert_allclose(metrics[f"{name}_peak"], value, err_msg=name)
    np.testing.assert_allclose(metrics["knee_flexion"], 100.0, atol=0.1)


def test_difference_from_standing_has_the_error_of_both_and_no_constant(squat_pose, repetitions_of):
    trial = squat_pose()
    angles = joint_angles(trial.pose).copy(deep=True)
    sd = xr.where(trial.truth["crouch"] < 0.3, 3.0, 4.0)
    angles["ankle_dorsiflexion_sd"] = sd + 0 * angles["ankle_dorsiflexion"]
    angles["ankle_dorsiflexion"] = angles["ankle_dorsiflexion"] + 7.0
    metrics = overhead_squat(trial.pose, angles, repetitions_of(trial))
    np.testing.assert_allclose(metrics["ankle_dorsiflexion_from_standing_sd"], 5.0, atol=0.05)
    np.testing.assert_allclose(metrics["ankle_dorsiflexion_sd"], 4.0, atol=0.05)
    np.testing.assert_allclose(metrics["ankle_dorsiflexion"], 32.0, atol=0.1)
    np.testing.assert_allclose(metrics["ankle_dorsiflexion_from_standing"], 25.0, atol=0.1)
    # Of every angle, that of the trunk too.
    np.testing.assert_allclose(metrics["knee_flexion_from_standing"], 100.0, atol=0.5)
    assert metrics["trunk_lean_from_standing"].dims == ()


def test_a_number_beyond_the_limit_of_its_angle_is_refused(
    squat_pose: Any, repetitions_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = squat_pose(reps=2)
    pose, reps = fitted(trial.pose), repetitions_of(trial)
    given = overhead_squat(pose, joint_angles(pose), reps)
    monkeypatch.setattr(
        "mobility.assessment.measures.largest_sd",
        lambda name, **_: -1.0 if name == "knee_flexion" else np.inf,
    )
    metrics = overhead_squat(pose, joint_angles(pose), reps)
    for name in ("knee_flexion", "knee_flexion_asymmetry", "knee_flexion_from_standing"):
        assert given[name].notnull().all()
        assert metrics[name].isnull().all()
        assert metrics[f"{name}_sd"].isnull().all()
        assert metrics[name].attrs["note"] == tables.sentence("reasons.uncertain")
    xr.testing.assert_equal(metrics["hip_flexion"], given["hip_flexion"])


def test_error_over_repetitions(squat_pose: Any, repetitions_of: Any) -> None:
    """The bias does not shrink with repetitions; the sampling part does."""
    trial = squat_pose(reps=3)
    angles = offset(joint_angles(trial.pose), trial, (-4.0, 0.0, 4.0))
    sides = xr.DataArray([3.0, 4.0], dims="side")
    angles["knee_flexion_sd"] = xr.zeros_like(angles["knee_flexion_sd"]) + sides
    metrics = overhead_squat(trial.pose, angles, repetitions_of(trial))
    np.testing.assert_allclose(metrics["knee_flexion_bottom_sd"], [[3.0, 4.0]] * 3)
    expected = np.sqrt(np.array([9.0, 16.0]) + 16.0 / 3)
    np.testing.assert_allclose(metrics["knee_flexion_sd"], expected, atol=0.02)
    # Both sides vary together, so their difference does not vary at all.
    np.testing.assert_allclose(metrics["knee_flexion_asymmetry_sd"], 5.0, atol=0.01)


def test_curves_that_differ_by_a_constant(squat_pose: Any, repetitions_of: Any) -> None:
    """Repetitions at -4, -4, 0, 4 and 4 degrees have an SD of 4 at every one of their points."""
    trial = squat_pose(reps=5)
    angles = offset(joint_angles(trial.pose), trial, (-4.0, -4.0, 0.0, 4.0, 4.0), 0.1)
    metrics = overhead_squat(trial.pose, angles, repetitions_of(trial))
    np.testing.assert_allclose(metrics["knee_flexion_curve_variability"], 4.0, atol=0.05)
    np.testing.assert_allclose(metrics["knee_flexion_variability"], 4.0, atol=0.1)
    np.testing.assert_allclose(metrics["hip_flexion_curve_variability"], 0.0, atol=0.05)
    four = overhead_squat(trial.pose, angles, repetitions_of(trial, [True] * 4 + [False]))
    for name in ("knee_flexion_curve_variability", "knee_flexion_variability"):
        assert four[name].isnull().all()


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
