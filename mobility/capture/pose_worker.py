"""One process of :func:`mobility.capture.pose.estimate_pose`, without network access.

Any number of processes can share the work; see :mod:`mobility.base.processes`. A process sends its
progress, and each chunk with its poses as bytes.
"""

from __future__ import annotations

import sys
import types
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field

from mobility.base.processes import Send, serve
from mobility.capture import pose_process, shots, survey
from mobility.capture.landmarker import Landmarker, Region, around
from mobility.capture.landmarks import (
    Box,
    Image,
    Landmarks,
    arrays_as_bytes,
    believable,
    bounding_box,
    nobody,
    overlap,
    stacked,
    upside_down,
)
from mobility.capture.passes import ChunksJob

SURVEY_PEOPLE = 4
"""Largest number of people that one look searches for."""

PROGRESS_FRAMES = 16
"""Number of frames between two progress messages."""

SEARCH_INTERVAL_S = 0.2
"""Least time between two searches of all parts of the picture, while nobody is found."""


class Job(ChunksJob):
    """Work for this process."""

    model: str
    track: survey.Track | None = None
    """The subject, if other people are in the picture."""
    other_tracks: list[survey.Track] = Field(default_factory=list)
    """The other people."""
    looks: list[float] = Field(default_factory=list)
    """Times in seconds at which the survey saw the other people."""


@dataclass
class _Chunk:
    """State of one chunk, with its own landmarker; chunks share nothing."""

    number: int
    start: float
    stop: float
    landmarker: Landmarker
    region: Region | None
    last_box: Box | None = None
    last_time: float = -np.inf
    times: list[float] = field(default_factory=list)
    poses: list[Landmarks] = field(default_factory=list)
    last_search: float = -np.inf
    retried: int = 0
    looks: list[survey.Look] = field(default_factory=list)
    backgrounds: list[Image] = field(default_factory=list)
    """Reduced grey pictures of the looks."""
    last_look: int = -1


def run(job: Job, send: Send) -> None:
    """Do the work; send progress, chunks, and errors of the decoder."""
    waiting = job.bounded_chunks()
    active: list[_Chunk] = []
    done = 0
    changes = shots.PictureChanges()
    with Landmarker(job.model, "image", SURVEY_PEOPLE) as many:
        try:
            for frame in job.pictures(changes, send):
                while waiting and frame.time >= waiting[0][1] - job.warm_up_s:
                    limits = waiting.pop(0)
                    # A chunk without a decodable frame gets no landmarker.
                    if frame.time < limits[2]:
                        active.append(_open(job, limits, frame.image))
                for chunk in [c for c in active if frame.time >= c.stop]:
                    active.remove(chunk)
                    chunk.landmarker.close()
                    _send(chunk, changes, send)
                for chunk in active:
                    pose, retried = _find(job, chunk, many, frame.image, frame.time)
                    if frame.time >= chunk.start:
                        chunk.times.append(frame.time)
                        chunk.poses.append(pose)
                        chunk.retried += retried
                        if job.track is None:
                            _look(chunk, many, frame.image, frame.time, pose)
                done += 1
                if done % PROGRESS_FRAMES == 0:
                    send({"frames": PROGRESS_FRAMES}, b"")
        finally:
            for chunk in active:
                chunk.landmarker.close()
        for chunk in active:
            _send(chunk, changes, send)


def _open(job: Job, limits: tuple[int, float, float], image: Image) -> _Chunk:
    number, start, stop = limits
    region = None
    if (track := job.track) is not None:
        first, last = max(start, track.times[0]), min(stop, track.times[-1])
        boxes = np.asarray(track.boxes_between(first - job.warm_up_s, max(first, last)))
        union = (*boxes[:, :2].min(axis=0).tolist(), *boxes[:, 2:].max(axis=0).tolist())
        region = around(union, image.shape[1], image.shape[0], margin=0.2)
    return _Chunk(number, start, stop, Landmarker(job.model, "video"), region)


