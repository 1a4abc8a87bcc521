"""Sessions and participants in a folder, or behind a URL.

A session is a folder with a record (``session.json``), a video, and what the
analysis made of it. Nothing is written until there is something to keep: a
store that is only read may be read-only or absent. Of a store behind a URL this process has a
working copy, see :mod:`mobility.workbench.remote`; what differs is in the methods of
:class:`Store` that ask for it.
"""

from __future__ import annotations

import datetime
import getpass
import hashlib
import itertools
import logging
import math
import os
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any, cast

import mobility
from mobility.errors import (
    BadInputError,
    ConflictError,
    FieldError,
    MobilityError,
    NotFoundError,
    NotPermittedError,
    StorageError,
)
from mobility.options import check_point, check_times, checked, likely, validate
from mobility.provenance import SCHEMA_VERSION, code_digest, sha256
from mobility.workbench import documents
from mobility.workbench.contract import (
    EXERCISES,
    JOINTS,
    MEASURED,
    SIDEWAYS,
    CalibrationFile,
    Edit,
    Edits,
    GivenParticipant,
    Joint,
    Participant,
    Rendering,
    ReportDocument,
    SessionRecord,
    Side,
    Stage,
    StoredConfig,
    VideoFile,
)
from mobility.workbench.display_settings import check_settings
from mobility.workbench.files import (
    DELETING,
    atomic,
    begun_with,
    check_decodable,
    check_id,
    check_name,
    in_use,
    lock,
    lock_if_free,
    make_folder,
    open_private,
    read_dataset,
    read_json,
    refuse_link,
    remove,
    storage_fault,
    sweep,
    sync_folder,
    write_json,
    writing,
)
from mobility.workbench.shared_reports import reports_on
from mobility.writing import FOLDER_MODE

if TYPE_CHECKING:
    import xarray as xr

    from mobility.workbench.remote import Remote
    from mobility.workbench.validation import Validation

log = logging.getLogger(__name__)

REPORTS_VARIABLE = "MOBILITY_REPORTS"
REPORT_NAMES = {
    "Overhead Squat": "overhead-squat",
    "Joint Angle Mobility": "joint-angle-mobility",
}
"""Name of the files of the report of each exercise, without their endings; and folder of its
demo session in ``data/demo`` of the checkout."""

VALIDATION_ENDING = ".validation"
"""With the session's id before it, the name of the folder of its reports on lab data."""

PARTICIPANTS = "participants"
"""Folder of the records of participants, which no session can be called: a record of somebody
whose id is "session" would pass for that of a session, of which all the others are a part."""

_CREATING = ".creating-"
_BLOCK = 1 << 20


