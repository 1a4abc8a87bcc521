"""Pose from video: the right frames, the right person, the same for any number of workers.

The pose of keypoints that were given: its frames, what it says, what is not claimed.
"""

from __future__ import annotations

import json
import os
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
import written_keypoints as files
from clips import make_clip
from extras import movement_python
from other_processes import ended

import mobility as mb
from mobility import tables
from mobility.assessment.verdict import judge
from mobility.base.processes import Process
from mobility.base.provenance import (
    AnalysisWarning,
    cuts_of,
    history,
    repeats_of,
    sha256,
    warnings_of,
)
from mobility.capture import landmarks, pose_worker
from mobility.capture import pose as pose_module
from mobility.capture.passes import Pass
from mobility.capture.pose import fraction_outside, plan_chunks, pose_of_keypoints
from mobility.capture.pose_process import start
from mobility.capture.quality import capture_quality
from mobility.capture.video import presentation_times, probe, read_frames, write_video
from mobility.errors import BadInputError, NobodyFoundError, NotFoundError, VideoError
from mobility.exchange.keypoint_files import keypoints_of_video
from mobility.keypoints.sources import points_of
from mobility.reports.recording import capture_quality as checks_of_page


def codes(pose):
    return [warning["code"] for warning in warnings_of(pose)]


def some_frames(video, *, start=0.0, stop=2.0, step=2):
    return [
        (f.time - start, f.image) for f in list(read_frames(video, start=start, stop=stop))[::step]
    ]


def test_chunks_cover_the_video_and_do_not_depend_on_anything_else():
    assert plan_chunks(np.linspace(0, 3.9, 50)) == [(0, None, None)]
    assert plan_chunks(np.linspace(1, 13, 50)) == [(0, None, 7.0), (1, 7.0, None)]
    for length in (24.0, 24.1, 60.0, 599.9):
        chunks = plan_chunks(np.linspace(0, length, 1000))
        assert len(chunks) % 2 == 0
        assert [c[1] for c in chunks[1:]] == [c[2] for c in chunks[:-1]]
        steps = np.diff([0.0, *(c[1] for c in chunks[1:]), length])
        assert steps.max() <= 12.0
        assert np.ptp(steps) < 1e-9


@pytest.mark.parametrize("jump", [3600.0, 1e9])
def test_chunks_without_a_frame_are_left_out(jump):
    """However long the times jump, there are no more chunks than frames."""
    times = np.concatenate([np.arange(30) / 30, 7 + np.arange(30) / 30, jump + np.arange(30) / 30])
    chunks = plan_chunks(times)
    assert [number for number, _, _ in chunks] == list(range(len(chunks)))
    assert 2 <= len(chunks) <= 4
    assert chunks[0][1] is None
    assert chunks[-1][2] is None
    limits = [(-np.inf if a is None else a, np.inf if b is None else b) for _, a, b in chunks]
    held = [((times >= start) & (times < stop)).sum() for start, stop in limits]
    assert min(held) > 0
    assert sum(held) == len(times)
    assert all(stop <= start for (_, stop), (start, _) in pairwise(limits))


def test_a_video_that_is_empty_for_minutes_is_refused(clips, tmp_path):
    times = [i / 30 for i in range(30)]
    video = clips.make_clip(tmp_path / "jump.mp4", 60, times=times + [t + 3600 for t in times])
    with pytest.raises(
        VideoError, match=r"no frames from 0\.97 s to 3600\.00 s, which is longer than 5 min"
    ):
        mb.estimate_pose(video)
    often = np.concatenate([100 * k + np.arange(30) / 30 for k in range(5)])
    with pytest.raises(VideoError, match=r"^a\.mp4: has no frames from"):
        pose_module.check_gaps(often, Path("a.mp4"))
    pose_module.check_gaps(often[:-60], Path("a.mp4"))
    pose_module.check_gaps(np.arange(0, 3600, 0.5), Path("a.mp4"))


