"""How good the recording is: a document beside the numbers, never mixed into them."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import xarray as xr

from mobility.capture.pose import fraction_outside
from mobility.capture.video import VideoInfo
from mobility.provenance import SCHEMA_VERSION, warnings_of

VIEWS = (
    (30.0, "front"),
    (60.0, "front oblique"),
    (120.0, "side"),
    (150.0, "back oblique"),
    (180.0, "back"),
)
"""Largest absolute azimuth of each view, degrees."""

GROUPS = {
    "head": ("nose", "left_ear", "right_ear"),
    "arms": ("left_elbow", "right_elbow", "left_wrist", "right_wrist"),
    "trunk": ("left_shoulder", "right_shoulder", "left_hip", "right_hip"),
    "legs": ("left_knee", "right_knee", "left_ankle", "right_ankle"),
    "feet": ("left_heel", "right_heel", "left_foot_index", "right_foot_index"),
}
"""Keypoints whose visibility is averaged."""


def camera_azimuth(pose: xr.Dataset) -> xr.DataArray:
    """Direction from which the camera sees the subject, frame by frame.

    The angle about the vertical from the subject's forward direction to the
    camera: 0 from the front, 90 from the subject's right, -90 from the left,
    180 from behind. The forward direction is up × (right hip − left hip).

    Parameters
    ----------
    pose
        A pose Dataset whose z axis points towards the camera.

    Returns
    -------
    DataArray
        ``camera_azimuth(time)`` in degrees, NaN where a hip is missing.
    """
    hips = pose["position"].isel(individual=0)
    right = hips.sel(keypoint="right_hip") - hips.sel(keypoint="left_hip")
    # up × right = (right_z, 0, -right_x): forward, seen from above.
    forward_x, forward_z = right.sel(space="z", drop=True), -right.sel(space="x", drop=True)
    return xr.DataArray(
        np.degrees(np.arctan2(forward_x.values, forward_z.values)),
        coords={"time": pose["time"]},
        dims="time",
        name="camera_azimuth",
        attrs={
            "units": "degree",
            "long_name": "direction of the camera, 0 = front, 90 = subject's right",
        },
    )


def view_name(azimuth: float) -> str:
    """Name of a view, such as ``"front oblique, from the right"``."""
    if not np.isfinite(azimuth):
        return "unknown"
    name = next(name for limit, name in VIEWS if abs(azimuth) <= limit)
    if name in ("front", "back"):
        return name
    return f"{name}, from the {'right' if azimuth > 0 else 'left'}"


def capture_quality(pose: xr.Dataset, info: VideoInfo) -> dict[str, Any]:
    """Describe the recording: who is seen, how well, and from where.

    Parameters
    ----------
    pose
        The raw pose of :func:`~mobility.capture.pose.estimate_pose`.
    info
        The video, as :func:`~mobility.capture.video.probe` describes it.

    Returns
    -------
    dict
        JSON values: ``video``, ``frames``, ``visibility`` by part of the body
        (0 to 1), ``out_of_picture`` (fraction of frames), ``view``, ``camera``,
        ``light``, ``other_people`` and the ``warnings`` of the pose.
    """
    someone = pose["position"].notnull().any(("space", "keypoint", "individual")).values
    azimuth = camera_azimuth(pose).values
    azimuth = azimuth[np.isfinite(azimuth)]
    # The mean direction, not the mean angle: -179 and 179 degrees are neighbours.
    mean = (
        float(np.degrees(np.angle(np.exp(1j * np.radians(azimuth)).mean())))
        if azimuth.size
        else None
    )
    seen = json.loads(pose.attrs["survey"])
    shift = seen["camera_shift_median"]
    confidence = pose["confidence"].isel(individual=0)
    height = pose["image_position"].isel(individual=0).sel(pixel="v")
    body = (
        float((height.max("keypoint") - height.min("keypoint")).median()) if someone.any() else 0.0
    )
    return {
        "schema_version": SCHEMA_VERSION,
        "video": {
            "width": info.width,
            "height": info.height,
            "frame_rate": info.frame_rate,
            "duration_s": info.duration_s,
            "codec": info.codec,
        },
        "frames": {"total": int(someone.size), "with_person": int(someone.sum())},
        "visibility": {
            part: _rounded(float(confidence.sel(keypoint=list(names)).mean()), 3)
            for part, names in GROUPS.items()
        },
        "out_of_picture": {part: round(f, 3) for part, f in fraction_outside(pose).items()},
        "view": {
            "name": view_name(mean if mean is not None else float("nan")),
            "azimuth_deg": _rounded(mean, 1),
        },
        "camera": {
            "moving": seen["camera_moving"],
            "background_shift": _rounded(shift, 5),
            "subject_height_fraction": _rounded(body / info.height, 3),
        },
        "light": {
            "brightness": _rounded(seen["brightness"], 3),
            "sharpness": _rounded(seen["sharpness"], 1),
        },
        "other_people": len(seen["other_people"]),
        "warnings": warnings_of(pose),
    }


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None or not np.isfinite(value) else round(value, digits)
