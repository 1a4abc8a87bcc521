"""Batches: their throughput, the cost of a report, and whether anything grows over many sessions.

usage: python benchmarks/batch.py throughput [--runs 5] [--videos 4] [--workers 1,2,4]
       python benchmarks/batch.py reports [--runs 5]
       python benchmarks/batch.py soak [--sessions 200] [--workers 2]

``throughput`` measures the videos per hour of batches with one worker and with more. The ideal is
the rate of one worker times the number of workers, of which at most one per processor counts. For
comparison, two independent runs work at the same time: batches with one worker and half of the
videos each, and plain loops that start a kernel for every report.

``reports`` measures the seconds that a report takes with a new and with a forked kernel, and the
seconds for reading the metrics with xarray and with this package. ``soak`` measures memory,
processes and open files early and late in a batch of many short sessions, and lists what the batch
leaves behind.
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
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import psutil
from run import DEMO, QUIET, interleaved, ratio

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
    """Cut different parts out of the demo video."""
    made = []
    for number in range(count):
        start = 1.0 + number * 9 / max(1, count - 1)
        frames = list(read_frames(DEMO, start=start, stop=start + seconds))
        target = folder / f"clip-{number}.mp4"
        write_video(target, ((frame.time - frames[0].time, frame.image) for frame in frames))
        made.append(target)
    return made


def batch(videos: Path, place: Path, workers: int) -> list[str]:
    """Return the command of a batch of a folder, with an empty store."""
    return [
        *(
            sys.executable,
            "-m",
            "mobility.cli",
            "batch",
            str(videos),
            "--workers",
            str(workers),
        ),
        *("--store", str(place / "store"), "--reports", str(place / "reports")),
    ]


def seconds_of(make: Callable[[Path], list[list[str]]]) -> float:
    """Return the seconds until all of several concurrent processes have ended successfully."""
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
    """Compare batches with several workers with two independent runs, interleaved."""
    processors = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "all"
        place.mkdir()
        videos = clips(place, given.videos, SECONDS)
        halves = [Path(folder) / "half-0", Path(folder) / "half-1"]
        for number, half in enumerate(halves):
            half.mkdir()
            for video in videos[number::2]:
                shutil.copy(video, half)

        def loops(inside: Path) -> list[list[str]]:
            return [
                [sys.executable, "-c", LOOP, str(inside / str(half)), *map(str, videos[half::2])]
                for half in (0, 1)
            ]

        def batches(inside: Path) -> list[list[str]]:
            return [batch(half, inside / half.name, 1) for half in halves]

        cases = {
            "two loops side by side": lambda: seconds_of(loops),
            "two batches side by side": lambda: seconds_of(batches),
        }
        for workers in given.workers:
            cases[f"batch, {workers} workers"] = lambda workers=workers: seconds_of(
                lambda inside: [batch(place, inside, workers)]
            )
        took = interleaved(cases, given.runs)
    found = {"processors": float(processors)}
    for name, seconds in took.items():
        found[f"{name}, videos per hour"] = 3600 * given.videos / statistics.median(seconds)
    if "batch, 1 workers" in took:
        for workers in given.workers:
            ideal = [seconds / min(workers, processors) for seconds in took["batch, 1 workers"]]
            found[f"batch, {workers} workers / ideal"] = ratio(
                ideal, took[f"batch, {workers} workers"]
            )
    if "batch, 2 workers" in took:
        for name in ("two loops", "two batches"):
            found[f"batch of 2 / {name} (at least 0.9)"] = ratio(
                took[f"{name} side by side"], took["batch, 2 workers"]
            )
    return found


def reports(given: argparse.Namespace) -> dict[str, float]:
    """Measure the seconds for a report with a new and a forked kernel, and for reading metrics."""
    import xarray as xr

    from mobility.reports.render import render_report
    from mobility.reports.warm_kernels import warm_kernels
    from mobility.sessions.files import read_dataset
    from mobility.store import Store

    with tempfile.TemporaryDirectory() as folder, warm_kernels():
        from mobility.reports import warm_kernels as module

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
            with xr.open_dataset(metrics, decode_timedelta=False) as file:
                file.load()

        cases = {
            "report before: a fresh kernel": lambda: timed(lambda: render_report(session)),
            "report after: a forked kernel": lambda: timed(
                lambda: render_report(session), forked=True
            ),
            "metrics read by xarray": lambda: timed(by_xarray),
            "metrics read by ours": lambda: timed(lambda: read_dataset(metrics)),
        }
        for case in cases.values():
            case()
        took = interleaved(cases, given.runs)
    found = {f"{name}, s": statistics.median(seconds) for name, seconds in took.items()}
    found["report after / before"] = ratio(
        took["report after: a forked kernel"], took["report before: a fresh kernel"]
    )
    found["ours / xarray"] = ratio(took["metrics read by ours"], took["metrics read by xarray"])
    return found


def soak(given: argparse.Namespace) -> dict[str, float]:
    """Measure memory, processes and open files of a batch of many sessions, and remaining files."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        for name in ("clips", "in", "temporary"):
            (place / name).mkdir()
        made = [
            low(clip, place / "clips" / f"low-{clip.name}")
            for clip in clips(place / "clips", 8, given.seconds)
        ]
        for number in range(given.sessions):
            # The same pictures again, and another file: a box that players pass over.
            box = (12).to_bytes(4, "big") + b"free" + number.to_bytes(4, "big")
            content = made[number % len(made)].read_bytes() + box
            (place / "in" / f"{number:04d}.mp4").write_bytes(content)
        began = time.perf_counter()
        process = subprocess.Popen(
            batch(place / "in", place, given.workers[-1]),
            env={**ENVIRONMENT, "TMPDIR": str(place / "temporary")},
            **QUIET,
        )
        samples: list[Sample] = []
        while process.poll() is None:
            samples.append(sample(process.pid, place))
            print(
                f"{samples[-1].done:>5} sessions  {sum(samples[-1].memory.values()) / 1e6:8.0f} MB"
                f"  {len(samples[-1].memory):>3} processes  {samples[-1].files:>4} files",
                flush=True,
            )
            time.sleep(given.every)
        took = time.perf_counter() - began
        assert process.returncode == 0
        time.sleep(3)
        left = [each for each in psutil.process_iter(["cmdline"]) if str(place) in str(each.info)]
        hidden = [
            file
            for part in ("store", "reports")
            for file in (place / part).rglob(".*")
            if ".tmp" in file.name or "unfinished" in file.name or "earlier" in file.name
        ]
        found: dict[str, float] = {
            "sessions": len(list((place / "store").glob("video-*/metrics.nc"))),
            "reports": len(list((place / "reports").glob("video-*/overhead-squat.html"))),
            "minutes": took / 60,
            "processes left": len(left),
            "temporary files left": len(hidden)
            + sum(file.is_file() for file in (place / "temporary").rglob("*")),
        }
    quarter = given.sessions / 4
    early = [s for s in samples if quarter / 2 <= s.done < quarter * 1.5]
    late = [s for s in samples if s.done >= given.sessions - quarter]
    # Those that are there all the time: what grows, grows in them.
    lasting = set.intersection(*(set(s.memory) for s in early + late))
    values: dict[str, Callable[[Sample], float]] = {
        "memory of all (PSS), MB": lambda s: sum(s.memory.values()) / 1e6,
        "memory of those that last, MB": lambda s: sum(s.memory[pid] for pid in lasting) / 1e6,
        "processes": lambda s: len(s.memory),
        "open files": lambda s: s.files,
    }
    for name, value in values.items():
        medians = [statistics.median(map(value, part)) for part in (early, late)]
        found[f"{name}, early"], found[f"{name}, late"] = medians
        found[f"{name}, late / early"] = medians[1] / medians[0]
    return found


