"""Direction from which the camera sees the subject: azimuth, its error, and the kind of view."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mobility import tables
from mobility.base.options import likely, quoted
from mobility.base.provenance import cameras_of
from mobility.errors import BadInputError

Array = NDArray[np.float64]

UNKNOWN = "unknown"
_SIDE = "side"

TWO_CAMERAS = "two-cameras"
"""View of a subject seen by two cameras from clearly different directions."""

VIEWS = ("front", "front-oblique", "side", "back-oblique", "back")
"""Kinds of view of one camera, as in ``views.yaml``."""

SAME_PLACE_DEG = 10.0
"""Largest angle between cameras that count as being in the same place. Test-retest errors were
measured within 4 degrees, and a direction has an error of several degrees.
"""

_STANDING = 0.9
"""Least share of the usual height of the hips above the feet at which a frame counts as standing.
"""

_LEAST_FLAT = 0.3
"""Horizontal length of a unit vector along hips or shoulders below which it has no heading."""

_LINES = (("left_hip", "right_hip"), ("left_shoulder", "right_shoulder"))
_SIDES = ("left", "right")
_FEET = ("left_ankle", "right_ankle")
_Z95 = 1.96
_LEG = ("knee", "ankle", "heel", "foot_index")


def turn(azimuth_deg: Any, from_deg: Any) -> Any:
    """Return the angle from one direction to another, -180 to 180 degrees; arrays are allowed."""
    return (azimuth_deg - from_deg + 180) % 360 - 180


@dataclass(frozen=True)
class View:
    """View of an entire recording.

    Attributes
    ----------
    kind
        "front", "front-oblique", "side", "back-oblique", "back" (stored names, see ``views.yaml``),
        or "unknown".
    name
        The kind, followed by the side of the subject that the camera sees: "front-oblique left".
        For "side", it is only "left" or "right".
    azimuth_deg
        Angle about the vertical from the subject's forward axis to the camera: 0 = the subject
        faces the camera, positive = the camera is on the subject's right, in (-180, 180]. NaN if it
        is unknown.
    sd_deg
        Standard deviation of the error of the azimuth.
    """

    kind: str
    name: str
    azimuth_deg: float
    sd_deg: float


def camera_view(pose: xr.Dataset) -> View:
    r"""Return the view of a recording: the median over the standing frames.

    The forward axis is up × (right − left), from the lines through the hips and the shoulders
    together. In a standing frame the height of the hips above the ankles is at least 90 % of its
    maximum (95th percentile). If the ankles were not seen, all frames count.

    A diagonal view counts as a view from the side if its error includes views from the side, and if
    the picture shows one leg in front of the other (``one_leg`` in ``views.yaml``). Its azimuth
    stays as it was measured.

    Parameters
    ----------
    pose
        Pose Dataset of one person whose z axis points towards the camera: world landmarks, or a
        fitted body. For a fitted body, the direction of the camera is computed from the subject's
        place. Without 3-D positions the view is unknown.

    Returns
    -------
    View
        For a fitted body, the error is the spread over its posterior. Otherwise it combines half of
        the difference between hips and shoulders with the spread over the frames. In both cases the
        usual error of that kind of view is added.
    """
    if "position" not in pose:
        return view_of(float("nan"))
    position = pose["position"]
    if "individual" in position.dims:
        position = position.isel(individual=0, drop=True)
    names = [*_FEET, *(name for line in _LINES for name in line)]
    absent = [name for name in names if name not in position["keypoint"].to_numpy()]
    if absent or pose.sizes["time"] == 0:
        return view_of(float("nan"))
    points = position.sel(space=["x", "y", "z"]).transpose("keypoint", "time", "space")
    joints = {name: points.sel(keypoint=name).to_numpy().astype(np.float64) for name in names}
    placed = "position_draws" in pose  # a fit puts the camera at x = z = 0
    by_line, together = _azimuths(joints, np.zeros(2) if placed else None)
    usable = _usable_frames(joints, together)
    if not usable.any():
        return view_of(float("nan"))
    azimuth = _median_angle(together[usable])
    if placed:
        sd = _spread_of_draws(pose, azimuth)
    else:
        medians = [_median_angle(line[usable & np.isfinite(line)]) for line in by_line]
        half = _wrapped(np.diff(medians)) / 2
        deviation = np.abs(_wrapped(together[usable] - azimuth))
        sd = float(np.hypot(np.nan_to_num(half[0]), 1.4826 * np.median(deviation)))
    view = view_of(azimuth, sd)
    if _may_be_side(view) and _shows_one_leg(pose, usable):
        return replace(view, kind=_SIDE, name="right" if azimuth > 0 else "left")
    return view


def _may_be_side(view: View) -> bool:
    """Whether the error of a diagonal view extends to a view from the side."""
    kinds = tables.load("views")["views"]
    first, last = (kinds[kind]["largest_azimuth_deg"] for kind in ("front-oblique", _SIDE))
    degrees_outside = max(first - abs(view.azimuth_deg), abs(view.azimuth_deg) - last)
    return view.kind in ("front-oblique", "back-oblique") and degrees_outside <= _Z95 * view.sd_deg


def _shows_one_leg(pose: xr.Dataset, usable: NDArray[np.bool_]) -> bool:
    """Whether a standing person's legs and shoulders look as they do from the side."""
    table = tables.load("views")["one_leg"]
    one = pose.isel(individual=0, drop=True) if "individual" in pose.dims else pose
    one = one.isel(time=usable)
    signs = []
    if "image_position" in one:
        marks = one["image_position"].sel(pixel=["u", "v"]).transpose("keypoint", "time", "pixel")
        hips, shoulders = (marks.sel(keypoint=list(line)) for line in _LINES)
        trunk = shoulders.mean("keypoint", skipna=False) - hips.mean("keypoint", skipna=False)
        length = float(((trunk**2).sum("pixel", skipna=False) ** 0.5).median("time"))
        for line, limit in ((_LINES[1], "shoulders_apart"), (_FEET, "feet_apart")):
            across = marks.sel(keypoint=line[0], pixel="u") - marks.sel(keypoint=line[1], pixel="u")
            signs.append(float(abs(across).median("time")) < table[limit] * length)
    if "confidence" in one:
        visibility = [
            float(one["confidence"].sel(keypoint=[f"{side}_{name}" for name in _LEG]).mean())
            for side in ("left", "right")
        ]
        signs.append(min(visibility) < table["far_leg_visibility"])
    return bool(sum(signs) >= table["least_signs"])


