"""Cleaning of landmarks: hidden points, exchanged sides, outliers, short gaps, low-pass filter."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from pydantic import Field

from mobility import tables
from mobility.base.formatting import listed
from mobility.base.options import checked
from mobility.base.provenance import history, last_of, with_history
from mobility.errors import BadInputError
from mobility.kinematics.datasets import Pose
from mobility.kinematics.skeleton import (
    INDEX,
    KEYPOINTS,
    SEGMENTS,
    SIDES,
    Array,
    nan_mean,
    other_side,
)

log = logging.getLogger(__name__)

Mask = NDArray[np.bool_]

_COORDINATES = ("position", "image_position", "image_depth")
_SERIES = ("position", "image_position", "image_depth", "confidence", "presence")
_MIRROR = np.array([INDEX[other_side(name)] for name in KEYPOINTS])
_SWAP_GROUPS = {
    "trunk": ("hip", "shoulder"),
    "legs": ("knee", "ankle", "heel", "foot_index"),
    "arms": ("elbow", "wrist", "pinky", "index", "thumb"),
}

_LIMB_WINDOW = 1.0
"""Time around each frame, in seconds, over which a limb's median length is taken."""

_HAMPEL_FRAMES, _HAMPEL_MADS = 7, 3.0
_HAMPEL_MIN_HZ = 11.0
"""Frame rate below which seven frames last so long that a squat itself would look like a spike."""

_SPIKE_FLOOR = 0.02
"""Deviation in trunk lengths (about 1 cm) below which a point is never a spike, however still the
body is.
"""

_SWAP_RATIO = 0.5
"""Largest distance from the expected place after an exchange of the sides, relative to the
distance before."""

_SWAP_FLOOR = 0.1
"""Deviation in trunk lengths (about 5 cm) from which a swap is considered."""

_SWAP_MAX_GAP = 0.25
"""Time in seconds without the limb after which an exchange of its sides cannot be detected."""

_SWAP_NEAR, _SWAP_LASTING = 5, 3
"""Number of frames next to a jump that define its direction, and number of frames for which a new
direction must last.
"""

_SWAP_APART = 0.5
"""Share of the usual distance between the sides above which they are clearly apart."""

_SWAP_MIN_HZ = 10.0
"""Frame rate below which constant velocity does not predict the next frame."""

_LOW_PASS_FRACTION = 0.4
"""Largest usable cutoff as a fraction of the frame rate."""

_LOW_PASS_MIN_HZ = 3.0
"""Lowest cutoff, because a lower one would flatten the squat. At frame rates that would need a
lower cutoff, nothing is filtered.
"""

_BODY = sorted({INDEX[name] for ends in SEGMENTS.values() for name in ends})
_MANY_REMOVED = 0.05
"""Share of removed points of the body above which there is a warning."""

_EVEN = 0.02
"""Time stamps count as regular if they are within this fraction of a frame of a regular grid."""


