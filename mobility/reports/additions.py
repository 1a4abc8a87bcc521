"""What wings add to the report of a session, which knows none of them by name."""

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


@dataclass(frozen=True)
class Additions:
    """What one wing adds: ``REPORT`` of its module in ``mobility.REPORT_ADDITIONS``.

    Attributes
    ----------
    references
        Norms and errors of the lab that hold for a session.
    first_page
        What the first page shows beside the findings, from its numbers; empty if there is nothing.
    compared_with
        The session whose numbers the report shows too: it is brought up to date first, and the
        report is deleted with it. None if there is no such session.
    inputs
        What the report depends on besides the session; if it changes, the report is made again.
    """

    references: Callable[[StoredSession], LabReferences]
    first_page: Callable[[StoredSession, list[Gauge]], Markup]
    compared_with: Callable[[StoredSession], StoredSession | None]
    inputs: Callable[[StoredSession], list[str]]


@functools.cache
def _additions() -> tuple[Additions, ...]:
    return tuple(import_module(name).REPORT for name in mobility.REPORT_ADDITIONS)


def lab_references(session: StoredSession) -> LabReferences:
    """Find norms and errors of the lab that hold for a session."""
    found = [each.references(session) for each in _additions()]
    return next((each for each in found if each.references), LabReferences())


def first_page(session: StoredSession, numbers: list[Gauge]) -> Markup:
    """Show what wings add to the first page, which has these numbers."""
    return Markup().join(each.first_page(session, numbers) for each in _additions())


def compared_with(session: StoredSession) -> StoredSession | None:
    """Find the session whose numbers the report shows too."""
    found = [each.compared_with(session) for each in _additions()]
    return next((each for each in found if each is not None), None)


def inputs(session: StoredSession) -> list[str]:
    """List what the report depends on besides the session."""
    return [text for each in _additions() for text in each.inputs(session)]
