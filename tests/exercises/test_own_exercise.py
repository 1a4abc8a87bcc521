"""An exercise made by the recipe of the documentation, as a package of its own."""

from __future__ import annotations

import json
import os
import re
import sys
import tomllib
from pathlib import Path

import pytest
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
    installed = folder / "heel_raise-0.1.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: heel-raise\nVersion: 0.1\n")
    (installed / "entry_points.txt").write_text("\n".join(["[mobility.exercises]", *lines]))


@pytest.mark.slow
def test_a_heel_raise_is_analysed_and_reported(project: Path, tmp_path: Path) -> None:
    from mobility.virtual_lab.case import case_from, render_case

    package_of_the_page(project, tmp_path / "site")
    raised = {"left": 30.0, "right": 30.0}
    motion = {"repetitions": 3, "depth": 8, "heel_rise": raised, "bottom_s": 0.6, "lead_s": 1.5}
    case = case_from({"motion": motion, "camera": {"azimuth": 45}})
    video, _ = render_case(case, tmp_path / "video")
    paths = [str(tmp_path / "site"), str(project), os.environ.get("PYTHONPATH", "")]
    made = ended(
        [
            *(sys.executable, "-m", "mobility.cli", "analyze", video, "--exercise", "heel-raise"),
            *("--report", "--json", "--store", tmp_path / "store", "--no-annotate"),
            *("--reports", tmp_path / "reports"),
        ],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))},
    )
    assert made.returncode == 0, made.stderr
    session = json.loads(made.stdout)["session_id"]
    metrics = read_dataset(tmp_path / "store" / session / "metrics.nc")
    assert metrics.attrs["exercise"] == "Heel Raise"
    assert int(metrics["accepted_repetitions"]) == 3
    error = metrics["heel_rise"] - 30
    assert (abs(error) < 1.96 * metrics["heel_rise_sd"]).all()
    assert "trunk_lean" not in metrics
    page = (tmp_path / "reports" / session / "heel-raise.html").read_text(encoding="utf-8")
    assert "<h1>Heel raise</h1>" in page
    assert "Your heels rise" in page
    assert "Scores</h2>" not in page
