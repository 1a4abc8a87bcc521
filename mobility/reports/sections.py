"""The sections of a page for an exercise with repetitions, by name.

An exercise lists them in ``page`` of its ``exercise.yaml``; its own sections are in its
``page.py``.
"""

from __future__ import annotations

from datetime import date

import htpy as h
from markupsafe import Markup

from mobility import tables
from mobility.catalogue.exercise import Exercise
from mobility.catalogue.exercise_checks import check_sections
from mobility.reports import (
    additions,
    errors_in_words,
    first_page,
    gauges,
    origin,
    part_sections,
    repetition_tables,
)
from mobility.reports import recording as filmed
from mobility.reports import scores as score_tables
from mobility.reports.html import bullets, html, paragraphs
from mobility.reports.page import ReportPage, Section, section


def sections_of(exercise: Exercise) -> list[Section[ReportPage]]:
    """Return the sections of the page of an exercise, in order."""
    check_sections(exercise)
    return [section_of(exercise, name) for name in exercise.sections]


def section_of(exercise: Exercise, name: str) -> Section[ReportPage]:
    """Return a section of an exercise by its name."""
    both = exercise.named("page", name), globals().get(name)
    return next(each for each in both if isinstance(each, Section))


@section("")
def first(page: ReportPage) -> Markup:
    """Show on one page of paper the person, the verdict, and the main findings."""
    indices = [] if "indices" in page.verdict.rules_out else gauges.of_indices(page.metrics)
    numbers = [each for each in page.gauges if each.is_shown][: gauges.MOST - len(indices)]
    shown = gauges.show([*numbers, *indices], caption=gauges.caption_of(page.exercise))
    undecided = Markup()
    if "findings" not in page.verdict.rules_out:
        marked = {each.name: each.marks for each in numbers}
        undecided = first_page.in_lines(page.checks, marked=marked, view=page.view_kind)
    fms = Markup() if "fms" in page.verdict.rules_out else first_page.fms_in_short(page.metrics)
    expected = [each for each in page.gauges if each.expected]
    since = additions.first_page(page.session, expected, lambda before: ReportPage(before).gauges)
    most = 1 if since else 2
    advice = first_page.findings_and_advice(
        page.checks, page.verdict, most=most, view=page.view_kind
    )
    opening = page.contents.get("opening")
    begins = section_of(page.exercise, opening).of(page) if opening else Markup()
    trust = first_page.trust(page.verdict) + first_page.what_the_view_hides(page.pose, page.verdict)
    main = first_page.main_finding(page.findings)
    return page.front(trust + begins, [shown, fms], [advice, since], main) + undecided


@section("Video and curves")
def trial(page: ReportPage) -> Markup:
    """Draw the angles over the whole recording; an HTML page plays the recording instead."""
    names = [name for name in page.contents["trial"] if name in page.angles]
    return part_sections.whole_recording(page.angles, page.repetitions, names)


@section("All measures", needs=["repetitions", "findings"], sided=True)
def measures(page: ReportPage) -> Markup:
    """Show the measured values, published ranges, the lab's own norms, and curves."""
    metrics, repetitions, contents = page.metrics, page.repetitions, page.contents
    values = (
        part_sections.value_table(
            metrics, page.shown_names(each["names"]), page.references, caption=each["caption"]
        )
        for each in contents["tables"]
    )
    return (
        repetition_tables.at_a_glance(metrics)
        + repetition_tables.phase_table(metrics, repetitions)
        + html(values)
        + part_sections.published_ranges(
            page.shown_names(contents["ranges"]), page.participant, page.record, page.references
        )
        + gauges.own_norms(page.gauges)
        + part_sections.curves(
            page.angles, repetitions, metrics, page.shown_names(contents["curves"])
        )
    )


@section("Findings", needs=["findings"], sided=True)
def findings(page: ReportPage) -> Markup:
    """List checks outside their target, checks that are met, and undecided checks."""
    return (
        part_sections.in_detail(page.findings, page.references)
        + html(h.h3["Not decided"])
        + first_page.not_decided(page.findings, page.metrics)
    )


@section("Exercises", needs=["exercises"])
def exercises(page: ReportPage) -> Markup:
    """List what to do about the findings."""
    return part_sections.what_to_do(page.findings, page.references)


@section("Scores")
def scores(page: ReportPage) -> Markup:
    """Show the indices, the score of the FMS deep squat and the compensations, with their parts."""
    metrics, out = page.metrics, page.verdict.rules_out
    shown = page.absent("indices", "fms", "findings")
    if "indices" not in out:
        for name in gauges.INDICES:
            shown += score_tables.index_table(metrics, name, page.references)
    if "fms" not in out:
        shown += score_tables.fms_table(metrics, page.references)
    if "findings" not in out:
        shown += score_tables.compensation_table(metrics, page.references, page.verdict)
    return shown


@section("Repetitions and sides", sided=True)
def repetitions(page: ReportPage) -> Markup:
    """Show each repetition, and the differences between repetitions and between the sides."""
    metrics, intervals = page.metrics, page.repetitions
    shown = repetition_tables.repetition_table(metrics, intervals)
    if page.accepted:
        shown += (
            part_sections.tempo_table(metrics, intervals, page.references, page.verdict)
            + part_sections.spread_table(metrics, intervals)
            + part_sections.symmetry_table(metrics, page.references)
        )
    return shown


@section("The recording")
def recording(page: ReportPage) -> Markup:
    """Describe the recording and its quality."""
    return (
        filmed.who_and_what(page.record, page.participant, page.pose, page.repetitions, page.edits)
        + errors_in_words.distrust(page.record.warnings, page.pose)
        + filmed.cameras(page.pose)
        + errors_in_words.calibration(page.pose)
        + filmed.capture_quality(page.quality)
    )


@section("Method and limits")
def method(page: ReportPage) -> Markup:
    """Explain the method, the limits of the view, the errors and the angles."""
    limits = ("not_seen", "not_a_laboratory", "larger_errors")
    return (
        paragraphs(f"{origin.landmarks(page.pose)} {tables.sentence('report.method.how')}")
        + bullets(
            [
                *(tables.sentence(f"report.method.{each}") for each in limits),
                *errors_in_words.wrong_results(page.checks),
            ]
        )
        + errors_in_words.uncertainty_in_short(page.pose)
        + origin.definitions_in_short(page.angles, page.references)
    )


@section("Where the numbers come from")
def sources(page: ReportPage) -> Markup:
    """Name the video, model, software and options, and list the literature."""
    return (
        origin.provenance(page.record, page.pose, page.metrics, made_on=date.today())
        + html(h.h3["References"])
        + page.references.listed()
    )
