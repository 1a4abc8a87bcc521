"""The notebooks: stripped, parameterised, and every cell runs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from cohort_cases import add_failed, add_session, add_study
from demo_sessions import copy_of, taken_as_current
from notebook_cells import run_every_cell, workbench
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

from mobility.catalogue.registry import exercises
from mobility.reports.render import check_parameters
from mobility.serve.batch.study import read_study
from mobility.store import Store
from mobility.studies.study_reports import render_cohort

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("[!m]*.ipynb"))
"""Those of the package: `make lab` makes my_workbench.ipynb."""


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_stripped_checks_itself_and_imports_what_is_there(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)
    if path.stem not in ("repetitions", "joint_angle_mobility", "visit"):  # from the store
        assert notebook.cells[0].cell_type == "markdown"
    lines = [line for cell in code for line in cell.source.splitlines()]
    assert any(line.startswith("assert ") for line in lines)
    assert sum("parameters" in cell.metadata.get("tags", []) for cell in code) == 1
    assert check_parameters(path, {}) == {}
    exec("\n".join(line for line in lines if line.startswith("from mobility")), {})
    if path.stem in ("repetitions", "joint_angle_mobility", "cohort", "lab_validation"):
        # Where no store is named, it is that of MOBILITY_STORE, as on the command line.
        assert code[0].source.startswith('store: str = ""')
        assert 'store or os.environ.get("MOBILITY_STORE", "../data/sessions")' in code[1].source


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        *("repetitions", "joint_angle_mobility", "workbench", "virtual_lab", "cohort"),
        "lab_validation",
    ],
)
def test_every_cell_runs_on_the_demo(name: str, demo: Path, project: Path, tmp_path: Path) -> None:
    run_every_cell(project / "notebooks" / f"{name}.ipynb", project, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["groups", "reliability"])
def test_every_cell_runs_on_a_study(name: str, demo: Path, project: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "sessions")
    study = read_study(add_study(store, demo, 6), store=store)
    (tmp_path / "study").mkdir()
    study.write(tmp_path / "study")
    notebook = load_notebook_node(str(project / "notebooks" / f"{name}.ipynb"))
    parameters = {"study": str(tmp_path / "study"), "out": str(tmp_path / "study")}
    nbformat.write(parameterize_notebook(notebook, parameters), tmp_path / f"{name}.ipynb")
    run_every_cell(tmp_path / f"{name}.ipynb", project, tmp_path)
    assert list((tmp_path / "study").glob("knee_flexion*.png"))


@pytest.mark.slow
@pytest.mark.parametrize("exercise", [each.slug for each in exercises()])
def test_the_workbench_shows_the_newest_session_of_each_exercise(
    exercise: str, demo: Path, project: Path, tmp_path: Path
) -> None:
    store = Store(tmp_path / "sessions")
    store.path.mkdir()
    taken_as_current(copy_of(demo.parent / exercise, store, "s01"))
    run_every_cell(workbench(project, tmp_path, expected="s01"), project, tmp_path)
    assert (tmp_path / "reports" / "s01" / f"{exercise}.html").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("newest", ["failed", "created"])
def test_the_workbench_shows_the_demo_where_no_session_can_be_shown(
    newest: str, demo: Path, project: Path, tmp_path: Path
) -> None:
    # By this title the notebook knows its own session, which it analyses.
    changed = {"session_name": "First run", "stages": {}, "state": newest}
    store = Store(tmp_path / "sessions")
    store.path.mkdir()
    session = copy_of(demo, store, "s01", **changed)
    (session.folder / "video.mp4").write_bytes(b"no video")
    run_every_cell(workbench(project, tmp_path, expected="demo-overhead-squat"), project, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("sessions", [0, 1, 3])
def test_the_cohort_of_no_one_and_many_sessions(sessions: int, demo: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    for i in range(sessions):
        add_session(store, demo, f"s{i}", user_id="ann", date=f"2026-01-0{i + 1}")
    if sessions > 1:
        add_failed(store, demo, "f0", user_id="bob", date="2026-01-09")
    made = render_cohort(store, tmp_path / "out", parameters={"metrics": "knee_flexion, kne"})
    page = made["html"].read_text()
    assert len(made["csv"].read_text().splitlines()) == 1 or sessions
    assert ("has no session to show" in page) == (sessions == 0)
    assert ("Nobody was measured twice" in page) == (sessions < 2)
    assert (">within error<" in page) == (sessions > 1)
    assert page.count("<img") == {0: 0, 1: 1, 3: 2}[sessions]
    assert ("the analysis failed: nobody was found" in page) == (sessions > 1)
    assert "Traceback" not in page
    if sessions:
        # What was found comes before the list of the sessions, which opens.
        order = ("Who was measured", "What was found", "All sessions")
        assert [page.index(words) for words in order] == sorted(map(page.index, order))
        assert "No session has the metric “kne”" in page


@pytest.mark.slow
def test_a_report_runs_as_a_notebook_job(project, tmp_path):
    """By the Python interface of jupyter-scheduler, which JupyterLab's dialog uses too."""
    (tmp_path / "store").mkdir()
    shutil.copytree(project / "data" / "demo" / "overhead-squat", tmp_path / "store" / "s01")
    done = subprocess.run(
        [
            *(sys.executable, str(project / "tests" / "notebook_job.py"), str(project)),
            *("notebooks/repetitions.ipynb", str(tmp_path / "jobs.sqlite")),
            # Values are Python source there.
            *(f"store={str(tmp_path / 'store')!r}", "session_id='s01'"),
        ],
        env={
            **os.environ,
            **{f"JUPYTER_{name}_DIR": str(tmp_path / name) for name in ("DATA", "RUNTIME")},
            "IPYTHONDIR": str(tmp_path / "ipython"),
        },
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    job = json.loads(done.stdout.splitlines()[-1])
    assert job["status"] == "COMPLETED", job
    page = Path(job["paths"]["html"]).read_text(encoding="utf-8")
    assert "What stands out" in page
    assert "Knee flexion" in page
