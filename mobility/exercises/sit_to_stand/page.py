"""Report of chair rises: pictures of key moments, and the curves shown first."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from mobility.assessment.estimates import side_shown
from mobility.exercises.repeated.page import reported
from mobility.reports.drawn_angles import clearer_side
from mobility.reports.moments import Moment, of_angle

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr

    from mobility.assessment.findings import Finding
    from mobility.sessions.record import SessionRecord
    from mobility.sessions.stored import StoredSession


def moments(session: StoredSession, pose: xr.Dataset, findings: Sequence[Finding]) -> list[Moment]:
    """Choose sitting, leaving the seat, and standing, of the chair rise in the middle."""
    angles, repetitions = session.measured_angles(), session.repetitions()
    metrics = session.metrics()
    accepted = np.flatnonzero(repetitions["accepted"].values.astype(bool))
    if not accepted.size:
        return []
    middle = repetitions.isel(rep=int(accepted[(accepted.size - 1) // 2]))
    seated, seat_off, standing = (float(middle[name]) for name in ("start", "seat_off", "bottom"))
    seat_off = seat_off if np.isfinite(seat_off) else seated
    clearer = partial(clearer_side, pose, angles, "knee_flexion", seat_off)
    side = side_shown(metrics, "knee_flexion", otherwise=clearer)
    return [
        of_angle("Seated", seated, angles, "knee_flexion", side),
        reported(of_angle("Leaving the seat", seat_off, angles, "trunk_lean", ""), metrics),
        of_angle("Standing", standing, angles, "knee_flexion", side),
    ]


def curves_first(record: SessionRecord) -> tuple[str, ...]:
    """Show legs and trunk, because the arms are not measured."""
    return tuple(record.kind.table["report"]["trial"])
