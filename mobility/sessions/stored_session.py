"""One session: its record, its files, and corrections by hand."""

from __future__ import annotations

import copy
import getpass
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, cast

from pydantic import Field

from mobility.base.formatting import dated
from mobility.base.options import checked_methods, validate
from mobility.base.provenance import sha256
from mobility.catalogue.joints import MEASURED, Joint
from mobility.catalogue.registry import names
from mobility.errors import BadInputError, NotFoundError, StorageError
from mobility.sessions.files import check_name, read_dataset, read_json, report_place, write_json
from mobility.sessions.folder import forget_locks
from mobility.sessions.record import (
    Edits,
    Participant,
    PoseName,
    SessionRecord,
    Stage,
    StoredConfig,
    VideoFile,
    verdict_in_words,
)

if TYPE_CHECKING:
    import xarray as xr

    from mobility.sessions.store_files import StoreFiles

STILL = ".still-{}.jpg"
"""Name of the still of a session in its folder, without the digest of its inputs."""

TITLE = "title"
"""Attribute (CF) with the stage, participant and exercise, added to a Dataset when it is read."""


@checked_methods
class StoredSession:
    """The files of one session of a store."""

    def __init__(self, folder: Path, store: StoreFiles) -> None:
        self.folder = folder
        self.store = store
        self._cache: dict[str, xr.Dataset] | None = None

    def read_once(self) -> Self:
        """Return this session with cached results: each file is read only once.

        This is for reports, which use each file many times. Later changes to the files are not
        noticed.
        """
        caching = copy.copy(self)
        caching._cache = {}
        return caching

    def __repr__(self) -> str:
        return f"<Session {self.folder.name}: {self._in_words()}, in {self.store.place}>"

    def _in_words(self) -> str:
        try:
            record = self.record
        except (NotFoundError, StorageError):
            return "no record that can be read"
        parts = [dated(record.created_at), record.state]
        if record.state == "analyzed" and record.verdict:
            parts.append(verdict_in_words(record.verdict, record.exercise))
        return f"{record.exercise} of {record.user_id}, {', '.join(parts)}"

    @property
    def id(self) -> str:
        """ID of the session."""
        if self.store.read_only:
            return self.record.session_id
        return self.folder.name

    @property
    def record(self) -> SessionRecord:
        """Current content of ``session.json``."""
        file = self.folder / "session.json"
        try:
            document = read_json(file)
            exercise = document.get("exercise") if isinstance(document, dict) else None
            if isinstance(exercise, str) and exercise not in names():
                raise StorageError(
                    f"session {self.folder.name}: belongs to the exercise {exercise!r}, which "
                    "is not installed here; install its package"
                )
            return validate(SessionRecord, document, what=f"{file}")
        except NotFoundError:
            if not self.folder.is_dir():
                raise self._deleted() from None
            raise NotFoundError(
                f"session {self.folder.name}: its record is missing; restore {file}, or delete "
                f"the session with: mobility sessions delete {self.folder.name}"
            ) from None
        except BadInputError as error:
            raise StorageError(
                f"session {self.folder.name}: its record is damaged ({error}); restore it, or "
                f"delete the session with: mobility sessions delete {self.folder.name}"
            ) from None

    @contextmanager
    def unless_deleted(self) -> Iterator[None]:
        """Replace any error in this block if the session was deleted; the new error states this."""
        try:
            yield
        except Exception as error:
            if self.folder.is_dir():
                raise
            forget_locks(self.store.path, self.folder.name)
            raise self._deleted() from error

    def _deleted(self) -> NotFoundError:
        return NotFoundError(f"session {self.folder.name}: was deleted in the meantime")

    @property
    def participant(self) -> Participant | None:
        """Return the record of the participant; None if there is none."""
        return self.store.stored_participant(self.record.user_id)

    @property
    def video(self) -> Path:
        """Path of the copy of the video.

        If there are two, the one whose timestamps the results use.
        """
        return self.copy_of(self.record.videos[0])

    @property
    def first_video(self) -> Path:
        """Path of the session's copy of the first camera's video."""
        return self.copy_of(self.record.video)

    @property
    def second_video(self) -> Path | None:
        """Path of the session's copy of the second camera's video; None if there is none."""
        second = self.record.second_video
        return None if second is None else self.copy_of(second)

    @property
    def calibration(self) -> Path | None:
        """Path of the session's copy of the calibration of its cameras; None if there is none."""
        file = self.record.calibration
        return None if file is None else self.copy_of(file)

    def keypoints(self, video: Literal[1, 2]) -> Path | None:
        """Return the path of the session's copy of imported keypoints for a video, or None."""
        file = self.record.keypoints if video == 1 else self.record.second_keypoints
        return None if file is None else self.copy_of(file)

    def copy_of(self, video: VideoFile) -> Path:
        """Return the path of a file that was added to the session."""
        return self.folder / video.file

    @property
    def annotated_video(self) -> Path:
        """Path of the annotated video, which may not exist."""
        return self.folder / "analyzed.mp4"

    @property
    def place(self) -> str:
        """Path of the folder of the session."""
        return os.fspath(self.folder)

    @property
    def size(self) -> int:
        """Size of all files of the session in bytes."""
        files = self.folder.rglob("*")
        return sum(file.stat().st_size for file in files if file.is_file())

    def place_of(self, name: str) -> str:
        """Return the ``file://`` URI of one of the session's files."""
        return (self.folder / name).resolve().as_uri()

    @property
    def report_folder(self) -> Path:
        """Folder of the session's reports; the first report creates it."""
        return report_place(self.store.reports, self.id)

    @property
    def report_page(self) -> Path:
        """Path of the session's report, whether it exists or not."""
        return self.report_folder / f"{self.record.kind.slug}.html"

    def pose(self) -> xr.Dataset:
        """Return the landmarks that were detected in :attr:`video`, as corrected by hand."""
        return self._corrected(self.record.measured_pose)

    def detected_pose(self) -> xr.Dataset:
        """Return the landmarks of :attr:`video` without corrections; faces are blurred there."""
        return self.result(self.record.measured_pose)

    def second_pose(self) -> xr.Dataset:
        """Return the landmarks of the video of the second camera, as corrected by hand."""
        return self._corrected("second_pose")

    def _corrected(self, name: PoseName) -> xr.Dataset:
        pose = self.result(name)
        if not (rows := self.edits().points_of(name)):
            return pose
        from mobility.kinematics.edited_points import with_points

        return with_points(pose, rows)

    def fitted(self) -> xr.Dataset:
        """Return the landmarks after cleaning and fitting, from which the angles are computed."""
        return self.result("fitted")

    def measured_angles(self) -> xr.Dataset:
        """Return all measured joint angles over time in degrees, even if reports omit them."""
        return self.result("angles")

    def repetitions(self) -> xr.Dataset:
        """Return the repetitions and their phases."""
        return self.result("repetitions")

    def metrics(self) -> xr.Dataset:
        """Return the metrics of the assessment."""
        return self.result("metrics")

    def capture_quality(self) -> dict[str, Any]:
        """Return the capture quality of the recording."""
        return cast("dict[str, Any]", read_json(self.result_file("capture_quality")))

    def edits(self) -> Edits:
        """Return the corrections by hand, oldest first."""
        file = self.folder / "edits.json"
        try:
            return validate(Edits, read_json(file), what=f"{file}") if file.is_file() else Edits()
        except BadInputError as error:
            raise StorageError(
                f"session {self.id}: its corrections by hand are damaged ({error}); restore the "
                f"file, or delete it and correct the session again with: mobility edit {self.id}"
            ) from None

    def stored_config(self) -> StoredConfig | None:
        """Return the display settings with their revision; None if nothing was saved."""
        self.record.require("display settings")
        file = self.folder / "config.json"
        if not file.is_file():
            return None
        try:
            return validate(StoredConfig, read_json(file), what=f"{file}")
        except BadInputError as error:
            raise StorageError(
                f"session {self.id}: its display settings are damaged ({error}); restore the "
                "file, or delete it and save them again"
            ) from None

    def redescribe(self, *, session_name: str | None, joints: Sequence[Joint]) -> None:
        """Change the name or the joints of the session; the next analysis uses them."""
        self.store.require_writable()
        name = None if session_name is None else check_name(session_name, what="session_name")
        with self.store.session_locked(self.id, what=f"session {self.id}", wait_s=2):
            record = self.record
            changed = record.model_copy(
                update={"session_name": name, "joints": [j for j in MEASURED if j in joints]}
            )
            if changed != record:
                write_json(self.folder / "session.json", changed.model_dump(mode="json"))

    def delete(self) -> None:
        """Delete the session; see :meth:`~mobility.sessions.store_files.StoreFiles.delete`."""
        self.store.require_writable()
        self.store.delete(self.id)

    def analyzed(self) -> SessionRecord:
        """Return the record of the session; raise an error if there are no results."""
        record = self.record
        if record.state == "analyzing" and self.store.is_in_work(self.id):
            raise NotFoundError(
                f"session {self.id} is being analysed elsewhere; wait until the analysis is done"
            )
        if record.state != "analyzed":
            again = f"with: mobility edit {self.id}"
            reasons = {
                "created": f"is not analysed yet; analyse it first, {again}",
                "analyzing": f"was being analysed and was interrupted; finish it {again}",
                "edited": f"was corrected by hand since its analysis; analyse it again, {again}",
                "failed": f"could not be analysed: {record.reason}",
            }
            raise NotFoundError(f"session {self.id} {reasons[record.state]}")
        return record

    def result_file(self, stage: Annotated[str, Field(max_length=64)]) -> Path:
        """Return the path of the file of a stage, after checking that it is complete."""
        before = None
        # Another process may replace it meanwhile.
        while (entry := self._stage_entry(stage)) != before:
            if is_whole(self.folder, entry):
                return self.folder / entry.file
            before = entry
        raise StorageError(
            f"session {self.id}: its file {entry.file} is missing or damaged; analyse it again"
        )

    def _stage_entry(self, stage: str) -> Stage:
        """Return the entry of a stage in the record."""
        entry = self.record.stages.get(stage)
        if entry is None:
            self.analyzed()  # raises a better reason, from the state
            raise NotFoundError(f"session {self.id}: has no {stage.replace('_', ' ')}")
        return entry

    def result(self, stage: str) -> xr.Dataset:
        """Return the Dataset of a stage of the analysis."""
        if self._cache is not None and stage in self._cache:
            return self._cache[stage].copy()
        record = self.record
        title = f"{stage.replace('_', ' ')} of {record.user_id}, {record.exercise}"
        result = read_dataset(self.result_file(stage)).assign_attrs({TITLE: title})
        if self._cache is None:
            return result
        return self._cache.setdefault(stage, result).copy()


def is_whole(folder: Path, stage: Stage) -> bool:
    """Whether the file of a stage exists and is unchanged."""
    file = folder / stage.file
    return file.is_file() and sha256(file) == stage.sha256


def current_user() -> str:
    """Return the name of the user of this computer."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"
