"""Repetitions of trials whose events are known, of real videos and of marker data."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr
from analytic import minimum_jerk, with_step

from mobility.base.provenance import cuts_of, history, repeats_of, warnings_of
from mobility.errors import BadInputError
from mobility.keypoints.view import camera_view
from mobility.kinematics.angles import joint_angles
from mobility.kinematics.clean import clean_pose
from mobility.kinematics.repetitions import (
    find_repetitions,
    normalise_repetitions,
    repetitions_of_signal,
    set_repetitions,
)
from mobility.lab.joint_centres import lab_pose
from mobility.lab.lab_files import read_lab


def codes(dataset):
    return [warning["code"] for warning in warnings_of(dataset)]


def check_events(reps, truth, tolerance):
    used = reps.isel(rep=reps.accepted.to_numpy())
    assert used.sizes["rep"] == truth.sizes["rep"]
    np.testing.assert_allclose(used.bottom, truth.bottom, atol=tolerance)
    # 5 % of the peak speed is reached a little after the first movement, and before the last.
    assert (np.abs(used.start - truth.start - 0.1) < 0.1 + tolerance).all()
    assert (np.abs(used.end - truth.end + 0.1) < 0.1 + tolerance).all()
    assert (used.start < used.bottom_start).all()
    assert (used.bottom_start <= used.bottom).all()
    assert (used.bottom <= used.bottom_end).all()
    assert (used.bottom_end < used.end).all()


@pytest.mark.parametrize("fps", [5, 30, 120])
def test_noisy_repetitions_at_any_frame_rate(squat_pose, fps):
    pose, truth = squat_pose(fps=fps, reps=4, noise=0.004, seed=3)
    reps = find_repetitions(clean_pose(pose))
    check_events(reps, truth, 0.3 if fps == 5 else 0.25)
    expected = 100 * (1 - float(truth.hip_height.min()))
    np.testing.assert_allclose(reps.depth, expected, atol=1.5)
    assert reps.complete.all()
    assert (reps.reason == "").all()
    if fps == 30:  # raw noise needs no cleaning first, and quick repetitions no rest
        check_events(
            find_repetitions(squat_pose(noise=0.02, seed=5).pose), truth[{"rep": [0, 1, 2]}], 0.3
        )
        quick = squat_pose(reps=8, rest=0.05, descent=0.6, ascent=0.5, hold=0.05, noise=0.003)
        assert int(find_repetitions(clean_pose(quick.pose)).accepted.sum()) == 8


def test_clean_events_are_exact(squat_pose):
    pose, truth = squat_pose(fps=60)
    reps = find_repetitions(pose)
    np.testing.assert_allclose(reps.bottom, truth.bottom, atol=0.03)
    # Minimum jerk has 5 % of its peak speed at 8.3 % and 91.7 % of its second; the rise of the hips
    # lags behind the angles there, and the bottom band is entered before they stop.
    assert (np.abs(reps.start - truth.start - 0.19) < 0.06).all()
    assert (np.abs(reps.end - truth.end + 0.19) < 0.06).all()
    assert (
        (reps.bottom_start - truth.bottom_start < 0)
        & (truth.bottom_start - reps.bottom_start < 0.25)
    ).all()
    np.testing.assert_allclose(reps.hip_height, truth.hip_height, atol=0.03)
    still = (truth.crouch == 0).to_numpy()
    assert float(reps.standing.to_numpy()[still].mean()) > 0.85
    assert not reps.standing.to_numpy()[truth.crouch.to_numpy() > 0.3].any()


def test_pause_at_the_bottom_is_the_bottom(squat_pose):
    pose, truth = squat_pose(hold=3.0, noise=0.004)
    reps = find_repetitions(clean_pose(pose))
    duration = reps.bottom_end - reps.bottom_start
    np.testing.assert_allclose(duration, 3.25, atol=0.25)
    # The middle of the pause, wherever in it noise puts the minimum.
    np.testing.assert_allclose(reps.bottom, truth.bottom, atol=0.6)


def bounced(squat_pose, *, rise, noise, hold=2.0, seed=6):
    """A squat in whose bottom the hips rise by a share of the crouch and sink again."""
    trial = squat_pose(reps=2, hold=hold, noise=noise, seed=seed)
    position = trial.pose.position.copy(deep=True)
    depth = float(trial.truth.hip_height.max() - trial.truth.hip_height.min())
    legs = position.sel(keypoint=["left_ankle", "right_ankle"], space="y")
    hips = position.sel(keypoint=["left_hip", "right_hip"], space="y")
    standing = float(hips.isel(time=0).mean() - legs.isel(time=0).mean())
    for start, end in zip(
        trial.truth.bottom_start.values, trial.truth.bottom_end.values, strict=True
    ):
        along = np.clip((position.time.values - start) / (end - start), 0, 1)
        lift = rise * depth * standing * np.sin(np.pi * along) ** 2
        # World positions have their origin at the hips: these rise as the ankles sink.
        for name in ("left_ankle", "right_ankle"):
            position.loc[{"keypoint": name, "space": "y"}] -= lift[:, None]
    return trial.pose.assign(position=position), trial.truth


@pytest.mark.parametrize(("rise", "noise"), [(0.05, 0.004), (0.4, 0.0), (0.55, 0.004)])
def test_a_rebound_in_the_bottom_does_not_lose_the_repetition(squat_pose, rise, noise):
    pose, truth = bounced(squat_pose, rise=rise, noise=noise)
    reps = find_repetitions(pose)
    assert reps.accepted.to_numpy().tolist() == [True, True]
    assert (np.abs(reps.start - truth.start) < 0.4).all()
    assert (np.abs(reps.end - truth.end) < 0.4).all()
    assert (reps.bottom > truth.bottom_start - 0.3).all()
    assert (reps.bottom < truth.bottom_end + 0.3).all()
    # Standing up between is no rebound.
    stood, _ = bounced(squat_pose, rise=0.9, noise=0.004, hold=3.0)
    assert find_repetitions(stood).sizes["rep"] == 4


def test_shallow_repetitions_count_from_the_least_depth(squat_pose):
    pose, truth = squat_pose(thigh=45, tibia=15, trunk=25)
    depth = 100 * (1 - float(truth.hip_height.min()))
    assert 12 < depth < 20
    reps = find_repetitions(pose)
    assert int(reps.accepted.sum()) == 3
    np.testing.assert_allclose(reps.depth, depth, atol=0.5)
    none = find_repetitions(pose, min_depth=0.25)
    assert none.sizes["rep"] == 0
    assert codes(none) == ["no_repetition"]


@pytest.mark.parametrize("crop", [(1.85, 20), (2.45, 20)])
def test_a_trial_that_starts_crouched(squat_pose, crop):
    pose, truth = squat_pose(crop=crop)
    reps = find_repetitions(clean_pose(pose))
    assert reps.accepted.to_numpy().tolist() == [False, True, True]
    assert str(reps.reason[0].item()) in (
        "the recording begins too late",
        "the person does not begin from standing",
    )
    np.testing.assert_allclose(reps.bottom[1:], truth.bottom[1:], atol=0.1)
    ended = find_repetitions(clean_pose(squat_pose(crop=(0, 9.3)).pose))
    assert ended.accepted.to_numpy().tolist() == [True, True, False]
    assert "end" in str(ended.reason[2].item()) or "return" in str(ended.reason[2].item())


def test_a_repetition_cut_off_after_its_bottom_counts_but_is_not_complete(squat_pose):
    pose, _truth = squat_pose(crop=(0, 9.75))
    reps = find_repetitions(clean_pose(pose))
    assert reps.accepted.all()
    assert reps.complete.to_numpy().tolist() == [True, True, False]
    assert codes(reps) == ["repetition_cut_off"]
    assert float(reps.end[2]) == pytest.approx(float(pose.time[-1]))
    curves = normalise_repetitions(joint_angles(pose), reps)
    assert curves.knee_flexion.isel(rep=2).isnull().all()
    assert curves.knee_flexion.isel(rep=[0, 1]).notnull().all()


def test_each_end_says_whether_it_is_seen(squat_pose):
    pose, _truth = squat_pose(crop=(0, 9.75))
    reps = find_repetitions(clean_pose(pose))
    assert reps.start_seen.all()
    assert reps.end_seen.to_numpy().tolist() == [True, True, False]
    assert reps.bottom.attrs["long_name"] == "middle of the lowest part of the bottom"
    last = float(pose.time[-1])
    given = [{"start": 1.1, "bottom": 2.2, "end": 3.3}, {"start": 7.9, "bottom": 9.0, "end": last}]
    by_hand = set_repetitions(pose, given)
    assert by_hand.complete.to_numpy().tolist() == [True, False]
    assert by_hand.end_seen.to_numpy().tolist() == [True, False]
    assert codes(by_hand) == ["repetition_cut_off"]
    crouched = squat_pose(crop=(1.7, 20)).pose
    first = float(crouched.time[0])
    early = set_repetitions(crouched, [{"start": first, "bottom": 2.2, "end": 3.3}])
    assert early.start_seen.to_numpy().tolist() == [False]
    whole = squat_pose(rest=0.5).pose
    standing = set_repetitions(whole, [{"start": float(whole.time[0]), "bottom": 1.7, "end": 2.8}])
    assert standing.complete.all()


def test_a_repetition_across_a_cut_of_the_film_does_not_count(squat_pose):
    pose, truth = squat_pose(reps=3)
    moment = float(truth["bottom"][1]) + 0.2
    cut = pose.assign_attrs(history=json.dumps([{"operation": "estimate_pose", "cuts": [moment]}]))
    reps = find_repetitions(cut)
    assert reps["accepted"].values.tolist() == [True, False, True]
    assert reps["reason"].values.tolist() == ["", f"the video is cut at {moment:.1f} s", ""]


def test_a_repetition_of_a_shot_that_is_shown_again_does_not_count(squat_pose):
    pose, truth = squat_pose(reps=3)
    again = {"start": float(truth["start"][2]) - 0.1, "stop": 100.0, "first": 1.0}
    film = [{"operation": "estimate_pose", "repeats": [again]}]
    reps = find_repetitions(pose.assign_attrs(history=json.dumps(film)))
    assert reps["accepted"].values.tolist() == [True, True, False]
    assert reps["reason"].values[2] == "it is a repeat of the shot at 1.0 s"


def test_cuts_of_a_second_film_count_in_the_time_of_the_first(squat_pose):
    again = {"start": 5.0, "stop": 6.0, "first": 2.0}
    other = [{"operation": "estimate_pose", "cuts": [5.0], "repeats": [again]}]
    made = [
        {"operation": "estimate_pose", "cuts": [7.0]},
        {
            "operation": "fit_body",
            "further_histories": [other],
            "cameras": [{"azimuth_deg": 0.0}, {"azimuth_deg": 90.0, "time_offset_s": -1.5}],
        },
    ]
    pose = squat_pose(reps=1).pose.assign_attrs(history=json.dumps(made))
    assert cuts_of(pose) == [3.5, 7.0]
    assert repeats_of(pose) == [(3.5, 4.5, 0.5)]


def test_absence_in_a_repetition_rejects_only_that_one(squat_pose):
    pose, truth = squat_pose(noise=0.003, absent=[(5.0, 6.1)])
    reps = find_repetitions(clean_pose(pose))
    middle = np.abs(reps.bottom - truth.bottom[1].item()) < 1.0
    assert not reps.accepted.to_numpy()[middle].any()
    assert int(reps.accepted.sum()) == 2
    assert all("are missing" in str(reason) for reason in reps.reason.to_numpy()[middle])
    assert reps.hip_height.sel(time=5.5, method="nearest").isnull()
    half = find_repetitions(clean_pose(squat_pose(absent=[(0, 1), (3.6, 7.6)]).pose))
    assert int(half.accepted.sum()) == 2


@pytest.mark.parametrize(
    "options",
    [
        *({"reps": 1, "crop": (0, last)} for last in (0, 0.04, 0.1)),  # one to four frames
        {"reps": 1, "crop": (0, 2.2)},  # a single one that is cut off
        {"reps": 0, "rest": 4, "noise": 0.01},  # standing still
        {"reps": 1, "absent": [(0, 99)]},  # nobody
    ],
)
def test_no_repetition_is_a_clear_result(squat_pose, options, tmp_path):
    pose = clean_pose(squat_pose(**options).pose)
    before = pose.copy(deep=True)
    reps = find_repetitions(pose)
    xr.testing.assert_identical(pose, before)
    assert not reps.accepted.any()
    assert codes(reps)[-1] == "no_repetition"
    assert normalise_repetitions(joint_angles(pose), reps).knee_flexion.shape == (0, 101, 2)
    if "absent" in options:
        assert reps.hip_height.isnull().all()
        assert not reps.standing.any()
    elif options["reps"] == 0:
        assert float(reps.hip_height.mean()) == pytest.approx(1, abs=0.02)
    reps.to_netcdf(tmp_path / "r.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "r.nc", engine="h5netcdf") as back:
        xr.testing.assert_identical(back.load(), reps)
        assert back.accepted.dtype == bool


def test_one_side_is_enough_and_hiding_it_does_not_make_a_jump(squat_pose):
    hidden = {"left_ankle": (2.0, 6.0), "right_ankle": (8.0, 99.0)}
    pose, truth = squat_pose(missing=hidden, noise=0.002)
    check_events(find_repetitions(clean_pose(pose)), truth, 0.2)


def test_image_heights_serve_where_the_world_is_not_seen(squat_pose):
    pose, truth = squat_pose()
    blind = pose.assign(position=pose.position * np.nan)
    reps = find_repetitions(blind)
    check_events(reps, truth, 0.05)
    assert history(reps)[-1]["signal"] == "image_position"
    assert history(find_repetitions(pose))[-1]["signal"] == "position"


def test_lifting_one_leg_is_no_squat(squat_pose):
    pose, truth = squat_pose()
    standing = pose.isel(time=[0] * pose.sizes["time"]).assign_coords(time=pose.time)
    position = standing.position.copy(deep=True)
    lift = 0.6 * truth.crouch.to_numpy()[:, None]
    for name in ("left_ankle", "left_heel", "left_foot_index"):
        position.loc[{"keypoint": name, "space": "y"}] += lift
    reps = find_repetitions(standing.assign(position=position))
    assert not reps.accepted.any()
    assert set(reps.reason.to_numpy()) == {"only one leg bends"}


def test_never_standing_upright_is_refused(squat_pose):
    pose, truth = squat_pose(reps=1, descent=2.0)
    low = pose.isel(time=(truth.crouch > 0.55).to_numpy())
    pulses = xr.concat([low] * 3, "time").assign_coords(time=np.arange(3 * low.sizes["time"]) / 30)
    reps = find_repetitions(pulses)
    assert not reps.accepted.any()
    assert "never stands upright" in warnings_of(reps)[-1]["message"]


def test_curves_run_from_zero_to_a_hundred_percent(squat_pose):
    pose, truth = squat_pose(fps=60)
    reps = find_repetitions(pose)
    curves = normalise_repetitions(joint_angles(pose), reps)
    assert curves.knee_flexion.dims == ("rep", "percent", "side")
    assert curves.trunk_lean.dims == ("rep", "percent")
    np.testing.assert_allclose(curves.percent, np.arange(101))
    first = truth.knee_flexion.interp(time=reps.start[0].item())
    np.testing.assert_allclose(curves.knee_flexion[0, 0], first, atol=0.05)
    half = truth.knee_flexion.interp(time=(reps.start[1].item() + reps.end[1].item()) / 2)
    np.testing.assert_allclose(curves.knee_flexion[1, 50], half, atol=0.05)
    assert normalise_repetitions(pose, reps, points=11).position.sizes["percent"] == 11
    assert curves.knee_flexion.attrs["units"] == "degree"
    with pytest.raises(BadInputError, match="start"):
        normalise_repetitions(pose, pose)
    with pytest.raises(BadInputError, match="points"):
        normalise_repetitions(pose, reps, points=1)
    # They keep missing values and leave out rejected repetitions.
    pose = squat_pose(crop=(1.85, 99), missing={"left_knee": (5.5, 5.7)}).pose
    curves = normalise_repetitions(joint_angles(pose), find_repetitions(pose))
    assert curves.rep.to_numpy().tolist() == [2, 3]
    gaps = curves.knee_flexion.isnull().sum("percent")
    assert 0 < int(gaps.sel(side="left")[0]) < 20
    assert gaps.values.tolist()[0][1:] + gaps.values.tolist()[1] == [0, 0, 0]


def test_a_person_can_set_the_repetitions(squat_pose):
    pose, _truth = squat_pose()
    given = [{"start": 1.1, "bottom": 2.2, "end": 3.3}, {"start": 4.5, "bottom": 5.6, "end": 6.7}]
    reps = set_repetitions(pose, given)
    assert reps.start.to_numpy().tolist() == [1.1, 4.5]
    assert reps.bottom.to_numpy().tolist() == [2.2, 5.6]
    assert reps.end.to_numpy().tolist() == [3.3, 6.7]
    every = find_repetitions(pose)
    np.testing.assert_allclose(reps.bottom_start, every.bottom_start[:2], atol=0.02)
    np.testing.assert_allclose(reps.depth, every.depth[:2], atol=0.1)
    assert reps.accepted.all()
    assert set(reps.data_vars) == set(every.data_vars)
    assert history(reps)[-1]["arguments"] == {"intervals": given}
    assert codes(set_repetitions(pose, [])) == ["no_repetition"]


def test_impossible_times_are_refused(squat_pose):
    pose = squat_pose().pose
    for intervals, message in (
        ([{"start": 1, "bottom": 2}], "must have start, bottom"),
        ([{"start": 1, "bottom": 2, "end": 3, "ende": 3}], "ende"),
        ([{"start": 2, "bottom": 1, "end": 3}], "the bottom before the end"),
        ([{"start": 1, "bottom": float("nan"), "end": 3}], "the bottom before the end"),
        ([{"start": 1, "bottom": 2, "end": 99}], "outside the recording"),
        (
            [{"start": 1, "bottom": 2, "end": 3}, {"start": 2.5, "bottom": 3, "end": 4}],
            "at 3.0 s or later",
        ),
        ([{"start": "one", "bottom": 2, "end": 3}], "must have start, bottom"),
    ):
        with pytest.raises(BadInputError, match=message):
            set_repetitions(pose, intervals)


def test_one_deep_squat_of_each_of_ten_people_by_markers(shared_data):
    files = sorted((shared_data / "lab" / "uiprmd").glob("m01_*_e0?_positions_vicon.txt.gz"))
    assert len(files) >= 10
    for file in files:
        reps = find_repetitions(lab_pose(read_lab(file, mapping="uiprmd_positions")))
        assert reps.accepted.to_numpy().tolist() == [True], file.name
        assert 40 < float(reps.depth[0]) < 80, file.name


def test_marker_trials(shared_data):
    for name, n in (("squats1", 5), ("squatsAsym1", 5), ("static1", 0)):
        pose = lab_pose(read_lab(shared_data / "lab" / "opencap_s4" / f"{name}.trc"))
        reps = find_repetitions(pose)
        assert int(reps.accepted.sum()) == n
        assert reps.complete.all()


def test_hips_that_come_down_on_straight_knees_are_no_squat(squat_pose):
    """Somebody who steps wide, or balances: the hips go down and the knees do not bend."""
    pose = squat_pose(reps=1, fps=30).pose.copy(deep=True)
    assert int(find_repetitions(pose)["accepted"].sum()) == 1
    position = pose["position"]
    for side in ("left", "right"):
        hip, ankle = (position.sel(keypoint=f"{side}_{j}") for j in ("hip", "ankle"))
        position.loc[{"keypoint": f"{side}_knee"}] = (hip + ankle).values / 2
    reps = find_repetitions(pose)
    assert not reps["accepted"].any()
    assert reps["reason"].item() == "the knees do not bend"
    # Towards the camera the landmarks of a pose model alone do not show how far knees bend.
    alone = pose.assign_attrs(method="mediapipe_world")
    assert camera_view(alone).kind == "front"
    assert int(find_repetitions(alone)["accepted"].sum()) == 1
    assert not find_repetitions(turned(alone, 60))["accepted"].any()


def turned(pose, degrees):
    """The pose, turned about the vertical."""
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    x, z = (pose["position"].sel(space=axis) for axis in ("x", "z"))
    pose = pose.copy(deep=True)
    pose["position"].loc[{"space": "x"}] = x * cosine + z * sine
    pose["position"].loc[{"space": "z"}] = z * cosine - x * sine
    return pose


UP_S, TOP_S, DOWN_S, REST_S = 0.8, 0.3, 1.2, 1.6


def raised(pose, *, lead=1.0, count=3, noise=0.5):
    """Degrees of an arm that rises from 10 to 150 in 0.8 s, comes down in 1.2 s, and rests."""
    time = pose["time"].to_numpy()
    share = np.zeros(time.size)
    starts = lead + np.arange(count) * (UP_S + TOP_S + DOWN_S + REST_S)
    for start in starts:
        share += minimum_jerk((time - start) / UP_S)
        share -= minimum_jerk((time - start - UP_S - TOP_S) / DOWN_S)
    degrees = 10 + 140 * share + np.random.default_rng(1).normal(0, noise, time.size)
    return xr.DataArray(degrees, dims="time"), starts


def test_rest_belongs_to_no_repetition_of_a_signal(squat_pose):
    pose = squat_pose(reps=4).pose
    signal, starts = raised(pose)
    reps = repetitions_of_signal(pose, signal, least=40, why_none="no arm goes up")
    assert reps.accepted.to_numpy().tolist() == [True] * 3
    assert reps.complete.all()
    # Minimum jerk has 5 % of its peak speed at 8.3 % of its time, and 97 % of its way at 83 %.
    np.testing.assert_allclose(reps.start, starts + 0.083 * UP_S, atol=0.1)
    np.testing.assert_allclose(reps.end, starts + UP_S + TOP_S + 0.917 * DOWN_S, atol=0.1)
    np.testing.assert_allclose(reps.bottom_start - reps.start, (0.83 - 0.083) * UP_S, atol=0.12)
    np.testing.assert_allclose(reps.end - reps.bottom_end, (0.83 - 0.083) * DOWN_S, atol=0.12)
    np.testing.assert_allclose(reps.bottom, starts + UP_S + TOP_S / 2, atol=0.1)
    assert np.isnan(reps.depth).all()
    at_rest = reps.course.to_numpy()[pose["time"].to_numpy() < starts[0]]
    np.testing.assert_allclose(at_rest, 1, atol=0.05)


def test_a_signal_that_is_cut_off_or_unseen_or_still_is_no_repetition(squat_pose):
    pose = squat_pose(reps=4).pose
    signal, starts = raised(pose, lead=-0.3)  # it begins on the way up
    reps = repetitions_of_signal(pose, signal, least=40, why_none="no arm goes up")
    assert reps.complete.to_numpy().tolist() == [False, True, True]
    signal[(pose["time"] > starts[1]) & (pose["time"] < starts[1] + 0.9)] = np.nan
    unseen = repetitions_of_signal(pose, signal, least=40, why_none="no arm goes up")
    assert unseen.accepted.to_numpy().tolist() == [True, False, True]
    assert "the moving body part is missing" in unseen.reason.to_numpy()[1]
    for nothing in (signal.where(signal < 30), signal * np.nan, xr.full_like(signal, 7)):
        none = repetitions_of_signal(pose, nothing, least=40, why_none="no arm goes up")
        assert none.sizes["rep"] == 0
        assert "no arm goes up" in warnings_of(none)[-1]["message"]
    with pytest.raises(BadInputError, match="must have only time, with the same frames"):
        repetitions_of_signal(pose, signal[:-1], least=40, why_none="")


def test_repetitions_of_a_signal_can_be_set_by_hand(squat_pose):
    pose = squat_pose(reps=4).pose
    signal, starts = raised(pose)
    top = starts[1] + UP_S + TOP_S / 2
    times = {"start": top - 1.5, "bottom": top, "end": top + 1.5}
    reps = repetitions_of_signal(pose, signal, least=40, why_none="", intervals=[times])
    assert reps.accepted.to_numpy().tolist() == [True]
    assert [float(reps[name][0]) for name in times] == pytest.approx(list(times.values()))
    assert float(reps.bottom_end[0] - reps.bottom_start[0]) == pytest.approx(
        TOP_S + 0.17 * (UP_S + DOWN_S), abs=0.12
    )


def test_no_repetition_crosses_a_step(squat_pose):
    pose = squat_pose().pose  # the second squat lasts from 4.4 to 6.8 s
    assert find_repetitions(pose).accepted.all()
    reps = find_repetitions(with_step(pose, 5.2, 5.8, forward=0.2))
    assert reps.accepted.to_numpy().tolist() == [True, False, True]
    assert str(reps.reason[1].item()) == "the person takes a step during it, at 5.5 s"
    # Nor is there one while the person still walks, though hips go down and come up.
    walks_in = find_repetitions(with_step(pose, 0.0, 6.9))
    assert walks_in.accepted.to_numpy().tolist() == [False, False, True]
    assert not walks_in.standing.sel(time=slice(0.1, 6.8)).any()
    # What begins while the feet come to rest is whole.
    assert find_repetitions(with_step(pose, 4.0, 4.8, forward=0.2)).accepted.all()
    by_hand = [{"start": 4.4, "bottom": 5.6, "end": 6.8}]
    assert set_repetitions(with_step(pose, 5.2, 5.8), by_hand).accepted.all()


def test_height_of_standing_is_that_of_the_stance(squat_pose):
    """Feet that are 0.6 m wider apart lower the hips by 7 %, and one may stand there."""
    pose = squat_pose().pose
    stood = {}
    for standing in (0.0, 1.0):
        wide = with_step(pose, 3.6, 4.2, wider=0.6, standing=(2.0, standing))
        reps = find_repetitions(wide)
        assert reps.accepted.all()
        stood[standing] = reps.standing.sel(time=slice(10.4, None)).to_numpy().mean()
    assert stood == {0.0: 0.0, 1.0: pytest.approx(1.0, abs=0.1)}
    # Someone who only bends after the step does not stand there.
    reps = find_repetitions(with_step(squat_pose(crop=(0.0, 9.3)).pose, 6.9, 8.3))
    np.testing.assert_allclose(reps.depth, reps.depth[0], atol=0.5)
    assert not reps.standing.sel(time=slice(7.0, None)).any()
