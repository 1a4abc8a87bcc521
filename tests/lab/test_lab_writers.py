"""Export: round trips, what each format says of gaps, and that other programs' parsers read it.

What a session gives to labs: of each demo, read again.
"""

from __future__ import annotations

import json
import logging
import os
import struct
import sys
from functools import partial
from pathlib import Path
from typing import Any

import ezc3d
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from other_processes import ended

import mobility as mb
from mobility.errors import BadInputError, NotFoundError, StorageError
from mobility.kinematics.skeleton import KEYPOINTS
from mobility.lab.joint_centres import lab_pose
from mobility.lab.lab_files import read_lab
from mobility.lab.lab_text import motion_columns
from mobility.lab.lab_writers import (
    FORMATS,
    is_export,
    resampled,
    write_c3d,
    write_csv,
    write_mot,
    write_trc,
)
from mobility.leg_loads.dynamics import JOINTS
from mobility.leg_loads.loads import loads, loads_with_plates
from mobility.store import Store

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


@pytest.fixture(scope="module")
def repetitions() -> xr.Dataset:
    """Two accepted repetitions, one of each leg, and a rejected one between them."""
    second = {"units": "s", "long_name": "lowest"}
    return xr.Dataset(
        {
            "start": ("rep", [0.5, 1.5, 2.5]),
            "bottom": ("rep", [0.9, 1.9, 2.9], second),
            "end": ("rep", [1.3, 2.3, 3.3]),
            "leg": ("rep", ["left", "left", "right"]),
            "accepted": ("rep", [True, False, True]),
        },
        coords={"rep": [1, 2, 3]},
    )


def test_angles_and_events_of_a_c3d_as_ezc3d_reads_them(
    squat, angles, repetitions, tmp_path: Path
) -> None:
    unseen = angles.assign(hip_abduction=angles["hip_abduction"] * np.nan)
    path = write_c3d(squat, tmp_path / "a.c3d", angles=unseen, repetitions=repetitions)
    file = ezc3d.c3d(str(path))
    points, events = (file["parameters"][group] for group in ("POINT", "EVENT"))
    labels = points["LABELS"]["value"]
    assert {"LKneeAngles", "RHipAngles", "TrunkLeanAngles"} < set(points["ANGLES"]["value"])
    assert "left_knee" not in points["ANGLES"]["value"]
    assert points["ANGLE_UNITS"]["value"] == ["deg"]
    assert points["USED"]["value"][0] == len(labels) == len(points["DESCRIPTIONS"]["value"])
    assert file["parameters"]["ANALOG"]["USED"]["value"][0] == 0
    # The header and the numbers as the standard has them.
    raw = path.read_bytes()
    points_of, analogs, first, last, _, scale, block, _, rate = struct.unpack_from(
        "<5HfHHf", raw, 2
    )
    assert (raw[0], raw[1], points_of, analogs) == (2, 0x50, len(labels), 0)
    assert (first, last, scale, rate) == (1, squat.sizes["time"], -1, 30)
    assert points["DATA_START"]["value"].tolist() == [block]
    stored = np.frombuffer(raw, "<f4", 4 * last * points_of, 512 * (block - 1))
    stored = stored.reshape(last, points_of, 4).transpose(2, 1, 0)
    missing = file["data"]["meta_points"]["residuals"][0] == -1
    np.testing.assert_array_equal(stored[3], np.where(missing, -1, 0))
    np.testing.assert_array_equal(stored[:3], np.where(missing, 0, file["data"]["points"][:3]))
    at = labels.index("LKneeAngles")
    knee, residual = file["data"]["points"][:3, at], file["data"]["meta_points"]["residuals"][0, at]
    np.testing.assert_array_equal(residual == -1, angles["knee_flexion"].isnull().sel(side="left"))
    np.testing.assert_allclose(knee[0], angles["knee_flexion"].sel(side="left"), atol=1e-4)
    assert set(knee[1:, residual == 0].ravel()) == {0}
    assert points["DESCRIPTIONS"]["value"][at] == "x: knee flexion; else 0, not measured"
    assert set(file["data"]["points"][1, labels.index("RHipAngles")]) == {0}  # the abduction
    assert events["USED"]["value"].tolist() == [6]
    assert events["LABELS"]["value"] == ["Start", "Bottom", "End"] * 2
    assert events["CONTEXTS"]["value"] == ["Left"] * 3 + ["Right"] * 3
    assert events["DESCRIPTIONS"]["value"][1] == "repetition 1: lowest"
    np.testing.assert_allclose(
        events["TIMES"]["value"], [[0] * 6, [0.5, 0.9, 1.3, 2.5, 2.9, 3.3]], atol=1e-6
    )


