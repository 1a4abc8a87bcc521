"""The sessions of a store in the notebook: find, open, analyse, report and delete them."""

from __future__ import annotations

import datetime
import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any, Literal

import htpy as h
import traitlets
from markupsafe import Markup

from mobility import Session, Store
from mobility.assessment.verdict import LEVELS, warning_lines
from mobility.base.formatting import dated, timed
from mobility.base.progress import send_first_page_to
from mobility.documents.fill import user_name
from mobility.errors import MobilityError, NotFoundError
from mobility.reports.warm_kernels import use_warm_kernels
from mobility.sessions.record import ANONYMOUS, Participant, SessionRecord, verdict_in_words
from mobility.widgets.media import address
from mobility.widgets.widget import Act, Widget, module

log = logging.getLogger(__name__)

Activity = Literal["queued", "running", "report"]
"""The work of a widget on a session: the session waits, is analysed, or its report is rendered."""


MAKING_REPORT = "making the report"

_STATES = {
    "created": "not analysed",
    "analyzing": "interrupted",
    "analyzed": "analysed",
    "edited": "corrected",
    "failed": "failed",
    "queued": "waiting",
    "running": "being analysed",
    "damaged": "damaged",
}
"""States of a session, as the table shows them."""


class SessionBrowser(Widget):
    """Participants of a store with their visits, and a table of all sessions.

    Parameters
    ----------
    store
        The store.
    analysis
        Options of the analyses that the widget starts (:func:`mobility.pipeline.analysis.analyze`).
    view
        Initial view: "people" or "sessions".

    Attributes
    ----------
    rows
        Sessions, the newest first; sessions without a readable record, which can only be deleted,
        come last.
    view
        "people" or "sessions": how the rows are shown; the page can change it.
    opened
        ID of the session that was opened last; "" if there is none.
    can_compare
        Whether :meth:`on_compare` has a callback.
    """

    _esm = module("session_browser")
    automatic_acts = frozenset({"refresh", "look", "still", "address"})

    rows = traitlets.List().tag(sync=True)
    view = traitlets.Enum(("people", "sessions"), "sessions").tag(sync=True)
    opened = traitlets.Unicode().tag(sync=True)
    read_only = traitlets.Bool().tag(sync=True)

    can_compare = traitlets.Bool().tag(sync=True)

    def __init__(
        self,
        store: Store,
        *,
        analysis: Mapping[str, Any] | None = None,
        view: Literal["people", "sessions"] = "sessions",
    ) -> None:
        self.store = store
        self._analysis = dict(analysis or {})
        self._callbacks: dict[str, list[Callable[..., Any]]] = {}
        self._activities: dict[str, Activity] = {}
        self._last_analysis: threading.Thread | None = None
        super().__init__(read_only=store.read_only, view=view)
        use_warm_kernels()  # makes reports after the first fast
        self.refresh()

    @property
    def session(self) -> Session | None:
        """The session that was opened last; None if there is none."""
        return self.store.session(self.opened) if self.opened else None

    def on_open(self, callback: Callable[[Any], Any]) -> None:
        """Call `callback` with each session that is opened."""
        self._add_callback("open", callback)

    def on_compare(self, callback: Callable[[Any], Any]) -> None:
        """Call `callback` with each session that is to be shown next to the open one."""
        self._add_callback("compare", callback)
        self.can_compare = True

    def on_analyzed(self, callback: Callable[[Any], Any]) -> None:
        """Call `callback` with each session that this widget has analysed."""
        self._add_callback("analyzed", callback)

    def on_report(self, callback: Callable[[Any], Any]) -> None:
        """Call `callback` with each session whose report this widget has rendered."""
        self._add_callback("report", callback)

    def on_first_page(self, callback: Callable[[Any, str], Any]) -> None:
        """Call `callback` with a session and the first page of its report, before the rest."""
        self._add_callback("first page", callback)

    def _add_callback(self, what: str, callback: Callable[..., Any]) -> None:
        self._callbacks.setdefault(what, []).append(callback)

    def _call_back(self, what: str, session: Session, *texts: str) -> None:
        for callback in self._callbacks.get(what, []):
            callback(session, *texts)

    def acts(self) -> dict[str, Act]:
        """Return the actions that the page may request, by name."""
        return {
            "refresh": lambda *_: self.refresh(),
            "look": lambda *_: self._refresh_for_page(),
            "open": lambda content, _: self.open_session(str(content.get("session"))),
            "compare": lambda content, _: self._compare(content),
            "still": lambda content, _: self._send_still(str(content.get("session"))),
            "analyze": lambda content, _: self.analyze(str(content.get("session"))),
            "report": lambda content, _: self.report(str(content.get("session"))),
            "visit": lambda content, _: self._visit(content),
            "course": lambda content, _: self._course(content),
            "delete": lambda content, _: self.delete(str(content.get("session"))),
            "address": lambda content, _: self._send_address(content),
        }

    def refresh(self) -> None:
        """Read the sessions of the store again."""
        with self._guard:
            sessions, damaged = self.store.sessions_and_damaged()
            people: dict[str, Participant | None] = {}
            rows = [
                _session_row(session, self._activities.get(session.id), people)
                for session in reversed(sessions)
            ]
            self.rows = rows + [_damaged_row(*entry) for entry in damaged.items()]
            if self.opened not in {row["id"] for row in self.rows}:
                self.opened = ""

    def _refresh_for_page(self) -> None:
        """Refresh for the page, which asks again only after the answer."""
        try:
            self.refresh()
        finally:
            self.send({"kind": "looked"})

    def _mark(self, session_id: str, activity: Activity | None) -> None:
        """Show the work of this widget in the row of a session; None when the work has ended."""
        with self._guard:
            self._activities.pop(session_id, None)
            if activity is not None:
                self._activities[session_id] = activity
            self.refresh()

    def open_session(self, session_id: str) -> Session:
        """Open a session.

        Raises
        ------
        NotFoundError
            There is no such session.
        """
        session = self.store.session(session_id)
        self.opened = session.id
        self._call_back("open", session)
        return session

    def _compare(self, content: Mapping[str, Any]) -> None:
        self._call_back("compare", self.store.session(str(content.get("session"))))

    def analyze(self, session_id: str) -> None:
        """Analyse a session in the background; :meth:`wait` waits for it.

        An analysis uses all processors, so analyses run one after another.

        Raises
        ------
        NotFoundError
            There is no such session.
        BadInputError
            The session is already being analysed, or its report is being rendered.
        """
        session = self.store.session(session_id)
        before = self._last_analysis

        def work() -> None:
            try:
                if before is not None:
                    self._mark(session.id, "queued")
                    before.join()
                self.set_step("analysing")
                self._mark(session.id, "running")
                session.analyze(**self._analysis)
            finally:
                self._mark(session.id, None)
            self._call_back("analyzed", session)
            self.say("done", f"{session.record.name} is analysed")

        waiting = _STATES["queued"]
        self._last_analysis = self.in_background(waiting, work, on=session.id)

    def report(self, session_id: str) -> None:
        """Render the report of a session in the background; :meth:`wait` waits for it.

        Raises
        ------
        NotFoundError
            There is no such session, or it is not analysed.
        BadInputError
            The session is already being analysed, or its report is being rendered.
        """
        session = self.store.session(session_id)

        def work() -> None:
            self._mark(session.id, "report")
            try:
                with send_first_page_to(lambda page: self._call_back("first page", session, page)):
                    session.render_report()
            finally:
                self._mark(session.id, None)
            self.say(
                "done",
                "the report is ready"
                if session.report_is_current()
                else (
                    "this report comes from an older version; it is shown unchanged because the "
                    "video has been deleted"
                ),
            )
            self.send({"kind": "rendered", "session": session.id})
            self._call_back("report", session)

        self.in_background(MAKING_REPORT, work, on=session.id)

    def visit(
        self, user_id: str, date: datetime.date | str, *, page: Mapping[str, Any] | None = None
    ) -> None:
        """Make the page of a visit in the background; :meth:`wait` waits for it.

        Parameters
        ----------
        user_id, date
            Participant and day of the visit.
        page
            Location of this widget's page, as the page states it.

        Raises
        ------
        BadInputError
            The page of this visit is already being made.
        """

        def work() -> None:
            file = self.store.render_visit(user_id, on=date)["html"]
            self.say("done", "the page of the visit is ready")
            self.send(
                {
                    "kind": "visit",
                    "participant": user_id,
                    "date": f"{date}",
                    "url": address(file, page or {}),
                    "path": str(file),
                }
            )

        on = f"visit {user_id} {date}"
        self.in_background("making the page of the visit", work, on=on)

    def _visit(self, content: Mapping[str, Any]) -> None:
        whose, date = str(content.get("participant")), str(content.get("date"))
        self.visit(whose, date, page=content.get("page"))

    def _course(self, content: Mapping[str, Any]) -> None:
        """Make the page of a participant's course in the background."""
        user_id = str(content.get("participant"))

        def work() -> None:
            file = self.store.render_course(user_id)["html"]
            self.say("done", "the page of all visits is ready")
            url = address(file, content.get("page") or {})
            about = {"participant": user_id, "date": "all visits", "url": url, "path": str(file)}
            self.send({"kind": "visit", **about})

        self.in_background("making the page of all visits", work, on=f"course {user_id}")

    def delete(self, session_id: str) -> None:
        """Delete a session with its video, results and reports.

        Raises
        ------
        NotFoundError
            There is no such session.
        StorageError
            The session is in use, or cannot be deleted.
        """
        self.store.delete(session_id)
        self.refresh()
        self.say("done", f"session {session_id} is deleted")

    def static_html(self) -> Markup:
        """Return the table as HTML, without its buttons."""
        names = ("name", "participant", "exercise", "date", "verdict", "state_text")
        heads = ("Session", "Participant", "Exercise", "Date", "Recording", "State")
        rows = (h.tr[(h.td[row[name]] for name in names)] for row in self.rows)
        head = h.thead[h.tr[(h.th[text] for text in heads)]]
        return h.table[head, h.tbody[rows]].__html__()

    def _send_still(self, session_id: str) -> None:
        try:
            picture = self.store.session(session_id).still()
        except NotFoundError:  # deleted meanwhile
            picture = b""
        buffers = [picture] if picture else []
        self.send({"kind": "still", "session": session_id}, buffers=buffers)

    def _send_address(self, content: Mapping[str, Any]) -> None:
        session = self.store.session(str(content.get("session")))
        file = session.render_report()["html"]
        self.send(
            {
                "kind": "report",
                "session": session.id,
                "name": session.record.name,
                "url": address(file, content.get("page") or {}),
                "path": str(file),
            }
        )


