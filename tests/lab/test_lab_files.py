"""Reading lab files: what they hold, and every way in which they may be wrong."""

from __future__ import annotations

import csv
import gzip
import json
import re
import struct
from pathlib import Path

import ezc3d
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from other_processes import peak_memory

from mobility.base.provenance import history, sha256, warnings_of
from mobility.errors import BadInputError, NotFoundError
from mobility.lab import lab_files
from mobility.lab.lab_datasets import _TURNS
from mobility.lab.lab_files import read_lab


def codes(dataset) -> set[str]:
    return {warning["code"] for warning in warnings_of(dataset)}


def refused(path, *, match: str, **options: object) -> None:
    with pytest.raises(BadInputError, match=match):
        read_lab(path, **options)


# Real files.


def test_c3d_of_a_squat_with_gaps(lab: Path, tmp_path: Path) -> None:
    path = lab / "misc_squat" / "dart_squat.c3d"
    trial = read_lab(path)
    position = trial["marker_position"]
    assert position.dims == ("time", "space", "marker")
    assert dict(trial.sizes) == {"time": 2539, "space": 3, "marker": 53}
    raw = ezc3d.c3d(str(path))
    lost = raw["data"]["meta_points"]["residuals"][0] < 0
    assert lost.sum() == 2322
    np.testing.assert_array_equal(position.isnull().all("space").T, lost)
    assert int(position.isnull().sum()) == 3 * 2322
    # Millimetres with y up in the file, metres with y up here.
    heel = raw["data"]["points"][:3, 40].T / 1000
    assert raw["parameters"]["POINT"]["LABELS"]["value"][40] == "SehoonVSK35:LHEL"
    np.testing.assert_allclose(position.sel(marker="SehoonVSK35:LHEL"), heel)
    expected = {
        **{"units_read": "mm", "units_found": "file", "vertical_axis": "y", "rate_hz": 120},
        **{"mapping": "vicon_53", "source_file": path.name, "source_sha256": sha256(path)},
    }
    assert {name: trial.attrs[name] for name in expected} == expected
    np.testing.assert_allclose(trial["time"], np.arange(2539) / 120)
    assert 1.2 < float(position.sel(space="y").max()) < 2.0
    packed = tmp_path / "squat.c3d.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    np.testing.assert_array_equal(read_lab(packed)["marker_position"], position)
    packed.write_bytes(packed.read_bytes()[:-20])
    refused(packed, match="damaged or cut off")


def test_a_packed_file_is_not_unpacked_without_end(tmp_path, monkeypatch):
    monkeypatch.setattr(lab_files, "LARGEST_BYTES", 1 << 20)
    packed = tmp_path / "a.trc.gz"
    packed.write_bytes(gzip.compress(b"x" * (200 << 20)))
    with peak_memory() as peak:
        refused(packed, match="larger than 1 MB unpacked")
    assert peak() < 20e6


def test_trc_of_opencap(lab: Path) -> None:
    trial = read_lab(lab / "opencap_s4" / "squats1.trc")
    assert dict(trial.sizes) == {"time": 1346, "space": 3, "marker": 51}
    ends = trial["marker_position"].sel(marker="C7").isel(time=[0, -1])
    expected = [[-0.278799, 1.46173, -0.61037], [-0.281745, 1.44332, -0.598996]]
    np.testing.assert_allclose(ends, expected)
    assert float(trial["time"][-1]) == 13.45
    assert trial.attrs["mapping"] == "opencap_lab"
    assert trial.attrs["vertical_axis"] == "y"
    assert trial.attrs["vertical_axis_found"] == "line from the feet to the trunk"
    assert not warnings_of(trial)
    # Names that stand two tabs apart; behind the number of the frame and its time.
    path = lab / "real_motions" / "squats_c.trc.gz"
    trial = read_lab(path)
    assert dict(trial.sizes) == {"time": 460, "space": 3, "marker": 61}
    with gzip.open(path, "rt") as file:
        first = file.read().splitlines()[6].split("\t")
    clav = trial["marker_position"].sel(marker="CLAV").isel(time=0)
    np.testing.assert_allclose(clav, [float(cell) for cell in first[20:23]])


def test_mot_in_degrees_and_in_radians_of_the_same_trial(lab: Path) -> None:
    degrees = read_lab(lab / "opencap_s4" / "squats1_manual_scaling_ik.mot")
    radians = read_lab(lab / "opencap_s4" / "squats1_addbio_ik.mot")
    assert degrees.attrs["angle_units_read"] == "degree"
    assert radians.attrs["angle_units_read"] == "radian"
    assert float(degrees["knee_flexion"].sel(side="right")[0]) == pytest.approx(1.63031522)
    assert float(degrees["hip_abduction"].sel(side="right")[0]) == pytest.approx(5.83594654)
    assert degrees["hip_abduction"].attrs["scale"] == -1
    assert degrees["hip_abduction"].attrs["lab_name"] == "hip_adduction_l, hip_adduction_r"
    assert "trunk" in degrees["hip_flexion"].attrs["difference"]
    # Two models of one trial differ by degrees, not by a unit.
    for name in ("knee_flexion", "hip_flexion", "ankle_dorsiflexion"):
        assert float(abs(degrees[name] - radians[name]).mean()) < 12, name
    assert float(degrees["trunk_lean"][0]) == pytest.approx(4.21439147 + 0.89439974)
    unmapped = json.loads(degrees.attrs["unmapped_columns"])
    assert "pelvis_tx" in unmapped
    assert "knee_angle_r" not in unmapped
    columns = (lab / "opencap_s4" / "squats1_manual_scaling_ik.mot").read_text().splitlines()[10]
    assert len(unmapped) == len(columns.split()) - 1 - 16  # less time, less what was read


