"""Trials of real people, changed as people change them: they step, reach, rise on their toes.

What is asked of each is that the angles stay those of the trial as it was.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from filmed_body import body, filmed

import mobility as mb
from mobility import tables
from mobility.kinematics.expected_error import of_fit
from mobility.kinematics.fit import entry as fit_entry
from mobility.kinematics.fit.body import FIRST_FOOT
from mobility.kinematics.fit.planted_feet import lasting_stances, together
from mobility.kinematics.fit.problem import Problem, Stance
from mobility.kinematics.skeleton import INDEX
from mobility.kinematics.stances import steps_of
from mobility.sessions.files import read_dataset

FEET = ("ankle", "heel", "foot_index")
BODY_M = 0.85
"""Height of the hips above the ankles of these people, metres, about."""

Change = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Points in the picture (time, landmark, 2), up, as multiples of that height from the middle."""


def landmarks_of(*names: str) -> list[int]:
    """Return the indices of landmarks of both sides."""
    return [INDEX[f"{side}_{name}"] for name in names for side in ("left", "right")]


def ramp(time: np.ndarray, at: float, over: float = 0.5) -> np.ndarray:
    """Grow from 0 to 1 around a time."""
    return np.clip((time - at) / over + 0.5, 0, 1)[:, None, None]


def moment(time: np.ndarray, at: float, seconds: float) -> np.ndarray:
    """Be 1 for some seconds, 0 else."""
    return ramp(time, at, 0.2) - ramp(time, at + seconds, 0.2)


def nearer(at: float, by: float) -> Change:
    """Step nearer by a part of the distance: everything becomes larger."""
    return lambda time, points: points * (1 + by * ramp(time, at))


def sideways(at: float, metres: float) -> Change:
    """Step across the picture."""
    return lambda time, points: points + ramp(time, at) * np.array([metres / BODY_M, 0.0])


def arm_raised(at: float) -> Change:
    """Raise an arm for 0.6 s: MediaPipe's hips rise with it."""

    def change(time: np.ndarray, points: np.ndarray) -> np.ndarray:
        changed, up = points.copy(), moment(time, at, 0.6)
        changed[:, landmarks_of("hip")] += up * np.array([0.0, 0.05])
        wrist, shoulder = INDEX["left_wrist"], INDEX["left_shoulder"]
        above = points[:, shoulder] + np.array([0.0, 0.4])
        changed[:, wrist] += up[:, 0] * (above - points[:, wrist])
        return changed

    return change


def on_tiptoe(at: float) -> Change:
    """Rise on the toes for 0.6 s."""

    def change(time: np.ndarray, points: np.ndarray) -> np.ndarray:
        rise = moment(time, at, 0.6) * np.array([0.0, 0.06 / BODY_M])
        changed = points + rise
        changed[:, landmarks_of("foot_index")] -= rise
        return changed

    return change


def wider(at: float, metres: float) -> Change:
    """Set both feet apart by so much each."""

    def change(time: np.ndarray, points: np.ndarray) -> np.ndarray:
        changed, apart = points.copy(), ramp(time, at)
        for names, part in ((FEET, 1.0), (("knee",), 0.5)):
            for side in ("left", "right"):
                rows = [INDEX[f"{side}_{name}"] for name in names]
                outwards = np.sign(points[:, INDEX[f"{side}_ankle"], 0].mean())
                changed[:, rows] += apart * np.array([part * outwards * metres / BODY_M, 0.0])
        return changed

    return change


def foot_lifted(at: float, seconds: float) -> Change:
    """Lift the left foot by 30 cm, and put it back."""

    def change(time: np.ndarray, points: np.ndarray) -> np.ndarray:
        lifted = points.copy()
        for names, part in ((FEET, 1.0), (("knee",), 0.7)):
            rows = [INDEX[f"left_{name}"] for name in names]
            lifted[:, rows] += moment(time, at, seconds) * part * np.array([0.0, 0.3 / BODY_M])
        return lifted

    return change


def drifting(metres: float) -> Change:
    """Turn the camera slowly."""
    return lambda time, points: (
        points + (time / time[-1] * metres / BODY_M)[:, None, None] * np.array([1.0, 0.0])
    )


