"""Angles and metrics of ten people's overhead squats from markers, compared with the lab's angles.

usage: python benchmarks/uiprmd.py [--lab FOLDER] [--json]

UI-PRMD (Vakanski et al. 2018, Data 3:2; ../shared/data beside the checkout) contains deep squats
with the arms overhead, with 39 Plug-in-Gait markers at 100 Hz, cut into repetitions. Our formulas
are applied to the markers (hip centres by Harrington 2007, the other joints at their lateral
markers). The results are compared, frame by frame, with the angles of the lab's own model. The
script also prints how the people stand, and how far their trunks flex relative to the pelvis,
because the virtual lab imitates this (people2.yaml).

The lab's hip flexion is the angle between pelvis and thigh, and ours is the angle between trunk and
thigh. Ours grows faster, because the spine bends, too. Five people also squat like somebody who
cannot do it well; the quality index should then be lower.
"""

from __future__ import annotations

import argparse
import gzip
import json
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

import mobility as mb
from mobility.kinematics.skeleton import INDEX, KEYPOINTS, angles_from_points, landmarks
from mobility.lab.joint_centres import harrington_hips

ROOT = Path(__file__).resolve().parents[1]
RATE_HZ = 100.0
MARKERS = (
    *("LFHD", "RFHD", "LBHD", "RBHD", "C7", "T10", "CLAV", "STRN", "RBAK", "LSHO", "LUPA"),
    *("LELB", "LFRM", "LWRA", "LWRB", "LFIN", "RSHO", "RUPA", "RELB", "RFRM", "RWRA", "RWRB"),
    *("RFIN", "LASI", "RASI", "LPSI", "RPSI", "LTHI", "LKNE", "LTIB", "LANK", "LHEE", "LTOE"),
    *("RTHI", "RKNE", "RTIB", "RANK", "RHEE", "RTOE"),
)
COLUMNS = {"hip_flexion": (45, 48), "knee_flexion": (57, 60), "ankle_dorsiflexion": (69, 72)}
"""Columns of the lab's angles: left, right."""

_PLACE = {  # landmarks, but for the hips, by the markers whose mean they are
    **{"shoulder": ("SHO",), "elbow": ("ELB",), "wrist": ("WRA", "WRB"), "knee": ("KNE",)},
    **{"ankle": ("ANK",), "heel": ("HEE",), "foot_index": ("TOE",)},
}
_AXES = [1, 2, 0]  # of the lab, z up, as x, y, z with y up


def table(path: Path) -> np.ndarray:
    """Return the numbers of a gzipped file, with a row per frame."""
    with gzip.open(path, "rt") as file:
        return np.loadtxt(file, delimiter=",")


def trials(lab: Path, *, poorly: bool = False) -> list[Path]:
    """Return the positions in the squats, done well or like a patient."""
    kind = "positions_inc_vicon" if poorly else "positions_vicon"
    return sorted(lab.glob(f"m01_*_{kind}.txt.gz"))


def markers(path: Path) -> dict[str, np.ndarray]:
    """Return markers (time, 3) in metres, y up, turned so that the subject faces +z."""
    rows = table(path).reshape(-1, len(MARKERS), 3)[..., _AXES] / 1000
    right = np.median(rows[:, MARKERS.index("RASI")] - rows[:, MARKERS.index("LASI")], axis=0)
    c, s = -np.array([right[0], right[2]]) / np.hypot(right[0], right[2])
    turn = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    return {name: rows[:, i] @ turn.T for i, name in enumerate(MARKERS)}


def pose(path: Path) -> xr.Dataset:
    """Return the pose of a trial; landmarks of face and hands, which have no markers, are NaN."""
    place = markers(path)
    position = np.full((len(place["C7"]), 3, len(KEYPOINTS), 1), np.nan)
    back = (place["LPSI"] + place["RPSI"]) / 2
    hips = harrington_hips(place["LASI"], place["RASI"], back)
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
    """Return the metrics of a trial."""
    found = pose(path)
    return mb.overhead_squat(found, mb.joint_angles(found), mb.find_repetitions(found))


def agreement(lab: Path) -> pd.DataFrame:
    """Return the correlation of each angle with the lab's, over the frames of a trial and side."""
    rows = []
    for path in trials(lab):
        ours = angles_from_points(landmarks(pose(path)))
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
                        "rmse_deg": float(np.sqrt(((a - b) ** 2).mean())),
                        "slope": float(np.polyfit(b, a, 1)[0]),
                        "peak_difference_deg": float(a.max() - b.max()),
                        "ours": a,
                        "lab": b,
                    }
                )
    return pd.DataFrame(rows)


def correlations(lab: Path) -> pd.DataFrame:
    """Return each angle's r over the frames of a trial and side, and their difference."""
    rows = agreement(lab)
    table = {}
    for angle, part in rows.groupby("angle", sort=False):
        of_person = part.groupby("person")["r"].median()
        pooled = np.corrcoef(np.concatenate(list(part["ours"])), np.concatenate(list(part["lab"])))
        table[angle] = {
            "median r of a person": of_person.median(),
            "least of the people": of_person.min(),
            "least of trials and sides": part["r"].min(),
            "pooled frames": pooled[0, 1],
            "pooled, less the mean of each person": _pooled_within(part),
            "mean difference (deg)": part["difference_deg"].mean(),
            **{
                f"{name.removesuffix('_deg').replace('_', ' ')}, {kind} of a person": value
                for name in ("rmse_deg", "slope", "peak_difference_deg")
                for kind, value in _of_people(part, name)
            },
        }
    return pd.DataFrame(table).T


