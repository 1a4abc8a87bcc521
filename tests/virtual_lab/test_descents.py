"""scripts/render_descents.py."""

from __future__ import annotations

import importlib
import logging
import sys
from pathlib import Path
from typing import Any

import pytest

from mobility.errors import BadInputError

GRID = """\
axes:
  camera.azimuth: [0, 45, 90]
"""


def test_who_would_fall_is_left_out_and_the_others_are_rendered(
    project: Path, tmp_path: Path, monkeypatch: Any, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.syspath_prepend(str(project / "scripts"))
    script = importlib.import_module("render_descents")
    done = []

    def render(case: Any, folder: Path) -> None:
        if case.camera.azimuth == 45:
            raise BadInputError("squat: no lean of the trunk keeps this body from falling")
        done.append((case.camera.azimuth, folder.name.endswith("-descent")))

    monkeypatch.setattr(script, "render_descent", render)
    (tmp_path / "grid.yaml").write_text(GRID, encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["x", str(tmp_path / "grid.yaml"), str(tmp_path / "cache")])
    with caplog.at_level(logging.WARNING):
        script.main()
    assert sorted(done) == [(0.0, True), (90.0, True)]
    assert "keeps this body from falling" in caplog.text
