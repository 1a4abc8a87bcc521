"""Which part of a file a request asks for (RFC 9110, section 14)."""

from __future__ import annotations

import re

_RANGE = re.compile(r"\s*([0-9]*)-([0-9]*)\s*")
_DIGITS = 19
"""No file is as large as a number of more."""


def asked_range(asked: str, size: int) -> tuple[int, int] | None:
    """Start and stop of the first range of a header ``Range`` that a file of `size` bytes has.

    They are equal where it has none of it; None where the header is absent or malformed: then all
    is sent.
    """
    unit, _, given = asked.partition("=")
    if unit.strip().lower() != "bytes":
        return None
    found = []
    for each in given.split(","):
        part = _RANGE.fullmatch(each)
        first, last = map(_shortened, part.groups()) if part else ("", "")
        if not (first or last) or (first and last and int(first) > int(last)):
            return None
        start = int(first) if first else max(0, size - int(last))
        found.append((start, min(size, int(last) + 1) if first and last else size))
    return next((each for each in found if each[0] < each[1]), (0, 0))


def _shortened(digits: str) -> str:
    """Give a number beyond all files few digits: int() takes no more than 4300."""
    significant = digits.lstrip("0") or digits[:1]
    return significant if len(significant) <= _DIGITS else "9" * _DIGITS
