"""Several cameras that filmed the same trial: when each was started, and where it stood.

The cameras need neither calibration nor synchronisation. Heights in the picture move alike in
every view, so the time offset is where their speeds correlate best. The place of a camera comes
from the bodies that were fitted to each view alone, laid over each other, and is then solved
together with the body (:func:`~mobility.kinematics.fit.fit_body`). Of calibrated cameras the places
are known, and the time offset is where the lines of sight to each landmark come closest.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mobility.errors import BadInputError
from mobility.kinematics import fit as body
from mobility.kinematics.calibration import Known, cross_matrix, rotation
from mobility.kinematics.correlation import correlated, normalised, other_peaks, peak
from mobility.kinematics.skeleton import INDEX, require_pose
from mobility.provenance import warnings_of
from mobility.view import azimuth_of

log = logging.getLogger(__name__)

Array = NDArray[np.float64]

_SIGNALS: tuple[tuple[str, ...], ...] = (
    ("left_hip", "right_hip"),
    ("left_shoulder", "right_shoulder"),
    ("nose",),
    ("left_wrist", "right_wrist"),
    ("left_knee", "right_knee"),
)
"""Landmarks whose mean height in the picture is a signal that hardly depends on the view, nor on
left and right being told apart."""

_SHOULDERS_ABOVE_ANKLES = 0.78
"""Of stature, standing: Drillis & Contini 1966, Body segment parameters."""

_GRID_HZ = 60.0
_SMOOTH_S = 0.08
"""Standard deviation of the Gaussian that smooths the heights before they are differentiated."""

_EDGE_S = 0.16
"""At the ends of a video the smoothed speed is not known."""

_LEAST_SEEN = 0.2
"""Visibility below which a landmark's height is not used."""

_LEAST_OVERLAP = 1.0
"""Seconds that both cameras must show the person."""

_LEAST_SHARE = 0.5
"""Share of the movement of the video with less of it that must lie in the overlap."""

_LEAST_LIKENESS = 0.8
"""Correlation of the speeds below which the videos are not of the same movement."""

_RIVAL = 4.0
"""A second peak must be less likely by a factor of e to this power."""

_INDEPENDENT_S = 0.5
"""Seconds after which errors of the speeds are taken to be new."""

_LEAST_SPEED = 0.03
"""Root mean square of the speeds, body heights per second, below which nothing moves."""

_LEAST_SD_S = 0.004


class TimeOffset(NamedTuple):
    """When a second video was started.

    Attributes
    ----------
    seconds
        To be added to the times of the second video to get those of the first.
    sd
        Its standard deviation, seconds.
    likeness
        Correlation of the movements at this offset, at most 1; None where lines of sight told it.
    """

    seconds: float
    sd: float
    likeness: float | None


