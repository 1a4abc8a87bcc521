"""A visit: the sessions of a participant on one day, and their films merged.

The films of each exercise are merged as :mod:`mobility.assessment.merging` says; a film without
results stays in the list of films, with the reason.
"""

from __future__ import annotations

import datetime
import functools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mobility.assessment import merging
from mobility.assessment.findings import all_rules, find
from mobility.assessment.merging import Film
from mobility.assessment.verdict import Verdict
from mobility.documents.fill import check_rows
from mobility.errors import BadInputError, MobilityError, NotFoundError
from mobility.options import likely, quoted
from mobility.pipeline.cohort import why_without_results
from mobility.registry import exercise as registered
from mobility.registry import names
from mobility.sessions.files import check_id
from mobility.sessions.record import ANONYMOUS
from mobility.view import UNKNOWN, trial_view
from mobility.wording import shortened

if TYPE_CHECKING:
    import xarray as xr

    from mobility.sessions.store import SessionStore
    from mobility.sessions.stored import StoredSession

_EVERYTHING = Verdict("good", "")
"""What films' verdicts rule out is not among merged numbers."""


class Visit:
    """The sessions of a participant on one day.

    Attributes
    ----------
    user_id, date
        Of whom, and when, in the offset of the sessions.
    sessions
        The oldest first.
    """

    def __init__(
        self, user_id: str, date: datetime.date, sessions: Sequence[StoredSession]
    ) -> None:
        self.user_id = user_id
        self.date = date
        self.sessions = tuple(sessions)

    def __repr__(self) -> str:
        return f"<Visit of {self.user_id} on {self.date}: {len(self.sessions)} sessions>"

    def films(self) -> list[dict[str, Any]]:
        """Say of each session what was filmed, and whether it enters.

        Returns
        -------
        list of dict
            ``session_id``, ``exercise``, ``state``, ``view``, ``azimuth``, ``verdict`` ("" without
            results), ``reason`` (why nothing of it enters, else ""), the oldest first.
        """
        return [dict(row) for row, _ in self._read]

    @property
    def exercises(self) -> list[str]:
        """Exercises with results, in the order of the registry."""
        return [name for name in names() if name in self._films]

    def metrics(self, exercise: str) -> xr.Dataset:
        """Merge the films of an exercise: see :func:`mobility.assessment.merging.merge`.

        Raises
        ------
        NotFoundError
            No film of it has results.
        """
        return self._merged(registered(exercise).name).copy()

    def checks(self) -> list[dict[str, Any]]:
        """Answers of the rules of each exercise, of numbers merged over its films.

        Returns
        -------
        list of dict
            Rows as of a session, and ``exercise``, ``sessions`` and ``views``: the films that the
            number is from. What is not merged (times, smoothness, spread) has a row for each film.
        """
        return [row for exercise in self.exercises for row in self._checks_of(exercise)]

    def _checks_of(self, exercise: str) -> list[dict[str, Any]]:
        films, merged = self._films[exercise], self._merged(exercise)
        rows = check_rows(find(merged), _EVERYTHING)
        of_films = {
            film.id: check_rows(film.verdict.answers(find(film.metrics)), _EVERYTHING)
            for film in films
        }
        able = [film for film in films if "findings" not in film.verdict.rules_out] or films[:1]
        views = merging.views_of(merged)
        listed: list[dict[str, Any]] = []
        done: set[str] = set()
        for row in rows:
            rule = row["rule"]
            metric = all_rules()[rule]["metric"]
            if metric in merged and merging.is_merged(merged, metric):
                from_films = merging.films_of(merged, metric, row["side"] or "")
                listed.append({**row, **_origin(exercise, from_films, views)})
            elif rule not in done:
                done.add(rule)
                listed += [
                    {**of_film, **_origin(exercise, [film.id], views)}
                    for film in able
                    for of_film in of_films[film.id]
                    if of_film["rule"] == rule
                ]
        return listed

    @functools.cached_property
    def _read(self) -> list[tuple[dict[str, Any], Film | None]]:
        return [_read(session) for session in self.sessions]

    @functools.cached_property
    def _films(self) -> dict[str, list[Film]]:
        """Films with results and rules, by exercise."""
        films: dict[str, list[Film]] = {}
        for row, film in self._read:
            if film is not None and registered(row["exercise"]).noun == "repetition":
                films.setdefault(row["exercise"], []).append(film)
        return films

    @functools.cached_property
    def _datasets(self) -> dict[str, xr.Dataset]:
        return {}

    def _merged(self, exercise: str) -> xr.Dataset:
        if exercise not in self._datasets:
            if exercise not in self._films:
                raise NotFoundError(
                    f"visit of {self.user_id} on {self.date}: has no results of {exercise}"
                )
            self._datasets[exercise] = merging.merge(self._films[exercise])
        return self._datasets[exercise]


