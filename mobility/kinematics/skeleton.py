"""The body model, from ``tables/landmarks.yaml``, and each angle as a function of its points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mobility import tables

_TABLE = tables.load("landmarks")

SIDES: tuple[str, str] = ("left", "right")
"""The subject's left and right, in the order of every ``side`` coordinate."""

KEYPOINTS: tuple[str, ...] = tuple(_TABLE["landmarks"]["names"])
"""The 33 landmarks in MediaPipe's order."""

FITTED: tuple[str, ...] = tuple(
    f"{side}_{name}"
    for name in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle", "heel", "foot_index")
    for side in SIDES
)
"""The fitted joints; all other landmarks are only carried along for drawing."""

INDEX: Mapping[str, int] = {name: i for i, name in enumerate(KEYPOINTS)}
"""Position of each landmark in :data:`KEYPOINTS`."""

SEGMENTS: Mapping[str, tuple[str, str]] = {
    f"{side}_{name}": (f"{side}_{ends[0]}", f"{side}_{ends[1]}")
    for name, ends in _TABLE["segments"]["sided"].items()
    for side in SIDES
}
"""Proximal and distal landmark of each segment, by its sided name (``left_thigh``)."""

BONES: tuple[tuple[str, str], ...] = tuple(
    (f"{side}_{a}", f"{side}_{b}") for a, b in _TABLE["bones"]["sided"] for side in SIDES
) + tuple((f"left_{name}", f"right_{name}") for name in _TABLE["bones"]["across"])
"""Pairs of landmarks that figures and overlays join by a line."""

_AXES = {"space": ["x", "y", "z"], "pixel": ["u", "v"]}


def landmarks(
    pose: xr.Dataset, name: str = "position", *, keypoints: Sequence[str] = KEYPOINTS
) -> NDArray[np.float64]:
    """Return the values of a pose variable: (time, landmark), then x, y, z or u, v."""
    variable = pose[name].isel(individual=0, drop=True, missing_dims="ignore")
    last = {dim: labels for dim, labels in _AXES.items() if dim in variable.dims}
    points = variable.sel({"keypoint": list(keypoints), **last})
    return points.transpose("time", "keypoint", *last).to_numpy().astype(np.float64)


def never_there(pose: xr.Dataset, names: Sequence[str]) -> list[str]:
    """Return the `names` that are missing in the keypoints of a pose in every frame."""
    if "confidence" not in pose or not pose["confidence"].notnull().any():
        return []
    absent = np.asarray(np.isnan(landmarks(pose, "confidence", keypoints=names)).all(axis=0))
    return [name for name, is_absent in zip(names, absent, strict=True) if is_absent]


FEET: tuple[str, ...] = tuple(f"{side}_{name}" for side in SIDES for name in ("heel", "foot_index"))
"""Landmarks of the feet, which many models lack."""


def is_without_feet(pose: xr.Dataset) -> bool:
    """Whether the keypoints of a pose have neither heels nor toes."""
    return len(never_there(pose, FEET)) == len(FEET)


def other_side(name: str) -> str:
    """Return the name of the same landmark or segment on the other side, if there is one."""
    if "left" in name:
        return name.replace("left", "right")
    return name.replace("right", "left")


Array = NDArray[np.float64]

_CUT = -90.0
"""Degrees; signed angles are in (-90, 270], so that they only jump at a value that no joint
reaches.
"""

_MIN_LENGTH = 1e-9
"""Metres; a shorter vector has no direction."""

_LYING = np.cos(np.radians(60.0))
"""Least horizontal part of the unit vector along the hip line; below it (60 degrees), the direction
to the right is undefined.
"""

_KNEE = (10.0, 30.0)
_ELBOW = (15.0, 20.0)
"""Largest angle, in degrees, by which a straight joint is bent: sideways (varus, valgus; the
carrying angle of the elbow), and in any direction (hyperextension). A bend of twice as much
or more is flexion.
"""

