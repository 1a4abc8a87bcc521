"""Grids of squats that two cameras film, and how what is told of them is counted."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from mobility import tables
from mobility.view import TWO_CAMERAS

GRID = "findings_pairs_2.yaml"


@pytest.fixture(scope="module")
def pairs(program) -> ModuleType:
    return program("pairs")


@pytest.fixture(scope="module")
def benchmark(program) -> ModuleType:
    return program("findings_pairs")


def test_pairs_are_of_people_whose_trunks_flex_and_each_has_its_folder(
    pairs: ModuleType, project: Path
) -> None:
    counted = pairs.read_pairs(project / "benchmarks" / GRID)
    assert len(counted) == 40
    assert all(15 <= pair.case.squat.lumbar_flexion <= 60 for pair in counted)
    assert len({pairs.pair_folder(Path(), pair) for pair in counted}) == 40


def test_a_second_camera_is_aimed_and_framed_as_the_first(pairs: ModuleType, project: Path) -> None:
    least = tables.load("views")["two_cameras"]["least_apart_deg"]
    grid = pairs.read_pairs(project / "benchmarks" / GRID)
    assert np.std([second.start for _, second in grid]) > 0.1  # not started together
    for case, second in grid:
        apart = abs((second.camera["azimuth"] - case.camera.azimuth + 180) % 360 - 180)
        assert least <= apart <= 180 - least
        # Framed: from where feet and raised hands of this person are in the picture.
        assert 1.5 < second.camera["distance_m"] < 5
        lead = case.squat.lead_s
        assert abs(second.start) < lead  # both see each repetition as a whole


def test_a_pair_is_counted_by_what_was_seen(
    benchmark: ModuleType, pairs: ModuleType, project: Path
) -> None:
    pair = pairs.read_pairs(project / "benchmarks" / GRID)[0]  # in front, and at the side
    views = [benchmark.Seen(pair, camera).view for camera in (None, 0, 1)]
    assert views == [TWO_CAMERAS, "front", "side"]


@pytest.mark.slow
def test_both_cameras_are_assessed_together_and_kept(
    benchmark: ModuleType,
    pairs: ModuleType,
    project: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pair = pairs.read_pairs(project / "benchmarks" / GRID)[0]
    folder = pairs.pair_folder(tmp_path, pair)
    folder.mkdir()
    demo = project / "data" / "demo" / "overhead-squat"
    (folder / "truth.nc").symlink_to(demo / "truth.nc")
    asked = []

    def fitted(poses: list[object]) -> object:
        asked.append(poses)
        return benchmark.read_pose(demo / "fitted.nc")

    monkeypatch.setattr(benchmark, "poses_of", lambda pair, cache: ("first", "second"))
    monkeypatch.setattr(benchmark, "cleaned", str.upper)
    monkeypatch.setattr(benchmark, "fit_body", fitted)
    metrics, truth = benchmark.assessed(benchmark.Seen(pair), tmp_path)
    benchmark.assessed(benchmark.Seen(pair, 1), tmp_path)
    assert asked == [["FIRST", "SECOND"], ["SECOND"]]
    assert float(metrics["knee_flexion"].mean()) == pytest.approx(
        float(truth["knee_flexion"].mean()), abs=10
    )
    kept = benchmark.assessed(benchmark.Seen(pair), tmp_path, resume=True)[0]
    assert len(asked) == 2
    np.testing.assert_allclose(kept["knee_flexion"], metrics["knee_flexion"])
