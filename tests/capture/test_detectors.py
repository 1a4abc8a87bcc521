"""Detectors of other packages: found by name, checked in every frame, their people followed.

Nearly all of them work in this process; what it is to be in one of its own is tested of a few.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
from own_detectors import install, install_the_one_of_the_page, working_here

import mobility as mb
from mobility.base.provenance import history, warnings_of
from mobility.capture import detector_packages
from mobility.capture.detectors import LoadedDetector
from mobility.errors import BadInputError, MobilityError, ModelError, VideoError
from mobility.keypoints.sources import LANDMARKS, points_of

HEAD = """
import os, sys
import numpy as np
from mobility import Keypoints

BODY = np.stack([np.tile([-6.0, 6.0], 9)[1:], np.linspace(0, 80, 17)], axis=-1)
BODY[0] = 0.0, 0.0

class Person:
    name = "Made-up"
    keypoints = "coco_17"

    def people(self, image, time):
        return [(40 + 20 * time, 20.0, 1.0)]

    def __call__(self, image, time):
        there = self.people(image, time)
        pixels = np.array([scale * BODY + (x, y) for x, y, scale in there]).reshape(-1, 17, 2)
        return Keypoints(pixels, np.full(pixels.shape[:2], 0.9))
"""


@pytest.fixture
def made_up(monkeypatch, tmp_path):
    """Install a detector called "made-up", whose class has the lines that are given."""

    def make(lines="", name="made-up", module="made_up"):
        body = "\n".join(f"    {line}" for line in (lines.strip("\n") or "pass").splitlines())
        text = f"{HEAD}\nclass MadeUp(Person):\n{body}\n"
        install(
            monkeypatch,
            tmp_path / f"package-{module}",
            {name: f"{module}:MadeUp"},
            **{module: text},
        )

    return make


@pytest.fixture
def here(monkeypatch, tmp_path):
    """Have detectors work in this process; those that were asked as if they were processes."""
    with working_here(monkeypatch, tmp_path) as asked:
        yield asked


@pytest.fixture(scope="module")
def clip(clips, tmp_path_factory):
    return clips.make_clip(tmp_path_factory.mktemp("short") / "a.mp4", 60)


@pytest.fixture(scope="module")
def long_clip(clips, tmp_path_factory):
    """One of two chunks."""
    return clips.make_clip(tmp_path_factory.mktemp("long") / "long.mp4", 150)


def found_at(pose, keypoint="nose"):
    marks = pose["image_position"].isel(individual=0).sel(keypoint=keypoint)
    return marks.transpose("time", "pixel").to_numpy()


def test_the_one_that_is_there_has_a_name_and_is_the_usual_one():
    assert detector_packages.detector_names()[0] == "mediapipe"
    detector_packages.require_detector("mediapipe")
    detector_packages.require_detector(None)


def test_a_pose_of_a_made_up_detector(made_up, clip):
    made_up()
    pose = mb.estimate_pose(clip, detector="made-up", rate="all")
    assert pose.sizes == {"time": 60, "pixel": 2, "keypoint": 33, "individual": 1}
    assert set(pose.data_vars) == {"image_position", "confidence"}
    assert list(pose["keypoint"].values) == list(LANDMARKS)
    assert (pose.attrs["pose_source"], pose.attrs["source_software"]) == ("other", "Made-up")
    assert "method" not in pose.attrs
    assert pose.attrs["model_sha256"] == detector_packages.detector_digest("made-up")
    times = pose["time"].to_numpy()
    np.testing.assert_allclose(found_at(pose)[:, 0], 40 + 20 * times)
    np.testing.assert_allclose(found_at(pose, "right_ankle")[:, 1], 100)
    has = pose["confidence"].notnull().all(["time", "individual"])
    assert set(pose["keypoint"].values[has]) == set(points_of("coco_17"))
    assert np.isnan(found_at(pose, "left_heel")).all()
    entry = history(pose)[-1]
    assert entry["arguments"]["detector"] == "made-up"
    assert "model" not in entry["arguments"]
    assert entry["landmarks"]["left_knee"] == "left_knee"
    assert entry["left_out"] == []
    assert (entry["frames"], entry["frames_with_person"]) == (60, 60)
    codes = {each["code"] for each in warnings_of(pose)}
    assert codes <= {"film_cut", "moving_camera"}


def test_the_result_does_not_depend_on_the_number_of_processes(made_up, here, long_clip):
    made_up()
    one = mb.estimate_pose(long_clip, detector="made-up", workers=1)
    assert len(here) == 1
    two = mb.estimate_pose(long_clip, detector="made-up", workers=2)
    assert len(here) == 3
    assert one.identical(two)


def test_what_cannot_be_shared_sees_all_frames_in_order_in_one_process(made_up, here, long_clip):
    made_up(
        """
