"""Summary of a batch: its stored form, CSV and JSON, and a page with links to every report.

This module also makes the pages of the visits that a batch or a watch has processed.
"""

from __future__ import annotations

import csv
import datetime
import io
import logging
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, get_args

import htpy as h
from pydantic import AwareDatetime, Field

from mobility import Store
from mobility.base.formatting import quantity, rounded, timed
from mobility.base.writing import plain_cell
from mobility.catalogue.registry import ExerciseName
from mobility.errors import MobilityError
from mobility.sessions.files import atomic, write_json
from mobility.sessions.record import Document

RowState = Literal["done", "skipped", "failed"]


class BatchRow(Document):
    """Outcome of one row of a manifest."""

    row: Annotated[int, Field(description="line of the manifest, or number of the video")]
    video: Annotated[str, Field(description="name of the file")]
    participant: str
    exercise: ExerciseName
    session_id: str
    state: RowState
    reason: Annotated[str, Field(description="why the analysis failed")] = ""
    may_pass: Annotated[
        bool,
        Field(
            description="whether the cause may be temporary, such as a full disk or a lost worker"
        ),
    ] = False
    report: Annotated[
        str | None, Field(description="HTML page, relative to the folder of the summary")
    ] = None
    redone: Annotated[list[str], Field(description="stages that were computed in this run")] = (
        Field(default_factory=list)
    )
    seconds: Annotated[dict[str, float], Field(description="seconds for each redone stage")] = (
        Field(default_factory=dict)
    )
    took_s: Annotated[
        float | None, Field(description="seconds in the worker, including work outside the stages")
    ] = None
    verdict: Annotated[str, Field(description="verdict on the recording, with its reason")] = ""
    warnings: list[str] = Field(default_factory=list)


class BatchSummary(Document):
    """``summary.json`` of a batch."""

    schema_version: Literal["1"] = "1"
    manifest: Annotated[str, Field(description="name of the manifest's file or folder")]
    started: AwareDatetime
    ended: AwareDatetime
    took_s: Annotated[
        float | None, Field(description="duration in seconds, unaffected by changes of the clock")
    ] = None
    versions: dict[str, str]
    rows: list[BatchRow]

    @property
    def counts(self) -> dict[str, int]:
        """Number of rows in each state."""
        return {state: sum(row.state == state for row in self.rows) for state in get_args(RowState)}


FILES = ("summary.json", "summary.csv", "index.html")
"""Names of the files of a summary."""

COLUMNS = (
    *("row", "video", "participant", "exercise", "session_id", "state", "reason", "report"),
    *("verdict", "redone", "seconds", "took_s", "warnings"),
)
STAGES = (
    *("pose", "second_pose", "fitted", "angles", "repetitions", "metrics", "table"),
    *("capture_quality", "annotated", "report"),
)
"""Stages whose seconds have a column in the CSV file."""

_STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #1c2530; background: #fff;
  max-width: 76rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 .5rem; }
