"""Sessions and participants in a folder: :class:`SessionStore`."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from mobility.base.options import Day, FilePath, checked_methods
from mobility.base.provenance import SCHEMA_VERSION
from mobility.base.writing import FOLDER_MODE
from mobility.capture.detector_packages import require_detector
from mobility.capture.models import require_model
from mobility.errors import ConflictError, MobilityError
from mobility.sessions.analysis_options import AnalysisOptions, given_options
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
    check_new_id,
    make_folder,
    sync_folder,
    write_json,
    writing,
)
from mobility.sessions.folder import forget_locks, session_ids
from mobility.sessions.record import (
    SessionRecord,
)
from mobility.sessions.reports import demo_places
from mobility.sessions.store_files import StoreFiles
from mobility.sessions.stored_session import StoredSession

log = logging.getLogger(__name__)

S = TypeVar("S", bound=StoredSession)


def store_of(session: StoredSession) -> SessionStore[Any]:
    """Return the store from which a session was opened."""
    return cast("SessionStore[Any]", session.store)


@checked_methods
class SessionStore(StoreFiles, Generic[S]):
    """A store that opens its sessions.

    Its parameters are those of :class:`~mobility.sessions.store_files.StoreFiles`.
    """

    def _opened(self, folder: Path) -> S:
        """Open the session in a folder of this store, with the store's session class."""
        return cast("S", StoredSession(folder, self))

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
        date: Day | None = None,
    ) -> S:
        """Add a video as a new session; everything is checked before anything is written.

        Parameters
        ----------
        video
            The video; it is copied.
        second_video
            The same movement from another camera, which may start at a different time; it is copied
            too.
        user_id
            Participant of the session, with or without a record.
        exercise_name
            Name of an exercise; capitals, hyphens and underscores do not matter.
        session_name
            Title of the session.
        body_joint_angles
            "ankle", "knee", "hip", "shoulder", "elbow", or "all" of these; for single-joint range
            of motion also "trunk" and "neck". A list, or text with commas between the names.
        movement
            For single-joint range of motion, the filmed movement from the table ``movements``. If
            it is set, the exercise can be left out, and "all" joints means the joint that moves.
        session_id
            ID of the session; by default made from the time and a random part.
        calibration
            File with the lenses and positions of the cameras
            (:func:`~mobility.kinematics.calibration.read_calibration`); it is copied too.
        keypoints
            Keypoints from another pose model for each frame of the video, in a form that
            :func:`mobility.read_keypoints` can read; for two videos, a list of two. The session
            stores a pose that is made from them.
        keypoints_model
            Name of that model, for pages; by default it follows from the format.
        options
            Options for the first analysis, from
            :class:`~mobility.sessions.analysis_options.AnalysisOptions`.
        phone_key
            ID of the key of the phone that adds the session (``mobility open --lan``) and may see
            it.
        date
            When the video was recorded: a date, a date and time, or text ("2026-11-30",
            "2026-11-30T10:15"); by default now. A date alone gets the current time of day.

        Raises
        ------
        BadInputError
            Some input is wrong (all errors are in ``fields``), or the video cannot be decoded
            (VideoError).
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
        if (option := checked_options.pop("movement", "auto")) != "auto":
            movement = option
        exercise, joints, name = check_creation(
            user_id=user_id,
            exercise_name=exercise_name,
            session_name=session_name,
            body_joint_angles=body_joint_angles,
            movement=movement,
        )
        created = taken_at(date)
        sources = [checked_video(source) for source in (video, second_video) if source is not None]
        if calibration is not None:
            check_calibration(calibration, sources)
        of_videos = [keypoints] if isinstance(keypoints, str | os.PathLike) else keypoints or []
        imported = read_given_keypoints(
            [Path(keypoints_path) for keypoints_path in of_videos],
            sources,
            checked_options,
            keypoints_model,
        )

        if session_id is None:
            session_id = new_session_id(created)
        check_new_id(session_id)
        self.sweep()
        with self.session_locked(session_id, what=f"session {session_id}"):
            if (self.path / session_id).exists():
                raise ConflictError(f"session {session_id}: exists already; choose another ID")
            hidden = self.path / f"{CREATING}{session_id}"
            try:
                with writing(self.path):
                    make_folder(self.path)
                    hidden.mkdir(FOLDER_MODE)
                files = copied_files(sources, calibration, hidden, imported)
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
                forget_locks(self.path, session_id)
                raise
            sync_folder(self.path)
        return self._opened(self.path / session_id)

    def sessions(self) -> list[S]:
        """Return all sessions, the oldest first; a damaged session is left out and logged."""
        sessions, damaged = self._read_records(session_ids(self.path))
        for fault in damaged.values():
            log.warning("left out: %s", fault)
        return sessions

    def sessions_and_damaged(self) -> tuple[list[S], dict[str, str]]:
        """Return all sessions, the oldest first, and the error of each unreadable record by ID.

        The errors include folders that may be sessions (:meth:`possible_sessions`).
        """
        return self._read_records(sorted({*session_ids(self.path)} | self.possible_sessions()))

    def _read_records(self, session_ids: Iterable[str]) -> tuple[list[S], dict[str, str]]:
        dated, damaged = [], {}
        for session_id in session_ids:
            session = self._opened(self.path / session_id)
            try:
                dated.append((session.record.created_at, session_id, session))
            except MobilityError as error:
                damaged[session_id] = str(error)
        return [session for *_, session in sorted(dated, key=lambda item: item[:2])], damaged

    def session(self, session_id: str) -> S:
        """Open a session, or raise an error if there is none."""
        self.require_session(session_id)
        return self._opened(self.path / session_id)

    def demo(self, exercise_name: str) -> S:
        """Open the pre-generated demo session of an exercise, read-only."""
        folder, reports = demo_places(exercise_name)
        store = type(self)(folder.parent, reports=reports)
        store.read_only = True
        return store._opened(folder)
