"""The functions that an exercise may have in its module ``page``, besides sections."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    import xarray as xr

    from mobility.assessment.findings import Finding
    from mobility.assessment.verdict import Verdict
    from mobility.catalogue.exercise import Exercise
    from mobility.reports.moments import Moment
    from mobility.sessions.record import SessionRecord
    from mobility.sessions.stored_session import StoredSession


class ExercisePage(Protocol):
    """Module ``page``: functions for the report; it may also contain sections."""

    def in_short(self, session: StoredSession, counted: str, verdict: Verdict) -> str:
        """State in one line what was measured."""

    def moments(
        self, session: StoredSession, pose: xr.Dataset, findings: Sequence[Finding]
    ) -> list[Moment]:
        """Choose the moments that the first page shows in pictures."""

    def curves_first(self, record: SessionRecord) -> tuple[str, ...]:
        """Return the beginnings of the names of the curves that are shown at first."""

    def pictures(self, folder: Path) -> dict[str, Any]:
        """Return the entries of the document that name pictures drawn by the notebook."""


def page_of(exercise: Exercise) -> ExercisePage:
    """Return the page functions and sections of an exercise."""
    return cast("ExercisePage", exercise.part("page"))
