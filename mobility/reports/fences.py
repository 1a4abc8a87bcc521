"""Restrictions on served files in a browser: no file has the rights of the server's pages."""

from __future__ import annotations

import functools
from pathlib import PurePath

_FENCE = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def fence(name: str) -> str:
    """Return the Content-Security-Policy of a served file, by its name.

    Whatever the file contains, it does not count as a page of the server: it has a separate origin,
    without cookies and storage, and cannot send requests. In a report, only this package's script
    runs, which plays the recording.
    """
    if PurePath(name).suffix != ".html":
        return f"sandbox; {_FENCE}"
    return (
        f"sandbox allow-scripts; {_FENCE}; media-src blob:; script-src '{viewer_script_digest()}'"
    )


@functools.cache
def viewer_script_digest() -> str:
    """Return the digest of the script of reports for a Content-Security-Policy."""
    from mobility.reports.trial_player import page_parts

    return page_parts({})["script_hash"]
