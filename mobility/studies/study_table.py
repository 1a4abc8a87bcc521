"""A study: its list of sessions and their measures, as one table for all its statistics."""

from __future__ import annotations

import difflib
import math
import os
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from mobility import tables
from mobility.base.formatting import measure_of, shortened
from mobility.base.options import FilePath, checked, likely_measure, quoted, validate
from mobility.base.parsing import is_control, read_csv
from mobility.errors import BadInputError
from mobility.sessions.record import ANONYMOUS, Participant
from mobility.studies.cohort import (
    COMPARED,
    check_recordings,
    choose_measures,
    to_dataframe,
    write_rows,
    write_table,
)
from mobility.studies.visit import Visit, visits_to_frame

if TYPE_CHECKING:
    import pandas as pd

    from mobility.sessions.stored_session import StoredSession

FACTORS = ("visit", "operator", "device", "camera", "trial")
"""Columns that state what differs between the sessions of a participant."""

OF_FILM = ("device", "camera", "trial")
"""Columns in which the videos of a visit may differ."""

OF_VIDEO = (
    *("second_video", "calibration", "keypoints", "second_keypoints", "keypoints_model"),
    *("exercise", "joints", "options"),
)
"""Columns with options for the analysis of a video, as in a batch."""

NAMED = ("session", "video", "participant", *FACTORS, *OF_VIDEO)

OF_PERSON = ("age", "height_m", "weight_kg")
"""Columns that are numbers in every list; in sessions they come from the participant."""

OF_SESSION = (
    *("exercise", "date", "view", "recording", "cameras", "method"),
    *("pose_source", "source_software", "software", "standing"),
    *("sex", *OF_PERSON),
)
OF_MEASURE = ("quantity", "kind", "units", "long_name", "version")
OF_VALUE = (
    *("session_id", "metric", "rep", "level", "value", "sd", "sem", "text", "reason"),
    *OF_MEASURE,
)
"""Columns of the table that do not define groups to compare."""

DECISION = "decision"
"""Kind of a decision, which is 1 if a criterion is probably met, otherwise 0."""

TABLE, SESSIONS, CURVES = "study.parquet", "sessions.csv", "curves.parquet"
LARGEST = 1e100
"""Largest absolute value; its reciprocal is the smallest. Squares of values beyond these would
overflow or vanish.
"""

_LONGEST = 200
"""Longest name in a list, in characters."""

_NEAR = 0.8
"""Similarity above which a column counts as misspelt."""


@dataclass(frozen=True)
class Study:
    """A study's sessions and their measures.

    Parameters
    ----------
    table
        A row for each session, measure and side; :func:`study_table` describes it.
    sessions
        A row for each line of the study: ``line``, ``session_id``, ``participant``, the study's
        columns, and ``reason`` if the session is left out, otherwise empty. If the lines are
        visits, ``sessions`` has the ids of their sessions, separated by spaces.
    columns
        Names of the study's own columns, besides session and participant.
    curves
        Mean curves of the sessions from :func:`mobility.studies.retest.session_curves`, with
        ``participant`` and the study's columns; None if they were not requested.
    """

    table: pd.DataFrame
    sessions: pd.DataFrame
    columns: tuple[str, ...]
    curves: pd.DataFrame | None = None

    def write(self, folder: Path) -> None:
        """Write the study into a folder for :meth:`read`, with tables as Parquet and CSV."""
        write_table(self.table, folder / TABLE)
        if self.curves is not None:
            write_rows(self.curves, folder / CURVES)
        write_rows(self.sessions, folder / SESSIONS)

    @classmethod
    def read(cls, folder: str | os.PathLike[str]) -> Self:
        """Read a study that :meth:`write` wrote."""
        import pandas as pd

        table = pd.read_parquet(Path(folder) / TABLE)
        texts = dict.fromkeys(("session_id", "participant", "reason", "sessions"), "str")
        sessions = pd.read_csv(Path(folder) / SESSIONS, dtype=texts, keep_default_na=False)
        columns = list(sessions.columns)
        of_study = columns[columns.index("participant") + 1 : columns.index("exercise")]
        has_curves = (Path(folder) / CURVES).is_file()
        curves = pd.read_parquet(Path(folder) / CURVES) if has_curves else None
        return cls(table, sessions, tuple(of_study), curves)

    def flow(self) -> list[tuple[str, int]]:
        """Count sessions and participants from the list to the statistics, in words and numbers."""
        used = self.sessions[self.sessions["reason"].eq("")]
        without = self.sessions.loc[self.sessions["reason"].ne(""), "reason"]
        return [
            (tables.sentence("studies.flow.listed"), len(self.sessions)),
            *(
                (tables.sentence("studies.flow.left_out", reason=reason), int(count))
                for reason, count in without.value_counts().items()
            ),
            (tables.sentence("studies.flow.measured"), len(used)),
            (tables.sentence("studies.flow.people"), self.sessions["participant"].nunique()),
            (tables.sentence("studies.flow.people_measured"), used["participant"].nunique()),
        ]


