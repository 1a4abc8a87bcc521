"""Which feet are on the floor in each frame, from the heights of ankles and toes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mobility.assessment.body_axes import points_of
from mobility.catalogue.exercise import Exercise
from mobility.kinematics.expected_error import of_fit
from mobility.kinematics.skeleton import SIDES, other_side

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


def height_above_other_foot(pose: xr.Dataset) -> Array:
    """How far each foot is above the other (time, side), metres.

    Ankle is compared with ankle and toe with toe; the smaller difference counts. Frames that do not
    show them are interpolated; all are NaN if no frame does.
    """
    height = points_of(pose, ("ankle", "foot_index"))[..., 1]
    above = height - height[..., ::-1]
    smaller = np.fmin(above[:, 0], above[:, 1])
    time = pose["time"].to_numpy()
    for column in smaller.T:
        has_value = np.isfinite(column)
        if has_value.any():
            column[:] = np.interp(time, time[has_value], column[has_value])
    return smaller


def feet_down(pose: xr.Dataset, exercise: Exercise) -> Mask:
    """Say which feet stand on the floor (time, side).

    A foot is lifted from when it leaves the level of the other by ``floor_m`` until it is back, if
    it gets ``lifted_m`` above it meanwhile, and from one such lift to the next as long as the other
    stays down: it may touch the floor between squats, or hang just above it. However still it is
    held, it does not stand. For a fitted pose, these are the stances that the fit assumed: it says
    little about the height of a foot that is behind the other.
    """
    time = pose["time"].to_numpy()
    if assumed := of_fit(pose).get("arguments", {}).get("feet_planted"):
        return _frames_of(assumed, time)
    limits = exercise.own_table("measures")["limits"]
    lifted = np.zeros((time.size, len(SIDES)), bool)
    for side, height in enumerate(height_above_other_foot(pose).T):
        for rows in _runs(height > limits["floor_m"]):
            lifted[rows, side] = height[rows].max() >= limits["lifted_m"]
    for side in range(len(SIDES)):
        first: int | None = None
        for i in np.flatnonzero(lifted.any(axis=1)):
            if lifted[i, 1 - side]:
                first = None
            else:
                lifted[i if first is None else first : i + 1, side] = True
                first = int(i)
    return ~lifted


def _frames_of(stances: Mapping[str, Sequence[Sequence[float]]], time: Array) -> Mask:
    """Frames in which each foot stands (time, side), from times (s)."""
    down = np.zeros((time.size, len(SIDES)), bool)
    for side, name in enumerate(SIDES):
        for first, last in stances.get(name, ()):
            down[:, side] |= (time >= first) & (time <= last)
    return down


def _runs(on: Mask) -> list[NDArray[np.intp]]:
    """Frames of each unbroken stretch in which `on` is true."""
    frames = np.flatnonzero(on)
    return np.split(frames, np.flatnonzero(np.diff(frames) > 1) + 1) if frames.size else []


def stances(pose: xr.Dataset, exercise: Exercise) -> dict[str, list[tuple[float, float]]]:
    """Give the times (s) from and until which each foot stands, once put down and until lifted."""
    limits = exercise.own_table("measures")["limits"]
    time = pose["time"].to_numpy()
    stance_times: dict[str, list[tuple[float, float]]] = {}
    for side, down in zip(SIDES, feet_down(pose, exercise).T, strict=True):
        stance_times[side] = []
        for rows in _runs(down):
            first = time[rows[0]] + (limits["placed_s"] if rows[0] else -1.0)
            last = time[rows[-1]] + (-limits["placed_s"] if rows[-1] < time.size - 1 else 1.0)
            if last - first >= limits["shortest_s"]:
                stance_times[side].append((float(first), float(last)))
    return stance_times


def alone_on(down: Mask, time: Array, exercise: Exercise) -> Mask:
    """Frames in which each leg stands alone (time, side).

    The first and last ``settles_s`` of each stance are left out, except at the ends of the
    recording.
    """
    settling_s = exercise.own_table("measures")["limits"]["settles_s"]
    alone = down & ~down[:, ::-1]
    for column in alone.T:
        for rows in _runs(column):
            first, last = time[rows[[0, -1]]]
            column[rows] = ((time[rows] >= first + settling_s) | (rows[0] == 0)) & (
                (time[rows] <= last - settling_s) | (rows[-1] == time.size - 1)
            )
    return alone


def landmarks_of_leg(pose: xr.Dataset, leg: str, down: Mask) -> xr.Dataset:
    """Keep, of both legs, only the landmarks of one while it stands, to find its repetitions."""
    stands = xr.DataArray(down[:, SIDES.index(leg)], dims="time")
    names = pose["keypoint"]
    of_this, of_other = (names.str.startswith(f"{side}_") for side in (leg, other_side(leg)))
    is_of_leg = ~of_other & (~of_this | stands)
    positions = [name for name in ("position", "image_position") if name in pose]
    return pose.assign({name: pose[name].where(is_of_leg) for name in positions})


def on_one_foot(pose: xr.Dataset, leg: str) -> xr.Dataset:
    """Put the free foot where the standing one is, so that all that is measured from both fits."""
    position = pose["position"].copy()
    for part in ("ankle", "heel", "foot_index"):
        stands = position.sel(keypoint=f"{leg}_{part}", drop=True)
        position.loc[{"keypoint": f"{other_side(leg)}_{part}"}] = stands
    return pose.assign(position=position)
