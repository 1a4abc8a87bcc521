"""Angles in the plane of the picture, against commanded angles, known errors and a real clip."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy.spatial.transform import Rotation

from mobility.errors import BadInputError
from mobility.kinematics.angles import joint_angles
from mobility.kinematics.fit.body import FITTED
from mobility.kinematics.in_picture import measured_angles, picture_angles
from mobility.kinematics.skeleton import INDEX
from tests.limbs import SIDES, limb_pose, there_and_back, with_positions

TIME, ELBOW = there_and_back(low=8.0, high=125.0, times=2)
LEAN = np.interp(ELBOW, [8.0, 125.0], [0.0, 35.0])
DRAWS = 64
LIMITS = {"elbow_flexion": 180.0}


def fitted(
    *,
    heading: float = 0.0,
    pose: xr.Dataset | None = None,
    depth_error_m: float = 0.0,
    depth_sd_m: float = 0.1,
    picture_sd_m: float = 0.004,
    mirrored: bool = False,
    joints: dict[str, np.ndarray] | None = None,
) -> xr.Dataset:
    """A body as a fit gives it, whose wrists are wrong in depth by a constant.

    Half of its draws are mirrored in depth where `mirrored` is true.
    """
    if pose is None:
        pose = limb_pose(TIME, joints={"elbow": ELBOW} | (joints or {}), heading=heading)
    time = pose["time"].to_numpy()
    position = pose["position"].copy()
    position.loc[{"space": "z"}] -= 3.5  # the camera of a fit is at zero
    wrists = ["left_wrist", "right_wrist"]
    position.loc[{"space": "z", "keypoint": wrists}] += depth_error_m
    at = position.isel(time=slice(None, None, 4), individual=0).sel(keypoint=list(FITTED))
    centre = at.transpose("time", "space", "keypoint").to_numpy()
    rng = np.random.default_rng(3)
    off = rng.normal(0, picture_sd_m, (DRAWS, 1, 3, len(FITTED))) * np.ones((1, len(centre), 1, 1))
    off[:, :, 2] *= depth_sd_m / (picture_sd_m or 1.0)
    if mirrored:
        for side in ("left", "right"):
            elbow, wrist = (FITTED.index(f"{side}_{name}") for name in ("elbow", "wrist"))
            off[::2, :, 2, wrist] += 2 * (centre[:, 2, elbow] - centre[:, 2, wrist])
    return (
        pose.assign(
            position=position,
            fit_position=(("fit_time", "fit_space", "fit_keypoint"), centre),
            position_draws=(("draw", "fit_time", "fit_space", "fit_keypoint"), off),
        )
        .assign_coords(fit_time=time[::4], fit_space=["x", "y", "z"], fit_keypoint=list(FITTED))
        .assign_attrs(method="fitted_body")
    )


@pytest.mark.parametrize("heading", [-90.0, 70.0])
@pytest.mark.parametrize("joint", ["elbow", "knee", "shoulder", "hip"])
def test_a_joint_that_moves_in_the_picture_is_measured_there(joint: str, heading: float) -> None:
    """To 3 degrees from where it is seen best, to 6 from 20 degrees beside it; without any body."""
    pose = limb_pose(TIME, joints={joint: ELBOW}, heading=heading)
    noise = np.random.default_rng(0).normal(0, 0.03, pose["position"].shape)
    pose["position"] = pose["position"] + noise
    side = "right" if heading > 0 else "left"
    angles = picture_angles(pose).sel(side=side)
    angle = angles[f"{joint}_flexion"]
    assert angle.attrs[f"plane_{side}"] == "sagittal"
    off = np.abs(angle.to_numpy() - ELBOW)
    assert off.max() < (3 if abs(heading) == 90 else 6)
    assert np.percentile(off / angles[f"{joint}_flexion_sd"].to_numpy(), 95) < 1.96
    assert angles["trunk_lateral_flexion"].isnull().all()  # which is not seen from the side
    assert angles["trunk_lateral_flexion_sd"].isnull().all()


def test_the_errors_of_left_and_right_have_a_part_in_common_but_for_what_bends_sideways() -> None:
    """So that their difference is surer than either, and each has the error that it has."""
    angles = measured_angles(fitted(heading=90.0))
    limbs, trunk = angles["elbow_flexion_draws"], angles["trunk_lateral_flexion_draws"]
    for draws, low, high in ((limbs, 0.25, 0.75), (trunk, -0.25, 0.25)):
        ends = draws.isel(fit_time=0).transpose("draw", "side").to_numpy()
        assert low < np.corrcoef(ends.T)[0, 1] < high
    spread = np.sqrt((limbs**2).mean("draw")).isel(fit_time=0)
    sd = angles["elbow_flexion_sd"].isel(time=0)
    np.testing.assert_allclose(spread, sd, rtol=0.2)


@pytest.mark.parametrize(
    ("heading", "aside", "in_the_picture"),
    [(90.0, False, True), (0.0, False, False), (0.0, True, True), (90.0, True, False)],
)
def test_whether_an_elbow_bends_in_the_picture_is_a_matter_of_the_arm(
    heading, aside, in_the_picture
):
    """Hanging arms bend before a camera at the side, arms held out sideways before one in front."""
    pose = limb_pose(TIME, joints={"elbow": ELBOW}, heading=0.0)["position"].isel(individual=0)
    place = pose.transpose("time", "keypoint", "space").to_numpy().copy()
    bend, up = np.radians(ELBOW)[:, None], np.array([0.0, 1.0, 0.0])
    for side, out in (("left", 1.0), ("right", -1.0)) if aside else ():
        across = np.array([out, 0.0, 0.0])
        elbow = place[:, INDEX[f"{side}_shoulder"]] + 0.3 * across
        place[:, INDEX[f"{side}_elbow"]] = elbow
        along = np.cos(bend) * across + np.sin(bend) * up
        place[:, INDEX[f"{side}_wrist"]] = elbow + 0.27 * along
    turned = Rotation.from_euler("y", heading, degrees=True).as_matrix()
    angle = picture_angles(with_positions(TIME, place @ turned.T))["elbow_flexion"]
    for side in SIDES:
        off = angle.attrs[f"off_picture_{side}"]
        assert off < 20 if in_the_picture else off > 50
        assert angle.attrs[f"plane_{side}"] == ("frontal" if aside else "sagittal")


def test_a_forearm_that_points_at_the_camera_is_measured_by_how_short_it_looks() -> None:
    """From the front: 90 degrees of elbow flexion look like none, of no length."""
    pose = limb_pose(TIME, joints={"elbow": ELBOW}, heading=0.0)
    angles = picture_angles(pose).sel(side="left")
    value, sd = angles["elbow_flexion"].to_numpy(), angles["elbow_flexion_sd"].to_numpy()
    bent = np.abs(ELBOW - 60) < 15
    assert np.abs(value - ELBOW)[bent].max() < 15
    assert (np.abs(value - ELBOW) < 1.96 * sd).mean() > 0.9
    across = np.abs(ELBOW - 90) < 5
    assert np.median(sd[across]) > 2 * np.median(
        picture_angles(limb_pose(TIME, joints={"elbow": ELBOW}))["elbow_flexion_sd"]
    )
    assert angles["elbow_flexion_out_of_plane"].to_numpy()[across].min() > 45


@pytest.mark.parametrize("heading", [90.0, -90.0])
def test_a_joint_that_bends_backwards_is_negative(heading: float) -> None:
    """Knees and arms, hyperextended and extended at one end, bent or nearly straight at another."""
    side = "right" if heading > 0 else "left"
    for joint, low, high in (("knee", -8, 60), ("knee", 12, -12), ("shoulder", -40, 30)):
        true = np.interp(ELBOW, [8.0, 125.0], [low, high])
        angles = picture_angles(limb_pose(TIME, joints={joint: true}, heading=heading))
        off = angles[f"{joint}_flexion"].sel(side=side) - true
        assert float(np.abs(off).max()) < 3, joint


def test_what_is_outside_the_picture_or_missing_does_not_matter_to_other_joints() -> None:
    pose = limb_pose(TIME, joints={"elbow": ELBOW}, heading=20.0, lean=LEAN)
    whole = picture_angles(pose)
    legs = [f"{side}_{n}" for side in SIDES for n in ("knee", "ankle", "heel", "foot_index")]
    pose["image_position"].loc[{"keypoint": [*legs, "left_ear"]}] = np.nan
    pose["image_position"].loc[{"keypoint": "left_wrist", "time": TIME[:5]}] = np.nan
    angles = picture_angles(pose)
    for name in ("knee_flexion", "neck_lateral_flexion"):
        assert angles[name].isnull().all()
    assert angles["elbow_flexion"].sel(side="left")[:5].isnull().all()
    for name in ("elbow_flexion", "trunk_lateral_flexion"):
        np.testing.assert_allclose(angles[name][5:], whole[name][5:], atol=1.0)


def test_a_real_person_who_raises_the_arms_sideways_and_shows_nothing_below_the_waist(shared_data):
    """Seen in the picture: 18 to 165 degrees from the line from the hip to the shoulder of a side,
    9 to 162 from the middle of the trunk."""
    pose = xr.load_dataset(
        shared_data / "lab" / "landmarks" / "seated_shoulder_abduction_pose.nc", engine="h5netcdf"
    )
    flexion = picture_angles(pose)["shoulder_flexion"]
    for side in ("left", "right"):
        assert flexion.attrs[f"plane_{side}"] == "frontal"
        low, high = np.percentile(flexion.sel(side=side), [1, 99])
        assert low == pytest.approx(8, abs=4)
        assert high == pytest.approx(162, abs=4)


def test_picture_and_body_are_weighed_by_their_errors() -> None:
    """An elbow whose wrist the body has 11 cm too near, and knows it or not."""
    for depth_sd in (0.02, 0.3):
        body = fitted(heading=90.0, depth_error_m=0.11, depth_sd_m=depth_sd)
        flat, both = picture_angles(body), measured_angles(body)
        fit = joint_angles(body, limits=LIMITS)
        p, f = flat["elbow_flexion"], fit["elbow_flexion"]
        sp, sf = flat["elbow_flexion_sd"], fit["elbow_flexion_sd"]
        sf = np.sqrt(sf**2 + np.maximum((p - f) ** 2 - sp**2 - sf**2, 0))
        weight = sf**2 / (sf**2 + sp**2)
        np.testing.assert_allclose(both["elbow_flexion"], f + weight * (p - f), atol=1e-6)
        stated = weight * sp + (1 - weight) * sf
        np.testing.assert_allclose(both["elbow_flexion_sd"], stated, rtol=1e-6)
        drawn = both["elbow_flexion_draws"].std("draw").interp(fit_time=both["time"][5:-5])
        ratio = drawn.to_numpy() / both["elbow_flexion_sd"][5:-5].to_numpy()
        assert np.median(ratio) == pytest.approx(1, abs=0.25)
    assert both["elbow_flexion"].attrs["in_picture_left"] > 0.9
    at_rest = both["elbow_flexion"].sel(side="left").to_numpy()[ELBOW < 8.5]
    assert np.median(at_rest) == pytest.approx(8, abs=3)


def test_where_only_the_body_sees_a_joint_its_own_error_is_stated() -> None:
    """Nearly from behind an arm has no sign in the picture: the body's error is not lost."""
    pose = limb_pose(TIME, joints={"shoulder": ELBOW}, heading=150.0)
    body = fitted(pose=pose, picture_sd_m=0.02)
    assert picture_angles(body)["shoulder_flexion"].sel(side="right").isnull().all()
    fit = joint_angles(body, limits={"shoulder_flexion": 180.0}).sel(side="right")
    both = measured_angles(body).sel(side="right")
    for name in ("shoulder_flexion", "shoulder_flexion_sd"):
        np.testing.assert_allclose(both[name], fit[name], atol=1e-6)
    drawn = both["shoulder_flexion_draws"].std("draw")
    assert float(drawn.median()) > 0.5 * float(fit["shoulder_flexion_sd"].median()) > 0.5


