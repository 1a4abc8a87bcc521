"""Stores and sessions, as researchers and the commands use them.

Each method only calls the function that it names. :mod:`mobility.sessions` manages the files; the
rooms above it compute the results, documents and reports.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import SkipValidation

from mobility.base.options import Day, FilePath, Names, Table, checked, checked_methods
from mobility.documents.exercise_documents import documents_of
from mobility.sessions.record import Side
from mobility.sessions.session_store import SessionStore
from mobility.sessions.stored_session import StoredSession

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from mobility.assessment.verdict import Verdict
    from mobility.documents.lab_references import LabReferences, Reference
    from mobility.lab.lab_comparison import Validation
    from mobility.studies.course import Course
    from mobility.studies.visit import Visit

T = TypeVar("T")

Intervals = Annotated[Sequence[Mapping[str, Any]] | None, SkipValidation]
"""Repetitions or movements set by hand; :meth:`Session.set_repetitions` checks them."""


@checked_methods
class Session(StoredSession):
    """One session of a store, from :meth:`Store.create` or :meth:`Store.session`."""

    store: Store

    @checked
    def __init__(self, folder: FilePath, store: Store) -> None:
        super().__init__(Path(folder), store)

    @property
    def title(self) -> str:
        """Session name, or else the exercise, participant and date."""
        from mobility.documents import of_session

        return of_session.title(self)

    def camera_side(self) -> Side:
        """Side that represents a joint in documents: set by hand, or else the side seen best."""
        from mobility.documents import of_session

        return self._read(of_session.camera_side)

    def angles(self, *, refused: bool = False) -> xr.Dataset:
        """Return the joint angles over time in degrees, as in the report.

        Parameters
        ----------
        refused
            Whether to include values that the report does not show, as in ``angles.nc``. Otherwise
            such an angle is NaN, and its attribute ``refused`` has the reason. For single-joint
            range of motion, only the angles of the session's joints are included, each under
            the name of the angle that its movement changes.
        """
        from mobility.documents import of_session

        return self.measured_angles() if refused else self._read(of_session.angles)

    def loads(self) -> xr.Dataset:
        """Return the loads of the legs over time, as from :func:`mobility.loads`.

        Moments are also in Nm if the weight of the participant is known.
        """
        return self.result("loads")

    def shown_angles(self) -> xr.Dataset:
        """Return the angles as in documents: the flexion of each joint; NaN if not reported."""
        from mobility.documents import of_session

        return self._read(of_session.shown_angles)

    def repetitions_table(self) -> list[dict[str, Any]]:
        """Return the repetitions as rows, with times in seconds and depth in percent.

        A row has rep, start, bottom, end, depth, accepted and reason. Single-joint movements also
        have the joints that move, as text.
        """
        from mobility.documents import of_session

        return self._read(of_session.repetitions_table)

    def checks(self) -> list[dict[str, Any]]:
        """Return the results of the exercise's rules as rows.

        A row has name, side, result, value, interval, target and more. A result is "outside" (its
        target), "met", "borderline" (within ``margin`` of the target, on either side),
        "inconclusive", "not_reported" or "not_visible"; the last three have a ``reason``.
        Recordings of single-joint movements have no checks.
        """
        from mobility.documents import of_session

        return self._read(of_session.checks)

    def verdict(self, metrics: Any = None) -> Verdict:
        """Return what the recording can be used for; pass `metrics` if you already have them."""
        from mobility.documents import of_session

        return self._read(of_session.verdict_of, metrics)

    def _read(self, function: Callable[..., T], *args: Any, **options: Any) -> T:
        """Call a function that reads this session's results, whatever version computed them."""
        from mobility.pipeline.analysis import reading_results

        with reading_results(self):
            return function(self, *args, **options)

    def to_dataframe(self) -> pd.DataFrame:
        """Return all metrics in one long table: a row for each metric, side and repetition.

        The columns are those of :func:`mobility.studies.cohort.to_dataframe`, whatever the verdict
        on the recording.
        """
        from mobility.studies.cohort import to_dataframe

        return to_dataframe([self], recordings=["all"])

    def analyze(self, **options: Any) -> Session:
        """Run the missing steps of the analysis.

        The options are those of :func:`mobility.pipeline.analysis.analyze`.
        """
        from mobility.pipeline.analysis import analyze

        analyze(self, **options)
        return self

    def check_recording(self) -> dict[str, Any]:
        """Check within seconds whether the video is usable: :func:`mobility.check_recording`."""
        from mobility.pipeline.recording_check import check_session

        return check_session(self)

    def is_current(self) -> bool:
        """Whether another analysis would change nothing; true for demos, and without results."""
        from mobility.pipeline.analysis import is_current

        return is_current(self)

    def bring_up_to_date(self) -> None:
        """Update outdated results: :func:`mobility.pipeline.analysis.bring_up_to_date`.

        Documents, texts, reports and comparisons call this first, so that no outdated result is
        shown.
        """
        from mobility.pipeline.analysis import bring_up_to_date

        bring_up_to_date(self)

    def set_repetitions(self, intervals: Intervals, *, by: str | None = None) -> None:
        """Correct repetitions, or single-joint movements, by hand.

        See :func:`mobility.pipeline.corrections.set_repetitions`.
        """
        from mobility.pipeline.corrections import set_repetitions

        set_repetitions(self, intervals, by=by)

    def set_subject(
        self,
        point: tuple[float, float] | None,
        *,
        second_camera: bool = False,
        by: str | None = None,
    ) -> None:
        """Select the person to measure by hand; the next analysis starts from the beginning.

        See :func:`mobility.pipeline.corrections.set_subject`.
        """
        from mobility.pipeline.corrections import set_subject

        set_subject(self, point, second_camera=second_camera, by=by)

    def set_camera_side(self, side: Side | None, *, by: str | None = None) -> None:
        """Set by hand which side of the body the camera sees best; None undoes it."""
        from mobility.pipeline.corrections import set_camera_side

        set_camera_side(self, side, by=by)

    def edit_points(
        self, points: Table | None, *, second_camera: bool = False, by: str | None = None
    ) -> None:
        """Correct landmarks by hand; the next analysis fits the body again.

        See :func:`mobility.pipeline.corrections.edit_points`.
        """
        from mobility.pipeline.corrections import edit_points

        edit_points(self, points, second_camera=second_camera, by=by)

    def rollback_if_refused(self) -> AbstractContextManager[None]:
        """Undo the corrections made in this block if they or their analysis raise BadInputError.

        See :func:`mobility.pipeline.corrections.rollback_if_refused`.
        """
        from mobility.pipeline.corrections import rollback_if_refused

        return rollback_if_refused(self)

    def details(self) -> dict[str, Any]:
        """Return the session document; before the analysis it has no angles or checks.

        URLs are ``file://`` URIs.
        """
        from mobility.documents import of_session

        self.bring_up_to_date()
        return of_session.details(self)

    def export(self) -> dict[str, Any]:
        """Return the export document: landmarks and angles."""
        from mobility.documents import of_session

        self.bring_up_to_date()
        return of_session.export(self)

    def notes(self) -> list[str]:
        """Return warnings that the sides may have been exchanged; empty if there is no doubt."""
        from mobility.documents import of_session

        return self._read(of_session.side_notes)

    def report(self) -> dict[str, Any]:
        """Return the report of the repetitions, which is made again only if its inputs change.

        URLs are ``file://`` URIs.

        Raises
        ------
        NotFoundError
            The session has not been analysed.
        BadInputError
            The session belongs to another exercise.
        """
        from mobility.reports.stored_reports import report_document

        return report_document(self)

    def summary(self) -> dict[str, Any]:
        """Return a summary of the repetitions, with ``file://`` URIs.

        Raises the same errors as :meth:`report`.
        """
        from mobility.documents import of_session

        self.record.require("summary", "a summary")
        # First, because it brings the metrics up to date.
        images = self.report()["knee_movement_phases"]
        return of_session.summary(self, images=images)

    def joint_mobility(self) -> dict[str, Any]:
        """Return the single-joint report: angles with their extremes, and the display settings.

        Raises the same errors as :meth:`report`.
        """
        self.record.require("joint-mobility", "a report of single joints")
        self.bring_up_to_date()
        return documents_of(self.record.kind).report(self)

    def render_report(self, *, faces: bool | None = None) -> dict[str, Path]:
        """Render the report, unless an up-to-date one exists.

        See :func:`mobility.reports.stored_reports.shown_report`.
        """
        from mobility.reports.stored_reports import shown_report

        return shown_report(self, faces=faces)

    def still(self) -> bytes:
        """Return a small JPEG picture of the video: :func:`mobility.reports.still.still`."""
        from mobility.reports.still import still

        return still(self)

    def report_is_current(self) -> bool:
        """Whether the report exists and is up to date."""
        from mobility.reports.stored_reports import report_is_current

        return report_is_current(self)

    def config(self) -> dict[str, Any]:
        """Return the display settings of the single-joint report: ``shown_angles``, ``comments``.

        Raises
        ------
        NotFoundError
            Nothing was saved for this session.
        BadInputError
            The session belongs to another exercise.
        """
        from mobility.documents import display_settings

        return display_settings.config(self)

    def save_config(
        self,
        /,
        *,
        shown_angles: Annotated[Sequence[str] | None, SkipValidation] = None,
        comments: Annotated[Mapping[str, str] | None, SkipValidation] = None,
        revision: Annotated[int | None, SkipValidation] = None,
        **unknown: Any,
    ) -> dict[str, Any]:
        """Save the display settings; fields that are not passed keep their values.

        See :func:`mobility.documents.display_settings.save_config`.
        """
        from mobility.documents import display_settings

        return display_settings.save_config(
            self, shown_angles=shown_angles, comments=comments, revision=revision, **unknown
        )

    def create_summary_threads(self, *, system: str = "metric") -> dict[str, str]:
        """Create threads on the results, or find those on the same data; return the ID by metric.

        The parameters are those of :func:`mobility.documents.threads.create_threads`.
        """
        return self.create_threads("summary", system=system)

    def create_recommendation_threads(self, *, system: str = "metric") -> dict[str, str]:
        """Create threads on what to do, or find those on the same data; return the ID by metric.

        The parameters are those of :func:`mobility.documents.threads.create_threads`.
        """
        return self.create_threads("recommendation", system=system)

    def create_threads(self, kind: str, *, system: str = "metric") -> dict[str, str]:
        """Create threads of a kind, "summary" or "recommendation"; return the ID by metric.

        See :func:`mobility.documents.threads.create_threads`.
        """
        from mobility.documents.threads import check_threads, create_threads

        check_threads(self, kind, system=system)
        self.bring_up_to_date()
        return create_threads(self, kind, system=system)

    def threads(self, kind: str | None = None) -> list[dict[str, Any]]:
        """Return threads, all or of one kind: :func:`mobility.documents.threads.threads`."""
        from mobility.documents.threads import threads

        return threads(self, kind)

    def thread(self, thread_id: str) -> dict[str, Any]:
        """Return one thread; see :func:`mobility.documents.threads.thread`."""
        from mobility.documents.threads import thread

        return thread(self, thread_id)

    def append_message(self, thread_id: str, text: str, *, by: str | None = None) -> dict[str, Any]:
        """Add a message to a thread, by default from the user of this computer.

        See :func:`mobility.documents.threads.append_message`.
        """
        from mobility.documents.threads import append_message

        return append_message(self, thread_id, text, by=by)

    def export_lab(self, path: FilePath, **options: Any) -> Path:
        """Write positions, angles and events for OpenSim and labs: C3D, TRC, MOT, STO or CSV.

        The options are those of :func:`mobility.lab.lab_export.export_lab`.
        """
        from mobility.lab.lab_export import export_lab

        return self._read(export_lab, path, **options)

    def validate(self, lab_file: FilePath, **options: Any) -> Validation:
        """Compare the angles with lab data of the same movement, and store the comparison.

        The options are those of :func:`mobility.lab.lab_comparison.validate`.
        """
        from mobility.lab.lab_comparison import validate

        return validate(self, lab_file, **options)

    def references(self) -> LabReferences:
        """Return the norms and errors from the lab's own studies that apply to this session.

        None apply to results from an older version; see
        :func:`mobility.studies.references.lab_references`.
        """
        from mobility.studies.references import lab_references

        return lab_references(self)

    def validations(self) -> list[Validation]:
        """Return the stored comparisons with lab data by name."""
        from mobility.lab.lab_comparison import validations

        return validations(self)


