"""The page of a visit: the combined results of a person's videos on one day.

The page begins with what every reader needs: the person, the videos, the main findings, changes,
and advice. The numbers of each exercise, combined from its videos, follow.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import htpy as h
from markupsafe import Markup

from mobility import tables
from mobility.assessment.comments import advise
from mobility.assessment.findings import Finding, excess, in_place, name_of
from mobility.assessment.movements import END
from mobility.assessment.number import Number
from mobility.assessment.results import OF_A_VALUE, RESULTS, in_words
from mobility.assessment.verdict import Verdict
from mobility.base.formatting import (
    capital,
    dated,
    digits_and_suffix,
    listed,
    metric_and_item,
    quantity,
    spoken,
)
from mobility.catalogue.registry import exercise as registered
from mobility.keypoints.sources import Origin
from mobility.keypoints.view import view_in_words
from mobility.kinematics.skeleton import SIDES
from mobility.reports import client_page, first_page, gauges, key_frames
from mobility.reports.first_page import CLASS_OF_LEVEL
from mobility.reports.gauges import Gauge
from mobility.reports.html import Row, bullets, html, measured, paragraphs, table
from mobility.reports.page import Page, ReportPage, Section
from mobility.reports.recording import model_in_words, person
from mobility.reports.sections import section_of
from mobility.sessions.record import verdict_in_words
from mobility.studies.merging import films_of, is_merged
from mobility.studies.visit import Visit
from mobility.studies.visit_joints import DIFFERENCE

if TYPE_CHECKING:
    import datetime

    from mobility.sessions.stored_session import StoredSession
    from mobility.studies.merging import Film

_MOST_FINDINGS = 2
"""Largest number of findings of an exercise that are stated in words; the rows contain all of them.
"""

_MOST_CHANGES = 6
_MOST_WORK = 6

_GIVEN = Verdict("good", "")


@dataclass(frozen=True)
class VisitPage(Page):
    """The data that the parts of the page can use.

    Attributes
    ----------
    visit
        The visit.
    folder
        Folder of the page, to which links to reports are relative.
    faces
        Whether to show the face and the room instead of blurring them.
    """

    visit: Visit
    folder: str = "."
    faces: bool = False

    @cached_property
    def number_of(self) -> dict[str, int]:
        """Number of each video, by the ID of its session."""
        return {session.id: 1 + k for k, session in enumerate(self.visit.sessions)}

    @cached_property
    def findings(self) -> dict[str, list[Finding]]:
        """Findings of the rules, by exercise."""
        return {
            exercise: [finding for finding, _ in self.visit.findings(exercise)]
            for exercise in self.visit.exercises
            if registered(exercise).noun == "repetition" and self.visit.films_of(exercise)
        }

    def front(self) -> Markup:
        """Show the person and the videos, and state the main findings, changes and advice."""
        return (
            html(h.h1[tables.sentence("visit.title", day=dated(self.visit.date))])
            + self._who()
            + self._films()
            + html(h.div(".halves")[h.div[self._stands_out()], h.div[self._since(), self._to_do()]])
        )

    def client(self) -> Markup:
        """Make the page for the client: sentences, pictures and drills."""
        films = self.visit.films()
        used = [
            session
            for session, row in zip(self.visit.sessions, films, strict=True)
            if any(film.id == session.id for film in self.visit.films_of(row["exercise"]))
        ]
        findings = {
            exercise: findings
            for exercise, findings in self.findings.items()
            if "findings" not in self._verdict(exercise).rules_out
        }
        advised = {each.id for each in self._findings_for_advice()[0] if each.status == "found"}
        named = [
            each for of_exercise in findings.values() for each in client_page.named(of_exercise)
        ]
        works = advise(each for each in named if each.id in advised)
        if len(used) == 1:
            pictures = [("", each) for each in key_frames.stills(used[0], faces=self.faces)]
        else:
            taken = [(each, key_frames.still(each, faces=self.faces)) for each in used]
            pictures = [(each.record.exercise, still) for each, still in taken if still is not None]
        participant = self.visit.sessions[0].participant
        return client_page.show(
            tables.sentence("client.visit", day=dated(self.visit.date)),
            "" if participant is None else participant.display_name or "",
            client_page.sentences_of(
                findings,
                works,
                client_page.changes_in_words(self.visit.changes()),
                client_page.joints_in_words(self.visit.joints()),
            ),
            pictures,
            works,
            not_judged=[
                exercise
                for exercise in self.visit.exercises
                if exercise not in findings
                and (exercise in self.findings or not self.visit.films_of(exercise))
            ],
        )

    def numbers(self) -> Markup:
        """Show the numbers of each exercise, and of single-joint movements."""
        parts = [*map(self._exercise, self.findings), self._joints()]
        return html(h.div(".exercises")[(h.section[part] for part in parts if part)])

    def _who(self) -> Markup:
        session = self.visit.sessions[0]
        return paragraphs(person(session.participant, session.record), kind="who")

    def _films(self) -> Markup:
        """Show a picture of each video, with view, verdict, and a link to its report."""
        figures, lines = [], []
        for session, row in zip(self.visit.sessions, self.visit.films(), strict=True):
            number, exercise = self.number_of[session.id], session.record.exercise
            if not row["verdict"]:
                film = session.record.videos[0].original_name
                words = {"exercise": exercise, "film": film, "reason": row["reason"].rstrip(".")}
                lines.append(tables.sentence("visit.not_measured", **words))
                continue
            if why := row["reason"] or self._why_limited(session.id, exercise):
                words = {"number": number, "reason": why.rstrip(".")}
                lines.append(tables.sentence("visit.in_part", **words))
            figures.append(self._film(session, row))
        shown = html(h.div(".frames.films")[figures]) if figures else Markup()
        none = [] if figures else [tables.sentence("visit.nothing")]
        return shown + paragraphs(*none, *lines, kind="missing")

    def _why_limited(self, session_id: str, exercise: str) -> str:
        """State the limits of a video whose findings are shown nevertheless."""
        verdicts = {film.id: film.verdict for film in self.visit.films_of(exercise)}
        return verdicts[session_id].why if session_id in verdicts else ""

    def _film(self, session: StoredSession, row: Mapping[str, Any]) -> h.Node:
        number, level = self.number_of[session.id], row["verdict"]
        exercise = session.record.exercise
        picture = key_frames.still(session, faces=self.faces)
        alt = tables.sentence("visit.picture", number=number)
        model = model_in_words(Origin(row["pose_source"], row["source_software"]))
        page = session.report_page
        link = os.path.relpath(page.absolute(), Path(self.folder).absolute())
        report = h.a(href=link.replace(os.sep, "/"))[tables.sentence("visit.report")]
        return h.figure[
            None if picture is None else key_frames.image(picture, alt),
            h.figcaption[
                h.strong[tables.sentence("visit.film", number=number, exercise=exercise)],
                h.br,
                view_in_words(row["view"]),
                h.br,
                (model, h.br) if model else None,
                h.span(class_=f"level {CLASS_OF_LEVEL[level]}")[verdict_in_words(level, exercise)],
                (" · ", report) if page.is_file() else None,
            ],
        ]

    def _stands_out(self) -> Markup:
        parts = []
        for exercise, findings in self.findings.items():
            verdict = self._verdict(exercise)
            outside = sorted(
                {each.rule for each in findings if each.status == "found"},
                key=lambda rule: -max(excess(each) for each in findings if each.rule == rule),
            )
            later = outside[_MOST_FINDINGS:]
            differing = [] if "findings" in verdict.rules_out else self._differing(exercise)
            shown = [each for each in findings if each.rule not in later]
            parts.append(
                html(h.h3[exercise])
                + first_page.main_findings(shown, verdict, view=self._views(exercise))
                + paragraphs(*differing)
            )
            if later and "findings" not in verdict.rules_out:
                number = "one" if len(later) == 1 else "several"
                sentence = tables.sentence(f"visit.more_found.{number}", count=len(later))
                parts.append(paragraphs(sentence))
        return html(h.h2["What stands out"], parts) if parts else Markup()

    def _differing(self, exercise: str) -> list[str]:
        """State the results of videos if one is (probably) outside a target and another is not."""
        of_place: dict[tuple[str, str], list[tuple[Finding, str]]] = {}
        for finding, films in self.visit.findings(exercise):
            if finding.value is None or finding.result not in OF_A_VALUE:
                continue
            sentence = tables.sentence(
                "visit.differing.film",
                film=self._films_in_words(film.id for film in films),
                value=quantity(finding.value, finding.units),
                result=in_words(finding.result),
            )
            of_place.setdefault((finding.rule, finding.side), []).append((finding, sentence))
        lines = []
        for (rule, side), of_films in of_place.items():
            findings, sentences = zip(*of_films, strict=True)
            outside = [each.result == "outside" or first_page.is_likely(each) for each in findings]
            if len({each.result for each in findings}) == 1 or not any(outside):
                continue
            name = name_of(rule) + (f" ({side})" if side else "")
            lines.append(
                tables.sentence("visit.differing.line", name=name, films=listed(sentences))
            )
        return lines

    def _verdict(self, exercise: str) -> Verdict:
        """Return a verdict that rules out findings, if the verdicts on all videos do."""
        verdicts = [film.verdict for film in self.visit.films_of(exercise)]
        able = [each for each in verdicts if "findings" not in each.rules_out]
        return _GIVEN if able else verdicts[0]

    def _views(self, exercise: str) -> list[str]:
        films = self.visit.films_of(exercise)
        able = [film for film in films if "findings" not in film.verdict.rules_out]
        return list(dict.fromkeys(film.view for film in able or films))

    def _since(self) -> Markup:
        """State which numbers changed since the previous visit by more than the errors."""
        by_day: dict[datetime.date, list[dict[str, Any]]] = {}
        for row in self.visit.changes():
            by_day.setdefault(row["since"], []).append(row)
        lines = [
            tables.sentence("visit.since.outdated", exercise=exercise, day=dated(day))
            for exercise, day in self.visit.not_compared().items()
        ]
        of_days = [self._since_day(day, by_day[day]) for day in sorted(by_day, reverse=True)]
        return html(of_days, paragraphs(*lines, kind="note"))

    def _since_day(self, day: datetime.date, rows: Sequence[Mapping[str, Any]]) -> Markup:
        beyond: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
        within: dict[str, dict[str, None]] = {}
        for row in rows:
            if row["exceeds"]:
                beyond.setdefault((row["exercise"], row["metric"]), []).append(row)
            else:
                within.setdefault(row["exercise"], {})[name_of_number(row)] = None
        largest = sorted(
            beyond.values(), key=lambda sides: -max(abs(r["change"]) / r["least"] for r in sides)
        )
        items = [_change(sides) for sides in largest[:_MOST_CHANGES]]
        if more := len(largest[_MOST_CHANGES:]):
            items.append(tables.sentence("visit.since.more", count=more))
        lines = [] if items else [tables.sentence("visit.since.only_within")]
        if within and items:
            lines += [
                tables.sentence("visit.since.within", exercise=exercise, names="; ".join(names))
                for exercise, names in within.items()
            ]
        if any(row["repetitions"] == 1 for row in rows):
            which = tables.sentence("report.change.which.one")
            lines.append(tables.sentence("report.change.one", which=which))
        if any(row["error_of"] == "package" for row in rows):
            lines.append(tables.sentence("report.change.day"))
        heading = h.h2[tables.sentence("visit.since.heading", day=dated(day))]
        return html(heading, bullets(items), paragraphs(*lines, kind="note"))

    def _to_do(self) -> Markup:
        """List what to do about the findings of all exercises, each piece of advice once."""
        if not self.findings:
            return Markup()
        advised, ruled_out = self._findings_for_advice()
        works = advise(advised)
        items = [f"{capital(work.name)}: {work.dose.partition(';')[0]}." for work in works]
        more = "; ".join(work.name for work in works[_MOST_WORK:])
        shown = bullets(items[:_MOST_WORK])
        if more:
            shown += paragraphs(tables.sentence("visit.to_do.more", names=more))
        if not works and not ruled_out:
            shown = paragraphs(tables.sentence("report.first_page.nothing_to_do"))
        return html(h.h2["What to do"], shown, paragraphs(*ruled_out, kind="missing"))

    def _findings_for_advice(self) -> tuple[list[Finding], list[str]]:
        """Choose findings of videos whose verdicts allow drills, or give the reasons."""
        advised: list[Finding] = []
        ruled_out: list[str] = []
        for exercise, findings in self.findings.items():
            films = self.visit.films_of(exercise)
            able = [film.id for film in films if "exercises" not in film.verdict.rules_out]
            if not able:
                why = films[0].verdict.absent("exercises")
                ruled_out.append(f"{exercise}: {why}" if len(self.findings) > 1 else why)
            elif len(able) == len(films):
                advised += findings
            else:
                sessions = [session for session in self.visit.sessions if session.id in able]
                alone = Visit(self.visit.user_id, self.visit.date, sessions)
                advised += [finding for finding, _ in alone.findings(exercise)]
        return advised, ruled_out

    def _exercise(self, exercise: str) -> Markup:
        films, findings = self.visit.films_of(exercise), self.visit.findings(exercise)
        kind = registered(exercise)
        named = self._films_in_words(film.id for film in films)
        number = "merged" if len(films) > 1 else "one"
        sentence = tables.sentence(f"visit.films.{number}", films=named)
        rows = [each for each in self._gauges(exercise) if each.is_shown]
        marked = {each.name: each.marks for each in rows}
        return (
            html(h.h2[exercise])
            + paragraphs(sentence, kind="note")
            + self._openings(films, kind.table["report"].get("opening"))
            + gauges.show(rows, caption=gauges.caption_of(kind))
            + first_page.in_lines(_once(findings), marked=marked, view=self._views(exercise))
        )

    def _openings(self, films: Sequence[Film], name: str | None) -> Markup:
        """Show what each video's report begins with: the times of rises, or the legs."""
        if name is None:
            return Markup()
        parts: list[h.Node] = []
        for film in films:
            page = ReportPage(next(s for s in self.visit.sessions if s.id == film.id).read_once())
            shown = section_of(page.exercise, name).of(page)
            if shown and len(films) > 1:
                number = h.strong[capital(self._films_in_words([film.id]))]
                parts.append(h.div(".of-film")[h.p(".note")[number], shown])
            else:
                parts.append(shown)
        return html(parts)

    def _films_in_words(self, ids: Iterable[str]) -> str:
        numbers = sorted(self.number_of[each] for each in ids)
        kind = "one" if len(numbers) == 1 else "several"
        return tables.sentence(f"visit.named.{kind}", numbers=listed([str(n) for n in numbers]))

    def _gauges(self, exercise: str) -> list[Gauge]:
        """Return the rows of merged numbers, and the rows of each video for other numbers."""
        films, merged = self.visit.films_of(exercise), self.visit.metrics(exercise)
        findings = self.visit.findings(exercise)
        metric_of = {
            rule["row"]: rule["metric"] for rule in in_place(registered(exercise)).values()
        }

        def in_all(metric: str) -> bool:
            return metric in merged and is_merged(merged, metric)

        rows: list[Gauge] = []
        together = [finding for finding, _ in findings if in_all(finding.metric)]
        for gauge in gauges.of_rules(merged, in_all, findings=together):
            ids = {
                each
                for side in gauge.values
                for each in films_of(merged, metric_of[gauge.name], side)
            }
            rows.append(self._with_films(gauge, ids, films))
        for film in films:
            alone = [f for f, of in findings if of == [film] and not in_all(f.metric)]
            judged = {each.metric for each in alone if film.verdict.shows(each.metric)}
            of_film = gauges.of_rules(film.metrics, judged.__contains__, findings=alone)
            rows += [self._with_films(gauge, {film.id}, films) for gauge in of_film]
        return sorted(rows, key=_worst)

    def _with_films(self, gauge: Gauge, ids: set[str], films: Sequence[Film]) -> Gauge:
        """Name the videos that a row comes from, unless it comes from all of them."""
        if ids == {film.id for film in films}:
            return gauge
        sentence = self._films_in_words(ids)
        return replace(gauge, goal_text="; ".join(filter(None, [gauge.goal_text, sentence])))

    def _joints(self) -> Markup:
        """Make the table of joint motion: both sides, their difference, and reference ranges."""
        rows: dict[str, dict[tuple[str, str], Mapping[str, Any]]] = {}
        for row in self.visit.joints():
            rows.setdefault(row["movement"], {})[row["metric"], row["side"]] = row
        listing: list[Row] = []
        without: dict[str, list[str]] = {}
        kinds: dict[str, None] = {}
        for movement, numbers in rows.items():
            name, ends = capital(spoken(movement)), [numbers.get((END, side)) for side in SIDES]
            people = ""
            for side, end in zip(SIDES, ends, strict=True):
                if end and end["value"] is None:
                    without.setdefault(end["reason"], []).append(f"{name} ({side})")
                elif end and end["reference"] is not None:
                    people = quantity(end["reference"], "degree")
                    kind = tables.sentence(f"joints.kinds.{end['reference_kind']}")
                    kinds[kind] = None
            cells = [_number(each) for each in (*ends, numbers.get((DIFFERENCE, "")))]
            if any(cells):
                listing.append([name, *cells, people])
            ranges = [_number(numbers.get(("range_of_motion", side))) for side in SIDES]
            if any(ranges):
                row_name = tables.sentence("visit.joints.range", movement=name)
                listing.append([row_name, *ranges, "", ""])
        if not rows:
            return Markup()
        words = ("movement", "left", "right", "difference", "people")
        head = [tables.sentence(f"visit.joints.head.{word}") for word in words]
        caption = tables.sentence("visit.joints.caption", kinds=listed(list(kinds)))
        result = capital(in_words("not_reported"))
        lines = [
            h.p[
                tables.sentence(
                    "report.lines.because", result=result, reason=why, names=", ".join(names)
                )
            ]
            for why, names in without.items()
        ]
        return html(
            h.h2[tables.sentence("visit.joints.heading")],
            table(head, listing, caption=caption if kinds else "", numeric=True),
            h.div(".undecided")[lines] if lines else None,
        )


