r"""Single-joint angles in the image plane, with and without a fitted body.

The angle of a joint that moves in the image plane can be measured there from the joint's landmarks
alone, even if other parts of the body are outside the picture. The angle by which a segment leaves
that plane follows from how much shorter it looks than it is.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import xarray as xr

from mobility import tables
from mobility.base.options import checked
from mobility.base.uncertain import sd_name
from mobility.errors import BadInputError
from mobility.keypoints.sources import is_without_depth, source_of
from mobility.kinematics.angle_errors import angle_sd, legs_unseen_sd
from mobility.kinematics.datasets import Pose
from mobility.kinematics.expected_error import half_width
from mobility.kinematics.skeleton import (
    INDEX,
    SIDES,
    Array,
    angles_from_points,
    landmarks,
    of_single_joints,
)

TABLE = "in_picture"

_GRID = np.radians(np.arange(0.0, 89.0, 4.0))
"""Elevations out of the image plane at which the likelihood is evaluated."""


@dataclass(frozen=True)
class _Segment:
    """A segment in the picture: unit vector from its joint (time, 2), and its length in pixels."""

    along: Array
    length: Array  # NaN if it is zero
    ratio: float  # length as a fraction of stature
    depth: Array  # elevation from the landmarks' depth, radians, positive towards the camera


@dataclass(frozen=True)
class _Elevation:
    """Elevation of a segment out of the picture, radians, without its sign."""

    size: Array
    sd: Array
    towards: Array  # probability that it points towards the camera


_AXES_OF_VIEW = {"front": (-1.0, 0.0), "back": (1.0, 0.0), "left": (0.0, -1.0), "right": (0.0, 1.0)}
"""For each view, the line from the subject's left to right: its parts to the right and towards the
camera."""


@checked
def picture_angles(
    pose: Pose, *, view: Literal["front", "back", "left", "right"] | None = None
) -> xr.Dataset:
    r"""Measure single-joint angles from landmarks in the picture.

    The angle is measured in the plane in which the distal segment moves. This is the image plane,
    unless the segment is seen to leave it by an elevation :math:`\beta`. The size of :math:`\beta`
    comes from the apparent length: a segment looks :math:`c = \cos\beta` times as long as it is,
    within the error of c. Even a segment in the plane has a small apparent elevation; only the
    elevation beyond it counts. The sign comes from the depth of the landmarks.

    The `pose`, fitted or not, comes from one camera and has ``image_position``. A pose without
    ``position``, as from other pose models
    (:func:`~mobility.exchange.movement_poses.from_movement`), needs the `view`: the side of the
    subject that the camera sees.

    Returns
    -------
    xarray.Dataset
        For each angle of the table ``in_picture`` in degrees over (time, side): ``<angle>``, its
        ``<angle>_sd``, and ``<angle>_out_of_plane``, the larger elevation of its two segments. NaN
        if a landmark is missing. The attributes ``plane_left`` and ``plane_right`` of an angle name
        the plane of the body in which the joint moves ("sagittal", "frontal", "transverse").
        ``off_picture_left`` and ``off_picture_right`` are the degrees between that plane and the
        image plane.

    Notes
    -----
    The standard deviation combines the error of the landmarks in the picture with the errors of
    both elevations. The error of the landmarks counts more if a segment looks short. Zero is
    defined as in goniometry (Norkin & White 2016, Measurement of Joint Motion, 5th ed.).

    Elbow and knee are positive to the side to which they bend most in the recording. Shoulder and
    hip are positive forwards, or outwards if they move in the frontal plane. Trunk and neck are
    positive to the side to which they bend. Shoulder and hip are NaN if the plane of their movement
    is more than 45 degrees from the image plane, or if the subject turns round.
    """
    if "image_position" not in pose:
        raise BadInputError("picture_angles: the pose has no 'image_position'")
    table = tables.load(TABLE)
    pixels = _pixels(pose)
    positions = (
        np.full((*pixels.shape[:2], 3), np.nan) if is_without_depth(pose) else landmarks(pose)
    )
    if view is None and is_without_depth(pose):
        raise BadInputError(
            "picture_angles: the pose has no positions in space, so the side from which the "
            "subject is seen is unknown; pass view ('front', 'back', 'left' or 'right')"
        )
    axes = _axes(positions) if view is None else _axes_of_view(pixels, view)
    segments = {
        (name, part, side): _segment(pixels, positions, entry[part], side)
        for name, entry in table["angles"].items()
        for part in ("proximal", "distal")
        for side in SIDES
    }
    limbs = [
        segment for key, segment in segments.items() if "sideways" not in table["angles"][key[0]]
    ]
    stature = _stature(limbs, table["length"])
    elevations = {key: _elevation(segment, stature, table) for key, segment in segments.items()}
    tilt = np.radians(table["plane"]["sd_deg"])
    source = source_of(pose)
    beside = np.cos(np.radians(table["visibility"]["beside_deg"]))
    variables: dict[str, Any] = {}
    for name, entry in table["angles"].items():
        columns = []
        plane_attrs: dict[str, Any] = {}
        sideways = bool(entry.get("sideways"))
        signed = sideways or bool(entry.get("forward"))
        landmark_sd = entry.get("landmark_sd", table["landmark_sd"])["value"]
        for side in SIDES:
            pair = [segments[name, part, side] for part in ("proximal", "distal")]
            betas = [elevations[name, part, side] for part in ("proximal", "distal")]
            guess_sd = _guess_sd(pose, entry.get("guessed"))
            # A segment to a landmark that the model only guesses may look short for that reason.
            betas[0] = replace(betas[0], size=np.where(guess_sd > 0, 0.0, betas[0].size))
            normal = _normal(pair[1], betas[1], table["plane"]["prior"])
            plane_attrs[f"plane_{side}"] = plane = _body_plane(normal, axes)
            off_picture = float(np.degrees(np.arccos(min(normal[2], 1.0))))
            plane_attrs[f"off_picture_{side}"] = round(off_picture, 1)
            if sideways:
                sign = _lateral_sign(axes, side)
            elif signed:
                plane_visible = normal[2] > beside
                sign = _forward_sign(pixels, axes, side, plane) if plane_visible else np.nan
            else:
                sign = _bend_sign(pair)
                if sign == 0 and plane == "sagittal":
                    bends = {"front": 1.0, "back": -1.0}[entry["bends"]]
                    sign = np.nan_to_num(bends * _forward_sign(pixels, axes, side, plane))
            if normal[2] < table["visibility"]["edge_on"]:
                sign *= 0.0
            value, spread = _in_plane(pair, betas, normal, sign, tilt=tilt, wraps=signed)
            if "back_deg" in entry and _bends_back(value, entry["back_deg"]):
                # Impossible: the pose model confuses the back of the subject with the front.
                value, spread = _in_plane(pair, betas, normal, -sign, tilt=tilt, wraps=signed)
            value = value + float(entry.get("zero_deg", 0.0))
            if plane not in entry.get("planes", (plane,)):
                value = np.full_like(value, np.nan)
            lengths = pair[0].length, pair[1].length
            noise = landmark_sd * stature * _leverage(*lengths, value, apart=sideways)
            out = np.degrees(np.maximum(betas[0].size, betas[1].size))
            square = spread**2 + np.degrees(noise) ** 2 + guess_sd**2 + _vertical_sd(name) ** 2
            columns.append((value, source.widened(name) * np.sqrt(square), out))
        values, sd, out = (np.stack(column, axis=-1) for column in zip(*columns, strict=True))
        over, degree = ("time", "side"), {"units": "degree"}
        variables[name] = (over, values, {**degree, **plane_attrs})
        variables[sd_name(name)] = (over, np.where(np.isnan(values), np.nan, sd), degree)
        variables[f"{name}_out_of_plane"] = (over, np.where(np.isnan(values), np.nan, out), degree)
    return xr.Dataset(variables, coords={"time": pose["time"].variable, "side": list(SIDES)})


@checked
def measured_angles(fitted: Pose) -> xr.Dataset:
    r"""Combine angles from the picture with angles from a fitted body, weighted by their errors.

    With the angle :math:`\theta_p \pm \sigma_p` of the picture and :math:`\theta_f \pm \sigma_f` of
    the body, the picture has the weight :math:`w = \sigma_f^2 / (\sigma_p^2 + \sigma_f^2)`. The
    squared difference of the two angles beyond both variances is added to :math:`\sigma_f^2`, and
    to :math:`\sigma_p^2` as well if the segments leave the image plane. Within the plane the
    picture is more reliable, because the body needs the whole person and infers the depth.

    Both angles come from the same landmarks, so combining them does not reduce the error. The
    standard deviation is :math:`w \sigma_p + (1 - w) \sigma_f`, which holds for any correlation of
    their errors. `fitted` is the result of :func:`~mobility.kinematics.fit.entry.fit_body` for one
    camera's pose.

    Returns
    -------
    xarray.Dataset
        For each angle of the table ``in_picture`` in degrees over (time, side): ``<angle>``,
        ``<angle>_sd`` and the weight of the picture, from 0 to 1, ``<angle>_in_picture``. Over
        (draw, fit_time, side): ``<angle>_draws``, posterior samples of the error, partly shared by
        both sides. Each angle has attributes for each side. ``in_picture_left`` is the mean weight,
        and ``disagree_left`` the share of frames in which picture and body differ by more than 1.96
        standard deviations of their difference. ``plane_left`` and ``off_picture_left`` are as from
        :func:`picture_angles`.
    """
    if "position_draws" not in fitted:
        raise BadInputError(
            "measured_angles: the pose has no 'position_draws'; make it with fit_body"
        )
    pictured, fitted_sds = picture_angles(fitted), angle_sd(fitted)
    fitted_angles, added_sds = angles_from_points(landmarks(fitted)), legs_unseen_sd(fitted)
    fitted_angles |= of_single_joints(fitted_angles)
    time, knots = fitted["time"].to_numpy(), fitted["fit_time"].to_numpy()
    rng = np.random.default_rng(0)
    side_ends = rng.standard_normal((2, fitted.sizes["draw"], len(SIDES)))
    common_ends = rng.standard_normal((2, fitted.sizes["draw"], 1))
    variables: dict[str, Any] = {}
    for name, entry in tables.load(TABLE)["angles"].items():
        # Lateral flexion is one line: an excess on one side is missing on the other.
        shared = 0.0 if entry.get("sideways") else tables.load(TABLE)["sides"]["shared"]
        ends = np.sqrt(shared) * common_ends + np.sqrt(1.0 - shared) * side_ends
        in_picture, picture_sd = pictured[name].to_numpy(), pictured[sd_name(name)].to_numpy()
        fit_sd = np.hypot(_body_sd(name, fitted_sds), added_sds.get(name, 0.0))
        in_body = np.where(np.isnan(fit_sd), np.nan, fitted_angles[name])
        if name == "shoulder_flexion":  # the body's angle has no sign beside the trunk
            aside = [pictured[name].attrs[f"plane_{side}"] == "frontal" for side in SIDES]
            in_body = np.where(aside & (in_picture < 0), -np.abs(in_body), in_body)
        difference = np.nan_to_num(in_picture - in_body)
        disagree = np.abs(difference) > half_width(np.hypot(fit_sd, picture_sd))
        # Zero where only one of the two exists.
        excess = np.nan_to_num(np.maximum(difference**2 - fit_sd**2 - picture_sd**2, 0.0))
        # In the image plane only the body can be wrong; elsewhere either can be.
        out = pictured[f"{name}_out_of_plane"].to_numpy()
        in_plane = out < tables.load(TABLE)["visibility"]["in_plane_deg"]
        picture_sd = np.sqrt(picture_sd**2 + np.where(in_plane, 0.0, excess))
        weight = fit_sd**2 + excess
        weight = weight / (weight + picture_sd**2)
        weight = np.where(np.isnan(in_body), 1.0, np.where(np.isnan(in_picture), 0.0, weight))
        value = np.where(np.isnan(in_body), in_picture, in_body + weight * difference)
        body_sd = np.sqrt(fit_sd**2 + excess)
        sd = weight * np.nan_to_num(picture_sd) + (1 - weight) * np.nan_to_num(body_sd)
        sd = np.where(np.isnan(value), np.nan, sd)
        angle_attrs = {
            f"{part}_{side}": pictured[name].attrs[f"{part}_{side}"]
            for part in ("plane", "off_picture")
            for side in SIDES
        }
        for k, side in enumerate(SIDES):
            valid = np.isfinite(value[:, k])
            if valid.any():
                angle_attrs[f"in_picture_{side}"] = round(float(weight[valid, k].mean()), 3)
                angle_attrs[f"disagree_{side}"] = round(float(disagree[valid, k].mean()), 3)
        over, degree = ("time", "side"), {"units": "degree"}
        variables[name] = (over, value, {**degree, **angle_attrs})
        variables[sd_name(name)] = (over, sd, degree)
        variables[f"{name}_in_picture"] = (over, weight, {"units": "1"})
        drawn = _error_draws(value, sd, ends)
        at_knots = np.stack(
            [np.stack([np.interp(knots, time, c) for c in draw.T], axis=-1) for draw in drawn]
        )
        variables[f"{name}_draws"] = (("draw", "fit_time", "side"), at_knots, degree)
    return xr.Dataset(
        variables,
        coords={"time": fitted["time"].variable, "side": list(SIDES), "fit_time": knots},
    )


def _vertical_sd(name: str) -> float:
    """Return the error that an unlevel camera adds to an angle against the vertical, degrees."""
    table = tables.load(TABLE)
    vertical = table["angles"][name]["proximal"]["segment"] == "vertical"
    return float(table["vertical"]["sd_deg"]) if vertical else 0.0


def _body_sd(name: str, fitted_sds: xr.Dataset) -> Array:
    """Return the error of a fitted body's angle, (time, side); NaN for an angle that it lacks."""
    if sd_name(name) in fitted_sds:
        return fitted_sds[sd_name(name)].to_numpy()
    body_angle = tables.load(TABLE)["angles"][name].get("body")
    sd = np.full(fitted_sds.sizes["time"], np.nan)
    if body_angle is not None:
        sd = np.hypot(fitted_sds[sd_name(body_angle)].to_numpy(), _vertical_sd(name))
    return np.stack([sd, sd], axis=-1)


