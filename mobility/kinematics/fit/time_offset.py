"""Time offset of two videos of the same movement: from speeds, or from lines of sight."""

from __future__ import annotations

import logging

import numpy as np
import xarray as xr

from mobility.errors import BadInputError
from mobility.kinematics.calibration import cross_matrix
from mobility.kinematics.datasets import require_pose
from mobility.kinematics.expected_error import cross_correlation, normalised, peak, rival_peaks
from mobility.kinematics.fit.body import FITTED
from mobility.kinematics.fit.observed import Detections
from mobility.kinematics.fit.problem import TimeOffset
from mobility.kinematics.skeleton import INDEX, Array, landmarks

log = logging.getLogger(__name__)

_SIGNALS: tuple[tuple[str, ...], ...] = (
    ("left_hip", "right_hip"),
    ("left_shoulder", "right_shoulder"),
    ("nose",),
    ("left_wrist", "right_wrist"),
    ("left_knee", "right_knee"),
)
"""Landmarks whose mean height in the picture is a signal; it hardly depends on the view, or on
whether left and right are confused.
"""

_SHOULDERS_ABOVE_ANKLES = 0.78
"""Share of stature, in standing: Drillis & Contini 1966, Body segment parameters."""

_GRID_HZ = 60.0
_SMOOTH_S = 0.08
"""Standard deviation of the Gaussian that smooths the heights before they are differentiated."""

_EDGE_S = 0.16
"""Time at both ends of a video, in seconds, for which the smoothed speed is not used."""

_LEAST_SEEN = 0.2
"""Least visibility at which a landmark's height is used."""

LEAST_OVERLAP = 1.0
"""Least time, in seconds, for which both cameras must show the person."""

_LEAST_SHARE = 0.5
"""Share of the movement that must lie in the overlap, for the video with less movement."""

_LEAST_LIKENESS = 0.8
"""Correlation of the speeds below which the videos show different movements."""

_RIVAL = 4.0
"""Least difference in log-likelihood between the best peak and a second peak."""

_INDEPENDENT_S = 0.5
"""Seconds after which errors of the speeds count as independent."""

_LEAST_SPEED = 0.03
"""Root mean square of the speeds, body heights per second, below which nothing moves."""

_LEAST_SD_S = 0.004


def time_offset(pose_a: xr.Dataset, pose_b: xr.Dataset) -> TimeOffset:
    r"""Find how much later the second of two videos of the same movement was started.

    The signals are the speeds at which the heights of hips, shoulders, nose, wrists and knees
    change in the picture, in units of the body's height in the picture. Over the part that both
    videos show, their normalised cross-correlation :math:`\rho` is computed for every offset.

    The estimated offset has the largest :math:`-\frac{N}{2}\log(1-\rho^2)` with the number N of
    independent values in the overlap. A parabola through the neighbours gives a fraction of a
    frame. The standard deviation comes from the curvature of the peak, or from the spread of the
    offsets of the separate signals if that is larger.

    Frame rate, length, size of the picture and view may differ; the cameras must not have moved. An
    error is raised if nothing moves, if the videos show different movements or too little of the
    same movement, or if another offset fits about as well.
    """
    speeds = [_speeds(pose, what=name) for pose, name in ((pose_a, "first"), (pose_b, "second"))]
    (start_a, a, valid_a), (start_b, b, valid_b) = speeds
    step = 1 / _GRID_HZ
    dot, power_a, power_b, both = (
        cross_correlation(x, y)
        for x, y in ((a, b), (a**2, valid_b), (valid_a, b**2), (valid_a, valid_b))
    )
    smaller_energy = min(float((a**2).sum()), float((b**2).sum()))
    # Every lag of the second video against the first, from the last to the first possible one.
    lags = np.arange(-(b.shape[1] - 1), a.shape[1])
    total = [sums.sum(axis=0) for sums in (dot, power_a, power_b, both)]
    overlap = both.max(axis=0) * step
    share = np.minimum(total[1], total[2]) / smaller_energy
    allowed = (overlap >= LEAST_OVERLAP) & (share >= _LEAST_SHARE)
    if not allowed.any():
        raise BadInputError(
            f"the two videos show the person at the same time for less than {LEAST_OVERLAP:g} "
            "s; use two videos of the same movement"
        )
    rho = np.where(allowed, normalised(*total[:3]), -1.0)
    values = total[3] * step / _INDEPENDENT_S
    evidence = np.where(rho > 0, -0.5 * values * np.log1p(-(np.clip(rho, 0, 0.9999) ** 2)), 0.0)
    best = int(np.argmax(evidence))
    likeness = float(rho[best])
    if likeness < _LEAST_LIKENESS:
        raise BadInputError(
            f"the two videos do not show the same movement (the best correlation of the body's "
            f"speeds is {likeness:.2f}, but at least {_LEAST_LIKENESS:g} is needed); use two "
            "videos of the same movement"
        )
    _refuse_rivals(evidence, rho, lags * step + start_a - start_b, best)
    at, curvature = peak(rho, best)
    offset = (lags[0] + at) * step + start_a - start_b
    # Cramér-Rao: (1 - rho^2) / (N rho |rho''|), with rho'' per second squared.
    sharp = max(curvature / step**2, 1e-9)
    sd = float(np.sqrt((1 - likeness**2) / (values[best] * likeness * sharp)))
    single = _single_offsets([dot, power_a, power_b], best)
    if len(single) > 1:
        sd = max(sd, float(np.std(single, ddof=1)) * step / np.sqrt(len(single)))
    return TimeOffset(float(offset), float(max(sd, _LEAST_SD_S)), likeness)


