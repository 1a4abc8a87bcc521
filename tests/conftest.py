"""Fixtures that more than one test module uses."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from extras import require, skip
from hypothesis import settings

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
def stand_ins(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Small results with known numbers in the place of all that the analysis calls, counted."""
    import small_results

    for name, stand_in in small_results.modules().items():
        monkeypatch.setitem(sys.modules, name, stand_in)
    small_results.CALLS.clear()
    return small_results


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
