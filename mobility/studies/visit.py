"""A visit: the sessions of a participant on one day, with combined videos.

:mod:`mobility.studies.merging` combines the videos of each exercise. A video without results stays
in the list of videos, with the reason.
"""

from __future__ import annotations

import datetime
import functools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mobility import tables
from mobility.assessment.findings import Finding, films_beside, find, in_place, threshold_of
from mobility.assessment.verdict import LEVELS, Level, Verdict
from mobility.base.formatting import measure_of, shortened
from mobility.base.options import Day, Names, checked, checked_methods, likely, quoted, validate
from mobility.catalogue.registry import exercise as registered
from mobility.catalogue.registry import names
from mobility.documents.contract import VisitDocument
from mobility.documents.fill import check_rows
from mobility.documents.of_session import verdict_of
from mobility.errors import BadInputError, MobilityError, NotFoundError
from mobility.keypoints.sources import WHOSE, Origin
from mobility.keypoints.view import UNKNOWN, trial_view
from mobility.pipeline.analysis import is_current, why_not_again
from mobility.pipeline.metrics_table import as_table, metrics_table
from mobility.sessions.files import check_id
from mobility.sessions.record import ANONYMOUS
from mobility.sessions.session_store import store_of
from mobility.sessions.stored_session import StoredSession
from mobility.studies import cohort, merging, visit_changes
from mobility.studies.merging import Film
from mobility.studies.references import references
from mobility.studies.visit_changes import Measured, fewest_repetitions
from mobility.studies.visit_joints import COMPARED, joint_rows, merged_joints, visit_rows

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    import xarray as xr

    from mobility.sessions.session_store import SessionStore

_EVERYTHING = Verdict("good", "")
"""Numbers that the verdict on a video rules out are not merged."""

_OF_ALL_FILMS = ("pose_source", "source_software", "software", "standing", "state")
"""Columns that contain the value from each video of an exercise."""


