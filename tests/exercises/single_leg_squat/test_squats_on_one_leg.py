"""A squat on one leg whose posture is commanded: which leg stands, and what is measured of it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import xarray as xr
from analytic import minimum_jerk, pose_dataset

import mobility as mb
from mobility.assessment.exercise_stages import Trial, stages_of
from mobility.assessment.findings import Finding, find
from mobility.assessment.number import Number
from mobility.catalogue.joints import JOINTS
from mobility.catalogue.registry import exercise
from mobility.errors import BadInputError
from mobility.exercises.single_leg_squat.kernels import feet_down, height_above_other_foot, stances
from mobility.exercises.single_leg_squat.page import judged_criteria, legs, rated_good
from mobility.kinematics.skeleton import INDEX, SIDES
from mobility.reports.page import ReportPage

THIGH, SHANK, TRUNK, FPS = 0.42, 0.42, 0.5, 20.0
EXERCISE = stages_of(exercise("single-leg-squat"))
DROP, LEAN, FORWARD = 6.0, 5.0, 20.0


def one_leg(
    leg: str,
    *,
    squats: int = 3,
    knee: float = 65.0,
    medial: float = 0.0,
    lift: float = 0.2,
    feet: float = 1.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Points (time, 33, 3) in metres and how far down, 0 to 1: both feet, squats, both feet.

    Forward is z, the right hand at -x. The standing knee bends to `knee`, `medial` metres inwards
    of its foot; the pelvis drops on the free side by DROP, the trunk leans over the leg by LEAN
    and forward by FORWARD degrees. The free foot is held still `lift` metres above the floor.
    """
    step, hold = int(FPS), int(feet * FPS)
    down = minimum_jerk(np.arange(step) / step)
    rest, turn = np.zeros(step), np.ones(step // 2)
    squat = np.concatenate([rest, down, turn, down[::-1]])
    deep = np.concatenate([np.zeros(hold + step), *[squat] * squats, np.zeros(2 * step + hold)])
    raised = np.ones(deep.size)
    raised[:hold] = raised[-hold:] = 0.0
    raised[hold : hold + step // 2] = np.linspace(0, 1, step // 2)
    raised[-hold - step // 2 : -hold] = np.linspace(1, 0, step // 2)
    s = 1.0 if leg == "right" else -1.0
    points = np.full((deep.size, 33, 3), np.nan)

    def put(name: str, right: Any, up: Any, ahead: Any) -> np.ndarray:
        place = np.stack(np.broadcast_arrays(-np.asarray(right), up, ahead, deep)[:3], axis=-1)
        points[:, INDEX[name]] = place
        return place

    bend, shin = np.radians(4 + (knee - 4) * deep), np.radians(2 + 25 * deep)
    out, inwards = s * 0.09, s * medial * deep
    other = "left" if leg == "right" else "right"
    for side, sign, high in ((leg, s, 0.0 * raised), (other, -s, lift * raised)):
        back = -0.3 * raised * (side == other)
        put(f"{side}_ankle", sign * 0.09, 0.08 + high, back)
        put(f"{side}_heel", sign * 0.09, 0.02 + high, back - 0.05)
        put(f"{side}_foot_index", sign * 0.09, 0.02 + high, back + 0.18)
    up, ahead = SHANK * np.cos(shin), SHANK * np.sin(shin)
    put(f"{leg}_knee", out - inwards, 0.08 + up, ahead)
    up, ahead = 0.08 + up + THIGH * np.cos(bend - shin), ahead - THIGH * np.sin(bend - shin)
    put(f"{leg}_hip", out, up, ahead)
    drop = np.radians(DROP * deep)
    free = put(f"{other}_hip", out - s * 0.18 * np.cos(drop), up - 0.18 * np.sin(drop), ahead)
    points[:, INDEX[f"{other}_knee"]] = free - [0.0, THIGH, 0.0]
    middle_z, middle_y = out - s * 0.09 * np.cos(drop), up - 0.09 * np.sin(drop)
    lateral, forward = np.tan(np.radians(LEAN * deep)), np.tan(np.radians(FORWARD * deep))
    for side, sign in (("left", -1.0), ("right", 1.0)):
        across = middle_z + s * TRUNK * lateral + sign * 0.18
        put(f"{side}_shoulder", across, middle_y + TRUNK, ahead + TRUNK * forward)
        put(f"{side}_elbow", across, middle_y + TRUNK - 0.3, ahead + TRUNK * forward)
        put(f"{side}_wrist", across, middle_y + TRUNK - 0.3, ahead + TRUNK * forward + 0.25)
    return points, deep


def pose_of(points: np.ndarray) -> xr.Dataset:
    time = np.arange(len(points)) / FPS
    seen = np.where(np.isnan(points).any(axis=-1), np.nan, 1.0)
    made = pose_dataset(time, position=points.transpose(0, 2, 1), confidence=seen)
    return made.assign_attrs(ds_type="poses", method="truth")


def repetitions_in(
    pose: xr.Dataset, *, intervals: Sequence[Mapping[str, Any]] | None = None
) -> xr.Dataset:
    """Repetitions alone, as an analysis finds them; all that is measured of them takes seconds."""
    return EXERCISE.repetitions(trial_of({"fitted": pose}, intervals))


def measured(
    pose: xr.Dataset, *, intervals: Sequence[Mapping[str, Any]] | None = None
) -> tuple[xr.Dataset, xr.Dataset]:
    """Repetitions and metrics, as an analysis makes them."""
    made = {"fitted": pose, "angles": mb.joint_angles(pose)}
    trial = trial_of(made, intervals)
    made["repetitions"] = EXERCISE.repetitions(trial)
    made["metrics"] = EXERCISE.metrics(trial)
    return made["repetitions"], made["metrics"]


def trial_of(made: dict[str, xr.Dataset], intervals: Sequence[Mapping[str, Any]] | None) -> Trial:
    return Trial(EXERCISE, JOINTS, False, None, None, None, intervals, made.__getitem__)


def both_legs(**each: Any) -> xr.Dataset:
    return pose_of(np.concatenate([one_leg(leg, **each)[0] for leg in SIDES]))


@pytest.mark.parametrize("leg", SIDES)
def test_what_is_commanded_of_either_leg_is_measured_with_the_same_sign(leg: str) -> None:
    repetitions, metrics = measured(pose_of(one_leg(leg, medial=0.05)[0]))
    assert repetitions["leg"].values.tolist() == [leg] * 3
    assert repetitions["accepted"].all()
    of = metrics.sel(side=leg)
    expected = {"pelvic_drop": DROP, "trunk_lean_over_leg": LEAN, "trunk_forward_lean": FORWARD}
    for name, value in expected.items():
        assert float(of[name]) == pytest.approx(value, abs=0.5), name
    assert float(of["knee_flexion"]) == pytest.approx(65.0, abs=2.0)
    # 5 cm over a foot of 23 cm; the knee bends inwards by what that is of thigh and shank.
    assert float(of["knee_over_foot"]) == pytest.approx(0.05 / 0.23, abs=0.03)
    assert 10 < float(of["frontal_plane_projection_angle_at_60"]) < 18
    assert float(of["hip_adduction"]) == pytest.approx(-float(of["hip_abduction"]))
    # Over the other leg nothing is said, and nothing is compared.
    other = metrics.sel(side=SIDES[1 - SIDES.index(leg)])
    assert np.isnan(other["knee_flexion"])
    assert np.isnan(metrics["knee_flexion_asymmetry"])
    assert metrics["knee_flexion_asymmetry"].attrs["note"] == "only one leg was shown"
    assert {each.side for each in find(metrics)} == {leg, ""}


def test_each_leg_has_its_repetitions_and_the_change_has_none() -> None:
    repetitions, metrics = measured(both_legs())
    assert repetitions["leg"].values.tolist() == ["left"] * 3 + ["right"] * 3
    assert repetitions["rep"].values.tolist() == [1, 2, 3, 4, 5, 6]
    assert repetitions["accepted"].all()
    assert int(metrics["accepted_repetitions"]) == 6
    bottom = metrics["knee_flexion_bottom"]
    assert bottom.sel(side="left").notnull().values.tolist() == [True] * 3 + [False] * 3
    assert bottom.sel(side="right").notnull().values.tolist() == [False] * 3 + [True] * 3
    # Both do the same: the difference is nothing, and its error that of two.
    for name in ("knee_flexion", "pelvic_drop", "frontal_plane_projection_angle_at_60"):
        left, right = (float(metrics[name].sel(side=side)) for side in SIDES)
        assert left == pytest.approx(right, abs=1e-6), name
        assert float(metrics[f"{name}_asymmetry"]) == pytest.approx(right - left)
        of_two = np.hypot(*metrics[f"{name}_sd"].values)
        assert float(metrics[f"{name}_asymmetry_sd"]) == pytest.approx(of_two)


def test_two_repetitions_of_a_leg_are_too_few_to_compare() -> None:
    _, metrics = measured(both_legs(squats=2))
    assert np.isnan(metrics["knee_flexion_asymmetry"])
    assert "3" in metrics["knee_flexion_asymmetry"].attrs["note"]


@pytest.mark.parametrize("lift", [0.12, 0.4])
def test_a_free_foot_held_still_never_stands_and_never_changes_the_depth(lift: float) -> None:
    pose = pose_of(one_leg("left", lift=lift)[0])
    held = stances(pose, EXERCISE)
    time = pose["time"].to_numpy()
    middle = float(time[time.size // 2])
    assert held["left"] == [(pytest.approx(-1.0), pytest.approx(time[-1] + 1))]
    assert len(held["right"]) == 2
    assert not any(first <= middle <= last for first, last in held["right"])
    assert EXERCISE.fit_options(pose) == {"feet_planted": held}
    depth = repetitions_in(pose)["depth"].to_numpy()
    usual = repetitions_in(pose_of(one_leg("left")[0]))["depth"].to_numpy()
    assert depth == pytest.approx(usual)


def test_a_foot_that_touches_the_floor_between_squats_stays_free() -> None:
    points, deep = one_leg("right")
    at = int(np.flatnonzero(deep == 1)[-1]) - int(2.5 * FPS)
    for part in ("ankle", "heel", "foot_index"):
        points[at : at + 8, INDEX[f"left_{part}"], 1] -= 0.2
    pose = pose_of(points)
    assert not feet_down(pose, EXERCISE)[at : at + 8, 0].any()
    assert repetitions_in(pose)["accepted"].sum() == 3


def test_a_squat_on_both_feet_and_a_stance_on_one_are_no_repetitions() -> None:
    points, _ = one_leg("left", lift=0.0)
    repetitions, metrics = measured(pose_of(points))
    assert not repetitions["accepted"].any()
    assert set(repetitions["leg"].values) <= {""}
    assert set(repetitions["reason"].values) <= {"both feet are on the floor"}
    assert int(metrics["accepted_repetitions"]) == 0
    assert EXERCISE.fit_options(pose_of(points)) == {}
    still, metrics = measured(pose_of(one_leg("left", knee=10.0)[0]))
    assert not still["accepted"].any()
    assert np.isnan(metrics["pelvic_drop"]).all()


def test_times_set_by_hand_are_of_the_leg_that_stands_there() -> None:
    pose = both_legs(squats=1)
    reps = repetitions_in(pose)
    names = ("start", "bottom", "end")
    given = [{name: float(reps[name][rep]) for name in names} for rep in range(reps.sizes["rep"])]
    by_hand, metrics = measured(pose, intervals=given)
    assert by_hand["leg"].values.tolist() == ["left", "right"]
    assert by_hand["accepted"].all()
    assert metrics["knee_flexion"].notnull().all()


def test_what_is_not_seen_is_not_measured() -> None:
    points, _ = one_leg("left")
    hidden = points.copy()
    hidden[:, INDEX["left_ankle"]] = np.nan
    assert not repetitions_in(pose_of(hidden))["accepted"].any()
    nothing = np.full_like(points, np.nan)
    assert np.isnan(height_above_other_foot(pose_of(nothing))).all()
    assert feet_down(pose_of(nothing), EXERCISE).all()
    without = points.copy()
    without[:, INDEX["left_foot_index"]] = np.nan
    _, metrics = measured(pose_of(without))
    assert np.isnan(metrics["knee_over_foot"].sel(side="left"))
    assert float(metrics["pelvic_drop"].sel(side="left")) == pytest.approx(DROP, abs=0.5)


def test_of_a_foot_that_is_never_seen_nothing_is_said() -> None:
    pose = both_legs()
    foot = ["right_ankle", "right_heel", "right_foot_index"]
    pose["position"].loc[{"keypoint": foot}] = np.nan
    reps = repetitions_in(pose)
    assert not reps["accepted"].any()
    assert all("one foot is never visible" in str(reason) for reason in reps["reason"].values)


def test_a_shallow_squat_is_a_repetition_without_an_angle_at_60_degrees() -> None:
    _, metrics = measured(pose_of(one_leg("right", knee=40.0, medial=0.03)[0]))
    angle = metrics["frontal_plane_projection_angle_at_60"]
    assert np.isnan(angle).all()
    assert "does not bend to 60 degrees" in angle.attrs["note"]
    shallow = next(f for f in find(metrics) if f.rule == "one_leg_depth_not_reached")
    assert (shallow.status, shallow.side) == ("found", "right")


def filmed(points: np.ndarray) -> xr.Dataset:
    """Film from the left, 3 m away, with the depths of the world landmarks shrunk by a quarter."""
    right, up, back = points[..., 2], points[..., 1] - 1.0, points[..., 0]
    image = np.stack([360 + 900 * right / (3.0 - back), 640 - 900 * up / (3.0 - back)], axis=-1)
    world = np.stack([right, up, 0.75 * back], axis=-1)
    world -= world[:, [INDEX["left_hip"], INDEX["right_hip"]]].mean(axis=1, keepdims=True)
    time = np.arange(len(points)) / FPS
    return pose_dataset(
        time,
        position=world.transpose(0, 2, 1),
        image_position=image.transpose(0, 2, 1),
        confidence=np.where(np.isnan(points).any(axis=-1), np.nan, 0.95),
    ).assign_attrs(image_width=720, image_height=1280, ds_type="poses")


def test_the_fit_puts_only_the_standing_foot_on_the_floor() -> None:
    points, deep = one_leg("left", squats=1, lift=0.15)
    pose = filmed(points)
    held = EXERCISE.fit_options(pose)["feet_planted"]
    bottom, scale = deep == 1, 1.70 / 1.65

    def heights(fitted: xr.Dataset) -> list[float]:
        place = fitted["position"].isel(individual=0).sel(space="y").isel(time=bottom)
        names = ["left_ankle", "right_ankle"]
        return [float(place.sel(keypoint=name).median()) for name in names]

    standing, free = heights(mb.fit_body(pose, feet_planted=held, draws=8))
    assert free - standing == pytest.approx(0.15 * scale, abs=0.04)
    # Said to be planted, a foot that is held still is drawn to the floor.
    standing, free = heights(mb.fit_body(pose, feet_planted=True, draws=8))
    assert free - standing < 0.13


def test_times_of_feet_are_refused_where_they_say_nothing() -> None:
    pose = filmed(one_leg("left", squats=1)[0][:40])
    with pytest.raises(BadInputError, match="feet_planted"):
        mb.fit_body(pose, feet_planted={"middle": [(0.0, 1.0)]})
    with pytest.raises(BadInputError, match="feet_planted"):
        mb.fit_body(pose, feet_planted={"left": [(0.0,)]})


def test_the_page_begins_with_each_leg_that_squats() -> None:
    """How often, how deep, the knee in the frontal plane; of a leg that is not shown nothing."""
    page = ReportPage(mb.Store("absent").demo("Single-Leg Squat").read_once())
    assert legs.of(page).count("<p>") == 2
    left, right = (re.sub("<[^>]+>", "", line) for line in str(legs.of(page)).split("</p>")[:-1])
    for line, leg in ((left, "Left"), (right, "Right")):
        degrees = r"−?\d+° ± \d+°"
        assert re.fullmatch(
            f"{leg} leg: 3 repetitions, knee flexion {degrees}, knee inwards \\(FPPA\\) {degrees}",
            line,
        )
    found = page.repetitions
    only = found.assign(accepted=(found["leg"] == "right") & (found["rep"] > 4))
    vars(page)["repetitions"] = only.isel(rep=only["leg"].values == "right")
    inwards = "frontal_plane_projection_angle_at_60"
    vars(page)["metrics"] = page.metrics.assign({inwards: page.metrics[inwards] * np.nan})
    (line,) = str(legs.of(page)).split("</p>")[:-1]
    right = "Right leg: 2 of 3 repetitions accepted, knee flexion "
    assert re.sub("<[^>]+>", "", line).startswith(right)
    assert "inwards" not in line


def finding(rule: str, status: Any, side: str = "left") -> Finding:
    number = Number(1.0, units="degree", side=side)
    return Finding(rule, "", "", number, (0.0, 2.0), 1.0, 0.5, status, "", rule, "", "", "")


def test_a_criterion_is_met_where_no_part_is_a_fault_and_open_where_one_is_not_told() -> None:
    rules = [
        rule
        for entry in EXERCISE.own_table("crossley")["criteria"].values()
        for rule in entry["rules"]
    ]
    clean = [finding(rule, "not found") for rule in rules]
    judged = judged_criteria(clean, "left", EXERCISE)
    assert [each.status for each in judged] == ["met"] * 5
    assert rated_good(judged, EXERCISE)
    assert {each.status for each in judged_criteria(clean, "right", EXERCISE)} == {"not_told"}
    two = [
        finding(rule, "found" if rule == "hip_adducts" else "cannot be told")
        if rule in ("hip_adducts", "pelvis_drops")
        else finding(rule, "not found")
        for rule in rules
    ]
    judged = judged_criteria(two, "left", EXERCISE)
    assert [each.status for each in judged] == ["met", "met", "not_told", "failed", "met"]
    assert not rated_good(judged, EXERCISE)