def _origin(exercise: str, films: Sequence[str], views: Mapping[str, str]) -> dict[str, Any]:
    return {
        "exercise": exercise,
        "sessions": list(films),
        "views": [views[film] for film in films],
    }


def _read(session: StoredSession) -> tuple[dict[str, Any], Film | None]:
    """Read what a session gives to a visit."""
    record = session.record
    row = {
        **{"session_id": session.id, "exercise": record.exercise, "state": record.state},
        **{"view": UNKNOWN, "azimuth": None, "verdict": "", "reason": ""},
    }
    if why := why_without_results(session, record):
        return {**row, "reason": why}, None
    try:
        metrics, quality = session.metrics(), session.capture_quality()
        verdict = session.verdict(metrics)
        view = quality.get("view") or {}
        row |= {"view": view.get("name") or UNKNOWN, "azimuth": view.get("azimuth_deg")}
        if len(record.videos) > 1:
            row["view"] = trial_view(session.fitted())
        session.edits()  # raises if damaged: the results may not be current
    except MobilityError as error:
        return {**row, "reason": str(error)}, None
    row["verdict"] = verdict.level
    if "findings" in verdict.rules_out:
        row["reason"] = verdict.why.rstrip(".")
    azimuth = math.nan if row["azimuth"] is None else float(row["azimuth"])
    return row, Film(session.id, metrics, verdict, str(row["view"]), azimuth)


def visit(
    store: SessionStore[Any],
    user_id: str,
    *,
    on: datetime.date | str | None = None,
    only: Sequence[str] = (),
    without: Sequence[str] = (),
) -> Visit:
    """Collect the sessions of a participant on one day.

    Parameters
    ----------
    store
        Where they are.
    user_id
        Of whom.
    on
        The day, in the offset of the sessions, as a date or "2026-11-30"; by default the last.
    only, without
        Ids of the sessions that alone count, or of those that do not: of before a treatment, say.

    Raises
    ------
    BadInputError
        The day is none, both of `only` and `without` are given, one of them is no session of that
        day, or nothing is left. Of "anonymous", whose sessions may be of different people.
    NotFoundError
        There is no such participant, or no session that day.
    """
    check_id(user_id, what="user_id")
    if user_id == ANONYMOUS:
        fault = "sessions of 'anonymous' may be of different people, and make no visit; name one"
        raise BadInputError.of({"user_id": fault})
    if only and without:
        raise BadInputError.of({"without": "give sessions to leave out, or only some, not both"})
    days = visits(store, user_id)
    if not days:
        others = store.participants()
        if user_id in others:
            raise NotFoundError(f"participant {user_id}: has no session in {store.place}")
        raise NotFoundError(
            f"participant {user_id}: not in the store {store.place}{likely(user_id, others)}"
        )
    date = max(days) if on is None else as_date(on)
    if date not in days:
        listed = shortened([f"{day}" for day in sorted(days, reverse=True)], most=5)
        raise NotFoundError(f"participant {user_id}: has no session on {date}; there are {listed}")
    of_day = days[date]
    ids = [session.id for session in of_day]
    for what, chosen in (("only", only), ("without", without)):
        for each in chosen:
            if each not in ids:
                fault = f"{quoted(each)} is no session of {user_id} on {date}{likely(each, ids)}"
                raise BadInputError.of({what: fault})
    kept = [each for each in of_day if each.id in (only or ids) and each.id not in without]
    if not kept:
        raise BadInputError.of({"without": f"leaves no session of {user_id} on {date}"})
    return Visit(user_id, date, kept)


def visits(store: SessionStore[Any], user_id: str) -> dict[datetime.date, list[StoredSession]]:
    """Sort the sessions of a participant by day, the oldest first."""
    return by_day(each for each in store.sessions() if each.record.user_id == user_id)


def by_day(sessions: Iterable[StoredSession]) -> dict[datetime.date, list[StoredSession]]:
    """Sort sessions of one participant by the day of their visits."""
    days: dict[datetime.date, list[StoredSession]] = {}
    for session in sessions:
        days.setdefault(session.record.day, []).append(session)
    return dict(sorted(days.items()))


def as_date(on: datetime.date | str) -> datetime.date:
    """Read a day as "2026-11-30"."""
    if isinstance(on, datetime.datetime):
        return on.date()
    if isinstance(on, datetime.date):
        return on
    try:
        return datetime.date.fromisoformat(str(on))
    except ValueError:
        fault = f"is a day as 2026-11-30 (got {quoted(on)})"
        raise BadInputError.of({"on": fault}) from None
