"""The pose of keypoints that were given: its frames, what it says, what is not claimed."""

from __future__ import annotations

import numpy as np
import pytest
import written_keypoints as files
from clips import make_clip

from mobility.assessment.verdict import judge
from mobility.base.provenance import AnalysisWarning, sha256, warnings_of
from mobility.capture.given import pose_of_keypoints
from mobility.capture.pose import fraction_outside
from mobility.capture.quality import capture_quality
from mobility.capture.video import probe
from mobility.errors import NobodyFoundError
from mobility.exchange.keypoint_files import keypoints_of_video
from mobility.keypoints.names import points_of
from mobility.reports.recording_checks import capture_quality as checks_of_page

FRAMES = 90


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return make_clip(tmp_path_factory.mktemp("film") / "walk.mp4", FRAMES)


def given(folder, video, frames, names=files.BODY_25):
    return keypoints_of_video(files.long_csv(folder / "p.csv", frames, names), video)


def test_frames_are_those_in_which_a_model_would_look(tmp_path, video):
    slow = given(tmp_path, video, files.walker(FRAMES))
    pose = pose_of_keypoints(slow, video)
    assert pose.sizes["time"] == FRAMES / 2
    assert pose.attrs["fps"] == pytest.approx(15)
    assert pose.attrs["video_fps"] == pytest.approx(30)
    np.testing.assert_allclose(pose["image_position"], slow["image_position"][::2])
    assert pose_of_keypoints(slow, video, rate="all").sizes["time"] == FRAMES
    assert pose_of_keypoints(slow, video, rate=10).sizes["time"] == FRAMES / 3
    kicks = files.walker(FRAMES)
    ankle = files.BODY_25.index("RAnkle")
    kicks[:, ankle, 0] += 30 * np.sin(np.arange(FRAMES) / 2)
    assert pose_of_keypoints(given(tmp_path, video, kicks), video).sizes["time"] == FRAMES


def test_it_says_of_which_video_and_whose_keypoints(tmp_path, video):
    pose = pose_of_keypoints(given(tmp_path, video, files.walker(FRAMES)), video)
    assert pose.attrs["source_file"] == "walk.mp4"
    assert pose.attrs["video_sha256"] == sha256(video)
    assert (pose.attrs["image_width"], pose.attrs["image_height"]) == (160, 120)
    assert (pose.attrs["source_software"], pose.attrs["pose_source"]) == ("CSV", "other")
    assert not {"survey", "model_sha256"} & pose.attrs.keys()


def test_who_is_hardly_seen_is_told(tmp_path, video):
    frames = files.walker(FRAMES)
    frames[60:, :, :2] = np.nan
    pose = pose_of_keypoints(given(tmp_path, video, frames), video)
    assert "person_absent" in {each["code"] for each in warnings_of(pose)}
    frames[3:, :, :2] = np.nan
    with pytest.raises(NobodyFoundError, match=r"walk.mp4: its keypoints show nobody"):
        pose_of_keypoints(given(tmp_path, video, frames), video)


def test_what_a_survey_would_see_is_not_claimed(tmp_path, video):
    coco = points_of("coco_17")
    pose = pose_of_keypoints(given(tmp_path, video, files.walker(FRAMES, coco), coco), video)
    assert np.isnan(fraction_outside(pose)["feet"]) == 0  # it has ankles
    quality = capture_quality(pose, probe(video))
    assert quality["camera"] == {
        **{"moving": None, "background_shift": None},
        **{"verdict": None, "advice": None},
    }
    assert quality["other_people"] is None
    assert quality["landmarks"]["verdict"] is None
    assert quality["visibility"]["feet"] is None
    assert quality["visibility"]["legs"] == pytest.approx(0.85, abs=0.1)
    page = str(checks_of_page(quality))
    assert "Other people" not in page
    # What is not known is said to be so, and why.
    assert page.count("not checked, because keypoints were given") == 2
    assert "other people, cuts of the film and movement of the camera were not looked for" in page
    assert "whether they belong to this film was not checked" in page
    half = FRAMES // 2
    assert f"{half} of the {FRAMES} given frames were used; the person is in {half}" in page
    found = {**quality, "frames": {**quality["frames"], "verdict": "ok"}}
    del found["frames"]["given"]
    other = str(checks_of_page(found))
    assert "given" not in other
    assert "in which the pose was estimated" in other
    nothing = pose.drop_vars("confidence")
    assert set(capture_quality(nothing, probe(video))["visibility"].values()) == {None}


def test_keypoints_of_a_smaller_picture_are_warned_of_and_no_light_is_judged(tmp_path, video):
    frames = files.walker(FRAMES)
    whole = pose_of_keypoints(given(tmp_path, video, frames), video)
    assert "keypoints_of_smaller_picture" not in {each["code"] for each in warnings_of(whole)}
    frames[:, :, :2] /= 2
    # Nothing lies beyond half of the picture.
    pose = pose_of_keypoints(given(tmp_path, video, frames), video)
    (warning,) = warnings_of(pose)[-1:]
    assert warning["code"] == "keypoints_of_smaller_picture"
    assert warning["values"] == {"width": 160, "height": 120}
    quality = capture_quality(pose, probe(video))
    for check in ("light", "sharpness"):
        assert quality[check]["verdict"] is None
    verdict = judge([AnalysisWarning(**each) for each in warnings_of(pose)])
    assert verdict.level == "limited"
    assert "the keypoints may be of a smaller picture" in verdict.why.lower()
    assert "findings" in verdict.rules_out
    # One point beyond, in a frame that is not used, and they are of the picture.
    frames[1, 3, 1] = 65
    seen = pose_of_keypoints(given(tmp_path, video, frames), video)
    assert "keypoints_of_smaller_picture" not in {each["code"] for each in warnings_of(seen)}


def test_a_part_that_the_model_does_not_have_is_not_in_the_picture_either(tmp_path, video):
    knees = ("nose", "left_hip", "right_hip", "left_knee", "right_knee")
    pose = pose_of_keypoints(given(tmp_path, video, files.walker(FRAMES, knees), knees), video)
    shares = fraction_outside(pose)
    assert shares["head"] == 0
    assert np.isnan(shares["feet"])
    framing = capture_quality(pose, probe(video))["framing"]
    assert framing["outside"]["feet"] is None
    page = str(checks_of_page({"framing": framing}))
    assert "all points that the model finds" in page
