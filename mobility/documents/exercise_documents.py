"""The class that defines what documents show of an exercise."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from mobility.catalogue.exercise_imports import OfExercise

if TYPE_CHECKING:
    import xarray as xr

    from mobility.catalogue.exercise import Exercise
    from mobility.sessions.record import Side
    from mobility.sessions.stored_session import StoredSession


class ExerciseDocuments(OfExercise, ABC):
    """Defines what documents show of an exercise.

    The class in ``documents.py`` of an exercise inherits from it.
    """

    @abstractmethod
    def report(self, session: StoredSession) -> dict[str, Any]:
        """Make the document that is stored next to the report."""

    @abstractmethod
    def angles(self, session: StoredSession) -> xr.Dataset:
        """Return the angles over time as the report shows them.

        Values that it does not report are NaN.
        """

    def shown_angles(self, session: StoredSession) -> xr.Dataset:
        """Return the angles as documents show them; by default as the report does."""
        return self.angles(session)

    @abstractmethod
    def sides(self, session: StoredSession, side: Side) -> dict[str, Side]:
        """Name the side that is shown for each joint if the camera sees `side` best."""


def documents_of(exercise: Exercise) -> ExerciseDocuments:
    """Return the object that defines what documents show of an exercise."""
    documents: ExerciseDocuments = exercise.part("documents", ExerciseDocuments)
    return documents
