"""The functions that an exercise may have in its module ``documents``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    import xarray as xr

    from mobility.catalogue.exercise import Exercise
    from mobility.sessions.record import Side
    from mobility.sessions.stored_session import StoredSession


class ExerciseDocuments(Protocol):
    """Module ``documents``: the contents of documents."""

    def report(self, session: StoredSession) -> dict[str, Any]:
        """Make the document that is stored beside the report."""

    def angles(self, session: StoredSession) -> xr.Dataset:
        """Return the angles over time as in the report: NaN if they are not reported."""

    def shown_angles(self, session: StoredSession) -> xr.Dataset:
        """Return the angles as documents show them."""

    def sides(self, session: StoredSession, side: Side) -> dict[str, Side]:
        """Name the side that is shown for each joint if the camera sees `side` best."""


def documents_of(exercise: Exercise) -> ExerciseDocuments:
    """Return the document functions of an exercise."""
    return cast("ExerciseDocuments", exercise.part("documents"))
