"""Documents of a session, from its stored results; URLs are ``file://`` URIs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mobility import tables
from mobility.assessment.exercise_stages import stages_of
from mobility.assessment.findings import find
from mobility.documents import fill
from mobility.documents.exercise_documents import documents_of
from mobility.keypoints.view import near_side
from mobility.kinematics.datasets import check_metrics
from mobility.sessions.record import Side
from mobility.sessions.stored_session import StoredSession

if TYPE_CHECKING:
    import xarray as xr

    from mobility.assessment.verdict import Verdict


def verdict_of(session: StoredSession, metrics: xr.Dataset | None = None) -> Verdict:
    """Say what the recording is good for. Pass its `metrics` if they are already read."""
    record = session.record
    metrics = session.metrics() if metrics is None else check_metrics(metrics)
    verdict = stages_of(record.kind).verdict(
        session.capture_quality(), metrics, session.fitted, record.warnings
    )
    if record.provenance is None or record.provenance.options.get("advice", True):
        return verdict
    return replace(verdict, rules_out=verdict.rules_out | {"exercises"})


def side_notes(session: StoredSession) -> list[str]:
    """Say that the sides may have been exchanged; nothing if that is not in doubt."""
    has_results = {"fitted", "metrics", "capture_quality"} <= session.record.stages.keys()
    if not has_results or not verdict_of(session).sides_in_doubt:
        return []
    return [f"{tables.sentence('report.sides_in_doubt')}."]


def details(session: StoredSession) -> dict[str, Any]:
    """Session document; before the analysis without angles and checks."""
    record = session.record
    stages = record.stages
    angles = shown_angles(session) if {"pose", "angles"} <= stages.keys() else None
    return fill.session_document(
        record,
        session.participant,
        video_url=session.place_of(record.videos[0].file),
        analyzed_video_url=(
            session.place_of(stages["annotated"].file) if "annotated" in stages else None
        ),
        angles=angles,
        repetitions=session.repetitions() if "repetitions" in stages else None,
        side="left" if angles is None else side_of_joints(session),
        checks=checks(session) if {"metrics", "capture_quality"} <= stages.keys() else (),
    )


def export(session: StoredSession) -> dict[str, Any]:
    """Export document: landmarks and angles."""
    return fill.export_document(
        session.analyzed(),
        pose=session.pose(),
        angles=shown_angles(session),
        side=side_of_joints(session),
    )


def summary(session: StoredSession, *, images: Mapping[str, str | None]) -> dict[str, Any]:
    """Summary of an exercise with repetitions, with the places of the pictures of the knees."""
    return fill.summary_document(
        session.analyzed(),
        session.participant,
        metrics=session.metrics(),
        images=images,
        quality=session.capture_quality(),
    )


def shown_angles(session: StoredSession) -> xr.Dataset:
    """Angles as documents show them, NaN if refused."""
    return documents_of(session.record.kind).shown_angles(session)


def angles(session: StoredSession) -> xr.Dataset:
    """Angles over time as in the reports: NaN if refused, with the reason in ``refused``."""
    return documents_of(session.record.kind).angles(session)


def camera_side(session: StoredSession) -> Side:
    """Side that stands for a joint in the documents: by hand, else the best seen one.

    That is the side of the camera (:func:`mobility.keypoints.view.near_side`), or, if it sees both
    sides, the one with the more visible landmarks.
    """
    corrected = session.edits().current("camera_side")
    return corrected or near_side(session.fitted()) or fill.camera_side(session.pose())


def title(session: StoredSession) -> str:
    """Session name, else exercise, participant and date."""
    return fill.title(session.record, session.participant)


def repetitions_table(session: StoredSession) -> list[dict[str, Any]]:
    """Repetitions as rows: rep, start, bottom, end (s), depth (percent), accepted, reason.

    Movements of joints also name the joints that move, as text.

    Raises
    ------
    StorageError
        The corrections by hand are damaged, so that the repetitions may not be current.
    """
    session.edits()
    return fill.repetition_rows(session.repetitions())


def checks(session: StoredSession) -> list[dict[str, Any]]:
    """Results of all rules of the exercise, a row for each side, as the first page has them."""
    if not session.record.kind.table["rules"]:
        return []
    metrics = session.metrics()
    return fill.check_rows(find(metrics), verdict_of(session, metrics))


def side_of_joints(session: StoredSession) -> dict[str, Side]:
    """Side that stands for each joint in the documents: the :func:`camera_side`, mostly."""
    return documents_of(session.record.kind).sides(session, camera_side(session))
