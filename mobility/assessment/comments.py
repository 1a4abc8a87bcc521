"""Comments on a squat in plain words, for the participant and for the professional.

Advice on findings: drills with dose, purpose and source, from a table.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xarray as xr

from mobility import tables
from mobility.assessment.criteria import fms_verdict, probability_in_words
from mobility.assessment.findings import Finding, Level, excess, find, label, say
from mobility.assessment.number import number_of, reason_missing
from mobility.assessment.results import DECIDED, Result, in_words
from mobility.assessment.verdict import Part, Verdict, judge
from mobility.base.formatting import System, capital, in_system, listed, spoken, stature
from mobility.base.options import checked
from mobility.base.provenance import AnalysisWarning, warnings_of
from mobility.catalogue.registry import exercise_of, exercises
from mobility.kinematics.datasets import Metrics
from mobility.kinematics.expected_error import half_width


@dataclass(frozen=True)
class Work:
    """One recommended drill, and the reason for it.

    Attributes
    ----------
    id, name, kind
        Entry of the table, its name, and "mobility", "strength" or "control".
    dose
        Sets, repetitions or seconds, and days per week, in words.
    how, purpose
        What to do, and its purpose.
    because
        The findings for which it is recommended.
    source
        Literature on the drill and its dose.
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
    """Return the drills of ``tables/advice.yaml``, and those of the exercises' own tables."""
    work: dict[str, Mapping[str, Any]] = dict(tables.load("advice")["exercises"])
    for exercise in exercises():
        work |= exercise.own_table("advice").get("exercises", {})
    return work


def drawing_of(work_id: str) -> Path:
    """Return the path of a drill's drawing (SVG); a drill from another package may have none."""
    for exercise in exercises():
        if work_id in exercise.own_table("advice").get("exercises", {}):
            return exercise.file(f"{work_id}.svg")
    return Path(__file__).parent / "drawings" / f"{work_id}.svg"


