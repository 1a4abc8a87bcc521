"""Sessions and participants in a folder, or behind a URL.

A session is a folder with a record (``session.json``), a video, and what the
analysis made of it. Nothing is written until there is something to keep: a
store that is only read may be read-only or absent. A store behind a URL (a bucket) has a
working copy in this process, see :mod:`mobility.sessions.bucket`; methods of
:class:`SessionStore` that differ there ask for it.
"""

from __future__ import annotations

import datetime
import hashlib
import logging
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any, cast

from mobility import registry
from mobility.analysis_options import AnalysisOptions, check_movement, given_options
from mobility.errors import (
    BadInputError,
    ConflictError,
    MobilityError,
    NotFoundError,
    NotPermittedError,
    StorageError,
)
from mobility.options import FilePath, checked, likely, require_path, validate
from mobility.provenance import SCHEMA_VERSION
from mobility.registry import JOINTS, MEASURED, Exercise, Joint
from mobility.sessions.files import (
    DELETING,
    check_decodable,
    check_id,
    check_name,
    check_visible,
    entries_with_prefix,
    in_use,
    lock,
    lock_if_free,
    make_folder,
    open_private,
    read_json,
    refuse_link,
    remove,
    storage_fault,
    sweep,
    sync_folder,
    write_json,
    writing,
)
from mobility.sessions.notebooks import beside_package
from mobility.sessions.record import (
    CalibrationFile,
    GivenParticipant,
    Participant,
    SessionRecord,
    VideoFile,
    now,
)
from mobility.sessions.shared_reports import reports_on
from mobility.writing import FOLDER_MODE

if TYPE_CHECKING:
    from mobility.sessions.bucket import Bucket
from typing import Generic, Self, TypeVar

from mobility.sessions.stored import StoredSession

log = logging.getLogger(__name__)

REPORTS_VARIABLE = "MOBILITY_REPORTS"

VALIDATION_ENDING = ".validation"
"""Ends the name of the folder of a session's reports on lab data; the session id begins it."""

PARTICIPANTS = "participants"
"""Folder of the participants' records. Reserved, not a valid session id: there, the record of a
participant "session" would pass for that of a session."""

_CREATING = ".creating-"

_BLOCK = 1 << 20
S = TypeVar("S", bound=StoredSession)


class _InPlace:
    """Stands for the working copy where the store is a folder, whose files are here already."""

    def _nothing(self, *_: str) -> None: ...

    pull = fetch = fetch_below = fetch_document = publish = discard = sweep_session = _nothing


