"""Files of the reports on lab data, listed so that they can be deleted."""

from __future__ import annotations

from pathlib import Path

from mobility.sessions.files import read_json
from mobility.sessions.reports import ReportOnPeople


def _rows(folder: Path) -> list[dict[str, str]]:
    document = read_json(folder / "study.json")
    return [*document["trials"], *document["failed"]]


VALIDATION = ReportOnPeople(
    "lab-validation",
    (
        *("lab-validation.html", "lab-validation.json"),
        *("study.json", "study.nc", "condition-*.nc", "curves/*.nc", "images/*.png"),
        *(f"tables/*.{ending}" for ending in ("csv", "tex", "txt")),
    ),
    _rows,
    session_ending=".validation",
)
REPORTS = (VALIDATION,)