class Store:
    """A folder of sessions and participants, or the same behind a URL.

    Parameters
    ----------
    path
        The folder; it is made when something is first written. Or a URL, ``s3://bucket/prefix``:
        ``docs/stores.md`` says which, and what holds there. A session behind a URL is as it was
        when it was opened or one of its locks was taken last.
    reports
        Folder of the rendered reports; by default the environment variable
        ``MOBILITY_REPORTS``, else ``reports``.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, reports: str | os.PathLike[str] | None = None
    ) -> None:
        if not os.fspath(path):
            raise BadInputError("store '': name a folder")
        check_decodable(os.fspath(path), what="store")
        self._remote: Remote | None = None
        if "://" in os.fspath(path):
            from mobility.workbench.remote import Remote, local_path

            if (local := local_path(os.fspath(path))) is not None:
                path = local
            else:
                self._remote = Remote(os.fspath(path))
                path = self._remote.folder
        self.path = Path(path)
        # What is there of it, for an absent store is an empty one.
        there = next(p for p in (self.path, *self.path.parents) if os.path.lexists(p))
        if not there.is_dir():
            raise BadInputError(f"store {self.path}: {there} is no folder; name one")
        self.reports = Path(reports or os.environ.get(REPORTS_VARIABLE) or "reports")
        if os.path.realpath(self.reports) == os.path.realpath(self.path):
            raise BadInputError(
                f"reports {self.reports}: is the folder of the store, where a report would take "
                "the place of its session; name another"
            )
        self.read_only = False

    def __repr__(self) -> str:
        return f"Store({self.place!r}, reports={os.fspath(self.reports)!r})"

    @property
    def place(self) -> str:
        """Folder or URL of the store."""
        return os.fspath(self.path) if self._remote is None else self._remote.objects.url

    @property
    def is_remote(self) -> bool:
        """Whether it is behind a URL."""
        return self._remote is not None

    def close(self) -> None:
        """Remove the working copy of a store behind a URL; else it lasts until the process ends."""
        if self._remote is not None:
            self._remote.close()

    def absolute(self) -> Store:
        """Open the same store so that it is found from any working folder."""
        place = self.place if self._remote else self.path.absolute()
        return Store(place, reports=self.reports.absolute())

    @checked
    def create(
        self,
        video: str | os.PathLike[str],
        second_video: str | os.PathLike[str] | None = None,
        *,
        user_id: str,
        exercise_name: str | None = None,
        session_name: str | None = None,
        body_joint_angles: str | Sequence[str] = ("all",),
        movement: str | None = None,
        session_id: str | None = None,
        calibration: str | os.PathLike[str] | None = None,
    ) -> Session:
        """Take a video in as a new session; everything is checked before anything is written.

        Parameters
        ----------
        video
            The video; it is copied.
        second_video
            The same trial as another camera saw it, not necessarily started at
            the same time; it is copied too.
        user_id
            Whose session it is; they need not be known as a participant.
        exercise_name
            "Overhead Squat" or "Joint Angle Mobility"; "overhead-squat" will do.
        session_name
            Title of the session.
        body_joint_angles
            Of "ankle", "knee", "hip", "shoulder", "elbow", or "all" of these, and in Joint
            Angle Mobility "trunk" and "neck" too; a list, or one text with commas.
        movement
            Of Joint Angle Mobility, the movement of the table ``movements`` that was filmed; with
            it the exercise need not be said, and "all" joints are the one of it.
        session_id
            Id of the session; default: made of the time and chance.
        calibration
            File with the lenses and places of the cameras
            (:func:`~mobility.kinematics.calibration.read_calibration`); it is copied too.

        Raises
        ------
        BadInputError
            With all faults at once in ``fields``.
        ConflictError
            There is a session of this id already.
        NotFoundError
            There is no such video.
        VideoError
            The video cannot be decoded.
        StorageError
            The store cannot be written.
        """
        self._require_writable()
        exercise, joints, name = check_creation(
            user_id=user_id,
            exercise_name=exercise_name,
            session_name=session_name,
            body_joint_angles=body_joint_angles,
            movement=movement,
        )
        sources = [_source(each) for each in (video, second_video) if each is not None]
        if calibration is not None:
            check_calibration(calibration, sources)

        created = datetime.datetime.now().astimezone().replace(microsecond=0)
        if session_id is None:
            session_id = new_session_id(created)
        check_id(session_id, what="session id")
        if _is_reserved(session_id):
            raise BadInputError(
                f"session id {session_id!r}: is a folder of the store; name another"
            )
        self._refresh(session_id)
        self.sweep()
        with self._locked(session_id, what=f"session {session_id}"):
            if (self.path / session_id).exists():
                raise ConflictError(f"session {session_id}: is there already; name another id")
            hidden = self.path / f"{_CREATING}{session_id}"
            try:
                with writing(self.path):
                    make_folder(self.path)
                    hidden.mkdir(FOLDER_MODE)
                files = [
                    VideoFile(**_copied(source, hidden, name))
                    for source, name in zip(sources, ("video", "video-2"), strict=False)
                ]
                if len({file.sha256 for file in files}) < len(files):
                    raise BadInputError(
                        f"second video {sources[1]}: is the first video once more; give that of "
                        "another camera"
                    )
                known = None
                if calibration is not None:
                    copy = _copied(Path(calibration), hidden, "calibration")
                    known = CalibrationFile(**copy)
                record = SessionRecord(
                    schema_version=SCHEMA_VERSION,
                    session_id=session_id,
                    user_id=user_id,
                    exercise=exercise,
                    session_name=name,
                    joints=joints,
                    movement=movement,
                    created_at=created,
                    video=files[0],
                    second_video=files[1] if len(files) > 1 else None,
                    calibration=known,
                )
                write_json(hidden / "session.json", record.model_dump(mode="json"))
                with writing(self.path):
                    hidden.rename(self.path / session_id)
            except BaseException:
                shutil.rmtree(hidden, ignore_errors=True)
                self._forget_locks(session_id)
                raise
            sync_folder(self.path)
        return Session(self.path / session_id, self)

    def sessions(self) -> list[Session]:
        """All sessions, the oldest first; a damaged one is left out and logged."""
        found = []
        for folder in self._folders():
            session = Session(folder, self)
            try:
                found.append((session.record.created_at, session.id, session))
            except MobilityError as error:
                log.warning("left out: %s", error)
        return [session for *_, session in sorted(found, key=lambda item: item[:2])]

    def session(self, session_id: str) -> Session:
        """Open a session.

        Raises
        ------
        BadInputError
            The id is malformed.
        NotFoundError
            There is no such session.
        """
        check_id(session_id, what="session id")
        if not self.has(session_id):
            if session_id in self.unfinished():
                raise NotFoundError(
                    f"session {session_id}: its making or deletion was interrupted or is under "
                    f"way; finish its deletion with: mobility sessions delete {session_id}"
                )
            others = [each for each in self._ids() if each != session_id]
            raise NotFoundError(
                f"session {session_id}: not in the store {self.place}"
                f"{likely(session_id, others) or '; list them with: mobility sessions list'}"
            )
        return Session(self.path / session_id, self)

    def has(self, session_id: str) -> bool:
        """Whether there is such a session."""
        if _is_reserved(session_id):
            return False
        if self._remote is not None:
            self._remote.pull(session_id)
        return (self.path / session_id / "session.json").is_file()

    def possible_sessions(self) -> set[str]:
        """Ids of all sessions, and of folders that lost their record and hold only what is of one.

        A folder in which there is something else is somebody's own.
        """
        if self._remote is not None:
            return set(self._remote.possible()) - set(self.unfinished())
        return {
            folder.name
            for folder in begun_with(self.path, "")
            if not folder.name.startswith(".")
            and not _is_reserved(folder.name)
            and _may_be_session(folder)
        }

    def delete(self, session_id: str) -> None:
        """Delete a session with its video, results and reports; nothing is kept.

        What was left by deletions that were interrupted, of whichever session, goes first.

        Raises
        ------
        NotFoundError
            There is no such session, and nothing was left of its deletion either.
        StorageError
            It is in use, or cannot be deleted.
        """
        check_id(session_id, what="session id")
        self._require_writable()
        swept = self.sweep()
        if session_id in swept and not self.has(session_id):
            if (fault := swept[session_id]) is not None:
                raise fault
            return
        folder = self.path / session_id
        if self._remote is not None:
            self._delete_remote(session_id, self._remote)
            return
        if _is_reserved(session_id) or not _may_be_session(folder):
            self.session(session_id)
        for place in (folder, *self._report_places(session_id)):
            refuse_link(place)
        with self._locked(session_id, what=f"session {session_id}", wait_s=2):
            hidden = self.path / f"{DELETING}{session_id}"
            try:
                folder.rename(hidden)
            except FileNotFoundError:
                raise NotFoundError(f"session {session_id}: was deleted meanwhile") from None
            except OSError as error:
                raise storage_fault(error, folder) from error
            try:
                self._remove_reports(session_id)
            except StorageError:
                hidden.rename(folder)
                raise
            self._forget_locks(session_id)
            # Last, for it says to whoever finishes this that there is something left.
            remove(hidden)

    def _delete_remote(self, session_id: str, remote: Remote) -> None:
        from mobility.workbench.remote import LOCKS

        if not remote.holds(session_id):
            self.session(session_id)
        for place in self._report_places(session_id):
            refuse_link(place)
        # Not as other work on it: the list of its files may be damaged.
        with remote.locked(f"{LOCKS}/{session_id}.session", wait_s=2) as lease:
            if lease is None:
                raise in_use(f"session {session_id}")
            if not remote.holds(session_id):
                raise NotFoundError(f"session {session_id}: was deleted meanwhile")
            self._remove_reports(session_id)
            remote.delete(session_id, lease)

    def sweep(self) -> dict[str, StorageError | None]:
        """Finish what creations and deletions that were interrupted left.

        Returns
        -------
        dict
            Id of each session of which something was left by a deletion, or by a creation that was
            killed, and why it is still there, else None.
        """
        swept: dict[str, StorageError | None] = {}
        if self._remote is not None:
            for session_id, is_removed in self._remote.sweep():
                swept[session_id] = None if is_removed else in_use(f"session {session_id}")
                if is_removed:
                    self._remove_reports(session_id)
        for prefix in (_CREATING, DELETING):
            for hidden in begun_with(self.path, prefix):
                session_id = hidden.name.removeprefix(prefix)
                with lock_if_free(self._lock(session_id)) as free:
                    if free:
                        swept[session_id] = self._finish(session_id, hidden)
                    elif prefix == DELETING:
                        swept[session_id] = in_use(f"session {session_id}")
        for hidden in begun_with(self.reports, DELETING):
            swept[hidden.name.removeprefix(DELETING)] = _fault_of(remove, hidden)
        return swept

    def _finish(self, session_id: str, hidden: Path) -> StorageError | None:
        """Delete what is left of a session whose lock is held; the fault where that fails."""
        # A creation that lives may end between our look and our lock.
        is_there = (self.path / session_id).exists()
        fault = None if is_there else _fault_of(self._remove_reports, session_id)
        if fault is None:
            if not is_there:
                self._forget_locks(session_id)
            fault = _fault_of(remove, hidden)
        if fault is None:
            log.info("removed %s, left by an interrupted run", hidden)
        else:
            log.warning("session %s: what an interrupted run left is there: %s", session_id, fault)
        return fault

    def unfinished(self) -> list[str]:
        """Ids of sessions that are half made or half deleted, be it by a living process."""
        if self._remote is not None:
            return self._remote.unfinished()
        return sorted(
            {
                hidden.name.removeprefix(prefix)
                for prefix in (_CREATING, DELETING)
                for hidden in begun_with(self.path, prefix)
            }
        )

    def set_participant(self, user_id: str, /, **fields: Any) -> dict[str, Any]:
        """Store what is known of a participant; fields not named stay as they are.

        Parameters
        ----------
        user_id
            Their id.
        **fields
            ``display_name``, ``sex`` ("female", "male"), ``birth_year`` or
            ``age`` (years), ``height_m``, ``weight_kg``, ``email``; None
            forgets a field. ``user_id`` may be there too, and is the same.

        Raises
        ------
        BadInputError
            With all faults at once in ``fields``.
        """
        self._require_writable()
        check_id(user_id, what="user_id")
        if fields.get("user_id", user_id) != user_id:
            fault = (
                f"is of somebody else (got {fields['user_id']!r}); leave it out, or give that id"
            )
            raise FieldError(f"participant {user_id}", {"user_id": [fault]})
        if fields.get("display_name") is not None:
            fields["display_name"] = check_name(fields["display_name"], what="display_name")
        # Checked before the lock is taken, so that what is refused leaves no trace.
        checked_fields = validate(
            GivenParticipant, {**fields, "user_id": user_id}, what=f"participant {user_id}"
        ).model_dump(exclude_unset=True)
        with self.locked(".locks/participants", what="the participants", wait_s=10):
            stored = self._stored_participant(user_id)
            known = stored.model_dump(exclude_none=True) if stored else {}
            if fields.get("age") is not None:
                known.pop("birth_year", None)
            if fields.get("birth_year") is not None:
                known.pop("age", None)
            participant = Participant.model_validate({**known, **checked_fields})
            document = participant.model_dump(mode="json", exclude_none=True)
            self.write_document(f"participants/{user_id}.json", document)
        return document

    def participant(self, user_id: str) -> dict[str, Any]:
        """Return what is known of a participant.

        Raises
        ------
        NotFoundError
            Nothing is stored for this id.
        """
        check_id(user_id, what="user_id")
        stored = self._stored_participant(user_id)
        if stored is None:
            raise NotFoundError(
                f"participant {user_id}: not in the store {self.place}"
                f"{likely(user_id, self.participants())}"
            )
        return stored.model_dump(mode="json", exclude_none=True)

    def participants(self) -> list[str]:
        """Ids of the participants of whom something is stored, in order."""
        return [Path(key).stem for key in self.documents(PARTICIPANTS)]

    def demo(self, exercise_name: str) -> Session:
        """Open the pre-generated demo session of an exercise, read-only.

        Raises
        ------
        BadInputError
            There is no such exercise.
        NotFoundError
            The demo is not part of this installation.
        """
        folder = _demo_folder(exercise_name)
        if not (folder / "session.json").is_file():
            raise _absent_demo(exercise_name)
        # The demo's report is rendered beforehand too, unless only the package is here.
        store = Store(folder.parent, reports=_checkout() / "reports")
        store.read_only = True
        session = Session(folder, store)
        if not session.report_is_current():
            store.reports = self.reports
        return session

    def document(self, key: str) -> Any:
        """JSON document of the store itself, by its path in it.

        Raises
        ------
        NotFoundError
            There is none.
        BadInputError
            It is no JSON document.
        """
        if self._remote is not None:
            return self._remote.document(key)
        return read_json(self.path / key)

    def documents(self, folder: str) -> list[str]:
        """Paths of the documents in a folder of the store itself."""
        if self._remote is not None:
            names = self._remote.objects.names(folder)
        else:
            names = [file.name for file in (self.path / folder).glob("*.json")]
        return [
            f"{folder}/{name}"
            for name in sorted(names)
            if name.endswith(".json") and not name.startswith(".")
        ]

    def write_document(self, key: str, document: Any) -> None:
        """Write a document of the store itself, whose lock is held."""
        if self._remote is not None:
            self._remote.write_document(key, document)
            return
        file = self.path / key
        with writing(file.parent):
            make_folder(file.parent)
        sweep(file.parent, file.name)
        write_json(file, document)

    def delete_document(self, key: str) -> bool:
        """Delete a document of the store itself; False if there is none."""
        self._fetch_document(key)
        file = self.path / key
        is_there = file.is_file()
        if self._remote is not None:
            self._remote.objects.delete([key])
        with writing(file):
            file.unlink(missing_ok=True)
        return is_there

    def whereabouts(self, key: str) -> str:
        """Path or URL of a document of the store itself."""
        return str(self.path / key) if self._remote is None else self._remote.objects.address(key)

    def require_shared(self, what: str) -> None:
        """Refuse a store that other processes do not see.

        Raises
        ------
        BadInputError
            It is in the memory of this one.
        """
        if self._remote is not None and not self._remote.objects.is_shared:
            raise BadInputError(
                f"store {self.place}: is in the memory of one process, and {what} needs another; "
                "use a folder or an s3:// store"
            )

    def seen_from(self, folder: Path) -> str:
        """Name the store for a notebook that runs in `folder`, and must be able to open it."""
        if self._remote is not None:
            self.require_shared("a report")
            return self.place
        try:
            return Path(os.path.relpath(self.path.absolute(), folder.absolute())).as_posix()
        except ValueError:  # on another drive
            return str(self.path.absolute())

    def _ids(self) -> list[str]:
        if self._remote is not None:
            return self._remote.ids()
        return [folder.name for folder in self._folders()]

    def _folders(self) -> Iterable[Path]:
        if self._remote is not None:
            return [self.path / session_id for session_id in self._remote.pull_all()]
        if not self.path.is_dir():
            return []
        return sorted(
            folder
            for folder in self.path.iterdir()
            if not folder.name.startswith(".")
            and not _is_reserved(folder.name)
            and (folder / "session.json").is_file()
        )

    def _require_writable(self) -> None:
        if self.read_only:
            raise NotPermittedError("the demo cannot be changed; create a session of your own")
        if self._remote is not None:
            self._remote.objects.require_writable()

    def _lock(self, session_id: str, part: str = "session") -> Path:
        return self.path / ".locks" / f"{session_id}.{part}.lock"

    @contextmanager
    def locked(self, key: str, *, what: str, wait_s: float = 0.0) -> Iterator[None]:
        """Hold the lock ``<key>.lock`` of the store itself, or say that `what` is in use."""
        if self._remote is None:
            with lock(self.path / f"{key}.lock", what=what, wait_s=wait_s):
                yield
            return
        self._require_writable()
        with self._remote.locked(key, wait_s=wait_s) as lease:
            if lease is None:
                raise in_use(what)
            yield

    @contextmanager
    def _locked_if_free(
        self, session_id: str, part: str = "session", *, wait_s: float = 0.0
    ) -> Iterator[bool]:
        """Hold a lock of a session if nobody else does, and say whether it is held.

        Behind a URL the session is brought up to date first, and what was changed published after.
        """
        if self._remote is None:
            with lock_if_free(self._lock(session_id, part), wait_s=wait_s) as free:
                yield free
            return
        self._require_writable()
        with self._remote.session_locked(session_id, part, wait_s=wait_s) as free:
            yield free

    @contextmanager
    def _locked(
        self, session_id: str, part: str = "session", *, what: str, wait_s: float = 0.0
    ) -> Iterator[None]:
        """Hold a lock of a session, as :meth:`_locked_if_free`, or say that `what` is in use."""
        with self._locked_if_free(session_id, part, wait_s=wait_s) as free:
            if not free:
                raise in_use(what)
            yield

    def _publish(self, session_id: str) -> None:
        """Behind a URL, let all see what was done so far; in a folder they do."""
        if self._remote is not None:
            self._remote.publish(session_id)

    def _fetch(self, session_id: str, name: str) -> None:
        """Behind a URL, bring a file of a session here, if it is there and whole."""
        if self._remote is not None:
            self._remote.fetch(session_id, name)

    def _refresh(self, session_id: str) -> None:
        """Behind a URL, see what others changed in the parts that are not locked by us."""
        if self._remote is not None:
            self._remote.pull(session_id)

    def _fetch_document(self, key: str) -> None:
        """Behind a URL, bring a document of the store itself here, or let it go if it is gone."""
        if self._remote is not None:
            self._remote.fetch_document(key)

    def _fetch_below(self, session_id: str, folder: str) -> None:
        """Behind a URL, bring all files of a folder of a session here; of all of it with ``""``."""
        if self._remote is not None:
            self._remote.fetch_below(session_id, folder)

    def _discard(self, session_id: str, name: str) -> None:
        """Behind a URL, let a file go that was removed here, or was never fetched."""
        if self._remote is not None:
            self._remote.discard(session_id, name)

    def _sweep_session(self, session_id: str) -> None:
        """Behind a URL, remove what a dead process left of a session that is locked by us."""
        if self._remote is not None:
            self._remote.sweep_session(session_id)

    def _forget_locks(self, session_id: str) -> None:
        if self._remote is not None:  # they are gone when they are released
            return
        for part in ("session", "edits", "threads", "work"):
            with suppress(OSError):
                self._lock(session_id, part).unlink()

    def _remove_reports(self, session_id: str) -> None:
        """Remove the reports that hold a session, before its folder, so that none is orphaned."""
        if not self.reports.is_dir():
            return
        places = self._report_places(session_id)
        hidden = [
            self.reports / f".{place.name}.{what}"
            for place in places
            for what in ("unfinished", "earlier", "rendering.lock", "asked.lock")
        ]
        for place in (*hidden, *places):
            with writing(place):
                if place.is_dir():
                    remove(place)
                else:
                    place.unlink(missing_ok=True)
        for report in reports_on(self.reports, [session_id]):
            report.remove()

    def _report_places(self, session_id: str) -> tuple[Path, Path]:
        return self.reports / session_id, self.reports / f"{session_id}{VALIDATION_ENDING}"

    def _stored_participant(self, user_id: str) -> Participant | None:
        key = f"participants/{user_id}.json"
        try:
            stored = self.document(key)
        except NotFoundError:
            return None
        return validate(Participant, stored, what=self.whereabouts(key))


class Session:
    """One session of a store; made by :meth:`Store.create` or :meth:`Store.session`."""

    def __init__(self, folder: Path, store: Store) -> None:
        self.folder = folder
        self.store = store

    def __repr__(self) -> str:
        return f"<Session {self.id} in {self.store.place}>"

    @property
    def id(self) -> str:
        """The session's id."""
        if self.store.read_only:
            return self.record.session_id
        return self.folder.name

    @property
    def record(self) -> SessionRecord:
        """What ``session.json`` holds now.

        Raises
        ------
        NotFoundError
            The session was deleted.
        StorageError
            The record is damaged, or of another version of the layout.
        """
        file = self.folder / "session.json"
        try:
            return validate(SessionRecord, read_json(file), what=f"{file}")
        except BadInputError as error:
            raise StorageError(
                f"session {self.folder.name}: its record cannot be used ({error}); "
                "restore it, or delete the folder"
            ) from None

    @property
    def title(self) -> str:
        """Session name, else exercise, participant and date."""
        return documents.title(self.record, self.participant)

    @property
    def participant(self) -> Participant | None:
        """What is known of the participant; None where nothing is stored."""
        return self.store._stored_participant(self.record.user_id)

    @property
    def video(self) -> Path:
        """The session's own copy of the video."""
        return self._video_file(self.record.video)

    @property
    def second_video(self) -> Path | None:
        """The session's own copy of the video of the second camera; None where there is none."""
        second = self.record.second_video
        return None if second is None else self._video_file(second)

    @property
    def calibration(self) -> Path | None:
        """The session's own copy of the calibration of its cameras; None where there is none."""
        known = self.record.calibration
        return None if known is None else self._video_file(known)

    def _video_file(self, video: VideoFile) -> Path:
        self.store._fetch(self.id, video.file)
        file = self.folder / video.file
        if self.store._remote is not None and not file.is_file():
            raise StorageError(
                f"session {self.id}: its file {self.place_of(video.file)} is lost or damaged; "
                "put it there again, or delete the session"
            )
        return file

    @property
    def annotated_video(self) -> Path:
        """The annotated video; a file that is absent where there is none."""
        self.store._fetch(self.id, "analyzed.mp4")
        return self.folder / "analyzed.mp4"

    @property
    def place(self) -> str:
        """Folder or URL of the session."""
        remote = self.store._remote
        return os.fspath(self.folder) if remote is None else f"{self.store.place}/{self.id}"

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        if self.store._remote is not None:
            return self.store._remote.size(self.id)
        return sum(file.stat().st_size for file in self.folder.rglob("*") if file.is_file())

    def place_of(self, name: str) -> str:
        """Address of one of its files: a ``file://`` URI, or the URL of the object that it is."""
        remote = self.store._remote
        if remote is None:
            return (self.folder / name).resolve().as_uri()
        return remote.address(self.id, name)

    @property
    def report_folder(self) -> Path:
        """Folder of the session's reports; it is made by the first report."""
        return self.store.reports / self.id

    def pose(self) -> xr.Dataset:
        """Landmarks as they were detected."""
        return self._result("pose")

    def second_pose(self) -> xr.Dataset:
        """Landmarks as they were detected in the video of the second camera."""
        return self._result("second_pose")

    def fitted(self) -> xr.Dataset:
        """Landmarks after cleaning, from which the angles are computed."""
        return self._result("fitted")

    def angles(self) -> xr.Dataset:
        """Joint angles over time, degrees."""
        return self._result("angles")

    def repetitions(self) -> xr.Dataset:
        """Repetitions and their phases."""
        return self._result("repetitions")

    def metrics(self) -> xr.Dataset:
        """Metrics of the assessment."""
        return self._result("metrics")

    def capture_quality(self) -> dict[str, Any]:
        """How well the video can be measured."""
        return cast("dict[str, Any]", read_json(self._result_file("capture_quality")))

    def edits(self) -> Edits:
        """Corrections by hand, oldest first."""
        file = self.folder / "edits.json"
        return validate(Edits, read_json(file), what=f"{file}") if file.is_file() else Edits()

    def camera_side(self) -> Side:
        """Side that stands for a joint in the documents: by hand, else the best seen one."""
        corrected = self.edits().current("camera_side")
        return corrected or documents.camera_side(self.pose())

    def side_of_joints(self) -> dict[str, Side]:
        """Side that stands for each joint in the documents.

        It is the :meth:`camera_side`; of trunk and neck, of which a camera sees both sides alike,
        the one to which they moved.
        """
        record, side = self.record, self.camera_side()
        sides = dict.fromkeys(map(str, record.joints), side)
        if "metrics" in record.stages:
            for joint in sides.keys() & set(SIDEWAYS):
                sides[joint] = documents.side_that_moved(self.metrics(), joint, otherwise=side)
        return sides

    def analyze(self, **options: Any) -> Session:
        """Run what is not done yet of the analysis.

        The options are those of :func:`mobility.workbench.analysis.analyze`.
        """
        from mobility.workbench.analysis import analyze

        analyze(self, **options)
        return self

    def set_repetitions(
        self, intervals: Sequence[Mapping[str, Any]] | None, *, by: str | None = None
    ) -> None:
        """Correct repetitions, or movements of single joints, by hand.

        The next analysis redoes what depends on them.

        Parameters
        ----------
        intervals
            ``start``, ``bottom`` (of a movement its turn) and ``end`` of each, in
            seconds of the video, in order and without overlap; of a movement also
            ``joints``, as :func:`mobility.assessment.joint_mobility.checked_movements`
            takes them. None goes back to what the analysis finds.
        by
            Who says so; by default the user of this computer.

        Raises
        ------
        BadInputError
            Of what :func:`mobility.kinematics.repetitions.set_repetitions` refuses, or
            :func:`mobility.assessment.joint_mobility.checked_movements`.
        """
        record = self.record
        after: list[dict[str, Any]] | None = None
        if record.exercise == "Joint Angle Mobility" and intervals is not None:
            from mobility.assessment.joint_mobility import checked_movements, joint_movements

            joints = tuple(record.joints)
            after = checked_movements(intervals, joints=joints)
            if {"fitted", "angles"} <= record.stages.keys():
                joint_movements(self.fitted(), self.angles(), joints=joints, movements=after)
        elif intervals is not None:
            after = _intervals(intervals)
            if "fitted" in record.stages:
                from mobility.kinematics.repetitions import set_repetitions

                set_repetitions(self.fitted(), after)
        self._edit("repetitions", after, by)

    def set_subject(
        self,
        point: tuple[float, float] | None,
        *,
        second_camera: bool = False,
        by: str | None = None,
    ) -> None:
        """Say by hand where the person to measure is; the next analysis begins anew.

        Parameters
        ----------
        point
            x and y in pixels, as the option ``subject`` of
            :func:`mobility.capture.pose.estimate_pose`; None undoes it.
        second_camera
            Whether it is a point in the video of the second camera.
        by
            As for :meth:`set_repetitions`.
        """
        after = None
        video = self.second_video if second_camera else self.video
        if video is None:
            raise BadInputError(f"session {self.id}: has no second video")
        if point is not None:
            x, y = check_point(point, what=f"subject {point}")
            from mobility.capture.video import probe

            size = probe(video)
            if x >= size.width or y >= size.height:
                raise BadInputError(
                    f"subject {x:g},{y:g}: is outside the picture, which has {size.width} x "
                    f"{size.height} pixels"
                )
            after = [x, y]
        self._edit("second_subject" if second_camera else "subject", after, by)

    def set_camera_side(self, side: Side | None, *, by: str | None = None) -> None:
        """Say by hand which side of the body the camera sees best; None undoes it."""
        if side not in ("left", "right", None):
            raise BadInputError(f"camera side {side!r}: must be 'left' or 'right'")
        self._edit("camera_side", side, by)

    @contextmanager
    def unless_refused(self) -> Iterator[None]:
        """Take back what was corrected inside, where it or its analysis is refused.

        The results from before hold again, as far as they were not replaced.

        Raises
        ------
        BadInputError
            The refusal, passed on.
        """
        edits, record = self.edits(), self.record
        try:
            yield
        except BadInputError:
            if (self.edits(), self.record) != (edits, record):
                with self.store._locked(self.id, "edits", what="the edits", wait_s=10):
                    if edits.edits:
                        write_json(self.folder / "edits.json", edits.model_dump(mode="json"))
                    else:
                        (self.folder / "edits.json").unlink(missing_ok=True)
                    write_json(self.folder / "session.json", record.model_dump(mode="json"))
                    self.store._publish(self.id)
            raise

    def repetitions_table(self) -> list[dict[str, Any]]:
        """Repetitions as rows: rep, start, bottom, end (s), depth (percent), accepted, reason.

        Movements of single joints also have the joints that move, as text.
        """
        return documents.repetition_rows(self.repetitions())

    def is_current(self) -> bool:
        """Whether an analysis would give the same now; true of a demo, and of what has none yet."""
        from mobility.workbench.analysis import is_current

        return self.store.read_only or self.record.state != "analyzed" or is_current(self)

    def bring_up_to_date(self) -> None:
        """Analyze again what other code analyzed, or what is of a participant who was changed.

        Documents, texts, reports and comparisons begin with it, so that nothing old is served. The
        demo is served as it is.

        Raises
        ------
        MobilityError
            The analysis fails, as :meth:`analyze` says.
        """
        if self.is_current():
            return
        log.info("session %s: was analysed by other code or with other data; once more", self.id)
        self.analyze()

    def details(self) -> dict[str, Any]:
        """Session document; before the analysis without angles.

        URLs are ``file://`` URIs.
        """
        self.bring_up_to_date()
        record = self.record
        done = record.stages
        angles = self.shown_angles() if {"pose", "angles"} <= done.keys() else None
        return documents.session_document(
            record,
            self.participant,
            video_url=self.place_of(record.video.file),
            analyzed_video_url=(
                self.place_of(done["annotated"].file) if "annotated" in done else None
            ),
            angles=angles,
            repetitions=self.repetitions() if "repetitions" in done else None,
            side="left" if angles is None else self.side_of_joints(),
        )

    def export(self) -> dict[str, Any]:
        """Export document: landmarks and angles."""
        self.bring_up_to_date()
        return documents.export_document(
            self._analyzed(),
            pose=self.pose(),
            angles=self.shown_angles(),
            side=self.side_of_joints(),
        )

    def report(self) -> dict[str, Any]:
        """Overhead Squat report, generated once and served until its inputs change.

        URLs are ``file://`` URIs.

        Raises
        ------
        NotFoundError
            The session has not been analyzed.
        BadInputError
            The session is of another exercise.
        """
        self._require_exercise("Overhead Squat", "report")
        stored = read_json(self.render_report()["json"])
        document = validate(ReportDocument, stored, what=f"report of session {self.id}")
        answer = document.json_values()
        answer["knee_movement_phases"] = {
            view: None if image is None else (self.report_folder / image).resolve().as_uri()
            for view, image in answer["knee_movement_phases"].items()
        }
        return answer

    def render_report(self) -> dict[str, Path]:
        """Render the report unless it is there and its inputs are the same.

        What was analyzed by other code, or before the participant's record was changed, is
        analyzed again first, so that old numbers never stand in a new report.

        Returns
        -------
        dict
            Paths of "html", "notebook" and "json".

        Raises
        ------
        NotFoundError
            The session has not been analyzed.
        MobilityError
            The analysis that has to come first fails, as :meth:`analyze` says.
        """
        paths, key_file = self._report_files()
        if _is_current(key_file, self._report_key(), paths.values()):
            return paths
        from mobility.workbench.reports import render_report

        # Beside the folder, not in it: a rendering replaces the folder.
        guard = self.store.reports / f".{self.id}.asked.lock"
        with lock(guard, what=f"the report of session {self.id}", wait_s=600):
            self.bring_up_to_date()
            key = self._report_key()
            if not _is_current(key_file, key, paths.values()):
                started = time.perf_counter()
                key_file.unlink(missing_ok=True)
                rendered = render_report(self)
                with atomic(key_file) as hidden:
                    hidden.write_text(key, encoding="utf-8")
                self._note_rendering(time.perf_counter() - started)
                return dict(rendered)
        return paths

    def report_is_current(self) -> bool:
        """Whether the report is there and was made of what holds now."""
        paths, key_file = self._report_files()
        return _is_current(key_file, self._report_key(), paths.values())

    def _report_files(self) -> tuple[dict[str, Path], Path]:
        """Paths of the report, and of the file with the key of its inputs."""
        name = REPORT_NAMES[self._analyzed().exercise]
        paths = {
            kind: self.report_folder / f"{name}.{suffix}"
            for kind, suffix in (("html", "html"), ("notebook", "ipynb"), ("json", "json"))
        }
        return paths, self.report_folder / f".{name}.key"

    def _note_rendering(self, seconds: float) -> None:
        """Keep in the record how long the report took, unless an analysis is at work."""
        if self.store.read_only:
            return
        try:
            with self.store._locked_if_free(self.id, wait_s=1) as free:
                if free:
                    record = self.record
                    record.report = Rendering(
                        seconds=round(seconds, 3),
                        finished=datetime.datetime.now().astimezone().replace(microsecond=0),
                    )
                    write_json(self.folder / "session.json", record.model_dump(mode="json"))
        except (StorageError, NotPermittedError) as error:
            # The report is made, and a store may be there to be read only.
            log.debug("session %s: how long its report took is not kept (%s)", self.id, error)

    def redescribe(self, *, session_name: str | None, joints: Sequence[Joint]) -> None:
        """Give the session another name or other joints; the next analysis heeds them.

        Raises
        ------
        StorageError
            The session is being analyzed, or cannot be written.
        """
        self.store._require_writable()
        name = None if session_name is None else check_name(session_name, what="session_name")
        with self.store._locked(self.id, what=f"session {self.id}", wait_s=2):
            record = self.record
            changed = record.model_copy(
                update={"session_name": name, "joints": [j for j in MEASURED if j in joints]}
            )
            if changed != record:
                write_json(self.folder / "session.json", changed.model_dump(mode="json"))

    def summary(self) -> dict[str, Any]:
        """Overhead Squat summary; URLs are ``file://`` URIs.

        Raises
        ------
        NotFoundError
            The session has not been analyzed.
        BadInputError
            The session is of another exercise.
        """
        self._require_exercise("Overhead Squat", "summary")
        # First, for it brings the metrics up to date.
        images = self.report()["knee_movement_phases"]
        return documents.summary_document(
            self._analyzed(), self.participant, metrics=self.metrics(), images=images
        )

    def joint_mobility(self) -> dict[str, Any]:
        """Joint Angle Mobility report: angles with their extremes, and the display settings.

        Raises
        ------
        NotFoundError
            The session has not been analyzed.
        BadInputError
            The session is of another exercise.
        """
        self._require_exercise("Joint Angle Mobility", "Joint Angle Mobility report")
        self.bring_up_to_date()
        stored = self.stored_config()
        return documents.joint_mobility_document(
            self._analyzed(),
            self.participant,
            angles=self.shown_angles(),
            side=self.side_of_joints(),
            shown_angles=stored.shown_angles if stored else (),
            comments=stored.comments if stored else None,
        )

    def config(self) -> dict[str, Any]:
        """Display settings of a Joint Angle Mobility session: ``shown_angles``, ``comments``.

        Raises
        ------
        NotFoundError
            Nothing was saved for this session.
        BadInputError
            The session is of another exercise.
        """
        stored = self.stored_config()
        if stored is None:
            raise NotFoundError(f"session {self.id}: has no display settings yet; save some first")
        return stored.model_dump(include={"shown_angles", "comments"})

    def stored_config(self) -> StoredConfig | None:
        """Display settings with their revision; None where nothing was saved."""
        self._require_display()
        file = self.folder / "config.json"
        if not file.is_file():
            return None
        try:
            return validate(StoredConfig, read_json(file), what=f"{file}")
        except BadInputError as error:
            raise StorageError(
                f"session {self.id}: its display settings cannot be used ({error}); restore the "
                "file, or delete it and save them anew"
            ) from None

    def save_config(
        self,
        /,
        *,
        shown_angles: Sequence[str] | None = None,
        comments: Mapping[str, str] | None = None,
        revision: int | None = None,
        **unknown: Any,
    ) -> dict[str, Any]:
        """Save the display settings; a field that is not given stays as it is.

        Parameters
        ----------
        shown_angles
            Keys of the angles in the order of showing, of the session's joints:
            ``<joint>_angle`` for both sides, ``left_<joint>_angle``,
            ``right_<joint>_angle``. Empty is no choice: all are shown.
        comments
            Text on angles, by the same keys; it replaces all earlier ones.
        revision
            The :attr:`StoredConfig.revision` that was edited (0: there was
            none), so that what was saved meanwhile is not overwritten.
        **unknown
            Refused, with the likely spelling.

        Returns
        -------
        dict
            What is stored now: ``shown_angles`` and ``comments``.

        Raises
        ------
        FieldError
            With all faults of all fields at once.
        ConflictError
            The settings are of another revision.
        BadInputError
            The session is of another exercise.
        """
        self._require_display()
        self.store._require_writable()
        given = {"shown_angles": shown_angles, "comments": comments}
        fields = {name: value for name, value in given.items() if value is not None} | unknown
        what = f"display settings of session {self.id}"
        if revision is not None and (type(revision) is not int or revision < 0):
            raise FieldError(what, {"revision": [f"must be a count (got {revision!r})"]})
        settings = check_settings(fields, joints=self.record.joints, what=what)
        with self.store._locked(self.id, "edits", what="the display settings", wait_s=10):
            stored = self.stored_config()
            now = stored.revision if stored else 0
            if revision is not None and revision != now:
                raise ConflictError(
                    f"{what}: were saved by somebody else meanwhile (revision {now}, yours is "
                    f"of {revision}); load them again, and change them once more"
                )
            kept = stored.model_dump() if stored else {"shown_angles": [], "comments": {}}
            saved = StoredConfig.model_validate({**kept, **settings, "revision": now + 1})
            sweep(self.folder, "config.json")
            write_json(self.folder / "config.json", saved.model_dump(mode="json"))
        return saved.model_dump(include={"shown_angles", "comments"})

    def shown_angles(self) -> xr.Dataset:
        """Angles as documents show them: without what the joint mobility refused."""
        angles = self.angles()
        record = self.record
        if record.exercise != "Joint Angle Mobility" or "metrics" not in record.stages:
            return angles
        return documents.with_refused_joints(angles, self.metrics())

    def _require_exercise(self, exercise: str, what: str) -> None:
        own = self.record.exercise
        if own != exercise:
            raise BadInputError(
                f"session {self.id}: is of the exercise '{own}'; only those of '{exercise}' have "
                f"a {what}"
            )

    def _require_display(self) -> None:
        exercise = self.record.exercise
        if exercise != "Joint Angle Mobility":
            raise BadInputError(
                f"session {self.id}: is of the exercise '{exercise}'; only those of 'Joint Angle "
                "Mobility' have display settings"
            )

    def create_summary_threads(self, *, system: str = "metric") -> dict[str, str]:
        """Threads on what was found: id by metric; the same ones until the data change.

        The parameters are those of :func:`mobility.workbench.threads.create_threads`.
        """
        from mobility.workbench.threads import create_threads

        return create_threads(self, "summary", system=system)

    def create_recommendation_threads(self, *, system: str = "metric") -> dict[str, str]:
        """Threads on what to do: id by metric; the same ones until the data change.

        The parameters are those of :func:`mobility.workbench.threads.create_threads`.
        """
        from mobility.workbench.threads import create_threads

        return create_threads(self, "recommendation", system=system)

    def threads(self, kind: str | None = None) -> list[dict[str, Any]]:
        """All threads, or those of one kind; see :func:`mobility.workbench.threads.threads`."""
        from mobility.workbench.threads import threads

        return threads(self, kind)

    def thread(self, thread_id: str) -> dict[str, Any]:
        """One thread; see :func:`mobility.workbench.threads.thread`."""
        from mobility.workbench.threads import thread

        return thread(self, thread_id)

    def append_message(self, thread_id: str, text: str, *, by: str | None = None) -> dict[str, Any]:
        """Add what someone says (by default the user of this computer) to a thread.

        See :func:`mobility.workbench.threads.append_message`.
        """
        from mobility.workbench.threads import append_message

        return append_message(self, thread_id, text, by=by if by is not None else _current_user())

    def validate(self, lab_file: str | os.PathLike[str], **options: Any) -> Validation:
        """Compare the angles with what a lab measured in the same trial, and keep it.

        The options are those of :func:`mobility.workbench.validation.validate`.
        """
        from mobility.workbench.validation import validate

        return validate(self, lab_file, **options)

    def validations(self) -> list[Validation]:
        """Comparisons with lab data that are stored, by name."""
        from mobility.workbench.validation import validations

        return validations(self)

    def delete(self) -> None:
        """Delete the session; see :meth:`Store.delete`."""
        self.store._require_writable()
        self.store.delete(self.id)

    def _analyzed(self) -> SessionRecord:
        record = self.record
        if record.state != "analyzed":
            told = {
                "created": "has not been analyzed yet; analyze it first",
                "analyzing": "is being analyzed, or its analysis was interrupted; analyze it again",
                "edited": "was corrected by hand since its analysis; analyze it again",
                "failed": f"could not be analyzed: {record.reason}",
            }
            raise NotFoundError(f"session {self.id} {told[record.state]}")
        return record

    def _result_file(self, stage: str) -> Path:
        done = self.record.stages.get(stage)
        if done is None:
            raise NotFoundError(
                f"session {self.id}: no {stage.replace('_', ' ')} yet; analyze it first"
            )
        if self.store.is_remote:
            self.store._fetch(self.id, done.file)
            # Others may have put another in its place meanwhile.
            done = self.record.stages.get(stage, done)
        if not is_whole(self.folder, done):
            raise StorageError(
                f"session {self.id}: its file {done.file} is damaged or lost; analyze it again"
            )
        return self.folder / done.file

    def _result(self, stage: str) -> xr.Dataset:
        return read_dataset(self._result_file(stage))

    def _report_key(self) -> str:
        record = self.record
        participant = self.participant
        absent = {name for name in ("second_video", "calibration") if not getattr(record, name)}
        left_out = {"state", "reason", "report"} | absent
        inputs = (
            mobility.__version__,
            *self._made_with(),
            record.model_dump_json(exclude=left_out),
            participant.model_dump_json() if participant else "",
            self.edits().model_dump_json(),
            *self._shown(),
        )
        return hashlib.sha256("\n".join(inputs).encode()).hexdigest()

    def _made_with(self) -> list[str]:
        """Digests of what makes the report; nothing for the demo, whose report is shipped."""
        if self.store.read_only:
            return []
        from mobility.workbench.report_source import find_notebook

        notebook = find_notebook(REPORT_NAMES[self.record.exercise].replace("-", "_"))
        return [code_digest(), sha256(notebook)]

    def _shown(self) -> list[str]:
        """Display settings, where the exercise has them and some were saved."""
        if self.record.exercise != "Joint Angle Mobility":
            return []
        stored = self.stored_config()
        return [stored.model_dump_json(include={"shown_angles", "comments"})] if stored else []

    def _edit(self, kind: str, after: Any, by: str | None) -> None:
        self.store._require_writable()
        who = check_name(by if by is not None else _current_user(), what="by")
        with self.store._locked(self.id, "edits", what="the edits", wait_s=10):
            edits = self.edits()
            edit = Edit.model_validate(
                {
                    "kind": kind,
                    "who": who,
                    "when": datetime.datetime.now().astimezone().replace(microsecond=0),
                    "before": self._before(kind, edits),
                    "after": after,
                }
            )
            sweep(self.folder, "edits.json")
            write_json(
                self.folder / "edits.json",
                Edits(edits=[*edits.edits, edit]).model_dump(mode="json"),
            )
        from mobility.workbench.analysis import forget_edited

        forget_edited(self, kind)

    def _before(self, kind: str, edits: Edits) -> Any:
        """Return what held until now: by hand, else what the analysis found, else None."""
        corrected = edits.current(kind)
        record = self.record
        if corrected is not None:
            return corrected
        if kind in ("subject", "second_subject"):
            return record.provenance.options[kind] if record.provenance else None
        if kind == "camera_side":
            return documents.camera_side(self.pose()) if "pose" in record.stages else None
        if "repetitions" not in record.stages:
            return None
        return [
            {name: row[name] for name in ("start", "bottom", "end")}
            | ({"joints": row["joints"].split(", ")} if row.get("joints") else {})
            for row in self.repetitions_table()
            if row["accepted"]
        ]


