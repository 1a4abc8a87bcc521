"""Quantities of the frames: their errors, and why they are refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import xarray as xr
from analytic import FOOT, fitted, moved, with_step

from mobility import tables
from mobility.assessment.body import median_of
from mobility.assessment.frame_quantities import frame_quantities, frames_of
from mobility.assessment.kernels import of_points
from mobility.assessment.posture import posture
from mobility.errors import BadInputError
from mobility.provenance import warnings_of


@of_points("hip", "ankle")
def hips(points: Any, standing: Any, limits: Any) -> dict[str, np.ndarray]:
    """Height of the hips against that in standing."""
    high = (points["hip"] - points["ankle"])[..., 1]
    return {"lowered": median_of((standing["hip"] - standing["ankle"])[..., 1]) - high}


@pytest.mark.parametrize(
    ("declared", "heading", "stands", "note", "warned"),
    [
        ({}, 0.0, True, "", False),
        ({"largest_interval": {"value": 1e-9}}, 0.0, True, "it is too uncertain", True),
        (
            {"largest_interval": {"value": 1e-9}, "seldom": "left out"},
            0.0,
            True,
            "it is too",
            False,
        ),
        ({"seldom": "left out deep down"}, 0.0, True, "left out deep down", False),
        ({"frontal": True}, 90.0, True, "the camera stands at the side", False),
        ({"against": "standing"}, 0.0, False, "the person is not seen standing still", False),
    ],
)
def test_a_declaration_says_when_its_quantity_is_refused(
    squat_pose, repetitions_of, declared, heading, stands, note, warned
):
    trial = squat_pose(reps=1, heading=heading)
    repetitions = repetitions_of(trial)
    repetitions["standing"] = repetitions["standing"] & stands
    entries = {"toe_out": {"from": "hips.lowered", "long_name": "depth"} | declared}
    made, warnings = frame_quantities(trial.pose, repetitions, hips, entries, limits={})
    value = made["toe_out"]
    assert value.attrs.get("note", "").startswith(note or "none") == bool(note)
    assert [warning["code"] for warning in warnings] == ["uncertain"] * warned
    given = not note or note.startswith("left out deep")
    assert bool(value.notnull().all()) is given
    if given:
        lowest = trial.truth["hip_height"].min()
        assert float(value.max()) == pytest.approx(0.84 * float(1 - lowest), abs=0.1)


def test_what_says_nothing_is_refused(squat_pose, repetitions_of, monkeypatch):
    """A level foot, seen from the side, pitches by what heel and toe differ in height."""
    trial = squat_pose(reps=1, heading=90.0)
    metrics = frames_of(
        posture, trial.pose.assign_attrs(method="mediapipe_world"), repetitions_of(trial)
    )
    assert metrics["heel_rise"].attrs["note"] == "it is too uncertain in this recording"
    refusals = {w["values"]["quantity"]: w["values"] for w in warnings_of(metrics)}
    assert refusals["heel_rise"]["limit"] == "± 12°"
    for name in ("heel_rise", "heel_rise_sd"):
        assert metrics[name].isnull().all()

    limit = tables.load("measures")["measures"]["heel_rise"]["largest_interval"]
    monkeypatch.setitem(limit, "value", 90.0)
    kept = frames_of(
        posture, trial.pose.assign_attrs(method="mediapipe_world"), repetitions_of(trial)
    )
    # Twice, since the heel in standing errs as well.
    expected = math.degrees(2 * 0.02 / FOOT)
    np.testing.assert_allclose(kept["heel_rise_sd"].median(), expected, rtol=0.12)


def test_a_heel_that_the_camera_hardly_sees_is_refused(squat_pose, repetitions_of):
    """The fit lets it stay on the floor, whatever it does; a lab's heel is no landmark."""
    trial = squat_pose(reps=1)
    hidden = trial.pose.copy(deep=True)
    hidden["confidence"] = xr.full_like(hidden["position"].isel(space=0, drop=True), 0.97)
    hidden["confidence"].loc[{"keypoint": "left_heel"}] = 0.7
    metrics = frames_of(posture, fitted(hidden), repetitions_of(trial))
    assert metrics["heel_rise"].sel(side="left").isnull().all()
    assert metrics["heel_rise_sd"].sel(side="left").isnull().all()
    assert metrics["heel_rise"].sel(side="right").notnull().any()
    assert metrics["heel_rise"].attrs["note"] == "the left heel is hidden from the camera"
    assert metrics["toe_out"].sel(side="left").notnull().any()
    hidden["confidence"].loc[{"keypoint": "right_heel"}] = 0.7
    both = frames_of(posture, fitted(hidden), repetitions_of(trial))["heel_rise"]
    assert both.attrs["note"] == "both heels are hidden from the camera"
    for pose in (hidden, hidden.drop_vars("confidence")):
        assert (
            frames_of(posture, pose, repetitions_of(trial))["heel_rise"].notnull().any("time").all()
        )


