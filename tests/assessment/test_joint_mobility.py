from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from mobility import tables
from mobility.assessment.joint_courses import feet_may_stay, single_joint_limits
from mobility.assessment.joint_excursions import JOINTS, Course, Excursion, checked_movements
from mobility.assessment.joint_mobility import joint_mobility, joint_movements
from mobility.assessment.joint_values import _detectable, shown_movement, with_refused_joints
from mobility.errors import BadInputError
from mobility.kinematics.angle_errors import largest_sd, legs_unseen
from mobility.kinematics.angles import joint_angles
from mobility.kinematics.geometry import definitions
from mobility.provenance import history, warnings_of
from mobility.sessions.files import read_dataset, write_dataset
from tests.analytic import FOREARM, minimum_jerk, squat_pose
from tests.limbs import FPS, limb_pose, there_and_back


def measured(pose: xr.Dataset, **options: object) -> xr.Dataset:
    return joint_mobility(pose, joint_angles(pose), **options)  # type: ignore[arg-type]


def note(result: xr.Dataset, joint: str, side: str) -> str:
    return str(result["note"].sel(joint=joint, side=side).item())


@pytest.mark.parametrize(
    ("joint", "posture", "low", "high"),
    [
        ("elbow", "standing", 10.0, 140.0),
        ("shoulder", "standing", 5.0, 165.0),
        ("hip", "standing", 0.0, 105.0),
        ("knee", "standing", 5.0, 120.0),
        ("ankle", "seated", -30.0, 12.0),
    ],
)
def test_range_movements_and_speed_are_those_commanded(
    joint: str, posture: str, low: float, high: float
) -> None:
    time, curve = there_and_back(low=low, high=high, times=3)
    start = {"elbow": 10.0, "shoulder": 5.0}.get(joint, 0.0)
    pose = limb_pose(time, posture=posture, joints={joint: (curve, start)})
    result = measured(pose, joints=(joint,), sex="female", age=30)
    left = result.sel(joint=joint, side="left")
    assert left["maximum"] == pytest.approx(high, abs=0.3)
    assert left["minimum"] == pytest.approx(low, abs=0.3)
    assert left["range_of_motion"] == pytest.approx(high - low, abs=0.5)
    assert int(left["movements"]) == 3
    # The largest speed of a minimum-jerk movement is 15/8 of its mean.
    assert left["peak_velocity"] == pytest.approx(15 / 8 * (high - low), rel=0.01)
    x = np.linspace(0, 1, 100001)
    share = minimum_jerk(x)
    out = x[np.searchsorted(share, 0.9)] - x[np.searchsorted(share, 0.1)]
    assert left["mean_velocity"] == pytest.approx(0.8 * (high - low) / out, rel=0.12)  # 1/30 s
    right = result.sel(joint=joint, side="right")
    assert int(right["movements"]) == 0
    assert np.isnan(right["range_of_motion"])
    assert np.isnan(right["score"])
    assert "moved by less than" in str(right["note"].item())
    assert right["maximum"] == pytest.approx(start, abs=1e-6)


def test_left_and_right_change_places_in_a_mirror() -> None:
    time, curve = there_and_back(low=10, high=130)
    one = measured(limb_pose(time, joints={"elbow": (curve, 10.0)}), joints=("elbow",))
    other = measured(limb_pose(time, joints={"elbow": (10.0, curve)}), joints=("elbow",))
    for name in ("maximum", "minimum", "range_of_motion", "movements", "peak_velocity"):
        np.testing.assert_allclose(one[name].values, other[name].values[:, ::-1])


def test_a_joint_that_rests_bent_moves_by_straightening() -> None:
    time, curve = there_and_back(low=90, high=5, times=4)
    result = measured(limb_pose(time, posture="seated", joints={"knee": (curve, 90.0)}))
    left = result.sel(joint="knee", side="left")
    assert int(left["movements"]) == 4
    assert left["minimum"] == pytest.approx(5, abs=0.3)
    assert left["maximum"] == pytest.approx(90, abs=0.3)
    assert result["movement_rest"].values == pytest.approx([90] * 4, abs=0.3)


@pytest.mark.parametrize("noise", [0.005, 0.01])
def test_noise_does_not_widen_the_range_as_extremes_would(noise: float) -> None:
    time, curve = there_and_back(low=10, high=130, times=5)
    errors, naive = [], []
    for seed in range(6):
        pose = limb_pose(time, joints={"elbow": curve}, noise=noise, seed=seed)
        angles = joint_angles(pose)
        found = joint_mobility(pose, angles, joints=("elbow",))
        errors.append(found["range_of_motion"].values - 120)
        curves = angles["elbow_flexion"].values
        naive.append(curves.max(axis=0) - curves.min(axis=0) - 120)
        assert (found["movements"].values == 5).all()
    # Both ends are the farthest of noisy turns; a sign lets also the straight one be too far.
    assert abs(np.mean(errors)) < 400 * noise
    assert np.mean(naive) > 4 * abs(np.mean(errors))


def test_errors_are_those_of_the_angles_and_of_the_spread() -> None:
    time, curve = there_and_back(low=10, high=130, times=3)
    # The second movement goes 12 degrees farther.
    middle = time.size // 2
    reach = np.where(np.abs(np.arange(time.size) - middle) < 1.6 * FPS, 1.1, 1.0)
    pose = limb_pose(time, joints={"elbow": 10 + (curve - 10) * reach})
    left = measured(pose, joints=("elbow",)).sel(joint="elbow", side="left")
    assert int(left["movements"]) == 3
    assert left["maximum"] == pytest.approx(130, abs=0.3)
    spread = np.std([120, 132, 120], ddof=1) / np.sqrt(3)
    shared = 0.1  # of a true pose
    assert left["maximum_sd"] == pytest.approx(np.hypot(shared, spread), rel=0.02)
    assert left["minimum_sd"] == pytest.approx(shared, rel=0.05)
    assert left["range_of_motion_sd"] == pytest.approx(
        np.hypot(np.hypot(shared, shared), spread), rel=0.02
    )


def test_an_excursion_smaller_than_the_error_is_no_movement() -> None:
    time, curve = there_and_back(low=10, high=40, times=3)
    pose = limb_pose(time, joints={"elbow": curve})
    angles = joint_angles(pose)
    assert int(joint_mobility(pose, angles, joints=("elbow",))["movements"].sum()) == 6
    angles["elbow_flexion_sd"] = angles["elbow_flexion_sd"] + 32.0
    unsure = joint_mobility(pose, angles, joints=("elbow",))
    assert int(unsure["movements"].sum()) == 0
    assert note(unsure, "elbow", "left") == "moved by less than 32 degrees"


def test_what_a_person_moves_is_scored_against_what_others_moved_by_themselves() -> None:
    time, curve = there_and_back(low=10, high=120)
    pose = limb_pose(time, joints={"elbow": curve})
    man = measured(pose, joints=("elbow",), sex="male", age=30).sel(side="left", joint="elbow")
    assert man["score"] == pytest.approx(100 * 120 / 142.9, abs=0.3)
    assert man["reference"] == 142.9
    assert str(man["reference_kind"].item()) == "active"
    assert man["score_sd"] == pytest.approx(100 * float(man["maximum_sd"]) / 142.9)
    told = json.loads(man.attrs["references"])["left_elbow"]
    assert (told["study"], told["n"], told["sd"]) == ("boone_azen_1979", 109, 5.6)
    woman = measured(pose, joints=("elbow",), sex="female", age=30)
    assert woman["score"].sel(side="left", joint="elbow") == pytest.approx(100 * 120 / 146, abs=0.3)

    time, curve = there_and_back(low=10, high=155)
    far = measured(limb_pose(time, joints={"elbow": curve}), joints=("elbow",), sex="male", age=30)
    assert (far["score"].values == 100).all()


def test_a_hip_that_bends_is_not_compared_with_what_was_measured_to_the_pelvis() -> None:
    time, curve = there_and_back(low=5, high=115)
    pose = limb_pose(time, joints={"hip": curve, "knee": curve})
    found = measured(pose, joints=("hip", "knee"), sex="male", age=30)
    assert np.isnan(found[["reference", "score"]].sel(joint="hip").to_dataarray()).all()
    assert found[["reference", "score"]].sel(joint="knee").to_dataarray().notnull().all()
    assert "ranges, which are of the thigh against the pelvis" in note(found, "hip", "left")