_RESERVED = frozenset(
    {
        *("line", "left_out", "side", *OF_VALUE),
        *("view", "recording", "cameras", "method", "software", "standing", "percent"),
        *("pose_source", "source_software"),
        *("participants", "values", "refused", "mean", "median"),
        *("lower_quartile", "upper_quartile"),
    }
)
"""Columns of the table that a list cannot have."""


@checked
def read_list(path: FilePath) -> pd.DataFrame:
    """Read the list of a study: a CSV file with a row for each session.

    Parameters
    ----------
    path
        A CSV file with the column ``session`` (an id) or ``video`` (a file, relative to the folder
        of the list), ``participant``, and optionally ``visit``, ``operator``, ``device``,
        ``camera``, ``trial``. With ``video``, it may also have ``second_video``, ``calibration``,
        ``keypoints``, ``second_keypoints``, ``keypoints_model``, ``exercise``, ``joints``,
        ``options`` (as in a batch). Further columns are the study's own, such as a group or a
        weight.

    Returns
    -------
    pandas.DataFrame
        A row for each row of the file, with its line number in ``line``. A factor or one of the
        study's own columns becomes a number if all its values are numbers; ``age``, ``height_m``
        and ``weight_kg`` always become numbers. Values may be empty, except those of factors.

    Raises
    ------
    NotFoundError
        There is no such file.
    BadInputError
        A column or a session occurs twice, or a column is misspelt. Both ``session`` and ``video``
        are there, or neither of them is. A row has no value for a required column, or a column
        mixes numbers and words.
    """
    import pandas as pd

    file = Path(path)
    names, rows = read_csv(file, what="study")
    for number, values in [(1, names), *rows]:
        if hidden := next(filter(is_control, "".join(values)), ""):
            raise BadInputError(
                f"{file}, line {number}: has the control character U+{ord(hidden):04X}; remove it"
            )
    for name in names:
        if not name:
            raise BadInputError(f"{file}: has a column without a name; name it or delete it")
        if len(name) > _LONGEST:
            raise BadInputError(f"{file}: a column has a name of over {_LONGEST} characters")
        if names.count(name) > 1:
            raise BadInputError(f"{file}: has the column '{name}' twice")
        if name not in NAMED and (near := difflib.get_close_matches(name, NAMED, 1, _NEAR)):
            raise BadInputError(f"{file}: unknown column '{name}'; did you mean '{near[0]}'?")
        if name in _RESERVED:
            raise BadInputError(
                f"{file}: the column '{name}' has the name of a measured value; "
                "give it another name"
            )
    if ("session" in names) == ("video" in names):
        raise BadInputError(f"{file}: needs one of the columns 'session' and 'video'")
    if "session" in names and (of_video := [name for name in names if name in OF_VIDEO]):
        raise BadInputError(
            f"{file}: the column '{of_video[0]}' is an option for the analysis of videos, but"
            " sessions are already analysed; delete it"
        )
    for number, values in rows:
        if len(values) != len(names):
            raise BadInputError(
                f"{file}, line {number}: {len(values)} values for {len(names)} columns"
            )
        for name, value in zip(names, values, strict=True):
            if len(value) > _LONGEST and name not in OF_VIDEO:
                raise BadInputError(f"{file}, line {number}: {name} has over {_LONGEST} characters")
    listed = pd.DataFrame([values for _, values in rows], columns=names)
    listed.insert(0, "line", [number for number, _ in rows])
    for name in {"session", "video", "participant", *FACTORS} & set(names):
        empty = listed.loc[listed[name].eq(""), "line"]
        if len(empty):
            raise BadInputError(f"{file}, line {empty.iloc[0]}: has no {name}")
    _require_once(listed, str(file))
    for name in _of_study(listed):
        listed[name] = _numbers_or_words(listed, name, file)
    return listed


