"""What a session gives to labs: of each demo, read again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import mobility as mb
from mobility.errors import BadInputError
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
