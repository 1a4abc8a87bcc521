"""Curves of people and groups: on analytic squats, and on curves that are known."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from demo_sessions import copy_of, put_result
from scipy import stats

import mobility as mb
from mobility.base.provenance import warnings_of
from mobility.errors import BadInputError
from mobility.kinematics.angles import joint_angles
from mobility.kinematics.repetitions import find_repetitions
from mobility.studies.retest import session_curves
from mobility.studies.statistics.waveforms import band_factor

PERCENT = np.linspace(0, 100, 101)
SHAPE = 100 * np.sin(np.pi * PERCENT / 100)


@pytest.fixture(scope="module")
def squats(squat_pose: Any) -> tuple[xr.Dataset, xr.Dataset, xr.Dataset]:
    """Angles, repetitions and truth of three squats; the recording begins in the first descent."""
    pose, truth = squat_pose(fps=60, tibia=(25.0, 20.0), crop=(1.5, 100.0))
    return joint_angles(pose), find_repetitions(pose), truth


def curves(values: Any, *, sd: float = 0.0, phase: str = "repetition") -> xr.Dataset:
    """A recording as of normalise, from left curves over (rep, percent); the right is 10 less."""
    left = np.atleast_2d(np.asarray(values, float))
    both = np.stack([left, left - 10], axis=-1)
    over = ("rep", "percent", "side")
    return xr.Dataset(
        {
            "knee_flexion": (over, both, {"units": "degree", "long_name": "knee flexion"}),
            "knee_flexion_sd": (over, np.full(both.shape, sd), {"units": "degree"}),
        },
        coords={
            "rep": np.arange(len(left)),
            "percent": ("percent", PERCENT, {"phase": phase}),
            "side": ["left", "right"],
        },
    )


def people(count: int, *, seed: int = 0, effect: Any = 0.0) -> list[xr.Dataset]:
    """People of one recording with three repetitions each, who differ by 5 degrees."""
    rng = np.random.default_rng(seed)
    phase = np.linspace(0, 2, 101)
    return [
        curves(
            SHAPE
            + effect
            + rng.normal(0, 5)
            + rng.normal(0, 3) * np.cos(np.pi * phase + rng.uniform(0, 6))
            + rng.normal(0, 0.5, (3, 1)),
            sd=4.0,
        )
        for _ in range(count)
    ]


def names(count: int, letter: str = "p") -> list[str]:
    return [f"{letter}{i}" for i in range(count)]


def test_a_phase_goes_from_one_of_its_times_to_the_other(squats: Any) -> None:
    angles, repetitions, truth = squats
    crouch = truth[["crouch"]].assign_coords(time=angles["time"])
    whole, descent, bottom, ascent = (
        mb.normalise(crouch, repetitions, phase=phase)["crouch"]
        for phase in ("repetition", "descent", "bottom", "ascent")
    )
    # The recording begins in the first descent: only that and the whole have no 0 %.
    assert whole[0].isnull().all()
    assert descent[0].isnull().all()
    assert bottom.notnull().all()
    assert ascent.notnull().all()
    for part, edges in ((descent[1:], (0, 1)), (ascent, (1, 0)), (bottom, (1, 1))):
        np.testing.assert_allclose(part.isel(percent=[0, -1]), [edges] * len(part), atol=0.08)
    assert bottom.min() > 0.94
    assert (descent[1:].diff("percent") >= 0).all()
    # Where a minimum-jerk course is in the middle of its time, it is in the middle of its way.
    assert float(whole[1].sel(percent=50)) > 0.94
    at = repetitions["start"][1] + 0.3 * (repetitions["bottom_start"] - repetitions["start"])[1]
    time, value = crouch["time"].values, crouch["crouch"].values
    assert descent[1].sel(percent=30).item() == pytest.approx(np.interp(at, time, value))
    assert descent["percent"].attrs["long_name"] == "of the descent"


def test_a_repetition_without_that_phase_is_left_out(squats: Any) -> None:
    angles, repetitions, _ = squats
    short = repetitions.copy(deep=True)
    short["bottom_end"][2] = short["bottom_start"][2]
    assert mb.normalise(angles, short, phase="bottom")["rep"].values.tolist() == [1, 2]
    short["accepted"][:] = False
    assert mb.normalise(angles, short).sizes["rep"] == 0


def test_the_leg_that_hangs_has_no_curve(squats: Any) -> None:
    angles, repetitions, _ = squats
    legs = repetitions.assign(leg=("rep", np.array(["left", "right", "left"], dtype=object)))
    knee = mb.normalise(angles, legs, phase="ascent")["knee_flexion"]
    given = knee.notnull().all("percent").transpose("rep", "side").values
    np.testing.assert_array_equal(given, [[True, False], [False, True], [True, False]])


def test_each_person_counts_once_however_many_the_repetitions() -> None:
    trials = [curves(np.tile(SHAPE, (9, 1))), curves(SHAPE + 4), curves(SHAPE + 8), curves(SHAPE)]
    means = mb.mean_curves(trials, participants=["a", "b", "c", "c"]).sel(group="all", side="left")
    np.testing.assert_allclose(means["curve"].sel(participant="c"), SHAPE + 4)
    np.testing.assert_allclose(means["mean"], SHAPE + 8 / 3)
    np.testing.assert_allclose(means["sd"], np.std([0, 4, 4], ddof=1))
    half = stats.t.ppf(0.975, 2) * np.std([0, 4, 4], ddof=1) / np.sqrt(3)
    np.testing.assert_allclose(means["upper"] - means["mean"], half)
    assert means["n"] == 3
    assert means["repetitions"].values.tolist() == [9, 1, 2]
    assert means["sessions"].values.tolist() == [1, 1, 2]
    assert means["upper_whole"].isnull().all()  # of five people and more


def test_a_person_has_the_spread_and_interval_of_the_repetitions() -> None:
    rng = np.random.default_rng(4)
    one, other = rng.normal(0, 3, (4, 1)), rng.normal(20, 3, (2, 1))
    trials = [curves(SHAPE + one), curves(SHAPE + other)]
    alone = mb.mean_curves(trials[:1], participants=["a"]).sel(participant="a", group="all")
    np.testing.assert_allclose(alone["repetition_sd"], one.std(ddof=1))
    interval = stats.t.interval(0.95, 3, one.mean(), one.std(ddof=1) / 2)
    at = {"side": "left", "percent": 30.0}
    ends = [alone[f"person_{end}"].sel(at).item() - SHAPE[30] for end in ("lower", "upper")]
    assert ends == pytest.approx(interval)
    # Over two sessions: about their own means, which count alike.
    both = mb.mean_curves(trials, participants=["a", "a"]).sel(participant="a", group="all")
    pooled = np.sqrt((3 * one.var(ddof=1) + other.var(ddof=1)) / 4)
    np.testing.assert_allclose(both["repetition_sd"], pooled)
    half = stats.t.ppf(0.975, 4) * pooled * np.sqrt(1 / 4 + 1 / 2) / 2
    np.testing.assert_allclose(both["person_upper"] - both["curve"], half)
    assert mb.mean_curves(trials[1:], participants=["a"])["person_upper"].isnull().all()


def test_the_band_of_the_whole_curve_is_wider_than_those_of_its_points() -> None:
    trials = people(9)
    means = mb.mean_curves(trials, participants=names(9)).sel(group="all", side="right")
    values = np.stack([each["knee_flexion"].sel(side="right").mean("rep") for each in trials])
    half = band_factor(values) * values.std(axis=0, ddof=1) / 3
    np.testing.assert_allclose(means["upper_whole"] - means["mean"], half)
    assert (means["upper_whole"] > means["upper"]).all()
    assert (means["lower_whole"] < means["lower"]).all()


def test_curves_with_gaps_are_counted_and_not_averaged() -> None:
    gap = curves(np.stack([SHAPE, SHAPE + 100]))
    gap["knee_flexion"][1, 50, 0] = np.nan
    nothing = curves(SHAPE * np.nan)
    other = curves(SHAPE).rename(knee_flexion="hip_flexion")
    empty = curves(SHAPE).isel(rep=[])
    means = mb.mean_curves([gap, nothing, other, empty], participants=names(4))
    np.testing.assert_allclose(means["mean"].sel(group="all", side="left"), SHAPE)
    np.testing.assert_allclose(means["mean"].sel(group="all", side="right"), SHAPE + 40)
    assert means["n"].values.tolist() == [[1, 1]]
    assert means["repetitions"][0, 0].values.tolist() == [1, 2]
    assert means["reason"].sel(side="left").values.tolist() == [
        "",
        "each repetition is cut off, or its curve has gaps",
        "the recording has no knee_flexion",
        "no accepted repetition",
    ]


def test_gaps_take_only_their_percents_where_no_repetition_is_whole() -> None:
    gaps = curves(np.stack([SHAPE, SHAPE + 4, SHAPE * np.nan]), sd=3.0)
    gaps["knee_flexion"][0, 40:50, 0] = np.nan
    gaps["knee_flexion"][1, 45:60, 0] = np.nan
    trials = [gaps, *(curves(SHAPE + shift) for shift in (1, 2, 3, 6, 9))]
    means = mb.mean_curves(trials, participants=names(6)).sel(group="all", side="left")
    own = means["curve"].sel(participant="p0") - SHAPE
    np.testing.assert_allclose(own[:40], 2)
    np.testing.assert_allclose(own[40:45], 4)
    assert own[45:50].isnull().all()
    np.testing.assert_allclose(own[50:60], 0)
    assert means["repetitions"].sel(participant="p0") == 2
    np.testing.assert_allclose(means["error_sd"].sel(participant="p0").dropna("percent"), 3)
    # The others have a mean throughout, and how many it is of is said.
    assert (means["n"], means["n_whole"]) == (6, 5)
    assert means["n_at"].values.tolist() == [6] * 45 + [5] * 5 + [6] * 51
    np.testing.assert_allclose(means["mean"][45:50], SHAPE[45:50] + 21 / 5)
    np.testing.assert_allclose(means["mean"][:40], SHAPE[:40] + 23 / 6)
    assert means["upper_whole"].notnull().all()
    drawn = mb.plot.group_curves(mb.mean_curves(trials, participants=names(6)), side="left")
    assert "Left, n = 5 to 6" in drawn[0].get_legend_handles_labels()[1]


def test_a_gap_makes_no_step_where_something_whole_is_there() -> None:
    gap = curves(SHAPE + 60)
    gap["knee_flexion"][0, 40:60, 0] = np.nan
    # One person, twice: the whole session alone counts on the side with the gap.
    twice = mb.mean_curves([curves(SHAPE), gap], participants=["a", "a"])["curve"]
    left, right = (twice.sel(group="all", participant="a", side=s) for s in ("left", "right"))
    np.testing.assert_allclose(left, SHAPE)
    np.testing.assert_allclose(right, SHAPE - 10 + 30)
    # Six people: the band is that of the five without a gap, and the test says of whom it is.
    trials = [gap, *(curves(SHAPE + shift) for shift in (1, 2, 3, 6, 9))]
    means = mb.mean_curves(
        [*trials, *people(5, seed=3)],
        groups=["a"] * 6 + ["b"] * 5,
        participants=names(6) + names(5, "q"),
    )
    whole = means.sel(group="a", side="left")
    middle = (whole["lower_whole"] + whole["upper_whole"]) / 2
    np.testing.assert_allclose(middle, SHAPE + 21 / 5)
    (warning,) = warnings_of(mb.compare_curves(means, "a", "b", paired=False))
    assert warning["code"] == "gaps_not_tested"
    assert "1 more" in warning["message"]


def test_what_cancels_has_another_error() -> None:
    trials, who = people(3), names(3)
    value, change, sides = (
        mb.mean_curves(trials, participants=who, of=of)
        for of in ("value", "from_start", "right_minus_left")
    )
    np.testing.assert_allclose(value["mean_error_sd"], 4)  # shared, it does not average away
    np.testing.assert_allclose(change["curve"].isel(percent=0), 0)
    np.testing.assert_allclose(change["error_sd"].isel(percent=50), np.hypot(4, 4))
    np.testing.assert_allclose(sides["curve"], -10)
    np.testing.assert_allclose(sides["error_sd"], np.hypot(4, 4))
    assert sides["side"].values.tolist() == [""]
    assert sides["curve"].attrs["long_name"] == "knee flexion, right minus left"


def test_errors_of_differences_come_from_the_draws_of_the_fit(demo: Any) -> None:
    session = mb.Store(demo.parent).demo("Overhead Squat")
    metrics = session.metrics()
    at = {"percent": 50.0, "group": "all", "participant": session.record.user_id}
    apart = mb.mean_curves([session], of="right_minus_left")["error_sd"].sel(at).item()
    value = mb.mean_curves([session])
    middle = value["error_sd"].sel(at)
    # Not those of two independent sides; single points are less certain than the mean of a bottom.
    measured = float(metrics["knee_flexion_bottom_asymmetry_sd"].mean())
    assert measured < apart < 2.5 * measured
    assert apart != pytest.approx(float(np.hypot(*middle)), rel=0.01)
    frames = mb.normalise(session)["knee_flexion_sd"].sel(percent=50.0)
    np.testing.assert_allclose(middle, np.sqrt((frames**2).mean("rep")), rtol=1e-6)
    assert value["trial_view"].item() == "front-oblique left"


def test_sessions_that_do_not_count_are_there_with_their_reasons(demo: Any, store: Any) -> None:
    put = partial(copy_of, demo, store, user_id="p1")
    good = put("good")
    nameless = put("nameless", user_id="anonymous")
    refused = put("refused")
    angles = refused.measured_angles()
    angles["knee_flexion"] = angles["knee_flexion"] * np.nan
    angles["knee_flexion"].attrs |= {"refused": "it is too uncertain in this recording"}
    put_result(refused, "angles", angles)
    failed = put("failed", state="failed", reason="nobody was found in it")
    other = put("other", verdict="not_this_exercise")
    means = mb.mean_curves([good, nameless, refused, failed, other], groups=list("aabbb"))
    assert means["participant"].values.tolist() == ["p1", "nameless"]
    assert means["n"].values.tolist() == [[2, 2], [0, 0]]
    reasons = means["reason"].sel(side="left").to_series()
    assert reasons["refused"] == "it is too uncertain in this recording"
    assert "nobody was found in it" in reasons["failed"]
    assert "verdict on its recording" in reasons["other"]
    every = mb.mean_curves([other], recordings="all")
    np.testing.assert_allclose(every["curve"], means["curve"].sel(group=["a"], participant=["p1"]))
    np.testing.assert_array_equal(mb.normalise(good)["rep"], [1, 2, 3])


def test_frames_that_are_refused_take_no_other_frame_with_them(demo: Any, store: Any) -> None:
    put = partial(copy_of, demo, store)
    whole, outside, inside, between = (
        put(name, user_id=name) for name in ("whole", "outside", "inside", "between")
    )
    repetitions = whole.repetitions()
    refused = {
        outside: [(0.0, float(repetitions["start"][0]) - 0.1)],
        inside: [(float(each) - 0.1, float(each) + 0.1) for each in repetitions["bottom"][:1]],
        between: [(float(each) - 0.1, float(each) + 0.1) for each in repetitions["bottom"]],
    }
    for session, spans in refused.items():
        angles = session.measured_angles()
        for name in ("knee_flexion", "knee_flexion_sd"):
            for start, end in spans:
                gone = (angles["time"] >= start) & (angles["time"] <= end)
                angles[name] = angles[name].where(~gone)
        angles["knee_flexion"].attrs |= {"refused": "it is too uncertain", "refused_share": 0.01}
        put_result(session, "angles", angles)
    means = mb.mean_curves([whole, *refused]).sel(group="all", side="left")
    assert means["reason"].values.tolist() == [""] * 4
    assert (means["n"], means["n_whole"]) == (4, 3)
    own = means["curve"]
    np.testing.assert_array_equal(own.sel(participant="outside"), own.sel(participant="whole"))
    count = repetitions.sizes["rep"]
    assert means["repetitions"].values.tolist() == [count, count, count - 1, count]
    gap = own.sel(participant="between").isnull()
    assert 0 < gap.sum() < 40
    assert not gap.sel(percent=[0, 20, 80, 100]).any()
    table = session_curves([between, outside], ["knee_flexion"])
    ends = table[table["percent"].isin([0, 100])]
    assert ends["value"].notna().all()
    lacking = table[table["value"].isna()]
    assert set(lacking["session_id"]) == {"between"}
    assert set(lacking["reason"]) == {"it is too uncertain"}


def test_sessions_of_two_exercises_and_single_joints_are_not_averaged(demo: Any) -> None:
    shop = mb.Store(demo.parent)
    with pytest.raises(BadInputError, match="show Overhead Squat and Squat; use those of one"):
        mb.mean_curves([shop.demo("Overhead Squat"), shop.demo("Squat")])
    joints = mb.mean_curves([shop.demo("Joint Angle Mobility")], "elbow_flexion")
    assert set(joints["reason"].values.ravel()) == {
        "single-joint movements are not averaged with other movements"
    }


def test_two_groups_differ_where_they_were_made_to() -> None:
    hump = 15 * np.exp(-0.5 * ((PERCENT - 50) / 6) ** 2)
    trials = people(10) + people(10, seed=1, effect=hump)
    who, groups = names(10) + names(10, "q"), ["a"] * 10 + ["b"] * 10
    means = mb.mean_curves(trials, groups=pd.Series(groups), participants=who)
    test = mb.compare_curves(means, "a", "b", paired=False)
    apart = means["mean"].sel(group="b") - means["mean"].sel(group="a")
    np.testing.assert_allclose(test["difference"], apart)
    assert set(test["cluster_side"].values) == {"left", "right"}
    for start, peak, end, p in zip(
        *(test[f"cluster_{name}"].values for name in ("start", "peak", "end", "p")), strict=True
    ):
        assert 30 < start < peak < end < 70
        assert p <= 0.05
    assert test["n_first"].values.tolist() == [10, 10]
    np.testing.assert_allclose(test["error_sd"], np.hypot(4, 4))
    none = mb.compare_curves(means.assign(curve=means["curve"] * 0), "a", "b", paired=False)
    assert none.sizes["cluster"] == 0
    # The other way round it is the negative.
    turned = mb.compare_curves(means, "b", "a", paired=False)
    np.testing.assert_allclose(turned["t"], -test["t"])


def test_pairs_find_what_people_hide_who_differ_more() -> None:
    before = people(10)
    after = [
        each.assign(knee_flexion=each["knee_flexion"] + 2 + 0.1 * i)
        for i, each in enumerate(before)
    ]
    means = mb.mean_curves(
        [*before, *after, curves(SHAPE)],
        groups=["before"] * 10 + ["after"] * 10 + ["after"],
        participants=names(10) * 2 + ["alone"],
    )
    test = mb.compare_curves(means, "before", "after", paired=True)
    assert test["cluster_start"].values.tolist() == [0, 0]
    assert test["cluster_end"].values.tolist() == [100, 100]
    assert test["cluster_p"].values.tolist() == [2 / 2**10] * 2
    np.testing.assert_allclose(test["difference"], 2.45)
    assert test["left_out"].values.tolist() == [1, 1]
    assert test["n_second"].values.tolist() == [10, 10]
    with pytest.raises(BadInputError, match=r"p0, p1 and p2 are in both groups; pass paired=True"):
        mb.compare_curves(means, "before", "after", paired=False)


def test_a_side_with_too_few_people_has_a_reason_instead_of_a_test() -> None:
    trials = people(6)
    for each in trials[3:]:
        each["knee_flexion"][:, :, 1] = np.nan
    means = mb.mean_curves(
        [*trials, *people(6, seed=2)], groups=list("aaaaaabbbbbb"), participants=names(6) * 2
    )
    test = mb.compare_curves(means, "a", "b", paired=True)
    assert test["reason"].sel(side="left") == ""
    assert "3 pairs" in test["reason"].sel(side="right").item()
    assert test["t"].sel(side="right").isnull().all()
    assert test["left_out"].values.tolist() == [0, 3]
    few = mb.mean_curves(people(4), groups=list("aabb"), participants=names(4))
    with pytest.raises(BadInputError, match=r"groups of 2 and 2 are too small; use at least 5"):
        mb.compare_curves(few, "a", "b", paired=False)


def test_groups_that_were_filmed_from_different_views_are_warned_of() -> None:
    means = mb.mean_curves(people(12), groups=["a"] * 6 + ["b"] * 6, participants=names(12))
    views = np.array(["front"] * 6 + ["left"] * 6, dtype=object)
    test = mb.compare_curves(means.assign(trial_view=("trial", views)), "a", "b", paired=False)
    (warning,) = warnings_of(test)
    assert warning["code"] == "other_views"
    assert "a was filmed from front and b from left" in warning["message"]
    assert not warnings_of(mb.compare_curves(means, "a", "b", paired=False))


def test_curves_of_keypoints_of_different_models_are_warned_of() -> None:
    trials = people(4)
    assert not warnings_of(mb.mean_curves(trials, participants=names(4)))
    whose = {"pose_source": "other", "source_software": "RTMPose"}
    mixed = [*trials[:2], *(each.assign_attrs(whose) for each in trials[2:])]
    (warning,) = warnings_of(mb.mean_curves(mixed, participants=names(4)))
    assert warning["code"] == "several_models"
    assert warning["values"]["models"] == "MediaPipe, RTMPose"


def test_bad_input_is_one_line(squats: Any) -> None:
    angles, repetitions, _ = squats
    two = people(2)
    ready = mb.mean_curves(two, groups=["a", "b"], participants=names(2))
    for call, says in (
        (lambda: mb.normalise(angles), "pass the repetitions"),
        (lambda: mb.normalise(angles, repetitions, phase="rise"), "'descent', 'bottom'"),
        (
            lambda: mb.normalise(angles, repetitions.drop_vars("bottom_end"), phase="ascent"),
            "no bottom_end",
        ),
        (lambda: mb.mean_curves([]), "there is no session"),
        (lambda: mb.mean_curves([angles]), "number 1: must be a session, or a Dataset from"),
        (
            lambda: mb.mean_curves([two[0], two[1].isel(side=[0])], participants=names(2)),
            "number 2: its sides must be left and right",
        ),
        (lambda: mb.mean_curves(two), "name the participants"),
        (lambda: mb.mean_curves(two, participants=["a"]), "1 participants for 2 recordings"),
        (lambda: mb.mean_curves(two, participants="ab"), "must be a list with a name for each"),
        (lambda: mb.mean_curves(two, participants=["a", np.nan]), "number 2 must be a name"),
        (lambda: mb.mean_curves(two, "knee_flexoin", participants=names(2)), "'knee_flexion'"),
        (
            lambda: mb.mean_curves(two, participants=names(2), phase="bottom"),
            "instead of 101 of the bottom",
        ),
        (lambda: mb.mean_curves(two, participants=names(2), points=51), "101 points"),
        (lambda: mb.compare_curves(ready, "a", "c", paired=False), "no group 'c'"),
        (lambda: mb.compare_curves(ready, "a", "a", paired=False), "name two groups"),
        (lambda: mb.compare_curves(angles, "a", "b", paired=False), "from mobility.mean_curves"),
    ):
        with pytest.raises(BadInputError, match=says) as error:
            call()
        assert "\n" not in str(error.value)
