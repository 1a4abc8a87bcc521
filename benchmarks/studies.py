"""Seconds and memory that a study takes, from its list to the pages on reliability and groups.

Each of the people is filmed twice. Their sessions are copies of the analysed demo, with different
numbers.

    python benchmarks/studies.py --people 100
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import xarray as xr

from mobility.pipeline.metrics_table import write_metrics_table
from mobility.sessions.files import read_dataset, write_dataset

DEMO = Path(__file__).parents[1] / "data" / "demo" / "overhead-squat"
FILES = ("session.json", "metrics.nc", "angles.nc", "repetitions.nc", "capture_quality.json")
COMMANDS = (
    ("groups", "--by", "group", "--within", "visit", "--adjust", "age"),
    ("reliability",),
)


def made_study(folder: Path, people: int) -> Path:
    """Fill the store of a folder, and return the list of the study."""
    rng = np.random.default_rng(1)
    metrics = read_dataset(DEMO / "metrics.nc")
    numbers = numbers_of(metrics)
    angles = read_dataset(DEMO / "angles.nc")
    rows = ["session,participant,visit,group,age"]
    for person in range(people):
        usual = {name: rng.normal(1, 0.1) for name in numbers}
        group, age = ("patients", "controls")[person % 2], rng.integers(20, 60)
        for visit in (1, 2):
            session = f"s{person}v{visit}"
            place = folder / "sessions" / session
            place.mkdir(parents=True)
            for file in FILES:
                shutil.copy2(DEMO / file, place / file)
            factors = {name: usual[name] * rng.normal(1, 0.03) for name in numbers}
            changed = metrics.assign({name: metrics[name] * factors[name] for name in numbers})
            write_dataset(place / "metrics.nc", changed)
            curves = {each: angles[each] * factors.get(each, 1) for each in numbers_of(angles)}
            write_dataset(place / "angles.nc", angles.assign(curves))
            write_metrics_table(place / "metrics.parquet", changed)
            record = json.loads((place / "session.json").read_text())
            record |= {"session_id": session, "user_id": f"p{person}"}
            for stage in ("metrics", "table", "angles"):
                file = place / record["stages"][stage]["file"]
                digest = hashlib.sha256(file.read_bytes()).hexdigest()
                record["stages"][stage]["sha256"] = digest
            (place / "session.json").write_text(json.dumps(record))
            rows.append(f"{session},p{person},{visit},{group},{age}")
    path = folder / "study.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


def numbers_of(dataset: xr.Dataset) -> list[str]:
    """Return the names of the measures, without errors and flags."""
    return [
        str(name)
        for name, each in dataset.data_vars.items()
        if each.dtype.kind == "f" and not str(name).endswith(("_sd", "_sem"))
    ]


def main() -> None:
    """Make the study, run the commands on it, and print the time and memory that they take."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, default=100)
    people = parser.parse_args().people
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        study = made_study(folder, people)
        stores = {"STORE": "sessions", "REPORTS": "reports"}
        places = {f"MOBILITY_{name}": str(folder / each) for name, each in stores.items()}
        print(f"{people} people, {2 * people} sessions")
        for command, *options in COMMANDS:
            before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
            done = [Path(sys.executable).with_name("mobility"), command, study, *options]
            subprocess.run(
                list(map(str, done)), env={**os.environ, **places}, check=True, capture_output=True
            )
            used, seconds = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic() - begun
            computed = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
            # The largest of the processes so far, a kernel of a report among them.
            memory = used.ru_maxrss / 1024
            pages = len(list((folder / "reports").glob(f"{command}-study*/*.html")))
            print(f"{command:12} {seconds:6.1f} s ({computed:5.1f} s CPU) {memory:6.0f} MB", pages)


if __name__ == "__main__":
    main()
