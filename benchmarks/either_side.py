"""Results of checks for people on both sides of a target, which decide whether checks stay.

usage: python benchmarks/either_side.py --cache CACHE [--write]

CACHE contains the poses and truths of either_side.yaml. The head of that file states which views
count, and by which rule a check stays. The targets are stored here, because a check that was
removed has no target in its table. A case counts if its true value is farther from the target than
the margin. The probabilities of results come from the current findings.yaml.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from findings import ROOT, assessed, of_clips

from mobility import tables
from mobility.assessment.criteria import is_stated, probability_of
from mobility.keypoints.view import view_of_azimuth
from mobility.virtual_lab.case import read_case
from mobility.virtual_lab.grid import grid_cases, read_grid
from mobility.virtual_lab.sweep import case_folder

GRID = ROOT / "benchmarks" / "either_side.yaml"
PAGE = GRID.with_suffix(".md")
RESULTS = ("outside", "met", "borderline", "inconclusive", "not reported")
FEWEST = 8
"""Number of people on either side of a target."""


class Check(NamedTuple):
    """The target of a check, and the views in which it is counted."""

    metric: str
    direction: str
    target: float
    margin: float
    views: tuple[str, ...]


_SIDES = ("front", "front-oblique")
CHECKS = {
    "hip_flexion_asymmetry": Check("hip_flexion_asymmetry", "outside", 10, 5, _SIDES),
    "knee_flexion_asymmetry": Check("knee_flexion_asymmetry", "outside", 10, 5, _SIDES),
    "ankle_dorsiflexion_asymmetry": Check("ankle_dorsiflexion_asymmetry", "outside", 10, 5, _SIDES),
    "knee_deviation_asymmetry": Check("knee_deviation_asymmetry", "outside", 0.2, 0.1, _SIDES),
    "hip_adduction": Check("hip_abduction", "below", 0, 5, _SIDES),
    "arms_fall_forward": Check("arm_fall", "above", 10, 10, ("front-oblique", "side")),
    "dowel_not_over_feet": Check("dowel_offset", "outside", 0.5, 0.25, (*_SIDES, "side")),
}


def beyond(value: Any, check: Check) -> Any:
    """Return how far a value is outside the target; below 0 if it is within the target."""
    of = {"outside": np.abs(value), "above": value, "below": -value}[check.direction]
    return of - (-check.target if check.direction == "below" else check.target)


def result(value: float, sd: float, check: Check) -> str:
    """Return the result of a check."""
    if not np.isfinite(value + sd):
        return "not reported"

    def above(limit: float) -> float:
        return float(probability_of(value, sd, limit, side="above"))

    target, margin = check.target, check.margin
    near = above(target - margin) - above(target + margin)
    if check.direction == "outside":
        near += above(-target - margin) - above(-target + margin)
    if near >= tables.load("findings")["results"]["borderline"]:
        return "borderline"
    stated = is_stated(float(probability_of(value, sd, target, side=check.direction)))
    return {True: "outside", False: "met", None: "inconclusive"}[stated]


def case_rows(folder: Path) -> list[dict[str, Any]]:
    """Yield the results of the checks of a case whose true value is clear, one row per side."""
    metrics, truth = assessed(folder, resume=True)
    case = read_case(folder / "case.yaml")
    view = view_of_azimuth(case.camera.azimuth)
    return rows_of(metrics, truth, view=view, person=case.name.partition("-")[0])


def rows_of(
    metrics: xr.Dataset, truth: xr.Dataset, *, view: str, person: str
) -> list[dict[str, Any]]:
    """Return the results of each check that is counted in a view, one row per side."""
    rows = []
    for name, check in CHECKS.items():
        if view not in check.views:
            continue
        true, value, sd = (
            np.atleast_1d(of[key].to_numpy())
            for of, key in (
                (truth, check.metric),
                (metrics, check.metric),
                (metrics, f"{check.metric}_sd"),
            )
        )
        far = beyond(true, check)
        rows += [
            {
                **{"check": name, "view": view, "person": person, "outside": bool(far[i] > 0)},
                **{"result": result(value[i], sd[i], check)},
                "z": (value[i] - true[i]) / sd[i],
            }
            for i in range(true.size)
            if abs(far[i]) > check.margin
        ]
    return rows


def decision(rows: pd.DataFrame, check: Check) -> str:
    """State whether a check stays, or that a view has too few people to decide."""
    people = rows.groupby("view")["person"].nunique()
    if any(people.get(view, 0) < FEWEST for view in check.views):
        return "stays, open"
    return "stays" if stays(rows) else "removed"


def stays(rows: pd.DataFrame) -> bool:
    """Whether a check stays, by the rule of the grid."""
    there, absent = rows[rows["outside"]], rows[~rows["outside"]]
    return bool(
        3 * (there["result"] == "outside").sum() >= len(there)
        and 10 * (there["result"] == "met").sum() <= len(there)
        and 10 * (absent["result"] == "outside").sum() <= len(absent)
    )


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Count the results by check, true side and view."""
    made = []
    for name, of_check in rows.groupby("check", sort=False):
        kept = decision(of_check, CHECKS[str(name)])
        for outside in (True, False):
            own = of_check[of_check["outside"] == outside]
            for view in ("all", *CHECKS[str(name)].views):
                seen = own if view == "all" else own[own["view"] == view]
                made.append(
                    {
                        "check": str(name).replace("_", " "),
                        "truth": "outside" if outside else "not outside",
                        **{"view": view, "people": seen["person"].nunique(), "cases": len(seen)},
                        **{each: int((seen["result"] == each).sum()) for each in RESULTS},
                        "check stays": kept if view == "all" else "",
                    }
                )
    return pd.DataFrame(made)