@checked
def clean_pose(
    pose: Pose,
    *,
    visibility_threshold: Annotated[float, Field(ge=0, le=1)] = 0.5,
    repair_swaps: bool = True,
    limb_length_tolerance: Annotated[float, Field(gt=0)] = 0.15,
    max_gap_s: Annotated[float, Field(ge=0)] = 0.2,
    cutoff_hz: Annotated[float, Field(gt=0)] | None = 6.0,
) -> xr.Dataset:
    r"""Remove implausible points from a pose, fill short gaps and filter it.

    Points that are hidden, jump or are exchanged with the other side become NaN or are repaired.
    Gaps longer than `max_gap_s` remain; movement faster than `cutoff_hz` is smoothed away. Angles
    from landmarks (:func:`~mobility.kinematics.angles.joint_angles`) need a pose that was cleaned
    with the defaults. For :func:`~mobility.kinematics.fit.entry.fit_body`, which weights hidden
    points itself, use ``visibility_threshold=0.1``. The notes describe the steps.

    Parameters
    ----------
    pose
        Pose Dataset from ``estimate_pose``; metres, pixels, seconds. It is not changed.
    visibility_threshold
        Smallest visibility (``confidence``) at which a point is kept, from 0 to 1.
    repair_swaps
        Whether to undo exchanges of left and right. After ``edit_points``, which includes this
        step, it is always left out.
    limb_length_tolerance
        Largest accepted deviation of a limb's length, as a fraction.
    max_gap_s
        Longest gap to fill, seconds.
    cutoff_hz
        Cutoff frequency in Hz; None turns the filter off. At low frame rates the cutoff is lowered
        to 0.4 of the frame rate; if that is below 3 Hz, the pose is not filtered. Both are recorded
        as warnings, but the lower cutoff only if all frames of the video were used.

    Returns
    -------
    xarray.Dataset
        The same variables and times. The history entry lists each step with its counts. It has a
        warning ``points_removed`` if steps 1, 3 and 4 removed more than 5 % of the points of the
        body (without face and hands), and ``sides_exchanged`` if left and right were exchanged.

        Attributes describe how well left and right were distinguished. ``lost_share`` is the share
        of frames, between the first and the last frame with a pose, that have no pose or lose it in
        step 1. ``legs_exchanged`` counts how often the legs change places in the picture after step
        2. ``sides_exchanged`` has the times between which step 2 exchanged trunk, legs and arms
        (JSON, seconds).

    Notes
    -----
    The steps, in this order:

    1. Points with a visibility below `visibility_threshold` become NaN. Frames become NaN if both
       hips, or both shoulders, are nearer to each other in space than in any adult, because the
       pose model then confuses the sides or does not see a person (table ``in_picture``; only with
       positions in space).
    2. Exchanges of left and right are undone for trunk, legs and arms separately. An exchange
       begins or ends at a frame that jumps by more than 10 % of the trunk length. Exchanging the
       sides must more than halve the distance from the previous frame, or from a prediction. The
       sides are exchanged in the part with the unusual direction from right to left. The labels in
       the larger part are assumed to be right. If the sides nearly coincide, nothing is exchanged.
       This step is omitted below 10 frames/s.
    3. If the length of a limb differs by more than `limb_length_tolerance` from its median within
       one second around the frame, its far end becomes NaN in ``position``. The median is local
       because the depth of a raw pose has a bias that depends on the posture, which only the fit
       corrects.
    4. Hampel: points more than 3 scaled median absolute deviations (and 2 % of the trunk length)
       from the median of 7 frames become NaN. This step is omitted below 11 frames/s.
    5. Gaps of at most `max_gap_s` are filled by a monotone cubic (PCHIP). Longer gaps stay NaN, and
       nothing is extrapolated.
    6. Each gap-free part is filtered separately: Butterworth of second order, forwards and
       backwards, with the cutoff corrected for the two passes, :math:`w_n =
       \frac{2}{\pi}\arctan(\tan(\pi f_c/f_s)/C)`, :math:`C=(\sqrt2-1)^{1/4}`, so that the gain at
       `cutoff_hz` is :math:`1/\sqrt2`. Uneven times are resampled to a regular grid by PCHIP and
       back, so that the output has the times of the frames.

    Exchanges are undone before outliers are removed, because the Hampel filter would remove the
    middle of an exchange of two or three frames that can be repaired.

    References
    ----------
    Winter 2009, Biomechanics and Motor Control of Human Movement, 4th ed. (two-pass correction);
    Pearson, Neuvo, Astola, Gabbouj 2016, Generalized Hampel filters, EURASIP J Adv Signal Process
    2016:87.
    """
    time = pose["time"].to_numpy().astype(np.float64)
    arrays = arrays_of(pose)
    rate = float(1 / np.median(np.diff(time))) if time.size > 1 else 0.0
    steps: list[dict[str, Any]] = []
    record: dict[str, Any] = {"steps": steps}

    unseen = np.zeros((time.size, len(KEYPOINTS)), bool)
    if "confidence" in arrays:
        unseen = arrays["confidence"] < visibility_threshold
    coordinates = [name for name in _COORDINATES if name in arrays]
    counted = "position" if "position" in arrays else "image_position"
    detected = _has_values(arrays[counted])
    for name in coordinates:
        _blank(arrays[name], unseen)
    steps.append({"step": "visibility_gate", "removed_points": int((unseen & detected).sum())})
    coincide = np.zeros(time.size, bool)
    if "position" in arrays:
        coincide = _sides_coincide(arrays["position"])
    for name in coordinates:
        arrays[name][coincide] = np.nan
    steps.append({"step": "sides_mixed", "removed_frames": int(coincide.sum())})

    warnings: list[dict[str, str]] = []
    exchanged: dict[str, Mask] = {}
    if repair_swaps and rate < _SWAP_MIN_HZ:
        steps.append({"step": "swap_repair", "skipped": f"fewer than {_SWAP_MIN_HZ:g} frames/s"})
    elif repair_swaps and last_of(history(pose), "edit_points"):
        # A person saw the sides in the picture, and they must stay as the person left them.
        steps.append({"step": "swap_repair", "skipped": "corrected by hand"})
    elif repair_swaps:
        exchanged = _repair_swaps(arrays, time)
        swapped = {group: int(rows.sum()) for group, rows in exchanged.items()}
        steps.append({"step": "swap_repair", "swapped_frames": swapped})
        warnings += _exchange_warnings(swapped)
    legs = _legs_exchanged(arrays, time) if rate >= _SWAP_MIN_HZ else 0

    if "position" in arrays:
        gated = _limb_length_gate(arrays["position"], rate, limb_length_tolerance)
        steps.append({"step": "limb_length_gate", "removed_points": gated})
    else:
        steps.append({"step": "limb_length_gate", "skipped": "no positions in space"})

    if time.size < _HAMPEL_FRAMES or rate < _HAMPEL_MIN_HZ:
        steps.append({"step": "hampel", "skipped": "too few frames, or too few in a second"})
    else:
        removed = {name: _hampel(arrays, name) for name in coordinates}
        steps.append({"step": "hampel", "removed_points": removed})

    lost = detected & ~_has_values(arrays[counted])
    lost_points, points = (np.sum(mask, axis=0)[_BODY].sum() for mask in (lost, detected))
    share = float(lost_points / max(points, 1))
    record["removed_share_of_body"] = round(share, 4)
    if share > _MANY_REMOVED:
        warnings.append(tables.warning("warnings.points_removed", share=share))

    filled = {name: _fill_gaps(arrays[name], time, max_gap_s) for name in coordinates}
    steps.append({"step": "gaps", "filled_values": filled})

    usable, cutoff_warnings = _usable_cutoff(cutoff_hz, rate)
    skips_frames = 1.5 * rate < float(pose.attrs.get("video_fps", 0))
    if not skips_frames or rate < _HAMPEL_MIN_HZ:
        warnings += cutoff_warnings
    if warnings:
        record["warnings"] = warnings
    if usable is None:
        steps.append({"step": "low_pass", "skipped": "no cutoff can be used"})
    else:
        for name in coordinates:
            arrays[name] = _low_pass_parts(arrays[name], time, usable, max_gap_s)
        steps.append({"step": "low_pass", "cutoff_hz": usable, "frame_rate_hz": rate})

    log.debug("clean_pose: %s", steps)
    cleaned = with_arrays(pose, arrays)
    has_pose = np.any(detected, axis=1)
    pose_frames = np.flatnonzero(has_pose)
    frames = int(np.ptp(pose_frames)) + 1 if pose_frames.size else 0
    frames_with_pose = int(np.sum(has_pose & ~coincide))
    cleaned.attrs["lost_share"] = (frames - frames_with_pose) / max(frames, 1)
    cleaned.attrs["legs_exchanged"] = legs
    spans = {group: _spans(rows, time) for group, rows in exchanged.items()}
    cleaned.attrs["sides_exchanged"] = json.dumps(spans)
    return with_history(
        cleaned,
        "clean_pose",
        {
            "visibility_threshold": visibility_threshold,
            "repair_swaps": repair_swaps,
            "limb_length_tolerance": limb_length_tolerance,
            "max_gap_s": max_gap_s,
            "cutoff_hz": cutoff_hz,
        },
        **record,
    )


