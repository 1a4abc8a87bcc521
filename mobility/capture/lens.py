"""The focal length that some phones write into their videos.

It is part of the QuickTime metadata of the file or of its video track, which FFmpeg does not read.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

KEY = "com.apple.quicktime.camera.focal_length.35mm_equivalent"

_SHORTEST, _LONGEST = 8.0, 400.0
"""Millimetres, from the widest to the longest lenses of phones; other values are not focal lengths.
"""

_MOST_BYTES, _MOST_BOXES = 64 * 2**20, 10_000
"""Limits for the size of a video's index and for the number of consecutive boxes, because a file
may be damaged or malicious.
"""

_DEEPEST = 8
"""Limit for the depth of nested boxes."""

_LONGEST_VALUE = 64
"""Bytes of a numeric value."""

_TEXT, _INTEGERS, _FLOATS = 1, (21, 22), {(23, 4): ">f", (24, 8): ">d"}
"""Types of QuickTime values; floating-point numbers with their length in bytes."""


def focal_length_35mm(path: str | os.PathLike[str]) -> float | None:
    """Return the focal length in a video file, mm, for a picture of 36 by 24 mm.

    The result is None if the file has none, as is the case for most files, or if it cannot be read.
    """
    try:
        with Path(path).open("rb") as file:
            movie = _movie(file)
    except (OSError, ValueError):  # also a place beyond the largest file
        return None
    for metadata in _metadata(movie):
        for value in _values(metadata, KEY):
            if _SHORTEST <= value <= _LONGEST:
                return value
    return None


def _movie(file: BinaryIO) -> bytes:
    """Return the content of the box with the video's index; empty if there is none."""
    for _ in range(_MOST_BOXES):
        head = file.read(8)
        if len(head) < 8:
            break
        size, kind = struct.unpack(">I4s", head)
        long = file.read(8) if size == 1 else b""
        if long:
            (size,) = struct.unpack(">Q", long.rjust(8, b"\0"))
        content = size - len(head) - len(long)
        if kind == b"moov":
            return file.read(min(content, _MOST_BYTES)) if content > 0 else file.read(_MOST_BYTES)
        if content < 0:
            break
        file.seek(content, os.SEEK_CUR)
    return b""


def _boxes(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield kind and content of the boxes in a row, as long as they are complete."""
    at = 0
    for _ in range(_MOST_BOXES):
        if at + 8 > len(content):
            return
        size, kind = struct.unpack_from(">I4s", content, at)
        if size < 8 or at + size > len(content):
            return
        yield kind, content[at + 8 : at + size]
        at += size


def _metadata(content: bytes, depth: int = 0) -> Iterator[bytes]:
    """Return the contents of the metadata boxes of the file and of its tracks."""
    for kind, inner in _boxes(content):
        if kind in (b"trak", b"udta") and depth < _DEEPEST:
            yield from _metadata(inner, depth + 1)
        elif kind == b"meta":
            # In MP4, unlike QuickTime, version and flags come before the boxes.
            yield inner[4:] if inner[8:12] == b"hdlr" else inner


def _values(metadata: bytes, name: str) -> Iterator[float]:
    """Return the numbers of the metadata under a name."""
    parts = dict(_boxes(metadata))
    # Each key is a box whose kind is the namespace; a value refers to its key by number.
    keys = [key.decode("utf-8", "replace") for _, key in _boxes(parts.get(b"keys", b"")[8:])]
    for number, entry in _boxes(parts.get(b"ilst", b"")):
        place = int.from_bytes(number) - 1
        if 0 <= place < len(keys) and keys[place] == name:
            payload = dict(_boxes(entry)).get(b"data", b"")
            if (value := _number(int.from_bytes(payload[1:4]), payload[8:])) is not None:
                yield value


def _number(kind: int, raw: bytes) -> float | None:
    """Return a value of a type; None if it is not a number."""
    if len(raw) > _LONGEST_VALUE:
        return None
    if kind in _INTEGERS:
        return float(int.from_bytes(raw, signed=kind == _INTEGERS[0]))
    if (form := _FLOATS.get((kind, len(raw)))) is not None:
        return float(struct.unpack(form, raw)[0])
    try:
        return float(raw.decode().lower().removesuffix("mm")) if kind == _TEXT else None
    except ValueError:
        return None