def _fault_of(act: Callable[..., object], *arguments: Any) -> StorageError | None:
    try:
        act(*arguments)
    except StorageError as error:
        return error
    return None


def new_session_id(created: datetime.datetime) -> str:
    """Id of a session that is created now, made of the time and chance."""
    return f"{created:%Y%m%d-%H%M%S}-{token_hex(4)}"


_OF_SESSION = re.compile(
    r"session\.json|edits\.json|config\.json|capture_quality\.json|metrics\.parquet|threads"
    r"|validation|calibration\.[a-z0-9]{1,7}|\..*\.tmp(\..*)?"
)
"""Names of what can be in the folder of a session beside videos and results."""

_SHOWS_SOMEBODY = re.compile(
    r"video(-2)?\.[a-z0-9]{1,7}|analyzed\.mp4"
    r"|(pose|pose-2|fitted|angles|repetitions|metrics)\.nc"
)
"""Names of its videos and results, by which such a folder is told from one that only looks so."""


def _may_be_session(folder: Path) -> bool:
    """Whether a folder has a record, or lost it and holds what a session holds and nothing else."""
    if (folder / "session.json").is_file():
        return True
    names: list[str] = []
    with suppress(PermissionError):
        names = [file.name for file in begun_with(folder, "")]
    shown = [name for name in names if _SHOWS_SOMEBODY.fullmatch(name)]
    return bool(shown) and all(name in shown or _OF_SESSION.fullmatch(name) for name in names)


