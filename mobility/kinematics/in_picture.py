r"""Angles of joints that move in the plane of the picture, for movements of single joints.

There the landmarks show the angle. The depth of the segments, which one camera hardly knows, is
best left out of the angle of a hinge: with an error in depth a straight joint reads bent, and a
bent one less bent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mobility import tables
from mobility.errors import BadInputError
from mobility.kinematics.angles import elbow_flexion, knee_flexion, shoulder_flexion
from mobility.kinematics.expected_error import spread_factors
from mobility.kinematics.skeleton import SIDES, require_pose
from mobility.options import checked

Array = NDArray[np.float64]

TABLE = "in_picture"


class _Limb(NamedTuple):
    """Two segments (..., 2, 3) of an angle, and the lines (..., 3) that give its sign."""

    angle: str
    segments: Array
    across: Array
    down: Array


@checked
def picture_angles(fitted: xr.Dataset) -> xr.Dataset:
    r"""Angles of a fitted body, with what is likely where they lie in the plane of the picture.

    How likely both segments of a joint lie near that plane is told by the share of the draws of the
    fit in which they do: the weight of the plane. With it the elevation :math:`\beta` of a segment
    out of the plane, whose error in the fit is :math:`\sigma`, is taken to be zero give or take
    :math:`\tau`. The best guess is then :math:`k\beta` with :math:`k=\tau^2/(\tau^2+\sigma^2)` and
    the standard deviation :math:`\sqrt k\,\sigma`. The angle is the mean of the one with these
    elevations and the one of the fit, weighted.

    Parameters
    ----------
    fitted
        What :func:`~mobility.kinematics.fit.fit_body` made of the pose of one camera.

    Returns
    -------
    xarray.Dataset
        For each angle of the table ``in_picture`` in degrees over (time, side): ``<angle>``,
        ``<angle>_sd`` and the weight, from 0 to 1, ``<angle>_in_picture``; and over (draw,
        fit_time, side) ``<angle>_draws``, deviations of the draws of the posterior times the factor
        of :func:`~mobility.kinematics.expected_error.spread_factors`. Where the two guesses differ,
        that is part of the deviations. Attributes of an angle are, for each side, the mean weight
        ``in_picture_left``; the weights are also by angle and side in ``in_picture``.

    Raises
    ------
    BadInputError
        If `fitted` is not a fitted body with its draws.

    References
    ----------
    Efron & Morris 1973, J Am Stat Assoc 68:117.
    """
    require_pose(fitted, what="picture_angles")
    if "position_draws" not in fitted:
        raise BadInputError(
            "picture_angles: the pose has no 'position_draws'; make it with fit_body"
        )
    time, knots = fitted["time"].to_numpy(), fitted["fit_time"].to_numpy()
    factors = spread_factors(fitted)
    variables: dict[str, tuple[tuple[str, ...], Array, dict[str, Any]]] = {}
    degree = {"units": "degree"}
    shares: dict[str, dict[str, float]] = {}
    for name, rules in tables.load(TABLE)["angles"].items():
        values, sds, weights, deviations = [], [], [], []
        for side in SIDES:
            seen, middle, drawn = _limbs(fitted, name, rules["segments"], side)
            kept, weight = _likely(_elevation(middle), _elevation(drawn), rules)
            at = np.stack([np.interp(time, knots, column) for column in kept.T], axis=-1)
            share = np.interp(time, knots, weight)
            value = _between(seen, at * _elevation(seen), share)
            off = factors[name] * _deviations(middle, drawn, kept, weight)
            sd = np.interp(time, knots, np.sqrt((off**2).mean(axis=0)))
            unknown = np.isnan(value)
            values.append(value)
            sds.append(np.where(unknown, np.nan, sd))
            weights.append(np.where(unknown, np.nan, share))
            deviations.append(off)
        over = ("time", "side")
        shares[name], told = {}, {}
        for side, weight in zip(SIDES, weights, strict=True):
            if np.isnan(weight).all():
                continue
            shares[name][side] = round(float(np.nanmean(weight)), 3)
            told[f"in_picture_{side}"] = shares[name][side]
        variables[name] = (over, np.stack(values, axis=-1), {**degree, **told})
        variables[f"{name}_sd"] = (over, np.stack(sds, axis=-1), degree)
        variables[f"{name}_in_picture"] = (over, np.stack(weights, axis=-1), {"units": "1"})
        of_draws = np.stack(deviations, axis=-1)
        variables[f"{name}_draws"] = (("draw", "fit_time", "side"), of_draws, degree)
    return xr.Dataset(
        variables,
        coords={"time": fitted["time"].variable, "side": list(SIDES), "fit_time": knots},
        attrs={"in_picture": shares},
    )


def _limbs(
    fitted: xr.Dataset, name: str, ends: Sequence[Sequence[str]], side: str
) -> tuple[_Limb, _Limb, _Limb]:
    """Limb at the frames, at the knots, and of each draw at the knots."""
    position = fitted["position"]
    if "individual" in position.dims:
        position = position.isel(individual=0, drop=True)
    hips = [(f"{one}_hip",) for one in SIDES]
    trunk = [_landmarks(end, side) for end in ("mid_shoulder", "mid_hip")]
    places = [_landmarks(end, side) for pair in ends for end in pair]

    def points(values: xr.DataArray, keypoint: str, *order: str) -> list[Array]:
        return [
            values.sel({keypoint: list(names)}).mean(keypoint).transpose(*order).to_numpy()
            for names in [*places, *hips, *trunk]
        ]

    def limb(at: list[Array]) -> _Limb:
        both = np.stack([at[1] - at[0], at[3] - at[2]], axis=-2)
        return _Limb(name, both, across=at[5] - at[4], down=at[7] - at[6])

    axes = ["x", "y", "z"]
    order = ("fit_time", "fit_space")
    seen = points(position.sel(space=axes).astype(float), "keypoint", "time", "space")
    middle = points(fitted["fit_position"].sel(fit_space=axes), "fit_keypoint", *order)
    draws = fitted["position_draws"].sel(fit_space=axes).astype(float)
    off = points(draws, "fit_keypoint", "draw", *order)
    drawn = [one + other for one, other in zip(middle, off, strict=True)]
    return limb(seen), limb(middle), limb(drawn)


def _landmarks(end: str, side: str) -> tuple[str, ...]:
    """Name the landmarks whose mean is an end of a segment."""
    if end.startswith("mid_"):
        return tuple(f"{one}_{end.removeprefix('mid_')}" for one in SIDES)
    return (f"{side}_{end}",)


def _elevation(limb: _Limb) -> Array:
    """Angle out of the plane of the picture, radians, positive towards the camera."""
    v = limb.segments
    found: Array = np.arctan2(v[..., 2], np.hypot(v[..., 0], v[..., 1]))
    return found


def _likely(middle: Array, drawn: Array, rules: Mapping[str, Any]) -> tuple[Array, Array]:
    """Part of the elevations that is kept near the plane (knot, 2), and the weight of the plane."""
    near = (np.abs(drawn) < np.radians(rules["near_deg"])).all(axis=-1).mean(axis=0)
    none, full = rules["share_none"], rules["share_full"]
    weight = np.clip((near - none) / (full - none), 0.0, 1.0)
    # A limb that is mirrored in depth is as far out of the plane.
    error = np.sqrt(((np.abs(drawn) - np.abs(middle)) ** 2).mean(axis=0))
    usual = np.radians(rules["elevation_sd_deg"])
    return usual**2 / (usual**2 + error**2), weight


def _deviations(middle: _Limb, drawn: _Limb, kept: Array, weight: Array) -> Array:
    """Of the angle of each draw, degrees, (draw, knot)."""
    up, drawn_up = _elevation(middle), _elevation(drawn)
    flat, free = _bend(middle, kept * up), _bend(middle, up)
    likely = kept * up + np.sqrt(kept) * (drawn_up - up)
    off = weight * (_bend(drawn, likely) - flat)
    off += (1 - weight) * (_bend(drawn, drawn_up) - free)
    # Which of both guesses holds is not known either: every other draw lies towards one of them.
    towards = np.where(np.arange(len(drawn.segments)) % 2, 1.0, -1.0)[:, None]
    both: Array = off + towards * np.sqrt(weight * (1 - weight)) * (flat - free)
    return both


def _between(limb: _Limb, flat: Array, weight: Array) -> Array:
    """Angle between that with the elevations `flat` and that of the limb as it is."""
    free = _bend(limb, _elevation(limb))
    found: Array = weight * _bend(limb, flat) + (1 - weight) * free
    return found


def _bend(limb: _Limb, elevation: Array) -> Array:
    """Angle between both segments, degrees, with other elevations out of the plane."""
    segments = limb.segments
    level = np.hypot(segments[..., 0], segments[..., 1])[..., None]
    along = segments[..., :2] / np.where(level > 0, level, np.nan)
    turned = np.concatenate(
        [along * np.cos(elevation)[..., None], np.sin(elevation)[..., None]], axis=-1
    )
    first, second = turned[..., 0, :], turned[..., 1, :]
    if limb.angle == "knee_flexion":
        return knee_flexion(first, second, limb.across)
    if limb.angle == "elbow_flexion":
        return elbow_flexion(first, second, limb.down, limb.across)
    return shoulder_flexion(first, second, limb.across)
