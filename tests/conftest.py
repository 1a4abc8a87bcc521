"""Fixtures that more than one test module uses."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from extras import require, skip
from hypothesis import settings
from other_processes import wait_for

# A machine that checks a change says the same of it each time; elsewhere new examples are tried.
settings.register_profile("mobility", derandomize=bool(os.environ.get("CI")), deadline=None)
settings.load_profile("mobility")

# A parent that ignores them (nohup, a job in the background) hands that down to what is tested. A
# handler is not handed down: the tests still do not end, and the programs that they start do.
for _number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
    if signal.getsignal(_number) == signal.SIG_IGN:
        signal.signal(_number, lambda *_: None)

PROJECT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def project() -> Path:
    """Root of the checkout."""
    return PROJECT


@pytest.fixture(scope="session")
def program(project: Path) -> Iterator[Callable[[str], ModuleType]]:
    """Give a module of benchmarks/ or scripts/ by its name."""
    with pytest.MonkeyPatch.context() as patch:
        for folder in ("benchmarks", "scripts"):
            patch.syspath_prepend(project / folder)
        yield importlib.import_module


@pytest.fixture(scope="session")
def demo(project: Path) -> Path:
    """Folder of the demo session of the exercise Overhead Squat."""
    folder = project / "data" / "demo" / "overhead-squat"
    if not (folder / "session.json").is_file():
        skip("needs the demo session in data/demo")
    return folder


@pytest.fixture
def store(tmp_path: Path) -> Any:
    """An empty store."""
    from mobility.store import Store

    return Store(tmp_path / "sessions", reports=tmp_path / "reports")


@pytest.fixture(scope="module")
def one_server() -> Iterator[None]:
    """All pages of a module have their kernels from one server, which imports but once."""
    from mobility.reports.warm_kernels import warm_kernels

    with warm_kernels():
        yield


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real videos and lab data, kept beside the checkout."""
    folder = PROJECT.parent / "shared" / "data"
    if not folder.is_dir():
        skip("needs the real videos and lab data at ../shared/data, not part of the project")
    return folder