def _require_once(listed: pd.DataFrame, name: str) -> None:
    """Raise if several lines contain the same session, or would make the same one."""
    makes = ["session"] if "session" in listed else ["video", "participant", *OF_VIDEO]
    makes = [column for column in makes if column in listed]
    again = listed[listed.duplicated(makes)]
    if len(again):
        first = again.iloc[0]
        lines = listed.loc[listed[makes].eq(first[makes]).all(axis=1), "line"]
        raise BadInputError(
            f"{name}: lines {shortened(lines, most=3)} are the same session, {first[makes[0]]}"
        )


def _is_meant_as_number(text: str) -> bool:
    """Return whether a text tries to be a number: "4,5" (a decimal comma), "nan", "0x10"."""
    for read in (lambda: float(text), lambda: int(text, 0)):
        with suppress(ValueError):
            read()
            return True
    return re.fullmatch(r"[+-]?\d+,\d+", text) is not None


def _in_size(numbers: pd.Series) -> pd.Series:
    """Return for each number whether it is 0, or in the range that can be computed with."""
    size = numbers.abs()
    within: pd.Series = size.eq(0) | size.between(1 / LARGEST, LARGEST)
    return within


def _numbers_or_words(listed: pd.DataFrame, name: str, file: Path) -> pd.Series:
    """Return a column as numbers if all its values are; raise if it mixes numbers and words."""
    import pandas as pd

    texts = listed[name]
    filled = texts.ne("")
    plain = texts.str.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", flags=re.ASCII)
    numbers = pd.to_numeric(texts.where(plain), errors="coerce")
    numbers = numbers.where(_in_size(numbers))
    meant = numbers.notna() | (filled & texts.map(_is_meant_as_number))
    wrong = filled & numbers.isna()
    if name in OF_PERSON or 2 * meant.sum() > filled.sum():
        if wrong.any():
            row = listed[wrong].iloc[0]
            why = "" if name in OF_PERSON else ", like most of the column"
            text, todo = row[name], "correct it"
            if "," in text and meant[row.name]:
                todo = f"write it with a point, {text.replace(',', '.')}"
            elif name not in OF_PERSON:
                todo += ", or begin all its values with a letter if they are names"
            if name not in FACTORS:
                todo += ", or leave it empty if it is not known"
            fault = "is too large or too small" if plain[row.name] else f"is not a number{why}"
            raise BadInputError(
                f"{file}, line {row['line']}: {name} {quoted(text)} {fault}; {todo}"
            )
        if name in OF_PERSON:
            for number in numbers.dropna().unique():
                try:
                    validate(Participant, {"user_id": "p", name: float(number)}, what="participant")
                except BadInputError as error:
                    line = listed.loc[numbers.eq(number), "line"].iloc[0]
                    raise BadInputError(f"{file}, line {line}: {error}") from None
        return numbers
    return texts


