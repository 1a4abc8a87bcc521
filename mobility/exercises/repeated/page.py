"""Report of an exercise that consists of repetitions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mobility import tables
from mobility.assessment.findings import find
from mobility.assessment.number import side_shown
from mobility.assessment.phases import phase_frames
from mobility.assessment.results import in_words
from mobility.base.formatting import capital
from mobility.catalogue.exercise import main_moment
from mobility.catalogue.joints import ANGLE_OF_JOINT
from mobility.catalogue.registry import exercise_of
from mobility.exercises.repeated.documents import VIEWS
from mobility.kinematics.expected_error import source_of_standing
from mobility.kinematics.stances import stance_at
from mobility.reports.drawn_angles import DRAWN, clearer_side
from mobility.reports.exercise_page import ExercisePage
from mobility.reports.first_page import findings_in_words
from mobility.reports.moments import Moment, of_angle
from mobility.reports.values import shown

if TYPE_CHECKING:
    import xarray as xr

    from mobility.assessment.findings import Finding
    from mobility.assessment.verdict import Verdict
    from mobility.sessions.record import SessionRecord
    from mobility.sessions.stored_session import StoredSession

IMAGES = "images"

ANGLE_OF_METRIC = {
    "knee_ankle_separation_ratio": "knees",
    "knee_deviation": "knees",
    "dowel_offset": "dowel",
    "lateral_shift": "knees",
    "trunk_tibia_difference": "trunk_tibia_difference",
    "heel_rise": "heel_rise",
}
"""Drawing for a metric that is not an angle of the same name."""


class RepeatedPage(ExercisePage):
    """Report with pictures of standing, the turn and the main finding."""

    def in_short(self, session: StoredSession, counted: str, verdict: Verdict) -> str:
        """Name the checks outside their target, in one line."""
        if "findings" in verdict.rules_out:
            return tables.sentence("report.in_short.squat", counted=counted)
        findings = verdict.keep(find(session.metrics()))
        outside = findings_in_words([f for f in findings if f.status == "found"])
        judged = any(f.result in ("met", "borderline") for f in findings)
        words = {"counted": counted, "result": in_words("outside")}
        if outside:
            return tables.sentence("report.in_short.outside", **words, findings=outside)
        if judged:
            return tables.sentence("report.in_short.none_outside", **words)
        return tables.sentence("report.in_short.nothing_judged", counted=counted)

    def moments(
        self, session: StoredSession, pose: xr.Dataset, findings: Sequence[Finding]
    ) -> list[Moment]:
        """Choose standing, bottom, and the moment of the main finding."""
        angles, repetitions = session.measured_angles(), session.repetitions()
        return squat_moments(pose, angles, repetitions, session.metrics(), findings)

    def curves_first(self, record: SessionRecord) -> tuple[str, ...]:
        """Show the angles of the selected joints."""
        return tuple(ANGLE_OF_JOINT[joint] for joint in record.joints)

    def pictures(self, folder: Path) -> dict[str, Any]:
        """Return the paths of the pictures of the knees; None for a picture that was not drawn."""
        drawn = {view: f"{IMAGES}/{view}.png" for view in VIEWS}
        return {
            "knee_movement_phases": {
                view: place if (folder / place).is_file() else None for view, place in drawn.items()
            }
        }


def squat_moments(
    pose: xr.Dataset,
    angles: xr.Dataset,
    repetitions: xr.Dataset,
    metrics: xr.Dataset,
    findings: Sequence[Finding] = (),
) -> list[Moment]:
    """Choose three moments: standing, the turn, and the moment of the main finding.

    Parameters
    ----------
    pose, angles, repetitions, metrics
        Results of the session.
    findings
        The main finding, with the findings of the same rule on the other side. If there is none, or
        if it is about the turn, the third picture shows the way back.

    Returns
    -------
    list of Moment
        Empty if no repetition was accepted.
    """
    accepted = np.flatnonzero(repetitions["accepted"].values.astype(bool))
    if not accepted.size:
        return []
    depth = repetitions["depth"].values[accepted]
    # The middle repetition is shown, because the values are medians.
    by_depth = accepted[np.argsort(depth)]
    rep = int(by_depth[(len(depth) - 1) // 2])
    repetition = repetitions.isel(rep=rep)
    time = repetitions["time"].values
    exercise = exercise_of(metrics)
    frames = phase_frames(repetitions, exercise.moments).isel(rep=rep)

    def middle(phase: str, otherwise: float) -> float:
        within = np.flatnonzero(frames.sel(phase=phase).values)
        return float(time[within[len(within) // 2]]) if within.size else otherwise

    def of_kind(which: str) -> list[str]:
        return [name for name, entry in exercise.moments.items() if which in entry]

    def first_of(phases: Sequence[str], otherwise: float) -> float:
        return middle(phases[0], otherwise) if phases else otherwise

    words, trial = exercise.words, exercise.table["report"]["trial"]
    shown = "knee_flexion" if "knee_flexion" in metrics else trial[0]
    turn = capital(words["turn"])
    standing, first = first_of(of_kind("before"), math.nan), "Standing"
    if math.isnan(standing):  # cut off here, but perhaps not at the other end
        start = float(repetition["start"])
        still = time[repetitions["standing"].values.astype(bool)]
        still = still[stance_at(repetitions, still) == stance_at(repetitions, np.array(start))]
        first = "Standing" if still.size else "Start"
        standing = float(still[np.argmin(np.abs(still - start))]) if still.size else start
    source = source_of_standing(angles) if first == "Standing" else ""
    if source:
        first = tables.sentence(f"report.calibration.picture.{source}", title=first)
    bottom = float(repetition["bottom"])
    clearer = partial(clearer_side, pose, angles)
    side = side_shown(metrics, shown, otherwise=partial(clearer, shown, bottom))
    halfway = of_kind("middle_of")
    back = first_of(halfway[-1:], float(repetition["end"]))
    first_moments = [
        # What is assumed is not shown as a measured value.
        Moment(first, standing)
        if source == "assumed"
        else of_angle(first, standing, angles, shown, side),
        reported(of_angle(turn, bottom, angles, shown, side), metrics),
    ]
    on_the_way = of_angle(f"On the way {words['back']}", back, angles, shown, side)
    if not findings:
        return [*first_moments, on_the_way]
    finding = findings[0]
    metric = finding.metric.removesuffix(f"_at_{main_moment(exercise.moments)}")
    base = metric.removesuffix("_asymmetry").removesuffix("_variability")
    drawn = ANGLE_OF_METRIC.get(base, base if base in DRAWN else "")
    when = _of_extreme(
        metrics,
        base,
        {**{name: middle(name, bottom) for name in halfway}, **dict.fromkeys(halfway[-1:], back)},
        bottom,
    )
    of_sides = drawn in angles and "side" in angles[drawn].dims
    on = finding.side
    if of_sides and (len(findings) > 1 or not on):
        on = side_shown(metrics, drawn, otherwise=partial(clearer, drawn, when))
    elif len(findings) > 1:
        on = side_shown(metrics, finding.metric, otherwise=lambda: findings[0].side)
    finding = next((each for each in findings if each.side == on), finding)
    if finding.rule.endswith("asymmetry") and finding.value is not None:
        on = "right" if finding.value > 0 else "left"
    number = replace(finding.number, side=on)
    label = str(metrics[finding.metric].attrs.get("long_name", finding.metric.replace("_", " ")))
    label = label.partition(" (")[0]
    if base.startswith(("knee_deviation", "lateral_shift")):
        number = number.scaled(100, "percent")
    elif base == "dowel_offset":
        number = replace(number, units="foot length")
    main = Moment("Main finding", when, drawn, number, label)
    if when != bottom:
        return [*first_moments, main]
    # A frame has only one picture.
    at_turn = replace(main, title=f"{turn}, main finding") if drawn else first_moments[1]
    return [first_moments[0], at_turn, on_the_way]


def reported(moment: Moment, metrics: xr.Dataset) -> Moment:
    """Set the value of a moment to the reported value, so that an angle has only one number."""
    if moment.angle not in metrics:
        return moment
    number = shown(metrics, moment.angle, moment.number.side or None)
    return replace(moment, number=number) if number.is_measured else moment


def _of_extreme(
    metrics: xr.Dataset, name: str, moments: Mapping[str, float], otherwise: float
) -> float:
    """Find the time in a repetition at which a metric with several phases has its extreme."""
    if name not in metrics or f"{name}_phase" not in metrics:
        return otherwise
    return moments.get(str(metrics[name].attrs.get("phase", "")).replace("-", "_"), otherwise)
