"""What 10,000 videos a night take, and what a cohort of 10,000 sessions does.

usage: python benchmarks/scale.py [--inputs FILE] [--site benchmarks/scale.yaml] [--write]
       python benchmarks/scale.py --cohort 1000 10000 [--write]

The times that go in are read from a real batch of short videos on this machine, run by this command
with a worker on every processor: seconds of each stage as the sessions record them, split into what
every video costs, what every second of it costs, and what the first one of a worker costs besides.
What they predict for a batch of other videos is compared with that batch, measured right after.
Then the night is simulated, event by event: videos are checked, wait for a worker, are copied
through storage that all share, worked on, and told to the one process that keeps the books.

``--cohort`` makes stores of so many sessions, all of them links to the demo's results under other
names, and times `mobility cohort` on each.

``--inputs`` keeps the measured times in a file, and takes them from there if it exists. ``--write``
writes the tables of docs/scale.md.
"""

from __future__ import annotations

import argparse
import datetime
import heapq
import json
import math
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from batch import ENVIRONMENT, batch, sample
from run import DEMO, QUIET
from scipy.optimize import nnls

from mobility.batch.summary import STAGES
from mobility.capture.video import read_frames, write_video
from mobility.provenance import sha256
from mobility.sessions.files import atomic

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "scale.md"
SITE = ROOT / "benchmarks" / "scale.yaml"
BEGIN, END = "<!-- made by benchmarks/scale.py --write -->", "<!-- end -->"
BEGIN_COHORT = "<!-- made by benchmarks/scale.py --cohort --write -->"

LENGTHS = (1.0, 12.0, 3.0, 8.0, 2.0, 5.0, 1.5, 10.0)
"""Seconds of the videos of which the times are taken."""

OTHERS = (4.0, 2.5, 6.0, 1.0, 9.0, 3.5, 2.0, 7.0, 1.5, 5.0)
"""Seconds of those that are predicted."""

CROWD = 10_000
"""Sessions in the store in which it is measured what the others cost."""

REST = "rest"
"""What belongs to no stage: taking the video in, hashes, locks."""


@dataclass(frozen=True)
class Video:
    """A video of a night."""

    seconds: float
    megabytes: float


@dataclass(frozen=True)
class Cost:
    """Seconds (or MB) of a video of `n` seconds: fixed + n * each, and `first` on a new worker."""

    fixed: float
    each: float
    first: float = 0.0

    def of(self, video: Video, *, first: bool = False) -> float:
        """Cost of a video."""
        return self.fixed + self.each * video.seconds + (self.first if first else 0.0)


@dataclass(frozen=True)
class Measured:
    """What a small batch on this machine took."""

    processors: int
    videos: int
    stages: dict[str, Cost]
    start_s: float
    """From the command to the first row, and from the last row to the end."""
    check_s: float
    """Of a video on one processor, before anything runs."""
    books_s: float
    """Of a row in the process that hands out the rows, beside the workers."""
    crowd_s: float
    """More for taking a video into a store that has 10,000."""
    results: Cost
    """MB of results and report."""
    memory_mb: float
    """Peak of all processes (PSS), for each worker."""
    books_kb: float
    """Memory that a row takes in the process that hands out the rows."""
    prediction: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Site:
    """What does the work."""

    workers: int
    storage: float = math.inf
    """MB/s."""


@dataclass(frozen=True)
class Ran:
    """How a simulated night went."""

    seconds: float
    checked: float
    """When the first video was worked on, s."""
    worked: float
    """Seconds of all workers at work."""
    use: dict[str, float]
    """Share of the time in which workers, storage and books were busy."""


def simulate(videos: Sequence[Video], measured: Measured, site: Site) -> Ran:
    """Let `site` do the `videos`, in their order."""
    read = sum(video.megabytes for video in videos) / site.storage
    checked = measured.start_s + max(read, len(videos) * measured.check_s / measured.processors)
    storage_free = books_free = checked
    storage_busy, books_busy, worked = read, 0.0, 0.0
    waiting = iter(enumerate(videos))
    order = count()
    events: list[tuple[float, int, str, int, Video | None]] = [
        (checked, next(order), "free", worker, None) for worker in range(site.workers)
    ]
    fresh = set(range(site.workers))
    now = checked
    while events:
        now, _, what, worker, video = heapq.heappop(events)
        if what == "free":
            number, video = next(waiting, (0, None))
            if video is None:
                continue
            moved = 2 * video.megabytes / site.storage  # read, and written as the session's copy
            storage_free = max(now, storage_free) + moved
            storage_busy += moved
            took = sum(cost.of(video, first=worker in fresh) for cost in measured.stages.values())
            took += measured.crowd_s * number / CROWD
            fresh.discard(worker)
            worked += took
            heapq.heappush(events, (storage_free + took, next(order), "done", worker, video))
        elif what == "done" and video is not None:
            moved = measured.results.of(video) / site.storage
            storage_free = max(now, storage_free) + moved
            storage_busy += moved
            heapq.heappush(events, (storage_free, next(order), "stored", worker, None))
        else:
            books_free = max(now, books_free) + measured.books_s
            books_busy += measured.books_s
            heapq.heappush(events, (books_free, next(order), "free", worker, None))
    return Ran(
        seconds=now,
        checked=checked,
        worked=worked,
        use={
            "workers": worked / (site.workers * (now - checked)),
            "storage": storage_busy / now,
            "books": books_busy / (now - checked),
        },
    )


