"""The files of the page: in the package, whole, and asking nobody for anything."""

from __future__ import annotations

import fnmatch
import itertools
import json
import re
import shutil
import tomllib
from pathlib import Path

import numpy as np
import pytest
from processes import ended

from mobility import widgets
from mobility.plot import COLOURS
from mobility.widgets.base import FOLDER, module, stylesheet

WIDGETS = ("config_editor", "session_browser", "trial_viewer", "upload_form")


@pytest.fixture
def node() -> str:
    """The program that reads modules as a browser would."""
    program = shutil.which("node")
    return program or pytest.skip("needs node")


def test_every_file_is_installed_with_the_package(project):
    settings = tomllib.loads((project / "pyproject.toml").read_text())["tool"]["setuptools"]
    patterns = settings["package-data"]["mobility.widgets"]
    files = [file.name for file in FOLDER.iterdir() if file.suffix not in (".py", "")]
    for file in files:
        assert any(fnmatch.fnmatch(file, pattern) for pattern in patterns), file
    names = ["".join(part.capitalize() for part in name.split("_")) for name in WIDGETS]
    assert sorted(widgets.__all__) == names
    for name, public in zip(WIDGETS, names, strict=True):
        assert f"{name}.js" in files
        assert module(name) == getattr(widgets, public)._esm
    for side in ("left", "right"):
        assert f'{side}: "{COLOURS[side]}"' in module("trial_viewer")


@pytest.mark.parametrize("name", WIDGETS)
def test_a_page_is_whole_needs_no_network_and_reads_no_text_as_html(name, node, tmp_path: Path):
    source = module(name)
    assert len(re.findall(r"^export default", source, re.MULTILINE)) == 1
    assert not re.search(r"^\s*import\b", source, re.MULTILINE)
    # The only address is the name of a language.
    assert set(re.findall(r"https?://[^\s\"']+", source)) <= {"http://www.w3.org/2000/svg"}
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|eval\(|fetch\(|document\.write", source
    )
    assert "url(" not in stylesheet()
    file = tmp_path / f"{name}.mjs"
    file.write_text(source, encoding="utf-8")
    done = ended([node, "--check", file])
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("name", "half"), [("standing", (0.3, 0.9, 0.2)), ("lying", (0.9, 0.15, 0.3))]
)
def test_a_body_fits_its_view_however_it_lies_and_is_turned(name, half, node):
    """Corners of its box, seen as the viewer projects them, in a panel as wide as high or not."""
    box = json.dumps({"low": [-each for each in half], "high": list(half)})
    asked = f"""
      const [box, rows] = [{box}, []];
      for (const [width, height] of [[300, 330], [240, 400]])
        for (const pitch of [0.1, -0.7, 1.35])
          rows.push([width, height, pitch, bodyScale(box, width, height, pitch)]);
      console.log(JSON.stringify(rows));
    """
    done = ended([node, "-e", (FOLDER / "common.js").read_text(encoding="utf-8") + asked])
    assert done.returncode == 0, done.stderr
    corners = np.array(list(itertools.product(*((-each, each) for each in half))))
    for width, height, pitch, scale in json.loads(done.stdout):
        reached = 0.0
        for yaw in np.radians(range(0, 360, 15)):
            u = corners[:, 0] * np.cos(yaw) - corners[:, 2] * np.sin(yaw)
            w = corners[:, 0] * np.sin(yaw) + corners[:, 2] * np.cos(yaw)
            v = corners[:, 1] * np.cos(pitch) - w * np.sin(pitch)
            off = np.abs(np.stack([u / width, v / height])) * scale
            assert off.max() <= 0.5, name
            reached = max(reached, off.max())
        assert reached > 0.3  # and it is not small
