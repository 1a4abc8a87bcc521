"""Changes since the last visit that exceed the errors of both recordings.

The errors are the standard errors of measurement between visits (``assessment/trial_errors.py``),
or the lab's own errors if it measured them under the conditions of both visits.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, NamedTuple

import htpy as h
from markupsafe import Markup

from mobility import tables
from mobility.assessment.trial_errors import Judgement, judged, visit_error
from mobility.base.formatting import digits_and_suffix, listed, quantity, timed
from mobility.errors import MobilityError
from mobility.kinematics.expected_error import half_width
from mobility.pipeline.analysis import is_current
from mobility.reports import lab_norms
from mobility.reports.additions import Additions
from mobility.reports.gauges import Gauge
from mobility.reports.html import bullets, html, paragraphs
from mobility.sessions.filming import filmed_alike, filming_of
from mobility.sessions.record import ANONYMOUS
from mobility.sessions.session_store import store_of
from mobility.studies.references import lab_references, references
from mobility.studies.visit_changes import fewest_repetitions

if TYPE_CHECKING:
    from mobility.sessions.stored_session import StoredSession

log = logging.getLogger(__name__)

MOST = 2
"""Largest number of changes on the page."""


def last_visit(session: StoredSession) -> StoredSession | None:
    """Find the previous analysed session of the same named participant and exercise.

    The result is None for a session that a phone added, because its key gives no access to other
    visits.
    """
    record = session.record
    if session.store.read_only or record.user_id == ANONYMOUS or record.phone_key is not None:
        return None
    latest = None
    for candidate in store_of(session).sessions():
        earlier = candidate.record
        if earlier.created_at >= record.created_at or candidate.id == session.id:
            continue
        same = earlier.user_id == record.user_id and earlier.exercise == record.exercise
        if same and "metrics" in earlier.stages:
            latest = candidate
    return latest


class Change(NamedTuple):
    """A change of a number between two visits.

    Attributes
    ----------
    name
        Name of the number, with the side.
    change
        Difference between the visits.
    least
        Smallest detectable change (95 %).
    units
        Unit of both numbers.
    whose
        The people on whom the errors were measured, in words.
    judged
        Whether the change is for the better.
    """

    name: str
    change: float
    least: float
    units: str
    whose: str
    judged: Judgement = ""


def changes(before: list[Gauge], now: list[Gauge], *, same_view: bool) -> list[Change]:
    """Compare the numbers of two visits.

    Parameters
    ----------
    before, now
        The numbers of both visits.
    same_view
        Whether both were filmed from the same view, so that the retest errors apply.

    Returns
    -------
    list
        The change of each number and side that both visits have.
    """
    earlier = {(gauge.name, side): gauge for gauge in before for side in gauge.values}
    compared = []
    for gauge in now:
        for side, number in gauge.values.items():
            old = earlier.get((gauge.name, side))
            if old is None:
                continue
            errors, whose = _errors(old, gauge, side, same_view=same_view)
            least = math.hypot(*errors)
            if math.isfinite(least):
                name = f"{gauge.name}, {side}" if side else gauge.name
                before_it = old.values[side].value
                towards = judged(
                    *(before_it, number.value),
                    goal=gauge.goal,
                    direction=gauge.direction,
                    alike=same_view,
                )
                change = number.value - before_it
                compared.append(Change(name, change, least, gauge.units, whose, towards))
    return compared


def _errors(
    before: Gauge, now: Gauge, side: str, *, same_view: bool
) -> tuple[tuple[float, float], str]:
    """Return the errors of both visits, from one study of the lab or from the package."""
    earlier, later = (gauge.lab_retest.get(side, (math.nan, "")) for gauge in (before, now))
    if same_view and earlier[1] and earlier[1] == later[1]:
        return (earlier[0], later[0]), earlier[1]
    first, second = (
        float(visit_error(each.half_width, half_width(each.sem), alike=same_view))
        for each in (before.values[side], now.values[side])
    )
    return (first, second), lab_norms.package()


def _same_conditions(before: StoredSession, session: StoredSession) -> bool:
    """Return whether both sessions were filmed and analysed in the same way."""
    try:
        return filmed_alike([filming_of(each) for each in (before, session)])
    except MobilityError:  # results of one are deleted or damaged
        return False


def since_last_visit(
    session: StoredSession,
    now: list[Gauge],
    measure: Callable[[StoredSession], list[Gauge]],
) -> Markup:
    """State changes that exceed the errors; empty without an earlier visit with the same measures.

    Parameters
    ----------
    session
        The session of the report.
    now
        Numbers of the session; without numbers, nothing is compared.
    measure
        Computes the same numbers for another session.
    """
    before = last_visit(session) if now else None
    if before is None:
        return Markup()
    earlier = before.record
    try:
        if not is_current(before):
            outdated = tables.sentence("report.last_visit.outdated", day=timed(earlier.created_at))
            return paragraphs(outdated, kind="note")
        compared = changes(measure(before), now, same_view=_same_conditions(before, session))
    except MobilityError as error:
        log.warning("not compared with session %s: %s", before.id, error)
        return Markup()
    if not compared:
        return Markup()
    head = html(h.h2[tables.sentence("report.last_visit.since", when=timed(earlier.created_at))])
    names = [earlier.session_name, *(video.original_name for video in earlier.videos)]
    compared_with = ", ".join(filter(None, names))
    head += paragraphs(
        tables.sentence("report.last_visit.compared", session=compared_with), kind="who"
    )
    models = [each.origin.source_software for each in (earlier, session.record)]
    if models[0] != models[1]:
        head += paragraphs(
            tables.sentence("report.last_visit.other_model", before=models[0], now=models[1])
        )
    counts = [fewest_repetitions(each) for each in (before, session)]
    notes = paragraphs(
        *about_changes(*counts, whose=[each.whose for each in compared]), kind="note"
    )
    beyond = [each for each in compared if abs(each.change) > each.least]
    if not beyond:
        whose = listed(list(dict.fromkeys(each.whose for each in compared)))
        nothing = tables.sentence("report.last_visit.no_change", whose=whose)
        return head + paragraphs(nothing) + notes
    beyond.sort(key=lambda each: -abs(each.change) / each.least)
    items = []
    for name, change, least, units, whose, towards in beyond[:MOST]:
        # One decimal more than of a value, so that a change is not shown as large as its error.
        digits = digits_and_suffix(units)[0] + 1
        smallest = quantity(least, units, digits=digits)
        within = tables.sentence("report.last_visit.error", least=smallest, whose=whose)
        changed = f"{name}: {quantity(change, units, digits=digits, signed=True)} "
        if towards:
            changed += tables.sentence(f"report.change.judged.{towards}") + " "
        items.append((changed, h.span(".interval")[within]))
    return head + bullets(items) + notes


def about_changes(before: int, now: int, *, whose: Collection[str]) -> list[str]:
    """Explain what a reader must know about changes.

    Parameters
    ----------
    before, now
        Number of repetitions behind the numbers of both visits.
    whose
        The people on whom the errors were measured, in words.
    """
    few = {"both": before == 1 == now, "now": now == 1, "before": before == 1}
    sentences = [
        tables.sentence("report.change.one", which=tables.sentence(f"report.change.which.{which}"))
        for which in [name for name, is_so in few.items() if is_so][:1]
    ]
    if lab_norms.package() in whose:
        sentences.append(tables.sentence("report.change.day"))
    return sentences


def _references_of_exercise(session: StoredSession) -> list[str]:
    """List the references of the exercise; none for a demo and for a session that a phone added."""
    record = session.record
    if session.store.read_only or record.phone_key is not None:
        return []
    return [
        each.model_dump_json()
        for each in references(session.store)
        if record.exercise in each.exercises
    ]


REPORT = Additions(lab_references, since_last_visit, last_visit, _references_of_exercise)
"""Additions of studies to the report of a session."""
