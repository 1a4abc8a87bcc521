"""Frames come at their true times, upright, whole, and the same from wherever reading starts."""

from __future__ import annotations

import os
import resource
import tracemalloc
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import av
import cv2
import numpy as np
import pytest

from mobility.capture.video import Frame, presentation_times, probe, read_frames, write_video
from mobility.errors import BadInputError, NotFoundError, StorageError, VideoError

FAST_VP9 = {"deadline": "realtime", "cpu-used": "8"}
OPEN_HEVC = {"x265-params": "log-level=none:open-gop=1:keyint=8:bframes=3:pools=none"}
UNEVEN = [i / 30 + 0.005 * (i % 3) + (0.4 if i > 10 else 0.0) for i in range(30)]

FORMATS: dict[str, tuple[str, dict[str, Any]]] = {
    "h264": ("a.mp4", {}),
    "narrow": ("a.mp4", {"size": (202, 120)}),
    "odd": ("a.mp4", {"size": (203, 121), "pix_fmt": "yuv444p"}),
    "odd_portrait": ("a.mkv", {"size": (361, 641), "codec": "ffv1"}),
    "gray": ("a.mkv", {"codec": "ffv1", "pix_fmt": "gray"}),
    "hevc_10_bit_open_gop": (
        "a.mp4",
        {"codec": "libx265", "pix_fmt": "yuv420p10le", "options": OPEN_HEVC},
    ),
    "open_gop": ("a.mp4", {"options": {"x264-params": "open-gop=1:keyint=10:bframes=3"}}),
    "intra_refresh": ("a.mp4", {"options": {"x264-params": "intra-refresh=1:keyint=10"}}),
    "interlaced": ("a.mp4", {"options": {"x264-params": "interlaced=1"}}),
    "fragmented": ("a.mp4", {"container_options": {"movflags": "frag_keyframe+empty_moov"}}),
    "sound": ("a.mp4", {"audio": True}),
    "uneven": ("a.mp4", {"times": UNEVEN}),
    "rgb": ("a.mkv", {"codec": "libx264rgb", "pix_fmt": "rgb24"}),
    "vp9": ("a.webm", {"codec": "libvpx-vp9", "options": FAST_VP9}),
    "vp8": ("a.webm", {"codec": "libvpx"}),
    "mpegts": ("a.ts", {}),
    "mpeg2": ("a.ts", {"codec": "mpeg2video"}),
    "avi": ("a.avi", {"codec": "mpeg4"}),
    "mjpeg": ("a.mov", {"codec": "mjpeg", "pix_fmt": "yuvj420p"}),
    "prores": ("a.mov", {"codec": "prores_ks", "pix_fmt": "yuv422p10le"}),
}


@pytest.fixture(params=FORMATS)
def any_clip(request: pytest.FixtureRequest, clips: ModuleType, tmp_path: Path) -> Path:
    name, options = FORMATS[request.param]
    return clips.make_clip(tmp_path / name, 30, **options)


def faults_of(path: Path, **options: Any) -> tuple[list[Frame], dict[str, str]]:
    faults: list[dict[str, str]] = []
    frames = list(read_frames(path, on_fault=faults.append, **options))
    return frames, {fault["code"]: fault["message"] for fault in faults}


def test_every_format_gives_all_frames_in_order_packed(any_clip: Path, clips: ModuleType) -> None:
    frames, faults = faults_of(any_clip)
    assert faults == {}
    assert [clips.number(frame.image) for frame in frames] == list(range(30))
    info = probe(any_clip)
    for frame in frames:
        assert frame.image.shape == (info.height, info.width, 3)
        assert frame.image.dtype == np.uint8
        # A strided image is misread by MediaPipe without an error.
        assert frame.image.flags.c_contiguous
    times = np.array([frame.time for frame in frames])
    np.testing.assert_array_equal(presentation_times(any_clip), times)
    assert (np.diff(times) > 0).all()


