"""How often statements about a squat that two cameras filmed are right, against known truth.

usage: python benchmarks/findings_pairs.py [--cache FOLDER] [--grid GRID] [--clips N] [--resume]
                                           [--errors | --each] [--json] [--write]

Needs the extra virtual-lab: pairs of clips are rendered once into the cache. Statements are counted
as in findings.py. The fit is told nothing of the cameras, nor when they were started. --errors
prints how far the metrics are from the truth, as for metric_error.yaml.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr
from findings import (
    ROOT,
    Told,
    add_options,
    errors_of,
    measured,
    of_clips,
    report,
    told_of,
)
from pairs import Pair, cleaned, pair_folder, poses_of, read_pairs

from mobility.kinematics.fit import fit_body
from mobility.virtual_lab.case import read_truth, truth_pose, write_dataset
from mobility.virtual_lab.sweep import read_pose

GRID = ROOT / "benchmarks" / "findings_pairs.yaml"
TABLE = ROOT / "benchmarks" / "findings_pairs.md"
VIEW = "two-cameras"


def assessed(pair: Pair, cache: Path, *, resume: bool = False) -> tuple[xr.Dataset, xr.Dataset]:
    """Metrics of both recordings together, and of the truth."""
    poses = poses_of(pair, cache)
    folder = pair_folder(cache, pair)
    kept = folder / "fitted.nc"
    if resume and kept.is_file():
        fitted = read_pose(kept)
    else:
        fitted = fit_body([cleaned(pose) for pose in poses])
        write_dataset(fitted, kept)
    return measured(fitted), measured(truth_pose(read_truth(folder / "truth.nc")))


def pair_told(pair: Pair, *, cache: Path, resume: bool = False) -> list[Told]:
    """Collect what was said of each item in a trial."""
    return told_of(*assessed(pair, cache, resume=resume), VIEW, pair.case.name)


def pair_errors(pair: Pair, *, cache: Path, resume: bool = False) -> list[dict[str, Any]]:
    """Measured less true value of each metric that is compared, and of each side."""
    return errors_of(*assessed(pair, cache, resume=resume), VIEW, pair.case.name)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser, GRID, TABLE, ROOT / "build" / "pairs")
    given = parser.parse_args()
    pairs = read_pairs(given.grid)
    options = {"cache": given.cache, "resume": given.resume}
    report(given, pairs, partial(pair_told, **options), partial(pair_errors, **options), TABLE)


if __name__ == "__main__":
    main()
