"""The class that defines what the report of an exercise shows besides sections."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mobility.catalogue.exercise_imports import OfExercise

if TYPE_CHECKING:
    import xarray as xr

    from mobility.assessment.findings import Finding
    from mobility.assessment.verdict import Verdict
    from mobility.catalogue.exercise import Exercise
    from mobility.reports.moments import Moment
    from mobility.sessions.record import SessionRecord
    from mobility.sessions.stored_session import StoredSession


class ExercisePage(OfExercise, ABC):
    """Defines what the report shows besides sections.

    A class in ``page.py`` of an exercise inherits from it; its sections are functions there.
    """

    @abstractmethod
    def in_short(self, session: StoredSession, counted: str, verdict: Verdict) -> str:
        """State in one line what was measured."""

    @abstractmethod
    def moments(
        self, session: StoredSession, pose: xr.Dataset, findings: Sequence[Finding]
    ) -> list[Moment]:
        """Choose the moments that the first page shows in pictures."""

    @abstractmethod
    def curves_first(self, record: SessionRecord) -> tuple[str, ...]:
        """Return prefixes of the names of the curves that are shown at first."""

    def result_for_client(self, metrics: xr.Dataset) -> str:
        """State the result of a timed test, as a sentence on the client's page; empty without."""
        return ""

    def pictures(self, folder: Path) -> dict[str, Any]:
        """Return the entries of the document for the pictures that the notebook drew."""
        return {}


def page_of(exercise: Exercise) -> ExercisePage:
    """Return the object that defines what the report of an exercise shows besides sections."""
    page: ExercisePage = exercise.part("page", ExercisePage)
    return page
