"""Pages of visits, cohorts and studies, made by their notebooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mobility import tables
from mobility.base.formatting import capital, dated
from mobility.errors import BadInputError
from mobility.reports.render import check_free, relative, render_notebook
from mobility.sessions.files import write_json
from mobility.sessions.reports import ReportOnPeople, find_notebook
from mobility.studies.report_files import COHORT, SESSIONS_ON_PAGE, VISIT

if TYPE_CHECKING:
    from mobility.sessions.session_store import SessionStore
    from mobility.studies.study_table import Study
    from mobility.studies.visit import Visit


def render_visit(
    visit: Visit, folder: Path, named: Sequence[str], *, faces: bool = False
) -> dict[str, Path]:
    """Render the page of a visit.

    Parameters
    ----------
    visit
        The visit; its sessions are up to date.
    folder
        Folder for the page; an earlier page there is replaced.
    named
        Ids of the sessions whose numbers may be on the page; it is deleted with any of them.
    faces
        Whether to show faces and surroundings instead of blurring them.

    Returns
    -------
    dict
        ``"html"``, ``"client"`` (the page for the client), ``"notebook"`` and ``"json"``: paths in
        `folder`.
    """
    store = visit.sessions[0].store
    of_day = [session.id for session in visit.sessions]
    earlier = [each for each in named if each not in of_day]
    # What is added meanwhile is not on a page that is not deleted with it.
    visit = visit.compared_with(earlier)
    which = {
        **{"participant": visit.user_id, "date": f"{visit.date}"},
        **{"sessions": ", ".join(of_day), "earlier": ", ".join(earlier) or "-"},
    }
    places = {"store": relative(store.path, folder), "reports": relative(store.reports, folder)}

    def begin(place: Path) -> None:
        write_json(place / SESSIONS_ON_PAGE, list(named))

    return render_notebook(
        find_notebook(VISIT),
        folder,
        name=VISIT,
        title=tables.sentence("visit.page", name=visit.user_id, day=dated(visit.date)),
        parameters={**places, **which, **({"faces": True} if faces else {})},
        begin=begin,
        finish=lambda place: write_json(place / f"{VISIT}.json", visit.document()),
        client=True,
    )


def render_cohort(
    store: SessionStore[Any], folder: Path, *, parameters: Mapping[str, Any] | None = None
) -> dict[str, Path]:
    """Render the report of many sessions of a store, with their table and pictures.

    Parameters
    ----------
    store
        Store of the sessions, which is not changed.
    folder
        Folder for the report. It must be missing or empty, or contain an earlier report of this
        kind, which is replaced.
    parameters
        Parameters of the notebook ``cohort.ipynb`` besides ``store`` and ``out``.

    Returns
    -------
    dict
        ``"html"``, ``"notebook"``, ``"csv"`` and ``"parquet"``: paths in `folder`.
    """
    folder = Path(folder)
    check_free(folder, COHORT)
    values = {"store": relative(store.path, folder), "out": ".", **(parameters or {})}
    files = render_notebook(
        find_notebook(COHORT.name), folder, name=COHORT.name, title="Cohort", parameters=values
    )
    tables = {kind: files["html"].with_suffix(f".{kind}") for kind in ("csv", "parquet")}
    return {"html": files["html"], "notebook": files["notebook"], **tables}


def render_statistics(
    kind: ReportOnPeople, study: Study, folder: Path, *, title: str, parameters: Mapping[str, str]
) -> dict[str, Path]:
    """Render the comparison of the groups of a study, or its reliability.

    Parameters
    ----------
    kind
        ``GROUPS`` or ``RELIABILITY`` of :mod:`mobility.studies.report_files`.
    study
        From :func:`mobility.studies.study_table.study_table`.
    folder
        Folder for the report. It must be missing or empty, or contain an earlier report of this
        kind, which is replaced.
    title
        Name of the study.
    parameters
        Parameters of the notebook: names of columns and measures, separated by commas.

    Returns
    -------
    dict
        ``"html"``, ``"notebook"`` and the tables of the page, such as ``"differences"`` or
        ``"statistics"``: paths in `folder`, next to the tables of the study.
    """
    folder = Path(folder)
    check_free(folder, kind)
    _check_sessions(folder, kind, study)
    files = render_notebook(
        find_notebook(kind.name),
        folder,
        name=kind.name,
        title=f"{capital(kind.name)}: {title}",
        parameters={"study": ".", "out": ".", **parameters},
        begin=study.write,
    )
    tables = {path.stem: path for path in sorted(folder.absolute().glob("*.csv"))}
    return {"html": files["html"], "notebook": files["notebook"], **tables}


def _check_sessions(folder: Path, kind: ReportOnPeople, study: Study) -> None:
    """Refuse a folder with the report of a study that has none of these sessions."""
    if not (folder / "sessions.csv").is_file():
        return
    listed = {row.get("session_id") for row in kind.rows(folder)}
    if listed.isdisjoint(study.sessions["session_id"]):
        raise BadInputError(f"{folder}: contains a report on other sessions; name another folder")