def _error_draws(value: Array, sd: Array, ends: Array) -> Array:
    """Draw errors (draw, time, side) that change from one end of the angle to the other.

    `ends` has independent samples for the smallest and the largest angle, because the error of a
    landmark on a straight limb reveals little about the error on a bent one.
    """
    low = np.where(np.isnan(value), np.inf, value).min(axis=0)
    high = np.where(np.isnan(value), -np.inf, value).max(axis=0)
    turn = 0.5 * np.pi * np.nan_to_num((value - low) / np.maximum(high - low, 1.0))
    first, last = ends[:, :, None, :]
    draws: Array = np.nan_to_num(sd) * (np.cos(turn) * first + np.sin(turn) * last)
    return draws


def guessed_landmarks(angle: str) -> dict[str, float]:
    """Return the landmarks of an angle that may be outside the picture, with their visibility."""
    entry = tables.load(TABLE)["angles"].get(angle, {}).get("guessed")
    return {} if entry is None else {str(entry["landmark"]): float(entry["visibility"])}


def _pixels(pose: xr.Dataset) -> Array:
    """Return the landmarks in the picture, pixels, y upwards, (time, 33, 2)."""
    pixels = landmarks(pose, "image_position")
    pixels[..., 1] *= -1.0
    return pixels


def _landmark(points: Array, end: str, side: str) -> Array:
    """Return the positions of a landmark on a side, on the other side, or between both."""
    if end.startswith("other_"):
        side, end = SIDES[1 - SIDES.index(side)], end.removeprefix("other_")
    if end.startswith("mid_"):
        name = end.removeprefix("mid_")
        middle: Array = points[:, [INDEX[f"{of_side}_{name}"] for of_side in SIDES]].mean(axis=1)
        return middle
    landmark: Array = points[:, INDEX[f"{side}_{end}"]]
    return landmark