class SessionStore(Generic[S]):
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

    on_server = False

    def __init__(
        self, path: str | os.PathLike[str], *, reports: str | os.PathLike[str] | None = None
    ) -> None:
        for what, given in (("store", path), ("reports", reports)):
            if given is not None or what == "store":
                require_path(given, what=what)
        check_decodable(os.fspath(path), what="store")
        self._bucket: Bucket | None = None
        self.copy: Bucket | _InPlace = _InPlace()
        if "://" in os.fspath(path):
            from mobility.sessions.bucket import Bucket, local_path

            if (local := local_path(os.fspath(path))) is not None:
                path = local
            else:
                self._bucket = self.copy = Bucket(os.fspath(path))
                path = self._bucket.folder
        self.path = Path(path)
        # A missing store counts as empty, but a folder can be made there only below a folder.
        existing = next(p for p in (self.path, *self.path.parents) if os.path.lexists(p))
        if not existing.is_dir():
            raise BadInputError(f"store {self.path}: {existing} is not a folder; name one")
        self.reports = Path(reports or os.environ.get(REPORTS_VARIABLE) or "reports")
        if os.path.realpath(self.reports) == os.path.realpath(self.path):
            raise BadInputError(
                f"reports {self.reports}: is the folder of the store, where a report would "
                "overwrite its session; name another folder"
            )
        self.read_only = False

    def _opened(self, folder: Path) -> S:
        """Session in a folder of this store, of the class that the store hands out."""
        return cast("S", StoredSession(folder, self))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.place!r}, reports={os.fspath(self.reports)!r})"

    @property
    def place(self) -> str:
        """Folder or URL of the store."""
        return os.fspath(self.path) if self._bucket is None else self._bucket.objects.url

    @property
    def in_bucket(self) -> bool:
        """Whether the store is behind a URL."""
        return self._bucket is not None

    def close(self) -> None:
        """Remove the working copy of a store behind a URL now, not when the process ends."""
        if self._bucket is not None:
            self._bucket.close()

    def absolute(self) -> Self:
        """Open the same store by absolute paths, valid in any working folder."""
        place = self.place if self._bucket else self.path.absolute()
        return type(self)(place, reports=self.reports.absolute())

    @checked
    def create(
        self,
        video: FilePath,
        second_video: FilePath | None = None,
        *,
        user_id: str,
        exercise_name: str | None = None,
        session_name: str | None = None,
        body_joint_angles: str | Sequence[str] = ("all",),
        movement: str | None = None,
        session_id: str | None = None,
        calibration: FilePath | None = None,
        options: Mapping[str, Any] | None = None,
        phone_key: str | None = None,
    ) -> S:
        """Add a video as a new session; everything is checked before anything is written.

        Parameters
        ----------
        video
            The video; it is copied.
        second_video
            The same trial as another camera saw it, not necessarily started at
            the same time; it is copied too.
        user_id
            Participant of the session, with or without a record.
        exercise_name
            Name of an exercise; capitals, hyphens and underscores make no difference.
        session_name
            Title of the session.
        body_joint_angles
            Of "ankle", "knee", "hip", "shoulder", "elbow", or "all" of these, and where single
            joints are measured "trunk" and "neck" too; a list, or one text with commas.
        movement
            Of single joints, the movement of the table ``movements`` that was filmed; with
            it the exercise can be left out, and "all" joints are the one that moves.
        session_id
            Id of the session; default: made of the time and chance.
        calibration
            File with the lenses and places of the cameras
            (:func:`~mobility.kinematics.calibration.read_calibration`); it is copied too.
        options
            With which its first analysis begins, of
            :class:`~mobility.analysis_options.AnalysisOptions`.
        phone_key
            Id of the key of the phone that adds it (``mobility open --lan``) and may see it.

        Raises
        ------
        BadInputError
            With all faults at once in ``fields``; or the video cannot be decoded (VideoError).
        """
        self.require_writable()
        given = given_options(options)
        AnalysisOptions(**given).for_videos(
            second=second_video is not None, calibrated=calibration is not None
        )
        if (chosen := given.pop("movement", "auto")) != "auto":
            movement = chosen
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

        created = now()
        if session_id is None:
            session_id = new_session_id(created)
        check_id(session_id, what="session_id")
        if _is_reserved(session_id):
            fault = f"{session_id!r} is the name of a folder of the store; choose another id"
            raise BadInputError.of({"session_id": fault})
        self.copy.pull(session_id)
        self.sweep()
        with self.session_locked(session_id, what=f"session {session_id}"):
            if (self.path / session_id).exists():
                raise ConflictError(f"session {session_id}: exists already; choose another id")
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
                    fault = "is the same as the first; give the video of another camera"
                    raise BadInputError.of({"second_video": f"{sources[1].name} {fault}"})
                calibration_file = None
                if calibration is not None:
                    calibration_file = CalibrationFile(
                        **_copied(Path(calibration), hidden, "calibration")
                    )
                record = SessionRecord(
                    schema_version=SCHEMA_VERSION,
                    session_id=session_id,
                    user_id=user_id,
                    exercise=exercise,
                    session_name=name,
                    joints=joints,
                    movement=movement,
                    options=given,
                    created_at=created,
                    phone_key=phone_key,
                    video=files[0],
                    second_video=files[1] if len(files) > 1 else None,
                    calibration=calibration_file,
                )
                write_json(hidden / "session.json", record.model_dump(mode="json"))
                with writing(self.path):
                    hidden.rename(self.path / session_id)
            except BaseException:
                shutil.rmtree(hidden, ignore_errors=True)
                self.forget_locks(session_id)
                raise
            sync_folder(self.path)
        return self._opened(self.path / session_id)

    def sessions(self) -> list[S]:
        """All sessions, the oldest first; a damaged one is left out and logged."""
        sessions, damaged = self._read_records(folder.name for folder in self.folders())
        for fault in damaged.values():
            log.warning("left out: %s", fault)
        return sessions

    def sessions_and_damaged(self) -> tuple[list[S], dict[str, str]]:
        """All sessions, the oldest first; and by id, the error of each whose record is unreadable.

        The latter include what only may be a session (:meth:`possible_sessions`).
        """
        ids = {folder.name for folder in self.folders()}
        return self._read_records(sorted(ids | self.possible_sessions()))

    def _read_records(self, session_ids: Iterable[str]) -> tuple[list[S], dict[str, str]]:
        dated, damaged = [], {}
        for session_id in session_ids:
            session = self._opened(self.path / session_id)
            try:
                if not session.folder.is_dir():  # the list of its files may be damaged
                    self.copy.pull(session_id)
                dated.append((session.record.created_at, session_id, session))
            except MobilityError as error:
                damaged[session_id] = str(error)
        return [session for *_, session in sorted(dated, key=lambda item: item[:2])], damaged

    def session(self, session_id: str) -> S:
        """Open a session, or raise that there is none."""
        check_id(session_id, what="session_id")
        if not self.has(session_id):
            if session_id in self.unfinished():
                raise NotFoundError(
                    f"session {session_id}: its creation or deletion is unfinished or "
                    "still running; finish deleting it with: mobility sessions delete "
                    f"{session_id}"
                )
            others = [each for each in self.ids() if each != session_id]
            raise NotFoundError(
                f"session {session_id}: not in the store {self.place}"
                f"{likely(session_id, others) or '; list them with: mobility sessions list'}"
            )
        return self._opened(self.path / session_id)

    def has(self, session_id: str) -> bool:
        """Whether there is such a session."""
        if _is_reserved(session_id):
            return False
        if self._bucket is not None:
            self._bucket.pull(session_id)
        return (self.path / session_id / "session.json").is_file()

    def possible_sessions(self) -> set[str]:
        """Ids of all sessions, and of folders without a record that hold only files of a session.

        A folder with anything else is not ours.
        """
        if self._bucket is not None:
            return set(self._bucket.possible()) - set(self.unfinished())
        return {
            folder.name
            for folder in entries_with_prefix(self.path, "")
            if not folder.name.startswith(".")
            and not _is_reserved(folder.name)
            and _may_be_session(folder)
        }

    def delete(self, session_id: str) -> None:
        """Delete a session with its video, results and reports; nothing is kept.

        Interrupted deletions, of any session, are finished first. A session in use is not deleted.
        """
        check_id(session_id, what="session_id")
        self.require_writable()
        swept = self.sweep()
        if session_id in swept and not self.has(session_id):
            if (fault := swept[session_id]) is not None:
                raise fault
            return
        folder = self.path / session_id
        if self._bucket is not None:
            self._delete_from_bucket(session_id, self._bucket)
            return
        if _is_reserved(session_id) or not _may_be_session(folder):
            self.session(session_id)
        for place in (folder, *self._report_places(session_id)):
            refuse_link(place)
        with self.session_locked(session_id, what=f"session {session_id}", wait_s=2):
            hidden = self.path / f"{DELETING}{session_id}"
            try:
                folder.rename(hidden)
            except FileNotFoundError:
                raise NotFoundError(f"session {session_id}: was deleted meanwhile") from None
            except OSError as error:
                raise storage_fault(error, folder) from error
            try:
                self.remove_reports(session_id)
            except StorageError:
                hidden.rename(folder)
                raise
            self.forget_locks(session_id)
            # Removed last: it marks an unfinished deletion.
            remove(hidden)

    def _delete_from_bucket(self, session_id: str, bucket: Bucket) -> None:
        from mobility.sessions.bucket import LOCKS

        if not bucket.holds(session_id):
            self.session(session_id)
        for place in self._report_places(session_id):
            refuse_link(place)
        # Not by `session_locked`, which reads the list of its files: that may be damaged.
        with bucket.locked(f"{LOCKS}/{session_id}.session", wait_s=2) as lease:
            if lease is None:
                raise in_use(f"session {session_id}")
            if not bucket.holds(session_id):
                raise NotFoundError(f"session {session_id}: was deleted meanwhile")
            self.remove_reports(session_id)
            bucket.delete(session_id, lease)

    def sweep(self) -> dict[str, StorageError | None]:
        """Finish deletions that were interrupted, and remove what killed creations left.

        Maps the id of each session that left something to the error that kept it, or None.
        """
        swept: dict[str, StorageError | None] = {}
        if self._bucket is not None:
            for session_id, is_removed in self._bucket.sweep():
                swept[session_id] = None if is_removed else in_use(f"session {session_id}")
                if is_removed:
                    self.remove_reports(session_id)
        for prefix in (_CREATING, DELETING):
            for hidden in entries_with_prefix(self.path, prefix):
                session_id = hidden.name.removeprefix(prefix)
                with lock_if_free(self._lock(session_id)) as free:
                    if free:
                        swept[session_id] = self._finish(session_id, hidden)
                    elif prefix == DELETING:
                        swept[session_id] = in_use(f"session {session_id}")
        for hidden in entries_with_prefix(self.reports, DELETING):
            swept[hidden.name.removeprefix(DELETING)] = _storage_error_of(remove, hidden)
        return swept

    def _finish(self, session_id: str, hidden: Path) -> StorageError | None:
        """Delete what is left of a session, whose lock is held; return the error if that fails."""
        # A living creation may end between the listing and the lock.
        exists = (self.path / session_id).exists()
        fault = None if exists else _storage_error_of(self.remove_reports, session_id)
        if fault is None:
            if not exists:
                self.forget_locks(session_id)
            fault = _storage_error_of(remove, hidden)
        if fault is None:
            log.info("removed %s, left by an interrupted run", hidden)
        else:
            log.warning("session %s: what an interrupted run left is there: %s", session_id, fault)
        return fault

    def unfinished(self) -> list[str]:
        """Ids of sessions whose creation or deletion is unfinished or still running."""
        if self._bucket is not None:
            return self._bucket.unfinished()
        return sorted(
            {
                hidden.name.removeprefix(prefix)
                for prefix in (_CREATING, DELETING)
                for hidden in entries_with_prefix(self.path, prefix)
            }
        )

    def set_participant(self, user_id: str, /, **fields: Any) -> dict[str, Any]:
        """Store data of a participant; fields not named stay as they are.

        ``display_name``, ``sex`` ("female", "male"), ``birth_year`` or ``age`` (years),
        ``height_m``, ``weight_kg``, ``email``; None forgets a field. ``user_id`` may be repeated.
        All faults are raised at once, in ``fields``.
        """
        self.require_writable()
        check_id(user_id, what="user_id")
        if fields.get("user_id", user_id) != user_id:
            fault = f"is {fields['user_id']!r} in the data; leave it out there"
            raise BadInputError.of({"user_id": fault}, what=f"participant {user_id}")
        if fields.get("display_name") is not None:
            fields["display_name"] = check_name(fields["display_name"], what="display_name")
        # Checked before the lock is taken, so that refused data leave no trace.
        checked_fields = validate(
            GivenParticipant, {**fields, "user_id": user_id}, what=f"participant {user_id}"
        ).model_dump(exclude_unset=True)
        with self.locked(".locks/participants", what="the participants", wait_s=10):
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
        """Return the record of a participant, or raise that there is none."""
        check_id(user_id, what="user_id")
        stored = self.stored_participant(user_id)
        if stored is None:
            others = self.participants()
            if user_id in others:
                raise NotFoundError(
                    f"participant {user_id}: has sessions but no record; make one with: mobility "
                    f"participants set {user_id} --file FILE"
                )
            raise NotFoundError(
                f"participant {user_id}: not in the store {self.place}{likely(user_id, others)}"
            )
        return stored.model_dump(mode="json", exclude_none=True)

    def participants(self) -> list[str]:
        """Ids of the participants who have a record or a session, in order."""
        user_ids = {Path(key).stem for key in self.documents(PARTICIPANTS)}
        for user_id in self.owners().values():
            with suppress(BadInputError):  # of a damaged record
                user_ids.add(check_id(user_id, what="user_id"))
        return sorted(user_ids)

    def owners(self) -> dict[str, str]:
        """Participant of each session whose record still names one, even if damaged otherwise."""
        owners = {}
        for folder in self.folders():
            with suppress(MobilityError):
                record = read_json(folder / "session.json")
                if isinstance(record, dict) and isinstance(record.get("user_id"), str):
                    owners[folder.name] = record["user_id"]
        return owners

    def demo(self, exercise_name: str) -> S:
        """Open the pre-generated demo session of an exercise, read-only."""
        folder = _demo_folder(exercise_name)
        if not (folder / "session.json").is_file():
            raise _absent_demo(exercise_name)
        store = type(self)(folder.parent, reports=beside_package("reports"))
        store.read_only = True
        return store._opened(folder)

    def document(self, key: str) -> Any:
        """JSON document of the store, by its path in it."""
        if self._bucket is not None:
            return self._bucket.document(key)
        return read_json(self.path / key)

    def documents(self, folder: str) -> list[str]:
        """Paths of the documents in a folder of the store."""
        if self._bucket is not None:
            names = self._bucket.objects.names(folder)
        else:
            names = [file.name for file in (self.path / folder).glob("*.json")]
        return [
            f"{folder}/{name}"
            for name in sorted(names)
            if name.endswith(".json") and not name.startswith(".")
        ]

    def write_document(self, key: str, document: Any) -> None:
        """Write a document of the store; its lock is held."""
        if self._bucket is not None:
            self._bucket.write_document(key, document)
            return
        file = self.path / key
        with writing(file.parent):
            make_folder(file.parent)
        sweep(file.parent, file.name)
        write_json(file, document)

    def delete_document(self, key: str) -> bool:
        """Delete a document of the store; False if there is none."""
        self.copy.fetch_document(key)
        file = self.path / key
        existed = file.is_file()
        if self._bucket is not None:
            self._bucket.objects.delete([key])
        with writing(file):
            file.unlink(missing_ok=True)
        return existed

    def location_of(self, key: str) -> str:
        """Path or URL of a document of the store."""
        return str(self.path / key) if self._bucket is None else self._bucket.objects.address(key)

    def require_shared(self, what: str) -> None:
        """Refuse a store that other processes do not see."""
        if self._bucket is not None and not self._bucket.objects.is_shared:
            raise BadInputError(
                f"store {self.place}: exists in the memory of this process only, and {what} "
                "needs other processes; use a folder or an s3:// store"
            )

    def path_relative_to(self, folder: Path) -> str:
        """Path or URL by which a notebook that runs in `folder` opens the store."""
        if self._bucket is not None:
            self.require_shared("a report")
            return self.place
        try:
            return Path(os.path.relpath(self.path.absolute(), folder.absolute())).as_posix()
        except ValueError:  # on another drive
            return str(self.path.absolute())

    def ids(self) -> list[str]:
        """Ids of all sessions, damaged ones too."""
        if self._bucket is not None:
            return self._bucket.ids()
        return [folder.name for folder in self.folders()]

    def folders(self) -> Iterable[Path]:
        """Folders of all sessions, in order."""
        if self._bucket is not None:
            return [self.path / session_id for session_id in self._bucket.pull_all()]
        if not self.path.is_dir():
            return []
        return sorted(
            folder
            for folder in self.path.iterdir()
            if not folder.name.startswith(".")
            and not _is_reserved(folder.name)
            and (folder / "session.json").is_file()
        )

    def require_writable(self) -> None:
        """Refuse to write the demo, or a store behind a URL that can only be read."""
        if self.read_only:
            raise NotPermittedError("the demo cannot be changed; create a session of your own")
        if self._bucket is not None:
            self._bucket.objects.require_writable()

    def _lock(self, session_id: str, part: str = "session") -> Path:
        return self.path / ".locks" / f"{session_id}.{part}.lock"

    @contextmanager
    def locked(self, key: str, *, what: str, wait_s: float = 0.0) -> Iterator[None]:
        """Hold the lock ``<key>.lock`` of the store, or raise that `what` is in use."""
        if self._bucket is None:
            with lock(self.path / f"{key}.lock", what=what, wait_s=wait_s):
                yield
            return
        self.require_writable()
        with self._bucket.locked(key, wait_s=wait_s) as lease:
            if lease is None:
                raise in_use(what)
            yield

    @contextmanager
    def session_locked_if_free(
        self, session_id: str, part: str = "session", *, wait_s: float = 0.0
    ) -> Iterator[bool]:
        """Hold a lock of a session if nobody else does, and give whether it is held.

        Behind a URL the session is brought up to date first, and published after.
        """
        if self._bucket is None:
            with lock_if_free(self._lock(session_id, part), wait_s=wait_s) as free:
                yield free
            return
        self.require_writable()
        with self._bucket.session_locked(session_id, part, wait_s=wait_s) as free:
            yield free

    @contextmanager
    def session_locked(
        self, session_id: str, part: str = "session", *, what: str, wait_s: float = 0.0
    ) -> Iterator[None]:
        """As :meth:`session_locked_if_free`, or raise that `what` is in use."""
        with self.session_locked_if_free(session_id, part, wait_s=wait_s) as free:
            if not free:
                raise in_use(what)
            yield

    def is_in_work(self, session_id: str) -> bool:
        """Whether any process works on a session now."""
        if self._bucket is not None:
            return self._bucket.is_in_work(session_id)
        if self.read_only:
            return False
        with lock_if_free(self._lock(session_id)) as free:
            return not free

    def forget_locks(self, session_id: str) -> None:
        """Remove the files of the locks of a session that is gone."""
        if self._bucket is not None:  # a release deletes the lock
            return
        for part in ("session", "edits", "threads", "work"):
            with suppress(OSError):
                self._lock(session_id, part).unlink()

    def remove_reports(self, session_id: str) -> None:
        """Remove the reports that hold a session; before its folder, so that none is orphaned."""
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

    def stored_participant(self, user_id: str) -> Participant | None:
        """Record of a participant; None where there is none."""
        key = f"{PARTICIPANTS}/{user_id}.json"
        try:
            return validate(Participant, self.document(key), what=self.location_of(key))
        except NotFoundError:
            return None
        except BadInputError as error:
            raise StorageError(
                f"participant {user_id}: the record is damaged ({error}); restore it, or delete "
                f"it and give it again with: mobility participants set {user_id} --file FILE"
            ) from None


