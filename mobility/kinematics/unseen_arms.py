"""Frames in which the forearm is hardly visible, so that the arm has no angles.

The table ``unseen_arms`` contains the two rules, their limits, and the angles that each rule
removes.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mobility import tables
from mobility.base.provenance import cameras_of, history, last_of
from mobility.kinematics.skeleton import INDEX, SIDES, Array, angle_between, direction, landmarks

TABLE = "unseen_arms"

Mask = NDArray[np.bool_]

_OUTLINE = [INDEX[f"{side}_{joint}"] for joint in ("shoulder", "hip") for side in SIDES]
_ELBOWS, _WRISTS = ([INDEX[f"{side}_{joint}"] for side in SIDES] for joint in ("elbow", "wrist"))

_POINTS = np.linspace(0.0, 1.0, 21)
"""Points on the forearm, from elbow to wrist; those inside the outline are counted."""


def unseen_arms(fitted: xr.Dataset) -> dict[str, dict[str, Mask]]:
    """Return the frames in which the angles of an arm are not reported, by angle and reason.

    Parameters
    ----------
    fitted
        Body from :func:`~mobility.kinematics.fit.entry.fit_body`, with ``image_position`` of the
        first camera. Further cameras see the fitted body from the places that the fit estimated.

    Returns
    -------
    dict
        For each angle of the table and each rule (by name), whether the rule removes the angle:
        (time, side). With several cameras, a rule must apply in each of them. A missing landmark
        does not remove an angle. The result is empty for a body without a picture or camera.
    """
    table = tables.load(TABLE)
    camera = last_of(history(fitted), "fit_body")
    if "image_position" not in fitted or "camera_pitch_deg" not in camera:
        return {}
    position, pixels = landmarks(fitted), landmarks(fitted, "image_position")
    cameras = _camera_places(fitted, camera, position, pixels)
    pictures = [pixels, *(_projected(position, camera) for camera in cameras[1:])]
    rules = {
        "across_trunk": np.stack([_across_trunk(picture) for picture in pictures]),
        "at_camera": np.stack([_at_camera(position, camera) for camera in cameras]),
    }
    masks: dict[str, dict[str, Mask]] = {}
    for angle in dict.fromkeys(angle for rule in rules for angle in table[rule]["angles"]):
        holding = {rule: mask for rule, mask in rules.items() if angle in table[rule]["angles"]}
        in_every_camera = np.any(list(holding.values()), axis=0).all(axis=0)
        masks[angle] = {rule: in_every_camera & mask.any(axis=0) for rule, mask in holding.items()}
    return masks


def _across_trunk(picture: Array) -> Mask:
    """Whether the forearm crosses the outline of shoulders and hips in a picture, v downwards."""
    limits = tables.load(TABLE)["across_trunk"]
    elbow, along = picture[:, _ELBOWS], picture[:, _WRISTS] - picture[:, _ELBOWS]
    points = elbow + along * _POINTS[:, None, None, None]
    inside = np.zeros(points.shape[:-1], dtype=bool)
    # The four corners in any order, also for a trunk that is seen twisted.
    for corners in itertools.combinations(_OUTLINE, 3):
        first, second, third = (picture[:, corner, None] for corner in corners)
        turns = np.stack(
            [
                _cross(b - a, points - a)
                for a, b in ((first, second), (second, third), (third, first))
            ]
        )
        inside |= (turns > 0).all(axis=0) | (turns < 0).all(axis=0)
    shoulders, hips = picture[:, _OUTLINE[:2]].mean(axis=1), picture[:, _OUTLINE[2:]].mean(axis=1)
    down = (hips - shoulders)[:, None]
    turn = np.degrees(np.arctan2(np.abs(_cross(down, along)), (down * along).sum(axis=-1)))
    mask: Mask = (turn > limits["from_trunk_deg"]) & (inside.mean(axis=0) > limits["share"])
    return mask


def _at_camera(position: Array, camera: Array) -> Mask:
    """Whether the forearm points along the line of sight from a camera to the elbow."""
    elbow = position[:, _ELBOWS]
    turn = angle_between(position[:, _WRISTS] - elbow, elbow - camera)
    mask: Mask = np.minimum(turn, 180.0 - turn) < tables.load(TABLE)["at_camera"]["within_deg"]
    return mask


def _camera_places(
    fitted: xr.Dataset, camera: Mapping[str, Any], position: Array, pixels: Array
) -> list[Array]:
    """Return the places of the cameras in the axes of the fitted body, metres.

    `camera` is the history entry of the fit. The first camera is above the origin, at the height
    from which shoulders and hips are seen.
    """
    roll, pitch = (np.tan(np.radians(camera[f"camera_{name}_deg"])) for name in ("roll", "pitch"))
    up = direction(np.array([roll, 1.0, pitch]))
    towards = direction(np.array([0.0, 0.0, 1.0]) - up * up[2])
    level = np.stack([np.cross(up, towards), up, towards])
    trunk, outline = position[:, _OUTLINE], pixels[:, _OUTLINE]
    centre = np.array([fitted.attrs["image_width"], fitted.attrs["image_height"]]) / 2
    sight = np.concatenate(
        [
            (outline - centre) * [1.0, -1.0],
            np.full((*outline.shape[:2], 1), -camera["focal_length_px"]),
        ],
        axis=-1,
    )
    sight = sight @ level.T
    slope = sight[..., 1] / np.linalg.norm(sight[..., [0, 2]], axis=-1)
    height = trunk[..., 1] - slope * np.linalg.norm(trunk[..., [0, 2]], axis=-1)
    first = np.array([0.0, np.median(height[np.isfinite(height)]), 0.0])
    places = [first]
    for further in cameras_of(fitted)[1:]:
        rotation, translation = (np.array(further[k]) for k in ("rotation", "translation_m"))
        places.append(first - level @ rotation.T @ translation)
    return places


def _projected(position: Array, camera: Array) -> Array:
    """Project the body onto a vertical plane in front of a camera, v downwards."""
    from_camera = position - camera
    trunk = np.nanmedian(from_camera[:, _OUTLINE], axis=(0, 1))
    ahead = direction(trunk * [1.0, 0.0, 1.0])
    right = np.cross(ahead, [0.0, 1.0, 0.0])
    across = np.stack([from_camera @ right, -from_camera[..., 1]], axis=-1)
    picture: Array = across / (from_camera @ ahead)[..., None]
    return picture


def _cross(first: Array, second: Array) -> Array:
    turn: Array = first[..., 0] * second[..., 1] - first[..., 1] * second[..., 0]
    return turn