def _segment(pixels: Array, positions: Array, entry: Mapping[str, Any], side: str) -> _Segment:
    if entry["segment"] == "vertical":
        frames = len(pixels)
        up = np.tile([0.0, 1.0], (frames, 1))
        return _Segment(up, np.full(frames, np.inf), 1.0, np.zeros(frames))
    ratios = {**tables.load("body_segments")["segments"], "ears": tables.load(TABLE)["ears"]}
    along = _landmark(pixels, entry["to"], side) - _landmark(pixels, entry["from"], side)
    in_space = _landmark(positions, entry["to"], side) - _landmark(positions, entry["from"], side)
    length = np.linalg.norm(along, axis=-1)
    length = np.where(length > 0, length, np.nan)
    return _Segment(
        along=along / length[:, None],
        length=length,
        ratio=float(ratios[entry["segment"]]["ratio"]),
        depth=np.arctan2(in_space[:, 2], np.hypot(in_space[:, 0], in_space[:, 1])),
    )


def _longest(segment: _Segment, rules: Mapping[str, Any]) -> float:
    lengths = segment.length[np.isfinite(segment.length)]
    return float(np.percentile(lengths, rules["percentile"])) if lengths.size else np.nan


def _stature(segments: Any, rules: Mapping[str, Any]) -> float:
    """Return the stature in pixels from the largest length of each segment."""
    statures = np.array([_longest(segment, rules) / segment.ratio for segment in segments])
    statures = statures[np.isfinite(statures)]
    return float(np.percentile(statures, 60)) if statures.size else np.nan


