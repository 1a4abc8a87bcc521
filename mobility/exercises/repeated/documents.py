"""Documents of an exercise that consists of repetitions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mobility.assessment.frame_quantities import frames_of
from mobility.assessment.kernels import knee
from mobility.assessment.number import without_hidden_side
from mobility.documents.exercise_documents import ExerciseDocuments
from mobility.documents.fill import report_document
from mobility.documents.of_session import verdict_of
from mobility.sessions.record import Side
from mobility.sessions.stored_session import StoredSession

if TYPE_CHECKING:
    import xarray as xr

VIEWS = ("left", "right", "front")


class RepeatedDocuments(ExerciseDocuments):
    """Documents with the angles that the verdict allows."""

    def report(self, session: StoredSession) -> dict[str, Any]:
        """Make the report document without pictures; the notebook draws them at the same time."""
        metrics = session.metrics()
        movement = frames_of(knee, session.fitted(), session.repetitions())
        if "knee_deviation" not in metrics:  # the exercise does not measure it
            movement = movement.where(False)
        return report_document(
            session.record,
            session.participant,
            angles=self.shown_angles(session),
            metrics=metrics,
            quality=session.capture_quality(),
            movement=movement,
            images=dict.fromkeys(VIEWS),
        )

    def angles(self, session: StoredSession) -> xr.Dataset:
        """Return the angles that the verdict allows."""
        record = session.record
        measured = session.measured_angles()
        if (
            not {"metrics", "capture_quality"} <= record.stages.keys()
        ):  # the analysis was interrupted before its verdict
            return measured
        metrics = session.metrics()
        verdict = verdict_of(session, metrics)
        refused = {}
        for name, values in measured.data_vars.items():
            # Another movement is measured in the same way, but angles that cannot be used are left
            # out.
            if verdict.level == "unusable" or not verdict.keeps(str(name)):
                refused[name] = values.where(False)
                refused[name].attrs = values.attrs | {"refused": verdict.why_without(str(name))}
        return without_hidden_side(measured.assign(refused), metrics)

    def sides(self, session: StoredSession, side: Side) -> dict[str, Side]:
        """Use one side for all joints."""
        return dict.fromkeys(map(str, session.record.joints), side)