def time_offset(pose_a: xr.Dataset, pose_b: xr.Dataset) -> TimeOffset:
    r"""Find by how much the second of two videos of the same trial was started later.

    The signals are the speeds of the heights in the picture of hips, shoulders, nose, wrists and
    knees, in units of the body's height in the picture. Over the part that both videos show, their
    normalised cross-correlation :math:`\rho` is computed for every offset. The offset is the one
    that explains most: it has the largest :math:`-\frac{N}{2}\log(1-\rho^2)` with the number N of
    independent values in the overlap. A parabola through its neighbours gives it to a fraction of
    a frame.

    Parameters
    ----------
    pose_a, pose_b
        Pose Datasets with ``image_position`` (pixels) and times in seconds. Frame rate, length,
        size of the picture and view may differ; the cameras must have stood still.

    Returns
    -------
    TimeOffset
        Seconds to add to the times of `pose_b`, with their standard deviation: from the curvature
        of the peak, or the spread of the offsets of the single signals where that is larger.

    Raises
    ------
    BadInputError
        If one of the poses is not of one person, nothing moves, the videos do not show the same
        movement or too little of it, or another offset is about as likely.
    """
    speeds = [_speeds(pose, what=name) for pose, name in ((pose_a, "first"), (pose_b, "second"))]
    (start_a, a, known_a), (start_b, b, known_b) = speeds
    step = 1 / _GRID_HZ
    dot, power_a, power_b, both = (
        correlated(x, y) for x, y in ((a, b), (a**2, known_b), (known_a, b**2), (known_a, known_b))
    )
    whole = min(float((a**2).sum()), float((b**2).sum()))
    # Every lag of the second video against the first, from the last to the first possible one.
    lags = np.arange(-(b.shape[1] - 1), a.shape[1])
    total = [each.sum(axis=0) for each in (dot, power_a, power_b, both)]
    overlap = both.max(axis=0) * step
    shown = np.minimum(total[1], total[2]) / whole
    allowed = (overlap >= _LEAST_OVERLAP) & (shown >= _LEAST_SHARE)
    if not allowed.any():
        raise BadInputError(
            "time_offset: the two videos have less than "
            f"{_LEAST_OVERLAP:g} s of the person in common; give two videos of the same trial"
        )
    rho = np.where(allowed, normalised(*total[:3]), -1.0)
    values = total[3] * step / _INDEPENDENT_S
    told = np.where(rho > 0, -0.5 * values * np.log1p(-(np.clip(rho, 0, 0.9999) ** 2)), 0.0)
    best = int(np.argmax(told))
    likeness = float(rho[best])
    if likeness < _LEAST_LIKENESS:
        raise BadInputError(
            "time_offset: the two videos do not show the same movement (the best correlation of "
            f"the speeds of the body is {likeness:.2f}, at least {_LEAST_LIKENESS:g} is needed); "
            "give two videos of the same trial"
        )
    _refuse_rivals(told, rho, lags * step + start_a - start_b, best)
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
    """Start (s), speeds of the heights on a regular grid, (signal, n), and where they are known.

    Body heights per second, upwards; zero where unknown.
    """
    from scipy.ndimage import gaussian_filter1d

    require_pose(pose, what="time_offset")
    if "image_position" not in pose:
        raise BadInputError(
            f"time_offset: the {what} pose has no 'image_position'; make it with estimate_pose"
        )
    height = -_values(pose, "image_position", pixel="v")
    if "confidence" in pose:
        height[_values(pose, "confidence") < _LEAST_SEEN] = np.nan
    time = pose["time"].to_numpy().astype(np.float64)
    middles = [
        height[:, [INDEX[f"left_{name}"], INDEX[f"right_{name}"]]].mean(axis=1)
        for name in ("shoulder", "ankle")
    ]
    tall = (middles[0] - middles[1]) / _SHOULDERS_ABOVE_ANKLES
    tall = tall[np.isfinite(tall)]
    if tall.size < 5 or np.percentile(tall, 90) <= 0:
        raise BadInputError(
            f"time_offset: the {what} video hardly shows the person from shoulders to feet"
        )
    body = float(np.percentile(tall, 90))
    grid = time[0] + np.arange(int((time[-1] - time[0]) * _GRID_HZ) + 1) / _GRID_HZ
    longest_gap = 3 * float(np.median(np.diff(time)))
    speeds, known = [], []
    for names in _SIGNALS:
        values = height[:, [INDEX[name] for name in names]].mean(axis=1)
        seen = np.isfinite(values)
        if seen.sum() < 5:
            speeds.append(np.zeros(grid.size))
            known.append(np.zeros(grid.size))
            continue
        filled = np.interp(grid, time[seen], values[seen]) / body
        after = np.minimum(np.searchsorted(time[seen], grid), seen.sum() - 1)
        before = np.maximum(after - 1, 0)
        near = (time[seen][after] - time[seen][before] <= longest_gap) & (
            np.abs(grid - (grid[0] + grid[-1]) / 2) <= (grid[-1] - grid[0]) / 2 - _EDGE_S
        )
        speed = gaussian_filter1d(filled, _SMOOTH_S * _GRID_HZ, order=1, mode="nearest")
        speeds.append(np.where(near, speed * _GRID_HZ, 0.0))
        known.append(near.astype(np.float64))
    if np.sqrt(np.mean(np.square(speeds))) < _LEAST_SPEED:
        raise BadInputError(
            f"time_offset: the person hardly moves in the {what} video; nothing to align by"
        )
    return float(time[0]), np.array(speeds), np.array(known)


