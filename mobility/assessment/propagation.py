"""Errors of quantities of landmarks, computed from displaced landmarks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mobility import tables
from mobility.assessment.body_axes import points_of
from mobility.assessment.kernels import PointKernel
from mobility.assessment.phases import main_stance
from mobility.kinematics.angle_errors import DEFAULT_METHOD
from mobility.kinematics.expected_error import metric_sd
from mobility.kinematics.skeleton import SIDES
from mobility.kinematics.stances import stance_at

Array = NDArray[np.float64]
Kernel = Callable[[Array, Array], Mapping[str, Array]]
"""Quantities by name from points (time, joint, side, space) and the points of the standing frames.
Time is their first dimension, or they are a single number for the recording.
"""

_Measured = Callable[[Array, Array], dict[str, Array]]
"""The same, from the points and the points at rest, both for all frames."""

_DRAWS = 64


def values_and_sd(
    pose: xr.Dataset,
    joints: Sequence[str],
    standing: NDArray[np.bool_],
    kernel: Kernel,
    *,
    main: int | None = None,
    factors: bool = True,
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Compute quantities of a pose, and the standard deviation of the error of each quantity.

    Parameters
    ----------
    pose
        Pose Dataset in metres, y up.
    joints
        Paired landmarks that the measure function needs, in its order; the hips are among them.
    standing
        The frames in which the subject stands. A frame refers to the standing frames of its stance
        (:func:`~mobility.kinematics.stances.stances_of`).
    kernel
        Computes the quantities.
    main
        Index of the stance to which the single numbers belong; None means the stance with the most
        standing frames.
    factors
        Whether the calibration factors of ``tables/expected_error.yaml`` were measured for this
        function.

    Returns
    -------
    values, sd
        Values and sd by name. The sd is the root mean square deviation of the quantity from its
        value, over samples of all landmark positions.

        For a fitted body, the samples are its ``position_draws``. The sd is multiplied by the
        calibration factor of the metric in ``tables/expected_error.yaml`` and interpolated from the
        knots.

        Otherwise the samples move each landmark by independent errors in the image plane and in
        depth, with the sizes in ``tables/measures.yaml``, a fixed seed and an exact covariance.
        These errors stay the same throughout a phase; the standing frames have separate errors.
    """
    points = points_of(pose, joints)
    stance = stance_at(pose, pose["time"].to_numpy())
    if main is None:
        main = int(np.bincount(stance[standing], minlength=1).argmax())
    values = _by_stance(kernel, standing, stance, main)(points, points)
    if "position_draws" in pose:
        time, knots = pose["time"].to_numpy(), pose["fit_time"].to_numpy()
        near = nearest_frames(knots, time)
        measured = _by_stance(kernel, standing[near], stance[near], main)
        return values, _of_draws(pose, joints, measured, factors=factors)
    measured = _by_stance(kernel, standing, stance, main)
    return values, _errors_of_landmarks(pose, joints, points, measured)


def _by_stance(
    kernel: Kernel, standing: NDArray[np.bool_], stance: NDArray[np.int_], main: int
) -> _Measured:
    """Refer each frame to the standing frames of its stance, and the single numbers to `main`."""
    other_stances = sorted({*stance.tolist()} - {main})

    def measured(points: Array, at_rest: Array) -> dict[str, Array]:
        values = dict(kernel(points, at_rest[standing & (stance == main)]))
        for number in other_stances:
            of_stance = kernel(points, at_rest[standing & (stance == number)])
            for name, value in values.items():
                if value.ndim:
                    rows = (stance == number).reshape(-1, *[1] * (value.ndim - 1))
                    values[name] = np.where(rows, of_stance[name], value)
        return values

    return measured


def _of_draws(
    pose: xr.Dataset, joints: Sequence[str], measured: _Measured, *, factors: bool
) -> dict[str, Array]:
    """Return the errors at the frames from the posterior samples of a fitted body."""
    time, knots = pose["time"].to_numpy(), pose["fit_time"].to_numpy()
    centre, moved = _drawn_points(pose, joints)
    errors = _root_mean_square(
        measured(centre, centre), (measured(points, points) for points in moved)
    )
    return {
        name: at_frames(metric_sd(name, sd, pose) if factors else sd, knots, time)
        for name, sd in errors.items()
    }


def _drawn_points(pose: xr.Dataset, joints: Sequence[str]) -> tuple[Array, Iterator[Array]]:
    """Return points of a fitted body at its knots (knot, joint, side, space), and of samples."""
    names = [f"{side}_{joint}" for joint in joints for side in SIDES]
    order = ("fit_time", "fit_keypoint", "fit_space")
    of_joints = pose[["fit_position", "position_draws"]].sel(
        fit_keypoint=names, fit_space=["x", "y", "z"]
    )
    shape = (of_joints.sizes["fit_time"], len(joints), len(SIDES), 3)
    centre = (
        of_joints["fit_position"].transpose(*order).to_numpy().astype(np.float64).reshape(shape)
    )
    deviations = of_joints["position_draws"].transpose("draw", *order).to_numpy()
    return centre, (centre + draw.reshape(shape) for draw in deviations)


def nearest_frames(knots: Array, time: Array) -> NDArray[np.int_]:
    """Return the index of the frame that is nearest to each knot of a fit."""
    after = np.searchsorted(time, knots).clip(1, time.size - 1)
    return np.asarray(after - (knots - time[after - 1] < time[after] - knots))


