"""Where the sessions and documents of a store lie: in a folder, or in a bucket behind a URL.

:func:`open_backend` decides it once. All others use a :class:`Backend` and never ask which it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from mobility.errors import StorageError
from mobility.sessions.folder import Folder


class Backend(Protocol):
    """What a store needs of the place where it lies.

    Files are used in :attr:`folder`: the store itself, or the working copy of a bucket. A key is
    the path of a document in the store.
    """

    folder: Path

    @property
    def local_path(self) -> Path | None:
        """Folder of the store; None if it is not on this machine and answers over a network."""

    @property
    def is_shared(self) -> bool:
        """Whether other processes see the store."""

    def close(self) -> object:
        """Remove a working copy now, not when the process ends."""

    def require_writable(self) -> None:
        """Refuse a place to which nothing can be written safely."""

    def location_of(self, path: Path) -> str:
        """Path of a file of the store as a user finds it; its URL behind a URL."""

    def path_from(self, folder: Path) -> str:
        """Path or URL by which a process whose working folder is `folder` opens the store."""

    def uri_of(self, session_id: str, name: str) -> str:
        """Address of a file of a session that is no JSON document."""

    def size(self, session_id: str) -> int:
        """Bytes of a session."""

    def ids(self) -> list[str]:
        """Ids of all sessions, in order; damaged ones too."""

    def pull_all(self) -> list[str]:
        """Bring the files of all sessions up to date; gives the ids of those that exist."""

    def possible(self) -> list[str]:
        """Ids of all sessions, and of places without a record that hold only what a session has."""

    def holds(self, session_id: str) -> bool:
        """Whether there is such a session, even if damaged."""

    def unfinished(self) -> list[str]:
        """Ids of sessions whose creation or deletion is unfinished or still running."""

    def pull(self, session_id: str) -> object:
        """Bring the files of a session up to date, but for videos and results."""

    def fetch(self, session_id: str, name: str, *, required: bool = False) -> None:
        """Bring a video or result up to date; one that is damaged in a bucket is not there.

        With `required`, that raises.
        """

    def fetch_below(self, session_id: str, folder: str) -> None:
        """Bring the files in a folder of a session up to date; with ``""`` all its files."""

    def publish(self, session_id: str) -> None:
        """Let all see the changes to a session now, not when its lock is released."""

    def discard(self, session_id: str, name: str) -> None:
        """Let the next publishing remove a file, even if it was never fetched."""

    def sweep_session(self, session_id: str) -> None:
        """Remove what a dead process left of a session; its lock is held."""

    def delete(self, session_id: str, remove_reports: Callable[[str], object]) -> None:
        """Delete a session and its reports for good, unless it is in use."""

    def sweep(self, remove_reports: Callable[[str], object]) -> dict[str, StorageError | None]:
        """Finish deletions that were interrupted, and remove what dead creations left.

        Maps the id of each session that left something to the error that kept it, or None.
        """

    def read(self, key: str) -> bytes | None:
        """Content of a document; None if there is none."""

    def write(self, key: str, content: bytes) -> None:
        """Write a document whole; its lock is held."""

    def delete_document(self, key: str) -> bool:
        """Delete a document and leftovers of it; False if there is none."""

    def fetch_document(self, key: str) -> None:
        """Bring the file of a document up to date; it is gone where the document is."""

    def names(self, folder: str) -> Iterable[str]:
        """Names of the entries of a folder of the store."""

    def locked(self, key: str, *, wait_s: float = 0.0) -> AbstractContextManager[object]:
        """Hold the lock ``<key>.lock``; gives something false where somebody else holds it."""

    def session_locked(
        self, session_id: str, part: str = "session", *, wait_s: float = 0.0
    ) -> AbstractContextManager[bool]:
        """Hold a lock of a session, and give whether it is held.

        The session is brought up to date first, and published after unless the block raises.
        """

    def is_in_work(self, session_id: str) -> bool:
        """Whether any process works on a session now."""

    def forget_locks(self, session_id: str) -> None:
        """Remove what is left of the locks of a session that is gone."""


def open_backend(place: str) -> Backend:
    """Folder or bucket at a path or URL."""
    scheme, sign, path = place.partition("://")
    if not sign:
        return Folder(Path(place))
    if scheme in ("file", "local") and path:
        return Folder(Path(path))
    from mobility.sessions.bucket import Bucket

    return Bucket(place)
