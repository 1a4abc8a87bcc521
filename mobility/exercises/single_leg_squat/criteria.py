"""How many criteria of Crossley et al. (2011) each standing leg meets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from mobility.assessment.findings import Finding, label
from mobility.registry import Exercise

Status = Literal["met", "failed", "not_told"]


class Criterion(NamedTuple):
    """One criterion of one leg: whether it is met, and by which labels of rules it is not."""

    name: str
    status: Status
    labels: tuple[str, ...]


def criteria(findings: Sequence[Finding], leg: str, exercise: Exercise) -> list[Criterion]:
    """Judge the criteria of a leg by the findings about it.

    One is met where no part of it is a fault, and not met where one is; where a part cannot be told
    and none is a fault, nor can the criterion.
    """
    of = {each.rule: each for each in findings if each.side == leg}
    judged = []
    for entry in exercise.own_table("crossley")["criteria"].values():
        parts = [of[rule] for rule in entry["rules"] if rule in of]
        faults = [label(each) for each in parts if each.status == "found"]
        unknown = [label(each) for each in parts if each.status == "cannot be told"]
        status: Status = "failed" if faults else "not_told" if unknown or not parts else "met"
        judged.append(Criterion(entry["long_name"], status, tuple(faults or unknown)))
    return judged


def rated_good(judged: Sequence[Criterion], exercise: Exercise) -> bool:
    """Whether enough criteria are met for the rating that is published as good."""
    met = sum(each.status == "met" for each in judged)
    return met >= int(exercise.own_table("crossley")["good_at_least"])
