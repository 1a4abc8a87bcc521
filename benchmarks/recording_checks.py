"""What the check of a video reports for good and for spoilt videos, and how long it takes.

usage: python benchmarks/recording_checks.py [--cache FOLDER] [--data FOLDER] [--times] [--write]

The videos are those of recording_checks.yaml. They are made and checked in the cache, and also
analysed there. ``--times`` checks 15 and 60 s of video with the command line, three times each, and
prints the medians. ``--write`` writes recording_checks.md beside this file. Rendered videos need
the extra virtual-lab.
"""

from __future__ import annotations

import argparse
import itertools
import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import yaml
from numpy.typing import NDArray

import mobility as mb
from mobility.base.provenance import sha256
from mobility.capture.video import probe, read_frames, write_video
from mobility.errors import MobilityError
from mobility.sessions.files import atomic
from mobility.virtual_lab.case import render_case
from mobility.virtual_lab.grid import grid_cases, read_grid
from mobility.virtual_lab.sweep import case_digest

ROOT = Path(__file__).resolve().parents[1]
GRID = ROOT / "benchmarks" / "recording_checks.yaml"
RENDERED = ROOT / "benchmarks" / "exercises_reporting2.yaml"
TABLE = ROOT / "benchmarks" / "recording_checks.md"

Image = NDArray[np.uint8]

SAID = {
    **{"good": "good", "limited": "limits"},
    **dict.fromkeys(("not_this_exercise", "unusable", "failed"), "again"),
}
"""Words for each level of the verdict."""

OF_WISHES = {"other_view", "fewer_repetitions"}


def source_of(film: Mapping[str, Any], data: Path, cache: Path) -> Path:
    """Return the file of a video as it was recorded or rendered."""
    if "demo" in film:
        return ROOT / "data" / "demo" / film["demo"] / "video.mp4"
    if "video" in film:
        return data / "videos" / f"{film['video']}.mp4"
    grid = film.get("grid", RENDERED.stem)
    cases = grid_cases(read_grid(RENDERED.with_name(f"{grid}.yaml")))
    case = next(each for each in cases if each.name == film["rendered"])
    folder = cache / f"{case.name}-{case_digest(case)[:12]}"
    if not (folder / "video.mp4").is_file():
        render_case(case, folder)
    return folder / "video.mp4"


def made(film: Mapping[str, Any], data: Path, cache: Path) -> Path:
    """Return the file of a video, spoilt as requested."""
    source = source_of(film, data, cache)
    if not {*film} - {"demo", "video", "grid", "rendered"}:
        return source
    target = cache / f"{'-'.join(map(str, _flat(film)))}.mp4".replace("/", "-")
    if not target.is_file():
        rate = probe(source).frame_rate or 30.0
        cache.mkdir(parents=True, exist_ok=True)
        images = spoilt(film, source, data, cache)
        write_video(target, ((number / rate, image) for number, image in enumerate(images)))
    return target


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield name
            yield from _flat(inner)
    else:
        yield value


