"""Sit-to-stand with and without the assumption of straight standing, for rendered people and a man.

usage: python benchmarks/rises.py --cache CACHE [--data FOLDER] [--poses FOLDER] [--write]

CACHE comes from a sweep of rises.yaml. Errors include all frames of a fit in which a chair may
carry the body. People with odd numbers were used to choose settings; people with even numbers were
not.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from real import OPENCAP, ROOT, angles_at, at_frames, body_of, clips, markdown, stated

from mobility.keypoints.view import view_of_azimuth
from mobility.kinematics.expected_error import Z95
from mobility.kinematics.skeleton import landmarks
from mobility.sessions.files import read_dataset
from mobility.virtual_lab.case import read_case, read_truth, truth_pose

PAGE = Path(__file__).with_suffix(".md")
ANGLES = ("knee_flexion", "hip_flexion", "ankle_dorsiflexion", "trunk_lean")
STANDING = ("straight", "free")
CLIP = "chair_rises_oblique"


def rows_of(who: dict[str, str], pose: xr.Dataset, truth: xr.Dataset, reference: str) -> Any:
    """Return the errors of each angle, with and without assumed straight standing."""
    for standing in STANDING:
        given = stated(body_of(pose, unbalanced=True, standing=standing))
        true = at_frames(truth, given, reference)
        for angle in (name for name in ANGLES if name in true):
            error, sd = given[angle] - true[angle], given[f"{angle}_sd"]
            known = error.notnull()
            yield who | {
                **{"angle": angle.replace("_", " "), "standing": standing},
                **{"square": float((error**2).mean()), "half": float(Z95 * sd.median())},
                "inside": float((abs(error) <= Z95 * sd).where(known).mean()),
            }


def rendered_people(cache: Path) -> Iterator[dict[str, Any]]:
    """Return the errors for the rendered people."""
    for folder in sorted(path.parent for path in cache.glob("*/truth.nc")):
        case = read_case(folder / "case.yaml")
        true = truth_pose(read_truth(folder / "truth.nc"))
        truth = angles_at(landmarks(true), true["time"].to_numpy())
        even = int(case.name.partition("-")[0]) % 2 == 0
        who = {
            "people": "reporting" if even else "choosing",
            "view": view_of_azimuth(case.camera.azimuth),
            "stands": "bent" if case.motion.standing_knee_flexion > 9 else "upright",
        }
        yield from rows_of(who, read_dataset(folder / "pose.nc"), truth, "rendered")


def filmed_man(data: Path, poses: Path) -> Iterator[dict[str, Any]]:
    """Return the errors for a man on video, compared with OpenCap's angles from two phones."""
    for clip in clips(data, poses, [CLIP]):
        who = {"people": "on film", "view": "front-oblique", "stands": "bent"}
        yield from rows_of(who, clip.pose, clip.references[OPENCAP], OPENCAP)


def table_of(rows: pd.DataFrame) -> pd.DataFrame:
    """Return root mean square error, share inside and margin of error by people, view, angle."""
    where = ["people", "view", "stands", "angle"]
    by_standing = rows.groupby([*where, "standing"], sort=False)
    means = by_standing[["square", "inside", "half"]].mean()
    means["rms"] = np.sqrt(means.pop("square"))
    means["clips"] = by_standing.size()
    shown = means.apply(
        lambda row: f"{row['rms']:.1f}; {100 * row['inside']:.0f} % ± {row['half']:.0f}", axis=1
    )
    wide = shown.unstack("standing")[list(STANDING)]
    wide.insert(0, "videos", means["clips"].groupby(where, sort=False).first())
    return wide.sort_index(level=["people", "view", "stands"], sort_remaining=False).reset_index()


def main() -> None:
    """Print the table, or write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--poses", type=Path, default=ROOT / "build" / "accuracy" / "poses")
    parser.add_argument("--write", action="store_true", help=PAGE.name)
    given = parser.parse_args()
    rows = pd.DataFrame(
        [*rendered_people(given.cache), *filmed_man(given.data, given.poses)],
    )
    text = "\n\n".join(
        [
            "# Chair rises, with straight standing assumed and not",
            "Written by `python benchmarks/rises.py --cache CACHE --write` after a sweep of"
            " [`rises.yaml`](rises.yaml). Each cell has the root mean square error in degrees, the"
            " share of frames inside the stated 95 % interval, and its median half-width. People"
            " who stand bent never come fully upright. The man on film is compared with OpenCap's"
            " two phones, which are 4 to 6 degrees off themselves.",
            markdown(table_of(rows)),
        ]
    )
    print(text)
    if given.write:
        PAGE.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