workers = 1
last = None

def people(self, image, time):
    assert (self.last is None) == (time == 0)
    assert self.last is None or self.last < time
    self.last = time
    return [(50.0, 10.0, 1.0)]
"""
    )
    pose = mb.estimate_pose(long_clip, detector="made-up", workers=2, rate="all")
    assert pose.sizes["time"] == 150
    assert len(here) == 1


PEOPLE = """
def people(self, image, time):
    large, small = (30 + 5 * time, 20.0, 1.0), (130 - 5 * time, 40.0, 0.6)
    there = [large, small] if int(30 * time) % 2 else [small, large]
    return [] if 0.5 < time < 0.8 else there
"""


def test_of_several_people_the_largest_is_followed_or_who_is_pointed_at(made_up, here, clip):
    made_up(PEOPLE)
    for subject, x, how in (
        (None, lambda t: 30 + 5 * t, "largest"),
        ((130, 60), lambda t: 130 - 5 * t, "pointed at"),
    ):
        pose = mb.estimate_pose(clip, detector="made-up", rate="all", subject=subject)
        times = pose["time"].to_numpy()
        gone = (times > 0.5) & (times < 0.8)
        np.testing.assert_allclose(found_at(pose)[:, 0], np.where(gone, np.nan, x(times)))
        survey = json.loads(pose.attrs["survey"])
        assert survey["chosen"] == how
        assert len(survey["other_people"]) == 1
        assert survey["other_heads"]
        assert {"other_people", "person_absent"} <= {each["code"] for each in warnings_of(pose)}
    with pytest.raises(BadInputError, match=r"nobody is there; people were first seen at"):
        mb.estimate_pose(clip, detector="made-up", subject=(2, 2))


def test_who_moves_a_joint_is_followed_where_that_is_asked_for(made_up, here, clips, tmp_path):
    made_up(
        """
def __call__(self, image, time):
    pixels = np.stack([BODY + (40, 10), 0.8 * BODY + (110, 20)])
    bent = np.pi / 2 * (1 - np.cos(2 * np.pi * time))
    reach = pixels[1, 13] - pixels[1, 11]
    pixels[1, 15] = pixels[1, 13] + [reach[1] * np.sin(bent), reach[1] * np.cos(bent)]
    return Keypoints(pixels, np.full((2, 17), 0.9))
"""
    )
    video = clips.make_clip(tmp_path / "b.mp4", 90)
    first = mb.estimate_pose(video, detector="made-up", rate="all")
    moving = mb.estimate_pose(video, detector="made-up", rate="all", subject="moving")
    assert (found_at(first)[:, 0] == 40).all()
    assert (found_at(moving)[:, 0] == 110).all()
    assert json.loads(moving.attrs["survey"])["chosen"] == "moves a joint"


def test_who_moves_fast_is_looked_at_in_all_frames(made_up, here, clips, tmp_path):
    made_up(
        """
def __call__(self, image, time):
    pixels = BODY[np.newaxis] + (80, 10)
    pixels[0, 9:11, 0] += 60 * np.sin(9 * time)
    return Keypoints(pixels, np.full((1, 17), 0.9))
