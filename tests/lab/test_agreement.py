from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from paired_trials import paired_trial

from mobility.base.provenance import history, warnings_of
from mobility.errors import BadInputError
from mobility.lab.agreement import agreement
from mobility.studies.statistics.limits_of_agreement import bland_altman
from mobility.studies.statistics.reliability_coefficients import concordance, intraclass_correlation

KNEE = {"angle": "knee_flexion", "side": "left"}


def lists(trials):
    return [list(part) for part in zip(*trials, strict=True)]


def several(people=8, reps=3, *, between=3.0, within=1.0, seed=0, **options):
    """Trials of `people` whose knees the video sees with an offset of each person and repetition.

    Returns the trials and the offsets, (people, reps).
    """
    rng = np.random.default_rng(seed)
    offsets = rng.normal(2, between, (people, 1)) + rng.normal(0, within, (people, reps))
    depths = rng.normal(100, 12, (people, 1)) + rng.normal(0, 3, (people, reps))
    trials = [
        paired_trial(offsets=tuple(off), depths=tuple(deep), seed=i, **options)
        for i, (off, deep) in enumerate(zip(offsets, depths, strict=True))
    ]
    return trials, offsets


@pytest.fixture(scope="module")
def study():
    trials, offsets = several(sd=2.0)
    names = [f"p{i}" for i in range(len(trials))]
    return agreement(*lists(trials), participants=names, margin_deg=5), offsets


def test_an_offset_and_a_gain_come_back_as_they_were_put_in():
    result = agreement(*paired_trial(offset=4, sd=3))
    knee = result.sel(KNEE)
    for name in ("bias", "mae", "rmse"):
        assert knee[name] == pytest.approx(4)
    assert knee["rmse_offset_removed"] == pytest.approx(0, abs=1e-9)
    assert knee.sel(metric=["bottom", "peak"])["mean_difference"].values == pytest.approx([4, 4])
    assert knee.sel(metric="range")["mean_difference"] == pytest.approx(0, abs=1e-9)
    assert knee["coverage"] == 1  # 4 < 1.96 * 3
    assert knee["cmc"] > 0.99
    assert knee["difference_curve"].values == pytest.approx(np.full(101, 4))
    trunk = result.sel(angle="trunk_lean", side="middle")
    assert trunk["rmse"] == pytest.approx(0, abs=1e-9)
    assert np.isnan(trunk["coverage"])  # no sd was stated
    outside = agreement(*paired_trial(offset=4, sd=2)).sel(KNEE)
    assert outside["coverage"] == 0  # 4 > 1.96 * 2
    assert outside.sel(metric="peak")["value_coverage"] == 0
    gain = agreement(*paired_trial(scale=1.1)).sel(KNEE)
    assert gain.sel(metric="peak")["slope"] == pytest.approx(0.1 / 1.05, rel=1e-3)
    differences = gain.sel(metric=["range", "bottom"])["mean_difference"].values
    assert differences == pytest.approx([10, 10], rel=0.01)


def test_values_are_those_that_were_asked_for_where_a_repetition_shows_them():
    video, lab, repetitions = paired_trial(offset=4)
    shows = xr.DataArray(
        [[True, False], [False, True], [True, True]],
        dims=("rep", "side"),
        coords={"side": ["left", "right"]},
    )
    start, end = repetitions["start"], repetitions["end"]
    half_way = (start + end) / 2
    marked = repetitions.assign(compared=shows, turn_start=half_way - 0.1, turn_end=half_way + 0.1)
    names = ["turn", "largest", "smallest"]
    result = agreement(video, lab, marked, values=names)
    assert result["metric"].values.tolist() == names
    for side, left_out in (("left", 1), ("right", 0)):
        knee = result.sel(angle="knee_flexion", side=side)
        assert knee["pairs"].values.tolist() == [2, 2, 2]
        assert knee["repetitions_compared"] == 2
        assert np.flatnonzero(np.isnan(knee["repetition_rmse"])).tolist() == [left_out]
        assert knee["mean_difference"].values == pytest.approx([4, 4, 4])
    # What has no sides is shown by all.
    trunk = result.sel(angle="trunk_lean", side="middle", metric="largest")
    assert trunk["pairs"] == 3
    left = result.sel(KNEE)
    assert left["lab_values"].sel(metric="turn").max() == pytest.approx(100, abs=3)
    assert left["lab_values"].sel(metric="smallest").max() == pytest.approx(0, abs=1)
    by_angle = marked.assign(compared=shows.expand_dims(angle=["knee_flexion"]))
    of_knee = agreement(video, lab, by_angle, values=names).sel(KNEE, drop=True)
    assert of_knee["pairs"].values.tolist() == left["pairs"].values.tolist()
    with pytest.raises(BadInputError, match="have no trun_start"):
        agreement(video, lab, marked, values=["trun"])


