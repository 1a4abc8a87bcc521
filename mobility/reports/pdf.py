"""A page as PDF, printed by a browser that is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from mobility.errors import NotFoundError, ReportError
from mobility.sessions.files import atomic
from mobility.sessions.scratch import scratch

BROWSERS = (
    *("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"),
    *("msedge", "microsoft-edge"),
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
"""Browsers that print without a window, in the order in which they are looked for."""

_TIMEOUT_S = 120


def to_pdf(page: Path) -> Path:
    """Print a page to a PDF beside it, without a network.

    Parameters
    ----------
    page
        An HTML file.

    Raises
    ------
    NotFoundError
        No such browser is installed.
    ReportError
        The browser did not print it.
    StorageError
        The PDF cannot be written.
    """
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise NotFoundError(
            f"PDF: no browser found that can make one ({', '.join(BROWSERS[:3])} …); install "
            f"Chromium, or print {page} from a browser"
        )
    target = page.with_suffix(".pdf")
    with scratch("print") as place, atomic(target) as hidden:
        command = [
            *(browser, "--headless", "--disable-gpu", "--no-first-run", "--no-pdf-header-footer"),
            # Chromium does not start its sandbox for the superuser; the page is ours.
            *(["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []),
            *("--disable-background-networking", "--host-resolver-rules=MAP * ~NOTFOUND"),
            *(f"--user-data-dir={place}", f"--print-to-pdf={hidden}", page.resolve().as_uri()),
        ]
        try:
            done = subprocess.run(  # noqa: S603, the browser that was found
                command, capture_output=True, timeout=_TIMEOUT_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ReportError(f"PDF: {browser} did not print {page}: {error}") from None
        if done.returncode or not hidden.is_file() or not hidden.stat().st_size:
            output = done.stderr.decode(errors="replace").strip().splitlines()
            raise ReportError(
                f"PDF: {browser} did not print {page}: {output[-1] if output else done.returncode}"
            )
    return target