def test_a_person_is_in_every_fourth_of_807_real_frames(opencap_pose, opencap_video):
    times = presentation_times(opencap_video)
    assert len(times) == 807
    assert (opencap_pose["time"].values == times[::4]).all()
    assert opencap_pose.attrs["fps"] == pytest.approx(15, abs=0.1)
    assert opencap_pose.attrs["video_fps"] == pytest.approx(60, abs=0.2)
    entry = history(opencap_pose)[-1]
    assert (entry["frames"], entry["frames_of_video"]) == (202, 807)
    assert entry["arguments"]["rate"] == "usual"
    assert not opencap_pose["position"].isnull().any()
    assert opencap_pose.attrs["video_sha256"] == sha256(opencap_video)
    assert codes(opencap_pose) == []


@pytest.mark.slow
def test_all_frames_are_looked_at_where_somebody_moves_fast_or_it_is_asked_for(shared_data):
    walk = shared_data / "videos" / "opencap_walk.mp4"
    times = presentation_times(walk)
    assert (mb.estimate_pose(walk)["time"].values == times).all()
    assert (mb.estimate_pose(walk, rate=15)["time"].values == times[::4]).all()


def test_schema(opencap_pose):
    assert opencap_pose["position"].dims == ("time", "space", "keypoint", "individual")
    assert opencap_pose["confidence"].dims == ("time", "keypoint", "individual")
    assert list(opencap_pose["keypoint"].values) == tables.load("landmarks")["landmarks"]["names"]
    assert opencap_pose["time"].dtype == np.float64
    assert (np.diff(opencap_pose["time"]) > 0).all()
    for name in ("confidence", "presence"):
        assert float(opencap_pose[name].min()) >= 0
        assert float(opencap_pose[name].max()) <= 1
    assert opencap_pose.attrs["ds_type"] == "poses"
    entry = history(opencap_pose)[-1]
    assert entry["operation"] == "estimate_pose"
    assert entry["model_sha256"] == tables.load("pose_model")["full"]["bundle"]["sha256"]
    assert entry["arguments"]["model"] == "full"


def test_axes_a_standing_person_is_upright_and_faces_the_camera(opencap_pose):
    standing = opencap_pose["position"].isel(individual=0, time=slice(0, 8)).mean("time")
    at = {
        name: standing.sel(keypoint=name)
        for name in ("nose", "left_ankle", "left_hip", "right_hip", "left_ear")
    }
    assert float(at["nose"].sel(space="y") - at["left_ankle"].sel(space="y")) > 1.2
    # Seen from the front, the left is at the image's right, the nose nearer than the ears.
    assert float(at["left_hip"].sel(space="x")) > float(at["right_hip"].sel(space="x"))
    assert float(at["nose"].sel(space="z")) > float(at["left_ear"].sel(space="z"))
    middle = (at["left_hip"] + at["right_hip"]) / 2
    assert float(np.abs(middle).max()) < 0.02


@pytest.mark.slow
def test_the_pose_file_is_accepted_by_movement(opencap_pose, tmp_path, project):
    python = movement_python(project)
    opencap_pose.to_netcdf(tmp_path / "pose.nc", engine="h5netcdf")
    code = (
        "import sys, xarray\n"
        "from movement.validators.datasets import ValidPosesInputs\n"
        "pose = xarray.load_dataset(sys.argv[1], engine='h5netcdf')\n"
        "ValidPosesInputs.validate(pose)\n"
        "ValidPosesInputs(position_array=pose.position.values,\n"
        "    confidence_array=pose.confidence.values,\n"
        "    individual_names=list(pose.individual.values),\n"
        "    keypoint_names=list(pose.keypoint.values), fps=pose.attrs['fps'])\n"
        "print(pose.attrs['ds_type'], pose.attrs['time_unit'])\n"
    )
    done = ended([python, "-W", "ignore", "-c", code, tmp_path / "pose.nc"])
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["poses", "seconds"]