def _speeds(pose: xr.Dataset, *, what: str) -> tuple[float, Array, Array]:
    """Return start (s), speeds of the heights on a regular grid, (signal, n), and 1 for valid ones.

    Speeds are upwards, in body heights per second, and zero if not valid.
    """
    from scipy.ndimage import gaussian_filter1d

    require_pose(pose, what="time_offset")
    if "image_position" not in pose:
        raise BadInputError(f"the {what} pose has no 'image_position'; make it with estimate_pose")
    height = -landmarks(pose, "image_position")[..., 1]
    if "confidence" in pose:
        height[landmarks(pose, "confidence") < _LEAST_SEEN] = np.nan
    time = pose["time"].to_numpy().astype(np.float64)
    middles = [
        height[:, [INDEX[f"left_{name}"], INDEX[f"right_{name}"]]].mean(axis=1)
        for name in ("shoulder", "ankle")
    ]
    tall = (middles[0] - middles[1]) / _SHOULDERS_ABOVE_ANKLES
    tall = tall[np.isfinite(tall)]
    if tall.size < 5 or np.percentile(tall, 90) <= 0:
        raise BadInputError(
            f"the {what} video rarely shows the person from shoulders to feet; film the whole body"
        )
    body = float(np.percentile(tall, 90))
    grid = time[0] + np.arange(int((time[-1] - time[0]) * _GRID_HZ) + 1) / _GRID_HZ
    longest_gap = 3 * float(np.median(np.diff(time)))
    speeds, valid = [], []
    for names in _SIGNALS:
        values = height[:, [INDEX[name] for name in names]].mean(axis=1)
        finite = np.isfinite(values)
        if finite.sum() < 5:
            speeds.append(np.zeros(grid.size))
            valid.append(np.zeros(grid.size))
            continue
        filled = np.interp(grid, time[finite], values[finite]) / body
        after = np.minimum(np.searchsorted(time[finite], grid), finite.sum() - 1)
        before = np.maximum(after - 1, 0)
        near = (time[finite][after] - time[finite][before] <= longest_gap) & (
            np.abs(grid - (grid[0] + grid[-1]) / 2) <= (grid[-1] - grid[0]) / 2 - _EDGE_S
        )
        speed = gaussian_filter1d(filled, _SMOOTH_S * _GRID_HZ, order=1, mode="nearest")
        speeds.append(np.where(near, speed * _GRID_HZ, 0.0))
        valid.append(near.astype(np.float64))
    if np.sqrt(np.mean(np.square(speeds))) < _LEAST_SPEED:
        raise BadInputError(
            f"the person hardly moves in the {what} video, so the two videos cannot be aligned; "
            "film a movement"
        )
    return float(time[0]), np.array(speeds), np.array(valid)


