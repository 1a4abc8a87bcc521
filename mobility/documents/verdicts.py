"""The verdict on the recording of a session, and its warnings, as pages show them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mobility import tables
from mobility.assessment.verdict import Verdict
from mobility.provenance import AnalysisWarning

if TYPE_CHECKING:
    import xarray as xr

    from mobility.sessions.stored import StoredSession


def verdict_of(session: StoredSession, metrics: xr.Dataset | None = None) -> Verdict:
    """Say what the recording of a session is good for; of its `metrics`, where they are at hand."""
    record, quality = session.record, session.capture_quality()
    metrics = session.metrics() if metrics is None else metrics
    exercise = record.kind
    return exercise.analysis.verdict(exercise, quality, metrics, session.fitted, record.warnings)


def warning_lines(warnings: Sequence[AnalysisWarning]) -> list[str]:
    """Write each warning in a line; refused angles share one line."""
    # Older code kept no values.
    refused = [each for each in warnings if each.code == "angle_refused" and "limit" in each.values]
    if len(refused) < 2:
        return [each.message for each in warnings]
    by_limit: dict[str, list[str]] = {}
    for each in refused:
        angle, share = str(each.values["angle"]), each.values["share"]
        part = tables.sentence(
            "warnings.angles_refused.part", angle=angle[0].lower() + angle[1:], share=share
        )
        by_limit.setdefault(str(each.values["limit"]), []).append(part)
    parts = "; ".join(
        tables.sentence("warnings.angles_refused.limit", limit=limit, parts=", ".join(part))
        for limit, part in by_limit.items()
    )
    together = tables.sentence("warnings.angles_refused.all", parts=parts)
    return [
        together if each is refused[0] else each.message
        for each in warnings
        if each is refused[0] or each not in refused
    ]


def with_side_doubt(metrics: xr.Dataset, verdict: Verdict) -> xr.Dataset:
    """Mark in the metrics of single joints whether the sides may have been exchanged."""
    return metrics.assign_attrs(sides_in_doubt=int(verdict.sides_in_doubt))


def side_label(metrics: xr.Dataset, side: str) -> str:
    """Name a side, with a question mark where the sides are in doubt."""
    doubt = metrics.attrs.get("sides_in_doubt")
    return tables.sentence("joints.side_in_doubt", side=side) if doubt else side