def to_and_fro(every: float, metres: float) -> Change:
    """Step across the picture and back, again and again."""

    def change(time: np.ndarray, points: np.ndarray) -> np.ndarray:
        for i, at in enumerate(np.arange(every, time[-1], every)):
            points = points + (-1) ** i * ramp(time, at) * np.array([metres / BODY_M, 0.0])
        return points

    return change


def changed(pose: xr.Dataset, change: Change) -> xr.Dataset:
    """Change the landmarks in the picture."""
    dims = ("time", "keypoint", "pixel")
    image = pose["image_position"].squeeze("individual", drop=True).transpose(*dims)
    image = image.sel(pixel=["u", "v"])
    pixels = image.to_numpy()
    middle = np.array([pose.attrs["image_width"], pose.attrs["image_height"]]) / 2
    tall = pixels[:, landmarks_of("ankle"), 1] - pixels[:, landmarks_of("hip"), 1]
    unit = np.nanpercentile(tall, 95) * np.array([1.0, -1.0])
    time = pose["time"].to_numpy()
    found = change(time, (pixels - middle) / unit) * unit + middle
    new = image.copy(data=found).expand_dims("individual").transpose(*pose["image_position"].dims)
    return pose.assign(image_position=new.assign_attrs(pose["image_position"].attrs))


@functools.cache
def pose_of(folder: Path, name: str) -> xr.Dataset:
    """Read the landmarks of a clip, at about 15 a second."""
    pose = read_dataset(folder / "lab" / "landmarks" / f"{name}_pose.nc")
    every = round(1 / 15 / float(np.diff(pose["time"]).mean()))
    return mb.clean_pose(pose.isel(time=slice(None, None, every)), visibility_threshold=0.1)


@functools.cache
def before(folder: Path, name: str) -> xr.Dataset:
    """Measure the trial as it is."""
    return mb.joint_angles(mb.fit_body(pose_of(folder, name)))


def off(found: xr.Dataset, true: xr.Dataset, frames: Any = slice(None)) -> dict[str, float]:
    """Mean absolute difference of two measurements, degrees."""
    return {
        name: float(abs(found[name] - true[name]).isel(time=frames).mean())
        for name in ("knee_flexion", "hip_flexion", "trunk_lean")
    }


FRONT, SIDE = "front_squats_arms_out", "side_squats_hands_at_chest"


