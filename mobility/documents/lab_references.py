"""Test-retest errors and norms from a lab's own studies, and which of them apply to a session.

Each applies only under the conditions of its study: exercise, view, keypoint model, method, number
of cameras, version of the package, and whether several videos were combined.
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
    """Conditions of a study.

    Only sessions or visits with the same conditions are compared with the study.
    """

    exercise: ExerciseName
    view: Annotated[
        str, Field(description="view; for a visit the views of all videos, separated by commas")
    ]
    method: Annotated[str, Field(description="method for the angles, such as fitted_body")]
    cameras: Count
    software: Annotated[str, Field(description="version of the package")]
    standing: Annotated[str, Field(description="assumption about how straight people stood")] = ""
    level: Annotated[
        Literal["session", "visit"],
        Field(
            description="whether values come from one video, or were combined from the "
            "videos of one day"
        ),
    ] = "session"
    pose_source: Annotated[
        str, Field(description="source of the keypoints: mediapipe or other")
    ] = Origin().pose_source
    source_software: Annotated[
        str, Field(description="name of the model that found the keypoints")
    ] = Origin().source_software


class RetestError(Document):
    """The standard error of measurement for one measure and side."""

    conditions: Conditions
    metric: str
    side: Literal["left", "right", ""]
    sem: Annotated[Positive, Field(description="upper limit of its one-sided 95 % interval")]
    low: Annotated[Number, Field(description="lower limit of its 95 % interval in the study")]
    high: Number
    participants: Count
    units: str
    version: str = ""


class Norm(Document):
    """Values of one measure in people of one sex and age, for both sides together."""

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
        list[tuple[Finite, Finite]], Field(description="pairs of percentage and value")
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
        """Exercises for which there are values."""
        return sorted({each.conditions.exercise for each in self.errors})


class Norms(_Reference):
    """Norms that were made from a cohort."""

    kind: Literal["norms"] = "norms"
    norms: list[Norm]

    @property
    def exercises(self) -> list[str]:
        """Exercises for which there are values."""
        return sorted({each.conditions.exercise for each in self.norms})


Reference = RetestErrors | Norms


@dataclass(frozen=True)
class LabReferences:
    """Results of a lab's own studies that apply to one session.

    Parameters
    ----------
    conditions
        Conditions of the session; if None, nothing applies.
    references
        References in the store, the newest first.
    versions
        Version of each metric, if it has one.
    sex, age
        Sex and age of the participant in the year of the session.
    """

    conditions: Conditions | None = None
    references: Sequence[Reference] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    sex: str | None = None
    age: float | None = None

    def retest_error(self, metric: str, side: str) -> tuple[RetestError, str] | None:
        """Find the newest test-retest error, and the name of its reference."""
        for each in self.references:
            for error in each.errors if isinstance(each, RetestErrors) else ():
                if error.side == side and self._holds(error, metric):
                    return error, each.name
        return None

    def norm(self, metric: str) -> tuple[Norm, str] | None:
        """Find the norm of people like the participant, and the name of its reference.

        The norm comes from the newest reference that has one. In it, a norm for the person's sex
        and age is preferred to a norm for both sexes or all ages.
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
