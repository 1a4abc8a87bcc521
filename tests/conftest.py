"""Fixtures that more than one test module uses."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

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


def _load_analytic() -> ModuleType:
    """Load tests/analytic.py by its path: with import-mode=importlib it is in no package."""
    if "analytic" not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            "analytic", Path(__file__).with_name("analytic.py")
        )
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules["analytic"] = module
        spec.loader.exec_module(module)
    return sys.modules["analytic"]


@pytest.fixture(scope="session")
def analytic() -> ModuleType:
    """The module tests/analytic.py: a squat with known angles."""
    return _load_analytic()


@pytest.fixture(scope="session")
def squat_pose(analytic: ModuleType) -> Callable[..., Any]:
    """Factory of synthetic trials: ``pose, truth = squat_pose(fps=30, reps=3, ...)``."""
    return analytic.squat_pose
