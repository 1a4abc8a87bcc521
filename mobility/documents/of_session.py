"""Documents of a session, made from its stored results, with ``file://`` URIs."""

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
    """Return the verdict on the recording; pass `metrics` if you have already read them."""
    record = session.record
    metrics = session.metrics() if metrics is None else check_metrics(metrics)
    verdict = stages_of(record.kind).verdict(
        session.capture_quality(), metrics, session.fitted, record.warnings
    )
    if record.provenance is None or record.provenance.options.get("advice", True):
        return verdict
    return replace(verdict, rules_out=verdict.rules_out | {"exercises"})


def side_notes(session: StoredSession) -> list[str]:
    """Return warnings that the sides may have been exchanged; empty if there is no doubt."""
    has_results = {"fitted", "metrics", "capture_quality"} <= session.record.stages.keys()
    if not has_results or not verdict_of(session).sides_in_doubt:
        return []
    return [f"{tables.sentence('report.sides_in_doubt')}."]


def details(session: StoredSession) -> dict[str, Any]:
    """Return the session document; before the analysis it has no angles or checks."""
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
    """Return the export document: landmarks and angles."""
    return fill.export_document(
        session.analyzed(),
        pose=session.pose(),
        angles=shown_angles(session),
        side=side_of_joints(session),
    )


def summary(session: StoredSession, *, images: Mapping[str, str | None]) -> dict[str, Any]:
    """Return the summary of an exercise with repetitions, with addresses of the knee pictures."""
    return fill.summary_document(
        session.analyzed(),
        session.participant,
        metrics=session.metrics(),
        images=images,
        quality=session.capture_quality(),
    )


def shown_angles(session: StoredSession) -> xr.Dataset:
    """Return the angles as documents show them, NaN if not reported."""
    return documents_of(session.record.kind).shown_angles(session)


def angles(session: StoredSession) -> xr.Dataset:
    """Return the angles over time as in reports; NaN if not reported (reason in ``refused``)."""
    return documents_of(session.record.kind).angles(session)


def camera_side(session: StoredSession) -> Side:
    """Return the side that represents a joint in documents: set by hand, or the side seen best.

    The side seen best is the side of the camera (:func:`mobility.keypoints.view.near_side`). If the
    camera sees both sides, it is the side with the more visible landmarks.
    """
    corrected = session.edits().current("camera_side")
    return corrected or near_side(session.fitted()) or fill.camera_side(session.pose())


def title(session: StoredSession) -> str:
    """Return the session name, or else the exercise, participant and date."""
    return fill.title(session.record, session.participant)


def repetitions_table(session: StoredSession) -> list[dict[str, Any]]:
    """Return repetitions as rows: rep, start, bottom, end (s), depth (percent), accepted, reason.

    For joint movements, the rows also name the moving joints, as text.

    Raises
    ------
    StorageError
        The corrections by hand are damaged, so the repetitions may be out of date.
    """
    session.edits()
    return fill.repetition_rows(session.repetitions())


def checks(session: StoredSession) -> list[dict[str, Any]]:
    """Return the results of the exercise's rules as on the first page, one row for each side."""
    if not session.record.kind.table["rules"]:
        return []
    metrics = session.metrics()
    return fill.check_rows(find(metrics), verdict_of(session, metrics))


def side_of_joints(session: StoredSession) -> dict[str, Side]:
    """Return the side that represents each joint in documents, usually the :func:`camera_side`."""
    return documents_of(session.record.kind).sides(session, camera_side(session))
