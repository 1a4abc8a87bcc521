"""The fitted body: joints, segments, offsets of landmarks, and limits of the joints.

A body and its mirror image in depth fit a pose without depth about equally well. Only one of the
two has knees and elbows that bend like a person's (table ``fit``, entry range_of_motion).
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mobility import tables
from mobility.base.options import Load
from mobility.keypoints.sources import MEDIAPIPE, pose_source
from mobility.kinematics.skeleton import FITTED as FITTED
from mobility.kinematics.skeleton import SIDES

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

LS, RS, LE, RE, LW, RW, LH, RH, LK, RK, LA, RA, LC, RC, LT, RT = range(16)
LEFT = {"shoulder": LS, "elbow": LE, "wrist": LW, "hip": LH, "knee": LK, "ankle": LA}
LEFT |= {"heel": LC, "toe": LT}
"""The left joint of each pair; the right joint follows it."""

SHOULDERS, HIPS, KNEES, ANKLES = [LS, RS], [LH, RH], [LK, RK], [LA, RA]
LEGS = ((LH, LK, LA), (RH, RK, RA))

N_JOINTS = 16
N_COORDINATES = 3 * N_JOINTS
BAND = 3 * N_COORDINATES
"""Entries on and below the diagonal: second differences couple a knot with the next two."""

SETTINGS: Mapping[str, Any] = tables.load("fit")
TERMS: Mapping[str, Any] = SETTINGS["terms"]
"""Assumptions of each term, from the table fit."""


class _Segment(NamedTuple):
    ends: tuple[tuple[int, int], ...]
    ratio: float  # length as a fraction of stature
    ratio_sd: float  # of its logarithm
    sd: float  # metres, by which the length may vary from knot to knot


def _ends(entry: Mapping[str, Any]) -> tuple[tuple[int, int], ...]:
    if "limb" in entry:
        upper, lower = (LEFT[joint] for joint in entry["limb"])
        return ((upper, lower), (upper + 1, lower + 1))
    return ((LEFT[entry["across"]], LEFT[entry["across"]] + 1),) if "across" in entry else ()


SEGMENTS: Mapping[str, _Segment] = {
    name: _Segment(_ends(entry), entry["ratio"], entry["ratio_sd"], entry["sd_m"])
    for name, entry in tables.load("body_segments")["segments"].items()
}
"""Return the segments of the table body_segments; the trunk joins the middles of shoulders and
hips."""

_ALONG = {
    "thigh": (LH, LK),
    "shank": (LK, LA),
    "upper_arm": (LS, LE),
    "forearm": (LE, LW),
    "foot": (LC, LT),
}
"""Left ends of the segments along which offsets lie."""

SCALE: Sequence[str] = TERMS["scale"]["of"]
"""Segments whose mean fraction of stature determines the scale, because a picture does not show it.
"""


class _Offset(NamedTuple):
    joints: tuple[int, int]
    direction: str


OFFSETS: Mapping[str, _Offset] = {
    name: _Offset((LEFT[entry["joint"]], LEFT[entry["joint"]] + 1), entry["direction"])
    for name, entry in tables.load("landmark_offsets")[MEDIAPIPE]["offsets"].items()
}
"""Directions in which a keypoint may lie off the joint centre, or the line of the sole for heel and
toe, from the table landmark_offsets; they are the same for all sources."""


class PointErrors(NamedTuple):
    """Errors of a source's keypoints in the picture."""

    sd: Array  # (joint,), m at the body's distance, as in FITTED
    offset_mean: Array  # (offset,), m
    offset_sd: Array


@functools.cache
def point_errors(source: str) -> PointErrors:
    """Return the errors of the keypoints of a source, a key of the table pose_sources."""
    entry = pose_source(source)
    joints = [name.partition("_")[2].replace("foot_index", "toe") for name in FITTED]
    offsets = tables.load("landmark_offsets")[entry.offsets]["offsets"]
    return PointErrors(
        np.array([entry.picture_sd_m[joint] for joint in joints]),
        np.array([offsets[name]["mean_m"] for name in OFFSETS]),
        np.array([offsets[name]["sd_m"] for name in OFFSETS]),
    )


class _Depth(NamedTuple):
    near: int
    far: int
    sd: float  # metres
    behind: float  # fraction by which sd is larger when seen from behind


DEPTHS: Mapping[str, _Depth] = {
    name: _Depth(FITTED.index(near), FITTED.index(far), sd, behind)
    for name, (near, far, sd, behind) in TERMS["depths"]["of"].items()
}
"""Depths between joints from MediaPipe's world landmarks."""

SHARE_OF_SEVERAL: float = TERMS["depths"]["share_of_several_cameras"]
"""Weight of these depths with several cameras; low, because their errors are the same in all
views."""