def test_one_participant_is_described_and_no_other():
    result = agreement(*paired_trial(offsets=(1, 2, 4, 3, 0), depths=(100, 104, 96, 99, 101)))
    assert result.attrs["scope"] == "this participant only"
    assert result["upper_limit"].attrs["scope"] == "this participant only"
    assert result["rmse"].attrs["scope"] == "this participant only"
    assert result.attrs["targets"] == "repetitions"
    peak = result.sel(**KNEE, metric="peak")
    plain = bland_altman([101, 106, 100, 102, 101], [100, 104, 96, 99, 101])
    assert peak["pairs"] == peak["targets"] == 5
    assert peak["sd_difference"] == pytest.approx(plain.sd, rel=1e-3)
    assert peak["upper_limit_high"] == pytest.approx(plain.upper_high, rel=1e-3)
    assert np.isnan(peak["sd_between"])
    # What one person's repetitions do not show of others is refused.
    refused = ["icc", "icc_consistency", "ccc", "sem_agreement", "method_error95_consistency"]
    assert peak[refused].to_array().isnull().all()
    assert "only one" in str(peak["value_reason"].item())


def test_several_participants_have_limits_for_repeated_measures(study):
    result, offsets = study
    assert result.attrs["scope"] == "participants"
    assert result.attrs["participants"] == 8
    peak = result.sel(**KNEE, metric="peak")
    assert (peak["pairs"], peak["targets"]) == (24, 8)
    people = np.repeat(np.arange(8), 3)
    repeated = bland_altman(offsets.ravel(), np.zeros(24), participants=people.tolist())
    assert peak["mean_difference"] == pytest.approx(repeated.bias, abs=1e-6)
    for name, value in (
        ("sd_difference", repeated.sd),
        ("sd_between", repeated.sd_between),
        ("sd_within", repeated.sd_within),
        ("upper_limit", repeated.upper),
        ("lower_limit_low", repeated.lower_low),
    ):
        assert peak[name] == pytest.approx(value, abs=1e-6), name
    # Taken as 24 independent pairs they would seem better known.
    naive = bland_altman(offsets.ravel(), np.zeros(24))
    assert peak["upper_limit_high"] - peak["upper_limit_low"] > 1.2 * (
        naive.upper_high - naive.upper_low
    )


def test_coefficients_are_of_the_participants_means(study):
    result, _ = study
    values = result.sel(**KNEE, metric="peak")
    people = [values[name].groupby("participant").mean() for name in ("video_values", "lab_values")]
    table = np.stack([p.values for p in people], axis=1)
    absolute = intraclass_correlation(table, form="A,1", columns="fixed")
    assert values["icc"] == pytest.approx(absolute.value)
    assert (values["icc_low"], values["icc_high"]) == pytest.approx((absolute.low, absolute.high))
    assert values["ccc"] == pytest.approx(concordance(*table.T).value)
    difference = table[:, 0] - table[:, 1]
    assert values["sem_consistency"] == pytest.approx(difference.std(ddof=1) / 2**0.5)
    assert values["method_error95_consistency"] == pytest.approx(1.96 * difference.std(ddof=1))
    # The change that one system can detect is no matter of two: nothing here is called so.
    assert not [name for name in result.variables if "mdc" in str(name)]
    assert values["tost_low"] < difference.mean() < values["tost_high"]
    assert result["icc"].attrs["form"] == "ICC(A,1)"


