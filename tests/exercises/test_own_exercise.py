"""An exercise made by the recipe of the documentation, as a package of its own."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import extras
import numpy as np
import pytest
import xarray as xr
from lab_trials import write_truth
from notebook_cells import run_every_cell, workbench
from other_processes import ended
from own_package import package_of_the_page

from mobility.sessions.files import read_dataset


def heights(pose: xr.Dataset, joint: str) -> xr.DataArray:
    """Height of a joint, mean of both sides, cm."""
    both = pose["position"].sel(space="y", keypoint=[f"left_{joint}", f"right_{joint}"])
    return 100 * both.mean("keypoint").squeeze()


def rise(pose: xr.Dataset, joint: str, tops: np.ndarray) -> float:
    """How far it is higher at the tops than in the first second, cm."""
    height = heights(pose, joint)
    at_top = height.sel(time=tops, method="nearest").median()
    return float(at_top - height.sel(time=slice(0, 1)).median())


@pytest.mark.slow
def test_a_heel_raise_is_analysed_and_reported(project: Path, tmp_path: Path) -> None:
    extras.require("virtual-lab", "anny", "pyvista", "torch")
    from heel_raises import film_heel_raises

    package_of_the_page(project, tmp_path / "site")
    video = film_heel_raises(tmp_path / "film")
    truth = read_dataset(video.with_name("truth.nc"))
    paths = [str(tmp_path / "site"), str(project), os.environ.get("PYTHONPATH", "")]
    path = os.pathsep.join(filter(None, paths))
    environment = os.environ | {"PYTHONPATH": path}
    places = ("--json", "--store", tmp_path / "sessions", "--reports", tmp_path / "reports")

    def mobility(*typed: object) -> Any:
        return ended([sys.executable, "-m", "mobility.cli", *typed, *places], env=environment)

    made = mobility("analyze", video, "--exercise", "heel-raise", "--report", "--no-annotate")
    assert made.returncode == 0, made.stderr
    session = json.loads(made.stdout)["session_id"]

    def dataset(name: str) -> xr.Dataset:
        return read_dataset(tmp_path / "sessions" / session / f"{name}.nc")

    metrics, found, fitted = dataset("metrics"), dataset("repetitions"), dataset("fitted")
    assert metrics.attrs["exercise"] == "Heel Raise"
    assert int(metrics["accepted_repetitions"]) == 3
    # Its own measure, of which each frame has an error, at its own moment.
    tops = truth["bottom"].to_numpy()
    true_rise = rise(truth, "hip", tops)
    half = 1.96 * float(metrics["body_rise_sd"])
    assert abs(float(metrics["body_rise"]) - true_rise) < half < 3
    assert metrics["body_rise_top"].attrs["long_name"].endswith("at the top of each repetition")
    # As the page says: the feet come up as a whole.
    assert rise(truth, "heel", tops) == pytest.approx(9.4, abs=0.1)
    assert rise(fitted, "heel", tops) < 8
    assert rise(fitted, "foot_index", tops) > 2
    # Commanded: 1 s up, 0.5 s held, 1 s down, and rest, which belongs to none. A way begins and
    # ends at 5 % of its peak speed, and the top is all within 3 % of it.
    for event in ("start", "bottom", "end"):
        assert np.abs(found[event].to_numpy() - truth[event].to_numpy()).max() < 0.25, event
    durations = {"raise_duration": 1.0, "hold_duration": 0.65, "lower_duration": 1.0}
    for name, seconds in durations.items():
        assert np.abs(metrics[name].to_numpy() - seconds).max() < 0.25, name
    assert not found["standing"].sel(time=tops, method="nearest").any()
    assert not {"depth", "descent_duration", "ankle_dorsiflexion"} & {*metrics.data_vars}

    page = (tmp_path / "reports" / session / "heel-raise.html").read_text(encoding="utf-8")
    assert "<h1>Heel raise</h1>" in page
    for words in ("Heels down: ", "Top: ", "Raise / hold / lower, s", "Rise of the body"):
        assert words in page, words
    assert "Rise of the body of at least 3.0 cm" in page
    assert "<summary><h2>Scores</h2>" not in page
    own = page.partition("<summary><h2>Pace</h2>")[2]
    assert re.search(r"You rise in \d\.\d s and lower in \d\.\d s\.", own)
    seen = re.sub(
        r"<(script|style)\b.*?</\1>", "", page.partition("<h2>The recording")[0], flags=re.S
    )
    for words in ("ottom", "Down / ", "Depth", "squat", "escent"):
        assert words not in seen, words
    # The workbench asks the exercise, too.
    notebook = workbench(project, tmp_path, expected=session)
    run_every_cell(notebook, project, tmp_path, PYTHONPATH=path)
    # Without `lab` in its table it is compared in the angles that it measures, which hardly move.
    compared = mobility("validate", session, write_truth(video.parent, tmp_path / "lab.trc"))
    assert compared.returncode == 2
    assert "none of knee_flexion, hip_flexion, trunk_lean moves in both" in compared.stderr
