"""Eleven errors on five filmed squats with marker data, beside those of OpenCap Monocular.

usage: python benchmarks/filmed.py [--lab FOLDER] [--cache FOLDER] [--model NAME] [--json]

One woman, one phone (../shared/data beside the checkout). The reference are the joint centres of
the marker-driven model, with heel and toe markers of the same trial. The same formulas are applied
to the reference, to MediaPipe's landmarks, to the picture, to the fitted body and to the bodies
that OpenCap Monocular found in the same video. Every method gets one lag for the trial: that at
which its knees agree best with the reference.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

import mobility as mb
from mobility.capture.models import NAMES
from mobility.kinematics.angles import angles_from_points, image_plane_angles
from mobility.kinematics.fit import VISIBILITY_THRESHOLD
from mobility.kinematics.skeleton import KEYPOINTS
from mobility.validation.lab_files import read_lab
from mobility.validation.synchronise import align, find_lag

ROOT = Path(__file__).resolve().parents[1]
SIDED = ("knee_flexion", "hip_flexion", "ankle_dorsiflexion", "shoulder_flexion", "elbow_flexion")
WHOLE = ("trunk_lean",)
BAR = 1.25
BARRED = ("knee_flexion", "hip_flexion", "ankle_dorsiflexion", "shoulder_flexion")
_SEGMENT = {  # of OpenCap's model: the body whose origin is the joint centre
    **{"shoulder": "humerus", "elbow": "ulna", "wrist": "hand", "hip": "femur", "knee": "tibia"},
    **{"ankle": "talus", "heel": "calcn", "foot_index": "toes"},
}
_MARKERS = {  # of the TRC: heel and toe
    "left_heel": "L_calc",
    "left_foot_index": "L_toe",
    "right_heel": "r_calc",
    "right_foot_index": "r_toe",
}


def _points(time: np.ndarray, place: Mapping[str, np.ndarray]) -> xr.Dataset:
    """Positions (time, 3) by keypoint as a pose."""
    position = np.full((len(time), 3, len(KEYPOINTS), 1), np.nan)
    for name, values in place.items():
        position[:, :, KEYPOINTS.index(name), 0] = values
    return xr.Dataset(
        {"position": (("time", "space", "keypoint", "individual"), position)},
        coords={
            "time": time,
            "space": ["x", "y", "z"],
            "keypoint": list(KEYPOINTS),
            "individual": ["subject"],
        },
        attrs={"method": "truth"},
    )


def _sole(heel: np.ndarray, toe: np.ndarray) -> np.ndarray:
    """Toe lowered so that the sole is level on average while standing still in the first second.

    Heel and toe are markers on a shoe at different heights; a flat foot has a level sole.
    """
    pitch = float((toe - heel)[:100, 1].mean())
    return toe - np.array([0.0, pitch, 0.0])


def reference(lab: Path) -> xr.Dataset:
    """Angles of the marker-driven model."""
    table = pd.read_csv(lab / "opencap_visualizer" / "DERIVED_squat_groundtruth.csv")
    place = {}
    for name in KEYPOINTS:
        side, _, point = name.partition("_")
        if f"{point}_{side[0]}_x_m" in table:
            place[name] = table[[f"{point}_{side[0]}_{axis}_m" for axis in "xyz"]].to_numpy()
    markers = read_lab(lab / "opencap_s4" / "squats1.trc")["marker_position"]
    time = table["time"].to_numpy()
    for name, marker in _MARKERS.items():
        here = markers.sel(marker=marker).interp(time=time)
        place[name] = here.transpose("time", "space").to_numpy()
    for side in ("left", "right"):
        place[f"{side}_foot_index"] = _sole(place[f"{side}_heel"], place[f"{side}_foot_index"])
    return mb.joint_angles(_points(time, place))


def opencap_monocular(lab: Path) -> xr.Dataset:
    """Angles of what OpenCap Monocular found in the same video."""
    with gzip.open(lab / "opencap_visualizer" / "squat_sample_mono.json.gz") as file:
        found = json.load(file)
    place = {}
    for side in ("left", "right"):
        for point, body in _SEGMENT.items():
            place[f"{side}_{point}"] = np.array(found["bodies"][f"{body}_{side[0]}"]["translation"])
        place[f"{side}_foot_index"] = _sole(place[f"{side}_heel"], place[f"{side}_foot_index"])
    return mb.joint_angles(_points(np.array(found["time"]), place))


def lagged(found: xr.Dataset, lab: xr.Dataset) -> tuple[xr.Dataset, float]:
    """Return the reference at the times of `found` and the lag (s) that suits the knees best."""
    sync = find_lag(found, lab, signals=["knee_flexion"])
    return align(lab, sync, found["time"].to_numpy()), sync.lag_s


def row(found: xr.Dataset, lab: xr.Dataset) -> dict[str, float]:
    """Mean absolute errors, degrees: left and right of the sided angles, and of the trunk."""
    truth, _ = lagged(found, lab)
    errors = {}
    for name in SIDED:
        for side in ("left", "right"):
            error = (found[name] - truth[name]).sel(side=side)
            errors[f"{name} {side}"] = float(abs(error).mean())
    for name in WHOLE:
        errors[name] = float(abs(found[name] - truth[name]).mean())
    return errors


def within(found: xr.Dataset, lab: xr.Dataset) -> dict[str, float]:
    """Share of the errors within 1.96 standard deviations."""
    truth, _ = lagged(found, lab)
    shares = {}
    for name in (*SIDED, *WHOLE):
        error = abs(found[name] - truth[name])
        shares[name] = float((error < 1.96 * found[f"{name}_sd"]).where(error.notnull()).mean())
    return shares


def of_landmarks(pose: xr.Dataset) -> xr.Dataset:
    """Angles of the landmarks, those too that the analysis refuses."""
    position = pose["position"].isel(individual=0).sel(space=["x", "y", "z"])
    points = position.transpose("time", "keypoint", "space").to_numpy().astype(float)
    angles = angles_from_points(points)
    return xr.Dataset(
        {name: (("time", "side")[: value.ndim], value) for name, value in angles.items()},
        coords={"time": pose["time"], "side": ["left", "right"]},
    )


def pose_of_film(lab: Path, cache: Path, model: str = "full") -> xr.Dataset:
    """Pose of the video, estimated once with each model."""
    kept = cache / ("filmed.pose.nc" if model == "full" else f"filmed.{model}.pose.nc")
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        video = lab.parent / "videos" / "opencap_s4_squats1_phone.mp4"
        mb.estimate_pose(video, model=model).to_netcdf(kept, engine="h5netcdf")
    return xr.load_dataset(kept, engine="h5netcdf")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lab", type=Path, default=ROOT.parent / "shared" / "data" / "lab")
    parser.add_argument("--cache", type=Path, default=ROOT / "build" / "accuracy")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--model", choices=NAMES, default="full", help="pose model")
    given = parser.parse_args()
    pose = pose_of_film(given.lab, given.cache, given.model)
    lab = reference(given.lab)
    cleaned = mb.clean_pose(pose, visibility_threshold=VISIBILITY_THRESHOLD)
    fitted = mb.joint_angles(mb.fit_body(cleaned))
    table = pd.DataFrame(
        {
            "landmarks": row(of_landmarks(mb.clean_pose(pose)), lab),
            "image plane": row(image_plane_angles(mb.clean_pose(pose)), lab),
            "fitted body": row(fitted, lab),
            "OpenCap Monocular": row(opencap_monocular(given.lab), lab),
        }
    )
    theirs = table["OpenCap Monocular"]
    for name in BARRED:
        mean = table.loc[[f"{name} left", f"{name} right"]].mean()
        table.loc[f"{name} mean"] = mean
    bars = {
        f"{name} mean": BAR * theirs[[f"{name} left", f"{name} right"]].mean() for name in BARRED
    }
    table["bar"] = pd.Series(bars)
    if given.json:
        print(table.to_json(orient="index"))
        return
    print("mean absolute error, degrees")
    print(table.to_string(float_format=lambda value: f"{value:.2f}", na_rep=""))
    print("\nwithin 1.96 sd, fitted body")
    print(pd.Series(within(fitted, lab)).to_string(float_format=lambda value: f"{value:.2f}"))


if __name__ == "__main__":
    main()