def study_table(
    listed: pd.DataFrame,
    sessions: Iterable[StoredSession],
    *,
    recordings: Sequence[str] = COMPARED,
    level: Literal["session", "repetition"] = "session",
    visits: bool = False,
    name: str = "study",
) -> Study:
    """Combine the measures of a study's sessions in one table.

    Parameters
    ----------
    listed
        From :func:`read_list`, with the column ``session``.
    sessions
        The sessions in the list.
    recordings
        Verdicts on the recordings to use, as in
        :func:`mobility.studies.cohort.to_dataframe`.
    level
        Whether a row is the value of a session (over its accepted repetitions) or the value of one
        repetition.
    visits
        Whether a row is a visit instead of a session, with combined videos
        (:mod:`mobility.studies.visit`). A visit consists of the sessions of a participant on one
        day that have equal values in the columns of the list. ``device``, ``camera`` and ``trial``
        may differ, and are then left out.
    name
        Name of the list in messages: its file.

    Returns
    -------
    Study
        The table has a row for each session, measure and side, or for each of its repetitions, even
        if there is no value. Its columns are ``session_id``, ``participant``, those of the study,
        `OF_SESSION`, ``metric`` (with its item in brackets), `OF_MEASURE`, ``side``, ``rep``,
        ``level``, ``value``, ``sd`` of its error, ``sem``, ``text`` and ``reason``.

    Raises
    ------
    BadInputError
        A session is listed twice, belongs to a different participant from the one in the list, or
        has no named participant. The sessions have several exercises, or repetitions of visits are
        requested.
    """
    _require_once(listed, name)
    if visits:
        if level != "session":
            raise BadInputError.of({"level": "a visit has no repetitions; choose sessions"})
        design, frame, ids = _of_visits(listed, list(sessions), recordings, name)
    else:
        frame = to_dataframe(sessions, recordings=recordings)
        owners = frame.drop_duplicates("session_id").set_index("session_id")["user_id"]
        design = _with_participants(listed, owners, name)
    columns = tuple(_of_study(design))
    of_session = frame.drop_duplicates("session_id").set_index("session_id")
    exercises = sorted(set(of_session["exercise"].astype(str)))
    if len(exercises) > 1:
        raise _several_exercises(exercises, name)
    measured = _measured(frame, "visit" if visits else level)
    fields = [field for field in OF_SESSION if field not in columns]
    about = design.join(of_session[fields], on="session_id")
    table = about.drop(columns="line").merge(measured, on="session_id", how="right")
    reasons = measured.groupby("session_id")["left_out"].first()
    sessions_of_study = about.assign(reason=about["session_id"].map(reasons))
    if visits:  # so that the deletion of a session finds its visit
        sessions_of_study["sessions"] = ids
    return Study(table.drop(columns="left_out"), sessions_of_study, columns)


def _several_exercises(exercises: Iterable[str], name: str) -> BadInputError:
    named = ", ".join(sorted(set(exercises)))
    return BadInputError(f"{name}: has sessions of {named}; compare sessions of one exercise")


def _of_visits(
    listed: pd.DataFrame, sessions: Sequence[StoredSession], recordings: Sequence[str], name: str
) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    """Return a row of the list for each visit, the table of visits, and ids of their sessions."""
    import pandas as pd

    by_id = {session.id: session for session in sessions}
    people = pd.Series({name: session.record.user_id for name, session in by_id.items()})
    design = _with_participants(listed, people, name)
    days = design["session_id"].map(lambda session_id: by_id[session_id].record.created_at.date())
    exercises = design["session_id"].map(lambda session_id: by_id[session_id].record.exercise)
    if exercises.nunique() > 1:
        raise _several_exercises(exercises, name)
    of_film = [column for column in OF_FILM if column in design]
    keys = [column for column in design if column not in {"line", "session_id", *of_film}]
    grouped = design.assign(day=days).groupby([*keys, "day"], sort=False, dropna=False)
    compared = check_recordings(recordings)
    rows: list[dict[str, Any]] = []
    visits: list[Visit] = []
    for _, of_visit in grouped:
        first = of_visit.iloc[0]
        place = (str(first["participant"]), first["day"])
        again = sum((visit.user_id, visit.date) == place for visit in visits)
        visit = Visit(
            *place,
            [by_id[session_id] for session_id in of_visit["session_id"]],
            recordings=compared,
            name=str(again + 1) if again else "",
        )
        visits.append(visit)
        rows.append({**first, "session_id": visit.id_of(exercises.iloc[0])})
    differ = [column for column in of_film if (grouped[column].nunique(dropna=False) > 1).any()]
    merged = pd.DataFrame(rows).drop(columns=["day", *differ])
    ids = [" ".join(session.id for session in visit.sessions) for visit in visits]
    merged = merged.astype(design[merged.columns].dtypes.to_dict())
    return merged, visits_to_frame(visits), ids


