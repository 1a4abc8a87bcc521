"""Eleven errors on filmed squats with marker data, beside those of OpenCap Monocular."""

from __future__ import annotations

import importlib.util
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

import mobility as mb
from mobility.kinematics.fit import VISIBILITY_THRESHOLD

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def filmed(project) -> ModuleType:
    """The module benchmarks/filmed.py."""
    spec = importlib.util.spec_from_file_location("filmed", project / "benchmarks/filmed.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def lab(filmed, shared_data) -> Any:
    return filmed.reference(shared_data / "lab")


@pytest.fixture(scope="module")
def theirs(filmed, shared_data, lab) -> pd.Series:
    return pd.Series(filmed.row(filmed.opencap_monocular(shared_data / "lab"), lab))


@pytest.fixture(scope="module")
def fitted(opencap_pose) -> Any:
    cleaned = mb.clean_pose(opencap_pose, visibility_threshold=VISIBILITY_THRESHOLD)
    return mb.joint_angles(mb.fit_body(cleaned))


def mean(row: pd.Series, name: str) -> float:
    return float(row[[f"{name} left", f"{name} right"]].mean())


def test_the_reference_agrees_with_itself(filmed, lab) -> None:
    assert max(filmed.row(lab, lab).values()) < 1e-6
    late = lab.assign_coords(time=lab["time"] + 0.4)
    assert filmed.lagged(late, lab)[1] == pytest.approx(-0.4, abs=0.006)
    assert max(filmed.row(late, lab).values()) < 0.2


def test_opencap_monocular_is_read_rightly(theirs) -> None:
    # A knee that is so near says that times, axes and names of its model were read rightly.
    assert len(theirs) == 11
    assert np.isfinite(theirs).all()
    assert 3.3 < mean(theirs, "knee_flexion") < 4.0


def test_fitted_body_reaches_the_bar(filmed, lab, theirs, fitted) -> None:
    ours = pd.Series(filmed.row(fitted, lab))
    assert list(ours.index) == list(theirs.index)
    assert np.isfinite(ours).all()
    for name in ("knee_flexion", "ankle_dorsiflexion", "shoulder_flexion"):
        assert mean(ours, name) < filmed.BAR * mean(theirs, name), name


def test_shares_within_the_sd_are_shares(filmed, lab, fitted) -> None:
    shares = filmed.within(fitted, lab)
    assert all(0 < share <= 1 for share in shares.values())
    assert shares["knee_flexion"] > 0.9
