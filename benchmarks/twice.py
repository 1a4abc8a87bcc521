"""A study of reliability in the virtual lab: 12 rendered people, filmed twice.

usage: python benchmarks/twice.py --cache CACHE [--render] [--write]

CACHE has the cases of reporting.yaml as `mobility virtual-lab sweep` leaves them; `--render` films
the first 12 people whom the package asks to be filmed so (front and front-oblique) once more into
it, the camera put up again by eye, as movements_twice.yaml says. What the study finds, as
`mb.reliability` computes it, stands beside the errors that the package states. People, cameras
and changes were chosen before any second film was seen, and no error was chosen on them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from reported import again_cases

from mobility.virtual_lab.case import Case
from mobility.virtual_lab.sweep import sweep

GRID = Path(__file__).with_name("reporting.yaml")
PEOPLE, VIEWS = 12, ("front-oblique-left", "front-oblique-right", "front")


def pairs() -> list[tuple[Case, Case]]:
    """Return the first and second film of each person."""
    chosen = [pair for pair in again_cases(GRID) if pair[0].name.partition("-")[2] in VIEWS]
    return chosen[:PEOPLE]


def main() -> None:
    """Render, and print or write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--render", action="store_true")
    given = parser.parse_args()
    if given.render:
        sweep([again for _, again in pairs()], given.cache, resume=True)


if __name__ == "__main__":
    main()