DEPTH_ERRORS: Mapping[str, Mapping[str, Any]] = TERMS["depth_errors"]["of"]
"""Errors of these depths that last throughout a recording; they are unknowns of the fit."""

USUAL_STATURE = TERMS["stature"]["usual_m"]

KNEE_OF_STANDING = TERMS["standing"]["knee_deg"]
STANDING_KNEE = (KNEE_OF_STANDING["mean"], KNEE_OF_STANDING["sd"])

TILT_SD = (
    float(np.radians(TERMS["tilt"]["pitch_sd_deg"]["usual"])),
    float(np.radians(TERMS["tilt"]["roll_sd_deg"])),
)

LIMBS = (
    *((*ends, "arms") for ends in ((LS, LE, LW), (LH, LS, LE), (RS, RE, RW), (RH, RS, RE))),
    *((*ends, "knees") for ends in LEGS),
)
"""Elbows, shoulders and knees (three joints each), and the name of their width in the table."""

SEGMENT_NAMES = tuple(SEGMENTS)
USUAL_RATIOS = np.log([s.ratio for s in SEGMENTS.values()])
USUAL_RATIO_SDS = np.array([s.ratio_sd for s in SEGMENTS.values()])
FEET = (LC, LT, RC, RT)

# Indices into the shared numbers.
FOCAL_FACTOR, PITCH, ROLL, FLOOR, HEIGHT, KNEE_BEND, TRUNK_LEAN = range(7)
FIRST_LENGTH = 7
FIRST_OFFSET = FIRST_LENGTH + len(SEGMENTS)
FIRST_DEPTH_ERROR = FIRST_OFFSET + len(OFFSETS)
FIRST_FOOT = FIRST_DEPTH_ERROR + len(DEPTH_ERRORS)

PARENTS = {LE: LS, RE: RS, LW: LE, RW: RE, LK: LH, RK: RH, LA: LK, RA: RK}
PARENTS |= {LC: LA, RC: RA, LT: LA, RT: RA}

UPPER = [LS, RS, LE, RE, LW, RW]


def unit_vectors(v: Array) -> Array:
    """Return vectors of length 1 along the last axis."""
    unit: Array = v / np.maximum(np.sqrt((v * v).sum(axis=-1, keepdims=True)), 1e-9)
    return unit


def up_of(shared: Array) -> Array:
    """Return the upward direction in the axes of the first camera."""
    return unit_vectors(np.array([shared[ROLL], 1.0, shared[PITCH]]))


def camera_rotation(shared: Array) -> Array:
    """Return the matrix with the rows right, up and towards the camera, in camera axes."""
    up = up_of(shared)
    towards = unit_vectors(np.array([0.0, 0.0, 1.0]) - up * up[2])
    return np.stack([np.cross(up, towards), up, towards])


def hip_line(joints: Array) -> Array:
    """Return the vector from the left hip to the right hip, (n, 3)."""
    return joints[:, RH] - joints[:, LH]


def trunk_line(joints: Array) -> Array:
    """Return the vector from the middle of the hips to the middle of the shoulders, (n, 3)."""
    middle: Array = joints[:, SHOULDERS].mean(axis=1) - joints[:, HIPS].mean(axis=1)
    return middle


def segment_lengths(joints: Array, name: str) -> Array:
    """Return the lengths of a segment at each knot, the left side first."""
    ends = SEGMENTS[name].ends
    return np.concatenate([np.linalg.norm(joints[:, b] - joints[:, a], axis=-1) for a, b in ends])


def offset_directions(joints: Array, up: Array) -> Array:
    """Return the direction of each offset at its joints, zero elsewhere, (n, offset, joint, 3)."""
    directions = np.zeros((len(joints), len(OFFSETS), N_JOINTS, 3))
    hips = unit_vectors(hip_line(joints))
    shoulders = unit_vectors(joints[:, RS] - joints[:, LS])
    upwards = np.broadcast_to(up, hips.shape)
    of_body = {
        "up": upwards,
        "forward": unit_vectors(np.cross(upwards, hips)),
        "trunk": unit_vectors(trunk_line(joints)),
    }
    for i, offset in enumerate(OFFSETS.values()):
        for j in offset.joints:
            if offset.direction in of_body:
                directions[:, i, j] = of_body[offset.direction]
            elif offset.direction in ("hips", "shoulders"):
                outwards = hips if offset.direction == "hips" else shoulders
                directions[:, i, j] = outwards if j % 2 else -outwards
            else:
                start, end = _ALONG[offset.direction]
                along = joints[:, end + j % 2] - joints[:, start + j % 2]
                directions[:, i, j] = unit_vectors(along)
    return directions