def fitted(seconds: Sequence[float], lengths: Sequence[float], first: Sequence[bool]) -> Cost:
    """Costs that are not negative and fit best."""
    table = np.stack([np.ones(len(lengths)), lengths, np.array(first, float)], axis=1)
    found, _ = nnls(table, np.asarray(seconds, float))
    return Cost(*(round(float(value), 4) for value in found))


def clips(folder: Path, lengths: Iterable[float], *, start: float) -> list[Video]:
    """Cut videos of these lengths from the demo, named in this order."""
    made = []
    for number, seconds in enumerate(lengths):
        begin = min(start + 0.1 * number, 13.8 - seconds)
        frames = list(read_frames(DEMO, start=begin, stop=begin + seconds))
        target = folder / f"{number:02d}.mp4"
        write_video(target, ((frame.time - frames[0].time, frame.image) for frame in frames))
        made.append(Video(seconds, target.stat().st_size / 1e6))
    return made


@dataclass(frozen=True)
class Batch:
    """A batch that ran."""

    seconds: float
    rows: list[dict[str, Any]]
    memory: float
    """Peak over all its processes, MB."""


def run_batch(videos: Path, place: Path, workers: int) -> Batch:
    """Run a batch; all of it must succeed."""
    began = time.perf_counter()
    process = subprocess.Popen(batch(videos, place, workers), env=ENVIRONMENT, **QUIET)
    peak = 0.0
    while True:
        try:
            process.wait(timeout=1)
            break
        except subprocess.TimeoutExpired:
            peak = max(peak, sum(sample(process.pid, place).memory.values()) / 1e6)
    seconds = time.perf_counter() - began
    assert process.returncode == 0
    newest = max((place / "reports").glob("batch-*/summary.json"), key=lambda f: f.stat().st_mtime)
    return Batch(seconds, json.loads(newest.read_text())["rows"], peak)


def megabytes(*folders: Path) -> float:
    """Size of all files in folders."""
    found = (file for folder in folders for file in folder.rglob("*") if file.is_file())
    return sum(file.stat().st_size for file in found) / 1e6


def measure() -> Measured:
    """Run a small batch, one of other videos that it predicts, and the first once more."""
    processors = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        for name in ("videos", "others"):
            (place / name).mkdir()
        videos = clips(place / "videos", LENGTHS, start=0.2)
        others = clips(place / "others", OTHERS, start=0.7)
        done = run_batch(place / "videos", place, processors)
        # Right after, so that a drift of the machine matters little.
        found = run_batch(place / "others", place / "second", processors).seconds
        again = run_batch(place / "videos", place, processors)
        assert {row["state"] for row in again.rows} == {"skipped"}
        stages = costs(done.rows, processors)
        sizes = [
            megabytes(place / "store" / row["session_id"], place / "reports" / row["session_id"])
            - video.megabytes
            for row, video in zip(done.rows, videos, strict=True)
        ]
        books_s, books_kb = books(place)
        check_s = checking(place / "videos") * processors
        measured = Measured(
            processors=processors,
            videos=len(videos),
            stages=stages,
            start_s=again.seconds
            - check_s * len(videos) / processors
            - handed_out([row["took_s"] for row in again.rows], processors),
            check_s=check_s,
            books_s=books_s,
            crowd_s=crowd(place),
            results=fitted(sizes, LENGTHS, [False] * len(videos)),
            memory_mb=done.memory / processors,
            books_kb=books_kb,
        )
    predicted = simulate(others, measured, Site(processors)).seconds
    prediction = {
        "videos": float(len(others)),
        "predicted_s": predicted,
        "measured_s": found,
        "ratio": predicted / found,
    }
    return Measured(**{**vars(measured), "prediction": prediction})