@pytest.fixture
def stand_ins(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """Small results with known numbers in the place of all that the analysis calls, counted."""
    import small_results

    from mobility.catalogue import exercise_imports

    for name, stand_in in small_results.modules().items():
        monkeypatch.setitem(sys.modules, name, stand_in)
    small_results.CALLS.clear()
    yield small_results
    exercise_imports.part.cache_clear()


@pytest.fixture(scope="session")
def analytic() -> ModuleType:
    """The module tests/analytic.py: a squat with known angles."""
    import analytic

    return analytic


@pytest.fixture(scope="session")
def squat_pose(analytic: ModuleType) -> Callable[..., Any]:
    """Factory of synthetic trials: ``pose, truth = squat_pose(fps=30, reps=3, ...)``."""
    return analytic.squat_pose


@pytest.fixture(scope="session")
def repetitions_of(analytic: ModuleType) -> Callable[..., Any]:
    """The true repetitions of a synthetic trial: ``repetitions_of(trial, accepted)``."""
    return analytic.repetitions_of


@pytest.fixture(scope="session")
def clips() -> ModuleType:
    """The module tests/clips.py: small videos whose frames show their own number."""
    import clips

    return clips


@pytest.fixture(scope="session")
def pose_model() -> Path:
    """The pinned pose model, as `make setup` left it in the cache."""
    from mobility.capture import models

    return models.pose_model()


@pytest.fixture(scope="session")
def heavy_model() -> Path:
    """The heavy pose model, where somebody has fetched it."""
    from mobility.capture import models
    from mobility.errors import ModelError

    try:
        return models.pose_model("heavy")
    except ModelError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def opencap_video(shared_data: Path) -> Path:
    """A real phone video: five squats, 807 frames behind an edit list."""
    return shared_data / "videos" / "opencap_s4_squats1_phone.mp4"


def _pose_once(video: Path, run: Path) -> Any:
    """The pose of a video, by the first of the processes of a test run that asks for it."""
    import mobility
    from mobility.sessions.files import lock, read_dataset, write_dataset

    kept = run / f"{video.stem}.nc"
    with lock(kept.with_suffix(".lock"), what=video.name, wait_s=600):
        if not kept.exists():
            pose = mobility.estimate_pose(video, workers=2)
            write_dataset(kept, pose)
            assert read_dataset(kept).identical(pose)
    return read_dataset(kept)


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of a test run share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session")
def opencap_pose(opencap_video: Path, pose_model: Path, run_folder: Path) -> Any:
    """The pose of `opencap_video`; do not change it."""
    return _pose_once(opencap_video, run_folder)


@pytest.fixture(scope="session")
def tfjs_pose(shared_data: Path, pose_model: Path, run_folder: Path) -> Any:
    """The pose of three real squats at five frames a second; do not change it."""
    return _pose_once(shared_data / "videos" / "tfjs_pose_squats.mp4", run_folder)


@pytest.fixture(scope="session")
def browse() -> Callable[..., Any]:
    """What chromium sees: ``browse("report", url)``; tests/browser.py knows the kinds."""
    chromium = shutil.which("chromium")
    if chromium is None:
        skip("needs Debian's chromium")

    def see(kind: str, url: str, folder: Path | None = None) -> Any:
        script = Path(__file__).with_name("browser.py")
        done = subprocess.run(
            [sys.executable, str(script), chromium, kind, url, *([str(folder)] if folder else [])],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return json.loads(done.stdout)

    return see


@dataclass
class S3:
    """A real S3 server on this machine, and how to take it away for a while."""

    process: subprocess.Popen[str]
    away: Path
    environment: dict[str, str]
    bucket: str = "lab"
    made: int = 0
    read: dict[tuple[str, str], bytes] = field(default_factory=dict)

    def url(self) -> str:
        """A store that nobody used before."""
        self.made += 1
        return f"s3://{self.bucket}/store-{self.made}"

    def files(self, url: str) -> dict[str, bytes]:
        """All objects of a store, by their name below its URL."""
        import fsspec

        system = fsspec.filesystem("s3", use_listings_cache=False, skip_instance_cache=True)
        root = url.removeprefix("s3://")
        files = {}
        for path, facts in system.find(root, detail=True).items():
            mark = (path, facts["ETag"])
            if mark not in self.read:
                self.read[mark] = system.cat_file(path)
            files[path.removeprefix(f"{root}/")] = self.read[mark]
        return files

    @contextmanager
    def gone(self) -> Iterator[None]:
        """Let nobody answer inside."""
        self.away.touch()
        try:
            wait_for(lambda: not self.answers())
            yield
        finally:
            self.away.unlink(missing_ok=True)
            wait_for(self.answers)

    def answers(self) -> bool:
        port = int(self.environment["AWS_ENDPOINT_URL"].rpartition(":")[2])
        with socket.socket() as tried:
            return tried.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """The server, for all tests of a process."""
    away = tmp_path_factory.mktemp("s3") / "away"
    script = Path(__file__).with_name("s3_server.py")
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
            wait_for(server.answers)
            yield server
        finally:
            process.kill()


@pytest.fixture
def s3(s3_server: S3, monkeypatch: pytest.MonkeyPatch) -> S3:
    """The server, where the environment says it is."""
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    return s3_server


@pytest.fixture(scope="session")
def cross_checks() -> None:
    """Need the extra `cross-checks`."""
    require("cross-checks", "pingouin", "spm1d", "statsmodels")


@pytest.fixture(scope="session")
def other_readers() -> None:
    """Need what reads our files, of the extra `cross-checks`."""
    require("cross-checks", "c3d", "frictionless", "opensim")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put what needs the extra into the slow tier, before which it is installed."""
    for item in items:
        if {"cross_checks", "other_readers"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)