def _is_reserved(session_id: str) -> bool:
    # Of any case: some disks do not tell them apart.
    return session_id.lower() == PARTICIPANTS


def check_creation(
    *,
    user_id: str,
    exercise_name: str | None,
    session_name: str | None,
    body_joint_angles: str | Sequence[str],
    movement: str | None = None,
) -> tuple[str, list[Joint], str | None]:
    """Exercise, joints and name of a session to be made, from the fields of :meth:`Store.create`.

    Raises
    ------
    BadInputError
        With all faults at once in ``fields``.
    """
    faults: dict[str, list[str]] = {}

    def tried(field: str, check: Callable[[], Any]) -> Any:
        try:
            return check()
        except BadInputError as error:
            faults[field] = [str(error)]

    tried("user_id", lambda: check_id(user_id, what="user_id"))
    exercise = "Joint Angle Mobility"
    if exercise_name is not None or movement is None:
        exercise = tried("exercise_name", lambda: _exercise(exercise_name))
    joints = tried("body_joint_angles", lambda: _joints(body_joint_angles, exercise))
    if movement is not None and exercise and joints:
        every = body_joint_angles == "all" or list(body_joint_angles) == ["all"]
        joints = tried(
            "movement", lambda: _joints_of(movement, exercise, None if every else joints)
        )
    name = session_name
    if session_name is not None:
        name = tried("session_name", lambda: check_name(session_name, what="session_name"))
    if faults:
        raise BadInputError("; ".join(itertools.chain(*faults.values())), faults)
    return exercise, joints, name


