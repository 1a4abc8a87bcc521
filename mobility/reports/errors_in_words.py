"""The sources of the errors in a report: the cameras, the calibration and the fit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import htpy as h
import xarray as xr
from markupsafe import Markup

from mobility import tables
from mobility.assessment.findings import wrong_expected
from mobility.assessment.results import DECIDED, RESULTS, in_words
from mobility.assessment.verdict import warning_lines
from mobility.base.formatting import rounded
from mobility.base.provenance import cameras_of
from mobility.kinematics.expected_error import (
    another_model,
    half_width,
    of_fit,
    source_of_standing,
    unlike_measured,
)
from mobility.reports.html import bullets, html, paragraphs

if TYPE_CHECKING:
    from mobility.assessment.findings import Finding
    from mobility.base.provenance import AnalysisWarning


def distrust(
    warnings: Sequence[AnalysisWarning], pose: xr.Dataset, *, standing: str = ""
) -> Markup:
    """List the reasons to be cautious about this report.

    Parameters
    ----------
    warnings
        Warnings of the session record.
    pose
        The fitted pose.
    standing
        A sentence on standing that is always shown; by default it comes from the pose.
    """
    if not standing:
        depth = tables.sentence("report.depth.fitted" if _fitted(pose) else "report.depth.inferred")
        standing = f"{_cameras_in_words(pose)} {depth}"
    lines = bullets(warning_lines(warnings)) or paragraphs(tables.sentence("report.no_warnings"))
    section = paragraphs(standing), lines
    return html(h.aside(".distrust", aria_label="How certain this is")[section])


def _cameras_in_words(pose: xr.Dataset) -> str:
    """State the number of cameras, and what a calibration determines."""
    calibrated = of_fit(pose).get("calibrated")
    number = "two" if cameras_of(pose) else "one"
    if calibrated is None:
        return tables.sentence(f"report.cameras.{number}")
    kind = "vertical" if calibrated["vertical"] else "lens"
    return tables.sentence(f"report.calibrated.{number}.{kind}", file=calibrated["file"])


def calibration(pose: xr.Dataset) -> Markup:
    """State the assumed or measured standing posture, and differences from the benchmarks.

    Parameters
    ----------
    pose
        The fitted pose; the result is empty if there is no fit.
    """
    fit = of_fit(pose)
    sentences = []
    if (seconds := fit.get("standing_seconds")) is not None:
        how = fit["arguments"]["standing"]
        if source_of_standing(pose) == "assumed":
            knee = tables.load("fit")["terms"]["standing"]["knee_deg"]
            assumed = {"knees": knee["mean"], "half": half_width(knee["sd"])}
            sentences.append(
                tables.sentence("report.calibration.straight", seconds=seconds, **assumed)
            )
        elif seconds > 0:
            sentences.append(tables.sentence("report.calibration.bent", seconds=seconds, knees=how))
        elif how == "free":
            sentences.append(tables.sentence("report.calibration.free"))
        elif fit.get("planted"):
            sentences.append(tables.sentence("report.calibration.nobody"))
        else:
            sentences.append(tables.sentence("report.calibration.feet"))
    # The warnings of the angles, which the report lists, include another pose model.
    model = another_model(pose)
    lines = [line for line in unlike_measured(pose) if model is None or line != model["message"]]
    if lines:
        sentences.append(tables.sentence("report.calibration.unlike"))
    return paragraphs(*sentences) + bullets(lines)


def uncertainty_in_short(pose: xr.Dataset) -> Markup:
    """Explain in a few lines where the errors come from, and what they do not include."""
    errors = tables.sentence("report.errors.table")
    if "position_draws" in pose:
        errors = tables.sentence("report.errors.drawn", count=pose.sizes["draw"])
    return paragraphs(f"{errors} {tables.sentence('report.errors.what_they_mean')}") + gravity(pose)


def wrong_results(findings: Sequence[Finding]) -> list[str]:
    """Count the checks by result, and state how many results are expected to be wrong.

    The result is empty if no check has a clear result.
    """
    results = Counter(finding.result for finding in findings)
    if not any(results[name] for name in DECIDED):
        return []
    counts = [f"{results[name]} {in_words(name)}" for name in RESULTS if results[name]]
    number = "of_sides" if any(finding.side for finding in findings) else "several"
    number = "one" if len(findings) == 1 else number
    counted = tables.sentence(
        f"report.results.counted.{number}", count=len(findings), results=", ".join(counts)
    )
    wrong = wrong_expected(findings)
    kind = "some" if wrong >= 0.05 else "few"
    how_many = tables.sentence(f"report.results.wrong.{kind}", wrong=rounded(wrong, 1))
    return [f"{counted} {how_many}"]


def gravity(pose: xr.Dataset) -> Markup:
    """State what is known about the tilt of the camera."""
    kind = "fitted" if _fitted(pose) else "level"
    if (of_fit(pose).get("calibrated") or {}).get("vertical"):
        kind = "calibrated"
    return paragraphs(tables.sentence(f"report.gravity.{kind}"))


def _fitted(pose: xr.Dataset) -> bool:
    return bool(pose.attrs.get("method") == "fitted_body")
