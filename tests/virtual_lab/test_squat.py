from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from lab_motions import angles_of, assert_rigid, balance_of, hips

from mobility.errors import BadInputError
from mobility.virtual_lab.parametric_body import Body
from mobility.virtual_lab.squat import Squat, perform
from mobility.virtual_lab.standing_body import Sided, Trial

QUICK = {"descent_s": 0.8, "ascent_s": 0.7, "lead_s": 0.4, "pause_s": 0.4, "bottom_s": 0.2}


def trial_of(body: Body, **options: Any) -> Trial:
    squat = Squat(**{"repetitions": 2, **QUICK, **options})
    return perform(body, squat, np.arange(0, squat.phases.duration_s, 1 / 50))


def hip_height(trial: Trial) -> Any:
    return hips(trial)[:, 1] - (trial.points["left_ankle"] + trial.points["right_ankle"])[:, 1] / 2


def parallel_legs(body: Body) -> float:
    """Stance in which the ankles are as far apart as the hips."""
    hips = body.joint("hip", "left")[0] - body.joint("hip", "right")[0]
    return float(hips / (body.joint("shoulder", "left")[0] - body.joint("shoulder", "right")[0]))


@pytest.fixture(scope="module")
def crooked(body: Body) -> Trial:
    """Ask for everything that is not symmetric at once."""
    return trial_of(
        body,
        depth=[45, 40],
        knees_in=Sided(left=15, right=2),
        toe_out=Sided(left=20, right=5),
        shift_m=0.04,
        pelvis_drop=4,
        elbow_bend=Sided(left=40, right=5),
        arm_fall=30,
    )


def test_segments_keep_their_length_and_feet_their_place(body: Body, crooked: Trial) -> None:
    assert_rigid(body, crooked)
    for side in ("left", "right"):
        for point in ("ankle", "heel", "foot_index"):
            assert np.ptp(crooked.points[f"{side}_{point}"], axis=0).max() < 1e-6
    # Elbow and wrist centres are those of the body, so the bend is exact within its rest offsets.
    elbow = angles_of(body, crooked).elbow_flexion
    assert elbow.sel(side="left").values == pytest.approx(40, abs=1.5)
    assert elbow.sel(side="right").values == pytest.approx(5, abs=1.5)


@pytest.mark.parametrize("flexion", [-8.0, 0.5, 14.0])
def test_subject_stands_with_the_knees_bent_as_asked(body: Body, flexion: float) -> None:
    squat = {"repetitions": 1, "standing_knee_flexion": flexion}
    trial = trial_of(body, stance_width=parallel_legs(body), toe_out=0, **squat)
    angles = angles_of(body, trial)
    for k in (0, -1):
        np.testing.assert_allclose(angles.knee_flexion[k].values, flexion, atol=0.3)
    assert hip_height(trial)[0] == pytest.approx(hip_height(trial)[-1], abs=1e-6)


@pytest.mark.parametrize(("balance", "lean"), [(0.32, -7.0), (0.48, 10.0)])
def test_subject_stands_in_balance(body: Body, balance: float, lean: float) -> None:
    trial = trial_of(body, standing_balance=balance, standing_lean=lean, arm_fall=0)
    assert balance_of(trial)[0] == pytest.approx(balance, abs=0.03)