def _elevation(segment: _Segment, stature: float, table: Mapping[str, Any]) -> _Elevation:
    """Estimate the elevation of a segment out of the picture, from its apparent length."""
    from scipy.special import ndtr

    rules, length = table["elevation"], table["length"]
    full = np.fmax(_longest(segment, length), length["least"] * segment.ratio * stature)
    shortened = segment.length / full
    usual = np.radians(rules["usual_sd_deg"])
    prior = np.exp(-0.5 * (_GRID / usual) ** 2) / (usual * np.sqrt(np.pi / 2))
    anywhere = rules["anywhere_share"]
    prior = (1 - anywhere) * prior + anywhere / (np.pi / 2)

    def expected(ratio: Array) -> tuple[Array, Array]:
        deviation = (np.minimum(ratio, 1.0)[:, None] - np.cos(_GRID)) / length["sd"]
        weight = prior * np.exp(-0.5 * deviation**2)
        weight = weight / weight.sum(axis=1, keepdims=True)
        mean = weight @ _GRID
        return mean, np.sqrt(np.maximum(weight @ _GRID**2 - mean**2, 0.0))

    size, sd = expected(shortened)
    in_plane = float(expected(np.ones(1))[0][0])
    beyond = np.sqrt(np.maximum(size**2 - in_plane**2, 0.0))
    towards = ndtr(segment.depth / np.radians(rules["depth_sd_deg"]))
    sd = sd * beyond / np.hypot(beyond, in_plane)
    return _Elevation(beyond, sd, np.nan_to_num(towards, nan=0.5))


