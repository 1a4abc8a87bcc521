"""Progress: bars on a terminal and in a notebook, elsewhere a line of the log once in a while."""

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
"""Is told what is being done, how much of it is done, and how much there is in all."""

_LISTENER: ContextVar[Listener | None] = ContextVar("progress_listener", default=None)
_FIRST_PAGE: ContextVar[Callable[[str], None] | None] = ContextVar("first_page", default=None)


def watched() -> bool:
    """Whether somebody sees the progress: standard error is a terminal, or this is a notebook."""
    if _LISTENER.get() is not None:
        return False
    return _in_notebook() or (sys.stderr is not None and sys.stderr.isatty())


@contextmanager
def progress_told_to(listener: Listener) -> Iterator[None]:
    """Tell `listener` of the progress of what runs inside, instead of drawing bars.

    Parameters
    ----------
    listener
        Called with the description, the units that are done, and the units in all (None where
        nobody knows), from the thread that does the work.
    """
    token = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(token)


@contextmanager
def first_page_told_to(listener: Callable[[str], None]) -> Iterator[None]:
    """Give `listener` the first page of a report that is rendered inside, before the rest is drawn.

    Parameters
    ----------
    listener
        Called with the page as HTML, from a thread of its own; not where the report is current.
    """
    token = _FIRST_PAGE.set(listener)
    try:
        yield
    finally:
        _FIRST_PAGE.reset(token)


def first_page_listener() -> Callable[[str], None] | None:
    """Who is told of first pages; None for nobody."""
    return _FIRST_PAGE.get()


def progress_bar(description: str, *, total: float | None = None, unit: str = "frame") -> Any:
    """Return a tqdm bar where somebody is watching, else what logs the progress like one.

    Parameters
    ----------
    description
        What is being done, for people.
    total
        Number of units, where it is known.
    unit
        Name of one unit.
    """
    listener = _LISTENER.get()
    if listener is not None or not watched():
        return _Told(listener or _logger(), description, total)
    if _in_notebook():
        from tqdm.auto import tqdm
    else:
        from tqdm import tqdm
    return tqdm(total=total, desc=description, unit=unit, leave=False)


def _logger() -> Listener:
    """Make a listener that logs what takes long."""
    told = time.monotonic()

    def listen(description: str, done: float, total: float | None) -> None:
        nonlocal told
        if time.monotonic() - told >= LOG_S:
            told = time.monotonic()
            share = f"{min(done / total, 1):.0%}" if total else f"{done:.0f} done"
            log.info("%s: %s", description, share)

    return listen


class _Told:
    """What a listener gets in the place of a bar."""

    def __init__(self, listener: Listener, description: str, total: float | None) -> None:
        self._listener, self._description, self.total = listener, description, total
        self.n = 0.0
        listener(description, self.n, total)

    def update(self, n: float = 1) -> None:
        self.n += n
        self._listener(self._description, self.n, self.total)

    def close(self) -> None:
        """Nothing is held."""

    def __enter__(self) -> _Told:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _in_notebook() -> bool:
    if "ipykernel" not in sys.modules:
        return False
    from IPython.core.getipython import get_ipython

    return getattr(get_ipython(), "kernel", None) is not None
