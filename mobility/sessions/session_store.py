"""Sessions and participants in a folder, or behind a URL.

A session is a folder with a record (``session.json``), a video, and what the
analysis made of it. Nothing is written until there is something to keep: a
store that is only read may be read-only or absent. A store behind a URL (a bucket) has a
working copy in this process, see :mod:`mobility.sessions.bucket`. The store's
:class:`~mobility.sessions.backend.Backend` handles what differs there.
"""

from __future__ import annotations

import datetime
import logging
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Generic, Self, TypeVar, cast

from mobility.base.options import FilePath, checked, likely, require_path, validate
from mobility.base.parsing import parse_json
from mobility.base.provenance import SCHEMA_VERSION
from mobility.base.writing import FOLDER_MODE
from mobility.capture.detector_packages import require_detector
from mobility.capture.models import require_model
from mobility.errors import (
    BadInputError,
    ConflictError,
    MobilityError,
    NotFoundError,
    NotPermittedError,
    StorageError,
)
from mobility.sessions.analysis_options import AnalysisOptions, given_options
from mobility.sessions.backend import open_backend
from mobility.sessions.creation import (
    check_calibration,
    check_creation,
    checked_video,
    copied_files,
    new_session_id,
    read_given_keypoints,
    taken_at,
)
from mobility.sessions.files import (
    CREATING,
    ID_PATTERN,
    LOCKS,
    PARTICIPANTS,
    check_decodable,
    check_id,
    check_name,
    in_use,
    is_of_visits,
    is_reserved,
    json_bytes,
    make_folder,
    read_json,
    refuse_link,
    sync_folder,
    write_json,
    writing,
)
from mobility.sessions.notebooks import demo_places
from mobility.sessions.record import (
    GivenParticipant,
    Participant,
    SessionRecord,
)
from mobility.sessions.reports import remove_reports, report_places
from mobility.sessions.stored_session import StoredSession

log = logging.getLogger(__name__)

REPORTS_VARIABLE = "MOBILITY_REPORTS"

