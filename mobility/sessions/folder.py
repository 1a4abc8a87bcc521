"""A store in a folder: its files are used where they are, its locks are those of the system."""

# ruff: noqa: D102 - `Backend` says what the methods do
from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from mobility.errors import BadInputError, NotFoundError, StorageError
from mobility.sessions.files import (
    CREATING,
    DELETING,
    LOCKS,
    PARTS,
    atomic,
    entries_with_prefix,
    fault_of,
    in_use,
    is_id,
    is_reserved,
    lock_if_free,
    make_folder,
    read_file,
    refuse_link,
    remove,
    remove_checkpoints,
    storage_fault,
    sweep,
    writing,
)

log = logging.getLogger(__name__)

_RESULT_NAMES = re.compile(
    r"video(-2)?\.[a-z0-9]{1,7}|analyzed\.mp4"
    r"|(pose|pose-2|fitted|angles|repetitions|metrics)\.nc"
)
"""Names of videos and results: a folder without a record is a session's only if it has one."""

_OTHER_NAMES = re.compile(
    r"session\.json|edits\.json|config\.json|capture_quality\.json|metrics\.parquet|threads"
    r"|validation|keypoints(-2)?\.nc|calibration\.[a-z0-9]{1,7}|\..*\.tmp(\..*)?|\.ipynb_checkpoints"
    r"|\.still-[0-9a-f]{16}\.jpg"
)
"""Names in the folder of a session beside videos and results."""


