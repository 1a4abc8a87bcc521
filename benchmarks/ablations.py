"""Errors of the angles with each term of the fit left out in turn, against rendered truth.

usage: python benchmarks/ablations.py [--cache FOLDER] [--clips N] [--json] [--write]

Needs the poses and truths that `mobility virtual-lab sweep benchmarks/held_out.yaml --cache FOLDER`
left in its cache. Refused values count too, but in the last two columns. The table reports what
each term brings; settings are chosen on other clips.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from mobility.kinematics import fit
from mobility.kinematics.angles import angles_from_points, joint_angles
from mobility.kinematics.clean import clean_pose
from mobility.kinematics.depth import PAIRS
from mobility.kinematics.skeleton import KEYPOINTS
from mobility.progress import progress_bar
from mobility.virtual_lab.case import read_truth, truth_pose
from mobility.virtual_lab.grid import grid_cases, read_grid
from mobility.virtual_lab.sweep import case_folder, read_pose
from mobility.workbench.files import atomic

ROOT = Path(__file__).resolve().parents[1]
GRID = ROOT / "benchmarks" / "held_out.yaml"
TABLE = ROOT / "benchmarks" / "ablations.md"
COMMAND = "python benchmarks/ablations.py --write"

ANGLES = {
    "knee_flexion": "knee",
    "hip_flexion": "hip",
    "ankle_dorsiflexion": "ankle",
    "shoulder_flexion": "shoulder",
    "elbow_flexion": "elbow",
    "trunk_lean": "trunk lean",
}
MEAN = "mean of six"
GIVEN = {"elbow_given": "elbow given, %", "elbow_given_error": "error of these"}
"""Percent of the elbow's values that are not refused, and their mean absolute error."""

FULL = "full fit"

_NOTHING = 1e3
"""A standard deviation (metres, radians, logarithm, m/s²) with which a term says nothing."""

_FIXED = 1e-4
"""A standard deviation with which a number stays at what is usual."""

_PROCESSES = 2


class Variant(NamedTuple):
    """What takes the place of names of `mobility.kinematics.fit`, and options of `fit_body`."""

    names: Callable[[], Mapping[str, Any]]
    options: Mapping[str, Any] = {}


def _set(**names: Any) -> Variant:
    return Variant(lambda: names)


def _without_lengths() -> Mapping[str, Any]:
    loose = {name: segment._replace(sd=_NOTHING) for name, segment in fit._SEGMENTS.items()}
    unmoved = {name: segment._replace(ends=()) for name, segment in fit._SEGMENTS.items()}
    at_frames = fit._at_frames

    def not_made_constant(*given: Any) -> Any:
        with _replaced({"_SEGMENTS": unmoved}):
            return at_frames(*given)

    return {"_SEGMENTS": loose, "_at_frames": not_made_constant}


def _without_offsets(*, facing_only: bool) -> Mapping[str, Any]:
    return {
        "_OFFSETS": {
            name: offset._replace(mean=0.0, sd=_FIXED)
            if offset.facing or not facing_only
            else offset
            for name, offset in fit._OFFSETS.items()
        }
    }


def _without_pairs() -> Mapping[str, Any]:
    calibrated = fit.calibrated

    def of_segments(*given: Any, trial: Any) -> dict[str, Any]:
        depths = calibrated(*given, trial=trial)
        return {name: value for name, value in depths.items() if name not in PAIRS}

    return {"calibrated": of_segments}


VARIANTS: Mapping[str, Variant] = {
    FULL: _set(),
    "constant segment lengths": Variant(_without_lengths),
    "usual segment lengths": Variant(
        lambda: {"_RATIO_SD": np.full_like(fit._RATIO_SD, _NOTHING)},
    ),
    "scale": _set(_SCALE_SD=_NOTHING),
    "depth of world landmarks": _set(_depth_rows=lambda *given: None),
    "all corrections of landmarks": _set(
        calibrated=lambda *given, trial: {}, shifts=lambda *given, trial: {}
    ),
    "corrections in the picture": _set(shifts=lambda *given, trial: {}),
    "correction of depths from side to side": Variant(_without_pairs),
    "smoothness": _set(_ACCELERATION=_NOTHING),
    "planted feet, and with them correction": Variant(dict, {"feet_planted": False}),
    "planted feet, depths corrected": _set(_PLANTED_SD=_NOTHING),
    "common floor": _set(_FLAT_SD=_NOTHING),
    "balance": _set(_BALANCE_SD=_NOTHING),
    "weak pull to straight": _set(_LIMBS=()),
    "feet along the pelvis": _set(_TOE_OUT_SD=_NOTHING),
    "offsets of landmarks": Variant(partial(_without_offsets, facing_only=False)),
    "offsets with facing": Variant(partial(_without_offsets, facing_only=True)),
    "robust loss": _set(_HUBER=_NOTHING, _CAUCHY=_NOTHING, _DEPTH_CAUCHY=_NOTHING),
    "free focal length": _set(_FOCAL_SD=_FIXED),
    "free tilt": _set(_PITCH_SD=_FIXED, _ROLL_SD=_FIXED),
    "mirrored starts": _set(_mirrored=lambda joints, *, arms_only: {}),
}
"""By what is left out. The places of the feet being free, balance and floor say nothing either."""