S = TypeVar("S", bound=StoredSession)


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
        for what, place in (("store", path), ("reports", reports)):
            if place is not None or what == "store":
                require_path(place, what=what)
        check_decodable(os.fspath(path), what="store")
        self.backend = open_backend(os.fspath(path))
        self.path = self.backend.folder
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
        return self.location_of(self.path)

    @property
    def local_path(self) -> Path | None:
        """Folder of the store; None if it is not on this machine and answers over a network."""
        return self.backend.local_path

    def location_of(self, path: Path) -> str:
        """Path of a file of the store as a user finds it; its URL behind a URL."""
        return self.backend.location_of(path)

    def close(self) -> None:
        """Remove the working copy of a store behind a URL now, not when the process ends."""
        self.backend.close()

    def absolute(self) -> Self:
        """Open the same store by absolute paths, valid in any working folder."""
        return type(self)(self.location_of(self.path.absolute()), reports=self.reports.absolute())

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
        keypoints: FilePath | Sequence[FilePath] | None = None,
        keypoints_model: str | None = None,
        options: Mapping[str, Any] | None = None,
        phone_key: str | None = None,
        date: datetime.datetime | datetime.date | str | None = None,
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
        keypoints
            Keypoints of another pose model, as :func:`mobility.read_keypoints` reads them, of each
            frame of the video; of two videos a list of two. A pose made of them is kept.
        keypoints_model
            Name of that model, for pages; by default that of the format.
        options
            With which its first analysis begins, of
            :class:`~mobility.sessions.analysis_options.AnalysisOptions`.
        phone_key
            Id of the key of the phone that adds it (``mobility open --lan``) and may see it.
        date
            When the film was taken, a date or date and time, or such a text ("2026-11-30",
            "2026-11-30T10:15"); default: now. A date alone has the time of this moment.

        Raises
        ------
        BadInputError
            With all faults at once in ``fields``; or the video cannot be decoded (VideoError).
        """
        self.require_writable()
        checked_options = given_options(options)
        AnalysisOptions(**checked_options).for_videos(
            second=second_video is not None,
            calibrated=calibration is not None,
            detected=keypoints is None,
        )
        if keypoints is None:
            require_model(checked_options.get("model"))
            require_detector(checked_options.get("detector"))
        if (chosen := checked_options.pop("movement", "auto")) != "auto":
            movement = chosen
        exercise, joints, name = check_creation(
            user_id=user_id,
            exercise_name=exercise_name,
            session_name=session_name,
            body_joint_angles=body_joint_angles,
            movement=movement,
        )
        created = taken_at(date)
        sources = [checked_video(each) for each in (video, second_video) if each is not None]
        if calibration is not None:
            check_calibration(calibration, sources)
        of_videos = [keypoints] if isinstance(keypoints, str | os.PathLike) else keypoints or []
        given = read_given_keypoints(
            [Path(each) for each in of_videos], sources, checked_options, keypoints_model
        )

        if session_id is None:
            session_id = new_session_id(created)
        check_id(session_id, what="session_id")
        if is_reserved(session_id) or is_of_visits(session_id):
            of_what = "the reports" if is_of_visits(session_id) else "the store"
            fault = f"{session_id!r} is the name of a folder of {of_what}; choose another id"
            raise BadInputError.of({"session_id": fault})
        self.backend.pull(session_id)
        self.sweep()
        with self.session_locked(session_id, what=f"session {session_id}"):
            if (self.path / session_id).exists():
                raise ConflictError(f"session {session_id}: exists already; choose another id")
            hidden = self.path / f"{CREATING}{session_id}"
            try:
                with writing(self.path):
                    make_folder(self.path)
                    hidden.mkdir(FOLDER_MODE)
                files = copied_files(sources, calibration, hidden, given)
                record = SessionRecord(
                    schema_version=SCHEMA_VERSION,
                    session_id=session_id,
                    user_id=user_id,
                    exercise=exercise,
                    session_name=name,
                    joints=joints,
                    movement=movement,
                    options=checked_options,
                    created_at=created,
                    phone_key=phone_key,
                    **files,
                )
                write_json(hidden / "session.json", record.model_dump(mode="json"))
                with writing(self.path):
                    hidden.rename(self.path / session_id)
            except BaseException:
                shutil.rmtree(hidden, ignore_errors=True)
                self.backend.forget_locks(session_id)
                raise
            sync_folder(self.path)
        return self._opened(self.path / session_id)

    def sessions(self) -> list[S]:
        """All sessions, the oldest first; a damaged one is left out and logged."""
        sessions, damaged = self._read_records(self.backend.pull_all())
        for fault in damaged.values():
            log.warning("left out: %s", fault)
        return sessions

    def sessions_and_damaged(self) -> tuple[list[S], dict[str, str]]:
        """All sessions, the oldest first; and by id, the error of each whose record is unreadable.

        The latter include folders that may be sessions (:meth:`possible_sessions`).
        """
        return self._read_records(sorted({*self.backend.pull_all()} | self.possible_sessions()))

    def _read_records(self, session_ids: Iterable[str]) -> tuple[list[S], dict[str, str]]:
        dated, damaged = [], {}
        for session_id in session_ids:
            session = self._opened(self.path / session_id)
            try:
                if not session.folder.is_dir():  # the list of its files may be damaged
                    self.backend.pull(session_id)
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
            others = [each for each in self.backend.ids() if each != session_id]
            raise NotFoundError(
                f"session {session_id}: not in the store {self.place}"
                f"{likely(session_id, others) or '; list them with: mobility sessions list'}"
            )
        return self._opened(self.path / session_id)

    @checked
    def has(self, session_id: str) -> bool:
        """Whether there is such a session."""
        if not ID_PATTERN.fullmatch(session_id) or is_reserved(session_id):
            return False
        self.backend.pull(session_id)
        return (self.path / session_id / "session.json").is_file()

    def possible_sessions(self) -> set[str]:
        """Ids of all sessions, and of folders without a record that hold only files of a session.

        A folder with anything else is not ours.
        """
        return {*self.backend.possible()}

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
        if not self.backend.holds(session_id):
            self.session(session_id)
        for place in report_places(self.reports, session_id):
            refuse_link(place)
        self.backend.delete(session_id, self.remove_reports)

    def sweep(self) -> dict[str, StorageError | None]:
        """Finish deletions that were interrupted, and remove what killed creations left.

        Maps the id of each session that left something to the error that kept it, or None.
        """
        return self.backend.sweep(self.remove_reports)

    def unfinished(self) -> list[str]:
        """Ids of sessions whose creation or deletion is unfinished or still running."""
        return self.backend.unfinished()

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
        names = self.backend.names(PARTICIPANTS)
        user_ids = {Path(name).stem for name in names if re.fullmatch(r"[^.].*\.json", name)}
        for user_id in self.owners().values():
            with suppress(BadInputError):  # of a damaged record
                user_ids.add(check_id(user_id, what="user_id"))
        return sorted(user_ids)

    def owners(self) -> dict[str, str]:
        """Participant of each session whose record still names one, even if damaged otherwise."""
        owners = {}
        for session_id in self.backend.pull_all():
            with suppress(MobilityError):
                record = read_json(self.path / session_id / "session.json")
                if isinstance(record, dict) and isinstance(record.get("user_id"), str):
                    owners[session_id] = record["user_id"]
        return owners

    def demo(self, exercise_name: str) -> S:
        """Open the pre-generated demo session of an exercise, read-only."""
        folder, reports = demo_places(exercise_name)
        store = type(self)(folder.parent, reports=reports)
        store.read_only = True
        return store._opened(folder)

    def document(self, key: str) -> Any:
        """JSON document of the store, by its path in it."""
        place = self.location_of(self.path / key)
        content = self.backend.read(key)
        if content is None:
            raise NotFoundError(f"{place}: no such document")
        try:
            return parse_json(content)
        except ValueError as error:
            raise BadInputError(f"{place}: is not a JSON document ({error})") from None

    def write_document(self, key: str, document: Any) -> None:
        """Write a document of the store; its lock is held."""
        self.backend.write(key, json_bytes(document))

    def require_shared(self, what: str) -> None:
        """Refuse a store that other processes do not see."""
        if not self.backend.is_shared:
            raise BadInputError(
                f"store {self.place}: exists in the memory of this process only, and {what} "
                "needs other processes; use a folder or an s3:// store"
            )

    def path_from(self, folder: Path) -> str:
        """Path or URL by which a notebook that runs in `folder` opens the store."""
        self.require_shared("a report")
        return self.backend.path_from(folder)

    def require_writable(self) -> None:
        """Refuse to write the demo, or a store behind a URL that can only be read."""
        if self.read_only:
            raise NotPermittedError("the demo cannot be changed; create a session of your own")
        self.backend.require_writable()

    @contextmanager
    def locked(self, key: str, *, what: str, wait_s: float = 0.0) -> Iterator[None]:
        """Hold the lock ``<key>.lock`` of the store, or raise that `what` is in use."""
        with self.backend.locked(key, wait_s=wait_s) as is_held:
            if not is_held:
                raise in_use(what)
            yield

    @contextmanager
    def session_locked(
        self, session_id: str, part: str = "session", *, what: str, wait_s: float = 0.0
    ) -> Iterator[None]:
        """Hold a lock of a session, or raise that `what` is in use.

        Behind a URL the session is brought up to date first, and published after.
        """
        with self.backend.session_locked(session_id, part, wait_s=wait_s) as is_held:
            if not is_held:
                raise in_use(what)
            yield

    def is_in_work(self, session_id: str) -> bool:
        """Whether any process works on a session now."""
        return not self.read_only and self.backend.is_in_work(session_id)

    def remove_reports(self, session_id: str) -> None:
        """Remove the reports that hold a session; before its folder, so that none is orphaned."""
        remove_reports(self.reports, session_id)

    def stored_participant(self, user_id: str) -> Participant | None:
        """Record of a participant; None where there is none."""
        key = f"{PARTICIPANTS}/{user_id}.json"
        try:
            return validate(Participant, self.document(key), what=self.location_of(self.path / key))
        except NotFoundError:
            return None
        except BadInputError as error:
            raise StorageError(
                f"participant {user_id}: the record is damaged ({error}); restore it, or delete "
                f"it and give it again with: mobility participants set {user_id} --file FILE"
            ) from None
