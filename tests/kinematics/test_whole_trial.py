"""Solutions that are mirrored in depth, where depth was not measured."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from filmed_body import body, squat

from mobility.kinematics.fit import whole_trial
from mobility.kinematics.fit.body import FITTED
from mobility.kinematics.skeleton import INDEX

UPRIGHT = np.zeros(40)
"""Shared numbers of a level camera."""


def joints() -> np.ndarray:
    """A squat three metres before the camera, (n, joint, 3)."""
    _, knee = squat(3.0)
    return body(knee)[:, [INDEX[name] for name in FITTED]] - [0.0, 1.0, 3.0]


def in_picture(points: np.ndarray) -> np.ndarray:
    return points[..., :2] / -points[..., 2:]


def tried(monkeypatch, best: np.ndarray, rivals: dict[str, np.ndarray], worse: float) -> Any:
    """Let each start be its own solution, those of rivals `worse` than the best."""

    def solved(_: Any, start: np.ndarray, *__: Any, **___: Any) -> Any:
        cost = 0.0 if start is best else worse
        return SimpleNamespace(joints=start, shared=UPRIGHT, normal=SimpleNamespace(cost=cost))

    monkeypatch.setattr(whole_trial, "solve", solved)
    monkeypatch.setattr(whole_trial, "mirrored_limbs", lambda *_, **__: rivals)
    problem: Any = SimpleNamespace(
        knots=np.linspace(0, 3, len(best)), planted=True, has_depth=False
    )
    return whole_trial.try_mirrored(problem, solved(problem, best))


def test_the_whole_body_is_turned_and_the_trunk_mirrored_without_depth_alone():
    """Left is then as deep as right was, and the picture the same."""
    points = joints()
    points[..., 2] += np.where(np.arange(len(FITTED)) % 2, 0.1, -0.1)
    limbs = whole_trial.mirrored_limbs(points, planted=True, has_depth=False)
    assert set(limbs) - set(whole_trial.mirrored_limbs(points, planted=True)) == {"turned", "trunk"}
    turned = limbs["turned"]
    np.testing.assert_allclose(turned[:, 0::2, 2], points[:, 1::2, 2])
    np.testing.assert_allclose(in_picture(turned), in_picture(points))


def test_what_no_body_can_do_is_no_rival_and_gives_way_to_one(monkeypatch):
    possible = joints()
    backwards = possible * [1.0, 1.0, -1.0] - [0.0, 0.0, 6.0]
    best, modes, _ = tried(monkeypatch, possible, {"backwards": backwards}, worse=1.0)
    assert best.joints is possible
    assert not modes
    best, modes, gains = tried(monkeypatch, backwards, {"possible": possible}, worse=20.0)
    assert best.joints is possible
    assert not modes
    assert gains == {"possible": -20.0}


@pytest.mark.parametrize(("worse", "drawn"), [(3.0, True), (15.0, True), (25.0, False)])
def test_a_rival_is_drawn_by_its_probability(monkeypatch, worse, drawn):
    """From 0.05 on: 15 in cost are 0.08, 25 are 0.015."""
    best = joints()
    rival = best.copy()
    rival[:, FITTED.index("left_wrist"), 2] += 0.2
    _, modes, _ = tried(monkeypatch, best, {"wrist": rival}, worse=worse)
    assert [round(chance, 3) for chance, _ in modes] == (
        [round(1 / (1 + np.exp(worse / 6.0)), 3)] if drawn else []
    )
