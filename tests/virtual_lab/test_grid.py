from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from mobility import tables
from mobility.errors import BadInputError, NotFoundError
from mobility.kinematics.angles import joint_angles
from mobility.virtual_lab.agreement_with_truth import is_bent, view_class
from mobility.virtual_lab.case import perform_case, true_positions, truth_pose
from mobility.virtual_lab.grid import (
    HANDS_UP,
    VIEWS,
    Grid,
    cases_together,
    grid_cases,
    least_distance_m,
    read_grid,
)
from mobility.virtual_lab.single_leg_squat import SingleLegSquat
from mobility.virtual_lab.sit_to_stand import SitToStand
from mobility.virtual_lab.squat import Squat
from mobility.virtual_lab.standing_body import Sided

GRIDS = {"people": 48, "reporting": 40, "people2": 40, "reporting2": 32}
"""Cases of the committed grids."""

LIKE_PEOPLE = ("people2", "reporting2")
"""Those whose bodies are built like people."""

ARMS = ("overhead", "forward", "hanging", "crossed")


def drawn(n: int = 40, *, seed: int = 1, **ranges: Any) -> list[Any]:
    return grid_cases(Grid(sample={"seed": seed, "n": n, "ranges": ranges}))


def test_axes_give_every_combination_over_the_defaults() -> None:
    grid = Grid(
        defaults={"motion": {"depth": 30, "lead_s": 0.5}, "body": {"height_m": 1.8}},
        cases=[{"name": "plain"}, {"name": "deep", "motion": {"depth": 50}}],
        axes={"camera.azimuth": [0, 90], "body.age": [20, 40, 60]},
    )
    cases = grid_cases(grid)
    assert len({c.name for c in cases}) == len(cases) == 2 * 2 * 3
    assert {(c.motion.depth, c.camera.azimuth, c.body.age) for c in cases} == {
        (d, a, y) for d in (30, 50) for a in (0, 90) for y in (20, 40, 60)
    }
    assert all(c.motion.lead_s == 0.5 and c.body.height_m == 1.8 for c in cases)
    # Cases of several grids are named after them.
    one, two = (
        Grid(name=name, axes={"camera.azimuth": [0, 90, 180][:n]})
        for name, n in (("one", 2), ("two", 3))
    )
    assert cases_together([one]) == grid_cases(one)
    names = [f"{grid.name} {c.name}" for grid in (one, two) for c in grid_cases(grid)]
    assert [c.name for c in cases_together([one, two])] == names
    with pytest.raises(BadInputError, match="two grids are called 'one'"):
        cases_together([one, two, one])


def test_a_sample_fills_its_range_evenly_and_is_the_same_again() -> None:
    depth = {"motion.depth": {"low": 20, "high": 60}}
    values = np.sort([c.motion.depth for c in drawn(40, **depth)])
    # One value in each fortieth of the range.
    assert np.array_equal(np.floor(values - 20), np.arange(40))
    assert [c.motion.depth for c in drawn(40, **depth)] != list(values)
    assert drawn(40, **depth) == drawn(40, **depth)
    assert drawn(40, **depth) != drawn(40, seed=2, **depth)


def test_a_share_of_the_cases_draws_from_a_range_and_the_others_otherwise() -> None:
    bend = {"low": 30, "high": 90, "share": 0.25, "otherwise": {"low": 0, "high": 10}}
    values = np.array([c.motion.elbow_bend for c in drawn(40, **{"motion.elbow_bend": bend})])
    assert (values >= 30).sum() == 10
    assert ((values >= 0) & (values <= 10)).sum() == 30
    shifted = drawn(20, **{"motion.shift_m": {"low": 0.01, "high": 0.02, "share": 0.5}})
    assert sum(c.motion.shift_m == 0 for c in shifted) == 10
    # Sides are drawn apart where that is asked; the mass is that of the body mass index.
    stretch = {"low": 5, "high": 20, "apart": 0.5}
    knees = [c.motion.knees_in for c in drawn(20, **{"motion.knees_in": stretch})]
    apart = [k for k in knees if not isinstance(k, float)]
    assert len(apart) == 10
    assert all(5 <= k.left <= 20 and 5 <= k.right <= 20 and k.left != k.right for k in apart)
    (case,) = drawn(1, **{"body.bmi": {"any": [22]}, "body.height_m": {"any": [1.6]}})
    assert case.body.weight_kg == pytest.approx(22 * 1.6**2, abs=0.05)


