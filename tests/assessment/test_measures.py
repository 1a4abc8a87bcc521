"""An exercise is measured as it declares, at moments of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import xarray as xr

from mobility import tables
from mobility.assessment.measures import measure
from mobility.catalogue.exercise import Exercise
from mobility.catalogue.exercise_checks import check
from mobility.catalogue.exercise_table import checked_table
from mobility.catalogue.registry import exercise
from mobility.errors import BadInputError
from mobility.kinematics.angles import joint_angles

MOMENTS = {
    "standing": {"before": "start"},
    "way_up": {"middle_of": ["start", "bottom"]},
    "top": {"from": "bottom_start", "to": "bottom_end"},
    "way_down": {"middle_of": ["bottom", "end"]},
}


@pytest.fixture
def measured(squat_pose: Any, repetitions_of: Any) -> Any:
    """Metrics of a squat whose table says something else."""
    squat, trial = exercise("squat"), squat_pose(reps=1)

    def run(**table: Any) -> tuple[Exercise, xr.Dataset]:
        other = replace(squat, table=checked_table({**squat.table, **table}, what="a table"))
        angles, repetitions = joint_angles(trial.pose), repetitions_of(trial)
        asked = {"exercise": other, "operation": "x", "other_exercise": lambda *_: []}
        return other, measure(trial.pose, angles, repetitions, **asked)

    return run


def test_moments_of_its_own_name_its_metrics_and_phases(measured: Any) -> None:
    other, metrics = measured(moments=MOMENTS)
    np.testing.assert_allclose(metrics["knee_flexion_top"], 100.0, atol=0.1)
    np.testing.assert_allclose(metrics["knee_flexion_from_standing"], 100.0, atol=0.5)
    assert metrics["knee_flexion_top"].attrs["long_name"].endswith("at the top of each repetition")
    assert metrics["phase"].values.tolist() == list(MOMENTS)
    assert {"knee_deviation_at_top", "accepted_repetitions"} <= metrics.keys()
    assert not [name for name in metrics if name.endswith("_bottom")]
    assert (
        metrics["knee_deviation"]
        .attrs["statistic"]
        .startswith("maximum over way up, top and way down")
    )
    assert other.words["at"] == "at the top"
    with pytest.raises(BadInputError, match="mean 'knee_deviation_at_top'"):
        check(replace(other, table=other.table | {"rules": ["knee_inside_foot"]}), beside=[])
    assert other.short_words == ["standing", "way up", "top", "way down"]


@pytest.mark.parametrize(
    ("name", "declared", "why"),
    [
        (
            "heel_rise",
            {"from": "posture.heel_ris"},
            "posture has no output 'heel_ris'; did you mean",
        ),
        ("depth", {"from": "tempo.dept"}, "tempo has no output 'dept'; did you mean 'depth'"),
        ("depth", {"from": "LONGEST_GAP.depth"}, "LONGEST_GAP is not a kernel; write @of_points"),
        ("trunk_lean", {"over": ["start", "seat_off"]}, "variables are missing \\(seat_off\\)"),
    ],
)
def test_what_nothing_computes_is_refused_in_one_line(
    measured: Any, monkeypatch: pytest.MonkeyPatch, name: str, declared: Any, why: str
) -> None:
    entries = tables.load("measures")["measures"]
    monkeypatch.setitem(entries, name, entries[name] | declared)
    with pytest.raises(BadInputError, match=why) as refused:
        measured()
    assert str(refused.value).isprintable()
