"""Save, read and delete what a lab's own studies found, as references in its store."""

from __future__ import annotations

import logging
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, TypeAdapter

from mobility.base.formatting import shortened
from mobility.base.options import likely, quoted, validate
from mobility.documents.lab_references import (
    NAME_PATTERN,
    Conditions,
    LabReferences,
    Name,
    Norms,
    Reference,
    RetestErrors,
)
from mobility.errors import BadInputError, MobilityError, NotFoundError, StorageError
from mobility.keypoints.sources import Origin
from mobility.keypoints.view import UNKNOWN
from mobility.pipeline.analysis import is_current
from mobility.sessions.files import REFERENCES, entries_with_prefix
from mobility.sessions.folder import delete_document
from mobility.sessions.record import Document
from mobility.sessions.store_files import StoreFiles

if TYPE_CHECKING:
    from mobility.sessions.stored_session import StoredSession

log = logging.getLogger(__name__)

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
        stored, damaged = references_and_damaged(store)
        if reference.name in damaged:
            raise StorageError(damaged[reference.name])
        for other in stored:
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
    return {f"{entry.metric} ({entry.conditions.exercise})" for entry in entries}


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
    return sorted(read, key=lambda item: item.made, reverse=True), damaged


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
    for item in read:
        if item.name == name:
            return item
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
    return sorted(stem for stem in stems if re.match(NAME_PATTERN, stem))


def _not_found(store: StoreFiles, name: str) -> NotFoundError:
    return NotFoundError(
        f"reference {name}: the store has none of this name{likely(name, reference_names(store))}"
    )


def lab_references(session: StoredSession) -> LabReferences:
    """Find the norms and errors of the lab that hold for an analysed session.

    None hold for a demo, for a session that a phone added, for results of an older version, or if
    the view is unknown.
    """
    record = session.record
    if session.store.read_only or record.phone_key is not None or record.provenance is None:
        return LabReferences()
    if not is_current(session):
        return LabReferences()
    result = references(session.store)
    view = (session.capture_quality().get("view") or {}).get("name", UNKNOWN)
    if not result or view == UNKNOWN:
        return LabReferences()
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
        return LabReferences(conditions, result, versions)
    age = participant.age_in(record.created_at.year)
    return LabReferences(conditions, result, versions, participant.sex, age)


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
