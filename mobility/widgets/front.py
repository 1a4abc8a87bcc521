"""Widgets of the page of ``mobility open``, and the check of newly added videos."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import traitlets

from mobility import Session, Store
from mobility.base.progress import send_first_page_to
from mobility.errors import NotFoundError
from mobility.widgets.media import address
from mobility.widgets.session_browser import MAKING_REPORT, SessionBrowser
from mobility.widgets.trial_viewer import TrialViewer
from mobility.widgets.upload_form import UploadForm
from mobility.widgets.widget import Act, Widget, module


class FilmCheck(Widget):
    """Checks added videos, and shows the result until the user dismisses it.

    Attributes
    ----------
    checks
        For each video, the newest first: ``session``, its ``title``, and the document of
        :func:`mobility.check_recording`. Results are stored nowhere else.
    """

    _esm = module("film_check")

    checks = traitlets.List().tag(sync=True)

    def acts(self) -> dict[str, Act]:
        """Return the actions that the page may request, by name."""
        return {"put away": lambda content, _: self._put_away(content)}

    def check(self, session: Session, then: Callable[[Session], object]) -> None:
        """Check the video of a session in the background, then continue whatever the result is."""

        def work() -> None:
            try:
                document = session.check_recording()
                shown = {**document, "session": session.id, "title": session.record.name}
                with self._guard:
                    self.checks = [shown, *self.checks]
            finally:
                then(session)

        self.in_background("checking the video", work, on=session.id)

    def keep(self, session_ids: set[str]) -> None:
        """Remove the checks of sessions that are not among `session_ids`."""
        with self._guard:
            checks_left = [check for check in self.checks if check["session"] in session_ids]
            if len(checks_left) < len(self.checks):
                self.checks = checks_left

    def _put_away(self, content: Mapping[str, Any]) -> None:
        self.keep({check["session"] for check in self.checks} - {content.get("session")})


class ReportPage(Widget):
    """Shows the report that was rendered last.

    Attributes
    ----------
    session_id
        Id of the session whose report, or first page, is shown; "" if there is none.
    """

    _esm = module("report_page")

    title = traitlets.Unicode().tag(sync=True)
    shown = traitlets.Int().tag(sync=True)

    def __init__(self) -> None:
        self._session: Session | None = None
        self.session_id = ""
        super().__init__()

    def show(self, session: Session) -> None:
        """Show the report of a session; render it first if it is out of date."""
        with send_first_page_to(lambda page: self.show_first(session, page)):
            session.render_report()
        self._session, self.session_id = session, session.id
        self.title = session.title
        self.shown += 1

    def leave(self) -> None:
        """Stop showing a report."""
        self._session, self.session_id = None, ""
        self.title = ""
        self.send({"kind": "left"})

    def show_first(self, session: Session, page: str) -> None:
        """Show the first page of a report while the rest is being rendered."""
        self.session_id = session.id
        self.send({"kind": "first page", "title": session.title, "page": page})

    def acts(self) -> dict[str, Act]:
        """Return the actions that the page may request, by name."""
        return {"address": lambda content, _: self._send_address(content)}

    def _send_address(self, content: Mapping[str, Any]) -> None:
        if self._session is None:
            raise NotFoundError("there is no report yet; choose Report of a session")
        file = self._session.render_report()["html"]
        self.send({"kind": "address", "url": address(file, content.get("page") or {})})


class Front:
    """The widgets of the page, connected with one another.

    Parameters
    ----------
    store
        The store.
    codes
        Widget with the codes for phones; None allows no phones.

    Attributes
    ----------
    form, check, browser, report
        An added video is checked and analysed, and its recording and report are shown until its
        session is deleted.
    trials
        The open recording and the one next to it, by their position.
    """

    def __init__(self, store: Store, codes: Widget | None = None) -> None:
        self.form = UploadForm(store)
        self.check = FilmCheck()
        self.browser = SessionBrowser(store, view="people")
        self.report = ReportPage()
        self.trials: dict[str, TrialViewer] = {}
        self.form.on_created(lambda session: self.check.check(session, self._analyze))
        self.browser.on_open(lambda session: self.show_trial("trial", session))
        self.browser.on_compare(lambda session: self.show_trial("beside", session))
        self.browser.on_analyzed(self._analyzed)
        self.browser.on_first_page(self.report.show_first)
        self.browser.on_report(self.report.show)
        self.browser.observe(lambda _: self._leave_what_is_gone(), names=["rows"])
        for place, widget in (
            ("phone", codes),
            ("upload", self.form),
            ("check", self.check),
            ("sessions", self.browser),
            ("report", self.report),
        ):
            if widget is not None:
                widget.place = place

    def show_trial(self, place: str, session: Session) -> None:
        """Show the recording of a session instead of the one in this position.

        Raises
        ------
        NotFoundError
            The session is not analysed yet.
        """
        if place in self.trials:
            self.trials[place].show(session)
            return
        self.trials[place] = TrialViewer(session)
        self.trials[place].place = place

    def _leave_what_is_gone(self) -> None:
        """Stop showing a session that was deleted, here or elsewhere."""
        session_ids = {"", *(row["id"] for row in self.browser.rows)}
        self.check.keep(session_ids)
        if self.report.session_id not in session_ids:
            self.report.leave()
        for place, trial in list(self.trials.items()):
            if trial.session.id not in session_ids:
                del self.trials[place]
                trial.close()

    def _analyze(self, session: Session) -> None:
        self.browser.analyze(session.id)

    def _analyzed(self, session: Session) -> None:
        self.show_trial("trial", session)
        self.browser.set_step(MAKING_REPORT)
        self.report.show(session)
