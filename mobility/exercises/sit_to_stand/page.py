"""Report of sit-to-stand: pictures of key moments, and the curves shown first."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import htpy as h
import numpy as np
from markupsafe import Markup

from mobility.assessment.number import number_of, side_shown
from mobility.base.formatting import listed, plus_minus, rounded
from mobility.catalogue.registry import exercise_of
from mobility.exercises.repeated.page import RepeatedPage, reported
from mobility.reports.drawn_angles import clearer_side
from mobility.reports.html import paragraphs
from mobility.reports.moments import Moment, of_angle
from mobility.reports.page import ReportPage, section
from mobility.reports.recording import count_repetitions
from mobility.reports.values import value_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr

    from mobility.assessment.findings import Finding
    from mobility.sessions.record import SessionRecord
    from mobility.sessions.stored_session import StoredSession


class RisesPage(RepeatedPage):
    """Report with pictures of a rise: seated, at seat-off and standing."""

    def moments(
        self, session: StoredSession, pose: xr.Dataset, findings: Sequence[Finding]
    ) -> list[Moment]:
        """Choose sitting, seat-off and standing, in the middle repetition."""
        angles, repetitions = session.measured_angles(), session.repetitions()
        metrics = session.metrics()
        accepted = np.flatnonzero(repetitions["accepted"].values.astype(bool))
        if not accepted.size:
            return []
        middle = repetitions.isel(rep=int(accepted[(accepted.size - 1) // 2]))
        seated, seat_off, standing = (
            float(middle[name]) for name in ("start", "seat_off", "bottom")
        )
        off_is_seen = np.isfinite(seat_off)
        when = seat_off if off_is_seen else seated
        clearer = partial(clearer_side, pose, angles, "knee_flexion", when)
        side = side_shown(metrics, "knee_flexion", otherwise=clearer)
        leaving = of_angle("Seat-off", when, angles, "trunk_lean", "")
        return [
            of_angle("Seated", seated, angles, "knee_flexion", side),
            *([reported(leaving, metrics)] if off_is_seen else []),
            of_angle("Standing", standing, angles, "knee_flexion", side),
        ]

    def curves_first(self, record: SessionRecord) -> tuple[str, ...]:
        """Show legs and trunk, because the arms are not measured."""
        return tuple(record.kind.table["report"]["trial"])

    def result_for_client(self, metrics: xr.Dataset) -> str:
        """State how long five repetitions take, or how many there are in 30 s."""
        words = exercise_of(metrics).own_table("sentences")["client"]
        if (number := number_of(metrics, "five_times")).is_measured:
            reason = metrics["five_times"].attrs.get("no_norm", "")
            key = "five_apart" if reason else "five"
            return str(words[key].format(seconds=rounded(number.value, 0), reason=reason))
        if np.isfinite(count := value_of(metrics, "thirty_seconds")):
            return str(words["in_30_s"].format(count=round(count)))
        return ""


@section("")
def rises(page: ReportPage) -> Markup:
    """Describe how long five rises take by each definition, and list all that count."""
    if not page.accepted or "findings" in page.verdict.rules_out:
        return Markup()
    metrics, words = page.metrics, page.exercise.own_table("sentences")
    times, without = [], dict[tuple[str, str], list[str]]()
    for name, until in words["until"].items():
        number = number_of(metrics, name)
        if number.is_measured:
            times.append(f"{number.text} {until}")
        kind = "no_norm" if number.is_measured else "no_time"
        if reason := metrics[name].attrs.get("no_norm" if kind == "no_norm" else "note", ""):
            without.setdefault((kind, reason), []).append(until)
    tests = [words["five"].format(times=listed(times))] if times else []
    if np.isfinite(count := value_of(metrics, "thirty_seconds")):
        tests.append(words["in_30_s"].format(count=round(count)))
    counted = page.repetitions["accepted"].to_numpy().astype(bool)
    durations = metrics["repetition_duration"].to_numpy()[counted]
    errors = [number_of(metrics, name).half_width for name in words["until"]]
    error = next(filter(np.isfinite, errors), np.nan)
    each = words["all" if counted.all() else "some"].format(
        accepted=counted.sum(),
        counted=count_repetitions(page.repetitions),
        durations=", ".join(rounded(value, 1) for value in durations),
        error=f" (each {plus_minus(error, digits=1)})" if np.isfinite(error) else "",
    )
    lines = [
        words[kind].format(
            until="" if len(until) == len(words["until"]) else f" {until[0]}", reason=reason
        )
        for (kind, reason), until in without.items()
    ]
    first = (h.strong[" ".join(tests)], " ", each) if tests else each
    return paragraphs(first, " ".join(lines)) if lines else paragraphs(first)
