"""What merging the films of a visit gives, counted on rendered people and on two phones.

usage: python benchmarks/visits.py --cache CACHE [--render] [--write]

`--render` films the people of visits.yaml into CACHE, each squat obliquely, from the front and from
a side. People, cameras and the rules of merging were chosen before any was seen.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from mobility.virtual_lab.case import Case
from mobility.virtual_lab.grid import VIEWS, Grid, grid_cases
from mobility.virtual_lab.sweep import sweep

PEOPLE = Path(__file__).with_name("visits.yaml")
CAMERA = ("height_m", "field_of_view", "aim", "framing", "roll")
"""What else is drawn of a camera, from the ranges of the grid."""


def films() -> list[list[Case]]:
    """Return the films of each person: obliquely, from the front, from a side."""
    drawn = yaml.safe_load(PEOPLE.read_text(encoding="utf-8"))
    values = yaml.safe_load((PEOPLE.parent / drawn["like"]).read_text(encoding="utf-8"))
    sample = values["sample"]
    sample |= {key: drawn[key] for key in ("seed", "views", "parts")}
    sample["ranges"] |= drawn["ranges"]
    people = grid_cases(Grid.model_validate({"name": PEOPLE.stem, **values}))
    of_people = [[person] for person in people]
    for number, person in enumerate(people):
        rng = np.random.default_rng([drawn["seed"], number])
        content = person.model_dump(mode="json", exclude={"name", "camera"})
        others = [
            {**content, "name": f"{person.name}-{name}", "camera": _camera(rng, views, sample)}
            for name, views in drawn["others"].items()
        ]
        of_people[number] += grid_cases(Grid(name=PEOPLE.stem, cases=others))
    return of_people


def _camera(rng: np.random.Generator, views: list[str], sample: dict[str, Any]) -> dict[str, float]:
    """Draw a camera in one of some views."""
    low, high, _ = VIEWS[str(rng.choice(views))]
    camera = {"azimuth": round(float(rng.uniform(low, high)), 1)}
    for key in CAMERA:
        stretch = sample["ranges"][f"camera.{key}"]
        value = float(rng.uniform(stretch["low"], stretch["high"]))
        if rng.random() < stretch.get("share", 1.0):
            camera[key] = round(value, 3)
    return camera


def main() -> None:
    """Render the films."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--render", action="store_true", help="film the people")
    given = parser.parse_args()
    if given.render:
        sweep([film for person in films() for film in person], given.cache, resume=True)


if __name__ == "__main__":
    main()