_CREASE = (45.0, 90.0)
"""Elevation of the arm in degrees: up to 45, the crease of the elbow faces forward; from 90 on, it
may face in any direction.
"""

_BEHIND = (110.0, 150.0)
"""Degrees from straight forward: an arm is beside the body up to the first value (20 behind the
side, because its plane is that uncertain), and extended backwards from the second value on.
"""

_EXTENSION = (60.0, 90.0)
"""Degrees; an arm is extended backwards up to the first value, and overhead above the second."""


def nan_mean(values: Array, *, axis: int) -> Array:
    """Return the mean of the values that are not NaN, as np.nanmean but without a warning."""
    present = ~np.isnan(values)
    count = present.sum(axis=axis)
    total = np.where(present, values, 0.0).sum(axis=axis)
    mean: Array = total / np.where(count, count, np.nan)
    return mean


def direction(v: Array) -> Array:
    """Scale vectors (last axis) to unit length; NaN if the length is zero."""
    length = np.sqrt((v * v).sum(axis=-1, keepdims=True))
    unit: Array = v / np.where(length > _MIN_LENGTH, length, np.nan)
    return unit


def angle_between(u: Array, v: Array) -> Array:
    r"""Return the unsigned angle between vectors, degrees.

    :math:`\mathrm{atan2}(|u \times v|, u \cdot v)` is accurate near 0 and 180 degrees, unlike an
    arc cosine. NaN if either vector has no length.
    """
    u, v = direction(u), direction(v)
    cross = np.cross(u, v)
    sine, cosine = np.sqrt((cross * cross).sum(axis=-1)), (u * v).sum(axis=-1)
    angle: Array = np.degrees(np.arctan2(sine, cosine))
    return angle


def body_frame(left_hip: Array, right_hip: Array) -> Array:
    """Return forward, up and right unit vectors (..., 3, 3), from both hips (..., 3), y up.

    NaN if the hip line is more than 60 degrees from the horizontal (the subject lies on the side)
    or has no length.
    """
    across = direction(right_hip - left_hip)
    flat = across * np.array([1.0, 0.0, 1.0])
    level = np.hypot(flat[..., 0], flat[..., 2])
    right = direction(np.where((level >= _LYING)[..., None], flat, np.nan))
    up = np.broadcast_to(np.array([0.0, 1.0, 0.0]), right.shape)
    up = np.where(np.isnan(right), np.nan, up)
    return np.stack([np.cross(up, right), up, right], axis=-2)


def sagittal_angle(u: Array, v: Array, frame: Array) -> Array:
    """Return the signed angle from `u` to `v` about eZ, degrees in (-90, 270].

    Components along eZ are removed first. The branch is cut at -90 rather than at 180 degrees. The
    angle of hanging arms is near 180, and would otherwise jump by 360 with every small movement. No
    measured angle is near -90.
    """
    ux, uy = _forward_and_up(u, frame)
    vx, vy = _forward_and_up(v, frame)
    flat = np.minimum(np.hypot(ux, uy), np.hypot(vx, vy))
    angle = np.degrees(np.arctan2(ux * vy - uy * vx, ux * vx + uy * vy))
    return np.where(flat > _MIN_LENGTH, _unwrapped(angle), np.nan)


def knee_flexion(thigh: Array, shank: Array, across: Array) -> Array:
    """Return the angle between thigh and shank, negative if the knee is hyperextended, degrees.

    It is the angle in space, unless the knee is nearly straight, because that angle has no sign.
    For a nearly straight knee, it is the component about the hip line, because up to 10 degrees of
    sideways bend are varus or valgus.

    A bend of more than 20 degrees sideways, or of more than 60 degrees in any direction, means a
    turned or bent leg, and counts fully as flexion. Between 10 and 20 degrees sideways, and between
    30 and 60 degrees in total, one definition blends into the other, so that the angle does not
    jump.

    The angle has no sign if the line `across` from the left to the right hip has no length.
    """
    size, cosine = _bend(thigh, shank, -across)
    return _signed_flexion(size, cosine, *_KNEE)