def _values(pose: xr.Dataset, name: str, **at: str) -> Array:
    variable = pose[name].sel(at)
    if "individual" in variable.dims:
        variable = variable.isel(individual=0)
    values = variable.sel(keypoint=list(INDEX)).transpose("time", "keypoint").to_numpy()
    return values.astype(np.float64)


def _refuse_rivals(told: Array, rho: Array, offsets: Array, best: int) -> None:
    """Raise if another peak explains the movement about as well."""
    # Speeds turn once in between if it is another peak and not the shoulder of this one.
    for other in other_peaks(told, rho, best, valley=0.5 * float(rho[best])):
        if told[best] - told[other] < _RIVAL:
            raise BadInputError(
                "time_offset: the movement repeats itself so evenly that the offset of the second "
                f"video is ambiguous ({offsets[best]:+.2f} s or {offsets[other]:+.2f} s); start "
                "both videos before the first repetition and stop them after the last"
            )
        return


def _single_offsets(sums: list[Array], best: int) -> list[float]:
    """Offsets, in steps from the best, of the signals that by themselves have a peak near it."""
    reach = round(0.3 * _GRID_HZ)
    found = []
    for dot, power_a, power_b in zip(*sums, strict=True):
        near = slice(max(best - reach, 0), best + reach + 1)
        rho = normalised(dot[near], power_a[near], power_b[near])
        top = int(np.argmax(rho))
        if rho[top] > _LEAST_LIKENESS and 0 < top < len(rho) - 1:
            found.append(near.start + peak(rho, top)[0] - best)
    return found


_SIGHT_SD = 0.005
"""Radians by which lines of sight to the same landmark usually miss each other: 1.5 cm at 3 m."""

_TOLD_BY = 4.0
"""Of the 16 landmarks, as many as err by themselves."""

_COARSE_STEP_S, _FINE_STEP_S, _PARABOLA, _MOST_TIMES = 0.1, 1 / 60, 3, 400
_RIVAL_AWAY_S = 0.3
_LARGEST_MISS = 0.04
"""Radians, 12 cm at 3 m: lines of sight that miss each other by more are not those of the cameras.
Views from opposite sides, in which landmarks lie on other sides of the joint, have 0.016."""

_NEVER = 20.0
"""Mean logarithm of where they do not meet at all, or nobody is seen by both."""

_LARGEST_OFFSET_SD_S = 0.1


