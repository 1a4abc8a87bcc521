from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

from mobility.errors import BadInputError
from mobility.kinematics.angles import joint_angles
from mobility.virtual_lab.body import Body
from mobility.virtual_lab.case import Case, case_from, true_positions, truth_pose
from mobility.virtual_lab.single_joint import JointMotion, joint_duration_s, perform_joint
from mobility.virtual_lab.squat import Trial

QUICK = {"out_s": 0.6, "hold_s": 0.2, "back_s": 0.6, "pause_s": 0.3, "lead_s": 0.3}


def performed(body: Body, **options: Any) -> tuple[Trial, xr.Dataset]:
    motion = JointMotion(**{"repetitions": 2, "side": "left", **QUICK, **options})
    trial = perform_joint(body, motion, np.arange(0, joint_duration_s(motion), 1 / 40))
    return trial, joint_angles(truth_pose(true_positions(Case(), body, trial)))


@pytest.mark.parametrize(
    ("movement", "angle", "to", "within"),
    [
        ("elbow_flexion", "elbow_flexion", 140.0, 0.1),
        ("knee_flexion", "knee_flexion", 115.0, 0.1),
        # Against the line of the trunk, which leans.
        ("hip_flexion", "hip_flexion", 100.0, 4.0),
        ("shoulder_flexion", "shoulder_flexion", 150.0, 6.0),
        ("shoulder_abduction", "shoulder_flexion", 150.0, 4.0),
    ],
)
def test_the_joint_that_is_meant_moves_and_no_other(
    body: Body, movement: str, angle: str, to: float, within: float
) -> None:
    trial, angles = performed(body, movement=movement, to=to)
    left, right = (angles[angle].sel(side=side).values for side in ("left", "right"))
    assert left.max() == pytest.approx(to, abs=within)
    assert np.ptp(left) > 0.85 * to
    assert np.ptp(right) < 1.0
    turn = np.argmin(np.abs(trial.time - trial.bottom[0]))
    assert left[turn] == pytest.approx(left.max(), abs=0.1)
    assert left[0] == left[-1] == pytest.approx(left.min(), abs=0.1)
    others = {"elbow_flexion", "knee_flexion", "ankle_dorsiflexion", "shoulder_flexion"}
    if movement == "hip_flexion":
        others -= {"knee_flexion"}  # the shank hangs
    for other in others - {angle}:
        assert np.ptp(angles[other].sel(side="left").values) < 1.0, other


def test_an_ankle_moves_under_the_body(body: Body) -> None:
    trial, angles = performed(body, movement="ankle_dorsiflexion", to=35.0, side="both")
    for side in ("left", "right"):
        assert angles["ankle_dorsiflexion"].sel(side=side).max() == pytest.approx(35, abs=1.5)
        for part in ("heel", "foot_index"):
            assert np.ptp(trial.points[f"{side}_{part}"], axis=0).max() < 1e-6


def test_segments_keep_their_lengths_and_the_standing_foot_its_place(body: Body) -> None:
    trial, _ = performed(body, movement="hip_flexion", to=100.0)
    for one, other in (("hip", "knee"), ("knee", "ankle"), ("heel", "foot_index")):
        span = trial.points[f"left_{one}"] - trial.points[f"left_{other}"]
        assert np.ptp(np.linalg.norm(span, axis=1)) < 1e-9
    assert np.ptp(trial.points["right_heel"], axis=0).max() < 1e-9
    assert trial.points["left_ankle"][:, 1].max() > 0.4


def test_the_elbow_can_bend_with_the_shoulder(body: Body) -> None:
    _, angles = performed(body, movement="shoulder_flexion", to=150.0, elbow_to=90.0)
    assert angles["elbow_flexion"].sel(side="left").max() == pytest.approx(90, abs=0.1)
    assert np.ptp(angles["elbow_flexion"].sel(side="right").values) < 0.1


def test_a_mirrored_motion_has_mirrored_angles(body: Body) -> None:
    _, left = performed(body, movement="shoulder_flexion", to=120.0)
    _, right = performed(body, movement="shoulder_flexion", to=120.0, side="right")
    one = left["shoulder_flexion"].sel(side="left").values
    other = right["shoulder_flexion"].sel(side="right").values
    np.testing.assert_allclose(one, other, atol=0.5)


@pytest.mark.parametrize(
    ("motion", "message"),
    [
        ({"movement": "elbow_flexion", "to": 170}, "elbow_flexion should be from 0 to 150"),
        ({"movement": "elbow_flexon", "to": 100}, "movement"),
        ({"movement": "elbow_flexion"}, "to"),
        ({"movement": "ankle_dorsiflexion", "to": 30, "side": "left"}, "moves both"),
        ({"movement": "elbow_flexion", "to": 90, "elbow_to": 90}, "for a shoulder that moves"),
        ({"movement": "elbow_flexion", "to": 90, "depth": 50}, "depth: unknown"),
    ],
)
def test_what_cannot_be_asked(motion: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        case_from({"motion": motion})


def test_a_case_with_a_movement_is_no_squat() -> None:
    case = case_from({"name": "arm", "motion": {"movement": "elbow_flexion", "to": 90}})
    assert isinstance(case.motion, JointMotion)
    with pytest.raises(BadInputError, match="arm: its motion is that of a single joint"):
        _ = case.squat
    assert case_from({"motion": {"depth": 40}}).squat.depth == 40