def test_errors_are_averaged_within_participants_first():
    steady = paired_trial(offsets=(6,) * 9, depths=(100,) * 9)
    others = [paired_trial(offsets=(o, o + 1), depths=(100, 98)) for o in (0, 1, 2, 1)]
    trials = lists([steady, *others])
    result = agreement(*trials, participants=list("abcde"), margin_deg=10).sel(KNEE)
    people = np.array([6, 0.5, 1.5, 2.5, 1.5])
    assert result["bias"] == pytest.approx(people.mean(), abs=1e-3)
    assert result["bias_sd"] == pytest.approx(people.std(ddof=1), abs=1e-3)
    assert result["bias_low"] < people.mean() < result["bias_high"]
    # With unequal repetitions a row has one mean difference, with the interval of t of the people.
    peak = result.sel(metric="peak")
    assert peak["mean_difference"] == pytest.approx(people.mean(), abs=1e-3)
    for low, high in (("tost_low", "tost_high"), ("lower_limit", "upper_limit")):
        assert (peak[low] + peak[high]) / 2 == pytest.approx(people.mean(), abs=1e-3)
    half = 2.776445 * people.std(ddof=1) / 5**0.5
    assert peak["mean_difference_high"] == pytest.approx(people.mean() + half, abs=1e-3)
    # Two trials of one person are one participant.
    again = agreement(*trials, participants=list("abcdd")).sel(KNEE)
    assert again["participants_compared"] == 4
    assert np.isnan(again["bias_low"])
    assert "4 independent curves; 5 are needed" in str(again["waveform_reason"].item())


def test_refused_frames_are_counted_and_do_not_become_agreement():
    video, lab, repetitions = paired_trial(offset=3, depths=(100, 110, 105, 95))
    hidden = (video["time"] > 0.5) & (video["time"] < 2.9)
    video["knee_flexion"] = video["knee_flexion"].where(~(hidden & (video["side"] == "left")))
    gone = (lab["time"] > 3.6) & (lab["time"] < 3.8)
    lab["knee_flexion"] = lab["knee_flexion"].where(~gone)
    result = agreement(video, lab, repetitions)
    knee = result.sel(KNEE)
    inside = sum(
        ((video["time"] >= s) & (video["time"] <= e)).values
        for s, e in zip(repetitions["start"].values, repetitions["end"].values, strict=True)
    ).astype(bool)
    assert knee["frames_refused"] == int((hidden.values & inside).sum())
    assert knee["frames_lab_missing"] == int((gone.values & inside).sum())
    assert knee["frames_compared"] == int((~hidden.values & ~gone.values & inside).sum())
    assert knee["repetitions_compared"] == 3
    assert np.isnan(knee["repetition_rmse"].sel(rep=1))
    assert knee["rmse"] == pytest.approx(3)
    assert knee.sel(metric="bottom")["pairs"] == 3
    assert result.sel(angle="knee_flexion", side="right")["frames_refused"] == 0


def test_too_little_is_refused_with_the_reason():
    result = agreement(*paired_trial(offset=3, depths=(100, 98)), margin_deg=5)
    peak = result.sel(**KNEE, metric="peak")
    for name in ("sd_difference", "upper_limit", "icc", "ccc", "sem_agreement", "tost_p", "slope"):
        assert np.isnan(peak[name]), name
    reason = str(peak["value_reason"].item())
    assert "limits of agreement: 2 people have both values; 3 are needed" in reason
    assert "the test of equivalence: several" in reason
    assert peak["mean_difference"] == pytest.approx(3)
    two = agreement(
        *lists([paired_trial(depths=(100, 104, 99, 95)), paired_trial(offset=2)]),
        participants=["a", "b"],
    ).sel(**KNEE, metric="peak")
    assert np.isnan(two["upper_limit"])
    assert "2 people have both values; 3 are needed" in str(two["value_reason"].item())
    assert "ICC: 2 people have all values; 3 are needed" in str(two["value_reason"].item())


