"""Fixtures of the tests of the HTTP interface: one server for all that do not break it."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from mobility.workbench.files import read_json, write_json


def _load() -> ModuleType:
    """Load serving.py by its path: with import-mode=importlib it is in no package."""
    name = "server_serving"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name("serving.py"))
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


@pytest.fixture(scope="session")
def serving() -> ModuleType:
    """The module tests/server/serving.py."""
    return _load()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A server that many tests share; each makes its own users."""
    with _load().serving(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(scope="session")
def admin(server: Any) -> str:
    """Header of an administrator of the shared server."""
    return server.key("administrator")


@pytest.fixture
def analysed(project: Path, server: Any) -> Callable[..., str]:
    """Factory of analysed sessions in the shared server's store: the demo, under another name."""
    if not (project / "data" / "demo" / "overhead-squat" / "session.json").is_file():
        if os.environ.get("CI"):
            pytest.fail("CI must have the demo session in data/demo")
        pytest.skip("needs the demo session in data/demo")

    def make(session_id: str, user_id: str, *, exercise: str = "overhead-squat") -> str:
        folder = server.store / session_id
        hidden = server.store / f".copy-{session_id}"
        server.store.mkdir(exist_ok=True)
        shutil.copytree(project / "data" / "demo" / exercise, hidden)
        record = read_json(hidden / "session.json")
        record |= {"session_id": session_id, "user_id": user_id}
        write_json(hidden / "session.json", record)
        hidden.rename(folder)
        return session_id

    return make
