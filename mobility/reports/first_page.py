"""The first page of a report, for a reader with one minute."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import htpy as h
from markupsafe import Markup

from mobility import tables
from mobility.assessment.criteria import fms_verdict
from mobility.assessment.findings import (
    Finding,
    all_rules,
    excess,
    films_beside,
    hidden_in_words,
    label,
    name_of,
    place,
    row_name,
    say,
    say_gross,
)
from mobility.assessment.results import OF_A_VALUE, RESULTS, Result
from mobility.assessment.results import in_words as result_in_words
from mobility.assessment.verdict import Part, Verdict
from mobility.base.formatting import capital, listed, spoken
from mobility.documents.of_session import verdict_of
from mobility.keypoints.view import TWO_CAMERAS, UNKNOWN, best_view, trial_view
from mobility.reports.exercise_page import page_of
from mobility.reports.html import bullets, html, paragraphs
from mobility.reports.part_sections import exercises_in_short
from mobility.reports.recording import count_repetitions

if TYPE_CHECKING:
    import xarray as xr

    from mobility.sessions.stored_session import StoredSession

MOST_FINDINGS = 3
"""Largest number of findings on the first page."""

MOST_LIKELY = 2
"""Largest number of inconclusive checks, among these findings, that are more likely outside than
not.
"""

CLASS_OF_LEVEL = {
    "good": "ok",
    "limited": "poor",
    "not_this_exercise": "unusable",
    "unusable": "unusable",
}
"""CSS class for each level of a verdict."""


def trust(verdict: Verdict) -> Markup:
    """State the verdict on the recording, the reason, and what to do about it."""
    why = " ".join(filter(None, [verdict.why, verdict.what_to_do]))
    kind = f"trust {CLASS_OF_LEVEL[verdict.level]}"
    return paragraphs((h.strong[verdict.headline], " ", why), kind=kind)


def what_the_view_hides(pose: xr.Dataset, verdict: Verdict) -> Markup:
    """State in a line what is hidden or less visible in the camera's view.

    The line is empty if the verdict rules out findings, with two cameras, and if the view is
    unknown.
    """
    if "findings" in verdict.rules_out or trial_view(pose) in (TWO_CAMERAS, UNKNOWN):
        return Markup()
    return paragraphs(hidden_in_words(best_view(pose)), kind="note")


def doubt(verdict: Verdict) -> Markup:
    """Warn in a line that the sides may have been exchanged; empty if there is no doubt."""
    sentence = f"{tables.sentence('report.sides_in_doubt')}."
    return paragraphs(sentence, kind="note") if verdict.sides_in_doubt else Markup()


def absent(verdict: Verdict, *parts: Part) -> Markup:
    """State in a paragraph which parts are not reported, and why; empty if all are reported."""
    sentence = verdict.absent(*parts)
    return paragraphs(sentence, kind="missing") if sentence else Markup()


def in_short(session: StoredSession) -> tuple[str, str]:
    """Return the findings of a session in one line, and the verdict in another line."""
    counted, verdict = count_repetitions(session.repetitions()), verdict_of(session)
    return page_of(session.record.kind).in_short(session, counted, verdict), verdict.text


def findings_in_words(findings: Sequence[Finding]) -> str:
    """Name findings, each once."""
    return "; ".join(dict.fromkeys(map(_label, _by_rule_and_reason(findings))))


def fms_in_short(metrics: xr.Dataset) -> Markup:
    """Return the score of the FMS deep squat in a line; empty if the score is undecided."""
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
        All findings, as the verdict leaves them.
    verdict
        Verdict on the recording.
    most
        Largest number of pieces of advice to name.
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
    """State the largest findings in words, one for each rule, and likely but undecided findings.

    They are sorted by :func:`excess`, largest first. If both sides have a finding, the larger one
    counts.
    """
    if ruled_out := absent(verdict, "findings"):
        return ruled_out
    outside = _by_rule_and_reason([f for f in findings if f.status == "found"])
    outside.sort(key=lambda each: -max(map(excess, each)))
    named = _each_once(outside)[:MOST_FINDINGS]
    page = html(h.ol[(h.li[say(each, "participant")] for each in named)])
    if more := len(outside) - len(named):
        page += paragraphs(tables.sentence("report.first_page.more_found", count=more))
    most = min(MOST_LIKELY, max(MOST_FINDINGS - len(outside), 0))
    likely = gross_in_words(findings, view) + likely_in_words(findings, view, most=most)
    if not outside and findings:
        judged = [each.result in ("borderline", "met") for each in findings]
        if all(judged):
            page = paragraphs(tables.sentence("report.first_page.none_outside"))
        elif any(judged):
            page = paragraphs(tables.sentence("report.first_page.none_outside_in_part"))
        else:
            page = paragraphs(
                tables.sentence(
                    "report.first_page.nothing_decided"
                    if likely
                    else "report.first_page.nothing_judged"
                )
            )
    return (page + likely if outside else likely + page) + in_words(findings)


def gross_in_words(findings: Sequence[Finding], view: str | Sequence[str]) -> Markup:
    """State what the picture shows for an inconclusive check, and which view measures it."""
    shown = list({each.rule: each for each in findings if each.gross}.values())
    films = _films_of(shown, view)
    sentences = []
    for each in shown:
        sentences.append(say_gross(each, "participant"))
        if film := films.get(each.id):
            place = film_in_words(film)
            sentences.append(tables.sentence("report.first_page.gross_film", film=place))
    return paragraphs(" ".join(sentences)) if sentences else Markup()


def likely_in_words(findings: Sequence[Finding], view: str | Sequence[str], *, most: int) -> Markup:
    """State which inconclusive checks are probably outside, and which view would decide them.

    At most `most` checks are named, the largest first. Checks with the same phrase are named once.
    A check whose other side is outside its target is left out, because it is already named.
    """
    outside = {each.rule for each in findings if each.result == "outside"}
    said = {_client_words(rule) for rule in outside}
    likely: dict[str, list[Finding]] = {}
    for each in findings:
        if is_likely(each) and not each.gross and each.rule not in outside:
            likely.setdefault(each.rule, []).append(each)
    by_size = sorted(likely.values(), key=lambda of_rule: -max(map(excess, of_rule)))
    largest = _each_once(by_size, said)[:most]
    films = _films_of([of_rule[0] for of_rule in largest], view)
    named: dict[str, list[str]] = {}
    for of_rule in largest:
        phrase = _may(of_rule[0].rule) + _one_side(of_rule)
        named.setdefault(films.get(of_rule[0].id, ""), []).append(phrase)
    sentences = []
    for film, phrases in named.items():
        words = {"names": capital(listed(phrases))}
        words |= {"film": film_in_words(film)} if film else {}
        kind = "likely_with_film" if film else "likely"
        sentences.append(tables.sentence(f"report.first_page.{kind}", **words))
    return paragraphs(" ".join(sentences)) if sentences else Markup()


def _each_once(
    of_rules: Iterable[list[Finding]], said: Collection[str] = ()
) -> list[list[Finding]]:
    """Leave out rules whose phrase for a client repeats an earlier rule's, or is in `said`."""
    once: dict[str, list[Finding]] = {}
    for of_rule in of_rules:
        once.setdefault(_client_words(of_rule[0].rule), of_rule)
    return [of_rule for words, of_rule in once.items() if words not in said]


