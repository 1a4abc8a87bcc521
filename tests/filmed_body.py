"""A body with known joints that squats, filmed by a known camera."""

from __future__ import annotations

import functools
import json
from typing import Any

import numpy as np
import xarray as xr
from analytic import pose_dataset

from mobility.kinematics.fit import body as parts
from mobility.kinematics.fit import entry
from mobility.kinematics.skeleton import INDEX, angles_from_points

SIZE = (720, 1280)
FOCAL = 1100.0
STATURE = 1.70
THIGH, SHANK, TRUNK = 0.242 * STATURE, 0.250 * STATURE, 0.312 * STATURE
UPPER_ARM, FOREARM = 0.170 * STATURE, 0.142 * STATURE


def body(knee: np.ndarray, *, elbow: float = 5.0) -> np.ndarray:
    """Points (time, 33, 3), metres, y up, facing +z: a squat that keeps its balance.

    `knee` is the knee flexion in degrees; the shank takes 0.27 of it and the trunk leans so that
    the whole stays over the feet.
    """
    n = len(knee)
    points = np.full((n, 33, 3), np.nan)
    shank, thigh = np.radians(0.27 * knee), np.radians(0.73 * knee)
    lean = np.radians(0.32 * knee)
    for side, sign in (("left", 1.0), ("right", -1.0)):

        def put(name: str, where: np.ndarray, side: str = side) -> None:
            points[:, INDEX[f"{side}_{name}"]] = where

        ankle = np.broadcast_to([sign * 0.12, 0.08, 0.0], (n, 3))
        put("heel", ankle + np.array([0.0, -0.05, -0.06]))
        put("foot_index", ankle + np.array([0.0, -0.05, 0.18]))
        knee_point = ankle + SHANK * np.stack([0 * shank, np.cos(shank), np.sin(shank)], -1)
        hip = knee_point + THIGH * np.stack([0 * thigh, np.cos(thigh), -np.sin(thigh)], -1)
        put("ankle", ankle)
        put("knee", knee_point)
        put("hip", hip)
        shoulder = hip + np.array([sign * 0.05, 0.0, 0.0])
        shoulder = shoulder + TRUNK * np.stack([0 * lean, np.cos(lean), np.sin(lean)], -1)
        put("shoulder", shoulder)
        arm = lean - np.radians(15.0)
        up = np.stack([0 * arm + sign * 0.2, np.cos(arm), np.sin(arm)], -1)
        up /= np.linalg.norm(up, axis=-1, keepdims=True)
        put("elbow", shoulder + UPPER_ARM * up)
        turned = up.copy()
        c, s = np.cos(np.radians(elbow)), np.sin(np.radians(elbow))
        turned[:, 1], turned[:, 2] = c * up[:, 1] - s * up[:, 2], s * up[:, 1] + c * up[:, 2]
        put("wrist", shoulder + UPPER_ARM * up + FOREARM * turned)
    return points


def squat(
    seconds: float = 6.0, *, fps: float = 30.0, phase: float = 0.0, deep: float = 95.0
) -> Any:
    """Times and knee flexion of squats of 3 s; `phase` 0 starts standing, 0.5 at the bottom."""
    time = np.arange(round(seconds * fps)) / fps
    return time, 6.0 + deep * 0.5 * (1 - np.cos(2 * np.pi * (time / 3.0 + phase)))


def filmed(
    time: np.ndarray,
    points: np.ndarray,
    *,
    azimuth: float = 40.0,
    pitch: float = 0.0,
    focal: float = FOCAL,
    distance: float = 3.2,
    size: tuple[int, int] = SIZE,
    noise_px: float = 0.0,
    drift_px: float = 0.0,
    shrink: float = 0.75,
    seed: int = 0,
) -> xr.Dataset:
    """The pose that MediaPipe might give: a good picture, and depth shrunk to a fraction.

    `drift_px` is the size of errors that last for about a second.
    """
    rng = np.random.default_rng(seed)
    a, p = np.radians(azimuth), np.radians(pitch)
    back = np.array([np.sin(a), 0.0, np.cos(a)])
    right = np.cross([0.0, 1.0, 0.0], back)
    level = (points - distance * back - [0, 1.0, 0]) @ np.stack([right, [0, 1, 0], back]).T
    tilt = np.array([[1, 0, 0], [0, np.cos(p), -np.sin(p)], [0, np.sin(p), np.cos(p)]])
    camera = level @ tilt.T
    fitted = [INDEX[name] for name in parts.FITTED]
    # The landmarks lie where they usually do.
    means = parts.point_errors("mediapipe").offset_mean
    directions = parts.offset_directions(camera[:, fitted], tilt @ [0.0, 1.0, 0.0])
    seen = camera.copy()
    seen[:, fitted] += np.einsum("o,nojx->njx", means, directions)
    image = np.array(size) / 2 + focal * seen[..., :2] / -seen[..., 2:] * [1.0, -1.0]
    image += noise_px * rng.standard_normal(image.shape)
    waves = drift_px * rng.standard_normal((4, *image.shape[1:]))
    for i, wave in enumerate(waves):
        image += 0.7 * wave * np.cos(2 * np.pi * (i + 0.5) * time / 4 + i)[:, None, None]
    hips = camera[:, [INDEX["left_hip"], INDEX["right_hip"]]].mean(axis=1, keepdims=True)
    world = (camera - hips) * [1.0, 1.0, shrink]
    blank = np.isnan(points).any(axis=-1)
    return pose_dataset(
        time,
        position=world.transpose(0, 2, 1),
        image_position=image.transpose(0, 2, 1),
        confidence=np.where(blank, np.nan, 0.95),
    ).assign_attrs(image_width=size[0], image_height=size[1], ds_type="poses")


def points_of(pose: xr.Dataset) -> np.ndarray:
    return pose["position"].isel(individual=0).transpose("time", "keypoint", "space").to_numpy()


def errors(fitted: xr.Dataset, truth: np.ndarray) -> dict[str, float]:
    got, want = angles_from_points(points_of(fitted)), angles_from_points(truth)
    size = {k: np.abs(got[k] - want[k]) for k in got}
    return {k: float(np.nanmean(v)) for k, v in size.items() if np.isfinite(v).any()}


def last(fitted: xr.Dataset) -> dict[str, Any]:
    entry: dict[str, Any] = json.loads(fitted.attrs["history"])[-1]
    return entry


def codes(fitted: xr.Dataset) -> list[str]:
    return [warning["code"] for warning in last(fitted)["warnings"]]


@functools.cache
def short_squat(**how: Any) -> xr.Dataset:
    """Fit of three seconds of a squat; of all tests that ask for the same, do not change it."""
    time, knee = squat(3.0)
    return entry.fit_body(filmed(time, body(knee), noise_px=2.0), **how)
