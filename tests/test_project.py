"""What holds for the project as a whole: imports, dependencies, commands of the README."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import distributions
from pathlib import Path

import pytest
import yaml
from other_processes import ended
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import mobility as mb
from mobility import tables


def test_environment_yml_installs_what_make_installs(project):
    environment = yaml.safe_load((project / "environment.yml").read_text())
    python, *_, pip = environment["dependencies"]
    settings = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    assert python.startswith(f"python{settings['requires-python']},<")
    makefile = (project / "Makefile").read_text()
    for line in pip["pip"]:
        option, what = line.split()
        assert re.search(rf"\$\(PIP\) .*{option} \"?{re.escape(what)}", makefile)


def test_this_environment_has_the_versions_that_were_tested_together(project):
    """In CI; elsewhere an environment may hold other versions, within the ranges of pyproject."""
    if "CI" not in os.environ:
        pytest.skip("only the environment that `make` made in CI must hold these versions")
    tested = [
        Requirement(line)
        for line in (project / "constraints.txt").read_text().splitlines()
        if not line.startswith("#")
    ]
    installed = {canonicalize_name(each.metadata["Name"]): each.version for each in distributions()}
    applying = [each for each in tested if each.marker is None or each.marker.evaluate()]
    assert {
        each.name: installed[each.name]
        for each in applying
        if each.name in installed and not each.specifier.contains(installed[each.name])
    } == {}
    assert {"mediapipe", "av", "numpy", "xarray"} <= {each.name for each in applying}


def test_import_is_lazy():
    heavy = [
        "numpy",
        "xarray",
        "mediapipe",
        "cv2",
        "av",
        "pydantic",
        "matplotlib",
        "scipy",
        "IPython",
    ]

    def loaded(imports: str) -> str:
        code = f"import sys, {imports}; print(*[m for m in {heavy!r} if m in sys.modules])"
        command = [sys.executable, "-c", code]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    assert loaded("mobility") == ""
    # What stands before the pose processes get their job.
    assert loaded("mobility.store, mobility.pipeline.analysis") == "pydantic"


def test_public_names_exist_and_others_do_not():
    assert dir(mb) == sorted([*mb.__all__, "__version__"])
    for name in mb.__all__:
        assert callable(getattr(mb, name)) or inspect.ismodule(getattr(mb, name))
    stub = Path(mb.__file__).with_suffix(".pyi").read_text(encoding="utf-8")
    typed = {*re.findall(r" as (\w+)|^(\w+) = ", stub, flags=re.M)}
    assert {"".join(each) for each in typed} == {*mb.__all__}, "the stub has not the public names"
    with pytest.raises(AttributeError, match="no attribute 'analyse'"):
        mb.analyse  # noqa: B018


def test_every_table_entry_has_a_source(project):
    def entries_without_source(value, path):
        """A mapping of mappings is a table; each entry, or the table itself, needs a source."""
        if not isinstance(value, dict) or "source" in value or "reference" in value:
            return []
        below = [k for k, v in value.items() if isinstance(v, dict)]
        if not below:
            return [path]
        return [p for k in below for p in entries_without_source(value[k], f"{path}.{k}")]

    names = sorted(path.stem for path in (project / "mobility" / "tables").glob("*.yaml"))
    assert "angles" in names
    for name in names:
        if not name.startswith("sentences_"):  # wording decides nothing
            assert entries_without_source(tables.load(name), name) == []


def test_readme_commands_exist(project):
    readme = (project / "README.md").read_text()
    targets = set(re.findall(r"^([a-z-]+):", (project / "Makefile").read_text(), re.MULTILINE))
    asked = set(re.findall(r"(?:^|`)make ([a-z-]+)", readme, re.MULTILINE))
    assert {"demo", "lab", "docs"} <= asked <= targets
    commands = set(re.findall(r"^(?:\.venv/bin/)?mobility ([a-z-]+)", readme, re.MULTILINE))
    assert "analyze" in commands
    for command in commands:
        subprocess.run(
            [sys.executable, "-m", "mobility.cli", command, "--help"],
            check=True,
            capture_output=True,
        )


def test_readme_names_every_file_it_links_to(project):
    readme = (project / "README.md").read_text()
    for link in re.findall(r"\]\(([^)#:]+)\)", readme):
        assert (project / link).exists(), link


@pytest.mark.slow
def test_the_first_script_runs(project, tmp_path):
    page = (project / "docs" / "get-started.md").read_text()
    code = re.findall(r"```python\n(.*?)```", page, re.DOTALL)[0]
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "demo").symlink_to(project / "data" / "demo")
    done = ended([sys.executable, "-c", code], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "knee.png").stat().st_size > 10_000
