"""The capture quality against pictures and poses whose quality is known."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import xarray as xr
from scipy.special import ndtr

from mobility import tables
from mobility.assessment.verdict import judge
from mobility.base.provenance import with_history
from mobility.capture.pose import fraction_outside
from mobility.capture.quality import body_height_px, capture_quality, edge_width, verdict
from mobility.capture.video import probe, read_frames, write_video
from mobility.kinematics.clean import clean_pose
from mobility.sessions.files import read_dataset

DEMO_DISTANCE_M = 3.3
"""Of data/demo/overhead-squat/case.yaml."""


@pytest.fixture(scope="module")
def demo(demo):
    """Pose, fit and video of the demo."""
    pose, fitted = (read_dataset(demo / f"{name}.nc") for name in ("pose", "fitted"))
    return SimpleNamespace(pose=pose, fitted=fitted, info=probe(demo / "video.mp4"))


def surveyed(demo, **seen):
    """The pose of the demo, whose survey saw something else."""
    survey = {**json.loads(demo.pose.attrs["survey"]), **seen}
    return demo.pose.copy(deep=True).assign_attrs(survey=json.dumps(survey))


def changed(demo, folder, change, *, frames=120):
    """Write the first frames of the demo, changed, and describe the file."""
    path = folder / "changed.mp4"
    pictures = []
    for frame in read_frames(demo.info.path):
        if len(pictures) == frames:
            break
        pictures.append((frame.time, np.ascontiguousarray(change(frame.image))))
    write_video(path, pictures, crf=18)
    return capture_quality(demo.pose.isel(time=slice(0, frames)), probe(path))


def stripes(blur, *, low, high, period=40):
    """Edges of a known blur, one in 20 columns: the share that counts as an edge."""
    x = (np.arange(10 * period) % period) - period / 2
    rising = ndtr((x + period / 4) / blur) - ndtr((x - period / 4) / blur)
    return np.broadcast_to((low + (high - low) * rising).round(), (99, x.size)).astype(np.uint8)


def test_the_width_of_an_edge_is_that_of_its_blur():
    for blur in (0.7, 1.0, 3.0):
        for low, high in (60, 180), (10, 250):
            width = edge_width(stripes(blur, low=low, high=high))
            assert width == pytest.approx(blur, rel=0.15)
    assert np.isnan(edge_width(np.full((50, 50), 128, np.uint8)))  # a flat picture has none


def test_the_demo_is_ok_and_what_is_known_of_it_is_found(demo):
    checks = capture_quality(demo.pose, demo.info, demo.fitted)
    json.dumps(checks, allow_nan=False)
    for check in (
        *("view", "framing", "frames", "rate", "camera", "distance"),
        *("size", "light", "sharpness", "swaps"),
    ):
        assert (checks[check]["verdict"], checks[check]["advice"]) == ("ok", None), check
    assert checks["view"]["name"] == "front-oblique left"
    # The lens of the demo is longer than those of phones: too near, at the edge of what is told.
    far, sd = checks["distance"]["distance_m"], checks["distance"]["distance_sd_m"]
    assert far == pytest.approx(DEMO_DISTANCE_M, abs=2.5 * sd)
    assert checks["distance"]["known_from"].startswith("from the fitted body, with a height of 1.")
    measured = demo.pose.sizes["time"]
    assert (checks["frames"]["total"], checks["frames"]["with_person"]) == (measured, measured)
    # A focal length that was given is not as uncertain as one that was fitted.
    history = json.loads(demo.fitted.attrs["history"])
    sds = {}
    for source in ("usual", "given"):
        history[-1] |= {"focal_length_from": source}
        fitted = demo.fitted.assign_attrs(history=json.dumps(history))
        sds[source] = capture_quality(demo.pose, demo.info, fitted)["distance"]["distance_sd_m"]
    assert sds["given"] < sds["usual"]
    # Without a fit it is a guess from the size: 20 % of the focal length, 6 % of the height.
    distance = capture_quality(demo.pose, demo.info)["distance"]
    far, sd = distance["distance_m"], distance["distance_sd_m"]
    assert "typical lens" in distance["known_from"]
    assert sd == pytest.approx(0.209 * far, abs=0.01)
    assert far == pytest.approx(DEMO_DISTANCE_M, abs=3 * sd)


@pytest.mark.slow
def test_a_blurred_video_is_called_blurred(demo, tmp_path):
    for width, expected in (5, "poor"), (10, "unusable"):
        checks = changed(
            demo, tmp_path, lambda image, width=width: cv2.GaussianBlur(image, (0, 0), width)
        )
        assert checks["sharpness"]["verdict"] == expected
        assert "focus" in checks["sharpness"]["advice"]
    assert checks["light"]["verdict"] == "ok"


def test_dark_and_overexposed_videos_are_called_so(demo, tmp_path):
    for factor, expected, words in (
        (0.2, "poor", "more light"),
        (0.05, "unusable", "more light"),
        (2.3, "poor", "sun"),
    ):
        light = changed(
            demo,
            tmp_path,
            lambda image, factor=factor: np.clip(image * factor, 0, 255).astype(np.uint8),
            frames=30,
        )["light"]
        assert light["verdict"] == expected
        assert words in light["advice"]


def test_parts_outside_or_at_the_border_are_counted(squat_pose):
    pose = squat_pose(reps=1, fps=10).pose.assign_attrs(image_width=1000, image_height=1000)
    marks = xr.full_like(pose.image_position, 500.0)
    frames = pose.sizes["time"]
    marks[{"time": slice(0, 10)}].loc[{"keypoint": "left_heel", "pixel": "v"}] = 985.0
    marks[{"time": slice(0, 4)}].loc[{"keypoint": "right_wrist", "pixel": "u"}] = -3.0
    shoulders = {"keypoint": ["left_shoulder", "right_shoulder"], "pixel": "v"}
    marks[{"time": slice(4, 9)}].loc[{"keypoint": "nose", "pixel": "v"}] = 40.0
    marks[{"time": slice(4, 9)}].loc[shoulders] = 100.0  # the forehead is at 10
    shares = fraction_outside(pose.assign(image_position=marks), margin=0.02)
    assert shares == {"head": 0.0, "hands": 4 / frames, "feet": 10 / frames}
    marks[{"time": slice(4, 7)}].loc[shoulders] = 130.0  # and here 5 above the picture
    assert fraction_outside(pose.assign(image_position=marks))["head"] == 3 / frames
    marks[{"time": 0}] = np.nan  # nobody: neither inside nor outside
    shares = fraction_outside(pose.assign(image_position=marks), margin=0.02)
    assert shares["feet"] == 9 / (frames - 1)


@pytest.mark.parametrize(
    ("below", "outside", "at_edge", "ankles"),
    [(-60, 0.0, 0.0, 0.0), (-3, 0.0, 1.0, 0.0), (5, 1.0, 0.0, 0.0), (60, 1.0, 0.0, 1.0)],
)
def test_at_the_edge_out_of_the_picture_and_cut_off_are_three_things(
    demo, below, outside, at_edge, ankles
):
    """Feet by so many pixels below the edge of the picture; the ankles are 40 above them."""
    pose = demo.pose.copy(deep=True)
    feet = {"left_ankle": 40, "left_heel": 0, "left_foot_index": 0}
    for side in ("left", "right"):
        for name, above in feet.items():
            at = {"keypoint": name.replace("left", side), "pixel": "v"}
            pose["image_position"].loc[at] = pose.attrs["image_height"] + below - above
    framing = capture_quality(pose, demo.info)["framing"]
    assert (framing["outside"]["feet"], framing["at_edge"]["feet"]) == (outside, at_edge)
    assert framing["ankles_outside"] == ankles
    verdict = judge([], {"framing": framing, "light": {"verdict": "ok"}})
    assert verdict.film_again == bool(ankles)
    assert ("feet" in verdict.rules_out) == bool(outside)
    assert ("findings" in verdict.rules_out) == bool(ankles)
    assert ("at the edge" in verdict.why) == bool(at_edge)
    assert (verdict.level == "good") == (below == -60)


def test_height_in_the_picture_is_that_of_standing(squat_pose):
    """The analytic body has 400 pixels per metre."""
    pose = squat_pose().pose
    nose, heel = (
        pose.position.sel(keypoint=name, space="y").isel(time=0, individual=0)
        for name in ("nose", "left_heel")
    )
    assert body_height_px(pose) == pytest.approx(400 * float(nose - heel), rel=0.01)
    lying = pose.copy(deep=True)
    marks = pose["image_position"]
    lying["image_position"] = (marks.dims, marks.sel(pixel=["v", "u"]).values)
    assert body_height_px(lying) == pytest.approx(body_height_px(pose))
    without_heels = pose.copy(deep=True)
    without_heels["image_position"].loc[{"keypoint": ["left_heel", "right_heel"]}] = np.nan
    assert body_height_px(without_heels) == pytest.approx(body_height_px(pose), rel=0.05)
    assert verdict("body_height_px", 500) == "ok"
    assert verdict("body_height_px", 100) == "poor"
    assert verdict("body_height_px", 30) == "unusable"
    assert verdict("body_height_px", float("nan")) is None


def test_mended_exchanges_are_counted(demo):
    swapped = demo.pose.copy(deep=True)
    names = ("knee", "ankle", "heel", "foot_index")
    left, right = ([f"{side}_{name}" for name in names] for side in ("left", "right"))
    for name in ("position", "image_position", "image_depth"):
        rows = {"time": slice(100, 106)}
        before = demo.pose[name][rows]
        swapped[name][rows].loc[{"keypoint": left}] = before.sel(keypoint=right).to_numpy()
        swapped[name][rows].loc[{"keypoint": right}] = before.sel(keypoint=left).to_numpy()
    swaps = capture_quality(swapped, demo.info, clean_pose(swapped))["swaps"]
    assert swaps["mended_frames"]["legs"] == 6
    assert swaps["verdict"] == "ok"
    assert capture_quality(demo.pose, demo.info)["swaps"]["verdict"] is None


def test_a_pose_without_depth_and_heels_is_described(demo):
    absent = [name for name in demo.pose["keypoint"].values if "heel" in name or "foot" in name]
    pose = demo.pose.drop_vars(["position", "image_depth", "presence"]).copy(deep=True)
    pose["image_position"].loc[{"keypoint": absent}] = np.nan
    pose["confidence"].loc[{"keypoint": absent}] = np.nan
    checks = capture_quality(pose, demo.info)
    assert json.loads(json.dumps(checks, allow_nan=False)) == checks
    assert checks["visibility"]["feet"] is None
    whole = capture_quality(demo.pose, demo.info)
    assert checks["visibility"]["legs"] == whole["visibility"]["legs"]
    assert checks["frames"] == whole["frames"]
    assert checks["size"]["body_height_px"] == pytest.approx(
        whole["size"]["body_height_px"], rel=0.05
    )
    assert checks["size"]["verdict"] == whole["size"]["verdict"]


def test_faults_of_the_recording(demo):
    """Few frames a second, a camera that moves, a person who is lost, feet outside, a bad fit."""
    for rate, expected in (5.0, "poor"), (2.0, "unusable"), (float("nan"), None):
        check = capture_quality(demo.pose, replace(demo.info, frame_rate=rate))["rate"]
        assert check["verdict"] == expected
        assert (check["advice"] is None) is (expected is None)
    pose = surveyed(demo, camera_moving=True)
    pose["image_position"][{"time": slice(0, 100)}] = np.nan
    pose["image_position"][{"time": slice(100, None)}].loc[
        {"keypoint": "left_heel", "pixel": "v"}
    ] = 10_000.0
    checks = capture_quality(pose, demo.info)
    assert checks["camera"]["verdict"] == "poor"
    assert "stand" in checks["camera"]["advice"]
    assert checks["frames"]["verdict"] == "poor"
    assert checks["framing"]["verdict"] == "unusable"
    assert "feet" in checks["framing"]["advice"]
    assert "hands" not in checks["framing"]["advice"]
    for share, expected, level in (
        (None, None, "good"),
        (0.008, "ok", "good"),
        (0.02, "poor", "limited"),
        (0.06, "unusable", "unusable"),
    ):
        offset = None if share is None else share * body_height_px(demo.pose)
        checks = capture_quality(
            surveyed(demo, camera_moving=None, landmark_offset_px=offset), demo.info
        )
        assert checks["camera"]["verdict"] is None
        assert checks["landmarks"]["offset_share"] == share
        assert checks["landmarks"]["verdict"] == expected
        quality = {"landmarks": checks["landmarks"], "light": {"verdict": "ok"}}
        assert judge([], quality).level == level


def test_each_camera_of_a_fit_has_a_quality_of_its_own(demo):
    """The demo as if it were a second camera."""
    cleaned = [{"operation": "clean_pose", "steps": [{"step": "swap_repair"}]}]
    cleaned[0]["steps"][0]["swapped_frames"] = {"legs": 3, "arms": 0}
    cameras = [{"azimuth_deg": -35.0, "distance_m": 3.1}, {"azimuth_deg": 88.0, "distance_m": 3.2}]
    both = with_history(
        demo.fitted, "fit_body", {"height_m": 1.78}, cameras=cameras, further_histories=[cleaned]
    )
    second = capture_quality(demo.pose, demo.info, both, camera=1)
    assert second["view"]["name"] == "right"
    assert second["swaps"]["mended_frames"] == {"legs": 3, "arms": 0}
    assert second["distance"]["distance_m"] == 3.2
    assert second["distance"]["known_from"] == "from the fitted body, with a height of 1.78 m"
    first = capture_quality(demo.pose, demo.info, both)
    assert first["view"]["name"] == "front-oblique left"
    assert first["swaps"]["mended_frames"]["legs"] == 0
    assert (second["view"]["verdict"], second["view"]["advice"]) == ("ok", None)
    same = {"cameras": [cameras[1], cameras[1]], "further_histories": [cleaned]}
    alike = with_history(demo.fitted, "fit_body", {"height_m": 1.78}, **same)
    alone = capture_quality(demo.pose, demo.info, alike, camera=1)["view"]
    assert (alone["name"], alone["verdict"]) == ("right", "ok")  # no view is a fault

    # Cameras that are calibrated give the scale; a single one does not.
    for cause, scaled in ({"cameras": cameras, "further_histories": [cleaned]}, True), ({}, False):
        scale = with_history(demo.fitted, "fit_body", {"height_m": None}, calibrated={}, **cause)
        distance = capture_quality(demo.pose, demo.info, scale)["distance"]
        assert ("scale of the calibration" in distance["known_from"]) is scaled
        assert ("assumed" in distance["known_from"]) is not scaled


def test_every_limit_is_in_order_and_has_its_advice():
    table = tables.load("capture_quality")
    for name, entry in table.items():
        for limits in (entry.get("above"), entry.get("share", {}).get("above")):
            assert limits is None or limits["poor"] < limits["unusable"], name
        below = entry.get("below")
        assert below is None or below["poor"] > below["unusable"], name
        assert not (entry.get("above") or below) or entry["advice"], name
    assert set(table["view"]) == {"unknown"}
    assert set(table["framing"]["advice"]) >= {"head", "hands", "feet"}
