"""Errors of the angles that were measured on rendered squats, for recordings made like them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import xarray as xr

from mobility import tables
from mobility.errors import BadInputError
from mobility.options import likely
from mobility.provenance import history
from mobility.view import TWO_CAMERAS, view_of

TABLE = "virtual_lab_error"
"""Name of the table, which ``mobility virtual-lab sweep --write-table`` writes."""

VIEWS = ("front", "front-oblique", "side", "back-oblique", "back")
"""Kinds of view, as in ``view_support.yaml``."""


@dataclass(frozen=True)
class LabError:
    """Error of one value of an angle.

    Attributes
    ----------
    bias
        Mean error, degrees; NaN without a clip.
    sd
        Standard deviation of one error about the bias, degrees, between and within clips, times
        `widening`; NaN with fewer than two clips.
    clips
        Number of clips in which it was measured.
    coverage
        Share of the errors that the fit's own 95 % interval held.
    widening
        By how much intervals were made wider, so that they hold at least 90 % of the errors on
        filmed clips.
    """

    bias: float
    sd: float
    clips: int
    coverage: float
    widening: float


def view_of_azimuth(azimuth: float) -> str:
    """Kind of the view of a camera at an azimuth (degrees, 0 in front of the subject)."""
    return view_of((azimuth + 180.0) % 360.0 - 180.0, 0.0).kind


def virtual_lab_error(angle: str, view: str, *, deep: bool = False) -> LabError | None:
    """Give the error of an angle in a view, as measured on rendered squats with known truth.

    Parameters
    ----------
    angle
        As in :func:`~mobility.kinematics.angles.joint_angles`.
    view
        One of :data:`VIEWS`, also with the side of the camera ("side, from the left"); "all" for
        all of them together.
    deep
        Of the deep part of the squat, where reports take their values, instead of all frames.

    Returns
    -------
    LabError or None
        None where nothing was measured in this view.

    Raises
    ------
    BadInputError
        There is no such angle or view.
    """
    table = tables.load(TABLE)
    known = tables.load("angles")
    if angle not in known:
        raise BadInputError(f"virtual_lab_error: no angle {angle!r}{likely(angle, known)}")
    kind = view_kind(view)
    entry = table["views"].get(kind, {}).get("angles", {}).get(angle)
    if entry is None:
        return None
    part = entry["deep"] if deep else entry
    widening = float(table["widening"][angle]["factor"])
    return LabError(
        bias=_number(part["bias"]),
        sd=widening * _number(part["sd"]),
        clips=int(part["clips"]),
        coverage=_number(part["coverage"]),
        widening=widening,
    )


def view_kind(view: str) -> str:
    """Kind of a view from its name, with or without the side of the camera; or "two-cameras".

    Raises
    ------
    BadInputError
        There is no such view.
    """
    words = view.replace("-", " ").replace(",", " ").split()
    kind = "-".join(word for word in words if word not in ("from", "the", "left", "right"))
    if not kind and words:
        kind = "side"  # "left", "right"
    if kind not in (*VIEWS, TWO_CAMERAS, "all"):
        raise BadInputError(
            f"virtual_lab_error: no view {view!r}{likely(view, VIEWS)} (one of {', '.join(VIEWS)})"
        )
    return kind


def does_not_hold(pose: xr.Dataset, *, view: str | None = None) -> str | None:
    """Why the lab's errors do not hold for a pose: other model, method, or cameras; else None.

    Parameters
    ----------
    pose
        A pose or what was computed from it, with the attributes `method` and `model_sha256`.
    view
        Whose errors are asked for; without it, those of one camera.
    """
    made_for: Mapping[str, Any] = tables.load(TABLE)["holds_for"]
    method = str(pose.attrs.get("method", "mediapipe_world"))
    if method != made_for["fit_method"]:
        return (
            f"The virtual lab's errors are those of the method '{made_for['fit_method']}', and this"
            f" is '{method}'."
        )
    if pose.attrs.get("model_sha256") != made_for["pose_model_sha256"]:
        return (
            "The virtual lab's errors were measured with another pose model than this recording's;"
            " measure them with it (MOBILITY_POSE_MODEL): mobility virtual-lab sweep"
            " benchmarks/held_out.yaml benchmarks/held_out_2.yaml benchmarks/errors.yaml"
            " --write-table"
        )
    if view != TWO_CAMERAS and any("cameras" in entry for entry in history(pose)):
        return "The virtual lab's errors are those of one camera, and this trial has several."
    return None


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
