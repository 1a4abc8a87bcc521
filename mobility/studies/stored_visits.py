"""Pages of visits, which are rendered once and kept until one of their sessions changes."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mobility
from mobility.base.options import validate
from mobility.base.provenance import code_digest, sha256
from mobility.catalogue import registry
from mobility.documents.contract import VisitDocument
from mobility.errors import MobilityError, ReportError
from mobility.pipeline.analysis import is_current, try_to_bring_up_to_date, why_not_again
from mobility.reports.stored_reports import is_made
from mobility.sessions.files import atomic, lock, make_folder, read_json, writing
from mobility.sessions.reports import find_notebook, page_files
from mobility.sessions.session_store import store_of
from mobility.studies.references import references
from mobility.studies.report_files import VISIT, remove_page, remove_pages, visit_folder
from mobility.studies.study_reports import render_visit
from mobility.studies.visit import visit as find_visit
from mobility.studies.visit import visits

if TYPE_CHECKING:
    import datetime

    from mobility.sessions.session_store import SessionStore
    from mobility.sessions.stored_session import StoredSession
    from mobility.studies.visit import Visit

log = logging.getLogger(__name__)

_MOST_TIMES = 5
"""Number of times that a page is made if its sessions change in the meantime; after that, it stays
out of date.
"""


def current_visit(
    store: SessionStore[Any],
    user_id: str,
    *,
    on: datetime.date | str | None = None,
    only: Sequence[str] = (),
    without: Sequence[str] = (),
    faces: bool | None = None,
) -> dict[str, Path]:
    """Render the page of a visit unless it exists with the same inputs.

    Outdated sessions are analysed again first. If that fails, the page shows the reason.

    Parameters
    ----------
    store, user_id, on, only, without
        As in :func:`mobility.studies.visit.visit`.
    faces
        Whether faces and surroundings are shown instead of blurred. None accepts an existing page
        of either kind, and blurs them in a new page.

    Returns
    -------
    dict
        Paths of "html", "client" (the page for the client), "notebook" and "json".
    """

    def read_visit() -> Visit:
        return find_visit(store, user_id, on=on, only=only, without=without)

    visit = read_visit()
    # Sessions that another version analysed have another key afterwards.
    for session in visit.sessions:
        try_to_bring_up_to_date(session)
    if _is_current(visit, faces):
        return files_of(visit)
    before = [visit.before(exercise) for exercise in visit.exercises]
    for session in (session for earlier in before if earlier for session in earlier.sessions):
        try_to_bring_up_to_date(session)
    visit = read_visit()
    folder = folder_of(visit)
    with writing(folder.parent):
        make_folder(folder.parent)
    guard = folder.with_name(f".{folder.name}.asked.lock")
    what = f"the page of the visit of {user_id} on {visit.date}"
    with _nothing_left(folder), lock(guard, what=what, wait_s=600):
        for _ in range(_MOST_TIMES):
            if _is_current(visit, faces):
                break
            key, named = _key(visit, faces=bool(faces)), sessions_on_page(visit)
            fault = None
            try:
                render_visit(visit, folder, [session.id for session in named], faces=bool(faces))
            except MobilityError as error:
                fault = error
            if gone := [session.id for session in named if not store.has(session.id)]:
                # Deleted meanwhile, so the page may have its numbers.
                remove_pages(store.reports, gone[0])
                visit = read_visit()
                continue
            if fault is not None:
                raise fault
            visit = read_visit()
            if key == _key(visit, faces=bool(faces)):
                with atomic(_key_file(folder)) as hidden:
                    hidden.write_text(key, encoding="utf-8")
        if not folder.is_dir():
            raise ReportError(f"{what}: its sessions are being deleted; request it again")
    return files_of(visit)


@contextmanager
def _nothing_left(folder: Path) -> Iterator[None]:
    """Leave no folder of the participant behind if no page was made."""
    try:
        yield
    finally:
        if not folder.is_dir():
            remove_page(folder)


def stored_document(file: Path) -> dict[str, Any]:
    """Read the JSON output next to a page, as in :meth:`mobility.studies.visit.Visit.document`."""
    return validate(VisitDocument, read_json(file), what=f"{file}").json_values()


def page_is_current(visit: Visit) -> bool:
    """Return whether the page of a visit exists and is up to date."""
    with suppress(MobilityError):
        return _is_current(visit, None)
    return False


def files_of(visit: Visit) -> dict[str, Path]:
    """Return the paths of the files of a visit's page."""
    return page_files(folder_of(visit), VISIT)


def _key_file(folder: Path) -> Path:
    return folder / f".{VISIT}.key"


def _is_current(visit: Visit, faces: bool | None) -> bool:
    key_file = _key_file(folder_of(visit))
    return is_made(files_of(visit), key_file, lambda shown: _key(visit, faces=shown), faces)


def folder_of(visit: Visit) -> Path:
    """Return the folder of a visit's page; a page on only some sessions has a different folder."""
    store = store_of(visit.sessions[0])
    ids = [session.id for session in visit.sessions]
    of_day = visits(store, visit.user_id).get(visit.date, [])
    if ids == [session.id for session in of_day]:
        ids = []
    return visit_folder(store.reports.absolute(), visit.user_id, f"{visit.date}", ids)


def sessions_on_page(visit: Visit) -> list[StoredSession]:
    """List the sessions whose numbers may be on the page: its own sessions, and earlier ones."""
    days = visits(store_of(visit.sessions[0]), visit.user_id)
    before = [session for day, of_day in days.items() if day < visit.date for session in of_day]
    return [*visit.sessions, *before]


def _key(visit: Visit, *, faces: bool) -> str:
    """Return a digest of the inputs of a page, including whether faces are shown."""
    first = visit.sessions[0]
    inputs = [
        *(mobility.__version__, code_digest(), sha256(find_notebook(VISIT)), f"{faces}"),
        first.participant.model_dump_json() if first.participant else "",
        *(reference.model_dump_json() for reference in references(first.store)),
    ]
    for session in sessions_on_page(visit):
        inputs.append(session.record.model_dump_json(exclude={"report"}))
        inputs.append(f"{session.report_page.is_file()}")  # if so, the page links to it
        try:
            inputs.append(registry.digest(session.record.kind, pages=True))
            inputs.append(session.edits().model_dump_json())
            # It was brought up to date before, if possible. Otherwise there is no second try.
            inputs.append(f"{is_current(session)} {why_not_again(session)}")
        except MobilityError as error:  # damaged, as the page shows
            inputs.append(str(error))
    return hashlib.sha256("\n".join(inputs).encode()).hexdigest()
