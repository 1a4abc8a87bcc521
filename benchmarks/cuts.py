"""How often captions are mistaken for cuts, and how often cuts to other shots are missed.

usage: python benchmarks/cuts.py [--data FOLDER] [--height PIXELS]

Captions, counters, bars and jumps of the exposure are drawn on parts of filmed and rendered
exercises, and other shots are appended to parts of them. The script counts how many changes are
mistaken for cuts, and how many cuts are missed, in two ways: from the sudden changes of the picture
alone, and with the search after each change (`mobility.capture.shots.cuts`). The limits of
`shots.py` were chosen on a set much like this one.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pandas as pd

import mobility as mb
from mobility.capture import shots
from mobility.capture.video import read_frames
from mobility.sessions.files import read_dataset

ROOT = Path(__file__).resolve().parents[1]
DEMOS = ("overhead-squat", "squat", "sit-to-stand", "single-leg-squat", "joint-angle-mobility")
FILMS = ("opencap_s4_squats1_phone", "cmbbe_squats_cam0", "tfjs_pose_squats", "opencap_walk")
FIRST, LAST, EVERY = 30, 190, 45
"""Number of frames of each video, and after how many the caption changes."""
NOISE = 2.0
"""Levels of noise, because rendered videos have none."""
WORDS = ("Squat down now", "Keep the back flat", "Push the knees out", "Well done, breathe")

Picture = np.ndarray
Change = Callable[[Picture, int], Picture]


class Film(NamedTuple):
    """Frames, and the positions of the landmarks in them, pixels."""

    times: np.ndarray
    frames: list[Picture]
    marks: np.ndarray


def read(video: Path, pose: Path | None, height: int) -> Film:
    """Read a part of a video, with its landmarks at the time of each frame."""
    found = mb.estimate_pose(video) if pose is None else read_dataset(pose)
    frames = [(f.time, f.image) for f in read_frames(video, most_height=height, stop=10.0)]
    frames = frames[FIRST:LAST]
    times = np.array([time for time, _ in frames])
    marks = found["image_position"].isel(individual=0).transpose("time", "keypoint", "pixel")
    scale = frames[0][1].shape[1] / float(found.attrs["image_width"])
    at = [
        [np.interp(times, found["time"], marks[:, k, axis]) for axis in (0, 1)]
        for k in range(marks.sizes["keypoint"])
    ]
    return Film(times, [image for _, image in frames], scale * np.array(at).transpose(2, 0, 1))


def written(image: Picture, text: str, place: float, size: float = 1.0) -> Picture:
    """Write a text at a height of the picture."""
    height, width = image.shape[:2]
    at = int(0.05 * width), int(place * height)
    look = cv2.FONT_HERSHEY_SIMPLEX, size * width / 400, (255, 255, 255), max(1, int(2 * size))
    return cv2.putText(np.ascontiguousarray(image), text, at, *look, cv2.LINE_AA)


def bar(image: Picture, top: float, bottom: float, number: int) -> Picture:
    """Put a bar with words over a part of the picture."""
    covered, height = image.copy(), len(image)
    covered[int(top * height) : int(bottom * height)] = 0
    return written(covered, WORDS[number % len(WORDS)], top + 0.1)


def on_and_off(change: Callable[[Picture], Picture]) -> Change:
    """Change the picture in every other interval."""
    return lambda image, number: change(image) if number % 2 else image


def brighter(image: Picture, factor: float, levels: int) -> Picture:
    """Change the exposure of the picture."""
    return np.clip(image * factor + levels, 0, 255).astype(np.uint8)


CAPTIONS: dict[str, Change] = {
    "caption below": lambda x, n: written(x.copy(), WORDS[n % 4], 0.95),
    "caption across": lambda x, n: written(x.copy(), WORDS[n % 4], 0.55, 1.4),
    "counter above": lambda x, n: written(x.copy(), str(n), 0.3, 4),
    "counter on the chest": lambda x, n: written(x.copy(), f"   {n}", 0.5, 3),
    "bar of a fifth": lambda x, n: bar(x, 0.8, 1.0, n),
    "bar of a third below": on_and_off(lambda x: bar(x, 0.67, 1.0, 0)),
    "bar of a third above": on_and_off(lambda x: bar(x, 0.0, 0.33, 0)),
    "bar of a third across": on_and_off(lambda x: bar(x, 0.33, 0.66, 0)),
    "exposure, 40 levels": on_and_off(lambda x: brighter(x, 1.0, 40)),
    "exposure, 1.5 times": on_and_off(lambda x: brighter(x, 1.5, 0)),
}


def nearer(image: Picture, times: float) -> tuple[Picture, np.ndarray]:
    """Enlarge the middle of the picture; also return where its corner was."""
    height, width = image.shape[:2]
    corner = np.array([width, height]) * (1 - 1 / times) / 2
    left, top = corner.astype(int)
    part = image[top : top + int(height / times), left : left + int(width / times)]
    return cv2.resize(part, (width, height)), corner


def other_shots(film: Film, another: Film) -> Iterator[tuple[str, Film]]:
    """Yield videos with a cut in the middle: to a closer, a mirrored and a different picture."""
    half, size = len(film.frames) // 2, film.frames[0].shape[1::-1]
    for times in (1.12, 1.3, 1.8):
        parts = [nearer(image, times) for image in film.frames[half:]]
        marks = film.marks.copy()
        marks[half:] = (marks[half:] - parts[0][1]) * times
        yield (
            f"nearer, {times} times",
            film._replace(frames=[*film.frames[:half], *(part for part, _ in parts)], marks=marks),
        )
    marks = film.marks.copy()
    marks[half:, :, 0] = size[0] - marks[half:, :, 0]
    turned = [np.ascontiguousarray(image[:, ::-1]) for image in film.frames[half:]]
    yield "mirrored", film._replace(frames=[*film.frames[:half], *turned], marks=marks)
    count = min(len(film.frames) - half, len(another.frames))
    factor = np.array(size) / np.array(another.frames[0].shape[1::-1])
    yield (
        "somebody else",
        Film(
            film.times[: half + count],
            [*film.frames[:half], *(cv2.resize(x, size) for x in another.frames[:count])],
            np.concatenate([film.marks[:half], another.marks[:count] * factor]),
        ),
    )


def counted(film: Film, rng: np.random.Generator) -> tuple[list[float], list[float]]:
    """Return the times of the sudden changes, and of the cuts."""
    changes = shots.PictureChanges()
    step = -(-max(film.frames[0].shape[:2]) // 128)
    for time, image in zip(film.times, film.frames, strict=True):
        grey = cv2.cvtColor(image[step // 2 :: step, step // 2 :: step], cv2.COLOR_RGB2GRAY)
        noisy = grey + rng.normal(0, NOISE, grey.shape)
        changes.add(float(time), np.clip(noisy, 0, 255).astype(np.uint8))
    pictures = changes.between(-np.inf, np.inf)
    sudden = shots.sudden_changes(pictures["picture_times"], pictures["changes"])
    cuts = shots.cuts(pictures, film.times, film.marks, film.frames[0].shape[1])
    return sudden, cuts


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--height", type=int, default=360)
    options = parser.parse_args()
    demos = [ROOT / "data" / "demo" / each for each in DEMOS]
    films = [read(each / "video.mp4", each / "pose.nc", options.height) for each in demos]
    videos = [options.data / "videos" / f"{each}.mp4" for each in FILMS]
    films += [read(each, None, options.height) for each in videos if each.is_file()]
    rng, rows = np.random.default_rng(0), []
    for number, film in enumerate(films):
        for name, change in CAPTIONS.items():
            drawn = [change(image, i // EVERY) for i, image in enumerate(film.frames)]
            true = (len(film.frames) - 1) // EVERY
            sudden, cuts = counted(film._replace(frames=drawn), rng)
            rows.append(("captions", name, true, len(sudden), len(cuts)))
        for name, shot in other_shots(film, films[(number + 1) % len(films)]):
            cut = shot.times[len(film.frames) // 2]
            missed = [int(cut not in found) for found in counted(shot, rng)]
            rows.append(("cuts missed", name, 1, *missed))
    columns = ["what", "case", "drawn", "by changes alone", "as it is"]
    table = pd.DataFrame(rows, columns=columns).groupby(columns[:2], sort=False).sum()
    print(f"{len(films)} films")
    print(table.to_string())
    print(table.groupby(level=0).sum().to_string())


if __name__ == "__main__":
    main()
