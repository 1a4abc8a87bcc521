"""Advice on findings: exercises with dose, purpose and source, from a table."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from mobility import tables
from mobility.assessment.findings import Finding, excess
from mobility.registry import exercises

System = Literal["metric", "imperial"]
SYSTEMS: tuple[System, ...] = get_args(System)

_UNITS: Mapping[str, Mapping[System, tuple[float, int, str]]] = {
    # Per metre and per kilogram, digits, and the symbol.
    "m": {"metric": (100.0, 1, "cm"), "imperial": (1 / 0.0254, 0, "in")},
    "kg": {"metric": (1.0, 1, "kg"), "imperial": (1 / 0.45359237, 0, "lb")},
}


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
    for each in exercises():
        work |= each.own_table("advice").get("exercises", {})
    return work


def advise(findings: Iterable[Finding], *, system: System = "metric") -> tuple[Work, ...]:
    """Choose the exercises for the faults that were found.

    Parameters
    ----------
    findings
        Of :func:`mobility.assessment.findings.find`; only those that are "found" count.
    system
        "metric" (cm, kg) or "imperial" (inches, pounds) for lengths and loads.

    Returns
    -------
    tuple of Work
        Each once, what is for the largest finding (:func:`excess`) first.
    """
    faults = [finding for finding in findings if finding.status == "found"]
    works = []
    for name, entry in all_work().items():
        because = tuple(finding for finding in faults if finding.rule in entry["for"])
        if not because:
            continue
        quantities = {
            key: quantity(given["value"], given["units"], system=system)
            for key, given in entry.get("quantities", {}).items()
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


def quantity(value: float, units: str, *, system: System, digits: int | None = None) -> str:
    """Write a length or a mass in the units of a system: "2.5 cm", "1 in".

    Parameters
    ----------
    value
        In metres or kilograms.
    units
        "m" or "kg".
    system
        "metric" (cm, kg) or "imperial" (inches of 2.54 cm, pounds of 0.45359237 kg).
    digits
        Decimals at most; by default one, of inches and pounds none.
    """
    factor, most, symbol = _UNITS[units][system]
    number = round(value * factor, most if digits is None else digits)
    return f"{number:g} {symbol}"


def stature(height_m: float, *, system: System) -> str:
    """Write the height of a person: "175 cm", or in whole feet and inches, "5 ft 9 in"."""
    if system == "metric":
        return quantity(height_m, "m", system=system, digits=0)
    feet, inches = divmod(round(height_m / 0.0254), 12)
    return f"{feet} ft {inches} in"


def _dose(entry: Mapping[str, Any]) -> str:
    """Write a dose: "4 sets of 30 s on each side, 5 days a week"."""
    amount = f"{entry['seconds']} s" if "seconds" in entry else f"{entry['repetitions']}"
    return tables.sentence(
        "comments.dose.each_side" if entry["each_side"] else "comments.dose.both_sides",
        sets=entry["sets"],
        amount=amount,
        days=entry["per_week"],
    )
