"""Our formulas on the markers of ten people's overhead squats, beside the lab's own angles."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pandas as pd
import pytest

import mobility as mb
from mobility.base.provenance import warnings_of

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def uiprmd(program) -> ModuleType:
    return program("uiprmd")


@pytest.fixture(scope="module")
def lab(shared_data) -> Any:
    return shared_data / "lab" / "uiprmd"


@pytest.fixture(scope="module")
def agreement(uiprmd, lab) -> pd.DataFrame:
    return uiprmd.agreement(lab)


@pytest.mark.parametrize("angle", ["knee_flexion", "hip_flexion", "ankle_dorsiflexion"])
def test_every_person_s_angles_follow_those_of_the_lab(agreement, angle) -> None:
    rows = agreement[agreement["angle"] == angle]
    assert rows["person"].nunique() == 10
    assert rows["r"].min() >= 0.97
    assert rows.groupby("person")["r"].median().median() >= 0.99


def test_people_differ_by_a_constant_in_the_hip(uiprmd, lab) -> None:
    """The lab measures the pelvis against the thigh, we the trunk."""
    table = uiprmd.correlations(lab)
    assert (table["pooled, less the mean of each person"] >= 0.98).all()
    assert table["pooled frames"].drop("hip_flexion").min() >= 0.98
    assert table.loc["hip_flexion", "pooled frames"] < 0.97


def test_a_squat_of_the_lab_is_measured(uiprmd, lab) -> None:
    path = lab / "m01_s03_e01_positions_vicon.txt.gz"
    pose = uiprmd.pose(path)
    repetitions = mb.find_repetitions(pose)
    assert repetitions["accepted"].values.tolist() == [True]
    metrics = uiprmd.metrics(path)
    codes = {warning["code"] for warning in warnings_of(metrics)}
    assert "hands_not_overhead" not in codes
    for name in ("heel_rise", "trunk_tibia_difference", "dowel_offset", "lateral_shift", "toe_out"):
        assert metrics[name].notnull().all(), name
    assert abs(metrics["heel_rise"]).max() < 5
    assert -3 < float(metrics["smoothness_sparc"]) < -1.4


def test_quality_of_squats_done_well_and_poorly(uiprmd, lab) -> None:
    """Not for all five: one holds the hands over the feet when squatting badly only."""
    table = uiprmd.qualities(lab)
    assert len(table) == 5
    assert table["higher"].sum() >= 4
    reversed_ones = table[~table["higher"]]
    assert reversed_ones["lower when done well"].str.contains("hands over the feet").all()


def test_trunks_flex_against_the_pelvis_on_the_way_down(uiprmd, lab) -> None:
    """Mean of 28 degrees, of all ten at least a dozen; while standing they lean back a little."""
    table = uiprmd.spines(lab)
    assert len(table) == 10
    flexion = table["flexion of the spine"]
    assert flexion.min() > 10
    assert 20 < flexion.mean() < 36
    assert -6 < table["trunk lean standing"].mean() < 0
    # A neutral pelvis is tilted forwards by some 10 degrees (of the line of the iliac spines).
    assert 5 < table["pelvis standing"].mean() < 18
