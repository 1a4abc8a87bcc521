"""The one table of errors, and what is made of it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import xarray as xr

from mobility import tables
from mobility.assessment.frame_quantities import frames_of
from mobility.assessment.posture import posture
from mobility.base.provenance import warnings_of
from mobility.exercises.overhead_squat.exercise import overhead_squat
from mobility.keypoints.sources import Origin, pose_source
from mobility.kinematics import expected_error
from mobility.kinematics.angle_errors import angle_draws
from mobility.kinematics.angles import joint_angles
from mobility.kinematics.expected_error import (
    NUMBERS,
    TABLE,
    TRIAL,
    alike_kinds,
    another_model,
    factor_with_value,
    kind_of,
    metric_sd,
    retest_sems,
    source_of_standing,
    spread_factors,
    trial_factors,
    unlike_measured,
)
from mobility.kinematics.repetitions import find_repetitions
from mobility.sessions.files import read_dataset

CALIBRATED = {"arguments": {"calibration": "cameras.toml"}}


def two_cameras(apart: float) -> dict[str, Any]:
    """History of a fit to two cameras; the second sees what the first sees."""
    place = {"rotation": np.eye(3).tolist(), "translation_m": [0.0, 0.0, 0.0]}
    further = {"azimuth_deg": apart, **place}
    return {"planted": True, "cameras": [{"azimuth_deg": 0.0}, further]}


@pytest.fixture
def change(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
    """Give a table of errors that may be changed, and have it read."""

    def changed() -> Any:
        load, table = tables.load, copy.deepcopy(tables.load(TABLE))
        monkeypatch.setattr(tables, "load", lambda name: table if name == TABLE else load(name))
        return table

    return changed


@pytest.fixture
def fitted(demo) -> xr.Dataset:
    return read_dataset(demo / "fitted.nc")


def seen_as(fitted: xr.Dataset, facts: dict[str, Any]) -> xr.Dataset:
    """Have the history of a fit tell of other cameras or feet."""
    entries = [
        {**entry, **facts} if entry["operation"] == "fit_body" else entry
        for entry in json.loads(fitted.attrs["history"])
    ]
    return fitted.assign_attrs(history=json.dumps(entries))


@pytest.mark.parametrize(
    ("facts", "kind"),
    [
        ({"planted": True}, "oblique"),
        ({"planted": True, "standing_seconds": 2.1}, "oblique"),
        ({"planted": True, "standing_seconds": 0.0}, "not_standing"),
        ({"planted": False, "standing_seconds": 0.0}, "moving_feet"),
        ({**two_cameras(80.0), "standing_seconds": 0.0}, "two_cameras"),
        ({**two_cameras(10.0), "standing_seconds": 0.0}, "not_standing"),
        ({"planted": False}, "moving_feet"),
        (two_cameras(80.0), "two_cameras"),
        (two_cameras(10.0), "oblique"),
        ({**two_cameras(80.0), "planted": False}, "two_cameras_moving_feet"),
        ({**two_cameras(80.0), "planted": False, **CALIBRATED}, "two_cameras"),
        ({**two_cameras(10.0), "planted": False, **CALIBRATED}, "moving_feet"),
    ],
)
def test_each_angle_has_the_factor_of_its_kind(fitted, change, facts, kind):
    pose = seen_as(fitted, facts)
    endless = {"knee_flexion": 180.0}
    assert kind_of(pose) == kind
    table = change()
    factors = dict.fromkeys(tables.load("angles"), 1.0)
    table["fitted"] = {kind: {"angles": factors}}
    as_drawn, plain = angle_draws(pose), joint_angles(pose, limits=endless)
    factors["knee_flexion"] = 1.5
    assert spread_factors(pose) == factors
    wide, angles = angle_draws(pose), joint_angles(pose, limits=endless)
    np.testing.assert_allclose(wide["knee_flexion"], 1.5 * as_drawn["knee_flexion"])
    xr.testing.assert_identical(wide["hip_flexion"], as_drawn["hip_flexion"])
    np.testing.assert_allclose(angles["knee_flexion_sd"], 1.5 * plain["knee_flexion_sd"])
    assert "times 1.5 (table expected_error)" in angles["knee_flexion_sd"].attrs["reference"]


@pytest.mark.parametrize(
    ("view", "kind"),
    [
        ("front", "front"),
        ("front-oblique left", "oblique"),
        ("front-oblique right", "oblique"),
        ("left", "from_the_side"),
        ("back-oblique right", "from_behind"),
        ("back", "from_behind"),
        ("unknown", "oblique"),
    ],
)
def test_one_camera_is_of_the_kind_of_its_view(monkeypatch, fitted, view, kind):
    monkeypatch.setattr(expected_error, "trial_view", lambda _: view)
    assert kind_of(seen_as(fitted, {"planted": True, "standing_seconds": 2.0})) == kind
    nobody = seen_as(fitted, {"planted": True, "standing_seconds": 0.0})
    free = "not_standing_front" if kind == "front" else "not_standing"
    assert kind_of(nobody) == (kind if kind == "from_behind" else free)
    assert kind_of(seen_as(fitted, {"planted": False, "standing_seconds": 0.0})) == "moving_feet"


def test_what_was_not_measured_of_a_kind_is_that_of_the_kind_it_is_like(fitted, change):
    table = change()
    kinds = {"oblique": {}, "not_standing": {"like": "oblique"}}
    table["kinds"] = {"of": {**kinds, "moving_feet": {"like": "not_standing"}}}
    table["fitted"] = {
        "oblique": {"angles": {"knee_flexion": 1.1, "hip_flexion": 1.2, "trunk_lean": 0.7}},
        "not_standing": {"angles": {"knee_flexion": 1.3, "hip_flexion": 1.4}},
        "moving_feet": {"angles": {"knee_flexion": 0.9}},
    }
    factors = spread_factors(seen_as(fitted, {"planted": False}))
    shown = ("knee_flexion", "hip_flexion", "trunk_lean", "elbow_flexion")
    assert [factors[name] for name in shown] == [0.9, 1.4, 0.7, 1.0]


def test_an_angle_of_which_nothing_was_measured_has_the_spread_of_its_draws(fitted, change):
    table = change()
    del table["fitted"][kind_of(fitted)]["angles"]["knee_flexion"]
    assert spread_factors(fitted)["knee_flexion"] == 1.0
    del table["landmarks"]["mediapipe_world"]["angles"]["knee_flexion"]
    raw = fitted.drop_vars("position_draws").assign_attrs(method="mediapipe_world")
    angles = joint_angles(raw, limits={"hip_flexion": 180.0})
    assert angles["knee_flexion"].notnull().any()
    assert angles["knee_flexion_sd"].isnull().all()
    assert angles["knee_flexion_sd"].attrs["reference"] == "unknown"
    assert angles["hip_flexion_sd"].notnull().any()


def test_metrics_of_positions_have_factors_of_their_own_and_heels_one_of_the_value(fitted, change):
    angles, repetitions = joint_angles(fitted), find_repetitions(fitted)
    table = change()["metrics"]
    table["factors"]["toe_out"] = 1.0
    one = frames_of(posture, fitted, repetitions)
    table["factors"]["toe_out"] = 1.4
    curve = table["with_value"]["heel_rise"]
    curve |= {"at_zero": 1.0, "per_degree": 0.0, "at_most": 1.0}
    plain = overhead_squat(fitted, angles, repetitions)
    curve |= {"at_zero": 0.5, "per_degree": 0.25, "at_most": 2.0}
    wide = frames_of(posture, fitted, repetitions)
    inside = wide["toe_out_sd"].notnull()
    assert inside.any()
    np.testing.assert_allclose(
        wide["toe_out_sd"].where(inside), 1.4 * one["toe_out_sd"].where(inside)
    )
    xr.testing.assert_identical(wide["lateral_shift_sd"], one["lateral_shift_sd"])
    metrics = overhead_squat(fitted, angles, repetitions)
    given = metrics["heel_rise"].notnull()
    assert given.any()
    factor = (0.5 + 0.25 * abs(plain["heel_rise"])).clip(max=2.0)
    xr.testing.assert_allclose(metrics["heel_rise_sd"], factor * plain["heel_rise_sd"])
    assert metrics["heel_rise_sd"].attrs == plain["heel_rise_sd"].attrs
    drawn = np.array([1.0, np.nan, 3.0])
    np.testing.assert_array_equal(metric_sd("standing_ankle_width", drawn), drawn)


def test_a_raised_heel_is_less_certain_than_one_that_is_down() -> None:
    values = xr.DataArray([-3.0, 0.0, 2.0, 5.0, 30.0, np.nan], dims="heel")
    factor = factor_with_value("heel_rise", values).to_numpy()
    assert factor[1] < factor[2] < factor[0] < factor[3] < factor[4] < 2.0
    assert factor[2] < 1 < factor[4]
    assert np.isnan(factor[5])


def test_a_recording_unlike_those_measured_says_how(fitted: xr.Dataset) -> None:
    pinned = tables.load("pose_model")["full"]["bundle"]["sha256"]
    one = fitted.assign_attrs(model_sha256=pinned)

    def lines(facts: dict[str, Any], pose: xr.Dataset = one) -> list[str]:
        return unlike_measured(seen_as(pose, facts))

    assert lines({"planted": True, "standing_seconds": 2.0}) == []
    assert lines({"planted": True}) == []  # of before there was a calibration
    (nobody,) = lines({"planted": True, "standing_seconds": 0})
    assert "who stand straight" in nobody
    (moving,) = lines({"planted": False, "standing_seconds": 0})
    assert "feet that move" in moving
    (two,) = lines({**two_cameras(80.0), "standing_seconds": 0})
    assert "two cameras" in two
    other = fitted.assign_attrs(model_sha256="0" * 64)
    first, model = lines({"planted": True, "standing_seconds": 0}, other)
    assert first == nobody
    assert "a different pose model" in model
    assert unlike_measured(other.assign_attrs(history="[]")) == []


def test_errors_of_another_pose_model_are_warned_of(fitted: xr.Dataset) -> None:
    pinned = tables.load("pose_model")["full"]["bundle"]["sha256"]
    assert another_model(fitted.assign_attrs(model_sha256=pinned)) is None
    other = fitted.assign_attrs(model_sha256="0" * 64)
    assert [w["code"] for w in warnings_of(joint_angles(other))].count(
        "errors_of_another_model"
    ) == 1
    without = other.drop_vars("position_draws")  # its errors are not those of a fit
    codes = [w["code"] for w in warnings_of(joint_angles(without))]
    assert "errors_of_another_model" not in codes


@pytest.fixture
def factors_of_other(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, float]]:
    """Factors of keypoints of another model, which may be changed."""
    load, sources = tables.load, copy.deepcopy(tables.load("pose_sources"))
    monkeypatch.setattr(
        tables, "load", lambda name: sources if name == "pose_sources" else load(name)
    )
    pose_source.cache_clear()
    yield sources["other"]["factors"]
    pose_source.cache_clear()


def of_another(fitted: xr.Dataset) -> xr.Dataset:
    return fitted.assign_attrs(pose_source="other", source_software="RTMPose")


def test_errors_of_keypoints_of_another_model_are_marked_and_never_smaller(
    fitted: xr.Dataset, factors_of_other: dict[str, float]
) -> None:
    factors_of_other |= {"knee_flexion": 1.5, "hip_flexion": 0.5, "toe_out": 2.0}
    other, endless = of_another(fitted), dict.fromkeys(tables.load("angles"), 360.0)
    (warning,) = [
        each
        for each in warnings_of(joint_angles(other))
        if each["code"] == "errors_of_another_model"
    ]
    assert warning["values"] == {"software": "RTMPose"}
    assert "keypoints come from RTMPose" in warning["message"]
    assert "RTMPose" in unlike_measured(other)[-1]
    angles, wide = (joint_angles(each, limits=endless) for each in (fitted, other))
    np.testing.assert_allclose(wide["knee_flexion_sd"], 1.5 * angles["knee_flexion_sd"])
    xr.testing.assert_equal(wide["hip_flexion_sd"], angles["hip_flexion_sd"])
    for number in NUMBERS:
        one, larger = (trial_factors(each, number) for each in (fitted, other))
        assert larger["knee_flexion"] == pytest.approx(1.5 * one["knee_flexion"])
        assert larger["hip_flexion"] == one["hip_flexion"]
    drawn = np.array([1.0, 3.0])
    np.testing.assert_allclose(metric_sd("toe_out", drawn, other), 2 * metric_sd("toe_out", drawn))
    metrics = overhead_squat(other, joint_angles(other), find_repetitions(other))
    assert Origin.of(metrics.attrs) == Origin("other", "RTMPose")
    # Not measured again: the error of the value counts instead, and what people vary.
    assert (metrics["knee_flexion_asymmetry_sem"] > metrics["knee_flexion_asymmetry_sd"]).all()
    # Errors of measuring again are of MediaPipe alone.
    assert retest_sems(fitted)
    assert retest_sems(other) == {}


def test_the_table_has_sources_and_a_factor_for_every_metric() -> None:
    table, squats = tables.load(TABLE), tables.load("measures")["measures"]
    kinds, fitted = table["kinds"]["of"], table["fitted"]
    assert all(0.3 < factor < 5 for each in fitted.values() for factor in each["angles"].values())
    with_value = table["metrics"]["with_value"].values()
    landmarks = table["landmarks"].values()
    assert all(each["source"] for each in (*fitted.values(), *with_value, *landmarks))
    assert set(fitted) <= set(kinds)
    assert all(alike_kinds(kind)[-1] in fitted for kind in kinds)
    trial, retest = (tables.load(TRIAL)[part] for part in ("trial", "retest"))
    assert {"front", "oblique", "from_the_side", "from_behind"} <= set(trial) <= set(kinds)
    angles = tables.load("angles")
    for entry in trial.values():
        assert entry["source"]
        assert set(entry["absolute"]) | set(entry["from_standing"]) <= set(angles)
        assert set(entry["sides"]) <= {name for name in angles if angles[name]["sided"]}
        assert all(0.3 < factor < 5 for number in NUMBERS for factor in entry[number].values())
    assert retest["source"]
    assert set(retest["sem"]) <= set(trial)
    assert all(sem > 0 for sems in retest["sem"].values() for sem in sems.values())
    assert retest_sems(xr.Dataset(attrs={"history": "[]"})) == {}
    of_landmarks = {
        name for name, entry in squats.items() if entry["from"].startswith(("knee.", "posture."))
    }
    assert set(table["metrics"]["factors"]) == of_landmarks


@pytest.mark.parametrize(
    ("standing", "seconds", "source"),
    [("straight", 1.2, "assumed"), (12.0, 1.2, "given"), ("straight", 0.0, ""), ("free", 0.0, "")],
)
def test_where_the_knees_of_standing_come_from(standing, seconds, source):
    fit = {
        "operation": "fit_body",
        "arguments": {"standing": standing},
        "standing_seconds": seconds,
    }
    assert source_of_standing(xr.Dataset(attrs={"history": json.dumps([fit])})) == source


def test_an_arm_that_points_at_the_camera_is_less_certain(demo, change):
    """A squat with the arms held forward, seen obliquely: one of them points at the camera."""
    fitted = read_dataset(demo.parent / "squat" / "fitted.nc")
    shoulder = change()["arms_along_sight"]["angles"]["shoulder_flexion"]
    endless = {"shoulder_flexion": 180.0}
    stated = joint_angles(fitted)
    wide = joint_angles(fitted, limits=endless)
    two = seen_as(fitted, two_cameras(80.0))
    of_two = joint_angles(two, limits=endless)
    wider = spread_factors(two)["shoulder_flexion"] / spread_factors(fitted)["shoulder_flexion"]
    added, shoulder["sd"] = shoulder["sd"], 0.0
    plain = joint_angles(fitted, limits=endless)
    place = fitted["position"].isel(individual=0)
    ends = [
        place.sel(keypoint=[f"{side}_{joint}" for side in ("left", "right")])
        for joint in ("shoulder", "elbow")
    ]
    arm = ends[1].to_numpy() - ends[0].to_numpy()
    along = np.abs(arm[:, 2]) / np.linalg.norm(arm, axis=1)
    before, after = (each["shoulder_flexion_sd"].to_numpy() for each in (plain, wide))
    share = np.interp(along, change()["arms_along_sight"]["along"], (0.0, 1.0))
    assert (share > 0.7).any()
    rows = (share > 0.7) | (share == 0)
    np.testing.assert_allclose(after[rows], np.hypot(before, added * share)[rows], rtol=0.15)
    np.testing.assert_allclose(after[along < 0.6], before[along < 0.6])
    assert np.isnan(stated["shoulder_flexion"].to_numpy()[after > 15]).all()
    np.testing.assert_allclose(of_two["shoulder_flexion_sd"], wider * before)
    # Of arms overhead nothing is added: here all of them count as that.
    shoulder["sd"], changed = added, change()["arms_along_sight"]
    changed["overhead_deg"] = [0.0, 1e-6]
    overhead = joint_angles(fitted, limits=endless)["shoulder_flexion_sd"]
    np.testing.assert_allclose(overhead, before, rtol=1e-6)
    for name in set(plain.data_vars) - {"shoulder_flexion", "shoulder_flexion_sd"}:
        xr.testing.assert_equal(plain[name], wide[name])
