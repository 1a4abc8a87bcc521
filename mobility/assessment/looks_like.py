"""Recognise recordings that clearly show another exercise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mobility import tables
from mobility.assessment.body_axes import in_body_axes, median_of, points_of
from mobility.kinematics.fit.body import FITTED, MASS_SHARES
from mobility.kinematics.skeleton import SIDES, landmarks

Array = NDArray[np.float64]

_JOINTS = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle", "heel", "foot_index")
_SHOULDER, _ELBOW, _WRIST, _HIP, _KNEE, _, _HEEL, _TOE = range(len(_JOINTS))


def place_of_arms(pose: xr.Dataset, bottoms: NDArray[np.bool_]) -> str:
    """Return where the arms are at the bottom of a squat, if it is clear for both arms.

    Parameters
    ----------
    pose
        Pose Dataset in metres, y up.
    bottoms
        Over (repetition, time): the frames at the bottom of the accepted repetitions.

    Returns
    -------
    str
        "down", "front" (both stretched, or one bent), "chest" (both bent) or "sides"; "" if it is
        unclear.
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
    arm_shares = np.array([median_of(shares[frames]) for frames in bottoms]).reshape(
        -1, 3, len(SIDES)
    )
    height, reach, forward = median_of(arm_shares)

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


def sits(pose: xr.Dataset, low: NDArray[np.bool_]) -> bool:
    """Whether the body sits on something while its hips are low.

    The centre of mass is behind the feet in most of the low postures, and the trunk leans forward
    while the hips rest, as before standing up from a chair.

    Parameters
    ----------
    pose
        Pose Dataset in metres, y up.
    low
        Over (repetition, time): the frames of every repetition, accepted or not, in which the hips
        are low.
    """
    limits = _limits("chair")
    seated = [
        posture.moves >= limits["trunk_moves_deg"]
        and posture.ahead < -limits["behind_feet"]
        and posture.moves * -posture.ahead >= limits["behind_times_moves"]
        and posture.lean <= limits["largest_lean_deg"]
        and abs(posture.thigh) <= limits["thigh_off_level_deg"]
        for posture in _low_postures(pose, low)
    ]
    return 2 * sum(seated) > len(low)


def on_feet(pose: xr.Dataset, seated: NDArray[np.bool_]) -> bool:
    """Whether the feet, not a seat, carry the body: its mass is over the feet in most postures.

    If the trunk does not move, the mass may seem to be a little behind the feet.

    Parameters
    ----------
    pose
        Pose Dataset in metres, y up; a fitted pose without the term that draws the mass over the
        feet.
    seated
        Over (repetition, time): the frames in which the person should sit.
    """
    limits = _limits("chair")
    over = []
    for posture in _low_postures(pose, seated):
        moves = posture.moves >= limits["trunk_moves_deg"]
        over.append(posture.ahead >= -limits["behind_feet" if moves else "far_behind_feet"])
    return 2 * sum(over) > len(over)


@dataclass(frozen=True)
class _LowPosture:
    """What the body does while the hips are low, in one repetition; NaN if it is not seen."""

    ahead: float  # centre of mass in front of the middle of the feet, in lengths of a foot
    lean: float  # of the trunk forward, degrees
    moves: float  # range of that lean, degrees
    thigh: float  # degrees off the level


def _low_postures(pose: xr.Dataset, low: NDArray[np.bool_]) -> list[_LowPosture]:
    points = _either_side(points_of(pose, _JOINTS))
    x, _ = in_body_axes(points, _HIP)
    forward = _ahead_of_feet(pose, points, x)
    height, ahead = points[..., 1].mean(axis=2), x.mean(axis=2)
    lean = _angle(ahead[:, _SHOULDER] - ahead[:, _HIP], height[:, _SHOULDER] - height[:, _HIP])
    thigh = _angle(height[:, _HIP] - height[:, _KNEE], ahead[:, _KNEE] - ahead[:, _HIP])
    postures = []
    for frames in low:
        finite_lean = lean[frames][np.isfinite(lean[frames])]
        postures.append(
            _LowPosture(
                ahead=float(median_of(forward[frames])),
                lean=float(np.median(finite_lean)) if finite_lean.size else np.nan,
                moves=float(np.ptp(finite_lean)) if finite_lean.size else np.nan,
                thigh=float(median_of(thigh[frames])),
            )
        )
    return postures


def falls(pose: xr.Dataset, bottoms: NDArray[np.bool_]) -> bool:
    """Whether the body would fall forward at its lowest point, which means that the pose is wrong.

    The centre of mass is ahead of the toes in most of the low postures. In this case the pose model
    misplaced the hips, for example in the dark or with clothes of a single colour, and all angles
    of the legs are wrong.

    Parameters
    ----------
    pose, bottoms
        As in :func:`sits`.
    """
    points = _either_side(points_of(pose, _JOINTS))
    x, _ = in_body_axes(points, _HIP)
    forward = _ahead_of_feet(pose, points, x)
    least = tables.load("measures")["limits"]["ahead_of_feet"]["value"]
    ahead = [bool(median_of(forward[frames]) > least) for frames in bottoms]
    return 2 * sum(ahead) > len(ahead)