def _refuse_rivals(evidence: Array, rho: Array, offsets: Array, best: int) -> None:
    """Raise an error if another peak explains the movement about as well."""
    # Between two peaks, other than at the shoulder of one, the correlation falls.
    for rival in rival_peaks(evidence, rho, best, valley=0.5 * float(rho[best])):
        if evidence[best] - evidence[rival] < _RIVAL:
            raise BadInputError(
                "the movement is so regular that the offset of the second video is ambiguous "
                f"({offsets[best]:+.2f} s or {offsets[rival]:+.2f} s); start "
                "both videos before the first repetition and stop them after the last"
            )
        return


def _single_offsets(sums: list[Array], best: int) -> list[float]:
    """Return offsets, in steps from the best, of single signals that have a peak near it."""
    reach = round(0.3 * _GRID_HZ)
    single_offsets = []
    for dot, power_a, power_b in zip(*sums, strict=True):
        near = slice(max(best - reach, 0), best + reach + 1)
        rho = normalised(dot[near], power_a[near], power_b[near])
        top = int(np.argmax(rho))
        if rho[top] > _LEAST_LIKENESS and 0 < top < len(rho) - 1:
            single_offsets.append(near.start + peak(rho, top)[0] - best)
    return single_offsets


_SIGHT_SD = 0.005
"""Radians by which lines of sight to the same landmark usually miss each other: 1.5 cm at 3 m."""

_INDEPENDENT_LANDMARKS = 4.0
"""Number of the 16 landmarks that have independent errors."""

_COARSE_STEP_S, _FINE_STEP_S, _PARABOLA, _MOST_TIMES = 0.1, 1 / 60, 3, 400
_RIVAL_AWAY_S = 0.3
_LARGEST_MISS = 0.04
"""Radians, 12 cm at 3 m: lines of sight that miss each other by more than this come from other
cameras. In views from opposite sides, in which landmarks lie on different sides of the joint, it is
0.016.
"""

_NEVER = 20.0
"""Cost (mean logarithm of the miss distance) if the lines never meet or the cameras share no
landmark.
"""

_LARGEST_OFFSET_SD_S = 0.1