def test_published_landmarks_of_the_same_video(tfjs_pose, shared_data):
    """The maker of the model published what it should find on this video, in pixels.

    Its runtime differs (another framework, no tracking across these sparse frames), so
    the middle of the differences is asserted, 2 % of the body's height.
    """
    published = json.loads((shared_data / "lab/tfjs/pose_squats.full.json").read_text())
    marks = np.array([[[p[0], p[1]] for p in frame] for frame in published])
    ours = (
        tfjs_pose["image_position"].isel(individual=0).transpose("time", "keypoint", "pixel").values
    )
    assert marks.shape[:2] == ours.shape[:2]
    height = np.median(np.ptp(ours[..., 1], axis=1))
    body = slice(11, 29)  # shoulders to ankles
    off = np.linalg.norm(marks[:, body, :2] - ours[:, body], axis=-1)
    assert np.median(off) < 0.02 * height


@pytest.mark.slow
def test_a_second_run_with_one_worker_gives_the_bytes_of_two(opencap_pose, opencap_video):
    again = mb.estimate_pose(opencap_video, workers=1)
    for name in opencap_pose.variables:
        assert again[name].values.tobytes() == opencap_pose[name].values.tobytes(), name
    assert again.attrs == opencap_pose.attrs


def test_odd_width_is_not_misread(opencap_video, tmp_path):
    """Rows that are not packed make MediaPipe find nobody, without an error."""
    import cv2

    frames = [
        (t, cv2.resize(image, (202, 360))) for t, image in some_frames(opencap_video, stop=1.0)
    ]
    write_video(tmp_path / "odd.mp4", iter(frames))
    pose = mb.estimate_pose(tmp_path / "odd.mp4", workers=1, rate="all")
    assert int(pose["position"].notnull().all(("space", "keypoint", "individual")).sum()) == len(
        frames
    )


def test_the_focal_length_that_a_film_says_is_kept_with_its_pose(opencap_video, tmp_path, clips):
    write_video(tmp_path / "a.mp4", iter(some_frames(opencap_video, stop=0.5)))
    # Its index at the end, so that something can be put into it.
    with av.open(str(tmp_path / "a.mp4")) as film, av.open(str(tmp_path / "b.mov"), "w") as out:
        stream = out.add_stream_from_template(film.streams.video[0])
        for packet in film.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)
    assert "focal_length_35mm" not in mb.estimate_pose(tmp_path / "b.mov").attrs
    film = clips.write_lens(tmp_path / "b.mov", 1, b"26")
    assert mb.estimate_pose(film).attrs["focal_length_35mm"] == 26.0


@pytest.mark.slow
def test_second_look_finds_a_person_who_fills_little_of_the_picture(opencap_video, tmp_path):
    """A person 110 pixels high in a wide picture is missed at first, and found on a crop."""
    import cv2

    frames = []
    for time, image in some_frames(opencap_video, stop=0.6):
        small = cv2.resize(image, (169, 300), interpolation=cv2.INTER_AREA)
        wide = np.full((720, 1280, 3), 90, np.uint8)
        wide[400:700, 1000:1169] = small
        frames.append((time, wide))
    write_video(tmp_path / "small.mp4", iter(frames))
    pose = mb.estimate_pose(tmp_path / "small.mp4", workers=1)
    seen = pose["position"].notnull().all(("space", "keypoint", "individual"))
    assert float(seen.mean()) == 1.0
    hips = (
        pose["image_position"]
        .sel(keypoint=["left_hip", "right_hip"])
        .mean(("time", "keypoint", "individual"))
    )
    assert 1000 < float(hips.sel(pixel="u")) < 1169


def two_people(opencap_video, shared_data, path, seconds=3.0, still=False):
    """Two videos side by side: the smaller person left, the taller one, who may be still, right."""
    import cv2

    left = some_frames(opencap_video, stop=seconds, step=2)
    right = [f.image for f in read_frames(shared_data / "videos" / "tfjs_pose_squats.mp4")]
    right = right[:1] * len(right) if still else right
    frames = (
        (
            time,
            np.hstack(
                [cv2.resize(image, (360, 640)), cv2.resize(right[int(time * 5)], (360, 640))]
            ),
        )
        for time, image in left
    )
    write_video(path, frames)
    return path


