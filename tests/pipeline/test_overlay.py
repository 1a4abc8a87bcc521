"""The drawing is where the pose is, says what the tables say, and hides what must be hidden."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import xarray as xr
from analytic import pose_dataset

from mobility.capture.video import presentation_times, probe, read_frames, write_video
from mobility.errors import BadInputError
from mobility.kinematics.skeleton import KEYPOINTS
from mobility.pipeline import overlay
from mobility.pipeline.overlay import LEFT, RIGHT, annotate_video

WIDTH, HEIGHT = 480, 640
TIMES = np.arange(45) / 30 + 0.004 * (np.arange(45) % 3)

BODY = {
    "shoulder": (60, 200), "elbow": (100, 150), "wrist": (110, 100), "hip": (40, 350),
    "knee": (60, 460), "ankle": (60, 560), "heel": (55, 580), "foot_index": (80, 590),
}  # fmt: skip
"""Pixels to the side of the middle, and from the top."""


def standing_pose(scale: float = 1.0, times: np.ndarray = TIMES) -> xr.Dataset:
    """A person who faces the camera: left is on the picture's right."""
    points = np.empty((2, len(KEYPOINTS)))
    for k, name in enumerate(KEYPOINTS):
        side = 1 if "left" in name else -1 if "right" in name else 0
        part = name.replace("left_", "").replace("right_", "")
        if k < 11:
            x, y = side * (20 if "ear" in name else 10), 130
        else:
            x, y = BODY.get(part, BODY["wrist"])
            x *= side
        points[:, k] = scale * (WIDTH / 2 + x), scale * y
    shape = (len(times), len(KEYPOINTS))
    return pose_dataset(
        times,
        position=np.zeros((shape[0], 3, shape[1])),
        image_position=np.broadcast_to(points, (shape[0], *points.shape)).copy(),
        confidence=np.ones(shape),
    )


def some_angles(times: np.ndarray = TIMES) -> xr.Dataset:
    course = np.tile([[92.4, 95.0]], (len(times), 1))
    names = ("knee_flexion", "hip_flexion", "ankle_dorsiflexion")
    return xr.Dataset(
        {
            **{name: (("time", "side"), course.copy()) for name in names},
            "trunk_lean": ("time", course[:, 0]),
        },
        coords={"time": times, "side": ["left", "right"]},
    )