class Folder:
    """Sessions and documents in a folder; see :class:`mobility.sessions.backend.Backend`."""

    is_shared = True

    def __init__(self, folder: Path) -> None:
        self.folder = self.local_path = folder

    def _do_nothing(self, *_: object, **__: object) -> None:
        """Do nothing: the files are here, and whoever opens the folder sees them."""

    close = require_writable = _do_nothing
    pull = fetch = fetch_below = fetch_document = publish = discard = sweep_session = _do_nothing

    def location_of(self, path: Path) -> str:
        return os.fspath(path)

    def path_from(self, folder: Path) -> str:
        place = self.folder.absolute()
        try:
            return Path(os.path.relpath(place, folder.absolute())).as_posix()
        except ValueError:  # on another drive
            return str(place)

    def uri_of(self, session_id: str, name: str) -> str:
        return (self.folder / session_id / name).resolve().as_uri()

    def size(self, session_id: str) -> int:
        files = (self.folder / session_id).rglob("*")
        return sum(file.stat().st_size for file in files if file.is_file())

    def ids(self) -> list[str]:
        return [each.name for each in self._visible() if (each / "session.json").is_file()]

    pull_all = ids

    def possible(self) -> list[str]:
        return [each.name for each in self._visible() if _may_be_session(each)]

    def holds(self, session_id: str) -> bool:
        return not is_reserved(session_id) and _may_be_session(self.folder / session_id)

    def unfinished(self) -> list[str]:
        return sorted({session_id for session_id, _ in self._leftovers()})

    def delete(self, session_id: str, remove_reports: Callable[[str], object]) -> None:
        folder = self.folder / session_id
        refuse_link(folder)
        with self.session_locked(session_id, wait_s=2) as free:
            if not free:
                raise in_use(f"session {session_id}")
            hidden = self.folder / f"{DELETING}{session_id}"
            try:
                folder.rename(hidden)
            except FileNotFoundError:
                raise NotFoundError(f"session {session_id}: was deleted meanwhile") from None
            except OSError as error:
                raise storage_fault(error, folder) from error
            try:
                remove_reports(session_id)
            except StorageError:
                hidden.rename(folder)
                raise
            self.forget_locks(session_id)
            # Removed last: it marks an unfinished deletion.
            remove(hidden)

    def sweep(self, remove_reports: Callable[[str], object]) -> dict[str, StorageError | None]:
        swept: dict[str, StorageError | None] = {}
        for session_id, hidden in self._leftovers():
            with self.session_locked(session_id) as free:
                if free:
                    swept[session_id] = self._finish(session_id, hidden, remove_reports)
                elif hidden.name.startswith(DELETING):
                    swept[session_id] = in_use(f"session {session_id}")
        return swept

    def _finish(
        self, session_id: str, hidden: Path, remove_reports: Callable[[str], object]
    ) -> StorageError | None:
        """Delete what is left of a session, whose lock is held; return the error if that fails."""
        # A living creation may end between the listing and the lock.
        exists = (self.folder / session_id).exists()
        fault = None if exists else fault_of(remove_reports, session_id)
        if fault is None:
            if not exists:
                self.forget_locks(session_id)
            fault = fault_of(remove, hidden)
        if fault is None:
            log.info("removed %s, left by an interrupted run", hidden)
        else:
            log.warning("session %s: what an interrupted run left is there: %s", session_id, fault)
        return fault

    def read(self, key: str) -> bytes | None:
        file = self.folder / key
        try:
            return read_file(file)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise BadInputError(f"{file}: cannot be read ({error.strerror})") from None

    def write(self, key: str, content: bytes) -> None:
        file = self.folder / key
        self._refuse_link_out(file.parent)
        with writing(file.parent):
            make_folder(file.parent)
        sweep(file.parent, file.name)
        with atomic(file) as hidden:
            hidden.write_bytes(content)

    def delete_document(self, key: str) -> bool:
        file = self.folder / key
        self._refuse_link_out(file.parent)
        existed = file.is_file()
        sweep(file.parent, file.name)
        with writing(file):
            remove_checkpoints(file.parent, file.name)
            file.unlink(missing_ok=True)
        return existed

    def _refuse_link_out(self, folder: Path) -> None:
        """Refuse to write or delete in a folder that a link puts outside the store."""
        try:
            is_inside = folder.resolve().is_relative_to(self.folder.resolve())
        except (OSError, RuntimeError):  # a link to itself
            is_inside = False
        if not is_inside:
            raise StorageError(
                f"{folder}: is a link out of the store, so that nothing was changed; put the "
                f"folder itself there ({os.path.realpath(folder)})"
            )

    def names(self, folder: str) -> list[str]:
        return [entry.name for entry in entries_with_prefix(self.folder / folder, "")]

    def locked(self, key: str, *, wait_s: float = 0.0) -> AbstractContextManager[bool]:
        return lock_if_free(self.folder / f"{key}.lock", wait_s=wait_s)

    def session_locked(
        self, session_id: str, part: str = "session", *, wait_s: float = 0.0
    ) -> AbstractContextManager[bool]:
        return self.locked(f"{LOCKS}/{session_id}.{part}", wait_s=wait_s)

    def is_in_work(self, session_id: str) -> bool:
        with self.session_locked(session_id) as free:
            return not free

    def forget_locks(self, session_id: str) -> None:
        for part in (*PARTS, "work"):
            with suppress(OSError):
                (self.folder / LOCKS / f"{session_id}.{part}.lock").unlink()

    def _visible(self) -> list[Path]:
        """Entries whose names can be ids of sessions, in order."""
        entries = entries_with_prefix(self.folder, "")
        return [e for e in entries if not e.name.startswith(".") and not is_reserved(e.name)]

    def _leftovers(self) -> Iterator[tuple[str, Path]]:
        """Folders of sessions that are being created or deleted, with their ids."""
        for prefix in (CREATING, DELETING):
            for hidden in entries_with_prefix(self.folder, prefix):
                if is_id(session_id := hidden.name.removeprefix(prefix)):
                    yield session_id, hidden


def _may_be_session(folder: Path) -> bool:
    """Whether a folder has a record, or lost it and holds only files of a session."""
    if (folder / "session.json").is_file():
        return True
    names: list[str] = []
    with suppress(OSError):  # not readable, or a link to itself
        names = [file.name for file in entries_with_prefix(folder, "")]
    results = [name for name in names if _RESULT_NAMES.fullmatch(name)]
    return bool(results) and all(name in results or _OTHER_NAMES.fullmatch(name) for name in names)
