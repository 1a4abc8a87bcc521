"""Each step of the cleaning on faults that were put in on purpose."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from mobility.base.provenance import history, warnings_of
from mobility.errors import BadInputError
from mobility.exchange.movement_poses import from_movement, to_movement
from mobility.kinematics.angles import joint_angles
from mobility.kinematics.clean import clean_pose, low_pass, with_sides_exchanged_as_in
from mobility.kinematics.skeleton import INDEX
from mobility.sessions.files import read_dataset


def steps(cleaned):
    return {step["step"]: step for step in history(cleaned)[-1]["steps"]}


def error(pose, truth, name="knee_flexion"):
    return float(np.abs(joint_angles(pose)[name] - truth[name]).max())


def with_points(pose, keypoint, rows, offset):
    position = pose.position.copy(deep=True)
    position[{"time": rows, "keypoint": INDEX[keypoint]}] += np.reshape(offset, (3, 1))
    return pose.assign(position=position)


def test_a_clean_pose_hardly_changes(squat_pose):
    pose, truth = squat_pose()
    cleaned = clean_pose(pose)
    assert error(cleaned, truth) < 0.05
    assert steps(cleaned)["hampel"]["removed_points"]["position"] == 0
    assert list(steps(cleaned)) == [
        "visibility_gate", "sides_mixed", "swap_repair", "limb_length_gate", "hampel", "gaps",
        "low_pass",
    ]  # fmt: skip
    assert "warnings" not in history(cleaned)[-1]


@pytest.mark.parametrize("rate", [30.0, 120.0])
def test_two_passes_have_the_gain_of_one_half_power_at_the_cutoff(rate):
    time = np.arange(0, 40, 1 / rate)
    wave = np.sin(2 * np.pi * 6 * time)
    smooth = low_pass(wave, cutoff_hz=6.0, rate_hz=rate)
    middle = slice(len(time) // 4, 3 * len(time) // 4)
    gain = (smooth[middle] @ wave[middle]) / (wave[middle] @ wave[middle])
    assert gain == pytest.approx(np.sqrt(0.5), abs=1e-3)
    assert low_pass(np.ones(50), cutoff_hz=6.0, rate_hz=rate) == pytest.approx(1)
    with pytest.raises(BadInputError, match="12 samples/s"):
        low_pass(wave, cutoff_hz=6.0, rate_hz=12.0)


def test_filter_reduces_noise_by_the_bandwidth_it_removes(squat_pose):
    pose, truth = squat_pose(fps=60, reps=4, noise=0.01)
    clean = squat_pose(fps=60, reps=4).pose
    left = clean_pose(pose, limb_length_tolerance=10.0).position - clean.position
    ratio = float(np.sqrt((left**2).mean())) / 0.01
    assert 0.35 < ratio < 0.55  # sqrt(6 Hz of 30 Hz) = 0.45
    raw, smooth = (
        float(np.abs(joint_angles(each)["knee_flexion"] - truth["knee_flexion"]).mean())
        for each in (pose, clean_pose(pose))
    )
    assert smooth < 0.6 * raw


def test_invisible_points_are_removed_and_short_absences_filled(squat_pose):
    pose, truth = squat_pose(reps=1)
    confidence = pose.confidence.copy(deep=True)
    confidence[{"time": slice(40, 44), "keypoint": INDEX["left_knee"]}] = 0.3
    confidence[{"time": slice(80, 95), "keypoint": INDEX["left_knee"]}] = 0.3
    cleaned = clean_pose(pose.assign(confidence=confidence))
    knee = cleaned.position.sel(keypoint="left_knee").isel(individual=0)
    assert steps(cleaned)["visibility_gate"]["removed_points"] == 19
    assert knee.isel(time=slice(40, 44)).notnull().all()
    assert knee.isel(time=slice(80, 95)).isnull().all()
    assert cleaned.image_position.sel(keypoint="left_knee").isel(time=85).isnull().all()
    assert error(cleaned.isel(time=slice(0, 79)), truth.isel(time=slice(0, 79))) < 1.0
    assert (
        clean_pose(pose.assign(confidence=confidence), visibility_threshold=0.2)
        .position.notnull()
        .all()
    )


@pytest.mark.parametrize(("frames", "filled"), [(6, True), (7, False)])
def test_a_gap_of_two_tenths_of_a_second_is_the_longest_that_is_filled(squat_pose, frames, filled):
    pose = squat_pose(
        reps=1, missing={"right_ankle": (1.0 - 1e-6, 1.0 + (frames - 1) / 30 + 1e-6)}
    ).pose
    assert int(pose.position.sel(keypoint="right_ankle", space="x").isnull().sum()) == frames
    ankle = clean_pose(pose).position.sel(keypoint="right_ankle", space="x")
    assert int(ankle.isnull().sum()) == (0 if filled else frames)


def test_nothing_is_extrapolated_and_parts_beside_a_long_gap_do_not_touch(squat_pose):
    pose = squat_pose(reps=1, absent=[(0, 0.05), (2.0, 2.6), (4.3, 9)], noise=0.002).pose
    gone = pose.position.isnull()
    assert 0 < int(gone.isel(space=0, keypoint=0).sum()) < 30
    cleaned = clean_pose(pose)
    xr.testing.assert_equal(cleaned.position.isnull(), gone)
    # Nor where the frames are not in the video at all.
    for holed in (pose, pose.isel(time=np.r_[0:55, 80 : pose.sizes["time"]])):
        moved = holed.position.copy(deep=True)
        moved[{"time": (holed.time > 2.6).to_numpy()}] += 5.0
        a, b = (
            clean_pose(each, repair_swaps=False).position.isel(time=slice(0, 50))
            for each in (holed, holed.assign(position=moved))
        )
        np.testing.assert_allclose(a, b, atol=1e-6)
    assert clean_pose(squat_pose(reps=1, absent=[(0, 99)]).pose).position.isnull().all()


def test_a_spike_is_removed_and_a_movement_is_not(squat_pose):
    pose, truth = squat_pose(reps=1)
    spiked = with_points(pose, "left_wrist", 60, [0.0, 0.08, 0.0])
    cleaned = clean_pose(spiked, limb_length_tolerance=10.0)
    assert steps(cleaned)["hampel"]["removed_points"]["position"] == 1
    assert error(cleaned, truth, "elbow_flexion") < 1.0


def test_a_limb_of_sudden_length_loses_its_far_end(squat_pose):
    pose, truth = squat_pose(reps=1)
    stretched = with_points(pose, "right_ankle", [50, 51, 52, 53], [0, -0.1, 0.0])
    cleaned = clean_pose(stretched)
    assert steps(cleaned)["limb_length_gate"]["removed_points"] >= 4
    assert error(cleaned, truth) < 2.0


def test_slow_change_of_length_with_the_posture_is_kept(squat_pose):
    """The depth bias of a raw pose shortens the thigh at the bottom; that is no outlier."""
    pose, truth = squat_pose(reps=2)
    position = pose.position.copy(deep=True)
    squeeze = 1 - 0.4 * truth.crouch.to_numpy()
    position[{"space": 2}] = position.isel(space=2) * xr.DataArray(squeeze, dims="time")
    cleaned = clean_pose(pose.assign(position=position))
    assert steps(cleaned)["limb_length_gate"]["removed_points"] == 0
    assert cleaned.position.notnull().all()


@pytest.mark.parametrize(
    ("fps", "code", "cutoff"), [(5, "not_filtered", None), (12, "cutoff_lowered", 4.8)]
)
def test_low_frame_rates_and_short_trials_are_filtered_less_and_say_so(
    squat_pose, fps, code, cutoff
):
    pose, truth = squat_pose(fps=fps)
    cleaned = clean_pose(pose)
    assert [w["code"] for w in warnings_of(cleaned)] == [code]
    expected = None if cutoff is None else pytest.approx(cutoff)
    assert steps(cleaned)["low_pass"].get("cutoff_hz") == expected
    assert error(cleaned, truth) < (1e-6 if cutoff is None else 2.5)
    more = clean_pose(pose.assign_attrs(video_fps=60.0))
    assert [w["code"] for w in warnings_of(more)] == ([code] if cutoff is None else [])
    for frames in (1, 2, 3, 8):
        assert clean_pose(pose.isel(time=slice(0, frames))).position.notnull().all()


def test_input_history_options_and_uneven_times(squat_pose):
    pose, truth = squat_pose(reps=1, jitter=0.4, swapped=[(2, 2.4)])
    before = pose.copy(deep=True)
    cleaned = clean_pose(pose, cutoff_hz=5.0)
    xr.testing.assert_identical(pose, before)
    np.testing.assert_array_equal(cleaned.time, pose.time)
    assert error(cleaned, truth) < 0.5
    entry = history(cleaned)[-1]
    assert entry["operation"] == "clean_pose"
    usual = {"visibility_threshold": 0.5, "repair_swaps": True, "limb_length_tolerance": 0.15}
    assert entry["arguments"] == {**usual, "max_gap_s": 0.2, "cutoff_hz": 5.0}
    assert set(cleaned.data_vars) == set(pose.data_vars)
    for name in pose.data_vars:
        assert cleaned[name].dims == pose[name].dims
        assert cleaned[name].attrs == pose[name].attrs
    xr.testing.assert_identical(clean_pose(pose, cutoff_hz=5.0), cleaned)
    for wrong, options, message in (
        (pose, {"cutof_hz": 4.0}, "did you mean 'cutoff_hz'"),
        (pose, {"visibility_threshold": 2.0}, "visibility_threshold"),
        (pose.isel(keypoint=slice(None, None, -1)), {}, "MediaPipe's order"),
    ):
        with pytest.raises(BadInputError, match=message):
            clean_pose(wrong, **options)


def test_points_of_a_pose_without_depth_are_counted_as_those_with_depth(squat_pose):
    pose = squat_pose().pose
    legs = [f"{side}_{joint}" for side in ("left", "right") for joint in ("hip", "knee", "ankle")]
    pose["confidence"].loc[{"keypoint": legs, "time": slice(1.0, None)}] = 0.05
    flat = from_movement(to_movement(pose, of="picture"))
    with_depth, without = clean_pose(pose), clean_pose(flat)
    assert steps(without)["visibility_gate"] == steps(with_depth)["visibility_gate"]
    assert steps(without)["visibility_gate"]["removed_points"] > 0
    removed = [w for w in warnings_of(without) if w["code"] == "points_removed"]
    assert removed == warnings_of(with_depth)
    gone = flat.assign(image_position=flat.image_position.where(flat.time.round(3) != 1.0))
    assert clean_pose(gone).attrs["lost_share"] == pytest.approx(1 / pose.sizes["time"])


def test_much_removed_and_exchanged_sides_are_warned_of(squat_pose):
    pose, _ = squat_pose()
    assert warnings_of(clean_pose(pose)) == []
    hidden = pose.copy(deep=True)
    legs = ["left_knee", "left_ankle", "left_heel", "left_foot_index"]
    hidden["confidence"].loc[{"keypoint": legs}] = 0.2
    (warning,) = warnings_of(clean_pose(hidden))
    assert warning["code"] == "points_removed"
    # 4 of the 16 points of shoulders, elbows, wrists, hips, knees, ankles, heels and toes.
    assert warning["message"].startswith("25 % of the body points were removed")
    few = pose.copy(deep=True)
    few["confidence"].loc[{"keypoint": ["left_ear", "nose", "mouth_left"]}] = 0.2
    assert warnings_of(clean_pose(few)) == []

    swapped = exchange(pose, ("legs",), np.arange(60, 66))
    (warning,) = warnings_of(clean_pose(swapped))
    assert warning["code"] == "sides_exchanged"
    assert "legs in 6 frames" in warning["message"]
    assert "swap_repair" not in steps(clean_pose(swapped, repair_swaps=False))


PARTS = {
    "legs": ("knee", "ankle", "heel", "foot_index"),
    "arms": ("elbow", "wrist", "pinky", "index", "thumb"),
    "trunk": ("hip", "shoulder"),
}
WHOLE = ("legs", "arms", "trunk")


def exchange(pose, parts, rows):
    """Exchange left and right of parts of the body in some frames."""
    swapped = pose.copy(deep=True)
    names = [name for part in parts for name in PARTS[part]]
    places = [[INDEX[f"{side}_{name}"] for name in names] for side in ("left", "right")]
    for name in ("position", "image_position", "image_depth", "confidence", "presence"):
        values = swapped[name].to_numpy()
        axis = swapped[name].get_axis_num("keypoint")
        assert swapped[name].get_axis_num("time") == 0
        part = np.moveaxis(values[rows], axis, -1)
        part = np.stack([part[..., places[1]], part[..., places[0]]])
        for place, given in zip(places, part, strict=True):
            index = [rows, *[slice(None)] * (values.ndim - 1)]
            for i, k in enumerate(place):
                index[axis] = k
                values[tuple(index)] = given[..., i]
    return swapped


def labels_right(swapped, pose, parts):
    """Frames mended by the history, and whether each frame has its own labels after cleaning."""
    options = {"visibility_threshold": 0, "cutoff_hz": None}
    cleaned, unswapped = clean_pose(swapped, **options), clean_pose(pose, **options)
    other = exchange(unswapped, parts, np.arange(pose.sizes["time"]))
    names = [
        f"{side}_{name}" for part in parts for name in PARTS[part] for side in ("left", "right")
    ]

    def distance(truth):
        off = (cleaned.position - truth.position).sel(keypoint=names).isel(individual=0)
        return np.sqrt((off**2).sum("space", skipna=False)).mean("keypoint").to_numpy()

    right = ~(distance(other) < distance(unswapped))  # what was blanked is neither
    return steps(cleaned)["swap_repair"]["swapped_frames"], right


@pytest.mark.parametrize("parts", [("legs",), ("arms",), WHOLE])
def test_pictures_have_the_sides_that_cleaning_gave(demo_pose, parts):
    rows = np.r_[20:24, 80:110]
    swapped = exchange(demo_pose, parts, rows)
    cleaned = clean_pose(swapped)
    drawn = with_sides_exchanged_as_in(swapped, cleaned)
    assert steps(cleaned)["swap_repair"]["swapped_frames"][parts[0]] == rows.size
    xr.testing.assert_identical(drawn, demo_pose)
    assert not swapped["image_position"].equals(drawn["image_position"])
    # A pose that was never cleaned is drawn as it was detected.
    xr.testing.assert_identical(with_sides_exchanged_as_in(swapped, swapped), swapped)


@pytest.fixture(scope="module")
def demo_pose(demo):
    return read_dataset(demo / "pose.nc")


@pytest.mark.parametrize("parts", [("legs",), ("arms",), WHOLE])
def test_exchanges_anywhere_in_the_demo_are_mended(demo_pose, parts):
    frames = demo_pose.sizes["time"]
    for length in (1, 2, 30):
        starts = range(20, frames - 60, 60)
        rows = np.concatenate([np.arange(start, start + length) for start in starts])
        counts, right = labels_right(exchange(demo_pose, parts, rows), demo_pose, parts)
        assert right[rows].mean() >= 0.95
        assert np.delete(right, rows).all()
        for part in WHOLE:
            expected = rows.size if part in parts else 0
            assert counts[part] == pytest.approx(expected, abs=0.05 * rows.size)
    for ends in (slice(0, 1), slice(0, 30), slice(-15, None)):
        rows = np.arange(frames)[ends]
        counts, right = labels_right(exchange(demo_pose, parts, rows), demo_pose, parts)
        assert right[rows].all()
        mended = {part: count for part, count in counts.items() if count}
        assert mended == dict.fromkeys(parts, rows.size)


@pytest.mark.parametrize("heading", [0, 90, -90, 180])
def test_exchanges_are_mended_from_every_side(squat_pose, heading):
    pose = squat_pose(heading=heading, noise=0.012, turn_out=10).pose
    assert not any(labels_right(pose, pose, WHOLE)[0].values())
    for parts in (("legs",), ("arms",), WHOLE):
        for rows in (np.arange(40, 41), np.arange(100, 130), np.arange(10)):
            counts, _ = labels_right(exchange(pose, parts, rows), pose, parts)
            assert {part: count for part, count in counts.items() if count} == dict.fromkeys(
                parts, rows.size
            )


def test_nothing_is_exchanged_in_poses_that_are_right(demo_pose, squat_pose):
    counts, _ = labels_right(demo_pose, demo_pose, WHOLE)
    assert not any(counts.values())
    # Turning round is no exchange.
    flat = squat_pose(noise=0.003).pose
    time = np.arange(flat.sizes["time"])
    pose = turned(flat, 180 / (1 + np.exp(-(time - 150) / 6)))
    assert not any(labels_right(pose, pose, WHOLE)[0].values())


def turned(pose, degrees):
    """Turn the body about the vertical by an angle for each frame, and lose most of its depth."""
    angle = np.radians(degrees)[:, None]
    position = pose.position.transpose("time", "space", "keypoint", "individual").copy(deep=True)
    x, y, z = (position.isel(space=i, individual=0).to_numpy() for i in range(3))
    across, towards = x * np.cos(angle) + z * np.sin(angle), z * np.cos(angle) - x * np.sin(angle)
    position.values[..., 0] = np.stack([across, y, 0.1 * towards], axis=1)
    return pose.assign(position=position)


@pytest.mark.slow
def test_a_filmed_exchange_is_mended_in_the_whole_body(shared_data, pose_model):
    """Balancing on one leg, the model turns the person round for 0.4 s; nobody turns in 0.05 s."""
    import mobility

    raw = mobility.estimate_pose(shared_data / "videos" / "pose2sim_balance_cam02_front.mp4")
    cleaned = clean_pose(raw, visibility_threshold=0.1)
    assert min(steps(cleaned)["swap_repair"]["swapped_frames"].values()) > 15

    def leftwards(pose, name):
        """Frames in which the left one is on the picture's right, as of a person who faces it."""
        u = pose.image_position.sel(pixel="u").isel(individual=0)
        left, right = u.sel(keypoint=f"left_{name}"), u.sel(keypoint=f"right_{name}")
        return float((left > right).where((left - right).notnull()).mean())

    assert leftwards(raw, "shoulder") < 0.85
    assert leftwards(cleaned, "shoulder") > 0.97


