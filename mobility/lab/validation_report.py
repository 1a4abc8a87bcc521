"""Reports on the agreement of a session or a study with lab data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mobility.documents import of_session
from mobility.lab.report_files import VALIDATION
from mobility.reports.render import check_free, relative, render_notebook
from mobility.sessions.files import write_json
from mobility.sessions.reports import find_notebook

if TYPE_CHECKING:
    from mobility.lab.lab_comparison import StudyResult, Validation
    from mobility.sessions.stored_session import StoredSession


def render_validation(
    session: StoredSession, comparison: Validation, reports: Path | None = None
) -> dict[str, Path]:
    """Render the report on the comparison of a session with lab data.

    Parameters
    ----------
    session
        The session.
    comparison
        From :func:`mobility.lab.lab_comparison.validate`.
    reports
        Folder of the reports; by default the store's.

    Returns
    -------
    dict
        ``"html"``, ``"notebook"`` and ``"json"``: paths in
        ``<reports>/<session_id>.validation/<name>/``, beside ``tables`` and ``images``.
    """
    place = reports or session.store.reports
    folder = place / f"{session.id}{VALIDATION.session_ending}" / comparison.name
    which = {"comparison": comparison.name}
    if session.store.read_only:
        which |= {"folder": relative(comparison.folder.parent, folder)}
    else:
        which |= {"store": relative(session.store.path, folder), "session_id": session.id}
    return render_notebook(
        find_notebook("lab_validation"),
        folder,
        name=VALIDATION.name,
        title=f"Agreement with lab data: {of_session.title(session)}",
        parameters={**which, "out": "."},
        finish=lambda out: write_json(out / f"{VALIDATION.name}.json", comparison.document),
    )


def render_study(result: StudyResult, folder: Path) -> dict[str, Path]:
    """Render the report of a study.

    Parameters
    ----------
    result
        From :func:`mobility.lab.lab_comparison.run_study`, with at least one trial.
    folder
        Folder for the report. It must be missing or empty, or contain an earlier report of this
        kind, which is replaced.

    Returns
    -------
    dict
        ``"html"``, ``"notebook"`` and ``"json"``: paths in `folder`, beside ``study.nc``,
        ``tables`` and ``images``.
    """
    folder = Path(folder)
    check_free(folder, VALIDATION)
    return render_notebook(
        find_notebook("lab_validation"),
        folder,
        name=VALIDATION.name,
        title=f"Agreement with lab data: {result.document['study']}",
        parameters={"study": ".", "out": "."},
        begin=result.write,
        finish=lambda place: write_json(place / f"{VALIDATION.name}.json", result.document),
    )