def support_of_hands(pose: xr.Dataset, shown: NDArray[np.bool_]) -> str:
    """Return how the hands support the body, if they do so in at least half of the repetitions.

    Parameters
    ----------
    pose
        Pose Dataset with the places of landmarks in the picture; without them the result is empty.
    shown
        Over (repetition, time): the frames of the accepted repetitions.

    Returns
    -------
    str
        "held" if a hand holds on to something away from the body: it stays in place or slides while
        the shoulders go down and up. "on_legs" if a hand stays in one place on a thigh or knee.
        Otherwise "".
    """
    if "image_position" not in pose or "confidence" not in pose:
        return ""
    one = pose.isel(individual=0, drop=True) if "individual" in pose.dims else pose
    kinds = ("held", "on_legs")
    counts = dict.fromkeys(kinds, 0)
    for frames in shown:
        hands = [_support(one.isel(time=frames), side) for side in SIDES]
        for kind in kinds:
            counts[kind] += kind in hands
    return next((kind for kind in kinds if counts[kind] and 2 * counts[kind] >= len(shown)), "")


def _support(pose: xr.Dataset, side: str) -> str:
    """Return how one hand helps in one repetition."""
    limits = _limits("support")
    names = [f"{side}_{joint}" for joint in ("wrist", "shoulder", "hip", "knee")]
    marks = pose["image_position"].sel(keypoint=names, pixel=["u", "v"])
    wrist, shoulder, hip, knee = marks.transpose("keypoint", "time", "pixel").to_numpy()
    is_seen = marks.notnull().all(("keypoint", "pixel")).to_numpy()
    sure = float(pose["confidence"].sel(keypoint=names[0]).median())
    if 2 * is_seen.sum() <= is_seen.size or not sure >= limits["least_visibility"]:
        return ""
    wrist, shoulder, hip, knee = (points[is_seen] for points in (wrist, shoulder, hip, knee))
    trunk = float(np.median(np.linalg.norm(shoulder - hip, axis=1)))
    across, down = np.ptp(np.percentile(wrist, [5, 95], axis=0), axis=0)
    travel = float(np.ptp(np.percentile(shoulder[:, 1], [5, 95])))
    if travel < limits["least_travel"] * trunk:
        return ""
    from_thigh, along = _from_segment(wrist, hip, knee)
    from_body = np.minimum(from_thigh, _from_segment(wrist, shoulder, hip)[0])
    away = np.percentile(from_body, 10) >= limits["away_from_body"] * trunk
    slides = away and down <= limits["slides"] * travel and across <= limits["across"] * trunk
    rests = down <= limits["stays"] * travel and across <= limits["across"] * trunk
    if slides or rests:
        return "held"
    low = hip[:, 1] >= (hip[:, 1].min() + hip[:, 1].max()) / 2
    on_leg = np.percentile(from_thigh[low], 90) <= limits["on_leg"] * trunk
    return "on_legs" if on_leg and np.ptp(along[low]) <= limits["along_leg"] else ""


def _from_segment(point: Array, start: Array, end: Array) -> tuple[Array, Array]:
    """Return the distance of points from segments, and the nearest place along these, 0 to 1."""
    line = end - start
    with np.errstate(invalid="ignore", divide="ignore"):  # a segment without length has no place
        along = ((point - start) * line).sum(axis=-1) / (line**2).sum(axis=-1)
    along = np.clip(along, 0.0, 1.0)
    return np.linalg.norm(point - start - along[..., None] * line, axis=-1), along


def _limits(kind: str) -> dict[str, float]:
    entry = tables.load("measures")["looks_like"][kind]
    return {name: limit for name, limit in entry.items() if name != "source"}


def _angle(across: Array, along: Array) -> Array:
    return np.asarray(np.degrees(np.arctan2(across, along)))


def _either_side(points: Array) -> Array:
    """Return points (..., side, space); an unseen side gets the points of the other side."""
    return np.where(np.isnan(points), points[..., ::-1, :], points)


def _ahead_of_feet(pose: xr.Dataset, points: Array, x: Array) -> Array:
    """Return how far the centre of mass is ahead of the middle of the feet, in foot lengths."""
    foot = points[:, _TOE] - points[:, _HEEL]
    length = median_of(np.linalg.norm(foot, axis=-1).mean(axis=-1))
    middle = x[:, [_HEEL, _TOE]].mean(axis=(1, 2))
    return np.asarray((_centre_of_mass(pose, points) - middle) / length)


def _centre_of_mass(pose: xr.Dataset, points: Array) -> Array:
    """Return the coordinate of the centre of mass along the front of the body."""
    marks = landmarks(pose, keypoints=list(FITTED))  # left and right by turns
    paired = _either_side(marks.reshape(len(marks), -1, len(SIDES), 3))
    centre = np.einsum("j,tjx->tx", MASS_SHARES, paired.reshape(marks.shape))
    # As one more landmark, so that it gets the axes of the body.
    added = np.concatenate([points, np.stack([centre, centre], axis=1)[:, None]], axis=1)
    place: Array = in_body_axes(added, _HIP)[0][:, -1, 0]
    return place
