"""What a lab's own studies found, kept in its store: errors of measuring again, and norms.

Each holds for the conditions of its study alone: exercise, view, way to the angles, cameras, and
version of the package.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field, StringConstraints, TypeAdapter

from mobility.errors import BadInputError, NotFoundError
from mobility.options import likely, validate
from mobility.registry import ExerciseName
from mobility.sessions.files import REFERENCES
from mobility.sessions.record import Document, Finite, Number
from mobility.sessions.store import SessionStore

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]


class Conditions(Document, frozen=True):
    """Under what a study measured: only sessions with the same are compared with it."""

    exercise: ExerciseName
    view: str
    method: Annotated[str, Field(description="way to the angles, as fitted_body")]
    cameras: Count
    software: Annotated[str, Field(description="version of the package")]


class RetestError(Document):
    """Standard error of measurement of one measure and side."""

    conditions: Conditions
    metric: str
    side: Literal["left", "right", ""]
    sem: Positive
    low: Number
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


class Norms(_Reference):
    """Norms made of a cohort."""

    kind: Literal["norms"] = "norms"
    norms: list[Norm]


Reference = RetestErrors | Norms
_ANY: TypeAdapter[Reference] = TypeAdapter(Annotated[Reference, Field(discriminator="kind")])


def save_reference(store: SessionStore[Any], reference: Reference) -> None:
    """Keep a reference in the store; one of the same name is replaced."""
    with store.locked(f".locks/{REFERENCES}", what="the references", wait_s=10):
        store.write_document(
            f"{REFERENCES}/{reference.name}.json", reference.model_dump(mode="json")
        )


def references(store: SessionStore[Any]) -> list[Reference]:
    """Read the references of a store, the newest first.

    Raises
    ------
    BadInputError
        One is damaged.
    """
    read = []
    names = store.backend.names(REFERENCES)
    for key in sorted(f"{REFERENCES}/{name}" for name in names if name.endswith(".json")):
        try:
            read.append(_ANY.validate_python(store.document(key)))
        except ValueError as error:
            reason = str(error).splitlines()[0]
            raise BadInputError(
                f"{key}: is damaged ({reason}); delete it and save it again"
            ) from None
    return sorted(read, key=lambda each: each.made, reverse=True)


def reference(store: SessionStore[Any], name: str) -> Reference:
    """Return the reference of this name.

    Raises
    ------
    NotFoundError
        There is none.
    """
    each = {one.name: one for one in references(store)}
    if name not in each:
        raise NotFoundError(
            f"reference {name}: the store has none of this name{likely(name, each)}"
        )
    return each[name]


def delete_reference(store: SessionStore[Any], name: str) -> None:
    """Delete the reference of this name; it raises as :func:`reference`."""
    with store.locked(f".locks/{REFERENCES}", what="the references", wait_s=10):
        reference(store, name)
        store.backend.delete_document(f"{REFERENCES}/{name}.json")


def retest_error(
    store: SessionStore[Any], conditions: Conditions, metric: str, side: str, *, version: str = ""
) -> tuple[RetestError, str] | None:
    """Find the lab's own error of measuring again, and the name of its reference; the newest."""
    for each in references(store):
        for error in each.errors if isinstance(each, RetestErrors) else ():
            of = (error.conditions, error.metric, error.side, error.version)
            if of == (conditions, metric, side, version):
                return error, each.name
    return None


def norm(
    store: SessionStore[Any],
    conditions: Conditions,
    metric: str,
    *,
    sex: str | None,
    age: float | None,
    version: str = "",
) -> tuple[Norm, str] | None:
    """Find the lab's own norm of people like this one, and the name of its reference.

    The newest reference that has one decides; in it the norm of the person's sex and age goes
    before one of both sexes or all ages.
    """
    for each in references(store):
        fitting = [
            one
            for one in (each.norms if isinstance(each, Norms) else ())
            if (one.conditions, one.metric, one.version) == (conditions, metric, version)
            and one.sex in (None, sex)
            and _of_age(one, age)
        ]
        if fitting:
            closest = max(fitting, key=lambda one: (one.age is not None, one.sex is not None))
            return closest, each.name
    return None


def _of_age(one: Norm, age: float | None) -> bool:
    if one.age is None:
        return True
    first, last = one.age
    return age is not None and first <= age and (last is None or age < last + 1)


def check_name(name: str) -> None:
    """Refuse a name that a reference cannot have."""
    validate(_Named, {"name": name}, what="reference")


class _Named(Document):
    name: Name
