"""Published ranges of motion of healthy joints, for comparison with a measured range."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from mobility import tables
from mobility.base.options import checked, likely, quoted
from mobility.errors import BadInputError

TABLE = "reference_ranges"

Kind = Literal["passive", "active", "weight_bearing", "unstated"]
Sex = Literal["female", "male"]


@dataclass(frozen=True)
class ReferenceRange:
    """Published values of the largest angle of a joint in one study, in degrees.

    Attributes
    ----------
    angle, kind
        Angle that was measured, and how: "passive", "active", "weight_bearing", or "unstated".
    study
        Key of the study in the table.
    mean
        Mean of the group; NaN if several groups are possible.
    sd
        Standard deviation between people; NaN if the source gives none. Without it there is neither
        a percentile nor a z score.
    lowest, highest
        Smallest and largest mean of the possible groups; both equal `mean` if there is only one
        group.
    statistic
        The statistic in `mean`: "mean", or another statistic of the study.
    sex, age
        Sex and age of the group: None if the study pools them, or several groups are possible.
    sample, n, instrument, source
        The people whom the study measured, their number, the instrument, and the publication.
    note
        Why the value may not apply: the sex or age is unknown, or the study measured different
        people. Empty if the person belongs to the group.
    units
        "degree".
    """

    angle: str
    kind: Kind
    study: str
    mean: float
    sd: float
    lowest: float
    highest: float
    statistic: str
    sex: Sex | None
    age: tuple[int, int] | None
    sample: str
    n: int | None
    instrument: str
    source: str
    note: str = ""
    units: str = "degree"


@checked
def reference_range(
    angle: str,
    *,
    sex: Sex | None,
    age: Annotated[float, Field(ge=0, le=120)] | None,
    kind: Kind,
    study: str | None = None,
) -> ReferenceRange | None:
    """Return the published maximum angle of a joint for people of this sex and age.

    Parameters
    ----------
    angle
        As in :func:`~mobility.kinematics.angles.joint_angles`, or a movement of the table
        ``movements``, whose direction is positive: an extension beyond straight is positive.
    sex
        "female" or "male"; None if it is not known.
    age
        In completed years; None if it is not known.
    kind
        How the joint was moved. Active motion is smaller than passive motion, and dorsiflexion
        under body weight is larger than without it, so one kind cannot replace another.
    study
        Key of a study in the table. If it is None, studies of such people are preferred and,
        among them, groups of this sex and age over pooled groups.

    Returns
    -------
    ReferenceRange or None
        None if no source has this angle of this kind for this age. If the study has groups by sex
        and age, and one of these is not known, `lowest` and `highest` are the means of the possible
        groups, and `mean` is NaN.

    Raises
    ------
    BadInputError
        There is no such angle, study, sex, kind, or age.
    """
    table = tables.load(TABLE)
    # Some published motions are not measured here yet.
    published = [row["angle"] for row in table["values"]]
    angles = dict.fromkeys([*tables.load("angles"), *tables.load("movements"), *published])
    if angle not in angles:
        raise BadInputError.of({"angle": f"there is no {quoted(angle)}{likely(angle, angles)}"})
    studies = table["studies"]
    if study is not None and study not in studies:
        raise BadInputError.of({"study": f"there is no {quoted(study)}{likely(study, studies)}"})
    years = None if age is None else math.floor(age)
    rows = [
        row
        for row in table["values"]
        if row["angle"] == angle
        and studies[row["study"]]["kind"] == kind
        and (study is None or row["study"] == study)
        and _may_belong(row, sex, years)
    ]
    if not rows:
        return None

    def closeness(row: Mapping[str, Any]) -> tuple[bool, int]:
        fields_of_group = [name for name in ("sex", "age") if row[name] is not None]
        return _study_covers(studies[row["study"]], sex, years), len(fields_of_group)

    certain = [row for row in rows if _is_certain(row, sex, years)]
    if certain:
        return _range_of([max(certain, key=closeness)], studies, sex, years)
    # Groups of one study, the first of the table: a range never mixes two.
    first_study = rows[0]["study"]
    return _range_of([row for row in rows if row["study"] == first_study], studies, sex, years)


def _may_belong(row: Mapping[str, Any], sex: Sex | None, years: int | None) -> bool:
    """Whether a person with these known fields may belong to the group."""
    fits_sex = sex is None or row["sex"] in (None, sex)
    return fits_sex and (years is None or _of_age(row["age"], years))


def _is_certain(row: Mapping[str, Any], sex: Sex | None, years: int | None) -> bool:
    """Whether a person who may belong to the group certainly belongs to it."""
    sex_is_settled = row["sex"] is None or sex is not None
    age_is_settled = row["age"] is None or years is not None
    return sex_is_settled and age_is_settled


def _of_age(ages: Sequence[int | None] | None, years: int) -> bool:
    if ages is None:
        return True
    first, last = ages
    return (first is None or first <= years) and (last is None or years <= last)


def _study_covers(study: Mapping[str, Any], sex: Sex | None, years: int | None) -> bool:
    """Whether the study certainly measured such people."""
    only = study.get("only", {})
    covers_sex = "sex" not in only or sex == only["sex"]
    covers_age = "age" not in only or (years is not None and _of_age(only["age"], years))
    return covers_sex and covers_age


def _unknown_in_words(names: Sequence[str]) -> str:
    return tables.sentence(f"reasons.reference.participant.{'_and_'.join(names)}")


def _range_of(
    rows: Sequence[Mapping[str, Any]],
    studies: Mapping[str, Any],
    sex: Sex | None,
    years: int | None,
) -> ReferenceRange:
    row, study = rows[0], studies[rows[0]["study"]]
    means = [float(row["mean"]) for row in rows]
    is_one_group = len(rows) == 1
    return ReferenceRange(
        angle=row["angle"],
        kind=study["kind"],
        study=row["study"],
        mean=means[0] if is_one_group else math.nan,
        sd=math.nan if not is_one_group or row["sd"] is None else float(row["sd"]),
        lowest=min(means),
        highest=max(means),
        statistic=study["statistic"],
        sex=row["sex"] if is_one_group else None,
        age=tuple(row["age"]) if is_one_group and row["age"] else None,
        sample=study["sample"],
        n=study["n"],
        instrument=study["instrument"],
        source=study["source"],
        note="; ".join(_notes(len(rows), study, sex, years)),
    )


def _notes(
    groups: int, study: Mapping[str, Any], sex: Sex | None, years: int | None
) -> Iterator[str]:
    """Explain why the value may not apply to a person."""
    person = {"sex": sex, "age": years}
    if groups > 1:
        unknown = _unknown_in_words([name for name, value in person.items() if value is None])
        yield tables.sentence("reasons.reference.groups", unknown=unknown, count=groups)
    if not _study_covers(study, sex, years):
        people = _people_in_words(study["only"])
        unknown_fields = [name for name in study["only"] if person[name] is None]
        if unknown_fields:
            unknown = _unknown_in_words(unknown_fields)
            yield tables.sentence("reasons.reference.only_unknown", unknown=unknown, people=people)
        else:
            yield tables.sentence("reasons.reference.only", people=people)


def _people_in_words(only: Mapping[str, Any]) -> str:
    """Name the people of a study by their sex and ages."""
    whom = f"{only['sex']}s" if "sex" in only else "people"
    first, last = only.get("age", (None, None))
    if first is None:
        return tables.sentence("reasons.reference.people.all", whom=whom)
    ages = "from" if last is None else "between"
    return tables.sentence(f"reasons.reference.people.{ages}", whom=whom, first=first, last=last)