def _joints_of(movement: str, exercise: str, joints: list[Joint] | None) -> list[Joint]:
    """Joints of a session in which a movement is measured: its own, where none were chosen."""
    from mobility.assessment.movements import movement as entry_of

    joint = cast("Joint", entry_of(movement)["joint"])
    if exercise != "Joint Angle Mobility":
        raise BadInputError(
            f"movement {movement}: is of Joint Angle Mobility, not of {exercise}; leave out one of "
            "both"
        )
    if joints is not None and joint not in joints:
        raise BadInputError(
            f"movement {movement}: is of the {joint}, which is not among the joints; add it"
        )
    return joints or [joint]


def available_exercises() -> list[str]:
    """Exercises of which sessions can be made."""
    available = []
    for name in EXERCISES:
        with suppress(BadInputError):
            available.append(_exercise(name))
    return available


def is_whole(folder: Path, stage: Stage) -> bool:
    """Whether the file of a stage is there, as it was written."""
    file = folder / stage.file
    return file.is_file() and sha256(file) == stage.sha256


def demo_video(exercise_name: str) -> Path:
    """Path of the video of the demo session of an exercise.

    Raises
    ------
    BadInputError
        There is no such exercise.
    NotFoundError
        The demo is not part of this installation.
    """
    found = sorted(_demo_folder(exercise_name).glob("video.*"))
    if not found:
        raise _absent_demo(exercise_name)
    return found[0]


