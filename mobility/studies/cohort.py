"""Many sessions as one table, with a row for each session, metric, side and level.

The table is a :class:`pandas.DataFrame`, the form that statistics packages use. All other functions
of this module read that table, which may have been filtered, joined or loaded from a file.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mobility import tables
from mobility.assessment.exercise_stages import stages_of
from mobility.assessment.trial_errors import visit_error
from mobility.assessment.verdict import LEVELS, Level, Verdict
from mobility.base.formatting import measure_of, metric_and_item
from mobility.base.options import likely, likely_measure, quoted
from mobility.base.writing import plain_cells
from mobility.catalogue import registry
from mobility.documents import of_session
from mobility.documents.data_dictionary import ENDING, FORMATS, columns_of, data_dictionary
from mobility.documents.lab_references import Conditions, RetestErrors
from mobility.errors import BadInputError, MobilityError
from mobility.keypoints.sources import WHOSE, Origin
from mobility.kinematics.expected_error import MDC95
from mobility.pipeline.analysis import is_current, reading_results
from mobility.pipeline.metrics_table import (
    NUMBERS,
    as_table,
    as_texts,
    read_metrics_table,
)
from mobility.sessions.files import atomic, make_folder, write_json, writing
from mobility.sessions.filming import Filming, filmed_alike
from mobility.sessions.record import ANONYMOUS, verdict_in_words
from mobility.studies.report_files import GROUPED_BY

if TYPE_CHECKING:
    import os

    import pandas as pd
    import pyarrow as pa

    from mobility.documents.lab_references import Reference
    from mobility.sessions.record import SessionRecord
    from mobility.sessions.session_store import SessionStore
    from mobility.sessions.stored_session import StoredSession

COLUMNS = tuple(tables.load("cohort_columns")["columns"])
"""Columns of the table, in order. The table ``cohort_columns`` describes them."""

LEVELS_OVER_REPETITIONS = ("session", "visit")
"""Levels of values over all accepted repetitions, as opposed to one repetition or phase."""

COLUMNS_OF_CHECKS = tuple(tables.load("cohort_columns")["checks"])
"""Columns of the table of :func:`checks`, in order."""

KIND_OF_SD_COLUMN = {"sd_from_standing": "from_standing", "sd_of_sides": "asymmetry"}
"""Columns with further errors of a value, and the kind of metric whose ``sd`` each of them repeats.
"""

AGE_BANDS = {0: "under 9", 9: "9–19", 20: "20–44", 45: "45–69", 70: "70 and over"}
"""First year of each age band, as in the reference values of Soucie et al. (2011)."""

COMPARED: tuple[Level, ...] = ("good", "limited")
"""Verdicts on a recording for which a session is compared, unless others are requested."""

UNKNOWN = "not known"

OUTDATED = "outdated"
"""Last word of ``software`` if an analysis today would not give the same results."""

_NUMBER_TYPES = {
    **dict.fromkeys(("age", "height_m", "weight_kg", "azimuth"), "float64"),
    **dict.fromkeys(("cameras", "visit", "trial"), "Int64"),
}
"""Types of the session columns that are numbers."""
_BANDS_OF_NUMBERS = 3


def to_dataframe(
    sessions: Iterable[StoredSession], *, recordings: Sequence[str] = COMPARED
) -> pd.DataFrame:
    """Put the metrics of sessions into one tidy table.

    Parameters
    ----------
    sessions
        Sessions of one or more stores, in any state.
    recordings
        Verdicts on the recordings to compare: any of "good", "limited", "not_this_exercise",
        "unusable". All four together include every session.

    Returns
    -------
    pandas.DataFrame
        One row for each session, metric, side and level, with the columns of the table
        ``cohort_columns``. They describe the participant, the visit and the recording, and contain
        ``metric``, ``value``, its unit and its four errors (``sd``, ``sd_from_standing``,
        ``sd_of_sides``, ``sem``). A value that the verdict on the recording rules out is missing,
        as on the report page; ``reason`` explains why.

        A session without results, or with a verdict that is not among `recordings`, has one row
        without a metric; its ``reason`` explains why. Texts are stored as categories.

    Raises
    ------
    BadInputError
        There is no such verdict.
    """
    compared = check_recordings(recordings)
    per_session, parts = [], []
    for session in sessions:
        record, verdict = session.record, None
        quality: Mapping[str, Any] = {}
        with suppress(MobilityError):  # absent or damaged
            quality = session.capture_quality()
        try:
            with reading_results(session):
                measured = _measured(session, record)
                verdict = _verdict_on(session, record, quality, measured)
        except MobilityError as error:
            measured = as_table([{"reason": str(error)}])
        per_session.append(session_columns(session, record, quality, verdict))
        has_results = bool(measured["metric"][0].as_py())  # else its one row says why
        if has_results and (why := why_not_compared(verdict, compared, record)):
            measured = as_table([{"reason": why}])
        elif has_results and verdict is not None:
            measured = _without_ruled_out(measured, verdict)
        parts.append(measured)
    return as_frame(per_session, parts)


def as_frame(per_session: list[dict[str, Any]], parts: list[pa.Table]) -> pd.DataFrame:
    """Make one table from the `parts`, which are the rows of each session or visit.

    `per_session` contains the values that are the same in all rows of a session. Visits are
    numbered in it, in place.
    """
    import pandas as pd
    import pyarrow as pa

    _number_visits(per_session)
    row_counts = [table.num_rows for table in parts]
    # Without sessions, the columns are those of an empty table.
    joined = pa.concat_tables([as_table([]), *parts], promote_options="default")
    # Texts are stored as codes, so that millions of rows fit into memory.
    joined = joined.unify_dictionaries()
    # Each column is freed as soon as it is used. Otherwise memory holds everything twice.
    frame = joined.to_pandas(split_blocks=True, self_destruct=True)
    columns_of_sessions = set(COLUMNS) - set(frame.columns) - set(KIND_OF_SD_COLUMN)
    for name in columns_of_sessions:
        column = [values_of.get(name) for values_of in per_session]
        if name == "date":
            values = pd.to_datetime(pd.Series(column, dtype="object"), utc=True)
        elif name in _NUMBER_TYPES:
            values = pd.Series(column, dtype=_NUMBER_TYPES[name])
        else:
            texts = ["" if text is None else str(text) for text in column]
            values = pd.Series(texts, dtype="str").astype("category")
        frame[name] = values.repeat(row_counts).reset_index(drop=True)
    frame["rep"] = frame["rep"].astype("Int64")
    _add_sd_beside(frame)
    return frame[list(COLUMNS)]


def _number_visits(sessions: Iterable[dict[str, Any]]) -> None:
    """Assign numbers to visits, and to sessions within each visit, in place."""
    of_people: dict[str, dict[date, list[dict[str, Any]]]] = {}
    # Sort by day, then by time: days are local to each session, so they may overlap in time.
    for row in sorted(sessions, key=lambda row: (row["date"].date(), row["date"])):
        if row["user_id"] != ANONYMOUS:
            days = of_people.setdefault(row["user_id"], {})
            days.setdefault(row["date"].date(), []).append(row)
    for days in of_people.values():
        for visit, of_day in enumerate(days.values(), 1):
            for trial, row in enumerate(of_day, 1):
                row |= {"visit": visit, "trial": trial}


def _add_sd_beside(frame: pd.DataFrame) -> None:
    """Put the further errors beside the values over the accepted repetitions, in place."""
    import pandas as pd

    of_session = frame[frame["level"].isin(LEVELS_OVER_REPETITIONS)]
    medians = of_session[of_session["kind"].eq("median")]
    quantity, quantity_and_side = ["session_id", "quantity"], ["session_id", "quantity", "side"]
    # A change from standing ends at the bottom. If the median belongs to an extreme, the value at
    # the bottom is a metric of its own. Otherwise it is the median.
    at_bottom = of_session[of_session["kind"].eq("at_bottom")]
    values_at_bottom = pd.concat([at_bottom, medians]).drop_duplicates(quantity_and_side)
    for column, values, keys in (
        ("sd_from_standing", values_at_bottom, quantity_and_side),
        ("sd_of_sides", medians, quantity),
    ):
        source = of_session[of_session["kind"].eq(KIND_OF_SD_COLUMN[column])]
        source = source.drop_duplicates(keys, keep=False)
        source_keys = pd.MultiIndex.from_frame(source[keys].astype("str"))
        value_keys = pd.MultiIndex.from_frame(values[keys].astype("str"))
        sd = pd.Series(source["sd"].to_numpy(), index=source_keys).reindex(value_keys)
        frame[column] = pd.Series(sd.to_numpy(), index=values.index).reindex(frame.index)


def checks(frame: pd.DataFrame, sessions: Iterable[StoredSession]) -> pd.DataFrame:
    """Put the checks of sessions into one long table.

    Parameters
    ----------
    frame
        The table from :func:`to_dataframe`, which contains the participants, and shows which
        sessions are compared.
    sessions
        The sessions in that table.

    Returns
    -------
    pandas.DataFrame
        One row for each session, rule and side, as in :meth:`mobility.Session.checks`, with the
        columns `COLUMNS_OF_CHECKS`. A session that is not compared has one row without a rule, and
        its ``reason`` explains why. A session of an exercise without rules has no row.
    """
    listed = _with_plain_texts(frame.drop_duplicates("session_id"))
    listed = listed.set_index("session_id", drop=False)
    columns_of_session = list(COLUMNS_OF_CHECKS[: COLUMNS_OF_CHECKS.index("rule")])
    rows = []
    for session in sessions:
        if session.id not in listed.index:
            continue
        row_of_session = listed.loc[session.id]
        about = dict(row_of_session[columns_of_session])
        if not row_of_session["metric"]:
            rows.append({**about, "reason": row_of_session["reason"]})
            continue
        try:
            with reading_results(session):
                of_rules = of_session.checks(session)
        except MobilityError as error:
            rows.append({**about, "reason": str(error)})
            continue
        for row in of_rules:
            lower, upper = row["interval"] or (None, None)
            rows.append({**about, **row, "lower": lower, "upper": upper})
    return as_checks(rows)


def as_checks(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Put checks into a table with the columns and types of :func:`checks`."""
    import pandas as pd

    table = pd.DataFrame(rows, columns=list(COLUMNS_OF_CHECKS))
    types = columns_of("checks")
    for name in table:
        if types[name]["type"] == "string":
            table[name] = table[name].astype("object").fillna("").astype("str")
        elif name in _NUMBER_TYPES:  # some of them whole
            table[name] = table[name].astype(_NUMBER_TYPES[name])
        elif types[name]["type"] == "number":
            table[name] = table[name].astype("float64")
    return table


