"""Errors of what is computed from landmarks."""

from __future__ import annotations

from typing import Any

import numpy as np

from mobility.assessment.propagation import values_and_sd

SIZES = {"hip": (0.02, 0.02, 0.03), "ankle": (0.02, 0.02, 0.08)}
"""Of each landmark across, up and along the camera's axis, in metres."""


def test_errors_of_differences_are_those_of_two_landmarks(squat_pose: Any) -> None:
    trial = squat_pose(reps=1, fps=10)

    def apart(points: np.ndarray, standing: np.ndarray) -> dict[str, np.ndarray]:
        across = points[:, :, 1] - points[:, :, 0]
        raised = points[:, 1, 0, 1] - np.median(standing[:, 1, 0, 1])  # a standing frame errs, too
        return {"hip": across[:, 0], "ankle": across[:, 1], "raised": raised}

    pose = trial.pose.assign_attrs(method="mediapipe_world")
    standing = trial.truth["crouch"].to_numpy() < 0.001
    _, sd = values_and_sd(pose, tuple(SIZES), standing, apart)
    for joint, sizes in SIZES.items():
        np.testing.assert_allclose(sd[joint], [np.sqrt(2) * np.array(sizes)] * len(sd[joint]))
    np.testing.assert_allclose(sd["raised"], np.sqrt(2) * 0.02)
