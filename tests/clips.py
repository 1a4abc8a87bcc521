"""Makes small videos whose frames show their own number, upright, in every format."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

BITS = 10
"""Bars in the upper half of a picture: the frame number in binary, white for one."""

LEFT, RIGHT = (220, 40, 40), (40, 60, 220)
"""Colours of the lower left and lower right quarter."""


def picture(index: int, width: int, height: int) -> np.ndarray:
    """Return the upright picture of frame `index`; a square moves so that coding is not trivial."""
    image = np.empty((height, width, 3), np.uint8)
    image[:, : width // 2] = LEFT
    image[:, width // 2 :] = RIGHT
    edges = np.linspace(0, width, BITS + 1).round().astype(int)
    for bit in range(BITS):
        image[: height // 2, edges[bit] : edges[bit + 1]] = 255 if index >> bit & 1 else 0
    side = max(2, height // 8)
    x = index * 3 % max(1, width - side)
    image[height - side :, x : x + side] = (240, 240, 60)
    return image


def number(image: np.ndarray) -> int:
    """Read the frame number from an upright picture."""
    height, width = image.shape[:2]
    edges = np.linspace(0, width, BITS + 1)
    centres = ((edges[:-1] + edges[1:]) / 2).astype(int)
    bars = image[height // 8 : 3 * height // 8, centres].mean(axis=(0, 2))
    return sum(1 << bit for bit in range(BITS) if bars[bit] > 128)


def make_clip(
    path: Path,
    n: int = 30,
    *,
    size: tuple[int, int] = (160, 120),
    fps: int = 30,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    rotation: int = 0,
    hflip: bool = False,
    vflip: bool = False,
    times: Sequence[float] | None = None,
    aspect: Fraction | None = None,
    gop: int = 12,
    bframes: int = 2,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    audio: bool = False,
) -> Path:
    """Write frames 0..n-1 to `path`; the suffix chooses the container.

    `size` (width, height) and the pictures are as stored when `rotation`
    (counter-clockwise degrees from stored to displayed) is 0, else as displayed.
    """
    width, height = size
    with av.open(str(path), "w", options=container_options or {}) as out:
        stream = out.add_stream(codec, rate=fps, options=options or {})
        context = stream.codec_context
        turned = rotation % 180 == 90
        context.width, context.height = (height, width) if turned else (width, height)
        context.pix_fmt = pix_fmt
        context.thread_count = 1
        context.gop_size = gop
        if codec in ("libx264", "libx265", "mpeg4", "mpeg2video", "libx264rgb"):
            context.max_b_frames = bframes
        if aspect:
            context.sample_aspect_ratio = aspect
        base = Fraction(1, 90_000) if times is not None else Fraction(1, fps)
        context.time_base = stream.time_base = base
        if rotation or hflip or vflip:
            stream.set_display_rotation(rotation, hflip, vflip)
        sound = (
            out.add_stream("aac" if path.suffix != ".webm" else "libopus", rate=48_000)
            if audio
            else None
        )
        for i in range(n):
            image = picture(i, width, height)
            if vflip:
                image = image[::-1]
            if hflip:
                image = image[:, ::-1]
            image = np.ascontiguousarray(np.rot90(image, -rotation // 90))
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=pix_fmt)
            frame.pts = i if times is None else round(times[i] * 90_000)
            frame.time_base = base
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
        if sound is not None:
            _silence(out, sound, n / fps)
    return path


def _silence(out: av.container.OutputContainer, stream: av.AudioStream, seconds: float) -> None:
    for k in range(int(seconds * 48_000 / 1024) + 1):
        frame = av.AudioFrame.from_ndarray(
            np.zeros((1, 2048), np.int16), format="s16", layout="stereo"
        )
        frame.sample_rate, frame.pts, frame.time_base = 48_000, k * 1024, Fraction(1, 48_000)
        out.mux(stream.encode(frame))
    out.mux(stream.encode(None))


def make_audio(path: Path, seconds: float = 0.5) -> Path:
    """Write a file with sound only."""
    with av.open(str(path), "w") as out:
        _silence(out, out.add_stream("aac", rate=48_000), seconds)
    return path


def hide_first(path: Path, hidden: int, fps: int = 30) -> Path:
    """Change the edit list of an MP4 so that its first `hidden` frames are not shown."""
    data = bytearray(path.read_bytes())
    at = data.index(b"elst")
    count, duration, media_time = struct.unpack(">IIi", data[at + 8 : at + 20])
    assert count == 1
    scale = _media_timescale(data)
    media_time += hidden * scale // fps
    duration -= hidden * 1000 // fps
    data[at + 12 : at + 20] = struct.pack(">Ii", duration, media_time)
    path.write_bytes(data)
    return path


def _box(kind: bytes, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return struct.pack(">I4s", 8 + len(content), kind) + content


def _place(data: bytes, kind: bytes, start: int, stop: int) -> tuple[int, int]:
    while data[start + 4 : start + 8] != kind:
        start += struct.unpack(">I", data[start : start + 4])[0]
        assert start < stop
    return start, start + struct.unpack(">I", data[start : start + 4])[0]


def write_lens(path: Path, kind: int, value: bytes, *, of: str = "track") -> Path:
    """Put a focal length into the metadata of a film or of its track, as phones do.

    `kind` is QuickTime's type of the `value`. The index has to be at the end of the file.
    """
    key = b"com.apple.quicktime.camera.focal_length.35mm_equivalent"
    names = b"".join(_box(b"mdta", name) for name in (b"com.apple.quicktime.make", key))
    said = _box(b"data", struct.pack(">II", kind, 0), value)
    make = _box(b"data", struct.pack(">II", 1, 0), b"A")
    entries = _box(struct.pack(">I", 1), make), _box(struct.pack(">I", 2), said)
    parts = [
        *([bytes(4)] if of == "mp4" else []),  # version and flags
        _box(b"hdlr", bytes(8), b"mdta", bytes(13)),
        _box(b"keys", bytes(4), struct.pack(">I", 2), names),
        _box(b"ilst", *entries),
    ]
    metadata = _box(b"meta", *parts)
    data = bytearray(path.read_bytes())
    places = [_place(data, b"moov", 0, len(data))]
    if of == "track":
        places.append(_place(data, b"trak", places[0][0] + 8, places[0][1]))
    for start, stop in places:
        data[start : start + 4] = struct.pack(">I", stop - start + len(metadata))
    data[places[-1][1] : places[-1][1]] = metadata
    path.write_bytes(data)
    return path


def _media_timescale(data: bytearray) -> int:
    at = data.index(b"mdhd")
    return int(struct.unpack(">I", data[at + 16 : at + 20])[0])


def track_matrix(path: Path) -> tuple[float, float, float, float]:
    """Read a, b, c, d of the first track's matrix in an MP4 (ISO 14496-12, 8.3.2)."""
    data = path.read_bytes()
    at = data.index(b"tkhd") + 4
    at += 40 if data[at] == 0 else 52
    values = struct.unpack(">9i", data[at : at + 36])
    return (values[0] / 65536, values[1] / 65536, values[3] / 65536, values[4] / 65536)


def cut(path: Path, fraction: float) -> Path:
    """Keep only the first part of a file, as an interrupted copy does."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * fraction)])
    return path


def damage(path: Path, start: float, stop: float) -> Path:
    """Overwrite a part of a file, given in fractions of its length, with noise."""
    data = bytearray(path.read_bytes())
    a, b = int(len(data) * start), int(len(data) * stop)
    data[a:b] = np.random.default_rng(5).integers(0, 256, b - a, dtype=np.uint8).tobytes()
    path.write_bytes(data)
    return path
