"""The course of a participant: all visits, the trend of each measure, and notes on the visits.

The trend is a straight line through the values of the visits that were filmed and analysed like the
last one, weighted by their errors (:func:`trend`). It is one comparison, however many visits there
are, and with two visits it is the comparison of :mod:`mobility.studies.visit_changes`.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from pydantic import RootModel
from scipy.special import ndtri

from mobility.assessment.trial_errors import judged
from mobility.base.options import Day, checked, validate
from mobility.errors import BadInputError, MobilityError, NotFoundError, StorageError
from mobility.sessions.files import LOCKS, NOTES, PARTICIPANTS, check_decodable
from mobility.studies.references import references
from mobility.studies.visit import Visit, as_date, visits_of
from mobility.studies.visit_changes import (
    Measured,
    errors_between_visits,
    is_filmed_alike,
)

if TYPE_CHECKING:
    import pandas as pd

    from mobility.sessions.filming import Filming
    from mobility.sessions.session_store import SessionStore

_LONGEST_NOTE = 4000
"""Largest number of characters of a note."""

Word = Literal["better", "worse", "met", "changed", "unsure", ""]
"""Trend in a word: changed (without a target), not surely changed, or nothing to compare with."""


class Trend(NamedTuple):
    """A straight line through the values of visits.

    Attributes
    ----------
    first, last
        Values of the line on the first and on the last day.
    error
        Standard error of their difference.
    """

    first: float
    last: float
    error: float

    def exceeds(self, numbers: int = 1) -> bool:
        """Return whether the line has changed, with 5 % false changes in all `numbers` together."""
        return abs(self.last - self.first) > self.least(numbers)

    def least(self, numbers: int = 1) -> float:
        """Return the smallest detectable change (95 %) of one of several numbers (Bonferroni)."""
        return float(-ndtri(0.025 / numbers)) * self.error


def trend(days: Sequence[float], values: Sequence[float], errors: Sequence[float]) -> Trend:
    """Fit a straight line by weighted least squares.

    Parameters
    ----------
    days, values, errors
        Time, value and standard error between visits of at least two visits, in order.

    Returns
    -------
    Trend
        With two visits, the line goes through both values, and its error is the root of the sum of
        their squared errors, as in the comparison of two visits.
    """
    at, value = np.asarray(days, float), np.asarray(values, float)
    weight = 1 / np.square(np.asarray(errors, float))
    middle = np.average(at, weights=weight)
    spread = np.sum(weight * (at - middle) ** 2)
    slope = np.sum(weight * (at - middle) * value) / spread
    level = np.average(value, weights=weight)
    first, last = (float(level + slope * (day - middle)) for day in (at[0], at[-1]))
    return Trend(first, last, float((at[-1] - at[0]) / math.sqrt(spread)))


class Point(NamedTuple):
    """A number of one visit in a course.

    Attributes
    ----------
    day
        Day of the visit.
    number
        The number; None if the visit filmed the exercise, but has no such number.
    part
        Number of the part of the line, beginning at 0: the next part begins if a visit was filmed
        or analysed differently.
    is_compared
        Whether it was filmed and analysed like the last one, so that the trend includes it.
    error
        Standard error between visits; NaN if it is not compared.
    """

    day: datetime.date
    number: Measured | None
    part: int
    is_compared: bool
    error: float


class Line(NamedTuple):
    """A measure of one side over the visits.

    Attributes
    ----------
    exercise, metric, side
        Description of the measure.
    points
        One for each visit that filmed the exercise.
    trend
        Trend of the points that are compared; None with fewer than two.
    error_of
        "package", or the name of the lab's study with the errors.
    """

    exercise: str
    metric: str
    side: str
    points: list[Point]
    trend: Trend | None
    error_of: str

    @property
    def measured(self) -> list[tuple[Point, Measured]]:
        """Points with a number."""
        return [(point, point.number) for point in self.points if point.number is not None]


class _Notes(RootModel[dict[datetime.date, str]]):
    """Notes on visits, by day."""


class Course:
    """All visits of a participant.

    Parameters
    ----------
    store, user_id
        The store, and the participant.

    Raises
    ------
    BadInputError, NotFoundError
        As in :func:`mobility.studies.visit.visit`.
    """

    def __init__(self, store: SessionStore[Any], user_id: str) -> None:
        self.store = store
        self.user_id = user_id
        self.visits = [Visit(user_id, *day) for day in visits_of(store, user_id).items()]

    def left_out(self) -> dict[str, str]:
        """List sessions that cannot be read, for instance of an exercise that no longer exists."""
        ids = {session.id for visit in self.visits for session in visit.sessions}
        reasons = {}
        for session_id, owner in self.store.owners().items():
            if owner == self.user_id and session_id not in ids:
                try:
                    self.store.session(session_id).record.kind  # noqa: B018 - it may raise
                except MobilityError as error:
                    reasons[session_id] = str(error)
        return reasons

    @property
    def notes(self) -> dict[datetime.date, str]:
        """Notes of the therapist, by the day of the visit."""
        try:
            stored = self.store.document(self._key)
            return dict(sorted(validate(_Notes, stored, what=self._key).root.items()))
        except NotFoundError:
            return {}
        except BadInputError as error:
            raise StorageError(
                f"participant {self.user_id}: the notes on the visits are damaged ({error}); "
                f"restore or delete the file {self.store.path / self._key}"
            ) from None

    @checked
    def set_note(self, on: Day, text: str) -> None:
        """Store a note on the visit of a day; an earlier note is replaced, or deleted by "".

        Raises
        ------
        BadInputError
            The text is too long.
        NotFoundError
            There is no visit on that day.
        StorageError
            The stored notes are damaged.
        """
        self.store.require_writable()
        day, days = as_date(on), [visit.date for visit in self.visits]
        if day not in days:
            listed = ", ".join(map(str, days[-5:]))
            raise NotFoundError(
                f"participant {self.user_id}: no session on {day}; choose from {listed}"
            )
        check_decodable(text, what="note")
        if len(text) > _LONGEST_NOTE:
            fault = f"has {len(text)} characters; use at most {_LONGEST_NOTE}"
            raise BadInputError.of({"note": fault})
        with self.store.locked(f"{LOCKS}/participants", what="the participants", wait_s=10):
            notes = {**self.notes, day: text.strip()}
            written = {f"{when}": note for when, note in sorted(notes.items()) if note}
            self.store.write_document(self._key, written)

    @property
    def _key(self) -> str:
        return f"{PARTICIPANTS}/{self.user_id}{NOTES}.json"

    @cached_property
    def lines(self) -> list[Line]:
        """Each measure of each exercise and side over the visits."""
        filmings: dict[str, Filming | None] = {}
        studies = references(self.store)
        lines = []
        for exercise in dict.fromkeys(name for visit in self.visits for name in visit.exercises):
            filmed = [visit for visit in self.visits if exercise in visit.exercises]
            of_days = {
                visit.date: {
                    (each.metric, each.side): each
                    for each in (visit.numbers(exercise) if visit.films_of(exercise) else [])
                }
                for visit in filmed
            }
            for metric, side in dict.fromkeys(key for row in of_days.values() for key in row):
                numbers = {day: row.get((metric, side)) for day, row in of_days.items()}
                points, whose = _points(numbers, studies, filmings)
                compared = [(p, p.number) for p in points if p.is_compared and p.number]
                line = None
                if len(compared) > 1:
                    days = [float(point.day.toordinal()) for point, _ in compared]
                    values = [number.value for _, number in compared]
                    line = trend(days, values, [point.error for point, _ in compared])
                lines.append(Line(exercise, metric, side, points, line, whose))
        return lines

    @property
    def compared(self) -> int:
        """Number of measures with a trend; the error of 5 % applies to all of them together."""
        return sum(line.trend is not None for line in self.lines)

    def word(self, line: Line) -> Word:
        """Return the trend of a measure in a word."""
        if line.trend is None:
            return ""
        if not line.trend.exceeds(self.compared):
            return "unsure"
        last = line.measured[-1][1]
        first, now = line.trend.first, line.trend.last
        towards = judged(first, now, goal=last.goal, direction=last.direction, alike=True)
        return towards or "changed"

    def trends(self) -> list[dict[str, Any]]:
        """List the trend of each measure.

        Returns
        -------
        list of dict
            ``exercise``, ``metric``, ``side``, ``units``, ``visits`` (number of visits that are
            compared), ``since`` (the first of them), ``change``, ``least`` (smallest detectable
            change of all measures together, 95 %), ``word`` (:data:`Word`) and ``error_of``.
            ``change`` and ``least`` are None with fewer than two visits to compare.
        """
        rows = []
        for line in self.lines:
            days = [point.day for point in line.points if point.is_compared]
            change = line.trend and line.trend.last - line.trend.first
            least = line.trend and line.trend.least(self.compared)
            rows.append(
                {
                    **{"exercise": line.exercise, "metric": line.metric, "side": line.side},
                    **{"units": line.measured[-1][1].units, "visits": len(days)},
                    "since": days[0] if days else None,
                    **{"change": change, "least": least, "word": self.word(line)},
                    "error_of": line.error_of,
                }
            )
        return rows

    def document(self) -> dict[str, Any]:
        """Return the days, their notes and the trends as JSON output."""
        notes = self.notes
        trends = [
            {name: f"{value}" if isinstance(value, datetime.date) else value
             for name, value in row.items()}
            for row in self.trends()
        ]  # fmt: skip
        visits = [
            {"date": f"{visit.date}", "note": notes.get(visit.date, ""), "films": visit.films()}
            for visit in self.visits
        ]
        return {"user_id": self.user_id, "visits": visits, "trends": trends}

    def table(self) -> pd.DataFrame:
        """Return a row for each visit, measure and side, with the note on the visit.

        A visit without a number has a row without a measure.
        """
        import pandas as pd

        notes = self.notes
        rows: list[dict[str, Any]] = []
        for line in self.lines:
            for point, number in line.measured:
                rows.append(
                    {
                        **{"user_id": self.user_id, "date": f"{point.day}"},
                        **{"exercise": line.exercise, "metric": line.metric, "side": line.side},
                        **{"value": number.value, "sd": number.sd, "sem": number.sem},
                        **{"units": number.units, "target": number.goal, "view": number.views},
                        **{"repetitions": number.repetitions, "version": number.version},
                        **{"part": point.part + 1, "is_compared": point.is_compared},
                        **{"trend": self.word(line), "note": notes.get(point.day, "")},
                    }
                )
        with_numbers = {row["date"] for row in rows}
        rows += [
            {"user_id": self.user_id, "date": f"{visit.date}", "note": notes.get(visit.date, "")}
            for visit in self.visits
            if f"{visit.date}" not in with_numbers
        ]
        counts = {name: "Int64" for name in ("repetitions", "part") if with_numbers}
        frame = pd.DataFrame(rows).astype(counts)
        return frame.sort_values("date", kind="stable", ignore_index=True)


def _points(
    numbers: dict[datetime.date, Measured | None],
    studies: Sequence[Any],
    filmings: dict[str, Filming | None],
) -> tuple[list[Point], str]:
    """Divide the numbers into parts, and find those that are compared with the last one."""

    def alike(one: Measured, other: Measured) -> bool:
        same = (one.units, one.version) == (other.units, other.version)
        return same and is_filmed_alike(one, other, filmings)

    last = next((n for n in reversed(numbers.values()) if n is not None), None)
    assert last is not None  # a line has a number
    compared = [n for n in numbers.values() if n is not None and (n is last or alike(n, last))]
    errors, whose = errors_between_visits(compared, studies, filmings, alike=True)
    error_of = dict(zip(map(id, compared), errors, strict=True))
    points: list[Point] = []
    part, before = 0, None
    for day, number in numbers.items():
        if points and (number is None or before is None or not alike(before, number)):
            part += 1
        error = error_of.get(id(number), math.nan)
        points.append(Point(day, number, part, math.isfinite(error), error))
        before = number
    return points, whose
