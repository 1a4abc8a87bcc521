"""Save, read and delete the results of a lab's own studies, as references in its store."""

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
    """Save a reference in the store, and replace one with the same name and kind.

    Raises
    ------
    BadInputError
        The name belongs to a reference of the other kind, or to a reference with measures that the
        new one does not have.
    StorageError
        The reference with that name is damaged, or its path leads out of the store.
    """
    if not isinstance(reference, RetestErrors | Norms):
        fault = f"must come from mobility.make_norms or retest_errors (got {quoted(reference)})"
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
    """List the measures of a reference, with their exercise."""
    entries = reference.errors if isinstance(reference, RetestErrors) else reference.norms
    return {f"{entry.metric} ({entry.conditions.exercise})" for entry in entries}


def references(store: StoreFiles) -> list[Reference]:
    """Read the references of a store, newest first; damaged ones are left out and logged."""
    read, damaged = references_and_damaged(store)
    for fault in damaged.values():
        log.warning("left out: %s", fault)
    return read


def references_and_damaged(store: StoreFiles) -> tuple[list[Reference], dict[str, str]]:
    """Read the references of a store, newest first, and the errors of the damaged ones by name.

    Files whose names are not names of references are ignored, because a process that was killed
    while writing leaves a hidden file.
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
        There is no such reference.
    StorageError
        The reference is damaged.
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
    """Delete the reference with this name, even if it is damaged.

    The errors are those of `reference`.
    """
    store.require_writable()
    check_name(name)
    with store.locked(f".locks/{REFERENCES}", what="the references", wait_s=10):
        if not delete_document(store.path, _key(name)):
            raise _not_found(store, name)


def _key(name: str) -> str:
    return f"{REFERENCES}/{name}.json"


def reference_names(store: StoreFiles) -> list[str]:
    """List the names of the references of a store, including damaged ones."""
    files = entries_with_prefix(store.path / REFERENCES, "")
    stems = (file.stem for file in files if file.suffix == ".json")
    return sorted(stem for stem in stems if re.match(NAME_PATTERN, stem))


def _not_found(store: StoreFiles, name: str) -> NotFoundError:
    return NotFoundError(
        f"reference {name}: the store has no reference of this "
        f"name{likely(name, reference_names(store))}"
    )


def lab_references(session: StoredSession) -> LabReferences:
    """Return the norms and errors of the lab that apply to an analysed session.

    None apply to a demo, to a session that a phone added, to results from an older version, or to
    an unknown view.
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
    with suppress(MobilityError):  # if the record of a person is damaged, sex and age are unknown
        participant = session.participant
    if participant is None:
        return LabReferences(conditions, result, versions)
    age = participant.age_in(record.created_at.year)
    return LabReferences(conditions, result, versions, participant.sex, age)


def check_name(name: str, *, parameter: str = "name") -> None:
    """Raise an error for a name that no reference can have.

    The error belongs to the `parameter`.
    """
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