def _bends_back(value: Array, most: float) -> bool:
    """Whether a limb goes farther behind the trunk than is possible, and farther than in front."""
    angles = value[np.isfinite(value)]
    if not angles.size:
        return False
    low, high = np.percentile(angles, [2, 98])
    return bool(low < -most and high < -low)


def _normal(segment: _Segment, elevation: _Elevation, prior: float) -> Array:
    """Return the normal, towards the camera, of the plane in which a segment moves."""
    along = segment.along
    level, up = np.cos(elevation.size), np.sin(elevation.size)
    spread = np.diag([prior, prior, 0.0])
    finite_rows = np.isfinite(along).all(axis=1) & np.isfinite(up)
    if finite_rows.any():
        drawn = (2 * elevation.towards - 1) * up
        mean = np.column_stack([along * level[:, None], drawn])[finite_rows]
        spread += mean.T @ mean / finite_rows.sum()
        spread[2, 2] += float((up[finite_rows] ** 2 - drawn[finite_rows] ** 2).mean())
    normal: Array = np.linalg.eigh(spread)[1][:, 0]
    return normal if normal[2] >= 0 else -normal


def _turn_angle(first: Array, second: Array, normal: Array, sign: float, *, wraps: bool) -> Array:
    """Return the angle from one direction to the next about a normal; unsigned for sign 0."""
    if np.isnan(sign):
        return np.full(len(first), np.nan)
    first, second = (d - (d @ normal)[:, None] * normal for d in (first, second))
    turn = np.arctan2(np.cross(first, second) @ normal, (first * second).sum(axis=-1))
    angle: Array = np.degrees(turn)
    if sign == 0:
        angle = np.abs(angle)
    else:
        least = tables.load(TABLE)["cut"]["swings_deg" if wraps else "bends_deg"]
        angle = np.where(sign * angle < least, sign * angle + 360.0, sign * angle)
    return angle


