"""An exercise made by the recipe of the documentation, as a package of its own."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lab_trials import write_truth
from notebook_cells import run_every_cell, workbench
from own_package import package_of_the_page
from processes import ended

from mobility import tables
from mobility.exercise_table import PARTS
from mobility.sessions.files import read_dataset


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
    # Commanded: 1.3 s up, 0.4 s held, 1.3 s down, then 0.6 s of rest, which belongs to none. A way
    # begins and ends at 5 % of its peak speed, and the top is all within 3 % of it.
    truth = read_dataset(video.with_name("truth.nc"))
    found = read_dataset(tmp_path / "sessions" / session / "repetitions.nc")
    for event in ("start", "bottom", "end"):
        assert np.abs(found[event].to_numpy() - truth[event].to_numpy()).max() < 0.25, event
    for name in ("descent_duration", "ascent_duration"):
        assert np.abs(metrics[name].to_numpy() - 1.0).max() < 0.15, name
    assert np.abs(metrics["bottom_duration"].to_numpy() - 0.7).max() < 0.15
    assert metrics["descent_duration"].attrs["long_name"] == "duration of the way up"
    assert (
        metrics["shoulder_flexion_bottom"]
        .attrs["long_name"]
        .endswith("at the top of each repetition")
    )
    assert "depth" not in metrics
    page = (tmp_path / "reports" / session / "arm-raise.html").read_text(encoding="utf-8")
    assert "<h1>Arm raise</h1>" in page
    assert "Shoulder elevation of at least 120" in page
    assert "<summary><h2>Scores</h2>" not in page
    own = page.partition("<summary><h2>Elbows</h2>")[2]
    assert re.search(r"At the top the elbows bend by \d+° or less\.", own)
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
    for words in ("Arms down: left shoulder", "Top: left", "Up / top / down, s", "Up / down"):
        assert words in page, words
    seen = re.sub(
        r"<(script|style)\b.*?</\1>", "", page.partition("<h2>The recording")[0], flags=re.S
    )
    for words in ("ottom", "Down / ", "Depth", "knee flexion", "squat"):
        assert words not in seen, words


def test_the_page_lists_what_can_be_picked(project: Path) -> None:
    page = (project / "docs" / "own-exercise.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \|.*?\| (.*?) \|$", page, flags=re.M)
    listed = {part: re.findall(r"`(\w+)`", names) for part, names in rows}
    assert listed == {part: list(tables.load("measures")[part]) for part in PARTS}
