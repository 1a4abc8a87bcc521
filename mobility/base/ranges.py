"""Part of a file that a request asks for (RFC 9110, section 14)."""

from __future__ import annotations

import re

_RANGE = re.compile(r"\s*([0-9]*)-([0-9]*)\s*")
_DIGITS = 19
"""Digits of a number beyond the size of any file."""


def requested_range(header: str, size: int) -> tuple[int, int] | None:
    """Start and stop of the first range in a header ``Range`` that a file of `size` bytes has.

    They are equal if the file has none of the ranges. None for an absent or malformed header: then
    the whole file is sent.
    """
    unit, _, specs = header.partition("=")
    if unit.strip().lower() != "bytes":
        return None
    ranges = []
    for each in specs.split(","):
        part = _RANGE.fullmatch(each)
        first, last = map(_shortened, part.groups()) if part else ("", "")
        if not (first or last) or (first and last and int(first) > int(last)):
            return None
        start = int(first) if first else max(0, size - int(last))
        ranges.append((start, min(size, int(last) + 1) if first and last else size))
    return next((each for each in ranges if each[0] < each[1]), (0, 0))


def _shortened(digits: str) -> str:
    """Shorten a number beyond the size of any file: int() takes at most 4300 digits."""
    significant = digits.lstrip("0") or digits[:1]
    return significant if len(significant) <= _DIGITS else "9" * _DIGITS
