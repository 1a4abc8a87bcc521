"""Sources of keypoints, and the landmark that each keypoint of another pose model is.

The tables are ``pose_sources`` and ``keypoint_names``.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from mobility import tables
from mobility.base.formatting import listed, shortened
from mobility.base.options import likely, likely_of_all, quoted
from mobility.errors import BadInputError

if TYPE_CHECKING:
    import xarray as xr

LANDMARKS: tuple[str, ...] = tuple(tables.load("landmarks")["landmarks"]["names"])
"""The 33 landmarks of a pose, in MediaPipe's order."""


def sets() -> tuple[str, ...]:
    """Return the names of the sets of keypoints that the table has."""
    return tuple(tables.load("keypoint_names"))


@functools.cache
def points_of(name: str) -> tuple[str, ...]:
    """Return the names of the points of a set ("coco_17"), in the order in which models give them.

    Raises
    ------
    BadInputError
        If the table has no set of this name.
    """
    if name not in sets():
        raise BadInputError(f"no set of keypoints {quoted(name)}{likely_of_all(name, sets())}")
    return tuple(tables.load("keypoint_names")[name].get("order", LANDMARKS))


def is_known(name: str) -> bool:
    """Whether the table has a keypoint of this name, also one that is no landmark."""
    return _plain(name) in _landmark_by_name()


def landmark_of(name: str) -> str | None:
    """Return the landmark that a keypoint of this name is.

    None stands for a keypoint that no landmark corresponds to, and for an unknown name; see
    :func:`is_known`.
    """
    return _landmark_by_name().get(_plain(name))


def landmarks_of(
    names: Sequence[str], landmark_by_name: Mapping[str, str | None] | None = None, *, what: str
) -> dict[str, str | None]:
    """Return the landmark of each keypoint; None where it is left out.

    Parameters
    ----------
    names
        Names of keypoints, as their model gives them.
    landmark_by_name
        Landmark by name, which goes before the table; None leaves a keypoint out.
    what
        What names them, with which an error begins.

    Raises
    ------
    BadInputError
        If a name is unknown, `landmark_by_name` has one that is not among `names` or names no
        landmark, none is a landmark, or several are the same.
    """
    landmark_by_name = landmark_by_name or {}
    for name, landmark in landmark_by_name.items():
        if name not in names:
            raise BadInputError(f"{what}: keypoints: no keypoint '{name}'{likely(name, names)}")
        if landmark is not None and landmark not in LANDMARKS:
            raise BadInputError(
                f"{what}: keypoints: no landmark '{landmark}'{likely(landmark, LANDMARKS)}"
            )
    unknown = [name for name in names if name not in landmark_by_name and not is_known(name)]
    if unknown:
        close = likely(unknown[0], LANDMARKS)
        raise BadInputError(
            f"{what}: no landmark is known by the name of {shortened(unknown)}{close}"
            f"{'' if close else ';'} say with keypoints which it is, or None"
        )
    landmarks = {
        name: landmark_by_name[name] if name in landmark_by_name else landmark_of(name)
        for name in names
    }
    result = [landmark for landmark in landmarks.values() if landmark]
    if not result:
        raise BadInputError(f"{what}: none of its keypoints is a landmark")
    if twice := sorted(landmark for landmark, times in Counter(result).items() if times > 1):
        raise BadInputError(
            f"{what}: several keypoints are {listed(twice)}; leave out one with keypoints"
        )
    return landmarks


def _plain(name: str) -> str:
    return re.sub(r"[\s._-]+", "", name).casefold()


@functools.cache
def _landmark_by_name() -> Mapping[str, str | None]:
    """Landmark by the plain name of a keypoint; None for a keypoint that is no landmark."""
    named = [entry["names"] for entry in tables.load("keypoint_names").values()]
    same = dict(zip(LANDMARKS, LANDMARKS, strict=True))
    return {_plain(name): landmark for each in (*named, same) for name, landmark in each.items()}


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