@pytest.mark.slow
def test_two_people_largest_and_pointed_at(opencap_video, shared_data, tmp_path):
    video = two_people(opencap_video, shared_data, tmp_path / "two.mp4")
    largest = mb.estimate_pose(video)
    assert float(largest["image_position"].sel(pixel="u").min()) > 360
    assert codes(largest) == ["other_people"]
    pointed = mb.estimate_pose(video, subject=(170, 390))
    assert float(pointed["image_position"].sel(pixel="u").max()) < 360
    for pose in (largest, pointed):
        assert not pose["position"].isnull().any()
    with pytest.raises(BadInputError, match="nobody is there"):
        mb.estimate_pose(video, subject=(2, 2))


@pytest.mark.slow
def test_two_people_of_whom_the_smaller_moves(opencap_video, shared_data, tmp_path):
    video = two_people(opencap_video, shared_data, tmp_path / "two.mp4", still=True)
    moving = mb.estimate_pose(video, subject="moving")
    assert float(moving["image_position"].sel(pixel="u").max()) < 360
    (warning,) = [w["message"] for w in warnings_of(moving) if w["code"] == "other_people"]
    assert "who moves a joint" in warning
    (other,) = json.loads(moving.attrs["survey"])["other_people"]
    x, y = other["subject"]
    assert f"{x:.0f},{y:.0f}" in warning
    pointed = mb.estimate_pose(video, subject=(x, y))
    assert float(pointed["image_position"].sel(pixel="u").min()) > 360
    assert codes(mb.estimate_pose(video)) == ["other_people"]


@pytest.mark.slow
def test_person_there_part_of_the_time(opencap_video, tmp_path):
    frames = some_frames(opencap_video, stop=2.0)
    empty = np.full_like(frames[0][1], 110)
    half = [(t, image if t < 1.0 else empty) for t, image in frames]
    write_video(tmp_path / "half.mp4", iter(half))
    pose = mb.estimate_pose(tmp_path / "half.mp4", workers=1)
    absent = pose["position"].isnull().all(("space", "keypoint", "individual")).values
    assert (absent == (pose["time"].values >= 0.99)).all()
    assert "person_absent" in codes(pose)


def test_a_body_without_a_head_is_not_put_upside_down():
    """With the head cut off, the pose model may take the hips for a head."""
    pose = landmarks.nobody()
    pose["pixels"][[11, 12]] = (400, 100), (340, 100)
    pose["pixels"][[23, 24]] = (390, 250), (350, 250)
    assert not landmarks.upside_down(pose)
    lying = pose.copy()
    lying["pixels"] = pose["pixels"][:, ::-1]
    assert not landmarks.upside_down(lying)
    pose["pixels"][:, 1] *= -1
    assert landmarks.upside_down(pose)


@pytest.mark.parametrize(("part", "rows"), [("feet", slice(0, 820)), ("head", slice(625, 1280))])
def test_part_out_of_the_picture(opencap_video, tmp_path, part, rows):
    frames = [
        (t, np.ascontiguousarray(image[rows])) for t, image in some_frames(opencap_video, stop=0.5)
    ]
    write_video(tmp_path / "cut.mp4", iter(frames))
    assert f"{part}_out_of_picture" in codes(mb.estimate_pose(tmp_path / "cut.mp4", workers=1))


def test_moving_camera(opencap_video, tmp_path):
    frames = [
        (t, np.ascontiguousarray(image[:, int(40 * t) : int(40 * t) + 560]))
        for t, image in some_frames(opencap_video, stop=3.0, step=6)
    ]
    write_video(tmp_path / "moving.mp4", iter(frames))
    assert "moving_camera" in codes(mb.estimate_pose(tmp_path / "moving.mp4", workers=1))


