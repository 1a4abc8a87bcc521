"""The course of a participant: trends, parts of a line, notes, and bad input."""

from __future__ import annotations

import math
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cohort_cases import add_session
from demo_sessions import change_record

from mobility.base.provenance import sha256
from mobility.errors import BadInputError, NotFoundError, StorageError
from mobility.kinematics.expected_error import half_width
from mobility.serve.privacy import erase, files_of_participant
from mobility.sessions.files import read_json, write_json
from mobility.store import Store
from mobility.studies.course import Line, trend

DAYS = ("2026-01-05", "2026-02-02", "2026-03-02", "2026-04-06")
TRUNK = "trunk_tibia_difference"


@pytest.fixture(autouse=True)
def _as_if_current(monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo comes from the code of its day."""
    for module, name, result in (
        ("visit", "is_current", True),
        ("course_page", "try_to_bring_up_to_date", None),
    ):
        __import__(f"mobility.studies.{module}")
        place = sys.modules[f"mobility.studies.{module}"]
        monkeypatch.setattr(place, name, lambda _, result=result: result)


def filled(store: Store, demo: Path, *values: float, **more: Any) -> Store:
    """Add a visit of Ann with each value of the trunk."""
    for number, (day, value) in enumerate(zip(DAYS, values, strict=False)):
        name = f"s{number}"
        add_session(store, demo, name, user_id="ann", date=day, values={TRUNK: value}, **more)
    return store


def line_of(store: Store, metric: str = TRUNK) -> Line:
    return next(line for line in store.course("ann").lines if line.metric == metric)


def test_two_visits_are_compared_as_on_the_page_of_a_visit() -> None:
    line = trend([0, 28], [10.0, 14.0], [3.0, 4.0])
    assert (line.first, line.last) == pytest.approx((10.0, 14.0))
    assert line.error == pytest.approx(5.0)
    assert line.least() == pytest.approx(half_width(5.0), rel=1e-3)


def test_the_error_of_a_line_is_the_spread_of_its_slope_and_false_trends_are_5_percent() -> None:
    rng, days, errors = np.random.default_rng(4), [0, 7, 30, 31, 80], [2.0, 1.0, 3.0, 2.0, 1.5]
    lines = [trend(days, rng.normal(0.0, errors), errors) for _ in range(4000)]
    changes = [line.last - line.first for line in lines]
    assert np.std(changes) == pytest.approx(lines[0].error, rel=0.05)
    assert np.mean([line.exceeds() for line in lines]) == pytest.approx(0.05, abs=0.012)
    assert np.mean([line.exceeds(10) for line in lines]) == pytest.approx(0.005, abs=0.004)


def test_an_imprecise_visit_counts_little() -> None:
    line = trend([0, 10, 20], [5.0, 80.0, 5.0], [1.0, 100.0, 1.0])
    assert line.last - line.first == pytest.approx(0.0, abs=0.1)


def test_a_large_trend_is_better_or_worse_and_a_small_one_unsure(store: Store, demo: Path) -> None:
    filled(store, demo, 60.0, 40.0, 20.0, 0.0)
    course = store.course("ann")
    words = {line.metric: course.word(line) for line in course.lines}
    assert words[TRUNK] == "better"
    assert {*words.values()} <= {"better", "unsure", ""}
    row = next(row for row in course.trends() if row["metric"] == TRUNK)
    assert row["visits"] == 4
    assert row["change"] == pytest.approx(-60.0, abs=2.0)
    assert course.document()["trends"]


def test_a_visit_from_elsewhere_breaks_the_line_and_is_not_compared(
    store: Store, demo: Path
) -> None:
    filled(store, demo, 5.0, 5.0, 5.0, 5.0)
    file = store.path / "s1" / "capture_quality.json"
    quality = read_json(file)
    quality["view"] |= {"name": "front", "azimuth_deg": 0.0}
    write_json(file, quality)
    stages = read_json(store.path / "s1" / "session.json")["stages"]
    stages["capture_quality"]["sha256"] = sha256(file)
    change_record(store.session("s1"), stages=stages)
    points = line_of(store).points
    assert all(point.number is not None for point in points)
    assert [point.is_compared for point in points] == [True, False, True, True]
    parts = [point.part for point in points]
    assert parts[0] < parts[1] < parts[2] == parts[3]
    page = store.render_course("ann")["html"].read_text("utf-8")
    assert "Overhead Squat, from the front<" in page
    assert "Overhead Squat, from the front left<" in page
    assert re.search(r"Weight shift to one leg</th><td[^>]*>\d+ %", page)


def test_another_version_breaks_the_line(store: Store, demo: Path) -> None:
    filled(store, demo, 5.0, 5.0, 5.0)
    record = read_json(store.path / "s0" / "session.json")
    record["provenance"]["versions"]["mobility"] = "0.1.0"
    change_record(store.session("s0"), provenance=record["provenance"])
    assert [point.is_compared for point in line_of(store).points] == [False, True, True]


def test_a_visit_without_a_number_is_a_gap(store: Store, demo: Path) -> None:
    filled(store, demo, 5.0, math.nan, 5.0)
    points = line_of(store).points
    assert [point.number is None for point in points] == [False, True, False]
    assert len({point.part for point in points}) == 3


def test_one_visit_has_no_trend_but_a_page(store: Store, demo: Path) -> None:
    filled(store, demo, 5.0)
    course = store.course("ann")
    assert {course.word(line) for line in course.lines} == {""}
    files = store.render_course("ann")
    assert "needs at least two visits" in files["html"].read_text("utf-8")
    assert "one visit so far" in files["client"].read_text("utf-8")


def test_the_page_and_the_table_have_the_notes_and_the_page_of_the_client_has_none(
    store: Store, demo: Path
) -> None:
    filled(store, demo, 60.0, 30.0, 0.0)
    store.set_participant("ann", display_name="Anna")
    store.course("ann").set_note(DAYS[1], "=1+1 <b>sore</b>")
    store.course("ann").set_note(DAYS[2], "no pain")
    files = store.render_course("ann")
    page, client, table = (files[name].read_text("utf-8") for name in ("html", "client", "csv"))
    assert "=1+1 &lt;b&gt;sore&lt;/b&gt;" in page
    assert "Anna (ann)" in page  # two people may have one name
    assert "no pain" not in client
    assert "better since" in client.lower()
    assert "'=1+1" in table


def test_a_note_is_replaced_and_deleted_and_needs_a_visit(store: Store, demo: Path) -> None:
    course = filled(store, demo, 5.0, 5.0).course("ann")
    course.set_note(DAYS[0], "first")
    course.set_note(DAYS[0], "second")
    course.set_note(DAYS[1], "third")
    assert list(course.notes.values()) == ["second", "third"]
    course.set_note(DAYS[0], " ")
    assert list(course.notes.values()) == ["third"]
    for day, text, error in (
        ("2026-07-01", "text", NotFoundError),
        ("soon", "text", BadInputError),
        (DAYS[0], "x" * 5000, BadInputError),
        (DAYS[0], "\ud800", BadInputError),
    ):
        with pytest.raises(error):
            course.set_note(day, text)
    assert list(course.notes.values()) == ["third"]


def test_damaged_notes_are_named_and_not_overwritten(store: Store, demo: Path) -> None:
    course = filled(store, demo, 5.0).course("ann")
    course.set_note(DAYS[0], "note")
    file = store.path / "participants" / "ann.visits.json"
    file.write_text("[1]")
    with pytest.raises(StorageError, match="notes on the visits are damaged"):
        course.set_note(DAYS[0], "other")
    assert file.read_text() == "[1]"


def test_notes_are_no_participant_and_nobody_can_have_their_name(store: Store, demo: Path) -> None:
    filled(store, demo, 5.0).course("ann").set_note(DAYS[0], "note")
    assert store.participants() == ["ann"]
    with pytest.raises(BadInputError, match="choose another id"):
        store.set_participant("ann.visits", sex="female")


def test_notes_are_handed_over_and_deleted_with_the_participant(store: Store, demo: Path) -> None:
    filled(store, demo, 5.0, 6.0).course("ann").set_note(DAYS[0], "note")
    store.render_course("ann")
    names = [file.name for file in files_of_participant(store, "ann")]
    assert "ann.visits.json" in names
    assert "participant" in erase(store, "ann")
    assert not list(store.path.rglob("*ann*"))
    assert not list(store.reports.rglob("*ann*"))


def test_the_page_goes_with_each_of_its_sessions(store: Store, demo: Path) -> None:
    page = filled(store, demo, 5.0, 6.0) and store.render_course("ann")["html"]
    store.delete("s0")
    assert not page.parent.exists()


def test_a_printed_page_stays_until_the_page_changes(store: Store, demo: Path) -> None:
    printed = filled(store, demo, 5.0, 6.0) and [
        store.render_course("ann")[kind].with_suffix(".pdf") for kind in ("html", "client")
    ]
    for file in printed:
        file.write_bytes(b"printed")
    store.render_course("ann")
    assert [file.read_bytes() for file in printed] == [b"printed"] * 2
    store.course("ann").set_note(DAYS[1], "sore")  # the client's page has no notes
    store.render_course("ann")
    assert [file.is_file() for file in printed] == [False, True]


def test_an_exercise_that_no_longer_exists_is_named_and_the_rest_is_shown(
    store: Store, demo: Path
) -> None:
    filled(store, demo, 5.0, 6.0, 7.0)
    change_record(store.session("s1"), exercise="Handstand")
    page = store.render_course("ann")["html"].read_text("utf-8")
    assert "Handstand" in page
    assert len(line_of(store).points) == 2


def test_nobody_and_anonymous_have_no_course(store: Store, demo: Path) -> None:
    filled(store, demo, 5.0)
    with pytest.raises(NotFoundError, match="not in the store"):
        store.course("bob")
    with pytest.raises(BadInputError, match="different people"):
        store.course("anonymous")
