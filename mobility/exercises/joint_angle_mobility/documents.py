"""Documents on single-joint range of motion."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from mobility.assessment.movements import movement
from mobility.base.formatting import spoken
from mobility.base.uncertain import sd_name
from mobility.catalogue.joints import ANGLE_OF_JOINT, SIDEWAYS
from mobility.documents import fill
from mobility.documents.contract import JointAngle, JointMobilityDocument
from mobility.documents.exercise_documents import ExerciseDocuments
from mobility.documents.of_session import side_of_joints
from mobility.exercises.joint_angle_mobility.joint_values import (
    with_refused_joints,
    without_uncertain_ends,
)
from mobility.sessions.record import Participant, SessionRecord, Side
from mobility.sessions.stored_session import StoredSession

if TYPE_CHECKING:
    import xarray as xr

SIDES = fill.SIDES

_NOT_CARRIED = {"posture", "references", "title"}
"""Attributes that the metrics of joints have, but their curves do not."""


class JointDocuments(ExerciseDocuments):
    """Documents with the curves and extremes of the joints."""

    def report(self, session: StoredSession) -> dict[str, Any]:
        """Return the angles with their extremes, and the display settings."""
        stored = session.stored_config()
        return joint_mobility_document(
            session.analyzed(),
            session.participant,
            angles=self.shown_angles(session),
            metrics=session.metrics(),
            side=side_of_joints(session),
            shown_angles=stored.shown_angles if stored else (),
            comments=stored.comments if stored else None,
        )

    def angles(self, session: StoredSession) -> xr.Dataset:
        """Return the selected joints' curves, each named after its movement (`hip_abduction`)."""
        if "metrics" not in session.record.stages:
            return session.measured_angles()
        return joint_curves(session.metrics())

    def shown_angles(self, session: StoredSession) -> xr.Dataset:
        """Return the angle curves of the joints, NaN if they are withheld.

        The names are always those of :data:`ANGLE_OF_JOINT` (`hip_flexion`), whatever the movement.
        """
        if "metrics" not in session.record.stages:
            return session.measured_angles()
        return with_refused_joints(session.measured_angles(), session.metrics())

    def sides(self, session: StoredSession, side: Side) -> dict[str, Side]:
        """Return the side of each joint that is reported.

        For trunk and neck it is the side to which they moved, because a camera sees both sides
        equally well.
        """
        record = session.record
        side_of_joint = dict.fromkeys(map(str, record.joints), side)
        if "metrics" in record.stages:
            for joint in side_of_joint.keys() & set(SIDEWAYS):
                side_of_joint[joint] = side_that_moved(session.metrics(), joint, otherwise=side)
        return side_of_joint


def side_that_moved(metrics: xr.Dataset, joint: str, *, otherwise: Side) -> Side:
    """Return the side to which trunk or neck moved more often.

    If it moved equally often to both sides, the result is the side to which it moved farther. If
    the joint did not move, the result is `otherwise`.
    """
    one = metrics.sel(joint=joint)
    moved = {
        side: (
            int(one["movements"].sel(side=side)),
            float(np.nan_to_num(one["end_of_range"].sel(side=side))),
        )
        for side in SIDES
    }
    if not any(times for times, _ in moved.values()):
        return otherwise
    return max(SIDES, key=lambda side: moved[side])


def joint_curves(metrics: xr.Dataset) -> xr.Dataset:
    """Return the curves of the joints with their errors, without withheld values.

    Each side is stored under the angle of the movement that it showed: a hip that moves sideways is
    stored under ``hip_abduction``. Curves with values come first. The other curves have an
    attribute ``refused`` with the reason. The attributes of the recording and the history are
    copied.
    """
    curves: dict[str, xr.DataArray] = {}
    notes: dict[str, dict[str, str]] = {}
    empty = metrics[["angle", sd_name("angle")]].isel(joint=0, drop=True) * np.nan
    for joint in map(str, metrics["joint"].to_numpy()):
        for one_side in SIDES:
            one = metrics.sel(joint=joint, side=one_side)
            movement_made = str(one["shown"].item())
            name = str(movement(movement_made)["angle"]) if movement_made else ANGLE_OF_JOINT[joint]
            notes.setdefault(name, {})[one_side] = str(one["note"].item())
            for name_of, what in ((str, ""), (sd_name, "standard deviation of the error of ")):
                curve = curves.setdefault(name_of(name), empty[name_of("angle")].copy())
                curve.attrs = {"units": "degree", "long_name": f"{what}{spoken(name)}"}
                curve.loc[{"side": one_side}] = one[name_of("angle")]
    for name, of_sides in notes.items():
        if not curves[name].notnull().any() and any(of_sides.values()):
            curves[name].attrs["refused"] = _joined_notes(of_sides)
    ordered = sorted(curves, key=lambda name: not curves[name].notnull().any())
    carried = {key: value for key, value in metrics.attrs.items() if key not in _NOT_CARRIED}
    return type(metrics)(
        {name: curves[name] for name in ordered}, attrs=carried | {"ds_type": "angles"}
    )


def _joined_notes(notes: Mapping[str, str]) -> str:
    """Join the notes of both sides, or return one if they are the same."""
    if len(set(notes.values())) == 1:
        return next(iter(notes.values()))
    return "; ".join(f"{side}: {note}" for side, note in notes.items() if note)


def joint_mobility_document(
    record: SessionRecord,
    participant: Participant | None,
    *,
    angles: xr.Dataset,
    metrics: xr.Dataset,
    side: Side | Mapping[str, Side],
    shown_angles: Iterable[str] = (),
    comments: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Report of single-joint range of motion; `angles` are NaN if they are withheld.

    The extremes come from `metrics`. If `shown_angles` is empty, the `<joint>_angle` of every joint
    is shown.
    """
    angles_by_key = {}
    # A joint that was selected after the analysis has a curve, but no maximum and minimum yet.
    ends = without_uncertain_ends(metrics)[["maximum", "minimum"]].reindex(
        joint=list(record.joints)
    )
    for key, values in fill.angle_series(angles, joints=record.joints, side=side).items():
        joint_side, _, joint = key.removesuffix("_angle").rpartition("_")
        joint_side = joint_side or (side if isinstance(side, str) else side[joint])
        one = ends.sel(joint=joint, side=joint_side)
        angles_by_key[key] = JointAngle(
            max=fill.rounded(one["maximum"], 2), min=fill.rounded(one["minimum"], 2), values=values
        )
    return JointMobilityDocument(
        title=fill.title(record, participant),
        angles=angles_by_key,
        exercise=record.exercise,
        user_info=fill.user_info(record, participant),
        date=fill.day(record.created_at),
        uploaded_date=record.created_at,
        shown_angles=fill.joint_angles_shown(record.joints, shown_angles),
        comments=dict(comments or {}),
        **fill.whose_keypoints(record),
    ).json_values()
