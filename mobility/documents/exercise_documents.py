"""What documents show of an exercise: what its module ``documents`` may have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    import xarray as xr

    from mobility.catalogue.exercise import Exercise
    from mobility.sessions.record import Side
    from mobility.sessions.stored_session import StoredSession


class ExerciseDocuments(Protocol):
    """Module ``documents``: what documents show."""

    def report(self, session: StoredSession) -> dict[str, Any]:
        """Make the document that is kept beside the report."""

    def angles(self, session: StoredSession) -> xr.Dataset:
        """Return the angles over time as the report shows them: NaN if it refuses them."""

    def shown_angles(self, session: StoredSession) -> xr.Dataset:
        """Return the angles as documents show them."""

    def sides(self, session: StoredSession, side: Side) -> dict[str, Side]:
        """Name the side that is shown for each joint if the camera sees `side` best."""


def documents_of(exercise: Exercise) -> ExerciseDocuments:
    """Return what documents show of an exercise."""
    return cast("ExerciseDocuments", exercise.part("documents"))
