"""Moments of the legs, compared with OpenSim's inverse dynamics on the same force plates.

usage: python benchmarks/inverse_dynamics.py [--data FOLDER] [--json]

The trials are in ../shared/data beside the checkout: markers, force plates, the scaled model of the
same woman, and its angles. OpenSim (the extra cross-checks) computes the moments of the model.
`loads_with_plates` computes them with the same plates, once with the joint centres of the model,
once with the joint centres from the markers. The first comparison checks the equations, the second
also contains the difference between the joint centres.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import mobility as mb
from mobility.kinematics.skeleton import INDEX, SIDES, Array
from mobility.lab.force_plates import turn_about_vertical
from mobility.leg_loads.loads import loads_with_plates

ROOT = Path(__file__).resolve().parents[1]
FOLDER = Path("lab") / "opencap_s4"
TRIALS = ("squats1", "squatsAsym1", "STS1")
MODEL, ANGLES, PLATES = "manually_scaled.osim", "_manual_scaling_ik.mot", "_grf.mot"
PLATE_OF = {"r": 1, "l": 2}
JOINTS = {  # our moment: OpenSim's joint, and the coordinate, whose positive moment flexes
    "ankle": ("ankle", "ankle_angle"),
    "knee": ("walker_knee", "knee_angle"),
    "hip": ("hip", "hip_flexion"),
}
MASS_KG = 62.6
"""Mass of the model; the moments of the plates do not depend on it, those of the segments do."""

CUTOFF_HZ = 6.0
"""Low-pass for OpenSim's coordinates, as for our markers."""

_BESIDE_S = 0.5
"""Seconds at both ends that are left out, where filters have no neighbours."""


def missing(data: Path) -> str:
    """Return why the comparison cannot run; "" if it can."""
    if not (data / FOLDER / MODEL).is_file():
        return f"needs the shared data ({data / FOLDER} is missing)"
    if not importlib.util.find_spec("opensim"):
        return "needs the extra cross-checks (opensim is not installed)"
    return ""


def run_opensim(folder: str, trial: str, out: str) -> None:
    """Write moments and joint centres of a trial to `out`; runs in a process of its own."""
    import opensim

    opensim.Logger.setLevelString("off")
    plates = opensim.ExternalLoads()
    for side, number in PLATE_OF.items():
        force = opensim.ExternalForce()
        force.setName(f"foot_{side}")
        force.set_applied_to_body(f"calcn_{side}")
        force.set_force_expressed_in_body("ground")
        force.set_point_expressed_in_body("ground")
        force.set_force_identifier(f"ground_force_{number}_v")
        force.set_point_identifier(f"ground_force_{number}_p")
        force.set_torque_identifier(f"ground_force_{number}_m")
        force.set_data_source_name("plates")
        plates.cloneAndAppend(force)
    plates.setDataFileName(f"{folder}/{trial}{PLATES}")
    plates.printToXML(f"{out}/plates.xml")
    model = opensim.Model(f"{folder}/{MODEL}")
    model.initSystem()
    excluded = opensim.ArrayStr()
    excluded.append("Muscles")
    tool = opensim.InverseDynamicsTool()
    tool.setModel(model)
    tool.setCoordinatesFileName(f"{folder}/{trial}{ANGLES}")
    tool.setExternalLoadsFileName(f"{out}/plates.xml")
    tool.setLowpassCutoffFrequency(CUTOFF_HZ)
    tool.setStartTime(0)
    tool.setEndTime(1000)
    tool.setExcludedForces(excluded)
    tool.setResultsDir(out)
    tool.setOutputGenForceFileName("moments.sto")
    if not tool.run():
        raise RuntimeError("OpenSim's inverse dynamics failed")
    moments = opensim.TimeSeriesTable(f"{out}/moments.sto")
    columns = list(moments.getColumnLabels())
    table = moments.getMatrix().to_numpy()
    saved = {"moment_time": np.array(moments.getIndependentColumn())}
    # A new model, because the tool has changed the first one.
    model = opensim.Model(f"{folder}/{MODEL}")
    state = model.initSystem()
    motion = opensim.TimeSeriesTable(f"{folder}/{trial}{ANGLES}")
    names = list(motion.getColumnLabels())
    coordinates = [model.getCoordinateSet().get(name) for name in names]
    rotates = np.array([c.getMotionType() == opensim.Coordinate.Rotational for c in coordinates])
    values = motion.getMatrix().to_numpy()
    values = np.where(rotates, np.radians(values), values)
    frames = {}
    for side in SIDES:
        for name, (joint, coordinate) in JOINTS.items():
            key = f"{side}_{name}"
            saved[f"{key}_moment"] = table[:, columns.index(f"{coordinate}_{side[0]}_moment")]
            frames[key] = model.getJointSet().get(f"{joint}_{side[0]}").getChildFrame()
    centres: dict[str, list[list[float]]] = {key: [] for key in frames}
    for row in values:
        for coordinate, value in zip(coordinates, row, strict=True):
            coordinate.setValue(state, value, False)
        model.realizePosition(state)
        for key, frame in frames.items():
            place = frame.getPositionInGround(state)
            centres[key].append([place.get(i) for i in range(3)])
    saved |= {"time": np.array(motion.getIndependentColumn())}
    np.savez(f"{out}/opensim.npz", **saved, **{key: np.array(v) for key, v in centres.items()})