def azimuth_of(joints: Mapping[str, Array], camera: Array) -> float:
    """Return the azimuth of a camera at a given place, as in :func:`camera_view`.

    Parameters
    ----------
    joints
        Hips, shoulders and ankles by name (time, 3), y up.
    camera
        Place of the camera (x, z) in the same axes.
    """
    _, together = _azimuths(joints, camera)
    return _median_angle(together[_usable_frames(joints, together)])


def azimuths(pose: xr.Dataset) -> list[float]:
    """Return the azimuth of every camera of a recording, degrees; NaN if it is unknown.

    Parameters
    ----------
    pose
        As in :func:`camera_view`; or a body that was fitted to several cameras.
    """
    return [camera_view(pose).azimuth_deg, *_azimuths_of_others(pose)]


def _azimuths_of_others(pose: xr.Dataset) -> list[float]:
    return [float(camera["azimuth_deg"]) for camera in cameras_of(pose)[1:]]


def trial_view(pose: xr.Dataset) -> str:
    """Return the name of the view that decides which metrics of a recording can be reported.

    Parameters
    ----------
    pose
        As in :func:`camera_view`; or a body that was fitted to several cameras.

    Returns
    -------
    str
        "two-cameras" if the angle between the lines of sight of two cameras is as large as
        ``views.yaml`` requires, otherwise the name of :func:`best_view`.
    """
    least = tables.load("views")["two_cameras"]["least_apart_deg"]
    camera_azimuths = np.array([camera["azimuth_deg"] for camera in cameras_of(pose)])
    apart = np.abs(_wrapped(camera_azimuths[:, None] - camera_azimuths))
    if ((apart >= least) & (apart <= 180.0 - least)).any():
        return TWO_CAMERAS
    return best_view(pose).name


def best_view(pose: xr.Dataset) -> View:
    """Return the view of the first camera that sees the frontal plane, or else of the first camera.

    Parameters
    ----------
    pose
        As in :func:`trial_view`.
    """
    views = _views(pose)
    return next((view for view in views if _sees_frontal_plane(view.kind)), views[0])


def _views(pose: xr.Dataset) -> list[View]:
    return [camera_view(pose), *map(view_of, _azimuths_of_others(pose))]


def _sees_frontal_plane(kind: str) -> bool:
    return bool(tables.load("views")["views"].get(kind, {}).get("frontal_plane", True))


