"""How often statements about a squat that two cameras filmed are right, against known truth.

usage: python benchmarks/findings_pairs.py [--cache FOLDER] [--grid GRID ...] [--clips N] [--resume]
                                           [--alone] [--errors | --each] [--json] [--write]

Needs the extra virtual-lab: pairs of clips are rendered once into the cache. Statements are counted
as in findings.py. The fit is told nothing of the cameras, nor when they were started. --alone
assesses each camera by itself instead of both; --errors prints how far the metrics are from the
truth.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import xarray as xr
from findings import (
    ROOT,
    Told,
    add_options,
    errors_of,
    measured,
    options,
    report,
    told_of,
)
from pairs import Pair, cleaned, pair_folder, poses_of, read_pairs

from mobility.kinematics.fit.entry import fit_body
from mobility.view import TWO_CAMERAS, view_of_azimuth
from mobility.virtual_lab.case import read_truth, truth_pose, write_dataset
from mobility.virtual_lab.sweep import read_pose

GRIDS = [ROOT / "benchmarks" / "findings_pairs_2.yaml"]
TABLE = ROOT / "benchmarks" / "findings_pairs.md"
COMMAND = "python benchmarks/findings_pairs.py --write"


class Seen(NamedTuple):
    """A trial as both cameras saw it, or (`camera`) as one of them did."""

    pair: Pair
    camera: int | None = None

    @property
    def view(self) -> str:
        """Kind of view."""
        if self.camera is None:
            return TWO_CAMERAS
        azimuth = (self.pair.case.camera.azimuth, self.pair.second.camera["azimuth"])[self.camera]
        return view_of_azimuth(azimuth)


def assessed(seen: Seen, cache: Path, *, resume: bool = False) -> tuple[xr.Dataset, xr.Dataset]:
    """Metrics of the recordings, and of the truth."""
    poses = poses_of(seen.pair, cache)
    folder = pair_folder(cache, seen.pair)
    kept = folder / f"fitted{'' if seen.camera is None else f'-{seen.camera + 1}'}.nc"
    if resume and kept.is_file():
        fitted = read_pose(kept)
    else:
        used = poses if seen.camera is None else [poses[seen.camera]]
        fitted = fit_body([cleaned(pose) for pose in used])
        write_dataset(fitted, kept)
    return measured(fitted), measured(truth_pose(read_truth(folder / "truth.nc")))


def pair_told(seen: Seen, *, cache: Path, resume: bool = False) -> list[Told]:
    """Collect what was said of each item in a trial."""
    return told_of(*assessed(seen, cache, resume=resume), seen.view, seen.pair.case.name)


def pair_errors(seen: Seen, *, cache: Path, resume: bool = False) -> list[dict[str, Any]]:
    """Measured less true value of each metric that is compared, and of each side."""
    return errors_of(*assessed(seen, cache, resume=resume), seen.view, seen.pair.case.name)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser, GRIDS, TABLE, ROOT / "build" / "pairs")
    parser.add_argument("--alone", action="store_true", help="each camera by itself instead")
    given = options(parser, GRIDS)
    if given.alone and given.write:
        parser.error("--write goes with both cameras")
    cameras = (0, 1) if given.alone else (None,)
    kept = {"cache": given.cache, "resume": given.resume}
    report(
        given,
        [
            Seen(pair, camera)
            for grid in given.grid
            for pair in read_pairs(grid)
            for camera in cameras
        ],
        partial(pair_told, **kept),
        partial(pair_errors, **kept),
        command=COMMAND,
        to=TABLE,
    )


if __name__ == "__main__":
    main()