def _with_participants(listed: pd.DataFrame, owner_of: pd.Series, name: str) -> pd.DataFrame:
    """Add the participant to each row of the list; raise if list and session disagree."""
    owners = listed["session"].map(owner_of.astype(str))
    people = listed.get("participant", owners)
    wrong = people.ne(owners) & owners.ne(ANONYMOUS)
    if wrong.any():
        row = listed[wrong].iloc[0]
        raise BadInputError(
            f"{name}, line {row['line']}: session {row['session']} belongs to participant "
            f"{owners[row.name]}, not to {people[row.name]}"
        )
    if people.eq(ANONYMOUS).any():
        raise BadInputError(
            f"{name}, line {listed.loc[people.eq(ANONYMOUS), 'line'].iloc[0]}: its session has "
            "no participant; add the column 'participant'"
        )
    design = listed.assign(session_id=listed["session"], participant=people)
    return design[["line", "session_id", "participant", *_of_study(listed)]]


def _of_study(listed: pd.DataFrame) -> list[str]:
    """Return the columns in which sessions may differ, and the study's own columns."""
    not_of_study = {"line", "session_id", *NAMED}
    return [name for name in listed.columns if name not in not_of_study or name in FACTORS]


def _measured(frame: pd.DataFrame, level: str) -> pd.DataFrame:
    """Give each session a row for each measure of the study, with the reason for a gap."""
    import pandas as pd

    reasons = frame[frame["metric"].eq("")].set_index("session_id")["reason"].astype(str)
    rows = frame[frame["level"].eq(level) & frame["metric"].ne("")]
    texts = ("session_id", "metric", "item", "side", "text", "reason", *OF_MEASURE)
    rows = rows.astype(dict.fromkeys(texts, "str"))
    if rows.empty:
        raise BadInputError(tables.sentence("studies.nothing_measured"))
    rows["metric"] = list(map(measure_of, rows["metric"], rows["item"]))
    rows = pd.concat([rows, _decisions(rows)], ignore_index=True)
    # Another version of a measure counts as another measure.
    newest = rows.groupby("metric")["version"].agg(lambda texts: max(texts, key=_version_order))
    older = rows["version"].ne(rows["metric"].map(newest))
    rows.loc[older, ["value", "sd", "sem"]] = float("nan")
    rows.loc[older, ["text", "reason"]] = "", tables.sentence("studies.older_version")
    rows["version"] = rows["metric"].map(newest)
    described = rows.iloc[older.argsort(kind="stable")].drop_duplicates(["metric", "side"])
    described = described[["metric", "side", *OF_MEASURE]]
    names = frame["session_id"].astype(str).unique()
    every = pd.DataFrame({"session_id": names}).merge(described, how="cross")
    numbers = rows[["session_id", "metric", "side", "rep", "value", "sd", "sem", "text", "reason"]]
    every["level"] = level
    every = every.merge(numbers, on=["session_id", "metric", "side"], how="left")
    every["left_out"] = [reasons.get(session, "") for session in every["session_id"]]
    absent = every["reason"].isna()
    not_measured = tables.sentence("studies.not_measured")
    every["reason"] = every["reason"].where(
        ~absent, every["left_out"].where(every["left_out"].ne(""), not_measured)
    )
    every["text"] = every["text"].fillna("")
    return every


def _decisions(rows: pd.DataFrame) -> pd.DataFrame:
    """Return for each criterion with a probability whether it is probably met (1) or not (0)."""
    decided = rows[rows["kind"].eq("probability")].copy()
    decided["metric"] = decided["metric"].str.replace("_probability", "_met", regex=False)
    decided["value"] = decided["value"].ge(0.5).where(decided["value"].notna()).astype("float64")
    met = tables.sentence("studies.met")
    return decided.assign(kind=DECISION, sd=math.nan, sem=math.nan, long_name=met)