def near_side(pose: xr.Dataset) -> Literal["left", "right"] | None:
    """Return the side of the body that all cameras are on, so that it hides the other side.

    In this case nothing is reported for the far side. Every function that reports one side
    therefore calls this function.

    Parameters
    ----------
    pose
        As in :func:`trial_view`.

    Returns
    -------
    str or None
        "left" or "right"; None if both sides are seen or the view is unknown.
    """
    sides: dict[str, Literal["left", "right"]] = {"left": "left", "right": "right"}
    names = {view.name for view in _views(pose)}
    return sides.get(names.pop()) if len(names) == 1 else None


def hides_frontal_plane(pose: xr.Dataset) -> str:
    """Return the kind of view if it hides the frontal plane, otherwise an empty text.

    Such a view (marked in ``views.yaml``) also hides every difference between the sides.

    Parameters
    ----------
    pose
        As in :func:`trial_view`.
    """
    view = trial_view(pose)
    kind = view if view == UNKNOWN else view_kind(view)
    return "" if _sees_frontal_plane(kind) else kind


def view_of(azimuth_deg: float, sd_deg: float = 0.0) -> View:
    """Return the view for an azimuth (see :class:`View`).

    Parameters
    ----------
    azimuth_deg
        Direction of the camera; NaN if it is unknown.
    sd_deg
        Its error; the usual error of that kind of view is added.
    """
    if not np.isfinite(azimuth_deg):
        return View(UNKNOWN, UNKNOWN, float("nan"), float("nan"))
    views = tables.load("views")["views"]
    kind = next(k for k, v in views.items() if abs(azimuth_deg) <= v["largest_azimuth_deg"])
    side = "right" if azimuth_deg > 0 else "left"
    name = {"front": kind, "back": kind, "side": side}.get(kind, f"{kind} {side}")
    sd = float(np.hypot(sd_deg, views[kind]["azimuth_sd_deg"]))
    return View(kind, name, float(azimuth_deg), sd)


def view_of_azimuth(azimuth: float) -> str:
    """Return the kind of view for a camera at an azimuth (degrees, 0 in front of the subject)."""
    return view_of((azimuth + 180.0) % 360.0 - 180.0).kind


def view_kind(view: str) -> str:
    """Return the kind of a view from its name, with or without a side; or "two-cameras"."""
    words = view.replace("-", " ").replace(",", " ").split()
    kind = "-".join(word for word in words if word not in ("from", "the", "left", "right"))
    if not kind and words:
        kind = "side"  # "left", "right"
    if kind not in (*VIEWS, TWO_CAMERAS):
        raise BadInputError(f"no view {view!r}{likely(view, VIEWS)} (one of {', '.join(VIEWS)})")
    return kind


def supports(view: View, angle: str) -> bool | None:
    """Whether the table lists the view for an angle; None if either is unknown."""
    entry = tables.load("angles").get(angle)
    return None if entry is None or view.kind == UNKNOWN else view.kind in entry["seen"]["from"]


def _azimuths(joints: Mapping[str, Array], camera: Array | None) -> tuple[list[Array], Array]:
    """Return the azimuths from the hips, from the shoulders, and from both together, degrees."""
    towards = np.array([0.0, 1.0])  # (x, z) of the direction to the camera
    if camera is not None:
        to_camera = camera - (joints["left_hip"] + joints["right_hip"])[..., [0, 2]] / 2
        distance = np.linalg.norm(to_camera, axis=-1, keepdims=True)
        towards = to_camera / np.where(distance > 0, distance, np.nan)
    directions = []
    for left, right in _LINES:
        line = joints[right] - joints[left]
        length = np.linalg.norm(line, axis=-1, keepdims=True)
        unit = line / np.where(length > 0, length, np.nan)
        flat = np.hypot(unit[..., 0], unit[..., 2])
        # up × right = (right_z, 0, -right_x): forward, seen from above.
        level = np.where(flat >= _LEAST_FLAT, flat, np.nan)
        forward = np.stack([unit[..., 2], -unit[..., 0]], axis=-1) / level[..., None]
        # Angle from forward to the camera, positive to the subject's right, which is -forward × up.
        sine = forward[..., 0] * towards[..., 1] - forward[..., 1] * towards[..., 0]
        cosine = (forward * towards).sum(axis=-1)
        directions.append(np.stack([cosine, sine], axis=-1))
    finite = np.isfinite(directions)
    both = np.where(finite, directions, 0.0).sum(axis=0)
    both[~finite.any(axis=(0, 2))] = np.nan
    return [_angle(d) for d in directions], _angle(both)