def _bend_sign(pair: Sequence[_Segment]) -> float:
    """Return the sign of the direction in which a joint bends most; 0 if it hardly bends."""
    first, second = (
        np.column_stack([segment.along, np.zeros(len(segment.along))]) for segment in pair
    )
    turned = _turn_angle(first, second, np.array([0.0, 0.0, 1.0]), 1.0, wraps=False)
    turned = (turned + 180.0) % 360.0 - 180.0
    usable_rows = np.isfinite(turned)
    limits = tables.load(TABLE)["visibility"]
    for segment in pair:  # the direction of a segment that points at the camera means nothing
        longest = np.nanmax(segment.length, initial=0.0)
        usable_rows &= segment.length > limits["length_share"] * longest  # NaN is not longer
    if not usable_rows.any():
        return 0.0
    low, high = np.percentile(turned[usable_rows], [2, 98])
    return float(np.sign(high + low)) if max(high, -low) > limits["bent_deg"] else 0.0


_Axes = tuple[Array, Array, Array]
"""Directions up along the trunk, to the right and to the front of the subject, (time, 3) each."""


def _axes(positions: Array) -> _Axes:
    """Return the axes of a subject from positions in space."""
    trunk = _landmark(positions, "mid_shoulder", "") - _landmark(positions, "mid_hip", "")
    across = positions[:, INDEX["right_hip"]] - positions[:, INDEX["left_hip"]]
    across = across + positions[:, INDEX["right_shoulder"]] - positions[:, INDEX["left_shoulder"]]
    return trunk, across, np.cross(trunk, across)


def _axes_of_view(pixels: Array, view: str) -> _Axes:
    """Return the axes of an upright subject, from the side that the camera sees."""
    right, near = _AXES_OF_VIEW[view]
    trunk, across = (
        np.broadcast_to(axis, (len(pixels), 3)) for axis in ((0.0, 1.0, 0.0), (right, 0.0, near))
    )
    return trunk, across, np.cross(trunk, across)


def _body_plane(normal: Array, axes: _Axes) -> str:
    """Return the plane of the body whose normal is nearest to a movement's; empty if undefined."""
    trunk, across, ahead = axes
    normals = {"sagittal": across, "frontal": ahead, "transverse": trunk}
    near = {}
    for name, axis in normals.items():
        cosine = np.abs(axis @ normal) / np.linalg.norm(axis, axis=-1)
        if np.isfinite(cosine).any():
            near[name] = float(np.nanmedian(cosine))
    return max(near, key=lambda name: near[name]) if near else ""


