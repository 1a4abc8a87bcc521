"""An exercise made by the recipe of the documentation, as a package of its own."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from own_package import package_of_the_page
from processes import ended

from mobility.sessions.files import read_dataset


@pytest.mark.slow
def test_an_arm_raise_is_analysed_and_reported(project: Path, tmp_path: Path) -> None:
    package_of_the_page(project, tmp_path / "site")
    # Rendered: the left arm is raised to 155 degrees three times, seen from the left.
    video = project / "data" / "demo" / "joint-angle-mobility" / "video.mp4"
    paths = [str(tmp_path / "site"), str(project), os.environ.get("PYTHONPATH", "")]
    made = ended(
        [
            *(sys.executable, "-m", "mobility.cli", "analyze", video, "--exercise", "arm-raise"),
            *("--report", "--json", "--store", tmp_path / "store", "--no-annotate"),
            *("--reports", tmp_path / "reports"),
        ],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))},
    )
    assert made.returncode == 0, made.stderr
    session = json.loads(made.stdout)["session_id"]
    metrics = read_dataset(tmp_path / "store" / session / "metrics.nc")
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