def costs(rows: Sequence[dict[str, Any]], workers: int) -> dict[str, Cost]:
    """Costs of each stage, from what the rows of a batch took."""
    # Rows are handed out in their order.
    first = [number < workers for number in range(len(rows))]
    names = [name for name in STAGES if any(name in row["seconds"] for row in rows)]
    found = {name: fitted([row["seconds"][name] for row in rows], LENGTHS, first) for name in names}
    rest = [row["took_s"] - sum(row["seconds"].values()) for row in rows]
    return {**found, REST: fitted(rest, LENGTHS, first)}


def handed_out(seconds: Iterable[float], workers: int) -> float:
    """When the last of some pieces of work ends, each given to the first worker that is free."""
    free = [0.0] * workers
    for took in seconds:
        heapq.heapreplace(free, free[0] + took)
    return max(free)


def checking(videos: Path) -> float:
    """Seconds of the check of a video, all processors at work."""
    from mobility.batch.manifest import read_manifest

    read_manifest(videos)
    began = time.perf_counter()
    rows = read_manifest(videos)
    return (time.perf_counter() - began) / len(rows)


def books(place: Path) -> tuple[float, float]:
    """Seconds and memory (KB) of a row in the process that hands rows out.

    The workers are made to refuse each row at once, so nothing else takes time.
    """
    import psutil

    import mobility.batch.run as module
    from mobility.batch.manifest import Row
    from mobility.store import Store

    def rows(number: int) -> list[Row]:
        return [
            Row(
                number=each,
                video=place / "videos" / "00.mp4",
                second_video=None,
                sha256=f"{each:064d}",
                second_sha256=None,
                participant="p01",
                exercise="Overhead Squat",
                joints=("knee",),
                name=None,
                options={},
                person={},
            )
            for each in range(number)
        ]

    store = Store(place / "books" / "store", reports=place / "books" / "reports")
    real = module.code_digest
    module.code_digest = lambda: "0" * 64  # type: ignore[assignment]
    took, held = [], []
    try:
        for number in (100, 1100):
            many = rows(number)
            before = psutil.Process().memory_info().rss
            began = time.perf_counter()
            summary = module.run_batch(many, store, manifest="rows", workers=1)
            took.append(time.perf_counter() - began)
            held.append(psutil.Process().memory_info().rss - before)
            assert summary.counts["failed"] == number
    finally:
        module.code_digest = real
    return (took[1] - took[0]) / 1000, max(0.0, held[1]) / 1100 / 1e3


def crowd(place: Path) -> float:
    """Seconds that 10,000 sessions in the store add to taking a video in."""
    from mobility.store import Store

    def once(store: Store) -> float:
        began = time.perf_counter()
        store.create(place / "videos" / "00.mp4", user_id="p01", exercise_name="Overhead Squat")
        return time.perf_counter() - began

    empty, full = Store(place / "empty"), Store(place / "full")
    for number in range(CROWD):
        (full.path / f"session-{number}").mkdir(parents=True)
    for store in (empty, full):
        once(store)
    return max(0.0, float(np.median([once(full) - once(empty) for _ in range(5)])))


def store_of(number: int, place: Path) -> Path:
    """Make a store of many sessions; four of each person, with the results of the demo."""
    from mobility.pipeline.metrics_table import write_metrics_table
    from mobility.store import Store

    store = place / "sessions"
    demo = Store(store).demo("Overhead Squat")
    results = place / "results"
    results.mkdir(parents=True)
    for name in ("metrics", "capture_quality"):
        shutil.copyfile(demo.result_file(name), results / demo.record.stages[name].file)
    write_metrics_table(results / "metrics.parquet", demo.metrics())
    record = demo.record.model_dump(mode="json")
    table = {"file": "metrics.parquet", "sha256": sha256(results / "metrics.parquet")}
    record["stages"]["table"] = record["stages"]["metrics"] | table
    (store / "participants").mkdir(parents=True)
    for person in range(math.ceil(number / 4)):
        known = {"user_id": f"p{person}", "sex": ("female", "male")[person % 2]}
        (store / "participants" / f"p{person}.json").write_text(json.dumps(known))
    for each in range(number):
        folder = store / f"session-{each}"
        folder.mkdir()
        for file in results.iterdir():
            os.link(file, folder / file.name)
        date = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(hours=each)
        own = {"session_id": folder.name, "user_id": f"p{each // 4}", "created_at": f"{date}"}
        (folder / "session.json").write_text(json.dumps({**record, **own}))
    return store


