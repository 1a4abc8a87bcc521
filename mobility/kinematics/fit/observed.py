"""Detections of the cameras, averaged at the knots of the fit, and the fit's starting point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

import numpy as np
import xarray as xr

from mobility.base.formatting import listed
from mobility.base.provenance import history, last_of
from mobility.errors import BadInputError
from mobility.keypoints.sources import MEDIAPIPE, delay_of, is_without_depth, source_of
from mobility.kinematics.calibration import KnownCameras
from mobility.kinematics.fit.body import (
    ANKLES,
    DEPTHS,
    FITTED,
    HIPS,
    KNEES,
    LA,
    LC,
    LT,
    N_JOINTS,
    PARENTS,
    RA,
    RC,
    RT,
    SEGMENT_NAMES,
    SHOULDERS,
    TERMS,
    TILT_SD,
    USUAL_RATIOS,
    USUAL_STATURE,
    Array,
    Mask,
    hip_line,
    segment_lengths,
    unit_vectors,
)
from mobility.kinematics.fit.foreshortening import foreshortened
from mobility.kinematics.fit.problem import Problem
from mobility.kinematics.skeleton import INDEX, landmarks

HELD_RAD = 1e-3
"""Radians within which the fit keeps the angles of standing."""

LEFT_OUT = 100.0
"""Factor for the standard deviation of a prior of shared numbers, if the prior is left out."""

LEAST_WEIGHT = 0.05
"""Weight (squared visibility) below which a landmark is not used."""

_NEEDED = (*SHOULDERS, *HIPS, *KNEES, *ANKLES)
"""Joints whose keypoints are needed for any fit."""

_LEAST_SHAPES = (0.0, 0.1, 0.1)
"""Ridge penalties on the value, slope and curvature in a triangular window; with them, a few frames
yield their mean.
"""


class Detections(NamedTuple):
    """Detections of one camera."""

    time: Array  # (time,), s, corrected for the delay of the landmarks
    image: Array  # (time, 33, 2), right and up from the centre, in focal lengths
    world: Array | None  # (time, 33, 3), m; None without depth
    weight: Array  # (time, 33)
    focal: float  # pixels
    focal_from: Literal["given", "film", "usual"]
    source: str  # of the keypoints, a key of the table pose_sources
    pitch_deg: float | None = None  # known downward tilt of the camera


def detections_of(
    pose: xr.Dataset,
    field_of_view: float | None,
    focal_length: float | None,
    pitch_deg: float | None = None,
) -> Detections:
    """Extract the detections of one camera from its pose, in focal lengths and in metres."""
    if lacking := _lacking(pose):
        raise BadInputError(
            f"the pose has no {listed(lacking)}; {_remedy(pose)}, or use angles in the image "
            "plane, which need only image_position (picture_angles)"
        )
    size = float(pose.attrs["image_width"]), float(pose.attrs["image_height"])
    image = landmarks(pose, "image_position")
    world = None if is_without_depth(pose) else landmarks(pose)
    longer = max(size)
    focal: float = TERMS["focal"]["usual"] * longer
    focal_from: Literal["given", "film", "usual"] = "usual"
    if focal_length is not None:
        focal, focal_from = focal_length, "given"
    elif field_of_view is not None:
        focal, focal_from = longer / 2 / np.tan(np.radians(field_of_view) / 2), "given"
    elif "focal_length_35mm" in pose.attrs:
        share = float(pose.attrs["focal_length_35mm"]) / TERMS["focal"]["film_longer_side_mm"]
        focal, focal_from = share * longer, "film"
    centred = np.stack([image[..., 0] - size[0] / 2, size[1] / 2 - image[..., 1]], axis=-1) / focal
    usable = np.isfinite(centred).all(axis=-1)
    if world is not None:
        usable &= np.isfinite(world).all(axis=-1)
    visibility = np.clip(np.nan_to_num(landmarks(pose, "confidence")), 0, 1)
    weight = np.where(usable, visibility**2, 0.0)
    time = pose["time"].to_numpy().astype(np.float64)
    time = time - delay_of(pose)
    source = source_of(pose).key
    return Detections(time, centred, world, weight, focal, focal_from, source, pitch_deg)


def _lacking(pose: xr.Dataset) -> list[str]:
    """List what a pose lacks for a fit, whether or not it shows a person."""
    if "image_position" not in pose:
        return ["'image_position'"]
    any_visible = np.isfinite(landmarks(pose, "image_position")).any()
    lacking = []
    if "confidence" not in pose or (
        any_visible and not np.isfinite(landmarks(pose, "confidence")).any()
    ):
        lacking.append("visibility ('confidence')")
    if absent := [name for name in ("image_width", "image_height") if name not in pose.attrs]:
        lacking.append(f"size of the picture (attributes {', '.join(absent)})")
    if lacking or is_without_depth(pose):
        points = landmarks(pose, "image_position", keypoints=FITTED)
        unseen = np.flatnonzero(np.isnan(points).all(axis=(0, 2)) & any_visible)
        lacking += [FITTED[place] for place in unseen if place in _NEEDED]
    return lacking


def _remedy(pose: xr.Dataset) -> str:
    """Return the remedy for missing parts of a pose, depending on the source of its keypoints."""
    if "image_position" not in pose or source_of(pose).key == MEDIAPIPE:
        return "make one with estimate_pose"
    remedies = []
    if "confidence" not in pose or not pose["confidence"].notnull().any():
        remedies.append("add confidence to the file")
    if not {"image_width", "image_height"} <= pose.attrs.keys():
        of_movement = last_of(history(pose), "from_movement")
        what = "image_size=(width, height) to from_movement" if of_movement else ""
        remedies.append(f"pass {what or 'size=(width, height) to read_keypoints'}")
    return " and ".join(remedies) or "use a model that finds them"


def sd_of_focal(sight: Detections) -> float:
    """Return the standard deviation of the logarithm of the focal length."""
    sds = {"given": "sd_if_given", "film": "sd_if_in_film", "usual": "sd"}
    return float(TERMS["focal"][sds[sight.focal_from]])


def camera_shift(pose: xr.Dataset, sight: Detections) -> float:
    """Return how far a moving camera shifts the picture, in focal lengths; 0 if it did not move.

    The value comes from the warning ``moving_camera`` of the recording.
    """
    shifts = [
        float(warning["values"]["shift"])
        for warning in last_of(history(pose), "estimate_pose").get("warnings", [])
        if warning.get("code") == "moving_camera" and "values" in warning
    ]
    return max(shifts, default=0.0) * float(pose.attrs["image_width"]) / sight.focal


def seen_span(sight: Detections) -> tuple[slice, Mask]:
    """Return the span from the first to the last frame with a person, and the mask of these."""
    present = (sight.weight[:, [INDEX[name] for name in FITTED]] > LEAST_WEIGHT).sum(axis=1) >= 6
    if present.sum() < 5:
        raise BadInputError(f"{int(present.sum())} frames show a person, but at least 5 are needed")
    first, last = np.flatnonzero(present)[[0, -1]]
    return slice(int(first), int(last) + 1), present


def problem_of(
    sight: Detections,
    span: slice,
    rate: float,
    height_m: float | None,
    cameras: KnownCameras | None,
) -> Problem:
    """Set up the problem at knots of a given rate, from the frames of one camera."""
    fitted = [INDEX[name] for name in FITTED]
    knots, values, share = at_knots(
        sight.time[span],
        values_of(sight)[span][:, fitted],
        sight.weight[span][:, fitted],
        rate,
    )
    stature = float(np.log(USUAL_STATURE if height_m is None else height_m))
    problem = observed_by(sight, knots, values, share, stature)
    if cameras is None:
        return problem
    problem = replace(problem, focal_sd=cameras.focal_sd, calibrated=bool(cameras.axes))
    if cameras.axes and height_m is None:
        problem = replace(problem, stature_sd=TERMS["stature"]["sd_if_cameras_are_calibrated"])
    if cameras.tilt is not None:
        problem = replace(problem, tilt=cameras.tilt, tilt_sd=(cameras.tilt_sd, cameras.tilt_sd))
    return problem


def values_of(sight: Detections) -> Array:
    """Return keypoints in the picture, and in space if there is depth, (time, 33, 2 or 5)."""
    parts = [sight.image] if sight.world is None else [sight.image, sight.world]
    return np.concatenate(parts, axis=-1)


def observed_by(
    sight: Detections, knots: Array, values: Array, weight: Array, stature: float
) -> Problem:
    """Return observations of a camera at the knots, from the means of :func:`values_of`."""
    image = values[..., :2]
    if sight.world is None:
        world = foreshortened(image, weight, knots, stature)
    else:
        world = values[..., 2:5]
    tilt, tilt_sd = (0.0, 0.0), TILT_SD
    if sight.pitch_deg is not None:
        tilt = float(np.tan(np.radians(sight.pitch_deg))), 0.0
        tilt_sd = float(np.radians(TERMS["tilt"]["pitch_sd_deg"]["if_given"])), TILT_SD[1]
    return Problem(
        knots=knots,
        image=image,
        world=world,
        weight=weight,
        focal_sd=sd_of_focal(sight),
        stature=stature,
        source=sight.source,
        has_depth=sight.world is not None,
        tilt=tilt,
        tilt_sd=tilt_sd,
    )


def per_camera(
    option: float | tuple[float | None, ...] | None, poses: Sequence[xr.Dataset], name: str
) -> tuple[float | None, ...]:
    """Expand an option for the cameras to one value for each camera."""
    if not isinstance(option, tuple):
        return (option,) * len(poses)
    if len(option) != len(poses):
        raise BadInputError(
            f"{name} has {len(option)} values for {len(poses)} cameras; pass one for all or one "
            "for each"
        )
    return option


def at_knots(time: Array, values: Array, weight: Array, rate: float) -> tuple[Array, Array, Array]:
    """Return regular knots, the :func:`local_means` of the values, and their weights."""
    usual = float(np.median(np.diff(time)))
    span = float(time[-1] - time[0])
    count = max(int(np.ceil(span / max(1 / rate, usual))) + 1, 4)
    step = span / (count - 1)
    knots = time[0] + step * np.arange(count)
    position = (time - time[0]) / step
    mean, mass = local_means(position, values, weight, count, step / usual)
    return knots, mean, mass


def local_means(
    position: Array, values: Array, weight: Array, count: int, frames_per_knot: float
) -> tuple[Array, Array]:
    """Return values at the knots for samples at a `position` (0 to count - 1), and their weights.

    A parabola is fitted around each knot, because a mean would lag behind when movements begin and
    end.
    """
    left = np.minimum(position.astype(np.intp), count - 2)
    share = position - left
    total = np.zeros((3, count, *values.shape[1:]))
    moments, frames = np.zeros((5, count, weight.shape[1])), np.zeros(count)
    usable = np.where((weight > 0)[..., None], values, 0.0)
    for knot, part, away in ((left, 1 - share, share), (left + 1, share, share - 1)):
        knot_weight = weight * part[:, None]
        for power in range(5):
            weighted = knot_weight * away[:, None] ** power
            np.add.at(moments[power], knot, weighted)
            if power < 3:
                np.add.at(total[power], knot, usable * weighted[..., None])
        np.add.at(frames, knot, part)
    mass: Array = moments[0]
    normal = moments[np.add.outer(range(3), range(3))].transpose(2, 3, 0, 1)
    normal += np.diag(_LEAST_SHAPES) * mass[..., None, None]
    normal[mass == 0] = np.eye(3)
    solved = np.linalg.solve(normal, total.transpose(1, 2, 0, 3))
    at_knot: Array = solved[..., 0, :].astype(np.float64)
    expected = 0.5 * min(1.0, frames_per_knot)  # frames at a knot without gaps, halved at the ends
    trust = np.minimum(1.0, frames / expected) / np.maximum(frames, 1e-9)
    return at_knot, mass * trust[:, None]


def seen_at(image: Array, depth: Array) -> Array:
    """Return the positions (metres) of points of the picture at a given depth."""
    return np.concatenate([image * depth[..., None], -depth[..., None]], axis=-1)


def starting_point(problem: Problem) -> tuple[Problem, Array]:
    """Move the world landmarks to positions that match the picture.

    The function assumes nothing about the posture at the beginning of the recording.
    """
    from scipy.ndimage import median_filter, uniform_filter1d

    image, world, visible = problem.image, problem.world, problem.weight > LEAST_WEIGHT
    n = len(image)
    at = np.arange(n)
    distance = np.full(n, np.nan)
    for i in np.flatnonzero(visible.sum(axis=1) >= 6).tolist():
        u, w = image[i, visible[i]], world[i, visible[i]]
        # A body at w + (a, b, -d) is seen at u where a - u d = -x - u z.
        left = np.zeros((2 * len(u), 3))
        left[0::2, 0], left[1::2, 1], left[:, 2] = -1, -1, u.ravel()
        right = (w[:, :2] + u * w[:, 2:]).ravel()
        distance[i] = np.linalg.lstsq(left, right, rcond=None)[0][2]
    good = np.isfinite(distance)
    width = max(3, int(2 / problem.step) | 1)
    distance = np.interp(at, at[good], distance[good])
    distance = uniform_filter1d(
        median_filter(distance, width, mode="nearest"), width, mode="nearest"
    )
    distance = np.maximum(distance, 0.5)

    z, u = np.zeros((n, N_JOINTS)), image.copy()
    for j in range(N_JOINTS):
        rows = visible[:, j]
        if rows.any():
            z[:, j] = np.interp(at, at[rows], world[rows, j, 2])
            for a in (0, 1):
                u[:, j, a] = np.interp(at, at[rows], image[rows, j, a])
        elif j in PARENTS:  # never seen: near its neighbour, but not on it
            u[:, j] = u[:, PARENTS[j]] + np.array([0.003 * (-1) ** j, -0.08])
            z[:, j] = z[:, PARENTS[j]] + 0.02
    joints = seen_at(u, distance[:, None] - z)
    # Point the feet along the pelvis: the world landmarks often turn them towards the camera.
    across = hip_line(joints) * np.array([1.0, 0.0, 1.0])
    forward = np.cross([0.0, 1.0, 0.0], unit_vectors(np.median(unit_vectors(across), axis=0)))[2]
    for ankle, heel, toe in ((LA, LC, LT), (RA, RC, RT)):
        z[:, heel], z[:, toe] = z[:, ankle] - 0.05 * forward, z[:, ankle] + 0.16 * forward
    joints = seen_at(u, distance[:, None] - z)
    legs = [
        problem.stature
        + USUAL_RATIOS[i]
        - np.log(np.percentile(segment_lengths(joints, SEGMENT_NAMES[i]), 60))
        for i in (0, 1)
    ]
    scale = float(np.exp(np.mean(legs)))
    joints, distance = joints * scale, distance * scale
    problem = replace(problem, distance=distance, scale=scale)
    return with_depths(problem), joints


def with_depths(problem: Problem) -> Problem:
    """Add the depths along the segments from the world landmarks, and their standard deviations."""
    z = problem.scale * problem.world[..., 2]
    across = unit_vectors(hip_line(problem.world) * np.array([1.0, 0.0, 1.0]))
    behind = max(-float(np.cross([0.0, 1.0, 0.0], unit_vectors(np.median(across, axis=0)))[2]), 0.0)
    sd = np.array([error * (1 + worse * behind) for _, _, error, worse in DEPTHS.values()])
    return replace(
        problem,
        depths=np.stack([z[:, b] - z[:, a] for a, b, _, _ in DEPTHS.values()], axis=-1),
        depth_sds=np.tile(sd, (len(z), 1)),
    )
