"""Which moments of joints that move have a picture."""

from __future__ import annotations

import xarray as xr

from mobility.exercises.joint_angle_mobility.page import joint_moments
from mobility.store import Store


def test_the_joint_that_went_farthest_is_shown() -> None:
    demo = Store("absent").demo("Joint Angle Mobility")
    vague = demo.metrics()
    vague["end_of_range_sd"][:] = 17.4  # a half of 34 degrees does not tell how far
    assert joint_moments(demo.angles(), vague) == []
    metrics = vague.assign(end_of_range_sd=vague["end_of_range_sd"] / 4)
    start, turn, other = joint_moments(demo.angles(), metrics)
    assert start.angle == turn.angle
    assert {turn.angle, other.angle} == {"shoulder_flexion", "elbow_flexion"}
    of_shoulder = metrics["movement_joint"] == "shoulder"
    one = metrics.assign(movement_accepted=metrics["movement_accepted"].astype(bool) & of_shoulder)
    start, way, turn = joint_moments(demo.angles(), one)
    assert start.angle == way.angle == turn.angle == "shoulder_flexion"
    assert start.number.value < way.number.value < turn.number.value
    # What is no movement that has a name tells nothing of how far it goes.
    nameless = metrics.assign(
        end_of_range=metrics["end_of_range"].where(metrics["joint"] != "shoulder")
    )
    angles = {each.angle for each in joint_moments(demo.angles(), nameless)}
    assert angles == {"elbow_flexion"}
    still = demo.metrics()
    still["movement_accepted"] = xr.zeros_like(still["movement_accepted"])
    assert joint_moments(demo.angles(), still) == []
