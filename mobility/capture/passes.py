"""Searches of a video by processes; each process searches a run of chunks."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from mobility.base.processes import Process, Send
from mobility.base.progress import progress_bar
from mobility.capture import shots, survey
from mobility.capture.landmarks import Array, Landmarks, arrays_of
from mobility.capture.sampling import chooser
from mobility.capture.video import Frame, read_frames
from mobility.errors import EndedError, MobilityError, VideoError

Chunk = tuple[int, float | None, float | None]
"""Number, start and stop in seconds; None at the ends of the video."""


class ChunksJob(BaseModel):
    """Work of a process: a run of chunks of one video."""

    video: str
    chunks: list[Chunk]
    warm_up_s: float
    """Reading begins this many seconds before the first chunk."""
    frame_times: list[float]
    """Times of the frames in which the pose is estimated, seconds."""

    def bounded_chunks(self) -> list[tuple[int, float, float]]:
        """Return number, start and stop of each chunk; infinite at the ends of the video."""
        return [
            (number, -np.inf if start is None else start, np.inf if stop is None else stop)
            for number, start, stop in self.chunks
        ]

    def pictures(self, changes: shots.PictureChanges, send: Send) -> Iterator[Frame]:
        """Read the frames in which the pose is estimated.

        `changes` gets every picture, including those between these frames. Errors of the decoder
        are sent to the caller.
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
        """Turn errors of pose models and NumPy into one line.

        Their tracebacks do not help users.
        """
        try:
            yield
        except MobilityError:
            raise
        except (RuntimeError, ValueError, MemoryError) as error:
            why = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise VideoError(
                f"{Path(self.video).name}: the pose search failed ({why}); export the video again"
            ) from None


WARM_UP_S = 0.5
"""Time before a chunk at which its landmarker starts tracking, so that it has settled."""


@dataclass(frozen=True)
class Work:
    """Arguments of a search: the video, and how its processes share the work."""

    path: Path
    chunks: list[Chunk]
    workers: int
    frames: Array
    """Times of the frames in which the pose is estimated, seconds."""
    progress_text: str
    """Text of the progress bar."""
    width: int
    height: int
    """Width of the pictures, pixels."""


@dataclass
class Pass:
    """Result of a search of the video, with one model or several."""

    times: Array
    poses: Landmarks
    retried: int
    looks: list[survey.Look]
    cuts: list[float]
    """Times of the first frames after a cut, seconds."""
    repeats: list[dict[str, float]] = field(default_factory=list)
    """Repeated shots: `start` and `stop`, and `first`, when the shot was first shown, seconds."""
    backgrounds: NDArray[np.uint8] = field(default_factory=lambda: np.empty((0, 0, 0), np.uint8))
    """Reduced grey pictures of the looks."""
    faults: list[dict[str, Any]] = field(default_factory=list)
    survey_summary: dict[str, Any] = field(default_factory=dict)
    """Summary of the survey by the first model."""
    track: survey.Track | None = None
    """The subject whose crop was searched."""
    other_tracks: list[survey.Track] = field(default_factory=list)
    """The other people in the picture."""
    contradicted: int = 0
    """Frames in which the models contradict each other."""


class SearchResult(NamedTuple):
    """Results for all chunks, as the processes sent them."""

    arrays: dict[str, NDArray[Any]]
    """Joined arrays, by name."""
    retried: int
    looks: list[survey.Look]
    faults: list[dict[str, Any]]


JobOf = Callable[[list[Chunk], list[float]], ChunksJob]
"""Makes the job from some chunks and the times of their frames."""


def search(work: Work, job_of: JobOf, start: Callable[[], Process]) -> SearchResult:
    """Have processes search all chunks, and join the results."""
    messages: queue.SimpleQueue[tuple[Mapping[str, Any] | Future[None], bytes]]
    messages = queue.SimpleQueue()
    # Contiguous runs of chunks, so that each worker decodes its part only once.
    runs = np.array_split(np.arange(len(work.chunks)), min(work.workers, len(work.chunks)))
    parts: dict[int, tuple[dict[str, NDArray[Any]], int, list[survey.Look]]] = {}
    faults: dict[str, dict[str, Any]] = {}
    # The processes are left first, because the threads end when the processes do.
    with ThreadPoolExecutor(len(runs)) as threads, ExitStack() as processes:
        for run in runs:
            begin, end = work.chunks[run[0]][1], work.chunks[run[-1]][2]
            from_, to = np.searchsorted(
                work.frames,
                [
                    -np.inf if begin is None else begin - WARM_UP_S,
                    np.inf if end is None else end,
                ],
            )
            job = job_of([work.chunks[i] for i in run], work.frames[from_:to].tolist())
            process = processes.enter_context(start())
            future = threads.submit(
                _run_job, process, job, work.path, lambda *message: messages.put(message)
            )
            future.add_done_callback(lambda future: messages.put((future, b"")))
        running = len(runs)
        with progress_bar(work.progress_text, total=len(work.frames)) as bar:
            while running:
                message, content = messages.get()
                if isinstance(message, Future):
                    running -= 1
                    message.result()
                elif "frames" in message:
                    bar.update(message["frames"])
                elif "fault" in message:
                    faults.setdefault(message["fault"]["code"], message["fault"])
                else:
                    looks = [survey.Look(**look) for look in message["looks"]]
                    arrays = arrays_of(message["arrays"], content)
                    parts[message["chunk"]] = (arrays, message["retried"], looks)
    ordered = [parts[n] for n in sorted(parts)]
    joined = {name: _joined([part[0][name] for part in ordered]) for name in ordered[0][0]}
    if not len(joined["times"]):
        raise VideoError(
            f"{work.path.name}: none of its frames can be decoded; film or export it again"
        )
    return SearchResult(
        arrays=joined,
        retried=sum(part[1] for part in ordered),
        looks=[look for part in ordered for look in part[2]],
        faults=[faults[code] for code in sorted(faults)],
    )


def pass_of(search_result: SearchResult, poses: Landmarks, width: int) -> Pass:
    """Make a pass from the search result and the subject's landmarks (n, 33)."""
    pictures = {name: search_result.arrays[name] for name in shots.PICTURES}
    cuts = shots.cuts(pictures, search_result.arrays["times"], poses["pixels"], width)
    return Pass(
        times=search_result.arrays["times"],
        poses=poses,
        retried=search_result.retried,
        looks=search_result.looks,
        backgrounds=search_result.arrays["backgrounds"],
        cuts=cuts,
        repeats=shots.repeats(pictures, cuts),
        faults=search_result.faults,
    )


def _joined(arrays: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Join the arrays of all chunks; empty ones have no shape to compare."""
    filled = [array for array in arrays if len(array)]
    return np.concatenate(filled) if filled else arrays[0]


def _run_job(process: Process, job: ChunksJob, path: Path, on_message: Send) -> None:
    """Do a job in a process, and end the process afterwards."""
    try:
        with process:
            process.ask(job.model_dump(mode="json"), on_message=on_message)
    except EndedError as ended:
        error = VideoError(
            f"{path.name}: a process that estimates the pose {ended}; run the analysis again "
            "with fewer workers, or export the video again"
        )
        error.retryable = ended.retryable
        raise error from None