def elbow_flexion(upper_arm: Array, forearm: Array, down: Array, across: Array) -> Array:
    """Return the angle between upper arm and forearm, negative if a hanging elbow is hyperextended.

    Degrees, like :func:`knee_flexion`, but the transition is from 15 to 30 degrees sideways (for
    the carrying angle) and from 20 to 40 in total. The angle has a sign only while the arm hangs
    (`down` the trunk) and the crease of the elbow faces forward. On a raised arm the direction of
    the crease depends on the axial rotation of the upper arm, which is invisible if shoulder, elbow
    and wrist are in line. The sign therefore fades out between 45 and 90 degrees of elevation.
    """
    size, cosine = _bend(upper_arm, forearm, across)
    raised = _share(angle_between(down, upper_arm), _CREASE)
    return _signed_flexion(size, np.where(np.isnan(raised), np.nan, cosine), *_ELBOW, raised)


def shoulder_flexion(down: Array, upper_arm: Array, across: Array) -> Array:
    """Return the angle between trunk and upper arm, negative behind the trunk, degrees.

    The angle is positive in front of and beside the trunk, up to a plane of elevation of 110
    degrees, negative (extension) from 150 on, and goes through zero between them. Nobody extends an
    arm by more than about 60 degrees. Beyond 90 degrees an arm is overhead, on either side of the
    head. The angle has no sign if the line `across` from the left to the right hip has no length.
    """
    size, cosine = _bend(down, upper_arm, across)
    azimuth = np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)))
    behind = _share(azimuth, _BEHIND) * (1.0 - _share(size, _EXTENSION))
    return np.where(np.isnan(cosine), size, size * (1.0 - 2.0 * behind))


def _bend(u: Array, v: Array, hinge: Array) -> tuple[Array, Array]:
    """Return the angle from `u` to `v`, and the cosine between the axis of that turn and `hinge`.

    Only the part of `hinge` perpendicular to `u` counts. The cosine is NaN if the turn has no axis.
    """
    u = direction(u)
    hinge = direction(hinge)
    hinge = direction(hinge - (hinge * u).sum(axis=-1, keepdims=True) * u)
    axis = direction(np.cross(u, direction(v)))
    return angle_between(u, v), (axis * hinge).sum(axis=-1)


def _signed_flexion(
    size: Array, cosine: Array, sideways: float, back: float, unsigned: Array | float = 0.0
) -> Array:
    """Return the component of a small bend about a hinge, or a large bend as a whole."""
    along = size * cosine
    aside = size * np.sqrt(np.clip(1.0 - cosine**2, 0.0, None))
    size_share = np.maximum(_share(aside, (sideways, 2 * sideways)), _share(size, (back, 2 * back)))
    size_share = np.maximum(size_share, unsigned)
    return np.where(np.isnan(cosine), size, along + size_share * (size - along))


def _share(value: Array, ends: tuple[float, float]) -> Array:
    """Return the position of a value between `ends`, from 0 to 1."""
    return np.clip((value - ends[0]) / (ends[1] - ends[0]), 0.0, 1.0)


def _forward_and_up(v: Array, frame: Array) -> tuple[Array, Array]:
    return (v * frame[..., 0, :]).sum(axis=-1), (v * frame[..., 1, :]).sum(axis=-1)


def _unwrapped(angle: Array) -> Array:
    return np.where(angle <= _CUT, angle + 360.0, angle)


def angles_from_points(points: Array) -> dict[str, Array]:
    """Compute all angles of positions (time, 33, 3) in MediaPipe's order, metres, y up.

    Degrees by name: (time, 2) for left and right, (time,) for the body as a whole.
    """
    left, right = (points[:, INDEX[f"{side}_hip"]] for side in SIDES)
    return angles_in(points, body_frame(left, right), right - left)


