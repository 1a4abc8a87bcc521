from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from lab_motions import angles_of, assert_rigid, balance_of, hips

from mobility.errors import BadInputError
from mobility.virtual_lab.parametric_body import Body
from mobility.virtual_lab.sit_to_stand import LEAVES, SitToStand, perform_sit_to_stand
from mobility.virtual_lab.standing_body import Sided, Trial

QUICK = {"lead_s": 0.3, "lean_s": 0.4, "rise_s": 0.7, "stand_s": 0.3, "sit_s": 0.8, "seated_s": 0.3}


def risen(body: Body, **options: Any) -> Trial:
    motion = SitToStand(kind="sit-to-stand", **{"repetitions": 2, **QUICK, **options})
    return perform_sit_to_stand(body, motion, np.arange(0, motion.phases.duration_s, 1 / 50))


@pytest.fixture(scope="module")
def crooked(body: Body) -> Trial:
    """Ask for everything that is not symmetric at once."""
    return risen(
        body,
        knees_in=Sided(left=14, right=2),
        toe_out=Sided(left=20, right=5),
        stagger_m=0.06,
        shift_m=0.03,
        arms="hanging",
    )


def test_segments_keep_their_length_feet_their_place_and_seated_hips_theirs(body, crooked):
    assert_rigid(body, crooked)
    for side in ("left", "right"):
        for point in ("ankle", "heel", "foot_index"):
            assert np.ptp(crooked.points[f"{side}_{point}"], axis=0).max() < 1e-6
    seated = (crooked.time <= crooked.more["seat_off"][0]) | (
        (crooked.time >= crooked.more["seated"][0]) & (crooked.time <= crooked.more["seat_off"][1])
    )
    assert np.ptp(hips(crooked)[seated], axis=0).max() < 1e-6
    # While they sit, the trunk leans.
    assert np.ptp(crooked.points["left_shoulder"][seated], axis=0).max() > 0.15


def test_phases_of_a_rise_are_when_the_truth_says(body: Body) -> None:
    trial = risen(body)
    height, more = hips(trial)[:, 1], trial.more
    low, high = height.min(), height.max()
    knees = angles_of(body, trial).knee_flexion.sel(side="left")
    lean = np.degrees(np.arctan2(*trial.orientation[:, body.bone("spine01"), [2, 1], 1].T))
    for k in range(2):
        start, end = trial.start[k], trial.end[k]
        times = [start, *(more[n][k] for n in ("seat_off", "standing", "descent", "seated")), end]
        assert np.all(np.diff(times) > 0)
        during = (trial.time > more["seat_off"][k] + 0.05) & (trial.time < more["seated"][k] - 0.05)
        assert (height[during] > low + 1e-5).all()
        up = (trial.time > more["standing"][k]) & (trial.time < more["descent"][k])
        np.testing.assert_allclose(height[up], high, atol=1e-9)
        assert more["standing"][k] < trial.bottom[k] < more["descent"][k]
        # The trunk leans furthest soon after the hips leave the seat, by what is asked of it.
        rising = (trial.time > start) & (trial.time < more["standing"][k])
        most = trial.time[rising][np.argmax(lean[rising])]
        assert most - more["seat_off"][k] == pytest.approx((1 - LEAVES) * 0.4, abs=0.03)
        assert lean[rising].max() == pytest.approx(0.88 * 48, abs=0.3)
        assert knees.interp(time=start).item() == pytest.approx(knees[0].item(), abs=1e-3)
        assert knees.interp(time=trial.bottom[k]).item() == pytest.approx(5, abs=0.4)
    assert np.isnan(trial.depth).all()
    # Nothing jumps: m/s^2.
    for name in ("shoulder", "hip", "knee"):
        assert np.abs(np.diff(trial.points[f"left_{name}"], n=2, axis=0)).max() * 50**2 < 30


def test_hips_rest_on_the_seat_and_shanks_lean_as_asked(body: Body) -> None:
    parallel = body.joint("hip", "left")[0] / body.joint("shoulder", "left")[0]
    seats = (0.41, 0.47)
    plain = {"stance_width": parallel, "toe_out": 0, "seated_tibia_inclination": 14}
    trials = [risen(body, seat_height_m=seat, **plain) for seat in seats]
    above = [hips(trial)[0, 1] - seat for trial, seat in zip(trials, seats, strict=True)]
    # With the flesh of the buttocks below the hip centres.
    assert above == pytest.approx([above[0]] * 2)
    assert 0.08 < above[0] < 0.15
    for trial in trials:
        angles = angles_of(body, trial)
        assert angles.tibia_inclination[0].values == pytest.approx(14, abs=0.02)
        assert (
            abs(angles.knee_flexion - (90 + angles.tibia_inclination - angles.thigh_elevation))[
                :10
            ].max()
            < 0.01
        )
    assert [hips(trial)[-1, 1] - hips(trial)[0, 1] for trial in trials] == pytest.approx([0, 0])