def test_frames_in_which_the_sides_pass_through_each_other_are_left_out(squat_pose):
    """On the way from one side to the other landmarks are on neither."""
    pose = squat_pose(reps=2).pose
    mixed = pose.copy(deep=True)
    rows = slice(60, 64)
    for name in ("position", "image_position"):
        for part in ("hip", "knee", "ankle"):
            pair = [f"left_{part}", f"right_{part}"]
            middle = mixed[name][{"time": rows}].sel(keypoint=pair).mean("keypoint")
            for one in pair:
                mixed[name][{"time": rows, "keypoint": INDEX[one]}] = middle
    cleaned = clean_pose(mixed)
    assert steps(cleaned)["sides_mixed"]["removed_frames"] == 4
    assert cleaned.attrs["lost_share"] == pytest.approx(4 / pose.sizes["time"])
    legs = {"keypoint": slice(INDEX["left_hip"], None)}
    off = cleaned.position[legs] - clean_pose(pose).position[legs]
    assert float(np.abs(off).max()) < 0.01
    assert clean_pose(pose).attrs["lost_share"] == 0


def test_frames_without_a_pose_between_others_are_lost(squat_pose):
    pose = squat_pose(reps=1).pose
    position = pose.position.copy(deep=True)
    position[{"time": slice(0, 20)}] = np.nan  # not there yet
    position[{"time": slice(40, 50)}] = np.nan
    cleaned = clean_pose(pose.assign(position=position))
    assert cleaned.attrs["lost_share"] == pytest.approx(10 / (pose.sizes["time"] - 20))


def test_legs_that_change_places_in_the_picture_only_are_counted(squat_pose):
    """From the side, one leg ahead: what space does not show nobody can put back."""
    pose = squat_pose(heading=90, reps=1).pose
    apart = pose.copy(deep=True)
    legs = [INDEX[f"left_{name}"] for name in PARTS["legs"]]
    apart.image_position[{"pixel": 0, "keypoint": legs}] += 150.0
    assert clean_pose(apart).attrs["legs_exchanged"] == 0
    jumping = exchange(apart, ("legs",), np.r_[30:50, 70:80])
    cleaned = clean_pose(apart.assign(image_position=jumping.image_position))
    assert cleaned.attrs["legs_exchanged"] == 4
