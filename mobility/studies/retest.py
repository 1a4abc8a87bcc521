"""Test-retest errors from a reliability study, and how well curves repeat."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import pandas as pd
import xarray as xr
from pydantic import BeforeValidator
from scipy import stats

from mobility import tables
from mobility.base.formatting import spoken
from mobility.base.options import check_table, checked, likely, quoted
from mobility.base.provenance import with_history
from mobility.documents import of_session
from mobility.documents.lab_references import Conditions, RetestError, RetestErrors
from mobility.documents.normalised import normalise
from mobility.errors import BadInputError, MobilityError
from mobility.keypoints.view import UNKNOWN as NO_VIEW
from mobility.kinematics.skeleton import SIDES
from mobility.sessions.record import now
from mobility.studies.cohort import COMPARED, check_recordings, with_origin
from mobility.studies.curves import NO_SIDE, mean_over_repetitions, require_counted, why_no_curve
from mobility.studies.references import check_name
from mobility.studies.reliability import Reliability, people_again, reliability
from mobility.studies.statistics.reliability_coefficients import Kind
from mobility.studies.study_table import DECISION, unit_of

if TYPE_CHECKING:
    from mobility.sessions.stored_session import StoredSession
    from mobility.studies.study_table import Study

LEAST = 10
"""Least number of participants with two visits for an error to be saved. With 10 participants, the
95 % interval of the error of consistency is 0.69 to 1.83 times the error. A choice of this package.
"""

KIND: Kind = "agreement"
"""A later visit is also affected by the differences between visits that all people share."""


def main_error(
    result: Reliability, metric: str, side: str, statistic: str = "sem", *, kind: Kind = KIND
) -> pd.Series:
    """Return the row of a statistic that represents a measure: over all factors that differ.

    It is the row of agreement, unless `kind` is consistency.

    Raises
    ------
    BadInputError
        There is no such row.
    """
    rows = result.statistics
    rows = rows[rows["metric"].eq(metric) & rows["side"].eq(side) & rows["statistic"].eq(statistic)]
    if rows.empty:
        raise BadInputError(f"reliability: there is no {statistic} for {metric} {side}")
    order = pd.Series(
        [
            (over.count(","), form.startswith((kind, f"ICC({kind[0].upper()},1)")))
            for over, form in zip(rows["over"], rows["form"], strict=True)
        ],
        index=rows.index,
    )
    return rows.loc[max(order.index, key=lambda index: order[index])]


def retest_errors(study: Study, name: str, *, metrics: Sequence[str] | None = None) -> RetestErrors:
    """Compute, from a study, the test-retest errors with which the lab's changes are compared.

    Parameters
    ----------
    study
        From :func:`mobility.read_study`. Sessions with different views, keypoint models, cameras,
        methods and versions are treated separately. Sessions from an older version are left out.
    name
        Name under which they are saved.
    metrics
        Measures; by default all measures with values.

    Returns
    -------
    RetestErrors
        Standard error of measurement (agreement, over all that differs between the sessions of a
        participant) of each measure and side for which at least 10 participants have two visits. It
        is multiplied by the square root of f / chi-square (5 %) with f = participants - 1: the
        upper end of its one-sided 95 % interval if visits do not differ systematically. ``low`` and
        ``high`` are the interval of the error itself.

    Raises
    ------
    BadInputError
        No measure has that many participants.
    """
    check_name(name)
    errors = []
    names = list(Conditions.model_fields)
    table = with_origin(study.table)
    software = table["software"].fillna("").astype(str)
    current = software.ne("") & ~software.str.endswith("outdated")
    current &= table["kind"].ne(DECISION)
    measured = table[current & table["view"].notna() & ~table["view"].isin(["", NO_VIEW])]
    for labels, rows in measured.groupby(names, sort=False, observed=True):
        if "visit" not in rows:
            continue
        of_measures = rows[rows["value"].notna()].groupby(["metric", "side"], observed=True)
        again = of_measures.apply(lambda values: people_again(values, ["visit"]))
        enough = again[again >= LEAST].index
        rows = rows[pd.MultiIndex.from_frame(rows[["metric", "side"]]).isin(enough)]
        named = rows["value"].notna() if metrics is None else rows["metric"].isin(list(metrics))
        if not named.any():
            continue
        about = dict(zip(names, labels, strict=True))
        level = "visit" if about["level"] == "visit" else "session"
        conditions = Conditions(**about | {"level": level})
        versions = rows.drop_duplicates("metric").set_index("metric")["version"]
        result = reliability(rows[named])
        for metric, side in result.statistics[["metric", "side"]].drop_duplicates().to_numpy():
            row = main_error(result, metric, side)
            if not row["value"] > 0:
                continue
            people = int(again[metric, side])
            # Like the package's errors, so that it also applies to other people.
            upper = math.sqrt((people - 1) / stats.chi2.ppf(0.05, people - 1))
            low, high = (None if np.isnan(row[end]) else float(row[end]) for end in ("low", "high"))
            errors.append(
                RetestError(
                    conditions=conditions,
                    metric=metric,
                    side=side,
                    sem=upper * float(row["value"]),
                    low=low,
                    high=high,
                    participants=people,
                    units=str(row["units"]),
                    version=str(versions[metric]),
                )
            )
    if not errors:
        ids = table["session_id"]
        counts = {
            "sessions": ids.nunique(),
            "outdated": ids[software.str.endswith("outdated")].nunique(),
        }
        raise BadInputError(tables.sentence("studies.retest.too_few", least=LEAST, **counts))
    return RetestErrors(name=name, made=now(), errors=errors)


POINTS = 21
"""Points of a curve, every 5 %, at which the variance is estimated."""

_DECIMALS = 6
"""In percent: points that differ by less than this are the same point, apart from rounding."""

_ABOUT = ["metric", "side", "units", "long_name"]
COLUMNS = ("session_id", *_ABOUT, "percent", "value", "reason")


def session_curves(
    sessions: Iterable[StoredSession],
    names: Sequence[str],
    *,
    recordings: Sequence[str] = COMPARED,
) -> pd.DataFrame:
    """Combine the mean curves of sessions over 0 to 100 % of a repetition in one table.

    Parameters
    ----------
    sessions
        Sessions of one exercise.
    names
        Angles. An angle that no session has is left out.
    recordings
        Verdicts on a recording for which a session counts, as in :func:`mobility.mean_curves`.

    Returns
    -------
    pandas.DataFrame
        A row for each session, angle (``metric``), side and ``percent`` with the columns `COLUMNS`.
        ``value`` is the mean of the repetitions without gaps, in ``units``. If all repetitions have
        gaps, it is the mean of those that have a value at that percent. If there is no such
        repetition, it is NaN, and ``reason`` explains why.
    """
    compared = check_recordings(recordings)
    ids, parts = [], []
    none = tables.sentence("studies.not_measured")
    reasons: dict[str, str] = {}
    for session in sessions:
        ids.append(session.id)
        try:
            require_counted(session, compared)
            parts += _curves_of(session, names)
        except MobilityError as error:
            reasons[session.id] = str(error)
    if not parts:  # the sides of the angles are unknown
        over = {"session_id": ids, "metric": names, "percent": np.linspace(0, 100, POINTS)}
        every = pd.MultiIndex.from_product(over.values(), names=over).to_frame(index=False)
        every = every.assign(side="", units="", long_name=every["metric"].map(spoken), value=np.nan)
        every["reason"] = every["session_id"].map(reasons).astype("object").fillna(none)
        return every[list(COLUMNS)]
    curves = pd.concat(parts, ignore_index=True)
    # The name and unit of an angle come from the first session, perhaps from another version.
    key = ["metric", "side", "percent"]
    about = curves[[*_ABOUT, "percent"]].drop_duplicates(key)
    values = curves[["session_id", *key, "value", "reason"]]
    every = pd.DataFrame({"session_id": ids}).merge(about, how="cross")
    every = every.merge(values, on=["session_id", *key], how="left")
    left_out = every["session_id"].map(reasons).astype("object").fillna(none)
    every["reason"] = every["reason"].fillna(left_out)
    return every[list(COLUMNS)]


def _curves_of(session: StoredSession, names: Sequence[str]) -> list[pd.DataFrame]:
    """Return the mean curves of a session, a table for each angle and side."""
    angles = of_session.angles(session)
    angles = angles[[name for name in names if name in angles]]
    normalised = normalise(angles, session.repetitions(), points=POINTS)
    curves = []
    for name, values in normalised.data_vars.items():
        sides = list(SIDES) if "side" in values.dims else [NO_SIDE]
        if "side" not in values.dims:
            values = values.expand_dims(side=sides)
        values = values.sel(side=sides).transpose("rep", "side", "percent")
        mean, _ = mean_over_repetitions(values.to_numpy())
        why = why_no_curve(values)
        about = {
            "session_id": session.id,
            "metric": str(name),
            "units": str(values.attrs.get("units", "")),
            "long_name": str(values.attrs.get("long_name", name)),
        }
        for side, curve in zip(sides, mean, strict=True):
            over = {"percent": normalised["percent"].to_numpy(), "value": curve}
            reason = np.where(np.isfinite(curve), "", why)
            curves.append(pd.DataFrame(over | about | {"side": side, "reason": reason}))
    return curves


def _require_curves(table: Any) -> Any:
    if table is None:
        raise BadInputError("the study was read without curves; read it with curves=True")
    return check_table(table)


@checked
def retest_curves(
    table: Annotated[pd.DataFrame, BeforeValidator(_require_curves)],
    name: str | None = None,
    *,
    kind: Kind = KIND,
) -> xr.Dataset:
    """Compute by how much two measurements of a person differ at each percent of a repetition.

    Parameters
    ----------
    table
        Curves of people who were measured repeatedly: a row for each point, with ``participant``,
        ``percent``, ``value`` (NaN if missing) and one or more of ``visit``, ``operator``,
        ``device``, ``camera``, ``trial``. Optional columns are ``metric``, ``side``, ``units``,
        ``long_name`` and ``reason``. ``curves`` of :func:`mobility.read_study` is such a table.
    name
        Name of the angle; it may be None if there is only one angle.
    kind
        ``"agreement"`` includes differences between visits that all people share. A few visits
        contain little information on these differences, so the interval is wide. ``"consistency"``
        does not include them.

    Returns
    -------
    xarray.Dataset
        Over (side, percent): `sem` (the standard error of measurement), `low` and `high` (its 95 %
        interval), `mdc95` (the smallest change that exceeds it) and `participants` (the number of
        people). The numbers are those of :func:`mobility.reliability` at each point. The attribute
        ``over`` names what differs between two measurements. Over (side): the `reason` if a point
        has no number. ``side`` is left and right, or "".

    Raises
    ------
    BadInputError
        A column is missing, nothing differs within participants, a point occurs twice, or there is
        no such angle.

    Notes
    -----
    Each interval applies to one point, not to the whole curve. Because repetitions are compared at
    the same percent, a difference in timing counts as a difference of the angle if the curve is
    steep.
    """
    for column in ("participant", "percent", "value"):
        if column not in table:
            raise BadInputError(f"retest_curves: the table has no column {quoted(column)}")
    percents = pd.to_numeric(table["percent"], errors="coerce").to_numpy(np.float64)
    if not np.isfinite(percents).all():
        raise BadInputError("retest_curves: the column 'percent' must contain numbers")
    rows = table.assign(percent=percents.round(_DECIMALS))
    if "metric" not in rows:
        rows["metric"] = "value"
    names = list(dict.fromkeys(rows["metric"].astype(str)))
    if not names:
        raise BadInputError("retest_curves: the table has no rows")
    if name is None and len(names) > 1:
        raise BadInputError(f"retest_curves: choose one of the angles {', '.join(names[:5])}")
    angle = names[0] if name is None else name
    if angle not in names:
        raise BadInputError(f"retest_curves: no angle {quoted(angle)}{likely(angle, names)}")
    rows = rows[rows["metric"].astype(str).eq(angle)]
    rows["side"] = rows["side"].astype("object").fillna(NO_SIDE) if "side" in rows else NO_SIDE
    unknown = set(rows["side"]) - {*SIDES, NO_SIDE}
    if unknown:
        fault = f"side {quoted(min(map(str, unknown)))} is not left, right or empty"
        raise BadInputError(f"retest_curves: {fault}")
    units = unit_of(rows)
    percents, at = np.unique(rows["percent"], return_inverse=True)
    labels = [f"{percent:.17g}" for percent in percents]
    result = reliability(rows.assign(metric=np.array(labels)[at]))
    sides = [side for side in (*SIDES, NO_SIDE) if side in set(rows["side"])]
    numbers = {key: np.full((len(sides), len(labels)), np.nan) for key in _NUMBERS}
    people, reasons = np.zeros((len(sides), len(labels)), np.int64), [""] * len(sides)
    over = ""
    there = set(zip(result.statistics["metric"], result.statistics["side"], strict=True))
    for s, side in enumerate(sides):
        for p, label in enumerate(labels):
            if (label, side) not in there:
                reasons[s] = reasons[s] or tables.sentence("studies.no_reason")
                continue
            sem, mdc = (
                main_error(result, label, side, what, kind=kind) for what in ("sem", "mdc95")
            )
            numbers["sem"][s, p], numbers["mdc95"][s, p] = sem["value"], mdc["value"]
            numbers["low"][s, p], numbers["high"][s, p] = sem["low"], sem["high"]
            people[s, p], over = sem["participants"], str(sem["over"]) or over
            reasons[s] = reasons[s] or sem["reason"]
    curve = str(rows["long_name"].iloc[0]) if "long_name" in rows else angle
    errors = xr.Dataset(
        {
            **{
                key: (("side", "percent"), numbers[key], {"units": units, "long_name": words})
                for key, words in _NUMBERS.items()
            },
            "participants": (("side", "percent"), people, {"long_name": "people behind it"}),
            "reason": ("side", np.array(reasons, dtype=object)),
        },
        coords={"side": sides, "percent": ("percent", percents, {"units": "percent"})},
        attrs={"angle": angle, "title": curve, "over": over, "kind": kind},
    )
    return with_history(errors, "retest_curves", {"name": angle, "kind": kind})


_NUMBERS = {
    "sem": "standard error of measurement",
    "low": "95 % interval of the standard error of measurement, lower",
    "high": "95 % interval of the standard error of measurement, upper",
    "mdc95": "smallest detectable change of one curve at one point",
}