def spoilt(film: Mapping[str, Any], source: Path, data: Path, cache: Path) -> Iterator[Image]:
    """Yield the frames of a video with the requested fault."""
    rng = np.random.default_rng(7)
    frames = read_frames(source, start=film.get("from_s"), stop=film.get("to_s"))
    beside: Iterator[Any] = itertools.repeat(None)
    if "beside" in film:
        beside = read_frames(source_of(film["beside"], data, cache))
    for frame, other in zip(frames, beside, strict=False):
        image = frame.image
        height, width = image.shape[:2]
        cut = film.get("cut", {})
        image = image[int(cut.get("top", 0) * height) : int((1 - cut.get("bottom", 0)) * height)]
        if other is not None:
            scale = image.shape[0] / other.image.shape[0]
            image = np.hstack([image, cv2.resize(other.image, None, fx=scale, fy=scale)])
        if "light" in film:
            noise = rng.normal(scale=4, size=image.shape)
            image = np.clip(image * film["light"] + noise, 0, 255)
        if "shake" in film:
            way = film["shake"] * width
            across = way * np.sin(2 * np.pi * 0.31 * frame.time)
            down = way * np.sin(2 * np.pi * 0.23 * frame.time)
            moved = np.array([[1.0, 0.0, across], [0.0, 1.0, down]])
            size = (image.shape[1], image.shape[0])
            image = cv2.warpAffine(image, moved, size, borderMode=cv2.BORDER_REPLICATE)
        whole = [4 * (side // 4) for side in image.shape[:2]]  # what any codec takes as it is
        yield np.ascontiguousarray(image[: whole[0], : whole[1]], np.uint8)


def each_case(entry: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Name each case of a grid, if no video of it is named."""
    film = entry["film"]
    if "grid" not in film:
        yield entry
        return
    for case in grid_cases(read_grid(RENDERED.with_name(f"{film['grid']}.yaml"))):
        yield {**entry, "film": {**film, "rendered": case.name}}


def checked(entry: Mapping[str, Any], film: Path) -> dict[str, Any]:
    """Return the document of the check of a video."""
    asked = {name: value for name, value in entry.items() if name not in ("film", "what")}
    return mb.check_recording(film, **asked)


def analysed(entry: Mapping[str, Any], film: Path, cache: Path) -> tuple[str, list[str]]:
    """Return the verdict on the video after its analysis, and the codes of its reasons."""
    asked = {"exercise_name": entry.get("exercise"), "movement": entry.get("movement")}
    store = mb.Store(cache / "sessions", reports=cache / "reports")
    title = sha256(film)[:12] + str(entry.get("exercise"))
    session = next((each for each in store.sessions() if each.title == title), None)
    try:
        if session is None:
            session = store.create(film, user_id="film", session_name=title, **asked)
        session.analyze(annotate=False)
    except MobilityError as error:
        return "failed", [str(error)]
    verdict = session.verdict()
    return verdict.level, [each.code for each in verdict.reasons] or [verdict.why][
        : bool(verdict.why)
    ]


def rows_of(
    kind: str, grid: Mapping[str, Any], data: Path, cache: Path
) -> Iterator[dict[str, Any]]:
    """Return the result of each video's check, beside the verdict."""
    for entry in (case for each in grid[kind] for case in each_case(each)):
        film = made(entry["film"], data, cache)
        wishes = [entry.get(each) for each in ("exercise", "movement", "view", "repetitions")]
        document = checked(entry, film)
        codes = [each["code"] for each in document["reasons"]]
        level, full = analysed(entry, film, cache)
        what = entry.get("what", "")
        wanted = grid["codes"].get(what, [])
        row = {
            "film": " ".join(map(str, _flat(entry["film"]))),
            "asked": ", ".join(str(each) for each in wishes if each),
            **({"wrong": what} if what else {}),
            "check": SAID[document["verdict"]],
            "because": ", ".join(codes),
            "seen": f"{document['seen']['view']}, {document['seen']['repetitions']}",
            "verdict": SAID[level],
            "for": ", ".join(full),
            "found": document["good"] if not what else bool({*codes} & {*wanted}),
            # No verdict knows of a view and of repetitions that were meant.
            "agrees": SAID["good" if {*codes} <= OF_WISHES else document["verdict"]] == SAID[level],
        }
        print(json.dumps(row), flush=True)
        yield row


def seconds(cache: Path, lasts_s: float) -> tuple[float, float]:
    """Return wall and processor seconds of a check with the command line: medians of three."""
    source = ROOT / "data" / "demo" / "squat" / "video.mp4"
    film = cache / f"squat-{lasts_s:g}-s.mp4"
    if not film.is_file():
        images = [frame.image for frame in read_frames(source)]
        there_and_back = itertools.cycle([*images, *reversed(images)])
        images = itertools.islice(there_and_back, round(30 * lasts_s))
        write_video(film, ((number / 30, image) for number, image in enumerate(images)))
    took = []
    for _ in range(3):
        began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [sys.executable, "-m", "mobility.cli", "analyze", "--check", str(film)]
        subprocess.run([*command, "--exercise", "squat", "--json"], check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        took.append((time.perf_counter() - began, used))
    wall, used = np.median(took, axis=0)
    return float(wall), float(used)


def written(table: pd.DataFrame) -> str:
    """Return a table in Markdown."""
    lines = [table.columns, ["---"] * len(table.columns), *table.to_numpy().tolist()]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def markdown(rows: Mapping[str, pd.DataFrame], times: pd.DataFrame | None) -> str:
    """Return the page."""
    good, wrong, views = rows["good"], rows["wrong"], rows["views"]
    every = pd.concat([good, wrong, views])
    alike = every["agrees"].sum()
    lines = [
        "# What the check of a recording says",
        "",
        "`python benchmarks/recording_checks.py --times --write`: 20 films without and 20 with one",
        "thing wrong, and films from all sides (`recording_checks.yaml`, chosen before any was",
        "checked), the check of each, and the verdict after its analysis. Both say that a film is",
        "good, that it can be used with limits, or to film again, if most results would be missing",
        "or false. `seen` is the view and the number of repetitions. What was meant, a view or a",
        "number of repetitions, is left out of the comparison. Check and verdict compare two",
        "searches of the joints in a few frames, which are not the same frames in both, so that",
        "`landmarks` alone may differ if the distance is near its limit of 1.3 %.",
        "",
        f"- Check and verdict say the same of {alike} of {len(every)} films"
        f" ({100 * alike / len(every):.0f} %).",
        f"- Of {len(wrong)} films with one thing wrong the check names it in"
        f" {wrong['found'].sum()}.",
        f"- Of {len(good)} films with nothing wrong the check calls {good['found'].sum()} good,",
        f"  and the verdict {(good['verdict'] == 'good').sum()}; of {len(views)} from all sides",
        f"  {views['found'].sum()} and {(views['verdict'] == 'good').sum()}.",
        "",
    ]
    lines += [
        f"{film.film}: the check says {film.check} ({film.because}), the verdict {film.verdict}"
        f" ({film.for_}).\n"
        for film in every[~every["agrees"]].rename(columns={"for": "for_"}).itertuples()
    ]
    if times is not None:
        lines += [
            "## Seconds",
            "",
            "Median of three, of the command with its start, on two cores.",
            "",
        ]
        lines += [written(times), ""]
    heads = {"good": "Nothing wrong", "wrong": "One thing wrong", "views": "From all sides"}
    for name, head in heads.items():
        yes_no = {n: rows[name][n].map({True: "yes", False: "no"}) for n in ("found", "agrees")}
        lines += [f"## {head}", "", written(rows[name].assign(**yes_no)), ""]
    return "\n".join(lines)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, default=Path("recording-checks"))
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--times", action="store_true")
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    grid = yaml.safe_load(GRID.read_text(encoding="utf-8"))
    rows = {
        kind: pd.DataFrame(rows_of(kind, grid, given.data, given.cache))
        for kind in ("good", "wrong", "views")
    }
    times = None
    if given.times:
        took = [(f"{lasts} s", *seconds(given.cache, lasts)) for lasts in (15, 60)]
        times = pd.DataFrame(took, columns=["film", "seconds", "processor seconds"]).round(1)
    page = markdown(rows, times)
    print(page)
    if given.write:
        with atomic(TABLE) as hidden:
            hidden.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
