"""Starting depths for a pose without depth: a segment that looks short points out of the picture.

The depth of the end of a segment comes from the apparent length of the segment, and its sign from
the build of the body: knees bend forwards, trunks lean forwards, feet point forwards. Only the
start of the fit, and the direction in which a person faces, depend on these depths; no term of the
fit does.
"""

from __future__ import annotations

import numpy as np

from mobility.errors import BadInputError
from mobility.kinematics.fit.body import (
    ANKLES,
    FEET,
    HIPS,
    KNEES,
    LA,
    LE,
    LH,
    LK,
    LS,
    LW,
    SEGMENTS,
    SETTINGS,
    SHOULDERS,
    Array,
    Mask,
)

_RULE = SETTINGS["foreshortening"]


def foreshortened(image: Array, weight: Array, knots: Array, stature: float) -> Array:
    """Return positions of the joints relative to the middle of the hips, metres, (n, joint, 3).

    Parameters
    ----------
    image
        Keypoints in the picture, right and up from its centre, focal lengths, (n, joint, 2).
    weight
        Their weights, (n, joint).
    knots
        Times, s.
    stature
        Logarithm of the stature in metres.
    """
    visible = weight > _RULE["least_weight"]
    points = _between(np.where(visible[..., None], image, np.nan), knots)
    tall = float(np.exp(stature))
    places = points * _distances(points, visible, knots, tall)[:, None, None]
    places = places - places[:, HIPS].mean(axis=1)[:, None]
    facing = _facing(places, visible, knots, tall)
    z = np.zeros(places.shape[:2])
    across = facing[:, 0] / 2
    for (left, right), name in ((HIPS, "hip_width"), (SHOULDERS, "shoulder_width")):
        wide = across * SEGMENTS[name].ratio * tall
        z[:, left], z[:, right] = z[:, left] - wide, z[:, right] + wide
    middle = places[:, SHOULDERS].mean(axis=1) - places[:, HIPS].mean(axis=1)
    z[:, SHOULDERS] += (_depth(middle, "trunk", tall) * _sign(facing[:, 1]))[:, None]
    for side in (0, 1):
        # A thigh points forwards and outwards, a shank back; for arms only the depth is known.
        outwards = (1 if side else -1) * facing[:, 0]
        ahead = _sign(facing[:, 1] + _RULE["outwards"] * outwards)
        for near, far, name, way in (
            (LH, LK, "thigh", ahead),
            (LK, LA, "shank", -ahead),
            (LS, LE, "upper_arm", ahead),
            (LE, LW, "forearm", ahead),
        ):
            line = places[:, far + side] - places[:, near + side]
            z[:, far + side] = z[:, near + side] + way * _depth(line, name, tall)
        heel, toe = FEET[2 * side : 2 * side + 2]
        foot = SEGMENTS["foot"].ratio * tall * facing[:, 1]
        z[:, heel] = z[:, ANKLES[side]] - foot / 4
        z[:, toe] = z[:, ANKLES[side]] + foot * 3 / 4
    return np.concatenate([places, z[..., None]], axis=-1)


def _between(values: Array, knots: Array) -> Array:
    """Interpolate missing values over the knots; 0 for a point that is never there."""
    filled = np.zeros(values.shape)
    for j in range(values.shape[1]):
        rows = np.isfinite(values[:, j]).all(axis=-1)
        for axis in range(values.shape[2]) if rows.any() else ():
            filled[:, j, axis] = np.interp(knots, knots[rows], values[rows, j, axis])
    return filled