def _client_words(rule: str) -> str:
    """Return a rule's phrase for a client if it is outside its target; otherwise its name."""
    return str(all_rules()[rule].get("client", {}).get("outside", rule))


def _films_of(findings: Sequence[Finding], view: str | Sequence[str]) -> dict[str, str]:
    """Return the view that decides each finding, by its id."""
    films = films_beside(findings, [view] if isinstance(view, str) else view)
    return {each.id: film for film, decided in films.items() for each in decided}


def is_likely(finding: Finding) -> bool:
    """Return whether a check is inconclusive but probably outside, and has a sentence for this."""
    least = float(tables.load("findings")["likely"]["value"])
    return (
        finding.result == "inconclusive"
        and (finding.probability or 0.0) >= least
        and bool(_may(finding.rule))
    )


def _one_side(findings: Sequence[Finding]) -> str:
    """Return the side of a rule's findings in brackets; empty for both sides, or without a side."""
    sides = {each.side for each in findings} - {""}
    return f" ({sides.pop()})" if len(sides) == 1 else ""


def _may(rule_name: str) -> str:
    """Return a rule's phrase for a possible finding; empty if it has none."""
    return str(all_rules()[rule_name].get("checkpoint", {}).get("may", ""))


def film_in_words(film: str) -> str:
    """State from where to film: a view that :func:`films_beside` returns."""
    return tables.sentence(f"report.another_film.{film.replace('-', '_')}")


def in_words(findings: Sequence[Finding]) -> Markup:
    """List the expected checks that are met, and those that are borderline.

    A result applies to all sides that the camera sees. If the camera only sees one side, that side
    is named.
    """
    parts: dict[Result, list[str]] = {"met": [], "borderline": []}
    rules = all_rules()
    names = dict.fromkeys(f.rule for f in findings if "checkpoint" in rules[f.rule])
    for name in sorted(names, key=place):
        of_rule = [f for f in findings if f.rule == name]
        visible = [f for f in of_rule if not f.hidden]
        results = {f.result for f in visible}
        if results and results <= parts.keys():
            part = str(rules[name]["checkpoint"]["name"])
            if len(visible) < len(of_rule):
                part = f"{part} ({visible[0].side})"
            parts["borderline" if "borderline" in results else "met"].append(part)
    lines = [
        _line(f"alone.{each}", each, names=listed(parts[each])) for each in parts if parts[each]
    ]
    return paragraphs(*lines)