def _storage_error_of(act: Callable[..., object], *arguments: Any) -> StorageError | None:
    try:
        act(*arguments)
    except StorageError as error:
        return error
    return None


def new_session_id(created: datetime.datetime) -> str:
    """Id of a session that is created now, made of the time and chance."""
    return f"{created:%Y%m%d-%H%M%S}-{token_hex(4)}"


_OTHER_NAMES = re.compile(
    r"session\.json|edits\.json|config\.json|capture_quality\.json|metrics\.parquet|threads"
    r"|validation|calibration\.[a-z0-9]{1,7}|\..*\.tmp(\..*)?|\.ipynb_checkpoints"
)
"""Names in the folder of a session beside videos and results."""


_RESULT_NAMES = re.compile(
    r"video(-2)?\.[a-z0-9]{1,7}|analyzed\.mp4"
    r"|(pose|pose-2|fitted|angles|repetitions|metrics)\.nc"
)
"""Names of videos and results: a folder without a record is a session's only if it has one."""


def _may_be_session(folder: Path) -> bool:
    """Whether a folder has a record, or lost it and holds only files of a session."""
    if (folder / "session.json").is_file():
        return True
    names: list[str] = []
    with suppress(PermissionError):
        names = [file.name for file in entries_with_prefix(folder, "")]
    results = [name for name in names if _RESULT_NAMES.fullmatch(name)]
    return bool(results) and all(name in results or _OTHER_NAMES.fullmatch(name) for name in names)


