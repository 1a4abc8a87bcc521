"""Fixtures of the tests of the HTTP interface: one server for all that do not break it."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import serving
from demo_sessions import taken_as_current

from mobility.sessions.files import read_json, write_json
from mobility.store import Store


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A server that many tests share, and that analyses nothing; each makes its own users."""
    # Tests that share it are one address: their refused requests together may exceed the limit.
    folder = tmp_path_factory.mktemp("server")
    with serving.serving(folder, kind="quick", refused_per_minute=0) as running:
        yield running


@pytest.fixture(scope="session")
def working(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A server that analyses, with stand-ins for what takes long."""
    with serving.serving(tmp_path_factory.mktemp("working")) as running:
        yield running


@pytest.fixture(scope="session")
def admin(server: Any) -> str:
    """Header of an administrator of the shared server."""
    return server.key("administrator")


@pytest.fixture(scope="module")
def analysed(demo: Path, server: Any) -> Callable[..., str]:
    """Factory of analysed sessions in the shared server's store: the demo, under another name."""

    def make(session_id: str, user_id: str, *, exercise: str = "overhead-squat") -> str:
        folder = server.store / session_id
        hidden = server.store / f".copy-{session_id}"
        server.store.mkdir(exist_ok=True)
        shutil.copytree(demo.parent / exercise, hidden)
        record = read_json(hidden / "session.json")
        record |= {"session_id": session_id, "user_id": user_id}
        write_json(hidden / "session.json", record)
        hidden.rename(folder)
        taken_as_current(Store(server.store).session(session_id))
        return session_id

    return make


@pytest.fixture(scope="session")
def record_in() -> Callable[..., Path]:
    """Factory of sessions that were not analysed: ``record_in(store, session_id, user_id)``."""

    def make(store: Path, session_id: str, user_id: str, **more: object) -> Path:
        folder = store / session_id
        if not folder.exists():
            hidden = store / f".copy-{session_id}"
            hidden.mkdir(parents=True)
            (hidden / "video.mp4").write_bytes(b"video")
            record = {
                "schema_version": "1",
                "session_id": session_id,
                "user_id": user_id,
                "exercise": "Overhead Squat",
                "joints": ["knee"],
                "created_at": "2026-03-11T09:05:00+01:00",
                "video": {
                    "file": "video.mp4",
                    "original_name": "squat.mp4",
                    "sha256": hashlib.sha256(b"video").hexdigest(),
                    "size": 5,
                },
                **more,
            }
            write_json(hidden / "session.json", record)
            hidden.rename(folder)
        return folder

    return make


@pytest.fixture(scope="module")
def record_of(server: Any, record_in: Callable[..., Path]) -> Callable[..., str]:
    """The same in the shared server's store, by their ids: ``record_of(session_id, user_id)``."""
    return lambda *about, **more: record_in(server.store, *about, **more).name