def sight_offset(first: body._Sight, second: body._Sight, turn: Array, place: Array) -> TimeOffset:
    """Find by how much the second of two calibrated cameras was started later.

    The lines of sight to a landmark meet if they are of the same instant. Of all offsets, the one
    is taken that explains most: at which, over the part that both videos show, they miss each other
    (mean logarithm, Cauchy) by most less than usual.

    Parameters
    ----------
    first, second
        What the cameras saw.
    turn, place
        A point x in the axes of the first is at ``turn x + place`` in those of the second.

    Returns
    -------
    TimeOffset
        Seconds to add to the times of the second camera.

    Raises
    ------
    BadInputError
        The lines of sight never meet, so that the calibration is of other cameras, or they meet as
        well at another offset.
    """
    essential = cross_matrix(place) @ turn
    one, other = _track(first), _track(second)
    lasts = [float(track.time[-1] - track.time[0]) for track in (one, other)]
    least = max(_LEAST_OVERLAP, 0.5 * min(lasts))

    def misses(offsets: Array) -> Array:
        return np.array([_miss(one, other.later(each), essential, least) for each in offsets])

    early = first.time[0] - second.time[-1] + least
    late = first.time[-1] - second.time[0] - least
    if late < early:
        raise BadInputError(
            f"fit_body: the cameras have less than {_LEAST_OVERLAP:g} s in common; give videos of "
            "the same trial"
        )
    offsets = np.arange(early, late + _COARSE_STEP_S, _COARSE_STEP_S)
    cost = misses(offsets)
    overlap = np.minimum(one.time[-1], other.time[-1] + offsets)
    overlap -= np.maximum(one.time[0], other.time[0] + offsets)
    values = _TOLD_BY * np.maximum(overlap / _INDEPENDENT_S, 1.0)
    cost = np.minimum(cost, _NEVER)
    told = np.where(cost < _NEVER, values * (np.median(cost) - cost), -np.inf)
    coarse = int(np.argmax(told))
    near = offsets[coarse]
    around = near + np.arange(-12, 13) * _FINE_STEP_S
    fine = misses(around)
    best = int(np.argmin(fine))
    miss = _SIGHT_SD * float(np.sqrt(np.expm1(min(fine[best], _NEVER))))
    if miss > _LARGEST_MISS:
        raise BadInputError(
            "fit_body: the lines of sight of the calibrated cameras miss each other by "
            f"{np.degrees(min(miss, np.pi)):.1f} degrees; the calibration is of other cameras, has "
            "them in another order, or a camera was moved"
        )
    away = np.abs(offsets - near) > _RIVAL_AWAY_S
    if away.any() and told[coarse] - told[away].max() < _RIVAL:
        rival = offsets[away][int(np.argmax(told[away]))]
        raise BadInputError(
            "fit_body: the movement does not tell by how much the second video was started later "
            f"({around[best]:+.2f} s or {rival:+.2f} s); start both videos before the first "
            "repetition and stop them after the last"
        )
    # Over a tenth of a second, for the cost has nearly a corner where the lines meet.
    rows = (np.abs(np.arange(fine.size) - best) <= _PARABOLA) & np.isfinite(fine)
    bend, slope, _ = np.polyfit(around[rows] - around[best], fine[rows], 2)
    shift = float(np.clip(-slope / (2 * max(bend, 1e-9)), -_FINE_STEP_S, _FINE_STEP_S))
    sd = float(1 / np.sqrt(values[coarse] * 2 * max(bend, 1e-9)))
    if not sd < _LARGEST_OFFSET_SD_S:
        raise BadInputError(
            "fit_body: the person hardly moves in the two videos; nothing to align them by"
        )
    return TimeOffset(float(around[best]) + shift, max(sd, _LEAST_SD_S), None)


class _Track(NamedTuple):
    """Landmarks of the body as a camera saw them, gaps filled."""

    time: Array
    image: Array
    weight: Array

    def later(self, offset: float) -> _Track:
        return self._replace(time=self.time + offset)


def _track(sight: body._Sight) -> _Track:
    fitted = [INDEX[name] for name in body.FITTED]
    image, weight = sight.image[:, fitted], sight.weight[:, fitted]
    filled = np.zeros_like(image)
    for j in range(len(fitted)):
        seen = weight[:, j] > 0
        for axis in (0, 1):
            if seen.any():
                filled[:, j, axis] = np.interp(sight.time, sight.time[seen], image[seen, j, axis])
    return _Track(sight.time, filled, weight)


def _miss(one: _Track, other: _Track, essential: Array, least: float) -> float:
    """Mean of the logarithm by which lines of sight miss each other; infinite without overlap."""
    start = max(one.time[0], other.time[0])
    end = min(one.time[-1], other.time[-1])
    if end - start < least - 1e-6:
        return np.inf
    count = int(min((end - start) / _FINE_STEP_S, _MOST_TIMES)) + 2
    rays, weights = [], []
    for track in (one, other):
        at = np.interp(np.linspace(start, end, count), track.time, np.arange(track.time.size))
        left = np.minimum(at.astype(np.intp), track.time.size - 2)
        share = (at - left)[:, None]
        seen = track.image[left] * (1 - share[..., None])
        seen += track.image[left + 1] * share[..., None]
        rays.append(np.concatenate([seen, -np.ones((*seen.shape[:-1], 1))], axis=-1))
        weights.append(track.weight[left] * (1 - share) + track.weight[left + 1] * share)
    lines = rays[0] @ essential.T, rays[1] @ essential
    # Sampson's distance: how far the points must be moved for the lines to meet.
    length = sum((line[..., :2] ** 2).sum(axis=-1) for line in lines)
    off = (rays[1] * lines[0]).sum(axis=-1) / np.sqrt(np.maximum(length, 1e-12))
    weight = np.minimum(*weights)
    total = float(weight.sum())
    if total < 1:
        return np.inf
    return float((weight * np.log1p((off / _SIGHT_SD) ** 2)).sum()) / total


