"""One trial, filmed and measured: what was put in comes back, and like is compared with like."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from lab_trials import true_angles, write_truth

from mobility.errors import BadInputError, NotFoundError
from mobility.lab.lab_trial import Reference, Trial, angles_of, compare, read_reference
from mobility.lab.lab_writers import write_mot
from mobility.sessions.files import read_dataset


@pytest.fixture(scope="module")
def video(demo: Path) -> xr.Dataset:
    return read_dataset(demo / "angles.nc")


@pytest.fixture(scope="module")
def repetitions(demo: Path) -> xr.Dataset:
    return read_dataset(demo / "repetitions.nc")


def of_model(demo: Path, folder: Path, *, lag: float) -> Path:
    """Angles of a model whose knee reads 4 degrees more, and 0.9 of the hip."""
    angles = true_angles(demo)
    scaled = angles[["knee_flexion", "hip_flexion"]]
    scaled = scaled.assign(
        knee_flexion=(scaled["knee_flexion"] + 4).assign_attrs(units="degree"),
        hip_flexion=(0.9 * scaled["hip_flexion"]).assign_attrs(units="degree"),
    )
    time = np.arange(float(scaled["time"][0]), float(scaled["time"][-1]), 0.01)
    return write_mot(scaled.interp(time=time).assign_coords(time=time + lag), folder / "model.mot")


@pytest.fixture(scope="module")
def trial(
    demo: Path, video: Any, repetitions: Any, tmp_path_factory: pytest.TempPathFactory
) -> Trial:
    folder = tmp_path_factory.mktemp("lab")
    trc = write_truth(demo, folder / "lab.trc", lag=0.3, noise_m=0.001)
    reference = read_reference(trc, lab_angles=of_model(demo, folder, lag=0.3))
    return compare(video, repetitions, reference)


def test_the_lag_comes_back(trial: Trial) -> None:
    # The usual delay of the landmarks is taken off by the fit (tables/synchronisation.yaml).
    assert trial.sync.lag_s == pytest.approx(0.3, abs=0.015)
    assert abs(trial.sync.lag_s - 0.3) < 2.5 * trial.sync.lag_sd_s
    assert trial.sync.correlation > 0.99


def test_the_errors_come_back_as_they_are(trial: Trial, video: Any, demo: Path) -> None:
    """Against the truth itself, resampled by hand at the lag that was found."""
    truth = true_angles(demo)
    there = truth.interp(time=video["time"].to_numpy() + trial.sync.lag_s - 0.3)
    primary = trial.agreement.sel(comparison="fitted_lab_formulas")
    for name in ("knee_flexion", "hip_flexion", "ankle_dorsiflexion"):
        for side in ("left", "right"):
            error = (video[name] - there[name].assign_coords(time=video["time"])).sel(side=side)
            of_reps = [
                float(error.sel(time=slice(s, e)).mean())
                for s, e in zip(
                    trial.curves["repetition_start"].values,
                    trial.curves["repetition_end"].values,
                    strict=True,
                )
            ]
            bias = float(primary["bias"].sel(angle=name, side=side))
            assert bias == pytest.approx(np.mean(of_reps), abs=0.15), (name, side)


def test_the_difference_of_definitions_comes_back(trial: Trial) -> None:
    definitions = trial.agreement.sel(comparison="lab_model_lab_formulas")
    knee = definitions["difference_curve"].sel(angle="knee_flexion", side="left")
    np.testing.assert_allclose(knee, 4.0, atol=0.4)
    # A scale is a curve, not a constant.
    hip = definitions["difference_curve"].sel(angle="hip_flexion", side="left").to_numpy()
    lab = definitions["lab_curve"].sel(angle="hip_flexion", side="left").to_numpy()
    np.testing.assert_allclose(hip, -0.1 * lab, atol=0.4)
    assert np.ptp(hip) > 7
    secondary = trial.agreement.sel(comparison="fitted_lab_model")
    primary = trial.agreement.sel(comparison="fitted_lab_formulas")
    shift = (secondary["bias"] - primary["bias"]).sel(angle="knee_flexion", side="left")
    assert float(shift) == pytest.approx(-4.0, abs=0.2)


def test_angles_alone_are_the_primary_comparison(demo, video, repetitions, tmp_path):
    reference = read_reference(of_model(demo, tmp_path, lag=-1.0), mapping="opensim")
    assert reference.formulas is None
    assert "spine" in reference.differences["hip_flexion"]
    trial = compare(video, repetitions, reference)
    assert trial.agreement.attrs["primary"] == "fitted_lab_model"
    assert trial.sync.lag_s == pytest.approx(-1.017, abs=0.02)


def test_files_of_the_lab_on_other_clocks_are_warned_of(demo, video, repetitions, tmp_path):
    trc = write_truth(demo, tmp_path / "lab.trc", lag=0.3)
    trial = compare(
        video, repetitions, read_reference(trc, lab_angles=of_model(demo, tmp_path, lag=0.5))
    )
    codes = [warning["code"] for warning in trial.warnings]
    assert "lab_clocks_differ" in codes
    message = next(w["message"] for w in trial.warnings if w["code"] == "lab_clocks_differ")
    assert "+0.20" in message


def test_what_is_not_of_the_trial_is_refused(demo, video, repetitions, tmp_path):
    mot = of_model(demo, tmp_path, lag=0.0)
    model = read_reference(mot)
    short = read_reference(write_truth(demo, tmp_path / "s.trc", lag=0.0, stop=1.3))
    for reference, options, message in (
        (Reference(formulas=None, model=None, pose=None), {}, "no angle that the video has"),
        (model, {"lag_s": 100.0}, "no time in common"),
        (short, {}, "moves in both"),
    ):
        with pytest.raises(BadInputError, match=message):
            compare(video, repetitions, reference, **options)
    with pytest.raises(BadInputError, match="static trial has no use"):
        read_reference(mot, static=mot)
    with pytest.raises(NotFoundError):
        read_reference(tmp_path / "nothing.trc")
    # Without a fit the landmarks are compared.
    landmarks = video.assign_attrs(method="mediapipe_world")
    trial = compare(landmarks, repetitions, model)
    assert trial.agreement["comparison"].values.tolist() == ["landmarks_lab_model"]
    assert "knee_flexion_sd" in angles_of(trial.curves, "landmarks")