def _send(chunk: _Chunk, changes: shots.PictureChanges, send: Send) -> None:
    pictures = changes.between(chunk.start, chunk.stop)
    arrays: dict[str, npt.NDArray[Any]] = {
        "poses": stacked(chunk.poses),
        "times": np.asarray(chunk.times, np.float64),
        "backgrounds": np.asarray(chunk.backgrounds, np.uint8),
        **pictures,
    }
    layouts, content = arrays_as_bytes(arrays)
    header = {
        "chunk": chunk.number,
        "retried": chunk.retried,
        "looks": [look.model_dump() for look in chunk.looks],
        "arrays": layouts,
    }
    send(header, content)


def _find(
    job: Job, chunk: _Chunk, many: Landmarker, image: Image, time: float
) -> tuple[Landmarks, bool]:
    """Return the subject's pose in one frame, or NaN, and whether only a second look found it."""
    no_pose = nobody()
    if job.track is not None and not job.track.is_near(time):
        return no_pose, False
    poses = chunk.landmarker(image, chunk.region, time=time)
    retried = not (poses and _is_subject(job, chunk, poses[0], time))
    if retried:
        for region in _second_looks(chunk, image, time, job.track):
            poses = [
                pose
                for pose in many(image, region)
                if believable(pose) and _is_subject(job, chunk, pose, time)
            ]
            if poses:
                break
        else:
            return no_pose, False
    chunk.last_box, chunk.last_time = bounding_box(poses[0]), time
    return poses[0], retried


def _is_subject(job: Job, chunk: _Chunk, pose: Landmarks, time: float) -> bool:
    """Whether a pose is upright, and near the subject's recent place or place in the survey."""
    track = job.track
    if upside_down(pose):
        return False
    if track is None:
        return True
    if survey.is_another(pose, time, track, job.other_tracks, job.looks):
        return False
    box = bounding_box(pose)
    if chunk.last_box is not None and time - chunk.last_time < 0.5:
        return overlap(box, chunk.last_box) > 0.3
    return overlap(box, track.box_at(time)) > 0.3


def _second_looks(
    chunk: _Chunk, image: Image, time: float, track: survey.Track | None
) -> list[Region]:
    """Try other scales and crops before a frame counts as empty."""
    height, width = image.shape[:2]
    near = chunk.last_box if chunk.last_box is not None and time - chunk.last_time < 2.0 else None
    if track is not None:
        box = near if near is not None and time - chunk.last_time < 0.5 else track.box_at(time)
        return [around(box, width, height, margin=margin) for margin in (0.15, 0.35)]
    # A smaller picture finds a person who fills it; a part of it finds a person who is far away.
    regions = [around(near, width, height, margin=0.25)] if near else []
    regions.append(Region(-width // 2, -height // 2, width + width // 2, height + height // 2))
    if time - chunk.last_search >= SEARCH_INTERVAL_S:
        chunk.last_search = time
        regions += [
            Region(left, top, left + width // part, top + height // part)
            for part in (2, 3)
            for top in range(0, height - height // part + 1, max(1, height // (2 * part)))
            for left in range(0, width - width // part + 1, max(1, width // (2 * part)))
        ]
    return regions


def _look(chunk: _Chunk, many: Landmarker, image: Image, time: float, pose: Landmarks) -> None:
    if not survey.is_due(time, chunk.last_look, chunk.looks):
        return
    chunk.last_look = survey.look_number(time)
    poses = many(image)
    if poses:
        covered, mask = survey.cover_people(image, poses)
        poses += survey.uncovered_poses(many(covered), mask)
    look, background = survey.look_at(image, time, survey.distinct(poses, pose))
    chunk.looks.append(look)
    chunk.backgrounds.append(background)


def main() -> None:
    """Entry point of the process."""
    pose_process.cut_off()
    serve(do, prepare=_import_mediapipe)


def do(request: dict[str, Any], send: Send) -> None:
    """Do a :class:`Job`."""
    job = Job.model_validate(request)
    with job.errors_in_one_line():
        run(job, send)


def _import_mediapipe() -> None:
    # MediaPipe imports a sound recorder, which runs gcc and ldconfig to find a library, and
    # Matplotlib, which takes a third of a second, for drawings that are not made here.
    sys.modules["sounddevice"] = None  # type: ignore[assignment]
    for name in ("matplotlib", "matplotlib.pyplot"):
        sys.modules[name] = types.ModuleType(name)
    import mediapipe.tasks.python  # noqa: F401


if __name__ == "__main__":
    main()