@pytest.mark.parametrize(
    ("kind", "trial"), [("markers", "sit-stand_01"), ("method1", "mmh_01"), ("method4", "mmh_02")]
)
def test_csv_of_lbmc(lab: Path, kind: str, trial: str) -> None:
    path = lab / "lbmc_benchmark" / f"{kind}_{trial}.csv"
    angles = read_lab(path)
    raw = pd.read_csv(path)
    assert angles.attrs["mapping"] == "lbmc"
    assert angles.attrs["angle_units_read"] == "radian"
    assert angles.attrs["angle_units_found"].startswith("range")
    assert angles.attrs["rate_hz"] == pytest.approx(120 if kind == "markers" else 60, rel=1e-4)
    right = angles.sel(side="right")
    np.testing.assert_allclose(right["knee_flexion"], -np.degrees(raw["RKnee_FE"]))
    np.testing.assert_allclose(right["hip_flexion"], np.degrees(raw["RHip_FE"]))
    assert angles["knee_flexion"].sel(side="left").isnull().all()
    assert float(right["knee_flexion"].max()) > 70
    assert "RShoulder_AA" in json.loads(angles.attrs["unmapped_columns"])


def test_uiprmd_without_header_by_its_mapping(lab: Path) -> None:
    stem = lab / "uiprmd" / "m01_s03_e01"
    positions = f"{stem}_positions_vicon.txt.gz"
    trial = read_lab(positions, mapping="uiprmd_positions")
    with gzip.open(positions, "rt") as file:
        raw = np.loadtxt(file, delimiter=",")
    assert dict(trial.sizes) == {"time": len(raw), "space": 3, "marker": 39}
    # z up in millimetres: (x, z, -y) of the file.
    toe = trial["marker_position"].sel(marker="RTOE").to_numpy()
    np.testing.assert_allclose(toe, raw[:, -3:][:, [0, 2, 1]] * [1, 1, -1] / 1000)
    assert trial.attrs["rate_hz"] == 100
    angles = read_lab(f"{stem}_angles_vicon.txt.gz", mapping="uiprmd_angles")
    with gzip.open(f"{stem}_angles_vicon.txt.gz", "rt") as file:
        raw = np.loadtxt(file, delimiter=",")
    np.testing.assert_allclose(angles["knee_flexion"], raw[:, [57, 60]])
    refused(positions, match="no header; pass a mapping")
    few = {"columns": list("abcd"), "joint_centres": {"left_knee": "a"}}
    refused(positions, mapping=few, match=r"has 117 columns; mapping .* names 4")


def test_joint_centres_and_angles_in_one_table_by_a_mapping_of_one_s_own(lab, tmp_path):
    points = ("hip", "knee", "ankle", "shoulder")
    centres = "\n".join(f"  {s}_{p}: {p}_{s[0]}" for s in ("left", "right") for p in points)
    mapping = tmp_path / "mine.yaml"
    mapping.write_text(
        f"joint_centres:\n{centres}\nangles:\n"
        "  knee_flexion: {left: knee_flex_3pt_l, right: knee_flex_3pt_r}\n"
        "  trunk_lean: {column: trunk_incl_vertical}\n"
    )
    table = lab / "opencap_visualizer" / "DERIVED_squat_groundtruth.csv"
    trial = read_lab(table, mapping=mapping)
    raw = pd.read_csv(table)
    knee = trial["marker_position"].sel(marker="knee_r").to_numpy()
    np.testing.assert_allclose(knee, raw[["knee_r_x_m", "knee_r_y_m", "knee_r_z_m"]])
    assert trial.attrs["units_found"] == "file"  # _m behind the names
    np.testing.assert_allclose(trial["knee_flexion"].sel(side="left"), raw["knee_flex_3pt_l"])
    assert trial["trunk_lean"].dims == ("time",)
    assert trial.attrs["mapping"] == "mine.yaml"


# Axes, units, times.


@pytest.mark.parametrize("axis", sorted(_TURNS))
def test_the_vertical_axis_is_found_and_nothing_mirrored(trc, body, axis: str) -> None:
    turn = np.zeros((3, 3))
    for row, (column, sign) in enumerate(_TURNS[axis]):
        turn[row, column] = sign
    lying_about = {name: tuple(turn.T @ np.array(place)) for name, place in body.items()}
    trial = read_lab(trc(markers=lying_about))
    assert trial.attrs["vertical_axis"] == axis
    first = trial["marker_position"].isel(time=0).sel(marker="r_toe")
    np.testing.assert_allclose(first, body["r_toe"], atol=1e-6)


def test_an_oblique_or_unknown_body_needs_the_axis(trc, body) -> None:
    c = np.sqrt(0.5)
    oblique = {n: (c * x + c * y, c * y - c * x, z) for n, (x, y, z) in body.items()}
    with pytest.raises(
        BadInputError, match=r"do not show which axis is vertical; set .*vertical_axis"
    ):
        read_lab(trc(markers=oblique))
    unknown = {f"Q{i}": place for i, place in enumerate(body.values())}
    refused(trc(markers=unknown), match="do not show which axis")
    trial = read_lab(trc(markers=unknown), vertical_axis="y")
    assert trial.attrs["mapping"] == "none"
    lying = read_lab(trc(), vertical_axis="x")
    assert codes(lying) == {"vertical_axis_differs"}