def _is_reserved(session_id: str) -> bool:
    # Some disks do not distinguish case.
    return session_id.lower() == PARTICIPANTS


def check_creation(
    *,
    user_id: str,
    exercise_name: str | None,
    session_name: str | None,
    body_joint_angles: str | Sequence[str],
    movement: str | None = None,
) -> tuple[str, list[Joint], str | None]:
    """Exercise, joints and name of a session that :meth:`SessionStore.create` is to make."""
    faults: dict[str, list[str]] = {}

    def tried(check: Callable[[], Any]) -> Any:
        try:
            return check()
        except BadInputError as error:
            faults.update(error.fields)

    tried(lambda: check_id(user_id, what="user_id"))
    exercise = registry.of_single_joints()
    if exercise_name is not None or movement is None:
        exercise = tried(lambda: registry.exercise(exercise_name))
    joints = tried(lambda: _joints(body_joint_angles, exercise))
    if movement is not None and exercise and joints:
        every = body_joint_angles == "all" or list(body_joint_angles) == ["all"]
        joints = tried(lambda: _joints_of(movement, exercise, None if every else joints))
    name = session_name
    if session_name is not None:
        name = tried(lambda: check_name(session_name, what="session_name"))
    if faults:
        raise BadInputError.of(faults)
    return exercise.name, joints, name


