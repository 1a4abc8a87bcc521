"""Detectors: pose models besides MediaPipe, found by name in the installed packages.

A package names its detectors as entry points of the group ``mobility.detectors``. This module
checks their output, frame by frame, and converts it to named landmarks, so that the rest of the
package never sees the columns of other models. Detectors are loaded only in the processes that work
(:mod:`mobility.capture.detector_worker`).
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from pydantic import BaseModel, ConfigDict

from mobility.base.formatting import listed, shortened
from mobility.base.options import quoted
from mobility.capture.detector_packages import entry_point_of, failing_as
from mobility.capture.landmarks import Array, Image, Landmarks, is_somebody, nobody
from mobility.errors import BadInputError, ModelError
from mobility.keypoints.sources import LANDMARKS, OTHER, landmarks_of, points_of, pose_source


@dataclass(frozen=True, eq=False)
class Keypoints:
    """Keypoints of the people in one picture, as a :class:`Detector` returns them.

    There may be several people, or none: arrays of length 0.

    Attributes
    ----------
    pixels
        Positions in the picture, (people, keypoints, 2), in pixels from the left and the top.
    confidence
        (people, keypoints), from 0 to 1. A keypoint with confidence 0 was not seen, and its
        position is ignored.
    depth
        (people, keypoints), in pixels relative to the hips; smaller is nearer. Only for models with
        depth.
    position
        (people, keypoints, 3), metres: x to the picture's right, y up, z towards the camera. It is
        used only for a source with depth (``pose_sources.yaml``).
    """

    pixels: Any
    confidence: Any
    depth: Any = None
    position: Any = None


@runtime_checkable
class Detector(Protocol):
    """A custom pose model: frames in, keypoints out.

    Write a class, which may inherit from this one, and name it as an entry point of the group
    ``mobility.detectors``. Then ``mb.estimate_pose(video, detector="name")`` and ``mobility analyze
    --detector name`` use it. Each working process creates it without arguments, and has no network
    access.

    Attributes
    ----------
    name
        Name of the model to show on pages ("RTMPose").
    keypoints
        The points of the model, in order: a set from the table ``keypoint_names`` ("coco_17",
        "halpe_26", "body_25"), names from that table, or a mapping from the name of each point to
        MediaPipe's landmark (None if there is no such landmark).
    source
        Entry of the table ``pose_sources``, which defines the size of its errors: use "other"
        unless the points come from MediaPipe's model.
    workers
        Largest number of processes in which the detector may run at the same time; None means one
        per processor. Use 1 if it cannot be shared, as on a GPU, or if it keeps state from frame to
        frame. With several processes, each process sees only a part of the video.
    """

    name: str
    keypoints: str | Sequence[str] | Mapping[str, str | None]
    source: str = OTHER
    workers: int | None = None

    def __call__(self, image: Image, time: float, /) -> Keypoints:
        """Find the people in a picture.

        Parameters
        ----------
        image
            RGB, (height, width, 3), unsigned bytes.
        time
            Time of the frame, seconds from the start of the video; it increases from call to call.
        """
        ...


class AboutDetector(BaseModel):
    """Description of a loaded detector."""

    model_config = ConfigDict(frozen=True)

    entry_point: str
    name: str
    source: str
    workers: int | None
    landmarks: dict[str, str]
    """Keypoint for each landmark."""
    left_out: list[str]
    """Keypoints that correspond to no landmark."""


class LoadedDetector:
    """A loaded detector, whose results are checked."""

    def __init__(self, name: str) -> None:
        self._what = f"detector {name}"
        point = entry_point_of(name)
        with failing_as(self._what, f"{point.value} cannot be loaded"):
            factory = point.load()
        with failing_as(self._what, f"{point.value} cannot be made without arguments"):
            self._detector = factory()
        self.about = self._checked_description(name)
        points = [landmark or None for landmark in self._landmarks]
        self._rows = [LANDMARKS.index(landmark) for landmark in points if landmark]
        self._columns = [number for number, landmark in enumerate(points) if landmark]

    def __call__(self, image: Image, time: float) -> Landmarks:
        """Return the landmarks of the people in a picture, (people, 33)."""
        where = f"{self._what}: in the frame at {time:.2f} s"
        with failing_as(where, "it failed"):
            keypoints = self._detector(image.copy(), time)
        if not isinstance(keypoints, Keypoints):
            raise ModelError(
                f"{where} it returned {_kind(keypoints)} instead of mobility.Keypoints(pixels, "
                "confidence). Return that"
            )
        count = len(self._landmarks)
        pixels = self._numbers(keypoints.pixels, (count, 2), f"{where} pixels")
        confidence = self._numbers(keypoints.confidence, (count,), f"{where} confidence")
        if len(pixels) != len(confidence):
            raise ModelError(
                f"{where} pixels has {len(pixels)} people, and confidence has {len(confidence)}. "
                "Return the same number"
            )
        if confidence.size and not (confidence.min() >= 0 and confidence.max() <= 1):
            raise ModelError(
                f"{where} confidence is from {confidence.min():.3g} to {confidence.max():.3g}; "
                "it must be from 0 to 1"
            )
        people = nobody(len(pixels))
        people["pixels"][:, self._rows] = pixels[:, self._columns]
        people["confidence"][:, self._rows] = confidence[:, self._columns]
        for name, shape in (("depth", (count,)), ("position", (count, 3))):
            if (values := getattr(keypoints, name)) is None:
                continue
            numbers = self._numbers(values, shape, f"{where} {name}")
            if len(numbers) != len(pixels):
                raise ModelError(
                    f"{where} pixels has {len(pixels)} people, and {name} has {len(numbers)}. "
                    "Return the same number"
                )
            people[name][:, self._rows] = numbers[:, self._columns]
        for name in ("pixels", "depth", "position"):
            people[name][people["confidence"] == 0] = np.nan
        return people[is_somebody(people)]

    def _numbers(self, values: Any, shape: tuple[int, ...], what: str) -> Array:
        try:
            numbers = np.asarray(values, np.float64)
        except (TypeError, ValueError):
            raise ModelError(f"{what} is {_kind(values)} instead of an array of numbers") from None
        if not numbers.size and numbers.ndim and not len(numbers):
            return np.empty((0, *shape))
        if numbers.shape[1:] != shape or not numbers.ndim:
            expected = ", ".join(map(str, ("people", *shape)))
            raise ModelError(f"{what} has the shape {numbers.shape} instead of ({expected})")
        if not np.isfinite(numbers).all():
            raise ModelError(
                f"{what} has values that are not finite; set the confidence of unseen keypoints "
                "to 0"
            )
        return numbers

    def _checked_description(self, name: str) -> AboutDetector:
        detector, what = self._detector, self._what
        absent = [
            attribute for attribute in ("name", "keypoints") if not hasattr(detector, attribute)
        ]
        if absent or not callable(detector):
            lacks = [*absent, *([] if callable(detector) else ["__call__(image, time)"])]
            raise ModelError(
                f"{what}: has no {listed(lacks)}; add it, because a mobility.Detector needs it"
            )
        source = getattr(detector, "source", OTHER)
        workers = getattr(detector, "workers", None)
        title = detector.name.strip() if isinstance(detector.name, str) else ""
        if not title or not title.isprintable():
            raise ModelError(f"{what}: its name must be text (got {quoted(detector.name)})")
        if workers is not None and not (type(workers) is int and workers >= 1):
            raise ModelError(
                f"{what}: its workers must be 1 or more, or None (got {quoted(workers)})"
            )
        if not isinstance(source, str):
            raise ModelError(f"{what}: its source must be text (got {quoted(source)})")
        try:
            pose_source(source)
            by_name = self._by_name(detector.keypoints)
        except BadInputError as error:
            raise ModelError(
                f"{error}" if str(error).startswith(what) else f"{what}: {error}"
            ) from None
        self._landmarks = list(by_name.values())
        return AboutDetector(
            entry_point=name,
            name=title,
            source=source,
            workers=workers,
            landmarks={landmark: point for point, landmark in by_name.items() if landmark},
            left_out=[point for point, landmark in by_name.items() if not landmark],
        )

    def _by_name(self, keypoints: Any) -> dict[str, str | None]:
        """Return the landmark for the name of each keypoint, in their order."""
        if isinstance(keypoints, str):
            return landmarks_of(points_of(keypoints), what=self._what)
        if not isinstance(keypoints, Mapping | Sequence) or not all(
            isinstance(keypoint, str) for keypoint in keypoints
        ):
            raise BadInputError(
                f"its keypoints must be the name of a set, a list of names, or landmarks by "
                f"name (got {quoted(keypoints)})"
            )
        names = list(keypoints)
        if twice := sorted({point_name for point_name in names if names.count(point_name) > 1}):
            raise BadInputError(f"its keypoints contain {shortened(twice)} twice")
        index_of_name = keypoints if isinstance(keypoints, Mapping) else None
        return landmarks_of(names, index_of_name, what=self._what)


def _kind(value: Any) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"


@functools.cache
def loaded(name: str) -> LoadedDetector:
    """Return a detector, loaded once per process.

    Raises
    ------
    BadInputError, ModelError
        There is no detector of this name, or it is not a valid :class:`Detector`.
    """
    return LoadedDetector(name)