@pytest.mark.parametrize(("units", "factor"), [("m", 1.0), ("cm", 100.0), ("mm", 1000.0)])
def test_units_of_length_are_read_and_wrong_ones_refused_with_the_right(trc, body, units, factor):
    trial = read_lab(trc(units=units, factor=factor))
    first = trial["marker_position"].isel(time=0).sel(marker="L_knee")
    np.testing.assert_allclose(first, body["L_knee"], atol=1e-6)
    assert trial["marker_position"].attrs["units"] == "m"
    wrong, right = ("mm", "m") if units == "m" else ("m", units)
    path = trc(units=wrong, factor=factor)
    refused(path, match=f"which does not fit a person.*units='{right}'")
    corrected = read_lab(path, units=right)
    assert codes(corrected) == {"units_overruled"}
    assert 1.2 < float(corrected["marker_position"].sel(space="y").max()) < 1.6
    refused(trc(units="furlong"), match="unit 'furlong' is not supported")


def test_a_rate_that_contradicts_the_times(trc) -> None:
    path = trc(rate=100, stated_rate=120, start=2.0)
    refused(path, match=r"120 frames/s in its header, but its times step by 0\.01 s")
    by_time = read_lab(path, rate_hz=100)
    np.testing.assert_allclose(by_time["time"], 2.0 + np.arange(5) / 100, atol=1e-6)
    assert not codes(by_time)
    by_rate = read_lab(path, rate_hz=120)
    np.testing.assert_allclose(by_rate["time"], 2.0 / 1.2 + np.arange(5) / 120, atol=1e-6)
    assert codes(by_rate) == {"times_from_rate"}


def test_times_must_increase_and_be_seconds(trc, tmp_path: Path) -> None:
    path = trc(frames=8)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:7], lines[8], lines[7], *lines[9:]]))
    refused(path, match="times do not increase")
    del lines[9]
    lines[2] = lines[2].replace("\t8\t", "\t7\t")
    path.write_text("\n".join(lines))
    (warning,) = warnings_of(read_lab(path))
    assert (warning["code"], warning["values"]["times"]) == ("frames_missing", 1)
    slow = tmp_path / "slow.csv"
    slow.write_text("time,knee_angle_l,knee_angle_r\n0,1,2\n10,20,30\n20,40,50\n")
    refused(slow, match="is impossible; if its times are in milliseconds")
    # Whole numbers at the very end, semicolons, decimal commas and what is not available.
    for text in (
        "time (ms),knee_angle_l,knee_angle_r\n0,1.5,2\n10,20.5,30\n20,40,5",
        "time;knee_angle_l;knee_angle_r\n0,00;1,5;2\n0,01;20,5;30\n0,02;40;N/A\n",
    ):
        slow.write_text(text)
        angles = read_lab(slow)
        np.testing.assert_allclose(angles["time"], [0, 0.01, 0.02])
        np.testing.assert_allclose(angles["knee_flexion"].sel(side="left"), [1.5, 20.5, 40])


def test_gaps_are_nan_and_zeros_are_gaps(trc, body) -> None:
    trial = read_lab(trc(blank=((1, "L_knee"), (2, "L_knee"))))
    lost = trial["marker_position"].isnull().all("space")
    assert int(lost.sum()) == 2
    assert lost.sel(marker="L_knee").values.tolist() == [False, True, True, False, False]
    path = trc()
    shifted = path.read_text().replace("\t0.020000\t0.500000\t-0.150000", "\t0\t0.000\t-0.0", 1)
    path.write_text(shifted)
    trial = read_lab(path)
    assert codes(trial) == {"zeros_as_gaps"}
    assert trial["marker_position"].isnull().all("space").sum() == 1


# Angles.


def test_degrees_or_radians_by_range(mot) -> None:
    knee = np.linspace(0, 100, 50)
    both = {"knee_angle_l": knee, "knee_angle_r": knee}
    stated = read_lab(mot(both))
    assert stated.attrs["angle_units_found"] == "file"
    silent = read_lab(mot(both, in_degrees=None))
    assert silent.attrs["angle_units_read"] == "degree"
    radians = {name: np.radians(v) for name, v in both.items()}
    guessed = read_lab(mot(radians, in_degrees=None))
    assert guessed.attrs["angle_units_read"] == "radian"
    assert "range" in guessed.attrs["angle_units_found"]
    np.testing.assert_allclose(guessed["knee_flexion"].sel(side="left"), knee, atol=1e-5)
    refused(mot(both, in_degrees="no"), match="more than a full turn")
    assert codes(read_lab(mot(radians, in_degrees="yes"))) == {"small_angles"}
    still = {name: 0.01 * np.sin(v) for name, v in both.items()}
    refused(mot(still, in_degrees=None), match="no unit of angles, and their range")
    assert read_lab(mot(still, in_degrees=None), units="degree")["knee_flexion"].max() < 0.011


def test_a_knee_that_is_negative_in_flexion_is_turned_over(mot) -> None:
    knee = np.linspace(-3, 100, 50)
    old = read_lab(mot({"knee_angle_l": -knee, "knee_angle_r": -knee, "hip_flexion_r": -knee}))
    np.testing.assert_allclose(old["knee_flexion"].sel(side="right"), knee, atol=1e-6)
    assert old["knee_flexion"].attrs["scale"] == -1
    assert codes(old) == {"sign_found"}
    # The hip extends too: it is left as it is.
    np.testing.assert_allclose(old["hip_flexion"].sel(side="right"), -knee, atol=1e-6)
    straight = read_lab(mot({"knee_angle_l": -0.1 * knee, "knee_angle_r": -0.1 * knee}))
    assert straight["knee_flexion"].attrs["scale"] == 1


