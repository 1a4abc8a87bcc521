"""Render the descents of a grid of squats, and find their poses, to learn from (calibrate_fit.py).

usage: python scripts/render_descents.py GRID.yaml CACHE [--part K/N]

Needs the extra virtual-lab. Each squat is rendered from standing until just after its bottom, and
compressed quickly, which takes half the time of `mobility virtual-lab sweep`; in random order, so
that those that are done when it is stopped are of all views. What the cache has is not done again,
also after a change of the pose model. --part 1/2 does every second case and --part 2/2 the others,
for two processes side by side.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import numpy as np

from mobility.capture.pose import estimate_pose
from mobility.capture.video import write_video
from mobility.errors import BadInputError
from mobility.progress import progress_bar
from mobility.virtual_lab.case import (
    Case,
    film_case,
    perform_case,
    true_positions,
    write_dataset,
)
from mobility.virtual_lab.grid import grid_cases, read_grid
from mobility.virtual_lab.squat import Squat
from mobility.virtual_lab.sweep import case_folder

log = logging.getLogger(__name__)

AFTER_S = 0.2
"""Seconds from the end of the bottom phase that are rendered too."""


def render_descent(case: Case, folder: Path) -> None:
    """Leave pose and truth of the descent of a squat in a folder."""
    motion, film = case.motion, case.video
    assert isinstance(motion, Squat)
    until = motion.lead_s + motion.descent_s + motion.bottom_s + AFTER_S
    time = np.arange(round(until * film.frame_rate)) / film.frame_rate
    body, trial = perform_case(case, time)
    folder.mkdir(parents=True, exist_ok=True)
    video = folder / "video.mp4"
    write_video(video, film_case(case, body, trial), crf=film.crf, preset="ultrafast")
    write_dataset(estimate_pose(video, workers=1), folder / "pose.nc")
    write_dataset(true_positions(case, body, trial), folder / "truth.nc")
    video.unlink()


def part_of(text: str) -> slice:
    """Read K/N: every Nth case from the Kth on."""
    number, _, of = text.partition("/")
    if not (number.isdigit() and of.isdigit() and 1 <= int(number) <= int(of)):
        raise argparse.ArgumentTypeError("K/N has K from 1 to N, as in 1/2")
    return slice(int(number) - 1, None, int(of))


def main() -> None:
    """Render."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("grid", type=Path)
    parser.add_argument("cache", type=Path)
    parser.add_argument("--part", type=part_of, default="1/1", metavar="K/N")
    given = parser.parse_args()
    cases = grid_cases(read_grid(given.grid))
    order = np.random.default_rng(0).permutation(len(cases))[given.part]
    with progress_bar("rendering descents", total=len(order), unit="case") as bar:
        for number in order:
            whole = case_folder(given.cache, cases[number])
            folder = whole.with_name(f"{whole.name}-descent")  # which a sweep does not take
            if not (folder / "truth.nc").is_file():
                try:
                    render_descent(cases[number], folder)
                    log.info("%s", folder.name)
                except BadInputError as error:  # some of the bodies that were drawn would fall
                    log.warning("%s is left out: %s", folder.name, error)
            bar.update()


if __name__ == "__main__":
    main()
