"""Base of the widgets: the actions that the page requests, with their notices and progress.

The page requests an action with a message ``{"do": name, ...}``. An error becomes the text of
``notice`` and, for fields, of ``errors``: the widget shows this text, never a traceback.
"""

from __future__ import annotations

import contextvars
import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import htpy as h
import traitlets
from markupsafe import Markup

from mobility.base.progress import report_progress_to
from mobility.errors import BadInputError, ConflictError, MobilityError
from mobility.reports.html import joined

if TYPE_CHECKING:
    import xarray as xr

    from mobility import Session

log = logging.getLogger(__name__)

FOLDER = Path(__file__).parent
_PROGRESS_EVERY_S = 0.1
_NOT_DONE = "Not saved. See the messages next to the fields"
_STILL = "This picture was taken when the cell ran. Run the cell again to use the widget."

Act = Callable[[Mapping[str, Any], Sequence[memoryview]], object]

_WORK: contextvars.ContextVar[_Work] = contextvars.ContextVar("work of a widget")
"""The work to which the running code belongs."""


def repetitions_of(session: Session) -> xr.Dataset | None:
    """Return the repetitions of a session; None if it has none."""
    return session.repetitions() if "repetitions" in session.record.stages else None


def module(name: str) -> str:
    """Return the ES module of a widget, with its imports, as one text."""
    return joined(FOLDER / f"{name}.js")


def stylesheet() -> str:
    """Return the style sheet of all widgets."""
    return (FOLDER / "style.css").read_text(encoding="utf-8")


class _Work:
    """Work in the background, with its progress."""

    def __init__(self, what: str) -> None:
        self.what = what
        self.progress: dict[str, Any] = {"text": what, "part": None}
        self.thread: threading.Thread