def test_what_lacks_says_so():
    video, lab, repetitions = paired_trial(offset=3)
    lab["knee_flexion"] = lab["knee_flexion"].where(lab["side"] == "left")
    result = agreement(video, lab, repetitions)
    right = result.sel(angle="knee_flexion", side="right")
    assert right["waveform_reason"] == "no curve of the lab"
    assert (right["pairs"] == 0).all()
    trunk = result.sel(angle="trunk_lean", side="left")
    assert trunk["waveform_reason"] == "not a side of this angle"
    short = repetitions.drop_vars(["bottom_start", "bottom_end"])
    knee = agreement(video, lab, short).sel(KNEE)
    assert np.isnan(knee.sel(metric="bottom")["mean_difference"])
    assert knee.sel(metric="peak")["mean_difference"] == pytest.approx(3)
    # Curves that hardly move, a full turn, and trials that have different angles.
    turned = video.assign(trunk_lean=video["trunk_lean"] - 360)
    result = agreement(turned, lab, repetitions)
    (warning,) = warnings_of(result)
    assert warning["code"] == "angle_wraps"
    assert "trunk_lean" in warning["message"]
    trunk = result.sel(angle="trunk_lean", side="middle")
    assert np.isnan(trunk["cmc"])
    assert "the curves differ more than they move" in str(trunk["waveform_reason"].item())
    labs = [lab, lab.drop_vars("trunk_lean")]
    both = agreement([video] * 2, labs, [repetitions] * 2, participants=["a", "b"])
    trunk = both.sel(angle="trunk_lean", side="middle")
    assert (trunk["repetitions_compared"], trunk["participants_compared"]) == (3, 1)
    assert both.sel(KNEE)["repetitions_compared"] == 6


def test_equivalence_is_tested_with_a_margin_only(study):
    result, _ = study
    assert result["tost_p"].attrs["margin_deg"] == 5
    peak = result.sel(**KNEE, metric="peak")
    assert peak["tost_p"] < 0.05
    assert -5 < peak["tost_low"] < peak["tost_high"] < 5
    # The offset leaves the range as it is: there is no spread to test with.
    assert "do not vary" in str(result.sel(**KNEE, metric="range")["value_reason"].item())
    none = agreement(*paired_trial(offset=1))
    assert none["tost_p"].isnull().all()
    assert "no margin" in none["tost_p"].attrs["note"]
    with pytest.raises(BadInputError, match="margin_deg"):
        agreement(*paired_trial(), margin_deg=0)


def test_it_goes_through_a_file_and_leaves_its_input_alone(tmp_path, study):
    video, lab, repetitions = paired_trial(offset=1, noise=1, sd=2)
    video.attrs["history"] = json.dumps([{"operation": "joint_angles"}])
    lab.attrs["history"] = json.dumps([{"operation": "read_lab_file"}])
    before = [d.copy(deep=True) for d in (video, lab, repetitions)]
    result = agreement(video, lab, repetitions)
    operations = [e["operation"] for e in history(result)]
    assert operations == ["joint_angles", "read_lab_file", "agreement"]
    for one, other in zip(before, (video, lab, repetitions), strict=True):
        xr.testing.assert_identical(one, other)
    xr.testing.assert_identical(result, agreement(video, lab, repetitions))
    for i, dataset in enumerate((result, study[0])):
        dataset.to_netcdf(tmp_path / f"{i}.nc", engine="h5netcdf")
        with xr.open_dataset(tmp_path / f"{i}.nc", engine="h5netcdf") as back:
            xr.testing.assert_identical(dataset, back.load())