@checked_methods
class Visit:
    """The sessions of a participant on one day.

    Attributes
    ----------
    user_id, date
        The participant, and the day in the time zone of the sessions.
    sessions
        The sessions, oldest first.

    Parameters
    ----------
    user_id, date, sessions
        See the attributes.
    recordings
        Verdicts on a recording for which a video is merged.
    name
        Name of the visit, as in tables, if there are several on the same day.
    earlier
        IDs of the sessions with which the visit may be compared; None for all earlier days.
    """

    @checked
    def __init__(
        self,
        user_id: str,
        date: datetime.date,
        sessions: Sequence[StoredSession],
        *,
        recordings: Sequence[Level] = LEVELS,
        name: str = "",
        earlier: frozenset[str] | None = None,
    ) -> None:
        self.user_id = user_id
        self.date = date
        self.sessions = tuple(sessions)
        self._recordings = recordings
        self._name = f"/{name}" if name else ""
        self._earlier = earlier

    def __repr__(self) -> str:
        return f"<Visit of {self.user_id} on {self.date}: {len(self.sessions)} sessions>"

    @property
    def exercises(self) -> list[str]:
        """Exercises of the sessions, in the order of the registry.

        A session whose video shows another exercise is not included.
        """
        filmed = {
            session.record.exercise
            for session, same in zip(self.sessions, self._same_as, strict=True)
            if same is None or same.record.exercise == session.record.exercise
        }
        return [name for name in names() if name in filmed]

    def films(self) -> list[dict[str, Any]]:
        """List the video of each session, and whether it is included, oldest first.

        Returns
        -------
        list of dict
            ``session_id``, ``exercise``, ``state``, ``view``, ``azimuth``, ``pose_source`` and
            ``source_software`` (of the keypoints), ``verdict`` ("" without results), ``reason``
            (why it is not included; "" if it is).
        """
        return [dict(row) for row, _ in self._read]

    def films_of(self, exercise: str) -> list[Film]:
        """List the videos of an exercise that have results, oldest first.

        Results from a different version or changed inputs are left out.
        """
        name = registered(exercise).name
        return [film for row, film in self._read if film and row["exercise"] == name]

    def metrics(self, exercise: str) -> xr.Dataset:
        """Merge the videos of an exercise; see :func:`mobility.studies.merging.merge`.

        Raises
        ------
        NotFoundError
            No video of the exercise has results.
        BadInputError
            The exercise measures single-joint range of motion: see :meth:`joints` for the numbers.
        """
        return self._merged(exercise).copy()

    def checks(self) -> list[dict[str, Any]]:
        """Return the rule results of each exercise, from numbers that are merged over its videos.

        Returns
        -------
        list of dict
            The rows are as in a session, with ``exercise``, and with ``sessions`` and ``views`` of
            the videos from which the number comes. Numbers that are not merged (times, smoothness,
            spread) have a row for each video.
        """
        rows = []
        for exercise in self._with_rules:
            views = merging.views_of(self._merged(exercise))
            for finding, films in self.findings(exercise):
                (row,) = check_rows([finding], _EVERYTHING)
                rows.append({**row, **_origin(exercise, [film.id for film in films], views)})
        return rows

    def findings(self, exercise: str) -> list[tuple[Finding, list[Film]]]:
        """Return the findings of an exercise, each with the videos from which its number comes.

        Numbers that are not merged have a finding for each video. The errors are those of
        :meth:`metrics`.
        """
        films, merged = {film.id: film for film in self.films_of(exercise)}, self._merged(exercise)
        able = [film for film in films.values() if "findings" not in film.verdict.rules_out]
        of_films = [
            (film, film.verdict.checks(find(film.metrics)))
            for film in able or [*films.values()][:1]
        ]
        findings_with_films: list[tuple[Finding, list[Film]]] = []
        done: set[str] = set()
        for finding in find(merged):
            metric = finding.metric
            if metric in merged and merging.is_merged(merged, metric):
                ids = merging.films_of(merged, metric, finding.side)
                findings_with_films.append((finding, [films[film_id] for film_id in ids]))
            elif finding.rule not in done:
                done.add(finding.rule)
                findings_with_films += [
                    (repeated, [film])
                    for film, findings in of_films
                    for repeated in findings
                    if repeated.rule == finding.rule
                ]
        return findings_with_films

    def further_films(self) -> list[dict[str, Any]]:
        """List the further videos that would decide checks that no video has decided so far.

        Returns
        -------
        list of dict
            ``exercise``, ``view`` (a kind of view; "left" or "right" if only one side is not
            visible) and ``checks``, the ids of the findings that such a video would decide. The
            list is as short as possible, and the videos that decide most come first.
        """
        rows = []
        for exercise in self._with_rules:
            films = [f for f in self.films_of(exercise) if "findings" not in f.verdict.rules_out]
            findings = find(self._merged(exercise))
            beside = films_beside(findings, {film.view for film in films}) if films else {}
            for view, answered in beside.items():
                ids = [finding.id for finding in answered]
                rows.append({"exercise": exercise, "view": view, "checks": ids})
        return rows

    def joints(self) -> list[dict[str, Any]]:
        """Merge the ends and ranges of single-joint movements over the videos.

        Returns
        -------
        list of dict
            A row for each movement, ``metric`` (end_of_range, opposite_end, range_of_motion) and
            side, and for ``side_difference``, right minus left: ``exercise``, ``movement``,
            ``side``, ``value``, ``sd``, ``sem``, ``units``, ``reference`` and ``reference_kind``
            (None if unknown), ``reason``, ``sessions`` and ``views``.
        """
        rows = []
        for exercise in self.exercises:
            if registered(exercise).noun == "movement" and (films := self.films_of(exercise)):
                rows += merged_joints(films, exercise=exercise)
        return rows

    def document(self) -> dict[str, Any]:
        """Return videos, checks, joints and changes as one JSON document."""
        values = {
            **{"user_id": self.user_id, "date": self.date, "films": self.films()},
            **{"checks": self.checks(), "joints": self.joints(), "changes": self.changes()},
            "further_films": self.further_films(),
        }
        what = f"visit of {self.user_id} on {self.date}"
        return validate(VisitDocument, _rounded(values), what=what).json_values()

    def table(self) -> pd.DataFrame:
        """Return the merged numbers as the table of :func:`visits_to_dataframe`."""
        return visits_to_frame([self])

    def compared_with(self, earlier: Names) -> Visit:
        """Return the visit so that it is only compared with some sessions of earlier days."""
        return Visit(self.user_id, self.date, self.sessions, earlier=frozenset(earlier))

    def before(self, exercise: str) -> Visit | None:
        """Return the last earlier visit with a number of an exercise, or with outdated results."""
        exercise = registered(exercise).name
        if not self.sessions or self.sessions[0].store.read_only:
            return None
        first = self.sessions[0]
        days = visits(store_of(first), self.user_id)
        for day in sorted((day for day in days if day < self.date), reverse=True):
            of_day = [
                session
                for session in days[day]
                if session.record.exercise == exercise
                and (self._earlier is None or session.id in self._earlier)
            ]
            earlier = Visit(self.user_id, day, of_day)
            if earlier.films_of(exercise):
                if earlier.numbers(exercise):
                    return earlier
            elif any(map(_is_outdated, of_day)):
                return earlier
        return None

    def changes(self) -> list[dict[str, Any]]:
        """Compare the numbers of the rules, and the ends of range, with the previous visit.

        Returns
        -------
        list of dict
            Rows of :func:`mobility.studies.visit_changes.changes`, with ``since``, the day of the
            earlier visit: for each exercise, the last visit that has its numbers. Exercises of
            :meth:`not_compared` are left out.
        """
        rows = []
        for exercise in self.exercises:
            earlier = self.before(exercise) if self.films_of(exercise) else None
            if earlier is None or not earlier.films_of(exercise):
                continue
            old, new = (one.numbers(exercise) for one in (earlier, self))
            changed = visit_changes.changes(old, new, references(self.sessions[0].store))
            rows += [{**row, "since": earlier.date} for row in changed]
        return rows

    def not_compared(self) -> dict[str, datetime.date]:
        """List exercises with outdated results from the previous visit, and the visit's day."""
        return {
            exercise: earlier.date
            for exercise in self.exercises
            if self.films_of(exercise)
            and (earlier := self.before(exercise)) is not None
            and not earlier.films_of(exercise)
        }

    def numbers(self, exercise: str) -> list[Measured]:
        """List the numbers of an exercise that are compared with those of another visit."""
        exercise = registered(exercise).name
        films = self.films_of(exercise)
        if registered(exercise).noun == "movement":
            return [
                self._measured(row, measure_of(row["metric"], row["movement"]), row["sessions"])
                for row in merged_joints(films, exercise=exercise)
                if row["metric"] in COMPARED and row["value"] is not None
            ]
        merged = self._merged(exercise)
        rules = {rule["metric"]: rule for rule in in_place(registered(exercise)).values()}
        return [
            self._measured(
                {**row, "exercise": exercise},
                row["metric"],
                merging.films_of(merged, row["metric"], row["side"]),
                goal=threshold_of(merged, rules[row["metric"]]),
                direction=rules[row["metric"]]["direction"],
            )
            for row in metrics_table(merged).to_pylist()
            if row["metric"] in rules and math.isfinite(row["value"])
        ]

    def _measured(
        self,
        row: Mapping[str, Any],
        metric: str,
        films: Sequence[str],
        *,
        goal: float = math.nan,
        direction: str = "",
    ) -> Measured:
        value, sd, sem = (
            math.nan if row[name] is None else float(row[name]) for name in ("value", "sd", "sem")
        )
        sessions = tuple(session for session in self.sessions if session.id in films)
        counts = [count for session in sessions if (count := fewest_repetitions(session))]
        return Measured(
            exercise=row["exercise"],
            metric=metric,
            side=row["side"],
            value=value,
            sd=sd,
            sem=sem,
            units=row["units"],
            version=row.get("version", ""),
            views=self._views(row["exercise"]),
            sessions=sessions,
            repetitions=min(counts, default=0),
            goal=goal,
            direction=direction,
        )

    def _views(self, exercise: str) -> str:
        return ", ".join(sorted({film.view for film in self.films_of(exercise)}))

    def id_of(self, exercise: str) -> str:
        """Return the ID that tables use, instead of a session, for an exercise of the visit."""
        return f"{self.user_id}/{self.date}/{registered(exercise).slug}{self._name}"

    def of_exercise(self, exercise: str) -> tuple[dict[str, Any], pa.Table]:
        """Return the values that all table rows of an exercise share, and the rows themselves."""
        exercise = registered(exercise).name
        read = [
            (session, row, film)
            for session, (row, film) in zip(self.sessions, self._read, strict=True)
            if row["exercise"] == exercise
        ]
        if not read:
            raise self._without(exercise)
        films = [film for *_, film in read if film is not None]
        used = [session for session, _, film in read if film is not None] or [read[0][0]]
        of_films = [cohort.session_columns(session, session.record, {}, None) for session in used]
        levels = [film.verdict.level for film in films]
        about = {
            **of_films[0],
            **{name: _alike(of_films, name) for name in _OF_ALL_FILMS},
            "session_id": self.id_of(exercise),
            "view": self._views(exercise),
            "recording": min(levels, key=LEVELS.index, default=None),
            "cameras": max(columns["cameras"] for columns in of_films),
        }
        if not films:
            reasons = dict.fromkeys(row["reason"] for _, row, _ in read)
            return about, as_table([{"reason": "; ".join(reasons)}])
        if registered(exercise).noun == "movement":
            return about, joint_rows(films)
        merged = self._merged(exercise)
        rows = metrics_table(merged).to_pylist()
        if not rows:
            return about, as_table([{"reason": tables.sentence("studies.nothing_measured")}])
        origins = [merging.films_of(merged, row["metric"], row["side"]) for row in rows]
        return about, visit_rows(rows, origins, merging.views_of(merged))

    @property
    def _with_rules(self) -> list[str]:
        """Exercises whose videos have metrics that rules can check."""
        return [
            exercise
            for exercise in self.exercises
            if registered(exercise).noun == "repetition" and self.films_of(exercise)
        ]

    @functools.cached_property
    def _read(self) -> list[tuple[dict[str, Any], Film | None]]:
        """Return the rows and the videos; a repeated video is left out, as its row explains."""
        numbers = {session.id: number for number, session in enumerate(self.sessions, 1)}
        rows = []
        for (row, film), same in zip(self._read_apart, self._same_as, strict=True):
            if same is None:
                rows.append((row, film))
                continue
            why = tables.sentence("visit.repeated", number=numbers[same.id])
            rows.append(({**row, "reason": why}, None))
        return rows

    @functools.cached_property
    def _read_apart(self) -> list[tuple[dict[str, Any], Film | None]]:
        return [_read(session, self._recordings) for session in self.sessions]

    @functools.cached_property
    def _same_as(self) -> list[StoredSession | None]:
        """Return, for each session, the session with the same video that replaces it, or None.

        The session with findings counts first, then the one with two cameras, then the first. If a
        video has findings for one exercise, it does not count for another exercise for which it
        has none.
        """

        def has_findings(number: int) -> bool:
            film = self._read_apart[number][1]
            return film is not None and "findings" not in film.verdict.rules_out

        def worth(number: int) -> tuple[bool, int]:
            return has_findings(number), len(self.sessions[number].record.videos)

        counted: dict[tuple[str, ...], StoredSession] = {}
        same: list[StoredSession | None] = [None] * len(self.sessions)
        for number in sorted(range(len(self.sessions)), key=worth, reverse=True):
            if self._read_apart[number][1] is None:
                continue
            session = self.sessions[number]
            videos = [(video.sha256,) for video in session.record.videos]
            of_exercise = [(*_measured_in(session), *video) for video in videos]
            stand_for_it = of_exercise if has_findings(number) else [*of_exercise, *videos]
            same[number] = next((counted[key] for key in stand_for_it if key in counted), None)
            if same[number] is None:
                counted |= dict.fromkeys(of_exercise, session)
                counted |= dict.fromkeys(videos if has_findings(number) else [], session)
        return same

    def _merged(self, exercise: str) -> xr.Dataset:
        kind = registered(exercise)
        if kind.noun != "repetition":
            fault = f"{kind.name} has no metrics of a complete movement; use joints"
            raise BadInputError.of({"exercise": fault})
        films = self.films_of(kind.name)
        if not films:
            raise self._without(kind.name)
        if kind.name not in self._datasets:
            self._datasets[kind.name] = merging.merge(films)
        return self._datasets[kind.name]

    def _without(self, exercise: str) -> NotFoundError:
        of = f"visit of {self.user_id} on {self.date}"
        return NotFoundError(f"{of}: has no results of {exercise}")

    @functools.cached_property
    def _datasets(self) -> dict[str, xr.Dataset]:
        return {}