"""
    )
    video = clips.make_clip(tmp_path / "fast.mp4", 90, fps=60)
    assert mb.estimate_pose(video, detector="made-up").sizes["time"] == 90
    assert mb.estimate_pose(video, detector="made-up", rate=15).sizes["time"] < 30


def test_what_has_no_confidence_was_not_seen(made_up, here, clip):
    made_up(
        """
def __call__(self, image, time):
    found = super().__call__(image, time)
    found.confidence[:, 13:] = 0.0
    found.pixels[:, 13:] = 0.0
    return found
"""
    )
    pose = mb.estimate_pose(clip, detector="made-up")
    assert np.isnan(found_at(pose, "left_knee")).all()
    assert (pose["confidence"].sel(keypoint="left_knee") == 0).all()
    assert np.isfinite(found_at(pose, "left_hip")).all()


def test_points_by_name(made_up, here, clip):
    """Names of the table, and one's own, of which one is no landmark."""
    names = [f"point_{number}" for number in range(17)]
    chosen = dict(zip(names, points_of("coco_17"), strict=True)) | {"point_0": None}
    made_up(f"keypoints = {chosen}")
    made_up(f"keypoints = {list(points_of('coco_17'))}", name="listed", module="listed")
    pose = mb.estimate_pose(clip, detector="made-up")
    assert history(pose)[-1]["left_out"] == ["point_0"]
    assert history(pose)[-1]["landmarks"]["right_ankle"] == "point_16"
    other = mb.estimate_pose(clip, detector="listed")
    np.testing.assert_array_equal(found_at(pose, "right_ankle"), found_at(other, "right_ankle"))
    assert np.isnan(found_at(pose)).all()
    assert np.isfinite(found_at(other)).all()


WITH_DEPTH = """
def __call__(self, image, time):
    found = super().__call__(image, time)
    metres = np.concatenate([found.pixels / 50, 0 * found.pixels[..., :1]], axis=-1)
    return Keypoints(found.pixels, found.confidence, 0.5 * found.confidence, metres)
"""


def test_depth_is_kept_of_a_source_that_has_it_alone(made_up, here, clip):
    made_up(WITH_DEPTH)
    made_up(f"source = 'mediapipe'\n{WITH_DEPTH}", name="deep", module="deep")
    pose = mb.estimate_pose(clip, detector="made-up")
    assert "position" not in pose
    assert history(pose)[-1]["depth_left_out"]
    deep = mb.estimate_pose(clip, detector="deep")
    assert deep.attrs["pose_source"] == "mediapipe"
    np.testing.assert_allclose(
        deep["position"].sel(keypoint="nose", space="x").isel(individual=0),
        found_at(deep)[:, 0] / 50,
    )


