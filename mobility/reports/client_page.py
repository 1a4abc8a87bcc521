"""The page for the client: three sentences, pictures, and at most three drills.

Nothing on it needs an explanation. Errors, recording checks, inconclusive results and links are
shown only on the page for the professional.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import htpy as h
from markupsafe import Markup

from mobility import tables
from mobility.assessment.comments import Work, advise, drawing_of
from mobility.assessment.findings import Finding, all_rules, excess, in_place, name_of, place
from mobility.assessment.movements import END
from mobility.base.formatting import capital, dated, listed, metric_and_item, quantity, spoken
from mobility.catalogue.registry import exercise as registered
from mobility.kinematics.skeleton import SIDES
from mobility.reports import key_frames
from mobility.reports.exercise_page import page_of
from mobility.reports.html import html, paragraphs

if TYPE_CHECKING:
    import datetime

    from mobility.reports.key_frames import KeyFrame
    from mobility.reports.page import ReportPage

MOST_SENTENCES = 3
MOST_DRILLS = 3
_MOST_PHRASES = 2
"""Largest number of findings of an exercise that are named in a sentence."""


def of_session(page: ReportPage) -> Markup:
    """Make the client's page of one session."""
    record, verdict = page.record, page.verdict
    findings = {} if "findings" in verdict.rules_out else {record.exercise: page.checks}
    result = page_of(page.exercise).result_for_client(page.metrics) if findings else ""
    works = () if "exercises" in verdict.rules_out else advise(named(page.findings))
    pictures = key_frames.stills(page.session, faces=page.faces)
    who = "" if page.participant is None else page.participant.display_name or ""
    return show(
        tables.sentence("client.session", exercise=record.exercise, day=dated(record.created_at)),
        who,
        sentences_of(findings, works, result),
        [("", picture) for picture in pictures],
        works,
        not_judged=[] if findings else [record.exercise],
    )


def sentences_of(
    findings: Mapping[str, Sequence[Finding]], works: Sequence[Work], *others: str
) -> list[str]:
    """State what goes well, what to work on, and as many of the `others` as there is room for.

    Parameters
    ----------
    findings
        Findings by exercise. A check with different results in different videos is left out.
    works
        The advised drills.
    others
        Further sentences, the most important first; empty sentences are left out.
    """
    met = {name: _met(each) for name, each in findings.items()}
    outside = {name: [words for _, words in _outside(each)] for name, each in findings.items()}
    several = len(findings) > 1
    sentences = []
    if good := _in_exercises(met, several=several):
        sentences.append(tables.sentence("client.good", phrases=good))
    if work := _in_exercises(outside, several=several):
        sentences.append(tables.sentence("client.work", phrases=work))
    elif good:
        sentences.append(tables.sentence("client.nothing"))
    number = ("none", "one", "several")[min(len(works), 2)]
    # That nothing was found says that there are no exercises.
    said = not sentences or (number == "none" and not work)
    plan = "" if said else tables.sentence(f"client.plan.{number}")
    return [*sentences, *filter(None, [*others, plan])][:MOST_SENTENCES]


def named(findings: Sequence[Finding]) -> list[Finding]:
    """Choose the findings of an exercise that the page names; it shows drills only for these."""
    rules = [rule for rule, _ in _outside(findings)]
    return [each for each in findings if each.rule in rules[:_MOST_PHRASES]]


