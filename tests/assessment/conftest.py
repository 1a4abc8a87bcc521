"""Fixtures of the tests of metrics."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr


@pytest.fixture(scope="module")
def repetitions_of() -> Any:
    """The true repetitions of an analytic trial, in the layout of find_repetitions."""

    def make(trial: Any, accepted: list[bool] | None = None) -> xr.Dataset:
        truth = trial.truth
        n = truth.sizes["rep"]
        kept = np.array([True] * n if accepted is None else accepted, bool)
        height = truth["hip_height"]
        lowest = float(height.min()) if height.size else 1.0
        return truth[["start", "bottom_start", "bottom", "bottom_end", "end"]].assign(
            depth=("rep", np.full(n, 100 * (1 - lowest)), {"units": "percent"}),
            accepted=("rep", kept),
            complete=("rep", np.full(n, True)),
            start_seen=("rep", np.full(n, True)),
            end_seen=("rep", np.full(n, True)),
            reason=("rep", np.array(["" if k else "truncated" for k in kept], dtype=object)),
            hip_height=height,
            standing=truth["crouch"] < 0.001,
        )

    return make
