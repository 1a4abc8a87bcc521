"""Fixtures of the tests of pages."""

from __future__ import annotations

import pytest

from mobility.store import Session, Store


@pytest.fixture(scope="module")
def session() -> Session:
    """The demo of the exercise Overhead Squat."""
    return Store("absent").demo("Overhead Squat")