def _exchange_warnings(swapped: dict[str, int]) -> list[dict[str, str]]:
    """Warn about repaired exchanges of left and right, if any."""
    parts = [
        tables.sentence("warnings.exchanged_part", part=group, count=count)
        for group, count in swapped.items()
        if count
    ]
    return [tables.warning("warnings.sides_exchanged", parts=listed(parts))] if parts else []


def _canonical_dims(pose: xr.Dataset, name: str) -> list[str]:
    order = ("time", "individual", "space", "pixel", "keypoint")
    return [d for d in order if d in pose[name].dims]


def with_arrays(pose: xr.Dataset, arrays: dict[str, Array]) -> xr.Dataset:
    """Return the pose with the variables that :func:`arrays_of` copied replaced by `arrays`."""
    result = pose.copy()
    for name, values in arrays.items():
        original = pose[name].transpose(*_canonical_dims(pose, name))
        replaced = original.copy(data=values.reshape(original.shape))
        result[name] = replaced.transpose(*pose[name].dims)
    return result


def arrays_of(pose: xr.Dataset) -> dict[str, Array]:
    """Copy the variables as (time, [coordinate,] keypoint) in MediaPipe's order."""
    if pose["keypoint"].to_numpy().tolist() != list(KEYPOINTS):
        raise BadInputError("clean_pose: 'keypoint' is not in MediaPipe's order; reindex the pose")
    arrays = {}
    for name in _SERIES:
        if name in pose:
            values = pose[name].transpose(*_canonical_dims(pose, name)).to_numpy()
            if "individual" in pose[name].dims:
                values = values[:, 0]
            arrays[name] = values.astype(np.float64).copy()
    return arrays


