"""How files are served: their restrictions in a browser, and the part that a request asks for.

No served file has the rights of the server's pages. Requests for parts of files follow RFC 9110,
section 14.
"""

from __future__ import annotations

import functools
import re
from pathlib import PurePath

_FENCE = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"

_RANGE = re.compile(r"\s*([0-9]*)-([0-9]*)\s*")
_DIGITS = 19
"""Least number of digits of a number that is larger than the size of any file."""


def fence(name: str) -> str:
    """Return the Content-Security-Policy of a served file, by its name.

    Whatever the file contains, it does not count as a page of the server: it has a separate origin,
    without cookies and storage, and cannot send requests. In a report, the only script that runs is
    the one of this package that plays the recording.
    """
    if PurePath(name).suffix != ".html":
        return f"sandbox; {_FENCE}"
    return (
        f"sandbox allow-scripts; {_FENCE}; media-src blob:; script-src '{viewer_script_digest()}'"
    )


@functools.cache
def viewer_script_digest() -> str:
    """Return the digest of the reports' script, for a Content-Security-Policy."""
    from mobility.reports.trial_player import page_parts

    return page_parts({})["script_hash"]


def requested_range(header: str, size: int) -> tuple[int, int] | None:
    """Return the start and stop of the first satisfiable range in a ``Range`` header.

    `size` is the number of bytes of the file. Start and stop are equal if the file contains none of
    the ranges. The result is None if the header is missing or malformed; in this case, the whole
    file is sent.
    """
    unit, _, specs = header.partition("=")
    if unit.strip().lower() != "bytes":
        return None
    ranges = []
    for spec in specs.split(","):
        part = _RANGE.fullmatch(spec)
        first, last = map(_shortened, part.groups()) if part else ("", "")
        if not (first or last) or (first and last and int(first) > int(last)):
            return None
        start = int(first) if first else max(0, size - int(last))
        ranges.append((start, min(size, int(last) + 1) if first and last else size))
    return next(((start, stop) for start, stop in ranges if start < stop), (0, 0))


def _shortened(digits: str) -> str:
    """Shorten a number beyond the size of any file: int() takes at most 4300 digits."""
    significant = digits.lstrip("0") or digits[:1]
    return significant if len(significant) <= _DIGITS else "9" * _DIGITS
