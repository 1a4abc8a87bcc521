"""Checks whether one view must be used alone, and whether a pose without depth suffices.

Without depth, a person who is close and bent looks like a person who is far away and straight. Feet
that stay on the floor distinguish the two, and so does a moment in which the person visibly stands
straight. A picture in which the thighs look short compared with the shanks does not show such a
moment.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from mobility import tables
from mobility.base.provenance import history
from mobility.base.uncertain import sd_name
from mobility.kinematics.angle_errors import angle_sd
from mobility.kinematics.fit.body import (
    ANKLES,
    FITTED,
    HIPS,
    KNEES,
    PITCH,
    SEGMENTS,
    SETTINGS,
    SHOULDERS,
    Array,
    Mask,
)
from mobility.kinematics.fit.observed import LEAST_WEIGHT
from mobility.kinematics.fit.planted_feet import foot_spread, intervals_of
from mobility.kinematics.fit.problem import Problem
from mobility.kinematics.skeleton import (
    INDEX,
    KEYPOINTS,
    angles_from_points,
    definitions,
    landmarks,
)

_WITHOUT_DEPTH = SETTINGS["depth_unknown"]
_MOVED_M = SETTINGS["planted"]["moved_m"]


def is_determined(problem: Problem, shared: Array) -> bool:
    """Whether depth was measured, or follows from the picture of a person standing straight.

    `shared` are the shared numbers of the solution; the pitch of the camera is one of them.
    """
    if problem.calibrated or any(camera.has_depth for camera in problem.per_camera):
        return True
    intervals = intervals_of(problem)
    if problem.standing is None or not intervals:
        return False
    if abs(np.degrees(np.arctan(shared[PITCH]))) > _WITHOUT_DEPTH["most_pitch_deg"]:
        return False
    rows = np.zeros(len(problem.knots), bool)
    for first, last in intervals:
        rows |= (problem.knots >= first) & (problem.knots <= last)
    stands = problem.standing > 0
    return all(
        _feet_are_down(camera, rows)
        and _stays_within(camera, intervals)
        and _is_straight(camera, stands)
        for camera in problem.per_camera
    )


def _feet_are_down(problem: Problem, rows: Mask) -> bool:
    """Whether neither ankle is much higher in the picture than the other while the feet stay.

    A camera above the floor sees the far ankle a little higher all the time.
    """
    rows_with_ankles = rows & (problem.weight[:, ANKLES] > LEAST_WEIGHT).all(axis=1)
    if not rows_with_ankles.any():
        return False
    heights = problem.image[rows_with_ankles][:, ANKLES, 1]
    apart = np.diff(heights, axis=1)[:, 0] * problem.distance[rows_with_ankles]
    lifted = np.percentile(np.abs(apart - np.median(apart)), 90)
    return bool(
        np.percentile(np.abs(apart), 90) < _WITHOUT_DEPTH["feet_level_m"]
        and lifted < _WITHOUT_DEPTH["foot_lifted_m"]
    )


def _stays_within(problem: Problem, intervals: list[tuple[float, float]]) -> bool:
    """Whether both feet stay in these times, even if the user stated so."""
    spreads = [foot_spread(problem, side, *interval) for interval in intervals for side in (0, 1)]
    return all(spread is None or spread < _MOVED_M for spread in spreads)


def _is_straight(problem: Problem, stands: Mask) -> bool:
    """Whether no segment looks much shorter than the others while the person should stand straight.

    A camera above the knees sees thighs of a half squat almost in full length, so that this detects
    only sitting or lying.
    """
    usual = np.array([SEGMENTS[name].ratio for name in ("thigh", "shank", "trunk")])
    looks = []
    for side in (0, 1):
        hip, knee, ankle, shoulder = (pair[side] for pair in (HIPS, KNEES, ANKLES, SHOULDERS))
        ends = [hip, knee, ankle, shoulder]
        visible_rows = stands & (problem.weight[:, ends] > LEAST_WEIGHT).all(axis=1)
        if visible_rows.any():
            at: Array = problem.image[visible_rows]
            pairs = ((hip, knee), (knee, ankle), (hip, shoulder))
            lines = np.stack([at[:, b] - at[:, a] for a, b in pairs])
            size = np.median(np.linalg.norm(lines, axis=-1), axis=1)
            looks.append(size / size.sum() / (usual / usual.sum()))
    return bool(looks) and bool(np.mean(looks, axis=0).min() > _WITHOUT_DEPTH["shortest_look"])


_TWO_VIEWS: Mapping[str, Any] = SETTINGS["one_view"]


class Fit(NamedTuple):
    """A fitted body, and how well it fits.

    `residual_m` and `mean_weight` belong to its first view: the distance of the landmarks from the
    body, and their mean weight. `doubtful` is true if two views may contradict each other.
    """

    body: xr.Dataset
    residual_m: float
    mean_weight: float
    doubtful: bool


class Contradiction(NamedTuple):
    """The angle in which two views differ most, relative to their errors."""

    angle: str
    difference_deg: float  # root mean square
    ratio: float  # relative to its standard deviation, root mean square


def may_contradict(one: Array, other: Array) -> bool:
    """Whether two coarsely solved bodies differ enough to be examined closely.

    `one` and `other` are the joints from two views at the same instants, (knot, joint, 3).
    """
    angles = [_angles(joints) for joints in (one, other)]
    differences = [
        _root_mean((angles[0][name] - angles[1][name]) ** 2) for name in _TWO_VIEWS["angles"]
    ]
    return bool(max(differences) > _TWO_VIEWS["look_deg"])


def contradiction(one: xr.Dataset, other: xr.Dataset, offset: float) -> Contradiction | None:
    """Compare the angles of bodies fitted to one view each.

    Parameters
    ----------
    one, other
        Fitted bodies.
    offset
        Seconds to add to the times of the other body to get the times of the first.

    Returns
    -------
    Contradiction or None
        None if their differences are no larger than their stated errors allow.
    """
    time, later = one["time"].to_numpy(), other["time"].to_numpy() + offset
    after = np.searchsorted(later, time).clip(1, max(later.size - 1, 1))
    before = (after - 1).clip(0)
    after = after.clip(max=later.size - 1)
    nearest = np.where(time - later[before] <= later[after] - time, before, after)
    usual = max(float(np.median(np.diff(times))) for times in (time, later))
    both = np.abs(later[nearest] - time) <= usual
    rows = np.flatnonzero(both), nearest[both]
    contradictions = []
    for name in _TWO_VIEWS["angles"]:
        values, variances = [], []
        for body, at in zip((one, other), rows, strict=True):
            values.append(angles_from_points(landmarks(body))[name][at])
            variances.append(angle_sd(body)[sd_name(name)].to_numpy()[at] ** 2)
        square = (values[0] - values[1]) ** 2
        ratio = _root_mean(square / (variances[0] + variances[1]))
        contradictions.append(Contradiction(name, _root_mean(square), ratio))
    largest = max(contradictions, key=lambda contradiction: contradiction.ratio)
    return largest if largest.ratio > _TWO_VIEWS["largest_ratio"] else None


def better_of(alone: Sequence[Fit], why: Contradiction, poses: Sequence[xr.Dataset]) -> xr.Dataset:
    """Return the view that fits better, or sees more, with a warning that names both."""
    misfit = [fit.residual_m**2 / max(fit.mean_weight, 1e-3) for fit in alone]
    camera = int(np.argmin(misfit))
    names = [
        str(pose.attrs.get("source_file") or f"the video from camera {number}")
        for number, pose in enumerate(poses, start=1)
    ]
    warning = tables.warning(
        "warnings.one_view_taken",
        film=names[camera],
        other=names[1 - camera],
        angle=definitions()[why.angle]["long_name"],
        difference=why.difference_deg,
    )
    body = alone[camera].body
    entries = history(body)
    entries[-1] |= {
        "camera": camera + 1,
        "residuals_m": [round(fit.residual_m, 4) for fit in alone],
        "contradiction": {"angle": why.angle, "ratio": round(why.ratio, 2)},
        "warnings": [*entries[-1]["warnings"], warning],
    }
    return body.assign_attrs(history=json.dumps(entries, sort_keys=True))


def _angles(joints: Array) -> dict[str, Array]:
    points = np.full((len(joints), len(KEYPOINTS), 3), np.nan)
    points[:, [INDEX[name] for name in FITTED]] = joints
    return angles_from_points(points)


def _root_mean(square: Array) -> float:
    """Return the root mean of the finite values; 0 if there are none."""
    finite = square[np.isfinite(square)]
    return float(np.sqrt(finite.mean())) if finite.size else 0.0
