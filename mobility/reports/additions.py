"""Additions of wings to the report of a session. The report does not name any wing."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from markupsafe import Markup

import mobility
from mobility.documents.lab_references import LabReferences

if TYPE_CHECKING:
    from mobility.reports.gauges import Gauge
    from mobility.sessions.stored_session import StoredSession

    Measure = Callable[[StoredSession], list[Gauge]]


@dataclass(frozen=True)
class Additions:
    """Functions with which one wing adds to a report: the ``REPORT`` of its registered module.

    Attributes
    ----------
    references
        Finds the lab's own norms and errors that apply to a session.
    first_page
        Makes the part of the first page next to the findings. Its arguments are the session, the
        numbers of the page, and a function that returns the same numbers for another session. Empty
        if there is nothing to show.
    compared_with
        Finds the session whose numbers the report also shows. This session is brought up to date
        first, and the report is deleted with it. None if there is no such session.
    inputs
        Lists the inputs of the report besides the session. If any of them changes, the report is
        made again.
    """

    references: Callable[[StoredSession], LabReferences]
    first_page: Callable[[StoredSession, list[Gauge], Measure], Markup]
    compared_with: Callable[[StoredSession], StoredSession | None]
    inputs: Callable[[StoredSession], list[str]]


@functools.cache
def _additions() -> tuple[Additions, ...]:
    return tuple(import_module(name).REPORT for name in mobility.REPORT_ADDITIONS)


def lab_references(session: StoredSession) -> LabReferences:
    """Find the lab's own norms and errors that apply to a session."""
    candidates = [each.references(session) for each in _additions()]
    return next((each for each in candidates if each.references), LabReferences())


def first_page(session: StoredSession, numbers: list[Gauge], measure: Measure) -> Markup:
    """Show the additions of wings to the first page, which shows these numbers.

    `measure` returns the same numbers for another session.
    """
    return Markup().join(each.first_page(session, numbers, measure) for each in _additions())


def compared_with(session: StoredSession) -> StoredSession | None:
    """Find the session whose numbers the report also shows."""
    candidates = [each.compared_with(session) for each in _additions()]
    return next((each for each in candidates if each is not None), None)


def inputs(session: StoredSession) -> list[str]:
    """List the inputs of the report besides the session."""
    return [text for each in _additions() for text in each.inputs(session)]
