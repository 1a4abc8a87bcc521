"""Progress of long work: bars on a terminal and in a notebook, otherwise lines in the log."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

log = logging.getLogger(__name__)

LOG_S = 30.0
"""Seconds between two lines of the log."""

Listener = Callable[[str, float, float | None], None]
"""Called with a description of the work, the units done, and the total number of units."""

_LISTENER: ContextVar[Listener | None] = ContextVar("progress_listener", default=None)
_FIRST_PAGE: ContextVar[Callable[[str], None] | None] = ContextVar("first_page", default=None)


def is_watched() -> bool:
    """Whether a user sees bars: standard error is a terminal, or this is a notebook."""
    if _LISTENER.get() is not None:
        return False
    return _in_notebook() or (sys.stderr is not None and sys.stderr.isatty())


@contextmanager
def report_progress_to(listener: Listener) -> Iterator[None]:
    """Report progress to `listener` inside this context, instead of drawing bars.

    Parameters
    ----------
    listener
        Called from the working thread with the description, the units done, and the total number of
        units (None if unknown).
    """
    token = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(token)


@contextmanager
def send_first_page_to(listener: Callable[[str], None]) -> Iterator[None]:
    """Send the first page of a report to `listener` before the rest, inside this context.

    Parameters
    ----------
    listener
        Called with the page as HTML, from another thread; not called if the report is up to date.
    """
    token = _FIRST_PAGE.set(listener)
    try:
        yield
    finally:
        _FIRST_PAGE.reset(token)


def first_page_listener() -> Callable[[str], None] | None:
    """Return the listener for first pages, or None if there is none."""
    return _FIRST_PAGE.get()


def progress_bar(description: str, *, total: float | None = None, unit: str = "frame") -> Any:
    """Return a tqdm bar if a user sees it, otherwise a similar object that logs the progress.

    Parameters
    ----------
    description
        Description of the work.
    total
        Number of units, if known.
    unit
        Name of one unit.
    """
    listener = _LISTENER.get()
    if listener is not None or not is_watched():
        return _ListenerBar(listener or _logger(), description, total)
    if _in_notebook():
        from tqdm.auto import tqdm
    else:
        from tqdm import tqdm
    return tqdm(total=total, desc=description, unit=unit, leave=False)


def _logger() -> Listener:
    """Return a listener that logs the progress of long work."""
    logged = time.monotonic()

    def listen(description: str, done: float, total: float | None) -> None:
        nonlocal logged
        if time.monotonic() - logged >= LOG_S:
            logged = time.monotonic()
            share = f"{min(done / total, 1):.0%}" if total else f"{done:.0f} done"
            log.info("%s: %s", description, share)

    return listen


class _ListenerBar:
    """A bar that calls a listener."""

    def __init__(self, listener: Listener, description: str, total: float | None) -> None:
        self._listener, self._description, self.total = listener, description, total
        self.n = 0.0
        listener(description, self.n, total)

    def update(self, n: float = 1) -> None:
        self.n += n
        self._listener(self._description, self.n, self.total)

    def close(self) -> None:
        """Do nothing; tqdm bars have this method."""

    def __enter__(self) -> _ListenerBar:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _in_notebook() -> bool:
    if "ipykernel" not in sys.modules:
        return False
    from IPython.core.getipython import get_ipython

    return getattr(get_ipython(), "kernel", None) is not None