def rendered(cache: Path) -> list[Path]:
    """Return the folders of the rendered cases of the grid."""
    drawn = map(partial(case_folder, cache), grid_cases(read_grid(GRID)))
    return [folder for folder in drawn if (folder / "pose.nc").is_file()]


def page(rows: pd.DataFrame, folders: list[Path]) -> str:
    """Return the counts as Markdown."""
    views = pd.Series([view_of_azimuth(read_case(f / "case.yaml").camera.azimuth) for f in folders])
    videos = ", ".join(f"{count} {view}" for view, count in views.value_counts().items())
    errors = rows.groupby("check", sort=False)["z"].agg(lambda z: np.sqrt((z**2).mean()))
    lines = [
        "# Checks on either side of their targets",
        "",
        "Written by `python benchmarks/either_side.py --cache CACHE --write` from"
        f" {len(folders)} videos ({videos}) of [`either_side.yaml`](either_side.yaml), whose head"
        " has the rule by which a check stays.",
        "Each case is a person in one view, or one side of the body for hip adduction. Only cases"
        " whose true value is farther from the target than the margin are counted.",
        f"A check is open, and stays, if a view that counts has fewer than {FEWEST} people. The"
        " head of the grid does not say so: this was added when rendering ended early, after first"
        " counts had been seen.",
        "Without it the hands over the feet would be removed by the cases that were rendered, and"
        " the arms would stay. The order of rendering followed what was drawn; only the side views"
        " were moved before the last front views after the first counts.",
        "",
        *_markdown(table(rows)),
        "",
        "Root mean square of the errors of these cases, in units of the stated standard errors:",
        "",
        *_markdown(errors.map("{:.2f}".format).rename("error").reset_index()),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Print the table, or write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--write", action="store_true", help=PAGE.name)
    given = parser.parse_args()
    folders = rendered(given.cache)
    rows = pd.DataFrame([row for each in of_clips(case_rows, folders) for row in each])
    text = page(rows, folders)
    print(text)
    if given.write:
        PAGE.write_text(text, encoding="utf-8")


def _markdown(frame: pd.DataFrame) -> list[str]:
    head = ["| " + " | ".join(frame) + " |", "|" + "---|" * frame.shape[1]]
    return head + ["| " + " | ".join(map(str, row)) + " |" for row in frame.to_numpy(dtype=object)]


if __name__ == "__main__":
    main()