def two_repetitions(times: np.ndarray = TIMES) -> xr.Dataset:
    start = np.array([0.1, 0.6, 1.1])
    columns = {"start": 0.0, "bottom_start": 0.1, "bottom": 0.15, "bottom_end": 0.2, "end": 0.3}
    return xr.Dataset(
        {
            **{name: ("rep", start + lag) for name, lag in columns.items()},
            "accepted": ("rep", [True, False, True]),
            "standing": ("time", np.ones(len(times), bool)),
        },
        coords={"rep": [1, 2, 3], "time": times},
    )


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A noisy grey video without anything on it; its times are uneven."""
    path = tmp_path_factory.mktemp("overlay") / "grey.mp4"
    blocks = np.random.default_rng(3).integers(100, 160, (HEIGHT // 8, WIDTH // 8))
    image = np.repeat(np.repeat(blocks, 8, 0), 8, 1)[..., None].repeat(3, 2).astype(np.uint8)
    write_video(path, ((t, image) for t in TIMES), crf=10)
    return path


def annotated(video: Path, out: Path, **changes: Any) -> list[np.ndarray]:
    pose = changes.pop("pose", standing_pose())
    angles = changes.pop("angles", some_angles())
    annotate_video(video, pose, angles, two_repetitions(), out, **changes)
    return [frame.image for frame in read_frames(out)]


def near(image: np.ndarray, x: float, y: float, colour: tuple[int, int, int]) -> bool:
    """Whether the colour is found within two pixels of (x, y)."""
    patch = image[int(y) - 2 : int(y) + 3, int(x) - 2 : int(x) + 3].astype(int)
    return bool((np.abs(patch - colour).max(axis=2) < 60).any())


def test_the_file_plays_in_a_browser_at_the_same_times(video: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    before = standing_pose()
    pose = before.copy(deep=True)
    assert annotate_video(video, pose, some_angles(), two_repetitions(), out) == len(TIMES)
    xr.testing.assert_identical(pose, before)
    info = probe(out)
    assert (info.codec, info.pixel_format) == ("h264", "yuv420p")
    assert (info.width, info.height) == (WIDTH, HEIGHT)
    np.testing.assert_allclose(presentation_times(out), presentation_times(video), atol=2e-5)
    data = out.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    again = tmp_path / "again.mp4"
    annotate_video(video, pose, some_angles(), two_repetitions(), again)
    assert again.read_bytes() == data


def test_left_and_right_have_their_colours_where_the_body_is(video: Path, tmp_path: Path) -> None:
    image = annotated(video, tmp_path / "out.mp4")[20]
    for part in ("shoulder", "hip", "knee", "ankle"):
        x, y = BODY[part]
        assert near(image, WIDTH / 2 + x, y, LEFT)
        assert near(image, WIDTH / 2 - x, y, RIGHT)
    # Halfway down the shank there is a line, beside it there is none.
    assert near(image, WIDTH / 2 + 60, 510, LEFT)
    assert not near(image, WIDTH / 2 + 90, 510, LEFT)


def test_what_was_not_found_is_not_drawn(video: Path, tmp_path: Path) -> None:
    pose = standing_pose()
    pose["confidence"].loc[{"keypoint": "left_knee"}] = 0.2
    pose["image_position"].loc[{"keypoint": "right_wrist"}] = np.nan
    pose["image_position"][30:] = np.nan
    images = annotated(video, tmp_path / "out.mp4", pose=pose)
    x, y = BODY["knee"]
    assert not near(images[20], WIDTH / 2 + x, y, LEFT)
    assert near(images[20], WIDTH / 2 - x, y, RIGHT)
    assert not near(images[20], WIDTH / 2 - 110, 100, RIGHT)
    assert not near(images[35], WIDTH / 2 - x, y, RIGHT)


def test_frames_outside_the_pose_have_no_skeleton(video: Path, tmp_path: Path) -> None:
    images = annotated(video, tmp_path / "out.mp4", pose=standing_pose().isel(time=slice(10, 20)))
    x, y = BODY["knee"]
    drawn = [near(image, WIDTH / 2 + x, y, LEFT) for image in images]
    assert drawn == [10 <= k < 20 for k in range(45)]


def test_between_estimated_frames_skeleton_and_angles_go_straight(
    video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pose, angles = standing_pose(), some_angles()
    way = 2.0 * np.arange(len(TIMES))
    pose["image_position"] += xr.DataArray(way, dims="time")
    angles["knee_flexion"][:, 0] = 30.0 + way
    numbers: list[str] = []
    put = overlay._Panel._put

    def spy(panel: Any, image: np.ndarray, text: str, row: int, x: int, **how: Any) -> None:
        if row == 4 and text.isdigit():
            numbers.append(text)
        put(panel, image, text, row, x, **how)

    monkeypatch.setattr(overlay._Panel, "_put", spy)
    every = annotated(video, tmp_path / "every.mp4", pose=pose, angles=angles)
    third = slice(0, None, 3)
    few = annotated(
        video, tmp_path / "few.mp4", pose=pose.isel(time=third), angles=angles.isel(time=third)
    )
    x, y = BODY["knee"]
    for k in range(43):  # the times are uneven, and so is the way from one to the next
        assert near(few[k], WIDTH / 2 + x + way[k], y + way[k], LEFT)
    values = np.array(numbers, float)[::2]
    assert np.abs(values[:43] - values[len(every) :][:43]).max() <= 1


def test_between_rows_far_apart_nothing_is_made_up() -> None:
    pose = standing_pose(times=np.array([0.0, 0.5, 1.0]))
    pose["image_position"] += xr.DataArray([0.0, 20.0, 40.0], dims="time")
    knee, height = WIDTH / 2 + BODY["knee"][0], BODY["knee"][1]

    def rows(pose: xr.Dataset, time: float) -> list[int]:
        """Rows of the pose whose knee is drawn at a time."""
        image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        overlay.skeleton(pose)(image, time)
        at = [(k, knee + 20 * k, height + 20 * k) for k in range(3)]
        assert image.any() == any(near(image, x, y, LEFT) for _, x, y in at)
        return [k for k, x, y in at if near(image, x, y, LEFT)]

    assert [rows(pose, time) for time in (0.25, -0.4)] == [[], []]
    assert [rows(pose, time) for time in (0.1, 0.45, 1.2)] == [[0], [1], [2]]
    assert rows(pose.isel(time=slice(0, 0)), 0.0) == []


def test_at_most_30_frames_a_second_and_720_lines(tmp_path: Path) -> None:
    path, out = tmp_path / "in.mp4", tmp_path / "out.mp4"
    times = np.arange(24) / 60
    write_video(path, [(t, np.full((1080, 608, 3), 200, np.uint8)) for t in times])
    inputs = standing_pose(1080 / HEIGHT, times), some_angles(times), two_repetitions(times)
    assert annotate_video(path, *inputs, out) == 12
    np.testing.assert_allclose(presentation_times(out), times[::2], atol=2e-5)
    assert (probe(out).width, probe(out).height) == (406, 720)
    assert annotate_video(path, *inputs, out, most_hz=60, most_height=1080) == 24
    assert (probe(out).width, probe(out).height) == (608, 1080)


def test_counter_and_phases() -> None:
    phase = overlay._phases(two_repetitions())
    assert phase(0.0) == (0, 2, "standing")
    assert phase(0.15) == (1, 2, "descent")
    assert phase(0.22) == (1, 2, "bottom")
    assert phase(0.26) == (1, 2, "bottom")
    assert phase(0.35) == (1, 2, "ascent")
    assert phase(0.85) == (1, 2, "ascent")  # the second was not accepted
    assert phase(1.3) == (2, 2, "bottom")
    assert phase(9.0) == (2, 2, "-")


def test_phases_of_other_movements_have_their_own_names() -> None:
    names = json.dumps(["way out", "turn", "way back", "rest"])
    phase = overlay._phases(two_repetitions().assign_attrs(phase_names=names))
    assert phase(0.0) == (0, 2, "rest")
    assert phase(0.15) == (1, 2, "way out")
    assert phase(0.22) == (1, 2, "turn")
    assert phase(0.35) == (1, 2, "way back")


def test_numbers_in_the_panel(video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts: set[str] = set()
    draw = overlay._text

    def spy(text: str, height: int) -> np.ndarray:
        texts.add(text)
        return draw(text, height)

    monkeypatch.setattr(overlay, "_text", spy)
    angles = some_angles()
    angles["knee_flexion"][5:10] = np.nan
    angles["hip_flexion"][:] = -0.3
    annotated(
        video,
        tmp_path / "out.mp4",
        angles=angles,
        shown_angles=("knee_flexion", "trunk_lean", "hip_flexion"),
    )
    assert {"Knee", "Hip", "Trunk", "92", "95", "0", "-", "Rep 0 / 2", "Rep 2 / 2"} <= texts
    assert not {"-0", "nan", "Ankle"} & texts


@pytest.mark.parametrize("size", [(202, 360), (361, 641), (1080, 1920), (3840, 2160)])
def test_every_size_has_a_legible_panel_within_the_picture(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    path, out = tmp_path / "in.mp4", tmp_path / "out.mp4"
    image = np.full((size[1], size[0], 3), 200, np.uint8)
    write_video(path, [(t, image) for t in TIMES[:3]], preset="ultrafast")
    scale = size[0] / WIDTH
    pose = standing_pose(scale, TIMES[:3])
    annotate_video(path, pose, some_angles(TIMES[:3]), two_repetitions(TIMES[:3]), out)
    shown = next(iter(read_frames(out))).image
    assert shown.shape[0] <= 720
    assert shown.shape[1] / shown.shape[0] == pytest.approx(size[0] / size[1], rel=0.02)
    dark = (shown.max(axis=2) < 110).nonzero()
    top_left = (dark[0] < shown.shape[0] / 2) & (dark[1] < shown.shape[1] * 0.7)
    assert 80 < dark[1][top_left].max() < shown.shape[1] * 0.75
    x, y = BODY["knee"]
    factor = shown.shape[1] / WIDTH
    if size[0] < size[1]:
        assert near(shown, factor * (WIDTH / 2 + x), factor * y, LEFT)


def detail(picture: np.ndarray) -> float:
    """Variance of the Laplacian: what is left of edges."""
    return float(cv2.Laplacian(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), cv2.CV_64F).var())


NOISE = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def hidden(
    pose: xr.Dataset, time: float, picture: np.ndarray = NOISE, **options: Any
) -> np.ndarray:
    image = picture.copy()
    overlay.only_the_body(pose, **options)(image, time)
    return image


@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0])
def test_the_body_is_untouched_and_nothing_is_left_of_what_is_around(scale: float) -> None:
    size = (round(scale * WIDTH), round(scale * HEIGHT))
    noise = np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    image = hidden(standing_pose(), float(TIMES[7]), noise, scale=scale)

    def part(x: float, y: float, half: float = 6) -> Any:
        (left, right), (top, low) = ((scale * (v - half), scale * (v + half)) for v in (x, y))
        return np.s_[round(top) : round(low), round(left) : round(right)]

    for name, (x, y) in BODY.items():
        for side in (-x, x):
            at = part(WIDTH / 2 + side, y)
            assert (image[at] == noise[at]).all(), name
    middle = part(WIDTH / 2, 280, 20)
    assert (image[middle] == noise[middle]).all()
    # The head, beside the body, between the feet, and corners.
    for x, y in ((WIDTH / 2, 130), (130, 300), (350, 300), (30, 30), (450, 30), (30, 610)):
        assert detail(image[part(x, y, 20)]) < 0.01 * detail(noise[part(x, y, 20)]), (x, y)


def test_of_a_face_of_any_size_no_more_than_blocks_are_left() -> None:
    """With all blocks turned upside down, of which 6 make a face of half the height, the same."""
    nobody = standing_pose().isel(time=slice(0, 0))
    picture = np.random.default_rng(1).integers(0, 255, (48, 36, 3), dtype=np.uint8)
    picture = picture.repeat(10, axis=0).repeat(10, axis=1)
    blocks = picture.reshape(12, 40, 9, 40, 3)
    turned = blocks[:, ::-1, :, ::-1].reshape(picture.shape)
    one, other = (hidden(nobody, 0.0, each).astype(int) for each in (picture, turned))
    assert np.abs(picture.astype(int) - turned).mean() > 50
    assert np.abs(one - other).max() <= 6


def test_without_the_pose_or_the_head_the_whole_picture_is_hidden() -> None:
    pose = standing_pose()
    pose["image_position"][10] = np.nan
    pose["image_position"][20, :, :11] = np.nan
    for time in (float(TIMES[10]), float(TIMES[20]), 9.0):
        assert detail(hidden(pose, time)) < 0.01 * detail(NOISE)
    # A moment of its own is known there; nothing is guessed from it.
    assert detail(hidden(pose, float(TIMES[11]))[320:]) > 0.05 * detail(NOISE)


def test_what_was_the_bodys_a_moment_ago_stays_so_that_it_does_not_flicker() -> None:
    pose = standing_pose()
    pose["image_position"].loc[{"keypoint": "left_knee", "pixel": "u"}][21] += 150
    knee = np.s_[455:465, 295:305]
    for k in (20, 21, 22):
        assert (hidden(pose, float(TIMES[k]))[knee] == NOISE[knee]).all()


def test_no_head_is_seen_where_the_pose_jumps_to_somebody_else() -> None:
    pose = standing_pose()
    pose["image_position"].loc[{"pixel": "u"}][21] += 150
    for k in (20, 21, 22):
        image = hidden(pose, float(TIMES[k]))
        for x in (WIDTH // 2, WIDTH // 2 + 150):
            face = np.s_[115:145, x - 15 : x + 15]
            assert detail(image[face]) < 0.1 * detail(NOISE[face]), (k, x)


def test_heads_of_others_are_hidden_before_the_body_and_on_the_way() -> None:
    pose = standing_pose()
    looks = [[10.0, 240, 300, 30], [12.0, 240, 500, 30]]
    pose.attrs["survey"] = json.dumps({"other_heads": [looks]})

    def places(time: float) -> tuple[bool, ...]:
        shifted = pose.assign_coords(time=TIMES - TIMES[7] + time)
        image = hidden(shifted, time)
        parts = [np.s_[y - 10 : y + 10, 235:245] for y in (260, 300, 340)]
        return tuple(detail(image[part]) < 0.1 * detail(NOISE[part]) for part in parts)

    assert places(10.0) == (False, True, False)
    assert places(8.5) == (False, True, False)  # shortly before the first look
    assert places(7.5) == (False, False, False)
    assert places(10.4) == (False, False, True)  # on the way, at 340


def test_a_bystander_whom_nobody_found_is_not_recognised(shared_data: Path) -> None:
    """A woman with a mask in the background."""
    source = shared_data / "videos" / "pose2sim_balance_cam02_front.mp4"
    pose = standing_pose(1.2)
    pose["image_position"] += 250  # about where he stands at first
    frame = next(iter(read_frames(source)))
    image = hidden(pose, float(TIMES[0]), frame.image)
    face = np.s_[475:550, 775:835]
    assert detail(image[face]) < 0.05 * detail(frame.image[face])


def test_the_annotated_video_hides_what_the_pictures_hide(video: Path, tmp_path: Path) -> None:
    pose = standing_pose()
    pose["confidence"][:] = 0.0  # nothing is drawn
    plain = annotated(video, tmp_path / "plain.mp4", pose=pose)[10]
    blurred = annotated(video, tmp_path / "blurred.mp4", pose=pose, blur_face=True)[10]
    assert detail(blurred[300:500, 10:80]) < 0.05 * detail(plain[300:500, 10:80])
    assert np.abs(plain[250:300, 220:260].astype(int) - blurred[250:300, 220:260]).mean() < 3


def test_bad_input_is_refused(video: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    with pytest.raises(BadInputError, match="did you mean 'knee_flexion'"):
        annotated(video, out, shown_angles=("knee_flexon",))
    with pytest.raises(BadInputError, match="image_position"):
        annotated(video, out, pose=standing_pose().drop_vars("image_position"))
    with pytest.raises(BadInputError, match="did you mean 'blur_face'"):
        annotated(video, out, blur_faces=True)
    assert not out.exists()


def test_real_recording(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "videos" / "tfjs_pose_squats.mp4"
    times = presentation_times(source)
    out = tmp_path / "out.mp4"
    annotate_video(
        source, standing_pose(1.5, times), some_angles(times), two_repetitions(times), out
    )
    np.testing.assert_allclose(presentation_times(out), times, atol=2e-5)