@pytest.mark.parametrize("arms", ["overhead", "forward", "hanging", "crossed", "bar"])
def test_arms_are_held_as_asked(body: Body, arms: str) -> None:
    trial = trial_of(
        body, repetitions=1, arms=arms, arm_spread=8, arm_fall=20, elbow_bend=10, lumbar_flexion=20
    )
    bottom = int(hip_height(trial).argmin())
    raised = {"forward": (90, 70), "hanging": (0, 20)}.get(arms)  # while standing, at the bottom
    angles = angles_of(body, trial)
    for side in ("left", "right"):
        upper = trial.points[f"{side}_elbow"] - trial.points[f"{side}_shoulder"]
        lifted = np.degrees(np.arctan2(upper[:, 2], -upper[:, 1]))  # in the world, from plumb
        if raised:
            assert lifted[[0, bottom]] == pytest.approx(raised, abs=1.5)
        elbow = angles.elbow_flexion.sel(side=side).values
        if arms == "crossed":
            wrist = (
                trial.points[f"{side}_wrist"]
                - (trial.points["left_shoulder"] + trial.points["right_shoulder"]) / 2
            )
            sign = 1 if side == "left" else -1
            assert (sign * wrist[:, 0]).max() < 0.05  # reaches the middle
            assert wrist[0, 2] > 0.1  # before the chest
            assert elbow.min() > 80
        elif arms == "bar":
            # The hand is beside the shoulder, on the line of the trunk or behind it.
            grip = trial.points[f"{side}_wrist"][0] - trial.points[f"{side}_shoulder"][0]
            assert 0.02 < (1 if side == "left" else -1) * grip[0] < 0.2
            assert abs(grip[1]) < 0.08
            assert -0.15 < grip[2] < 0.02
            assert np.ptp(elbow) < 1e-4
        else:
            assert elbow == pytest.approx(10, abs=1.5)
    if arms == "crossed":
        apart = trial.points["left_wrist"] - trial.points["right_wrist"]
        assert np.linalg.norm(apart, axis=1).min() > 0.06
    if arms == "overhead":
        assert angles.shoulder_flexion[0].min() > 140


def test_commanded_depth_is_reached_in_each_repetition_smoothly_and_evenly(body: Body) -> None:
    trial = trial_of(body, repetitions=3, depth=[50, 40, 55])
    height = hip_height(trial)
    for start, bottom, end, depth in zip(
        trial.start, trial.bottom, trial.end, (50, 40, 55), strict=True
    ):
        during = (trial.time >= start) & (trial.time <= end)
        assert 100 * (1 - height[during].min() / height[0]) == pytest.approx(depth, abs=1e-3)
        at_bottom = np.abs(trial.time - bottom).argmin()
        assert height[at_bottom] == pytest.approx(height[during].min(), abs=1e-4)
    standing = (trial.time < trial.start[0]) | (trial.time > trial.end[-1])
    assert np.ptp(height[standing]) < 1e-9
    assert trial.time[-1] == pytest.approx(3 * 1.7 + 2 * 0.4 + 0.8, abs=0.03)
    # Minimum jerk: the peak speed is 1.875 times the mean speed.
    assert np.abs(np.diff(height)).max() * 50 == pytest.approx(
        1.875 * 0.55 * height[0] / 0.7, rel=0.01
    )
    for name in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle", "heel", "foot_index"):
        left, right = (trial.points[f"{side}_{name}"] for side in ("left", "right"))
        np.testing.assert_allclose(left, right * [-1, 1, 1], atol=1e-5)
        assert np.abs(np.diff(left, n=2, axis=0)).max() * 50**2 < 30  # m/s^2


