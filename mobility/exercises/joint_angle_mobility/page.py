"""Report of single-joint range of motion."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mobility import tables
from mobility.assessment.movements import movement
from mobility.assessment.number import Number
from mobility.base.formatting import spoken
from mobility.base.uncertain import sd_name
from mobility.catalogue.joints import ANGLE_OF_JOINT
from mobility.exercises.joint_angle_mobility.joint_sections import places, reached, shown
from mobility.exercises.joint_angle_mobility.joint_values import end_is_certain
from mobility.exercises.joint_angle_mobility.joint_verdict import with_side_doubt
from mobility.reports.drawn_angles import points_in_picture, turn_of
from mobility.reports.exercise_page import ExercisePage
from mobility.reports.moments import Moment

if TYPE_CHECKING:
    import xarray as xr

    from mobility.assessment.findings import Finding
    from mobility.assessment.verdict import Verdict
    from mobility.sessions.record import SessionRecord
    from mobility.sessions.stored_session import StoredSession

_IN_PLANE_DEG = 35.0
"""Largest difference (degrees) between the image-plane angle and the angle of the body for a
movement that counts as seen in the image plane."""


class JointPage(ExercisePage):
    """Report of how far the joints go."""

    def in_short(self, session: StoredSession, counted: str, verdict: Verdict) -> str:
        """Describe in one line how far the joints go."""
        parts = "; ".join([counted, *reached(with_side_doubt(session.metrics(), verdict))])
        return tables.sentence("report.in_short.joints", counted=parts)

    def moments(
        self, session: StoredSession, pose: xr.Dataset, findings: Sequence[Finding]
    ) -> list[Moment]:
        """Choose a start, and the ends of range of the shown joints that are seen best."""
        metrics = session.metrics()
        shown_places = places(metrics, shown(session.record, session.stored_config()))
        moved = zip(metrics["movement_joint"].values, metrics["movement_side"].values, strict=True)
        rows = [row for row, place in enumerate(moved) if place in shown_places]
        return joint_moments(session.measured_angles(), metrics.isel(movement=rows), pose)

    def curves_first(self, record: SessionRecord) -> tuple[str, ...]:
        """Show every angle of the joints: a hip that moves sideways has a different curve."""
        return tuple(f"{joint}_" for joint in record.joints)


def joint_moments(
    angles: xr.Dataset, metrics: xr.Dataset, pose: xr.Dataset | None = None
) -> list[Moment]:
    """Choose three moments of the moving joints: a start, and the ends of range seen best.

    If only one side of one joint moved, the second moment is on the way to its end of range. If a
    joint reached its end of range several times, the time closest to their median is chosen,
    because the median is reported. The list is empty if no joint moved or all ends of range are too
    uncertain.

    Parameters
    ----------
    angles, metrics
        Metrics and angles of the session.
    pose
        If it is passed, movements in the image plane come before the others.
    """
    joints = metrics["movement_joint"].values, metrics["movement_side"].values
    accepted = metrics["movement_accepted"].values.astype(bool)
    places = dict.fromkeys(
        (str(joint), str(side)) for joint, side in np.transpose(joints)[accepted]
    )
    certain = [
        (joint, side)
        for joint, side in places
        if end_is_certain(metrics, joint, side)
        and np.isfinite(metrics["end_of_range"].sel(joint=joint, side=side))
    ]
    moments_of_joints = [_of_joint(angles, metrics, joint, side) for joint, side in certain]

    def last(moments: list[Moment]) -> tuple[bool, float]:
        start, turn = moments[0].number, moments[-1].number
        beside = pose is not None and not _in_plane(pose, moments[-1])
        size = abs(turn.value - start.value) / turn.sd if turn.sd > 0 else 0.0
        return beside, -float(np.nan_to_num(size))

    moments_of_joints.sort(key=last)
    first = {1: 2, 2: 1}.get(len(moments_of_joints), 0)
    before = moments_of_joints[0][:first] if moments_of_joints else []
    return [*before, *(moments[-1] for moments in moments_of_joints[:3])]


def _in_plane(pose: xr.Dataset, moment: Moment) -> bool:
    """Return whether the picture of a moment shows approximately the measured angle."""
    row = int(np.argmin(np.abs(pose["time"].values - moment.time)))
    turn = turn_of(points_in_picture(pose)[row], moment.angle, moment.number.side)[1]
    return abs(abs(turn) - abs(moment.number.value)) <= _IN_PLANE_DEG


def _of_joint(angles: xr.Dataset, metrics: xr.Dataset, joint: str, side: str) -> list[Moment]:
    """Return three moments of the movement that ends closest to the reported end of range."""
    one = metrics.sel(joint=joint, side=side)
    shown = str(one["shown"].item())
    name = str(movement(shown)["angle"]) if shown else ANGLE_OF_JOINT[joint]
    sign = -1.0 if shown and movement(shown)["end"] == "smallest" else 1.0
    label = spoken(shown)
    if not label:
        label = str(angles[name].attrs.get("long_name", name)).partition(" (")[0]
    moved = (metrics["movement_joint"].values == joint) & (metrics["movement_side"].values == side)
    moved &= metrics["movement_accepted"].values.astype(bool)
    turns = sign * metrics["movement_extreme"].values[moved].astype(float)
    reported = float(one["end_of_range"])
    middle = reported if math.isfinite(reported) else float(np.nanmedian(turns))
    which = int(np.flatnonzero(moved)[int(np.nanargmin(np.abs(turns - middle)))])
    start, turn = (float(metrics[f"movement_{part}"].values[which]) for part in ("start", "turn"))
    time = metrics["time"].values
    moments = []
    for title, when in (
        ("Start", start),
        ("On the way", (start + turn) / 2),
        ("End of range", turn),
    ):
        row = int(np.argmin(np.abs(time - when)))
        value, sd = sign * float(one["angle"].values[row]), float(one[sd_name("angle")].values[row])
        if title == "End of range" and math.isfinite(reported):
            value, sd = reported, float(one[sd_name("end_of_range")])
        number = Number(value, sd, units="degree", side=side)
        moments.append(Moment(title, float(time[row]), name, number, label))
    return moments
