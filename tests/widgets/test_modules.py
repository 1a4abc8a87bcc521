"""The files of the page: in the package, whole, and asking nobody for anything."""

from __future__ import annotations

import fnmatch
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from mobility import widgets
from mobility.widgets.base import FOLDER, module, stylesheet

WIDGETS = ("config_editor", "session_browser", "trial_viewer", "upload_form")


def test_every_file_is_installed_with_the_package(project):
    settings = tomllib.loads((project / "pyproject.toml").read_text())["tool"]["setuptools"]
    patterns = settings["package-data"]["mobility.widgets"]
    files = [file.name for file in FOLDER.iterdir() if file.suffix not in (".py", "")]
    assert {f"{name}.js" for name in WIDGETS} <= set(files)
    for file in files:
        assert any(fnmatch.fnmatch(file, pattern) for pattern in patterns), file


def test_every_widget_has_its_page():
    assert sorted(widgets.__all__) == [
        "".join(part.capitalize() for part in name.split("_")) for name in WIDGETS
    ]
    for name, public in zip(WIDGETS, sorted(widgets.__all__), strict=True):
        assert module(name) == getattr(widgets, public)._esm


@pytest.mark.parametrize("name", WIDGETS)
def test_a_page_needs_no_network_and_reads_no_text_as_html(name):
    source = module(name)
    assert len(re.findall(r"^export default", source, re.MULTILINE)) == 1
    assert not re.search(r"^\s*import\b", source, re.MULTILINE)
    # The only address is the name of a language.
    assert set(re.findall(r"https?://[^\s\"']+", source)) <= {"http://www.w3.org/2000/svg"}
    for risky in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "eval(",
        "fetch(",
        "document.write",
    ):
        assert risky not in source
    assert "url(" not in stylesheet()


@pytest.mark.parametrize("name", WIDGETS)
def test_a_page_is_whole(name, tmp_path: Path):
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs node, to read the modules as a browser would")
    file = tmp_path / f"{name}.mjs"
    file.write_text(module(name), encoding="utf-8")
    done = subprocess.run([node, "--check", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_sides_have_the_colours_of_the_figures():
    from mobility.plot import COLOURS

    for side in ("left", "right"):
        assert f'{side}: "{COLOURS[side]}"' in module("trial_viewer")
