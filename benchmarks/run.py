"""Ratios to a bare loop, measured in the same run; docs/speed.md lists them.

usage: python benchmarks/run.py speed|memory|start|report [--video FILE] [--runs 5] [--seconds 60]
"""

from __future__ import annotations

import argparse
import compileall
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

import mobility
from mobility.capture.models import pose_model
from mobility.capture.video import probe, read_frames, write_video

HERE = Path(__file__).resolve().parent
DEMO = HERE.parent / "data" / "demo" / "overhead-squat" / "video.mp4"
QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "stdin": subprocess.DEVNULL}


def looped(
    source: Path, target: Path, seconds: float, height: int | None = None, repeats: int = 1
) -> Path:
    """Write `source` repeatedly until the video lasts `seconds`.

    Optionally, scale it to a height, and repeat each frame so many times at as many times the rate.
    """

    def frames() -> Iterator[tuple[float, object]]:
        import cv2

        start = last = 0.0
        step = 1 / (probe(source).frame_rate or 30.0)
        while start < seconds:
            for frame in read_frames(source):
                last = start + frame.time
                if last >= seconds:
                    return
                image = frame.image
                if height:
                    width = 2 * round(image.shape[1] * height / image.shape[0] / 2)
                    image = cv2.resize(image, (width, height))
                for part in range(repeats):
                    yield last + part * step / repeats, image
            start = last + step

    write_video(target, frames())
    return target


def bare(video: Path, copies: int = 1) -> float:
    """Return the seconds that `copies` concurrent bare loops take, until the last one has ended."""
    command = [sys.executable, str(HERE / "bare_loop.py"), str(video), str(pose_model())]
    began = time.perf_counter()
    running = [subprocess.Popen(command, **QUIET) for _ in range(copies)]
    codes = [process.wait() for process in running]
    assert codes == [0] * copies
    return time.perf_counter() - began


def pose(video: Path, workers: int) -> float:
    """Return the seconds of a process that estimates the pose in all frames with these workers."""
    options = f"workers={workers}, rate='all'"
    code = f"import mobility; mobility.estimate_pose({str(video)!r}, {options})"
    return run([sys.executable, "-c", code])


def analyze(video: Path, *options: str, workers: int = 2) -> float:
    """Return the seconds of `mobility analyze` with an empty store."""
    with tempfile.TemporaryDirectory() as folder:
        return run(
            [
                *(sys.executable, "-m", "mobility.cli", "analyze", str(video), "--no-report"),
                *("--workers", str(workers), "--store", folder, *options),
            ]
        )


def run(command: list[str]) -> float:
    """Return the seconds of one process, which must succeed."""
    began = time.perf_counter()
    subprocess.run(command, check=True, **QUIET)
    return time.perf_counter() - began


def interleaved(cases: dict[str, Callable[[], float]], runs: int) -> dict[str, list[float]]:
    """Run the cases in turn, `runs` times each."""
    # As pip leaves what it installs; else each process would compile the package anew where
    # PYTHONDONTWRITEBYTECODE is set.
    compileall.compile_dir(Path(mobility.__file__).parent, quiet=1)
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for number in range(runs):
        for name, case in cases.items():
            seconds[name].append(case())
            print(f"run {number + 1}/{runs}  {name:<28} {seconds[name][-1]:8.2f} s", flush=True)
    return seconds


def ratio(a: list[float], b: list[float]) -> float:
    """Return the median of the ratios of single runs, so that a drift of the machine cancels."""
    return statistics.median(x / y for x, y in zip(a, b, strict=True))


def speed(video: Path, runs: int, seconds: float) -> dict[str, float]:
    """Compare pose and analysis with bare loops, interleaved."""
    with tempfile.TemporaryDirectory() as folder:
        clip = looped(video, Path(folder) / "clip.mp4", seconds)
        twice = looped(video, Path(folder) / "twice.mp4", seconds, repeats=2)
        took = interleaved(
            {
                "bare loop": lambda: bare(clip),
                "two bare loops side by side": lambda: bare(clip, 2),
                "pose of all frames, 2 workers": lambda: pose(clip, 2),
                "analyze": lambda: analyze(clip, "--no-annotate"),
                "analyze, annotated video": lambda: analyze(clip),
                "bare loop, twice the frames": lambda: bare(twice),
                "analyze, twice the frames": lambda: analyze(twice, "--no-annotate"),
                "analyze, twice, annotated": lambda: analyze(twice),
            },
            runs,
        )
    # Two loops do the clip twice, so their rate is that of one clip in half their time.
    half = [t / 2 for t in took["two bare loops side by side"]]
    return {
        "two loops' rate / one loop's": ratio(took["bare loop"], half),
        "pose rate, all frames / two loops' rate (at least 0.85)": ratio(
            half, took["pose of all frames, 2 workers"]
        ),
        "analyze / one loop (at most 0.4)": ratio(took["analyze"], took["bare loop"]),
        "analyze with video / one loop (at most 0.6)": ratio(
            took["analyze, annotated video"], took["bare loop"]
        ),
        "twice the frames: analyze / one loop (at most 0.25)": ratio(
            took["analyze, twice the frames"], took["bare loop, twice the frames"]
        ),
        "twice the frames: analyze with video / one loop": ratio(
            took["analyze, twice, annotated"], took["bare loop, twice the frames"]
        ),
    }