def view_of(azimuth: float) -> str:
    """View in whose stretch of azimuths one lies."""
    return next(
        view for view, (low, high, _) in VIEWS.items() if (azimuth - low) % 360 <= high - low
    )


def test_least_distance_has_hands_and_feet_in_the_picture() -> None:
    for height, tilt in ((0.6, 8.0), (1.1, 0.0), (1.6, -9.0)):
        distance = least_distance_m(1.8, height_m=height, tilt=tilt, field_of_view=60, aspect=3 / 4)
        top = np.degrees(np.arctan2(HANDS_UP * 1.8 - height, distance)) - tilt
        bottom = np.degrees(np.arctan2(-height, distance)) - tilt
        assert top <= 30
        assert bottom >= -30
        assert max(top, -bottom) > 24  # and not from much farther


def test_aim_and_framing_become_tilt_and_distance() -> None:
    places = {"camera.aim": {"any": [0.5]}, "camera.framing": {"any": [1.5]}}
    camera = drawn(1, **places, **{"camera.height_m": {"any": [1.6]}})[0].camera
    seen = 1.6 + camera.distance_m * np.tan(np.radians(camera.tilt))
    assert seen == pytest.approx(0.5 * 1.70, abs=0.01)
    least = least_distance_m(
        1.70, height_m=1.6, tilt=camera.tilt, field_of_view=44, aspect=544 / 736
    )
    assert camera.distance_m == pytest.approx(1.5 * least, rel=0.01)


def test_faults_of_a_grid_are_named(tmp_path: Path) -> None:
    import yaml

    file = tmp_path / "grid.yaml"
    with pytest.raises(NotFoundError, match="no such grid"):
        read_grid(file)
    drawn_low: dict[str, Any] = {"motion.depth": {"low": 3}}
    by_sex = {sex: {"mean": 1.7, "sd": 0.1} for sex in ("female", "male")}
    part = {"share": 0.5, "views": ["bck"], "ranges": {}}
    turned = {"share": 0.5, "ranges": {"camera.azimuth": {"any": [0]}}}
    nested = {"any": [1.8], "share": 0.5, "otherwise": by_sex}
    for values, message in (
        ({}, "has no cases"),
        ([1], "a grid is a mapping"),
        ({"cases": [{"motion": {"dept": 3}}]}, "did you mean 'depth'"),
        ({"cases": [{"name": "a"}, {"name": "a"}]}, "two cases are called 'a'"),
        ({"axes": {"azimuth": [1]}}, "is not a place in a case"),
        ({"axes": {"camera.azimuth": []}}, "at least 1 item"),
        ({"sample": {"n": 2, "ranges": drawn_low}}, "set low and high, mean and sd"),
        ({"sample": {"n": 2, "ranges": {"body.height_m": by_sex}}}, "draw body.sex before it"),
        ({"sample": {"n": 2, "ranges": {"body.height_m": by_sex | {"share": 0.5}}}}, "of each sex"),
        (
            {"sample": {"n": 2, "ranges": {"body.height_m": nested}}},
            "cannot be in the range of one sex",
        ),
        ({"sample": {"views": {"back": 2}, "ranges": {}, "parts": [part]}}, "did you mean 'back'"),
        ({"sample": {"views": {"back": 2}, "ranges": {}, "parts": [turned]}}, "out of the parts"),
        (
            {"sample": {"n": 2, "ranges": {"motion.depth": {"low": 3, "high": 1}}}},
            "low is larger than",
        ),
        ({"sample": {"ranges": {}}}, "set either n or views"),
        ({"sample": {"views": {"frnt": 1}, "ranges": {}}}, "did you mean 'front'"),
        ({"smaple": {}}, "did you mean 'sample'"),
    ):
        file.write_text(yaml.safe_dump(values))
        with pytest.raises(BadInputError) as fault:
            grid_cases(read_grid(file))
        assert message in str(fault.value)
        assert "\n" not in str(fault.value)


