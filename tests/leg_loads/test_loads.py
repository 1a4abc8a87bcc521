"""Loads of bodies whose loads are known from statics, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr
from analytic import fitted, squat_pose

import mobility as mb
from mobility.base.provenance import warnings_of
from mobility.errors import BadInputError
from mobility.kinematics.skeleton import INDEX, KEYPOINTS
from mobility.leg_loads.body_mass import centre_of_mass
from mobility.leg_loads.loads import ground_forces, loads_with_plates

GRAVITY, RATE = 9.81, 50.0
FEET = {"left": 0.15, "right": -0.15}  # x: the person faces z, so the left is at positive x
HEEL, TOE = -0.05, 0.15
LEVELS = {"shoulder": 1.40, "elbow": 1.10, "wrist": 0.85, "hip": 0.92, "knee": 0.50, "ankle": 0.10}
MASSES = {  # de Leva 1996, mean of women and men: both sides together
    "trunk": 0.432, "head": 0.068, "upper arm": 0.0526, "forearm": 0.0300, "hand": 0.0118,
    "thigh": 0.2894, "shank": 0.0914, "foot": 0.0266,
}  # fmt: skip
VALUES = ("weight_share", "vertical_force", "centre_of_pressure", "knee_moment", "hip_moment",
          "ankle_moment")  # fmt: skip


def body(
    *, seconds: float = 4.0, aside: Any = 0.0, ahead: Any = 0.0, sinks: Any = 0.0, knee: float = 0.0
) -> xr.Dataset:
    """Somebody on both feet: the trunk is `aside` to the left, `ahead`, and lower by `sinks`."""
    time = np.arange(int(seconds * RATE)) / RATE
    position = np.full((time.size, 3, len(KEYPOINTS), 1), np.nan)
    for side, x in FEET.items():
        for joint, level in LEVELS.items():
            of_trunk = joint in ("shoulder", "elbow", "wrist", "hip")
            place = position[:, :, INDEX[f"{side}_{joint}"], 0]
            place[:, 0] = x + (aside if of_trunk else 0.0)
            place[:, 1] = level - (sinks if of_trunk else 0.0)
            place[:, 2] = (ahead if of_trunk else 0.0) + (knee if joint == "knee" else 0.0)
        for joint, z in (("heel", HEEL), ("foot_index", TOE)):
            position[:, :, INDEX[f"{side}_{joint}"], 0] = x, 0.03, z
    return xr.Dataset(
        {"position": (("time", "space", "keypoint", "individual"), position, {"units": "m"})},
        coords={
            "time": time,
            "space": ["x", "y", "z"],
            "keypoint": list(KEYPOINTS),
            "individual": ["subject"],
        },
        attrs={"ds_type": "poses"},
    )


def mirrored(pose: xr.Dataset) -> xr.Dataset:
    """Exchange left and right."""
    other = [
        name.replace("left", "_").replace("right", "left").replace("_", "right", 1)
        if name.startswith("left")
        else name.replace("right", "left")
        for name in pose["keypoint"].to_numpy().tolist()
    ]
    turned = pose.copy(deep=True)
    turned["position"] = (
        pose["position"].sel(keypoint=other).assign_coords(keypoint=pose["keypoint"])
    )
    turned["position"].loc[{"space": "x"}] *= -1
    return turned


def codes(loads: xr.Dataset) -> str:
    """Reasons of the warnings."""
    return " ".join(str(each["values"].get("reason")) for each in warnings_of(loads))


def middle(variable: xr.DataArray) -> np.ndarray:
    """The value in the middle of the recording."""
    return variable.isel(time=variable.sizes["time"] // 2).to_numpy()


def test_the_centre_of_mass_follows_from_the_masses() -> None:
    centre = middle(centre_of_mass(body(aside=0.05))["centre_of_mass"])
    of_trunk = sum(MASSES[name] for name in ("trunk", "head", "upper arm", "forearm", "hand"))
    # The thigh's centre is 0.385 of its length below the hip.
    carried = (of_trunk + MASSES["thigh"] * (1 - 0.385)) / sum(MASSES.values())
    np.testing.assert_allclose(centre[0], 0.05 * carried, atol=1e-6)


@pytest.mark.parametrize(("where", "level"), [("hands", "wrist"), ("shoulders", "shoulder")])
def test_a_load_adds_its_weight_where_it_is_carried(where: Any, level: str) -> None:
    pose = body(aside=0.03)
    empty = mb.loads(pose)
    loaded = mb.loads(pose, load=(where, 0.5))
    np.testing.assert_allclose(middle(loaded["vertical_force"]), 1.5, atol=1e-3)
    # The wrists and the shoulders are 0.03 m to the left of the middle of the feet.
    lateral = [float(middle(each["centre_of_pressure"])[0]) for each in (empty, loaded)]
    assert lateral[1] == pytest.approx((lateral[0] + 0.5 * 0.03) / 1.5, abs=1e-4)
    share = [float(middle(each["weight_share"])[0]) for each in (empty, loaded)]
    assert share[1] == pytest.approx(0.5 + lateral[1] / 0.30, abs=1e-3)
    # What the place of the load adds to the error, and what the smaller part of the body takes off.
    assert float(middle(loaded["centre_of_pressure_sd"])[2]) == pytest.approx(
        np.hypot(0.022, 0.5 * {"hands": 0.08, "shoulders": 0.06}[where]) / 1.5, rel=0.05
    )
    forces = ground_forces(pose, weight_kg=60, load=(where, 0.5))["force"]
    assert float(middle(forces.sum("side"))[1]) == pytest.approx(90 * GRAVITY, rel=1e-3)


def test_a_load_before_the_body_moves_the_force_forward_and_raises_the_moment() -> None:
    pose = body()
    arms = [f"{side}_wrist" for side in FEET]
    pose["position"].loc[{"space": "z", "keypoint": arms}] += 0.3
    empty, loaded = mb.loads(pose), mb.loads(pose, load=("hands", 0.25))
    ahead = [float(middle(each["centre_of_pressure"])[2]) for each in (empty, loaded)]
    assert ahead[1] == pytest.approx((ahead[0] + 0.25 * 0.3) / 1.25, abs=1e-4)
    moment = [float(middle(each["ankle_moment"]).sum()) for each in (empty, loaded)]
    # Both feet: the whole force times its distance before the ankles, without the feet themselves.
    more = (1.25 * ahead[1] - ahead[0]) / float(loaded.attrs["height_m"])
    assert moment[1] - moment[0] == pytest.approx(more, rel=1e-3)


def test_plates_that_carry_a_load_give_moments_of_the_weight_of_the_body() -> None:
    pose = body()
    forces = ground_forces(pose, weight_kg=60, load=("shoulders", 0.5))
    stood = loads_with_plates(pose, forces, load=("shoulders", 0.5))
    known = loads_with_plates(pose, forces, weight_kg=60, load=("shoulders", 0.5))
    ours = mb.loads(pose, weight_kg=60, load=("shoulders", 0.5))
    for name in ("knee_moment", "hip_moment", "ankle_moment"):
        np.testing.assert_allclose(middle(stood[name]), middle(known[name]), atol=1e-6)
        np.testing.assert_allclose(middle(stood[name]), middle(ours[name]), atol=1e-4)


def test_a_load_is_given_to_the_fit_of_a_video() -> None:
    pose = fitted(squat_pose(reps=2).pose, sd=0.01, draws=32)
    with pytest.raises(BadInputError, match="fitted without it; pass it to fit_body"):
        mb.loads(pose, load=("hands", 0.2))
    for load in (("head", 0.2), ("hands", -1), ("hands", 20), "hands", ("hands",)):
        with pytest.raises(BadInputError, match="load"):
            mb.loads(body(), load=load)  # type: ignore[arg-type]


def test_a_body_that_stands_carries_its_weight_by_geometry() -> None:
    pose = body(aside=0.05)
    loads = mb.loads(pose)
    centre = middle(centre_of_mass(pose)["centre_of_mass"])
    share = middle(loads["weight_share"])
    np.testing.assert_allclose(share, [0.5 + centre[0] / 0.3, 0.5 - centre[0] / 0.3], atol=1e-6)
    np.testing.assert_allclose(loads["vertical_force"], 1.0, atol=1e-6)
    np.testing.assert_allclose(
        middle(loads["centre_of_pressure"])[[0, 1]], [centre[0], 0], atol=1e-6
    )


def test_moments_of_a_static_body_by_hand() -> None:
    """About each joint: the weight under the foot, minus the weight of the parts below it."""
    pose = body(knee=0.12, ahead=-0.02)
    loads = mb.loads(pose, height_m=1.70)
    z = float(middle(loads["centre_of_pressure"])[2])
    ankle, knee, hip = 0.0, 0.12, -0.02
    foot = (0.0133, HEEL + 0.42 * (TOE - HEEL))
    shank = (0.0457, knee + 0.443 * (ankle - knee))
    thigh = (0.1447, hip + 0.385 * (knee - hip))
    total = sum(MASSES.values())

    def forward(joint: float, *below: tuple[float, float]) -> float:
        own = sum(mass / total * (place - joint) for mass, place in below)
        return 100 * (0.5 * (z - joint) - own) / 1.70

    expected = {
        "ankle_moment": forward(ankle, foot),
        "knee_moment": -forward(knee, foot, shank),
        "hip_moment": forward(hip, foot, shank, thigh),
    }
    for name, value in expected.items():
        np.testing.assert_allclose(100 * middle(loads[name]), value, atol=0.003)
    assert expected["knee_moment"] > 1 > abs(expected["ankle_moment"])


def test_moments_are_in_newton_metres_if_the_weight_is_known() -> None:
    pose = body(knee=0.12)
    loads = mb.loads(pose, weight_kg=70, height_m=1.8)
    for joint in ("knee", "hip", "ankle"):
        for of in ("", "_sd"):
            moment, in_nm = loads[f"{joint}_moment{of}"], loads[f"{joint}_moment_nm{of}"]
            np.testing.assert_allclose(in_nm, moment * 70 * GRAVITY * 1.8)
            assert in_nm.attrs["units"] == "N m"
    # In Nm, the moment of a body in metres does not depend on the height that is passed.
    other = mb.loads(pose, weight_kg=70, height_m=1.6)
    np.testing.assert_allclose(other["knee_moment_nm"], loads["knee_moment_nm"])
    assert "knee_moment_nm" not in mb.loads(pose)


def test_the_vertical_force_accelerates_the_body() -> None:
    time = np.arange(int(6 * RATE)) / RATE
    turn = 2 * np.pi * 0.8
    loads = mb.loads(body(seconds=6, sinks=0.10 * (1 - np.cos(turn * time))))
    total = sum(MASSES.values())
    moving = sum(MASSES[n] for n in ("trunk", "head", "upper arm", "forearm", "hand"))
    moving = (moving + MASSES["thigh"] * 0.615) / total
    expected = 1 - moving * 0.10 * turn**2 * np.cos(turn * time) / GRAVITY
    inner = slice(50, -50)
    np.testing.assert_allclose(loads["vertical_force"][inner], expected[inner], atol=0.01)


def test_a_mirrored_body_has_mirrored_loads() -> None:
    pose = body(aside=0.04, knee=0.1)
    loads, other = mb.loads(pose), mb.loads(mirrored(pose))
    for name in ("weight_share", "knee_moment", "hip_moment", "ankle_moment"):
        swapped = other[name].isel(side=[1, 0]).to_numpy()
        np.testing.assert_allclose(swapped, loads[name].to_numpy(), atol=1e-9)
    x = {"axis": "x"}
    np.testing.assert_allclose(
        other["centre_of_pressure"].sel(x), -loads["centre_of_pressure"].sel(x), atol=1e-9
    )


def test_the_error_of_the_share_is_that_of_the_point_between_the_feet() -> None:
    """10 mm between feet that are 30 cm apart; a camera adds the error of its body."""
    loads = mb.loads(body())
    inner = loads["weight_share_sd"].isel(time=slice(25, -25))
    np.testing.assert_allclose(inner, 0.010 / 0.3, rtol=1e-3)
    assert all(bool((loads[f"{name}_sd"] >= 0).all()) for name in VALUES)
    trial = squat_pose(reps=2)
    errors = [
        float(mb.loads(fitted(trial.pose, sd=sd, draws=32))["weight_share_sd"].median())
        for sd in (0.0, 0.02)
    ]
    assert errors[1] > 1.2 * errors[0] > 0


def test_a_missing_joint_leaves_out_its_frames_only() -> None:
    pose = body(seconds=6)
    gap = (pose["time"] > 2) & (pose["time"] < 3)
    pose["position"] = pose["position"].where(~gap | (pose["keypoint"] != "left_wrist"))
    loads = mb.loads(pose)
    for name in VALUES:
        for variable in (loads[name], loads[f"{name}_sd"]):
            without = variable.isnull()
            without = without.any([dim for dim in without.dims if dim != "time"])
            np.testing.assert_array_equal(without, gap)
    assert "a joint is not seen" in codes(loads)
    short = body(seconds=6)
    blink = (short["time"] > 2) & (short["time"] < 2.2)
    short["position"] = short["position"].where(~blink | (short["keypoint"] != "left_wrist"))
    assert mb.loads(short)["weight_share"].notnull().all()


def test_a_body_without_any_joint_has_no_loads() -> None:
    pose = body()
    pose["position"] = pose["position"] * np.nan
    loads = mb.loads(pose)
    assert all(loads[name].isnull().all() for name in VALUES)


def test_what_something_else_carries_is_left_out() -> None:
    time = np.arange(int(6 * RATE)) / RATE
    seated = time < 3
    step = np.clip((time - 3) / 0.6, 0, 1)
    loads = mb.loads(body(seconds=6, ahead=-0.4 * (1 - step), sinks=0.4 * (1 - step)))
    assert loads["vertical_force"].isel(time=seated).isnull().all()
    assert loads["weight_share"].isel(time=time > 4.5).notnull().all()
    assert "carries the body" in codes(loads)


def test_a_lifted_foot_has_no_share_unless_one_leg_is_exercised() -> None:
    time = np.arange(int(6 * RATE)) / RATE
    pose = body(seconds=6, aside=0.13)
    names = [f"right_{joint}" for joint in ("heel", "foot_index", "ankle", "knee")]
    pose["position"].loc[{"keypoint": names, "space": "y"}] += 0.2 * (time > 3)[:, None, None]
    loads = mb.loads(pose)
    assert loads["weight_share"].isel(time=time > 3.2).isnull().all()
    assert loads["vertical_force"].isel(time=time > 3.2).notnull().all()
    assert "one foot is off the floor" in codes(loads)
    repetitions = xr.Dataset(
        {"start": ("rep", [3.0]), "end": ("rep", [5.9]), "leg": ("rep", ["left"])},
        coords={"time": time, "rep": [1]},
    )
    alone = mb.loads(pose, repetitions=repetitions)["weight_share"].sel(time=4.0)
    np.testing.assert_array_equal(alone, [1.0, 0.0])
    with pytest.raises(BadInputError, match="left or right"):
        mb.loads(pose, repetitions=repetitions.assign(leg=("rep", ["middle"])))
    repetitions["start"][:] = 1.0  # both feet are on the floor until 3 s
    on_both = mb.loads(pose, repetitions=repetitions).sel(time=2.0)
    assert 0.05 < float(on_both["weight_share"].sel(side="right")) < 0.95
    assert float(on_both["weight_share_sd"].min()) > 0.01


def test_a_foot_that_is_lifted_all_the_time_has_no_share() -> None:
    pose = body(seconds=4, aside=0.13)
    names = [f"right_{joint}" for joint in ("heel", "foot_index", "ankle", "knee")]
    pose["position"].loc[{"keypoint": names, "space": "y"}] += 0.2
    loads = mb.loads(pose)
    assert loads["weight_share"].isnull().all()
    assert "one foot is off the floor" in codes(loads)


def swaying(seconds: float = 6.0) -> xr.Dataset:
    """Somebody who goes up and down, and to both sides, in one rhythm."""
    turn = 2 * np.pi * 0.7 * np.arange(int(seconds * RATE)) / RATE
    return body(seconds=seconds, sinks=0.1 * (1 - np.cos(turn)), aside=0.02 * np.sin(turn))


def test_a_recording_that_is_cut_in_a_movement_has_larger_errors_at_its_ends() -> None:
    pose = swaying()
    whole, cut = mb.loads(pose), mb.loads(pose.isel(time=slice(78, 222)))
    for name in ("weight_share", "vertical_force", "knee_moment", "ankle_moment"):
        error = abs(cut[name] - whole[name])
        assert bool((error <= 1.96 * cut[f"{name}_sd"]).all()), name
    error = abs(cut["vertical_force"] - whole["vertical_force"])
    assert float(error[0]) > 0.1  # with the error in the middle, this would be a wrong value
    assert float(error[10:-10].max()) < 0.02


def test_a_short_gap_is_not_a_jolt() -> None:
    pose = swaying()
    blink = (pose["time"] > 2.0) & (pose["time"] < 2.2)
    whole, gap = mb.loads(pose), mb.loads(pose.where(~blink))
    assert float(abs(gap["vertical_force"] - whole["vertical_force"]).max()) < 0.03


def test_noise_of_joints_is_in_the_error_of_the_forces() -> None:
    pose = swaying()
    noisy = pose.copy(deep=True)
    noisy["position"] += np.random.default_rng(3).normal(0, 0.01, pose["position"].shape)
    exact, found = mb.loads(pose), mb.loads(noisy)
    error = (found["vertical_force"] - exact["vertical_force"]).to_numpy()[25:-25]
    sd = found["vertical_force_sd"].to_numpy()[25:-25]
    assert np.sqrt((error**2).mean()) > 0.03
    assert (abs(error) <= 1.96 * sd).mean() > 0.9


def test_the_floor_may_be_at_another_height() -> None:
    pose = swaying()
    raised = pose.copy(deep=True)
    raised["position"].loc[{"space": "y"}] += 1.0
    loads, other = mb.loads(pose), mb.loads(raised)
    for name in ("weight_share", "vertical_force", "hip_moment"):
        np.testing.assert_allclose(other[name], loads[name], atol=0.005)
    np.testing.assert_allclose(other["centre_of_pressure"].sel(axis="y"), 1.03)
    assert mb.loads(pose.isel(time=[0]))["weight_share"].isnull().all()


def test_a_jump_has_no_loads() -> None:
    time = np.arange(int(6 * RATE)) / RATE
    pose = body(seconds=6)
    pose["position"].loc[{"space": "y"}] += 0.3 * ((time > 3) & (time < 3.4))[:, None, None]
    loads = mb.loads(pose)
    assert loads["vertical_force"].sel(time=3.2).isnull()
    assert "neither foot" in codes(loads)


def test_a_view_from_the_side_has_no_share_but_a_vertical_force() -> None:
    trial = squat_pose(reps=2, heading=90)
    loads = mb.loads(fitted(trial.pose, sd=0.01, draws=32))
    for name in ("weight_share", "knee_moment", "hip_moment", "ankle_moment"):
        assert loads[name].isnull().all()
    assert loads["vertical_force"].notnull().any()
    assert "this view does not show" in codes(loads)


def test_keypoints_without_depth_have_no_loads() -> None:
    pose = fitted(squat_pose(reps=2).pose, sd=0.01, draws=32)
    loads = mb.loads(pose.assign_attrs(pose_source="other"))
    assert all(loads[name].isnull().all() for name in VALUES)
    assert "without depth" in codes(loads)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weight_kg": 700}, "weight_kg of 700 is not a person's. Pass kilograms"),
        ({"weight_kg": -1}, "weight_kg of -1 is not a person's"),
        ({"height_m": 170}, "height_m of 170 is not a person's. Pass metres"),
        ({"height_m": 0.4}, "height_m of 0.4 is not a person's"),
        ({"height_m": 2.6}, "height_m of 2.6 is not a person's"),
        ({"weight_kg": "heavy"}, "weight_kg"),
    ],
)
def test_a_person_has_a_possible_weight_and_height(options: Any, message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        mb.loads(body(), **options)


def test_points_in_the_picture_are_not_enough() -> None:
    pose = squat_pose(reps=1).pose
    with pytest.raises(BadInputError, match="only points in the picture"):
        mb.loads(pose.drop_vars("position"))


def test_landmarks_without_a_fitted_body_are_refused() -> None:
    with pytest.raises(BadInputError, match="Fit a body"):
        mb.loads(squat_pose(reps=1).pose)


def plates_of(loads: xr.Dataset, pose: xr.Dataset, newtons: float) -> xr.Dataset:
    """Plates under each foot that measure what the masses give."""
    vertical = loads["vertical_force"] * loads["weight_share"] * newtons
    force = xr.concat([0 * vertical, vertical, 0 * vertical], "axis").transpose(
        "time", "side", "axis"
    )
    point = loads["centre_of_pressure"].broadcast_like(loads["weight_share"]).copy()
    point = point.transpose("time", "side", "axis")
    point.loc[{"axis": "x"}] = list(FEET.values())
    both = xr.Dataset({"force": force, "centre_of_pressure": point})
    return both.assign_coords(axis=["x", "y", "z"])


def test_plates_give_the_moments_of_the_same_formulas() -> None:
    pose = body(aside=0.03, knee=0.12)
    loads = mb.loads(pose, weight_kg=60, height_m=1.7)
    forces = plates_of(loads, pose, 60 * GRAVITY)
    measured = loads_with_plates(pose, forces, weight_kg=60, height_m=1.7)
    for name in (*VALUES, "knee_moment_nm"):
        np.testing.assert_allclose(measured[name], loads[name], atol=1e-6)
    # The weight is what the plates show while the person stands.
    np.testing.assert_allclose(
        loads_with_plates(pose, forces, height_m=1.7)["knee_moment"],
        loads["knee_moment"],
        atol=1e-6,
    )


def test_plates_on_another_clock_and_incomplete_plates_are_refused() -> None:
    pose = body()
    forces = plates_of(mb.loads(pose), pose, 600)
    with pytest.raises(BadInputError, match="no time in common"):
        loads_with_plates(pose, forces.assign_coords(time=forces["time"] + 100))
    with pytest.raises(BadInputError, match="no 'centre_of_pressure'"):
        loads_with_plates(pose, forces.drop_vars("centre_of_pressure"))
    with pytest.raises(BadInputError, match="must be a Dataset"):
        loads_with_plates(pose, [1, 2])


def test_a_foot_without_a_centre_of_pressure_has_no_moment() -> None:
    pose = body()
    forces = plates_of(mb.loads(pose), pose, 600)
    late = forces["time"] > 2
    forces["centre_of_pressure"] = forces["centre_of_pressure"].where(
        ~late | (forces["side"] != "left")
    )
    measured = loads_with_plates(pose, forces)
    assert measured["knee_moment"].sel(side="left").where(late, drop=True).isnull().all()
    assert measured["knee_moment"].sel(side="right").notnull().all()
    assert measured["weight_share"].notnull().all()
