from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from mobility import tables
from mobility.base.provenance import history, warnings_of
from mobility.catalogue.registry import exercise
from mobility.errors import BadInputError
from mobility.exercises.joint_angle_mobility.courses import (
    feet_could_be_planted,
    single_joint_limits,
)
from mobility.exercises.joint_angle_mobility.documents import joint_curves
from mobility.exercises.joint_angle_mobility.joint_mobility import joint_mobility, joint_movements
from mobility.exercises.joint_angle_mobility.joint_values import (
    with_refused_joints,
)
from mobility.kinematics.angle_errors import legs_unseen
from mobility.kinematics.angles import joint_angles
from mobility.sessions.files import read_dataset, write_dataset
from tests.analytic import FOREARM, minimum_jerk, squat_pose
from tests.limbs import FPS, limb_pose, there_and_back

FITTED_PARTS = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle", "heel", "foot_index")
LIMITS = single_joint_limits()


def measured(pose: xr.Dataset, *joints: str, limits: Any = None, **options: Any) -> xr.Dataset:
    options |= {"joints": joints} if joints else {}
    return joint_mobility(pose, joint_angles(pose, limits=limits), **options)


def left(result: xr.Dataset, joint: str, side: str = "left") -> xr.Dataset:
    return result.sel(joint=joint, side=side)


def note(result: xr.Dataset, joint: str, side: str = "left") -> str:
    return str(result["note"].sel(joint=joint, side=side).item())


def codes(result: xr.Dataset) -> list[str]:
    return [warning["code"] for warning in warnings_of(result)]


def elbows(low: float = 10.0, high: float = 130.0, **course: Any) -> tuple[Any, Any, xr.Dataset]:
    """Times, course and pose of elbows that bend and stretch."""
    time, curve = there_and_back(low=low, high=high, **course)
    return time, curve, limb_pose(time, joints={"elbow": curve})


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
def test_range_movements_and_speed_are_those_commanded(joint, posture, low, high):
    time, curve = there_and_back(low=low, high=high)
    start = {"elbow": 10.0, "shoulder": 5.0}.get(joint, 0.0)
    pose = limb_pose(time, posture=posture, joints={joint: (curve, start)})
    result = measured(pose, joint, sex="female", age=30)
    one = left(result, joint)
    assert one["maximum"] == pytest.approx(high, abs=0.3)
    assert one["minimum"] == pytest.approx(low, abs=0.3)
    assert one["range_of_motion"] == pytest.approx(high - low, abs=0.5)
    assert int(one["movements"]) == 3
    # The largest speed of a minimum-jerk movement is 15/8 of its mean.
    assert one["peak_velocity"] == pytest.approx(15 / 8 * (high - low), rel=0.01)
    x = np.linspace(0, 1, 100001)
    share = minimum_jerk(x)
    out = x[np.searchsorted(share, 0.9)] - x[np.searchsorted(share, 0.1)]
    assert one["mean_velocity"] == pytest.approx(0.8 * (high - low) / out, rel=0.12)  # 1/30 s
    rests = left(result, joint, "right")
    assert int(rests["movements"]) == 0
    assert np.isnan([rests["range_of_motion"], rests["score"]]).all()
    assert "moved by less than" in note(result, joint, "right")
    assert rests["maximum"] == pytest.approx(start, abs=1e-6)
    # In a mirror, the sides change places.
    mirrored = measured(
        limb_pose(time, posture=posture, joints={joint: (start, curve)}), joint, sex="female"
    )
    for name in ("maximum", "minimum", "range_of_motion", "movements", "peak_velocity"):
        np.testing.assert_allclose(mirrored[name].values[:, ::-1], result[name].values)


def test_metrics_and_courses_name_the_model_of_the_keypoints() -> None:
    whose = {"pose_source": "other", "source_software": "RTMPose"}
    pose = elbows()[2].assign_attrs(whose)
    metrics = measured(pose, "elbow")
    assert whose.items() <= metrics.attrs.items()
    assert whose.items() <= joint_curves(metrics).attrs.items()


def test_noise_does_not_widen_the_range_as_extremes_would() -> None:
    time, curve = there_and_back(low=10, high=130, times=5)
    errors, naive = [], []
    for seed in range(6):
        pose = limb_pose(time, joints={"elbow": curve}, noise=0.01, seed=seed)
        angles = joint_angles(pose)
        metrics = joint_mobility(pose, angles, joints=("elbow",))
        errors.append(metrics["range_of_motion"].values - 120)
        naive.append(np.ptp(angles["elbow_flexion"].values, axis=0) - 120)
        assert (metrics["movements"].values == 5).all()
    # Both ends are the farthest of noisy turns; a sign lets also the straight one be too far.
    assert abs(np.mean(errors)) < 4
    assert np.mean(naive) > 4 * abs(np.mean(errors))


