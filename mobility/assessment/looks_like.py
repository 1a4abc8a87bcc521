"""Recognise trials of another exercise, as far as that is clear."""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mobility import tables
from mobility.assessment.body import in_body_axes, median_of, points_of
from mobility.kinematics.fit.body import FITTED, MASS_SHARES
from mobility.kinematics.skeleton import SIDES, landmarks

Array = NDArray[np.float64]

_JOINTS = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle", "heel", "foot_index")
_SHOULDER, _ELBOW, _WRIST, _HIP, _KNEE, _, _HEEL, _TOE = range(len(_JOINTS))


def place_of_arms(pose: xr.Dataset, bottoms: NDArray[np.bool_]) -> str:
    """Name the place of the arms at the bottom of a squat, if it is clear for both.

    Parameters
    ----------
    pose
        Pose Dataset in metres, y up.
    bottoms
        Over (repetition, time): the frames at the bottom of the repetitions that count.

    Returns
    -------
    str
        "down", "front" (stretched, or one bent), "chest" (both bent) or "sides"; else "".
    """
    limits = _limits("arms")
    points = points_of(pose, _JOINTS)
    x, _ = in_body_axes(points, _HIP)
    arm = points[:, _WRIST] - points[:, _SHOULDER]
    parts = points[:, [_ELBOW, _WRIST]] - points[:, [_SHOULDER, _ELBOW]]
    length = np.linalg.norm(parts, axis=-1).sum(axis=1)
    # Shares of the length of the arm, (quantity, side): how high, how stretched, how far forward.
    shares = np.stack(
        [arm[..., 1], np.linalg.norm(arm, axis=-1), x[:, _WRIST] - x[:, _SHOULDER]], axis=1
    )
    shares /= np.where(length > 0, length, np.nan)[:, None]
    each = np.array([median_of(shares[frames]) for frames in bottoms]).reshape(-1, 3, len(SIDES))
    height, reach, forward = median_of(each)

    def both(which: NDArray[np.bool_]) -> bool:
        return bool(which.all())

    if both(height < limits["hanging_below"]):
        return "down"
    if not both((height > limits["level_from"]) & (height < limits["level_to"])):
        return ""
    if both(reach < limits["bent_below"]) and both(forward > -limits["beside_within"]):
        return "chest"
    if both(forward > limits["forward_from"]):
        return "front"
    stretched = both(reach >= limits["bent_below"])
    return "sides" if stretched and both(abs(forward) < limits["beside_within"]) else ""


def sits(pose: xr.Dataset, bottoms: NDArray[np.bool_]) -> bool:
    """Whether the body sits on something where it is lowest.

    In most of the low postures the centre of mass is behind the feet, and the trunk leans forward
    while the hips rest, as it does before rising from a chair.

    Parameters
    ----------
    pose
        Pose Dataset in metres, y up.
    bottoms
        Over (repetition, time): the frames in which the hips are lowest, of every repetition, also
        of those that do not count.
    """
    limits = _limits("chair")
    points = points_of(pose, _JOINTS)
    x, _ = in_body_axes(points, _HIP)
    forward = _ahead_of_feet(pose, points, x)
    height = points[..., 1].mean(axis=2)
    ahead = x.mean(axis=2)
    lean = _angle(ahead[:, _SHOULDER] - ahead[:, _HIP], height[:, _SHOULDER] - height[:, _HIP])
    thigh = _angle(height[:, _HIP] - height[:, _KNEE], ahead[:, _KNEE] - ahead[:, _HIP])
    seated = []
    for frames in bottoms:
        seen = lean[frames][np.isfinite(lean[frames])]
        seated.append(
            bool(seen.size)
            and np.ptp(seen) >= limits["trunk_moves_deg"]
            and np.median(seen) <= limits["largest_lean_deg"]
            and median_of(forward[frames]) < -limits["behind_feet"]
            and abs(median_of(thigh[frames])) <= limits["thigh_off_level_deg"]
        )
    return 2 * sum(map(bool, seated)) > len(seated)


def on_feet(pose: xr.Dataset, seated: NDArray[np.bool_]) -> bool:
    """Whether the feet carry the body where a seat should: in most postures its mass is over them.

    Parameters
    ----------
    pose
        Pose Dataset in metres, y up.
    seated
        Over (repetition, time): the frames in which the person is to sit.
    """
    points = points_of(pose, _JOINTS)
    forward = _ahead_of_feet(pose, points, in_body_axes(points, _HIP)[0])
    over = [median_of(forward[frames]) >= -_limits("chair")["behind_feet"] for frames in seated]
    return 2 * sum(map(bool, over)) > len(over)


def falls(pose: xr.Dataset, bottoms: NDArray[np.bool_]) -> bool:
    """Whether the body would fall forward where it is lowest: the pose is then wrong.

    The centre of mass is ahead of the toes in most of the low postures. The pose model then put the
    hips wrongly, in the dark or before clothes of one colour, and no angle of the legs is right.

    Parameters
    ----------
    pose, bottoms
        As in :func:`sits`.
    """
    points = points_of(pose, _JOINTS)
    x, _ = in_body_axes(points, _HIP)
    forward = _ahead_of_feet(pose, points, x)
    least = tables.load("measures")["limits"]["ahead_of_feet"]["value"]
    ahead = [bool(median_of(forward[frames]) > least) for frames in bottoms]
    return 2 * sum(ahead) > len(ahead)


def _limits(kind: str) -> dict[str, float]:
    entry = tables.load("measures")["looks_like"][kind]
    return {name: limit for name, limit in entry.items() if name != "source"}


def _angle(across: Array, along: Array) -> Array:
    return np.asarray(np.degrees(np.arctan2(across, along)))


def _ahead_of_feet(pose: xr.Dataset, points: Array, x: Array) -> Array:
    """How far the centre of mass is ahead of the middle of the feet, in lengths of a foot."""
    foot = points[:, _TOE] - points[:, _HEEL]
    length = median_of(np.linalg.norm(foot, axis=-1).mean(axis=-1))
    middle = x[:, [_HEEL, _TOE]].mean(axis=(1, 2))
    return np.asarray((_centre_of_mass(pose, points) - middle) / length)


def _centre_of_mass(pose: xr.Dataset, points: Array) -> Array:
    """Coordinate of the centre of mass along the front of the body."""
    centre = np.einsum("j,tjx->tx", MASS_SHARES, landmarks(pose, keypoints=list(FITTED)))
    # As one more landmark, so that it has the axes of the body.
    added = np.concatenate([points, np.stack([centre, centre], axis=1)[:, None]], axis=1)
    place: Array = in_body_axes(added, _HIP)[0][:, -1, 0]
    return place