def _rounded(value: Any) -> Any:
    """Round the numbers of a document to four digits; non-finite numbers become null."""
    if isinstance(value, float):
        return round(value, 4) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: _rounded(part) for name, part in value.items()}
    return [_rounded(part) for part in value] if isinstance(value, list) else value


def _alike(rows: Sequence[Mapping[str, Any]], name: str) -> Any:
    """Return the value of a column if all rows share it, otherwise all values as a text."""
    values = {row[name] for row in rows}
    return (
        values.pop() if len(values) == 1 else ", ".join(sorted(str(item or "") for item in values))
    )


def _origin(exercise: str, films: Sequence[str], views: Mapping[str, str]) -> dict[str, Any]:
    """Return the videos that a row of checks comes from."""
    of_films = {"sessions": list(films), "views": [views[film] for film in films]}
    return {"exercise": exercise, **of_films}


def _read(
    session: StoredSession, recordings: Sequence[Level]
) -> tuple[dict[str, Any], Film | None]:
    """Read what a session adds to a visit: its row, and its video if that has results."""
    record = session.record
    row = {
        **{"session_id": session.id, "exercise": record.exercise, "state": record.state},
        **{"view": UNKNOWN, "azimuth": None, "verdict": "", "reason": ""},
        **dict.fromkeys(WHOSE, ""),
    }
    if why := cohort.why_without_results(session, record):
        return {**row, "reason": why}, None
    try:
        if not is_current(session):
            gone = why_not_again(session)
            why = tables.sentence("visit.outdated.gone" if gone else "visit.outdated.again")
            return {**row, "reason": why}, None
        metrics, quality = session.metrics(), session.capture_quality()
        verdict = verdict_of(session, metrics)
        view = quality.get("view") or {}
        row |= {"view": view.get("name") or UNKNOWN, "azimuth": view.get("azimuth_deg")}
        row |= Origin.of(metrics.attrs)._asdict()
        if len(record.videos) > 1:
            row["view"] = trial_view(session.fitted())
    except MobilityError as error:
        return {**row, "reason": str(error)}, None
    row["verdict"] = verdict.level
    if why := cohort.why_not_compared(verdict, recordings, record):
        return {**row, "reason": why}, None
    if "findings" in verdict.rules_out:
        row["reason"] = verdict.why.rstrip(".")
    azimuth = math.nan if row["azimuth"] is None else float(row["azimuth"])
    return row, Film(session.id, metrics, verdict, str(row["view"]), azimuth)


