"""Fixtures of the workbench tests."""

from __future__ import annotations

import importlib.util
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest


def _load_stand_ins() -> ModuleType:
    """Load stand_ins.py by its path: with import-mode=importlib it is in no package."""
    name = "workbench_stand_ins"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            name, Path(__file__).with_name("stand_ins.py")
        )
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


@pytest.fixture(scope="session")
def stand_in_data() -> ModuleType:
    """The module tests/workbench/stand_ins.py: small results with known numbers."""
    return _load_stand_ins()


@pytest.fixture
def stand_ins(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The same, put in the place of everything that the analysis calls; counts the calls."""
    module = _load_stand_ins()
    for name, stand_in in module.modules().items():
        monkeypatch.setitem(sys.modules, name, stand_in)
    module.CALLS.clear()
    return module


@dataclass
class S3:
    """A real S3 server on this machine, and how to take it away for a while."""

    process: subprocess.Popen[str]
    away: Path
    environment: dict[str, str]
    bucket: str = "lab"
    made: int = 0

    def url(self) -> str:
        """A store that nobody used before."""
        self.made += 1
        return f"s3://{self.bucket}/store-{self.made}"

    def files(self, url: str) -> dict[str, bytes]:
        """All objects of a store, by their name below its URL."""
        import fsspec

        system = fsspec.filesystem("s3", use_listings_cache=False, skip_instance_cache=True)
        root = url.removeprefix("s3://")
        found = system.find(root)
        return {path.removeprefix(f"{root}/"): system.cat_file(path) for path in found}

    @contextmanager
    def gone(self) -> Iterator[None]:
        """Let nobody answer inside."""
        self.away.touch()
        try:
            wait_until(lambda: not self.answers())
            yield
        finally:
            self.away.unlink(missing_ok=True)
            wait_until(self.answers)

    def answers(self) -> bool:
        port = int(self.environment["AWS_ENDPOINT_URL"].rpartition(":")[2])
        with socket.socket() as tried:
            return tried.connect_ex(("127.0.0.1", port)) == 0


def wait_until(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """The server, for all tests of a process."""
    away = tmp_path_factory.mktemp("s3") / "away"
    script = Path(__file__).parents[1] / "s3_server.py"
    with subprocess.Popen(
        [sys.executable, str(script), "lab", str(away)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline())
            environment = {
                "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
                "AWS_ACCESS_KEY_ID": "test",
                "AWS_SECRET_ACCESS_KEY": "test",
                "AWS_DEFAULT_REGION": "us-east-1",
            }
            server = S3(process, away, environment)
            wait_until(server.answers)
            yield server
        finally:
            process.kill()


@pytest.fixture
def s3(s3_server: S3, monkeypatch: pytest.MonkeyPatch) -> S3:
    """The server, where the environment says it is."""
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    return s3_server
