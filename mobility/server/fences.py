"""What a file may do in the browser that gets it from a server: nothing there is its own."""

from __future__ import annotations

import functools
from pathlib import PurePath

_FENCE = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def fence(name: str) -> str:
    """Content-Security-Policy of a file that is served, by its name.

    Whatever the file holds, it is no page of the server: it has an origin of its own, without
    cookies and storage, and asks nobody for anything. A report plays its trial, by the script of
    this package alone; no other script runs.
    """
    if PurePath(name).suffix != ".html":
        return f"sandbox; {_FENCE}"
    return f"sandbox allow-scripts; {_FENCE}; media-src blob:; script-src '{viewer_script()}'"


@functools.cache
def viewer_script() -> str:
    """Digest of the script of reports, as a Content-Security-Policy names it."""
    from mobility.reports.trial import page_parts

    return page_parts({})["script_hash"]
