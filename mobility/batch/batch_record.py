"""Stored documents of a batch, field by field."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import AwareDatetime, Field

from mobility.catalogue.registry import ExerciseName
from mobility.sessions.record import Document

RowState = Literal["done", "skipped", "failed"]


class BatchRow(Document):
    """Outcome of one row of a manifest."""

    row: Annotated[int, Field(description="line of the manifest, or number of the file")]
    video: Annotated[str, Field(description="name of the file")]
    participant: str
    exercise: ExerciseName
    session_id: str
    state: RowState
    reason: Annotated[str, Field(description="why it failed")] = ""
    may_pass: Annotated[
        bool, Field(description="whether it failed of what may pass: a full disk, a lost worker")
    ] = False
    report: Annotated[
        str | None, Field(description="HTML page, as seen from the folder of the summary")
    ] = None
    redone: Annotated[list[str], Field(description="stages that were not skipped")] = Field(
        default_factory=list
    )
    seconds: Annotated[dict[str, float], Field(description="by stage, of those redone")] = Field(
        default_factory=dict
    )
    took_s: Annotated[
        float | None, Field(description="in its worker, with what belongs to no stage")
    ] = None
    verdict: Annotated[str, Field(description="what the recording is good for, and why")] = ""
    warnings: list[str] = Field(default_factory=list)


class BatchSummary(Document):
    """``summary.json`` of a batch."""

    schema_version: Literal["1"] = "1"
    manifest: Annotated[str, Field(description="name of the file or folder")]
    started: AwareDatetime
    ended: AwareDatetime
    took_s: Annotated[
        float | None, Field(description="also right where the clock was set meanwhile")
    ] = None
    versions: dict[str, str]
    rows: list[BatchRow]

    @property
    def counts(self) -> dict[str, int]:
        """Number of rows in each state."""
        return {state: sum(row.state == state for row in self.rows) for state in get_args(RowState)}
