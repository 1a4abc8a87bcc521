"""How large the stated errors are: factors on the spread of the draws of a fit."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mobility import tables
from mobility.kinematics.skeleton import SIDES
from mobility.provenance import cameras_of, history, last_of
from mobility.view import TWO_CAMERAS, trial_view

TABLE, TRIAL = "expected_error", "trial_errors"

Z95 = 1.96
"""Half-width of a 95 % interval in standard deviations, errors being normal."""

MDC95 = Z95 * 2**0.5
"""Smallest change of two measurements that exceeds their error, in standard deviations of one."""


def spread_factors(fitted: xr.Dataset) -> dict[str, float]:
    """Give the factor on the spread of the draws of each angle, of the entry of :func:`kind_of`.

    It is 1 where none was measured.
    """
    found: dict[str, float] = tables.load(TABLE)["fitted"][kind_of(fitted)]["angles"]
    return {name: float(found.get(name, 1.0)) for name in tables.load("angles")}


def trial_factors(fitted: xr.Dataset, number: str) -> dict[str, float]:
    """Give the factor on the spread of the draws of a number of a trial, by angle.

    `number` is "absolute", "from_standing" or "sides", as in the table ``trial_errors``;
    an angle of which it was not measured has 1. Where no numbers of trials were measured (two
    cameras, feet that move) it is the larger of the factor of a frame and that of one camera.
    """
    trial, kind = tables.load(TRIAL)["trial"], trial_kind_of(fitted)
    if kind in trial:
        measured: dict[str, float] = trial[kind][number]
        return {name: float(measured.get(name, 1.0)) for name in tables.load("angles")}
    of_one = trial["one_camera"][number]
    of_frames = spread_factors(fitted)
    return {name: max(factor, of_one.get(name, 1.0)) for name, factor in of_frames.items()}


def trial_kind_of(fitted: xr.Dataset) -> str:
    """Name the kind of ``fitted`` by which the numbers of a trial err, as :func:`kind_of`.

    Of one camera that sees people whose feet stay from behind, or standing straight from the side,
    it is a kind of its own.
    """
    kind = kind_of(fitted)
    if kind not in ("one_camera", "not_standing"):
        return kind
    view = trial_view(fitted)
    if view.startswith("back"):
        return "from_behind"
    return "from_the_side" if kind == "one_camera" and view in SIDES else kind


def retest_sems(fitted: xr.Dataset) -> dict[str, float]:
    """Give the standard errors of measurement between recordings of the same person, by metric.

    The camera is put up again where it stood. A metric of which it was not measured is absent, and
    so are all of a kind of fit (:func:`trial_kind_of`) of which it was not: of two cameras, of feet
    that move.
    """
    measured: dict[str, dict[str, float]] = tables.load(TRIAL)["retest"]["sem"]
    return measured.get(trial_kind_of(fitted), {})


def kind_of(fitted: xr.Dataset) -> str:
    """Name the entry of ``fitted`` in the table whose factors are for a fitted body.

    Two cameras count where they are far enough apart to be a view of their own. Where their places
    were found, and not given, feet that move leave open what is vertical: another entry.
    """
    fit = of_fit(fitted)
    planted = bool(fit.get("planted"))
    if cameras_of(fitted) and trial_view(fitted) == TWO_CAMERAS:
        known = planted or fit.get("arguments", {}).get("calibration") is not None
        return "two_cameras" if known else "two_cameras_moving_feet"
    if not planted:
        return "moving_feet"
    return "not_standing" if fit.get("standing_seconds") == 0 else "one_camera"


def of_fit(fitted: xr.Dataset) -> dict[str, Any]:
    """Give what the fit says of itself in the history; empty where no body was fitted."""
    return last_of(history(fitted), "fit_body")


def source_of_standing(fitted: xr.Dataset) -> Literal["assumed", "given", ""]:
    """Say where the knee flexion of standing comes from, on which the trial was calibrated.

    "assumed" straight, which nobody measured; "given", as a number; empty where nothing calibrates.
    """
    fit = of_fit(fitted)
    if float(fit.get("standing_seconds", 0)) <= 0:
        return ""
    return "assumed" if fit["arguments"]["standing"] == "straight" else "given"


def unlike_measured(fitted: xr.Dataset) -> list[str]:
    """Say in a line each how a recording differs from those on which the errors were measured."""
    if not of_fit(fitted):
        return []
    told = tables.load(TABLE)["fitted"][kind_of(fitted)].get("unlike")
    lines = [] if told is None else [str(told)]
    other = another_model(fitted)
    return lines if other is None else [*lines, other]


def of_landmarks(method: str, angle: str) -> dict[str, Any] | None:
    """Give ``sd`` and ``source`` of an angle of a pose without a fit; None where it is not known.

    `method` is how the positions were obtained.
    """
    known = tables.load(TABLE)["landmarks"].get(method, {})
    found: dict[str, Any] | None = known.get("angles", {}).get(angle, known.get("every_angle"))
    return found


def metric_sd(name: str, drawn: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the standard deviation of a metric of positions from that of its draws."""
    factor: float = tables.load(TABLE)["metrics"]["factors"].get(name, 1.0)
    return factor * drawn


def another_model(pose: xr.Dataset) -> str | None:
    """Say so where the factors were found for other pose models than that of a pose; else None."""
    model = pose.attrs.get("model_sha256")
    if model is None or model in tables.load(TABLE)["fitted"]["pose_models"]["sha256"]:
        return None
    return tables.sentence("warnings.errors_of_another_model")