def test_scale_offset_and_names_of_a_mapping(mot) -> None:
    path = mot({"KFL": np.linspace(180, 80, 20), "other": np.arange(20.0)})
    mapping = {"angles": {"knee_flexion": {"left": "KFL", "scale": -1, "offset": 180}}}
    angles = read_lab(path, mapping=mapping)
    np.testing.assert_allclose(angles["knee_flexion"].sel(side="left"), np.linspace(0, 100, 20))
    assert angles["knee_flexion"].attrs["offset"] == 180
    assert json.loads(angles.attrs["unmapped_columns"]) == ["other"]
    assert history(angles)[-1]["found"]["unmapped_columns"] == ["other"]
    with pytest.raises(BadInputError, match=r"no column 'KFR'; nearest: KFL"):
        read_lab(path, mapping={"angles": {"knee_flexion": {"left": "KFL", "right": "KFR"}}})
    with pytest.raises(BadInputError, match=r"has none of the columns.*nearest: KFL"):
        read_lab(path, mapping={"angles": {"knee_flexion": {"left": "KFX"}}})
    refused(path, match="no built-in mapping has its columns")


def test_sto_of_old_kind_and_nan(tmp_path: Path) -> None:
    path = tmp_path / "ik.sto"
    path.write_text(
        "name ik\ndatacolumns 3\ndatarows 3\notherdata 1\nrange 0 1\nendheader\n"
        "time knee_angle_l knee_angle_r\n0 10 20\n0.5 nan 60\n1.0 12 30\n"
    )
    angles = read_lab(path, rate_hz=2)
    assert angles.attrs["source_format"] == "STO"
    assert int(angles["knee_flexion"].isnull().sum()) == 1
    assert float(angles["knee_flexion"].sel(side="right").max()) == 60


# Files of OpenSim.


def opensim(path: Path, columns: dict[str, object], *, header: tuple[str, ...] = ()) -> Path:
    """A file as OpenSim writes them, of what is the same in all rows, or of a course."""
    lines = [*header, "endheader", "\t".join(["time", *columns])]
    for i in range(9):
        values = [column[i] if np.ndim(column) else column for column in columns.values()]
        lines.append("\t".join(map(str, [i / 100, *values])))
    path.write_text("\n".join(lines) + "\n")
    return path


def test_states_of_opensim_4_give_the_angles_of_their_coordinates(tmp_path: Path) -> None:
    bend = np.linspace(0, 100, 9)
    columns = {
        "/jointset/ground_pelvis/pelvis_tilt/value": np.radians(-bend / 10),
        "/jointset/back/lumbar_extension/value": np.radians(-bend / 5),
        "/jointset/hip_l/hip_flexion_l/value": np.radians(bend),
        "/jointset/hip_l/hip_adduction_l/value": np.radians(bend / 20),
        "/jointset/walker_knee_l/knee_angle_l/value": np.radians(1.2 * bend),
        "knee_r/knee_angle_r/value": np.radians(0.8 * bend),
        "/jointset/hip_l/hip_flexion_l/speed": 9.9,
        "/jointset/walker_knee_l/knee_angle_l/speed": 9.9,
        "/forceset/soleus_l/activation": 0.1,
        "/forceset/soleus_l": 0.2,
    }
    header = ("inDegrees=no", "num_controls=1", "num_states=9", "DataType=double")
    angles = read_lab(opensim(tmp_path / "moco.sto", columns, header=header))
    assert angles.attrs["mapping"] == "opensim"
    assert angles.attrs["angle_units_read"] == "radian"
    assert angles.attrs["angle_units_found"] == "file"
    left = angles.sel(side="left")
    np.testing.assert_allclose(left["hip_flexion"], bend)
    np.testing.assert_allclose(left["hip_abduction"], -bend / 20)
    np.testing.assert_allclose(left["knee_flexion"], 1.2 * bend)
    np.testing.assert_allclose(angles["knee_flexion"].sel(side="right"), 0.8 * bend)
    np.testing.assert_allclose(angles["trunk_lean"], 0.3 * bend)
    assert json.loads(angles.attrs["unmapped_columns"]) == list(columns)[6:]
    assert angles["trunk_lean"].attrs["lab_name"] == " + ".join(list(columns)[:2])
    # A mapping of one's own may say the coordinate, or the whole name.
    for name in ("hip_flexion_l", "/jointset/hip_l/hip_flexion_l/value"):
        mine = {"angles": {"hip_flexion": {"left": name}}}
        hip = read_lab(tmp_path / "moco.sto", mapping=mine)
        np.testing.assert_allclose(hip["hip_flexion"].sel(side="left"), bend)


def test_columns_called_like_angles_are_none_where_the_header_says_so(tmp_path: Path) -> None:
    for title, held in {
        **{"Speeds": "speeds", "Accelerations": "accelerations", "ActuatorForces": "forces"},
        **{"ActuatorSpeeds": "speeds", "ActuatorPowers": "powers", "controls": "controls"},
        "Static Optimization": "muscle activations or forces",
        "Joint Reaction Loads": "joint reaction forces",
        **{"PositionErrors": "tracking errors", "DataType=Quaternion": "orientations"},
    }.items():
        cell = "1.0,0.0,0.0,0.0" if "=" in title else 0.5
        columns = {"knee_angle_l": cell, "pelvis_tilt": cell}
        path = opensim(tmp_path / "a.sto", columns, header=(title,))
        refused(path, match=f"contains {held}, but no angles")
    # Of columns that nothing knows those are named, and no others.
    path = opensim(tmp_path / "a.sto", dict.fromkeys(["KFL", "ground_force_vx", "KFR"], 0.5))
    refused(path, match=r"no built-in mapping has its columns \(KFL, KFR\)")
    # A table of coordinates has no marker in the place of the pelvis.
    coordinates = ["pelvis_tx", "pelvis_ty", "pelvis_tz", "ground_torque_x", "ground_torque_y"]
    table = dict.fromkeys(coordinates, 0.9) | {"knee_angle_l": 10 * np.arange(9)}
    angles = read_lab(opensim(tmp_path / "a.mot", table))
    assert list(angles) == ["knee_flexion"]
    assert "pelvis_tx" in json.loads(angles.attrs["unmapped_columns"])


