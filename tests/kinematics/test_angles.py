"""Angles against closed forms, published identities and symmetries."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from mobility import tables
from mobility.base.provenance import history, warnings_of
from mobility.errors import BadInputError
from mobility.kinematics.angle_errors import angle_sd
from mobility.kinematics.angles import (
    IMAGE_ANGLES,
    image_plane_angles,
    joint_angles,
    with_raw_angles,
)
from mobility.kinematics.skeleton import (
    KEYPOINTS,
    angle_between,
    elbow_flexion,
    knee_flexion,
    shoulder_flexion,
)
from mobility.sessions.files import read_dataset

THREE_POINT = (
    *("knee_flexion", "ankle_dorsiflexion", "elbow_flexion", "shoulder_flexion"),
    "hip_abduction",
)


def rotated(pose, rotation):
    points = pose.position.transpose("time", "keypoint", "individual", "space").to_numpy()
    turned = rotation.apply(points.reshape(-1, 3)).reshape(points.shape)
    return pose.assign(position=(("time", "keypoint", "individual", "space"), turned))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"turn_out": (10, 35)},
        {"turn_out": 15, "toe_out": 25},
        {"heading": 75, "turn_out": 20},
        {"heading": 180},
        {"tibia": (20, 30), "thigh": (-10, 5), "trunk": 45, "elbow": 0, "arm_forward": 0},
    ],
)
def test_every_angle_is_the_commanded_one_at_every_frame(squat_pose, options):
    pose, truth = squat_pose(**options)
    angles = joint_angles(pose)
    # What a nearly straight leg that is turned out bends sideways is taken for varus or valgus.
    nearly = truth["knee_flexion"] < 60
    less = (angles["knee_flexion"] - truth["knee_flexion"]).where(nearly, 0.0)
    assert float(less.max()) < 1e-6
    assert float(less.min()) > (-3.0 if "turn_out" in options else -1e-6)
    angles["knee_flexion"] = angles["knee_flexion"] - less
    for name in tables.load("angles"):
        xr.testing.assert_allclose(
            angles[name].drop_attrs(), truth[name].drop_vars("rep", errors="ignore"), atol=1e-6
        )


def test_pelvis_obliquity_is_positive_with_the_right_hip_up(squat_pose):
    """And the hip above which the pelvis rises is adducted, where both thighs are vertical."""
    pose = squat_pose(reps=1).pose
    position = pose.position.copy(deep=True)
    rise = 0.18 * np.tan(np.radians(8))
    for name in ("hip", "knee", "ankle"):
        position.loc[{"keypoint": f"right_{name}", "space": "y"}] += rise
    angles = joint_angles(pose.assign(position=position))
    np.testing.assert_allclose(angles.pelvis_obliquity, 8)
    np.testing.assert_allclose(angles.hip_abduction.isel(time=0), [8, -8], atol=1e-6)
    np.testing.assert_allclose(joint_angles(pose).hip_abduction, 0, atol=1e-6)


@pytest.mark.parametrize(("heading", "lean"), [(0, 12.0), (-130, -12.0)])
def test_a_trunk_that_leans_to_the_right_leans_by_a_positive_angle(squat_pose, heading, lean):
    """Forwards by 40 degrees and then sideways out of that plane, by 12."""
    pose = squat_pose(reps=1, fps=5, heading=heading, trunk=40).pose
    points = pose.position.isel(individual=0)
    hips, shoulders = (
        points.sel(keypoint=[f"left_{n}", f"right_{n}"]).mean("keypoint")
        for n in ("hip", "shoulder")
    )
    right = points.sel(keypoint="right_hip") - points.sel(keypoint="left_hip")
    spine = shoulders - hips
    sideways = np.tan(np.radians(lean)) * np.sqrt((spine**2).sum("space") / (right**2).sum("space"))
    position = pose.position.copy(deep=True)
    both = ["left_shoulder", "right_shoulder"]
    moved = position.sel(keypoint=both) + sideways * right
    position.loc[{"keypoint": both}] = moved.transpose(*position.dims).to_numpy()
    angles = joint_angles(pose.assign(position=position))
    np.testing.assert_allclose(angles.trunk_lateral_lean, lean, atol=1e-6)
    np.testing.assert_allclose(angles.trunk_lean, joint_angles(pose).trunk_lean, atol=1e-6)


@settings(max_examples=10, deadline=None)
@given(turn=st.floats(-180, 180), vector=st.tuples(*[st.floats(-3, 3)] * 3))
def test_nothing_depends_on_the_direction_that_the_subject_faces(squat_pose, turn, vector):
    """And three-point angles depend on no rotation, none on the order of the dimensions."""
    pose = squat_pose(reps=1, fps=5, turn_out=(5, 15), noise=0.01).pose
    plain = joint_angles(pose)
    shuffled = rotated(pose, Rotation.from_euler("y", turn, degrees=True)).transpose(
        "keypoint", "individual", "space", "pixel", "time"
    )
    turned = joint_angles(shuffled.isel(keypoint=slice(None, None, -1)))
    anyhow = joint_angles(rotated(pose, Rotation.from_rotvec(vector)))
    for name, values in plain.data_vars.items():
        np.testing.assert_allclose(turned[name], values, atol=1e-6)
        if name in THREE_POINT and name != "knee_flexion":  # of which varus is no part
            np.testing.assert_allclose(anyhow[name], values, atol=1e-6)


@settings(max_examples=50, deadline=None)
@given(angle=st.floats(0, 180), scale=st.floats(1e-3, 1e3))
def test_angle_between_is_exact_also_near_its_ends(angle, scale):
    v = scale * np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle)), 0])
    assert angle_between(np.array([1.0, 0, 0]), v) == pytest.approx(angle, abs=1e-9)


def test_lying_on_the_side_keeps_only_three_point_angles(squat_pose):
    pose, truth = squat_pose(reps=1)
    turned = rotated(pose, Rotation.from_euler("z", 75, degrees=True))
    a = joint_angles(turned)
    for name in tables.load("angles"):
        if name in THREE_POINT:
            np.testing.assert_allclose(a[name], truth[name], atol=1e-6)
        else:
            assert a[name].isnull().all(), name
            assert a[f"{name}_sd"].isnull().all()
    leaning = joint_angles(rotated(pose, Rotation.from_euler("z", 55, degrees=True)))
    assert leaning.hip_flexion.notnull().all()


RIGHT = np.array([0.0, 0.0, 1.0])
DOWN = np.array([0.0, -1.0, 0.0])


def turned(forward, out=0.0):
    """Straight down, turned forwards by an angle and then out of the sagittal plane, degrees."""
    f, o = np.radians(forward), np.radians(out)
    return np.stack(
        np.broadcast_arrays(np.sin(f) * np.cos(o), -np.cos(f) * np.cos(o), np.sin(o)), axis=-1
    )


def largest_step(values):
    return np.abs(np.diff(values)).max()


def test_hyperextension_is_negative_and_deep_flexion_never_is():
    for flexion in (-25, -5, 0, 5, 60, 120, 179):
        assert knee_flexion(DOWN, turned(-flexion), RIGHT) == pytest.approx(flexion, abs=1e-9)
    # Of a bend of 30 degrees in a plane turned by 45 a projection would leave 21; almost out of
    # the sagittal plane, noise decides which way it bends.
    for flexion, azimuth in ((30, 45), (60, 45), (120, 45), (150, 88), (150, 90), (150, 90.1)):
        f, a = np.radians(flexion), np.radians(azimuth)
        shank = np.array([-np.sin(f) * np.cos(a), -np.cos(f), np.sin(f) * np.sin(a)])
        assert knee_flexion(DOWN, shank, RIGHT) == pytest.approx(flexion, abs=1e-9)
    deep = turned(-150) + np.random.default_rng(0).normal(0, 0.02, (500, 3))
    assert (knee_flexion(DOWN, deep, RIGHT) > 140).all()


@pytest.mark.parametrize("valgus", [-9.0, -4.0, 0.0, 4.0, 8.0])
def test_a_valgus_knee_goes_through_straight_without_a_jump(valgus):
    """The angle in space is never below the valgus; with a sign it would jump by twice that."""
    commanded = np.linspace(5, -5, 101)
    flexion = knee_flexion(DOWN, turned(-commanded, valgus), RIGHT)
    # The part about the hip line of a bend of 9.4 degrees, 5 of flexion and 8 of valgus, is 4.97.
    np.testing.assert_allclose(flexion, commanded, atol=0.05)
    assert flexion[50] == pytest.approx(0, abs=1e-9)
    assert largest_step(flexion) < 0.11


def test_nothing_jumps_whichever_way_a_segment_bends():
    """Bends up to 80 degrees, in steps of a tenth of a degree on circles and along spokes."""
    azimuth, size = np.meshgrid(
        np.linspace(0, 2 * np.pi, 3601), np.radians(np.linspace(0.1, 80, 800)), indexing="ij"
    )
    bent = np.stack(
        [np.sin(size) * np.cos(azimuth), -np.cos(size), np.sin(size) * np.sin(azimuth)], axis=-1
    )
    for flexion in (
        knee_flexion(DOWN, bent, RIGHT),
        elbow_flexion(DOWN, bent, DOWN, RIGHT),
        shoulder_flexion(DOWN, bent, RIGHT),
    ):
        assert largest_step(flexion) < 1.5
        assert largest_step(flexion.T) < 1.5
        assert (np.abs(flexion) < 80.001).all()


@pytest.mark.parametrize("side", [-1, 1])
def test_a_hanging_elbow_is_hyperextended_below_zero(side):
    commanded = np.linspace(30, -12, 85)
    plain = elbow_flexion(DOWN, turned(commanded), DOWN, RIGHT)
    np.testing.assert_allclose(plain, commanded, atol=1e-9)
    carried = elbow_flexion(DOWN, turned(commanded, side * 12), DOWN, RIGHT)
    assert largest_step(carried) < 1.0
    near = np.abs(commanded) < 8
    np.testing.assert_allclose(carried[near], commanded[near], atol=0.15)
    assert elbow_flexion(DOWN, turned(-140), DOWN, RIGHT) == pytest.approx(140)  # behind the back


def test_an_elbow_that_does_not_hang_has_no_sign():
    """Forearms of raised arms, bent by 12 degrees to either side, and of hips that are not seen."""
    for raised in (90, 135, 170):
        for bend in (-12, 12):
            flexion = elbow_flexion(turned(raised), turned(raised + bend), DOWN, RIGHT)
            assert flexion == pytest.approx(12)
    # Halfway between 45 and 90 degrees of elevation: half of it has a sign.
    assert elbow_flexion(turned(67.5), turned(55.5), DOWN, RIGHT) == pytest.approx(0, abs=1e-9)
    unseen = np.full(3, np.nan)
    assert elbow_flexion(DOWN, turned(-12), DOWN, unseen) == pytest.approx(12)
    assert elbow_flexion(DOWN, turned(-12), unseen, RIGHT) == pytest.approx(12)


def test_an_arm_behind_the_trunk_is_extended():
    commanded = np.linspace(-60, 170, 461)
    flexion = shoulder_flexion(DOWN, turned(commanded), RIGHT)
    np.testing.assert_allclose(flexion, commanded, atol=1e-9)
    assert largest_step(flexion) < 0.51
    # Abduction, and arms that hang beside the body, a little in front or straight to the side.
    for sideways in (8, 60, 120, 170):
        angle = np.radians(sideways)
        arm = np.array([0.0, -np.cos(angle), np.sin(angle)])
        for side in (1, -1):
            arm = arm * [1, 1, side]
            assert shoulder_flexion(DOWN, arm, RIGHT) == pytest.approx(sideways)
    # 40 degrees back and 15 out: 42.3 in space, in a plane of elevation beyond 150 degrees.
    assert shoulder_flexion(DOWN, turned(-40, 15), RIGHT) == pytest.approx(-42.27, abs=0.01)
    # Behind the head, straight overhead, and before it.
    for degrees in (-170, 180, 170):
        assert shoulder_flexion(DOWN, turned(degrees), RIGHT) == pytest.approx(abs(degrees))
    assert shoulder_flexion(DOWN, turned(-20), np.full(3, np.nan)) == pytest.approx(20)


def test_a_missing_landmark_removes_exactly_the_angles_that_need_it(squat_pose):
    pose = squat_pose(reps=1, fps=5).pose
    for missing in KEYPOINTS:
        a = joint_angles(pose.where(pose.keypoint != missing))
        first, _, name = missing.partition("_")
        for angle, entry in tables.load("angles").items():
            for side in ("left", "right") if entry["sided"] else (first,):
                gone = name in entry.get("landmarks" if side == first else "of_other_side", ())
                values = a[angle].sel(side=side) if entry["sided"] else a[angle]
                assert values.isnull().all() if gone else values.notnull().all(), (missing, angle)


def test_coincident_points_and_absent_people_are_nan_without_a_warning(squat_pose):
    pose = squat_pose(reps=1, fps=10, absent=[(0, 0.5)]).pose
    position = pose.position.copy(deep=True)
    position.loc[{"keypoint": "left_knee"}] = position.sel(keypoint="left_ankle").to_numpy()
    a = joint_angles(pose.assign(position=position))
    assert a.knee_flexion.sel(side="left").isnull().all()
    assert a.knee_flexion.sel(side="right").isel(time=slice(6, None)).notnull().all()
    assert a.isel(time=0).drop_vars("side").to_array().isnull().all()


def test_expected_error_follows_the_method(squat_pose):
    pose = squat_pose(reps=1, fps=5, missing={"left_knee": (0, 0.5)}).pose
    a = joint_angles(pose)
    assert float(a.knee_flexion_sd.max()) < 0.5
    raw = joint_angles(pose.assign_attrs(method="mediapipe_world"))
    of_table = tables.load("expected_error")["landmarks"]["mediapipe_world"]["angles"]
    assert float(raw.knee_flexion_sd.max()) == of_table["knee_flexion"]["sd"]
    assert float(raw.trunk_lean_sd.max()) == of_table["trunk_lean"]["sd"]
    for name in tables.load("angles"):
        xr.testing.assert_equal(
            a[name].isnull().drop_attrs(), a[f"{name}_sd"].isnull().drop_attrs()
        )
    unknown = joint_angles(pose.assign_attrs(method="another"))
    assert unknown.knee_flexion_sd.isnull().all()
    assert [w["code"] for w in warnings_of(unknown)] == ["unknown_error"]
    np.testing.assert_array_equal(unknown.knee_flexion, a.knee_flexion)


def test_a_value_whose_error_is_too_large_is_refused_with_the_reason(squat_pose):
    """The ankle of raw world landmarks is wrong by more than it moves."""
    pose = squat_pose(reps=1, fps=5).pose.assign_attrs(method="mediapipe_world")
    raw = joint_angles(pose)  # knees 24.3 degrees, limit 30
    assert raw.ankle_dorsiflexion.isnull().all()
    assert raw.ankle_dorsiflexion_sd.isnull().all()
    assert raw.ankle_dorsiflexion.attrs["refused_share"] == 1
    (refused, *_) = [w["message"] for w in warnings_of(raw) if "Ankle" in w["message"]]
    assert refused.endswith(
        "100 % of the values are left out, because their margin of error is larger than ± 59°."
    )
    assert raw.knee_flexion.notnull().all()
    strict = joint_angles(pose, limits={"knee_flexion": 20.0})
    assert strict["knee_flexion"].isnull().all()
    assert any("larger than ± 39°" in warning["message"] for warning in warnings_of(strict))
    xr.testing.assert_equal(strict["hip_flexion"], raw["hip_flexion"])
    for limits, message in (
        ({"knee_flexon": 20.0}, "did you mean 'knee_flexion'"),
        ({"knee_flexion": 0.0}, "limits"),
    ):
        with pytest.raises(BadInputError, match=message):
            joint_angles(pose, limits=limits)


def test_each_angle_of_a_fit_has_a_limit_of_its_own(demo):
    """With errors four times as large as the fit's, what exceeds the table is refused, no more."""
    fitted = read_dataset(demo / "fitted.nc")
    worse = fitted.assign(position_draws=4 * fitted.position_draws)
    sd, angles = angle_sd(worse), joint_angles(worse)
    limits = {"trunk_lean": 10, "knee_flexion": 15, "ankle_dorsiflexion": 15, "elbow_flexion": 25}
    for name, limit in limits.items():
        over = ~(sd[f"{name}_sd"] <= limit)
        assert 0 < float(over.mean()) <= 1, name
        xr.testing.assert_equal(angles[name].isnull().drop_attrs(), over.drop_attrs())
        assert angles[name].attrs["refused_share"] == pytest.approx(float(over.mean()))
        assert angles[name].attrs["refused"] == "it is too uncertain in this recording"
    assert "refused" not in joint_angles(fitted).trunk_lean.attrs
    # Draws so wide that in some of them the subject lies on the side.
    worst = fitted.assign(position_draws=20 * fitted.position_draws)
    boundless = angle_sd(worst)["thigh_elevation_sd"].isnull()
    assert boundless.any()
    angles = joint_angles(worst)
    for name in ("thigh_elevation", "thigh_elevation_sd"):
        assert angles[name].where(boundless).isnull().all()


