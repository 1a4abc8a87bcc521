"""Landmarks in the picture, shifted by a process that is known."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mobility.kinematics import fit, landmark_shift
from mobility.kinematics.depth import PAIRS, SEGMENTS, Limbs
from mobility.kinematics.landmark_shift import SHIFTED, left_over, shifts

ALL = [joint for joints in SHIFTED.values() for joint in joints]
OTHER = {"left": "right", "right": "left"}


def limbs(rng: np.random.Generator, n: int = 4) -> Limbs:
    """Told depths and fitted segments of a posture that nobody has."""
    names = [f"{side}_{name}" for name in SEGMENTS for side in OTHER] + list(PAIRS)
    told = {name: rng.normal(0, 0.1, n) for name in names}
    return Limbs(told, {name: rng.normal(0, 0.1, (n, 3)) for name in names})


def use(monkeypatch: pytest.MonkeyPatch, across: float, up: float, *, novel: float = 0.0) -> None:
    """Let all landmarks be so far off, metres."""

    def process(group: str) -> Any:
        moved = np.tile([across, up], len(SHIFTED[group]))
        return SimpleNamespace(
            predicted=lambda x: (np.tile(moved, (len(x), 1)), np.full(len(x), novel))
        )

    monkeypatch.setattr(landmark_shift, "_process", process)


def test_a_right_landmark_is_shifted_as_the_mirrored_left_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use(monkeypatch, 0.02, -0.01)
    found = shifts(limbs(np.random.default_rng(1)), (0.0, 1.0))
    assert set(found) == {f"{side}_{joint}" for side in OTHER for joint in ALL}
    for name, shift in found.items():
        across = 0.02 if name.startswith("left") else -0.02
        np.testing.assert_allclose(shift.metres, np.tile([across, -0.01], (4, 1)))


def test_a_shift_fades_where_the_posture_is_novel(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, 0.02, -0.01, novel=0.75)
    found = shifts(limbs(np.random.default_rng(1)), (0.0, 1.0))["left_hip"]
    np.testing.assert_allclose(found.metres, np.tile([0.005, -0.0025], (4, 1)))
    np.testing.assert_allclose(found.novel, 0.75)


def test_a_mirrored_subject_has_mirrored_shifts() -> None:
    """With the table of the package."""
    told, fitted = limbs(np.random.default_rng(2))
    flip = np.array([-1.0, 1.0, 1.0])

    def mirrored(values: dict[str, Any], pairs: Any, limb: Any) -> dict[str, Any]:
        swapped = {
            f"{OTHER[side]}_{name}": limb * values[f"{side}_{name}"]
            for side in OTHER
            for name in SEGMENTS
        }
        # From left to right is from right to left in the mirror.
        return swapped | {pair: pairs * values[pair] for pair in PAIRS}

    here = shifts(Limbs(told, fitted), (0.6, 0.8))
    there = shifts(Limbs(mirrored(told, -1.0, 1.0), mirrored(fitted, -flip, flip)), (-0.6, 0.8))
    for name, shift in here.items():
        side, _, joint = name.partition("_")
        mirror = there[f"{OTHER[side]}_{joint}"]
        np.testing.assert_allclose(mirror.metres, shift.metres * [-1.0, 1.0], atol=1e-9)
        np.testing.assert_allclose(mirror.novel, shift.novel, atol=1e-9)


def test_shifts_of_the_package_are_small_and_none_where_nobody_was() -> None:
    told, fitted = limbs(np.random.default_rng(3))
    far = shifts(
        Limbs({k: 50 * v for k, v in told.items()}, {k: 50 * v for k, v in fitted.items()}),
        (0.0, 1.0),
    )
    for shift in far.values():
        np.testing.assert_allclose(shift.metres, 0.0, atol=1e-9)
        np.testing.assert_allclose(shift.novel, 1.0, atol=1e-9)


def test_the_table_has_a_spread_for_each_joint() -> None:
    assert set(left_over()) == set(ALL)
    assert all(0.005 < sd < 0.04 for sd in left_over().values())


@pytest.fixture
def problem() -> tuple[fit._Problem, np.ndarray]:
    """Six knots with the arms raised, and the joints of a first look at them."""
    n = 6
    joints = np.zeros((n, len(fit.FITTED), 3))
    joints[..., 2] = -4.0
    joints[:, [fit.LE, fit.RE], 1] = 0.3
    joints[:, [fit.LH, fit.LK], 0], joints[:, [fit.RH, fit.RK], 0] = 0.1, -0.1
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


def test_fit_moves_landmarks_back_and_trusts_them_more(
    problem: tuple[fit._Problem, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, 0.02, -0.01)
    monkeypatch.setattr(fit, "left_over", lambda: dict.fromkeys(ALL, 0.011))
    seen, joints = problem
    border = np.zeros(seen.border)
    border[fit._F] = np.log(1.2)
    better = fit._corrected(seen, fit._Look(joints, border))
    # Four metres away, 1.2 focal lengths that were assumed.
    for joint, left in fit._LEFT.items():
        for k, way in enumerate((1.0, -1.0)):
            moved = np.array([-way * 0.02, 0.01]) * 1.2 / 4.0
            np.testing.assert_allclose(better.image[:, left + k], np.tile(moved, (6, 1)))
            np.testing.assert_allclose(better.image_sd[:, left + k], 0.011, err_msg=joint)
    assert (seen.image == 0).all()
    tall = replace(seen, stature=float(np.log(2 * fit._STATURE)))
    better = fit._corrected(tall, fit._Look(joints, np.zeros(seen.border)))
    np.testing.assert_allclose(better.image[:, fit.LH], np.tile([-0.01, 0.005], (6, 1)))
    np.testing.assert_allclose(better.image_sd[:, fit.LH], 0.022)


def test_novel_landmarks_are_trusted_as_usual(
    problem: tuple[fit._Problem, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, 0.02, -0.01, novel=1.0)
    seen, joints = problem
    better = fit._corrected(seen, fit._Look(joints, np.zeros(seen.border)))
    np.testing.assert_allclose(better.image, 0.0)
    larger = np.repeat([left_over()[joint] for joint in fit._LEFT], 2)
    expected = np.maximum(seen.image_sd, larger)
    np.testing.assert_allclose(better.image_sd, expected)


@pytest.mark.parametrize(("down", "expected"), [(1, True), (3, False)])
def test_arms_are_shifted_where_both_stay_up(
    problem: tuple[fit._Problem, np.ndarray],
    monkeypatch: pytest.MonkeyPatch,
    down: int,
    expected: bool,
) -> None:
    use(monkeypatch, 0.02, -0.01)
    seen, joints = problem
    joints[:down, fit.LE, 1] = -0.2  # the left elbow
    better = fit._corrected(seen, fit._Look(joints, np.zeros(seen.border)))
    rows = [expected and i >= down for i in range(len(joints))]
    for left in (fit.LS, fit.LE, fit.LW):
        for joint in (left, left + 1):
            np.testing.assert_array_equal((better.image[:, joint] != 0).any(axis=1), rows)
            assert better.image_sd[0, joint] == seen.image_sd[0, joint]
    assert (better.image[:, fit.LH] != 0).any(axis=1).all()


def test_of_several_cameras_neither_turns_of_the_trunk_nor_arms_are_corrected(
    problem: tuple[fit._Problem, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, 0.02, -0.01)
    seen, joints = problem
    better = fit._corrected(seen, fit._Look(joints, np.zeros(seen.border)), one_of=2)
    moved = (better.image != seen.image).any(axis=(0, 2))
    for joint, left in fit._LEFT.items():
        expected = joint not in ("hip", "shoulder", "elbow", "wrist")
        assert moved[left] == moved[left + 1] == expected, joint
    changed = dict(zip(fit._DEPTHS, (better.told_sd != seen.told_sd).any(axis=0), strict=True))
    for name, other in changed.items():
        assert other == (name not in ("hips", "shoulders")), name