def _measured_in(session: StoredSession) -> tuple[str, ...]:
    """Return what the videos of a session measure: one video may show several movements."""
    record = session.record
    joints = record.joints if record.kind.noun == "movement" else ()
    return record.exercise, record.movement or "", *joints


def _is_outdated(session: StoredSession) -> bool:
    try:
        return not is_current(session)
    except MobilityError:  # damaged, as the row of the video shows
        return False


def visit(
    store: SessionStore[Any],
    user_id: str,
    *,
    on: datetime.date | str | None = None,
    only: Sequence[str] = (),
    without: Sequence[str] = (),
) -> Visit:
    """Combine the sessions of a participant on one day.

    Parameters
    ----------
    store
        The store with the sessions.
    user_id
        The participant.
    on
        The day, in the time zone of the sessions, as a date or "2026-11-30"; the default is the
        last.
    only, without
        Ids of the sessions to include (no others), or to leave out, for instance those before a
        treatment.

    Raises
    ------
    BadInputError
        The day is invalid, both `only` and `without` are passed, one of the ids is not a session of
        that day, or nothing is left. An error is also raised for "anonymous", whose sessions may
        belong to different people.
    NotFoundError
        There is no such participant, or no session on that day.
    """
    if only and without:
        raise BadInputError.of({"without": "cannot be combined with only; leave one of them out"})
    days = visits_of(store, user_id)
    date = max(days) if on is None else as_date(on)
    if date not in days:
        listed = shortened([f"{day}" for day in sorted(days, reverse=True)], most=5)
        raise NotFoundError(f"participant {user_id}: no session on {date}; choose from {listed}")
    of_day = days[date]
    ids = [session.id for session in of_day]
    for what, session_ids in (("only", only), ("without", without)):
        for name in session_ids:
            if name not in ids:
                fault = f"{quoted(name)} is not a session of {user_id} on {date}{likely(name, ids)}"
                raise BadInputError.of({what: fault})
    sessions = [one for one in of_day if one.id in (only or ids) and one.id not in without]
    if not sessions:
        raise BadInputError.of({"without": f"leaves no session of {user_id} on {date}"})
    return Visit(user_id, date, sessions)