def _joints_of(movement: str, exercise: Exercise, joints: list[Joint] | None) -> list[Joint]:
    """Joints of a session in which a movement is measured: its own, where none were chosen."""
    from mobility.assessment.movements import movement as entry_of

    chosen = joints or [cast("Joint", entry_of(movement)["joint"])]
    check_movement(movement, exercise, chosen)
    return chosen


def demo_video(exercise_name: str) -> Path:
    """Path of the video of the demo session of an exercise."""
    found = sorted(_demo_folder(exercise_name).glob("video.*"))
    if not found:
        raise _absent_demo(exercise_name)
    return found[0]


def _demo_folder(exercise_name: str) -> Path:
    return beside_package("data/demo") / registry.exercise(exercise_name).slug


def _absent_demo(exercise_name: str) -> NotFoundError:
    return NotFoundError(
        f"demo of {exercise_name}: is not part of this installation, there is none in "
        f"{beside_package('data/demo')}"
    )


def _joints(given: str | Sequence[str], exercise: Exercise | None) -> list[Joint]:
    parts = given.split(",") if isinstance(given, str) else given
    names = [name.strip() for part in parts for name in part.split(",")]
    known = (*MEASURED, "all")
    for name in names or [""]:
        if name not in known:
            choice = likely(name, known) or f"; choose from {', '.join(known)}"
            raise BadInputError.of({"body_joint_angles": f"there is no {name!r}{choice}"})
    if exercise is not None and (other := [j for j in names if j not in (*exercise.joints, "all")]):
        others = " or ".join(e.name for e in registry.exercises() if other[0] in e.joints)
        fault = f"{other[0]!r} is measured only in {others}"
        raise BadInputError.of({"body_joint_angles": fault})
    chosen = {*names, *(JOINTS if "all" in names else ())}
    return [joint for joint in MEASURED if joint in chosen]


def _source(video: str | os.PathLike[str]) -> Path:
    """Path of a video that can be decoded."""
    source = Path(video)
    check_decodable(source.name, what="video")
    check_visible(source.name, what="video")
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