_PLACE_SD = 10.0
"""Metres, of a camera; it only keeps the equations solvable."""

_OFFSETS_AT = 8
_OFFSET_SD = 0.012
"""Metres, between the offsets of a landmark in two cameras, apart from what goes with the view."""

_TURN_SD = 2.0
"""Radians, likewise."""

_LEAST_ACROSS = 0.005
"""Squared sine of half the angle between lines of sight, times their weight."""

_ROUNDS, _OUTLIER = 10, 0.10
"""Rounds, and metres, of the Cauchy weights with which two bodies are laid over each other."""


_LARGEST_RESIDUAL = 0.035
"""Metres, root mean square over all landmarks; rendered clips have 0.007 to 0.02."""


@dataclass(frozen=True)
class View:
    """A further camera: what it saw at the knots, and its numbers in the border.

    A point x in the axes of the first camera is at ``R x + t`` in those of this one, with
    ``R = exp(w) turn`` and ``t = place + shift``. In the border are w, shift, the logarithm of the
    focal length, what is to be added to the time offset, by how much the landmarks' offsets from
    the joints differ from those in the first camera, and the errors of the depths that it tells.
    """

    problem: body._Problem
    velocity: Array  # (n, joint, 2), of the landmarks in the picture, focal lengths per s
    turn: Array  # (3, 3)
    place: Array  # (3,), m
    offset: TimeOffset
    first: int  # place in the border
    turn_sd: float = _TURN_SD
    place_sd: float = _PLACE_SD
    upright: bool = True  # held about upright, for all that is known

    size = _OFFSETS_AT + len(body._OFFSETS) + len(body._DEPTH_ERRORS)

    @property
    def _own(self) -> slice:
        return slice(self.first, self.first + self.size)

    @property
    def _offsets(self) -> slice:
        return slice(self.first + _OFFSETS_AT, self._errors.start)

    @property
    def _errors(self) -> slice:
        end = self.first + self.size
        return slice(end - len(body._DEPTH_ERRORS), end)

    def part(self, rows: slice) -> View:
        """Only some of the knots."""
        problem = body._part(self.problem, rows)
        return replace(self, problem=problem, velocity=self.velocity[rows])

    def axes(self, border: Array) -> tuple[Array, Array]:
        """Rotation and translation from the axes of the first camera."""
        own = border[self._own]
        return rotation(own[:3]) @ self.turn, self.place + own[3:6]

    def seen(self, joints: Array, border: Array) -> Array:
        """Joints in the axes of this camera."""
        turn, place = self.axes(border)
        moved: Array = joints @ turn.T + place
        return moved

    def back(self, border: Array) -> Array:
        """Direction horizontally towards this camera, in the axes of the first."""
        turn, _ = self.axes(border)
        towards: Array = turn.T @ body._rotation(self._local(border))[2]
        return towards

    def focal(self, border: Array) -> float:
        """Return the factor on the focal length that was assumed."""
        return float(np.exp(border[self.first + 6]))

    def late(self, border: Array) -> float:
        """Seconds to be added to the time offset."""
        return float(border[self.first + 7])

    def _local(self, border: Array) -> Array:
        """Shared numbers as they are in the axes of this camera."""
        up = self.axes(border)[0] @ body._up(border)
        local = border.copy()
        local[body._F] = border[self.first + 6]
        local[body._OFF : body._DEEP] += border[self._offsets]
        local[body._DEEP : body._FOOT] = border[self._errors]
        local[body._PITCH], local[body._ROLL] = up[2] / up[1], up[0] / up[1]
        return local

    def add_rows(self, rows: body._Rows, joints: Array, border: Array, share: float) -> None:
        """Add the rows of picture and depth of this camera."""
        turn, place = self.axes(border)
        seen = joints @ turn.T + place
        problem = replace(
            self.problem, image=self.problem.image - self.late(border) * self.velocity
        )
        own = body._Rows(len(joints), len(border))
        local = self._local(border)
        body._picture_rows(own, problem, seen, local, share)
        pictures = own.count
        body._depth_rows(own, problem, seen, local, share * body._SHARE_OF_SEVERAL)

        count = own.count
        new = slice(rows.count, rows.count + count)
        slope = own.joints[:, :count]
        through = own.border[:, :count]
        rows.residual[:, new] = own.residual[:, :count]
        rows.weight[:, new] = own.weight[:, :count]
        rows.joints[:, new] = slope @ turn
        rows.border[:, new] = through
        rows.border[:, new, body._F] = 0.0
        rows.border[:, new, self._offsets] = through[..., body._OFF : body._DEEP]
        rows.border[:, new, body._DEEP : body._FOOT] = 0.0
        rows.border[:, new, self._errors] = through[..., body._DEEP : body._FOOT]
        moved = np.cross((seen - place)[:, None], slope).sum(axis=2)
        rows.border[:, new, self.first : self.first + 3] = moved @ _left_jacobian(
            border[self.first : self.first + 3]
        )
        rows.border[:, new, self.first + 3 : self.first + 6] = slope.sum(axis=2)
        rows.border[:, new, self.first + 6] = through[..., body._F]
        # A landmark's slope across the line of sight, times its depth, is its scale in the picture.
        depth = np.maximum(-seen[..., 2], 0.1) / self.focal(border)
        for i in range(pictures):
            j, axis = divmod(i, 2)
            per_metre = slope[:, i, j, axis] * depth[:, j]
            rows.border[:, rows.count + i, self.first + 7] = per_metre * self.velocity[:, j, axis]
        rows.cost += own.cost
        rows.count += count

    def usual(self, border: Array) -> Iterator[tuple[Any, ...]]:
        """Give what is usual for a camera: difference from it, standard deviation, slopes."""
        own = border[self._own]
        for i in range(3):
            yield own[i], self.turn_sd, (self.first + i, 1.0)
            yield own[3 + i], self.place_sd, (self.first + 3 + i, 1.0)
        yield own[6], self.problem.focal_sd, (self.first + 6, 1.0)
        yield own[7], self.offset.sd, (self.first + 7, 1.0)
        for i in range(self._offsets.start, self._offsets.stop):
            yield border[i], _OFFSET_SD, (i, 1.0)
        for i, error in enumerate(body._DEPTH_ERRORS.values(), self._errors.start):
            yield border[i], error["sd_m"], (i, 1.0)
        if not self.upright:
            return
        turn, _ = self.axes(border)
        x, y, z = up = turn @ body._up(border)
        pitch_sd, roll_sd = body._TILT_SD
        tilts = ((z / y, pitch_sd, [0, -z / y**2, 1 / y]), (x / y, roll_sd, None))
        for tilt, sd, given in tilts:
            slope = np.array(given if given is not None else [1 / y, -x / y**2, 0])
            by_turn = np.cross(up, slope) @ _left_jacobian(own[:3])
            by_up = slope @ turn @ body._up_slopes(border)
            yield (
                *(tilt, sd, (slice(self.first, self.first + 3), by_turn)),
                *((body._PITCH, by_up[0]), (body._ROLL, by_up[1])),
            )


