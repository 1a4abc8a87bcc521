"""Force plates: known forces written as MOT and C3D, real plates, and what cannot be used."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from written_plates import (
    FEET,
    GRAVITY,
    MASS,
    ON_RIGHT,
    Plates,
    grf,
    person,
    plates,
    plates_c3d,
    times,
)

import mobility as mb
from mobility.base.provenance import history, warnings_of
from mobility.errors import BadInputError, NotFoundError
from mobility.lab.force_plates import LEAST_FORCE_N, read_forces

NUMBERED = {"left": "2_ground_force", "right": "1_ground_force"}


def refused(path: Path, *, match: str, **options: object) -> None:
    with pytest.raises(BadInputError, match=match) as raised:
        read_forces(path, **options)
    assert "\n" not in str(raised.value)


def changed(by_plate: Plates, *, force: float = 1.0, centre: float = 1.0) -> Plates:
    return {name: (force * f, centre * c) for name, (f, c) in by_plate.items()}


def assert_same(forces, time: np.ndarray, *, atol: float = 1e-4) -> None:
    """The forces of `written_plates`, under the right feet."""
    for (name, (force, centre)), side in zip(
        plates(time, left="left", right="right").items(), ("left", "right"), strict=True
    ):
        assert name == side
        here = forces.sel(side=side)
        np.testing.assert_allclose(here["force"], force, atol=atol)
        np.testing.assert_allclose(here["centre_of_pressure"], centre, atol=1e-5)
    share = forces["force"].sel(axis="y", side="right") / forces["force"].sel(axis="y").sum("side")
    np.testing.assert_allclose(share, ON_RIGHT, atol=1e-6)


# What files say.


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("L_ground_force", "R_ground_force"),
        ("ground_force_l", "ground_force_r"),
        ("ground_force_left", "ground_force_right"),
        ("ground_force_calcn_l", "ground_force_calcn_r"),
    ],
)
def test_the_names_of_opensim_state_the_sides(left: str, right: str, tmp_path: Path) -> None:
    time = times()
    path = grf(tmp_path / "a.mot", time, plates(time, left=left, right=right))
    forces = read_forces(path)
    assert forces["force"].dims == forces["centre_of_pressure"].dims == ("time", "side", "axis")
    assert forces.attrs["plates"] == f"left: {left}; right: {right}"
    assert not warnings_of(forces)
    assert_same(forces, time)
    total = float(forces["force"].sel(axis="y").isel(time=-1).sum())
    assert total == pytest.approx(MASS * GRAVITY, abs=1e-4)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("ground_force_2", "ground_force_1"),
        ("1_ground_force", "ground_force"),
        ("FP2", "FP1"),
    ],
)
def test_the_feet_show_the_side_of_plates_with_numbers(
    left: str, right: str, tmp_path: Path
) -> None:
    time = times()
    path = grf(tmp_path / "a.sto", time, plates(time, left=left, right=right))
    forces = read_forces(path, pose=person(time))
    assert_same(forces, time)
    assert history(forces)[-1]["clock"].startswith("agrees: the movement explains 1.00")
    refused(path, match="only the feet can show.*pass the pose")
    refused(path, match="do not state left or right", sides="names", pose=person(time))


def test_forces_turn_with_the_pose(tmp_path: Path) -> None:
    """The file's axes are turned by 90 degrees from those of the pose."""
    time = times()
    turn = np.array([[0, 0, -1.0], [0, 1, 0], [1, 0, 0]])  # of ours, as the file stores it
    stored = {name: (f @ turn.T, c @ turn.T) for name, (f, c) in plates(time, **NUMBERED).items()}
    path = grf(tmp_path / "a.mot", time, stored)
    refused(path, match="no plate is under a foot", pose=person(time))
    forces = read_forces(path, pose=person(time).assign_attrs(turned_deg=90.0))
    assert_same(forces, time)


def test_a_file_with_z_up_and_one_of_forces_on_the_plates(tmp_path: Path) -> None:
    time = times()
    stored = {
        name: tuple(np.stack([v[:, 0], -v[:, 2], v[:, 1]], axis=-1) for v in both)
        for name, both in plates(time).items()
    }
    forces = read_forces(grf(tmp_path / "z.mot", time, stored))
    assert forces.attrs["vertical_axis"] == "z"
    assert_same(forces, time)
    down = read_forces(grf(tmp_path / "d.mot", time, changed(plates(time), force=-1)))
    assert_same(down, time)
    assert [w["code"] for w in warnings_of(down)] == ["forces_reversed"]


def test_an_unloaded_plate_has_no_centre_of_pressure(tmp_path: Path) -> None:
    time = times()
    by_plate = plates(time)
    force, centre = by_plate["L_ground_force"]
    force[100:200] *= (LEAST_FORCE_N - 1) / force[100:200, 1:2]
    centre[100:200] = 7.7
    force[200:300], centre[200:300] = 0, 0
    force[300:310] = np.nan
    path = grf(tmp_path / "a.mot", time, by_plate)
    path.write_text(path.read_text().replace("nan", "NaN"))
    left = read_forces(path).sel(side="left")
    missing = left["centre_of_pressure"].isnull().all("axis").to_numpy()
    assert missing[100:310].all()
    assert not missing[:100].any()
    assert not missing[310:].any()
    np.testing.assert_allclose(left["force"].sel(axis="y")[100:200], LEAST_FORCE_N - 1)
    assert left["force"][300:310].isnull().all()
    assert left.attrs["least_force_n"] == LEAST_FORCE_N


