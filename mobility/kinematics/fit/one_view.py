"""Two views of a trial that contradict each other: one of them is then measured alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from mobility import tables
from mobility.base.provenance import history
from mobility.kinematics.angle_errors import angle_sd
from mobility.kinematics.fit.body import FITTED, SETTINGS, Array
from mobility.kinematics.geometry import angles_from_points, definitions
from mobility.kinematics.skeleton import INDEX, KEYPOINTS, landmarks

_RULE: Mapping[str, Any] = SETTINGS["one_view"]


class Fit(NamedTuple):
    """A fitted body, and how well it fits.

    `residual_m` and `mean_weight` are of its first view: the landmarks off the body, and their mean
    weight; `doubtful` says that two views may contradict each other.
    """

    body: xr.Dataset
    residual_m: float
    mean_weight: float
    doubtful: bool


class Contradiction(NamedTuple):
    """The angle in which two views differ most, beyond their errors."""

    angle: str
    difference_deg: float  # root mean square
    ratio: float  # to its standard deviation, likewise


def may_contradict(one: Array, other: Array) -> bool:
    """Whether two bodies that were solved coarsely differ enough to look more closely.

    `one` and `other` are joints of views of the same instants, (knot, joint, 3).
    """
    angles = [_angles(joints) for joints in (one, other)]
    differences = [_root_mean((angles[0][name] - angles[1][name]) ** 2) for name in _RULE["angles"]]
    return bool(max(differences) > _RULE["look_deg"])


def contradiction(one: xr.Dataset, other: xr.Dataset, offset: float) -> Contradiction | None:
    """Hold the angles of bodies fitted to one view each against each other.

    Parameters
    ----------
    one, other
        Fitted bodies.
    offset
        Seconds to add to the times of the other to get those of the first.

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
    usual = max(float(np.median(np.diff(each))) for each in (time, later))
    both = np.abs(later[nearest] - time) <= usual
    rows = np.flatnonzero(both), nearest[both]
    contradictions = []
    for name in _RULE["angles"]:
        values, variances = [], []
        for body, at in zip((one, other), rows, strict=True):
            values.append(angles_from_points(landmarks(body))[name][at])
            variances.append(angle_sd(body)[f"{name}_sd"].to_numpy()[at] ** 2)
        square = (values[0] - values[1]) ** 2
        ratio = _root_mean(square / (variances[0] + variances[1]))
        contradictions.append(Contradiction(name, _root_mean(square), ratio))
    largest = max(contradictions, key=lambda contradiction: contradiction.ratio)
    return largest if largest.ratio > _RULE["largest_ratio"] else None


def better_of(alone: Sequence[Fit], why: Contradiction, poses: Sequence[xr.Dataset]) -> xr.Dataset:
    """Take the view that fits better, or sees more, with a warning that names both."""
    misfit = [each.residual_m**2 / max(each.mean_weight, 1e-3) for each in alone]
    camera = int(np.argmin(misfit))
    names = [
        str(pose.attrs.get("source_file") or f"that of camera {number}")
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
        "residuals_m": [round(each.residual_m, 4) for each in alone],
        "contradiction": {"angle": why.angle, "ratio": round(why.ratio, 2)},
        "warnings": [*entries[-1]["warnings"], warning],
    }
    return body.assign_attrs(history=json.dumps(entries, sort_keys=True))


def _angles(joints: Array) -> dict[str, Array]:
    points = np.full((len(joints), len(KEYPOINTS), 3), np.nan)
    points[:, [INDEX[name] for name in FITTED]] = joints
    return angles_from_points(points)


def _root_mean(square: Array) -> float:
    """Root mean of the finite values; 0 where there are none."""
    finite = square[np.isfinite(square)]
    return float(np.sqrt(finite.mean())) if finite.size else 0.0