def scores(table: pd.DataFrame) -> list[str]:
    """List the measures that are decisions, for which kappa is computed."""
    return list(dict.fromkeys(table.loc[table["kind"].eq(DECISION), "metric"]))


def _version_order(version: str) -> tuple[int, str]:
    """Return a key that sorts versions: 3 before 10."""
    return len(version), version


def choose_metrics(table: pd.DataFrame, metrics: Sequence[str] | None) -> list[str]:
    """List the measures to compare, in the order of the table.

    By default all measures that are numbers.

    Raises
    ------
    BadInputError
        The table has no such measure.
    """
    numeric = table.loc[table["value"].notna(), "metric"]
    available = list(dict.fromkeys(table["metric"]))
    if metrics is None:
        if numeric.empty:
            raise BadInputError(tables.sentence("studies.nothing_measured"))
        with_values = set(numeric)
        return [name for name in available if name in with_values]
    if not metrics:
        raise BadInputError.of({"metrics": "names no measure; leave it out for all"})
    measures = choose_measures(metrics, available)
    for name in measures:
        if name not in available:
            close = likely_measure(name, available)
            raise BadInputError.of({"metrics": f"the study has no measure {quoted(name)}{close}"})
    return measures


def checked_values(
    table: pd.DataFrame, *, named: Sequence[str], covariates: Sequence[str] = ()
) -> pd.DataFrame:
    """Return the rows of a table of values, with plain numbers, and an index from 0.

    ``value`` is a number, or NaN if it is missing. ``sd`` and ``sem`` are optional; infinite values
    become NaN. ``side`` is a text.

    Raises
    ------
    BadInputError
        A row has no value in one of the `named` columns, or no number. A number, including the
        `covariates`, is too large or too small for computing.
    """
    import pandas as pd

    if (
        "level" in table
        and table["level"].eq("visit").any()
        and not table["level"].eq("visit").all()
    ):
        raise BadInputError.of({"table": "mixes rows of visits and of sessions; pass only one"})
    rows = table.reset_index(drop=True)
    for name in named:
        if (empty := rows[name].isna() | rows[name].astype(str).eq("")).any():
            raise BadInputError(
                f"table: row {int(empty.argmax()) + 1} has no {name}; add it, or leave the row out"
            )
    for name in ("value", "sd", "sem"):
        if name not in rows:
            continue
        numbers = pd.to_numeric(rows[name], errors="coerce").astype("float64")
        faulty = numbers.isna() & rows[name].notna()
        if name == "value":
            faulty |= numbers.notna() & ~_in_size(numbers)
        if faulty.any():
            raise BadInputError(
                f"table: row {int(faulty.argmax()) + 1}: {name} must be a number (in size"
                f" {1 / LARGEST:g} to {LARGEST:g}, or 0), or NaN if it is missing"
            )
        rows[name] = numbers.where(numbers.abs().le(LARGEST))
    for name in covariates:
        if pd.api.types.is_numeric_dtype(rows[name]):
            numbers = rows[name].astype("float64")
            if (faulty := numbers.notna() & ~_in_size(numbers)).any():
                raise BadInputError(
                    f"table: row {int(faulty.argmax()) + 1}: {name} must be 0 or in size"
                    f" {1 / LARGEST:g} to {LARGEST:g}"
                )
    if "side" in rows:
        rows["side"] = rows["side"].astype(object).fillna("").astype(str)
    return rows


def unit_of(values: pd.DataFrame) -> str:
    """Return the unit of the values of a measure; empty if there is none.

    Raises
    ------
    BadInputError
        There are several units.
    """
    if "units" not in values:
        return ""
    different = [unit for unit in values["units"].dropna().astype(str).unique() if unit]
    if len(different) > 1:
        metric = values["metric"].iloc[0]
        raise BadInputError(
            f"table: {metric} is in different units ({', '.join(different)}); convert its "
            "values to one unit"
        )
    return different[0] if different else ""


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a table as JSON values; NaN becomes null."""
    plain = frame.astype(object)
    return [
        {name: getattr(value, "item", lambda value=value: value)() for name, value in row.items()}
        for row in plain.where(plain.notna(), None).to_dict("records")
    ]
