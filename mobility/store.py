"""Stores and sessions as a researcher and the commands use them.

Each method only calls the function that it names: :mod:`mobility.sessions` keeps the files, the
rooms above it make results, documents and reports of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import SkipValidation

from mobility.base.options import Day, FilePath, Names, checked, checked_methods
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
    from mobility.studies.visit import Visit

T = TypeVar("T")

Intervals = Annotated[Sequence[Mapping[str, Any]] | None, SkipValidation]
"""Repetitions by hand, which the correction checks with the movements."""


@checked_methods
class Session(StoredSession):
    """One session of a store; made by :meth:`Store.create` or :meth:`Store.session`."""

    store: Store

    @checked
    def __init__(self, folder: FilePath, store: Store) -> None:
        super().__init__(Path(folder), store)

    @property
    def title(self) -> str:
        """Session name, else exercise, participant and date."""
        from mobility.documents import of_session

        return of_session.title(self)

    def camera_side(self) -> Side:
        """Side that stands for a joint in the documents: by hand, else the best seen one."""
        from mobility.documents import of_session

        return self._read(of_session.camera_side)

    def angles(self, *, refused: bool = False) -> xr.Dataset:
        """Joint angles over time, degrees, as in the report.

        Parameters
        ----------
        refused
            Whether values that the report refuses are given too, as they were measured and as they
            are in ``angles.nc``. Without them such an angle is NaN, and its attribute ``refused``
            says why; of single joints only those of the session are given, each under the angle of
            the movement that it showed.
        """
        from mobility.documents import of_session

        return self.measured_angles() if refused else self._read(of_session.angles)

    def shown_angles(self) -> xr.Dataset:
        """Angles as documents show them: of a joint under its flexion, NaN where refused."""
        from mobility.documents import of_session

        return self._read(of_session.shown_angles)

    def repetitions_table(self) -> list[dict[str, Any]]:
        """Repetitions as rows: rep, start, bottom, end (s), depth (percent), accepted, reason.

        Movements of single joints also have the joints that move, as text.
        """
        from mobility.documents import of_session

        return self._read(of_session.repetitions_table)

    def checks(self) -> list[dict[str, Any]]:
        """Results of the exercise's rules, as rows: name, side, result, value, interval, limit...

        A result is "outside" (its target), "met", "borderline" (within ``margin`` of the limit,
        on either side), "inconclusive", "not_reported" or "not_visible", the latter three with a
        ``reason``. Joints alone have none.
        """
        from mobility.documents import of_session

        return self._read(of_session.checks)

    def verdict(self, metrics: Any = None) -> Verdict:
        """Say what the recording is good for; of its `metrics`, where they are at hand."""
        from mobility.documents import of_session

        return self._read(of_session.verdict_of, metrics)

    def _read(self, function: Callable[..., T], *args: Any, **options: Any) -> T:
        """Call a function on this session that reads its results, whichever code made them."""
        from mobility.pipeline.analysis import reading_results

        with reading_results(self):
            return function(self, *args, **options)

    def to_dataframe(self) -> pd.DataFrame:
        """All metrics as one long table: a row for each metric, side and repetition.

        The columns are those of :func:`mobility.studies.cohort.to_dataframe`; whatever the verdict
        on the recording.
        """
        from mobility.studies.cohort import to_dataframe

        return to_dataframe([self], recordings=["all"])

    def analyze(self, **options: Any) -> Session:
        """Run what is not done yet of the analysis.

        The options are those of :func:`mobility.pipeline.analysis.analyze`.
        """
        from mobility.pipeline.analysis import analyze

        analyze(self, **options)
        return self

    def check_recording(self) -> dict[str, Any]:
        """Say within seconds whether its film is good, as :func:`mobility.check_recording`."""
        from mobility.pipeline.recording_check import check_session

        return check_session(self)

    def is_current(self) -> bool:
        """Whether an analysis would give the same now; true for a demo and before the first."""
        from mobility.pipeline.analysis import is_current

        return is_current(self)

    def bring_up_to_date(self) -> None:
        """Analyse again what is out of date: :func:`mobility.pipeline.analysis.bring_up_to_date`.

        Documents, texts, reports and comparisons begin with it, so that nothing old is served.
        """
        from mobility.pipeline.analysis import bring_up_to_date

        bring_up_to_date(self)

    def set_repetitions(self, intervals: Intervals, *, by: str | None = None) -> None:
        """Correct repetitions, or movements of single joints, by hand.

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
        """Say by hand where the person to measure is; the next analysis begins anew.

        See :func:`mobility.pipeline.corrections.set_subject`.
        """
        from mobility.pipeline.corrections import set_subject

        set_subject(self, point, second_camera=second_camera, by=by)

    def set_camera_side(self, side: Side | None, *, by: str | None = None) -> None:
        """Say by hand which side of the body the camera sees best; None undoes it."""
        from mobility.pipeline.corrections import set_camera_side

        set_camera_side(self, side, by=by)

    def rollback_if_refused(self) -> AbstractContextManager[None]:
        """Undo the corrections made inside where they or their analysis raise BadInputError.

        See :func:`mobility.pipeline.corrections.rollback_if_refused`.
        """
        from mobility.pipeline.corrections import rollback_if_refused

        return rollback_if_refused(self)

    def details(self) -> dict[str, Any]:
        """Session document; before the analysis without angles and checks.

        URLs are ``file://`` URIs.
        """
        from mobility.documents import of_session

        self.bring_up_to_date()
        return of_session.details(self)

    def export(self) -> dict[str, Any]:
        """Export document: landmarks and angles."""
        from mobility.documents import of_session

        self.bring_up_to_date()
        return of_session.export(self)

    def notes(self) -> list[str]:
        """Say that the sides may have been exchanged; nothing where that is not in doubt."""
        from mobility.documents import of_session

        return self._read(of_session.side_notes)

    def report(self) -> dict[str, Any]:
        """Report of the repetitions, generated once and served until its inputs change.

        URLs are ``file://`` URIs.

        Raises
        ------
        NotFoundError
            The session has not been analysed.
        BadInputError
            The session is of another exercise.
        """
        from mobility.reports.stored_reports import report_document

        return report_document(self)

    def summary(self) -> dict[str, Any]:
        """Summary of the repetitions; URLs are ``file://`` URIs. It raises as :meth:`report`."""
        from mobility.documents import of_session

        self.record.require("summary", "a summary")
        # First: it brings the metrics up to date.
        images = self.report()["knee_movement_phases"]
        return of_session.summary(self, images=images)

    def joint_mobility(self) -> dict[str, Any]:
        """Report of single joints: angles with their extremes, and the display settings.

        It raises what :meth:`report` does.
        """
        self.record.require("joint-mobility", "a report of single joints")
        self.bring_up_to_date()
        return documents_of(self.record.kind).report(self)

    def render_report(self, *, faces: bool | None = None) -> dict[str, Path]:
        """Render the report unless it exists with the same inputs.

        See :func:`mobility.reports.stored_reports.shown_report`.
        """
        from mobility.reports.stored_reports import shown_report

        return shown_report(self, faces=faces)

    def still(self) -> bytes:
        """Small picture of the video, JPEG, for lists: :func:`mobility.reports.still.still`."""
        from mobility.reports.still import still

        return still(self)

    def report_is_current(self) -> bool:
        """Whether the report exists and is up to date."""
        from mobility.reports.stored_reports import report_is_current

        return report_is_current(self)

    def config(self) -> dict[str, Any]:
        """Display settings of a session of single joints: ``shown_angles``, ``comments``.

        Raises
        ------
        NotFoundError
            Nothing was saved for this session.
        BadInputError
            The session is of another exercise.
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
        """Save the display settings; a field that is not given stays as it is.

        See :func:`mobility.documents.display_settings.save_config`.
        """
        from mobility.documents import display_settings

        return display_settings.save_config(
            self, shown_angles=shown_angles, comments=comments, revision=revision, **unknown
        )

    def create_summary_threads(self, *, system: str = "metric") -> dict[str, str]:
        """Threads on what was found: id by metric; the same ones until the data change.

        The parameters are those of :func:`mobility.documents.threads.create_threads`.
        """
        return self.create_threads("summary", system=system)

    def create_recommendation_threads(self, *, system: str = "metric") -> dict[str, str]:
        """Threads on what to do: id by metric; the same ones until the data change.

        The parameters are those of :func:`mobility.documents.threads.create_threads`.
        """
        return self.create_threads("recommendation", system=system)

    def create_threads(self, kind: str, *, system: str = "metric") -> dict[str, str]:
        """Threads of a kind, "summary" or "recommendation": id by metric.

        See :func:`mobility.documents.threads.create_threads`.
        """
        from mobility.documents.threads import check_threads, create_threads

        check_threads(self, kind, system=system)
        self.bring_up_to_date()
        return create_threads(self, kind, system=system)

    def threads(self, kind: str | None = None) -> list[dict[str, Any]]:
        """All threads, or those of one kind; see :func:`mobility.documents.threads.threads`."""
        from mobility.documents.threads import threads

        return threads(self, kind)

    def thread(self, thread_id: str) -> dict[str, Any]:
        """One thread; see :func:`mobility.documents.threads.thread`."""
        from mobility.documents.threads import thread

        return thread(self, thread_id)

    def append_message(self, thread_id: str, text: str, *, by: str | None = None) -> dict[str, Any]:
        """Add what someone says (by default the user of this computer) to a thread.

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
        """Compare the angles with what a lab measured in the same trial, and keep it.

        The options are those of :func:`mobility.lab.lab_comparison.validate`.
        """
        from mobility.lab.lab_comparison import validate

        return validate(self, lab_file, **options)

    def references(self) -> LabReferences:
        """Find norms and errors of the lab's own studies that hold for this session.

        Nothing holds for results of older code; see
        :func:`mobility.studies.references.lab_references`.
        """
        from mobility.studies.references import lab_references

        return lab_references(self)

    def validations(self) -> list[Validation]:
        """Comparisons with lab data that are stored, by name."""
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
        """Collect the sessions of a participant on one day, by default the last, merged.

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
        """Render the page of a visit unless it exists with the same inputs.

        See :func:`mobility.studies.stored_visits.current_visit`.
        """
        from mobility.studies.stored_visits import current_visit

        return current_visit(self, user_id, on=on, only=only, without=without, faces=faces)

    def references(self) -> list[Reference]:
        """Read what the lab's own studies found: norms, errors of measuring again; newest first.

        See :func:`mobility.studies.references.references`.
        """
        from mobility.studies.references import references

        return references(self)

    def reference(self, name: str) -> Reference:
        """Return one reference; see :func:`mobility.studies.references.reference`."""
        from mobility.studies.references import reference

        return reference(self, name)

    def save_reference(self, reference: Any) -> None:
        """Keep norms (:func:`mobility.make_norms`) or errors; one of the same name is replaced."""
        from mobility.studies.references import save_reference

        save_reference(self, reference)

    def delete_reference(self, name: str) -> None:
        """Delete the one of this name."""
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
