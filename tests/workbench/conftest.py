"""Fixtures of the workbench tests."""

from __future__ import annotations

import importlib.util
import sys
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
