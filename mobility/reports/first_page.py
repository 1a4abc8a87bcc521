"""The first page of a report: what a reader with one minute should know, and how sure it is."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from mobility.wording import spoken
from mobility import tables
from mobility.assessment.indices import is_current
from mobility.assessment.comments import parts_left_out
from mobility.assessment.criteria import bars_of
from mobility.assessment.findings import Z95, Finding, excess, find, label, say
from mobility.assessment.movements import how_to_film, refusal_advice
from mobility.assessment.reasons import bare, plain
from mobility.assessment.verdict import PARTS, Part, Verdict, judge
from mobility.provenance import cameras_of
from mobility.view import UNKNOWN, view_of
from mobility.documents.fill import ANGLE_OF_JOINT
from mobility.reports.groups import exercises_in_short
from mobility.reports.joint_mobility import judged, reached, relevant, unmeasured
from mobility.reports.sections import (
    count_repetitions,
    facts,
    person,
    seen_from,
    table,
)

if TYPE_CHECKING:
    import xarray as xr

    from mobility.sessions.record import Edits, Participant, SessionRecord, Warned
    from mobility.plot import View
    from mobility.sessions.stored import StoredSession

INDICES = {"mobility_index": "Mobility index", "quality_index": "Quality index"}
MOST_FINDINGS = 3
"""Findings on the first page."""

_MOST_REASONS = 2
"""Reasons that are told on the first page, beside one line each for all others, for what is too
close to a limit, and for what no camera sees."""


_COLOURS = {
    "good": "ok",
    "limited": "poor",
    "not_this_exercise": "unusable",
    "unusable": "unusable",
}
"""Classes of the style sheet."""

_MOST_NAMES = 6
"""Names for one reason on the first page."""




def verdict_of(session: StoredSession) -> Verdict:
    """Say what the recording of a session is good for."""
    record, quality, metrics = session.record, session.capture_quality(), session.metrics()
    if record.exercise == "Overhead Squat":
        return judge(record.warnings, quality, metrics)
    return verdict_in_joints(quality, metrics, session.fitted(), record.warnings)


def verdict_in_joints(
    quality: Mapping[str, Any],
    metrics: xr.Dataset,
    pose: xr.Dataset,
    warnings: Sequence[Warned] = (),
) -> Verdict:
    """Say what a recording of single joints is good for: nothing, where none was measured."""
    what, why, name = unmeasured(metrics)
    if what:
        do = refusal_advice(name) if name else ""
        return Verdict("unusable", what, why, do, frozenset(PARTS))
    names = [ANGLE_OF_JOINT[str(joint)] for joint in metrics["joint"].values]
    told = relevant(warnings, names, quality, metrics)
    return judge(told, judged(quality, metrics, pose), metrics)


def trust(verdict: Verdict) -> str:
    """Say what the recording is good for, why, and what to do about it."""
    return (
        f"<p class='trust {_COLOURS[verdict.level]}'><strong>{escape(verdict.headline)}</strong> "
        f"{escape(' '.join(filter(None, [verdict.why, verdict.what_to_do])))}</p>"
    )


def trust_in_joints(
    quality: Mapping[str, Any],
    metrics: xr.Dataset,
    pose: xr.Dataset,
    warnings: Sequence[Warned] = (),
) -> str:
    """Say the same of single joints; where none was measured, with a drawing of how to film it."""
    verdict = verdict_in_joints(quality, metrics, pose, warnings)
    name = unmeasured(metrics)[2]
    if not name:
        return trust(verdict)
    drawing = how_to_film(name).drawing.read_text(encoding="utf-8")
    said = trust(replace(verdict, what_to_do=""))
    return (
        f"{said}<figure class='film'>{drawing}"
        f"<figcaption>{escape(verdict.what_to_do)}</figcaption></figure>"
    )


def absent(verdict: Verdict, *parts: Part) -> str:
    """Say in a paragraph which parts are not given, and why; empty where all are."""
    told = verdict.absent(*parts)
    return f"<p class='missing'>{escape(told)}</p>" if told else ""




def in_short(session: StoredSession) -> tuple[str, str]:
    """Say in one line each what was found in a session, and what to distrust."""
    counted = count_repetitions(session.repetitions())
    metrics, verdict = session.metrics(), verdict_of(session)
    if session.record.exercise != "Overhead Squat":
        return f"movements: {'; '.join([counted, *reached(metrics)])}", verdict.said
    if "findings" in verdict.rules_out:
        return f"repetitions: {counted}", verdict.said
    findings = verdict.keep(find(metrics))
    faults = "; ".join(dict.fromkeys(label(f) for f in findings if f.status == "found"))
    unknown = sum(f.status == "cannot be told" for f in findings)
    return (
        f"repetitions: {counted}; faults: {faults or 'none that could be told'}",
        f"{verdict.said} Of {len(findings)} possible findings {unknown} cannot be told.",
    )








def interval(metrics: xr.Dataset, name: str) -> tuple[float, float]:
    """Give lower and upper limit of the 95 % interval of an index; NaN where unknown."""
    bounds = metrics.get(f"{name}_interval")
    if bounds is None:
        return math.nan, math.nan
    return float(bounds.sel(bound="lower")), float(bounds.sel(bound="upper"))


def short_reason(metrics: xr.Dataset, name: str) -> str:
    """Say in a few words why a metric has no value, without what stands in brackets."""
    if name not in metrics:
        return "it is not part of this analysis"
    if name in INDICES and not is_current(metrics, name):
        return "it is of an older definition; analyse the session again"
    note = bare(metrics[name].attrs.get("note", ""))
    return note.split(" (")[0] or "nothing was measured"


def fms(metrics: xr.Dataset) -> str:
    """Show the criteria of the FMS deep squat with their probabilities, and the verdict.

    Parameters
    ----------
    metrics
        With ``fms_probability(fms_criterion)``; without it the text says so.
    """
    if "fms_probability" not in metrics:
        return "<p class='missing'>The FMS deep squat is not part of this analysis.</p>"
    given = metrics["fms_probability"]
    known = tables.load("criteria")["fms_deep_squat"]["criteria"]
    notes = json.loads(given.attrs.get("notes", "{}"))
    bars = bars_of(known)
    rows = []
    for name in map(str, given["fms_criterion"].values):
        p = float(given.sel(fms_criterion=name))
        why = bare(notes.get(name, ""))
        rows.append(
            [
                escape(str(known[name]["long_name"]).capitalize()),
                probability(p),
                _decided(p, bars[name], ("met", "not met"), why),
            ]
        )
    verdict = f"<h3>FMS deep squat: {escape(fms_verdict(metrics))}</h3>"
    return verdict + table(
        ["Criterion", "Probability", "So it is"],
        rows,
        caption="Probability that each criterion is met, from the value and its error",
    )


def fms_verdict(metrics: xr.Dataset) -> str:
    """Say which score the criteria allow, in words that do not give more than they know."""
    verdict = str(metrics["fms_probability"].attrs.get("verdict", "cannot be told"))
    if verdict.startswith("cannot be told"):
        return f"no score can be told{verdict.removeprefix('cannot be told')}"
    return {"3": "score 3 (all criteria met)"}.get(verdict, f"score {verdict}")


def fms_in_short(metrics: xr.Dataset) -> str:
    """Say the score in a line; nothing where none can be told."""
    told = fms_verdict(metrics) if "fms_probability" in metrics else "no score"
    return "" if told.startswith("no score") else f"<p>FMS deep squat: {escape(told)}.</p>"


def probability(p: float) -> str:
    """Write a probability, never as a certainty: "< 0.01", "0.67", "> 0.99"."""
    if not math.isfinite(p):
        return "–"
    if p < 0.01:
        return "&lt; 0.01"
    return "&gt; 0.99" if p > 0.99 else f"{p:.2f}"


def _decided(p: float, stated: float, words: tuple[str, str], why: str) -> str:
    if not math.isfinite(p):
        return f"<span class='missing'>cannot be told ({escape(why or 'not measured')})</span>"
    if p >= stated:
        return words[0]
    if p <= 1 - stated:
        return words[1]
    return "<span class='missing'>open: too close to tell</span>"


def findings_and_exercises(findings: Sequence[Finding], verdict: Verdict, *, most: int) -> str:
    """Say what stands out and what to do; of what is ruled out only that, as the verdict says why.

    Parameters
    ----------
    findings
        Those that the verdict keeps.
    verdict
        Of the recording.
    most
        Exercises to name.
    """
    if {"findings", "exercises"} <= verdict.rules_out:
        return "<p class='missing'>Findings and exercises are not given.</p>"
    return (
        f"<h2>What stands out</h2>{main_findings(findings, verdict)}<h2>What to do</h2>"
        + (absent(verdict, "exercises") or exercises_in_short(findings, most=most))
    )


def main_findings(findings: Sequence[Finding], verdict: Verdict) -> str:
    """State the largest findings in words, one for each rule.

    They stand in the order of :func:`excess`, of sides the larger.
    """
    if ruled_out := absent(verdict, "findings"):
        return ruled_out
    found = _alike([f for f in findings if f.status == "found"])
    if not found:
        open_ones = any(f.status == "cannot be told" for f in findings)
        text = (
            "No fault was found. Not everything could be told: see below."
            if open_ones
            else "No fault was found."
        )
        return f"<p>{text}</p>"
    found.sort(key=lambda each: -max(map(excess, each)))
    items = "".join(
        f"<li>{escape(say(each, 'participant'))}</li>" for each in found[:MOST_FINDINGS]
    )
    return f"<ol>{items}</ol>"


def largest(findings: Sequence[Finding]) -> list[Finding]:
    """Choose the main finding: the largest by :func:`excess`, and the other side of its rule."""
    found = [finding for finding in findings if finding.status == "found"]
    rule = max(found, key=excess).rule if found else ""
    return sorted((each for each in found if each.rule == rule), key=lambda each: -excess(each))


def cannot_be_told(findings: Sequence[Finding], metrics: xr.Dataset) -> str:
    """Say in at most five lines what cannot be told: by reason, in plain words."""
    reasons, close = _unknown(findings, plainly=True)
    ranked = sorted(reasons.items(), key=lambda item: -len(item[1]))
    items = [
        f"{reason.removeprefix('it is ')}: {_some(names)}"
        for reason, names in ranked[:_MOST_REASONS]
    ]
    others = [name for _, names in ranked[_MOST_REASONS:] for name in names]
    if others:
        items.append(f"for other reasons: {_some(list(dict.fromkeys(others)))}")
    return _listed(items, _some(close), metrics)




def _some(names: Sequence[str]) -> str:
    """Name the first few, and count the others."""
    more = len(names) - _MOST_NAMES
    also = [f"and {more} more"] if more > 0 else []
    return "; ".join([*names[:_MOST_NAMES], *also])


def _unknown(
    findings: Sequence[Finding], *, plainly: bool
) -> tuple[dict[str, list[str]], list[str]]:
    """Names of what was refused, by reason, and of what is too close to its limit."""
    refused: dict[str, list[str]] = {}
    close: list[str] = []
    for each in _alike([f for f in findings if f.status == "cannot be told"]):
        first = each[0]
        # The sides of one rule may be refused for reasons of their own.
        sides = {f.side for f in each} - {""}
        named = label(first) + (f" ({sides.pop()})" if len(sides) == 1 else "")
        if first.probability is None:
            reason = plain(first.reason) if plainly else first.reason.rstrip(".")
            names = refused.setdefault(reason, [])
        else:
            names = close
        if named not in names:
            names.append(named)
    return refused, close


def _listed(items: list[str], close: str, metrics: xr.Dataset) -> str:
    if close:
        items = [*items, f"too close to their limits for this recording: {close}"]
    unseen = json.loads(
        metrics["compensation_probability"].attrs.get("not_assessed", "{}")
        if "compensation_probability" in metrics
        else "{}"
    )
    if unseen:
        named = ", ".join(map(spoken, unseen))
        items = [*items, f"not seen by any camera with these landmarks: {named}"]
    if not items:
        return "<p>Everything that is looked for could be told.</p>"
    return "<ul>" + "".join(f"<li>{escape(i[:1].upper() + i[1:])}.</li>" for i in items) + "</ul>"




def _alike(findings: Sequence[Finding]) -> list[list[Finding]]:
    """Put the sides together of which one rule says the same."""
    alike: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        alike.setdefault((finding.rule, finding.reason), []).append(finding)
    return list(alike.values())