def _of_people(part: pd.DataFrame, name: str) -> list[tuple[str, float]]:
    """Return mean, smallest and largest value over people of a figure by trial and side."""
    each = part.groupby("person")[name].mean()
    return [("mean", each.mean()), ("least", each.min()), ("largest", each.max())]


def _pooled_within(part: pd.DataFrame) -> float:
    series = []
    for _, person in part.groupby("person"):
        ours, theirs = (np.concatenate(list(person[name])) for name in ("ours", "lab"))
        series.append(np.stack([ours - ours.mean(), theirs - theirs.mean()]))
    return float(np.corrcoef(np.concatenate(series, axis=1))[0, 1])


def qualities(lab: Path) -> pd.DataFrame:
    """Return the lowest score of a part of the quality index, for repetitions done well and poorly.

    Parts that one of them lacks are left out of both.
    """
    rows = {}
    for path in trials(lab, poorly=True):
        well, poorly = (
            metrics(path.with_name(path.name.replace("_inc_", kind))) for kind in ("_", "_inc_")
        )
        both = (well["quality_index_part_score"] + poorly["quality_index_part_score"]).notnull()
        parts = well["quality_part"].to_numpy()
        scores = {
            name: float(each["quality_index_part_score"].where(both).min())
            for name, each in (("well", well), ("poorly", poorly))
        }
        lower = (well["quality_index_part_score"] < poorly["quality_index_part_score"]).to_numpy()
        rows[path.name.split("_")[1]] = {
            **scores,
            "higher": scores["well"] > scores["poorly"],
            "left out": ", ".join(parts[~both.to_numpy()]),
            "lower when done well": ", ".join(parts[lower & both.to_numpy()]),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def spines(lab: Path) -> pd.DataFrame:
    """Return by how much the trunk flexes relative to the pelvis, by person, mean of trials.

    The trunk is the line from the hip centres to the shoulders, and the pelvis the line from the
    posterior to the anterior iliac spines. Standing is the moment with the straightest knees, and
    the bottom the moment with the most bent knees.
    """
    rows = []
    for path in trials(lab):
        place, angles = markers(path), angles_from_points(landmarks(pose(path)))
        along = (place["LASI"] + place["RASI"] - place["LPSI"] - place["RPSI"]) / 2
        tilt = np.degrees(np.arctan2(-along[:, 1], along[:, 2]))
        knees = angles["knee_flexion"].mean(axis=1)
        top, bottom = int(knees.argmin()), int(knees.argmax())
        against = angles["trunk_lean"] - tilt
        rows.append(
            {
                "person": path.name.split("_")[1],
                "trunk lean standing": angles["trunk_lean"][top],
                "pelvis standing": tilt[top],
                "trunk lean at the bottom": angles["trunk_lean"][bottom],
                "pelvis at the bottom": tilt[bottom],
                "flexion of the spine": against[bottom] - against[top],
            }
        )
    return pd.DataFrame(rows).groupby("person").mean()


def postures(lab: Path) -> pd.DataFrame:
    """Return how each person stands before and after a squat, degrees, mean of the trials.

    The values are medians of the frames in which the hips are within a centimetre of their highest
    position. The knees come from the laboratory's model, because lateral markers do not show them
    to a degree.
    """
    rows = []
    for path in trials(lab):
        points = landmarks(pose(path))
        height = points[:, [INDEX["left_hip"], INDEX["right_hip"]], 1].mean(axis=1)
        tallest = height > height.max() - 0.01
        angles = angles_from_points(points[tallest])
        theirs = table(path.with_name(path.name.replace("positions", "angles")))[tallest]
        rows.append(
            {
                "person": path.name.split("_")[1],
                "knee (lab)": np.median(theirs[:, list(COLUMNS["knee_flexion"])]),
                "hip": np.median(angles["hip_flexion"]),
                "trunk lean": np.median(angles["trunk_lean"]),
                "shank": np.median(angles["tibia_inclination"]),
            }
        )
    return pd.DataFrame(rows).groupby("person").mean()


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--lab", type=Path, default=ROOT.parent / "shared/data/lab/uiprmd")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if not trials(options.lab):
        parser.error(f"no trials of UI-PRMD in {options.lab}; give their folder with --lab")
    angles, quality, spine, posture = (
        of(options.lab) for of in (correlations, qualities, spines, postures)
    )
    if options.json:
        named = {"angles": angles, "quality": quality, "spine": spine, "posture": posture}
        print(json.dumps({name: table.to_dict("index") for name, table in named.items()}))
        return
    print("Trunk against pelvis, degrees:\n")
    print(pd.concat([spine, spine.agg(["mean", "min", "max"])]).round(1).to_string(), end="\n\n")
    print("Standing, degrees:\n")
    print(pd.concat([posture, posture.agg(["median", "min", "max"])]).round(1), end="\n\n")
    print("Angles from markers against those of the lab, over the frames:\n")
    print(angles.T.round(3).to_string(), end="\n\n")
    print("Quality index, of 100:\n")
    print(quality.round(1).to_string(), end="\n\n")
    print(f"Higher when done well: {int(quality['higher'].sum())} of {len(quality)} people.")


if __name__ == "__main__":
    main()
