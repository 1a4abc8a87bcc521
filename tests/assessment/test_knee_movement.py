"""The frontal plane projection angle, and why it is not told deep in a squat."""

from __future__ import annotations

import math

import numpy as np
import pytest
from analytic import fitted

from mobility.assessment.frame_quantities import frames_of
from mobility.assessment.knee_movement import frontal_plane_projection_angle, knee


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
