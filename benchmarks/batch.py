"""Batches: their throughput, what a report costs, and whether anything grows over many sessions.

usage: python benchmarks/batch.py throughput|reports|soak [--runs 3] [--videos 4] [--sessions 200]

``throughput``: videos per hour of batches of one and of more workers, beside two loops of one
worker each side by side, which start a kernel for every report. ``reports``: seconds of a report
with a fresh and with a forked kernel, and of reading the metrics by xarray and by ours. ``soak``:
memory, processes and open files of a batch of many short sessions, in its first and last quarter.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil
from run import DEMO, QUIET, interleaved, pss, ratio

from mobility.capture.video import read_frames, write_video

SECONDS = 1.5
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

LOOP = """
import sys
import mobility as mb
store = mb.Store(sys.argv[1] + "/store", reports=sys.argv[1] + "/reports")
for video in sys.argv[2:]:
    session = store.create(video, user_id="p01", exercise_name="Overhead Squat")
    session.analyze(workers=1)
    session.render_report()
"""


def clips(folder: Path, count: int, seconds: float) -> list[Path]:
    """Cut different parts of the demo video."""
    made = []
    for number in range(count):
        start = 1.0 + number * 9 / max(1, count - 1)
        frames = list(read_frames(DEMO, start=start, stop=start + seconds))
        target = folder / f"clip-{number}.mp4"
        write_video(target, ((frame.time - frames[0].time, frame.image) for frame in frames))
        made.append(target)
    return made


def batch(videos: Path, place: Path, workers: int) -> list[str]:
    """Command of a batch of a folder into an empty place."""
    return [
        *(sys.executable, "-m", "mobility.cli", "batch", str(videos), "--workers", str(workers)),
        *("--store", str(place / "store"), "--reports", str(place / "reports")),
    ]


def seconds_of(make: Callable[[Path], list[list[str]]]) -> float:
    """Seconds until the last of some processes side by side has ended; all must succeed."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        running = [
            subprocess.Popen(command, env=ENVIRONMENT, **QUIET) for command in make(Path(folder))
        ]
        codes = [process.wait() for process in running]
        took = time.perf_counter() - began
    assert codes == [0] * len(codes), codes
    return took


def throughput(given: argparse.Namespace) -> dict[str, float]:
    """Batches of some workers beside two independent loops, interleaved."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        videos = clips(place, given.videos, SECONDS)

        def loops(inside: Path) -> list[list[str]]:
            return [
                [sys.executable, "-c", LOOP, str(inside / str(half)), *map(str, videos[half::2])]
                for half in (0, 1)
            ]

        cases = {"two loops side by side": lambda: seconds_of(loops)}
        for workers in given.workers:
            cases[f"batch, {workers} workers"] = lambda workers=workers: seconds_of(
                lambda inside: [batch(place, inside, workers)]
            )
        took = interleaved(cases, given.runs)
    found = {
        f"{name}, videos per hour": 3600 * given.videos / statistics.median(seconds)
        for name, seconds in took.items()
    }
    if 2 in given.workers:
        found["batch of 2 / two loops (at least 0.9)"] = ratio(
            took["two loops side by side"], took["batch, 2 workers"]
        )
    return found


def reports(given: argparse.Namespace) -> dict[str, float]:
    """Seconds of a report with a fresh and a forked kernel, and of reading its largest file."""
    import xarray as xr

    from mobility.workbench.files import read_dataset
    from mobility.workbench.reports import render_report
    from mobility.workbench.store import Store
    from mobility.workbench.warm_kernels import warm_kernels

    with tempfile.TemporaryDirectory() as folder, warm_kernels():
        from mobility.workbench import warm_kernels as module

        store = Store(Path(folder) / "store", reports=Path(folder) / "reports")
        shutil.copytree(DEMO.parent, store.path / "demo")
        session = store.session("demo")
        metrics = session.folder / "metrics.nc"
        server = module._server

        def timed(work: Callable[[], object], *, forked: bool = False) -> float:
            module._server = server if forked else None
            began = time.perf_counter()
            work()
            module._server = server
            return time.perf_counter() - began

        def by_xarray() -> None:
            with xr.open_dataset(metrics, engine="h5netcdf", decode_timedelta=False) as file:
                file.load()

        cases = {
            "fresh kernel": lambda: timed(lambda: render_report(session)),
            "forked kernel": lambda: timed(lambda: render_report(session), forked=True),
            "metrics read by xarray": lambda: timed(by_xarray),
            "metrics read by ours": lambda: timed(lambda: read_dataset(metrics)),
        }
        for case in cases.values():
            case()
        took = interleaved(cases, given.runs)
    found = {f"{name}, s": statistics.median(seconds) for name, seconds in took.items()}
    found["forked / fresh kernel"] = ratio(took["forked kernel"], took["fresh kernel"])
    found["ours / xarray"] = ratio(took["metrics read by ours"], took["metrics read by xarray"])
    return found


def soak(given: argparse.Namespace) -> dict[str, float]:
    """Memory, processes and open files of a batch of many short sessions."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "in").mkdir()
        (clip,) = clips(place, 1, given.seconds)
        for number in range(given.sessions):
            # The same picture, and another file: a box that players pass over.
            box = (12).to_bytes(4, "big") + b"free" + number.to_bytes(4, "big")
            (place / "in" / f"{number:04d}.mp4").write_bytes(clip.read_bytes() + box)
        command = batch(place / "in", place, given.workers[-1])
        process = subprocess.Popen(command, env=ENVIRONMENT, **QUIET)
        samples: list[tuple[int, float, int, int]] = []
        while process.poll() is None:
            done = sum(1 for _ in (place / "reports").glob("video-*/.*.key"))
            family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(True)]
            files = sum(open_files(member) for member in family)
            samples.append((done, pss(process.pid) / 1e6, len(family), files))
            print(
                f"{done:>5} sessions  {samples[-1][1]:8.0f} MB  {len(family):>3} processes  "
                f"{files:>4} files",
                flush=True,
            )
            time.sleep(given.every)
        assert process.returncode == 0
        time.sleep(3)
        left = [each for each in psutil.process_iter(["cmdline"]) if str(place) in str(each.info)]
        sessions = len(list((place / "store").glob("video-*")))
    quarter = given.sessions / 4
    first = [s for s in samples if quarter / 2 <= s[0] < quarter * 1.5]
    last = [s for s in samples if s[0] >= given.sessions - quarter]
    found: dict[str, float] = {"sessions": sessions, "processes left": len(left)}
    for index, name in ((1, "PSS, MB"), (2, "processes"), (3, "open files")):
        for label, part in (("early", first), ("late", last)):
            found[f"{name}, {label}"] = statistics.median(s[index] for s in part)
    found["memory late / early"] = found["PSS, MB, late"] / found["PSS, MB, early"]
    return found


def open_files(process: psutil.Process) -> int:
    """Open file descriptors of a process; 0 if it has ended."""
    try:
        return process.num_fds()
    except psutil.Error:
        return 0


def main() -> None:
    """Run one benchmark and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["throughput", "reports", "soak"])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--videos", type=int, default=4)
    parser.add_argument("--sessions", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=0.7, help="length of a clip of the soak")
    parser.add_argument("--every", type=float, default=5.0, help="seconds between two samples")
    parser.add_argument(
        "--workers", type=lambda text: [int(n) for n in text.split(",")], default=[1, 2]
    )
    given = parser.parse_args()
    found = {"throughput": throughput, "reports": reports, "soak": soak}[given.what](given)
    print(json.dumps({name: round(value, 3) for name, value in found.items()}, indent=2))


if __name__ == "__main__":
    main()
