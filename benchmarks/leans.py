"""How often a picture from the front shows that a trunk leans far forward, by its true lean.

usage: python benchmarks/leans.py --rendered CACHE ... [--fits FOLDER] [--people DATA POSES]
                                  [--write]

CACHES come from sweeps of leans.yaml, leans2.yaml, people2.yaml, people3.yaml, people4.yaml,
reporting2.yaml and reporting3.yaml, each in a folder with the name of its grid. Only the views from
the front count. `leans2.yaml` states which cases are for choosing the limit, and which for
reporting. The frames of the true repetitions are searched for a gross lean in the picture. Only
cases that show one are analysed completely, because no other case can get the statement. Their fits
are stored in the folder of `--fits`. `--people` adds real squats from the front, with the lean that
markers measured.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from real import body_of, clips, markdown

import mobility as mb
from mobility.assessment.findings import find
from mobility.assessment.phases import phase_frames
from mobility.assessment.posture import gross_lean_limit, trunk_in_picture
from mobility.keypoints.view import trial_view, view_of_azimuth
from mobility.sessions.files import read_dataset
from mobility.virtual_lab.case import read_case, read_truth, truth_pose, write_dataset

PAGE = Path(__file__).with_suffix(".md")
REPORTING = ("reporting2", "reporting3")
SPLIT = "leans2"
"""Grid in which cases with odd numbers are for choosing, and with even numbers for reporting."""
BINS = (0, 30, 35, 40, 45, 50, 55, 60, 65, 90)
RULE = "trunk_leans_forward"
FRONT_CLIPS = (
    "front_squats_arms_out",
    "front_squats_weights_at_shoulders",
    "front_squats_arms_hanging",
    "opencap_s4_squats1_phone",
    "front_one_squat_outdoors",
    "cmbbe_squats_cam0",
)


def half(grid: str, case: str) -> str:
    """Return the purpose of a case: choosing or reporting."""
    even = int(case.partition("-")[0]) % 2 == 0
    return "reporting" if grid in REPORTING or (grid == SPLIT and even) else "choosing"


def height_of_trunk(pose: xr.Dataset, repetitions: xr.Dataset) -> float:
    """Compute the height to which the limit applies, over the accepted repetitions."""
    frames = phase_frames(repetitions).isel(rep=np.flatnonzero(repetitions["accepted"]))
    standing, bottoms = (frames.sel(phase=each).to_numpy() for each in ("standing", "bottom"))
    return trunk_in_picture(pose, standing, bottoms)


def analysed(pose: xr.Dataset, kept: Path | None = None) -> tuple[xr.Dataset, xr.Dataset]:
    """Fit and measure a squat; a stored fit is not computed again."""
    if kept is not None and kept.is_file():
        body = read_dataset(kept)
    else:
        body = body_of(pose)
        if kept is not None:
            write_dataset(body, kept)
    return body, mb.overhead_squat(body, mb.joint_angles(body), mb.find_repetitions(body))


def check_of(metrics: xr.Dataset) -> dict[str, Any]:
    """Return the lean, the result of its check, and the statement beside it."""
    (check,) = (each for each in find(metrics) if each.rule == RULE)
    lean, sd = float(metrics["trunk_lean"]), float(metrics["trunk_lean_sd"])
    return {"lean": lean, "sd": sd, "result": check.result, "said": check.gross}


def rendered_rows(caches: list[Path], fits: Path | None) -> Iterator[dict[str, Any]]:
    """Describe each rendered case from the front."""
    for cache in caches:
        for folder in sorted(path.parent for path in cache.glob("*/pose.nc")):
            case = read_case(folder / "case.yaml")
            if view_of_azimuth(case.camera.azimuth) != "front":
                continue
            truth = truth_pose(read_truth(folder / "truth.nc"))
            repetitions = mb.find_repetitions(truth)
            true = mb.overhead_squat(truth, mb.joint_angles(truth), repetitions)
            pose = read_dataset(folder / "pose.nc")
            at_frames = pose.reindex(time=truth["time"], method="nearest", tolerance=0.03)
            height = height_of_trunk(at_frames, repetitions)
            row = {
                "people": half(cache.name, case.name),
                "case": f"{cache.name} {case.name}",
                "true lean": float(true["trunk_lean"]),
                "height": height,
                "shown": height < gross_lean_limit(),
            }
            if row["shown"]:
                kept = None if fits is None else fits / f"{cache.name}-{folder.name}.nc"
                row |= check_of(analysed(pose, kept)[1])
            yield row


def by_lean(rows: pd.DataFrame) -> pd.DataFrame:
    """Count, by true lean, how often the picture shows it, or the report or check states it."""
    lines = []
    for (people, leans), of_bin in rows.groupby(
        ["people", pd.cut(rows["true lean"], BINS)], observed=True
    ):
        shown = of_bin[of_bin["shown"]]
        results = shown["result"].value_counts() if "result" in shown else {}
        lines.append(
            {
                "squats": people,
                "true lean": f"{leans.left:g} to {leans.right:g}°",
                "number": len(of_bin),
                "shown in the picture": len(shown),
                "stated": int((shown["said"] != "").sum()) if len(shown) else 0,
                "instead: outside target": int(results.get("outside", 0)),
                "instead: other results": int(
                    sum(results.get(each, 0) for each in ("met", "borderline", "not_reported"))
                ),
                "height": f"{of_bin['height'].min():.2f} to {of_bin['height'].max():.2f}",
            }
        )
    return pd.DataFrame(lines)


def people_rows(data: Path, poses: Path, fits: Path | None) -> Iterator[dict[str, Any]]:
    """Describe filmed squats from the front."""
    for clip in clips(data, poses, FRONT_CLIPS):
        kept = None if fits is None else fits / f"{clip.name}.nc"
        body, metrics = analysed(clip.pose, kept)
        repetitions = mb.find_repetitions(body)
        check = check_of(metrics)
        true = np.nan
        if "markers" in clip.references:
            lean = clip.references["markers"]["trunk_lean"]
            true = float(lean.quantile(0.95))
        yield {
            "clip": clip.name,
            "view": trial_view(body),
            "lean": f"{check['lean']:.0f} ± {1.96 * check['sd']:.0f}°",
            "markers": "" if np.isnan(true) else f"{true:.0f}°",
            "height": f"{height_of_trunk(body, repetitions):.2f}",
            "result": check["result"],
            "stated": check["said"] or "nothing",
        }


def main() -> None:
    """Print the tables, or write them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rendered", type=Path, nargs="+", required=True)
    parser.add_argument("--fits", type=Path)
    parser.add_argument("--people", type=Path, nargs=2, metavar=("DATA", "POSES"))
    parser.add_argument("--write", action="store_true", help=PAGE.name)
    given = parser.parse_args()
    rows = pd.DataFrame([*rendered_rows(given.rendered, given.fits)])
    parts = [
        '# When a trunk "leans far forward" in a picture from the front',
        "Written by `python benchmarks/leans.py --rendered CACHE ... --people DATA POSES --write`."
        " The height of the trunk is that of the shoulders above the hips at the bottom, as a share"
        " of the height of the hips above the ankles in standing, both in the picture. It shows a"
        f" gross lean below {gross_lean_limit():g}. The statement is made only if the check of the"
        " trunk is inconclusive. The limit was chosen on the squats for choosing.",
        markdown(by_lean(rows)),
    ]
    shown = rows[rows["shown"]].sort_values("true lean")
    if len(shown):
        columns = ["people", "case", "true lean", "height", "lean", "sd", "result", "said"]
        parts += ["Squats in which the picture shows it:", markdown(shown[columns].round(2))]
    if given.people:
        parts += [
            "Filmed people:",
            markdown(pd.DataFrame([*people_rows(*given.people, given.fits)])),
        ]
    text = "\n\n".join(parts)
    print(text)
    if given.write:
        PAGE.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
