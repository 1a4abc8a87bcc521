"""Documents of a session, from what is stored of it now; URLs are ``file://`` URIs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mobility.assessment.estimates import without_hidden_side
from mobility.assessment.joint_values import with_refused_joints
from mobility.documents import fill
from mobility.documents.verdicts import verdict_of
from mobility.sessions.record import SIDEWAYS, Side
from mobility.sessions.stored import StoredSession
from mobility.view import near_side

if TYPE_CHECKING:
    import xarray as xr


def details(session: StoredSession) -> dict[str, Any]:
    """Session document; before the analysis without angles."""
    record = session.record
    done = record.stages
    angles = shown_angles(session) if {"pose", "angles"} <= done.keys() else None
    return fill.session_document(
        record,
        session.participant,
        video_url=session.place_of(record.video.file),
        analyzed_video_url=(
            session.place_of(done["annotated"].file) if "annotated" in done else None
        ),
        angles=angles,
        repetitions=session.repetitions() if "repetitions" in done else None,
        side="left" if angles is None else side_of_joints(session),
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
    """Overhead Squat summary, with the places of the pictures of the knees."""
    return fill.summary_document(
        session.analyzed(),
        session.participant,
        metrics=session.metrics(),
        images=images,
        quality=session.capture_quality(),
    )


def joint_mobility(session: StoredSession) -> dict[str, Any]:
    """Joint Angle Mobility report: angles with their extremes, and the display settings."""
    stored = session.stored_config()
    return fill.joint_mobility_document(
        session.analyzed(),
        session.participant,
        angles=shown_angles(session),
        metrics=session.metrics(),
        side=side_of_joints(session),
        shown_angles=stored.shown_angles if stored else (),
        comments=stored.comments if stored else None,
    )


def shown_angles(session: StoredSession) -> xr.Dataset:
    """Angles as documents show them: those of a joint under its flexion, NaN where refused."""
    record = session.record
    if record.exercise != "Joint Angle Mobility" or "metrics" not in record.stages:
        return angles(session)
    return with_refused_joints(session.measured_angles(), session.metrics())


def angles(session: StoredSession) -> xr.Dataset:
    """Angles over time as the reports stand for them: NaN where they refuse them.

    The reason is the attribute ``refused`` of the angle. Of single joints only those that were
    chosen are given, each under the angle of the movement that it showed.
    """
    record = session.record
    if record.exercise == "Joint Angle Mobility" and "metrics" in record.stages:
        return fill.joint_curves(session.metrics())
    measured = session.measured_angles()
    if not {"metrics", "capture_quality"} <= record.stages.keys():  # interrupted before its verdict
        return measured
    metrics = session.metrics()
    verdict = verdict_of(session, metrics)
    refused = {}
    for name, values in measured.data_vars.items():
        # Another movement is measured as well as a squat; what cannot be used has no angle.
        if verdict.level == "unusable" or not verdict.keeps(str(name)):
            refused[name] = values.where(False)
            refused[name].attrs = values.attrs | {"refused": verdict.why_without(str(name))}
    return without_hidden_side(measured.assign(refused), metrics)


def camera_side(session: StoredSession) -> Side:
    """Side that stands for a joint in the documents: by hand, else the best seen one.

    That is the one at which the camera stands (:func:`mobility.view.near_side`); of a camera that
    sees both sides, the one whose landmarks are seen better.
    """
    corrected = session.edits().current("camera_side")
    return corrected or near_side(session.fitted()) or fill.camera_side(session.pose())


def title(session: StoredSession) -> str:
    """Session name, else exercise, participant and date."""
    return fill.title(session.record, session.participant)


def repetitions_table(session: StoredSession) -> list[dict[str, Any]]:
    """Repetitions as rows: rep, start, bottom, end (s), depth (percent), accepted, reason.

    Movements of single joints also have the joints that move, as text.

    Raises
    ------
    StorageError
        The corrections by hand are damaged, so that it is not known which repetitions hold.
    """
    session.edits()
    return fill.repetition_rows(session.repetitions())


def side_of_joints(session: StoredSession) -> dict[str, Side]:
    """Side that stands for each joint in the documents.

    It is the :func:`camera_side`; of trunk and neck, of which a camera sees both sides alike, the
    one to which they moved.
    """
    record, side = session.record, camera_side(session)
    sides = dict.fromkeys(map(str, record.joints), side)
    if "metrics" in record.stages:
        for joint in sides.keys() & set(SIDEWAYS):
            sides[joint] = fill.side_that_moved(session.metrics(), joint, otherwise=side)
    return sides