def sight_offset(
    first: Detections, second: Detections, rotation: Array, translation: Array
) -> TimeOffset:
    """Find how much later the second of two calibrated cameras was started.

    Lines of sight to a landmark at the same instant meet. The estimated offset is the one at which,
    over the part that both videos show, the lines miss each other least, compared with the median
    over all offsets (mean logarithm, Cauchy).

    A point x in the axes of the first camera is at ``rotation x + translation`` in the axes of the
    second. An error is raised if the lines never meet, because the calibration belongs to other
    cameras, or if they also meet at another offset.
    """
    essential = cross_matrix(translation) @ rotation
    one, other = _filled(first), _filled(second)
    lasts = [float(track.time[-1] - track.time[0]) for track in (one, other)]
    least = max(LEAST_OVERLAP, 0.5 * min(lasts))

    def misses(offsets: Array) -> Array:
        moved = (other._replace(time=other.time + offset) for offset in offsets)
        return np.array([_miss(one, sight, essential, least) for sight in moved])

    early = first.time[0] - second.time[-1] + least
    late = first.time[-1] - second.time[0] - least
    if late < early:
        raise BadInputError(
            f"the cameras filmed at the same time for less than {LEAST_OVERLAP:g} s; use videos "
            "of the same "
            "movement"
        )
    offsets = np.arange(early, late + _COARSE_STEP_S, _COARSE_STEP_S)
    cost = misses(offsets)
    overlap = np.minimum(one.time[-1], other.time[-1] + offsets)
    overlap -= np.maximum(one.time[0], other.time[0] + offsets)
    values = _INDEPENDENT_LANDMARKS * np.maximum(overlap / _INDEPENDENT_S, 1.0)
    cost = np.minimum(cost, _NEVER)
    evidence = np.where(cost < _NEVER, values * (np.median(cost) - cost), -np.inf)
    coarse = int(np.argmax(evidence))
    near = offsets[coarse]
    around = near + np.arange(-12, 13) * _FINE_STEP_S
    fine = misses(around)
    best = int(np.argmin(fine))
    miss = _SIGHT_SD * float(np.sqrt(np.expm1(min(fine[best], _NEVER))))
    if miss > _LARGEST_MISS:
        raise BadInputError(
            "the lines of sight of the calibrated cameras miss each other by "
            f"{np.degrees(min(miss, np.pi)):.1f} degrees. Check that the calibration belongs to "
            "these cameras, in this order, and that no camera was moved"
        )
    away = np.abs(offsets - near) > _RIVAL_AWAY_S
    if away.any() and evidence[coarse] - evidence[away].max() < _RIVAL:
        rival = offsets[away][int(np.argmax(evidence[away]))]
        raise BadInputError(
            "the movement does not show how much later the second video was started "
            f"({around[best]:+.2f} s or {rival:+.2f} s); start both videos before the first "
            "repetition and stop them after the last"
        )
    # Over a tenth of a second, because the cost almost has a corner where the lines meet.
    rows = (np.abs(np.arange(fine.size) - best) <= _PARABOLA) & np.isfinite(fine)
    bend, slope = 0.0, 0.0
    if rows.sum() > 2:  # otherwise the videos are too short to be shifted against each other
        bend, slope, _ = np.polyfit(around[rows] - around[best], fine[rows], 2)
    shift = float(np.clip(-slope / (2 * max(bend, 1e-9)), -_FINE_STEP_S, _FINE_STEP_S))
    sd = float(1 / np.sqrt(values[coarse] * 2 * max(bend, 1e-9)))
    if not sd < _LARGEST_OFFSET_SD_S:
        raise BadInputError(
            "the person hardly moves in the two videos, so they cannot be aligned; film a movement"
        )
    return TimeOffset(float(around[best]) + shift, max(sd, _LEAST_SD_S), None)


def _filled(sight: Detections) -> Detections:
    """Keep the detections of the body's joints, with gaps filled."""
    fitted = [INDEX[name] for name in FITTED]
    image, weight = sight.image[:, fitted], sight.weight[:, fitted]
    filled = np.zeros_like(image)
    for j in range(len(fitted)):
        visible_rows = weight[:, j] > 0
        for axis in (0, 1):
            if visible_rows.any():
                filled[:, j, axis] = np.interp(
                    sight.time, sight.time[visible_rows], image[visible_rows, j, axis]
                )
    return sight._replace(image=filled, weight=weight)


def _miss(first: Detections, second: Detections, essential: Array, least: float) -> float:
    """Return the mean logarithm of the distance between lines of sight; infinite if no overlap."""
    start = max(first.time[0], second.time[0])
    end = min(first.time[-1], second.time[-1])
    if end - start < least - 1e-6:
        return np.inf
    count = int(min((end - start) / _FINE_STEP_S, _MOST_TIMES)) + 2
    rays, weights = [], []
    for track in (first, second):
        at = np.interp(np.linspace(start, end, count), track.time, np.arange(track.time.size))
        left = np.minimum(at.astype(np.intp), track.time.size - 2)
        share = (at - left)[:, None]
        image_points = track.image[left] * (1 - share[..., None])
        image_points += track.image[left + 1] * share[..., None]
        rays.append(
            np.concatenate([image_points, -np.ones((*image_points.shape[:-1], 1))], axis=-1)
        )
        weights.append(track.weight[left] * (1 - share) + track.weight[left + 1] * share)
    lines = rays[0] @ essential.T, rays[1] @ essential
    # Sampson's distance: how far the points must move for the lines to meet.
    length = sum((line[..., :2] ** 2).sum(axis=-1) for line in lines)
    ray_distance = (rays[1] * lines[0]).sum(axis=-1) / np.sqrt(np.maximum(length, 1e-12))
    weight = np.minimum(*weights)
    total = float(weight.sum())
    if total < 1:
        return np.inf
    return float((weight * np.log1p((ray_distance / _SIGHT_SD) ** 2)).sum()) / total
