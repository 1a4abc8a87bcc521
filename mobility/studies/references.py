"""What a lab's own studies found, kept in its store: errors of measuring again, and norms.

Each holds for the conditions of its study alone: exercise, view, model of the keypoints, way to the
angles, cameras, version of the package, and whether films were merged.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import AwareDatetime, Field, StringConstraints, TypeAdapter

from mobility.base.formatting import shortened
from mobility.base.options import likely, quoted, validate
from mobility.catalogue.registry import ExerciseName
from mobility.errors import BadInputError, MobilityError, NotFoundError, StorageError
from mobility.keypoints.sources import Origin
from mobility.keypoints.view import UNKNOWN
from mobility.sessions.files import REFERENCES, entries_with_prefix
from mobility.sessions.folder import delete_document
from mobility.sessions.record import Document, Finite, Number
from mobility.sessions.store_files import StoreFiles

if TYPE_CHECKING:
    from mobility.sessions.stored_session import StoredSession

log = logging.getLogger(__name__)

_NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"
Name = Annotated[str, StringConstraints(pattern=_NAME)]
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
        """Exercises of which it says something."""
        return sorted({each.conditions.exercise for each in self.errors})


class Norms(_Reference):
    """Norms made of a cohort."""

    kind: Literal["norms"] = "norms"
    norms: list[Norm]

    @property
    def exercises(self) -> list[str]:
        """Exercises of which it says something."""
        return sorted({each.conditions.exercise for each in self.norms})


Reference = RetestErrors | Norms
_ANY: TypeAdapter[Reference] = TypeAdapter(Annotated[Reference, Field(discriminator="kind")])


def save_reference(store: StoreFiles, reference: Any) -> None:
    """Keep a reference in the store; one of the same name and kind is replaced.

    Raises
    ------
    BadInputError
        The name is that of a reference of the other kind, or of one with measures that this one
        lacks.
    StorageError
        The reference of that name is damaged, or the place leads out of the store.
    """
    if not isinstance(reference, RetestErrors | Norms):
        fault = f"must be of mobility.make_norms or retest_errors (got {quoted(reference)})"
        raise BadInputError.of({"reference": fault})
    store.require_writable()
    with store.locked(f".locks/{REFERENCES}", what="the references", wait_s=10):
        others, damaged = references_and_damaged(store)
        if reference.name in damaged:
            raise StorageError(damaged[reference.name])
        for other in others:
            if other.name == reference.name and other.kind != reference.kind:
                fault = (
                    f"{reference.name!r} is the name of {other.kind} of this store; choose another"
                )
                raise BadInputError.of({"name": fault})
            if other.name == reference.name and (lost := _measures(other) - _measures(reference)):
                fault = (
                    f"{reference.name!r} has {shortened(sorted(lost), most=3)}, which would be"
                    " lost; choose another name, or delete it first"
                )
                raise BadInputError.of({"name": fault})
        store.write_document(_key(reference.name), reference.model_dump(mode="json"))


def _measures(reference: Reference) -> set[str]:
    """Name the measures of a reference, with their exercise."""
    entries = reference.errors if isinstance(reference, RetestErrors) else reference.norms
    return {f"{each.metric} ({each.conditions.exercise})" for each in entries}


def references(store: StoreFiles) -> list[Reference]:
    """Read the references of a store, the newest first; a damaged one is left out and logged."""
    read, damaged = references_and_damaged(store)
    for fault in damaged.values():
        log.warning("left out: %s", fault)
    return read


def references_and_damaged(store: StoreFiles) -> tuple[list[Reference], dict[str, str]]:
    """Read the references of a store, the newest first; and by name, the error of each damaged one.

    What has not the name of a reference is none: a hidden file is left of a process that was
    killed as it wrote.
    """
    read: list[Reference] = []
    damaged = {}
    for name in reference_names(store):
        try:
            read.append(_ANY.validate_python(store.document(_key(name))))
        except (ValueError, MobilityError) as error:
            reason = str(error).splitlines()[0]
            damaged[name] = (
                f"{_key(name)}: is damaged ({reason}); delete it with: "
                f"mobility references delete {name}"
            )
    return sorted(read, key=lambda each: each.made, reverse=True), damaged


def reference(store: StoreFiles, name: str) -> Reference:
    """Return the reference of this name.

    Raises
    ------
    NotFoundError
        There is none.
    StorageError
        It is damaged.
    """
    check_name(name)
    read, damaged = references_and_damaged(store)
    if name in damaged:
        raise StorageError(damaged[name])
    for each in read:
        if each.name == name:
            return each
    raise _not_found(store, name)


def delete_reference(store: StoreFiles, name: str) -> None:
    """Delete the reference of this name, also a damaged one; it raises as :func:`reference`."""
    store.require_writable()
    check_name(name)
    with store.locked(f".locks/{REFERENCES}", what="the references", wait_s=10):
        if not delete_document(store.path, _key(name)):
            raise _not_found(store, name)


def _key(name: str) -> str:
    return f"{REFERENCES}/{name}.json"


def reference_names(store: StoreFiles) -> list[str]:
    """List the names of the references of a store, damaged ones too."""
    files = entries_with_prefix(store.path / REFERENCES, "")
    stems = (file.stem for file in files if file.suffix == ".json")
    return sorted(stem for stem in stems if re.match(_NAME, stem))


def _not_found(store: StoreFiles, name: str) -> NotFoundError:
    return NotFoundError(
        f"reference {name}: the store has none of this name{likely(name, reference_names(store))}"
    )


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

    @classmethod
    def of_session(cls, session: StoredSession) -> Self:
        """Find what holds for an analysed session.

        Nothing does for a demo, for a session that a phone added, or if the view is unknown.
        """
        record = session.record
        if session.store.read_only or record.phone_key is not None or record.provenance is None:
            return cls()
        result = references(session.store)
        view = (session.capture_quality().get("view") or {}).get("name", UNKNOWN)
        if not result or view == UNKNOWN:
            return cls()
        metrics = session.metrics()
        conditions = Conditions(
            exercise=record.exercise,
            view=view,
            method=str(metrics.attrs.get("method", "")),
            cameras=len(record.videos),
            software=record.provenance.versions.get("mobility", ""),
            standing=record.provenance.standing,
            **Origin.of(metrics.attrs)._asdict(),
        )
        versions = {
            str(name): str(metric.attrs["version"])
            for name, metric in metrics.variables.items()
            if "version" in metric.attrs
        }
        participant = None
        with suppress(MobilityError):  # a damaged record of a person: their sex and age are unknown
            participant = session.participant
        if participant is None:
            return cls(conditions, result, versions)
        age = participant.age_in(record.created_at.year)
        return cls(conditions, result, versions, participant.sex, age)

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


def check_name(name: str, *, parameter: str = "name") -> None:
    """Refuse a name that a reference cannot have; the error calls the `parameter` that gave it."""
    try:
        validate(_Named, {"name": name}, what="reference")
    except BadInputError:
        fault = (
            "name a reference with 1 to 64 letters, digits, - and _, "
            f"a letter or digit first (got {quoted(name)})"
        )
        raise BadInputError.of({parameter: fault}) from None


class _Named(Document):
    name: Name
