"""The subject among the people that a detector from another package finds in the frames.

The detector sees each frame once, and may find several people in it. The people are followed from
frame to frame by their heads and boxes. The subject is chosen among them as with MediaPipe.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Literal

import numpy as np

from mobility.base.processes import Process
from mobility.capture import survey
from mobility.capture.detector_packages import require_detector
from mobility.capture.detector_worker import DetectorJob
from mobility.capture.detectors import AboutDetector
from mobility.capture.landmarks import Landmarks, nobody
from mobility.capture.passes import WARM_UP_S, Chunk, Pass, Work, pass_of, search
from mobility.errors import EndedError, ModelError

_MODULE = "mobility.capture.detector_worker"


class OpenDetector:
    """A detector that is loaded in one process, and will be loaded in other processes."""

    def __init__(self, name: str) -> None:
        require_detector(name)
        self._waiting: list[Process] = [Process(_MODULE)]
        try:
            answer = self._waiting[0].ask({"detector": name})
        except EndedError as ended:
            raise ModelError(
                f"detector {name}: its process {ended} while the detector was loaded"
            ) from None
        except BaseException:
            self.close()
            raise
        self.about = AboutDetector.model_validate(answer)

    def close(self) -> None:
        """End a process that was given no work."""
        while self._waiting:
            self._waiting.pop().close()

    def search(self, work: Work, subject: tuple[float, float] | Literal["moving"] | None) -> Pass:
        """Find the subject in the frames."""

        def job_of(chunks: list[Chunk], frames: list[float]) -> DetectorJob:
            start = chunks[0][1]
            return DetectorJob(
                video=str(work.path),
                detector=self.about.entry_point,
                chunks=chunks,
                warm_up_s=WARM_UP_S,
                # Frames are independent of each other, so no frame is needed before the first.
                frame_times=[time for time in frames if start is None or time >= start],
            )

        most = self.about.workers or work.workers
        search_result = search(
            replace(work, workers=min(most, work.workers)), job_of, self._process
        )
        times = search_result.arrays["times"]
        ends = np.cumsum(search_result.arrays["counts"])
        people = np.split(search_result.arrays["poses"], ends[:-1])
        looks = [
            survey.Look(
                time=time,
                people=[survey.person(pose) for pose in poses_of_frame],
                brightness=np.nan,
                sharpness=np.nan,
            )
            for time, poses_of_frame in zip(times.tolist(), people, strict=True)
        ]
        tracks = survey.link(looks)
        if not tracks:
            return pass_of(search_result, nobody(len(times)), work.width)
        point = subject if isinstance(subject, tuple) else None
        subject_index = survey.choose_subject(tracks, looks, work.width, work.height, point)
        at_looks = {look.time for look in search_result.looks}
        candidates = [subject_index]
        if subject == "moving":
            indices, thinned_tracks = _beside(tracks, subject_index, at_looks)
            at_least = survey.LEAST_PRESENT * len(times)
            candidates += [
                index
                for index in (indices[number] for number in survey.other_people(thinned_tracks, 0))
                if len(tracks[index].times) >= at_least
            ]
        poses = [_poses_of(tracks[index], looks, people) for index in candidates]
        best = survey.who_moves([survey.limb_range(pose) for pose in poses])
        result = pass_of(search_result, poses[best], work.width)
        result.looks = survey.with_shifts(
            search_result.looks, result.backgrounds, work.width, result.cuts
        )
        _, thinned_tracks = _beside(tracks, candidates[best], at_looks)
        result.survey_summary = survey.summary(result.looks, thinned_tracks, 0)
        result.survey_summary["chosen"] = (
            "pointed at" if point else "moves a joint" if best else "largest"
        )
        return result

    def _process(self) -> Process:
        return self._waiting.pop() if self._waiting else Process(_MODULE)


@contextmanager
def opened(name: str) -> Iterator[OpenDetector]:
    """Load a detector in its own process, which its first search uses.

    Raises
    ------
    BadInputError, ModelError
        There is no detector of this name, or it is not valid.
    """
    detector = OpenDetector(name)
    try:
        yield detector
    finally:
        detector.close()


def _beside(
    tracks: Sequence[survey.Track], subject: int, times: set[float]
) -> tuple[list[int], list[survey.Track]]:
    """Return indices and tracks of the subject, then of the people seen at some of the `times`.

    The other tracks are reduced to these times, because a brief detection may not be a person.
    """
    thinned = {i: _thinned(track, times) for i, track in enumerate(tracks) if i != subject}
    other_indices = [index for index, track in thinned.items() if track.times]
    other_tracks = [thinned[index] for index in other_indices]
    return [subject, *other_indices], [tracks[subject], *other_tracks]


def _thinned(track: survey.Track, times: set[float]) -> survey.Track:
    """Return the track at some times only."""
    thinned = survey.Track()
    for row, time in enumerate(track.times):
        if time in times:
            thinned.times.append(time)
            thinned.boxes.append(track.boxes[row])
            thinned.heads.append(track.heads[row])
            thinned.visibility.append(track.visibility[row])
            thinned.offsets.append(track.offsets[row])
    return thinned


def _poses_of(
    track: survey.Track, looks: Sequence[survey.Look], people: Sequence[Landmarks]
) -> Landmarks:
    """Return the landmarks of a track's person in every frame; NaN if the person is not found."""
    row_of = {look.time: row for row, look in enumerate(looks)}
    poses = nobody(len(looks))
    for time, box, head in zip(track.times, track.boxes, track.heads, strict=True):
        row = row_of[time]
        places = [(person.box, person.head) for person in looks[row].people]
        poses[row] = people[row][places.index((box, head))]
    return poses
