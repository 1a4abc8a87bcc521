"""What the recording of a session is good for, and its warnings, as pages have them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mobility import tables
from mobility.assessment.verdict import Verdict
from mobility.provenance import Warned

if TYPE_CHECKING:
    import xarray as xr

    from mobility.sessions.stored import StoredSession


def verdict_of(session: StoredSession, metrics: xr.Dataset | None = None) -> Verdict:
    """Say what the recording of a session is good for; of its `metrics`, where they are at hand."""
    record, quality = session.record, session.capture_quality()
    metrics = session.metrics() if metrics is None else metrics
    exercise = record.kind
    return exercise.analysis.verdict(exercise, quality, metrics, session.fitted, record.warnings)


def in_lines(warnings: Sequence[Warned]) -> list[str]:
    """Say each warning in a line; values of which the error is too large in one for all angles."""
    # Older code kept no values.
    alike = [each for each in warnings if each.code == "angle_refused" and "limit" in each.values]
    if len(alike) < 2:
        return [each.message for each in warnings]
    by_limit: dict[str, list[str]] = {}
    for each in alike:
        angle, share = str(each.values["angle"]), each.values["share"]
        said = tables.sentence(
            "warnings.angles_refused.part", angle=angle[0].lower() + angle[1:], share=share
        )
        by_limit.setdefault(str(each.values["limit"]), []).append(said)
    parts = "; ".join(
        tables.sentence("warnings.angles_refused.limit", limit=limit, parts=", ".join(said))
        for limit, said in by_limit.items()
    )
    together = tables.sentence("warnings.angles_refused.all", parts=parts)
    return [
        together if each is alike[0] else each.message
        for each in warnings
        if each is alike[0] or each not in alike
    ]


def marked(metrics: xr.Dataset, verdict: Verdict) -> xr.Dataset:
    """Note in the metrics of single joints whether their sides are in doubt."""
    return metrics.assign_attrs(sides_in_doubt=int(verdict.sides_in_doubt))


def side_told(metrics: xr.Dataset, side: str) -> str:
    """Name a side of :func:`marked` metrics: one in doubt with a question mark."""
    doubt = metrics.attrs.get("sides_in_doubt")
    return tables.sentence("joints.side_in_doubt", side=side) if doubt else side
