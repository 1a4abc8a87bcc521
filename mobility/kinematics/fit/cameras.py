"""Several cameras that filmed the same movement: their starting times and positions.

The cameras need neither calibration nor synchronisation. Heights in the picture change in the same
way in every view, so the time offset is the one at which their speeds correlate best. The position
of a camera comes from aligning the bodies that were fitted to each view separately. It is then
refined together with the body (:func:`~mobility.kinematics.fit.entry.fit_body`). Calibrated cameras
have known positions. Their time offset is the one at which the lines of sight to each landmark come
closest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from mobility import tables
from mobility.base.provenance import warnings_of
from mobility.errors import BadInputError
from mobility.keypoints.view import azimuth_of
from mobility.kinematics.calibration import KnownCameras
from mobility.kinematics.fit.body import (
    FIRST_DEPTH_ERROR,
    FIRST_OFFSET,
    FITTED,
    FOCAL_FACTOR,
    Array,
    camera_rotation,
    offset_directions,
    unit_vectors,
    up_of,
)
from mobility.kinematics.fit.observed import (
    LEAST_WEIGHT,
    Detections,
    camera_shift,
    local_means,
    observed_by,
    starting_point,
    values_of,
    with_depths,
)
from mobility.kinematics.fit.one_view import may_contradict
from mobility.kinematics.fit.planted_feet import (
    Planted,
    together,
    with_stances,
    with_stances_in_all_views,
)
from mobility.kinematics.fit.problem import Problem, TimeOffset, View, part_of
from mobility.kinematics.fit.solver import solve
from mobility.kinematics.fit.time_offset import LEAST_OVERLAP, sight_offset, time_offset
from mobility.kinematics.fit.whole_trial import WINDOW_KNOTS, first_shared, try_mirrored
from mobility.kinematics.skeleton import INDEX

_LEAST_ACROSS = 0.005
"""Least squared sine of half the angle between lines of sight, times their weight."""

_ROUNDS, _OUTLIER = 10, 0.10
"""Number of rounds, and width in metres, of the Cauchy weights with which two bodies are aligned.
"""

_LARGEST_RESIDUAL = 0.035
"""Metres, root mean square over all landmarks; rendered videos have 0.007 to 0.02."""


def aligned(points: Array, target_points: Array, weight: Array) -> tuple[Array, Array]:
    """Return R and t that bring ``R points + t`` closest to `target_points` (Kabsch).

    Both are (n, 3). The weight of points that stay far away is reduced in each round.
    """
    factor = np.ones(len(points))
    rotation, translation = np.eye(3), np.zeros(3)
    for _ in range(_ROUNDS):
        share = weight * factor
        share = share / share.sum()
        middle, target = share @ points, share @ target_points
        u, _, vt = np.linalg.svd(((points - middle) * share[:, None]).T @ (target_points - target))
        sign = np.sign(np.linalg.det(vt.T @ u.T))
        rotation = vt.T @ np.diag([1.0, 1.0, sign]) @ u.T
        translation = target - rotation @ middle
        distance = np.linalg.norm(points @ rotation.T + translation - target_points, axis=1)
        factor = 1 / (1 + (distance / _OUTLIER) ** 2)
    return rotation, translation


def with_cameras(
    coarse: Problem,
    fine: Problem,
    joints: Array,
    poses: Sequence[xr.Dataset],
    sights: Sequence[Detections],
    feet_planted: Planted,
    calibrated: KnownCameras | None = None,
) -> tuple[Problem, Problem, Array, bool]:
    """Add the views of further cameras to the problems of the first; return joints to start from.

    Each view is solved separately and coarsely, and the positions of the cameras come from aligning
    the bodies. If the positions are known, the starting joints come from the lines of sight. The
    last result is whether these bodies may contradict each other.
    """
    doubtful = False
    if calibrated is None:
        offsets = [time_offset(poses[0], pose) for pose in poses[1:]]
    else:
        offsets = [
            sight_offset(sights[0], sight, *axes)
            for sight, axes in zip(sights[1:], calibrated.axes, strict=True)
        ]
    start_of_all = joints.copy()
    views_by_rate: list[tuple[View, View]] = []
    seen_planted = [fine]
    for i, (sight, offset) in enumerate(zip(sights[1:], offsets, strict=True)):
        observed, speed = _at_knots(coarse, sight, offset)
        covered = (observed.weight > LEAST_WEIGHT).sum(axis=1) >= 6
        if covered.sum() < 4:
            raise BadInputError(
                f"the cameras show the person at the same time for less than {LEAST_OVERLAP:g} "
                "s; use videos of the same movement"
            )
        observed, start = starting_point(observed)
        observed_fine, speed_fine = _at_knots(fine, sight, offset)
        observed_fine = replace(
            observed_fine,
            scale=observed.scale,
            distance=np.interp(fine.knots, coarse.knots, observed.distance),
        )
        shift = camera_shift(poses[i + 1], sight)
        observed_fine = with_depths(with_stances(observed_fine, feet_planted, shift))
        observed = replace(
            observed,
            planted=observed_fine.planted,
            stances=observed_fine.stances,
            feet_given=observed_fine.feet_given,
        )
        seen_planted.append(observed_fine)
        if calibrated is None:
            # One window is enough to align the bodies, and limits the memory for a long recording.
            begin = int(np.argmax(covered))
            rows = slice(begin, begin + WINDOW_KNOTS)
            alone, further = (
                _solved_alone(coarse, joints, rows),
                _solved_alone(observed, start, rows),
            )
            doubtful |= may_contradict(alone[covered[rows]], further[covered[rows]])
            weight = np.minimum(coarse.weight, observed.weight)[rows] * covered[rows, None]
            points = alone.reshape(-1, 3), further.reshape(-1, 3)
            rotation, translation = aligned(*points, weight.ravel())
            moved = 0.5 * (alone + (further - translation) @ rotation)
            start_of_all[rows] = np.where(covered[rows, None, None], moved, alone)
        else:
            rotation, translation = calibrated.axes[i]
            observed = _with_calibration(observed, calibrated, rotation)
        priors: dict[str, Any] = {}
        if calibrated is not None:
            observed_fine = _with_calibration(observed_fine, calibrated, rotation)
            priors = {"rotation_sd": calibrated.rotation_sd, "upright": calibrated.tilt is None}
            priors["translation_sd"] = calibrated.translation_sd[i]
        view = View(observed, speed, rotation, translation, offset, 0, **priors)
        views_by_rate.append((view, replace(view, problem=observed_fine, velocity=speed_fine)))
    planted, stances = together(seen_planted, feet_planted)
    joined = [
        with_stances_in_all_views(replace(problem, planted=planted, views=views), stances)
        for problem, views in zip((coarse, fine), zip(*views_by_rate, strict=True), strict=True)
    ]
    if calibrated is not None:
        start_of_all = _intersections(joined[0], joints)
    return joined[0], joined[1], start_of_all, doubtful


def _with_calibration(problem: Problem, calibrated: KnownCameras, rotation: Array) -> Problem:
    """Return the problem of a further camera with the lens and vertical from the calibration."""
    problem = replace(problem, focal_sd=calibrated.focal_sd)
    if calibrated.tilt is None:
        return problem
    pitch, roll = calibrated.tilt
    x, y, z = rotation @ [roll, 1.0, pitch]
    return replace(problem, tilt=(z / y, x / y), tilt_sd=(calibrated.tilt_sd, calibrated.tilt_sd))


def _intersections(problem: Problem, joints: Array) -> Array:
    """Return the joints nearest to the lines of sight of all cameras; unchanged with only one."""
    left = np.zeros((*joints.shape[:2], 3, 3))
    right = np.zeros(joints.shape)
    sights = np.zeros(joints.shape[:2])
    axes = [(np.eye(3), np.zeros(3)), *((v.rotation, v.translation) for v in problem.views)]
    for camera, (rotation, translation) in zip(problem.per_camera, axes, strict=True):
        ray = unit_vectors(
            np.concatenate([camera.image, -np.ones((*camera.image.shape[:2], 1))], -1)
        )
        ray = ray @ rotation
        across = np.eye(3) - ray[..., :, None] * ray[..., None, :]
        across = (
            across * np.where(camera.weight > LEAST_WEIGHT, camera.weight, 0.0)[..., None, None]
        )
        left += across
        right += across @ (-translation @ rotation)
        sights += camera.weight > LEAST_WEIGHT
    # Nearly parallel lines do not determine the depth.
    enough = (sights > 1) & (np.linalg.eigvalsh(left)[..., 0] > _LEAST_ACROSS)
    met = np.linalg.solve(np.where(enough[..., None, None], left, np.eye(3)), right[..., None])
    nearest: Array = np.where(enough[..., None], met[..., 0], joints)
    return nearest


def _solved_alone(problem: Problem, joints: Array, rows: slice) -> Array:
    """Return the joints at some of the knots from a coarse fit to one view."""
    part = part_of(problem, rows)
    shared = first_shared(part, joints[rows])
    best = solve(part, joints[rows], shared, steps=15, tolerance=1e-3)
    best, _, _ = try_mirrored(part, best)
    return best.joints


def _at_knots(problem: Problem, sight: Detections, offset: TimeOffset) -> tuple[Problem, Array]:
    """Return observations of a further camera at the first's knots, and velocities."""
    fitted = [INDEX[name] for name in FITTED]
    time = sight.time + offset.seconds
    image, weight = sight.image[:, fitted], sight.weight[:, fitted]
    velocity = np.nan_to_num(np.gradient(image, time, axis=0))
    values = np.concatenate([values_of(sight)[:, fitted], velocity], axis=-1)
    count = len(problem.knots)
    position = (time - problem.knots[0]) / problem.step
    inside = (position >= 0) & (position <= count - 1)
    usual = float(np.median(np.diff(time)))
    mean, mass = local_means(
        position[inside], values[inside], weight[inside], count, problem.step / usual
    )
    observed = observed_by(sight, problem.knots, mean, mass, problem.stature)
    return observed, mean[..., -2:]


