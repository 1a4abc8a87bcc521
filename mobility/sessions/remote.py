"""The sessions of a store behind a URL, and the working copy in which this process uses them.

Below ``<url>/<session id>/`` are ``objects/<sha256><ending>``, each written once, and
``files.json``, which says of which objects the session is made, and holds its JSON documents
itself. A session is changed by writing the new objects first and ``files.json`` last, under the
condition that it is still the one that was read: it is as before, or as after, whatever is killed
in between.

Programs that decode videos and read NetCDF need files. So what is used of a session is fetched,
when it is used, into a folder of this process, is checked against its SHA-256, and is gone with the
process.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from mobility.errors import BadInputError, ConflictError, NotFoundError, StorageError
from mobility.options import validate
from mobility.parsing import parse_json
from mobility.provenance import sha256
from mobility.sessions.files import writing
from mobility.sessions.leases import Lease, is_held
from mobility.sessions.objects import Objects
from mobility.sessions.record import Document, Sha256
from mobility.sessions.scratch import scratch_folder

log = logging.getLogger(__name__)

FILES = "files.json"
PARTS = ("session", "edits", "threads")
"""What of a session has a lock of its own."""


LOCKS = ".locks"
_CREATING, _DELETING = ".creating", ".deleting"
_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]*(/[A-Za-z0-9][A-Za-z0-9_.-]*)*$"


def local_path(url: str) -> Path | None:
    """Path of a ``file://`` URL; None for another one."""
    scheme, _, path = url.partition("://")
    return Path(path) if scheme in ("file", "local") and path else None


class StoredFile(Document):
    """A file of a session: an object of its own or, of a JSON document, its text."""

    sha256: Sha256
    size: Annotated[int, Field(ge=0, description="bytes")]
    text: str | None = None


class SessionFiles(Document):
    """``files.json``: of what a session is made."""

    schema_version: Literal["1"] = "1"
    published: Annotated[str, Field(description="tells one writing from all others")]
    files: dict[Annotated[str, StringConstraints(pattern=_NAME)], StoredFile]


