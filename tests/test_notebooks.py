"""The notebooks: stripped, parameterised, and every cell runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from mobility.workbench.reports import check_parameters

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))


@pytest.fixture
def demo(project: Path) -> Path:
    """Folder of the demo session."""
    folder = project / "data" / "demo" / "overhead-squat"
    if not (folder / "session.json").is_file():
        if os.environ.get("CI"):
            pytest.fail("CI must have the demo session in data/demo")
        pytest.skip("needs the demo session in data/demo")
    return folder


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_stripped_and_checks_itself(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)
    assert notebook.cells[0].cell_type == "markdown"
    assert any(line.startswith("assert ") for cell in code for line in cell.source.splitlines())
    assert sum("parameters" in cell.metadata.get("tags", []) for cell in code) == 1
    assert check_parameters(path, {}) == {}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["overhead_squat", "workbench", "virtual_lab"])
def test_every_cell_runs_on_the_demo(name: str, demo: Path, project: Path, tmp_path: Path) -> None:
    options = ["-q", "-c", os.devnull, "-p", "no:cacheprovider", "--nbval-lax"]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", *options),
            "--nbval-current-env",
            "--nbval-cell-timeout=600",
            f"--rootdir={project}",
            f"notebooks/{name}.ipynb",
        ],
        cwd=project,
        env={
            **os.environ,
            "MOBILITY_STORE": str(tmp_path / "sessions"),
            "MOBILITY_REPORTS": str(tmp_path / "reports"),
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
    assert " passed" in done.stdout
