"""Advice on findings: exercises with dose, purpose and source, from a table."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mobility import tables
from mobility.assessment.findings import Finding, excess
from mobility.base.formatting import System, in_system
from mobility.catalogue.registry import exercises


@dataclass(frozen=True)
class Work:
    """One exercise that is advised, and why.

    Attributes
    ----------
    id, name, kind
        Entry of the table, its name, and "mobility", "strength" or "control".
    dose
        Sets, repetitions or seconds, and days a week, in words.
    how, purpose
        What to do, and what for.
    because
        The findings that ask for it.
    source
        Literature behind exercise and dose.
    """

    id: str
    name: str
    kind: str
    dose: str
    how: str
    purpose: str
    because: tuple[Finding, ...]
    source: str


@functools.cache
def all_work() -> Mapping[str, Mapping[str, Any]]:
    """Give the work of ``tables/advice.yaml``, and that of the exercises' own tables."""
    work: dict[str, Mapping[str, Any]] = dict(tables.load("advice")["exercises"])
    for exercise in exercises():
        work |= exercise.own_table("advice").get("exercises", {})
    return work


def drawing_of(work_id: str) -> Path:
    """Place of the drawing (SVG) of some work; an exercise of another package may have none."""
    for exercise in exercises():
        if work_id in exercise.own_table("advice").get("exercises", {}):
            return exercise.file(f"{work_id}.svg")
    return Path(__file__).parent / "drawings" / f"{work_id}.svg"


def advise(findings: Iterable[Finding], *, system: System = "metric") -> tuple[Work, ...]:
    """Choose the exercises for the checks that are outside their target.

    Parameters
    ----------
    findings
        From :func:`mobility.assessment.findings.find`; only those that are "found" count.
    system
        "metric" (cm, kg) or "imperial" (inches, pounds) for lengths and loads.

    Returns
    -------
    tuple of Work
        Each once, what is for the largest finding (:func:`excess`) first.
    """
    outside = [finding for finding in findings if finding.status == "found"]
    works = []
    for name, entry in all_work().items():
        because = tuple(finding for finding in outside if finding.rule in entry["for"])
        if not because:
            continue
        quantities = {
            key: in_system(quantity["value"], quantity["units"], system=system)
            for key, quantity in entry.get("quantities", {}).items()
        }
        works.append(
            Work(
                id=name,
                name=entry["name"],
                kind=entry["kind"],
                dose=_dose(entry),
                how=entry["how"].format(**quantities),
                purpose=entry["purpose"].format(**quantities),
                because=because,
                source=entry["source"],
            )
        )
    return tuple(sorted(works, key=lambda work: -max(map(excess, work.because))))


def _dose(entry: Mapping[str, Any]) -> str:
    """Write a dose: "4 sets of 30 s on each side, 5 days a week"."""
    amount = f"{entry['seconds']} s" if "seconds" in entry else f"{entry['repetitions']}"
    return tables.sentence(
        "comments.dose.each_side" if entry["each_side"] else "comments.dose.both_sides",
        sets=entry["sets"],
        amount=amount,
        days=entry["per_week"],
    )
