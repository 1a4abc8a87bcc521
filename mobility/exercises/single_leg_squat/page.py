"""What the report of a single-leg squat shows in its own way: pictures of each leg, criteria."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from mobility.assessment.estimates import HIDDEN_SIDE
from mobility.assessment.findings import Finding
from mobility.exercises.repeated.page import curves_first as usual_curves
from mobility.exercises.repeated.page import squat_moments
from mobility.exercises.single_leg_squat.criteria import criteria, rated_good
from mobility.kinematics.skeleton import SIDES
from mobility.registry import exercise_of
from mobility.reports.moments import Moment
from mobility.reports.sections import paragraphs, table
from mobility.wording import capital

if TYPE_CHECKING:
    import xarray as xr

    from mobility.sessions.record import SessionRecord
    from mobility.sessions.stored import StoredSession

MOST_PICTURES = 3


def moments(session: StoredSession, pose: xr.Dataset, findings: Sequence[Finding]) -> list[Moment]:
    """Choose the bottom of each leg that the camera shows, and what the main finding is about."""
    angles, repetitions, metrics = (
        session.measured_angles(),
        session.repetitions(),
        session.metrics(),
    )
    counted = repetitions["leg"].where(repetitions["accepted"], "")
    hidden = metrics.attrs.get(HIDDEN_SIDE)
    legs = [leg for leg in SIDES if leg != hidden and (counted == leg).any()]
    about = next((each.side for each in findings if each.side in legs), "")
    chosen: list[Moment] = []
    # The main finding comes last, after the bottom of its leg.
    for leg in sorted(legs, key=about.__eq__):
        mine = repetitions.isel(rep=np.flatnonzero(counted == leg))
        of_leg = metrics.map(
            lambda each, leg=leg: each.where(each["side"] == leg) if "side" in each.dims else each,
            keep_attrs=True,
        )
        found = [each for each in findings if each.side == leg]
        first, bottom, *more = squat_moments(pose, angles, mine, of_leg, found)
        if not chosen:
            chosen.append(replace(first, title=f"Standing on the {leg} leg"))
        chosen.append(replace(bottom, title=f"Bottom, {leg} leg"))
        if leg == about or len(legs) == 1:
            chosen += more
    return chosen[-MOST_PICTURES:]


def curves_first(record: SessionRecord) -> tuple[str, ...]:
    """Show those angles of the joints that were chosen that are measured: not the arms'."""
    measured = record.kind.table["measures"]["angles"]
    return tuple(angle for angle in usual_curves(record) if angle in measured)


def scores(findings: Sequence[Finding], metrics: xr.Dataset, cite: Callable[[str], str]) -> str:
    """Show the criteria of Crossley et al. by leg, and how many are met."""
    exercise = exercise_of(metrics)
    entry = exercise.own_table("crossley")
    words = entry["wording"]
    legs = {leg: criteria(findings, leg, exercise) for leg in SIDES}
    legs = {
        leg: own
        for leg, own in legs.items()
        if any(each.labels or each.status == "met" for each in own)
    }
    if not legs:
        return ""
    count, said = len(entry["criteria"]), []
    for leg, own in legs.items():
        tally = {s: sum(each.status == s for each in own) for s in ("met", "failed", "not_told")}
        said.append(
            words["good" if rated_good(own, exercise) else "counted"].format(
                leg=capital(leg), count=count, open=tally["not_told"], **tally
            )
        )
    rows = [
        [
            escape(each[0].name),
            *(
                escape(
                    words[one.status].format(
                        faults="; ".join(one.labels), parts="; ".join(one.labels)
                    )
                )
                for one in each
            ),
        ]
        for each in zip(*legs.values(), strict=True)
    ]
    heads = ["Criterion", *(capital(leg) for leg in legs)]
    heads[0] += cite(entry["source"])
    caption = words["caption"].format(least=entry["good_at_least"], count=count)
    return paragraphs(*said) + table(heads, rows, caption=caption) + paragraphs(words["unseen"])