def test_whom_no_active_study_measured_has_no_score_but_a_reason() -> None:
    time, curve = there_and_back(low=10, high=120)
    pose = limb_pose(time, joints={"elbow": curve, "knee": curve})
    only = "the study measured males from 1 to 54 years only"
    for sex, age, joint, why in (
        (None, None, "elbow", f"no score: sex and age not known, and {only}"),
        ("female", 30, "knee", f"no score: {only}"),
        ("female", 10, "elbow", f"no score: {only}"),
        ("male", 60, "knee", f"no score: {only}"),
    ):
        result = measured(pose, joints=("elbow", "knee"), sex=sex, age=age).sel(joint=joint)
        assert np.isnan(result["score"].values).all()
        assert why in str(result["note"].sel(side="left").item())
    boy = measured(pose, joints=("knee",), sex="male", age=7)
    assert boy["score"].values.ravel() == pytest.approx([100 * 120 / 142.5] * 2, abs=0.3)


def test_an_ankle_that_carries_the_body_has_the_lunge_for_reference() -> None:
    trial = squat_pose(reps=3, tibia=35.0)
    standing = measured(trial.pose, joints=("ankle",), sex="male", age=30)
    assert standing["maximum"].values.ravel() == pytest.approx([35, 35], abs=0.3)
    assert standing["reference"].values.ravel() == pytest.approx([40.6, 40.6])
    assert standing["score"].values.ravel() == pytest.approx([100 * 35 / 40.6] * 2, abs=0.8)
    woman = measured(trial.pose, joints=("ankle",), sex="female", age=30)
    assert np.isnan(woman["score"].values).all()
    assert "no score: the study measured males only" in note(woman, "ankle", "left")

    time, curve = there_and_back(low=-30, high=12)
    seated = limb_pose(time, posture="seated", joints={"ankle": curve})
    free = measured(seated, joints=("ankle",), sex="male", age=30)
    assert free["reference"].values.ravel() == pytest.approx([12.6, 12.6])


@pytest.mark.parametrize("posture", ["standing", "seated", "lying"])
def test_posture(posture: str) -> None:
    time, curve = there_and_back(low=10, high=120)
    result = measured(limb_pose(time, posture=posture, joints={"elbow": curve}))
    assert result.attrs["posture"] == posture
    share = result["posture_share"].sel(posture=posture)
    assert float(share) == pytest.approx(1.0)


def test_a_raised_knee_is_still_standing() -> None:
    time, curve = there_and_back(low=0, high=100)
    result = measured(limb_pose(time, joints={"hip": (curve, 0.0), "knee": (curve, 5.0)}))
    assert result.attrs["posture"] == "standing"
    assert float(result["posture_share"].sel(posture="standing")) == 1.0


def test_lying_has_no_sagittal_plane_but_three_point_angles() -> None:
    time, curve = there_and_back(low=5, high=110)
    pose = limb_pose(time, posture="lying", joints={"knee": curve, "hip": curve / 2})
    result = measured(pose, sex="male", age=30)
    assert np.isnan(result["maximum"].sel(joint="hip").values).all()
    assert note(result, "hip", "left").startswith("the person lies in all frames")
    assert result["maximum"].sel(joint="knee").values == pytest.approx([110, 110], abs=0.3)
    assert result["score"].sel(joint="knee", side="left") == pytest.approx(77.2, abs=0.3)
    assert (result["refused_share"].sel(joint="hip") == 1).all()


def test_lying_on_the_side_is_refused_for_the_hip() -> None:
    time, curve = there_and_back(low=5, high=110)
    pose = limb_pose(time, joints={"knee": curve, "hip": curve / 2}, roll=80.0)
    result = measured(pose)
    assert result.attrs["posture"] == "lying"
    assert np.isnan(result["angle"].sel(joint="hip").values).all()
    assert result["maximum"].sel(joint="knee").values == pytest.approx([110, 110], abs=0.3)


@pytest.mark.parametrize("posture", ["standing", "seated", "lying"])
def test_each_posture_gives_what_it_can(posture: str) -> None:
    """All five joints of the left side move, one after the other; the right side rests."""
    limits = {
        "ankle": (-10.0, 15.0),
        "knee": (20.0, 110.0),
        "hip": (30.0, 95.0),
        "shoulder": (10.0, 150.0),
        "elbow": (10.0, 135.0),
    }
    time, one = there_and_back(low=0, high=1, times=1)
    n = time.size
    time = np.arange(n * len(limits)) / FPS
    joints = {}
    for k, (joint, (low, high)) in enumerate(limits.items()):
        share = np.zeros(time.size)
        share[k * n : (k + 1) * n] = one
        joints[joint] = (low + (high - low) * share, low)
    result = measured(limb_pose(time, posture=posture, joints=joints), sex="female", age=30)
    left = result.sel(side="left")
    given = [joint for joint in limits if np.isfinite(left["maximum"].sel(joint=joint))]
    # The hip has no sagittal plane in a person who lies; a line through three points needs none.
    assert given == [joint for joint in limits if (joint, posture) != ("hip", "lying")]
    for joint in given:
        low, high = limits[joint]
        one_joint = left.sel(joint=joint)
        assert one_joint["minimum"] == pytest.approx(low, abs=0.3), joint
        assert one_joint["maximum"] == pytest.approx(high, abs=0.3), joint
        assert int(one_joint["movements"]) == 1, joint
        assert np.isnan(result["range_of_motion"].sel(joint=joint, side="right")), joint


def test_only_while_a_person_lies_the_hip_is_refused() -> None:
    time, curve = there_and_back(low=5, high=100, times=1)
    up = limb_pose(time, joints={"hip": curve})
    down = limb_pose(time, posture="lying", joints={"hip": curve})
    both = xr.concat([up, down.assign_coords(time=time + time[-1] + 1 / FPS)], "time")
    both.attrs = up.attrs
    result = measured(both, joints=("hip",))
    assert result["refused_share"].values == pytest.approx(0.5, abs=0.01)
    assert np.isfinite(result["angle"].values[: time.size]).all()
    assert np.isnan(result["angle"].values[time.size :]).all()
    assert result["maximum"].values.ravel() == pytest.approx([100, 100], abs=0.3)
    assert "the person lies in 50 % of the frames" in note(result, "hip", "left")


def test_the_side_that_is_hidden_changes_nothing_of_the_other() -> None:
    time, curve = there_and_back(low=10, high=110)
    pose = limb_pose(time, joints={"elbow": curve, "knee": (curve, 5.0)}, heading=-90)
    whole = measured(pose).sel(side="left")
    far = [f"right_{name}" for name in ("knee", "ankle", "heel", "foot_index", "elbow", "wrist")]
    for name in far:
        pose["confidence"].loc[{"keypoint": name}] = 0.3
    result = measured(pose)
    right = result.sel(side="right")
    assert np.isnan(right["maximum"].values).all()
    assert all("is hidden from the camera" in text for text in right["note"].values)
    xr.testing.assert_identical(result["maximum"].sel(side="left"), whole["maximum"])
    assert result["range_of_motion"].sel(side="left", joint="elbow") == pytest.approx(100, abs=0.5)


def test_legs_outside_the_picture_are_refused_and_the_arms_measured() -> None:
    time, curve = there_and_back(low=10, high=130)
    pose = limb_pose(time, joints={"elbow": curve})
    for name in ("knee", "ankle", "heel", "foot_index"):
        for side in ("left", "right"):
            place = {"keypoint": f"{side}_{name}", "pixel": "v"}
            pose["image_position"].loc[place] = 1400.0
    result = measured(pose)
    assert result["maximum"].sel(joint="elbow").values == pytest.approx([130, 130], abs=0.3)
    for joint in ("knee", "ankle", "hip"):
        assert np.isnan(result["maximum"].sel(joint=joint).values).all()
    assert note(result, "knee", "left") == "knee and ankle are out of the picture"
    assert note(result, "ankle", "right") == "knee, ankle, heel and toe are out of the picture"
    warned = {w["code"]: w["message"] for w in warnings_of(result)}
    assert "upper_body_only" in warned
    assert "Left and right knee are not measured: knee and ankle are out of the picture." in [
        w["message"] for w in warnings_of(result)
    ]
    whole = limb_pose(time, joints={"elbow": curve})
    assert "upper_body_only" not in [w["code"] for w in warnings_of(measured(whole))]


