"""Which foot is on the floor at every frame, by the heights of ankles and toes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mobility.assessment.body import points_of
from mobility.kinematics.expected_error import of_fit
from mobility.kinematics.skeleton import SIDES, other_side
from mobility.registry import Exercise

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


def lifts(pose: xr.Dataset) -> Array:
    """How far each foot is above the other (time, side), metres: ankle or toe, the lower of both.

    NaN between the frames that show them is filled from the nearest in time; NaN throughout where
    none does.
    """
    height = points_of(pose, ("ankle", "foot_index"))[..., 1]
    above = height - height[..., ::-1]
    lower = np.fmin(above[:, 0], above[:, 1])
    time = pose["time"].to_numpy()
    for column in lower.T:
        seen = np.isfinite(column)
        if seen.any():
            column[:] = np.interp(time, time[seen], column[seen])
    return lower


def feet_down(pose: xr.Dataset, exercise: Exercise) -> Mask:
    """Say which feet stand on the floor (time, side).

    A foot is lifted from when it leaves the level of the other by ``floor_m`` until it is back, if
    it gets ``lifted_m`` above it meanwhile, and from one such lift to the next as long as the other
    stays down: it may touch the floor between squats, or hang just above it. However still it is
    held, it does not stand. Of a fitted body, what it was fitted with counts: the fit knows little
    of the height of a foot that is behind the other.
    """
    time = pose["time"].to_numpy()
    if assumed := of_fit(pose).get("arguments", {}).get("feet_planted"):
        return _within(assumed, time)
    limits = exercise.own_table("measures")["limits"]
    lifted = np.zeros((time.size, len(SIDES)), bool)
    for side, lift in enumerate(lifts(pose).T):
        for rows in _runs(lift > limits["floor_m"]):
            lifted[rows, side] = lift[rows].max() >= limits["lifted_m"]
    for side in range(len(SIDES)):
        first: int | None = None
        for i in np.flatnonzero(lifted.any(axis=1)):
            if lifted[i, 1 - side]:
                first = None
            else:
                lifted[i if first is None else first : i + 1, side] = True
                first = int(i)
    return ~lifted


def _within(stances: Mapping[str, Sequence[Sequence[float]]], time: Array) -> Mask:
    down = np.zeros((time.size, len(SIDES)), bool)
    for side, name in enumerate(SIDES):
        for first, last in stances.get(name, ()):
            down[:, side] |= (time >= first) & (time <= last)
    return down


def _runs(on: Mask) -> list[NDArray[np.intp]]:
    """Give the frames of each run that is on."""
    at = np.flatnonzero(on)
    return np.split(at, np.flatnonzero(np.diff(at) > 1) + 1) if at.size else []


def stances(pose: xr.Dataset, exercise: Exercise) -> dict[str, list[tuple[float, float]]]:
    """Give the times (s) in which each foot stands, without those in which it is moved there."""
    limits = exercise.own_table("measures")["limits"]
    time = pose["time"].to_numpy()
    found: dict[str, list[tuple[float, float]]] = {}
    for side, down in zip(SIDES, feet_down(pose, exercise).T, strict=True):
        found[side] = []
        for rows in _runs(down):
            first = time[rows[0]] + (limits["placed_s"] if rows[0] else -1.0)
            last = time[rows[-1]] + (-limits["placed_s"] if rows[-1] < time.size - 1 else 1.0)
            if last - first >= limits["shortest_s"]:
                found[side].append((float(first), float(last)))
    return found


def alone_on(down: Mask, time: Array, exercise: Exercise) -> Mask:
    """Say when each leg stands alone (time, side), from when it has settled."""
    settles = exercise.own_table("measures")["limits"]["settles_s"]
    alone = down & ~down[:, ::-1]
    for column in alone.T:
        for rows in _runs(column):
            first, last = time[rows[[0, -1]]]
            column[rows] = ((time[rows] >= first + settles) | (rows[0] == 0)) & (
                (time[rows] <= last - settles) | (rows[-1] == time.size - 1)
            )
    return alone


def of_leg(pose: xr.Dataset, leg: str, down: Mask) -> xr.Dataset:
    """Keep the landmarks of one leg, while it stands: all that its repetitions are found in."""
    stands = xr.DataArray(down[:, SIDES.index(leg)], dims="time")
    names = pose["keypoint"]
    mine, other = (names.str.startswith(f"{side}_") for side in (leg, other_side(leg)))
    shown = ~other & (~mine | stands)
    kept = [name for name in ("position", "image_position") if name in pose]
    return pose.assign({name: pose[name].where(shown) for name in kept})


def on_one_foot(pose: xr.Dataset, leg: str) -> xr.Dataset:
    """Put the free foot where the standing one is: what asks where the feet are gets that one."""
    position = pose["position"].copy()
    for part in ("ankle", "heel", "foot_index"):
        stands = position.sel(keypoint=f"{leg}_{part}", drop=True)
        position.loc[{"keypoint": f"{other_side(leg)}_{part}"}] = stands
    return pose.assign(position=position)
