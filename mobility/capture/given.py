"""Pose of a session whose keypoints were given, in the frames in which a model would look."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from mobility import tables
from mobility.base.options import PoseRate
from mobility.base.provenance import sha256, with_history
from mobility.capture.landmarks import Landmarks, nobody
from mobility.capture.lens import focal_length_35mm
from mobility.capture.pose import fraction_outside
from mobility.capture.sampling import SAME_TIME_S, choose_frames, is_fast
from mobility.capture.video import presentation_times, probe
from mobility.errors import NobodyFoundError
from mobility.keypoints.names import LANDMARKS

LEAST_FOUND = 0.05
"""Share of frames with a person below which the keypoints show nobody."""


def pose_of_keypoints(
    keypoints: xr.Dataset, video: Path, *, rate: PoseRate = "usual"
) -> xr.Dataset:
    """Make the pose of a video of keypoints whose times are those of its frames.

    Nothing is known of other people, cuts and the motion of the camera, for which the detector
    looks; nothing is said of them.

    Parameters
    ----------
    keypoints
        A pose, of :func:`mobility.exchange.keypoint_files.keypoints_of_video`.
    video
        The video.
    rate
        As of :func:`~mobility.capture.pose.estimate_pose`.

    Raises
    ------
    NobodyFoundError
        If hardly any frame has a keypoint.
    """
    info = probe(video)
    times = keypoints["time"].to_numpy()
    chosen_times = choose_frames(times, rate)
    rows = np.searchsorted(times, chosen_times - SAME_TIME_S)
    if rate == "usual" and len(rows) < len(times) and is_fast(_as_detected(keypoints)[rows]):
        rows = np.arange(len(times))
    pose = keypoints.isel(time=rows)
    points = pose["image_position"].isel(individual=0)
    share = float(points.notnull().any(("pixel", "keypoint")).mean())
    if share < LEAST_FOUND:
        raise NobodyFoundError(
            f"{video.name}: its keypoints show nobody; give those of the person in this video"
        )
    pose = pose.assign_attrs(
        source_file=video.name,
        image_width=info.width,
        image_height=info.height,
        video_sha256=sha256(video),
    )
    if len(rows) > 1:
        pose = pose.assign_attrs(fps=float(1 / np.median(np.diff(times[rows]))))
    if info.frame_rate:
        pose = pose.assign_attrs(video_fps=float(info.frame_rate))
    if (focal := focal_length_35mm(video)) is not None:
        pose = pose.assign_attrs(focal_length_35mm=focal)
    warnings = []
    if is_of_smaller_picture(keypoints, info.width, info.height):
        width, height = info.width, info.height
        warnings.append(
            tables.warning("capture.keypoints_of_smaller_picture", width=width, height=height)
        )
    if share < 0.95:
        warnings.append(tables.warning("capture.person_absent", share=share))
    for part, outside in fraction_outside(pose).items():
        if outside > 0.05:
            warnings.append(tables.warning(f"capture.{part}_out_of_picture", share=outside))
    return with_history(
        pose,
        "pose_of_keypoints",
        {"rate": rate},
        video_sha256=pose.attrs["video_sha256"],
        frames_of_video=len(presentation_times(video)),
        frames=len(rows),
        given_frames=len(times),
        warnings=warnings,
    )


def is_of_smaller_picture(keypoints: xr.Dataset, width: float, height: float) -> bool:
    """Whether all points lie in the upper left quarter, as those of a picture of half its size."""
    farthest = keypoints["image_position"].max(("time", "keypoint", "individual"))
    u, v = (float(farthest.sel(pixel=each)) for each in ("u", "v"))
    return u <= width / 2 and v <= height / 2


def _as_detected(pose: xr.Dataset) -> Landmarks:
    """Keypoints as a detector gives them; without a confidence each counts."""
    marks = pose["image_position"].isel(individual=0).transpose("time", "keypoint", "pixel")
    landmarks = nobody(pose.sizes["time"])
    landmarks["pixels"] = marks.sel(keypoint=list(LANDMARKS), pixel=["u", "v"]).to_numpy()
    landmarks["confidence"] = np.isfinite(landmarks["pixels"]).all(axis=-1)
    if "confidence" in pose:
        confidence = pose["confidence"].isel(individual=0).transpose("time", "keypoint")
        landmarks["confidence"] = confidence.sel(keypoint=list(LANDMARKS)).to_numpy()
    return landmarks
