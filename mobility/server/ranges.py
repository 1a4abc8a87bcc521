"""Which part of a file a request asks for (RFC 9110, section 14)."""

from __future__ import annotations

import re

_RANGE_LENGTH = 40


def asked_range(asked: str, size: int) -> tuple[int, int] | None:
    """Start and stop of the first range of a header that a file has.

    Parameters
    ----------
    asked
        The header ``Range``; empty where there is none.
    size
        Bytes of the file.

    Returns
    -------
    tuple or None
        Equal where the file has none of it. None where the header is absent or malformed: then all
        is sent.
    """
    ranges = _ranges(asked)
    if not ranges:
        return None
    found = (_within(size, first, last) for first, last in ranges)
    return next((each for each in found if each[0] < each[1]), (0, 0))


def _ranges(asked: str) -> list[tuple[str, str]]:
    """First and last byte of each range of a header; none where it is malformed."""
    unit, _, given = asked.partition("=")
    found = [re.fullmatch(r"\s*([0-9]*)-([0-9]*)\s*", each) for each in given.split(",")]
    ranges = [(each[1], each[2]) for each in found if each and len(each[0]) < _RANGE_LENGTH]
    is_good = (
        unit.strip().lower() == "bytes"
        and len(ranges) == len(found)
        and all(
            (first or last) and not (first and last and int(first) > int(last))
            for first, last in ranges
        )
    )
    return ranges if is_good else []


def _within(size: int, first: str, last: str) -> tuple[int, int]:
    start = int(first) if first else max(0, size - int(last))
    return start, min(size, int(last) + 1) if first and last else size
