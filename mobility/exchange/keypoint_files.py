"""Keypoints from other pose models: a pose from a file or folder, with or without its video."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from pydantic import Field

from mobility import tables
from mobility.base.formatting import shortened
from mobility.base.options import FilePath, checked, likely
from mobility.base.provenance import with_history
from mobility.capture.video import presentation_times, probe
from mobility.errors import BadInputError
from mobility.exchange.checks import check_places, checked_confidence
from mobility.exchange.formats import MOST_DIFFERENT, FilePoints, digest, read
from mobility.exchange.identities import LEAST_PRESENT, choose, seen_points
from mobility.exchange.own_poses import own_pose
from mobility.keypoints.sources import LANDMARKS, OTHER, is_known, landmarks_of
from mobility.kinematics.datasets import check_times

Array = NDArray[np.float64]

_Pixels = Annotated[int, Field(gt=0)]
_Rate = Annotated[float, Field(gt=0, le=10_000)]

SAME_RATE = 0.02
"""Relative difference between two frame rates below which they count as equal."""


@checked
def read_keypoints(
    path: FilePath,
    *,
    rate: _Rate | None = None,
    size: tuple[_Pixels, _Pixels] | None = None,
    subject: str | tuple[float, float] | None = None,
    keypoints: Mapping[str, str | None] | None = None,
    model: str | None = None,
) -> xr.Dataset:
    """Make a pose from keypoints that another pose model has found in a video.

    The pose has no positions in space. :func:`~mobility.kinematics.clean.clean_pose`,
    :func:`~mobility.kinematics.fit.entry.fit_body` and
    :func:`~mobility.kinematics.in_picture.picture_angles` accept it. For a session, pass the file
    to :meth:`mobility.Store.create` together with the video.

    Parameters
    ----------
    path
        A folder of OpenPose's JSON files, one for each frame (BODY_25, COCO, HALPE_26: OpenPose,
        Pose2Sim, AlphaPose), or AlphaPose's JSON of results. A poses Dataset from movement, as
        NetCDF. A CSV or HDF5 file from DeepLabCut. An analysis file from SLEAP (HDF5). A CSV file
        with a row for each point (frame or time, point, x, y, confidence, person). A pose from this
        package (``pose.nc``). The format is recognised by the content, not by the name.
    rate
        Frames per second, required if the file has no times; otherwise it must agree with them.
    size
        Width and height of the picture, pixels.
    subject
        If there are several people: the name of the person to measure, or a point on the person in
        pixels, in the frame in which they are first seen.
    keypoints
        Landmark for each keypoint with an unknown name; None leaves the keypoint out.
    model
        Name of the pose model, for pages; by default the name that belongs to the format.

    Returns
    -------
    xarray.Dataset
        A pose with ``image_position`` in pixels, and ``confidence`` from 0 to 1 if the file has it.
        Landmarks that the model does not find are NaN. Its ``time`` is in seconds, 0 for the first
        frame.

    Raises
    ------
    BadInputError
        The file has another format or is damaged, or its keypoints are unknown, belong to several
        people without `subject`, do not fit `rate` or `size`, or have no positions.
    NotFoundError
        There is no such file or folder.
    """
    file = Path(path)
    file_points = _points_at_rate(read(file, rate=rate), rate, file)
    if file_points.dataset is not None:
        return own_pose(file_points.dataset, file, size=size, model=model)
    times = file_points.times
    if times is None:
        if rate is None:
            raise BadInputError(
                f"{file}: has frame numbers but no times; pass rate, the frames per second of "
                "its video"
            )
        times = np.arange(len(file_points.points)) / rate
    return _pose(
        file_points, times, file, size=size, subject=subject, keypoints=keypoints, model=model
    )


def keypoints_of_video(
    path: str | os.PathLike[str],
    video: str | os.PathLike[str],
    *,
    subject: str | tuple[float, float] | None = None,
    model: str | None = None,
) -> xr.Dataset:
    """Make a pose from keypoints of a video: row i belongs to frame i, and has its time.

    The parameters are those of :func:`read_keypoints`. Rate and size come from the video. A pose
    with fewer frames (from this package) is matched by its times.

    Raises
    ------
    BadInputError
        As for :func:`read_keypoints`, or if the number of frames, the frame rate or the size of the
        picture differs from the video.
    """
    file, film = Path(path), Path(video)
    info, frames = probe(film), presentation_times(film)
    size = (info.width, info.height)
    file_points = read(file, rate=info.frame_rate, frames=len(frames))
    if file_points.dataset is not None:
        pose = own_pose(file_points.dataset, file, size=size, model=model)
        return pose.assign_coords(time=_nearest(pose["time"].to_numpy(), frames, file, film))
    if unknown := [name for name in file_points.names if not is_known(name)]:
        raise BadInputError(
            f"{file}: no landmark is known for "
            f"{shortened(unknown, most=5)}{likely(unknown[0], LANDMARKS)}; rename them as in the "
            "table keypoint_names, or map them with mb.read_keypoints(..., keypoints=...) and "
            "pass the result as NetCDF"
        )
    count = len(file_points.points)
    if file_points.is_sparse and count < len(frames):
        file_points = _until(file_points, len(frames))
    elif abs(count - len(frames)) > MOST_DIFFERENT:
        raise BadInputError(
            f"{file}: has {count} frames, but the video {film.name} has {len(frames)}; use "
            "keypoints for each frame of this video"
        )
    elif count > len(frames):
        file_points = _until(file_points, len(frames))
    _points_at_rate(file_points, info.frame_rate, file, whose=f"the video {film.name}")
    times = frames[: len(file_points.points)]
    return _pose(file_points, times, file, size=size, subject=subject, keypoints=None, model=model)


def _points_at_rate(
    keypoints: FilePoints, rate: float | None, file: Path, *, whose: str = "rate"
) -> FilePoints:
    """Return keypoints as read, if their times are those of a recording with the rate."""
    times = keypoints.times
    if times is None and keypoints.dataset is None:
        return keypoints
    if times is None:
        if "time" not in keypoints.dataset.coords:  # type: ignore[union-attr]
            raise BadInputError(f"{file}: has no times; use a pose with its times in seconds")
        times = keypoints.dataset["time"].to_numpy()  # type: ignore[index]
    try:
        check_times(times)
    except BadInputError as error:
        raise BadInputError(f"{file}: {error}") from None
    if rate is None or len(times) < 2:
        return keypoints
    actual = 1 / float(np.median(np.diff(times)))
    if abs(actual / rate - 1) > SAME_RATE:
        raise BadInputError(
            f"{file}: has {actual:.4g} frames per second, but {whose} {rate:.4g}; use keypoints "
            "for each frame, with their times"
        )
    return keypoints


def _until(keypoints: FilePoints, count: int) -> FilePoints:
    """Return `count` frames of keypoints: later ones are dropped, and missing ones are empty."""

    def cut(values: Array) -> Array:
        absent = np.full((max(count - len(values), 0), *values.shape[1:]), np.nan)
        return np.concatenate([values[:count], absent])

    times, confidence = keypoints.times, keypoints.confidence
    return replace(
        keypoints,
        points=cut(keypoints.points),
        confidence=None if confidence is None else cut(confidence),
        times=None if times is None else times[:count],
    )


def _nearest(times: Array, frames: Array, file: Path, film: Path) -> Array:
    """Return the frames of a video nearest to times; no two may be the same."""
    place = np.clip(np.searchsorted(frames, times), 1, len(frames) - 1)
    place -= times - frames[place - 1] < frames[place] - times
    frame = float(np.median(np.diff(frames)))
    if len(set(place)) < len(place) or (np.abs(frames[place] - times) > 0.6 * frame).any():
        raise BadInputError(
            f"{file}: its times are not times of frames in the video {film.name}; use the pose "
            "of this video"
        )
    return frames[place]


def _pose(
    file_points: FilePoints,
    times: Array,
    file: Path,
    *,
    size: tuple[int, int] | None,
    subject: str | tuple[float, float] | None,
    keypoints: Mapping[str, str | None] | None,
    model: str | None,
) -> xr.Dataset:
    """Make the pose of one person."""
    landmarks = landmarks_of(file_points.names, keypoints, what=f"{file}")
    if not file_points.points.size:
        raise BadInputError(
            f"{file}: has no frame, or no person in any frame; use a file with keypoints"
        )
    person = choose(file_points.points, file_points.people, subject, what=f"{file}")
    points = file_points.points[:, person].copy()
    known_places = [
        place for place, name in enumerate(file_points.names) if landmarks[name] is not None
    ]
    check_places(points[:, known_places], size, file)
    points[~seen_points(points)] = np.nan
    columns = [LANDMARKS.index(str(landmarks[file_points.names[place]])) for place in known_places]
    software = model or file_points.software
    warnings = [tables.warning("warnings.errors_of_another_model.source", software=software)]
    image = np.full((len(times), 2, len(LANDMARKS), 1), np.nan)
    image[:, :, columns, 0] = points[:, known_places].transpose(0, 2, 1)
    variables: dict[str, Any] = {
        "image_position": (
            ("time", "pixel", "keypoint", "individual"),
            image,
            {"units": "pixel", "long_name": "keypoint position in the picture, v downwards"},
        )
    }
    if file_points.confidence is not None:
        values, above = checked_confidence(file_points.confidence[:, person][:, known_places], file)
        if above:
            warnings.append(tables.warning("warnings.confidence_above_one", share=above))
        confidence = np.full((len(times), len(LANDMARKS), 1), np.nan)
        confidence[:, columns, 0] = values
        variables["confidence"] = (
            ("time", "keypoint", "individual"),
            confidence,
            {"units": "1", "long_name": "confidence of the keypoint, from its model"},
        )
    coords = {
        "time": ("time", times, {"units": "s", "long_name": "presentation time"}),
        "pixel": ["u", "v"],
        "keypoint": list(LANDMARKS),
        "individual": ["subject"],
    }
    attrs: dict[str, Any] = {
        "source_software": software,
        "pose_source": OTHER,
        "source_file": file_points.source_file,
        "ds_type": "poses",
        "time_unit": "seconds",
    }
    if len(times) > 1:
        attrs["fps"] = float(1 / np.median(np.diff(times)))
    if size is not None:
        attrs |= {"image_width": size[0], "image_height": size[1]}
    present = np.asarray(seen_points(file_points.points).any(axis=-1))
    return with_history(
        xr.Dataset(variables, coords=coords, attrs=attrs),
        "read_keypoints",
        {
            "subject": list(subject) if isinstance(subject, tuple) else subject,
            "keypoints": keypoints and dict(keypoints),
            "model": model,
        },
        file_sha256=digest(file),
        landmarks={
            str(landmarks[file_points.names[place]]): file_points.names[place]
            for place in known_places
        },
        points_left_out=[name for name in file_points.names if landmarks[name] is None],
        passers_by=0
        if subject
        else file_points.left_out + int((present.mean(axis=0) < LEAST_PRESENT).sum()),
        frames=len(times),
        frames_with_person=int(present[:, person].sum()),
        warnings=warnings,
    )