class Remote:
    """Sessions behind a URL, with a working copy that lasts until ``close()`` or the end."""

    def __init__(self, url: str) -> None:
        self.objects = Objects(url)
        self.folder, self.close = scratch_folder("store")
        self._guard = threading.RLock()
        self._base: dict[str, dict[str, StoredFile]] = {}
        """Files of each session as they were last read or published."""
        self._held: dict[str, dict[str, Lease]] = {}
        self._here: dict[str, set[str]] = {}
        """Files of each session that are or were in the working copy."""
        self._damaged: set[str] = set()
        self._hashes: dict[Path, tuple[tuple[int, int, int], str]] = {}

    @contextmanager
    def locked(self, key: str, *, wait_s: float = 0.0) -> Iterator[Lease | None]:
        """Hold the lock ``<key>.lock``, and give it; None if somebody else does."""
        lease = Lease(self.objects, f"{key}.lock")
        if not lease.acquire(wait_s):
            yield None
            return
        try:
            yield lease
        finally:
            lease.release()

    @contextmanager
    def session_locked(self, session_id: str, part: str, *, wait_s: float = 0.0) -> Iterator[bool]:
        """Hold a lock of a session, brought up to date before and published after.

        What fails inside is not published.
        """
        with self.locked(f"{LOCKS}/{session_id}.{part}", wait_s=wait_s) as lease:
            if lease is None:
                yield False
                return
            if part not in PARTS:
                yield True
                return
            was_known = session_id in self._base
            if not self.pull(session_id) and was_known:
                raise NotFoundError(f"session {session_id}: was deleted meanwhile")
            self._held.setdefault(session_id, {})[part] = lease
            try:
                yield True
                self.publish(session_id, part)
            finally:
                with self._guard:
                    del self._held[session_id][part]

    def is_in_work(self, session_id: str) -> bool:
        """Whether somebody holds the lock of a session, and lives."""
        return is_held(self.objects, f"{LOCKS}/{session_id}.session.lock")

    def ids(self) -> list[str]:
        """Ids of what may be sessions; one that is being made or deleted is among them."""
        names = self.objects.names("")
        return [name for name in names if not name.startswith(".") and name != "participants"]

    def possible(self) -> list[str]:
        """Ids of those of :meth:`ids` below which there is what a session has."""
        ids = self.ids()
        listed = self.objects.get_many(f"{each}/{FILES}" for each in ids)
        return [e for e in ids if f"{e}/{FILES}" in listed or self.objects.names(f"{e}/objects")]

    def holds(self, session_id: str) -> bool:
        """Whether a session is there, be it damaged."""
        return self.objects.get(f"{session_id}/{FILES}") is not None or bool(
            self.objects.names(f"{session_id}/objects")
        )

    def pull_all(self) -> list[str]:
        """Bring all sessions up to date; give the ids of those that are there."""
        ids = self.ids()
        found = self.objects.get_many(f"{each}/{FILES}" for each in ids)
        there = []
        for each in ids:
            try:
                if self._take(each, found.get(f"{each}/{FILES}")):
                    there.append(each)
            except StorageError as error:
                log.warning("left out: %s", error)
        return there

    def pull(self, session_id: str) -> bool:
        """Make the working copy what the store says; False if there is no such session.

        What this process is changing itself stays as it is.
        """
        found = self.objects.get(f"{session_id}/{FILES}")
        return self._take(session_id, None if found is None else found.data)

    def fetch(self, session_id: str, name: str) -> None:
        """Fetch a file of a session, if it is there and as it was written; else leave it absent."""
        target = self.folder / session_id / name
        for _ in range(2):
            entry = self._base.get(session_id, {}).get(name)
            if target.is_file() or entry is None:
                return
            key = _key(session_id, name, entry)
            with writing(target):
                target.parent.mkdir(parents=True, exist_ok=True)
            hidden = target.with_name(f".{target.stem}.{token_hex(6)}.tmp{target.suffix}")
            try:
                got = self.objects.get_file(key, hidden)
                whole = got and sha256(hidden) == entry.sha256
                if whole:
                    with writing(target):
                        hidden.replace(target)
                    with self._guard:
                        self._here.setdefault(session_id, set()).add(name)
                    return
            finally:
                with suppress(OSError):
                    hidden.unlink()
            if got:
                log.warning("%s: is not what was written there", self.objects.address(key))
            # Or somebody has put another in its place meanwhile.
            self.pull(session_id)
            if self._base.get(session_id, {}).get(name) == entry:
                self._damaged.add(key)
                return

    def fetch_below(self, session_id: str, folder: str) -> None:
        """Fetch all files of a session in one of its folders; all that it has with ``""``."""
        for name in list(self._base.get(session_id, {})):
            if not folder or name.startswith(f"{folder}/"):
                self.fetch(session_id, name)

    def fetch_document(self, key: str) -> None:
        """Bring a document of the store itself into the working copy; remove it if it is gone."""
        found = self.objects.get(key)
        target = self.folder / key
        with writing(target):
            if found is None:
                target.unlink(missing_ok=True)
            else:
                self._write(target, found.data)

    def discard(self, session_id: str, name: str) -> None:
        """Let the next publishing leave out a file, also one that was never fetched."""
        with self._guard:
            self._here.setdefault(session_id, set()).add(name)

    def publish(self, session_id: str, part: str = "session") -> None:
        """Make what was changed in a part of a session visible to all, at once."""
        with self._guard:
            base = self._base.get(session_id)
            folder = self.folder / session_id
            if not folder.is_dir():
                return
            now = {
                name: entry
                for name, entry in self._files_in(folder).items()
                if _part_of(name) == part
            }
            here = self._here.setdefault(session_id, set())
            gone = {n for n in base or {} if _part_of(n) == part and n in here and n not in now}
            changed = {
                name: entry
                for name, entry in now.items()
                if (base or {}).get(name) != entry or _key(session_id, name, entry) in self._damaged
            }
            if not changed and not gone:
                return
            if base is None:
                self.objects.put(f"{_CREATING}/{session_id}", b"")
            for name, entry in changed.items():
                if entry.text is None:
                    key = _key(session_id, name, entry)
                    self.objects.put_file(key, folder / name)
                    self._damaged.discard(key)
            before, after = self._swap(session_id, part, changed, gone, is_new=base is None)
            self._base[session_id] = after
            here |= set(now)
            if base is None:
                self.objects.delete([f"{_CREATING}/{session_id}"])
            kept = {_key(session_id, name, entry) for name, entry in after.items()}
            old = {_key(session_id, n, entry) for n, entry in before.items() if entry.text is None}
            self.objects.delete(sorted(old - kept))

    def delete(self, session_id: str, lease: Lease) -> None:
        """Delete a session, whose lock is held, for good, be it damaged."""
        with self._guard:
            lease.check()
            self.objects.put(f"{_DELETING}/{session_id}", b"")
            self.objects.delete([f"{session_id}/{FILES}"])
            self._remove_objects(session_id)
            self.objects.delete([f"{_DELETING}/{session_id}"])
            self._forget(session_id)

    def unfinished(self) -> list[str]:
        """Ids of sessions that are half made or half deleted, be it by a living process."""
        return sorted({*self.objects.names(_CREATING), *self.objects.names(_DELETING)})

    def sweep(self) -> Iterator[tuple[str, bool]]:
        """Remove what dead creations and deletions left.

        Told is of each session whether something was removed; not where a deletion lives.
        """
        for mark in (_CREATING, _DELETING):
            for session_id in self.objects.names(mark):
                with self.locked(f"{LOCKS}/{session_id}.session") as lease:
                    if lease is None:
                        if mark == _DELETING:
                            yield session_id, False
                        continue
                    if self.objects.get(f"{session_id}/{FILES}") is None:
                        lease.check()
                        self._remove_objects(session_id)
                        log.info("removed session %s, left by an interrupted run", session_id)
                        yield session_id, True
                    self.objects.delete([f"{mark}/{session_id}"])

    def sweep_session(self, session_id: str) -> None:
        """Remove objects of a session, whose lock is held, that a dead process left unused."""
        used = {_key(session_id, n, e) for n, e in self._base.get(session_id, {}).items()}
        there = {
            f"{session_id}/objects/{name}" for name in self.objects.names(f"{session_id}/objects")
        }
        if left := sorted(there - used):
            self._held[session_id]["session"].check()
            self.objects.delete(left)
            log.info("session %s: removed %d objects of an interrupted run", session_id, len(left))

    def document(self, key: str) -> Any:
        """JSON document of the store itself."""
        found = self.objects.get(key)
        if found is None:
            raise NotFoundError(f"{self.objects.address(key)}: no such object")
        try:
            return parse_json(found.data)
        except ValueError as error:
            raise BadInputError(
                f"{self.objects.address(key)}: is not a JSON document ({error})"
            ) from None

    def write_document(self, key: str, document: Any) -> None:
        """Write a JSON document of the store itself."""
        text = json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False) + "\n"
        self.objects.put(key, text.encode())

    def size(self, session_id: str) -> int:
        """Bytes of a session."""
        return sum(entry.size for entry in self._base.get(session_id, {}).values())

    def address(self, session_id: str, name: str) -> str:
        """URL of a file of a session that is no JSON document."""
        entry = self._base.get(session_id, {}).get(name)
        if entry is None:
            return self.objects.address(f"{session_id}/{name}")
        return self.objects.address(_key(session_id, name, entry))

    def _take(self, session_id: str, data: bytes | None) -> bool:
        """Make the working copy what `data` of ``files.json`` says."""
        with self._guard:
            held = set(self._held.get(session_id, {}))
            if data is None:
                if not held:
                    self._forget(session_id)
                return False
            files = self._parsed(session_id, data).files
            folder = self.folder / session_id
            base = self._base.get(session_id, {})
            after = {name: e for name, e in base.items() if _part_of(name) in held}
            after |= {name: e for name, e in files.items() if _part_of(name) not in held}
            with writing(folder):
                folder.mkdir(exist_ok=True)
                for file in list(_visible_files(folder)):
                    name = file.relative_to(folder).as_posix()
                    if _part_of(name) in held:
                        continue
                    entry = after.get(name)
                    if entry is None or (entry.text is None and self._hash(file) != entry.sha256):
                        file.unlink()
                for name, entry in after.items():
                    if entry.text is not None and _part_of(name) not in held:
                        self._write(folder / name, entry.text.encode())
            self._base[session_id] = after
            here = {file.relative_to(folder).as_posix() for file in _visible_files(folder)}
            kept = {n for n in self._here.get(session_id, ()) if _part_of(n) in held}
            self._here[session_id] = here | kept
            return True

    def _swap(
        self,
        session_id: str,
        part: str,
        changed: dict[str, StoredFile],
        gone: set[str],
        *,
        is_new: bool,
    ) -> tuple[dict[str, StoredFile], dict[str, StoredFile]]:
        """Put the changes into ``files.json``; files before and after."""
        key = f"{session_id}/{FILES}"
        published = token_hex(12)
        before: dict[str, StoredFile] = {}
        while True:
            found = self.objects.get(key)
            if found is None and not is_new:
                raise NotFoundError(f"session {session_id}: was deleted meanwhile")
            if found is not None:
                known = self._parsed(session_id, found.data)
                if known.published == published:  # by the writing of which the answer was lost
                    return before, known.files
                if is_new:
                    raise ConflictError(f"session {session_id}: exists already; choose another id")
                before = known.files
            after = {name: e for name, e in before.items() if name not in gone} | changed
            if (lease := self._held.get(session_id, {}).get(part)) is not None:
                lease.check()
            document = SessionFiles(published=published, files=after).model_dump(
                mode="json", exclude_none=True
            )
            data = json.dumps(document, ensure_ascii=False, indent=1).encode()
            if self.objects.put_if(key, data, None if found is None else found.token) is not None:
                return before, after

    def _parsed(self, session_id: str, data: bytes) -> SessionFiles:
        where = self.objects.address(f"{session_id}/{FILES}")
        try:
            known = validate(SessionFiles, parse_json(data), what=where)
        except ValueError as error:
            raise StorageError(
                f"session {session_id}: is damaged ({error}); restore {where}"
            ) from None
        for name, entry in known.files.items():
            if entry.text is not None and _digest(entry.text.encode()) != entry.sha256:
                raise StorageError(f"session {session_id}: {name} is damaged; restore {where}")
        return known

    def _files_in(self, folder: Path) -> dict[str, StoredFile]:
        found = {}
        for file in _visible_files(folder):
            with writing(file):
                size = file.stat().st_size
                text = file.read_bytes().decode() if file.suffix == ".json" else None
                found[file.relative_to(folder).as_posix()] = StoredFile(
                    sha256=self._hash(file), size=size, text=text
                )
        return found

    def _hash(self, file: Path) -> str:
        """SHA-256 of a file, taken once as long as it is not written."""
        status = file.stat()
        now = (status.st_mtime_ns, status.st_size, status.st_ino)
        known = self._hashes.get(file)
        if known is None or known[0] != now:
            known = self._hashes[file] = (now, sha256(file))
        return known[1]

    def _write(self, target: Path, data: bytes) -> None:
        if target.is_file() and target.read_bytes() == data:
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        hidden = target.with_name(f".{target.stem}.{token_hex(6)}.tmp{target.suffix}")
        hidden.write_bytes(data)
        hidden.replace(target)

    def _remove_objects(self, session_id: str) -> None:
        folder = f"{session_id}/objects"
        self.objects.delete(f"{folder}/{name}" for name in self.objects.names(folder))

    def _forget(self, session_id: str) -> None:
        self._base.pop(session_id, None)
        self._here.pop(session_id, None)
        shutil.rmtree(self.folder / session_id, ignore_errors=True)


def _visible_files(folder: Path) -> Iterator[Path]:
    """Files below a folder; what is hidden is being written."""
    for base, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in sorted(files):
            if re.match(r"[^.]", name):
                yield Path(base) / name


def _part_of(name: str) -> str:
    """Part of a session by whose lock a file is guarded."""
    if name in ("edits.json", "config.json"):
        return "edits"
    return "threads" if name.startswith("threads/") else "session"


def _key(session_id: str, name: str, entry: StoredFile) -> str:
    return f"{session_id}/objects/{entry.sha256}{Path(name).suffix}"


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
