"""Checks whether sessions were filmed and analysed alike, so that test-retest errors apply."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from mobility.keypoints.sources import Origin
from mobility.keypoints.view import SAME_PLACE_DEG, UNKNOWN, turn

if TYPE_CHECKING:
    from mobility.sessions.stored_session import StoredSession


class Filming(NamedTuple):
    """How a session was filmed and analysed.

    Attributes
    ----------
    view, azimuth
        View of the first camera, from the checks of the recording; degrees.
    cameras
        Number of cameras.
    method
        Method by which the angles were computed, such as fitted_body.
    standing
        Assumption of how straight the person stands, an option of the analysis.
    pose_source, source_software
        Origin of the keypoints: key of the table ``pose_sources``, and name of the model.
    """

    view: str
    azimuth: float
    cameras: int
    method: str
    standing: str
    pose_source: str = Origin().pose_source
    source_software: str = Origin().source_software


def filming_of(session: StoredSession) -> Filming:
    """Read how an analysed session was filmed; errors in reading its results are raised."""
    record = session.record
    view = session.capture_quality().get("view") or {}
    azimuth = view.get("azimuth_deg")
    attrs = session.metrics().attrs
    return Filming(
        view=str(view.get("name") or UNKNOWN),
        azimuth=math.nan if azimuth is None else float(azimuth),
        cameras=len(record.videos),
        method=str(attrs.get("method", "")),
        standing=record.provenance.standing if record.provenance else "",
        **Origin.of(attrs)._asdict(),
    )


def filmed_alike(sessions: Sequence[Filming]) -> bool:
    """Whether the camera, model, method and assumptions were the same.

    False if a view is unknown.
    """
    first, *other_sessions = sessions
    if first.view in ("", UNKNOWN):
        return False
    turned = [0.0, *(turn(session.azimuth, first.azimuth) for session in other_sessions)]
    near = max(turned) - min(turned) <= SAME_PLACE_DEG and math.isfinite(sum(turned))
    alike = all(session._replace(azimuth=first.azimuth) == first for session in other_sessions)
    return alike and near and math.isfinite(first.azimuth)