@contextmanager
def _replaced(names: Mapping[str, Any]) -> Iterator[None]:
    before = {name: getattr(fit, name) for name in names}
    try:
        for name, value in names.items():
            setattr(fit, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(fit, name, value)


@contextmanager
def left_out(name: str) -> Iterator[Mapping[str, Any]]:
    """Leave a term out of all fits within; gives the options that `fit_body` needs besides."""
    variant = VARIANTS[name]
    with _replaced(variant.names()):
        yield variant.options


def clip_errors(folder: Path) -> dict[str, dict[str, float]]:
    """Mean absolute error of each angle of a case, degrees, by what was left out."""
    pose = clean_pose(read_pose(folder / "pose.nc"), visibility_threshold=fit.VISIBILITY_THRESHOLD)
    truth = joint_angles(truth_pose(read_truth(folder / "truth.nc")))
    truth = truth.interp(time=pose["time"].to_numpy())
    found = {}
    for name in VARIANTS:
        with left_out(name) as options:
            fitted = fit.fit_body(pose, **options)
        points = (
            fitted["position"]
            .isel(individual=0)
            .sel(space=["x", "y", "z"], keypoint=list(KEYPOINTS))
            .transpose("time", "keypoint", "space")
        )
        angles = angles_from_points(points.to_numpy().astype(np.float64))
        found[name] = {
            angle: float(np.nanmean(np.abs((angles[angle] - truth[angle] + 180) % 360 - 180)))
            for angle in ANGLES
        }
        elbows = joint_angles(fitted)["elbow_flexion"]
        known = np.isfinite(elbows)
        off = abs(elbows - truth["elbow_flexion"]).where(known).mean()
        found[name] |= {"elbow_given": 100 * float(known.mean()), "elbow_given_error": float(off)}
    return found


def errors(folders: list[Path]) -> list[dict[str, dict[str, float]]]:
    """Errors of all clips."""
    # Read by BLAS when the processes start; more threads than cores wait for each other.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    bar = progress_bar("leaving out terms", total=len(folders), unit="clip")
    found = []
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(_PROCESSES, mp_context=spawn) as pool:
        for clip in pool.map(clip_errors, folders):
            found.append(clip)
            bar.update()
    bar.close()
    return found


def table(clips: list[dict[str, dict[str, float]]]) -> tuple[pd.DataFrame, pd.Series]:
    """Means over clips; and how far the differences of the last column from the full fit err."""
    each = np.array([[[clip[v][a] for a in ANGLES] for v in VARIANTS] for clip in clips])
    frame = pd.DataFrame(each.mean(axis=0), index=list(VARIANTS), columns=list(ANGLES.values()))
    frame[MEAN] = frame.mean(axis=1)
    for key, name in GIVEN.items():
        frame[name] = [np.nanmean([clip[v][key] for clip in clips]) for v in VARIANTS]
    change = each.mean(axis=2) - each.mean(axis=2)[:, :1]
    spread = change.std(axis=0, ddof=1) if len(clips) > 1 else np.full(len(frame), np.nan)
    return frame, pd.Series(spread / np.sqrt(len(clips)), index=frame.index)


def markdown(frame: pd.DataFrame, error: pd.Series, clips: int) -> str:
    """Give the table as Markdown."""
    lines = [
        f"Made by `{COMMAND}`.",
        "",
        f"Mean absolute error in degrees over {clips} clips of `benchmarks/held_out.yaml`, one term"
        " of the fit left out in each",
        "row; values that the analysis refuses count too, but in the last two columns, which tell"
        " what mirrored starts",
        "are for: to find elbows that could as well be bent the other way, which are refused. ± is"
        " the standard error of the",
        "difference from the full fit on the same clips. Without planted feet nothing holds them to"
        " a floor or under the",
        "centre of mass either. Three terms hardly show here: the scale is for metres, which a"
        " picture does not contain and no angle",
        "depends on; smoothness is for gaps and noise; the robust loss is for landmarks that jump,"
        " which those of rendered people",
        "rarely do (`tests/kinematics/test_fit.py` has one that does).",
        "",
        "| left out | " + " | ".join(frame.columns) + " |",
        "|---|" + "---:|" * len(frame.columns),
    ]
    for name, row in frame.iterrows():
        cells = [f"{value:.2f}" for value in row]
        if name == FULL:
            name = "nothing: the full fit"
        elif np.isfinite(error[name]):
            cells[list(frame.columns).index(MEAN)] += f" ± {error[name]:.2f}"
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=ROOT / "build" / "virtual-lab")
    parser.add_argument("--clips", type=int, help="only the first N clips")
    parser.add_argument("--json", action="store_true", help="print JSON instead")
    parser.add_argument("--write", action="store_true", help=f"also write {TABLE.name}")
    given = parser.parse_args()
    if given.clips is not None and (given.clips < 1 or given.write):
        parser.error("--clips takes a number from 1, and not together with --write")
    cases = grid_cases(read_grid(GRID))[: given.clips]
    clips = errors([case_folder(given.cache, case) for case in cases])
    frame, error = table(clips)
    if given.json:
        rows = {
            name: {**row, "standard_error_of_difference": error[name]}
            for name, row in frame.round(4).to_dict("index").items()
        }
        known = error.notna().all()
        rows = rows if known else frame.round(4).to_dict("index")
        print(json.dumps({"clips": len(clips), "left_out": rows}, indent=2))
    else:
        print(markdown(frame, error, len(clips)), end="")
    if given.write:
        with atomic(TABLE) as hidden:
            hidden.write_text(markdown(frame, error, len(clips)), encoding="utf-8")


if __name__ == "__main__":
    main()