# Files that a spreadsheet saved again.


def resaved(path: Path, separator: str, decimals: str, encoding: str, quoting: int) -> Path:
    """The file as a spreadsheet leaves it: rows of one length, another separator, quotes."""
    rows = [line.split("\t") for line in path.read_text().splitlines()]
    width = max(map(len, rows)) + 2
    numbers = re.compile(r"-?\d+\.\d+")
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.writer(file, delimiter=separator, quoting=quoting)
        for row in rows:
            cells = [c.replace(".", decimals) if numbers.fullmatch(c) else c for c in row]
            writer.writerow(cells + [""] * (width - len(cells)))
    return path


SPREADSHEETS = [
    (",", ".", "utf-8", csv.QUOTE_MINIMAL),
    (",", ".", "utf-8-sig", csv.QUOTE_ALL),
    (",", ",", "utf-8", csv.QUOTE_MINIMAL),
    (";", ",", "utf-8-sig", csv.QUOTE_MINIMAL),
    (";", ".", "utf-8", csv.QUOTE_ALL),
    ("\t", ",", "utf-16", csv.QUOTE_MINIMAL),
]


@pytest.mark.parametrize("how", SPREADSHEETS)
def test_files_saved_by_a_spreadsheet_are_read_as_before(trc, mot, how: tuple) -> None:
    path = trc(name="a.csv", rate=60, stated_rate=59.94, blank=((1, "L_knee"), (3, "r_toe")))
    before = read_lab(path, rate_hz=60)
    after = read_lab(resaved(path, *how), rate_hz=60)
    assert after.attrs["source_format"] == "TRC"
    xr.testing.assert_equal(after, before)
    assert int(after["marker_position"].isnull().sum()) == 6

    columns = {f"knee_angle_{s}": np.linspace(0, 1.5, 9) + i for i, s in enumerate("lr")}
    path = mot(columns, name="a.csv", in_degrees="no")
    text = path.read_text()
    path.write_text(text.replace("0.37500000", "nan"))
    before = read_lab(path)
    # Blanks may separate cells as well, or fill them up.
    lines = [line.split("\t") for line in text.replace("0.37500000", "nan").splitlines()]
    filled = [",".join(f"{c:>16}" for c in cells) if cells[1:] else cells[0] for cells in lines]
    blanks = text.replace("0.37500000", "nan").replace("\t", "  ").replace(".", ",")
    for changed in ("\n".join(filled) + "\n", blanks):
        path.write_text(changed)
        xr.testing.assert_equal(read_lab(path), before)
    path.write_text(text.replace("0.37500000", ""))
    after = read_lab(resaved(path, *how))
    assert after.attrs["angle_units_read"] == "radian"
    assert after.attrs["angle_units_found"] == "file"
    xr.testing.assert_equal(after, before)
    assert int(after["knee_flexion"].isnull().sum()) == 1


def test_a_gap_at_the_end_of_a_file_is_not_a_cut_but_a_lone_separator_is(trc, mot) -> None:
    path = trc(blank=((4, "r_toe"),))
    path.write_text(path.read_text().rstrip("\n"))
    assert int(read_lab(path)["marker_position"].isnull().sum()) == 3
    path = mot({"knee_angle_l": np.arange(9.0), "knee_angle_r": np.arange(9.0)})
    whole = path.read_text()
    for text in (whole, whole.replace("\t", ","), whole.replace("\t", ";")):
        path.write_text(text.rstrip("\n").removesuffix("8.00000000"))
        refused(path, match="cut off in its last value")


def test_visual3d_table_with_names_as_of_theia(tmp_path: Path) -> None:
    names = ["Left Knee Angles_Theia"] * 3 + ["RIGHT_KNEE_ANGLE"] * 3
    lines = [
        "\t" + "\t".join(["trial.c3d"] * 6),
        "\t" + "\t".join(names),
        "\t" + "\t".join(["LINK_MODEL_BASED"] * 6),
        "\t" + "\t".join(["ORIGINAL"] * 6),
        "ITEM\t" + "\t".join("XYZXYZ"),
        *(f"{i + 1}\t" + "\t".join(f"{-10 * i + j}" for j in range(6)) for i in range(8)),
    ]
    path = tmp_path / "angles.txt"
    path.write_text("\n".join(lines))
    refused(path, match="neither times nor a rate; set rate_hz")
    angles = read_lab(path, rate_hz=60)
    assert angles.attrs["mapping"] == "visual3d"
    np.testing.assert_allclose(angles["knee_flexion"].sel(side="left"), 10 * np.arange(8))
    np.testing.assert_allclose(angles["knee_flexion"].sel(side="right"), 10 * np.arange(8) - 3)
    np.testing.assert_allclose(angles["time"], np.arange(8) / 60)


def nexus(*, rate: str = "100", units: str = "mm", frames: int = 4, angles: bool = True) -> str:
    markers = list(PIG)
    lines = [
        "Trajectories",
        rate,
        ",," + ",,,".join(f"Ann:{name}" for name in markers) + ",,",
        "Frame,Sub Frame," + ",".join(["X,Y,Z"] * len(markers)),
        ",," + ",".join([units] * 3 * len(markers)),
    ]
    for i in range(frames):
        places = [f"{x + i},{y},{z}" for x, y, z in PIG.values()]
        if i == 2:
            places[0] = ",,"
        lines.append(f"{i + 31},0," + ",".join(places))
    if angles:
        lines += [
            "",
            "Model Outputs",
            rate,
            ",,Ann:LKneeAngles,,,Ann:LKneeMoment,,",
            "Frame,Sub Frame,X,Y,Z,X,Y,Z",
            ",,deg,deg,deg,Nmm/kg,Nmm/kg,Nmm/kg",
            *(f"{i + 31},0,{30 * i},1,2,100,200,300" for i in range(frames)),
        ]
    return "\n".join(lines) + "\n"


