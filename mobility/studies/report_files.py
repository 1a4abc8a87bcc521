"""Files of visit pages and of the reports on several people, and how they are deleted."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from mobility.errors import MobilityError
from mobility.sessions.files import (
    VISITS,
    lock_if_free,
    read_json,
    refuse_link,
    remove,
    remove_if_empty,
    writing,
)
from mobility.sessions.reports import ReportOnPeople

VISIT = "visit"
"""Name of the files of a visit page, without their endings."""

SESSIONS_ON_PAGE = ".sessions.json"
"""File next to a visit page; it contains the IDs of the sessions that the page may name."""

GROUPED_BY = (
    *("sex", "age_band", "age", "height_m", "weight_kg", "user_id", "exercise"),
    *("view", "recording", "cameras", "method", "source_software", "software"),
)
"""Columns by which people can be grouped."""

_TABLES = ("study.parquet", "study.datapackage.json", "sessions.csv", "curves.parquet")


def _rows(listing: str, folder: Path) -> list[dict[str, str]]:
    with (folder / listing).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


COHORT = ReportOnPeople(
    "cohort",
    (
        *(f"cohort.{ending}" for ending in ("html", "csv", "parquet", "datapackage.json")),
        *(f"cohort.checks.{ending}" for ending in ("csv", "parquet")),
        "*-over-time.png",
        *(f"*-by-{column}.png" for column in GROUPED_BY),
    ),
    partial(_rows, "cohort.csv"),
)
GROUPS = ReportOnPeople(
    "groups",
    ("groups.html", *_TABLES, "differences.csv", "description.csv", "*-by-group.png"),
    partial(_rows, "sessions.csv"),
)
RELIABILITY = ReportOnPeople(
    "reliability",
    (
        *("reliability.html", *_TABLES, "statistics.csv", "without-value.csv"),
        *("retest-curves.csv", "*-reliability.png"),
    ),
    partial(_rows, "sessions.csv"),
)
REPORTS = (COHORT, GROUPS, RELIABILITY)


def visit_folder(reports: Path, user_id: str, date: str, ids: Sequence[str] = ()) -> Path:
    """Return the folder of a visit page, or of a page with only these sessions of the visit."""
    which = f".{hashlib.sha256(' '.join(ids).encode()).hexdigest()[:8]}" if ids else ""
    return reports / VISITS / user_id / f"{date}{which}"


def remove_pages_of(reports: Path, user_id: str) -> None:
    """Remove all visit pages of a participant."""
    place = reports / VISITS / user_id
    refuse_link(place)
    remove(place)
    with writing(place.parent):
        remove_if_empty(place.parent)


def remove_pages(reports: Path, session_id: str) -> None:
    """Remove the visit pages that may name a session, including unfinished ones."""
    for listing in sorted((reports / VISITS).glob(f"*/*/{SESSIONS_ON_PAGE}")):
        with suppress(MobilityError):
            named = read_json(listing)
            if isinstance(named, list) and session_id not in named:
                continue
        remove_page(listing.parent)


def remove_page(folder: Path) -> None:
    """Remove a visit page and the files next to it, unless the page is being made."""
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
