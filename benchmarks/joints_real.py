"""Both ends of movements of real people, compared with the angle of three landmarks in the picture.

usage: python benchmarks/joints_real.py [--poses FOLDER] [--data FOLDER]

The videos of real.yaml in which a limb moves in the image plane are each measured like a session of
Joint Angle Mobility. For each reported joint and side, the script prints the largest and the
smallest angle with the margin of error (95 %), and the angle in the picture, from cleaned landmarks
whose sides are not exchanged. This angle is 180 degrees minus the angle at the middle landmark. For
a shoulder, it is the angle at the shoulder, between hip and elbow of that side. For a hip in
abduction, it is the angle between thigh and pelvis. The value is the median, over the movements, of
the extreme in each of them, and is positive on the side to which the joint goes farthest.

`to_trunk` is the same angle between thigh and trunk for a hip in abduction; for other joints, it
equals `picture`. For joints with two movements or more, the script then prints by how much their
ends differ (standard deviation), as measured and in the picture. With three or more, it also prints
the stated smallest detectable change between recordings.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from real import clips

import mobility as mb
from mobility.assessment.movements import movement
from mobility.exercises.joint_angle_mobility.courses import (
    feet_could_be_planted,
    single_joint_limits,
)
from mobility.kinematics.expected_error import Z95
from mobility.kinematics.fit.entry import VISIBILITY_THRESHOLD

ROOT = Path(__file__).resolve().parents[1]

LANDMARKS = {
    "shoulder": ("hip", "shoulder", "elbow"),
    "elbow": ("shoulder", "elbow", "wrist"),
    "hip": ("shoulder", "hip", "knee"),
    "knee": ("hip", "knee", "ankle"),
}
SEEN = {
    "seated_shoulder_abduction": ("shoulder", "elbow"),
    "side_squats_arms_forward": ("knee", "hip", "shoulder"),
    "side_squats_barbell": ("knee", "hip"),
    "side_squats_hands_at_chest": ("knee", "hip", "shoulder"),
    "pose2sim_balance_cam02_front": ("hip",),
}
"""Joints that move in the image plane, by video."""


def in_picture(
    pose: xr.Dataset, joint: str, side: str, *, of_pelvis: bool = False
) -> NDArray[np.float64]:
    """Return the angle of three landmarks in the picture, degrees, zero for a straight limb.

    `of_pelvis`: for a hip, zero if the thigh is perpendicular to the line from hip to hip, as with
    a goniometer in abduction.
    """
    image = pose["image_position"].isel(individual=0).transpose("time", "pixel", "keypoint")
    one, middle, other = (image.sel(keypoint=f"{side}_{k}").values for k in LANDMARKS[joint])
    u, v = one - middle, other - middle
    u = u if joint == "shoulder" else -u
    if of_pelvis:
        x, y = (image.sel(keypoint="left_hip") - image.sel(keypoint="right_hip")).values.T
        u = np.stack([-y, x], axis=-1) * np.sign(x)[:, None]
    cross = u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]
    angle: NDArray[np.float64] = np.degrees(np.arctan2(cross, (u * v).sum(axis=1)))
    # Flexion, or abduction, is where the joint goes farthest.
    return angle * np.sign(angle[np.nanargmax(np.abs(angle))])


def spread(turns: Sequence[float]) -> float:
    """Return the standard deviation of two or more ends of range, degrees."""
    return float(np.std(turns, ddof=1)) if len(turns) > 1 else np.nan


def measured(name: str, pose: xr.Dataset) -> Iterator[dict[str, Any]]:
    """Return the rows of a video: each end of each joint and side that is reported."""
    cleaned = mb.clean_pose(pose, visibility_threshold=VISIBILITY_THRESHOLD)
    planted = {} if feet_could_be_planted(cleaned) else {"feet_planted": False}
    fitted = mb.fit_body(cleaned, **planted)
    angles = mb.joint_angles(fitted, limits=single_joint_limits(), in_picture=True)
    found = mb.joint_mobility(fitted, angles, joints=SEEN[name])
    time = pose["time"].values
    for joint in SEEN[name]:
        for side in ("left", "right"):
            one = found.sel(joint=joint, side=side)
            own = (found["movement_joint"] == joint) & (found["movement_side"] == side)
            spans = found.sel(movement=own & found["movement_accepted"])
            if not int(one["movements"]):
                yield {"clip": name, "joint": f"{side} {joint}", "note": str(one["note"].item())}
                continue
            shown = str(one["shown"].item())
            plain = in_picture(cleaned, joint, side)
            looked = in_picture(cleaned, joint, side, of_pelvis=shown == "hip_abduction")
            windows = [
                (time >= start - 0.3) & (time <= end + 0.3)
                for start, end in zip(
                    spans["movement_start"].values, spans["movement_end"].values, strict=True
                )
            ]
            turns = movement(shown)["end"] if shown else "largest"
            for end, extreme in (("maximum", np.nanmax), ("minimum", np.nanmin)):
                reached = [extreme(looked[window]) for window in windows]
                turn = turns == {"maximum": "largest", "minimum": "smallest"}[end]
                yield {
                    "clip": name,
                    "joint": f"{side} {joint}",
                    "shown": shown,
                    "end": end,
                    "ours": float(one[end]),
                    "half": Z95 * float(one[f"{end}_sd"]),
                    "picture": float(np.median(reached)),
                    "to_trunk": float(np.median([extreme(plain[window]) for window in windows])),
                    "movements": len(reached),
                    "spread": spread(spans["movement_extreme"].values) if turn else np.nan,
                    "picture_spread": spread(reached),
                    "detectable": float(one["detectable_change"]),
                }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--poses", type=Path, default=ROOT / "build" / "poses")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    options = parser.parse_args()
    rows = [
        row
        for clip in clips(options.data, options.poses, tuple(SEEN))
        for row in measured(clip.name, clip.pose)
    ]
    table = pd.DataFrame(rows)
    table["difference"] = table["ours"] - table["picture"]
    with pd.option_context("display.width", 200, "display.max_columns", None):
        repeated = ["movements", "spread", "picture_spread", "detectable"]
        ends = table.dropna(subset="ours").drop(columns=["note", *repeated])
        print(ends.round(1).to_string(index=False))
        print("\nThe same movement repeated: standard deviation of its turns")
        kept = ["clip", "joint", "shown", *repeated]
        print(table.dropna(subset="spread")[kept].round(1).to_string(index=False))
        print("\nNot told")
        for row in table[table["ours"].isna()].itertuples():
            print(f"{row.clip}, {row.joint}: {row.note}")
    told = table["difference"].abs().dropna()
    untold = 4 * sum(len(joints) for joints in SEEN.values()) - told.size
    print(f"\nwithin 6 degrees of the picture: {(told <= 6).sum()} of {told.size} ends")
    print(f"of {untold} others nothing is told")


if __name__ == "__main__":
    main()
