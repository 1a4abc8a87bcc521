"""Tests that need an extra of the package."""

from __future__ import annotations

import importlib.util
import os

import pytest


def require(extra: str, *packages: str) -> None:
    """Skip where packages of an extra are not installed; in CI fail instead."""
    missing = [name for name in packages if not importlib.util.find_spec(name)]
    if missing:
        reason = f"needs the extra {extra} ({', '.join(missing)} not installed)"
        if os.environ.get("CI"):
            pytest.fail(f"CI {reason}")
        pytest.skip(reason)
