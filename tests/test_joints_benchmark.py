"""benchmarks/joints.py: what is drawn, and the angles of goniometry that it compares with."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from extras import require

from mobility.errors import BadInputError, VideoError
from mobility.virtual_lab.case import perform_case, true_positions, write_dataset
from mobility.virtual_lab.single_joint import MOVEMENTS


@pytest.fixture(scope="module")
def benchmark(program) -> ModuleType:
    return program("joints")


def test_grids_draw_the_same_each_time_and_different_people(benchmark, project):
    folder = project / "benchmarks"
    grids = [list(benchmark.clips(folder / f"movements{end}.yaml")) for end in ("", "_reporting")]
    again = list(benchmark.clips(folder / "movements.yaml"))
    assert grids[0] == again
    for grid in grids:
        assert {clip.case.motion.movement for clip in grid} == set(MOVEMENTS)
        assert len({clip.case.name for clip in grid}) == len(grid)
        sexes = [clip.case.body.sex for clip in grid]
        assert sexes.count("male") == pytest.approx(len(grid) / 2, abs=1)
    explored, reported = ({clip.case.name: clip.case for clip in grid} for grid in grids)
    for name in explored.keys() & reported.keys():
        assert explored[name].body != reported[name].body
    assert next(benchmark.clips(folder / "upper_body.yaml")).case.name == "elbow_upper_f"


def test_each_movement_is_filmed_twice_in_the_same_set_up(benchmark, project):
    takes = list(benchmark.clips(project / "benchmarks" / "movements_twice.yaml"))
    assert [clip.take for clip in takes] == [1, 2] * 15
    assert {clip.case.motion.movement for clip in takes} == set(MOVEMENTS)
    for one, other in zip(takes[::2], takes[1::2], strict=True):
        first, second = one.case, other.case
        assert first.body == second.body
        assert first.motion.to == second.motion.to
        assert first.look.shirt == second.look.shirt
        assert first.camera != second.camera
        assert abs(first.camera.azimuth - second.camera.azimuth) <= 8
        assert abs(first.camera.distance_m - second.camera.distance_m) <= 0.2
        assert first.motion.repetitions >= 3  # fewer tell no spread


@pytest.mark.slow
def test_truth_and_picture_agree_in_the_right_view(benchmark: ModuleType, project: Path) -> None:
    require("virtual-lab", "anny", "torch")
    for clip in benchmark.clips(project / "benchmarks" / "movements.yaml"):
        if clip.beside:
            continue
        motion = clip.case.motion
        time = np.arange(0, motion.phases.duration_s, 0.1)
        body, trial = perform_case(clip.case, time)
        truth = true_positions(clip.case, body, trial)
        image = seen(truth, clip.case.camera.azimuth)
        for side in benchmark._seen(clip):
            known = benchmark.true_angle(truth, motion, side)
            flat = benchmark.picture_angle(image, clip.case, side)
            smallest, largest = benchmark._ends(known, truth)
            # What moves out of the plane of the picture (toes out, arms off the trunk) is all.
            np.testing.assert_allclose(benchmark._ends(flat, truth), (smallest, largest), atol=3.5)
            if motion.movement != "trunk_lateral_flexion":  # its back bends, and leans by less
                nearest = min(abs(smallest - motion.to), abs(largest - motion.to))
                assert nearest < 6, clip.case.name


def seen(truth: xr.Dataset, azimuth: float) -> xr.Dataset:
    """Truth as a camera far away would see it, in pixels, y down."""
    turn = np.radians(azimuth)
    position = truth["position"].astype(float)
    aside = np.cos(turn) * position.sel(space="x") - np.sin(turn) * position.sel(space="z")
    image = xr.concat([1000 * aside, -1000 * position.sel(space="y")], "pixel", coords="minimal")
    return xr.Dataset({"image_position": image.expand_dims(individual=["subject"])})


def test_the_summary_counts_ends_that_are_off_or_refused(benchmark: ModuleType) -> None:
    table = pd.DataFrame(
        {
            "movement": "knee_flexion",
            "crop": "whole",
            "beside": [0, 0, 20, 20],
            "end": ["largest", "smallest"] * 2,
            "error": [-6.0, 2.0, 9.0, np.nan],
            "picture_error": [1.0, 1.0, 8.0, 8.0],
            "half": [8.0, 12.0, 5.0, np.nan],
            "held": [True, True, False, False],
        }
    )
    right, beside = (row for _, row in benchmark.aims(table).iterrows())
    assert (right["within"], right["mean error"], right["held (90 %)"]) == (0.5, 4.0, 1.0)
    assert (right["half <= 10"], right["refused"]) == (0.5, 0.0)
    assert (beside["within"], beside["held (90 %)"], beside["refused"]) == (1.0, 0.0, 0.5)
    rows = benchmark.summary(table)
    assert rows["largest"].tolist() == [6.0, 9.0]
    assert rows["picture"].tolist() == [1.0, 8.0]


def test_pairs_of_takes_tell_the_error_of_one_measurement(benchmark: ModuleType) -> None:
    """Two measurements with errors of 2 degrees each: SEM 2, MDC95 1.96 sqrt(2) 2 = 5.5."""
    rng = np.random.default_rng(3)
    true = np.repeat(rng.uniform(20, 150, 2000), 2) + np.tile([0.0, 1.0], 2000)
    takes = pd.DataFrame(
        {
            "movement": np.repeat([f"m{k}" for k in range(2000)], 2),
            "side": "left",
            "true": true,
            "end_of_range": true + rng.normal(0, 2, 4000),
            "repeatability": 1.0,
            "detectable_change": 1.96 * np.sqrt(2) * 2,
        }
    )
    takes.loc[0, "end_of_range"] = np.nan  # refused once: no pair
    pairs = benchmark.pairs(takes.drop(index=2))  # filmed once: no pair
    rows = benchmark.repeated(pairs).set_index("of")
    assert rows["pairs"].tolist() == [1999, 1998, 1998]
    assert rows.loc["true change", "mean |change|"] == pytest.approx(1)
    by_error = rows.loc["by error"]
    assert (by_error["SEM"], by_error["MDC95"]) == pytest.approx((2, 5.54), rel=0.05)
    assert by_error["below stated (95 %)"] == pytest.approx(0.95, abs=0.015)
    for factor, below in ((0.5, 0.67), (np.nan, np.nan)):
        less = takes.assign(detectable_change=takes["detectable_change"] * factor)
        rows = benchmark.repeated(benchmark.pairs(less)).set_index("of")
        stated = rows.loc["by error", "below stated (95 %)"]
        assert stated == pytest.approx(below, abs=0.03, nan_ok=True)


@pytest.mark.slow
def test_a_clip_in_which_nobody_is_found_is_refused(benchmark, project, tmp_path, monkeypatch):
    def nobody(video: Path) -> xr.Dataset:
        raise VideoError(f"{video.name}: nobody was found in it")

    require("virtual-lab", "anny", "torch")
    monkeypatch.setattr(benchmark.mb, "estimate_pose", nobody)
    clip = next(benchmark.clips(project / "benchmarks" / "movements.yaml"))
    (tmp_path / clip.case.name).mkdir()
    truth = true_positions(clip.case, *perform_case(clip.case))
    write_dataset(truth, tmp_path / clip.case.name / "truth.nc")
    rows, seen_limbs = benchmark.errors(clip, tmp_path)
    assert seen_limbs == []
    assert [row["note"] for row in rows] == ["video.mp4: nobody was found in it"] * 2
    assert np.isnan([row["ours"] for row in rows] + [row["picture"] for row in rows]).all()
    assert rows[1]["true"] == pytest.approx(clip.case.motion.to, abs=1)
    other = clip._replace(case=clip.case.model_copy(update={"name": "other"}))
    (tmp_path / clip.case.name).rename(tmp_path / "other")
    with pytest.raises(BadInputError, match="is another case of this name"):
        benchmark.errors(other, tmp_path)