def cohorts(numbers: Sequence[int]) -> str:
    """Say what `mobility cohort` takes for stores of so many sessions, from few to many."""
    lines = [
        "| sessions | rows | seconds | of a processor | a session, ms | longest cell, s | "
        "memory, GB | table, MB as Parquet, CSV |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for number in sorted(numbers):
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            store, out = store_of(number, place), place / "out"
            command = [sys.executable, "-c", _COHORT, str(store), str(out)]
            began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=ENVIRONMENT)
            seconds = time.perf_counter() - began
            used = resource.getrusage(resource.RUSAGE_CHILDREN)
            worked = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
            rows, longest = json.loads(done.stdout)
            sizes = [(out / f"cohort.{end}").stat().st_size / 1e6 for end in ("parquet", "csv")]
        lines.append(
            f"| {number:,} | {rows:,} | {seconds:.0f} | {worked:.0f} | "
            f"{1e3 * worked / number:.1f} | {longest:.0f} | {used.ru_maxrss / 1e6:.1f} | "
            f"{sizes[0]:.1f}, {sizes[1]:.0f} |"
        )
    return "\n".join(lines) + "\n"


_COHORT = """
import json, sys, time
from pathlib import Path
import pyarrow.parquet as pq
from nbclient import NotebookClient
from mobility.reports.render import render_cohort
from mobility.store import Store

real, took = NotebookClient.execute_cell, []

def timed(*args, **kwargs):
    began = time.perf_counter()
    cell = real(*args, **kwargs)
    took.append(time.perf_counter() - began)
    return cell

NotebookClient.execute_cell = timed
made = render_cohort(Store(sys.argv[1]), Path(sys.argv[2]))
print(json.dumps([pq.read_metadata(made["parquet"]).num_rows, max(took)]))
"""


def of_night(night: dict[str, Any]) -> list[Video]:
    """Videos of a night, the same each time."""
    draw = np.random.default_rng(1)
    seconds = night["median_seconds"] * night["spread"] ** draw.normal(size=night["videos"])
    return [Video(float(each), float(each) * night["megabytes_per_second"]) for each in seconds]


def needed(videos: Sequence[Video], measured: Measured, storage: float, hours: float) -> int | None:
    """Workers that do the videos in time; None if no number does."""
    least, most = 0, 4096
    if simulate(videos, measured, Site(most, storage)).seconds > hours * 3600:
        return None
    while most - least > 1:
        middle = (least + most) // 2
        in_time = simulate(videos, measured, Site(middle, storage)).seconds <= hours * 3600
        least, most = (least, middle) if in_time else (middle, most)
    return most


