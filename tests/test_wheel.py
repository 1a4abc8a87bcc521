"""What is installed from a wheel, without the checkout and without make."""

from __future__ import annotations

import json
import os
import re
import shutil
import site
import subprocess
import sys
import venv
from pathlib import Path
from urllib.parse import urlparse

import pytest

pytestmark = pytest.mark.slow
PIP = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")


@pytest.fixture(scope="module")
def installed(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the programs of an environment in which a wheel of this package was installed."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    # A build leaves files behind, so it has a copy.
    for name in ("mobility", "notebooks", "data", "reports"):
        shutil.copytree(project / name, source / name, ignore=shutil.ignore_patterns("sessions"))
    shutil.copytree(project / "mobility" / "sessions", source / "mobility" / "sessions")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(project / name, source)
    build = ["wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, source]
    subprocess.run([*PIP, *build], check=True)
    (wheel,) = folder.glob("*.whl")
    # Its dependencies are those of the environment of the tests.
    venv.create(folder / "env")
    (packages,) = (folder / "env" / "lib").glob("python*/site-packages")
    (packages / "dependencies.pth").write_text("\n".join(site.getsitepackages()) + "\n")
    python = folder / "env" / "bin" / "python"
    install = ["--python", python, "install", "--no-deps", "--no-index", "--ignore-installed"]
    subprocess.run([*PIP, *install, wheel], check=True)
    return python.parent


def run(program: Path, *arguments: str, away: Path) -> subprocess.CompletedProcess[str]:
    ours = ("MOBILITY", "PYTHON")
    environment = {key: text for key, text in os.environ.items() if not key.startswith(ours)}
    # nbconvert keeps its templates where the environment of the tests has them.
    environment["JUPYTER_PATH"] = str(Path(sys.prefix) / "share" / "jupyter")
    return subprocess.run(
        [program, *arguments], cwd=away, env=environment, capture_output=True, text=True
    )


def test_the_extension_of_jupyter_is_on(installed: Path, tmp_path: Path) -> None:
    command = ("-m", "jupyter_server.extension.serverextension", "list")
    listed = run(installed / "python", *command, away=tmp_path)
    assert re.search("mobility.serve.*enabled", listed.stdout + listed.stderr), listed
    settings = installed.parent / "share" / "jupyter" / "lab" / "settings" / "overrides.d"
    assert (settings / "mobility.json").is_file()


def test_the_demos_run_and_came_with_it_away_from_the_checkout(
    installed: Path, tmp_path: Path
) -> None:
    where = run(
        installed / "python", "-c", "import mobility; print(mobility.__file__)", away=tmp_path
    )
    assert where.stdout.startswith(str(installed.parent)), where.stderr
    shown = run(installed / "mobility", "joint-mobility", "--demo", "--json", away=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert json.loads(shown.stdout)
    assert not list(tmp_path.rglob("*.html"))
    done = run(installed / "mobility", "demo", "--json", away=tmp_path)
    assert done.returncode == 0, done.stderr
    page = Path(urlparse(json.loads(done.stdout)["report"]["html"]).path)
    assert page.resolve().is_relative_to(tmp_path)
    assert page.stat().st_size > 100_000
