"""Several cameras that filmed the same trial: when each was started, and where it stood.

The cameras need neither calibration nor synchronisation. Heights in the picture move alike in
every view, so the time offset is where their speeds correlate best. The place of a camera comes
from the bodies that were fitted to each view alone, laid over each other, and is then solved
together with the body (:func:`~mobility.kinematics.fit.entry.fit_body`). Of calibrated cameras the
places are known, and the time offset is where the lines of sight to each landmark come closest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from mobility import tables
from mobility.errors import BadInputError
from mobility.kinematics.calibration import Known
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
    Planted,
    local_means,
    sd_of_focal,
    starting_point,
    with_depths,
)
from mobility.kinematics.fit.problem import Problem, TimeOffset, View, part_of
from mobility.kinematics.fit.solver import solve
from mobility.kinematics.fit.time_offset import LEAST_OVERLAP, sight_offset, time_offset
from mobility.kinematics.fit.trial import WINDOW_KNOTS, first_shared, try_mirrored
from mobility.kinematics.skeleton import INDEX
from mobility.provenance import warnings_of
from mobility.view import azimuth_of

_LEAST_ACROSS = 0.005
"""Squared sine of half the angle between lines of sight, times their weight."""

_ROUNDS, _OUTLIER = 10, 0.10
"""Rounds, and metres, of the Cauchy weights with which two bodies are laid over each other."""

_LARGEST_RESIDUAL = 0.035
"""Metres, root mean square over all landmarks; rendered clips have 0.007 to 0.02."""


def overlaid(points: Array, others: Array, weight: Array) -> tuple[Array, Array]:
    """Rotation R and translation t so that ``R points + t`` lies over `others` (Kabsch).

    Both are (n, 3). Points that stay far off count less and less than by their weight.
    """
    factor = np.ones(len(points))
    turn, place = np.eye(3), np.zeros(3)
    for _ in range(_ROUNDS):
        share = weight * factor
        share = share / share.sum()
        middle, target = share @ points, share @ others
        u, _, vt = np.linalg.svd(((points - middle) * share[:, None]).T @ (others - target))
        sign = np.sign(np.linalg.det(vt.T @ u.T))
        turn = vt.T @ np.diag([1.0, 1.0, sign]) @ u.T
        place = target - turn @ middle
        off = np.linalg.norm(points @ turn.T + place - others, axis=1)
        factor = 1 / (1 + (off / _OUTLIER) ** 2)
    return turn, place


def with_cameras(
    coarse: Problem,
    fine: Problem,
    joints: Array,
    poses: Sequence[xr.Dataset],
    sights: Sequence[Detections],
    feet_planted: Planted,
    given: Known | None = None,
) -> tuple[Problem, Problem, Array]:
    """Add what further cameras saw to the problems of the first, and a start that fits all.

    Each view is solved alone, coarsely; the bodies laid over each other give the cameras' places.
    Where these are known, lines of sight give the start.
    """
    if given is None:
        offsets = [time_offset(poses[0], pose) for pose in poses[1:]]
    else:
        offsets = [
            sight_offset(sights[0], sight, *axes)
            for sight, axes in zip(sights[1:], given.axes, strict=True)
        ]
    start_of_all = joints.copy()
    found: list[tuple[View, View]] = []
    planted = coarse.planted
    for i, (sight, offset) in enumerate(zip(sights[1:], offsets, strict=True)):
        seen, speed = _at_knots(coarse, sight, offset)
        covered = (seen.weight > LEAST_WEIGHT).sum(axis=1) >= 6
        if covered.sum() < 4:
            raise BadInputError(
                "fit_body: the cameras have less than "
                f"{LEAST_OVERLAP:g} s of the person in common; give videos of the same trial"
            )
        seen, start = starting_point(seen, feet_planted)
        planted = planted and seen.planted
        if given is None:
            # Enough to lay one body over the other, and not more memory for a longer trial.
            begin = int(np.argmax(covered))
            rows = slice(begin, begin + WINDOW_KNOTS)
            alone, other = _alone(coarse, joints, rows), _alone(seen, start, rows)
            weight = np.minimum(coarse.weight, seen.weight)[rows] * covered[rows, None]
            turn, place = overlaid(alone.reshape(-1, 3), other.reshape(-1, 3), weight.ravel())
            moved = 0.5 * (alone + (other - place) @ turn)
            start_of_all[rows] = np.where(covered[rows, None, None], moved, alone)
        else:
            turn, place = given.axes[i]
            seen = _as_given(seen, given, turn)
        seen_fine, speed_fine = _at_knots(fine, sight, offset)
        seen_fine = with_depths(
            replace(
                seen_fine,
                planted=seen.planted,
                scale=seen.scale,
                distance=np.interp(fine.knots, coarse.knots, seen.distance),
            )
        )
        known: dict[str, Any] = {}
        if given is not None:
            seen_fine = _as_given(seen_fine, given, turn)
            known = {"turn_sd": given.turn_sd, "place_sd": given.place_sd[i]}
            known["upright"] = given.tilt is None
        view = View(seen, speed, turn, place, offset, 0, **known)
        found.append((view, replace(view, problem=seen_fine, velocity=speed_fine)))
    coarse, fine = replace(coarse, planted=planted), replace(fine, planted=planted)
    joined = []
    for problem, views in zip((coarse, fine), zip(*found, strict=True), strict=True):
        placed = [
            replace(
                view,
                problem=replace(view.problem, planted=planted),
                first=problem.n_shared + i * View.size,
            )
            for i, view in enumerate(views)
        ]
        joined.append(replace(problem, views=tuple(placed)))
    if given is not None:
        start_of_all = _where_lines_meet(joined[0], joints)
    return joined[0], joined[1], start_of_all


def _as_given(problem: Problem, given: Known, turn: Array) -> Problem:
    """Lens and vertical of a further camera, as the calibration has them."""
    problem = replace(problem, focal_sd=given.focal_sd)
    if given.tilt is None:
        return problem
    pitch, roll = given.tilt
    x, y, z = turn @ [roll, 1.0, pitch]
    return replace(problem, tilt=(z / y, x / y), tilt_sd=(given.tilt_sd, given.tilt_sd))


def _where_lines_meet(problem: Problem, joints: Array) -> Array:
    """Joints nearest to the lines of sight of all cameras; as they were where one sees them."""
    left = np.zeros((*joints.shape[:2], 3, 3))
    right = np.zeros(joints.shape)
    sights = np.zeros(joints.shape[:2])
    axes = [(np.eye(3), np.zeros(3)), *((view.turn, view.place) for view in problem.views)]
    for one, (turn, place) in zip(problem.each, axes, strict=True):
        ray = unit_vectors(np.concatenate([one.image, -np.ones((*one.image.shape[:2], 1))], -1))
        ray = ray @ turn
        across = np.eye(3) - ray[..., :, None] * ray[..., None, :]
        across = across * np.where(one.weight > LEAST_WEIGHT, one.weight, 0.0)[..., None, None]
        left += across
        right += across @ (-place @ turn)
        sights += one.weight > LEAST_WEIGHT
    # Lines that are nearly parallel do not tell the depth.
    enough = (sights > 1) & (np.linalg.eigvalsh(left)[..., 0] > _LEAST_ACROSS)
    met = np.linalg.solve(np.where(enough[..., None, None], left, np.eye(3)), right[..., None])
    found: Array = np.where(enough[..., None], met[..., 0], joints)
    return found


def _alone(problem: Problem, joints: Array, rows: slice) -> Array:
    """Joints at some of the knots as one view alone would have them, coarsely."""
    part = part_of(problem, rows)
    shared = first_shared(part, joints[rows])
    best = solve(part, joints[rows], shared, steps=15, tolerance=1e-3)
    best, _, _ = try_mirrored(part, best)
    return best.joints


def _at_knots(problem: Problem, sight: Detections, offset: TimeOffset) -> tuple[Problem, Array]:
    """Give what a further camera saw at the knots of the first, and its landmarks' velocities."""
    fitted = [INDEX[name] for name in FITTED]
    time = sight.time + offset.seconds
    image, weight = sight.image[:, fitted], sight.weight[:, fitted]
    velocity = np.nan_to_num(np.gradient(image, time, axis=0))
    values = np.concatenate([image, sight.world[:, fitted], velocity], axis=-1)
    count = len(problem.knots)
    place = (time - problem.knots[0]) / problem.step
    inside = (place >= 0) & (place <= count - 1)
    usual = float(np.median(np.diff(time)))
    mean, mass = local_means(
        place[inside], values[inside], weight[inside], count, problem.step / usual
    )
    seen = Problem(
        knots=problem.knots,
        image=mean[..., :2],
        world=mean[..., 2:5],
        weight=mass,
        focal_sd=sd_of_focal(sight),
        stature=problem.stature,
    )
    return seen, mean[..., 5:]