def test_where_picture_and_body_contradict_each_other_it_is_told() -> None:
    sure = fitted(heading=90.0, depth_error_m=0.25, depth_sd_m=0.01)
    assert measured_angles(sure)["elbow_flexion"].attrs["disagree_left"] > 0.3
    agrees = fitted(heading=90.0, depth_sd_m=0.01)
    assert measured_angles(agrees)["elbow_flexion"].attrs["disagree_left"] == 0


@pytest.mark.parametrize(("heading", "roll"), [(0.0, 3.0), (-20.0, 0.0), (180.0, 3.0)])
@pytest.mark.parametrize("joint", ["trunk", "neck"])
def test_trunk_and_neck_bend_to_the_side_that_is_named(joint, heading, roll):
    """To the right; a camera that is 3 degrees aslant shows in the trunk only."""
    moved = {"lean": LEAN} if joint == "trunk" else {"head_tilt": LEAN, "lean": LEAN / 7}
    angles = picture_angles(limb_pose(TIME, heading=heading, roll=roll, **moved))
    angle, sd = (angles[f"{joint}_lateral_flexion{end}"] for end in ("", "_sd"))
    off = np.abs(angle.sel(side="right").to_numpy() - LEAN)
    assert off.max() < (3 if heading in (0.0, 180.0) else 6) + (roll if joint == "trunk" else 0)
    assert (off < 1.96 * sd.sel(side="right").to_numpy()).all()
    assert float(sd.max()) < 5.2
    np.testing.assert_allclose(angle.sel(side="left"), -angle.sel(side="right"), atol=1e-9)


