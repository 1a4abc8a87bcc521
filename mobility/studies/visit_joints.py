"""Single-joint movements of a visit, merged over its videos; rows of a visit in a table."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mobility import tables
from mobility.assessment.movements import END
from mobility.assessment.movements import movement as movement_table
from mobility.kinematics.expected_error import half_width
from mobility.kinematics.skeleton import SIDES
from mobility.pipeline.metrics_table import as_table, metrics_table
from mobility.studies.merging import Film, Given, Merged, merge_numbers, right_minus_left, unlike

if TYPE_CHECKING:
    import pyarrow as pa

DIFFERENCE = "side_difference"
COMPARED = (END, DIFFERENCE)
"""Metrics that are compared between visits."""

_Place = tuple[str, str, str]
"""Movement, metric and side."""
_Rows = Mapping[_Place, list[tuple[Film, dict[str, Any]]]]
"""Rows of the videos' tables, by their position."""


def merged_joints(films: Sequence[Film], *, exercise: str) -> list[dict[str, Any]]:
    """Merge single-joint movements into the rows of :meth:`mobility.studies.visit.Visit.joints`."""
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
    """Return the merged single-joint movements as rows of the table of visits."""
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
    """Turn rows of a session into rows of a visit, with the videos from which each number comes."""
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
    # A video whose sides may have been exchanged has no side if another video has either.
    certain = {
        movement
        for (movement, *_), of_films in rows.items()
        if any(_is_certain(film) and math.isfinite(row["value"]) for film, row in of_films)
    }
    shown = {
        place: [pair for pair in of_films if place[0] not in certain or _is_certain(pair[0])]
        for place, of_films in rows.items()
    }
    return {place: of_films for place, of_films in shown.items() if of_films}


def _is_certain(film: Film) -> bool:
    return not film.verdict.sides_in_doubt


def _first(rows: _Rows, place: _Place) -> Mapping[str, Any]:
    return rows[place][0][1] if place in rows else {}


def _is_of_such_people(
    rows: Sequence[tuple[Film, Mapping[str, Any]]], movement: str, side: str
) -> bool:
    """Return whether people like the participant were measured, as far as sex and age are known."""
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
    cells, ways = [], {}
    for film, row in rows:
        if math.isfinite(row["value"]):
            ways[film.id] = (row["units"], row["version"])
        if film.verdict.shows(row["metric"]):
            cells.append(Given(film, row["value"], row["sd"], row["sem"], row["reason"]))
        else:
            cells.append(Given(film, reason=film.verdict.why_without(row["metric"])))
    return unlike(ways) or merge_numbers(cells, rows[0][1]["units"])


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None