def tables(measured: Measured, given: dict[str, Any]) -> str:
    """Say what was measured, how it predicts, and what the night takes."""
    night, site = given["night"], given["site"]
    storage = site["storage_megabytes_per_second"]
    videos = of_night(night)
    stages = [
        f"| {name} | {cost.fixed:.2f} | {cost.each:.3f} | {cost.first:.1f} |"
        for name, cost in measured.stages.items()
    ]
    total = [sum(getattr(cost, part) for cost in measured.stages.values()) for part in PARTS]
    predicted = measured.prediction
    workers = needed(videos, measured, storage, night["hours"])
    lines = [
        "| seconds of | a video | each second of it | the first one of a worker, more |",
        "|---|---|---|---|",
        *stages,
        f"| **together** | **{total[0]:.2f}** | **{total[1]:.3f}** | **{total[2]:.1f}** |",
        "",
        f"Beside these: {measured.start_s:.1f} s for a batch to start and end, "
        f"{1e3 * measured.check_s:.0f} ms on one processor to check a video, "
        f"{1e3 * measured.books_s:.1f} ms and {measured.books_kb:.0f} KB a row in the process that "
        f"hands them out, {1e3 * measured.crowd_s:.0f} ms more to take a video into a store of "
        f"10,000; {measured.results.fixed:.1f} MB and {measured.results.each:.2f} MB a second of "
        f"video in results and report; at most {measured.memory_mb / 1e3:.2f} GB of memory a "
        f"worker, in all processes. {measured.videos} videos, {measured.processors} workers on as "
        "many processors.",
        "",
        f"**Checked:** a batch of {predicted['videos']:.0f} other videos was predicted to take "
        f"{predicted['predicted_s']:.0f} s and took {predicted['measured_s']:.0f} s: a ratio of "
        f"{predicted['ratio']:.2f}.",
        "",
        f"{night['videos']:,} videos of {night['median_seconds']} s (median; "
        f"{sum(video.megabytes for video in videos) / 1e6:.2f} TB), over shared storage of "
        f"{storage} MB/s, with {site['processors_per_machine']} processors in a machine:",
        "",
        "| workers | machines | memory, GB | hours | videos/h | processor hours | workers busy | "
        "storage busy | handing out busy |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    runs = {number: simulate(videos, measured, Site(number, storage)) for number in [workers or 16]}
    for number in (16 * 2**power for power in range(9)):
        runs[number] = simulate(videos, measured, Site(number, storage))
        if number > 16 and runs[number].seconds > 0.95 * runs[number // 2].seconds:
            break
    runs = dict(sorted(runs.items()))
    for number, ran in runs.items():
        machines = math.ceil(number / site["processors_per_machine"])
        mark = "**" if number == workers else ""
        use = " | ".join(f"{100 * ran.use[part]:.0f} %" for part in ("workers", "storage", "books"))
        lines.append(
            f"| {mark}{number}{mark} | {machines} | {number * measured.memory_mb / 1e3:.0f} | "
            f"{ran.seconds / 3600:.1f} | {3600 * night['videos'] / ran.seconds:,.0f} | "
            f"{ran.worked / 3600:.0f} | {use} |"
        )
    lines += ["", *conclusions(videos, measured, given, runs, workers)]
    return "\n".join(lines) + "\n"


PARTS = ("fixed", "each", "first")


def conclusions(
    videos: Sequence[Video],
    measured: Measured,
    given: dict[str, Any],
    runs: dict[int, Ran],
    workers: int | None,
) -> list[str]:
    """Say what the night needs, and what gives out first."""
    night, site = given["night"], given["site"]
    storage = site["storage_megabytes_per_second"]
    kept = sum(measured.results.of(video) + video.megabytes for video in videos) / 1e6
    least = runs[min(runs)]
    if workers is None:
        answer = f"No number of workers does it in {night['hours']} h over this storage."
    else:
        machines = math.ceil(workers / site["processors_per_machine"])
        answer = (
            f"**{workers} workers ({machines} machines) do it in {night['hours']} h**, for "
            f"{runs[workers].worked / 3600:.0f} processor hours."
        )
    moved = [3 * video.megabytes + measured.results.of(video) for video in videos]
    took = [sum(cost.of(video) for cost in measured.stages.values()) for video in videos]
    # Where each would be busy all the time, were workers the only other thing.
    limits = {
        f"storage ({storage} MB/s)": storage * float(np.mean(took)) / float(np.mean(moved)),
        "the process that hands out rows": float(np.mean(took)) / measured.books_s,
    }
    first = min(limits, key=lambda name: limits[name])
    other = max(limits, key=lambda name: limits[name])
    return [
        f"{answer} {kept:.2f} TB are kept, {1e6 * (kept / night['videos']):.0f} MB a video, most "
        "of it the copy of the video. Cost is these processor hours and terabytes times what "
        "yours cost: no price is assumed.",
        "",
        f"**What gives out first** beside processors is {first}, at about "
        f"{limits[first]:.0f} workers; {other} follows at {limits[other]:.0f}. All videos are "
        f"checked before the first is worked on, which is after {least.checked / 60:.0f} min here.",
    ]


def written(page: str, made: str, begin: str = BEGIN) -> str:
    """Put what was made between its marks in the page."""
    head, _, rest = page.partition(begin)
    _, _, tail = rest.partition(END)
    assert rest, "the page has lost its marks"
    return f"{head}{begin}\n\n{made}\n{END}{tail}"


def read_inputs(path: Path) -> Measured:
    """Measured times of an earlier run."""
    found = json.loads(path.read_text())
    return Measured(
        **{
            **found,
            "stages": {name: Cost(**cost) for name, cost in found["stages"].items()},
            "results": Cost(**found["results"]),
        }
    )


def main() -> None:
    """Measure, predict, simulate, and print or write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=Path)
    parser.add_argument("--site", type=Path, default=SITE)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--cohort", type=int, nargs="+", metavar="SESSIONS")
    given = parser.parse_args()
    if given.cohort:
        write(cohorts(given.cohort), BEGIN_COHORT, keep=given.write)
        return
    if given.inputs and given.inputs.exists():
        measured = read_inputs(given.inputs)
    else:
        measured = measure()
        if given.inputs:
            given.inputs.parent.mkdir(parents=True, exist_ok=True)
            given.inputs.write_text(json.dumps(asdict(measured), indent=2) + "\n")
    write(tables(measured, yaml.safe_load(given.site.read_text())), BEGIN, keep=given.write)


def write(made: str, begin: str, *, keep: bool) -> None:
    """Print what was made, and put it into the page if it is to be kept."""
    print(made)
    if keep:
        with atomic(PAGE) as hidden:
            hidden.write_text(written(PAGE.read_text(), made, begin))


if __name__ == "__main__":
    main()