def test_a_cut_of_the_film_is_named(opencap_video, tmp_path):
    standing = some_frames(opencap_video, stop=0.6, step=1)
    later = some_frames(opencap_video, start=2.6, stop=3.2, step=1)
    frames = [image for _, image in (*standing, *later)]
    write_video(tmp_path / "cut.mp4", ((i / 60, image) for i, image in enumerate(frames)))
    pose = mb.estimate_pose(tmp_path / "cut.mp4", workers=1)
    (warning,) = [w for w in warnings_of(pose) if w["code"] == "film_cut"]
    assert warning["values"] == {"moments": f"{len(standing) / 60:.1f} s"}
    assert cuts_of(pose) == [pytest.approx(len(standing) / 60, abs=1e-3)]


def test_captions_are_no_cuts_and_a_shot_that_is_shown_again_is_named(opencap_video, tmp_path):
    """A shot whose counter changes, the same man mirrored, and the shot again."""
    shot, other = (
        [image[::2, ::2] for _, image in some_frames(opencap_video, start=start, stop=stop)]
        for start, stop in ((1.0, 2.6), (3.0, 4.2))
    )
    frames = []
    for i, image in enumerate(shot):
        counted = image.copy()
        counted[-image.shape[0] // 4 :] = 30 if i // 12 % 2 else 220
        frames.append(counted)
    frames += [np.ascontiguousarray(image[:, ::-1]) for image in other]
    frames += shot[6:]
    write_video(tmp_path / "clip.mp4", ((i / 30, image) for i, image in enumerate(frames)))
    pose = mb.estimate_pose(tmp_path / "clip.mp4", workers=1)
    starts = len(shot) / 30, (len(shot) + len(other)) / 30
    assert cuts_of(pose) == pytest.approx(starts, abs=1e-3)
    (repeat,) = repeats_of(pose)
    assert repeat == pytest.approx((starts[1], len(frames) / 30, 6 / 30), abs=0.04)
    (warning,) = [w for w in warnings_of(pose) if w["code"] == "shots_repeated"]
    assert f"repeats a shot from {starts[1]:.1f} to" in warning["message"]


@pytest.mark.slow
def test_a_man_who_is_alone_keeps_every_frame_of_his_three_squats(shared_data):
    """From the side his arms hide his face, and the model sees a second head above them."""
    video = shared_data / "videos" / "rendered_side_deep_squats.mp4"
    pose = mb.estimate_pose(video)
    assert (pose["time"].values == presentation_times(video)[::2]).all()
    assert not pose["position"].isnull().any()
    assert codes(pose) == []
    reps = mb.find_repetitions(mb.fit_body(mb.clean_pose(pose)))
    assert reps["accepted"].values.tolist() == [True] * 3
    assert np.allclose(reps["start"], [1.0, 4.0, 7.0], atol=0.3)


def test_truncated_file_is_analysed_as_far_as_it_goes(opencap_video, tmp_path, clips):
    whole = tmp_path / "whole.mp4"
    write_video(whole, iter(some_frames(opencap_video, stop=2.0)))
    pose = mb.estimate_pose(clips.cut(whole, 0.5), workers=1)
    assert 5 < pose.sizes["time"] < 60
    assert any(code.startswith("video_") for code in codes(pose))


def test_what_cannot_be_measured_is_refused(opencap_video, clips, tmp_path):
    for frames, size, words in (
        (20, (160, 120), "nobody was found"),
        (1, (160, 120), "only one frame"),
        (20, (16, 16), "16 x 16 pixels are too small"),
    ):
        video = clips.make_clip(tmp_path / "a.mp4", frames, size=size)
        with pytest.raises(VideoError, match=words):
            mb.estimate_pose(video, workers=1)
    nan, inf = float("nan"), float("inf")
    for options, words in (
        ({"worker": 2}, "did you mean 'workers'"),
        ({"workers": 0}, "workers"),
        *(({"rate": rate}, "rate") for rate in ("most", 0, -3, nan)),
        *(({"subject": (x, 1)}, "from 0 to 99999") for x in (nan, inf, -1)),
    ):
        with pytest.raises(BadInputError, match=words):
            mb.estimate_pose(opencap_video, **options)
    with pytest.raises(NotFoundError):
        mb.estimate_pose("absent.mp4")


def test_a_worker_that_is_killed_is_an_error_of_one_line(opencap_video, monkeypatch, pose_model):
    def start_and_kill():
        process = start()
        process.kill()
        return process

    monkeypatch.setattr(pose_module, "start", start_and_kill)
    with pytest.raises(
        VideoError, match="a process that estimates the pose was killed by the system"
    ) as caught:
        mb.estimate_pose(opencap_video, workers=1)
    assert caught.value.retryable


def test_a_subject_who_is_lost_on_the_crop_is_nobody(clips, tmp_path, monkeypatch, pose_model):
    """Found at a second look only, and then no more: no success without a person."""
    video = clips.make_clip(tmp_path / "a.mp4", 20)
    times = np.arange(20) / 30
    poses = landmarks.nobody(20)
    poses["pixels"] = np.random.default_rng(1).uniform(20, 90, (20, 33, 2))
    poses["confidence"] = poses["presence"] = 0.9
    passes = [
        Pass(times, poses, 20, [], []),
        Pass(times, landmarks.nobody(20), 0, [], []),
    ]
    monkeypatch.setattr(pose_module, "_run", lambda *_: passes.pop(0))
    with pytest.raises(VideoError, match="nobody was found"):
        mb.estimate_pose(video)
    assert passes == []


def job(video, model):
    job = pose_worker.Job(
        video=str(video),
        model=str(model),
        chunks=[(0, None, None)],
        frame_times=presentation_times(video).tolist(),
        warm_up_s=0.5,
    )
    return job.model_dump(mode="json")


def test_a_worker_starts_no_other_program(clips, tmp_path, pose_model):
    """Not even to look for a library."""
    tell = (
        "import runpy, sys\n"
        "def tell(event, args):\n"
        "    if event in ('subprocess.Popen', 'os.posix_spawn', 'os.exec', 'os.fork'):\n"
        "        print('started:', args[:2], file=sys.stderr, flush=True)\n"
        "sys.addaudithook(tell)\n"
        "runpy.run_module('mobility.capture.pose_worker', run_name='__main__', alter_sys=True)"
    )
    (tmp_path / "watched.py").write_text(tell)
    video = clips.make_clip(tmp_path / "a.mp4", 3)
    chunks = []
    path = [str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path)}
    with (
        (tmp_path / "stderr").open("w+b") as stderr,
        Process("watched", stderr=stderr, env=environment) as process,
    ):
        process.ask(job(video, pose_model), on_message=lambda *message: chunks.append(message))
        stderr.seek(0)
        assert b"started:" not in stderr.read()
    assert [message["chunk"] for message, _ in chunks] == [0]


