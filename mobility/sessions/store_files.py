"""Files of a store: a folder with sessions, participants and documents.

A session is a folder with a record (``session.json``), a video, and the results of the analysis.
Nothing is written until there is something to store, so a store that is only read may be read-only
or missing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator

from mobility.base.options import (
    checked_methods,
    likely,
    quoted,
    require_path,
    validate,
)
from mobility.base.parsing import parse_json
from mobility.errors import (
    BadInputError,
    InUseError,
    MobilityError,
    NotFoundError,
    NotPermittedError,
    StorageError,
)
from mobility.sessions import folder
from mobility.sessions.files import (
    LOCKS,
    NOTES,
    PARTICIPANTS,
    check_decodable,
    check_id,
    check_key,
    check_name,
    entries_with_prefix,
    in_use,
    is_id,
    is_reserved,
    json_bytes,
    lock_if_free,
    not_all_deleted,
    read_json,
    refuse_link,
)
from mobility.sessions.record import (
    DEMO,
    GivenParticipant,
    Participant,
)
from mobility.sessions.reports import remove_reports, report_places

REPORTS_VARIABLE = "MOBILITY_REPORTS"

Key = Annotated[str, AfterValidator(check_key)]
"""Path of a document or lock in a store."""


@checked_methods
class StoreFiles:
    """A folder of sessions and participants.

    Parameters
    ----------
    path
        The folder; it is created when something is first written.
    reports
        Folder of the rendered reports; by default the environment variable ``MOBILITY_REPORTS``,
        otherwise ``reports``.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, reports: str | os.PathLike[str] | None = None
    ) -> None:
        require_path(path, what="store")
        check_decodable(os.fspath(path), what="store")
        self.path = Path(path)
        # A missing store counts as empty, but it can be created only below a folder.
        existing = next(p for p in (self.path, *self.path.parents) if os.path.lexists(p))
        if not existing.is_dir():
            raise BadInputError(f"store {self.path}: {existing} is not a folder. Name a folder")
        place = reports
        if place is None:
            place = os.environ.get(REPORTS_VARIABLE) or "reports"
        require_path(place, what="reports")
        self.reports = Path(place)
        if os.path.realpath(self.reports) == os.path.realpath(self.path):
            raise BadInputError(
                f"reports {self.reports}: is the folder of the store, where a report would "
                "overwrite its session; name another folder"
            )
        self.read_only = False

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.place!r}, reports={os.fspath(self.reports)!r})"

    @property
    def place(self) -> str:
        """Path of the folder of the store."""
        return os.fspath(self.path)

    def absolute(self) -> Self:
        """Open the same store by absolute paths, which are valid in any working folder."""
        return type(self)(self.path.absolute(), reports=self.reports.absolute())

    def require_session(self, session_id: str) -> None:
        """Raise an error if there is no such session."""
        check_id(session_id, what="session_id")
        if not self.has(session_id):
            if session_id in self.unfinished():
                raise NotFoundError(
                    f"session {session_id}: its creation or deletion is not finished; finish "
                    "the deletion with: mobility sessions delete "
                    f"{session_id}"
                )
            other_ids = [
                other_id for other_id in folder.session_ids(self.path) if other_id != session_id
            ]
            raise NotFoundError(
                f"session {session_id}: not in the store {self.place}"
                f"{likely(session_id, other_ids) or '; list them with: mobility sessions list'}"
            )

    def has(self, session_id: str) -> bool:
        """Whether there is such a session."""
        if not is_id(session_id) or is_reserved(session_id):
            return False
        return (self.path / session_id / "session.json").is_file()

    def possible_sessions(self) -> set[str]:
        """Return the IDs of all sessions, and of folders with session files but no record.

        A folder that contains any other file is not a session.
        """
        return {*folder.possible_ids(self.path)}

    def delete(self, session_id: str) -> None:
        """Delete a session with its video, results and reports; nothing is kept.

        Interrupted deletions of any session are finished first. A session in use is not deleted.
        """
        check_id(session_id, what="session_id")
        self.require_writable()
        swept = self.sweep()
        if session_id in swept and not self.has(session_id):
            if (fault := swept[session_id]) is not None:
                raise not_all_deleted(f"session {session_id}", fault) from fault
            return
        if not folder.holds(self.path, session_id):
            self.require_session(session_id)
        for place in report_places(self.reports, session_id):
            refuse_link(place)
        try:
            folder.delete_session(self.path, session_id, self.remove_reports)
        except InUseError:
            raise
        except StorageError as error:
            raise not_all_deleted(f"session {session_id}", error) from error

    def sweep(self) -> dict[str, StorageError | None]:
        """Finish interrupted deletions, and remove the leftovers of interrupted creations.

        The result maps the ID of each session with leftovers to the error that prevented their
        removal, or None.
        """
        return folder.sweep_sessions(self.path, self.remove_reports)

    def unfinished(self) -> list[str]:
        """Return the IDs of sessions whose creation or deletion is unfinished or still running."""
        return folder.unfinished_ids(self.path)

    def set_participant(self, user_id: str, /, **fields: Any) -> dict[str, Any]:
        """Store data of a participant; fields that are not passed keep their values.

        ``display_name``, ``sex`` ("female", "male"), ``birth_year`` or ``age`` (years),
        ``height_m``, ``weight_kg``, ``email``; None removes a field. ``user_id`` may also be among
        the fields. All errors are raised together, in ``fields``.
        """
        self.require_writable()
        check_id(user_id, what="user_id")
        if user_id.endswith(NOTES):
            fault = f"must not end with {NOTES}, which marks notes on visits; choose another id"
            raise BadInputError.of({"user_id": fault})
        if fields.get("user_id", user_id) != user_id:
            fault = f"is {fields['user_id']!r} in the data; leave it out there"
            raise BadInputError.of({"user_id": fault}, what=f"participant {user_id}")
        if fields.get("display_name") is not None:
            fields["display_name"] = check_name(fields["display_name"], what="display_name")
        # Checked before the lock is taken, so that refused data leave no trace.
        checked_fields = validate(
            GivenParticipant, {**fields, "user_id": user_id}, what=f"participant {user_id}"
        ).model_dump(exclude_unset=True)
        with self.locked(f"{LOCKS}/participants", what="the participants", wait_s=10):
            stored = self.stored_participant(user_id)
            earlier = stored.model_dump(exclude_none=True) if stored else {}
            if fields.get("age") is not None:
                earlier.pop("birth_year", None)
            if fields.get("birth_year") is not None:
                earlier.pop("age", None)
            participant = Participant.model_validate({**earlier, **checked_fields})
            document = participant.model_dump(mode="json", exclude_none=True)
            self.write_document(f"participants/{user_id}.json", document)
        return document

    def participant(self, user_id: str) -> dict[str, Any]:
        """Return the record of a participant; raise an error if there is none."""
        check_id(user_id, what="user_id")
        stored = self.stored_participant(user_id)
        if stored is None:
            user_ids = self.participants()
            if user_id in user_ids:
                raise NotFoundError(
                    f"participant {user_id}: has sessions but no record; make one with: mobility "
                    f"participants set {user_id} --file FILE"
                )
            raise NotFoundError(
                f"participant {user_id}: not in the store {self.place}{likely(user_id, user_ids)}"
            )
        return stored.model_dump(mode="json", exclude_none=True)

    def participants(self) -> list[str]:
        """Return the IDs of participants with a record or a session, in order, without the demo."""
        names = [entry.name for entry in entries_with_prefix(self.path / PARTICIPANTS, "")]
        stems = [Path(name).stem for name in names if re.fullmatch(r"[^.].*\.json", name)]
        # Notes can be stored without a record.
        user_ids = {stem.removesuffix(NOTES) for stem in stems}
        for user_id in self.owners().values():
            with suppress(BadInputError):  # from a damaged record
                user_ids.add(check_id(user_id, what="user_id"))
        return sorted(user_ids - {DEMO})

    def owners(self) -> dict[str, str]:
        """Return the participant of each session that still names one, even if it is damaged."""
        owners = {}
        for session_id in folder.session_ids(self.path):
            with suppress(MobilityError):
                record = read_json(self.path / session_id / "session.json")
                if isinstance(record, dict) and isinstance(record.get("user_id"), str):
                    owners[session_id] = record["user_id"]
        return owners

    def document(self, key: Key) -> Any:
        """Return a JSON document of the store, by its path in it."""
        place = self.path / key
        content = folder.read_document(self.path, key)
        if content is None:
            raise NotFoundError(f"{place}: no such document")
        try:
            return parse_json(content)
        except ValueError as error:
            raise BadInputError(f"{place}: is not a JSON document ({error})") from None

    def write_document(self, key: Key, document: Any) -> None:
        """Write a document of the store; the caller holds its lock."""
        try:
            content = json_bytes(document)
        except (TypeError, ValueError, RecursionError):
            fault = (
                f"must consist of texts, finite numbers, lists and objects (got {quoted(document)})"
            )
            raise BadInputError.of({"document": fault}) from None
        folder.write_document(self.path, key, content)

    def require_writable(self) -> None:
        """Raise an error if the store is the demo."""
        if self.read_only:
            raise NotPermittedError(
                "the demo cannot be changed. Create a session with your own video"
            )

    @contextmanager
    def locked(self, key: Key, *, what: str, wait_s: float = 0.0) -> Iterator[None]:
        """Hold the lock ``<key>.lock`` of the store, or raise an error that `what` is in use."""
        with lock_if_free(self.path / f"{key}.lock", wait_s=wait_s) as is_held:
            if not is_held:
                raise in_use(what)
            yield

    @contextmanager
    def session_locked(
        self, session_id: str, part: str = "session", *, what: str, wait_s: float = 0.0
    ) -> Iterator[None]:
        """Hold a lock on a session, or raise an error that `what` is in use."""
        check_id(session_id, what="session_id")
        check_id(part, what="part")
        with folder.session_locked(self.path, session_id, part, wait_s=wait_s) as is_held:
            if not is_held:
                raise in_use(what)
            yield

    def is_in_work(self, session_id: str) -> bool:
        """Whether any process is working on a session now."""
        if self.read_only or not is_id(session_id):
            return False
        with folder.session_locked(self.path, session_id) as is_free:
            return not is_free

    def remove_reports(self, session_id: str) -> None:
        """Remove the reports that contain a session, before its folder is removed."""
        remove_reports(self.reports, check_id(session_id, what="session_id"))

    def stored_participant(self, user_id: str) -> Participant | None:
        """Return the record of a participant; None if there is none."""
        key = f"{PARTICIPANTS}/{user_id}.json"
        try:
            return validate(Participant, self.document(key), what=f"{self.path / key}")
        except NotFoundError:
            return None
        except BadInputError as error:
            raise StorageError(
                f"participant {user_id}: the record is damaged ({error}); restore it, or delete "
                f"it and enter it again with: mobility participants set {user_id} --file FILE"
            ) from None