def advise(findings: Iterable[Finding], *, system: System = "metric") -> tuple[Work, ...]:
    """Choose drills for the checks that are outside their target.

    Parameters
    ----------
    findings
        From :func:`mobility.assessment.findings.find`; only "found" findings count.
    system
        "metric" (cm, kg) or "imperial" (inches, pounds) for lengths and loads.

    Returns
    -------
    tuple of Work
        Each drill once; the drill for the largest finding (:func:`excess`) comes first.
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


GROUPS = ("hip_flexion", "hip_abduction", "knee_flexion", "knee_movement", "ankle_dorsiflexion")
"""Groups with a comment."""

WHOLE = "whole_movement"
SUMMARY = "final_summary"
"""Key of the comment on the whole movement."""

KEYS = (*GROUPS, SUMMARY)

_KINDS: tuple[Result | None, ...] = ("outside", "met", "borderline", None)
"""Kinds of statements, in their order: results of checks, and None for checks without one."""


def _of_kind(findings: Sequence[Finding], kind: Result | None) -> list[Finding]:
    """Choose findings of one kind of statement."""
    return [
        finding
        for finding in findings
        if kind == (finding.result if finding.result in DECIDED else None)
    ]


@checked
def comments(
    metrics: Metrics,
    *,
    name: str | None = None,
    level: Level = "participant",
    system: System = "metric",
    height_m: float | None = None,
    weight_kg: float | None = None,
    verdict: Verdict | None = None,
) -> dict[str, str]:
    """Comment on each group of metrics and on the whole movement.

    Every statement comes from :func:`mobility.assessment.findings.find`, with its status. Equal
    metrics give equal texts.

    Parameters
    ----------
    metrics
        Metrics Dataset from :func:`mobility.overhead_squat`.
    name
        Name of the participant; without it the text uses "you".
    level
        "participant": plain words, in the second person. "professional": terms and limits.
    system
        "metric" (cm, kg) or "imperial" (inches, pounds); angles are in degrees in both.
    height_m, weight_kg
        Height and weight of the participant, if known; only the professional text names them.
    verdict
        Verdict on the recording, which rules out some comments; by default it comes from the
        warnings of the metrics.

    Returns
    -------
    dict
        Texts by group, and ``final_summary``; each text has one line for each kind of statement.

    Raises
    ------
    BadInputError
        If the unit of a metric differs from the unit of its rule.
    """
    verdict = _verdict(metrics, verdict)
    out = verdict.rules_out
    findings = verdict.keep(find(metrics))
    advised = () if "exercises" in out else findings
    texts = {}
    for group in GROUPS:
        of_group = [finding for finding in findings if finding.group == group]
        lines = [_opening(group, name, level, metrics), *_absent(verdict, "findings")]
        lines += statements(of_group, level)
        if group == "knee_movement":
            lines += _stance(metrics, level, system)
        lines += _work(advise([f for f in advised if f.group == group], system=system))
        texts[group] = "\n".join(lines)
    texts[SUMMARY] = "\n".join(
        [
            _opening(WHOLE, name, level, metrics),
            verdict.text,
            *_person(level, system, height_m, weight_kg),
            *_counted(metrics),
            *([] if "indices" in out else _indices(metrics, level)),
            *([] if "fms" in out else _criteria(metrics, level)),
            *_absent(verdict, "indices", "fms", "smoothness", "findings", "exercises"),
            *statements([f for f in findings if f.group == WHOLE], level),
            *_elsewhere([f for f in findings if f.group != WHOLE]),
            *_work(advise(advised, system=system)),
            tables.load("advice")["notice"]["text"],
        ]
    )
    return texts


@checked
def recommendations(
    metrics: Metrics,
    *,
    name: str | None = None,
    level: Level = "participant",
    system: System = "metric",
    verdict: Verdict | None = None,
) -> dict[str, str]:
    """Recommend drills for each group of metrics, and for the whole movement.

    Parameters
    ----------
    metrics, name, level, system, verdict
        As for :func:`comments`. The professional text also has the sources.

    Returns
    -------
    dict
        Texts by group, and ``final_summary``. Undecided findings have no drill, but advice on how
        to film them.
    """
    verdict = _verdict(metrics, verdict)
    findings = verdict.keep(find(metrics))
    texts = {}
    for key in KEYS:
        of_group = [f for f in findings if f.group == key] if key != SUMMARY else list(findings)
        works = advise(of_group, system=system)
        opening = _opening(WHOLE if key == SUMMARY else key, name, level, metrics)
        lines = [opening, *([] if verdict.level == "good" else [verdict.text])]
        if ruled_out := verdict.absent("exercises"):
            texts[key] = "\n".join([*lines, ruled_out])
            continue
        lines += [_exercise(n, work, level) for n, work in enumerate(works, start=1)]
        advice = tables.load("advice")
        # No video can supply a norm that nobody published.
        untold = _of_kind(of_group, None)
        is_open = any(f.value is None or f.threshold is not None for f in untold)
        if not works:
            keeps_on = not untold and not _of_kind(of_group, "borderline")
            lines.append(advice["keep" if keeps_on else "nothing"]["text"])
        if is_open:
            lines.append(advice["record_again"]["text"])
        texts[key] = "\n".join([*lines, advice["notice"]["text"]])
    return texts


def statements(findings: Sequence[Finding], level: Level) -> list[str]:
    """Write a line for each kind of result: outside target, met, borderline, not decided.

    Equal findings for both sides are combined, and so are findings that have no result for the same
    reason.
    """
    lines = []
    for kind in _KINDS:
        alike: dict[tuple[str, str], list[Finding]] = {}
        for finding in _of_kind(findings, kind):
            refused = finding.status == "cannot be told" and finding.probability is None
            alike.setdefault(("" if refused else finding.rule, finding.reason), []).append(finding)
        if alike:
            sentences = " ".join(say(alike_findings, level) for alike_findings in alike.values())
            lines.append(f"{_heading(kind)}. {sentences}")
    return lines


def _heading(kind: Result | None) -> str:
    return capital(in_words(kind)) if kind else tables.sentence("comments.not_decided")


def _opening(group: str, name: str | None, level: Level, metrics: xr.Dataset) -> str:
    groups = tables.load("findings")["groups"] | exercise_of(metrics).table.get("groups", {})
    words: str = groups[group][level]
    if name:
        return tables.sentence(f"comments.opening.{level}.named", name=name, what=words)
    words = words if level == "participant" else capital(words)
    return tables.sentence(f"comments.opening.{level}.unnamed", what=words)


def _verdict(metrics: xr.Dataset, verdict: Verdict | None) -> Verdict:
    if verdict is not None:
        return verdict
    return judge([AnalysisWarning(**warning) for warning in warnings_of(metrics)], metrics=metrics)


def _absent(verdict: Verdict, *parts: Part) -> list[str]:
    sentence = verdict.absent(*parts)
    return [sentence] if sentence else []


def _person(
    level: Level, system: System, height_m: float | None, weight_kg: float | None
) -> list[str]:
    personal = []
    if height_m is not None:
        height = stature(height_m, system=system)
        personal.append(tables.sentence("comments.height", height=height))
    if weight_kg is not None:
        mass = in_system(weight_kg, "kg", system=system, digits=0)
        personal.append(tables.sentence("comments.mass", mass=mass))
    if level == "participant" or not personal:
        return []
    return [tables.sentence("comments.person", known=", ".join(personal))]


def _counted(metrics: xr.Dataset) -> list[str]:
    if "accepted_repetitions" not in metrics:
        return []
    count = int(metrics["accepted_repetitions"])
    number = ("none", "one")[count] if count < 2 else "several"
    return [tables.sentence(f"comments.repetitions.{number}", count=count)]


def _indices(metrics: xr.Dataset, level: Level) -> list[str]:
    sentences = []
    for name in ("mobility_index", "quality_index"):
        if name not in metrics:
            continue
        words = capital(spoken(name))
        value = float(metrics[name])
        if not math.isfinite(value):
            reason = reason_missing(metrics, name)
            if level == "participant":
                reason = tables.sentence("comments.index.too_little")
            sentences.append(tables.sentence("comments.index.none", index=words, reason=reason))
            continue
        in_words = tables.sentence("comments.index.value", value=value)
        if f"{name}_interval" in metrics:
            low, high = (float(bound) for bound in metrics[f"{name}_interval"])
            in_words = tables.sentence("comments.index.between", value=value, low=low, high=high)
        absent = parts_left_out(metrics, name)[1]
        sentences.append(
            tables.sentence(
                "comments.index.part" if absent else "comments.index.whole",
                index=words,
                value=in_words,
                absent=listed(absent),
            )
        )
    return [" ".join(sentences)] if sentences else []


def parts_left_out(metrics: xr.Dataset, name: str) -> tuple[float, list[str]]:
    """Return the share of the parts in an index, and the names of the missing parts."""
    scores = metrics.get(f"{name}_part_score")
    if scores is None or f"{name}_coverage" not in metrics:
        return 1.0, []
    (dim,) = map(str, scores.dims)
    points = zip(scores[dim].values, scores.values, strict=True)
    absent = [str(part).replace("_", " ") for part, score in points if not math.isfinite(score)]
    return float(metrics[f"{name}_coverage"]), absent


def _criteria(metrics: xr.Dataset, level: Level) -> list[str]:
    """Return the possible FMS score with its criteria, and what is not assessed."""
    lines = []
    if "fms_probability" in metrics:
        criteria = metrics["fms_probability"]
        met = zip(criteria["fms_criterion"].values, criteria.values, strict=True)
        criteria_in_words = (
            f"{name} {probability_in_words(p) if math.isfinite(p) else 'unknown'}"
            for name, p in met
        )
        words = {"verdict": fms_verdict(criteria)[1], "criteria": ", ".join(criteria_in_words)}
        lines.append(tables.sentence(f"comments.fms.{level}", **words))
    if "compensation_probability" in metrics and level == "professional":
        unseen = json.loads(metrics["compensation_probability"].attrs["not_assessed"])
        names = listed([spoken(name) for name in unseen])
        lines.append(tables.sentence("comments.not_assessed", names=names))
    return lines


def _stance(metrics: xr.Dataset, level: Level, system: System) -> list[str]:
    width = _value(metrics, "stance_width_m")
    if not math.isfinite(width):
        return []
    text = in_system(width, "m", system=system, digits=0)
    sd = number_of(metrics, "stance_width_m").sd
    if math.isfinite(sd):
        low, high = (
            in_system(width + sign * half_width(sd), "m", system=system, digits=0)
            for sign in (-1, 1)
        )
        text += f" ({low.split()[0]} to {high})"
    ratio = _value(metrics, "stance_width")
    kind = "compared" if math.isfinite(ratio) else "alone"
    return [tables.sentence(f"comments.stance.{level}.{kind}", width=text, ratio=ratio)]


def _elsewhere(findings: Sequence[Finding]) -> list[str]:
    """List the findings of the groups in a few words."""
    lines = []
    for kind in _KINDS:
        by_label: dict[str, list[str]] = {}
        for finding in _of_kind(findings, kind):
            by_label.setdefault(label(finding), []).append(finding.side)
        if by_label:
            names = "; ".join(
                f"{words} ({' and '.join(sides)})" if any(sides) else words
                for words, sides in by_label.items()
            )
            lines.append(tables.sentence("comments.elsewhere", heading=_heading(kind), names=names))
    return lines


def _work(works: Sequence[Work]) -> list[str]:
    if not works:
        return []
    exercises = ". ".join(f"{capital(work.name)}, {work.dose}" for work in works)
    return [tables.sentence("comments.work", exercises=exercises)]


def _exercise(number: int, work: Work, level: Level) -> str:
    because = dict.fromkeys(f"{label(f)}{f' ({f.side})' if f.side else ''}" for f in work.because)
    return tables.sentence(
        f"comments.exercise.{level}",
        number=number,
        name=capital(work.name),
        dose=work.dose,
        how=work.how,
        purpose=work.purpose,
        because="; ".join(because),
        kind=work.kind,
        source=work.source,
    )


def _value(metrics: xr.Dataset, name: str) -> float:
    return float(metrics[name]) if name in metrics and not metrics[name].dims else math.nan