def test_errors_are_those_of_the_angles_and_of_the_spread() -> None:
    time, curve, _ = elbows()
    # The second movement goes 12 degrees farther.
    reach = np.where(np.abs(np.arange(time.size) - time.size // 2) < 1.6 * FPS, 1.1, 1.0)
    pose = limb_pose(time, joints={"elbow": 10 + (curve - 10) * reach})
    one = left(measured(pose, "elbow"), "elbow")
    assert int(one["movements"]) == 3
    assert one["maximum"] == pytest.approx(130, abs=0.3)
    spread = np.std([120, 132, 120], ddof=1) / np.sqrt(3)
    shared = 0.1  # of a true pose
    assert one["maximum_sd"] == pytest.approx(np.hypot(shared, spread), rel=0.02)
    assert one["minimum_sd"] == pytest.approx(shared, rel=0.05)
    both = np.hypot(np.hypot(shared, shared), spread)
    assert one["range_of_motion_sd"] == pytest.approx(both, rel=0.02)


def test_an_excursion_smaller_than_the_error_is_no_movement() -> None:
    _, _, pose = elbows(10, 40)
    angles = joint_angles(pose)
    assert int(joint_mobility(pose, angles, joints=("elbow",))["movements"].sum()) == 6
    angles["elbow_flexion_sd"] = angles["elbow_flexion_sd"] + 32.0
    unsure = joint_mobility(pose, angles, joints=("elbow",))
    assert int(unsure["movements"].sum()) == 0
    assert note(unsure, "elbow") == "moved by less than 32 degrees"


def test_what_a_person_moves_is_scored_against_what_others_moved_by_themselves() -> None:
    _, _, pose = elbows(10, 120)
    man = left(measured(pose, "elbow", sex="male", age=30), "elbow")
    assert man["score"] == pytest.approx(100 * 120 / 142.9, abs=0.3)
    assert (man["reference"], man["reference_kind"]) == (142.9, "active")
    assert man["score_sd"] == pytest.approx(100 * float(man["maximum_sd"]) / 142.9)
    source = json.loads(man.attrs["references"])["left_elbow"]
    assert (source["study"], source["n"], source["sd"]) == ("boone_azen_1979", 109, 5.6)
    woman = left(measured(pose, "elbow", sex="female", age=30), "elbow")
    assert woman["score"] == pytest.approx(100 * 120 / 146, abs=0.3)
    far = measured(elbows(10, 155)[2], "elbow", sex="male", age=30)
    assert (far["score"].values == 100).all()
    # Whom no active study measured has no score but a reason.
    only = "the study measured only males aged 1 to 54"
    unknown = f"the participant's sex and age are not known, and {only}"
    for sex, age, why in ((None, None, unknown), ("female", 10, only)):
        none = measured(pose, "elbow", sex=sex, age=age)
        assert np.isnan(none["score"].values).all()
        assert f"no score: {why}" in note(none, "elbow")

    # An extension has a reference of its own, and a hip that bends none: it was to the pelvis.
    time, arm = there_and_back(low=5.0, high=-45.0)
    back = measured(limb_pose(time, joints={"shoulder": arm}), "shoulder", sex="male", age=30)
    one = left(back, "shoulder")
    assert (one["shown"], one["reference"]) == ("shoulder_extension", pytest.approx(62.3))
    assert float(one["score"]) == pytest.approx(100 * float(one["end_of_range"]) / 62.3)
    time, curve = there_and_back(low=5, high=115)
    pose = limb_pose(time, joints={"hip": curve, "knee": curve})
    legs = measured(pose, "hip", "knee", sex="male", age=30)
    scored = legs[["reference", "score"]].to_dataarray().notnull()
    assert not scored.sel(joint="hip").any()
    assert scored.sel(joint="knee").all()
    assert "ranges, which are between thigh and pelvis" in note(legs, "hip")


def test_an_ankle_that_carries_the_body_has_the_lunge_for_reference() -> None:
    pose = squat_pose(reps=3, tibia=35.0).pose
    standing = measured(pose, "ankle", sex="male", age=30)
    assert standing["maximum"].values.ravel() == pytest.approx([35, 35], abs=0.3)
    assert standing["reference"].values.ravel() == pytest.approx([40.6, 40.6])
    assert standing["score"].values.ravel() == pytest.approx([100 * 35 / 40.6] * 2, abs=0.8)
    woman = measured(pose, "ankle", sex="female", age=30)
    assert np.isnan(woman["score"].values).all()
    assert "no score: the study measured only males" in note(woman, "ankle")
    time, curve = there_and_back(low=-30, high=12)
    seated = limb_pose(time, posture="seated", joints={"ankle": curve})
    free = measured(seated, "ankle", sex="male", age=30)
    assert free["reference"].values.ravel() == pytest.approx([12.6, 12.6])


@pytest.mark.parametrize("posture", ["standing", "seated", "lying"])
def test_each_posture_gives_what_it_can(posture: str) -> None:
    """All five joints of the left side move, one after the other; the right side rests."""
    limits = {
        **{"ankle": (-10.0, 15.0), "knee": (20.0, 110.0), "hip": (30.0, 95.0)},
        **{"shoulder": (10.0, 150.0), "elbow": (10.0, 135.0)},
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
    given = [j for j in limits if np.isfinite(left(result, j)["maximum"])]
    # The hip has no sagittal plane in a person who lies; a line through three points needs none.
    assert given == [joint for joint in limits if (joint, posture) != ("hip", "lying")]
    for joint in given:
        low, high = limits[joint]
        one_joint = left(result, joint)
        assert one_joint["minimum"] == pytest.approx(low, abs=0.3), joint
        assert one_joint["maximum"] == pytest.approx(high, abs=0.3), joint
        assert int(one_joint["movements"]) == 1, joint
        assert np.isnan(left(result, joint, "right")["range_of_motion"]), joint
    # Only of those who stand the feet may be planted.
    still = limb_pose(time[:n], posture=posture, joints={"elbow": 10 + 110 * one})
    assert feet_could_be_planted(still) is (posture == "standing")
    shares = measured(still)
    assert shares.attrs["posture"] == posture
    assert float(shares["posture_share"].sel(posture=posture)) == 1.0


def test_who_lies_is_refused_the_hip_while_lying() -> None:
    time, curve = there_and_back(low=5, high=100, times=1)
    up = limb_pose(time, joints={"hip": curve})
    down = limb_pose(time, posture="lying", joints={"hip": curve})
    both = xr.concat([up, down.assign_coords(time=time + time[-1] + 1 / FPS)], "time")
    both.attrs = up.attrs
    result = measured(both, "hip")
    assert result["refused_share"].values == pytest.approx(0.5, abs=0.01)
    assert np.isfinite(result["angle"].values[: time.size]).all()
    assert np.isnan(result["angle"].values[time.size :]).all()
    assert result["maximum"].values.ravel() == pytest.approx([100, 100], abs=0.3)
    assert "the person is lying down in 50 % of the frames" in note(result, "hip")
    # On the side as well.
    rolled = measured(limb_pose(time, joints={"knee": curve, "hip": curve / 2}, roll=80.0))
    assert rolled.attrs["posture"] == "lying"
    assert (rolled["refused_share"].sel(joint="hip") == 1).all()
    assert note(rolled, "hip").startswith("the person is lying down in all frames")
    assert rolled["maximum"].sel(joint="knee").values == pytest.approx([100, 100], abs=0.3)


def test_the_side_that_is_hidden_changes_nothing_of_the_other() -> None:
    time, curve = there_and_back(low=10, high=110)
    pose = limb_pose(time, joints={"elbow": curve, "knee": (curve, 5.0)}, heading=-90)
    whole = measured(pose).sel(side="left")
    for name in ("knee", "ankle", "heel", "foot_index", "elbow", "wrist"):
        pose["confidence"].loc[{"keypoint": f"right_{name}"}] = 0.3
    result = measured(pose)
    right = result.sel(side="right")
    assert np.isnan(right["maximum"].values).all()
    assert (right["movements"] == 0).all()
    assert all("is hidden from the camera" in text for text in right["note"].values)
    xr.testing.assert_identical(result["maximum"].sel(side="left"), whole["maximum"])
    assert left(result, "elbow")["range_of_motion"] == pytest.approx(100, abs=0.5)


def test_legs_outside_the_picture_are_refused_and_the_arms_measured() -> None:
    _, _, pose = elbows()
    assert "upper_body_only" not in codes(measured(pose))
    for name in ("knee", "ankle", "heel", "foot_index"):
        for side in ("left", "right"):
            pose["image_position"].loc[{"keypoint": f"{side}_{name}", "pixel": "v"}] = 1400.0
    result = measured(pose)
    assert result["maximum"].sel(joint="elbow").values == pytest.approx([130, 130], abs=0.3)
    assert np.isnan(result["maximum"].sel(joint=["knee", "ankle", "hip"]).values).all()
    assert note(result, "knee") == "knee and ankle are out of the picture"
    assert note(result, "ankle", "right") == "knee, ankle, heel and toe are out of the picture"
    assert "upper_body_only" in codes(result)
    assert "Left and right knee are not measured: knee and ankle are out of the picture." in [
        w["message"] for w in warnings_of(result)
    ]


def test_refused_angles_keep_their_reason_and_gaps_break_no_movement() -> None:
    time, _, pose = elbows()
    angles = joint_angles(pose)
    rows = (time > 1.5) & (time < 2.6)  # over the first turn
    seen = xr.DataArray(~rows, dims="time", coords={"time": time})
    angles["elbow_flexion"] = angles["elbow_flexion"].where(seen)
    reason = tables.sentence("reasons.uncertain")
    angles["elbow_flexion"].attrs["refused"] = reason
    result = joint_mobility(pose, angles, joints=("elbow",))
    begin = f"part of the elbow flexion is left out, because {reason}"
    assert note(result, "elbow").startswith(begin)
    assert result["refused_share"].values == pytest.approx(rows.mean())
    assert result["maximum"].values.ravel() == pytest.approx([130, 130], abs=0.3)
    assert result["movements"].values.tolist() == [[2, 2]]


def test_a_movement_cut_off_before_its_turn_does_not_count() -> None:
    time, curve, _ = elbows(times=2)
    cut = time <= 4.9  # in the middle of the second way out
    pose = limb_pose(time[cut], joints={"elbow": curve[cut]})
    result = measured(pose, "elbow")
    assert result["movements"].values.tolist() == [[1, 1]]
    assert result["maximum"].values.ravel() == pytest.approx([130, 130], abs=0.3)
    assert result["movement_accepted"].values.tolist() == [True, True, False, False]
    moves = joint_movements(pose, joint_angles(pose), joints=("elbow",))
    assert moves["accepted"].values.tolist() == [True, False]
    assert str(moves["reason"].values[1]) == "cut off before the end of range"


@pytest.mark.parametrize("backwards", [False, True])
def test_a_movement_cut_off_on_its_way_back_has_the_rest_that_was_seen(backwards: bool) -> None:
    time, curve, _ = elbows(times=2)
    back = int(np.flatnonzero(curve > 120)[-1]) + 12  # 0.4 s after it left the turn
    curve = curve[:back]
    assert 40 < curve[-1] < 110
    pose = limb_pose(time[:back], joints={"elbow": curve[::-1] if backwards else curve})
    result = measured(pose, "elbow")
    assert result["movements"].values.tolist() == [[2, 2]]
    assert result["range_of_motion"].values.ravel() == pytest.approx([120, 120], abs=0.5)
    moves = joint_movements(pose, joint_angles(pose), joints=("elbow",))
    assert moves["accepted"].values.all()
    whole = [False, True] if backwards else [True, False]
    assert moves["start_seen" if backwards else "end_seen"].values.tolist() == whole


def test_movements_of_several_joints_at_once_are_one_and_alternating_arms_are_not() -> None:
    time, curve = there_and_back(low=0, high=100)
    pose = limb_pose(time, joints={"hip": (curve, 0.0), "knee": (5 + curve, 5.0)})
    moves = joint_movements(pose, joint_angles(pose))
    assert moves["joints"].values.tolist() == ["left hip, left knee"] * 3
    assert measured(pose)["movement_number"].values.tolist() == [1, 1, 2, 2, 3, 3]
    starts = 1.0 + 3.3 * np.arange(3)
    assert moves["start"].values == pytest.approx(starts, abs=0.25)
    assert moves["bottom"].values == pytest.approx(starts + 1.15, abs=0.2)
    events = moves[["start", "bottom_start", "bottom", "bottom_end", "end"]].to_dataarray()
    assert (events.diff("variable") >= 0).all()

    time, curve = there_and_back(low=10, high=130, times=4, rest=0.2)
    number = np.clip(((time - 0.2) / 2.5).astype(int), 0, 3)
    arms = tuple(np.where(number % 2 == k, curve, 10.0) for k in (0, 1))
    pose = limb_pose(time, joints={"elbow": arms})
    moves = joint_movements(pose, joint_angles(pose), joints=("elbow",))
    assert moves["joints"].values.tolist() == ["left elbow", "right elbow"] * 2
    assert measured(pose, "elbow")["movement_number"].values.tolist() == [1, 2, 3, 4]


def marks(moves: xr.Dataset) -> list[dict[str, Any]]:
    """Movements as a person would hand them back, unchanged."""
    table = moves[["start", "bottom", "end", "joints"]].to_pandas()
    return table.to_dict("records")


def test_marks_that_are_those_found_change_nothing() -> None:
    """Of two joints at once, in noise."""
    time, curve = there_and_back(low=0, high=100, times=3)
    joints = {"hip": (curve, 0.0), "knee": (5 + curve, 5.0)}
    pose = limb_pose(time, joints=joints, noise=0.004, seed=3)
    angles = joint_angles(pose)
    moves = joint_movements(pose, angles, joints=("hip", "knee"))
    assert moves.sizes["rep"] == 3
    again = joint_movements(pose, angles, joints=("hip", "knee"), movements=marks(moves))
    xr.testing.assert_allclose(again, moves)
    measured = joint_mobility(pose, angles, joints=("hip", "knee"))
    same = joint_mobility(pose, angles, joints=("hip", "knee"), movements=marks(moves))
    xr.testing.assert_allclose(same.drop_vars("note"), measured.drop_vars("note"))


def test_marked_movements_are_read_at_their_marks() -> None:
    time, curve, _ = elbows()
    # The hand of the pose model slips while the second movement is held: 35 degrees too far.
    slip = 60 * np.exp(-0.5 * ((time - 5.35) / 0.12) ** 2)
    pose = limb_pose(time, joints={"elbow": (np.minimum(curve + slip, 165.0), 10.0)})
    angles = joint_angles(pose)
    mobility = partial(joint_mobility, pose, angles, joints=("elbow",))
    moves = joint_movements(pose, angles, joints=("elbow",))
    given = marks(moves)
    again = joint_movements(pose, angles, joints=("elbow",), movements=given)
    xr.testing.assert_allclose(again, moves)
    assert "movements" in history(again)[-1]["arguments"]
    unmarked, same = mobility(), mobility(movements=given)
    xr.testing.assert_allclose(same.drop_vars("note"), unmarked.drop_vars("note"))
    unmarked = left(unmarked, "elbow")
    assert float(unmarked["movement_extreme"][1]) > 150
    given[1]["bottom"] = 4.9  # 0.9 of the way out
    one = left(mobility(movements=given), "elbow")
    at = float(np.interp(4.9, time, curve))
    assert float(one["movement_extreme"][1]) == pytest.approx(at, abs=2)
    assert float(one["movement_turn"][1]) == pytest.approx(4.9, abs=1 / FPS)
    assert one["movement_extreme"].values[[0, 2]] == pytest.approx([130, 130], abs=0.3)
    assert one["movement_rest"].values == pytest.approx([10] * 3, abs=0.3)
    # Left out, it does not count at all.
    two = left(mobility(movements=[given[0], given[2]]), "elbow")
    assert int(two["movements"]) == 2
    assert two["movement_number"].values.tolist() == [1, 2]
    assert (float(two["maximum"]), float(two["minimum"])) == pytest.approx((130, 10), abs=0.3)
    assert two["range_of_motion_sd"] < unmarked["range_of_motion_sd"]


def test_a_marked_movement_is_of_the_joints_that_move_in_it() -> None:
    time, curve = there_and_back(low=0, high=100, times=2)
    pose = limb_pose(time, joints={"hip": (curve, 0.0), "knee": (5 + curve, 5.0)})
    angles = joint_angles(pose)
    joints = ("hip", "knee", "elbow")
    given = {"start": 1.0, "bottom": 2.15, "end": 3.3}
    moves = joint_movements(pose, angles, joints=joints, movements=[given])
    assert moves["joints"].values.tolist() == ["left hip, left knee"]
    assert {n: float(moves[n][0]) for n in given} == given
    assert bool(moves["accepted"][0])
    result = joint_mobility(pose, angles, joints=joints, movements=[given])
    assert result["movements"].sel(side="left").values.tolist() == [1, 1, 0]
    assert left(result, "hip")["maximum"] == pytest.approx(100, abs=0.3)
    assert left(result, "knee")["minimum"] == pytest.approx(5, abs=0.3)
    assert "in a movement that was marked by hand" in note(result, "elbow")
    # Marked for a joint that rests: not accepted, and no range of noise.
    still = [{**given, "joints": ["right hip"]}]
    moves = joint_movements(pose, angles, joints=joints, movements=still)
    assert moves["accepted"].values.tolist() == [False]
    assert moves["joints"].values.tolist() == ["right hip"]
    result = joint_mobility(pose, angles, joints=joints, movements=still)
    assert np.isnan(result["range_of_motion"].values).all()


def test_no_movement_at_all_can_be_marked_and_where_values_were_refused_there_is_none() -> None:
    time, _, pose = elbows(times=2)
    angles = joint_angles(pose)
    moves = joint_movements(pose, angles, joints=("elbow",), movements=[])
    assert moves.sizes["rep"] == 0
    assert moves["standing"].values.all()
    assert codes(moves) == ["no_movement"]
    angles["elbow_flexion"][{"time": (time > 1.7) & (time < 2.7), "side": 0}] = np.nan
    one = {"joints": ["left elbow"]}
    given = [one | {"start": s, "bottom": s + 1.15, "end": s + 2.3} for s in (1.0, 4.3)]
    for marked, counted in (([], [[0, 0]]), (given, [[1, 0]])):
        result = joint_mobility(pose, angles, joints=("elbow",), movements=marked)
        assert result["movements"].values.tolist() == counted
    assert "no values at the marked ends of range, at 2.15 s" in note(result, "elbow")
    assert left(result, "elbow")["maximum"] == pytest.approx(130, abs=0.3)


ONE = {"start": 1, "bottom": 2, "end": 3}


@pytest.mark.parametrize(
    ("given", "words"),
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
            [ONE, {"start": 2, "bottom": 3, "end": 4}],
            "movement 2: begins before movement 1 of the same joint ends",
        ),
        ([ONE | {"joints": "left elbo"}], "'left elbo' is not measured; did you mean 'left elbow'"),
        ([ONE | {"joints": 7}], "must be a list of names"),
        ([ONE | {"joint": "x"}], "movement 1: 'joint' is unknown; did you mean 'joints'"),
    ],
)
def test_impossible_marks_are_refused(given: Any, words: str) -> None:
    _, _, pose = elbows(times=1)
    with pytest.raises(BadInputError, match=words):
        joint_movements(pose, joint_angles(pose), joints=("elbow",), movements=given)


def test_inputs_are_not_changed_and_results_go_through_a_file(tmp_path: Path) -> None:
    _, _, pose = elbows()
    angles = joint_angles(pose)
    before = pose.copy(deep=True), angles.copy(deep=True)
    result = joint_mobility(pose, angles, joints=("elbow",), sex="male", age=40.0)
    xr.testing.assert_identical(pose, before[0])
    xr.testing.assert_identical(angles, before[1])
    *_, before_it, last = history(result)
    assert (before_it["operation"], last["operation"]) == ("joint_angles", "joint_mobility")
    assert last["arguments"] == {"joints": ["elbow"], "sex": "male", "age": 40.0}
    for name in result.data_vars:
        if result[name].dtype.kind == "f" and name != "movement_accepted":
            assert result[name].attrs["units"], name
    for made in (result, joint_movements(pose, angles)):
        write_dataset(tmp_path / "metrics.nc", made)
        xr.testing.assert_identical(read_dataset(tmp_path / "metrics.nc"), made)


def test_nobody_moves_or_is_seen() -> None:
    pose = limb_pose(np.arange(60) / FPS)
    result = measured(pose)
    assert (result["movements"] == 0).all()
    assert result.sizes["movement"] == 0
    assert joint_movements(pose, joint_angles(pose)).sizes["rep"] == 0
    pose["position"] = pose["position"] * np.nan
    result = measured(pose)
    assert np.isnan(result["maximum"].values).all()
    assert result.attrs["posture"] == "other"
    assert note(result, "elbow") == "not found in any frame"


def test_bad_input() -> None:
    _, _, pose = elbows(times=1)
    angles = joint_angles(pose)
    for changed, options, message in (
        (angles.drop_vars("elbow_flexion"), {"joints": ("elbow",)}, "have no elbow_flexion"),
        (angles.isel(time=slice(5)), {"joints": ("elbow",)}, "different frames"),
        (angles, {"joints": ("elbow", "elbow")}, "twice"),
        (angles, {"joints": ("wrist",)}, "joints"),
        (angles, {"age": -1}, "age"),
        (angles, {"joints": ("elbow",), "movement": "elbow_flexoin"}, "elbow_flexion"),
        (angles, {"joints": ("elbow",), "movement": "knee_flexion"}, "moves the knee"),
    ):
        with pytest.raises(BadInputError, match=message):
            joint_mobility(pose, changed, **options)
    with pytest.raises(BadInputError, match="not a pose"):
        joint_mobility(angles, angles)


# Trunk and neck, and what is seen in the picture.


def in_picture(pose: xr.Dataset, *joints: str) -> xr.Dataset:
    """What is measured of trunk and neck of a body that a fit is sure of."""
    body = with_draws(pose, sd=0.005)
    body["position"].loc[{"space": "z"}] -= 3.5  # the camera of a fit is at zero
    body["fit_position"].loc[{"fit_space": "z"}] -= 3.5
    angles = joint_angles(body, limits=LIMITS, in_picture=True)
    return joint_mobility(body, angles, joints=joints or ("trunk", "neck"))


@pytest.mark.parametrize(("joint", "sign"), [("trunk", -1), ("neck", 1)])
def test_who_bends_to_one_side_moves_that_side_only(joint: str, sign: int) -> None:
    how = {"trunk": "lean", "neck": "head_tilt"}[joint]
    time, curve = there_and_back(low=0, high=35)
    result = in_picture(limb_pose(time, heading=0.0, **{how: sign * curve})).sel(joint=joint)
    sides = ("right", "left") if sign > 0 else ("left", "right")
    one, rest = (result.sel(side=side) for side in sides)
    assert one["shown"] == f"{joint}_lateral_flexion"
    assert one["movements"] == 3
    assert one["end_of_range"] == pytest.approx(35, abs=1)
    assert one["range_of_motion"] == pytest.approx(35, abs=1)
    assert 1.96 * one["end_of_range_sd"] < 10
    assert (rest["shown"], rest["movements"]) == ("", 0)
    assert np.isnan(rest["end_of_range"])
    assert rest["angle"].min() == pytest.approx(-35, abs=1)
    assert (result.attrs["posture"], rest["note"]) == ("standing", "moved by less than 10 degrees")


@pytest.mark.parametrize(("roll", "heading"), [(-10.0, 0.0), (0.0, 180.0), (10.0, 0.0)])
def test_who_bends_to_both_sides_starts_from_upright_however_the_camera_is_tilted(roll, heading):
    """Rolled by 10 degrees, a bend of 30 was given as 20 or 40, and as a range of 20."""
    _, curve = there_and_back(low=0, high=30, times=2)
    both = np.concatenate([curve, -0.8 * curve[1:]])
    pose = limb_pose(np.arange(both.size) / FPS, heading=heading, lean=both, roll=roll)
    result = in_picture(pose)
    for side, most in (("right", 30), ("left", 24)):
        one = left(result, "trunk", side)
        assert one["movements"] == 2
        assert one["end_of_range"] == pytest.approx(most, abs=1)
        assert one["range_of_motion"] == pytest.approx(most, abs=1)
        assert ("tilted by 10.0 degrees" in note(result, "trunk", side)) == (roll != 0)


def test_a_trunk_that_is_never_seen_at_rest_is_measured_against_the_vertical() -> None:
    """The recording ends bent, or begins so where nothing was seen, or stands too far aslant."""
    time, curve = there_and_back(low=0, high=30, times=2)
    cut = time <= time[-1] - 1.5
    unseen = limb_pose(time, heading=0.0, lean=curve, roll=8.0)
    for name in ("image_position", "position"):
        unseen[name][: round(0.4 * FPS)] = np.nan
    for pose, least in (
        (limb_pose(time[cut], heading=0.0, lean=curve[cut], roll=8.0), 8),
        (limb_pose(time, heading=0.0, lean=curve, roll=20.0), 20),
        (unseen, 8),
    ):
        angle = left(in_picture(pose), "trunk", "right")["angle"]
        assert float(angle.min()) == pytest.approx(least, abs=1)


@pytest.mark.parametrize(
    ("heading", "trunk", "neck"),
    [
        (20.0, "", ""),
        (-30.0, "30° away from straight in front", "30° away from straight in front"),
        (90.0, "90° away from straight in front or straight behind (allowed: 25°)", "90° away"),
        (180.0, "", "the camera is 180° away from straight in front (allowed: 25°)"),
    ],
)
def test_trunk_and_neck_are_refused_from_the_side(heading: float, trunk: str, neck: str) -> None:
    time, curve = there_and_back(low=0, high=30, times=2)
    result = in_picture(limb_pose(time, heading=heading, lean=curve))
    for joint, why in (("trunk", trunk), ("neck", neck)):
        assert why in note(result, joint, "right")
        one = left(result, joint, "right")
        assert float(one["refused_share"]) == (1 if why else 0)
        advice = f"Film the {joint} from the front: "
        assert str(one["advice"].item()).startswith(advice) == bool(why)
    if not trunk:
        assert left(result, "trunk", "right")["maximum"] == pytest.approx(30, abs=5)


def test_without_a_fit_or_a_picture_the_trunk_is_measured_and_the_neck_refused() -> None:
    time, curve = there_and_back(low=0, high=30)
    pose = limb_pose(time, heading=0.0, lean=-curve)
    body = with_draws(pose, sd=0.005).drop_vars("image_position")
    for made, limits in ((pose, None), (body, LIMITS)):
        angles = joint_angles(made, limits=limits, in_picture=True)
        result = joint_mobility(made, angles, joints=("trunk", "neck"))
        one = left(result, "trunk")
        assert one["end_of_range"] == pytest.approx(30, abs=1)
        assert note(result, "neck").startswith("it is measured only in the picture")
    assert float(angles["trunk_lateral_flexion_sd"].min()) >= 4  # no camera is level
    assert 4 <= one["end_of_range_sd"] < 5


# Sides and legs that may be exchanged.


def test_legs_that_may_be_exchanged_are_refused_from_the_side_only() -> None:
    time, curve = there_and_back(low=0, high=100)
    far = {"hip": (0.0, curve), "knee": (5.0, 5 + curve), "elbow": (curve, 10.0)}
    near = {"knee": (5 + curve, 5.0), "elbow": curve, "hip": 0.0}
    both = {"knee": 5 + curve, "hip": curve, "elbow": curve}
    for joints, heading, joint, most in (
        (far, -90.0, "hip", None),
        (far, -40.0, "hip", 0),
        (near, -90.0, "knee", 105),  # a near leg that moves is told from the far one
        (both, -90.0, "knee", 105),
    ):
        pose = limb_pose(time, joints=joints, heading=heading)
        # The far knee comes into sight while a knee is raised.
        pose["confidence"].loc[{"keypoint": "right_knee"}] = np.where(curve > 50, 0.9, 0.3)[:, None]
        result = measured(pose, joint, "elbow")
        expected = np.nan if most is None else most
        maximum = float(left(result, joint)["maximum"])
        assert maximum == pytest.approx(expected, abs=0.5, nan_ok=True), (heading, joint)
        assert ("one leg may be mistaken for the other" in note(result, joint)) == (most is None)
        assert left(result, "elbow")["maximum"] == pytest.approx(100, abs=0.3)


@pytest.mark.parametrize(
    ("attrs", "why"),
    [
        ({"lost_share": 0.4}, "in 40 % of the frames no person is found, or left and right"),
        ({"legs_exchanged": 3}, "the legs change places in the picture 3 times"),
        ({"lost_share": 0.1, "legs_exchanged": 0}, ""),
    ],
)
def test_legs_not_told_apart_are_refused(attrs: dict[str, float], why: str) -> None:
    time, curve = there_and_back(low=0, high=100)
    pose = limb_pose(time, joints={"knee": curve, "elbow": curve}, heading=-90.0)
    result = measured(pose.assign_attrs(attrs), "knee", "elbow")
    knee = left(result, "knee")
    assert np.isnan(knee["maximum"]) == bool(why)
    assert why in note(result, "knee")
    assert bool(why) == bool(str(knee["advice"].item()))  # how to film it
    assert left(result, "elbow")["maximum"] == pytest.approx(100, abs=0.5)


def test_what_is_wrong_of_both_sides_cancels_in_their_difference() -> None:
    time, curve = there_and_back(low=40, high=120)
    body = limb_pose(time, joints={"elbow": (curve, curve + 15)})
    both = with_draws(body, sd=0.01)
    one = both.copy(deep=True)
    one["position_draws"].loc[{"fit_keypoint": "right_wrist"}] = 0.0
    for pose, share in ((both, 0.0), (one, 1.0)):
        metrics = measured(pose, "elbow").sel(joint="elbow")
        assert metrics["side_difference"] == pytest.approx(15, abs=0.5)
        # The wrists move alike, and the forearms stand at other angles.
        sd = float(metrics["maximum_sd"].sel(side="left"))
        assert float(metrics["side_difference_sd"]) == pytest.approx(share * sd, abs=0.35 * sd)
    without = measured(body, "elbow").sel(joint="elbow")
    sds = without["maximum_sd"].values
    assert float(without["side_difference_sd"]) == pytest.approx(np.hypot(*sds), rel=0.05)
    # Sides that do not show the same, because one rests or bends back, have none.
    for other in (np.full_like(curve, 40.0), 160 - curve):
        metrics = measured(limb_pose(time, joints={"elbow": (curve, other)}), "elbow", "knee")
        assert metrics[["side_difference", "side_difference_sd"]].to_dataarray().isnull().all()


def test_errors_of_a_fit_come_from_its_draws() -> None:
    time, curve = there_and_back(low=40, high=130, times=2)
    pose = with_draws(limb_pose(time, joints={"elbow": curve}), sd=0.01)
    angles = joint_angles(pose)
    metrics = left(joint_mobility(pose, angles, joints=("elbow",)), "elbow")
    # A wrist that is off by 1 cm at the end of a forearm turns it.
    turn = np.degrees(0.01 / FOREARM)
    assert metrics["maximum_sd"] == pytest.approx(turn, rel=0.3)
    assert metrics["minimum_sd"] == pytest.approx(turn, rel=0.3)
    # The forearm points 90 degrees farther at the turn: errors there are independent.
    assert metrics["range_of_motion_sd"] == pytest.approx(np.sqrt(2) * turn, rel=0.35)
    # What is the same at all times has no speed of its own; it only turns with the forearm.
    assert metrics["peak_velocity_sd"] < metrics["peak_velocity"]

    angles["elbow_flexion"] = angles["elbow_flexion"].where(angles["elbow_flexion"] > 60)
    part = joint_mobility(pose, angles, joints=("elbow",))
    one = left(part, "elbow")
    assert one["maximum"] == pytest.approx(130, abs=0.3)
    assert np.isnan([one["minimum"], one["range_of_motion"]]).all()
    assert "smallest angle is too uncertain or missing" in note(part, "elbow")


def test_without_legs_the_arms_carry_what_the_fit_does_not_know() -> None:
    time, curve = there_and_back(low=40, high=130, times=2)
    whole = with_draws(limb_pose(time, joints={"elbow": curve, "shoulder": 30.0}), sd=0.01)
    upper = whole.copy(deep=True)
    knees = {"keypoint": ["left_knee", "right_knee"], "pixel": "v"}
    upper["image_position"].loc[knees] = 1400.0
    added = tables.load("expected_error")["legs_unseen"]["angles"]["elbow_flexion"]["sd"]
    seen, unseen = joint_angles(whole), joint_angles(upper)
    sd = np.hypot(seen["elbow_flexion_sd"], added)
    np.testing.assert_allclose(unseen["elbow_flexion_sd"], sd)
    xr.testing.assert_identical(unseen["trunk_lean_sd"].variable, seen["trunk_lean_sd"].variable)
    one, other = (left(measured(pose, "elbow"), "elbow") for pose in (whole, upper))
    for name, more in (("maximum", added), ("range_of_motion", np.sqrt(2) * added)):
        wider = float(np.hypot(one[f"{name}_sd"], more))
        assert other[f"{name}_sd"] == pytest.approx(wider, rel=1e-6)
    # One knee is enough, and hidden is as good as outside.
    upper["image_position"].loc[{"keypoint": "left_knee", "pixel": "v"}] = 700.0
    assert not legs_unseen(upper)
    upper["confidence"].loc[{"keypoint": "left_knee"}] = 0.2
    assert legs_unseen(upper)


# Repeated movements, and what they show.


def test_the_spread_of_the_turns_says_what_change_it_can_hide() -> None:
    """Three elbows of 120, 124 and 128 degrees: a standard deviation of 4."""
    time, share = there_and_back(low=0.0, high=1.0)
    third = (time >= 3.3).astype(float) + (time >= 6.6)
    pose = limb_pose(time, joints={"elbow": 10 + share * (110 + 4 * third)})
    one = left(measured(pose, "elbow", limits=LIMITS), "elbow", "right")
    assert int(one["movements"]) == 3
    assert float(one["repeatability"]) == pytest.approx(4, abs=0.3)
    t_of_2 = 4.303  # Student's t with 2 degrees of freedom
    medians = t_of_2 * 1.25 * np.sqrt(2 / 3) * 4
    constants = exercise("Joint Angle Mobility").own_table("constants")
    again, day = constants["filmed_again"]["sem_deg"], constants["from_day_to_day"]["sd_deg"]
    expected = np.hypot(medians, 1.96 * np.sqrt(2) * np.hypot(again, day))
    assert float(one["detectable_change"]) == pytest.approx(expected, abs=1.2)
    assert float(one["end_of_range_sem"]) * 1.96 * np.sqrt(2) == pytest.approx(
        float(one["detectable_change"]), rel=1e-3
    )
    assert one["shown"].item() == "elbow_flexion"
    assert float(one["end_of_range"]) == pytest.approx(float(one["maximum"]))
    # Fewer than three give none, which is said of the joint that moved.
    time, curve = there_and_back(low=10, high=120, times=2)
    metrics = measured(limb_pose(time, joints={"elbow": (10.0, curve)}), "elbow", limits=LIMITS)
    one = left(metrics, "elbow", "right")
    assert np.isnan([one["repeatability"], one["detectable_change"]]).all()
    why = "a smallest detectable change needs 3 accepted movements (2 found)"
    assert why in note(metrics, "elbow", "right")
    assert "detectable" not in note(metrics, "elbow")


@pytest.mark.parametrize(
    ("posture", "joint", "course", "shown", "end"),
    [
        # Knees that are stretched to 6 degrees beyond straight; arms that are lowered; feet.
        ("seated", "knee", {"low": 90.0, "high": -6.0, "times": 4}, "knee_extension", 6),
        ("standing", "shoulder", {"low": 120.0, "high": 20.0}, "shoulder_flexion", 120),
        ("seated", "ankle", {"low": 0.0, "high": -45.0}, "ankle_plantarflexion", 45),
        ("lying", "ankle", {"low": 0.0, "high": -45.0}, "ankle_plantarflexion", 45),
        # Elbows that begin and end straight, and are bent most of the time.
        ("standing", "elbow", {"low": 5.0, "high": 130.0, "hold": 4.0}, "elbow_flexion", 130),
    ],
)
def test_a_movement_has_the_direction_in_which_it_leaves_its_rest(
    posture, joint, course, shown, end
):
    time, curve = there_and_back(**course)
    pose = limb_pose(time, posture=posture, joints={joint: curve})
    one = left(measured(pose, joint, limits=LIMITS), joint)
    assert one["shown"].item() == shown
    assert float(one["end_of_range"]) == pytest.approx(end, abs=2)
    assert int(one["movements"]) == course.get("times", 3)
    if joint == "elbow":
        asked = measured(pose, "elbow", limits=LIMITS, movement="elbow_extension")
        assert left(asked, "elbow")["shown"].item() == "elbow_extension"


def test_no_movement_crosses_a_cut() -> None:
    """A film that is cut while the knee is bent, and goes on with the leg straight."""
    time, bent = there_and_back(low=5.0, high=45.0)
    from_bottom = np.where(time < 2.0, np.maximum.accumulate(bent), 5.0)
    pose = limb_pose(time, joints={"knee": (np.full_like(bent, 5.0), from_bottom)})
    across = left(measured(pose, "knee", limits=LIMITS), "knee", "right")
    assert int(across["movements"]) == 1
    entry = {"operation": "estimate_pose", "cuts": [2.0]}
    cut = pose.assign_attrs(history=json.dumps([entry, *history(pose)]))
    right = left(measured(cut, "knee", limits=LIMITS), "knee", "right")
    assert int(right["movements"]) == 0
    assert not (right["peak_velocity"] > 100)


def test_movements_of_a_shot_that_is_shown_again_do_not_count() -> None:
    time, knee = there_and_back(low=5.0, high=110.0)
    pose = limb_pose(time, joints={"knee": (np.full_like(knee, 5.0), knee)})
    counted = int(left(measured(pose, "knee", limits=LIMITS), "knee", "right")["movements"])
    half = {"start": float(time[time.size // 2]), "stop": 100.0, "first": 0.0}
    entry = {"operation": "estimate_pose", "repeats": [half]}
    again = pose.assign_attrs(history=json.dumps([entry, *history(pose)]))
    kept = int(left(measured(again, "knee", limits=LIMITS), "knee", "right")["movements"])
    assert 0 < kept < counted


@pytest.mark.parametrize(
    ("width", "jump", "why"),
    [
        (0.09, 40, "there and back in 0.5 s is too fast to show how far the joint goes"),
        (0.08, 65, "444 degrees/s is too fast to show how far the joint goes"),
    ],
)
def test_a_glitch_is_no_movement(width: float, jump: float, why: str) -> None:
    """An ankle that jumps to where a knee is bent by 45 or 70 degrees, and back at once."""
    time, knee = there_and_back(low=5.0, high=110.0)
    resting = 5 + jump * np.exp(-0.5 * ((time - 0.5) / width) ** 2)
    metrics = measured(limb_pose(time, joints={"knee": (resting, knee)}), "knee", limits=LIMITS)
    assert metrics["movements"].sel(joint="knee").values.tolist() == [0, 3]
    assert why in note(metrics, "knee")
    (reason,) = metrics["movement_reason"].values[metrics["movement_side"].values == "left"]
    assert reason.endswith(why)


@pytest.mark.parametrize(
    ("joint", "slow", "quick", "sd", "count"),
    [
        # A side that sways by 24 degrees, which three standard deviations may be, rests.
        ("knee", 24.0, 120.0, 9.0, 0),
        # A shoulder that is frozen at 40 degrees, the other at 165: what the exercise is for.
        ("shoulder", 35.0, 160.0, 5.0, 3),
    ],
)
def test_a_side_that_hardly_moves_beside_the_other(joint, slow, quick, sd, count):
    time, share = there_and_back(low=0.0, high=1.0)
    pose = limb_pose(time, joints={joint: (5 + slow * share, 5 + quick * share)})
    angles = joint_angles(pose, limits=LIMITS)
    name = f"{joint}_flexion_sd"
    angles[name] = angles[name] * 0 + sd
    metrics = joint_mobility(pose, angles, joints=(joint,))
    assert int(left(metrics, joint)["movements"]) == count
    assert ("rests while the other side moves" in note(metrics, joint)) == (count == 0)
    assert float(left(metrics, joint)["maximum"]) == pytest.approx(5 + slow, abs=2)


def test_the_movement_that_was_asked_for_is_checked() -> None:
    time, arm = there_and_back(low=5.0, high=125.0)
    pose = limb_pose(time, joints={"shoulder": arm})
    asked = partial(measured, pose, "shoulder", limits=LIMITS)
    metrics = asked(movement="shoulder_abduction")
    assert "the video shows shoulder flexion, not shoulder abduction" in note(metrics, "shoulder")
    assert "other_movement" in codes(metrics)
    assert "other_movement" not in codes(asked())
    assert left(metrics, "shoulder")["advice"].item() == ""


def test_a_knee_that_bends_farther_than_knees_do_is_not_a_knee() -> None:
    """Landmarks that went to the other leg gave knees of 280 degrees."""
    time, knee = there_and_back(low=5.0, high=120.0)
    pose = limb_pose(time, joints={"knee": knee})
    angles = joint_angles(pose, limits=LIMITS)
    angles["knee_flexion"] = angles["knee_flexion"].copy()
    angles["knee_flexion"].loc[{"side": "left"}] = np.where(knee > 60, 280.0, knee)
    angles["knee_flexion"].loc[{"side": "right", "time": time[100]}] = 280.0
    metrics = joint_mobility(pose, angles, joints=("knee",))
    assert "beyond what the knee can do" in note(metrics, "knee")
    assert left(metrics, "knee")["angle"].isnull().all()
    assert float(left(metrics, "knee", "right")["maximum"]) == pytest.approx(120, abs=1)


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


def uneven(ends: list[float], *, rest: float) -> xr.Dataset:
    """Pose of elbows that go from rest to these ends, one movement after the other."""
    time, share = there_and_back(low=0.0, high=1.0, times=len(ends))
    number = np.clip(((time - 0.5) / 3.3).astype(int), 0, len(ends) - 1)
    return limb_pose(time, joints={"elbow": rest + (np.array(ends)[number] - rest) * share})


@pytest.mark.parametrize(
    ("rest", "full", "sign", "reached"),
    [(10.0, 130.0, 1, "maximum"), (110.0, 5.0, -1, "minimum")],
    ids=["flexion", "extension"],
)
def test_a_movement_that_ends_well_short_of_the_others_does_not_count(
    rest: float, full: float, sign: int, reached: str
) -> None:
    pose = uneven([full, full - 25 * sign, full, full], rest=rest)
    one = left(measured(pose, "elbow"), "elbow")
    assert int(one["movements"]) == 3
    assert one[reached] == pytest.approx(full, abs=0.3)
    assert one["repeatability"] == pytest.approx(0.0, abs=0.1)
    moves = joint_movements(pose, joint_angles(pose), joints=("elbow",))
    assert moves["accepted"].values.tolist() == [True, False, True, True]
    short = "it ends 25 degrees short of the other movements, so it is not complete"
    assert moves["reason"].values.tolist() == ["", short, "", ""]
    # What a person marked counts.
    angles = joint_angles(pose)
    by_hand = joint_movements(pose, angles, joints=("elbow",), movements=marks(moves))
    assert by_hand["accepted"].values.all()
    # Within 15 degrees of the others, or beyond them, it is complete.
    for end in (full - 14 * sign, full + 14 * sign):
        near = left(measured(uneven([full, end, full, full], rest=rest), "elbow"), "elbow")
        assert int(near["movements"]) == 4


def test_where_nothing_shows_which_movement_is_complete_all_count() -> None:
    two = measured(uneven([130.0, 105.0], rest=10.0), "elbow")
    assert two["movements"].values.tolist() == [[2, 2]]
    undecided = "the ends of the movements differ by up to 25 degrees; at least 3 movements are"
    assert undecided in note(two, "elbow")
    assert "differ by up to" not in note(measured(elbows(times=2)[2], "elbow"), "elbow")
    # Once one is refused as incomplete, nothing is said to be undecided.
    steps = measured(uneven([100.0, 120.0, 140.0], rest=10.0), "elbow")
    assert steps["movements"].values.tolist() == [[2, 2]]
    assert "differ by up to" not in note(steps, "elbow")
    # One that goes far beyond two alike does not make both incomplete.
    most = measured(uneven([140.0, 105.0, 105.0], rest=10.0), "elbow")
    assert most["movements"].values.tolist() == [[3, 3]]
    half = measured(uneven([130.0, 105.0, 130.0, 105.0], rest=10.0), "elbow")
    assert half["movements"].values.tolist() == [[2, 2]]
