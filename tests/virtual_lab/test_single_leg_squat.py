from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from lab_motions import angles_of, assert_rigid, balance_of, hips, mass_centre

from mobility.errors import BadInputError
from mobility.virtual_lab.parametric_body import Body
from mobility.virtual_lab.single_leg_squat import SingleLegSquat, perform_single_leg_squat
from mobility.virtual_lab.standing_body import Sided, Trial

QUICK = {
    **{"descent_s": 0.8, "ascent_s": 0.7, "bottom_s": 0.2, "pause_s": 0.3, "lift_s": 0.5},
    **{"lead_s": 0.2, "repetitions": 1},
}


def performed(body: Body, **options: Any) -> Trial:
    motion = SingleLegSquat(kind="single-leg-squat", **{**QUICK, **options})
    return perform_single_leg_squat(body, motion, np.arange(0, motion.phases.duration_s, 1 / 50))


def at(trial: Trial, time: float) -> int:
    return int(np.argmin(np.abs(trial.time - time)))


@pytest.fixture(scope="module")
def both(body: Body) -> Trial:
    """Squat on both legs, one after the other, and differently."""
    return performed(
        body,
        side="both",
        repetitions=2,
        knee_flexion=Sided(left=65, right=50),
        knees_in=Sided(left=2, right=14),
        pelvis_drop=Sided(left=-2, right=7),
        side_lean=Sided(left=3, right=9),
        trunk_lean=25,
    )


def test_segments_keep_their_length_and_the_foot_that_stands_its_place(body, both):
    assert_rigid(body, both)
    assert list(both.more["standing_side"]) == ["left", "left", "right", "right"]
    assert np.all(np.diff(both.start) > 0)
    for side, free in (("left", "right"), ("right", "left")):
        mine = both.more["standing_side"] == side
        bout = (both.time >= both.start[mine][0]) & (both.time <= both.end[mine][-1])
        for point in ("ankle", "heel", "foot_index"):
            assert np.ptp(both.points[f"{side}_{point}"][bout], axis=0).max() < 1e-6
        for point in ("heel", "foot_index"):
            lifted = both.points[f"{free}_{point}"][bout, 1]
            assert lifted.min() > body.toe[free][1] + 0.05
        ends = [both.points[f"{side}_ankle"][k] for k in (0, at(both, both.end[1] + 0.9), -1)]
        np.testing.assert_allclose(ends, [ends[0]] * 3, atol=1e-6)


def test_each_leg_does_what_is_asked_of_it(body: Body, both: Trial) -> None:
    angles = angles_of(body, both)
    asked = {"left": (65, -2, 3), "right": (50, 7, 9)}
    for k, side in enumerate(both.more["standing_side"]):
        flexion, drop, aside = asked[side]
        sign = 1 if side == "right" else -1
        now, before = (angles.isel(time=at(both, t)) for t in (both.bottom[k], both.start[k]))
        assert now.knee_flexion.sel(side=side).item() == pytest.approx(flexion, abs=0.05)
        assert before.knee_flexion.sel(side=side).item() == pytest.approx(6, abs=0.05)
        # The left side is lower where obliquity is positive; the free one drops.
        assert now.pelvis_obliquity.item() == pytest.approx(sign * drop, abs=0.05)
        assert before.pelvis_obliquity.item() == pytest.approx(0, abs=0.01)
        # Positive to the right; the roll of the pelvis takes the lower spine with it.
        lateral = now.trunk_lateral_lean.item()
        assert lateral == pytest.approx(sign * (0.88 * aside - 0.4 * drop), abs=0.8)
        assert now.trunk_lean.item() == pytest.approx(0.9 * 25, abs=3)
        height = hips(both)[:, 1] - body.joint("ankle", side)[1]
        low, high = height[at(both, both.bottom[k])], height[at(both, both.start[k])]
        assert both.depth[k] == pytest.approx(100 * (1 - low / high), abs=0.05)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("free_leg", ["behind", "front"])
def test_who_stands_on_one_leg_is_in_balance(body: Body, side: str, free_leg: str) -> None:
    trial = performed(body, side=side, free_leg=free_leg, side_lean=6, pelvis_drop=5, toe_out=0)
    free = {"left": "right", "right": "left"}[side]
    squatting = (trial.time >= trial.start[0]) & (trial.time <= trial.end[0])
    np.testing.assert_allclose(balance_of(trial, side)[squatting], 0.42, atol=0.05)
    foot = (trial.points[f"{side}_heel"] + trial.points[f"{side}_foot_index"])[:, 0] / 2
    assert np.abs(mass_centre(trial)[:, 0] - foot)[squatting].max() < 0.02
    ahead = trial.points[f"{free}_ankle"][:, 2] - trial.points[f"{side}_ankle"][:, 2]
    assert (ahead[squatting] > 0.1 if free_leg == "front" else ahead[squatting] < -0.1).all()
    # Nothing jumps: m/s^2.
    for name in ("shoulder", "hip", "knee", "ankle"):
        for leg in ("left", "right"):
            assert np.abs(np.diff(trial.points[f"{leg}_{name}"], n=2, axis=0)).max() * 50**2 < 40


def test_sides_are_mirrored(body: Body) -> None:
    options = {"pelvis_drop": 5, "side_lean": 8, "knees_in": 10, "arms": "forward"}
    left, right = (performed(body, side=side, **options) for side in ("left", "right"))
    for name in ("shoulder", "hip", "knee", "ankle", "heel", "foot_index"):
        for side, other in (("left", "right"), ("right", "left")):
            mirrored = right.points[f"{other}_{name}"] * [-1, 1, 1]
            np.testing.assert_allclose(left.points[f"{side}_{name}"], mirrored, atol=1e-4)


def test_the_knee_that_stands_goes_inwards_and_the_other_does_not(body: Body) -> None:
    plain, inwards = (performed(body, side="left", knees_in=turn) for turn in (0, 15))
    bottom = at(plain, plain.bottom[0])

    def inside(trial: Trial, side: str) -> float:
        """How far the knee is from the middle of the body beside the line from hip to ankle."""
        hip, knee, ankle = (trial.points[f"{side}_{n}"][bottom] for n in ("hip", "knee", "ankle"))
        share = (hip[1] - knee[1]) / (hip[1] - ankle[1])
        aside = knee[0] - (hip[0] + share * (ankle[0] - hip[0]))
        return float(aside if side == "left" else -aside)

    assert inside(inwards, "left") < inside(plain, "left") - 0.04
    assert inside(inwards, "right") == pytest.approx(inside(plain, "right"), abs=0.005)
    flexions = [angles_of(body, t).knee_flexion.sel(side="left")[bottom] for t in (plain, inwards)]
    np.testing.assert_allclose(*flexions, atol=1e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"knee_flexion": 100, "trunk_lean": -10, "free_leg": "front"}, "cannot keep its balance"),
        ({"knee_flexion": 110, "pelvis_drop": 20, "trunk_lean": 50}, "meets the floor"),
    ],
)
def test_what_the_body_cannot_do_is_refused(body: Body, options: Any, message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        performed(body, **options)
