"""What studies add to the report of a session: the lab's norms, and what has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup

from mobility.reports.additions import Additions

if TYPE_CHECKING:
    from mobility.documents.lab_references import LabReferences
    from mobility.reports.gauges import Gauge
    from mobility.sessions.stored_session import StoredSession


def _references(session: StoredSession) -> LabReferences:
    from mobility.studies.norms import of_session

    return of_session(session)


def _first_page(session: StoredSession, numbers: list[Gauge]) -> Markup:
    from mobility.studies.last_visit import since_last_visit

    return since_last_visit(session, numbers)


def _compared_with(session: StoredSession) -> StoredSession | None:
    from mobility.studies.last_visit import last_visit

    return last_visit(session)


def _inputs(session: StoredSession) -> list[str]:
    """List the references of the exercise; none for a demo and for a session that a phone added."""
    from mobility.studies.references import references

    record = session.record
    if session.store.read_only or record.phone_key is not None:
        return []
    return [
        each.model_dump_json()
        for each in references(session.store)
        if record.exercise in each.exercises
    ]


REPORT = Additions(_references, _first_page, _compared_with, _inputs)
