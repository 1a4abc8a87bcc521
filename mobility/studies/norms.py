"""A lab's own norms: what a cohort measured, by sex and age where there are enough people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from mobility import tables
from mobility.errors import BadInputError
from mobility.options import Names, checked, likely_measure, quoted
from mobility.pipeline.cohort import AGE_BANDS, choose_measures
from mobility.registry import exercises
from mobility.sessions.record import ANONYMOUS, now
from mobility.sessions.references import Conditions, Norm, Norms, check_name
from mobility.view import UNKNOWN as NO_VIEW
from mobility.wording import measure_of

LEAST = 20
"""Fewest people of a norm: the SD of 20 has a 95 % interval from 0.76 to 1.46 of it."""

LEAST_OF_TAILS = 40
"""Fewest people of whom the 5th and 95th percentile are given: two are beyond each."""

MIDDLE, TAILS = (25, 50, 75), (5, 95)
_CONDITIONS = ("exercise", "view", "method", "cameras", "software")
_TEXTS = ("user_id", "metric", "side", "units", "version", "sex")


@checked
def make_norms(frame: pd.DataFrame, *, name: str, metrics: Names | None = None) -> Norms:
    """Make norms of a cohort.

    Parameters
    ----------
    frame
        Of :func:`mobility.pipeline.cohort.to_dataframe`. A person counts once, with the median of
        their sessions on each side; the values of both sides are put together. Sessions of people
        without an id, of unknown view, or of older code are left out.
    name
        Name of the norms.
    metrics
        Measures; default: all with a unit and a number for a session.

    Returns
    -------
    Norms
        For each measure, and for exercise, view, way to the angles, number of cameras and version
        of the package apart: mean, SD (which includes the error of measurement), 25th, 50th and
        75th percentile of at least 20 people, 5th and 95th of at least 40, for all, by sex, by age
        and by both.

    Raises
    ------
    BadInputError
        No group is large enough, or there is no such measure.
    """
    check_name(name)
    for column in (*_CONDITIONS, *_TEXTS, "level", "item", "kind", "age", "value"):
        if column not in frame:
            raise BadInputError.of(
                {"frame": f"has no column '{column}'; mobility.pipeline.cohort.to_dataframe has"}
            )
    rows = frame[frame["level"].eq("session") & frame["value"].notna()]
    rows = rows[rows["units"].ne("") & rows["kind"].ne("count")]
    # The movements of single joints are measures; the parts of an index are not.
    of_joints = [each.name for each in exercises() if each.noun == "movement"]
    rows = rows[rows["item"].eq("") | rows["exercise"].isin(of_joints)]
    rows = rows.assign(metric=list(map(measure_of, rows["metric"].astype(str), rows["item"])))
    available = list(dict.fromkeys(rows["metric"].astype(str)))
    metrics = choose_measures(metrics, available) if metrics else available
    for metric in metrics:
        if metric not in available:
            close = likely_measure(metric, available)
            raise BadInputError.of({"metrics": f"no session has {quoted(metric)}{close}"})
    rows = rows.astype({each: "str" for each in (*_CONDITIONS, *_TEXTS) if each != "cameras"})
    usable = (
        rows["user_id"].ne(ANONYMOUS)
        & ~rows["view"].isin(["", NO_VIEW])
        & ~rows["software"].str.endswith("outdated")
    )
    rows = rows[usable & rows["metric"].isin(metrics)]
    made = []
    by = [*_CONDITIONS, "metric", "version", "units"]
    for of, values in rows.groupby(by, sort=False, observed=True):
        about = dict(zip(by, of, strict=True))
        conditions = Conditions(**{each: about[each] for each in _CONDITIONS})
        groups = {(sex, age): group for sex, age, group in _groups_of(values)}
        people = {of_group: group["user_id"].nunique() for of_group, group in groups.items()}
        for (sex, age), group in groups.items():
            # With those of a larger group the norm would say what the few others have.
            rests = [
                people[of_all] - people[sex, age]
                for of_all in ((None, None), (sex, None), (None, age))
            ]
            if not any(0 < rest < LEAST for rest in rests):
                made += _norm(group, conditions, about, sex, age)
    if not made:
        raise BadInputError(tables.sentence("studies.norms.too_few", least=LEAST))
    return Norms(name=name, made=now(), norms=made)


def _groups_of(values: pd.DataFrame) -> Iterator[tuple[str | None, Any, pd.DataFrame]]:
    """Everybody, each sex, each age band, and both together."""
    years = sorted(AGE_BANDS)
    bands: list[Any] = [None]
    for i, first in enumerate(years):
        bands.append((first, years[i + 1] - 1 if i + 1 < len(years) else None))
    for sex in (None, "female", "male"):
        of_sex = values if sex is None else values[values["sex"].eq(sex)]
        for band in bands:
            if band is None:
                yield sex, None, of_sex
                continue
            first, last = band
            old = of_sex["age"].ge(first)
            yield sex, band, of_sex[old if last is None else old & of_sex["age"].lt(last + 1)]


def _norm(
    group: pd.DataFrame, conditions: Conditions, about: dict[str, Any], sex: Any, age: Any
) -> list[Norm]:
    people = group["user_id"].nunique()
    if people < LEAST:
        return []
    of_people = group.groupby(["user_id", "side"], observed=True)["value"].median().to_numpy()
    sd = float(of_people.std(ddof=1))
    if not sd > 1e-6 * float(np.abs(of_people).max()):
        return []
    shares = sorted((*MIDDLE, *TAILS) if people >= LEAST_OF_TAILS else MIDDLE)
    values = np.percentile(of_people, shares, method="hazen")
    return [
        Norm(
            conditions=conditions,
            metric=about["metric"],
            sex=sex,
            age=age,
            people=people,
            mean=float(of_people.mean()),
            sd=sd,
            percentiles=[(float(s), float(v)) for s, v in zip(shares, values, strict=True)],
            units=about["units"],
            version=about["version"],
        )
    ]


def z_score(value: float, norm: Norm) -> float:
    """Distance of a value from the mean of the norm, in its standard deviations."""
    return (value - norm.mean) / norm.sd
