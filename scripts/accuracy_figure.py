"""Draw the errors by angle and view, for filmed and rendered people: docs/images/accuracy.svg.

The numbers come from the tables that scripts/accuracy_tables.py writes.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from accuracy_tables import SQUATS, VIEWS, WALKERS, Film, lab_error

PROJECT = Path(__file__).resolve().parents[1]
PICTURE = PROJECT / "docs" / "images" / "accuracy.svg"
ANGLES = {
    "knee_flexion": "knee",
    "hip_flexion": "hip",
    "ankle_dorsiflexion": "ankle",
    "trunk_lean": "trunk",
    "shoulder_flexion": "shoulder",
    "elbow_flexion": "elbow",
}
SEEN_FROM = ("front", "front-oblique", "side", "back-oblique", "back")
COLOURS = ("#0072b2", "#56b4e9", "#009e73", "#cc79a7", "#999999")
LEGEND = {
    "loc": "upper left",
    "frameon": False,
    "fontsize": 8,
    "title_fontsize": 8,
    "alignment": "left",
}


def main() -> None:
    """Draw a bar for each view of the rendered squats, and points for the people on video."""
    mpl.rcParams["svg.hashsalt"] = "mobility"
    film = Film((PROJECT / "benchmarks" / "real.md").read_text(encoding="utf-8"))
    figure, axis = plt.subplots(figsize=(8, 3.6), layout="constrained")
    places = np.arange(len(ANGLES))
    bars = []
    with xr.open_dataset(PROJECT / "reports" / "virtual-lab" / "virtual-lab.nc") as lab:
        number = lab.sizes["case"]
        for i, view in enumerate(SEEN_FROM):
            errors = [lab_error(lab, name, "mae", view) for name in ANGLES]
            bars.append(axis.bar(places + 0.15 * (i - 2.5), errors, 0.14, color=COLOURS[i]))
            bars[-1].set_label(VIEWS.get(view, view))
    points = []
    for clips, reference, words, marker in (
        (film.clips("standing"), "standing", "people who stand straight", "_"),
        (WALKERS, "markers", "two walkers", "x"),
        (SQUATS, "markers", "five squats of one woman", "D"),
    ):
        each = [
            (place, film.of(clip, name.replace("_", " "), reference=reference))
            for place, name in enumerate(ANGLES)
            for clip in clips
        ]
        shown = [(place + 0.42, one.error) for place, one in each if one is not None]
        points.append(axis.scatter(*zip(*shown, strict=True), marker=marker, s=26, color="#d55e00"))
        points[-1].set_label(words)
    axis.set_xticks(places, list(ANGLES.values()))
    axis.set_ylabel("mean absolute error, °")
    axis.spines[["top", "right"]].set_visible(False)
    rendered = axis.legend(handles=bars, title=f"squats of {number} rendered people", **LEGEND)
    axis.add_artist(rendered)
    axis.legend(handles=points, title="on video", bbox_to_anchor=(0.28, 1), **LEGEND)
    figure.savefig(PICTURE, metadata={"Date": None})


if __name__ == "__main__":
    main()
