"""The sessions in a study's list, after its videos have been analysed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mobility import Session, Store
from mobility.base.options import FilePath, Names, Workers, checked
from mobility.catalogue import registry
from mobility.errors import BadInputError, NotFoundError
from mobility.serve.batch.manifest import ManifestError, check_rows
from mobility.serve.batch.run import run_batch
from mobility.studies.cohort import COMPARED
from mobility.studies.retest import session_curves
from mobility.studies.study_table import OF_VIDEO, Study, read_list, study_table

if TYPE_CHECKING:
    import pandas as pd


@checked
def read_study(
    path: FilePath,
    *,
    store: Store,
    recordings: Names = COMPARED,
    level: Literal["session", "repetition"] = "session",
    visits: bool = False,
    curves: bool | Names = False,
    workers: Workers | None = None,
) -> Study:
    """Read the list of a study, and the measures of its sessions.

    Videos without an analysis are analysed first, as with ``mobility batch``.

    Parameters
    ----------
    path
        A CSV file; see :func:`mobility.studies.study_table.read_list`.
    store
        Store of the sessions, including the sessions made from videos.
    recordings, level, visits
        As in :func:`mobility.studies.study_table.study_table`.
    curves
        Whether to also read the mean curves of the sessions for :func:`mobility.retest_curves`, or
        the names of the angles to read. True reads the angles that the exercise's report shows.
    workers
        Number of processes that share the analysis of videos; by default one per processor.

    Returns
    -------
    Study
        ``table`` goes into :func:`mobility.reliability` and :func:`mobility.groups`, ``curves``
        into :func:`mobility.retest_curves`.

    Raises
    ------
    NotFoundError
        The file or a session does not exist.
    BadInputError
        The list, or a row of it, cannot be used.
    """
    if visits and curves:
        raise BadInputError.of({"curves": "a visit has no curves; read sessions instead"})
    listed = read_list(path)
    if "video" in listed:
        listed = listed.assign(session=_analysed(Path(path), listed, store, workers))
    sessions = _sessions(path, listed, store)
    study = study_table(
        listed, sessions, recordings=recordings, level=level, visits=visits, name=str(Path(path))
    )
    if not curves:
        return study
    exercise = registry.exercise(str(study.table["exercise"].iloc[0]))
    names = exercise.table.get("report", {}).get("trial", []) if curves is True else curves
    of_sessions = session_curves(sessions, names, recordings=recordings)
    design = study.sessions[["session_id", "participant", *study.columns]]
    return replace(study, curves=design.merge(of_sessions, on="session_id"))


def _analysed(file: Path, listed: pd.DataFrame, store: Store, workers: int | None) -> list[str]:
    """Return the session ids of the videos, in the order of the list."""
    if "participant" not in listed:
        raise BadInputError(f"{file}: has no column 'participant', which videos need; add it")
    columns = [name for name in ("video", "participant", *OF_VIDEO) if name in listed]
    entries = [
        (row["line"], {name: row[name] for name in columns if row[name]})
        for row in listed.to_dict("records")
    ]
    try:
        rows = check_rows(file, entries, participant="anonymous", exercise=registry.USUAL)
    except ManifestError as error:
        first, *further_problems = error.problems
        more = f" (and {len(further_problems)} more)" if further_problems else ""
        raise BadInputError(f"{file}: {first}{more}. Nothing was run", error.fields) from None
    analysed = {session.id for session in store.sessions() if session.record.state == "analyzed"}
    waiting = [row for row in rows if row.session_id not in analysed]
    if waiting:
        run_batch(waiting, store, manifest=file.name, workers=workers)
    id_of = {row.number: row.session_id for row in rows}
    return [id_of[line] for line in listed["line"]]


def _sessions(path: FilePath, listed: pd.DataFrame, store: Store) -> list[Session]:
    sessions = []
    for line, session_id in zip(listed["line"], listed["session"], strict=True):
        try:
            sessions.append(store.session(session_id))
        except NotFoundError as error:
            raise NotFoundError(f"{path}, line {line}: {error}") from None
    return sessions
