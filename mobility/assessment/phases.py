"""Phases of the repetitions of a squat, and the frames that belong to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mobility import tables
from mobility.base.formatting import shortened
from mobility.catalogue.exercise import Exercise
from mobility.errors import BadInputError
from mobility.kinematics.stances import stance_at, steps_of

Array = NDArray[np.float64]

Moments = Mapping[str, Mapping[str, Any]]
"""Phases of a repetition by name, as :attr:`mobility.catalogue.exercise.Exercise.moments`."""

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


def usual_moments() -> Moments:
    """Return the phases of exercises that define none themselves."""
    usual: Moments = tables.load("measures")["moments"]["of"]
    return usual


def moving_phases(moments: Moments) -> list[str]:
    """Return the phases over which extremes are taken; standing is not part of the movement."""
    return [name for name, entry in moments.items() if "before" not in entry]


def measured_span(repetitions: xr.Dataset, exercise: Exercise) -> xr.Dataset:
    """Limit repetitions to the part that the exercise measures (``span`` in its table)."""
    first, last = exercise.table["span"]
    require(repetitions, "repetitions", [*REPETITION, first, last])
    span = {"start": repetitions[first], "end": repetitions[last]}
    if last != "end":
        span["end_seen"] = xr.ones_like(repetitions["end_seen"])
        span["complete"] = repetitions["start_seen"]
    return repetitions.assign(span)


def phase_frames(repetitions: xr.Dataset, moments: Moments | None = None) -> xr.DataArray:
    """Find the frames that belong to each phase of each repetition.

    Parameters
    ----------
    repetitions
        Repetitions Dataset.
    moments
        The phases of an exercise; None means the usual ones of ``tables/measures.yaml``.

    Returns
    -------
    xarray.DataArray
        Boolean, over ``(rep, phase, time)``. A phase before an event consists of the frames, in the
        half second before it, in which the subject stands with the feet where they are during the
        repetition. A phase in the middle between two events consists of the frames with the hips
        within a tenth of the way around the middle, or the nearest frame.

        A phase from one event to another, or around an event, consists of the frames there. If the
        recording cuts off the start or the end, phases that begin or end there have no frames.
    """
    moments = usual_moments() if moments is None else moments
    require(repetitions, "repetitions", [*REPETITION, *_events(moments)])
    limits = tables.load("measures")["limits"]
    # For a movement that does not lower the hips, its course replaces their height.
    course = repetitions["course" if "course" in repetitions else "hip_height"]
    time, height = repetitions["time"].values, course.values
    frame = float(np.median(np.diff(time))) if time.size > 1 else 0.0
    standing = repetitions["standing"].values.astype(bool)
    frames = np.zeros((repetitions.sizes["rep"], len(moments), time.size), bool)
    of_frame = stance_at(repetitions, time)
    of_repetition = stance_at(repetitions, repetitions["bottom"].values)
    previous_end = -np.inf
    for rep in range(repetitions.sizes["rep"]):
        at = {name: float(repetitions[name][rep]) for name in {*_events(moments), "start", "end"}}
        recorded = {name: bool(repetitions[f"{name}_seen"][rep]) for name in ("start", "end")}
        for phase, entry in enumerate(moments.values()):
            if not all(recorded.get(event, True) for event in _edges(entry)):
                continue
            if "before" in entry:
                last = at[entry["before"]]
                first = max(previous_end, last - limits["standing_window_s"]["value"])
                frames[rep, phase] = within(time, first, last) & standing
                frames[rep, phase] &= of_frame == of_repetition[rep]
            elif "from" in entry:
                frames[rep, phase] = within(time, at[entry["from"]], at[entry["to"]])
            elif "around" in entry:
                moment = at[entry["around"]]
                frames[rep, phase] = within(time, max(moment - frame, at["start"]), moment + frame)
            else:
                inside = within(time, *(at[event] for event in entry["middle_of"]))
                inside &= np.isfinite(height)
                if not inside.any():
                    continue
                top, low = height[inside].max(), height[inside].min()
                distance = np.where(inside, np.abs(height - (top + low) / 2), np.inf)
                near = distance <= limits["mid_phase_band"]["value"] * (top - low)
                frames[rep, phase] = near if near.any() else distance == distance.min()
        previous_end = at["end"]
    return xr.DataArray(
        frames,
        dims=("rep", "phase", "time"),
        coords={"rep": repetitions["rep"].values, "phase": list(moments), "time": time},
    )


def _edges(entry: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the events at which a phase begins and ends, or between which its middle is."""
    if "before" in entry:
        return (entry["before"],)
    return tuple(entry.get("middle_of", ()))


def _events(moments: Moments) -> list[str]:
    """Return the events that phases name."""
    named = (
        (*_edges(entry), *(entry[key] for key in ("from", "to", "around") if key in entry))
        for entry in moments.values()
    )
    return list(dict.fromkeys(event for events in named for event in events))


def main_stance(repetitions: xr.Dataset) -> int:
    """Return the index of the stance with the most accepted repetitions.

    Without accepted repetitions, it is the stance in which the subject stands longest.
    """
    moments = repetitions["bottom"].values[repetitions["accepted"].values.astype(bool)]
    if not moments.size:
        moments = repetitions["time"].values[repetitions["standing"].values.astype(bool)]
    return int(np.bincount(stance_at(repetitions, moments), minlength=1).argmax())


def standing_of_main_stance(repetitions: xr.Dataset) -> NDArray[np.bool_]:
    """Find the frames in which the subject stands in the stance with the most repetitions."""
    of_frame = stance_at(repetitions, repetitions["time"].values)
    standing = repetitions["standing"].values.astype(bool)
    return np.asarray(standing & (of_frame == main_stance(repetitions)))


def never_standing_there(repetitions: xr.Dataset) -> str:
    """Warn that the person never stands where the feet are during an accepted repetition.

    The result is empty if the person stands there, or never stands in the entire recording.
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
    """Raise BadInputError unless `dataset`, which messages call `what`, has the variables."""
    missing = [name for name in names if name not in dataset]
    if missing:
        raise BadInputError(
            f"{what}: variables are missing ({shortened(missing, most=5)}); pass the unchanged "
            "Dataset"
        )


def same_frames(pose: xr.Dataset, other: xr.Dataset, what: str) -> None:
    """Raise BadInputError unless `other`, called `what` in messages, has the frames of the pose."""
    frames, other_frames = pose.sizes["time"], other.sizes.get("time", 0)
    if other_frames != frames or not np.array_equal(pose["time"].values, other["time"].values):
        raise BadInputError(
            f"{what}: has {other_frames} frames, but the pose has {frames}, or their times "
            "differ; make it from this pose"
        )


def within(time: Array, first: float, last: float) -> NDArray[np.bool_]:
    """Return which times are from `first` to `last`."""
    # Boundaries are frame times that may have been stored in a file: allow for rounding.
    return np.asarray((time >= first - 1e-9) & (time <= last + 1e-9))


def between(time: xr.DataArray, first: xr.DataArray, last: xr.DataArray) -> xr.DataArray:
    """Return which times are in which of several windows."""
    inside: xr.DataArray = (time >= first - 1e-9) & (time <= last + 1e-9)
    return inside


def within_repetitions(repetitions: xr.Dataset) -> NDArray[np.bool_]:
    """Return the frames within a repetition."""
    inside = between(repetitions["time"], repetitions["start"], repetitions["end"])
    return inside.any("rep").to_numpy()