def test_the_result_says_what_it_is_and_the_input_is_untouched(squat_pose):
    pose = squat_pose(reps=1, fps=10, missing={"nose": (0, 1)}, absent=[(2, 3)]).pose
    before = pose.copy(deep=True)
    a = joint_angles(pose)
    xr.testing.assert_identical(pose, before)
    needed = {"units", "long_name", "segments", "plane", "zero", "positive", "reference"}
    for name in tables.load("angles"):
        assert a[name].attrs.keys() >= needed
        assert a[f"{name}_sd"].attrs["units"] == "degree"
    assert history(a)[-1]["operation"] == "joint_angles"


def test_what_is_not_a_pose_is_refused(squat_pose):
    pose = squat_pose(reps=1, fps=5).pose
    two = xr.concat([pose, pose.assign_coords(individual=["other"])], "individual")
    for wrong, message in (
        (pose.drop_vars("position"), "only points in the picture; fit a body"),
        (pose.drop_sel(keypoint="left_knee"), "left_knee"),
        (two, "2 individuals"),
        (pose.isel(time=[1, 0]), "increase"),
    ):
        with pytest.raises(BadInputError, match=message):
            joint_angles(wrong)
    with pytest.raises(BadInputError, match="image_position"):
        image_plane_angles(pose.drop_vars("image_position"))
    unseen = image_plane_angles(pose.assign(position=pose.position * np.nan))
    assert unseen.trunk_lean.isnull().all()  # forward is unknown
    assert unseen.elbow_flexion.notnull().all()


