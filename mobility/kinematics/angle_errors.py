"""Expected error of each angle: from posterior samples of a fit, or from a table."""

from __future__ import annotations

import numpy as np
import xarray as xr

from mobility import tables
from mobility.base.provenance import cameras_of
from mobility.base.uncertain import sd_name
from mobility.errors import BadInputError
from mobility.kinematics.expected_error import TABLE, spread_factors
from mobility.kinematics.skeleton import (
    INDEX,
    KEYPOINTS,
    SIDES,
    Array,
    angles_from_points,
    definitions,
)

DEFAULT_METHOD = "mediapipe_world"
"""Method assumed for the positions of a pose whose attrs have no ``method``."""

_LEAST_VARIANCE = 1.0
"""Square degrees; for a smaller variance, the factor that adds an error is computed with this."""


def angle_draws(fitted: xr.Dataset) -> xr.Dataset:
    """Return deviations of each joint angle over posterior samples, scaled to a frame's error.

    The result is :func:`angle_deviations` times
    :func:`~mobility.kinematics.expected_error.spread_factors`, so its standard deviation over the
    samples equals the error of a frame.
    """
    draws, factors = angle_deviations(fitted), spread_factors(fitted)
    return draws.map(lambda deviation: factors[str(deviation.name)] * deviation, keep_attrs=True)


def angle_deviations(fitted: xr.Dataset) -> xr.Dataset:
    """Return the joint angles of each posterior sample minus the angles of the fit, unscaled.

    The deviations are in degrees over (draw, fit_time, side) or (draw, fit_time). They are
    increased if an arm points along the line of sight (table ``expected_error``). Anything computed
    from angles, such as a difference between sides or a mean over repetitions, has the spread over
    the samples as its uncertainty. This spread is multiplied by a factor that was measured for each
    kind of number (``tables/trial_errors.yaml``).
    """
    if "position_draws" not in fitted:
        raise BadInputError(
            "angle_deviations: the pose has no 'position_draws'; make it with fit_body"
        )
    draws = fitted["position_draws"].transpose("draw", "fit_time", "fit_keypoint", "fit_space")
    knots = fitted["fit_time"].to_numpy()
    fitted_angles = _angles_at_knots(fitted)
    added_sds = _arms_along_sight_sd(fitted, fitted_angles["shoulder_flexion"])
    # One sample after the other: all at once would need gigabytes for a recording of minutes.
    drawn_angles = [_angles_at_knots(fitted, draw) for draw in draws.to_numpy().astype(np.float64)]
    definitions = tables.load("angles")
    variables = {}
    for name, value in fitted_angles.items():
        deviation = np.stack([drawn[name] for drawn in drawn_angles]) - value
        dims = ("draw", "fit_time", "side")[: deviation.ndim]
        deviation = (deviation + 180.0) % 360.0 - 180.0
        if name in added_sds:
            variance = np.maximum((deviation**2).mean(axis=0), _LEAST_VARIANCE)
            deviation = deviation * np.sqrt(1.0 + added_sds[name] ** 2 / variance)
        variables[name] = (
            dims,
            deviation,
            {"units": "degree", "long_name": f"deviation of {definitions[name]['long_name']}"},
        )
    return xr.Dataset(variables, coords={"fit_time": knots, "side": list(SIDES)})


def angles_at_knots(fitted: xr.Dataset) -> xr.Dataset:
    """Return the joint angles of a fitted body over (fit_time, side) or (fit_time,), degrees."""
    values = _angles_at_knots(fitted)
    return xr.Dataset(
        {name: (("fit_time", "side")[: value.ndim], value) for name, value in values.items()},
        coords={"fit_time": fitted["fit_time"].to_numpy(), "side": list(SIDES)},
    )


def _angles_at_knots(fitted: xr.Dataset, shift: Array | float = 0.0) -> dict[str, Array]:
    """Return the angles at the knots of a fitted body moved by `shift`."""
    positions = fitted["fit_position"].transpose("fit_time", "fit_keypoint", "fit_space").to_numpy()
    body = np.full((len(positions), len(KEYPOINTS), 3), np.nan)
    body[:, [INDEX[str(name)] for name in fitted["fit_keypoint"].to_numpy()]] = positions + shift
    return angles_from_points(body)


