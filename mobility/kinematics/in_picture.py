r"""Angles of single joints in the plane of the picture, with and without a fitted body.

A joint that moves in the plane of the picture is seen there, from its own landmarks, whatever else
is outside the picture. How far a segment leaves that plane follows from how much shorter it looks
than it is.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from mobility import tables
from mobility.errors import BadInputError
from mobility.kinematics.angle_errors import angle_sd, legs_unseen_sd
from mobility.kinematics.datasets import Pose
from mobility.kinematics.expected_error import Z95
from mobility.kinematics.geometry import Array, angles_from_points, of_single_joints
from mobility.kinematics.skeleton import INDEX, SIDES, landmarks
from mobility.options import checked

TABLE = "in_picture"

_GRID = np.radians(np.arange(0.0, 89.0, 4.0))
"""Elevations at which their likelihood is looked at."""


@dataclass(frozen=True)
class _Segment:
    """A segment in the picture: unit vector from its joint (time, 2), and its length in pixels."""

    along: Array
    length: Array  # NaN where it has none
    ratio: float
    depth: Array  # elevation that the landmarks' depth says, radians, positive towards the camera


@dataclass(frozen=True)
class _Plane:
    """Elevation of a segment out of the picture, and how sure it is towards the camera."""

    size: Array
    sd: Array
    towards: Array


@checked
def picture_angles(pose: Pose) -> xr.Dataset:
    r"""Angles of single joints from their own landmarks in the picture.

    The angle is measured in the plane in which the distal segment moves. That is the plane of the
    picture, unless the segment is seen to leave it: by an elevation :math:`\beta` whose size is
    what is likely for a segment that looks c times as long as it is, :math:`c = \cos\beta` give or
    take its error, beyond what a segment in the plane would show; towards which side it
    points is told by the depth of the landmarks, where that tells it.

    The `pose` is of one camera, with ``image_position``, fitted or not.

    Returns
    -------
    xarray.Dataset
        For each angle of the table ``in_picture`` in degrees over (time, side): ``<angle>``, its
        ``<angle>_sd``, and ``<angle>_out_of_plane``, by how much the farther segment leaves the
        plane. NaN where a landmark is missing. The attributes ``plane_left`` and ``plane_right`` of
        an angle name the plane of the body in which the joint moves ("sagittal", "frontal",
        "transverse"), ``off_picture_left`` and ``off_picture_right`` are the degrees between the
        plane in which it moves and that of the picture.

    Notes
    -----
    The standard deviation is that of the landmarks in the picture, which grows as a segment looks
    short, and that of both elevations. Zero is that of goniometry. Elbow and knee are positive
    to the side to which they bend most in the recording, shoulder and hip forwards, or outwards
    where they move in the frontal plane; trunk and neck on the side to which they bend. Shoulder
    and hip are NaN where that plane is more than 45 degrees from the picture's, or the subject
    turns round.
    Norkin & White 2016, Measurement of Joint Motion, 5th ed.
    """
    if "image_position" not in pose:
        raise BadInputError("picture_angles: the pose has no 'image_position'")
    table = tables.load(TABLE)
    marks, space = _marks(pose), landmarks(pose)
    segments = {
        (name, part, side): _segment(marks, space, entry[part], side)
        for name, entry in table["angles"].items()
        for part in ("proximal", "distal")
        for side in SIDES
    }
    of_limbs = [one for key, one in segments.items() if "sideways" not in table["angles"][key[0]]]
    stature = _stature(of_limbs, table["length"])
    planes = {key: _plane(one, stature, table) for key, one in segments.items()}
    tilt = np.radians(table["plane"]["sd_deg"])
    beside = np.cos(np.radians(table["seen"]["beside_deg"]))
    variables: dict[str, Any] = {}
    for name, entry in table["angles"].items():
        columns = []
        told: dict[str, Any] = {}
        sideways = bool(entry.get("sideways"))
        signed = sideways or bool(entry.get("forward"))
        landmark_sd = entry.get("landmark_sd", table["landmark_sd"])["value"]
        for side in SIDES:
            pair = [segments[name, part, side] for part in ("proximal", "distal")]
            both = [planes[name, part, side] for part in ("proximal", "distal")]
            guess = _guess_sd(pose, entry.get("guessed"))
            # Where a guess is off, it is the guess that looks short, not the segment.
            both[0] = replace(both[0], size=np.where(guess > 0, 0.0, both[0].size))
            normal = _normal(pair[1], both[1], table["plane"]["prior"])
            told[f"plane_{side}"] = plane = _body_plane(normal, space)
            told[f"off_picture_{side}"] = round(
                float(np.degrees(np.arccos(min(normal[2], 1.0)))), 1
            )
            if sideways:
                sign = _sideways(space, side)
            elif signed:
                sign = _outward(marks, space, side, plane) if normal[2] > beside else np.nan
            else:
                sign = _bent_to(pair)
                if sign == 0 and plane == "sagittal":
                    bends = {"front": 1.0, "back": -1.0}[entry["bends"]]
                    sign = np.nan_to_num(bends * _outward(marks, space, side, plane))
            if normal[2] < table["seen"]["edge_on"]:
                sign *= 0.0
            value, spread = _in_plane(pair, both, normal, sign, tilt=tilt, wraps=signed)
            if "back_deg" in entry and _bends_back(value, entry["back_deg"]):
                # Nobody is so: the pose model takes the back of the subject for the front.
                value, spread = _in_plane(pair, both, normal, -sign, tilt=tilt, wraps=signed)
            value = value + float(entry.get("zero_deg", 0.0))
            if plane not in entry.get("planes", (plane,)):
                value = np.full_like(value, np.nan)
            lengths = pair[0].length, pair[1].length
            noise = landmark_sd * stature * _leverage(*lengths, value, apart=sideways)
            out = np.degrees(np.maximum(both[0].size, both[1].size))
            square = spread**2 + np.degrees(noise) ** 2 + guess**2 + _vertical_sd(name) ** 2
            columns.append((value, np.sqrt(square), out))
        values, sd, out = (np.stack(each, axis=-1) for each in zip(*columns, strict=True))
        over, degree = ("time", "side"), {"units": "degree"}
        variables[name] = (over, values, {**degree, **told})
        variables[f"{name}_sd"] = (over, np.where(np.isnan(values), np.nan, sd), degree)
        variables[f"{name}_out_of_plane"] = (over, np.where(np.isnan(values), np.nan, out), degree)
    return xr.Dataset(variables, coords={"time": pose["time"].variable, "side": list(SIDES)})


@checked
def measured_angles(fitted: Pose) -> xr.Dataset:
    r"""Angles of single joints from the picture and from a fitted body, each weighed by its error.

    With the angle :math:`\theta_p \pm \sigma_p` of the picture and
    :math:`\theta_f \pm \sigma_f` of the body, the picture has the weight
    :math:`w = \sigma_f^2 / (\sigma_p^2 + \sigma_f^2)`. Where they differ by more than both errors,
    the body is wrong, if the segments are in the plane of the picture: it needs the whole person
    and infers the depth. Then :math:`\sigma_f^2` is what is left of the squared difference;
    elsewhere that is added to both. Both come from the same landmarks, so that together they
    are not surer than apart: the standard deviation is :math:`w \sigma_p + (1 - w) \sigma_f`, which
    holds whatever their errors have in common. By how much they differ is in it already.
    `fitted` is what :func:`~mobility.kinematics.fit.entry.fit_body` made of one camera's pose.

    Returns
    -------
    xarray.Dataset
        For each angle of the table ``in_picture`` in degrees over (time, side): ``<angle>``,
        ``<angle>_sd`` and the weight of the picture, from 0 to 1, ``<angle>_in_picture``; and over
        (draw, fit_time, side) ``<angle>_draws``, deviations of the draws of the error, of which the
        sides have a part in common. Attributes
        of an angle, for each side: the mean weight ``in_picture_left``, and ``disagree_left``, the
        share of the frames in which picture and body differ by more than 1.96 standard deviations
        of their difference, and ``plane_left`` and ``off_picture_left``, as of
        :func:`picture_angles`.
    """
    if "position_draws" not in fitted:
        raise BadInputError(
            "measured_angles: the pose has no 'position_draws'; make it with fit_body"
        )
    flat, spread = picture_angles(fitted), angle_sd(fitted)
    body, added = angles_from_points(landmarks(fitted)), legs_unseen_sd(fitted)
    body |= of_single_joints(body)
    time, knots = fitted["time"].to_numpy(), fitted["fit_time"].to_numpy()
    rng = np.random.default_rng(0)
    own_ends = rng.standard_normal((2, fitted.sizes["draw"], len(SIDES)))
    common = rng.standard_normal((2, fitted.sizes["draw"], 1))
    variables: dict[str, Any] = {}
    for name, entry in tables.load(TABLE)["angles"].items():
        # What bends to both sides is one line, whose error is farther to one and less to the other.
        shared = 0.0 if entry.get("sideways") else tables.load(TABLE)["sides"]["shared"]
        ends = np.sqrt(shared) * common + np.sqrt(1.0 - shared) * own_ends
        seen, seen_sd = flat[name].to_numpy(), flat[f"{name}_sd"].to_numpy()
        own_sd = np.hypot(_body_sd(name, spread), added.get(name, 0.0))
        own = np.where(np.isnan(own_sd), np.nan, body[name])
        if name == "shoulder_flexion":  # the body's has no sign beside the trunk
            aside = [flat[name].attrs[f"plane_{side}"] == "frontal" for side in SIDES]
            own = np.where(aside & (seen < 0), -np.abs(own), own)
        apart = np.nan_to_num(seen - own)
        far = np.abs(apart) > Z95 * np.hypot(own_sd, seen_sd)
        # Where only one of them sees, nothing contradicts it.
        contradicted = np.nan_to_num(np.maximum(apart**2 - own_sd**2 - seen_sd**2, 0.0))
        # In the picture's plane it is the body that is wrong; elsewhere nobody knows.
        out = flat[f"{name}_out_of_plane"].to_numpy()
        in_plane = out < tables.load(TABLE)["seen"]["in_plane_deg"]
        seen_sd = np.sqrt(seen_sd**2 + np.where(in_plane, 0.0, contradicted))
        weight = own_sd**2 + contradicted
        weight = weight / (weight + seen_sd**2)
        weight = np.where(np.isnan(own), 1.0, np.where(np.isnan(seen), 0.0, weight))
        value = np.where(np.isnan(own), seen, own + weight * apart)
        body_sd = np.sqrt(own_sd**2 + contradicted)
        sd = weight * np.nan_to_num(seen_sd) + (1 - weight) * np.nan_to_num(body_sd)
        sd = np.where(np.isnan(value), np.nan, sd)
        told = {
            f"{part}_{side}": flat[name].attrs[f"{part}_{side}"]
            for part in ("plane", "off_picture")
            for side in SIDES
        }
        for k, side in enumerate(SIDES):
            known = np.isfinite(value[:, k])
            if known.any():
                told[f"in_picture_{side}"] = round(float(weight[known, k].mean()), 3)
                told[f"disagree_{side}"] = round(float(far[known, k].mean()), 3)
        over, degree = ("time", "side"), {"units": "degree"}
        variables[name] = (over, value, {**degree, **told})
        variables[f"{name}_sd"] = (over, sd, degree)
        variables[f"{name}_in_picture"] = (over, weight, {"units": "1"})
        off = _drawn(value, sd, ends)
        at_knots = np.stack(
            [np.stack([np.interp(knots, time, c) for c in one.T], axis=-1) for one in off]
        )
        variables[f"{name}_draws"] = (("draw", "fit_time", "side"), at_knots, degree)
    return xr.Dataset(
        variables,
        coords={"time": fitted["time"].variable, "side": list(SIDES), "fit_time": knots},
    )


def _vertical_sd(name: str) -> float:
    """Error of an angle against the vertical since the camera is not level, degrees."""
    table = tables.load(TABLE)
    vertical = table["angles"][name]["proximal"]["segment"] == "vertical"
    return float(table["vertical"]["sd_deg"]) if vertical else 0.0


def _body_sd(name: str, spread: xr.Dataset) -> Array:
    """Error of an angle of a fitted body, (time, side); NaN where no body has it."""
    if f"{name}_sd" in spread:
        return spread[f"{name}_sd"].to_numpy()
    whole = tables.load(TABLE)["angles"][name].get("body")
    sd = np.full(spread.sizes["time"], np.nan)
    if whole is not None:
        sd = np.hypot(spread[f"{whole}_sd"].to_numpy(), _vertical_sd(name))
    return np.stack([sd, sd], axis=-1)


def _drawn(value: Array, sd: Array, ends: Array) -> Array:
    """Draws of the error (draw, time, side): one for the smallest angle, another for the largest.

    What a landmark is off when a limb is straight says little of how far it is off when it is bent.
    """
    low = np.where(np.isnan(value), np.inf, value).min(axis=0)
    high = np.where(np.isnan(value), -np.inf, value).max(axis=0)
    turn = 0.5 * np.pi * np.nan_to_num((value - low) / np.maximum(high - low, 1.0))
    first, last = ends[:, :, None, :]
    found: Array = np.nan_to_num(sd) * (np.cos(turn) * first + np.sin(turn) * last)
    return found


def guessed_landmarks(angle: str) -> dict[str, float]:
    """Landmarks that may lie outside the picture, with the visibility that they need."""
    entry = tables.load(TABLE)["angles"].get(angle, {}).get("guessed")
    return {} if entry is None else {str(entry["landmark"]): float(entry["visibility"])}


def _marks(pose: xr.Dataset) -> Array:
    """Landmarks in the picture, pixels, y upwards, (time, 33, 2)."""
    pixels = landmarks(pose, "image_position")
    pixels[..., 1] *= -1.0
    return pixels


def _at(points: Array, end: str, side: str) -> Array:
    """Place of a landmark of a side, or of the middle of both."""
    if end.startswith("other_"):
        side, end = SIDES[1 - SIDES.index(side)], end.removeprefix("other_")
    if end.startswith("mid_"):
        name = end.removeprefix("mid_")
        middle: Array = points[:, [INDEX[f"{one}_{name}"] for one in SIDES]].mean(axis=1)
        return middle
    own: Array = points[:, INDEX[f"{side}_{end}"]]
    return own


def _segment(marks: Array, space: Array, entry: Mapping[str, Any], side: str) -> _Segment:
    if entry["segment"] == "vertical":
        frames = len(marks)
        up = np.tile([0.0, 1.0], (frames, 1))
        return _Segment(up, np.full(frames, np.inf), 1.0, np.zeros(frames))
    known = {**tables.load("body_segments")["segments"], "ears": tables.load(TABLE)["ears"]}
    along = _at(marks, entry["to"], side) - _at(marks, entry["from"], side)
    deep = _at(space, entry["to"], side) - _at(space, entry["from"], side)
    length = np.linalg.norm(along, axis=-1)
    length = np.where(length > 0, length, np.nan)
    return _Segment(
        along=along / length[:, None],
        length=length,
        ratio=float(known[entry["segment"]]["ratio"]),
        depth=np.arctan2(deep[:, 2], np.hypot(deep[:, 0], deep[:, 1])),
    )


def _longest(segment: _Segment, rules: Mapping[str, Any]) -> float:
    known = segment.length[np.isfinite(segment.length)]
    return float(np.percentile(known, rules["percentile"])) if known.size else np.nan


def _stature(segments: Any, rules: Mapping[str, Any]) -> float:
    """Stature in pixels that the longest look of the segments says: most are never seen in full."""
    said = np.array([_longest(each, rules) / each.ratio for each in segments])
    said = said[np.isfinite(said)]
    return float(np.percentile(said, 60)) if said.size else np.nan


def _plane(segment: _Segment, stature: float, table: Mapping[str, Any]) -> _Plane:
    """How far a segment is likely to leave the plane of the picture."""
    from scipy.special import ndtr

    rules, length = table["elevation"], table["length"]
    full = np.fmax(_longest(segment, length), length["least"] * segment.ratio * stature)
    shortened = segment.length / full
    usual = np.radians(rules["usual_sd_deg"])
    prior = np.exp(-0.5 * (_GRID / usual) ** 2) / (usual * np.sqrt(np.pi / 2))
    anywhere = rules["anywhere_share"]
    prior = (1 - anywhere) * prior + anywhere / (np.pi / 2)

    def expected(ratio: Array) -> tuple[Array, Array]:
        off = (np.minimum(ratio, 1.0)[:, None] - np.cos(_GRID)) / length["sd"]
        weight = prior * np.exp(-0.5 * off**2)
        weight = weight / weight.sum(axis=1, keepdims=True)
        mean = weight @ _GRID
        return mean, np.sqrt(np.maximum(weight @ _GRID**2 - mean**2, 0.0))

    size, sd = expected(shortened)
    in_plane = float(expected(np.ones(1))[0][0])
    beyond = np.sqrt(np.maximum(size**2 - in_plane**2, 0.0))
    towards = ndtr(segment.depth / np.radians(rules["depth_sd_deg"]))
    return _Plane(beyond, sd * beyond / np.hypot(beyond, in_plane), np.nan_to_num(towards, nan=0.5))


def _bends_back(value: Array, most: float) -> bool:
    """Whether a limb goes farther behind the trunk than it can, and farther than in front of it."""
    known = value[np.isfinite(value)]
    if not known.size:
        return False
    low, high = np.percentile(known, [2, 98])
    return bool(low < -most and high < -low)


def _normal(segment: _Segment, plane: _Plane, prior: float) -> Array:
    """Find the normal, towards the camera, of the plane in which a segment moves."""
    along = segment.along
    level, up = np.cos(plane.size), np.sin(plane.size)
    spread = np.diag([prior, prior, 0.0])
    seen = np.isfinite(along).all(axis=1) & np.isfinite(up)
    if seen.any():
        drawn = (2 * plane.towards - 1) * up
        mean = np.column_stack([along * level[:, None], drawn])[seen]
        spread += mean.T @ mean / seen.sum()
        spread[2, 2] += float((up[seen] ** 2 - drawn[seen] ** 2).mean())
    normal: Array = np.linalg.eigh(spread)[1][:, 0]
    return normal if normal[2] >= 0 else -normal


def _turned(first: Array, second: Array, normal: Array, sign: float, *, wraps: bool) -> Array:
    """Angle from one direction to the next about a normal, degrees; unsigned for sign 0."""
    if np.isnan(sign):
        return np.full(len(first), np.nan)
    first, second = (d - (d @ normal)[:, None] * normal for d in (first, second))
    turn = np.arctan2(np.cross(first, second) @ normal, (first * second).sum(axis=-1))
    found: Array = np.degrees(turn)
    if sign == 0:
        found = np.abs(found)
    else:
        least = tables.load(TABLE)["cut"]["swings_deg" if wraps else "bends_deg"]
        found = np.where(sign * found < least, sign * found + 360.0, sign * found)
    return found


def _bent_to(pair: Sequence[_Segment]) -> float:
    """Sign of the side in the picture to which a joint bends most; 0 where it hardly does."""
    first, second = (np.column_stack([each.along, np.zeros(len(each.along))]) for each in pair)
    turned = _turned(first, second, np.array([0.0, 0.0, 1.0]), 1.0, wraps=False)
    turned = (turned + 180.0) % 360.0 - 180.0
    seen = np.isfinite(turned)
    limits = tables.load(TABLE)["seen"]
    for each in pair:  # a segment that points at the camera turns to any side
        longest = np.nanmax(each.length, initial=0.0)
        seen &= each.length > limits["length_share"] * longest  # NaN is not longer
    if not seen.any():
        return 0.0
    low, high = np.percentile(turned[seen], [2, 98])
    return float(np.sign(high + low)) if max(high, -low) > limits["bent_deg"] else 0.0


def _axes(space: Array) -> tuple[Array, Array, Array]:
    """Up along the trunk, to the right and to the front of the subject, (time, 3) each."""
    trunk = _at(space, "mid_shoulder", "") - _at(space, "mid_hip", "")
    across = space[:, INDEX["right_hip"]] - space[:, INDEX["left_hip"]]
    across = across + space[:, INDEX["right_shoulder"]] - space[:, INDEX["left_shoulder"]]
    return trunk, across, np.cross(trunk, across)


def _body_plane(normal: Array, space: Array) -> str:
    """Plane of the body whose normal is nearest to that of a movement; empty if unknown."""
    trunk, across, ahead = _axes(space)
    axes = {"sagittal": across, "frontal": ahead, "transverse": trunk}
    near = {}
    for name, axis in axes.items():
        cosine = np.abs(axis @ normal) / np.linalg.norm(axis, axis=-1)
        if np.isfinite(cosine).any():
            near[name] = float(np.nanmedian(cosine))
    return max(near, key=lambda name: near[name]) if near else ""


def _outward(marks: Array, space: Array, side: str, plane: str) -> float:
    """Sign of a turn of a limb from hanging to forwards, or outwards in the frontal plane.

    NaN where it is not known, or where the subject turns round.
    """
    _, across, ahead = _axes(space)
    toward = ahead if plane != "frontal" else across if side == "right" else -across
    down = -(_at(marks, "mid_shoulder", side) - _at(marks, "mid_hip", side))

    turn = down[:, 0] * toward[:, 1] - down[:, 1] * toward[:, 0]
    signs = np.sign(turn[np.isfinite(turn)])
    sign = float(np.sign(signs.sum()))
    most = tables.load(TABLE)["seen"]["turned_share"]
    same = bool(signs.size) and float((signs == sign).mean()) > 1.0 - most
    return sign if same and sign else np.nan


def _sideways(space: Array, side: str) -> float:
    """Sign of a turn in the picture of what is on top towards a side."""
    _, across, _ = _axes(space)
    known = across[np.isfinite(across[:, 0]), 0]
    outwards = float(np.median(known)) if known.size else 0.0
    return float(-np.sign(outwards if side == "right" else -outwards))


def _in_plane(
    pair: Sequence[_Segment],
    planes: Sequence[_Plane],
    normal: Array,
    sign: float,
    *,
    tilt: float,
    wraps: bool,
) -> tuple[Array, Array]:
    """Angle in the plane of the movement, degrees, and the error from elevations and plane."""
    sizes = [plane.size for plane in planes]

    def angle(one: float, other: float, sizes: Sequence[Array], normal: Array = normal) -> Array:
        first, second = (
            np.column_stack([segment.along * np.cos(size)[:, None], towards * np.sin(size)])
            for segment, size, towards in zip(pair, sizes, (one, other), strict=True)
        )
        return _turned(first, second, normal, sign, wraps=wraps)

    mean = np.zeros_like(sizes[0])
    variance = np.zeros_like(mean)
    combinations = []
    for one, other in itertools.product((1.0, -1.0), repeat=2):
        chance = np.ones_like(mean)
        for plane, towards in zip(planes, (one, other), strict=True):
            chance = chance * (plane.towards if towards > 0 else 1.0 - plane.towards)
        at = angle(one, other, sizes)
        for k, plane in enumerate(planes):
            moved = [size + (plane.sd if i == k else 0.0) for i, size in enumerate(sizes)]
            variance += chance * (angle(one, other, moved) - at) ** 2
        for axis in np.linalg.svd(normal[None])[2][1:]:
            for turned in (normal + np.tan(tilt) * axis, normal - np.tan(tilt) * axis):
                turned = turned / np.linalg.norm(turned)
                variance += chance * (angle(one, other, sizes, turned) - at) ** 2 / 2
        combinations.append((chance, at))
        mean += chance * at
    variance += sum(chance * (at - mean) ** 2 for chance, at in combinations)
    return mean, np.sqrt(variance)


def _leverage(proximal: Array, distal: Array, flat: Array, *, apart: bool) -> Array:
    """Radians by which the angle turns for a pixel that each landmark is off.

    Segments that are `apart` have no landmark in common.
    """
    a, b = 1.0 / proximal, 1.0 / distal
    shared = 0.0 if apart else 2 * a * b * np.cos(np.radians(flat))
    square: Array = 2 * a**2 + 2 * b**2 + shared
    return np.sqrt(np.maximum(square, 0.0))


def _guess_sd(pose: xr.Dataset, entry: Mapping[str, Any] | None) -> Array:
    """Error that landmarks outside the picture add, degrees, (time,)."""
    none = np.zeros(pose.sizes["time"])
    if entry is None or not {"image_width", "image_height"} <= set(pose.attrs):
        return none
    size = np.array([pose.attrs["image_width"], -pose.attrs["image_height"]], dtype=float)
    places = np.stack([_marks(pose)[:, INDEX[f"{side}_{entry['landmark']}"]] for side in SIDES])
    with np.errstate(invalid="ignore"):
        share = places / size
        outside = ((share < 0) | (share > 1)).any(axis=(0, 2))
    return np.where(outside, float(entry["added_sd_deg"]), none)