def write_table(
    frame: pd.DataFrame,
    path: str | os.PathLike[str],
    *,
    checks: pd.DataFrame | None = None,
) -> Path:
    """Write a table of sessions as CSV or Parquet, with its data dictionary next to it.

    The dictionary is ``NAME.datapackage.json``
    (:func:`mobility.documents.data_dictionary.data_dictionary`). Both formats share it: if the
    table was written in the other format before, the dictionary describes both files. The `checks`
    from :func:`checks` are written next to the table as ``NAME.checks``, in the same format. The
    errors are those of :func:`write_rows`.
    """
    target = write_rows(frame, path)
    in_each_format = [target.with_suffix(ending) for ending in FORMATS]
    files = [file for file in in_each_format if file.is_file()]
    files_of_checks = []
    if checks is not None:
        write_rows(checks, checks_of(target))
        files_of_checks = [checks_of(file) for file in files if checks_of(file).is_file()]
    write_json(dictionary_of(target), data_dictionary(frame, files, files_of_checks))
    return target


def write_rows(frame: pd.DataFrame, path: str | os.PathLike[str]) -> Path:
    """Write a table as CSV or Parquet, depending on the ending of `path`, completely or not at all.

    In CSV, a text that a spreadsheet would evaluate ("=1+1") starts with an apostrophe.

    Raises
    ------
    BadInputError
        `path` has another ending.
    StorageError
        The file cannot be written.
    """
    target = Path(path)
    if target.suffix not in FORMATS:
        raise BadInputError(f"{target}: use a file name that ends in .csv or .parquet")
    with writing(target.parent):
        make_folder(target.parent)
    with atomic(target) as hidden:
        if target.suffix == ".csv":
            plain_cells(frame).to_csv(hidden, index=False, encoding="utf-8", lineterminator="\n")
        else:
            frame.to_parquet(hidden, engine="pyarrow", index=False)
    return target