def _mass_shares() -> Array:
    """Return the weights of the joints in the centre of mass, which sum to 1."""
    masses = tables.load("body_segments")["masses"]
    share, shoulders, hips = np.zeros((3, N_JOINTS))
    shoulders[SHOULDERS] = hips[HIPS] = 0.5
    for mass, centre in (masses["trunk"], masses["head"]):
        share += mass * ((1 - centre) * hips + centre * shoulders)
    for start, end, mass, centre in masses["limbs"]:
        for side in SIDES:
            share[FITTED.index(f"{side}_{start}")] += mass * (1 - centre)
            share[FITTED.index(f"{side}_{end}")] += mass * centre
    total: Array = share / share.sum()
    return total


MASS_SHARES = _mass_shares()

LOAD_JOINTS: Mapping[str, list[int]] = {"hands": [LW, RW], "shoulders": SHOULDERS}
"""Joints whose middle is the place of what the subject carries, by its name."""


def mass_shares(load: Load | None) -> Array:
    """Return the weights of the joints in the centre of mass of the body and what it carries."""
    if load is None:
        return MASS_SHARES
    where, mass = load
    carried = np.zeros(N_JOINTS)
    carried[LOAD_JOINTS[where]] = 0.5
    total: Array = (MASS_SHARES + mass * carried) / (1 + mass)
    return total


def in_radians(angle: Mapping[str, float]) -> tuple[float, float]:
    """Return the mean and standard deviation of an entry of the table, in radians."""
    return float(np.radians(angle["mean"])), float(np.radians(angle["sd"]))


def component_slope(v: Array, axis: Array) -> Array:
    """Return the derivative with respect to `v` of its direction's component along `axis`."""
    along = unit_vectors(v)
    slope: Array = axis - (axis * along).sum(axis=-1)[:, None] * along
    slope /= np.linalg.norm(v, axis=-1)[:, None]
    return slope


def up_slopes(shared: Array) -> Array:
    """Return the change of the up vector with pitch and roll, (3, 2)."""
    up = up_of(shared)
    length = np.sqrt(1 + shared[PITCH] ** 2 + shared[ROLL] ** 2)
    ends = np.array([[0.0, 1.0], [0.0, 0.0], [1.0, 0.0]])
    slopes: Array = (ends - np.outer(up, up @ ends)) / length
    return slopes


_LIMITS = SETTINGS["range_of_motion"]
_OVERHEAD_DEG = 150.0
"""An arm that is farther behind the trunk than this was raised in front of it, and is overhead."""

_ARMS = tuple((SHOULDERS[side], 2 + side) for side in (0, 1))


def is_possible(joints: Array, up: Array, *, planted: bool) -> bool:
    """Whether the joints bend like a person's at most of the knots.

    Parameters
    ----------
    joints
        Positions, metres, (n, joint, 3).
    up
        Upward direction in the same axes.
    planted
        Whether the feet stay in place; if so, the shanks and the trunk do not lean far back.
    """
    across = unit_vectors(hip_line(joints))
    upwards = np.broadcast_to(up, across.shape)
    forward = unit_vectors(np.cross(upwards, across))
    trunk = trunk_line(joints)
    leans = {"trunk_leans_back_deg": [-_elevation(trunk, forward, upwards)]}
    thighs, knees, shanks = [], [], []
    down = -unit_vectors(trunk - (trunk * across).sum(axis=-1, keepdims=True) * across)
    before = np.cross(across, down)  # of the trunk
    for hip, knee, ankle in LEGS:
        thigh, shank = joints[:, knee] - joints[:, hip], joints[:, ankle] - joints[:, knee]
        thighs.append(_behind(thigh, before, down))
        bend = _elevation(thigh, forward, -upwards) - _elevation(shank, forward, -upwards)
        knees.append(-(np.mod(bend + 180.0, 360.0) - 180.0))
        shanks.append(-_elevation(-shank, forward, upwards))
    arms = [_behind(joints[:, elbow] - joints[:, top], before, down) for top, elbow in _ARMS]
    beyond = {"arm_behind_deg": arms, "thigh_behind_trunk_deg": thighs, "knee_backward_deg": knees}
    if planted:
        beyond |= leans | {"shank_leans_back_deg": shanks}
    return all(
        float((angle > _LIMITS[name]).mean()) <= _LIMITS["share"]
        for name, angles in beyond.items()
        for angle in angles
    )


def _behind(line: Array, ahead: Array, along: Array) -> Array:
    """Return the angle from `along` away from `ahead`, degrees; a large angle means overhead."""
    angle = -_elevation(line, ahead, along)
    return np.where(angle > _OVERHEAD_DEG, angle - 360.0, angle)


def _elevation(line: Array, ahead: Array, along: Array) -> Array:
    """Return the angle of a line from `along` towards `ahead`, degrees, -180 to 180."""
    return np.asarray(
        np.degrees(np.arctan2((line * ahead).sum(axis=-1), (line * along).sum(axis=-1)))
    )
