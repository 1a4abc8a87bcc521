"""What changed since an earlier visit, beyond the errors of both.

These are the standard errors of measurement between visits (``assessment/trial_errors.py``), of
the package or of the lab. They hold for one way of filming: if both visits were not filmed and
analysed alike, the errors of the numbers themselves count too.

Movements of single joints in a visit, merged over their films; rows of a visit in a table.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from mobility import tables
from mobility.assessment.movements import END
from mobility.assessment.movements import movement as movement_table
from mobility.assessment.trial_errors import judged, least_change, visit_error
from mobility.documents.lab_references import Conditions, RetestErrors
from mobility.errors import MobilityError
from mobility.kinematics.expected_error import half_width
from mobility.kinematics.skeleton import SIDES
from mobility.pipeline.metrics_table import as_table, metrics_table
from mobility.sessions.filming import Filming, filmed_alike, filming_of
from mobility.studies.merging import Film, Given, Merged, merge_numbers, right_minus_left, unlike

if TYPE_CHECKING:
    import pyarrow as pa

    from mobility.documents.lab_references import Reference
    from mobility.sessions.stored_session import StoredSession


class Measured(NamedTuple):
    """A number of a visit.

    Attributes
    ----------
    exercise, metric, side
        What it is; of single joints ``metric`` has the movement in brackets.
    value, sd, sem, units, version
        Of it; NaN where unknown.
    views
        Of all films of the exercise.
    sessions
        Those that it is from.
    repetitions
        How many repetitions it is from, of the film with fewest; 0 if it is from none.
    goal, direction
        Target of its rule, and the side on which values are outside it; NaN and "" without one.
    """

    exercise: str
    metric: str
    side: str
    value: float
    sd: float
    sem: float
    units: str
    version: str
    views: str
    sessions: tuple[StoredSession, ...]
    repetitions: int = 0
    goal: float = math.nan
    direction: str = ""


def changes(
    before: Sequence[Measured], now: Sequence[Measured], references: Sequence[Reference] = ()
) -> list[dict[str, Any]]:
    """Compare the numbers of two visits.

    Parameters
    ----------
    before, now
        Numbers of both.
    references
        What the lab's own studies found.

    Returns
    -------
    list of dict
        For each number that both have with an error between visits: ``exercise``, ``metric``,
        ``side``, ``before``, ``now``, ``change``, ``least`` (the smallest detectable change, 95 %),
        ``exceeds``, ``judged`` (:data:`~mobility.assessment.trial_errors.Judgement`),
        ``repetitions`` (of the visit with fewer), ``units``, ``error`` ("retest" if both were
        filmed alike, else "own", with those of both numbers), ``error_of`` ("package", or the name
        of the lab's study).
    """
    earlier = {(each.exercise, each.metric, each.side): each for each in before}
    filmings: dict[str, Filming | None] = {}
    compared = []
    for number in now:
        old = earlier.get((number.exercise, number.metric, number.side))
        if old is None or (old.units, old.version) != (number.units, number.version):
            continue
        alike, whose = _filmed_alike(old.sessions, number.sessions, filmings), "package"
        errors = [float(visit_error(each.sd, each.sem, alike=alike)) for each in (old, number)]
        if alike and (found := _of_study(number, references, filmings)) is not None:
            errors, whose = [found[0], found[0]], found[1]
        least = float(least_change(*errors))
        change = number.value - old.value
        if not (math.isfinite(least) and math.isfinite(change)):
            continue
        compared.append(
            {
                **{"exercise": number.exercise, "metric": number.metric, "side": number.side},
                **{"before": old.value, "now": number.value, "change": change, "least": least},
                **{"exceeds": abs(change) > least, "units": number.units},
                "judged": judged(
                    *(old.value, number.value),
                    goal=number.goal,
                    direction=number.direction,
                    alike=alike,
                ),
                "repetitions": min(old.repetitions, number.repetitions),
                **{"error": "retest" if alike else "own", "error_of": whose},
            }
        )
    return compared


def fewest_repetitions(session: StoredSession) -> int:
    """Count the repetitions that the numbers of a session are from, of the leg with fewest.

    0 if they are from none, or unreadable.
    """
    with suppress(MobilityError):
        repetitions = session.repetitions()
        accepted = repetitions["accepted"].to_numpy().astype(bool)
        if "leg" not in repetitions:
            return int(accepted.sum())
        legs = repetitions["leg"].to_numpy()[accepted].tolist()
        return min((legs.count(leg) for leg in set(legs)), default=0)
    return 0


def _filmed_alike(
    before: Sequence[StoredSession],
    now: Sequence[StoredSession],
    filmings: dict[str, Filming | None],
) -> bool:
    """Whether both are from the same set of views, each filmed and analysed alike."""
    of_views: list[dict[str, list[Filming]]] = [{}, {}]
    for sessions, views in zip((before, now), of_views, strict=True):
        for session in sessions:
            if (filming := _filming(session, filmings)) is None:
                return False
            views.setdefault(filming.view, []).append(filming)
    old, new = of_views
    same_code = len({_software(each) for each in (*before, *now)}) == 1
    alike = old.keys() == new.keys() and all(filmed_alike(old[v] + new[v]) for v in old)
    return bool(old) and same_code and alike


def _filming(session: StoredSession, filmings: dict[str, Filming | None]) -> Filming | None:
    if session.id not in filmings:
        filmings[session.id] = None
        with suppress(MobilityError):  # its results are deleted or damaged
            filmings[session.id] = filming_of(session)
    return filmings[session.id]


def _each(names: Iterable[str]) -> str:
    """Name each once, as the table of visits does."""
    return ", ".join(sorted(set(names)))


def _software(session: StoredSession) -> str:
    provenance = session.record.provenance
    return "" if provenance is None else provenance.versions.get("mobility", "")


def _of_study(
    number: Measured, references: Sequence[Reference], filmings: dict[str, Filming | None]
) -> tuple[float, str] | None:
    """Find the newest error of measuring again that holds for the films of a number."""
    alike = [each for s in number.sessions if (each := _filming(s, filmings)) is not None]
    conditions = Conditions(
        exercise=number.exercise,
        view=number.views,
        method=alike[0].method,
        cameras=max(each.cameras for each in alike),
        software=_software(number.sessions[0]),
        standing=alike[0].standing,
        level="visit",
        pose_source=_each(filming.pose_source for filming in alike),
        source_software=_each(filming.source_software for filming in alike),
    )
    for reference in references:
        for error in reference.errors if isinstance(reference, RetestErrors) else ():
            of_error = (error.conditions, error.metric, error.side, error.version)
            if of_error == (conditions, number.metric, number.side, number.version):
                return error.sem, reference.name
    return None


DIFFERENCE = "side_difference"
COMPARED = (END, DIFFERENCE)
"""What is compared between visits."""

_Place = tuple[str, str, str]
"""Movement, metric and side."""
_Rows = Mapping[_Place, list[tuple[Film, dict[str, Any]]]]
"""Rows of the films' tables, by their place."""


def merged_joints(films: Sequence[Film], *, exercise: str) -> list[dict[str, Any]]:
    """Merge single joints: the rows of :meth:`mobility.studies.visit.Visit.joints`."""
    rows = _rows_of(films)
    views = {film.id: film.view for film in films}
    listed = []
    for (movement, metric, side), number in _merged(rows).items():
        reference, kind = (
            _first(rows, (movement, name, side))
            if metric == END and _is_of_such_people(rows[movement, metric, side], movement, side)
            else {}
            for name in ("reference", "reference_kind")
        )
        listed.append(
            {
                **{"exercise": exercise, "movement": movement, "metric": metric, "side": side},
                **{name: _plain(getattr(number, name)) for name in ("value", "sd", "sem")},
                "units": _first(rows, (movement, metric, side))["units"],
                "reference": _plain(reference.get("value", math.nan)),
                "reference_kind": kind.get("text") or None,
                "reason": number.reason,
                "sessions": [film.id for film in number.films],
                "views": [views[film.id] for film in number.films],
            }
        )
    return listed


def joint_rows(films: Sequence[Film]) -> pa.Table:
    """Put the merged movements of single joints into rows of the table of visits."""
    of_films = _rows_of(films)
    numbers = _merged(of_films)
    rows = []
    for place, number in numbers.items():
        half = half_width(number.sd)
        bounds = {"lower": number.value - half, "upper": number.value + half}
        values = {name: getattr(number, name) for name in ("value", "sd", "sem", "reason")}
        rows.append({**_first(of_films, place), **values, **bounds})
    origins = [[film.id for film in number.films] for number in numbers.values()]
    return visit_rows(rows, origins, {film.id: film.view for film in films})


def visit_rows(
    rows: Sequence[Mapping[str, Any]], origins: Sequence[Sequence[str]], views: Mapping[str, str]
) -> pa.Table:
    """Make rows of a session those of a visit, with the films that each number is from."""
    import pyarrow as pa

    table = as_table([{**row, "level": "visit"} for row in rows])
    of_views = [", ".join(sorted({views[film] for film in films})) for films in origins]
    for name, texts in (("views", of_views), ("films", [" ".join(films) for films in origins])):
        table = table.append_column(name, pa.array(texts, pa.string()))
    return table


def _rows_of(films: Sequence[Film]) -> _Rows:
    rows: dict[_Place, list[tuple[Film, dict[str, Any]]]] = {}
    for film in sorted(films, key=lambda film: film.id):
        for row in metrics_table(film.metrics).to_pylist():
            if row["level"] == "session" and row["item"]:
                rows.setdefault((row["item"], row["metric"], row["side"]), []).append((film, row))
    # A film whose sides may have been exchanged has none where another one has either.
    certain = {
        movement
        for (movement, *_), of_films in rows.items()
        if any(_is_certain(film) and math.isfinite(row["value"]) for film, row in of_films)
    }
    kept = {
        place: [each for each in of_films if place[0] not in certain or _is_certain(each[0])]
        for place, of_films in rows.items()
    }
    return {place: of_films for place, of_films in kept.items() if of_films}


def _is_certain(film: Film) -> bool:
    return not film.verdict.sides_in_doubt


def _first(rows: _Rows, place: _Place) -> Mapping[str, Any]:
    return rows[place][0][1] if place in rows else {}


def _is_of_such_people(
    rows: Sequence[tuple[Film, Mapping[str, Any]]], movement: str, side: str
) -> bool:
    """Whether people like the participant were measured, as far as sex and age are known."""
    joint = movement_table(movement)["joint"]
    described = json.loads(rows[0][0].metrics.attrs.get("references", "{}"))
    return not described.get(f"{side}_{joint}", {}).get("note", "")


def _merged(rows: _Rows) -> dict[_Place, Merged]:
    """Merge the numbers of each movement, and compare the sides."""
    numbers: dict[_Place, Merged] = {}
    for movement in dict.fromkeys(movement for movement, metric, _ in rows if metric == END):
        for metric in tables.load("merging")["of_joints"]:
            for place in ((movement, metric, side) for side in SIDES):
                if place in rows:
                    numbers[place] = _of_films(rows[place])
        difference = (movement, DIFFERENCE, "")
        if difference in rows:
            left, right = (numbers.get((movement, END, side), Merged()) for side in SIDES)
            apart = _of_films(rows[difference])
            if not left.films == right.films == apart.films:
                apart = right_minus_left(left, right, apart)
            numbers[difference] = apart
    return numbers


def _of_films(rows: Sequence[tuple[Film, Mapping[str, Any]]]) -> Merged:
    given, ways = [], {}
    for film, row in rows:
        if math.isfinite(row["value"]):
            ways[film.id] = (row["units"], row["version"])
        if film.verdict.shows(row["metric"]):
            given.append(Given(film, row["value"], row["sd"], row["sem"], row["reason"]))
        else:
            given.append(Given(film, reason=film.verdict.why_without(row["metric"])))
    return unlike(ways) or merge_numbers(given, rows[0][1]["units"])


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None