def sd_of_means(
    pose: xr.Dataset,
    repetitions: xr.Dataset,
    frames: xr.DataArray,
    kernel: PointKernel,
    outputs: Sequence[str],
    *,
    limits: Mapping[str, float],
) -> dict[str, xr.DataArray]:
    """Return the sd of the mean over each repetition's frames, from the samples of a fit.

    `frames` has the dimensions ``(rep, time)``. Outputs of the measure function over time become
    outputs over ``rep``.
    """
    time, knots = pose["time"].to_numpy(), pose["fit_time"].to_numpy()
    inside = knots_within(frames.to_numpy(), time, knots)
    near = nearest_frames(knots, time)
    standing_frames = repetitions["standing"].to_numpy().astype(bool)
    (standing,) = knots_within(standing_frames[np.newaxis], time, knots)
    stance = stance_at(repetitions, time)[near]
    compute = _by_stance(kernel.of_array(limits), standing, stance, main_stance(repetitions))
    centre, draws = _drawn_points(pose, kernel.joints)
    fitted = compute(centre, centre)
    deviations: dict[str, list[Array]] = {name: [] for name in outputs}
    for points in draws:
        drawn = compute(points, points)
        for name in outputs:
            deviations[name].append(drawn[name] - fitted[name])
    coords = {"rep": frames["rep"].to_numpy(), "side": list(SIDES)}
    sds = {}
    for name in outputs:
        sd = np.sqrt((means_within(np.stack(deviations[name]), inside) ** 2).mean(axis=0))
        dims = ("rep", "side")[: sd.ndim]
        sds[name] = xr.DataArray(sd, dims=dims, coords={dim: coords[dim] for dim in dims})
    return sds


def at_frames(values: Array, knots: Array, time: Array) -> Array:
    """Interpolate values at the knots of a fit (the first axis) linearly to its frames."""
    if not values.ndim:
        return values
    columns = values.reshape(knots.size, -1)
    between = np.stack([np.interp(time, knots, column) for column in columns.T], axis=-1)
    return between.reshape(time.size, *values.shape[1:])


def _errors_of_landmarks(
    pose: xr.Dataset,
    joints: Sequence[str],
    points: Array,
    measured: _Measured,
) -> dict[str, Array]:
    """Return errors from samples of independent errors of all landmarks."""
    method = str(pose.attrs.get("method", DEFAULT_METHOD))
    errors = tables.load("measures")["landmark_position"]
    error = {name: v["value"] for name, v in errors.get(method, errors[DEFAULT_METHOD]).items()}
    shape = points.shape[1:]
    size = int(np.prod(shape))
    draws = _DRAWS
    while draws < 2 * size:
        draws *= 2
    normal = np.random.default_rng(0).normal(size=(draws, 2 * size))
    # Orthogonal columns: the first-order part of the error is then exact.
    exact = np.linalg.qr(normal)[0] * np.sqrt(draws)
    sizes = np.empty(shape)
    sizes[...] = error["image_plane_sd_m"]
    sizes[..., 2] = error["depth_sd_m"]
    sizes[joints.index("hip"), :, 2] = error["hip_depth_sd_m"]
    exact = exact.reshape(draws, 2, *shape) * sizes
    return _root_mean_square(
        measured(points, points),
        (measured(points + moved, points + at_rest) for moved, at_rest in exact),
    )


def _root_mean_square(
    value: Mapping[str, Array], drawn: Iterable[Mapping[str, Array]]
) -> dict[str, Array]:
    """Return the root mean square deviation of samples from the value; NaN if most are NaN."""
    # Sample by sample, to save memory: all at once need a gigabyte for a recording of minutes.
    total = {name: np.zeros(np.shape(array)) for name, array in value.items()}
    counts = {name: np.zeros(np.shape(array)) for name, array in value.items()}
    count = 0
    for draw in drawn:
        count += 1
        for name, fitted_value in value.items():
            deviation = np.asarray(draw[name]) - fitted_value
            counts[name] += np.isfinite(deviation)
            total[name] += np.nan_to_num(deviation) ** 2
    return {
        name: np.where(
            2 * counts[name] > count, np.sqrt(total[name] / np.maximum(counts[name], 1)), np.nan
        )
        for name in value
    }


def knots_within(frames: NDArray[np.bool_], time: Array, knots: Array) -> NDArray[np.bool_]:
    """Find the knots within each repetition's frames; if there are none, the nearest knot."""
    inside = frames[:, nearest_frames(knots, time)]
    for rep in np.flatnonzero(frames.any(axis=1) & ~inside.any(axis=1)):
        middle = time[frames[rep]].mean()
        inside[rep, np.abs(knots - middle).argmin()] = True
    return inside


def means_within(values: Array, inside: NDArray[np.bool_]) -> Array:
    """Return the mean over the knots of each repetition, (draw, rep, ...), ignoring NaN."""
    has_value = np.isfinite(values)
    total, count = (
        np.einsum("rk,dk...->dr...", inside.astype(np.float64), array)
        for array in (np.where(has_value, values, 0.0), has_value.astype(np.float64))
    )
    return np.where(count > 0, total / np.maximum(count, 1.0), np.nan)