def test_rejected_and_cut_off_repetitions():
    video, lab, repetitions = paired_trial(offsets=(1, 50, 3))
    repetitions["accepted"][1] = False
    result = agreement(video, lab, repetitions)
    assert result["repetition"].values.tolist() == [1, 3]
    assert result.sel(KNEE)["bias"] == pytest.approx(2)
    cut = repetitions.assign(complete=("rep", [True, True, False]))
    knee = agreement(video, lab, cut).sel(KNEE)
    assert knee["bias"] == pytest.approx(1)
    assert knee.sel(metric="bottom")["pairs"] == 2  # its bottom is whole
    none = repetitions.assign(accepted=("rep", [False] * 3))
    with pytest.raises(BadInputError, match="no accepted repetition"):
        agreement(video, lab, none)
    both = agreement([video] * 2, [lab] * 2, [repetitions, none], participants=["a", "b"])
    (warning,) = warnings_of(both)
    assert (warning["code"], warning["values"]) == ("trial_without_repetition", {"trial": 2})
    assert both.sizes["rep"] == 2


def test_peaks_are_those_of_the_metrics():
    video, lab, repetitions = paired_trial(offset=2)
    elevation = {"thigh_elevation": 90 - lab["knee_flexion"]}
    lab = lab.assign({k: v.assign_attrs(units="degree") for k, v in elevation.items()})
    video = video.assign(thigh_elevation=lab["thigh_elevation"].assign_attrs(units="degree"))
    result = agreement(video, lab, repetitions)
    peaks = result["lab_values"].sel(metric="peak", side="left", rep=1)
    assert peaks.sel(angle="thigh_elevation") == pytest.approx(-10, abs=0.1)  # the lowest
    assert peaks.sel(angle="knee_flexion") == pytest.approx(100, abs=0.1)
    assert result["peak_kind"].sel(angle="thigh_elevation") == "minimum"


def metrics(values, units="degree", **others):
    n = len(values)
    data = {"knee_flexion_peak": ("rep", np.asarray(values, float), {"units": units})}
    return xr.Dataset({**data, **others}, coords={"rep": np.arange(1, n + 1)})


def test_metrics_of_repetitions_are_compared_without_curves():
    lab = metrics([100, 104, 96, 99])
    video = metrics([101, 107, 98, 103], knee_flexion_peak_sd=("rep", np.full(4, 1.1)))
    result = agreement(video, lab, margin_deg=5)
    peak = result.sel(metric="value", angle="knee_flexion_peak", side="middle")
    plain = bland_altman([1, 3, 2, 4], np.zeros(4))
    assert peak["mean_difference"] == pytest.approx(plain.bias)
    assert peak["upper_limit"] == pytest.approx(plain.upper)
    assert peak["value_coverage"] == 0.5
    assert "rmse" not in result
    assert result["sd_difference"].attrs["units"] == "degree"


def test_metrics_of_several_participants_in_one_table():
    n = 12
    rng = np.random.default_rng(3)
    values = rng.normal(100, 10, n)
    difference = np.repeat(rng.normal(1, 3, 4), 3) + rng.normal(0, 1, n)
    people = np.repeat(list("abcd"), 3)
    lab = metrics(values, depth=("rep", values / 2, {"units": "percent"}))
    video = metrics(values + difference, depth=("rep", values / 2 + 1, {"units": "percent"}))
    result = agreement(video.assign_coords(participant=("rep", people)), lab, margin_deg=5)
    peak = result.sel(metric="value", angle="knee_flexion_peak", side="middle")
    repeated = bland_altman(difference, np.zeros(n), participants=people.tolist())
    assert peak["sd_difference"] == pytest.approx(repeated.sd)
    assert result["units"].values.tolist() == ["degree", "percent"]
    assert result["sd_difference"].attrs["units"] == "as the coordinate units"
    depth = result.sel(metric="value", angle="depth", side="middle")
    assert np.isnan(depth["tost_p"])
    assert "the margin is in degrees" in str(depth["value_reason"].item())