def _left_jacobian(vector: Array) -> Array:
    """How a small change of a rotation vector turns what it has turned."""
    angle = float(np.linalg.norm(vector))
    cross = cross_matrix(vector)
    if angle < 1e-6:
        return np.eye(3) + 0.5 * cross
    found: Array = (
        np.eye(3)
        + (1 - np.cos(angle)) / angle**2 * cross
        + (angle - np.sin(angle)) / angle**3 * cross @ cross
    )
    return found


def overlaid(points: Array, others: Array, weight: Array) -> tuple[Array, Array]:
    """Rotation R and translation t so that ``R points + t`` lies over `others` (Kabsch).

    Parameters
    ----------
    points, others
        (n, 3), metres.
    weight
        (n,); points that stay far off count less and less.
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
    coarse: body._Problem,
    fine: body._Problem,
    joints: Array,
    poses: Sequence[xr.Dataset],
    sights: Sequence[body._Sight],
    feet_planted: bool | None,
    given: Known | None = None,
) -> tuple[body._Problem, body._Problem, Array]:
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
        covered = (seen.weight > body._SEEN).sum(axis=1) >= 6
        if covered.sum() < 4:
            raise BadInputError(
                "fit_body: the cameras have less than "
                f"{_LEAST_OVERLAP:g} s of the person in common; give videos of the same trial"
            )
        seen, start = body._start(seen, feet_planted)
        planted = planted and seen.planted
        if given is None:
            # Enough to lay one body over the other, and not more memory for a longer trial.
            begin = int(np.argmax(covered))
            rows = slice(begin, begin + body._WINDOW_KNOTS)
            alone, other = _alone(coarse, joints, rows), _alone(seen, start, rows)
            weight = np.minimum(coarse.weight, seen.weight)[rows] * covered[rows, None]
            turn, place = overlaid(alone.reshape(-1, 3), other.reshape(-1, 3), weight.ravel())
            moved = 0.5 * (alone + (other - place) @ turn)
            start_of_all[rows] = np.where(covered[rows, None, None], moved, alone)
        else:
            turn, place = given.axes[i]
            seen = _as_given(seen, given, turn)
        seen_fine, speed_fine = _at_knots(fine, sight, offset)
        seen_fine = body._with_depths(
            replace(
                seen_fine,
                planted=seen.planted,
                scale=seen.scale,
                distance=np.interp(fine.knots, coarse.knots, seen.distance),
            )
        )
        view = View(seen, speed, turn, place, offset, 0)
        if given is not None:
            seen_fine = _as_given(seen_fine, given, turn)
            view = replace(
                view,
                turn_sd=given.turn_sd,
                place_sd=given.place_sd[i],
                upright=given.tilt is None,
            )
        found.append((view, replace(view, problem=seen_fine, velocity=speed_fine)))
    coarse, fine = replace(coarse, planted=planted), replace(fine, planted=planted)
    joined = []
    for level, problem in enumerate((coarse, fine)):
        views = tuple(
            replace(
                pair[level],
                problem=replace(pair[level].problem, planted=planted),
                first=problem.border + i * View.size,
            )
            for i, pair in enumerate(found)
        )
        joined.append(replace(problem, views=views))
    if given is not None:
        start_of_all = _where_lines_meet(joined[0], joints)
    return joined[0], joined[1], start_of_all


def _as_given(problem: body._Problem, given: Known, turn: Array) -> body._Problem:
    """Lens and vertical of a further camera, as the calibration has them."""
    problem = replace(problem, focal_sd=given.focal_sd)
    if given.tilt is None:
        return problem
    pitch, roll = given.tilt
    x, y, z = turn @ [roll, 1.0, pitch]
    return replace(problem, tilt=(z / y, x / y), tilt_sd=(given.tilt_sd, given.tilt_sd))


def _where_lines_meet(problem: body._Problem, joints: Array) -> Array:
    """Joints nearest to the lines of sight of all cameras; as they were where one sees them."""
    left = np.zeros((*joints.shape[:2], 3, 3))
    right = np.zeros(joints.shape)
    sights = np.zeros(joints.shape[:2])
    axes = [(np.eye(3), np.zeros(3)), *((view.turn, view.place) for view in problem.views)]
    for one, (turn, place) in zip(problem.each, axes, strict=True):
        ray = body._unit(np.concatenate([one.image, -np.ones((*one.image.shape[:2], 1))], -1))
        ray = ray @ turn
        across = np.eye(3) - ray[..., :, None] * ray[..., None, :]
        across = across * np.where(one.weight > body._SEEN, one.weight, 0.0)[..., None, None]
        left += across
        right += across @ (-place @ turn)
        sights += one.weight > body._SEEN
    # Lines that are nearly parallel do not tell the depth.
    enough = (sights > 1) & (np.linalg.eigvalsh(left)[..., 0] > _LEAST_ACROSS)
    met = np.linalg.solve(np.where(enough[..., None, None], left, np.eye(3)), right[..., None])
    found: Array = np.where(enough[..., None], met[..., 0], joints)
    return found


def _alone(problem: body._Problem, joints: Array, rows: slice) -> Array:
    """Joints at some of the knots as one view alone would have them, coarsely."""
    part = body._part(problem, rows)
    border = body._first_border(part, joints[rows])
    best = body._solve(part, joints[rows], border, steps=15, tolerance=1e-3)
    best, _, _ = body._try_mirrored(part, best)
    return best.joints


def _at_knots(
    problem: body._Problem, sight: body._Sight, offset: TimeOffset
) -> tuple[body._Problem, Array]:
    """Give what a further camera saw at the knots of the first, and its landmarks' velocities."""
    fitted = [INDEX[name] for name in body.FITTED]
    time = sight.time + offset.seconds
    image, weight = sight.image[:, fitted], sight.weight[:, fitted]
    velocity = np.nan_to_num(np.gradient(image, time, axis=0))
    values = np.concatenate([image, sight.world[:, fitted], velocity], axis=-1)
    count = len(problem.knots)
    place = (time - problem.knots[0]) / problem.step
    inside = (place >= 0) & (place <= count - 1)
    usual = float(np.median(np.diff(time)))
    mean, mass = body._averaged(
        place[inside], values[inside], weight[inside], count, problem.step / usual
    )
    seen = body._Problem(
        knots=problem.knots,
        image=mean[..., :2],
        world=mean[..., 2:5],
        weight=mass,
        focal_sd=body._focal_sd(sight),
        stature=problem.stature,
    )
    return seen, mean[..., 5:]