class Sample(NamedTuple):
    """State of a batch at one moment."""

    done: int
    memory: dict[int, int]
    """Proportional set size by process, bytes."""
    files: int


def sample(pid: int, place: Path) -> Sample:
    """Count a batch's sessions with a report, its processes and their open files."""
    done = sum(1 for _ in (place / "reports").glob("video-*/.*.key"))
    memory: dict[int, int] = {}
    files = 0
    # What ends meanwhile is left out.
    with suppress(psutil.Error):
        for member in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]:
            with suppress(psutil.Error):
                memory[member.pid] = member.memory_full_info().pss
                files += member.num_fds()
    return Sample(done, memory, files)


def low(source: Path, target: Path) -> Path:
    """Write a video again with a fifth of the pixels."""
    import cv2

    def frames() -> Iterator[tuple[float, Any]]:
        for frame in read_frames(source):
            height, width = (2 * round(0.45 * side / 2) for side in frame.image.shape[:2])
            yield frame.time, cv2.resize(frame.image, (width, height), interpolation=cv2.INTER_AREA)

    write_video(target, frames())
    return target


def main() -> None:
    """Run one benchmark and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["throughput", "reports", "soak"])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--videos", type=int, default=4)
    parser.add_argument("--sessions", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=1.0, help="length of a clip of the soak")
    parser.add_argument("--every", type=float, default=5.0, help="seconds between two samples")
    parser.add_argument(
        "--workers", type=lambda text: [int(n) for n in text.split(",")], default=None
    )
    given = parser.parse_args()
    given.workers = given.workers or ([2] if given.what == "soak" else [1, 2, 4])
    found = {"throughput": throughput, "reports": reports, "soak": soak}[given.what](given)
    print(json.dumps({name: round(value, 3) for name, value in found.items()}, indent=2))


if __name__ == "__main__":
    main()
