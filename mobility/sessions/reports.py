"""Places of reports, notebooks and the demo, and which reports a deletion includes."""

from __future__ import annotations

import csv
import hashlib
import sysconfig
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mobility.catalogue import registry
from mobility.errors import MobilityError, NotFoundError
from mobility.sessions.files import (
    DELETING,
    VISITS,
    lock_if_free,
    read_json,
    refuse_link,
    remove,
    remove_checkpoints,
    remove_if_empty,
    report_place,
    writing,
)

VISIT = "visit"
"""Name of the files of a visit page, without their endings."""

COHORT = "cohort"
VALIDATION = "lab-validation"
GROUPS = "groups"
RELIABILITY = "reliability"
"""Names of the files of reports on several people, without their endings."""

GROUPED_BY = (
    *("sex", "age_band", "age", "height_m", "weight_kg", "user_id", "exercise"),
    *("view", "recording", "cameras", "method", "source_software", "software"),
)
"""Columns by which people can be grouped."""


def page_files(folder: Path, name: str) -> dict[str, Path]:
    """Return the paths of a page's files: "html", "client" (for the client), "notebook", "json"."""
    endings = {"html": "html", "client": "client.html", "notebook": "ipynb", "json": "json"}
    return {kind: folder / f"{name}.{ending}" for kind, ending in endings.items()}


def find_notebook(name: str) -> Path:
    """Return the path of a report notebook, in the checkout or otherwise in the installation."""
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
    """Return the folder beside the package, in the checkout or otherwise in the installation."""
    checkout = Path(__file__).resolve().parents[2]
    if (checkout / "notebooks" / "workbench.ipynb").is_file():
        return checkout / folder
    return Path(sysconfig.get_path("data")) / "share" / "mobility" / folder


VALIDATION_ENDING = ".validation"
"""End of the name of the folder with a session's reports on lab data; it begins with the session
id."""

NAMES_VISIT = ".last-visit"
"""File beside the report of a session with the id of the previous visit, which the report names."""

SESSIONS_ON_PAGE = ".sessions.json"
"""File beside a visit page with the ids of the sessions that it may name."""

_OF_STUDY = ("study.parquet", "study.datapackage.json", "sessions.csv", "curves.parquet")

_RENDERED = {
    COHORT: (
        *(f"{COHORT}.{ending}" for ending in ("html", "csv", "parquet", "datapackage.json")),
        *(f"{COHORT}.checks.{ending}" for ending in ("csv", "parquet")),
        "*-over-time.png",
        *(f"*-by-{group}.png" for group in GROUPED_BY),
    ),
    VALIDATION: (
        *(f"{VALIDATION}.{ending}" for ending in ("html", "json")),
        *("study.json", "study.nc", "condition-*.nc", "curves/*.nc", "images/*.png"),
        *(f"tables/*.{ending}" for ending in ("csv", "tex", "txt")),
    ),
    GROUPS: (
        *(f"{GROUPS}.html", *_OF_STUDY, "differences.csv", "description.csv"),
        "*-by-group.png",
    ),
    RELIABILITY: (
        *(f"{RELIABILITY}.html", *_OF_STUDY, "statistics.csv", "without-value.csv"),
        *("retest-curves.csv", "*-reliability.png"),
    ),
}
"""Files written beside the notebook of a report on several people."""


@dataclass(frozen=True)
class Trace:
    """A file or folder that names a participant."""

    path: Path
    remove: Callable[[], object]
    """Removes the participant from it; can be repeated safely."""


def report_places(reports: Path, session_id: str) -> tuple[Path, Path]:
    """Return the folders of the reports on a session, and on its comparisons with lab data."""
    return report_place(reports, session_id), reports / f"{session_id}{VALIDATION_ENDING}"