def test_what_stops_a_worker_is_passed_on_in_one_line(clips, tmp_path):
    model = tmp_path / "no_model.task"
    model.write_bytes(b"not a model")
    video = clips.make_clip(tmp_path / "a.mp4", 5)
    with start() as process, pytest.raises(VideoError) as caught:
        process.ask(job(video, model))
    assert str(caught.value).startswith("a.mp4: the pose search failed (")
    assert "\\n" not in str(caught.value)


def body(*, at=(100.0, 100.0), visibility=1.0):
    """One frame of a body whose sides are apart in space and in the picture, and its marks."""
    names = tables.load("landmarks")["landmarks"]["names"]
    pose = landmarks.nobody(1)
    height = np.linspace(0, 1, len(names))
    side = np.array([n.startswith("left") - 1.0 * n.startswith("right") for n in names])
    pose["pixels"] = np.stack([at[0] + 20 * side, at[1] + 200 * height], axis=-1)
    pose["position"] = np.stack([0.2 * side, height, 0 * height], axis=-1)
    pose["depth"] = 0.0
    pose["confidence"] = pose["presence"] = visibility
    order = [
        names.index(n.replace("left", "?").replace("right", "left").replace("?", "right"))
        for n in names
    ]
    return pose, pose[:, order]


PLACES = ("pixels", "depth", "position")