def test_the_hidden_side_is_refused() -> None:
    time, curve = there_and_back(low=10, high=130)
    pose = limb_pose(time, joints={"elbow": curve})
    pose["confidence"].loc[{"keypoint": "left_wrist"}] = 0.2
    result = measured(pose, joints=("elbow", "shoulder"))
    assert np.isnan(result["maximum"].sel(joint="elbow", side="left"))
    assert note(result, "elbow", "left") == "wrist is hidden from the camera in all frames"
    assert result["maximum"].sel(joint="elbow", side="right") == pytest.approx(130, abs=0.3)
    assert int(result["movements"].sel(joint="elbow", side="left")) == 0


def test_refused_angles_keep_their_reason_and_gaps_break_no_movement() -> None:
    time, curve = there_and_back(low=10, high=130, times=3)
    pose = limb_pose(time, joints={"elbow": curve})
    angles = joint_angles(pose)
    rows = (time > 1.5) & (time < 2.6)  # over the first turn
    angles["elbow_flexion"] = angles["elbow_flexion"].where(
        xr.DataArray(~rows, dims="time", coords={"time": time})
    )
    reason = tables.sentence("reasons.uncertain")
    angles["elbow_flexion"].attrs["refused"] = reason
    result = joint_mobility(pose, angles, joints=("elbow",))
    told = note(result, "elbow", "left")
    assert told.startswith(f"part of the elbow flexion is left out, because {reason}")
    assert result["refused_share"].values == pytest.approx(rows.mean())
    assert result["maximum"].values.ravel() == pytest.approx([130, 130], abs=0.3)
    assert result["movements"].values.tolist() == [[2, 2]]

    angles["elbow_flexion"] = angles["elbow_flexion"] * np.nan
    nothing = joint_mobility(pose, angles, joints=("elbow",))
    for name in ("maximum", "minimum", "range_of_motion", "score", "peak_velocity"):
        assert np.isnan(nothing[name].values).all()
    assert nothing["movements"].values.tolist() == [[0, 0]]


def test_a_movement_cut_off_before_its_turn_does_not_count() -> None:
    time, curve = there_and_back(low=10, high=130, times=2)
    cut = time <= 4.9  # in the middle of the second way out
    pose = limb_pose(time[cut], joints={"elbow": curve[cut]})
    result = measured(pose, joints=("elbow",))
    assert result["movements"].values.tolist() == [[1, 1]]
    assert result["maximum"].values.ravel() == pytest.approx([130, 130], abs=0.3)
    assert result["movement_accepted"].values.tolist() == [True, True, False, False]
    moves = joint_movements(pose, joint_angles(pose), joints=("elbow",))
    assert moves["accepted"].values.tolist() == [True, False]
    assert str(moves["reason"].values[1]) == "cut off before it turned"


@pytest.mark.parametrize("backwards", [False, True])
def test_a_movement_cut_off_on_its_way_back_has_the_rest_that_was_seen(backwards: bool) -> None:
    time, curve = there_and_back(low=10, high=130, times=2)
    back = curve[: int(np.flatnonzero(curve > 120)[-1])].size + 12  # 0.4 s after it left the turn
    curve = curve[:back]
    assert 40 < curve[-1] < 110
    pose = limb_pose(time[:back], joints={"elbow": curve[::-1] if backwards else curve})
    result = measured(pose, joints=("elbow",))
    assert result["movements"].values.tolist() == [[2, 2]]
    assert result["range_of_motion"].values.ravel() == pytest.approx([120, 120], abs=0.5)
    moves = joint_movements(pose, joint_angles(pose), joints=("elbow",))
    assert moves["accepted"].values.all()
    whole = [False, True] if backwards else [True, False]
    assert moves["start_seen" if backwards else "end_seen"].values.tolist() == whole


def test_movements_of_several_joints_at_once_are_one() -> None:
    time, curve = there_and_back(low=0, high=100, times=3)
    pose = limb_pose(time, joints={"hip": (curve, 0.0), "knee": (5 + curve, 5.0)})
    moves = joint_movements(pose, joint_angles(pose))
    assert moves.sizes["rep"] == 3
    assert set(moves["joints"].values.tolist()) == {"left hip, left knee"}
    assert measured(pose)["movement_number"].values.tolist() == [1, 1, 2, 2, 3, 3]
    starts = 1.0 + 3.3 * np.arange(3)
    assert moves["start"].values == pytest.approx(starts, abs=0.25)
    assert moves["bottom"].values == pytest.approx(starts + 1.15, abs=0.2)
    assert (moves["start"] < moves["bottom_start"]).all()
    assert (moves["bottom_start"] <= moves["bottom"]).all()
    assert (moves["bottom_end"] < moves["end"]).all()


def test_alternating_arms_are_movements_of_their_own() -> None:
    time, curve = there_and_back(low=10, high=130, times=4, rest=0.2)
    number = np.clip(((time - 0.2) / 2.5).astype(int), 0, 3)
    left, right = (np.where(number % 2 == k, curve, 10.0) for k in (0, 1))
    pose = limb_pose(time, joints={"elbow": (left, right)})
    moves = joint_movements(pose, joint_angles(pose), joints=("elbow",))
    assert moves["joints"].values.tolist() == ["left elbow", "right elbow"] * 2
    assert measured(pose, joints=("elbow",))["movement_number"].values.tolist() == [1, 2, 3, 4]


def marks(moves: xr.Dataset) -> list[dict[str, object]]:
    """Movements as a person would hand them back, unchanged."""
    return [
        {
            **{name: float(moves[name][rep]) for name in ("start", "bottom", "end")},
            "joints": str(moves["joints"][rep].item()),
        }
        for rep in range(moves.sizes["rep"])
    ]


def test_marks_that_are_those_found_change_nothing() -> None:
    time, curve = there_and_back(low=0, high=100, times=3)
    pose = limb_pose(
        time, joints={"hip": (curve, 0.0), "knee": (5 + curve, 5.0)}, noise=0.004, seed=3
    )
    angles = joint_angles(pose)
    options = {"joints": ("hip", "knee")}
    moves = joint_movements(pose, angles, **options)  # type: ignore[arg-type]
    assert moves.sizes["rep"] == 3
    again = joint_movements(pose, angles, movements=marks(moves), **options)  # type: ignore[arg-type]
    xr.testing.assert_allclose(again, moves)
    assert "movements" in json.loads(again.attrs["history"])[-1]["arguments"]
    found = joint_mobility(pose, angles, **options)  # type: ignore[arg-type]
    same = joint_mobility(pose, angles, movements=marks(moves), **options)  # type: ignore[arg-type]
    xr.testing.assert_allclose(same.drop_vars("note"), found.drop_vars("note"))


def test_marked_movements_are_read_at_their_marks() -> None:
    time, curve = there_and_back(low=10, high=130, times=3)
    # The hand of the pose model slips while the second movement is held: 35 degrees too far.
    slip = 60 * np.exp(-0.5 * ((time - 5.35) / 0.12) ** 2)
    pose = limb_pose(time, joints={"elbow": (np.minimum(curve + slip, 165.0), 10.0)})
    angles = joint_angles(pose)
    moves = joint_movements(pose, angles, joints=("elbow",))
    assert moves.sizes["rep"] == 3
    given = marks(moves)
    left = joint_mobility(pose, angles, joints=("elbow",)).sel(joint="elbow", side="left")
    slipped = float(left["movement_extreme"][1])
    assert slipped > 150
    given[1]["bottom"] = 4.9  # 0.9 of the way out
    kept = joint_mobility(pose, angles, joints=("elbow",), movements=given)
    one = kept.sel(joint="elbow", side="left")
    at = float(np.interp(4.9, time, curve))
    assert float(one["movement_extreme"][1]) == pytest.approx(at, abs=2)
    assert float(one["movement_turn"][1]) == pytest.approx(4.9, abs=1 / FPS)
    assert one["movement_extreme"].values[[0, 2]] == pytest.approx([130, 130], abs=0.3)
    assert one["movement_rest"].values == pytest.approx([10] * 3, abs=0.3)
    # Left out, it does not count at all.
    two = joint_mobility(pose, angles, joints=("elbow",), movements=[given[0], given[2]])
    two = two.sel(joint="elbow", side="left")
    assert int(two["movements"]) == 2
    assert two["movement_number"].values.tolist() == [1, 2]
    assert two["maximum"] == pytest.approx(130, abs=0.3)
    assert two["minimum"] == pytest.approx(10, abs=0.3)
    assert two["range_of_motion_sd"] < left["range_of_motion_sd"]