def _line(kind: str, result: Result, **words: str) -> str:
    """Name checks with their result, as ``report.lines`` has it."""
    return tables.sentence(f"report.lines.{kind}", result=capital(result_in_words(result)), **words)


def in_lines(
    checks: Sequence[Finding],
    *,
    marked: Mapping[str, Collection[str]],
    view: str | Sequence[str] = UNKNOWN,
) -> Markup:
    """List the checks without a mark, one line for each result: inconclusive, not reported, ...

    A side is named if the other side has a different result or reason.

    Parameters
    ----------
    checks
        All findings, as the verdict leaves them.
    marked
        Sides whose result is already in a row, by the name of the row.
    view
        Kind of the view, or the views of several videos. A check that is visible in none of these
        views is named with a view that would show it.
    """
    hidden = [each for each in checks if each.result == "not_visible"]
    sides_of_rule: dict[str, set[str]] = {}
    for each in checks:
        sides_of_rule.setdefault(each.rule, set()).add(each.side)
    gross = {each.rule: each.gross for each in checks if each.gross}
    film_of = _films_of(hidden, view)
    lines: dict[tuple[Result, str, str], dict[str, list[str]]] = {}
    for each in checks:
        if each.side in marked.get(row_name(each.rule), ()):
            continue
        film = film_of.get(each.id, "") if each.result == "not_visible" else ""
        decides = each.result in OF_A_VALUE and each.probability is not None
        reason = "" if film or decides else each.reason
        sides_of = lines.setdefault((each.result, reason, film), {})
        sides_of.setdefault(each.rule, []).append(each.side)
    paragraphs_of_lines = []
    for result, reason, film in sorted(lines, key=lambda key: (RESULTS.index(key[0]), key[2] > "")):
        of_rules = lines[result, reason, film]
        names = ", ".join(
            name_of(rule)
            + ("" if {*sides} == sides_of_rule[rule] else f" ({sides[0]})")
            + (f" ({gross[rule]})" if result == "inconclusive" and rule in gross else "")
            for rule, sides in of_rules.items()
        )
        if film:
            kind = "with_film.one" if len(of_rules) == 1 else "with_film.several"
            line = _line(kind, result, names=names, film=film_in_words(film))
        elif reason:
            line = _line("because", result, names=capital(names), reason=reason)
        elif result == "inconclusive":
            line = _line("too_close", result, names=names)
        else:
            line = tables.sentence(f"report.lines.also.{result}", names=names)
        paragraphs_of_lines.append(h.p[line])
    return html(h.div(".undecided")[paragraphs_of_lines]) if lines else Markup()


def main_finding(findings: Sequence[Finding]) -> list[Finding]:
    """Choose the largest finding by :func:`excess`, and its rule's finding on the other side."""
    outside = [finding for finding in findings if finding.status == "found"]
    rule = max(outside, key=excess).rule if outside else ""
    return sorted((each for each in outside if each.rule == rule), key=lambda each: -excess(each))


def not_decided(findings: Sequence[Finding], metrics: xr.Dataset) -> Markup:
    """List the undecided checks, grouped by reason, with the most frequent reason first."""
    without: dict[str, list[str]] = {}
    close: list[str] = []
    silent = [f for f in findings if f.status == "cannot be told" and f.result != "borderline"]
    for each in _by_rule_and_reason(silent):
        first = each[0]
        name = _label(each)  # the sides of one rule may have reasons of their own
        names = close if first.probability is not None else without.setdefault(first.reason, [])
        if name not in names:
            names.append(name)
    criteria = metrics.get("compensation_probability")
    unseen = {} if criteria is None else json.loads(criteria.attrs.get("not_assessed", "{}"))
    items = [
        tables.sentence(
            "report.not_decided.because", reason=reason, names=capital(", ".join(names))
        )
        for reason, names in sorted(without.items(), key=lambda item: -len(item[1]))
    ]
    if close:
        items.append(_line("too_close", "inconclusive", names=", ".join(close)))
    if unseen:
        names = list(map(spoken, unseen))
        items.append(tables.sentence("report.not_decided.unseen", names=", ".join(names)))
    return bullets(items) or paragraphs(tables.sentence("report.all_decided"))


def _label(findings: Sequence[Finding]) -> str:
    """Return the label of findings of one rule, with the side if there is only one."""
    sides = {f.side for f in findings} - {""}
    return label(findings[0]) + (f" ({sides.pop()})" if len(sides) == 1 else "")


def _by_rule_and_reason(findings: Sequence[Finding]) -> list[list[Finding]]:
    """Group findings by rule and reason."""
    groups: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.rule, finding.reason), []).append(finding)
    return list(groups.values())
