"""The frontal plane projection angle, and why it is not told deep in a squat.

Smoothness: the published numbers of a movement of least jerk, and what makes it worse.

Kernels by the names of their points, and what is refused of them.
"""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import xarray as xr
from analytic import fitted
from hypothesis import given, settings
from hypothesis import strategies as st

from mobility.assessment.frame_quantities import frames_of
from mobility.assessment.kernels import (
    MeasuredTrial,
    Values,
    bandwidth,
    checked_values,
    frontal_plane_projection_angle,
    hip_smoothness,
    knee,
    ldlj,
    limits_of,
    of_points,
    of_trial,
    output_of,
    sparc,
)
from mobility.assessment.measures import _add_of_trial
from mobility.catalogue.registry import exercise
from mobility.errors import BadInputError
from mobility.kinematics.clean import clean_pose


def leg(thigh_elevation: float, out: float = 15.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Hip, knee and ankle (forward, up, outward): knees over feet turned out by 15 degrees."""
    ankle = np.array([0.0, 0.0, 0.13])
    ti, azimuth = math.radians(25), math.radians(out)
    ahead = np.array([math.cos(azimuth), 0.0, math.sin(azimuth)])
    knee = ankle + 0.42 * (math.sin(ti) * ahead + np.array([0.0, math.cos(ti), 0.0]))
    up = 0.42 * math.sin(math.radians(thigh_elevation))
    across = 0.09 - knee[2]
    back = math.sqrt(max(0.42**2 - up**2 - across**2, 0.0))
    return knee + np.array([-back, up, across]), knee, ankle


@pytest.mark.parametrize(
    ("elevation", "angle", "share"),
    [(30, -29.1, 0.54), (15, -45.2, 0.33), (5, -73.8, 0.22), (0, -96.9, 0.20), (-10, -137.2, 0.27)],
)
def test_the_angle_runs_away_while_the_knees_stay_over_the_feet(elevation, angle, share):
    hip, knee, ankle = leg(elevation)
    assert knee[2] / ankle[2] == pytest.approx(1.35, abs=0.005)
    assert frontal_plane_projection_angle(hip, knee, ankle) == pytest.approx(angle, abs=0.05)
    seen = np.hypot(*(knee - hip)[1:]) / np.linalg.norm(knee - hip)
    assert seen == pytest.approx(share, abs=0.006)
    assert np.isnan(frontal_plane_projection_angle(hip, knee, ankle, smallest_share=0.7))


def test_straight_and_knock_kneed():
    hip, knee, ankle = np.array([[0, 0.84, 0.1], [0, 0.42, 0.1], [0, 0, 0.1]])
    assert frontal_plane_projection_angle(hip, knee, ankle) == pytest.approx(0)
    inwards = knee - [0, 0, 0.42 * math.tan(math.radians(5))]
    projected = frontal_plane_projection_angle(hip, inwards, ankle, smallest_share=0.7)
    assert projected == pytest.approx(10)
    assert frontal_plane_projection_angle(hip, 2 * knee - inwards, ankle) == pytest.approx(-10)


def test_it_is_told_near_standing_only(squat_pose, repetitions_of):
    trial = squat_pose(turn_out=15.0)
    repetitions = repetitions_of(trial)
    movement = frames_of(knee, fitted(trial.pose), repetitions)
    angle = movement["frontal_plane_projection_angle"]
    upright = trial.truth["thigh_elevation"] > 60
    deep = trial.truth["thigh_elevation"] < 30
    assert angle.where(upright, 0.0).notnull().all()
    assert angle.where(deep).isnull().all()
    assert "thigh points at the camera" in angle.attrs["note"]
    standing = angle.where(repetitions["standing"])
    np.testing.assert_allclose(standing.median("time"), 0, atol=0.1)


def test_ankles_that_stand_together_give_nothing_to_measure_in(squat_pose, repetitions_of):
    trial = squat_pose()
    ankles = {"space": "x", "keypoint": ["left_ankle", "right_ankle"]}
    trial.pose["position"].loc[ankles] *= 0.2
    movement = frames_of(knee, trial.pose, repetitions_of(trial))
    for name in ("knee_ankle_separation_ratio", "knee_deviation"):
        assert movement[name].isnull().all()


def least_jerk(duration: float = 1.0, rate: float = 1000.0) -> np.ndarray:
    """Speed of the movement of least jerk over one metre."""
    x = np.arange(round(duration * rate) + 1) / rate / duration
    return 30 * x**2 * (1 - x) ** 2 / duration


@pytest.mark.parametrize(("duration", "jerk"), [(1.0, -5.3139), (4.0, -5.3200)])
def test_spectral_arc_length_and_log_dimensionless_jerk_of_least_jerk(duration, jerk):
    speed = least_jerk(duration)
    assert sparc(speed, rate_hz=1000) == pytest.approx(-1.4024, abs=5e-5)
    # Rest before and after is no part of the spectrum.
    assert sparc(np.pad(speed, 500), rate_hz=1000) == pytest.approx(-1.4024, abs=2e-3)
    assert ldlj(speed, rate_hz=1000) == pytest.approx(jerk, abs=5e-5)
    assert jerk == pytest.approx(-math.log(204.8), abs=0.01)


@settings(max_examples=30, deadline=None)
@given(scale=st.floats(1e-3, 1e3), rate=st.sampled_from([60.0, 100.0, 250.0]))
def test_neither_depends_on_units_of_length_or_time(scale, rate):
    speed = least_jerk(2.0, rate)
    assert sparc(scale * speed, rate_hz=rate) == pytest.approx(sparc(speed, rate_hz=rate))
    assert ldlj(scale * speed, rate_hz=rate) == pytest.approx(ldlj(speed, rate_hz=rate))
    assert ldlj(speed, rate_hz=3 * rate) == pytest.approx(ldlj(speed, rate_hz=rate))


def test_trembling_and_stopping_are_less_smooth():
    speed = least_jerk(2.0, 100)
    time = np.arange(speed.size) / 100
    fast = speed + 0.1 * np.sin(2 * np.pi * 8 * time)
    stopping = np.concatenate([least_jerk(0.9, 100), np.zeros(21), least_jerk(0.9, 100)])
    smooth = sparc(speed, rate_hz=100)
    for worse in (fast, stopping):
        assert sparc(worse, rate_hz=100) < smooth - 0.2
        assert ldlj(worse, rate_hz=100) < ldlj(speed, rate_hz=100) - 1
    # What lies above the cutoff does not count.
    assert sparc(fast, rate_hz=100, cutoff_hz=6) == pytest.approx(smooth, abs=0.05)


@pytest.mark.parametrize("speed", [[], [1.0], np.zeros(50), [0.0, 1.0, np.nan, 1.0, 0.0, 0.0]])
def test_no_movement_and_gaps_have_no_smoothness(speed):
    assert math.isnan(sparc(speed, rate_hz=100))
    assert math.isnan(ldlj(speed, rate_hz=100))


def test_bad_input():
    with pytest.raises(BadInputError, match="a single series"):
        sparc(np.zeros((5, 2)), rate_hz=100)
    with pytest.raises(BadInputError, match="rate_hz"):
        ldlj(least_jerk(), rate_hz=0)
    with pytest.raises(BadInputError, match="cutoff_hz"):
        sparc(least_jerk(), rate_hz=100, cutoff_hz=-1)


def raised(pose: xr.Dataset, crouch: xr.DataArray, depth: float = 0.4) -> xr.Dataset:
    """The pose with its hips at exactly 0.8 m less `depth` times the crouch above the ankles."""
    moved = pose.copy(deep=True)
    for side in ("left", "right"):
        ankle = moved["position"].sel(keypoint=f"{side}_ankle", space="y", drop=True)
        height = ankle + 0.8 - depth * xr.DataArray(crouch.values, dims="time")
        moved["position"].loc[{"keypoint": f"{side}_hip", "space": "y"}] = height
    return moved


@pytest.mark.parametrize("hold", [0.1, 1.5])
def test_hips_of_least_jerk(squat_pose, repetitions_of, hold):
    """Descent and ascent are told without the pause between them, at the rate of a phone."""
    trial = squat_pose(reps=2, hold=hold, descent=1.2, ascent=0.9)
    hips, cutoff = hip_smoothness(raised(trial.pose, trial.truth["crouch"]), repetitions_of(trial))
    assert cutoff == 10.0
    for phase in ("descent", "ascent"):
        np.testing.assert_allclose(hips[f"{phase}_sparc"], -1.40, atol=0.01)
        # The ends of the phases, at 5 % of the peak speed, are not quite those of the movement.
        np.testing.assert_allclose(hips[f"{phase}_ldlj"], -5.32, atol=0.6)


def test_phases_that_are_cut_off_or_missing_have_none(squat_pose, repetitions_of):
    trial = squat_pose(reps=2, missing={"left_hip": (1.3, 1.6)})
    repetitions = repetitions_of(trial).assign(end_seen=("rep", [True, False]))
    hips, _ = hip_smoothness(trial.pose, repetitions)
    for kind in ("sparc", "ldlj"):
        assert np.isfinite(hips[f"descent_{kind}"]).tolist() == [False, True]
        assert np.isfinite(hips[f"ascent_{kind}"]).tolist() == [True, False]


def test_no_frequency_above_that_of_the_data(squat_pose, project):
    pose = squat_pose(reps=1, fps=60).pose
    assert bandwidth(pose) == pytest.approx(30)
    assert bandwidth(clean_pose(pose)) == pytest.approx(6.0)
    with xr.open_dataset(
        project / "data/demo/overhead-squat/fitted.nc", decode_timedelta=False
    ) as fitted:
        step = float(np.median(np.diff(fitted["fit_time"])))
        assert bandwidth(fitted) == pytest.approx(0.5 / step)
        assert any(e["operation"] == "clean_pose" for e in json.loads(fitted.attrs["history"]))


@of_points("hip", "knee")
def thigh(points, standing, limits):
    """Length of the thighs against a limit."""
    return {"length": np.linalg.norm(points["hip"] - points["knee"], axis=-1) / limits["long"]}


def test_a_kernel_gets_its_points_by_name() -> None:
    points = np.zeros((5, 2, 2, 3))
    points[:, 0, :, 1] = [0.4, 0.5]
    computed = thigh.of_array({"long": 0.5})(points, points)
    np.testing.assert_allclose(computed["length"], [[0.8, 1.0]] * 5)


def test_what_a_kernel_does_not_give_is_refused_in_one_line() -> None:
    assert output_of("heel_rise", {"from": "posture.heel_rise"}, ["heel_rise"]) == "heel_rise"
    with pytest.raises(BadInputError) as refused:
        output_of("heel_rise", {"from": "posture.heel_ris"}, ["heel_rise", "toe_out"])
    assert str(refused.value) == (
        "measures.yaml: heel_rise: from: the kernel posture has no output 'heel_ris'; did you mean "
        "'heel_rise'?"
    )


def test_limits_are_those_of_all_and_of_the_exercise() -> None:
    limits = limits_of(exercise("single-leg-squat"))
    assert (limits["largest_toe_out_deg"], limits["lifted_m"]) == (60, 0.10)
    assert all(isinstance(value, int | float) for value in limits.values())


def test_points_that_a_kernel_cannot_have_and_shapes_that_it_cannot_give_are_refused() -> None:
    with pytest.raises(BadInputError, match="'kne': unknown; did you mean 'knee'"):
        of_points("hip", "kne")
    with pytest.raises(BadInputError, match="'hip' must be among the joints"):
        of_points("knee")
    with pytest.raises(BadInputError, match=r"rack: must take \(points, standing, limits\)"):

        @of_points("hip")
        def rack(points):
            return {}

    with pytest.raises(BadInputError, match=r"must take \(trial\)"):
        of_trial(lambda: {})
    points = np.zeros((5, 2, 2, 3))
    wide = of_points("hip", "knee")(lambda points, standing, limits: {"all": points["hip"]})
    with pytest.raises(
        BadInputError, match=r"all: must have the dimensions .* its shape is \(5, 2, 3\)"
    ):
        wide.of_array({})(points, points)

    def changes(points, standing, limits):
        points["hip"][:] = 1.0
        return {}

    with pytest.raises(ValueError, match="read-only"):
        of_points("hip", "knee")(changes).of_array({})(points, points)


def test_what_a_kernel_of_a_trial_gives_is_checked(squat_pose, repetitions_of) -> None:
    made = squat_pose(reps=3)
    pose, repetitions = made.pose, repetitions_of(made)
    squat = exercise("squat")
    trial = MeasuredTrial(squat, pose, pose, repetitions, "", None, None, {})

    def given(value, sd=None, **other):
        return checked_values(Values(value, sd, **other), trial, what="kernel x.y")

    each = xr.DataArray([1.0, 2.0, 3.0], dims="rep")  # without the numbers of the repetitions
    assert given(each, xr.DataArray(0.5)).value["rep"].values.tolist() == [1, 2, 3]
    assert given(each, xr.DataArray(0.5)).sd.values.tolist() == [0.5, 0.5, 0.5]
    for value, other, why in (
        (np.ones(3), {}, "must return Values of a DataArray \\(got Values"),
        (xr.DataArray([1.0, 2.0], dims="rep"), {}, "rep has 2"),
        (xr.DataArray([[1.0, 2.0]] * 3, dims=("rep", "side")), {}, "side has 2"),
        (each, {"sd": -each}, "sd: must not be negative"),
        (each * np.inf, {}, "must be finite"),
        (each, {"attrs": {"units": "furlong"}}, "the attribute 'units' is set by the declaration"),
    ):
        with pytest.raises(BadInputError, match=why):
            given(value, **other)


def test_a_function_of_the_recording_withholds_uncertain_values_itself() -> None:
    entry = {"from": "pace.hold", "largest_interval": {"value": 4, "source": "a test"}}
    kernel = of_trial(lambda trial: {})
    with pytest.raises(BadInputError, match="measure hold: largest_interval has no effect"):
        _add_of_trial({}, None, kernel, None, {"hold": entry})