def _forward_sign(pixels: Array, axes: _Axes, side: str, plane: str) -> float:
    """Return the sign of a limb's turn from hanging to forwards (frontal plane: outwards).

    NaN if it cannot be determined, or if the subject turns round.
    """
    _, across, ahead = axes
    toward = ahead if plane != "frontal" else across if side == "right" else -across
    down = -(_landmark(pixels, "mid_shoulder", side) - _landmark(pixels, "mid_hip", side))

    turn = down[:, 0] * toward[:, 1] - down[:, 1] * toward[:, 0]
    signs = np.sign(turn[np.isfinite(turn)])
    sign = float(np.sign(signs.sum()))
    most = tables.load(TABLE)["visibility"]["turned_share"]
    same = bool(signs.size) and float((signs == sign).mean()) > 1.0 - most
    return sign if same and sign else np.nan


def _lateral_sign(axes: _Axes, side: str) -> float:
    """Return the sign, in the picture, of a turn of an upright segment towards a side."""
    _, across, _ = axes
    lines = across[np.isfinite(across[:, 0]), 0]
    rightwards = float(np.median(lines)) if lines.size else 0.0
    return float(-np.sign(rightwards if side == "right" else -rightwards))


def _in_plane(
    pair: Sequence[_Segment],
    elevations: Sequence[_Elevation],
    normal: Array,
    sign: float,
    *,
    tilt: float,
    wraps: bool,
) -> tuple[Array, Array]:
    """Return the angle in the plane of the movement, degrees, and its error.

    Each segment may point towards or away from the camera; all four combinations are averaged,
    weighted by their probability.
    """
    sizes = [elevation.size for elevation in elevations]

    def angle(one: float, other: float, sizes: Sequence[Array], normal: Array = normal) -> Array:
        first, second = (
            np.column_stack([segment.along * np.cos(size)[:, None], towards * np.sin(size)])
            for segment, size, towards in zip(pair, sizes, (one, other), strict=True)
        )
        return _turn_angle(first, second, normal, sign, wraps=wraps)

    mean = np.zeros_like(sizes[0])
    variance = np.zeros_like(mean)
    combinations = []
    for one, other in itertools.product((1.0, -1.0), repeat=2):
        probability = np.ones_like(mean)
        for elevation, towards in zip(elevations, (one, other), strict=True):
            probability *= elevation.towards if towards > 0 else 1.0 - elevation.towards
        at = angle(one, other, sizes)
        for k, elevation in enumerate(elevations):
            moved = [size + (elevation.sd if i == k else 0.0) for i, size in enumerate(sizes)]
            variance += probability * (angle(one, other, moved) - at) ** 2
        for axis in np.linalg.svd(normal[None])[2][1:]:
            for turned in (normal + np.tan(tilt) * axis, normal - np.tan(tilt) * axis):
                turned = turned / np.linalg.norm(turned)
                variance += probability * (angle(one, other, sizes, turned) - at) ** 2 / 2
        combinations.append((probability, at))
        mean += probability * at
    variance += sum(probability * (at - mean) ** 2 for probability, at in combinations)
    return mean, np.sqrt(variance)


def _leverage(proximal: Array, distal: Array, flat: Array, *, apart: bool) -> Array:
    """Return the change of the angle, radians, per pixel of error of each landmark.

    Segments that are `apart` have no landmark in common.
    """
    a, b = 1.0 / proximal, 1.0 / distal
    shared = 0.0 if apart else 2 * a * b * np.cos(np.radians(flat))
    square: Array = 2 * a**2 + 2 * b**2 + shared
    return np.sqrt(np.maximum(square, 0.0))


def _guess_sd(pose: xr.Dataset, entry: Mapping[str, Any] | None) -> Array:
    """Return the error that landmarks outside the picture add, degrees, (time,)."""
    none = np.zeros(pose.sizes["time"])
    if entry is None or not {"image_width", "image_height"} <= set(pose.attrs):
        return none
    size = np.array([pose.attrs["image_width"], -pose.attrs["image_height"]], dtype=float)
    places = np.stack([_pixels(pose)[:, INDEX[f"{side}_{entry['landmark']}"]] for side in SIDES])
    with np.errstate(invalid="ignore"):
        share = places / size
        outside = ((share < 0) | (share > 1)).any(axis=(0, 2))
    return np.where(outside, float(entry["added_sd_deg"]), none)