@pytest.mark.parametrize("heading", [90, -90])
def test_from_the_side_the_picture_shows_the_angles_of_the_sagittal_plane(squat_pose, heading):
    pose, truth = squat_pose(heading=heading, tibia=(20, 30), thigh=(-10, 5), trunk=45)
    # Pixels are square, however large the picture is.
    larger = pose.assign(image_position=2 * pose.image_position + 100)
    for each in (pose, larger.assign_attrs(image_width=4000, image_height=1000)):
        image = image_plane_angles(each)
        assert set(image.data_vars) == set(IMAGE_ANGLES)
        for name in IMAGE_ANGLES:
            expected = truth[name].transpose(*image[name].dims)
            np.testing.assert_allclose(image[name], expected, atol=1e-6)
            assert image[name].attrs["units"] == "degree"
    # From the front the trunk leans towards the camera, which is not seen.
    front = squat_pose(heading=0, trunk=45).pose
    assert float(abs(image_plane_angles(front).trunk_lean).max()) < 1


def test_raw_angles_stand_beside_the_fitted_ones(squat_pose):
    fitted = squat_pose(heading=90, reps=1, fps=10, thigh=10).pose
    pose = squat_pose(heading=90, reps=1, fps=10, thigh=20).pose
    pose = pose.assign_attrs(method="mediapipe_world")
    of_body, raw = joint_angles(fitted), joint_angles(pose)
    both = with_raw_angles(of_body, pose)
    for name, values in of_body.data_vars.items():
        xr.testing.assert_identical(both[name], values)
    np.testing.assert_allclose(both.knee_flexion_raw, raw.knee_flexion)
    assert raw.ankle_dorsiflexion.isnull().all()
    assert both.ankle_dorsiflexion_raw.notnull().all()  # not refused
    assert not any(name.startswith("refused") for name in both.ankle_dorsiflexion_raw.attrs)
    np.testing.assert_allclose(both.knee_flexion_image, both.knee_flexion_raw, atol=1e-6)
    added = {f"{name}_raw" for name in tables.load("angles")}
    added |= {f"{name}_image" for name in IMAGE_ANGLES}
    assert set(both.data_vars) == set(of_body.data_vars) | added
    with pytest.raises(BadInputError, match="different frames"):
        with_raw_angles(of_body, pose.isel(time=slice(1, None)))