def test_angles_and_repetitions_come_back_from_a_c3d(
    squat, angles, repetitions, tmp_path: Path
) -> None:
    abduction = angles["hip_abduction"].copy()
    abduction[20:24] = np.nan  # where the flexion beside it in the file is given
    given = angles.assign(hip_abduction=abduction)
    path = write_c3d(squat, tmp_path / "a.c3d", angles=given, repetitions=repetitions)
    back = read_lab(path)
    assert json.loads(back.attrs["unmapped_columns"]) == []
    for name in (name for name in given.data_vars if not str(name).endswith("_sd")):
        np.testing.assert_allclose(back[name], given[name], atol=1e-4, err_msg=str(name))
    assert back["event_context"].values.tolist() == ["Left"] * 3 + ["Right"] * 3
    accepted = repetitions.isel(rep=[0, 2])
    for name in ("start", "bottom", "end"):
        np.testing.assert_allclose(back[name], accepted[name], atol=1e-6)
        of_label = back["event_label"] == name.title()
        np.testing.assert_allclose(back["event_time"][of_label], accepted[name], atol=1e-6)
    curves = mb.normalise(back, back)["knee_flexion"].sel(side="right")
    ours = mb.normalise(angles, accepted)["knee_flexion"].sel(side="right")
    # The file does not say that the recording cuts a repetition off, of which ours is NaN.
    whole = ours.notnull().to_numpy()
    assert whole.any()
    np.testing.assert_allclose(curves.to_numpy()[whole], ours.to_numpy()[whole], atol=1e-4)
    # A file of positions alone has no angle, and one with angles that are never given neither.
    write_c3d(squat, path, angles=given * np.nan, repetitions=repetitions.isel(rep=[1]))
    assert not {"knee_flexion", "start", "event_time"} & set(read_lab(path).data_vars)