def angles_in(points: Array, frame: Array, across: Array) -> dict[str, Array]:
    """Compute angles in the subject's frame (time, 3, 3), whose rows are forward, up and right.

    `across` (time, 3) is the line of the hips; if it is NaN, knees, elbows and shoulders have no
    sign.
    """

    def pair(name: str) -> Array:
        return points[:, [INDEX[f"{side}_{name}"] for side in SIDES]]

    shoulder, elbow, wrist = pair("shoulder"), pair("elbow"), pair("wrist")
    hip, knee, ankle = pair("hip"), pair("knee"), pair("ankle")
    foot = pair("foot_index") - pair("heel")
    frames, hip_line = frame[:, None], across[:, None]
    thigh, shank = knee - hip, ankle - knee
    mid_hip, mid_shoulder = hip.mean(axis=1), shoulder.mean(axis=1)
    spine = mid_shoulder - mid_hip
    down = -spine[:, None]
    outwards = np.array([-1.0, 1.0])
    defined = np.where(np.isnan(frame[:, 1, 1]), np.nan, 1.0)

    def lean(v: Array, axes: Array) -> Array:
        forward, up = _forward_and_up(direction(v), axes)
        return _unwrapped(np.degrees(np.arctan2(forward, up)))

    def elevation(v: Array) -> Array:
        unit = direction(v)
        return np.degrees(np.arctan2(unit[..., 1], np.hypot(unit[..., 0], unit[..., 2])))

    def aside(v: Array, axis: Array) -> Array:
        sine = (direction(v) * axis).sum(axis=-1)
        return np.asarray(np.degrees(np.arcsin(np.clip(sine, -1.0, 1.0))))

    upper_arm = elbow - shoulder
    arms = wrist.mean(axis=1) - mid_shoulder
    return {
        "knee_flexion": knee_flexion(thigh, shank, hip_line),
        "hip_flexion": sagittal_angle(down, thigh, frames),
        "ankle_dorsiflexion": 90.0 - angle_between(foot, -shank),
        "hip_abduction": outwards * aside(thigh, direction(hip_line)),
        "shoulder_flexion": shoulder_flexion(down, upper_arm, hip_line),
        "elbow_flexion": elbow_flexion(upper_arm, wrist - elbow, down, hip_line),
        "tibia_inclination": lean(-shank, frames),
        "thigh_elevation": elevation(-thigh) * defined[:, None],
        "trunk_lean": lean(spine, frame),
        "trunk_lateral_lean": aside(spine, frame[:, 2]),
        "pelvis_obliquity": elevation(hip[:, 1] - hip[:, 0]) * defined,
        "arm_fall": _unwrapped(-sagittal_angle(spine, arms, frame)),
    }


def called(angle: str) -> str:
    """Return the name of an angle for people, without brackets: "pelvic obliquity"."""
    entry = tables.load("angles").get(angle, {})
    return str(entry.get("long_name", angle.replace("_", " "))).partition(" (")[0]


def definitions() -> dict[str, Mapping[str, Any]]:
    """Return the definitions of all angles, including those of single-joint analyses."""
    pictured = tables.load("in_picture")["angles"].items()
    single = {name: entry["definition"] for name, entry in pictured if "definition" in entry}
    return {**tables.load("angles"), **single}


def of_single_joints(body: Mapping[str, Array]) -> dict[str, Array]:
    """Return the angles that only single-joint analyses have, (..., side).

    `body` are the angles of the whole body, or deviations of them; missing angles are NaN.
    """
    angles = {}
    for name, entry in tables.load("in_picture")["angles"].items():
        if "definition" in entry:
            right = (
                body[entry["body"]] if "body" in entry else np.full_like(body["trunk_lean"], np.nan)
            )
            angles[name] = np.stack([-right, right], axis=-1)
    return angles