p { max-width: 46rem; }
.table { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: #4b5866; padding-bottom: .4rem; }
th, td { padding: .3rem .8rem; text-align: left; border-bottom: 1px solid #e5e9ee;
  vertical-align: top; overflow-wrap: anywhere; }
thead th { border-bottom: 2px solid #aab4c0; white-space: nowrap; }
.number { text-align: right; }
.state { white-space: nowrap; font-weight: 600; }
.failed { background: #fbe6dd; }
.small { color: #5b6876; font-size: .85rem; }
a { color: #1d5fa8; }
"""


@dataclass(frozen=True)
class Summary:
    """The outcomes of a batch, and the folder of its summary."""

    folder: Path
    document: BatchSummary

    @property
    def rows(self) -> list[BatchRow]:
        """Outcome of each row."""
        return self.document.rows

    @property
    def counts(self) -> dict[str, int]:
        """Number of rows in each state."""
        return self.document.counts

    @property
    def json(self) -> Path:
        """Path of the JSON document."""
        return self.folder / FILES[0]

    @property
    def csv(self) -> Path:
        """Path of the table."""
        return self.folder / FILES[1]

    @property
    def html(self) -> Path:
        """Path of the page."""
        return self.folder / FILES[2]


def write_summary(folder: Path, document: BatchSummary) -> None:
    """Write ``summary.json``, ``summary.csv`` and ``index.html``, each completely or not at all."""
    # The document last: a deletion uses it to find the other two, while they name somebody.
    texts = (_table(document), _page(document))
    for name, text in zip(FILES[1:], texts, strict=True):
        with atomic(folder / name) as hidden:
            hidden.write_text(text, encoding="utf-8")
    write_json(folder / FILES[0], document.model_dump(mode="json"))


def read_summary(folder: Path) -> BatchSummary | None:
    """Read the document from :func:`write_summary`; None if it is missing or damaged."""
    with suppress(OSError, ValueError):
        return BatchSummary.model_validate_json((folder / FILES[0]).read_bytes())
    return None


def _table(summary: BatchSummary) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    plain = [name for name in COLUMNS if name != "seconds"]
    writer.writerow([*plain, *(f"{stage}_s" for stage in STAGES)])
    for row in summary.rows:
        values = row.model_dump()
        cells = [
            "; ".join(values[name]) if isinstance(values[name], list) else values[name]
            for name in plain
        ]
        cells = [plain_cell(cell) if isinstance(cell, str) else cell for cell in cells]
        writer.writerow([*cells, *(row.seconds.get(stage, "") for stage in STAGES)])
    return out.getvalue()


def _page(summary: BatchSummary) -> str:
    counts = ", ".join(f"{n} {state}" for state, n in summary.counts.items() if n)
    began_and_ended = (summary.ended - summary.started).total_seconds()
    took = datetime.timedelta(seconds=round(summary.took_s or began_and_ended))
    counts_line = (
        f"{len(summary.rows)} videos: {counts}. From {timed(summary.started)} to "
        f"{timed(summary.ended)} ({took})."
    )
    csp = {"http-equiv": "Content-Security-Policy"}
    heads = ("Video", "Participant", "Exercise", "State", "Report, or why there is none")
    page = h.html(lang="en")[
        h.head[
            h.meta(charset="utf-8"),
            h.meta(name="viewport", content="width=device-width, initial-scale=1"),
            h.meta(csp, content="default-src 'none'; style-src 'unsafe-inline'"),
            h.title[f"Batch {summary.manifest}"],
            h.style[_STYLE],
        ],
        h.body[
            h.main[
                h.h1[f"Batch {summary.manifest}"],
                h.p[
                    *(counts_line, " The same as ", h.a(href="summary.csv")["CSV"], " and "),
                    *(h.a(href="summary.json")["JSON"], "; ", h.a(href="batch.log")["log"], "."),
                ],
                h.div(".table")[
                    h.table[
                        h.caption[
                            "The result of each row. “Skipped” rows were already up to date."
                        ],
                        h.thead[
                            h.tr[
                                h.th(".number", scope="col")["Row"],
                                (h.th(scope="col")[head] for head in heads),
                                h.th(".number", scope="col")["Seconds"],
                            ]
                        ],
                        h.tbody[map(_table_row, summary.rows)],
                    ]
                ],
            ]
        ],
    ]
    return f"{page}\n"


def _table_row(row: BatchRow) -> h.Node:
    result: h.Node = row.reason
    if row.report is not None:
        result = h.a(href=row.report)["report"]
    verdict = h.div[row.verdict] if row.verdict else None
    warnings = (h.div(".small")[warning] for warning in row.warnings)
    detail = ", ".join(f"{name} {quantity(value, 's')}" for name, value in row.seconds.items())
    return h.tr(class_=row.state)[
        h.td(".number")[row.row],
        (h.td[text] for text in (row.video, row.participant, row.exercise)),
        h.td(".state")[row.state],
        h.td[result, verdict, warnings],
        h.td(".number", title=detail)["" if row.took_s is None else rounded(row.took_s, 1)],
    ]


log = logging.getLogger(__name__)


@dataclass(frozen=True)
class MadeVisit:
    """A visit, and its page, or the reason why it has none."""

    user_id: str
    date: datetime.date
    page: Path | None
    reason: str = ""


def render_visits(store: Store, session_ids: Iterable[str]) -> Iterator[MadeVisit]:
    """Make the page of each visit to which sessions belong, once per visit.

    Sessions without a participant belong to no visit.
    """
    days: dict[tuple[str, datetime.date], None] = {}
    for session_id in session_ids:
        with suppress(MobilityError):  # deleted meanwhile, or damaged
            record = store.session(session_id).record
            if record.visit_day is not None:
                days[record.user_id, record.visit_day] = None
    for user_id, date in days:
        try:
            page, reason = store.render_visit(user_id, on=date)["html"], ""
        except MobilityError as error:
            page, reason = None, str(error)
            log.warning("visit of %s on %s: %s", user_id, date, reason)
        yield MadeVisit(user_id, date, page, reason)