def test_csv_of_vicon_nexus(tmp_path: Path) -> None:
    path = tmp_path / "nexus.csv"
    path.write_text(nexus())
    trial = read_lab(path)
    assert trial.attrs["mapping"] == "plug_in_gait"
    np.testing.assert_allclose(trial["time"], (30 + np.arange(4)) / 100)
    place = trial["marker_position"].sel(marker="Ann:LKNE").isel(time=1)
    np.testing.assert_allclose(place, [0.021, 0.5, 0.15])
    assert trial["marker_position"].isnull().all("space").sum() == 1
    knee = trial["knee_flexion"]
    np.testing.assert_allclose(knee.sel(side="left"), [0, 30, 60, 90])
    assert knee.sel(side="right").isnull().all()
    assert trial.attrs["angle_units_read"] == "degree"
    path.write_text(nexus(angles=False, units="m"))
    refused(path, match="not fit a person; if the numbers are in mm")
    for text, message in (
        (nexus(frames=0, angles=False), "ends before its frames"),
        (nexus(rate="fast"), r"line 4: its section trajectories must have a rate"),
        (nexus().replace("31,0,0,1,2", "32,0,0,1,2"), "sections have different frames"),
        ("Devices\n1000\n,,Force\nFrame,Sub Frame,Fx\n,,N\n1,0,3\n", "no section Trajectories"),
        (nexus()[:-12], r"line 19: the file is cut off in its last value"),
    ):
        path.write_text(text)
        refused(path, match=message)


# C3D in detail.


def c3d_file(
    path: Path,
    points: dict[str, np.ndarray],
    *,
    unit: str = "mm",
    rate: float = 100.0,
    first_frame: int = 0,
    parameters: dict[tuple[str, str], list] | None = None,
    rotations: dict[str, np.ndarray] | None = None,
) -> Path:
    frames = len(next(iter((points or rotations).values())))
    made = ezc3d.c3d()
    made["parameters"]["POINT"]["RATE"]["value"] = [rate]
    made["parameters"]["POINT"]["UNITS"]["value"] = [unit]
    made["parameters"]["POINT"]["LABELS"]["value"] = list(points)
    values = np.ones((4, len(points), frames))
    for i, place in enumerate(points.values()):
        values[:3, i] = np.asarray(place).T
    made["data"]["points"] = values
    lost = np.isnan(values[0])
    made["data"]["meta_points"]["residuals"] = np.where(lost, -1.0, 0.0)[None]
    made["header"]["points"]["first_frame"] = first_frame
    for (group, name), value in (parameters or {}).items():
        made.add_parameter(group, name, value)
    if rotations:
        for name, value in (("RATE", [rate]), ("RATIO", [1]), ("USED", [len(rotations)])):
            made.add_parameter("ROTATION", name, value)
        made.add_parameter("ROTATION", "LABELS", list(rotations))
        matrices = np.zeros((4, 4, len(rotations), frames))
        matrices[range(4), range(4)] = 1
        for i, place in enumerate(rotations.values()):
            matrices[:3, 3, i] = np.asarray(place).T
        made["data"]["rotations"] = matrices
    made.write(str(path))
    return path


PIG = {
    "LASI": (100, -120, 1000),
    "RASI": (100, 120, 1000),
    "SACR": (-60, 0, 1020),
    "LSHO": (0, -180, 1450),
    "RSHO": (0, 180, 1450),
    "LKNE": (20, -150, 500),
    "RKNE": (20, 150, 500),
    "LANK": (0, -140, 80),
    "RANK": (0, 140, 80),
    "LTOE": (140, -120, 60),
    "RTOE": (140, 120, 60),
}


def trajectories(frames: int = 6, prefix: str = "") -> dict[str, np.ndarray]:
    return {f"{prefix}{name}": np.tile(p, (frames, 1)).astype(float) for name, p in PIG.items()}


def test_c3d_of_plug_in_gait_with_modelled_angles(tmp_path: Path) -> None:
    points = trajectories(prefix="Ann:")
    points["Ann:LKNE"][2] = np.nan
    knee = np.stack([np.linspace(0, 90, 6), np.zeros(6), np.zeros(6)], axis=-1)
    points |= {
        "Ann:LKneeAngles": knee,
        "Ann:RKneeAngles": knee + np.array([5, 0, 0]),
        "Ann:LHipAngles": knee[:, [1, 0, 2]],
        "Ann:RHipAngles": knee[:, [1, 0, 2]],
        "Ann:LKneeMoment": 1000 * knee,
        "Ann:LGroundReactionForce": 1e5 * knee,
    }
    path = c3d_file(
        tmp_path / "pig.c3d",
        points,
        first_frame=30,
        parameters={
            ("POINT", "ANGLE_UNITS"): ["deg"],
            ("POINT", "X_SCREEN"): ["+X"],
            ("POINT", "Y_SCREEN"): ["+Z"],
        },
    )
    trial = read_lab(path)
    assert trial.attrs["mapping"] == "plug_in_gait"
    assert trial.attrs["vertical_axis"] == "z"
    assert not warnings_of(trial)
    assert trial["marker"].values.tolist() == [f"Ann:{name}" for name in PIG]
    np.testing.assert_allclose(trial["time"], (30 + np.arange(6)) / 100)
    assert trial["marker_position"].isnull().sum() == 3
    # Right-handed: the subject's left, y negative in the file, is z positive.
    left = trial["marker_position"].sel(marker="Ann:LASI").isel(time=0)
    np.testing.assert_allclose(left, [0.1, 1.0, 0.12], atol=1e-6)
    np.testing.assert_allclose(trial["knee_flexion"].sel(side="left"), knee[:, 0], atol=1e-4)
    np.testing.assert_allclose(trial["knee_flexion"].sel(side="right"), knee[:, 0] + 5, atol=1e-4)
    np.testing.assert_allclose(trial["hip_abduction"].sel(side="left"), -knee[:, 0], atol=1e-4)
    assert "Ann:LKneeAngles.y" in json.loads(trial.attrs["unmapped_columns"])


