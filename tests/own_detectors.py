"""Packages with detectors, as an installation leaves them, and the package of the page."""

from __future__ import annotations

import json
import os
import re
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import pytest

from mobility.base.processes import Send
from mobility.capture import detected, detector_worker, detectors

RTMLIB = """
import numpy as np


class BodyWithFeet:
    \"\"\"Stands in for the model: a person who squats, 26 points, and what it says of nobody.\"\"\"

    def __init__(self, mode, backend, device):
        assert (mode, backend, device) == ("balanced", "onnxruntime", "cpu")
        self.calls = 0

    def __call__(self, image):
        assert image.dtype == np.uint8
        self.calls += 1
        side = np.array([0] + [(-1) ** k for k in range(16)] + [0, 0, 0] + [1, -1, 1, -1, 1, -1])
        pairs = [.05, .06, .18, .33, .47, .52, .72, .93]
        feet = [.95, .94, .94]
        height = np.r_[.07, np.repeat(pairs, 2), .02, .15, .5, np.repeat(feet, 2)]
        person = np.stack([80 + 10 * side, 20 + 90 * height], axis=-1)
        whole = np.full((26, 2), 50.0)
        scores = np.stack([np.full(26, 1.01), np.full(26, 0.1)])
        return np.stack([person, whole]), scores
"""


def install(
    monkeypatch: pytest.MonkeyPatch, folder: Path, points: dict[str, str], **modules: str
) -> None:
    """Leave modules and their entry points where this process and those it starts find them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in modules.items():
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    package = f"{folder.name.replace('-', '_')}_detectors"
    metadata = folder / f"{package}-0.1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 0.1\n")
    lines = ["[mobility.detectors]", *(f"{name} = {value}" for name, value in points.items())]
    (metadata / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")
    monkeypatch.syspath_prepend(folder)
    path = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path))


def install_the_one_of_the_page(
    monkeypatch: pytest.MonkeyPatch, project: Path, folder: Path
) -> None:
    """Install what the page shows, beside a stand-in for rtmlib."""
    page = (project / "docs" / "detectors.md").read_text(encoding="utf-8")
    files = dict(re.findall(r"^## `(.+?)`\n.*?^```\w+\n(.*?)^```", page, flags=re.S | re.M))
    points = tomllib.loads(files["pyproject.toml"])["project"]["entry-points"]
    install(
        monkeypatch,
        folder,
        points["mobility.detectors"],
        rtmpose_detector=files["rtmpose_detector.py"],
        rtmlib=RTMLIB,
    )


class Here:
    """Stands in for a process of a detector: asked the same, it works in this one, and at once."""

    def __init__(self, module: str) -> None:
        assert module == detector_worker.__name__
        self.closed = False

    def ask(self, request: dict[str, Any], *, on_message: Send = lambda *_: None) -> Any:
        assert not self.closed

        def send(message: Any, data: bytes) -> None:
            on_message(_sent(message), data)

        return _sent(detector_worker.do(_sent(request), send))

    def close(self) -> None:
        self.closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _sent(values: Any) -> Any:
    """Return what arrives of JSON values."""
    return json.loads(json.dumps(values))


@contextmanager
def working_here(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Iterator[list[Here]]:
    """Have detectors, whose modules are below a folder, work in this process; give who was asked.

    Afterwards this process has forgotten them, and all who were asked were closed.
    """
    asked: list[Here] = []

    def start(module: str) -> Here:
        asked.append(Here(module))
        return asked[-1]

    monkeypatch.setattr(detected, "Process", start)
    detectors.loaded.cache_clear()
    try:
        yield asked
    finally:
        detectors.loaded.cache_clear()
        for name, module in list(sys.modules.items()):
            if folder in Path(getattr(module, "__file__", None) or "/").parents:
                del sys.modules[name]
    assert all(each.closed for each in asked)
