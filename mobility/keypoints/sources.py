"""Sources of keypoints, and the landmark that corresponds to each keypoint of another pose model.

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
    """Return the names of the keypoint sets in the table."""
    return tuple(tables.load("keypoint_names"))


@functools.cache
def points_of(name: str) -> tuple[str, ...]:
    """Return the names of the points of a set ("coco_17"), in the order of the models' output.

    Raises
    ------
    BadInputError
        If the table has no set of this name.
    """
    if name not in sets():
        raise BadInputError(f"no set of keypoints {quoted(name)}{likely_of_all(name, sets())}")
    return tuple(tables.load("keypoint_names")[name].get("order", LANDMARKS))


def is_known(name: str) -> bool:
    """Whether the table has a keypoint of this name, even if it is not a landmark."""
    return _plain(name) in _landmark_by_name()


def landmark_of(name: str) -> str | None:
    """Return the landmark that corresponds to a keypoint.

    The result is None if the keypoint corresponds to no landmark, or if its name is unknown; see
    :func:`is_known`.
    """
    return _landmark_by_name().get(_plain(name))


def landmarks_of(
    names: Sequence[str], landmark_by_name: Mapping[str, str | None] | None = None, *, what: str
) -> dict[str, str | None]:
    """Return the landmark of each keypoint; None if the keypoint is left out.

    Parameters
    ----------
    names
        Names of keypoints, as their model writes them.
    landmark_by_name
        Landmark by name, which overrides the table; None leaves a keypoint out.
    what
        Source of the names; error messages begin with it.

    Raises
    ------
    BadInputError
        If a name is unknown, if no keypoint is a landmark, or if several keypoints are the same
        landmark. Also if `landmark_by_name` has a name that is not among `names`, or an unknown
        landmark.
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
            f"{what}: no landmark is known for "
            f"{shortened(unknown)}{close}{'' if close else '.'} Use keypoints to name the "
            "landmark, or None to leave it out"
        )
    landmarks = {
        name: landmark_by_name[name] if name in landmark_by_name else landmark_of(name)
        for name in names
    }
    result = [landmark for landmark in landmarks.values() if landmark]
    if not result:
        raise BadInputError(
            f"{what}: none of its keypoints is a landmark. Use keypoints to name the landmarks"
        )
    if twice := sorted(landmark for landmark, times in Counter(result).items() if times > 1):
        raise BadInputError(
            f"{what}: several keypoints are {listed(twice)}. Use keypoints to leave out one of them"
        )
    return landmarks


def _plain(name: str) -> str:
    return re.sub(r"[\s._-]+", "", name).casefold()


@functools.cache
def _landmark_by_name() -> Mapping[str, str | None]:
    """Landmark by the plain name of a keypoint; None for a keypoint that is not a landmark."""
    named = [entry["names"] for entry in tables.load("keypoint_names").values()]
    same = dict(zip(LANDMARKS, LANDMARKS, strict=True))
    return {_plain(name): landmark for names in (*named, same) for name, landmark in names.items()}


MEDIAPIPE, OTHER = "mediapipe", "other"
"""Keys of the sources that the code itself names."""

SOURCE, SOFTWARE = "pose_source", "source_software"
"""Attributes of a pose and of all results made from it: the key of its source, and the model's
name."""

WHOSE = (SOURCE, SOFTWARE)
"""Both attributes, as :class:`Origin` has them."""


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
        """Return the factor, at least 1, by which the stated error of a quantity is multiplied."""
        return max(1.0, float(self.factors.get(quantity, 1.0)))


@functools.cache
def pose_source(key: str) -> PoseSource:
    """Return the entry of a source.

    Raises
    ------
    BadInputError
        If the table has no source of this name.
    """
    entries = tables.load("pose_sources")
    if key not in entries:
        raise BadInputError(f"no source of keypoints {quoted(key)}{likely(key, entries)}")
    entry = entries[key]
    names_of_facts = PoseSource._fields[1:]
    return PoseSource(key, **{name: entry[name] for name in names_of_facts if name in entry})


def source_of(pose: xr.Dataset) -> PoseSource:
    """Return the source of a pose, or of results made from it: its attribute ``pose_source``.

    Without that attribute, the software decides. A pose that has neither is assumed to come from
    MediaPipe if it has 3-D positions, because only MediaPipe's depth is known; otherwise from
    another model.
    """
    key = _stated_source(pose)
    if key is None:
        key = OTHER if is_without_depth(pose) else MEDIAPIPE
    return pose_source(key)


def origin_of(poses: Iterable[xr.Dataset]) -> Origin:
    """Return the origin of the keypoints that a body was fitted to."""
    return Origin.together(
        Origin.of({SOFTWARE: pose.attrs.get(SOFTWARE), SOURCE: source_of(pose).key})
        for pose in poses
    )


def delay_of(pose: xr.Dataset) -> float:
    """Return the delay of a pose's points in seconds; 0 if the pose does not state its source."""
    key = _stated_source(pose)
    return 0.0 if key is None else pose_source(key).delay_s


def _stated_source(pose: xr.Dataset) -> str | None:
    if "pose_source" in pose.attrs:
        return str(pose.attrs["pose_source"])
    software = pose.attrs.get("source_software")
    names = {entry["name"]: key for key, entry in tables.load("pose_sources").items()}
    return names.get(str(software))


class Origin(NamedTuple):
    """The model that the keypoints of results come from.

    Attributes
    ----------
    pose_source
        Key in the table.
    source_software
        Name of the model, as pages show it.
    """

    pose_source: str = MEDIAPIPE
    source_software: str = "MediaPipe"

    @classmethod
    def of(cls, attrs: Mapping[Any, Any]) -> Origin:
        """Read the origin from the attributes of results; without a source it is MediaPipe."""
        key = str(attrs.get(SOURCE) or MEDIAPIPE)
        return cls(key, str(attrs.get(SOFTWARE) or pose_source(key).name))

    @classmethod
    def together(cls, origins: Iterable[Origin]) -> Origin:
        """Combine several models.

        The errors are taken from the model about which least is known.
        """
        models = list(dict.fromkeys(origins))
        least_known = min(models, key=lambda origin: (origin.is_measured, origin))
        return cls(least_known.pose_source, ", ".join(origin.source_software for origin in models))

    @property
    def source(self) -> PoseSource:
        """The entry of the source in the table."""
        return pose_source(self.pose_source)

    @property
    def is_measured(self) -> bool:
        """Whether the stated errors were measured with this model."""
        return self.source.errors == "measured"


def is_without_depth(pose: xr.Dataset) -> bool:
    """Whether a pose has points in the picture, but no points in 3-D."""
    return "position" not in pose