class Widget(anywidget.AnyWidget):
    """A widget whose page requests actions, and which shows their outcome.

    Attributes
    ----------
    notice
        The last notice: ``kind`` ("error", "conflict", "done" or "") and ``text``.
    errors
        Errors, by the name of the rejected field.
    progress
        ``text`` and ``part`` (0 to 1 or null) of the running work; if several are running, of the
        first one. Empty if nothing is running.
    place
        Part of the page of ``mobility open`` that shows the widget; empty in a notebook.
    still
        Name of the still picture next to it, which is visible without a kernel.
    """

    _css = stylesheet()
    fields_of_page: frozenset[str] = frozenset()
    """Fields next to which the page shows their errors."""

    automatic_acts: frozenset[str] = frozenset()
    """Actions that the page requests by itself, which keep the earlier notice."""

    notice = traitlets.Dict().tag(sync=True)
    errors = traitlets.Dict().tag(sync=True)
    progress = traitlets.Dict().tag(sync=True)
    place = traitlets.Unicode().tag(sync=True)
    still = traitlets.Unicode().tag(sync=True)

    def __init__(self, **traits: Any) -> None:
        super().__init__(still=secrets.token_hex(8), **traits)
        self._works: dict[str, _Work] = {}
        self._guard = threading.RLock()
        self.on_msg(self._on_message)

    def acts(self) -> Mapping[str, Act]:
        """Return the actions that the page may request, by name."""
        return {}

    def say(self, kind: str, text: str) -> None:
        """Show one line in the widget."""
        self.notice = {"kind": kind, "text": text}

    @contextmanager
    def showing_errors(self, *, clear: bool = True) -> Iterator[None]:
        """Show errors that are raised in this context; if `clear`, remove earlier ones first."""
        if clear:
            self.errors = {}
            self.notice = {}
        try:
            yield
        except BadInputError as error:
            self.errors = error.fields
            # If there are several of a kind, a field ends with its number: "video-0".
            names = {name.partition("-")[0] for name in error.fields}
            beside = names and names <= self.fields_of_page
            self.say("error", _NOT_DONE if beside else str(error))
        except ConflictError as error:
            self.say("conflict", str(error))
        except MobilityError as error:
            self.say("error", str(error))
        except Exception as error:
            log.exception("%s", type(self).__name__)
            message = f"{type(error).__name__}: {error}"
            self.say("error", f"this is a bug of mobility; report it with the log: {message}")

    def wait(self, timeout_s: float | None = None) -> None:
        """Wait until all work in the background has ended."""
        with self._guard:
            threads = [work.thread for work in self._works.values()]
        for thread in threads:
            thread.join(timeout_s)

    def in_background(
        self, what: str, work: Callable[[], None], *, on: str = ""
    ) -> threading.Thread:
        """Run `work` in the background, with its progress in the widget.

        `on` names the object of the work; work on different objects runs at the same time.

        Raises
        ------
        BadInputError
            Other work on the same object is running.
        """
        running = _Work(what)
        last = 0.0

        def on_progress(description: str, done: float, total: float | None) -> None:
            nonlocal last
            now = time.monotonic()
            if now - last >= _PROGRESS_EVERY_S or done == total:
                last = now
                part = min(1.0, done / total) if total else None
                running.progress = {"text": f"{running.what}: {description}", "part": part}
                self._show_progress()

        def run() -> None:
            _WORK.set(running)
            try:
                with self.showing_errors(clear=False), report_progress_to(on_progress):
                    work()
            finally:
                with self._guard:
                    del self._works[on]
                self._show_progress()

        context = contextvars.copy_context()
        running.thread = threading.Thread(target=context.run, args=(run,), daemon=True)
        with self._guard:
            if on in self._works:
                raise BadInputError(f"{self._works[on].progress['text']} is still running; wait")
            self._works[on] = running
            self.errors = {}
            self.notice = {}
            self._show_progress()
            running.thread.start()
        return running.thread

    def set_step(self, what: str) -> None:
        """Describe the current step of the running work, which calls this function."""
        running = _WORK.get()
        running.what = what
        running.progress = {"text": what, "part": None}
        self._show_progress()

    def _show_progress(self) -> None:
        with self._guard:
            self.progress = next((work.progress for work in self._works.values()), {})

    def static_html(self) -> Markup:
        """Return the HTML that a notebook shows without a kernel; empty if it shows nothing."""
        return Markup()

    def _ipython_display_(self, **_: Any) -> None:
        # Two outputs: without a kernel JupyterLab shows an error for the widget, whatever else its
        # bundle holds. A running widget hides the still picture.
        from IPython.display import display

        try:
            picture_html = self.static_html()
        except MobilityError as error:
            log.info("%s without a still picture: %s", type(self).__name__, error)
            picture_html = Markup()
        if picture_html:
            caption = h.p[h.small[_STILL]]
            still = h.div(data_mobility_still=self.still)[picture_html, caption]
            picture = {"text/html": str(still), "text/plain": type(self).__name__}
            display(picture, raw=True)  # type: ignore[no-untyped-call]
        bundle = self._repr_mimebundle_()
        if bundle is not None:
            formats, metadata = bundle
            if picture_html:  # the still picture above is enough
                formats = {**formats, "text/html": "", "text/plain": ""}
            display(formats, metadata=metadata, raw=True)  # type: ignore[no-untyped-call]

    def _on_message(self, _: Any, content: Any, buffers: Sequence[memoryview]) -> None:
        acts = {**self.acts(), "trouble": self._show_page_error}
        name = content.get("do", "") if isinstance(content, Mapping) else ""
        act = acts.get(name)
        if act is None:
            log.warning("%s was asked for %r", type(self).__name__, content)
            return
        with self.showing_errors(clear=name not in self.automatic_acts):
            act(content, buffers)

    def _show_page_error(self, content: Mapping[str, Any], _: Sequence[memoryview]) -> None:
        """Show an error of the page, which otherwise appears only in the browser's console."""
        self.say("error", str(content.get("text"))[:500])