def test_events_of_a_gait_laboratory(tmp_path: Path) -> None:
    given = {
        ("EVENT", "LABELS"): ["Foot Off", "Foot Strike"],
        ("EVENT", "CONTEXTS"): ["Left", "Right"],
        ("EVENT", "TIMES"): [[1, 0], [2.5, 7.25]],
    }
    trial = read_lab(c3d_file(tmp_path / "gait.c3d", trajectories(), parameters=given))
    assert trial["event_time"].values.tolist() == [7.25, 62.5]
    assert trial["event_time"].attrs["units"] == "s"
    assert trial["event_label"].values.tolist() == ["Foot Strike", "Foot Off"]
    assert trial["event_context"].values.tolist() == ["Right", "Left"]
    assert trial["event_description"].values.tolist() == ["", ""]
    assert not {"start", "rep"} & set(trial.variables)
    used = given | {("EVENT", "USED"): [1]}
    trial = read_lab(c3d_file(tmp_path / "used.c3d", trajectories(), parameters=used))
    assert trial["event_time"].values.tolist() == [62.5]
    without = given | {("EVENT", "TIMES"): [1.0, 2.0, 3.0]}
    path = c3d_file(tmp_path / "without.c3d", trajectories(), parameters=without)
    refused(path, match="its events have no times in minutes and seconds")


def test_c3d_of_theia(tmp_path: Path) -> None:
    places = {
        **{f"{s}_uarm_4X4": (0, y, 1.4) for s, y in (("l", 0.18), ("r", -0.18))},
        **{f"{s}_thigh_4X4": (0, y, 0.9) for s, y in (("l", 0.09), ("r", -0.09))},
        **{f"{s}_shank_4X4": (0.02, y, 0.5) for s, y in (("l", 0.1), ("r", -0.1))},
        **{f"{s}_foot_4X4": (0, y, 0.09) for s, y in (("l", 0.1), ("r", -0.1))},
    }
    moving = {name: np.tile(p, (5, 1)) for name, p in places.items()}
    path = c3d_file(tmp_path / "theia.c3d", {}, unit="m", rotations=moving)
    trial = read_lab(path)
    assert trial.attrs["mapping"] == "theia"
    knee = trial["marker_position"].sel(marker="r_shank_4X4").isel(time=0)
    np.testing.assert_allclose(knee, [0.02, 0.5, 0.1], atol=1e-6)


def test_several_people_in_a_c3d_and_one_that_says_neither_units_nor_names(tmp_path: Path) -> None:
    path = c3d_file(tmp_path / "two.c3d", trajectories(prefix="Ann:") | trajectories(prefix="Bob:"))
    refused(path, match=r"several people \(Ann, Bob\); choose one with subject")
    trial = read_lab(path, subject="Bob")
    assert trial["marker"].values.tolist() == [f"Bob:{name}" for name in PIG]
    refused(path, subject="Cid", match="no subject 'Cid'; it has Ann, Bob")
    points = {f"P{i}": place for i, place in enumerate(trajectories().values())}
    bare = read_lab(c3d_file(tmp_path / "bare.c3d", points, unit=""), vertical_axis="z")
    assert (bare.attrs["units_read"], bare.attrs["mapping"]) == ("mm", "none")
    assert bare.attrs["units_found"].startswith("size: the markers span 1.")


def test_rates_of_a_c3d_that_contradict_each_other(lab: Path, tmp_path: Path) -> None:
    content = bytearray((lab / "misc_squat" / "dart_squat.c3d").read_bytes())
    assert struct.unpack("<f", content[20:24]) == (120.0,)
    content[20:24] = struct.pack("<f", 60.0)
    path = tmp_path / "rates.c3d"
    path.write_bytes(content)
    refused(path, match="header has two rates, 120 and 60")
    np.testing.assert_allclose(read_lab(path, rate_hz=120)["time"], np.arange(2539) / 120)


def test_a_c3d_of_which_the_reader_dies(lab: Path, tmp_path: Path, monkeypatch) -> None:
    """ezc3d divides by a rate of 0; that must not end the notebook."""
    content = bytearray((lab / "misc_squat" / "dart_squat.c3d").read_bytes())
    content[20:24] = struct.pack("<f", 0.0)
    at = content.index(b"RATE", 512)
    value = at + 8 + content[at + 7]
    assert struct.unpack("<f", content[value : value + 4]) == (120.0,)
    content[value : value + 4] = struct.pack("<f", 0.0)
    path = tmp_path / "still.c3d"
    path.write_bytes(content)
    refused(path, match=r"still\.c3d.*(the reader was ended by signal 8|set rate_hz)")
    monkeypatch.setattr("mobility.lab.lab_c3d._LONGEST_S", 0.001)
    refused(path, match="the reader was stopped after 0.001 s, its time limit")


def test_a_c3d_that_was_cut(lab: Path, tmp_path: Path) -> None:
    whole = (lab / "misc_squat" / "dart_squat.c3d").read_bytes()
    path = tmp_path / "cut.c3d"
    for keep in (0, 1, 300, 600, 5000, 2_157_000):
        path.write_bytes(whole[:keep])
        refused(path, match=r"cut\.c3d.*(empty|cut off|its header states)")


# Files that are something else, or not whole.