def test_who_has_left_the_seat_is_in_balance(body: Body) -> None:
    trial = risen(body, repetitions=1)
    up = hips(trial)[:, 1] > hips(trial)[:, 1].min() + 0.05
    share = balance_of(trial)
    assert share[up].min() > -0.1
    assert share[up].max() < 0.8
    standing = np.argmin(np.abs(trial.time - trial.bottom[0]))
    assert share[standing] == pytest.approx(0.42, abs=0.03)
    assert share[0] < -0.2  # who sits is carried by the chair


def test_knees_go_inwards_on_their_side_while_rising(body: Body) -> None:
    plain, inwards = (
        risen(body, knees_in=Sided(left=left, right=0.0), repetitions=1) for left in (0, 15)
    )
    np.testing.assert_allclose(hips(inwards), hips(plain), atol=1e-9)
    moved = plain.points["left_knee"][:, 0] - inwards.points["left_knee"][:, 0]
    early = plain.time < plain.bottom[0]
    rising = int(np.argmax(np.where(early, moved, 0)))
    assert plain.start[0] < plain.time[rising] < plain.more["standing"][0]
    np.testing.assert_allclose(moved[~early].max(), moved[rising], atol=0.005)  # and sitting down
    assert moved[rising] > 0.04
    standing = np.argmin(np.abs(plain.time - plain.bottom[0]))
    assert np.abs(moved[[0, standing, -1]]).max() < 1e-6
    np.testing.assert_allclose(inwards.points["right_knee"], plain.points["right_knee"], atol=1e-9)
    flexions = [angles_of(body, trial).knee_flexion[rising] for trial in (plain, inwards)]
    np.testing.assert_allclose(*flexions, atol=0.01)


def test_a_trial_starts_and_ends_as_asked(body: Body) -> None:
    both = risen(body, starts="standing", ends="standing")
    height = hips(both)[:, 1]
    assert height[0] == pytest.approx(height.max())
    assert height[-1] == pytest.approx(height.max(), abs=1e-6)
    at_start = np.argmin(np.abs(both.time - both.start[0]))
    assert height[at_start] == pytest.approx(height.min(), abs=1e-6)
    assert np.isnan([both.more["seated"][-1], both.more["descent"][-1]]).all()
    assert both.end[-1] == both.more["standing"][-1]
    assert np.isfinite([both.more["seated"][0], both.end[0]]).all()
    seated = risen(body)
    assert hips(seated)[[0, -1], 1] == pytest.approx([height.min()] * 2, abs=1e-6)
    # The first rise of who sat down takes as long as that of who sits.
    for name in ("seat_off", "standing"):
        later = both.more[name] - both.start
        np.testing.assert_allclose(later, seated.more[name] - seated.start)


def test_no_joint_is_in_the_chair(body: Body) -> None:
    trial = risen(body, starts="standing", arms="hanging")
    corners = np.array(trial.furniture)
    assert corners[0, 1, 1] == 0.45
    assert len(risen(body, backrest=False).furniture) == len(corners) - 3
    for name, point in trial.points.items():
        for low, high in corners:
            inside = (point > low - 0.01) & (point < high + 0.01)
            assert not inside.all(axis=1).any(), name
    # Calves of who stands are clear of the seat, whose edge is behind the knees of who sits.
    assert corners[0, 1, 2] < trial.points["left_knee"][:, 2].min() - 0.05
    assert corners[0, 1, 2] < trial.points["left_ankle"][0, 2] - 0.08


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trunk_lean": 10}, "falls back into the chair"),
        ({"seat_height_m": 0.7, "seated_tibia_inclination": 35}, "falls over its toes"),
        ({"stance_width": 2.5, "shift_m": 0.2}, "do not reach"),
    ],
)
def test_what_the_body_cannot_do_is_refused(body: Body, options: Any, message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        risen(body, **options)
