"""Landmarks corrected by hand: what they change, what they leave, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mobility.base.provenance import history
from mobility.errors import BadInputError
from mobility.kinematics.angles import joint_angles
from mobility.kinematics.clean import clean_pose
from mobility.kinematics.edited_points import edit_points, edited_frames, with_points
from mobility.kinematics.skeleton import INDEX, KEYPOINTS, other_side
from mobility.virtual_lab.case import read_truth, truth_pose

FRAMES = slice(40, 46)
KNEE = INDEX["right_knee"]
_LEGS = ("knee", "ankle", "heel", "foot_index")
MIRROR = [INDEX[other_side(name)] for name in KEYPOINTS]


@pytest.fixture
def truth(squat_pose) -> xr.Dataset:
    return squat_pose().pose


@pytest.fixture
def wrong(truth) -> xr.Dataset:
    """The knee is elsewhere in six frames, in the picture and in space."""
    image, position = (truth[name].copy(deep=True) for name in ("image_position", "position"))
    image[{"time": FRAMES, "keypoint": KNEE}] += 90.0
    position[{"time": FRAMES, "keypoint": KNEE}] += 0.3
    return truth.assign(image_position=image, position=position)


def points(pose, frames=range(40, 46), *, bad=True) -> pd.DataFrame:
    time, image = pose.time.values, pose.image_position.isel(keypoint=KNEE).squeeze()
    rows = [{"kind": "bad", "start": time[40], "end": time[45], "landmark": "right_knee"}] * bad
    for k in frames:
        u, v = (float(image.sel(pixel=axis)[k]) for axis in ("u", "v"))
        point = {"kind": "point", "start": round(time[k], 2), "landmark": "right_knee"}
        rows.append(point | {"u": u, "v": v})
    return pd.DataFrame(rows)


def of_knee(pose, name="image_position"):
    return pose[name].isel(keypoint=KNEE).squeeze().transpose("time", ...).values


def test_points_bring_a_wrong_landmark_back(truth, wrong):
    before = wrong.copy(deep=True)
    edited = edit_points(wrong, points(truth))
    xr.testing.assert_identical(wrong, before)
    assert of_knee(edited) == pytest.approx(of_knee(truth), abs=1e-3)
    # The depth is not seen in the picture, but what is before and after tells it.
    assert np.abs(of_knee(edited, "position") - of_knee(truth, "position")).max() < 0.02
    others = [name for name in KEYPOINTS if name != "right_knee"]
    for name in ("image_position", "position", "confidence"):
        xr.testing.assert_equal(edited[name].sel(keypoint=others), truth[name].sel(keypoint=others))
    entry = history(edited)[-1]
    assert entry["operation"] == "edit_points"
    assert len(entry["arguments"]["points"]) == 7
    assert entry["left_out_points"] == 0


def test_bad_frames_are_not_seen(truth, wrong):
    edited = edit_points(wrong, points(truth, ()))
    assert np.isnan(of_knee(edited)[FRAMES]).all()
    assert (of_knee(edited, "confidence")[FRAMES] == 0).all()
    assert np.isfinite(np.delete(of_knee(edited), FRAMES, axis=0)).all()
    # A single right point in a bad stretch stays after the cleaning, and others come from it.
    one = clean_pose(edit_points(wrong, points(truth, [43])))
    near = np.abs(of_knee(one) - of_knee(truth))[FRAMES]
    assert np.nanmax(near) < 3.0
    everything = pd.DataFrame([{"kind": "bad", "start": 1.0, "end": 1.1}])
    edited = edit_points(wrong, everything)
    assert np.isnan(edited.position.sel(time=slice(1.0, 1.1))).all()


def test_sides_are_exchanged_and_stay_exchanged(truth):
    time = truth.time.values
    edited = edit_points(
        truth, pd.DataFrame([{"kind": "exchange", "start": time[30], "end": time[59]}])
    )
    for name in ("image_position", "position", "confidence"):
        found = edited[name].isel(time=slice(30, 60)).transpose(..., "keypoint").values
        was = truth[name].isel(time=slice(30, 60)).transpose(..., "keypoint").values
        np.testing.assert_array_equal(found, was[..., MIRROR])
        xr.testing.assert_equal(edited[name].isel(time=slice(0, 30)), truth[name][:30])


def test_the_sides_are_those_of_the_cleaned_pose(truth):
    """The model exchanges the legs; the person sees them right, and sets the right knee there."""
    swapped = truth.copy(deep=True)
    legs = [INDEX[f"{side}_{name}"] for side in ("left", "right") for name in _LEGS]
    others = [INDEX[f"{side}_{name}"] for side in ("right", "left") for name in _LEGS]
    rows = slice(40, 60)
    for name in ("image_position", "position", "confidence"):
        values = truth[name].isel(time=rows, keypoint=others).values
        swapped[name][{"time": rows, "keypoint": legs}] = values
    edited = edit_points(swapped, points(truth, [50], bad=False))
    cleaned = clean_pose(edited)
    assert of_knee(edited) == pytest.approx(of_knee(truth), abs=1e-3)
    assert cleaned.attrs["sides_exchanged"] == "{}"
    warned = [each["code"] for each in history(edited)[-1].get("warnings", [])]
    assert warned == ["sides_exchanged"]


def test_a_point_of_a_frame_that_is_gone_is_left_out(truth):
    rows = [{"kind": "point", "start": 1.234, "end": 1.234, "landmark": "nose", "u": 5.0, "v": 6.0}]
    few = truth.isel(time=slice(None, None, 30)).assign_attrs(video_fps=30.0)
    assert history(with_points(few, rows))[-1]["left_out_points"] == 1
    assert with_points(truth, []) is truth


@pytest.mark.parametrize(("frames", "count"), [(10, 1), (10, 5), (10, 10), (38, 38)])
def test_the_knee_of_a_rendered_squat_comes_back(frames, count, program):
    """In a long stretch too: the depth of a point must not come from standing before and after."""
    hand_points = program("hand_points")
    pose = xr.load_dataset(hand_points.DEMOS / "squat" / "pose.nc")
    truth = read_truth(hand_points.DEMOS / "squat" / "truth.nc")
    true = joint_angles(truth_pose(truth))["knee_flexion"].sel(side="right")
    rng = np.random.default_rng(3)
    bottom = int(np.abs(pose.time.values - float(truth["bottom"][1])).argmin())
    rows = bottom - frames // 2 + np.arange(frames)
    moved = hand_points.moved(pose, "right_knee", rows, rng)
    points = hand_points.by_hand(pose, "right_knee", rows, count, rng)

    def rms(changed):
        difference = hand_points.knee(changed, "right") - true.interp(time=pose.time)
        return float(np.sqrt((difference[rows] ** 2).mean()))

    usual = rms(pose)
    assert rms(moved) > 2 * usual
    # A point is 1 % of the height wrong, which adds to the error.
    assert rms(edit_points(moved, points)) < 1.2 * usual + 0.5


def test_depth_is_interpolated_over_a_second_and_no_longer(truth):
    time = truth.time.values
    for length, has_depth in ((1.0, True), (1.2, False)):
        last = int(np.searchsorted(time, time[40] + length - 0.1))
        rows = [{"kind": "bad", "start": time[40], "end": time[last], "landmark": "right_knee"}]
        point = {"kind": "point", "start": time[50], "landmark": "right_knee", "u": 9.0, "v": 9.0}
        edited = edit_points(truth, pd.DataFrame([*rows, point]))
        assert of_knee(edited)[50].tolist() == [9.0, 9.0]
        assert np.isfinite(of_knee(edited, "position")[50]).all() == has_depth


def test_stretches_are_joined():
    rows = [{"start": 2.0, "end": 3.0}, {"start": 0.5, "end": 0.5}, {"start": 2.5, "end": 4.0}]
    assert edited_frames(rows) == [(0.5, 0.5), (2.0, 4.0)]


POINT = {"kind": "point", "start": 1.0, "landmark": "right_knee", "u": 10.0, "v": 10.0}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (POINT | {"kind": "pont"}, r"row 2: kind must be one of .*'pont'.*did you mean 'point'"),
        (POINT | {"landmark": "right_kne"}, "the landmark 'right_kne' is unknown"),
        (POINT | {"landmark": None}, "row 2: a row of kind point needs landmark; enter it"),
        (POINT | {"end": 2.0}, "row 2: a row of kind point has no end; leave it empty"),
        (POINT | {"u": -3.0}, "row 2: the point -3,10 is outside the picture"),
        (POINT | {"v": 1e9}, "row 2: the point .* is outside the picture"),
        (POINT | {"u": "left"}, "row 2: u must be a number"),
        (POINT | {"start": 999.0}, "row 2: it is outside the video.*is it of another video"),
        (POINT | {"start": -1.0}, "row 2: it is outside the video"),
        ({"kind": "bad", "start": 2.0, "end": 1.0}, "row 2: its end is before its start"),
        ({"kind": "bad", "start": 0.0, "end": None}, "row 2: a row of kind bad needs end"),
        ({"kind": "bad", "start": 0.0, "end": 3.99}, "row 2: it covers the whole video"),
        ({"kind": "exchange", "start": 1.0, "end": 2.0, "landmark": "nose"}, "has no landmark"),
        ({"kind": "bad", "start": 1.0, "end": 2.0, "u": 4.0}, "row 2: a row of kind bad has no u"),
    ],
)  # fmt: skip
def test_wrong_rows_are_refused(truth, row, message):
    if "whole" in message:
        row = row | {"end": float(truth.time[-1])}
    with pytest.raises(BadInputError, match=message):
        edit_points(truth, pd.DataFrame([POINT, row]))


def test_wrong_columns_are_refused(truth):
    with pytest.raises(
        BadInputError, match=r"'landmrk' is unknown.*landmark.*the columns are kind"
    ):
        edit_points(truth, pd.DataFrame([POINT]).rename(columns={"landmark": "landmrk"}))
    with pytest.raises(BadInputError, match="the column 'start' is missing"):
        edit_points(truth, pd.DataFrame([POINT]).drop(columns="start"))
    with pytest.raises(BadInputError, match="must be a DataFrame"):
        edit_points(truth, [POINT])