NOTHING = (b"", b"\n \n", b"\0" * 2000, bytes(range(256)) * 20, b"\x89PNG\r\n\x1a\n\0\0", b"hello")


@pytest.mark.parametrize("ending", ["c3d", "trc", "mot", "sto", "csv"])
def test_what_is_no_lab_file(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"trial.{ending}"
    for content in NOTHING:
        path.write_bytes(content)
        with pytest.raises(BadInputError, match=rf"^trial\.{ending}: .+") as caught:
            read_lab(path)
        assert "\n" not in str(caught.value)


def test_a_file_of_another_kind_is_named_and_there_may_be_none(tmp_path: Path) -> None:
    path = tmp_path / "trial.txt"
    for content, kind in (
        (b"\x89HDF\r\n\x1a\n\0\0\0", "NetCDF or HDF5; export it as C3D"),
        (b"PK\3\4\x14\0\6\0", r"a spreadsheet \(XLSX\) or another packed file; export it"),
        (b"\xef\xbb\xbf<?xml version='1.0'?>\n<OpenSimDocument>\n", "XML; export it"),
        (b'{"time": [0, 1],\n "knee": [1, 2]}\n', "JSON; export it"),
        (b"A licence\nof words\n", "not a table; line 2 has no number under the names"),
    ):
        path.write_bytes(content)
        refused(path, match=rf"^trial\.txt: is {kind}")
    with pytest.raises(NotFoundError, match="no such file"):
        read_lab(tmp_path / "no.trc")
    refused(tmp_path, match="is a folder")
    refused(tmp_path, unit="mm", match=r"unit: unknown; did you mean 'units'")


@given(st.data())
def test_a_text_file_cut_anywhere_is_refused(tmp_path_factory, data) -> None:
    folder = tmp_path_factory.mktemp("cut")
    rows = [f"{i / 100}\t{10.0 * i}\t{11.0 * i}" for i in range(9)]
    text = (
        "Coordinates\nversion=1\nnRows=9\nnColumns=3\ninDegrees=yes\nendheader\n"
        "time\tknee_angle_l\tknee_angle_r\n" + "\n".join(rows) + "\n"
    )
    path = folder / "cut.mot"
    path.write_text(text[: data.draw(st.integers(0, len(text) - 4))])
    with pytest.raises(BadInputError):
        read_lab(path)


def test_a_trc_that_was_cut(trc) -> None:
    path = trc()
    lines = path.read_text().splitlines()
    for keep in range(1, 9):
        path.write_text("\n".join(lines[:keep]) + "\n")
        refused(path, match=r"header|cut off|no frames")
    lines[-1] = lines[-1][:40]
    path.write_text("\n".join(lines) + "\n")
    refused(path, match=r"line 11 \(the last: the file was cut off\) has 6 of 44")


WRONG = {
    "trc": [
        ("NumMarkers", "Markers", "header lacks NumMarkers; add these names to line 2"),
        ("\t5\t14\tm", "\t9\t14\tm", "states 9 frames, but the file has 5"),
        ("\t14\tm", "\t13\tm", "states 13 markers, but has 14 names"),
        ("r_toe", "L_toe", "L_toe more than once"),
        ("0.500000", "half", "line 7: 'half' is not a number"),
        *(
            (f"\t{count}\t", f"\t{number}\t", "NumFrames and NumMarkers must be numbers")
            for count in (5, 14)
            for number in ("-inf", "nan", "1e999")
        ),
    ],
    "mot": [
        ("nRows=5", "nRows=9", "states 9 rows, but the file has 5"),
        ("nColumns=3", "nColumns=4", "states 4 columns, but has 3 names"),
        ("inDegrees=yes", "inDegrees=maybe", "inDegrees must be yes or no"),
        ("\t3.00000000", "\tinf", "line 12 has an infinite value"),
        ("\t3.00000000", "\t1,003", "line 12 has points and commas in its numbers"),
        ("2.00000000\t2.00000000", "2.0", "line 11 has 2 of 3 values"),
    ],
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_wrong_is_said(trc, mot, kind: str) -> None:
    for right, wrong, message in WRONG[kind]:
        two = {f"knee_angle_{side}": np.arange(5.0) for side in "lr"}
        path = trc() if kind == "trc" else mot(two)
        path.write_text(path.read_text().replace(right, wrong, 1))
        refused(path, match=message)


def test_a_cell_that_does_not_end(tmp_path: Path) -> None:
    """A quotation mark that is not closed, and a file of one long line."""
    path = tmp_path / "long.csv"
    for row in (0, 3):
        rows = ["time,knee_angle_r", *(f"{i / 10},{i}.5" for i in range(9))]
        rows[row] += '"' * (row > 0) + "," + "x" * 132_000
        path.write_text("\n".join(rows) + "\n")
        begin = f"^long.csv: .*begins with '{rows[row][:12]}.* more than 131072 char"
        with pytest.raises(BadInputError, match=begin) as caught:
            read_lab(path)
        assert len(str(caught.value)) < 200
        assert "\n" not in str(caught.value)


def test_a_file_of_another_kind_than_its_ending(trc, tmp_path: Path) -> None:
    renamed = trc().rename(tmp_path / "trial.mot")
    assert read_lab(renamed).attrs["source_format"] == "TRC"
    text = "time,knee_angle_l,knee_angle_r\n0,1,2\n0.01,20,30\n0.02,40,50\n"
    for ending, units, message in (
        ("mot", None, "no line 'endheader'"),
        ("trc", None, "is not a TRC file"),
        ("c3d", None, "is not a C3D file"),
        ("csv", "mm", "has no markers, so units='mm' does not fit"),
    ):
        table = tmp_path / f"table.{ending}"
        table.write_text(text)
        refused(table, units=units, match=message)
