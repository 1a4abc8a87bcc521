"""Measures of a standing leg (knee in the frontal plane, pelvis, trunk), and which feet stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mobility.assessment.body_axes import OUTWARD, by_body_axes, median_of, points_of
from mobility.assessment.kernels import (
    Points,
    frontal_plane_projection_angle,
    medial_of_foot,
    of_points,
)
from mobility.catalogue.exercise import Exercise
from mobility.kinematics.expected_error import of_fit
from mobility.kinematics.skeleton import SIDES, body_frame, other_side

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


def height_above_other_foot(pose: xr.Dataset) -> Array:
    """Return the height of each foot above the other, over (time, side), metres.

    The ankle is compared with the other ankle and the toe with the other toe; the smaller
    difference counts. Missing values are interpolated; all are NaN if no frame has a value.
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
    """Decide which feet stand on the floor, over (time, side).

    A foot counts as lifted if it rises more than ``lifted_m`` above the other. The lift begins and
    ends when the foot is less than ``floor_m`` above the other.

    Between two lifts, the foot still counts as lifted if the other foot stays down, because it may
    touch the floor between squats, or stay just above it. Such a foot does not count as standing,
    however still it is. For a fitted pose, the stances that the fit assumed are used instead,
    because the height of a foot behind the other is uncertain.
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
    """Return the frames in which each foot stands, over (time, side), from times (s)."""
    down = np.zeros((time.size, len(SIDES)), bool)
    for side, name in enumerate(SIDES):
        for first, last in stances.get(name, ()):
            down[:, side] |= (time >= first) & (time <= last)
    return down


def _runs(on: Mask) -> list[NDArray[np.intp]]:
    """Return the frames of each continuous stretch in which `on` is true."""
    frames = np.flatnonzero(on)
    return np.split(frames, np.flatnonzero(np.diff(frames) > 1) + 1) if frames.size else []


def stances(pose: xr.Dataset, exercise: Exercise) -> dict[str, list[tuple[float, float]]]:
    """Return the times (s) at which each foot is put down and lifted again."""
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
    """Return the frames in which each leg stands alone, over (time, side).

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
    """Keep only the landmarks of one leg while it stands, to find its repetitions."""
    stands = xr.DataArray(down[:, SIDES.index(leg)], dims="time")
    names = pose["keypoint"]
    of_this, of_other = (names.str.startswith(f"{side}_") for side in (leg, other_side(leg)))
    is_of_leg = ~of_other & (~of_this | stands)
    positions = [name for name in ("position", "image_position") if name in pose]
    return pose.assign({name: pose[name].where(is_of_leg) for name in positions})


def on_one_foot(pose: xr.Dataset, leg: str) -> xr.Dataset:
    """Move the free foot to the standing foot, so that measures of both feet apply."""
    position = pose["position"].copy()
    for part in ("ankle", "heel", "foot_index"):
        stands = position.sel(keypoint=f"{leg}_{part}", drop=True)
        position.loc[{"keypoint": f"{other_side(leg)}_{part}"}] = stands
    return pose.assign(position=position)


@of_points("shoulder", "hip", "knee", "ankle", "heel", "foot_index")
def leg(points: Points, standing: Points, limits: Mapping[str, float]) -> dict[str, Array]:
    """Compute the quantities of each leg as if it were the standing leg, over (time, side).

    The forward lean of the trunk has no side. Quantities of pelvis and trunk are relative to their
    medians while `standing`.
    """
    joints = [points[joint] for joint in ("hip", "knee", "ankle")]
    thigh, shank = (np.linalg.norm(b - a, axis=-1) for a, b in pairwise(joints))
    leg_length = median_of(thigh + shank)
    foot_length = median_of(np.linalg.norm(points["foot_index"] - points["heel"], axis=-1))

    def pelvis_and_trunk(body: Points) -> dict[str, Array]:
        forward, rightward = by_body_axes(body)
        upward = {joint: place[..., 1] for joint, place in body.items()}

        def trunk(along: Points) -> Array:
            """Return the component along an axis of the vector from mid-hip to mid-shoulder."""
            length: Array = along["shoulder"].mean(axis=-1) - along["hip"].mean(axis=-1)
            return length

        def hip_line(along: Points) -> Array:
            """Return the component along an axis of the vector from the left to the right hip."""
            return along["hip"][:, 1] - along["hip"][:, 0]

        drop = np.degrees(np.arctan2(hip_line(upward), hip_line(rightward)))[:, np.newaxis]
        lean = np.degrees(np.arctan2(trunk(rightward), trunk(upward)))[:, np.newaxis]
        mid_hips = rightward["hip"].mean(axis=-1)[:, np.newaxis]
        return {
            "pelvic_drop": OUTWARD * drop,
            "pelvic_shift": OUTWARD * (mid_hips - rightward["ankle"]) / leg_length,
            "trunk_lean_over_leg": OUTWARD * lean,
            "trunk_forward_lean": np.degrees(np.arctan2(trunk(forward), trunk(upward))),
        }

    in_trial, at_rest = pelvis_and_trunk(points), pelvis_and_trunk(standing)
    # The frontal plane is defined by the hips in standing, because their error at the bottom is
    # twice as large.
    hips = median_of(standing["hip"])
    forward, _, right = body_frame(hips[0], hips[1])
    in_axes_of_standing = (
        np.stack([place @ forward, place[..., 1], OUTWARD * (place @ right)], axis=-1)
        for place in joints
    )
    return {
        **{name: value - median_of(at_rest[name]) for name, value in in_trial.items()},
        "knee_over_foot": medial_of_foot(points, limits) / foot_length,
        "frontal_plane_projection_angle": frontal_plane_projection_angle(
            *in_axes_of_standing, smallest_share=limits["smallest_projected_thigh"]
        ),
    }