def test_real_people_who_stand_or_sit_upright_have_trunk_and_neck_straight(shared_data):
    """Straight from the front while they are still; one of the cameras is 6 degrees aslant."""
    folder = shared_data / "lab" / "landmarks"
    seconds = {
        "front_squats_arms_hanging": (5.05, 5.71),
        "front_squats_arms_out": (7.57, 9.26),
        "front_squats_weights_at_shoulders": (4.6, 5.17),
        "seated_shoulder_abduction": (0.0, 30.0),
    }
    trunk = {}
    for clip, (start, end) in seconds.items():
        pose = xr.load_dataset(folder / f"{clip}_pose.nc", engine="h5netcdf")
        angles = picture_angles(pose.sel(time=slice(start, end))).sel(side="right")
        trunk[clip] = float(angles["trunk_lateral_flexion"].median())
        for name in ("trunk_lateral_flexion", "neck_lateral_flexion"):
            inside = np.abs(angles[name]) < 1.96 * angles[f"{name}_sd"]
            assert float(inside.mean()) > 0.9, (clip, name)
            assert float(angles[f"{name}_sd"].median()) < 5.2, (clip, name)
    assert trunk["seated_shoulder_abduction"] == pytest.approx(2.2, abs=0.5)
    assert trunk["front_squats_arms_out"] == pytest.approx(-6.6, abs=0.5)


def test_bad_input_is_named() -> None:
    body = fitted(heading=90.0)
    with pytest.raises(BadInputError, match="position_draws"):
        measured_angles(body.drop_vars(["position_draws", "fit_position"]))
    with pytest.raises(BadInputError, match="image_position"):
        picture_angles(body.drop_vars("image_position"))
    # Who turns round has no front.
    one, other = (limb_pose(TIME, joints={"shoulder": ELBOW}, heading=h) for h in (90.0, -90.0))
    half = TIME.size // 2
    turned = xr.concat([one.isel(time=slice(half)), other.isel(time=slice(half, None))], "time")
    assert picture_angles(turned)["shoulder_flexion"].isnull().all()


def test_a_shoulder_edge_on_is_no_angle_of_the_picture() -> None:
    """Raised forwards and seen from nearly behind; farther to the side its sign is right."""
    for heading, measured in ((150.0, False), (120.0, True), (60.0, True), (40.0, True)):
        angles = picture_angles(limb_pose(TIME, joints={"shoulder": ELBOW}, heading=heading))
        value = angles["shoulder_flexion"].sel(side="right").to_numpy()
        assert np.isfinite(value).any() == measured
        assert not measured or np.abs(value - ELBOW).max() < 20
