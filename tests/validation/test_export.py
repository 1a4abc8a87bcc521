"""Export: round trips, what each format says of gaps, and that other programs' parsers read it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import ezc3d
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import mobility as mb
from mobility.errors import BadInputError, NotFoundError, StorageError
from mobility.kinematics.skeleton import KEYPOINTS
from mobility.validation.export import FORMATS, write_c3d, write_csv, write_mot, write_trc
from mobility.validation.joint_centres import lab_pose
from mobility.validation.lab_files import read_lab

WRITERS = {"trc": write_trc, "c3d": write_c3d, "csv": write_csv}


@pytest.fixture(scope="module")
def squat(squat_pose: Any) -> xr.Dataset:
    """One squat with the left knee unseen for some frames, and no face."""
    pose = squat_pose(fps=30, reps=1).pose
    position = pose["position"].copy(deep=True)
    position.loc[{"keypoint": "left_knee", "time": position["time"][10:15]}] = np.nan
    position.loc[{"keypoint": list(KEYPOINTS[:11])}] = np.nan
    return pose.assign(position=position)


@pytest.fixture(scope="module")
def angles(squat: xr.Dataset) -> xr.Dataset:
    return mb.joint_angles(squat)


@pytest.mark.parametrize("ending", sorted(WRITERS))
def test_a_pose_comes_back(squat, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"squat.{ending}"
    before = squat.copy(deep=True)
    assert WRITERS[ending](squat, path) == path
    xr.testing.assert_identical(squat, before)
    trial = read_lab(path)
    assert trial.attrs["mapping"] == "mobility"
    assert trial.attrs["vertical_axis"] == "y"
    assert set(trial["marker"].values) == set(KEYPOINTS[11:])  # the face was never seen
    pose = lab_pose(trial)
    precision = 1e-6 if ending != "c3d" else 1e-7 * 2000
    np.testing.assert_allclose(pose["position"], squat["position"], atol=precision)
    np.testing.assert_allclose(pose["time"], squat["time"], atol=1e-6)
    assert int(trial["marker_position"].isnull().sum()) == 15


@pytest.mark.parametrize("ending", ["mot", "sto", "csv"])
def test_angles_come_back(angles, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"angles.{ending}"
    before = angles.copy(deep=True)
    FORMATS[ending](angles, path)
    xr.testing.assert_identical(angles, before)
    back = read_lab(path)
    assert back.attrs["mapping"] == "mobility"
    assert back.attrs["angle_units_read"] == "degree"
    names = [name for name in angles.data_vars if not str(name).endswith("_sd")]
    assert set(back.data_vars) == set(names)
    for name in names:
        np.testing.assert_allclose(back[name], angles[name], atol=1e-5)
    assert int(back["knee_flexion"].isnull().sum()) == 5
    if ending == "csv":
        table = pd.read_csv(path)
        assert list(table.columns) == ["time", "angle", "side", "value_deg", "sd_deg"]
        knee = table[(table["angle"] == "knee_flexion") & (table["side"] == "right")]
        sd = angles["knee_flexion_sd"].sel(side="right")
        np.testing.assert_array_equal(knee["sd_deg"], sd)
        assert table[table["angle"] == "trunk_lean"]["side"].isna().all()
    # Also one side only, frames left out, and few angles, whose names other mappings know as well.
    few = angles[["knee_flexion", "hip_abduction"]].isel(side=[1], time=np.r_[0:20, 45:60])
    FORMATS[ending](few, path)
    back = read_lab(path)
    assert back.attrs["mapping"] == "mobility"
    np.testing.assert_allclose(back["time"], few["time"], atol=1e-6)
    assert not back["hip_abduction"].sel(side="left").count()
    np.testing.assert_allclose(
        back["hip_abduction"].sel(side=["right"]), few["hip_abduction"], atol=1e-5
    )


@pytest.mark.parametrize("missing", ["NaN", "-nan(ind)", "1.#QNAN", "-1.#IND", ""])
def test_gaps_come_back_from_programs_on_windows(angles, tmp_path: Path, missing: str) -> None:
    path = tmp_path / "saved-again.mot"
    write_mot(angles, path)
    path.write_text(path.read_text().replace("nan", missing))
    np.testing.assert_allclose(read_lab(path)["knee_flexion"], angles["knee_flexion"], atol=1e-5)


# As other programs read them.


def test_trc_as_pose2sim_and_opensim_read_it(squat, tmp_path: Path) -> None:
    """OpenSim wants five header lines, each name over three columns, and as many cells in rows;
    Pose2Sim skips four lines, takes names from every third column and counts by the header."""
    path = write_trc(squat, tmp_path / "a.trc")
    lines = path.read_text().splitlines()
    assert lines[0].split("\t")[:3] == ["PathFileType", "4", "(X/Y/Z)"]
    header = dict(zip(lines[1].split("\t"), lines[2].split("\t"), strict=True))
    names = [name for name in lines[3].split("\t")[2::3] if name]
    assert lines[3].startswith("Frame#\tTime\t")
    assert lines[5] == ""
    assert {line.count("\t") for line in [lines[3], lines[4], *lines[6:]]} == {1 + 3 * len(names)}
    table = pd.read_csv(path, sep="\t", skiprows=4)
    assert table.columns[0].startswith("Unnamed")
    assert list(table.columns[2:5]) == ["X1", "Y1", "Z1"]
    assert table.columns[-1] == f"Z{len(names)}"
    assert float(header["DataRate"]) == pytest.approx(30)
    assert (int(header["NumFrames"]), int(header["NumMarkers"])) == (len(table), len(names))
    assert header["Units"] == "m"
    assert len(table) == squat.sizes["time"]
    at = 2 + 3 * names.index("left_knee")
    knee = squat["position"].sel(keypoint="left_knee").isel(individual=0)
    np.testing.assert_allclose(
        table.iloc[:, at : at + 3], knee.transpose("time", "space"), atol=1e-6
    )


def test_mot_as_opensim_reads_it(angles, tmp_path: Path) -> None:
    path = write_mot(angles, tmp_path / "a.mot")
    lines = path.read_text().splitlines()
    end = lines.index("endheader")
    header = dict(line.split("=") for line in lines[:end] if "=" in line)
    assert header["inDegrees"] == "yes"
    names = lines[end + 1].split("\t")
    assert names[0] == "time"
    assert {"knee_angle_r", "hip_adduction_l", "ankle_angle_r", "arm_flex_l"} <= set(names)
    assert int(header["nColumns"]) == len(names)
    rows = [line.split("\t") for line in lines[end + 2 :]]
    assert int(header["nRows"]) == len(rows)
    assert {len(row) for row in rows} == {len(names)}
    table = np.array(rows, dtype=float)
    knee = angles["knee_flexion"].sel(side="left")
    np.testing.assert_allclose(table[:, names.index("knee_angle_l")], knee, atol=1e-5)
    abduction = angles["hip_abduction"].sel(side="right")
    np.testing.assert_allclose(table[:, names.index("hip_adduction_r")], -abduction, atol=1e-5)


def test_c3d_as_ezc3d_reads_it(squat, tmp_path: Path) -> None:
    late = squat.assign_coords(time=squat["time"] + 2.0)
    path = write_c3d(late, tmp_path / "a.c3d")
    file = ezc3d.c3d(str(path))
    points = file["parameters"]["POINT"]
    assert points["UNITS"]["value"] == ["mm"]
    assert points["RATE"]["value"][0] == pytest.approx(30)
    labels = points["LABELS"]["value"]
    residuals = file["data"]["meta_points"]["residuals"][0, labels.index("left_knee")]
    assert np.flatnonzero(residuals == -1).tolist() == [10, 11, 12, 13, 14]
    assert set(residuals) == {0, -1}
    assert file["header"]["points"]["first_frame"] == 60
    np.testing.assert_allclose(read_lab(path)["time"], late["time"], atol=1e-6)


# What cannot be written.


def test_uneven_times_have_no_place_in_a_c3d(squat, tmp_path: Path) -> None:
    time = squat["time"].to_numpy().copy()
    time[20:] += 0.3
    uneven = squat.assign_coords(time=time)
    with pytest.raises(BadInputError, match=r"times of the frames are uneven \(by 9\.0 frames at"):
        write_c3d(uneven, tmp_path / "a.c3d")
    back = read_lab(write_trc(uneven, tmp_path / "a.trc"))
    np.testing.assert_allclose(back["time"], time, atol=1e-6)
    with pytest.raises(BadInputError, match="C3D counts from 0"):
        write_c3d(squat.assign_coords(time=squat["time"] - 3), tmp_path / "a.c3d")
    with pytest.raises(BadInputError, match="times do not increase"):
        write_trc(squat.isel(time=[3, 2, 1]), tmp_path / "b.trc")
    assert not (tmp_path / "a.c3d").exists()
    assert [p.name for p in tmp_path.iterdir()] == ["a.trc"]


def test_what_is_not_fit_to_write(squat, angles, tmp_path: Path) -> None:
    path = tmp_path / "a"
    other = xr.Dataset({"a": ("time", [1.0, 2.0])}, coords={"time": [0.0, 1.0]})
    two = xr.concat([squat, squat.assign_coords(individual=["other"])], dim="individual")
    for writer, dataset, where, message in (
        (write_trc, angles, path, "has no positions"),
        (write_mot, squat, path, "no joint angles"),
        (write_csv, other, path, "neither positions nor joint angles"),
        (write_csv, xr.Dataset(), path, "not a Dataset with times"),
        (write_trc, two, path, "has 2 individuals"),
        (write_trc, squat.assign(position=squat["position"] * np.nan), path, "every position is m"),
        (write_mot, angles.isel(time=[0]), path, "at least 2 are needed"),
        (write_c3d, squat, path, r"must end in \.c3d"),
        (write_csv, angles, tmp_path, "is a folder"),
    ):
        with pytest.raises(BadInputError, match=message):
            writer(dataset, where)
    with pytest.raises(NotFoundError, match="no such folder"):
        write_csv(angles, tmp_path / "no" / "a.csv")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("writer", [write_trc, write_c3d, write_csv])
def test_a_fault_leaves_what_was_there(squat, tmp_path: Path, monkeypatch, writer) -> None:
    path = tmp_path / "a.c3d"
    path.write_text("before")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(StorageError, match="the disk is full"):
        writer(squat, path)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.name != "posix", reason="files are limited in size on POSIX only")
def test_a_c3d_for_which_there_is_no_room(squat, tmp_path: Path) -> None:
    """What ezc3d leaves of a file that it may not write to its end, for every length of it."""
    import resource

    path = tmp_path / "a.c3d"
    whole = write_c3d(squat, path).stat().st_size
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    for room in (0, 300, 600, 5000, whole - 600, whole - 1):
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, usual[1]))
        try:
            with pytest.raises(StorageError, match=f"cut off after {room} bytes"):
                write_c3d(squat, path)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, usual)
    assert path.stat().st_size == whole
    assert list(tmp_path.iterdir()) == [path]
