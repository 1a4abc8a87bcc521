"""benchmarks/joints.py: the error of one measurement, of movements that are filmed twice."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pandas as pd
import pytest


@pytest.fixture(scope="module")
def benchmark(program) -> ModuleType:
    return program("joints")


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
