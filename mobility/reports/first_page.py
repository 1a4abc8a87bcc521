"""The first page of a report, for a reader with one minute."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import htpy as h
from markupsafe import Markup

from mobility import tables
from mobility.assessment.answers import ANSWERS
from mobility.assessment.criteria import fms_verdict
from mobility.assessment.findings import (
    Finding,
    all_rules,
    excess,
    label,
    place,
    row_name,
    say,
)
from mobility.assessment.verdict import Part, Verdict
from mobility.assessment.views_of_rules import films_beside
from mobility.base.wording import capital, listed, spoken
from mobility.documents.of_session import verdict_of
from mobility.keypoints.view import TWO_CAMERAS, UNKNOWN, best_view, trial_view
from mobility.kinematics.skeleton import other_side
from mobility.reports.exercise_page import page_of
from mobility.reports.html import bullets, html, paragraphs
from mobility.reports.part_sections import exercises_in_short
from mobility.reports.recording import count_repetitions

if TYPE_CHECKING:
    import xarray as xr

    from mobility.sessions.stored_session import StoredSession

MOST_FINDINGS = 3
"""Findings on the first page."""

MOST_LIKELY = 2
"""Faults on the first page that are open, and more likely there than not, within that number."""

CLASS_OF_LEVEL = {
    "good": "ok",
    "limited": "poor",
    "not_this_exercise": "unusable",
    "unusable": "unusable",
}
"""Class of the style sheet for each level of a verdict."""


def trust(verdict: Verdict) -> Markup:
    """Say what the recording is good for, why, and what to do about it."""
    why = " ".join(filter(None, [verdict.why, verdict.what_to_do]))
    kind = f"trust {CLASS_OF_LEVEL[verdict.level]}"
    return paragraphs((h.strong[verdict.headline], " ", why), kind=kind)


def what_the_view_hides(pose: xr.Dataset, verdict: Verdict) -> Markup:
    """Say in a line what the view of the camera hides or shows less well.

    Empty where the verdict rules out findings, with two cameras, and where the view is unknown.
    """
    view = best_view(pose)
    if "findings" in verdict.rules_out or trial_view(pose) in (TWO_CAMERAS, UNKNOWN):
        return Markup()
    side = "right" if view.azimuth_deg > 0 else "left"
    sentence = tables.sentence(
        f"report.view_hides.{view.kind.replace('-', '_')}",
        azimuth=abs(view.azimuth_deg),
        side=side,
        other=other_side(side),
    )
    return paragraphs(sentence, kind="note")


def doubt(verdict: Verdict) -> Markup:
    """Say in a line that the sides may have been exchanged; empty where that is not in doubt."""
    sentence = f"{tables.sentence('report.sides_in_doubt')}."
    return paragraphs(sentence, kind="note") if verdict.sides_in_doubt else Markup()


def absent(verdict: Verdict, *parts: Part) -> Markup:
    """Say in a paragraph which parts are not given, and why; empty where all are."""
    sentence = verdict.absent(*parts)
    return paragraphs(sentence, kind="missing") if sentence else Markup()


def in_short(session: StoredSession) -> tuple[str, str]:
    """Give the findings of a session in one line, and the verdict in another."""
    counted, verdict = count_repetitions(session.repetitions()), verdict_of(session)
    return page_of(session.record.kind).in_short(session, counted, verdict), verdict.text


def faults_in_words(findings: Sequence[Finding]) -> str:
    """Name the faults of findings, each once."""
    return "; ".join(dict.fromkeys(map(_label, _by_rule_and_reason(findings))))


def fms_in_short(metrics: xr.Dataset) -> Markup:
    """Give the score of the FMS deep squat in a line; empty where the score is undecided."""
    probabilities = metrics.get("fms_probability")
    score, words = ("open", "") if probabilities is None else fms_verdict(probabilities)
    if score == "open":
        return Markup()
    return paragraphs(tables.sentence("report.fms_score", score=words))


def findings_and_advice(
    findings: Sequence[Finding], verdict: Verdict, *, most: int, view: str = UNKNOWN
) -> Markup:
    """Show the main findings and advice, or that the verdict rules them out.

    Parameters
    ----------
    findings
        All, as the verdict leaves them.
    verdict
        The recording's verdict.
    most
        Most pieces of advice to name.
    view
        Kind of the view.
    """
    if {"findings", "exercises"} <= verdict.rules_out:
        return paragraphs(tables.sentence("report.first_page.nothing_given"), kind="missing")
    stands_out = main_findings(findings, verdict, view=view) + doubt(verdict)
    work = absent(verdict, "exercises") or exercises_in_short(findings, most=most)
    return html(h.h2["What stands out"], stands_out, h.h2["What to do"], work)


def main_findings(
    findings: Sequence[Finding], verdict: Verdict, *, view: str | Sequence[str] = UNKNOWN
) -> Markup:
    """State the largest findings in words, one for each rule, and what is likely but open.

    Sorted by :func:`excess`, largest first; of two sides the larger counts.
    """
    if ruled_out := absent(verdict, "findings"):
        return ruled_out
    faults = _by_rule_and_reason([f for f in findings if f.status == "found"])
    faults.sort(key=lambda each: -max(map(excess, each)))
    items = (h.li[say(each, "participant")] for each in faults[:MOST_FINDINGS])
    page = html(h.ol[items])
    if more := len(faults[MOST_FINDINGS:]):
        page += paragraphs(tables.sentence("report.first_page.more_found", count=more))
    most = min(MOST_LIKELY, max(MOST_FINDINGS - len(faults), 0))
    likely = likely_in_words(findings, view, most=most)
    if not faults and findings:
        judged = [each.answer in ("near", "reached") for each in findings]
        if all(judged):
            page = paragraphs(tables.sentence("report.first_page.no_fault"))
        elif any(judged):
            page = paragraphs(tables.sentence("report.first_page.no_fault_in_part"))
        else:
            page = paragraphs(
                tables.sentence(
                    "report.first_page.nothing_decided"
                    if likely
                    else "report.first_page.nothing_judged"
                )
            )
    return (page + likely if faults else likely + page) + in_words(findings)


def likely_in_words(findings: Sequence[Finding], view: str | Sequence[str], *, most: int) -> Markup:
    """Say what is open and more likely there than not, and which film would tell more.

    Of what a reader expects to be told, the largest `most`; what is a fault on the other side is
    told already.
    """
    views = [view] if isinstance(view, str) else view
    faults = {each.rule for each in findings if each.answer == "fault"}
    likely: dict[str, list[Finding]] = {}
    for each in findings:
        if is_likely(each) and each.rule not in faults:
            likely.setdefault(each.rule, []).append(each)
    largest = sorted(likely.values(), key=lambda of_rule: -max(map(excess, of_rule)))[:most]
    films = {
        each.rule: film
        for film, shown in films_beside([of_rule[0] for of_rule in largest], views).items()
        for each in shown
    }
    named: dict[str, list[str]] = {}
    for of_rule in largest:
        rule = of_rule[0].rule
        named.setdefault(films.get(rule, ""), []).append(_may(rule) + _one_side(of_rule))
    sentences = []
    for film, phrases in named.items():
        names = capital(listed(phrases))
        if film:
            sentence = tables.sentence(
                "report.first_page.likely_with_film", names=names, film=film_in_words(film)
            )
        else:
            sentence = tables.sentence("report.first_page.likely", names=names)
        sentences.append(sentence)
    return paragraphs(" ".join(sentences)) if sentences else Markup()


def is_likely(finding: Finding) -> bool:
    """Whether it is open, more likely a fault than not, and has words for that."""
    least = float(tables.load("findings")["likely"]["value"])
    return (
        finding.answer == "open"
        and (finding.probability or 0.0) >= least
        and bool(_may(finding.rule))
    )


def _one_side(findings: Sequence[Finding]) -> str:
    """Name the side of findings of one rule in brackets, if they have one and not both."""
    sides = {each.side for each in findings} - {""}
    return f" ({sides.pop()})" if len(sides) == 1 else ""


def _may(rule_name: str) -> str:
    """Words for a fault that may be there; empty where a rule has none."""
    return str(all_rules()[rule_name].get("checkpoint", {}).get("may", ""))


def film_in_words(film: str) -> str:
    """Say from where a film is taken: a view that :func:`films_beside` gives."""
    return tables.sentence(f"report.another_film.{film.replace('-', '_')}")


def in_words(findings: Sequence[Finding]) -> Markup:
    """Say of what a reader expects to be told which is in order, and which near its aim.

    All sides are that the camera sees; where it does not see one, the other is named.
    """
    in_order: list[str] = []
    near: list[str] = []
    rules = all_rules()
    names = dict.fromkeys(f.rule for f in findings if "checkpoint" in rules[f.rule])
    for name in sorted(names, key=place):
        of_rule = [f for f in findings if f.rule == name]
        seen = [f for f in of_rule if not f.hidden]
        answers = {f.answer for f in seen}
        if answers and answers <= {"reached", "near"}:
            part = str(rules[name]["checkpoint"]["name"])
            if len(seen) < len(of_rule):
                part = f"{part} ({seen[0].side})"
            (near if "near" in answers else in_order).append(part)
    lines = []
    if in_order:
        lines.append(tables.sentence("report.first_page.in_order", names=listed(in_order)))
    if near:
        lines.append(tables.sentence("report.first_page.near", names=listed(near)))
    return paragraphs(*lines)


def in_lines(
    answers: Sequence[Finding],
    *,
    marked: Mapping[str, Collection[str]],
    view: str | Sequence[str] = UNKNOWN,
) -> Markup:
    """Name in a line each what has an answer without a mark: what is open, refused, hidden...

    A side is named where the other has another answer, or another reason.

    Parameters
    ----------
    answers
        Those of all checks, as the verdict leaves them.
    marked
        Sides whose answer stands in a row, by the name of the row.
    view
        Kind of the view, or the views of several films: what is hidden from all is named with one
        that shows it.
    """
    views = [view] if isinstance(view, str) else view
    hidden = [each for each in answers if each.answer == "hidden"]
    sides_of_rule: dict[str, set[str]] = {}
    for each in answers:
        sides_of_rule.setdefault(each.rule, set()).add(each.side)
    film_of = {
        each.id: film for film, shown in films_beside(hidden, views).items() for each in shown
    }
    lines: dict[tuple[str, str], dict[str, list[str]]] = {}
    for each in answers:
        if each.side in marked.get(row_name(each.rule), ()):
            continue
        kind, reason = str(each.answer), ""
        if kind == "refused" or (kind == "open" and each.probability is None):
            kind, reason = f"{kind}_because", each.reason
        elif kind == "hidden":
            film = film_of.get(each.id)
            kind, reason = (kind, film) if film else ("hidden_because", each.reason)
        lines.setdefault((kind, reason), {}).setdefault(each.rule, []).append(each.side)
    kinds = [*ANSWERS[:4], "open_because", "refused_because", "hidden_because", "hidden"]
    paragraphs_of_lines = []
    for kind, reason in sorted(lines, key=lambda key: kinds.index(key[0])):
        names = [
            row_name(rule) + ("" if {*sides} == sides_of_rule[rule] else f" ({sides[0]})")
            for rule, sides in lines[kind, reason].items()
        ]
        reason = film_in_words(reason) if kind == "hidden" else reason
        line = tables.sentence(f"report.lines.{kind}", names="; ".join(names), reason=reason)
        paragraphs_of_lines.append(h.p[line])
    return html(h.div(".unanswered")[paragraphs_of_lines]) if lines else Markup()


def main_fault(findings: Sequence[Finding]) -> list[Finding]:
    """Choose the main finding: the largest by :func:`excess`, and the other side of its rule."""
    faults = [finding for finding in findings if finding.status == "found"]
    rule = max(faults, key=excess).rule if faults else ""
    return sorted((each for each in faults if each.rule == rule), key=lambda each: -excess(each))


def cannot_be_told(findings: Sequence[Finding], metrics: xr.Dataset) -> Markup:
    """List, grouped by reason, the faults that could not be judged; most frequent reason first."""
    refused: dict[str, list[str]] = {}
    close: list[str] = []
    silent = [f for f in findings if f.status == "cannot be told" and f.answer != "near"]
    for each in _by_rule_and_reason(silent):
        first = each[0]
        name = _label(each)  # the sides of one rule may be refused for reasons of their own
        names = close if first.probability is not None else refused.setdefault(first.reason, [])
        if name not in names:
            names.append(name)
    criteria = metrics.get("compensation_probability")
    unseen = {} if criteria is None else json.loads(criteria.attrs.get("not_assessed", "{}"))
    items = [
        tables.sentence(f"report.cannot_be_told.{kind}", reason=reason, names="; ".join(names))
        for kind, reason, names in [
            *(("refused", *each) for each in sorted(refused.items(), key=lambda i: -len(i[1]))),
            ("too_close", "", close),
            ("unseen", "", list(map(spoken, unseen))),
        ]
        if names
    ]
    return bullets(items) or paragraphs(tables.sentence("report.all_told"))


def _label(findings: Sequence[Finding]) -> str:
    """Name the fault of findings of one rule, with the side if there is only one."""
    sides = {f.side for f in findings} - {""}
    return label(findings[0]) + (f" ({sides.pop()})" if len(sides) == 1 else "")


def _by_rule_and_reason(findings: Sequence[Finding]) -> list[list[Finding]]:
    """Group findings by rule and reason."""
    groups: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.rule, finding.reason), []).append(finding)
    return list(groups.values())
