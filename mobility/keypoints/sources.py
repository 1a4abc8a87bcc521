"""What gives keypoints, and what is known of it: the table ``pose_sources``."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Literal, NamedTuple

import xarray as xr

from mobility import tables
from mobility.errors import BadInputError
from mobility.options import likely, quoted

MEDIAPIPE, OTHER = "mediapipe", "other"
"""Keys of the sources that the package names itself."""


class PoseSource(NamedTuple):
    """An entry of the table."""

    key: str
    name: str
    depth: Literal["world", "none"]
    delay_s: float
    picture_sd_m: Mapping[str, float]
    offsets: str
    errors: Literal["measured", "assumed"]


@functools.cache
def pose_source(key: str) -> PoseSource:
    """Return the entry of a source.

    Raises
    ------
    BadInputError
        If the table has none of this name.
    """
    entries = tables.load("pose_sources")
    if key not in entries:
        raise BadInputError(f"no source of keypoints {quoted(key)}{likely(key, entries)}")
    entry = entries[key]
    return PoseSource(key, **{name: entry[name] for name in PoseSource._fields[1:]})


def source_of(pose: xr.Dataset) -> PoseSource:
    """Return the source of a pose, or of what was made from it: its attribute ``pose_source``.

    Without it the software is asked. A pose that has neither is taken as MediaPipe's if it has
    positions in space, whose depth alone is known, and else as another model's.
    """
    key = _stated_source(pose)
    if key is None:
        key = OTHER if is_without_depth(pose) else MEDIAPIPE
    return pose_source(key)


def delay_of(pose: xr.Dataset) -> float:
    """Seconds by which the points of a pose are late; 0 where it does not say what made it."""
    key = _stated_source(pose)
    return 0.0 if key is None else pose_source(key).delay_s


def _stated_source(pose: xr.Dataset) -> str | None:
    if "pose_source" in pose.attrs:
        return str(pose.attrs["pose_source"])
    software = pose.attrs.get("source_software")
    names = {entry["name"]: key for key, entry in tables.load("pose_sources").items()}
    return names.get(str(software))


def is_without_depth(pose: xr.Dataset) -> bool:
    """Whether a pose has points in the picture and none in space."""
    return "position" not in pose