def _angle(direction: Array) -> Array:
    angle: Array = np.degrees(np.arctan2(direction[..., 1], direction[..., 0]))
    return angle


def _wrapped(angle: Array) -> Array:
    return (angle + 180.0) % 360.0 - 180.0


def _median_angle(angles: Array) -> float:
    """Return the median of directions in degrees, from their deviations from the mean direction."""
    if not angles.size:
        return float("nan")
    mean = np.degrees(np.angle(np.exp(1j * np.radians(angles)).mean()))
    median = float(_wrapped(np.asarray(mean + np.median(_wrapped(angles - mean)))))
    return 180.0 if median == -180.0 else median


def _usable_frames(joints: Mapping[str, Array], together: Array) -> NDArray[np.bool_]:
    """Return standing frames with an azimuth, or all frames with an azimuth if nobody stands."""
    finite = np.isfinite(together)
    standing: NDArray[np.bool_] = _standing(joints) & finite
    return standing if standing.any() else finite


def _standing(joints: Mapping[str, Array]) -> NDArray[np.bool_]:
    hips, feet = (
        (joints[f"left_{name}"] + joints[f"right_{name}"])[:, 1] / 2 for name in ("hip", "ankle")
    )
    height = hips - feet
    finite = np.isfinite(height)
    if not finite.any():
        return np.ones(height.shape, bool)
    usual = np.percentile(height[finite], 95)
    standing: NDArray[np.bool_] = finite & (height >= _STANDING * usual)
    return standing


def _spread_of_draws(fitted: xr.Dataset, azimuth: float) -> float:
    """Return the root mean square deviation of the median azimuth over the posterior samples."""
    order = ("fit_time", "fit_space", "fit_keypoint")
    names = fitted["fit_keypoint"].to_numpy().tolist()
    fit = fitted["fit_position"].transpose(*order).to_numpy()
    medians = []
    for draw in fitted["position_draws"].transpose("draw", *order).to_numpy():
        body = fit + draw
        joints = {
            name: body[:, :, names.index(name)]
            for name in (*_FEET, *(name for line in _LINES for name in line))
        }
        medians.append(azimuth_of(joints, np.zeros(2)))
    deviations = _wrapped(np.array(medians) - azimuth)
    deviations = deviations[np.isfinite(deviations)]
    return float(np.sqrt((deviations**2).mean())) if deviations.size else float("nan")


def view_name(text: str) -> str:
    """Return the name of a view, given its name or the words that pages use for it."""
    of_side = {f"side {side}": side for side in _SIDES}
    sided = [f"{kind} {side}" for kind in ("front-oblique", "back-oblique") for side in _SIDES]
    names = [*VIEWS, *_SIDES, *sided]
    by_words = {_words_of(view): view for view in (*names, TWO_CAMERAS)}
    by_words |= {_words_of(view): name for view, name in of_side.items()}
    by_words |= {_words_of(view_in_words(view)): view for view in names}
    name = by_words.get(_words_of(text))
    if name is None:
        fault = f"no view {quoted(text)}{likely(text.lower(), names)} (one of {', '.join(names)})"
        raise BadInputError(fault)
    if name == TWO_CAMERAS:
        fault = f"{text} needs two videos. Check each video separately, with its own view"
        raise BadInputError(fault)
    return name


def _words_of(view: str) -> frozenset[str]:
    words = {"back" if word == "behind" else word for word in re.findall(r"[^\s,-]+", view.lower())}
    return frozenset(words - {"from", "the", "on"})


def degrees_from(view: str, azimuth_deg: float) -> float:
    """Return by how many degrees an azimuth lies outside a view; 0 if it is inside."""
    kinds = tables.load("views")["views"]
    kind = view_kind(view)
    edges = [0.0, *(entry["largest_azimuth_deg"] for entry in kinds.values())]
    first, last = edges[list(kinds).index(kind)], edges[list(kinds).index(kind) + 1]
    side = view.split()[-1]
    to_side = {"left": -azimuth_deg, "right": azimuth_deg}.get(side, abs(azimuth_deg))
    return float(max(first - to_side, to_side - last, 0.0))


def view_in_words(name: str) -> str:
    """Return in words from where the camera sees the person in a view."""
    return tables.sentence(f"capture.views.{name.replace('-', '_').replace(' ', '_')}")
