"""One process in which a detector of another package looks at frames, without network.

It imports nothing of MediaPipe. Asked for a detector alone, it answers what is known of it; asked
for a job, it sends its progress, and each chunk with the people in its frames.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel

from mobility.base.processes import Send, serve
from mobility.capture import offline, shots, survey
from mobility.capture.detectors import loaded
from mobility.capture.landmarks import Image, Landmarks, arrays_as_bytes, nobody
from mobility.capture.sampling import chooser
from mobility.capture.video import read_frames
from mobility.errors import MobilityError, VideoError

PROGRESS_FRAMES = 4
"""Frames between two messages of progress; many models are slow."""


class DetectorJob(BaseModel):
    """Job of a worker: a run of chunks of one video."""

    video: str
    detector: str
    chunks: list[tuple[int, float | None, float | None]]
    """Number, start and stop in seconds of each chunk; None at the ends of the video."""
    before_s: float
    """Time before the first chunk from which on pictures are compared for cuts."""
    frames: list[float]
    """Times of the frames in which the pose is estimated, seconds."""


@dataclass
class _Chunk:
    number: int
    start: float
    stop: float
    times: list[float] = field(default_factory=list)
    people: list[Landmarks] = field(default_factory=list)
    """Those in each frame."""
    looks: list[survey.Look] = field(default_factory=list)
    backgrounds: list[Image] = field(default_factory=list)
    last_look: int = -1


def run(job: DetectorJob, send: Send) -> None:
    """Do the job, and send progress, chunks and faults of the decoder."""
    detector = loaded(job.detector)
    waiting = [
        _Chunk(n, -np.inf if a is None else a, np.inf if b is None else b) for n, a, b in job.chunks
    ]
    begin, end = waiting[0].start - job.before_s, waiting[-1].stop
    changes = shots.PictureChanges()
    frames = read_frames(
        job.video,
        start=None if np.isinf(begin) else begin,
        stop=None if np.isinf(end) else end,
        only=chooser(job.frames),
        glance=changes.add,
        on_fault=lambda fault: send({"fault": fault}, b""),
    )
    for done, frame in enumerate(frames, 1):
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
    offline.cut_off()
    serve(do)


def do(request: dict[str, Any], send: Send) -> Any:
    """Do a :class:`DetectorJob`, or say what is known of a ``detector``."""
    if set(request) == {"detector"}:
        return loaded(request["detector"]).about.model_dump()
    job = DetectorJob.model_validate(request)
    try:
        run(job, send)
    except MobilityError:
        raise
    except (RuntimeError, ValueError, MemoryError) as error:
        why = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise VideoError(
            f"{Path(job.video).name}: the pose search failed ({why}); export the video again"
        ) from None
    return None


if __name__ == "__main__":
    main()