def _arms_along_sight_sd(fitted: xr.Dataset, elevation: Array) -> dict[str, Array]:
    """Return the degrees to add to an angle's error at the knots, for the upper arm.

    `elevation` is the elevation of each upper arm, degrees.
    """
    if len(cameras_of(fitted)) > 1:
        return {}
    table = tables.load(TABLE)["arms_along_sight"]
    place = fitted["fit_position"].transpose("fit_time", "fit_space", "fit_keypoint")
    elbows, shoulders = (
        place.sel(fit_keypoint=[f"{side}_{joint}" for side in SIDES]).to_numpy()
        for joint in ("elbow", "shoulder")
    )
    arm = elbows - shoulders
    along = np.abs(arm[:, 2]) / np.maximum(np.linalg.norm(arm, axis=1), 1e-9)
    weight = np.interp(along, table["along"], (0.0, 1.0))
    weight = weight * np.interp(elevation, table["overhead_deg"], (1.0, 0.0))
    weight = np.nan_to_num(weight)
    return {name: entry["sd"] * weight for name, entry in table["angles"].items()}


def angle_sd(fitted: xr.Dataset) -> xr.Dataset:
    """Return the standard deviation of each joint angle of a fitted body at its frames.

    ``<angle>_sd`` in degrees over (time, side) or (time,): root mean square of :func:`angle_draws`,
    interpolated from the knots. NaN if the position is NaN.
    """
    draws = angle_draws(fitted)
    time = fitted["time"].to_numpy()
    knots = draws["fit_time"].to_numpy()
    hip = fitted["position"].sel(keypoint=["left_hip", "right_hip"])
    no_hips = hip.isnull().any([d for d in hip.dims if d != "time"]).to_numpy()
    variables = {}
    for name, deviation in draws.data_vars.items():
        values = np.sqrt((deviation.to_numpy() ** 2).mean(axis=0))
        columns = values.reshape(knots.size, -1)
        sd = np.stack([np.interp(time, knots, c) for c in columns.T], axis=-1)
        sd[no_hips] = np.nan
        variables[sd_name(name)] = (
            ("time", "side")[: values.ndim],
            sd.reshape(time.size, *values.shape[1:]),
            {"units": "degree", "long_name": f"standard deviation of the error of {name}"},
        )
    return xr.Dataset(variables, coords={"time": fitted["time"].variable, "side": list(SIDES)})


def largest_sd(angle: str, *, method: str = DEFAULT_METHOD) -> float:
    """Return the largest standard deviation of the error, degrees, with which an angle is reported.

    If the `method` by which positions were obtained has its own limit, it replaces the angle's
    limit.
    """
    method_limit = tables.load(TABLE)["landmarks"].get(method, {}).get("refused")
    limit = method_limit or definitions()[angle]["refused"]
    return float(limit["largest_sd_deg"])


def legs_unseen(pose: xr.Dataset) -> bool:
    """Whether both knees are outside the picture or hidden in most of the frames.

    Without ``confidence`` the knees count as visible, and without ``image_position`` as inside.
    """
    limits = tables.load(TABLE)["legs_unseen"]
    knees = pose.sel(keypoint=[f"{side}_knee" for side in SIDES])
    if "individual" in knees.dims:
        knees = knees.isel(individual=0, drop=True)
    unseen = np.zeros((knees.sizes["time"], len(SIDES)), dtype=bool)
    if "confidence" in knees:
        unseen |= (knees["confidence"] < limits["visibility"]).transpose("time", ...).to_numpy()
    if "image_position" in knees and {"image_width", "image_height"} <= set(pose.attrs):
        for pixel, size in (("u", "image_width"), ("v", "image_height")):
            coordinate = knees["image_position"].sel(pixel=pixel).transpose("time", ...)
            unseen |= ((coordinate < 0) | (coordinate > pose.attrs[size])).to_numpy()
    return bool(unseen.size and unseen.all(axis=1).mean() > limits["share"])


def legs_unseen_sd(pose: xr.Dataset) -> dict[str, float]:
    """Return the degrees to add to each angle's error if a single camera does not see the legs."""
    if len(cameras_of(pose)) > 1 or not legs_unseen(pose):
        return {}
    entries = tables.load(TABLE)["legs_unseen"]["angles"]
    return {name: float(entry["sd"]) for name, entry in entries.items()}