def test_a_fit_knows_no_stature(squat_pose, repetitions_of):
    """Its draws leave lengths as they are: a share of the stance is added to its error."""
    trial = squat_pose(reps=1)
    metrics = frames_of(posture, fitted(trial.pose), repetitions_of(trial))
    assert float(metrics["stance_width_m_sd"]) == pytest.approx(0.12 * 0.18, rel=0.01)
    assert float(metrics["stance_width_sd"]) == pytest.approx(0.07 * 0.5, rel=0.01)
    assert float(metrics["trunk_tibia_difference_sd"].max()) < 0.01


def test_bad_input(squat_pose, repetitions_of):
    trial = squat_pose(reps=1)
    repetitions = repetitions_of(trial)
    with pytest.raises(BadInputError, match="standing"):
        frames_of(posture, trial.pose, repetitions.drop_vars("standing"))
    with pytest.raises(BadInputError, match="same frames"):
        frames_of(posture, trial.pose.isel(time=slice(1, None)), repetitions)


@pytest.fixture
def stepping(squat_pose, repetitions_of):
    """Squats of someone who steps before the second; the camera then sees the right heel higher.

    Between the times the person stands still, or does not.
    """
    trial = squat_pose()
    raised = trial.pose["time"].to_numpy() > 3.9
    rise = FOOT * math.tan(math.radians(10))
    pose = moved(trial.pose, raised, ["right_heel"], "y", rise)
    pose = moved(pose, raised, ["left_hip", "right_hip"], "x", -0.02)
    pose = fitted(with_step(pose, 3.6, 4.2, forward=0.2, wider=0.1))

    def measured(*still: tuple[float, float]):
        repetitions = repetitions_of(trial)
        time = repetitions["time"]
        stands = sum((time >= first) & (time <= last) for first, last in still) > 0
        stands = repetitions["standing"] & stands & ~((time > 3.6) & (time < 4.2))
        repetitions = repetitions.assign(standing=stands).assign_attrs(
            history=pose.attrs["history"]
        )
        return frames_of(posture, pose, repetitions).sel(
            time=trial.truth["bottom"].to_numpy(), method="nearest"
        )

    return measured


def test_what_refers_to_standing_refers_to_where_the_feet_were(stepping):
    metrics = stepping((0, 12))
    np.testing.assert_allclose(metrics["heel_rise"], 0, atol=1e-6)
    np.testing.assert_allclose(metrics["lateral_shift"], 0, atol=1e-6)
    # The stance is that of most of the squats.
    assert float(metrics["stance_width_m"]) == pytest.approx(0.18 + 0.1, abs=1e-6)
    assert "note" not in metrics["heel_rise"].attrs


def test_where_nobody_stands_after_a_step_nothing_refers_to_standing(stepping):
    metrics = stepping((0, 3.6))
    why = "the feet moved at 3.9 s and nobody stands still after that"
    for name in ("heel_rise", "lateral_shift"):
        assert metrics[name].isel(time=0).notnull().all()
        assert metrics[name].isel(time=slice(1, None)).isnull().all()
        assert metrics[name].attrs["note"] == why
    assert np.isnan(metrics["stance_width"])
    assert metrics["stance_width"].attrs["note"] == why
    assert metrics["toe_out"].notnull().all()
    metrics = stepping((4.2, 12))
    assert metrics["heel_rise"].isel(time=0).isnull().all()
    assert metrics["heel_rise"].isel(time=1).notnull().all()
    assert metrics["heel_rise"].attrs["note"] == (
        "the feet moved at 3.9 s and nobody stands still before that"
    )
    assert "note" not in metrics["stance_width"].attrs
    assert "the person is not seen standing still" in stepping()["heel_rise"].attrs["note"]
