"""Loads as measures, as a check and as a section of the report."""

from __future__ import annotations

from html import unescape

import numpy as np
import pytest
import xarray as xr
from analytic import fitted, squat_pose

import mobility as mb
from mobility.assessment.exercise_stages import Trial, stages_of
from mobility.assessment.findings import find
from mobility.catalogue import registry
from mobility.leg_loads.kernels import _frames
from mobility.leg_loads.loads import loads_and_samples
from mobility.leg_loads.page import share_in_words
from mobility.reports.page import ReportPage
from mobility.reports.sections import sections_of
from mobility.store import Store

MEASURES = ("weight_shift", "weight_share", "weight_share_low", "knee_moment", "hip_moment",
            "ankle_moment", "knee_moment_difference", "hip_moment_difference",
            "ankle_moment_difference")  # fmt: skip


def metrics_of(slug: str, pose: xr.Dataset) -> xr.Dataset:
    """Metrics of a fitted pose as an exercise."""
    exercise = registry.exercise(slug)
    datasets = {
        "fitted": pose,
        "angles": mb.joint_angles(pose),
        "repetitions": mb.find_repetitions(pose),
    }
    trial = Trial(exercise, (), True, None, None, None, None, datasets.get)
    return stages_of(exercise).metrics(trial)


def leaning(aside: float, *, heading: float = 0.0) -> xr.Dataset:
    """Squats of a body whose trunk is to the subject's right of the feet, metres."""
    pose = squat_pose(reps=3, heading=heading).pose
    upper = [name for name in pose["keypoint"].to_numpy() if "shoulder" in name or "hip" in name]
    upper += [f"{side}_{joint}" for side in ("left", "right") for joint in ("elbow", "wrist")]
    moved = pose.copy(deep=True)
    moved["position"].loc[{"keypoint": upper, "space": "x"}] -= aside
    feet = [f"{side}_{end}" for side in ("left", "right") for end in ("heel", "foot_index")]
    moved["position"] = moved["position"] - moved["position"].sel(keypoint=feet).mean("keypoint")
    return fitted(moved, sd=0.004, draws=32)


@pytest.mark.parametrize("slug", ["squat", "overhead-squat", "sit-to-stand"])
def test_exercises_on_both_feet_have_the_measures(slug: str) -> None:
    exercise = registry.exercise(slug)
    assert {*MEASURES} < {*exercise.measures}
    assert "weight_shifts" in exercise.table["rules"]
    assert "loads" in exercise.sections
    assert "weight_shift" not in registry.exercise("single-leg-squat").measures


def test_shares_and_moments_follow_from_the_loads_of_the_frames() -> None:
    pose = leaning(0.02)
    metrics, repetitions = metrics_of("squat", pose), mb.find_repetitions(pose)
    loads = mb.loads(pose, repetitions=repetitions)
    share, moments = [], []
    for i in range(repetitions.sizes["rep"]):
        one = repetitions.isel(rep=i)
        inside = (loads["time"] >= one["start"]) & (loads["time"] <= one["end"])
        share.append(loads["weight_share"].where(inside).mean("time"))
        moments.append(loads["knee_moment"].where(inside).max("time"))
    expected = np.median(share, axis=0)
    np.testing.assert_allclose(metrics["weight_share"], expected, atol=1e-9)
    low = metrics["weight_share_low"].sel(side="right")
    np.testing.assert_allclose(metrics["weight_shift"], low - 0.5, atol=1e-9)
    np.testing.assert_allclose(metrics["knee_moment"], 100 * np.median(moments, axis=0), atol=1e-9)
    assert metrics["weight_share"].sum() == pytest.approx(1)
    assert metrics["knee_moment_difference_sd"] > 0


def test_a_leaning_body_shifts_its_weight_to_that_side_and_mirrored_to_the_other() -> None:
    right, left = (float(metrics_of("squat", leaning(x))["weight_shift"]) for x in (0.03, -0.03))
    assert right > 0.03
    assert left == pytest.approx(-right, abs=0.01)


