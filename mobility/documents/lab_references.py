"""What a lab's own studies found, and what of it holds for a session: retest errors and norms.

Each holds for the conditions of its study alone: exercise, view, model of the keypoints, way to the
angles, cameras, version of the package, and whether films were merged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, StringConstraints

from mobility.catalogue.registry import ExerciseName
from mobility.keypoints.sources import Origin
from mobility.sessions.record import Document, Finite, Number

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"
Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]


class Conditions(Document, frozen=True):
    """Under what a study measured: only sessions, or visits, with the same are compared with it."""

    exercise: ExerciseName
    view: Annotated[str, Field(description="of a visit those of all films, with commas")]
    method: Annotated[str, Field(description="way to the angles, as fitted_body")]
    cameras: Count
    software: Annotated[str, Field(description="version of the package")]
    standing: Annotated[str, Field(description="how straight people were taken to stand")] = ""
    level: Annotated[
        Literal["session", "visit"], Field(description="of one film, or merged over those of a day")
    ] = "session"
    pose_source: Annotated[str, Field(description="of the keypoints, as mediapipe or other")] = (
        Origin().pose_source
    )
    source_software: Annotated[str, Field(description="name of the model of the keypoints")] = (
        Origin().source_software
    )


class RetestError(Document):
    """Standard error of measurement of one measure and side."""

    conditions: Conditions
    metric: str
    side: Literal["left", "right", ""]
    sem: Annotated[Positive, Field(description="upper end of its one-sided 95 % interval")]
    low: Annotated[Number, Field(description="95 % interval of what the study found")]
    high: Number
    participants: Count
    units: str
    version: str = ""


class Norm(Document):
    """Values of one measure in people of one sex and age, both sides together."""

    conditions: Conditions
    metric: str
    sex: Literal["female", "male"] | None
    age: Annotated[
        tuple[int, int | None] | None, Field(description="first and last year; null: all ages")
    ]
    people: Count
    mean: Finite
    sd: Positive
    percentiles: Annotated[
        list[tuple[Finite, Finite]], Field(description="percent of people, and their value")
    ]
    units: str
    version: str = ""


class _Reference(Document):
    schema_version: Literal["1"] = "1"
    name: Name
    made: AwareDatetime


class RetestErrors(_Reference):
    """Standard errors of measurement that a study of reliability found."""

    kind: Literal["retest errors"] = "retest errors"
    errors: list[RetestError]

    @property
    def exercises(self) -> list[str]:
        """Exercises that it has values for."""
        return sorted({each.conditions.exercise for each in self.errors})


class Norms(_Reference):
    """Norms made of a cohort."""

    kind: Literal["norms"] = "norms"
    norms: list[Norm]

    @property
    def exercises(self) -> list[str]:
        """Exercises that it has values for."""
        return sorted({each.conditions.exercise for each in self.norms})


Reference = RetestErrors | Norms


@dataclass(frozen=True)
class LabReferences:
    """What a lab's own studies found that holds for one session.

    Parameters
    ----------
    conditions
        Under what the session was measured; None: nothing holds.
    references
        Of the store, the newest first.
    versions
        Version of each metric that has one.
    sex, age
        Of the participant, in the year of the session.
    """

    conditions: Conditions | None = None
    references: Sequence[Reference] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    sex: str | None = None
    age: float | None = None

    def retest_error(self, metric: str, side: str) -> tuple[RetestError, str] | None:
        """Find the newest error of measuring again, and the name of its reference."""
        for each in self.references:
            for error in each.errors if isinstance(each, RetestErrors) else ():
                if error.side == side and self._holds(error, metric):
                    return error, each.name
        return None

    def norm(self, metric: str) -> tuple[Norm, str] | None:
        """Find the norm of people like the participant, and the name of its reference.

        The newest reference that has one decides; in it the norm of the person's sex and age goes
        before one of both sexes or all ages.
        """
        for each in self.references:
            fitting = [
                one
                for one in (each.norms if isinstance(each, Norms) else ())
                if self._holds(one, metric)
                and one.sex in (None, self.sex)
                and _of_age(one, self.age)
            ]
            if fitting:
                closest = max(fitting, key=lambda one: (one.age is not None, one.sex is not None))
                return closest, each.name
        return None

    def _holds(self, one: RetestError | Norm, metric: str) -> bool:
        of = (one.conditions, one.metric, one.version)
        return of == (self.conditions, metric, self.versions.get(metric, ""))


def _of_age(one: Norm, age: float | None) -> bool:
    if one.age is None:
        return True
    first, last = one.age
    return age is not None and first <= age and (last is None or age < last + 1)
