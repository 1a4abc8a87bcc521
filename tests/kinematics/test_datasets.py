"""Kinds of Dataset: what a person can be is taken, wrong units and what is no number is refused."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from analytic import squat_pose
from other_processes import peak_memory

import mobility as mb
from mobility.base.provenance import history
from mobility.errors import BadInputError
from mobility.kinematics.datasets import (
    check_angles,
    check_attributes,
    check_metrics,
    check_pose,
    check_recording,
    check_repetitions,
    check_times,
    kind_made_by,
)


@pytest.fixture(scope="module")
def pose() -> xr.Dataset:
    return squat_pose(fps=30, reps=1).pose


@pytest.fixture(scope="module")
def angles(pose) -> xr.Dataset:
    return mb.joint_angles(pose)


@pytest.mark.parametrize("rate", [5, 1000])
def test_times_in_milliseconds_are_refused_and_those_in_seconds_are_not(rate):
    seconds = np.arange(3 * rate) / rate
    np.testing.assert_array_equal(check_times(seconds), seconds)
    with pytest.raises(BadInputError, match=r"must be seconds, but the frames are .* apart"):
        check_times(1000 * seconds)


def test_times_of_any_recording_are_taken_and_what_is_none_is_refused():
    for time in (
        np.arange(3600 * 30) / 30,  # an hour
        -5 + np.arange(100) / 100,  # before a trigger
        np.array([0.0, 0.03, 0.9, 40.0, 40.03]),  # long gaps
        np.arange(62.0),  # pictures that were taken one by one
        np.arange(0, 1800, 5.0),  # time lapses
        np.array([3.0]),
    ):
        np.testing.assert_array_equal(check_times(time), time)
    for time, fault in (
        (np.array([0.0, np.nan, 1.0]), "must be finite"),
        (np.array([0.0, 0.0]), "do not increase strictly"),
        (np.array([0, 1], "m8[s]"), r"must be numbers in seconds \(got timedelta64\[s\]\)"),
        (np.zeros((2, 2)), "must have one dimension"),
        ([[1], [2, 3]], "must be numbers"),
    ):
        with pytest.raises(BadInputError, match=fault):
            check_times(time)


@pytest.mark.parametrize("wrong_s", [5_000.0, 1e6, 1e8])
def test_a_gap_that_no_recording_has_is_refused_before_there_are_times_for_it(pose, wrong_s):
    time = pose["time"].to_numpy().copy()
    time[-1] = wrong_s
    fault = rf"after frame {len(time) - 2}, at .* the next is at {wrong_s:.6g} s, .* Correct the"
    fault = fault.replace("+", r"\+")
    with peak_memory() as peak, pytest.raises(BadInputError, match=fault):
        mb.find_repetitions(pose.assign_coords(time=time))
    assert peak() < 20e6


def test_times_that_need_more_frames_than_a_day_has_are_refused():
    """On the regular times of repetitions: many gaps, or frames that are next to each other."""
    gaps = np.cumsum(np.tile([0.01, 0.01, 0.01, 1000.0], 100))
    close = np.append(np.arange(100) * 1e-9, 3.0)
    for time in (gaps, close):
        with pytest.raises(BadInputError, match="cannot be those of a recording"):
            check_times(time)


def test_the_descent_of_a_trial_in_milliseconds_is_not_measured(pose, angles):
    repetitions = mb.find_repetitions(pose)
    late = [each.assign_coords(time=1000 * each["time"]) for each in (pose, angles, repetitions)]
    with pytest.raises(BadInputError, match=r"^overhead_squat: pose: its times must be seconds"):
        mb.overhead_squat(*late)
    for name in ("start", "bottom_start", "bottom", "bottom_end", "end"):
        repetitions = repetitions.assign({name: 1000 * repetitions[name]})
    with pytest.raises(BadInputError, match="overhead_squat: no repetition is in the recording"):
        mb.overhead_squat(pose, angles, repetitions)
    with pytest.raises(BadInputError, match="no repetition is in the recording"):
        mb.normalise(angles, repetitions.drop_dims("time"))


def test_infinite_values_and_other_units_are_refused_by_name(pose, angles):
    with pytest.raises(BadInputError, match="'position' holds infinite values"):
        check_pose(pose.assign(position=pose["position"] + np.inf))
    with pytest.raises(BadInputError, match="'knee_flexion_sd' holds infinite values"):
        check_recording(angles.assign(knee_flexion_sd=angles["knee_flexion_sd"] + np.inf))
    for factor in (1000, 100):
        with pytest.raises(BadInputError, match="'position' must be in metres"):
            mb.joint_angles(pose.assign(position=factor * pose["position"]))


def test_what_other_programs_and_half_turns_give_is_taken(pose, angles):
    """At 1000 Hz, somewhere in the room, with gaps, without a picture, with their own history."""
    there = pose[["position"]].squeeze("individual", drop=True)
    there = there.interp(time=np.arange(0, 1, 0.001)) + 12.0
    there["position"][100:200] = np.nan
    there["position"][:, 1, 3] = np.nan
    there.attrs = {"history": "2026-01-01 made by another program"}
    made = mb.joint_angles(there)
    assert made["knee_flexion"].notnull().sum() == 2 * 900
    assert [each["operation"] for each in history(made)] == ["of another program", "joint_angles"]
    assert history(made)[0]["text"] == there.attrs["history"]
    turned = angles.assign(shoulder_flexion=angles["shoulder_flexion"] * 0 - 180.0)
    turned["hip_flexion"][:20] = np.nan
    turned = turned.assign(pelvis_rotation=("time", np.linspace(0, 1800, turned.sizes["time"])))
    assert check_recording(turned) is turned


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda knee: 1000 * knee, "'knee_flexion' must be in degrees: it contains"),
        (lambda knee: knee.assign_attrs(units="radian"), r"in degrees \(its units: 'radian'\)"),
        (lambda knee: knee.assign_coords(side=["l", "r"]), "must be left and right"),
        (lambda knee: knee.expand_dims(camera=2), r"too many dimensions \(camera\)"),
    ],
)
def test_angles_that_are_none_of_a_person_are_refused(angles, change, fault):
    changed = change(angles["knee_flexion"])
    with pytest.raises(BadInputError, match=fault):
        check_angles(xr.Dataset({"knee_flexion": changed}))
    for function in (mb.find_lag, lambda one, _: mb.plot.curves(one)):
        with pytest.raises(BadInputError, match=fault):
            function(xr.Dataset({"knee_flexion": changed}), angles)


def test_repetitions_that_cannot_be_are_refused(pose):
    reps = mb.find_repetitions(pose)
    for name, value, fault in (
        ("end", -1.0, "does not start before its end"),
        ("start", np.nan, "has no start or end"),
        ("accepted", np.nan, "'accepted' must be true or false"),
    ):
        with pytest.raises(BadInputError, match=fault):
            check_repetitions(reps.assign({name: reps[name] * 0 + value}))


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("fps", (30, 29.97, np.float32(30)), ("30", [30], np.array([30.0]), None)),
        ("history", ("[]", "of a camera", "[" * 100_000), (3, ["made"], None, b"[]")),
        ("survey", ("{}", '{"people": 1}'), ("[]", "words", "[" * 100_000, {}, 3)),
        ("weather", ("rain", 3, [3], None), ()),
    ],
)
def test_an_attribute_that_is_read_has_the_type_that_is_written(angles, name, right, wrong):
    for value in right:
        check_attributes(angles.assign_attrs({name: value}))
        history(angles.assign_attrs({name: value}))
    for value in wrong:
        for changed in (
            angles.assign_attrs({name: value}),
            angles.assign(knee_flexion=angles["knee_flexion"].assign_attrs({name: value})),
        ):
            with pytest.raises(BadInputError, match=f"its attribute '{name}'.* must be a "):
                check_angles(changed)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda pose: pose.drop_vars("fit_position"), "without the variables that belong to them"),
        (lambda pose: pose.drop_vars("fit_time"), "without the variables that belong to them"),
        (lambda pose: pose.isel(draw=0), "'position_draws' has no dimension draw"),
        (lambda pose: pose.isel(draw=slice(0)), "has no posterior samples"),
        (lambda pose: pose.isel(fit_space=[0, 1]), "'fit_space' lacks x, y, z"),
        (lambda pose: pose.isel(fit_keypoint=slice(9)), "'fit_keypoint' lacks left_shoulder"),
        (lambda pose: pose.isel(fit_keypoint=[0, *range(16)]), "'fit_keypoint' twice"),
        (lambda pose: pose.isel(fit_time=[0, 0, 1]), "for 'fit_time', its times do not increase"),
        (lambda pose: pose.assign(position_draws=pose["position_draws"] > 0), "must hold numbers"),
        (lambda pose: pose.astype(bool), "'position' must hold numbers"),
    ],
)
def test_a_fitted_pose_that_was_cut_is_refused(demo, change, fault):
    fitted = xr.load_dataset(demo / "fitted.nc")
    assert check_pose(fitted) is fitted
    check_pose(fitted.isel(draw=slice(4)))
    with pytest.raises(BadInputError, match=fault):
        check_pose(change(fitted))


def test_metrics_are_numbers_of_both_sides(demo):
    metrics = xr.load_dataset(demo / "metrics.nc")
    assert check_metrics(metrics) is metrics
    sd = metrics["knee_flexion_peak_sd"]
    for changed, fault in (
        (metrics.isel(side=[0]), "must be left and right"),
        (metrics.isel(side=[0, 0, 1]), "a name of 'side' twice"),
        (metrics.astype(str), "must hold numbers"),
        (metrics.assign({sd.name: sd.isel(side=0)}), "must have the dimensions of"),
        (metrics.assign(accepted_repetitions=np.nan), "must be one count"),
        (metrics["depth"], "must be a Dataset"),
    ):
        with pytest.raises(BadInputError, match=fault):
            check_metrics(changed)


def test_a_dataset_of_a_function_has_what_that_makes():
    check = kind_made_by(
        "f", {"n": "group"}, texts={"group": "group"}, attributes={"n": "units"}, beside=["trial"]
    )
    made = xr.Dataset({"n": ("group", [1, 2], {"units": "m"})}, {"group": ["a", "b"]})
    assert check(made) is made
    check(made.expand_dims(trial=2))
    for changed in (
        *(made.isel(group=0), made.drop_vars("n"), made.drop_vars("group"), made.astype(str)),
        *(made.expand_dims(side=2), made.drop_attrs(), made.assign_coords(group=[1, 2]), None),
    ):
        with pytest.raises(BadInputError):
            check(changed)