@pytest.mark.parametrize("name", GRIDS)
def test_committed_grids_cover_every_view_and_people_as_they_are(project: Path, name: str) -> None:
    cases = grid_cases(read_grid(project / "benchmarks" / f"{name}.yaml"))
    assert len(cases) == GRIDS[name]
    assert {view_of(c.camera.azimuth) for c in cases} == set(VIEWS)
    arms = [c.motion.arms for c in cases]
    assert min(arms.count(kind) for kind in ARMS) >= len(cases) // 8
    bent = sum(is_bent(c) for c in cases if c.motion.arms != "crossed")
    assert bent == pytest.approx(0.2 * (len(cases) - arms.count("crossed")), abs=2)
    knees = np.array([c.motion.standing_knee_flexion for c in cases])
    assert np.abs(knees).max() < 8
    assert np.mean(knees[knees > 0]) == pytest.approx(4, abs=0.3)
    assert 0.05 < np.mean(knees < 0) < 0.15
    bmi = [c.body.weight_kg / c.body.height_m**2 for c in cases]
    assert min(bmi) < 19.5
    assert max(bmi) > (32.5 if name in LIKE_PEOPLE else 37)
    assert min(c.motion.lead_s for c in cases) >= 0.6


@pytest.mark.parametrize("name", LIKE_PEOPLE)
def test_drawn_people_are_built_like_people(project: Path, name: str) -> None:
    grid = read_grid(project / "benchmarks" / f"{name}.yaml")
    bodies = [case.body for case in grid_cases(grid)]
    people = tables.load("body_build")
    for sex in ("female", "male"):
        stature = np.array([body.height_m for body in bodies if body.sex == sex])
        assert len(stature) == len(bodies) / 2
        usual = people["stature"][sex]
        assert np.mean(stature) == pytest.approx(usual["mean"], abs=0.01)
        assert np.std(stature, ddof=1) == pytest.approx(usual["sd"], abs=0.008)
        assert np.abs(stature - usual["mean"]).max() <= 2.5 * usual["sd"] + 1e-3  # rounded
    for segment, entry in people["segments"].items():
        deviation = [getattr(body, segment) for body in bodies]
        assert np.mean(deviation) == pytest.approx(0, abs=0.003), segment
        assert np.std(deviation, ddof=1) == pytest.approx(entry["sd"], rel=0.1), segment
    ratio = np.array([(1 + body.thigh) / (1 + body.shank) for body in bodies])
    assert np.mean(ratio) == pytest.approx(1, abs=0.01)
    assert np.std(ratio, ddof=1) == pytest.approx(0.028, abs=0.006)
    limits = people["thigh_over_shank"]
    assert limits["least"] <= ratio.min()
    assert ratio.max() <= limits["most"]


def test_parts_of_a_sample_draw_otherwise_and_no_case_is_of_two() -> None:
    ranges = {"motion.depth": {"low": 20, "high": 30}, "body.sex": {"any": ["female", "male"]}}
    parts = [
        {"share": 0.25, "views": ["front"], "ranges": {"motion.depth": {"low": 40, "high": 45}}},
        {"share": 0.5, "ranges": {"motion.depth": {"low": 60, "high": 65}}},
    ]
    sample = {"seed": 3, "views": {"front": 8, "left": 12}, "ranges": ranges, "parts": parts}
    cases = grid_cases(Grid(sample=sample))
    depth = np.array([case.motion.depth for case in cases])
    some, others = (depth >= 40) & (depth <= 45), depth >= 60
    assert (some.sum(), others.sum(), (depth <= 30).sum()) == (5, 10, 5)
    assert {view_of(case.camera.azimuth) for case, one in zip(cases, some, strict=True) if one} == {
        "front"
    }


def _sides_apart(case: Any) -> float:
    """Largest difference of knee, hip and ankle between the sides at the bottom, degrees."""
    body, trial = perform_case(case, np.array([_bottom_s(case)]))
    angles = joint_angles(truth_pose(true_positions(case, body, trial)))
    names = ("knee_flexion", "hip_flexion", "ankle_dorsiflexion")
    return max(float(abs(angles[name].diff("side")).max()) for name in names)


def _bottom_s(case: Any) -> float:
    return float(case.motion.phases.at(np.zeros(1))[1][0])