VISIT = (Section("", VisitPage.front), Section("", VisitPage.numbers))


def _change(sides: Sequence[Mapping[str, Any]]) -> h.Node:
    """State by how much a number has changed, on each side that changed."""
    name = name_of_number(sides[0])
    if sides[0]["metric"] == metric_and_item(sides[0]["metric"])[0]:
        name = tables.sentence(
            "visit.since.named", exercise=sides[0]["exercise"], name=name[:1].lower() + name[1:]
        )
    parts: list[h.Node] = [f"{name}: "]
    for row in sides:
        units = row["units"]
        digits = digits_and_suffix(units)[0] + 1
        numbers = {
            "side": f"{row['side']} " if row["side"] else "",
            **{when: quantity(row[when], units) for when in ("before", "now")},
        }
        errors = {
            "change": quantity(row["change"], units, digits=digits, signed=True),
            "least": quantity(row["least"], units, digits=digits),
        }
        kind = "package" if row["error_of"] == "package" else "lab"
        error = tables.sentence(f"visit.since.error.{kind}", whose=row["error_of"], **errors)
        parts += [
            ", " if row is not sides[0] else None,
            tables.sentence("visit.since.changed", **numbers),
            ", " + tables.sentence(f"report.change.judged.{row['judged']}")
            if row["judged"]
            else "",
            " ",
            h.span(".interval")[error],
        ]
    return parts


