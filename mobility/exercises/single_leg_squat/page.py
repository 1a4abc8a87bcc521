"""Report of a single-leg squat: the pictures of each leg, and the criteria of Crossley et al."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

import htpy as h
import numpy as np
from markupsafe import Markup

from mobility.assessment.findings import Finding, label
from mobility.assessment.number import HIDDEN_SIDE
from mobility.base.formatting import capital
from mobility.catalogue.exercise import Exercise
from mobility.exercises.repeated.page import RepeatedPage, squat_moments
from mobility.kinematics.skeleton import SIDES
from mobility.reports.gauges import values_of
from mobility.reports.html import paragraphs, table
from mobility.reports.moments import Moment
from mobility.reports.page import ReportPage, section

if TYPE_CHECKING:
    import xarray as xr

    from mobility.sessions.record import SessionRecord
    from mobility.sessions.stored_session import StoredSession

MOST_PICTURES = 3


class SingleLegPage(RepeatedPage):
    """Report of each leg."""

    def moments(
        self, session: StoredSession, pose: xr.Dataset, findings: Sequence[Finding]
    ) -> list[Moment]:
        """Choose standing, the bottom on each visible leg, and the moment of the main finding."""
        angles, repetitions, metrics = (
            session.measured_angles(),
            session.repetitions(),
            session.metrics(),
        )
        counted = repetitions["leg"].where(repetitions["accepted"], "")
        hidden = metrics.attrs.get(HIDDEN_SIDE)
        legs = [leg for leg in SIDES if leg != hidden and (counted == leg).any()]
        main_side = next((finding.side for finding in findings if finding.side in legs), "")
        shown_moments: list[Moment] = []
        # The main finding comes last, after the bottom of its leg.
        for leg in sorted(legs, key=main_side.__eq__):
            leg_repetitions = repetitions.isel(rep=np.flatnonzero(counted == leg))
            leg_metrics = metrics.map(
                lambda value, leg=leg: (
                    value.where(value["side"] == leg) if "side" in value.dims else value
                ),
                keep_attrs=True,
            )
            leg_findings = [finding for finding in findings if finding.side == leg]
            first, bottom, *more = squat_moments(
                pose, angles, leg_repetitions, leg_metrics, leg_findings
            )
            if not shown_moments:
                shown_moments.append(replace(first, title="Standing"))
            shown_moments.append(bottom)
            if leg == main_side or len(legs) == 1:
                shown_moments += more
        return shown_moments[-MOST_PICTURES:]

    def curves_first(self, record: SessionRecord) -> tuple[str, ...]:
        """Show the measured angles of the selected joints, without those of the arms."""
        measured = record.kind.angles
        return tuple(angle for angle in super().curves_first(record) if angle in measured)


Status = Literal["met", "failed", "not_told"]


class Criterion(NamedTuple):
    """One criterion of one leg; `labels` name its findings, or why it is inconclusive."""

    name: str
    status: Status
    labels: tuple[str, ...]


def judged_criteria(findings: Sequence[Finding], leg: str, exercise: Exercise) -> list[Criterion]:
    """Judge the criteria of a leg from the findings about it.

    A criterion has one or more rules. It has failed if any of them is outside its target. Otherwise
    it is "not_told" if a rule could not be judged or none has a result. In all other cases it is
    met.
    """
    finding_of_rule = {finding.rule: finding for finding in findings if finding.side == leg}
    judged = []
    for entry in exercise.own_table("crossley")["criteria"].values():
        parts = [finding_of_rule[rule] for rule in entry["rules"] if rule in finding_of_rule]
        outside = [label(part) for part in parts if part.status == "found"]
        undecided = [label(part) for part in parts if part.status == "cannot be told"]
        status: Status = "failed" if outside else "not_told" if undecided or not parts else "met"
        judged.append(Criterion(entry["long_name"], status, tuple(outside or undecided)))
    return judged


def rated_good(judged: Sequence[Criterion], exercise: Exercise) -> bool:
    """Return whether enough criteria are met for the published rating "good"."""
    met = sum(criterion.status == "met" for criterion in judged)
    return met >= int(exercise.own_table("crossley")["good_at_least"])


@section("Scores", needs=["findings"])
def criteria(page: ReportPage) -> Markup:
    """Show the criteria of Crossley et al. for each leg, and how many are met."""
    exercise = page.exercise
    entry = exercise.own_table("crossley")
    words = entry["wording"]
    judged = {leg: judged_criteria(page.findings, leg, exercise) for leg in SIDES}
    judged = {
        leg: of_leg
        for leg, of_leg in judged.items()
        if any(criterion.labels or criterion.status == "met" for criterion in of_leg)
    }
    if not judged:
        return Markup()
    count, sentences = len(entry["criteria"]), []
    for leg, of_leg in judged.items():
        statuses = [criterion.status for criterion in of_leg]
        tally = {status: statuses.count(status) for status in get_args(Status)}
        sentences.append(
            words["good" if rated_good(of_leg, exercise) else "counted"].format(
                leg=capital(leg), count=count, open=tally["not_told"], **tally
            )
        )
    rows = [
        [
            of_legs[0].name,
            *(
                words[criterion.status].format(
                    findings="; ".join(criterion.labels), parts="; ".join(criterion.labels)
                )
                for criterion in of_legs
            ),
        ]
        for of_legs in zip(*judged.values(), strict=True)
    ]
    heads: list[str | tuple[str, Markup]] = [
        ("Criterion", page.references.cite(entry["source"])),
        *map(capital, judged),
    ]
    caption = words["caption"].format(least=entry["good_at_least"], count=count)
    return (
        paragraphs(*sentences) + table(heads, rows, caption=caption) + paragraphs(words["unseen"])
    )


@section("")
def legs(page: ReportPage) -> Markup:
    """Describe each leg in one line: number of squats, depth, and how far the knee moves inwards.

    Values that are not measured are left out, and a row explains why.
    """
    if not page.accepted or "findings" in page.verdict.rules_out:
        return Markup()
    words = page.exercise.own_table("sentences")["legs"]
    leg, accepted = page.repetitions["leg"].to_numpy(), page.repetitions["accepted"].to_numpy()
    lines = []
    for side in SIDES:
        of_leg, counted = int((leg == side).sum()), int(accepted[leg == side].sum())
        amount = "some" if counted < of_leg else "one" if counted == 1 else "all"
        parts = [words[amount].format(counted=counted, found=of_leg)]
        for name, what in words["measures"].items():
            if side in (values := values_of(page.metrics, name)):
                parts.append(f"{what} {values[side].text}")
        if of_leg:
            lines.append((h.strong[words["leg"].format(side=capital(side))], " ", ", ".join(parts)))
    return paragraphs(*lines)