def moved(poses, pixels, depth, position):
    """Landmarks that are elsewhere in the picture and in space."""
    elsewhere = poses.copy()
    for name, by in zip(PLACES, (pixels, depth, position), strict=True):
        elsewhere[name] += by
    return elsewhere


def test_two_models_are_averaged_by_what_they_see():
    first, _ = body(visibility=0.9)
    second = moved(first, [8, 4], 2, [0.4, 0.2, 0.1])
    second["confidence"][:, 25] = 0.3  # the left knee
    mean, contradicted = pose_module.combined(first, second)
    assert contradicted == 0
    for row, share in ((26, 1 / 2), (25, 1 / 4)):
        away = {name: mean[name][0, row] - first[name][0, row] for name in PLACES}
        np.testing.assert_allclose(away["pixels"], [8 * share, 4 * share])
        np.testing.assert_allclose(away["depth"], 2 * share)
        np.testing.assert_allclose(away["position"], [0.4 * share, 0.2 * share, 0.1 * share])
    assert mean["confidence"][0, 25] == pytest.approx(0.6)
    # Seen by neither: the plain mean.
    first["confidence"][:, 25] = second["confidence"][:, 25] = 0.0
    unseen, _ = pose_module.combined(first, second)
    np.testing.assert_allclose(unseen["pixels"][0, 25] - first["pixels"][0, 25], [4, 2])


def test_where_two_models_contradict_the_first_stands_alone():
    here, exchanged = body()
    elsewhere, _ = body(at=(400.0, 100.0))
    absent = landmarks.nobody(1)
    near = moved(here, 1e-3, 1e-3, 1e-3)
    first = np.concatenate([here, here, here, here, absent])
    second = np.concatenate([near, exchanged, elsewhere, absent, here])
    mean, contradicted = pose_module.combined(first, second)
    assert contradicted == 2
    for name in PLACES:
        np.testing.assert_allclose(mean[name][0], here[name][0] + 5e-4)
    for name in landmarks.LANDMARK.names:
        np.testing.assert_array_equal(mean[name][1:], first[name][1:])


@pytest.fixture
def squat(shared_data, tmp_path):
    """The first two seconds of a clip of squats, at five frames a second."""
    video = shared_data / "videos" / "tfjs_pose_squats.mp4"
    write_video(tmp_path / "squat.mp4", some_frames(video, step=1))
    return tmp_path / "squat.mp4"


def test_the_heavy_model_finds_the_same_person(squat, heavy_model):
    full = mb.estimate_pose(squat, workers=1)["image_position"].to_numpy()
    pose = mb.estimate_pose(squat, workers=1, model="heavy")
    assert pose.attrs["model_sha256"] == sha256(heavy_model)
    assert codes(pose) == []
    apart = np.abs(pose["image_position"].to_numpy() - full)
    assert 0 < np.median(apart) < 0.02 * np.ptp(full[:, 1])


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
    with pytest.raises(NobodyFoundError, match=r"walk.mp4: its keypoints contain no person"):
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
    assert page.count("not checked, because the keypoints were supplied") == 2
    assert "there was no search for other people, cuts or camera" in page
    assert "It was not checked that they belong to it" in page
    half = FRAMES // 2
    assert f"{half} of the {FRAMES} supplied frames were used; the person is in {half}" in page
    found = {**quality, "frames": {**quality["frames"], "verdict": "ok"}}
    del found["frames"]["given"]
    other = str(checks_of_page(found))
    assert "given" not in other
    assert "analysed frames" in other
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
    assert "the keypoints may come from a smaller picture" in verdict.why.lower()
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
