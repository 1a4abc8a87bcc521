"""What a process that searches a video is asked for: a run of its chunks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from pydantic import BaseModel

from mobility.base.processes import Send
from mobility.capture import shots
from mobility.capture.sampling import chooser
from mobility.capture.video import Frame, read_frames
from mobility.errors import MobilityError, VideoError

Chunk = tuple[int, float | None, float | None]
"""Number, start and stop in seconds; None at the ends of the video."""


class ChunksJob(BaseModel):
    """Job of a process: a run of chunks of one video."""

    video: str
    chunks: list[Chunk]
    warm_up_s: float
    """Reading begins this long before the first chunk."""
    frame_times: list[float]
    """Times of the frames in which the pose is estimated, seconds."""

    def bounded_chunks(self) -> list[tuple[int, float, float]]:
        """Give number, start and stop of each chunk, infinite at the ends of the video."""
        return [
            (number, -np.inf if start is None else start, np.inf if stop is None else stop)
            for number, start, stop in self.chunks
        ]

    def pictures(self, changes: shots.PictureChanges, send: Send) -> Iterator[Frame]:
        """Read the frames of the pose.

        `changes` is shown every picture, also those between these frames; faults of the decoder are
        sent.
        """
        start, stop = self.chunks[0][1], self.chunks[-1][2]
        return read_frames(
            self.video,
            start=None if start is None else start - self.warm_up_s,
            stop=stop,
            only=chooser(self.frame_times),
            glance=changes.add,
            on_fault=lambda fault: send({"fault": fault}, b""),
        )

    @contextmanager
    def errors_in_one_line(self) -> Iterator[None]:
        """Turn errors of pose models and NumPy, whose tracebacks help no user, into one line."""
        try:
            yield
        except MobilityError:
            raise
        except (RuntimeError, ValueError, MemoryError) as error:
            why = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise VideoError(
                f"{Path(self.video).name}: the pose search failed ({why}); export the video again"
            ) from None
