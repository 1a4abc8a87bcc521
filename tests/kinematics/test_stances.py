"""Stances and steps as the history of a fit has them."""

from __future__ import annotations

import numpy as np
import pytest
from analytic import with_step

from mobility.base.provenance import with_history
from mobility.kinematics.stances import (
    Stance,
    Step,
    is_stepping,
    stance_at,
    stances_of,
    steps_of,
)


def test_a_step_parts_two_stances(squat_pose):
    pose = with_step(squat_pose().pose, 3.6, 4.2, forward=0.2, standing=(0.9, 2.0))
    last = float(pose["time"][-1])
    assert stances_of(pose) == [Stance(0.0, 3.6, 0.9), Stance(4.2, last, 2.0)]
    assert steps_of(pose) == [Step(3.6, 4.2, 0.2, 0.0, 0.0)]
    assert steps_of(pose)[0].time_s == pytest.approx(3.9)
    times = np.array([-0.1, 3.6, 3.8, 4.0, 4.2, last + 1])
    assert stance_at(pose, times).tolist() == [0, 0, 0, 1, 1, 1]
    assert is_stepping(pose, times).tolist() == [False, False, True, True, False, True]


@pytest.mark.parametrize("entry", [None, {"stances": [], "steps": []}])
def test_without_stances_there_is_one_over_all(squat_pose, entry):
    pose = squat_pose().pose
    if entry is not None:
        pose = with_history(pose, "fit_body", {}, standing_seconds=2.5, **entry)
    time = pose["time"].to_numpy()
    assert stances_of(pose) == [Stance(time[0], time[-1], 0.0 if entry is None else 2.5)]
    assert steps_of(pose) == []
    assert not stance_at(pose, time).any()
    assert not is_stepping(pose, time).any()
    assert stances_of(pose.isel(time=slice(0)))[0][:2] == (0.0, 0.0)