def test_what_was_asked_for_is_done_on_its_side(body: Body) -> None:
    trial = trial_of(body, shift_m=0.05, pelvis_drop=5, depth=40)
    k = int(hip_height(trial).argmin())
    left, right = trial.points["left_hip"][k], trial.points["right_hip"][k]
    assert ((left + right) / 2)[0] == pytest.approx(0.05, abs=1e-6)
    assert left[1] < right[1]
    assert angles_of(body, trial).pelvis_obliquity[k].item() == pytest.approx(5, abs=0.01)
    # Knees go inwards, of those who do not stand.
    plain, inwards = (
        np.ptp([t.points["left_knee"][:, 0], t.points["right_knee"][:, 0]], axis=0)
        for t in (trial_of(body, depth=45), trial_of(body, depth=45, knees_in=20))
    )
    assert inwards[k] < plain[k] - 0.1
    assert inwards[0] == pytest.approx(plain[0])
    # A heel rises about the ball of the foot, a foot ahead makes the sides differ.
    trial = trial_of(body, heel_rise=15, depth=40, tibia_inclination=35)
    heel = trial.points["left_heel"][:, 1]
    assert heel.max() - heel[0] > 0.04
    assert np.ptp(trial.points["left_foot_index"], axis=0).max() < 1e-6
    staggered = trial_of(body, depth=50, stagger_m=0.16)
    ahead = staggered.points["left_ankle"][:, 2] - staggered.points["right_ankle"][:, 2]
    assert ahead == pytest.approx(0.16, abs=1e-9)
    low = angles_of(body, staggered).isel(time=int(np.argmin(hip_height(staggered))))
    assert low.ankle_dorsiflexion.diff("side").item() > 15
    # The pelvis turns to the left, its left side back, and the thorax hardly follows.
    turned = trial_of(body, depth=50, pelvis_turn=12)
    k = int(np.argmin(hip_height(turned)))
    across = turned.points["left_hip"][k] - turned.points["right_hip"][k]
    assert np.degrees(np.arctan2(-across[2], across[0])) == pytest.approx(12, abs=0.1)
    across = turned.points["left_shoulder"][k] - turned.points["right_shoulder"][k]
    assert abs(np.degrees(np.arctan2(-across[2], across[0]))) < 3
    low = angles_of(body, turned).isel(time=k)
    assert abs(low.hip_flexion.diff("side").item()) > 2
    # The pelvis leans as asked while standing, and the back is flexed against it.
    leaning = {"repetitions": 1, "standing_lean": -3}
    plain, bent = trial_of(body, **leaning), trial_of(body, **leaning, lumbar_flexion=28)
    both = (bent.orientation, plain.orientation)
    turned = [
        [np.degrees(np.arctan2(*o[:, body.bone(bone), [2, 1], 1].T)) for o in both]
        for bone in ("spine01", "root")
    ]
    assert turned[1][0][0] == pytest.approx(-3, abs=0.01)
    thorax, pelvis = (one - other for one, other in turned)
    k = int(hip_height(plain).argmin())
    # The trunk straightens by 12 % of its lean, which differs where balance asks for another.
    assert thorax[k] - pelvis[k] == pytest.approx(28 - 0.12 / 0.88 * thorax[k], abs=0.05)


def test_planar_squat_obeys_the_identities_of_the_angles(body: Body) -> None:
    trial = trial_of(body, stance_width=parallel_legs(body), toe_out=0, tibia_inclination=30)
    angles = angles_of(body, trial)
    assert abs(angles.hip_abduction).max() < 0.05
    # Thighs that lean forwards, as in standing, have no elevation beyond the vertical.
    thigh = angles.thigh_elevation.where(angles.thigh_elevation < 80)
    assert thigh.notnull().sum() > 100
    for angle, identity in (
        (angles.knee_flexion, 90 + angles.tibia_inclination - thigh),
        (angles.hip_flexion, 90 + angles.trunk_lean - thigh),
        (angles.ankle_dorsiflexion, angles.tibia_inclination),  # the foot is flat
    ):
        assert abs(angle - identity).max() < 0.01
    bottom = int(hip_height(trial).argmin())
    assert angles.tibia_inclination[bottom].values == pytest.approx(30, abs=0.02)
    assert angles.knee_flexion[0].values == pytest.approx(6, abs=0.3)
    # The trunk stands upright and leans to balance, more where the ankle moves less.
    stiff = angles_of(body, trial_of(body, tibia_inclination=22))
    assert abs(angles.trunk_lean[0].item()) < 10
    assert 20 < angles.trunk_lean.max() < stiff.trunk_lean.max() - 3 < 65


@pytest.mark.parametrize(
    ("options", "message"),
    [
        # Knees that stay behind leave the hips far behind the feet, those far ahead bring them on.
        ({"depth": 60, "tibia_inclination": 3}, "keeps this body from falling"),
        ({"depth": 30, "tibia_inclination": 60}, "keeps this body from falling"),
        ({"standing_balance": 0.8, "standing_lean": -20}, "without falling"),
        ({"depth": 10, "shift_m": 0.3, "tibia_inclination": 60}, "do not reach"),
        ({"depth": [50, 50, 50]}, "3 depths for 2 repetitions"),
    ],
)
def test_what_the_body_cannot_do_is_refused(body: Body, options: Any, message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        trial_of(body, **options)
