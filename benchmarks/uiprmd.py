"""Angles and metrics of ten people's overhead squats from markers, beside those of the lab.

usage: python benchmarks/uiprmd.py [--lab FOLDER] [--json]

UI-PRMD (Vakanski et al. 2018, Data 3:2): deep squats with the arms overhead, 39 Plug-in-Gait
markers at 100 Hz, cut into repetitions. Our formulas are applied to the markers (hip centres by
Harrington 2007, the other joints where their lateral markers are) and compared with the angles of
the lab's own model. Five people also squat as a patient would who cannot do it well.
"""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

import mobility as mb
from mobility.kinematics.angles import angles_from_points
from mobility.kinematics.skeleton import INDEX, KEYPOINTS

ROOT = Path(__file__).resolve().parents[1]
RATE_HZ = 100.0
MARKERS = (
    *("LFHD", "RFHD", "LBHD", "RBHD", "C7", "T10", "CLAV", "STRN", "RBAK", "LSHO", "LUPA"),
    *("LELB", "LFRM", "LWRA", "LWRB", "LFIN", "RSHO", "RUPA", "RELB", "RFRM", "RWRA", "RWRB"),
    *("RFIN", "LASI", "RASI", "LPSI", "RPSI", "LTHI", "LKNE", "LTIB", "LANK", "LHEE", "LTOE"),
    *("RTHI", "RKNE", "RTIB", "RANK", "RHEE", "RTOE"),
)
COLUMNS = {"hip_flexion": (45, 48), "knee_flexion": (57, 60), "ankle_dorsiflexion": (69, 72)}
"""Of the lab's angles: left, right."""

_PLACE = {  # landmarks, but for the hips, by the markers whose mean they are
    **{"shoulder": ("SHO",), "elbow": ("ELB",), "wrist": ("WRA", "WRB"), "knee": ("KNE",)},
    **{"ankle": ("ANK",), "heel": ("HEE",), "foot_index": ("TOE",)},
}
_AXES = [1, 2, 0]  # of the lab, z up, as x, y, z with y up


def table(path: Path) -> np.ndarray:
    """Numbers of a gzipped file, a row per frame."""
    with gzip.open(path, "rt") as file:
        return np.loadtxt(file, delimiter=",")


def trials(lab: Path, *, poorly: bool = False) -> list[Path]:
    """Positions of the squats, done well or as by a patient."""
    kind = "positions_inc_vicon" if poorly else "positions_vicon"
    return sorted(lab.glob(f"m01_*_{kind}.txt.gz"))


def markers(path: Path) -> dict[str, np.ndarray]:
    """Markers (time, 3) in metres, y up, turned so that the subject faces +z."""
    rows = table(path).reshape(-1, len(MARKERS), 3)[..., _AXES] / 1000
    right = np.median(rows[:, MARKERS.index("RASI")] - rows[:, MARKERS.index("LASI")], axis=0)
    c, s = -np.array([right[0], right[2]]) / np.hypot(right[0], right[2])
    turn = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    return {name: rows[:, i] @ turn.T for i, name in enumerate(MARKERS)}


def hip_centres(place: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Left and right hip centre from the pelvis (Harrington et al. 2007, J Biomech 40:595)."""
    front = (place["LASI"] + place["RASI"]) / 2
    across = place["RASI"] - place["LASI"]
    ahead = front - (place["LPSI"] + place["RPSI"]) / 2
    width, depth = (float(np.median(np.linalg.norm(v, axis=-1))) for v in (across, ahead))
    z = across / np.linalg.norm(across, axis=-1, keepdims=True)
    x = ahead - (ahead * z).sum(axis=-1, keepdims=True) * z
    x /= np.linalg.norm(x, axis=-1, keepdims=True)
    middle = front - (0.24 * depth + 0.0099) * x - (0.30 * width + 0.0109) * np.cross(z, x)
    out = (0.33 * width + 0.0073) * z
    return middle - out, middle + out


def pose(path: Path) -> xr.Dataset:
    """Pose of a trial; landmarks of face and hands, of which there are no markers, are NaN."""
    place = markers(path)
    position = np.full((len(place["C7"]), 3, len(KEYPOINTS), 1), np.nan)
    hips = hip_centres(place)
    for j, side in enumerate(("left", "right")):
        position[:, :, INDEX[f"{side}_hip"], 0] = hips[j]
        for joint, names in _PLACE.items():
            mean = np.mean([place[f"{side[0].upper()}{name}"] for name in names], axis=0)
            position[:, :, INDEX[f"{side}_{joint}"], 0] = mean
    return xr.Dataset(
        {"position": (("time", "space", "keypoint", "individual"), position)},
        coords={
            "time": np.arange(len(position)) / RATE_HZ,
            "space": ["x", "y", "z"],
            "keypoint": list(KEYPOINTS),
            "individual": ["subject"],
        },
        attrs={"method": "truth", "fps": RATE_HZ, "source_file": path.name, "ds_type": "poses"},
    )


def metrics(path: Path) -> xr.Dataset:
    """Metrics of a trial."""
    found = pose(path)
    return mb.overhead_squat(found, mb.joint_angles(found), mb.find_repetitions(found))


def agreement(lab: Path) -> pd.DataFrame:
    """Correlation and mean difference with the lab's angle over the frames of each trial."""
    rows = []
    for path in trials(lab):
        position = pose(path)["position"].isel(individual=0)
        ours = angles_from_points(position.transpose("time", "keypoint", "space").to_numpy())
        theirs = table(path.with_name(path.name.replace("positions", "angles")))
        subject, repetition = path.name.split("_")[1:3]
        for angle, columns in COLUMNS.items():
            for side, j, column in zip(("left", "right"), (0, 1), columns, strict=True):
                a, b = ours[angle][:, j], theirs[:, column]
                rows.append(
                    {
                        "angle": angle,
                        "person": subject,
                        "repetition": repetition,
                        "side": side,
                        "r": np.corrcoef(a, b)[0, 1],
                        "difference_deg": float((a - b).mean()),
                        "ours": a,
                        "lab": b,
                    }
                )
    return pd.DataFrame(rows)