def test_a_marked_movement_is_of_the_joints_that_move_in_it() -> None:
    time, curve = there_and_back(low=0, high=100, times=2)
    pose = limb_pose(time, joints={"hip": (curve, 0.0), "knee": (5 + curve, 5.0)})
    angles = joint_angles(pose)
    joints = ("hip", "knee", "elbow")
    given = [{"start": 1.0, "bottom": 2.15, "end": 3.3}]
    moves = joint_movements(pose, angles, joints=joints, movements=given)
    assert moves["joints"].values.tolist() == ["left hip, left knee"]
    assert [float(moves[n][0]) for n in ("start", "bottom", "end")] == [1.0, 2.15, 3.3]
    assert bool(moves["accepted"][0])
    result = joint_mobility(pose, angles, joints=joints, movements=given)
    assert result["movements"].sel(side="left").values.tolist() == [1, 1, 0]
    assert result["maximum"].sel(joint="hip", side="left") == pytest.approx(100, abs=0.3)
    assert result["minimum"].sel(joint="knee", side="left") == pytest.approx(5, abs=0.3)
    assert "in a movement that was marked by hand" in note(result, "elbow", "left")

    # Said to be of a joint that rests: not accepted, and no range of noise.
    still = [{**given[0], "joints": ["right hip"]}]
    moves = joint_movements(pose, angles, joints=joints, movements=still)
    assert moves["accepted"].values.tolist() == [False]
    assert moves["joints"].values.tolist() == ["right hip"]
    result = joint_mobility(pose, angles, joints=joints, movements=still)
    assert np.isnan(result["range_of_motion"].values).all()


def test_no_movement_at_all_can_be_said() -> None:
    time, curve = there_and_back(low=10, high=130)
    pose = limb_pose(time, joints={"elbow": curve})
    angles = joint_angles(pose)
    moves = joint_movements(pose, angles, joints=("elbow",), movements=[])
    assert moves.sizes["rep"] == 0
    assert moves["standing"].values.all()
    assert [warning["code"] for warning in warnings_of(moves)] == ["no_movement"]
    result = joint_mobility(pose, angles, joints=("elbow",), movements=[])
    assert result["movements"].values.tolist() == [[0, 0]]
    assert np.isnan(result["score"].values).all()


def test_marks_where_values_were_refused_give_no_value() -> None:
    time, curve = there_and_back(low=10, high=130, times=2)
    pose = limb_pose(time, joints={"elbow": (curve, 10.0)})
    angles = joint_angles(pose)
    turn = (time > 1.7) & (time < 2.7)
    angles["elbow_flexion"][{"time": turn, "side": 0}] = np.nan
    given = [
        {"start": 1.0, "bottom": 2.15, "end": 3.3, "joints": ["left elbow"]},
        {"start": 4.3, "bottom": 5.45, "end": 6.6, "joints": ["left elbow"]},
    ]
    result = joint_mobility(pose, angles, joints=("elbow",), movements=given)
    assert result["movements"].values.tolist() == [[1, 0]]
    assert "no values at the turns that were marked, at 2.15 s" in note(result, "elbow", "left")
    assert result["maximum"].sel(joint="elbow", side="left") == pytest.approx(130, abs=0.3)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("nonsense", "movements: "),
        (5, "movements: "),
        ([{"start": 1, "bottom": 2}], "movement 1: must have start, bottom"),
        ([{"start": 2, "bottom": 1, "end": 3}], "movement 1 from 2 over 1 to 3 s"),
        ([{"start": 1, "bottom": np.nan, "end": 3}], "movement 1"),
        ([{"start": 1, "bottom": 2, "end": 99}], "movement 1: outside the recording"),
        (
            [{"start": 2, "bottom": 3, "end": 4}, {"start": 1, "bottom": 1.5, "end": 1.8}],
            "movement 2: begins before movement 1; put them in order",
        ),
        (
            [{"start": 1, "bottom": 2, "end": 3}, {"start": 2, "bottom": 3, "end": 4}],
            "movement 2: begins before movement 1 of the same joint ends",
        ),
        (
            [{"start": 1, "bottom": 2, "end": 3, "joints": "left elbo"}],
            "joint 'left elbo' is not measured; did you mean 'left elbow'",
        ),
        ([{"start": 1, "bottom": 2, "end": 3, "joints": 7}], "must be a list of names"),
        (
            [{"start": 1, "bottom": 2, "end": 3, "joint": "left elbow"}],
            "movement 1: 'joint' is unknown; did you mean 'joints'",
        ),
    ],
)
def test_impossible_marks_are_refused(given: object, said: str) -> None:
    time, curve = there_and_back(low=10, high=130)
    pose = limb_pose(time, joints={"elbow": curve})
    with pytest.raises(BadInputError, match=said):
        joint_movements(pose, joint_angles(pose), joints=("elbow",), movements=given)  # type: ignore[arg-type]


def test_marked_movements_of_different_joints_may_overlap() -> None:
    one = {"start": 1.0, "bottom": 2.0, "end": 3.0, "joints": "left elbow"}
    other = {"start": 2.0, "bottom": 3.0, "end": 4.0, "joints": "right elbow"}
    assert [each["joints"] for each in checked_movements([one, other])] == [
        ["left elbow"],
        ["right elbow"],
    ]


@settings(max_examples=25, deadline=None)
@given(
    low=st.floats(0, 40),
    size=st.floats(35, 100),
    times=st.integers(1, 4),
    out=st.floats(0.5, 2.0),
    rest=st.floats(0.4, 2.0),
)
def test_any_course_gives_its_range_and_number(
    low: float, size: float, times: int, out: float, rest: float
) -> None:
    time, curve = there_and_back(low=low, high=low + size, times=times, out=out, rest=rest)
    result = measured(limb_pose(time, joints={"knee": curve}), joints=("knee",))
    assert result["movements"].values.tolist() == [[times, times]]
    assert result["range_of_motion"].values == pytest.approx(size, rel=0.02)


def test_inputs_are_not_changed_and_history_says_what_was_done() -> None:
    time, curve = there_and_back(low=10, high=130)
    pose = limb_pose(time, joints={"elbow": curve})
    angles = joint_angles(pose)
    before = pose.copy(deep=True), angles.copy(deep=True)
    result = joint_mobility(pose, angles, joints=("elbow",), sex="male", age=40.0)
    xr.testing.assert_identical(pose, before[0])
    xr.testing.assert_identical(angles, before[1])
    steps = json.loads(result.attrs["history"])
    assert [step["operation"] for step in steps][-2:] == ["joint_angles", "joint_mobility"]
    assert steps[-1]["arguments"] == {"joints": ["elbow"], "sex": "male", "age": 40.0}
    for name in result.data_vars:
        if result[name].dtype.kind == "f" and name != "movement_accepted":
            assert result[name].attrs["units"], name


def test_round_trip_through_a_file(tmp_path: Path) -> None:
    time, curve = there_and_back(low=10, high=130)
    pose = limb_pose(time, joints={"elbow": curve})
    for result in (measured(pose), joint_movements(pose, joint_angles(pose))):
        write_dataset(tmp_path / "metrics.nc", result)
        xr.testing.assert_identical(read_dataset(tmp_path / "metrics.nc"), result)


def test_nobody_moves() -> None:
    time = np.arange(60) / FPS
    pose = limb_pose(time)
    result = measured(pose)
    assert (result["movements"] == 0).all()
    assert result.sizes["movement"] == 0
    assert joint_movements(pose, joint_angles(pose)).sizes["rep"] == 0


