"""Places of reports, notebooks and the demo, and the reports that a deletion includes."""

from __future__ import annotations

import csv
import functools
import sysconfig
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from types import ModuleType

import mobility
from mobility.catalogue import registry
from mobility.errors import MobilityError, NotFoundError
from mobility.sessions.files import (
    DELETING,
    remove,
    remove_checkpoints,
    remove_if_empty,
    report_place,
    writing,
)


def page_files(folder: Path, name: str) -> dict[str, Path]:
    """Return the paths of a page's files: "html", "client" (for the client), "notebook", "json"."""
    endings = {"html": "html", "client": "client.html", "notebook": "ipynb", "json": "json"}
    return {kind: folder / f"{name}.{ending}" for kind, ending in endings.items()}


def find_notebook(name: str) -> Path:
    """Return the path of a report notebook, in the checkout or else in the installation."""
    notebook = beside_package("notebooks") / f"{name}.ipynb"
    if not notebook.is_file():
        raise NotFoundError(f"there is no notebook {name}.ipynb in {notebook.parent}")
    return notebook


def demo_places(exercise_name: str) -> tuple[Path, Path]:
    """Return the folders of the demo session of an exercise, and of the reports of demos."""
    demos = beside_package("data/demo")
    folder = demos / registry.exercise(exercise_name).slug
    if not (folder / "session.json").is_file():
        raise NotFoundError(
            f"demo of {exercise_name}: is not part of this installation (it is not in {demos}). "
            "Install the demos, or use a checkout of the repository"
        )
    return folder, beside_package("reports")


def demo_video(exercise_name: str) -> Path:
    """Return the path of the video of the demo session of an exercise."""
    folder, _ = demo_places(exercise_name)
    return next(folder.glob("video.*"))


def beside_package(folder: str) -> Path:
    """Return the folder next to the package, in the checkout or else in the installation."""
    checkout = Path(__file__).resolve().parents[2]
    if (checkout / "notebooks" / "workbench.ipynb").is_file():
        return checkout / folder
    return Path(sysconfig.get_path("data")) / "share" / "mobility" / folder


NAMES_VISIT = ".last-visit"
"""File next to the report of a session; it contains the ID of the previous visit that the report
names.
"""


@dataclass(frozen=True)
class ReportOnPeople:
    """A kind of report on several people: one of ``REPORTS`` in the registered module of a wing.

    A module with pages on one person also has ``remove_pages(reports, session_id)``.

    Attributes
    ----------
    name
        Name of its notebook and page, without the endings.
    files
        Patterns for the names of the files next to the notebook.
    rows
        Reads the sessions and participants of the report in a folder: rows with ``session_id``,
        ``session`` or ``sessions`` (several ids), and ``user_id`` or ``participant``.
    session_ending
        End of the name of the folder with such reports on one session; the name begins with the
        session ID. Empty if there are none on one session.
    """

    name: str
    files: tuple[str, ...]
    rows: Callable[[Path], list[dict[str, str]]]
    session_ending: str = ""


@functools.cache
def _of_wings() -> tuple[ModuleType, ...]:
    return tuple(import_module(name) for name in mobility.REPORTS_ON_PEOPLE)


def _reports_on_people() -> tuple[ReportOnPeople, ...]:
    return tuple(kind for module in _of_wings() for kind in module.REPORTS)


@dataclass(frozen=True)
class Trace:
    """A file or folder that names a participant."""

    path: Path
    remove: Callable[[], object]
    """Removes the participant from it; this can be repeated safely."""


def report_places(reports: Path, session_id: str) -> list[Path]:
    """Return the folders that hold only reports on this session; wings can have such folders."""
    endings = [kind.session_ending for kind in _reports_on_people() if kind.session_ending]
    return [
        report_place(reports, session_id),
        *(reports / f"{session_id}{ending}" for ending in endings),
    ]


def remove_reports(reports: Path, session_id: str) -> None:
    """Remove the reports that contain a session."""
    if not reports.is_dir():
        return
    places = report_places(reports, session_id)
    hidden = [
        reports / f".{place.name}.{what}"
        for place in places
        for what in ("unfinished", "earlier", "rendering.lock", "asked.lock")
    ]
    for place in (*hidden, *places):
        with writing(place):
            if place.is_dir():
                remove(place)
            else:
                place.unlink(missing_ok=True)
    for report in reports_on(reports, [session_id]):
        report.remove()
    for module in _of_wings():
        if hasattr(module, "remove_pages"):
            module.remove_pages(reports, session_id)
    for named in reports.glob(f"[!.]*/{NAMES_VISIT}"):
        try:
            content = named.read_bytes()
        except OSError:  # removed meanwhile, or not a file
            continue
        if content == session_id.encode():  # made again when it is next used
            remove(named.parent)


def reports_on(reports: Path, sessions: list[str], user_id: str | None = None) -> list[Trace]:
    """Find reports on several people that contain one of the sessions, or a participant.

    Reports whose deletion was interrupted are always included.
    """
    traces = []
    for folder in sorted(reports.glob("[!.]*/")):
        for kind in _reports_on_people():
            begun = folder / f"{DELETING}{kind.name}.ipynb"
            if begun.is_file() or (
                (folder / f"{kind.name}.ipynb").is_file()
                and _holds(folder, kind, sessions, user_id)
            ):
                traces.append(Trace(folder, partial(_remove_report, folder, kind)))
    return traces


def _remove_report(folder: Path, kind: ReportOnPeople) -> None:
    """Remove the files of a report; also its folder if nothing else is in it."""
    begun = folder / f"{DELETING}{kind.name}.ipynb"
    with writing(folder):
        # Removed last: it marks an unfinished deletion.
        with suppress(FileNotFoundError):
            (folder / f"{kind.name}.ipynb").rename(begun)
        for pattern in kind.files:
            for file in folder.glob(pattern):
                file.unlink(missing_ok=True)
        remove_checkpoints(folder, f"{kind.name}.ipynb", *kind.files)
        for below in {file.partition("/")[0] for file in kind.files if "/" in file}:
            remove_if_empty(folder / below)
        begun.unlink(missing_ok=True)
        remove_if_empty(folder)


_COLUMNS = frozenset({"session_id", "session", "user_id", "participant"})
"""Columns that say whom a report is about."""


def _holds(folder: Path, kind: ReportOnPeople, sessions: list[str], user_id: str | None) -> bool:
    """Whether a report contains one of the sessions, or a participant.

    A report whose list cannot be read may contain anybody, so it is deleted with every session.
    """
    try:
        rows = list(kind.rows(folder))
        if any(_COLUMNS.isdisjoint(row) for row in rows):  # of another program
            return True
        return any(
            not {
                *(row.get("session_id"), row.get("session")),
                *row.get("sessions", "").split(),
            }.isdisjoint(sessions)
            or (user_id is not None and user_id in (row.get("user_id"), row.get("participant")))
            for row in rows
        )
    except (MobilityError, OSError, ValueError, LookupError, TypeError, AttributeError, csv.Error):
        return True
