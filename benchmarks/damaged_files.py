"""Damaged keypoint files of every format, and files that ask for too much: the cost of reading.

usage: PYTHONPATH=tests python benchmarks/damaged_files.py [--number N] [--seed SEED] [--write]

A file is cut off, or has changed bytes, fields of another type, no numbers, or huge numbers. Each
file is read in a separate process, which may use at most `MEMORY` and `SECONDS`. The file is read,
or rejected with one line. If the process ends with another exception, or is killed, this is a bug.
Memory is what the process uses in addition to the imports. `--write` stores the table in
damaged_files.md.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import resource
import shutil
import signal
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import scipy.interpolate
import scipy.io
import scipy.signal
import written_keypoints as written
import xarray as xr

import mobility as mb
from mobility.errors import MobilityError
from mobility.keypoints.sources import points_of
from mobility.kinematics.calibration import read_calibration
from mobility.sessions.files import write_dataset
from tests.analytic import squat_pose

SIZE, RATE = (160, 120), 30
MEMORY = 8 << 30
SECONDS = 120
HERE = Path(__file__).parent
IMPORTED = (scipy.interpolate, scipy.io, scipy.signal)
"""Modules that readers import late; otherwise their memory would count for the first file."""


class Outcome(NamedTuple):
    """How a process that read a file ended, its largest memory, and its time."""

    how: str
    megabytes: float
    seconds: float
    words: str


def outcome_of(read: Callable[[], object]) -> Outcome:
    """Read a file in a fork of this process, within limits."""
    receive, send = os.pipe()
    began = time.monotonic()
    child = os.fork()
    if not child:
        os.close(receive)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        signal.alarm(SECONDS)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        how, words = "read", ""
        try:
            read()
        except MobilityError as error:
            how, words = "refused", str(error)
        except BaseException as error:
            how, words = "raw exception", f"{type(error).__name__}: {error}"
        if "\n" in words and how == "refused":
            how = "raw exception"
        taken = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        os.write(send, json.dumps([how, taken / 1024, words[:300]]).encode())
        os._exit(0)
    os.close(send)
    with os.fdopen(receive) as answer:
        text = answer.read()
    _, _, usage = os.wait4(child, 0)
    seconds = time.monotonic() - began
    if not text:
        return Outcome("killed", usage.ru_maxrss / 1024, seconds, "")
    how, megabytes, words = json.loads(text)
    return Outcome(how, megabytes, seconds, words)


HALPE = points_of("halpe_26")
FORMATS: dict[str, Callable[[Path], Path]] = {
    "OpenPose": lambda folder: written.openpose(folder / "json", written.walker()),
    "AlphaPose": lambda folder: written.alphapose(folder / "p.json", written.walker(names=HALPE)),
    "CSV": lambda folder: written.long_csv(folder / "p.csv", written.walker()),
    "DeepLabCut, CSV": lambda folder: written.deeplabcut(folder / "p.csv", {"a": written.walker()}),
    "DeepLabCut, table": lambda folder: written.deeplabcut_hdf5(
        folder / "p.h5", {"a": written.walker()}
    ),
    "DeepLabCut, fixed": lambda folder: written.deeplabcut_hdf5(
        folder / "p.h5", {"a": written.walker()}, fixed=True
    ),
    "SLEAP": lambda folder: written.sleap(folder / "p.h5", written.walker()),
    "movement": lambda folder: written.movement(folder / "p.nc", {"a": written.walker()}),
    "pose.nc": lambda folder: _pose(folder / "p.nc"),
}


def _pose(file: Path) -> Path:
    pose = _squat()
    image = (pose["position"].sel(space=["x", "y"]).rename(space="pixel") + 0.5) * 50
    pose = pose.assign(image_position=image.assign_coords(pixel=["u", "v"]))
    pose.attrs |= dict(zip(("image_width", "image_height"), SIZE, strict=True))
    write_dataset(file, pose)
    return file


def _squat() -> xr.Dataset:
    return squat_pose(fps=RATE, reps=1, descent=0.6, hold=0.2, ascent=0.6, rest=0.4).pose


TYPES = ("null", "[]", "{}", "true", '"text"', "", "-1")
NOTHING = ("NaN", "nan", "")
HUGE = ("1e308", "-1e308", "1e999", str(2**63), "9" * 400)


def _cut(file: Path, draw: random.Random) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: draw.randrange(len(content))])


def _bytes(file: Path, draw: random.Random) -> None:
    content = bytearray(file.read_bytes())
    for _ in range(draw.choice((1, 4, 16, 64))):
        content[draw.randrange(len(content))] = draw.randrange(256)
    file.write_bytes(content)


def _values(
    texts: tuple[str, ...], change: Callable[[np.ndarray, random.Random], np.ndarray]
) -> Callable[[Path, random.Random], None]:
    """Return a function that changes numbers in a text to one of `texts`, or an array in a file."""

    def damage(file: Path, draw: random.Random) -> None:
        content = file.read_bytes()
        if b"\0" not in content:
            numbers = list(re.finditer(rb"-?\d+(\.\d+)?|\"[^\"]*\"", content))
            for at in sorted(
                draw.sample(numbers, min(len(numbers), draw.choice((1, 3, 9)))),
                key=lambda m: -m.start(),
            ):
                new = draw.choice(texts).encode()
                content = content[: at.start()] + new + content[at.end() :]
            file.write_bytes(content)
        elif content.startswith(b"CDF"):
            with xr.open_dataset(file, decode_times=False, decode_timedelta=False) as opened:
                data = opened.load()
            name = draw.choice(sorted(map(str, data.variables)))
            if draw.random() < 0.3 and data.attrs:
                data.attrs[draw.choice(sorted(data.attrs))] = draw.choice((3, "text", [1.0, 2.0]))
            else:
                new = (data[name].dims, change(data[name].values, draw))
                data = data.drop_indexes(set(data.indexes) & {name}).assign_coords({name: new})
            data.to_netcdf(file, engine="scipy")
        else:
            _change_hdf5(file, change, draw)

    return damage


def _change_hdf5(
    file: Path, change: Callable[[np.ndarray, random.Random], np.ndarray], draw: random.Random
) -> None:
    with h5py.File(file, "a") as opened:
        found: list[str] = []
        opened.visit(found.append)
        name = draw.choice(sorted(n for n in found if isinstance(opened[n], h5py.Dataset)))
        dataset = opened[name]
        if draw.random() < 0.3 and dataset.attrs:
            dataset.attrs[draw.choice(sorted(dataset.attrs))] = draw.choice((3, "text", [1.0]))
            return
        values, attrs = dataset[()], dict(dataset.attrs)
        if values.dtype.names:  # a table, of which the values are changed
            values["values_block_0"] = change(values["values_block_0"], draw)
        else:
            values = change(values, draw)
        if values.dtype.kind in "OU":
            values = values.astype("S")
        del opened[name]
        opened[name] = values
        for key, value in attrs.items():
            if "LIST" not in key and "NAME" not in key and "CLASS" not in key:
                opened[name].attrs[key] = value


def _other_type(values: np.ndarray, draw: random.Random) -> np.ndarray:
    changes: tuple[Callable[[np.ndarray], np.ndarray], ...] = (
        lambda v: v.astype(str).astype("S"),
        lambda v: (v == v).astype(np.int8),
        lambda v: np.zeros(v.shape, np.complex128),
        lambda v: v[..., np.newaxis],
        lambda v: v[:0],
    )
    return draw.choice(changes)(values)


def _filled(*numbers: float) -> Callable[[np.ndarray, random.Random], np.ndarray]:
    def change(values: np.ndarray, draw: random.Random) -> np.ndarray:
        if values.dtype.kind in "SOU":
            return np.full(values.shape, draw.choice(("", "x" * 10_000)), dtype="S10000")
        result = np.array(values, dtype=np.float64)
        result[np.random.default_rng(draw.randrange(1 << 30)).random(result.shape) < 0.3] = (
            draw.choice(numbers)
        )
        return result

    return change


DAMAGES = {
    "cut": _cut,
    "bytes changed": _bytes,
    "another type": _values(TYPES, _other_type),
    "no number": _values(NOTHING, _filled(np.nan)),
    "huge": _values(HUGE, _filled(1e308, -1e308, np.inf, 2.0**63)),
}


def damaged(number: int, seed: int) -> list[tuple[str, str, Outcome]]:
    """Return format, damage and outcome of so many files; undamaged files must be readable."""
    for make in FORMATS.values():
        with tempfile.TemporaryDirectory() as folder:
            mb.read_keypoints(make(Path(folder)), rate=RATE, size=SIZE)
    draw = random.Random(seed)
    rows = []
    for place in range(number):
        name = list(FORMATS)[place % len(FORMATS)]
        damage = list(DAMAGES)[place // len(FORMATS) % len(DAMAGES)]
        with tempfile.TemporaryDirectory() as folder:
            path = FORMATS[name](Path(folder))
            file = draw.choice(sorted(path.iterdir())) if path.is_dir() else path
            try:
                DAMAGES[damage](file, draw)
            except (ValueError, TypeError, OSError) as error:  # such a file cannot be written
                rows.append((name, damage, Outcome("not written", 0, 0, str(error))))
                continue
            outcome = outcome_of(partial(mb.read_keypoints, path, rate=RATE, size=SIZE))
            rows.append((name, damage, outcome))
            if outcome.how in ("raw exception", "killed"):
                print(name, damage, outcome)
    return rows


def _pickle(file: Path) -> Path:
    memo = b"(lr" + (2**28).to_bytes(4, "little") + b"."
    return written.deeplabcut_hdf5(file, {"a": written.walker()}, labels=memo)


def _wide_csv(file: Path) -> Path:
    parts = [f"p{n // 3}" for n in range(300_000)]
    rows = [
        ["scorer", *["net"] * len(parts)],
        ["bodyparts", *parts],
        ["coords", *["x", "y", "likelihood"] * (len(parts) // 3)],
        ["0", *["1"] * len(parts)],
    ]
    file.write_text("\n".join(map(",".join, rows)))
    return file


def _long_label(file: Path) -> Path:
    """Write a text of 50 kB for each of 90,000 columns."""
    with h5py.File(file, "w") as out:
        group = out.create_group("df_with_missing")
        group.attrs["block0_items_nlevels"] = 3
        for level, text in enumerate(("n" * 50_000, "nose", "x")):
            group[f"block0_items_level{level}"] = np.array([text], "S")
            group.create_dataset(
                f"block0_items_label{level}", data=np.zeros(90_000, "i1"), compression="gzip"
            )
        group.create_dataset("block0_values", data=np.ones((1, 90_000)), compression="gzip")
    return file


def _people(file: Path, number: int, *, with_names: bool) -> Path:
    """Write a hundred people in each frame, each new and in another place."""
    draw = random.Random(0)
    with file.open("w") as out:
        for n in range(number):
            point = [draw.randrange(5000), draw.randrange(5000), 1]
            points = json.dumps(point * 17, separators=(",", ":"))
            name = f',"idx":{n}' if with_names else ""
            out.write(
                f'{"," if n else "["}{{"image_id":"{n // 100}.jpg","keypoints":{points}{name}}}'
            )
        out.write("]")
    return file


def _rows(file: Path, row: Callable[[int], str], *, megabytes: int = 64) -> Path:
    with file.open("w") as out:
        size, number = out.write("frame,point,x,y,person\n"), 0
        while size < (megabytes << 20) - 100:
            size, number = size + out.write(row(number)), number + 1
    return file


def _wrong_time(seconds: float) -> object:
    pose = _squat()
    time_s = pose["time"].to_numpy().copy()
    time_s[-1] = seconds
    return mb.find_repetitions(pose.assign_coords(time=time_s))


def _link(place: Path, target: str) -> Path:
    place.parent.mkdir(exist_ok=True)
    place.symlink_to(target)
    return place


def bombs(folder: Path) -> dict[str, tuple[Callable[[], Path | None], Callable[[Path], object]]]:
    """Return functions that make and read files that ask for too much, by name."""

    def keypoints(path: Path) -> object:
        return mb.read_keypoints(path, rate=RATE)

    def fifo() -> Path:
        os.mkfifo(folder / "pipe")
        return folder / "pipe"

    def spelling(n: int) -> str:
        return f"0,n{'.' * (n % 30)}o{'_' * (n // 30 % 30)}s{' ' * (n // 900 % 30)}-e,1,2,a\n"

    return {
        "DeepLabCut, place 2^28 in its pickle": (lambda: _pickle(folder / "a.h5"), keypoints),
        "DeepLabCut, CSV of 300,000 columns": (lambda: _wide_csv(folder / "a.csv"), keypoints),
        "DeepLabCut, a label of 50 kB": (lambda: _long_label(folder / "b.h5"), keypoints),
        "AlphaPose, a million people with names": (
            lambda: _people(folder / "a.json", 1_000_000, with_names=True),
            keypoints,
        ),
        "AlphaPose, 20,000 people without": (
            lambda: _people(folder / "b.json", 20_000, with_names=False),
            keypoints,
        ),
        "CSV of 64 MB, 100 points": (
            lambda: _rows(folder / "c.csv", lambda n: f"{n // 100},p{n % 100},1,2,a\n"),
            keypoints,
        ),
        "CSV of 64 MB, each row a person": (
            lambda: _rows(folder / "d.csv", lambda n: f"0,nose,1,2,{n}\n"),
            keypoints,
        ),
        "CSV, 27,000 spellings of nose": (
            lambda: _rows(folder / "e.csv", spelling, megabytes=1),
            keypoints,
        ),
        "a pipe as keypoints": (fifo, keypoints),
        "/dev/zero as keypoints": (lambda: Path("/dev/zero"), keypoints),
        "/dev/zero as a frame of a folder": (
            lambda: _link(folder / "zero" / "a_0.json", "/dev/zero").parent,
            keypoints,
        ),
        "/dev/zero as calibration": (lambda: Path("/dev/zero"), read_calibration),
        "/dev/zero as a lab file": (lambda: Path("/dev/zero"), mb.read_lab),
        "a time of 1e6 s": (lambda: None, lambda _: _wrong_time(1e6)),
        "a time of 1e8 s": (lambda: None, lambda _: _wrong_time(1e8)),
    }


def main() -> None:
    """Print the tables, or write them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=400)
    parser.add_argument("--seed", type=int, default=54)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    rows = damaged(options.number, options.seed)
    hows = ("read", "refused", "raw exception", "killed")
    lines = [
        "# Damaged keypoint files",
        "",
        f"`PYTHONPATH=tests python benchmarks/damaged_files.py --write`: {options.number} files, "
        f"drawn with seed {options.seed}, that are",
        "cut, have bytes changed, fields of another type, no numbers or huge ones. Each is read in "
        "a process of its own,",
        f"which may take {MEMORY >> 30} GB and {SECONDS} s. The aim is that none ends with another "
        "exception than ours, or is killed.",
        "Times are those of a machine that others used too.",
        "",
        "| format | files | read | refused with one line | another exception | killed "
        "| most memory, MB | longest, s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in (*FORMATS, "all"):
        outcomes = [each for n, _, each in rows if name in (n, "all") and each.how in hows]
        counts = [sum(each.how == how for each in outcomes) for how in hows]
        most = max(each.megabytes for each in outcomes)
        longest = max(each.seconds for each in outcomes)
        cells = [name, len(outcomes), *counts, f"{most:.0f}", f"{longest:.1f}"]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    not_written = sum(each.how == "not written" for _, _, each in rows)
    lines += ["", f"{not_written} more could not be written so.", ""]
    lines += ["Files that ask for too much:", "", "| file | MB | outcome | memory, MB | s |"]
    lines.append("|---|---|---|---|---|")
    folder = Path(tempfile.mkdtemp())
    try:
        for name, (make, read) in bombs(folder).items():
            path = make()
            size = path.stat().st_size / 1e6 if path is not None else 0.0
            outcome = outcome_of(partial(read, path))
            cells = [name, f"{size:.2f}", outcome.how, f"{outcome.megabytes:.0f}"]
            lines.append(f"| {' | '.join(cells)} | {outcome.seconds:.1f} |")
            print(lines[-1], outcome.words, flush=True)
    finally:
        shutil.rmtree(folder)
    text = "\n".join(lines) + "\n"
    print(text)
    if options.write:
        (HERE / "damaged_files.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
