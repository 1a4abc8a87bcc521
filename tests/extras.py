"""Tests that need an extra of the package."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import NoReturn

import pytest


def skip(reason: str) -> NoReturn:
    """Skip for the lack of something; in CI, which must have it, fail instead."""
    if os.environ.get("CI"):
        pytest.fail(f"CI {reason}")
    pytest.skip(reason)


def require(extra: str, *packages: str) -> None:
    """Skip where packages of an extra are not installed; in CI fail instead."""
    missing = [name for name in packages if not importlib.util.find_spec(name)]
    if missing:
        skip(f"needs the extra {extra} ({', '.join(missing)} not installed)")


def movement_python(project: Path) -> Path:
    """Python of the environment with movement, which needs 3.12 or newer; skip without it."""
    python = project / ".venv-movement" / "bin" / "python"
    if not python.exists():
        skip("needs .venv-movement, with Python 3.12 or newer (make test-all)")
    return python