def of_opensim(folder: Path, trial: str) -> dict[str, Array]:
    """Return OpenSim's moments (Nm, positive if they flex), joint centres (m) and times (s)."""
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-W", "ignore", __file__, "--opensim", str(folder), trial, out]
        done = subprocess.run(command, capture_output=True, text=True, cwd=out, check=False)
        if done.returncode:
            raise RuntimeError(f"OpenSim failed on {trial}: {done.stderr[-2000:]}")
        with np.load(Path(out) / "opensim.npz") as saved:
            return dict(saved)


def with_centres(pose: xr.Dataset, theirs: dict[str, Array]) -> xr.Dataset:
    """Return a pose with the model's hips, knees and ankles."""
    position = pose["position"].transpose("time", "space", "keypoint", "individual").copy()
    for side in SIDES:
        for joint in JOINTS:
            key = f"{side}_{joint}"
            at = [np.interp(pose["time"], theirs["time"], axis) for axis in theirs[key].T]
            turned = turn_about_vertical(np.stack(at, axis=-1), pose.attrs["turned_deg"])
            position.values[:, :, INDEX[key], 0] = turned
    return pose.assign(position=position)


def compare(folder: Path, trial: str) -> list[dict[str, Any]]:
    """Return the differences between our moments and OpenSim's, in Nm, for each joint and side."""
    theirs = of_opensim(folder, trial)
    static = mb.read_lab(folder / "static1.trc")
    pose = mb.lab_pose(mb.read_lab(folder / f"{trial}.trc"), static=static)
    forces = mb.read_forces(folder / f"{trial}{PLATES}", pose=pose)
    rows = []
    time = pose["time"].to_numpy()
    inside = (time > time[0] + _BESIDE_S) & (time < time[-1] - _BESIDE_S)
    for centres, body in {"model": with_centres(pose, theirs), "markers": pose}.items():
        ours = loads_with_plates(body, forces, weight_kg=MASS_KG)
        for joint in JOINTS:
            for side in SIDES:
                our = ours[f"{joint}_moment_nm"].sel(side=side).to_numpy()
                their = -np.interp(time, theirs["moment_time"], theirs[f"{side}_{joint}_moment"])
                difference = (our - their)[inside]
                finite = difference[np.isfinite(difference)]
                rows.append(
                    {
                        **{"trial": trial, "centres": centres, "joint": joint, "side": side},
                        "rms_nm": float(np.sqrt((finite**2).mean())),
                        "bias_nm": float(finite.mean()),
                        "largest_nm": float(np.abs(finite).max()),
                        "peak_nm": float(np.abs(their[inside]).max()),
                        "frames": int(finite.size),
                    }
                )
    return rows


def main() -> None:
    """Print the table, or the reason why there is none."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--opensim", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.opensim:
        run_opensim(*options.opensim)
        return
    if why := missing(options.data):
        print(f"skipped: {why}")
        return
    rows = [row for trial in TRIALS for row in compare(options.data / FOLDER, trial)]
    if options.json:
        print(json.dumps(rows, indent=1))
        return
    print("| trial | joint centres | joint | side | RMS, Nm | bias, Nm | largest, Nm | peak, Nm |")
    print("|---|---|---|---|---|---|---|---|")
    for row in rows:
        names = " | ".join(row[name] for name in ("trial", "centres", "joint", "side"))
        numbers = f"{row['rms_nm']:.1f} | {row['bias_nm']:+.1f} | {row['largest_nm']:.1f}"
        print(f"| {names} | {numbers} | {row['peak_nm']:.0f} |")


if __name__ == "__main__":
    main()