def test_everything_missing() -> None:
    time = np.arange(60) / FPS
    pose = limb_pose(time)
    pose["position"] = pose["position"] * np.nan
    result = measured(pose)
    assert np.isnan(result["maximum"].values).all()
    assert result.attrs["posture"] == "other"
    assert note(result, "elbow", "left") == "not found in any frame"


def test_bad_input() -> None:
    time, curve = there_and_back(low=10, high=130)
    pose = limb_pose(time, joints={"elbow": curve})
    angles = joint_angles(pose)
    with pytest.raises(BadInputError, match="have no elbow_flexion"):
        joint_mobility(pose, angles.drop_vars("elbow_flexion"), joints=("elbow",))
    with pytest.raises(BadInputError, match="different frames"):
        joint_mobility(pose, angles.isel(time=slice(5)), joints=("elbow",))
    with pytest.raises(BadInputError, match="twice"):
        joint_mobility(pose, angles, joints=("elbow", "elbow"))
    with pytest.raises(BadInputError, match="joints"):
        joint_mobility(pose, angles, joints=("wrist",))  # type: ignore[arg-type]
    with pytest.raises(BadInputError, match="age"):
        joint_mobility(pose, angles, age=-1)
    with pytest.raises(BadInputError, match="not a pose"):
        joint_mobility(angles, angles)


def test_every_rule_of_the_table_has_a_source() -> None:
    table = tables.load("joint_mobility")
    assert tuple(table["joints"]) == (*JOINTS, "trunk", "neck")
    known = definitions()
    for entry in table["joints"].values():
        assert entry["angle"] in known
        assert entry["source"]
    for name in (
        "movement",
        "seen",
        "posture",
        "stood",
        "filmed_again",
        "hip_line_deg",
        "weight_bearing",
        "score",
        "legs_told_apart",
    ):
        assert table[name]["source"], name


@pytest.mark.parametrize(
    ("posture", "may"), [("standing", True), ("seated", False), ("lying", False)]
)
def test_only_of_those_who_stand_the_feet_may_be_planted(posture: str, may: bool) -> None:
    time, curve = there_and_back(low=10, high=120, times=1)
    assert feet_may_stay(limb_pose(time, posture=posture, joints={"elbow": curve})) is may


def in_picture(pose: xr.Dataset, *, sd: float = 0.005) -> xr.Dataset:
    """What is measured of trunk and neck of a body that a fit is sure of."""
    body = with_draws(pose, sd=sd)
    body["position"].loc[{"space": "z"}] -= 3.5  # the camera of a fit is at zero
    body["fit_position"].loc[{"fit_space": "z"}] -= 3.5
    angles = joint_angles(body, limits=single_joint_limits(), in_picture=True)
    return joint_mobility(body, angles, joints=("trunk", "neck"))


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize(("joint", "how"), [("trunk", "lean"), ("neck", "head_tilt")])
def test_who_bends_to_one_side_moves_that_side_only(joint: str, how: str, sign: int) -> None:
    time, curve = there_and_back(low=0, high=35, times=3)
    result = in_picture(limb_pose(time, heading=0.0, **{how: sign * curve})).sel(joint=joint)
    own, other = ("right", "left") if sign > 0 else ("left", "right")
    one, rest = result.sel(side=own), result.sel(side=other)
    assert one["shown"] == f"{joint}_lateral_flexion"
    assert one["movements"] == 3
    assert one["end_of_range"] == pytest.approx(35, abs=1)
    assert one["range_of_motion"] == pytest.approx(35, abs=1)
    assert 1.96 * one["end_of_range_sd"] < 10
    assert (rest["shown"], rest["movements"]) == ("", 0)
    assert np.isnan(rest["end_of_range"])
    assert rest["angle"].min() == pytest.approx(-35, abs=1)
    assert (result.attrs["posture"], rest["note"]) == ("standing", "moved by less than 10 degrees")


def test_who_bends_to_both_sides_starts_each_time_from_upright() -> None:
    _, curve = there_and_back(low=0, high=30, times=2)
    both = np.concatenate([curve, -0.8 * curve[1:]])
    pose = limb_pose(np.arange(both.size) / FPS, heading=180.0, lean=both)
    result = in_picture(pose).sel(joint="trunk")
    for side, most in (("right", 30), ("left", 24)):
        one = result.sel(side=side)
        assert one["movements"] == 2
        assert one["end_of_range"] == pytest.approx(most, abs=1)
        assert one["range_of_motion"] == pytest.approx(most, abs=1)


@pytest.mark.parametrize("roll", [-10.0, 0.0, 10.0])
def test_a_camera_that_is_not_level_changes_no_bend_of_the_trunk(roll: float) -> None:
    """Rolled by 10 degrees, a bend of 30 was told as 20 or 40, and as a range of 20."""
    _, curve = there_and_back(low=0, high=30, times=2)
    both = np.concatenate([curve, -0.8 * curve[1:]])
    pose = limb_pose(np.arange(both.size) / FPS, heading=0.0, lean=both, roll=roll)
    result = in_picture(pose).sel(joint="trunk")
    for side, most in (("right", 30), ("left", 24)):
        one = result.sel(side=side)
        assert one["movements"] == 2
        assert one["end_of_range"] == pytest.approx(most, abs=1)
        assert one["range_of_motion"] == pytest.approx(most, abs=1)
        assert ("tilted by 10.0 degrees" in one["note"].item()) == (roll != 0)


def test_a_trunk_that_is_never_seen_at_rest_is_measured_against_the_vertical() -> None:
    """The recording ends bent, or begins so where nothing was seen, or stands too far aslant."""
    time, curve = there_and_back(low=0, high=30, times=2)
    cut = time <= time[-1] - 1.5
    for pose in (
        limb_pose(time[cut], heading=0.0, lean=curve[cut], roll=8.0),
        limb_pose(time, heading=0.0, lean=curve, roll=20.0),
    ):
        roll = float(in_picture(pose)["angle"].sel(joint="trunk", side="right").min())
        assert roll == pytest.approx(8 if pose.sizes["time"] < time.size else 20, abs=1)
    pose = limb_pose(time, heading=0.0, lean=curve, roll=8.0)
    pose["image_position"][: round(0.4 * FPS)] = np.nan
    pose["position"][: round(0.4 * FPS)] = np.nan
    angle = in_picture(pose)["angle"].sel(joint="trunk", side="right")
    assert float(angle.min()) == pytest.approx(8, abs=1)


@pytest.mark.parametrize(
    ("heading", "trunk", "neck"),
    [
        (0.0, "", ""),
        (20.0, "", ""),
        (-30.0, "30° away from straight in front", "30° away from straight in front"),
        (90.0, "90° away from straight in front or straight behind (at most 25°)", "90° away"),
        (180.0, "", "the camera stands 180° away from straight in front (at most 25°)"),
    ],
)
def test_trunk_and_neck_are_refused_from_the_side(heading: float, trunk: str, neck: str) -> None:
    time, curve = there_and_back(low=0, high=30, times=2)
    result = in_picture(limb_pose(time, heading=heading, lean=curve))
    for joint, why in (("trunk", trunk), ("neck", neck)):
        assert why in note(result, joint, "right")
        refused = float(result["refused_share"].sel(joint=joint, side="right"))
        advice = str(result["advice"].sel(joint=joint, side="right").item())
        assert refused == (1 if why else 0)
        assert advice.startswith(f"Film the {joint} from the front: ") == bool(why)
    if not trunk:
        assert result["maximum"].sel(joint="trunk", side="right") == pytest.approx(30, abs=5)


def test_a_shoulder_that_is_outside_the_picture_leaves_out_both_sides_of_the_trunk() -> None:
    time, curve = there_and_back(low=0, high=30, times=1)
    pose = limb_pose(time, heading=0.0, lean=curve)
    pose["image_position"].loc[{"keypoint": "left_shoulder", "pixel": "u"}] = 800.0
    result = in_picture(pose)
    for joint in ("trunk", "neck"):
        for side in ("left", "right"):
            assert "shoulder is out of the picture" in note(result, joint, side)


def test_without_a_fit_the_trunk_is_that_of_the_landmarks_and_the_neck_is_refused() -> None:
    time, curve = there_and_back(low=0, high=30, times=2)
    pose = limb_pose(time, heading=0.0, lean=curve)
    result = joint_mobility(pose, joint_angles(pose, in_picture=True), joints=("trunk", "neck"))
    right = result.sel(side="right")
    assert right["maximum"].sel(joint="trunk") == pytest.approx(30, abs=1)
    assert note(result, "neck", "right").startswith("it is measured in the picture only")


