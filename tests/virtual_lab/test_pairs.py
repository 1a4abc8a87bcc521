"""Grids of squats that two cameras film, and how what is told of them is counted."""

from __future__ import annotations

import importlib
import warnings
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from mobility import tables
from mobility.view import TWO_CAMERAS
from mobility.virtual_lab.case import perform_case, true_positions, truth_pose

GRIDS = ("findings_pairs.yaml", "pairs_tuning.yaml", "findings_pairs_2.yaml", "errors_pairs.yaml")


@pytest.fixture
def pairs(project: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Give the module benchmarks/pairs.py."""
    monkeypatch.syspath_prepend(project / "benchmarks")
    return importlib.import_module("pairs")


@pytest.fixture
def benchmark(pairs: ModuleType) -> ModuleType:
    """Give the module benchmarks/findings_pairs.py."""
    return importlib.import_module("findings_pairs")


def test_grids_have_other_people_motions_and_cameras(pairs: ModuleType, project: Path) -> None:
    first, tuning, counted, more = (
        pairs.read_pairs(project / "benchmarks" / name) for name in GRIDS
    )
    evaluated = [*first, *counted, *more]
    assert len(evaluated) == 32 + 40 + 24
    # Their trunks flex as people's do.
    assert all(15 <= pair.case.squat.lumbar_flexion <= 60 for pair in evaluated)
    assert len(tuning) >= 10
    for part in ("body", "motion", "camera"):
        seen = {str(getattr(pair.case, part)) for pair in tuning}
        assert not seen & {str(getattr(pair.case, part)) for pair in evaluated}, part
    folders = {pairs.pair_folder(Path(), pair) for pair in (*evaluated, *tuning)}
    assert len(folders) == len(evaluated) + len(tuning)


def test_a_second_camera_is_aimed_and_framed_as_the_first(pairs: ModuleType, project: Path) -> None:
    least = tables.load("view_support")["two_cameras"]["least_apart_deg"]
    for name in GRIDS:
        grid = pairs.read_pairs(project / "benchmarks" / name)
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
    pair = pairs.read_pairs(project / "benchmarks" / GRIDS[0])[0]  # in front, and at the side
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
    pair = pairs.read_pairs(project / "benchmarks" / GRIDS[0])[0]
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


def test_each_fault_is_clearly_there_in_many_pairs_and_not_in_many(
    extra: None, benchmark: ModuleType, pairs: ModuleType, project: Path
) -> None:
    findings = importlib.import_module("findings")
    rules = tables.load("findings")["rules"].values()
    looked = {
        rule["metric"]: rule.get("relevant", rule.get("threshold"))
        for rule in rules
        if rule["direction"] in ("beyond_mdc", "outside") or rule["metric"] == "toe_out"
    }
    del looked["dowel_offset"]
    assert len(looked) == 8
    there = {metric: [0, 0] for metric in looked}
    with warnings.catch_warnings():
        # What torch and warp warn of while they are imported is not ours.
        warnings.simplefilter("ignore")
        for case, _ in pairs.read_pairs(project / "benchmarks" / GRIDS[0]):
            # Fewer frames take less time, and show the same faults.
            film = case.video.model_copy(update={"frame_rate": 8.0})
            case = case.model_copy(update={"video": film})
            truth = benchmark.measured(truth_pose(true_positions(case, *perform_case(case))))
            for metric, limit in looked.items():
                value = np.atleast_1d(truth[metric].to_numpy())
                margin = findings.MARGIN[metric]
                true = findings.true_or_not(value, limit, "outside", margin)
                if true is not None:
                    there[metric][true] += 1
    for metric, (absent, present) in there.items():
        assert present >= 9, metric
        assert absent >= 15, metric