def show(
    title: str,
    who: str,
    sentences: Sequence[str],
    pictures: Sequence[tuple[str, KeyFrame]],
    works: Sequence[Work],
    *,
    not_judged: Sequence[str] = (),
) -> Markup:
    """Lay out the page.

    Parameters
    ----------
    title, who
        Title of the page, and the client's name, if there is one.
    sentences
        From :func:`sentences_of`.
    pictures
        Pictures, each with its caption.
    works
        The advised drills, the most important first.
    not_judged
        Exercises whose videos cannot be used.
    """
    lines = [
        tables.sentence("client.not_judged", exercise=_within(exercise)) for exercise in not_judged
    ]
    figures = [
        h.figure(style=f"--shape: {picture.width / picture.height:.3f}")[
            key_frames.image(picture, tables.sentence("client.picture", what=caption or title)),
            h.figcaption[caption] if caption else None,
        ]
        for caption, picture in pictures
    ]
    drills = [_drill(work) for work in works[:MOST_DRILLS]]
    shown = (
        html(h.h1[title])
        + (paragraphs(who, kind="who") if who else Markup())
        + html(h.div(".lead")[(h.p[line] for line in [*sentences, *lines])])
        + (html(h.div(".frames")[figures]) if figures else Markup())
    )
    if drills:
        heading = tables.sentence("client.drills")
        notice = str(tables.load("advice")["notice"]["text"])
        shown += html(h.h2[heading], h.div(".drills")[drills], h.p(".note")[notice])
    return html(h.div(class_="client" if drills else "client alone")[shown])


def _drill(work: Work) -> h.Node:
    """Show a drill: its drawing, name, dose and instructions."""
    file = drawing_of(work.id)
    # It is a file of the package, or of the package of the exercise.
    drawing = Markup(file.read_text(encoding="utf-8")) if file.is_file() else None  # noqa: S704
    return h.div(".drill")[
        drawing,
        h.div[h.h3[capital(work.name)], h.p(".dose")[f"{work.dose}."], h.p[work.how]],
    ]


def changes_in_words(rows: Iterable[Mapping[str, Any]]) -> str:
    """State what is better or worse than at the previous visit, by more than the errors.

    Parameters
    ----------
    rows
        Changes from :meth:`mobility.studies.visit.Visit.changes`; the result is empty without an
        earlier visit.
    """
    rows = list(rows)
    if not rows:
        return ""
    last: datetime.date = max(row["since"] for row in rows)
    named: dict[str, dict[str, None]] = {"better": {}, "worse": {}}
    for row in sorted(rows, key=lambda row: -abs(row["change"]) / row["least"]):
        if row["exceeds"] and row["since"] == last and (way := _way(row)):
            named[way][_name(row)] = None
    parts = []
    for way, names in named.items():
        opposite = named["worse" if way == "better" else "better"]
        clear = [name for name in names if name not in opposite][:_MOST_PHRASES]
        if clear:
            parts.append(
                tables.sentence(
                    "client.changed.better" if way == "better" else "client.changed.worse",
                    names=listed(clear),
                )
            )
    day = dated(last)
    if not parts:
        of_day = [row for row in rows if row["since"] == last]
        if not any(row["exceeds"] for row in of_day):
            return tables.sentence("client.changed.none", day=day)
        if all(row["error"] == "own" for row in of_day):
            return tables.sentence("client.changed.filmed_differently", day=day)
        return ""
    return tables.sentence("client.changed.since", day=day, parts="; ".join(parts))


def joints_in_words(rows: Iterable[Mapping[str, Any]]) -> str:
    """State the range of the first joint with published values, and the published range."""
    ends: dict[str, dict[str, Mapping[str, Any]]] = {}
    for row in rows:
        if row["metric"] == END and row["value"] is not None and row["reference"] is not None:
            ends.setdefault(row["movement"], {})[row["side"]] = row
    for movement, of_side in ends.items():
        sides = [
            tables.sentence(
                "client.joints.side", value=quantity(of_side[side]["value"], "degree"), side=side
            )
            for side in SIDES
            if side in of_side
        ]
        people = quantity(next(iter(of_side.values()))["reference"], "degree")
        return tables.sentence(
            "client.joints.sentence",
            movement=spoken(movement),
            sides=listed(sides),
            people=people,
        )
    return ""


def _name(row: Mapping[str, Any]) -> str:
    metric, movement = metric_and_item(row["metric"])
    return spoken(movement) if movement else name_of(_rule_of(row["exercise"], metric))


