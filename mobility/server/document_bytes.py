"""Documents of sessions as bytes, cached until their sources change."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import Any

from mobility.catalogue import registry
from mobility.errors import NotFoundError
from mobility.server.access import absent
from mobility.sessions.files import PARTICIPANTS, check_id
from mobility.sessions.record import SessionRecord
from mobility.store import Session, Store

_MOST_BYTES = 64 << 20
_VIEWS = ("left", "right", "front")

Mark = tuple[tuple[int, int, int], ...]
Made = Callable[[Session], Mapping[str, Any] | Sequence[Any]]


class Answers:
    """Reads the sessions of a store for the handlers; thread-safe."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._placeholder = f"mobility-media-{token_hex(16)}:"
        self._cache: OrderedDict[tuple[str, str], tuple[Mark, bytes]] = OrderedDict()
        self._size = 0
        self._records: OrderedDict[str, tuple[Mark, SessionRecord]] = OrderedDict()
        self._guard = threading.Lock()

    def session(self, session_id: str) -> Session:
        """Open a session."""
        check_id(session_id, what="session_id")
        with suppress(NotFoundError):  # deleted since
            if self.store.has(session_id):
                return self.store.session(session_id)
        raise absent(session_id)

    def demo(self, session_id: str) -> Session:
        """Open the demo session of this id, for its media."""
        for exercise in registry.names():
            with suppress(NotFoundError):  # one of another package may have none
                session = self.store.demo(exercise)
                if session.id == session_id:
                    return session
        raise NotFoundError(f"session {session_id}: is not a demo session")

    def record(self, session: Session) -> SessionRecord:
        """Record of a session, read again where its file has changed."""
        mark = _mark(session.folder / "session.json")
        name = str(session.folder)
        with self._guard:
            cached = self._records.get(name)
        if cached is not None and cached[0] == mark:
            return cached[1]
        record = session.record
        with self._guard:
            self._records[name] = (mark, record)
            while len(self._records) > 10_000:
                self._records.popitem(last=False)
        return record

    def document(self, session: Session, name: str, make: Made) -> bytes:
        """Document as JSON, with placeholders for the addresses of media; or a list as it is."""
        key = (str(session.folder), name)
        mark = self._mark_of(session)
        with self._guard:
            cached = self._cache.get(key)
            if cached is not None and cached[0] == mark:
                self._cache.move_to_end(key)
                return cached[1]
        document = make(session)
        if isinstance(document, Mapping):
            document = self._with_placeholders(dict(document), session)
        content = json.dumps(
            document, ensure_ascii=False, allow_nan=False, separators=(",", ":")
        ).encode()
        with self._guard:
            before = self._cache.pop(key, None)
            self._size += len(content) - (len(before[1]) if before else 0)
            self._cache[key] = (mark, content)
            while self._size > _MOST_BYTES:
                _, (_, dropped) = self._cache.popitem(last=False)
                self._size -= len(dropped)
        return content

    def with_addresses(self, content: bytes, address: Callable[[str], str]) -> bytes:
        """Replace the placeholders of :meth:`document` by addresses, given by names of media."""
        first, *rest = content.split(self._placeholder.encode())
        parts = [first]
        for part in rest:
            name, _, after = part.partition(b'"')
            parts += [json.dumps(address(name.decode()))[1:-1].encode(), b'"', after]
        return b"".join(parts)

    def forget(self, session_id: str) -> None:
        """Drop a deleted session from the cache."""
        folder = str(self.store.path / session_id)
        with self._guard:
            self._records.pop(folder, None)
            for key in [key for key in self._cache if key[0] == folder]:
                self._size -= len(self._cache.pop(key)[1])

    def media(self, session: Session) -> dict[str, Path]:
        """Files of a session that are served, by their names in addresses."""
        record = self.record(session)
        media = {record.video.file: session.first_video}
        if session.second_video is not None:
            media[session.second_video.name] = session.second_video
        if "annotated" in record.stages:
            media[record.stages["annotated"].file] = session.annotated_video
        for page in (f"{record.kind.slug}{which}.html" for which in ("", ".client")):
            media[page] = session.report_folder / page
        if record.kind.has("report"):
            for view in _VIEWS:
                media[f"{view}.png"] = session.report_folder / "images" / f"{view}.png"
        return media

    def _with_placeholders(self, document: dict[str, Any], session: Session) -> dict[str, Any]:
        record = self.record(session)
        if "video_url" in document:
            document["video_url"] = f"{self._placeholder}{record.videos[0].file}"
        if "analyzed_video_url" in document:
            document["analyzed_video_url"] = f"{self._placeholder}{record.stages['annotated'].file}"
        if "knee_movement_phases" in document:
            document["knee_movement_phases"] = {
                view: None if uri is None else f"{self._placeholder}{view}.png"
                for view, uri in document["knee_movement_phases"].items()
            }
        return document

    def _mark_of(self, session: Session) -> Mark:
        user_id = self.record(session).user_id
        keys = sorted(session.report_folder.glob(".*.key"))
        names = ("session.json", "edits.json", "config.json")
        participant = session.store.path / PARTICIPANTS / f"{user_id}.json"
        return _mark(*(session.folder / name for name in names), participant, *keys)


def _mark(*files: Path) -> Mark:
    """Fingerprint of files that changes with their content, without reading them."""
    states = []
    for file in files:
        try:
            status = file.stat()
            states.append((status.st_ino, status.st_mtime_ns, status.st_size))
        except FileNotFoundError:
            states.append((0, 0, 0))
    return tuple(states)
