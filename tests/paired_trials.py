"""Trials of squats seen by a lab and by a video, whose differences are put in."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import xarray as xr

STANDING, CYCLE, MOVING = 0.5, 3.0, 2.5


class Paired(NamedTuple):
    """Angles of video and lab on the same frames, in degrees, and the repetitions."""

    video: xr.Dataset
    lab: xr.Dataset
    repetitions: xr.Dataset


def paired_trial(
    *,
    offset: float = 0.0,
    offsets: tuple[float, ...] | None = None,
    scale: float = 1.0,
    depths: tuple[float, ...] = (100.0, 104.0, 96.0),
    noise: float = 0.0,
    sd: float | None = None,
    fps: float = 60.0,
    seed: int = 0,
) -> Paired:
    """Make one squat for each of `depths` (degrees of knee flexion, left; right 5 % more).

    The video's knees are `scale` times the lab's plus `offset` (or `offsets` of each repetition),
    with white noise; its trunk leans as the lab's does. `sd` is the stated error of the knees.
    """
    rng = np.random.default_rng(seed)
    reps = len(depths)
    time = np.arange(round((STANDING + CYCLE * reps) * fps) + 1) / fps
    start = STANDING + CYCLE * np.arange(reps)
    crouch = np.zeros((reps, time.size))
    for r in range(reps):
        x = np.clip((time - start[r]) / MOVING, 0, 1)
        crouch[r] = (1 - np.cos(2 * np.pi * x)) / 2
    knee = (np.asarray(depths)[:, None] * crouch).sum(axis=0)[:, None] * np.array([1.0, 1.05])
    added = np.full(time.size, float(offset))
    for r, shift in enumerate(offsets or ()):
        added[(time >= start[r] - 0.2) & (time <= start[r] + MOVING + 0.2)] = shift
    seen = scale * knee + added[:, None] + noise * rng.standard_normal(knee.shape)
    degrees = {"units": "degree"}
    coords = {"time": time, "side": ["left", "right"]}
    trunk = 30 * crouch.sum(axis=0)
    lab = xr.Dataset(
        {
            "knee_flexion": (("time", "side"), knee, degrees),
            "trunk_lean": ("time", trunk, degrees),
            "hip_rotation": ("time", trunk, degrees),
        },
        coords=coords,
    )
    video = xr.Dataset(
        {"knee_flexion": (("time", "side"), seen, degrees), "trunk_lean": ("time", trunk, degrees)},
        coords=coords,
    )
    if sd is not None:
        video["knee_flexion_sd"] = xr.full_like(video["knee_flexion"], sd)
    repetitions = xr.Dataset(
        {
            "start": ("rep", start),
            "bottom_start": ("rep", start + MOVING / 2 - 0.1),
            "bottom": ("rep", start + MOVING / 2),
            "bottom_end": ("rep", start + MOVING / 2 + 0.1),
            "end": ("rep", start + MOVING),
            "accepted": ("rep", np.ones(reps, bool)),
        },
        coords={"rep": np.arange(1, reps + 1)},
    )
    return Paired(video, lab, repetitions)
