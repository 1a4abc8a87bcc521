"""Depths along segments, corrected by a table with known coefficients."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mobility import tables
from mobility.kinematics import depth, fit
from mobility.kinematics.depth import VIEWS, calibrated, facing

MIRROR = np.array([-1.0, 1.0, 1.0])
SEGMENTS = ("trunk", "upper_arm", "forearm", "thigh", "shank")


def hips(forward_deg: float, n: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Left and right hip of a subject turned by so much from the camera to its right."""
    a = np.radians(forward_deg)
    # Facing the camera, the subject's right is on the picture's left.
    right = 0.1 * np.array([-np.cos(a), 0.0, np.sin(a)])
    middle = np.array([0.2, 1.0, -3.0])
    return np.tile(middle - right, (n, 1)), np.tile(middle + right, (n, 1))


def use(monkeypatch: pytest.MonkeyPatch, segments: dict[str, Any]) -> None:
    monkeypatch.setattr(depth, "_calibration", lambda: segments)


@pytest.mark.parametrize("turn", [0.0, 90.0, 180.0, -90.0, 35.0, -130.0])
def test_facing_is_the_direction_in_which_the_subject_looks(turn: float) -> None:
    right, towards = facing(*hips(turn))
    assert right == pytest.approx(np.sin(np.radians(turn)), abs=1e-9)
    assert towards == pytest.approx(np.cos(np.radians(turn)), abs=1e-9)


def test_facing_is_horizontal_and_that_of_most_frames() -> None:
    left, right = hips(35.0, 9)
    left[:, 1] += 0.05  # a dropped pelvis does not turn it
    swapped = left.copy(), right.copy()
    swapped[0][:3], swapped[1][:3] = right[:3], left[:3]
    for one, other in ((left, right), swapped):
        assert facing(one, other) == pytest.approx(
            (np.sin(np.radians(35)), np.cos(np.radians(35))), abs=1e-9
        )


def test_facing_of_hips_in_one_place_is_no_direction() -> None:
    point = np.zeros((4, 3))
    assert facing(point, point) == (0.0, 0.0)
    above = point + np.array([0.0, 0.2, 0.0])  # lying on one side
    assert facing(point, above) == (0.0, 0.0)


def test_frames_without_hips_do_not_turn_the_subject() -> None:
    left, right = hips(-50.0, 9)
    left[:4], right[:4] = 0.0, 0.0  # as the fit sets what was never seen at a knot
    expected = np.sin(np.radians(-50)), np.cos(np.radians(-50))
    assert facing(left, right) == pytest.approx(expected, abs=1e-9)
    # What is not a number is not hidden.
    left[0] = np.nan
    assert np.isnan(facing(left, right)).all()


def test_depth_is_the_sum_of_products(monkeypatch: pytest.MonkeyPatch) -> None:
    terms = {
        "1": 0.01,
        "z": 0.02,
        "z z": 0.03,
        "x": 0.04,
        "told_thigh": 0.5,
        "fitted_thigh z": 0.6,
        "told_other_thigh": 0.7,
        "fitted_other_thigh": 0.8,
    }
    use(monkeypatch, {"thigh": {"terms": terms, "sd": [0.05] * 5}})
    told = {"left_thigh": np.array([0.1, 0.2]), "right_thigh": np.array([0.3, 0.0])}
    fitted = {"left_thigh": np.array([0.4, 0.4]), "right_thigh": np.array([0.0, 0.1])}
    found = calibrated(told, fitted, (0.6, 0.8))
    fixed = 0.01 + 0.02 * 0.8 + 0.03 * 0.64
    left = fixed + 0.04 * 0.6 + 0.5 * np.array([0.1, 0.2]) + 0.6 * 0.8 * np.array([0.4, 0.4])
    left += 0.7 * np.array([0.3, 0.0]) + 0.8 * np.array([0.0, 0.1])
    right = fixed - 0.04 * 0.6 + 0.5 * np.array([0.3, 0.0]) + 0.6 * 0.8 * np.array([0.0, 0.1])
    right += 0.7 * np.array([0.1, 0.2]) + 0.8 * np.array([0.4, 0.4])
    np.testing.assert_allclose(found["left_thigh"][0], left)
    np.testing.assert_allclose(found["right_thigh"][0], right)


def test_segments_without_an_entry_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, {"shank": {"terms": {"told_shank": 1.0}, "sd": [0.05] * 5}})
    told = {name: np.zeros(2) for name in ("hips", "left_thigh", "left_shank", "knees")}
    assert set(calibrated(told, told, (0.0, 1.0))) == {"left_shank"}


def test_sd_lies_between_those_of_the_views(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, {"shank": {"terms": {"1": 0.0}, "sd": [0.10, 0.08, 0.06, 0.04, 0.02]}})

    def sd(towards: float) -> float:
        told = {"left_shank": np.zeros(2)}
        return calibrated(told, told, (0.0, towards))["left_shank"][1]

    for view, value in zip(VIEWS, (0.10, 0.08, 0.06, 0.04, 0.02), strict=True):
        assert sd(view) == pytest.approx(value)
    assert sd(0.35) == pytest.approx(0.05)
    assert sd(-0.85) == pytest.approx(0.09)


