"""Corrections by hand: repetitions, subject, landmarks, and the side of the camera."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mobility.assessment.exercise_stages import Trial, stages_of
from mobility.assessment.number import HIDDEN_SIDE
from mobility.base.options import check_point, check_table, quoted
from mobility.documents import fill, of_session
from mobility.errors import BadInputError, NotFoundError
from mobility.kinematics.skeleton import SIDES, other_side
from mobility.pipeline.analysis import forget_edited, why_not_again
from mobility.sessions.files import check_name, sweep, write_json
from mobility.sessions.record import POINTS_OF, Edit, Edits, PoseName, Side, now
from mobility.sessions.stored_session import StoredSession, current_user

if TYPE_CHECKING:
    from mobility.base.options import Table


def set_repetitions(
    session: StoredSession, intervals: Sequence[Mapping[str, Any]] | None, *, by: str | None = None
) -> None:
    """Correct repetitions, or single-joint movements, by hand.

    The next analysis recomputes the results that depend on them.

    Parameters
    ----------
    intervals
        ``start``, ``bottom`` (end of range for a joint movement) and ``end`` of each repetition, in
        seconds of the video, in order and without overlap; for a joint movement also ``joints``.
        They are checked by :func:`mobility.kinematics.repetitions.set_repetitions`, or by
        ``checked_movements`` for single-joint movements (BadInputError). None restores the result
        of the analysis.
    by
        Person who makes the correction; by default the user of this computer.
    """
    record = session.record
    after: list[dict[str, Any]] | None = None
    if intervals is not None:
        analysis, joints = stages_of(record.kind), tuple(record.joints)
        after = analysis.checked_repetitions(intervals, joints)
        if {"fitted", "angles"} <= record.stages.keys():
            stored = {"fitted": session.fitted, "angles": session.measured_angles}
            analysis.repetitions(
                Trial(
                    exercise=record.kind,
                    joints=joints,
                    fit="position_draws" in session.fitted(),
                    movement=None,
                    sex=None,
                    age=None,
                    intervals=after,
                    dataset=lambda stage: stored[stage](),
                )
            )
    _store_edit(session, "repetitions", after, by)


def set_subject(
    session: StoredSession,
    point: tuple[float, float] | None,
    *,
    second_camera: bool = False,
    by: str | None = None,
) -> None:
    """Select the person to measure by hand; the next analysis starts from the beginning.

    `point` is as in the option ``subject`` of :func:`mobility.capture.pose.estimate_pose`; None
    undoes the correction. `by` is as in :func:`set_repetitions`. Landmarks that were corrected by
    hand belong to the person who was measured before, so these corrections are undone, too.
    """
    from mobility.capture.video import probe

    after = None
    name = "second_subject" if second_camera else "subject"
    if session.record.keypoints is not None:
        fault = "the keypoints belong to one person; create the session again with this subject"
        raise BadInputError.of({name: f"its keypoints were imported, and {fault}"})
    video = session.second_video if second_camera else session.first_video
    if video is None:
        raise BadInputError.of({name: "the session has no second video"})
    if point is not None:
        x, y = check_point(point, name=name)
        size = probe(video)
        if x >= size.width or y >= size.height:
            picture = f"the picture, which has {size.width} x {size.height} pixels"
            raise BadInputError.of({name: f"{x:g},{y:g} is outside {picture}"})
        after = [x, y]
    _store_edit(session, name, after, by)
    points = POINTS_OF["second_pose" if second_camera else "pose"]
    if session.edits().current(points):  # they are of the person who was measured before
        _store_edit(session, points, None, by)


def set_camera_side(session: StoredSession, side: Side | None, *, by: str | None = None) -> None:
    """Set by hand which side of the body the camera sees best; None undoes it.

    A side that the camera cannot see has no values; choosing it raises an error.
    """
    if side is not None and not (isinstance(side, str) and side in SIDES):
        raise BadInputError.of({"camera_side": f"must be 'left' or 'right' (got {quoted(side)})"})
    if side and "metrics" in session.record.stages:
        hidden = session.metrics().attrs.get(HIDDEN_SIDE)
        if side == hidden:
            camera = (
                f"the camera on the {other_side(side)}, so it has no values; choose the other side"
            )
            raise BadInputError.of({"camera_side": f"{side} is hidden from {camera}"})
    _store_edit(session, "camera_side", side, by)


def edit_points(
    session: StoredSession,
    points: Table | None,
    *,
    second_camera: bool = False,
    by: str | None = None,
) -> None:
    """Correct landmarks by hand; the next analysis fits the body again.

    The table replaces the corrections that were made before. The earlier ones stay in
    ``edits.json``, with who made them and when.

    Parameters
    ----------
    points
        A table as for :func:`mobility.kinematics.edited_points.edit_points`, with the errors of
        that function. None, or a table without rows, restores what was detected.
    second_camera
        Whether the landmarks belong to the video of the second camera.
    by
        As in :func:`set_repetitions`.

    Raises
    ------
    NotFoundError
        The session was not analysed yet, or its video was deleted.
    """
    from mobility.kinematics.edited_points import checked_points

    name: PoseName = "second_pose" if second_camera else "pose"
    kind = POINTS_OF[name]
    if second_camera and session.second_video is None:
        raise BadInputError.of({kind: "the session has no second video"})
    rows: list[dict[str, Any]] = []
    if points is not None:
        if name not in session.record.stages:
            raise NotFoundError(f"session {session.id}: it has no landmarks yet; analyse it first")
        rows = checked_points(check_table(points), session.result(name))
    _store_edit(session, kind, rows or None, by)


@contextmanager
def rollback_if_refused(session: StoredSession) -> Iterator[None]:
    """Undo the corrections made in this block if they or their analysis raise BadInputError.

    Earlier results that were not yet replaced become valid again. The error is raised again.
    """
    edits, record = session.edits(), session.record
    try:
        yield
    except BadInputError:
        if (session.edits(), session.record) != (edits, record):
            with session.store.session_locked(session.id, "edits", what="the edits", wait_s=10):
                if edits.edits:
                    write_json(session.folder / "edits.json", edits.model_dump(mode="json"))
                else:
                    (session.folder / "edits.json").unlink(missing_ok=True)
                write_json(session.folder / "session.json", record.model_dump(mode="json"))
        raise


def _store_edit(session: StoredSession, kind: str, after: Any, by: str | None) -> None:
    session.store.require_writable()
    if why := why_not_again(session):
        raise NotFoundError(why)
    who = check_name(by if by is not None else current_user(), what="by")
    with (
        session.unless_deleted(),
        session.store.session_locked(session.id, "edits", what="the edits", wait_s=10),
    ):
        edits = session.edits()
        edit = Edit.model_validate(
            {
                "kind": kind,
                "who": who,
                "when": now(),
                "before": _value_before(session, kind, edits),
                "after": after,
            }
        )
        sweep(session.folder, "edits.json")
        write_json(
            session.folder / "edits.json",
            Edits(edits=[*edits.edits, edit]).model_dump(mode="json"),
        )
    forget_edited(session, kind)


def _value_before(session: StoredSession, kind: str, edits: Edits) -> Any:
    """Return the value before the edit: set by hand, or else from the analysis, or None."""
    corrected = edits.current(kind)
    record = session.record
    if corrected is not None:
        return corrected
    if kind in ("subject", "second_subject"):
        return record.provenance.options[kind] if record.provenance else None
    if kind in POINTS_OF.values():
        return None
    if kind == "camera_side":
        return of_session.camera_side(session) if "fitted" in record.stages else None
    if "repetitions" not in record.stages:
        return None
    return [
        {name: row[name] for name in ("start", "bottom", "end")}
        | ({"joints": row["joints"].split(", ")} if row.get("joints") else {})
        for row in fill.repetition_rows(session.repetitions())
        if row["accepted"]
    ]
