"""Smoothness: the published numbers of a movement of least jerk, and what makes it worse."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from mobility.assessment.smoothness import bandwidth, hip_smoothness, ldlj, sparc
from mobility.errors import BadInputError
from mobility.kinematics.clean import clean_pose


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
    with pytest.raises(BadInputError, match="one series"):
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
