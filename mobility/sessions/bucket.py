"""The sessions of a store behind a URL, and the working copy in which this process uses them.

Below ``<url>/<session id>/`` are ``objects/<sha256><ending>``, each written once, and
``files.json``, which lists the objects of the session, and holds its JSON documents itself. A
change writes the new objects first and ``files.json`` last, under the condition that it is still
the one that was read: whatever is killed in between, the session is as before or as after.

Programs that decode videos and read NetCDF need files. So each file is fetched on first use into a
folder of this process, checked against its SHA-256, and removed with the process.
"""

# ruff: noqa: D102 - `Backend` says what the methods do
from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from mobility.base.options import validate
from mobility.base.parsing import parse_json
from mobility.base.provenance import sha256
from mobility.errors import ConflictError, NotFoundError, StorageError
from mobility.sessions.files import LOCKS, PARTS, fault_of, in_use, is_id, is_reserved, writing
from mobility.sessions.leases import Lease, is_held
from mobility.sessions.objects import Objects
from mobility.sessions.record import Document, Sha256
from mobility.sessions.scratch import scratch_folder

log = logging.getLogger(__name__)

FILES = "files.json"
_CREATING, _DELETING = ".creating", ".deleting"
_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]*(/[A-Za-z0-9][A-Za-z0-9_.-]*)*$"


class StoredFile(Document):
    """A file of a session: an object or, for a JSON document, its text."""

    sha256: Sha256
    size: Annotated[int, Field(ge=0, description="bytes")]
    text: str | None = None


class SessionFiles(Document):
    """``files.json``: the files of a session."""

    schema_version: Literal["1"] = "1"
    published: Annotated[str, Field(description="tells one writing from all others")]
    files: dict[Annotated[str, StringConstraints(pattern=_NAME)], StoredFile]