@pytest.mark.parametrize("turn", [0.0, 50.0, -110.0])
def test_a_mirrored_subject_has_mirrored_depths(turn: float) -> None:
    """With the table of the package: left becomes right, depths stay."""
    rng = np.random.default_rng(2)
    told, fitted = (
        {f"{side}_{name}": rng.normal(0, 0.2, 4) for name in SEGMENTS for side in ("left", "right")}
        for _ in range(2)
    )

    def swapped(values: dict[str, Any]) -> dict[str, Any]:
        other = {"left": "right", "right": "left"}
        return {
            f"{other[side]}_{name}": values[f"{side}_{name}"] for side in other for name in SEGMENTS
        }

    left, right = hips(turn)
    here = calibrated(told, fitted, facing(left, right))
    there = calibrated(swapped(told), swapped(fitted), facing(right * MIRROR, left * MIRROR))
    assert set(here) == set(told)
    for name, (value, sd) in swapped(here).items():
        np.testing.assert_allclose(there[name][0], value, atol=1e-12)
        assert there[name][1] == pytest.approx(sd)


def test_the_table_names_only_what_is_known() -> None:
    segments = tables.load("depth_calibration")["segments"]
    assert set(segments) == set(SEGMENTS)
    for name, entry in segments.items():
        factors = {factor for term in entry["terms"] for factor in str(term).split()}
        known = {f"{kind}_{segment}" for kind in ("told", "fitted") for segment in SEGMENTS}
        assert factors <= {"1", "x", "z"} | known, name
        assert len(entry["sd"]) == len(VIEWS)
        assert all(0.01 < sd < 0.2 for sd in entry["sd"])


@pytest.fixture
def problem() -> tuple[fit._Problem, np.ndarray]:
    """Three knots with the arms raised, and the joints of a first look at them."""
    n = 3
    joints = np.zeros((n, len(fit.FITTED), 3))
    joints[..., 2] = -3.0
    for k, x in ((0, 0.1), (1, -0.1)):
        for joint, y in (
            (fit.LS, 0.5), (fit.LE, 0.8), (fit.LW, 1.0), (fit.LH, 0.0), (fit.LK, -0.4),
            (fit.LA, -0.8), (fit.LC, -0.85), (fit.LT, -0.85),
        ):  # fmt: skip
            joints[:, joint + k, :2] = x, y
    blank = fit._Problem(
        knots=np.arange(n) / 7.5,
        image=np.zeros((n, len(fit.FITTED), 2)),
        world=joints.copy(),
        weight=np.ones((n, len(fit.FITTED))),
        focal_sd=0.01,
        stature=float(np.log(fit._STATURE)),
        planted=True,
    )
    return fit._with_depths(blank), joints


def by_name(problem: fit._Problem) -> dict[str, np.ndarray]:
    return dict(zip(fit._DEPTHS, problem.told.T, strict=True))


def shifted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use a table that adds 0.1 m to all it knows."""
    entries = {
        name: {"terms": {"1": 0.1, f"told_{name}": 1.0}, "sd": [0.033] * 5} for name in SEGMENTS
    }
    use(monkeypatch, entries)


def test_fit_takes_the_corrected_depths_and_their_sd(
    problem: tuple[fit._Problem, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    shifted(monkeypatch)
    told, joints = problem
    before = told.told.copy()
    better = fit._corrected(told, joints, np.zeros(told.border))
    sd = dict(zip(fit._DEPTHS, better.told_sd.T, strict=True))
    for name, value in by_name(better).items():
        corrected = name.partition("_")[2] in SEGMENTS
        np.testing.assert_allclose(value - by_name(told)[name], 0.1 if corrected else 0.0)
        if corrected:
            np.testing.assert_allclose(sd[name], 0.033)
    np.testing.assert_array_equal(told.told, before)


def test_correction_grows_with_stature(
    problem: tuple[fit._Problem, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    shifted(monkeypatch)
    told, joints = problem
    tall = replace(told, stature=float(np.log(2 * fit._STATURE)))
    better = fit._corrected(tall, joints, np.zeros(tall.border))
    np.testing.assert_allclose(by_name(better)["left_thigh"] - by_name(tall)["left_thigh"], 0.2)
    at = list(fit._DEPTHS).index("left_thigh")
    np.testing.assert_allclose(better.told_sd[:, at], 0.066)


def test_an_arm_below_the_shoulder_keeps_what_was_told(
    problem: tuple[fit._Problem, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    shifted(monkeypatch)
    told, joints = problem
    joints[1, fit.LE, 1] = 0.2  # the left elbow, at the middle knot
    better = fit._corrected(told, joints, np.zeros(told.border))
    for segment in ("upper_arm", "forearm"):
        left, right = (
            by_name(better)[f"{side}_{segment}"] - by_name(told)[f"{side}_{segment}"]
            for side in ("left", "right")
        )
        np.testing.assert_allclose(left, [0.1, 0.0, 0.1])
        np.testing.assert_allclose(right, 0.1)
        at = list(fit._DEPTHS).index(f"left_{segment}")
        assert better.told_sd[1, at] == told.told_sd[1, at] != better.told_sd[0, at]


def test_nothing_is_corrected_where_feet_walk(
    problem: tuple[fit._Problem, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    shifted(monkeypatch)
    told, joints = problem
    walking = replace(told, planted=False)
    assert fit._corrected(walking, joints, np.zeros(walking.border)) is walking