def dictionary_of(table: Path) -> Path:
    """Return the path of the data dictionary of a written table."""
    return table.with_suffix(ENDING)


def checks_of(table: Path) -> Path:
    """Return the path of the checks next to a written table."""
    return table.with_suffix(f".checks{table.suffix}")


def is_table(file: Path) -> bool:
    """Return whether :func:`write_table` wrote a file, judged by its first columns."""
    import pyarrow.parquet as pq

    with file.open("rb") as opened:
        head = opened.read(4096)
    if head.startswith(b"PAR1"):
        try:
            names = pq.read_schema(file).names
        except (OSError, ValueError):  # not a Parquet file, although it starts like one
            return False
    else:
        first_line, _, _ = head.decode("utf-8", errors="replace").partition("\n")
        names = first_line.split(",")
    return tuple(names[:3]) == COLUMNS[:3]


def choose_sessions(
    store: SessionStore[Any], *, exercise: str = "", participants: Sequence[str] = ()
) -> list[StoredSession]:
    """List the sessions of a store, optionally only those of one exercise or of some participants.

    Sessions of ``mobility demo`` are listed only if their participant, "demo", is named.

    Raises
    ------
    BadInputError
        There is no such exercise, or a participant has no session in the store.
    """
    name = registry.exercise(exercise).name if exercise else ""
    sessions = store.sessions()
    user_ids = {session.record.user_id for session in sessions}
    for user_id in participants:
        if user_id not in user_ids:
            fault = f"{user_id!r} has no session in {store.place}{likely(user_id, user_ids)}"
            raise BadInputError.of({"participants": fault})
    return [
        session
        for session in sessions
        if (not exercise or session.record.exercise == name)
        and (session.record.user_id in participants if participants else not session.record.is_demo)
    ]


