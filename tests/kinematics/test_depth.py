"""Depths along segments, corrected by a process that is known."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mobility import tables
from mobility.kinematics import depth, fit
from mobility.kinematics.depth import (
    PAIRS,
    PLACES,
    SEGMENTS,
    VIEWS,
    Limbs,
    Process,
    calibrated,
    facing,
    features,
    known_by,
)

MIRROR = np.array([-1.0, 1.0, 1.0])


def hips(forward_deg: float, n: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Left and right hip of a subject turned by so much from the camera to its right."""
    a = np.radians(forward_deg)
    # Facing the camera, the subject's right is on the picture's left.
    right = 0.1 * np.array([-np.cos(a), 0.0, np.sin(a)])
    middle = np.array([0.2, 1.0, -3.0])
    return np.tile(middle - right, (n, 1)), np.tile(middle + right, (n, 1))


def use(
    monkeypatch: pytest.MonkeyPatch,
    added: float,
    *,
    sd: Any = 0.033,
    novel: float = 0.0,
    least: dict[str, float] | None = None,
) -> None:
    """Let all depths be those of the first fit and so much more."""
    found = SimpleNamespace(
        predicted=lambda x: (np.full((len(x), 3 + len(PAIRS)), added), np.full(len(x), novel))
    )
    spread = np.broadcast_to(sd, len(VIEWS)).tolist()
    settings = {
        "sd": dict.fromkeys((*SEGMENTS, *PAIRS), spread),
        "novel_sd_m": {"value": 0.08},
        "least_sd_m": least or {},
    }
    monkeypatch.setattr(depth, "_process", lambda group: found)
    monkeypatch.setattr(depth, "_settings", lambda: settings)


def limbs(rng: np.random.Generator, n: int = 4) -> Limbs:
    """Told depths and fitted segments of a posture that nobody has."""
    names = [f"{side}_{name}" for name in SEGMENTS for side in ("left", "right")] + list(PAIRS)
    told = {name: rng.normal(0, 0.2, n) for name in names}
    return Limbs(told, {name: rng.normal(0, 0.2, (n, 3)) for name in names})


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


def process(**changed: Any) -> Process:
    """One centre, which adds 0.3 m to the first of two segments, around features of 1 and sd 2."""
    numbers: dict[str, Any] = {
        "mean": np.ones(3),
        "scale": np.full(3, 2.0),
        "centres": np.array([[1.0, -1.0, 0.5]]),
        "weights": np.array([[0.3, 0.0]]),
        "offset": np.array([0.01, 0.02]),
        "length_scale": 0.7,
        "linear": 0.0,
        "known": known_by(np.array([[1.0, -1.0, 0.5]]), 0.7),
    }
    return Process(**(numbers | changed))


def test_process_gives_all_at_its_centre_and_nothing_far_from_it() -> None:
    centre, far = np.array([3.0, -1.0, 2.0]), np.array([300.0, 0.0, 0.0])
    added, novel = process().predicted(np.stack([centre, far]))
    np.testing.assert_allclose(added, [[0.31, 0.02], [0.01, 0.02]], atol=1e-9)
    np.testing.assert_allclose(novel, [0.0, 1.0], atol=1e-5)


def test_process_falls_off_as_a_bell() -> None:
    # One scaled unit from the centre along one of three features: exp(-1 / (2 * 0.49 * 3)).
    x = np.array([[5.0, -1.0, 2.0]])
    added, novel = process().predicted(x)
    bell = np.exp(-1 / (2 * 0.49 * 3))
    assert added[0, 0] == pytest.approx(0.01 + 0.3 * bell)
    assert novel[0] == pytest.approx(1 - bell**2, abs=1e-5)
    slanted, _ = process(linear=0.5).predicted(x)
    assert slanted[0, 0] - added[0, 0] == pytest.approx(0.3 * 0.5 * (2 * 1 + 1 + 0.25) / 3)


def test_depth_is_that_of_the_first_fit_and_what_is_added(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, 0.1)
    told, fitted = limbs(np.random.default_rng(1))
    found = calibrated(Limbs(told, fitted), (0.6, 0.8))
    assert set(found) == set(told)
    for name, (value, sd) in found.items():
        # Of a pair both sides say the same, the right one of its mirror image.
        np.testing.assert_allclose(value, fitted[name][:, 2] + (0.0 if name in PAIRS else 0.1))
        np.testing.assert_allclose(sd, 0.033)


