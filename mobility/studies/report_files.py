"""Files of the reports on several people, listed so that they can be deleted."""

from __future__ import annotations

import csv
from functools import partial
from pathlib import Path

from mobility.sessions.reports import ReportOnPeople

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