@checked_methods
class Store(SessionStore[Session]):
    """A folder of sessions and participants.

    See :class:`mobility.sessions.session_store.SessionStore`.
    """

    def _opened(self, folder: Path) -> Session:
        return Session(folder, self)

    def visit(
        self,
        user_id: str,
        *,
        on: Day | None = None,
        only: Names = (),
        without: Names = (),
    ) -> Visit:
        """Combine the sessions of a participant on one day, by default the last day.

        See :func:`mobility.studies.visit.visit`.
        """
        from mobility.studies.visit import visit

        return visit(self, user_id, on=on, only=only, without=without)

    def render_visit(
        self,
        user_id: str,
        *,
        on: Day | None = None,
        only: Names = (),
        without: Names = (),
        faces: bool | None = None,
    ) -> dict[str, Path]:
        """Render the page of a visit, unless an up-to-date one exists.

        See :func:`mobility.studies.stored_visits.current_visit`.
        """
        from mobility.studies.stored_visits import current_visit

        return current_visit(self, user_id, on=on, only=only, without=without, faces=faces)

    def to_bids(
        self,
        user_ids: Names,
        folder: FilePath,
        *,
        dates: bool = False,
        license: str | None = None,
    ) -> Path:
        """Write the sessions of participants as a Motion-BIDS data set.

        See :func:`mobility.lab.bids.to_bids`.
        """
        from mobility.lab.bids import to_bids

        return to_bids(self, user_ids, folder, dates=dates, license=license)

    def course(self, user_id: str) -> Course:
        """Return all visits of a participant, with the trend of each measure.

        See :class:`mobility.studies.course.Course`.
        """
        from mobility.studies.course import Course

        return Course(self, user_id)

    def render_course(self, user_id: str) -> dict[str, Path]:
        """Make the page of a participant's course, the client's page, and the table.

        See :func:`mobility.studies.course_page.render_course`.
        """
        from mobility.studies.course_page import render_course

        return render_course(self, user_id)

    def references(self) -> list[Reference]:
        """Return the results of the lab's own studies (norms and test-retest errors), newest first.

        See :func:`mobility.studies.references.references`.
        """
        from mobility.studies.references import references

        return references(self)

    def reference(self, name: str) -> Reference:
        """Return one reference; see :func:`mobility.studies.references.reference`."""
        from mobility.studies.references import reference

        return reference(self, name)

    def save_reference(self, reference: Any) -> None:
        """Save norms (:func:`mobility.make_norms`) or errors; replace those with the same name."""
        from mobility.studies.references import save_reference

        save_reference(self, reference)

    def delete_reference(self, name: str) -> None:
        """Delete the norms or errors with this name."""
        from mobility.studies.references import delete_reference

        delete_reference(self, name)

    def demo(self, exercise_name: str) -> Session:
        """Open the pre-generated demo session of an exercise, read-only.

        Raises
        ------
        BadInputError
            There is no such exercise.
        NotFoundError
            The demo is not part of this installation.
        """
        session = super().demo(exercise_name)
        if not session.report_is_current():
            session.store.reports = self.reports
        return session
