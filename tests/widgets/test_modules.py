"""The files of the page: in the package, whole, and asking nobody for anything."""

from __future__ import annotations

import fnmatch
import re
import shutil
import tomllib
from pathlib import Path

import pytest
from other_processes import ended

from mobility import widgets
from mobility.plotting.axes import COLOURS
from mobility.widgets.widget import FOLDER, module, stylesheet

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


def test_each_module_links_by_itself_and_imports_exactly_what_it_uses(node, tmp_path: Path):
    """In the joined text all share one scope, where a missing import would go unseen."""
    texts = {file.name: file.read_text(encoding="utf-8") for file in FOLDER.glob("*.js")}
    (tmp_path / "package.json").write_text('{"type": "module"}')
    for name, text in texts.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    shared = {
        name
        for text in texts.values()
        for name in re.findall(r"^export (?:const|function|class) (\w+)", text, re.MULTILINE)
    }
    for file, text in texts.items():
        done = ended([node, tmp_path / file])
        assert done.returncode == 0, done.stderr
        imports = re.findall(r"^import \{ (.+) \} from .*$", text, re.MULTILINE)
        imported = {name for names in imports for name in names.split(", ")}
        code = re.sub(r'^import .*$|"[^"\n]*"|//.*$|/\*[^/]*\*/', "", text, flags=re.MULTILINE)
        declared = set(re.findall(r"(?:const|let|function|class) (\w+)", code))
        used = set(re.findall(r"(?<![\w-])(?<!\w\.)(\w+)(?=[\[(.;,) ])", code))
        assert (used - declared) & shared <= imported <= used, file
