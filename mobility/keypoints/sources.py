"""What gives keypoints, and what is known of it: the table ``pose_sources``."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from mobility import tables
from mobility.base.options import likely, quoted
from mobility.errors import BadInputError

if TYPE_CHECKING:
    import xarray as xr

MEDIAPIPE, OTHER = "mediapipe", "other"
"""Keys of the sources that the package names itself."""

SOURCE, SOFTWARE = "pose_source", "source_software"
"""Attributes of a pose, and of what is made of it: key of its source, and the model's name."""

WHOSE = (SOURCE, SOFTWARE)
"""Both, as :class:`Origin` has them."""


class PoseSource(NamedTuple):
    """An entry of the table."""

    key: str
    name: str
    depth: Literal["world", "none"]
    delay_s: float
    picture_sd_m: Mapping[str, float]
    offsets: str
    errors: Literal["measured", "assumed"]
    factors: Mapping[str, float] = {}

    def widened(self, quantity: str) -> float:
        """Factor, never below 1, on the stated error of a quantity beside that of the fit."""
        return max(1.0, float(self.factors.get(quantity, 1.0)))


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
    names_of_facts = PoseSource._fields[1:]
    return PoseSource(key, **{name: entry[name] for name in names_of_facts if name in entry})


def source_of(pose: xr.Dataset) -> PoseSource:
    """Return the source of a pose, or of what was made from it: its attribute ``pose_source``.

    Without it the software is asked. A pose that has neither is taken as MediaPipe's if it has
    positions in space, whose depth alone is known, and else as another model's.
    """
    key = _stated_source(pose)
    if key is None:
        key = OTHER if is_without_depth(pose) else MEDIAPIPE
    return pose_source(key)


def origin_of(poses: Iterable[xr.Dataset]) -> Origin:
    """Return whose keypoints a body is of that is fitted to poses."""
    return Origin.together(
        Origin.of({SOFTWARE: pose.attrs.get(SOFTWARE), SOURCE: source_of(pose).key})
        for pose in poses
    )


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


class Origin(NamedTuple):
    """Whose keypoints results are of.

    Attributes
    ----------
    pose_source
        Key of the table.
    source_software
        Name of the model, as pages call it.
    """

    pose_source: str = MEDIAPIPE
    source_software: str = "MediaPipe"

    @classmethod
    def of(cls, attrs: Mapping[Any, Any]) -> Origin:
        """Read it from the attributes of results; those that name no source are of MediaPipe."""
        key = str(attrs.get(SOURCE) or MEDIAPIPE)
        return cls(key, str(attrs.get(SOFTWARE) or pose_source(key).name))

    @classmethod
    def together(cls, origins: Iterable[Origin]) -> Origin:
        """Of several models: errors are as well known as those of the one of which least is."""
        each = list(dict.fromkeys(origins))
        least_known = min(each, key=lambda origin: (origin.is_measured, origin))
        return cls(least_known.pose_source, ", ".join(origin.source_software for origin in each))

    @property
    def source(self) -> PoseSource:
        """Entry of the table."""
        return pose_source(self.pose_source)

    @property
    def is_measured(self) -> bool:
        """Whether the errors that are stated were measured with it."""
        return self.source.errors == "measured"


def is_without_depth(pose: xr.Dataset) -> bool:
    """Whether a pose has points in the picture and none in space."""
    return "position" not in pose