def test_without_a_picture_the_trunk_is_that_of_the_body_and_its_error_too() -> None:
    time, curve = there_and_back(low=0, high=30, times=3)
    body = with_draws(limb_pose(time, heading=0.0, lean=-curve), sd=0.005)
    body = body.drop_vars("image_position")
    angles = joint_angles(body, limits=single_joint_limits(), in_picture=True)
    result = joint_mobility(body, angles, joints=("trunk", "neck"))
    left = result.sel(joint="trunk", side="left")
    assert left["end_of_range"] == pytest.approx(30, abs=1)
    assert float(angles["trunk_lateral_flexion_sd"].min()) >= 4  # no camera is level
    assert 4 <= left["end_of_range_sd"] < 5
    assert note(result, "neck", "left").startswith("it is measured in the picture only")


def test_what_moves_in_another_plane_is_said_to_do_so() -> None:
    time, curve = there_and_back(low=0, high=30, times=1)
    body = with_draws(limb_pose(time, heading=0.0, head_tilt=curve), sd=0.005)
    angles = joint_angles(body, limits=single_joint_limits(), in_picture=True)
    name = "neck_lateral_flexion"
    angles[name] = angles[name] * np.nan
    angles[name].attrs["plane_left"] = "transverse"
    result = joint_mobility(body, angles, joints=("neck",))
    assert note(result, "neck", "left").startswith("moves in the transverse plane of the body")
    assert note(result, "neck", "right") == "not found in any frame"


def test_who_lies_has_no_vertical_but_a_hip_that_is_seen_in_the_picture() -> None:
    time, curve = there_and_back(low=0, high=-20, times=3)
    body = with_draws(limb_pose(time, posture="lying", joints={"hip": curve}), sd=0.005)
    angles = joint_angles(body, limits=single_joint_limits(), in_picture=True)
    found = joint_mobility(body, angles, joints=("hip", "trunk"))
    hip = found.sel(joint="hip", side="right")
    assert hip["shown"] == "hip_extension"
    assert hip["end_of_range"] == pytest.approx(20, abs=2)
    assert np.isnan(found["maximum"].sel(joint="trunk")).all()


@pytest.mark.parametrize("posture", ["seated", "lying"])
def test_a_foot_that_points_is_plantarflexion(posture: str) -> None:
    time, curve = there_and_back(low=0, high=-45, times=3)
    body = limb_pose(time, posture=posture, joints={"ankle": curve})
    found = measured(body, joints=("ankle",)).sel(joint="ankle", side="right")
    assert found["shown"] == "ankle_plantarflexion"
    assert found["end_of_range"] == pytest.approx(45, abs=1)


def test_limits_are_wider_than_those_of_a_squat() -> None:
    for angle, limit in single_joint_limits().items():
        assert limit > largest_sd(angle, method="fitted_body")


def test_legs_that_may_be_exchanged_are_refused_from_the_side_only() -> None:
    time, curve = there_and_back(low=0, high=100)
    for heading, refused in ((-90.0, True), (-40.0, False)):
        joints = {"hip": (0.0, curve), "knee": (5.0, 5 + curve), "elbow": (curve, 10.0)}
        pose = limb_pose(time, joints=joints, heading=heading)
        # The far knee comes into sight while a knee is raised.
        pose["confidence"].loc[{"keypoint": "right_knee"}] = np.where(curve > 50, 0.9, 0.3)[:, None]
        result = measured(pose, joints=("hip", "elbow"))
        assert np.isnan(result["maximum"].sel(joint="hip", side="left")) == refused
        assert ("one leg may be taken for the other" in note(result, "hip", "left")) == refused
        assert result["maximum"].sel(joint="elbow", side="left") == pytest.approx(100, abs=0.3)


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"lost_share": 0.4}, "in 40 % of the frames nobody is found, or left and right"),
        ({"legs_exchanged": 3}, "the legs change places in the picture 3 times"),
        ({"lost_share": 0.1, "legs_exchanged": 0}, ""),
    ],
)
def test_legs_not_told_apart_are_refused(told: dict[str, float], why: str) -> None:
    time, curve = there_and_back(low=0, high=100)
    pose = limb_pose(time, joints={"knee": curve, "elbow": curve}, heading=-90.0)
    result = measured(pose.assign_attrs(told), joints=("knee", "elbow"))
    knee = result.sel(joint="knee", side="left")
    assert np.isnan(knee["maximum"]) == bool(why)
    assert why in str(knee["note"].item())
    assert bool(why) == bool(str(knee["advice"].item()))  # how to film it
    assert result["maximum"].sel(joint="elbow", side="left") == pytest.approx(100, abs=0.5)


def test_a_near_leg_that_moves_is_told_from_the_far_one() -> None:
    time, curve = there_and_back(low=0, high=100)
    for joints in ({"knee": (5 + curve, 5.0)}, {"knee": 5 + curve, "hip": curve}):
        pose = limb_pose(time, joints=joints, heading=-90.0)
        pose["confidence"].loc[{"keypoint": "right_knee"}] = np.where(curve > 50, 0.9, 0.3)[:, None]
        result = measured(pose, joints=("knee",))
        assert result["maximum"].sel(joint="knee", side="left") == pytest.approx(105, abs=0.5)


def with_draws(pose: xr.Dataset, *, sd: float) -> xr.Dataset:
    """Like a fitted body whose wrists are uncertain by `sd` metres, the same at all times."""
    names = [n for n in pose["keypoint"].values if n.split("_", 1)[-1] in FITTED_PARTS]
    fit = pose["position"].isel(individual=0, drop=True).sel(keypoint=names)
    fit = fit.rename(time="fit_time", space="fit_space", keypoint="fit_keypoint")
    off = np.zeros((40, *fit.shape))
    wrists = [names.index("left_wrist"), names.index("right_wrist")]
    off[..., wrists] = np.random.default_rng(1).normal(0, sd, (40, 1, 3, 1))
    draws = xr.DataArray(off, dims=("draw", *fit.dims), coords=fit.coords)
    return pose.assign(fit_position=fit, position_draws=draws).assign_attrs(method="fitted_body")


def test_what_is_wrong_of_both_sides_cancels_in_their_difference() -> None:
    time, curve = there_and_back(low=40, high=120, times=3)
    body = limb_pose(time, joints={"elbow": (curve, curve + 15)})
    both = with_draws(body, sd=0.01)
    one = both.copy(deep=True)
    one["position_draws"].loc[{"fit_keypoint": "right_wrist"}] = 0.0
    for pose, share in ((both, 0.0), (one, 1.0)):
        found = joint_mobility(pose, joint_angles(pose), joints=("elbow",)).sel(joint="elbow")
        assert found["side_difference"] == pytest.approx(15, abs=0.5)
        # The wrists move alike, and the forearms stand at other angles.
        left = float(found["maximum_sd"].sel(side="left"))
        assert float(found["side_difference_sd"]) == pytest.approx(share * left, abs=0.35 * left)
    without = joint_mobility(body, joint_angles(body), joints=("elbow",)).sel(joint="elbow")
    sds = without["maximum_sd"].values
    assert float(without["side_difference_sd"]) == pytest.approx(np.hypot(*sds), rel=0.05)


@pytest.mark.parametrize("right", ["rests", "bends back"])
def test_sides_that_do_not_show_the_same_have_no_difference(right: str) -> None:
    time, curve = there_and_back(low=20, high=120)
    other = {"rests": np.full_like(curve, 20.0), "bends back": 140 - curve}[right]
    pose = limb_pose(time, joints={"elbow": (curve, other)})
    found = joint_mobility(pose, joint_angles(pose), joints=("elbow", "knee"))
    assert np.isnan(found["side_difference"]).all()
    assert np.isnan(found["side_difference_sd"]).all()


FITTED_PARTS = (*("shoulder", "elbow", "wrist", "hip", "knee", "ankle", "heel", "foot_index"),)