@pytest.mark.parametrize(
    ("name", "change", "steps"),
    [
        (FRONT, nearer(6.0, 0.10), [("forward_m", 1)]),
        (FRONT, nearer(6.0, -0.08), [("forward_m", -1)]),
        (FRONT, sideways(6.0, 0.25), [("left_m", 1)]),
        (FRONT, wider(6.0, 0.08), [("wider_m", 1)]),
        (FRONT, arm_raised(1.0), []),
        (FRONT, on_tiptoe(1.0), []),
        (SIDE, sideways(5.0, 0.25), [("forward_m", 1)]),
        (SIDE, arm_raised(0.8), []),
        (SIDE, on_tiptoe(0.8), []),
        (SIDE, nearer(5.0, 0.08), [("left_m", -1)]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_who_steps_reaches_or_rises_is_measured_as_before(
    shared_data: Path, name: str, change: Change, steps: list[tuple[str, int]]
) -> None:
    body = mb.fit_body(changed(pose_of(shared_data, name), change))
    entry = of_fit(body)
    assert entry["planted"]
    assert len(entry["steps"]) == len(steps), entry["steps"]
    assert len(entry["stances"]) == len(steps) + 1
    for found, (way, sign) in zip(entry["steps"], steps, strict=True):
        assert max(("forward_m", "left_m", "wider_m"), key=lambda w: abs(found[w])) == way, found
        assert found[way] * sign > 0.05
        at = 6.0 if name == FRONT else 5.0
        assert found["from_s"] < at + 0.1
        assert found["to_s"] > at - 0.1
        assert found["to_s"] - found["from_s"] < 1.5
    difference = off(mb.joint_angles(body), before(shared_data, name))
    assert max(difference.values()) < 3.0, difference


def walking(pose: xr.Dataset, seconds: float, *, out: bool) -> xr.Dataset:
    """Walk into the picture to where a trial begins, or out of it, half a metre a step."""
    rate = 15
    time = np.arange(round(seconds * rate)) / rate
    still = pose.isel(time=[-1 if out else 0] * time.size)
    left = time if out else seconds - time

    def change(_: np.ndarray, points: np.ndarray) -> np.ndarray:
        moved = points + (left / BODY_M)[:, None, None] * np.array([1.0, 0.0])
        for side, phase in (("left", 0.0), ("right", 0.5)):
            strides = np.floor(left - phase) + np.clip(2 * ((left - phase) % 1 - 0.5), 0, 1) + phase
            for names, part in ((FEET, 1.0), (("knee",), 0.5)):
                rows = [INDEX[f"{side}_{name}"] for name in names]
                ahead = part * (np.maximum(strides, 0) - left) / BODY_M
                moved[:, rows] += ahead[:, None, None] * np.array([1.0, 0.0])
        return moved

    start = float(pose["time"][-1]) + 1 / rate if out else float(pose["time"][0]) - seconds
    return changed(still, change).assign_coords(time=start + time)


def test_who_walks_in_and_out_is_measured_where_the_feet_stay(shared_data: Path) -> None:
    pose = pose_of(shared_data, FRONT)
    parts = [walking(pose, 3.0, out=False), pose, walking(pose, 3.0, out=True)]
    joined = xr.concat(parts, dim="time", data_vars="minimal", coords="minimal", compat="override")
    true = before(shared_data, FRONT)
    body = mb.fit_body(joined.assign_attrs(pose.attrs))
    entry = of_fit(body)
    (stance,) = entry["stances"]
    assert stance["first_s"] == pytest.approx(float(pose["time"][0]), abs=0.7)
    assert stance["last_s"] == pytest.approx(float(pose["time"][-1]), abs=0.7)
    inside = joined["time"].isin(pose["time"]).to_numpy()
    difference = off(mb.joint_angles(body).isel(time=inside), true)
    assert max(difference.values()) < 3.0, difference


def test_who_lifts_a_foot_and_puts_it_back_is_measured_before_and_after(shared_data: Path) -> None:
    for name in (FRONT, SIDE):
        pose = pose_of(shared_data, name)
        body = mb.fit_body(changed(pose, foot_lifted(4.0, 2.0)))
        # From the side it is the far foot, and what it does meanwhile may be a stance of its own.
        steps = of_fit(body)["steps"]
        assert len(steps) == 1 or name == SIDE
        assert steps_of(body)[0].returns == (name == FRONT)
        assert (steps[0]["from_s"], steps[-1]["to_s"]) == pytest.approx((3.9, 6.2), abs=0.4)
        apart = (pose["time"] < 3.7).to_numpy() | (pose["time"] > 6.6).to_numpy()
        difference = off(mb.joint_angles(body), before(shared_data, name), apart)
        assert max(difference.values()) < 3.0, difference


def test_a_foot_behind_the_other_that_moves_as_the_knees_bend_is_no_step(
    shared_data: Path,
) -> None:
    """From the side the pose model puts the far foot elsewhere while the knees are bent."""
    pose = pose_of(shared_data, SIDE)
    seen = pose["confidence"].mean("time").squeeze()
    far = min(("left", "right"), key=lambda side: float(seen.sel(keypoint=f"{side}_ankle")))

    def higher(time: np.ndarray, points: np.ndarray) -> np.ndarray:
        changed = points.copy()
        rows = [INDEX[f"{far}_{name}"] for name in FEET]
        changed[:, rows] += moment(time, 6.0, 3.0) * np.array([0.0, 0.07 / BODY_M])
        return changed

    assert of_fit(mb.fit_body(changed(pose, higher)))["steps"] == []


def test_a_foot_that_is_hidden_after_a_step_stays_as_the_other_one(shared_data: Path) -> None:
    pose = changed(pose_of(shared_data, FRONT), sideways(6.0, 0.25))
    foot = pose["keypoint"].isin([f"left_{name}" for name in FEET])
    hidden = (pose["time"] > 6.0) & foot
    names = ["position", "image_position", "confidence"]
    body = mb.fit_body(pose.assign({name: pose[name].where(~hidden) for name in names}))
    assert len(of_fit(body)["stances"]) == 2
    assert mb.find_repetitions(body)["accepted"].sum() >= 3


@pytest.mark.parametrize("metres", [0.0, 0.25])
def test_a_step_that_nobody_sees_is_found_afterwards(shared_data: Path, metres: float) -> None:
    pose = changed(pose_of(shared_data, FRONT), sideways(6.0, metres))
    seen = (pose["time"] < 4.5) | (pose["time"] > 9.0)
    names = ["position", "image_position", "confidence"]
    body = mb.fit_body(pose.assign({name: pose[name].where(seen) for name in names}))
    entry = of_fit(body)
    assert (entry["planted"], len(entry["stances"])) == (True, 2 if metres else 1)
    apart = ((pose["time"] < 4.2) | (pose["time"] > 9.3)).to_numpy()
    difference = off(mb.joint_angles(body), before(shared_data, FRONT), apart)
    assert max(difference.values()) < 4.0, difference


def test_before_a_camera_that_is_turned_feet_are_not_planted_and_nobody_steps(
    shared_data: Path,
) -> None:
    pose = pose_of(shared_data, FRONT)
    turned = mb.fit_body(changed(pose, drifting(0.5)))
    assert (of_fit(turned)["planted"], of_fit(turned)["steps"]) == (False, [])
    assert mb.find_repetitions(turned)["accepted"].sum() >= 3
    moves = tables.warning("capture.moving_camera", share=0.5, shift=0.02)
    history = json.loads(pose.attrs["history"])
    (entry,) = [each for each in history if each["operation"] == "estimate_pose"]
    entry["warnings"] = [moves]
    stepping = changed(pose, sideways(6.0, 0.15)).assign_attrs(history=json.dumps(history))
    assert of_fit(mb.fit_body(stepping))["steps"] == []


def test_who_steps_all_the_time_has_no_stances(shared_data: Path) -> None:
    pose = pose_of(shared_data, FRONT)
    assert of_fit(mb.fit_body(changed(pose, to_and_fro(2.0, 0.15))))["planted"] is False
    later = [pose.assign_coords(time=pose["time"] + 17.8 * i) for i in range(4)]
    long = xr.concat(later, dim="time", data_vars="minimal", coords="minimal", compat="override")
    entry = of_fit(mb.fit_body(changed(long.assign_attrs(pose.attrs), to_and_fro(3.0, 0.15))))
    assert (entry["planted"], entry["stances"]) == (False, [])


def test_short_times_that_were_given_are_kept_with_two_cameras() -> None:
    knots = np.arange(0, 10, 0.13)
    stances = (Stance(0, 0.5, 1.5), Stance(1, 0.5, 1.5))
    shape = (len(knots), 16)
    view = Problem(
        **{"knots": knots, "image": np.zeros((*shape, 2)), "world": np.zeros((*shape, 3))},
        **{"weight": np.ones(shape), "distance": np.ones(len(knots)), "focal_sd": 0.1},
        **{"stature": 0.5, "planted": True, "stances": stances},
    )
    given = {"left": [(0.5, 1.5)], "right": [(0.5, 1.5)]}
    assert together([view, view], given) == (True, stances)
    assert together([view, view], None) == (False, ())


@pytest.mark.parametrize("at", [0.4, 5.6])
def test_who_takes_a_step_as_the_trial_begins_or_ends_is_planted(
    shared_data: Path, at: float
) -> None:
    pose = pose_of(shared_data, FRONT).sel(time=slice(0.0, 6.0))
    entry = of_fit(mb.fit_body(changed(pose, sideways(at, 0.25))))
    (stance,) = entry["stances"]
    assert (entry["planted"], entry["steps"]) == (True, [])
    ends = [stance["first_s"], stance["last_s"]]
    assert ends == pytest.approx([0.6, 6.0] if at < 3 else [0.0, 5.4], abs=0.2)


def test_half_of_a_short_trial_is_enough_of_a_stance(shared_data: Path) -> None:
    pose = pose_of(shared_data, FRONT).sel(time=slice(0.0, 2.2))
    parts = [pose, walking(pose, 1.6, out=True)]
    joined = xr.concat(parts, dim="time", data_vars="minimal", coords="minimal", compat="override")
    entry = of_fit(mb.fit_body(joined.assign_attrs(pose.attrs)))
    assert entry["planted"] is True
    (stance,) = entry["stances"]
    assert stance["last_s"] == pytest.approx(2.2, abs=0.5)


def test_trials_in_which_feet_stay_are_one_stance(shared_data: Path) -> None:
    clips = ("front_squats_arms_hanging", "front_squats_weights_at_shoulders", FRONT, SIDE)
    for name in (*clips, "side_squats_arms_forward"):
        entry = of_fit(mb.fit_body(pose_of(shared_data, name), draws=8))
        assert (entry["planted"], len(entry["stances"]), entry["steps"]) == (True, 1, []), name
    feet_pulled_back = of_fit(mb.fit_body(pose_of(shared_data, "chair_rises_oblique"), draws=8))[
        "steps"
    ]
    (step,) = feet_pulled_back
    assert step["forward_m"] < -0.05
    assert 2.5 < step["from_s"] < step["to_s"] < 3.7


def squats_before(azimuth: float, feet_m: np.ndarray, *, sides: tuple[str, ...]) -> xr.Dataset:
    """Film four squats of 2 s in the bottom, whose feet are found so far beside their places.

    `feet_m` is over time, across what the camera sees.
    """
    time, share = bends()
    points = body(6.0 + 95.0 * share)
    across = np.array([1.0, 0.0, 0.0]) if azimuth < 45 else np.array([0.0, 0.0, 1.0])
    for side in sides:
        points[:, [INDEX[f"{side}_{name}"] for name in FEET]] += feet_m[:, None, None] * across
    return filmed(time, points, azimuth=azimuth, noise_px=2.0, drift_px=3.0)


def bends() -> tuple[np.ndarray, np.ndarray]:
    """Times of four squats, and how far they go, 0 to 1."""
    time = np.arange(330) / 15.0
    into = (time - 1.5) % 5.0
    share = np.clip(np.minimum(into, 4.0 - into), 0.0, 1.0) * (time > 1.5)
    share[time > 20.5] = 0.0
    return time, 0.5 * (1 - np.cos(np.pi * share))


@pytest.mark.parametrize("azimuth", [0.0, 90.0])
@pytest.mark.parametrize("sides", [("left",), ("left", "right")], ids="-".join)
@pytest.mark.parametrize("metres", [0.004, 0.026, 0.05])
def test_landmarks_of_feet_that_wander_while_the_knees_bend_are_no_steps(
    azimuth: float, sides: tuple[str, ...], metres: float
) -> None:
    _, share = bends()
    fitted = mb.fit_body(squats_before(azimuth, metres * share, sides=sides), draws=8)
    entry = of_fit(fitted)
    assert (entry["planted"], len(entry["stances"]), entry["steps"]) == (True, 1, [])
    assert mb.find_repetitions(fitted)["accepted"].values.tolist() == [True] * 4


@pytest.mark.parametrize("azimuth", [0.0, 90.0])
@pytest.mark.parametrize("seconds", [2.0, 8.0])
def test_a_foot_that_comes_back_from_five_centimetres_did_not_step(
    azimuth: float, seconds: float
) -> None:
    time, _ = bends()
    away = 0.05 * moment(time, 5.9, seconds).ravel()
    entry = of_fit(mb.fit_body(squats_before(azimuth, away, sides=("left",)), draws=8))
    assert (entry["planted"], len(entry["stances"]), entry["steps"]) == (True, 1, [])


@pytest.mark.parametrize("azimuth", [0.0, 90.0])
@pytest.mark.parametrize("sides", [("left",), ("left", "right")], ids="-".join)
@pytest.mark.parametrize("metres", [0.06, 0.10])
def test_a_foot_that_stays_where_it_went_stepped(
    azimuth: float, sides: tuple[str, ...], metres: float
) -> None:
    time, _ = bends()
    pose = squats_before(azimuth, metres * ramp(time, 11.0).ravel(), sides=sides)
    fitted = mb.fit_body(pose, draws=8)
    (step,) = of_fit(fitted)["steps"]
    assert 10.5 < step["from_s"] < step["to_s"] < 11.5
    assert step["foot_m"] == pytest.approx(metres, abs=0.02)
    assert not steps_of(fitted)[0].returns


def test_stances_between_which_the_fitted_feet_go_less_than_a_step_are_one() -> None:
    """Feet go by 3, 2 and 6 cm: the first two are no steps, the last is one."""
    knots = np.arange(0, 12, 0.13)
    ends = [(-np.inf, 2.9), (3.1, 5.9), (6.1, 8.9), (9.1, np.inf)]
    stances = tuple(Stance(side, *each) for each in ends for side in (0, 1))
    shape = (len(knots), 16)
    problem = Problem(
        **{"knots": knots, "image": np.zeros((*shape, 2)), "world": np.zeros((*shape, 3))},
        **{"weight": np.ones(shape), "distance": np.ones(len(knots)), "focal_sd": 0.1},
        **{"stature": 0.5, "planted": True, "stances": stances},
    )
    shared = np.zeros(problem.n_shared)
    places = shared[FIRST_FOOT:].reshape(4, 2, 2, 3)  # stance, side, heel and toe
    places[:, 0, :, 0] = np.array([0.0, 0.03, 0.01, 0.07])[:, None]
    places[1:, :, :, 1] = 0.05  # up: not a way on the floor
    joined = lasting_stances(problem, shared)
    pairs = [(-np.inf, 8.9), (9.1, np.inf)]
    assert joined == tuple(Stance(side, *each) for each in pairs for side in (0, 1))
    # A foot that was 30 cm away in between was lifted.
    lifted = problem.image.copy()
    lifted[(knots > 2.9) & (knots < 3.6)] += 0.3
    longer = [stance._replace(first=3.6) if stance.first == 3.1 else stance for stance in stances]
    kept = lasting_stances(replace(problem, image=lifted, stances=tuple(longer)), shared)
    assert [each.first for each in kept[::2]] == [-np.inf, 3.6, 9.1]


@pytest.mark.parametrize("azimuths", [(0.0,), (0.0, 30.0)], ids=str)
def test_a_trial_whose_body_takes_no_step_is_fitted_again_as_one_stance(
    azimuths: tuple[float, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The picture shows 6 cm, and the body is made to have gone half of it."""
    time, _ = bends()
    poses = [
        squats_before(azimuth, 0.06 * ramp(time, 11.0).ravel(), sides=("left", "right"))
        for azimuth in azimuths
    ]

    def half_as_far(problem: Problem, shared: np.ndarray) -> tuple[Stance, ...]:
        shrunk = shared.copy()
        shrunk[FIRST_FOOT:] /= 2
        return lasting_stances(problem, shrunk)

    monkeypatch.setattr(fit_entry, "lasting_stances", half_as_far)
    fitted = mb.fit_body(poses, draws=8)
    entry = of_fit(fitted)
    assert (entry["planted"], len(entry["stances"]), entry["steps"]) == (True, 1, [])
    assert mb.find_repetitions(fitted)["accepted"].all()


@pytest.mark.slow
@pytest.mark.parametrize("phones", [("cam0",), ("cam1",), ("cam0", "cam1")], ids="-".join)
def test_a_man_who_steps_nearer_on_film_stands_straight_before_and_after(
    phones: tuple[str, ...], shared_data: Path, pose_model: Path
) -> None:
    """By the lab's keypoints he goes 7 cm forward and his feet are 9 cm farther apart."""
    poses = [
        mb.estimate_pose(shared_data / "videos" / f"cmbbe_squats_{phone}.mp4", workers=2)
        for phone in phones
    ]
    body = mb.fit_body([mb.clean_pose(each, visibility_threshold=0.1) for each in poses])
    (step,) = of_fit(body)["steps"]
    assert 3.9 < step["from_s"] < 4.5 < step["to_s"] < 5.0
    assert step["forward_m"] == pytest.approx(0.07, abs=0.07)
    assert step["wider_m"] == pytest.approx(0.09, abs=0.05)
    knee = mb.joint_angles(body)["knee_flexion"].sel(time=slice(0.5, 3.5)).mean("time")
    assert float(abs(knee - 5.0).max()) < 6.0