def _checkout() -> Path:
    return Path(mobility.__file__).parents[1]


def _demo_folder(exercise_name: str) -> Path:
    return _checkout() / "data" / "demo" / REPORT_NAMES[_exercise(exercise_name)]


def _absent_demo(exercise_name: str) -> NotFoundError:
    return NotFoundError(
        f"demo of {exercise_name}: not here; it is part of a checkout of the project"
    )


def _is_current(key_file: Path, key: str, paths: Iterable[Path]) -> bool:
    return (
        key_file.is_file()
        and key_file.read_text(encoding="utf-8") == key
        and all(path.is_file() for path in paths)
    )


def _current_user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"


def _exercise(name: str | None) -> str:
    """Name of an exercise as it is kept; capitals, hyphens and underscores make no difference."""
    known = {_plain(each): each for each in EXERCISES}
    if _plain(name) not in known:
        choice = (
            likely(str(name), EXERCISES) or f"; choose one of {', '.join(map(repr, EXERCISES))}"
        )
        raise BadInputError(f"exercise_name {name!r}: unknown{choice}")
    return known[_plain(name)]


def _plain(name: str | None) -> str:
    return " ".join(re.split(r"[\s_-]+", str(name).strip())).lower()


def _joints(given: str | Sequence[str], exercise: str | None) -> list[Joint]:
    parts = given.split(",") if isinstance(given, str) else given
    names = [name.strip() for part in parts for name in part.split(",")]
    known = (*MEASURED, "all")
    for name in names or [""]:
        if name not in known:
            choice = likely(name, known) or f"; choose of {', '.join(known)}"
            raise BadInputError(f"body_joint_angles {name!r}: unknown{choice}")
    if exercise == "Overhead Squat" and (sideways := [j for j in names if j in SIDEWAYS]):
        raise BadInputError(
            f"body_joint_angles {sideways[0]!r}: is measured in Joint Angle Mobility only"
        )
    chosen = {*names, *(JOINTS if "all" in names else ())}
    return cast("list[Joint]", [joint for joint in MEASURED if joint in chosen])