def test_the_check_needs_more_than_the_limit_and_its_error() -> None:
    metrics = metrics_of("squat", leaning(0.0))
    results = {}
    for shift, sd in ((0.0, 0.02), (0.3, 0.02), (-0.3, 0.02), (0.12, 0.1)):
        changed = metrics.copy()
        changed["weight_shift"] = metrics["weight_shift"].copy(data=shift)
        changed["weight_shift_sd"] = metrics["weight_shift_sd"].copy(data=sd)
        (found,) = [each for each in find(changed) if each.rule == "weight_shifts"]
        results[shift] = found.result
    assert results == {0.0: "met", 0.3: "outside", -0.3: "outside", 0.12: "inconclusive"}


def test_a_view_from_the_side_gives_no_share_and_the_reason() -> None:
    metrics = metrics_of("squat", leaning(0.0, heading=90))
    for name in MEASURES:
        assert metrics[name].isnull().all()
    assert "side" in metrics["weight_share"].attrs["note"]


def test_rises_are_measured_from_seat_off_to_standing() -> None:
    session = Store("absent").demo("Sit-to-Stand").read_once()
    repetitions = session.repetitions()
    time = session.fitted()["time"].to_numpy()
    moving, low = (_frames(repetitions, time, low=low) for low in (False, True))
    for rep in range(repetitions.sizes["rep"]):
        off, stands = (float(repetitions[name][rep]) for name in ("seat_off", "bottom_start"))
        assert time[moving[rep]].min() >= off + 0.1
        assert time[moving[rep]].max() <= stands
        assert time[low[rep]].max() <= off + 0.4
    loads = mb.loads(session.fitted(), repetitions=repetitions)
    seated = ~moving.any(axis=0) & (time < float(repetitions["seat_off"].min()))
    assert loads["vertical_force"].isel(time=seated).isnull().all()


def test_an_even_share_in_standing_is_assumed_of_a_camera_only_as_far_as_people_stand_evenly() -> (
    None
):
    """A body that leans in all frames may be a rolled camera; markers show that it leans."""
    pose = leaning(0.04)
    loads, _ = loads_and_samples(pose)
    by_markers = mb.loads(pose.drop_vars(["position_draws", "fit_position", "image_position"]))
    right = {"side": "right"}
    of_camera, of_markers = (
        float(each["weight_share"].sel(right).isel(time=5)) for each in (loads, by_markers)
    )
    assert 0.5 < of_camera < of_markers


def test_the_page_shows_the_sentence_and_the_curves() -> None:
    session = Store("absent").demo("Squat").read_once()
    exercise = registry.exercise("squat")
    datasets = {
        "fitted": session.fitted(),
        "angles": session.measured_angles(),
        "repetitions": session.repetitions(),
    }
    trial = Trial(exercise, (), True, None, None, None, None, datasets.get)
    metrics = stages_of(exercise).metrics(trial)
    page = ReportPage(session)
    vars(page)["metrics"], vars(page)["exercise"] = metrics, exercise
    shown = {each.name: unescape(each.of(page)) for each in sections_of(exercise)}
    shift = metrics["weight_shift"]
    side = "right" if shift > 0 else "left"
    assert f"You put {50 + 100 * abs(float(shift)):.0f} % ± " in shown["loads"]
    assert f"of your weight on the {side} leg, so the legs do not clearly differ" in shown["loads"]
    shifted = share_in_words(metrics.assign(weight_shift=shift.copy(data=-0.3)))
    assert shifted.startswith("You put 80 % ± ")
    assert shifted.endswith("of your weight on the left leg.")
    assert shown["loads"].count("<img") == 4
    vars(page)["metrics"] = metrics.assign(
        weight_share=(metrics["weight_share"] * np.nan).assign_attrs(
            {**metrics["weight_share"].attrs, "note": "this view hides it"}
        )
    )
    (section,) = [each for each in sections_of(exercise) if each.name == "loads"]
    assert "is not reported: this view hides it" in unescape(section.of(page))


def test_a_joint_that_is_hidden_for_a_moment_leaves_an_error_to_each_number() -> None:
    pose = leaning(0.02)
    since = pose["time"] - mb.find_repetitions(pose)["start"]
    hidden = ((since > 0) & (since < 0.4)).any("rep")
    pose["position"] = pose["position"].where(~hidden | (pose["keypoint"] != "left_wrist"))
    metrics = metrics_of("squat", pose)
    for name in ("weight_shift", "weight_share", "knee_moment", "knee_moment_difference"):
        assert metrics[name].notnull().all()
        assert metrics[f"{name}_sd"].notnull().all()