def _blank(values: Array, mask: Mask) -> None:
    """Set points to NaN in place; `mask` is (time, keypoint)."""
    values[np.broadcast_to(mask if values.ndim == 2 else mask[:, None], values.shape)] = np.nan


def _has_values(values: Array) -> Mask:
    """Return which points have all their coordinates, (time, keypoint)."""
    return np.asarray(~np.isnan(values).any(axis=1))


def _trunk_length(points: Array) -> float:
    """Return the median distance between mid-shoulder and mid-hip; NaN if never seen."""
    shoulders = points[..., [INDEX["left_shoulder"], INDEX["right_shoulder"]]].mean(axis=-1)
    hips = points[..., [INDEX["left_hip"], INDEX["right_hip"]]].mean(axis=-1)
    length = np.linalg.norm(shoulders - hips, axis=1)
    length = length[~np.isnan(length)]
    return float(np.median(length)) if length.size else np.nan


def _sides_coincide(position: Array) -> Mask:
    """Return frames in which hips or shoulders are nearer to each other than in any adult."""
    too_near: Mask = np.zeros(len(position), dtype=bool)
    for name, entry in tables.load("in_picture")["sides_apart_m"].items():
        left, right = (position[..., INDEX[f"{side}_{name}"]] for side in ("left", "right"))
        too_near |= np.linalg.norm(left - right, axis=1) < entry["value"]
    return too_near


def _legs_exchanged(arrays: dict[str, Array], time: Array) -> int:
    """Count how often the legs change places in the picture from one frame to the next."""
    if "image_position" not in arrays:
        return 0
    names = _SWAP_GROUPS["legs"]
    points = _sides(arrays["image_position"], names)
    frames = np.flatnonzero(~np.isnan(_mean_across(points)).any(axis=1))
    if frames.size < 2:
        return 0
    points = points[frames]
    floor = _SWAP_FLOOR * _trunk_length(arrays["image_position"])
    jumps, _ = _jumps(points, time[frames], floor)
    across = _mean_across(points)
    return sum(
        bool(
            across[max(jump - _SWAP_NEAR, 0) : jump].mean(axis=0)
            @ across[jump : jump + _SWAP_NEAR].mean(axis=0)
            < 0
        )
        for jump in np.flatnonzero(jumps)
    )


