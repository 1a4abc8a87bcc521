"""Draw knee and elbow of the demo with their intervals and the truth: docs/images/fit_error.svg."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt

import mobility as mb
from mobility.kinematics.expected_error import Z95
from mobility.virtual_lab.case import read_truth, truth_pose

PROJECT = Path(__file__).resolve().parents[1]
SIDE = "left"


def main() -> None:
    """Write the figure."""
    mpl.rcParams["svg.hashsalt"] = "mobility"
    angles = mb.Store(PROJECT / "data" / "sessions").demo("Overhead Squat").angles()
    truth = mb.joint_angles(truth_pose(read_truth(PROJECT / "data/demo/overhead-squat/truth.nc")))
    figure, axes = plt.subplots(2, 1, sharex=True, figsize=(7, 4.2), layout="constrained")
    for axis, name in zip(axes, ("knee_flexion", "elbow_flexion"), strict=True):
        value, sd = (angles[each].sel(side=SIDE).squeeze() for each in (name, f"{name}_sd"))
        time = value["time"]
        half = Z95 * sd
        axis.fill_between(time, value - half, value + half, color="#0072b2", alpha=0.2, lw=0)
        axis.plot(time, value, color="#0072b2", label="fitted body, ± 95 %")
        true = truth[name].sel(side=SIDE).squeeze()
        axis.plot(true["time"], true, "--", color="#222222", lw=1.2, label="truth")
        axis.set_ylabel(f"{name.replace('_', ' ')}, °")
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].legend(frameon=False, ncols=2, loc="lower right", bbox_to_anchor=(1, 1))
    axes[1].set_xlabel("time, s")
    figure.savefig(PROJECT / "docs" / "images" / "fit_error.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