def visits_of(store: SessionStore[Any], user_id: str) -> dict[datetime.date, list[StoredSession]]:
    """Group sessions as :func:`visits` does, with the errors of :func:`visit` if there are none."""
    check_id(user_id, what="user_id")
    if user_id == ANONYMOUS:
        fault = "sessions of 'anonymous' may belong to different people; give a participant"
        raise BadInputError.of({"user_id": fault})
    if days := visits(store, user_id):
        return days
    participants = store.participants()
    if user_id in participants:
        raise NotFoundError(f"participant {user_id}: has no session in {store.place}")
    raise NotFoundError(
        f"participant {user_id}: not in the store {store.place}{likely(user_id, participants)}"
    )


def visits(store: SessionStore[Any], user_id: str) -> dict[datetime.date, list[StoredSession]]:
    """Group the sessions of a participant by the day of their visits, oldest first."""
    days: dict[datetime.date, list[StoredSession]] = {}
    for session in store.sessions():
        record = session.record
        if record.user_id == user_id and (day := record.visit_day) is not None:
            days.setdefault(day, []).append(session)
    return dict(sorted(days.items()))


def visits_to_dataframe(
    sessions: Iterable[StoredSession], *, recordings: Sequence[str] = cohort.COMPARED
) -> pd.DataFrame:
    """Combine the merged numbers of visits in one tidy table.

    Parameters
    ----------
    sessions
        Sessions of one or more stores, in any state. A participant's sessions on one day form a
        visit.
    recordings
        Verdicts on a recording for which a video is merged, as in
        :func:`mobility.studies.cohort.to_dataframe`.

    Returns
    -------
    pandas.DataFrame
        As in :func:`mobility.studies.cohort.to_dataframe`, with a row for each visit, exercise,
        metric and side, whose ``level`` is "visit". ``views`` and ``films`` name the videos from
        which a value comes. An exercise without results has one row with the reason. All sessions
        of "anonymous", which may belong to different people, share one row.
    """
    return visits_to_frame(*_visits_of(sessions, recordings))


