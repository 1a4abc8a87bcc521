"""The focal length that a film says."""

from __future__ import annotations

import struct
from pathlib import Path

import clips
import numpy as np
import pytest

from mobility.capture.lens import focal_length_35mm
from mobility.capture.video import presentation_times


@pytest.mark.parametrize("of", ["track", "film", "mp4"])
@pytest.mark.parametrize(
    ("kind", "value", "millimetres"),
    [
        (1, b"26", 26.0),
        (1, b"50.00mm", 50.0),
        (21, struct.pack(">h", 27), 27.0),
        (22, struct.pack(">I", 13), 13.0),
        (23, struct.pack(">f", 24.5), 24.5),
        (24, struct.pack(">d", 24.5), 24.5),
        (1, b"wide", None),
        (1, b"nan", None),
        (21, struct.pack(">i", -26), None),
        (23, b"\x00", None),
    ],
)
def test_the_focal_length_that_a_phone_wrote(tmp_path: Path, kind, value, millimetres, of) -> None:
    film = clips.write_lens(clips.make_clip(tmp_path / "a.mov", 5), kind, value, of=of)
    assert focal_length_35mm(film) == millimetres
    assert len(presentation_times(film)) == 5  # it is a film still


def test_films_that_say_none_or_are_no_films(tmp_path: Path) -> None:
    film = clips.make_clip(tmp_path / "a.mov", 5)
    assert focal_length_35mm(film) is None
    assert focal_length_35mm(clips.make_clip(tmp_path / "a.webm", 5, codec="libvpx-vp9")) is None
    assert focal_length_35mm(tmp_path / "absent.mov") is None
    (tmp_path / "empty.mov").touch()
    assert focal_length_35mm(tmp_path / "empty.mov") is None
    whole = clips.write_lens(film, 1, b"26").read_bytes()
    index = whole.index(b"moov") - 4
    rng = np.random.default_rng(3)
    for _ in range(300):  # damaged or cut off: nothing but a number or None
        data = bytearray(whole)
        for at in rng.integers(index, len(data), 5):
            data[at] = rng.integers(256)
        (tmp_path / "b.mov").write_bytes(data[: rng.integers(index, len(data) + 1)])
        assert focal_length_35mm(tmp_path / "b.mov") in (None, *map(float, range(8, 100)))


def _films_that_lie() -> dict[str, bytes]:
    def box(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I4s", 8 + len(content), kind) + content

    deep = b""
    for _ in range(3000):
        deep = box(b"udta", deep)
    head = box(b"ftyp", b"qt  ")
    return {
        "longer than any file": head + struct.pack(">I4sQ", 1, b"mdat", 2**64 - 1),
        "longer than this file": head + struct.pack(">I4sQ", 1, b"mdat", 2**63 - 1),
        "shorter than its head": head + struct.pack(">I4s", 3, b"mdat"),
        "deep": head + box(b"moov", deep),
    }


@pytest.mark.parametrize("what", _films_that_lie())
def test_films_whose_boxes_lie_say_none(tmp_path: Path, what: str) -> None:
    film = tmp_path / "a.mov"
    film.write_bytes(_films_that_lie()[what])
    assert focal_length_35mm(film) is None


@pytest.mark.parametrize(("kind", "byte"), [(21, b"\x7f"), (22, b"\xff"), (1, b"1")])
def test_numbers_that_are_too_long_are_none(tmp_path: Path, kind: int, byte: bytes) -> None:
    film = clips.write_lens(clips.make_clip(tmp_path / "a.mov", 5), kind, byte * 400)
    assert focal_length_35mm(film) is None
