"""The folder of a store: its sessions, documents and locks.

`store` is that folder. A key is the path of a document in it. Locks are operating-system locks.
"""

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
"""Names of videos and results: a folder without a record counts as a session only if it has
one of these files."""

_OTHER_NAMES = re.compile(
    r"session\.json|edits\.json|config\.json|capture_quality\.json|metrics\.parquet|threads"
    r"|validation|keypoints(-2)?\.nc|calibration\.[a-z0-9]{1,7}|\..*\.tmp(\..*)?|\.ipynb_checkpoints"
    r"|\.still-[0-9a-f]{16}\.jpg|[a-z][a-z0-9_]*\.nc"
)
"""Names in the folder of a session, besides videos and results; extensions add results (.nc)."""


def session_ids(store: Path) -> list[str]:
    """Return the IDs of all sessions, in order, including damaged ones."""
    return [entry.name for entry in _visible(store) if (entry / "session.json").is_file()]


def possible_ids(store: Path) -> list[str]:
    """Return the IDs of all sessions, and of folders with session files but no record."""
    return [entry.name for entry in _visible(store) if _may_be_session(entry)]


def holds(store: Path, session_id: str) -> bool:
    """Whether there is such a session, even if it is damaged."""
    return not is_reserved(session_id) and _may_be_session(store / session_id)


def unfinished_ids(store: Path) -> list[str]:
    """Return the IDs of sessions whose creation or deletion is unfinished or still running."""
    return sorted({session_id for session_id, _ in _leftovers(store)})


def delete_session(store: Path, session_id: str, remove_reports: Callable[[str], object]) -> None:
    """Delete a session and its reports permanently, unless the session is in use."""
    folder = store / session_id
    refuse_link(folder)
    with session_locked(store, session_id, wait_s=2) as free:
        if not free:
            raise in_use(f"session {session_id}")
        hidden = store / f"{DELETING}{session_id}"
        try:
            folder.rename(hidden)
        except FileNotFoundError:
            raise NotFoundError(f"session {session_id}: was deleted in the meantime") from None
        except OSError as error:
            raise storage_fault(error, folder) from error
        try:
            remove_reports(session_id)
        except Exception:
            hidden.rename(folder)
            raise
        forget_locks(store, session_id)
        # Removed last: it marks an unfinished deletion.
        remove(hidden)


def sweep_sessions(
    store: Path, remove_reports: Callable[[str], object]
) -> dict[str, StorageError | None]:
    """Finish interrupted deletions, and remove the leftovers of interrupted creations.

    The result maps the ID of each session with leftovers to the error that prevented their removal,
    or None.
    """
    swept: dict[str, StorageError | None] = {}
    for session_id, hidden in _leftovers(store):
        with session_locked(store, session_id) as free:
            if free:
                swept[session_id] = _finish(store, session_id, hidden, remove_reports)
            elif hidden.name.startswith(DELETING):
                swept[session_id] = in_use(f"session {session_id}")
    return swept


def _finish(
    store: Path, session_id: str, hidden: Path, remove_reports: Callable[[str], object]
) -> StorageError | None:
    """Delete the leftovers of a session, whose lock is held; return the error if that fails."""
    # A living creation may end between the listing and the lock.
    exists = (store / session_id).exists()
    fault = None if exists else fault_of(remove_reports, session_id)
    if fault is None:
        if not exists:
            forget_locks(store, session_id)
        fault = fault_of(remove, hidden)
    if fault is None:
        log.info("removed %s, left by an interrupted run", hidden)
    else:
        log.warning("session %s: leftovers of an interrupted run remain: %s", session_id, fault)
    return fault


def read_document(store: Path, key: str) -> bytes | None:
    """Return the content of a document; None if there is none."""
    file = store / key
    try:
        return read_file(file)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BadInputError(f"{file}: cannot be read ({error.strerror})") from None


def write_document(store: Path, key: str, content: bytes) -> None:
    """Write a document atomically; the caller holds its lock."""
    file = store / key
    _refuse_link_out(store, file.parent)
    with writing(file.parent):
        make_folder(file.parent)
    sweep(file.parent, file.name)
    with atomic(file) as hidden:
        hidden.write_bytes(content)


def delete_document(store: Path, key: str) -> bool:
    """Delete a document and its leftovers; return False if there is no document."""
    file = store / key
    _refuse_link_out(store, file.parent)
    existed = file.is_file()
    sweep(file.parent, file.name)
    with writing(file):
        remove_checkpoints(file.parent, file.name)
        file.unlink(missing_ok=True)
    return existed


def session_locked(
    store: Path, session_id: str, part: str = "session", *, wait_s: float = 0.0
) -> AbstractContextManager[bool]:
    """Hold a lock on a session, and yield whether it is held."""
    return lock_if_free(store / LOCKS / f"{session_id}.{part}.lock", wait_s=wait_s)


def forget_locks(store: Path, session_id: str) -> None:
    """Remove the leftover locks of a session that was deleted."""
    for part in (*PARTS, "work"):
        with suppress(OSError):
            (store / LOCKS / f"{session_id}.{part}.lock").unlink()


def _refuse_link_out(store: Path, folder: Path) -> None:
    """Refuse to write or delete in a folder that a link puts outside the store."""
    try:
        is_inside = folder.resolve().is_relative_to(store.resolve())
    except (OSError, RuntimeError):  # a link to itself
        is_inside = False
    if not is_inside:
        raise StorageError(
            f"{folder}: is a link out of the store, so nothing was changed; replace it by the "
            f"folder itself ({os.path.realpath(folder)})"
        )


def _visible(store: Path) -> list[Path]:
    """Return entries whose names can be IDs of sessions, in order."""
    entries = entries_with_prefix(store, "")
    return [e for e in entries if not e.name.startswith(".") and not is_reserved(e.name)]


def _leftovers(store: Path) -> Iterator[tuple[str, Path]]:
    """Return folders of sessions that are being created or deleted, with their IDs."""
    for prefix in (CREATING, DELETING):
        for hidden in entries_with_prefix(store, prefix):
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