def visit_folder(reports: Path, user_id: str, date: str, chosen: Sequence[str] = ()) -> Path:
    """Return the folder of a visit page, or of the page of chosen sessions of the visit."""
    which = f".{hashlib.sha256(' '.join(chosen).encode()).hexdigest()[:8]}" if chosen else ""
    return reports / VISITS / user_id / f"{date}{which}"


def remove_visits(reports: Path, session_id: str) -> None:
    """Remove the visit pages that may name a session, including unfinished ones."""
    for listing in sorted((reports / VISITS).glob(f"*/*/{SESSIONS_ON_PAGE}")):
        with suppress(MobilityError):
            named = read_json(listing)
            if isinstance(named, list) and session_id not in named:
                continue
        remove_page(listing.parent)


def remove_visits_of(reports: Path, user_id: str) -> None:
    """Remove all visit pages of a participant."""
    place = reports / VISITS / user_id
    refuse_link(place)
    remove(place)
    with writing(place.parent):
        remove_if_empty(place.parent)


def remove_page(folder: Path) -> None:
    """Remove a visit page, and the files beside it unless somebody is making it."""
    remove(folder)
    for what in ("rendering.lock", "asked.lock"):
        guard = folder.with_name(f".{folder.name}.{what}")
        if guard.is_file():
            with lock_if_free(guard) as free, writing(guard):
                if free:
                    guard.unlink(missing_ok=True)
    for above in folder.parents[:2]:
        with writing(above):
            remove_if_empty(above)


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
    remove_visits(reports, session_id)
    for named in reports.glob(f"[!.]*/{NAMES_VISIT}"):
        try:
            content = named.read_bytes()
        except OSError:  # removed meanwhile, or not a file
            continue
        if content == session_id.encode():  # made again when it is next used
            remove(named.parent)


def reports_on(reports: Path, sessions: list[str], user_id: str | None = None) -> list[Trace]:
    """Find reports of cohorts and studies that contain one of the sessions, or a participant.

    Reports whose deletion was interrupted are included, whatever they contain.
    """
    traces = []
    for folder in sorted(reports.glob("[!.]*/")):
        for name in _RENDERED:
            begun = folder / f"{DELETING}{name}.ipynb"
            if begun.is_file() or (
                (folder / f"{name}.ipynb").is_file() and _holds(folder, name, sessions, user_id)
            ):
                traces.append(Trace(folder, partial(_remove_report, folder, name)))
    return traces


def _remove_report(folder: Path, name: str) -> None:
    """Remove the files of a report; also its folder if nothing else is in it."""
    begun = folder / f"{DELETING}{name}.ipynb"
    with writing(folder):
        # Removed last: it marks an unfinished deletion.
        with suppress(FileNotFoundError):
            (folder / f"{name}.ipynb").rename(begun)
        for pattern in _RENDERED[name]:
            for file in folder.glob(pattern):
                file.unlink(missing_ok=True)
        remove_checkpoints(folder, f"{name}.ipynb", *_RENDERED[name])
        for below in {file.partition("/")[0] for file in _RENDERED[name] if "/" in file}:
            remove_if_empty(folder / below)
        begun.unlink(missing_ok=True)
        remove_if_empty(folder)


def _holds(folder: Path, name: str, sessions: list[str], user_id: str | None) -> bool:
    """Whether a report of a cohort or a study contains one of the sessions, or a participant."""
    with suppress(
        MobilityError, OSError, ValueError, LookupError, TypeError, AttributeError, csv.Error
    ):
        if name == VALIDATION:
            document = read_json(folder / "study.json")
            rows: list[dict[str, str]] = [*document["trials"], *document["failed"]]
        else:
            listed = "cohort.csv" if name == COHORT else "sessions.csv"
            with (folder / listed).open(encoding="utf-8", newline="") as file:
                rows = list(csv.DictReader(file))
        return any(
            not {row.get("session_id"), row.get("session")}.isdisjoint(sessions)
            or (user_id is not None and user_id in (row.get("user_id"), row.get("participant")))
            for row in rows
        )
    return False
