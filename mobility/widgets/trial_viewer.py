"""A recording in the notebook: the video, skeleton, curves, repetitions and fitted body."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

import htpy as h
import traitlets
from markupsafe import Markup

from mobility import Session
from mobility.assessment.verdict import warning_lines
from mobility.base.options import check_point, likely
from mobility.errors import BadInputError, NotFoundError
from mobility.reports.figures import angle_names
from mobility.reports.trial_player import repetition_rows, shown_at_first, trial_data
from mobility.widgets.media import address
from mobility.widgets.widget import Act, Widget, module, repetitions_of


class TrialViewer(Widget):
    """Shows an analysed session: the video, and the measurements.

    Parameters
    ----------
    session
        An analysed session.

    Attributes
    ----------
    shown
        Names of the angles whose curves are shown, in order.
    repetitions
        Repetitions as stored; :meth:`save_repetitions` saves the edited ones.
    by_hand
        Whether the repetitions were corrected by hand.
    noun
        "repetition", or "movement" for a single-joint session.
    points
        Corrections of landmarks as stored; :meth:`save_points` saves the edited ones.
    can_correct
        Whether repetitions and landmarks can be corrected; false on the page of a report.
    notes
        Warning that the sides of the session may have been exchanged, in words.
    warnings
        Warnings of the analysis, in words.
    others
        Other people in the picture who can be measured instead: `time` at which each is first seen,
        and `point`, x and y in pixels.
    drawn
        Number of shown sessions; if it changes, the page draws again.

    Raises
    ------
    NotFoundError
        The session has no landmarks or angles yet.
    """

    _esm = module("trial_viewer")

    title = traitlets.Unicode().tag(sync=True)
    shown = traitlets.List().tag(sync=True)
    repetitions = traitlets.List().tag(sync=True)
    by_hand = traitlets.Bool().tag(sync=True)
    noun = traitlets.Unicode("repetition").tag(sync=True)
    turn = traitlets.Unicode("bottom").tag(sync=True)
    points = traitlets.List().tag(sync=True)
    can_correct = traitlets.Bool(True).tag(sync=True)
    notes = traitlets.List().tag(sync=True)
    warnings = traitlets.List().tag(sync=True)
    others = traitlets.List().tag(sync=True)
    drawn = traitlets.Int().tag(sync=True)

    def __init__(self, session: Session) -> None:
        super().__init__(**self._traits_of(session))
        self._load_repetitions()

    def show(self, session: Session) -> None:
        """Show another session instead of this one.

        Raises
        ------
        NotFoundError
            The session has no landmarks or angles yet.
        """
        traits = self._traits_of(session)
        with self.hold_sync():
            for name, value in traits.items():
                setattr(self, name, value)
            self._load_repetitions()
            self.notice, self.errors = {}, {}
            self.drawn += 1

    def _traits_of(self, session: Session) -> dict[str, Any]:
        curves = session.angles()
        self.session = session
        self._angle_names = angle_names(curves)
        return {
            "title": session.title,
            "shown": shown_at_first(session.record, curves, repetitions_of(session)),
            "noun": session.record.kind.noun,
            "turn": session.record.kind.words["turn"],
            "notes": session.notes(),
            "warnings": warning_lines(session.record.warnings),
            "others": _other_people(session),
            "points": _points(session),
        }

    @traitlets.validate("shown")  # type: ignore[untyped-decorator]
    def _check_shown(self, proposal: Any) -> list[str]:
        names = list(proposal["value"])
        for name in names:
            if name not in self._angle_names:
                raise BadInputError(f"angle {name!r}: is unknown{likely(name, self._angle_names)}")
        return names

    def acts(self) -> dict[str, Act]:
        """Return the actions that the page may request, by name."""
        return {
            "load": lambda *_: self._send_trial(),
            "video": lambda content, _: self._send_video(content),
            "save": lambda content, _: self.save_repetitions(content.get("intervals")),
            "points": lambda content, _: self.save_points(content.get("rows")),
            "follow": lambda content, _: self.follow(content.get("point")),
        }

    def save_repetitions(self, intervals: Sequence[Mapping[str, Any]] | None) -> None:
        """Save repetitions or movements as a correction, and recompute the results.

        The analysis runs in the background; :meth:`wait` waits for it.

        Parameters
        ----------
        intervals
            As for :meth:`mobility.store.Session.set_repetitions`.

        Raises
        ------
        BadInputError
            An analysis is already running.
        NotPermittedError
            The session is a demo.
        """
        session = self.session
        session.store.require_writable()

        def work() -> None:
            with session.rollback_if_refused():
                session.set_repetitions(intervals)
                session.analyze()
            self._load_repetitions()
            self.warnings = warning_lines(session.record.warnings)
            self.say("done", f"saved; the next report uses these {self.noun}s")

        self.in_background("analysing again", work)

    def save_points(self, rows: Sequence[Mapping[str, Any]] | None) -> None:
        """Save corrections of landmarks, and fit the body again in the background.

        Parameters
        ----------
        rows
            Rows of the table for :meth:`mobility.store.Session.edit_points`; None, or no rows,
            restores what was detected.

        Raises
        ------
        BadInputError
            An analysis is already running.
        NotPermittedError
            The session is a demo.
        """
        import pandas as pd

        from mobility.kinematics.edited_points import COLUMNS

        session = self.session
        session.store.require_writable()
        table = pd.DataFrame(list(rows), columns=list(COLUMNS)) if rows else None

        def work() -> None:
            with session.rollback_if_refused():
                second = session.record.measured_video == 2
                session.edit_points(table, second_camera=second)
                session.analyze()
            self._load_corrected()
            self.say("done", "saved; the next report uses the corrected skeleton")

        self.in_background("fitting the body again", work)

    def follow(self, point: Any) -> None:
        """Measure another person in the picture, by a new analysis in the background.

        Parameters
        ----------
        point
            x and y in pixels: a point on that person in the frame in which the person is first
            seen, as for :meth:`mobility.store.Session.set_subject`.

        Raises
        ------
        BadInputError
            `point` is not a point, or an analysis is already running.
        NotPermittedError
            The session is a demo.
        """
        session = self.session
        session.store.require_writable()
        place = check_point(point, name="subject")

        def work() -> None:
            with session.rollback_if_refused():
                second = session.record.measured_video == 2
                session.set_subject(place, second_camera=second)
                session.analyze()
            self.others = _other_people(session)
            self._load_corrected()
            self.say("done", f"the person at {place[0]:.0f},{place[1]:.0f} is measured now")

        self.in_background("analysing again", work)

    def static_html(self) -> Markup:
        """Show the curves, with the repetitions."""
        from mobility.reports import figures

        text = h.p[h.b[self.title]].__html__()
        if not self.shown:
            return text
        repetitions = repetitions_of(self.session)
        figure = figures.angle_curves(
            self.session.angles(), repetitions, names=self.shown, turn=self.turn
        )
        coded = base64.b64encode(figures.png(figure, dpi=60)).decode()
        source = f"data:image/png;base64,{coded}"
        return text + h.img(alt="Curves of the angles", src=source).__html__()

    def _load_corrected(self) -> None:
        """Show the skeleton, the corrections of landmarks and the results of a new analysis."""
        self.points = _points(self.session)
        self._load_repetitions()
        self.warnings = warning_lines(self.session.record.warnings)
        self._send_trial()

    def _load_repetitions(self) -> None:
        repetitions = repetitions_of(self.session)
        self.by_hand = self.session.edits().current("repetitions") is not None
        self.repetitions = [] if repetitions is None else repetition_rows(repetitions)

    def _send_trial(self) -> None:
        fitted = self.session.fitted() if "fitted" in self.session.record.stages else None
        head, buffers = trial_data(self.session.pose(), self.session.angles(), fitted)
        self.send(head, buffers=buffers)

    def _send_video(self, content: Mapping[str, Any]) -> None:
        page = content.get("page") or {}
        annotated = bool(content.get("annotated"))
        file = self.session.annotated_video if annotated else self.session.video
        if annotated and not file.is_file():
            raise NotFoundError(
                "the browser cannot show the video, and there is no annotated video to show "
                "instead; the curves still work"
            )
        self.send({"kind": "video", "url": address(file, page), "annotated": annotated})


def _points(session: Session) -> list[dict[str, Any]]:
    """Return the corrections of the landmarks of the measured video."""
    return session.edits().points_of(session.record.measured_pose)


def _other_people(session: Session) -> list[dict[str, Any]]:
    """Return other people in the survey of a session; none for imported keypoints."""
    people = json.loads(session.pose().attrs.get("survey", "{}")).get("other_people", [])
    return [{"time": person["first_seen_s"], "point": person["subject"]} for person in people]