def _repair_swaps(arrays: dict[str, Array], time: Array) -> dict[str, Mask]:
    """Undo exchanges of left and right in all arrays, in place; return the frames of each group."""
    exchanged = {}
    for group, names in _SWAP_GROUPS.items():
        both = _in_trunk_lengths(arrays)
        points = _sides(both, names)
        usual = _usual_direction(points) if group == "trunk" else _trunk_direction(both)
        exchanged[group] = _swapped_frames(points, time, _SWAP_FLOOR, usual)
        exchange_sides(arrays, exchanged[group], names)
    return exchanged


def exchange_sides(
    arrays: dict[str, Array], rows: Mask, names: Sequence[str] | None = None
) -> None:
    """Exchange left and right of landmarks in some frames, in place; None means all landmarks."""
    columns = np.arange(len(KEYPOINTS))
    if names is not None:
        columns = np.array([INDEX[f"{side}_{name}"] for side in SIDES for name in names])
    for values in arrays.values():
        part = values[rows]
        part[..., columns] = part[..., _MIRROR[columns]]
        values[rows] = part


def _spans(rows: Mask, time: Array) -> list[list[float]]:
    """List the times of the first and the last frame of each run of True."""
    edges = np.flatnonzero(np.diff(np.pad(rows.astype(int), 1)))
    return [
        [float(time[first]), float(time[after - 1])]
        for first, after in zip(edges[::2], edges[1::2], strict=True)
    ]


def with_sides_exchanged_as_in(pose: xr.Dataset, cleaned: xr.Dataset) -> xr.Dataset:
    """Exchange left and right of a detected pose as :func:`clean_pose` did, for drawing.

    `cleaned` is the cleaned or fitted result of `pose`.
    """
    exchanged = json.loads(cleaned.attrs.get("sides_exchanged", "{}"))
    arrays, time = arrays_of(pose), pose["time"].to_numpy()
    for group, spans in exchanged.items():
        for first, last in spans:
            exchange_sides(arrays, (time >= first) & (time <= last), _SWAP_GROUPS[group])
    return with_arrays(pose, arrays)


def _in_trunk_lengths(arrays: dict[str, Array]) -> Array:
    """Join landmarks in space and in the picture, in trunk lengths, (time, coordinate, 33).

    From the side only depth distinguishes left from right. From frame to frame the picture is more
    reliable, because landmarks in space drift to the other side over several frames.
    """
    parts = [arrays[name] for name in ("position", "image_position") if name in arrays]
    scaled = [part / _trunk_length(part) for part in parts]
    return np.concatenate([part for part in scaled if np.isfinite(part).any()] or parts, axis=1)


def _sides(position: Array, names: Sequence[str]) -> Array:
    """Return points of a part of the body as (time, point, coordinate): left, then right."""
    places = [INDEX[f"{side}_{name}"] for side in ("left", "right") for name in names]
    return position[..., places].transpose(0, 2, 1)


def _mean_across(points: Array) -> Array:
    """Return the mean line from right to left in each frame, over the pairs that were seen."""
    n = points.shape[1] // 2
    return nan_mean(points[:, :n] - points[:, n:], axis=-2)


def _usual_direction(points: Array) -> Array:
    """Return the direction from right to left in most of the recording; NaN if never seen."""
    across = _mean_across(points)
    finite_directions = across[~np.isnan(across).any(axis=1)]
    if not len(finite_directions):
        return np.full(points.shape[2], np.nan)
    return np.median(finite_directions, axis=0)


def _trunk_direction(position: Array) -> Array:
    """Return the trunk's direction from right to left in each frame, or the usual one."""
    points = _sides(position, _SWAP_GROUPS["trunk"])
    across = _mean_across(points)
    direction: Array = np.where(np.isnan(across), _usual_direction(points), across)
    return direction