def test_bad_input_says_what_to_do():
    video, lab, repetitions = paired_trial()
    late, early = lab.assign_coords(time=lab["time"] + 0.01), lab.isel(time=slice(5, None))
    endless = lab.copy(deep=True)
    endless["knee_flexion"][{"time": 5}] = np.inf
    radians = lab.assign(knee_flexion=lab["knee_flexion"].assign_attrs(units="radian"))
    middle = lab.assign(knee_flexion=lab["trunk_lean"])
    two, people = (
        [video, video.assign(knee_flexion=video["trunk_lean"])],
        {"participants": ["a", "b"]},
    )
    letters = video.assign_coords(side=["L", "R"])
    nothing = lab.drop_vars(["knee_flexion", "trunk_lean"])
    for given_, options, message in (
        ((video, lab), {}, "need repetitions"),
        ((video, early, repetitions), {}, "synchronise them first"),
        ((video, late, repetitions), {}, "synchronise"),
        ((video, nothing, repetitions), {}, "in common"),
        ((video, endless, repetitions), {}, "lab: 'knee_flexion' holds infinite values"),
        ((video, lab, repetitions.drop_vars("end")), {}, "the repetitions have no end"),
        (([video] * 2, [lab] * 2, [repetitions] * 2), {}, "the 2 trials have no participants"),
        (([video] * 2, [lab], [repetitions] * 2), {}, "pass both for each trial"),
        (([video] * 2, [lab] * 2, [repetitions]), people, "for 1 trials, but 2 trials"),
        ((video, lab, repetitions), people, "2 participants for 1 trials"),
        ((video, lab, repetitions), {"margin": 5}, "did you mean 'margin_deg'"),
        ((video, ["lab.mot"], repetitions), {}, r"lab: number 1: .* \(got 'lab.mot'\)$"),
        ((metrics([1, 2]), metrics([1, 2]), repetitions), {}, "already have repetitions"),
        ((metrics([1, 2]), metrics([1, 2, 3])), {}, "do not have the same repetitions"),
        ((metrics([1, 2]), metrics([1, 2], units="rad")), {}, "different units"),
        ((metrics([]), metrics([])), {}, "no repetition in any trial"),
        ((xr.Dataset(), xr.Dataset()), {}, "neither angles over 'time' nor metrics"),
        ((video, radians, repetitions), {}, r"must be in degrees \(its units: 'radian'\)"),
        ((video, middle, repetitions), {}, "has sides in only one of video and lab"),
        (
            (two, [lab, middle], [repetitions] * 2),
            people,
            "trial 2: knee_flexion has sides only in some",
        ),
        ((letters, lab, repetitions), {}, "sides of 'knee_flexion' must be left and right"),
    ):
        with pytest.raises(BadInputError, match=message):
            agreement(*given_, **options)
    swapped = agreement(video, lab.isel(side=[1, 0]), repetitions)  # by name, not by place
    assert swapped.sel(KNEE)["rmse"] == pytest.approx(0, abs=1e-9)


@settings(max_examples=5, deadline=None)
@given(st.floats(-30, 30), st.integers(0, 50))
def test_exchanging_video_and_lab_turns_the_signs_only(offset, seed):
    video, lab, repetitions = paired_trial(offset=offset, noise=2, seed=seed)
    one, other = agreement(video, lab, repetitions), agreement(lab, video, repetitions)
    for name in ("rmse", "mae", "rmse_offset_removed", "cmc", "sd_difference", "sem_agreement"):
        np.testing.assert_allclose(one[name], other[name], atol=1e-9, err_msg=name)
    np.testing.assert_allclose(one["bias"], -other["bias"], atol=1e-9)
    np.testing.assert_allclose(one["upper_limit"], -other["lower_limit"], atol=1e-9)


def test_the_curves_of_participants_are_tested():
    trials, _ = several(between=0.5, within=0.1, noise=0.5)
    result = agreement(*lists(trials), participants=list("abcdefgh")).sel(KNEE)
    assert result["curve_p"] == 2 / 2**8  # 2 degrees, with 0.5 between participants
    assert (result["curve_t"] > result["curve_threshold"]).mean() > 0.9
    few = agreement(*lists(trials[:4]), participants=list("abcd")).sel(KNEE)
    assert np.isnan(few["curve_p"])
    assert "4 pairs without gaps allow no p below 0.12" in str(few["waveform_reason"].item())