def test_a_part_is_exactly_the_same_as_in_a_full_read(any_clip: Path) -> None:
    whole = list(read_frames(any_clip))
    for start, stop in [(0.0, 0.1), (0.01, 0.3), (0.34, 0.5), (0.4, 0.41), (0.7, None), (1.3, 9)]:
        expected = [f for f in whole if start <= f.time < (np.inf if stop is None else stop)]
        part = list(read_frames(any_clip, start=start, stop=stop))
        assert [f.time for f in part] == [f.time for f in expected]
        for frame, same in zip(part, expected, strict=True):
            np.testing.assert_array_equal(frame.image, same.image)


def test_a_glance_is_the_same_picture_in_grey(any_clip: Path) -> None:
    glances: list[np.ndarray] = []
    frames = list(read_frames(any_clip, glance=lambda _, grey: glances.append(grey)))
    assert len(glances) == len(frames)
    for frame, seen in zip(frames, glances, strict=True):
        whole = cv2.cvtColor(frame.image, cv2.COLOR_RGB2GRAY)
        small = cv2.resize(whole, seen.shape[::-1], interpolation=cv2.INTER_AREA)
        # Luma may have less range than grey: the pictures go together, whatever their scale.
        assert np.corrcoef(small.ravel(), seen.ravel())[0, 1] > 0.9


def test_threads_change_nothing(clips: ModuleType, tmp_path: Path) -> None:
    path = clips.make_clip(tmp_path / "a.mp4", 40)
    for one, two in zip(read_frames(path), read_frames(path, threads=2), strict=True):
        assert one.time == two.time
        np.testing.assert_array_equal(one.image, two.image)


@pytest.mark.parametrize("ending", ["mkv", "nut", "flv", "mp4", "mov", "ts"])
@pytest.mark.parametrize("start", [0, 10])
def test_a_clock_that_starts_late_changes_neither_times_nor_duration(
    clips: ModuleType, tmp_path: Path, ending: str, start: int
) -> None:
    options = {"output_ts_offset": str(start)}
    path = clips.make_clip(tmp_path / f"a.{ending}", 60, container_options=options)
    frames, faults = faults_of(path)
    assert faults == {}
    np.testing.assert_allclose([frame.time for frame in frames], np.arange(60) / 30, atol=1e-3)
    np.testing.assert_allclose(presentation_times(path), np.arange(60) / 30, atol=1e-3)
    # FLV may count its duration from wherever its clock stood.
    assert probe(path).duration_s == pytest.approx(2, abs=0.07)


def test_frames_hidden_by_an_edit_list_are_not_shown(clips: ModuleType, tmp_path: Path) -> None:
    path = clips.hide_first(clips.make_clip(tmp_path / "a.mp4", 60, gop=100), 7)
    frames = list(read_frames(path))
    assert [clips.number(frame.image) for frame in frames] == list(range(7, 60))
    assert frames[0].time == 0.0
    assert len(presentation_times(path)) == 53