def camera_entries(
    problem: Problem,
    joints: Array,
    shared: Array,
    shared_draws: Array,
    sights: Sequence[Detections],
) -> list[dict[str, Any]]:
    """Return the history of each camera: view, residual, time offset, focal length, position."""
    entries = []
    level = camera_rotation(shared)
    upright = dict(zip(FITTED, np.moveaxis(joints @ level.T, 1, 0), strict=True))
    for i, (observed, sight) in enumerate(zip(problem.per_camera, sights, strict=True)):
        view = problem.views[i - 1] if i else None
        local = shared if view is None else view.local(shared)
        rotation, translation = (np.eye(3), np.zeros(3)) if view is None else view.axes(shared)
        joints_in_view = joints if view is None else joints @ rotation.T + translation
        camera_place = (level @ rotation.T @ -translation)[[0, 2]]
        from_camera = (upright["left_hip"] + upright["right_hip"])[:, [0, 2]] / 2 - camera_place
        time_correction = 0.0 if view is None else view.time_correction(shared)
        landmark = joints_in_view + np.einsum(
            "o,nojx->njx",
            local[FIRST_OFFSET:FIRST_DEPTH_ERROR],
            offset_directions(joints_in_view, up_of(local)),
        )
        stretch = float(np.exp(local[FOCAL_FACTOR]))
        image = observed.image if view is None else observed.image - time_correction * view.velocity
        residual = stretch * landmark[..., :2] / np.maximum(-landmark[..., 2:], 0.1) - image
        square = (residual**2).sum(axis=-1)
        weight = np.where(observed.weight > LEAST_WEIGHT, observed.weight, 0.0)
        metres = square * observed.distance[:, None] ** 2
        entry = {
            "azimuth_deg": round(azimuth_of(upright, camera_place), 1),
            "distance_m": round(float(np.median(np.linalg.norm(from_camera, axis=1))), 2),
            "residual_px": round(sight.focal * _root_mean(square, weight), 2),
            "residual_m": round(_root_mean(metres, weight), 4),
            "focal_length_px": round(sight.focal * stretch, 1),
        }
        if view is not None:
            sd = float(np.std(shared_draws[:, view.first + 7]))
            entry |= {
                "time_offset_s": round(view.offset.seconds + time_correction, 4),
                "time_offset_sd_s": round(sd, 4),
                "rotation": np.round(rotation, 4).tolist(),
                "translation_m": np.round(translation, 3).tolist(),
            }
            if view.offset.likeness is None:
                entry["time_offset_by_sight_s"] = round(view.offset.seconds, 4)
            else:
                entry["time_offset_by_correlation_s"] = round(view.offset.seconds, 4)
                entry["likeness"] = round(view.offset.likeness, 3)
        entries.append(entry)
    return entries


def _root_mean(square: Array, weight: Array) -> float:
    return float(np.sqrt((square * weight).sum() / weight.sum()))


def warnings_of_cameras(
    poses: Sequence[xr.Dataset], cameras: Sequence[Mapping[str, Any]], *, calibrated: bool
) -> list[dict[str, str]]:
    """Warn about cameras that disagree, and repeat the warnings of further poses."""
    how = "calibrated" if calibrated else "found"
    disagreeing = [
        tables.warning(
            f"warnings.cameras_disagree.{how}",
            camera=number,
            distance_cm=100 * camera["residual_m"],
        )
        for number, camera in enumerate(cameras, start=1)
        if camera["residual_m"] > _LARGEST_RESIDUAL
    ]
    return disagreeing + [
        {
            **warning,
            "message": f"Camera {number}: {warning['message']}",
            "values": {**warning.get("values", {}), "seen_by": number},
        }
        for number, pose in enumerate(poses[1:], start=2)
        for warning in warnings_of(pose)
    ]