def described(
    problem: body._Problem,
    joints: Array,
    border: Array,
    border_draws: Array,
    sights: Sequence[body._Sight],
) -> list[dict[str, Any]]:
    """Describe each camera for the history: view, residual, time offset, focal length, place."""
    found = []
    level = body._rotation(border)
    upright = dict(zip(body.FITTED, np.moveaxis(joints @ level.T, 1, 0), strict=True))
    for i, (one, sight) in enumerate(zip(problem.each, sights, strict=True)):
        view = problem.views[i - 1] if i else None
        local = border if view is None else view._local(border)
        seen = joints if view is None else view.seen(joints, border)
        turn, place = (np.eye(3), np.zeros(3)) if view is None else view.axes(border)
        stood = (level @ turn.T @ -place)[[0, 2]]
        away = (upright["left_hip"] + upright["right_hip"])[:, [0, 2]] / 2 - stood
        late = 0.0 if view is None else view.late(border)
        landmark = seen + np.einsum(
            "o,nojx->njx",
            local[body._OFF : body._DEEP],
            body._directions(seen, body._up(local)),
        )
        stretch = float(np.exp(local[body._F]))
        image = one.image if view is None else one.image - late * view.velocity
        off = stretch * landmark[..., :2] / np.maximum(-landmark[..., 2:], 0.1) - image
        square = (off**2).sum(axis=-1)
        weight = np.where(one.weight > body._SEEN, one.weight, 0.0)
        metres = square * one.distance[:, None] ** 2
        entry = {
            "azimuth_deg": round(azimuth_of(upright, stood), 1),
            "distance_m": round(float(np.median(np.linalg.norm(away, axis=1))), 2),
            "residual_px": round(sight.focal * _root_mean(square, weight), 2),
            "residual_m": round(_root_mean(metres, weight), 4),
            "focal_length_px": round(sight.focal * stretch, 1),
        }
        if view is not None:
            sd = float(np.std(border_draws[:, view.first + 7]))
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
    other = "the videos may not show the same movement"
    if calibrated:
        other = "the calibration may be of other cameras, or have them in another order"
    found = [
        {
            "code": "cameras_disagree",
            "message": f"The fitted body lies {100 * camera['residual_m']:.0f} cm off what camera "
            f"{number} shows, more than usual: a camera may have moved, left and right may be "
            f"exchanged, or {other}.",
        }
        for number, camera in enumerate(cameras, start=1)
        if camera["residual_m"] > _LARGEST_RESIDUAL
    ]
    return found + [
        {**warning, "message": f"Camera {number}: {warning['message']}"}
        for number, pose in enumerate(poses[1:], start=2)
        for warning in warnings_of(pose)
    ]