def memory(video: Path, runs: int, seconds: float) -> dict[str, float]:
    """Measure the peak PSS over all processes of `mobility analyze`, on a 720p video."""
    del runs
    with tempfile.TemporaryDirectory() as folder:
        clip = looped(video, Path(folder) / "clip.mp4", seconds, height=1280)
        command = [
            *(sys.executable, "-m", "mobility.cli", "analyze", str(clip), "--no-report"),
            *("--workers", "2", "--store", str(Path(folder) / "store")),
        ]
        process = subprocess.Popen(command, **QUIET)
        peak = 0
        while process.poll() is None:
            peak = max(peak, pss(process.pid))
            time.sleep(0.5)
        assert process.returncode == 0
    return {f"peak PSS, GB (at most 1.5), {seconds:.0f} s": peak / 1e9}


def pss(pid: int) -> int:
    """Return the proportional set size of a process and all its descendants, bytes."""
    total = 0
    try:
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    for member in family:
        try:
            total += member.memory_full_info().pss
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return total


def start(video: Path, runs: int, seconds: float) -> dict[str, float]:
    """Compare the start of the package and of the command line with `python -c pass`."""
    del video, seconds
    python = sys.executable
    cases = {
        "python -c pass": lambda: run([python, "-c", "pass"]),
        "import mobility": lambda: run([python, "-c", "import mobility"]),
        "mobility --help": lambda: run([str(Path(python).with_name("mobility")), "--help"]),
    }
    for case in cases.values():
        case()
    took = interleaved(cases, max(runs, 15))
    return {
        "import mobility / pass (at most 8)": ratio(
            took["import mobility"], took["python -c pass"]
        ),
        "mobility --help / pass (at most 15)": ratio(
            took["mobility --help"], took["python -c pass"]
        ),
    }


REPORT = """
import sys
from mobility.reports.warm_kernels import start_early
start_early()  # as `mobility report` does
from mobility.reports.render import render_report
from mobility.store import Store
render_report(Store(sys.argv[1], reports=sys.argv[2]).session("demo"))
"""


def report(video: Path, runs: int, seconds: float) -> dict[str, float]:
    """Measure the report of the demo in a new process and in a process with warm kernels."""
    from mobility.base.progress import send_first_page_to
    from mobility.reports.render import render_report
    from mobility.reports.warm_kernels import warm_kernels
    from mobility.store import Store

    del video, seconds
    with tempfile.TemporaryDirectory() as folder, warm_kernels():
        store = Store(Path(folder) / "store", reports=Path(folder) / "reports")
        shutil.copytree(DEMO.parent, store.path / "demo")
        session = store.session("demo")
        places = [str(store.path), str(store.reports)]
        first: list[float] = []

        def warm() -> float:
            began = time.perf_counter()
            with send_first_page_to(lambda _: first.append(time.perf_counter() - began)):
                render_report(session)
            return time.perf_counter() - began

        cases = {
            "imports": lambda: run([sys.executable, "-c", "import mobility, matplotlib.pyplot"]),
            "report, fresh process": lambda: run([sys.executable, "-c", REPORT, *places]),
            "report, warm process": warm,
        }
        for case in cases.values():
            case()
        first.clear()
        took = interleaved(cases, runs)
    fresh, whole = took["report, fresh process"], took["report, warm process"]
    return {
        "fresh, s (at most 3.5)": statistics.median(fresh),
        "warm, s (at most 1.5)": statistics.median(whole),
        "warm until the first page, s": statistics.median(first),
        "fresh / imports": ratio(fresh, took["imports"]),
        "warm / imports": ratio(whole, took["imports"]),
        "first page / warm": ratio(first, whole),
    }


def main() -> None:
    """Run one benchmark and print its ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["speed", "memory", "start", "report"])
    parser.add_argument("--video", type=Path, default=DEMO)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=None)
    given = parser.parse_args()
    seconds = given.seconds or {"speed": 60.0, "memory": 600.0}.get(given.what, 0.0)
    found = {"speed": speed, "memory": memory, "start": start, "report": report}[given.what](
        given.video, given.runs, seconds
    )
    print(json.dumps({name: round(value, 3) for name, value in found.items()}, indent=2))


if __name__ == "__main__":
    main()
