"""Errors of the movements of single joints against rendered truth.

usage: python benchmarks/joints.py [--grid GRID.yaml] [--cache FOLDER] [--cases NAME ...]
                                    [--rendered-only] [--render]

Needs the extra virtual-lab.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
import yaml

import mobility as mb
from mobility.errors import BadInputError
from mobility.virtual_lab.case import Case, case_from, read_truth, render_case, write_dataset

ROOT = Path(__file__).resolve().parents[1]


class Clip(NamedTuple):
    """A case, and how it is filmed: how much of the body, degrees beside the right view."""

    case: Case
    setup: str
    crop: str
    beside: float


def clips(grid: Path) -> Iterator[Clip]:
    """Clips of a grid: its cases laid over its defaults, or each set-up with a person drawn."""
    table = yaml.safe_load(grid.read_text(encoding="utf-8"))
    if "like" in table:
        table = yaml.safe_load((grid.parent / table["like"]).read_text(encoding="utf-8")) | table
    for own in table.get("cases", ()):
        values: dict[str, Any] = {"name": own["name"], "body": own["body"]}
        for section, defaults in table["defaults"].items():
            values[section] = {**defaults, **own.get(section, {})}
        case = case_from(values, what=f"{grid.name}, {own['name']}")
        yield Clip(case, own["name"], "", 0.0)
    drawn = itertools.product(table.get("clips", ()), table.get("setups", {}))
    for number, (clip, setup) in enumerate(drawn):
        rng = np.random.default_rng([table["seed"], number])
        values = _drawn(table, setup, clip, number, rng)
        yield Clip(case_from(values, what=f"{grid.name}, {values['name']}"), setup, **clip)


def _drawn(
    table: Mapping[str, Any],
    setup: str,
    clip: Mapping[str, Any],
    number: int,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """Values of a case of a set-up; women and men take turns."""
    ranges, how = table["ranges"], table["setups"][setup]

    def pick(stretch: list[Any]) -> Any:
        if len(stretch) == 2 and all(isinstance(end, float) for end in stretch):
            return round(float(rng.uniform(*stretch)), 3)
        return stretch[rng.integers(len(stretch))]

    person = {
        key: pick(values)
        for key, values in ranges["people"][number % len(ranges["people"])].items()
    }
    tall = person["height_m"]
    person["weight_kg"] = round(person.pop("bmi") * tall**2, 1)
    motion = {**table["defaults"]["motion"], "side": pick(ranges["sides"])}
    motion |= {key: pick(values) for key, values in ranges["motion"].items()}
    motion |= {"to": pick(how["to"])} | how["motion"]
    sign = {"left": 1, "right": -1, "both": int(rng.choice([1, -1]))}[motion["side"]]
    # Beside a view from the side the camera stands farther in front, as who films sees the face.
    beside = clip["beside"] * (-sign if how["view"] == "side" else int(rng.choice([1, -1])))
    azimuth = beside + (90 * sign if how["view"] == "side" else 0)
    frame = how[clip["crop"]]
    far, above = (pick(ranges["camera"][key]) for key in (clip["crop"], "above_m"))
    turn = np.radians(azimuth)
    outwards, ahead = sign * frame.get("outwards", 0.0), frame.get("ahead", 0.0)
    camera = {
        "azimuth": azimuth,
        "distance_m": far,
        "height_m": round(frame["aim"] * tall + above, 3),
        "tilt": round(-float(np.degrees(np.arctan2(above, far))), 2),
        "across_m": round(float(np.cos(turn) * outwards - np.sin(turn) * ahead) * tall, 3),
        "field_of_view": round(2 * float(np.degrees(np.arctan2(frame["span"] * tall / 2, far))), 2),
    }
    return {
        "name": f"{setup}-{clip['crop']}-{clip['beside']}",
        "body": person,
        "motion": motion,
        "camera": camera,
        "look": {key: pick(values) for key, values in ranges["look"].items()},
        "video": table["defaults"]["video"]
        | (table["landscape"] if frame.get("landscape") else {}),
    }


def pose_and_truth(case: Case, cache: Path) -> tuple[xr.Dataset, xr.Dataset]:
    """Pose and truth of a case, rendered unless the cache has them.

    Raises
    ------
    BadInputError
        What the cache has under this name is another case.
    """
    folder = cache / case.name
    if not (folder / "pose.nc").is_file():
        video, _ = render_case(case, folder)
        write_dataset(mb.estimate_pose(video), folder / "pose.nc")
    truth = read_truth(folder / "truth.nc")
    if case_from(yaml.safe_load(truth.attrs["case"])) != case:
        raise BadInputError(f"{folder}: is another case of this name; give another --cache")
    return xr.load_dataset(folder / "pose.nc", engine="h5netcdf"), truth


def main() -> None:
    """Render what the cache lacks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--grid", type=Path, default=ROOT / "benchmarks" / "movements.yaml")
    parser.add_argument("--cache", type=Path, default=ROOT / "build" / "joints")
    parser.add_argument("--cases", nargs="*", help="only these")
    options = parser.parse_args()
    for clip in clips(options.grid):
        if not options.cases or clip.case.name in options.cases:
            pose_and_truth(clip.case, options.cache)
            print(clip.case.name, flush=True)


if __name__ == "__main__":
    main()