@pytest.mark.parametrize("hflip", [False, True])
@pytest.mark.parametrize("vflip", [False, True])
@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("size", [(160, 120), (120, 160)])
def test_pictures_are_upright(
    clips: ModuleType,
    tmp_path: Path,
    size: tuple[int, int],
    rotation: int,
    hflip: bool,
    vflip: bool,
) -> None:
    path = clips.make_clip(
        tmp_path / "a.mp4", 4, size=size, rotation=rotation, hflip=hflip, vflip=vflip
    )
    frames = list(read_frames(path))
    info = probe(path)
    assert (info.width, info.height) == size
    assert [clips.number(frame.image) for frame in frames] == [0, 1, 2, 3]
    row = frames[0].image[size[1] * 6 // 10].astype(int)
    assert np.abs(row[size[0] // 4] - clips.LEFT).max() < 40
    assert np.abs(row[size[0] * 3 // 4] - clips.RIGHT).max() < 40


@pytest.mark.parametrize("rotation", [0, 90, 270])
def test_high_pictures_are_reduced_as_they_are_read(
    clips: ModuleType, tmp_path: Path, rotation: int
) -> None:
    path = clips.make_clip(tmp_path / "a.mp4", 2, size=(240, 320), rotation=rotation)
    whole = [frame.image for frame in read_frames(path)]
    small = [frame.image for frame in read_frames(path, most_height=160)]
    assert [image.shape for image in small] == [(160, 120, 3)] * 2
    for image, reduced in zip(whole, small, strict=True):
        expected = cv2.resize(image, (120, 160), interpolation=cv2.INTER_AREA)
        assert np.abs(expected.astype(int) - reduced).mean() < 2
    for image, same in zip(whole, read_frames(path, most_height=320), strict=True):
        np.testing.assert_array_equal(same.image, image)


def test_a_phone_held_upright_is_turned_clockwise(clips: ModuleType, tmp_path: Path) -> None:
    # Phones state the matrix (0 1 -1 0): a stored point (x, y) is shown at (-y, x), which turns
    # the stored top edge to the right. Checked on the bytes, apart from PyAV's words for it.
    path = clips.make_clip(tmp_path / "a.mp4", 4, size=(120, 160), rotation=270)
    assert clips.track_matrix(path) == (0, 1, -1, 0)
    with av.open(str(path)) as container:
        stored = next(container.decode(video=0)).to_ndarray(format="rgb24")
    shown = next(iter(read_frames(path))).image
    assert stored.shape == (120, 160, 3)
    np.testing.assert_array_equal(shown[:, -1], stored[0])


def test_pixels_become_square(clips: ModuleType, tmp_path: Path) -> None:
    path = clips.make_clip(tmp_path / "a.mp4", 3, aspect=Fraction(4, 3))
    info = probe(path)
    assert (info.width, info.height) == (213, 120)
    assert next(iter(read_frames(path))).image.shape == (120, 213, 3)


def test_colours_follow_the_matrix_of_the_file(tmp_path: Path) -> None:
    image = np.zeros((64, 64, 3), np.uint8)
    image[:32], image[32:] = (200, 30, 60), (20, 180, 90)
    write_video(tmp_path / "a.mp4", [(i / 30, image) for i in range(3)], crf=1)
    shown = next(iter(read_frames(tmp_path / "a.mp4"))).image
    # The matrix of BT.709 in place of BT.601 would be off by 20 to 30 here.
    for row in (8, 56):
        np.testing.assert_allclose(shown[row, 32].astype(int), image[row, 32], atol=5)


def test_probe_says_what_is_in_the_file(clips: ModuleType, tmp_path: Path) -> None:
    info = probe(clips.make_clip(tmp_path / "a.mp4", 30, audio=True))
    assert info.path == tmp_path / "a.mp4"
    assert (info.codec, info.pixel_format) == ("h264", "yuv420p")
    assert info.frame_rate == pytest.approx(30)
    assert info.duration_s == pytest.approx(1.0, abs=0.01)


NO_VIDEOS = (
    "absent.mp4", "folder", "empty.mp4", "text.mp4", "sound.m4a", "cut.mp4", "playlist.mp4",
    "raw.h264", "picture.png", "pipe", "long" * 1250,
)  # fmt: skip


@pytest.mark.parametrize("name", NO_VIDEOS)
@pytest.mark.parametrize("function", [probe, presentation_times, lambda p: list(read_frames(p))])
def test_what_is_no_video_is_refused_in_one_line(
    clips: ModuleType, tmp_path: Path, name: str, function: Any
) -> None:
    path = tmp_path / name
    expected: type[Exception] = VideoError
    if name == "absent.mp4":
        expected = NotFoundError
    elif name == "folder":
        path.mkdir()
        expected = BadInputError
    elif name == "pipe":
        os.mkfifo(path)
        expected = BadInputError
    elif name.startswith("long"):
        expected = BadInputError
    elif name == "empty.mp4":
        path.touch()
    elif name == "text.mp4":
        path.write_text("this is not a video\n" * 50)
    elif name == "sound.m4a":
        clips.make_audio(path)
    elif name == "cut.mp4":  # the index is at the end and was cut off
        clips.cut(clips.make_clip(path, 60), 0.6)
    elif name == "playlist.mp4":  # names other files, which we must not read
        other = clips.make_clip(tmp_path / "other.ts", 30)
        path.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{other}\n#EXT-X-ENDLIST\n")
    elif name == "raw.h264":
        clips.make_clip(path, 5)
    elif name == "picture.png":
        import cv2

        cv2.imwrite(str(path), clips.picture(1, 64, 48))
    what = "too long" if name.startswith("long") else path.name
    with pytest.raises(expected, match=what) as caught:
        function(path)
    assert "\n" not in str(caught.value)
    assert "; " in str(caught.value)  # what is wrong; what to do


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv"])
def test_a_title_that_is_no_utf8_is_no_fault(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with av.open(str(path), "w") as container:
        container.metadata["title"] = "a title, cafe"
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
        for packet in (*stream.encode(frame), *stream.encode()):
            container.mux(packet)
    content = path.read_bytes()
    assert b"cafe" in content
    path.write_bytes(content.replace(b"cafe", b"caf\xe9"))
    frames, faults = faults_of(path)
    assert (len(frames), faults) == (1, {})


def test_a_cut_file_gives_what_it_has_and_says_so(clips: ModuleType, tmp_path: Path) -> None:
    path = clips.make_clip(tmp_path / "a.mp4", 90, container_options={"movflags": "faststart"})
    frames, faults = faults_of(clips.cut(path, 0.6))
    assert 20 < len(frames) < 60
    assert [clips.number(frame.image) for frame in frames] == [round(f.time * 30) for f in frames]
    assert "3.00 s" in faults["video_truncated"]
    assert "\n" not in faults["video_truncated"]


def test_stopping_early_is_no_truncation(clips: ModuleType, tmp_path: Path) -> None:
    path = clips.make_clip(tmp_path / "a.mp4", 90)
    assert faults_of(path, stop=1.0)[1] == {}


def test_a_damaged_middle_is_left_out_and_reported(clips: ModuleType, tmp_path: Path) -> None:
    path = clips.make_clip(tmp_path / "a.mp4", 90, container_options={"movflags": "faststart"})
    frames, faults = faults_of(clips.damage(path, 0.4, 0.45))
    assert "video_damaged" in faults
    assert 60 < len(frames) < 90
    # Nothing that is built on a damaged picture is passed on; the end is reached.
    assert [clips.number(frame.image) for frame in frames] == [round(f.time * 30) for f in frames]
    assert clips.number(frames[-1].image) == 89


def test_repeated_times_are_left_out_and_reported(clips: ModuleType, tmp_path: Path) -> None:
    path = clips.make_clip(tmp_path / "a.avi", 20, codec="mjpeg", pix_fmt="yuvj420p")
    packets = path.with_suffix(".mkv")
    with av.open(str(path)) as source, av.open(str(packets), "w") as out:
        copy = out.add_stream_from_template(source.streams.video[0])
        for k, packet in enumerate(source.demux(video=0)):
            if packet.size:
                packet.stream = copy
                packet.pts = packet.dts = min(k, 10) if k < 13 else k
                out.mux(packet)
    frames, faults = faults_of(packets)
    assert "2 frames are left out" in faults["video_timestamps"]
    assert [clips.number(f.image) for f in frames] == [*range(11), *range(13, 20)]
    np.testing.assert_array_equal(presentation_times(packets), [f.time for f in frames])


def test_bad_options_are_refused(clips: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="did you mean 'threads'"):
        read_frames(tmp_path / "a.mp4", thread=2)  # type: ignore[call-arg]
    with pytest.raises(BadInputError, match="threads"):
        read_frames(tmp_path / "a.mp4", threads=0)


def test_frames_are_streamed(clips: ModuleType, tmp_path: Path) -> None:
    path = clips.make_clip(tmp_path / "a.mp4", 200, size=(320, 240))
    tracemalloc.start()
    try:
        assert sum(1 for _ in read_frames(path)) == 200
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 20 * 320 * 240 * 3


# Writing


def pattern(clips: ModuleType, n: int, width: int, height: int) -> list[tuple[float, np.ndarray]]:
    times = UNEVEN[:n]
    return [(times[i], clips.picture(i, width, height)) for i in range(n)]


def test_written_video_plays_in_a_browser(clips: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    assert write_video(path, pattern(clips, 30, 160, 120)) == 30
    info = probe(path)
    assert (info.codec, info.pixel_format) == ("h264", "yuv420p")
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")  # can start before all is loaded
    frames = list(read_frames(path))
    np.testing.assert_allclose([f.time for f in frames], UNEVEN, atol=1 / 90_000)
    assert [clips.number(f.image) for f in frames] == list(range(30))
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("height", [64, 66, 530, 854])
def test_colours_stand_where_they_are_whatever_the_height(tmp_path: Path, height: int) -> None:
    image = np.full((height, 66, 3), (30, 30, 220), np.uint8)
    edge = height // 4 * 2
    image[:edge] = (220, 30, 30)
    write_video(tmp_path / "a.mp4", [(0.0, image)], crf=5)
    (frame,) = read_frames(tmp_path / "a.mp4")
    assert np.abs(frame.image.astype(int) - image).max(axis=2).mean() < 8


def test_odd_sizes_grow_by_one_pixel(clips: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    write_video(path, pattern(clips, 4, 161, 121), crf=5)
    assert (probe(path).width, probe(path).height) == (162, 122)
    image = next(iter(read_frames(path))).image.astype(int)
    original = clips.picture(0, 161, 121).astype(int)
    assert np.abs(image[70:100, :70] - original[70:100, :70]).mean() < 6
    assert np.abs(image[70:100, -1] - image[70:100, -2]).mean() < 6


def test_a_fault_leaves_the_old_file_and_nothing_else(clips: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    write_video(path, pattern(clips, 3, 64, 48))
    before = path.read_bytes()
    good = pattern(clips, 5, 64, 48)

    def interrupted() -> Any:
        yield from good[:3]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_video(path, interrupted())
    for bad in (
        [],
        [good[0], good[0]],
        [good[1], good[0]],
        [(-1.0, good[0][1])],
        [(np.nan, good[0][1])],
        [good[0], (1.0, clips.picture(0, 80, 48))],
        [(0.0, good[0][1][..., 0])],
        [(0.0, good[0][1].astype(float))],
    ):
        with pytest.raises(BadInputError, match="write_video"):
            write_video(path, bad)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_a_storage_error(clips: ModuleType, tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (40, 120, 160, 3), dtype=np.uint8)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))  # as if the disk held no more
    try:
        with pytest.raises(StorageError, match=r"a\.mp4.*; "):
            write_video(tmp_path / "a.mp4", ((i / 30, image) for i, image in enumerate(noise)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


def test_an_absent_folder_is_a_storage_error(clips: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="create it first"):
        write_video(tmp_path / "absent" / "a.mp4", pattern(clips, 2, 64, 48))


# Real recordings


@pytest.mark.parametrize(
    "name",
    [
        "opencap_s4_squats1_phone.mp4",
        "tfjs_pose_squats.mp4",
        "pose2sim_balance_cam01.mp4",
        "pose2sim_balance_cam02_front.mp4",
    ],
)
def test_real_recordings_are_read_the_same_in_parts(shared_data: Path, name: str) -> None:
    path = shared_data / "videos" / name
    whole = [(frame.time, hash(frame.image.tobytes())) for frame in read_frames(path)]
    np.testing.assert_array_equal(presentation_times(path), [time for time, _ in whole])
    end = whole[-1][0]
    for start in (0.35 * end, 0.8 * end):
        part = [
            (frame.time, hash(frame.image.tobytes()))
            for frame in read_frames(path, start=start, stop=start + 0.3)
        ]
        assert part == [(t, h) for t, h in whole if start <= t < start + 0.3]
