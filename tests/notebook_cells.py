"""Every cell of a notebook, run by nbval."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import nbformat
from other_processes import ended


def workbench(project: Path, folder: Path, *, expected: str) -> Path:
    """Write a copy that checks at its end which session it shows, with some of its metrics."""
    notebook = nbformat.read(project / "notebooks" / "workbench.ipynb", as_version=4)
    check = (
        f"assert (session.id, own.empty, files['html'].is_file()) == ({expected!r}, False, True)"
    )
    notebook.cells.append(nbformat.v4.new_code_cell(check))
    nbformat.write(notebook, folder / "workbench.ipynb")
    return folder / "workbench.ipynb"


def run_every_cell(notebook: Path, project: Path, folder: Path, **environment: str) -> None:
    """Run a notebook on the store ``sessions`` in `folder`; its reports go beside it."""
    options = ["-q", "-c", os.devnull, "-p", "no:cacheprovider", "--nbval-lax"]
    options += ["--nbval-current-env", "--nbval-cell-timeout=600", f"--rootdir={project}"]
    done = ended(
        [sys.executable, "-m", "pytest", *options, notebook],
        cwd=project,
        env={
            **os.environ,
            "MOBILITY_STORE": str(folder / "sessions"),
            "MOBILITY_REPORTS": str(folder / "reports"),
            "PYTHONDONTWRITEBYTECODE": "1",
            **environment,
        },
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
    assert " passed" in done.stdout
