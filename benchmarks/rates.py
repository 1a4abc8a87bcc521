"""Errors for real people, by the number of frames per second in which the pose is estimated.

usage: python benchmarks/rates.py [--data FOLDER] [--poses FOLDER] [--rates RATE ...] [--json]

The videos are those of real.py, each analysed again at each rate. If only landmarks of all frames
exist, the landmarks of skipped frames are left out. For each video, the script prints the mean
absolute errors of the fitted body in degrees, the share of the values within their stated
intervals, and the repetitions.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from balance import ROOT
from real import FIT, MAIN, body_of, clips, measured

import mobility as mb

RATES = ("10", "15", "20", "30", "all", "usual")


def at_rate(rate: str, data: Path, poses: Path) -> list[dict[str, Any]]:
    """Return the errors of every video at one rate, a row for each video and reference."""
    hz = float(rate) if rate.isdigit() else rate
    rows = []
    for clip in clips(data, poses / rate, rate=hz):
        errors = measured(clip, {FIT: {}}, others=False)
        for reference, here in errors[errors["posture"] == "all"].groupby("reference"):
            mae = here.set_index("angle")["mae"]
            told = here[here["given"] > 0]
            within = np.average(told["within"], weights=told["given"]) if len(told) else np.nan
            pose = clip.pose[0] if isinstance(clip.pose, tuple) else clip.pose
            frames = float(1 / np.median(np.diff(pose["time"])))
            rows.append(
                {
                    **{"clip": clip.name, "reference": reference, "rate": rate, "hz": frames},
                    **{angle: mae.get(angle, np.nan) for angle in MAIN},
                    **{"within": within, "given": here["given"].mean()},
                    "repetitions": int(
                        mb.find_repetitions(body_of(clip.pose, **clip.how)).sizes["rep"]
                    ),
                }
            )
    return rows


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--poses", type=Path, default=ROOT / "build" / "rates")
    parser.add_argument("--rates", nargs="+", default=RATES, metavar="RATE")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    rows = [row for rate in given.rates for row in at_rate(rate, given.data, given.poses)]
    table = pd.DataFrame(rows).sort_values(["clip", "reference"], kind="stable")
    text = table.round(2).to_string(index=False)
    print(table.to_json(orient="records") if given.json else text)


if __name__ == "__main__":
    main()
