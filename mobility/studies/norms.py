"""A lab's own norms, computed from a cohort; by sex and age, if there are enough people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mobility import tables
from mobility.base.formatting import measure_of
from mobility.base.options import Names, Table, checked, likely_measure, quoted
from mobility.catalogue.registry import exercises
from mobility.documents.lab_references import Conditions, Norm, Norms
from mobility.errors import BadInputError
from mobility.keypoints.view import UNKNOWN as NO_VIEW
from mobility.sessions.record import ANONYMOUS, now
from mobility.studies.cohort import AGE_BANDS, choose_measures, with_origin
from mobility.studies.references import check_name

if TYPE_CHECKING:
    pass

LEAST = 20
"""Least number of people for norms: the 95 % interval of the SD of 20 people is 0.76 to 1.46 times
the SD.
"""

LEAST_OF_TAILS = 40
"""Least number of people for the 5th and 95th percentiles, so that two people are beyond each of
them.
"""

MIDDLE, TAILS = (25, 50, 75), (5, 95)
_CONDITIONS = tuple(Conditions.model_fields)
_TEXTS = ("user_id", "metric", "side", "units", "version", "sex")


@checked
def make_norms(frame: Table, *, name: str, metrics: Names | None = None) -> Norms:
    """Compute norms from a cohort.

    Parameters
    ----------
    frame
        The table of :func:`mobility.studies.cohort.to_dataframe`. A person counts once, with the
        median of their sessions on each side; the values of both sides are combined. Sessions
        without a participant, with an unknown view, or from an older version are left out.
    name
        Name of the norms.
    metrics
        Measures; by default all that have a unit and one number for a session.

    Returns
    -------
    Norms
        Norms of each measure, separately for exercise, view, keypoint model, method, number of
        cameras and version of the package. They are the mean, the SD (which includes the error of
        measurement), the 25th, 50th and 75th percentiles for at least 20 people, and the 5th and
        95th percentiles for at least 40. There are norms for everybody, by sex, by age, and by
        both.

    Raises
    ------
    BadInputError
        No group is large enough, or there is no such measure.
    """
    check_name(name)
    frame = with_origin(frame)
    for column in (*_CONDITIONS, *_TEXTS, "level", "item", "kind", "age", "value", "session_id"):
        if column not in frame:
            raise BadInputError.of(
                {"frame": f"has no column '{column}'; use mobility.studies.cohort.to_dataframe"}
            )
    rows = frame[frame["level"].eq("session") & frame["value"].notna()]
    rows = rows[rows["units"].ne("") & rows["kind"].ne("count")]
    # Movements of single-joint range of motion are measures; the parts of an index are not.
    of_joints = [exercise.name for exercise in exercises() if exercise.noun == "movement"]
    rows = rows[rows["item"].eq("") | rows["exercise"].isin(of_joints)]
    rows = rows.assign(metric=list(map(measure_of, rows["metric"].astype(str), rows["item"])))
    available = list(dict.fromkeys(rows["metric"].astype(str)))
    metrics = choose_measures(metrics, available) if metrics else available
    for metric in metrics:
        if metric not in available:
            close = likely_measure(metric, available)
            raise BadInputError.of({"metrics": f"no session has {quoted(metric)}{close}"})
    rows = rows.astype({column: "str" for column in (*_CONDITIONS, *_TEXTS) if column != "cameras"})
    usable = (
        rows["user_id"].ne(ANONYMOUS)
        & ~rows["view"].isin(["", NO_VIEW])
        & ~rows["software"].str.endswith("outdated")
    )
    rows = rows[usable & rows["metric"].isin(metrics)]
    norms = []
    by = [*_CONDITIONS, "metric", "version", "units"]
    for of, values in rows.groupby(by, sort=False, observed=True):
        about = dict(zip(by, of, strict=True))
        conditions = Conditions(**{name: about[name] for name in _CONDITIONS})
        for sex, age, group in _groups_of(values):
            norms += _norm(group, conditions, about, sex, age)
    if not norms:
        outdated = frame.loc[frame["software"].astype(str).str.endswith("outdated"), "session_id"]
        counts = {"sessions": frame["session_id"].nunique(), "outdated": outdated.nunique()}
        raise BadInputError(tables.sentence("studies.norms.too_few", least=LEAST, **counts))
    return Norms(name=name, made=now(), norms=norms)


_Group = tuple[str | None, tuple[int, int | None] | None]


def _groups_of(values: pd.DataFrame) -> Iterator[tuple[*_Group, pd.DataFrame]]:
    """Yield everybody, each sex, each age band, and both together, if the group is large enough.

    A group is left out if sums and differences of groups would reveal values of a few people.
    """
    people = values.groupby("user_id")[["sex", "age"]].last()  # at the last session
    years = sorted(AGE_BANDS)
    ends: list[int | None] = [*(year - 1 for year in years[1:]), None]
    bands = [None, *zip(years, ends, strict=True)]
    band = np.searchsorted(years, people["age"].to_numpy(float), side="right")
    band[people["age"].isna()] = 0
    sexes: tuple[str | None, ...] = (None, "female", "male")
    sex = np.array([sexes.index(one) if one in sexes else 0 for one in people["sex"]])
    kinds, kind_of, counts = np.unique([sex, band], axis=1, return_inverse=True, return_counts=True)
    groups: list[NDArray[np.bool_]] = []
    for one_sex, one_band in sorted(np.ndindex(len(sexes), len(bands)), key=_breadth):
        of_kind = ((kinds[0] == one_sex) | (one_sex == 0)) & (
            (kinds[1] == one_band) | (one_band == 0)
        )
        if counts[of_kind].sum() < LEAST or _tell_of_few([*groups, of_kind], counts):
            continue
        groups.append(of_kind)
        members = people.index[of_kind[np.ravel(kind_of)]]
        yield sexes[one_sex], bands[one_band], values[values["user_id"].isin(members)]


def _breadth(group: tuple[int, ...]) -> int:
    """Rank groups: everybody first, then one sex or band, then both."""
    return sum(part > 0 for part in group)


def _tell_of_few(groups: Sequence[NDArray[np.bool_]], counts: NDArray[np.int64]) -> bool:
    """Return whether a sum or difference of groups reveals fewer than `LEAST` people.

    `groups` mark the kinds of people in each group (a sex and age band, or unknown). `counts` are
    the numbers of people of each kind.
    """
    matrix = np.array(groups, dtype=float)
    rank = np.linalg.matrix_rank(matrix)

    def is_told(few: list[int], first: int, left: int) -> bool:
        larger = [k for k in range(first, counts.size) if counts[k] < left]
        if any(is_told([*few, k], k + 1, left - counts[k]) for k in larger):
            return True
        # The groups contain what only these few people share, but not without them.
        return bool(few) and np.linalg.matrix_rank(np.delete(matrix, few, axis=1)) < rank

    return is_told([], 0, LEAST)


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
