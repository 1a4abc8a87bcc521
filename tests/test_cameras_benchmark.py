"""benchmarks/cameras.py on errors that are known."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mobility.errors import BadInputError

pytestmark = pytest.mark.slow

START = 0.3
"""Seconds by which the second camera was started later."""


@pytest.fixture(scope="module")
def benchmark(program) -> ModuleType:
    return program("cameras")


def angles(names: tuple[str, ...], times: np.ndarray, error: Any, late: float = 0.0) -> xr.Dataset:
    """Angles that grow by ten degrees a second, less these errors."""
    values = 10.0 * (times + late) + error
    return xr.Dataset(dict.fromkeys(names, ("time", values)), coords={"time": times})


def fitted_as(
    monkeypatch: pytest.MonkeyPatch, benchmark: ModuleType, found: dict[str, xr.Dataset]
) -> None:
    """Let the fit of "first", "second" or both give these angles."""

    def fit_body(poses: Any) -> str:
        return "both" if isinstance(poses, list) else poses

    monkeypatch.setattr(benchmark, "cleaned", lambda pose: pose)
    monkeypatch.setattr(
        benchmark, "mb", SimpleNamespace(fit_body=fit_body, joint_angles=found.__getitem__)
    )


def test_errors_are_compared_where_all_three_give_a_value(
    benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = np.arange(41) / 20
    # Where one gives nothing, large errors of the others do not count.
    refused = np.where(times < 0.5, np.nan, 1.0)
    there = np.where(times < 0.5, 40.0, 0.5)
    found = {
        "first": angles(benchmark.ANGLES, times, refused),
        "second": angles(benchmark.ANGLES, times - START, -2.0, START),
        "both": angles(benchmark.ANGLES, times, there),
    }
    fitted_as(monkeypatch, benchmark, found)
    truth = angles(benchmark.ANGLES, np.arange(81) / 40, 0.0)
    table, fit, shown = benchmark.compared("first", "second", truth, START)
    assert fit == "both"
    assert shown is found["both"]
    assert sorted(table.index) == sorted(benchmark.ANGLES)
    for view, error in (("first", 1.0), ("second", 2.0), ("both", 0.5)):
        np.testing.assert_allclose(table[view], error, atol=1e-9)
    # Without its offset the second camera would be wrong by as much as the angle grows meanwhile.
    table, _, _ = benchmark.compared("first", "second", truth, 0.0)
    np.testing.assert_allclose(table["second"], 10 * START - 2.0, atol=1e-9)


def test_a_grid_is_told_by_its_means_and_by_the_better_camera(
    benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pairs = {"one": (3.0, 4.0, 2.0), "two": (6.0, 5.0, 5.5), "three": None}

    def compared(first: str, *_: Any) -> tuple[pd.DataFrame, None, None]:
        if pairs[first] is None:
            raise BadInputError("no body is seen")
        values = dict(zip(("first", "second", "both"), pairs[first], strict=True))
        return pd.DataFrame(values, index=list(benchmark.ANGLES)), None, None

    listed = [
        SimpleNamespace(case=SimpleNamespace(name=name), second=SimpleNamespace(start=0.0))
        for name in pairs
    ]
    monkeypatch.setattr(benchmark, "read_pairs", lambda _: listed)
    monkeypatch.setattr(benchmark, "poses_of", lambda pair, _: (pair.case.name, None))
    monkeypatch.setattr(benchmark, "pair_folder", lambda cache, _: cache)
    monkeypatch.setattr(benchmark, "true_angles", lambda _: None)
    monkeypatch.setattr(benchmark, "compared", compared)
    benchmark.of_grid(Path("grid.yaml"), Path("cache"))
    said = capsys.readouterr().out
    assert "three: no body is seen" in said
    assert "mean of 2 pairs" in said
    mean = next(line for line in said.splitlines() if line.startswith("MEAN OF SIX"))
    assert [float(part) for part in mean.split()[3:]] == [4.5, 4.5, 3.75]
    # 3 less 2, and 5 less 5.5.
    assert "better camera of each pair 4.00, less both 0.25 ± 0.75" in said
    assert "both better than it in 50%" in said
    pairs |= {"one": None, "two": None}
    with pytest.raises(SystemExit, match="no pair could be fitted"):
        benchmark.of_grid(Path("grid.yaml"), Path("cache"))
