from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

from mobility.errors import BadInputError
from mobility.kinematics.angles import joint_angles
from mobility.virtual_lab.case import Case, case_from, true_positions, truth_pose
from mobility.virtual_lab.parametric_body import Body
from mobility.virtual_lab.single_joint import JointMotion, perform_joint
from mobility.virtual_lab.standing_body import Trial

QUICK = {"out_s": 0.6, "hold_s": 0.2, "back_s": 0.6, "pause_s": 0.3, "lead_s": 0.3}


def performed(body: Body, **options: Any) -> tuple[Trial, xr.Dataset]:
    motion = JointMotion(**{"repetitions": 2, "side": "left", **QUICK, **options})
    trial = perform_joint(body, motion, np.arange(0, motion.phases.duration_s, 1 / 40))
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
def test_the_joint_that_is_meant_moves_and_no_other(body, movement, angle, to, within):
    trial, angles = performed(body, movement=movement, to=to)
    left, right = (angles[angle].sel(side=side).values for side in ("left", "right"))
    assert left.max() == pytest.approx(to, abs=within)
    assert np.ptp(left) > 0.85 * to
    assert np.ptp(right) < 1.0
    turn = np.argmin(np.abs(trial.time - trial.bottom[0]))
    assert left[turn] == pytest.approx(left.max(), abs=0.1)
    assert left[0] == left[-1] == pytest.approx(left.min(), abs=0.3)
    others = {"elbow_flexion", "knee_flexion", "ankle_dorsiflexion", "shoulder_flexion"}
    if movement == "hip_flexion":
        others -= {"knee_flexion"}  # the shank hangs
        assert trial.points["left_ankle"][:, 1].max() > 0.4
    if movement == "shoulder_abduction":
        others -= {"elbow_flexion"}  # its crease turns upwards, and has no sign for long
    for other in others - {angle}:
        assert np.ptp(angles[other].sel(side="left").values) < 1.0, other
    for one, other in (("hip", "knee"), ("knee", "ankle"), ("heel", "foot_index")):
        span = trial.points[f"left_{one}"] - trial.points[f"left_{other}"]
        assert np.ptp(np.linalg.norm(span, axis=1)) < 1e-9
    assert np.ptp(trial.points["right_heel"], axis=0).max() < 1e-9
    if movement == "shoulder_flexion":  # with the elbow, and mirrored
        _, both = performed(body, movement=movement, to=to, elbow_to=90.0, side="right")
        np.testing.assert_allclose(both[angle].sel(side="right").values, left, atol=0.5)
        assert both["elbow_flexion"].sel(side="right").max() == pytest.approx(90, abs=0.1)
        assert np.ptp(both["elbow_flexion"].sel(side="left").values) < 0.1


def bent(trial: Trial, *names: str) -> np.ndarray:
    """Angle in space at the middle of three points, 0 where they are in one line, degrees."""
    one, middle, other = (trial.points[f"left_{name}"] for name in names)
    a, b = middle - one, other - middle
    cosine = (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))


@pytest.mark.parametrize(
    ("movement", "posture", "to", "names", "first", "turn"),
    [
        ("elbow_extension", "standing", -5.0, ("shoulder", "elbow", "wrist"), 110.0, 5.0),
        ("knee_flexion", "supine", 130.0, ("hip", "knee", "ankle"), 6.0, 130.0),
        ("knee_flexion", "prone", 120.0, ("hip", "knee", "ankle"), 6.0, 120.0),
        ("knee_extension", "seated", 4.0, ("hip", "knee", "ankle"), 90.0, 4.0),
    ],
)
def test_hinges_move_in_every_posture(body, movement, posture, to, names, first, turn):
    trial, _ = performed(body, movement=movement, posture=posture, to=to)
    angle = bent(trial, *names)
    assert angle[0] == pytest.approx(first, abs=0.1)
    assert angle[np.argmin(np.abs(trial.time - trial.bottom[0]))] == pytest.approx(turn, abs=0.1)


