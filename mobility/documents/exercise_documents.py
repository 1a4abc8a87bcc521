"""What documents show of an exercise, as a class."""

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
    """What documents show; a class in ``documents.py`` of an exercise inherits from it."""

    @abstractmethod
    def report(self, session: StoredSession) -> dict[str, Any]:
        """Make the document that is kept beside the report."""

    @abstractmethod
    def angles(self, session: StoredSession) -> xr.Dataset:
        """Return the angles over time as the report shows them: NaN if it refuses them."""

    def shown_angles(self, session: StoredSession) -> xr.Dataset:
        """Return the angles as documents show them; by default as the report does."""
        return self.angles(session)

    @abstractmethod
    def sides(self, session: StoredSession, side: Side) -> dict[str, Side]:
        """Name the side that is shown for each joint if the camera sees `side` best."""


def documents_of(exercise: Exercise) -> ExerciseDocuments:
    """Return what documents show of an exercise."""
    documents: ExerciseDocuments = exercise.part("documents", ExerciseDocuments)
    return documents