def _rule_of(exercise: str, metric: str) -> str:
    rules = in_place(registered(exercise))
    return next((name for name, rule in rules.items() if rule["metric"] == metric), "")


def _way(row: Mapping[str, Any]) -> str:
    """Return "better" or "worse" for a change; empty if it is neither, or not judged."""
    metric, movement = metric_and_item(row["metric"])
    if movement:  # without a target: more is better
        is_said = metric == END and row["error"] == "retest"
        return ("better" if row["change"] > 0 else "worse") if is_said else ""
    return row["judged"] if row["judged"] in ("better", "worse") else ""


def _in_exercises(phrases: Mapping[str, Sequence[str]], *, several: bool) -> str:
    """Join the phrases on the exercises; name the exercises if there are several."""
    parts = []
    for exercise, of_exercise in phrases.items():
        if not of_exercise:
            continue
        joined = listed(list(dict.fromkeys(of_exercise))[:_MOST_PHRASES])
        words = {"exercise": _within(exercise), "phrases": joined}
        parts.append(tables.sentence("client.in_exercise", **words) if several else joined)
    return "; ".join(parts)


def _within(exercise: str) -> str:
    """Return the name of an exercise as it is written within a sentence."""
    return exercise.lower()


def _outside(findings: Sequence[Finding]) -> list[tuple[str, str]]:
    """State which rules are outside their targets; those most certainly far outside come first."""
    phrases = []
    for rule, of_side in _by_side(findings).items():
        sides = {side: each for side, each in of_side.items() if each[0].result == "outside"}
        if sides and (words := _words(rule, "outside", sides, of_side)):
            least = max(_least_excess(each) for of_rule in sides.values() for each in of_rule)
            phrases.append((least, rule, words))
    return [each[1:] for each in sorted(phrases, key=lambda each: -each[0])]


def _met(findings: Sequence[Finding]) -> list[str]:
    """State which rules meet their targets on all sides that the camera sees."""
    phrases = []
    for rule, of_side in _by_side(findings).items():
        visible = {side: each for side, each in of_side.items() if each[0].result != "not_visible"}
        met = visible and all(each[0].result == "met" for each in visible.values())
        if met and (words := _words(rule, "met", visible, of_side)):
            phrases.append((place(rule), words))
    return [words for _, words in sorted(phrases, key=lambda each: each[0])]


def _words(
    rule: str, result: str, named_sides: Mapping[str, object], of_side: Mapping[str, object]
) -> str:
    """Return the phrase of a rule for a client; it names the side if the result is of one only.

    The phrase is empty for a rule of another package that has none. A rule of another package
    without words for one side gets the side at its end.
    """
    client = all_rules()[rule].get("client", {})
    side = next(iter(named_sides))
    words = str(client.get(result, ""))
    if not words or not side or len(named_sides) == len(of_side):
        return words
    if one_side := client.get("one_side"):
        return str(one_side[result]).format(side=side)
    return words + tables.sentence("client.on_side", side=side)


def _by_side(findings: Sequence[Finding]) -> dict[str, dict[str, list[Finding]]]:
    """Group findings by rule and side; leave out rules on which videos contradict each other."""
    sides_of_rule: dict[str, dict[str, list[Finding]]] = {}
    for each in findings:
        sides_of_rule.setdefault(each.rule, {}).setdefault(each.side, []).append(each)
    return {
        rule: of_side
        for rule, of_side in sides_of_rule.items()
        if all(len({each.result for each in of_place}) == 1 for of_place in of_side.values())
    }


def _least_excess(finding: Finding) -> float:
    """Return the excess over the target at the end of the interval nearest to the target."""
    if finding.interval is None or finding.threshold is None:
        return 0.0
    low, high = finding.interval
    direction = all_rules()[finding.rule]["direction"]
    nearest = {"below": high, "above": low}.get(direction)
    if nearest is None:
        nearest = 0.0 if low <= 0 <= high else min(low, high, key=abs)
    return excess(replace(finding, interval=(nearest, nearest)))