def test_two_plates_under_a_foot_and_one_under_a_seat(tmp_path: Path) -> None:
    time = times()
    by_plate = plates(time, **NUMBERED)
    force, centre = by_plate.pop("1_ground_force")
    ahead, behind = (centre + np.array([0, 0, z]) for z in (0.06, -0.02))
    seat = np.array([0.0, 0.45, -0.5]) + 0 * centre
    by_plate |= {"1": (0.25 * force, ahead), "3": (0.75 * force, behind), "4": (0.01 * force, seat)}
    forces = read_forces(grf(tmp_path / "a.mot", time, by_plate), pose=person(time))
    assert_same(forces, time)
    assert forces.attrs["plates"] == "left: 2_ground_force; right: 1, 3; under no foot: 4"


def test_a_foot_without_a_plate_is_unknown(tmp_path: Path) -> None:
    time = times()
    by_plate = plates(time, **NUMBERED)
    del by_plate[NUMBERED["left"]]
    forces = read_forces(grf(tmp_path / "a.mot", time, by_plate), pose=person(time))
    assert forces.sel(side="left")["force"].isnull().all()
    assert [w["code"] for w in warnings_of(forces)] == ["foot_without_plate"]


# C3D.


@pytest.mark.parametrize("on_plate", [False, True])
def test_plates_of_a_c3d_as_ezc3d_computes_them(on_plate: bool, tmp_path: Path) -> None:
    time = times(rate=1000)
    path = plates_c3d(tmp_path / "a.c3d", time, plates(time), on_plate=on_plate)
    forces = read_forces(path, pose=person(times()))
    assert forces.attrs["rate_hz"] == 1000
    assert forces.attrs["vertical_axis"] == "z"
    np.testing.assert_allclose(forces["time"], time)
    assert_same(forces, time, atol=0.01)
    assert [w["code"] for w in warnings_of(forces)] == ["forces_reversed"] * on_plate
    late = plates_c3d(tmp_path / "c.c3d", time, plates(time), on_plate=on_plate, first_frame=50)
    moved = person(times()).assign_coords(time=times() + 0.5)
    np.testing.assert_allclose(read_forces(late, pose=moved)["time"], time + 0.5)
    packed = tmp_path / "b.c3d.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert_same(read_forces(packed, pose=person(times())), time, atol=0.01)