def _distances(points: Array, visible: Mask, knots: Array, tall: float) -> Array:
    """Return the distance at each knot, metres, from legs and trunk at their longest.

    They are at their longest within some seconds around the knot, because a person may come nearer,
    or within the whole recording if the ankles stay.
    """
    pairs = np.stack([SHOULDERS, HIPS, KNEES, ANKLES])
    lines = np.linalg.norm(np.diff(points[:, pairs], axis=1), axis=-1).sum(axis=1)
    # The side that is seen better is used: from the side the other one is hidden.
    pair_visible: Mask = np.asarray(visible[:, pairs].all(axis=1))
    side = int(pair_visible.mean(axis=0).argmax())
    if not pair_visible[:, side].any():
        raise BadInputError(
            "no frame shows the shoulder, hip, knee and ankle of one side together, and without "
            "depth the fit needs such a frame; film the whole body"
        )
    both = pair_visible.all(axis=1)
    length = np.where(both, lines.mean(axis=1), lines[:, side])
    length = np.where(pair_visible[:, side], length, np.nan)
    usual = sum(SEGMENTS[name].ratio for name in ("thigh", "shank", "trunk")) * tall
    longest = float(np.nanpercentile(length, 95))
    spread = np.ptp(np.percentile(points[:, ANKLES], [5, 95], axis=0), axis=0).max()
    if spread * usual / longest < _RULE["ankles_stay_m"]:
        return np.full(len(knots), usual / longest)
    half = _RULE["around_s"] / 2
    local = np.full(len(knots), longest)
    for i, time in enumerate(knots):
        near = length[np.abs(knots - time) <= half]
        if np.isfinite(near).any():
            local[i] = float(np.nanpercentile(near, 90))
    return np.asarray(usual / local)


def _facing(places: Array, visible: Mask, knots: Array, tall: float) -> Array:
    """Return the direction that the body faces, right and towards the camera, unit vectors, (n, 2).

    The apparent width of hips and shoulders shows how far the body faces the camera; feet and knees
    show to which side it is turned.
    """
    towards = np.zeros(len(places))
    for (left, right), name in ((HIPS, "hip_width"), (SHOULDERS, "shoulder_width")):
        wide = places[:, left, 0] - places[:, right, 0]
        towards += np.clip(wide / (SEGMENTS[name].ratio * tall), -1.2, 1.2) / 2
    sideways = np.zeros(len(places))
    feet = 0.0
    for side in (0, 1):
        heel, toe = FEET[2 * side : 2 * side + 2]
        if (visible[:, heel] & visible[:, toe]).mean() > _RULE["feet_seen"]:
            sideways += (places[:, toe, 0] - places[:, heel, 0]) / (SEGMENTS["foot"].ratio * tall)
            feet += 1
    turned = np.sqrt(np.clip(1 - np.clip(towards, -1, 1) ** 2, 0, 1))
    if feet:
        sideways = np.clip(sideways / feet, -1.2, 1.2)
    else:
        # Bent knees are ahead of the line from hip to ankle.
        ahead = places[:, KNEES, 0] - (places[:, HIPS, 0] + places[:, ANKLES, 0]) / 2
        sideways = turned * _sign(np.full(len(places), float(ahead.mean())))
    facing = np.stack([_smoothed(sideways, knots), _smoothed(towards, knots)], axis=-1)
    size = np.maximum(np.linalg.norm(facing, axis=-1, keepdims=True), 1e-6)
    return np.asarray(facing / size)


def _smoothed(values: Array, knots: Array) -> Array:
    from scipy.ndimage import median_filter

    width = max(3, int(_RULE["turns_s"] / float(knots[1] - knots[0])) | 1)
    return np.asarray(median_filter(values, min(width, 2 * len(values) - 1), mode="nearest"))


def _depth(line: Array, name: str, tall: float) -> Array:
    """Return the depth along a segment, metres, from its apparent and its longest length."""
    look = np.linalg.norm(line, axis=-1)
    usual = SEGMENTS[name].ratio * tall
    longest = float(np.percentile(look, 95))
    length = float(np.clip(longest, usual * _RULE["shorter"], usual * _RULE["longer"]))
    share = np.clip(look / length + _RULE["straight"], 0.0, 1.0)
    return np.asarray(length * np.sqrt(1 - share**2))


def _sign(values: Array) -> Array:
    return np.where(values < 0, -1.0, 1.0)