def test_the_last_frame_of_a_c3d_may_have_a_number_beyond_16_bits(squat, tmp_path: Path) -> None:
    late = squat.assign_coords(time=squat["time"] + 65500 / 30)
    path = write_c3d(late, tmp_path / "a.c3d")
    frames = squat.sizes["time"]
    trial = ezc3d.c3d(str(path))["parameters"]["TRIAL"]
    last = np.array(trial["ACTUAL_END_FIELD"]["value"]) % 2**16
    assert last[0] + 2**16 * last[1] == 65500 + frames
    np.testing.assert_allclose(read_lab(path)["time"], late["time"], atol=1e-3)
    # A frame less than the parameters promise is found missing, too.
    cut = path.read_bytes()[: -512 * (1 + 16 * squat.sizes["keypoint"] // 512)]
    path.write_bytes(cut)
    with pytest.raises(BadInputError, match="its header states"):
        read_lab(path)


def test_gaps_are_filled_only_where_that_is_asked_for(
    squat, angles, tmp_path: Path, caplog
) -> None:
    time = angles["time"].to_numpy()
    ramp = angles.assign(knee_flexion=angles["knee_flexion"].copy(data=np.stack([time] * 2, 1)))
    ramp["knee_flexion"][[0, 1, 7, 8, -1]] = np.nan
    with caplog.at_level(logging.WARNING):
        write_mot(ramp, tmp_path / "a.mot")
    assert "OpenSim stops at the first missing value" in caplog.text
    assert f"(missing values out of {time.size} each: knee_angle_l 5, knee_angle_r 5" in caplog.text
    assert int(read_lab(tmp_path / "a.mot")["knee_flexion"].isnull().sum()) == 10
    caplog.clear()
    path = write_mot(ramp, tmp_path / "b.mot", fill="interpolate")
    assert not caplog.text
    assert "nan" not in path.read_text()
    assert "knee_angle_l 5" in path.read_text().partition("endheader")[0]
    filled = read_lab(path)["knee_flexion"].sel(side="left")
    # Linear within, the nearest value at the ends.
    np.testing.assert_allclose(filled, time.clip(time[2], time[-2]), atol=1e-6)
    assert "nan" in write_trc(squat, tmp_path / "a.trc").read_text()
    trc = write_trc(squat, tmp_path / "b.trc", fill="interpolate")
    marker = read_lab(trc)["marker_position"]
    assert not marker.isnull().any()
    given = squat["position"].isel(individual=0).sel(keypoint=marker["marker"].values)
    np.testing.assert_allclose(marker.where(given.notnull().values), given, atol=1e-6)
    blank = squat.assign(position=squat["position"].where(squat["time"] > 0.5))
    with caplog.at_level(logging.WARNING):
        write_trc(blank, tmp_path / "c.trc")
    assert "16 frames have no landmark, and OpenSim stops at" in caplog.text
    with pytest.raises(BadInputError, match="fill"):
        write_mot(angles, tmp_path / "c.mot", fill="spline")


_C3D_READS = """
import c3d, json, sys
with open(sys.argv[1], "rb") as file:
    reader = c3d.Reader(file)
    frames = [points for _, points, _ in reader.read_frames()]
    texts = {
        name: [str(each).strip() for each in reader.get(name).string_array]
        for name in ("POINT:LABELS", "POINT:ANGLES", "EVENT:LABELS", "EVENT:CONTEXTS")
    }
    print(json.dumps({
        **texts, "rate": reader.point_rate, "scale": reader.point_scale,
        "first": reader.first_frame, "last": reader.last_frame, "analog": reader.analog_used,
        "times": reader.get("EVENT:TIMES").float_array.ravel().tolist(),
        "knee": [p[texts["POINT:LABELS"].index("LKneeAngles"), [0, 3]].tolist() for p in frames],
    }, default=float))
"""


def test_c3d_reads_a_c3d(other_readers, squat, angles, repetitions, tmp_path: Path) -> None:
    """The reader in Python alone, which takes the file apart by the standard."""
    late = squat.assign_coords(time=squat["time"] + 65500 / 30)
    angles = angles.assign_coords(time=late["time"])
    path = write_c3d(late, tmp_path / "a.c3d", angles=angles, repetitions=repetitions)
    done = ended([sys.executable, "-W", "ignore", "-c", _C3D_READS, path])
    assert done.returncode == 0, done.stderr
    read = json.loads(done.stdout)
    assert (read["rate"], read["scale"], read["analog"]) == (30, -1, 0)
    assert (read["first"], read["last"]) == (65501, 65500 + squat.sizes["time"])
    assert read["EVENT:LABELS"] == ["Start", "Bottom", "End"] * 2
    assert read["EVENT:CONTEXTS"] == ["Left"] * 3 + ["Right"] * 3
    assert set(read["POINT:ANGLES"]) < set(read["POINT:LABELS"])
    assert sorted(read["times"])[6:] == pytest.approx([0.5, 0.9, 1.3, 2.5, 2.9, 3.3])
    values, residuals = np.array(read["knee"]).T
    knee = angles["knee_flexion"].sel(side="left")
    np.testing.assert_array_equal(residuals == -1, knee.isnull())
    np.testing.assert_allclose(values, knee.fillna(0), atol=1e-4)


_OPENSIM_READS = """
import json, math, sys
import opensim
mot, trc = sys.argv[1:]
table = opensim.TimeSeriesTable(mot)
names = list(table.getColumnLabels())
model, parent = opensim.Model(), None
for name in names:  # a chain of hinges with the coordinates of the file
    body = opensim.Body(f"body_{name}", 1, opensim.Vec3(0), opensim.Inertia(1))
    model.addBody(body)
    zero = opensim.Vec3(0)
    frame = parent or model.getGround()
    joint = opensim.PinJoint(f"joint_{name}", frame, zero, zero, body, opensim.Vec3(0, 1, 0), zero)
    joint.updCoordinate().setName(name)
    model.addJoint(joint)
    parent = body
model.finalizeConnections()
state = model.initSystem()
motion, states = opensim.Storage(mot), opensim.Storage()
in_degrees = motion.isInDegrees()
model.getSimbodyEngine().convertDegreesToRadians(motion)
model.formStateStorage(motion, states, False)  # as the application does to play a motion
played = []
for row in range(states.getSize()):
    vector = states.getStateVector(row).getData()
    for place, name in enumerate(names):
        value = vector.get(states.getStateIndex(f"/jointset/joint_{name}/{name}/value"))
        model.getCoordinateSet().get(name).setValue(state, value, False)
    model.realizePosition(state)
    place = parent.getTransformInGround(state).p()
    knee = model.getCoordinateSet().get("knee_angle_l").getValue(state)
    played.append([math.degrees(knee), place.get(0)])
markers, vectors = opensim.MarkerData(trc), opensim.TimeSeriesTableVec3(trc)
column = vectors.getDependentColumn("left_knee")
print(json.dumps({
    "names": names, "in_degrees": in_degrees, "played": played,
    "units": markers.getUnits().getLabel(), "rate": markers.getDataRate(),
    "frames": markers.getNumFrames(), "markers": list(vectors.getColumnLabels()),
    "knee": [[column.getElt(i, 0).get(j) for j in range(3)] for i in range(column.nrow())],
}))
"""


def test_opensim_opens_and_plays_what_was_filled(
    other_readers, squat, angles, tmp_path: Path
) -> None:
    def read(fill: str | None) -> dict[str, Any]:
        mot = write_mot(angles, tmp_path / "a.mot", fill=fill)
        trc = write_trc(squat, tmp_path / "a.trc", fill=fill)
        done = ended([sys.executable, "-W", "ignore", "-c", _OPENSIM_READS, mot, trc])
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    filled = read("interpolate")
    assert filled["in_degrees"]
    assert {"knee_angle_l", "hip_flexion_r", "hip_adduction_l"} < set(filled["names"])
    played, place = np.array(filled["played"]).T
    assert np.isfinite(place).all()
    knee = angles["knee_flexion"].sel(side="left").to_numpy()
    given = np.isfinite(knee)
    np.testing.assert_allclose(played[given], knee[given], atol=1e-5)
    assert (filled["units"], filled["rate"], filled["frames"]) == ("meters", 30, knee.size)
    assert set(filled["markers"]) == set(KEYPOINTS[11:])
    position = squat["position"].isel(individual=0).sel(keypoint="left_knee")
    position = position.transpose("time", "space").to_numpy()
    there = np.isfinite(position)
    np.testing.assert_allclose(np.array(filled["knee"])[there], position[there], atol=1e-6)
    assert np.isfinite(filled["knee"]).all()
    # Without it OpenSim plays what is before the first gap, and knows the marker as missing.
    gaps = read(None)
    assert len(gaps["played"]) <= np.flatnonzero(~given)[0] + 1
    np.testing.assert_array_equal(np.isnan(gaps["knee"]), np.isnan(position))


_OPENSIM_LOADS = """
import json, sys
import opensim
mot, sto = sys.argv[1:]
model = opensim.Model()
for side in "rl":
    body = opensim.Body(f"calcn_{side}", 1, opensim.Vec3(0), opensim.Inertia(1))
    model.addBody(body)
    model.addJoint(opensim.FreeJoint(f"joint_{side}", model.getGround(), body))
loads = opensim.ExternalLoads()
for side in "rl":
    force = opensim.ExternalForce()
    force.setName(side)
    force.set_applied_to_body(f"calcn_{side}")
    force.set_force_identifier(f"ground_force_{side}_v")
    force.set_point_identifier(f"ground_force_{side}_p")
    force.set_torque_identifier(f"ground_torque_{side}_")
    force.set_data_source_name("plates")
    loads.cloneAndAppend(force)
loads.setDataFileName(mot)
model.addModelComponent(loads)
state = model.initSystem()
read = {"columns": list(opensim.TimeSeriesTable(sto).getColumnLabels())}
for i, side in enumerate("rl"):
    state.setTime(1.0)
    force = opensim.ExternalForce.safeDownCast(loads.get(i))
    read[side] = [force.getForceAtTime(1.0).get(j) for j in range(3)]
    read[f"{side}_point"] = [force.getPointAtTime(1.0).get(j) for j in range(3)]
print(json.dumps(read))
"""


def test_opensim_reads_loads_and_forces(other_readers, store, tmp_path: Path) -> None:
    session = store.demo("Squat")
    mot, sto = (
        session.export_lab(tmp_path / name, loads=True, weight_kg=70, fill="interpolate")
        for name in ("grf.mot", "loads.sto")
    )
    done = ended([sys.executable, "-W", "ignore", "-c", _OPENSIM_LOADS, str(mot), str(sto)])
    assert done.returncode == 0, done.stderr
    read = json.loads(done.stdout.splitlines()[-1])
    assert "knee_moment_nm_r" in read["columns"]
    forces = mb.read_forces(mot).interp(time=1.0)
    for side in ("left", "right"):
        here = forces.sel(side=side)
        np.testing.assert_allclose(read[side[0]], here["force"], atol=0.5)
        np.testing.assert_allclose(read[f"{side[0]}_point"], here["centre_of_pressure"], atol=1e-3)


# What cannot be written.


def test_uneven_times_have_no_place_in_a_c3d(squat, tmp_path: Path) -> None:
    time = squat["time"].to_numpy().copy()
    time[20:] += 0.3
    uneven = squat.assign_coords(time=time)
    with pytest.raises(BadInputError, match=r"times of the frames are uneven \(by 9\.0 frames at"):
        write_c3d(uneven, tmp_path / "a.c3d")
    back = read_lab(write_trc(uneven, tmp_path / "a.trc"))
    np.testing.assert_allclose(back["time"], time, atol=1e-6)
    with pytest.raises(BadInputError, match="from number -90 on, but a C3D has at most 65535"):
        write_c3d(squat.assign_coords(time=squat["time"] - 3), tmp_path / "a.c3d")
    with pytest.raises(BadInputError, match="times do not increase"):
        write_trc(squat.isel(time=[3, 2, 1]), tmp_path / "b.trc")
    assert not (tmp_path / "a.c3d").exists()
    assert [p.name for p in tmp_path.iterdir()] == ["a.trc"]


def test_what_is_not_fit_to_write(squat, angles, repetitions, tmp_path: Path) -> None:
    path = tmp_path / "a"
    other = xr.Dataset({"a": ("time", [1.0, 2.0])}, coords={"time": [0.0, 1.0]})
    many = repetitions.isel(rep=[0] * 100).assign_coords(rep=range(100))
    c3d = tmp_path / "a.c3d"
    two = xr.concat([squat, squat.assign_coords(individual=["other"])], dim="individual")
    for writer, dataset, where, message in (
        (write_trc, angles, path, "has no positions"),
        (write_mot, squat, path, "no joint angles"),
        (write_csv, other, path, "neither positions nor joint angles"),
        (write_csv, xr.Dataset(), path, "has no coordinate 'time'"),
        (write_trc, two, path, "has 2 individuals"),
        (write_trc, squat.assign(position=squat["position"] * np.nan), path, "every position is m"),
        (write_mot, angles.isel(time=[0]), path, "at least 2 are needed"),
        (write_c3d, squat, path, r"must end in \.c3d"),
        (
            partial(write_c3d, angles=angles.isel(time=slice(9))),
            squat,
            c3d,
            "have different frames",
        ),
        (
            partial(write_c3d, repetitions=many),
            squat,
            c3d,
            "have 300 events, but a C3D has at most 255",
        ),
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


def test_loads_and_forces_come_back(store, tmp_path: Path) -> None:
    session = store.demo("Squat")
    pose, repetitions = session.fitted(), session.repetitions()
    height_m = session.participant.height_m
    expected = loads(pose, repetitions=repetitions, weight_kg=70, height_m=height_m)
    file = session.export_lab(tmp_path / "a.sto", loads=True, weight_kg=70)
    time, columns = motion_columns(file.name, file.read_text().splitlines())
    np.testing.assert_allclose(time, pose["time"], atol=1e-8)
    assert set(columns) == {
        *("vertical_force", "vertical_force_sd"),
        *(f"centre_of_pressure_{axis}{sd}" for axis in "xyz" for sd in ("", "_sd")),
        *(f"weight_share_{side}{sd}" for side in "rl" for sd in ("", "_sd")),
        *(f"{j}_moment_nm_{s}{sd}" for j in JOINTS for s in "rl" for sd in ("", "_sd")),
    }
    right = expected.sel(side="right")
    np.testing.assert_allclose(columns["weight_share_r"], right["weight_share"], atol=1e-7)
    np.testing.assert_allclose(
        columns["knee_moment_nm_r_sd"], right["knee_moment_nm_sd"], atol=1e-5
    )
    # The forces are read as those of plates, and give the same loads.
    forces = mb.read_forces(session.export_lab(tmp_path / "b.mot", loads=True, weight_kg=70))
    assert forces.attrs["plates"] == "left: ground_force_l; right: ground_force_r"
    total = forces["force"].sel(axis="y").sum("side", skipna=False)
    np.testing.assert_allclose(total, 70 * 9.81 * expected["vertical_force"], atol=1e-3)
    again = loads_with_plates(pose, forces, weight_kg=70, height_m=height_m)
    both = (again["weight_share"] + expected["weight_share"]).notnull()
    assert float(both.mean()) > 0.8
    for name, atol in (("weight_share", 1e-6), *((f"{j}_moment_nm", 6.0) for j in JOINTS)):
        there, before = (each[name].where(both) for each in (again, expected))
        assert float(abs(there - before).max()) < atol, name
    assert is_export(file)
    assert is_export(tmp_path / "b.mot")
    resampled_to = session.export_lab(tmp_path / "c.mot", loads=True, weight_kg=70, rate=50)
    assert mb.read_forces(resampled_to).attrs["rate_hz"] == 50


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("a.c3d", {"loads": True}, "loads are written as sto"),
        ("a.sto", {"loads": True, "positions": True}, "loads are written as sto"),
        ("a.mot", {"loads": True, "weight_kg": 700}, "700 is not a person's"),
        ("a.mot", {"weight_kg": 70}, "weight_kg: is only used for loads"),
        ("a.c3dd", {}, "no format 'c3dd'; did you mean 'c3d'?"),
        ("a.mot", {"positions": True}, "positions: mot has only angles"),
        ("a.csv", {"landmarks": True}, "landmarks: landmarks are positions"),
        ("a.c3d", {"fill": "interpolate"}, "fill: c3d has gaps"),
        ("a.mot", {"fill": "spline"}, "fill"),
        ("a.csv", {"license": "CC0"}, "license: csv has no place for it"),
        ("a.mot", {"license": "\n"}, "license: must be non-empty text"),
    ],
)
def test_what_does_not_fit_is_refused(store, tmp_path: Path, name, options, message) -> None:
    with pytest.raises(BadInputError, match=message.replace("?", r"\?")):
        store.demo("Overhead Squat").export_lab(tmp_path / name, **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("given", "stated"), [(None, "not stated"), ("CC BY 4.0", "CC BY 4.0")])
def test_files_state_their_licence_and_purpose(store, tmp_path: Path, given, stated) -> None:
    session, purpose = store.demo("Squat"), "For research and training, not for diagnosis."
    motion = session.export_lab(tmp_path / "a.sto", license=given).read_text().splitlines()
    head = motion[: motion.index("endheader")]
    assert {purpose, f"License: {stated}"} <= {*head}
    about = ezc3d.c3d(str(session.export_lab(tmp_path / "a.c3d", license=given)))["parameters"]
    assert about["MANUFACTURER"]["LICENSE"]["value"] == [stated]
    assert about["MANUFACTURER"]["PURPOSE"]["value"] == [purpose]


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
    with pytest.raises(BadInputError, match=r"uneven .* resample the frames \(--rate"):
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