def test_errors_of_a_fit_come_from_its_draws() -> None:
    time, curve = there_and_back(low=40, high=130, times=2)
    pose = with_draws(limb_pose(time, joints={"elbow": curve}), sd=0.01)
    angles = joint_angles(pose)
    found = joint_mobility(pose, angles, joints=("elbow",)).sel(joint="elbow", side="left")
    # A wrist that is off by 1 cm at the end of a forearm turns it.
    turn = np.degrees(0.01 / FOREARM)
    assert found["maximum_sd"] == pytest.approx(turn, rel=0.3)
    assert found["minimum_sd"] == pytest.approx(turn, rel=0.3)
    # The forearm points 90 degrees farther at the turn: errors there are independent.
    assert found["range_of_motion_sd"] == pytest.approx(np.sqrt(2) * turn, rel=0.35)
    # What is the same at all times has no speed of its own; it only turns with the forearm.
    assert found["peak_velocity_sd"] < found["peak_velocity"]

    angles["elbow_flexion"] = angles["elbow_flexion"].where(angles["elbow_flexion"] > 60)
    part = joint_mobility(pose, angles, joints=("elbow",)).sel(joint="elbow", side="left")
    assert part["maximum"] == pytest.approx(130, abs=0.3)
    assert np.isnan(part["minimum"])
    assert np.isnan(part["range_of_motion"])
    assert "smallest angle is too uncertain or missing" in str(part["note"].item())


def test_without_legs_the_arms_carry_what_the_fit_does_not_know() -> None:
    time, curve = there_and_back(low=40, high=130, times=2)
    whole = with_draws(limb_pose(time, joints={"elbow": curve, "shoulder": 30.0}), sd=0.01)
    upper = whole.copy(deep=True)
    knees = {"keypoint": ["left_knee", "right_knee"], "pixel": "v"}
    upper["image_position"].loc[knees] = 1400.0
    added = tables.load("expected_error")["legs_unseen"]["angles"]["elbow_flexion"]["sd"]
    known, unknown = joint_angles(whole), joint_angles(upper)
    np.testing.assert_allclose(
        unknown["elbow_flexion_sd"], np.hypot(known["elbow_flexion_sd"], added)
    )
    for name in ("knee_flexion_sd", "trunk_lean_sd"):
        xr.testing.assert_identical(unknown[name].variable, known[name].variable)
    one, other = (
        joint_mobility(pose, angles, joints=("elbow",)).sel(joint="elbow", side="left")
        for pose, angles in ((whole, known), (upper, unknown))
    )
    for name, more in (("maximum", added), ("range_of_motion", np.sqrt(2) * added)):
        wider = float(np.hypot(one[f"{name}_sd"], more))
        assert other[f"{name}_sd"] == pytest.approx(wider, rel=1e-6)
        assert other[name] == pytest.approx(float(one[name]), abs=1e-6)
    assert other["peak_velocity_sd"] > one["peak_velocity_sd"]

    # One knee is enough, and hidden is as good as outside.
    upper["image_position"].loc[{"keypoint": "left_knee", "pixel": "v"}] = 700.0
    assert not legs_unseen(upper)
    upper["confidence"].loc[{"keypoint": "left_knee"}] = 0.2
    assert legs_unseen(upper)


def test_the_spread_of_the_turns_says_what_change_it_can_hide() -> None:
    """Three elbows of 120, 124 and 128 degrees: a standard deviation of 4."""
    time, share = there_and_back(low=0.0, high=1.0)
    third = (time >= 3.3).astype(float) + (time >= 6.6)
    elbow = 10 + share * (110 + 4 * third)
    pose = limb_pose(time, joints={"elbow": elbow})
    found = joint_mobility(
        pose, joint_angles(pose, limits=single_joint_limits()), joints=("elbow",)
    )
    one = found.sel(joint="elbow", side="right")
    assert int(one["movements"]) == 3
    assert float(one["repeatability"]) == pytest.approx(4, abs=0.3)
    t_of_2 = 4.303  # Student's t with 2 degrees of freedom
    medians = t_of_2 * 1.25 * np.sqrt(2 / 3) * 4
    again = tables.load("joint_mobility")["filmed_again"]["sem_deg"]
    expected = np.hypot(medians, 1.96 * np.sqrt(2) * again)
    assert float(one["detectable_change"]) == pytest.approx(expected, abs=1.2)
    assert one["shown"].item() == "elbow_flexion"
    assert float(one["end_of_range"]) == pytest.approx(float(one["maximum"]))


def test_an_extension_is_told_in_its_own_direction_and_what_comes_back_is_none() -> None:
    """Knees that are stretched to 6 degrees beyond straight; arms that are lowered."""
    time, bent = there_and_back(low=90.0, high=-6.0)
    pose = limb_pose(time, posture="seated", joints={"knee": bent})
    angles = joint_angles(pose, limits=single_joint_limits())
    one = joint_mobility(pose, angles, joints=("knee",)).sel(joint="knee", side="right")
    assert one["shown"].item() == "knee_extension"
    assert float(one["end_of_range"]) == pytest.approx(6, abs=2)
    assert np.isnan(one["score"])
    pose = limb_pose(time, joints={"shoulder": there_and_back(low=120.0, high=20.0)[1]})
    angles = joint_angles(pose, limits=single_joint_limits())
    one = joint_mobility(pose, angles, joints=("shoulder",)).sel(joint="shoulder", side="right")
    assert one["shown"].item() == "shoulder_flexion"


def test_an_arm_that_comes_back_from_across_the_body_does_not_rise_sideways() -> None:
    """As where the hands are clasped in front of the chest while the body squats."""

    def named(rest: float, extreme: float, joint: str = "shoulder") -> str:
        one = Excursion(
            joint, "left", 0.0, 0.9, 1.0, 1.1, 2.0, rest, extreme, 90.0, 0.5, 60.0, True, True, True
        )
        nothing = np.full(3, np.nan)
        course = Course(joint, "left", nothing, nothing, 20.0, (one,), plane="frontal")
        return shown_movement(course, borne=False)

    assert named(-60.0, 7.0) == ""
    assert named(5.0, 78.0) == "shoulder_abduction"
    assert named(-15.0, 27.0, "hip") == "hip_abduction"  # the leg begins beside the other


def test_no_movement_crosses_a_cut() -> None:
    """A film that is cut while the knee is bent, and goes on with the leg straight."""
    time, bent = there_and_back(low=5.0, high=45.0)
    from_bottom = np.where(time < 2.0, np.maximum.accumulate(bent), 5.0)
    pose = limb_pose(time, joints={"knee": (np.full_like(bent, 5.0), from_bottom)})
    angles = joint_angles(pose, limits=single_joint_limits())
    across = joint_mobility(pose, angles, joints=("knee",)).sel(joint="knee", side="right")
    assert int(across["movements"]) == 1
    entry = {"operation": "estimate_pose", "cuts": [2.0]}
    cut = pose.assign_attrs(history=json.dumps([entry, *history(pose)]))
    found = joint_mobility(cut, joint_angles(cut, limits=single_joint_limits()), joints=("knee",))
    right = found.sel(joint="knee", side="right")
    assert int(right["movements"]) == 0
    assert not (right["peak_velocity"] > 100)


@pytest.mark.parametrize(
    ("width", "jump", "why"),
    [
        (0.09, 40, "there and back in 0.5 s is too quick to show how far it goes"),
        (0.05, 40, "there and back in 0.3 s is too quick to show how far it goes"),
        (0.08, 65, "444 degrees/s is too fast to show how far it goes"),
    ],
)
def test_a_glitch_is_no_movement(width: float, jump: float, why: str) -> None:
    """An ankle that jumps to where a knee is bent by 45 or 70 degrees, and back at once."""
    time, knee = there_and_back(low=5.0, high=110.0)
    resting = 5 + jump * np.exp(-0.5 * ((time - 0.5) / width) ** 2)
    pose = limb_pose(time, joints={"knee": (resting, knee)})
    found = joint_mobility(pose, joint_angles(pose, limits=single_joint_limits()), joints=("knee",))
    left, right = (found.sel(joint="knee", side=side) for side in ("left", "right"))
    assert int(right["movements"]) == 3
    assert int(left["movements"]) == 0
    assert why in left["note"].item()
    reasons = found["movement_reason"].values[found["movement_side"].values == "left"]
    assert len(reasons) == 1
    assert reasons[0].endswith(why)


