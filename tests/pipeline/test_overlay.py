"""The drawing is where the pose is, says what the tables say, and hides what must be hidden."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

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
    assert max(shown.shape) <= 1280
    assert shown.shape[1] / shown.shape[0] == pytest.approx(size[0] / size[1], rel=0.02)
    dark = (shown.max(axis=2) < 110).nonzero()
    top_left = (dark[0] < shown.shape[0] / 2) & (dark[1] < shown.shape[1] * 0.7)
    assert 80 < dark[1][top_left].max() < shown.shape[1] * 0.75
    x, y = BODY["knee"]
    factor = shown.shape[1] / WIDTH
    if size[0] < size[1]:
        assert near(shown, factor * (WIDTH / 2 + x), factor * y, LEFT)


def test_the_head_is_hidden_and_nothing_else(video: Path, tmp_path: Path) -> None:
    pose = standing_pose()
    pose["confidence"][:] = 0.0  # nothing is drawn, so that only the blur differs
    pose["image_position"][10:20, :, :11] = np.nan  # a gap of a third of a second
    pose["image_position"][30:] = np.nan  # the pose is lost at the end
    plain = annotated(video, tmp_path / "plain.mp4", pose=pose)
    hidden = annotated(video, tmp_path / "hidden.mp4", pose=pose, blur_face=True)
    for k in (0, 5, 12, 18, 25, 31, 44):
        change = np.abs(plain[k].astype(int) - hidden[k]).mean(axis=2)
        head = np.s_[90:170, 200:280]
        assert change[head].mean() > 8
        # The blocks of noise, 8 pixels wide, are gone.
        assert hidden[k][head].std() < 0.5 * plain[k][head].std()
        assert change[330:].mean() < 2


def test_without_a_head_the_whole_picture_is_hidden(video: Path, tmp_path: Path) -> None:
    pose = standing_pose()
    pose["image_position"][:] = np.nan
    image = annotated(video, tmp_path / "out.mp4", pose=pose, blur_face=True)[10]
    assert image[300:].std() < 12 < next(iter(read_frames(video))).image[300:].std()


def test_a_moving_head_is_followed_through_a_gap() -> None:
    pose = standing_pose()
    points = pose["image_position"].to_numpy()[..., 0].transpose(0, 2, 1).copy()
    points[:, :, 0] += 100 * TIMES[:, None]
    points[10:14, :11] = np.nan
    heads = overlay._Heads(TIMES, points)
    (region,) = heads._regions_at(float(TIMES[12]), 12)
    assert region.x == pytest.approx(WIDTH / 2 + 100 * TIMES[12])
    assert region.radius > heads.regions[9].radius  # type: ignore[union-attr]
    points[5:30, :11] = np.nan  # too long to follow: both ends, enlarged
    assert len(overlay._Heads(TIMES, points)._regions_at(float(TIMES[12]), 12)) == 2


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