def test_depth_of_a_pair_is_what_both_sides_say_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    told, fitted = limbs(np.random.default_rng(1))
    use(monkeypatch, 0.0)

    def predicted(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        # The fourth feature of the far side's depth from left to right: the mirrored hips.
        instant = x[:, : x.shape[1] // (1 + len(PLACES))]
        hips = instant[:, -4 * len(PAIRS) + 1]
        return np.tile(hips[:, None], (1, 7)), np.zeros(len(x))

    monkeypatch.setattr(depth, "_process", lambda group: SimpleNamespace(predicted=predicted))
    found = calibrated(Limbs(told, fitted), (0.0, 1.0))
    for pair in PAIRS:
        np.testing.assert_allclose(found[pair][0], fitted[pair][:, 2] + fitted["hips"][:, 2])


def test_what_does_not_move_in_the_clips_is_no_better_known_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use(monkeypatch, 0.0, sd=0.01, least={"hips": 0.02})
    found = calibrated(limbs(np.random.default_rng(1)), (0.0, 1.0))
    np.testing.assert_allclose(found["hips"][1], 0.02)
    np.testing.assert_allclose(found["knees"][1], 0.01)
    least = tables.load("depth_calibration")["least_sd_m"]
    # Six degrees of a pelvis of 0.19 m between its hip centres.
    assert least["hips"] == pytest.approx(0.19 * np.sin(np.radians(6)), abs=0.002)


def test_what_is_novel_is_less_certain(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, 0.0, novel=0.25)
    told, fitted = limbs(np.random.default_rng(1))
    _, sd = calibrated(Limbs(told, fitted), (0.0, 1.0))["left_shank"]
    np.testing.assert_allclose(sd, np.sqrt(0.033**2 + 0.04**2))


def test_a_posture_that_nobody_has_is_novel_to_the_package() -> None:
    told, fitted = limbs(np.random.default_rng(1))
    usual = max(tables.load("depth_calibration")["sd"]["thigh"])
    _, sd = calibrated(Limbs(told, {k: 10 * v for k, v in fitted.items()}), (0.0, 1.0))[
        "left_thigh"
    ]
    assert (sd > 1.5 * usual).all()


def test_sd_lies_between_those_of_the_views(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, 0.0, sd=[0.10, 0.08, 0.06, 0.04, 0.02])
    told, fitted = limbs(np.random.default_rng(1))

    def sd(towards: float) -> float:
        return calibrated(Limbs(told, fitted), (0.0, towards))["left_shank"][1][0]

    for view, value in zip(VIEWS, (0.10, 0.08, 0.06, 0.04, 0.02), strict=True):
        assert sd(view) == pytest.approx(value)
    assert sd(0.35) == pytest.approx(0.05)
    assert sd(-0.85) == pytest.approx(0.09)


@pytest.mark.parametrize("turn", [0.0, 50.0, -110.0])
def test_a_mirrored_subject_has_mirrored_depths(turn: float) -> None:
    """With the table of the package: left becomes right, depths stay."""
    told, fitted = limbs(np.random.default_rng(2))
    other = {"left": "right", "right": "left"}

    def mirrored(values: dict[str, Any], pairs: Any, limb: Any) -> dict[str, Any]:
        swapped = {
            f"{other[side]}_{name}": limb * values[f"{side}_{name}"]
            for side in other
            for name in SEGMENTS
        }
        # From left to right is from right to left in the mirror.
        return swapped | {pair: pairs * values[pair] for pair in PAIRS}

    left, right = hips(turn)
    here = calibrated(Limbs(told, fitted), facing(left, right))
    there = calibrated(
        Limbs(mirrored(told, -1.0, 1.0), mirrored(fitted, np.array([1.0, -1.0, -1.0]), MIRROR)),
        facing(right * MIRROR, left * MIRROR),
    )
    for name, (value, sd) in here.items():
        if name in PAIRS:
            np.testing.assert_allclose(there[name][0], -value, atol=1e-9)
            continue
        side, _, segment = name.partition("_")
        np.testing.assert_allclose(there[f"{other[side]}_{segment}"][0], value, atol=1e-9)
        np.testing.assert_allclose(there[f"{other[side]}_{segment}"][1], sd, atol=1e-9)


@pytest.mark.parametrize("group", ["legs", "arms"])
def test_features_have_the_number_that_was_learned_from(group: str) -> None:
    told, fitted = limbs(np.random.default_rng(2), n=3)
    x = features(Limbs(told, fitted), (0.0, 1.0), side="left", group=group)
    assert x.shape == (3, depth._process(group).centres.shape[1])


@pytest.mark.parametrize("side", ["left", "right"])
def test_an_instant_is_described_with_top_middle_and_bottom_of_the_movement(side: str) -> None:
    rng = np.random.default_rng(4)
    told, fitted = limbs(rng, n=100)
    height = 0.6 + 0.2 * np.cos(np.linspace(0.0, 6 * np.pi, 100))  # of hips above ankles
    height[40] = 3.0  # a jump of the landmarks
    for each in ("left", "right"):
        fitted[f"{each}_thigh"][:, 1] = -0.5 * height
        fitted[f"{each}_shank"][:, 1] = -0.5 * height
    x = features(Limbs(told, fitted), (0.6, 0.8), side=side, group="legs")
    instant, *places = np.split(x, 4, axis=1)
    # Within a fifth of its range.
    for place, near in zip(
        places, (height > 0.72, abs(height - 0.6) < 0.08, height < 0.48), strict=True
    ):
        np.testing.assert_array_equal(place, np.broadcast_to(place[0], place.shape))
        np.testing.assert_allclose(place[0], instant[near].mean(axis=0), atol=1e-9)
    # A part of a trial is described with the places of the trial.
    part = Limbs(
        {name: value[:20] for name, value in told.items()},
        {name: value[:20] for name, value in fitted.items()},
    )
    of_trial = features(part, (0.6, 0.8), side=side, group="legs", trial=Limbs(told, fitted))
    np.testing.assert_array_equal(of_trial, x[:20])
    alone = features(part, (0.6, 0.8), side=side, group="legs")
    np.testing.assert_array_equal(alone[:, : instant.shape[1]], instant[:20])
    assert abs(alone - of_trial).max() > 0.1


def test_how_long_the_subject_stays_at_a_place_says_little() -> None:
    told, fitted = limbs(np.random.default_rng(4), n=90)

    def places(standing: int) -> np.ndarray:
        """Of a squat after so many instants of standing, of features that follow the height."""
        height = 0.6 + 0.2 * np.cos(np.linspace(0.0, 2 * np.pi, 90 - standing))
        height = np.concatenate([np.full(standing, 0.8), height])
        still = {name: np.full(90, 0.1) for name in told}
        moving = {name: np.stack([height, -height / 2, height], axis=-1) for name in fitted}
        x = features(Limbs(still, moving), (0.6, 0.8), side="left", group="legs")
        return x[0, x.shape[1] // 4 :]

    # Of a range of 0.4 m.
    np.testing.assert_allclose(places(60), places(0), atol=0.03)


def test_trunk_and_legs_do_not_depend_on_the_arms() -> None:
    rng = np.random.default_rng(3)
    told, fitted = limbs(rng)
    raised = {k: v + (0.5 if k.endswith("arm") else 0.0) for k, v in fitted.items()}
    here = calibrated(Limbs(told, fitted), (0.0, 1.0))
    there = calibrated(Limbs(told, raised), (0.0, 1.0))
    for name, (value, sd) in here.items():
        same = np.allclose(value, there[name][0]) and np.allclose(sd, there[name][1])
        assert same is not name.endswith("arm")


def test_the_table_has_a_spread_for_each_segment_and_view() -> None:
    spreads = tables.load("depth_calibration")["sd"]
    assert set(spreads) == {*SEGMENTS, *PAIRS}
    for spread in spreads.values():
        assert len(spread) == len(VIEWS)
        assert all(0.005 < sd < 0.2 for sd in spread)


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
    """Add 0.1 m to all depths."""
    use(monkeypatch, 0.1)


def test_fit_takes_the_corrected_depths_and_their_sd(
    problem: tuple[fit._Problem, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    shifted(monkeypatch)
    told, joints = problem
    before = told.told.copy()
    better = fit._corrected(told, fit._Look(joints, np.zeros(told.border)))
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
    better = fit._corrected(tall, fit._Look(joints, np.zeros(tall.border)))
    np.testing.assert_allclose(by_name(better)["left_thigh"] - by_name(tall)["left_thigh"], 0.2)
    at = list(fit._DEPTHS).index("left_thigh")
    np.testing.assert_allclose(better.told_sd[:, at], 0.066)


def test_an_arm_below_the_shoulder_keeps_what_was_told(
    problem: tuple[fit._Problem, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    shifted(monkeypatch)
    told, joints = problem
    joints[1, fit.LE, 1] = 0.2  # the left elbow, at the middle knot
    better = fit._corrected(told, fit._Look(joints, np.zeros(told.border)))
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
    assert fit._corrected(walking, fit._Look(joints, np.zeros(walking.border))) is walking