class Bucket:
    """Sessions behind a URL, with a working copy that lasts until ``close()`` or the end.

    See :class:`mobility.sessions.backend.Backend`.
    """

    local_path: Path | None = None

    def __init__(self, url: str) -> None:
        self.objects = Objects(url)
        self.is_shared = self.objects.is_shared
        self.require_writable = self.objects.require_writable
        self.folder, self.close = scratch_folder("store")
        self._guard = threading.RLock()
        self._base: dict[str, dict[str, StoredFile]] = {}
        """Files of each session as they were last read or published."""
        self._held: dict[str, dict[str, Lease]] = {}
        self._local: dict[str, set[str]] = {}
        """Names of the files of each session that are or were in the working copy."""
        self._damaged: set[str] = set()
        self._hashes: dict[Path, tuple[tuple[int, int, int], str]] = {}

    @contextmanager
    def locked(self, key: str, *, wait_s: float = 0.0) -> Iterator[Lease | None]:
        """Hold the lock ``<key>.lock`` and give its lease; None if somebody else holds it."""
        self.require_writable()
        lease = Lease(self.objects, f"{key}.lock")
        if not lease.acquire(wait_s):
            yield None
            return
        try:
            yield lease
        finally:
            lease.release()

    @contextmanager
    def session_locked(
        self, session_id: str, part: str = "session", *, wait_s: float = 0.0
    ) -> Iterator[bool]:
        with self.locked(f"{LOCKS}/{session_id}.{part}", wait_s=wait_s) as lease:
            if lease is None:
                yield False
                return
            if part not in PARTS:
                yield True
                return
            was_read = session_id in self._base
            if not self.pull(session_id) and was_read:
                raise NotFoundError(f"session {session_id}: was deleted meanwhile")
            self._held.setdefault(session_id, {})[part] = lease
            try:
                yield True
                self.publish(session_id, part)
            finally:
                with self._guard:
                    del self._held[session_id][part]

    def is_in_work(self, session_id: str) -> bool:
        return is_held(self.objects, f"{LOCKS}/{session_id}.session.lock")

    def forget_locks(self, session_id: str) -> None:
        """Do nothing: a release deletes the lock."""

    def location_of(self, path: Path) -> str:
        if not path.is_relative_to(self.folder):
            return os.fspath(path)
        key = path.relative_to(self.folder).as_posix()
        return self.objects.url if key == "." else self.objects.address(key)

    def path_from(self, folder: Path) -> str:
        return self.objects.url

    def ids(self) -> list[str]:
        """Ids of what may be sessions, those being created or deleted included."""
        names = self.objects.names("")
        return [name for name in names if not name.startswith(".") and not is_reserved(name)]

    def possible(self) -> list[str]:
        ids = sorted({*self.ids()} - {*self.unfinished()})
        listed = self.objects.get_many(f"{each}/{FILES}" for each in ids)
        return [e for e in ids if f"{e}/{FILES}" in listed or self.objects.names(f"{e}/objects")]

    def holds(self, session_id: str) -> bool:
        return self.objects.get(f"{session_id}/{FILES}") is not None or bool(
            self.objects.names(f"{session_id}/objects")
        )

    def pull_all(self) -> list[str]:
        ids = self.ids()
        lists = self.objects.get_many(f"{each}/{FILES}" for each in ids)
        existing = []
        for each in ids:
            try:
                if self._update_copy(each, lists.get(f"{each}/{FILES}")):
                    existing.append(each)
            except StorageError as error:
                log.warning("left out: %s", error)
        return existing

    def pull(self, session_id: str) -> bool:
        """Bring the working copy of a session up to date; False if there is no such session.

        Parts whose lock this process holds stay as they are.
        """
        stored = self.objects.get(f"{session_id}/{FILES}")
        return self._update_copy(session_id, None if stored is None else stored.data)

    def fetch(self, session_id: str, name: str, *, required: bool = False) -> None:
        target = self.folder / session_id / name
        self._fetch(session_id, name, target)
        if required and not target.is_file():
            raise StorageError(
                f"session {session_id}: its file {self.uri_of(session_id, name)} is missing or "
                "damaged; put it back, or delete the session"
            )

    def _fetch(self, session_id: str, name: str, target: Path) -> None:
        for _ in range(2):
            entry = self._base.get(session_id, {}).get(name)
            if target.is_file() or entry is None:
                return
            key = _key(session_id, name, entry)
            with writing(target):
                target.parent.mkdir(parents=True, exist_ok=True)
            hidden = target.with_name(f".{target.stem}.{token_hex(6)}.tmp{target.suffix}")
            try:
                exists = self.objects.get_file(key, hidden)
                if exists and sha256(hidden) == entry.sha256:
                    with writing(target):
                        hidden.replace(target)
                    with self._guard:
                        self._local.setdefault(session_id, set()).add(name)
                    return
            finally:
                with suppress(OSError):
                    hidden.unlink()
            if exists:
                log.warning("%s: is not what was written there", self.objects.address(key))
            # Or somebody replaced it meanwhile.
            self.pull(session_id)
            if self._base.get(session_id, {}).get(name) == entry:
                self._damaged.add(key)
                return

    def fetch_below(self, session_id: str, folder: str) -> None:
        for name in list(self._base.get(session_id, {})):
            if not folder or name.startswith(f"{folder}/"):
                self.fetch(session_id, name)

    def fetch_document(self, key: str) -> None:
        stored = self.objects.get(key)
        target = self.folder / key
        with writing(target):
            if stored is None:
                target.unlink(missing_ok=True)
            else:
                self._write(target, stored.data)

    def discard(self, session_id: str, name: str) -> None:
        with self._guard:
            self._local.setdefault(session_id, set()).add(name)

    def publish(self, session_id: str, part: str = "session") -> None:
        """Make the changes to a part of a session visible to all, in one step."""
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
            local = self._local.setdefault(session_id, set())
            removed = {n for n in base or {} if _part_of(n) == part and n in local and n not in now}
            changed = {
                name: entry
                for name, entry in now.items()
                if (base or {}).get(name) != entry or _key(session_id, name, entry) in self._damaged
            }
            if not changed and not removed:
                return
            if base is None:
                self.objects.put(f"{_CREATING}/{session_id}", b"")
            for name, entry in changed.items():
                if entry.text is None:
                    key = _key(session_id, name, entry)
                    self.objects.put_file(key, folder / name)
                    self._damaged.discard(key)
            before, after = self._swap(session_id, part, changed, removed, is_new=base is None)
            self._base[session_id] = after
            local |= set(now)
            if base is None:
                self.objects.delete([f"{_CREATING}/{session_id}"])
            kept = {_key(session_id, name, entry) for name, entry in after.items()}
            old = {_key(session_id, n, entry) for n, entry in before.items() if entry.text is None}
            self.objects.delete(sorted(old - kept))

    def delete(self, session_id: str, remove_reports: Callable[[str], object]) -> None:
        # Not by `session_locked`, which reads the list of its files: that may be damaged.
        with self.locked(f"{LOCKS}/{session_id}.session", wait_s=2) as lease, self._guard:
            if lease is None:
                raise in_use(f"session {session_id}")
            if not self.holds(session_id):
                raise NotFoundError(f"session {session_id}: was deleted meanwhile")
            remove_reports(session_id)
            lease.check()
            self.objects.put(f"{_DELETING}/{session_id}", b"")
            self.objects.delete([f"{session_id}/{FILES}"])
            self._remove_objects(session_id)
            self.objects.delete([f"{_DELETING}/{session_id}"])
            self._forget(session_id)

    def unfinished(self) -> list[str]:
        return sorted({*self.objects.names(_CREATING), *self.objects.names(_DELETING)})

    def sweep(self, remove_reports: Callable[[str], object]) -> dict[str, StorageError | None]:
        swept: dict[str, StorageError | None] = {}
        for mark in (_CREATING, _DELETING):
            for session_id in filter(is_id, self.objects.names(mark)):
                with self.locked(f"{LOCKS}/{session_id}.session") as lease:
                    if lease is None:
                        if mark == _DELETING:
                            swept[session_id] = in_use(f"session {session_id}")
                        continue
                    if self.objects.get(f"{session_id}/{FILES}") is None:
                        lease.check()
                        self._remove_objects(session_id)
                        swept[session_id] = fault_of(remove_reports, session_id)
                        if swept[session_id] is not None:  # its mark stays, for the next sweep
                            continue
                        log.info("removed session %s, left by an interrupted run", session_id)
                    self.objects.delete([f"{mark}/{session_id}"])
        return swept

    def sweep_session(self, session_id: str) -> None:
        used = {_key(session_id, n, e) for n, e in self._base.get(session_id, {}).items()}
        stored = {
            f"{session_id}/objects/{name}" for name in self.objects.names(f"{session_id}/objects")
        }
        if unused := sorted(stored - used):
            self._held[session_id]["session"].check()
            self.objects.delete(unused)
            log.info(
                "session %s: removed %d objects of an interrupted run", session_id, len(unused)
            )

    def read(self, key: str) -> bytes | None:
        stored = self.objects.get(key)
        return None if stored is None else stored.data

    def write(self, key: str, content: bytes) -> None:
        self.objects.put(key, content)

    def delete_document(self, key: str) -> bool:
        existed = self.objects.get(key) is not None
        self.objects.delete([key])
        (self.folder / key).unlink(missing_ok=True)
        return existed

    def names(self, folder: str) -> list[str]:
        return self.objects.names(folder)

    def size(self, session_id: str) -> int:
        return sum(entry.size for entry in self._base.get(session_id, {}).values())

    def uri_of(self, session_id: str, name: str) -> str:
        entry = self._base.get(session_id, {}).get(name)
        if entry is None:
            return self.objects.address(f"{session_id}/{name}")
        return self.objects.address(_key(session_id, name, entry))

    def _update_copy(self, session_id: str, data: bytes | None) -> bool:
        """Make the working copy match the content of ``files.json``; False if that is absent."""
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
            local = {file.relative_to(folder).as_posix() for file in _visible_files(folder)}
            kept = {n for n in self._local.get(session_id, ()) if _part_of(n) in held}
            self._local[session_id] = local | kept
            return True

    def _swap(
        self,
        session_id: str,
        part: str,
        changed: dict[str, StoredFile],
        removed: set[str],
        *,
        is_new: bool,
    ) -> tuple[dict[str, StoredFile], dict[str, StoredFile]]:
        """Put the changes into ``files.json``; return the files before and after."""
        key = f"{session_id}/{FILES}"
        published = token_hex(12)
        before: dict[str, StoredFile] = {}
        while True:
            stored = self.objects.get(key)
            if stored is None and not is_new:
                raise NotFoundError(f"session {session_id}: was deleted meanwhile")
            if stored is not None:
                current = self._parsed(session_id, stored.data)
                if current.published == published:  # our write succeeded, its answer was lost
                    return before, current.files
                if is_new:
                    raise ConflictError(f"session {session_id}: exists already; choose another id")
                before = current.files
            after = {name: e for name, e in before.items() if name not in removed} | changed
            if (lease := self._held.get(session_id, {}).get(part)) is not None:
                lease.check()
            document = SessionFiles(published=published, files=after).model_dump(
                mode="json", exclude_none=True
            )
            data = json.dumps(document, ensure_ascii=False, indent=1).encode()
            if self.objects.put_if(key, data, None if stored is None else stored.token) is not None:
                return before, after

    def _parsed(self, session_id: str, data: bytes) -> SessionFiles:
        where = self.objects.address(f"{session_id}/{FILES}")
        try:
            listed = validate(SessionFiles, parse_json(data), what=where)
        except ValueError as error:
            raise StorageError(
                f"session {session_id}: is damaged ({error}); restore {where}"
            ) from None
        for name, entry in listed.files.items():
            if entry.text is not None and _sha256_of(entry.text.encode()) != entry.sha256:
                raise StorageError(f"session {session_id}: {name} is damaged; restore {where}")
        return listed

    def _files_in(self, folder: Path) -> dict[str, StoredFile]:
        files = {}
        for file in _visible_files(folder):
            with writing(file):
                size = file.stat().st_size
                text = file.read_bytes().decode() if file.suffix == ".json" else None
                files[file.relative_to(folder).as_posix()] = StoredFile(
                    sha256=self._hash(file), size=size, text=text
                )
        return files

    def _hash(self, file: Path) -> str:
        """SHA-256 of a file, computed again only after the file was written."""
        status = file.stat()
        state = (status.st_mtime_ns, status.st_size, status.st_ino)
        cached = self._hashes.get(file)
        if cached is None or cached[0] != state:
            cached = self._hashes[file] = (state, sha256(file))
        return cached[1]

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
        self._local.pop(session_id, None)
        shutil.rmtree(self.folder / session_id, ignore_errors=True)


def _visible_files(folder: Path) -> Iterator[Path]:
    """Files below a folder without hidden ones, which are being written."""
    for base, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in sorted(files):
            if re.match(r"[^.]", name):
                yield Path(base) / name


def _part_of(name: str) -> str:
    """Part of a session whose lock guards a file."""
    if name in ("edits.json", "config.json"):
        return "edits"
    return "threads" if name.startswith("threads/") else "session"


def _key(session_id: str, name: str, entry: StoredFile) -> str:
    return f"{session_id}/objects/{entry.sha256}{Path(name).suffix}"


def _sha256_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