def test_c3d_without_plates_with_another_unit_or_cut(tmp_path: Path) -> None:
    time = times(rate=200)
    kilo = changed(plates(time), force=0.001)
    path = plates_c3d(tmp_path / "k.c3d", time, kilo, ratio=2, force_unit="kN")
    assert_same(read_forces(path, pose=person(times())), time, atol=0.01)
    path = plates_c3d(tmp_path / "l.c3d", time, plates(time), ratio=2, force_unit="lbf")
    refused(path, match="the unit 'lbf' of its force plates is not supported; export N")
    path = plates_c3d(tmp_path / "m.c3d", time, plates(time), ratio=2, moment_unit="Nm")
    refused(path, match="moments of its force plates are in Nm, but its points are in mm")
    path = plates_c3d(tmp_path / "n.c3d", time, plates(time), ratio=2, described=False)
    refused(path, match="has no force plates; export the plates")
    whole = plates_c3d(tmp_path / "w.c3d", time, plates(time), ratio=2).read_bytes()
    cut = tmp_path / "cut.c3d"
    cut.write_bytes(whole[: len(whole) // 2])
    refused(cut, match="cut off|export it again", pose=person(times()))
    cut.write_bytes(whole[:300])
    refused(cut, match="is not a C3D file, or is cut off")


# What cannot be used.


def test_plates_without_a_centre_of_pressure(tmp_path: Path) -> None:
    time = times()
    path = grf(tmp_path / "a.mot", time, plates(time), parts="v")
    refused(path, match="plate 'L_ground_force' has no centre of pressure.*export the forces")
    path = grf(tmp_path / "a.mot", time, changed(plates(time), centre=0.0))
    refused(path, match="its centre of pressure is always zero or missing")


def test_newtons_kilonewtons_and_millimetres(tmp_path: Path) -> None:
    time = times()
    kilo = grf(tmp_path / "k.mot", time, changed(plates(time), force=0.001))
    refused(kilo, match=r"add up to 0\.\d+, which is not a person's weight.*set units='kN'")
    assert_same(read_forces(kilo, units="kN"), time)
    newtons = grf(tmp_path / "n.mot", time, plates(time))
    refused(newtons, match="not a person's weight in newtons; export newtons", units="kN")
    per_weight = grf(tmp_path / "w.mot", time, changed(plates(time), force=1e-5))
    refused(per_weight, match="export newtons")
    path = grf(tmp_path / "mm.mot", time, changed(plates(time), centre=1000))
    refused(path, match="is not in metres; divide millimetres by 1000")


def test_plates_exchanged_between_left_and_right(tmp_path: Path) -> None:
    time = times()
    path = grf(tmp_path / "a.mot", time, plates(time, left="R_grf", right="L_grf"))
    forces = read_forces(path, pose=person(time))
    (warning,) = warnings_of(forces)
    assert warning["code"] == "plates_exchanged"
    assert "'R_grf' is under the left foot" in warning["message"]
    assert "--plate-sides position" in warning["message"]
    np.testing.assert_allclose(
        forces.sel(side="left", axis="x")["centre_of_pressure"], FEET["right"]
    )
    by_position = read_forces(path, pose=person(time), sides="position")
    assert not warnings_of(by_position)
    assert_same(by_position, time)
    refused(path, match="pass the pose", sides="position")


def test_one_plate_for_both_feet(tmp_path: Path) -> None:
    time = times()
    both = list(plates(time).values())
    force = both[0][0] + both[1][0]
    path = grf(tmp_path / "a.mot", time, {"1_grf": (force, 0 * force + np.array([0.03, 0, 0.02]))})
    refused(path, match="plate '1_grf' carries both feet; a plate for each", pose=person(time))


def test_plates_on_another_clock(tmp_path: Path) -> None:
    time = times()
    late = grf(tmp_path / "late.mot", time + 0.5, plates(time))
    refused(late, match=r"differs from the clock of the markers by \+0\.50 s", pose=person(time))
    apart = grf(tmp_path / "apart.mot", time + 100, plates(time))
    refused(apart, match="less than 2 s in common", pose=person(time))
    # Another movement: steps of weight that the trunk does not make.
    other = plates(time)
    for force, _ in other.values():
        force[:, 1] = 300 + 60 * np.sign(np.sin(9 * time**1.3))
    path = grf(tmp_path / "other.mot", time, other)
    refused(path, match="have no common movement", pose=person(time))
    # Who stands still shows no clock.
    still = times(lasts=3) + 8
    forces = read_forces(grf(tmp_path / "s.mot", still, plates(still)), pose=person(still))
    assert history(forces)[-1]["clock"] == "not compared: the person stands still"


def test_files_that_are_empty_cut_or_of_something_else(tmp_path: Path) -> None:
    time = times()
    path = grf(tmp_path / "a.mot", time, plates(time))
    text = path.read_text()
    with pytest.raises(NotFoundError, match="no such file"):
        read_forces(tmp_path / "none.mot")
    for content, match in (
        ("", "is empty"),
        (text[: len(text) // 2].rpartition("\n")[0] + "\n", "header states 1000 rows"),
        (text[: len(text) // 2], "cut off|values; export the file again"),
        (text[: text.index("endheader") + 10], "ends after its header"),
        (text.replace("endheader", ""), "no line 'endheader'"),
        (text.replace("_ground_force_v", "_knee_"), "has no forces of plates"),
        (text.replace("0.020000000\n", "0.010000000\n", 1), "its times do not increase strictly"),
    ):
        path.write_text(content)
        if "increase" in match:
            rows = text.splitlines()
            rows[6] = rows[5]
            path.write_text("\n".join(rows) + "\n")
        refused(path, match=match)
    zeros = grf(tmp_path / "z.mot", time, changed(plates(time), force=0.0))
    refused(zeros, match="every force is zero or missing")


# Real plates.


@pytest.mark.parametrize(
    ("trial", "share", "weight"),
    [("squats1", 0.502, 600), ("squatsAsym1", 0.661, 590), ("STS1", 0.498, 425)],
)
def test_real_plates_lie_under_the_feet(lab: Path, trial: str, share: float, weight: float) -> None:
    folder = lab / "opencap_s4"
    pose = mb.lab_pose(mb.read_lab(folder / f"{trial}.trc"))
    forces = mb.read_forces(folder / f"{trial}_grf.mot", pose=pose)
    assert forces.attrs["plates"] == "left: ground_force_2; right: ground_force_1"
    assert not warnings_of(forces)
    assert "turned_deg" in json.loads(pose.attrs["history"])[-1]
    up = forces["force"].sel(axis="y")
    shares = (up.sel(side="right") / up.sum("side")).where(up.sum("side") > 100)
    assert float(shares.median()) == pytest.approx(share, abs=0.002)
    assert float(up.sum("side").median()) == pytest.approx(weight, abs=6)
    # The feet push outward, so the ground pushes inward: the person faces z, and left is +x.
    across = forces["force"].sel(axis="x").median("time")
    assert float(across.sel(side="left")) < 0 < float(across.sel(side="right"))


def test_real_plates_of_another_trial_are_refused(lab: Path) -> None:
    folder = lab / "opencap_s4"
    pose = mb.lab_pose(mb.read_lab(folder / "squats1.trc"))
    refused(folder / "STS1_grf.mot", match="the clock of the plates differs", pose=pose)
    still = mb.lab_pose(mb.read_lab(folder / "static1.trc"))
    refused(folder / "squats1_grf.mot", match="have no common movement", pose=still)
