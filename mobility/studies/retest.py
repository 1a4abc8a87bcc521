"""What a study of reliability found, as errors that later changes are held against."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import stats

from mobility import tables
from mobility.cohorts.cohort import with_origin
from mobility.errors import BadInputError
from mobility.keypoints.view import UNKNOWN as NO_VIEW
from mobility.sessions.record import now
from mobility.sessions.references import Conditions, RetestError, RetestErrors, check_name
from mobility.statistics.reliability_coefficients import Kind
from mobility.studies.reliability import Reliability, people_again, reliability
from mobility.studies.study_table import DECISION

if TYPE_CHECKING:
    from mobility.studies.study_table import Study

LEAST = 10
"""Fewest participants with two visits for an error to be kept: the 95 % interval of the error of
consistency then goes from 0.69 to 1.83 times it. A choice of this package."""

KIND: Kind = "agreement"
"""The error that a later visit meets counts what differs between visits in all people, too."""


def main_error(
    result: Reliability, metric: str, side: str, statistic: str = "sem", *, kind: Kind = KIND
) -> pd.Series:
    """Choose the row of a statistic that stands for a measure: over all that differs.

    It is that of agreement, unless the `kind` says consistency.

    Raises
    ------
    BadInputError
        There is no such row.
    """
    rows = result.statistics
    rows = rows[rows["metric"].eq(metric) & rows["side"].eq(side) & rows["statistic"].eq(statistic)]
    if rows.empty:
        raise BadInputError(f"reliability: there is no {statistic} of {metric} {side}")
    order = pd.Series(
        [
            (over.count(","), form.startswith((kind, f"ICC({kind[0].upper()},1)")))
            for over, form in zip(rows["over"], rows["form"], strict=True)
        ],
        index=rows.index,
    )
    return rows.loc[max(order.index, key=lambda each: order[each])]


def retest_errors(study: Study, name: str, *, metrics: Sequence[str] | None = None) -> RetestErrors:
    """Make from a study the errors of measuring again that the lab's changes are held against.

    Parameters
    ----------
    study
        From :func:`mobility.read_study`; sessions of different views, models of the keypoints,
        cameras, ways to the angles and versions are taken apart; those of older code are left out.
    name
        Name under which they are kept.
    metrics
        Measures; default: all with values.

    Returns
    -------
    RetestErrors
        Standard error of measurement (agreement, over all that differs between the sessions of a
        participant) of each measure and side that at least 10 participants have at two visits:
        times the square root of f / chi-square (5 %) of f = participants - 1, the upper end of its
        one-sided 95 % interval if visits do not differ systematically. ``low`` and ``high`` are
        the interval of the error itself.

    Raises
    ------
    BadInputError
        No measure has so many.
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
        again = of_measures.apply(lambda each: people_again(each, ["visit"]))
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
            # As the package's errors: so that it holds for other people, too.
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