def test_who_lies_is_turned_as_a_whole_and_rests_on_the_couch(body: Body) -> None:
    for posture, movement, to in (
        ("supine", "hip_flexion", 90.0),
        ("prone", "hip_extension", -15.0),
        ("side_lying", "hip_abduction", 30.0),
    ):
        trial, _ = performed(body, movement=movement, posture=posture, to=to)
        (lower, upper), points = trial.furniture[0], trial.points
        trunk = [
            points[f"{side}_{name}"] for name in ("hip", "shoulder") for side in ("left", "right")
        ]
        for point in trunk:
            assert 0.01 < point[0, 1] - upper[1] < 0.45, posture
            assert lower[0] < point[0, 0] < upper[0]
            assert lower[2] < point[0, 2] < upper[2]
        knee = points["left_knee"][:, 1]
        turn = np.argmin(np.abs(trial.time - trial.bottom[0]))
        assert knee[turn] - knee[0] > 0.08
        assert np.ptp(points["right_knee"], axis=0).max() < 1e-9
        if posture == "side_lying":
            assert points["left_hip"][0, 1] - points["right_hip"][0, 1] > 0.1
        else:
            face = points["left_eye"][0, 1] - points["left_shoulder"][0, 1]
            assert face > 0 if posture == "supine" else face < 0


@pytest.mark.parametrize("side", ["left", "right"])
def test_trunk_and_neck_bend_to_the_side_that_is_named(body: Body, side: str) -> None:
    sign = 1 if side == "left" else -1
    trial, _ = performed(body, movement="trunk_lateral_flexion", to=40.0, side=side)
    turn = np.argmin(np.abs(trial.time - trial.bottom[0]))
    shoulders, hips = (
        (trial.points[f"left_{name}"] + trial.points[f"right_{name}"]) / 2
        for name in ("shoulder", "hip")
    )
    line = shoulders[turn] - hips[turn]
    assert 20 < sign * np.degrees(np.arctan2(line[0], line[1])) < 40
    assert np.ptp(trial.points["left_ankle"], axis=0).max() < 1e-9
    trial, _ = performed(body, movement="neck_lateral_flexion", to=30.0, side=side)
    eyes = trial.points["left_eye"][turn] - trial.points["right_eye"][turn]
    assert sign * np.degrees(np.arctan2(-eyes[1], eyes[0])) == pytest.approx(30.0, abs=0.5)
    assert np.ptp(trial.points["left_shoulder"], axis=0).max() < 1e-9


def test_what_cannot_be_asked() -> None:
    bend = {"movement": "elbow_flexion", "to": 90}
    aside = {"movement": "hip_abduction", "to": 30, "posture": "side_lying", "side": "both"}
    borne = {"movement": "ankle_dorsiflexion_weight_bearing", "to": 30, "side": "left"}
    for motion, message in (
        (bend | {"to": 170}, "elbow_flexion should be from 0 to 150"),
        (bend | {"movement": "elbow_flexon"}, "movement"),
        ({"movement": "elbow_flexion"}, "to"),
        (borne, "moves both; use both"),
        ({"movement": "ankle_dorsiflexion", "to": 9}, "posture: for ankle_dorsiflexion use supine"),
        ({"movement": "shoulder_extension", "to": 30}, "from -60 to 0"),
        ({"movement": "trunk_lateral_flexion", "to": 30}, "side: should be left or right"),
        (aside, "side: should be left or right"),
        ({"movement": "shoulder_flexion", "to": 90, "arms": "sideways"}, "if the elbow moves"),
        (bend | {"elbow_to": 90}, "only applies to a moving shoulder"),
        (bend | {"depth": 50}, "depth: unknown"),
    ):
        with pytest.raises(BadInputError, match=message):
            case_from({"motion": motion})
    case = case_from({"name": "arm", "motion": bend})
    assert isinstance(case.motion, JointMotion)
    with pytest.raises(BadInputError, match="arm: its motion is not a squat on both legs"):
        _ = case.squat
    assert case_from({"motion": {"depth": 40}}).squat.depth == 40