def name_of_number(row: Mapping[str, Any]) -> str:
    """Name a number that is compared between visits, as its row does."""
    metric, movement = metric_and_item(row["metric"])
    if movement:
        name = capital(spoken(movement))
        return tables.sentence("visit.joints.apart", name=name) if metric == DIFFERENCE else name
    rules = in_place(registered(row["exercise"]))
    return str(next(rule["row"] for rule in rules.values() if rule["metric"] == metric))


def _once(findings: Sequence[tuple[Finding, Sequence[Film]]]) -> list[Finding]:
    """Keep, for each rule and side, the findings with a value, or one finding without."""
    of_place: dict[tuple[str, str], list[Finding]] = {}
    for finding, _ in findings:
        of_place.setdefault((finding.rule, finding.side), []).append(finding)
    once = []
    for of_films in of_place.values():
        with_value = [each for each in of_films if each.result in OF_A_VALUE]
        once += with_value or sorted(of_films, key=lambda each: each.result == "not_visible")[:1]
    return once


def _worst(gauge: Gauge) -> int:
    return min((RESULTS.index(each) for each in gauge.results.values()), default=len(RESULTS))


def _number(row: Mapping[str, Any] | None) -> h.Node:
    if row is None or row["value"] is None:
        return ""
    sd = math.nan if row["sd"] is None else row["sd"]
    return measured(
        Number(row["value"], sd, units=row["units"]), signed=row["metric"] == DIFFERENCE
    )