def _visits_of(
    sessions: Iterable[StoredSession], recordings: Sequence[str]
) -> tuple[list[Visit], list[StoredSession]]:
    """Group sessions into visits, and those that belong to no visit."""
    compared = cohort.check_recordings(recordings)
    days: dict[tuple[str, datetime.date], list[StoredSession]] = {}
    unnamed: list[StoredSession] = []
    for session in sessions:
        record = session.record
        if (day := record.visit_day) is None:
            unnamed.append(session)
        else:
            days.setdefault((record.user_id, day), []).append(session)
    sorted_visits = [Visit(*place, days[place], recordings=compared) for place in sorted(days)]
    return sorted_visits, unnamed


def checks(
    frame: pd.DataFrame,
    sessions: Iterable[StoredSession],
    *,
    recordings: Sequence[str] = cohort.COMPARED,
) -> pd.DataFrame:
    """Combine the checks of visits in a table, like :func:`mobility.studies.cohort.checks`.

    Parameters
    ----------
    frame
        The table of :func:`visits_to_dataframe`, from the same `sessions` and `recordings`.
    """
    first = frame.drop_duplicates("session_id").astype({"session_id": "str", "exercise": "str"})
    about = {row["session_id"]: row for row in first.to_dict("records")}
    rows: list[dict[str, Any]] = []
    for visit in _visits_of(sessions, recordings)[0]:
        rows_of: dict[str, list[dict[str, Any]]] = {}
        for row in visit.checks():
            rows_of.setdefault(row["exercise"], []).append(row)
        for exercise in visit.exercises:
            of_exercise = about[visit.id_of(exercise)]
            for row in rows_of.get(exercise, [] if of_exercise["metric"] else [{}]):
                lower, upper = row.get("interval") or (None, None)
                rows.append({**of_exercise, "value": None, **row, "lower": lower, "upper": upper})
    return cohort.as_checks(rows)


def visits_to_frame(found: Iterable[Visit], unnamed: Sequence[StoredSession] = ()) -> pd.DataFrame:
    """Combine visits, and sessions without one, in the table from :func:`visits_to_dataframe`."""
    columns, parts = [], []
    for visit in found:
        for exercise in visit.exercises:
            about, rows = visit.of_exercise(exercise)
            columns.append(about)
            parts.append(rows)
    if unnamed:
        date = min(session.record.created_at for session in unnamed)
        columns.append({"session_id": ANONYMOUS, "user_id": ANONYMOUS, "date": date})
        parts.append(as_table([{"reason": tables.sentence("cohort.no_visit")}]))
    frame = cohort.as_frame(columns, parts)
    return frame.assign(trial=frame["trial"].mask(frame["trial"].notna()))


def as_date(on: Day) -> datetime.date:
    """Read a day written as "2026-11-30"."""
    if isinstance(on, datetime.datetime):
        return on.date()
    if isinstance(on, datetime.date):
        return on
    try:
        return datetime.date.fromisoformat(str(on))
    except ValueError:
        fault = f"must be a day such as 2026-11-30 (got {quoted(on)})"
        raise BadInputError.of({"on": fault}) from None