def _swapped_frames(points: Array, time: Array, floor: float, usual: Array) -> Mask:
    """Find frames in which the first half of the points holds the second half, and vice versa.

    `points` are (time, points, coordinate), left ones, then right ones; they must jump by `floor`
    on average for a swap to be considered. `usual` is the correct direction from right to left, one
    for each frame, or one for all.
    """
    n = points.shape[1] // 2
    swapped = np.zeros(len(points), bool)
    paired = ~np.isnan(points[:, :n] + points[:, n:]).any(axis=2)
    rows = np.flatnonzero(2 * paired.sum(axis=1) >= n)
    if rows.size < 2:
        return swapped
    paired_points = np.where(np.tile(paired, 2)[rows, :, None], points[rows], np.nan)
    across = _mean_across(paired_points)
    towards = (across * np.broadcast_to(usual, (len(points), points.shape[2]))[rows]).sum(axis=1)
    if not np.isfinite(towards).all():  # one of the trunk's sides was never seen
        return swapped
    far = np.linalg.norm(across, axis=1)
    apart = far > _SWAP_APART * np.median(far)
    jumps, gaps = _jumps(paired_points, time[rows], floor)
    edges = [0, *np.flatnonzero(jumps | gaps).tolist(), rows.size]
    is_swapped = np.zeros(rows.size, bool)
    for jump in np.flatnonzero(jumps).tolist():
        first, last = edges[edges.index(jump) - 1], edges[edges.index(jump) + 1]
        before, after = np.arange(jump - 1, first - 1, -1), np.arange(jump, last)
        mean_towards = [towards[side[:_SWAP_NEAR]].mean() for side in (before, after)]
        if mean_towards[0] * mean_towards[1] >= 0:
            continue  # the direction does not reverse: no exchange
        side = before if mean_towards[0] < 0 else after
        is_swapped[side[: _reversed_frames(towards[side], apart[side])]] = True
    swapped[rows[is_swapped]] = True
    return swapped


def _jumps(positions: Array, time: Array, floor: float) -> tuple[Mask, Mask]:
    """Find frames at which left and right change places, and frames that follow a gap in time.

    Each frame, as it is and exchanged, is compared with the previous frame and with the prediction
    of constant velocity; the better of the two counts.
    """
    n = positions.shape[1] // 2
    dt = np.diff(time, prepend=np.nan)
    gaps = dt > _SWAP_MAX_GAP
    jumps = np.zeros(len(positions), bool)
    mirrored = np.concatenate([positions[:, n:], positions[:, :n]], axis=1)

    def distances(points: Array, predicted: Array) -> Array:
        distance = np.sqrt(((points - predicted) ** 2).sum(axis=-1))
        return nan_mean(distance[..., None], axis=-2)[..., 0]

    # The comparison with the previous frame is vectorised; the velocity depends on earlier jumps,
    # hence the loop.
    direct, crossed = (
        np.concatenate([[np.nan], distances(points[1:], positions[:-1])])
        for points in (positions, mirrored)
    )
    for t in np.flatnonzero((direct > floor) & ~gaps).tolist():
        unchanged, exchanged = direct[t], crossed[t]
        if t >= 2 and not gaps[t - 1]:
            last = mirrored[t - 2] if jumps[t - 1] else positions[t - 2]
            ahead = positions[t - 1] + (positions[t - 1] - last) * (dt[t] / dt[t - 1])
            pair = distances(np.stack([positions[t], mirrored[t]]), ahead)
            unchanged, exchanged = np.fmin(unchanged, pair[0]), np.fmin(exchanged, pair[1])
        jumps[t] = unchanged > floor and exchanged < _SWAP_RATIO * unchanged
    return jumps, gaps


def _reversed_frames(towards: Array, apart: Mask) -> int:
    """Count the frames after a jump in which the sides are reversed; 0 if it was no exchange.

    `towards` is the component along the usual direction from right to left, frame by frame away
    from the jump. If the direction comes back while the sides are clearly `apart`, the person has
    turned round; if they are not, the labels changed back unseen.
    """
    usual = towards >= 0
    lasting = usual.copy()
    for later in range(1, _SWAP_LASTING):
        lasting[:-later] &= usual[later:]
        lasting[-later:] = False
    if not lasting.any():
        return int(towards.size)
    end = int(np.argmax(lasting))
    return 0 if apart[max(end - 1, 0) : end + 1].all() else end


