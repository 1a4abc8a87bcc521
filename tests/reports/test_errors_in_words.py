"""What a report says of its errors."""

from __future__ import annotations

import re
from dataclasses import replace

from mobility import tables
from mobility.assessment.findings import refused, wrong_expected
from mobility.base.provenance import with_history
from mobility.reports import errors_in_words
from mobility.reports.page import ReportPage
from mobility.reports.sections import sections_of
from mobility.store import Session


def test_the_report_says_what_standing_was_assumed(session: Session) -> None:
    knee = tables.load("fit")["terms"]["standing"]["knee_deg"]
    assumed = f"with the knees at {knee['mean']:g}° ± {1.96 * knee['sd']:.0f}°, as in other people"
    for how, planted, seconds, words in (
        ("straight", True, 3.24, f"stands straight for 3.2 s in total, {assumed}"),
        (12.0, True, 2.0, "Entered, not measured: the person stands for 2.0 s in total with"),
        ("free", True, 0.0, "This analysis does not assume straight knees in standing"),
        ("straight", True, 0.0, "The person is never seen standing straight"),
        ("straight", False, 0.0, "The feet move or are not visible"),
    ):
        given = {"planted": planted, "standing_seconds": seconds}
        text = errors_in_words.calibration(
            with_history(session.fitted(), "fit_body", {"standing": how}, **given)
        )
        assert words in text
        assert ("this recording differs from those" in text) is (seconds == 0)


def test_the_report_says_how_many_answers_are_expected_to_be_wrong(session: Session) -> None:
    page = ReportPage(session.read_once())
    (line,) = errors_in_words.wrong_results(page.checks)
    counted, wrong = line.split(". Going by the probabilities, ")
    count, *counts = map(int, re.findall(r"\d+", counted))
    assert counted.startswith(f"{count} checks (left and right counted separately): ")
    assert sum(counts) == count == len(page.checks) > len(page.exercise.table["rules"])
    assert wrong.startswith(f"about {wrong_expected(page.checks):.1f} of the results")
    (method,) = (each for each in sections_of(page.exercise) if each.name == "method")
    assert line in method.of(page)
    certain = [replace(each, probability=1.0) for each in page.checks if each.result == "outside"]
    assert "fewer than 0.1 of the results" in errors_in_words.wrong_results(certain)[0]
    # What the verdict rules out says nothing.
    assert errors_in_words.wrong_results([refused(each, "x") for each in page.checks]) == []