def not_listed(store: SessionStore[Any], listed: Iterable[StoredSession]) -> dict[str, int]:
    """Count the sessions of a store that are not among the `listed`, by reason."""
    ids = {session.id for session in listed}
    sessions, damaged = store.sessions_and_damaged()
    unlisted = [session.record for session in sessions if session.id not in ids]
    demos = sum(record.is_demo for record in unlisted)
    counts = {"damaged": len(damaged), "demo": demos, "other": len(unlisted) - demos}
    return {
        tables.sentence(f"cohort.not_listed.{why}"): count for why, count in counts.items() if count
    }


def by_exercise(frame: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Split a table by exercise, because measures of different exercises are not compared.

    Exercises without a compared session are left out. If no session is compared, the result is the
    whole table under an empty name.
    """
    measured = frame.loc[frame["metric"].ne(""), "exercise"].astype("str")
    names = [exercise.name for exercise in registry.exercises() if exercise.name in set(measured)]
    return {name: frame[frame["exercise"].eq(name)] for name in names} or {"": frame}


def overview(frame: pd.DataFrame) -> pd.DataFrame:
    """List the sessions, oldest first. A session that is left out is listed with the reason."""
    columns = ["session_id", "user_id", "date", "exercise", "state", "view", "recording"]
    columns += [*WHOSE, "software"]
    listed = with_origin(_with_plain_texts(frame.drop_duplicates("session_id")))
    counted = of_metric(frame, "accepted_repetitions").set_index("session_id")["value"]
    table = listed[columns].assign(
        repetitions=listed["session_id"].map(counted).astype("Int64"),
        # In a row with a metric, the reason explains the missing value, not the missing session.
        reason=listed["reason"].where(listed["metric"].eq(""), ""),
    )
    return table.sort_values(["date", "session_id"], ignore_index=True)


def left_out(sessions: pd.DataFrame) -> dict[str, int]:
    """Count the sessions of :func:`overview` that are left out, by reason."""
    without = sessions[sessions["reason"].ne("")]
    # Each failure has its own message; all failures are counted as one reason.
    failed = tables.sentence("cohort.without.failed")
    reasons = without["reason"].where(without["state"].ne("failed"), failed)
    return {str(reason): int(count) for reason, count in reasons.value_counts().items()}


def metrics_of(frame: pd.DataFrame) -> list[str]:
    """List the names of the metrics that any session of the table has, in order.

    A metric of single-joint range of motion has a name for each movement:
    "end_of_range[elbow_flexion]".
    """
    pairs = frame[["metric", "item"]].drop_duplicates().astype("str")
    pairs = pairs[pairs["metric"].ne("")]
    names = map(measure_of, pairs["metric"], pairs["item"])
    return list(dict.fromkeys(names))


def choose_measures(asked: Sequence[str], available: Sequence[str]) -> list[str]:
    """Choose measures by name. The name of a metric with items selects all of its items."""
    measures = []
    for name in asked:
        with_items = [measure for measure in available if metric_and_item(measure)[0] == name]
        stands_for_items = name not in available and with_items
        measures += with_items if stands_for_items else [name]
    return list(dict.fromkeys(measures))


def of_metric(frame: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return the rows of a metric over the accepted repetitions of each session, by date and side.

    Values of single repetitions and phases are left out. Parts of an index and movements are left
    out unless they are named: "end_of_range[elbow_flexion]".
    """
    name, item = metric_and_item(metric)
    rows = frame[frame["metric"].eq(name) & frame["level"].isin(LEVELS_OVER_REPETITIONS)]
    rows = _with_plain_texts(rows)  # after filtering: it is slow on all rows
    rows = rows[rows["item"].eq(item)]
    return rows.sort_values(["date", "session_id", "side"], ignore_index=True)


def changes(
    frame: pd.DataFrame,
    metric: str,
    *,
    sem: float | None = None,
    studies: Sequence[Reference] = (),
) -> pd.DataFrame:
    r"""Compare repeated sessions of each participant with their first session.

    A change is meaningful only if it exceeds the smallest detectable change, MDC95 = 1.96 √2 SEM.
    If `sem` is passed, it is the SEM. Otherwise the SEM comes from a study by the lab, made under
    the conditions of all of the participant's sessions. Without such a study, it is the root mean
    square of the standard errors of measurement (``sem``) of these sessions.

    The SEMs from a study and from the sessions require that the sessions were filmed and analysed
    in the same way (view, direction of the camera within 10 degrees, number of cameras, assumption
    about standing). If they were not, the standard deviation of the error (``sd``) is added, as in
    :func:`mobility.assessment.trial_errors.visit_error`. Without a ``sem``, the error is unknown.

    Parameters
    ----------
    frame
        The table of :func:`to_dataframe`.
    metric
        A metric of the table; for single-joint range of motion with the movement,
        "end_of_range[elbow_flexion]".
    sem
        Standard error of measurement in the unit of the metric, for instance from a test-retest
        study.
    studies
        Results of the lab's own studies, from :meth:`mobility.Store.references`.

    Returns
    -------
    pandas.DataFrame
        A row for each session and side of participants with at least two measured sessions, with
        ``user_id``, ``side``, ``session_id``, ``date``, ``view``, ``value``, ``sd``, ``sem``,
        ``units`` and ``mdc95``.

        ``error_of`` names the source of the error: "package", "given", or the name of a study.
        ``error_people`` is the number of people in that study, 0 if the error comes from no study.
        ``change`` is the change from the first measured session, and ``verdict`` is "first",
        "within error", "larger", "smaller" or "error unknown". Sessions of "anonymous" are left out
        because they may belong to different people.

    Raises
    ------
    BadInputError
        `sem` is not positive.

    References
    ----------
    Weir (2005), J Strength Cond Res 19:231.
    """
    import pandas as pd

    if sem is not None and not (math.isfinite(sem) and sem > 0):
        raise BadInputError.of({"sem": f"must be positive (got {sem})"})
    rows = of_metric(frame, metric)
    rows = rows[rows["value"].notna() & rows["user_id"].ne(ANONYMOUS)]
    rows = rows.sort_values(["user_id", "side"], kind="stable", ignore_index=True)
    person = [rows["user_id"], rows["side"]]
    value = rows["value"].groupby(person)
    if sem is None:
        errors = _errors_between_sessions(rows, person, studies)
    else:
        errors = _same_errors(rows, sem, "given")
    columns = ["user_id", "side", "session_id", "date", "view", "value", "sd", "sem", "units"]
    table = rows.reindex(columns=columns).assign(
        mdc95=MDC95 * errors["error"],
        error_of=errors["error_of"],
        error_people=errors["error_people"],
        change=rows["value"] - value.transform("first"),
    )
    change, mdc = table["change"], table["mdc95"]
    rules = [value.cumcount() == 0, ~np.isfinite(mdc), change.abs() <= mdc, change > 0]
    verdicts = np.select(rules, ["first", "error unknown", "within error", "larger"], "smaller")
    table = table.assign(verdict=pd.Series(verdicts, dtype="object"))
    return table[value.transform("size") >= 2].reset_index(drop=True)


def _same_errors(rows: pd.DataFrame, error: float | pd.Series, error_of: str) -> pd.DataFrame:
    """Return errors that do not come from a study, with their origin, for each row."""
    import pandas as pd

    return pd.DataFrame(
        {
            "error": pd.Series(error, index=rows.index),
            "error_of": pd.Series(error_of, index=rows.index),
            "error_people": pd.Series(0, index=rows.index),
        }
    )


def _errors_between_sessions(
    rows: pd.DataFrame, person: list[pd.Series], studies: Sequence[Reference]
) -> pd.DataFrame:
    """Return the errors with which changes are compared, as :func:`changes` explains."""
    import pandas as pd

    were_alike = _filmed_alike(rows, person)
    # A table that did not come from this package may have no ``sem``.
    retest = rows.get("sem", pd.Series(np.nan, index=rows.index))
    errors = visit_error(rows["sd"].to_numpy(), retest.to_numpy(), alike=were_alike.to_numpy())
    squares = pd.Series(errors**2, index=rows.index).groupby(person)
    # The error is known only if the error of every session is known.
    all_known = squares.transform("count") == squares.transform("size")
    error = np.sqrt(squares.transform("mean").where(all_known))
    of_package = _same_errors(rows, error, "package")
    of_study = _errors_of_studies(rows, studies)
    has_study = of_study["error"].notna().groupby(person).transform("all")
    one_study = of_study["error_of"].groupby(person).transform("nunique").eq(1)
    uses_study = were_alike & has_study & one_study
    return pd.DataFrame(
        {name: of_package[name].mask(uses_study, of_study[name]) for name in of_package}
    )


def _filmed_alike(rows: pd.DataFrame, person: list[pd.Series]) -> pd.Series:
    """Return for each row whether all sessions of the person were filmed and analysed alike."""
    import pandas as pd

    table = with_origin(rows).reindex(columns=list(Filming._fields)).astype("object")
    azimuth = pd.to_numeric(table["azimuth"])
    table = table.where(table.notna(), "").assign(azimuth=azimuth)
    filmings = [Filming(**row) for row in table.to_dict("records")]
    alike = pd.Series(False, index=rows.index)
    for positions in rows.groupby(person).indices.values():
        alike.iloc[positions] = filmed_alike([filmings[i] for i in positions])
    return alike


def _errors_of_studies(rows: pd.DataFrame, studies: Sequence[Reference]) -> pd.DataFrame:
    """Return for each row the error of the newest study that fits, its name and its people."""
    import pandas as pd

    errors: dict[tuple[Any, ...], tuple[float, str, int]] = {}
    for study in reversed(studies):  # from the oldest to the newest, which replaces the others
        for error in study.errors if isinstance(study, RetestErrors) else ():
            conditions = error.conditions.model_dump().values()
            key = (*conditions, error.metric, error.side, error.version)
            errors[key] = (error.sem, study.name, error.participants)
    names = [*Conditions.model_fields, "metric", "side", "version"]
    table = with_origin(rows).reindex(columns=names).fillna({"standing": ""})
    keys = table.itertuples(index=False, name=None)
    matching = [errors.get(key, (math.nan, "", 0)) for key in keys]
    types = {"error": "float64", "error_of": "str", "error_people": "int64"}
    return pd.DataFrame(matching, columns=list(types), index=rows.index).astype(types)


def with_origin(rows: pd.DataFrame) -> pd.DataFrame:
    """Add the origin of the keypoints to the rows: MediaPipe, if a row does not name one."""
    origins: dict[str, Any] = Origin()._asdict()
    for name in origins.keys() & set(rows.columns):
        is_named = rows[name].notna() & rows[name].ne("")
        origins[name] = rows[name].astype("object").where(is_named, origins[name])
    return rows.assign(**origins)


def by_group(frame: pd.DataFrame, metric: str, group_by: str) -> pd.DataFrame:
    """Return one value for each participant, side and group: the median of their sessions.

    Sessions of one person are not independent. Each person therefore counts once in a group.

    Parameters
    ----------
    frame, metric
        As in :func:`changes`.
    group_by
        "age_band", or a column that is the same for all rows of a session ("sex", "view", ...).
        Numbers ("height_m") are cut into three bands with about equally many sessions.

    Returns
    -------
    pandas.DataFrame
        ``group`` (ordered), ``user_id``, ``person``, ``side``, ``value``, ``sessions`` (how many),
        ``units``. People without a value in the field are in the group "not known". Each session of
        "anonymous" counts as a different ``person``.
    """
    import pandas as pd

    rows = of_metric(frame, metric)
    groups = _groups(frame, group_by)
    rows = rows[rows["value"].notna()].assign(
        group=lambda r: r["session_id"].map(groups),
        person=lambda r: r["user_id"].where(r["user_id"].ne(ANONYMOUS), r["session_id"]),
    )
    order = list(groups.cat.remove_unused_categories().cat.categories)
    values = (
        rows.groupby(["group", "person", "side"], sort=False, observed=True)
        .agg(
            user_id=("user_id", "first"),
            value=("value", "median"),
            sessions=("session_id", "nunique"),
            units=("units", "first"),
        )
        .reset_index()
    )
    values["group"] = pd.Categorical(values["group"].astype("str"), categories=order, ordered=True)
    values = values.sort_values(["group", "person", "side"], ignore_index=True)
    return values[["group", "user_id", "person", "side", "value", "sessions", "units"]]


def check_recordings(recordings: Sequence[str]) -> tuple[Level, ...]:
    """Return the verdicts with these names; "all" means all. Hyphens and spaces do not matter.

    Raises
    ------
    BadInputError
        There is no such verdict, or no verdict is named.
    """
    texts = [recordings] if isinstance(recordings, str) else recordings
    names = [re.sub(r"[\s-]+", "_", text.strip()) for text in texts]
    if names == ["all"]:
        return LEVELS
    unknown = [name for name in names if name not in LEVELS]
    if unknown or not names:
        name = unknown[0] if unknown else ""
        choice = likely(name, LEVELS) or f"; choose from {', '.join(LEVELS)}, or all"
        raise BadInputError.of({"recordings": f"there is no verdict {quoted(name)}{choice}"})
    return tuple(level for level in LEVELS if level in names)


def check_group(group_by: str) -> None:
    """Raise an error unless :func:`by_group` can group by this column."""
    if group_by not in GROUPED_BY:
        choice = likely(group_by, GROUPED_BY) or f"; choose from {', '.join(GROUPED_BY)}"
        raise BadInputError.of({"group_by": f"there is no {group_by!r}{choice}"})


def check_metrics(sessions: Iterable[StoredSession], metrics: Sequence[str]) -> None:
    """Raise an error if no session has one of the metrics."""
    names = [metric_and_item(metric)[0] for metric in metrics]
    available: dict[str, None] = {}
    for session in sessions:
        with suppress(MobilityError):
            available |= dict.fromkeys(map(str, session.metrics().data_vars))
        if available.keys() >= set(names):
            return
    if names and not available:
        raise BadInputError("no session has metrics yet; analyse one first")
    for name in names:
        if name not in available:
            close = likely_measure(name, available)
            raise BadInputError.of({"metrics": f"no session has {name!r}{close}"})


def describe_groups(values: pd.DataFrame) -> pd.DataFrame:
    """Return the count, median, quartiles and range of each group and side from :func:`by_group`.

    There are quartiles if a group has at least four people.
    """
    import pandas as pd

    rows = []
    for (group, side), members in values.groupby(["group", "side"], observed=True):
        value = members["value"].to_numpy()
        quartiles = np.quantile(value, [0.25, 0.75]) if value.size >= 4 else (math.nan, math.nan)
        row = [group, side, value.size, int(members["sessions"].sum()), np.median(value)]
        rows.append([*row, *quartiles, value.min(), value.max()])
    columns = ["group", "side", "people", "sessions", "median"]
    columns += ["lower quartile", "upper quartile", "least", "greatest"]
    return pd.DataFrame(rows, columns=columns)


def _measured(session: StoredSession, record: SessionRecord) -> pa.Table:
    """Return the metrics of a session as rows, or one row with the reason why there are none."""
    if why := why_without_results(session, record):
        return as_table([{"reason": why}])
    try:
        session.edits()  # damaged edits raise: the results may not include them
        table = read_metrics_table(session.result_file("table"))
    except MobilityError as error:
        return as_table([{"reason": str(error)}])
    return table if table.num_rows else as_table([{"reason": "its metrics are empty"}])


def why_without_results(session: StoredSession, record: SessionRecord) -> str:
    """Return why a session has no results; empty if it has results."""
    if record.state == "analyzed":
        return ""
    state: str = record.state
    if state == "analyzing" and not session.store.is_in_work(session.id):
        state = "interrupted"
    why = tables.sentence(f"cohort.without.{state}")
    return f"{why}: {record.reason}" if record.reason else why


def why_not_compared(
    verdict: Verdict | None, compared: Sequence[Level], record: SessionRecord
) -> str:
    """Return the reason if a verdict excludes a session from comparison; otherwise empty."""
    if verdict is None:  # only a comparison of all recordings includes it
        return "" if set(compared) == set(LEVELS) else tables.sentence("cohort.not_judged")
    if verdict.level in compared:
        return ""
    level = verdict_in_words(verdict.level, record.exercise)
    return tables.sentence("cohort.other_verdict", level=level)


def _verdict_on(
    session: StoredSession, record: SessionRecord, quality: Mapping[str, Any], measured: pa.Table
) -> Verdict | None:
    """Return the verdict on the recording of a session, as on its page, or None."""
    import pyarrow.compute as pc

    is_count = pc.equal(measured["metric"], "accepted_repetitions")
    counts = measured.filter(is_count)["value"].to_pylist()
    accepted = counts[0] if counts else None
    return stages_of(record.kind).verdict_from_counts(
        quality, accepted, session.result, record.warnings
    )


def _without_ruled_out(measured: pa.Table, verdict: Verdict) -> pa.Table:
    """Blank the values that the verdict rules out, with the reason."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not verdict.rules_out:
        return measured
    pairs = list(zip(measured["quantity"].to_pylist(), measured["item"].to_pylist(), strict=True))
    # A row without a quantity is no value: it says that there are no metrics at all.
    why = {
        (quantity, item): verdict.why_without(quantity, item) if quantity else ""
        for quantity, item in set(pairs)
    }
    reasons = [why[pair] for pair in pairs]
    is_ruled_out = pa.array([bool(reason) for reason in reasons])
    columns = {name: pc.if_else(is_ruled_out, math.nan, measured[name]) for name in NUMBERS}
    stored_reasons = measured["reason"].to_pylist()
    columns["reason"] = as_texts(
        [reason or stored for reason, stored in zip(reasons, stored_reasons, strict=True)]
    )
    for name, column in columns.items():
        measured = measured.set_column(measured.schema.get_field_index(name), name, column)
    return measured


def session_columns(
    session: StoredSession,
    record: SessionRecord,
    quality: Mapping[str, Any],
    verdict: Verdict | None,
) -> dict[str, Any]:
    """Return the values of the columns that are the same in every row of a session."""
    software, standing = None, None
    origin: dict[str, Any] = dict.fromkeys(WHOSE)
    if record.provenance is not None:
        origin = record.origin._asdict()
        software = record.provenance.versions.get("mobility", "")
        current = False
        with suppress(MobilityError):  # an input is damaged
            current = is_current(session)
        if not current:
            software += f", {OUTDATED}"
        standing = record.provenance.standing
    row: dict[str, Any] = {
        "session_id": session.id,
        "user_id": record.user_id,
        "date": record.created_at,
        "exercise": record.exercise,
        "state": record.state,
        "cameras": len(record.videos),
        "software": software,
        "standing": standing,
        **origin,
    }
    try:
        participant = session.participant
    except MobilityError:  # a damaged record of a person loses nothing of the session
        participant = None
    if participant is not None:
        row |= {name: getattr(participant, name) for name in ("sex", "height_m", "weight_kg")}
        row["age"] = participant.age_in(record.created_at.year)
    view = quality.get("view") or {}
    row |= {"view": view.get("name"), "azimuth": view.get("azimuth_deg")}
    row["recording"] = None if verdict is None else verdict.level
    return row


def _with_plain_texts(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with plain texts instead of categories, and with the types that CSV loses."""
    import pandas as pd

    types = tables.load("cohort_columns")["columns"]
    texts = [name for name in rows if types.get(name, {}).get("type") == "string"]
    plain = {name: rows[name].astype("object").fillna("").astype("str") for name in texts}
    rows = rows.assign(**plain)
    if rows["date"].dtype.kind != "M":
        rows["date"] = pd.to_datetime(rows["date"], utc=True)
    return rows


def _groups(frame: pd.DataFrame, group_by: str) -> pd.Series:
    """Return the ordered category of each session, indexed by session."""
    import pandas as pd

    check_group(group_by)
    sessions = _with_plain_texts(frame.drop_duplicates("session_id")).set_index("session_id")
    if group_by == "age_band":
        edges = [*AGE_BANDS, math.inf]
        groups = pd.cut(sessions["age"], edges, right=False, labels=list(AGE_BANDS.values()))
    elif group_by in ("age", "height_m", "weight_kg"):
        groups = _bands(sessions[group_by])
    else:
        texts = sessions[group_by].astype("str")
        texts = texts.mask(texts.isin(["", UNKNOWN]))
        names = sorted(texts.dropna().unique())
        groups = texts.astype(pd.CategoricalDtype(names, ordered=True))
    return groups.cat.add_categories([UNKNOWN]).fillna(UNKNOWN)


def _bands(values: pd.Series) -> pd.Series:
    """Cut numbers into bands of about equal counts, named after their ends."""
    import pandas as pd

    present = values.dropna()
    if present.nunique() <= _BANDS_OF_NUMBERS:  # each number is a band
        names = [f"{v:g}" for v in sorted(present.unique())]
        texts = values.map("{:g}".format, na_action="ignore")
        return texts.astype(pd.CategoricalDtype(names, ordered=True))
    cut = pd.qcut(values, _BANDS_OF_NUMBERS, duplicates="drop")
    ends = values.groupby(cut, observed=True).agg(["min", "max"])
    return cut.cat.rename_categories(
        {band: f"{ends.loc[band, 'min']:g}–{ends.loc[band, 'max']:g}" for band in ends.index}
    )
