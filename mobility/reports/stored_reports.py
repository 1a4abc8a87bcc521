"""Stored reports, which are rendered once and served until their inputs change."""

from __future__ import annotations

import datetime
import hashlib
import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import mobility
from mobility.base.options import validate
from mobility.base.provenance import code_digest, sha256
from mobility.catalogue import registry
from mobility.documents.contract import ReportDocument
from mobility.errors import NotFoundError, NotPermittedError, StorageError
from mobility.pipeline.analysis import bring_up_to_date, try_to_bring_up_to_date, why_not_again
from mobility.reports import additions
from mobility.sessions.files import atomic, lock, read_json, write_json
from mobility.sessions.folder import session_locked
from mobility.sessions.record import Rendering
from mobility.sessions.reports import NAMES_VISIT, find_notebook, page_files
from mobility.sessions.stored_session import StoredSession

log = logging.getLogger(__name__)


def report_document(session: StoredSession) -> dict[str, Any]:
    """Return the document of :func:`current_report`; URLs are ``file://`` URIs."""
    session.record.require("report", "such a report")
    stored = read_json(current_report(session)["json"])
    document = validate(ReportDocument, stored, what=f"report of session {session.id}")
    answer = document.json_values()
    answer["knee_movement_phases"] = {
        view: None if image is None else (session.report_folder / image).resolve().as_uri()
        for view, image in answer["knee_movement_phases"].items()
    }
    return answer


def current_report(session: StoredSession, *, faces: bool | None = None) -> dict[str, Path]:
    """Render the report unless it exists with the same inputs.

    An outdated session is first analysed again, so a new report never contains old numbers. The
    session of the previous visit, with which it is compared, is also brought up to date.

    Parameters
    ----------
    session
        An analysed session.
    faces
        Whether to show faces and surroundings instead of blurring them; None accepts any existing
        report, and blurs them in a new report.

    Returns
    -------
    dict
        Paths of "html", "client" (the page for the client), "notebook" and "json".

    Raises
    ------
    NotFoundError
        The session has not been analysed.
    MobilityError
        The analysis before the report fails; see :func:`mobility.pipeline.analysis.analyze`.
    """
    paths, key_file = report_files(session)
    if _is_current(session, faces):
        return paths
    from mobility.reports.render import render_report

    # Beside the folder, not in it: a rendering replaces the folder.
    guard = session.report_folder.with_name(f".{session.report_folder.name}.asked.lock")
    with lock(guard, what=f"the report of session {session.id}", wait_s=600):
        bring_up_to_date(session)
        if not _is_current(session, faces):
            started = time.perf_counter()
            while True:
                if (before := additions.compared_with(session)) is not None:
                    try_to_bring_up_to_date(before)
                key = report_key(session, faces=bool(faces))
                names_visit = session.report_folder / NAMES_VISIT
                for stale in (key_file, names_visit):
                    stale.unlink(missing_ok=True)
                rendered = render_report(session, faces=bool(faces))
                if before is None:
                    break
                with atomic(names_visit) as hidden:
                    hidden.write_text(before.id, encoding="utf-8")
                if session.store.has(before.id):
                    break  # else it was deleted meanwhile, and the report names it
            with atomic(key_file) as hidden:
                hidden.write_text(key, encoding="utf-8")
            _note_rendering(session, time.perf_counter() - started)
            return dict(rendered)
    return paths


def shown_report(session: StoredSession, *, faces: bool | None = None) -> dict[str, Path]:
    """Return the report like :func:`current_report`, or the earlier report if that fails.

    The log records the failure. An earlier report is returned unchanged, so `faces` must be None.
    """
    try:
        return current_report(session, faces=faces)
    except NotFoundError as error:
        paths, _ = report_files(session)
        if not (why := why_not_again(session)) or not paths["html"].is_file():
            raise
        why = f"{why}. Its earlier report still exists: {paths['html']}"
        if faces is not None:
            raise NotFoundError(why) from error
        log.warning("%s", why)
        return paths


def report_is_current(session: StoredSession) -> bool:
    """Return whether the report exists with the current inputs."""
    return _is_current(session, None)


def report_files(session: StoredSession) -> tuple[dict[str, Path], Path]:
    """Return the paths of the report, and of the file with the key of its inputs."""
    name = session.analyzed().kind.slug
    folder = session.report_folder
    return page_files(folder, name), folder / f".{name}.key"


def _note_rendering(session: StoredSession, seconds: float) -> None:
    """Store in the record how long the rendering took, unless an analysis is running."""
    if session.store.read_only:
        return
    try:
        with session_locked(session.store.path, session.id, wait_s=1) as free:
            if free:
                record = session.record
                record.report = Rendering(
                    seconds=round(seconds, 3),
                    finished=datetime.datetime.now().astimezone().replace(microsecond=0),
                )
                write_json(session.folder / "session.json", record.model_dump(mode="json"))
    except (StorageError, NotPermittedError) as error:
        # The report is complete, and a store may be read-only.
        log.debug("session %s: how long its report took is not kept (%s)", session.id, error)


def report_key(session: StoredSession, *, faces: bool = False) -> str:
    """Return the digest of the inputs of a report; it is different if faces are shown."""
    record = session.record
    participant = session.participant
    absent = {
        name
        for name in (
            *("second_video", "calibration", "measured_video"),
            *("keypoints", "second_keypoints"),
        )
        if not getattr(record, name)
    }
    left_out = {"state", "reason", "report"} | absent
    inputs = (
        mobility.__version__,
        *_code_digests(session),
        record.model_dump_json(exclude=left_out),
        participant.model_dump_json() if participant else "",
        session.edits().model_dump_json(),
        *_shown_settings(session),
        *additions.inputs(session),
        *(["faces"] if faces else []),
    )
    return hashlib.sha256("\n".join(inputs).encode()).hexdigest()


def _code_digests(session: StoredSession) -> list[str]:
    if session.store.read_only:  # the report of the demo is shipped
        return []
    exercise = session.record.kind
    return [
        code_digest(),
        registry.digest(exercise, pages=True),
        sha256(find_notebook(exercise.table["notebook"])),
    ]


def _shown_settings(session: StoredSession) -> list[str]:
    """Display settings, if the exercise has them and some were saved."""
    if not session.record.kind.has("display settings"):
        return []
    stored = session.stored_config()
    return [f"{stored.settings()}"] if stored else []


def _is_current(session: StoredSession, faces: bool | None) -> bool:
    paths, key_file = report_files(session)
    return is_made(paths, key_file, lambda shown: report_key(session, faces=shown), faces)


def is_made(
    paths: Mapping[str, Path], key_file: Path, key: Callable[[bool], str], faces: bool | None
) -> bool:
    """Return whether a page exists whose key matches its inputs; None for `faces` accepts both."""
    return (
        key_file.is_file()
        and key_file.read_text(encoding="utf-8")
        in {key(shown) for shown in (True, False) if faces in (shown, None)}
        and all(path.is_file() for path in paths.values())
    )
