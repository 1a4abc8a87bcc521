"""The sessions of a store in the notebook: find, open, analyse, report, delete."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import traitlets

from mobility.documents.fill import title, user_name
from mobility.errors import MobilityError
from mobility.store import Session, Store
from mobility.widgets.base import Act, Widget, module
from mobility.widgets.media import address

if TYPE_CHECKING:
    from mobility.widgets.remote import RemoteSession, RemoteStore

log = logging.getLogger(__name__)


STATES = {
    "created": "not analysed",
    "analyzing": "interrupted",
    "analyzed": "analysed",
    "edited": "corrected",
    "failed": "failed",
    "queued": "waits",
    "held": "waits until the server can go on",
    "running": "being analysed",
}
"""States of a session, in words; on a server it may also wait, or be in work."""


class SessionBrowser(Widget):
    """Table of the sessions of a store.

    Parameters
    ----------
    store
        The store, or that of a server (:class:`mobility.widgets.remote.RemoteStore`).
    analysis
        Options of the analysis (:func:`mobility.pipeline.analysis.analyze`) that it starts.

    Attributes
    ----------
    rows
        The sessions, the newest first.
    opened
        Id of the session that was opened last; "" for none.
    """

    _esm = module("session_browser")

    rows = traitlets.List().tag(sync=True)
    opened = traitlets.Unicode().tag(sync=True)
    read_only = traitlets.Bool().tag(sync=True)

    def __init__(
        self, store: Store | RemoteStore, *, analysis: Mapping[str, Any] | None = None
    ) -> None:
        self.store = store
        self._analysis = dict(analysis or {})
        self._heard: list[Callable[[Any], Any]] = []
        super().__init__(read_only=store.read_only)
        self.refresh()

    @property
    def session(self) -> Session | RemoteSession | None:
        """The session that was opened last; None where none was."""
        return self.store.session(self.opened) if self.opened else None

    def on_open(self, callback: Callable[[Any], Any]) -> None:
        """Call `callback` with each session that is opened."""
        self._heard.append(callback)

    def acts(self) -> dict[str, Act]:
        """Name what the page may ask for."""
        return {
            "refresh": lambda *_: self.refresh(),
            "open": lambda content, _: self.open_session(str(content.get("session"))),
            "analyze": lambda content, _: self.analyze(str(content.get("session"))),
            "report": lambda content, _: self.report(str(content.get("session"))),
            "delete": lambda content, _: self.delete(str(content.get("session"))),
            "address": lambda content, _: self._send_address(content),
        }

    def refresh(self) -> None:
        """Look again at what is stored."""
        sessions: Sequence[Session | RemoteSession] = self.store.sessions()
        self.rows = [_row(session) for session in reversed(sessions)]

    def open_session(self, session_id: str) -> Session | RemoteSession:
        """Choose a session.

        Raises
        ------
        NotFoundError
            There is no such session.
        """
        session = self.store.session(session_id)
        self.opened = session.id
        for callback in self._heard:
            callback(session)
        return session

    def analyze(self, session_id: str) -> None:
        """Analyse a session beside the notebook; :meth:`wait` waits for it.

        Raises
        ------
        NotFoundError
            There is no such session.
        BadInputError
            Something runs already.
        """
        session = self.store.session(session_id)

        def work() -> None:
            try:
                session.analyze(**self._analysis)
            finally:
                self.refresh()
            told = " ".join(warning.message for warning in session.record.warnings)
            self.say("done", f"{session.title} is analysed" + (f"; note: {told}" if told else ""))

        self.in_background("analysing", work)

    def report(self, session_id: str) -> None:
        """Render the report of a session beside the notebook; :meth:`wait` waits for it.

        Raises
        ------
        NotFoundError
            There is no such session, or it was not analysed.
        BadInputError
            Something runs already.
        """
        session = self.store.session(session_id)

        def work() -> None:
            session.render_report()
            self.say("done", "the report is rendered")
            self.send({"kind": "rendered", "session": session.id})

        self.in_background("rendering the report", work)

    def delete(self, session_id: str) -> None:
        """Delete a session with its video, results and reports.

        Raises
        ------
        NotFoundError
            There is no such session.
        StorageError
            It is in use, or cannot be deleted.
        """
        self.store.delete(session_id)
        if self.opened == session_id:
            self.opened = ""
        self.refresh()
        self.say("done", f"session {session_id} is deleted")

    def static_html(self) -> str:
        """Show the table, without its buttons."""
        import html

        names = ("title", "participant", "exercise", "date", "said")
        heads = ("Session", "Participant", "Exercise", "Date", "State")
        head = "".join(f"<th>{text}</th>" for text in heads)
        rows = "".join(
            f"<tr>{''.join(f'<td>{html.escape(row[name])}</td>' for name in names)}</tr>"
            for row in self.rows
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"

    def _send_address(self, content: Mapping[str, Any]) -> None:
        session = self.store.session(str(content.get("session")))
        file = session.render_report()["html"]
        self.send(
            {
                "kind": "report",
                "title": session.title,
                "url": address(file, content.get("page") or {}),
                "path": str(file),
            }
        )


def _row(session: Session | RemoteSession) -> dict[str, str]:
    record = session.record
    try:
        participant = session.participant
    except MobilityError as error:
        log.warning("session %s: %s", session.id, error)
        participant = None
    return {
        "id": session.id,
        "title": title(record, participant),
        "participant": user_name(record, participant),
        "exercise": record.exercise,
        "state": record.state,
        "said": STATES[record.state],
        "reason": record.reason,
        "date": f"{record.created_at:%Y-%m-%d %H:%M}",
    }