BAD = {
    "takes no frames": (
        "def __call__(self): return None",
        r"in the frame at 0\.00 s: it failed \(TypeError",
    ),
    "raises": (
        "def people(self, image, time): return 1 / 0",
        r"it failed \(ZeroDivisionError: division",
    ),
    "raises in lines": (
        "def people(self, *_): raise OSError('one\\ntwo')",
        r"it failed \(OSError: one\)$",
    ),
    "exits": ("def people(self, *_): sys.exit('done')", r"it failed \(SystemExit: done\)"),
    "nothing": (
        "def __call__(self, *_): return None",
        "it returned nothing instead of mobility.Keypoints",
    ),
    "a list": (
        "def __call__(self, *_): return []",
        "it returned a list instead of mobility.Keypoints",
    ),
    "one person alone": (
        "def __call__(self, *_): return Keypoints(BODY, np.ones(17))",
        r"pixels has the shape \(17, 2\) instead of \(people, 17, 2\)",
    ),
    "other counts": (
        "def __call__(self, *_): return Keypoints(np.ones((1, 26, 2)), np.ones((1, 26)))",
        r"pixels has the shape \(1, 26, 2\) instead of \(people, 17, 2\)",
    ),
    "people who differ": (
        "def __call__(self, *_): return Keypoints(BODY[None], np.ones((2, 17)))",
        "pixels has 1 people, and confidence has 2",
    ),
    "no finite places": (
        "def __call__(self, *_): return Keypoints(BODY[None] * np.nan, np.ones((1, 17)))",
        "pixels has values that are not finite; set the confidence of unseen keypoints to 0",
    ),
    "confidence in percent": (
        "def __call__(self, *_): return Keypoints(BODY[None], np.full((1, 17), 90.0))",
        "confidence is from 90 to 90; it must be from 0 to 1",
    ),
    "texts": (
        "def __call__(self, *_): return Keypoints('here', np.ones((1, 17)))",
        "pixels is a str instead of an array of numbers",
    ),
    "ragged": (
        "def __call__(self, *_): return Keypoints([[1], [1, 2]], np.ones((1, 17)))",
        "pixels is a list instead of an array of numbers",
    ),
    "a position of others": (
        "def __call__(self, *_):\n"
        "    return Keypoints(BODY[None], np.ones((1, 17)), None, np.ones((2, 17, 3)))",
        "pixels has 1 people, and position has 2",
    ),
    "no name": ("name = ' '", "its name must be text"),
    "another set": (
        "keypoints = 'coco17'",
        r"no set of keypoints 'coco17'; did you mean 'coco_17'",
    ),
    "unknown names": (
        "keypoints = ['nose', 'left_kne']",
        r"no landmark is known for left_kne;",
    ),
    "names twice": ("keypoints = ['nose', 'nose']", "its keypoints contain nose twice"),
    "numbers": ("keypoints = 17", r"its keypoints must be the name of a set.*got 17"),
    "another source": (
        "source = 'mediapip'",
        r"no source of keypoints 'mediapip'; did you mean 'mediapipe'",
    ),
    "no workers": ("workers = 0", r"its workers must be 1 or more, or None \(got 0\)"),
    "arguments": (
        "def __init__(self, weights): pass",
        r"made_up:MadeUp cannot be made without arguments",
    ),
    "no weights": (
        "def __init__(self): raise OSError('no weights')",
        r"without arguments \(OSError: no weights",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_detector_is_an_error_of_one_line_that_names_it(what, made_up, here):
    lines, words = BAD[what]
    made_up(lines)
    with pytest.raises(ModelError, match=words) as caught:
        LoadedDetector("made-up")(np.zeros((120, 160, 3), np.uint8), 0.0)
    require_one_line(caught.value)


def require_one_line(error):
    assert str(error).startswith("detector made-up: ")
    assert "\n" not in str(error)
    assert len(str(error)) < 300


@pytest.mark.parametrize("what", ["raises", "a list", "no workers"])
def test_a_bad_detector_is_the_same_error_of_a_search(what, made_up, here, clip):
    lines, words = BAD[what]
    made_up(lines)
    with pytest.raises(ModelError, match=words) as caught:
        mb.estimate_pose(clip, detector="made-up", workers=1)
    require_one_line(caught.value)


def test_what_it_returns_badly_is_an_error_of_one_line_of_its_process(made_up, clip):
    lines, words = BAD["raises in lines"]
    made_up(lines)
    with pytest.raises(ModelError, match=words) as caught:
        mb.estimate_pose(clip, detector="made-up", workers=1)
    require_one_line(caught.value)


def test_one_that_dies_is_an_error_of_one_line(made_up, clip):
    made_up("def __init__(self): os._exit(3)")
    with pytest.raises(ModelError, match="its process ended with status 3 while the") as caught:
        mb.estimate_pose(clip, detector="made-up", workers=1)
    require_one_line(caught.value)


def test_one_that_dies_amid_the_frames_is_an_error_of_one_line(made_up, clip):
    made_up("def people(self, *_): os._exit(3)")
    with pytest.raises(
        VideoError, match=r"^a\.mp4: a process that estimates the pose ended with status 3"
    ):
        mb.estimate_pose(clip, detector="made-up")


def test_one_that_cannot_be_imported_or_lacks_what_it_must_have(monkeypatch, tmp_path, here, clip):
    points = {"broken": "broken:MadeUp", "absent": "absent_module:MadeUp", "empty": "empty:Empty"}
    texts = {"broken": "1 +", "empty": "class Empty:\n    name = 'Empty'\n"}
    install(monkeypatch, tmp_path / "package", points, **texts)
    for name, words in (
        ("broken", r"^detector broken: broken:MadeUp cannot be loaded \(SyntaxError: invalid"),
        ("absent", r"^detector absent: absent_module:MadeUp cannot be loaded \(ModuleNotFound"),
        ("empty", r"^detector empty: has no keypoints and __call__\(image, time\); a"),
    ):
        with pytest.raises(ModelError, match=words):
            mb.estimate_pose(clip, detector=name)
    with pytest.raises(ModelError, match=r"^detector absent: cannot be found \(ModuleNotFound"):
        detector_packages.detector_digest("absent")


def test_an_unknown_name_is_told_with_those_that_there_are(made_up, here, clip):
    made_up()
    with pytest.raises(
        BadInputError, match=r"no detector 'madeup'; did you mean 'made-up'\?"
    ) as caught:
        mb.estimate_pose(clip, detector="madeup")
    assert "mediapipe, made-up" in str(caught.value)
    assert list(caught.value.fields) == ["detector"]
    with pytest.raises(BadInputError, match=r"model: heavy is a MediaPipe model"):
        mb.estimate_pose(clip, detector="made-up", model="heavy")
    made_up(module="again")
    with pytest.raises(BadInputError, match=r"is in several packages \(again:MadeUp and made_up"):
        mb.estimate_pose(clip, detector="made-up")


def test_nobody_in_any_frame_is_said_as_ever(made_up, here, clip):
    made_up("def people(self, image, time): return []")
    with pytest.raises(MobilityError, match=r"^a\.mp4: nobody was found in it"):
        mb.estimate_pose(clip, detector="made-up")


def test_a_change_of_its_code_is_another_detector(made_up, tmp_path):
    made_up()
    before = detector_packages.detector_digest("made-up")
    assert detector_packages.detector_digest("made-up") == before
    with (tmp_path / "package-made_up" / "made_up.py").open("a") as file:
        file.write("# changed\n")
    assert detector_packages.detector_digest("made-up") != before


def test_it_has_no_network(made_up, clip):
    made_up("def __init__(self):\n    import socket\n    socket.socket()")
    with pytest.raises(ModelError, match="PermissionError"):
        mb.estimate_pose(clip, detector="made-up")


def test_the_example_of_the_page(monkeypatch, project, tmp_path, here, clip):
    install_the_one_of_the_page(monkeypatch, project, tmp_path / "page")
    pose = mb.estimate_pose(clip, detector="rtmpose")
    assert pose.attrs["source_software"] == "RTMPose"
    entry = history(pose)[-1]
    assert entry["left_out"] == ["Head", "Neck", "Hip", "left_small_toe", "right_small_toe"]
    assert entry["landmarks"]["left_foot_index"] == "left_big_toe"
    np.testing.assert_allclose(found_at(pose), np.tile([80, 20 + 90 * 0.07], (len(pose.time), 1)))
    assert float(pose["confidence"].max()) == 1.0
    assert json.loads(pose.attrs["survey"])["other_people"] == []


def test_a_class_that_has_the_protocol_as_its_base_has_its_defaults():
    class Model(mb.Detector):
        name = "Model"
        keypoints = "coco_17"

        def __call__(self, image, time, /):
            return mb.Keypoints(np.empty((0, 17, 2)), np.empty((0, 17)))

    assert isinstance(Model(), mb.Detector)
    assert (Model().source, Model().workers) == ("other", None)