def _session_row(
    session: Session, activity: Activity | None, people: dict[str, Participant | None]
) -> dict[str, Any]:
    """Return the row of a session; `people` caches the participants of earlier rows."""
    record = session.record
    if record.user_id not in people:
        people[record.user_id] = _participant(session, record)
    state: str = record.state
    if activity in ("queued", "running"):
        state = activity
    elif state == "analyzing" and session.store.is_in_work(session.id):
        state = "running"
    verdict = record.verdict if state == "analyzed" else ""
    visit = None if record.is_demo else record.visit_day
    return {
        "id": session.id,
        "name": record.name,
        "user_id": "" if record.user_id == ANONYMOUS or record.is_demo else record.user_id,
        "participant": user_name(record, people[record.user_id]),
        "exercise": record.exercise,
        "state": state,
        "state_text": _STATES[state],
        "busy": state == "running" or activity == "report",
        "reason": record.reason,
        "warnings": warning_lines(record.warnings),
        "verdict": verdict_in_words(verdict, record.exercise),
        "rank": [*reversed(LEVELS), ""].index(verdict),
        "date": timed(record.created_at),
        "when": record.created_at.timestamp(),
        "visit": "" if visit is None else visit.isoformat(),
        "day": dated(record.created_at),
    }


def _participant(session: Session, record: SessionRecord) -> Participant | None:
    try:
        return session.participant
    except MobilityError as error:
        log.warning("participant %s: %s", record.user_id, error)
        return None


def _damaged_row(session_id: str, fault: str) -> dict[str, Any]:
    return {
        **dict.fromkeys(("user_id", "participant", "exercise", "verdict", "date"), ""),
        **dict.fromkeys(("visit", "day"), ""),
        "id": session_id,
        "name": session_id,
        "state": "damaged",
        "state_text": _STATES["damaged"],
        "busy": False,
        "reason": fault,
        "warnings": [],
        "rank": len(LEVELS),
        "when": 0.0,
    }
