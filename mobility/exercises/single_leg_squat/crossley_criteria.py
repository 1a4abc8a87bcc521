"""How many criteria of Crossley et al. (2011) each standing leg meets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from mobility.assessment.findings import Finding, label
from mobility.catalogue.exercise import Exercise

Status = Literal["met", "failed", "not_told"]


class Criterion(NamedTuple):
    """One criterion of one leg; `labels` name the findings, or else what is not decided."""

    name: str
    status: Status
    labels: tuple[str, ...]


def judged_criteria(findings: Sequence[Finding], leg: str, exercise: Exercise) -> list[Criterion]:
    """Judge the criteria of a leg by the findings about it.

    A criterion has one or several rules. It has failed if one of them is outside its target;
    else it is "not_told" if one could not be judged, or none has a finding; else it is met.
    """
    finding_of_rule = {finding.rule: finding for finding in findings if finding.side == leg}
    judged = []
    for entry in exercise.own_table("crossley")["criteria"].values():
        parts = [finding_of_rule[rule] for rule in entry["rules"] if rule in finding_of_rule]
        outside = [label(part) for part in parts if part.status == "found"]
        undecided = [label(part) for part in parts if part.status == "cannot be told"]
        status: Status = "failed" if outside else "not_told" if undecided or not parts else "met"
        judged.append(Criterion(entry["long_name"], status, tuple(outside or undecided)))
    return judged


def rated_good(judged: Sequence[Criterion], exercise: Exercise) -> bool:
    """Whether enough criteria are met for the published rating "good"."""
    met = sum(criterion.status == "met" for criterion in judged)
    return met >= int(exercise.own_table("crossley")["good_at_least"])
