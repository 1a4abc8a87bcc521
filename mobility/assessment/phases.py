"""Phases of the repetitions of a squat, and which frames belong to them."""

from __future__ import annotations

from typing import get_args

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mobility import tables
from mobility.errors import BadInputError
from mobility.exercise_table import Phase
from mobility.kinematics.stances import stance_at, steps_of
from mobility.wording import shortened

Array = NDArray[np.float64]

PHASES: tuple[Phase, ...] = get_args(Phase)
"""Phases at which the knee movement is reported."""

MOVING_PHASES = PHASES[1:]
"""Phases over which the extremes are taken: standing is no part of the movement."""

REPETITION = (
    "start",
    "bottom_start",
    "bottom",
    "bottom_end",
    "end",
    "depth",
    "accepted",
    "complete",
    "start_seen",
    "end_seen",
    "hip_height",
    "standing",
)
"""Variables that a repetitions Dataset must have."""


def phase_frames(repetitions: xr.Dataset) -> xr.DataArray:
    """Say which frames belong to which phase of each repetition.

    Parameters
    ----------
    repetitions
        Repetitions Dataset.

    Returns
    -------
    xarray.DataArray
        Boolean, over ``(rep, phase, time)``. Standing: the frames of the half second before
        the start in which the subject stands, with the feet where they are in the repetition.
        Mid-descent and mid-ascent: the hips within a tenth of the descent around its middle, or the
        nearest frame. Bottom: from ``bottom_start`` to ``bottom_end``. Where the recording cuts off
        the start (the end), no frame belongs to standing and mid-descent (mid-ascent), whose middle
        is unknown.
    """
    require(repetitions, "repetitions", list(REPETITION))
    limits = tables.load("measures")["limits"]
    # Of a movement that does not lower the hips the course of it stands for their height.
    course = repetitions["course" if "course" in repetitions else "hip_height"]
    time, height = repetitions["time"].values, course.values
    standing = repetitions["standing"].values.astype(bool)
    frames = np.zeros((repetitions.sizes["rep"], len(PHASES), time.size), bool)
    of_frame = stance_at(repetitions, time)
    of_repetition = stance_at(repetitions, repetitions["bottom"].values)
    previous_end = -np.inf
    for rep in range(repetitions.sizes["rep"]):
        repetition = {name: float(repetitions[name][rep]) for name in ("start", "bottom", "end")}
        earliest = max(previous_end, repetition["start"] - limits["standing_window_s"]["value"])
        seen = {1: bool(repetitions["start_seen"][rep]), 3: bool(repetitions["end_seen"][rep])}
        if seen[1]:
            frames[rep, 0] = within(time, earliest, repetition["start"]) & standing
            frames[rep, 0] &= of_frame == of_repetition[rep]
        frames[rep, 2] = within(
            time, float(repetitions["bottom_start"][rep]), float(repetitions["bottom_end"][rep])
        )
        for phase, first, last in (
            (1, repetition["start"], repetition["bottom"]),
            (3, repetition["bottom"], repetition["end"]),
        ):
            inside = within(time, first, last) & np.isfinite(height)
            if not inside.any() or not seen[phase]:
                continue
            top, low = height[inside].max(), height[inside].min()
            distance = np.where(inside, np.abs(height - (top + low) / 2), np.inf)
            near = distance <= limits["mid_phase_band"]["value"] * (top - low)
            frames[rep, phase] = near if near.any() else distance == distance.min()
        previous_end = repetition["end"]
    return xr.DataArray(
        frames,
        dims=("rep", "phase", "time"),
        coords={"rep": repetitions["rep"].values, "phase": list(PHASES), "time": time},
    )


def main_stance(repetitions: xr.Dataset) -> int:
    """Give the index of the stance in which most of the accepted repetitions are.

    Without any it is the one in which the subject stands longest.
    """
    moments = repetitions["bottom"].values[repetitions["accepted"].values.astype(bool)]
    if not moments.size:
        moments = repetitions["time"].values[repetitions["standing"].values.astype(bool)]
    return int(np.bincount(stance_at(repetitions, moments), minlength=1).argmax())


def standing_of_main_stance(repetitions: xr.Dataset) -> NDArray[np.bool_]:
    """Say which frames stand where the subject stands in most of the repetitions."""
    of_frame = stance_at(repetitions, repetitions["time"].values)
    standing = repetitions["standing"].values.astype(bool)
    return np.asarray(standing & (of_frame == main_stance(repetitions)))


def never_standing_there(repetitions: xr.Dataset) -> str:
    """Say that nobody stands where the feet are in an accepted repetition.

    Empty where somebody does, and if nobody stands in the whole trial.
    """
    time, standing = repetitions["time"].values, repetitions["standing"].values.astype(bool)
    stood = set(stance_at(repetitions, time[standing]).tolist())
    moments = repetitions["bottom"].values[repetitions["accepted"].values.astype(bool)]
    lacking = sorted({*stance_at(repetitions, moments).tolist()} - stood)
    if not lacking or not stood:
        return ""
    steps = [step.time_s for step in steps_of(repetitions)]
    before, after = steps[: lacking[0]][-1:], steps[lacking[0] :][:1]
    if not before:
        return tables.sentence("reasons.no_standing.before", time=after[0])
    if not after:
        return tables.sentence("reasons.no_standing.after", time=before[0])
    return tables.sentence("reasons.no_standing.between", before=before[0], time=after[0])


def require(dataset: xr.Dataset, what: str, names: list[str]) -> None:
    """Raise BadInputError unless `dataset`, called `what`, has the variables."""
    missing = [name for name in names if name not in dataset]
    if missing:
        raise BadInputError(
            f"{what}: variables missing: {shortened(missing, most=5)}; give the Dataset unchanged"
        )


def same_frames(pose: xr.Dataset, other: xr.Dataset, what: str) -> None:
    """Raise BadInputError unless `other`, called `what`, has the frames of the pose."""
    frames, others = pose.sizes["time"], other.sizes.get("time", 0)
    if others != frames or not np.array_equal(pose["time"].values, other["time"].values):
        raise BadInputError(
            f"{what}: does not have the same frames as the pose ({others} and {frames}); make it "
            "from this pose"
        )


def within(time: Array, first: float, last: float) -> NDArray[np.bool_]:
    """Say which times are from `first` to `last`."""
    # Boundaries are frame times that may have gone through a file: allow for rounding.
    return np.asarray((time >= first - 1e-9) & (time <= last + 1e-9))


def between(time: xr.DataArray, first: xr.DataArray, last: xr.DataArray) -> xr.DataArray:
    """Say which times lie in which of several windows."""
    inside: xr.DataArray = (time >= first - 1e-9) & (time <= last + 1e-9)
    return inside


def within_repetitions(repetitions: xr.Dataset) -> NDArray[np.bool_]:
    """Frames within a repetition."""
    inside = between(repetitions["time"], repetitions["start"], repetitions["end"])
    return inside.any("rep").to_numpy()
