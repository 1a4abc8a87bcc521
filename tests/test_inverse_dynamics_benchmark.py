"""benchmarks/inverse_dynamics.py: our moments, beside those of OpenSim."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

LARGEST_NM = 5.0


@pytest.fixture(scope="module")
def inverse_dynamics(program) -> ModuleType:
    return program("inverse_dynamics")


def test_without_the_data_the_reason_is_given(inverse_dynamics: ModuleType, tmp_path: Path) -> None:
    assert "needs the shared data" in inverse_dynamics.missing(tmp_path)


@pytest.mark.parametrize("trial", ["squats1", "squatsAsym1"])
def test_moments_are_those_of_opensim(
    other_readers, inverse_dynamics: ModuleType, shared_data: Path, trial: str
) -> None:
    assert not inverse_dynamics.missing(shared_data)
    rows = inverse_dynamics.compare(shared_data / inverse_dynamics.FOLDER, trial)
    assert len(rows) == 12
    for row in rows:
        assert row["frames"] > 1200
        # The joint centres from markers differ from those of the model by up to 2 cm.
        if row["centres"] == "model":
            assert row["largest_nm"] < LARGEST_NM, row
            assert row["rms_nm"] < 0.1 * row["peak_nm"], row
        assert row["rms_nm"] < LARGEST_NM, row
