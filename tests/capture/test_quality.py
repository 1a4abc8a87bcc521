"""The capture quality against pictures and poses whose quality is known."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

from mobility import tables
from mobility.assessment.verdict import judge
from mobility.capture.pose import fraction_outside
from mobility.capture.quality import (
    SAMPLES,
    body_height_px,
    capture_quality,
    edge_width,
    sample_frames,
    verdict,
)
from mobility.capture.video import keyframe_times, probe, read_frames, write_video
from mobility.kinematics.clean import clean_pose
from mobility.provenance import with_history

DEMO_DISTANCE_M = 3.3
"""Of data/demo/overhead-squat/case.yaml."""


@pytest.fixture(scope="module")
def demo(project):
    """Pose, fit and video of the demo."""
    folder = project / "data" / "demo" / "overhead-squat"

    def read(name):
        with xr.open_dataset(folder / name) as stored:
            return stored.load()

    return SimpleNamespace(
        pose=read("pose.nc"), fitted=read("fitted.nc"), info=probe(folder / "video.mp4")
    )


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
    from scipy.special import ndtr

    x = (np.arange(10 * period) % period) - period / 2
    rising = ndtr((x + period / 4) / blur) - ndtr((x - period / 4) / blur)
    return np.broadcast_to((low + (high - low) * rising).round(), (99, x.size)).astype(np.uint8)


@pytest.mark.parametrize("blur", [0.7, 1.0, 2.0, 3.0])
@pytest.mark.parametrize("contrast", [(60, 180), (10, 250)])
def test_the_width_of_an_edge_is_that_of_its_blur(blur, contrast):
    found = edge_width(stripes(blur, low=contrast[0], high=contrast[1]))
    assert found == pytest.approx(blur, rel=0.15)


def test_a_flat_picture_has_no_edges():
    assert np.isnan(edge_width(np.full((50, 50), 128, np.uint8)))


def test_the_demo_is_ok_and_what_is_known_of_it_is_found(demo):
    found = capture_quality(demo.pose, demo.info, demo.fitted)
    json.dumps(found, allow_nan=False)
    for check in (
        *("view", "framing", "frames", "rate", "camera", "distance"),
        *("size", "light", "sharpness", "swaps"),
    ):
        assert found[check]["verdict"] == "ok", check
        assert found[check]["advice"] is None, check
    assert found["view"]["name"] == "front-oblique left"
    distance = found["distance"]
    # The lens of the demo is longer than those of phones: too near, at the edge of what is told.
    assert distance["distance_m"] == pytest.approx(
        DEMO_DISTANCE_M, abs=2.5 * distance["distance_sd_m"]
    )
    assert distance["known_from"].startswith("from the fitted body, with a height of 1.")
    assert (found["frames"]["total"], found["frames"]["with_person"]) == (417, 417)


def test_without_a_fit_the_distance_is_a_guess_from_the_size(demo):
    distance = capture_quality(demo.pose, demo.info)["distance"]
    assert "usual lens" in distance["known_from"]
    # 20 % of the focal length, 6 % of the height.
    assert distance["distance_sd_m"] == pytest.approx(0.209 * distance["distance_m"], abs=0.01)
    assert distance["distance_m"] == pytest.approx(
        DEMO_DISTANCE_M, abs=3 * distance["distance_sd_m"]
    )


@pytest.mark.slow
def test_a_blurred_video_is_called_blurred(demo, tmp_path):
    import cv2

    poor = changed(demo, tmp_path, lambda image: cv2.GaussianBlur(image, (0, 0), 5))
    assert poor["sharpness"]["verdict"] == "poor"
    assert "focus" in poor["sharpness"]["advice"]
    lost = changed(demo, tmp_path, lambda image: cv2.GaussianBlur(image, (0, 0), 10))
    assert lost["sharpness"]["verdict"] == "unusable"
    assert lost["light"]["verdict"] == "ok"


def test_dark_and_overexposed_videos_are_called_so(demo, tmp_path):
    dark = changed(demo, tmp_path, lambda image: (image * 0.2).astype(np.uint8))
    assert dark["light"]["verdict"] == "poor"
    assert "more light" in dark["light"]["advice"]
    night = changed(demo, tmp_path, lambda image: (image * 0.05).astype(np.uint8))
    assert night["light"]["verdict"] == "unusable"
    bright = changed(demo, tmp_path, lambda image: np.clip(image * 2.3, 0, 255).astype(np.uint8))
    assert bright["light"]["verdict"] == "poor"
    assert "sun" in bright["light"]["advice"]


def test_parts_outside_or_at_the_border_are_counted(squat_pose):
    pose = squat_pose(reps=1, fps=10).pose.assign_attrs(image_width=1000, image_height=1000)
    marks = xr.full_like(pose.image_position, 500.0)
    frames = pose.sizes["time"]
    marks[{"time": slice(0, 10)}].loc[{"keypoint": "left_heel", "pixel": "v"}] = 985.0
    marks[{"time": slice(0, 4)}].loc[{"keypoint": "right_wrist", "pixel": "u"}] = -3.0
    marks[{"time": slice(4, 9)}].loc[{"keypoint": "nose", "pixel": "v"}] = 21.0
    shares = fraction_outside(pose.assign(image_position=marks), margin=0.02)
    assert shares == {"head": 0.0, "hands": 4 / frames, "feet": 10 / frames}
    marks[{"time": 0}] = np.nan  # nobody: neither inside nor outside
    shares = fraction_outside(pose.assign(image_position=marks), margin=0.02)
    assert shares["feet"] == 9 / (frames - 1)


def test_feet_outside_are_poor_with_what_to_do(demo):
    pose = demo.pose.copy(deep=True)
    pose["image_position"].loc[{"keypoint": "left_heel", "pixel": "v"}] = 10_000.0
    framing = capture_quality(pose, demo.info)["framing"]
    assert framing["verdict"] == "unusable"
    assert "feet" in framing["advice"]
    assert "hands" not in framing["advice"]


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
    assert verdict("body_height_px", 500) == "ok"
    assert verdict("body_height_px", 100) == "poor"
    assert verdict("body_height_px", 30) == "unusable"
    assert verdict("body_height_px", float("nan")) is None


def test_mended_exchanges_are_counted(demo):
    swapped = demo.pose.copy(deep=True)
    names = ("knee", "ankle", "heel", "foot_index")
    left, right = ([f"{side}_{name}" for name in names] for side in ("left", "right"))
    for name in ("position", "image_position", "image_depth"):
        rows = {"time": slice(100, 112)}
        before = demo.pose[name][rows]
        swapped[name][rows].loc[{"keypoint": left}] = before.sel(keypoint=right).to_numpy()
        swapped[name][rows].loc[{"keypoint": right}] = before.sel(keypoint=left).to_numpy()
    swaps = capture_quality(swapped, demo.info, clean_pose(swapped))["swaps"]
    assert swaps["mended_frames"]["legs"] == 12
    assert swaps["verdict"] == "ok"
    assert capture_quality(demo.pose, demo.info)["swaps"]["verdict"] is None


@pytest.mark.parametrize(
    ("rate", "expected"), [(30.0, "ok"), (5.0, "poor"), (2.0, "unusable"), (float("nan"), None)]
)
def test_few_frames_a_second_are_a_fault_of_the_recording(demo, rate, expected):
    found = capture_quality(demo.pose, replace(demo.info, frame_rate=rate))["rate"]
    assert found["verdict"] == expected
    assert (found["advice"] is None) is (expected in ("ok", None))


def test_a_camera_that_moves_and_a_person_who_is_lost_are_faults_of_the_recording(demo):
    seen = {**json.loads(demo.pose.attrs["survey"]), "camera_moving": True}
    pose = demo.pose.copy(deep=True).assign_attrs(survey=json.dumps(seen))
    pose["position"][{"time": slice(0, 100)}] = np.nan
    found = capture_quality(pose, demo.info)
    assert found["camera"]["verdict"] == "poor"
    assert "stand" in found["camera"]["advice"]
    assert found["frames"]["verdict"] == "poor"
    unknown = pose.assign_attrs(survey=json.dumps({**seen, "camera_moving": None}))
    assert capture_quality(unknown, demo.info)["camera"]["verdict"] is None


@pytest.mark.parametrize(
    ("share", "verdict"), [(None, None), (0.008, "ok"), (0.02, "poor"), (0.06, "unusable")]
)
def test_a_skeleton_that_is_not_steady_on_the_limbs_is_a_fault(demo, share, verdict):
    offset = None if share is None else share * body_height_px(demo.pose)
    seen = {**json.loads(demo.pose.attrs["survey"]), "landmark_offset_px": offset}
    pose = demo.pose.assign_attrs(survey=json.dumps(seen))
    found = capture_quality(pose, demo.info)
    assert found["landmarks"]["offset_share"] == share
    assert found["landmarks"]["verdict"] == verdict
    judged = judge([], {"landmarks": found["landmarks"], "light": {"verdict": "ok"}})
    assert judged.level == {"poor": "limited", "unusable": "unusable"}.get(verdict, "good")


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
    # Beside one in front, a camera at the side is what is wanted; alone it is not.
    assert (second["view"]["verdict"], second["view"]["advice"]) == ("ok", None)
    same = {"cameras": [cameras[1], cameras[1]], "further_histories": [cleaned]}
    alike = with_history(demo.fitted, "fit_body", {"height_m": 1.78}, **same)
    alone = capture_quality(demo.pose, demo.info, alike, camera=1)["view"]
    assert alone["verdict"] == "poor"
    assert "Film from the front" in alone["advice"]

    # Cameras that are calibrated give the scale; a single one does not.
    for told, scaled in ({"cameras": cameras, "further_histories": [cleaned]}, True), ({}, False):
        known = with_history(demo.fitted, "fit_body", {"height_m": None}, calibrated={}, **told)
        distance = capture_quality(demo.pose, demo.info, known)["distance"]
        assert ("scale of the calibration" in distance["known_from"]) is scaled
        assert ("assumed" in distance["known_from"]) is not scaled


def test_few_frames_are_looked_at_and_quickly(demo, clips, tmp_path):
    started = time.process_time()
    frames = list(sample_frames(demo.info, demo.pose))
    assert time.process_time() - started < 3 * 417 / 300
    assert len(frames) == SAMPLES
    known = demo.pose["time"].to_numpy()
    assert all(np.abs(known - frame.time).min() < 1e-6 for frame in frames)
    assert frames[-1].time - frames[0].time > 0.9 * (known[-1] - known[0])

    # With a keyframe every 12 frames only some of them are read, and not the keyframe itself.
    path = clips.make_clip(tmp_path / "keys.mp4", 300)
    keys = keyframe_times(path)
    np.testing.assert_allclose(keys, np.arange(25) * 0.4, atol=1e-4)
    pose = demo.pose.isel(time=slice(0, 300)).assign_coords(time=np.arange(300) / 30)
    sampled = list(sample_frames(probe(path), pose))
    assert len(sampled) == SAMPLES
    assert all(0 < frame.time - keys[keys <= frame.time + 1e-6][-1] < 0.1 for frame in sampled)


def test_every_limit_is_in_order_and_has_its_advice():
    table = tables.load("capture_quality")
    for name, entry in table.items():
        for limits in (entry.get("above"), entry.get("share", {}).get("above")):
            assert limits is None or limits["poor"] < limits["unusable"], name
        below = entry.get("below")
        assert below is None or below["poor"] > below["unusable"], name
        assert not (entry.get("above") or below) or entry["advice"], name
    assert set(table["view"]) == {*tables.load("views")["views"], "unknown"}
    assert set(table["framing"]["advice"]) >= {"head", "hands", "feet"}