def _limb_length_gate(position: Array, rate: float, tolerance: float) -> int:
    """Blank the distal end of limbs whose length jumps, in place; return the number of points."""
    from scipy.ndimage import median_filter

    if rate == 0:
        return 0
    frames = 2 * round(_LIMB_WINDOW * rate / 2) + 1
    gated = np.zeros((len(position), len(KEYPOINTS)), bool)
    for proximal, distal in SEGMENTS.values():
        length = np.linalg.norm(
            position[..., INDEX[distal]] - position[..., INDEX[proximal]], axis=1
        )
        has_length = ~np.isnan(length)
        if has_length.sum() < 3:
            continue
        # The median runs over frames that show the limb, so that gaps do not dilute it.
        sizes = length[has_length]
        usual = median_filter(sizes, size=min(frames, 2 * (sizes.size // 2) + 1), mode="nearest")
        is_off = np.abs(sizes - usual) > tolerance * usual
        gated[np.flatnonzero(has_length)[is_off], INDEX[distal]] = True
    _blank(position, gated)
    return int(gated.sum())


def _hampel(arrays: dict[str, Array], name: str) -> int:
    """Blank spikes of one variable in place; return the number of points."""
    values = arrays[name]
    body = arrays["position"] if name == "position" else arrays.get("image_position")
    scale = np.nan if body is None else _trunk_length(body)
    floor = 0.0 if np.isnan(scale) else _SPIKE_FLOOR * scale
    series = values.reshape(len(values), -1)
    nonempty = np.flatnonzero(~np.isnan(series).all(axis=0))
    if not nonempty.size:
        return 0
    half = _HAMPEL_FRAMES // 2
    padded = np.pad(series[:, nonempty], ((half, half), (0, 0)), mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, _HAMPEL_FRAMES, axis=0)
    middle = _nan_median(windows)
    spread = 1.4826 * _nan_median(np.abs(windows - middle[..., None]))
    spike = np.zeros(series.shape, bool)
    limit = np.maximum(_HAMPEL_MADS * spread, floor)
    spike[:, nonempty] = np.abs(series[:, nonempty] - middle) > limit
    points: Mask = np.any(spike.reshape(len(values), -1, len(KEYPOINTS)), axis=1)
    _blank(values, points)
    return int(points.sum())


def _nan_median(windows: Array) -> Array:
    """Return the median along the last axis ignoring NaN, fast and without a warning."""
    ordered = np.sort(windows, axis=-1)  # NaN last
    count = (~np.isnan(ordered)).sum(axis=-1)
    middle = np.stack([np.maximum(count - 1, 0) // 2, count // 2], axis=-1)
    low, high = np.moveaxis(np.take_along_axis(ordered, middle, axis=-1), -1, 0)
    median: Array = 0.5 * (low + high)
    return median


def _by_pattern(series: Array) -> list[tuple[Mask, NDArray[np.intp]]]:
    """Group the columns of (time, series) by the frames in which they have values."""
    present = ~np.isnan(series)
    patterns, which = np.unique(present, axis=1, return_inverse=True)
    return [(patterns[:, i], np.flatnonzero(which.ravel() == i)) for i in range(patterns.shape[1])]


def _fill_gaps(values: Array, time: Array, max_gap: float) -> int:
    """Fill short gaps by PCHIP in place; return the number of values filled."""
    from scipy.interpolate import PchipInterpolator

    if time.size < 3:
        return 0
    series = values.reshape(len(values), -1)
    frame = float(np.median(np.diff(time)))
    count = 0
    for present, columns in _by_pattern(series):
        rows = np.flatnonzero(present)
        if rows.size < 2:
            continue
        before = rows[np.searchsorted(rows, np.arange(time.size), side="right").clip(1) - 1]
        after = rows[np.searchsorted(rows, np.arange(time.size)).clip(max=rows.size - 1)]
        inside = ~present & (np.arange(time.size) > rows[0]) & (np.arange(time.size) < rows[-1])
        # The duration of a gap is that of its missing frames: one missing frame is one frame.
        short = inside & (time[after] - time[before] - frame <= max_gap + 1e-6)
        if short.any():
            curve = PchipInterpolator(time[rows], series[np.ix_(rows, columns)], axis=0)
            series[np.ix_(short, columns)] = curve(time[short])
            count += int(short.sum()) * columns.size
    values[...] = series.reshape(values.shape)
    return count


def _usable_cutoff(cutoff: float | None, rate: float) -> tuple[float | None, list[dict[str, str]]]:
    """Return the cutoff that the frame rate allows, or None, and warnings about the change."""
    if cutoff is None or rate == 0:
        return None, []
    limit = _LOW_PASS_FRACTION * rate
    if cutoff <= limit + 1e-9:
        return cutoff, []
    if limit >= _LOW_PASS_MIN_HZ:
        lowered = tables.warning("warnings.cutoff_lowered", rate=rate, limit=limit, cutoff=cutoff)
        return limit, [lowered]
    return None, [tables.warning("warnings.not_filtered", rate=rate)]


def _low_pass_parts(values: Array, time: Array, cutoff: float, max_gap: float) -> Array:
    """Filter each gap-free part of each series separately."""
    if time.size < 2:
        return values
    frame = float(np.median(np.diff(time)))
    holes = np.diff(time) - frame > max_gap + 1e-6  # frames that the video does not have
    series = values.reshape(len(values), -1).copy()
    for present, columns in _by_pattern(series):
        joined = present[1:] & present[:-1] & ~holes
        edges = np.flatnonzero(~joined) + 1
        for rows in np.split(np.arange(time.size), edges):
            if present[rows[0]] and rows.size > 3:
                block = np.ix_(rows, columns)
                series[block] = _low_pass_uneven(series[block], time[rows], cutoff, frame)
    return series.reshape(values.shape)


def _low_pass_uneven(series: Array, time: Array, cutoff: float, frame: float) -> Array:
    from scipy.interpolate import PchipInterpolator

    regular = time[0] + (time[-1] - time[0]) * np.arange(time.size) / (time.size - 1)
    mean_step = (time[-1] - time[0]) / (time.size - 1)
    if np.abs(time - regular).max() <= _EVEN * mean_step and abs(mean_step / frame - 1) < _EVEN:
        return low_pass(series, cutoff_hz=cutoff, rate_hz=1 / mean_step)
    count = max(round((time[-1] - time[0]) / frame) + 1, 4)
    grid = np.linspace(time[0], time[-1], count)
    step = (time[-1] - time[0]) / (count - 1)
    smooth = low_pass(
        PchipInterpolator(time, series, axis=0)(grid), cutoff_hz=cutoff, rate_hz=1 / step
    )
    back: Array = PchipInterpolator(grid, smooth, axis=0)(np.clip(time, grid[0], grid[-1]))
    return back


@checked
def low_pass(
    series: NDArray[np.float64],
    *,
    cutoff_hz: Annotated[float, Field(gt=0)],
    rate_hz: Annotated[float, Field(gt=0, allow_inf_nan=False)],
) -> NDArray[np.float64]:
    r"""Low-pass filter regular series without lag: Butterworth of order 2, forwards and backwards.

    `series` is (time, ...), without NaN, at least 2 samples at `rate_hz`; at `cutoff_hz` the
    amplitude of both passes together falls to :math:`1/\sqrt2`. The ends are padded by odd
    reflection. A cutoff of half the rate or more raises an error.
    """
    from scipy.signal import butter, filtfilt

    if series.dtype.kind not in "fiu" or len(series) < 2 or not np.isfinite(series).all():
        raise BadInputError("low_pass: the series must have at least 2 finite numbers")
    if cutoff_hz >= rate_hz / 2:
        raise BadInputError(
            f"low_pass: a cutoff of {cutoff_hz:g} Hz needs more than {2 * cutoff_hz:g} samples/s, "
            f"not {rate_hz:.3g}"
        )
    correction = (np.sqrt(2) - 1) ** 0.25
    wn = np.arctan(np.tan(np.pi * cutoff_hz / rate_hz) / correction) * 2 / np.pi
    b, a = butter(2, wn)
    padding = min(len(series) - 1, max(9, round(1.5 * rate_hz / cutoff_hz)))
    smooth: Array = filtfilt(b, a, series, axis=0, padtype="odd", padlen=padding)
    return smooth
