"""An exercise made by the recipe of the documentation, as a package of its own."""

from __future__ import annotations

import json
import os
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from lab_trials import write_truth
from notebook_cells import run_every_cell, workbench
from processes import ended

from mobility.sessions.files import read_dataset


def package_of_the_page(project: Path, folder: Path) -> None:
    """Write the files that the page shows, and what an installation adds to them."""
    page = (project / "docs" / "own-exercise.md").read_text(encoding="utf-8")
    files = dict(re.findall(r"^## `(.+?)`\n.*?^```\w+\n(.*?)^```", page, flags=re.S | re.M))
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    points = tomllib.loads(files["pyproject.toml"])["project"]["entry-points"]
    lines = [f"{name} = {value}" for name, value in points["mobility.exercises"].items()]
    installed = folder / "arm_raise-0.1.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: arm-raise\nVersion: 0.1\n")
    (installed / "entry_points.txt").write_text("\n".join(["[mobility.exercises]", *lines]))


@pytest.mark.slow
def test_an_arm_raise_is_analysed_and_reported(project: Path, tmp_path: Path) -> None:
    package_of_the_page(project, tmp_path / "site")
    # Rendered: the left arm is raised to 155 degrees three times, seen from the left.
    demo = project / "data" / "demo" / "joint-angle-mobility"
    paths = [str(tmp_path / "site"), str(project), os.environ.get("PYTHONPATH", "")]
    path = os.pathsep.join(filter(None, paths))
    environment = os.environ | {"PYTHONPATH": path}
    places = ("--json", "--store", tmp_path / "sessions", "--reports", tmp_path / "reports")

    def mobility(*typed: object) -> Any:
        return ended([sys.executable, "-m", "mobility.cli", *typed, *places], env=environment)

    video = demo / "video.mp4"
    made = mobility(
        *("analyze", video, "--exercise", "arm-raise", "--report", "--no-annotate"),
    )
    assert made.returncode == 0, made.stderr
    session = json.loads(made.stdout)["session_id"]
    metrics = read_dataset(tmp_path / "sessions" / session / "metrics.nc")
    assert metrics.attrs["exercise"] == "Arm Raise"
    assert int(metrics["accepted_repetitions"]) == 3
    arm = metrics["shoulder_flexion"].sel(side="left")
    sd = metrics["shoulder_flexion_sd"].sel(side="left")
    assert abs(arm - 155) < 1.96 * sd < 30
    assert "knee_flexion" not in metrics
    page = (tmp_path / "reports" / session / "arm-raise.html").read_text(encoding="utf-8")
    assert "<h1>Arm raise</h1>" in page
    assert "Shoulder elevation of at least 120" in page
    assert "<summary><h2>Scores</h2>" not in page
    # The workbench asks the exercise, too.
    notebook = workbench(project, tmp_path, expected=session)
    run_every_cell(notebook, project, tmp_path, PYTHONPATH=path)
    # Without `lab` in its table it is compared in what it measures, at its turning point.
    lab = write_truth(demo, tmp_path / "lab.trc")
    compared = mobility("validate", session, lab, "--max-lag-s", 1)
    assert compared.returncode == 0, compared.stderr
    document = json.loads(compared.stdout)
    assert document["lag_s"] == pytest.approx(0.25, abs=0.03)
    assert document["values"] == {
        **{"bottom": "at the top", "peak": "at its peak", "range": "range of motion"}
    }
    assert set(document["angles"]) == {"shoulder_flexion", "elbow_flexion", "trunk_lean"}
    top = document["angles"]["shoulder_flexion"]["left"]["bottom"]
    assert (top["pairs"], document["times"]) == (3, {})
    assert abs(top["mean_difference"]) < 15
