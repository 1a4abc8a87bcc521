"""Fixtures that more than one test module uses."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import settings

# A machine that checks a change says the same of it each time; elsewhere new examples are tried.
settings.register_profile("ci", derandomize=True, deadline=None)
if os.environ.get("CI"):
    settings.load_profile("ci")

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
def shared_data() -> Path:
    """Folder of real videos and lab data, kept beside the checkout."""
    folder = PROJECT.parent / "shared" / "data"
    if not folder.is_dir():
        if os.environ.get("CI"):
            pytest.fail("CI must have the real data at ../shared/data")
        pytest.skip("needs the real videos and lab data at ../shared/data, not part of the project")
    return folder


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
def opencap_video(shared_data: Path) -> Path:
    """A real phone video: five squats, 807 frames behind an edit list."""
    return shared_data / "videos" / "opencap_s4_squats1_phone.mp4"


@pytest.fixture(scope="session")
def opencap_pose(opencap_video: Path, pose_model: Path) -> Any:
    """The pose of `opencap_video`, estimated once in a test run; do not change it."""
    import mobility

    return mobility.estimate_pose(opencap_video, workers=2)


@pytest.fixture(scope="session")
def tfjs_pose(shared_data: Path, pose_model: Path) -> Any:
    """The pose of three real squats at five frames a second; do not change it."""
    import mobility

    return mobility.estimate_pose(shared_data / "videos" / "tfjs_pose_squats.mp4", workers=1)


@pytest.fixture(scope="session")
def browse() -> Callable[..., Any]:
    """What chromium sees: ``browse("report", url)``; tests/browser.py knows the kinds."""
    chromium = shutil.which("chromium")
    if chromium is None:
        if os.environ.get("CI"):
            pytest.fail("CI must have chromium")
        pytest.skip("needs Debian's chromium")

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