def test_a_side_that_sways_while_the_other_moves_rests() -> None:
    """By 24 degrees, which three standard deviations of its error may be."""
    time, knee = there_and_back(low=5.0, high=125.0)
    pose = limb_pose(time, joints={"knee": (5 + (knee - 5) * 0.2, knee)})
    angles = joint_angles(pose, limits=single_joint_limits())
    angles["knee_flexion_sd"] = angles["knee_flexion_sd"] * 0 + 9.0
    found = joint_mobility(pose, angles, joints=("knee",)).sel(joint="knee", side="left")
    assert int(found["movements"]) == 0
    assert "rests while the other side moves" in found["note"].item()


def test_the_movement_that_was_asked_for_is_checked() -> None:
    time, arm = there_and_back(low=5.0, high=125.0)
    pose = limb_pose(time, joints={"shoulder": arm})
    angles = joint_angles(pose, limits=single_joint_limits())
    asked = partial(joint_mobility, pose, angles, joints=("shoulder",))
    found = asked(movement="shoulder_abduction").sel(joint="shoulder", side="right")
    assert "shoulder flexion was shown, not shoulder abduction" in found["note"].item()
    codes = [w["code"] for w in warnings_of(asked(movement="shoulder_abduction"))]
    assert "other_movement" in codes
    assert "other_movement" not in [w["code"] for w in warnings_of(asked())]
    assert found["advice"].item() == ""
    with pytest.raises(BadInputError, match="shoulder_flexion"):
        asked(movement="shoulder_flexoin")
    with pytest.raises(BadInputError, match="moves the knee"):
        asked(movement="knee_flexion")


def test_a_change_is_seen_by_chance_in_one_of_twenty() -> None:
    """Two series of turns of one person, many times: how often do their medians differ more?"""
    rng = np.random.default_rng(1)
    for n in (3, 5, 8):
        turns = rng.normal(0, 4, (4000, 2, n))
        change = _detectable(turns[:, 0].std(axis=-1, ddof=1), n, again=0.0)
        differ = np.abs(np.diff(np.median(turns, axis=-1), axis=1)[:, 0])
        assert 0.02 < (differ > change).mean() < 0.07


@pytest.mark.parametrize("spread", [0.2, 2.0])
def test_what_another_recording_changes_is_in_the_detectable_change(spread: float) -> None:
    """All turns of a recording are off by the same, 2 degrees (SD), and its turns by more."""
    rng = np.random.default_rng(2)
    turns = rng.normal(0, spread, (4000, 2, 5)) + rng.normal(0, 2, (4000, 2, 1))
    own = turns[:, 0].std(axis=-1, ddof=1)
    differ = np.abs(np.diff(np.median(turns, axis=-1), axis=1)[:, 0])
    assert 0.02 < (differ > _detectable(own, 5, again=2.0)).mean() < 0.07
    assert (
        differ > _detectable(own, 5, again=0.0)
    ).mean() > 0.15  # the spread alone says too little


def test_detectable_change_of_known_errors_is_that_of_weir() -> None:
    """MDC95 = 1.96 sqrt(2) SEM: Weir 2005; no spread that is not known gives one."""
    assert _detectable(0.0, 3, again=2.0) == pytest.approx(1.96 * np.sqrt(2) * 2)
    assert _detectable(4.0, 3, again=0.0) == pytest.approx(
        4.303 * 1.25 * np.sqrt(2 / 3) * 4, rel=1e-3
    )
    assert np.isnan(_detectable(np.nan, 3, again=2.0))


@pytest.mark.parametrize("times", [1, 2])
def test_fewer_than_three_movements_tell_no_detectable_change(times: int) -> None:
    time, curve = there_and_back(low=10, high=120, times=times)
    pose = limb_pose(time, joints={"elbow": (10.0, curve)})
    angles = joint_angles(pose, limits=single_joint_limits())
    found = joint_mobility(pose, angles, joints=("elbow",))
    right, left = (found.sel(joint="elbow", side=side) for side in ("right", "left"))
    assert np.isnan([right["repeatability"], right["detectable_change"]]).all()
    told = f"no smallest detectable change is given, which takes 3 movements (counted: {times})"
    assert told in right["note"].item()
    assert "detectable" not in left["note"].item()  # of a joint that did not move it goes without


def test_a_shoulder_that_hardly_rises_beside_the_other_has_moved() -> None:
    """Frozen at 45 degrees, the other at 165: it is what the exercise is for."""
    time, share = there_and_back(low=0.0, high=1.0)
    pose = limb_pose(time, joints={"shoulder": (5 + 35 * share, 5 + 160 * share)})
    angles = joint_angles(pose, limits=single_joint_limits())
    angles["shoulder_flexion_sd"] = angles["shoulder_flexion_sd"] * 0 + 5.0
    left = joint_mobility(pose, angles, joints=("shoulder",)).sel(joint="shoulder", side="left")
    assert int(left["movements"]) == 3
    assert float(left["maximum"]) == pytest.approx(40, abs=2)


def test_a_flexion_that_is_held_for_long_is_no_extension() -> None:
    """Elbows that begin and end straight, and are bent most of the time."""
    time, elbow = there_and_back(low=5.0, high=130.0, times=2, hold=4.0)
    pose = limb_pose(time, joints={"elbow": elbow})
    angles = joint_angles(pose, limits=single_joint_limits())
    one = joint_mobility(pose, angles, joints=("elbow",)).sel(joint="elbow", side="right")
    assert one["shown"].item() == "elbow_flexion"
    assert int(one["movements"]) == 2
    asked = joint_mobility(pose, angles, joints=("elbow",), movement="elbow_extension")
    assert asked["shown"].sel(joint="elbow", side="right").item() == "elbow_extension"


def test_an_extension_has_its_own_reference() -> None:
    time, arm = there_and_back(low=5.0, high=-45.0)
    pose = limb_pose(time, joints={"shoulder": arm})
    angles = joint_angles(pose, limits=single_joint_limits())
    found = joint_mobility(pose, angles, joints=("shoulder",), sex="male", age=30)
    one = found.sel(joint="shoulder", side="right")
    assert one["shown"].item() == "shoulder_extension"
    assert float(one["reference"]) == pytest.approx(62.3)
    assert float(one["score"]) == pytest.approx(100 * float(one["end_of_range"]) / 62.3)


def test_a_knee_that_bends_farther_than_knees_do_is_not_a_knee() -> None:
    """Landmarks that went to the other leg gave knees of 280 degrees."""
    time, knee = there_and_back(low=5.0, high=120.0)
    pose = limb_pose(time, joints={"knee": knee})
    angles = joint_angles(pose, limits=single_joint_limits())
    angles["knee_flexion"] = angles["knee_flexion"].copy()
    angles["knee_flexion"].loc[{"side": "left"}] = np.where(knee > 60, 280.0, knee)
    angles["knee_flexion"].loc[{"side": "right", "time": time[100]}] = 280.0
    found = joint_mobility(pose, angles, joints=("knee",)).sel(joint="knee")
    assert "beyond what the knee can do" in found["note"].sel(side="left").item()
    assert found["angle"].sel(side="left").isnull().all()
    assert float(found["maximum"].sel(side="right")) == pytest.approx(120, abs=1)


def test_angles_that_are_shown_are_those_that_the_joint_mobility_measured():
    """Of a hip that goes sideways the abduction, and nothing of what was refused."""
    time, sides = np.arange(4.0), ["left", "right"]
    flexion, measured = np.full((4, 2), 10.0), np.full((4, 1, 2), 35.0)
    measured[:, 0, 1] = np.nan
    angles = xr.Dataset(
        {"hip_flexion": (("time", "side"), flexion), "knee_flexion": (("time", "side"), flexion)},
        coords={"time": time, "side": sides},
    )
    metrics = xr.Dataset(
        {"angle": (("time", "joint", "side"), measured)},
        coords={"time": time, "joint": ["hip"], "side": sides},
    )
    shown = with_refused_joints(angles, metrics)
    assert (shown["hip_flexion"].sel(side="left") == 35).all()
    assert shown["hip_flexion"].sel(side="right").isnull().all()
    assert (shown["knee_flexion"] == 10).all()
    assert (angles["hip_flexion"] == 10).all()
