"""Whether recordings of the same trial match, and recordings of different trials do not.

usage: python benchmarks/matches.py [--data FOLDER] [--poses FOLDER]

Every video is compared with every lab file. The videos are those of real.yaml with markers, the
systems without markers in lab/lbmc_benchmark, and the lab's own angles with slowly varying errors
(standard deviation 4 and 8 degrees, scale 12 %). The values of `same_movement` in
`mobility/tables/synchronisation.yaml` were chosen from the printed counts.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import real
import xarray as xr

import mobility as mb
from mobility.errors import BadInputError

ANGLES = ("knee_flexion", "hip_flexion", "ankle_dorsiflexion")
LAB = {  # trial, and files that hold it
    "woman": ("opencap_s4/squats1.trc", "opencap_s4/squats1_manual_scaling_ik.mot"),
    "woman, asymmetric": (
        "opencap_s4/squatsAsym1.trc",
        "opencap_s4/squatsAsym1_manual_scaling_ik.mot",
    ),
    "man": ("cmbbe/squats.trc", "cmbbe/squats.mot"),
    "squats": ("misc_squat/opencap_squats1_videoAndMocap.mot",),
    **{f"squats {x}": (f"real_motions/squats_{x}.trc.gz",) for x in "abc"},
    **{
        f"{movement} {n}": (f"lbmc_benchmark/markers_{movement}_{n}.csv",)
        for movement, n in itertools.product(("sit-stand", "mmh"), ("01", "02"))
    },
}
VIDEOS = {
    "opencap_s4_squats1_phone": "woman",
    "cmbbe_squats_cam0": "man",
    "cmbbe_squats_cam1": "man",
}
STATIC = {"woman": "opencap_s4/static1.trc", "woman, asymmetric": "opencap_s4/static1.trc"}
SLOW_S = (0.4, 5.0)
"""Seconds for which slowly varying errors last."""


class Recording(NamedTuple):
    """The angles of a trial."""

    kind: str
    trial: str
    angles: xr.Dataset


def of_lab(data: Path) -> Iterator[Recording]:
    """Return the angles in every lab file, with our formulas if it has markers."""
    for trial, files in LAB.items():
        for file in files:
            angles = mb.read_lab(data / "lab" / file)
            if "marker_position" in angles:
                static = STATIC.get(trial) and mb.read_lab(data / "lab" / STATIC[trial])
                angles = mb.joint_angles(mb.lab_pose(angles, static=static))
            yield Recording("lab", trial, angles[[name for name in ANGLES if name in angles]])


def wandering(angles: xr.Dataset, sd: float, rng: np.random.Generator) -> xr.Dataset:
    """Add slowly varying errors, and an error of the scale."""
    step = float(np.median(np.diff(angles["time"])))

    def off(values: np.ndarray) -> np.ndarray:
        result = values * rng.normal(1, 0.12)
        for lasts in SLOW_S:
            keep = np.exp(-step / lasts)
            error = rng.normal(size=values.size) * sd * np.sqrt(1 - keep**2)
            for i in range(1, values.size):
                error[i] += keep * error[i - 1]
            result = result + error
        return result

    return angles.map(lambda one: one.copy(data=np.apply_along_axis(off, 0, one.to_numpy())))


def of_video(data: Path, poses: Path | None, lab: list[Recording]) -> Iterator[Recording]:
    """Return the angles from videos, from systems without markers, and from the lab with errors."""
    for name, trial in VIDEOS.items():
        kept = poses and poses / f"{name}.nc"
        if kept is not None and kept.exists():
            pose = real.read_dataset(kept)
        else:
            pose = mb.estimate_pose(data / "videos" / f"{name}.mp4")
        yield Recording("film, fit", trial, mb.joint_angles(real.body_of(pose)))
        yield Recording("film, landmarks", trial, mb.joint_angles(mb.clean_pose(pose)))
    for system, (movement, n) in itertools.product(
        ("method1", "method4"), itertools.product(("sit-stand", "mmh"), ("01", "02"))
    ):
        file = data / "lab" / "lbmc_benchmark" / f"{system}_{movement}_{n}.csv"
        yield Recording("system without markers", f"{movement} {n}", mb.read_lab(file))
    rng = np.random.default_rng(0)
    for sd, each in itertools.product((0.0, 4.0, 8.0), lab):
        yield Recording(f"lab, sd {sd:g}", each.trial, wandering(each.angles, sd, rng))


def matches(videos: list[Recording], lab: list[Recording]) -> pd.DataFrame:
    """Compare each pair."""
    rows = []
    for video, reference in itertools.product(videos, lab):
        row = {"video": video.kind, "same trial": video.trial == reference.trial}
        try:
            found = mb.find_lag(video.angles, reference.angles)
            row |= {"matches": True, "correlation": found.correlation}
        except BadInputError as error:
            row |= {"matches": False, "reason": str(error)}
        rows.append(row)
    return pd.DataFrame(rows)


def main() -> None:
    """Count the pairs that match."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=real.ROOT.parent / "shared" / "data")
    parser.add_argument("--poses", type=Path)
    options = parser.parse_args()
    lab = list(of_lab(options.data))
    table = matches(list(of_video(options.data, options.poses, lab)), lab)
    counts = table.groupby(["video", "same trial"])["matches"].agg(["sum", "size"])
    print(counts.rename(columns={"sum": "match", "size": "pairs"}).to_string())
    print(table.groupby("same trial")["matches"].agg(["sum", "size"]).to_string())


if __name__ == "__main__":
    main()