def described(
    problem: Problem,
    joints: Array,
    shared: Array,
    shared_draws: Array,
    sights: Sequence[Detections],
) -> list[dict[str, Any]]:
    """Describe each camera for the history: view, residual, time offset, focal length, place."""
    found = []
    level = camera_rotation(shared)
    upright = dict(zip(FITTED, np.moveaxis(joints @ level.T, 1, 0), strict=True))
    for i, (one, sight) in enumerate(zip(problem.each, sights, strict=True)):
        view = problem.views[i - 1] if i else None
        local = shared if view is None else view.local(shared)
        turn, place = (np.eye(3), np.zeros(3)) if view is None else view.axes(shared)
        seen = joints if view is None else joints @ turn.T + place
        stood = (level @ turn.T @ -place)[[0, 2]]
        away = (upright["left_hip"] + upright["right_hip"])[:, [0, 2]] / 2 - stood
        late = 0.0 if view is None else view.late(shared)
        landmark = seen + np.einsum(
            "o,nojx->njx",
            local[FIRST_OFFSET:FIRST_DEPTH_ERROR],
            offset_directions(seen, up_of(local)),
        )
        stretch = float(np.exp(local[FOCAL_FACTOR]))
        image = one.image if view is None else one.image - late * view.velocity
        off = stretch * landmark[..., :2] / np.maximum(-landmark[..., 2:], 0.1) - image
        square = (off**2).sum(axis=-1)
        weight = np.where(one.weight > LEAST_WEIGHT, one.weight, 0.0)
        metres = square * one.distance[:, None] ** 2
        entry = {
            "azimuth_deg": round(azimuth_of(upright, stood), 1),
            "distance_m": round(float(np.median(np.linalg.norm(away, axis=1))), 2),
            "residual_px": round(sight.focal * _root_mean(square, weight), 2),
            "residual_m": round(_root_mean(metres, weight), 4),
            "focal_length_px": round(sight.focal * stretch, 1),
        }
        if view is not None:
            sd = float(np.std(shared_draws[:, view.first + 7]))
            entry |= {
                "time_offset_s": round(view.offset.seconds + late, 4),
                "time_offset_sd_s": round(sd, 4),
                "rotation": np.round(turn, 4).tolist(),
                "translation_m": np.round(place, 3).tolist(),
            }
            if view.offset.likeness is None:
                entry["time_offset_by_sight_s"] = round(view.offset.seconds, 4)
            else:
                entry["time_offset_by_correlation_s"] = round(view.offset.seconds, 4)
                entry["likeness"] = round(view.offset.likeness, 3)
        found.append(entry)
    return found


def _root_mean(square: Array, weight: Array) -> float:
    return float(np.sqrt((square * weight).sum() / weight.sum()))


def warnings_of_cameras(
    poses: Sequence[xr.Dataset], cameras: Sequence[Mapping[str, Any]], *, calibrated: bool
) -> list[dict[str, str]]:
    """Warn of cameras that disagree, and repeat what was warned of in further poses."""
    how = "calibrated" if calibrated else "found"
    found = [
        tables.warning(
            f"warnings.cameras_disagree.{how}",
            camera=number,
            distance_cm=100 * camera["residual_m"],
        )
        for number, camera in enumerate(cameras, start=1)
        if camera["residual_m"] > _LARGEST_RESIDUAL
    ]
    return found + [
        {
            **warning,
            "message": f"Camera {number}: {warning['message']}",
            "values": {**warning.get("values", {}), "seen_by": number},
        }
        for number, pose in enumerate(poses[1:], start=2)
        for warning in warnings_of(pose)
    ]
