"""What a session gives to labs: of each demo, read again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import mobility as mb
from mobility.errors import BadInputError
from mobility.exchange.lab_writers import resampled, write_c3d
from mobility.store import Store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("store"))


@pytest.mark.parametrize(
    ("exercise", "contexts"),
    [
        ("Overhead Squat", ["General"] * 3),
        ("Sit-to-Stand", ["General"] * 5),
        ("Single-Leg Squat", ["Left"] * 3 + ["Right"] * 3),
        ("Joint Angle Mobility", ["Left"] * 3),
    ],
)
def test_a_session_comes_back_from_a_c3d(store, tmp_path: Path, exercise, contexts) -> None:
    session = store.demo(exercise)
    trial = mb.read_lab(session.export_lab(tmp_path / "a.c3d"))
    repetitions, angles = session.repetitions(), session.angles()
    of_starts = trial["event_label"] == "Start"
    assert trial["event_context"].values[of_starts].tolist() == contexts
    for name in ("start", "bottom", "end"):
        np.testing.assert_allclose(trial[name], repetitions[name], atol=1e-5)
    given = [name for name in angles if not name.endswith("_sd") and angles[name].notnull().any()]
    assert set(given) == set(trial.data_vars) & set(angles)
    for name in given:
        np.testing.assert_allclose(trial[name], angles[name], atol=1e-4, err_msg=name)
    assert "shoulder_flexion" in given or exercise != "Joint Angle Mobility"


def test_each_format_has_what_it_holds(store, tmp_path: Path) -> None:
    session = store.demo("Overhead Squat")
    alone = mb.read_lab(session.export_lab(tmp_path / "a.c3d", positions=True))
    assert not {"knee_flexion", "event_time"} & set(alone.data_vars)
    detected = mb.read_lab(session.export_lab(tmp_path / "b", file_format="trc", landmarks=True))
    pose = session.pose()["position"].isel(individual=0).sel(keypoint="left_hip")
    hip = detected["marker_position"].sel(marker="left_hip")
    np.testing.assert_allclose(hip, pose.transpose(*hip.dims), atol=1e-6)
    for ending, marker in (("mot", False), ("sto", False), ("csv", False), ("trc", True)):
        read = mb.read_lab(session.export_lab(tmp_path / f"c.{ending}"))
        assert ("marker_position" in read, "knee_flexion" in read) == (marker, not marker)
    filled = session.export_lab(tmp_path / "d.mot", fill="interpolate")
    assert not mb.read_lab(filled)["elbow_flexion"].isnull().any()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("a.c3dd", {}, "no format 'c3dd'; did you mean 'c3d'?"),
        ("a.mot", {"positions": True}, "positions: mot holds angles only"),
        ("a.csv", {"landmarks": True}, "landmarks: these are positions"),
        ("a.c3d", {"fill": "interpolate"}, "fill: c3d has gaps"),
        ("a.mot", {"fill": "spline"}, "fill"),
    ],
)
def test_what_does_not_fit_is_refused(store, tmp_path: Path, name, options, message) -> None:
    with pytest.raises(BadInputError, match=message.replace("?", r"\?")):
        store.demo("Overhead Squat").export_lab(tmp_path / name, **options)
    assert list(tmp_path.iterdir()) == []


def test_uneven_frames_come_as_c3d_when_they_are_resampled(store, tmp_path: Path, monkeypatch):
    """A phone's frames: times that no even clock fits. A line stays a line."""
    fitted = mb.read_lab(store.demo("Overhead Squat").export_lab(tmp_path / "a.trc"))
    seconds = np.cumsum(np.where(np.arange(fitted.sizes["time"]) % 7 == 3, 0.09, 1 / 30))
    uneven = fitted.assign_coords(time=seconds)
    standing = uneven["marker_position"].isel(time=0)
    standing = standing.fillna(standing.mean("marker"))
    line = (standing + 0.02 * uneven["time"]).transpose(*uneven["marker_position"].dims)
    line[{"time": 40}] = np.nan
    uneven["marker_position"] = line
    with pytest.raises(BadInputError, match=r"uneven .* resample them \(--rate"):
        write_c3d(uneven, tmp_path / "b.c3d")
    even = resampled(uneven, 50)
    read = mb.read_lab(write_c3d(even, tmp_path / "c.c3d"))
    np.testing.assert_allclose(np.diff(read["time"]), 0.02, atol=1e-6)
    seen = read["marker_position"].transpose("time", "marker", ...).to_numpy()
    at_first = standing.transpose("marker", ...).to_numpy()
    expected = at_first + 0.02 * read["time"].to_numpy()[:, None, None]
    missing = np.isnan(seen)
    np.testing.assert_allclose(seen[~missing], expected[~missing], atol=1e-5)
    lost = read["time"].to_numpy()[missing.any(axis=(1, 2))]
    assert seconds[39] <= lost.min() <= lost.max() <= seconds[41]
    assert b"Resampled to 50 frames per second" in (tmp_path / "c.c3d").read_bytes()
    words = (tmp_path / "d.mot", tmp_path / "d.trc")
    for path in words:
        store.demo("Overhead Squat").export_lab(path, rate=25)
    assert "Resampled to 25 frames per second" in words[0].read_text()
    assert words[1].read_text().splitlines()[2].split("\t")[::5][:2] == ["25", "15"]
    for rate in (0.5, 1e6, float("nan")):
        with pytest.raises(BadInputError, match="rate: must be from 1 to 1000"):
            store.demo("Overhead Squat").export_lab(tmp_path / "e.c3d", rate=rate)


def test_nothing_is_made_up_where_frames_are_missing() -> None:
    """Four seconds without a frame stay without values."""
    time = np.r_[np.arange(0, 1, 1 / 30), np.arange(5, 6, 1 / 30)]
    angles = xr.Dataset({"trunk_lean": ("time", 10.0 * time)}, {"time": time})
    even = resampled(angles, 30)
    missing = even["time"].values[even["trunk_lean"].isnull()]
    assert missing.min() == pytest.approx(1.0, abs=0.04)
    assert missing.max() == pytest.approx(5.0, abs=0.04)
    assert missing.size == pytest.approx(4 * 30, abs=2)
    seen = even["trunk_lean"].dropna("time")
    np.testing.assert_allclose(seen, 10.0 * seen["time"], atol=1e-6)
    assert even.attrs["rate_before"] == pytest.approx(30, rel=1e-3)
