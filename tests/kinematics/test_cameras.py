"""One body, filmed by two cameras that know nothing of each other."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import xarray as xr
from kinematics.test_fit import body, errors, filmed, half_slope, last, last_problem, points_of

from mobility.base.provenance import cameras_of
from mobility.errors import BadInputError
from mobility.keypoints.view import camera_view
from mobility.kinematics.angle_errors import angle_sd
from mobility.kinematics.calibration import Calibration, Camera, rotation_matrix
from mobility.kinematics.fit import body as parts
from mobility.kinematics.fit import cameras, entry, terms, whole_trial
from mobility.kinematics.fit.cameras import aligned
from mobility.kinematics.fit.one_view import contradiction
from mobility.kinematics.fit.time_offset import time_offset
from mobility.kinematics.skeleton import INDEX

ANGLES = (
    *("knee_flexion", "hip_flexion", "ankle_dorsiflexion", "shoulder_flexion", "elbow_flexion"),
    *("trunk_lean", "hip_abduction"),
)
FITTED = [INDEX[name] for name in parts.FITTED]


def motion(time: np.ndarray, reps: tuple[tuple[float, float, float], ...]) -> np.ndarray:
    """Knee flexion of squats, each with its start and duration (s) and depth (degrees)."""
    knee = np.full(time.size, 6.0)
    for start, lasts, deep in reps:
        x = np.clip((time - start) / lasts, 0, 1)
        knee += deep * 0.5 * (1 - np.cos(2 * np.pi * x))
    return knee


SQUATS = ((0.8, 2.2, 90.0), (3.4, 2.6, 80.0))


def pair(
    azimuths: tuple[float, float] = (0.0, 75.0), *, shift: float = 0.37, seed: int = 0, **how: Any
) -> tuple[xr.Dataset, xr.Dataset, np.ndarray, np.ndarray]:
    """Poses of both cameras, and the true points at the times of each."""
    time, other = np.arange(210) / 30, np.arange(165) / 25
    truth, later = body(motion(time, SQUATS)), body(motion(other + shift, SQUATS))
    first = filmed(time, truth, azimuth=azimuths[0], seed=seed, **how)
    second = filmed(
        *(other, later),
        **{"azimuth": azimuths[1], "focal": 820.0, "distance": 2.7, "size": (1080, 1080), **how},
        seed=seed + 100,
    )
    return first, second, truth, later


@functools.cache
def fit_of_both(azimuths: tuple[float, float] = (0.0, 75.0)) -> xr.Dataset:
    """The fit of both cameras with noise; of all tests that ask for it, do not change it."""
    return entry.fit_body(list(pair(azimuths, noise_px=3.0)[:2]))


@pytest.mark.parametrize("shift", [-0.52, 1.3])
def test_time_offset_within_a_third_of_a_frame(shift: float) -> None:
    first, second, *_ = pair(shift=shift, noise_px=3.0, drift_px=2.0)
    offset = time_offset(first, second)
    assert offset.seconds == pytest.approx(shift, abs=1 / 30 / 3)
    assert abs(offset.seconds - shift) < 3 * offset.sd < 0.1
    back = time_offset(second, first)
    assert back.seconds == pytest.approx(-offset.seconds, abs=1e-6)
    # With gaps and a hidden arm as well.
    hidden = second.copy(deep=True)
    hidden["confidence"].loc[{"keypoint": "right_wrist"}] = 0.05
    hidden["image_position"].loc[{"keypoint": "right_wrist"}] = 700.0
    hidden = hidden.isel(time=[i for i in range(165) if not 60 <= i < 75])
    assert time_offset(first, hidden).seconds == pytest.approx(shift, abs=0.011)


@pytest.mark.slow
def test_two_views_are_better_than_either() -> None:
    first, second, truth, later = pair((40.0, -45.0), noise_px=3.0, drift_px=5.0, shrink=0.65)
    both = entry.fit_body([first, second])
    single = errors(entry.fit_body(first), truth), errors(entry.fit_body(second), later)
    of_both = errors(both, truth)
    better = min(np.mean([each[name] for name in ANGLES]) for each in single)
    assert np.mean([of_both[name] for name in ANGLES]) < 0.97 * better
    np.testing.assert_array_equal(both["time"], first["time"])


@pytest.mark.parametrize("azimuths", [(0.0, 75.0), (40.0, -45.0)])
def test_where_the_cameras_stood(azimuths: tuple[float, float]) -> None:
    fitted = fit_of_both(azimuths)
    cameras = last(fitted)["cameras"]
    # The direction of a camera is one thing, wherever it stands.
    assert cameras[0]["azimuth_deg"] == pytest.approx(camera_view(fitted).azimuth_deg, abs=0.2)
    turn = np.array(cameras[1]["rotation"])
    a = np.radians(azimuths[0] - azimuths[1])
    true = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    apart = np.degrees(np.arccos(np.clip((np.trace(turn @ true.T) - 1) / 2, -1, 1)))
    assert apart < 5.0
    assert cameras[1]["time_offset_s"] == pytest.approx(0.37, abs=0.011)
    assert 0.0 < cameras[1]["time_offset_sd_s"] < 0.02
    for camera, azimuth in zip(cameras, azimuths, strict=True):
        assert camera["azimuth_deg"] == pytest.approx(-azimuth, abs=4.0)
        # Landmarks that are right are moved off by what is usual for those of MediaPipe.
        assert 0.002 < camera["residual_m"] < 0.018


def test_the_second_camera_makes_the_error_smaller_and_knows_it() -> None:
    first, *_ = pair(noise_px=3.0)
    alone, both = angle_sd(entry.fit_body(first)), angle_sd(fit_of_both())
    # Of the elbow no more: what is learned of arms is for one camera only.
    for name in ("shoulder_flexion", "trunk_lean", "hip_flexion", "knee_flexion"):
        assert float(both[f"{name}_sd"].mean()) < 0.9 * float(alone[f"{name}_sd"].mean())


def test_one_pose_in_a_list_is_that_pose() -> None:
    short = pair(noise_px=3.0)[0].isel(time=slice(60))
    listed = entry.fit_body([short], draws=8)
    xr.testing.assert_identical(listed, entry.fit_body(short, draws=8))


@pytest.mark.slow
def test_three_cameras() -> None:
    first, second, truth, _ = pair((0.0, 75.0), noise_px=3.0)
    third = filmed(*(first["time"].to_numpy(), truth), azimuth=-60.0, noise_px=3.0, seed=9)
    fitted = entry.fit_body([first, second, third], focal_length=(None, 820.0, 1100.0))
    depths = last(fitted)["cameras"]
    assert [round(camera["azimuth_deg"] / 10) for camera in depths] in ([0, -7, 6], [0, -8, 6])
    assert depths[2]["time_offset_s"] == pytest.approx(0.0, abs=0.011)
    assert depths[1]["focal_length_px"] == pytest.approx(820.0, rel=0.03)
    assert errors(fitted, truth)["knee_flexion"] < 4.0


@pytest.mark.slow
def test_windows_join_and_the_second_camera_may_stop_early(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (whole_trial, cameras):
        monkeypatch.setattr(module, "WINDOW_KNOTS", 110)
    monkeypatch.setattr(whole_trial, "OVERLAP_KNOTS", 20)
    rng = np.random.default_rng(4)
    starts = np.cumsum(rng.uniform(2.6, 3.6, 7))
    squats = tuple((s, rng.uniform(1.8, 2.4), rng.uniform(60, 95)) for s in starts)
    time, other = np.arange(24 * 15) / 15, np.arange(14 * 15) / 15
    truth = body(motion(time, squats))
    first = filmed(time, truth, azimuth=0.0, noise_px=2.0)
    second = filmed(other, body(motion(other + 4.3, squats)), azimuth=70.0, noise_px=2.0, seed=1)
    fitted = entry.fit_body([first, second], draws=8)
    assert last(fitted)["cameras"][1]["time_offset_s"] == pytest.approx(4.3, abs=0.02)
    assert errors(fitted, truth)["knee_flexion"] < 5.0
    jump = np.abs(np.diff(points_of(fitted)[:, INDEX["left_hip"]], n=2, axis=0)).max()
    assert jump < 0.06  # 15 frames/s


def test_what_only_the_second_camera_sees_is_found() -> None:
    first, second, truth, _ = pair(noise_px=1.0)
    for name in ("position", "image_position"):
        first[name].loc[{"keypoint": "left_wrist"}] = np.nan
    points = points_of(entry.fit_body([first, second]))
    wrist, shoulder = (INDEX[f"left_{name}"] for name in ("wrist", "shoulder"))
    reach = np.linalg.norm(points[:, wrist] - points[:, shoulder], axis=-1)
    true = np.linalg.norm(truth[:, wrist] - truth[:, shoulder], axis=-1)
    assert np.abs(reach - true).mean() < 0.05


def test_seen_from_behind_by_one_camera_only_is_no_warning() -> None:
    assert last(entry.fit_body(list(pair((180.0, 30.0))[:2])))["warnings"] == []


def test_cameras_that_disagree_are_told_of() -> None:
    first, second, *_ = pair(noise_px=1.0)
    names = ["left_knee", "left_ankle", "left_elbow", "right_shoulder", "right_wrist", "left_hip"]
    off = np.array([60.0, -45.0])  # what would be 17 cm
    second["image_position"].loc[{"keypoint": names}] += off[None, :, None, None]
    fitted = entry.fit_body([first, second], draws=8)
    assert "cameras_disagree" in {w["code"] for w in last(fitted)["warnings"]}


def test_of_two_views_that_contradict_each_other_the_one_that_fits_is_measured() -> None:
    """Left and right of one camera are exchanged, which no place of it explains."""
    first, second, *_ = pair(noise_px=2.0)
    exchanged = second.copy(deep=True)
    names = [str(name) for name in second["keypoint"].values]
    order = [
        name.replace("left", "right") if "left" in name else name.replace("right", "left")
        for name in names
    ]
    for name in ("position", "image_position", "confidence"):
        exchanged[name].values[:] = second[name].sel(keypoint=order).values
    fitted = entry.fit_body([exchanged, first.assign_attrs(source_file="front.mp4")], draws=8)
    (warning,) = (w for w in last(fitted)["warnings"] if w["code"] == "one_view_taken")
    films = warning["values"]["film"], warning["values"]["other"]
    assert films == ("front.mp4", "the video from camera 1")
    assert last(fitted)["camera"] == 2
    assert cameras_of(fitted) == []
    np.testing.assert_array_equal(fitted["time"], first["time"])
    alone = entry.fit_body(first, draws=8)
    xr.testing.assert_equal(fitted, alone)
    assert contradiction(alone, alone, 0.0) is None


@pytest.mark.slow
def test_gradient_of_a_view_is_that_of_the_cost() -> None:
    problem, joints, shared = last_problem(list(pair(noise_px=2.0)[:2]), views=True)
    view = problem.views[0]
    columns = range(view.first, view.first + view.size)
    away = shared.copy()
    away[columns] += 0.03 * np.random.default_rng(1).standard_normal(view.size)
    gradient = terms.normal_equations(problem, joints, away).shared_gradient
    for i in (parts.FOCAL_FACTOR, parts.FIRST_OFFSET + 3, *columns):
        # The directions of the offsets are held in Gauss-Newton.
        expected = pytest.approx(gradient[i], rel=0.1, abs=2)
        assert half_slope(problem, joints, away, step=np.eye(shared.size)[i]) == expected


def calibrated(
    azimuths: tuple[float, ...] = (0.0, 75.0),
    *,
    up: bool = True,
    bent: tuple[float, ...] = (0.0,) * 5,
    scale: float = 1.0,
) -> Calibration:
    """The cameras of `pair` as a laboratory with z up knows them."""
    lenses = ((1100.0, 3.2, (720, 1280)), (820.0, 2.7, (1080, 1080)))
    world = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])  # x, y, z of it in ours
    cameras = []
    for name, azimuth, (focal, distance, size) in zip("ab", azimuths, lenses, strict=False):
        a = np.radians(azimuth)
        back = np.array([np.sin(a), 0.0, np.cos(a)])
        right = np.cross([0.0, 1.0, 0.0], back)
        turn = np.stack([right, [0.0, -1.0, 0.0], -back]) @ world.T
        place = scale * world @ (distance * back + [0.0, 1.0, 0.0])
        matrix = np.array([[focal, 0, size[0] / 2], [0, focal, size[1] / 2], [0, 0, 1.0]])
        lens = (name, size, matrix, np.array(bent))
        cameras.append(Camera(*lens, turn, -turn @ place, 0.3))
    above = np.array([0.0, 0.0, 1.0]) if up else None
    return Calibration(tuple(cameras), "lab.toml", "0" * 64, above, "by order")


@pytest.mark.parametrize(("azimuths", "scale"), [((0.0, 75.0), 1.0), ((40.0, -45.0), 0.9)])
def test_calibrated_cameras_measure(azimuths: tuple[float, float], scale: float) -> None:
    """And how tall somebody is: smaller, if the same pictures are of cameras that are nearer."""
    first, second, truth, _ = pair(azimuths)
    fitted = entry.fit_body([first, second], calibration=calibrated(azimuths, scale=scale))
    off = errors(fitted, truth)
    # Abduction depends on the width of the hips, which is larger than usual in this body; and its
    # trunk does not become shorter where the hips bend.
    assert max(off[name] for name in ANGLES if name != "hip_abduction") < 2.0
    depths = last(fitted)
    assert depths["calibrated"]["matched"] == "by order"
    assert depths["calibrated"]["vertical"]
    assert abs(depths["camera_pitch_deg"]) < 1.0
    for camera, focal, away in zip(depths["cameras"], (1100, 820), (3.2, 2.7), strict=True):
        assert camera["focal_length_px"] == pytest.approx(focal, rel=0.005)
        # The hips move about the middle.
        assert camera["distance_m"] == pytest.approx(scale * away, abs=0.15)
    assert depths["cameras"][1]["time_offset_s"] == pytest.approx(0.37, abs=0.011)
    assert leg(points_of(fitted)) == pytest.approx(scale * leg(truth), rel=0.015)


def leg(points: np.ndarray) -> float:
    """Thigh and shank, metres."""
    joints = points[:, [INDEX[f"left_{name}"] for name in ("hip", "knee", "ankle")]]
    return float(np.linalg.norm(np.diff(joints, axis=1), axis=-1).sum(axis=1).mean())


def test_the_lens_and_the_vertical_of_one_camera_are_taken() -> None:
    time = np.arange(120) / 30
    truth = body(motion(time, SQUATS[:1]))
    pose = filmed(time, truth, azimuth=40.0)
    bent = (-0.15, 0.05, 0.0, 0.0, 0.0)
    seen = pose.copy(deep=True)
    # What the lens does, by hand: x (1 + k1 r² + k2 r⁴).
    flat = (pose["image_position"].to_numpy() - [[[360.0]], [[640.0]]]) / 1100.0
    square = (flat**2).sum(axis=1, keepdims=True)
    flat *= 1 + bent[0] * square + bent[1] * square**2
    seen["image_position"].values[:] = flat * 1100.0 + [[[360.0]], [[640.0]]]
    lens = calibrated((40.0,), bent=bent)
    straight = entry.fit_body(seen, calibration=lens)
    depths = last(straight)
    assert depths["focal_length_px"] == pytest.approx(1100.0, rel=0.01)
    assert abs(depths["camera_pitch_deg"]) < 1.5
    assert depths["calibrated"]["cameras"] == ["a"]
    whole = entry.fit_body(pose, calibration=calibrated((40.0,)))
    np.testing.assert_allclose(points_of(straight), points_of(whole), atol=0.003)
    # The picture stays as it was seen, for drawing.
    xr.testing.assert_identical(straight["image_position"], seen["image_position"])


def test_lines_of_sight_tell_the_offset_where_heights_do_not() -> None:
    time = np.arange(150) / 30
    truth = body(np.full(150, 6.0))
    later = truth.copy()
    # One arm goes up as the other goes down.
    for points, at in ((truth, time), (later, time + 0.4)):
        swing = 0.25 * np.sin(2 * np.pi * at / 4.1) + 0.1 * np.sin(2 * np.pi * at / 1.3)
        for side, sign in (("left", 1.0), ("right", -1.0)):
            points[:, INDEX[f"{side}_wrist"], 1] += sign * swing
            points[:, INDEX[f"{side}_elbow"], 1] += 0.5 * sign * swing
    first = filmed(time, truth, azimuth=0.0, noise_px=1.0)
    how = {"focal": 820.0, "distance": 2.7, "size": (1080, 1080), "noise_px": 1.0, "seed": 1}
    second = filmed(time, later, azimuth=50.0, **how)
    with pytest.raises(BadInputError, match="hardly moves in the first video"):
        time_offset(first, second)
    fitted = entry.fit_body([first, second], calibration=calibrated((0.0, 50.0)))
    assert last(fitted)["cameras"][1]["time_offset_s"] == pytest.approx(0.4, abs=0.02)


def test_films_too_short_to_be_aligned_are_refused() -> None:
    time = np.arange(31) / 30
    truth = body(np.full(time.size, 6.0))
    how = {"focal": 820.0, "distance": 2.7, "size": (1080, 1080)}
    poses = [filmed(time, truth, azimuth=0.0), filmed(time, truth, azimuth=75.0, **how)]
    with pytest.raises(BadInputError, match="hardly moves in the two videos"):
        entry.fit_body(poses, calibration=calibrated())


def test_a_calibration_of_other_cameras_is_refused() -> None:
    first, second, *_ = pair(noise_px=1.0)
    rig = calibrated()
    kept, moved = rig.cameras
    assert moved.rotation is not None
    assert moved.translation is not None
    down = rotation_matrix(np.array([0.2, 0.0, 0.0]))
    turned = replace(moved, rotation=down @ moved.rotation, translation=down @ moved.translation)
    with pytest.raises(BadInputError, match="lines of sight of the calibrated cameras miss"):
        entry.fit_body([first, second], calibration=replace(rig, cameras=(kept, turned)))
    with pytest.raises(BadInputError, match="leave out field_of_view and focal_length"):
        entry.fit_body([first, second], calibration=calibrated(), focal_length=900.0)
    with pytest.raises(BadInputError, match="of another shape"):
        entry.fit_body([second, first], calibration=calibrated())


def test_bodies_are_laid_over_each_other_despite_outliers() -> None:
    rng = np.random.default_rng(0)
    points = rng.standard_normal((60, 3))
    turn, place = rotation_matrix(np.array([0.3, -1.2, 0.4])), np.array([1.0, -2.0, 0.5])
    others = points @ turn.T + place
    others[:6] += 3.0
    rotation, at = aligned(points, others, np.ones(60))
    np.testing.assert_allclose(rotation, turn, atol=0.01)
    np.testing.assert_allclose(at, place, atol=0.01)


def test_refusals() -> None:
    first, second, *_ = pair()
    time = first["time"].to_numpy()
    other = body(motion(time, ((0.3, 1.4, 60.0), (2.2, 1.1, 80.0), (4.4, 1.6, 70.0))))
    still = body(np.full(time.size, 6.0))
    raised = still.copy()
    wrists = [INDEX["left_wrist"], INDEX["right_wrist"]]
    raised[:, wrists, 1] -= 0.45 * (1 - np.cos(2 * np.pi * time / 2.3))[:, None]
    long = np.arange(360) / 30
    even = body(6.0 + 40.0 * (1 - np.cos(2 * np.pi * long / 2.5)))
    three = xr.concat([second] * 3, "individual", data_vars="minimal")
    three = three.assign_coords(individual=["a", "b", "c"])
    for one, two, message in (
        (first, filmed(time, other, azimuth=60.0), "not show the same movement"),
        (first, filmed(time, still, azimuth=60.0), "hardly moves in the second video"),
        (first, second.isel(time=slice(0, 30)), r"less than 1 s|same movement"),
        (filmed(long, even), filmed(long[:150], even[:150], azimuth=60.0), "ambiguous"),
    ):
        with pytest.raises(BadInputError, match=message):
            time_offset(one, two)
    for poses, message in (
        ([first, filmed(time, raised, azimuth=60.0)], "not show the same movement"),
        ([first, three], "3 individuals"),
        ([], "no pose"),
    ):
        with pytest.raises(BadInputError, match=message):
            entry.fit_body(poses)
    with pytest.raises(BadInputError, match="2 values for 1 cameras"):
        entry.fit_body(first, focal_length=(900.0, 800.0))


def test_rotation_is_its_derivative() -> None:
    vector, change = np.array([0.4, -0.9, 0.3]), np.array([1e-6, -2e-6, 3e-6])
    turned = rotation_matrix(vector + change) @ rotation_matrix(vector).T
    np.testing.assert_allclose(
        turned, rotation_matrix(terms.left_jacobian(vector) @ change), atol=1e-11
    )