def _intervals(given: Any) -> list[dict[str, float]]:
    last = 0.0
    intervals = []
    if not isinstance(given, Sequence):
        raise BadInputError("repetitions: must be a list of start, bottom and end, in seconds")
    for number, interval in enumerate(given, start=1):
        start, bottom, end = check_times(interval, what=f"repetition {number}")
        if not (math.isfinite(end) and last <= start < bottom < end):
            raise BadInputError(
                f"repetition {number} from {start} over {bottom} to {end} s: must begin at "
                f"{last} s or later, and have its bottom before its end"
            )
        intervals.append({"start": start, "bottom": bottom, "end": end})
        last = end
    return intervals


def _source(video: str | os.PathLike[str]) -> Path:
    """Path of a video that can be decoded."""
    if not os.fspath(video):
        raise BadInputError("video '': name a video file")
    source = Path(video)
    check_decodable(source.name, what="name of the video file")
    from mobility.capture.video import probe

    probe(source)
    return source


def check_calibration(calibration: str | os.PathLike[str], videos: Sequence[Path]) -> None:
    """Raise unless a calibration is that of the cameras of some videos."""
    from mobility.capture.video import probe
    from mobility.kinematics.calibration import read_calibration

    cameras = read_calibration(calibration).of([video.name for video in videos])
    infos = [probe(video) for video in videos]
    cameras.fitting([(info.width, info.height) for info in infos])


def _copied(source: Path, folder: Path, name: str) -> dict[str, Any]:
    """Copy a file in blocks, and take its hash on the way."""
    suffix = source.suffix.lower()
    if not (suffix[1:].isascii() and suffix[1:].isalnum() and len(suffix) <= 8):
        suffix = ".video"
    target = folder / f"{name}{suffix}"
    digest = hashlib.sha256()
    size = 0
    try:
        original = source.open("rb")
    except OSError as error:
        raise BadInputError(f"{source}: cannot be read ({error.strerror})") from error
    with original, writing(target), open_private(target, "xb") as copy:
        while block := original.read(_BLOCK):
            digest.update(block)
            size += len(block)
            copy.write(block)
        copy.flush()
        os.fsync(copy.fileno())
    return {
        "file": target.name,
        "original_name": source.name,
        "sha256": digest.hexdigest(),
        "size": size,
    }
