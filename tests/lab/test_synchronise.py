"""One clock for video and lab: lags that were put in come back, and what is doubtful is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from mobility.errors import BadInputError
from mobility.lab.lab_files import read_lab
from mobility.lab.synchronise import Synchronisation, align, find_lag


def knee(time: np.ndarray, squats: list[tuple[float, float, float]]) -> np.ndarray:
    """Flexion of squats, each with start and duration (s) and depth (degrees)."""
    angle = np.full(time.size, 5.0)
    for start, lasts, deep in squats:
        share = np.clip((time - start) / lasts, 0, 1) ** 0.9
        angle += deep * 0.5 * (1 - np.cos(2 * np.pi * share))
    return angle


SQUATS = [(1.2, 2.2, 95.0), (3.9, 2.6, 88.0), (6.8, 2.4, 101.0)]


def angles(time: np.ndarray, *columns: np.ndarray, **more: Any) -> xr.Dataset:
    """Knee flexion of both sides."""
    both = columns if len(columns) == 2 else (columns[0], columns[0])
    return xr.Dataset(
        {"knee_flexion": (("time", "side"), np.stack(both, axis=1)), **more},
        coords={"time": time, "side": ["left", "right"]},
    )


def pair(lag: float, *, video_hz: float = 30.0) -> tuple[Any, Any]:
    """Video and lab of the same squats; lab time = video time + lag."""
    video = np.arange(0, 10.5, 1 / video_hz)
    lab = np.arange(min(lag, 0), 11 + max(lag, 0), 0.01)
    return angles(video, knee(video, SQUATS)), angles(lab, knee(lab - lag, SQUATS))


@pytest.mark.parametrize("lag", [0.1234, -1.7, 12.3456])
def test_a_lag_comes_back_to_a_fraction_of_a_sample(lag: float) -> None:
    video, lab = pair(lag)
    result = find_lag(video, lab)
    assert result.lag_s == pytest.approx(lag, abs=0.0005)
    assert result.correlation > 0.9999
    assert not result.given
    assert result.signals == ("knee_flexion left", "knee_flexion right")
    assert abs(result.second_lag_s - result.lag_s) > 1
    assert result.second_correlation < result.correlation - 0.05
    # A side that is missing is left out.
    left = lab["knee_flexion"].where(lab["side"] == "left")
    one = find_lag(video, lab.assign(knee_flexion=left))
    assert one.signals == ("knee_flexion left",)
    assert one.lag_s == pytest.approx(lag, abs=0.0005)
    assert find_lag(video, lab.sel(side=["right"])).signals == ("knee_flexion right",)


@settings(deadline=None, max_examples=25)
@given(
    lag=st.floats(-3, 3),
    gain=st.floats(0.5, 1.5),
    offset=st.floats(-40, 40),
    video_hz=st.sampled_from([24.0, 29.97, 50.0, 60.0]),
    lab_hz=st.sampled_from([60.0, 100.0, 240.0]),
)
def test_any_lag_rate_gain_and_offset(lag, gain, offset, video_hz, lab_hz):
    video = np.arange(0, 10.5, 1 / video_hz)
    lab = np.arange(min(lag, 0) - 0.3, 11 + max(lag, 0), 1 / lab_hz)
    seen = angles(video, knee(video, SQUATS))
    result = find_lag(seen, angles(lab, gain * knee(lab - lag, SQUATS) + offset))
    assert result.lag_s == pytest.approx(lag, abs=0.002)
    aligned = align(angles(lab, knee(lab - lag, SQUATS)), result, video)["knee_flexion"]
    assert float(abs(aligned - seen["knee_flexion"]).max()) < 0.8


def test_the_lag_is_one_for_all_joints() -> None:
    video, lab = pair(0.1)
    # Hips whose curve comes 60 ms later and moves half as much pull the lag a fifth of the way.
    late = knee(video["time"].to_numpy() - 0.06, SQUATS) / 2
    hips = xr.DataArray(np.stack([late, late], axis=1), dims=("time", "side"))
    result = find_lag(
        video.assign(hip_flexion=hips), lab.assign(hip_flexion=0.5 * lab["knee_flexion"])
    )
    assert result.lag_s == pytest.approx(0.1 - 0.06 / 5, abs=0.003)
    assert result.signal_lags_s[0] == pytest.approx(0.1, abs=0.004)
    assert result.signal_lags_s[2] == pytest.approx(0.04, abs=0.004)
    # That joints do not agree on the lag is part of its error.
    assert result.lag_sd_s > 0.01


def wandering(rng: np.random.Generator, size: int, step: float, sd: float) -> np.ndarray:
    """Errors that last for 0.4 s."""
    keep = np.exp(-step / 0.4)
    noise = rng.normal(size=size) * sd * np.sqrt(1 - keep**2)
    noise[0] = rng.normal() * sd
    for i in range(1, size):
        noise[i] += keep * noise[i - 1]
    return noise


def simulated(seed: int, count: int, sd: float) -> tuple[float, Synchronisation]:
    """A trial with wandering errors, wrong scales and offsets; its true lag and what was found."""
    rng = np.random.default_rng(seed)
    lag = rng.uniform(-0.5, 0.5)
    squats, start = [], 1.5
    for _ in range(count):
        lasts = rng.normal(2.4, 0.2)
        squats.append((start, lasts, rng.normal(95, 5)))
        start += lasts + rng.uniform(0.2, 0.6)
    video, lab = np.arange(0, start + 1, 1 / 30), np.arange(0, start + 1, 0.01)
    seen, true = {}, {}
    for name, scale in (("knee_flexion", 1.0), ("hip_flexion", 0.9)):
        moved = [(s, d, scale * a) for s, d, a in squats]
        seen[name] = [
            rng.normal(1, 0.06) * knee(video, moved)
            + rng.normal(0, 4)
            + wandering(rng, video.size, 1 / 30, sd)
            for _ in range(2)
        ]
        true[name] = [knee(lab - lag, moved) + rng.normal(0, 0.2, lab.size)] * 2

    def made(time: np.ndarray, values: dict[str, list[np.ndarray]]) -> xr.Dataset:
        return xr.Dataset(
            {name: (("time", "side"), np.stack(v, axis=1)) for name, v in values.items()},
            coords={"time": time, "side": ["left", "right"]},
        )

    return lag, find_lag(made(video, seen), made(lab, true))


@pytest.mark.parametrize(("count", "sd"), [(2, 4.0), (5, 8.0)])
def test_the_sd_covers_the_error(count: int, sd: float) -> None:
    trials = [simulated(seed, count, sd) for seed in range(50)]
    error = np.array([result.lag_s - lag for lag, result in trials])
    stated = np.array([result.lag_sd_s for _, result in trials])
    assert (np.abs(error) < 1.96 * stated).mean() > 0.86
    # And it is not simply large.
    size = np.sqrt((error**2).mean())
    assert size < 0.012
    assert np.median(stated) < 1.6 * size


def test_gaps_stay_gaps() -> None:
    video, lab = pair(0.1234)
    values = lab["knee_flexion"].copy()
    values[300:420, 0] = np.nan
    values[700:760] = np.nan
    gone = video["knee_flexion"].copy()
    gone[100:130] = np.nan
    result = find_lag(video.assign(knee_flexion=gone), lab.assign(knee_flexion=values))
    assert result.lag_s == pytest.approx(0.1234, abs=0.001)
    # Frames that are not there at all are a gap as well.
    dropped = lab.isel(time=np.r_[0:300, 420 : lab.sizes["time"]])
    assert find_lag(video, dropped).lag_s == pytest.approx(0.1234, abs=0.001)


def test_a_lag_by_hand_is_used_as_it_is() -> None:
    video, lab = pair(0.1234)
    result = find_lag(video, lab, lag_s=0.2)
    assert result.given
    assert result.lag_s == 0.2
    assert np.isnan(result.lag_sd_s)
    assert 0.9 < result.correlation < 0.999
    with pytest.raises(BadInputError, match="do not match"):
        find_lag(video, lab, lag_s=0.5)
    assert find_lag(video, lab, lag_s=0.1234).correlation > 0.999
    assert result.document()["lag_sd_s"] is None
    for far in (40.0, 1e300):
        with pytest.raises(BadInputError, match="no time in common"):
            find_lag(video, lab, lag_s=far)
    # Of a noisy match a lag that is known is enough.
    noise = 30 * np.random.default_rng(0).normal(size=video["knee_flexion"].shape)
    noisy = video.assign(knee_flexion=video["knee_flexion"] + noise)
    with pytest.raises(BadInputError, match="do not show the same movement"):
        find_lag(noisy, lab)
    assert 0.7 < find_lag(noisy, lab, lag_s=0.1234).correlation < 0.9


def periodic(time: np.ndarray) -> np.ndarray:
    return 50 - 45 * np.cos(2 * np.pi * time / 2.5)


def test_even_repetitions_are_ambiguous() -> None:
    video, lab = np.arange(0, 10, 1 / 30), np.arange(0, 12, 0.01)
    rng = np.random.default_rng(1)
    seen = angles(video, periodic(video + 1) + rng.normal(0, 1, video.size))
    true = angles(lab, periodic(lab + 1))
    with pytest.raises(BadInputError, match=r"lag_s: .*ambiguous.*max_lag_s: "):
        find_lag(seen, true)
    assert find_lag(seen, true, max_lag_s=1.0).lag_s == pytest.approx(0.0, abs=0.01)
    assert find_lag(seen, true, lag_s=0.0).given


def test_what_does_not_match_is_refused() -> None:
    video, lab = pair(0.0)
    knees, time = lab["knee_flexion"], lab["time"]
    noise = 30 * np.random.default_rng(0).normal(size=time.size)
    other = r"do not show the same movement|ambiguous"
    for changed, options, message in (
        (angles(time.to_numpy(), noise), {}, "do not show the same movement"),
        (lab.assign(knee_flexion=-knees), {}, other),
        (lab.assign_coords(time=time / 2), {}, other),  # twice the rate
        (lab.assign(knee_flexion=knees * 0 + 10), {}, "moves in both"),
        (lab.assign(knee_flexion=knees * np.nan), {}, "moves in both"),
        (pair(1.0)[1], {"max_lag_s": 0.6}, "limit of the allowed range"),
        (lab.rename(knee_flexion="wrist_flexion"), {}, "no angle in common"),
        (lab.isel(time=slice(None, None, -1)), {}, "times do not increase"),
        (lab.isel(time=slice(0, 1)), {}, "fewer than two samples"),
        (lab.assign_coords(time=time * 1000), {}, "must be seconds"),
        (lab, {"max_lag_s": -1}, "max_lag_s"),
    ):
        with pytest.raises(BadInputError, match=message):
            find_lag(video, changed, **options)
    with pytest.raises(BadInputError, match="less than 2 s"):
        find_lag(video.isel(time=slice(40, 90)), lab.isel(time=slice(0, 170)))


def test_errors_that_drift_do_not_hide_the_same_movement() -> None:
    """As where somebody steps nearer to the camera: the whole correlates less than its parts."""
    video, lab = pair(0.1234)
    drift = 6 * (video["time"] - 5.0)
    found = find_lag(video.assign(knee_flexion=0.9 * video["knee_flexion"] + drift), lab)
    assert found.correlation < 0.9
    assert found.lag_s == pytest.approx(0.1234, abs=0.05)


def test_squats_with_other_pauses_are_another_trial() -> None:
    video, lab = pair(0.0)
    time = lab["time"].to_numpy()
    other = [(s + off, d, a) for (s, d, a), off in zip(SQUATS, (0.0, 0.15, -0.15), strict=True)]
    with pytest.raises(BadInputError, match=r"their parts fit at lags 0.09 s apart") as error:
        find_lag(video, angles(time, knee(time, other)))
    assert set(error.value.fields) == {"lag_s", "max_lag_s"}
    assert "\n" not in str(error.value)


def test_trials_of_a_lab_match_their_own_file_alone(lab: Path) -> None:
    folder = lab / "lbmc_benchmark"
    for one, other in (("01", "02"), ("02", "01")):
        seen = read_lab(folder / f"method1_mmh_{one}.csv")
        assert abs(find_lag(seen, read_lab(folder / f"markers_mmh_{one}.csv")).lag_s) < 0.05
        with pytest.raises(BadInputError, match="do not show the same movement"):
            find_lag(seen, read_lab(folder / f"markers_mmh_{other}.csv"))


def test_aligned_values_are_those_of_the_lab_at_the_times_of_the_video() -> None:
    video, lab = pair(0.1234)
    lab = lab.assign(trunk_lean=("time", 3 * lab["time"].to_numpy(), {"units": "degree"}))
    lab = lab.assign(start=("rep", [1.0, 2.0], {"units": "s"}), event_label=("event", ["Start"]))
    before = lab.copy(deep=True)
    aligned = align(lab, find_lag(video, lab, lag_s=0.1234), video["time"].to_numpy())
    xr.testing.assert_identical(lab, before)
    np.testing.assert_array_equal(aligned["time"], video["time"])
    both = aligned["knee_flexion"].notnull().all("side")
    assert both.mean() > 0.98
    error = (aligned["knee_flexion"] - video["knee_flexion"]).where(both)
    assert float(abs(error).max()) < 0.1
    np.testing.assert_allclose(aligned["trunk_lean"], 3 * (video["time"] + 0.1234))
    assert aligned["trunk_lean"].attrs["units"] == "degree"
    np.testing.assert_allclose(aligned["start"], [1.0 - 0.1234, 2.0 - 0.1234])
    assert aligned["start"].attrs["units"] == "s"
    assert aligned["event_label"].values.tolist() == ["Start"]
    assert '"align"' in aligned.attrs["history"]


def test_aligning_bridges_no_gap_and_invents_nothing() -> None:
    video, lab = pair(0.0)
    values = lab["knee_flexion"].copy()
    values[300:340, 0] = np.nan
    sync = find_lag(video, lab, lag_s=0.0)
    time = np.array([-0.5, 2.99, 2.995, 3.2, 3.395, 3.4, 11.2])
    aligned = align(lab.assign(knee_flexion=values), sync, time)["knee_flexion"]
    assert aligned.isnull().sel(side="left").values.tolist() == [
        *(True, False, True, True, True, False, True)
    ]
    assert aligned.isnull().sel(side="right").values.tolist() == [True, *[False] * 5, True]
    # The same where the frames of the gap are not in the file.
    dropped = align(lab.isel(time=np.r_[0:300, 340 : lab.sizes["time"]]), sync, time)
    assert dropped["knee_flexion"].isnull().sel(side="right").values.tolist() == [
        *(True, False, True, True, True, False, True)
    ]