@pytest.mark.usefixtures("extra")
def test_sides_differ_by_ten_to_twenty_degrees_in_fifteen_of_a_hundred_cases(project: Path) -> None:
    cases = grid_cases(read_grid(project / "benchmarks" / "people2.yaml"))
    apart = [
        c for c in cases if c.motion.stagger_m or c.motion.heel_rise == Sided(left=18, right=0)
    ]
    assert len(apart) == round(0.15 * len(cases))
    assert all(10 <= _sides_apart(case) < 20 for case in apart)


EXERCISES = ("exercises", "exercises_reporting", "exercises2", "exercises_reporting2")


@pytest.mark.parametrize("name", EXERCISES)
def test_committed_grids_have_each_exercise_in_several_people_from_three_views(project, name):
    cases = grid_cases(read_grid(project / "benchmarks" / f"{name}.yaml"))
    for kind in (Squat, SitToStand, SingleLegSquat):
        mine = [case for case in cases if isinstance(case.motion, kind)]
        views = {view_class(case) for case in mine}
        assert views == {"front", "front-oblique", "side"}, kind
        assert len({str(case.body) for case in mine}) >= 2
        assert len({case.motion.arms for case in mine}) >= 2


def test_exercises_for_reporting_are_those_of_no_other_grid(project: Path) -> None:
    for names in (EXERCISES[:2], EXERCISES[2:]):
        explored, reported = (
            grid_cases(read_grid(project / f"benchmarks/{name}.yaml")) for name in names
        )
        for part in ("body", "camera", "motion"):
            mine, others = ({str(getattr(c, part)) for c in some} for some in (reported, explored))
            assert not mine & others


def test_cases_of_grids_have_nothing_in_common(project: Path) -> None:
    cases = {name: grid_cases(read_grid(project / f"benchmarks/{name}.yaml")) for name in GRIDS}
    for one, other in itertools.combinations(cases.values(), 2):
        for part in ("body", "camera", "motion"):
            assert not {str(getattr(c, part)) for c in one} & {str(getattr(c, part)) for c in other}


def test_a_grid_like_another_replaces_its_ranges_one_by_one(tmp_path: Path) -> None:
    (tmp_path / "first.yaml").write_text(
        "defaults: {motion: {lead_s: 0.7, repetitions: 2}}\n"
        "sample: {seed: 1, n: 2, ranges: {motion.depth: {any: [40]}, body.age: {any: [30]}}}\n"
    )
    second = tmp_path / "second.yaml"
    second.write_text(
        "like: first.yaml\n"
        "defaults: {motion: {lead_s: 0.9}}\n"
        "sample: {seed: 2, n: 3, ranges: {motion.depth: {any: [50]}, body.age: null}}\n"
    )
    cases = grid_cases(read_grid(second))
    assert len(cases) == 3
    assert {(c.motion.depth, c.motion.lead_s, c.motion.repetitions) for c in cases} == {
        (50, 0.9, 3)
    }
    assert {c.body.age for c in cases} == {grid_cases(Grid(cases=[{}]))[0].body.age}
    third = tmp_path / "third.yaml"
    third.write_text("like: second.yaml\n")
    with pytest.raises(BadInputError, match="a grid that names no other"):
        read_grid(third)


@pytest.mark.parametrize(("name", "films"), [("people4", 2), ("reporting3", 2), ("rises", 3)])
def test_further_videos_show_the_same_people_and_movements(
    project: Path, name: str, films: int
) -> None:
    cases = grid_cases(read_grid(project / "benchmarks" / f"{name}.yaml"))
    people = [cases[i : i + films] for i in range(0, len(cases), films)]
    assert len(people) >= 20
    for first, *others in people:
        assert abs(first.camera.azimuth) <= 15
        assert 65 <= abs(others[-1].camera.azimuth) <= 115
        for other in others:
            assert (other.body, other.motion, other.look) == (first.body, first.motion, first.look)
            assert other.camera.field_of_view != first.camera.field_of_view
    others = {"others": {"side": ["lft"]}, "views": {"front": 1}, "ranges": {}}
    with pytest.raises(ValidationError, match="did you mean 'left'"):
        Grid(sample=others)


def test_a_third_of_those_who_rise_never_stand_upright(project: Path) -> None:
    cases = grid_cases(read_grid(project / "benchmarks" / "rises.yaml"))[::3]
    bent = [case.motion for case in cases if case.motion.standing_knee_flexion > 9]
    assert len(bent) == len(cases) / 3
    assert min(motion.standing_lean for motion in bent) >= 5
