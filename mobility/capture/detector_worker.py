"""One process in which a detector from another package searches frames, without network access.

It does not import MediaPipe. A request for a detector returns the description of the detector. In
response to a job, the process sends its progress, and each chunk with the people in its frames.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from mobility.base.processes import Send, serve
from mobility.capture import pose_process, shots, survey
from mobility.capture.detectors import loaded
from mobility.capture.landmarks import Image, Landmarks, arrays_as_bytes, nobody
from mobility.capture.passes import ChunksJob

PROGRESS_FRAMES = 4
"""Number of frames between two progress messages; it is small because many models are slow."""


class DetectorJob(ChunksJob):
    """Work for this process; pictures before its first chunk are only compared, to find cuts."""

    detector: str


@dataclass
class _Chunk:
    number: int
    start: float
    stop: float
    times: list[float] = field(default_factory=list)
    people: list[Landmarks] = field(default_factory=list)
    """People in each frame."""
    looks: list[survey.Look] = field(default_factory=list)
    backgrounds: list[Image] = field(default_factory=list)
    last_look: int = -1


def run(job: DetectorJob, send: Send) -> None:
    """Do the work; send progress, chunks, and errors of the decoder."""
    detector = loaded(job.detector)
    waiting = [_Chunk(*chunk) for chunk in job.bounded_chunks()]
    changes = shots.PictureChanges()
    for done, frame in enumerate(job.pictures(changes, send), 1):
        while frame.time >= waiting[0].stop:
            _send(waiting.pop(0), changes, send)
        chunk = waiting[0]
        people = detector(frame.image, frame.time)
        chunk.times.append(frame.time)
        chunk.people.append(people)
        _look(chunk, frame.image, frame.time, people)
        if done % PROGRESS_FRAMES == 0:
            send({"frames": PROGRESS_FRAMES}, b"")
    for chunk in waiting:
        _send(chunk, changes, send)


def _look(chunk: _Chunk, image: Image, time: float, people: Landmarks) -> None:
    if not survey.is_due(time, chunk.last_look, chunk.looks):
        return
    chunk.last_look = survey.look_number(time)
    look, background = survey.look_at(image, time, [survey.person(pose) for pose in people])
    chunk.looks.append(look)
    chunk.backgrounds.append(background)


def _send(chunk: _Chunk, changes: shots.PictureChanges, send: Send) -> None:
    arrays: dict[str, npt.NDArray[Any]] = {
        "poses": np.concatenate([nobody(0), *chunk.people]),
        "counts": np.array([len(people) for people in chunk.people], np.int64),
        "times": np.array(chunk.times, np.float64),
        "backgrounds": np.asarray(chunk.backgrounds, np.uint8),
        **changes.between(chunk.start, chunk.stop),
    }
    layouts, content = arrays_as_bytes(arrays)
    header = {
        "chunk": chunk.number,
        "retried": 0,
        "looks": [look.model_dump() for look in chunk.looks],
        "arrays": layouts,
    }
    send(header, content)


def main() -> None:
    """Entry point of the process."""
    pose_process.cut_off()
    serve(do)


def do(request: dict[str, Any], send: Send) -> Any:
    """Do a :class:`DetectorJob`, or describe a ``detector``."""
    if set(request) == {"detector"}:
        return loaded(request["detector"]).about.model_dump()
    job = DetectorJob.model_validate(request)
    with job.errors_in_one_line():
        run(job, send)
    return None


if __name__ == "__main__":
    main()
